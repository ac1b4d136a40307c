"""Which way round a gain reference lies on the frames: told by the frames themselves.

The sum of raw frames shows how sensitive each pixel is, and so does 1/G of the gain G. Both are freed of all that is
smooth and of what is common to rows and columns, and compared in each of the eight orientations; a gain that divides
shows the opposite sign. What chance does is seen in the same comparison with the gain moved aside, so that a pattern
that repeats itself is not taken for evidence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from cryowidgets.kernels.fourier import irfft2, rfft2
from cryowidgets.kernels.xp import asnumpy, namespace

ORIENTATIONS = (
    (0, "none"),
    (90, "none"),
    (180, "none"),
    (270, "none"),
    (0, "up-down"),
    (0, "left-right"),
    (90, "up-down"),
    (90, "left-right"),
)
"""Rotation clockwise as seen with row 0 on top, degrees, then a flip: all that there are, each in one spelling."""

SIGMAS = 6.0
"""How far the best orientation must be ahead of the second, in standard deviations of chance."""

_SIDE, _TILES, _BLOCK = 256, 4, 16  # px of a tile, tiles along each axis, px of a block whose mean is taken away
_REACH = 2  # px by which a gain may be out of place and still be recognised as such
_CLIP = 5.0  # standard deviations; what is further out is a defect


@dataclass(frozen=True)
class Orientation:
    """How a gain fits.

    Attributes
    ----------
    decided : bool
        Whether the frames tell. All else is the best guess.
    rotation, flip : int, str
        See `ORIENTATIONS`.
    divides : bool
        The reference must divide the frames rather than multiply them.
    correlation : float
        Of the two patterns, 0 to 1.
    sigmas, lead : float
        The same in standard deviations of chance, and how far ahead of the second best.
    possible : tuple of (int, str, bool)
        Rotation, flip and divides of all that fit as well as the best; empty where nothing fits.
    why : str
        Why it is not decided; empty where it is.
    more : bool
        More frames may decide it.
    """

    decided: bool
    rotation: int
    flip: str
    divides: bool
    correlation: float
    sigmas: float
    lead: float
    possible: tuple[tuple[int, str, bool], ...] = ()
    why: str = ""
    more: bool = False


def find(total: Any, gain: Any) -> Orientation:
    """Find the orientation of a gain from a sum of raw frames.

    Parameters
    ----------
    total : array (y, x)
        Sum of raw frames, not aligned; 20 counts per pixel are plenty, and 1 serves most cameras.
    gain : array (y, x)
        What multiplies the frames, once it is turned; of the size of the frames, or that with sides exchanged. Zero,
        negative and not finite values are left out.

    Notes
    -----
    Sixteen tiles of 256² px are looked at. With 1.5 % spread of the pixels and 20 counts each the right orientation
    stands out by more than 60 standard deviations.

    Raises
    ------
    ValueError
        The gain has another size than the frames, or both are smaller than 64 px.
    """
    namespace(total, gain)
    if {*total.shape} != {*gain.shape}:
        raise ValueError(f"a gain of {gain.shape} px cannot lie on frames of {total.shape} px, however it is turned")
    seen, _, known = pattern(total, counts=True)
    if known < 0.5:
        return _undecided("most pixels of the frames are not finite or have no counts near them", more=True)
    own, size, known = pattern(gain, counts=False)
    if known < 0.5:
        return _undecided("most of the gain is zero or not finite")
    xp = namespace(seen)
    if size == 0:
        return _undecided("the gain is flat: it looks the same in every orientation")
    spectra, shape = rfft2(seen), (seen.shape[2], seen.shape[3])
    # Tiles lie symmetrically, so those of a turned gain are its tiles, turned and in another order.
    halves: dict[int, list[np.ndarray]] = {}
    for number, (rotation, flip) in enumerate(ORIENTATIONS):
        if (gain.shape if rotation in (0, 180) else gain.shape[::-1]) == total.shape:
            products = spectra * xp.conj(rfft2(_turn_tiles(own, rotation, flip)))
            products = xp.reshape(products, (-1, shape[0], shape[1] // 2 + 1))
            halves[number] = [_correlate(products[part::2, ...], shape) for part in (0, 1)]
    return _judge(halves)


def turn(image: Any, rotation: int, flip: str) -> Any:
    """Rotate by so many degrees clockwise, as seen with row 0 on top, then flip "up-down" or "left-right"."""
    xp = namespace(image)
    if rotation == 90:
        image = xp.permute_dims(xp.flip(image, axis=0), (1, 0))
    elif rotation == 180:
        image = xp.flip(image, axis=(0, 1))
    elif rotation == 270:
        image = xp.flip(xp.permute_dims(image, (1, 0)), axis=0)
    return image if flip == "none" else xp.flip(image, axis=0 if flip == "up-down" else 1)


def canonical(rotation: int, flip: str) -> tuple[int, str]:
    """The one of `ORIENTATIONS` that is the same."""
    if flip == "none" or rotation < 180:
        return rotation, flip
    return rotation - 180, "left-right" if flip == "up-down" else "up-down"


def _judge(halves: dict[int, list[np.ndarray]]) -> Orientation:
    """From correlations by displacement, of two halves of the tiles, in each orientation that there can be."""
    both = {number: first + second for number, (first, second) in halves.items()}
    sigma = _chance(list(both.values()))
    score = {number: float(maps[0, 0]) for number, maps in both.items()}
    ranked = sorted(score, key=lambda number: -abs(score[number]))
    best = ranked[0]
    rotation, flip = ORIENTATIONS[best]
    ahead = (abs(score[best]) - abs(score[ranked[1]])) / sigma if len(ranked) > 1 else math.inf
    strength = abs(score[best]) / sigma
    guess = (rotation, flip, score[best] < 0, abs(score[best]), strength, ahead)
    beside = _beside(both, sigma, abs(score[best]))
    if beside:
        why = f"the gain fits best when it is moved by {beside[0]} px in y and {beside[1]} px in x"
        return Orientation(False, *guess, why=why)
    if strength < SIGMAS + 2:
        return Orientation(False, *guess, why="there is no trace of the gain in the frames", more=True)
    possible = tuple(
        (*ORIENTATIONS[number], score[number] < 0)
        for number in ranked
        if abs(score[best]) - abs(score[number]) <= SIGMAS * sigma
    )
    if ahead <= SIGMAS:
        return Orientation(False, *guess, possible, f"{len(possible)} orientations fit equally well", more=True)
    for half in (0, 1):
        part = {number: float(maps[half][0, 0]) * math.copysign(1, score[best]) for number, maps in halves.items()}
        rest = max((abs(value) for number, value in part.items() if number != best), default=0.0)
        if part[best] - rest < SIGMAS / 2 * _chance([maps[half] for maps in halves.values()]):
            return Orientation(False, *guess, possible, "two halves of the frame do not agree", more=True)
    return Orientation(True, *guess, possible)


def _chance(maps: list[np.ndarray]) -> float:
    """Standard deviation of correlations where the gain is moved aside."""
    values = []
    for correlation in maps:
        aside = correlation.copy()
        aside[_near(aside.shape)] = np.nan
        values.append(float(np.nanstd(aside)))
    return max(*values, 1e-9)


def _beside(maps: dict[int, np.ndarray], sigma: float, best: float) -> tuple[int, int] | None:
    """Where a displaced gain fits far better than any that is in place, y and x in px; None where none does."""
    for correlation in maps.values():
        near = np.where(_near(correlation.shape), np.abs(correlation), 0)
        place = np.unravel_index(int(np.argmax(near)), near.shape)
        if near[place] > best + SIGMAS * sigma:
            y, x = (int(i) if i <= n // 2 else int(i) - n for i, n in zip(place, near.shape, strict=True))
            return y, x
    return None


def _near(shape: tuple[int, int]) -> np.ndarray:
    y, x = (np.minimum(np.arange(n), n - np.arange(n)) <= _REACH for n in shape)
    return y[:, None] & x[None, :]


def _correlate(products: Any, shape: tuple[int, int]) -> np.ndarray:
    """Correlation by displacement from the products of spectra (tiles, …), added up: float64 on the host."""
    xp = namespace(products)
    return asnumpy(irfft2(xp.sum(products, axis=0), shape)).astype(np.float64)


def _tiles(image: Any) -> Any:
    """Tiles all over an image, each the mirror image of another: (rows, columns, side, side) float32."""
    side = min(_SIDE, min(image.shape) // 2 // _BLOCK * _BLOCK)
    if side < 2 * _BLOCK:
        raise ValueError(f"frames of {image.shape} px are too small to tell the orientation of a gain")
    rows, columns = (_places(n, side) for n in image.shape)
    xp = namespace(image)
    cut = [xp.stack([image[y : y + side, x : x + side] for x in columns]) for y in rows]
    return xp.astype(xp.stack(cut), xp.float32)


def _places(length: int, side: int) -> list[int]:
    """Where tiles begin along one axis."""
    count = min(_TILES, length // side)
    first = [(length - side) * i // max(count - 1, 1) for i in range((count + 1) // 2)]
    return [*first, *(length - side - place for place in reversed(first[: count // 2]))]


def _turn_tiles(tiles: Any, rotation: int, flip: str) -> Any:
    """As `turn` does with the image that they were cut from."""
    xp = namespace(tiles)
    if rotation == 90:
        tiles = xp.permute_dims(xp.flip(tiles, axis=(0, 2)), (1, 0, 3, 2))
    elif rotation == 180:
        tiles = xp.flip(tiles)
    elif rotation == 270:
        tiles = xp.flip(xp.permute_dims(tiles, (1, 0, 3, 2)), axis=(0, 2))
    return tiles if flip == "none" else xp.flip(tiles, axis=(0, 2) if flip == "up-down" else (1, 3))


def pattern(image: Any, counts: bool) -> tuple[Any, float, float]:
    """What differs from pixel to pixel of counts, or of 1/gain, on tiles all over an image.

    Parameters
    ----------
    image : array (y, x)
        Sum of raw frames, or a gain.
    counts : bool
        Which of them.

    Returns
    -------
    array (rows, columns, side, side)
        With a sum of squares of 1, or 0 where there is no pattern.
    float
        Root mean square of the pattern, relative to the local mean.
    float
        Share of the pixels that could be used.
    """
    tiles = _tiles(image)
    xp = namespace(tiles)
    good = xp.isfinite(tiles) if counts else xp.isfinite(tiles) & (tiles > 0)
    one = xp.ones_like(tiles)
    tiles = xp.where(good, tiles, one)
    values = tiles if counts else 1 / tiles
    weight = xp.astype(good, xp.float32)
    level = _block_means(values * weight) / xp.clip(_block_means(weight), 1e-6, None)
    good = good & (level > 0)
    relative = xp.where(good, values / xp.where(level > 0, level, one) - 1, xp.zeros_like(tiles))
    for axis in (2, 3):
        relative = relative - xp.mean(relative, axis=axis, keepdims=True)
    sample = asnumpy(relative)[..., ::3, ::3][asnumpy(good)[..., ::3, ::3]].astype(np.float64)
    if not sample.size:
        return relative, 0.0, 0.0
    spread = 1.4826 * float(np.median(np.abs(sample - np.median(sample))))
    if counts:  # few counts take few values, and their median deviation may be none
        spread = max(spread, 1 / math.sqrt(max(float(xp.mean(level)), 1e-6)))
    relative = xp.clip(relative, -_CLIP * spread, _CLIP * spread)
    relative = xp.where(good, relative, xp.zeros_like(relative))
    power = float(xp.sum(relative * relative))
    share = float(xp.mean(xp.astype(good, xp.float32)))
    if spread < 1e-5 or power == 0:
        return xp.zeros_like(relative), 0.0, share
    return relative / math.sqrt(power), math.sqrt(power / math.prod(relative.shape)), share


def _block_means(tiles: Any) -> Any:
    """Mean of the block that each pixel lies in."""
    xp = namespace(tiles)
    rows, columns, side, _ = tiles.shape
    blocks = xp.reshape(tiles, (rows, columns, side // _BLOCK, _BLOCK, side // _BLOCK, _BLOCK))
    means = xp.mean(blocks, axis=(3, 5), keepdims=True)
    return xp.reshape(xp.broadcast_to(means, blocks.shape), tiles.shape)


def _undecided(why: str, more: bool = False) -> Orientation:
    return Orientation(False, 0, "none", False, 0.0, 0.0, 0.0, why=why, more=more)
