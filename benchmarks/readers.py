"""How long it takes to read a frame of each format, beside what cannot be avoided.

    python benchmarks/readers.py --threads 1 2

Frames are Poisson counts of 1 electron per pixel (K3, 5760×4092); raw frames of EER have 0.47 million electrons
(4096×4096). "read" is the bytes of the file read once into memory, "bare" what imagecodecs alone takes to decode them
in one thread, without looking for them in a file or putting them where they belong. Times are the best of several
passes over all frames, in ms for each; "CPU" that of all threads together. Archives take long: one pass over one frame.
"""

from __future__ import annotations

import argparse
import bz2
import gzip
import lzma
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np

from cryowidgets import cpu
from cryowidgets.io import directories, eer, mrc, tiff
from cryowidgets.io.movie import open_movie


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--frames", type=int, default=8, help="frames of a movie (default 8)")
    parser.add_argument("--raw", type=int, default=64, help="raw frames of EER (default 64)")
    parser.add_argument("--passes", type=int, default=5, help="(default 5)")
    parser.add_argument("--only", nargs="*", default=[], help="formats whose names begin so")
    args = parser.parse_args()
    heads = [f"{name} {n}T" for n in args.threads for name in ("wall", "CPU")]
    print(_row("format", "MB", "read", "bare", *heads, "open"))
    rng = np.random.default_rng(7)
    with tempfile.TemporaryDirectory() as folder:
        for name, frames, options, make in _movies(args.frames, args.raw, rng):
            if not args.only or name.startswith(tuple(args.only)):
                path = Path(folder, name.split()[0])
                make(path)
                measure(name, path, frames, options, args)
                path.unlink()


def measure(name: str, path: Path, frames: int, options: dict, args: argparse.Namespace) -> None:
    """Print the times of one file; `frames` is the number to divide by: that of raw frames for EER."""
    times = []
    passes = 1 if ".mrc." in name else args.passes
    for n in args.threads:
        cpu.set_threads(n)
        with open_movie(path, **options) as movie:
            out = np.zeros(movie.shape, movie.dtype)
            if passes > 1:
                movie.block(0, 1, out[:1])  # what is compiled is compiled now
            times += _best(lambda m=movie, o=out: m.block(0, len(m), o), passes)
    opening = _best(lambda: open_movie(path, **options).close(), args.passes)[0]
    read = _best(lambda: path.read_bytes(), args.passes)[0]
    bare = _bare(path, args.passes)
    per_frame = [f"{1e3 * t / frames:.2f}" for t in (read, *([bare] if bare else []), *times)]
    if not bare:
        per_frame.insert(1, "-")
    print(_row(name, f"{path.stat().st_size / 1e6 / frames:.2f}", *per_frame, f"{1e3 * opening:.1f}"))


def _movies(count: int, raw: int, rng: np.random.Generator):
    """Name, number of frames, options to open with, and how to write the file."""
    frames = rng.poisson(1.0, (count, 4092, 5760)).astype(np.uint8)
    for compression in ("lzw", "deflate", "zstd", None):
        yield (
            f"{compression or 'plain'}.tif",
            count,
            {},
            lambda path, c=compression: tiff.write(path, frames, c),
        )
    yield "uint8.mrc", count, {}, lambda path: mrc.write(path, frames)
    yield "float32.mrc", count, {}, lambda path: mrc.write(path, frames.astype(np.float32))
    yield "four_bit.mrc", count, {}, lambda path: _write_pairs(path, frames)
    for end, pack in ((".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)):
        few = frames[:1]
        yield f"uint8.mrc{end}", len(few), {}, lambda path, p=pack, f=few: _write_packed(path, f, p)
    yield "uint8.mrc.zst", 1, {}, lambda path: _write_packed(path, frames[:1], imagecodecs.zstd_encode)

    def write_eer(path: Path, compression: int = 65001) -> None:
        eer.write(path, (rng.random((4096, 4096), np.float32) < 0.028 for _ in range(raw)), compression)

    for compression in (65001, 65000):
        for upsampling in (1, 2):
            options = {"fractions": 4, "upsampling": upsampling}
            yield (
                f"{compression}.eer ×{upsampling}",
                raw,
                options,
                lambda path, c=compression: write_eer(path, c),
            )


def _write_pairs(path: Path, frames: np.ndarray) -> None:
    mrc.write(path, frames[..., ::2] | frames[..., 1::2] << 4)
    with open(path, "r+b") as file:
        head = np.frombuffer(file.read(1024), mrc.HEADER_DTYPE).copy()
        head["mode"], head["nx"], head["mx"] = 101, frames.shape[2], frames.shape[2]
        file.seek(0)
        file.write(head.tobytes())


def _write_packed(path: Path, frames: np.ndarray, pack: Callable[[bytes], bytes]) -> None:
    mrc.write(path, frames)
    path.write_bytes(pack(path.read_bytes()))


def _bare(path: Path, passes: int) -> float:
    """Seconds that imagecodecs takes to decode what a TIFF or EER file holds; 0 for other formats."""
    if path.suffix not in (".tif", ".eer"):
        return 0.0
    content = path.read_bytes()
    with open(path, "rb") as file:
        tags = list(directories.follow(file))
    strips = [content[start : start + n] for t in tags for start, n in directories.pieces(t, len(content))]
    kind = tags[0].get(directories.COMPRESSION, (1,))[0]
    if path.suffix == ".eer":
        code = {65000: (8, 2, 2), 65001: (7, 2, 2)}[kind]
        if kind == 65000:
            return 0.0  # it takes these to waste no bits, which those of cameras do
        image = np.zeros((4096, 4096), np.uint8)
        strips = [strip + bytes(len(strip) % 2) for strip in strips]
        return _best(lambda: [imagecodecs.eer_decode(s, image.shape, *code, out=image) for s in strips], passes)[1]
    decode = {5: imagecodecs.lzw_decode, 1: None, 50000: imagecodecs.zstd_decode}.get(kind, imagecodecs.deflate_decode)
    room = np.empty(1 << 20, np.uint8)
    return _best(lambda: [decode(strip, out=room) for strip in strips], passes)[1] if decode else 0.0


def _best(work: Callable[[], object], passes: int) -> tuple[float, float]:
    """The least seconds of wall and of CPU time."""
    wall, used = [], []
    for _ in range(passes):
        start, clock = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - start)
        used.append(time.process_time() - clock)
    return min(wall), min(used)


def _row(*cells: str) -> str:
    return f"{cells[0]:16s}" + "".join(f"{cell:>9s}" for cell in cells[1:])


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    main()
