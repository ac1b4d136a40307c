"""One door for all formats."""

import gzip
import os

import numpy as np
import pytest
from PIL import Image

from cryowidgets.errors import InputError, ParameterError
from cryowidgets.io import eer, jpeg, mrc, tiff
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

    present = (frames > 2).astype("u1")
    mrc.write(tmp_path / "m.mrc", present)
    (tmp_path / "m.mrc.gz").write_bytes(gzip.compress((tmp_path / "m.mrc").read_bytes()))
    tiff.write(tmp_path / "m.tif", present)
    eer.write(tmp_path / "m.eer", present)
    for name in ("m.mrc", "m.tif", "m.eer", "m.mrc.gz"):
        with open_movie(tmp_path / name) as movie, ThreadPoolExecutor(4) as pool:
            read = list(pool.map(movie.__getitem__, [i % 5 for i in range(40)]))
        np.testing.assert_array_equal(read, [present[i % 5] for i in range(40)])


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


@pytest.mark.parametrize("end", [".mrc", ".tif"])
def test_files_of_one_frame_each(tmp_path, end):
    frames = np.random.default_rng(1).poisson(3, (12, 20, 30)).astype("u2")
    folder = tmp_path / "movie"
    folder.mkdir()
    for i, frame in enumerate(frames):
        path = folder / f"frame_{i + 1}{end}"
        mrc.write(path, frame, 0.9) if end == ".mrc" else tiff.write(path, [frame])
    (folder / f".frame_13{end}.BzeGGJ").write_bytes(b"not done")
    (folder / "notes.txt").write_text("x")
    with open_movie(folder) as movie:
        assert (movie.shape, movie.dtype) == (frames.shape, frames.dtype)
        assert movie.pixel_size == pytest.approx(0.9 if end == ".mrc" else 0)
        np.testing.assert_array_equal(movie.block(0, 12), frames)
        np.testing.assert_array_equal(movie[9], frames[9])
    with open_movie([folder / f"frame_{i}{end}" for i in (5, 2)]) as movie:
        np.testing.assert_array_equal(list(movie), frames[[4, 1]])
    assert whole(folder).whole is None
    assert whole(folder, 12).whole is True
    assert "holds 12 of 13 frames" in whole(folder, 13).why
    os.truncate(folder / f"frame_3{end}", 100)
    assert whole(folder, 12).whole is False
    assert f"frame_3{end}" in whole(folder, 12).why
    with pytest.raises(InputError, match=rf"frame_3\{end}"):
        open_movie(folder)


def test_files_that_make_no_movie_together(tmp_path):
    with pytest.raises(InputError, match="holds no frames"):
        open_movie(tmp_path)
    with pytest.raises(InputError, match="holds no frames"):
        open_movie([])
    paths = [tmp_path / f"{i}.mrc" for i in range(4)]
    for path, shape, kind in zip(paths, [(5, 6), (5, 7), (2, 5, 6), (5, 6)], ["u1", "u1", "u1", "f4"], strict=True):
        mrc.write(path, np.ones(shape, kind))
    with pytest.raises(InputError, match=r"1\.mrc has 5×7 px and .*0\.mrc 5×6 px"):
        open_movie(paths[:2])
    with pytest.raises(InputError, match=r"2\.mrc holds 2 frames: files of one frame"):
        open_movie([paths[0], paths[2]])
    with pytest.raises(InputError, match=r"3\.mrc is of float32 and .*0\.mrc of uint8"):
        open_movie([paths[0], paths[3]])


def test_options_of_other_formats_are_refused(tmp_path, frames):
    tiff.write(tmp_path / "m.tif", frames)
    eer.write(tmp_path / "m.eer", frames)
    with open_movie(tmp_path / "m.eer", group=2, fractions=None) as movie:
        assert (len(movie), movie.remainder) == (2, 1)
    with open_movie(tmp_path / "m.tif", group=None) as movie:
        assert len(movie) == 5
    with pytest.raises(
        ParameterError, match=r"m\.tif is of a format that has no option group: leave it out \(.*packed"
    ):
        open_movie(tmp_path / "m.tif", group=2)
    with pytest.raises(ParameterError, match=r"m\.eer is of a format that has no option signed"):
        open_movie(tmp_path / "m.eer", signed=True)


def test_a_sidecar_does_not_count_raw_frames(tmp_path, frames):
    """Older EPU told a seventh of their number."""
    path = tmp_path / "FoilHole_1_Data_2_3_20240229_120000_EER.eer"
    eer.write(path, frames)
    (tmp_path / "FoilHole_1_Data_2_3_20240229_120000.xml").write_text("<a><RecordedNumberOfFractions>1</a>")
    (tmp_path / f"{path.name}.mdoc").write_text("T = SerialEM\n\n[FrameSet = 0]\nNumSubFrames = 1\n")
    assert whole(path).whole is True
    assert whole(path).frames == 5
    assert whole(path, 6).whole is False
