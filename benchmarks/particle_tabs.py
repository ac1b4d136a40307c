"""What the tabs Classes and Map cost a viewer's kernel, the line to a page, and the browser.

python benchmarks/particle_tabs.py
"""

from __future__ import annotations

import argparse
import base64
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from cryowidgets.io import mrc  # noqa: E402
from cryowidgets.protocols import classhistory  # noqa: E402
from cryowidgets.sim.particles import simulate  # noqa: E402
from cryowidgets.widgets.class_history import History  # noqa: E402
from cryowidgets.widgets.class_sheet import Table, drawn  # noqa: E402
from cryowidgets.widgets.solid import solid  # noqa: E402
from tests.mapped_session import add_map  # noqa: E402
from tests.sorted_session import SortedSession  # noqa: E402

CLASSES = 50
VIEWER = """
from cryowidgets.store.queries import Reader
from cryowidgets.widgets.dashboard import SessionView
page, seen = SessionView({folder!r}), []
with Reader({folder!r}) as reader:
    for title in ("Overview", "Classes", "Map"):
        page.tabs.go(title)
        page.refresh(reader)
        seen.append(int(open("/proc/self/statm").read().split()[1]) * 4096 / 1e6)
print(*(f"{{mb:.0f}}" for mb in seen))
"""
CAST = """([code, text]) => {
  const f = new Function(code + "; return { cast, peaks, blocks, reach, turned }")();
  const data = new Uint16Array(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
  const n = Math.round(data.length ** (1 / 3));
  const most = f.peaks(data, n);
  const map = { data, most, wide: f.blocks(most, n), n };
  const level = 8000;
  return [230, 460].map((side) => {
    let best = Infinity;
    for (let k = 0; k < 30; k++) {
      const turn = f.turned(f.turned([[1, 0, 0], [0, 1, 0], [0, 0, 1]], 1, k / 3), 0, 0.4);
      const begun = performance.now();
      f.cast(map, { turn, scale: (2.1 * f.reach(map, level / 2)) / side }, level, new ImageData(side, side));
      best = Math.min(best, performance.now() - begun);
    }
    return best;
  });
}"""


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sheets()
        history(Path(folder))
        maps(Path(folder))
        viewer(Path(folder) / "session")
    surface()


def sheets() -> None:
    random = np.random.default_rng(1)
    unknown, count = np.full(CLASSES, np.nan), np.arange(CLASSES)
    names = ("resolution", "size", "score", "good", "age")
    share, parent = np.full(CLASSES, 1 / CLASSES), np.zeros(CLASSES, int)
    table = Table(count + 1, count, parent, share, count + 100, **dict.fromkeys(names, unknown))
    for box in (64, 128):
        stack = random.normal(size=(CLASSES, box, box)).cumsum(1).cumsum(2)
        spent, sheet = cpu(lambda stack=stack: drawn("k", table, stack))
        print(f"{CLASSES} averages of {box}²: {1e3 * spent:.0f} ms CPU, {len(sheet.picture) / 1e3:.0f} kB")


def history(folder: Path) -> None:
    """Forty batches whose averages are kept."""

    class Model:
        identity, particles = np.arange(1, CLASSES + 1), np.full(CLASSES, 100)
        share, resolution, score = (np.full(CLASSES, v) for v in (1 / CLASSES, 10.0, 0.9))

    random, kept = np.random.default_rng(2), classhistory.History.none(CLASSES)
    for batch in range(1, 41):
        kept = kept.extended(batch, 1000 * batch, Model, random.normal(size=(CLASSES, 48, 48)))
    classhistory.write(folder / "h.npz", kept)

    class Result:
        history = str(folder / "h.npz")

    def read() -> History:
        found = History()
        found.refresh(Result)  # type: ignore[arg-type]
        return found

    spent, found = cpu(read)
    size = (folder / "h.npz").stat().st_size / 1e6
    print(f"history of 40 batches: {1e3 * spent:.0f} ms CPU to read {size:.1f} MB of pure noise")
    spent, sheet = cpu(lambda: found.sheet(10))
    print(f"a moment of it: {1e3 * spent:.1f} ms CPU, {len(sheet.picture) / 1e3:.0f} kB")


def maps(folder: Path) -> None:
    random = np.random.default_rng(3)
    for side in (64, 96, 128, 256):
        mrc.write(folder / "m.mrc", random.normal(size=(side,) * 3).astype(np.float32), 1.0)
        spent, made = cpu(lambda: solid("k", folder / "m.mrc", 1.0))
        print(f"map of {side}³: {1e3 * spent:.0f} ms CPU, {made.values.nbytes / 1e6:.2f} MB")


def viewer(folder: Path) -> None:
    session = SortedSession(folder)
    session.sort()
    add_map(session.store, folder)
    session.close()
    done = subprocess.run([sys.executable, "-c", VIEWER.format(folder=str(folder))], capture_output=True, text=True)
    print(f"memory of a viewer's kernel with Overview, then Classes, then Map: {done.stdout.strip()} MB")


def surface() -> None:
    """The best of thirty views, in a browser without a graphics card."""
    from playwright.sync_api import sync_playwright

    density = simulate(1, box=96, pixel_size=2.5, seed=3).density[0]
    whole = np.rint(65535 * np.clip(density / density.max(), 0, 1)).astype("<u2")
    code = (ROOT / "cryowidgets/widgets/surface.js").read_text()
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        quick, full = page.evaluate(CAST, [code, base64.b64encode(whole.tobytes()).decode()])
        browser.close()
    print(f"surface of a map of 96³: {quick:.0f} ms at 230² px, {full:.0f} ms at 460²")


def cpu(call: Callable, times: int = 3) -> tuple[float, object]:
    best = float("inf")
    for _ in range(times):
        begun = time.process_time()
        found = call()
        best = min(best, time.process_time() - begun)
    return best, found


if __name__ == "__main__":
    main()
