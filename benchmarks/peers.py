"""Programs of others beside ours, on the same data, through the steps that wrap them.

    python benchmarks/peers.py picks [--seeds 64:66] [--real FOLDER] [--program LoG Topaz] [--model resnet16_u32 …]
    python benchmarks/peers.py extraction classes resolution motion

RELION's programs and Topaz have to be on the PATH. FOLDER is that of ``benchmarks/picks.py --real``. CPU seconds are
those of the programs and of what our steps do around them. Not a test: nothing fails here.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import classes
import numpy as np
import picks
from scipy.stats import spearmanr

from cryowidgets import cpu
from cryowidgets.io import coordinates, mrc, star
from cryowidgets.io.coordinates import Coordinates
from cryowidgets.kernels import localresolution
from cryowidgets.kernels.classify import Assigned
from cryowidgets.kernels.pickconsensus import pairs
from cryowidgets.model import Ctf, Micrograph, Movie, Optics, Particles, Picks
from cryowidgets.protocols.align_movie import AlignMovie
from cryowidgets.protocols.base import Protocol
from cryowidgets.protocols.extract_particles import ExtractParticles
from cryowidgets.protocols.out import Out
from cryowidgets.protocols.relion_autopick import RelionAutopick
from cryowidgets.protocols.relion_class2d import RelionClass2D
from cryowidgets.protocols.relion_extract import RelionExtract
from cryowidgets.protocols.relion_motioncorr import RelionMotioncorr
from cryowidgets.protocols.topaz import Topaz
from cryowidgets.sim import halfmaps, particles
from cryowidgets.sim.movie import simulate
from cryowidgets.sim.recipe import Recipe


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="+", choices=list(PARTS))
    parser.add_argument("--seeds", default="64:66")
    parser.add_argument("--real", type=Path)
    parser.add_argument("--program", nargs="*", default=["LoG", "Topaz"])
    parser.add_argument("--model", nargs="*", default=["resnet16_u32"], help="of Topaz")
    parser.add_argument("--downscale", type=int, default=0, help="of Topaz")
    parser.add_argument("--size", type=int, default=2048, help="of movies, px")
    parser.add_argument("--particles", type=int, default=400, help="to be sorted")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    cpu.set_threads(options.threads)
    for part in options.parts:
        with tempfile.TemporaryDirectory() as name:
            PARTS[part](Path(name), options)


# picks


def picked(folder: Path, options: argparse.Namespace) -> None:
    print(f"{'picker':20s} {'picture':35s}  picks  precision  recall     F1  best F1  AUPRC  CPU s  wall s")
    if options.real:
        for name, image, centres in picks.pictures(options.real):
            optics = Optics(pixel_size=1.77, voltage=300.0, cs=2.0, amplitude_contrast=0.1)
            for picker in pickers(155.0, 35.0, options):
                found, low, spent = searched(folder, image, optics, *picker[1:])
                right = len(pairs(found.places, centres, 54.0))
                told = right / max(len(found.places), 1), right / len(centres)
                line(picker[0], name, found, told, picks.curve(low, centres, centres, 54.0), spent)
        return
    for kind, mass, density in picks.CASES:
        for seed in range(*map(int, options.seeds.split(":"))):
            recipe = picks.made(kind, mass, density, seed, 2048)
            movie, diameter = simulate(recipe, seed), picks.across(mass, seed)
            for picker in pickers(diameter, 0.2 * diameter, options):
                found, low, spent = searched(folder, movie.frames[0] * movie.gain, recipe.optics, *picker[1:])
                told = picks.judged(found, movie.truth, diameter, 2048)
                best = picks.best_of(low, movie.truth, diameter, 2048)
                line(picker[0], f"{kind} {mass:g} kDa {density:g} seed {seed}", found, told, best, spent)


def pickers(diameter: float, spread: float, options: argparse.Namespace) -> Iterator[tuple[str, Protocol, Protocol]]:
    """Name, the step as it is, and with a threshold so low that the best one is above."""
    if "LoG" in options.program:
        sizes = {"diameter_min": diameter - spread, "diameter_max": diameter + spread}
        yield "RELION LoG", RelionAutopick(**sizes), RelionAutopick(**sizes, log_threshold=-1.0)
    for model in options.model if "Topaz" in options.program else []:
        told = {"diameter": diameter, "model": model, "downscale": options.downscale}
        yield f"Topaz {model}", Topaz(**told), Topaz(**told, threshold=-4.0)


def searched(
    folder: Path, image: np.ndarray, optics: Optics, step: Protocol, low: Protocol
) -> tuple[Coordinates, Coordinates, list[float]]:
    """What the step finds, what there is above the low threshold, and what the step took."""
    micrograph = written(folder / "m.mrc", image, optics)
    if isinstance(low, Topaz):  # the best come first, and each keeps others away: a cut is what a run would find
        found, spent = _run(low, folder, micrograph)
        return found.kept(found.scores >= step.threshold), found, spent
    lens = Ctf(micrograph=micrograph.path)
    found, spent = _run(step, folder, micrograph, lens)
    return found, _run(low, folder, micrograph, lens)[0], spent


def _run(step: Protocol, folder: Path, *items: Micrograph | Ctf) -> tuple[Coordinates, list[float]]:
    out = Out(folder, "steps/picks", "m")
    with spending() as spent:
        made = step.process(*items, out)
    out.commit()
    return coordinates.read(folder / made.path), spent


def line(
    name: str, picture: str, found: Coordinates, told: tuple, best: tuple[float, float], spent: list[float]
) -> None:
    f1 = 2 * told[0] * told[1] / max(told[0] + told[1], 1e-9)
    print(
        f"{name:20s} {picture:35s} {len(found.places):6d} {told[0]:10.3f} {told[1]:7.3f} {f1:6.3f} {best[0]:8.3f} "
        f"{best[1]:6.3f} {spent[0]:6.1f} {spent[1]:7.1f}",
        flush=True,
    )


# particles


def extraction(folder: Path, options: argparse.Namespace) -> None:
    """Largest difference of pictures in deviations of the background, where both cut out the same pixels."""
    for seed in range(*map(int, options.seeds.split(":"))):
        recipe = picks.made("plain", 500.0, 1500.0, seed, 2048)
        movie = simulate(recipe, seed)
        truth = movie.truth
        micrograph = written(folder / "m.mrc", movie.frames[0] * movie.gain, recipe.optics)
        lens = Ctf(micrograph=micrograph.path, defocus_u=truth.defocus_u, defocus_v=truth.defocus_v, angle=truth.angle)
        for places, said in ((np.rint(truth.positions), "whole px"), (truth.positions, "parts of px")):
            coordinates.write(folder / "picks.star", Coordinates(places, np.ones(len(places))))
            found = Picks(
                path=str(folder / "picks.star"), micrograph=micrograph.path, count=len(places), diameter=160.0,
                pixel_size=recipe.pixel_size,
            )  # fmt: skip
            for told in ({}, {"scale": 100}, {"scale": 64, "invert": False}):
                (a, ours, spent), (b, theirs, their_spent) = (
                    _cut_out(step(box=200, background=180.0, **told), folder, micrograph, lens, found)
                    for step in (ExtractParticles, RelionExtract)
                )
                same = pairs(a, b, 0.01)
                away = np.abs(ours[same[:, 0]] - theirs[same[:, 1]]).max(axis=(1, 2))
                alike = away < 0.1
                print(
                    f"seed {seed}, places in {said}, {told}: {len(a)} and {len(b)} pictures, {alike.sum()} of the "
                    f"same pixels, which differ by {away[alike].max():.1e} at most; CPU s {spent[0]:.1f}, "
                    f"{their_spent[0]:.1f}",
                    flush=True,
                )


def _cut_out(step: Protocol, folder: Path, *items: Micrograph | Ctf | Picks) -> tuple[np.ndarray, np.ndarray, list]:
    out = Out(folder, "steps/particles", "m")
    with spending() as spent:
        made = step.process(*items, out)
    out.commit()
    table = star.read(folder / made.metadata)["particles"]
    places = np.array([table["rlnCoordinateY"], table["rlnCoordinateX"]]).T
    return places, mrc.read_stack(folder / made.path), spent


def classified(folder: Path, options: argparse.Namespace, number: int = 24) -> None:
    """Purity, and CPU time with all that they are given, for RELION's expectation maximisation and for ours."""
    count = options.particles
    for seed in range(*map(int, options.seeds.split(":"))):
        stack = particles.simulate(count, snr=0.1, seed=seed)
        files = particles.write(stack, folder)
        box, size = stack.pictures.shape[1], stack.pixel_size
        items = [
            Particles(path=str(a), metadata=str(b), count=100, box=box, pixel_size=size, diameter=stack.diameter)
            for a, b in files
        ]
        out = Out(folder, "steps/classes", f"s{seed}")
        with spending() as spent:
            made = RelionClass2D(classes=number, method="EM", shift_range=3.0).process(items, None, out)
        out.commit()
        table = star.read(folder / made.metadata)["particles"]
        order = {name: at for at, name in enumerate(_names(files))}
        klass = np.zeros(count, int)
        for name, value in zip(table["rlnImageName"], table["rlnClassNumber"], strict=True):
            klass[order[name]] = value - 1
        _sorted("RELION EM, 25", seed, klass, stack.view, spent)
        with spending() as spent:
            sorting = classes.begun(stack, np.arange(count), seed, number)
            parts = [sorting.assign(*classes.some(stack, index)) for index in classes.pieces(np.arange(count), 500)]
        _sorted("ours", seed, Assigned.together(parts).klass, stack.view, spent)


def _names(files: list[tuple[Path, Path]]) -> list[str]:
    return [name for _, path in files for name in star.read(path)["particles"]["rlnImageName"]]


def _sorted(name: str, seed: int, klass: np.ndarray, view: np.ndarray, spent: list[float]) -> None:
    used = np.mean(np.bincount(klass, minlength=24) > 0.005 * len(klass))
    each = 1e3 * spent[0] / len(klass)
    print(
        f"{name:14s} {seed}: purity {classes.purity(klass, view):.3f} NMI {classes.nmi(klass, view):.3f} used "
        f"{used:.2f}; CPU s per 1,000 {each:.1f}, wall s in all {spent[1]:.0f}",
        flush=True,
    )


# maps


def resolution(folder: Path, options: argparse.Namespace, pixel: float = 1.3) -> None:
    """Ranks of places by our map of the resolution, by RELION's, and in truth."""
    for box, sampling in ((64, 10.0), (128, 25.0)):
        for seed in range(*map(int, options.seeds.split(":"))):
            for sharp in (False, True):
                made = halfmaps.simulate((box,) * 3, pixel, sharp=sharp, seed=seed)
                mask = made.mask.astype(np.float32)
                with spending() as spent:
                    ours = localresolution.by_halves(made.half1, made.half2, mask, pixel).values
                theirs, their_spent = _locres(folder, made, sampling)
                a, b, truth = ours[made.mask], theirs[made.mask], made.truth[made.mask]
                ranks = [spearmanr(*pair)[0] for pair in ((a, b), (a, truth), (b, truth))]
                far = np.abs(made.distance[made.mask]) * pixel > 12
                medians = [f"{np.median(x[far & (truth == side)]):.2f}" for side in (4.0, 8.0) for x in (a, b)]
                print(
                    f"{box}³, every {sampling:g} Å, {'sharp' if sharp else 'gentle'}, seed {seed}: Spearman of ours "
                    f"and theirs {ranks[0]:.2f}, of ours and the truth {ranks[1]:.2f}, of theirs and the truth "
                    f"{ranks[2]:.2f}; medians at 4 Å {medians[0]}, {medians[1]}, at 8 Å {medians[2]}, {medians[3]}; "
                    f"CPU s {spent[0]:.1f}, {their_spent[0]:.1f}",
                    flush=True,
                )


def _locres(folder: Path, made: halfmaps.HalfMaps, sampling: float) -> tuple[np.ndarray, list[float]]:
    for number, half in enumerate((made.half1, made.half2), start=1):
        mrc.write(folder / f"half{number}.mrc", half, made.pixel_size)
    words = "relion_postprocess --i half1.mrc --i2 half2.mrc --o post --locres --angpix".split()
    words += [str(made.pixel_size), "--locres_sampling", str(sampling)]
    with spending() as spent:
        subprocess.run(words, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return mrc.read(folder / "post_locres.mrc"), spent


# movies


def motion(folder: Path, options: argparse.Namespace) -> None:
    for seed in range(*map(int, options.seeds.split(":"))):
        recipe = Recipe(shape=(options.size,) * 2, frames=20, dose_per_frame=1.5, hot=0.0, dead=0.0)
        made = simulate(recipe, seed)
        mrc.write(folder / "movie.mrc", made.frames, recipe.pixel_size)
        mrc.write(folder / "gain.mrc", made.gain)
        movie = Movie(
            name="movie", path=str(folder / "movie.mrc"), optics=recipe.optics, frames=20, gain=str(folder / "gain.mrc")
        )
        found = []
        for number, step in enumerate((AlignMovie(), RelionMotioncorr())):
            out = Out(folder, f"steps/motion{number}", f"m{seed}")
            with spending() as spent:
                shifts = step.process(movie, out).shifts
            out.commit()
            found.append(shifts - shifts.mean(axis=0))
            away = found[-1] - (made.truth.shifts - made.truth.shifts.mean(axis=0))
            print(f"{type(step).__name__:17s} {seed}: error {_rms(away):.3f} px, CPU s {spent[0]:.0f}")
        print(f"  they differ by {_rms(found[0] - found[1]):.3f} px", flush=True)


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.square(values).mean()))


# what all have in common


def written(path: Path, image: np.ndarray, optics: Optics) -> Micrograph:
    mrc.write(path, image.astype(np.float32), optics.pixel_size)
    height, width = image.shape
    return Micrograph(
        name=path.stem, path=str(path), optics=optics, pixel_size=optics.pixel_size, height=height, width=width
    )


@contextmanager
def spending() -> Iterator[list[float]]:
    """CPU s of this process and of those it has waited for, and wall s."""
    spent: list[float] = []
    before, clock = _cpu(), time.perf_counter()
    yield spent
    spent += [_cpu() - before, time.perf_counter() - clock]


def _cpu() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


PARTS = {
    "picks": picked,
    "extraction": extraction,
    "classes": classified,
    "resolution": resolution,
    "motion": motion,
}

if __name__ == "__main__":
    main()
