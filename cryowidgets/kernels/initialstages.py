"""The two stages of a first map: many coarse starts, and the refinement of the best; boxes and schedules of both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.fft
import scipy.ndimage

from cryowidgets.kernels.directions import even, facing
from cryowidgets.kernels.initialclimb import Averages, Pose, Round, best, climb
from cryowidgets.kernels.project3d import fitted, resized
from cryowidgets.kernels.symmetryaxes import onto_axes

if TYPE_CHECKING:
    from cryowidgets.kernels.initialvolume import Settings

_START = 25.0  # Å: detail with which starts end
_ROUNDS, _REFINING, _HALVES = 30, 10, 4
_PER_WAVE = 2.2  # px of the finest detail


@dataclass(frozen=True)
class Stage:
    """Averages at one pixel size, and how maps are made of them.

    `length` is the side of the box, Å, and `finest` the detail that is looked at, Å.
    """

    averages: Averages
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
        return cls(averages, soft(side, radius, 3), pixel, length, finest, full, settings)

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
        rounds = self._schedule(_REFINING, _START, 0.01, 0.004, 1.0, (11.0, 8.0))
        return climb(self.averages, volume, rounds, self.mask, self.settings.symmetry, rng)

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
