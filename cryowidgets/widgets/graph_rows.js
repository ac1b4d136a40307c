// A workflow that is longer than its room is wide is broken into rows, as a text is into lines: where it breaks, and the
// way of a link from the end of a row to the beginning of the next one.

const LANE = 8; // px between links beside each other in the margins and between rows
const TURN = 6; // px of their corners

// Rows of at most so many layers, each as [first, last]: broken where few links pass, and of about the same length.
function rowsOf(plan, most) {
  const { layers } = plan;
  const at = Object.fromEntries(plan.steps.map((step) => [step.name, step.at[0]]));
  const passing = Array.from({ length: layers }, () => new Set());
  for (const { source, target } of plan.links) for (let l = at[source]; l < at[target]; l++) passing[l].add(source);
  const best = [{ cost: 0, from: 0 }];
  for (let end = 1; end <= layers; end++) {
    best[end] = { cost: Infinity, from: 0 };
    for (let from = Math.max(0, end - most); from < end; from++) {
      const cost = best[from].cost + (from ? passing[from - 1].size : 0) + 0.05 * (most - (end - from)) ** 2;
      if (cost < best[end].cost) best[end] = { cost, from };
    }
  }
  const rows = [];
  for (let end = layers; end > 0; end = best[end].from) rows.unshift([best[end].from, end - 1]);
  return rows;
}

// Where the rows lie: corner(at) of a card, and what its links need to know; `gap` is [x, y] between cards.
function rowsLaid(plan, rows, card, gap, edge) {
  const row = (layer) => rows.findIndex(([, last]) => layer <= last);
  const spans = rows.map(() => [Infinity, -Infinity]);
  const stretch = ([layer, place]) => {
    const span = spans[row(layer)];
    span[0] = Math.min(span[0], place);
    span[1] = Math.max(span[1], place);
  };
  const places = Object.fromEntries(plan.steps.map((step) => [step.name, step.at]));
  for (const step of plan.steps) stretch(step.at);
  // Of each fold, the steps whose links pass it, those that come from above first.
  const folds = rows.slice(1).map(() => new Map());
  for (const link of plan.links) {
    const points = [places[link.source], ...link.through, places[link.target]];
    for (const at of link.through) stretch(at);
    for (let i = 1; i < points.length; i++) {
      const here = row(points[i - 1][0]);
      if (row(points[i][0]) === here) continue;
      folds[here].set(link.source, Math.min(folds[here].get(link.source) ?? Infinity, points[i - 1][1]));
    }
  }
  const lanes = folds.map((fold) => [...fold].sort((a, b) => a[1] - b[1]).map(([source]) => source));
  const margin = edge + (lanes.length ? 10 + LANE * Math.max(...lanes.map((lane) => lane.length)) : 0);
  const length = (r) => (rows[r][1] - rows[r][0] + 1) * (card.w + gap[0]) - gap[0];
  const tops = [edge];
  const deep = (r) => (spans[r][1] - spans[r][0]) * (card.h + gap[1]) + card.h;
  rows.forEach((_, r) => tops.push(tops[r] + deep(r) + (r < lanes.length ? 2 * LANE + LANE * lanes[r].length : 0)));
  const corner = ([layer, place]) => {
    const r = row(layer);
    return [margin + (layer - rows[r][0]) * (card.w + gap[0]), tops[r] + (place - spans[r][0]) * (card.h + gap[1])];
  };
  // From the end of a row to the beginning of the next, in the lane of the step that the link comes from.
  const over = (link, from, to, [x0, y0], [x1, y1]) => {
    const r = row(from[0]);
    const n = lanes[r].length - 1 - lanes[r].indexOf(link.source);
    const right = margin + length(r) + 10 + n * LANE;
    const between = tops[r] + deep(r) + 1.5 * LANE + n * LANE;
    const left = margin - 10 - (lanes[r].length - 1 - n) * LANE;
    return turned([[x0, y0], [right, y0], [right, between], [left, between], [left, y1], [x1, y1]]);
  };
  return {
    size: [Math.max(...rows.map((_, r) => length(r))) + 2 * margin, tops.at(-1) + edge],
    corner,
    folds: (from, to) => row(from[0]) !== row(to[0]),
    over,
  };
}

// A line through points at right angles, its corners round, that goes on from where the first point is.
function turned(points) {
  let d = "";
  for (let i = 1; i < points.length - 1; i++) {
    const [[x0, y0], [x, y], [x1, y1]] = points.slice(i - 1, i + 2);
    const near = (a, b) => [a, b].map((v) => Math.sign(v) * Math.min(TURN, Math.abs(v) / 2));
    const [before, after] = [near(x0 - x, y0 - y), near(x1 - x, y1 - y)];
    d += `L${x + before[0]} ${y + before[1]}Q${x} ${y} ${x + after[0]} ${y + after[1]}`;
  }
  return `${d}L${points.at(-1).join(" ")}`;
}
