"""What an engine finds in a project that an earlier version made, and what it makes of it before it begins."""

from __future__ import annotations

from cryowidgets.engine.adding import set_folds
from cryowidgets.errors import CryowidgetsError
from cryowidgets.protocols import registry
from cryowidgets.store.database import Step
from cryowidgets.store.store import Store


def take_over(store: Store) -> None:
    """Bring the ledger and the recorded parameters to what is installed now. Hold the project's `WriterLock`.

    Parameters that a protocol has got since take their defaults; those that it does not have any more are left out,
    and the log says with which value. Nothing is done again for either.

    Raises
    ------
    ProjectError
        The ledger cannot be changed; then it is as it was.
    """
    for step in store.steps().values():
        try:
            registry.get(step.protocol)  # so that the kinds of plug-ins are known
        except CryowidgetsError:
            continue  # the desk says so, step by step
    store.upgrade()
    with store.transaction() as db:
        # Movies stay valid whatever is set at their import; earlier versions had them wait to be imported again.
        db.execute("UPDATE step SET valid_from = 1 WHERE valid_from > 1 AND id NOT IN (SELECT step FROM link)")
        store.forget_steps()
    set_folds(store)
    for step in list(store.steps().values()):
        try:
            _amend(store, step)
        except CryowidgetsError:
            continue


def _amend(store: Store, step: Step) -> None:
    protocol = registry.get(step.protocol)
    kept = protocol.known(step.params)
    dropped = {name: value for name, value in step.params.items() if name not in kept}
    if not dropped:
        return
    with store.transaction():
        store.set_params(step.name, kept, redo=False)
        for name, value in dropped.items():
            store.event(
                "warning",
                f"{step.name}: {step.protocol} of this version has no parameter {name!r}; its value {value!r} is left "
                "out. Look at the parameters of the step before you go on.",
                step.name,
            )
