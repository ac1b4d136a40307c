"""The parts of the tab Overview in a real Chromium: handles by mouse, keys and fields; marks; a finger scrolls."""

import numpy as np
import pytest

from cryowidgets.widgets import figures
from cryowidgets.widgets.choice import Choice
from cryowidgets.widgets.histogram import Histogram

pytestmark = pytest.mark.browser

TOUCH = """() => {
  const found = [];
  const look = (root) => root.querySelectorAll("*").forEach((e) => {
    found.push(getComputedStyle(e).touchAction);
    if (e.shadowRoot) look(e.shadowRoot);
  });
  look(document.getElementById("view"));
  return [...new Set(found)];
}"""


def points(count):
    nothing = np.full(count, np.nan)
    return {
        "id": np.arange(1, count + 1),
        "time": 1.7e12 + 6e3 * np.arange(count),
        "value": np.arange(count) % 7,
        **dict.fromkeys(("low", "high", "width"), nothing),
        "name": [f"movie {i}" for i in range(count)],
        "colour": ["#3b82c4"] * count,
    }


@pytest.fixture
def moves():
    return []


@pytest.fixture
def histogram(comms, moves):
    def moved(low, high, done):
        moves.append((low, high, done))
        part.bound(low, high)

    part = Histogram("drift", "Å", 1, moved, fields=True)
    part.show(np.linspace(0, 40, 41), np.arange(40))
    return part


def test_handles_are_moved_by_mouse_keys_and_fields(stage, histogram, moves):
    s = stage()
    s.draw(histogram, style="width:300px;height:120px")
    assert s.page.locator("#view .cw-in").count() == 40
    high = s.page.locator("#view [data-side=high]")
    grip, room = high.locator("path").bounding_box(), s.page.locator("#view svg").bounding_box()
    s.page.mouse.move(grip["x"] + 3, grip["y"] + 5)
    s.page.mouse.down()
    s.page.mouse.move(room["x"] + room["width"] / 2, grip["y"] + 5, steps=6)
    s.page.mouse.up()
    s.settle("document.querySelectorAll('#view .cw-out').length === 20")
    assert moves[-1] == (None, pytest.approx(20, abs=0.5), True) and not all(done for *_, done in moves)
    s.page.keyboard.press("ArrowLeft")
    s.settle()
    assert moves[-1][1] == pytest.approx(moves[-2][1] - 0.4)
    low = s.page.get_by_label("least drift").and_(s.page.locator("input"))
    low.fill("5,5")
    low.press("Enter")
    s.settle("document.querySelector('#view [data-side=low]').getAttribute('aria-valuetext') === '5.5 Å'")
    assert moves[-1][0] == 5.5
    count = len(moves)
    for wrong in ("39", "x"):
        low.fill(wrong)
        low.press("Enter")
        s.settle("document.querySelector('#view [aria-invalid=true]') !== null")
    assert len(moves) == count, "what is no bound is not sent"
    high.focus()
    s.page.keyboard.press("Delete")
    s.settle("document.querySelector('#view [data-side=high]').getAttribute('aria-valuetext') === 'open'")
    assert moves[-1] == (5.5, None, True) and s.errors == []


def test_boxes_are_drawn_by_a_mouse_and_a_finger_scrolls(stage, comms):
    plot, boxes = figures.series("Drift, Å", "none"), []
    plot.on_range(lambda *box: boxes.append(box))
    plot.replace(points(40))
    plot.view(1.7e12, 1.7e12 + 240e3)
    s = stage()
    s.draw(plot)
    s.settle("document.getElementById('view').dataset.rows === '40'")
    room = s.page.locator("#view .cw-plot-room").bounding_box()
    s.page.mouse.move(room["x"] + 200, room["y"] + 30)
    s.page.mouse.down()
    s.page.mouse.move(room["x"] + 400, room["y"] + 160, steps=4)
    s.page.mouse.up()
    s.settle()
    ((x0, x1, y0, y1),) = boxes
    assert 1.7e12 < x0 < x1 < 1.7e12 + 240e3 and -1 < y0 < y1 < 8
    plot.mark([3, 4, 99])
    plot.limits(None, 5.0)
    s.settle("document.getElementById('view').dataset.marked === '2'")
    plot.stream(points(3))
    s.settle("document.getElementById('view').dataset.rows === '43'")
    assert s.page.evaluate("document.getElementById('view').dataset.marked") == "3", "row 3 came once more"
    assert "pinch-zoom" in s.page.evaluate(TOUCH) and s.errors == []
    phone = stage(has_touch=True, is_mobile=True, viewport={"width": 390, "height": 844})
    phone.draw(plot, style="width:360px;height:200px")
    phone.settle("document.getElementById('view').dataset.rows === '43'")
    assert set(phone.page.evaluate(TOUCH)) <= {"auto", "pan-x pan-y"} and phone.errors == []


def test_names_are_chosen_by_click_and_key(stage, comms):
    heard = []
    part = Choice(["drift", "defocus", "fit"], heard.append, "Plots", kind="many", chosen=["drift"])
    s = stage()
    s.draw(part)
    s.page.get_by_role("checkbox", name="fit").click()
    s.settle("document.querySelectorAll('#view [aria-checked=true]').length === 2")
    s.page.get_by_role("checkbox", name="drift").focus()
    s.page.keyboard.press("ArrowRight")
    s.page.keyboard.press(" ")
    s.settle("document.querySelectorAll('#view [aria-checked=true]').length === 3")
    assert heard == ["fit", "defocus"] and s.errors == []
    assert s.page.evaluate("document.activeElement.dataset.name") == "defocus"
