"""The facility wall in a real browser: cards, pages that turn, and how it comes back by itself."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path

import pytest

from cryowidgets.facility.glance import BINS, Glance, Series
from cryowidgets.facility.watch import Seen
from cryowidgets.store import alerts
from cryowidgets.store.alerts import Alert, Clear, Raise
from cryowidgets.store.metrics import METRICS
from cryowidgets.widgets.wall import Wall
from cryowidgets.widgets.wall_pages import start_wall
from tests.browser.pages import Tab
from tests.filled import FilledSession

pytestmark = pytest.mark.browser

NAN = math.nan
TOKEN = "a token for the wall 123"
VIEW = "document.getElementById('view')"
SIZE = "width:1920px;height:1080px"
BEYOND = """() => [...document.querySelectorAll('.cw-wall-card, .cw-wall-small')].filter((card) => {
  const whole = document.querySelector('.cw-wall').getBoundingClientRect();
  const box = card.getBoundingClientRect();
  return box.right > whole.right + 1 || box.bottom > whole.bottom + 1 || card.scrollWidth > card.clientWidth + 1;
}).length"""


def session(n, **changes):
    now = time.time()
    band = [1.0] * 10 + [NAN] * (BINS - 20) + [2.0] * 10
    series = tuple(Series(METRICS[key], now - 14400, now, band, band, band, 2.0) for key in ("drift", "defocus"))
    made = Glance(
        Path(f"/x/{n}"), f"s{n}", "running", True, "anna", created=now - n, last_movie=now - 65, series=series
    )
    return replace(made, **changes)


def look(*sessions, trouble=""):
    return [Seen(Path("/x"), time.monotonic(), {s.folder: s for s in sessions}, trouble=trouble)]


@pytest.fixture
def wall(comms):
    made = Wall("hall")
    made.turn = 0.4
    return made


def shown(s):
    """What is on the page at one moment."""
    return s.page.evaluate(
        "() => { const texts = (which) => [...document.querySelectorAll(which)].map((e) => e.textContent);"
        " const view = document.getElementById('view');"
        " return { page: view.dataset.page, large: texts('.cw-wall-card h2'), small: texts('.cw-wall-small h3'),"
        " said: texts('.cw-wall-troubles:not([hidden]) p') }; }"
    )


def at(s, page):
    """What is on the page once it has turned to this one."""
    until = time.monotonic() + 20
    while (found := shown(s))["page"] != page:
        assert time.monotonic() < until, found
        s.page.wait_for_timeout(20)
    return found


def test_cards_say_it_in_words_and_gaps_are_gaps(stage, wall):
    now = time.time()
    alarm = Alert(1, "pace", "idle", "alarm", "No new movie <b>", 1.0, 1.0, None, now, None, "", None, "")
    wall.turn = 60
    s = stage(viewport={"width": 1920, "height": 1080})
    s.draw(wall, style=SIZE)
    wall.show(look(session(1, name="<img src=x onerror=alert(1)>", alerts=(alarm,)), session(2, state="paused")), now)
    s.settle(f"{VIEW}.dataset.cards === '2'")
    first = s.page.inner_text(".cw-wall-card >> nth=0")
    for word in ("<img src=x", "● running", "anna", "▲ alarm: No new movie <b>", " s", "2.0"):
        assert word in first
    assert "‖ paused" in s.page.inner_text(".cw-wall-card >> nth=1")
    assert s.page.locator(".cw-wall-card[data-kind=bad]").count() == 1
    line = s.page.locator(".cw-wall-line").first.get_attribute("d")
    assert line.count("M") == 2  # two stretches, and nothing drawn between
    assert s.page.locator(".cw-wall img").count() == 0
    assert s.page.locator("#view :is(a, button, input, select, textarea, [tabindex])").count() == 0
    assert s.page.evaluate(BEYOND) == 0
    sizes = "() => [...document.querySelectorAll('.cw-wall-card :is(h2, p, b, span)')].filter((e) => e.textContent"
    sizes += " && !e.matches('.cw-wall-most, .cw-wall-least')).map((e) => parseFloat(getComputedStyle(e).fontSize))"
    assert min(s.page.evaluate(sizes)) >= 28 - 0.1  # px at 1920 × 1080: read from five metres
    assert s.errors == []


def test_pages_turn_and_an_alarm_on_another_page_is_named_on_this_one(stage, wall):
    now = time.time()
    alarm = Alert(1, "pace", "idle", "alarm", "No new movie", 1.0, 1.0, None, now, None, "", None, "")
    live = [session(n, alerts=(alarm,) if n == 5 else ()) for n in range(6)]
    rest = [session(n, state="finished", active=False, ended=now - n, series=()) for n in range(10, 16)]
    s = stage(viewport={"width": 1280, "height": 800})
    s.draw(wall, style="width:1280px;height:800px")
    wall.show(look(*live, *rest), now)
    s.settle(f"{VIEW}.dataset.cards > 0 && {VIEW}.dataset.rest === '6'")
    first = at(s, "1/2")
    assert (first["large"], first["said"]) == (["s0", "s1", "s2", "s3"], ["▲ s5: No new movie"])
    second = at(s, "2/2")
    assert (second["large"], second["said"]) == (["s4", "s5"], [])
    assert len(first["small"]) == 4
    assert first["small"] != second["small"]  # the strip turns as well
    assert s.page.evaluate(BEYOND) == 0
    at(s, "1/2")
    wall.show(look(*live[:3], trouble="the folder is not there"), now)
    s.settle(f"{VIEW}.dataset.cards === '3' && {VIEW}.dataset.rest === '0'")
    assert "▲ x: the folder is not there" in s.page.inner_text(".cw-wall-troubles")
    wall.show(look(), now)
    s.settle(f"{VIEW}.dataset.cards === '0'")
    assert "no session yet" in s.page.inner_text(".cw-wall-cards")
    assert s.errors == []


def test_the_wall_of_a_site_comes_back_when_its_server_does(chromium, tmp_path):
    site = tmp_path / "site"
    one = FilledSession(site / "anna" / "s1", "grid 3")
    one.open_engine()
    one.arrive(3)
    one.process()
    alerts.write(one.store, [Raise("pace", "idle", "alarm", "No new movie for 12 min")])
    page = start_wall([site], token=TOKEN, title="hall")
    tab = Tab(chromium, page.url)
    word = "document.querySelector('.cw-wall-card[data-id] .cw-wall-state')?.textContent"
    try:
        tab.wait("document.querySelectorAll('.cw-wall-card').length === 1")
        tab.wait("document.querySelector('.cw-wall-card img')?.naturalWidth > 0")
        tab.wait("/No new movie for 12 min/.test(document.querySelector('.cw-wall-alerts').textContent)")
        assert all(url.split("/")[2].startswith("127.0.0.1") for url in tab.requests if url.startswith(("http", "ws")))
        assert tab.faults == []

        port = int(page.address.split(":")[2].split("/")[0])
        page.stop()
        alerts.write(one.store, [Clear("pace", "idle")])
        fast = "() => { const real = Date.now.bind(Date), t = real(); Date.now = () => t + 30 * (real() - t); }"
        tab.page.evaluate(fast)  # it would say so after 20 s
        tab.wait("/No answer since/.test(document.querySelector('.cw-banner:not([hidden])')?.textContent)")
        page = start_wall([site], port=port, token=TOKEN, title="hall")
        tab.wait("document.querySelector('.cw-banner:not([hidden])') === null")
        tab.wait(f"{word} === '● running' && !document.querySelector('.cw-wall-alerts').textContent")
    finally:
        tab.context.close()
        page.stop()
        one.close()
