"""One door for all formats."""

import os

import numpy as np
import pytest
from PIL import Image

from cryowidgets.errors import InputError
from cryowidgets.io import jpeg, mrc, tiff
from cryowidgets.io.gain import read_gain
from cryowidgets.io.movie import open_movie, whole
from cryowidgets.io.sidecar import expected_frames


@pytest.fixture
def frames():
    return np.random.default_rng(0).poisson(1.5, (5, 32, 48)).astype("u1") + 1


@pytest.mark.parametrize("name", ["m.mrc", "M.MRCS", "m.tif", "m.TIFF"])
def test_the_same_movie_whatever_the_format(tmp_path, frames, name):
    path = tmp_path / name
    mrc.write(path, frames) if "mrc" in name.lower() else tiff.write(path, frames)
    with open_movie(path) as movie:
        assert movie.shape == frames.shape
        assert len(movie) == 5
        np.testing.assert_array_equal(movie[-1], frames[-1])
        np.testing.assert_array_equal(list(movie), frames)
        with pytest.raises(IndexError):
            movie[5]
    assert whole(path, 5).whole is True


def test_gain_in_either_format_is_the_same_array(tmp_path, frames):
    gain = np.linspace(0, 2, 32 * 48, dtype="f4").reshape(32, 48)
    mrc.write(tmp_path / "gain.mrc", gain)
    tiff.write(tmp_path / "gain.tif", [gain])
    np.testing.assert_array_equal(read_gain(tmp_path / "gain.mrc", (32, 48)), gain)
    np.testing.assert_array_equal(read_gain(tmp_path / "gain.tif", (32, 48)), gain)
    with pytest.raises(InputError, match=r"gain\.mrc has 32×48 px and the movie 48×32 px"):
        read_gain(tmp_path / "gain.mrc", (48, 32))


def test_other_formats_are_refused_with_the_known_ones(tmp_path):
    path = tmp_path / "movie.dm4"
    path.write_bytes(b"x")
    with pytest.raises(InputError, match=r"movie\.dm4.*\.mrc, \.mrcs, \.map, \.tif, \.tiff"):
        open_movie(path)
    assert whole(path).whole is False


def test_a_folder_and_a_file_without_permission_are_judged(tmp_path):
    (tmp_path / "folder.tif").mkdir()
    (tmp_path / "folder.mrc").mkdir()
    for name in ("folder.tif", "folder.mrc", "none.tif", "none.mrc"):
        verdict = whole(tmp_path / name)
        assert verdict.whole is False
        assert name in verdict.why


def test_the_sidecar_tells_how_many_frames(tmp_path, frames):
    path = tmp_path / "FoilHole_1_Data_2_3_20240229_120000_fractions.tiff"
    tiff.write(path, frames[:4])
    assert whole(path).whole is None
    sidecar = tmp_path / "FoilHole_1_Data_2_3_20240229_120000_Fractions.xml"
    counts = "<ExpectedNumberOfFractions>9</ExpectedNumberOfFractions><RecordedNumberOfFractions>5</Recor"
    xml = f"<Acquisition><Info>{counts}dedNumberOfFractions><For"  # it is being written
    sidecar.write_text(xml)
    assert expected_frames(path) == 5
    assert "holds 4 of 5 frames" in whole(path).why
    tiff.write(path, frames)
    assert whole(path).whole is True
    sidecar.unlink()
    (tmp_path / f"{path.name}.mdoc").write_text("T = SerialEM\n\n[FrameSet = 0]\nNumSubFrames = 5\n")
    assert whole(path).whole is True
    assert whole(path, 6).whole is False  # who asks knows better


def test_jpeg_shows_the_picture_small_and_stretched(tmp_path):
    y, x = np.mgrid[0:900, 0:1500]
    image = (1000 + 0.1 * y).astype("f4")
    image[:, :400] = 1000
    image[0, 0] = np.nan
    jpeg.write(tmp_path / "p.jpg", image, max_side=300)
    picture = np.asarray(Image.open(tmp_path / "p.jpg"), "f4")
    assert picture.shape == (180, 300)
    assert picture[:, 5].max() < 12
    assert picture[-1, -1] > 243
    np.testing.assert_allclose(picture[90, 200], 255 * 45 / 90, atol=6)


@pytest.mark.parametrize("image", [np.full((7, 5), 3), np.full((7, 5), np.nan), np.zeros((1, 3000), "u1")])
def test_jpeg_of_nothing_is_grey(tmp_path, image):
    jpeg.write(tmp_path / "p.jpg", image)
    picture = np.asarray(Image.open(tmp_path / "p.jpg"))
    assert picture.shape == (image.shape if max(image.shape) <= 512 else (1, 512))
    assert np.all(np.abs(picture.astype(int) - 128) < 3)
    with pytest.raises(ValueError):
        jpeg.write(tmp_path / "p.jpg", np.zeros((2, 2, 3)))


def test_frames_can_be_read_by_threads(tmp_path, frames):
    from concurrent.futures import ThreadPoolExecutor

    mrc.write(tmp_path / "m.mrc", frames)
    tiff.write(tmp_path / "m.tif", frames)
    for name in ("m.mrc", "m.tif"):
        with open_movie(tmp_path / name) as movie, ThreadPoolExecutor(4) as pool:
            read = list(pool.map(movie.__getitem__, [i % 5 for i in range(40)]))
        np.testing.assert_array_equal(read, [frames[i % 5] for i in range(40)])


def test_opening_leaves_no_file_open(tmp_path, frames):
    path = tmp_path / "m.tif"
    before = len(os.listdir("/proc/self/fd"))
    tiff.write(path, frames)
    with open_movie(path) as movie:
        movie[0]
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(InputError):
        open_movie(path)
    assert len(os.listdir("/proc/self/fd")) == before
