"""The step that measures how fine a map is from place to place."""

from __future__ import annotations

import dataclasses

import numpy as np
from traitlets import Enum, Float, Unicode

from cryowidgets.errors import InputError
from cryowidgets.io import mrc
from cryowidgets.kernels import localresolution, mask3d, monogenic
from cryowidgets.kernels.localbands import LocalResolution as Measured
from cryowidgets.model import NAN, ResolutionMap, Volume
from cryowidgets.protocols import cites
from cryowidgets.protocols.base import Protocol
from cryowidgets.protocols.out import Out
from cryowidgets.protocols.resolution_picture import write_slices

_BINS = 60


class LocalResolution(Protocol):
    """Measure the resolution of a map at every place.

    By two maps of halves of the data where they exist: how well the two agree around a place, band of frequencies by
    band. Otherwise by the map alone: up to where its waves stand out of the noise that the solvent shows. Either way a
    place counts as resolved to where halves of the data would correlate to the threshold.
    """

    takes = Volume
    gives = ResolutionMap
    cites = (cites.LOCAL_FSC, cites.MONORES)

    method = Enum(
        ["auto", "halves", "single"],
        "auto",
        help="By two maps of halves, or by the map alone and its noise; auto: by halves where there are any",
    )
    threshold = Float(0.143, min=0.02, max=0.9, help="Correlation of halves down to which detail counts")
    mask = Unicode("", help="Map of where to measure, 0 to 1, MRC; empty: found by itself")
    mask_resolution = Float(15.0, min=2, max=100, help="Smoothing of the map in which the mask is found").tag(
        unit="Å", advanced=True
    )
    widen = Float(6.0, min=0, max=100, help="How far the mask reaches beyond what is found").tag(
        unit="Å", advanced=True
    )
    window = Float(1.4, min=0.75, max=5, help="Size of the window in wavelengths, as the deviation of a Gaussian").tag(
        advanced=True
    )

    def process(self, volume: Volume, out: Out) -> ResolutionMap:
        halves = [_read(path) for path in (volume.half1, volume.half2) if path]
        if self.method == "halves" and len(halves) < 2:
            raise InputError(
                f"{volume.path or volume.name or 'The map'} comes without maps of two halves of the data. Set "
                "LocalResolution.method to 'auto' or 'single'."
            )
        by_halves = len(halves) == 2 and self.method != "single"
        if volume.path:
            density = _read(volume.path)
        elif len(halves) == 2:
            _same(halves[1], halves[0], volume.half2)
            density = (halves[0] + halves[1]) / 2
        else:
            return ResolutionMap(reason=f"there is no map: {volume.reason or 'nothing was reconstructed'}")
        size = volume.pixel_size
        if not size > 0:
            raise InputError(f"{volume.path or volume.half1} comes without a pixel size: write it into the file.")
        for half, path in zip(halves, filter(None, (volume.half1, volume.half2)), strict=True):
            _same(half, density, path)
        if not volume.path:
            mrc.write(out.file("_map.mrc"), density, size)
        mask, level = self._mask(density, size)
        base = ResolutionMap(
            map=volume.path or out.name("_map.mrc"),
            box=max(density.shape),
            pixel_size=size,
            level=volume.level if np.isfinite(volume.level) else level,
        )
        if isinstance(mask, str):
            return dataclasses.replace(base, reason=f"no mask was found: {mask}")
        mrc.write(out.file("_mask.mrc"), mask, size)
        base = dataclasses.replace(base, mask=out.name("_mask.mrc"))
        if by_halves:
            found = localresolution.by_halves(*halves, mask, size, threshold=self.threshold, window=self.window)
        else:
            signal = 2 * self.threshold / (1 - self.threshold)  # in all the data, twice that of a half
            found = monogenic.by_noise(density, mask, size, signal=signal, window=self.window)
        return self._written(base, found, density, out)

    def _mask(self, density: np.ndarray, size: float) -> tuple[np.ndarray | str, float]:
        """The mask, or why there is none; and the density at its edge."""
        if self.mask:
            mask = _read(self.mask)
            _same(mask, density, self.mask)
            edge = density[(mask > 0.4) & (mask < 0.6)]
            return np.clip(mask, 0, 1), float(np.median(edge)) if len(edge) else NAN
        found = mask3d.automask(density, size, resolution=self.mask_resolution, widen=self.widen)
        return found.reason or found.values, found.level

    def _written(self, base: ResolutionMap, found: Measured, density: np.ndarray, out: Out) -> ResolutionMap:
        inside = found.values[found.values > 0]
        if not len(inside) or found.resolved < 0.05:
            return dataclasses.replace(base, reason=found.reason)
        finest, median, coarsest = (float(x) for x in np.percentile(inside, (10, 50, 90)))
        mrc.write(out.file("_resolution.mrc"), found.values, base.pixel_size)
        np.save(out.file("_resolution.npy"), histogram(inside))
        low, high = np.percentile(inside, (1, 99))
        middle, half = (low + high) / 2, max((high - low) / 2, 0.05 * median)
        write_slices(out.file("_resolution.jpg"), density, found.values, (middle - half, middle + half))
        return dataclasses.replace(
            base,
            path=out.name("_resolution.mrc"),
            thumbnail=out.name("_resolution.jpg"),
            histogram=out.name("_resolution.npy"),
            median=median,
            finest=finest,
            coarsest=coarsest,
            reason=found.reason,
        )


def histogram(values: np.ndarray) -> np.ndarray:
    """Resolution in Å and share of the values, (2, n) float32; the shares add up to 1."""
    low, high = float(values.min()), float(values.max())
    if high - low < 1e-3 * high:
        low, high = 0.95 * low, 1.05 * high
    counts, edges = np.histogram(values, _BINS, (low, high))
    return np.stack([(edges[:-1] + edges[1:]) / 2, counts / counts.sum()]).astype(np.float32)


def _read(path: str) -> np.ndarray:
    volume = np.asarray(mrc.read(path), np.float32)
    if volume.ndim != 3:
        raise InputError(f"{path} holds {' × '.join(map(str, volume.shape))} px: a map has three dimensions.")
    return volume


def _same(other: np.ndarray, density: np.ndarray, path: str) -> None:
    if other.shape != density.shape:
        one, two = (" × ".join(map(str, volume.shape)) for volume in (other, density))
        raise InputError(f"{path} has {one} voxels where the map has {two}: give maps of one box.")
