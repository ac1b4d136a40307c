"""Workflows of Scipion: what has a counterpart here becomes steps that run, all else is kept as it was.

Scipion exports a list of protocols, each with its class, an id, its parameters, and pointers to the outputs of others.
What becomes of each class and parameter stands in `cryowidgets.workflow.scipion_table`.
"""

from __future__ import annotations

import heapq
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryowidgets.errors import CryowidgetsError, WorkflowError
from cryowidgets.model import Classes, Ctf, Item, Micrograph, Movie, Particles, Picks
from cryowidgets.protocols import durations, registry
from cryowidgets.protocols.base import Parameter, Protocol
from cryowidgets.protocols.durations import Duration
from cryowidgets.workflow.document import Inert, StepSpec, Workflow
from cryowidgets.workflow.scipion_entries import (
    HOLDS,
    OURS,
    Entry,
    Pointer,
    decode,
    entries,
    is_scipion,
    split,
    text_of,
    waits,
)
from cryowidgets.workflow.scipion_rules import AT_IMPORT, About, Counterpart, truth
from cryowidgets.workflow.scipion_table import REASONS, SILENT, TABLE
from cryowidgets.workflow.scipion_write import dump, lacking

if TYPE_CHECKING:
    from cryowidgets.workflow.templates import Template

__all__ = ["Imported", "Note", "dump", "is_scipion", "lacking", "load", "read", "read_template"]

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


@dataclass(frozen=True)
class Imported:
    """A workflow that was Scipion's, and what became of its parts."""

    workflow: Workflow
    notes: list[Note]


def load(text_or_path: str | Path) -> Imported:
    """Read a workflow of Scipion.

    Parameters
    ----------
    text_or_path : str or path
        The text, or a file. Open fields of a dynamic template take their defaults.

    Returns
    -------
    Imported
        Every protocol of the list is a step or an inert step of the workflow.

    Raises
    ------
    WorkflowError
        It cannot be read, is not JSON, or is no list of protocols; file and line are named.
    """
    from cryowidgets.workflow import scipion_template  # which needs this module

    text, name, folder = text_of(text_or_path)
    try:
        if name.endswith(".template"):
            raise WorkflowError
        (description, content), notes = decode(text, name), []
    except WorkflowError:
        if not scipion_template.is_template(text, name):
            raise
        description = split(text)[0]
        text, notes = scipion_template.with_defaults(text, name, folder)
        _, content = decode(text, name)
    imported = read(content, _title(name), description, folder)
    return Imported(imported.workflow, notes + imported.notes)


def read_template(path: str | Path) -> Template:
    """Read a dynamic template, ``*.json.template``.

    Raises
    ------
    WorkflowError
        It cannot be used: each field and variable that is written wrongly is named with its line.
    """
    from cryowidgets.workflow import scipion_template

    return scipion_template.read_template(path)


def read(content: list[Any], name: str = "scipion", description: str = "", folder: Path | None = None) -> Imported:
    """Take over a list of protocols that is read already; relative paths count from `folder`.

    Raises
    ------
    WorkflowError
        There is no protocol in it.
    """
    taken = _Taking(content, folder)
    if not taken.entries:
        raise WorkflowError(f"{name}: there is no protocol in the list.")
    steps, inert = taken.take()
    return Imported(Workflow(name, description, steps, inert), taken.notes)


class _Taking:
    """One list being taken over."""

    def __init__(self, content: list[Any], folder: Path | None) -> None:
        self.folder = folder
        self.notes: list[Note] = []
        self.entries: list[Entry] = []
        for found in entries(content):
            if isinstance(found, Entry):
                self.entries.append(found)
            else:
                self._note("", "dropped", f"Part {found} of the list is no protocol: left out.")
        self.names = _names(self.entries)
        self.places = {name: place for place, name in enumerate(self.names)}
        self.at: dict[str, int] = {}
        for place, entry in enumerate(self.entries):
            if entry.id in self.at and entry.id:
                first = self.names[self.at[entry.id]]
                self._note(
                    self.names[place], "link", f"Has the id {entry.id} of {first}: links to {entry.id} mean this one."
                )
            self.at[entry.id] = place
        self.at.pop("", None)
        self.steps: dict[int, StepSpec] = {}
        self.gives: dict[int, type[Item]] = {}
        self.inert: dict[int, Inert] = {}
        self.through: dict[int, int] = {}
        self.at_import: dict[str, dict[str, Any]] = {}

    def take(self) -> tuple[tuple[StepSpec, ...], tuple[Inert, ...]]:
        """Steps and inert steps, in the order of the list."""
        for place in self._sorted():
            self._place(place)
        for place in reversed(self.through):
            self._move(place)
        self._circling()
        self._untie()
        for place, entry in enumerate(self.entries):
            if place in self.steps:
                self._wait(place, entry)
            self._signal(place, entry)
        self._tell_imports()
        self.notes.sort(key=lambda note: self.places.get(note.step, -1))
        return (
            tuple(self.steps[place] for place in sorted(self.steps)),
            tuple(self.inert[place] for place in sorted(self.inert)),
        )

    def _sorted(self) -> list[int]:
        """Places in the list, each after those that it takes items from; those in circles are missing."""
        linking = {
            kind: {p for c in TABLE if kind in c.theirs for ps in c.inputs.values() for p in ps} for kind in _KNOWN
        }
        return _sorted(
            {
                place: {
                    self.at[pointer.id]
                    for key, pointer in entry.pointers.items()
                    if pointer.id in self.at and key in linking.get(entry.kind, ())
                }
                for place, entry in enumerate(self.entries)
            },
            # a picker may use the CTF of the same micrographs without pointing to it
            {place: 1 for place, entry in enumerate(self.entries) if "pick" in entry.kind.lower()},
        )

    def _circling(self) -> None:
        """What is left over points to itself, on whatever way."""
        for place in range(len(self.entries)):
            if place not in self.steps and place not in self.inert:
                self._keep(place, "it depends on itself")

    def _untie(self) -> None:
        """Take links out of circles of inert steps; what they say stays among their parameters."""
        sources = {place: {self.places[name] for name in part.inputs.values()} for place, part in self.inert.items()}
        tied = set(sources) - set(_sorted({p: found & set(sources) for p, found in sources.items()}))
        for place in sorted(tied):
            part, entry = self.inert[place], self.entries[place]
            for key, name in part.inputs.items():
                if self._depends(self.places[name], place):
                    raw = entry.values[key.rpartition(".")[0] if key not in entry.values else key]
                    inputs = {
                        k: n
                        for k, n in self.inert[place].inputs.items()
                        if k.partition(".")[0] != key.partition(".")[0]
                    }
                    params = {**self.inert[place].params, key.partition(".")[0]: raw}
                    self.inert[place] = replace(self.inert[place], inputs=inputs, params=params)

    def _place(self, place: int) -> None:
        """Make a step of a protocol, or keep it."""
        entry = self.entries[place]
        self._dangling(place, entry)
        name = self.names[place]
        told = entry.values.get(OURS)
        why = ""
        for counterpart in _counterparts(entry, told):
            protocol = registry.get(counterpart.ours)
            inputs, links, reason = self._inputs(entry, counterpart, protocol)
            if reason:
                why = why or reason
                source = self._passing(entry, counterpart, protocol)
                if source is not None:
                    self.through[place] = source
                    return
                continue
            self._note_links(name, links)
            self._run(place, counterpart, protocol, inputs)
            return
        kind = entry.kind or "what has no class"
        self._keep(place, why or REASONS.get(entry.kind) or f"{kind} has no counterpart here")

    def _run(self, place: int, counterpart: Counterpart, protocol: type[Protocol], inputs: Mapping[str, str]) -> None:
        """Make a step of a protocol whose links are known."""
        entry, name = self.entries[place], self.names[place]
        told = entry.values.get(OURS)
        params = self._params(place, entry, counterpart, protocol, inputs, told)
        kinds = {name: self.gives[self.places[source]] for name, source in inputs.items()}
        self.gives[place] = protocol.kinds(kinds)[1]
        label, hold = _label(entry, name, told), truth(entry.values.get(HOLDS))
        self.steps[place] = StepSpec(name, counterpart.ours, params, dict(inputs), label, entry.comment, hold=hold)

    def _passing(self, entry: Entry, counterpart: Counterpart, protocol: type[Protocol]) -> int | None:
        """The import from which a gate passes movies on, where ours looks at their micrographs."""
        if not counterpart.later:
            return None
        (name,) = protocol.inputs()
        pointer = _pointer(entry, counterpart, name)
        source = self.at.get(pointer.id) if pointer else None
        while source in self.through:
            source = self.through[source]
        return source if source in self.gives and issubclass(self.gives[source], Movie) else None

    def _move(self, place: int) -> None:
        """Put a gate of movies behind the step that makes their micrographs, and before all that uses those."""
        entry = self.entries[place]
        align = next((p for p in self._behind(place) if issubclass(self.gives[p], Micrograph)), None)
        counterpart = next(_counterparts(entry, None))
        protocol = registry.get(counterpart.ours)
        if align is None:
            self._keep(place, "nothing makes micrographs of the movies that it passes on")
            return
        name, source = self.names[place], self.names[align]
        (taken,) = protocol.inputs()
        for user, step in list(self.steps.items()):
            inputs = {key: name if value == source else value for key, value in step.inputs.items()}
            self.steps[user] = replace(step, inputs=inputs)
        self._run(place, counterpart, protocol, {taken: source})
        self._note(
            name, "link", f"Stands after {source} here, for it looks at micrographs; what used {source} uses it."
        )

    def _behind(self, place: int) -> Iterator[int]:
        """Steps of protocols that point to one, directly or through others, the nearest first."""
        users: dict[int, list[int]] = {}
        for user, entry in enumerate(self.entries):
            for pointer in entry.pointers.values():
                if pointer.id in self.at:
                    users.setdefault(self.at[pointer.id], []).append(user)
        front, seen = [place], {place}
        while front:
            front = [user for p in front for user in dict.fromkeys(users.get(p, ())) if user not in seen]
            seen.update(front)
            yield from (user for user in dict.fromkeys(front) if user in self.gives)

    def _signal(self, place: int, entry: Entry) -> None:
        """A trigger that is closed by another: there the other names it, here it names the other."""
        if place not in self.steps or not truth(entry.values.get("triggerSignal")):
            return
        pointer = entry.pointers.get("triggerProt")
        target = self.at.get(pointer.id) if pointer else None
        if target in self.steps and "closed_by" in registry.get(self.steps[target].protocol).parameters():
            step = self.steps[target]
            self.steps[target] = replace(step, params={**step.params, "closed_by": self.names[place]})
            self._note(step.name, "converted", f"It is closed by {self.names[place]}.")
        else:
            self._note(self.names[place], "dropped", "Left out: the signal, whose trigger is not among the steps.")

    def _keep(self, place: int, why: str) -> None:
        """Keep a protocol as it is, its pointers to what there is being names."""
        entry, name = self.entries[place], self.names[place]
        params = {key: value for key, value in entry.values.items() if key not in _HEAD}
        inputs = {}
        for key, pointer in entry.pointers.items():
            if pointer.id not in self.at:
                continue
            inputs[key] = self.names[self.at[pointer.id]]
            param, _, number = key.rpartition(".")
            if param and param in params and key not in params:
                params[param] = [*params[param][: int(number)], pointer.rest, *params[param][int(number) + 1 :]]
            else:
                params[key] = pointer.rest
        self.inert[place] = Inert(name, f"{ORIGIN}{entry.kind}", params, inputs, entry.label, entry.comment)
        self._note(name, "inert", f"{entry.kind or 'A protocol without a class'} is kept but not run: {why}.")

    def _inputs(
        self, entry: Entry, counterpart: Counterpart, protocol: type[Protocol]
    ) -> tuple[dict[str, str], list[str], str]:
        """Links by input, what is to be said of them, and why there are none."""
        inputs: dict[str, str] = {}
        said: list[str] = []
        wanted = protocol.inputs()
        for name, kind in wanted.items():
            pointer = _pointer(entry, counterpart, name)
            if pointer is None:
                continue
            if pointer.id not in self.at:
                return {}, [], f"its {name} comes from {pointer.id}, which is not in the file"
            source = self.at[pointer.id]
            while source in self.through:
                source = self.through[source]
            if source in self.inert:
                return {}, [], f"its {name} comes from {self.names[source]}, which is not run"
            if "discarded" in pointer.output.lower():
                return {}, [], f"its {name} is what {self.names[source]} rejects, which flows no further here"
            if kind is Item:
                kind = _meant(pointer.output)
            found = self._giving([source], kind)
            if found is not None and found != source and _held_back(self.steps[source], kind):
                found = self._subset(found, source)
                said.append(
                    f"Takes its {name} from {self.names[found]}: those of which {self.names[source]} lets a CTF pass."
                )
                inputs[name] = self.names[found]
                continue
            if found is None:
                what = f"a {kind.__name__}, which neither {self.names[source]} nor what it uses gives"
                return {}, [], f"its {name} is {what}"
            if found != source:
                said.append(
                    f"Takes its {name} from {self.names[found]}: {self.names[source]} gives a "
                    f"{self.gives[source].__name__}."
                )
            inputs[name] = self.names[found]
        for name, kind in wanted.items():
            if name not in inputs:
                sources = [self.places[source] for source in inputs.values()]
                found = self._giving(sources, kind)
                if found is None:
                    found = self._beside(sources, kind)
                if found is None:
                    return {}, [], f"the file does not say where its {name} comes from"
                inputs[name] = self.names[found]
                said.append(f"Takes its {name} from {self.names[found]}.")
        return inputs, said, ""

    def _giving(self, front: Iterable[int], kind: type[Item]) -> int | None:
        """The nearest step that gives a kind of item, going back from some steps."""
        front, seen = list(front), set()
        while front:
            for place in front:
                if place in self.gives and issubclass(self.gives[place], kind):
                    return place
            seen.update(front)
            before = (self.steps[p].inputs.values() for p in front if p in self.steps)
            front = [place for names in before for n in names if (place := self.places[n]) not in seen]
        return None

    def _beside(self, sources: Iterable[int], kind: type[Item]) -> int | None:
        """The first step that gives a kind of item of the same micrographs as some steps give or take."""
        shared = {self.names[p] for p in sources} | {n for p in sources for n in self.steps[p].inputs.values()}
        for place in sorted(self.gives):
            if issubclass(self.gives[place], kind) and shared & set(self.steps[place].inputs.values()):
                return place
        return None

    def _subset(self, micrographs: int, ctfs: int) -> int:
        """The step that lets those micrographs pass of which there is a CTF that passed."""
        name = f"{self.names[ctfs]}_micrographs"
        if name not in self.places:
            place = len(self.names)
            self.names.append(name)
            self.places[name] = place
            inputs = {"first": self.names[micrographs], "second": self.names[ctfs]}
            self.steps[place] = StepSpec(name, "SubsetSet", {}, inputs)
            self.gives[place] = Micrograph
        return self.places[name]

    def _params(
        self,
        place: int,
        entry: Entry,
        counterpart: Counterpart,
        protocol: type[Protocol],
        inputs: Mapping[str, str],
        told: Any,
    ) -> dict[str, Any]:
        """Our parameters, with notes of what was converted, set and left out."""
        name = self.names[place]
        above = [self.places[source] for source in inputs.values()]
        about = About(self._pixel_size(above), self.folder)
        told = told if isinstance(told, Mapping) and told.get("protocol") == counterpart.ours else None
        params: dict[str, Any] = dict(_told(told))
        dropped: list[str] = []
        silent: list[str] = []
        known = protocol.parameters()
        for rule in counterpart.rules:
            there = [key for key in rule.theirs if key in entry.values]
            pointing = [key for key in there if key in entry.pointers]
            dropped += [f"{key} (it is {entry.values[key]}, known only when that has run)" for key in pointing]
            values = {**rule.theirs, **{key: entry.values[key] for key in there}}
            if pointing or told and _unchanged(rule, values, params, known, about):
                continue
            try:
                found = rule.read(values, about)
            except (ValueError, TypeError, OverflowError) as error:
                dropped += [f"{key} {_short(values[key])} ({error})" for key in there[:1]]
                continue
            for key, value in found.items():
                if key.startswith(AT_IMPORT):
                    self._ask_import(above, key.removeprefix(AT_IMPORT), value, name)
                elif key not in known:
                    dropped += [f"{theirs} {_short(values[theirs])}" for theirs in there[:1]]
                elif there or not rule.theirs:
                    params[key] = value
                elif value != known[key].default:
                    params[key] = value
                    silent.append(_said(key, value, known))
        params, refused = _accepted(protocol, params)
        dropped += refused
        dropped += _unknown(entry, counterpart)
        mine = [_said(key, value, known) for key, value in params.items() if value != known[key].default]
        words = f"{entry.kind} → {counterpart.ours}{' with ' if mine else ''}{', '.join(mine)}."
        if counterpart.word:
            words += f" {counterpart.word}."
        self._note(name, "converted", words)
        if counterpart.program and (why := _missing(counterpart.ours)):
            self._note(name, "program", why)
        if silent:
            self._note(name, "default", f"The file is silent; as in Scipion: {', '.join(silent)}.")
        if dropped:
            self._note(name, "dropped", f"Left out: {'; '.join(dropped)}.")
        return params

    def _pixel_size(self, front: Iterable[int]) -> float:
        """Pixel size of the images that come from some steps, Å/px; 0 where it is not known."""
        front, binning = list(front)[:1], 1.0
        while front:
            step = self.steps.get(front[0])
            if step is None:
                return 0.0
            if step.protocol == "ImportMovies":
                return float(step.params.get("pixel_size", 0.0)) * binning
            binning *= float(step.params.get("binning", 1.0))
            front = [self.places[source] for source in step.inputs.values()][:1]
        return 0.0

    def _ask_import(self, front: list[int], parameter: str, value: Any, step: str) -> None:
        """Have the import that a step depends on take a parameter."""
        while front:
            found = self.steps[front[0]]
            if found.protocol == "ImportMovies":
                self.at_import.setdefault(found.name, {})[parameter] = value
                self._note(step, "converted", f"{parameter} {_short(value)} is now a parameter of {found.name}.")
                return
            front = [self.places[source] for source in found.inputs.values()]

    def _tell_imports(self) -> None:
        for place, step in self.steps.items():
            more = self.at_import.get(step.name)
            if more:
                params, refused = _accepted(registry.get(step.protocol), {**step.params, **more})
                self.steps[place] = replace(step, params=params)
                if refused:
                    self._note(step.name, "dropped", f"Left out: {'; '.join(refused)}.")

    def _wait(self, place: int, entry: Entry) -> None:
        """What a step waits for, unless that waits for it."""
        after: list[str] = []
        for id in waits(entry):
            source = self.at.get(id)
            if source is None or source not in self.steps:
                what = self.names[source] if source is not None else id
                why = "which is not run" if source is not None else "which is not in the file"
                self._note(self.names[place], "link", f"Does not wait for {what}, {why}.")
            elif self._depends(source, place):
                self._note(
                    self.names[place], "link", f"Does not wait for {self.names[source]}, which depends on this step."
                )
            elif self.names[source] not in after:
                after.append(self.names[source])
        self.steps[place] = replace(self.steps[place], after=tuple(after))

    def _depends(self, place: int, on: int) -> bool:
        front, seen = [place], set()
        while front:
            if on in front:
                return True
            seen.update(front)
            parts = [self.steps.get(p) or self.inert.get(p) for p in front]
            sources = (n for part in parts if part for n in (*part.inputs.values(), *getattr(part, "after", ())))
            front = [found for n in sources if (found := self.places[n]) not in seen]
        return False

    def _dangling(self, place: int, entry: Entry) -> None:
        missing = sorted({f"{key} → {p.id}" for key, p in entry.pointers.items() if p.id not in self.at})
        if missing:
            self._note(self.names[place], "link", f"Points to what is not in the file: {', '.join(missing)}.")

    def _note_links(self, step: str, sentences: Iterable[str]) -> None:
        self.notes += [Note(step, "link", sentence) for sentence in sentences]

    def _note(self, step: str, kind: str, sentence: str) -> None:
        self.notes.append(Note(step, kind, sentence))


_KNOWN = frozenset(kind for counterpart in TABLE for kind in counterpart.theirs)
_HEAD = ("object.className", "object.label", "object.comment")


def _counterparts(entry: Entry, told: Any) -> Iterator[Counterpart]:
    """Those of a class, the best first: our own export says which; then one whose program is here."""
    found = [c for c in TABLE if entry.kind in c.theirs and c.ours in registry.names()]
    found = [c for c in found if c.when is None or c.when(entry.values)]
    ours = told.get("protocol") if isinstance(told, Mapping) else None
    found.sort(key=lambda c: (c.ours != ours, c.program and bool(_missing(c.ours))))
    for counterpart in found:
        try:
            registry.get(counterpart.ours)
        except CryowidgetsError:
            continue
        yield counterpart


def _missing(protocol: str) -> str:
    """Why the program that a protocol runs cannot be run on this machine; empty where it can."""
    try:
        registry.get(protocol)().find()
    except CryowidgetsError as error:
        return str(error)
    return ""


def _told(told: Any) -> Mapping[str, Any]:
    params = told.get("params") if isinstance(told, Mapping) else None
    return params if isinstance(params, Mapping) else {}


def _pointer(entry: Entry, counterpart: Counterpart, name: str) -> Pointer | None:
    """What an input of ours comes from."""
    for key in counterpart.inputs.get(name, ()):
        asked = counterpart.asked.get(key)
        if key in entry.pointers and (asked is None or asked(entry.values)):
            return entry.pointers[key]
    return None


def _held_back(step: StepSpec, kind: type[Item]) -> bool:
    """Whether a step of Scipion passes micrographs on as well, where ours passes on their CTFs alone."""
    return kind is Micrograph and step.protocol in ("FilterCtf", "CtfConsensus") and "SubsetSet" in registry.names()


def _meant(output: str) -> type[Item]:
    """The kind that an output's name tells, where a step takes items of any."""
    low = output.lower()
    return next((kind for word, kind in _KINDS.items() if word in low), Item)


_KINDS = {"ctf": Ctf, "micrograph": Micrograph, "coordinate": Picks, "particle": Particles, "class": Classes}


def _sorted(wanted: Mapping[int, set[int]], rank: Mapping[int, int] | None = None) -> list[int]:
    """Places, each after those that it wants, lower ranks first; those in circles, and behind them, are missing."""
    users: dict[int, list[int]] = {}
    for place, sources in wanted.items():
        for source in sources:
            users.setdefault(source, []).append(place)
    left = {place: len(sources) for place, sources in wanted.items()}
    rank = rank or {}
    ready = [(rank.get(place, 0), place) for place, count in left.items() if not count]
    heapq.heapify(ready)
    order = []
    while ready:
        _, place = heapq.heappop(ready)
        order.append(place)
        for user in users.get(place, ()):
            left[user] -= 1
            if not left[user]:
                heapq.heappush(ready, (rank.get(user, 0), user))
    return order


def _label(entry: Entry, name: str, told: Any) -> str:
    """The label, where it says more than the name; our own export says that of a step without one."""
    ours = told.get("label") if isinstance(told, Mapping) else None
    return "" if entry.label == name and ours in ("", None) else entry.label


def _unchanged(rule: Any, values: Mapping[str, Any], params: Mapping[str, Any], known: Mapping, about: About) -> bool:
    """Whether the file says what our own export said: then our values stand, which may say more."""
    ours = {**{name: p.default for name, p in known.items()}, **params}
    try:
        written = rule.write(ours, about)
    except (KeyError, ValueError, TypeError, OverflowError):
        return False
    return all(values.get(key) == value for key, value in written.items())


def _accepted(protocol: type[Protocol], params: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Those values that the protocol takes, together; and of the others what is wrong."""
    faults = protocol.faults(params)
    refused = [f"{name} {_short(params[name])} ({said.rstrip('.')})" for name, said in faults.items() if name]
    good = {name: value for name, value in params.items() if name not in faults}
    if not (faults and protocol.faults(good)):
        return good, refused
    together: dict[str, Any] = {}  # each is good by itself: those stay that go with the ones before
    for name, value in good.items():
        said = protocol.faults({**together, name: value}).get("")
        if said:
            refused.append(f"{name} {_short(value)} ({said.rstrip('.')})")
        else:
            together[name] = value
    return together, refused


def _unknown(entry: Entry, counterpart: Counterpart) -> list[str]:
    """Parameters without a counterpart that are not at their default."""
    read = {key for rule in counterpart.rules for key in rule.theirs}
    read |= {key for names in counterpart.inputs.values() for key in names} | set(counterpart.fixed) | SILENT
    found = []
    for key, value in entry.values.items():
        if key in read or key in counterpart.fixed or key.startswith(("object.", "_")) or key in (HOLDS, OURS):
            continue
        if key in counterpart.idle:
            if not _alike(value, counterpart.idle[key]):
                found.append(f"{key} {_short(value)}")
        elif value not in (None, "", False, [], {}) and key != "calculateConsensus":
            found.append(f"{key} {_short(value)}")
    return found


def _alike(value: Any, default: Any) -> bool:
    if value in (None, "") and default in (None, "", False, 0):
        return True
    if isinstance(default, bool):
        return truth(value) == default
    if isinstance(default, int | float):
        try:
            return float(value) == default
        except (TypeError, ValueError, OverflowError):
            return False
    return value == default


def _names(found: list[Entry]) -> list[str]:
    """A name for each: that which our own export tells, else of its label what a name may hold."""
    names: list[str] = []
    taken: set[str] = set()
    for entry in found:
        told = entry.values.get(OURS)
        ours = told.get("name") if isinstance(told, Mapping) else None
        base = ours if isinstance(ours, str) and _NAME.fullmatch(ours) else ""
        base = base or _slug(entry.label) or _slug(entry.kind) or "step"
        name, number = base, 1
        while name in taken:
            number += 1
            name = f"{base}_{number}"
        taken.add(name)
        names.append(name)
    return names


_NAME = re.compile(r"[A-Za-z_]\w{0,99}", re.ASCII)


def _slug(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"\W+", "_", plain, flags=re.ASCII).strip("_")[:60]
    return f"step_{name}" if name[:1].isdigit() else name


def _title(name: str) -> str:
    bare = name.removesuffix(".template").removesuffix(".json")
    return "scipion" if bare == "The text" else bare


def _said(name: str, value: Any, known: Mapping[str, Parameter]) -> str:
    """A parameter as one reads it aloud."""
    parameter = known[name]
    if isinstance(parameter.trait, Duration):
        return f"{name} {durations.text(value)}"
    return f"{name} {_short(value)}{' ' if parameter.unit else ''}{parameter.unit}"


def _short(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 60 else text[:57] + "…"
