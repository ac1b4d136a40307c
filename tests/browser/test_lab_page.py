"""The page of a session in a real JupyterLab: run, watch, reload the browser, nothing is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from urllib.error import URLError
from urllib.request import urlopen

import nbformat
import pytest
from playwright.sync_api import TimeoutError

from cryowidgets.store.queries import Reader
from tests.browser.pages import ROWS
from tests.filled import FilledSession

pytestmark = pytest.mark.browser

TOKEN = "a-token-for-this-test"


@pytest.fixture
def filled(tmp_path):
    session = FilledSession(tmp_path / "session")
    session.open_engine()
    session.arrive(25)
    session.process()
    session.sample(10)
    yield session
    session.close()


@pytest.fixture
def lab(tmp_path, free_port):
    """Address of a JupyterLab in its own world: no settings of the user, no news from the internet."""
    config = tmp_path / "config"
    (config / "labconfig").mkdir(parents=True)
    disabled = {"@jupyterlab/apputils-extension:announcements": True}
    (config / "labconfig" / "page_config.json").write_text(json.dumps({"disabledExtensions": disabled}))
    folders = ("JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "JUPYTERLAB_SETTINGS_DIR")
    world = {name: str(tmp_path / name.lower()) for name in folders}
    world |= {"JUPYTER_CONFIG_DIR": str(config), "JUPYTERLAB_WORKSPACES_DIR": str(tmp_path / "workspaces")}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={free_port}"]
    command += ["--ServerApp.port_retries=0", "--ServerApp.ip=127.0.0.1", f"--IdentityProvider.token={TOKEN}"]
    command += [f"--ServerApp.root_dir={tmp_path}"]
    with open(tmp_path / "lab.log", "wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **world}, cwd=tmp_path)
    address = f"http://127.0.0.1:{free_port}/"
    try:
        wait_for(address + "api", server, tmp_path / "lab.log")
        yield address
    finally:
        server.terminate()
        server.wait(30)


def wait_for(url, server, log):
    end = time.monotonic() + 120
    while time.monotonic() < end and server.poll() is None:
        try:
            with urlopen(url):
                return
        except URLError:
            time.sleep(0.2)
    raise AssertionError(f"JupyterLab does not answer:\n{log.read_text()[-3000:]}")


def notebook(path, *sources):
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), path)


def run_all(page):
    """Lab forgets what it is told to run while it still connects to the kernel, even where it says "idle"."""
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=90_000)
    for _ in range(5):
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_text("Run All Cells", exact=True).click()
        try:
            begun = "() => /[*1]/.test(document.querySelector('.jp-InputPrompt').textContent)"
            page.wait_for_function(begun, timeout=9000)
            return
        except TimeoutError:
            pass
    raise AssertionError("JupyterLab does not run the cells")


SLOW = """\
from bokeh.models import ColumnDataSource
from bokeh.plotting import figure
from cryowidgets.widgets.live_plot import LivePlot
from cryowidgets.widgets.part import esm

class SlowPlot(LivePlot):
    _esm = "await new Promise((resolve) => setTimeout(resolve, 3000));" + esm("live_plot.js")

source = ColumnDataSource({"x": [], "y": []})
f = figure(height=150)
f.scatter("x", "y", source=source)
slow = SlowPlot(f, source, _dom_classes=["slow"])
slow.stream({"x": [1, 2, 3], "y": [1, 2, 3]})
slow
"""
"""Code that takes longer to load than anywidget waits for."""


def test_dashboard_runs_and_a_reload_keeps_every_row(chromium, lab, filled, tmp_path):
    notebook(
        tmp_path / "live.ipynb",
        SLOW,
        f"from cryowidgets.widgets import session\npage = session({str(filled.folder)!r}, control=True)\npage",
    )
    context = chromium.new_context(viewport={"width": 1600, "height": 1000})
    page = context.new_page()
    requests, faults = [], []
    page.on("request", lambda r: requests.append(r.url))
    page.on("pageerror", lambda e: faults.append(str(e)))
    page.on("console", lambda m: m.type == "error" and faults.append(m.text))

    def wait(condition):
        try:
            page.wait_for_function(f"() => {condition}", timeout=90_000, polling=100)
        except TimeoutError:
            page.screenshot(path=tmp_path / "lab.png")
            raise AssertionError(f"{condition} did not come true, see {tmp_path}/lab.png; {faults}") from None

    def shows(reader):
        align, ctf = (len(r["id"]) for r in (reader.rows("align"), reader.rows("ctf")))
        rows = json.dumps([align, ctf, ctf, ctf], separators=(",", ":"))
        wait(f"JSON.stringify(({ROWS})()) === '{rows}'")

    with Reader(filled.folder) as reader:
        page.goto(f"{lab}lab/tree/live.ipynb?token={TOKEN}")
        page.wait_for_selector(".jp-Notebook .jp-InputArea", timeout=90_000)
        run_all(page)
        shows(reader)
        wait("document.querySelector('.slow')?.dataset.rows === '3'")
        filled.arrive(5)
        filled.process()
        filled.sample(2)
        shows(reader)
        page.keyboard.press("Control+s")
        until = time.monotonic() + 60
        while "widget-view+json" not in (tmp_path / "live.ipynb").read_text():  # a reload before that loses the outputs
            assert time.monotonic() < until, "the notebook was not saved"
            page.wait_for_timeout(100)
        page.reload()
        filled.arrive(1)
        filled.process()
        shows(reader)
    assert [url for url in requests if not url.startswith((lab, "data:", "blob:"))] == []
    assert any("cryowidgets/static/bokeh/bokeh.min.js" in url for url in requests)
    ours = [f for f in faults if "cryowidgets" in f or "anywidget" in f or "okeh" in f]
    assert set(ours) <= {"[anywidget] Failed to initialize model."}, "the slow plot's, and nothing else"
    context.close()
