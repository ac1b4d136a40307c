"""Take the picture of the README anew: a simulated session, its page in a real browser.

    python notebooks/images/session.py [--movies 24]

Needs Chromium; `make screenshots` sees to it. Takes some minutes, most of them for the movies.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from cryowidgets import Project
from cryowidgets.sim import microscope
from cryowidgets.sim.movie import Recipe
from cryowidgets.widgets.kiosk import start

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SIZE = {"width": 1440, "height": 900}
DRAWN = """() => [...document.querySelectorAll('.cw-left .cw-plot')].filter((e) => e.dataset.rows > 0).length === 7
    && document.querySelector('.cw-picture img')?.naturalWidth > 0"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--movies", type=int, default=24)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".png"))
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="cryowidgets-"))
    try:
        recipe = Recipe(molecule=1, camera=1, local=(0.5, 3.0), ripples=6)
        scope = microscope.run(folder / "microscope", movies=options.movies, recipe=recipe)
        project = Project.create(
            folder / "session", name="simulated", movies=scope.pattern, gain=str(scope.gain), **scope.optics
        )
        engine = project.run(background=True)
        with start(project.folder, kiosk=True) as page, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"])
            try:
                take(browser, page.url, options)
            finally:
                browser.close()
                project.send("quit")
                engine.wait(120)
    finally:
        shutil.rmtree(folder)
    print(options.out)


def take(browser: Browser, url: str, options: argparse.Namespace) -> None:
    """Wait until the page shows a finished session, and take its picture."""
    tab = browser.new_context(viewport=SIZE, device_scale_factor=1).new_page()
    tab.goto(url)
    tab.wait_for_function(DRAWN, timeout=120_000)
    finished = f"() => document.querySelectorAll('.cw-body .cw-is-done').length >= {min(options.movies, 6)}"
    tab.wait_for_function(finished, timeout=60_000 * (1 + options.movies))
    tab.wait_for_function(
        "() => !document.querySelector('.cw-body .cw-is-waiting, .cw-body .cw-is-running')", timeout=600_000
    )
    tab.wait_for_timeout(5000)  # for what the plots still draw
    tab.screenshot(path=options.out)
    Image.open(options.out).convert("RGB").quantize(256).save(options.out, optimize=True)


def chromium() -> str:
    return os.environ.get("CRYOWIDGETS_CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)))


if __name__ == "__main__":
    main()
