// A row of names, of which one is shown.
async function render({ model, el, signal }) {
  await listen(model);
  el.classList.add("cw-tabs");
  const draw = () => {
    const shown = model.get("shown");
    el.setAttribute("role", "tablist");
    el.setAttribute("aria-label", model.get("label"));
    const focused = el.contains(document.activeElement);
    el.replaceChildren(
      ...model.get("names").map((name) => {
        const tab = document.createElement("span");
        tab.textContent = name;
        tab.dataset.name = name;
        tab.setAttribute("role", "tab");
        tab.setAttribute("aria-selected", name === shown);
        tab.tabIndex = name === shown ? 0 : -1;
        return tab;
      }),
    );
    if (focused) el.querySelector("[aria-selected=true]")?.focus();
  };
  const choose = (name) => name && model.send({ type: "tap", name });
  const key = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const names = model.get("names");
    if (step) choose(names[names.indexOf(model.get("shown")) + step]);
    event.stopPropagation(); // keys of a notebook mean other things
  };
  const click = (event) => choose(event.target.closest("[role=tab]")?.dataset.name);
  model.on("change:names", draw);
  model.on("change:shown", draw);
  el.addEventListener("click", click);
  el.addEventListener("keydown", key);
  signal.addEventListener("abort", () => {
    model.off("change:names", draw);
    model.off("change:shown", draw);
  });
  draw();
}

export default { render };
