"""What a report costs: written first, again with nothing new, again with ten new movies, and as PDF.

    python benchmarks/report.py [--movies 1000 49000] [--pdf]

A project with so many movies is made, at one in 6 s, with a night's pause in the middle. CPU seconds of this process,
and how much memory it takes. Not a test: nothing fails here.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cryowidgets.facility.report import Report
from cryowidgets.store.queries import Reader
from tests.filled import FilledSession


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--movies", type=int, nargs="+", default=[1000, 49000])
    parser.add_argument("--pdf", action="store_true")
    options = parser.parse_args()
    print("movies  first/s  nothing new/s  ten new/s  page/kB  table/MB  memory/MB", "  PDF/s" if options.pdf else "")
    for movies in options.movies:
        folder = Path(tempfile.mkdtemp())
        try:
            filled = FilledSession(folder / "s1")
            fill(filled, movies)
            print(f"{movies:6d}", *(f"{value:9.2f}" for value in measure(filled, folder / "out", options.pdf)))
            filled.close()
        finally:
            shutil.rmtree(folder)


def fill(filled: FilledSession, movies: int) -> None:
    """Movies without pictures but for the last few, in large transactions."""
    for part in range(0, movies, 5000):
        if part == movies // 10000 * 5000 and part:
            filled._start += 8 * 3600
        with filled.store.transaction():
            filled.arrive(min(5000, movies - part))
            filled.process(pictures=False)


def measure(filled: FilledSession, out: Path, pdf: bool) -> list[float]:
    report = Report(filled.folder, out)
    with Reader(filled.folder) as reader:

        def seconds() -> float:
            before = time.process_time()
            report.write(reader)
            return time.process_time() - before

        found = [seconds(), seconds()]
        filled.arrive(10)
        filled.process()
        found.append(seconds())
    found.append((out / "index.html").stat().st_size / 1e3)
    found.append((out / "exposures.csv").stat().st_size / 1e6)
    found.append(psutil.Process().memory_info().rss / 1e6)
    if pdf:
        before = time.process_time()
        with Reader(filled.folder) as reader:
            Report(filled.folder, out, pdf=True).write(reader)
        found.append(time.process_time() - before)
    return found


if __name__ == "__main__":
    main()
