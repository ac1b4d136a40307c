"""A step for a project that exists, whether an engine works on it or not."""

from __future__ import annotations

from cryowidgets import workflow
from cryowidgets.errors import WorkflowError
from cryowidgets.model import Item
from cryowidgets.protocols import registry
from cryowidgets.store.database import Step
from cryowidgets.store.store import Store
from cryowidgets.workflow import StepSpec


def add_step(store: Store, spec: StepSpec) -> Step:
    """Write a step into the ledger; what is there already is then to do for it, and what comes."""
    protocol = registry.get(spec.protocol)
    steps = store.steps()
    known = {name: Item.kinds.get(steps[source].gives) for name, source in spec.inputs.items() if source in steps}
    _, gives = protocol.kinds({name: kind for name, kind in known.items() if kind})
    return store.add_step(
        spec.name,
        spec.protocol,
        gives,
        protocol(**spec.params).values(),
        dict(spec.inputs),
        fold=protocol.is_fold(),
        label=spec.label,
        comment=spec.comment,
        after=spec.after,
        hold=spec.hold,
    )


def check(store: Store, spec: StepSpec) -> None:
    """Refuse a step that does not fit to those that there are.

    Raises
    ------
    WorkflowError
        All that is wrong with it; what is wrong with the others is not its fault.
    """
    present = [
        StepSpec(s.name, s.protocol, s.params, s.inputs, s.label, s.comment, s.after, s.hold)
        for s in store.steps().values()
    ]
    before = set(workflow.check(present))
    faults = [fault for fault in workflow.check([*present, spec]) if fault not in before]
    if faults:
        raise WorkflowError("\n".join(faults))
