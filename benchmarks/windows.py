"""What people wait for on the page of a long session, and what those who look on cost.

    python benchmarks/windows.py FOLDER [--movies 1000 49000] [--parts ledger page viewers engine]

Sessions of made-up numbers are built in FOLDER through the ledger's own interface, once; each part works on a copy.

ledger   seconds of CPU that a kernel needs to read all exposures, to follow one more, to count, sort and bin them
page     in Chromium: open to the first plot, to all that the first tab has, and to the table; drag a threshold to the
         count; sort; filter; memory and CPU of the kernel while movies come
viewers  memory and CPU of each of 1, 5, 20 viewers who speak the protocol of pages without a browser
engine   movies per hour of a real engine while nobody and while 20 viewers look, in turn

Not a test: nothing fails here.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from cryowidgets.model import Ctf, Micrograph, Movie, Quality
from cryowidgets.store.overview import Overview
from cryowidgets.store.queries import Reader
from cryowidgets.store.store import Store
from cryowidgets.store.todo import todo
from cryowidgets.widgets.kiosk import start
from tests.browser.pages import KERNEL
from tests.browser.served import Line, Visitor
from tests.filled import EVERY, FilledSession

AT_ONCE = 1000
"""Movies in one transaction of the builder."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--movies", type=int, nargs="+", default=[1000, 49000])
    parser.add_argument("--parts", nargs="+", default=["ledger", "page", "viewers", "engine"])
    parser.add_argument("--viewers", type=int, nargs="+", default=[1, 5, 20])
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--shots", type=Path, help="where pictures of the page are put")
    options = parser.parse_args()
    for part in options.parts:
        {"ledger": ledger, "page": pages, "viewers": viewers, "engine": engine}[part](options)


# Sessions -----------------------------------------------------------------------------------------------------------


class Session(FilledSession):
    """A session of made-up numbers that is there already."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store, self.lock = folder, Store(folder), None
        self._count = self.store.query("SELECT count(*) FROM exposure")[0][0]
        self._random = np.random.default_rng(8)
        self._start = time.time() - EVERY * (self._count + 600)


class Builder(FilledSession):
    """Writes the same as its parent, and takes no way through files or the ledger from one step to the next."""

    def fill(self, count: int) -> None:
        with self.store.transaction():
            self.arrive(count)
            found: dict[int, Micrograph] = {}
            for task in self._claim("align", Movie, "movie"):
                found[task.exposure] = self._micrograph(task.exposure, pictures=False)
                self.store.finish(task, "done", found[task.exposure], host="node1")
            for task in self._claim("maxshift", Micrograph, "micrograph"):
                drift = found[task.exposure].motion_total
                if drift > 20:
                    self.store.finish(task, "rejected", error=f"path of {drift:.0f} Å is longer than 20 Å")
                else:
                    self.store.finish(task, "done", found[task.exposure])
            for task in self._claim("ctf", Micrograph, "micrograph"):
                self.store.finish(task, "done", self._ctf(task.exposure, pictures=False), host="node1")
            self.store.ensure_table(Quality)
            wanted = {"micrograph": Micrograph, "ctf": Ctf}
            for task in self.store.claim("quality", todo(self.store, "quality", wanted, {})[0]):
                self.store.finish(task, "done", Quality(score=float(self._random.beta(5, 2))), host="node1")


def build(folder: Path, movies: int) -> Path:
    """A session of so many processed movies, made where it is not there yet."""
    made = folder / f"session-{movies}"
    if made.exists():
        return made
    began = time.monotonic()
    half = folder / f"half-{movies}"
    shutil.rmtree(half, ignore_errors=True)
    session = Builder(half, f"{movies} exposures")
    session._start = time.time() - EVERY * (movies + 600)
    for first in range(0, movies, AT_ONCE):
        session.fill(min(AT_ONCE, movies - first))
    session.sample(2000)
    session.close()
    half.rename(made)
    print(f"built {movies} exposures in {time.monotonic() - began:.0f} s")
    return made


@contextmanager
def opened(folder: Path, movies: int) -> Iterator[Session]:
    """A copy of a session, with what looks like an engine."""
    source = build(folder, movies)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        shutil.copytree(source, Path(place) / "session")
        session = Session(Path(place) / "session")
        session.open_engine()
        yield session
        session.close()


@contextmanager
def coming(session: Session, every: float) -> Iterator[list[int]]:
    """Movies come and are processed; the list grows by one for each."""
    ending, come = threading.Event(), []

    def write() -> None:
        while not ending.wait(every):
            session.arrive(1)
            session.process()
            session.sample()
            come.append(1)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield come
    finally:
        ending.set()
        writer.join()


# The ledger, as a kernel reads it -----------------------------------------------------------------------------------


def ledger(options: argparse.Namespace) -> None:
    print(f"{'movies':>7} {'read all/s':>10} {'one more/ms':>11} {'count/ms':>9} {'sort/ms':>8} {'bins/ms':>8}")
    for movies in options.movies:
        with opened(options.folder, movies) as session, Reader(session.folder) as reader:
            print(f"{movies:>7} {read(session, reader)}")


def read(session: Session, reader: Reader) -> str:
    overview = Overview()
    first = cpu(lambda: overview.refresh(reader))
    more = []
    for _ in range(20):
        session.arrive(1)
        session.process(pictures=False)
        more.append(cpu(lambda: overview.refresh(reader)))
    cut = {"drift": (None, 12.0), "resolution": (None, 5.0)}
    found = [
        statistics.median(more),
        median(lambda: overview.count(cut)),
        median(lambda: overview.order("resolution")),
        median(lambda: overview.bins("drift")),
    ]
    return f"{first:>10.2f} {1e3 * found[0]:>11.1f} {1e3 * found[1]:>9.1f} " + " ".join(
        f"{1e3 * f:8.1f}" for f in found[2:]
    )


def cpu(call: Callable[[], object]) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began


def median(call: Callable[[], object]) -> float:
    return statistics.median(cpu(call) for _ in range(7))


# The page, in a browser ---------------------------------------------------------------------------------------------


def pages(options: argparse.Namespace) -> None:
    from playwright.sync_api import sync_playwright

    print(
        f"{'movies':>7} {'plot/s':>7} {'all/s':>6} {'CPU s':>6} {'again/s':>8} {'all/s':>6} {'table/s':>8} "
        f"{'drag/ms':>8} {'sort/ms':>8} "
        f"{'filter/ms':>9} {'USS/MB':>7} {'RSS/MB':>7} {'a movie/ms of CPU':>17} {'idle/%':>7} {'browser/%':>9}  load"
    )
    for movies in options.movies:
        with opened(options.folder, movies) as session, start(session.folder, kiosk=True) as page:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"])
                settle(page)
                print(f"{movies:>7} {measure(browser, page, session, options)}  {os.getloadavg()[0]:.1f}", flush=True)
                browser.close()


PLOT = "() => Number(document.querySelector('.cw-overview .cw-plot')?.dataset.rows) > 0"
USABLE = """() => document.querySelectorAll('.cw-strip .cw-plot[data-rows]').length === 5
    && document.querySelectorAll('.cw-histogram .cw-handle').length === 8
    && document.querySelector('.cw-part[data-name=accepted] b') !== null"""
"""All plots are drawn, thresholds can be moved, and it is said what they leave."""
TABLE = "() => document.querySelectorAll('.cw-table .cw-body .cw-row').length > 5"


def measure(browser, page, session: Session, options: argparse.Namespace) -> str:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    tab = context.new_page()
    tab.set_default_timeout(120_000)
    server = psutil.Process(page.process.pid)
    ready = [server, *server.children()]
    before = sum(map(used, ready)) + used_by_renderers()
    times = appear(tab, lambda: tab.goto(page.url))
    opening = sum(map(used, ready)) + used_by_renderers() - before
    settle(page)
    times += appear(tab, lambda: tab.reload())
    kernel = kernel_of(tab, page)
    drags = [drag(tab) for _ in range(5)]
    shot(tab, options, f"overview-{len(session.store.query('SELECT id FROM exposure'))}")
    tab.wait_for_timeout(3000)
    before, browser_before, began = used(kernel), used_by_renderers(), time.monotonic()
    tab.wait_for_timeout(1000 * options.seconds)
    span = time.monotonic() - began
    idle, browsing = (used(kernel) - before) / span, (used_by_renderers() - browser_before) / span
    before, began = used(kernel), time.monotonic()
    with coming(session, 1.5) as come:
        tab.wait_for_timeout(1000 * options.seconds)
    each = (used(kernel) - before - idle * (time.monotonic() - began)) / max(1, len(come))
    times.append(until(tab, lambda: tab.click(".cw-tabs [data-name=Exposures]"), TABLE))
    tab.wait_for_timeout(1500)
    first = "document.querySelector('.cw-table .cw-body .cw-row').dataset.id"
    total = "document.querySelector('.cw-table').dataset.rows"
    sorts, filters = [], []
    for name in ("drift", "fit", "drift"):
        was = tab.evaluate(first)
        heads = tab.locator(".cw-table .cw-head .cw-cell", has_text=name)
        sorts.append(until(tab, heads.first.click, f"() => {first} !== '{was}'"))
    for _ in range(4):
        was = tab.evaluate(total)
        chip = tab.locator(".cw-ex-filters [data-name=rejected]")
        filters.append(until(tab, chip.first.click, f"() => {total} !== '{was}'"))
    shot(tab, options, f"exposures-{len(session.store.query('SELECT id FROM exposure'))}")
    memory = kernel.memory_full_info()
    context.close()
    quick = [1e3 * statistics.median(found) for found in (drags, sorts, filters)]
    return (
        f"{times[0]:>7.1f} {times[1]:>6.1f} {opening:>6.1f} {times[2]:>8.1f} {times[3]:>6.1f} {times[4]:>8.1f} "
        f"{quick[0]:>8.0f} {quick[1]:>8.0f} "
        f"{quick[2]:>9.0f} {memory.uss / 1e6:>7.0f} {memory.rss / 1e6:>7.0f} {1e3 * each:>17.1f} {100 * idle:>7.2f} "
        f"{100 * browsing:>9.1f}"
    )


def drag(tab) -> float:
    """Seconds from a handle's movement to the new count on the page."""
    handle = tab.locator(".cw-histogram .cw-handle[data-side=high]").last
    box = handle.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    tab.mouse.move(x, y)
    tab.mouse.down()
    count = 'document.querySelector(".cw-accepted .cw-part[data-name=accepted] b").textContent'
    was = tab.evaluate(count)
    took = until(tab, lambda: tab.mouse.move(x - 25, y), f"() => {count} !== '{was}'")
    tab.mouse.up()
    tab.wait_for_timeout(300)
    return took


def appear(tab, act: Callable[[], object]) -> list[float]:
    """Seconds from an act to the first plot with its data, and to when the page can be used."""
    began = time.monotonic()
    first = until(tab, act, PLOT)
    tab.wait_for_function(USABLE, timeout=120_000)
    return [first, time.monotonic() - began]


def until(tab, act: Callable[[], object], condition: str) -> float:
    """Seconds from an act to when the page shows what came of it; looked for at each of its frames."""
    began = time.monotonic()
    act()
    tab.wait_for_function(condition, timeout=120_000)
    return time.monotonic() - began


def shot(tab, options: argparse.Namespace, name: str) -> None:
    if options.shots:
        options.shots.mkdir(parents=True, exist_ok=True)
        tab.screenshot(path=options.shots / f"{name}.png")


def settle(page) -> None:
    """Wait until the pool is full and nothing moves: what is measured is one page, not the making of the next."""
    time.sleep(2)
    server = psutil.Process(page.process.pid)
    while True:
        before = sum(map(used, [server, *server.children()]))
        time.sleep(1)
        if sum(map(used, [server, *server.children()])) - before < 0.1 and server.children():
            return


def kernel_of(tab, page) -> psutil.Process:
    id = tab.evaluate(KERNEL)
    return next(k for k in psutil.Process(page.process.pid).children() if id in " ".join(k.cmdline()))


def used(process: psutil.Process) -> float:
    """CPU seconds of a process so far; 0 of one that is gone."""
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return times.user + times.system


def used_by_renderers() -> float:
    mine = psutil.Process().children(recursive=True)
    return sum(used(p) for p in mine if is_renderer(p))


def is_renderer(process: psutil.Process) -> bool:
    try:
        return "--type=renderer" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return False


def chromium() -> str:
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))


# Viewers, without browsers ------------------------------------------------------------------------------------------


class Crowd:
    """So many viewers of a page, in a thread of their own: all that a page says, and nothing drawn."""

    def __init__(self, url: str, count: int) -> None:
        self._url, self._count = url, count
        self.looking = True
        self.ready = 0
        self.bytes = 0
        self._ending = False
        self._thread = threading.Thread(target=lambda: asyncio.run(self._all()))

    def __enter__(self) -> Crowd:
        self._thread.start()
        while self.ready < self._count:
            time.sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        self._ending = True
        self._thread.join()

    async def _all(self) -> None:
        await asyncio.gather(*(self._one() for _ in range(self._count)))

    async def _one(self) -> None:
        visitor = Visitor(self._url)
        kernel = await asyncio.to_thread(visitor.page)
        line = await visitor.connect(kernel)
        states = await line.states()
        drawn: set[str] = set()
        hearing = asyncio.create_task(self._hear(line))
        for round in range(10**9):
            for id, found in states.items():
                if "_esm" in found["state"] and id not in drawn:
                    drawn.add(id)
                    await line.custom(id, {"type": "need", "view": "v", "first": 0, "count": 40})
            if self.looking:
                for id, found in states.items():
                    if "patience" in found["state"]:
                        await line.custom(id, {"type": "here"})
            self.ready += round == 0
            for _ in range(40):
                await asyncio.sleep(0.2)
                if self._ending:
                    hearing.cancel()
                    line.hang_up()
                    await asyncio.to_thread(visitor.ask, f"/voila/api/shutdown/{kernel}", "POST", b"")
                    return

    async def _hear(self, line: Line) -> None:
        while (message := await line.socket.read_message()) is not None:
            self.bytes += len(message)


def viewers(options: argparse.Namespace) -> None:
    print(f"{'movies':>7} {'viewers':>7} {'open/s':>7} {'CPU s to open':>13} {'USS/MB':>7} {'PSS/MB':>7} "
          f"{'kernel/%':>8} {'server/%':>8} {'server RSS/MB':>13} {'kB/s each':>9}  load")  # fmt: skip
    movies = options.movies[-1]
    for count in options.viewers:
        with opened(options.folder, movies) as session, start(session.folder, kiosk=True, pool=0) as page:
            server = psutil.Process(page.process.pid)
            started, began = used(server), time.monotonic()
            with Crowd(page.url, count) as crowd:
                took = time.monotonic() - began
                time.sleep(10)
                kernels = server.children()
                opening = (sum(map(used, kernels)) + used(server) - started) / count
                before = [used(k) for k in kernels], used(server), crowd.bytes
                with coming(session, 6.0):
                    time.sleep(options.seconds)
                each = sum(used(k) - b for k, b in zip(kernels, before[0], strict=True)) / len(kernels)
                memory = [k.memory_full_info() for k in kernels]
                print(
                    f"{movies:>7} {count:>7} {took:>7.1f} {opening:>13.2f} {mean(m.uss for m in memory):>7.0f} "
                    f"{mean(m.pss for m in memory):>7.0f} {100 * each / options.seconds:>8.2f} "
                    f"{100 * (used(server) - before[1]) / options.seconds:>8.2f} "
                    f"{server.memory_info().rss / 1e6:>13.0f} "
                    f"{(crowd.bytes - before[2]) / options.seconds / count / 1e3:>9.1f}  {os.getloadavg()[0]:.1f}",
                    flush=True,
                )


def mean(sizes: Iterator[int]) -> float:
    return statistics.mean(sizes) / 1e6


# The engine, looked at or not ---------------------------------------------------------------------------------------


def engine(options: argparse.Namespace) -> None:
    """Rounds with and without lookers take turns, so that whatever else a machine does falls on both alike."""
    import subprocess

    from cryowidgets.project import Project
    from cryowidgets.sim import microscope

    batch = 96
    count = options.viewers[-1]
    with tempfile.TemporaryDirectory(dir=options.folder) as place:
        scope = microscope.run(Path(place) / "scope", movies=1, size=512, frames=10)
        (original,) = Path(place, "scope").rglob(Path(scope.pattern).name)
        movies = Path(place) / "movies"
        movies.mkdir()
        folder = Path(place) / "session"
        Project.create(folder, movies=str(movies / f"*{original.suffix}"), gain=str(scope.gain), **scope.optics)
        run = [sys.executable, "-m", "cryowidgets", "run", str(folder), "--quiet", "--workers", "2"]
        with subprocess.Popen(run) as process, Reader(folder) as reader, start(folder, kiosk=True, pool=0) as page:
            mine, server = psutil.Process(process.pid), psutil.Process(page.process.pid)

            def round(batch: int = batch) -> tuple[float, float, float, float]:
                """Movies per hour, CPU seconds of engine and workers for each; cores that windows take, and players."""
                before, had, began = engine_cpu(mine), reader.session().done, time.monotonic()
                others = engine_cpu(server), time.process_time()
                for n in range(batch):
                    os.link(original, movies / f"m{had + n:06d}{original.suffix}")
                while (state := reader.session()).done + state.failed + state.rejected < had + batch:
                    time.sleep(0.2)
                ends = [e.time for e in reader.events(limit=100_000) if e.kind == "task.done"]
                last = sorted(ends)[-4 * batch :]
                took = time.monotonic() - began
                windows, players = (engine_cpu(server) - others[0]) / took, (time.process_time() - others[1]) / took
                return 3600 * batch / (last[-1] - last[0]), (engine_cpu(mine) - before) / batch, windows, players

            round(24)
            with Crowd(page.url, count) as crowd:
                alone, looked = [], []
                for _ in range(options.rounds):
                    crowd.looking = False
                    time.sleep(35)  # until kernels have given up
                    alone.append(round())
                    crowd.looking = True
                    time.sleep(10)
                    round(24)  # what a kernel may take at once, while it had nothing to do, is no burden for days
                    looked.append(round())
            process.terminate()
    for name, found in (("nobody", alone), (f"{count} viewers", looked)):
        rates, costs, windows, players = zip(*found, strict=True)
        print(
            f"{name:>12}: {statistics.median(rates):7.0f} movies/h ({', '.join(f'{r:.0f}' for r in rates)}), "
            f"{statistics.median(costs):.2f} CPU s of engine and workers for each; of a core kernels and server take "
            f"{statistics.median(windows):.0%}, this program {statistics.median(players):.0%}",
            flush=True,
        )


def engine_cpu(process: psutil.Process) -> float:
    return sum(used(p) for p in [process, *process.children(recursive=True)])


if __name__ == "__main__":
    main()
