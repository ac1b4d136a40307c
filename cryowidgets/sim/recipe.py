"""What to simulate: the usual, the hard and the empty."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from cryowidgets.model import Optics
from cryowidgets.sim import detector

Range = float | tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What to simulate. A pair (low, high) is a range from which each movie draws its own value.

    Lengths in Å unless said otherwise. What stands below `mtf` is off unless asked for.
    """

    shape: tuple[int, int] = (1024, 1024)
    frames: int = 20
    pixel_size: float = 1.2
    voltage: float = 300.0
    cs: float = 2.7
    amplitude_contrast: float = 0.1
    dose_per_frame: float = 1.5  # e/Å²
    defocus: Range = (7000.0, 30000.0)  # mean of U and V
    astigmatism: Range = (0.0, 1000.0)  # U − V
    angle: Range = (-90.0, 90.0)  # of U, from x towards y, degrees
    phase_shift: Range = 0.0  # degrees
    b_factor: Range = 70.0  # envelope exp(−B·k²/4), Å²
    drift: Range = (2.0, 15.0)  # first to last frame, px
    jitter: float = 0.1  # random step from frame to frame, px
    local: Range = 0.0  # rms of the local motion in the last frame, px; 0: the frame moves as a whole
    mass: float = 500.0  # of a molecule, kDa
    density: float = 5000.0  # molecules per µm²
    ice: float = 300.0  # thickness
    molecule: int = 0  # seed of the molecule, the same in all movies of a session
    camera: int = 0  # seed of the detector, likewise
    hot: float = 1e-4  # fraction of hot pixels; 0 also leaves out the hot column
    dead: float = 1e-4  # fraction of dead pixels; 0 also leaves out the dead column
    dqe: float = 0.85  # part of the electrons that are counted
    mtf: float = 0.6  # transfer of the detector at Nyquist
    tilt: Range = 0.0  # of the specimen, degrees: see `Truth.defocus_at`
    tilt_axis: Range = 0.0  # degrees from x towards y
    thickness: Range = 0.0  # depth over which molecules and water lie, in place of `ice`; 0: all at one height
    carbon: Range = 0.0  # fraction of the frame that the film beside the hole covers
    blobs: float = 0.0  # contaminations per µm²
    crystals: float = 0.0  # rms phase of crystalline ice, rad; good ice has none
    ice_gradient: Range = 0.0  # thickness of the ice on one side of the frame less that on the other
    ice_grain: bool = False  # with `ice_gradient`: water is the grainier the thicker it is, as if molecules were added
    ripples: int = 0  # waves of which the local motion is made; 0: it is a quadratic field
    blur: float = 1.0  # motion within the frames, relative to that which the shifts of the frames imply
    diffusion: float = 1.0  # rms motion of a water molecule by 1 e/Å²
    coincidence: float = 0.0  # part of the electrons that is lost where one falls on every pixel of a frame

    @property
    def optics(self) -> Optics:
        """What one would tell a program about these movies."""
        return Optics(
            pixel_size=self.pixel_size,
            voltage=self.voltage,
            cs=self.cs,
            amplitude_contrast=self.amplitude_contrast,
            dose_per_frame=self.dose_per_frame,
        )

    @property
    def detector(self) -> detector.Detector:
        """The camera: `.gain` multiplies the frames, `.hot` and `.dead` list the defects."""
        return detector.make(tuple(self.shape), self.hot, self.dead, self.camera)


def hard(recipe: Recipe | None = None) -> Recipe:
    """A specimen as people bring it: the edge of the hole in view, dirt, ice of uneven thickness, rippling motion.

    Water forgets faster, frames are smeared twice as much and tremble more, and the camera misses coincident electrons.
    What the recipe says of local motion stays, if it says anything.
    """
    recipe = recipe or Recipe()
    return dataclasses.replace(
        recipe,
        carbon=(0.1, 0.35),
        blobs=30.0,
        ice_gradient=(100.0, 400.0),
        local=recipe.local or (1.0, 4.0),
        ripples=recipe.ripples or 8,
        jitter=max(recipe.jitter, 0.2),
        blur=2.0,
        diffusion=1.5,
        coincidence=0.03,
    )


def empty(recipe: Recipe | None = None) -> Recipe:
    """Nothing but electrons: no molecules and no ice, so that whoever finds motion or rings has made them up."""
    return dataclasses.replace(
        recipe or Recipe(), density=0.0, ice=0.0, thickness=0.0, carbon=0.0, blobs=0.0, ice_gradient=0.0
    )
