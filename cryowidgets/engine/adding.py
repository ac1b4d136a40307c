"""A step for a project that exists, whether an engine works on it or not; and links between those that are there."""

from __future__ import annotations

from dataclasses import replace

from cryowidgets import workflow
from cryowidgets.errors import CryowidgetsError, WorkflowError
from cryowidgets.model import Item
from cryowidgets.protocols import registry
from cryowidgets.store import changes
from cryowidgets.store.database import Step
from cryowidgets.store.store import Store
from cryowidgets.workflow import StepSpec


def add_step(store: Store, spec: StepSpec) -> Step:
    """Write a step into the ledger; what is there already is then to do for it, and what comes."""
    protocol = registry.get(spec.protocol)
    return store.add_step(
        spec.name,
        spec.protocol,
        _gives(store, spec),
        protocol(**spec.params).values(),
        dict(spec.inputs),
        fold=protocol.is_fold(),
        label=spec.label,
        comment=spec.comment,
        after=spec.after,
        hold=spec.hold or protocol.on_demand,
        newest=protocol.takes_newest(),
    )


def check(store: Store, spec: StepSpec) -> None:
    """Refuse a step that does not fit to those that there are.

    Raises
    ------
    WorkflowError
        All that is wrong with it; what is wrong with the others is not its fault.
    """
    present = _present(store)
    _refuse(present, [*present, spec])


def link(store: Store, name: str, input: str, source: str) -> list[str]:
    """Have a step take an input from another step; returns the names of the steps that begin again.

    Raises
    ------
    WorkflowError
        The step has no such input, there is no such source, it gives another kind, or steps would go in a circle.
    """
    present = _present(store)
    old = next(step for step in present if step.name == name)
    new = replace(old, inputs={**old.inputs, input: source})
    _refuse(present, [new if step is old else step for step in present])
    begun = changes.link(store, name, input, source, _gives(store, new))
    set_folds(store)
    return begun


def set_folds(store: Store) -> None:
    """Have the ledger know of which steps the results belong to no exposure, after links or protocols have changed."""
    for step in list(store.steps().values()):
        try:
            protocol = registry.get(step.protocol)
        except CryowidgetsError:
            continue
        store.set_fold(step.name, protocol.is_fold(), protocol.takes_newest())


def spec_of(step: Step) -> StepSpec:
    """A step of a ledger as a document holds it."""
    return StepSpec(step.name, step.protocol, step.params, step.inputs, step.label, step.comment, step.after, step.hold)


def _present(store: Store) -> list[StepSpec]:
    return [spec_of(step) for step in store.steps().values()]


def _refuse(before: list[StepSpec], then: list[StepSpec]) -> None:
    """Refuse a change that brings faults; those that there were are not its own."""
    known = set(workflow.check(before))
    faults = [fault for fault in workflow.check(then) if fault not in known]
    if faults:
        raise WorkflowError("\n".join(faults))


def _gives(store: Store, spec: StepSpec) -> type[Item]:
    """The kind that a step gives with its links."""
    steps = store.steps()
    known = {name: Item.kinds.get(steps[source].gives) for name, source in spec.inputs.items() if source in steps}
    return registry.get(spec.protocol).kinds({name: kind for name, kind in known.items() if kind})[1]
