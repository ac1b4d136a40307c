"""EER movies: the same electrons as a slow reference decoder finds, and of damaged files all that is whole."""

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from cryowidgets import cpu
from cryowidgets.errors import InputError, ParameterError
from cryowidgets.io import eer
from cryowidgets.io.eercode import CODES, Code, encode

WIDTHS = [(7, 2, 2), (7, 1, 1), (8, 2, 2), (3, 1, 2), (12, 3, 1), (16, 2, 2)]
ENTRIES = [(65000, (8, 2, 2)), (65001, (7, 2, 2))] + [(65002, widths) for widths in WIDTHS]


def _reference(raw, code, height, width):
    """Electrons of a raw frame as (row, column, y, x), bit by bit; None where it is damaged."""
    bits = [byte >> k & 1 for byte in raw for k in range(8)]
    place = at = 0
    found = []

    def take(n):
        nonlocal place
        if place + n > len(bits):
            raise EOFError
        place += n
        return sum(bit << k for k, bit in enumerate(bits[place - n : place]))

    try:
        while at < height * width:
            run = take(code.run)
            at += run
            if run == (1 << code.run) - 1:
                take(code.x + code.y if code.wasteful else 0)
            elif at < height * width:
                x, y = take(code.x), take(code.y)
                found.append((at // width, at % width, y ^ 1 << code.y - 1, x ^ 1 << code.x - 1))
                at += 1
    except EOFError:
        return None
    return found if at == height * width else None


def _image(electrons, code, height, width, upsampling):
    image = np.zeros((height * upsampling, width * upsampling), int)
    for row, column, y, x in electrons:
        y, x = (y >> code.y - 1, x >> code.x - 1) if upsampling == 2 else (0, 0)
        image[row * upsampling + y, column * upsampling + x] += 1
    return image


def _streams(path):
    """The raw frames' bytes as they are in the file."""
    with eer.EerMovie(path, group=1) as movie:
        parts = [[path.read_bytes()[start : start + n] for start, n in raw.pieces] for raw in movie._raw]
        return [b"".join(part) for part in parts]


def _sparse(seed, shape, share=0.05):
    return np.random.default_rng(seed).random(shape) < share


@settings(max_examples=40)
@given(
    st.sampled_from(ENTRIES),
    st.integers(1, 40),
    st.integers(1, 700),
    st.sampled_from([0, 0.001, 0.03, 0.5, 1]),
    st.integers(0, 999),
)
def test_the_same_electrons_as_a_slow_reference_decoder(tmp_path_factory, entry, height, width, share, seed):
    path = tmp_path_factory.getbasetemp() / "random.eer"
    compression, widths = entry
    code = CODES.get(compression) or Code(*widths)
    frames = _sparse(seed, (3, height, width), share)
    eer.write(path, frames, compression, widths, seed=seed)
    electrons = [_reference(raw, code, height, width) for raw in _streams(path)]
    for upsampling in (1, 2):
        with eer.EerMovie(path, group=1, upsampling=upsampling) as movie:
            assert movie.shape == (3, height * upsampling, width * upsampling)
            wanted = [_image(found, code, height, width, upsampling) for found in electrons]
            np.testing.assert_array_equal(movie.block(0, 3), wanted)
            np.testing.assert_array_equal(movie.electrons(), frames.sum((1, 2)))
            assert movie.skipped == 0
            assert movie.faults == []
    np.testing.assert_array_equal([_image(found, code, height, width, 1) for found in electrons], frames)


@settings(max_examples=60)
@given(
    st.sampled_from(WIDTHS), st.booleans(), st.binary(min_size=1, max_size=200), st.integers(1, 9), st.integers(1, 60)
)
def test_any_bytes_are_judged_as_by_the_reference(tmp_path_factory, widths, whole, content, height, width):
    """Random bytes, whole frames among them: what the reference refuses is left out, and nothing of it is drawn."""
    path = tmp_path_factory.getbasetemp() / "bytes.eer"
    code, area = Code(*widths), height * width
    if whole:
        pixels = np.unique(np.frombuffer(content, "u1").astype(int) % area)
        content = encode(code, area, pixels, pixels % (1 << code.x), pixels % (1 << code.y))
    with open(path, "w+b") as file:
        eer.write(file, _sparse(1, (2, height, width)), 65002, widths)
        _add_raw(file, content, height, width, widths)
    found = _reference(content, code, height, width)
    with eer.EerMovie(path, group=3, upsampling=2) as movie:
        good = [_reference(raw, code, height, width) for raw in _streams(path)[:2]] + [found or []]
        np.testing.assert_array_equal(movie[0], sum(_image(f, code, height, width, 2) for f in good))
        assert movie.skipped == (found is None)


def _add_raw(file, content, height, width, widths):
    from cryowidgets.io import directories as tiff
    from cryowidgets.io.eerwrite import _append

    *_, last = _addresses(file)
    tags = {tiff.COMPRESSION: 65002} | dict(zip((tiff.RUN_BITS, tiff.X_BITS, tiff.Y_BITS), widths, strict=True))
    _append(file, last, content, (height, width), tags)


def _addresses(file):
    """Where the address of each next directory is."""
    where = 8
    while True:
        yield where
        file.seek(where)
        (here,) = np.frombuffer(file.read(8), "<u8")
        if not here:
            return
        file.seek(int(here))
        where = int(here) + 8 + 20 * int(np.frombuffer(file.read(8), "<u8")[0])


@pytest.mark.parametrize(("compression", "widths"), [e for e in ENTRIES if e[0] != 65000 and 8 < sum(e[1]) < 14])
def test_imagecodecs_finds_the_same(tmp_path, compression, widths):
    path = tmp_path / "m.eer"
    eer.write(path, _sparse(2, (4, 64, 96)), compression, widths)
    for i, raw in enumerate(_streams(path)):
        raw += bytes(len(raw) % 2)  # it refuses odd lengths
        for upsampling in (1, 2):
            shape = 64 * upsampling, 96 * upsampling
            theirs = imagecodecs.eer_decode(raw, shape, *widths, superres=upsampling - 1)
            with eer.EerMovie(path, group=1, upsampling=upsampling) as movie:
                np.testing.assert_array_equal(movie[i], theirs)


def test_tifffile_reads_what_we_write(tmp_path):
    frames = _sparse(3, (5, 40, 64))
    eer.write(tmp_path / "m.eer", frames, pixel_size=0.7, dose=40, exposure=4)
    with tifffile.TiffFile(tmp_path / "m.eer") as file:
        assert file.is_bigtiff
        assert file.eer_metadata["numberOfFrames"] == 5
        assert file.eer_metadata["exposureTime"] == 4
        assert file.eer_metadata["sensorPixelSize.width"] == pytest.approx(0.7e-10)
        even = [i for i, page in enumerate(file.pages) if page.databytecounts[0] % 2 == 0]
        for i in even:
            np.testing.assert_array_equal(file.pages[i].asarray(), frames[i])


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_fractions_add_up_raw_frames(tmp_path, threads, monkeypatch):
    monkeypatch.setattr(cpu, "_threads", threads)
    frames = _sparse(4, (23, 30, 50), 0.3)
    path = tmp_path / "m.eer"
    eer.write(path, frames, pixel_size=0.8, dose=46, exposure=2, summed=frames.sum(0))
    with eer.EerMovie(path, group=5) as movie:
        assert (movie.raw_frames, movie.remainder, movie.group, len(movie)) == (23, 3, 5, 4)
        assert (movie.pixel_size, movie.dose, movie.exposure) == (pytest.approx(0.8), pytest.approx(46), 2)
        wanted = frames[:20].reshape(4, 5, 30, 50).sum(1)
        np.testing.assert_array_equal(movie.block(0, 4), wanted)
        np.testing.assert_array_equal(movie[-1], wanted[-1])
        out = np.full((2, 30, 50), 9, "u1")
        assert movie.block(1, 3, out) is out
        np.testing.assert_array_equal(out, wanted[1:3])
        assert movie.block(2, 2).shape == (0, 30, 50)
        with pytest.raises(IndexError):
            movie.block(2, 5)
        with pytest.raises(ValueError, match="out must be"):
            movie.block(0, 2, np.zeros((2, 30, 50)))
    with eer.EerMovie(path, fractions=4) as movie:
        assert (movie.group, movie.remainder, len(movie)) == (5, 3, 4)
    with eer.EerMovie(path, dose=4) as movie:  # 2 e/Å² in each raw frame
        assert (movie.group, movie.remainder, len(movie)) == (2, 1, 11)
    with eer.EerMovie(path) as movie:
        assert (movie.group, len(movie)) == (1, 23)
    with eer.EerMovie(path, upsampling=2) as movie:
        assert movie.pixel_size == pytest.approx(0.4)


def test_many_raw_frames_in_a_fraction(tmp_path):
    path = tmp_path / "m.eer"
    eer.write(path, np.ones((300, 8, 9), bool))
    with eer.EerMovie(path, fractions=1) as movie:
        assert movie.dtype == np.uint16
        np.testing.assert_array_equal(movie[0], np.full((8, 9), 300))
    with eer.EerMovie(path, group=255) as movie:
        assert movie.dtype == np.uint8
        np.testing.assert_array_equal(movie[0], np.full((8, 9), 255))


def test_positions_of_the_frames_are_kept(tmp_path):
    """Frames finer than the camera's pixels come back as they were, where no two electrons share a pixel."""
    rng = np.random.default_rng(5)
    frames = np.zeros((4, 20, 2, 30, 2), bool)
    hit = rng.random((4, 20, 30)) < 0.2
    k, y, x = np.nonzero(hit)
    frames[k, y, rng.integers(0, 2, len(k)), x, rng.integers(0, 2, len(k))] = True
    frames = frames.reshape(4, 40, 60)
    eer.write(tmp_path / "m.eer", frames, upsampling=2)
    with eer.EerMovie(tmp_path / "m.eer", group=1, upsampling=2) as movie:
        np.testing.assert_array_equal(movie.block(0, 4), frames)
    with eer.EerMovie(tmp_path / "m.eer", group=1) as movie:
        np.testing.assert_array_equal(movie.block(0, 4), hit)


def test_8_bit_files_that_waste_no_bits_are_read_too(tmp_path):
    path = tmp_path / "m.eer"
    frames = _sparse(6, (6, 60, 90), 0.003)
    eer.write(path, frames, 65002, (8, 2, 2))
    tag, tagged, eight = (np.array(value, "<u8").tobytes() for value in (1, 65002, 65000))
    path.write_bytes(path.read_bytes().replace(tag + tagged, tag + eight))
    with eer.EerMovie(path, group=2) as movie:
        assert movie._raw[0].code == CODES[65000]
        np.testing.assert_array_equal(movie.block(0, 3), frames.reshape(3, 2, 60, 90).sum(1))
        assert movie.skipped == 0


def test_damaged_raw_frames_are_left_out_and_counted(tmp_path):
    path = tmp_path / "m.eer"
    frames = _sparse(7, (12, 50, 70), 0.1)
    eer.write(path, frames)
    raw = bytearray(path.read_bytes())
    with eer.EerMovie(path, group=1) as movie:
        for bad in (2, 3, 8):
            start, length = movie._raw[bad].pieces[0]
            raw[start : start + length] = b"\x5b" * length if bad == 2 else raw[start + 9 : start + length] + bytes(9)
    path.write_bytes(raw)
    assert eer.whole(path).whole is True  # its directories say so
    with eer.EerMovie(path, group=4) as movie:
        assert movie.faults == []  # not known yet
        frames[[2, 3, 8]] = 0
        np.testing.assert_array_equal(movie.block(0, 3), frames.reshape(3, 4, 50, 70).sum(1))
        np.testing.assert_array_equal(movie.block(0, 3), frames.reshape(3, 4, 50, 70).sum(1))
        assert movie.skipped == 3
        assert movie.faults == [f"{path}: 3 raw frames are damaged and left out (3, 4, 9)."]
        np.testing.assert_array_equal(np.flatnonzero(np.isnan(movie.electrons())), [2, 3, 8])


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    path = tmp_path_factory.mktemp("eer") / "m.eer"
    frames = _sparse(8, (7, 30, 40), 0.1)
    eer.write(path, frames, pixel_size=0.7, dose=30, exposure=1)
    return path.read_bytes(), frames


def test_a_cut_anywhere_is_seen_and_what_is_whole_is_read(tmp_path, recorded):
    raw, frames = recorded
    path = tmp_path / "cut.eer"
    path.write_bytes(raw)
    assert eer.whole(path) == eer.whole(path, 7)
    assert eer.whole(path).whole is True
    assert eer.whole(path, 8).whole is eer.whole(path, 6).whole is False
    counts = []
    for length in [*range(0, 40), *range(40, len(raw) - 8, 37), len(raw) - 8]:
        path.write_bytes(raw[:length])
        verdict = eer.whole(path)
        assert verdict.whole is False
        assert str(path) in verdict.why
        counts.append(verdict.frames)
        if verdict.frames:
            with eer.EerMovie(path, group=1) as movie:
                assert movie.raw_frames == verdict.frames
                np.testing.assert_array_equal(movie.block(0, verdict.frames), frames[: verdict.frames])
                assert f"holds {verdict.frames} whole raw frames" in movie.faults[0]
        else:
            with pytest.raises(InputError, match=r"cut\.eer"):
                eer.EerMovie(path)
    assert sorted(set(counts)) == list(range(7))
    assert counts == sorted(counts)


def test_while_it_is_recorded_it_is_never_taken_for_whole(tmp_path, recorded):
    path = tmp_path / "growing.eer"
    seen = []

    def frames():
        for frame in recorded[1]:
            seen.append(eer.whole(path).whole if path.exists() else False)
            yield frame

    eer.write(path, frames())
    assert True not in seen
    assert eer.whole(path).whole is None  # a record that does not tell how many raw frames there are
    assert eer.whole(path, 7).whole is True


def test_a_copy_that_has_its_size_but_not_its_end_is_not_proven(tmp_path, recorded):
    path = tmp_path / "copy.eer"
    for filled in range(16, len(recorded[0]) - 300, 37):
        path.write_bytes(recorded[0][:filled] + bytes(len(recorded[0]) - filled))
        assert eer.whole(path).whole is not True


@given(st.data())
def test_no_damage_makes_the_verdict_raise_or_reading_fail_unexplained(tmp_path_factory, recorded, data):
    raw = bytearray(recorded[0])
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.eer"
    path.write_bytes(raw)
    eer.whole(path)
    try:
        with eer.EerMovie(path, group=1) as movie:
            if np.prod(movie.shape) < 1e8:
                movie.block(0, len(movie))
    except InputError as error:
        assert str(path) in str(error)


def test_what_cannot_be_done_is_said(tmp_path, recorded):
    path = tmp_path / "m.eer"
    with pytest.raises(InputError, match="m.eer does not exist"):
        eer.EerMovie(path)
    assert eer.whole(path).whole is False
    tifffile.imwrite(path, np.zeros((4, 5), "u1"))
    with pytest.raises(InputError, match="m.eer holds no raw frame"):
        eer.EerMovie(path)
    path.write_bytes(recorded[0])
    with pytest.raises(ParameterError, match="group 8 is not possible: .*m.eer has 7 raw frames"):
        eer.EerMovie(path, group=8)
    with pytest.raises(ParameterError, match="fractions 0 are not possible"):
        eer.EerMovie(path, fractions=0)
    with pytest.raises(ParameterError, match="exclude each other"):
        eer.EerMovie(path, group=2, fractions=2)
    with pytest.raises(ParameterError, match="upsampling 3 is not possible"):
        eer.EerMovie(path, upsampling=3)
    with pytest.raises(ParameterError, match="dose -1 is not possible"):
        eer.EerMovie(path, dose=-1)
    eer.write(path, recorded[1])
    with pytest.raises(InputError, match="m.eer does not tell its dose: write group"):
        eer.EerMovie(path, dose=1)
    eer.write(path, recorded[1], 65002, (7, 0, 0))
    with pytest.raises(InputError, match="write upsampling 1"):
        eer.EerMovie(path, upsampling=2)
