"""How fast movies come from their disk: what was read, and for how long somebody in this process waited for it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence

_lock = threading.Lock()
_readers = 0
_since = 0.0
_bytes = 0
_seconds = 0.0


LEAST = 1 << 16
"""Bytes; smaller reads are not counted: they tell of the cost of calls, and counting would cost as much again."""


def preadv(file: int, buffers: Sequence[memoryview | bytearray], offset: int) -> int:
    """As `os.preadv`, and counted. Several threads that read at once count the time once: theirs is one disk."""
    if len(buffers[0]) < LEAST:
        return os.preadv(file, buffers, offset)
    _enter()
    got = 0
    try:
        got = os.preadv(file, buffers, offset)
    finally:
        _leave(got)
    return got


def take() -> tuple[int, float]:
    """Bytes read and seconds of reading in this process since this was last asked."""
    global _bytes, _seconds, _since
    with _lock:
        now = time.perf_counter()
        if _readers:
            _seconds += now - _since
            _since = now
        found = _bytes, _seconds
        _bytes, _seconds = 0, 0.0
    return found


def _enter() -> None:
    global _readers, _since
    with _lock:
        if not _readers:
            _since = time.perf_counter()
        _readers += 1


def _leave(got: int) -> None:
    global _readers, _bytes, _seconds
    with _lock:
        _readers -= 1
        _bytes += got
        if not _readers:
            _seconds += time.perf_counter() - _since
