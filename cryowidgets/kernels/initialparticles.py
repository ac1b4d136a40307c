"""A first map made finer with particles: each is looked for about the pose of its class, the halves kept apart.

Averages are few views, and each is a blend of particles that were seen from somewhat different sides. The particles
themselves are many views. From the map of the averages, up to `_BEGUN` Å, two maps go their own ways, each with half of
the particles; how finely they agree says how fine the next round may compare, as Scheres & Chen (2012) Nat Methods 9,
853, doi:10.1038/nmeth.2115, and how much each shell is believed, as Scheres (2012) J Mol Biol 415, 406,
doi:10.1016/j.jmb.2011.11.010.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from cryowidgets.kernels import ctf
from cryowidgets.kernels.classifykinds import Lens, Rows
from cryowidgets.kernels.directions import turns
from cryowidgets.kernels.fsc import HALVES, corrected, crossing
from cryowidgets.kernels.initialposes import Pictures, Poses
from cryowidgets.kernels.initialstages import about, halves, soft
from cryowidgets.kernels.project3d import fitted

_BEGUN = 25.0  # Å
_BESIDE = 30.0  # Å beyond the particle that are looked at: the lens spreads detail
_SEARCHES = (
    ((9.0, 5.0), (9.0, 5.0), (5.0, 2.5)),
    ((6.0, 2.5), (4.0, 2.5), (2.5, 2.5)),
    ((4.0, 2.5), (2.0, 2.5)),
    ((3.0, 2.5), (1.5, 1.2)),
    ((2.0, 1.2), (1.0, 1.2)),
)  # degrees and Å to all sides, step by step, of each round
_FEWEST = 200  # particles


@dataclass(frozen=True)
class Settings:
    """How a map is refined.

    Attributes
    ----------
    pixel_size : float
        Of the particles and of the map, Å/px.
    diameter : float
        Of the ball that holds the particle, Å.
    symmetry : str
        Point group that is imposed.
    finest : float
        Finest detail that is looked at, Å.
    seconds : float
        When no further round is begun; one is in any case.
    seed : int
        By which particles are drawn into halves.
    """

    pixel_size: float
    diameter: float
    symmetry: str = "C1"
    finest: float = 12.0
    seconds: float = math.inf
    seed: int = 0


@dataclass(frozen=True)
class Refined:
    """What came of it.

    Attributes
    ----------
    volume, half1, half2 : (box, box, box) float32
        The map of all particles within its mask, and those of the halves within a ball, nothing else done to them.
    poses : Poses
        Of all particles.
    resolution : float
        Between the halves, corrected for the mask (FSC 0.143), Å.
    rounds : int
    """

    volume: np.ndarray
    half1: np.ndarray
    half2: np.ndarray
    poses: Poses
    resolution: float
    rounds: int


def refined(
    lots: Iterable[tuple[np.ndarray, Lens, Rows]], volume: np.ndarray, begun: Poses, settings: Settings
) -> Refined | None:
    """Refine a map (box, box, box) with particles; None where they are fewer than 200.

    Parameters
    ----------
    lots : iterable of (pictures (m, box, box), lens, rows of its defocus)
        As extraction leaves them: protein bright, background 0, the lens not undone.
    begun : Poses
        How all of them are thought to lie, in order: see `by_classes`.
    """
    if len(begun.shifts) < _FEWEST:
        return None
    began = time.monotonic()
    box, pixel = volume.shape[0], settings.pixel_size
    side = min(box, 2 * round((settings.diameter / 2 + _BESIDE) / pixel))
    length, finest = side * pixel, max(settings.finest, 2.1 * pixel)
    pictures = _read(lots, side, length / finest, settings)
    ball = soft(side, min(settings.diameter / 2 / pixel, side / 2 - 2), 3)
    half = halves(len(pictures), settings.seed)
    parts = [pictures.some(half == i) for i in range(2)]
    poses = [begun.some(half == i) for i in range(2)]
    maps, detail, rounds = [fitted(volume, side)] * 2, _BEGUN, 0
    while rounds < len(_SEARCHES) and (not rounds or time.monotonic() - began < settings.seconds):
        steps = [(degrees, shift / pixel) for degrees, shift in _SEARCHES[rounds]]
        radius = length / max(detail, finest)
        poses = [parts[i].polished(maps[i], poses[i], radius, steps) for i in range(2)]
        sums = [parts[i].put_together(poses[i], settings.symmetry, length / finest) for i in range(2)]
        plain = [one.solved() * ball for one in sums]
        mask = ball * about(plain[0] + plain[1], pixel, max(20.0, detail), 12.0)
        curves = corrected(plain[0], plain[1], mask, seed=settings.seed)
        resolution = crossing(curves.frequency, curves.corrected, HALVES, pixel)
        agreed = _fallen(curves.corrected)
        maps = [one.within(mask, _doubt(agreed)) for one in sums]
        rounds += 1
        detail = max(0.85 * resolution, finest) if math.isfinite(resolution) else _BEGUN
    whole = (sums[0] + sums[1]).within(mask, _doubt(2 * agreed / (1 + agreed)))
    whole, first, second = (fitted(one, box) for one in (whole, *plain))
    together = Poses.together(poses, np.argsort(half, kind="stable"))
    return Refined(whole, first, second, together, resolution, rounds)


def by_classes(
    rotations: np.ndarray, shifts: np.ndarray, classes: np.ndarray, psi: np.ndarray, origins: np.ndarray
) -> Poses:
    """How particles lie in a map by the class that each belongs to.

    Parameters
    ----------
    rotations, shifts : (c, 3, 3), (c, 2)
        Of the averages, shifts x, y in px.
    classes : (n,) int
        Place of each particle's class among them.
    psi : (n,)
        Degrees, RELION's rlnAnglePsi.
    origins : (n, 2)
        x, y in px, RELION's rlnOrigin.
    """
    turn = turns(np.outer(-np.radians(psi), [0, 0, 1.0]))
    moved = np.einsum("nij,nj->ni", turn[:, :2, :2], np.asarray(shifts, float)[classes])
    return Poses(turn @ rotations[classes], moved - origins, np.zeros(len(turn)))


def transfer(points: np.ndarray, length: float, lens: Lens, rows: Rows) -> np.ndarray:
    """The lens, protein bright, at points (k, 2) of kx, ky per `length` Å: (n, k) float32; rows as of `Rows`."""
    u, v, angle, phase = (np.asarray(x, np.float64).reshape(-1, 1) for x in rows)
    k2 = np.square(points).sum(axis=1) / length**2
    defocus = ctf.defocus_at(np.degrees(np.arctan2(points[:, 1], points[:, 0])), u, v, angle)
    chi = ctf.chi(k2, defocus, lens.voltage, lens.cs, lens.amplitude_contrast) + np.radians(phase)
    return np.sin(chi).astype(np.float32)


def _read(lots: Iterable[tuple[np.ndarray, Lens, Rows]], side: int, radius: float, settings: Settings) -> Pictures:
    """Transforms of the middle of all pictures, the noise made white."""
    length = side * settings.pixel_size
    within = soft(side, min((settings.diameter / 2 + _BESIDE / 2) / settings.pixel_size, side / 2 - 2), 2)
    plain, lenses = [], []
    for pictures, lens, rows in lots:
        a = pictures.shape[-1] // 2 - side // 2
        cut = np.asarray(pictures, np.float32)[:, a : a + side, a : a + side] * within
        plain.append(Pictures.of(cut, radius))
        lenses.append(transfer(plain[-1].points, length, lens, rows))
    return Pictures.together(plain).white().through(np.concatenate(lenses))


def _doubt(agreed: np.ndarray) -> np.ndarray:
    """How much weights are raised by, of the mean of their shell: the noise there over the signal."""
    sure = np.clip(agreed, 0.01, 0.98)
    return (1 - sure) / sure


def _fallen(curve: np.ndarray) -> np.ndarray:
    """A correlation by wave over the box, 0 from where it has fallen to nothing."""
    out = np.array(curve, float)
    out[0] = 1.0
    gone = np.flatnonzero(out < 0.05)
    if len(gone):
        out[gone[0] :] = 0
    return out
