// Pictures of any number in a grid: only those on the screen exist. Rows come as those of a table do; pictures are asked
// for by the name that a row gives them, and kept for a while.

const KEEP = 600; // pictures that are kept
const CAPTION = 40; // px below it, as in style.css

async function render({ model, el, signal }) {
  await listen(model);
  el.classList.add("cw-gallery");
  const { scroll, space, body, empty } = scroller("cw-gallery-body");
  el.append(scroll);

  const pictures = new Map(); // address of each by its name; empty where there is none
  let waited = new Set();
  const wide = () => scroll.clientWidth || 2 * model.get("width");
  const across = () => Math.max(1, Math.min(Math.floor(wide() / model.get("width")), model.get("most") || Infinity));
  const side = () => wide() / across();
  const height = () => Math.round(side() * model.get("aspect")) + CAPTION;

  const frame = (room, name) => {
    const address = pictures.get(name);
    if (address) {
      const image = document.createElement("img");
      image.src = address;
      image.alt = "";
      image.draggable = false;
      room.replaceChildren(image);
    } else {
      room.textContent = !name ? "no picture" : pictures.has(name) ? "picture is gone" : "";
    }
  };
  const want = (known) => {
    const names = new Map(known.rows.filter((r) => r.image && !pictures.has(r.image)).map((r) => [r.id, r.image]));
    const fresh = [...names].filter(([, name]) => !waited.has(name));
    if (!fresh.length) return;
    waited = new Set([...names.values()]);
    model.send({ type: "pictures", ids: fresh.map(([id]) => id) });
  };
  const roll = rolling({
    model,
    signal,
    scroll,
    body,
    space,
    across,
    height,
    cell: (row) => {
      const one = document.createElement("div");
      const room = document.createElement("div");
      const caption = document.createElement("div");
      one.className = `cw-gallery-one cw-is-${row.state}`;
      room.className = "cw-gallery-room";
      caption.className = "cw-gallery-caption";
      one.setAttribute("aria-label", `${row.cells.join(", ")}`);
      one.dataset.image = row.image ?? "";
      frame(room, row.image);
      caption.append(
        ...row.cells.map((text) => {
          const line = document.createElement("div");
          line.textContent = text;
          return line;
        }),
      );
      one.append(room, caption);
      return one;
    },
    drawn: (known) => {
      body.style.gridTemplateColumns = `repeat(${across()}, minmax(0, 1fr))`;
      body.style.gridAutoRows = `${height()}px`;
      empty.textContent = known.total ? "" : model.get("empty");
      el.dataset.rows = known.total;
      want(known);
    },
  });
  const receive = (message, buffers) => {
    if (message.type !== "pictures") return;
    message.names.forEach((name, i) => {
      waited.delete(name);
      if (pictures.has(name)) return;
      const bytes = buffers[i].byteLength ? new Blob([buffers[i]], { type: "image/jpeg" }) : null;
      pictures.set(name, bytes ? URL.createObjectURL(bytes) : "");
    });
    for (const [name, address] of pictures) {
      if (pictures.size <= KEEP) break;
      URL.revokeObjectURL(address);
      pictures.delete(name);
    }
    const came = new Set(message.names);
    for (const one of body.children) {
      if (came.has(one.dataset.image)) frame(one.firstChild, one.dataset.image);
    }
  };
  model.on("msg:custom", receive);
  model.on("change:aspect", roll.draw);
  signal.addEventListener("abort", () => {
    model.off("msg:custom", receive);
    model.off("change:aspect", roll.draw);
    for (const address of pictures.values()) URL.revokeObjectURL(address);
  });
  roll.ask(true);
}

export default { render };
