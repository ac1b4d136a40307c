// Names to choose one or many of, or to press: no element of a form, so that a page that only shows may have it.
const ROLES = { one: ["radiogroup", "radio", "aria-checked"], many: ["group", "checkbox", "aria-checked"], press: ["group", "button", ""] };

async function render({ model, el, signal }) {
  await listen(model);
  el.classList.add("cw-choice");
  const draw = () => {
    const [group, role, state] = ROLES[model.get("kind")] ?? ROLES.press;
    const [names, chosen, hints, colours] = ["names", "chosen", "hints", "colours"].map((name) => model.get(name));
    const focused = el.contains(document.activeElement) ? document.activeElement.dataset.name : null;
    el.setAttribute("role", group);
    el.setAttribute("aria-label", model.get("label"));
    el.dataset.kind = model.get("kind");
    el.hidden = !names.length;
    const label = document.createElement("b");
    label.textContent = model.get("label");
    const items = names.map((name, i) => {
      const item = document.createElement("span");
      const on = chosen.includes(name);
      if (colours[name]) {
        const spot = document.createElement("i");
        spot.style.background = colours[name];
        item.append(spot);
      }
      item.append(name);
      item.dataset.name = name;
      item.title = hints[name] ?? "";
      item.setAttribute("role", role);
      if (state) item.setAttribute(state, on);
      item.tabIndex = role !== "radio" || on || (!chosen.length && !i) ? 0 : -1;
      return item;
    });
    el.replaceChildren(...(model.get("label") ? [label] : []), ...items);
    if (focused !== null) items.find((item) => item.dataset.name === focused)?.focus();
  };
  const choose = (name) => name && model.send({ type: "tap", name });
  const key = (event) => {
    const name = event.target.dataset?.name;
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step) {
      const items = [...el.querySelectorAll("[data-name]")];
      const next = items[items.indexOf(event.target) + step];
      next?.focus();
      if (next && model.get("kind") === "one") choose(next.dataset.name);
      event.preventDefault();
    } else if (event.key === "Enter" || event.key === " ") {
      choose(name);
      event.preventDefault();
    }
    event.stopPropagation(); // keys of a notebook mean other things
  };
  const click = (event) => choose(event.target.closest("[data-name]")?.dataset.name);
  const traits = ["names", "chosen", "hints", "colours", "label", "kind"];
  for (const name of traits) model.on(`change:${name}`, draw);
  el.addEventListener("click", click);
  el.addEventListener("keydown", key);
  signal.addEventListener("abort", () => {
    for (const name of traits) model.off(`change:${name}`, draw);
  });
  draw();
}

export default { render };
