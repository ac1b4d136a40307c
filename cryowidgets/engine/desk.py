"""The desk: what is to do, in which order, how often it is tried, how much is under way.

Finish what has begun before beginning anew, the newest movie first, and every third time the oldest of the backlog,
so that the page is live and the backlog still shrinks.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

from cryowidgets.engine.again import Again
from cryowidgets.engine.lane import Lane
from cryowidgets.engine.valve import Valve
from cryowidgets.engine.workshop import Job, Outcome
from cryowidgets.errors import CryowidgetsError, WorkflowError
from cryowidgets.model import Item
from cryowidgets.protocols import registry
from cryowidgets.protocols.base import Either, Many, Protocol, Recent, Without
from cryowidgets.store.changes import hold, redo
from cryowidgets.store.cleaning import fold_lacks, missing, want
from cryowidgets.store.database import Step, batched
from cryowidgets.store.reach import upstream
from cryowidgets.store.store import Store, Task, Todo
from cryowidgets.store.todo import absent, came, todo, todo_fold, todo_newest
from cryowidgets.store.todo_sets import overtaken, recent, todo_either, todo_without


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
        self._lanes: dict[str, Lane] = {}
        self._tasks: dict[int, Task] = {}
        self._anew: set[int] = set()
        """tasks under way that are to be done once more, as a person has changed what they go by"""
        self.again = Again(store)
        self.broken: dict[str, str] = {}
        """Steps that cannot run at all, and why: a plug-in is missing, or a value is refused."""
        self.reset()

    def reset(self) -> None:
        """Forget what was asked before: at the start, and when parameters, rejections or retries change the answers."""
        if not self._tasks:
            self._store.abandon()  # what an engine before this one had claimed
        self.again.refresh()
        self._lanes.clear()
        self.broken.clear()
        for step in self._store.steps().values():
            if not step.inputs:
                continue
            try:
                protocol = registry.get(step.protocol)
                lane = self._lane(step, protocol)
                for task in self._tasks.values():
                    if task.step == step.name:
                        lane.begin(task.exposure)
            except CryowidgetsError as error:
                self.broken[step.name] = str(error)
                continue
            self._lanes[step.name] = lane

    def refresh(self, closed: Callable[[str], bool]) -> None:
        """Ask the ledger what is new; `closed` tells whether a step will give nothing more."""
        for name, lane in self._lanes.items():
            takes = lane.protocol.takes
            if lane.newest_only:
                if not (lane.flying or lane.lacking):
                    lane.put_in_place(self._newest(name, lane, closed))
            elif isinstance(takes, Many):
                if lane.flying or lane.lacking:
                    continue
                if lane.protocol.on_demand:  # whatever is there when a person asks
                    batch = todo_fold(self._store, name, takes.kind, 0, True, beside=lane.beside)
                    lane.put_in_place([batch] if batch else [])
                elif not lane.waiting:
                    steps = self._store.steps()
                    flush = closed(batched(steps, steps[name]).name)
                    batch = todo_fold(
                        self._store, name, takes.kind, lane.every, flush, lane.first, lane.by, lane.beside
                    )
                    if batch:
                        lane.add(batch)
            else:
                for item in self._found(name, lane, closed):
                    lane.add(item)

    def _found(self, name: str, lane: Lane, closed: Callable[[str], bool]) -> list[Todo]:
        """What a map or join may begin with that it could not before."""
        takes, inputs = lane.protocol.takes, self._store.steps()[name].inputs
        if isinstance(takes, Either):
            found, lane.cursors = todo_either(self._store, name, lane.gives, lane.cursors)
        elif isinstance(takes, Without):
            ended = closed(inputs["second"])
            found, lane.cursors = todo_without(self._store, name, lane.kinds, lane.cursors, ended)
        else:
            found, lane.cursors = todo(self._store, name, lane.kinds, lane.cursors)
        return self._let(name, lane, found, closed)

    def _newest(self, name: str, lane: Lane, closed: Callable[[str], bool]) -> list[Todo]:
        """The same of a step that takes the newest results of folds: of several the last counts."""
        sources = self._store.steps()[name].inputs.values()
        flush = lane.protocol.on_demand or all(map(closed, sources))
        item = todo_newest(self._store, name, lane.kinds, lane.every, flush)
        return self._let(name, lane, [item] if item else [], closed)

    def _let(self, name: str, lane: Lane, found: list[Todo], closed: Callable[[str], bool]) -> list[Todo]:
        """Those that may begin by the say of the protocol, where it has one."""
        inputs = self._store.steps()[name].inputs
        if lane.valve is None:
            return found
        other = self._lanes.get(lane.closed_by)
        shut = other is not None and other.valve is not None and other.valve.opened
        return lane.valve.let(found, all(closed(source) for source in inputs.values()), shut)

    def take(self, room: int, may: Callable[[str], bool] = lambda step: True) -> list[Job]:
        """Claim up to `room` tasks of steps that `may` begin, those furthest along first."""
        if self.again.changed:
            self._look_again()
        jobs = self._once_more(room, may) if self.again.wanted else []
        for name, lane in reversed(self._lanes.items()):
            chosen: list[Todo] = []
            if not (lane.waiting and len(jobs) < room and may(name)):
                continue
            while lane.waiting and len(jobs) + len(chosen) < room:
                item = lane.take()
                if not self._there(lane, item):
                    continue  # made anew since; that will be found by itself
                if item.exposure in lane.busy:
                    lane.add(item)
                    continue
                if self.again.any and self._lacks(self._store.steps()[name], lane, item):
                    lane.lacking.append(item)
                    continue
                lane.begin(item.exposure)
                chosen.append(item)
            if chosen:
                step = self._store.steps()[name]
                for task in self._store.claim(name, chosen):
                    self._tasks[task.id] = task
                    jobs.append(self._job(step, lane, task))
        return jobs

    def book(self, outcome: Outcome) -> None:
        """Write an outcome into the ledger; a failure is tried again as often as told."""
        task = self._tasks.pop(outcome.task, None)
        if task is None:
            return  # given up in the meantime
        lane = self._lanes.get(task.step)
        if lane:
            lane.end(task.exposure)
        if self.again.book(task, outcome):
            return
        state, result = outcome.state, outcome.result
        if task.version < self._store.steps()[task.step].valid_from:
            state, result = "superseded", None  # redone with other values in the meantime
        elif task.id in self._anew and state != "lost":
            state, result = "retry", None
        elif state == "failed" and task.attempt % (self._retries + 1) != 0:
            state = "retry"
        elif state == "done" and isinstance(lane and lane.protocol.takes, Either):
            if overtaken(self._store, task.step, type(result), task.exposure, task.inputs[0]):
                state, result = "superseded", None
        self._anew.discard(task.id)
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
        if lane and lane.protocol.on_demand and state in ("done", "failed", "rejected"):
            hold(self._store, task.step)
        if state in ("lost", "retry") and lane and not (lane.protocol.is_fold() or lane.newest_only):
            lane.add(Todo(task.exposure, task.inputs, self._acquired(task.exposure)))

    def doing(self, task: int) -> tuple[str, int | None] | None:
        """Step and exposure of a task under way; None where it was given up."""
        found = self._tasks.get(task)
        return (found.step, found.exposure) if found else None

    def full(self, step: str) -> bool:
        """Whether a step will begin with nothing more, whatever comes."""
        lane = self._lanes.get(step)
        return bool(lane and lane.valve and lane.valve.full)

    def held(self, step: str) -> int:
        """How many items wait for others to come before they may begin."""
        lane = self._lanes.get(step)
        return lane.valve.held if lane and lane.valve else 0

    def kinds(self, step: str) -> tuple[dict[str, type[Item]], type[Item]]:
        """Kinds of a step's inputs and results. Raise `WorkflowError` for one that cannot run."""
        if step not in self._lanes:
            raise WorkflowError(self.broken.get(step, f"{step} takes nothing."))
        return self._lanes[step].kinds, self._lanes[step].gives

    def came(self, step: str) -> tuple[int, int, str] | None:
        """Of a fold that waits for its batch: how many have come, of how many, and of what; else None."""
        lane = self._lanes.get(step)
        if lane is None or lane.newest_only or not isinstance(lane.protocol.takes, Many):
            return None
        if absent(self._store, step, lane.beside):
            return None
        kind = lane.protocol.takes.kind
        counted = came(self._store, step, kind, lane.every, lane.first, lane.by)
        return *counted, kind.word() if lane.by else "items"

    def absent(self, step: str) -> list[str]:
        """Of a fold that takes something beside its batches: the steps that have given nothing of it yet."""
        lane = self._lanes.get(step)
        return absent(self._store, step, lane.beside) if lane else []

    def on_demand(self, step: str) -> bool:
        """Whether a step is done only when a person asks."""
        lane = self._lanes.get(step)
        return bool(lane and lane.protocol.on_demand)

    def waiting(self, step: str) -> int:
        lane = self._lanes.get(step)
        return len(lane.waiting) + len(lane.parked) + len(lane.lacking) if lane else 0

    def flying(self, step: str | None = None) -> int:
        if step is None:
            return len(self._tasks)
        lane = self._lanes.get(step)
        return lane.flying if lane else 0

    def abandon(self) -> int:
        """Give back everything under way; outcomes that still come are not booked."""
        self._tasks.clear()
        self._anew.clear()
        self.again.forget()
        for lane in self._lanes.values():
            lane.flying = 0
            lane.busy.clear()
        return self._store.abandon()

    def restore(self, exposures: Collection[int] | None = None, step: str | None = None) -> int:
        """Have files that were cleaned made again; of how many results."""
        self.again.hopeless.clear()
        count = want(self._store, exposures, step)
        self.again.refresh()
        return count

    def redo(self, step: str, exposure: int) -> bool:
        """Have a step do one exposure again, and what hangs on it; whether it had begun with it."""
        under_way = [task.id for task in self._tasks.values() if (task.step, task.exposure) == (step, exposure)]
        self._anew.update(under_way)
        lane, opened = self._lanes.get(step), redo(self._store, step, exposure)
        for inputs in opened if lane else []:
            lane.add(Todo(exposure, inputs, self._acquired(exposure)))
        return bool(under_way or opened)

    def _once_more(self, room: int, may: Callable[[str], bool]) -> list[Job]:
        """Tasks done before whose files are wanted again, sources first."""
        jobs: list[Job] = []
        steps = {step.id: step for step in self._store.steps().values()}
        for key in list(self.again.wanted):
            step, exposure = steps[key[0]], key[1]
            lane = self._lanes.get(step.name)
            if len(jobs) >= room:
                break
            if not step.inputs or step.name in self.broken:
                self.again.give_up(key, self.broken.get(step.name, "movies come from elsewhere."))
                continue
            if lane is None or exposure in lane.busy or exposure in self.again.going or not may(step.name):
                continue
            row = self.again.result(step, lane.gives, exposure)
            if row is None:
                self.again.drop(key)
                continue
            item = Todo(exposure, row.inputs)
            if not self._there(lane, item):
                self.again.give_up(key, "what they were made of was made anew since: restart the step.")
                continue
            if self._lacks(step, lane, item):
                continue
            lane.begin(exposure)
            (task,) = self._store.claim(step.name, [item], row.version)
            self._tasks[task.id] = task
            self.again.begin(task, row)
            jobs.append(self._job(replace(step, params=self._params(step, row.version)), lane, task))
        return jobs

    def _lacks(self, step: Step, lane: Lane, item: Todo) -> bool:
        """Whether files that a task would read were cleaned; then they are made again first."""
        if item.exposure in self.again.going:
            return True
        takes = lane.protocol.takes
        if lane.newest_only:
            found = self._behind(step, lane)
        elif isinstance(takes, Many):
            found = fold_lacks(self._store, takes.kind, batched(self._store.steps(), step).name)
        else:
            given = self._given(step, lane, item.inputs)[0].values()
            parts = [part for value in given for part in (value if isinstance(value, list) else [value])]
            found = missing(self._store, parts)
        needed = self.again.needed(found)
        self.again.want(needed)
        return bool(needed)

    def _behind(self, step: Step, lane: Lane) -> set[tuple[int, int]]:
        """Cleaned files that results of folds may speak of: those of all items of the same kind that they came of."""
        steps = self._store.steps()
        return {
            key
            for name in upstream(steps, step.name)
            for kind in set(lane.kinds.values())
            if steps[name].gives == kind.__name__ and not steps[name].fold
            for key in fold_lacks(self._store, kind, name)
        }

    def _look_again(self) -> None:
        """What waited for files may have them now."""
        self.again.changed = False
        for lane in self._lanes.values():
            waited, lane.lacking = lane.lacking, []
            for item in waited:
                lane.add(item)

    def _params(self, step: Step, version: int) -> dict[str, Any]:
        """Parameters of a step as they were."""
        ((text,),) = self._store.query("SELECT json FROM params WHERE step = ? AND version = ?", (step.id, version))
        return registry.get(step.protocol).known(json.loads(text))

    def _there(self, lane: Lane, item: Todo) -> bool:
        """Whether the rows that a task would begin with still are there."""
        if lane.protocol.is_fold() and not lane.newest_only:
            return True
        rows = zip(lane.kinds.values(), item.inputs, strict=False)  # of either of two steps there is one row
        return all(self._store.query(f"SELECT 1 FROM {kind.table()} WHERE id = ?", (row,)) for kind, row in rows)

    def _acquired(self, exposure: int | None) -> float:
        found = self._store.query("SELECT acquired FROM exposure WHERE id = ?", (exposure,))
        return found[0][0] if found else 0.0

    def _lane(self, step: Step, protocol: type[Protocol]) -> Lane:
        """Open a lane. Raise `CryowidgetsError` where the step cannot run."""
        made, steps = protocol(**step.params), self._store.steps()
        known = {name: Item.kinds.get(steps[source].gives) for name, source in step.inputs.items()}
        kinds, gives = protocol.kinds({name: kind for name, kind in known.items() if kind})
        if Item in (gives, *kinds.values()):
            raise WorkflowError(f"It cannot be told what {' and '.join(step.inputs.values())} gives, see there.")
        for kind in (gives, *kinds.values()):
            self._store.ensure_table(kind)
        lane = Lane(protocol, kinds, gives, newest_only=step.newest)
        if isinstance(protocol.takes, Many):
            every, first = protocol.takes.every, protocol.takes.first
            lane.every = getattr(made, every) if isinstance(every, str) else every
            lane.first = getattr(made, first) if isinstance(first, str) else first
            lane.by = protocol.takes.by
            lane.beside = tuple(name for name in protocol.takes.beside if name in step.inputs)
        elif protocol.waits():
            lane.closed_by = made.closed_by
            if lane.closed_by and not (
                lane.closed_by in steps and registry.get(steps[lane.closed_by].protocol).waits()
            ):
                raise WorkflowError(f"{step.name}.closed_by {lane.closed_by!r} is not a step that lets items wait.")
            lane.valve = Valve(self._store, step, made, next(iter(kinds.values())))
        return lane

    def _given(self, step: Step, lane: Lane, inputs: tuple[int, ...]) -> tuple[dict[str, Any], str]:
        """Arguments of a task, and how its files are called."""
        given: dict[str, Any]
        protocol, kinds = lane.protocol, lane.kinds
        takes = protocol.takes
        if isinstance(takes, Many):
            source = batched(self._store.steps(), step).name
            first, last, *beside = (inputs[0], *inputs) if lane.newest_only else inputs
            given = {
                "items": self._store.items(takes.kind, source, first, last),
                "last": self._store.last_result(lane.gives, step.name),
            }
            for name, row in zip(lane.beside, beside, strict=True):
                given[name] = self._store.item(kinds[name], row)
            stem = f"{step.name}_{last:06d}"
        elif isinstance(takes, Either | Without):
            given = {"item": self._store.item(kinds["first"], inputs[0])}
            stem = given["item"].name
        else:
            given = {name: self._store.item(kind, row) for (name, kind), row in zip(kinds.items(), inputs, strict=True)}
            stem = next(iter(given.values())).name
            if isinstance(takes, Recent):
                source = next(iter(step.inputs.values()))
                count, least = (_number(step, protocol, n) for n in (takes.count, takes.least))
                given["recent"] = recent(self._store, takes.kind, source, inputs[0], count, least)
        if lane.newest_only:
            stem = "_".join([step.name, *(f"{row:06d}" for row in inputs)])
        return given, stem

    def _job(self, step: Step, lane: Lane, task: Task) -> Job:
        given, stem = self._given(step, lane, task.inputs)
        return Job(
            task=task.id,
            key=f"{step.name}-{'-'.join(map(str, task.inputs))}-{task.attempt}",
            protocol=step.protocol,
            params=step.params,
            given=given,
            project=str(self._store.folder),
            folder=f"steps/{step.name}",
            stem=stem,
            resources=lane.protocol.resources,
        )


def _number(step: Step, protocol: type[Protocol], number: int | str) -> int:
    """A number, or the value of the parameter of that name."""
    if isinstance(number, int):
        return number
    return int(step.params.get(number, protocol.parameters()[number].default))
