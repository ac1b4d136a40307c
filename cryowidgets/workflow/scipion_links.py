"""What takes from what in a workflow of Scipion, told in our kinds of items."""

from __future__ import annotations

import heapq
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping

from cryowidgets.model import Classes, Ctf, Item, Micrograph, Movie, Particles, Picks
from cryowidgets.protocols import registry
from cryowidgets.protocols.base import Protocol
from cryowidgets.workflow.document import Inert, StepSpec
from cryowidgets.workflow.scipion_entries import OURS, Entry, Pointer
from cryowidgets.workflow.scipion_rules import Counterpart
from cryowidgets.workflow.scipion_table import TABLE


class Links:
    """The protocols of a list by their place in it, the steps that they have become, and what gives what.

    Attributes
    ----------
    entries : list of Entry
    names : list of str
        Of the steps; those that no protocol stands for come behind.
    at : dict
        Place by id; of two with one id the later.
    steps, gives, inert : dict
        By place.
    through : dict
        Places of gates that pass movies on, and where those come from.
    """

    def __init__(self, found: list[Entry]) -> None:
        self.entries = found
        self.names = _names(found)
        self.places = {name: place for place, name in enumerate(self.names)}
        self.at = {entry.id: place for place, entry in enumerate(found) if entry.id}
        self.steps: dict[int, StepSpec] = {}
        self.gives: dict[int, type[Item]] = {}
        self.inert: dict[int, Inert] = {}
        self.through: dict[int, int] = {}

    def order(self) -> list[int]:
        """Places in the list, each after those that it takes items from; those in circles are missing."""
        linking = {
            kind: {p for c in TABLE if kind in c.theirs for ps in c.inputs.values() for p in ps} for kind in _KNOWN
        }
        return ordered(
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

    def inputs(
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
            if name not in inputs and name in protocol.needed():
                sources = [self.places[source] for source in inputs.values()]
                found = self._giving(sources, kind)
                if found is None:
                    found = self._beside(sources, kind)
                if found is None:
                    return {}, [], f"the file does not say where its {name} comes from"
                inputs[name] = self.names[found]
                said.append(f"Takes its {name} from {self.names[found]}.")
        return inputs, said, ""

    def passing(self, entry: Entry, counterpart: Counterpart, protocol: type[Protocol]) -> int | None:
        """The import from which a gate passes movies on, where ours looks at their micrographs."""
        if not counterpart.later:
            return None
        (name,) = protocol.inputs()
        pointer = _pointer(entry, counterpart, name)
        source = self.at.get(pointer.id) if pointer else None
        while source in self.through:
            source = self.through[source]
        return source if source in self.gives and issubclass(self.gives[source], Movie) else None

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

    def behind(self, place: int) -> Iterator[int]:
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

    def depends(self, place: int, on: int) -> bool:
        front, seen = [place], set()
        while front:
            if on in front:
                return True
            seen.update(front)
            parts = [self.steps.get(p) or self.inert.get(p) for p in front]
            sources = (n for part in parts if part for n in (*part.inputs.values(), *getattr(part, "after", ())))
            front = [found for n in sources if (found := self.places[n]) not in seen]
        return False

    def pixel_size(self, front: Iterable[int]) -> float:
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


def ordered(wanted: Mapping[int, set[int]], rank: Mapping[int, int] | None = None) -> list[int]:
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


def _pointer(entry: Entry, counterpart: Counterpart, name: str) -> Pointer | None:
    """What an input of ours comes from."""
    for key in counterpart.inputs.get(name, ()):
        asked = counterpart.asked.get(key)
        if key in entry.pointers and (asked is None or asked(entry.values)):
            return entry.pointers[key]
    return None


_GATES = ("FilterCtf", "CtfConsensus", "DefocusSampler")
"""Gates of CTFs."""


def _held_back(step: StepSpec, kind: type[Item]) -> bool:
    """Whether a step of Scipion passes micrographs on as well, where ours passes on their CTFs alone."""
    return kind is Micrograph and step.protocol in _GATES and "SubsetSet" in registry.names()


def _meant(output: str) -> type[Item]:
    """The kind that an output's name tells, where a step takes items of any."""
    low = output.lower()
    return next((kind for word, kind in _KINDS.items() if word in low), Item)


_KINDS = {"ctf": Ctf, "micrograph": Micrograph, "coordinate": Picks, "particle": Particles, "class": Classes}


_KNOWN = frozenset(kind for counterpart in TABLE for kind in counterpart.theirs)


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
