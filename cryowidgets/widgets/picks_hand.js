// Picking by hand: a click adds, a drag moves, a right click or a click in the mode "remove" takes away. What is not
// saved is kept for each micrograph, here, in Python and by the browser, and leaves with nobody: not when another one
// comes into view, and not when the page is loaded anew.

const STEP = 8; // px of an arrow key
const STEPS_BACK = 500; // that can be undone

function picksHand({ model, el, signal, view, layer }) {
  const drafts = new Map(); // by exposure: {add, remove, sent: {add, remove}, undo, redo, size}
  let number = 0; // of the words said of drafts: an answer to an earlier one changes nothing that came after it
  let exposure = 0;
  let size = [0, 0];
  let mode = "look";
  let cursor = null; // of the keys
  let grabbed = null; // {list, index, at}: a circle under way
  let gone = new Set(); // indices of picks that are taken away

  const blank = () => ({ add: [], remove: [], sent: { add: [], remove: [] }, undo: [], redo: [], size });
  const mine = () => drafts.get(exposure) ?? blank();
  const copy = ({ add, remove }) => ({ add: [...add], remove: [...remove] });
  const open = (draft) => draft.add.length + draft.remove.length > 0;
  const names = () => [model.get("keep"), model.get("hand")];
  const kept = keptDrafts(() => (names().every(Boolean) ? ["cryowidgets", ...names()].join(" ") : ""));
  let heard = false; // what the session knows
  let taken = ""; // the name under which what was kept has been read
  const working = () => mode !== "look" && model.get("allowed");

  // Changes ----------------------------------------------------------------------------------------------------------

  const changed = () => {
    const { remove, sent } = mine();
    gone = new Set();
    const picks = layer.picks();
    for (const [y, x] of [...remove, ...sent.remove]) {
      for (let i = 0; picks && i < picks.scores.length; i++) {
        if (Math.hypot(picks.places[2 * i] - y, picks.places[2 * i + 1] - x) < 1) gone.add(i);
      }
    }
    [el.dataset.added, el.dataset.removed] = [mine().add.length, remove.length];
    keep();
    view.arrange();
    view.later();
  };
  const tell = (id = exposure) => model.send({ type: "draft", exposure: id, number: ++number, ...copy(drafts.get(id)) });
  const keep = () => {
    if (!taken || taken !== kept.name()) return;
    const all = [...drafts].filter(([, draft]) => open(draft));
    const rows = all.map(([id, draft]) => ({ exposure: id, size: draft.size, ...copy(draft) }));
    kept.write(rows.sort((a, b) => (b.exposure === exposure) - (a.exposure === exposure)));
  };
  // A micrograph may have been made again with other pixels.
  const fit = () => {
    const draft = drafts.get(exposure);
    if (!draft || !size[0] || `${draft.size}` === `${size}`) return;
    if (!draft.size[0]) return void drafts.set(exposure, { ...draft, size });
    const [y, x] = [size[0] / draft.size[0], size[1] / draft.size[1]];
    const moved = (all) => all.map((place) => tidy([place[0] * y, place[1] * x]));
    drafts.set(exposure, { ...draft, add: moved(draft.add), remove: moved(draft.remove), undo: [], redo: [], size });
    tell();
  };
  // What the session knows itself stands before what the browser has kept.
  const restore = () => {
    if (!heard || !kept.name() || taken === kept.name()) return;
    taken = kept.name();
    for (const { exposure: id, size: its, add, remove } of kept.read()) {
      if (drafts.has(id)) continue;
      drafts.set(id, { ...blank(), size: its, add, remove });
      tell(id);
    }
    fit();
  };
  const save = () => {
    const { add, remove, sent } = mine();
    const all = { add: [...sent.add, ...add], remove: [...sent.remove, ...remove] };
    drafts.set(exposure, { ...blank(), sent: all });
    model.send({ type: "save", exposure, number: ++number });
    changed();
  };
  const put = (next, draft = mine()) => {
    drafts.set(exposure, { ...draft, ...next });
    changed();
    tell();
  };
  const change = (next) => {
    const draft = mine();
    put({ ...next, undo: [...draft.undo, copy(draft)].slice(-STEPS_BACK), redo: [] });
  };
  const back = (from, to) => {
    const draft = mine();
    if (!draft[from].length) return;
    put({ ...draft[from].at(-1), [from]: draft[from].slice(0, -1), [to]: [...draft[to], copy(draft)] });
  };
  const tidy = ([y, x]) => {
    const inside = (v, most) => Math.round(100 * Math.min(most - 1, Math.max(0, v))) / 100;
    return [inside(y, size[0]), inside(x, size[1])];
  };
  // The circle at a place: one of the unsaved ones, or a pick.
  const at = (place, reach) => {
    const far = Math.max(reach * (layer.picks()?.radius ?? 0), NEAR / view.frame().scale);
    const away = mine().add.map(([y, x]) => Math.hypot(y - place[0], x - place[1]));
    const least = Math.min(...away, Infinity);
    if (least < far) return { list: "add", index: away.indexOf(least) };
    const index = layer.nearest(place, reach);
    return index >= 0 && !gone.has(index) ? { list: "picks", index } : null;
  };
  const add = (place) => change({ ...copy(mine()), add: [...mine().add, tidy(place)] });
  const without = (found) => {
    const { add: added, remove } = mine();
    if (found.list === "add") return { add: added.filter((_, i) => i !== found.index), remove };
    return { add: added, remove: [...remove, tidy(layer.place(found.index))] };
  };
  const remove = (place) => {
    const found = at(place, 1);
    if (found) change(without(found));
    return Boolean(found);
  };

  // The pointer --------------------------------------------------------------------------------------------------------

  const hands = {
    hands: working,
    press: (place) => {
      cursor = null;
      const found = working() && mode === "add" ? at(place, 1) : null;
      grabbed = found && { ...found, at: null };
      return Boolean(found);
    },
    drag: (place) => {
      grabbed.at = tidy(place);
      view.later();
    },
    drop: (place) => {
      const rest = without(grabbed);
      grabbed = null;
      change({ ...rest, add: [...rest.add, tidy(place)] });
    },
    click: (place, event) => {
      grabbed = null;
      if (!working()) return layer.click(place, event);
      if (event.type === "contextmenu" || mode === "remove") remove(place);
      else if (at(place, 0.5)) layer.click(place, event);
      else add(place);
      return true;
    },

    // Keys ---------------------------------------------------------------------------------------------------------

    key: (event) => {
      if (!model.get("allowed")) return false;
      const word = event.key.toLowerCase();
      if ((event.ctrlKey || event.metaKey) && (word === "z" || word === "y")) {
        back(...(word === "y" || event.shiftKey ? ["redo", "undo"] : ["undo", "redo"]));
        return true;
      }
      if (!working() || event.ctrlKey || event.metaKey || event.altKey) return false;
      const { scale, left, top, width, height } = view.frame();
      const step = ((event.shiftKey ? 5 : 1) * STEP) / scale;
      const by = { ArrowLeft: [0, -step], ArrowRight: [0, step], ArrowUp: [-step, 0], ArrowDown: [step, 0] }[event.key];
      const from = cursor ?? [top + height / scale / 2, left + width / scale / 2];
      if (by) cursor = tidy([from[0] + by[0], from[1] + by[1]]);
      else if (word === "n") cursor = next(from, event.shiftKey) ?? from;
      else if (event.key === "Enter" || event.key === " ") {
        if (mode === "remove") remove(from);
        else if (!at(from, 0.5)) add(from);
      } else if (event.key === "Delete" || event.key === "Backspace") remove(from);
      else if (event.key === "Escape") choose("look");
      else return false;
      if (cursor) view.show(...cursor);
      view.later();
      return true;
    },

    // What is seen ---------------------------------------------------------------------------------------------------

    read: (shot, message, buffers) => {
      layer.read(shot, message, buffers);
      [exposure, size, cursor, grabbed] = [shot?.exposure ?? 0, [shot?.height ?? 0, shot?.width ?? 0], null, null];
      fit();
      changed();
    },
    draw: (context, shot, frame) => {
      const words = layer.draw(context, shot, frame);
      if (!shot) return words;
      if (grabbed?.at) layer.ring(context, LOOKS.added, [grabbed.at], frame);
      if (cursor && working()) cross(context, cursor, frame);
      const { add: added, remove: removed } = mine();
      if (open(mine())) words.push(`${said(added, removed)} by hand, not saved`);
      return words;
    },
    hear: (message, buffers) => {
      if (message.type !== "drafts") return layer.hear(message, buffers);
      for (const one of message.drafts) {
        const known = drafts.get(one.exposure) ?? { ...blank(), size: one.exposure === exposure ? size : [0, 0] };
        const same = one.heard < number || JSON.stringify(copy(known)) === JSON.stringify(copy(one));
        drafts.set(one.exposure, { ...known, ...(same ? {} : { ...copy(one), undo: [], redo: [] }), sent: one.sent });
      }
      heard = true;
      restore();
      changed();
    },
    tools: (shot) => [...layer.tools(shot), ...tools()],
  };

  // The next pick in the order of reading, for keys.
  const next = ([y, x], backwards) => {
    const picks = layer.picks();
    const all = [...mine().add];
    for (let i = 0; picks && i < picks.scores.length; i++) if (!gone.has(i)) all.push(layer.place(i));
    const row = (v) => Math.round(v / Math.max(1, picks?.radius ?? 1));
    const order = (a, b) => row(a[0]) - row(b[0]) || a[1] - b[1];
    all.sort(order);
    const after = backwards ? all.filter((p) => order(p, [y, x]) < 0).at(-1) : all.find((p) => order(p, [y, x]) > 0);
    return after ?? (backwards ? all.at(-1) : all[0]);
  };
  const cross = (context, [y_, x_], { scale, left, top }) => {
    const [y, x] = [(y_ - top) * scale, (x_ - left) * scale];
    context.beginPath();
    for (const [a, b] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      context.moveTo(x + 4 * a, y + 4 * b);
      context.lineTo(x + 14 * a, y + 14 * b);
    }
    stroke(context, "#fff");
  };
  const said = (added, removed) =>
    [added.length && `${added.length} added`, removed.length && `${removed.length} removed`].filter(Boolean).join(", ");

  // Tools ------------------------------------------------------------------------------------------------------------

  const choose = (to) => {
    mode = to;
    cursor = null;
    el.dataset.mode = mode;
    view.canvas.focus({ preventScroll: true });
    view.arrange();
    view.later();
  };
  const button = (label, pressed, hint, on = true, text = label) => {
    const made = chip(text, false, () => on && pressed(), hint);
    made.setAttribute("role", "button");
    made.removeAttribute("aria-checked");
    made.setAttribute("aria-label", label);
    made.setAttribute("aria-disabled", !on);
    return made;
  };
  const tools = () => {
    if (!model.get("hand")) return [];
    if (!model.get("allowed")) {
      return [button("Correct by hand", () => model.send({ type: "hand" }), `shows what ${model.get("hand")} makes of it`)];
    }
    const modes = [
      ["look", "Look", "clicks choose a pick"],
      ["add", "Add", "clicks add a pick, a drag moves one, a right click removes one; arrow keys and Enter"],
      ["remove", "Remove", "clicks remove a pick; N goes to the next one, Delete removes it"],
    ];
    const group = document.createElement("span");
    group.className = "cw-picks-modes";
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", "By hand");
    for (const [name, text, hint] of modes) group.append(chip(text, mode === name, () => choose(name), hint));
    // All of them all the time, on a line of their own: nothing moves under a person's hand.
    const { add: added, remove: removed, undo, redo } = mine();
    const line = document.createElement("span");
    line.className = "cw-picks-hand";
    const some = added.length + removed.length > 0;
    const words = some ? `Save ${said(added, removed)}` : "Save";
    const saving = button("Save", save, "hands them to the session; what follows is done anew", some, words);
    saving.classList.toggle("cw-picks-save", some);
    line.append(
      group,
      button("Undo", () => back("undo", "redo"), "Ctrl Z", undo.length > 0),
      button("Redo", () => back("redo", "undo"), "Ctrl Y", redo.length > 0),
      saving,
      button("Discard", () => change({ add: [], remove: [] }), "back to what is saved; can be undone", some),
    );
    return [line];
  };

  const leave = (event) => [...drafts.values()].some(open) && event.preventDefault();
  const traits = ["hand", "allowed", "keep"];
  const other = () => (restore(), changed());
  for (const name of traits) model.on(`change:${name}`, other);
  window.addEventListener("beforeunload", leave);
  signal.addEventListener("abort", () => {
    for (const name of traits) model.off(`change:${name}`, other);
    window.removeEventListener("beforeunload", leave);
  });
  el.dataset.mode = mode;
  return {
    over: hands,
    removed: (i) => gone.has(i) || (grabbed?.at && grabbed.list === "picks" && grabbed.index === i),
    more: () => {
      const { add: added, sent } = mine();
      const held = grabbed?.at && grabbed.list === "add" ? grabbed.index : -1;
      return [["added", [...sent.add, ...added.filter((_, i) => i !== held)]]];
    },
  };
}

function render({ model, el, signal }) {
  const over = (view) => {
    let hand = null;
    const removed = (i) => hand?.removed(i) ?? false;
    const layer = picksLayer({ model, el, signal, view, removed, more: () => hand?.more() ?? [] });
    hand = picksHand({ model, el, signal, view, layer });
    return { ...layer, ...hand.over };
  };
  return micrograph({ model, el, signal, over, lowpass: SMOOTH });
}

export default { render };
