// A histogram with two handles. While one is dragged Python is told of the newest place only, one word at a time.

async function render({ model, el, signal }) {
  await listen(model);
  let here = null; // where the handles are on this page while Python has not heard of it
  let waiting = false;
  let due = null;

  const moved = (low, high, done) => {
    here = { low, high };
    const message = { type: "move", low, high, done };
    if (waiting) {
      due = { ...message, done: done || Boolean(due?.done) };
      return;
    }
    waiting = true;
    model.send(message);
  };
  const plot = bounds({ el, signal, moved, sides: model.get("sides"), fields: model.get("fields") });
  const traits = ["edges", "counts", "low", "high", "note", "label", "unit", "digits"];
  const draw = () => {
    const facts = Object.fromEntries(traits.map((name) => [name, model.get(name) ?? null]));
    plot.show({ ...facts, ...here });
  };
  const heard = (message) => {
    if (message.type !== "heard") return;
    waiting = false;
    if (due) {
      const next = due;
      due = null;
      waiting = true;
      model.send(next);
    } else if (!plot.held()) {
      here = null;
      draw();
    }
  };
  for (const name of traits) model.on(`change:${name}`, draw);
  model.on("msg:custom", heard);
  signal.addEventListener("abort", () => {
    model.off("msg:custom", heard);
    for (const name of traits) model.off(`change:${name}`, draw);
  });
  draw();
}

export default { render };
