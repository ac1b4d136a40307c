"""Stars come back as they went, and other people's readers and files are understood."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
import starfile
from hypothesis import given
from hypothesis import strategies as st

from cryowidgets.errors import InputError
from cryowidgets.io import star

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"], exclude_characters="\"'"), max_size=12)
WORDS = st.lists(TEXT, max_size=3).map(" ".join)
NUMBERS = st.integers(-(10**12), 10**12) | st.floats(-1e9, 1e9)


@given(
    st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), NUMBERS | WORDS, min_size=1, max_size=4),
    st.lists(st.tuples(NUMBERS, WORDS), min_size=1, max_size=5),
)
def test_what_is_written_is_read(tmp_path_factory, fields, rows):
    path = tmp_path_factory.getbasetemp() / "round.star"
    table = {"number": [n for n, _ in rows], "text": [t for _, t in rows]}
    star.write(path, {"fields": fields, "table": table})
    back = star.read(path)
    assert list(back) == ["fields", "table"]
    _same(back["fields"].values(), fields.values())
    _same(back["table"]["number"], table["number"])
    assert back["table"]["text"] == table["text"]


def _same(found, wanted):
    for a, b in zip(found, wanted, strict=True):
        if isinstance(b, float):
            assert a == pytest.approx(b, rel=1e-6, abs=1e-300)
        else:
            assert (type(a), a) == (type(b), b)


def test_starfile_reads_ours(tmp_path):
    path = tmp_path / "ours.star"
    optics = {"rlnOpticsGroupName": ["opticsGroup1"], "rlnOpticsGroup": [1], "rlnVoltage": [300.0]}
    names = ["a/b 1.mrc", "", "c.mrc"]
    movies = {"rlnMicrographMovieName": names, "rlnOpticsGroup": np.array([1, 1, 1]), "rlnX": np.array([1.5, 2, 1e-7])}
    star.write(path, {"optics": optics, "movies": movies, "general": {"rlnImageSizeX": 5760, "rlnVoltage": 200.0}})
    back = starfile.read(path, always_dict=True)
    assert list(back) == ["optics", "movies", "general"]
    assert list(back["movies"]["rlnMicrographMovieName"]) == names
    np.testing.assert_allclose(back["movies"]["rlnX"], movies["rlnX"])
    assert back["optics"]["rlnVoltage"][0] == 300
    assert back["general"] == {"rlnImageSizeX": 5760, "rlnVoltage": 200.0}
    assert "# version 30001\n\ndata_optics\n\nloop_ \n_rlnOpticsGroupName #1 \n" in path.read_text()


def test_numbers_keep_seven_digits_and_nan(tmp_path):
    values = [0.0, 1 / 3, 12345.678, 2.5e-9, 7.1e12, -0.0012345678]
    star.write(tmp_path / "n.star", {"": {"x": [*values, math.nan]}})
    back = star.read(tmp_path / "n.star")[""]["x"]
    np.testing.assert_allclose(back[:-1], values, rtol=2e-6)
    assert math.isnan(back[-1])


def test_a_row_may_begin_like_a_block(tmp_path):
    text = "data_a\nloop_\n_name #1 # comment\n_n #2\n\ndata_set/1.mrc 1\n_odd 2 # more\n\ndata_b\n_x 1_0\n"
    (tmp_path / "a.star").write_text(text)
    assert star.read(tmp_path / "a.star") == {"a": {"name": ["data_set/1.mrc", "_odd"], "n": [1, 2]}, "b": {"x": "1_0"}}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no data_ block"),
        ("hello 1\n", "line 1 comes before"),
        ("data_a\nloop_\n_x #1\n_y #2\n1\n", "line 5: 1 values for 2 columns"),
        ("data_a\nhello 1\n", "line 2: 'hello'"),
        ("data_a\n_x\n", "line 2: _x takes one value"),
    ],
)
def test_damage_is_named(tmp_path, text, says):
    path = tmp_path / "bad.star"
    path.write_text(text)
    with pytest.raises(InputError, match=says) as error:
        star.read(path)
    assert str(path) in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="none.star does not exist"):
        star.read(tmp_path / "none.star")


@pytest.mark.parametrize(
    "block", [{"a": [1, 2], "b": [1]}, {"a": [1], "b": 2}, {"a": ["two\nlines"]}, {"a": "both ' and \""}]
)
def test_what_a_star_cannot_hold_is_refused(tmp_path, block):
    with pytest.raises(ValueError):
        star.write(tmp_path / "x.star", {"b": block})


SAMPLES = Path(os.environ.get("CRYOWIDGETS_SAMPLES", Path(__file__).parents[3] / "shared" / "samples"))


@pytest.mark.skipif(not (SAMPLES / "starfile_tests").is_dir(), reason="no sample files here")
def test_samples_agree_with_starfile():
    read = 0
    for path in (SAMPLES / "starfile_tests").rglob("*.star"):
        try:
            wanted = starfile.read(path, always_dict=True)
        except Exception:
            continue
        try:
            found = star.read(path)
        except InputError:
            continue
        for name in set(found) & set(wanted):
            if hasattr(wanted[name], "columns"):
                assert list(found[name]) == list(wanted[name].columns), path
                assert {len(column) for column in found[name].values()} <= {len(wanted[name])}, path
        read += 1
    assert read > 5
