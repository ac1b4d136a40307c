"""The step at the door: which files are movies, and what the microscope was set to."""

from __future__ import annotations

from pathlib import Path

from traitlets import Bool, Float, Int, Unicode

from cryowidgets.errors import ParameterError
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
    ).tag(group="Movies")
    pixel_size = Float(1.0, min=0.05, max=50, help="Pixel size of the movies").tag(unit="Å/px", group="Microscope")
    voltage = Float(300.0, min=20, max=3000, help="Acceleration voltage").tag(unit="kV", group="Microscope")
    cs = Float(2.7, min=0, max=20, help="Spherical aberration").tag(unit="mm", group="Microscope")
    amplitude_contrast = Float(0.1, min=0, max=1, help="Amplitude contrast, a fraction").tag(group="Microscope")
    dose_per_frame = Float(
        0.0, min=0, help="Exposure of one frame; 0 where unknown: then nothing is dose weighted"
    ).tag(unit="e/Å²", group="Microscope")
    pre_exposure = Float(0.0, min=0, help="Exposure before the first frame").tag(
        unit="e/Å²", group="Microscope", advanced=True
    )
    optics_group = Unicode("opticsGroup1", help="Name of the optics group").tag(group="Microscope", advanced=True)
    gain = Unicode("", help="Gain reference that multiplies the frames (MRC or TIFF); empty where none").tag(
        group="Movies"
    )
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
        if self.gain and not (Path(self.gain).is_absolute() and Path(self.gain).is_file()):
            raise ParameterError(
                f"ImportMovies.gain {self.gain!r} does not exist: write the path of a gain file, from the root."
            )

    def optics(self) -> Optics:
        return Optics(
            name=self.optics_group,
            pixel_size=self.pixel_size,
            voltage=self.voltage,
            cs=self.cs,
            amplitude_contrast=self.amplitude_contrast,
            dose_per_frame=self.dose_per_frame,
            pre_exposure=self.pre_exposure,
        )
