"""A list of protocols of Scipion becomes steps and inert steps, with a note of what became of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cryowidgets.errors import CryowidgetsError
from cryowidgets.model import Micrograph
from cryowidgets.protocols import registry
from cryowidgets.protocols.base import Protocol
from cryowidgets.workflow.document import Inert, StepSpec
from cryowidgets.workflow.scipion_entries import CLASS, COMMENT, HOLDS, LABEL, OURS, Entry, entries, waits
from cryowidgets.workflow.scipion_links import Links, ordered
from cryowidgets.workflow.scipion_params import accepted, missing, parameters, short
from cryowidgets.workflow.scipion_rules import About, Counterpart, truth
from cryowidgets.workflow.scipion_table import REASONS, TABLE

ORIGIN = "scipion:"


@dataclass(frozen=True)
class Note:
    """What became of something in the file.

    Attributes
    ----------
    step : str
        Name of the step; empty where it is about the file.
    kind : str
        "converted", "default", "dropped", "link", "program", "inert" or "field".
    sentence : str
    """

    step: str
    kind: str
    sentence: str


class Taking:
    """One list being taken over; relative paths count from `folder`."""

    def __init__(self, content: list[Any], folder: Path | None) -> None:
        self.folder = folder
        self.notes: list[Note] = []
        found = list(entries(content))
        for part in found:
            if isinstance(part, int):
                self._note("", "dropped", f"Part {part} of the list is no protocol: left out.")
        self.entries = [part for part in found if isinstance(part, Entry)]
        self.links = Links(self.entries)
        self.at_import: dict[str, dict[str, Any]] = {}
        self._twice()

    def take(self) -> tuple[tuple[StepSpec, ...], tuple[Inert, ...]]:
        """Steps and inert steps, in the order of the list."""
        for place in self.links.order():
            self._place(place)
        for place in reversed(self.links.through):
            self._move(place)
        self._circling()
        self._untie()
        for place, entry in enumerate(self.entries):
            if place in self.links.steps:
                self._wait(place, entry)
            self._signal(place, entry)
        self._unsigned()
        self._tell_imports()
        self.notes.sort(key=lambda note: self.links.places.get(note.step, -1))
        return (
            tuple(self.links.steps[place] for place in sorted(self.links.steps)),
            tuple(self.links.inert[place] for place in sorted(self.links.inert)),
        )

    def _twice(self) -> None:
        """Ids that are given to more than one."""
        first: dict[str, str] = {}
        for entry, name in zip(self.entries, self.links.names, strict=True):
            if entry.id in first:
                why = f"Has the id {entry.id} of {first[entry.id]}: links to {entry.id} mean the last of that id."
                self._note(name, "link", why)
            elif entry.id:
                first[entry.id] = name

    def _place(self, place: int) -> None:
        """Make a step of a protocol, or keep it."""
        entry = self.entries[place]
        self._dangling(place, entry)
        name = self.links.names[place]
        told = entry.values.get(OURS)
        why = ""
        for counterpart in _counterparts(entry, told):
            protocol = registry.get(counterpart.ours)
            inputs, links, reason = self.links.inputs(entry, counterpart, protocol)
            if reason:
                why = why or reason
                source = self.links.passing(entry, counterpart, protocol)
                if source is not None:
                    self.links.through[place] = source
                    return
                continue
            self._note_links(name, links)
            self._run(place, counterpart, protocol, inputs)
            return
        kind = entry.kind or "what has no class"
        self._keep(place, why or REASONS.get(entry.kind) or f"{kind} has no counterpart here")

    def _run(self, place: int, counterpart: Counterpart, protocol: type[Protocol], inputs: Mapping[str, str]) -> None:
        """Make a step of a protocol whose links are known."""
        links, entry, name = self.links, self.entries[place], self.links.names[place]
        above = [links.places[source] for source in inputs.values()]
        told = entry.values.get(OURS)
        taken = parameters(entry, counterpart, protocol, About(links.pixel_size(above), self.folder), told)
        self.notes += [Note(name, kind, sentence) for kind, sentence in taken.said]
        for parameter, value in taken.imports.items():
            self._ask_import(above, parameter, value, name)
        kinds = {key: links.gives[links.places[source]] for key, source in inputs.items()}
        links.gives[place] = protocol.kinds(kinds)[1]
        label, hold = _label(entry, name, told), truth(entry.values.get(HOLDS))
        step = StepSpec(name, counterpart.ours, taken.params, dict(inputs), label, entry.comment, hold=hold)
        links.steps[place] = step

    def _move(self, place: int) -> None:
        """Put a gate of movies behind the step that makes their micrographs, and before all that uses those."""
        entry = self.entries[place]
        align = next((p for p in self.links.behind(place) if issubclass(self.links.gives[p], Micrograph)), None)
        counterpart = next(_counterparts(entry, None))
        protocol = registry.get(counterpart.ours)
        if align is None:
            self._keep(place, "nothing makes micrographs of the movies that it passes on")
            return
        name, source = self.links.names[place], self.links.names[align]
        (taken,) = protocol.inputs()
        for user, step in list(self.links.steps.items()):
            inputs = {key: name if value == source else value for key, value in step.inputs.items()}
            self.links.steps[user] = replace(step, inputs=inputs)
        self._run(place, counterpart, protocol, {taken: source})
        self._note(
            name, "link", f"Stands after {source} here, for it looks at micrographs; what used {source} uses it."
        )

    def _keep(self, place: int, why: str) -> None:
        """Keep a protocol as it is, its pointers to what there is being names."""
        entry, name = self.entries[place], self.links.names[place]
        params = {key: value for key, value in entry.values.items() if key not in (CLASS, LABEL, COMMENT)}
        inputs = {}
        for key, pointer in entry.pointers.items():
            if pointer.id not in self.links.at:
                continue
            inputs[key] = self.links.names[self.links.at[pointer.id]]
            param, _, number = key.rpartition(".")
            if param and param in params and key not in params:
                params[param] = [*params[param][: int(number)], pointer.rest, *params[param][int(number) + 1 :]]
            else:
                params[key] = pointer.rest
        self.links.inert[place] = Inert(name, f"{ORIGIN}{entry.kind}", params, inputs, entry.label, entry.comment)
        self._note(name, "inert", f"{entry.kind or 'A protocol without a class'} is kept but not run: {why}.")

    def _circling(self) -> None:
        """What is left over points to itself, on whatever way."""
        for place in range(len(self.entries)):
            if place not in self.links.steps and place not in self.links.inert:
                self._keep(place, "it depends on itself")

    def _untie(self) -> None:
        """Take links out of circles of inert steps; what they say stays among their parameters."""
        sources = {
            place: {self.links.places[name] for name in part.inputs.values()}
            for place, part in self.links.inert.items()
        }
        tied = set(sources) - set(ordered({p: found & set(sources) for p, found in sources.items()}))
        for place in sorted(tied):
            part, entry = self.links.inert[place], self.entries[place]
            for key, name in part.inputs.items():
                if self.links.depends(self.links.places[name], place):
                    raw = entry.values[key.rpartition(".")[0] if key not in entry.values else key]
                    inputs = {
                        k: n
                        for k, n in self.links.inert[place].inputs.items()
                        if k.partition(".")[0] != key.partition(".")[0]
                    }
                    params = {**self.links.inert[place].params, key.partition(".")[0]: raw}
                    self.links.inert[place] = replace(self.links.inert[place], inputs=inputs, params=params)

    def _signal(self, place: int, entry: Entry) -> None:
        """A trigger that is closed by another: there the other names it, here it names the other."""
        if place not in self.links.steps or not truth(entry.values.get("triggerSignal")):
            return
        pointer = entry.pointers.get("triggerProt")
        target = self.links.at.get(pointer.id) if pointer else None
        name = self.links.names[place]
        if target is not None and target != place and self._triggers(target) and self._triggers(place):
            step = self.links.steps[target]
            self.links.steps[target] = replace(step, params={**step.params, "closed_by": name})
            self._note(step.name, "converted", f"It is closed by {name}.")
        else:
            self._note(name, "dropped", "Left out: the signal, whose trigger is not among the steps.")

    def _unsigned(self) -> None:
        """Signals of triggers that are not there any more: our own export may have been changed."""
        for place, step in self.links.steps.items():
            signal = step.params.get("closed_by")
            if not signal:
                continue
            source = self.links.places.get(str(signal), -1)
            if source == place or not self._triggers(source):
                params = {key: value for key, value in step.params.items() if key != "closed_by"}
                self.links.steps[place] = replace(step, params=params)
                self._note(step.name, "dropped", f"Left out: closed_by {short(signal)}.")

    def _triggers(self, place: int) -> bool:
        """Whether a step is one that gives and takes signals."""
        step = self.links.steps.get(place)
        return step is not None and "closed_by" in registry.get(step.protocol).parameters()

    def _ask_import(self, front: list[int], parameter: str, value: Any, step: str) -> None:
        """Have the import that a step depends on take a parameter."""
        while front:
            found = self.links.steps[front[0]]
            if found.protocol == "ImportMovies":
                self.at_import.setdefault(found.name, {})[parameter] = value
                self._note(step, "converted", f"{parameter} {short(value)} is now a parameter of {found.name}.")
                return
            front = [self.links.places[source] for source in found.inputs.values()]

    def _tell_imports(self) -> None:
        for place, step in self.links.steps.items():
            more = self.at_import.get(step.name)
            if more:
                params, refused = accepted(registry.get(step.protocol), {**step.params, **more})
                self.links.steps[place] = replace(step, params=params)
                if refused:
                    self._note(step.name, "dropped", f"Left out: {'; '.join(refused)}.")

    def _wait(self, place: int, entry: Entry) -> None:
        """What a step waits for, unless that waits for it."""
        after: list[str] = []
        for id in waits(entry):
            source = self.links.at.get(id)
            if source is None or source not in self.links.steps:
                what = self.links.names[source] if source is not None else id
                why = "which is not run" if source is not None else "which is not in the file"
                self._note(self.links.names[place], "link", f"Does not wait for {what}, {why}.")
            elif self.links.depends(source, place):
                self._note(
                    self.links.names[place],
                    "link",
                    f"Does not wait for {self.links.names[source]}, which depends on this step.",
                )
            elif self.links.names[source] not in after:
                after.append(self.links.names[source])
        self.links.steps[place] = replace(self.links.steps[place], after=tuple(after))

    def _dangling(self, place: int, entry: Entry) -> None:
        missing = sorted({f"{key} → {p.id}" for key, p in entry.pointers.items() if p.id not in self.links.at})
        if missing:
            self._note(self.links.names[place], "link", f"Points to what is not in the file: {', '.join(missing)}.")

    def _note_links(self, step: str, sentences: Iterable[str]) -> None:
        self.notes += [Note(step, "link", sentence) for sentence in sentences]

    def _note(self, step: str, kind: str, sentence: str) -> None:
        self.notes.append(Note(step, kind, sentence))


def _counterparts(entry: Entry, told: Any) -> Iterator[Counterpart]:
    """Those of a class, the best first: our own export says which; then one whose program is here."""
    found = [c for c in TABLE if entry.kind in c.theirs and c.ours in registry.names()]
    found = [c for c in found if c.when is None or c.when(entry.values)]
    ours = told.get("protocol") if isinstance(told, Mapping) else None
    found.sort(key=lambda c: (c.ours != ours, c.program and bool(missing(c.ours))))
    for counterpart in found:
        try:
            registry.get(counterpart.ours)
        except CryowidgetsError:
            continue
        yield counterpart


def _label(entry: Entry, name: str, told: Any) -> str:
    """The label, where it says more than the name; our own export says that of a step without one."""
    ours = told.get("label") if isinstance(told, Mapping) else None
    return "" if entry.label == name and ours in ("", None) else entry.label
