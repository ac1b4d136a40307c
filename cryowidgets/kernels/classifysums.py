"""What is added up of pictures that belong to averages: the maximisation step of 2-D classification."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from cryowidgets.kernels.classifyrings import Rings
from cryowidgets.kernels.classifysearch import Found, Model
from cryowidgets.kernels.xp import asnumpy, namespace, to_device

LEAST = 0.02
"""Probability below which a picture does not count for an average."""


@dataclass(frozen=True)
class Sums:
    """Of some pictures, even and odd ones apart; k averages, on the host.

    Attributes
    ----------
    waves : (2, k, rings, harmonics) complex64
        Pictures times their transfer functions, turned and moved as their average is.
    lens : (2, k, rings)
        Squared transfer functions.
    count : (2, k)
        Pictures.
    rest : (rings,)
        Power that the likeliest averages leave in the pictures, per element.
    seen : float
        Pictures behind `rest`.
    judged : (5, k)
        Of the pictures to which each average is the likeliest: how many, product over the root of the norm, the same of
        the opposite, and the power that is left, in that of noise, and its square.
    """

    waves: np.ndarray
    lens: np.ndarray
    count: np.ndarray
    rest: np.ndarray
    seen: float
    judged: np.ndarray

    @classmethod
    def none(cls, rings: Rings, classes: int) -> Sums:
        """Of no pictures."""
        shape = (2, classes, len(rings.numbers))
        waves = np.zeros((*shape, rings.harmonics), np.complex64)
        return cls(waves, np.zeros(shape), np.zeros(shape[:2]), np.zeros(shape[2]), 0.0, np.zeros((5, classes)))

    def __add__(self, other: Sums) -> Sums:
        return Sums(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def faded(self, factor: float) -> Sums:
        """As if there were `factor` times as many of each picture."""
        return Sums(self.waves * np.float32(factor), *(getattr(self, f.name) * factor for f in fields(self)[1:]))

    def placed(self, slot: int, part: Sums, place: int, factor: float) -> Sums:
        """With what `part` has at `place`, times `factor`, at `slot`."""
        values = {}
        for name in ("waves", "lens", "count", "judged"):
            values[name] = getattr(self, name).copy()
            values[name][:, slot] = getattr(part, name)[:, place] * factor
        values["waves"] = values["waves"].astype(np.complex64)
        return replace(self, **values)


def probabilities(likelihood: np.ndarray) -> np.ndarray:
    """Of the averages of each picture, (n, m), from their logarithms; those that hardly count are 0."""
    part = np.exp(likelihood - likelihood.max(axis=1, keepdims=True))
    part /= part.sum(axis=1, keepdims=True)
    part[part < LEAST] = 0
    return np.asarray(part / part.sum(axis=1, keepdims=True))


def add_up(
    rings: Rings, halves: Any, transfer: Any, model: Model, found: Found, weights: np.ndarray, odd: np.ndarray
) -> Sums:
    """Sums of pictures.

    Parameters
    ----------
    halves, transfer : (n, rings, angles // 2)
    model : Model
        What they were compared with, beside them.
    found : Found
        On the host, as are the following.
    weights : (n, m) numpy
        How much each counts for each of its averages.
    odd : (n,) numpy, 0 or 1
        Which half it belongs to.
    """
    xp, averages = namespace(halves), model.averages
    classes = averages.shape[0]
    item, rank = np.nonzero(weights)
    slot, psi, shift = (x[item, rank] for x in (found.slot, found.psi, found.shift))
    index = to_device(item, halves)
    aligned = xp.take(halves * transfer, index, axis=0) * rings.ramp(to_device(shift.astype(np.float32), halves))
    turn = to_device((psi[:, None] * np.arange(rings.harmonics)).astype(np.float32), halves)
    waves = rings.to_harmonics(aligned) * (xp.cos(turn) + 1j * xp.sin(turn))[:, None, :]
    belongs = np.zeros((2 * classes, len(item)), np.float32)
    belongs[odd[item] * classes + slot, np.arange(len(item))] = weights[item, rank]
    shape = (len(rings.numbers), rings.harmonics)
    where = to_device(belongs, halves)
    total = xp.reshape(xp.astype(where, waves.dtype) @ xp.reshape(waves, (len(item), -1)), (2, classes, *shape))
    squared = xp.mean(transfer * transfer, axis=-1)
    lens = xp.reshape(where @ xp.take(squared, index, axis=0), (2, classes, shape[0]))

    first = to_device(np.flatnonzero(rank == 0), halves)
    chosen = xp.take(averages, to_device(found.slot[:, 0], halves), axis=0)
    twice = to_device(rings.twice, halves)
    shared = xp.sum(xp.real(xp.take(waves, first, axis=0) * xp.conj(chosen)) * twice, axis=-1)
    power = xp.sum(xp.abs(chosen) ** 2 * twice, axis=-1)
    rest = xp.mean(xp.abs(halves) ** 2, axis=-1) - 2 * shared + squared * power
    best, product, norm, opposite = (x[:, 0] for x in (found.slot, found.product, found.norm, found.opposite))
    root = np.sqrt(np.maximum(norm, 1e-6))
    left = asnumpy(rest).astype(np.float64) @ (rings.weights / model.noise)
    judged = np.stack([np.ones(len(best)), product / root, opposite / root, left, left**2])
    return Sums(
        waves=asnumpy(total).astype(np.complex64),
        lens=asnumpy(lens).astype(np.float64),
        count=belongs.sum(axis=1, dtype=np.float64).reshape(2, classes),
        rest=asnumpy(xp.sum(rest, axis=0)).astype(np.float64),
        seen=float(len(best)),
        judged=np.stack([np.bincount(best, row, classes) for row in judged]),
    )
