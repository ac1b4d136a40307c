"""Where the steps of a workflow stand when it is drawn: in layers, so that every link runs forward.

The way of Sugiyama, Tagawa and Toda (1981, doi:10.1109/TSMC.1981.4308636): layers by longest path, invisible places
where a link passes through a layer, an order within each layer by the mean of the neighbours, places by the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

SWEEPS = 12
"""Turns of ordering; graphs of some ten steps do not change after the fourth."""
PASSING = 0.5
"""Room that a link takes where it passes through a layer, that of a step being 1."""


@dataclass(frozen=True)
class Link:
    """A link, and where it passes through the layers between its ends."""

    source: str
    target: str
    through: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class Drawing:
    """Steps by name as (layer, place) with the first layer 0 and the least place 0, and the links between them.

    Within a layer steps are at least 1 apart.
    """

    places: dict[str, tuple[int, float]] = field(default_factory=dict)
    links: tuple[Link, ...] = ()

    @property
    def layers(self) -> int:
        return 1 + max((layer for layer, _ in self.places.values()), default=-1)

    @property
    def breadth(self) -> float:
        """Steps side by side, in units of one step."""
        return 1 + max((place for _, place in self.places.values()), default=-1.0)


def arrange(sources: Mapping[str, Iterable[str]]) -> Drawing:
    """Arrange steps.

    Parameters
    ----------
    sources : mapping
        Steps by name, each with the names of those that it takes from. Names that are no step are left out, and so is
        the link that would close a circle: a workflow under repair must be drawn too.
    """
    forward = _without_circles(
        {name: dict.fromkeys(s for s in given if s in sources) for name, given in sources.items()}
    )
    layer = _layers(forward)
    chains: dict[tuple[str, str], list[str]] = {}
    rows: list[list[str]] = [[] for _ in range(1 + max(layer.values(), default=-1))]
    for name in forward:
        rows[layer[name]].append(name)
    before: dict[str, list[str]] = {name: [] for name in forward}
    after: dict[str, list[str]] = {name: [] for name in forward}
    for target, given in forward.items():
        for source in given:
            chain = [source]
            for between in range(layer[source] + 1, layer[target]):
                passing = f"{source} {between} {target}"  # no name of a step holds a space
                rows[between].append(passing)
                before[passing], after[passing] = [], []
                chain.append(passing)
            chains[source, target] = [*chain, target]
            for a, b in zip(chains[source, target], chains[source, target][1:], strict=False):
                after[a].append(b)
                before[b].append(a)
    _order(rows, before, after)
    place = _places(rows, before, after, set(forward))
    least = min((place[name] for name in forward), default=0.0)
    return Drawing(
        {name: (layer[name], round(place[name] - least, 3)) for name in forward},
        tuple(
            Link(a, b, tuple((layer[a] + 1 + i, round(place[p] - least, 3)) for i, p in enumerate(chain[1:-1])))
            for (a, b), chain in chains.items()
        ),
    )


def _without_circles(given: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """The same, less the links that lead back; depth first, in the given order."""
    state: dict[str, int] = {}
    kept: dict[str, list[str]] = {name: [] for name in given}
    for start in given:
        if start in state:
            continue
        state[start] = 1
        path = [(start, iter(given[start]))]
        while path:
            name, rest = path[-1]
            source = next(rest, None)
            if source is None:
                state[name] = 2
                path.pop()
            elif state.get(source) != 1:
                kept[name].append(source)
                if source not in state:
                    state[source] = 1
                    path.append((source, iter(given[source])))
    return kept


def _layers(forward: Mapping[str, list[str]]) -> dict[str, int]:
    """The longest way from a step that takes nothing."""
    layer = dict.fromkeys(forward, 0)
    for _ in forward:
        moved = False
        for name, given in forward.items():
            deepest = 1 + max((layer[s] for s in given), default=-1)
            if deepest > layer[name]:
                layer[name], moved = deepest, True
        if not moved:
            break
    return layer


def _order(rows: list[list[str]], before: Mapping[str, list[str]], after: Mapping[str, list[str]]) -> None:
    """Sort each layer by the mean place of the neighbours, to and fro."""
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for row, fixed in zip(rows[1:], rows, strict=False) if down else zip(rows[-2::-1], rows[:0:-1], strict=True):
            at = {name: i / max(1, len(fixed) - 1) for i, name in enumerate(fixed)}
            near = before if down else after
            own = {name: i / max(1, len(row) - 1) for i, name in enumerate(row)}
            mean = {n: sum(at[m] for m in near[n]) / len(near[n]) if near[n] else own[n] for n in row}
            row.sort(key=mean.__getitem__)


def _places(
    rows: list[list[str]], before: Mapping[str, list[str]], after: Mapping[str, list[str]], steps: set[str]
) -> dict[str, float]:
    """As near to the neighbours as the order and the room of the others allow."""
    width = {name: 1.0 if name in steps else PASSING for row in rows for name in row}
    place: dict[str, float] = {}
    for row in rows:
        at = 0.0
        for name in row:
            place[name] = at + width[name] / 2
            at += width[name]
        middle = at / 2
        for name in row:
            place[name] -= middle
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for row in rows if down else reversed(rows):
            near = before if down else after
            wanted = [
                sum(place[m] for m in near[name]) / len(near[name]) if near[name] else place[name] for name in row
            ]
            for name, at in zip(row, _apart(wanted, [width[name] for name in row]), strict=True):
                place[name] = at
    return place


def _apart(wanted: list[float], width: list[float]) -> list[float]:
    """Places nearest to those wanted, by least squares, in the same order and with room for each.

    Neighbours that would overlap are put together into a block about the mean of what they want.
    """
    offset, offsets = 0.0, []
    for i, w in enumerate(width):
        offset += (width[i - 1] + w) / 2 if i else 0.0
        offsets.append(offset)
    blocks: list[tuple[float, int]] = []  # mean, count
    for at, o in zip(wanted, offsets, strict=True):
        mean, count = at - o, 1
        while blocks and blocks[-1][0] >= mean:
            other, many = blocks.pop()
            mean = (mean * count + other * many) / (count + many)
            count += many
        blocks.append((mean, count))
    means = [mean for mean, count in blocks for _ in range(count)]
    return [mean + o for mean, o in zip(means, offsets, strict=True)]
