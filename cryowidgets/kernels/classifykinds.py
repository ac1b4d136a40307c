"""What a classification is told, and what it tells of each picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from cryowidgets.kernels.classifyrings import Rings


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is known before; the diameter is all that has to be told.

    Parameters
    ----------
    diameter : float
        Of the particle at its longest, Å.
    box : int
        Side of the pictures, even, px.
    pixel_size : float
        Å/px.
    classes : int
        How many averages.
    shift : float
        How far particles may lie from the middle of their pictures, Å; 0 for 15 % of the diameter, and at least 15 Å.
    finest : float
        Finest detail that is compared, Å. Pictures are reduced to pixels that show it.
    seed : int
        The same pictures in the same order and the same seed give the same classes.
    """

    diameter: float
    box: int
    pixel_size: float
    classes: int = 50
    shift: float = 0.0
    finest: float = 12.0
    seed: int = 0

    def rings(self) -> Rings:
        """Where pictures are sampled."""
        shift = self.shift if self.shift > 0 else max(0.15 * self.diameter, 15.0)
        return Rings(self.box, self.pixel_size, self.diameter, shift, max(self.finest, 2.2 * self.pixel_size))


@dataclass(frozen=True)
class Lens:
    """Voltage in kV, cs in mm, amplitude contrast as a fraction."""

    voltage: float
    cs: float
    amplitude_contrast: float


Rows = Sequence[np.ndarray]
"""Defocus U and V in Å, their angle and the phase shift in degrees, (n,) each."""


@dataclass(frozen=True)
class Assigned:
    """Where pictures belong; numpy arrays of (n, …).

    Attributes
    ----------
    klass : (n,) int
        Slot of the average, 0 and up.
    identity : (n,) int
        Of the average that had this slot.
    psi : (n,)
        Degrees as in RELION's rlnAnglePsi, in (-180, 180].
    shift : (n, 2)
        y, x in px of the pictures as in RELION's rlnOrigin: by which the picture is moved to be centred.
    probability : (n,)
        Of this average among all of them.
    score : (n,)
        How surely there is a particle at all, in standard deviations of noise: how far the picture agrees with its
        average, less how far the picture's negative agrees with it anywhere. About 0 where there is nothing.
    """

    klass: np.ndarray
    identity: np.ndarray
    psi: np.ndarray
    shift: np.ndarray
    probability: np.ndarray
    score: np.ndarray

    @classmethod
    def together(cls, parts: Sequence[Assigned]) -> Assigned:
        """Of several lots, one after the other; of none where there are none."""
        if not parts:
            number, figure = np.zeros(0, np.int64), np.zeros(0)
            return cls(number, number, figure, np.zeros((0, 2)), figure, figure)
        return cls(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)))
