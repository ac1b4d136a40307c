// Stands in front of each of our modules. anywidget refuses all messages to a widget whose code took longer than two
// seconds to load; by the time a view is drawn the code is here, so let the messages come straight to the model.
async function listen(model) {
  if (model.lossless) return; // a page of our own server
  try {
    const whole = await model.widget_manager.get_model(model.get("_model"));
    const direct = Object.getPrototypeOf(Object.getPrototypeOf(whole))._handle_comm_msg;
    if (direct && whole.comm) whole.comm.on_msg(direct.bind(whole));
  } catch {
    // another kind of page, with ways of its own
  }
  model.send({ type: "new" });
}

