"""Motion of the whole frame: where the specimen was in each frame of a movie.

Three steps. A search finds the peak of the correlation of each frame with the sum of the others, at low resolution.
Newton's method then maximises the likelihood of all shifts together at full resolution, every frequency weighted by
the signal-to-noise ratio that the movie itself shows there. Its steps are smoothed by `trajectory`, so that a frame
that tells little follows its neighbours. A frame is never compared with itself, nor with what repeats at the same
place in all frames: both would pull shifts towards zero.

The likelihood is that of an image S seen as ``X_j = a_j·S·exp(−2πi k·s_j) + noise``, where a_j is the fading of Grant &
Grigorieff, eLife 4 (2015) e06980, doi:10.7554/eLife.06980. Correlation with the sum of the others is theirs as well,
and of Zheng et al., Nat. Methods 14 (2017) 331, doi:10.1038/nmeth.4193.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from cryowidgets.cpu import threads
from cryowidgets.kernels import dose, fixedpattern, motionvariants, trajectory
from cryowidgets.kernels.band import Band, Spectra
from cryowidgets.kernels.motionsearch import CLEAR, search

LEAST = 7.0
"""Standard deviations by which frames must agree with each other to be believed.

Noise reaches 4, since of all positions the best one is taken.
"""

_CONVERGED = 2e-3  # px
_AT_ONCE = 8  # frames that are looked at together


@dataclass(frozen=True)
class Motion:
    """Displacement of the content of each frame relative to the first, px: ``I_j(x) = I_0(x − s_j)``.

    Attributes
    ----------
    shifts : (n, 2), y, x
        The likeliest trajectory; zeros where it could not be measured.
    raw : (n, 2), y, x
        As measured frame by frame, before smoothing.
    covariance : (n, n)
        Of the errors of `shifts` along one axis, relative to the mean of the trajectory, px²; NaN where it could not
        be measured.
    raw_error : (n,)
        Standard error of `raw` along one axis, px.
    agreement : float
        Standard deviations by which a frame agrees with the others (median), to be compared with `LEAST`.
    why : str
        Why the motion could not be measured; empty where it was.
    """

    shifts: np.ndarray
    raw: np.ndarray
    covariance: np.ndarray
    raw_error: np.ndarray
    agreement: float
    why: str = ""

    @property
    def error(self) -> np.ndarray:
        """Standard error of `shifts` along one axis, relative to the mean of the trajectory: (n,) px."""
        return np.asarray(np.sqrt(np.maximum(np.diag(self.covariance), 0)))

    @property
    def ok(self) -> bool:
        return not self.why


def align(
    frames: Iterable[Any],
    pixel_size: float,
    dose_per_frame: float = 0.0,
    pre_exposure: float = 0.0,
    voltage: float = 300.0,
    resolution: float = 5.0,
    max_shift: float = 100.0,
    gain: Any = None,
    method: str = "likelihood",
) -> Motion:
    """Measure the motion of a movie.

    Parameters
    ----------
    frames : iterable of arrays (y, x)
        Their defects replaced. Each is asked for once; what is kept of it are its low frequencies.
    pixel_size : float
        Å/px.
    dose_per_frame, pre_exposure : float
        e/Å²; a `dose_per_frame` of 0 means unknown.
    voltage : float
        kV.
    resolution : float
        Å up to which frames are compared.
    max_shift : float
        Å that a frame may be away from the mean of the others.
    gain : array (y, x), float32, optional
        What multiplies the frames, if that has not been done yet.
    method : {"likelihood", "relion", "pairs"}
        The last two are those of other programs, for comparison: see `motionvariants`.
    """
    bands, band, repeats = _collect(frames, gain, pixel_size, resolution)
    n = len(bands)
    if n < 2:
        return _unknown(n, "A single frame shows no motion." if n else "There are no frames.", math.nan)
    fixedpattern.remove(bands, repeats)
    fading = dose.fading(n, band.radius / pixel_size, dose_per_frame, pre_exposure, voltage)
    spectra = Spectra(bands, band, fading, pixel_size)
    start, agreement = search(spectra, pixel_size, max_shift)
    if agreement < CLEAR:
        return _unknown(n, _disagree(agreement, CLEAR), agreement)
    if method != "likelihood":
        shifts = motionvariants.METHODS[method](spectra, pixel_size, max_shift)
        _, variance, agreement = _newton(spectra, shifts)
        if agreement < LEAST:
            return _unknown(n, _disagree(agreement, LEAST), agreement)
        return Motion(shifts - shifts[0], shifts - shifts[0], np.diag(variance), np.sqrt(variance), agreement)
    raw, variance, shifts, covariance, agreement = _refine(spectra, start, dose_per_frame, pre_exposure)
    if agreement < LEAST:
        return _unknown(n, _disagree(agreement, LEAST), agreement)
    return Motion(shifts - shifts[0], raw - raw[0], covariance, np.sqrt(variance), agreement)


def _unknown(n: int, why: str, agreement: float) -> Motion:
    nothing = np.full(n, math.nan)
    return Motion(np.zeros((n, 2)), np.zeros((n, 2)), np.full((n, n), math.nan), nothing, agreement, why)


def _disagree(agreement: float, needed: float) -> str:
    return (
        f"The frames agree with each other by {agreement:.1f} standard deviations and {needed:g} are needed to tell "
        "their motion: the field may be empty, blank, or of one material."
    )


def _collect(frames: Iterable[Any], gain: Any, pixel_size: float, resolution: float) -> tuple[list[Any], Band, float]:
    """The bands of all frames, and how much of their mean to take away for what repeats in all of them."""
    bands: list[Any] = []
    band, repeating = Band((1, 1), 0.0), fixedpattern.Pattern()
    rest = iter(frames)
    while some := list(islice(rest, max(threads(), _AT_ONCE))):
        if not bands:
            band = Band.up_to(resolution, (int(some[0].shape[0]), int(some[0].shape[1])), pixel_size)
        bands += band.transforms(some, gain)
        for frame in some:
            repeating.add(frame, gain)
    return bands, band, repeating.share() if pixel_size < fixedpattern.FINEST else 0.0


def _refine(
    spectra: Spectra, shifts: np.ndarray, dose_per_frame: float, pre_exposure: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float]:
    """Maximise the likelihood: measured shifts and their variance, smoothed shifts and their covariance, agreement."""
    raw, variance, covariance, agreement = shifts, np.zeros(spectra.n), np.zeros((spectra.n, spectra.n)), 0.0
    for _ in range(10):
        step, variance, agreement = _newton(spectra, shifts)
        raw = shifts + np.clip(step, -1.0, 1.0)
        raw = raw - raw.mean(axis=0)
        new, covariance = trajectory.smooth(raw, variance, dose_per_frame, pre_exposure)
        moved = np.abs(new - shifts).max()
        shifts = new
        if moved < _CONVERGED:
            break
    return raw, variance, shifts, covariance, agreement


def _newton(spectra: Spectra, shifts: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """One step: by how much to change each shift (n, 2), its variance along an axis (n,), and the agreement.

    With ``U_j = a_j·X_j`` this maximises ``Σ W |Σ_j U_j exp(2πi k·s_j)|²``, ``1/W = noise·(noise/signal + Σ a_j²)``:
    the likelihood after the image has been eliminated. The curvature is that expected from signal and noise of each
    ring, which is always positive.
    """
    frames, total = spectra.aligned(shifts)
    signal, noise = spectra.signal_and_noise(total)
    own = spectra.fading2
    together = own.sum(axis=0)
    others = together - own
    weight = spectra.high_pass * signal / (noise * (noise + together * signal))
    gradient, match = spectra.slopes(frames, total, weight)

    # Sums over the rings, which the host knows: expected curvature, and the chance part of gradient and match.
    k2 = np.square(spectra.band.radius)
    curvature = 2 * math.pi**2 * (spectra.count * k2 * weight * signal * own * others).sum(axis=1)
    chance = spectra.count * weight**2 * own * others * noise * (signal * others + noise + signal * own)
    variance = 2 * math.pi**2 * (k2 * chance).sum(axis=1)
    curvature, noise_of_match = np.maximum(curvature, _TINY), np.maximum(chance.sum(axis=1), _TINY)
    return gradient / curvature[:, None], variance / curvature**2, float(np.median(match / np.sqrt(noise_of_match)))


_TINY = 1e-30
