"""Gain references and lists of defects: what a file means, whatever its format, orientation and size."""

from __future__ import annotations

import numpy as np
import pytest

from cryowidgets.errors import InputError
from cryowidgets.io import defects, dm4, gain, gainterms, mrc, tiff
from tests.io.dm4_writer import dm

RNG = np.random.default_rng(5)
GAIN = RNG.uniform(0.8, 1.2, (6, 8)).astype("f4")
GAIN[2, 3] = 0


def write(path, image):
    """In the row order of MRC, as the format has it."""
    if path.suffix == ".mrc":
        mrc.write(path, image)
    elif path.suffix in (".dm4", ".dm3"):
        path.write_bytes(dm(image[::-1], version=int(path.suffix[-1])))
    else:
        tiff.write(path, [image if path.suffix == ".tif" else image[::-1]])
    return path


@pytest.mark.parametrize("ending", [".mrc", ".tif", ".gain", ".dm4", ".dm3"])
def test_the_same_gain_whatever_the_format(tmp_path, ending):
    path = write(tmp_path / f"gain{ending}", GAIN)
    np.testing.assert_array_equal(gain.read_gain(path, GAIN.shape, "auto"), GAIN)
    with pytest.raises(InputError, match=r"has 6×8 px and the movie 8×6 px"):
        gain.read_gain(path, (8, 6))
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(InputError, match=str(path)):
        gain.read_gain(path, GAIN.shape)


def test_what_divides_is_inverted(tmp_path):
    mean = GAIN[GAIN > 0].mean()
    expected = np.divide(mean, GAIN, out=np.zeros_like(GAIN), where=GAIN > 0)
    flat = write(tmp_path / "flat.mrc", GAIN)
    np.testing.assert_allclose(gain.read_gain(flat, GAIN.shape, "divide"), expected, rtol=1e-6)
    np.testing.assert_allclose(gain.read_gain(flat, GAIN.shape, "auto", eer=True), expected, rtol=1e-6)
    falcon = write(tmp_path / "x.gain", GAIN)
    np.testing.assert_array_equal(gain.read_gain(falcon, GAIN.shape, "auto", eer=True), GAIN)
    odd = GAIN.copy()
    odd[0, :3] = -1, np.nan, np.inf
    for operation in ("multiply", "divide"):
        assert (gain.read_gain(write(flat, odd), GAIN.shape, operation)[0, :3] == 0).all()


def test_turns_are_those_of_relion():
    """RELION's rotate90 puts (x, y) at row x, column height − 1 − y; it flips afterwards."""
    turned = gain.turn(GAIN, 90)
    for y in range(6):
        for x in range(8):
            assert turned[x, 6 - 1 - y] == GAIN[y, x]
    np.testing.assert_array_equal(gain.turn(GAIN, 180), GAIN[::-1, ::-1])
    np.testing.assert_array_equal(gain.turn(gain.turn(GAIN, 270), 90), GAIN)
    np.testing.assert_array_equal(gain.turn(GAIN, 0, "up-down"), GAIN[::-1])
    np.testing.assert_array_equal(gain.turn(GAIN, 90, "left-right"), turned[:, ::-1])
    assert len({gain.turn(GAIN[:6, :6], r, f).tobytes() for r in gainterms.ROTATIONS for f in gainterms.FLIPS}) == 8


def test_super_resolution_and_counting_serve_each_other(tmp_path):
    """Frames of one kind corrected with the gain of the other have the mean that they should have."""
    fine = RNG.uniform(0.7, 1.3, (12, 16)).astype("f4")
    fine[4, 6] = 0
    path = write(tmp_path / "fine.mrc", fine)
    light = 100.0
    with np.errstate(divide="ignore"):
        quarters = np.where(fine > 0, light / 4 / fine, 0)
    counted = quarters.reshape(6, 2, 8, 2).sum(axis=(1, 3))
    coarse = gain.read_gain(path, (6, 8))
    assert coarse[2, 3] == 0 and (coarse > 0).sum() == 47
    np.testing.assert_allclose((counted * coarse)[coarse > 0], light, rtol=1e-5)
    wide = gain.read_gain(write(tmp_path / "coarse.mrc", GAIN), (12, 16))
    np.testing.assert_array_equal(wide, np.kron(GAIN, np.ones((2, 2), "f4")))


def test_a_prepared_gain_is_named_after_all_that_went_in(tmp_path):
    source, listed = write(tmp_path / "gain.tif", GAIN), tmp_path / "defects.txt"
    listed.write_text("CameraSizeX 6\nCameraSizeY 8\nBadColumns 1\n")
    first = gain.prepare(tmp_path / "p", (8, 6), str(source), rotation=90)
    np.testing.assert_array_equal(mrc.read(first), gain.turn(GAIN, 90))
    assert gain.prepare(tmp_path / "p", (8, 6), str(source), rotation=90) == first
    second = gain.prepare(tmp_path / "p", (8, 6), str(source), str(listed), rotation=90)
    assert second != first and (mrc.read(second)[:, 1] == 0).all()
    only = mrc.read(gain.prepare(tmp_path / "p", (8, 6), defects=str(listed)))
    assert (only[:, 1] == 0).all() and only.sum() == 40
    write(source, GAIN * 2)
    assert gain.prepare(tmp_path / "p", (8, 6), str(source), rotation=90) != first
    with pytest.raises(InputError, match="cannot be read"):
        gain.prepare(tmp_path / "p", (8, 6), str(tmp_path / "none.mrc"))
    assert sorted(p.suffix for p in (tmp_path / "p").iterdir()) == [".mrc"] * 4


def test_a_stack_or_another_format_is_no_gain(tmp_path):
    mrc.write(tmp_path / "stack.mrc", np.ones((3, 6, 8), "f4"))
    with pytest.raises(InputError, match="holds 3 images"):
        gain.load(tmp_path / "stack.mrc")
    with pytest.raises(InputError, match=r"must end in \.mrc"):
        gain.load(tmp_path / "gain.raw")


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize("little", [True, False])
@pytest.mark.parametrize("kind", ["f4", "u2", "i4", "f8", "u1"])
def test_digital_micrograph(tmp_path, version, little, kind):
    image = RNG.integers(0, 200, (5, 9)).astype(kind)
    path = tmp_path / "a.dm"
    path.write_bytes(dm(image, version, little))
    found = dm4.read(path)
    assert found.dtype == np.dtype(kind)
    np.testing.assert_array_equal(found, image[::-1])


def test_digital_micrograph_files_that_are_damaged_are_refused_by_name(tmp_path):
    whole = dm(RNG.uniform(size=(40, 50)).astype("f4"))
    path = tmp_path / "a.dm4"
    for damaged in (b"", whole[:20], whole[: len(whole) // 2], b"x" * 500, whole.replace(b"%%%%", b"%%%"),
                    whole.replace(b"ImageList", b"ImageLost"), whole[:80] + b"\xff" * 20 + whole[100:]):  # fmt: skip
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=str(path)):
            dm4.read(path)
    with pytest.raises(InputError, match="does not exist"):
        dm4.read(tmp_path / "none.dm4")


SERIALEM = """CameraSizeX 8
CameraSizeY 6
RotationAndFlip 0
BadColumns 1
BadRows 0
PartialBadColumn 5 2 1 3
PartialBadRow 4 1 2 3
BadPixels 7 5 3 3
NumToAvgSuperRes 0
"""


def serialem_mask():
    mask = np.zeros((6, 8), bool)
    mask[:, 1] = mask[0] = mask[1:4, 5:7] = mask[4, 2:4] = mask[5, 7] = mask[3, 3] = True
    return mask[::-1]  # SerialEM counts from the top


def test_defects_of_serialem(tmp_path):
    path = tmp_path / "defects.txt"
    path.write_bytes(SERIALEM.replace("\n", "\r\n").encode())
    np.testing.assert_array_equal(defects.read(path, (6, 8)), serialem_mask())
    np.testing.assert_array_equal(defects.read(path, (12, 16)), np.kron(serialem_mask(), np.ones((2, 2))) > 0)
    np.testing.assert_array_equal(defects.read(path, (3, 4)), serialem_mask().reshape(3, 2, 4, 2).any(axis=(1, 3)))
    with pytest.raises(InputError, match=r"camera of 6×8 px and the movie 7×8 px"):
        defects.read(path, (7, 8))
    path.write_text(SERIALEM + "WasScaled 1\nUsableArea 0 0 0 6\n")
    mask = serialem_mask()
    mask[:, 7] = mask[1:3, 3:5] = True  # rows 3 and 4 from the top: a sensor's pixel is two by two here
    np.testing.assert_array_equal(defects.read(path, (6, 8)), mask)


def test_defects_as_rectangles_and_as_a_map(tmp_path):
    path = tmp_path / "defects.txt"
    path.write_text("# x y w h\n1 0 2 3\n7, 5, 9, 9\n")
    mask = np.zeros((6, 8), bool)
    mask[:3, 1:3] = mask[5:, 7:] = True
    np.testing.assert_array_equal(defects.read(path, (6, 8)), mask)
    for name in ("map.mrc", "map.tif"):
        np.testing.assert_array_equal(defects.read(write(tmp_path / name, mask.astype("u1")), (6, 8)), mask)


@pytest.mark.parametrize(
    "text, sentence",
    [("", "no list of defects"), ("hello world", "no list"), ("BadPixels 3", "fewer numbers"), ("1 2 3", "fewer"),
     ("BadRows x", "something else than numbers"), ("CameraSizeX 0\nBadRows 1", "makes no sense")],
)  # fmt: skip
def test_lists_that_make_no_sense_are_refused(tmp_path, text, sentence):
    (tmp_path / "d.txt").write_text(text)
    with pytest.raises(InputError, match=sentence):
        defects.read(tmp_path / "d.txt", (6, 8))
    with pytest.raises(InputError, match="does not exist"):
        defects.read(tmp_path / "none.txt", (6, 8))
