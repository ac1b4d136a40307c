"""Maps that have nothing to do with a particle but look as if they might: what agrees with them does so by chance.

Any two particles of one size, turned until they lie on each other as well as they can, agree to some degree. To know
how much, a map is replaced by others with its size, its power in each shell and its densities, but with phases by lot,
made so by turns as the surrogates of Schreiber & Schmitz (1996) Phys Rev Lett 77, 635, doi:10.1103/PhysRevLett.77.635.
"""

from __future__ import annotations

import numpy as np

from cryowidgets.kernels.fsc import Shells, irfftn, rfftn

_FULL = 0.75  # of its radius, to which a ball is 1
_ROUNDS = 12


def ball(shape: tuple[int, ...], centre: np.ndarray, radius: float) -> np.ndarray:
    """A ball with a soft edge: 1 within three quarters of its radius, 0 from there on.

    Parameters
    ----------
    shape : (int, int, int)
    centre : (3,)
        z, y, x in px from voxel n // 2.
    radius : float
        px.
    """
    axes = (np.arange(n) - n // 2 - c for n, c in zip(shape, centre, strict=True))
    far = np.sqrt(sum(np.square(axis) for axis in np.meshgrid(*axes, indexing="ij", sparse=True))) / max(radius, 1e-6)
    return (0.5 + 0.5 * np.cos(np.pi * np.clip((far - _FULL) / (1 - _FULL), 0, 1))).astype(np.float32)


def unrelated(volume: np.ndarray, within: np.ndarray, seed: int) -> np.ndarray:
    """Another map with the power of each shell and the densities of a map, and nothing else of it.

    Parameters
    ----------
    volume : (n, n, n)
        0 outside of `within`.
    within : (n, n, n)
        0 to 1, as `ball` gives it.
    seed : int
        Another map for another seed.

    Returns
    -------
    (n, n, n) float32
        0 outside of `within`.
    """
    shape = volume.shape
    shells = Shells.of(shape)
    wanted = np.sqrt(shells.power(rfftn(np.asarray(volume, np.float32))))
    inside = within > 0.5
    densities = np.sort(volume[inside] / within[inside])
    made = np.random.default_rng(seed).standard_normal(shape, np.float32) * within
    for i in range(_ROUNDS):
        if i:
            ranked = np.zeros(shape, np.float32)
            ranked[inside] = densities[np.argsort(np.argsort(made[inside]))]
            made = ranked * within
        half = rfftn(made)
        own = np.sqrt(shells.power(half))
        factor = np.divide(wanted, own, out=np.zeros_like(own), where=own > 0)
        made = irfftn(half * factor.astype(np.float32)[shells.numbers], shape)
    return made * within
