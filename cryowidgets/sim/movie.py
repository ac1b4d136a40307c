"""Movies with known answers: what a camera counts of protein in ice that drifts and fades under the beam.

The image is that of a weak phase object, ``1 + 2·CTF·φ`` (linear; no multiple scattering), counted electron by
electron. φ is the projected potential of molecules at random orientations, less the solvent that they displace, plus
the water around them, whose own motion (McMullan et al., Ultramicroscopy 158 (2015) 26,
doi:10.1016/j.ultramic.2015.05.017) makes its image forget itself with exposure. Protein fades with exposure as Grant
& Grigorieff, eLife 4 (2015) e06980, doi:10.7554/eLife.06980 measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import fft
from scipy.ndimage import map_coordinates

from cryowidgets.kernels import ctf
from cryowidgets.model import Optics
from cryowidgets.sim import detector, specimen, track

Range = float | tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What to simulate. A pair (low, high) is a range from which each movie draws its own value.

    Lengths in Å unless said otherwise.
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


@dataclass(frozen=True)
class Truth:
    """The answers: defocus U ≥ V in Å, angles in degrees, positions in px as y, x."""

    defocus_u: float
    defocus_v: float
    angle: float
    phase_shift: float
    b_factor: float
    track: track.Track
    positions: np.ndarray  # (particles, 2), in the first frame
    rotations: np.ndarray  # (particles, 3, 3)
    contrast: float  # standard deviation of the undamaged, noiseless image relative to its mean

    @property
    def shifts(self) -> np.ndarray:
        """Displacement of each frame's content relative to the first, (frames, 2) as y, x, px."""
        return self.track.shifts


@dataclass(frozen=True)
class Simulated:
    """A movie in memory: `frames` (n, y, x) uint8 raw counts, `gain` (y, x) to multiply them with, and the `truth`."""

    frames: np.ndarray
    gain: np.ndarray
    truth: Truth


def simulate(recipe: Recipe, seed: int) -> Simulated:
    """Simulate a movie; the same recipe and seed give the same movie.

    Returns
    -------
    Simulated
        1024² × 20 frames take about 1 s on one core; memory is that of the frames and some 40 bytes per pixel.
    """
    truth, frames = stream(recipe, seed)
    out = np.empty((recipe.frames, *recipe.shape), np.uint8)
    for image, raw in zip(out, frames, strict=True):
        image[:] = raw
    return Simulated(out, recipe.detector.gain, truth)


def stream(recipe: Recipe, seed: int) -> tuple[Truth, Iterator[np.ndarray]]:
    """As `simulate`, but give the frames one by one, each (y, x) uint8, so that memory stays that of some images."""
    rng = np.random.Generator(np.random.SFC64([seed, 0x6D6F76]))

    def pick(value: Range) -> float:
        return float(rng.uniform(*value)) if isinstance(value, tuple | list) else float(value)

    mean, astigmatism, angle = pick(recipe.defocus), pick(recipe.astigmatism), pick(recipe.angle)
    phase_shift, b_factor = pick(recipe.phase_shift), pick(recipe.b_factor)
    motion = track.draw(
        recipe.frames, recipe.dose_per_frame, pick(recipe.drift), recipe.jitter, pick(recipe.local), rng
    )
    # The scene is larger than the frame by as much as it moves, so that new content enters at the edges.
    reach = np.abs(motion.path).max() + 4 * np.abs(motion.coefficients).max() + 8
    field = tuple(fft.next_fast_len(n + 2 * int(np.ceil(reach)), real=True) for n in recipe.shape)
    corner = tuple((f - n) // 2 for f, n in zip(field, recipe.shape, strict=True))

    protein, positions, rotations = specimen.protein(
        field, recipe.pixel_size, recipe.voltage, recipe.mass, recipe.density, recipe.molecule, rng
    )
    band = _Band(field, recipe.pixel_size, limit=np.sqrt(12 / b_factor))  # there the envelope has fallen to 5 %
    transfer = ctf.ctf_2d(
        field,
        recipe.pixel_size,
        mean + astigmatism / 2,
        mean - astigmatism / 2,
        angle,
        recipe.voltage,
        recipe.cs,
        recipe.amplitude_contrast,
        phase_shift,
    )
    k = np.sqrt(band.k2)
    image = 2 * band.take(transfer) * np.exp(-b_factor / 4 * band.k2)
    image *= np.exp(np.log(recipe.mtf) * (2 * k * recipe.pixel_size) ** 1.5)
    protein = band.take(protein) * image
    water = specimen.water_amplitude(k, field, recipe.pixel_size, recipe.voltage, recipe.ice) * image

    inside = positions - corner
    seen = np.all((inside > -0.5) & (inside < np.array(recipe.shape) - 0.5), axis=1)
    truth = Truth(
        mean + astigmatism / 2,
        mean - astigmatism / 2,
        angle,
        phase_shift,
        b_factor,
        motion,
        inside[seen],
        rotations[seen],
        band.deviation(protein, water),
    )
    if motion.moves_locally:
        protein, water = protein / band.spline(), water / band.spline()
    return truth, _expose(recipe, motion, band, corner, protein, water, rng)


def _expose(recipe, motion, band, corner, protein, water, rng) -> Iterator[np.ndarray]:
    """Count frame after frame while the specimen moves, protein fades and water forgets where it was."""
    camera = recipe.detector
    rate = np.float32(recipe.dose_per_frame * recipe.pixel_size**2 * recipe.dqe) * camera.sensitivity
    fade = np.exp(-recipe.dose_per_frame / (2 * specimen.critical_exposure(band.k2, recipe.voltage)), dtype=np.float32)
    keep = specimen.water_memory(band.k2, recipe.dose_per_frame)
    renew = np.sqrt(1 - keep * keep)
    protein = protein * np.sqrt(fade)  # a frame shows the damage done until its middle
    renewed = water * renew
    water = water * specimen.noise(band.shape, rng)
    height, width = recipe.shape
    rows, columns = slice(corner[0], corner[0] + height), slice(corner[1], corner[1] + width)
    for j in range(recipe.frames):
        if j:
            protein *= fade
            water *= keep
            fresh = specimen.noise(band.shape, rng)
            fresh *= renewed
            water += fresh
        spectrum = band.smeared_shift(motion.path[j])
        spectrum *= protein + water
        if motion.moves_locally:
            contrast = _warp(band.image(spectrum), motion, j, corner, recipe.shape)
        else:
            contrast = band.image(spectrum, rows)[:, columns]
        expected = contrast + np.float32(1)
        np.maximum(expected, 0, out=expected)
        expected *= rate
        expected += camera.glow
        yield detector.count(expected, rng)


def _warp(coefficients, motion, frame, corner, shape) -> np.ndarray:
    """Move content by the local displacement, by a cubic spline whose `coefficients` the field already holds."""
    y, x = (np.linspace(-1, 1, n, dtype=np.float32) for n in shape)
    displacement = motion.local(frame, y[:, None], x[None, :])
    places = [np.arange(shape[0])[:, None] + corner[0], np.arange(shape[1])[None, :] + corner[1]]
    source = np.stack([place - d for place, d in zip(places, displacement, strict=True)]).astype(np.float32)
    return map_coordinates(coefficients, source, order=3, mode="grid-wrap", prefilter=False, output=np.float32)


class _Band:
    """The part of an rfft2 half plane that a simulation needs: frequencies up to `limit` (1/Å) along either axis."""

    def __init__(self, field: tuple[int, int], pixel_size: float, limit: float) -> None:
        height, width = self.field = field
        rows = min(int(limit * pixel_size * height), (height - 1) // 2)
        columns = min(int(limit * pixel_size * width), width // 2) + 1
        self.rows = np.r_[0 : rows + 1, height - rows : height]
        self.y = np.r_[0 : rows + 1, -rows:0] / height  # cycles/px
        self.x = np.arange(columns) / width
        self.shape = (len(self.y), columns)
        self.k2 = ((self.y[:, None] ** 2 + self.x**2) / pixel_size**2).astype(np.float32)
        self._columns = np.zeros((height, columns), np.complex64)

    def take(self, half: np.ndarray) -> np.ndarray:
        return half[self.rows, : self.shape[1]]

    def image(self, spectrum: np.ndarray, rows: slice = slice(None)) -> np.ndarray:
        """Given rows of the field (y, x), float32, whose spectrum is that of this band.

        Columns that are zero and rows that nobody asks for are not transformed.
        """
        half = self.shape[0] // 2
        self._columns[: half + 1], self._columns[-half:] = spectrum[: half + 1], spectrum[half + 1 :]
        self._columns[half + 1 : -half] = 0
        columns = fft.ifft(self._columns, axis=0, overwrite_x=True)
        return fft.irfft(columns[rows], n=self.field[1], axis=1)

    def smeared_shift(self, path: np.ndarray) -> np.ndarray:
        """Factor that moves content along `path` (positions, 2 as y, x, px): the mean over its positions."""
        y = np.exp(-2j * np.pi * self.y[:, None] * path[:, 0]) / len(path)
        x = np.exp(-2j * np.pi * self.x * path[:, 1, None])
        return y.astype(np.complex64) @ x.astype(np.complex64)

    def spline(self) -> np.ndarray:
        """Transfer of the cubic B-spline, by which an image is divided to get its spline coefficients."""
        y, x = ((2 + np.cos(2 * np.pi * f)) / 3 for f in (self.y, self.x))
        return (y[:, None] * x).astype(np.float32)

    def deviation(self, protein: np.ndarray, water: np.ndarray) -> float:
        """Standard deviation of the image of given protein spectrum and amplitude of random water."""
        weight = np.full(self.shape[1], 2.0)
        weight[0] = 1
        power = np.square(np.abs(protein)) + np.square(water)
        power[0, 0] = 0
        return float(np.sqrt((power * weight).sum(dtype=np.float64)) / (self.field[0] * self.field[1]))
