"""A first map of a particle, from class averages alone: random starts, those that agree, and what they say together.

Many cheap starts climb to coarse maps (`cryowidgets.kernels.initialclimb`). Each leaves out the same few averages, by
which it is judged. Those that came to the map of the best one, of either hand, are brought onto it; that some do is
what makes it credible, as noise leads every start to a map of its own. The best are then refined with all averages.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace

import numpy as np

from cryowidgets import cpu
from cryowidgets.kernels import initialchecks, initialstages
from cryowidgets.kernels.alignvolumes import align, apply
from cryowidgets.kernels.evenness import evenness, spread
from cryowidgets.kernels.fsc import HALVES, MAPS, crossing, fsc
from cryowidgets.kernels.initialstages import Stage

NAN = math.nan
_ALIKE = 1.45  # times the finest detail of the starts: to which two must agree to be the same map
_COMPARED, _REFINED = 12, 6  # starts that are compared with the best, and that are refined with it
_NEAR = 0.06  # of correlation: a start further below the best is another map


@dataclass(frozen=True)
class Settings:
    """What a first map is made with.

    Attributes
    ----------
    pixel_size : float
        Of the averages, Å/px.
    diameter : float
        Of the circle that holds the particle, Å.
    symmetry : str
        Point group that is imposed; see `cryowidgets.kernels.directions.group`.
    starts : int
        Random starts.
    seconds : float
        When no further start is begun; four are made in any case.
    coarsest, finest : float
        Detail that a start begins with, and with which the map ends, Å.
    seed : int
    """

    pixel_size: float
    diameter: float
    symmetry: str = "C1"
    starts: int = 16
    seconds: float = math.inf
    coarsest: float = 40.0
    finest: float = 15.0
    seed: int = 0


@dataclass(frozen=True)
class FirstMap:
    """A map in the box of the averages, or why there is none; its hand is arbitrary.

    Attributes
    ----------
    volume, deviation, half1, half2 : (box, box, box) float32, or None
        The map; standard deviation over the starts refined; maps of half of the averages each.
    rotations, shifts, correlations : (n, 3, 3), (n, 2), (n,)
        How each average lies in the map, its shift x, y in px, how well it fits.
    scores : (starts,)
        Mean correlation of each start with the averages, half of it by those that were left out.
    agreeing : int
        Starts that came to the map of the best, itself included.
    agreement, resolution : float
        Resolution to which those agree (median, FSC 0.5), and between the halves (FSC 0.143), Å.
    counts : (directions,)
        What views weigh at each direction of `cryowidgets.kernels.directions.even`; evenness of 0 to 1.
    reason : str
        Why there is no map, or why it is not to be trusted; empty where it is.
    """

    volume: np.ndarray | None = None
    deviation: np.ndarray | None = None
    half1: np.ndarray | None = None
    half2: np.ndarray | None = None
    rotations: np.ndarray = field(default_factory=lambda: np.zeros((0, 3, 3)))
    shifts: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    correlations: np.ndarray = field(default_factory=lambda: np.zeros(0))
    scores: np.ndarray = field(default_factory=lambda: np.zeros(0))
    agreeing: int = 0
    agreement: float = NAN
    resolution: float = NAN
    counts: np.ndarray = field(default_factory=lambda: np.zeros(0))
    evenness: float = NAN
    reason: str = ""


def first_map(
    averages: np.ndarray, settings: Settings, weights: np.ndarray | None = None, warm: np.ndarray | None = None
) -> FirstMap:
    """Make a map of class averages.

    Parameters
    ----------
    averages : (n, box, box) array
        Centred to a few px, protein bright, the lens undone.
    weights : (n,) array, optional
        Particles in each. They count by their square root: the noise of an average falls with them, the rest does not.
    warm : (box, box, box) array, optional
        An earlier map, from which one of the starts begins. The others do without, so they may contradict it.
    """
    began = time.monotonic()
    pictures = np.asarray(averages, np.float32)
    particles = np.ones(len(pictures)) if weights is None else np.maximum(np.asarray(weights, float), 1.0)
    counts = np.sqrt(particles / particles.mean())
    if reason := initialchecks.too_little(pictures):
        return FirstMap(reason=reason)
    stage = Stage.coarse(pictures, counts, settings)
    rng = np.random.default_rng([settings.seed, 0x31E])
    left = np.zeros(len(pictures), bool)
    left[rng.choice(len(pictures), max(len(pictures) // 8, 1), replace=False)] = True
    climbed: list[tuple[np.ndarray, float, float]] = []
    numbers = list(range(settings.starts))
    while numbers and (len(climbed) < 4 or time.monotonic() - began < settings.seconds):
        some, numbers = numbers[: cpu.threads()], numbers[cpu.threads() :]
        climbed += cpu.each(lambda number: stage.start(number, left, warm), some)
    inside, outside = (np.array([one[i] for one in climbed]) for i in (1, 2))
    scores = (inside + outside) / 2
    found = FirstMap(scores=scores)
    best = int(scores.argmax())
    if reason := initialchecks.left_out(float(inside[best]), float(outside[best])):
        return replace(found, reason=reason)
    likeness = initialchecks.alike(stage.averages)
    if reason := initialchecks.one_view(likeness, float(inside[best]), settings.symmetry):
        return replace(found, reason=reason)
    same, agreements = _same(climbed, scores, stage, settings)
    found = replace(found, agreeing=len(same), agreement=float(np.median(agreements)) if agreements else NAN)
    if reason := initialchecks.disagree(len(same), len(climbed)):
        return replace(found, reason=reason)
    return _refined(found, pictures, counts, particles, stage, same, settings)


def _same(
    climbed: list[tuple[np.ndarray, float, float]], scores: np.ndarray, stage: Stage, settings: Settings
) -> tuple[list[np.ndarray], list[float]]:
    """Maps of starts that came to that of the best, brought onto it, the best first; to which detail each agrees, Å."""
    order = np.argsort(-scores)
    best = climbed[order[0]][0]
    near = [int(i) for i in order[1:_COMPARED] if scores[i] > scores[order[0]] - _NEAR]

    def onto(i: int) -> tuple[np.ndarray, float]:
        moved = align(climbed[i][0], best, stage.pixel_size, finest=stage.finest)
        turned = apply(climbed[i][0], *moved[:3])
        return turned, crossing(*fsc(turned, best), threshold=MAPS, pixel_size=stage.pixel_size)

    compared = [(turned, detail) for turned, detail in cpu.each(onto, near) if detail <= _ALIKE * stage.finest]
    return [best, *(turned for turned, _ in compared)], [detail for _, detail in compared]


def _refined(
    found: FirstMap, pictures: np.ndarray, counts: np.ndarray, particles: np.ndarray, coarse: Stage,
    same: list[np.ndarray], settings: Settings,
) -> FirstMap:  # fmt: skip
    """The map at full detail, its halves, and how the averages lie in it."""
    mean = np.mean(same, axis=0)
    first = coarse.poses(mean).shifts * coarse.pixel_size / settings.pixel_size
    centred = initialstages.shifted(pictures, first)
    fine = Stage.fine(centred, counts, settings)
    begun = [coarse.handed(volume, fine) for volume in same[:_REFINED]]
    ended = cpu.each(lambda i: fine.refine(begun[i], i), range(len(begun)))
    onto = [ended[0], *cpu.each(lambda one: _onto(one, ended[0], fine), ended[1:])]
    volume = np.mean(onto, axis=0)
    volume = volume * fine.narrow(volume)
    halves = fine.halves(volume)
    parts = cpu.each(lambda i: fine.half(volume, halves[i], i), range(2))
    resolution = crossing(*fsc(*parts), threshold=HALVES, pixel_size=fine.pixel_size)
    poses = fine.poses(volume)
    views = spread(poses.rotations, particles, settings.symmetry)
    covered = evenness(views)
    box = pictures.shape[-1]
    deviation = np.std(onto, axis=0, ddof=1) if len(onto) > 1 else None
    full = [None if one is None else fine.whole(one, box) for one in (volume, deviation, *parts)]
    if full[1] is not None:
        np.maximum(full[1], 0, out=full[1])  # finer pixels bring waves below nothing
    return replace(
        found,
        volume=full[0], deviation=full[1], half1=full[2], half2=full[3],
        rotations=poses.rotations,
        shifts=first + poses.shifts * fine.pixel_size / settings.pixel_size,
        correlations=poses.correlations,
        resolution=resolution,
        counts=views,
        evenness=covered,
        reason=initialchecks.uneven(covered),
    )  # fmt: skip


def _onto(moving: np.ndarray, fixed: np.ndarray, stage: Stage) -> np.ndarray:
    return apply(moving, *align(moving, fixed, stage.pixel_size, finest=stage.finest)[:3])
