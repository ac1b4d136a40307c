"""What repeats at the same place in all frames of a movie, such as the rest of a wrong gain reference.

It correlates between frames at zero shift, and would hold an alignment back. It is measured where specimens show
nothing, at the highest frequencies, as the covariance of the sums of even and of odd frames, and taken to be as strong
at all others, since pixels differ from each other independently.
"""

from __future__ import annotations

import math
from typing import Any

from cryowidgets.kernels import gain as counts
from cryowidgets.kernels.xp import namespace

FINEST = 1.8
"""Å/px; only where pixels are smaller do they see finer detail than specimens show."""


class Pattern:
    """Measures the pattern while the frames go by; of a large frame, on its central part."""

    def __init__(self, side: int = 1024) -> None:
        self._side = side
        self._sums: list[Any] = [None, None]
        self._counts = [0, 0]

    def add(self, frame: Any, gain: Any = None) -> None:
        """Look at a frame, to be multiplied with `gain` where that has not been done."""
        y, x = (max((n - self._side) // 2, 0) for n in frame.shape)
        centre = slice(y, frame.shape[0] - y), slice(x, frame.shape[1] - x)
        part = counts.apply(frame[centre], None if gain is None else gain[centre])
        which = sum(self._counts) % 2
        if self._sums[which] is None:
            self._sums[which] = namespace(part).asarray(part, copy=True)
        else:
            self._sums[which] += part
        self._counts[which] += 1

    def share(self) -> float:
        """Which share of the mean of all frames to take away from each, so that they become independent.

        With the variances v of the noise in a frame and b of the pattern, this is ``1 - sqrt(v / (v + n·b))``: little
        where the pattern is weak, and then next to nothing of the signal goes with it.
        """
        if not all(self._counts):
            return 0.0
        xp = namespace(self._sums[0])
        even, odd = (_corners(total / count) for total, count in zip(self._sums, self._counts, strict=True))
        pattern = max(float(xp.mean(even * odd)), 0.0)
        noise = self._counts[0] * max(float(xp.mean(even * even)) - pattern, 0.0)
        total = noise + sum(self._counts) * pattern
        return 1 - math.sqrt(noise / total) if total > 0 else 0.0


def remove(spectra: list[Any], share: float) -> None:
    """Take a share of their mean away from the transforms of all frames, in place."""
    if share > 1e-4:
        mean = sum(spectra[1:], start=spectra[0]) * (share / len(spectra))
        for x in spectra:
            x -= mean


def _corners(image: Any) -> Any:
    """What is left of an image near the highest frequencies along both axes: its second mixed difference."""
    rows = image[1:, :] - image[:-1, :]
    return rows[:, 1:] - rows[:, :-1]
