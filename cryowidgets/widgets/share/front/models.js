// What a page knows of the widgets of its kernel: their traits, and who wants to hear of them.

const TARGET = "jupyter.widget";
const CONTROL = "jupyter.widget.control"; // hands out the state of all widgets at once

// As anywidget has it: what our views are given.
class Model {
  lossless = true; // it hears every message from the first one on, see listen.js
  #calls = new Map();
  #changed = new Set();
  #send;

  constructor(id, state, send) {
    this.id = id;
    this.state = state;
    this.#send = send;
  }

  get(name) {
    return this.state[name];
  }

  set(name, value) {
    this.state[name] = value;
    this.#changed.add(name);
    this.fire(`change:${name}`, this, value);
  }

  save_changes() {
    const state = Object.fromEntries([...this.#changed].map((name) => [name, this.state[name]]));
    this.#changed.clear();
    this.#send("comm_msg", { comm_id: this.id, data: { method: "update", state, buffer_paths: [] } });
  }

  send(content, _, buffers) {
    this.#send("comm_msg", { comm_id: this.id, data: { method: "custom", content } }, {}, buffers);
  }

  on(event, call) {
    if (!this.#calls.has(event)) this.#calls.set(event, new Set());
    this.#calls.get(event).add(call);
  }

  off(event, call) {
    this.#calls.get(event)?.delete(call);
  }

  // One listener's fault is not another's.
  fire(event, ...values) {
    for (const call of [...(this.#calls.get(event) ?? [])]) {
      try {
        call(...values);
      } catch (error) {
        console.error(error);
      }
    }
  }

  take(state) {
    Object.assign(this.state, state);
    for (const [name, value] of Object.entries(state)) this.fire(`change:${name}`, this, value);
    this.fire("change", this);
  }
}

// Buffers come beside the state that they belong into.
function whole({ state, buffer_paths = [] }, buffers) {
  buffer_paths.forEach((path, i) => {
    const place = path.slice(0, -1).reduce((found, key) => found[key], state);
    place[path.at(-1)] = buffers[i];
  });
  return state;
}

// All widgets of a kernel. `asked` is called while their state is on its way; `there` once they are known, and again after
// each time that the line broke: what was said meanwhile is lost, so all are new. `strange` is called with the state of
// one that is none of `known`.
function follow(address, { known, asked, there, strange, signal }) {
  const models = new Map();
  const control = `${session}-control`;
  let round = 0;
  const add = (id, state) => {
    if (!known(state)) strange(state);
    models.set(id, new Model(id, state, say));
  };
  const heard = ({ kind, content, buffers }) => {
    const { comm_id: id, data } = content;
    if (kind === "comm_open" && content.target_name === TARGET) add(id, whole(data, buffers));
    else if (kind === "comm_close") models.delete(id);
    else if (kind !== "comm_msg") return;
    else if (id === `${control}${round}` && data.method === "update_states") {
      models.clear();
      whole({ state: data.states, buffer_paths: data.buffer_paths }, buffers);
      for (const [id, { state }] of Object.entries(data.states)) add(id, state);
      if (!signal.aborted) there(models);
    } else if (data.method === "update") models.get(id)?.take(whole(data, buffers));
    else if (data.method === "custom") models.get(id)?.fire("msg:custom", data.content, buffers);
  };
  const opened = () => {
    const comm_id = `${control}${++round}`;
    say("comm_open", { comm_id, target_name: CONTROL, data: {} }, { version: "1.0.0" });
    say("comm_msg", { comm_id, data: { method: "request_states" } });
    asked();
  };
  const say = connect(address, { opened, heard, signal });
  return models;
}
