"""A protein-like molecule made by us: helices packed in domains, domains in a symmetric assembly.

Its spectrum is that of protein where it matters to a simulation: the shape below 1/20 Å, the distance of packed
helices near 1/10 Å, the turn of a helix near 1/5 Å, then about flat. Its size follows from its mass.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

DALTON_PER_ATOM = 13.6
DALTON_PER_CUBIC_ANGSTROM = 0.81

_DOMAINS = 12
_HELIX_SPACING = 10.2  # Å; with a rise of 1.5 Å per residue this gives the 136 Å³ that a residue takes
_RISE, _TURN = 1.5, np.deg2rad(100.0)
# Radius (Å), azimuth (°) and height (Å) of the heavy atoms of a residue about the axis of an α-helix: N, CA, C, O, CB
# and three atoms of a side chain, which point outwards.
_RESIDUE = np.array(
    [
        [1.55, -28.0, -0.9],
        [2.29, 0.0, 0.0],
        [1.66, 26.0, 1.1],
        [2.00, 22.0, 2.3],
        [3.30, -16.0, -0.3],
        [4.20, -20.0, -0.9],
        [5.00, -12.0, -1.4],
        [5.80, -24.0, -1.8],
    ]
)


@lru_cache(maxsize=4)
def build(mass: float, seed: int = 0) -> np.ndarray:
    """Heavy atoms of a molecule of `mass` kDa with the symmetry of a tetramer (D2).

    Returns
    -------
    array (atoms, 3), float32
        Positions in Å about the centre. Cached, hence read-only.
    """
    rng = np.random.default_rng([seed, 0x6D6F6C])
    radius = (1e3 * mass / _DOMAINS / DALTON_PER_CUBIC_ANGSTROM * 3 / (4 * np.pi)) ** (1 / 3)
    subunit = np.concatenate([_domain(radius, rng) + centre for centre in _centres(radius, rng)])
    twofold = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    atoms = np.concatenate([subunit * signs for signs in twofold]).astype(np.float32)
    atoms -= atoms.mean(axis=0)
    atoms.flags.writeable = False
    return atoms


def rotations(n: int, rng: np.random.Generator) -> np.ndarray:
    """`n` rotation matrices, uniform over all orientations (Shoemake's quaternions): (n, 3, 3)."""
    q = rng.standard_normal((n, 4))
    a, b, c, d = (q / np.linalg.norm(q, axis=1, keepdims=True)).T
    rows = [
        [1 - 2 * (c * c + d * d), 2 * (b * c - a * d), 2 * (b * d + a * c)],
        [2 * (b * c + a * d), 1 - 2 * (b * b + d * d), 2 * (c * d - a * b)],
        [2 * (b * d - a * c), 2 * (c * d + a * b), 1 - 2 * (b * b + c * c)],
    ]
    return np.moveaxis(np.array(rows), -1, 0)


def _centres(radius: float, rng: np.random.Generator) -> np.ndarray:
    """Centres of the three domains of one subunit, packed as closely as they go without running into each other."""
    best, least = None, np.inf
    for _ in range(2000):
        centres = rng.uniform(0.2, 3.2, (3, 3)) * radius
        every = np.concatenate([centres * s for s in ([1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1])])
        apart = np.linalg.norm(every[:, None] - every, axis=-1) + np.eye(len(every)) * 1e3
        extent = np.square(centres).sum()
        if apart.min() > 1.8 * radius and extent < least:
            best, least = centres, extent
    if best is None:
        raise RuntimeError("no packing of the domains was found; choose another seed of the molecule")
    return best


def _domain(radius: float, rng: np.random.Generator) -> np.ndarray:
    """Atoms of a ball of parallel helices, in an orientation of its own."""
    n = int(np.ceil(radius / _HELIX_SPACING)) + 1
    i, j = (grid.ravel() for grid in np.mgrid[-n : n + 1, -n : n + 1])
    axes = _HELIX_SPACING * np.stack([i + 0.5 * j, np.sqrt(0.75) * j], axis=1) + rng.uniform(-4, 4, 2)
    parts = []
    for axis in axes[np.hypot(*axes.T) < radius]:
        half = np.sqrt(radius**2 - axis @ axis)
        residues = np.arange(-half, half, _RISE)
        r, azimuth, height = (value[:, None] for value in _RESIDUE.T)
        phi = np.deg2rad(azimuth) + _TURN * np.arange(len(residues)) + rng.uniform(0, 2 * np.pi)
        z = residues + height
        # Side chains differ: let the outer atoms scatter.
        scatter = np.where(r > 3.5, 1.0, 0.0) * rng.standard_normal((2, len(_RESIDUE), len(residues)))
        phi, z = phi + 0.25 * scatter[0], (z + 1.0 * scatter[1]) * rng.choice([-1, 1])
        parts.append(np.stack([axis[0] + r * np.cos(phi), axis[1] + r * np.sin(phi), z], axis=-1).reshape(-1, 3))
    return np.concatenate(parts) @ rotations(1, rng)[0].T
