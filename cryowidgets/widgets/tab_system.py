"""The tab System: what processes the session, whether it keeps up, and when a disk will be full."""

from __future__ import annotations

import time

import ipywidgets as W

from cryowidgets.store.queries import Reader
from cryowidgets.widgets import figures, machine
from cryowidgets.widgets.feed import SystemRows
from cryowidgets.widgets.page import Page, Tab
from cryowidgets.widgets.window import box, put

RECENT = 2000
"""The newest exposures, of which some came in the last half hour."""


class SystemTab(Tab):
    """Engine, backlog, load of the machine, each disk and each worker."""

    title = "System"
    place = 50

    def __init__(self, page: Page) -> None:
        self.words, self.numbers = W.HTML(), W.HTML()
        self.disks, self.workers = W.HTML(), W.HTML()
        self.machine, self.disk, self.tasks = figures.machine(), figures.disk(), figures.tasks()
        self._rows = SystemRows([self.machine, self.disk, self.tasks])
        top = box([self.words, self.numbers], "cw-sys-top")
        left = box([self.disks, self.workers], "cw-sys-left")
        right = box([self.machine, self.disk, self.tasks], "cw-sys-plots")
        super().__init__(page, [top, box([left, right], "cw-sys-main")])
        self.add_class("cw-sys")
        self.add_class("cw-tab-fill")

    def refresh(self, reader: Reader) -> None:
        session, now = reader.session(), time.time()
        self._rows.refresh(reader)
        found = [t for (t,) in reader.query("SELECT found FROM exposure ORDER BY id DESC LIMIT ?", (RECENT,))]
        come = machine.arrivals(found, now) if session.stream == "open" else 0.0
        lines = [
            ("Engine", machine.engine(session, now)),
            ("Backlog", machine.backlog(session.waiting, session.rate_per_hour, come)),
        ]
        put(self.words, "".join(f"<p><b>{name}</b> {said}</p>" for name, said in lines))
        put(self.numbers, f"<div class='cw-sys-cells'>{machine.load(reader.system(limit=1))}</div>")
        put(self.disks, f"<h3>Disks</h3><div class='cw-sys-disks'>{machine.mounts(reader.mounts(), now)}</div>")
        workers = reader.workers()
        names = _names(reader, [worker.exposure for worker in workers if worker.exposure])
        alive = bool(session.engine and session.engine.alive)
        told = f"<h3>Workers <span class='cw-soft'>{machine.roll(workers, alive)}</span></h3>"
        put(self.workers, told + machine.workers(workers, names, alive, now))


def _names(reader: Reader, exposures: list[int]) -> dict[int, str]:
    """Of the few exposures that are worked at."""
    marks = ", ".join("?" * len(exposures))
    return dict(reader.query(f"SELECT id, name FROM exposure WHERE id IN ({marks})", exposures))
