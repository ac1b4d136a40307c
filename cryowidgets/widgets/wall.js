// The facility wall: cards of the sessions that live, a strip of those at rest, both turned over like pages. All that
// it shows comes from the kernel; it has nothing to click.

const CARDS = 4; // large cards on a page: fewer are read from farther away
const STRIP = 4;
const LIST = 14; // sessions at rest on a page where none lives

async function render({ model, el, signal }) {
  await listen(model);
  el.classList.add("cw-wall");
  const known = new Map(); // id → { card, curves, picture }
  let behind = null; // s, this host's clock behind the kernel's
  let turned = 0;

  const top = make("header", "cw-wall-head");
  const title = make("h1", "", top);
  const summary = make("p", "cw-wall-summary", top);
  const clock = make("div", "cw-wall-clock", top);
  clock.setAttribute("role", "timer");
  const time = make("b", "", clock);
  const date = make("span", "", clock);
  const troubles = make("div", "cw-wall-troubles");
  troubles.setAttribute("role", "alert");
  const cards = make("main", "cw-wall-cards");
  const strip = make("footer", "cw-wall-strip");
  el.append(top, troubles, cards, strip);

  const head = () => model.get("head");
  const now = () => Date.now() / 1000 + (behind ?? 0);
  const there = (ids) => (ids ?? []).filter((id) => known.get(id)?.card);
  const page = (ids, size) => {
    const pages = Math.max(1, Math.ceil(ids.length / size));
    const n = turned % pages;
    return { ids: ids.slice(n * size, (n + 1) * size), n: n + 1, pages };
  };

  const draw = () => {
    const large = there(head().large);
    const rest = there(head().rest);
    const shown = page(large, CARDS);
    title.textContent = model.get("title");
    el.dataset.page = `${shown.n}/${shown.pages}`;
    cards.dataset.count = shown.ids.length;
    swap(cards, shown.ids.map((id) => card(id, shown.ids.length)));
    if (!large.length) cards.append(empty(rest));
    tell(large, rest, shown);
    drawStrip(large.length ? rest : []);
    el.dataset.cards = shown.ids.length;
    el.dataset.rest = rest.length;
    tick();
  };
  const tell = (large, rest, shown) => {
    const { running = 0, resting = 0, coming = 0 } = head();
    const words = [`${running} running`, `${large.length - running} not running`, `${resting} at rest`];
    if (large.length === running) words.splice(1, 1);
    if (coming) words.push(`${coming} more to look at`);
    if (shown.pages > 1) words.push(`page ${shown.n} of ${shown.pages}`);
    const hours = known.get(shown.ids[0])?.curves?.[0]?.hours;
    if (hours) words.push(`plots: ${hours} h`);
    summary.textContent = words.join(" · ");
    const lines = (head().troubles ?? []).map((text) => `▲ ${text}`);
    for (const id of large) {
      const worst = known.get(id).card.alerts.find((alert) => alert.level === "alarm" && !alert.known);
      if (worst && !shown.ids.includes(id)) lines.push(`▲ ${known.get(id).card.name}: ${worst.text}`);
    }
    troubles.hidden = !lines.length;
    swap(troubles, lines.slice(0, 3).map((text) => make("p", "", null, text)));
    if (lines.length > 3) make("p", "", troubles, `and ${lines.length - 3} more`);
  };

  const card = (id, size) => {
    const { card: c, curves = [], picture } = known.get(id);
    const box = make("article", "cw-wall-card");
    box.dataset.id = id;
    box.dataset.kind = c.alerts.some((a) => a.level === "alarm" && !a.known) ? "bad" : c.kind;
    const title = make("div", "cw-wall-title", box);
    make("h2", "", title, c.name);
    make("span", `cw-wall-state cw-wall-${c.kind}`, title, `${c.mark} ${c.state}`);
    make("p", "cw-wall-who", box, [c.user, c.microscope].filter(Boolean).join(" · "));
    const body = make("div", "cw-wall-body", box);
    const frame = make("div", "cw-wall-picture", body);
    if (picture) {
      const image = make("img", "", frame);
      image.src = picture;
      image.alt = `newest micrograph of ${c.name}`;
    } else make("span", "", frame, "no image yet");
    const side = make("div", "cw-wall-side", body);
    const numbers = make("div", "cw-wall-numbers", side);
    const brief = size === 4 && c.alerts.length; // the alerts take the room of the words
    number(numbers, c.rate, brief ? "/h" : "movies/h");
    number(numbers, "–", brief ? "ago" : "since the last").dataset.since = c.last ?? "";
    number(numbers, whole(c.done), "done");
    const plots = make("div", "cw-wall-plots", side);
    curves.forEach((curve) => plots.append(plot(curve)));
    const counts = [
      [c.waiting, "waiting", ""], [c.rejected, "rejected", ""], [c.failed, "failed", "bad"],
    ].filter(([n]) => n);
    box.dataset.alerts = c.alerts.length;
    const foot = make("div", "cw-wall-foot", box);
    const line = make("p", "cw-wall-counts", foot);
    counts.forEach(([n, word, kind]) => make("span", kind && `cw-wall-${kind}`, line, `${whole(n)} ${word}`));
    if (c.disk) make("p", `cw-wall-disk cw-wall-${c.disk.kind}`, foot, `${c.disk.mark} ${c.disk.text}`.trim());
    const alerts = make("div", "cw-wall-alerts", box);
    if (c.reason) make("p", "cw-wall-bad", alerts, `✕ ${c.reason}`);
    const all = c.alerts.length + c.more;
    const told = size === 4 ? c.alerts.slice(0, 1) : c.alerts; // on a small card the worst, and how many more
    const more = all - told.length;
    told.forEach((a) => {
      const kind = a.known ? "calm" : a.level === "alarm" ? "bad" : a.level === "warning" ? "warn" : "calm";
      make("p", `cw-wall-${kind}`, alerts, `${a.mark} ${a.level}${more ? ` (+${more})` : ""}: ${a.text}${a.known ? " (known)" : ""}`);
    });
    return box;
  };
  const number = (to, value, label) => {
    const cell = make("div", "", to);
    const shown = make("b", "", cell, value);
    make("span", "", cell, label);
    return shown;
  };

  const drawStrip = (rest) => {
    const shown = page(rest, STRIP);
    strip.hidden = !rest.length;
    swap(strip, shown.ids.map(small));
  };
  const small = (id) => {
    const c = known.get(id).card;
    const box = make("article", "cw-wall-small");
    const name = make("h3", "", box);
    make("span", `cw-wall-${c.kind}`, name, c.mark);
    name.append(` ${c.name}`);
    const line = make("p", "", box, [c.reason || c.state, c.user, c.done ? `${whole(c.done)} done` : ""].filter(Boolean).join(" · "));
    const ago = make("span", "", line);
    ago.dataset.ended = c.ended ?? "";
    return box;
  };
  const empty = (rest) => {
    if (rest.length) {
      const list = make("div", "cw-wall-list");
      list.append(...page(rest, LIST).ids.map(small));
      return list;
    }
    const { looked, coming } = head();
    return make("p", "cw-wall-none", null, !looked || coming ? "looking for sessions…" : "no session yet");
  };

  // What goes on by itself: the clock, and how long ago things were.
  const tick = () => {
    const { offset = 0, zone = "" } = head();
    const at = new Date((now() + offset) * 1000);
    time.textContent = at.toISOString().slice(11, 16);
    date.textContent = `${DAYS[at.getUTCDay()]} ${at.getUTCDate()} ${MONTHS[at.getUTCMonth()]} · ${zone}`;
    for (const e of el.querySelectorAll("[data-since]")) if (e.dataset.since) e.textContent = ago(now() - e.dataset.since);
    for (const e of el.querySelectorAll("[data-ended]")) {
      if (e.dataset.ended) e.textContent = ` · ${ago(now() - e.dataset.ended)} ago`;
    }
  };
  const receive = (message, buffers) => {
    const one = known.get(message.id) ?? {};
    if (message.type === "card") one.card = message.card;
    else if (message.type === "curves") one.curves = message.curves;
    else if (message.type === "picture" && buffers?.length) {
      if (one.picture) URL.revokeObjectURL(one.picture);
      one.picture = URL.createObjectURL(new Blob([buffers[0]], { type: "image/jpeg" }));
    } else return;
    known.set(message.id, one);
    soon();
  };
  const changed = () => {
    if (head().now) {
      const seen = head().now - Date.now() / 1000; // less by the time that the message took: the largest is the best
      behind = behind === null || Math.abs(seen - behind) > 10 ? seen : Math.max(seen, behind);
    }
    const ids = new Set([...(head().large ?? []), ...(head().rest ?? [])]);
    for (const [id, one] of known) {
      if (ids.has(id)) continue;
      if (one.picture) URL.revokeObjectURL(one.picture);
      known.delete(id);
    }
    soon();
  };
  let waiting = 0; // many messages come at once: draw them together
  const soon = () => {
    waiting ||= setTimeout(() => {
      waiting = 0;
      draw();
    }, 50);
  };
  const turn = () => {
    turned += 1;
    draw();
  };
  model.on("msg:custom", receive);
  model.on("change:head", changed);
  model.send({ type: "all" });
  const timers = [setInterval(tick, 1000), setInterval(turn, 1000 * model.get("turn"))];
  signal.addEventListener("abort", () => {
    timers.forEach(clearInterval);
    clearTimeout(waiting);
    model.off("msg:custom", receive);
    model.off("change:head", changed);
    for (const { picture } of known.values()) if (picture) URL.revokeObjectURL(picture);
  });
  changed();
  draw();
}

const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

function make(tag, name, to = null, text = "") {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text !== "") made.textContent = text;
  to?.append(made);
  return made;
}

function swap(box, children) {
  box.replaceChildren(...children);
}

function whole(n) {
  return String(n).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

// A length of time in its largest unit.
function ago(seconds) {
  const s = Math.max(0, seconds);
  if (s < 90) return `${Math.round(s)} s`;
  if (s < 90 * 60) return `${Math.round(s / 60)} min`;
  if (s < 36 * 3600) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86400)} d`;
}

// Mean of each bin as a line, from lowest to highest as a band; where nothing was recorded there is nothing.
function plot(curve) {
  const box = make("figure", "cw-wall-plot");
  const caption = make("figcaption", "", box);
  make("span", "", caption, curve.label);
  make("b", "", caption, curve.now);
  make("span", "", caption, curve.unit);
  const [low, mean, high] = curve.bands;
  const values = mean.filter((v) => v !== null);
  const area = make("div", "cw-wall-area", box);
  if (!values.length) {
    make("span", "cw-wall-calm", area, `none in ${curve.hours} h`);
    return box;
  }
  const rank = (band, share) => band.filter((v) => v !== null).sort((a, b) => a - b).at(Math.round(share * (values.length - 1)));
  let [least, most] = [rank(mean, 0.02), rank(mean, 0.98)]; // a few bad movies must not flatten the rest
  const room = Math.max(0.3 * (most - least), 0.05 * Math.abs(most), 1e-6);
  [least, most] = [rank(low, 0) < 0 ? least - room : Math.max(0, least - room), most + room];
  const n = mean.length;
  const y = (v) => (100 * (1 - (Math.min(most, Math.max(least, v)) - least) / (most - least))).toFixed(2);
  const runs = [];
  mean.forEach((v, i) => {
    if (v === null) return;
    if (i && mean[i - 1] !== null) runs.at(-1).push(i);
    else runs.push([i]);
  });
  const line = runs.map((run) => `M${run.map((i) => `${i + 0.5} ${y(mean[i])}`).join("L")}${run.length > 1 ? "" : "h0.01"}`);
  const band = runs.map((run) => {
    const up = run.map((i) => `${i + 0.5} ${y(high[i])}`);
    const down = run.map((i) => `${i + 0.5} ${y(low[i])}`).reverse();
    return `M${[...up, ...down].join("L")}Z`;
  });
  const svg = draw("svg", { viewBox: `0 0 ${n} 100`, preserveAspectRatio: "none", role: "img" });
  svg.setAttribute("aria-label", `${curve.label} over ${curve.hours} h, now ${curve.now} ${curve.unit}`);
  svg.append(draw("path", { d: band.join(""), class: "cw-wall-band" }), draw("path", { d: line.join(""), class: "cw-wall-line" }));
  area.append(svg);
  make("span", "cw-wall-most", area, most.toFixed(curve.digits));
  make("span", "cw-wall-least", area, least.toFixed(curve.digits));
  return box;
}

function draw(tag, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

export default { render };
