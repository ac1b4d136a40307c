"""What the tabs of a session's page have in common: `Page` is what they share, `Tab` what each of them is.

A tab comes by one line in the entry point group ``cryowidgets.tabs``, ours and those of plug-ins alike, and appears
where the workflow holds what it is about:

    [project.entry-points."cryowidgets.tabs"]
    Tilts = "mine.tab:TiltTab"

A tab may hold any widget. The first that our own front end does not know (`share/front`) has a page of our own server
drawn by the programs of Voila from then on, which takes a few seconds, once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakKeyDictionary

import ipywidgets as W
import numpy as np

from cryowidgets.engine import inbox
from cryowidgets.errors import CommandError, CryowidgetsError
from cryowidgets.store.database import Step
from cryowidgets.store.queries import Reader
from cryowidgets.store.thresholds import Cut

if TYPE_CHECKING:
    from cryowidgets.store.overview import Change, Overview

KEPT = 64
"""Changes of the overview that are kept for tabs that do not look; who missed more begins anew."""


class Page:
    """What the tabs of one page share: the project, the overview of it, and what a person chose.

    Parameters
    ----------
    folder : Path or str
        The project.
    control : bool
        Whether this page may change the project.
    wake : callable, optional
        Has all that is shown refreshed soon: something was clicked.
    go : callable, optional
        Shows the tab of a title.
    has : callable, optional
        Whether there is a tab of a title.
    """

    def __init__(
        self,
        folder: Path | str,
        control: bool = False,
        wake: Callable[[], None] = lambda: None,
        go: Callable[[str], None] = lambda title: None,
        has: Callable[[str], bool] = lambda title: False,
    ) -> None:
        self.folder, self.control = Path(folder).absolute(), control
        self.wake, self.go, self.has = wake, go, has
        self.held = False
        """Whether `shown` was chosen by a person; else it is the newest."""
        self.shown: int | None = None
        """Id of the exposure in view; None where there is none yet."""
        self.marked: np.ndarray = np.zeros(0, dtype=np.int64)
        """Ids of the exposures that a person marked, ascending; see `mark`."""
        self.cut: Cut = {}
        """Thresholds in force on this page, in the ledger's units: the project's, until a person moves them."""
        self.saved: Cut = {}
        """Thresholds of the project."""
        self._overview: Overview | None = None
        self._reader: Reader | None = None
        self._changes: list[Change] = []
        self._number = 0  # of all changes so far
        self._heard: WeakKeyDictionary[Any, int] = WeakKeyDictionary()

    @property
    def overview(self) -> Overview:
        """All exposures by columns, refreshed before the tab in view is; made when it is first asked for."""
        if self._overview is None:
            from cryowidgets.store.overview import Overview

            self._overview = Overview()
            if self._reader is not None:
                self._follow(self._reader)
        return self._overview

    def news(self, listener: Any) -> Change:
        """What is new in `overview` since this listener last asked; all of it at the first time.

        A tab is refreshed only while it is shown and misses what came meanwhile: here it gets it.
        """
        from cryowidgets.store.overview import Change

        overview = self.overview
        heard = self._heard.get(listener, -1)
        self._heard[listener] = self._number
        missed = self._number - heard
        if heard < 0 or missed > len(self._changes):
            return Change(True, np.arange(len(overview)))
        changes = self._changes[len(self._changes) - missed :]
        fresh = any(change.fresh for change in changes)
        rows = np.unique(np.concatenate([np.zeros(0, np.int64), *(change.rows for change in changes)]))
        return Change(fresh, np.arange(len(overview)) if fresh else rows)

    def choose(self, exposure: int | None) -> None:
        """Hold an exposure in view; the same one again, or None, lets go and follows the newest."""
        if exposure is not None and not self._is_there(exposure):
            return
        self.held = exposure is not None and not (self.held and exposure == self.shown)
        if self.held:
            self.shown = exposure
        self.wake()

    def mark(self, exposures: Sequence[int] | np.ndarray) -> None:
        """Mark exposures in every view, in place of those that were."""
        self.marked = np.unique(np.asarray(exposures, dtype=np.int64))
        self.wake()

    def send(self, command: str, **args: Any) -> str:
        """Send a command to the engine, and return what its answer is found by, see `Reader.answer`.

        Raises
        ------
        CommandError
            This page only shows.
        """
        if not self.control:
            raise CommandError(f"{command}: this page only shows the session. Open one with control to change it.")
        return inbox.send(self.folder, command, **args)

    def refresh(self, reader: Reader) -> None:
        """Bring up to date what the tabs share."""
        self._reader = reader
        if self._overview is not None:
            self._follow(reader)
        if not self.held:
            self.shown = newest(reader)
        saved = reader.thresholds()
        if saved != self.saved:
            if self.cut == self.saved:
                self.cut = dict(saved)
            self.saved = saved

    def _is_there(self, exposure: int) -> bool:
        """Whether there is an exposure of this id, which may come from a page."""
        if self._reader is None:
            return True
        try:
            return self._reader.exposure(exposure) is not None
        except CryowidgetsError:
            return False

    def _follow(self, reader: Reader) -> None:
        assert self._overview is not None
        change = self._overview.refresh(reader)
        if change.fresh or len(change.rows):
            self._number += 1
            self._changes = [*self._changes[-KEPT + 1 :], change]


class Tab(W.Box):
    """One tab of a session's page. Derive from it and name the class in ``cryowidgets.tabs``.

    Nothing that a page sends is to be trusted, and what changes the project is only made where ``page.control`` is.
    Whatever goes wrong in it is said in its place and harms nothing else. Its module is imported for every viewer, so
    keep heavy imports inside the functions that need them.

    Parameters
    ----------
    page : Page
    parts : sequence of widgets
        What it shows.
    """

    title: ClassVar[str] = ""
    """Its name in the row of tabs."""
    place: ClassVar[int] = 100
    """Where it stands in the row: Overview 10, Exposures 20, Picks 30, Classes 32, Map 34, Workflow 40, System 50,
    Alerts 60, Report 70."""

    def __init__(self, page: Page, parts: Sequence[W.Widget] = ()) -> None:
        self.page = page
        super().__init__(list(parts))
        self.add_class("cw-tab")

    @classmethod
    def fits(cls, steps: Mapping[str, Step]) -> bool:
        """Whether a workflow of these steps has anything for it to show."""
        return True

    def refresh(self, reader: Reader) -> None:
        """Show what is new; called only while the tab is in view."""
        raise NotImplementedError


def newest(reader: Reader) -> int | None:
    """The exposure that a session has got furthest with of late: that of its newest CTF, micrograph, movie."""
    steps = reader.steps().values()
    ctfs = [step.name for step in steps if step.gives == "Ctf"]
    micrographs = [step.name for step in steps if step.gives == "Micrograph"]
    for name in [*ctfs[-1:], *micrographs[:1]]:
        found = reader.rows(name, limit=1)["exposure"]
        if len(found) and found[0]:
            return int(found[0])
    found = reader.exposures(limit=1)["id"]
    return int(found[0]) if len(found) else None
