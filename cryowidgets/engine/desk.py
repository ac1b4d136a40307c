"""The desk: what is to do, in which order, how often it is tried, how much is under way.

Finish what has begun before beginning anew, the newest movie first, and every third time the oldest of the backlog,
so that the page is live and the backlog still shrinks.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cryowidgets.engine.workshop import Job, Outcome
from cryowidgets.errors import CryowidgetsError
from cryowidgets.protocols import registry
from cryowidgets.protocols.base import Many, Protocol
from cryowidgets.store.database import Step
from cryowidgets.store.store import Store, Task, Todo
from cryowidgets.store.todo import todo, todo_fold

BACKLOG = 3
"""Every so many hand-outs of a step the oldest waiting item goes first."""


@dataclass
class _Lane:
    """Open tasks of one step, to be taken from either end."""

    protocol: type[Protocol]
    newest: list[tuple[float, int, Todo]] = field(default_factory=list)
    oldest: list[tuple[float, int, Todo]] = field(default_factory=list)
    waiting: dict[str, Todo] = field(default_factory=dict)
    cursors: dict[str, int] = field(default_factory=dict)
    flying: int = 0
    handed: int = 0

    def add(self, item: Todo) -> None:
        if item.key in self.waiting:
            return
        self.waiting[item.key] = item
        heapq.heappush(self.newest, (-item.acquired, -item.inputs[0], item))
        heapq.heappush(self.oldest, (item.acquired, item.inputs[0], item))

    def take(self) -> Todo:
        self.handed += 1
        heap = self.oldest if self.handed % BACKLOG == 0 else self.newest
        while True:
            item = heapq.heappop(heap)[2]
            if self.waiting.pop(item.key, None) is not None:
                return item


class Desk:
    """Hands out tasks and books their outcomes.

    Parameters
    ----------
    store : Store
    retries : int
        How often a task that failed is tried again before it is set aside.
    """

    def __init__(self, store: Store, retries: int = 1) -> None:
        self._store, self._retries = store, retries
        self._lanes: dict[str, _Lane] = {}
        self._tasks: dict[int, Task] = {}
        self.broken: dict[str, str] = {}
        """Steps that cannot run at all, and why: a plug-in is missing, or a value is refused."""
        self.reset()

    def reset(self) -> None:
        """Forget what was asked before: at the start, and when parameters, rejections or retries change the answers."""
        if not self._tasks:
            self._store.abandon()  # what an engine before this one had claimed
        flying = {name: lane.flying for name, lane in self._lanes.items()}
        self._lanes.clear()
        self.broken.clear()
        for step in self._store.steps().values():
            if not step.inputs:
                continue
            try:
                protocol = registry.get(step.protocol)
                protocol(**step.params)
                self._store.ensure_table(protocol.gives)
                for kind in protocol.inputs().values():
                    self._store.ensure_table(kind)
            except CryowidgetsError as error:
                self.broken[step.name] = str(error)
                continue
            self._lanes[step.name] = _Lane(protocol, flying=flying.get(step.name, 0))

    def refresh(self, closed: Callable[[str], bool]) -> None:
        """Ask the ledger what is new; `closed` tells whether a step will give nothing more."""
        for name, lane in self._lanes.items():
            takes = lane.protocol.takes
            if isinstance(takes, Many):
                if not lane.flying and not lane.waiting:
                    source = next(iter(self._store.steps()[name].inputs.values()))
                    batch = todo_fold(self._store, name, takes.kind, takes.every, flush=closed(source))
                    if batch:
                        lane.add(batch)
            else:
                found, lane.cursors = todo(self._store, name, lane.protocol.inputs(), lane.cursors)
                for item in found:
                    lane.add(item)

    def take(self, room: int) -> list[Job]:
        """Claim up to `room` tasks, those furthest along first."""
        jobs: list[Job] = []
        for name, lane in reversed(self._lanes.items()):
            chosen: list[Todo] = []
            while lane.waiting and len(jobs) + len(chosen) < room:
                chosen.append(lane.take())
            if chosen:
                lane.flying += len(chosen)
                step = self._store.steps()[name]
                for task in self._store.claim(name, chosen):
                    self._tasks[task.id] = task
                    jobs.append(self._job(step, lane.protocol, task))
        return jobs

    def book(self, outcome: Outcome) -> None:
        """Write an outcome into the ledger; a failure is tried again as often as told."""
        task = self._tasks.pop(outcome.task, None)
        if task is None:
            return  # given up in the meantime
        lane = self._lanes.get(task.step)
        if lane:
            lane.flying -= 1
        state, result = outcome.state, outcome.result
        if task.version < self._store.steps()[task.step].valid_from:
            state, result = "superseded", None  # redone with other values in the meantime
        elif state == "failed" and task.attempt % (self._retries + 1) != 0:
            state = "retry"
        self._store.finish(
            task,
            state,
            result,
            outcome.error,
            outcome.traceback,
            outcome.host,
            outcome.pid,
            outcome.started,
            outcome.finished,
            outcome.reasons,
            outcome.software,
        )
        if state in ("lost", "retry") and lane and not lane.protocol.is_fold():
            lane.add(Todo(task.exposure, task.inputs, self._acquired(task.exposure)))

    def waiting(self, step: str) -> int:
        lane = self._lanes.get(step)
        return len(lane.waiting) if lane else 0

    def flying(self, step: str | None = None) -> int:
        if step is None:
            return len(self._tasks)
        lane = self._lanes.get(step)
        return lane.flying if lane else 0

    def abandon(self) -> int:
        """Give back everything under way; outcomes that still come are not booked."""
        self._tasks.clear()
        for lane in self._lanes.values():
            lane.flying = 0
        return self._store.abandon()

    def _acquired(self, exposure: int | None) -> float:
        found = self._store.query("SELECT acquired FROM exposure WHERE id = ?", (exposure,))
        return found[0][0] if found else 0.0

    def _job(self, step: Step, protocol: type[Protocol], task: Task) -> Job:
        given: dict[str, Any]
        takes = protocol.takes
        if isinstance(takes, Many):
            source = next(iter(step.inputs.values()))
            given = {
                "items": self._store.items(takes.kind, source, *task.inputs),
                "last": self._store.last_result(protocol.gives, step.name),
            }
            stem = f"{step.name}_{task.inputs[1]:06d}"
        else:
            kinds = protocol.inputs()
            given = {
                name: self._store.item(kind, row) for (name, kind), row in zip(kinds.items(), task.inputs, strict=True)
            }
            stem = next(iter(given.values())).name
        return Job(
            task=task.id,
            key=f"{step.name}-{'-'.join(map(str, task.inputs))}-{task.attempt}",
            protocol=step.protocol,
            params=step.params,
            given=given,
            project=str(self._store.folder),
            folder=f"steps/{step.name}",
            stem=stem,
            resources=protocol.resources,
        )
