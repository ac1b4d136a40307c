"""Progress of a session while its engine runs: a bar on a terminal, else a plain line now and then."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from types import TracebackType

import click

QUIET_PERIOD = 10.0
"""Seconds between two plain lines."""


class Progress:
    """Show how far a session is, from the outside, as any other window; nothing in it can stop the engine.

    Parameters
    ----------
    project : Path
    quiet : bool
        Show nothing.
    """

    def __init__(self, project: Path, quiet: bool = False) -> None:
        self._project, self._over = project, threading.Event()
        self._thread = None if quiet else threading.Thread(target=self._watch, name="progress", daemon=True)

    def __enter__(self) -> Progress:
        if self._thread:
            self._thread.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        if self._thread:
            self._thread.join(timeout=5)

    def _watch(self) -> None:
        from cryowidgets.store.queries import Reader

        reader = Reader(self._project)
        show = _Bar() if sys.stderr.isatty() else _Lines()
        last = False
        while not last:
            last = self._over.wait(0.5)  # one more look at the very end
            if reader.changed() or last:
                show(reader.session(), last)
        show.close()


class _Bar:
    def __init__(self) -> None:
        from tqdm import tqdm

        self._bar = tqdm(total=0, dynamic_ncols=True, bar_format="{desc} {n}/{total} |{bar}| {elapsed}{postfix}")

    def __call__(self, session, last: bool) -> None:
        self._bar.total = session.found
        self._bar.n = session.done + session.failed
        self._bar.set_description_str("paused" if session.paused else f"stream {session.stream}", refresh=False)
        self._bar.set_postfix_str(_numbers(session), refresh=False)
        self._bar.refresh()

    def close(self) -> None:
        self._bar.close()


class _Lines:
    def __init__(self) -> None:
        self._said, self._when = "", 0.0

    def __call__(self, session, last: bool) -> None:
        text = f"{session.done} of {session.found} movies done, {_numbers(session)}"
        if text != self._said and (last or time.monotonic() - self._when > QUIET_PERIOD):
            self._said, self._when = text, time.monotonic()
            click.echo(f"{time.strftime('%H:%M:%S')} {text}")

    def close(self) -> None:
        pass


def _numbers(session) -> str:
    parts = [f"{session.failed} failed", f"{session.waiting} waiting"]
    if session.rate_per_hour == session.rate_per_hour:
        parts.append(f"{session.rate_per_hour:.0f}/h")
    if session.latency == session.latency:
        parts.append(f"{session.latency:.0f} s from file to result")
    return ", ".join(parts)
