"""What is wrong with the steps of a workflow: all of it at once, and before anything runs."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from cryowidgets.errors import CryowidgetsError, WorkflowError
from cryowidgets.model import Item
from cryowidgets.protocols import registry
from cryowidgets.protocols.base import Either, Many, Protocol, Recent, Without
from cryowidgets.workflow.document import Inert, StepSpec

LONGEST = 100
"""Letters of a step's name, which is the name of a folder too."""


def check(steps: Iterable[StepSpec], inert: Iterable[Inert] = ()) -> list[str]:
    """All that is wrong with some steps: names, protocols, parameters, links, kinds, circles.

    Parameters
    ----------
    steps : of StepSpec
    inert : of Inert
        Steps that are not run; nothing that runs may depend on them.

    Returns
    -------
    list of str
        A sentence for each fault, with the step and the link, parameter or protocol.
    """
    steps, inert = list(steps), list(inert)
    protocols: dict[str, type[Protocol]] = {}
    faults = _names([step.name for step in (*steps, *inert)])
    for step in steps:
        try:
            protocols[step.name] = registry.get(step.protocol)
        except CryowidgetsError as error:
            faults.append(f"step {step.name!r}: {error}")
            continue
        faults += [f"step {step.name!r}: {fault}" for fault in protocols[step.name].faults(step.params).values()]
    known = {part.name: part for part in (*inert, *steps)}
    gives = _kinds(steps, protocols)
    loose = _loose(steps, protocols)
    for step in steps:
        if step.name in protocols:
            faults += _together(step, protocols[step.name], loose)
            faults += _links(step, known, protocols, gives)
            faults += _signal(step, known, protocols)
        faults += _waits(step, known)
    for part in inert:
        faults += [
            f"inert step {part.name!r} takes {name!r} from {source!r}, which is not a step{near(source, known)}"
            for name, source in part.inputs.items()
            if source not in known
        ]
    return faults + _circles(known)


def ordered(steps: Iterable[StepSpec]) -> list[StepSpec]:
    """The same steps, each after those that it depends on or waits for, else in the given order.

    Raises
    ------
    WorkflowError
        They depend on each other in a circle.
    """
    rest = list(steps)
    done: list[StepSpec] = []
    while rest:
        names = {step.name for step in done}
        ready = [step for step in rest if {*step.inputs.values(), *step.after} <= names]
        if not ready:
            raise WorkflowError(f"Steps depend on each other in a circle: {', '.join(s.name for s in rest)}.")
        done.append(ready[0])
        rest.remove(ready[0])
    return done


def near(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'align'?`` where something has nearly that name, else nothing."""
    found = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {found[0]!r}?" if found else ""


def _names(names: Sequence[str]) -> list[str]:
    faults = []
    for name, times in Counter(names).items():
        if not name.isidentifier():
            faults.append(f"step {name!r}: a name is made of letters, digits and _ and begins with a letter")
        if len(name) > LONGEST:
            faults.append(f"step {name[:20]!r}…: a name has at most {LONGEST} letters")
        if times > 1:
            faults.append(f"step {name!r} is there more than once")
    return faults


def _kinds(steps: Sequence[StepSpec], protocols: Mapping[str, type[Protocol]]) -> dict[str, type[Item]]:
    """What each step gives; one that passes on what it is given, what the step before it gives."""
    gives = {step.name: protocols[step.name].gives for step in steps if step.name in protocols}
    for _ in steps:
        open_ = [step for step in steps if gives.get(step.name) is Item]
        for step in open_:
            _, gives[step.name] = protocols[step.name].kinds(
                {name: gives.get(source, Item) for name, source in step.inputs.items()}
            )
        if not open_:
            break
    return gives


def _loose(steps: Sequence[StepSpec], protocols: Mapping[str, type[Protocol]]) -> dict[str, bool]:
    """Of each step, whether its results belong to no exposure: folds, and what comes of nothing else."""
    loose = {name: protocol.is_fold() for name, protocol in protocols.items()}
    for _ in steps:
        more = [
            step.name
            for step in steps
            if not loose.get(step.name, True) and step.inputs and all(loose.get(s) for s in step.inputs.values())
        ]
        if not more:
            break
        loose |= dict.fromkeys(more, True)
    return loose


def _together(step: StepSpec, protocol: type[Protocol], loose: Mapping[str, bool]) -> list[str]:
    """What is wrong where a step goes by exposures and is given results that belong to none."""
    if isinstance(protocol.takes, Many):
        beside = [(name, step.inputs[name]) for name in protocol.takes.beside if name in step.inputs]
        return [
            f"step {step.name!r} takes {name!r} beside its batches, the same with all: of what {source!r} gives there "
            "is something else for each exposure"
            for name, source in beside
            if not loose.get(source, True)
        ]
    without = [source for source in step.inputs.values() if loose.get(source)]
    with_ = [source for source in step.inputs.values() if not loose.get(source, True)]
    if without and isinstance(protocol.takes, Either | Without | Recent):
        return [f"step {step.name!r} goes by exposures, and what {without[0]!r} gives belongs to none"]
    if without and with_:
        return [
            f"step {step.name!r} joins what belongs to the same exposure: {with_[0]!r} gives something of each, "
            f"but what {without[0]!r} gives belongs to none"
        ]
    return []


def _links(
    step: StepSpec,
    known: Mapping[str, StepSpec | Inert],
    protocols: Mapping[str, type[Protocol]],
    kinds: Mapping[str, type[Item]],
) -> list[str]:
    wanted = protocols[step.name].inputs()
    faults = [
        f"step {step.name!r} has no input {name!r}; it has {', '.join(wanted) or 'none'}"
        for name in step.inputs
        if name not in wanted
    ]
    for name, kind in wanted.items():
        source = step.inputs.get(name)
        if source is None and name not in protocols[step.name].needed():
            continue
        if source is None:
            fitting = [s for s, gives in kinds.items() if issubclass(gives, kind) and s != step.name]
            faults.append(
                f"step {step.name!r} lacks its input {name!r}, {_a(kind)}; steps that fit: "
                f"{', '.join(fitting) or 'none yet'}"
            )
        elif source not in known:
            faults.append(
                f"step {step.name!r} takes {name!r} from {source!r}, which is not a step{near(source, known)}"
            )
        elif isinstance(there := known[source], Inert):
            faults.append(
                f"step {step.name!r} takes {name!r} from {source!r}, which cannot be run here ({there.origin}): "
                "link it to another step, or move it to the inert ones"
            )
        elif source in kinds and not issubclass(gives := kinds[source], kind):
            faults.append(
                f"step {step.name!r} takes a {kind.__name__} as {name!r}, but {source!r} gives a {gives.__name__}"
            )
    both = [kinds[source] for source in step.inputs.values() if source in kinds]
    if isinstance(protocols[step.name].takes, Either) and len(set(both)) > 1:
        faults.append(
            f"step {step.name!r} joins items of one kind, but is given a {' and a '.join(k.__name__ for k in both)}"
        )
    return faults


def _a(kind: type[Item]) -> str:
    return "an item of any kind" if kind is Item else f"a {kind.__name__}"


def _signal(
    step: StepSpec, known: Mapping[str, StepSpec | Inert], protocols: Mapping[str, type[Protocol]]
) -> list[str]:
    """What is wrong with the step that is to close this one."""
    name = step.params.get("closed_by") if protocols[step.name].waits() else ""
    if not name or not isinstance(name, str) or (name in protocols and protocols[name].waits() and name != step.name):
        return []
    if name not in known:
        return [f"step {step.name!r} is closed by {name!r}, which is not a step{near(name, known)}"]
    return [f"step {step.name!r} is closed by {name!r}, which is not another trigger or counter and gives no signal"]


def _waits(step: StepSpec, known: Mapping[str, StepSpec | Inert]) -> list[str]:
    faults = []
    for name in step.after:
        if name not in known:
            faults.append(f"step {step.name!r} waits for {name!r}, which is not a step{near(name, known)}")
        elif isinstance(known[name], Inert):
            faults.append(f"step {step.name!r} waits for {name!r}, which cannot be run here and so never ends")
    return faults


def _circles(known: Mapping[str, StepSpec | Inert]) -> list[str]:
    """One sentence for each circle of links and waits; no recursion, as a file may hold a chain of any length."""
    sources = {
        name: [s for s in (*part.inputs.values(), *getattr(part, "after", ())) if s in known]
        for name, part in known.items()
    }
    faults = []
    seen: set[str] = set()
    for start in known:
        path: list[str] = []
        on_path: set[str] = set()
        stack = [(start, False)]
        while stack:
            name, left = stack.pop()
            if left:
                path.pop()
                on_path.discard(name)
                continue
            if name in on_path:
                round = [*path[path.index(name) :], name]
                faults.append(f"step {name!r} depends on itself: {' ← '.join(round)}")
                continue
            if name in seen:
                continue
            seen.add(name)
            path.append(name)
            on_path.add(name)
            stack.append((name, True))
            stack += [(source, False) for source in sources[name]]
    return faults
