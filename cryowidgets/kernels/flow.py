"""Local motion as optical flow: every place by itself, from what its neighbourhood shows.

Sums of groups of frames, first of halves of the movie and then of shorter and shorter groups, are compared with the sum
of the others at low resolution, and moved until they agree (Abrishami et al., J. Struct. Biol. 189 (2015) 163,
doi:10.1016/j.jsb.2015.02.001; the comparison is that of Lucas & Kanade, Proc. IJCAI (1981) 674). It follows fields that
are too rough for `localmotion`, and is less precise where those are smooth. Computed on the host.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from cryowidgets.cpu import each
from cryowidgets.kernels import fourier, localfield
from cryowidgets.kernels.band import binned
from cryowidgets.kernels.localmotion import LocalMotion
from cryowidgets.kernels.patches import Grid
from cryowidgets.kernels.xp import asnumpy

PIXEL = 3.0
"""Å/px to which frames are binned, about."""

FINEST, COARSEST = 8.0, 150.0
"""Å between which detail is compared."""

REACH = 250.0
"""Å: standard deviation of the neighbourhood that moves together."""

GROUPS = (2, 4, 8)
ROUNDS = 5

_STEP = 8  # binned px from one place to the next
_STIFF = 0.02  # of the curvature, lest places without detail run away
_STEEP = 0.3  # noise of groups relative to their motion, in the fit of the course of time


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
) -> LocalMotion:
    """Measure the local motion of a movie; arguments and result as of `localmotion.measure`.

    The motion of the whole frame is left as it was given. There is no test of whether the flow is to be believed.
    """
    block = max(int(PIXEL / pixel_size), 1)
    images = _images(blocks, gain, shape, shifts, block, pixel_size)
    n = len(images)
    course = localfield.times(n, dose_per_frame)
    sigma = REACH / (pixel_size * block * _STEP)
    flow = np.zeros((1, *_lattice(images.shape[1:]), 2))
    edges = np.array([0, n])
    for count in [g for g in GROUPS if 2 * g <= n] or [min(2, n)]:
        before, edges = edges, np.linspace(0, n, count + 1).round().astype(int)
        flow = _in_time(course, before, flow)[_middles(edges)]
        groups = [images[a:b].mean(axis=0) for a, b in zip(edges[:-1], edges[1:], strict=True)]
        for _ in range(ROUNDS):
            flow = flow + _round(groups, flow, sigma)
            flow -= flow.mean(axis=0)
    whole = _in_time(course, edges, flow)
    whole = (whole - whole.mean(axis=(1, 2), keepdims=True)) * block
    whole -= whole[0]
    rows, columns = (np.arange(m) * _STEP * block + (_STEP * block - 1) / 2 for m in whole.shape[1:3])
    field = FlowField(shape, rows, columns, whole)
    unknown = np.full((n, n), np.nan)
    grid = Grid.over(shape, pixel_size, FINEST)
    return LocalMotion(field, shifts - shifts[0], unknown, float("nan"), float("nan"), grid)


def _images(
    blocks: Iterable[tuple[int, Any]],
    gain: Any,
    shape: tuple[int, int],
    shifts: np.ndarray,
    block: int,
    pixel_size: float,
) -> np.ndarray:
    """Frames binned, with the shift of the whole undone and only detail that is compared: (n, y, x)."""
    small = shape[0] // block, shape[1] // block
    ky, kx = fourier.frequencies(small, pixel_size * block)
    k2 = ky * ky + kx * kx
    band = ((1 - np.exp(-k2 * COARSEST**2)) * np.exp(-k2 * FINEST**2 / 2)).astype(np.float32)
    images = np.empty((len(shifts), *small), np.float32)

    def one(j: int, frame: Any) -> None:
        y, x = fourier.shift_phase(small, (-shifts[j][0] / block, -shifts[j][1] / block))
        image = fourier.irfft2(fourier.rfft2(asnumpy(binned(frame, gain, block))) * band * y * x, small)
        images[j] = image / max(float(image.std()), 1e-12)

    for first, raw in blocks:
        each(lambda j, first=first, raw=raw: one(first + j, raw[j, ...]), range(raw.shape[0]))  # type: ignore[misc]
    return images


def _round(groups: list[np.ndarray], flow: np.ndarray, sigma: float) -> np.ndarray:
    """What is left of the displacement of each group, binned px."""
    moved = each(lambda i: _moved(groups[i], flow[i]), range(len(groups)))
    total = np.sum(moved, axis=0)

    def left(own: np.ndarray) -> np.ndarray:
        others = (total - own) / max(len(groups) - 1, 1)
        down, right = np.gradient(others)
        away = others - own
        yy, yx, xx, ty, tx = (
            gaussian_filter(_blocks(product), sigma, mode="nearest")
            for product in (down * down, down * right, right * right, down * away, right * away)
        )
        stiff = _STIFF * float((yy + xx).mean())
        yy, xx = yy + stiff, xx + stiff
        determinant = yy * xx - yx * yx
        step = np.stack([(xx * ty - yx * tx) / determinant, (yy * tx - yx * ty) / determinant], axis=-1)
        return np.clip(step, -1, 1)

    return np.stack(each(left, moved))


def _moved(image: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """An image with a displacement on the lattice undone."""
    if not flow.any():
        return image
    places = [(np.arange(n) - (_STEP - 1) / 2) / _STEP for n in image.shape]
    lattice = np.meshgrid(*places, indexing="ij")
    shift = [map_coordinates(flow[..., c], lattice, order=1, mode="nearest", output=np.float32) for c in (0, 1)]
    y, x = np.meshgrid(*(np.arange(n, dtype=np.float32) for n in image.shape), indexing="ij")
    return np.asarray(map_coordinates(image, [y + shift[0], x + shift[1]], order=3, mode="reflect"))


def _in_time(course: np.ndarray, edges: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """The flow of each frame from that of groups of frames, by how specimens move in time: (frames, …)."""
    mean = np.stack([course[a:b].mean(axis=0) for a, b in zip(edges[:-1], edges[1:], strict=True)])
    mean -= mean.mean(axis=0)
    normal = mean.T @ mean + _STEEP**2 * np.eye(course.shape[1])
    weights = (course - course.mean(axis=0)) @ np.linalg.solve(normal, mean.T)
    return np.tensordot(weights, flow, axes=(1, 0))


def _middles(edges: np.ndarray) -> np.ndarray:
    return np.minimum((edges[:-1] + edges[1:]) // 2, edges[-1] - 1)


def _lattice(shape: tuple[int, ...]) -> tuple[int, int]:
    return max(shape[0] // _STEP, 1), max(shape[1] // _STEP, 1)


def _blocks(image: np.ndarray) -> np.ndarray:
    rows, columns = _lattice(image.shape)
    cut = image[: rows * _STEP, : columns * _STEP]
    return np.asarray(cut.reshape(rows, _STEP, columns, _STEP).mean(axis=(1, 3)))
