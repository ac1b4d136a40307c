"""Averages and how they come, change and go while pictures are sorted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np

from cryowidgets.kernels.classifyrings import Rings
from cryowidgets.kernels.classifysearch import Found, Model
from cryowidgets.kernels.classifysums import Sums

_FORGET = 0.6  # how fast older pictures fade: step t counts as (t + 1.5)^-0.6 of what is known
_HEAT = 4.0  # at the beginning
_MARCH = 0.6  # part of the beginning after which all detail is compared
_FIRST = 8  # rings that are compared at first
_COARSE = 7.0  # parts of the diameter that the search over all poses sees
_EVERY = 4  # steps from one look for weak averages to the next
_WEAK, _LARGE = 0.35, 1.3  # shares, in those of all averages being alike, to give a place away and to be split
_MEMBERS = 12  # of an average in one step, to be split
_JUDGED, _SURE = 20.0, 5.0  # pictures of an average, and standard errors, to call it mixed
_DOUBT = 0.2  # of what is known of the fit of an average's pictures counts when it is split
_SAME = 0.95  # correlation of two averages that show the same
_CENTRE = 8  # steps from one look at the centres to the next


class Learning:
    """The state of a classification: sums, and who is who.

    Attributes
    ----------
    rings : Rings
    sums : Sums
        Of all pictures so far, older ones faded.
    repeated : float
        Sum of the squares of the weights of the pictures in `sums`.
    identity, parent, born, particles : (k,) int
        Of the averages; -1 where there is none. `born` in batches, `particles` as they were assigned.
    taken, batches, step, named : int
        Pictures and batches so far, steps of learning, identities given.
    limit, heat
        See `Model`.
    fixed : bool
        Whether averages were given, and stay.
    """

    _STATE = ("identity", "parent", "born", "particles")
    _NUMBERS = ("repeated", "taken", "batches", "step", "named", "limit", "heat", "seed", "fixed")

    def __init__(self, rings: Rings, sums: Sums) -> None:
        self.rings, self.sums = rings, sums
        classes = sums.count.shape[1]
        self.identity, self.parent = np.full(classes, -1), np.full(classes, -1)
        self.born, self.particles = np.zeros(classes, np.int64), np.zeros(classes, np.int64)
        self.repeated, self.heat, self.fixed = 0.0, 1.0, False
        self.taken = self.batches = self.step = self.named = self.seed = 0
        self.limit = len(rings.numbers)

    @classmethod
    def new(cls, rings: Rings, classes: int, seed: int) -> Learning:
        """That knows nothing."""
        learning = cls(rings, Sums.none(rings, classes))
        learning.seed = seed
        return learning

    @property
    def classes(self) -> int:
        return len(self.identity)

    @property
    def alive(self) -> np.ndarray:
        return self.identity >= 0

    @property
    def size(self) -> int:
        """Pictures that are learnt from at once."""
        return int(np.clip(12 * self.classes, 100, 600))

    @property
    def coarse(self) -> float:
        """Å, of the search over all poses."""
        return max(2 * self.rings.radius * self.rings.pixel / _COARSE, float(self.rings.resolutions[-1]))

    def steps(self, count: int) -> int:
        """Of the beginning, with `count` pictures."""
        return int(np.clip(3 * count / min(self.size, count), 36, 60))

    def march(self, part: float) -> None:
        """Set how fine detail is compared, and how surely, when this part of the beginning is over."""
        done, most = min(part / _MARCH, 1.0), len(self.rings.numbers)
        self.limit = int(round(min(_FIRST, most) + done * (most - min(_FIRST, most))))
        self.heat = 1 + (_HEAT - 1) * (1 - done)

    def at_random(self, count: int) -> tuple[Found, np.ndarray]:
        """Pictures given to averages at random, at random angles: what all begins with."""
        rng = np.random.default_rng([self.seed, 0x726E64])
        many = min(self.classes, max(count // 8, 1))
        slot = (rng.permutation(count) % many)[:, None]
        self._named(np.arange(many), -1)
        one, psi = np.ones((count, 1)), rng.uniform(0, 2 * np.pi, (count, 1))
        return Found(slot, psi, np.zeros((count, 1, 2)), one, one, one, one), one

    def unknown(self) -> Model:
        """What pictures are compared with when nothing is known."""
        rings = len(self.rings.numbers)
        averages = np.zeros((self.classes, rings, self.rings.harmonics), np.complex64)
        return Model(averages, self.alive, np.full(rings, np.inf), rings)

    def noise(self) -> np.ndarray:
        """Variance of an element of a picture's Fourier transform, (rings,)."""
        return np.maximum(self.sums.rest / max(self.sums.seen, 1.0) / self.rings.covered, 1e-6)

    def model(self) -> Model:
        return Model(self.averages(), self.alive, self.noise(), self.limit, self.heat)

    def averages(self) -> np.ndarray:
        """Filtered by their signal over noise on each ring (Wiener): (k, rings, harmonics) complex64."""
        rings, lens = self.rings, self.sums.lens.sum(axis=0)
        raw = self.sums.waves.sum(axis=0) / np.maximum(lens, 1e-6)[..., None].astype(np.float32)
        raw = rings.masked((raw * rings.inside).astype(np.complex64))
        masked = np.pi * rings.radius**2 / rings.side**2
        noise = self.noise() * masked * (self.repeated / max(self.sums.seen, 1e-6)) / np.maximum(lens, 1e-6)
        power = np.sum(np.abs(raw) ** 2 * rings.twice, axis=-1)
        signal = np.maximum(power - noise, 0.05 * power)
        return (raw * (signal / np.maximum(signal + noise, 1e-12))[..., None]).astype(np.complex64)

    def learn(self, sums: Sums) -> None:
        """Take the sums of one more lot of pictures in."""
        count, before = sums.seen, self.sums.seen
        rate = (self.step + 1.5) ** -_FORGET if self.step else 1.0
        factor = min(count * (1 - rate) / (rate * before), 1.0) if before else 0.0
        self.sums = self.sums.faded(factor) + sums
        self.repeated = factor**2 * self.repeated + count
        self.step += 1
        if self.step % _CENTRE == 0:
            self._centre()

    def learn_all(self, sums: Sums) -> None:
        """Put the sums of all pictures in the place of those so far."""
        self.sums, self.repeated = sums, sums.seen
        self._centre()

    def calm(self) -> None:
        """Compare all detail, and forget where pictures were assigned: all are about to be assigned anew."""
        self.march(1.0)
        self.particles[:] = 0

    def hold(self, averages: np.ndarray) -> None:
        """Have these averages (k, rings, harmonics) for good; where one is without content there is none."""
        some = np.abs(averages).max(axis=(1, 2)) > 0
        self._named(np.flatnonzero(some), -1)
        self.fixed = True
        ones = np.ones((2, *averages.shape[:2])) * 0.5
        self.sums = replace(self.sums, waves=np.stack([0.5 * averages] * 2).astype(np.complex64), lens=ones)

    def scale(self, factor: float, power: np.ndarray) -> None:
        """Multiply given averages, and set the mean power of pictures, (rings,), which stands for that of noise."""
        waves = self.sums.waves * np.float32(factor)
        self.sums = replace(self.sums, waves=waves, rest=power, seen=1.0)

    def count(self, slots: np.ndarray) -> None:
        """Note where pictures were assigned."""
        self.particles += np.bincount(slots, minlength=self.classes)
        self.taken += len(slots)

    def places(self, found: Found) -> Iterator[tuple[int, np.ndarray]]:
        """Slots to be given away, each with those pictures of another average that fit it least: for `replace`.

        Slots of weak averages go to parts of large ones. Once the beginning is over, averages whose pictures have more
        in them than noise come first, as a new view has that falls in with another; where no average is weak, two that
        are the same become one.
        """
        if self.step % _EVERY:
            return
        share = self.sums.count.sum(axis=0)
        share = share / max(share.sum(), 1e-9) * self.classes
        weak = [int(k) for k in np.argsort(share) if share[k] < _WEAK or not self.alive[k]]
        large = [int(k) for k in np.argsort(-share) if share[k] > _LARGE]
        mixed = self._mixed() if self.batches else []
        sure = found.likelihood[:, 0] / np.sqrt(np.maximum(found.norm[:, 0], 1e-6))
        for source in dict.fromkeys(mixed + large):
            members = np.flatnonzero(found.slot[:, 0] == source)
            if len(members) < _MEMBERS or source in weak:
                continue
            slot = weak.pop(0) if weak else self._merged(source) if source in mixed else None
            if slot is not None:
                yield slot, members[sure[members] < np.median(sure[members])]

    def replace(self, slot: int, source: int, part: Sums) -> None:
        """Let a new average, drawn towards some pictures of `source`, take the place of that in `slot`.

        Of those pictures alone it would have more noise than `source`, and lose even what fits it better.
        """
        half = 0.5 * self.sums.count[:, source].sum()
        self.sums = self.sums.placed(source, self.sums, source, 0.5)
        drawn = part.faded(half / max(part.count[:, source].sum(), 1e-9)) + self.sums
        self.sums = self.sums.placed(slot, drawn, source, 0.5)
        self.sums.judged[:, [slot, source]] *= _DOUBT
        self._named(np.array([slot]), int(self.identity[source]))

    def _mixed(self) -> list[int]:
        """Averages whose pictures have surely more left in them than those of others, the surest first."""
        many, _, _, left, square = self.sums.judged
        count = np.maximum(many, 1e-9)
        mean = left / count
        error = np.sqrt(np.maximum(square / count - mean**2, 1e-9) / count)
        known = self.alive & (many >= _JUDGED)
        if known.sum() < 3:
            return []
        excess = np.where(known, (mean - np.median(mean[known])) / error, 0.0)
        return [int(k) for k in np.argsort(-excess) if excess[k] > _SURE]

    def _merged(self, source: int) -> int | None:
        """Add one of the two averages that are most alike, `source` aside, to the other; returns the slot that is free,
        None where no two are the same."""
        averages, weight = self.averages(), (self.rings.weights / self.noise()).astype(np.float32)
        candidates = [int(k) for k in np.flatnonzero(self.alive) if k != source]
        some = averages[candidates]
        waves = np.einsum("arm,brm,r->abm", some, np.conj(some), weight, optimize=True)
        alike = np.fft.irfft(waves, n=2 * self.rings.angles, axis=-1, norm="forward")
        own = np.sqrt(np.maximum(np.einsum("aa->a", alike[:, :, 0]), 1e-9))
        best = alike.max(axis=-1) / (own[:, None] * own)
        best[np.tril_indices(len(best))] = -1
        a, b = np.unravel_index(int(best.argmax()), best.shape)
        if best[a, b] < _SAME:
            return None
        psi = 2 * np.pi * int(alike[a, b].argmax()) / alike.shape[-1]  # a is b turned by psi
        turn = np.exp(1j * psi * np.arange(self.rings.harmonics)).astype(np.complex64)
        into, free = candidates[b], candidates[a]
        moved = replace(self.sums, waves=self.sums.waves * turn) + self.sums.placed(free, self.sums, into, 1.0)
        self.sums = self.sums.placed(into, moved, free, 1.0)
        return free

    def arrays(self) -> dict[str, np.ndarray]:
        """All of it."""
        values = {f"sums_{f.name}": np.asarray(getattr(self.sums, f.name)) for f in fields(Sums)}
        return {**values, **{name: np.asarray(getattr(self, name)).copy() for name in self._STATE + self._NUMBERS}}

    @classmethod
    def of(cls, rings: Rings, arrays: Mapping[str, np.ndarray]) -> Learning:
        """The reverse; raises KeyError where an array is missing."""
        values: dict[str, Any] = {f.name: np.array(arrays[f"sums_{f.name}"]) for f in fields(Sums)}
        learning = cls(rings, Sums(**{**values, "seen": float(values["seen"])}))
        for name in cls._STATE:
            setattr(learning, name, np.array(arrays[name]))
        for name in cls._NUMBERS:
            setattr(learning, name, np.asarray(arrays[name]).item())
        return learning

    def _named(self, slots: np.ndarray, parent: int) -> None:
        for slot in slots:
            self.identity[slot], self.parent[slot] = self.named, parent
            self.born[slot], self.particles[slot] = self.batches, 0
            self.named += 1

    def _centre(self) -> None:
        """Move averages whose density lies off the middle there."""
        off = centres(self.rings.drawn(self.averages()))
        off[~self.alive | (np.hypot(*off.T) < 0.5)] = 0
        most = 0.25 * self.rings.shift / self.rings.pixel
        off = np.clip(off, -most, most).astype(np.float32)
        if not off.any():
            return
        moving = np.flatnonzero(off.any(axis=1))
        waves = self.sums.waves.copy()
        halves = self.rings.to_halves(waves[:, moving]) * self.rings.ramp(off[moving])
        waves[:, moving] = self.rings.to_harmonics(halves).astype(np.complex64) * self.rings.inside
        self.sums = replace(self.sums, waves=waves)


def centres(pictures: np.ndarray) -> np.ndarray:
    """Where the density of pictures (n, side, side) lies, y and x in px from the middle: (n, 2)."""
    half = pictures.shape[-1] // 2
    most = pictures.max(axis=(1, 2), keepdims=True)
    dense = np.maximum(pictures - 0.15 * most, 0)
    total = np.maximum(dense.sum(axis=(1, 2)), 1e-12)
    place = np.arange(pictures.shape[-1]) - half
    y, x = dense.sum(axis=2) @ place / total, dense.sum(axis=1) @ place / total
    return np.stack([y, x], axis=1)
