"""What a viewer costs: memory and CPU of its kernel, CPU of the page server and of the browser, time to the first plot.

    python benchmarks/viewer.py [--movies 1000 30000] [--seconds 60] [--viewers 1]

A project with so many movies is made; then a movie arrives every 6 s and is processed, and the load is sampled
every 2 s, while real Chromium pages look on at 2 Hz. Not a test: nothing fails here.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from playwright.sync_api import sync_playwright

from cryowidgets.widgets.kiosk import start
from tests.filled import FilledSession

READY = "() => document.querySelectorAll('.cw-strip .cw-plot[data-rows]').length === 5"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--movies", type=int, nargs="+", default=[1000, 30000])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--viewers", type=int, default=1)
    parser.add_argument("--pool", type=int, default=1)
    options = parser.parse_args()
    print("movies viewers  first plot/s  reload/s   USS/MB  RSS/MB  kernel/%  server/%  browser/%  server RSS/MB")
    for movies in options.movies:
        folder = Path(tempfile.mkdtemp())
        try:
            measure(folder / "session", movies, options)
        finally:
            shutil.rmtree(folder)


def measure(folder: Path, movies: int, options: argparse.Namespace) -> None:
    session = FilledSession(folder)
    session.open_engine()
    for _ in range(0, movies, 1000):
        session.arrive(min(1000, movies))
        session.process(pictures=False)
    session.sample(2000)
    ending = threading.Event()
    with start(folder, kiosk=True, pool=options.pool) as page, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"])
        time.sleep(10)  # until the pool is full
        tabs, first, again = [], 0.0, 0.0
        for _ in range(options.viewers):
            tabs.append(browser.new_context().new_page())
            began = time.monotonic()
            tabs[-1].goto(page.url)
            tabs[-1].wait_for_function(READY, timeout=120_000)
            first = max(first, time.monotonic() - began)
        time.sleep(5)
        began = time.monotonic()
        tabs[0].reload()
        tabs[0].wait_for_function(READY, timeout=120_000)
        again = time.monotonic() - began
        time.sleep(10)
        writer = threading.Thread(target=write, args=(session, ending))
        writer.start()
        server = psutil.Process(page.process.pid)
        kernels = server.children()
        renderers = [p for p in psutil.Process().children(recursive=True) if "--type=renderer" in " ".join(p.cmdline())]
        before = [used(p) for p in kernels], used(server), sum(map(used, renderers))
        began = time.monotonic()
        tabs[0].wait_for_timeout(1000 * options.seconds)
        span = (time.monotonic() - began) / 100
        busy = [(used(p) - b) / span for p, b in zip(kernels, before[0], strict=True)]
        looked_at = [p for p, b in zip(kernels, busy, strict=True) if b > 0.02] or kernels
        memory = [p.memory_full_info() for p in looked_at]
        ending.set()
        writer.join()
        print(
            f"{movies:6d} {options.viewers:7d}  {first:12.1f}  {again:8.1f}  {max(m.uss for m in memory) / 1e6:7.1f} "
            f"{max(m.rss for m in memory) / 1e6:7.1f}  {max(busy):8.2f}  {(used(server) - before[1]) / span:8.2f}  "
            f"{(sum(map(used, renderers)) - before[2]) / span:9.2f}  {server.memory_info().rss / 1e6:13.0f}",
            flush=True,
        )
        browser.close()
    session.close()


def write(session: FilledSession, ending: threading.Event) -> None:
    """A movie every 6 s, a sample every 2 s."""
    while not ending.is_set():
        session.arrive(1)
        session.process()
        for _ in range(3):
            session.sample()
            ending.wait(2)


def used(process: psutil.Process) -> float:
    """CPU seconds of a process so far."""
    times = process.cpu_times()
    return times.user + times.system


def chromium() -> str:
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))


if __name__ == "__main__":
    main()
