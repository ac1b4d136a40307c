// How widgets look: those of Jupyter that our pages are made of, and ours, which bring their own code.

const VIEWS = { BoxView: box, VBoxView: box, HBoxView: box, HTMLView: html, ImageView: image };
const MODULES = { "@jupyter-widgets/controls": VIEWS, "@jupyter-widgets/base": { LayoutView: null, StyleView: null } };
const OURS = "cryowidgets."; // anywidget's name for a class begins with its module

// Whether this page can show a widget of this state.
function known({ _view_module, _view_name, _anywidget_id }) {
  return _view_module === "anywidget" ? _anywidget_id.startsWith(OURS) : _view_name in (MODULES[_view_module] ?? {});
}

// An element that shows a widget until `stop`, an AbortController, says that it is not wanted any more.
function view(models, reference) {
  const id = reference.replace("IPY_MODEL_", "");
  const model = models.get(id);
  const stop = new AbortController();
  if (!model) return { id, el: document.createElement("div"), stop }; // closed, though its box still names it
  const kind = VIEWS[model.get("_view_name")] ?? ours;
  const el = kind(model, models, stop.signal);
  el.classList.add("cw-view");
  dress(el, model, models, stop.signal);
  return { id, el, stop };
}

function on(model, event, call, signal) {
  model.on(event, call);
  signal.addEventListener("abort", () => model.off(event, call));
}

function show(model, names, call, signal) {
  for (const name of names) on(model, `change:${name}`, call, signal);
  call();
}

// What all widgets have: names for the style sheet, a layout, a word for those who point at them.
function dress(el, model, models, signal) {
  let worn = [];
  const names = () => {
    el.classList.remove(...worn);
    el.classList.add(...(worn = [...model.get("_dom_classes")]));
  };
  show(model, ["_dom_classes"], names, signal);
  const hint = () => {
    if (model.get("tooltip")) el.title = model.get("tooltip");
    else el.removeAttribute("title");
    if (model.get("tabbable") !== null) el.tabIndex = model.get("tabbable") ? 0 : -1;
  };
  show(model, ["tooltip", "tabbable"], hint, signal);
  const layout = models.get(model.get("layout").replace("IPY_MODEL_", ""));
  const lay = () => {
    for (const [name, value] of Object.entries(layout.state)) {
      if (!name.startsWith("_")) el.style.setProperty(name.replaceAll("_", "-"), value ?? "");
    }
  };
  on(layout, "change", lay, signal);
  lay();
}

function element(tag, ...names) {
  const el = document.createElement(tag);
  el.classList.add(...names);
  return el;
}

// Parts that stay keep their elements: a figure is not built again because something came beside it.
function box(model, models, signal) {
  const kind = { VBoxView: ["widget-vbox"], HBoxView: ["widget-hbox"] }[model.get("_view_name")] ?? [];
  const el = element("div", "jupyter-widgets", "widget-container", "widget-box", ...kind);
  let shown = [];
  const fill = () => {
    const old = shown;
    shown = model.get("children").map((reference) => {
      const place = old.findIndex(({ id }) => reference === `IPY_MODEL_${id}`);
      return place < 0 ? view(models, reference) : old.splice(place, 1)[0];
    });
    for (const { el, stop } of old) {
      stop.abort();
      el.remove();
    }
    shown.forEach(({ el: part }, i) => el.children[i] !== part && el.insertBefore(part, el.children[i] ?? null));
  };
  show(model, ["children"], fill, signal);
  signal.addEventListener("abort", () => shown.forEach(({ stop }) => stop.abort()));
  return el;
}

function html(model, models, signal) {
  const el = element("div", "jupyter-widgets", "widget-inline-hbox", "widget-html");
  const label = element("label", "widget-label");
  const content = element("div", "widget-html-content");
  el.append(label, content);
  const say = () => {
    label.textContent = model.get("description");
    label.hidden = !model.get("description");
    content.innerHTML = model.get("value");
  };
  show(model, ["description", "value"], say, signal);
  const style = models.get(model.get("style").replace("IPY_MODEL_", ""));
  const paint = () => {
    const [background, color, size] = ["background", "text_color", "font_size"].map((name) => style.get(name) ?? "");
    Object.assign(content.style, { background, color, fontSize: size });
  };
  on(style, "change", paint, signal);
  paint();
  return el;
}

function image(model, models, signal) {
  const el = element("img", "jupyter-widgets", "widget-image");
  let url = "";
  const load = () => {
    URL.revokeObjectURL(url);
    url = URL.createObjectURL(new Blob([model.get("value") ?? ""], { type: `image/${model.get("format")}` }));
    el.src = url;
    for (const side of ["width", "height"]) {
      if (model.get(side)) el.setAttribute(side, model.get(side));
      else el.removeAttribute(side);
    }
  };
  show(model, ["value", "format", "width", "height"], load, signal);
  signal.addEventListener("abort", () => URL.revokeObjectURL(url));
  return el;
}

const codes = new Map(); // modules by their text: many widgets have the same
const sheets = new Set();

function code(text) {
  if (!codes.has(text)) {
    const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
    codes.set(text, import(url).finally(() => URL.revokeObjectURL(url)));
  }
  return codes.get(text);
}

function ours(model, _, signal) {
  const el = document.createElement("div");
  const sheet = model.get("_css");
  if (sheet && !sheets.has(sheet)) {
    sheets.add(sheet);
    document.head.append(Object.assign(document.createElement("style"), { textContent: sheet }));
  }
  const draw = async () => {
    const { render } = (await code(model.get("_esm"))).default;
    if (!signal.aborted) await render({ model, el, signal });
  };
  draw().catch((error) => {
    console.error(error);
    el.textContent = `This part cannot be drawn: ${error.message}.`;
  });
  return el;
}
