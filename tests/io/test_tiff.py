"""TIFF movies agree with tifffile, flipped; and wherever a file is cut, the directories show it."""

import io
import struct

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cryowidgets.errors import InputError
from cryowidgets.io import tiff

ARRAYS = st.sampled_from(["u1", "u2", "i2", "f4"]).flatmap(
    lambda kind: hnp.arrays(
        kind,
        st.tuples(st.integers(1, 4), st.integers(2, 40), st.integers(2, 40)),
        elements={"allow_nan": False} if kind == "f4" else None,
    )
)
COMPRESSIONS = st.sampled_from(["lzw", "deflate", "zstd", None])


@given(ARRAYS, COMPRESSIONS, st.booleans())
def test_what_is_written_is_read_by_us_and_by_tifffile(tmp_path_factory, frames, compression, big):
    path = tmp_path_factory.getbasetemp() / "round.tiff"
    tiff.write(path, frames, compression, big)
    back = tiff.read(path)
    assert back.dtype == frames.dtype
    np.testing.assert_array_equal(back, frames[0] if len(frames) == 1 else frames)
    with tifffile.TiffFile(path) as file:
        assert file.is_bigtiff is big
        np.testing.assert_array_equal([page.asarray()[::-1] for page in file.pages], frames)


@given(ARRAYS, COMPRESSIONS, st.sampled_from("<>"))
def test_what_tifffile_writes_is_read(tmp_path_factory, frames, compression, order):
    path = tmp_path_factory.getbasetemp() / "theirs.tif"
    tifffile.imwrite(path, frames, compression=compression, byteorder=order, photometric="minisblack")
    with tiff.TiffMovie(path) as movie:
        assert movie.shape == frames.shape
        for i in range(len(movie)):
            np.testing.assert_array_equal(movie[i], frames[i][::-1])
            assert movie[i].dtype.isnative


@pytest.fixture(scope="module", params=["lzw", None, "bigtiff", "libtiff"])
def recorded(request):
    """Bytes of a movie of 6 frames: as tifffile lays it out, and as libtiff does: image first, then its directory."""
    frames = np.random.default_rng(1).poisson(3, (6, 64, 48)).astype("u1") + 1
    if request.param == "libtiff":
        return _like_libtiff(frames)
    file = io.BytesIO()
    tiff.write(file, frames, None if request.param is None else "lzw", big=request.param == "bigtiff")
    return file.getvalue()


def _like_libtiff(frames):
    out = bytearray(b"II*\0" + bytes(4))
    link = 4
    for frame in frames:
        start = len(out)
        out += frame.tobytes()
        struct.pack_into("<I", out, link, len(out))
        tags = [(256, 4, 1, 48), (257, 4, 1, 64), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
        tags += [(273, 4, 1, start), (277, 3, 1, 1), (278, 4, 1, 64), (279, 4, 1, frame.nbytes)]
        out += struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags)
        link = len(out)
        out += bytes(4)
    return bytes(out)


def test_a_cut_anywhere_is_seen(tmp_path, recorded):
    path = tmp_path / "cut.tif"
    path.write_bytes(recorded)
    assert tiff.whole(path, 6).whole is True
    assert tiff.whole(path, 6).frames == 6
    assert tiff.whole(path).whole is None  # one more frame could follow
    counts = []
    for length in [*range(0, 40), *range(40, len(recorded) - 8, 37), len(recorded) - 8]:
        path.write_bytes(recorded[:length])
        verdict = tiff.whole(path, 6)
        assert verdict.whole is False
        assert tiff.whole(path).whole is False
        assert str(path) in verdict.why
        counts.append(verdict.frames)
        with pytest.raises(InputError, match=r"cut\.tif"):
            tiff.TiffMovie(path)
    assert sorted(set(counts)) == list(range(6))
    assert counts == sorted(counts)


def test_while_it_is_recorded_it_is_never_taken_for_whole(tmp_path):
    """Look after every write of a program that records straight into the file, seeking back to link its directories."""
    path = tmp_path / "growing.tif"
    seen = []

    class Watched(io.FileIO):
        def write(self, data):
            done = super().write(data)
            seen.append((tiff.whole(path, 5).whole, tiff.whole(path).whole))
            return done

    with Watched(path, "w+b") as file:
        tiff.write(file, np.full((5, 64, 64), 7, "u1"))
    assert len(seen) > 20
    for with_count, without in seen[:-2]:
        assert with_count is False
        assert without in (False, None)
    assert tiff.whole(path, 5).whole is True


def test_a_copy_that_has_its_size_but_not_its_end_is_not_proven(tmp_path, recorded):
    path = tmp_path / "copy.tif"
    for filled in range(16, len(recorded) - 300, 37):
        path.write_bytes(recorded[:filled] + bytes(len(recorded) - filled))
        assert tiff.whole(path, 6).whole is not True


def test_a_stack_written_at_once_tells_its_frames(tmp_path):
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, np.ones((4, 32, 32), "u1"), photometric="minisblack", compression="lzw")
    assert tiff.whole(path).whole is True
    assert tiff.whole(path).frames == 4


def test_other_counts_than_expected(tmp_path):
    path = tmp_path / "m.tif"
    tiff.write(path, np.ones((4, 32, 32), "u1"))
    assert "holds 4 of 20 frames" in tiff.whole(path, 20).why
    assert "holds 4 frames where 3 are expected" in tiff.whole(path, 3).why
    assert tiff.whole(path, 20).whole is tiff.whole(path, 3).whole is False


@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"II+\0\x08\0\0\0\x10" + bytes(7)]),
)
def test_no_content_makes_the_verdict_raise(tmp_path_factory, content, head):
    path = tmp_path_factory.getbasetemp() / "noise.tif"
    path.write_bytes(head + content)
    assert tiff.whole(path).whole in (False, None)


@given(st.data())
def test_no_damage_makes_the_verdict_raise_or_reading_fail_unexplained(tmp_path_factory, data):
    file = io.BytesIO()
    tiff.write(file, np.full((3, 16, 16), 7, "u1"))
    raw = bytearray(file.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.tif"
    path.write_bytes(raw)
    tiff.whole(path)
    try:
        tiff.read(path)
    except InputError as error:
        assert str(path) in str(error)


def test_directories_in_a_circle_end(tmp_path):
    path = tmp_path / "circle.tif"
    raw = bytearray(_like_libtiff(np.ones((2, 64, 48), "u1")))
    (first,) = struct.unpack_from("<I", raw, 4)
    struct.pack_into("<I", raw, len(raw) - 4, first)
    path.write_bytes(raw)
    assert "circle" in tiff.whole(path).why


def test_what_cannot_be_used_is_named(tmp_path):
    path = tmp_path / "x.tif"
    with pytest.raises(InputError, match="x.tif does not exist"):
        tiff.read(path)
    path.write_bytes(b"")
    with pytest.raises(InputError, match="x.tif is empty"):
        tiff.read(path)
    path.write_bytes(b"hello, this is no movie")
    with pytest.raises(InputError, match="x.tif is not a TIFF file"):
        tiff.read(path)
    tifffile.imwrite(path, np.zeros((8, 8, 3), "u1"), photometric="rgb")
    with pytest.raises(InputError, match="plain images"):
        tiff.read(path)
    with tifffile.TiffWriter(path) as file:
        file.write(np.ones((8, 8), "u1"), metadata=None)
        file.write(np.ones((4, 8), "u1"), metadata=None)
    with pytest.raises(InputError, match="frame 2 has 4×8 px and the first 8×8 px"):
        tiff.read(path)
