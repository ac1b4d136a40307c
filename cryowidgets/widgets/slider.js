// Sliders that need no form control, so that a page without controls may have them too; by pointer and by key.
// All events stop here: keys of a notebook and wheels of a picture mean other things.

const STEPS = 60; // presses of an arrow key from one end to the other

function thumb(label) {
  const el = document.createElement("span");
  el.className = "cw-sl-thumb";
  el.tabIndex = 0;
  el.setAttribute("role", "slider");
  el.setAttribute("aria-label", label);
  el.setAttribute("aria-valuemin", 0);
  el.setAttribute("aria-valuemax", 100);
  return el;
}

function track(el, thumbs, places, moved, steps = STEPS) {
  let held = -1;
  const place = (event) => {
    const box = el.getBoundingClientRect();
    return Math.min(1, Math.max(0, (event.clientX - box.left) / (box.width || 1)));
  };
  const nearest = (at) => {
    const far = places().map((p) => Math.abs(p - at));
    const least = Math.min(...far);
    return at > places()[places().length - 1] ? far.lastIndexOf(least) : far.indexOf(least);
  };
  el.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    event.preventDefault();
    event.stopPropagation();
    const at = place(event);
    held = nearest(at);
    thumbs[held].focus();
    el.setPointerCapture(event.pointerId);
    moved(held, at, false);
  });
  el.addEventListener("pointermove", (event) => held >= 0 && moved(held, place(event), false));
  const drop = () => {
    if (held >= 0) moved(held, places()[held], true);
    held = -1;
  };
  el.addEventListener("pointerup", drop);
  el.addEventListener("pointercancel", drop);
  thumbs.forEach((one, i) =>
    one.addEventListener("keydown", (event) => {
      const step = (event.shiftKey ? 6 : 1) / steps;
      const by = { ArrowRight: step, ArrowUp: step, ArrowLeft: -step, ArrowDown: -step, PageUp: 0.2, PageDown: -0.2 };
      const to = { Home: 0, End: 1 }[event.key] ?? (event.key in by ? places()[i] + by[event.key] : null);
      if (event.key !== "Tab") event.stopPropagation();
      if (to === null) return;
      event.preventDefault();
      moved(i, Math.min(1, Math.max(0, to)), true);
    }),
  );
}

// One value: `at` is its place from 0 to 1; `say` puts a place into words; a double click goes back to where it began.
// Arrow keys go from one end to the other in `steps`.
function slider({ label, at, say, changed, hint = "", steps = STEPS }) {
  const el = document.createElement("span");
  const name = document.createElement("span");
  const rail = document.createElement("span");
  const word = document.createElement("span");
  const one = thumb(label);
  const first = at;
  el.className = "cw-sl";
  rail.className = "cw-sl-rail";
  word.className = "cw-sl-word";
  name.textContent = label;
  el.title = `${hint}${hint ? "; " : ""}double click: as at first`;
  rail.append(one);
  el.append(name, rail, word);
  const draw = () => {
    one.style.left = `${100 * at}%`;
    one.setAttribute("aria-valuenow", Math.round(100 * at));
    one.setAttribute("aria-valuetext", say(at));
    word.textContent = say(at);
  };
  const move = (_, to) => {
    if (to === at) return;
    at = to;
    draw();
    changed(at);
  };
  track(rail, [one], () => [at], move, steps);
  el.addEventListener("dblclick", () => move(0, first));
  draw();
  return { el, get: () => at, set: (to) => ((at = to), draw()), held: () => rail.contains(document.activeElement) };
}

// Two values, the lower and the upper end of a range, each with a place from 0 to 1.
function range({ label, at, say, changed }) {
  const rail = document.createElement("span");
  const between = document.createElement("span");
  const ends = [thumb(`${label}, from`), thumb(`${label}, to`)];
  rail.className = "cw-sl-rail";
  between.className = "cw-sl-between";
  rail.append(between, ...ends);
  const draw = () => {
    at.forEach((place, i) => {
      ends[i].style.left = `${100 * place}%`;
      ends[i].setAttribute("aria-valuenow", Math.round(100 * place));
      ends[i].setAttribute("aria-valuetext", say(i, place));
    });
    between.style.left = `${100 * at[0]}%`;
    between.style.right = `${100 - 100 * at[1]}%`;
  };
  track(rail, ends, () => at, (i, to, last) => {
    const place = i ? Math.max(at[0], to) : Math.min(at[1], to);
    if (place === at[i] && !last) return;
    at = i ? [at[0], place] : [place, at[1]];
    draw();
    changed(at, last);
  });
  draw();
  return { el: rail, set: (ends_) => ((at = ends_), draw()), held: () => rail.contains(document.activeElement) };
}

// A word to switch something on and off.
function chip(text, on, pressed, hint = "") {
  const el = document.createElement("span");
  el.className = "cw-ex-chip";
  el.tabIndex = 0;
  el.setAttribute("role", "checkbox");
  el.setAttribute("aria-checked", on);
  el.textContent = text;
  el.title = hint;
  const press = () => pressed(el);
  el.addEventListener("click", press);
  el.addEventListener("keydown", (event) => {
    if (event.key !== "Tab") event.stopPropagation();
    if (event.key !== " " && event.key !== "Enter") return;
    event.preventDefault();
    press();
  });
  return el;
}

