// A list of files; a click has one of them sent, piece by piece, and saved.
const PAUSE = 180; // ms between two pieces: servers of Jupyter drop what is faster than 1 MB/s

const words = (bytes) => {
  const units = ["B", "kB", "MB"];
  let k = 0;
  while (bytes >= 999.5 && k < units.length - 1) [bytes, k] = [bytes / 1000, k + 1];
  return `${bytes < 100 && k ? bytes.toPrecision(3) : Math.round(bytes)} ${units[k]}`;
};

async function render({ model, el, signal }) {
  await listen(model);
  const view = crypto.randomUUID?.() ?? String(Math.random());
  const coming = new Map(); // name -> what has come of a file
  const notes = new Map(); // name -> what went wrong
  el.classList.add("cw-downloads");
  const made = (tag, text, kind) => {
    const node = document.createElement(tag);
    node.textContent = text;
    if (kind) node.className = kind;
    return node;
  };
  const draw = () => {
    const files = model.get("files");
    el.dataset.files = files.map((file) => file.name).join(" ");
    if (!files.length) return el.replaceChildren(made("p", model.get("empty"), "cw-soft"));
    const focused = document.activeElement?.dataset?.name;
    el.replaceChildren(
      ...files.map((file) => {
        const row = made("div", "", "cw-download");
        const button = made("button", "Download");
        button.dataset.name = file.name;
        button.disabled = coming.has(file.name) || !file.fits;
        button.setAttribute("aria-label", `Download ${file.label}`);
        if (coming.has(file.name)) {
          const part = coming.get(file.name);
          button.textContent = `${Math.floor((100 * part.at) / Math.max(1, part.file.size))} %`;
        }
        button.addEventListener("click", () => begin(file));
        const about = `${file.name}, ${words(file.size)}, written ${file.time}`;
        row.append(made("b", file.label), made("span", about, "cw-soft"), button);
        const note = notes.get(file.name) ?? (file.fits ? "" : "too large for this way; fetch it from the project's folder");
        if (note) row.append(made("p", note, "cw-soft"));
        return row;
      }),
    );
    if (focused) el.querySelector(`[data-name="${CSS.escape(focused)}"]`)?.focus();
  };
  const ask = (name) => {
    const { file, at } = coming.get(name);
    model.send({ type: "piece", name, view, at, version: file.version });
  };
  const begin = (file) => {
    notes.delete(file.name);
    coming.set(file.name, { file, at: 0, pieces: [] });
    ask(file.name);
    draw();
  };
  const save = ({ file, pieces }) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(pieces, { type: "application/octet-stream" }));
    link.download = file.name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  };
  const receive = (message, buffers) => {
    const part = coming.get(message.name);
    if (message.view !== view || !part) return;
    if (message.type === "piece" && message.at === part.at) {
      const bytes = buffers[0].byteLength;
      part.pieces.push(buffers[0]);
      part.at += bytes;
      if (part.at >= part.file.size || !bytes) {
        coming.delete(message.name);
        save(part);
      } else setTimeout(() => coming.has(message.name) && !signal.aborted && ask(message.name), PAUSE);
    } else if (message.type === "gone") {
      coming.delete(message.name);
      notes.set(message.name, "It has been written anew meanwhile: try again.");
    }
    draw();
  };
  model.on("change:files", draw);
  model.on("msg:custom", receive);
  signal.addEventListener("abort", () => {
    model.off("change:files", draw);
    model.off("msg:custom", receive);
  });
  draw();
}

export default { render };
