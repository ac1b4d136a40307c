"""Simulated movies that several tests of kernels look at; frames come gain-corrected and repaired."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

from cryowidgets.kernels import gain
from cryowidgets.sim.movie import Recipe, Simulated, simulate


class Corrected:
    """The frames of a simulated movie as `motion.align` wants them."""

    def __init__(self, recipe: Recipe, seed: int) -> None:
        self.recipe, self.seed = recipe, seed
        self.movie: Simulated = simulate(recipe, seed)
        self.truth = self.movie.truth.shifts

    def frames(self, reference="right", counts=None, repair=True) -> list[np.ndarray]:
        reference = self.movie.gain if isinstance(reference, str) else reference
        counts = self.movie.frames if counts is None else counts
        total = counts.sum(axis=0, dtype=np.uint32)
        mend = gain.Repair(gain.find_defects(total, reference), total)
        frames = [gain.apply(frame, reference) for frame in counts]
        if not repair:
            return frames
        return [mend(frame, np.random.default_rng([self.seed, j])) for j, frame in enumerate(frames)]

    def error(self, shifts: np.ndarray) -> float:
        """2-D root mean square over the frames, px; the mean over time has no meaning and is taken out."""
        wrong = shifts - self.truth
        return float(np.sqrt(np.square(wrong - wrong.mean(axis=0)).sum(axis=1).mean()))

    def slope(self, shifts: np.ndarray) -> float:
        """Drift found over true drift."""
        found, true = shifts - shifts.mean(axis=0), self.truth - self.truth.mean(axis=0)
        return float((found * true).sum() / np.square(true).sum())


@pytest.fixture(scope="session")
def corrected_movie():
    """A function of recipe changes and seed that simulates each movie once."""

    @lru_cache(maxsize=6)
    def make(seed: int = 1, **changes) -> Corrected:
        return Corrected(Recipe(**changes), seed)

    return make
