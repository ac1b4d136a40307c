// A map as a surface to be turned and as three slices. The level of the surface is drawn into the slices as well.

const FULL = 460; // pixels along an edge of the surface at rest
const QUICK = [110, 230]; // the same while it moves: as many as this computer draws in the time below
const PACE = [25, 70]; // ms
const REST = 160; // ms without a movement before it is drawn in full
const WAYS = { z: [1, 2, 0], y: [0, 2, 1], x: [0, 1, 2] }; // of a slice: across, down, through, as axes x, y, z
const DALTONS = 1 / 1.21; // of protein in an Å³ (Harpaz et al. 1994, doi:10.1016/S0969-2126(00)00065-4)

async function render({ model, el, signal }) {
  await listen(model);
  el.classList.add("cw-mp-view");
  const make = (tag, className, parent) => {
    const part = document.createElement(tag);
    part.className = className;
    parent.append(part);
    return part;
  };
  const left = make("div", "cw-mp-left", el);
  const room = make("div", "cw-mp-room", left);
  const canvas = make("canvas", "", room);
  const word = make("div", "cw-ex-word", room);
  const note = make("div", "cw-mp-note", room);
  const legend = make("div", "cw-mp-legend", room);
  const tools = make("div", "cw-ex-tools", left);
  const slices = make("div", "cw-mp-slices", el);
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "img");
  const context = canvas.getContext("2d");

  let map = null;
  let level = 0; // in the whole numbers of the map
  let turn = start();
  let zoom = 1;
  let mirrored = false;
  let worn = -1; // which of the coats it wears
  let drag = null;
  let timer = 0;
  let due = 0;
  let picture = null;
  let quick = QUICK[1];
  const at = { x: 0.5, y: 0.5, z: 0.5 };

  function start() {
    let rows = [[1, 0, 0], [0, 1, 0], [0, 0, 1]];
    rows = turned(rows, 1, 0.5);
    return turned(rows, 0, 0.45);
  }

  // The surface -----------------------------------------------------------------------------------------------------

  const draw = (side) => {
    due = 0;
    if (!map || !room.clientWidth) return;
    const ratio = Math.min(2, window.devicePixelRatio || 1);
    const [w, h] = [room.clientWidth, room.clientHeight];
    const short = Math.min(w, h);
    const pixels = Math.max(32, Math.min(side, Math.round(short * ratio)));
    if (picture?.width !== pixels) picture = new ImageData(pixels, pixels);
    const rows = mirrored ? turn.map(([x, y, z]) => [-x, y, z]) : turn;
    const coat = map.coats[worn];
    const scale = (2.1 * map.reach) / (pixels * zoom);
    const begun = performance.now();
    const seen = cast(map, { turn: rows, scale }, level, picture, coat?.values, coat?.ramp);
    const took = performance.now() - begun;
    el.dataset.took = Math.round(took);
    if (side === quick) quick = Math.round(Math.min(QUICK[1], Math.max(QUICK[0], quick * (took > PACE[1] ? 0.8 : took < PACE[0] ? 1.15 : 1))));
    const small = document.createElement("canvas");
    small.width = small.height = pixels;
    small.getContext("2d").putImageData(picture, 0, 0);
    [canvas.width, canvas.height] = [Math.round(w * ratio), Math.round(h * ratio)];
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.imageSmoothingQuality = "high";
    context.drawImage(small, (w - short) / 2, (h - short) / 2, short, short);
    if (map.pixel) {
      const voxels = short / (scale * pixels); // screen px of a voxel
      bar(context, { pixel: map.pixel, width: 1e9, height: 1e9 }, { scale: voxels, left: 0, top: 0, width: w, height: h });
    }
    el.dataset.seen = Math.round((1000 * seen) / (pixels * pixels));
    el.dataset.turn = turn.flat().map((v) => v.toFixed(2)).join(" ");
  };
  const soon = () => {
    due ||= requestAnimationFrame(() => draw(quick));
    clearTimeout(timer);
    timer = setTimeout(() => draw(FULL), REST);
  };
  const spin = (right, down) => {
    turn = turned(turned(turn, 1, right), 0, -down);
    soon();
  };
  const closer = (factor) => {
    zoom = Math.min(6, Math.max(0.7, zoom * factor));
    soon();
  };

  // Slices ----------------------------------------------------------------------------------------------------------

  const planes = {};
  const slice = (name) => {
    if (!map) return;
    const { n, data } = map;
    const [across, down, through] = WAYS[name];
    const strides = [1, n, n * n];
    const [a, b, c] = [strides[across], strides[down], strides[through]];
    const place = Math.round(at[name] * (n - 1)) * c;
    const wide = Math.min(n, 2 * Math.ceil(1.15 * map.reach)); // px of the slice, about the middle
    const skip = Math.floor((n - wide) / 2);
    const image = new ImageData(wide, wide);
    const words = new Uint32Array(image.data.buffer);
    const coat = map.coats[worn];
    for (let row = 0; row < wide; row++)
      for (let column = 0; column < wide; column++) {
        const i = place + (row + skip) * b + (column + skip) * a;
        const grey = (data[i] * 255) / 65535;
        let [red, green, blue] = [grey, grey, grey];
        const dense = data[i] >= level;
        if (dense && coat?.values[i]) {
          const dim = 0.45 + (0.55 * data[i]) / 65535;
          [red, green, blue] = coat.ramp[coat.values[i]].map((part) => part * dim);
        }
        if (dense && !coat && (data[i - a] < level || data[i + a] < level || data[i - b] < level || data[i + b] < level)) {
          [red, green, blue] = [255, 190, 60];
        }
        words[row * wide + column] = 0xff000000 | ((blue | 0) << 16) | ((green | 0) << 8) | (red | 0);
      }
    const one = planes[name].canvas;
    if (one.width !== wide) one.width = one.height = wide;
    one.getContext("2d").putImageData(image, 0, 0);
    planes[name].figure.dataset.at = Math.round(at[name] * (n - 1));
  };
  const cut = () => Object.keys(WAYS).forEach(slice);
  for (const name of Object.keys(WAYS)) {
    const figure = make("figure", "cw-mp-slice", slices);
    const one = make("canvas", "", figure);
    one.setAttribute("role", "img");
    one.setAttribute("aria-label", `slice across ${name}`);
    planes[name] = { figure, canvas: one };
  }

  // Tools -----------------------------------------------------------------------------------------------------------

  const value = (place) => map.low + place * (map.high - map.low);
  const encloses = () => {
    const first = Math.min(map.above.length - 1, Math.floor((level / 65535) * map.above.length));
    const volume = map.above[first] * map.pixel ** 3; // Å³
    const mass = volume * DALTONS;
    const said = mass < 1e6 ? `${Number((mass / 1e3).toPrecision(2))} kDa` : `${Number((mass / 1e6).toPrecision(2))} MDa`;
    return `encloses ${(volume / 1e3).toFixed(0)} nm³, as ${said} of protein`;
  };
  const press = (text, call, hint) => {
    const one = make("span", "cw-mp-press", tools);
    one.textContent = text;
    one.title = hint;
    one.setAttribute("aria-label", hint);
    one.tabIndex = 0;
    one.setAttribute("role", "button");
    one.addEventListener("click", call);
    one.addEventListener("keydown", (event) => {
      if (event.key !== "Tab") event.stopPropagation();
      if (event.key !== " " && event.key !== "Enter") return;
      event.preventDefault();
      call();
    });
  };
  const tell = () => {
    el.dataset.level = value(level / 65535).toPrecision(3);
    note.textContent = `${mirrored ? "the other hand" : "hand arbitrary"} · ${map.pixel ? encloses() : ""}`;
    const coat = map.coats[worn];
    legend.hidden = !coat;
    if (!coat) return;
    const ends = [coat.low, coat.high].map((v) => {
      const one = document.createElement("span");
      one.textContent = `${v.toPrecision(3)}${coat.unit ? ` ${coat.unit}` : ""}`;
      return one;
    });
    const strip = document.createElement("i");
    const name = document.createElement("b");
    strip.style.background = `linear-gradient(to right, ${coat.stops.join(", ")})`;
    name.textContent = coat.name;
    legend.replaceChildren(name, ends[0], strip, ends[1]);
  };
  const arrange = () => {
    tools.replaceChildren();
    for (const { figure } of Object.values(planes)) figure.querySelector(".cw-sl")?.remove();
    el.classList.toggle("cw-mp-none", !map);
    if (!map) return;
    const most = slider({
      label: "level",
      at: Math.sqrt(level / 65535), // finer where most levels of interest are
      steps: 100,
      hint: "density at which the surface is drawn",
      say: (place) => value(place * place).toPrecision(3),
      changed: (place) => {
        level = Math.max(1, Math.round(place * place * 65535));
        tell();
        soon();
        cut();
      },
    });
    tools.append(most.el);
    map.coats.forEach((coat, i) =>
      tools.append(
        chip(coat.name, worn === i, () => {
          worn = worn === i ? -1 : i;
          arrange();
          tell();
          soon();
          cut();
          [...tools.querySelectorAll("[role=checkbox]")].find((one) => one.textContent === coat.name)?.focus();
        }, "colours the surface and the slices"),
      ),
    );
    tools.append(
      chip("mirrored", mirrored, (one) => {
        mirrored = !mirrored;
        one.setAttribute("aria-checked", mirrored);
        tell();
        soon();
      }, "projections cannot tell a map from its mirror image: this is the other one"),
    );
    make("span", "cw-mp-along", tools).textContent = "along";
    press("z", () => ((turn = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]), soon()), "look along the axis z");
    press("y", () => ((turn = [[1, 0, 0], [0, 0, 1], [0, -1, 0]]), soon()), "look along the axis y");
    press("x", () => ((turn = [[0, 1, 0], [0, 0, 1], [1, 0, 0]]), soon()), "look along the axis x");
    for (const [name, { figure }] of Object.entries(planes)) {
      const last = map.n - 1;
      figure.append(
        slider({
          label: name,
          at: at[name],
          steps: last,
          say: (place) => (map.pixel ? `${(((place - 0.5) * last * map.pixel) / 10).toFixed(1)} nm` : `${Math.round(place * last)}`),
          changed: (place) => ((at[name] = place), slice(name)),
        }).el,
      );
    }
  };

  // Hands -----------------------------------------------------------------------------------------------------------

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button || !map) return;
    canvas.focus({ preventScroll: true });
    drag = [event.clientX, event.clientY];
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const far = 3.2 / (Math.min(room.clientWidth, room.clientHeight) || 1);
    spin((event.clientX - drag[0]) * far, (event.clientY - drag[1]) * far);
    drag = [event.clientX, event.clientY];
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => (drag = null));
  canvas.addEventListener("dblclick", () => ((turn = start()), (zoom = 1), soon()));
  canvas.addEventListener(
    "wheel",
    (event) => {
      if (!map) return;
      event.preventDefault();
      event.stopPropagation();
      closer(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0018)));
    },
    { passive: false },
  );
  canvas.addEventListener("keydown", (event) => {
    if (event.key !== "Tab") event.stopPropagation();
    const far = event.shiftKey ? 0.52 : 0.13;
    const way = { ArrowLeft: [-far, 0], ArrowRight: [far, 0], ArrowUp: [0, -far], ArrowDown: [0, far] }[event.key];
    if (way) spin(...way);
    else if (event.key === "+" || event.key === "=") closer(1.25);
    else if (event.key === "-") closer(0.8);
    else if (event.key === "0" || event.key === "Escape") [turn, zoom] = [start(), 1];
    else return;
    soon();
    event.preventDefault();
  });

  // Messages --------------------------------------------------------------------------------------------------------

  const copy = (buffer) => new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength).slice();
  const counted = (data) => {
    const above = new Uint32Array(1024);
    for (const one of data) above[one >> 6]++;
    for (let i = above.length - 2; i >= 0; i--) above[i] += above[i + 1];
    return above;
  };
  const receive = (message, buffers) => {
    if (message.type === "none") {
      map = null;
      word.textContent = message.word;
      note.textContent = "";
      legend.hidden = true;
      canvas.width = canvas.width; // wiped
      el.dataset.key = "";
      arrange();
    } else if (message.type === "map") {
      const data = new Uint16Array(copy(buffers[0]).buffer);
      const coats = message.coats.map((coat, i) => ({ ...coat, values: copy(buffers[i + 1]), ramp: between(coat.stops) }));
      if (worn >= coats.length || !map) worn = coats.length ? 0 : -1;
      map = { ...message, coats, data, above: counted(data) };
      map.most = peaks(data, map.n);
      map.wide = blocks(map.most, map.n);
      level = Math.min(65535, Math.max(1, Math.round(((message.level - message.low) / (message.high - message.low)) * 65535)));
      map.reach = Math.max(8, reach(map, level / 2));
      word.textContent = "";
      canvas.setAttribute("aria-label", "surface of the map; arrow keys turn it, + and - go closer, 0 goes back");
      el.dataset.key = message.key;
      arrange();
      tell();
      cut();
      draw(FULL);
    }
  };
  const resize = new ResizeObserver(() => map && draw(FULL));
  resize.observe(room);
  arrange();
  model.on("msg:custom", receive);
  signal.addEventListener("abort", () => {
    resize.disconnect();
    clearTimeout(timer);
    model.off("msg:custom", receive);
  });
  model.send({ type: "need" });
}

export default { render };
