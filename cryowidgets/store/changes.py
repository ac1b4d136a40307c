"""What people do to steps while a session lives: hold, stop and go on, begin anew, link anew, take results away."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from cryowidgets.errors import WorkflowError
from cryowidgets.model import Item
from cryowidgets.store.database import Step
from cryowidgets.store.reach import reached
from cryowidgets.store.store import Store
from cryowidgets.store.todo import last_task

Query = Callable[..., list[tuple]]

_CLEARING = "clearing"
"""Setting of the project: steps whose files are still to be taken away, JSON."""


def hold(store: Store, name: str) -> None:
    """Have nothing begun at a step until it is released."""
    _mark(store, name, "hold = 1")


def release(store: Store, name: str) -> list[str]:
    """Let a step go on that was held, stopped or reset, and what depends on it where that was stopped with it.

    Returns
    -------
    list of str
        Names of the steps that go on; empty where nothing was held.
    """
    below = [step.name for step in store.downstream(name) if step.halted]
    own = store.steps()[name]
    going = [name] if own.hold or own.halted else []
    with store.transaction():
        for step in [name, *below] if going else []:
            _mark(store, step, "hold = 0, halted = ''" if step == name else "halted = ''")
    return going + below if going else []


def stop_branch(store: Store, name: str) -> list[str]:
    """Have nothing more begun at a step and at all that depends on it; returns their names."""
    branch = [name, *(step.name for step in store.downstream(name))]
    with store.transaction():
        for step in branch:
            if not store.steps()[step].halted:
                _mark(store, step, "halted = 'stopped'")
    return branch


def restart(store: Store, name: str) -> list[str]:
    """Have a step and all that depends on it done again from the beginning; stopped and reset ones go again.

    What they made stays to be looked at until it is made anew. An import keeps its movies. Returns their names.
    """
    branch = reached(store.steps(), name, "branch")
    with store.transaction():
        for step in branch:
            store.begin_again(step)
            _mark(store, step.name, "halted = ''")
    return [step.name for step in branch]


def link(store: Store, name: str, input: str, source: str, gives: type[Item]) -> list[str]:
    """Have a step take an input from another step, and do it and all that depends on it again.

    What was made of the former source stays to be looked at until it is made anew. `gives` is the kind that the step
    gives then. Returns the names of the steps that begin again.
    """
    steps = store.steps()
    with store.transaction() as db:
        db.execute("DELETE FROM link WHERE step = ? AND input = ?", (steps[name].id, input))
        db.execute("INSERT INTO link VALUES (?, ?, ?)", (steps[name].id, input, steps[source].id))
        db.execute("UPDATE step SET gives = ? WHERE id = ?", (gives.__name__, steps[name].id))
        store.ensure_table(gives)
        store.forget_steps()
        branch = reached(store.steps(), name, "branch")
        for step in branch:
            store.begin_again(step)
    return [step.name for step in branch]


def unheard(query: Query, step: Step, lasting: Collection[str], values: Mapping[str, Any]) -> list[str]:
    """Those of some new values of a step that only a redo can take up, since they hold from its first batch on.

    Parameters
    ----------
    query : callable
        Asks the ledger.
    lasting : collection of str
        Parameters that hold so: `Protocol.lasting`.
    """
    changed = [name for name in lasting if name in values and values[name] != step.params.get(name)]
    return changed if changed and last_task(query, step) else []


def why_unheard(step: str, names: Sequence[str]) -> str:
    """What to say where somebody asks for new values of these parameters for new items alone."""
    words = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    hold = "holds" if len(names) == 1 else "hold"
    return (
        f"{step}: {words} {hold} from the first batch on, so that new items cannot have other values: redo the branch."
    )


def redo(store: Store, name: str, exposure: int) -> list[tuple[int, ...]]:
    """Have a step do one exposure again; what it made stays to be looked at until it is made anew.

    Returns
    -------
    list of tuple
        Rows of the inputs of what may begin now; none where nothing was done, or a person has taken the exposure out.
    """
    step = store.steps()[name]
    with store.transaction() as db:
        opened = db.execute(
            "UPDATE task SET state = 'superseded' WHERE exposure = ? AND +step = ? AND version >= ? "
            "AND state IN ('done', 'failed', 'rejected') RETURNING inputs",
            (exposure, step.id, step.valid_from),
        ).fetchall()
    if store.query("SELECT 1 FROM exposure WHERE id = ? AND rejected IS NOT NULL", (exposure,)):
        return []
    return list(dict.fromkeys(tuple(map(int, inputs.split(","))) for (inputs,) in opened))


def reset(store: Store, name: str) -> list[str]:
    """Take away what a step made and all that came of it; it does nothing until it is restarted or released.

    The tasks stay in the ledger as superseded: what was done is history, its results are not. The files go when
    `cleared` says that nobody writes to them any more.

    Returns
    -------
    list of str
        Names of the steps that have no results now.

    Raises
    ------
    WorkflowError
        The step imports movies.
    """
    steps = store.steps()
    if not steps[name].inputs:
        raise WorkflowError(
            f"Step {name!r} imports the movies, which are not ours to forget. 'restart' does again all that came of "
            "them; to begin without them, make a new project."
        )
    branch = reached(steps, name, "branch")
    with store.transaction() as db:
        for step in branch:
            store.begin_again(step)
            table = step.gives.lower()
            if store.query("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)):
                db.execute(f'DELETE FROM "{table}" WHERE step = ?', (step.id,))
            db.execute("UPDATE task SET state = 'superseded' WHERE step = ? AND state = 'done'", (step.id,))
            db.execute("DELETE FROM cleaned WHERE step = ?", (step.id,))
        _mark(store, name, "halted = 'saved'")
        waiting = dict.fromkeys([*clearing(store), *(step.name for step in branch)])
        store.put(_CLEARING, json.dumps(list(waiting)))
    return [step.name for step in branch]


def halt(store: Store, name: str, how: str) -> None:
    """Have a step count as ``stopped`` or ``saved``, or with an empty text go on."""
    with store.transaction() as db:
        db.execute("UPDATE step SET halted = ? WHERE name = ?", (how, name))
        store.forget_steps()


def clearing(store: Store) -> list[str]:
    """Names of steps whose files are still to be taken away."""
    return json.loads(store.get(_CLEARING, "[]"))


def cleared(store: Store, name: str) -> None:
    """The files of a step are gone."""
    store.put(_CLEARING, json.dumps([other for other in clearing(store) if other != name]))


def _mark(store: Store, name: str, what: str) -> None:
    with store.transaction() as db:
        db.execute(f"UPDATE step SET {what} WHERE name = ?", (name,))
        store.forget_steps()
