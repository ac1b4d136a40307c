// A list to choose from: cards in groups, one of them chosen.
function make(tag, name, text) {
  const made = document.createElement(tag);
  made.className = name;
  made.textContent = text ?? "";
  return made;
}

async function render({ model, el, signal }) {
  await listen(model);
  el.classList.add("cw-cards");
  el.setAttribute("role", "listbox");
  const mark = () => {
    const shown = model.get("shown");
    const all = [...el.querySelectorAll(".cw-card")];
    const first = all.find((e) => e.getAttribute("aria-disabled") !== "true");
    for (const card of all) {
      card.setAttribute("aria-selected", card.dataset.id === shown);
      card.tabIndex = card.dataset.id === shown || (!shown && card === first) ? 0 : -1;
    }
  };
  const draw = () => {
    const focused = el.contains(document.activeElement);
    el.setAttribute("aria-label", model.get("label"));
    const parts = [];
    let group = null;
    for (const card of model.get("cards")) {
      if (card.group !== group) parts.push(make("h4", "", (group = card.group)));
      const made = make("div", "cw-card");
      made.dataset.id = card.id;
      made.setAttribute("role", "option");
      made.setAttribute("aria-disabled", Boolean(card.fault));
      const head = make("div", "cw-card-head");
      head.append(make("b", "", card.title), make("span", "", card.origin));
      made.title = card.fault || card.text;
      made.append(head, make("p", card.fault ? "cw-fault" : "", card.fault || card.text));
      parts.push(made);
    }
    if (!parts.length) parts.push(make("div", "cw-nothing", model.get("empty")));
    el.replaceChildren(...parts);
    mark();
    if (focused) el.querySelector("[tabindex='0']")?.focus();
  };
  const click = (event) => {
    const id = event.target.closest(".cw-card")?.dataset.id;
    if (id !== undefined) model.send({ type: "tap", id });
  };
  const key = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step || event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      const all = [...el.querySelectorAll(".cw-card:not([aria-disabled=true])")];
      const now = all.indexOf(event.target.closest(".cw-card"));
      const next = all[step ? now + step : now];
      if (next) {
        next.focus();
        model.send({ type: "tap", id: next.dataset.id });
      }
    }
    event.stopPropagation(); // keys of a notebook mean other things
  };
  model.on("change:cards", draw);
  model.on("change:empty", draw);
  model.on("change:shown", mark);
  el.addEventListener("click", click);
  el.addEventListener("keydown", key);
  signal.addEventListener("abort", () => {
    model.off("change:cards", draw);
    model.off("change:empty", draw);
    model.off("change:shown", mark);
  });
  draw();
}

export default { render };
