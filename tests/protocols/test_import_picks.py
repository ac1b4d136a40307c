"""Picks of other programs: the file that belongs to a micrograph, in its pixels, or a sentence."""

from __future__ import annotations

import numpy as np
import pytest

from cryowidgets.errors import InputError, ParameterError
from cryowidgets.io import coordinates, mrc, star
from cryowidgets.io.coordinates import Coordinates
from cryowidgets.model import Micrograph
from cryowidgets.protocols.import_picks import ImportPicks
from cryowidgets.protocols.out import Out

PLACES = np.array([[20.0, 30.0], [60.0, 40.0], [80.0, 100.0]])


@pytest.fixture
def taken(tmp_path):
    """A function that takes the picks of a micrograph of 100 × 120 px."""
    mrc.write(tmp_path / "image.mrc", np.random.default_rng(0).normal(size=(100, 120)).astype(np.float32), 2.0)

    def take(files, name="m_1", **values):
        micrograph = Micrograph(name=name, path=str(tmp_path / "image.mrc"), pixel_size=2.0, height=100, width=120)
        out = Out(tmp_path, "steps/import", name)
        made = ImportPicks(files=str(files), diameter=20.0, **values).process(micrograph, out)
        out.commit()
        found = coordinates.read(tmp_path / made.path)
        assert made.count == len(found) and made.diameter == 20.0
        return found.kept(np.lexsort(found.places.T[::-1]))

    return take


def test_the_file_of_a_micrograph_is_found_by_its_name(tmp_path, taken):
    for name, shift in (("m_1", 0), ("m_10", 1), ("m_1_2", 2)):
        coordinates.write(tmp_path / f"{name}_autopick.star", Coordinates(PLACES + shift, np.arange(3.0)))
    pattern = tmp_path / "{name}*.star"
    assert taken(pattern).places.tolist() == PLACES.tolist()
    assert taken(pattern, "m_10").places.tolist() == (PLACES + 1).tolist()
    assert taken(pattern, score_min=0.5).scores.tolist() == [1.0, 2.0]
    coordinates.write(tmp_path / "m_1.star", Coordinates(PLACES[:1], np.zeros(1)))
    assert len(taken(pattern)) == 1  # that of its very name
    (tmp_path / "m_1.star").rename(tmp_path / "m_1_manual.star")
    with pytest.raises(InputError, match="m_1 has 2 files of picks, .*m_1_autopick.star and .*m_1_manual.star"):
        taken(pattern)


def test_pixels_shifts_and_the_order_of_rows(tmp_path, taken):
    columns = {"rlnCoordinateX": PLACES[:, 1] * 2, "rlnCoordinateY": PLACES[:, 0] * 2}
    columns |= {"rlnOriginXAngst": [3.0, 0.0, 0.0], "rlnOriginYAngst": [0.0, 0.0, -5.0]}
    columns |= {"rlnMicrographName": ["j/m_1_DW.mrc", "j/m_2.mrc", "j/m_1.mrc"]}
    star.write(tmp_path / "all.star", {"particles": columns})
    found = taken(tmp_path / "all.star", pixel_size=1.0)
    assert found.places.tolist() == [[20, 28.5], [82.5, 100]]
    assert taken(tmp_path / "all.star", pixel_size=1.0, shifts=False).places.tolist() == [[20, 30], [80, 100]]
    assert taken(tmp_path / "all.star", pixel_size=1.0, shifts=False, flip=True).places.tolist() == [
        [19, 100],
        [79, 30],
    ]
    assert len(taken(tmp_path / "all.star", "m_3", pixel_size=1.0)) == 0


def test_no_file_is_a_failure_or_no_picks(tmp_path, taken):
    pattern = tmp_path / "{name}.box"
    with pytest.raises(InputError, match="m_1 has no file of picks: nothing is called .*m_1.box. Try again"):
        taken(pattern)
    assert len(taken(pattern, missing="none")) == 0
    with pytest.raises(InputError, match="all.star does not exist"):
        taken(tmp_path / "all.star", missing="none")
    with pytest.raises(ParameterError, match="is relative: write the whole path"):
        ImportPicks(files="picks/{name}.box")
    with pytest.raises(ParameterError, match="files is empty"):
        taken("")
