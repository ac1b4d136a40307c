"""How evenly a map's views cover what has to be known of it."""

from __future__ import annotations

import numpy as np

from cryowidgets.kernels.directions import even, group

_WIDTH = np.radians(15.0)
"""How far from the plane of its slice a view tells something: of detail of a quarter of the particle's size."""

_FLOOR = 0.05  # of even coverage: less counts as this


def spread(rotations: np.ndarray, weights: np.ndarray, symmetry: str = "C1", count: int = 400) -> np.ndarray:
    """What views weigh at each of `count` directions of `cryowidgets.kernels.directions.even`: (count,) float64.

    Parameters
    ----------
    rotations : (n, 3, 3)
        Of the views; their third rows are the directions.
    weights : (n,)
        Particles in each. They are spread over the directions that the point group makes equal.
    """
    operations = group(symmetry)
    beams = np.einsum("ni,gij->gnj", np.asarray(rotations, float)[:, 2], operations).reshape(-1, 3)
    nearest = (beams @ even(count).T).argmax(axis=1)
    return np.bincount(nearest, np.tile(np.asarray(weights, float), len(operations)) / len(operations), count)


def evenness(counts: np.ndarray) -> float:
    """How evenly space is covered by views that weigh `counts` at the directions of `even`: 0 to 1, NaN for none.

    Each view covers the slice across its direction. It is the reciprocal of the mean reciprocal of the coverage over
    all directions of space, 1 where it is the same everywhere: the sampling compensation factor of Baldwin & Lyumkis
    (2020) Prog Biophys Mol Biol 150, 160, doi:10.1016/j.pbiomolbio.2019.09.002, here with slices of some width, as few
    averages stand for many particles. Signal is weakened by it as if there were so many fewer particles.
    """
    counts = np.asarray(counts, float)
    if not counts.sum() > 0:
        return float("nan")
    views = even(len(counts))
    above = np.arcsin(np.clip(even(1500) @ views.T, -1, 1))
    slices = np.exp(-0.5 * np.square(above / _WIDTH))
    slices /= slices.mean(axis=0)
    coverage = slices @ (counts / counts.sum())
    return float(1 / np.mean(1 / np.maximum(coverage, _FLOOR)))
