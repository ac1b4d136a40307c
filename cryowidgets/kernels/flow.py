"""Local motion as optical flow: every place by itself, from what its neighbourhood shows.

Each frame is compared with the sum of all, tile by tile, and moved until it agrees (the comparison is that of Lucas &
Kanade, Proc. IJCAI (1981) 674; local motion as flow is that of Abrishami et al., J. Struct. Biol. 189 (2015) 163,
doi:10.1016/j.jsb.2015.02.001). Frequencies have the weight of the signal-to-noise ratio that the movie shows there, and
the frames of a tile move together as specimens move in time. What one tile says is little; so at each place a plane is
fitted to the tiles around, first to all of the frame and then to narrower and narrower neighbourhoods. Each of them
adds to the flow as much as makes tiles likelier that were held back from it. Beyond that, no form of the field is
assumed. Computed on the host.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from cryowidgets.kernels import localfield, trajectory
from cryowidgets.kernels.flowtiles import Comparison, Tiles
from cryowidgets.kernels.localmotion import BELIEVED, LocalMotion
from cryowidgets.kernels.patches import Grid

WIDTHS = (math.inf, 0.5, 0.35, 0.25, 0.18, 0.12)
"""Standard deviations of neighbourhoods, in halves of the longer side of the frame."""

_STAGES = (14.0, 14.0, 8.0, 8.0)  # Å; finer detail than that of a stage is left out of it
_LAST = 3  # stages at full resolution
_REACH = 4.0  # Å that courses of time may go, at most
_FOLDS, _HELD = 4, 2  # parts in which tiles are held back, and tiles along the side of what is held back together
_CLEAR = 1.0  # by which the logarithm of the likelihood of held-back tiles must rise for a neighbourhood to count


@dataclass(frozen=True)
class FlowField(localfield.DisplacementField):
    """Displacement of content, beside that of the whole frame, at a lattice of places.

    Attributes
    ----------
    shape : (int, int)
        y and x of a frame.
    y, x : (rows,), (columns,)
        Places of the lattice, px.
    displacement : (frames, rows, columns, 2)
        Relative to the first frame, px.
    """

    shape: tuple[int, int]
    y: np.ndarray
    x: np.ndarray
    displacement: np.ndarray

    @property
    def frames(self) -> int:
        return len(self.displacement)

    def at(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        place = [np.interp(p, axis, np.arange(len(axis))) for p, axis in ((y, self.y), (x, self.x))]
        values = [[map_coordinates(d[..., c], place, order=1) for c in (0, 1)] for d in self.displacement]
        return np.array(values).transpose(2, 0, 1)

    def rms(self) -> float:
        return float(np.sqrt(np.square(self.displacement[-1]).sum(axis=-1).mean()))


def measure(
    blocks: Iterable[tuple[int, Any]],
    gain: Any,
    shape: tuple[int, int],
    shifts: np.ndarray,
    pixel_size: float,
    dose_per_frame: float = 0.0,
    pre_exposure: float = 0.0,
    voltage: float = 300.0,
    resolution: float = 5.0,
) -> LocalMotion:
    """Measure the local motion of a movie, and that of the whole frame again.

    Arguments and result are those of `localmotion.measure`; the residual is not told.
    """
    n = len(shifts)
    grid = Grid.over(shape, pixel_size, resolution)
    tiles = Tiles(blocks, gain, shape, shifts, grid.block, pixel_size, (dose_per_frame, pre_exposure, voltage))
    time = localfield.times(n, dose_per_frame)
    start = shifts - shifts.mean(axis=0)
    extra, flow = np.zeros((n, 2)), np.zeros((time.shape[1], *tiles.lattice, 2))
    stages = [stage for stage in _STAGES if stage > resolution * 1.05] + [resolution] * _LAST
    for finest in stages:
        displacement = extra[:, None, None] + np.tensordot(time, flow, axes=(1, 0))
        seen = tiles.compare(displacement, finest)
        step, variance = _whole(seen)
        raw = start + extra + step
        smooth, uncertain = trajectory.smooth(raw - raw.mean(axis=0), variance, dose_per_frame, pre_exposure)
        extra = smooth - start
        flow, likelier = _courses(seen, step, time, flow, tiles.places, _REACH / pixel_size)
    if not likelier > BELIEVED:
        why = (
            f"Tiles that were held back became likelier by {likelier:.1f} (logarithm) and {BELIEVED:g} is needed: "
            "no motion beside that of the whole frame can be told."
        )
        return LocalMotion(None, shifts - shifts[0], np.full((n, n), math.nan), likelier, math.nan, grid, why)
    together = flow.mean(axis=(1, 2))  # what all tiles do is motion of the whole frame
    smooth = smooth + time @ together
    flow = flow - together[:, None, None]
    field = FlowField(shape, tiles.centres[0], tiles.centres[1], np.tensordot(time - time[0], flow, axes=(1, 0)))
    return LocalMotion(field, smooth - smooth[0], uncertain, likelier, math.nan, grid)


def _whole(seen: Comparison) -> tuple[np.ndarray, np.ndarray]:
    """What is left of the shifts of the whole frame, (n, 2), and the variance of each along an axis."""
    n = len(seen.pairs)
    normal = seen.pairs * seen.strength.sum()
    scale = max(float(np.trace(normal)) / n, 1e-12)
    covariance = np.linalg.inv(normal + 1e-4 * scale * np.eye(n))
    centred = np.eye(n) - 1 / n
    return covariance @ seen.gradient.sum(axis=(1, 2)), np.diag(centred @ covariance @ centred)


def _courses(
    seen: Comparison, step: np.ndarray, time: np.ndarray, flow: np.ndarray, places: list[np.ndarray], reach: float
) -> tuple[np.ndarray, float]:
    """The flow anew, for each function of time, and by how much tiles become likelier by it that were held back.

    Functions of time are turned into courses whose errors have nothing to do with each other. The one that can be told
    best says how far the others may go.
    """
    gradient = seen.gradient - np.einsum("ij,jc,yx->iyxc", seen.pairs, step, seen.strength)
    values, turn = np.linalg.eigh(time.T @ seen.pairs @ time)
    now = np.tensordot(turn.T, flow, axes=(1, 0))
    found, gained = np.zeros_like(flow), 0.0
    for m in reversed(range(len(values))):
        precision = max(float(values[m]), 0.0) * seen.strength
        pull = np.tensordot(time @ turn[:, m], gradient, axes=(0, 0)) + precision[..., None] * now[m]
        found[m], likelier = neighbourhoods(pull, precision, places, reach)
        gained += likelier
        if m == len(values) - 1:
            reach = float(np.clip(1.5 * np.sqrt(np.square(found[m]).mean()), 0.05, reach))
    return np.tensordot(turn, found, axes=(1, 0)), gained


def neighbourhoods(
    pull: np.ndarray, precision: np.ndarray, places: list[np.ndarray], reach: float
) -> tuple[np.ndarray, float]:
    """The flow that makes tiles likely, from wide neighbourhoods to narrow ones.

    Parameters
    ----------
    pull : (rows, columns, 2)
        What each tile says, times `precision`.
    precision : (rows, columns)
        Inverse of the variance of what a tile says, 1/px².
    places : (rows,), (columns,)
        Of the tiles, in halves of the longer side of the frame.
    reach : float
        Standard deviation of a flow before anything is known, px.

    Returns
    -------
    flow : (rows, columns, 2)
        px.
    likelier : float
        By how much the logarithm of the likelihood of tiles rises that were held back.
    """
    rows, columns = (np.arange(n) // _HELD for n in precision.shape)
    fold = (rows[:, None] + 2 * columns) % _FOLDS
    flow, guess, likelier = np.zeros_like(pull), np.empty_like(pull), 0.0
    for width in WIDTHS:
        rest = pull - precision[..., None] * flow
        for f in range(_FOLDS):
            kept = fold != f
            guess[~kept] = _planes(rest * kept[..., None], precision * kept, places, width, reach)[~kept]
        match, size = float((rest * guess).sum()), float((precision[..., None] * guess**2).sum())
        share = min(match / max(size, 1e-30), 1.0)
        gained = share * match - 0.5 * share**2 * size
        if match > 0 and gained > _CLEAR:
            flow = flow + share * _planes(rest, precision, places, width, reach)
            likelier += gained
    return flow, likelier


def _planes(
    pull: np.ndarray, precision: np.ndarray, places: list[np.ndarray], width: float, reach: float
) -> np.ndarray:
    """At each place, the plane that fits the tiles around best: (rows, columns, 2)."""
    y, x = np.meshgrid(*places, indexing="ij")
    sigma = width / (places[0][1] - places[0][0] if len(places[0]) > 1 else 2.0)
    tiles = 1.0 if math.isinf(width) else max(2 * math.pi * sigma**2, 1.0)

    def around(values: np.ndarray) -> np.ndarray:
        if math.isinf(width):
            return np.full_like(values, values.sum())
        return np.asarray(gaussian_filter(values, sigma, mode="constant")) * tiles

    w, wy, wx = around(precision), around(precision * y), around(precision * x)
    matrix = np.empty((*w.shape, 3, 3))
    matrix[..., 0, 0] = w
    matrix[..., 0, 1] = matrix[..., 1, 0] = wy - y * w
    matrix[..., 0, 2] = matrix[..., 2, 0] = wx - x * w
    matrix[..., 1, 1] = around(precision * y * y) - 2 * y * wy + y * y * w
    matrix[..., 1, 2] = matrix[..., 2, 1] = around(precision * y * x) - y * wx - x * wy + y * x * w
    matrix[..., 2, 2] = around(precision * x * x) - 2 * x * wx + x * x * w
    slope = min(width, 0.6) ** 2  # a plane may be as far from 0 at the edge of a neighbourhood as in its middle
    matrix += np.diag([1.0, slope, slope]) / reach**2
    right = np.empty((*w.shape, 3, 2))
    for c in (0, 1):
        p = around(pull[..., c])
        right[..., 0, c] = p
        right[..., 1, c] = around(pull[..., c] * y) - y * p
        right[..., 2, c] = around(pull[..., c] * x) - x * p
    return np.linalg.solve(matrix, right)[..., 0, :]
