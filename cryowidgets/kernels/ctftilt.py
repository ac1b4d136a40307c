"""Tilt of a specimen from the power spectra of the tiles of its image.

A tilted specimen has another defocus in each tile, and it changes along a plane. Two slopes of that plane are sought
together with the mean defocus: at low resolution exhaustively, as `ctfsearch` does with astigmatism, then by least
squares on all tiles at once. The tiles' spectra can then be brought to the defocus in the middle and averaged
(`level`), and are fitted as that of a flat specimen. Small arrays on the host.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from cryowidgets.kernels import ctf, spectrum
from cryowidgets.kernels.spectrum import Spectrum, Tiles
from cryowidgets.kernels.thon import Array, ThonRings, coarse_cells, elements_of, flatten
from cryowidgets.kernels.xp import asnumpy

STEEPEST = 65.0
"""Degrees."""
FINEST = 7.0, 4.5
"""Å, of the search and of the fit: over a tile, the defocus changes too much for finer rings of a steep specimen."""
DECAYS = 100.0, 400.0
SMOOTH = 4
"""Degree of the smooth curve in each tile's spectrum that is no evidence of rings."""
SECTORS = 18
STEPS = 12
LEAST_HEIGHT = 6.0
"""Standard deviations by which rings must stand out of the noise."""


@dataclass(frozen=True)
class Tilt:
    """Plane in which a specimen lies.

    Attributes
    ----------
    tilt, axis : float
        Degrees; the axis from x towards y in (-180, 180]. At (x, y) px from the middle of the image the defocus is that
        in the middle plus ``tan(tilt) · pixel_size · (−x · sin(axis) + y · cos(axis))``.
    tilt_error, axis_error : float
        Standard errors, degrees.
    slope : (float, float)
        Change of defocus along y and x, Å/px.
    defocus : float
        In the middle of the image, Å.
    height : float
        Standard deviations by which the rings stand out.
    """

    tilt: float
    axis: float
    tilt_error: float
    axis_error: float
    slope: tuple[float, float]
    defocus: float
    height: float


def find(
    tiles: Tiles,
    image_pixel: float,
    voltage: float,
    cs: float,
    amplitude_contrast: float,
    defocus: tuple[float, float],
    resolution: tuple[float, float],
    phase_shift: float = 0.0,
) -> Tilt | None:
    """Measure the tilt.

    Parameters
    ----------
    tiles : Tiles
        Of an untilted or tilted image; at least 3 × 3.
    image_pixel : float
        Å/px of that image.
    voltage, cs, amplitude_contrast, phase_shift : float
        kV, mm, fraction, degrees.
    defocus : (float, float)
        Range of the defocus in the middle, Å.
    resolution : (float, float)
        Coarsest and finest spacing used, Å.

    Returns
    -------
    Tilt, or None where the tiles show no rings or are too few.
    """
    places = tiles.places[tiles.good]
    if len(places) < 9 or len(np.unique(places[:, 0])) < 3 or len(np.unique(places[:, 1])) < 3:
        return None
    mean, lens = tiles.mean(), (voltage, cs, amplitude_contrast)
    powers = [asnumpy(p).ravel() for p, good in zip(tiles.powers, tiles.good, strict=True) if good]
    steepest = math.tan(math.radians(STEEPEST)) * image_pixel
    wide = flatten(mean, *lens, (resolution[0], max(resolution[1], FINEST[0])))
    d, slope, height = _search(wide, _relative(wide, powers), places, steepest, defocus, phase_shift)
    if height < LEAST_HEIGHT:
        return None
    fine = flatten(mean, *lens, (resolution[0], max(resolution[1], FINEST[1])))
    d, slope, covariance = _refine(fine, _relative(fine, powers), places, d, slope, phase_shift)
    return _tilt(d, slope, covariance, height, image_pixel)


def level(tiles: Tiles, tilt: Tilt, voltage: float, cs: float) -> Spectrum:
    """Mean of the tiles' spectra, each stretched to the defocus in the middle of the image.

    Elements are taken from where the phase is the same, as whole ones: interpolated, they would lose noise.
    """
    mean = tiles.mean()
    box = mean.box
    k2, _, _ = ctf.polar((box, box), mean.pixel_size)
    y = np.where(np.arange(box) < box // 2, np.arange(box), np.arange(box) - box)[:, None]
    x = np.arange(box // 2 + 1)[None, :]
    bend = ctf.wavelength(voltage) ** 2 * cs * 1e7
    total, norm = np.zeros(k2.shape), np.zeros(k2.shape)
    for power, place, good in zip(tiles.powers, tiles.places, tiles.good, strict=True):
        here = tilt.defocus + place[0] * tilt.slope[0] + place[1] * tilt.slope[1]
        if not good or here <= 0.1 * tilt.defocus:
            continue
        # the squared frequency that has, at the defocus here, the phase of k² in the middle
        phase = k2 * (2 * tilt.defocus - bend * k2)
        root = np.sqrt(np.maximum(here * here - bend * phase, 0))
        there = phase / np.maximum(here + root, 1e-9)
        stretch = np.sqrt(there / np.maximum(k2, 1e-30))
        row = np.rint(y * stretch).astype(np.int64)
        column = np.rint(x * stretch).astype(np.int64)
        inside = (np.abs(row) < box // 2) & (column <= box // 2) & (bend * k2 < tilt.defocus)
        values = asnumpy(power)[np.where(inside, row, 0), np.where(inside, column, 0)]
        total += np.where(inside, values, 0.0)
        norm += inside
    levelled = np.where(norm > 0, total / np.maximum(norm, 1), asnumpy(mean.power))
    return replace(mean, power=levelled.astype(np.float32))


def _relative(rings: ThonRings, powers: list[Array]) -> Array:
    """Power of each tile over the common background, minus one: (tiles, elements)."""
    elements = elements_of(rings)
    below = 1 / rings.background[rings.radius]
    return np.stack([power[elements] * below - 1 for power in powers])


def _search(
    rings: ThonRings, y: Array, places: Array, steepest: float, defocus: tuple[float, float], phase_shift: float
) -> tuple[float, Array, float]:
    """Mean defocus, slopes along y and x (Å/px) and height of the highest maximum."""
    ring = rings.radius - int(rings.radius.min())
    count = np.bincount(ring).astype(np.float64)
    profile = np.stack([np.bincount(ring, values) for values in y]) / count
    rest = y - profile[:, ring]
    sigma = math.sqrt(float(np.mean(rest * rest)))
    k2 = (np.arange(ring[0], ring[-1] + 1) + int(rings.radius.min())) ** 2 / rings.extent**2
    root = np.sqrt(count)
    x = np.linspace(-1, 1, len(k2))
    smooth = np.linalg.qr(np.polynomial.chebyshev.chebvander(x, SMOOTH) * root[:, None])[0]

    step = 0.4 / (math.pi * ctf.wavelength(rings.voltage) * float(k2[-1]))
    half = np.abs(places).max(axis=0)
    reach = np.floor(steepest * half / step).astype(int)  # steps of defocus from the middle to the outermost tiles
    slopes = [np.arange(-r, r + 1) * step / h for r, h in zip(reach, half, strict=True)]
    gy, gx = (g.ravel() for g in np.meshgrid(*slopes, indexing="ij"))
    inside = gy**2 + gx**2 <= steepest**2
    gy, gx = gy[inside], gx[inside]
    shift = np.rint((gy[:, None] * places[:, 0] + gx[:, None] * places[:, 1]) / step).astype(int)
    edge = int(np.abs(shift).max())
    size = math.ceil((defocus[1] - defocus[0]) / step) + 1
    grid = defocus[0] + step * np.arange(-edge, size + edge)
    twice = 2 * ctf.chi(k2, grid[:, None], rings.voltage, rings.cs, rings.amplitude_contrast, phase_shift)
    lag = 0.7 * rings.lag_at(k2, grid[:, None])
    best = (-math.inf, 0.0, 0)
    for decay in DECAYS:
        models = -np.cos(twice) * np.exp(-0.25 * decay * k2) * spectrum.attenuation(lag, lag) * root
        models -= (models @ smooth) @ smooth.T
        models[grid < 0.5 * defocus[0]] = 0
        table = ((profile * root) @ models.T).astype(np.float32)
        norm = np.sqrt(len(y) * np.sum(models[edge : edge + size] ** 2, axis=1))
        windows = np.lib.stride_tricks.sliding_window_view(table, size, axis=1)
        total = np.zeros((len(gy), size), np.float32)
        for tile in range(len(y)):
            total += windows[tile, edge + shift[:, tile]]
        heights = total / (sigma * norm)
        at = int(np.argmax(heights))
        if heights.flat[at] > best[0]:
            best = (float(heights.flat[at]), float(grid[edge + at % size]), at // size)
    height, d, which = best
    return d, np.array([gy[which], gx[which]]), height


def _refine(
    rings: ThonRings, y: Array, places: Array, d: float, slope: Array, phase_shift: float
) -> tuple[float, Array, Array]:
    """Mean defocus, slopes, and the covariance of the slopes, by least squares on the cells of all tiles."""
    cell, weight, (k2, cos2, sin2) = coarse_cells(rings, SECTORS)
    n = len(weight)
    values = np.stack([np.bincount(cell, row, n) for row in y]) / weight
    root = np.sqrt(weight)
    x = np.sqrt(k2)
    x = (2 * x - x.min() - x.max()) / (x.max() - x.min())
    smooth = np.linalg.qr(np.polynomial.chebyshev.chebvander(x, SMOOTH) * root[:, None])[0]
    values = values * root
    values -= (values @ smooth) @ smooth.T
    rate = 2 * math.pi * ctf.wavelength(rings.voltage) * k2
    up, across = places[:, :1], places[:, 1:]

    def model(p: Array) -> tuple[Array, list[Array]]:
        defocus = p[0] + p[1] * cos2 + p[2] * sin2
        middle = 2 * ctf.chi(k2, defocus, rings.voltage, rings.cs, rings.amplitude_contrast, phase_shift)
        turn = middle + rate * (p[3] * up + p[4] * across)
        envelope = np.exp(-0.25 * p[5] * k2) * spectrum.attenuation(*lag) * root
        rings_ = -np.cos(turn) * envelope
        per_defocus = p[6] * rate * np.sin(turn) * envelope
        parts = [per_defocus, per_defocus * cos2, per_defocus * sin2, per_defocus * up, per_defocus * across]
        parts += [-0.25 * k2 * p[6] * rings_, rings_]
        return p[6] * rings_, parts

    half = rings.lag_at(k2, d)
    lag = half * np.sqrt(0.5 * (1 + cos2)), half * np.sqrt(np.maximum(0.5 * (1 - cos2), 0))
    p = np.array([d, 0.0, 0.0, *slope, 200.0, 0.2])
    damping, last = 1e-2, math.inf
    matrix, right = np.eye(7), np.zeros(7)
    kept, cost = p, math.inf
    for _ in range(STEPS):
        fitted, parts = model(p)
        rest = values - (fitted - (fitted @ smooth) @ smooth.T)
        cost = float(np.sum(rest * rest))
        if cost <= last:
            kept, gain, last = p, last - cost, cost
            jacobian = np.stack([part.ravel() for part in parts])
            matrix, right = jacobian @ jacobian.T, jacobian @ rest.ravel()
            damping = max(0.1 * damping, 1e-9)
            if gain < 1e-2 * cost / values.size:
                break
        else:
            damping *= 10
        scale = 1 / np.sqrt(np.maximum(np.diag(matrix), 1e-30))
        step = scale * np.linalg.solve(matrix * scale[:, None] * scale + damping * np.eye(7), right * scale)
        p = kept + step
        p[5] = min(max(p[5], 0.0), 4000.0)
    covariance = np.linalg.pinv(matrix, hermitian=True) * (last / values.size)
    return float(kept[0]), kept[3:5], np.asarray(covariance[3:5, 3:5])


def _tilt(d: float, slope: Array, covariance: Array, height: float, image_pixel: float) -> Tilt:
    steep = math.hypot(slope[0], slope[1])
    tilt = math.degrees(math.atan(steep / image_pixel))
    axis = math.degrees(math.atan2(-slope[1], slope[0])) if steep > 0 else 0.0
    up = slope / steep if steep > 0 else np.array([1.0, 0.0])
    across = np.array([-up[1], up[0]])
    along_error = math.sqrt(max(float(up @ covariance @ up), 0.0)) / image_pixel
    across_error = math.sqrt(max(float(across @ covariance @ across), 0.0))
    tilt_error = math.degrees(along_error) * math.cos(math.radians(tilt)) ** 2
    axis_error = math.degrees(math.atan2(across_error, steep))
    axis = 180.0 if axis <= -180 else axis
    return Tilt(tilt, axis, tilt_error, axis_error, (float(slope[0]), float(slope[1])), d, height)
