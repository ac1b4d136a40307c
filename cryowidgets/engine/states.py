"""Where each step of a session stands, and why, in words: nothing ends or waits in silence."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryowidgets.store.changes import clearing
from cryowidgets.store.database import Step
from cryowidgets.store.nodes import upstream
from cryowidgets.store.store import Store

if TYPE_CHECKING:
    from cryowidgets.engine.desk import Desk


class States:
    """What may begin, what has ended, and what to say of it.

    Parameters
    ----------
    store : Store
    desk : Desk
    """

    def __init__(self, store: Store, desk: Desk) -> None:
        self._store, self._desk = store, desk
        self.clearing = clearing(store)
        """Steps that were reset and whose files are still there."""

    def may_begin(self, name: str) -> bool:
        """Whether a task of a step may be begun now, as far as people have a say in it."""
        step = self._store.steps()[name]
        if step.halted or step.hold:
            return False
        if step.after and not all(self.closed(other) for other in step.after if other in self._store.steps()):
            return False
        return name not in self.clearing

    def closed(self, name: str) -> bool:
        """Whether a step will give nothing more."""
        step = self._store.steps()[name]
        if not step.inputs:
            return self._store.get("stream") == "closed"
        if name in self._desk.broken:
            return True
        if self._desk.flying(name):
            return False
        if step.halted:
            return True
        if self._desk.waiting(name) and not (step.hold and self._desk.on_demand(name)):
            return False
        if self._desk.again.count(step.id):
            return False
        return self._desk.full(name) or all(self.closed(source) for source in step.inputs.values())

    def write(self, trouble: str = "") -> None:
        """Put state and reason of each step into the ledger; `trouble` is why no movie can come in."""
        counts = _Counts(self._store)
        for step in list(self._store.steps().values()):
            self._store.set_state(step.name, *self._state(step, counts, trouble))

    def _state(self, step: Step, counts: _Counts, trouble: str) -> tuple[str, str]:
        name = step.name
        if name in self._desk.broken:
            return "failed", self._desk.broken[name]
        if step.halted:
            return step.halted, _HALTED[step.halted]
        if not step.inputs:
            if self._store.get("stream") == "closed":
                return "finished", ""
            if step.hold:
                return "scheduled", "held until a person releases it"
            return ("scheduled", trouble) if trouble else ("running", "")
        waiting, flying = self._desk.waiting(name), self._desk.flying(name)
        if step.hold and waiting and not flying and self._desk.on_demand(name):
            ended = all(self.closed(source) for source in step.inputs.values())
            return "finished" if ended else "scheduled", "'release' has it done once, with all there is by then"
        if self.closed(name):
            return self._end(step, counts)
        if flying:
            return "running", ""
        if step.hold:
            return "scheduled", f"held until a person releases it; {_items(waiting)} {_wait(waiting)}"
        if step.after and not self.may_begin(name):
            ended = [other for other in step.after if not self.closed(other)]
            return "scheduled", f"waits until {' and '.join(ended)} {'have' if len(ended) > 1 else 'has'} ended"
        why = self._because(step, counts)
        if waiting or (counts.begun(step) and not why):
            return "running", ""
        if why:
            return "scheduled", f"because {why}"
        held = self._desk.held(name)
        if held:
            return "scheduled", f"{held} item{'s' if held > 1 else ''} came; waits for more"
        absent = self._desk.absent(name)
        if absent:
            return "scheduled", f"waits for {' and '.join(absent)}"
        gathered = self._desk.came(name)
        if gathered and gathered[0]:
            return "scheduled", "{:,.0f} of {:,} {} came".format(*gathered)
        return "scheduled", f"waits for {' and '.join(dict.fromkeys(step.inputs.values()))}"

    def _end(self, step: Step, counts: _Counts) -> tuple[str, str]:
        """How a step ended that nothing more comes to."""
        failed = counts.failed(step)
        if failed and not counts.results(step):
            return "failed", f"all {_items(failed)} failed; the last: {self._last_error(step)}"
        why = self._because(step, counts)
        hard = any(self._broken_or_failed(self._store.steps()[name], counts) for name in self._upstream(step))
        if why and hard:
            return "failed", f"because {why}"
        if why and not counts.begun(step):
            return "scheduled", f"because {why}"
        if not counts.begun(step) and not self._desk.full(step.name):
            return "finished", self._nothing(step, counts)
        lost = [(n, name) for name in self._upstream(step) if (n := counts.failed(self._store.steps()[name]))]
        if lost:
            total = sum(n for n, _ in lost)
            where = ", ".join(f"{n} in {name}" for n, name in lost)
            return "finished", f"{_items(total)} never came, since {'it' if total == 1 else 'they'} failed: {where}"
        return "finished", ""

    def _because(self, step: Step, counts: _Counts) -> str:
        """What is the matter with the nearest step on the way to this one that gives nothing for now."""
        for name in self._upstream(step):
            source = self._store.steps()[name]
            if name in self._desk.broken:
                return f"step {name} cannot run: {self._desk.broken[name]}"
            if source.halted == "stopped" and not counts.results(source):
                return f"step {name} was stopped by a person"
            if source.halted == "saved":
                return f"step {name} was reset and not started again"
            if self._broken_or_failed(source, counts):
                n = counts.failed(source)
                return f"all {_items(n)} failed in step {name}; the last: {self._last_error(source)}"
            waiting = self._desk.waiting(name)
            if waiting and source.hold and not self._desk.flying(name):
                return f"step {name} is held until a person releases it"
            if waiting and source.after and not self.may_begin(name):
                return f"step {name} waits until {' and '.join(source.after)} {_have(source.after)} ended"
        return ""

    def _broken_or_failed(self, source: Step, counts: _Counts) -> bool:
        """Whether nothing comes of a step, since it cannot run or failed with everything that it had."""
        if source.name in self._desk.broken:
            return True
        busy = self._desk.waiting(source.name) or self._desk.flying(source.name)
        return bool(counts.failed(source) and not counts.results(source) and not busy)

    def _nothing(self, step: Step, counts: _Counts) -> str:
        """Why a step that is closed had nothing to do."""
        for name in self._upstream(step):
            rejected = counts.rejected(self._store.steps()[name])
            if rejected and not counts.made(self._store.steps()[name]):
                return f"nothing came: step {name} rejected all {_items(rejected)}"
        return "nothing came"

    def _upstream(self, step: Step) -> list[str]:
        return upstream(self._store.steps(), step.name)

    def _last_error(self, step: Step) -> str:
        found = self._store.query(
            "SELECT error FROM task WHERE step = ? AND state = 'failed' AND state IN ('running', 'failed', 'rejected') "
            "ORDER BY id DESC LIMIT 1",
            (step.id,),
        )
        return (found[0][0] or "no reason is known") if found else "no reason is known"


_HALTED = {
    "stopped": "stopped by a person; 'release' lets it go on, 'restart' does it again",
    "saved": "reset by a person; 'release' or 'restart' starts it",
}


@dataclass
class _Counts:
    """The tallies of all steps, asked once."""

    store: Store
    _tally: dict[int, dict[str, int]] = field(default_factory=dict)
    _made: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for step, state, n in self.store.query("SELECT step, state, n FROM tally WHERE n > 0"):
            self._tally.setdefault(step, {})[state] = n
        sql = (
            "SELECT m.step, sum(m.n) FROM made m JOIN step s ON s.id = m.step AND m.version >= s.valid_from GROUP BY 1"
        )
        self._made = dict(self.store.query(sql))

    def made(self, step: Step) -> int:
        return self._made.get(step.id, 0)

    def failed(self, step: Step) -> int:
        return self._tally.get(step.id, {}).get("failed", 0)

    def rejected(self, step: Step) -> int:
        return self._tally.get(step.id, {}).get("rejected", 0)

    def results(self, step: Step) -> int:
        """What came to a good end, be it a rejection."""
        return self.made(step) + self.rejected(step)

    def begun(self, step: Step) -> bool:
        tally = self._tally.get(step.id, {})
        return bool(self.results(step) or tally.get("failed") or tally.get("running") or tally.get("retry"))


def _items(n: int) -> str:
    return f"{n} item{'' if n == 1 else 's'}"


def _wait(n: int) -> str:
    return "waits" if n == 1 else "wait"


def _have(names: tuple[str, ...]) -> str:
    return "have" if len(names) > 1 else "has"
