"""What a comparison with the truth says."""

import json
import math

import numpy as np
import pytest

from cryowidgets.sim import track
from cryowidgets.sim.score import angle_error, compare, local_error, shift_error

SHIFTS = [[0.0, 0.0], [1.0, -2.0], [2.0, -3.0]]


def _movie(number, **changes):
    entry = {
        "name": f"m{number}",
        "path": f"frames/m{number}.tif",
        "fault": "",
        "lost": False,
        "shifts": SHIFTS,
        "defocus_u": 12000.0,
        "defocus_v": 11000.0,
        "angle": 80.0,
        "phase_shift": 0.0,
    }
    return {**entry, **changes}


def test_a_shift_common_to_all_frames_is_no_error():
    assert shift_error(np.array(SHIFTS) + [5, -7], SHIFTS) == pytest.approx(0)
    wrong = np.array(SHIFTS) + [[0.3, 0], [-0.3, 0], [0, 0]]
    assert shift_error(wrong, SHIFTS) == pytest.approx(math.sqrt(0.18 / 3))
    assert math.isnan(shift_error(SHIFTS[:2], SHIFTS))


@pytest.mark.parametrize(
    ("found", "true", "error"), [(85, 80, 5), (-89, 89, 2), (0, 89, -89), (170, -10, 0), (3, -2, 5)]
)
def test_angles_know_no_half_turns(found, true, error):
    assert angle_error(found, true) == pytest.approx(error)


def test_a_session_compared(tmp_path):
    truth = tmp_path / "truth.json"
    movies = [_movie(1), _movie(2), _movie(3), _movie(4, fault="truncated", lost=True), _movie(5, defocus_v=11900.0)]
    truth.write_text(json.dumps({"session": {}, "movies": movies}))
    score = compare(
        truth,
        [
            {"name": "m1", "shifts": SHIFTS},
            {"path": "/data/frames/m1.tif", "defocus_u": 12030.0, "defocus_v": 10990.0, "angle": -99.0},
            {"name": "m2", "shifts": None, "defocus_u": 11800.0, "defocus_v": 11000.0, "angle": 81.0},
            {"name": "m5", "angle": 0.0},
            {"name": "m4", "shifts": SHIFTS},
            {"name": "m9", "shifts": SHIFTS},
        ],
    )
    one, two, five = score.movies
    assert (one.name, one.shift_error, one.defocus_u_error, one.defocus_v_error) == ("m1", 0, 30, -10)
    assert one.angle_error == pytest.approx(1)
    assert math.isnan(two.shift_error)
    assert score.missing == ("m3",)
    assert score.lost == (("m4", "truncated"),)
    assert score.unknown == ("m4", "m9")
    assert score.percentile("defocus_error", 100) == 200
    assert score.percentile("defocus_error", 50) == 20
    assert score.percentile("angle_error", 100) == pytest.approx(1)  # m5 has hardly any astigmatism
    assert math.isnan(five.defocus_u_error)
    text = score.text()
    for part in ("3 movies", "m4: truncated", "without a result: m3", "without a movie: m9"):
        assert part in text


def test_a_name_given_twice_needs_the_path():
    truth = {"movies": [_movie(1), _movie(1, path="other/m1.tif", defocus_u=20000.0)]}
    assert compare(truth, [{"name": "m1", "defocus_u": 1.0}]).unknown == ("m1",)
    score = compare(truth, [{"name": "m1", "path": "/x/other/m1.tif", "defocus_u": 20001.0}])
    assert score.movies[0].defocus_u_error == 1
    assert score.missing == ("m1",)


def test_nothing_measured_says_so():
    score = compare({"movies": []}, [])
    assert math.isnan(score.percentile("shift_error", 50))
    assert score.text().startswith("0 movies")


@pytest.mark.parametrize("waves", [0, 5])
def test_ways_of_parts_are_compared_with_the_field_that_the_truth_file_tells(waves):
    rng = np.random.default_rng(3)
    moved = track.ripple(track.draw(12, 1.5, 6.0, 0.1, 2.0, rng), 1.5, 2.0, waves, 1.0, rng)
    kept = json.loads(json.dumps(track.record(moved)))
    true = _movie(1, shifts=moved.shifts.tolist(), shape=[300, 400], local=kept)
    centres = np.stack(np.meshgrid([10.0, 150.0, 289.0], [10.0, 200.0, 389.0], indexing="ij"), -1).reshape(-1, 2)
    y, x = (2 * centres / [299, 399] - 1).T
    way = np.stack([moved.shifts[frame] + moved.local(frame, y, x).T for frame in range(12)], axis=1)
    assert local_error(centres, way + [3.0, -2.0], true) == pytest.approx(0, abs=1e-4)  # a place in common is no error
    wrong = way + 0.5 * np.where(np.arange(12) % 2, 1, -1)[:, None] * [0.6, 0.8]
    assert local_error(centres, wrong, true) == pytest.approx(0.5, abs=1e-3)
    whole = np.broadcast_to(moved.shifts, way.shape)
    assert 0.3 < local_error(centres, whole, true) < 2.5, "what whole-frame motion alone leaves over"
    score = compare({"movies": [true]}, [{"name": "m1", "shifts": moved.shifts, "parts": (centres, wrong)}])
    assert "way of a part of it, 2-D rms          0.500   0.500 px" in score.text()


def test_where_nothing_moves_locally_a_part_goes_the_way_of_the_frame():
    still = track.draw(3, 1.5, 6.0, 0.1, 0.0, np.random.default_rng(1))
    assert track.record(still) is None
    centres, tracks = np.array([[5.0, 5.0]]), np.array([SHIFTS]) + 1
    assert local_error(centres, tracks, _movie(1, shape=[9, 9], local=None)) == pytest.approx(0)
    assert math.isnan(local_error(centres, tracks, _movie(1))), "a truth file of before says nothing"
    assert math.isnan(local_error(centres, tracks[:, :2], _movie(1, shape=[9, 9], local=None)))


def test_tilt_and_thickness_are_compared_where_they_were_measured():
    truth = {"movies": [
        _movie(1, tilt=30.0, tilt_axis=170.0, thickness=600.0),
        _movie(2, tilt=-20.0, tilt_axis=-60.0, thickness=0.0),
        _movie(3, tilt=0.0, tilt_axis=0.0, thickness=0.0),
        _movie(4, tilt=0.0, tilt_axis=0.0, thickness=500.0),
    ]}  # fmt: skip
    score = compare(
        truth,
        [
            {"name": "m1", "tilt": 31.0, "tilt_axis": -178.0, "thickness": 640.0},
            {"name": "m2", "tilt": 19.5, "tilt_axis": 119.0, "thickness": 300.0},
            {"name": "m3", "tilt": 0.7, "tilt_axis": 90.0},
            {"name": "m4", "tilt": math.nan, "tilt_axis": math.nan, "thickness": math.nan},
        ],
    )
    one, two, three, four = score.movies
    assert (one.tilt_error, one.tilt_axis_error, one.thickness_error) == pytest.approx((1.0, 12.0, 40.0))
    assert (two.tilt_error, two.tilt_axis_error) == pytest.approx((-0.5, -1.0))
    assert math.isnan(two.thickness_error), "of no particular thickness"
    assert score.percentile("tilt_axis_error", 100) == pytest.approx(12), "a flat specimen has no axis"
    assert three.tilt_error == pytest.approx(0.7)
    assert np.isnan([four.tilt_error, four.tilt_axis_error, four.thickness_error]).all()
    text = score.text()
    assert "tilt axis (> 5°)" in text and "thickness" in text and "shift of a frame" not in text
    assert "tilt" not in compare(truth, [{"name": "m1", "defocus_u": 12000.0}]).text()
