"""What each command does. A command that cannot be carried out raises and changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from cryowidgets.engine import adding, correcting
from cryowidgets.errors import CommandError
from cryowidgets.protocols import registry
from cryowidgets.protocols.import_movies import ImportMovies
from cryowidgets.protocols.within_thresholds import WithinThresholds
from cryowidgets.store import alerts, changes, cleaning, thresholds
from cryowidgets.store.nodes import cost
from cryowidgets.workflow import StepSpec

if TYPE_CHECKING:
    from cryowidgets.engine.engine import Engine

LONGEST_NOTE = 2000
"""Characters that a person may write of an exposure."""


def carry_out(engine: Engine, name: str, args: dict[str, Any]) -> str:
    """Do what a command says; returns a sentence for the log.

    Raises
    ------
    CryowidgetsError
        It cannot be done; the sentence says why.
    """
    try:
        return _ACTIONS[name](engine, **args)
    except TypeError as error:
        if f"_{name}()" not in str(error):
            raise
        raise CommandError(f"Command {name!r} was sent with other arguments than it takes: {error}.") from None


def _pause(engine: Engine) -> str:
    engine.store.put("paused", "1")
    return "paused; what is under way is finished"


def _resume(engine: Engine) -> str:
    engine.store.put("paused", "0")
    return "resumed"


def _stop(engine: Engine) -> str:
    if engine.store.get("stream") == "closed":
        return "the stream is closed already"
    engine.store.put("stream", "stopping")
    engine.open_door()  # a fresh look, so that what came since the last one is taken in too
    return "stopping: the movies that are there are taken in, then the stream closes"


def _reopen(engine: Engine) -> str:
    engine.store.put("stream", "open")
    engine.open_door()
    return "the stream is open again"


def _retry(engine: Engine, step: str | None = None, exposure: int | None = None) -> str:
    if step is not None:
        _step(engine, step)
    count = engine.store.retry(step, exposure)
    engine.open_door()  # judges refused files anew
    engine.desk.reset()
    again = engine.desk.restore([exposure], step) if exposure is not None else 0
    return f"{count} failed tasks are tried again{_restoring(again)}"


def _set(engine: Engine, step: str, values: dict[str, Any], redo: bool = False, scope: str = "") -> str:
    s = _step(engine, step)
    scope = scope or ("branch" if redo else "new")
    protocol = registry.get(s.protocol)(**{**s.params, **values})
    values = {name: getattr(protocol, name) for name in values}  # numbers, though they may have come as texts
    unheard = changes.unheard(engine.store.query, s, protocol.lasting, values) if scope == "new" else []
    if unheard:
        raise CommandError(changes.why_unheard(step, unheard))
    price = cost(engine.store.query, engine.store.steps(), step, scope)
    # Where and how long to look for movies changes nothing of those that are in.
    outdates = not isinstance(protocol, ImportMovies) or any(
        protocol.parameters()[name].group != "Movies" for name in values
    )
    engine.store.set_params(step, {**s.params, **values}, scope=scope, outdates=outdates)
    if isinstance(protocol, ImportMovies):
        if scope != "new":
            engine.describe_again(step, protocol)
        engine.open_door()
    engine.desk.reset()
    return f"{step}: " + ", ".join(f"{k} = {v!r}" for k, v in values.items()) + f"; {price}"


def _add(engine: Engine, step: dict[str, Any]) -> str:
    spec = _spec(step)
    adding.check(engine.store, spec)
    adding.add_step(engine.store, spec)
    engine.desk.reset()
    if spec.protocol == ImportMovies.__name__:
        engine.open_door()
    return f"step {spec.name} was added; what is there already is done first, then what comes"


def _link(engine: Engine, step: str, input: str, source: str) -> str:
    _step(engine, step)
    again = adding.link(engine.store, step, input, source)
    engine.desk.reset()
    return f"{step} takes its {input} from {source} now; {', '.join(again)} begin again"


def _hold(engine: Engine, step: str) -> str:
    _step(engine, step)
    changes.hold(engine.store, step)
    return f"nothing is begun at {step} until it is released"


def _release(engine: Engine, step: str) -> str:
    s = _step(engine, step)
    going = changes.release(engine.store, step)
    if going and engine.desk.on_demand(step):
        engine.store.retry(step)  # what failed when it was last asked for is asked for again
    if not s.inputs:
        engine.open_door()
    return f"{' and '.join(going)} may begin" if going else f"{step} was not held"


def _stop_branch(engine: Engine, step: str) -> str:
    if not _step(engine, step).inputs:
        raise CommandError(f"Step {step!r} imports the movies: 'stop' closes its stream, 'pause' holds all steps.")
    return f"stopped: {', '.join(changes.stop_branch(engine.store, step))}; what is under way is finished"


def _restart(engine: Engine, step: str) -> str:
    s = _step(engine, step)
    price = cost(engine.store.query, engine.store.steps(), step, "branch")
    if not s.inputs:
        engine.describe_again(step, ImportMovies(**s.params))
    again = changes.restart(engine.store, step)
    engine.desk.reset()
    return f"{', '.join(again)} begin again: {price}"


def _reset(engine: Engine, step: str) -> str:
    _step(engine, step)
    gone = changes.reset(engine.store, step)
    engine.states.clearing = changes.clearing(engine.store)
    engine.desk.reset()
    return f"results and files of {', '.join(gone)} are gone; {step} does nothing until it is restarted"


def _reject(
    engine: Engine, exposure: int | None = None, why: str = "rejected by hand", exposures: Sequence[int] = ()
) -> str:
    named = _exposures(engine, exposure, exposures)
    engine.store.reject(list(named), why)
    engine.desk.reset()
    return f"{_listed(named)} {_are(named)} rejected: {why}"


def _readmit(engine: Engine, exposure: int | None = None, exposures: Sequence[int] = ()) -> str:
    """A person's rejection is taken back; a gate's is overruled: the item goes on as if the gate had let it pass."""
    named = _exposures(engine, exposure, exposures)
    engine.store.reject(list(named), None)
    for id, name in named.items():
        for _, task in engine.store.rejected_tasks(id):
            inputs, gives = engine.desk.kinds(task.step)
            at = next((i for i, kind in enumerate(inputs.values()) if kind is gives), None)
            if at is None:
                raise CommandError(
                    f"{name} was rejected by {task.step}, which makes a {gives.__name__} of its own and so "
                    f"cannot just let it pass. Change the parameters of {task.step} instead."
                )
            item = engine.store.item(gives, task.inputs[at]).filed(engine.store.folder)
            engine.store.finish(task, "done", item, error="readmitted by hand")
    engine.desk.reset()
    again = engine.desk.restore(list(named))
    return f"{_listed(named)} {_are(named)} readmitted{_restoring(again)}"


def _clean(
    engine: Engine,
    what: Sequence[str] = (),
    exposures: Sequence[int] | None = None,
    why: str = "cleaned by hand",
    raw_of_rejected: str = "",
) -> str:
    if not isinstance(what, list | tuple) or not all(isinstance(n, str) for n in [*what, why, raw_of_rejected]):
        raise CommandError("Write what= as a list of names, and why= and raw_of_rejected= as texts.")
    unknown = set(what) - set(cleaning.RECOMPUTABLE)
    if unknown:
        known = ", ".join(cleaning.RECOMPUTABLE)
        raise CommandError(f"There is nothing called {sorted(unknown)[0]!r} to clean. There are: {known}.")
    if exposures is not None and not (isinstance(exposures, list) and all(isinstance(id, int) for id in exposures)):
        raise CommandError("Write exposures= as a list of numbers, or leave it out for all.")
    chosen, kept = cleaning.plan(engine.store.query, engine.store.steps(), what, exposures)
    if raw_of_rejected:
        if raw_of_rejected != engine.store.get("name"):
            raise CommandError(
                f"raw_of_rejected= takes the name of the session, {engine.store.get('name')!r}, for these movies "
                "cannot be made again."
            )
        chosen += cleaning.raw_of_rejected(engine.store.query, engine.store.steps())
    count, size = cleaning.mark(engine.store, chosen, why)
    engine.desk.again.refresh()
    return cleaning.said(count, size, why, kept)


def _restore(engine: Engine, exposures: Sequence[int] | None = None, step: str | None = None) -> str:
    if step is not None:
        _step(engine, step)
    named = None if exposures is None else list(_exposures(engine, None, exposures))
    count = engine.desk.restore(named, step)
    return _restoring(count).removeprefix("; ") or "nothing was cleaned there"


def _restoring(count: int) -> str:
    return f"; cleaned files of {count} result{'s' * (count > 1)} are made again" if count else ""


def _flag(engine: Engine, exposure: int | None = None, on: bool = True, exposures: Sequence[int] = ()) -> str:
    named = _exposures(engine, exposure, exposures)
    engine.store.flag(list(named), bool(on))
    return f"{_listed(named)} {_are(named)} {'flagged' if on else 'no longer flagged'}"


def _note(engine: Engine, text: str, exposure: int | None = None, exposures: Sequence[int] = ()) -> str:
    named = _exposures(engine, exposure, exposures)
    if not isinstance(text, str) or len(text) > LONGEST_NOTE:
        raise CommandError(f"A note is a text of at most {LONGEST_NOTE} characters.")
    engine.store.note(list(named), text.strip())
    return f"a note of {_listed(named)}: {text.strip()}" if text.strip() else f"{_listed(named)}: no note any more"


def _pick(engine: Engine, step: str, exposure: int, add: Sequence[Any] = (), remove: Sequence[Any] = ()) -> str:
    ((id, name),) = _exposures(engine, exposure, ()).items()
    return correcting.pick(engine, _step(engine, step), id, name, add, remove)


def _unpick(engine: Engine, step: str, exposure: int) -> str:
    ((id, name),) = _exposures(engine, exposure, ()).items()
    return correcting.unpick(engine, _step(engine, step), id, name)


def _approve_size(engine: Engine, step: str, picker: str, scope: str = "new") -> str:
    """A picker that waits on hold begins with the size; one that has picked already does it again by scope branch."""
    values = correcting.approved_size(engine, _step(engine, step), _step(engine, picker))
    said = _set(engine, picker, values, scope=scope)
    going = changes.release(engine.store, picker)
    return f"{said}; {' and '.join(going)} may begin" if going else said


def _threshold(engine: Engine, values: dict[str, Any], gate: bool = False) -> str:
    cut = thresholds.cut(values)
    engine.store.put(thresholds.KEY, thresholds.dumps(cut))
    said = f"thresholds: {thresholds.say(cut)}"
    return said + _gate(engine, cut) if gate else said


def _gate(engine: Engine, cut: thresholds.Cut) -> str:
    """Have the gates of the particle branch go by the thresholds; what they do not know of is said."""
    gates = [s.name for s in engine.store.steps().values() if s.protocol == WithinThresholds.__name__]
    if not gates:
        raise CommandError(
            "This workflow has no step WithinThresholds, so no branch can go by the thresholds. Add one where the "
            "branch begins, taking micrograph and ctf."
        )
    values, unknown = WithinThresholds.limits(cut)
    for name in gates:
        _set(engine, name, values, scope="branch")
    rest = f"; it has no limit for {', '.join(unknown)}" if unknown else ""
    return f"; {' and '.join(gates)} went by them{rest}"


def _acknowledge(engine: Engine, alert: int, by: str = "") -> str:
    known = alerts.acknowledge(engine.store, alert, by)
    return f"{known.acknowledged_by or 'somebody'} knows of alert {known.id}: {known.text}"


def _monitor(engine: Engine, name: str, values: dict[str, Any] | None = None, on: bool | None = None) -> str:
    if not isinstance(name, str) or not isinstance(values, dict | None):
        raise CommandError("Name a monitor, and write values= as {'parameter': value}.")
    said = engine.observers.command("monitor")(name=name, values=values, on=on)
    engine.observers.wake()
    return said


def _channels(engine: Engine, names: list[str]) -> str:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise CommandError("Write names= as a list of the names of channels; an empty one for those always on.")
    return engine.observers.command("channels")(names=names)


def _scale(engine: Engine, workers: int) -> str:
    if not isinstance(workers, int) or workers < 1:
        raise CommandError(f"Cannot scale to {workers!r} workers: write a whole number of at least 1.")
    engine.executor.scale(workers)
    return f"scaling to {workers} workers"


def _quit(engine: Engine) -> str:
    engine.end()
    return "the engine ends; the stream stays open"


def _step(engine: Engine, name: str):
    steps = engine.store.steps()
    if name not in steps:
        raise CommandError(f"There is no step {name!r}. There are: {', '.join(steps)}.")
    return steps[name]


def _spec(content: Any) -> StepSpec:
    known = {field.name for field in fields(StepSpec)}
    if not isinstance(content, dict) or not {"name", "protocol"} <= set(content) <= known:
        raise CommandError(
            f"{content!r} is not a step: write its name, protocol, params and inputs; it may have "
            f"{', '.join(sorted(known - {'name', 'protocol', 'params', 'inputs'}))}."
        )
    return StepSpec(**{**content, "after": tuple(content.get("after", ()))})


def _exposures(engine: Engine, one: int | None, many: Sequence[int]) -> dict[int, str]:
    """Names of the exposures that a command is about, by id; none of them where one is not there."""
    named = {}
    for id in [*([] if one is None else [one]), *many]:
        found = engine.store.query("SELECT name FROM exposure WHERE id = ?", (id,)) if isinstance(id, int) else []
        if not found:
            raise CommandError(f"There is no exposure {id!r}.")
        named[id] = found[0][0]
    if not named:
        raise CommandError("No exposure is named: write exposure=, or exposures= with a list.")
    return named


def _listed(named: dict[int, str]) -> str:
    return ", ".join(named.values()) if len(named) <= 3 else f"{len(named)} exposures"


def _are(named: dict[int, str]) -> str:
    return "is" if len(named) == 1 else "are"


_ACTIONS: dict[str, Callable[..., str]] = {
    "pause": _pause,
    "resume": _resume,
    "stop": _stop,
    "reopen": _reopen,
    "retry": _retry,
    "set": _set,
    "add": _add,
    "link": _link,
    "hold": _hold,
    "release": _release,
    "stop_branch": _stop_branch,
    "restart": _restart,
    "reset": _reset,
    "reject": _reject,
    "readmit": _readmit,
    "flag": _flag,
    "note": _note,
    "pick": _pick,
    "unpick": _unpick,
    "approve_size": _approve_size,
    "threshold": _threshold,
    "acknowledge": _acknowledge,
    "monitor": _monitor,
    "channels": _channels,
    "clean": _clean,
    "restore": _restore,
    "scale": _scale,
    "quit": _quit,
}
