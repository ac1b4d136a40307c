// The line from a page to its kernel: messages of Jupyter, on a websocket that is opened again where it breaks.

const PROTOCOL = "v1.kernel.websocket.jupyter.org";
const LASTING = 15000; // ms after which a line is one that holds: one that breaks at once is not tried twice a second
const encoder = new TextEncoder();
const decoder = new TextDecoder();
const session = crypto.getRandomValues(new Uint32Array(4)).join("");
let count = 0;

// A message begins with how many offsets follow, each of eight bytes; what lies between two of them is a part.
function pack(kind, content, metadata = {}, buffers = []) {
  const id = `${session}-${count++}`;
  const header = { msg_id: id, msg_type: kind, session, username: "", version: "5.4", date: new Date().toISOString() };
  const said = ["shell", header, {}, metadata, content];
  const parts = said.map((part, i) => encoder.encode(i ? JSON.stringify(part) : part));
  parts.push(...buffers.map((b) => new Uint8Array(b.buffer ?? b, b.byteOffset ?? 0, b.byteLength)));
  const first = 8 * (parts.length + 2);
  const packed = new Uint8Array(parts.reduce((sum, part) => sum + part.length, first));
  const view = new DataView(packed.buffer);
  view.setBigUint64(0, BigInt(parts.length + 1), true);
  let at = first;
  parts.forEach((part, i) => {
    view.setBigUint64(8 * (i + 1), BigInt(at), true);
    packed.set(part, at);
    at += part.length;
  });
  view.setBigUint64(8 * (parts.length + 1), BigInt(at), true);
  return packed;
}

function unpack(packed) {
  const view = new DataView(packed);
  const offsets = Array.from({ length: Number(view.getBigUint64(0, true)) }, (_, i) =>
    Number(view.getBigUint64(8 * (i + 1), true)),
  );
  const part = (i) => new Uint8Array(packed, offsets[i], offsets[i + 1] - offsets[i]);
  const json = (i) => JSON.parse(decoder.decode(part(i)));
  const buffers = offsets.slice(5, -1).map((at, i) => new DataView(packed, at, offsets[i + 6] - at));
  return { kind: json(1).msg_type, content: json(4), buffers };
}

// `opened` is called each time that there is a line, `heard` with each message. A line that breaks is tried again, more
// and more seldom, until `signal` says that nobody wants it any more.
function connect(address, { opened, heard, signal }) {
  let socket;
  let wait = 500;
  const open = () => {
    if (signal.aborted) return;
    socket = new WebSocket(`${address}?session_id=${session}`, [PROTOCOL]);
    socket.binaryType = "arraybuffer";
    let since = Infinity;
    socket.onopen = () => {
      since = performance.now();
      opened();
    };
    socket.onmessage = ({ data }) => data instanceof ArrayBuffer && !signal.aborted && heard(unpack(data));
    socket.onclose = () => {
      if (performance.now() - since > LASTING) wait = 500;
      setTimeout(open, wait);
      wait = Math.min(2 * wait, 15000);
    };
  };
  signal.addEventListener("abort", () => socket.close());
  open();
  return (...message) => socket.readyState === WebSocket.OPEN && socket.send(pack(...message));
}
