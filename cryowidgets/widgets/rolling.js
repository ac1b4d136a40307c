// Rows of any number, of which only those on the screen exist: what tables and galleries have in common.

const SPARE = 10; // lines kept ready above and below

let views = 0;

// Where rows stand: what scrolls, the space that all would take, the body of those that are there, a word for none.
function scroller(kind) {
  const [scroll, space, body, empty] = Array.from({ length: 4 }, () => document.createElement("div"));
  scroll.className = "cw-scroll";
  body.className = kind;
  empty.className = "cw-table-empty";
  space.append(body);
  scroll.append(space, empty);
  return { scroll, space, body, empty };
}

// `across()` rows stand in a line of `height()` px; `cell(row)` makes one.
function rolling({ model, signal, scroll, body, space, across, height, cell, drawn }) {
  const name = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}-${views++}`;
  let known = { first: 0, total: 0, rows: [] };
  let asked = "";
  let selected = null;

  const screen = () => Math.max(1, Math.floor((scroll.clientHeight || 10 * height()) / height()));
  const ask = (always) => {
    const lines = Math.max(0, Math.floor(scroll.scrollTop / height()) - SPARE);
    const question = { first: lines * across(), count: (screen() + 2 + 2 * SPARE) * across() };
    if (!always && `${question.first}+${question.count}` === asked) return;
    asked = `${question.first}+${question.count}`;
    model.send({ type: "need", view: name, ...question });
  };
  const mark = (el, row) => {
    el.classList.toggle("cw-selected", row.id === selected);
    el.classList.toggle("cw-marked", Boolean(row.marked));
    if (!model.get("many")) return;
    el.setAttribute("role", "option");
    el.setAttribute("aria-selected", Boolean(row.marked) || row.id === selected);
  };
  const draw = () => {
    space.style.height = `${Math.ceil(known.total / across()) * height()}px`;
    body.style.transform = `translateY(${Math.floor(known.first / across()) * height()}px)`;
    body.replaceChildren(
      ...known.rows.map((row) => {
        const el = cell(row);
        el.dataset.id = row.id;
        el.title = row.hint;
        mark(el, row);
        return el;
      }),
    );
    drawn(known);
  };
  const reveal = (place) => {
    const top = Math.floor(place / across()) * height();
    if (top < scroll.scrollTop) scroll.scrollTop = top;
    else if (top + height() > scroll.scrollTop + scroll.clientHeight) {
      scroll.scrollTop = top + height() - scroll.clientHeight;
    }
  };
  const receive = (message) => {
    if (message.type === "rows" && message.view === name) {
      known = message;
      draw();
    } else if (message.type === "select") {
      selected = message.id;
      if (Number.isInteger(message.place)) reveal(message.place);
      known.rows.forEach((row, i) => body.children[i] && mark(body.children[i], row));
    }
  };
  const click = (event) => {
    const id = Number(event.target.closest("[data-id]")?.dataset.id);
    if (!id && id !== 0) return;
    const how = event.shiftKey ? "range" : event.ctrlKey || event.metaKey ? "toggle" : "";
    if (how && model.get("many")) model.send({ type: "pick", id, how });
    else model.send({ type: "tap", id });
  };
  const key = (event) => {
    if (!model.get("many")) return;
    const far = screen() * across();
    const whole = 2 ** 31;
    const steps = { ArrowDown: across(), ArrowUp: -across(), PageDown: far, PageUp: -far, Home: -whole, End: whole };
    if (across() > 1) Object.assign(steps, { ArrowRight: 1, ArrowLeft: -1 });
    if (event.key !== "Tab") event.stopPropagation(); // keys of a notebook mean other things
    if (event.key in steps) model.send({ type: "step", by: steps[event.key], extend: event.shiftKey });
    else if (event.key === " " && selected !== null) model.send({ type: "pick", id: selected, how: "toggle" });
    else if (event.key === "a" && (event.ctrlKey || event.metaKey)) model.send({ type: "all" });
    else if (event.key === "Escape") model.send({ type: "none" });
    else if (event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey) {
      model.send({ type: "key", key: event.key });
      return;
    } else return;
    event.preventDefault();
  };
  const watch = new ResizeObserver(() => {
    draw();
    ask(false);
  });

  scroll.tabIndex = 0;
  if (model.get("many")) {
    body.setAttribute("role", "listbox");
    body.setAttribute("aria-multiselectable", "true");
    body.setAttribute("aria-label", "arrow keys go on, with Shift they mark; Ctrl A marks all, Escape none");
  }
  model.on("msg:custom", receive);
  model.on("change:empty", draw);
  scroll.addEventListener("scroll", () => requestAnimationFrame(() => ask(false)), { passive: true });
  scroll.addEventListener("keydown", key);
  body.addEventListener("click", click);
  body.addEventListener("mousedown", (event) => event.shiftKey && event.preventDefault()); // no text is selected
  watch.observe(scroll);
  signal.addEventListener("abort", () => {
    watch.disconnect();
    model.off("msg:custom", receive);
    model.off("change:empty", draw);
    model.send({ type: "gone", view: name });
  });
  return { name, draw, ask, rows: () => known.rows };
}

