"""Our widgets in a real browser: alone in a bare page, and on the pages of Voila and JupyterLab."""

from __future__ import annotations

import base64
import json
import threading

import comm
import pytest
from comm.base_comm import BaseComm


class BrowserComm(BaseComm):
    """What a kernel would send to its pages, kept until the stage hands it over."""

    sent: list = []

    def publish_msg(self, msg_type, data=None, metadata=None, buffers=None, **keys):
        BrowserComm.sent.append((self.comm_id, msg_type, data or {}, [bytes(b) for b in buffers or []]))


MODEL = """
class Model {
  constructor(state, say) { this.state = state; this.calls = {}; this.say = say; }
  get(name) { return this.state[name]; }
  set(name, value) { this.state[name] = value; this.fire(`change:${name}`); }
  save_changes() {}
  on(event, call) { (this.calls[event] ??= new Set()).add(call); }
  off(event, call) { this.calls[event]?.delete(call); }
  fire(event, ...values) { for (const call of [...(this.calls[event] ?? [])]) call(...values); }
  send(message) { this.say(JSON.stringify(message)); }
}
const bytes = (text) => new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
globalThis.models = {};
globalThis.views = {};
globalThis.begin = (id, state) => { models[id] = new Model(state, (text) => globalThis.tell(id, text)); };
globalThis.draw = async (id, name, style) => {
  const el = document.createElement("div");
  el.id = name;
  el.setAttribute("style", style);
  document.body.append(el);
  const url = URL.createObjectURL(new Blob([models[id].get("_esm")], { type: "text/javascript" }));
  const stop = new AbortController();
  views[name] = stop;
  const done = (await import(url)).default.render({ model: models[id], el, signal: stop.signal });
  await done;
};
globalThis.drop = (name) => { views[name].abort(); document.getElementById(name).remove(); };
globalThis.hear = (id, data, buffers) => {
  const model = models[id];
  if (!model) return;
  if (data.method === "custom") model.fire("msg:custom", data.content, buffers.map(bytes));
  else if (data.method === "update") for (const [k, v] of Object.entries(data.state)) model.set(k, v);
};
"""


class Stage:
    """A bare page and real widgets: their messages go both ways, with no kernel and no Jupyter between."""

    def __init__(self, browser, address: str, **page) -> None:
        self.context = browser.new_context(**page)
        self.page = self.context.new_page()
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.page.on("pageerror", lambda e: self.errors.append(str(e)))
        self.page.on("console", lambda m: m.type == "error" and self.errors.append(m.text))
        self.page.on("request", lambda r: self.requests.append(r.url))
        self.page.expose_function("tell", self._told)
        self._widgets: dict = {}
        self._heard: list = []
        self.page.goto(address)
        self.begin()

    def begin(self) -> None:
        """An empty stage; also after the page was loaded anew, which no widget outlives."""
        self._widgets.clear()
        self._heard.clear()
        self.page.evaluate(f"() => {{ {MODEL} }}")

    def _told(self, id: str, text: str) -> None:
        self._heard.append((id, text))

    def draw(self, widget, name: str = "view", style: str = "width:600px;height:300px") -> None:
        """Show a widget in a new element; more than once for several views."""
        id = widget.comm.comm_id
        if id not in self._widgets:
            self._widgets[id] = widget
            state = {k: v for k, v in widget.get_state().items() if isinstance(v, (str, int, float, list, dict, bool))}
            style_sheet = widget.get_state().get("_css", "")
            self.page.add_style_tag(content=str(style_sheet))
            self.page.evaluate("([id, state]) => begin(id, state)", [id, state])
        self.page.evaluate("([id, name, style]) => { draw(id, name, style) }", [id, name, style])
        self.settle()

    def settle(self, until: str = "true", timeout: float = 20.0) -> None:
        """Carry messages to and fro until all is quiet and a JavaScript condition holds."""
        for _ in range(int(timeout / 0.05)):
            busy = bool(self._heard or BrowserComm.sent)
            while self._heard:
                id, text = self._heard.pop(0)
                message = {"content": {"data": {"method": "custom", "content": json.loads(text)}}, "buffers": []}
                self._widgets[id].comm.handle_msg(message)
            while BrowserComm.sent:
                id, kind, data, buffers = BrowserComm.sent.pop(0)
                if kind == "comm_msg" and id in self._widgets:
                    packed = [base64.b64encode(b).decode() for b in buffers]
                    self.page.evaluate("([id, data, buffers]) => hear(id, data, buffers)", [id, data, packed])
            if not busy and self.page.evaluate(until):
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"{until} did not come true within {timeout:g} s; errors: {self.errors}")

    def rows(self, name: str = "view") -> int:
        return int(self.page.evaluate("(name) => document.getElementById(name).dataset.rows", name))

    def close(self) -> None:
        self.context.close()


@pytest.fixture
def comms(monkeypatch):
    """Widgets talk to the stage in place of a kernel."""
    BrowserComm.sent.clear()
    monkeypatch.setattr(comm, "create_comm", lambda *args, **keys: BrowserComm(*args, **keys))
    return BrowserComm.sent


@pytest.fixture(scope="session")
def bare_server():
    """Address of a server that has a bare page and our own routes; ``/foreign`` names a server that lacks them."""
    import asyncio

    from tornado.httpserver import HTTPServer
    from tornado.netutil import bind_sockets
    from tornado.web import Application, RequestHandler

    from cryowidgets.widgets import server

    page = (
        "<!doctype html><meta charset=utf-8><title>stage</title><link rel=icon href='data:,'>"
        "<script id='jupyter-config-data' type='application/json'>{}</script><body style='margin:0'></body>"
    )

    class Page(RequestHandler):
        def initialize(self, base: str) -> None:
            self.base = base

        def get(self) -> None:
            self.write(page.replace("{}", json.dumps({"baseUrl": self.base})))

    ready, loop = threading.Event(), asyncio.new_event_loop()
    sockets = bind_sockets(0, "127.0.0.1")

    def run() -> None:
        asyncio.set_event_loop(loop)
        handlers = [("/", Page, {"base": "/"}), ("/foreign", Page, {"base": "/elsewhere/"}), *server.routes("/")]
        HTTPServer(Application(handlers)).add_sockets(sockets)
        loop.call_soon(ready.set)
        loop.run_forever()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    ready.wait(10)
    yield f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    for socket in sockets:
        socket.close()
    loop.close()


@pytest.fixture
def stage(chromium, bare_server, comms):
    """Open a bare page: ``stage()`` or ``stage("/foreign")``."""
    opened: list[Stage] = []

    def open_stage(path: str = "/", **page) -> Stage:
        opened.append(Stage(chromium, bare_server + path, **page))
        return opened[-1]

    yield open_stage
    for one in opened:
        one.close()
