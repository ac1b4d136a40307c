"""A page in a browser of its own: what it shows, what it asked for, and what it complained of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryowidgets.widgets.kiosk import start

ROWS = "() => [...document.querySelectorAll('.cw-strip .cw-plot')].slice(0, 4).map((e) => Number(e.dataset.rows))"
"""Of drift, defocus, astigmatism and fit resolution; movies per hour come after them."""
READY = "document.querySelectorAll('.cw-strip .cw-plot[data-rows]').length === 5"
KERNEL = "() => JSON.parse(document.getElementById('jupyter-config-data').textContent).kernelId"


@contextmanager
def served(browser, folder: Path) -> Iterator[Tab]:
    """The page of a project for the person who controls it, open in a browser, for the tests of a module."""
    with start(folder, pool=0) as page:
        tab = Tab(browser, page.url)
        yield tab
        tab.context.close()


class Tab:
    """A page, what it asked for, and what it complained of."""

    def __init__(self, browser, url: str) -> None:
        self.context = browser.new_context(viewport={"width": 1280, "height": 800})
        self.page = self.context.new_page()
        self.requests: list[str] = []
        self.faults: list[str] = []
        self.page.on("request", lambda r: self.requests.append(r.url))
        self.page.on("websocket", lambda w: self.requests.append(w.url))
        self.page.on("pageerror", lambda e: self.faults.append(str(e)))
        self.page.on("console", lambda m: m.type == "error" and self.faults.append(m.text))
        self.page.goto(url)

    def wait(self, condition: str) -> None:
        self.page.wait_for_function(f"() => {condition}", timeout=90_000, polling=100)

    def ready(self) -> Tab:
        self.wait(READY)
        return self

    def shows(self, reader) -> None:
        """Wait until the plots have as many rows as the ledger."""
        align, ctf, total = (len(r["id"]) for r in (reader.rows("align"), reader.rows("ctf"), reader.exposures()))
        rows = json.dumps([align, ctf, ctf, ctf], separators=(",", ":"))
        self.wait(f"JSON.stringify(({ROWS})()) === '{rows}'")
        self.wait(f"document.querySelector('.cw-strip:last-child .cw-title').textContent.includes('{total} movies')")
        self.wait(f"document.querySelector(\"[data-name='found'] b\")?.textContent === '{total}'")

    @property
    def kernel(self) -> str:
        return self.page.evaluate(KERNEL)
