"""Places are centres, whatever file they come from."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryowidgets.errors import InputError
from cryowidgets.io import star
from cryowidgets.io.coordinates import Coordinates, read, write

SAMPLES = Path(os.environ.get("CRYOWIDGETS_SAMPLES", "/nowhere"))
numbers = st.floats(-100, 5000).map(lambda x: round(x, 2))


@given(st.lists(st.tuples(numbers, numbers, st.floats(-9, 9).map(lambda x: round(x, 3))), max_size=8), st.data())
def test_round_trips(tmp_path_factory, rows, data):
    found = np.array(rows, float).reshape(-1, 3)
    kind = data.draw(st.sampled_from(["a.star", "a.box", "a.json", "a.cbox", "a.txt"]))
    path = tmp_path_factory.getbasetemp() / f"round_{kind}"
    write(path, Coordinates(found[:, :2], found[:, 2]), size=20)
    back = read(path)
    assert np.allclose(back.places, found[:, :2], atol=0.02) and len(back) == len(rows)
    if kind != "a.box":
        assert np.allclose(back.scores, found[:, 2], atol=1e-3)
    elif rows:
        assert back.size == 20 and np.isnan(back.scores).all()


def test_corners_become_centres(tmp_path):
    path = tmp_path / "a.box"
    path.write_text("14 35 20 10 -3\n\n-5\t-5\t10\t10\n")
    assert read(path).places.tolist() == [[40, 24], [0, 0]]
    path = tmp_path / "a.cbox"
    head = "data_global\n\n_cbox_format_version 1.0\n\ndata_cryolo\n\nloop_\n"
    names = "".join(f"_{n}\n" for n in ("CoordinateX", "CoordinateY", "Width", "Height", "Confidence"))
    path.write_text(f"{head}{names}10 20 8 8 0.5\n30 40 8 8 <NA>\n")
    found = read(path)
    assert found.places.tolist() == [[24, 14], [44, 34]] and found.scores[0] == 0.5 and math.isnan(found.scores[1])


def test_an_info_file_of_eman_tells_centres(tmp_path):
    (tmp_path / "a_info.json").write_text('{"quality": 5, "boxes": [[1290, 1022.5, "manual"], [3, 4, "auto_x", 0.7]]}')
    found = read(tmp_path / "a_info.json")
    assert found.places.tolist() == [[1022.5, 1290], [4, 3]] and found.scores[1] == 0.7 and math.isnan(found.scores[0])


def test_shifts_of_particles_are_applied_where_the_pixel_size_is_told(tmp_path):
    columns = {"rlnCoordinateX": [100.0, 50.0], "rlnCoordinateY": [200.0, 60.0]}
    columns |= {"rlnOriginXAngst": [3.0, 0.0], "rlnOriginYAngst": [-6.0, 0.0]}
    star.write(tmp_path / "a.star", {"optics": {"rlnVoltage": [300.0]}, "particles": columns})
    assert read(tmp_path / "a.star").places.tolist() == [[200, 100], [60, 50]]
    assert read(tmp_path / "a.star", pixel_size=1.5).places.tolist() == [[204, 98], [60, 50]]


def test_of_a_file_for_all_micrographs_those_of_one_are_given(tmp_path):
    names = ["job2/m_1_DW.mrc", "job2/m_10.mrc", "x/m_1.mrc", "m_1_2.mrc"]
    columns = {"rlnCoordinateX": [1, 2, 3, 4], "rlnCoordinateY": [1, 2, 3, 4], "rlnMicrographName": names}
    star.write(tmp_path / "a.star", {"particles": columns})
    assert read(tmp_path / "a.star", "m_1").places[:, 0].tolist() == [1, 3]
    assert len(read(tmp_path / "a.star")) == 4 and len(read(tmp_path / "a.star", "m")) == 0
    (tmp_path / "a.txt").write_text("image_name\tx_coord\ty_coord\tscore\nm_1\t1\t2\t3\nm_10\t4\t5\t6\n")
    assert read(tmp_path / "a.txt", "m_10").places.tolist() == [[5, 4]]


def test_local_power_goes_with_the_places(tmp_path):
    found = Coordinates(np.zeros((2, 2)), np.ones(2), powers=np.array([1.5, np.nan]))
    write(tmp_path / "a.star", found)
    assert read(tmp_path / "a.star").powers.tolist()[0] == 1.5 and math.isnan(read(tmp_path / "a.star").powers[1])
    assert found.scaled(2).kept(np.array([True, False])).powers.tolist() == [1.5]
    assert np.isnan(Coordinates(np.zeros((3, 2)), np.ones(3)).powers).tolist() == [True] * 3


def test_what_lies_on_the_micrograph_is_inside():
    found = Coordinates(np.array([[0, 0], [9, 19], [10, 5], [5, 20], [-1, 5]], float), np.arange(5.0))
    assert found.inside((10, 20)).scores.tolist() == [0, 1]
    assert found.scaled(2).places[1].tolist() == [18, 38]


def test_no_picks_are_a_file_as_well(tmp_path):
    none = Coordinates(np.zeros((0, 2)), np.zeros(0))
    for name in ("a.star", "a.box", "a.json", "a.cbox", "a.txt"):
        write(tmp_path / name, none, size=10)
        assert len(read(tmp_path / name)) == 0
    assert "rlnCoordinateX" in star.read(tmp_path / "a.star")[""]


@pytest.mark.parametrize(
    "name, text, sentence",
    [
        ("a.box", "1 2 3 4\nx 2 3 4\n", "line 2: 'x' is not a number"),
        ("a.box", "1 2 3\n", "line 1: 3 values where x, y, width and height are needed"),
        ("a.star", "data_\n\nloop_\n_rlnX\n1\n", "has no table with rlnCoordinateX and rlnCoordinateY"),
        ("a.cbox", "data_global\n\n_cbox_format_version 1.0\n", "has no table data_cryolo"),
        ("a.cbox", "data_cryolo\n\nloop_\n_CoordinateX\n1\n", "has no column CoordinateY"),
        ("a.json", "{}", "is not an info file of EMAN 2"),
        ("a.json", '{"boxes": [[1]]}', "is not an info file of EMAN 2"),
        ("a.txt", "", "is not a table of Topaz"),
        ("a.txt", "image_name\tx_coord\ty_coord\tscore\na\t1\t2\n", "line 2: 3 values for 4 columns"),
    ],
)
def test_what_is_broken_is_said_with_its_place(tmp_path, name, text, sentence):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError) as caught:
        read(tmp_path / name)
    assert sentence in str(caught.value) and str(tmp_path / name) in str(caught.value)


def test_boxes_need_a_size(tmp_path):
    with pytest.raises(ValueError, match="needs their size"):
        write(tmp_path / "a.box", Coordinates(np.zeros((1, 2)), np.zeros(1)))


@pytest.mark.skipif(not (SAMPLES / "boxmanager").is_dir(), reason="CRYOWIDGETS_SAMPLES names no folder")
def test_real_boxes():
    folder = SAMPLES / "boxmanager" / "test_data"
    found = read(folder / "particle_cbox_2d" / "TcdA1-0018_frames_sum.cbox")
    assert len(found) == 120 and found.size == 220
    assert found.places[0] == pytest.approx([3874.455551 + 110, 3700.367188 + 110])
    assert found.scores[0] == pytest.approx(0.657845) and (found.scores > 0.3).sum() < 120
    filaments = read(folder / "filament_cbox_2d" / "ActLifeact_02885.cbox")
    assert len(filaments) == 223 and (filaments.scores == 1).all()
    # one set of picks as corners in a cbox and as centres in a box without sides
    corners, centres = read(folder / "2d_particles.cbox").places, read(folder / "2d_center.box").places
    assert np.abs(corners[:1] - centres[:1]).max() < 1
    assert read(folder / "2d_left.box").places.tolist() == centres.tolist()
    for name in ("2d_corrupt_has_string.box", "2d_corrupt_unqual_columns.box"):
        with pytest.raises(InputError):
            read(folder / name)


@pytest.mark.skipif(not (SAMPLES / "magellon").is_dir(), reason="CRYOWIDGETS_SAMPLES names no folder")
def test_a_real_table_of_topaz_without_picks():
    folder = SAMPLES / "magellon" / "CoreService" / "sandbox" / "particle_picking_demo" / "output"
    assert len(read(folder / "topaz_picks.txt")) == 0
