"""The step at the door: which files are movies, and what the microscope was set to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from traitlets import Bool, Enum, Float, Int, Unicode

from cryowidgets.errors import ParameterError
from cryowidgets.io.gainterms import ENDINGS, FLIPS, OPERATIONS, ROTATIONS
from cryowidgets.model import Movie, Optics
from cryowidgets.protocols.base import Protocol
from cryowidgets.protocols.durations import Duration


class ImportMovies(Protocol):
    """Watch folders for movies and take each one in as soon as its file is whole.

    It takes nothing and is carried out by the engine's door rather than by a worker.
    """

    takes = None
    gives = Movie

    pattern = Unicode(
        help="Which files are movies, as an absolute pattern: * and ? within a name, ** for any folders between, "
        "for instance /data/session/**/*_fractions.tiff"
    ).tag(group="Movies", path="pattern")
    pixel_size = Float(
        0.0,
        min=0,
        max=50,
        help="Pixel size of the movies; 0 takes it from the sidecar, else from the header of each movie",
    ).tag(unit="Å/px", group="Microscope")
    voltage = Float(0.0, min=0, max=3000, help="Acceleration voltage; 0 takes it from the sidecar, else 300 kV").tag(
        unit="kV", group="Microscope"
    )
    cs = Float(2.7, min=0, max=20, help="Spherical aberration").tag(unit="mm", group="Microscope")
    amplitude_contrast = Float(0.1, min=0, max=1, help="Amplitude contrast, a fraction").tag(group="Microscope")
    dose_per_frame = Float(
        0.0,
        min=0,
        help="Exposure of one frame; 0 takes it from the sidecar. Where nobody tells it nothing is dose weighted",
    ).tag(unit="e/Å²", group="Microscope")
    pre_exposure = Float(0.0, min=0, help="Exposure before the first frame").tag(
        unit="e/Å²", group="Microscope", advanced=True
    )
    optics_group = Unicode("opticsGroup1", help="Name of the optics group").tag(group="Microscope", advanced=True)
    beam_shift_groups = Bool(
        False,
        help="Make an optics group of each beam shift that the sidecars tell, for sessions that reach many holes from "
        "one place of the stage",
    ).tag(group="Microscope", advanced=True)
    beam_shift_tolerance = Float(
        0.0,
        min=0,
        help="Shots with beam shifts that differ by less belong to one group, in the unit of the sidecars; 0 for what "
        "is usual: 0.01 of EPU's, 0.2 µm of SerialEM's",
    ).tag(group="Microscope", advanced=True, when=lambda p: p.beam_shift_groups)
    gain = Unicode(
        "", help="Gain reference: an MRC, TIFF, .gain, DM3 or DM4 file, of any size and orientation; empty where none"
    ).tag(group="Gain", path="file")
    gain_operation = Enum(
        list(OPERATIONS),
        "auto",
        help="What the reference does to frames; auto: it multiplies, but divides where the movies are EER and it is "
        "no .gain file, or where the first movie tells otherwise",
    ).tag(group="Gain", advanced=True, when=lambda p: bool(p.gain))
    gain_rotation = Enum(
        ["auto", *ROTATIONS],
        "auto",
        help="By how much to rotate the reference clockwise, as seen with the first row on top (RELION's 0 to 3 times "
        "90°); auto: as the first movies tell, up to five, and not at all where they do not",
    ).tag(unit="°", group="Gain", advanced=True, when=lambda p: bool(p.gain))
    gain_flip = Enum(
        list(FLIPS), "none", help="How to flip the reference after that; left to the movies where gain_rotation is"
    ).tag(group="Gain", advanced=True, when=lambda p: bool(p.gain) and p.gain_rotation != "auto")
    defects = Unicode(
        "", help="List of defects as SerialEM or MotionCor2 write it, or a map that is not zero at defects"
    ).tag(group="Gain", advanced=True, path="file")
    frames = Int(
        0,
        min=0,
        help="Frames that every movie must have; 0 takes any number. With it a TIFF without a sidecar is known to be "
        "whole at its last frame; without, only when it has not changed for file_timeout",
    ).tag(group="Movies", advanced=True)
    file_timeout = Duration("30s", help="A file that has not changed for this long is no longer being written").tag(
        unit="s", group="Movies", advanced=True
    )
    timeout = Duration("12h", help="Close the stream when no new movie has come for this long").tag(
        unit="s", group="Movies"
    )
    poll = Duration("1s", help="How often the folders are looked at").tag(unit="s", group="Movies", advanced=True)
    copy = Bool(False, help="Copy the movies into the project; else they stay where they are").tag(
        group="Movies", advanced=True
    )

    def check(self) -> None:
        if self.pattern and not Path(self.pattern).is_absolute():
            raise ParameterError(
                f"ImportMovies.pattern {self.pattern!r} is not absolute: write it from the root, "
                f"for instance {str(Path.cwd() / self.pattern)!r}."
            )
        if self.pattern and (self.pattern.endswith("/") or Path(self.pattern).is_dir()):
            raise ParameterError(
                f"ImportMovies.pattern {self.pattern!r} is a folder: say which files in it, "
                f"for instance {str(Path(self.pattern) / '**' / '*.tiff')!r}."
            )
        for name, what in (("gain", "a gain file"), ("defects", "a list or map of defects")):
            path = getattr(self, name)
            if path and not (Path(path).is_absolute() and Path(path).is_file()):
                raise ParameterError(
                    f"ImportMovies.{name} {path!r} does not exist: write the path of {what}, from the root."
                )
        if self.gain and Path(self.gain).suffix.lower() not in ENDINGS:
            raise ParameterError(
                f"ImportMovies.gain {self.gain!r} is of no known format: its name must end in {', '.join(ENDINGS)}."
            )
        if self.gain_flip != "none" and self.gain_rotation == "auto":
            raise ParameterError(
                f"ImportMovies.gain_flip {self.gain_flip!r} goes with a gain_rotation that is told: write "
                "gain_rotation 0, or leave the flip to the movies as well."
            )

    def optics(self) -> Optics:
        """What is said here; 0 where it is left to sidecars and headers."""
        return Optics(
            name=self.optics_group,
            pixel_size=self.pixel_size,
            voltage=self.voltage,
            cs=self.cs,
            amplitude_contrast=self.amplitude_contrast,
            dose_per_frame=self.dose_per_frame,
            pre_exposure=self.pre_exposure,
        )

    def amend(self, optics: Optics | None) -> Optics:
        """Optics of before, changed by what is said here."""
        said = self.optics()
        if optics is None:
            return said
        kept = {n: getattr(optics, n) for n in ("pixel_size", "voltage", "dose_per_frame") if not getattr(said, n) > 0}
        name = optics.name if self.beam_shift_groups else said.name
        return replace(said, name=name, **kept)
