"""Fourier transforms of images, and what is done to them: cropping, shifting, averaging over rings.

A half plane is the result of `rfft2`: (…, height, width // 2 + 1), unnormalised, so that element (0, 0) is the sum of
the image. Elements with kx > 0 (and below Nyquist) stand for two of the whole plane.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.fft

from cryowidgets.cpu import threads
from cryowidgets.kernels import hostfft
from cryowidgets.kernels.xp import beside, namespace, to_device


def rfft2(image: Any) -> Any:
    """Half plane of real images (…, y, x); float32 in gives complex64 out, integers and float16 as well."""
    xp = namespace(image)
    if image.dtype not in (xp.float32, xp.float64):
        image = xp.astype(image, xp.float32)
    if xp is np:
        if image.ndim == 2 and image.dtype == np.float32:
            height, width = image.shape
            return hostfft.low(image, (height // 2, height - height // 2), width // 2 + 1)
        return scipy.fft.rfft2(image, workers=threads())
    return xp.fft.rfftn(image, axes=(-2, -1))


def irfft2(half: Any, shape: tuple[int, int], overwrite: bool = False) -> Any:
    """Images (…, y, x) of the given shape (y, x) from half planes; the inverse of `rfft2`.

    Where `half` may be overwritten, on the host it is, which spares a copy of it.
    """
    xp = namespace(half)
    if xp is np:
        if half.shape == (shape[0], shape[1] // 2 + 1) and half.dtype == np.complex64:
            return hostfft.inverse(half, shape, overwrite)
        return scipy.fft.irfft2(half, s=shape, workers=threads())
    return xp.fft.irfftn(half, s=shape, axes=(-2, -1))


def cosine_edges(n: int, part: float) -> np.ndarray:
    """A window that rises from 0 to 1 over `part` of its length on either side: (n,) float32."""
    width = max(round(part * n), 1)
    edge = 0.5 - 0.5 * np.cos(math.pi * (np.arange(width) + 0.5) / width)
    window = np.ones(n, np.float32)
    window[:width], window[n - width :] = edge, edge[::-1]
    return window


def fast_length(n: int) -> int:
    """The least even length of at least `n` that transforms fast (no prime factor above 5)."""
    return 2 * scipy.fft.next_fast_len((n + 1) // 2, real=True)


def frequencies(shape: tuple[int, int], pixel_size: float = 1.0, xp: Any = np) -> tuple[Any, Any]:
    """Spatial frequencies of a half plane: ky (height, 1) and kx (1, width // 2 + 1), float64.

    In 1/Å for a `pixel_size` in Å/px, in cycles/px where it is 1.
    """
    height, width = shape
    y = np.fft.fftfreq(height, pixel_size)[:, None]
    x = np.fft.rfftfreq(width, pixel_size)[None, :]
    return (y, x) if xp is np else (xp.asarray(y), xp.asarray(x))


def crop(half: Any, shape: tuple[int, int], new_shape: tuple[int, int]) -> Any:
    """Cut the low frequencies out of half planes, or put zeros around them.

    Parameters
    ----------
    half : array (…, height, width // 2 + 1)
    shape : (int, int)
        Of the image that it belongs to.
    new_shape : (int, int)
        Of the image that it shall belong to: a coarser or finer one of the same field.

    Returns
    -------
    array
        Scaled so that the image keeps its mean. Nyquist elements, whose partner of opposite sign the smaller plane
        cannot hold, are zero.
    """
    xp = namespace(half)
    (height, width), (new_height, new_width) = shape, new_shape
    if (height, width) == (new_height, new_width):
        return half
    scale = (new_height * new_width) / (height * width)
    rows = (min(height, new_height) + 1) // 2  # 0 and positive frequencies below the Nyquist element
    columns = (min(width, new_width) + 1) // 2
    out = xp.zeros((*half.shape[:-2], new_height, new_width // 2 + 1), dtype=half.dtype, **beside(half))
    out[..., :rows, :columns] = half[..., :rows, :columns] * scale
    if rows > 1:
        out[..., 1 - rows :, :columns] = half[..., 1 - rows :, :columns] * scale
    return out


def shift_phase(shape: tuple[int, int], shift: tuple[float, float], xp: Any = np) -> tuple[Any, Any]:
    """Factors by which a half plane is multiplied to move the image's content by `shift` (y, x) px.

    Returns
    -------
    (height, 1) and (1, width // 2 + 1), complex64
        ``exp(−2πi·k·shift)``. To undo a displacement, give it with the opposite sign.
    """
    factors = []
    for k, s in zip(frequencies(shape), shift, strict=True):
        factor = np.exp(-2j * math.pi * k * float(s)).astype(np.complex64)
        factors.append(factor if xp is np else xp.asarray(factor))
    return factors[0], factors[1]


def shift(image: Any, by: tuple[float, float]) -> Any:
    """Move the content of an image (y, x) by `by` (y, x) px; what leaves on one side comes in on the other."""
    xp = namespace(image)
    y, x = shift_phase(image.shape, by, xp)
    return irfft2(rfft2(image) * y * x, image.shape)


def ring_numbers(shape: tuple[int, int]) -> np.ndarray:
    """Ring of each element of a half plane, (height, width // 2 + 1) int64 on the host.

    Ring r holds the frequencies nearest to ``r / max(shape)`` cycles/px.
    """
    ky, kx = frequencies(shape)
    return np.rint(np.sqrt(ky * ky + kx * kx) * max(shape)).astype(np.int64)


def plane_weight(shape: tuple[int, int]) -> np.ndarray:
    """How many elements of the whole plane each of a half plane stands for: (height, width // 2 + 1), 1 or 2."""
    height, width = shape
    weight = np.full((height, width // 2 + 1), 2, np.float32)
    weight[:, 0] = 1
    if width % 2 == 0:
        weight[:, -1] = 1
    return weight


def radial_average(half: Any, shape: tuple[int, int]) -> Any:
    """Mean of a real half plane over rings of the whole plane.

    Parameters
    ----------
    half : array (height, width // 2 + 1), real
        For instance a power spectrum.
    shape : (int, int)
        Of the image that it belongs to.

    Returns
    -------
    array (rings,), float64
        Element r is the mean at ``r / max(shape)`` cycles/px, up to the corner of the plane.
    """
    return Rings(ring_numbers(shape), plane_weight(shape), like=half).mean(half)


class Rings:
    """Means over rings, for many half planes of one shape: the elements are sorted once.

    Parameters
    ----------
    number : numpy array, int
        Ring of each element, 0 and up; each ring must have an element.
    weight : numpy array
        How much each element counts: `plane_weight`, or 0 for an element that is left out.
    like : array
        Means are computed in the library and on the device of this array.
    """

    def __init__(self, number: np.ndarray, weight: np.ndarray, like: Any) -> None:
        order = np.argsort(number, axis=None, kind="stable")
        ends = np.searchsorted(number.ravel()[order], np.arange(int(number.max()) + 1), side="right") - 1
        self.weight_sum = np.bincount(number.ravel(), weight.ravel())
        """Sum of the weights in each ring: (rings,) numpy, float64."""
        self._number, self._order, self._ends, self._weight, self._norm = (
            to_device(x, like)
            for x in (number, order, ends, weight.ravel()[order].astype(np.float64), np.maximum(self.weight_sum, 1e-30))
        )

    def mean(self, values: Any) -> Any:
        """Weighted mean of real values, in the shape of `number`, over each ring: (rings,), float64."""
        xp = namespace(values)
        sorted_ = xp.take(xp.reshape(values, (-1,)), self._order)
        total = xp.take(xp.cumulative_sum(sorted_ * self._weight), self._ends)
        return xp.concat([total[:1], total[1:] - total[:-1]]) / self._norm

    def spread(self, curve: Any) -> Any:
        """The reverse: a value for each ring (numpy or of the library) brought to each of its elements, float32."""
        curve = to_device(curve, self._number)
        xp = namespace(curve)
        flat = xp.take(xp.astype(curve, xp.float32), xp.reshape(self._number, (-1,)))
        return xp.reshape(flat, self._number.shape)
