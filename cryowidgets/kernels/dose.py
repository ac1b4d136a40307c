"""Exposure weighting: what is left of each spatial frequency of a specimen under the beam.

Method and constants: Grant & Grigorieff, eLife 4 (2015) e06980, doi:10.7554/eLife.06980.
"""

from __future__ import annotations

from typing import Any

import numpy as np

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


def fading(
    frames: int, k: np.ndarray, dose_per_frame: float, pre_exposure: float = 0.0, voltage: float = 300.0
) -> np.ndarray:
    """What is left of the signal at `k` (rings,), 1/Å, in each frame of a movie: (frames, rings); 1 for an unknown dose
    of 0."""
    if not dose_per_frame:
        return np.ones((frames, len(k)))
    ends = pre_exposure + dose_per_frame * np.arange(1, frames + 1)
    return np.asarray(weights(ends[:, None], k[None, :], voltage))


def _squared_speed(voltage: float) -> float:
    """Squared speed of electrons accelerated by `voltage` kV, relative to light."""
    return 1 - 1 / (1 + voltage / 510.99895) ** 2
