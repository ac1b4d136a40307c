"""The process that serves pages: Voila, with a kernel for each viewer and without the faults that kill a kiosk.

Started by `cryowidgets.widgets.kiosk` as ``python -m cryowidgets.widgets.viewers FOLDER``, where FOLDER is private to
the two and holds ``settings.json``; the address is written to ``address`` in it. It ends when its standard input does,
so that it never outlives whoever started it.
"""

from __future__ import annotations

import hashlib
import html
import json
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_server.auth.login import LoginFormHandler
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from jupyter_server.utils import url_path_join
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.netutil import bind_sockets
from tornado.web import HTTPError, authenticated
from traitlets import Float
from traitlets.config import Config
from voila.app import Voila
from voila.tornado.handler import TornadoVoilaHandler
from voila.tornado.kernel_websocket_handler import VoilaKernelWebsocketHandler

from cryowidgets.widgets import drawings
from cryowidgets.widgets.server import routes

PROTOCOL = "v1.kernel.websocket.jupyter.org"

POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' blob: data:; connect-src 'self' ws: wss: blob: data:; "
    "object-src 'none'; base-uri 'self'; frame-ancestors 'self'"
)
"""Browsers enforce it: a page of ours loads nothing from elsewhere."""


class PageServer(Voila):
    """Voila for one notebook, as one process started from a folder of settings."""

    def __init__(self, settings: dict[str, Any], folder: Path, sockets: list[socket.socket]) -> None:
        self._folder, self._sockets = folder, sockets
        self._sessions = settings.get("sessions", "")
        super().__init__(config=configuration(settings, folder))

    def listen(self) -> None:
        HTTPServer(self.app, xheaders=True).add_sockets(self._sockets)
        self.ioloop = IOLoop.current()
        threading.Thread(target=self._end_with_parent, daemon=True, name="parent").start()
        address = self._folder / "address"
        half = address.with_suffix(".half")
        half.write_text(f"http://{self.ip}:{self.port}{self.base_url}")
        half.rename(address)
        try:
            self.ioloop.start()
        finally:
            self.stop()

    def init_handlers(self) -> list:
        self.identity_provider.login_handler_class = LoginPage
        replaced = {VoilaKernelWebsocketHandler: ViewerSocket, TornadoVoilaHandler: ViewerPage}
        handlers = [(h[0], replaced.get(h[1], h[1]), *h[2:]) for h in super().init_handlers()]
        return [*routes(self.base_url), *self._session_pages(), *handlers]

    def _session_pages(self) -> list[tuple]:
        """Beside the wizard the pages of sessions, ``session?project=…``: each reads its own address."""
        if not self._sessions:
            return []
        options = {
            "notebook_path": str(Path(self._sessions).relative_to(self.root_dir)),
            "template_paths": self.template_paths,
            "config": self.config,
            "voila_configuration": self.voila_configuration,
        }
        return [(url_path_join(self.server_url, "/session"), ViewerPage, options)]

    def _end_with_parent(self) -> None:
        sys.stdin.buffer.read()
        self.ioloop.add_callback(self.ioloop.stop)


def configuration(settings: dict[str, Any], folder: Path) -> Config:
    """All of Voila's settings; no file of the user or of the current folder has a say."""
    token = settings["token"]
    return Config(
        {
            "Voila": {
                "config_file_paths": [],
                "notebook_path": settings["notebook"],
                "root_dir": str(Path(settings["notebook"]).parent),
                "connection_dir_root": str(folder),
                "ip": settings["ip"],
                "port": settings["port"],
                "base_url": settings["base_url"],
                "open_browser": False,
                "token": token,
                # From the token, so that a wall display stays logged in when the server is started again.
                "cookie_secret": hashlib.sha256(b"cryowidgets login " + token.encode()).digest(),
                "log_level": "INFO",
                "tornado_settings": {"headers": {"Content-Security-Policy": POLICY}},
            },
            # Jupyter's own cookie name clashes where this page is shown through a Jupyter server of the same host.
            "IdentityProvider": {"cookie_name": f"cryowidgets-{hashlib.sha256(token.encode()).hexdigest()[:12]}"},
            "VoilaConfiguration": {
                "template": "cryowidgets",
                "theme": settings["theme"],
                "resources": {"title": settings["title"]},
                "allow_template_override": "NO",
                "allow_theme_override": "NO",
                "strip_sources": True,
                "show_tracebacks": False,
                "file_allowlist": [],
                "file_denylist": [".*"],
                # The first two are Voila's own way to draw widgets: without them a page waits for ever.
                "extension_allowlist": [
                    "@voila-dashboards/widgets-manager8",
                    "@jupyter-widgets/jupyterlab-manager",
                    "anywidget",
                ],
                "kernel_spec_manager_class": "cryowidgets.widgets.viewers.ViewerKernelSpecs",
                "multi_kernel_manager_class": "cryowidgets.widgets.viewers.ViewerKernels",
                "preheat_kernel": settings["pool"] > 0,
                "default_pool_size": settings["pool"],
            },
            "VoilaExecutor": {"timeout": 120},
            "KernelManager": {"transport": "ipc"},  # files that only this user can open, rather than open ports
            "ViewerKernels": {"orphan_timeout": settings["orphan_timeout"]},
        }
    )


class ViewerKernels(AsyncMappingKernelManager):
    """Ends the kernel of every page that is gone.

    The stock manager takes each message of a streaming kernel for activity and so keeps orphans for ever, with all
    that they say in memory.
    """

    orphan_timeout = Float(60.0, help="Seconds after its page has gone at which a kernel ends").tag(config=True)
    arrival_timeout = Float(120.0, help="Seconds that a page has to load and connect to its kernel").tag(config=True)
    buffer_offline_messages = False
    cull_idle_timeout = 1  # starts the stock timer, which asks `cull_kernel_if_idle`
    cull_interval = 5

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.buffer_offline_messages = False
        self.cull_interval = max(1, min(10, int(self.orphan_timeout / 3)))
        self._alone_since: dict[str, float] = {}
        self._had_page: set[str] = set()

    async def cull_kernel_if_idle(self, kernel_id: str) -> None:
        """Called every few seconds for each kernel, except for those that wait in the pool."""
        if self._kernel_connections.get(kernel_id, 0) > 0:
            self._alone_since.pop(kernel_id, None)
            return
        alone = time.monotonic() - self._alone_since.setdefault(kernel_id, time.monotonic())
        if alone > (self.orphan_timeout if kernel_id in self._had_page else self.arrival_timeout):
            self._alone_since.pop(kernel_id)
            self._had_page.discard(kernel_id)
            self.log.info("kernel %s has had no page for %.0f s and ends", kernel_id, alone)
            await self.shutdown_kernel(kernel_id, now=True)

    def notify_connect(self, kernel_id: str) -> None:
        self._had_page.add(kernel_id)
        super().notify_connect(kernel_id)


class ViewerKernelSpecs(KernelSpecManager):
    """One kind of kernel: this Python, as small as it gets, with no start-up files and no history."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(
            argv=[*command, "--HistoryManager.enabled=False", "--IPKernelApp.capture_fd_output=False"],
            display_name="viewer",
            language="python",
            metadata={"debugger": False},
        )

    def find_kernel_specs(self) -> dict[str, str]:
        return {"python3": ""}

    def get_all_specs(self) -> dict[str, Any]:
        return {"python3": {"resource_dir": "", "spec": self.get_kernel_spec("python3").to_dict()}}


class ViewerSocket(VoilaKernelWebsocketHandler):
    """Refuses clients without the present protocol: Voila 0.5 loops for ever over what it would send to them."""

    async def get(self, kernel_id: str) -> None:
        offered = self.request.headers.get("Sec-WebSocket-Protocol", "")
        if PROTOCOL not in [name.strip() for name in offered.split(",")]:
            raise HTTPError(400, f"connect with the sub-protocol {PROTOCOL}")
        await super().get(kernel_id)


class ViewerPage(TornadoVoilaHandler):
    """The page itself; who comes with the token in the address is sent on to the bare one, the token now in a cookie.

    The address is what everybody sees on a wall, and Voila hands it to the kernel.
    """

    @authenticated
    async def get(self, path: str | None = None) -> None:
        asked = self.request.query_arguments
        if "token" in asked:
            rest = urlencode([(k, v) for k, values in asked.items() if k != "token" for v in values])
            self.redirect(f"{self.request.path}?{rest}" if rest else self.request.path)
        else:
            await super().get(path)


class LoginPage(LoginFormHandler):
    """Asks for the token, in words of ours."""

    def _render(self, message: dict | None = None) -> None:
        wrong = "<p class=wrong>This is not the token of this page.</p>" if message else ""
        to = html.escape(self.get_argument("next", self.base_url))
        self.finish(LOGIN.format(base=html.escape(self.base_url), next=to, xsrf=self.xsrf_form_html(), wrong=wrong))


LOGIN = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>cryowidgets</title><link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width, initial-scale=1"><style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 18vh auto; max-width: 26em; padding: 0 1em; }}
input {{ font: inherit; padding: .3em .5em; width: 14em; }} button {{ font: inherit; padding: .3em 1em; }}
.wrong {{ color: #c62828; }}
</style></head><body><h1>cryowidgets</h1>
<p>This page shows a session to those who have its token: it stands in the address that
<code>cryowidgets serve</code> printed.</p>{wrong}
<form action="{base}login?next={next}" method="post">{xsrf}
<input type="password" name="password" id="password_input" autofocus aria-label="Token"> <button>Open</button></form>
</body></html>"""


def main(folder: Path) -> None:
    settings = json.loads((folder / "settings.json").read_text())
    (folder / "settings.json").unlink()  # it holds the token
    try:
        sockets = bind_sockets(settings["port"], settings["ip"])
    except OSError as error:
        sys.exit(f"cannot listen on {settings['ip']}, port {settings['port']}: {error.strerror}")
    settings["port"] = sockets[0].getsockname()[1]
    drawings.write(folder / "drawings.json")
    server = PageServer(settings, folder, sockets)
    server.initialize([])
    server.start()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
