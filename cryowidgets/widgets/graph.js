// A workflow: cards for the steps, on top of links in SVG. Python says where the steps stand, in layers and places; how
// many px that is, and whether layers run to the right, in one row or in several, or down, depends on the room there is.

const FULL = { w: 186, h: 92 }; // px of a card
const LOW = { w: 142, h: 50 }; // where there is nothing to say of any step
const EDGE = 12; // px around all
const SCALES = [0.72, 1.2]; // smaller cannot be read: then one scrolls; larger only where there is room to fill
const [PHONE, NARROW] = [480, 146]; // px of a room in which cards may be narrower, and how much
const LEAST_ROW = 4; // layers: rows that are shorter are harder to follow than a way down
const SVG = "http://www.w3.org/2000/svg";

// A shape for each state, so that nobody has to tell colours apart.
const SHAPES = {
  saved: "M8 2.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 1 0 0-11zM8 4a4 4 0 1 1 0 8a4 4 0 1 1 0-8z",
  scheduled: "M8 2a6 6 0 1 0 0 12a6 6 0 1 0 0-12zM8 3.5a4.5 4.5 0 1 1 0 9a4.5 4.5 0 1 1 0-9zM7.3 5h1.4v2.9l2.2 1.5-.8 1.1-2.8-1.9z",
  running: "M4 2.5l9.5 5.5l-9.5 5.5z",
  finished: "M6.3 13L1.8 8.5l1.7-1.7l2.8 2.8l6.2-6.4l1.7 1.7z",
  failed: "M3.9 2.2L8 6.3l4.1-4.1l1.7 1.7L9.7 8l4.1 4.1l-1.7 1.7L8 9.7l-4.1 4.1l-1.7-1.7L6.3 8L2.2 3.9z",
  stopped: "M3 3h10v10h-10z",
  held: "M3.5 2.5h3v11h-3zM9.5 2.5h3v11h-3z",
  rejected: "M8 1.8a6.2 6.2 0 1 0 0 12.4a6.2 6.2 0 1 0 0-12.4zM4 7h8v2h-8z",
  outdated: "M8 2.4a5.6 5.6 0 0 1 4.8 2.7l1.4-.9v4.3l-3.9-1.8l1.2-.8a4 4 0 1 0 .4 3.3l1.6.4a5.6 5.6 0 1 1-5.5-7.2z",
  inert: "M2.5 7.2h3v1.6h-3zM6.5 7.2h3v1.6h-3zM10.5 7.2h3v1.6h-3z",
};
const SHAPE_OF = { waiting: "scheduled", done: "finished" };
const WORDS = { inert: "cannot run here", held: "held", "": "" };

function shape(state) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", "cw-shape");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", SHAPES[SHAPE_OF[state] ?? state] ?? "");
  path.setAttribute("fill-rule", "evenodd");
  svg.append(path);
  return svg;
}

function make(tag, name, text) {
  const made = document.createElement(tag);
  made.className = name;
  if (text !== undefined) made.textContent = text;
  return made;
}

const number = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, "\u202f");

// From a point to another, bent along the way of the layers.
function bent([x0, y0], [x1, y1], down) {
  const h = down ? (y1 - y0) / 2 : (x1 - x0) / 2;
  return down ? `C${x0} ${y0 + h} ${x1} ${y1 - h} ${x1} ${y1}` : `C${x0 + h} ${y0} ${x1 - h} ${y1} ${x1} ${y1}`;
}

async function render({ model, el, signal }) {
  await listen(model);
  el.classList.add("cw-graph");
  const scroll = make("div", "cw-graph-scroll");
  const room = make("div", "cw-graph-room");
  const sheet = make("div", "cw-graph-sheet");
  const lines = document.createElementNS(SVG, "svg");
  const empty = make("div", "cw-nothing");
  lines.setAttribute("class", "cw-links");
  lines.setAttribute("aria-hidden", "true");
  room.append(sheet);
  scroll.append(room, empty);
  el.append(scroll);

  const cards = new Map(); // name → {card, head, counts, reason}
  const marks = {};
  let drawn = "";
  let centres = {};
  const CARD = { ...FULL };

  const paint = (name) => {
    const parts = cards.get(name);
    const mark = marks[name];
    if (!parts || !mark) return;
    const word = WORDS[mark.state] ?? mark.state;
    parts.card.dataset.state = mark.state;
    parts.state.replaceChildren(...(mark.state ? [shape(mark.state), make("span", "", word)] : []));
    parts.counts.replaceChildren(
      ...mark.counts.map(([kind, count]) => {
        const chip = make("span", `cw-count cw-count-${kind}`);
        chip.dataset.kind = kind;
        chip.dataset.count = count;
        chip.title = `${number(count)} ${kind}`;
        chip.append(shape(kind), make("b", "", number(count)), ` ${kind}`);
        return chip;
      }),
    );
    parts.reason.textContent = mark.reason;
    const said = mark.counts.map(([kind, count]) => `${count} ${kind}`);
    parts.card.setAttribute("aria-label", [name, parts.protocol, word, mark.reason, ...said].filter(Boolean).join(", "));
    parts.card.title = [name, parts.label, parts.protocol, word, mark.reason].filter(Boolean).join("\n");
  };

  const build = () => {
    const plan = model.get("plan");
    const there = new Set((plan.steps ?? []).map((step) => step.name));
    for (const name of Object.keys(marks)) if (!there.has(name)) delete marks[name];
    cards.clear();
    sheet.replaceChildren(lines);
    for (const step of plan.steps ?? []) {
      const card = make("div", "cw-node");
      card.dataset.name = step.name;
      card.tabIndex = 0;
      card.setAttribute("role", "button");
      card.classList.toggle("cw-inert", step.inert);
      const state = make("span", "cw-node-state");
      const head = make("div", "cw-node-head");
      head.append(make("b", "", step.name), state);
      const counts = make("div", "cw-node-counts");
      const reason = make("div", "cw-node-reason");
      card.append(head, make("div", "cw-node-protocol", step.label || step.protocol), counts, reason);
      cards.set(step.name, { card, state, counts, reason, protocol: step.protocol, label: step.label });
      sheet.append(card);
      paint(step.name);
    }
    empty.textContent = plan.steps?.length ? "" : model.get("empty");
    el.dataset.steps = plan.steps?.length ?? 0;
    drawn = "";
    lay();
    mark();
  };

  const lay = () => {
    const plan = model.get("plan");
    const wide = el.clientWidth;
    const high = model.get("fill") ? el.clientHeight : Infinity;
    if (!plan.steps?.length || !wide) return;
    const said = Object.values(marks).some((m) => m.state || m.reason || m.counts.length);
    Object.assign(CARD, said ? FULL : LOW);
    const GAP = { across: [said ? 56 : 38, 10], rows: [said ? 44 : 34, 10], down: [14, 40] }; // px between cards
    const fit = ([w, h]) => Math.min(wide / w, high / h);
    // What can be read without rolling goes before what cannot; of the rest, what rolls downwards alone.
    const worth = ({ size: [w, h], liked }) => {
      if (fit([w, h]) >= SCALES[0]) return 1 + liked * Math.min(1, fit([w, h]));
      return Math.min(1, wide / w / SCALES[0]) / 2 + Math.min(1, high / h / SCALES[0]) / 10;
    };
    const inRows = (most) => {
      const rows = rowsOf(plan, most);
      const way = rows.length > 1 ? "rows" : "across";
      if (way === "rows" && Math.max(...rows.map(([first, last]) => last - first + 1)) < LEAST_ROW) return [];
      const liked = way === "rows" ? 1 - 0.03 * rows.length : 1.15;
      return { way, liked, card: CARD, ...rowsLaid(plan, rows, CARD, GAP[way], EDGE) };
    };
    // Links that go past cards may be farther out than they are.
    const below = (card) => {
      const column = card.w + GAP.down[0];
      const lines_ = plan.links.flatMap(({ through }) => through.map(([, place]) => place * column + card.w / 2));
      const cards_ = plan.breadth * column - GAP.down[0];
      const [west, east] = [Math.max(0, ...lines_.map((x) => 4 - x)), Math.max(0, ...lines_.map((x) => x + 4 - cards_))];
      return {
        way: "down",
        liked: high < Infinity ? 0.95 : 0.5,
        card,
        size: [cards_ + west + east + 2 * EDGE, plan.layers * (card.h + GAP.down[1]) - GAP.down[1] + 2 * EDGE],
        corner: ([layer, place]) => [EDGE + west + place * column, EDGE + layer * (card.h + GAP.down[1])],
        folds: () => false,
      };
    };
    const options = [inRows(plan.layers), below(CARD)];
    if (wide < PHONE) options.push(below({ ...CARD, w: Math.min(CARD.w, NARROW) }));
    for (let most = plan.layers - 1; most >= LEAST_ROW; most--) options.push(inRows(most));
    const laid = options.flat().reduce((best, one) => (worth(one) > worth(best) + 1e-6 ? one : best));
    const { card, corner, size: [w, h] } = laid;
    const down = laid.way === "down";
    const scale = Math.max(SCALES[0], Math.min(high < Infinity ? SCALES[1] : 1, fit([w, h])));
    const now = [laid.way, w, h, scale.toFixed(3), wide, high, card.h].join(" ");
    if (now === drawn) return;
    drawn = now;
    const ends = (at, first) => {
      const [x, y] = corner(at);
      if (down) return [x + card.w / 2, first ? y + card.h : y];
      return [first ? x + card.w : x, y + card.h / 2];
    };
    const places = {};
    centres = {};
    for (const step of plan.steps) {
      const [x, y] = corner(step.at);
      places[step.name] = step.at;
      centres[step.name] = [x + card.w / 2, y + card.h / 2];
      Object.assign(cards.get(step.name).card.style, {
        left: `${x}px`, top: `${y}px`, width: `${card.w}px`, height: `${card.h}px`,
      });
    }
    // The inputs of a step come in beside each other, in the order of where they come from.
    const arrivals = {};
    for (const link of plan.links) (arrivals[link.target] ??= []).push(link);
    const from = (link) => (link.through.at(-1) ?? places[link.source])[1];
    for (const list of Object.values(arrivals)) list.sort((a, b) => from(a) - from(b));
    const arrow = `<marker id="ARROW" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto"
      markerUnits="userSpaceOnUse"><path d="M0 0.5L8 4L0 7.5z"/></marker>`;
    const id = `cw-arrow-${Math.random().toString(36).slice(2)}`;
    lines.innerHTML = `<defs>${arrow.replace("ARROW", id)}</defs>`;
    lines.setAttribute("width", w);
    lines.setAttribute("height", h);
    for (const link of plan.links) {
      const list = arrivals[link.target];
      const aside = (list.indexOf(link) - (list.length - 1) / 2) * 14;
      const end = ends(places[link.target], false);
      end[down ? 0 : 1] += aside;
      const stops = [places[link.source], ...link.through, places[link.target]];
      let d = `M${ends(stops[0], true).join(" ")}`;
      for (let i = 1; i < stops.length; i++) {
        const [from_, to] = [ends(stops[i - 1], true), i < stops.length - 1 ? ends(stops[i], false) : end];
        if (i > 1) d += `L${from_.join(" ")}`; // through the layer that it passes
        d += laid.folds(stops[i - 1], stops[i]) ? laid.over(link, stops[i - 1], stops[i], from_, to) : bent(from_, to, down);
      }
      const path = document.createElementNS(SVG, "path");
      path.setAttribute("d", d);
      path.setAttribute("class", `cw-link cw-link-${link.kind}`);
      path.setAttribute("marker-end", `url(#${id})`);
      path.dataset.from = link.source;
      path.dataset.to = link.target;
      lines.append(path);
    }
    Object.assign(sheet.style, { width: `${w}px`, height: `${h}px`, transform: `scale(${scale})` });
    Object.assign(room.style, { width: `${w * scale}px`, height: `${h * scale}px` });
    el.dataset.scale = scale.toFixed(2);
    el.dataset.way = laid.way;
    el.classList.toggle("cw-graph-narrow", card.w < Math.min(FULL.w, CARD.w));
  };

  const mark = () => {
    const selected = model.get("selected");
    for (const [name, { card }] of cards) {
      card.classList.toggle("cw-chosen", name === selected);
      card.setAttribute("aria-pressed", name === selected);
    }
  };
  const receive = (message) => {
    if (message.type !== "marks") return;
    for (const [name, mark] of Object.entries(message.marks)) {
      marks[name] = mark;
      paint(name);
    }
    lay();
  };
  const tap = (event) => {
    const name = event.target.closest?.(".cw-node")?.dataset.name;
    if (name) model.send({ type: "tap", name });
  };
  // Arrows go to the nearest step in their direction.
  const ways = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };
  const key = (event) => {
    const card = event.target.closest?.(".cw-node");
    if (!card) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      tap(event);
    } else if (ways[event.key]) {
      event.preventDefault();
      const [dx, dy] = ways[event.key];
      const [x0, y0] = centres[card.dataset.name];
      let best = null;
      for (const [name, [x, y]] of Object.entries(centres)) {
        const ahead = (x - x0) * dx + (y - y0) * dy;
        const aside = Math.abs((x - x0) * dy) + Math.abs((y - y0) * dx);
        if (ahead > 1 && (!best || ahead + 2 * aside < best.far)) best = { name, far: ahead + 2 * aside };
      }
      if (best) cards.get(best.name).card.focus();
    }
    event.stopPropagation(); // keys of a notebook mean other things
  };

  model.on("msg:custom", receive);
  model.on("change:plan", build);
  model.on("change:empty", build);
  model.on("change:selected", mark);
  sheet.addEventListener("click", tap);
  sheet.addEventListener("keydown", key);
  const watch = new ResizeObserver(lay);
  watch.observe(el);
  signal.addEventListener("abort", () => {
    watch.disconnect();
    model.off("msg:custom", receive);
    model.off("change:plan", build);
    model.off("change:empty", build);
    model.off("change:selected", mark);
  });
  build();
  model.send({ type: "need" });
}

export default { render };
