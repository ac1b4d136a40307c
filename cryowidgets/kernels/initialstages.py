"""The two stages of a first map: many coarse starts, and the refinement of the best; boxes and schedules of both.

What is refined is refined view by view: how the averages of a view lie is told by a map that was made without that
view. Else each lies where it has lain, as the map has it there; and of a particle that looks nearly the same from two
sides, as three round domains do, which lie in one plane, no map gets rid of what came to the wrong side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.fft
import scipy.ndimage

from cryowidgets.kernels import mask3d
from cryowidgets.kernels.directions import even, facing, turns
from cryowidgets.kernels.initialclimb import Averages, Pose, Round, best, climb
from cryowidgets.kernels.initialposes import Pictures, Poses, views
from cryowidgets.kernels.project3d import fitted, resized
from cryowidgets.kernels.symmetryaxes import onto_axes

if TYPE_CHECKING:
    from cryowidgets.kernels.initialvolume import Settings

_START = 25.0  # Å: detail with which starts end
_ROUNDS, _HALVES = 30, 4
_REFINING = (20.0, 18.0, 17.0)  # Å: what is compared in the rounds of refinement
_FOLDS = 6  # parts of the views, each of which is left out once
_DENSE, _AROUND = 0.1, 8.0  # of the densest places, Å: what is taken to be the particle
_PER_WAVE = 2.2  # px of the finest detail


@dataclass(frozen=True)
class Stage:
    """Averages at one pixel size, and how maps are made of them.

    `length` is the side of the box, Å, and `finest` the detail that is looked at, Å.
    """

    averages: Averages
    pictures: Pictures
    counts: np.ndarray
    mask: np.ndarray
    pixel_size: float
    length: float
    finest: float
    full: int
    settings: Any

    @classmethod
    def coarse(cls, pictures: np.ndarray, counts: np.ndarray, settings: Settings) -> Stage:
        """The stage of random starts."""
        return cls._of(pictures, counts, settings, max(_START, settings.finest), 12.0, 5.0)

    @classmethod
    def fine(cls, pictures: np.ndarray, counts: np.ndarray, settings: Settings) -> Stage:
        """The stage of refinement."""
        return cls._of(pictures, counts, settings, settings.finest, 8.0, 2.5)

    @classmethod
    def _of(
        cls, pictures: np.ndarray, counts: np.ndarray, settings: Settings, finest: float, step: float, shift: float
    ) -> Stage:
        whole = pictures.shape[-1] * settings.pixel_size
        finest = max(finest, 2.2 * settings.pixel_size)
        full = 2 * round(max(whole / (finest / _PER_WAVE), 16) / 2)
        full = min(full, pictures.shape[-1] // 2 * 2)
        pixel = whole / full
        small = _cropped(_background_off(pictures, settings), full)
        side = min(full, 2 * round(1.3 * settings.diameter / pixel / 2 + 0.5))
        cut = slice(full // 2 - side // 2, full // 2 - side // 2 + side)
        radius = min(settings.diameter / 2 / pixel, side / 2 - 2)
        small = small[:, cut, cut] * soft(side, radius, 2)
        cross = np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]]) * shift / pixel
        length = side * pixel
        averages = Averages(small, length / finest, step, cross, counts)
        waves = Pictures.of(small, length / finest)
        return cls(averages, waves, counts, soft(side, radius, 3), pixel, length, finest, full, settings)

    def start(self, number: int, left: np.ndarray, warm: np.ndarray | None) -> tuple[np.ndarray, float, float]:
        """A map from start `number`, and its mean correlation with the averages used, and with those left out."""
        rng = np.random.default_rng([self.settings.seed, number])
        symmetry = self.settings.symmetry
        use = ~left
        if warm is not None and number == 0:
            volume = self._taken(warm)
            rounds = self._schedule(_ROUNDS // 2, _START, 0.015, 0.01)
            volume = climb(self.averages, volume, rounds, self.mask, symmetry, rng, use)
        elif symmetry.upper() == "C1":
            rounds = self._schedule(_ROUNDS, self.settings.coarsest, (0.06, 0.1)[number % 2], 0.01)
            volume = climb(self.averages, self._nothing(rng), rounds, self.mask, symmetry, rng, use)
        elif number % 2:  # symmetry from the first round on leads into traps, or straight to the map
            rounds = self._schedule(_ROUNDS, min(30.0, self.settings.coarsest), 0.02, 0.01)
            volume = climb(self.averages, self._nothing(rng), rounds, self.mask, symmetry, rng, use)
        else:  # or it is found first where the axes are
            rounds = self._schedule(_ROUNDS, self.settings.coarsest, 0.06, 0.01)
            begun = 2 * _ROUNDS // 3
            volume = climb(self.averages, self._nothing(rng), rounds[:begun], self.mask, "C1", rng, use)
            volume = onto_axes(volume, symmetry)[0] * self.mask
            volume = climb(self.averages, volume, rounds[begun - 4 :], self.mask, symmetry, rng, use)
        found = self.poses(volume, 10.0).correlations
        return volume, float(found[use].mean()), float(found[left].mean())

    def refine(self, volume: np.ndarray, number: int) -> np.ndarray:
        """A map with all the detail of this stage."""
        rng = np.random.default_rng([self.settings.seed, number, 1])
        equal = self.pictures.white(0.5)
        poses, mask = Poses.of(self.poses(volume, 9.0)), self.mask
        for detail in _REFINING:
            radius = self.length / max(detail, self.finest)
            beams = facing(even(round(4 * np.pi / np.radians(9.0) ** 2)) @ turns(rng.standard_normal((1, 3)))[0].T)
            parts = views(poses.rotations, self.settings.symmetry, _FOLDS)
            found = [self._left_out(part, poses, mask, beams, radius, equal) for part in parts]
            poses = Poses.together(found, np.concatenate(parts))
            volume = self._made(poses, mask, 8)
            mask = self.narrow(volume)
        return volume

    def _left_out(
        self, part: np.ndarray, poses: Poses, mask: np.ndarray, beams: np.ndarray, radius: float, equal: Pictures
    ) -> Poses:
        """How some averages lie in the map of the others."""
        others = np.setdiff1d(np.arange(len(equal)), part)
        volume = self._made(poses, mask, 3, others if len(others) else part)
        found = Poses.of(best(self.averages, volume, beams, part, radius))
        finer = [(4.5, 2.5 / self.pixel_size), (2.5, 2.5 / self.pixel_size)]
        return equal.some(part).polished(volume, found, radius, finer)

    def _made(self, poses: Poses, mask: np.ndarray, rounds: int, some: np.ndarray | None = None) -> np.ndarray:
        """The map of averages where they lie."""
        some = np.arange(len(self.counts)) if some is None else some
        pictures, counts = self.pictures.some(some), self.counts[some]
        sums = pictures.put_together(poses.some(some), self.settings.symmetry, self.length / self.finest, counts)
        return sums.within(mask, rounds=rounds)

    def narrow(self, volume: np.ndarray) -> np.ndarray:
        """A mask about the particle."""
        return self.mask * about(volume, self.pixel_size)

    def halves(self, volume: np.ndarray) -> list[np.ndarray]:
        """Two halves of the averages, (n,) bool each, which have no view in common where there are views enough.

        Averages of one view have the same views missing, and their halves would agree about what neither knows.
        """
        parts = views(self.poses(volume).rotations, self.settings.symmetry, 2)
        if len(parts) < 2:
            return [halves(len(self.counts), self.settings.seed) == i for i in range(2)]
        return [np.isin(np.arange(len(self.counts)), part) for part in parts]

    def half(self, volume: np.ndarray, use: np.ndarray, number: int) -> np.ndarray:
        """A map of some of the averages, from coarse detail of `volume`."""
        rng = np.random.default_rng([self.settings.seed, number, 2])
        coarse = scipy.ndimage.gaussian_filter(volume, 0.42 * 30.0 / self.pixel_size)
        rounds = self._schedule(_HALVES, _START, 0.01, 0.004, 1.0, (11.0, 8.0), 0.9)
        return climb(self.averages, coarse, rounds, self.mask, self.settings.symmetry, rng, use)

    def poses(self, volume: np.ndarray, step: float = 6.0) -> Pose:
        """How the averages lie in a map."""
        beams = facing(even(round(4 * np.pi / np.radians(step) ** 2)))
        return best(self.averages, volume, beams, np.arange(self.averages.count), self.length / self.finest)

    def handed(self, volume: np.ndarray, other: Stage) -> np.ndarray:
        """A map of this stage in the box and pixels of another."""
        return fitted(resized(fitted(volume, self.full), other.full), other.averages.side)

    def whole(self, volume: np.ndarray, box: int) -> np.ndarray:
        """A map of this stage in the box of the averages as they came."""
        return resized(fitted(volume, self.full), box)

    def _taken(self, warm: np.ndarray) -> np.ndarray:
        return fitted(resized(warm, self.full), self.averages.side) * self.mask

    def _nothing(self, rng: np.random.Generator) -> np.ndarray:
        """A smooth blob by chance."""
        noise = rng.standard_normal(self.mask.shape, np.float32)
        smooth = scipy.ndimage.gaussian_filter(noise, 0.42 * 30.0 / self.pixel_size)
        return np.maximum(smooth, 0) * self.mask

    def _schedule(
        self, count: int, begin: float, warm: float, cold: float, share: float = 0.6,
        steps: tuple[float, float] = (15.0, 12.0), rate: float = 0.5,
    ) -> list[Round]:  # fmt: skip
        along = np.linspace(0, 1, count)
        radii = self.length * ((1 - along) / begin + along / self.finest)
        degrees = steps[0] * (1 - along) + steps[1] * along
        temperatures = warm * (cold / warm) ** along
        rows = zip(radii, degrees, temperatures, strict=True)
        return [Round(float(r), float(s), float(t), share, rate) for r, s, t in rows]


def soft(side: int, radius: float, dimensions: int, edge: float = 2.0) -> np.ndarray:
    """A disc or ball of ones with an edge of `edge` px, float32."""
    along = np.square(np.arange(side, dtype=np.float32) - side // 2)
    far = np.sqrt(sum(np.expand_dims(along, tuple(j for j in range(dimensions) if j != i)) for i in range(dimensions)))
    return np.clip((radius + edge - far) / edge, 0, 1).astype(np.float32)


def about(volume: np.ndarray, pixel_size: float, resolution: float = 20.0, edge: float = 8.0) -> np.ndarray:
    """A mask with a soft edge about all that is dense in a map (n, n, n), float32: domains may lie apart.

    The map is smoothed to `resolution`, Å; what has a tenth of the density of the densest places is within, and 8 Å
    around it; the edge has so many Å.
    """
    smooth = mask3d.low_pass(np.asarray(volume, np.float32), pixel_size, resolution)
    top = float(np.partition(smooth, -max(smooth.size // 1000, 1), axis=None)[-max(smooth.size // 1000, 1)])
    if not top > 0:
        return np.ones(smooth.shape, np.float32)
    far = scipy.ndimage.distance_transform_edt(smooth < _DENSE * top) * pixel_size - _AROUND
    return (0.5 + 0.5 * np.cos(np.pi * np.clip(far / edge, 0, 1))).astype(np.float32)


def shifted(pictures: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """Pictures (n, box, box) moved back by shifts (n, 2) of x, y in px."""
    n = pictures.shape[-1]
    fx, fy = np.fft.rfftfreq(n), np.fft.fftfreq(n)
    turn = np.exp(2j * np.pi * (shifts[:, :1, None] * fx + shifts[:, 1:, None] * fy[:, None]))
    return scipy.fft.irfft2(scipy.fft.rfft2(pictures) * turn, (n, n)).astype(np.float32)


def halves(count: int, seed: int) -> np.ndarray:
    """0 or 1 for each average, by lot, as many of one as of the other."""
    return np.random.default_rng([seed, 3]).permutation(np.arange(count) % 2)


def _background_off(pictures: np.ndarray, settings: Settings) -> np.ndarray:
    """Pictures less the mean of what lies outside of the circle."""
    n = pictures.shape[-1]
    outside = soft(n, min(settings.diameter / 2 / settings.pixel_size, n / 2 - 3), 2) == 0
    return pictures - pictures[:, outside].mean(axis=1)[:, None, None]


def _cropped(pictures: np.ndarray, side: int) -> np.ndarray:
    """The same boxes with `side` px along an edge, fine waves left out; the centre stays the centre."""
    n = pictures.shape[-1]
    if side == n:
        return pictures
    turn = np.arange(-(side // 2 - 1), side // 2)
    full = scipy.fft.fft2(pictures)[:, turn[:, None], turn]
    move = np.exp(2j * np.pi * turn * (n // 2 / n - side // 2 / side))
    out = np.zeros((len(pictures), side, side), np.complex128)
    out[:, turn[:, None], turn] = full * (move[:, None] * move) * (side / n) ** 2
    return scipy.fft.ifft2(out).real.astype(np.float32)
