"""What each command does. A command that cannot be carried out raises and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cryowidgets.errors import CommandError
from cryowidgets.protocols import registry
from cryowidgets.protocols.import_movies import ImportMovies

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


def _set(engine: Engine, step: str, values: dict[str, Any], redo: bool = False) -> str:
    s = _step(engine, step)
    protocol = registry.get(s.protocol)(**{**s.params, **values})
    engine.store.set_params(step, {**s.params, **values}, redo)
    if isinstance(protocol, ImportMovies):
        if redo:
            engine.describe_again(step, protocol)
        engine.open_door()
    engine.desk.reset()
    return f"{step}: " + ", ".join(f"{k} = {v!r}" for k, v in values.items())


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
    "reject": _reject,
    "readmit": _readmit,
    "scale": _scale,
    "quit": _quit,
}
