// A histogram with handles that bound it. `moved(low, high, done)` hears of each place a handle is taken to; who is
// to be told of it, and when, is up to whoever made it.
const SVG = "http://www.w3.org/2000/svg";
const EDGE = 9; // px beside the outermost bins, so that a handle there can be taken
const ARROWS = { low: "M0,-6 L7,0 L0,6 Z", high: "M0,-6 L-7,0 L0,6 Z" };

function make(name, attributes, parent) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  parent?.append(made);
  return made;
}

// `sides` are those that have a handle, `fields` whether numbers are typed beside it. What `show` is told is kept:
// label, unit, digits, edges (n + 1), counts (n), low, high (null where open), note.
function bounds({ el, signal, moved, sides = ["low", "high"], fields: typed = false }) {
  el.classList.add("cw-histogram");
  const svg = make("svg", { role: sides.length ? "group" : "img" });
  const bars = make("g", {}, svg);
  const ticks = make("g", { class: "cw-ticks" }, svg);
  const line = document.createElement("div");
  line.className = "cw-histogram-line";
  el.append(svg, line);
  const handles = {};
  const fields = {};
  for (const side of sides) {
    const handle = make("g", { role: "slider", tabindex: 0, class: "cw-handle", "data-side": side }, svg);
    make("rect", { x: -12, width: 24, class: "cw-handle-room" }, handle);
    make("line", { x1: 0, x2: 0 }, handle);
    make("path", { d: ARROWS[side] }, handle);
    handles[side] = handle;
    const label = document.createElement("label");
    label.textContent = side === "low" ? "≥ " : "≤ ";
    fields[side] = document.createElement(typed ? "input" : "span");
    fields[side].className = "cw-bound";
    if (typed) fields[side].inputMode = "decimal";
    label.append(fields[side]);
    line.append(label);
  }
  const unit = document.createElement("span");
  const note = document.createElement("span");
  note.className = "cw-histogram-note";
  line.append(unit, note);

  let size = [0, 0];
  let drag = null; // the side that is dragged
  let shown = { label: "", unit: "", digits: 0, edges: [], counts: [], low: null, high: null, note: "" };

  const first = () => shown.edges[0] ?? 0;
  const last = () => shown.edges.at(-1) ?? 1;
  const toX = (v) => EDGE + ((v - first()) / (last() - first() || 1)) * (size[0] - 2 * EDGE);
  const toValue = (x) => first() + ((x - EDGE) / (size[0] - 2 * EDGE)) * (last() - first());
  const text = (v) => v.toFixed(shown.digits).replace("-", "−");

  const draw = () => {
    const [w, h] = size;
    const { edges, counts, low, high, label } = shown;
    if (!w || !edges.length) return;
    const floor = h - 15;
    const most = Math.max(1, ...counts);
    svg.setAttribute("viewBox", `0 0 ${w} ${h}`);
    svg.setAttribute("aria-label", `Histogram of ${label}`);
    bars.replaceChildren(
      ...counts.map((count, i) => {
        const [a, b] = [toX(edges[i]), toX(edges[i + 1])];
        const middle = (edges[i] + edges[i + 1]) / 2;
        const out = (low !== null && middle < low) || (high !== null && middle > high);
        const height = count ? Math.max(1.5, (count / most) * (floor - 4)) : 0;
        return make("rect", {
          x: a, y: floor - height, width: Math.max(0.5, b - a - 0.5), height, class: out ? "cw-out" : "cw-in",
        });
      }),
    );
    const places = [first(), (first() + last()) / 2, last()];
    ticks.replaceChildren(
      make("line", { x1: EDGE, x2: w - EDGE, y1: floor, y2: floor }),
      ...places.map((v, i) => {
        const made = make("text", { x: [2, w / 2, w - 2][i], y: h - 3, "text-anchor": ["start", "middle", "end"][i] });
        made.textContent = text(v);
        return made;
      }),
    );
    for (const [side, handle] of Object.entries(handles)) {
      const v = shown[side];
      const end = side === "low" ? first() : last();
      const at = Math.min(Math.max(v ?? end, first()), last());
      handle.setAttribute("transform", `translate(${toX(at)},0)`);
      handle.children[0].setAttribute("height", floor);
      handle.children[1].setAttribute("y2", floor);
      handle.children[2].setAttribute("transform", `translate(0,${floor / 2})`);
      handle.classList.toggle("cw-open", v === null);
      const name = `${side === "low" ? "least" : "largest"} ${label}`;
      const said = v === null ? "open" : `${text(v)} ${shown.unit}`.trim();
      const facts = { label: name, valuemin: first(), valuemax: last(), valuenow: at, valuetext: said };
      for (const [key, fact] of Object.entries(facts)) handle.setAttribute(`aria-${key}`, fact);
      fields[side].setAttribute("aria-label", name);
      if (!typed) fields[side].textContent = v === null ? "any" : text(v);
      else if (document.activeElement !== fields[side]) {
        fields[side].value = v === null ? "" : text(v).replace("−", "-");
        fields[side].placeholder = "any";
      }
    }
    unit.textContent = shown.unit;
    note.textContent = shown.note;
  };
  const show = (facts) => {
    shown = { ...shown, ...facts };
    draw();
  };

  const move = (side, v, done) => {
    const other = shown[side === "low" ? "high" : "low"];
    const end = side === "low" ? first() : last();
    if (v !== null && other !== null) v = side === "low" ? Math.min(v, other) : Math.max(v, other);
    if (v !== null && !fields[side].matches(":focus") && (side === "low" ? v <= end : v >= end)) v = null;
    show({ [side]: v });
    moved(shown.low, shown.high, done);
  };
  svg.addEventListener("pointerdown", (event) => {
    const handle = event.target.closest(".cw-handle");
    if (!handle) return;
    drag = handle.dataset.side;
    svg.setPointerCapture(event.pointerId);
    handle.focus();
    event.preventDefault();
  });
  svg.addEventListener("pointermove", (event) => {
    if (drag) move(drag, toValue(event.clientX - svg.getBoundingClientRect().left), false);
  });
  const drop = () => {
    if (!drag) return;
    drag = null;
    moved(shown.low, shown.high, true);
  };
  svg.addEventListener("pointerup", drop);
  svg.addEventListener("pointercancel", drop);
  svg.addEventListener("keydown", (event) => {
    const side = event.target.dataset?.side;
    if (!side) return;
    const span = last() - first();
    const step = { ArrowRight: 0.01, ArrowUp: 0.01, ArrowLeft: -0.01, ArrowDown: -0.01, PageUp: 0.1, PageDown: -0.1 }[event.key];
    const end = side === "low" ? first() : last();
    if (step) move(side, Math.min(Math.max((shown[side] ?? end) + step * span, first()), last()), true);
    else if (event.key === "Home" || event.key === "End") move(side, event.key === "Home" ? first() : last(), true);
    else if (event.key === "Delete" || event.key === "Backspace") move(side, null, true);
    else if (event.key !== "Tab") return event.stopPropagation();
    else return;
    event.preventDefault();
    event.stopPropagation(); // keys of a notebook mean other things
  });
  for (const [side, field] of Object.entries(fields)) {
    if (!typed) continue;
    field.addEventListener("change", () => {
      const written = field.value.trim().replace("−", "-").replace(",", ".");
      const v = written === "" ? null : Number(written);
      const other = shown[side === "low" ? "high" : "low"];
      const wrong = v !== null && (!Number.isFinite(v) || (other !== null && (side === "low" ? v > other : v < other)));
      field.classList.toggle("cw-wrong-bound", wrong);
      field.setAttribute("aria-invalid", wrong);
      if (wrong) return;
      show({ [side]: v });
      moved(shown.low, shown.high, true);
    });
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter") field.blur();
      event.stopPropagation();
    });
  }
  const watch = new ResizeObserver(() => {
    size = [svg.clientWidth, svg.clientHeight];
    draw();
  });
  watch.observe(svg);
  signal.addEventListener("abort", () => watch.disconnect());
  return { show, held: () => drag !== null };
}

