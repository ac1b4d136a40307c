"""The process that serves pages: Voila, with a kernel for each viewer and without the faults that kill a kiosk.

Started by `cryowidgets.widgets.kiosk` as ``python -m cryowidgets.widgets.viewers FOLDER``, where FOLDER is private to
the two and holds ``settings.json``; the address is written to ``address`` in it. It ends when its standard input does,
so that it never outlives whoever started it.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import resource
import shutil
import socket
import sys
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_core.utils import run_sync
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.services.kernels.handlers import KernelHandler
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from jupyter_server.utils import url_path_join
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.netutil import bind_sockets
from tornado.web import HTTPError
from traitlets import Float, Unicode
from traitlets.config import Config
from voila.app import Voila
from voila.request_info_handler import RequestInfoSocketHandler
from voila.shutdown_kernel_handler import VoilaShutdownKernelHandler
from voila.tornado.handler import TornadoVoilaHandler
from voila.tornado.kernel_websocket_handler import VoilaKernelWebsocketHandler, WebsocketHandler

from cryowidgets.widgets import drawings, front
from cryowidgets.widgets.gate import PROTOCOL, Flood, Gate
from cryowidgets.widgets.server import routes
from cryowidgets.widgets.visits import UPWARDS, LoginPage, Nowhere, ViewerPage

POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' blob: data:; connect-src 'self' ws: wss: blob: data:; "
    "object-src 'none'; base-uri 'self'; frame-ancestors 'self'"
)
"""Browsers enforce it: a page of ours loads nothing from elsewhere."""

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # an address may still hold the token; a form without any referrer is refused
}
LARGEST_REQUEST = 64 * 1024
"""Bytes of the body of a request: the only one that a page makes is its token."""


class PageServer(Voila):
    """Voila for one notebook, as one process started from a folder of settings."""

    def __init__(self, settings: dict[str, Any], folder: Path, sockets: list[socket.socket]) -> None:
        self._folder, self._sockets = folder, sockets
        self._sessions = settings.get("sessions", "")
        super().__init__(config=configuration(settings, folder))

    def listen(self) -> None:
        limits = {"max_body_size": LARGEST_REQUEST, "max_header_size": LARGEST_REQUEST, "body_timeout": 20}
        HTTPServer(self.app, xheaders=True, **limits).add_sockets(self._sockets)
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
        replaced = {
            VoilaKernelWebsocketHandler: ViewerSocket,
            TornadoVoilaHandler: ViewerPage,
            KernelHandler: ViewerKernel,
            VoilaShutdownKernelHandler: ViewerFarewell,
        }
        theirs = [h for h in super().init_handlers() if h[1] is not RequestInfoSocketHandler]  # it asks for no token
        handlers = [(h[0], replaced.get(h[1], h[1]), *h[2:]) for h in theirs]
        ours = [*routes(self.base_url), *front.routes(self.base_url)]
        return [(UPWARDS, Nowhere), *ours, *self._session_pages(), *handlers]

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

    def stop(self) -> None:
        # In this order: the stock one first removes the folder in which a kernel that is starting writes its files,
        # and fails where one comes in between.
        run_sync(self.kernel_manager.shutdown_all)()
        shutil.rmtree(self.connection_dir, ignore_errors=True)

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
                "tornado_settings": {
                    "headers": HEADERS,
                    "closed": settings["closed"],
                    "viewers": settings["viewers"] + settings["pool"],
                },
            },
            # Jupyter's own cookie name clashes where this page is shown through a Jupyter server of the same host.
            "IdentityProvider": {"cookie_name": f"cryowidgets-{hashlib.sha256(token.encode()).hexdigest()[:12]}"},
            "VoilaConfiguration": {
                "template": "cryowidgets",
                "theme": settings["theme"],
                "resources": {
                    "title": settings["title"],
                    "plots": settings["plots"],
                    "front": front.resources(settings["base_url"]),
                },
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
            "ZMQChannelsWebsocketConnection": {"limit_rate": False},  # a `Gate` does, for less
            "KernelManager": {"transport": "ipc"},  # files that only this user can open, rather than open ports
            "VoilaKernelManager": {"fill_delay": 3.0},  # until the page that took a kernel has loaded
            "ViewerKernels": {"orphan_timeout": settings["orphan_timeout"], "count_file": str(folder / "pages")},
        }
    )


class ViewerKernels(AsyncMappingKernelManager):
    """Ends the kernel of every page that is gone.

    The stock manager takes each message of a streaming kernel for activity and so keeps orphans for ever, with all
    that they say in memory. To watch for activity it reads all that kernels say once more, half of what a server of
    pages does: whether a page is there is told by its connection.
    """

    orphan_timeout = Float(60.0, help="Seconds after its page has gone at which a kernel ends").tag(config=True)
    arrival_timeout = Float(120.0, help="Seconds that a page has to load and connect to its kernel").tag(config=True)
    count_file = Unicode(help="Where the number of pages is kept, for their kernels to share a core").tag(config=True)
    buffer_offline_messages = False
    cull_idle_timeout = 1  # starts the stock timer, which asks `cull_kernel_if_idle`
    cull_interval = 5

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.buffer_offline_messages = False
        self.cull_interval = max(1, min(10, int(self.orphan_timeout / 3)))
        self._alone_since: dict[str, float] = {}
        self._had_page: set[str] = set()
        self._visitors: dict[str, str] = {}

    async def cull_kernel_if_idle(self, kernel_id: str) -> None:
        """Called every few seconds for each kernel, except for those that wait in the pool."""
        if self._kernel_connections.get(kernel_id, 0) > 0:
            self._alone_since.pop(kernel_id, None)
            return
        alone = time.monotonic() - self._alone_since.setdefault(kernel_id, time.monotonic())
        if alone > (self.orphan_timeout if kernel_id in self._had_page else self.arrival_timeout):
            self._alone_since.pop(kernel_id)
            self._had_page.discard(kernel_id)
            self._visitors.pop(kernel_id, None)
            self.log.info("kernel %s has had no page for %.0f s and ends", kernel_id, alone)
            await self.shutdown_kernel(kernel_id, now=True)

    def check_visitor(self, kernel_id: str, handler: JupyterHandler) -> None:
        """A kernel is the browser's that first connected to it: nobody else may listen, speak, or end it."""
        user = handler.current_user
        if user is None:
            raise HTTPError(403)
        if kernel_id not in self or self._visitors.setdefault(kernel_id, user.username) != user.username:
            raise HTTPError(404)

    def notify_connect(self, kernel_id: str) -> None:
        self._had_page.add(kernel_id)
        super().notify_connect(kernel_id)
        self._count()

    def notify_disconnect(self, kernel_id: str) -> None:
        super().notify_disconnect(kernel_id)
        self._count()

    def start_watching_activity(self, kernel_id: str) -> None:
        kernel = self._kernels[kernel_id]
        kernel.reason, kernel.execution_state, kernel.last_activity = "", "idle", datetime.now(UTC)

    def _count(self) -> None:
        if not self.count_file:
            return
        half = Path(f"{self.count_file}.half")
        with suppress(OSError):  # a full disk is no reason to show nobody anything
            half.write_text(str(sum(n > 0 for n in self._kernel_connections.values())))
            half.rename(self.count_file)


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
    """What a page and its kernel say to each other, through a `Gate`.

    Clients without the present protocol are refused: Voila 0.5 loops for ever over what it would send to them.
    """

    async def get(self, kernel_id: str) -> None:
        offered = self.request.headers.get("Sec-WebSocket-Protocol", "")
        if PROTOCOL not in [name.strip() for name in offered.split(",")]:
            raise HTTPError(400, f"connect with the sub-protocol {PROTOCOL}")
        self.kernel_manager.check_visitor(kernel_id, self)
        self._gate = Gate(self.settings["closed"])
        await super().get(kernel_id)

    @property
    def max_message_size(self) -> int:
        return self._gate.largest

    def on_message(self, message: bytes | str) -> None:
        try:
            if self._gate.lets_in(message):
                super().on_message(message)
        except Flood as flood:
            self._end(flood)

    def write_message(self, message: Any, binary: bool = False) -> Any:
        try:
            if isinstance(message, bytes) and self._gate.lets_out(message):
                return WebsocketHandler.write_message(self, message, binary)
        except Flood as flood:
            self._end(flood)
        return None

    def _end(self, flood: Flood) -> None:
        self.log.warning("kernel %s: its page is closed: %s", self.kernel_id, flood)
        self.close(1008, str(flood))


class ViewerKernel(KernelHandler):
    """Whether a kernel is there, for its page; it is ended by `ViewerFarewell`."""

    async def get(self, kernel_id: str) -> None:
        self.kernel_manager.check_visitor(kernel_id, self)
        await super().get(kernel_id)

    async def delete(self, kernel_id: str) -> None:
        raise HTTPError(405)


class ViewerFarewell(VoilaShutdownKernelHandler):
    """A page says that it closes, and its kernel ends."""

    async def post(self, kernel_id: str) -> None:
        self.kernel_manager.check_visitor(kernel_id, self)
        await super().post(kernel_id)


def main(folder: Path) -> None:
    settings = json.loads((folder / "settings.json").read_text())
    (folder / "settings.json").unlink()  # it holds the token
    try:
        sockets = bind_sockets(settings["port"], settings["ip"])
    except OSError as error:
        sys.exit(f"cannot listen on {settings['ip']}, port {settings['port']}: {error.strerror}")
    settings["port"] = sockets[0].getsockname()[1]
    restrain()
    drawings.write(folder / "drawings.json")
    server = PageServer(settings, folder, sockets)
    server.initialize([])
    server.start()


def restrain() -> None:
    """Have no right that a page does not need, in this process and its kernels, for as long as they live."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # memory with a token in it stays where it is
    with suppress(AttributeError, OSError):  # Linux
        ctypes.CDLL(None).prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)


_NO_NEW_PRIVS = 38
"""From linux/prctl.h: no program that is started gives more rights than there are, as those of `sudo` would."""


if __name__ == "__main__":
    main(Path(sys.argv[1]))
