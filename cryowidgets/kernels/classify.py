"""Particles sorted by what they look like, while they come: 2-D classification by online expectation maximisation.

Pictures are compared with all averages at all angles, and added to the averages they are likely to show; older ones
fade slowly, so that averages follow what becomes known of them (Cappé & Moulines, J. R. Stat. Soc. B 71 (2009) 593,
doi:10.1111/j.1467-9868.2009.00698.x). All that is kept are sums for each average, however many pictures there were.
Averages that hardly anybody belongs to give their place to a part of a large one, as in CL2D (Sorzano et al.,
J. Struct. Biol. 171 (2010) 197, doi:10.1016/j.jsb.2010.03.011); every average has an identity of its own, which ends
when its place is given away.

Pictures are as extraction leaves them: protein bright, the background's mean 0 and deviation 1, the lens not undone.
They may be arrays of numpy, cupy, or another library of the array API standard.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np

from cryowidgets import cpu
from cryowidgets.errors import InputError
from cryowidgets.kernels import classifyscore
from cryowidgets.kernels.classifykinds import Assigned, Lens, Rows, Settings
from cryowidgets.kernels.classifymodel import Learning
from cryowidgets.kernels.classifyscore import ClassTable
from cryowidgets.kernels.classifysearch import Found, Model, Search, grid
from cryowidgets.kernels.classifysums import Sums, add_up, probabilities
from cryowidgets.kernels.xp import asnumpy, namespace, to_device

__all__ = ["Assigned", "ClassTable", "Lens", "Settings", "Sorting", "again", "static"]

LEAST = 20
"""Pictures from which on there is something to be sorted."""

_START = 3000  # pictures that an ordinary classification begins with
_CHUNK, _DEVICE_CHUNK = 8, 512  # pictures that are compared together: on the host what its cache holds


class Sorting:
    """Averages that learn from every batch of pictures; start one with `begin`, `static` or `again`."""

    def __init__(self, settings: Settings, learning: Learning) -> None:
        self.settings, self._learning = settings, learning
        self._rings = learning.rings

    @classmethod
    def begin(cls, settings: Settings, pictures: Any, lens: Lens, ctf: Rows) -> Sorting:
        """Find first averages in the first few hundred to few thousand pictures.

        They are gone through several times, coarse detail first, so that 2,000 of them take about as long as 20,000
        later ones. They count as sorted; `assign` tells where each belongs.

        Parameters
        ----------
        pictures : (n, box, box)
        lens : Lens
        ctf : Rows

        Raises
        ------
        InputError
            There are fewer than `LEAST` pictures, or they are of another size than was said.
        """
        _check(settings, pictures, ctf)
        count = pictures.shape[0]
        if count < LEAST:
            raise InputError(f"{count} particles are too few to be sorted: begin with {LEAST} or more.")
        learning = Learning.new(settings.rings(), settings.classes, settings.seed)
        sorting = cls(settings, learning)
        rng = np.random.default_rng([settings.seed, 0x626567])
        size, waiting = min(learning.size, count), rng.permutation(count)
        first = waiting[: min(count, 4 * size)]
        data = sorting._sampled(*_some(pictures, lens, ctf, first))
        found, weights = learning.at_random(len(first))
        learning.learn(sorting._sums(*data, learning.unknown(), found, weights))
        steps = learning.steps(count)
        for step in range(steps):
            if len(waiting) < size:
                waiting = np.concatenate([waiting, rng.permutation(count)])
            some, waiting = waiting[:size], waiting[size:]
            learning.march((step + 1) / steps)
            sorting._learn(*_some(pictures, lens, ctf, some))
        learning.count(sorting.assign(pictures, lens, ctf).klass)
        learning.batches += 1
        return sorting

    def add(self, pictures: Any, lens: Lens, ctf: Rows) -> Assigned:
        """Sort one batch and learn from it; arguments as for `begin`."""
        _check(self.settings, pictures, ctf)
        parts = []
        for some in _pieces(pictures.shape[0], self._learning.size):
            parts.append(self._learn(*_some(pictures, lens, ctf, some)))
            self._learning.count(parts[-1].klass)
        self._learning.batches += 1
        return Assigned.together(parts)

    def assign(self, pictures: Any, lens: Lens, ctf: Rows) -> Assigned:
        """Say where pictures belong; nothing is learnt. Arguments as for `begin`."""
        _check(self.settings, pictures, ctf)
        parts = []
        for some in _pieces(pictures.shape[0], self._learning.size):
            data = self._sampled(*_some(pictures, lens, ctf, some))
            self._calibrate(*data)
            parts.append(self._assigned(*self._compared(*data, self._learning.model())))
        return Assigned.together(parts)

    def averages(self) -> np.ndarray:
        """Filtered by what is known of each, (classes, box, box) float32; zeros where a slot is empty."""
        pictures = self._rings.enlarged(self._rings.drawn(self._learning.averages()))
        pictures[~self._learning.alive] = 0
        return pictures

    def report(self) -> ClassTable:
        """How the classes stand."""
        return classifyscore.table(self._learning)

    @property
    def identities(self) -> np.ndarray:
        """Of the averages, (classes,) int; -1 where a slot is empty."""
        return self._learning.identity.copy()

    def arrays(self) -> dict[str, np.ndarray]:
        """All of it, for a checkpoint; as large after a million particles as after the first."""
        values = {f"settings_{f.name}": np.array(getattr(self.settings, f.name)) for f in fields(self.settings)}
        return {**values, **self._learning.arrays()}

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> Sorting:
        """Go on from what `arrays` gave.

        Raises
        ------
        InputError
            An array is missing.
        """
        try:
            settings = Settings(**{f.name: arrays[f"settings_{f.name}"].item() for f in fields(Settings)})
            return cls(settings, Learning.of(settings.rings(), arrays))
        except KeyError as error:
            raise InputError(
                f"The checkpoint of a classification has no {error.args[0]!r}: it is of another kind or broken; start "
                "the classification anew."
            ) from None

    def _learn(self, pictures: Any, lens: Lens, ctf: Rows) -> Assigned:
        learning = self._learning
        data = self._sampled(pictures, lens, ctf)
        self._calibrate(*data)
        model = learning.model()
        found, weights = self._compared(*data, model)
        assigned = self._assigned(found, weights)
        if learning.fixed:
            return assigned
        learning.learn(self._sums(*data, model, found, weights))
        for slot, members in learning.places(found):
            index, take = to_device(members, pictures), namespace(pictures).take
            some = np.zeros((len(members), weights.shape[1]))
            some[:, 0] = 1
            part = take(data[0], index, axis=0), take(data[1], index, axis=0), model
            learning.replace(slot, int(found.slot[members[0], 0]), self._sums(*part, found.of(members), some))
        return assigned

    def _calibrate(self, halves: Any, transfer: Any) -> None:
        """Find the noise, and the scale of given references, in the first pictures that are compared with them."""
        learning = self._learning
        if not learning.fixed or learning.sums.seen:
            return
        power = np.mean(np.abs(asnumpy(halves)).astype(np.float64) ** 2, axis=(0, 2))
        learning.scale(1.0, power)
        for wanted in (100.0, None, None):
            found, _ = self._compared(halves, transfer, learning.model())
            norm, product = found.norm[:, 0].mean(), found.product[:, 0].mean()
            learning.scale(np.sqrt(wanted / norm) if wanted else max(product / norm, 0.05), power)

    def _sampled(self, pictures: Any, lens: Lens, ctf: Rows) -> tuple[Any, Any]:
        """Half rings, and the transfer functions there."""
        optics = (lens.voltage, lens.cs, lens.amplitude_contrast)
        transfer = self._rings.transfer(optics, tuple(ctf))
        return self._rings.sampled(pictures), to_device(transfer, pictures)

    def _compared(self, halves: Any, transfer: Any, model: Model) -> tuple[Found, np.ndarray]:
        """With the averages of a model; and how probable each is."""
        search = Search(self._rings, model.beside(halves), grid(self._rings, self._learning.coarse))
        parts = _each(halves, lambda some: search(halves[some, ...], transfer[some, ...]).on_host())
        found = Found.together(parts)
        return found, probabilities(found.likelihood)

    def _sums(self, halves: Any, transfer: Any, model: Model, found: Found, weights: np.ndarray) -> Sums:
        odd = (np.arange(len(weights)) + self._learning.taken) % 2
        here = model.beside(halves)

        def add(some: slice) -> Sums:
            part = found.of(some)
            return add_up(self._rings, halves[some, ...], transfer[some, ...], here, part, weights[some], odd[some])

        parts = _each(halves, add)
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total

    def _assigned(self, found: Found, weights: np.ndarray) -> Assigned:
        slot = found.slot[:, 0]
        psi = -np.degrees(found.psi[:, 0].astype(np.float64))
        shift = -found.shift[:, 0].astype(np.float64) * (self._rings.pixel / self.settings.pixel_size)
        score = (found.product[:, 0] - found.opposite[:, 0]) / np.sqrt(np.maximum(found.norm[:, 0], 1e-6))
        identity = self._learning.identity[slot]
        return Assigned(slot, identity, 180 - (180 - psi) % 360, shift, weights[:, 0], score.astype(np.float64))


Batch = tuple[Any, Lens, Rows]
"""Pictures, their lens, and the rows of their CTF: what `Sorting.begin` takes."""


def again(
    settings: Settings, batches: Callable[[], Iterable[Batch]], start: Sorting | None = None, passes: int = 2
) -> tuple[Sorting, list[Assigned]]:
    """Ordinary 2-D classification: all particles together, several times over.

    Some thousand of them, from everywhere, are sorted first. Then all are gone through once as if they were just
    coming, and `passes` times with the averages kept as they are until all have been compared.

    Parameters
    ----------
    batches : callable
        Gives the batches, the same ones each time; one is in memory at a time.
    start : Sorting, optional
        Where to go on from, in place of those some thousand.
    passes : int
        At least 1.

    Returns
    -------
    Sorting
    list of Assigned
        One for each batch, by the averages before the last pass.
    """
    sorting = Sorting.of(start.arrays()) if start else Sorting.begin(settings, *_sample(settings, batches()))
    for batch in batches():
        sorting.add(*batch)
    learning = sorting._learning
    learning.calm()
    assigned: list[Assigned] = []
    for _ in range(max(passes, 1)):
        total, model = None, learning.model()
        assigned = []
        for pictures, lens, ctf in batches():
            _check(settings, pictures, ctf)
            parts = []
            for index in _pieces(pictures.shape[0], learning.size):
                data = sorting._sampled(*_some(pictures, lens, ctf, index))
                found, weights = sorting._compared(*data, model)
                sums = sorting._sums(*data, model, found, weights)
                total = sums if total is None else total + sums
                parts.append(sorting._assigned(found, weights))
            assigned.append(Assigned.together(parts))
        if total is not None:
            learning.learn_all(total)
    for part in assigned:
        learning.count(part.klass)
    return sorting, assigned


def static(
    references: np.ndarray,
    reference_pixel_size: float,
    settings: Settings,
) -> Sorting:
    """Sort into given classes, which never change.

    The first pictures that come tell the variance of the noise and the scale of the references.

    Parameters
    ----------
    references : (k, side, side)
        Protein bright, free of the lens, centred; of any size. One without content stays an empty class.
    reference_pixel_size : float
        Å/px.
    settings : Settings
        Of the pictures; ``classes`` is the number of references.
    """
    rings = settings.rings()
    references = np.asarray(references, np.float32)
    learning = Learning.new(rings, len(references), settings.seed)
    learning.hold(rings.of_references(references, reference_pixel_size))
    return Sorting(replace(settings, classes=len(references)), learning)


def _sample(settings: Settings, batches: Iterable[Batch]) -> Batch:
    """Pictures from all batches with one lens, each as likely as any other, no more than `_START`."""
    rng = np.random.default_rng([settings.seed, 0x616761])
    lens: Lens | None = None
    kept: list[tuple[float, Any, tuple[float, ...]]] = []
    for pictures, its_lens, ctf in batches:
        _check(settings, pictures, ctf)
        lens = lens or its_lens
        if its_lens != lens:
            continue
        rows, pictures = np.stack([np.asarray(x, float) for x in ctf], axis=1), asnumpy(pictures)
        keys = rng.uniform(size=len(rows))
        border = kept[-1][0] if len(kept) >= _START else np.inf
        kept += [(keys[i], pictures[i].copy(), rows[i]) for i in np.flatnonzero(keys < border)]
        kept = sorted(kept, key=lambda one: one[0])[:_START]
    if lens is None:
        raise InputError("There are no particles to be sorted: give at least one batch.")
    rows = np.stack([one[2] for one in kept])
    return np.stack([one[1] for one in kept]), lens, list(rows.T)


def _check(settings: Settings, pictures: Any, ctf: Rows) -> None:
    shape = tuple(pictures.shape)
    if len(shape) != 3 or shape[1:] != (settings.box, settings.box):
        raise InputError(
            f"The particles have {shape[-2:]} px and the classification {(settings.box, settings.box)} px: give "
            "pictures of one size, or start a classification for these."
        )
    lengths = {len(np.asarray(x)) for x in ctf}
    if len(ctf) != 4 or lengths != {shape[0]}:
        raise InputError(
            f"{shape[0]} particles need defocus U and V, angle and phase shift of as many; there are "
            f"{len(ctf)} columns of {sorted(lengths)}."
        )


def _pieces(count: int, size: int) -> list[np.ndarray]:
    """Numbers of the pictures in lots of about `size`, none of them much smaller than the others."""
    return np.array_split(np.arange(count), max(round(count / size), 1)) if count else []


def _some(pictures: Any, lens: Lens, ctf: Rows, index: np.ndarray) -> tuple[Any, Lens, Rows]:
    chosen = namespace(pictures).take(pictures, to_device(index, pictures), axis=0)
    return chosen, lens, [np.asarray(x)[index] for x in ctf]


def _each(like: Any, work: Callable[[slice], Any]) -> list[Any]:
    """Do the work on slices of the pictures, on the host on as many threads as there may be."""
    count, host = like.shape[0], namespace(like) is np
    size = _CHUNK if host else _DEVICE_CHUNK
    parts = [slice(first, min(first + size, count)) for first in range(0, count, size)]
    return cpu.each(work, parts) if host else [work(part) for part in parts]
