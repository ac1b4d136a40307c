"""Parts of images are means of the pixels that they stand for, whatever the file holds and however it is read."""

import numpy as np
import pytest

from cryowidgets.errors import InputError
from cryowidgets.io import cutout, jpeg, mrc


@pytest.fixture
def image():
    return np.random.default_rng(5).normal(10, 3, (301, 402)).astype(np.float32)


def mean(image, top, left, bottom, right, binning):
    height, width = (bottom - top) // binning, (right - left) // binning
    part = image[top : top + height * binning, left : left + width * binning].astype(np.float64)
    return part.reshape(height, binning, width, binning).mean(axis=(1, 3))


@pytest.mark.parametrize("box, binning", [((0, 0, 301, 402), 1), ((0, 0, 301, 402), 7), ((33, 101, 200, 301), 3)])
@pytest.mark.parametrize("dtype", ["f4", "f2", "i2", "u1"])
def test_a_part_is_the_mean_of_its_pixels(tmp_path, image, box, binning, dtype):
    image = image.astype(dtype)
    mrc.write(tmp_path / "a.mrc", image)
    np.testing.assert_allclose(cutout.read(tmp_path / "a.mrc", box, binning), mean(image, *box, binning), rtol=2e-3)


def test_lines_are_read_together_or_apart_with_one_result(tmp_path, image, monkeypatch):
    mrc.write(tmp_path / "a.mrc", image)
    together = cutout.read(tmp_path / "a.mrc", (0, 0, 301, 402), 4)
    monkeypatch.setattr(cutout, "AT_ONCE", 1)
    np.testing.assert_array_equal(cutout.read(tmp_path / "a.mrc", (0, 0, 301, 402), 4), together)


def test_of_what_is_too_large_lines_are_left_out(tmp_path, image):
    mrc.write(tmp_path / "a.mrc", image)
    first = cutout.read(tmp_path / "a.mrc", (0, 0, 300, 400), 10, most=30 * 402 * 4 * 3)
    lines = np.concatenate([image[i : i + 3] for i in range(0, 300, 10)])[:, :400].astype(float)
    np.testing.assert_allclose(first, lines.reshape(30, 3, 40, 10).mean(axis=(1, 3)), rtol=1e-5)


def test_the_other_byte_order_gives_the_same(tmp_path, image):
    mrc.write(tmp_path / "a.mrc", image)
    raw = (tmp_path / "a.mrc").read_bytes()
    head = np.frombuffer(raw[:1024], mrc.HEADER_DTYPE)
    turned = head.astype(mrc.HEADER_DTYPE.newbyteorder(">"))
    (tmp_path / "b.mrc").write_bytes(turned.tobytes() + image.astype(">f4").tobytes())
    box = (10, 20, 90, 100)
    np.testing.assert_array_equal(cutout.read(tmp_path / "b.mrc", box, 2), cutout.read(tmp_path / "a.mrc", box, 2))


def test_what_sticks_out_is_left_out_and_what_cannot_be_is_said(tmp_path, image):
    path = tmp_path / "a.mrc"
    mrc.write(path, image)
    np.testing.assert_array_equal(cutout.read(path, (-5, 395, 20, 900)), image[:20, 395:])
    with pytest.raises(InputError, match="no pixel"):
        cutout.read(path, (0, 402, 10, 500))
    with pytest.raises(InputError, match="no pixel"):
        cutout.read(path, (50, 50, 40, 60))
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(InputError, match="truncated"):
        cutout.read(path, (0, 0, 10, 10))
    with pytest.raises(InputError, match="does not exist"):
        cutout.read(tmp_path / "gone.mrc", (0, 0, 10, 10))


def test_a_picture_may_not_be_too_large(tmp_path, monkeypatch, image):
    mrc.write(tmp_path / "a.mrc", image)
    monkeypatch.setattr(cutout, "LARGEST", 1000)
    with pytest.raises(InputError, match="more than a picture may have"):
        cutout.read(tmp_path / "a.mrc", (0, 0, 301, 402))
    assert cutout.read(tmp_path / "a.mrc", (0, 0, 301, 402), 20).size == 15 * 20


def test_greys_span_all_there_are_and_gaps_are_in_the_middle(image):
    image[0, 0] = np.nan
    grey = cutout.grey(image)
    assert (grey.min(), grey.max()) == (0, 255) and abs(int(grey[0, 0]) - 128) < 20
    assert (cutout.grey(np.full((4, 4), np.nan)) == 128).all()


def test_pictures_are_shrunk_and_what_is_none_is_said(tmp_path, image):
    jpeg.write(tmp_path / "a.jpg", image)
    (tmp_path / "small.jpg").write_bytes(jpeg.shrunk(tmp_path / "a.jpg", 100))
    from PIL import Image

    with Image.open(tmp_path / "small.jpg") as small:
        assert small.size == (100, 75)
    (tmp_path / "b.jpg").write_bytes(b"\x89PNG no jpeg")
    for name in ("b.jpg", "gone.jpg"):
        with pytest.raises(InputError, match=f"{name} (cannot be read as a JPEG|does not exist)"):
            jpeg.shrunk(tmp_path / name, 100)
