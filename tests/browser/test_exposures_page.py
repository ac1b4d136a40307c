"""The tab Exposures in a real browser, over a real engine that is paused: what is ordered is done and seen."""

import threading

import numpy as np
import pytest

from cryowidgets.engine.engine import Engine
from cryowidgets.io import jpeg, mrc
from cryowidgets.store.queries import Reader
from tests.browser.pages import served
from tests.filled import FilledSession

pytestmark = pytest.mark.browser

ROWS = "[...document.querySelectorAll('.cw-ex-list .cw-table .cw-body .cw-row')]"
TITLE = "document.querySelector('.cw-ex-closely .cw-title')"
CANVAS = ".cw-ex-view canvas >> nth=0"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """30 exposures with pictures; of the newest there is the micrograph, too. The last but one has failed."""
    session = FilledSession(tmp_path_factory.mktemp("exposures") / "session")
    session.arrive(28)
    session.process()
    session.fail("InputError: movie ends after 31 of 40 frames")
    session.arrive(1)
    session.process()
    image = np.tile(np.random.default_rng(2).normal(0, 1, (341, 480)).astype(np.float16), (12, 12))
    mrc.write(session.folder / "steps/align/30.mrc", image)
    jpeg.write(session.folder / "steps/align/30.jpg", image)
    session.store.put("paused", "1")
    session.close()
    return session.folder


@pytest.fixture(scope="module")
def engine(folder):
    """The engine carries out commands; it begins nothing, since it is paused."""
    ended, ready = threading.Event(), threading.Event()

    def work():
        engine = Engine(folder, "inline")
        ready.set()
        while not ended.wait(0.1):
            engine.tick()
        engine.close()

    thread = threading.Thread(target=work)
    thread.start()
    assert ready.wait(30)
    yield
    ended.set()
    thread.join(30)


@pytest.fixture(scope="module")
def tab(chromium, folder, engine):
    with served(chromium, folder) as tab:
        tab.wait("document.querySelector('.cw-tabs [data-name=Exposures]')")
        tab.page.click(".cw-tabs [data-name=Exposures]")
        tab.wait(f"{ROWS}.length === 30")
        yield tab


@pytest.fixture
def reader(folder):
    with Reader(folder) as reader:
        yield reader


def ids(tab):
    return tab.page.evaluate(f"{ROWS}.map((row) => Number(row.dataset.id))")


def waits_for(tab, wanted):
    tab.wait(f"JSON.stringify({ROWS}.map((row) => Number(row.dataset.id))) === '{str(wanted).replace(' ', '')}'")


def row(tab, id):
    return tab.page.locator(f".cw-ex-list .cw-table .cw-row[data-id='{id}']")


def state(tab, id, wanted):
    tab.wait(f"{ROWS}.find((row) => row.dataset.id === '{id}')?.classList.contains('cw-is-{wanted}')")


def states(reader):
    found = reader.exposures()
    return dict(zip(found["id"].tolist(), found["state"], strict=True))


def test_a_head_sorts_by_click_and_by_key(tab, reader):
    drift = reader.rows("align")
    longest_first = drift["exposure"][np.argsort(-drift["motion_total"])].tolist()
    head = tab.page.locator(".cw-head [data-key=drift]")
    head.click()
    waits_for(tab, [*longest_first, 29])
    assert head.get_attribute("aria-sort") == "descending"
    head.focus()
    tab.page.keyboard.press("Enter")
    waits_for(tab, [*longest_first[::-1], 29])
    assert tab.page.evaluate("document.activeElement.dataset.key") == "drift", "the keyboard stays where it is"
    tab.page.click(".cw-head [data-key=acquired]")
    waits_for(tab, list(range(30, 0, -1)))


def test_words_ranges_and_text_sift(tab, reader):
    tab.page.click(".cw-ex-filters [data-name=rejected]")
    waits_for(tab, sorted((id for id, s in states(reader).items() if s == "rejected"), reverse=True))
    tab.page.click(".cw-ex-filters [data-name=clear]")
    waits_for(tab, list(range(30, 0, -1)))
    tab.page.click(".cw-ex-filters [data-name=resolution]")
    thumb = tab.page.locator(".cw-ex-range [role=slider]").nth(1)
    thumb.focus()
    for _ in range(3):
        tab.page.keyboard.press("PageDown")
    tab.wait("document.querySelector('.cw-ex-range-text')?.textContent.startsWith('fit resolution ≤')")
    tab.wait(f"{ROWS}.length < 29")
    limit = float(tab.page.inner_text(".cw-ex-range-text").split("≤")[1].split()[0])
    fits = reader.rows("ctf")
    sure = set(fits["exposure"][fits["fit_resolution"] < limit - 0.05].tolist())
    maybe = set(fits["exposure"][fits["fit_resolution"] < limit + 0.05].tolist())
    assert sure <= set(ids(tab)) <= maybe and sure
    tab.page.click(".cw-ex-filters [data-name=clear]")
    tab.page.get_by_placeholder("name or note").fill("20017")
    waits_for(tab, [17])
    tab.page.get_by_placeholder("name or note").fill("")
    waits_for(tab, list(range(30, 0, -1)))


def test_arrow_keys_step_through_exposures(tab):
    row(tab, 28).click()
    tab.wait(f"{TITLE}?.dataset.exposure === '28'")
    tab.page.locator(".cw-ex-list .cw-table .cw-scroll").focus()
    for _ in range(2):
        tab.page.keyboard.press("ArrowDown")
    tab.wait(f"{TITLE}?.dataset.exposure === '26'")
    tab.page.keyboard.press("End")
    tab.wait(f"{TITLE}?.dataset.exposure === '1'")
    tab.wait("document.querySelector('.cw-ex-list .cw-table .cw-scroll').scrollTop > 0")
    tab.page.locator(CANVAS).focus()
    tab.page.keyboard.press("ArrowLeft")
    tab.wait(f"{TITLE}?.dataset.exposure === '2'")


def test_many_are_rejected_and_readmitted_at_once(tab, reader):
    tab.page.locator(".cw-ex-list .cw-table .cw-scroll").evaluate("(e) => (e.scrollTop = 0)")
    row(tab, 26).click()
    row(tab, 22).click(modifiers=["Shift"])
    row(tab, 20).click(modifiers=["Control"])
    tab.wait("document.querySelector('.cw-ex-actions')?.textContent.includes('6 marked exposures')")
    marked = (20, 22, 24, 25, 26)
    tab.page.get_by_role("button", name="contamination", exact=True).click()
    for id in marked:
        state(tab, id, "rejected")
    tab.wait("document.querySelector('.cw-ex-actions')?.textContent.includes('rejected: contamination')")
    assert all(reader.exposure(id).rejected == "contamination" for id in marked)
    assert "contamination" in row(tab, 24).get_attribute("title")
    tab.page.get_by_role("button", name="Readmit", exact=True).click()
    for id in marked:
        state(tab, id, "done")
    assert all(reader.exposure(id).rejected is None for id in marked)


def test_a_flag_and_a_note_are_seen_in_the_row_and_on_the_exposure(tab, reader):
    row(tab, 21).click()
    tab.wait(f"{TITLE}?.dataset.exposure === '21'")
    tab.page.locator(".cw-ex-list .cw-table .cw-scroll").focus()
    tab.page.keyboard.press("f")
    tab.wait(f"{TITLE}?.textContent.includes('flagged')")
    tab.page.get_by_placeholder("note", exact=True).fill("a <b>crack</b>")
    tab.page.get_by_role("button", name="Save note", exact=True).click()
    tab.wait("document.querySelector('.cw-ex-note-of')?.textContent === '✎ a <b>crack</b>'")
    assert row(tab, 21).locator(".cw-cell").first.inner_text() == "⚑✎"
    assert reader.query("SELECT flag, note FROM exposure WHERE id = 21") == [(1, "a <b>crack</b>")]


def test_what_failed_is_retried(tab, reader):
    row(tab, 29).click()
    tab.wait(f"{TITLE}?.dataset.exposure === '29'")
    tab.wait("document.querySelector('.cw-ex-closely')?.textContent.includes('movie ends after 31 of 40 frames')")
    tab.page.click(".cw-ex-closely [data-name=Log]")
    tab.wait("document.querySelector('.cw-ex-log .cw-is-failed')?.textContent.includes('align')")
    tab.page.get_by_role("button", name="Retry", exact=True).click()
    state(tab, 29, "waiting")
    tab.wait("document.querySelector('.cw-ex-actions')?.textContent.includes('1 failed tasks are tried again')")
    assert [task.state for task in reader.exposure(29).tasks if task.step == "align"] == ["retry"]
    tab.page.click(".cw-ex-closely [data-name=Pictures]")


def test_a_micrograph_is_zoomed_into_and_read_as_finely_as_the_screen_shows_it(tab):
    row(tab, 30).click()
    tab.wait(f"{TITLE}?.dataset.exposure === '30'")
    tab.page.click(".cw-ex-closely [data-name=Micrograph]")
    tab.wait("document.querySelector('.cw-ex-view')?.dataset.zoom === '100'")
    tab.page.locator(CANVAS).focus()
    for _ in range(6):
        tab.page.keyboard.press("+")
    tab.wait("document.querySelector('.cw-ex-view').dataset.fine === '1'")
    grey = (
        "(() => { const c = document.querySelector('.cw-ex-view canvas').getContext('2d');"
        "const d = c.getImageData(0, 0, 200, 200).data.filter((_, i) => i % 4 === 0); const n = d.length;"
        "const mean = d.reduce((s, v) => s + v, 0) / n;"
        "return Math.sqrt(d.reduce((s, v) => s + (v - mean) ** 2, 0) / n) })()"
    )
    before = tab.page.evaluate(grey)
    assert 30 < before < 70, "noise is shown at its usual contrast"
    tab.page.locator("[role=slider][aria-label=contrast]").first.focus()
    for _ in range(15):
        tab.page.keyboard.press("ArrowLeft")
    tab.wait(f"{grey} < {0.6 * before}")
    tab.page.locator(CANVAS).focus()
    tab.page.keyboard.press("0")
    tab.wait("document.querySelector('.cw-ex-view').dataset.zoom === '100'")


def test_pictures_of_all_are_a_gallery(tab):
    tab.page.click(".cw-ex-kinds [data-name=Spectra]")
    tab.wait("document.querySelectorAll('.cw-gallery img').length > 8")
    tab.wait("[...document.querySelectorAll('.cw-gallery img')].every((image) => image.naturalWidth === 256)")
    tab.page.click(".cw-gallery-one[data-id='27']")
    tab.wait(f"{TITLE}?.dataset.exposure === '27'")
    tab.page.locator(".cw-gallery .cw-scroll").focus()
    tab.page.keyboard.press("ArrowRight")
    tab.wait(f"{TITLE}?.dataset.exposure === '26'")
    assert tab.faults == []
