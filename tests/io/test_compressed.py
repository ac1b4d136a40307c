"""Compressed MRC movies: the same frames, and an end that proves them whole where the compression has one."""

import bz2
import gzip
import io
import lzma
import struct
from unittest import mock

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryowidgets import cpu
from cryowidgets.errors import InputError
from cryowidgets.io import bzip2, mrc
from cryowidgets.io.movie import open_movie, whole

FRAMES = np.random.default_rng(1).poisson(2, (6, 90, 110)).astype("i2")
PACK = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": imagecodecs.zstd_encode}
TELLING = [".gz", ".xz", ".zst"]


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    path = tmp_path_factory.mktemp("compressed") / "m.mrc"
    mrc.write(path, FRAMES, 1.25)
    return {end: pack(path.read_bytes()) for end, pack in PACK.items()}, path.read_bytes()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("end", PACK)
@pytest.mark.parametrize("name", ["m.mrc", "M.MRCS", "m.map"])
def test_the_same_frames(tmp_path, packed, end, name, threads, monkeypatch):
    monkeypatch.setattr(cpu, "_threads", threads)
    path = tmp_path / (name + end)
    path.write_bytes(packed[0][end])
    assert whole(path).whole is (True if end in TELLING else None)
    assert whole(path).frames == 6
    assert "holds 6 of 8 frames" in whole(path, 8).why
    with open_movie(path) as movie:
        assert (movie.shape, movie.dtype, movie.pixel_size) == (FRAMES.shape, FRAMES.dtype, pytest.approx(1.25))
        np.testing.assert_array_equal(list(movie), FRAMES)
        np.testing.assert_array_equal(movie[4], FRAMES[4])
        np.testing.assert_array_equal(movie[1], FRAMES[1])  # backward
        out = np.zeros((3, 90, 110), "i2")
        assert movie.block(2, 5, out) is out
        np.testing.assert_array_equal(out, FRAMES[2:5])


@pytest.mark.parametrize("end", PACK)
def test_a_cut_anywhere_is_seen(tmp_path, packed, end):
    path = tmp_path / ("cut.mrc" + end)
    content = packed[0][end]
    for length in [*range(40), *range(40, len(content) - 40, 977), *range(len(content) - 40, len(content))]:
        path.write_bytes(content[:length])
        verdict = whole(path)
        assert verdict.whole is False, length
        assert str(path) in verdict.why
        assert whole(path, 6).whole is False
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"cut\.mrc"), open_movie(path) as movie:
        movie.block(0, 6)


@pytest.mark.parametrize("end", PACK)
def test_a_copy_that_has_its_size_but_not_its_end_is_not_proven(tmp_path, packed, end):
    path = tmp_path / ("copy.mrc" + end)
    content = packed[0][end]
    for filled in range(0, len(content) - 20, 977):
        path.write_bytes(content[:filled] + bytes(len(content) - filled))
        assert whole(path).whole is not True


@pytest.mark.parametrize("end", TELLING)
def test_less_packed_than_the_header_asks_for(tmp_path, packed, end):
    path = tmp_path / ("short.mrc" + end)
    path.write_bytes(PACK[end](packed[1][:-5000]))
    assert whole(path).whole is False
    with pytest.raises(InputError, match=r"short\.mrc.* it ends too early"), open_movie(path) as movie:
        movie[5]
    path.write_bytes(PACK[end](packed[1] + bytes(5000)))
    assert whole(path).whole is None
    with open_movie(path) as movie:
        np.testing.assert_array_equal(movie[5], FRAMES[5])


def test_archives_of_several_streams(tmp_path, packed):
    """As parallel programs write them."""
    raw = packed[1]
    halves = raw[:50_000], raw[50_000:]
    for end, verdict in ((".bz2", None), (".xz", None), (".zst", True)):
        path = tmp_path / ("m.mrc" + end)
        path.write_bytes(b"".join(map(PACK[end], halves)))
        assert whole(path).whole is verdict, end
        with open_movie(path) as movie:
            np.testing.assert_array_equal(movie.block(0, 6), FRAMES)
        path.write_bytes(PACK[end](halves[0]))
        assert whole(path).whole is not True
    path = tmp_path / "blocks.mrc.gz"
    blocks = b"".join(_bgzip(raw[i : i + 30_000]) for i in range(0, len(raw), 30_000))
    path.write_bytes(blocks + _bgzip(b""))
    assert whole(path).whole is None
    with open_movie(path) as movie:
        np.testing.assert_array_equal(movie.block(0, 6), FRAMES)
    path.write_bytes(blocks)
    assert whole(path).whole is False


def _bgzip(data):
    """A block of bgzip: a gzip stream that tells its own length."""
    if not data:
        return bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
    body = gzip.compress(data)[10:]
    extra = b"BC" + struct.pack("<HH", 2, len(body) + 17)
    return gzip.compress(data)[:3] + b"\4" + bytes(4) + b"\0\xff" + struct.pack("<H", 6) + extra + body


@settings(max_examples=15)
@given(st.data(), st.sampled_from([1, 9]), st.integers(100, 5000))
def test_bzip2_on_several_threads(data, level, chunk):
    """Streams of any length one after the other, with marks anywhere in what is read at a time."""
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    lengths = data.draw(st.lists(st.sampled_from([0, 1, 70, 99_000, 100_000, 130_000]), max_size=2))
    parts = [rng.poisson(1, n).astype("u1").tobytes() for n in (*lengths, 500)]
    content = b"".join(bz2.compress(part, level) for part in parts)
    with mock.patch.object(bzip2, "_CHUNK", chunk), mock.patch.object(cpu, "_threads", 3):
        assert bzip2.Unpacked(io.BytesIO(content)).read() == b"".join(parts)
        with pytest.raises(EOFError):
            bzip2.Unpacked(io.BytesIO(content[:-20])).read()


@pytest.mark.parametrize("threads", [1, 2])
def test_bzip2_with_a_mark_by_chance(tmp_path, packed, threads, monkeypatch):
    """What several threads take for a block and is none leaves the movie to one."""
    monkeypatch.setattr(cpu, "_threads", threads)
    path = tmp_path / "m.mrc.bz2"
    path.write_bytes(packed[0][".bz2"])
    real = bzip2._marks
    monkeypatch.setattr(bzip2, "_marks", lambda data, first: sorted([*real(data, first), (9999, bzip2._BLOCK)]))
    with open_movie(path) as movie:
        np.testing.assert_array_equal(movie.block(0, 6), FRAMES)


@given(st.sampled_from(sorted(PACK)), st.data())
def test_no_damage_makes_the_verdict_raise_or_reading_fail_unexplained(tmp_path_factory, packed, end, data):
    path = tmp_path_factory.getbasetemp() / ("damaged.mrc" + end)
    content = bytearray(packed[0][end])
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.sampled_from([*range(80), *range(len(content) - 40, len(content))]))
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.sampled_from([None, 3, 17, 30, 100]))])
    assert str(path) in whole(path).why
    try:
        with open_movie(path) as movie:
            movie[0]
    except InputError as error:
        assert str(path) in str(error)


def test_what_cannot_be_used_is_named(tmp_path):
    with pytest.raises(InputError, match=r"x\.mrc\.gz does not exist"):
        open_movie(tmp_path / "x.mrc.gz")
    for end in PACK:
        path = tmp_path / ("x.mrc" + end)
        path.write_bytes(PACK[end](b"no movie" * 200))
        with pytest.raises(InputError, match="not an MRC file"):
            open_movie(path)
        path.write_bytes(b"")
        assert whole(path).whole is False
    path = tmp_path / "x.tif.gz"
    path.write_bytes(gzip.compress(b"x"))
    with pytest.raises(InputError, match=r"x\.tif\.gz is not a movie of a known format.*for MRC also in \.gz"):
        open_movie(path)
