// A picture to be looked at closely: contrast, brightness, low-pass, zoom. What lies over it is another's affair.
// The small picture of the whole comes first; where a person zooms in, Python is asked for the part in view.

const PATIENCE = 140; // ms without a movement before a finer picture is asked for
const MOST = 2e6; // pixels of a finer picture
const CLICK = 4; // px that a pointer may move and still have clicked

let places = 0;

// `over(view)` makes what lies over the picture. It may have
//   read(shot, message, buffers)  takes what it needs of the message of a new picture; shot is null where there is none
//   draw(context, shot, frame)    draws over the picture, and returns words to be said at its lower left
//   tools(shot)                   elements for the row of tools
//   hear(message, buffers)        other messages of Python's
//   press(place)                  whether a drag from this place, y and x in px of the picture, is its own: then it has
//   drag(place) and drop(place)
//   click(place, event)           a press without a drag; true keeps the browser from its menu
//   hover(place)                  where the mouse is; null where it has left
//   key(event)                    whether it has taken a key
//   hands()                       whether clicks mean something, so that two of them do not zoom
// `view` has room, canvas, later (draws soon), arrange (makes the row of tools again), frame(), fit(), show(y, x).
// `lowpass` is the period in Å that it begins with, 0 for none.
async function micrograph({ model, el, signal, over, lowpass: first = 0 }) {
  await listen(model);
  el.classList.add("cw-ex-view");
  const name = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}-${places++}`;
  const make = (className, parent) => {
    const part = document.createElement("div");
    part.className = className;
    parent.append(part);
    return part;
  };
  const room = make("cw-ex-room", el);
  const canvas = document.createElement("canvas");
  room.append(canvas);
  const word = make("cw-ex-word", room);
  const said = make("cw-ex-said", room);
  const note = make("cw-ex-note", room);
  const tools = make("cw-ex-tools", el);
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "img");
  const context = canvas.getContext("2d");

  let shot = null; // what Python said of the picture
  let base = null; // the whole, and the part in view more finely: {grey, width, height, box, canvas}
  let fine = null;
  let asked = "";
  let timer = 0;
  let [scale, left, top] = [1, 0, 0]; // screen px per px of the picture; the picture's place at the canvas's corner
  let fitted = true;
  let drag = null;
  const set = { contrast: 1, brightness: 0, lowpass: first };
  let layer = {};

  // From values to greys ------------------------------------------------------------------------------------------

  const redo = (picture) => {
    if (!picture) return;
    const pixel = (shot.pixel * (picture.box[3] - picture.box[1])) / picture.width; // Å
    develop(picture, { ...set, sigma: set.lowpass && pixel ? (HALF * set.lowpass) / pixel : 0, plain: model.get("plain") });
  };

  // Drawing -------------------------------------------------------------------------------------------------------

  const frame = () => ({ scale, left, top, width: room.clientWidth, height: room.clientHeight });
  const draw = () => {
    const ratio = window.devicePixelRatio || 1;
    const [w, h] = [Math.round(room.clientWidth * ratio), Math.round(room.clientHeight * ratio)];
    if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, w, h);
    el.dataset.key = shot?.key ?? "";
    if (!shot) return;
    const view = frame();
    paint(context, base, view);
    paint(context, fine, view);
    const words = layer.draw?.(context, base && shot, view) ?? [];
    if (base && shot.pixel && !model.get("reciprocal")) bar(context, shot, view);
    said.textContent = [...words, ...(fitted ? [] : [`${zoom()} %`])].join(" · ");
    el.dataset.zoom = zoom();
  };
  const zoom = () => Math.round((100 * scale) / fit());
  let due = 0;
  const later = () => (due ||= requestAnimationFrame(() => ((due = 0), draw())));

  // Where one looks -------------------------------------------------------------------------------------------------

  const fit = () => Math.min(room.clientWidth / shot.width, room.clientHeight / shot.height) || 1e-6;
  const whole = () => {
    fitted = true;
    scale = fit();
    left = shot.width / 2 - room.clientWidth / scale / 2;
    top = shot.height / 2 - room.clientHeight / scale / 2;
  };
  const bounded = () => {
    // the picture never leaves the canvas, and stays in its middle where it is smaller
    const keep = (start, size, view) =>
      view >= size ? (size - view) / 2 : Math.min(size - view, Math.max(0, start));
    left = keep(left, shot.width, room.clientWidth / scale);
    top = keep(top, shot.height, room.clientHeight / scale);
  };
  const look = () => {
    if (!shot) return;
    later();
    clearTimeout(timer);
    timer = setTimeout(finer, PATIENCE);
  };
  const closer = (factor, x = room.clientWidth / 2, y = room.clientHeight / 2) => {
    if (!shot) return;
    const next = Math.min(8, Math.max(fit(), scale * factor));
    [left, top] = [left + x / scale - x / next, top + y / scale - y / next];
    scale = next;
    fitted = next <= fit() * 1.001;
    if (fitted) whole();
    bounded();
    look();
  };
  const shift = (dx, dy) => {
    if (!shot || fitted) return;
    left += dx / scale;
    top += dy / scale;
    bounded();
    look();
  };
  const inView = (spare) => {
    const [w, h] = [room.clientWidth / scale, room.clientHeight / scale];
    const edge = (v, most) => Math.round(Math.min(most, Math.max(0, v)));
    return [
      edge(top - spare * h, shot.height),
      edge(left - spare * w, shot.width),
      edge(top + (1 + spare) * h, shot.height),
      edge(left + (1 + spare) * w, shot.width),
    ];
  };
  const finer = () => {
    if (!shot?.fine || !base || !room.clientWidth) return;
    const sharp = scale * (window.devicePixelRatio || 1); // screen px per px of the micrograph
    if (sharp * (shot.width / base.width) < 1.4) {
      fine = null;
      later();
      return;
    }
    let binning = Math.max(1, Math.floor(1 / sharp));
    const box = inView(0.25);
    while (((box[2] - box[0]) * (box[3] - box[1])) / binning ** 2 > MOST) binning++;
    const now = inView(0);
    const has = fine && fine.box[0] <= now[0] && fine.box[1] <= now[1] && fine.box[2] >= now[2] - binning;
    if (has && fine.box[3] >= now[3] - binning && fine.binning <= binning) return;
    const question = JSON.stringify([shot.key, box, binning]);
    if (question === asked) return;
    asked = question;
    model.send({ type: "fine", view: name, key: shot.key, box, binning });
  };

  // Tools ---------------------------------------------------------------------------------------------------------

  let wanted = 0;
  const soon = () =>
    (wanted ||= requestAnimationFrame(() => {
      wanted = 0;
      if (!shot) return;
      redo(base);
      redo(fine);
      draw();
    }));
  const period = (at) => (at < 0.02 ? 0 : Math.round(4 * 50 ** at)); // Å: 4 to 200
  const common = [
    slider({
      label: "contrast",
      at: 0.5,
      say: (at) => (8 ** (2 * at - 1)).toFixed(1),
      changed: (at) => ((set.contrast = 8 ** (2 * at - 1)), soon()),
    }),
    slider({
      label: "brightness",
      at: 0.5,
      say: (at) => `${Math.round(200 * at - 100)}`,
      changed: (at) => ((set.brightness = 2 * at - 1), soon()),
    }),
  ];
  const lowpass = slider({
    label: "low-pass",
    at: first ? Math.log(first / 4) / Math.log(50) : 0,
    hint: "periods shorter than this are taken out; a Gaussian that halves them",
    say: (at) => (period(at) ? `${period(at)} Å` : "off"),
    changed: (at) => ((set.lowpass = period(at)), soon()),
  });
  const arrange = () => {
    const parts = (shot && layer.tools?.(shot)) ?? [];
    const sliders = [...common, ...(shot?.pixel && !model.get("reciprocal") ? [lowpass] : [])].map((s) => s.el);
    const focus = document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent;
    const inside = tools.contains(document.activeElement);
    tools.replaceChildren(...sliders, ...parts);
    if (inside) {
      const parts_ = [...tools.querySelectorAll("[tabindex]")];
      parts_.find((p) => (p.getAttribute("aria-label") ?? p.textContent) === focus)?.focus();
    }
    tools.hidden = !shot;
  };

  // Messages --------------------------------------------------------------------------------------------------------

  const receive = async (message, buffers) => {
    if (message.type === "shot") {
      if (shot && message.key === shot.key) return;
      const before = shot;
      shot = { ...message };
      layer.read?.(shot, message, buffers);
      const [sameSize, mine] = [before?.width === shot.width && before?.height === shot.height, shot];
      fine = null;
      asked = "";
      canvas.setAttribute("aria-label", message.label);
      word.textContent = message.word;
      note.textContent = message.note;
      arrange();
      if (buffers[0]?.byteLength) {
        try {
          const picture = await greys(buffers[0]);
          if (shot !== mine) return; // another one came meanwhile
          base = { ...picture, box: [0, 0, shot.height, shot.width] };
          redo(base);
        } catch {
          base = null;
          word.textContent = "the picture cannot be read";
        }
      } else base = null;
      if (!sameSize || fitted) whole();
      look();
    } else if (message.type === "none") {
      shot = base = fine = null;
      layer.read?.(null);
      word.textContent = message.word;
      said.textContent = note.textContent = "";
      arrange();
      draw();
    } else if (message.type === "fine" && message.view === name && shot?.key === message.key) {
      note.textContent = message.word || shot.note;
      if (!buffers[0]?.byteLength) return;
      const mine = shot;
      const picture = await greys(buffers[0]);
      if (shot !== mine) return;
      fine = { ...picture, box: message.box, binning: message.binning };
      redo(fine);
      el.dataset.fine = message.binning;
      later();
    } else layer.hear?.(message, buffers);
  };

  // Hands -----------------------------------------------------------------------------------------------------------

  const inside = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  canvas.addEventListener(
    "wheel",
    (event) => {
      if (!shot) return;
      event.preventDefault();
      event.stopPropagation();
      closer(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0018)), ...inside(event));
    },
    { passive: false },
  );
  const placed = (event) => {
    const [x, y] = inside(event);
    return [top + y / scale, left + x / scale];
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button || !shot) return;
    canvas.focus({ preventScroll: true });
    drag = { at: [event.clientX, event.clientY], from: inside(event), far: false, own: layer.press?.(placed(event)) };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    const [x, y] = inside(event);
    if (drag) {
      drag.far ||= Math.hypot(x - drag.from[0], y - drag.from[1]) > CLICK;
      if (drag.own && drag.far) layer.drag(placed(event));
      else if (!drag.own) shift(drag.at[0] - event.clientX, drag.at[1] - event.clientY);
      drag.at = [event.clientX, event.clientY];
    } else if (shot && model.get("reciprocal") && shot.pixel) {
      const [kx, ky] = [left + x / scale - shot.width / 2, top + y / scale - shot.height / 2];
      const r = Math.hypot(kx / shot.width, ky / shot.height); // of the sampling frequency
      said.textContent = r > 0.004 && r < 0.72 ? `${(shot.pixel / r).toFixed(1)} Å` : "";
    } else if (shot) layer.hover?.(placed(event));
  });
  canvas.addEventListener("pointerleave", () => {
    layer.hover?.(null);
    later();
  });
  canvas.addEventListener("pointerup", (event) => {
    const was = drag;
    drag = null;
    if (was?.own && was.far) layer.drop(placed(event));
    else if (was && !was.far && shot) layer.click?.(placed(event), event);
  });
  canvas.addEventListener("pointercancel", () => (drag = null));
  canvas.addEventListener("contextmenu", (event) => {
    if (shot && layer.click?.(placed(event), event)) event.preventDefault();
  });
  canvas.addEventListener("dblclick", () => shot && !layer.hands?.() && (fitted ? closer(3) : (whole(), look())));
  canvas.addEventListener("keydown", (event) => {
    if (event.key !== "Tab") event.stopPropagation();
    if (shot && layer.key?.(event)) return event.preventDefault();
    const far = 60;
    const pan = { ArrowLeft: [-far, 0], ArrowRight: [far, 0], ArrowUp: [0, -far], ArrowDown: [0, far] }[event.key];
    const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
    if (event.key === "+" || event.key === "=") closer(1.5);
    else if (event.key === "-") closer(1 / 1.5);
    else if (event.key === "0" || event.key === "Escape") shot && (whole(), look());
    else if (pan && event.shiftKey) shift(...pan);
    else if (step) model.send({ type: "step", by: step });
    else return;
    event.preventDefault();
  });
  const resize = new ResizeObserver(() => {
    if (!shot || !room.clientWidth) return;
    if (fitted) whole();
    bounded();
    draw();
    look();
  });
  resize.observe(room);
  const show = (y, x) => {
    if (!shot) return;
    const [w, h] = [room.clientWidth / scale, room.clientHeight / scale];
    const near = (start, at, view) => (at < start + 0.1 * view || at > start + 0.9 * view ? at - view / 2 : start);
    [left, top] = [near(left, x, w), near(top, y, h)];
    bounded();
    look();
  };
  layer = over({ room, canvas, later, arrange, frame, fit: () => shot && fit(), show });
  arrange();
  model.on("msg:custom", receive);
  signal.addEventListener("abort", () => {
    resize.disconnect();
    clearTimeout(timer);
    model.off("msg:custom", receive);
  });
  model.send({ type: "need" });
}

// Numbers of a message's buffer, float32.
function floats(buffer) {
  return new Float32Array(new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength).slice().buffer);
}

