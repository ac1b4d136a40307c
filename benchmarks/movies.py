"""Where the time of a movie goes: each stage from the file to micrograph and CTF, beside what cannot be avoided.

    python benchmarks/movies.py --movies 1k 4k k3 eer --threads 1 2
    python benchmarks/movies.py --movies 1k k3 --together 2

Movies are simulated once and kept in --folder: 1k is 1024² × 20 MRC, 4k is 4096² × 24 LZW TIFF, k3 is 5760 × 4092 × 40
LZW TIFF, eer is 4096² × 300 raw frames of a Falcon 4. Wall and CPU seconds are the best of --repeat runs, as a worker
needs them that has done a movie before. The floor is what any program must do that works this way: read and decode
every byte once, and one transform of the frame's size for each of the sums and micrographs. Memory is the peak of a
process that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import dask
import distributed  # noqa: F401  it has the settings of its workers
import numpy as np

from cryowidgets import cpu
from cryowidgets.io import eerwrite, mrc, tiff
from cryowidgets.io.movie import open_movie
from cryowidgets.kernels import fourier, gain, localmotion, motion, spectrum, sums
from cryowidgets.model import Movie
from cryowidgets.protocols import align_movie, estimate_ctf
from cryowidgets.protocols.out import Out
from cryowidgets.protocols.raw import Raw
from cryowidgets.sim.movie import simulate, stream
from cryowidgets.sim.recipe import Recipe

PRESETS = {
    "1k": (Recipe(shape=(1024, 1024), frames=20, dose_per_frame=1.5, pixel_size=1.2, local=1.0), ".mrc"),
    "4k": (Recipe(shape=(4096, 4096), frames=24, dose_per_frame=1.2, pixel_size=1.0, local=2.0), ".tif"),
    "k3": (Recipe(shape=(4092, 5760), frames=40, dose_per_frame=1.25, pixel_size=0.83, local=2.0), ".tif"),
    "eer": (Recipe(shape=(4096, 4096), frames=30, dose_per_frame=1.2, pixel_size=0.95, local=2.0), ".eer"),
}
RAW_FRAMES = 10  # of EER in a fraction


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--movies", nargs="+", default=["1k", "4k"], choices=PRESETS)
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--together", type=int, help="instead: so many processes at once, as the engine has workers")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "cryowidgets-movies")
    args = parser.parse_args()
    for name in args.movies:
        prepare(name, args.folder)
        if args.together:
            each = together(name, args.folder, args.together, args.repeat)
            print(f"{name}, {args.together} processes of one thread: {each:.2f} s for each movie")
            continue
        for threads in args.threads:
            runs = [_apart(measure, name, args.folder, threads) for _ in range(args.repeat)]
            best = {stage: min((run["stages"][stage] for run in runs), key=_spent) for stage in runs[0]["stages"]}
            floor = min((_apart(floors, name, args.folder, threads) for _ in range(args.repeat)), key=_spent)
            print(f"\n{name} on {threads} thread{'s' * (threads > 1)}: wall, CPU s")
            for stage, (wall, spent) in best.items():
                print(f"    {stage:<22}{wall:8.2f}{spent:8.2f}")
            print(f"    {'floor':<22}{floor[0]:8.2f}{floor[1]:8.2f}")
            print(f"    {'whole over floor':<22}{best['whole'][0] / floor[0]:8.1f}{best['whole'][1] / floor[1]:8.1f}")
            print(f"    peak memory {runs[0]['memory']:.2f} GB, error {runs[0]['error']:.3f} px along an axis")


def prepare(name: str, folder: Path) -> None:
    """Simulate the movie unless it is there."""
    recipe, suffix = PRESETS[name]
    path = folder / f"{name}{suffix}"
    if path.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f"half{suffix}")
    truth, frames = stream(recipe, 1)
    if suffix == ".tif":
        tiff.write(half, frames)
    elif suffix == ".mrc":
        mrc.write(half, simulate(recipe, 1).frames, recipe.pixel_size)
    else:
        eerwrite.write(half, _raw_frames(frames))
    mrc.write(folder / f"{name}_gain.mrc", recipe.detector.gain, recipe.pixel_size)
    y, x = (np.linspace(0, n - 1, 9) for n in recipe.shape)
    places = np.stack(np.meshgrid(y, x, indexing="ij"), axis=-1).reshape(-1, 2)
    tracks = np.stack([truth.displacement(j, *places.T).T for j in range(recipe.frames)], axis=1)
    (folder / f"{name}.json").write_text(json.dumps({"places": places.tolist(), "tracks": tracks.tolist()}))
    half.rename(path)


def measure(name: str, folder: Path, threads: int) -> dict:
    """The second of two runs: seconds of each stage, peak memory (GB), and error of the displacement field (px)."""
    cpu.keep_memory()
    cpu.set_threads(threads)
    _run(name, folder)
    return _run(name, folder)


def _run(name: str, folder: Path) -> dict:
    recipe, suffix = PRESETS[name]
    times: dict[str, list[float]] = {}
    found = {}

    def local(*args, **kwargs):
        found["motion"] = original(*args, **kwargs)
        return found["motion"]

    original = localmotion.measure
    steps = [
        (Raw, "_sum", "read, decode, add"),
        (gain, "find_defects", "defects"),
        (motion, "align", "whole frame"),
        (align_movie, "add_up", "move, weight, transform"),
        (spectrum, "power_spectrum", "spectra of groups"),
    ]
    optics = recipe.optics
    if suffix == ".eer":
        optics = optics.__class__(**{**vars(optics), "dose_per_frame": recipe.dose_per_frame / RAW_FRAMES})
    movie = Movie(name=name, path=str(folder / f"{name}{suffix}"), gain=str(folder / f"{name}_gain.mrc"), optics=optics)
    with tempfile.TemporaryDirectory() as place, mock.patch.object(localmotion, "measure", local):
        patches = [mock.patch.object(of, step, _timed(getattr(of, step), times, label)) for of, step, label in steps]
        patches.append(mock.patch.object(localmotion, "measure", _timed(local, times, "local motion")))
        for patch in patches:
            patch.start()
        project = Path(place)
        for step in ("align", "ctf"):
            (project / step).mkdir()
        with _clock(times, "whole"):
            with _clock(times, "AlignMovie"):
                out = Out(project, "align", name)
                options = {"eer_group": RAW_FRAMES} if suffix == ".eer" else {}
                micrograph = align_movie.AlignMovie(memory=4, **options).process(movie, out)
                out.commit()
            mock.patch.stopall()
            with _clock(times, "EstimateCtf"):
                out = Out(project, "ctf", name)
                item = micrograph.located(project)
                estimate_ctf.EstimateCtf().process(item.__class__(**{**vars(item), "optics": optics}), out)
    times["move, weight, transform"] = [
        a - b for a, b in zip(times["move, weight, transform"], times.get("spectra of groups", [0, 0]), strict=True)
    ]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    truth = json.loads((folder / f"{name}.json").read_text())
    wrong = found["motion"].at(*np.array(truth["places"]).T) - np.array(truth["tracks"])
    wrong -= wrong.mean(axis=1, keepdims=True)
    return {"stages": times, "memory": memory, "error": float(np.sqrt(np.square(wrong).mean()))}


def together(name: str, folder: Path, processes: int, repeat: int) -> float:
    """Wall seconds for each movie, from file to CTF, where so many processes each do one after the other."""
    _as_worker()
    spawn = multiprocessing.get_context("spawn")
    ready = spawn.Barrier(processes + 1)
    running = [spawn.Process(target=_one_after_the_other, args=(name, folder, repeat, ready)) for _ in range(processes)]
    for process in running:
        process.start()
    ready.wait()
    began = time.perf_counter()
    for process in running:
        process.join()
    return (time.perf_counter() - began) / (processes * repeat)


def _one_after_the_other(name: str, folder: Path, repeat: int, ready) -> None:
    cpu.keep_memory()
    cpu.set_threads(1)
    _run(name, folder)
    ready.wait()
    for _ in range(repeat):
        _run(name, folder)


def floors(name: str, folder: Path, threads: int) -> tuple[float, float]:
    """Wall and CPU seconds of decoding the frames, and of the transforms of sums and micrographs."""
    cpu.keep_memory()
    cpu.set_threads(threads)
    recipe, suffix = PRESETS[name]
    image = np.ones(recipe.shape, np.float32)
    fourier.irfft2(fourier.rfft2(image[:64, :64]), (64, 64))  # which brings the loops to memory
    times: dict[str, list[float]] = {}
    with _clock(times, "floor"):
        options = {"group": RAW_FRAMES} if suffix == ".eer" else {}
        with open_movie(folder / f"{name}{suffix}", **options) as file:
            file.block(0, len(file))
        weights, _ = sums._basis(recipe.frames, np.arange(recipe.frames) * 1.0, recipe.shape, recipe.pixel_size, 300.0)
        for _ in range(weights.shape[1]):
            half = fourier.rfft2(image)
        for _ in range(2):
            fourier.irfft2(half, recipe.shape)
    wall, spent = times["floor"]
    return wall, spent


def _raw_frames(frames):
    """Frames taken apart into raw ones, each electron in one of them."""
    rng = np.random.default_rng(0)
    for frame in frames:
        places = np.repeat(np.arange(frame.size), frame.ravel())
        which = rng.integers(0, RAW_FRAMES, len(places))
        for i in range(RAW_FRAMES):
            raw = np.zeros(frame.size, np.uint8)
            raw[places[which == i]] = 1
            yield raw.reshape(frame.shape)


@contextmanager
def _clock(times: dict[str, list[float]], label: str):
    wall, spent = time.perf_counter(), time.process_time()
    yield
    before = times.get(label, [0.0, 0.0])
    times[label] = [before[0] + time.perf_counter() - wall, before[1] + time.process_time() - spent]


def _spent(times) -> float:
    return times[1]


def _timed(function, times: dict[str, list[float]], label: str):
    def run(*args, **kwargs):
        with _clock(times, label):
            return function(*args, **kwargs)

    return run


def _apart(function, *args):
    """Call in a fresh process, so that memory is its own."""
    _as_worker()
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, args)


def _as_worker() -> None:
    """Have processes that are started from now on the environment of a worker of Dask."""
    for name, value in dask.config.get("distributed.nanny.pre-spawn-environ").items():
        os.environ[name] = str(value)


if __name__ == "__main__":
    main()
