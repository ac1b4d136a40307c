"""MRC files agree with mrcfile both ways, and damage is told from growth."""

import io
import os
import warnings
from pathlib import Path

import mrcfile
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cryowidgets.errors import InputError
from cryowidgets.io import mrc

KINDS = ["u1", "i1", "i2", "u2", "f2", "f4"]
SHAPES = hnp.array_shapes(min_dims=2, max_dims=3, max_side=9)
FLOATS = {"min_value": -6e4, "max_value": 6e4, "allow_nan": False}
ARRAYS = st.sampled_from(KINDS).flatmap(
    lambda kind: hnp.arrays(kind, SHAPES, elements=FLOATS if kind[0] == "f" else None)
)


@given(ARRAYS)
def test_what_is_written_is_read_by_us_and_by_mrcfile(tmp_path_factory, array):
    path = tmp_path_factory.getbasetemp() / "round.mrc"
    mrc.write(path, array, pixel_size=1.25)
    wanted = array[0] if array.ndim == 3 and len(array) == 1 else array
    back = mrc.read(path)
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, wanted)
    with mrcfile.open(path) as other:
        seen = other.data.view("u1") if array.dtype == "u1" else other.data
        np.testing.assert_array_equal(seen.reshape(array.shape), array)
        np.testing.assert_allclose(other.voxel_size.x, 1.25, rtol=1e-6)


@pytest.mark.parametrize("kind", ["i1", "i2", "u2", "f4"])
def test_mrcfile_finds_no_fault(tmp_path, kind):
    mrc.write(tmp_path / "valid.mrc", np.random.default_rng(1).integers(0, 99, (3, 20, 30)).astype(kind), 1.1)
    assert mrcfile.validate(tmp_path / "valid.mrc", print_file=io.StringIO())


@given(ARRAYS.filter(lambda a: a.dtype != "u1"))
def test_what_mrcfile_writes_is_read(tmp_path_factory, array):
    path = tmp_path_factory.getbasetemp() / "theirs.mrc"
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(array)
        file.voxel_size = 0.8
        if array.ndim == 3:
            file.set_image_stack()
    head = mrc.read_header(path)
    assert head.shape == (array.shape if array.ndim == 3 else (1, *array.shape))
    assert head.pixel_size == pytest.approx(0.8, rel=1e-6)
    np.testing.assert_array_equal(mrc.read(path).reshape(array.shape), array)


@pytest.mark.parametrize("kind", ["i2", "u2", "f4", "f2"])
def test_big_endian_and_extended_headers(tmp_path, kind):
    array = np.arange(24).reshape(2, 3, 4).astype(kind)
    path = tmp_path / "big.mrc"
    mrc.write(path, array)
    raw = np.fromfile(path, "u1")
    head = raw[:1024].view(mrc.HEADER_DTYPE).copy()
    head["nsymbt"], head["exttyp"] = 96, b"FEI2"
    head = head.astype(mrc.HEADER_DTYPE.newbyteorder(">"))
    head["machst"] = [0x11, 0x11, 0, 0]
    path.write_bytes(head.tobytes() + bytes(96) + array.astype(array.dtype.newbyteorder(">")).tobytes())
    np.testing.assert_array_equal(mrc.read(path), array)
    assert mrc.read(path).dtype.isnative
    assert mrc.whole(path).whole is True


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"nversion": 0, "dmin": 0, "dmax": 200}, "u1"),  # before bytes were signed by definition
        ({"nversion": 0, "dmin": -3, "dmax": 100}, "i1"),
        ({"nversion": 20140, "dmin": 0, "dmax": 200}, "i1"),
        ({"nversion": 20140, "imod": (1146047817, 0)}, "u1"),  # SerialEM
        ({"nversion": 0, "imod": (1146047817, 1), "dmax": 200}, "i1"),
    ],
)
def test_signed_and_unsigned_bytes(tmp_path, changes, wanted):
    path = tmp_path / "bytes.mrc"
    mrc.write(path, np.array([[0, 100], [200, 255]], "u1").view("i1"))
    raw = bytearray(path.read_bytes())
    head = np.frombuffer(raw, mrc.HEADER_DTYPE, count=1)
    for name, value in changes.items():
        if name == "imod":
            raw[152:160] = np.array(value, "<i4").tobytes()
        else:
            head[name] = value
    path.write_bytes(raw)
    assert mrc.read(path).dtype == wanted
    np.testing.assert_array_equal(mrc.read(path).view("u1"), [[0, 100], [200, 255]])


def test_statistics_are_in_the_header(tmp_path):
    array = np.random.default_rng(1).normal(5, 2, (3, 40, 50)).astype("f4")
    array[0, 0, 0] = np.nan
    mrc.write(tmp_path / "s.mrc", array)
    with mrcfile.open(tmp_path / "s.mrc", permissive=True) as file:
        assert file.header.dmin == np.nanmin(array)
        assert file.header.dmax == np.nanmax(array)
        assert file.header.dmean == pytest.approx(np.nanmean(array), rel=1e-5)
        assert file.header.rms == pytest.approx(np.nanstd(array), rel=1e-4)


def test_a_cut_anywhere_is_seen(tmp_path):
    whole, cut = tmp_path / "whole.mrc", tmp_path / "cut.mrc"
    mrc.write(whole, np.full((20, 8, 8), 3, "i2"))
    raw = whole.read_bytes()
    assert mrc.whole(whole, 20) == mrc.whole(whole)
    assert mrc.whole(whole).whole is True
    for length in range(0, len(raw), 61):
        cut.write_bytes(raw[:length])
        frames = max(0, length - 1024) // 128
        verdict = mrc.whole(cut)
        assert (verdict.whole, verdict.frames) == (False, frames)
        assert str(cut) in verdict.why
        if length >= 1024:
            assert f"holds {frames} of 20 frames" in verdict.why
        with pytest.raises(InputError, match="cut.mrc is (truncated|empty)"):
            mrc.MrcMovie(cut)


def test_a_copy_that_has_its_size_but_not_its_end_is_not_proven(tmp_path):
    path = tmp_path / "m.mrc"
    mrc.write(path, np.full((4, 100, 100), 3, "i2"))
    with open(path, "r+b") as file:
        file.seek(1024 + 3 * 20000 + 5000)
        file.write(bytes(15000))
    assert mrc.whole(path).whole is None
    assert "blank" in mrc.whole(path).why
    mrc.write(path, np.full((4, 100, 100), 3, "i2"))
    with open(path, "ab") as file:
        file.write(b"more")
    assert mrc.whole(path).whole is None


def test_other_counts_than_expected(tmp_path):
    path = tmp_path / "m.mrc"
    mrc.write(path, np.ones((4, 10, 10), "i2"))
    assert "holds 4 of 20 frames" in mrc.whole(path, 20).why
    assert "holds 4 frames where 3 are expected" in mrc.whole(path, 3).why
    assert mrc.whole(path, 20).whole is mrc.whole(path, 3).whole is False


@given(st.binary(max_size=3000))
def test_no_content_makes_the_verdict_raise(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "noise.mrc"
    path.write_bytes(content)
    assert mrc.whole(path).whole is False


def test_what_cannot_be_used_is_named(tmp_path):
    path = tmp_path / "x.mrc"
    with pytest.raises(InputError, match="x.mrc does not exist"):
        mrc.read(path)
    path.write_bytes(b"")
    with pytest.raises(InputError, match="x.mrc is empty"):
        mrc.read(path)
    path.write_bytes(b"not a movie at all" * 100)
    with pytest.raises(InputError, match="x.mrc is not an MRC file"):
        mrc.read(path)
    mrc.write(path, np.ones((3, 3), "f4"))
    raw = bytearray(path.read_bytes())
    raw[12] = 4
    path.write_bytes(raw)
    with pytest.raises(InputError, match="complex numbers"):
        mrc.read(path)
    raw[12], raw[64], raw[72] = 2, 3, 1
    path.write_bytes(raw)
    with pytest.raises(InputError, match="another order"):
        mrc.read(path)
    with pytest.raises(ValueError, match="no mode for float64"):
        mrc.write(path, np.ones((3, 3)))


def test_a_file_that_shrinks_under_a_reader(tmp_path):
    path = tmp_path / "m.mrc"
    mrc.write(path, np.ones((4, 10, 10), "i2"))
    with mrc.MrcMovie(path) as movie:
        os.truncate(path, 1024 + 250)
        assert movie[0].sum() == 100
        with pytest.raises(InputError, match="ends within frame 2 of 4"):
            movie[1]


SAMPLES = Path(os.environ.get("CRYOWIDGETS_SAMPLES", Path(__file__).parents[3] / "shared" / "samples"))


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="no sample files here")
def test_samples_agree_with_mrcfile():
    read = 0
    for path in sorted(SAMPLES.rglob("*.mrc")):
        if path.stat().st_size > 20e6:
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                wanted = mrcfile.read(path)
        except ValueError:
            continue
        np.testing.assert_array_equal(mrc.read(path), wanted.squeeze(), err_msg=str(path))
        read += 1
    assert read > 10
