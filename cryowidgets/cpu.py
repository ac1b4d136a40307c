"""The cores of this machine: how many of them a task may use, and loops that are compiled for them.

numba is imported when the first loop is declared, not before: keep compiled loops in modules of their own that are
imported where they are called, so that a window on a project stays light.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def cores() -> int:
    """How many cores of this machine are ours: what ``CRYOWIDGETS_CORES`` says, else those this process may run on."""
    told = os.environ.get("CRYOWIDGETS_CORES", "").strip()
    if told.isdecimal() and int(told) > 0:
        return int(told)
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


_KEPT = {-1: 2**28, -3: 2**25}  # of mallopt: M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, bytes; the second is the most it takes


def threads() -> int:
    """How many threads a task may use on the host.

    It is what `set_threads` said, else the environment variable ``CRYOWIDGETS_THREADS``, else 1: whoever runs several
    tasks at once on one machine decides how its cores are shared.
    """
    return _threads


def set_threads(n: int) -> None:
    """Set the number of threads for this process; at least 1."""
    global _threads
    if n < 1:
        raise ValueError(f"{n} threads cannot compute: give at least 1.")
    _threads = int(n)


def keep_memory() -> None:
    """From now on, this process keeps memory that it has freed for what comes next, up to a quarter of a gigabyte.

    To give it back to the system and get it again, piece by piece, takes a third of the time of a small movie; and a
    process that Dask starts gives back all beyond 64 kB. Where the C library has no such settings, nothing happens.
    """
    try:
        adjust = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    for setting, value in _KEPT.items():
        adjust(setting, value)


def compiled(function: Callable) -> Callable:
    """Compile a loop over numpy arrays when it is first called, and keep the machine code on disk for other processes.

    It runs without the interpreter's lock, so that `each` can run it on several cores.
    """
    import numba

    fast = {"contract", "arcp", "nsz", "reassoc"}
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": fast}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # there is no folder to keep it in: then every process compiles
        return numba.njit(**options)(function)


def each(work: Callable[[Any], Any], parts: Iterable[Any]) -> list[Any]:
    """``[work(part) for part in parts]``, on as many threads as there may be."""
    parts = list(parts)
    workers = min(threads(), len(parts))
    if workers < 2:
        return [work(part) for part in parts]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(work, parts))


def bands(length: int, per_thread: int = 4) -> list[tuple[int, int]]:
    """Cut `length` rows into (first, end) pieces for `each`: several for each thread, so that none waits for long."""
    pieces = max(min(threads() * per_thread if threads() > 1 else 1, length), 1)
    edges = [length * i // pieces for i in range(pieces + 1)]
    return list(zip(edges[:-1], edges[1:], strict=True))


def _from_environment(name: str = "CRYOWIDGETS_THREADS") -> int:
    text = os.environ.get(name, "").strip()
    return int(text) if text.isdecimal() and int(text) > 0 else 1


_threads = _from_environment()
