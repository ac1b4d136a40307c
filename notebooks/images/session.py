"""Take the picture of the README anew: a simulated session under way, its page in a real browser.

    python notebooks/images/session.py [--movies 30] [--every 8]

Needs Chromium; `make screenshots` sees to it. Takes as long as the session.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from cryowidgets import Project
from cryowidgets.sim.microscope import Microscope
from cryowidgets.sim.movie import Recipe
from cryowidgets.widgets.kiosk import start

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SIZE = {"width": 1440, "height": 900}
DRAWN = """() => [...document.querySelectorAll('.cw-strip .cw-plot')].filter((e) => e.dataset.rows > 0).length === 5
    && document.querySelector('.cw-picture img')?.naturalWidth > 0"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--movies", type=int, default=30)
    parser.add_argument("--every", type=float, default=8.0)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".png"))
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="cryowidgets-"))
    scope = Microscope(folder / "scope", movies=options.movies, recipe=Recipe(molecule=1, camera=1))
    project = Project.create(
        folder / "session", name="demo", movies=scope.pattern, gain=str(scope.gain), **scope.optics
    )
    engine, camera = project.run(background=True), record(scope, options.every)
    try:
        with start(project.folder) as page:
            take(project, page.url, options.movies - 3, options.out)
    finally:
        camera.terminate()
        camera.wait()
        project.send("quit")
        engine.wait(120)
        shutil.rmtree(folder)
    print(options.out)


def record(scope: Microscope, every: float) -> subprocess.Popen:
    """Let the microscope record in a process of its own."""
    command = [sys.executable, "-m", "cryowidgets", "sim", str(scope.out), "--every", str(every)]
    command += ["--movies", str(scope.movies), "--recipe", "ripples=6", "--recipe", "local=0.5:3"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def take(project: Project, url: str, done: int, out: Path) -> None:
    """Take the picture of the page once so many movies are done."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"])
        tab = browser.new_context(viewport=SIZE).new_page()
        tab.goto(url)
        end = time.monotonic() + 3600
        with project.reader() as reader:
            while reader.session().done < done and time.monotonic() < end:
                tab.wait_for_timeout(1000)
        tab.wait_for_function(DRAWN, timeout=120_000)
        tab.wait_for_timeout(3000)  # for what the plots still draw
        tab.screenshot(path=out)
        browser.close()
    Image.open(out).convert("RGB").quantize(256).save(out, optimize=True)


def chromium() -> str:
    return os.environ.get("CRYOWIDGETS_CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)))


if __name__ == "__main__":
    main()
