// A picture to be looked at closely, and over it particles and the ways of its parts.

function render({ model, el, signal }) {
  const set = { picks: true, tracks: false, scores: null };
  const over = ({ later, arrange }) => {
    const switched = (key, text, hint) =>
      chip(text, set[key], (one) => {
        set[key] = !set[key];
        one.setAttribute("aria-checked", set[key]);
        arrange();
        later();
      }, hint);
    const scores = ([low, high]) => {
      const value = (at) => low + at * (high - low);
      const line = document.createElement("span");
      const label = document.createElement("span");
      const text = document.createElement("span");
      const say = () => (text.textContent = set.scores ? set.scores.map((v) => v.toFixed(2)).join(" – ") : "all");
      const from = set.scores ? set.scores.map((v) => Math.min(1, Math.max(0, (v - low) / (high - low)))) : [0, 1];
      const two = range({
        label: "score",
        at: from,
        say: (_, at) => value(at).toFixed(2),
        changed: (at) => {
          const ends = [at[0] <= 0 ? -Infinity : value(at[0]), at[1] >= 1 ? Infinity : value(at[1])];
          set.scores = at[0] <= 0 && at[1] >= 1 ? null : ends;
          text.textContent = set.scores ? at.map((a) => value(a).toFixed(2)).join(" – ") : "all";
          later();
        },
      });
      line.className = "cw-sl";
      text.className = "cw-sl-word";
      label.textContent = "score";
      say();
      line.append(label, two.el, text);
      return line;
    };
    const motion = () => {
      set.tracks = model.get("motion");
      arrange();
      later();
    };
    set.tracks = model.get("motion");
    model.on("change:motion", motion);
    signal.addEventListener("abort", () => model.off("change:motion", motion));
    return {
      read: (shot, message, buffers) => {
        const arrays = (part) => part.at.map((i) => floats(buffers[i]));
        if (shot?.picks) {
          const [places, of] = arrays(message.picks);
          shot.picks = { ...message.picks, places, scores: of };
        }
        if (shot?.tracks) {
          const [centres, tracks] = arrays(message.tracks);
          shot.tracks = { ...message.tracks, centres, tracks };
        }
      },
      draw: (context, shot, frame) => {
        const words = [];
        el.dataset.picks = "";
        if (!shot) return words;
        if (shot.tracks && set.tracks) {
          ways(context, shot.tracks, frame);
          words.push(shot.tracks.words);
        }
        if (shot.picks && set.picks) {
          const all = shot.picks.places.length / 2;
          const shown = circles(context, shot.picks, set.scores, frame);
          el.dataset.picks = shown;
          words.push(shown === all ? `${all} picks` : `${shown} of ${all} picks`);
        }
        return words;
      },
      tools: (shot) => {
        const parts = [];
        if (shot.picks) {
          parts.push(switched("picks", `picks by ${shot.picks.name}`, "circles of the particle's diameter"));
          if (set.picks && shot.picks.range) parts.push(scores(shot.picks.range));
        }
        if (shot.tracks) parts.push(switched("tracks", "local motion", "the ways of the parts beside the whole frame"));
        return parts;
      },
    };
  };
  return micrograph({ model, el, signal, over });
}

export default { render };
