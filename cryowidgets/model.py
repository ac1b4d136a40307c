"""The things that flow: one frozen dataclass for each kind of data.

Units without exception: lengths in Å, pixel sizes in Å/px, shifts and coordinates in px of the image named,
dose in e/Å², voltage in kV, Cs in mm, angles in degrees, times in UTC seconds. Axis order is (frame, y, x).
A float that could not be measured is NaN.

The store makes one table of each kind, a column of each field, so a field added here is a column there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from cryowidgets.errors import WorkflowError

NAN = float("nan")


def column(help: str, unit: str = "", default: Any = MISSING, file: bool = False, newest: bool = False) -> Any:
    """Declare a field of a kind: what it means, its unit, and whether it is the path of a file.

    Of a file that only the `newest` result of a fold keeps, those of older results may be gone.

    A `file` is relative to the project folder in the store and absolute in the hands of a protocol, so that a
    copied project opens elsewhere. Files outside the project (raw movies, gains) are absolute everywhere.
    """
    metadata = {"help": help, "unit": unit, "file": file, "newest": newest}
    return field(metadata=metadata) if default is MISSING else field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Optics:
    """What the microscope was set to: one row for each optics group."""

    name: str = column("name of the optics group", default="opticsGroup1")
    pixel_size: float = column("pixel size of the movie", "Å/px")
    voltage: float = column("acceleration voltage", "kV", default=300.0)
    cs: float = column("spherical aberration", "mm", default=2.7)
    amplitude_contrast: float = column("amplitude contrast, a fraction", default=0.1)
    dose_per_frame: float = column("exposure of one frame; 0 where unknown", "e/Å²", default=0.0)
    pre_exposure: float = column("exposure before the first frame", "e/Å²", default=0.0)


@dataclass(frozen=True, kw_only=True)
class Item:
    """Base of all kinds. The four fields here are filled in by the store, the others by the protocol."""

    kinds: ClassVar[dict[str, type[Item]]] = {}

    id: int = 0
    exposure: int = 0
    name: str = ""
    optics: Optics | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        package = cls.__module__.split(".")[0]
        for other in Item.kinds.values():
            if other.word() == cls.word() and other.__module__.split(".")[0] != package:
                said = f"{cls.__module__} has a kind {cls.__name__}, and so has {other.__module__}: rename it."
                raise WorkflowError(said)
        Item.kinds[cls.__name__] = cls

    @classmethod
    def columns(cls) -> dict[str, dataclasses.Field]:
        """Fields of this kind alone, in the order of the class body."""
        return {f.name: f for f in dataclasses.fields(cls) if f.name not in _BASE}

    @classmethod
    def word(cls) -> str:
        """The kind in lower case: what an input that takes it is called."""
        return cls.__name__.lower()

    @classmethod
    def table(cls) -> str:
        """Its table as SQL writes it; quoted, since a plug-in may call a kind Group or Order."""
        return f'"{cls.word()}"'

    def located(self, project: Path) -> Item:
        """The same item with the paths of its files absolute."""
        return self._paths(lambda path: str(project / path))

    def filed(self, project: Path) -> Item:
        """The inverse of `located`: paths inside the project relative to it."""
        inside = f"{project}/"
        return self._paths(lambda path: path.removeprefix(inside))

    def _paths(self, change: Callable[[str], str]) -> Item:
        changed: dict[str, Any] = {}
        for name, f in self.columns().items():
            value = getattr(self, name)
            if f.metadata.get("file") and value:
                changed[name] = change(value)
        return dataclasses.replace(self, **changed) if changed else self


_BASE = {"id", "exposure", "name", "optics"}


@dataclass(frozen=True, kw_only=True)
class Movie(Item):
    """A whole movie file."""

    path: str = column("the movie file", file=True)
    size: int = column("size of the file", "bytes", default=0)
    frames: int = column("number of frames; 0 where the file was not opened", default=0)
    gain: str = column("gain reference that multiplies the frames; empty where none", default="", file=True)
    closed: float = column("when the file was last written to", "s", default=NAN)
    found: float = column("when the file was first seen", "s", default=NAN)
    beam_shift_x: float = column("how far the beam was moved to this shot, in the unit of its sidecar", default=NAN)
    beam_shift_y: float = column("the same in y", default=NAN)
    target_defocus: float = column("defocus asked for, by the sidecar", "Å", default=NAN)
    warning: str = column("what the sidecar, the header and the settings disagree about", default="")


@dataclass(frozen=True, kw_only=True)
class Micrograph(Item):
    """An aligned and summed movie."""

    path: str = column("aligned sum without dose weighting", file=True)
    dose_weighted: str = column("aligned sum with dose weighting", default="", file=True)
    power_spectrum: str = column(
        "mean power spectrum of sums of groups of frames, half plane, MRC; empty where none was asked for",
        default="",
        file=True,
    )
    even: str = column("aligned sum of the even frames", default="", file=True)
    odd: str = column("aligned sum of the odd frames", default="", file=True)
    thumbnail: str = column("picture for people, JPEG", default="", file=True)
    metadata: str = column("RELION star file of this movie", default="", file=True)
    local_motion: str = column(
        "local motion, NPZ: centres (parts, 2) and tracks (parts, frames, 2) as y, x in px; empty where none",
        default="",
        file=True,
    )
    pixel_size: float = column("pixel size", "Å/px")
    height: int = column("height", "px")
    width: int = column("width", "px")
    frames: int = column("frames summed", default=1)
    motion_total: float = column("length of the path of the whole frame", "Å", default=NAN)
    motion_early: float = column("the part of it in the first 4 e/Å²", "Å", default=NAN)
    motion_late: float = column("the part of it after that", "Å", default=NAN)
    motion_worst: float = column("longest step between two frames", "Å", default=NAN)
    motion_total_error: float = column("standard error of motion_total", "Å", default=NAN)
    motion_early_error: float = column("standard error of motion_early", "Å", default=NAN)
    motion_late_error: float = column("standard error of motion_late", "Å", default=NAN)
    motion_worst_error: float = column("standard error of motion_worst", "Å", default=NAN)
    motion_local: float = column(
        "how far parts moved beside the whole frame, root mean square; 0 where nothing can be told", "Å", default=NAN
    )
    motion_residual: float = column("motion of parts that the local field leaves over", "Å", default=NAN)
    shift_error: float = column("standard error of a frame's shift along one axis", "px", default=NAN)
    counts: float = column("mean counts of a raw frame", "e/px", default=NAN)
    measured_dose: float = column("electrons counted in a frame", "e/Å²", default=NAN)
    defects: int = column("defect pixels repaired", default=0)
    note: str = column("what is odd about the motion or the file; empty where nothing is", default="")
    reason: str = column("why the motion could not be measured; empty where it was", default="")
    shifts: np.ndarray | None = column(
        "displacement of each frame's content relative to the first, (frames, 2) as y, x",
        "px of the movie",
        default=None,
    )
    measured_shifts: np.ndarray | None = column(
        "the same as measured of each frame alone, before smoothing; none where the program gives no other",
        "px of the movie",
        default=None,
    )
    consensus_correlation: float = column(
        "correlation of its path with that by a second alignment, the worse axis", default=NAN
    )
    consensus_distance: float = column("root mean square distance of the two paths", "Å", default=NAN)
    session_dose: float = column("electrons counted in a frame, median of the newest movies", "e/Å²", default=NAN)
    dose_deviation: float = column("how far this movie is from that", "%", default=NAN)
    dose_per_frame: float = column(
        "exposure of one frame to go by: as told, or as the newest movies have it where that is something else",
        "e/Å²",
        default=NAN,
    )
    dose_alert: str = column("what is wrong with the dose of the newest movies; empty where nothing is", default="")
    program: str = column("outside program that made it; empty where we did", default="")
    program_version: str = column("its version, as it says itself", default="")


@dataclass(frozen=True, kw_only=True)
class Ctf(Item):
    """Contrast transfer function of a micrograph. Underfocus is positive and U ≥ V."""

    micrograph: str = column("the micrograph measured", file=True)
    spectrum: str = column("power spectrum with the fit in one half, MRC", default="", file=True)
    picture: str = column("the same for people, JPEG", default="", file=True)
    curve: str = column(
        "rotational average, (4, n) float32: frequency in 1/Å, observed, fitted, agreement; NPY",
        default="",
        file=True,
    )
    defocus_u: float = column("defocus along the angle", "Å", default=NAN)
    defocus_v: float = column("defocus across the angle", "Å", default=NAN)
    astigmatism: float = column("U − V", "Å", default=NAN)
    angle: float = column("direction of U from x towards y", "°", default=NAN)
    phase_shift: float = column("additional phase shift", "°", default=0.0)
    defocus_error: float = column("standard error of the mean defocus", "Å", default=NAN)
    astigmatism_error: float = column("standard error of U − V", "Å", default=NAN)
    angle_error: float = column("standard error of the angle", "°", default=NAN)
    phase_error: float = column("standard error of the phase shift where it was searched", "°", default=NAN)
    fit_resolution: float = column("where the fit stops to agree", "Å", default=NAN)
    score: float = column("correlation of spectrum and fit", default=NAN)
    agreement: float = column("mean correlation of rings and fit, each at its own contrast", default=NAN)
    significance: float = column("standard deviations by which rings stand out of the noise", default=NAN)
    gap: float = column("standard deviations by which the defocus beats the next best", default=NAN)
    tilt: float = column("tilt of the specimen where asked for", "°", default=NAN)
    tilt_error: float = column("standard error of the tilt", "°", default=NAN)
    tilt_axis: float = column("its axis from x towards y; defocus grows to the left of it", "°", default=NAN)
    tilt_axis_error: float = column("standard error of the axis", "°", default=NAN)
    thickness: float = column("thickness of the specimen by the nodes of its rings, where asked for", "Å", default=NAN)
    thickness_error: float = column("standard error of the thickness", "Å", default=NAN)
    thickness_limit: float = column("the specimen is thinner where no node was seen", "Å", default=NAN)
    content: str = column("what else is in view: carbon, dirt, crystalline ice; or empty", default="")
    carbon: float = column("share of the image that carbon film covers", default=NAN)
    ice: float = column("ice ring density, as RELION's rlnCtfIceRingDensity", default=NAN)
    consensus_resolution: float = column("up to where it agrees with a second estimate", "Å", default=NAN)
    consensus_linear: float = column("the same as Xmipp and Scipion give it", "Å", default=NAN)
    first_defocus: float = column("mean defocus of the first of two estimates", "Å", default=NAN)
    first_astigmatism: float = column("its U − V", "Å", default=NAN)
    first_angle: float = column("its direction of U", "°", default=NAN)
    first_phase_shift: float = column("its phase shift", "°", default=NAN)
    first_fit_resolution: float = column("where its fit stops to agree", "Å", default=NAN)
    second_defocus: float = column("mean defocus of the second of two estimates", "Å", default=NAN)
    second_astigmatism: float = column("its U − V", "Å", default=NAN)
    second_angle: float = column("its direction of U", "°", default=NAN)
    second_phase_shift: float = column("its phase shift", "°", default=NAN)
    second_fit_resolution: float = column("where its fit stops to agree", "Å", default=NAN)
    reason: str = column("why there is no fit; empty where there is one", default="")
    program: str = column("outside program that made it; empty where we did", default="")
    program_version: str = column("its version, as it says itself", default="")


@dataclass(frozen=True, kw_only=True)
class Quality(Item):
    """How good an exposure is, from 0 to 1, and what the score would be if one part of it were the only one."""

    score: float = column("all parts together: never better than the worst", default=NAN)
    fit: float = column("how far the CTF fits", default=NAN)
    astigmatism: float = column("difference of defocus U and V", default=NAN)
    ice: float = column("ice ring", default=NAN)
    carbon: float = column("share of the image under carbon", default=NAN)
    thickness: float = column("thickness of the specimen", default=NAN)
    drift: float = column("path of the frame", default=NAN)
    late: float = column("motion that does not end", default=NAN)
    local: float = column("motion of parts that is left over", default=NAN)
    alignment: float = column("how well the motion is known", default=NAN)
    worst: str = column("the part that speaks most against the exposure", default="")
    reason: str = column("that part in words", default="")


@dataclass(frozen=True, kw_only=True)
class Gain(Item):
    """The gain of the camera by the movies so far, and what it says of the gain in use."""

    path: str = column("gain that multiplies raw frames, MRC; empty as long as not worth it", default="", file=True)
    total: str = column(
        "sum of raw frames so far, NPZ; only that of the newest result is kept", default="", file=True, newest=True
    )
    picture: str = column("the gain by the movies so far, for people, JPEG", default="", file=True)
    movies: int = column("movies added up", default=0)
    left_out: int = column("movies not added up: unreadable, of another size, or with edges", default=0)
    counts: float = column("counts in all", "e/px", default=NAN)
    needed: float = column("counts from which on this gain is worth being used", "e/px", default=NAN)
    spread: float = column("standard deviation of the pixels' sensitivity", default=NAN)
    error: float = column("expected error of this gain, relative", default=NAN)
    defects: int = column("defect pixels", default=0)
    residual: float = column("share of the pattern of the gain in use that is left in corrected frames", default=NAN)
    residual_error: float = column("standard error of that", default=NAN)
    deviation: float = column("standard deviation of this gain over the gain in use", default=NAN)
    width: float = column("97.5th over 2.5th percentile of the same", default=NAN)
    peak: float = column("largest value over 97.5th percentile of the same", default=NAN)
    reason: str = column("why there is no gain yet; empty where there is one", default="")
    alert: str = column("what is wrong with the gain in use; empty where nothing is", default="")


@dataclass(frozen=True, kw_only=True)
class Picks(Item):
    """Where particles are in a micrograph."""

    path: str = column("RELION star file: rlnCoordinateX and Y in px of the micrograph, and a score", file=True)
    micrograph: str = column("the micrograph that was searched", file=True)
    thumbnail: str = column("picture of the micrograph with circles, JPEG", default="", file=True)
    count: int = column("particles found")
    diameter: float = column("diameter of the particles", "Å", default=NAN)
    threshold: float = column("score from which on places were taken, in the picker's own scale", default=NAN)
    score: float = column("median score, in the picker's own scale", default=NAN)
    power: float = column("median local power, see kernels/power.py", default=NAN)
    added: int = column("places that a person has added", default=0)
    removed: int = column("places that a person has taken away", default=0)
    agreement: float = column("of a consensus: share of all that was picked on which enough pickers agree", default=NAN)
    jaccard: np.ndarray | None = column(
        "of a consensus: share of common particles of each two pickers, (pickers, pickers)", default=None
    )
    pixel_size: float = column("pixel size of the micrograph", "Å/px", default=NAN)
    height: int = column("height of the micrograph", "px", default=0)
    width: int = column("width of the micrograph", "px", default=0)
    program: str = column("outside program that made it; empty where we did", default="")
    program_version: str = column("its version, as it says itself", default="")


@dataclass(frozen=True, kw_only=True)
class Particles(Item):
    """Pictures of particles cut out of a micrograph."""

    path: str = column("stack of the pictures, MRC; empty where there are none, or they lie in several", file=True)
    metadata: str = column("RELION star file of particles, its paths relative to the project", default="", file=True)
    thumbnail: str = column("some of them for people, JPEG", default="", file=True)
    count: int = column("particles in the stack")
    box: int = column("side of a picture", "px")
    pixel_size: float = column("pixel size of the pictures", "Å/px")
    diameter: float = column("diameter of the circle outside of which is background", "Å", default=NAN)
    screened: int = column("particles left out: empty, unlike all others, of a class that was not chosen", default=0)
    program: str = column("outside program that made it; empty where we did", default="")
    program_version: str = column("its version, as it says itself", default="")


@dataclass(frozen=True, kw_only=True)
class Classes(Item):
    """Particles sorted by what they look like: averages, and which particle belongs to which."""

    path: str = column("stack of the averages, MRC", file=True)
    metadata: str = column("RELION star file of the particles with their classes", default="", file=True)
    model: str = column("RELION star file of the classes: share, resolution", default="", file=True)
    thumbnail: str = column("the averages for people, the largest first, JPEG", default="", file=True)
    count: int = column("classes that have particles")
    particles: int = column("particles sorted")
    box: int = column("side of an average", "px")
    pixel_size: float = column("pixel size of the averages", "Å/px")
    resolution: float = column("finest resolution of a class by the program", "Å", default=NAN)
    largest: float = column("share of the particles in the largest class", default=NAN)
    state: str = column(
        "what the next batch goes on from, NPZ; only that of the newest result is kept",
        default="",
        file=True,
        newest=True,
    )
    history: str = column(
        "how the classes came about: averages and figures after some of the batches, NPZ; that of the newest is kept",
        default="",
        file=True,
        newest=True,
    )
    batches: int = column("batches sorted so far", default=0)
    good: int = column("classes that look like particles", default=0)
    good_particles: int = column("particles in them", default=0)
    rate: float = column("particles sorted in a second, in the newest batch", "1/s", default=NAN)
    reason: str = column("why there are no classes yet, or what is odd about them; empty where nothing is", default="")
    program: str = column("outside program that made it; empty where we did", default="")
    program_version: str = column("its version, as it says itself", default="")


@dataclass(frozen=True, kw_only=True)
class ParticleSize(Item):
    """How large the particles are, by the micrographs so far: for a person to look at and approve."""

    diameter: float = column("diameter of most particles", "Å", default=NAN)
    diameter_error: float = column("standard error of the diameter", "Å", default=NAN)
    smallest: float = column("diameter that a picker should begin with", "Å", default=NAN)
    largest: float = column("diameter that a picker should end with", "Å", default=NAN)
    micrographs: int = column("micrographs looked at", default=0)
    curve: str = column("(2, n) float32: diameter in Å, how much of it there is; NPY", default="", file=True)
    picture: str = column("mean of the particles found with a circle of that size, JPEG", default="", file=True)
    state: str = column("what the next micrographs are added to, NPZ", default="", file=True)
    reason: str = column("why no size can be told; empty where it can", default="")


@dataclass(frozen=True, kw_only=True)
class Volume(Item):
    """A map of the particle in three dimensions. Its handedness is arbitrary unless said otherwise."""

    path: str = column("the map, MRC, axes z, y, x; empty where there is none", default="", file=True)
    half1: str = column("map of one half of the data, MRC; empty where there is none", default="", file=True)
    half2: str = column("map of the other half, MRC; empty where there is none", default="", file=True)
    deviation: str = column("standard deviation of maps that agree, MRC; empty where none", default="", file=True)
    thumbnail: str = column("slices and projections for people, JPEG", default="", file=True)
    orientations: str = column(
        "NPZ: directions (n, 2) of rot and tilt in degrees on an even grid of the sphere, and counts (n,)",
        default="",
        file=True,
    )
    box: int = column("side of the map", "px", default=0)
    pixel_size: float = column("pixel size of the map", "Å/px", default=NAN)
    symmetry: str = column("point group that was imposed", default="C1")
    classes: int = column("class averages used", default=0)
    particles: int = column("particles behind them", default=0)
    refined: int = column("particles that it was made finer with; 0 where it is of averages alone", default=0)
    starts: int = column("random starts", default=0)
    agreeing: int = column("starts that came to the same map", default=0)
    agreement: float = column("resolution to which they agree", "Å", default=NAN)
    left_out: str = column("inputs whose maps do not belong to the others: third, fifth", default="")
    resolution: float = column("resolution between the halves", "Å", default=NAN)
    evenness: float = column("how evenly directions are covered: 1 evenly, 0 all from one", default=NAN)
    level: float = column("density at which its surface is shown", default=NAN)
    reason: str = column("why there is no map, or why it is not to be trusted; empty where it is", default="")


@dataclass(frozen=True, kw_only=True)
class ResolutionMap(Item):
    """How fine the detail of a map is from place to place."""

    path: str = column("local resolution in Å, MRC, 0 outside of the mask", default="", file=True)
    map: str = column("the map that was measured", default="", file=True)
    mask: str = column("where it was measured, MRC", default="", file=True)
    thumbnail: str = column("coloured slices for people, JPEG", default="", file=True)
    histogram: str = column("(2, n) float32: resolution in Å, share of the mask; NPY", default="", file=True)
    box: int = column("side of the map", "px", default=0)
    pixel_size: float = column("pixel size of the map", "Å/px", default=NAN)
    median: float = column("median over the mask", "Å", default=NAN)
    finest: float = column("what a tenth of the mask is better than", "Å", default=NAN)
    coarsest: float = column("what a tenth of the mask is worse than", "Å", default=NAN)
    level: float = column("density at which the surface of the map is shown", default=NAN)
    reason: str = column("why it cannot be told; empty where it can", default="")


@dataclass(frozen=True)
class Reason:
    """One rule that an item broke, for those who count: which, the item's value, and what is allowed."""

    rule: str
    value: float = NAN
    limit: float = NAN


NOT_CHOSEN = "not chosen"
"""The rule that speaks against nothing: other items were chosen. By it alone no exposure counts as rejected."""


@dataclass(frozen=True)
class Reject:
    """What a gate answers instead of an item: it stays visible, can be readmitted, and flows no further.

    `why` is a sentence for people; `reasons` are the same for programs, one for each rule that was broken.
    """

    why: str
    reasons: tuple[Reason, ...] = ()
