// A Bokeh figure whose rows come from Python as binary messages. The model carries the empty figure alone: each view
// asks for the rows it lacks, so a reload, a second tab or a lost message all end in the same rows as Python has.

const pending = (globalThis.__cryowidgets_bokeh ??= {}); // BokehJS by version, shared by all plots of a page

function present(version) {
  const B = globalThis.Bokeh;
  return B?.version === version ? B : B?.[version];
}

function addScript(source) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.onload = resolve;
    script.onerror = () => reject(new Error(`cannot load ${source}`));
    script.src = source;
    document.head.append(script);
  });
}

function fromServer(version) {
  const config = document.getElementById("jupyter-config-data");
  if (!config) return Promise.reject(new Error("this page names no Jupyter server"));
  const base = JSON.parse(config.textContent).baseUrl ?? "/";
  return addScript(`${base}cryowidgets/static/bokeh/bokeh.min.js?v=${version}`);
}

function fromKernel(model) {
  return new Promise((resolve, reject) => {
    const answer = (message, buffers) => {
      if (message.type !== "bokeh") return;
      model.off("msg:custom", answer);
      const url = URL.createObjectURL(new Blob([buffers[0]], { type: "text/javascript" }));
      addScript(url).then(resolve, reject).finally(() => URL.revokeObjectURL(url));
    };
    model.on("msg:custom", answer);
    model.send({ type: "bokeh" });
  });
}

async function loadBokeh(model) {
  const version = model.get("_bokeh");
  if (!present(version)) {
    pending[version] ??= fromServer(version)
      .catch(() => fromKernel(model))
      .then(() => present(version).set_log_level("error")); // it warns of every plot that has no rows yet
    try {
      await pending[version];
    } catch (error) {
      delete pending[version];
      throw error;
    }
  }
  return present(version);
}

// Bokeh measures its element when it builds: wait until there is something to measure.
function shown(el, signal) {
  return new Promise((resolve) => {
    const watch = new ResizeObserver(() => {
      if (!el.isConnected || !el.clientWidth) return;
      watch.disconnect();
      resolve();
    });
    watch.observe(el);
    signal.addEventListener("abort", () => watch.disconnect());
  });
}

// Figures are built one after the other, so that the first is there to be seen while the others are still to come.
async function turn() {
  const before = globalThis.__cryowidgets_turn;
  let done;
  globalThis.__cryowidgets_turn = new Promise((resolve) => (done = resolve));
  await before;
  return done;
}

// Bokeh paints on canvas, where style sheets do not reach: hand it the colours of the page, and again when they change.
function paint(figure, el) {
  const style = getComputedStyle(el);
  const of = (name, otherwise) => style.getPropertyValue(name).trim() || otherwise;
  const ink = of("--cw-ink", of("--jp-ui-font-color1", "#333333"));
  const soft = of("--cw-soft", of("--jp-ui-font-color2", "#666666"));
  const line = of("--cw-line", of("--jp-border-color2", "#d0d0d0"));
  const card = of("--cw-card", of("--jp-layout-color0", "#ffffff"));
  const size = of("--cw-plot-font", "11px");
  for (const side of [figure.above, figure.below, figure.left, figure.right, figure.center]) {
    for (const part of side) {
      if (part.type.endsWith("Axis")) {
        part.setv({ axis_label_text_color: soft, major_label_text_color: soft, major_tick_line_color: line });
        part.setv({ axis_label_text_font_size: size, major_label_text_font_size: size });
        if (part.axis_line_color !== null) part.setv({ axis_line_color: line });
      } else if (part.type === "Grid") {
        if (part.grid_line_color !== null) part.setv({ grid_line_color: line });
      } else if (part.type === "Legend") {
        part.setv({ label_text_color: ink, label_text_font_size: size, background_fill_color: card });
      }
    }
  }
  const scale = Number(of("--cw-plot-scale", "1"));
  for (const renderer of figure.renderers) {
    for (const glyph of new Set([renderer.glyph, renderer.selection_glyph, renderer.nonselection_glyph])) {
      if (glyph?.size?.value === undefined) continue;
      if (!sizes.has(glyph)) sizes.set(glyph, glyph.size.value);
      glyph.size = { value: sizes.get(glyph) * scale };
    }
  }
}

const sizes = new WeakMap(); // of points, as drawn for a page of usual size

function themed(figure, el, signal) {
  const watch = new MutationObserver(() => requestAnimationFrame(() => paint(figure, el)));
  watch.observe(document.body, { attributeFilter: ["class", "data-jp-theme-light", "data-jp-theme-name"] });
  const wanted = () => getComputedStyle(el).getPropertyValue("--cw-plot-font");
  let size = wanted();
  const resize = new ResizeObserver(() => {
    const now = wanted();
    if (now !== size) paint(figure, el);
    size = now;
  });
  resize.observe(el);
  signal.addEventListener("abort", () => {
    watch.disconnect();
    resize.disconnect();
  });
}

// The row drawn nearest to a click, within 25 px on the screen; -1 where there is none.
function nearest(view, figure, source, sx, sy) {
  let best = 25 * 25;
  let row = -1;
  for (const renderer of figure.renderers) {
    if (renderer.data_source !== source || !renderer.visible) continue;
    const xs = source.data[renderer.glyph.x?.field];
    const ys = source.data[renderer.glyph.y?.field];
    if (!xs || !ys) continue;
    const x = view.frame.x_scale.v_compute(xs);
    const y = view.frame.y_scale.v_compute(ys);
    for (let i = 0; i < x.length; i++) {
      const distance = (x[i] - sx) ** 2 + (y[i] - sy) ** 2;
      if (distance < best) [best, row] = [distance, i];
    }
  }
  return row;
}

// A legend entry for which there is no value at all, as that of a GPU that is not there, is left out.
function prune(figure, source) {
  for (const part of figure.above) {
    if (part.type !== "Legend") continue;
    for (const item of part.items) {
      const values = source.data[item.renderers[0].glyph.y?.field] ?? [0];
      const visible = !values.length || values.some(Number.isFinite);
      if (item.visible !== visible) item.visible = visible;
    }
  }
}

function column(buffer) {
  const bytes = new Uint8Array(buffer.buffer ?? buffer, buffer.byteOffset ?? 0, buffer.byteLength);
  return new Float64Array(bytes.slice().buffer);
}

const PATIENCE = 2000; // ms that a figure waits for its first rows, so that it is built with them

async function render({ model, el, signal }) {
  await listen(model);
  el.classList.add("cw-plot");
  const title = document.createElement("div");
  const room = document.createElement("div");
  const host = document.createElement("div");
  const empty = document.createElement("div");
  title.className = "cw-title";
  room.className = "cw-plot-room";
  host.className = "cw-plot-figure";
  empty.className = "cw-plot-empty";
  const headline = () => {
    const note = document.createElement("span");
    note.textContent = model.get("note");
    const named = Object.entries(model.get("key")).map(([name, colour]) => {
      const one = document.createElement("span");
      const dot = document.createElement("i");
      one.className = "cw-plot-key";
      dot.style.background = colour;
      one.append(dot, name);
      return one;
    });
    title.replaceChildren(model.get("title"), " ", note, ...named);
    title.hidden = !model.get("title");
  };
  headline();
  model.on("change:note", headline);
  signal.addEventListener("abort", () => model.off("change:note", headline));
  empty.textContent = "loading the plot…";
  room.append(host, empty);
  el.append(title, room);

  const loading = loadBokeh(model);
  loading.catch(() => {}); // it is said below, once there is somebody to read it
  await shown(host, signal);
  const early = []; // what comes before there is a figure for it
  let begin;
  const rows_come = new Promise((resolve) => (begin = resolve));
  const keep = (...said) => {
    early.push(said);
    if (said[0].type === "rows") begin();
  };
  model.on("msg:custom", keep);
  model.send({ type: "need" });
  let Bokeh, doc, view;
  const fail = (error) => (empty.textContent = `This plot cannot be drawn: ${error.message}.`);
  const next_one = await turn();
  try {
    Bokeh = await loading;
    await Promise.race([rows_come, new Promise((resolve) => setTimeout(resolve, PATIENCE))]);
    if (!signal.aborted) doc = Bokeh.require("document").Document.from_json(JSON.parse(model.get("_figure")).doc);
  } catch (error) {
    fail(error);
  }
  model.off("msg:custom", keep);
  if (!doc) {
    next_one();
    return;
  }
  const figure = doc.roots()[0];
  const source = doc.get_model_by_name(model.get("_source"));
  const numbers = model.get("_numbers");
  const texts = model.get("_texts");
  let epoch = -1;
  let next = 0; // number of the first row not yet here, counted over the whole epoch
  let selected = null;
  let ringed = new Set();
  const part = (name) => doc.get_model_by_name(name);

  const mark = () => {
    const row = selected === null ? -1 : source.data.id?.indexOf(selected) ?? -1;
    const old = source.selected.indices;
    if (row < 0 ? old.length : old[0] !== row) source.selected.indices = row < 0 ? [] : [row];
    const marks = part("marks")?.view.filter;
    if (!marks) return;
    const rows = [];
    if (ringed.size) source.data.id.forEach((id, i) => ringed.has(id) && rows.push(i));
    if (rows.length || marks.indices.length) marks.indices = rows;
    el.dataset.marked = rows.length;
  };
  const announce = () => {
    prune(figure, source);
    if (!view) return;
    const rows = source.get_length() ?? 0;
    el.dataset.rows = rows;
    empty.textContent = rows ? "" : model.get("empty");
    host.style.visibility = rows ? "" : "hidden";
  };
  const unpack = (message, buffers, from) => {
    const rows = {};
    numbers.forEach((name, i) => (rows[name] = column(buffers[i]).subarray(from)));
    texts.forEach((name) => (rows[name] = message.texts[name].slice(from)));
    return rows;
  };
  const receive = (message, buffers) => {
    if (message.type === "select") {
      selected = message.id;
      mark();
    }
    if (message.type === "mark") {
      ringed = new Set(message.ids);
      mark();
    }
    if (message.type === "view") figure.x_range.setv({ start: message.start, end: message.end });
    if (message.type === "limits") {
      part("below")?.setv({ visible: message.low !== null, top: message.low ?? 0 });
      part("above")?.setv({ visible: message.high !== null, bottom: message.high ?? 0 });
    }
    if (message.type !== "rows") return;
    const known = message.epoch === epoch && next >= message.first;
    if (!known && !message.all) {
      model.send({ type: "need" });
      return;
    }
    if (!known) {
      source.data = unpack(message, buffers, 0);
    } else {
      const from = next - message.first;
      if (from >= message.count) return;
      source.stream(unpack(message, buffers, from), message.keep ?? undefined);
    }
    epoch = message.epoch;
    next = message.first + message.count;
    mark();
    announce();
  };

  // All that is known is in a figure before it is built: each change after that is one more layout of it.
  for (const said of early) receive(...said);
  paint(figure, el);
  model.on("msg:custom", receive);
  model.on("change:empty", announce);
  signal.addEventListener("abort", () => {
    model.off("msg:custom", receive);
    model.off("change:empty", announce);
    const place = Bokeh.documents.indexOf(doc);
    if (place >= 0) Bokeh.documents.splice(place, 1);
    doc.clear();
  });
  if (matchMedia("(pointer: coarse)").matches) {
    // a finger that moves over a plot is to scroll the page
    for (const tool of figure.toolbar.tools) if (tool.event_types?.includes("pan")) tool.active = false;
  }
  try {
    view = (await Bokeh.embed.add_document_standalone(doc, host, [host])).roots[0];
  } catch (error) {
    fail(error);
  } finally {
    setTimeout(next_one); // after this one was painted
  }
  if (!view || signal.aborted) return;
  themed(figure, el, signal);
  doc.on_event("tap", (_, event) => {
    const row = nearest(view, figure, source, event.sx, event.sy);
    if (row >= 0 && source.data.id) model.send({ type: "tap", id: source.data.id[row] });
  });
  doc.on_event("doubletap", () => {
    view.reset();
    model.send({ type: "reset" });
  });
  doc.on_event("selectiongeometry", (_, { geometry: g, final }) => {
    if (!final || g.type !== "rect") return;
    const [x0, x1, y0, y1] = [Math.min(g.x0, g.x1), Math.max(g.x0, g.x1), Math.min(g.y0, g.y1), Math.max(g.y0, g.y1)];
    model.send({ type: "range", x0, x1, y0, y1 });
  });
  announce();
  if (epoch < 0) model.send({ type: "need" });
}

export default { render };
