"""The step that makes one map of several."""

from __future__ import annotations

import numpy as np
from traitlets import Bool, Float

from cryowidgets.errors import InputError
from cryowidgets.io import mrc
from cryowidgets.kernels import mask3d, volumeconsensus
from cryowidgets.model import NAN, Volume
from cryowidgets.protocols.base import Maybe, Protocol
from cryowidgets.protocols.mosaic import write_mosaic
from cryowidgets.protocols.out import Out


class VolumeConsensus(Protocol):
    """Average two to five maps of one particle, and leave out those that do not agree with the others.

    Maps are brought to one pixel size, turned, shifted and if need be mirrored to lie on each other. How well unrelated
    maps would lie on them is tried too: one that agrees with the others hardly better than those is left out. What
    remains is averaged, weighted by how well each map agrees. Where none agree beyond chance, or two groups are equally
    large, nobody can tell which is right, and that is said.
    """

    takes = {
        "first": Volume,
        "second": Volume,
        "third": Maybe(Volume),
        "fourth": Maybe(Volume),
        "fifth": Maybe(Volume),
    }
    gives = Volume

    least_agreement = Float(
        volumeconsensus.AGREES,
        min=0,
        max=1,
        help="Least agreement of a map: 0 as unrelated maps by chance, 1 as the others among each other",
    )
    mirror = Bool(True, help="Maps may be of the other hand, as those of initial models are")

    def process(
        self,
        first: Volume,
        second: Volume,
        out: Out,
        third: Volume | None = None,
        fourth: Volume | None = None,
        fifth: Volume | None = None,
    ) -> Volume:
        named = {"first": first, "second": second, "third": third, "fourth": fourth, "fifth": fifth}
        given = {name: volume for name, volume in named.items() if volume is not None}
        names = [name for name, volume in given.items() if volume.path]
        there = [given[name] for name in names]
        if not there:
            return Volume(starts=len(given), reason="none of the steps has a map yet")
        maps = [_read(volume) for volume in there]
        found = volumeconsensus.consensus(
            maps, [volume.pixel_size for volume in there], mirror=self.mirror, agrees=self.least_agreement
        )
        mrc.write(out.file("_consensus.mrc"), found.volume, found.pixel_size)
        mrc.write(out.file("_deviation.mrc"), found.deviation, found.pixel_size)
        write_mosaic(out.file("_consensus.jpg"), _views(found.volume))
        kept = [volume for volume, keep in zip(there, found.kept, strict=True) if keep]
        symmetries = {volume.symmetry for volume in kept}
        among = found.resolution[np.ix_(found.kept, found.kept)][~np.eye(len(kept), dtype=bool)]
        return Volume(
            path=out.name("_consensus.mrc"),
            deviation=out.name("_deviation.mrc"),
            thumbnail=out.name("_consensus.jpg"),
            box=len(found.volume),
            pixel_size=found.pixel_size,
            symmetry=symmetries.pop() if len(symmetries) == 1 else "C1",
            classes=max(volume.classes for volume in kept),
            particles=max(volume.particles for volume in kept),
            starts=len(given),
            agreeing=len(kept),
            agreement=float(np.median(among)) if len(among) and np.isfinite(among).all() else NAN,
            left_out=", ".join(name for name, keep in zip(names, found.kept, strict=True) if not keep),
            level=mask3d.automask(found.volume, found.pixel_size).level,
            reason=found.reason,
        )


def _read(volume: Volume) -> np.ndarray:
    density = np.asarray(mrc.read(volume.path), np.float32)
    if density.ndim != 3 or len(set(density.shape)) != 1:
        size = " × ".join(map(str, density.shape))
        raise InputError(f"{volume.path} has {size} voxels: VolumeConsensus takes maps whose three sides are equal.")
    if not volume.pixel_size > 0:
        raise InputError(f"{volume.path} comes without a pixel size: write it into the file.")
    return density


def _views(volume: np.ndarray) -> np.ndarray:
    """Projections along z, y and x, and the slices in their middle."""
    middle = len(volume) // 2
    return np.stack([*(volume.sum(axis=i) for i in range(3)), *(np.take(volume, middle, axis=i) for i in range(3))])
