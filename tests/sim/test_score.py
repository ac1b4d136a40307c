"""What a comparison with the truth says."""

import json
import math

import numpy as np
import pytest

from cryowidgets.sim.score import angle_error, compare, shift_error

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
