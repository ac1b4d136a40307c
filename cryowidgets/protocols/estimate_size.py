"""The step that tells how large the particles are, so that a picker need not be told."""

from __future__ import annotations

import math
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from traitlets import Enum, Float, Int

from cryowidgets.errors import InputError, ParameterError
from cryowidgets.io import jpeg, mrc
from cryowidgets.kernels import particlesize
from cryowidgets.model import Micrograph, ParticleSize
from cryowidgets.protocols import cites, picking
from cryowidgets.protocols.base import Many, Protocol
from cryowidgets.protocols.out import Out, keep_alone

RANGE = (0.8, 1.2)
"""Parts of the diameter between which a picker should look."""

_PICTURE = 256  # px
_COLOUR = (90, 200, 90)


class EstimateSize(Protocol):
    """Estimate the diameter of the particles from the first micrographs: nothing need be known beforehand.

    It is that of a ball as compact as the particle, so a long particle counts by its mean. Each micrograph tells its
    own; film, dirt and empty ones tell nothing, and where micrographs contradict each other the answer is that it
    cannot be told. The picker may be held until a person has looked and approved.
    """

    takes = Many(Micrograph, every="every")
    gives = ParticleSize
    cites = (cites.SCALE_SPACE, cites.LOG_PICKER)

    smallest = Float(60.0, min=20, max=3000, help="Least diameter that may be").tag(unit="Å")
    largest = Float(600.0, min=20, max=3000, help="Largest diameter that may be").tag(unit="Å")
    every = Int(5, min=1, max=1000, help="A new estimate after so many micrographs").tag(group="Micrographs")
    most = Int(40, min=3, max=1000, help="Micrographs to look at in all; the size stays as it is after them").tag(
        group="Micrographs"
    )
    contrast = Enum(["dark", "bright"], "dark", help="How particles stand out; bright in stain").tag(advanced=True)

    def check(self) -> None:
        if self.smallest > self.largest:
            raise ParameterError(
                f"EstimateSize.smallest {self.smallest:g} Å is above largest {self.largest:g} Å: exchange them."
            )

    def process(self, items: list[Micrograph], last: ParticleSize | None, out: Out) -> ParticleSize:
        asked = np.array([self.smallest, self.largest, self.contrast == "bright"])
        seen = _read(last, asked)
        if last is not None and len(seen.sizes) >= self.most:
            return last  # as it was, with its files
        for micrograph in items[: max(self.most - len(seen.sizes), 0)]:
            self._look(micrograph, seen)
        diameter, error, reason = particlesize.together(np.array(seen.sizes))
        if reason and seen.reasons and not any(map(math.isfinite, seen.sizes)):
            reason = f"{reason}; {max(set(seen.reasons), key=seen.reasons.count)}"
        with open(out.file("_size.npz"), "wb") as file:
            np.savez(
                file,
                asked=asked,
                sizes=np.array(seen.sizes, float),
                reasons=np.array(seen.reasons, str),
                curve=seen.curve,
                picture=seen.picture,
                count=seen.count,
            )
        if last and last.state:
            keep_alone(last.state, "*_size.npz")
        curve = seen.curve.max() > 0
        if curve:
            at = particlesize.diameters(self.smallest, self.largest)
            np.save(out.file("_size.npy"), np.stack([at, seen.curve / seen.curve.max()]).astype(np.float32))
        if seen.count:
            _draw(out.file("_size.jpg"), seen.picture / seen.count)
        return ParticleSize(
            diameter=diameter,
            diameter_error=error,
            smallest=RANGE[0] * diameter,
            largest=RANGE[1] * diameter,
            micrographs=len(seen.sizes),
            curve=out.name("_size.npy") if curve else "",
            picture=out.name("_size.jpg") if seen.count else "",
            state=out.name("_size.npz"),
            reason=reason,
        )

    def _look(self, micrograph: Micrograph, seen: _Seen) -> None:
        try:
            image, pixel = mrc.read(picking.searched(micrograph)), picking.pixel_size(micrograph)
        except InputError as error:
            seen.sizes.append(math.nan)
            seen.reasons.append(str(error).rstrip("."))
            return
        size = particlesize.measure(image, pixel, self.smallest, self.largest, self.contrast == "bright")
        seen.sizes.append(size.diameter)
        if size.reason:
            seen.reasons.append(size.reason)
            return
        seen.curve = seen.curve + size.curve * size.count
        seen.picture = seen.picture + size.picture * size.count
        seen.count += size.count


@dataclass
class _Seen:
    """What a fold has come to so far."""

    sizes: list[float] = field(default_factory=list)
    """of each micrograph, Å; NaN where it tells none"""
    reasons: list[str] = field(default_factory=list)
    curve: np.ndarray = field(default_factory=lambda: np.zeros(len(particlesize.diameters(60, 600))))
    """sum over all particles"""
    picture: np.ndarray = field(default_factory=lambda: np.zeros((particlesize.SIDE, particlesize.SIDE)))
    """the same"""
    count: int = 0


def _read(last: ParticleSize | None, asked: np.ndarray) -> _Seen:
    if last is None or not last.state:
        return _Seen()
    try:
        with np.load(last.state) as kept:
            if not np.array_equal(kept["asked"], asked):
                return _Seen()  # micrographs were asked something else
            lists = kept["sizes"].tolist(), kept["reasons"].tolist()
            return _Seen(*lists, kept["curve"], kept["picture"], int(kept["count"]))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return _Seen()  # somebody removed it: begin again


def _draw(path: Path, picture: np.ndarray) -> None:
    """The mean particle, dark as in a micrograph, with a circle of its size."""
    jpeg.write(path, -picture, 0, 100)
    with Image.open(path) as opened:
        large = opened.convert("RGB").resize((_PICTURE, _PICTURE), Image.Resampling.BICUBIC)
    low, high = (_PICTURE / 2 * (1 + sign / particlesize.ACROSS) for sign in (-1, 1))
    ImageDraw.Draw(large).ellipse((low, low, high, high), outline=_COLOUR, width=2)
    large.save(path, format="JPEG", quality=90, subsampling=0)
