"""However a TIFF image is laid out and compressed, its frames are those that tifffile finds, upside down."""

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from cryowidgets import cpu
from cryowidgets.errors import InputError
from cryowidgets.io import directories, lzwloops, tiff, tiffdecode
from cryowidgets.io.movie import open_movie


def _frames(shape=(3, 50, 70), kind="u1", mean=1.0):
    return np.random.default_rng(1).poisson(mean, shape).astype(kind)


LAYOUTS = [
    dict(compression="lzw", rowsperstrip=1),
    dict(compression="lzw", rowsperstrip=7),
    dict(compression="lzw", rowsperstrip=50),
    dict(compression="lzw", predictor=True, rowsperstrip=9),  # of floats left to tifffile
    dict(compression="zlib", predictor=True, byteorder=">"),
    dict(compression="zstd", predictor=True, tile=(32, 32)),
    dict(compression="zlib", rowsperstrip=7),
    dict(compression="zstd", rowsperstrip=7),
    dict(compression="packbits"),  # left to tifffile
    dict(tile=(16, 32), compression="lzw"),
    dict(tile=(32, 16)),
    dict(bigtiff=True, compression="lzw"),
    dict(byteorder=">", compression="zstd"),
    dict(rowsperstrip=13),
]


@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "f4"])
@pytest.mark.parametrize("how", LAYOUTS, ids=str)
@pytest.mark.parametrize("threads", [1, 3])
def test_layouts(tmp_path, how, kind, threads, monkeypatch):
    monkeypatch.setattr(cpu, "_threads", threads)
    frames, path = _frames(kind=kind), tmp_path / "m.tif"
    tifffile.imwrite(path, frames, photometric="minisblack", **how)
    with open_movie(path) as movie:
        assert (movie.shape, movie.dtype) == (frames.shape, frames.dtype)
        np.testing.assert_array_equal(movie.block(0, 3), frames[:, ::-1])
        np.testing.assert_array_equal(movie[1], frames[1, ::-1])
        out = np.zeros((2, 50, 70), kind)
        assert movie.block(1, 3, out) is out
        np.testing.assert_array_equal(out, frames[1:, ::-1])


@pytest.mark.parametrize("width", [70, 71])
def test_samples_of_four_bits(tmp_path, width):
    frames, path = _frames((2, 20, width)), tmp_path / "four.tif"
    padded = np.pad(frames, [(0, 0), (0, 0), (0, width % 2)])
    _four_bits(path, padded[..., ::2] << 4 | padded[..., 1::2], width)
    with open_movie(path) as movie:
        assert (movie.shape, movie.dtype) == (frames.shape, np.uint8)
        np.testing.assert_array_equal(movie.block(0, 2), frames[:, ::-1])
    np.testing.assert_array_equal(tifffile.imread(path), frames)


def _four_bits(path, packed, width):
    """tifffile writes bytes; the directories are changed to tell of half as many bits and the true width."""
    tifffile.imwrite(path, packed, photometric="minisblack", rowsperstrip=6, metadata=None)
    with tifffile.TiffFile(path, mode="r+b") as file:
        for page in file.pages:
            page.tags[258].overwrite(4)
            page.tags[256].overwrite(width)


def test_pairs_of_counts_as_serialem_writes_them(tmp_path):
    frames, path = _frames((2, 20, 70)), tmp_path / "pairs.tif"
    pairs = frames[..., 1::2] << 4 | frames[..., ::2]  # the left one in the low bits
    told = dict(photometric="minisblack", compression="lzw", rowsperstrip=6, metadata=None)
    tifffile.imwrite(path, pairs, description="SerialEMCCD: Dose frac. image, 4 bits packed", **told)
    with open_movie(path) as movie:
        assert movie.shape == frames.shape
        np.testing.assert_array_equal(movie.block(0, 2), frames[:, ::-1])
    with open_movie(path, packed=False) as movie:
        np.testing.assert_array_equal(movie.block(0, 2), pairs[:, ::-1])
    tifffile.imwrite(path, pairs, **told)
    with open_movie(path) as movie:
        np.testing.assert_array_equal(movie.block(0, 2), pairs[:, ::-1])
    with open_movie(path, packed=True) as movie:
        np.testing.assert_array_equal(movie.block(0, 2), frames[:, ::-1])


@pytest.mark.parametrize(
    ("height", "width", "told"),
    [
        (8184, 5760, True),  # K3
        (11520, 4092, True),
        (7420, 3838, True),  # K2
        (7676, 3710, True),
        (7424, 3840, True),
        (8184, 11520, False),
        (4092, 5760, False),
        (4096, 4096, False),
    ],
)
def test_sizes_that_tell_of_pairs(height, width, told):
    tags = {directories.LENGTH: (height,), directories.WIDTH: (width,)}
    assert tiffdecode.pairs(tags) is told


@given(st.binary(max_size=3000), st.integers(1, 12), st.booleans())
def test_lzw_as_imagecodecs_has_it(content, repeats, few):
    data = np.frombuffer(content * repeats, "u1") & (3 if few else 255)
    packed = np.frombuffer(imagecodecs.lzw_encode(data.tobytes()) if len(data) else b"\x80\x40\x40", "u1")
    raw = np.concatenate([packed, np.full(lzwloops.BEYOND, 255, "u1")])
    for room in {len(data), len(data) // 2, len(data) + 5}:
        out = np.full(room + lzwloops.BEYOND + 1, 7, "u1")
        n = lzwloops.decode(raw, len(packed), out[:-1], room)
        assert n == min(room, len(data))
        np.testing.assert_array_equal(out[:n], data[:n])
        assert out[-1] == 7


def test_lzw_of_a_whole_table():
    """Long strips fill the table of strings again and again."""
    for mean in (0.1, 1, 40):
        data = np.random.default_rng(2).poisson(mean, 300_000).astype("u1")
        packed = np.frombuffer(imagecodecs.lzw_encode(data.tobytes()), "u1")
        out = np.empty(len(data) + lzwloops.BEYOND, "u1")
        assert lzwloops.decode(np.append(packed, np.zeros(8, "u1")), len(packed), out, len(data)) == len(data)
        np.testing.assert_array_equal(out[: len(data)], data)


@given(st.binary(min_size=1, max_size=300), st.integers(0, 500))
def test_damaged_lzw_stays_within_its_room(content, room):
    raw = np.frombuffer(content + bytes(8), "u1")
    out = np.full(room + lzwloops.BEYOND + 1, 7, "u1")
    assert -1 <= lzwloops.decode(raw, len(content), out[:-1], room) <= room
    assert out[-1] == 7


@pytest.mark.parametrize("compression", ["lzw", "zlib", "zstd"])
def test_a_damaged_strip_is_an_error_that_names_the_frame(tmp_path, compression):
    path = tmp_path / "m.tif"
    tiff.write(path, _frames((4, 60, 80)), compression)
    start, length = tiff.frame_extent(path, 2)
    raw = bytearray(path.read_bytes())
    raw[start : start + length] = bytes([0x77]) * length
    path.write_bytes(raw)
    with open_movie(path) as movie:
        np.testing.assert_array_equal(movie.block(0, 2), _frames((4, 60, 80))[:2])
        with pytest.raises(InputError, match=r"m\.tif cannot be decoded: frame 3 of 4"):
            movie.block(0, 4)


def test_directories_tell_of_themselves(tmp_path):
    path = tmp_path / "m.tif"
    tifffile.imwrite(path, np.ones((8, 9), "u2"), description="words", metadata=None)
    with open(path, "rb") as file:
        (tags,) = directories.follow(file)
    assert directories.text(tags, directories.DESCRIPTION) == "words"
    assert directories.number(tags, directories.BITS, 0) == 16
    assert directories.number(tags, directories.PREDICTOR, 1) == 1
