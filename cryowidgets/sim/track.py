"""How the specimen moves under the beam: a drift of the whole frame that dies away, and doming of the ice.

The frame settles exponentially with exposure, creeps on, and trembles from frame to frame; most of the path lies in
the first 5 e/Å², as on real microscopes. The local part is a smooth quadratic field (Zheng et al., Nat. Methods 14
(2017) 331, doi:10.1038/nmeth.4193, model the same) that grows and settles likewise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SUBFRAMES = 3  # positions within a frame over which its content is smeared


@dataclass(frozen=True)
class Track:
    """Motion of one movie.

    Attributes
    ----------
    path : array (frames, SUBFRAMES, 2)
        Displacement as y, x in px within each frame, relative to the mean of the first frame.
    coefficients : array (2, 5)
        Local motion as y, x in px: weights of the terms x, y, x² − 1/3, xy, y² − 1/3 with x and y from −1 to 1.
    growth : array (frames,)
        Factor of the local motion in each frame, 0 in the first and about 1 in the last.
    """

    path: np.ndarray
    coefficients: np.ndarray
    growth: np.ndarray

    @property
    def shifts(self) -> np.ndarray:
        """Mean displacement of the content of each frame relative to the first: (frames, 2) as y, x, px."""
        return self.path.mean(axis=1)

    @property
    def moves_locally(self) -> bool:
        return bool(np.any(self.coefficients))

    def local(self, frame: int, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Displacement in px at the normalised positions y, x (−1 to 1), whole-frame shift excluded: (2, …)."""
        terms = np.stack(np.broadcast_arrays(x, y, x * x - 1 / 3, x * y, y * y - 1 / 3))
        return self.growth[frame] * np.tensordot(self.coefficients, terms, axes=1)


def draw(
    frames: int, dose_per_frame: float, drift: float, jitter: float, local: float, rng: np.random.Generator
) -> Track:
    """Draw a movie's motion.

    Parameters
    ----------
    drift : float
        Distance between the content of the first and of the last frame without jitter, px.
    jitter : float
        Standard deviation, along each axis, of the random step from frame to frame, px.
    local : float
        Root mean square over the field of the local displacement (2-D) in the last frame, px.
    """
    t = np.arange(frames)[:, None] + (np.arange(SUBFRAMES) + 0.5) / SUBFRAMES
    first, second = rng.uniform(0, 2 * np.pi, 2)
    settle = rng.uniform(3.0, 6.0) / dose_per_frame
    course = (1 - np.exp(-t / settle))[..., None] * [np.sin(first), np.cos(first)]
    course = course + (0.15 * t / frames)[..., None] * [np.sin(second), np.cos(second)]
    walk = np.concatenate([np.zeros((1, 2)), jitter * rng.standard_normal((frames, 2)).cumsum(axis=0)])
    length = np.linalg.norm(course[-1].mean(axis=0) - course[0].mean(axis=0))
    path = course * (drift / length if frames > 1 else 0.0)
    path = path + np.stack([np.interp(t, np.arange(frames + 1), w) for w in walk.T], axis=-1)
    path -= path[0].mean(axis=0)

    grown = 1 - np.exp(-t.mean(axis=1) * dose_per_frame / 4.0)
    growth = (grown - grown[0]) / (grown[-1] - grown[0]) if frames > 1 else np.zeros(1)
    coefficients = rng.standard_normal((2, 5))
    power = np.square(coefficients).sum(axis=0) @ [1 / 3, 1 / 3, 4 / 45, 1 / 9, 4 / 45]
    return Track(path, coefficients * (local / np.sqrt(power)), growth)
