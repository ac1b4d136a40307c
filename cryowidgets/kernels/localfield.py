"""A smooth field of displacement over a frame and the time of its exposure, in a few numbers.

It is a sum of products of functions of space and of time, each as large as it is likely to be. Those of space are a
slope, a bend, and ripples: the principal functions of random fields that forget themselves over a quarter of the frame,
which beyond the last piece measured go back to zero where polynomials would run away. The whole frame's motion is not
part of it. Those of time are how a specimen moves that settles under the beam, some quickly and some slowly, and may
change its speed at any time, if less likely later.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from cryowidgets.kernels import trajectory

SETTLES = (1.5, 4.0, 10.0)
"""e/Å² by which motion settles."""

_CREEPS, _TURNS = 0.3, 0.2  # share of steady motion and of changes of speed, relative to what settles
_USUAL = 40.0  # e/Å² of a movie whose exposure is unknown
_LEAST = 1e-4  # share of the variance below which a function of time is left out

_REACH, _NODES, _RIPPLES = 0.5, 7, 16  # of ripples: length in halves of the longer side, nodes along it, functions


class DisplacementField(ABC):
    """Displacement of content, beside that of the whole frame, in a movie whose frames have the `shape` (y, x)."""

    shape: tuple[int, int]

    @property
    @abstractmethod
    def frames(self) -> int: ...

    @abstractmethod
    def at(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Displacement in px at places (k,) and (k,), px, in all frames, relative to the first: (k, frames, 2)."""

    @abstractmethod
    def rms(self) -> float:
        """2-D root mean square over the field of the displacement of the last frame relative to the first, px."""

    def grid(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """As of `at`, on a grid of y (rows,) and x (columns,): (frames, rows, columns, 2)."""
        yy, xx = np.meshgrid(y, x, indexing="ij")
        return self.at(yy.ravel(), xx.ravel()).reshape(*yy.shape, self.frames, 2).transpose(2, 0, 1, 3)


@dataclass(frozen=True)
class Field(DisplacementField):
    """A smooth one.

    Attributes
    ----------
    shape : (int, int)
        y and x of a frame.
    times : (frames, t)
        Functions of time.
    coefficients : (m, t, 2)
        px, of each function of space and each of time, for y and x.
    """

    shape: tuple[int, int]
    times: np.ndarray = field(repr=False)
    coefficients: np.ndarray = field(repr=False)

    @property
    def frames(self) -> int:
        return len(self.times)

    def at(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        course = np.einsum("tj,mjc->mtc", self.times - self.times[0], self.coefficients)
        return np.einsum("km,mtc->ktc", terms(self.shape, y, x), course)

    def rms(self) -> float:
        y, x = (np.linspace(0, n - 1, 9) for n in self.shape)
        last = self.grid(y, x)[-1]
        return float(np.sqrt(np.square(last).sum(axis=-1).mean()))


KINDS = np.repeat([0, 1, 2], [2, 3, _RIPPLES])
"""Of the functions of space: 0 for slopes, 1 for bends, 2 for ripples."""


def terms(shape: tuple[int, int], y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Values of the functions of space at places in px: (k, functions)."""
    v, u = (2 * np.asarray(i, float) / max(n - 1, 1) - 1 for i, n in ((y, shape[0]), (x, shape[1])))
    plain = np.stack([v, u, 1.5 * v * v - 0.5, v * u, 1.5 * u * u - 0.5], axis=-1)
    aspect = np.array(shape) / max(shape)
    mix, nodes = _ripples(*aspect)
    return np.concatenate([plain, _covariance(np.stack([v, u], axis=-1) * aspect, nodes) @ mix], axis=-1)


@lru_cache(maxsize=8)
def _ripples(height: float, width: float) -> tuple[np.ndarray, np.ndarray]:
    """Weights of the nodes in each ripple, (nodes, _RIPPLES), and the places of the nodes, (nodes, 2)."""
    axes = [np.linspace(-side, side, max(round(_NODES * side), 3)) for side in (height, width)]
    nodes = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    values, functions = np.linalg.eigh(_covariance(nodes, nodes) / len(nodes))
    best = np.argsort(values)[::-1][:_RIPPLES]
    mix = functions[:, best] / np.sqrt(len(nodes) * np.maximum(values[best], 1e-9))
    return np.pad(mix, [(0, 0), (0, _RIPPLES - len(best))]), nodes


def _covariance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    squared = np.square(a[:, None, :] - b[None, :, :]).sum(axis=-1)
    return np.exp(-squared / (2 * _REACH**2))


def times(frames: int, dose_per_frame: float = 0.0) -> np.ndarray:
    """Functions of time in the middle of each frame: (frames, t).

    A sum of them with independent factors of variance 1 moves by about 1 from the first frame to the last.
    """
    dose = dose_per_frame or _USUAL / max(frames, 1)
    passed = dose * np.arange(frames)
    courses = [1 - np.exp(-passed / settles) for settles in SETTLES]
    process = sum(np.outer(c, c) / max(c[-1], 1e-9) ** 2 for c in courses) / len(courses)
    steady = passed / max(passed[-1], 1e-9)
    process = process + _CREEPS**2 * np.outer(steady, steady)
    turning = trajectory.turning(np.arange(frames, dtype=float), dose)
    process += _TURNS**2 * turning / max(turning[-1, -1], 1e-30)
    values, functions = np.linalg.eigh(process)
    kept = values > _LEAST * max(values[-1], 1e-30)
    return functions[:, kept][:, ::-1] * np.sqrt(values[kept][::-1])


def polynomial(field: DisplacementField, first: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The nearest polynomial of second degree in space and third in time, as RELION's polishing reads it.

    With the centred coordinates u and v of RELION, from −0.5 to 0.5 along x and y, and the number z of the frame after
    `first`, its terms are ``{1, u, u², v, v², uv} × {z, z², z³}`` in this order, those of time running fastest.

    Returns
    -------
    coefficients : (2, 18)
        For x and y, of the displacement in px.
    residual : (2,)
        Root mean square of what it leaves over, px.
    """
    y, x = (np.linspace(0, n - 1, 11) for n in field.shape)
    value = field.grid(y, x)  # (frames, 11, 11, 2)
    v, u = (2 * places / max(n - 1, 1) / 2 - 0.5 for places, n in zip((y, x), field.shape, strict=True))
    vv, uu = np.meshgrid(v, u, indexing="ij")
    space = np.stack([np.ones_like(uu), uu, uu**2, vv, vv**2, uu * vv], axis=-1).reshape(-1, 6)
    z = np.arange(field.frames, dtype=float)
    scale = max(field.frames - 1, 1)
    time = np.stack([(z / scale) ** i for i in (1, 2, 3)], axis=-1)
    design = np.einsum("ks,zt->zkst", space, time).reshape(-1, 18)
    wanted = value[..., ::-1].reshape(-1, 2)
    found = np.linalg.lstsq(design, wanted, rcond=None)[0]
    residual = np.sqrt(np.square(design @ found - wanted).mean(axis=0))
    unit = np.tile([scale**-i for i in (1.0, 2.0, 3.0)], 6)
    return found.T * unit, residual
