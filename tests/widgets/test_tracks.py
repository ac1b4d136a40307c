"""Lines over a picture are where its parts are, and as long as they moved."""

import re

import numpy as np
import pytest

from cryowidgets.model import Micrograph, Optics
from cryowidgets.widgets import panels
from cryowidgets.widgets.tracks import overlay

CENTRES = np.array([[100.0, 150.0], [100.0, 450.0], [300.0, 150.0], [300.0, 450.0]])


@pytest.fixture
def micrograph(tmp_path):
    """A 400 × 600 px movie of three frames, binned twice; one of its four parts moves by 3 px along x and 4 along y."""

    def make(far=1.0, **changed):
        shifts = np.array([[0.0, 0.0], [1.0, 2.0], [3.0, 5.0]])
        tracks = np.repeat(shifts[None], 4, axis=0)
        tracks[1] += far * np.array([[0.0, 0.0], [2.0, 1.5], [4.0, 3.0]])
        np.savez(tmp_path / "local.npz", centres=CENTRES, tracks=tracks)
        values = {"shifts": shifts, "local_motion": str(tmp_path / "local.npz"), "height": 200, "width": 300} | changed
        return Micrograph(path="a.mrc", pixel_size=2.0, optics=Optics(pixel_size=1.0), **values)

    return make


def test_each_part_is_drawn_at_its_place_beside_the_whole(micrograph):
    svg = overlay(micrograph())
    assert "viewBox='0 0 600 400'" in svg
    lines = [np.array([p.split(",") for p in line.split()], float) for line in re.findall(r"points='([^']+)'", svg)]
    assert len(lines) == 4
    times = int(re.search(r"data-times='(\d+)'", svg)[1])
    assert times * 5 < 245 < 2.5 * times * 5  # parts are 245 px apart
    np.testing.assert_allclose(
        lines[1], [[450, 100], [450 + 1.5 * times, 100 + 2 * times], [450 + 3 * times, 100 + 4 * times]]
    )
    np.testing.assert_allclose(lines[3], [[450, 300]] * 3)
    assert f"parts moved up to 5.0 Å, drawn × {times}" in svg


def test_large_motion_is_drawn_as_it_is(micrograph):
    assert "data-times='1'" in overlay(micrograph(far=100.0))


def test_without_local_motion_nothing_is_drawn(micrograph, tmp_path):
    assert overlay(micrograph(far=0.0)) == ""
    assert overlay(micrograph(local_motion="")) == ""
    assert overlay(micrograph(local_motion=str(tmp_path / "gone.npz"))) == ""
    assert overlay(micrograph(shifts=np.zeros((5, 2)))) == ""
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 not a zip")
    assert overlay(micrograph(local_motion=str(tmp_path / "bad.npz"))) == ""
    np.savez(tmp_path / "odd.npz", centres=CENTRES, tracks=np.zeros((3, 3, 2)))
    assert overlay(micrograph(local_motion=str(tmp_path / "odd.npz"))) == ""


def test_the_panel_lays_it_over_the_picture(wire, micrograph, tmp_path):
    from PIL import Image

    Image.new("L", (300, 200)).save(tmp_path / "a.jpg")
    panel = panels.MicrographPanel()
    panel.show(micrograph(thumbnail=str(tmp_path / "a.jpg")))
    assert "<svg" in panel.picture._over.value
    assert panel.picture._frame.layout.display is None
    panel.show(None)
    assert panel.picture._over.value == ""
    assert panel.picture._frame.layout.display == "none"
