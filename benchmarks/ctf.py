"""How well and how fast the CTF is measured: simulated movies against their truth.

    python benchmarks/ctf.py [--sizes 1024 2048 4096] [--movies 20] [--seed 1000] [--still] [--phase] [--groups DOSE]
                             [--hard] [--tilt] [--thickness] [--nothing 100]

Movies go the whole way, from a file with its gain through AlignMovie to EstimateCtf; with `--still` they do not move,
and nothing but the CTF is on trial. Prints for each size how many movies got no fit or the wrong ring; root mean square
errors of mean defocus, astigmatism (U − V) and its angle (where U − V > 300 Å), the median error of U and V; of the
phase shift; whether the standard errors are true (pull: 1 is right); and seconds per micrograph on one core. Errors of
tilt, axis and thickness follow where they are asked for. `--nothing` counts how often a fit is claimed for noise.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cryowidgets.io import mrc
from cryowidgets.kernels import ctffit
from cryowidgets.kernels.spectrum import average, power_spectrum
from cryowidgets.model import Ctf, Micrograph, Movie
from cryowidgets.protocols.align_movie import AlignMovie
from cryowidgets.protocols.estimate_ctf import EstimateCtf
from cryowidgets.protocols.out import Out
from cryowidgets.protocols.spectra import write_spectrum
from cryowidgets.sim.movie import Truth, simulate, stream
from cryowidgets.sim.recipe import Recipe, hard

WRONG = 500.0
"""Å of mean defocus beyond which another ring was taken for the first."""


@dataclass
class Row:
    truth: Truth
    ctf: Ctf
    seconds: float

    @property
    def mean(self) -> float:
        return 0.5 * (self.ctf.defocus_u + self.ctf.defocus_v) - 0.5 * (self.truth.defocus_u + self.truth.defocus_v)

    @property
    def astigmatism(self) -> float:
        return self.ctf.astigmatism - (self.truth.defocus_u - self.truth.defocus_v)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1024, 2048, 4096], help="sides of the movies, px")
    parser.add_argument("--movies", type=int, default=20, help="movies of the smallest size; larger ones are fewer")
    parser.add_argument("--seed", type=int, default=1000, help="seed of the first movie")
    parser.add_argument("--pixel-size", type=float, default=1.2, help="Å/px")
    parser.add_argument("--density", type=float, default=5000.0, help="molecules per µm²")
    parser.add_argument("--defocus", type=float, nargs=2, default=(7000.0, 30000.0), help="Å")
    parser.add_argument("--still", action="store_true", help="nothing moves; whole micrographs, fewer frames")
    parser.add_argument("--phase", action="store_true", help="phase shifts of 20 to 160°, searched")
    parser.add_argument(
        "--groups", type=float, default=0.0, metavar="DOSE", help="with --still: spectra of groups of so many e/Å², too"
    )
    parser.add_argument("--hard", action="store_true", help="carbon, dirt, uneven ice")
    parser.add_argument("--tilt", action="store_true", help="tilts of 20 to 40°, measured")
    parser.add_argument("--thickness", action="store_true", help="thickness of 80 to 300 nm, measured")
    parser.add_argument("--nothing", type=int, default=0, metavar="N", help="try N images of noise, too")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        for size in options.sizes:
            count = max(3, round(options.movies * (min(options.sizes) / size) ** 2))
            rows = [movie(Path(folder), size, options.seed + i, options) for i in range(count)]
            print(line(size, rows, options), flush=True)
    if options.nothing:
        claimed = [nothing(options.seed + i) for i in range(options.nothing)]
        print(f"a fit is claimed for {sum(claimed)} of {len(claimed)} images of noise")


def movie(folder: Path, size: int, seed: int, options: argparse.Namespace) -> Row:
    """Truth, result and seconds of one movie."""
    recipe = made(size, seed, options)
    micrograph, truth = (still if options.still else aligned)(folder, recipe, seed, options)
    protocol = EstimateCtf(search_phase=options.phase, fit_tilt=options.tilt, fit_thickness=options.thickness)
    out = Out(folder, ".", "m")
    start = time.process_time()
    ctf = protocol.process(micrograph, out)
    seconds = time.process_time() - start
    out.commit()
    return Row(truth, ctf, seconds)


def made(size: int, seed: int, options: argparse.Namespace) -> Recipe:
    rng = np.random.default_rng(seed)
    more = {}
    if options.still:
        more = {"frames": 10, "drift": 0.0, "jitter": 0.0, "hot": 0.0, "dead": 0.0}
    dose = float(rng.uniform(1.25, 2)) * (2 if options.still else 1)
    recipe = Recipe(
        shape=(size, size),
        pixel_size=options.pixel_size,
        dose_per_frame=dose,
        defocus=tuple(options.defocus),
        astigmatism=(0.0, 1500.0),
        b_factor=(50.0, 100.0),
        density=options.density,
        phase_shift=(20.0, 160.0) if options.phase else 0.0,
        tilt=(20.0, 40.0) if options.tilt else 0.0,
        tilt_axis=(-180.0, 180.0) if options.tilt else 0.0,
        thickness=(800.0, 3000.0) if options.thickness else 0.0,
        **more,
    )
    if options.hard:
        recipe = dataclasses.replace(hard(recipe), **({"local": 0.0, "jitter": 0.0} if options.still else {}))
    return recipe


def aligned(folder: Path, recipe: Recipe, seed: int, options: argparse.Namespace) -> tuple[Micrograph, Truth]:
    """The way that movies go."""
    simulated = simulate(recipe, seed)
    mrc.write(folder / "movie.mrcs", simulated.frames, recipe.pixel_size)
    mrc.write(folder / "gain.mrc", simulated.gain.astype(np.float32), recipe.pixel_size)
    item = Movie(name="m", path=str(folder / "movie.mrcs"), gain=str(folder / "gain.mrc"), optics=recipe.optics)
    out = Out(folder, ".", "m")
    micrograph = AlignMovie().process(item, out)
    out.commit()
    micrograph = micrograph.located(folder)
    return type(micrograph)(**{**vars(micrograph), "name": "m", "optics": recipe.optics}), simulated.truth


def still(folder: Path, recipe: Recipe, seed: int, options: argparse.Namespace) -> tuple[Micrograph, Truth]:
    """A movie of which nothing but the sum is kept, and the mean spectrum of groups of its frames."""
    truth, frames = stream(recipe, seed)
    gain = recipe.detector.gain
    total = np.zeros(recipe.shape, np.float32)
    each = max(round(options.groups / recipe.dose_per_frame), 1)
    group, spectra, kept = np.zeros(recipe.shape, np.float32), [], ""
    for j, frame in enumerate(frames):
        total += frame
        group += frame
        if options.groups and (j + 1) % each == 0:
            spectra.append(power_spectrum(group * gain, recipe.pixel_size))
            group[:] = 0
    if spectra:
        kept = str(folder / "spectrum.mrc")
        write_spectrum(kept, average(spectra))
    mrc.write(folder / "sum.mrc", total * gain, recipe.pixel_size)
    micrograph = Micrograph(
        name="m",
        path=str(folder / "sum.mrc"),
        power_spectrum=kept,
        optics=recipe.optics,
        pixel_size=recipe.pixel_size,
        height=recipe.shape[0],
        width=recipe.shape[1],
    )
    return micrograph, truth


def line(size: int, rows: list[Row], options: argparse.Namespace) -> str:
    found = [row for row in rows if not row.ctf.reason]
    right = [row for row in found if abs(row.mean) <= WRONG]
    seconds = np.median([row.seconds for row in rows])
    head = f"{size:5d}: {len(rows)} movies, {len(rows) - len(found)} no fit, {len(found) - len(right)} wrong ring"
    if not right:
        return head
    astigmatic = [row for row in right if row.truth.defocus_u - row.truth.defocus_v > 300]
    angles = np.array([turned(row.ctf.angle, row.truth.angle, 180) for row in astigmatic] or [np.nan])
    both = [[r.ctf.defocus_u - r.truth.defocus_u, r.ctf.defocus_v - r.truth.defocus_v] for r in right]
    parts = [
        head,
        f"mean {rms([r.mean for r in right]):.1f} Å (pull {rms([r.mean / r.ctf.defocus_error for r in right]):.2f})",
        f"U − V {rms([r.astigmatism for r in right]):.0f} Å "
        f"(pull {rms([r.astigmatism / r.ctf.astigmatism_error for r in right]):.2f})",
        f"angle {rms(angles):.1f}°, median {np.median(np.abs(angles)):.1f}° "
        f"(pull {rms([a / r.ctf.angle_error for a, r in zip(angles, astigmatic, strict=False)] or [np.nan]):.2f})",
        f"U, V median {np.median(np.abs(both)):.0f} Å, 95 % {np.percentile(np.abs(both), 95):.0f} Å",
        f"{np.median([row.ctf.fit_resolution for row in right]):.2f} Å",
        f"{seconds:.2f} s",
    ]
    if options.phase:
        shifts = [turned(row.ctf.phase_shift, row.truth.phase_shift, 180) for row in right]
        pull = rms([s / r.ctf.phase_error for s, r in zip(shifts, right, strict=True)])
        parts.append(f"phase {rms(shifts):.1f}°, median {np.median(np.abs(shifts)):.1f}° (pull {pull:.2f})")
    if options.tilt:
        seen = [row for row in right if np.isfinite(row.ctf.tilt)]
        tilts = [row.ctf.tilt - row.truth.tilt for row in seen]
        axes = [turned(row.ctf.tilt_axis, row.truth.tilt_axis, 360) for row in seen]
        pull = rms([t / r.ctf.tilt_error for t, r in zip(tilts, seen, strict=True)])
        parts.append(
            f"tilt {rms(tilts):.2f}°, worst {np.abs(tilts).max():.2f}° (pull {pull:.2f}), axis {rms(axes):.2f}°"
        )
    if options.thickness:
        seen = [row for row in right if np.isfinite(row.ctf.thickness)]
        errors = np.array([row.ctf.thickness - row.truth.thickness for row in seen] or [np.nan])
        pull = rms([e / r.ctf.thickness_error for e, r in zip(errors, seen, strict=False)] or [np.nan])
        parts.append(
            f"thickness of {len(seen)}: {rms(errors):.0f} Å, worst {np.abs(errors).max():.0f} Å (pull {pull:.2f})"
        )
    if options.hard:
        cover = [row.ctf.carbon - float(np.mean(row.truth.carbon)) for row in rows if row.truth.carbon is not None]
        parts.append(f"carbon cover {rms(cover):.2f}")
    return " | ".join(parts)


def rms(values: list[float] | np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def turned(angle: float, true: float, period: float) -> float:
    return (angle - true + period / 2) % period - period / 2


def nothing(seed: int) -> bool:
    image = np.random.default_rng(seed).poisson(30, (1024, 1024)).astype(np.float32)
    return ctffit.estimate(image, 1.2, 300.0, 2.7, 0.1)[0].found


if __name__ == "__main__":
    main()
