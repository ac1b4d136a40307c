"""The tabs Classes and Map in a real browser: classes are chosen and used, history is played, a map is turned."""

import pytest

from cryowidgets.engine import inbox
from tests.browser.pages import served
from tests.mapped_session import add_map
from tests.sorted_session import GOOD, SortedSession

pytestmark = pytest.mark.browser

CLASSES, MAP = "document.querySelector('.cw-cl')", "document.querySelector('.cw-mp-view')"
SAID = "document.querySelector('.cw-cl-chosen b')?.textContent.replace(/\\u202f/g, '')"
TABS = ("Overview", "Classes", "Map", "Workflow", "System", "Alerts", "Report")


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """Twelve classes after six batches, and a map of them with its local resolution."""
    made = SortedSession(tmp_path_factory.mktemp("classes") / "session")
    made.choose()
    for n in range(6):
        made.sort(reborn=6 if n == 4 else None)
    add_map(made.store, made.folder)
    yield made
    made.close()


@pytest.fixture(scope="module")
def tab(chromium, session):
    with served(chromium, session.folder) as tab:
        tab.wait("document.querySelector('.cw-tabs [data-name=Map]')")
        yield tab


@pytest.fixture
def classes(tab):
    tab.page.click(".cw-tabs [data-name=Classes]")
    tab.wait(f"{CLASSES}?.dataset.classes === '12' && {CLASSES}.dataset.moment === '5'")
    return tab


@pytest.fixture
def map_(tab):
    tab.page.click(".cw-tabs [data-name=Map]")
    tab.wait(f"Number({MAP}?.dataset.seen) > 0")
    return tab


def one(tab, id):
    return tab.page.locator(f".cw-cl-one[data-id='{id}']")


def accepted(tab):
    return int(tab.page.evaluate(SAID).split()[0])


PIXELS = """(selector) => {
  const canvas = document.querySelector(selector);
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  const sum = [0, 0, 0, 0];
  for (let i = 0; i < data.length; i += 4) {
    if (!data[i + 3] || data[i] + data[i + 1] <= 60) continue;
    sum[0]++;
    for (let k = 0; k < 3; k++) sum[k + 1] += data[i + k];
  }
  return sum;
}"""


def pixels(tab, selector):
    """How many pixels of a canvas are drawn on, and the sums of their red, green and blue."""
    return tab.page.evaluate(PIXELS, selector)


def test_classes_are_chosen_and_the_command_holds_them(classes, session):
    before = accepted(classes)
    tick = one(classes, 2).locator(".cw-cl-tick")
    assert tick.inner_text() == "✓" and one(classes, 11).get_attribute("aria-checked") == "false"
    one(classes, 2).click()
    classes.wait(f"{CLASSES}.dataset.accepted === '{GOOD - 1}'")
    classes.wait(f"Number({SAID}.split(' ')[0]) < {before}")
    assert tick.inner_text() == "✕ by hand"
    one(classes, 2).press("End")
    last = classes.page.evaluate("Number(document.activeElement.dataset.id)")
    classes.page.keyboard.press(" ")
    classes.wait(f"{CLASSES}.dataset.accepted === '{GOOD}'")
    assert one(classes, last).get_attribute("aria-checked") == "true" and last > GOOD
    assert "by hand" in one(classes, last).get_attribute("aria-label")
    classes.page.get_by_role("button", name="Use these", exact=True).click()
    classes.wait("document.querySelector('.cw-cl-chosen').textContent.includes('waits in the inbox')")
    (order,) = inbox.read(session.folder)
    assert order.name == "set"
    assert order.args == {
        "step": "select",
        "values": {"keep": str(last), "drop": "2", "score": 0.0},
        "scope": "branch",
    }
    classes.page.click(".cw-cl-chosen [data-name=undo]")
    classes.wait(f"Number({SAID}.split(' ')[0]) === {before}")


def test_the_score_slider_takes_fewer_and_fewer(classes):
    thumb = classes.page.locator(".cw-cl [role=slider][aria-label='least score']")
    thumb.focus()
    counts = [accepted(classes)]
    for _ in range(4):
        classes.page.keyboard.press("PageUp")
    classes.wait(f"{CLASSES}.dataset.accepted === '5'")
    counts.append(accepted(classes))
    classes.page.keyboard.press("End")
    classes.wait(f"{CLASSES}.dataset.accepted === '0'")
    counts.append(accepted(classes))
    assert counts[0] > counts[1] > counts[2] == 0
    classes.page.click(".cw-cl-chosen [data-name=undo]")
    classes.wait(f"{CLASSES}.dataset.accepted === '{GOOD}'")


def test_history_is_played_and_a_class_is_looked_at(classes):
    page = classes.page
    assert one(classes, 13).count() == 1 and one(classes, 7).count() == 0
    page.locator(".cw-cl [role=slider][aria-label=batch]").press("Home")
    classes.wait(f"{CLASSES}.dataset.moment === '0' && {CLASSES}.querySelector(\"[data-id='7']\")")
    assert one(classes, 13).count() == 0
    first = pixels(classes, ".cw-cl-one[data-id='1'] canvas")
    page.click(".cw-cl-play")
    classes.wait(f"{CLASSES}.dataset.moment === '5' && {CLASSES}.querySelector(\"[data-id='13']\")")
    assert pixels(classes, ".cw-cl-one[data-id='1'] canvas") != first
    one(classes, 13).hover()
    one(classes, 13).locator(".cw-cl-closer").click()
    classes.wait("document.querySelector('.cw-cl-pair dl')?.textContent.includes('out of class 1')")
    classes.wait("document.querySelectorAll('.cw-cl-closely .cw-still img').length === 2")
    assert one(classes, 13).get_attribute("aria-checked") == "true", "looking chooses nothing"
    page.click(".cw-cl-kinds [data-name=resolution]")
    classes.wait(f"{CLASSES}.querySelector('.cw-cl-one').dataset.id === '1'")
    page.click(".cw-cl-kinds [data-name=share]")


def test_the_level_moves_the_surface_and_what_it_encloses(map_):
    seen = int(map_.page.evaluate(f"Number({MAP}.dataset.seen)"))
    note = map_.page.inner_text(".cw-mp-note")
    assert "hand arbitrary" in note and "kDa" in note
    before = pixels(map_, ".cw-mp-room canvas")
    thumb = map_.page.locator(".cw-mp-view [role=slider][aria-label=level]")
    thumb.focus()
    for _ in range(12):
        map_.page.keyboard.press("ArrowRight")
    map_.wait(f"Number({MAP}.dataset.seen) < {0.9 * seen}")
    assert pixels(map_, ".cw-mp-room canvas") != before
    assert map_.page.inner_text(".cw-mp-note") != note
    thumb.dblclick()
    map_.wait(f"Number({MAP}.dataset.seen) === {seen}")


def test_a_map_is_turned_by_key_and_by_hand_and_sliced(map_):
    page, canvas = map_.page, map_.page.locator(".cw-mp-room canvas")
    turn = page.evaluate(f"{MAP}.dataset.turn")
    canvas.focus()
    page.keyboard.press("ArrowRight")
    map_.wait(f"{MAP}.dataset.turn !== '{turn}'")
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(box["x"] + 260, box["y"] + 220, steps=3)
    page.mouse.up()
    page.keyboard.press("0")
    map_.wait(f"{MAP}.dataset.turn === '{turn}'")
    page.get_by_role("button", name="look along the axis z").click()
    map_.wait(f"{MAP}.dataset.turn === '1.00 0.00 0.00 0.00 1.00 0.00 0.00 0.00 1.00'")
    plain = pixels(map_, ".cw-mp-slice canvas")
    page.locator(".cw-mp-slice [aria-label=z]").first.press("ArrowRight")
    map_.wait("document.querySelector('.cw-mp-slice').dataset.at === '25'")
    assert pixels(map_, ".cw-mp-slice canvas") != plain


def test_colours_are_those_of_the_resolution_and_can_be_taken_off(map_):
    assert "Å" in map_.page.inner_text(".cw-mp-legend")
    count, red, _, blue = pixels(map_, ".cw-mp-room canvas")
    assert red > blue, "much of it is fine, and so yellow"
    map_.page.get_by_role("checkbox", name="local resolution").press(" ")
    map_.wait("document.querySelector('.cw-mp-legend').hidden")
    assert map_.page.evaluate("document.activeElement.textContent") == "local resolution", "the keyboard stays"
    drawn = f"(({PIXELS})('.cw-mp-room canvas'))"
    map_.wait(f"{drawn}[3] > {drawn}[1]")
    assert map_.page.locator(".cw-mp-sphere circle").count() == 400
    assert "random starts came to the same map" in map_.page.inner_text(".cw-mp-right")


def test_the_row_of_tabs_fits_a_small_screen_and_rolls_on_a_phone(tab):
    page = tab.page
    row = "document.querySelector('.cw-tab-row > .cw-tabs')"
    assert page.evaluate(f"[...{row}.children].map((tab) => tab.dataset.name).join()") == ",".join(TABS)
    try:
        page.evaluate(  # ten tabs, as with exposures, picks and one of a plug-in
            f"for (const name of ['Exposures', 'Picks', 'Particles']) {{ const more = {row}.lastChild.cloneNode(true);"
            f" more.textContent = name; {row}.append(more); }}"
        )
        assert page.evaluate(f"{row}.scrollWidth <= {row}.clientWidth")
        page.set_viewport_size({"width": 390, "height": 844})
        tab.wait(f"{row}.scrollWidth > {row}.clientWidth")
        assert page.evaluate("document.documentElement.scrollWidth <= 390"), "the page itself does not roll sideways"
        page.evaluate(f"{row}.scrollLeft = 1e4")
        tab.wait(f"{row}.scrollLeft > 0")
    finally:
        page.set_viewport_size({"width": 1280, "height": 800})
    assert tab.faults == []
    assert all("127.0.0.1" in address or address.startswith(("blob:", "data:")) for address in tab.requests)
