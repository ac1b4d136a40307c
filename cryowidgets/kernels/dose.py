"""Exposure weighting: what is left of each spatial frequency of a specimen under the beam, and sums that mind it.

Method and constants: Grant & Grigorieff, eLife 4 (2015) e06980, doi:10.7554/eLife.06980.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cryowidgets.kernels import fourier
from cryowidgets.kernels.xp import namespace

_SCALE = {100.0: 0.64, 200.0: 0.8, 300.0: 1.0}
"""Critical exposure relative to that at 300 kV; as RELION has it (cisTEM has 0.532 at 100 kV)."""


def critical_exposure(k: Any, voltage: float = 300.0) -> Any:
    """Exposure in e/Å² after which the signal at spatial frequency `k` (array, 1/Å) has fallen to ``exp(-1/2)``.

    Equation 3 of the paper, scaled for voltages other than 300 kV. Infinite at zero frequency.
    """
    xp = namespace(k)
    safe = xp.where(k > 0, k, xp.ones_like(k))
    value = (0.24499 * safe**-1.6649 + 2.8141) * voltage_scale(voltage)
    return xp.where(k > 0, value, xp.full_like(value, float("inf")))


def voltage_scale(voltage: float) -> float:
    """Critical exposure at `voltage` kV relative to that at 300 kV.

    Linear between 100, 200 and 300 kV; beyond, in proportion to the squared speed of the electrons, which the deposited
    energy follows inversely.
    """
    known = sorted(_SCALE)
    nearest = min(max(voltage, known[0]), known[-1])
    at = float(np.interp(nearest, known, [_SCALE[v] for v in known]))
    return at * _squared_speed(voltage) / _squared_speed(nearest)


def weights(exposure: Any, k: Any, voltage: float = 300.0) -> Any:
    """What is left of the signal at `k` (array, 1/Å) after `exposure` (float or array, e/Å²), from 1 to 0.

    Equation 5; the exposure of a frame is that at its end.
    """
    return namespace(k).exp(-0.5 * exposure / critical_exposure(k, voltage))


@dataclass(frozen=True)
class Sums:
    """Aligned sums of a movie.

    Attributes
    ----------
    plain : array (y, x), float32
        The sum of the frames.
    weighted : array (y, x), float32, or None
        The exposure-weighted sum, divided by the root of the summed squares of the weights (equation 9), so that its
        noise has at every frequency the power of the noise in one frame. None where no exposures were given.
    """

    plain: Any
    weighted: Any = None


def align_and_sum(
    frames: Iterable[Any],
    shifts: np.ndarray,
    pixel_size: float,
    exposures: Sequence[float] | None = None,
    voltage: float = 300.0,
    shape: tuple[int, int] | None = None,
) -> Sums:
    """Undo the shifts and add up the frames, with and without exposure weighting, in one pass.

    The weighted sum grows like a polynomial by Horner's rule: from the last frame to the first, it is multiplied with
    the factor by which the signal fades from one frame to the one before, and the frame is added. So a movie takes one
    transform and a few products for each frame, and the memory of some five images, whatever the number of frames.

    Parameters
    ----------
    frames : iterable of arrays (y, x)
        Gain-corrected frames, **last one first**; each is asked for once.
    shifts : (n, 2)
        Displacement of the content of each frame (y, x) in px, in the order of `frames`.
    pixel_size : float
        Å/px.
    exposures : sequence of n floats, optional
        Exposure of the specimen at the end of each frame, e/Å², in the order of `frames`: falling.
    voltage : float
        kV.
    shape : (int, int), optional
        Size of the sums if it is not that of the frames: they are cropped in Fourier space.
    """
    plain = faded = fade = None
    before = 0.0
    doses = None if exposures is None else [float(e) for e in exposures]
    for i, (frame, shift) in enumerate(zip(frames, np.asarray(shifts, float), strict=True)):
        xp, whole = namespace(frame), (int(frame.shape[0]), int(frame.shape[1]))
        small = shape or whole
        ky, kx = fourier.shift_phase(small, (-shift[0] * small[0] / whole[0], -shift[1] * small[1] / whole[1]), xp)
        half = fourier.crop(fourier.rfft2(frame), whole, small)
        half *= ky
        half *= kx
        if plain is None:
            plain = half
            if doses is not None:
                faded = xp.asarray(half, copy=True)
                decay = _decay(small, (pixel_size * whole[0] / small[0], pixel_size * whole[1] / small[1]), voltage, xp)
        else:
            plain += half
            if doses is not None:
                step = doses[i - 1] - doses[i]
                if fade is None or step != before:
                    fade, before = xp.exp(decay * step), step
                faded *= fade
                faded += half
    if plain is None:
        raise ValueError("There are no frames to add up.")
    if doses is None:
        return Sums(fourier.irfft2(plain, small))
    del fade, half
    faded *= _restoring(decay, np.asarray(doses))
    return Sums(fourier.irfft2(plain, small), fourier.irfft2(faded, small))


def _decay(shape: tuple[int, int], pixel_size: tuple[float, float], voltage: float, xp: Any) -> Any:
    """Logarithm of the weight for each e/Å², ``-1 / 2Nc``, of the elements of a half plane: float32."""
    ky, kx = fourier.frequencies(shape, xp=xp)
    ky, kx = ky / pixel_size[0], kx / pixel_size[1]
    k = xp.sqrt(xp.astype(ky * ky, xp.float32) + xp.astype(kx * kx, xp.float32))
    return -0.5 / critical_exposure(k, voltage)


def _restoring(decay: Any, exposures: np.ndarray, points: int = 16384) -> Any:
    """What Horner's sum is multiplied with: the first frame's weight over the root of the summed squares of all.

    It is a smooth function of `decay`, so a table of it will do: linear in between, to 1e-6.
    """
    xp = namespace(decay)
    low = float(xp.min(decay))
    rate = np.linspace(low, 0, points)
    summed = np.exp(2 * rate[:, None] * (exposures - exposures[-1])).sum(axis=1)
    table = xp.asarray((1 / np.sqrt(summed)).astype(np.float32))
    place = (1 - decay / low) * (points - 1) if low < 0 else xp.zeros_like(decay)
    left = xp.clip(xp.astype(place, xp.int64), 0, points - 2)
    value = xp.take(table, xp.reshape(left, (-1,)))
    slope = xp.take(table, xp.reshape(left + 1, (-1,))) - value
    rest = xp.reshape(place - xp.astype(left, xp.float32), (-1,))
    return xp.reshape(value + slope * rest, decay.shape)


def _squared_speed(voltage: float) -> float:
    """Squared speed of electrons accelerated by `voltage` kV, relative to light."""
    return 1 - 1 / (1 + voltage / 510.99895) ** 2
