// What people press, choose and type on a page that controls: the form elements of Jupyter that our pages have.

Object.assign(VIEWS, {
  ButtonView: button,
  ToggleButtonView: button,
  ToggleButtonsView: toggles,
  CheckboxView: checkbox,
  DropdownView: dropdown,
  TextView: field,
  IntTextView: field,
  AccordionView: accordion,
});

function choose(model, name, value) {
  model.set(name, value);
  model.save_changes();
}

function styled(el, model) {
  for (const style of ["primary", "success", "info", "warning", "danger"]) {
    el.classList.toggle(`mod-${style}`, model.get("button_style") === style);
  }
}

function button(model, _, signal) {
  const toggle = model.get("_view_name") === "ToggleButtonView";
  const el = element("button", "jupyter-widgets", "jupyter-button", toggle ? "widget-toggle-button" : "widget-button");
  el.type = "button";
  const draw = () => {
    el.textContent = model.get("description");
    el.disabled = model.get("disabled");
    styled(el, model);
    if (!toggle) return;
    el.classList.toggle("mod-active", model.get("value"));
    el.setAttribute("aria-pressed", model.get("value"));
  };
  show(model, ["description", "disabled", "button_style", "value"], draw, signal);
  el.addEventListener("click", (event) => {
    event.preventDefault();
    if (toggle) choose(model, "value", !model.get("value"));
    else model.send({ event: "click" });
  });
  return el;
}

// A row with a description before what is to be chosen or typed, `input`: it is what a click on the description takes.
function described(model, signal, input, ...names) {
  const el = element("div", "jupyter-widgets", "widget-inline-hbox", ...names);
  const label = element("label", "widget-label");
  label.htmlFor = input.id = `cw-${model.id}`;
  el.append(label, input);
  const say = () => {
    label.textContent = model.get("description");
    label.hidden = !model.get("description");
  };
  show(model, ["description"], say, signal);
  return el;
}

function toggles(model, _, signal) {
  const group = document.createElement("div");
  const el = described(model, signal, group, "widget-toggle-buttons");
  const draw = () => {
    const focused = [...group.children].indexOf(document.activeElement);
    const made = model.get("_options_labels").map((name, i) => {
      const one = element("button", "widget-toggle-button", "jupyter-button");
      const on = model.get("index") === i;
      one.classList.toggle("mod-active", on);
      styled(one, model);
      Object.assign(one, { type: "button", textContent: name, disabled: model.get("disabled") });
      one.setAttribute("aria-pressed", on);
      one.title = model.get("tooltips")?.[i] ?? "";
      one.addEventListener("click", () => choose(model, "index", i));
      return one;
    });
    group.replaceChildren(...made);
    made[focused]?.focus();
  };
  show(model, ["_options_labels", "index", "disabled", "button_style", "tooltips"], draw, signal);
  return el;
}

function checkbox(model, _, signal) {
  const el = element("div", "jupyter-widgets", "widget-inline-hbox", "widget-checkbox");
  const box = Object.assign(document.createElement("input"), { type: "checkbox" });
  const label = element("label", "widget-label-basic");
  const words = document.createElement("span");
  label.append(box, words);
  el.append(label);
  const draw = () => {
    box.checked = model.get("value");
    box.disabled = model.get("disabled");
    words.textContent = model.get("description");
    el.classList.toggle("cw-indented", model.get("indent"));
  };
  show(model, ["value", "disabled", "description", "indent"], draw, signal);
  box.addEventListener("change", () => choose(model, "value", box.checked));
  return el;
}

function dropdown(model, _, signal) {
  const select = document.createElement("select");
  const el = described(model, signal, select, "widget-dropdown");
  const draw = () => {
    const names = model.get("_options_labels");
    if (names.join("\n") !== [...select.options].map(({ text }) => text).join("\n")) {
      select.replaceChildren(...names.map((name) => new Option(name)));
    }
    select.selectedIndex = model.get("index") ?? -1;
    select.disabled = model.get("disabled");
  };
  show(model, ["_options_labels", "index", "disabled"], draw, signal);
  select.addEventListener("change", () => choose(model, "index", select.selectedIndex < 0 ? null : select.selectedIndex));
  return el;
}

// A text, or a whole number within its bounds.
function field(model, _, signal) {
  const number = model.get("_view_name") === "IntTextView";
  const input = Object.assign(document.createElement("input"), { type: number ? "number" : "text" });
  const el = described(model, signal, input, "widget-text");
  const draw = () => {
    const value = String(model.get("value"));
    if (input.value !== value) input.value = value; // what is being typed keeps its cursor
    input.disabled = model.get("disabled");
    input.placeholder = number ? "" : model.get("placeholder");
    for (const name of ["min", "max", "step"]) if (number) input[name] = model.get(name) ?? "";
  };
  show(model, ["value", "disabled", "placeholder", "min", "max", "step"], draw, signal);
  const typed = () => {
    if (!number) return input.value;
    const value = Math.trunc(Number(input.value));
    const [low, high] = [model.get("min") ?? -Infinity, model.get("max") ?? Infinity];
    return input.value === "" || !Number.isFinite(value) ? model.get("value") : Math.max(low, Math.min(value, high));
  };
  const take = () => {
    const value = typed();
    if (value !== model.get("value")) choose(model, "value", value);
    draw();
  };
  input.addEventListener("input", () => model.get("continuous_update") && take());
  input.addEventListener("change", take);
  input.addEventListener("keydown", (event) => {
    event.stopPropagation(); // keys of a page mean other things
    if (event.key !== "Enter") return;
    take();
    if (!number) model.send({ event: "submit" });
  });
  return el;
}

function accordion(model, models, signal) {
  const el = element("div", "jupyter-widgets", "widget-container", "jupyter-widget-Accordion");
  let shown = [];
  const part = (reference, i) => {
    const whole = element("div", "jupyter-widget-Collapse");
    const head = element("div", "jupyter-widget-Collapse-header");
    const room = element("div", "jupyter-widget-Collapse-contents");
    const inner = view(models, reference);
    head.tabIndex = 0;
    head.setAttribute("role", "button");
    head.append(model.get("titles")[i] ?? String(i + 1));
    const press = () => choose(model, "selected_index", model.get("selected_index") === i ? null : i);
    head.addEventListener("click", press);
    head.addEventListener("keydown", (event) => {
      if (event.target !== head || !["Enter", " "].includes(event.key)) return;
      event.preventDefault(); // a page rolls at a space
      press();
    });
    room.append(inner.el);
    whole.append(head, room);
    return { whole, head, room, stop: inner.stop };
  };
  const open = () => {
    shown.forEach(({ head, room }, i) => {
      room.hidden = model.get("selected_index") !== i;
      head.setAttribute("aria-expanded", !room.hidden);
    });
  };
  const fill = () => {
    for (const { stop } of shown) stop.abort();
    shown = model.get("children").map(part);
    el.replaceChildren(...shown.map(({ whole }) => whole));
    open();
  };
  show(model, ["children", "titles"], fill, signal);
  on(model, "change:selected_index", open, signal);
  signal.addEventListener("abort", () => shown.forEach(({ stop }) => stop.abort()));
  return el;
}
