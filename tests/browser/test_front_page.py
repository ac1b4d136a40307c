"""Our own front end: it draws what our pages are made of, comes back after a break, and gives way where it must."""

from __future__ import annotations

import pytest

from cryowidgets.store.queries import Reader
from cryowidgets.widgets import front
from cryowidgets.widgets.kiosk import start
from tests.browser.pages import Tab
from tests.filled import FilledSession
from tests.test_plugins import package

pytestmark = pytest.mark.browser

TILTS = """
    import ipywidgets as W
    from cryowidgets.widgets.page import Tab

    class Tilts(Tab):
        title = "Tilts"
        place = 15

        def __init__(self, page):
            self.angle = W.IntSlider(value=21, description="angle")
            super().__init__(page, [self.angle])

        def refresh(self, reader):
            pass
"""
SOCKETS = """
    globalThis.sockets = [];
    globalThis.WebSocket = class extends WebSocket { constructor(...all) { super(...all); sockets.push(this); } };
"""


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    session = FilledSession(tmp_path_factory.mktemp("front") / "a &copy; session")
    session.open_engine()
    session.arrive(20)
    session.process()
    yield session
    session.close()


@pytest.fixture(scope="module")
def kiosk(filled, tmp_path_factory):
    """A kiosk where a plug-in is installed whose tab has a widget that our own front end does not know."""
    site = tmp_path_factory.mktemp("site")
    package(site, "cryowidgets-tilts", {"cryowidgets.tabs": {"Tilts": "cryowidgets_tilts:Tilts"}}, TILTS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(site), prepend=":")
        with start(filled.folder, kiosk=True) as page:
            yield page


@pytest.fixture
def tab(chromium, kiosk):
    opened = Tab(chromium, "about:blank")
    opened.page.add_init_script(SOCKETS)
    opened.page.goto(kiosk.url)
    yield opened.ready()
    opened.context.close()


def test_a_page_needs_few_files_and_a_browser_keeps_them(tab):
    ours = [url for url in tab.requests if "/cryowidgets/static/" in url]
    assert all("?v=" in url for url in ours)
    assert not any("/voila/static/" in url for url in tab.requests)
    assert tab.page.title() == "a &copy; session"
    kept = tab.page.evaluate(
        "async (urls) => Promise.all(urls.map(async (url) => (await fetch(url)).headers.get('Cache-Control')))", ours
    )
    assert len(kept) >= 5 and all("immutable" in said for said in kept)


def test_after_a_break_of_the_line_a_page_shows_all_that_came_meanwhile(tab, filled):
    tab.page.evaluate("document.querySelector('.cw-strip').dataset.old = 'yes'")
    tab.page.evaluate("sockets.at(-1).close()")
    filled.arrive(3)
    filled.process()
    tab.wait("!document.querySelector('.cw-strip').dataset.old && sockets.length === 2")
    tab.ready()
    with Reader(filled.folder) as reader:
        tab.shows(reader)
    assert tab.page.locator(".cw-session").count() == 1
    assert tab.faults == []


def test_a_widget_that_it_does_not_know_has_the_page_drawn_by_the_programs_of_voila(tab):
    kernel = tab.kernel
    tab.page.click(".cw-tab-row > .cw-tabs [data-name=Tilts]")
    tab.wait("document.querySelector('.widget-slider .noUi-handle')?.offsetParent != null")
    assert tab.page.inner_text(".widget-slider .widget-readout") == "21"
    assert any("/voila/static/" in url for url in tab.requests)
    assert tab.page.locator(".cw-session").count() == 1
    tab.page.click(".cw-tab-row > .cw-tabs [data-name=Overview]")
    tab.ready()
    assert tab.kernel == kernel
    background = "getComputedStyle(document.querySelector('.cw-session')).backgroundColor"
    assert tab.page.evaluate(background) == "rgb(14, 17, 21)"
    assert tab.faults == []


def test_the_address_of_a_file_changes_with_what_it_holds():
    files = front.files()
    assert set(files) == {"front.js", "front.css", "style.css", "wall.css"}
    assert len({file.version for file in files.values()}) == len(files)
    said = front.resources("/far/")
    assert said["script"] == f"/far/cryowidgets/static/front/front.js?v={files['front.js'].version}"
