"""Templates in the pixels of a search: turned in all directions, or spheres, and the few pictures that make them up."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

SOFT = 0.1
"""Width of the soft rim of spheres, the deviation of a Gaussian, in their radii: no molecule is one."""
SPHERES = (0.8, 1.0, 1.25)
"""Diameters of the spheres that are tried, relative to that of the particle."""
KEPT = 0.99
"""Part of what the templates show that their principal pictures show."""
MOST = 64
"""No more principal pictures are taken."""
RIM = 0.1
"""Width of the soft edge of the circle outside of which templates are cut off, in its radii."""
RESOLVED = 2.0
"""Pixels of the search by which the rim of a template moves from one rotation to the next."""
ROUND = 0.97
"""Correlation with itself in all directions from which on a template need not be turned."""


def spheres(size: float, hollow: float = 0.0) -> NDArray[np.float32]:
    """Projections of spheres about `size` px in diameter, of which a part `hollow` of the diameter is empty.

    Returns
    -------
    (n, side, side)
        One for each of `SPHERES`; the middle is pixel ``side // 2``.
    """
    side = 2 * math.ceil(0.5 * size * max(SPHERES)) + 3
    return np.stack([_sphere(side, 0.5 * size * part, hollow) for part in SPHERES])


def turned(templates: np.ndarray, scale: float, size: float, turn: float = 0.0) -> NDArray[np.float32]:
    """Templates with the pixels of a search, in all directions.

    Parameters
    ----------
    templates : array (n, a, b)
        Particles in the middle of each.
    scale : float
        Size of their pixels in px of the search.
    size : float
        Diameter of the particles in px of the search; what lies outside is cut off softly.
    turn : float
        Step of the rotations, degrees; 0 for as much as moves the rim by `RESOLVED` px.

    Returns
    -------
    (m, side, side)
        The middle is pixel ``side // 2``. Templates that look the same from all sides come once; pictures of nothing
        are left out.

    Raises
    ------
    ValueError
        All templates are empty.
    """
    templates = np.asarray(templates, np.float32)
    side = 2 * math.ceil(0.5 * size * (1 + RIM)) + 3
    grid = np.arange(side) - side // 2
    y, x = np.meshgrid(grid, grid, indexing="ij")
    inside = np.clip((1 + RIM - np.hypot(y, x) / (0.5 * size)) / RIM, 0, 1)
    inside = (0.5 - 0.5 * np.cos(np.pi * inside)).astype(np.float32)
    step = turn or math.degrees(RESOLVED / (0.5 * size))
    angles = np.radians(np.arange(max(round(360 / step), 1)) * 360 / max(round(360 / step), 1))
    found = []
    for template in templates:
        if not np.isfinite(template).all() or not template.std() > 0:
            continue
        # Pixels that become larger are blurred first, as the search has no finer detail.
        soft = ndimage.gaussian_filter(template, 0.4 / scale) if scale < 0.7 else template
        knots = ndimage.spline_filter(soft, 3, mode="nearest").astype(np.float32)
        middle = [n // 2 for n in template.shape]
        pictures = []
        for angle in angles:
            sine, cosine = math.sin(angle) / scale, math.cos(angle) / scale
            at = np.stack([cosine * y - sine * x + middle[0], sine * y + cosine * x + middle[1]])
            picture = ndimage.map_coordinates(knots, at, order=3, prefilter=False, mode="nearest")
            pictures.append(inside * (picture - _rim(picture, y, x, size)))
        same = np.stack(pictures).reshape(len(angles), -1)
        same /= np.maximum(np.linalg.norm(same, axis=1, keepdims=True), 1e-30)
        found += pictures[:1] if (same @ same[0]).min() > ROUND else pictures
    if not found:
        raise ValueError("there is nothing in the templates")
    return np.stack(found)


def principal(bank: np.ndarray) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The few pictures of which all of a bank (m, side, side) are sums: (k, side, side), and the weights (m, k).

    The pictures of the bank are brought to norm 1 first.
    """
    flat = bank.reshape(len(bank), -1).astype(np.float64)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    # Of so many pictures, products with each other are fewer than pixels, and quicker to take apart.
    values, vectors = np.linalg.eigh(flat @ flat.T)
    values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
    enough = int(np.searchsorted(np.cumsum(values), KEPT * values.sum())) + 1
    k = min(enough, MOST, len(flat))
    lengths = np.sqrt(np.maximum(values[:k], 1e-12))
    pictures = (vectors[:, :k] / lengths).T @ flat
    return pictures.reshape(k, *bank.shape[1:]).astype(np.float32), (vectors[:, :k] * lengths).astype(np.float32)


def _sphere(side: int, radius: float, hollow: float) -> NDArray[np.float32]:
    grid = (np.arange(4 * side) + 0.5) / 4 - 0.5 - side // 2  # finer by four, so that the rim is soft
    r2 = grid[:, None] ** 2 + grid**2
    thick = np.sqrt(np.maximum(radius**2 - r2, 0)) - np.sqrt(np.maximum((hollow * radius) ** 2 - r2, 0))
    thick = thick.reshape(side, 4, side, 4).mean(axis=(1, 3))
    return ndimage.gaussian_filter(thick, SOFT * radius).astype(np.float32)


def _rim(picture: np.ndarray, y: np.ndarray, x: np.ndarray, size: float) -> float:
    """What a template shows around the particle."""
    around = np.abs(np.hypot(y, x) - 0.5 * size * (1 + RIM)) < 1
    return float(np.median(picture[around]))
