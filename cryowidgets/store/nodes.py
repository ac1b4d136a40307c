"""The workflow as a page draws it: each step with its state and counts, and what a change of it would cost.

Everything comes from the tallies that the ledger keeps and from a few index look-ups: what fails and what is rejected
may be counted one by one, what is done never is.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cryowidgets.errors import WorkflowError
from cryowidgets.store.database import Step, batched
from cryowidgets.store.reach import reached, upstream
from cryowidgets.store.todo import SETTLED, last_batch, last_task

Query = Callable[..., list[tuple]]

RECENT = 100
"""So many of a step's newest results say how long one of its tasks takes."""


@dataclass(frozen=True)
class Node:
    """A step as a graph shows it."""

    name: str
    protocol: str
    """of an inert step: where it comes from, such as ``scipion:XmippProtMovieGain``"""
    label: str
    state: str
    """saved, scheduled, running, finished, failed or stopped"""
    reason: str
    """in words, why it waits, failed, or what it lacks"""
    inputs: dict[str, str]
    after: tuple[str, ...] = ()
    hold: bool = False
    waiting: int = 0
    """items that are there for it and not begun; of a fold, those that no batch has had"""
    running: int = 0
    done: int = 0
    """valid results, of a fold batches"""
    failed: int = 0
    rejected: int = 0
    outdated: int = 0
    """results of older parameters: with scope `new` they are among the done, else they are done again"""
    inert: bool = False
    missing: int = 0
    """items that never come to it, since they failed in a step before it"""


@dataclass(frozen=True)
class Cost:
    """What a change makes necessary."""

    items: int
    """tasks that are done again"""
    seconds: float
    """how long that takes, by the mean time of such tasks and the present workers; NaN where no task tells"""

    def __str__(self) -> str:
        if not self.items:
            return "nothing is done again"
        tasks = "1 task is" if self.items == 1 else f"{self.items} tasks are"
        if math.isnan(self.seconds):
            return f"{tasks} done again; how long that takes cannot be told yet"
        return f"{tasks} done again, which takes about {spell(self.seconds)}"


def nodes(query: Query, steps: Mapping[str, Step]) -> list[Node]:
    """All steps in the order of the workflow, then those that cannot be run here."""
    counts = _Counts(query, steps)
    found = []
    for step in steps.values():
        tally = counts.tally.get(step.id, {})
        found.append(
            Node(
                name=step.name,
                protocol=step.protocol,
                label=step.label,
                state=step.state,
                reason=step.reason,
                inputs=step.inputs,
                after=step.after,
                hold=step.hold,
                waiting=counts.waiting(step),
                running=tally.get("running", 0),
                done=counts.results(step, step.valid_from),
                failed=tally.get("failed", 0),
                rejected=tally.get("rejected", 0),
                outdated=counts.results(step, 0) - counts.results(step, max(step.fresh_from, step.valid_from)),
                missing=counts.missing(step),
            )
        )
    kept = query("SELECT value FROM project WHERE key = 'inert'")
    for inert in json.loads(kept[0][0]) if kept else ():
        reason = "there is no such step here: it is kept and never run"
        inputs = dict(inert.get("inputs", {}))
        node = Node(inert["name"], inert["origin"], inert.get("label", ""), "saved", reason, inputs, inert=True)
        found.append(node)
    return found


def cost(query: Query, steps: Mapping[str, Step], step: str, scope: str) -> Cost:
    """How many tasks a change of a step would have done again, and how long that takes.

    Raises
    ------
    WorkflowError
        There is no such step or scope.
    """
    if step not in steps:
        raise WorkflowError(f"There is no step {step!r}. There are: {', '.join(steps)}.")
    counts = _Counts(query, steps)
    items, seconds = 0, 0.0
    workers = _workers(query)
    again = reached(steps, step, scope)
    begun = {s.name for s in again}
    for s in again:
        tally = counts.tally.get(s.id, {})
        n = counts.results(s, s.valid_from) + sum(tally.get(state, 0) for state in ("failed", "rejected", "running"))
        if s.newest and not begun & set(s.inputs.values()):
            n = min(n, 1)  # of what its sources have made, only the newest
        if n:
            items += n
            seconds += n * _mean_time(query, s) / (1 if s.fold else workers)  # batches of a fold come one by one
    return Cost(items, seconds)


def spell(seconds: float) -> str:
    """A time as people say it: 40 s, 12 min, 3.5 h."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172800 else f"{seconds / 86400:.1f} days"


@dataclass
class _Counts:
    """Numbers of all steps, each asked of the ledger once."""

    query: Query
    steps: Mapping[str, Step]
    tally: dict[int, dict[str, int]] = field(default_factory=dict)
    made: dict[int, dict[int, int]] = field(default_factory=dict)
    _troubles: dict[tuple[int, str], set[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for step, state, n in self.query("SELECT step, state, n FROM tally WHERE n > 0"):
            self.tally.setdefault(step, {})[state] = n
        kept = self.query("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'made'")
        # A ledger of an earlier version that no engine has opened since keeps no such number.
        counted = "SELECT step, version, count(*) FROM task WHERE state = 'done' GROUP BY 1, 2"
        for step, version, n in self.query("SELECT step, version, n FROM made" if kept else counted):
            self.made.setdefault(step, {})[version] = n

    def results(self, step: Step, since: int) -> int:
        """Results of a step by parameters of version `since` or later."""
        return sum(n for version, n in self.made.get(step.id, {}).items() if version >= since)

    def waiting(self, step: Step) -> int:
        sources = [self.steps[name] for name in dict.fromkeys(step.inputs.values())]
        if step.state == "finished":
            return 0  # what is left over, of a trigger that is full for instance, never begins
        if not sources or any(not self.results(source, source.valid_from) for source in sources):
            return 0
        if step.newest:
            return self._unmade(step)
        if step.fold:
            return self._unfolded(step, batched(self.steps, step))
        if len(sources) > 1 and step.state == "finished":
            return 0  # also where it takes items of either source, or of one without the other
        tally = self.tally.get(step.id, {})
        settled = self.results(step, step.valid_from)
        settled += sum(tally.get(state, 0) for state in ("running", "failed", "rejected"))
        if len(sources) == 1:
            return max(0, self.results(sources[0], sources[0].valid_from) - settled - self._taken_out(step, sources[0]))
        there = min(self._shared(source, sources) for source in sources)
        return max(0, there - settled + self._settled_out(step))

    def missing(self, step: Step) -> int:
        """Exposures that failed in a step before this one, each counted once."""
        before = [self.steps[name] for name in upstream(self.steps, step.name)]
        guilty = [s for s in before if self.tally.get(s.id, {}).get("failed")]
        if len(guilty) < 2:
            return sum(self.tally[s.id]["failed"] for s in guilty)
        return len(set().union(*(self._trouble(s, "failed") for s in guilty)))

    def _shared(self, source: Step, sources: list[Step]) -> int:
        """Results of one source of a join without those whose exposure has come to an end on the way to another.

        Exact once the sources have done all there is; before, within what is on its way.
        """
        out = {id for (id,) in self.query("SELECT id FROM exposure WHERE rejected IS NOT NULL")}
        elsewhere = set().union(*(self._ended(other) for other in sources)) - self._ended(source) - out
        return self.results(source, source.valid_from) - self._results_out(source) - len(elsewhere)

    def _ended(self, source: Step) -> set[int]:
        ways = [source, *(self.steps[name] for name in upstream(self.steps, source.name))]
        return set().union(*(self._trouble(s, state) for s in ways for state in ("failed", "rejected")))

    def _trouble(self, step: Step, state: str) -> set[int]:
        if (step.id, state) not in self._troubles:
            # Said twice: SQLite then knows that the index of troubles has all of them.
            sql = (
                "SELECT exposure FROM task WHERE step = ? AND state = ? "
                "AND state IN ('running', 'failed', 'rejected') AND exposure IS NOT NULL"
            )
            some = self.tally.get(step.id, {}).get(state)
            self._troubles[step.id, state] = {e for (e,) in self.query(sql, (step.id, state))} if some else set()
        return self._troubles[step.id, state]

    def _taken_out(self, step: Step, source: Step) -> int:
        """Results waiting for a step that never go on, since a person has rejected their exposures."""
        sql = (
            f'SELECT count(*) FROM exposure e CROSS JOIN "{source.gives.lower()}" r ON r.exposure = e.id '
            "AND r.step = ? AND r.version >= ? WHERE e.rejected IS NOT NULL AND NOT EXISTS (SELECT 1 FROM task "
            f"WHERE exposure = e.id AND step = ? AND version >= ? AND state IN {SETTLED})"
        )
        return self.query(sql, (source.id, source.valid_from, step.id, step.valid_from))[0][0]

    def _results_out(self, step: Step) -> int:
        """Valid results of a step whose exposures a person has rejected."""
        sql = (
            f'SELECT count(*) FROM exposure e CROSS JOIN "{step.gives.lower()}" r ON r.exposure = e.id '
            "AND r.step = ? AND r.version >= ? WHERE e.rejected IS NOT NULL"
        )
        return self.query(sql, (step.id, step.valid_from))[0][0]

    def _settled_out(self, step: Step) -> int:
        """Tasks of a step, done or otherwise at an end, whose exposures a person has rejected."""
        sql = (
            "SELECT count(*) FROM exposure e CROSS JOIN task t ON t.exposure = e.id AND t.step = ? AND t.version >= ? "
            f"AND t.state IN {SETTLED} WHERE e.rejected IS NOT NULL"
        )
        return self.query(sql, (step.id, step.valid_from))[0][0]

    def _unmade(self, step: Step) -> int:
        """1 where there are newer results than those that a step has taken that takes the newest of its sources."""
        newest = []
        for name in step.inputs.values():
            source = self.steps[name]
            sql = f'SELECT max(id) FROM "{source.gives.lower()}" WHERE step = ? AND version >= ?'
            newest.append(self.query(sql, (source.id, source.valid_from))[0][0])
        last = last_task(self.query, step)
        return int(last is None or sorted(last[1]) != sorted(newest))

    def _unfolded(self, step: Step, source: Step) -> int:
        last = last_batch(self.query, step)
        table = f'"{source.gives.lower()}"'
        if not last:
            return self.results(source, source.valid_from) - self._results_out(source)
        new = self.query(
            f"SELECT count(*) FROM {table} r LEFT JOIN exposure e ON e.id = r.exposure "
            "WHERE r.step = ? AND r.id > ? AND r.version >= ? AND e.rejected IS NULL",
            (source.id, last[1], source.valid_from),
        )
        return new[0][0]


def _mean_time(query: Query, step: Step) -> float:
    """Seconds that a task of a step takes: the mean of the newest results, else of what failed or was rejected."""
    there = query("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (step.gives.lower(),))
    mean: Any = None
    if there:
        newest = f'SELECT task FROM "{step.gives.lower()}" WHERE step = ? ORDER BY id DESC LIMIT {RECENT}'
        sql = f"SELECT avg(t.finished - t.started) FROM ({newest}) r JOIN task t ON t.id = r.task"
        mean = query(sql, (step.id,))[0][0]
    if mean is None:
        newest = (
            "SELECT finished - started AS time FROM task WHERE step = ? AND state IN ('failed', 'rejected') "
            f"AND state IN ('running', 'failed', 'rejected') ORDER BY id DESC LIMIT {RECENT}"
        )
        mean = query(f"SELECT avg(time) FROM ({newest})", (step.id,))[0][0]
    return math.nan if mean is None else mean


def _workers(query: Query) -> int:
    """Workers that there are, or were when an engine last ran."""
    last = query("SELECT workers FROM system ORDER BY id DESC LIMIT 1")
    return max(1, (last[0][0] if last else os.cpu_count()) or 1)
