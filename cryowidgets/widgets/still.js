// A picture that came ready.
async function render({ model, el, signal }) {
  await listen(model);
  el.classList.add("cw-still");
  const image = document.createElement("img");
  image.draggable = false;
  let address = "";
  const receive = (message, buffers) => {
    if (message.type !== "picture") return;
    URL.revokeObjectURL(address);
    const there = Boolean(buffers[0]?.byteLength);
    address = there ? URL.createObjectURL(new Blob([buffers[0]], { type: "image/jpeg" })) : "";
    if (there) {
      image.src = address;
      image.alt = message.label;
      image.title = message.label;
      el.replaceChildren(image);
    } else el.replaceChildren();
  };
  model.on("msg:custom", receive);
  signal.addEventListener("abort", () => {
    model.off("msg:custom", receive);
    URL.revokeObjectURL(address);
  });
  model.send({ type: "need" });
}

export default { render };
