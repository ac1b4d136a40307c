// Class averages in a grid, cut out of one picture. Each keeps its number, and so goes to its new place when they are
// sorted anew. Sliders go back in time and set the least score; a person's choice is Python's affair.

const STILL = 550; // ms between two moments while history is played
const MOVE = 350; // ms that a class takes to its new place

async function render({ model, el, signal }) {
  await listen(model);
  el.classList.add("cw-cl");
  const make = (tag, className, parent) => {
    const part = document.createElement(tag);
    part.className = className;
    parent.append(part);
    return part;
  };
  const tools = make("div", "cw-cl-tools", el);
  const room = make("div", "cw-cl-room", el);
  const grid = make("div", "cw-cl-grid", room);
  const word = make("div", "cw-cl-word", room);
  grid.setAttribute("role", "group");
  grid.setAttribute("aria-label", "classes; arrow keys go from one to the next, Space takes or leaves one");

  let sheet = null; // what Python said of the classes
  let picture = null; // all averages
  let state = { accepted: [], byhand: [], looked: null, least: 0 };
  let moments = { names: [], at: -1 };
  let waits = false; // for the answer to a moment that was asked for
  let wanted = -1;
  let timer = 0;
  const tiles = new Map(); // elements by the number of their class

  // Tiles -----------------------------------------------------------------------------------------------------------

  const tile = (id) => {
    const one = document.createElement("div");
    const canvas = make("canvas", "", one);
    const closer = make("span", "cw-cl-closer", one);
    const name = make("span", "cw-cl-name", one);
    make("span", "cw-cl-tick", one);
    make("div", "cw-cl-lines", one);
    one.className = "cw-cl-one";
    one.dataset.id = id;
    one.setAttribute("role", "checkbox");
    canvas.setAttribute("aria-hidden", "true");
    name.textContent = id;
    closer.textContent = "⌕";
    closer.title = "look at it, without choosing";
    closer.setAttribute("aria-hidden", "true");
    return one;
  };
  const cut = (one, item) => {
    const canvas = one.firstChild;
    if (canvas.width !== sheet.side) canvas.width = canvas.height = sheet.side;
    if (!picture) return;
    const [x, y] = [(item.place % sheet.across) * sheet.side, Math.floor(item.place / sheet.across) * sheet.side];
    canvas.getContext("2d").drawImage(picture, x, y, sheet.side, sheet.side, 0, 0, sheet.side, sheet.side);
  };
  const still = () => window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  const arrange = () => {
    const before = new Map([...tiles].map(([id, one]) => [id, one.getBoundingClientRect()]));
    const focus = grid.contains(document.activeElement) ? document.activeElement.dataset.id : null;
    const items = sheet?.classes ?? [];
    const there = new Set(items.map((item) => item.id));
    for (const [id, one] of tiles) {
      if (there.has(id)) continue;
      one.remove();
      tiles.delete(id);
    }
    items.forEach((item, i) => {
      const one = tiles.get(item.id) ?? tile(item.id);
      tiles.set(item.id, one);
      if (grid.children[i] !== one) grid.insertBefore(one, grid.children[i] ?? null);
      one.dataset.mark = item.mark;
      one.dataset.label = item.label;
      one.lastChild.replaceChildren(
        ...item.lines.map((text) => {
          const line = document.createElement("div");
          line.textContent = text;
          return line;
        }),
      );
      cut(one, item);
      const [old, now] = [before.get(item.id), one.getBoundingClientRect()];
      const [dx, dy] = old ? [old.x - now.x, old.y - now.y] : [0, 0];
      if ((dx || dy) && old.width && !still()) {
        one.animate([{ transform: `translate(${dx}px, ${dy}px)` }, { transform: "none" }], { duration: MOVE, easing: "ease" });
      }
    });
    word.textContent = items.length ? "" : model.get("empty");
    el.dataset.classes = items.length;
    el.dataset.key = sheet?.key ?? "";
    mark();
    if (focus !== null) tiles.get(Number(focus))?.focus({ preventScroll: true });
  };
  const mark = () => {
    const [accepted, byhand] = [new Set(state.accepted), new Set(state.byhand)];
    const reached = tiles.has(state.looked) ? state.looked : sheet?.classes[0]?.id;
    for (const [id, one] of tiles) {
      const on = accepted.has(id);
      one.setAttribute("aria-checked", on);
      one.classList.toggle("cw-cl-looked", id === state.looked);
      one.tabIndex = id === reached ? 0 : -1;
      const how = `${on ? "taken" : "left out"}${byhand.has(id) ? " by hand" : ""}`;
      one.querySelector(".cw-cl-tick").textContent = `${on ? "✓" : "✕"}${byhand.has(id) ? " by hand" : ""}`;
      one.setAttribute("aria-label", `class ${id}, ${one.dataset.label}, ${how}`);
      one.title = `class ${id}: ${one.dataset.label}; ${how}. A click takes it or leaves it out`;
    }
    el.dataset.accepted = [...tiles.keys()].filter((id) => accepted.has(id)).length;
  };
  const across = () => {
    const top = grid.firstChild?.offsetTop;
    const first = [...grid.children].findIndex((one) => one.offsetTop !== top);
    return first < 0 ? grid.children.length : first;
  };

  // Sliders ---------------------------------------------------------------------------------------------------------

  const ask = (at) => {
    wanted = at;
    if (waits) return; // one at a time: a slow kernel is not flooded
    waits = true;
    model.send({ type: "frame", at });
  };
  const last = () => moments.names.length - 1;
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    player.setAttribute("aria-pressed", "false");
    player.textContent = "▶ play";
  };
  const player = make("span", "cw-cl-play", tools);
  player.setAttribute("role", "button");
  player.tabIndex = 0;
  player.title = "how the classes became what they are, batch by batch";
  const play = () => {
    if (timer) return stop();
    player.setAttribute("aria-pressed", "true");
    player.textContent = "❚❚ stop";
    let at = moments.at >= last() ? 0 : moments.at;
    ask(at);
    timer = setInterval(() => {
      if (waits) return;
      if (at >= last()) return stop();
      ask(++at);
    }, STILL);
  };
  player.addEventListener("click", play);
  player.addEventListener("keydown", (event) => {
    if (event.key !== "Tab") event.stopPropagation();
    if (event.key !== " " && event.key !== "Enter") return;
    event.preventDefault();
    play();
  });
  stop();
  let times = null;
  let score = null;
  const rails = make("span", "cw-cl-rails", tools);
  const sliders = () => {
    const most = last();
    player.hidden = most < 1;
    if (most < 1) times?.el.remove();
    else if (!times || times.most !== most) {
      const at = (place) => Math.round(place * most);
      times?.el.remove();
      times = slider({
        label: "batch",
        at: moments.at / most,
        steps: most,
        hint: "the classes as they were after an earlier batch",
        say: (place) => moments.names[at(place)] ?? "",
        changed: (place) => (stop(), ask(at(place))),
      });
      times.most = most;
      rails.prepend(times.el);
    } else if (!times.held()) times.set(moments.at / most);
    el.dataset.moment = moments.at;
    if (!model.get("scored")) {
      score?.el.remove();
      score = null;
    } else if (!score) {
      score = slider({
        label: "least score",
        at: state.least,
        steps: 50,
        hint: "classes of a lower score are left out, but for those taken by hand; at 0 those are taken that look good",
        say: (place) => (place ? place.toFixed(2) : "as judged"),
        changed: (value) => model.send({ type: "least", value: Math.round(100 * value) / 100 }),
      });
      rails.append(score.el);
    } else if (!score.held()) score.set(Math.min(1, Math.max(0, state.least)));
    tools.hidden = player.hidden && !score;
  };

  // Hands -----------------------------------------------------------------------------------------------------------

  const idOf = (event) => Number(event.target.closest("[data-id]")?.dataset.id);
  grid.addEventListener("click", (event) => {
    const id = idOf(event);
    if (!tiles.has(id)) return;
    tiles.get(id).focus({ preventScroll: true });
    model.send({ type: "look", id });
    if (!event.target.closest(".cw-cl-closer")) model.send({ type: "tap", id });
  });
  grid.addEventListener("keydown", (event) => {
    if (event.key !== "Tab") event.stopPropagation(); // keys of a notebook mean other things
    const id = idOf(event);
    if (!tiles.has(id)) return;
    const all = [...grid.children];
    const at = all.indexOf(tiles.get(id));
    const wide = across();
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: wide, ArrowUp: -wide, Home: -at, End: all.length }[event.key];
    if (event.key === " " || event.key === "Enter") model.send({ type: "tap", id });
    else if (step !== undefined) {
      const next = all[Math.min(all.length - 1, Math.max(0, at + step))];
      next.focus();
      model.send({ type: "look", id: Number(next.dataset.id) });
    } else return;
    event.preventDefault();
  });

  // Messages --------------------------------------------------------------------------------------------------------

  const receive = async (message, buffers) => {
    if (message.type === "classes") {
      let next = message.fresh ? null : picture;
      if (message.fresh && buffers[0]?.byteLength) {
        try {
          next = await createImageBitmap(new Blob([buffers[0]], { type: "image/jpeg" }));
        } catch {
          next = null; // the numbers are there all the same
        }
      }
      [sheet, picture] = [message, next];
      arrange();
    } else if (message.type === "none") {
      [sheet, picture] = [null, null];
      arrange();
    } else if (message.type === "state") {
      state = message;
      mark();
      sliders();
    } else if (message.type === "moments") {
      moments = message;
      waits = false;
      if (wanted >= 0 && wanted !== message.at && wanted <= last()) ask(wanted);
      else wanted = -1;
      sliders();
    }
  };
  let queue = Promise.resolve(); // pictures take a moment to decode: what comes after one waits for it
  const listenTo = (message, buffers) => (queue = queue.then(() => receive(message, buffers)));
  const again = () => (arrange(), sliders());
  sliders();
  arrange();
  model.on("msg:custom", listenTo);
  model.on("change:empty", again);
  model.on("change:scored", again);
  signal.addEventListener("abort", () => {
    clearInterval(timer);
    model.off("msg:custom", listenTo);
    model.off("change:empty", again);
    model.off("change:scored", again);
  });
  model.send({ type: "need" });
}

export default { render };
