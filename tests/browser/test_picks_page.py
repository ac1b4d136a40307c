"""The tab Picks in a real browser: sliders count at once, and picks by hand become a command in the inbox."""

import numpy as np
import pytest
from PIL import Image

from cryowidgets.engine import inbox
from cryowidgets.store.changes import hold
from cryowidgets.widgets.micrograph_view import Circles, Shot
from cryowidgets.widgets.picks_data import Worth
from cryowidgets.widgets.picks_hand import PicksByHand
from cryowidgets.widgets.picks_view import PicksCut, PicksView
from tests.browser.pages import served
from tests.picked import PickedSession

pytestmark = pytest.mark.browser

VIEW = "document.querySelector('.cw-picks-view')"
UNSAVED = "document.querySelector('.cw-picks-card .cw-choice [data-name]')"
HEIGHT, WIDTH = 4092, 5760


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    made = PickedSession(tmp_path_factory.mktemp("picks") / "session")
    made.arrive(14)
    made.process()
    made.pick()
    made.measure()
    hold(made.store, "pick")
    yield made
    made.close()


@pytest.fixture(scope="module")
def tab(chromium, session):
    with served(chromium, session.folder) as tab:
        tab.wait("document.querySelector('.cw-tabs [data-name=Picks]')")
        tab.page.click(".cw-tabs [data-name=Picks]")
        tab.wait(f"Number({VIEW}?.dataset.mean) > 0 && Number({VIEW}.dataset.picks) > 0")
        tab.wait("document.querySelectorAll('.cw-picks-strip img').length === 12")
        yield tab
        assert tab.faults == []


def handle(tab, side):
    """The handle of the least score, or of the largest power."""
    return tab.page.locator(f".cw-picks-histogram [data-side={side}]").first


def now(tab, side):
    return float(handle(tab, side).get_attribute("aria-valuenow"))


def commands(session):
    return [(command.name, command.args) for command in inbox.read(session.folder)]


def on_screen(tab, place):
    """Where a place of the micrograph is on the page, while all of it is in view."""
    box = tab.page.locator(".cw-picks-view canvas").bounding_box()
    scale = min(box["width"] / WIDTH, box["height"] / HEIGHT)
    left, top = (box["width"] / scale - WIDTH) / 2, (box["height"] / scale - HEIGHT) / 2
    return box["x"] + (place[1] + left) * scale, box["y"] + (place[0] + top) * scale, scale


def test_a_slider_counts_at_once_what_is_in_the_files(tab, session):
    every = [session.found[id] for id in sorted(session.found)]
    newest = every[-1]
    box = handle(tab, "low").locator("line").bounding_box()
    tab.page.mouse.move(box["x"], box["y"] + 20)
    tab.page.mouse.down()
    seen = set()
    for by in (30, 60, 90):
        tab.page.mouse.move(box["x"] + by, box["y"] + 20)
        tab.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        low = now(tab, "low")
        seen.add(low)
        assert int(tab.page.evaluate(f"{VIEW}.dataset.kept")) == np.count_nonzero(newest.scores >= low - 1e-6)
        mean = np.mean([np.count_nonzero(found.scores >= low - 1e-6) for found in every])
        assert float(tab.page.evaluate(f"{VIEW}.dataset.mean")) == pytest.approx(mean, abs=0.051)
    tab.page.mouse.up()
    assert len(seen) == 3 and 0 < int(tab.page.evaluate(f"{VIEW}.dataset.kept")) < len(newest)
    # the other slider by its keys
    handle(tab, "high").press("PageDown")
    high = now(tab, "high")
    wanted = np.count_nonzero((newest.scores >= low - 1e-6) & (newest.powers <= high + 1e-6))
    tab.wait(f"{VIEW}.dataset.kept === '{wanted}'")
    tab.wait("document.querySelector('.cw-picks-right').textContent.includes('Use these in kept')")
    tab.page.get_by_role("button", name="For new ones only").click()
    tab.wait("document.querySelector('.cw-picks-answer').textContent.includes('sent')")
    ((name, args),) = commands(session)
    assert name == "set" and args["step"] == "kept" and args["scope"] == "new"
    assert args["values"] == {"score_min": low, "power_min": 0.0, "power_max": high}
    inbox.remove(session.folder, inbox.read(session.folder)[0].ref)
    tab.page.get_by_role("button", name="back to what is in force").click()
    tab.wait(f"{VIEW}.dataset.kept === {VIEW}.dataset.all")


def test_picks_by_hand_are_saved_and_not_lost_when_another_one_comes(tab, session):
    newest = max(session.found)
    mouse, found = tab.page.mouse, session.found[newest]
    near = np.hypot(*(found.places[:, None] - found.places[None]).transpose(2, 0, 1)) + 1e9 * np.eye(len(found))
    alone = np.flatnonzero(near.min(axis=1) > 500)
    gone, moved = found.places[alone[0]], found.places[alone[1]]
    grid = np.stack(np.meshgrid(np.arange(300, 3800, 50), np.arange(300, 5400, 50), indexing="ij"), -1).reshape(-1, 2)
    room = np.hypot(*(grid[:, None] - found.places[None]).transpose(2, 0, 1)).min(axis=1)
    empty = grid[np.argmax(room)]
    tab.page.get_by_role("checkbox", name="Add", exact=True).click()
    x, y, scale = on_screen(tab, empty)
    mouse.click(x, y)
    tab.wait(f"{VIEW}.dataset.added === '1'")
    x, y, _ = on_screen(tab, gone)
    mouse.click(x, y, button="right")
    tab.wait(f"{VIEW}.dataset.removed === '1'")
    x, y, _ = on_screen(tab, moved)
    mouse.move(x, y)
    mouse.down()
    mouse.move(x + 12, y + 6)
    mouse.move(x + 14, y)
    mouse.up()
    tab.wait(f"{VIEW}.dataset.added === '2' && {VIEW}.dataset.removed === '2'")
    tab.page.get_by_role("button", name="Undo").click()
    tab.wait(f"{VIEW}.dataset.added === '1' && {VIEW}.dataset.removed === '1'")
    tab.page.locator(".cw-picks-view canvas").focus()
    tab.page.keyboard.press("Control+y")
    tab.wait(f"{VIEW}.dataset.added === '2' && {VIEW}.dataset.removed === '2'")
    tab.wait(UNSAVED)

    session.arrive(1)
    session.process(pictures=False)
    session.pick()
    tab.wait("document.querySelector('.cw-picks-strip .cw-gallery-caption')?.textContent.startsWith('40')")
    assert tab.page.evaluate(f"{VIEW}.dataset.added") == "2"
    assert tab.page.locator(f".cw-picks-head [data-exposure='{newest}']").count() == 1

    tab.page.get_by_role("button", name="Save").click()
    x, y, _ = on_screen(tab, empty + [0, 600])
    mouse.click(x, y)  # at once, before anybody has answered
    tab.wait("document.querySelector('.cw-picks-right').textContent.includes('sent to the engine')")
    tab.wait(UNSAVED)
    assert tab.page.evaluate(f"[{VIEW}.dataset.added, {VIEW}.dataset.removed]") == ["1", "0"]
    tab.page.get_by_role("button", name="Discard").click()
    tab.wait(f"!{UNSAVED}")
    ((name, args),) = commands(session)
    assert (name, args["step"], args["exposure"]) == ("pick", "corrected", newest)
    px = 1.5 / scale  # what a mouse can aim at
    assert np.allclose(args["add"], [empty, moved + [0, 14 / scale]], atol=px)
    assert np.allclose(args["remove"], [gone, moved], atol=0.01)
    inbox.remove(session.folder, inbox.read(session.folder)[0].ref)


def test_keys_alone_add_and_remove_a_pick(tab, session):
    canvas = tab.page.locator(".cw-picks-view canvas")
    tab.page.get_by_role("checkbox", name="Remove", exact=True).focus()
    tab.page.keyboard.press("Enter")
    tab.page.keyboard.press("n")
    tab.page.keyboard.press("Delete")
    tab.wait(f"{VIEW}.dataset.removed === '1'")
    tab.page.keyboard.press("Control+z")
    tab.wait(f"{VIEW}.dataset.removed === '0'")
    tab.page.keyboard.press("Escape")
    tab.wait(f"{VIEW}.dataset.mode === 'look'")
    shown = tab.page.locator(".cw-picks-head [data-exposure]").get_attribute("data-exposure")
    canvas.press("ArrowLeft")
    tab.wait(f"document.querySelector('.cw-picks-head [data-exposure]').dataset.exposure !== '{shown}'")
    assert commands(session) == []


def test_a_size_is_approved_by_a_click(tab, session):
    tab.wait("document.querySelector('.cw-picks-first').textContent.includes('waits for this size')")
    tab.page.get_by_role("button", name="Use 160 Å (140–180)").click()
    tab.wait("document.querySelector('.cw-picks-first').textContent.includes('sent')")
    assert commands(session) == [("approve_size", {"step": "size", "picker": "pick", "scope": "new"})]


def by_hand(folder, height=800, width=1200, session="a", hand="corrected"):
    """What a new kernel shows of one micrograph to the person who controls the session."""
    Image.new("L", (120, 80), 128).save(folder / "m.jpg")
    held, saved = [], []
    nothing, wake = "nothing yet", lambda: None
    view = PicksByHand(nothing, wake, wake, wake, held.append, lambda *all: saved.append(all), wake)
    view.keep, view.hand, view.allowed = session, hand, True
    none = Circles("corrected", np.zeros((0, 2)), np.zeros(0), 40.0, np.zeros(0), np.zeros(0, bool))
    view.show(Shot("1", "micrograph 1", folder / "m.jpg", height, width, 1.5, circles=none, exposure=7))
    return view, held, saved


def test_what_was_not_saved_is_there_again_when_the_page_is_loaded_anew(stage, comms, tmp_path):
    s = stage(viewport={"width": 1000, "height": 700})
    here = "document.getElementById('view')"

    def loaded(**given):
        s.page.reload()
        s.begin()
        view, held, saved = by_hand(tmp_path, **given)
        s.draw(view, style="width:900px;height:600px")
        s.settle(f"{here}.dataset.key === '1' && {here}.dataset.added !== undefined")
        return view, held, saved

    view, _, _ = loaded()
    assert view.drafts == {}
    s.page.get_by_role("checkbox", name="Add", exact=True).click()
    box = s.page.locator("#view canvas").bounding_box()
    s.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    s.settle(f"{here}.dataset.added === '1'")
    ((y, x),) = view.drafts[7].add
    view, held, saved = loaded()
    s.settle(f"{here}.dataset.added === '1'")
    assert view.drafts[7].add == [[y, x]] and held == [7], "and the page shows where a person was at work"
    for other in ({"session": "b"}, {"hand": "second"}):
        assert loaded(**other)[0].drafts == {}
    view, _, saved = loaded(height=400, width=600)
    s.settle(f"{here}.dataset.added === '1'")
    assert np.allclose(view.drafts[7].add, [[y / 2, x / 2]], atol=0.01), "the micrograph has other pixels now"
    s.page.get_by_role("button", name="Save").click()
    s.settle()
    assert len(saved) == 1
    assert loaded()[0].drafts == {} and s.page.evaluate("sessionStorage.length") == 0
    for spoilt in ("{", '[7, {"exposure": 7, "size": [8, 8], "add": [[1, "x"]], "remove": []}]'):
        s.page.evaluate("(text) => sessionStorage.setItem('cryowidgets a corrected', text)", spoilt)
        assert loaded()[0].drafts == {}
    assert s.errors == []


def test_who_only_looks_chooses_picks_and_changes_none(stage, comms, tmp_path):
    told, asked = [], []
    view = PicksView("nothing yet", lambda: view.refresh(), asked.append, told.append)
    places, scores = np.array([[200.0, 300.0], [600.0, 900.0]]), np.array([1.0, 5.0])
    powers = np.array([np.nan, np.nan])
    Image.new("L", (120, 80), 128).save(tmp_path / "m.jpg")
    circles = Circles("pick", places, scores, 40.0, powers, np.array([False, True]))
    view.show(Shot("1", "micrograph 1", tmp_path / "m.jpg", 800, 1200, 1.5, circles=circles, exposure=1))
    view.compare({1: Worth(1, scores.astype(np.float32), powers.astype(np.float32))})
    view.cut("pick", PicksCut(score_min=2.0))
    s = stage(viewport={"width": 1000, "height": 700})
    s.draw(view, style="width:900px;height:600px")
    here = "document.getElementById('view')"
    s.settle(f"{here}.dataset.kept === '1' && {here}.dataset.all === '2' && {here}.dataset.picks === '1'")
    assert "No local power is known" in s.page.inner_text(".cw-picks-panel")
    box = s.page.locator("#view canvas").bounding_box()
    scale = min(box["width"] / 1200, box["height"] / 800)
    at = box["x"] + box["width"] / 2 + 300 * scale, box["y"] + box["height"] / 2 + 200 * scale
    for button in ("left", "right"):
        s.page.mouse.click(*at, button=button)
    s.settle(f"{here}.dataset.chosen === '1'")
    assert "a pick by hand, score 5.00, added" in s.page.inner_text(".cw-ex-said")
    s.page.get_by_role("checkbox", name="those cut").click()
    s.page.locator("g[aria-label='least score']").press("Delete")
    s.settle(f"{here}.dataset.kept === '2'")
    view.size = 175.0  # a circle of that size goes with the mouse while there are no picks
    view.show(Shot("2", "micrograph 2", tmp_path / "m.jpg", 800, 1200, 1.5, exposure=2))
    s.settle(f"{here}.dataset.key === '2' && {here}.dataset.all === ''")
    s.page.mouse.move(at[0], at[1] - 10)
    s.settle(f"{here}.querySelector('.cw-ex-said').textContent === 'a circle of 175 Å'")
    s.page.mouse.move(5, 690)
    s.settle(f"{here}.querySelector('.cw-ex-said').textContent === ''")
    assert told == [PicksCut()] and s.page.get_by_role("button", name="Save").count() == 0 and s.errors == []
