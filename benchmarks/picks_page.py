"""What the tab Picks costs a kernel, and how soon a page says what a slider leaves.

    python benchmarks/picks_page.py FOLDER [--movies 3000] [--picks 300]

A session of made-up picks is built in FOLDER through the ledger's own interface.

kernel  ms of CPU to show the tab, to refresh it where nothing has changed, and for one more movie
page    in Chromium: ms from a movement of the slider until the new counts are there, over the last 50 micrographs

Not a test: nothing fails here.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from cryowidgets.store.queries import Reader
from cryowidgets.widgets.kiosk import start
from cryowidgets.widgets.page import Page
from cryowidgets.widgets.tab_picks import PicksTab
from tests.browser.pages import Tab
from tests.picked import PickedSession

SLIDE = """
async (steps) => {
  const view = document.querySelector(".cw-picks-view");
  const svg = view.querySelector(".cw-picks-plot svg");
  const handle = svg.querySelector("[data-side=low]");
  const box = svg.getBoundingClientRect();
  const event = (name, x, target) => target.dispatchEvent(
    new PointerEvent(name, { bubbles: true, pointerId: 1, clientX: box.left + x, clientY: box.top + 20 }));
  svg.setPointerCapture = () => {};
  event("pointerdown", 12, handle);
  const took = [];
  for (let i = 0; i < steps; i++) {
    const before = view.dataset.mean;
    const began = performance.now();
    event("pointermove", 20 + (i * (box.width - 40)) / steps, svg);
    await new Promise((done) => {
      const over = () => view.dataset.mean !== before || performance.now() - began > 1000;
      const look = () => (over() ? done() : requestAnimationFrame(look));
      requestAnimationFrame(look);
    });
    if (view.dataset.mean !== before) took.push(performance.now() - began); // else nothing lay between the two places
  }
  event("pointerup", box.width - 30, svg);
  return took;
}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--movies", type=int, default=3000)
    parser.add_argument("--picks", type=int, default=300)
    options = parser.parse_args()
    shutil.rmtree(options.folder, ignore_errors=True)
    session = PickedSession(options.folder)
    session.arrive(options.movies)
    session.process(pictures=False)
    session.pick(options.picks)
    kernel(session, options.picks)
    page(session)
    session.close()


def kernel(session: PickedSession, picks: int) -> None:
    with Reader(session.folder) as reader:
        page = Page(session.folder)
        page.refresh(reader)
        assert page.overview is not None
        tab = PicksTab(page)
        print(f"first look: {_cpu(lambda: tab.refresh(reader)):.0f} ms", end="")
        while tab.sheet._picked is not None and not tab.sheet._picked.whole:
            print(f", {_cpu(lambda: tab.refresh(reader)):.0f} ms", end="")
        print(f"\nnothing new: {_cpu(lambda: tab.refresh(reader), 50):.1f} ms")
        took = []
        for _ in range(5):
            session.arrive(1)
            session.process(pictures=False)
            session.pick(picks)
            page.refresh(reader)
            took.append(_cpu(lambda: tab.refresh(reader)))
        print(f"a movie more: {statistics.median(took):.1f} ms")


def page(session: PickedSession) -> None:
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with start(session.folder, pool=0, kiosk=True) as served, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        tab = Tab(browser, served.url)
        tab.wait("document.querySelector('.cw-tabs [data-name=Picks]')")
        tab.page.click(".cw-tabs [data-name=Picks]")
        tab.wait("document.querySelector('.cw-picks-counts')?.textContent.includes('the last 50')")
        took = tab.page.evaluate(SLIDE, 40)
        middle, most = statistics.median(took), max(took)
        print(f"a slider's movement to the new counts: median {middle:.0f} ms, slowest {most:.0f} ms")
        browser.close()


def _cpu(work: Callable[[], object], times: int = 1) -> float:
    began = time.process_time()
    for _ in range(times):
        work()
    return 1e3 * (time.process_time() - began) / times


if __name__ == "__main__":
    main()
