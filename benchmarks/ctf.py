"""How well and how fast the CTF is measured: simulated movies, aligned, against their truth.

    python benchmarks/ctf.py [--sizes 1024 2048 4096] [--movies 20] [--seed 1000] [--phase] [--nothing 100]

Movies go the whole way, from a file with its gain through AlignMovie to EstimateCtf. Prints for each size the errors of
defocus U and V, of the astigmatism angle (where U − V > 300 Å) and of the phase shift; how many movies got no fit or
the wrong ring; whether the standard errors are true (pull: 1 is right); and seconds per micrograph on one core.
`--nothing` counts how often a fit is claimed for images of noise.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from cryowidgets.io import mrc
from cryowidgets.kernels import ctffit
from cryowidgets.model import Ctf, Movie
from cryowidgets.protocols.align_movie import AlignMovie
from cryowidgets.protocols.estimate_ctf import EstimateCtf
from cryowidgets.protocols.out import Out
from cryowidgets.sim.movie import Recipe, Truth, simulate

WRONG = 500.0
"""Å of mean defocus beyond which another ring was taken for the first."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1024, 2048, 4096], help="sides of the movies, px")
    parser.add_argument("--movies", type=int, default=20, help="movies of the smallest size; larger ones are fewer")
    parser.add_argument("--seed", type=int, default=1000, help="seed of the first movie")
    parser.add_argument("--pixel-size", type=float, default=1.2, help="Å/px")
    parser.add_argument("--phase", action="store_true", help="phase shifts of 20 to 160°, searched")
    parser.add_argument("--nothing", type=int, default=0, metavar="N", help="try N images of noise, too")
    options = parser.parse_args()

    print(
        f"{'size':>6} {'movies':>6} {'no fit':>6} {'wrong':>5} | {'U, V median':>11} {'95 %':>6} {'worst':>6} | "
        f"{'angle':>6} {'95 %':>6} | {'phase':>6} {'95 %':>6} | {'pull':>5} | {'fit Å':>6} | {'s':>5}"
    )
    with tempfile.TemporaryDirectory() as folder:
        for size in options.sizes:
            count = max(3, round(options.movies * (min(options.sizes) / size) ** 2))
            rows = [movie(Path(folder), size, options.seed + i, options) for i in range(count)]
            print(line(size, rows, options.phase), flush=True)
    if options.nothing:
        claimed = [nothing(options.seed + i) for i in range(options.nothing)]
        print(f"a fit is claimed for {sum(claimed)} of {len(claimed)} images of noise")


def movie(folder: Path, size: int, seed: int, options: argparse.Namespace) -> tuple[Truth, Ctf, float, float]:
    """Truth, result, its standard error over the true error, and seconds of one movie."""
    rng = np.random.default_rng(seed)
    recipe = Recipe(
        shape=(size, size),
        pixel_size=options.pixel_size,
        dose_per_frame=float(rng.uniform(1.25, 2)),
        astigmatism=(0.0, 1500.0),
        b_factor=(50.0, 100.0),
        phase_shift=(20.0, 160.0) if options.phase else 0.0,
    )
    simulated = simulate(recipe, seed)
    mrc.write(folder / "movie.mrcs", simulated.frames, recipe.pixel_size)
    mrc.write(folder / "gain.mrc", simulated.gain.astype(np.float32), recipe.pixel_size)
    item = Movie(name="m", path=str(folder / "movie.mrcs"), gain=str(folder / "gain.mrc"), optics=recipe.optics)
    out = Out(folder, ".", "m")
    micrograph = AlignMovie().process(item, out)
    out.commit()
    micrograph = micrograph.located(folder)
    micrograph = type(micrograph)(**{**vars(micrograph), "name": "m", "optics": recipe.optics})
    out = Out(folder, ".", "m")
    start = time.process_time()
    ctf = EstimateCtf(search_phase=options.phase).process(micrograph, out)
    seconds = time.process_time() - start
    out.commit()
    return simulated.truth, ctf, (mean(ctf) - mean(simulated.truth)) / ctf.defocus_error, seconds


def mean(ctf: Ctf | Truth) -> float:
    return 0.5 * (ctf.defocus_u + ctf.defocus_v)


def line(size: int, rows: list[tuple[Truth, Ctf, float, float]], phase: bool) -> str:
    found = [row for row in rows if not row[1].reason]
    wrong = [row for row in found if abs(mean(row[1]) - mean(row[0])) > WRONG]
    right = [row for row in found if row not in wrong]
    defocus = np.abs([[c.defocus_u - t.defocus_u, c.defocus_v - t.defocus_v] for t, c, _, _ in right])
    angle = np.abs([turned(c.angle, t.angle) for t, c, _, _ in right if t.defocus_u - t.defocus_v > 300])
    shift = np.abs([turned(c.phase_shift, t.phase_shift) for t, c, _, _ in right]) if phase else np.zeros(1)
    pull = np.sqrt(np.mean(np.square([row[2] for row in right])))
    resolution = np.median([row[1].fit_resolution for row in right])
    return (
        f"{size:6d} {len(rows):6d} {len(rows) - len(found):6d} {len(wrong):5d} | {np.median(defocus):9.0f} Å "
        f"{np.percentile(defocus, 95):6.0f} {defocus.max():6.0f} | "
        f"{np.median(angle):5.1f}° {np.percentile(angle, 95):6.1f} | "
        f"{np.median(shift):5.1f}° {np.percentile(shift, 95):6.1f} | {pull:5.2f} | {resolution:6.2f} | "
        f"{np.median([row[3] for row in rows]):5.2f}"
    )


def turned(angle: float, true: float) -> float:
    return (angle - true + 90) % 180 - 90


def nothing(seed: int) -> bool:
    image = np.random.default_rng(seed).poisson(30, (1024, 1024)).astype(np.float32)
    return ctffit.estimate(image, 1.2, 300.0, 2.7, 0.1)[0].found


if __name__ == "__main__":
    main()
