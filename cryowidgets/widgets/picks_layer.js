// Picks over a micrograph: which of them two sliders keep, and how many that makes, on this one and on the last many.
// Nobody is asked while a slider moves: all scores and powers are here.

const BINS = 40;
const SMOOTH = 20; // Å: finer detail hides particles from people
const NEAR = 9; // px that a click may be beside a circle

// What it looks like to be kept, cut, added or removed by a person: colour, dashes, and a sign at the middle.
const LOOKS = {
  kept: { colour: COLOURS[0], dash: [], sign: "" },
  cut: { colour: "#ff9ed2", dash: [7, 4], sign: "" },
  added: { colour: COLOURS[1], dash: [], sign: "+" },
  removed: { colour: "#ff8f6b", dash: [3, 3], sign: "×" },
};

// `removed` is asked whether a person has taken pick i away, `more` for what else is to be drawn: see picks_hand.js.
function picksLayer({ model, el, signal, view, removed = () => false, more = () => [] }) {
  el.classList.add("cw-picks-view");
  const panel = document.createElement("div");
  panel.className = "cw-picks-panel";
  el.append(panel);
  const part = (name, parent = panel) => {
    const made = document.createElement("div");
    made.className = name;
    parent.append(made);
    return made;
  };
  const counts = part("cw-picks-counts");
  counts.setAttribute("role", "status");
  const back = chip("back to what is in force", false, () => ((cut = applied), (touched = false), redraw(), soon(), tell()));
  back.setAttribute("role", "button");
  back.removeAttribute("aria-checked");
  back.classList.add("cw-picks-back");
  back.hidden = true;
  const set = { picks: true, cut: true };
  let cut = { score: null, low: null, high: null };
  let applied = cut; // what the session does
  let about = ""; // the step that the cut is about
  let touched = false; // by a person
  let picks = null; // of this micrograph: {name, radius, places, scores, powers}
  let chosen = -1; // one of them
  let mouse = null; // where it is, while there are no picks
  const recent = new Map(); // by exposure: {scores, powers}

  // What is kept ---------------------------------------------------------------------------------------------------

  // What is not known of a pick speaks neither for nor against it.
  const keeps = (score, power) =>
    !(score < (cut.score ?? -Infinity)) && !(power < (cut.low ?? -Infinity)) && !(power > (cut.high ?? Infinity));
  const kept = ({ scores, powers }) => {
    let count = 0;
    for (let i = 0; i < scores.length; i++) count += keeps(scores[i], powers[i]);
    return count;
  };
  const count = () => {
    let [left, all] = [0, 0];
    for (const one of recent.values()) [left, all] = [left + kept(one), all + one.scores.length];
    const many = recent.size;
    const mine = picks ? kept(picks) : 0;
    const lines = picks ? [[`${mine}`, ` of ${picks.scores.length} kept on this micrograph`]] : [];
    if (many) {
      const mean = (left / many).toFixed(1);
      const which = many === 1 ? "the only one" : `the last ${many}`;
      lines.push([mean, ` of ${(all / many).toFixed(1)} a micrograph over ${which}`]);
      el.dataset.mean = mean;
    } else el.dataset.mean = "";
    [el.dataset.kept, el.dataset.all] = picks ? [mine, picks.scores.length] : ["", ""];
    counts.replaceChildren(
      ...lines.map(([number, text]) => {
        const line = document.createElement("p");
        const strong = document.createElement("b");
        strong.textContent = number;
        line.append(strong, text);
        return line;
      }),
    );
    back.hidden = asApplied();
  };
  const asApplied = () => ["score", "low", "high"].every((name) => cut[name] === applied[name]);
  let due = 0;
  const soon = () => (due ||= requestAnimationFrame(() => ((due = 0), count(), view.later())));

  // The two histograms ---------------------------------------------------------------------------------------------

  const round = (v) => (v === null ? null : Number(v.toPrecision(4))); // what is sent is what is seen
  const moved = (change) => (low, high, done) => {
    touched = true;
    cut = { ...cut, ...change(round(low), round(high)) };
    handles();
    soon();
    if (done) tell();
  };
  const tell = () =>
    model.send({ type: "cut", step: about, score_min: cut.score, power_min: cut.low, power_max: cut.high });
  const scoreRoom = part("cw-picks-histogram");
  const powerRoom = part("cw-picks-histogram");
  const unknown = part("cw-soft");
  const titled = (room, text, hint) => {
    const title = part("cw-title", room);
    title.textContent = text;
    title.title = hint;
    return part("cw-picks-plot", room);
  };
  const score = bounds({
    el: titled(scoreRoom, "Score", "how sure the picker is, in its own scale"),
    signal,
    sides: ["low"],
    moved: moved((low) => ({ score: low })),
  });
  const power = bounds({
    el: titled(powerRoom, "Local power", "how much goes on inside the circle beside empty ice: dirt has much, ice little"),
    signal,
    moved: moved((low, high) => ({ low, high })),
  });
  const handles = () => {
    score.show({ low: cut.score });
    power.show({ low: cut.low, high: cut.high });
  };
  const values = (name) => {
    const all = [...recent.values()].map((one) => one[name]);
    if (!all.length && picks) all.push(picks[name]);
    const found = new Float32Array(all.reduce((sum, part_) => sum + part_.length, 0));
    let n = 0;
    for (const part_ of all) for (const v of part_) if (Number.isFinite(v)) found[n++] = v;
    return found.subarray(0, n).sort();
  };
  const bars = (name, plot, room, label, ends) => {
    const sorted = values(name);
    room.hidden = !sorted.length;
    if (!sorted.length) return;
    const at = (share) => sorted[Math.round(share * (sorted.length - 1))];
    const inside = ends.filter((v) => v !== null);
    const [first, last] = [Math.min(at(0), ...inside), Math.max(at(0.995), ...inside)];
    const wide = last > first ? last - first : Math.abs(first) || 1;
    const edges = Array.from({ length: BINS + 1 }, (_, i) => first + (wide * i) / BINS);
    const heights = new Array(BINS).fill(0);
    for (const v of sorted) heights[Math.min(BINS - 1, Math.max(0, Math.floor(((v - first) / wide) * BINS)))]++;
    plot.show({ label, digits: wide >= 20 ? 1 : wide >= 2 ? 2 : 3, edges, counts: heights });
  };
  const redraw = () => {
    if (score.held() || power.held()) return; // nothing moves under a person's hand
    bars("scores", score, scoreRoom, "score", [cut.score]);
    bars("powers", power, powerRoom, "local power", [cut.low, cut.high]);
    handles();
    const none = (picks?.scores.length ?? 0) > 0 || recent.size > 0;
    unknown.textContent = none && powerRoom.hidden ? "No local power is known of these picks." : "";
  };

  panel.append(back);

  // Drawing ----------------------------------------------------------------------------------------------------------

  const kind = (i) => {
    if (removed(i)) return "removed";
    return !keeps(picks.scores[i], picks.powers[i]) ? "cut" : picks.byHand[i] ? "added" : "kept";
  };
  const drawn = (i) => picks && (set.cut || kind(i) !== "cut");
  const ring = (context, look, all, { scale, left, top, width, height }) => {
    const r = Math.max(2.5, (look.radius ?? picks?.radius ?? 20) * scale);
    context.beginPath();
    for (const [y_, x_] of all) {
      const [y, x] = [(y_ - top) * scale, (x_ - left) * scale];
      if (x < -r || y < -r || x > width + r || y > height + r) continue;
      context.moveTo(x + r, y);
      context.arc(x, y, r, 0, 7);
      const s = look.sign && Math.min(5, r / 2);
      if (look.sign === "+") for (const [a, b] of [[s, 0], [0, s]]) (context.moveTo(x - a, y - b), context.lineTo(x + a, y + b));
      if (look.sign === "×") for (const a of [s, -s]) (context.moveTo(x - s, y - a), context.lineTo(x + s, y + a));
    }
    context.setLineDash(look.dash);
    stroke(context, look.colour);
    context.setLineDash([]);
  };
  const place = (i) => [picks.places[2 * i], picks.places[2 * i + 1]];
  // Where there are no picks yet a circle of the size of the particles goes with the mouse, to be held against some.
  const example = (context, shot, frame) => {
    const size = model.get("size");
    ring(context, { ...LOOKS.kept, radius: size / 2 / shot.pixel }, [mouse], frame);
    return [`a circle of ${size.toFixed(0)} Å`];
  };
  const draw = (context, shot, frame) => {
    el.dataset.picks = "";
    if (shot && !picks && mouse && model.get("size") && shot.pixel) return example(context, shot, frame);
    if (!shot || !set.picks) return [];
    const found = { kept: [], cut: [], removed: [], added: [] };
    for (let i = 0; picks && i < picks.scores.length; i++) if (drawn(i)) found[kind(i)].push(place(i));
    for (const name of ["cut", "removed", "kept", "added"]) ring(context, LOOKS[name], found[name], frame);
    for (const [name, all] of more()) ring(context, LOOKS[name], all, frame);
    el.dataset.picks = found.kept.length + found.added.length;
    if (chosen < 0) return [];
    ring(context, { colour: "#fff", dash: [], sign: "" }, [place(chosen)], frame);
    const said = [["score", picks.scores[chosen]], ["local power", picks.powers[chosen]]];
    const words = said.filter(([, v]) => Number.isFinite(v)).map(([name, v]) => `${name} ${v.toFixed(2)}`);
    return [[picks.byHand[chosen] ? "a pick by hand" : "a pick", ...words, kind(chosen)].join(", ")];
  };

  // The nearest pick of this micrograph within so many radii of a place; −1 where there is none.
  const nearest = ([y, x], reach = 1) => {
    const far = Math.max(reach * (picks?.radius ?? 0), NEAR / view.frame().scale);
    let [best, at] = [far, -1];
    for (let i = 0; picks && i < picks.scores.length; i++) {
      const away = Math.hypot(picks.places[2 * i] - y, picks.places[2 * i + 1] - x);
      if (away < best && drawn(i)) [best, at] = [away, i];
    }
    return at;
  };
  const choose = (i) => {
    chosen = i === chosen ? -1 : i;
    el.dataset.chosen = chosen;
    view.later();
  };

  // Messages ---------------------------------------------------------------------------------------------------------

  const read = (shot, message, buffers) => {
    [picks, chosen] = [null, -1];
    if (shot?.picks) {
      const [places_, scores, powers, byHand] = shot.picks.at.map((i) => floats(buffers[i]));
      picks = { ...shot.picks, places: places_, scores, powers, byHand };
    }
    redraw();
    count();
  };
  const hear = (message, buffers) => {
    if (message.type === "recent") {
      if (message.all) recent.clear();
      for (const id of message.gone) recent.delete(id);
      const [scores, powers] = buffers.map(floats);
      let at = 0;
      message.ids.forEach((id, i) => {
        const end = at + message.counts[i];
        recent.set(id, { scores: scores.subarray(at, end), powers: powers.subarray(at, end) });
        at = end;
      });
    } else if (message.type === "cut") {
      applied = { score: message.score_min, low: message.power_min, high: message.power_max };
      if (message.step === about && touched) return soon();
      [about, touched, cut] = [message.step, false, applied];
    } else return;
    redraw();
    soon();
  };
  const switched = (key, text, hint) =>
    chip(text, set[key], (one) => {
      set[key] = !set[key];
      one.setAttribute("aria-checked", set[key]);
      view.arrange();
      view.later();
    }, hint);
  const tools = (shot) => {
    if (!shot.picks) return [];
    const parts = [switched("picks", "picks", "circles of the particle's diameter")];
    if (set.picks) parts.push(switched("cut", "those cut", "dashed circles: what the sliders take away"));
    return parts;
  };
  return {
    read,
    hear,
    draw,
    tools,
    click: (at, event) => !event.button && (choose(nearest(at)), false),
    hover: (at) => {
      mouse = picks ? null : at;
      if (!picks) view.later();
    },
    nearest,
    place,
    ring,
    choose,
    picks: () => picks,
  };
}
