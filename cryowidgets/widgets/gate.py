"""What passes between a page and its kernel, and how much of it: everything else is dropped, a flood ends the page.

A page needs little. It asks for the state of the widgets that are there and sends them messages; it hears what they
say. Nothing else reaches a kernel, so that no code runs there but ours, and nothing else leaves it: what a kernel
prints, tracebacks among it, is for the log of the server alone.
"""

from __future__ import annotations

import json
import time
from typing import Any

PROTOCOL = "v1.kernel.websocket.jupyter.org"
"""How messages are written on a websocket; see `split`."""
IN = ("comm_open", "comm_msg", "comm_close", "comm_info_request", "kernel_info_request")
OUT = ("comm_open", "comm_msg", "comm_close", "comm_info_reply", "kernel_info_reply", "status")
CONTROL = "jupyter.widget.control"
"""The one target that a page may open: it hands out the state of all widgets."""
ASKED = ("custom", "request_state", "request_states")
"""What a page that only looks may say to a widget. It sets none of their traits."""
PARTS = 64
"""Parts of a message from a page at most, buffers among them."""
OPENED = 64
"""Comms that one page may open, one for each time that it asks for all states."""


class Flood(Exception):
    """A page says, or asks for, more than any page of ours."""


class Gate:
    """Decides for one page; see the module's text.

    Parameters
    ----------
    closed : bool
        The page only looks: it sets no trait, and its messages are short.
    """

    def __init__(self, closed: bool) -> None:
        self.largest = 512 * 1024 if closed else 8 * 1024 * 1024
        """Bytes of a message from the page at most: 49,000 points selected by hand take 200,000."""
        self._closed = closed
        self._opened: set[str] = set()
        self._messages = Allowance(1000, 40.0)
        self._bytes_in = Allowance(4 * self.largest, self.largest)
        self._bytes_out = Allowance(96e6, 3e6)

    def lets_in(self, message: bytes | str) -> bool:
        """Whether a message from a page goes on to its kernel.

        Raises
        ------
        Flood
            The page is to be closed.
        """
        if len(message) > self.largest:
            raise Flood(f"a message of {len(message)} bytes")
        if not (self._messages.takes(1) and self._bytes_in.takes(len(message))):
            raise Flood("too many messages")
        parts = split(message, PARTS) if isinstance(message, bytes) else None
        if parts is None or len(parts) < 5 or parts[0] not in (b"shell", b"control"):
            return False
        kind = _object(parts[1]).get("msg_type")
        content = _object(parts[4])
        comm, data = content.get("comm_id"), content.get("data")
        if kind not in IN:
            return False
        if kind == "comm_open":
            if content.get("target_name") != CONTROL or not isinstance(comm, str) or len(comm) > 64:
                return False
            self._opened.add(comm)
            if len(self._opened) > OPENED:
                raise Flood("too many comms")
        elif kind == "comm_close":
            return not self._closed or comm in self._opened  # of its own, not those of widgets
        elif kind == "comm_msg":
            return isinstance(data, dict) and (not self._closed or data.get("method") in ASKED)
        return True

    def lets_out(self, message: bytes) -> bool:
        """Whether what a kernel says goes on to its page.

        Raises
        ------
        Flood
            The page is to be closed.
        """
        if not self._bytes_out.takes(len(message)):
            raise Flood("more asked for than a page shows")
        parts = split(message)
        return parts is not None and len(parts) > 1 and _object(parts[1]).get("msg_type") in OUT


class Allowance:
    """So much at once, and so much more each second."""

    def __init__(self, burst: float, rate: float) -> None:
        self._burst, self._rate = burst, rate
        self._left, self._since = burst, time.monotonic()

    def takes(self, amount: float) -> bool:
        now = time.monotonic()
        self._left = min(self._burst, self._left + (now - self._since) * self._rate)
        self._since = now
        if amount > self._left:
            return False
        self._left -= amount
        return True


def split(message: bytes, most: int = 100_000) -> list[memoryview] | None:
    """Parts of a message of the protocol v1: channel, header, parent, metadata, content, buffers; None where it is bad.

    The message begins with how many offsets follow, each of eight bytes, little endian; what comes between two of them
    is a part. The servers' own parsers believe the number, and count for ever where it is a large one.
    """
    count = int.from_bytes(message[:8], "little")
    if not 2 <= count <= most + 1 or len(message) < 8 * (count + 1):
        return None
    offsets = [int.from_bytes(message[8 * i : 8 * i + 8], "little") for i in range(1, count + 1)]
    if offsets != sorted(offsets) or offsets[0] < 8 * (count + 1) or offsets[-1] > len(message):
        return None
    view = memoryview(message)
    return [view[first:last] for first, last in zip(offsets, offsets[1:], strict=False)]


def _object(part: memoryview) -> dict[str, Any]:
    """A JSON object; empty where there is none."""
    try:
        found = json.loads(bytes(part))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
