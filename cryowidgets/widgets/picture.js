// Pictures as values: from JPEG to greys, low-pass, contrast; and what is drawn over them.

const HALF = Math.sqrt(Math.LN2 / 2) / Math.PI; // deviation of a Gaussian that halves a period of 1
const DEVIATION = 46; // grey levels of one standard deviation at contrast 1
const COLOURS = ["#ffcf4d", "#56c8ff"]; // particles, ways: both beside grey and beside each other

async function greys(bytes) {
  const image = await createImageBitmap(new Blob([bytes], { type: "image/jpeg" }));
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.width, image.height];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const data = context.getImageData(0, 0, image.width, image.height).data;
  const grey = new Float32Array(image.width * image.height);
  for (let i = 0; i < grey.length; i++) grey[i] = data[4 * i + 1];
  return { grey, width: image.width, height: image.height };
}

// Mean over 2 r + 1 values along lines: three of them are nearly a Gaussian.
function smear(from, to, count, length, step, line, r) {
  const norm = 1 / (2 * r + 1);
  for (let i = 0; i < count; i++) {
    const start = i * line;
    const at = (k) => from[start + step * Math.min(length - 1, Math.max(0, k))];
    let sum = 0;
    for (let k = -r; k <= r; k++) sum += at(k);
    for (let k = 0; k < length; k++) {
      to[start + step * k] = sum * norm;
      sum += at(k + r + 1) - at(k - r);
    }
  }
}

function blurred({ grey, width, height }, sigma) {
  const r = Math.round((Math.sqrt(4 * sigma * sigma + 1) - 1) / 2);
  if (r < 1) return grey;
  let [a, b] = [Float32Array.from(grey), new Float32Array(grey.length)];
  for (let k = 0; k < 3; k++) {
    smear(a, b, height, width, 1, width, r);
    smear(b, a, width, height, width, 1, r);
  }
  return a;
}

function moments(values) {
  let [sum, square] = [0, 0];
  for (const v of values) [sum, square] = [sum + v, square + v * v];
  const mean = sum / values.length;
  return [mean, Math.sqrt(Math.max(square / values.length - mean * mean, 1e-6))];
}

// Values as greys on the picture's own canvas. `sigma` is in its px; a `plain` picture keeps its middle grey.
function develop(picture, { sigma, contrast, brightness, plain }) {
  const values = blurred(picture, sigma);
  const [mean, deviation] = plain ? [127.5, DEVIATION] : moments(values);
  const gain = (contrast * DEVIATION) / deviation;
  const offset = 127.5 + 127.5 * brightness;
  const image = new ImageData(picture.width, picture.height);
  const words = new Uint32Array(image.data.buffer);
  for (let i = 0; i < words.length; i++) {
    const v = Math.min(255, Math.max(0, offset + gain * (values[i] - mean))) | 0;
    words[i] = 0xff000000 | (v << 16) | (v << 8) | v;
  }
  picture.canvas ??= document.createElement("canvas");
  [picture.canvas.width, picture.canvas.height] = [picture.width, picture.height];
  picture.canvas.getContext("2d").putImageData(image, 0, 0);
}

// What follows draws on a canvas that shows the picture from (left, top) on, `scale` times as large.

function paint(context, picture, { scale, left, top }) {
  if (!picture?.canvas) return;
  const [y0, x0, y1, x1] = picture.box;
  context.imageSmoothingEnabled = (scale * (x1 - x0)) / picture.width < 3;
  context.drawImage(picture.canvas, (x0 - left) * scale, (y0 - top) * scale, (x1 - x0) * scale, (y1 - y0) * scale);
}

// Circles about particles with a score within the range; returns how many there are of them, in view or not.
function circles(context, picks, scores, { scale, left, top, width, height }) {
  const { places: at, scores: of, radius } = picks;
  const r = Math.max(2, radius * scale);
  let count = 0;
  context.beginPath();
  for (let i = 0; i < at.length / 2; i++) {
    if (scores && of.length && (of[i] < scores[0] || of[i] > scores[1])) continue;
    count++;
    const [y, x] = [(at[2 * i] - top) * scale, (at[2 * i + 1] - left) * scale];
    if (x < -r || y < -r || x > width + r || y > height + r) continue;
    context.moveTo(x + r, y);
    context.arc(x, y, r, 0, 7);
  }
  stroke(context, COLOURS[0]);
  return count;
}

// The ways of parts from their centres on, `times` as long as they are.
function ways(context, { centres, tracks, frames, times }, { scale, left, top }) {
  context.beginPath();
  for (let i = 0; i < centres.length / 2; i++) {
    const [cy, cx] = [(centres[2 * i] - top) * scale, (centres[2 * i + 1] - left) * scale];
    context.moveTo(cx + 3, cy);
    context.arc(cx, cy, 3, 0, 7);
    for (let k = 0; k < frames; k++) {
      const j = 2 * (i * frames + k);
      const [y, x] = [cy + times * tracks[j] * scale, cx + times * tracks[j + 1] * scale];
      if (k) context.lineTo(x, y);
      else context.moveTo(x, y);
    }
  }
  stroke(context, COLOURS[1]);
}

function stroke(context, colour) {
  for (const [style, width] of [["rgba(0, 0, 0, 0.55)", 3], [colour, 1.5]]) {
    context.strokeStyle = style;
    context.lineWidth = width;
    context.stroke();
  }
}

// A bar of a round length at the lower right of a picture.
function bar(context, { pixel, width: wide, height: high }, { scale, left, top, width, height }) {
  const most = (0.28 * width * pixel) / scale; // Å
  const power = 10 ** Math.floor(Math.log10(most));
  const length = [5, 2, 1].find((n) => n * power <= most) * power;
  const long = (length / pixel) * scale;
  const [x, y] = [Math.min(width, (wide - left) * scale) - long - 12, Math.min(height, (high - top) * scale) - 14];
  context.fillStyle = "rgba(0, 0, 0, 0.55)";
  context.fillRect(x - 6, y - 20, long + 12, 30);
  context.fillStyle = "#fff";
  context.fillRect(x, y, long, 4);
  context.font = "12px system-ui, sans-serif";
  context.textAlign = "center";
  context.fillText(length >= 10 ? `${length / 10} nm` : `${length} Å`, x + long / 2, y - 6);
}

