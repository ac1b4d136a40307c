// What is listed: words to switch on and off with how many there are, and ranges of numbers over their histograms.
async function render({ model, el, signal }) {
  await listen(model);
  el.classList.add("cw-ex-filters");
  const line = document.createElement("div");
  const second = document.createElement("div");
  const open = document.createElement("div");
  line.className = second.className = "cw-ex-chips";
  open.className = "cw-ex-range";
  el.append(line, second, open);
  let slide = null;
  let slides = "";

  const group = (label, parts) => {
    const made = document.createElement("span");
    made.className = "cw-ex-group";
    made.setAttribute("role", "group");
    made.setAttribute("aria-label", label);
    made.append(...parts);
    return made;
  };
  const say = (message) => (el_) => {
    el_.setAttribute("aria-checked", el_.getAttribute("aria-checked") !== "true");
    model.send(message);
  };
  const plain = (text, className) => {
    const made = document.createElement("span");
    made.className = className;
    made.textContent = text;
    return made;
  };
  const svg = (counts, inside) => {
    const ns = "http://www.w3.org/2000/svg";
    const made = document.createElementNS(ns, "svg");
    const most = Math.max(1, ...counts);
    made.setAttribute("viewBox", `0 0 ${counts.length} 30`);
    made.setAttribute("preserveAspectRatio", "none");
    counts.forEach((n, i) => {
      if (!n) return;
      const bar = document.createElementNS(ns, "rect");
      const h = Math.max(1, 30 * Math.sqrt(n / most));
      for (const [k, v] of Object.entries({ x: i + 0.05, y: 30 - h, width: 0.9, height: h })) bar.setAttribute(k, v);
      bar.classList.toggle("cw-ex-out", !inside(i));
      made.append(bar);
    });
    return made;
  };
  const ranges = () => {
    const wide = model.get("opened");
    if (!wide.key) {
      slide = null;
      slides = "";
      open.replaceChildren();
      return;
    }
    const place = (v, otherwise) =>
      v === null ? otherwise : Math.min(1, Math.max(0, (v - wide.low) / (wide.high - wide.low)));
    const value = (at) => wide.low + at * (wide.high - wide.low);
    const words = (v) => (v * wide.factor).toFixed(wide.digits).replace("-", "−");
    const at = [place(wide.from, 0), place(wide.to, 1)];
    const inside = (i) => (i + 0.5) / wide.counts.length >= at[0] && (i + 0.5) / wide.counts.length <= at[1];
    const text = () =>
      wide.from === null && wide.to === null
        ? `${words(wide.low)} – ${words(wide.high)} ${wide.unit}: all`
        : `${wide.from === null ? "" : `${words(wide.from)} ≤ `}${wide.label}${wide.to === null ? "" : ` ≤ ${words(wide.to)}`} ${wide.unit}`;
    if (slide && slides === wide.key && slide.held()) {
      // it is being moved: only what lies beside it is drawn anew
      open.querySelector("svg").replaceWith(svg(wide.counts, inside));
      open.querySelector(".cw-ex-range-text").textContent = text();
      return;
    }
    slides = wide.key;
    slide = range({
      label: wide.label,
      at,
      say: (i, place_) => `${words(value(place_))} ${wide.unit}`,
      changed: (now) => {
        const [from, to] = [now[0] <= 0 ? null : value(now[0]), now[1] >= 1 ? null : value(now[1])];
        model.send({ type: "range", key: wide.key, from, to });
      },
    });
    const room = document.createElement("span");
    room.className = "cw-ex-histogram";
    room.append(svg(wide.counts, inside), slide.el);
    open.replaceChildren(room, plain(text(), "cw-ex-range-text"));
  };
  const draw = () => {
    const focused = el.contains(document.activeElement) ? document.activeElement.dataset.name : "";
    const named = (parts) => parts.map(([name, made]) => ((made.dataset.name = name), made));
    const counts = model.get("counts");
    const states = counts.filter((c) => c.what === "state");
    const marks = counts.filter((c) => c.what === "mark");
    const made = (c) => [
      c.name,
      chip(`${c.label} ${c.n.toLocaleString("en").replaceAll(",", "\u202f")}`, c.on, say({ type: "toggle", what: c.what, name: c.name }), c.help),
    ];
    const bar = plain("", "cw-ex-bar");
    const count = plain(model.get("said"), "cw-ex-said-count");
    line.replaceChildren(group("state", named(states.map(made))), bar, group("marks", named(marks.map(made))), count);
    const numbers = model.get("numbers").map((n) => {
      const one = chip(n.said || n.label, Boolean(n.said), () => model.send({ type: "open", key: n.key }), n.help);
      one.setAttribute("aria-expanded", n.key === model.get("opened").key);
      return [n.key, one];
    });
    const parts = [plain("range of", "cw-soft"), group("ranges", named(numbers))];
    if (model.get("rest")) {
      const more = model.get("rest") > 0;
      parts.push(...named([["more", chip(more ? "more…" : "fewer", false, () => model.send({ type: "more" }), "other numbers")]]));
    }
    const some = counts.some((c) => c.on) || model.get("numbers").some((n) => n.said) || model.get("text");
    if (some) parts.push(...named([["clear", chip("show all", false, () => model.send({ type: "clear" }), "take away all of these filters")]]));
    second.replaceChildren(...parts);
    if (focused) [...el.querySelectorAll("[data-name]")].find((e) => e.dataset.name === focused)?.focus();
    ranges();
  };
  let due = 0;
  const later = () => (due ||= requestAnimationFrame(() => ((due = 0), draw())));
  const watched = ["counts", "numbers", "opened", "rest", "said", "text"].map((name) => `change:${name}`);
  watched.forEach((name) => model.on(name, later));
  signal.addEventListener("abort", () => watched.forEach((name) => model.off(name, later)));
  draw();
}

export default { render };
