"""The sums of a movie: aligned, with and without exposure weighting, and of some of its frames.

The weights by which frames fade, `dose.weights`, are a smooth family: as functions of the frame they lie within 1e-4
in a space of four to six dimensions, however many frames there are. So frames are moved and added in real space, with
four to six sets of numbers as weights, and only those sums are transformed, rather than each frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from cryowidgets.cpu import bands, each
from cryowidgets.kernels import dose, fourier, warp
from cryowidgets.kernels.xp import namespace, to_device

EXACT = 2e-4
"""Relative error of the weighted sum that is good enough."""

_MOST = 8
_GROUPS = 4e8  # bytes of the sums of groups that are held at once
_FINE = 8  # points of a curve for each ring


@dataclass(frozen=True)
class Sums:
    """Aligned sums of a movie.

    Attributes
    ----------
    plain : array (y, x), float32
        The sum of the frames.
    weighted : array (y, x), float32, or None
        The exposure-weighted sum, divided by the root of the summed squares of the weights (Grant & Grigorieff 2015,
        equation 9), so that its noise has at every frequency the power of the noise in one frame. None where no
        exposures were given.
    even, odd : arrays (y, x), float32, or None
        Sums of the frames of even and of odd number, counted from 1, without weights.
    """

    plain: Any
    weighted: Any = None
    even: Any = None
    odd: Any = None


def add_up(
    blocks: Iterable[tuple[int, Any]],
    gain: Any,
    displacement: np.ndarray,
    shape: tuple[int, int],
    pixel_size: float,
    exposures: np.ndarray | None = None,
    voltage: float = 300.0,
    new_shape: tuple[int, int] | None = None,
    halves: bool = False,
    group: np.ndarray | None = None,
    see: Callable[[Any], None] | None = None,
) -> Sums:
    """Move the content of frames back and add them up.

    Parameters
    ----------
    blocks : iterable of (int, array (n, y, x))
        Raw frames in blocks, each with the number of its first; together they are all frames.
    gain : array (y, x), float32, or None
        What multiplies them.
    displacement : (frames, rows of tiles, columns of tiles, 2)
        Of the content at each tile of `warp.tiles`, y and x in px.
    shape : (int, int)
        y and x of the frames.
    pixel_size : float
        Å/px.
    exposures : (frames,), optional
        Exposure of the specimen at the end of each frame, e/Å²; without, there is no weighted sum.
    voltage : float
        kV.
    new_shape : (int, int), optional
        Size of the sums if it is not `shape`: they are cropped in Fourier space.
    halves : bool
        Whether to add up even and odd frames as well.
    group : (frames,) int, ascending, optional
        Group of each frame, counted from 0; groups are added up as well.
    see : callable, optional
        Is shown the sum of each group, (y, x) float32, which it must not keep. Its spectrum still has the response of
        moving, `warp.response`.
    """
    n = len(displacement)
    weights, curves = _basis(n, exposures, shape, pixel_size, voltage)
    if halves:
        weights = np.column_stack([weights, np.arange(n) % 2])
    adder, still = None, not np.any(displacement)
    at_once = 0 if group is None else min(max(int(_GROUPS / (4 * shape[0] * shape[1])), 1), int(group[-1]) + 1)
    for first, raw in blocks:
        if adder is None:
            adder = warp.Adder(shape, weights.shape[1], raw, at_once, still)
        for part in _parts(group, first, first + raw.shape[0], at_once):
            own = None if group is None else group[part] - group[part.start]
            frames = raw[part.start - first : part.stop - first, ...]
            adder.add(frames, gain, displacement[part], weights[part], own)
            if own is not None and group is not None and see is not None:
                _show(adder.groups, own, part.stop == n or group[part.stop] != group[part.stop - 1], see, part.stop < n)
    if adder is None:
        raise ValueError("There are no frames to add up.")
    small = new_shape or shape
    finish = _Finish(shape, small, displacement)
    plain, weighted = finish.transforms(adder.sums, curves)
    even = odd = None
    if halves:
        half = finish.transform(adder.sums[weights.shape[1] - 1, ...])
        rest = plain - half
        even, odd = finish.image(half), finish.image(rest)
    image = finish.image(plain)
    del plain
    return Sums(image, None if weighted is None else finish.image(weighted), even, odd)


def _parts(group: np.ndarray | None, first: int, end: int, at_once: int) -> Iterator[slice]:
    """Frames `first` to `end` - 1 in parts of no more than `at_once` groups."""
    while first < end:
        last = end
        if group is not None:
            last = first + int(np.searchsorted(group[first:end], group[first] + at_once))
        yield slice(first, last)
        first = last


def _show(sums: Any, own: np.ndarray, complete: bool, see: Callable[[Any], None], more: bool) -> None:
    """Show the sums of groups; that of the last one, if it is not `complete`, becomes the first of what follows, if
    there is `more`."""
    last = int(own[-1])
    for g in range(last + complete):
        see(sums[g, ...])
    if more and not complete and last > 0:
        sums[0, ...] = sums[last, ...]
    if more:
        sums[1 - complete : last + 1, ...] = 0


def _basis(
    n: int, exposures: np.ndarray | None, shape: tuple[int, int], pixel_size: float, voltage: float
) -> tuple[np.ndarray, np.ndarray]:
    """Weights of the frames in each sum, (n, r), the first of them 1; and by what each sum goes into the weighted one,
    (r, points), for frequencies as of `_Finish.spread`."""
    ones = np.ones((n, 1))
    if exposures is None:
        return ones, np.zeros((0, 1))

    def wanted(k: np.ndarray) -> np.ndarray:
        q = dose.weights(np.asarray(exposures, float)[:, None], k[None, :], voltage)
        return np.asarray(q / np.maximum(np.sqrt(np.square(q).sum(axis=0)), 1e-30))

    k = np.arange(_points(shape)) / (_FINE * max(shape) * pixel_size)
    some = np.linspace(0, k[-1], 400)
    sample = wanted(some)
    flat = ones / np.sqrt(n)
    rest = sample - flat @ (flat.T @ sample)
    directions = np.linalg.svd(rest * np.sqrt(some + some[1]), full_matrices=False)[0]
    for r in range(min(n, _MOST)):
        basis = np.concatenate([flat, directions[:, :r]], axis=1)
        missed = np.square(sample - basis @ (basis.T @ sample)) * some
        if np.sqrt(missed.sum() / some.sum()) < EXACT:  # `sample` has a sum of squares of 1 at each frequency
            break
    curves = basis.T @ wanted(k)
    curves[0] /= np.sqrt(n)
    basis[:, 0] = 1
    return basis, curves


def _points(shape: tuple[int, int]) -> int:
    return int(np.ceil(_FINE * max(shape) * np.sqrt(0.5))) + 2


class _Finish:
    """From sums in real space to the spectra of sums, freed of the response of moving, and back."""

    def __init__(self, shape: tuple[int, int], small: tuple[int, int], displacement: np.ndarray) -> None:
        self._shape, self._small = shape, small
        ky, kx = fourier.frequencies(small)
        self._k = ky * small[0] / shape[0], kx * small[1] / shape[1]  # cycles per px of the frames
        self._per = float(_FINE * max(shape))
        self._response = warp.response(self._k[0], self._k[1], displacement)

    def transforms(self, sums: Any, curves: np.ndarray) -> tuple[Any, Any]:
        """Of the plain sum, which is the first, and of the weighted one, None where there are no `curves`."""
        plain = weighted = None
        for i in range(max(len(curves), 1)):
            half = fourier.crop(fourier.rfft2(sums[i, ...]), self._shape, self._small)
            if len(curves) and weighted is None:
                weighted = namespace(half).zeros_like(half)
            half, weighted = self._gather(half, curves[i] if len(curves) else None, weighted)
            plain = half if plain is None else plain
        return plain, weighted

    def transform(self, image: Any) -> Any:
        """Of any other sum."""
        return self._gather(fourier.crop(fourier.rfft2(image), self._shape, self._small), None, None)[0]

    def image(self, half: Any) -> Any:
        """Of a transform, which is used up."""
        return fourier.irfft2(half, self._small, overwrite=True)

    def _gather(self, half: Any, curve: np.ndarray | None, total: Any) -> tuple[Any, Any]:
        """Free a transform of the response, and add what of it goes into the weighted sum to `total`."""
        xp = namespace(half)
        if xp is np:
            from cryowidgets.kernels.sumsloops import gather

            rows, columns = (np.float32(1) / r.ravel() for r in self._response)
            ky2, kx2 = (np.square(f).astype(np.float32).ravel() for f in self._k)
            points = np.zeros(1, np.float32) if curve is None else curve.astype(np.float32)
            into = np.zeros((0, 0), np.complex64) if total is None else total
            each(lambda part: gather(half, rows, columns, ky2, kx2, points, self._per, into, *part), bands(len(half)))
            return half, total
        half = half / to_device(self._response[0], half) / to_device(self._response[1], half)
        if curve is not None:
            k2 = sum(np.square(f).astype(np.float32) for f in self._k)
            point = np.minimum((np.sqrt(k2) * np.float32(self._per) + np.float32(0.5)).astype(np.int64), len(curve) - 1)
            total = total + half * to_device(curve.astype(np.float32)[point], half)
        return half, total
