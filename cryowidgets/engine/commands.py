"""What each command does. A command that cannot be carried out raises and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from cryowidgets.engine import adding
from cryowidgets.errors import CommandError
from cryowidgets.protocols import registry
from cryowidgets.protocols.import_movies import ImportMovies
from cryowidgets.store import alerts, changes
from cryowidgets.store.nodes import cost
from cryowidgets.workflow import StepSpec

if TYPE_CHECKING:
    from cryowidgets.engine.engine import Engine


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
    return f"{count} failed tasks are tried again"


def _set(engine: Engine, step: str, values: dict[str, Any], redo: bool = False, scope: str = "") -> str:
    s = _step(engine, step)
    scope = scope or ("branch" if redo else "new")
    protocol = registry.get(s.protocol)(**{**s.params, **values})
    values = {name: getattr(protocol, name) for name in values}  # numbers, though they may have come as texts
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


def _reject(engine: Engine, exposure: int, why: str = "rejected by hand") -> str:
    name = _exposure(engine, exposure)
    engine.store.reject(exposure, why)
    engine.desk.reset()
    return f"{name} is rejected: {why}"


def _readmit(engine: Engine, exposure: int) -> str:
    """A person's rejection is taken back; a gate's is overruled: the item goes on as if the gate had let it pass."""
    name = _exposure(engine, exposure)
    engine.store.reject(exposure, None)
    for _, task in engine.store.rejected_tasks(exposure):
        inputs, gives = engine.desk.kinds(task.step)
        kind = next(iter(inputs.values()))
        if kind is not gives:
            raise CommandError(
                f"{name} was rejected by {task.step}, which makes a {gives.__name__} of its own and so "
                f"cannot just let it pass. Change the parameters of {task.step} instead."
            )
        item = engine.store.item(kind, task.inputs[0]).filed(engine.store.folder)
        engine.store.finish(task, "done", item, error="readmitted by hand")
    engine.desk.reset()
    return f"{name} is readmitted"


def _acknowledge(engine: Engine, alert: int, by: str = "") -> str:
    known = alerts.acknowledge(engine.store, alert, by)
    return f"{known.acknowledged_by or 'somebody'} knows of alert {known.id}: {known.text}"


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


def _exposure(engine: Engine, id: int) -> str:
    found = engine.store.query("SELECT name FROM exposure WHERE id = ?", (id,))
    if not found:
        raise CommandError(f"There is no exposure {id!r}.")
    return found[0][0]


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
    "acknowledge": _acknowledge,
    "scale": _scale,
    "quit": _quit,
}
