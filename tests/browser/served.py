"""A session served by the command line as in a facility: the page that only shows is another user's."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import uuid
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from jupyter_server.services.kernels.connection.base import deserialize_msg_from_ws_v1, serialize_msg_to_ws_v1
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from cryowidgets.widgets.gate import PROTOCOL

SOMEBODY = 54321
"""A user without a name, whom nobody has."""

_OPEN_HOME = """
set -e
keep=$(mktemp -d)
mount --bind "$2" "$keep"
mount -t tmpfs -o mode=755 tmpfs "$1"
mkdir -p "$2"
mount --bind "$keep" "$2"
shift 2
exec "$@"
"""


def where_all_may_run_python() -> list[str]:
    """Words before a command, so that users other than ours can run this Python as well.

    It may lie in a home that only its owner may enter. The command then runs in a name space of its own, where Python
    is all that is in that home.
    """
    python = Path(sys.base_prefix).resolve()
    closed = [p for p in reversed(python.parents) if not p.stat().st_mode & 0o001]
    if not closed:
        return []
    return ["unshare", "-m", "--propagation", "private", "sh", "-c", _OPEN_HOME, "sh", str(closed[0]), str(python)]


def as_somebody(words: list[str]) -> subprocess.CompletedProcess:
    """Run a command as the user of the kiosk."""
    script = (
        f"import os, sys; os.setgroups([]); os.setgid({SOMEBODY}); os.setuid({SOMEBODY}); "
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    return subprocess.run(
        [*where_all_may_run_python(), sys.executable, "-c", script, *words], capture_output=True, text=True
    )


@contextmanager
def both_pages(folder: Path):
    """Serve a session by the command line; gives the process, and the addresses to control and to look at only."""
    words = [sys.executable, "-m", "cryowidgets", "serve", str(folder)]
    if os.geteuid() == 0:
        words = [*where_all_may_run_python(), *words, "--user", str(SOMEBODY)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env={**os.environ, "MY_PASSWORD": "x"}) as process:
        assert process.stdout is not None
        try:
            control, look = (re.search(r"http://\S+", process.stdout.readline()) for _ in range(2))
            assert control and look, "see what it wrote to standard error"
            yield process, control[0], look[0]
        finally:
            process.terminate()
            process.wait(60)


class Visitor:
    """A client that is no browser, with or without the token of an address; it keeps its cookies."""

    def __init__(self, address: str, token: bool = True) -> None:
        parts = urlsplit(address)
        self.host, self.port = parts.hostname, parts.port
        self._token = parts.query.removeprefix("token=") if token else ""
        self._cookies: dict[str, str] = {}

    @property
    def headers(self) -> dict[str, str]:
        found = {"Authorization": f"token {self._token}"} if self._token else {}
        if self._cookies:
            found["Cookie"] = "; ".join(f"{k}={v}" for k, v in self._cookies.items())
        return found

    def forget_token(self) -> None:
        """From here on the cookies alone say who this is."""
        self._token = ""

    def ask(self, path: str, method: str = "GET", body: bytes | None = None, headers: dict | None = None):
        """Status and text of an answer; the path is sent as it is."""
        connection = HTTPConnection(self.host, self.port, timeout=60)
        try:
            connection.putrequest(method, path, skip_host=False, skip_accept_encoding=True)
            for name, value in {**self.headers, **(headers or {})}.items():
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            for cookie in answer.headers.get_all("Set-Cookie") or []:
                name, _, value = cookie.split(";")[0].partition("=")
                self._cookies[name] = value
            return answer.status, answer.read().decode(errors="replace")
        finally:
            connection.close()

    def page(self) -> str:
        """Open the page; the id of its kernel."""
        status, text = self.ask("/")
        assert status == 200
        return re.search(r'"kernelId": ?"([0-9a-f-]+)"', text)[1]

    async def connect(self, kernel: str, **headers: str) -> Line:
        address = f"ws://{self.host}:{self.port}/api/kernels/{kernel}/channels?session_id={uuid.uuid4().hex}"
        request = HTTPRequest(address, headers={**self.headers, **headers}, connect_timeout=300, request_timeout=300)
        return Line(await websocket_connect(request, subprotocols=[PROTOCOL]))


class Line:
    """A websocket to a kernel, and all that came through it."""

    def __init__(self, socket) -> None:
        self.socket = socket
        self.kinds: set[str] = set()
        self.text = ""

    async def say(self, kind: str, content: dict, channel: str = "shell", metadata: dict | None = None) -> None:
        header = {"msg_id": uuid.uuid4().hex, "msg_type": kind, "session": "x", "username": "x", "version": "5.3"}
        header["date"] = "2026-01-01T00:00:00Z"
        message = {"header": header, "parent_header": {}, "metadata": metadata or {}, "content": content}
        packed = serialize_msg_to_ws_v1(message, channel, lambda part: json.dumps(part).encode())
        await self.socket.write_message(packed, binary=True)

    async def custom(self, widget: str, content: object) -> None:
        await self.say("comm_msg", {"comm_id": widget, "data": {"method": "custom", "content": content}})

    async def hear(self) -> dict | None:
        """The content of the next message; None once the other side has hung up."""
        message = await asyncio.wait_for(self.socket.read_message(), 60)
        if message is None:
            return None
        parts = deserialize_msg_from_ws_v1(message)[1]
        self.kinds.add(json.loads(bytes(parts[0]))["msg_type"])
        self.text += bytes(parts[3]).decode()
        return json.loads(bytes(parts[3]))

    async def states(self) -> dict[str, dict]:
        """All widgets of the kernel, by their ids."""
        comm = uuid.uuid4().hex
        opened = {"comm_id": comm, "target_name": "jupyter.widget.control", "data": {}}
        await self.say("comm_open", opened, metadata={"version": "1.0.0"})
        await self.say("comm_msg", {"comm_id": comm, "data": {"method": "request_states"}})
        while True:
            heard = await self.hear()
            if heard.get("comm_id") == comm and "states" in heard.get("data", {}):
                return heard["data"]["states"]

    async def beats(self, pulse: str) -> None:
        """Return once the page's kernel has answered that it lives."""
        await self.custom(pulse, {"type": "here"})
        while (await self.hear()).get("data", {}).get("content") != {"type": "beat"}:
            pass

    def hang_up(self) -> None:
        stream, self.socket.protocol = self.socket.protocol.stream, None
        stream.close()
