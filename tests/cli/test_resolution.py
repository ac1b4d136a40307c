"""The command that measures the resolution of maps in files."""

from __future__ import annotations

import re

import numpy as np
import pytest
from click.testing import CliRunner

from cryowidgets.cli import main
from cryowidgets.io import mrc
from cryowidgets.sim import halfmaps


@pytest.fixture
def maps(tmp_path):
    made = halfmaps.simulate((40, 40, 40), 2.0, (8.0, 8.0), fill=0.65, seed=2)
    for name, values in (("half1", made.half1), ("half2", made.half2), ("mask", made.mask.astype(np.float32))):
        mrc.write(tmp_path / f"{name}.mrc", values, 2.0)
    return tmp_path


def run(*words):
    return CliRunner().invoke(main, ["resolution", *map(str, words)])


def number(text, label):
    return float(re.search(rf"^{label} +([\d.]+) Å", text, re.M)[1])


def test_two_halves_are_measured_as_a_whole_and_from_place_to_place(maps):
    done = run(maps / "half1.mrc", maps / "half2.mrc", "--mask", maps / "mask.mrc", "--out", maps / "new" / "apo")
    assert done.exit_code == 0, done.output
    assert number(done.output, "whole map") == pytest.approx(8, rel=0.2)
    assert number(done.output, "median") == pytest.approx(8, rel=0.15)
    values = mrc.read(maps / "new" / "apo_resolution.mrc")
    assert np.median(values[values > 0]) == pytest.approx(number(done.output, "median"), abs=0.006)
    written = {path.name for path in (maps / "new").iterdir()}
    assert written == {
        f"apo_{rest}" for rest in ("map.mrc", "mask.mrc", "resolution.mrc", "resolution.jpg", "resolution.npy")
    }


def test_of_one_map_the_noise_is_the_measure(maps):
    done = run(maps / "half1.mrc", "--mask", maps / "mask.mrc", "--pixel-size", 3)
    assert done.exit_code == 0, done.output
    assert "whole map" not in done.output and 10 < number(done.output, "median") < 18
    assert (maps / "half1_resolution.mrc").exists()


def test_what_cannot_be_told_is_an_error_with_its_reason(maps):
    mrc.write(maps / "flat.mrc", np.zeros((40, 40, 40), np.float32), 2.0)
    done = run(maps / "flat.mrc")
    assert done.exit_code != 0 and "same density everywhere" in done.output
    mrc.write(maps / "small.mrc", np.zeros((8, 8, 8), np.float32), 2.0)
    done = run(maps / "half1.mrc", maps / "small.mrc")
    assert done.exit_code == 3 and "small.mrc has 8 × 8 × 8 voxels" in done.output
