"""A micrograph on a canvas: what lies over it, what is asked for where one zooms in, words where a file is gone."""

import numpy as np
import pytest

from cryowidgets.io import jpeg, mrc
from cryowidgets.widgets.micrograph_view import Circles, MicrographView, Shot, Ways

pytestmark = pytest.mark.browser

VIEW = "document.getElementById('view')"
HEIGHT, WIDTH = 1024, 1536


@pytest.fixture
def shot(tmp_path):
    image = np.random.default_rng(4).normal(0, 1, (HEIGHT, WIDTH)).astype(np.float32)
    mrc.write(tmp_path / "m.mrc", image)
    jpeg.write(tmp_path / "m.jpg", image, max_side=384)
    places = np.array([[100.0, 200.0], [500.0, 700.0], [900.0, 1400.0]])
    centres = np.array([[256.0, 384.0], [768.0, 1152.0]])
    ways = Ways(centres, np.cumsum(np.full((2, 10, 2), 3.0), axis=1), 5, "parts moved, drawn × 5")
    circles = Circles("topaz", places, np.array([1.0, 2.0, 3.0]), 40.0)
    return Shot("1", "micrograph 1", tmp_path / "m.jpg", HEIGHT, WIDTH, 1.5, tmp_path / "m.mrc", circles, ways)


def test_what_lies_over_a_micrograph_and_what_is_read_of_it(stage, comms, shot):
    steps = []
    view = MicrographView("nothing yet", lambda: view.refresh(), steps.append)
    s = stage(viewport={"width": 800, "height": 600})
    s.draw(view, style="width:600px;height:500px")
    s.settle(f"{VIEW}.querySelector('.cw-ex-word').textContent === 'nothing yet'")
    view.show(shot)
    s.settle(f"{VIEW}.dataset.picks === '3' && {VIEW}.dataset.zoom === '100'")

    # the upper of the two scores is lowered, the picks are switched off and on again
    s.page.locator("[aria-label='score, to']").focus()
    for _ in range(2):
        s.page.keyboard.press("PageDown")
    s.settle(f"{VIEW}.dataset.picks === '2'")
    assert "2 of 3 picks" in s.page.inner_text(".cw-ex-said")
    s.page.get_by_role("checkbox", name="picks by topaz").click()
    s.settle(f"{VIEW}.dataset.picks === ''")
    s.page.get_by_role("checkbox", name="local motion").click()
    s.settle(f"{VIEW}.querySelector('.cw-ex-said').textContent.includes('drawn × 5')")
    s.page.locator("[aria-label='low-pass']").press("End")
    s.settle(f"{VIEW}.querySelector('[aria-label=low-pass]').getAttribute('aria-valuetext') === '200 Å'")

    # a wheel over the picture zooms to where the mouse is; the part in view comes from the micrograph
    s.page.mouse.move(300, 150)
    s.page.mouse.wheel(0, -900)
    s.settle(f"Number({VIEW}.dataset.zoom) > 300 && {VIEW}.dataset.fine === '1'")
    s.page.keyboard.press("ArrowRight")
    s.page.locator("#view canvas").press("ArrowRight")
    s.settle()
    assert steps == [1]
    s.page.locator("#view canvas").press("Escape")
    s.settle(f"{VIEW}.dataset.zoom === '100'")
    assert s.errors == []


def test_what_is_gone_is_a_word(stage, comms, shot, tmp_path):
    (tmp_path / "m.mrc").unlink()
    view = MicrographView("nothing yet", lambda: view.refresh())
    view.show(shot)
    s = stage()
    s.draw(view, style="width:600px;height:500px")
    s.settle(f"{VIEW}.dataset.zoom === '100'")
    s.page.locator("#view canvas").focus()
    for _ in range(5):
        s.page.keyboard.press("+")
    s.settle(f"{VIEW}.querySelector('.cw-ex-note').textContent.includes('cannot be read')")
    (tmp_path / "m.jpg").write_bytes(b"no picture")
    view.show(Shot("2", "micrograph 2", tmp_path / "m.jpg", HEIGHT, WIDTH))
    s.settle(f"{VIEW}.querySelector('.cw-ex-word').textContent === 'the picture cannot be read'")
    view.show(Shot("3", "micrograph 3", tmp_path / "gone.jpg", HEIGHT, WIDTH))
    s.settle(f"{VIEW}.querySelector('.cw-ex-word').textContent === 'the picture is gone'")
    view.show(None)
    s.settle(f"{VIEW}.querySelector('.cw-ex-word').textContent === 'nothing yet'")
    assert s.errors == []
