"""Power spectrum of a micrograph, averaged over tiles.

The tiles overlap under a window that is flat in the middle (Welch's method). Thus the spectrum is the true one
convolved with a narrow known kernel: `attenuation` tells how much of a ring survives it, `correlation` how far
neighbouring elements share their noise. A Hann window, which others use, would throw away half of the signal of a
micrograph that is hardly larger than a tile, and needs twice as many tiles.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from cryowidgets import cpu
from cryowidgets.kernels import fourier, hostfft
from cryowidgets.kernels.xp import namespace, to_device

BOX = 512
"""Side of a spectrum in px unless another is asked for."""
TAPER = 0.15
"""Share of a tile that its soft edges take, both together; neighbours overlap by as much."""
SPOILT = 3.0
"""A tile with this many times the variance of the median tile shows an edge, gold or dirt, and is left out."""


@dataclass(frozen=True)
class Spectrum:
    """Mean power spectrum, ``rfft2`` layout; white noise of variance 1 has power 1.

    Attributes
    ----------
    power : array, float32, (box, box // 2 + 1)
    pixel_size : float
        Å/px of an image with this transform: element (i, j) lies at ``i / (box · pixel_size)`` 1/Å.
    tiles : int
        How many tiles were averaged.
    precision : array, float64, or None
        By ring, what an element is worth relative to others (the inverse of its variance); None where all are alike.
    """

    power: Any
    pixel_size: float
    tiles: int
    precision: Any = None

    @property
    def box(self) -> int:
        return int(self.power.shape[0])

    @property
    def extent(self) -> float:
        """Side of a tile in Å: elements are ``1 / extent`` apart."""
        return self.box * self.pixel_size


@dataclass(frozen=True)
class Tiles:
    """Power spectra of the tiles of an image, each as that of a `Spectrum`.

    Attributes
    ----------
    powers : list of arrays, float32, (box, box // 2 + 1)
    places : array, (tiles, 2)
        Centre of each tile as y, x in px of the image, from the middle of the image.
    good : array of bool
        Which tiles show the specimen, not an edge or dirt.
    pixel_size : float
        As of `Spectrum`.
    finite : bool
        Whether all pixels were numbers.
    """

    powers: list[Any]
    places: Any
    good: Any
    pixel_size: float
    finite: bool

    @property
    def box(self) -> int:
        return int(self.powers[0].shape[0])

    @property
    def extent(self) -> float:
        """Side of a tile in Å."""
        return self.box * self.pixel_size

    def mean(self, use: Any = None) -> Spectrum:
        """Mean over the good tiles, or over those of them that `use` (tiles, bool) picks."""
        use = self.good if use is None else self.good & use
        chosen = [power for power, take in zip(self.powers, use, strict=True) if take]
        total = chosen[0] * 1.0
        for power in chosen[1:]:
            total += power
        return Spectrum(total / len(chosen), self.pixel_size, len(chosen))


def power_spectrum(image: Any, pixel_size: float, box: int = BOX, finest: float = 1.4) -> Spectrum:
    """Average the power spectra of overlapping tiles of an image; arguments as for `tile_spectra`."""
    return tile_spectra(image, pixel_size, box, finest).mean()


def average(spectra: Iterable[Spectrum]) -> Spectrum:
    """Mean of the spectra of several images of the same field, such as the sums of groups of frames.

    Give an iterator: one spectrum at a time is held. `tiles` remains that of one image, since the images show the same
    specimen.

    Raises
    ------
    ValueError
        There is none, or boxes or pixel sizes differ.
    """
    first: Spectrum | None = None
    total: Any = None
    n = 0
    for spectrum in spectra:
        if first is None:
            first, total = spectrum, spectrum.power
        elif (spectrum.box, spectrum.pixel_size) != (first.box, first.pixel_size):
            raise ValueError(
                f"A spectrum of {spectrum.box} px of {spectrum.pixel_size:g} Å cannot be averaged with one of "
                f"{first.box} px of {first.pixel_size:g} Å: compute them from images of one shape, with one box."
            )
        else:
            total = total + spectrum.power
        n += 1
    if first is None:
        raise ValueError("There are no spectra to average.")
    return Spectrum(total / n, first.pixel_size, first.tiles)


def tile_spectra(image: Any, pixel_size: float, box: int = BOX, finest: float = 1.4) -> Tiles:
    """Power spectra of overlapping tiles of an image.

    Tiles are as large as `box` px of the coarser of `pixel_size` and `finest`; of their transforms the part that
    `box` elements hold is kept, which is the same as Fourier-cropping the image first. A smaller image gives
    one tile of its own size and a spectrum with fewer elements.

    Parameters
    ----------
    image : array, (y, x)
        Any real type; float16 is computed in float32.
    pixel_size : float
        Å/px.
    box : int
        Side of the spectrum in px; one less where it is odd.
    finest : float
        Pixel size in Å/px beyond which nothing is worth fitting.
    """
    xp = namespace(image)
    height, width = image.shape
    box -= box % 2
    tile = _tile_side(box, max(finest / pixel_size, 1.0), min(height, width))
    kept = min(box, tile, 2 * int(0.5 * tile * min(pixel_size / finest, 1.0)))
    edge = _window(tile)
    norm = 1 / float(np.sum(edge * edge)) ** 2
    corners = [(y, x) for y in _starts(height, tile) for x in _starts(width, tile)]
    # One tile at a time stays in the processor's cache, which is twice as fast as a stack of them.
    powers = (_on_host if xp is np else _anywhere)(image, corners, edge, kept, norm)
    totals = np.asarray([float(xp.sum(power)) for power in powers])
    places = np.asarray(corners) + 0.5 * (tile - np.asarray(image.shape))
    good = totals <= SPOILT * np.median(totals)
    finite = bool(np.isfinite(totals).all())
    return Tiles(powers, places, good if finite else np.ones(len(powers), bool), tile * pixel_size / kept, finite)


def attenuation(x: Any, y: Any) -> Any:
    """Share of a sinusoid in the spectrum that survives the window.

    Parameters
    ----------
    x, y : array
        Frequency of the sinusoid: the lag in real space that belongs to it, in sides of a tile.
    """
    survives = _tables()[0]
    along = _looked_up(survives, np.minimum(np.abs(x), 1.0))
    return along * (along if y is x else _looked_up(survives, np.minimum(np.abs(y), 1.0)))


def correlation(x: Any, y: Any) -> Any:
    """Variance of a sum over the spectrum that follows such a sinusoid, relative to independent elements."""
    shared = _tables()[1]
    along = _looked_up(shared, np.abs(x) % 1)
    return along * (along if y is x else _looked_up(shared, np.abs(y) % 1))


def _looked_up(table: Any, x: Any) -> Any:
    """Linear between the entries of a table of even steps from 0 to 1, whose last entry stands twice."""
    place = np.asarray(x) * (len(table) - 2)
    index = place.astype(np.int64)
    low = table[index]
    return low + (table[index + 1] - low) * (place - index)


@cache
def _tables(n: int = 512) -> tuple[Any, Any]:
    """By lag in sides of a tile: autocorrelation of the window, and that of its square taken round."""
    w = _window(n)
    survives = np.correlate(w, w, "full")[n - 1 :] / np.sum(w * w)
    square = np.append(np.correlate(w * w, w * w, "full")[n - 1 :], 0)
    shared = n * (square + square[::-1]) / np.sum(w * w) ** 2
    return np.append(survives, [0, 0]), np.append(shared, shared[-1])


def _window(n: int) -> Any:
    """Flat, with cosine edges on `TAPER` of its length."""
    place = (np.arange(n) + 0.5) / n
    return 0.5 - 0.5 * np.cos(math.pi * np.minimum(np.minimum(place, 1 - place) / (0.5 * TAPER), 1))


def _anywhere(image: Any, corners: list[tuple[int, int]], edge: Any, kept: int, norm: float) -> list[Any]:
    """Power of the tiles at `corners`, by the functions of any array library."""
    xp = namespace(image)
    window = to_device((edge[:, None] * edge).astype(np.float32), image)
    tile, powers = len(edge), []
    for y, x in corners:
        part = xp.astype(image[y : y + tile, x : x + tile], xp.float32, copy=False)
        powers.append(_kept_power(fourier.rfft2((part - xp.mean(part)) * window), kept, norm, xp))
    return powers


def _on_host(image: Any, corners: list[tuple[int, int]], edge: Any, kept: int, norm: float) -> list[Any]:
    """The same by compiled loops."""
    from cryowidgets.kernels import spectrumloops

    edge, tile = edge.astype(np.float32), len(edge)

    def some(piece: tuple[int, int]) -> list[Any]:
        part, powers = np.empty((tile, tile), np.float32), []
        for y, x in corners[slice(*piece)]:
            if image.dtype == np.float32 and image.dtype.isnative:
                spectrumloops.windowed(image, y, x, edge, part)
            else:
                cut = np.ascontiguousarray(image[y : y + tile, x : x + tile], np.float32)
                spectrumloops.windowed(cut, 0, 0, edge, part)
            half = hostfft.low(part, (kept // 2, kept // 2), kept // 2 + 1)
            powers.append(np.empty((kept, kept // 2 + 1), np.float32))
            spectrumloops.kept_power(half, np.float32(norm), powers[-1])
        return powers

    return [power for powers in cpu.each(some, cpu.bands(len(corners))) for power in powers]


def _kept_power(transform: Any, kept: int, norm: float, xp: Any) -> Any:
    """Power of the frequencies that `kept` × `kept` px would have, times `norm`."""
    transform = transform[:, : kept // 2 + 1]
    transform = xp.concat([transform[: kept // 2, :], transform[transform.shape[0] - kept // 2 :, :]])
    real, imag = xp.real(transform), xp.imag(transform)
    return (real * real + imag * imag) * norm


def _tile_side(box: int, factor: float, smallest_side: int) -> int:
    wanted = fourier.fast_length(2 * round(0.5 * box * factor))
    return min(wanted, smallest_side - smallest_side % 2)


def _starts(length: int, tile: int) -> list[int]:
    """Where tiles begin that overlap by their edges at least and reach from end to end of the image."""
    steps = math.ceil((length - tile) / ((1 - TAPER) * tile))
    return [0] if steps == 0 else [round(i * (length - tile) / steps) for i in range(steps + 1)]
