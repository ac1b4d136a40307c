"""MRC files agree with mrcfile both ways, and damage is told from growth."""

import gzip
import io
import itertools
import os
import warnings
from pathlib import Path

import mrcfile
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cryowidgets import cpu
from cryowidgets.errors import InputError
from cryowidgets.io import mrc
from cryowidgets.io.movie import open_movie

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


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([-2, -1, 0, 1, 2], "i1"),
        ([100, 120, 127, 128, 150], "u1"),
        ([0, 1, 2], "i1"),  # both are right
        ([200, 210, 220, 0, 250, 255], "i1"),
    ],
)
def test_signs_by_the_data_where_nothing_else_tells(tmp_path, values, wanted):
    path = tmp_path / "bytes.mrc"
    array = np.resize(np.array(values).astype("u1"), (3, 20, 30))
    mrc.write(path, array.view("i1"))
    for told in ({"nversion": 0, "dmin": 0, "dmax": -1}, {"nversion": 20140, "dmin": 0, "dmax": 255}):
        _change(path, **told)
        assert mrc.read_header(path).dtype == wanted
    for signed, kind in ((True, "i1"), (False, "u1")):
        with open_movie(path, signed=signed) as movie:
            assert movie.dtype == kind
            np.testing.assert_array_equal(movie.block(0, 3), array.view(kind))


@pytest.mark.parametrize("order", list(itertools.permutations((1, 2, 3))))
def test_maps_are_turned_upright(tmp_path, order):
    """`order` is that of columns, rows and sections, as in the header."""
    path = tmp_path / "map.mrc"
    volume = np.arange(4 * 5 * 6, dtype="f4").reshape(4, 5, 6)  # z, y, x
    mrc.write(path, volume.transpose([3 - axis for axis in order[::-1]]))
    _change(path, **dict(zip(("mapc", "mapr", "maps"), order, strict=True)), mx=6, my=5, mz=4, cella=(9, 5, 4))
    np.testing.assert_array_equal(mrc.read(path), volume)
    with open_movie(path) as movie:
        assert (movie.shape, movie.pixel_size) == (volume.shape, 1.5)
        np.testing.assert_array_equal(movie.block(1, 3), volume[1:3])
        np.testing.assert_array_equal(movie[-1], volume[-1])
    (tmp_path / "map.mrc.gz").write_bytes(gzip.compress(path.read_bytes()))
    with open_movie(tmp_path / "map.mrc.gz") as movie:
        np.testing.assert_array_equal(movie.block(0, 4), volume)


def _change(path, extended=b"", **fields):
    """Change fields of the header."""
    raw = path.read_bytes()
    head = np.frombuffer(raw[:1024], mrc.HEADER_DTYPE).copy()
    for name, value in fields.items():
        head[name] = value
    head["nsymbt"] = len(extended)
    path.write_bytes(head.tobytes() + extended + raw[1024:])


@pytest.mark.parametrize("width", [30, 31])
def test_mode_101_has_two_counts_in_a_byte(tmp_path, width):
    path = tmp_path / "four.mrc"
    counts = np.random.default_rng(1).integers(0, 16, (4, 20, width)).astype("u1")
    padded = np.pad(counts, [(0, 0), (0, 0), (0, width % 2)], constant_values=9)
    mrc.write(path, padded[..., ::2] | padded[..., 1::2] << 4, 1.5)
    _change(path, mode=101, nx=width, mx=width, cella=(width * 1.5, 30, 6))
    assert mrc.whole(path).whole is True
    with open_movie(path) as movie:
        assert (movie.shape, movie.dtype, movie.pixel_size) == (counts.shape, np.uint8, 1.5)
        np.testing.assert_array_equal(movie.block(0, 4), counts)
        np.testing.assert_array_equal(movie[3], counts[3])
    path.write_bytes(path.read_bytes()[:-1])
    assert mrc.whole(path).frames == 3


@pytest.mark.parametrize("told", ["flag", "label"])
def test_pairs_of_counts_in_bytes(tmp_path, told):
    """IMOD's flag, and what SerialEM wrote before there was one."""
    path = tmp_path / "pairs.mrc"
    shape = (1, 20, 30) if told == "flag" else (1, 7420, 3838)
    pairs = np.random.default_rng(1).integers(0, 256, shape).astype("u1")
    mrc.write(path, pairs, 2.0)
    if told == "flag":
        raw = bytearray(path.read_bytes())
        raw[152:160] = np.array((1146047817, 16), "<i4").tobytes()
        path.write_bytes(raw)
    else:
        _change(path, nlabl=1, label=[b"SerialEMCCD: Dose frac. image, 4 bits packed"] + [b""] * 9)
    with open_movie(path) as movie:
        assert movie.shape == (1, shape[1], 2 * shape[2])
        assert movie.pixel_size == 1
        np.testing.assert_array_equal(movie[0][:, ::2], pairs[0] & 15)
        np.testing.assert_array_equal(movie[0][:, 1::2], pairs[0] >> 4)
    with open_movie(path, signed=False) as movie:
        np.testing.assert_array_equal(movie[0], pairs[0])


@pytest.mark.parametrize("kind", ["FEI1", "FEI2"])
def test_pixel_size_of_epu_is_in_the_extended_header(tmp_path, kind):
    path = tmp_path / "epu.mrc"
    mrc.write(path, np.ones((2, 8, 9), "u2"))
    record = np.zeros(2, mrcfile.dtypes.get_ext_header_dtype(kind.encode(), "<"))
    record["Pixel size X"] = 0.6666e-10
    _change(path, record.tobytes() + bytes(5000), exttyp=kind.encode())
    assert mrc.read_header(path).pixel_size == pytest.approx(0.6666)
    np.testing.assert_array_equal(mrc.read(path), np.ones((2, 8, 9)))
    _change(path, b"", cella=(9.0, 8.0, 2.0), exttyp=kind.encode())
    assert mrc.read_header(path).pixel_size == 1  # the cell comes first


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("threads", [1, 3])
def test_blocks(tmp_path, kind, threads, monkeypatch):
    monkeypatch.setattr(cpu, "_threads", threads)
    path, array = tmp_path / "m.mrc", np.arange(5 * 6 * 7).reshape(5, 6, 7).astype(kind)
    mrc.write(path, array)
    with open_movie(path) as movie:
        np.testing.assert_array_equal(movie.block(0, 5), array)
        out = np.zeros((2, 6, 7), kind)
        assert movie.block(3, 5, out) is out
        np.testing.assert_array_equal(out, array[3:])
        with pytest.raises(IndexError, match="frames 3 to 5 are not in"):
            movie.block(3, 6)
        with pytest.raises(ValueError, match="contiguous"):
            movie.block(0, 2, np.zeros((2, 7, 6), kind).transpose(0, 2, 1))
        os.truncate(path, path.stat().st_size - 1)
        with pytest.raises(InputError, match="ends within frame 5 of 5"):
            movie.block(0, 5)


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
    raw[12], raw[64], raw[72] = 2, 3, 3
    path.write_bytes(raw)
    with pytest.raises(InputError, match="not an MRC file"):
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


SAMPLES = Path(os.environ.get("CRYOWIDGETS_SAMPLES", "/nowhere"))


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="CRYOWIDGETS_SAMPLES names no folder")
def test_samples_agree_with_mrcfile():
    read = 0
    for path in sorted([*SAMPLES.rglob("*.mrc"), *SAMPLES.rglob("*.map"), *SAMPLES.rglob("*.map.*")]):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                wanted = mrcfile.open(path, permissive=True)
        except ValueError:
            continue
        order = [int(wanted.header[name]) for name in ("maps", "mapr", "mapc")]
        array = wanted.data.reshape(-1, *wanted.data.shape[-2:])
        if 0 not in order:
            array = array.transpose([order.index(axis) for axis in (3, 2, 1)])
        with open_movie(path) as movie:
            np.testing.assert_array_equal(movie.block(0, len(movie)), array, err_msg=str(path))
            assert movie.pixel_size == pytest.approx(float(wanted.voxel_size.x), rel=1e-5)
        read += 1
    assert read > 10
    epu = mrc.read_header(SAMPLES / "micrographs" / "epu2.9_example.mrc")
    assert (epu.shape, epu.dtype) == ((1, 4096, 4096), np.uint16)
    assert epu.pixel_size == pytest.approx(0.6666, abs=5e-5)
