// A table of any length: only the rows on the screen exist, and Python is asked for them.

const HEIGHT = 26; // px of a row, as in style.css
const SPARE = 20; // rows kept ready above and below

let views = 0;

function cell(text, column) {
  const td = document.createElement("div");
  td.className = `cw-cell cw-to-${column.align ?? "left"}`;
  td.textContent = text;
  return td;
}

async function render({ model, el, signal }) {
  await listen(model);
  el.classList.add("cw-table");
  const name = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}-${views++}`;
  const head = document.createElement("div");
  const scroll = document.createElement("div");
  const space = document.createElement("div");
  const body = document.createElement("div");
  const empty = document.createElement("div");
  head.className = "cw-row cw-head";
  scroll.className = "cw-scroll";
  scroll.tabIndex = 0;
  body.className = "cw-body";
  empty.className = "cw-table-empty";
  space.append(body);
  scroll.append(space, empty);
  el.append(head, scroll);

  let columns = [];
  let known = { first: 0, total: 0, rows: [] };
  let asked = "";
  let selected = null;

  const layout = () => {
    columns = model.get("columns");
    el.style.setProperty("--cw-count", columns.length);
    el.style.setProperty("--cw-columns", columns.map((c) => c.width ?? "minmax(0, 1fr)").join(" "));
    head.replaceChildren(...columns.map((c) => cell(c.unit ? `${c.label} ${c.unit}` : c.label, c)));
    draw();
  };
  const window_ = () => {
    const first = Math.max(0, Math.floor(scroll.scrollTop / HEIGHT) - SPARE);
    const count = Math.ceil((scroll.clientHeight || 10 * HEIGHT) / HEIGHT) + 2 * SPARE;
    return { first, count };
  };
  const ask = (always) => {
    const { first, count } = window_();
    const question = `${first}+${count}`;
    if (!always && question === asked) return;
    asked = question;
    model.send({ type: "need", view: name, first, count });
  };
  const draw = () => {
    space.style.height = `${known.total * HEIGHT}px`;
    body.style.transform = `translateY(${known.first * HEIGHT}px)`;
    body.replaceChildren(
      ...known.rows.map((row) => {
        const tr = document.createElement("div");
        tr.className = `cw-row cw-is-${row.state}`;
        tr.dataset.id = row.id;
        if (row.id === selected) tr.classList.add("cw-selected");
        tr.title = row.hint;
        tr.append(...columns.map((c, i) => cell(row.cells[i], c)));
        return tr;
      }),
    );
    empty.textContent = known.total ? "" : model.get("empty");
    el.dataset.rows = known.total;
  };
  const receive = (message) => {
    if (message.type === "rows" && message.view === name) {
      known = message;
      draw();
    } else if (message.type === "select") {
      selected = message.id;
      draw();
    }
  };

  model.on("msg:custom", receive);
  model.on("change:columns", layout);
  model.on("change:empty", draw);
  scroll.addEventListener("scroll", () => requestAnimationFrame(() => ask(false)), { passive: true });
  body.addEventListener("click", (event) => {
    const id = event.target.closest(".cw-row")?.dataset.id;
    if (id) model.send({ type: "tap", id: Number(id) });
  });
  const watch = new ResizeObserver(() => ask(false));
  watch.observe(scroll);
  signal.addEventListener("abort", () => {
    watch.disconnect();
    model.off("msg:custom", receive);
    model.off("change:columns", layout);
    model.off("change:empty", draw);
    model.send({ type: "gone", view: name });
  });
  layout();
  ask(true);
}

export default { render };
