"""The report in a real browser that has no network: from a folder, as from a USB stick, and from a server."""

from __future__ import annotations

import functools
import http.server
import threading

import pytest

from cryowidgets.facility import report
from tests.filled import FilledSession

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    filled = FilledSession(tmp_path_factory.mktemp("report") / "s1")
    filled.arrive(10)
    filled.process()
    filled.fail("no memory")
    filled.sample(30)
    made = report.write(filled.folder)
    filled.close()
    return made


@pytest.fixture(scope="module")
def served(written):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(written.folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join(10)


@pytest.mark.parametrize("from_server", [False, True], ids=["folder", "server"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_opens_without_a_network_and_complains_of_nothing(chromium, written, served, from_server, width):
    address = served if from_server else written.page.as_uri()
    context = chromium.new_context(viewport={"width": width, "height": 800}, offline=not from_server)
    page = context.new_page()
    asked, faults = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text))
    page.goto(address)
    own = address.rpartition("/")[0]
    assert asked and all(url.startswith((own, "data:")) for url in asked) and not faults
    assert page.title() == "grid 3 <apoferritin> – session report"
    shown = "[...document.images].filter((i) => i.naturalWidth > 0).length"
    assert page.evaluate(shown) == page.evaluate("document.images.length") > 6
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("[...document.querySelectorAll('svg')].every((s) => s.getAttribute('aria-label'))")
    assert page.locator("svg").count() > 8
    page.get_by_role("link", name="Processing").press("Enter")
    page.wait_for_function("location.hash === '#processing'")
    context.close()
