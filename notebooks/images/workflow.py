"""Take the pictures of wizard, workflow and library anew: a template is filled in and started in a real browser.

    python notebooks/images/workflow.py [--size 1280x800] [--out FOLDER]

Needs Chromium; `make screenshots` sees to it. The workflow of the picture has a second CTF and what both agree about,
so that there is something to see.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import time
from pathlib import Path
from urllib.parse import unquote

from PIL import Image
from playwright.sync_api import Page, sync_playwright
from session import chromium

from cryowidgets import Project
from cryowidgets.widgets.kiosk import start_wizard
from cryowidgets.workflow.library import LIBRARY
from cryowidgets.workflow.templates import PACKAGE

SECOND = {"protocol": "EstimateCtf", "params": {"defocus_max": 40000, "box": 768}, "inputs": {"micrograph": "maxshift"}}
BOTH = {"protocol": "CtfConsensus", "inputs": {"first": "ctf", "second": "ctf2"}}
GAIN = {"protocol": "EstimateGain", "inputs": {"movie": "movies"}}
BROKEN = {"version": 2, "name": "old", "steps": [{"name": "ctf", "protocol": "EstimateCtf", "params": {"bux": 512}}]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="1280x800")
    parser.add_argument("--movies", type=int, default=24)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    folder = Path(tempfile.mkdtemp(prefix="cryowidgets-"))
    write_library(folder / "library")
    os.environ[LIBRARY] = os.environ["CRYOWIDGETS_TEMPLATES"] = str(folder / "library")
    with sync_playwright() as playwright, start_wizard(folder) as server:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_context(viewport={"width": width, "height": height}).new_page()
        page.set_default_timeout(120_000)
        page.goto(server.url)
        take_library(page, options.out / "library.png")
        take_wizard(page, options.movies, options.out / "wizard.png")
        page.get_by_role("button", name="Start", exact=True).click()
        link = page.wait_for_selector(".cw-go").get_attribute("href")
        project = Project(unquote(link.partition("project=")[2]))
        try:
            page.goto(server.address + link)
            take_workflow(page, project, options.movies, options.out / "workflow.png")
        finally:
            project.send("quit")
            project.wait(120)
        browser.close()
    shutil.rmtree(folder)


def write_library(folder: Path) -> None:
    """A library as a facility may have it, with the workflow of the picture and one that is out of date."""
    document = json.loads((PACKAGE / "demo.json").read_text())
    document["description"] = (
        "Two estimates of each CTF and up to which resolution they agree, on a simulated microscope."
    )
    document["name"] = "two_ctfs"
    document["steps"][-1]["inputs"]["ctf"] = "agreed"
    steps = {"ctf2": SECOND, "agreed": BOTH, "gain": GAIN}
    document["steps"][-1:-1] = [{"name": name, **step} for name, step in steps.items()]
    for category, name, content in (("facility", "two_ctfs", document), ("facility", "old", BROKEN)):
        (folder / category).mkdir(parents=True, exist_ok=True)
        (folder / category / f"{name}.json").write_text(json.dumps(content))


def take_library(page: Page, out: Path) -> None:
    page.click(".cw-tabs [data-name=Library]")
    page.click(".cw-library .cw-card[data-id$='/two_ctfs']")
    page.wait_for_function("() => document.querySelectorAll('.cw-library .cw-link').length > 5")
    save(page, out)


def take_wizard(page: Page, movies: int, out: Path) -> None:
    page.get_by_role("button", name="Take into the wizard").click()
    for label, value in {"Movies": str(movies), "Time from one movie to the next": "6", "Voltage": "3000"}.items():
        page.locator(".cw-wizard-new .cw-field", has=page.get_by_text(label, exact=True)).locator("input").fill(value)
    page.wait_for_selector(".cw-wrong")
    page.wait_for_function("() => document.querySelectorAll('.cw-wizard-filling .cw-link').length > 5")
    save(page, out)
    page.locator(".cw-wizard-new .cw-field", has=page.get_by_text("Voltage", exact=True)).locator("input").fill("200")
    page.wait_for_function("() => !document.querySelector('.cw-wrong')")


def take_workflow(page: Page, project: Project, movies: int, out: Path) -> None:
    """In the midst of the session, right after the parameters of a step have changed."""
    page.click(".cw-tabs [data-name=Workflow]")
    end = time.monotonic() + 600

    def until(done: int) -> None:
        with project.reader() as reader:
            while time.monotonic() < end and next(n.done for n in reader.nodes() if n.name == "ctf2") < done:
                page.wait_for_timeout(500)

    until(movies // 2)
    project.steps["ctf"].set(scope="branch", resolution_max=5.0)
    page.click(".cw-node[data-name=ctf2]")
    page.wait_for_function("() => document.querySelector('.cw-step-panel .cw-plot')?.dataset.rows > 3")
    page.wait_for_timeout(1500)
    save(page, out)


def save(page: Page, out: Path) -> None:
    page.wait_for_timeout(1000)  # for what is still drawn
    page.mouse.move(2, 2)
    page.screenshot(path=out)
    Image.open(out).convert("RGB").quantize(256).save(out, optimize=True)
    print(out)


if __name__ == "__main__":
    main()
