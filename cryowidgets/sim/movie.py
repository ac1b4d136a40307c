"""Movies with known answers: what a camera counts of protein in ice that drifts and fades under the beam.

The image is that of a weak phase object, ``1 + 2·CTF·φ`` (linear; no multiple scattering), counted electron by
electron. φ is the projected potential of molecules at random orientations, less the solvent that they displace, plus
the water around them, whose own motion (McMullan et al., Ultramicroscopy 158 (2015) 26,
doi:10.1016/j.ultramic.2015.05.017) makes its image forget itself with exposure. Protein fades with exposure as Grant
& Grigorieff, eLife 4 (2015) e06980, doi:10.7554/eLife.06980 measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from scipy import fft

from cryowidgets.sim import detector, film, lens, specimen, track
from cryowidgets.sim.band import Band
from cryowidgets.sim.recipe import Range, Recipe

__all__ = ["Recipe", "Simulated", "Truth", "simulate", "still", "stream"]

_SLICE = 100.0  # Å of depth between molecules that the lens sees at one height


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
    shape: tuple[int, int]
    pixel_size: float  # Å/px
    tilt: float = 0.0
    tilt_axis: float = 0.0  # from x towards y
    thickness: float = 0.0  # Å
    ice_gradient: float = 0.0  # Å
    heights: np.ndarray = field(default_factory=lambda: np.zeros(0))  # (particles,) over the mean focus, Å
    carbon: np.ndarray | None = None  # (height, width) where the film is, in the first frame; None: nowhere
    blobs: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))  # y, x and radius, in the first frame

    @property
    def shifts(self) -> np.ndarray:
        """Displacement of each frame's content relative to the first, (frames, 2) as y, x, px."""
        return self.track.shifts

    def displacement(self, frame: int, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Displacement of the content that a frame shows at given pixels, relative to the first frame.

        Parameters
        ----------
        y, x : array or float
            Pixels of that frame, broadcast against each other.

        Returns
        -------
        array (2, …)
            y, x in px, whole and local motion together: ``frame[y, x]`` shows what lay in the first frame at
            ``(y, x)`` less that.
        """
        y, x = np.broadcast_arrays(np.asarray(y, float), np.asarray(x, float))
        whole = self.shifts[frame].reshape(2, *[1] * y.ndim)
        if not self.track.moves_locally:
            return np.broadcast_to(whole, (2, *y.shape)).copy()
        height, width = self.shape
        return whole + self.track.local(frame, 2 * y / (height - 1) - 1, 2 * x / (width - 1) - 1)

    def defocus_at(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Mean of U and V in Å at given pixels.

        With x and y counted from the middle of the frame it is
        ``mean + tan(tilt)·pixel_size·(−x·sin(axis) + y·cos(axis))``.
        """
        per_y, per_x = lens.slope(self.tilt, self.tilt_axis, self.pixel_size)
        height, width = self.shape
        mean = (self.defocus_u + self.defocus_v) / 2
        return mean + per_y * (np.asarray(y) - (height - 1) / 2) + per_x * (np.asarray(x) - (width - 1) / 2)


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
    scene = _Scene(recipe, seed)
    return scene.truth, scene.expose()


def still(recipe: Recipe, seed: int) -> np.ndarray:
    """What `simulate` would show of the specimen without motion, damage, water and noise.

    Returns
    -------
    array (y, x), float32
        Molecules, film and drops as the lens and the camera show them, in the place that they have in the first
        frame; 1 where there is nothing. What a corrected sum has in common with it is signal.
    """
    return _Scene(recipe, seed).still()


class _Scene:
    """Everything about one movie before it is exposed: spectra of what is in view, and how it will move."""

    def __init__(self, recipe: Recipe, seed: int) -> None:
        self.recipe = recipe
        rng = self.rng = np.random.Generator(np.random.SFC64([seed, 0x6D6F76]))
        # What can be left out has draws of its own, so that a movie is the same with and without it.
        more = np.random.Generator(np.random.SFC64([seed, 0x6D6F7265]))

        def pick(value: Range, rng: np.random.Generator = rng) -> float:
            return float(rng.uniform(*value)) if isinstance(value, tuple | list) else float(value)

        mean, astigmatism, angle = pick(recipe.defocus), pick(recipe.astigmatism), pick(recipe.angle)
        phase_shift, b_factor = pick(recipe.phase_shift), pick(recipe.b_factor)
        drift, local = pick(recipe.drift), pick(recipe.local)
        motion = track.draw(recipe.frames, recipe.dose_per_frame, drift, recipe.jitter, local, rng)
        tilt, axis, thickness = (pick(v, more) for v in (recipe.tilt, recipe.tilt_axis, recipe.thickness))
        cover, gradient = pick(recipe.carbon, more), pick(recipe.ice_gradient, more)
        motion = track.ripple(motion, recipe.dose_per_frame, local, recipe.ripples, recipe.blur, more)
        self.motion = motion
        # The scene is larger than the frame by as much as it moves, so that new content enters at the edges.
        size = tuple(fft.next_fast_len(n + 2 * int(np.ceil(motion.reach + 8)), real=True) for n in recipe.shape)
        corner = self.corner = tuple((f - n) // 2 for f, n in zip(size, recipe.shape, strict=True))

        band = self.band = Band(size, recipe.pixel_size, limit=np.sqrt(12 / b_factor))  # the envelope has fallen to 5 %
        defocus = (mean + astigmatism / 2, mean - astigmatism / 2, angle)
        self.lens, envelope = self._lens(defocus, phase_shift, b_factor, (tilt, axis))

        atoms, positions, rotations = specimen.place(
            size, recipe.pixel_size, recipe.mass, recipe.density, recipe.molecule, rng
        )
        heights = _SLICE * np.rint(more.uniform(-0.5, 0.5, len(positions)) * thickness / _SLICE)
        self.protein = self._protein(atoms, positions, rotations, heights)
        depth = thickness or recipe.ice
        amplitude = specimen.water_amplitude(np.sqrt(band.k2), size, recipe.pixel_size, recipe.voltage, depth)
        self.water = self.lens.water(amplitude, thickness)
        self.film, self.shade, film_cover, places = self._film(cover, envelope, more)
        self.light = self.grain = None
        if gradient:
            slope = film.slope(recipe.shape, gradient, more)
            self.light = film.light(slope)
            self.grain = film.grain(slope, depth) if recipe.ice_grain and depth else None

        inside = positions - corner
        seen = np.all((inside > -0.5) & (inside < np.array(recipe.shape) - 0.5), axis=1)
        height, width = recipe.shape
        content = self.protein[0] if self.film is None else self.protein[0] + self.film[0]
        self.truth = Truth(
            *defocus,
            phase_shift,
            b_factor,
            motion,
            inside[seen],
            rotations[seen],
            band.deviation(content, np.sqrt(np.square(self.water[0]).sum(axis=0))),
            tuple(recipe.shape),
            recipe.pixel_size,
            tilt,
            axis,
            thickness,
            gradient,
            heights[seen],
            film_cover,
            places - (*corner, 0),
        )

    def expose(self) -> Iterator[np.ndarray]:
        """Count frame after frame while the specimen moves, protein fades and water forgets where it was."""
        recipe, band, motion, rng = self.recipe, self.band, self.motion, self.rng
        camera = recipe.detector
        rate = np.float32(recipe.dose_per_frame * recipe.pixel_size**2 * recipe.dqe) * camera.sensitivity
        exposure = recipe.dose_per_frame
        fade = np.exp(-exposure / (2 * specimen.critical_exposure(band.k2, recipe.voltage)), dtype=np.float32)
        keep = specimen.water_memory(band.k2, exposure * recipe.diffusion**2)
        filtered = np.float32(1) / band.spline() if motion.moves_locally else None
        protein = self.protein * np.sqrt(fade)  # a frame shows the damage done until its middle
        renewed = self.water * np.sqrt(1 - keep * keep)
        water = self._noise(self.water)
        for j in range(recipe.frames):
            if j:
                protein *= fade
                water *= keep
                water += self._noise(renewed)
            shift = band.smeared_shift(motion.path[j])
            if self.grain is None:
                contrast = self._form(protein + water, shift, j, filtered)
            else:
                contrast = self._form(protein, shift, j, filtered)
                contrast += self.grain * self._form(water, shift, j, filtered, bare=True)
            expected = contrast + np.float32(1)
            np.maximum(expected, 0, out=expected)
            if self.light is not None:
                expected *= self.light
            expected *= rate
            if recipe.coincidence:
                expected *= 1 - np.float32(recipe.coincidence) * expected
            expected += camera.glow
            yield detector.count(expected, rng)

    def still(self) -> np.ndarray:
        image = self._form(self.protein, None, 0, None) + np.float32(1)
        return image if self.light is None else image * self.light

    def _form(
        self,
        content: np.ndarray,
        shift: np.ndarray | None,
        frame: int,
        filtered: np.ndarray | None,
        bare: bool = False,
    ):
        """Contrast (y, x), float32, of the spectra of what fades and, unless `bare`, of all that does not."""
        if self.film is not None and not bare:
            content = content + self.film
        factor = shift if filtered is None else shift * filtered
        if factor is not None:
            content = factor * content
        shade = None if bare else self.shade
        if factor is not None and shade is not None:
            shade = factor * shade
        (top, left), (height, width) = self.corner, self.recipe.shape
        if filtered is not None:
            field = self.lens.image(content, plain=shade)
            from cryowidgets.sim.warp import warp

            return warp(field, self.motion.grid(frame, (height, width)), (top, left))
        return self.lens.image(content, slice(top, top + height), shade)[:, left : left + width]

    def _noise(self, weights: np.ndarray) -> np.ndarray:
        """Spectra (n, rows, columns) of random water with `weights` (n, noises, rows, columns)."""
        total = None
        for weight in weights.swapaxes(0, 1):
            waves = specimen.noise(self.band.shape, self.rng)
            if len(weight) == 1:
                waves *= weight[0]
                waves = waves[None]
            else:
                waves = weight * waves
            total = waves if total is None else total + waves
        return total

    def _lens(
        self, defocus: tuple[float, float, float], phase_shift: float, b_factor: float, tilt: tuple[float, float]
    ) -> tuple[lens.Lens, np.ndarray]:
        """The lens with envelope and camera, and these two alone."""
        recipe, band = self.recipe, self.band
        optics = (recipe.voltage, recipe.cs, recipe.amplitude_contrast)
        chi, u = lens.phases(band, recipe.pixel_size, defocus, optics, phase_shift)
        factors = [
            np.exp(-b_factor / 4 * band.k2),
            np.exp(np.log(recipe.mtf) * (2 * np.sqrt(band.k2) * recipe.pixel_size) ** 1.5),
        ]
        sine, cosine = (2 * (-wave(chi)).astype(np.float32) * factors[0] * factors[1] for wave in (np.sin, np.cos))
        slope = lens.slope(*tilt, recipe.pixel_size)
        return lens.Lens(band, sine, cosine, u, slope), factors[0] * factors[1]

    def _protein(self, atoms, positions, rotations, heights) -> np.ndarray:
        recipe, band = self.recipe, self.band

        def project(chosen):
            parts = (atoms, positions[chosen], rotations[chosen])
            return band.take(specimen.protein(band.field, recipe.pixel_size, recipe.voltage, *parts))

        if not np.any(heights):
            return self.lens.content(project(slice(None)))
        level, raised = np.zeros(band.shape, np.complex64), np.zeros(band.shape, np.complex64)
        for z in np.unique(heights):
            part = project(heights == z)
            level += part * np.cos(np.float32(z) * self.lens.u)
            raised += part * np.sin(np.float32(z) * self.lens.u)
        return self.lens.content(level, raised)

    def _film(self, cover: float, envelope: np.ndarray, rng: np.random.Generator):
        """Spectra of what never fades, through the lens and of the shade it throws; the film's cover; the drops."""
        recipe, band = self.recipe, self.band
        if not (cover or recipe.blobs or recipe.crystals):
            return None, None, None, np.zeros((0, 3))
        phase, shade, mask, places = np.zeros(band.field, np.float32), 0.0, None, np.zeros((0, 3))
        if cover:
            mask = film.carbon(band.field, recipe.shape, cover, recipe.pixel_size, rng)
            phase += film.carbon_phase(mask, recipe.pixel_size, recipe.voltage, rng)
            shade = film.loss(mask, 0.0)
            (top, left), (height, width) = self.corner, recipe.shape
            mask = mask[top : top + height, left : left + width] > 0.5
        if recipe.blobs:
            drops, places = film.blobs(band.field, recipe.blobs, recipe.pixel_size, rng)
            phase += film.blob_phase(drops)
            shade = shade + film.loss(0.0, drops)
        if recipe.crystals:
            phase += film.crystals(band.field, recipe.crystals, recipe.pixel_size, rng)
        seen = self.lens.content(band.take(fft.rfft2(phase)))
        shaded = np.broadcast_to(np.float32(shade), band.field) if np.ndim(shade) == 0 else shade
        return seen, -envelope * band.take(fft.rfft2(shaded)), mask, places
