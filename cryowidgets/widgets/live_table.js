// A table of any length: only the rows on the screen exist, and Python is asked for them.

const HEIGHT = 26; // px of a row, as in style.css

function cell(text, column) {
  const td = document.createElement("div");
  td.className = `cw-cell cw-to-${column.align ?? "left"}`;
  td.textContent = text;
  return td;
}

async function render({ model, el, signal }) {
  await listen(model);
  el.classList.add("cw-table");
  const head = document.createElement("div");
  const { scroll, space, body, empty } = scroller("cw-body");
  head.className = "cw-row cw-head";
  el.append(head, scroll);

  let columns = [];
  const roll = rolling({
    model,
    signal,
    scroll,
    body,
    space,
    across: () => 1,
    height: () => HEIGHT,
    cell: (row) => {
      const tr = document.createElement("div");
      tr.className = `cw-row cw-is-${row.state}`;
      tr.append(...columns.map((c, i) => cell(row.cells[i], c)));
      for (const i of row.beyond ?? []) tr.children[i]?.classList.add("cw-beyond");
      return tr;
    },
    drawn: (known) => {
      empty.textContent = known.total ? "" : model.get("empty");
      el.dataset.rows = known.total;
    },
  });
  const heading = (column) => {
    const th = cell(column.unit ? `${column.label} ${column.unit}` : column.label, column);
    if (column.help) th.title = column.help;
    if (!column.key) return th;
    const order = model.get("order");
    const mine = order.key === column.key;
    th.tabIndex = 0;
    th.dataset.key = column.key;
    th.setAttribute("role", "columnheader");
    th.setAttribute("aria-sort", mine ? (order.descending ? "descending" : "ascending") : "none");
    return th;
  };
  const heads = () => {
    const focused = head.contains(document.activeElement) ? document.activeElement.dataset.key : "";
    head.replaceChildren(...columns.map(heading));
    if (focused) [...head.children].find((th) => th.dataset.key === focused)?.focus();
  };
  const layout = () => {
    columns = model.get("columns");
    el.style.setProperty("--cw-count", columns.length);
    el.style.setProperty("--cw-columns", columns.map((c) => c.width ?? "minmax(0, 1fr)").join(" "));
    heads();
    roll.draw();
  };
  const sort = (event) => {
    const key = event.target.closest("[data-key]")?.dataset.key;
    if (!key || (event.type === "keydown" && event.key !== "Enter" && event.key !== " ")) return;
    event.preventDefault();
    event.stopPropagation();
    model.send({ type: "sort", key });
  };

  head.addEventListener("click", sort);
  head.addEventListener("keydown", sort);
  model.on("change:columns", layout);
  model.on("change:order", heads);
  signal.addEventListener("abort", () => {
    model.off("change:columns", layout);
    model.off("change:order", heads);
  });
  layout();
  roll.ask(true);
}

export default { render };
