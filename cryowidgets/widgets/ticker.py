"""One ticker for each project in a kernel: asks the ledger what is new and lets the views refresh.

It runs on the kernel's event loop and only while somebody looks: kernels kept ready for a page, dashboards of cells
that were run again, and hidden tabs cost nothing.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from cryowidgets.errors import CryowidgetsError
from cryowidgets.store.queries import Reader
from cryowidgets.widgets.pulse import Pulse

log = logging.getLogger(__name__)

PERIOD = 0.5
"""Seconds between two questions whether anything was written."""
QUICK = 0.03
"""Seconds between two refreshes at least."""
SHARE, BURST, LONGEST = 0.005, 0.15, 4.0
"""Of a core that a kernel takes in the long run, while data comes and nobody clicks; CPU seconds that it may take at
once; and seconds that a page is behind at most for it."""
ALL, LATEST = 0.03, 12.0
"""Of a core that the kernels of all pages of a server take together in the same way, and seconds that a page is behind
at most where there are many: twenty who look leave the engine its machine."""
SLOW = 10.0
"""Seconds after which views refresh though nothing was written: an engine dies without writing."""
AWAY = 30.0
"""Seconds after the last sign of its pages at which a view counts as looked at by nobody."""

_tickers: dict[Path, Ticker] = {}


class View(Protocol):
    """What a ticker refreshes."""

    pulse: Pulse

    def refresh(self, reader: Reader) -> None:
        """Show what is new. A new `Reader` object means that all that was read before may no longer hold."""


def ticker(project: Path | str) -> Ticker:
    """The kernel's ticker of a project folder."""
    folder = Path(project).absolute()
    if folder not in _tickers:
        _tickers[folder] = Ticker(folder)
    return _tickers[folder]


class Ticker:
    """See the module's text. `add` a view; call what that returns when its page says that it is there, and `wake` with
    it when somebody has clicked.
    """

    def __init__(self, folder: Path, period: float = PERIOD) -> None:
        self.folder = folder
        self.period = period
        self._views: dict[int, _Looked] = {}
        self._reader: Reader | None = None
        self._inode = -1
        self._generation = 0
        self._slow = 0.0
        self._left, self._counted = BURST, time.monotonic()
        self._task: asyncio.Task | None = None
        self._awake = asyncio.Event()

    def add(self, view: View) -> Callable[[], None]:
        """Take a view on; what is returned is to be called at each sign that somebody looks at it."""
        self._views[id(view)] = _Looked(view)
        return lambda: self._here(view)

    def remove(self, view: View) -> None:
        self._views.pop(id(view), None)

    def wake(self, view: View) -> None:
        """Somebody has clicked on this view: refresh it at once. Safe from any thread."""
        looked = self._views.get(id(view))
        if looked is None:
            return
        looked.until = time.monotonic() + AWAY
        looked.generation = -1
        self._call()

    def _here(self, view: View) -> None:
        """A page says that somebody looks: refresh it at once if nobody did before; else it is up to date."""
        looked = self._views.get(id(view))
        now = time.monotonic()
        if looked is not None and now < looked.until and self._task is not None and not self._task.done():
            looked.until = now + AWAY
        else:
            self.wake(view)

    def _call(self) -> None:
        loop = kernel_loop()
        if loop is None:
            return  # a script: whoever wants to see something calls `refresh`
        if threading.current_thread() is threading.main_thread():
            self._start(loop)
        else:
            loop.call_soon_threadsafe(self._start, loop)

    def warm(self, view: View) -> None:
        """Refresh a view though nobody looks at it yet, once: who comes later finds it filled but for what is new."""
        try:
            view.refresh(self._open())
        except Exception:  # whatever it is, who comes is told
            log.exception("a view cannot be filled in advance")

    def tick(self) -> None:
        """Refresh the views that are looked at and have not seen the newest."""
        try:
            reader = self._open()
            now = time.monotonic()
            if reader.changed() or now > self._slow:
                self._generation += 1
                self._slow = now + SLOW
        except (CryowidgetsError, sqlite3.Error, OSError) as error:
            self._reader = None
            self._trouble(f"The project cannot be read: {error}")
            return
        for looked in list(self._views.values()):
            if looked.generation == self._generation or looked.until < now:
                continue
            looked.generation = self._generation
            try:
                looked.view.refresh(reader)
                trouble = ""
            except Exception as error:  # a fault in one view must not stop the others
                log.exception("a view cannot be refreshed")
                trouble = f"Part of this page is not up to date: {type(error).__name__}: {error}"
            _set_trouble(looked.view.pulse, trouble)

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._task is None or self._task.done():
            self._awake = asyncio.Event()
            self._task = loop.create_task(self._run(), name=f"cryowidgets ticker of {self.folder}")
        self._awake.set()

    async def _run(self) -> None:
        while any(looked.until > time.monotonic() for looked in self._views.values()):
            self._awake.clear()
            began = time.process_time()
            self.tick()
            rest = self._rest(time.process_time() - began)
            await asyncio.sleep(QUICK)  # a page that says much is answered at once to all of it
            try:
                await asyncio.wait_for(self._awake.wait(), max(self.period, rest))
            except TimeoutError:
                pass

    def _rest(self, spent: float) -> float:
        """Seconds to wait after so many of CPU, so that what is taken stays within the share."""
        now = time.monotonic()
        share = min(SHARE, ALL / pages())
        longest = min(LATEST, LONGEST * SHARE / share)
        burst = BURST * share / SHARE
        self._left = min(burst, self._left + share * (now - self._counted)) - spent
        self._left, self._counted = max(self._left, -share * longest), now
        return max(0.0, -self._left / share)

    def _open(self) -> Reader:
        """The reader; a new one where the project's file is another than before."""
        inode = os.stat(self.folder / "project.sqlite").st_ino if (self.folder / "project.sqlite").exists() else -1
        if self._reader is None or inode != self._inode:
            if self._reader is not None:
                self._reader.close()
            self._reader = None
            self._reader, self._inode = Reader(self.folder), inode
        return self._reader

    def _trouble(self, sentence: str) -> None:
        for looked in self._views.values():
            _set_trouble(looked.view.pulse, sentence)
            looked.generation = -1


class _Looked:
    def __init__(self, view: View) -> None:
        self.view = view
        self.until = 0.0
        self.generation = -1


def _set_trouble(pulse: Pulse, sentence: str) -> None:
    if pulse.trouble != sentence:
        pulse.trouble = sentence


def pages() -> int:
    """How many pages the server shows now that this kernel's page is one of; 1 in a notebook, and where it is unknown.

    A server that counts them names the file that it keeps the number in, see `cryowidgets.widgets.viewers`.
    """
    try:
        with open(os.environ["CRYOWIDGETS_PAGES"], "rb") as file:
            return max(1, int(file.read(20)))
    except (KeyError, OSError, ValueError):
        return 1


def kernel_loop() -> asyncio.AbstractEventLoop | None:
    """The kernel's own loop, also when a message has come in through another thread."""
    try:
        from IPython import get_ipython

        return get_ipython().kernel.io_loop.asyncio_loop
    except AttributeError:
        pass
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
