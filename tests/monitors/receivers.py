"""A mail server and a webhook on this machine, for alerts to arrive at."""

from __future__ import annotations

import email
import email.policy
import http.server
import json
import socket
import threading
import time
import warnings

import apprise
from aiosmtpd.controller import Controller

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of what the services of apprise import, at their first use
    apprise.Apprise().add("json://127.0.0.1")


class Mail:
    """A real SMTP server; `messages` are those that it took."""

    def __init__(self) -> None:
        self.messages: list[email.message.EmailMessage] = []
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._server = Controller(self, hostname="127.0.0.1", port=self.port)
        self._server.start()

    @property
    def url(self) -> str:
        return f"mailto://127.0.0.1:{self.port}/?from=cryo@example.org&to=staff@example.org&mode=insecure&format=text"

    async def handle_DATA(self, server, session, envelope):
        self.messages.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 OK"

    def close(self) -> None:
        self._server.stop(no_assert=True)


class Webhook:
    """A real web server; `posts` are what was posted. While `broken` it answers that it cannot."""

    def __init__(self) -> None:
        self.posts: list[dict] = []
        self.broken = False
        self.asked = 0
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.asked += 1
                if not hook.broken:
                    hook.posts.append(json.loads(body))
                self.send_response(503 if hook.broken else 200)
                self.end_headers()

            def log_message(self, *args):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"json://127.0.0.1:{self._server.server_port}/alerts"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def until(condition, seconds: float = 60.0):
    """Wait for something to become true, and return it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError("it did not come about in time")
