"""What else is in view: the carbon film around the hole, contamination, and ice that is thicker on one side.

None of it fades or forgets itself, and it moves with the specimen.
"""

from __future__ import annotations

import numpy as np

from cryowidgets.sim.specimen import white_phase

_HOLE = 6000.0  # radius in Å
_GRAIN = 1.6  # of that of 300 Å of water with its molecules at random; water itself has 0.4 at low frequencies
_CARBON_PHASE, _CARBON_LOSS = 0.25, 0.1  # mean phase in rad; part of the electrons that it takes away
_BLOB_PHASE, _BLOB_LOSS = 0.5, 0.25  # in the middle of one
_BLOB_RADII = (100.0, 300.0)  # Å
_RINGS, _RING_WIDTH = (3.90, 3.67, 3.44), 0.005  # Å and 1/Å
_MEAN_FREE_PATH = 3950.0  # Å, for the zero-loss image at 300 kV: Rice et al., J. Struct. Biol. 204 (2018) 38


def carbon(
    field: tuple[int, int], shape: tuple[int, int], fraction: float, pixel_size: float, rng: np.random.Generator
) -> np.ndarray:
    """Cover of the film, (height, width) of the field from 0 to 1, float32: all but a part of a round hole.

    Parameters
    ----------
    fraction : float
        What it covers of the frame, which has `shape` and lies in the middle of the field.
    """
    direction = rng.uniform(0, 2 * np.pi)
    radius = _HOLE / pixel_size
    y, x = (np.arange(n, dtype=np.float32) - (n - 1) / 2 for n in field)
    away = np.hypot(y[:, None] + radius * np.sin(direction), x + radius * np.cos(direction))
    corner = [(f - n) // 2 for f, n in zip(field, shape, strict=True)]
    seen = away[corner[0] : corner[0] + shape[0], corner[1] : corner[1] + shape[1]]
    return np.clip(away - np.quantile(seen, 1 - fraction) + 0.5, 0, 1).astype(np.float32)


def carbon_phase(cover: np.ndarray, pixel_size: float, voltage: float, rng: np.random.Generator) -> np.ndarray:
    """Projected phase (rad) of amorphous carbon under `cover`, float32."""
    grain = np.float32(_GRAIN * white_phase(pixel_size, voltage, 300.0))
    return cover * (np.float32(_CARBON_PHASE) + grain * rng.standard_normal(cover.shape, dtype=np.float32))


def blobs(
    field: tuple[int, int], per_area: float, pixel_size: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Drops of contamination, round and dark.

    Returns
    -------
    thickness : array (height, width), float32
        1 in the middle of a drop, 0 beside it.
    places : array (n, 3)
        y, x and radius in px of the field; there are `per_area` in a µm².
    """
    n = rng.poisson(per_area * field[0] * field[1] * pixel_size**2 * 1e-8)
    places = np.column_stack([rng.uniform(0, 1, (n, 2)) * field, rng.uniform(*_BLOB_RADII, n) / pixel_size])
    y, x = np.arange(field[0])[:, None], np.arange(field[1])
    thickness = np.zeros(field, np.float32)
    for cy, cx, radius in places:
        rest = 1 - (np.square(y - cy) + np.square(x - cx)) / radius**2
        np.maximum(thickness, np.sqrt(np.maximum(rest, 0)), out=thickness)
    return thickness, places


def blob_phase(thickness: np.ndarray) -> np.ndarray:
    """Projected phase (rad) of drops."""
    return np.float32(_BLOB_PHASE) * thickness


def crystals(field: tuple[int, int], rms: float, pixel_size: float, rng: np.random.Generator) -> np.ndarray:
    """Projected phase (rad) of small crystals of ice at random, float32: nothing but their first three rings.

    The rings are those of hexagonal ice, at 3.90, 3.67 and 3.44 Å, each as wide as crystals of some 100 Å make it.
    """
    spectrum = np.fft.rfft2(rng.standard_normal(field, dtype=np.float32))
    k = np.hypot(np.fft.fftfreq(field[0], pixel_size)[:, None], np.fft.rfftfreq(field[1], pixel_size))
    spectrum *= sum(np.exp(-np.square((k - 1 / d) / _RING_WIDTH) / 2) for d in _RINGS)
    phase = np.fft.irfft2(spectrum, s=field)
    spread = float(phase.std())
    return (phase * (rms / spread if spread else 0.0)).astype(np.float32)


def loss(cover: np.ndarray | float, thickness: np.ndarray | float) -> np.ndarray | float:
    """Part of the electrons that film and drops take away."""
    return np.float32(_CARBON_LOSS) * cover + np.float32(_BLOB_LOSS) * thickness


def light(slope: np.ndarray) -> np.ndarray:
    """What comes through ice that has `slope` Å more than the middle of the frame, relative to that, float32."""
    return np.exp(-slope / np.float32(_MEAN_FREE_PATH)).astype(np.float32)


def slope(shape: tuple[int, int], gradient: float, rng: np.random.Generator) -> np.ndarray:
    """Thickness (Å) of ice less that in the middle of the frame; one side has `gradient` Å more than the other."""
    direction = rng.uniform(0, 2 * np.pi)
    y, x = (np.linspace(-0.5, 0.5, n, dtype=np.float32) for n in shape)
    return gradient * (np.sin(direction) * y[:, None] + np.cos(direction) * x)


def grain(slope: np.ndarray, thickness: float) -> np.ndarray:
    """Amplitude of the image of water relative to that of `thickness` Å, where it has `slope` Å more, float32."""
    return np.sqrt(np.maximum(1 + slope / np.float32(thickness), 0.05)).astype(np.float32)
