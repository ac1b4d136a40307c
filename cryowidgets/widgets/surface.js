// The surface of a density at a level, seen from anywhere: rays through the voxels, one for each pixel, on the processor.
// A display without a graphics card shows the same as one with it, and there is one way to draw it, not two.

const STEP = 0.7; // voxels between two looks along a ray
const BLOCK = 4; // voxels along the edge of a block
const LIGHT = [-0.42, -0.52, -0.744]; // from the upper left, from where one looks
const BASE = [122, 168, 214]; // where nothing colours it
const PALE = [150, 150, 150]; // where there is no number to colour by

// The largest of the eight voxels about each place: where it is below the level no surface can be.
function peaks(data, n) {
  const most = new Uint16Array(data.length);
  const [line, sheet] = [n, n * n];
  for (let z = 0; z < n - 1; z++)
    for (let y = 0; y < n - 1; y++) {
      let i = z * sheet + y * line;
      const column = (k) => Math.max(data[k], data[k + line], data[k + sheet], data[k + sheet + line]);
      let last = column(i);
      for (let x = 0; x < n - 1; x++, i++) {
        const next = column(i + 1);
        most[i] = last > next ? last : next;
        last = next;
      }
    }
  return most;
}

// The largest voxel of each block of 4³ and of the blocks about it: where that is below the level, a ray may go on by
// the side of a block.
function blocks(most, n) {
  const m = (n + 3) >> 2;
  const own = new Uint16Array(m * m * m);
  for (let z = 0, i = 0; z < n; z++)
    for (let y = 0; y < n; y++)
      for (let x = 0; x < n; x++, i++) {
        const at = ((z >> 2) * m + (y >> 2)) * m + (x >> 2);
        if (most[i] > own[at]) own[at] = most[i];
      }
  let wide = own;
  for (const stride of [1, m, m * m]) {
    const next = wide.slice();
    for (let i = 0; i < wide.length; i++) {
      const place = Math.floor(i / stride) % m;
      if (place && wide[i - stride] > next[i]) next[i] = wide[i - stride];
      if (place < m - 1 && wide[i + stride] > next[i]) next[i] = wide[i + stride];
    }
    wide = next;
  }
  return wide;
}

// The density between voxels; the place has to be at least one voxel inside.
function density(data, n, x, y, z) {
  const i = x | 0;
  const j = y | 0;
  const k = z | 0;
  const a = x - i;
  const b = y - j;
  const at = (k * n + j) * n + i;
  const up = at + n * n;
  const p = data[at] + a * (data[at + 1] - data[at]);
  const q = data[at + n] + a * (data[at + n + 1] - data[at + n]);
  const r = data[up] + a * (data[up + 1] - data[up]);
  const s = data[up + n] + a * (data[up + n + 1] - data[up + n]);
  const near = p + b * (q - p);
  return near + (z - k) * (r + b * (s - r) - near);
}

// A byte between voxels, by those of the eight that know something; 0 where none does.
function worn(coat, n, x, y, z) {
  const i = x | 0;
  const j = y | 0;
  const k = z | 0;
  let [sum, weight] = [0, 0];
  for (let c = 0; c < 8; c++) {
    const value = coat[((k + (c >> 2)) * n + j + ((c >> 1) & 1)) * n + i + (c & 1)];
    if (!value) continue;
    const w = (c & 1 ? x - i : 1 - x + i) * (c & 2 ? y - j : 1 - y + j) * (c & 4 ? z - k : 1 - z + k) + 1e-6;
    sum += w * value;
    weight += w;
  }
  return weight ? Math.round(sum / weight) : 0;
}

// Where a line is inside of two planes, one axis after the other: `span` is narrowed.
function narrow(span, o, d, low, high) {
  if (d > -1e-9 && d < 1e-9) {
    if (o < low || o > high) span[1] = -Infinity;
    return;
  }
  const p = (low - o) / d;
  const q = (high - o) / d;
  span[0] = Math.max(span[0], Math.min(p, q));
  span[1] = Math.min(span[1], Math.max(p, q));
}

// Draws into `image`, a square ImageData; returns how many of its pixels show the surface.
// `turn` is three rows: where the screen's right, down and away point to, in x, y, z of the map. `scale` is voxels per pixel.
// `coat` has a byte for each voxel, 0 where it knows nothing; `ramp` a colour for each byte.
function cast({ data, most, wide, n }, { turn, scale }, level, image, coat, ramp) {
  const side = image.width;
  const words = new Uint32Array(image.data.buffer);
  words.fill(0);
  const [right, down, away] = turn;
  const [dx, dy, dz] = away;
  const middle = (n - 1) / 2;
  const m = (n + 3) >> 2;
  const span = [0, 0];
  let count = 0;
  for (let row = 0; row < side; row++) {
    const v = (row + 0.5 - side / 2) * scale;
    for (let column = 0; column < side; column++) {
      const u = (column + 0.5 - side / 2) * scale;
      const ox = middle + u * right[0] + v * down[0] - n * dx;
      const oy = middle + u * right[1] + v * down[1] - n * dy;
      const oz = middle + u * right[2] + v * down[2] - n * dz;
      span[0] = -1e9;
      span[1] = 1e9;
      narrow(span, ox, dx, 1, n - 2.001);
      narrow(span, oy, dy, 1, n - 2.001);
      narrow(span, oz, dz, 1, n - 2.001);
      const first = span[0];
      const last = span[1];
      let hit = -1;
      for (let t = first; t < last; t += STEP) {
        const x = ox + t * dx;
        const y = oy + t * dy;
        const z = oz + t * dz;
        if (wide[((z >> 2) * m + (y >> 2)) * m + (x >> 2)] < level) {
          t += BLOCK - STEP;
          continue;
        }
        if (most[((z | 0) * n + (y | 0)) * n + (x | 0)] < level || density(data, n, x, y, z) < level) continue;
        let from = Math.max(first, t - STEP);
        hit = t;
        for (let k = 0; k < 5; k++) {
          const half = (from + hit) / 2;
          if (density(data, n, ox + half * dx, oy + half * dy, oz + half * dz) < level) from = half;
          else hit = half;
        }
        break;
      }
      if (hit < 0) continue;
      count++;
      const far = n - 3.001;
      const x = Math.min(far, Math.max(2, ox + hit * dx));
      const y = Math.min(far, Math.max(2, oy + hit * dy));
      const z = Math.min(far, Math.max(2, oz + hit * dz));
      const gx = density(data, n, x - 1, y, z) - density(data, n, x + 1, y, z);
      const gy = density(data, n, x, y - 1, z) - density(data, n, x, y + 1, z);
      const gz = density(data, n, x, y, z - 1) - density(data, n, x, y, z + 1);
      const long = Math.sqrt(gx * gx + gy * gy + gz * gz) || 1;
      const lit =
        ((gx * right[0] + gy * right[1] + gz * right[2]) * LIGHT[0] +
          (gx * down[0] + gy * down[1] + gz * down[2]) * LIGHT[1] +
          (gx * dx + gy * dy + gz * dz) * LIGHT[2]) /
        long;
      const bright = lit > 0 ? lit : 0;
      const shade = (0.36 + 0.64 * bright) * (1.1 - (0.34 * (hit - n / 2)) / n);
      const shine = 60 * bright ** 24;
      let colour = BASE;
      if (coat) {
        const known = worn(coat, n, x + 0.5 * dx, y + 0.5 * dy, z + 0.5 * dz);
        colour = known ? ramp[known] : PALE;
      }
      const r = Math.min(255, colour[0] * shade + shine) | 0;
      const g = Math.min(255, colour[1] * shade + shine) | 0;
      const b = Math.min(255, colour[2] * shade + shine) | 0;
      words[row * side + column] = 0xff000000 | (b << 16) | (g << 8) | r;
    }
  }
  return count;
}

// How far from the middle there is anything at a level, in voxels.
function reach({ data, n }, level) {
  const middle = (n - 1) / 2;
  let most = 0;
  for (let z = 0, i = 0; z < n; z++)
    for (let y = 0; y < n; y++)
      for (let x = 0; x < n; x++, i++)
        if (data[i] >= level) most = Math.max(most, (x - middle) ** 2 + (y - middle) ** 2 + (z - middle) ** 2);
  return Math.sqrt(most);
}

// 256 colours between stops written as #rrggbb; the first is never asked for.
function between(stops) {
  const parts = stops.map((stop) => [1, 3, 5].map((i) => parseInt(stop.slice(i, i + 2), 16)));
  return Array.from({ length: 256 }, (_, i) => {
    const at = (Math.max(0, i - 1) / 254) * (parts.length - 1);
    const k = Math.min(parts.length - 2, Math.floor(at));
    return parts[k].map((part, c) => part + (at - k) * (parts[k + 1][c] - part));
  });
}

// Rows of a turn about one axis of the screen, in front of an earlier turn.
function turned(turn, axis, angle) {
  const [c, s] = [Math.cos(angle), Math.sin(angle)];
  const [a, b] = [(axis + 1) % 3, (axis + 2) % 3];
  const rows = turn.map((row) => [...row]);
  rows[a] = turn[a].map((value, i) => c * value + s * turn[b][i]);
  rows[b] = turn[b].map((value, i) => c * value - s * turn[a][i]);
  return rows;
}
