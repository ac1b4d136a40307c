"""From movie files to micrographs: what is written, in which convention, and what is refused."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import starfile
import tifffile
from PIL import Image

from cryowidgets.errors import InputError, ParameterError
from cryowidgets.io import eerwrite, mrc, star, tiff
from cryowidgets.kernels import fourier, gain
from cryowidgets.model import Micrograph, Movie
from cryowidgets.protocols.align_movie import AlignMovie
from cryowidgets.protocols.out import Out
from cryowidgets.protocols.relion import NOT_OBSERVED
from cryowidgets.protocols.spectra import read_spectrum
from cryowidgets.sim.movie import Recipe, simulate

RECIPE = Recipe(shape=(480, 512), frames=10, dose_per_frame=2.0, drift=7.0)


@pytest.fixture(scope="module")
def simulated():
    return simulate(RECIPE, 13)


@pytest.fixture
def movie(simulated, tmp_path):
    """A movie as MRC with its gain."""
    mrc.write(tmp_path / "raw.mrc", simulated.frames, RECIPE.pixel_size)
    mrc.write(tmp_path / "gain.mrc", simulated.gain, RECIPE.pixel_size)
    return Movie(
        name="raw", path=str(tmp_path / "raw.mrc"), gain=str(tmp_path / "gain.mrc"), optics=RECIPE.optics, frames=10
    )


@pytest.fixture
def align(tmp_path):
    """Process a movie and commit its files; gives the micrograph with absolute paths."""

    def run(movie: Movie, folder: str = "align", **params) -> Micrograph:
        (tmp_path / folder).mkdir(exist_ok=True)
        out = Out(tmp_path, folder, movie.name)
        result = AlignMovie(**params).process(movie, out)
        out.commit()
        return result.located(tmp_path)

    return run


def with_optics(movie, **changes):
    return dataclasses.replace(movie, optics=dataclasses.replace(movie.optics, **changes))


def rms_error(shifts, truth):
    wrong = shifts - truth
    return np.sqrt(np.square(wrong - wrong.mean(axis=0)).sum(axis=1).mean())


def test_what_is_written(movie, align, simulated, tmp_path):
    result = align(movie)
    assert rms_error(result.shifts, simulated.truth.shifts) < 0.3
    assert (result.height, result.width, result.frames, result.pixel_size) == (480, 512, 10, 1.2)
    files = sorted(p.name for p in (tmp_path / "align").iterdir())
    assert files == ["raw.mrc", "raw.star", "raw_DW.mrc", "raw_PS.mrc", "raw_thumbnail.jpg"]
    for path in (result.path, result.dose_weighted):
        header = mrc.read_header(path)
        assert header.shape == (1, 480, 512) and header.dtype == np.float32
        assert header.pixel_size == pytest.approx(1.2)
    with Image.open(result.thumbnail) as thumbnail:
        assert thumbnail.size == (512, 480)
    truth = np.linalg.norm(np.diff(simulated.truth.shifts, axis=0), axis=1) * 1.2
    assert result.motion_total == pytest.approx(truth.sum(), rel=0.15)
    assert result.motion_early + result.motion_late == pytest.approx(result.motion_total)
    assert result.motion_early == pytest.approx(truth[0], rel=0.3)  # the second frame ends at 4 e/Å²
    assert 0.02 < result.shift_error < 0.3
    assert result.counts == pytest.approx(simulated.frames.mean(), rel=1e-6)
    camera = RECIPE.detector
    assert result.defects == pytest.approx(len(camera.hot) + len(camera.dead), abs=3)


def test_the_sum_is_sharp_and_has_the_counts_of_all_frames(movie, align, simulated):
    result = align(movie)
    image = mrc.read(result.path)
    total = simulated.frames.sum(axis=0, dtype=np.uint32)
    mend = gain.Repair(gain.find_defects(total, simulated.gain), total)
    blurred = mend(gain.apply(total, simulated.gain), np.random.default_rng(0))
    assert image.mean() == pytest.approx(blurred.mean(), rel=1e-3)

    def rings_over_noise(image):
        ring = fourier.radial_average(np.abs(fourier.rfft2(image - image.mean())) ** 2, image.shape)
        k = np.arange(len(ring)) / max(image.shape) / RECIPE.pixel_size
        return (ring / ring[(k > 0.36) & (k < 0.4)].mean() - 1)[(k > 1 / 12) & (k < 1 / 6)].mean()

    assert rings_over_noise(image) > 1.2 * rings_over_noise(blurred)


def test_relion_reads_the_correction_in_px_of_the_movie(movie, align):
    """RELION moves the content of a frame by its shift: the opposite of how it was displaced."""
    result = align(movie, binning=2)
    blocks = starfile.read(result.metadata, always_dict=True)
    assert list(blocks) == ["general", "global_shift", "hot_pixels"]
    general = blocks["general"]
    general = general.iloc[0].to_dict() if hasattr(general, "iloc") else general
    assert general == {
        "rlnImageSizeX": 512,
        "rlnImageSizeY": 480,
        "rlnImageSizeZ": 10,
        "rlnMicrographMovieName": movie.path,
        "rlnMicrographGainName": movie.gain,
        "rlnMicrographBinning": 2.0,
        "rlnMicrographOriginalPixelSize": 1.2,
        "rlnMicrographDoseRate": 2.0,
        "rlnMicrographPreExposure": 0.0,
        "rlnVoltage": 300.0,
        "rlnMicrographStartFrame": 1,
        "rlnEERUpsampling": 1,
        "rlnEERGrouping": 1,
        "rlnMotionModelVersion": 0,
    }
    table = blocks["global_shift"]
    assert list(table.columns) == ["rlnMicrographFrameNumber", "rlnMicrographShiftX", "rlnMicrographShiftY"]
    assert table["rlnMicrographFrameNumber"].tolist() == list(range(1, 11))
    np.testing.assert_allclose(table["rlnMicrographShiftX"], -result.shifts[:, 1], atol=1e-6)
    np.testing.assert_allclose(table["rlnMicrographShiftY"], -result.shifts[:, 0], atol=1e-6)
    hot = {(int(y), int(x)) for x, y in blocks["hot_pixels"].to_numpy()}
    glowing = set(map(tuple, RECIPE.detector.hot.tolist()))
    assert len(glowing & hot) >= 0.99 * len(glowing)
    assert not hot & set(map(tuple, RECIPE.detector.dead.tolist()))


def test_a_tiff_and_an_mrc_of_the_same_movie_give_the_same(movie, align, simulated, tmp_path):
    """Rows of a TIFF come in the opposite order, as RELION reads them; shifts and images are those of the MRC."""
    tifffile.imwrite(tmp_path / "raw.tiff", simulated.frames[:, ::-1], compression="lzw", photometric="minisblack")
    tifffile.imwrite(tmp_path / "gain.tiff", simulated.gain[::-1], photometric="minisblack")
    first = align(movie)
    second = align(
        dataclasses.replace(movie, path=str(tmp_path / "raw.tiff"), gain=str(tmp_path / "gain.tiff")), "tiff"
    )
    np.testing.assert_array_equal(first.shifts, second.shifts)
    np.testing.assert_array_equal(mrc.read(first.dose_weighted), mrc.read(second.dose_weighted))


def test_the_same_movie_gives_the_same_files_also_when_read_again_and_again(movie, align):
    first, second = align(movie), align(movie, "again", memory=0)
    np.testing.assert_array_equal(first.shifts, second.shifts)
    for name in ("path", "dose_weighted", "thumbnail", "metadata"):
        with open(getattr(first, name), "rb") as a, open(getattr(second, name), "rb") as b:
            assert a.read() == b.read()


def test_without_a_dose_there_is_one_sum(movie, align):
    result = align(with_optics(movie, dose_per_frame=0.0))
    assert result.dose_weighted == ""
    assert math.isnan(result.motion_early) and math.isnan(result.motion_late)
    assert result.motion_total > 0
    assert align(movie, "plain", dose_weighting=False).dose_weighted == ""


def test_binning_crops_in_fourier_space(movie, align):
    full, half = align(movie), align(movie, "half", binning=2)
    assert (half.height, half.width, half.pixel_size) == (240, 256, 2.4)
    np.testing.assert_allclose(full.shifts, half.shifts)
    for name in ("path", "dose_weighted"):
        image = mrc.read(getattr(full, name))
        expected = fourier.irfft2(fourier.crop(fourier.rfft2(image), (480, 512), (240, 256)), (240, 256))
        np.testing.assert_allclose(mrc.read(getattr(half, name)), expected, atol=1e-3 * image.max())


def test_half_precision_halves_the_files(movie, align):
    full, half = align(movie), align(movie, "half", output_type="float16")
    assert mrc.read_header(half.path).dtype == np.float16
    np.testing.assert_allclose(mrc.read(half.path), mrc.read(full.path), rtol=1e-3, atol=1e-3)


def test_values_beyond_half_precision_stay_whole(movie, align, tmp_path, simulated):
    """float16 ends at 65504."""
    mrc.write(tmp_path / "bright.mrc", simulated.frames * np.float32(4000))
    result = align(dataclasses.replace(movie, path=str(tmp_path / "bright.mrc")), output_type="float16")
    assert mrc.read_header(result.path).dtype == np.float32
    assert np.isfinite(mrc.read(result.dose_weighted)).all()


def test_a_range_of_frames(movie, align, simulated):
    result = align(movie, first_frame=3, last_frame=8)
    assert result.frames == 6 and result.shifts.shape == (6, 2)
    assert rms_error(result.shifts, simulated.truth.shifts[2:8]) < 0.3
    table = star.read(result.metadata)
    assert table["general"]["rlnMicrographStartFrame"] == 3
    assert table["general"]["rlnImageSizeZ"] == 10
    x = table["global_shift"]["rlnMicrographShiftX"]
    assert [i for i, shift in enumerate(x, 1) if shift == NOT_OBSERVED] == [1, 2, 9, 10]
    assert x[2] == 0
    assert math.isclose(result.motion_early, 0.0)  # frames from 3 on end later than 4 e/Å²


def test_an_empty_field_is_added_up_and_its_motion_left_unknown(movie, align, tmp_path):
    frames = np.random.default_rng(0).poisson(2.0, (10, 480, 512)).astype(np.uint8)
    mrc.write(tmp_path / "empty.mrc", frames)
    result = align(dataclasses.replace(movie, path=str(tmp_path / "empty.mrc"), gain="", name="empty"))
    assert result.shifts is None and math.isnan(result.motion_total) and math.isnan(result.shift_error)
    assert result.reason
    np.testing.assert_allclose(mrc.read(result.path), frames.sum(axis=0, dtype=np.float32), atol=1e-3)
    assert not np.any(star.read(result.metadata)["global_shift"]["rlnMicrographShiftX"])


def test_a_single_frame(movie, align, tmp_path, simulated):
    mrc.write(tmp_path / "one.mrc", simulated.frames[:1])
    result = align(dataclasses.replace(movie, path=str(tmp_path / "one.mrc")))
    assert result.frames == 1 and result.shifts is None


def test_defects_may_be_left_alone(movie, align):
    result = align(movie, repair_defects=False)
    assert result.defects == 0
    assert list(star.read(result.metadata)) == ["general", "global_shift"]


def test_a_gain_of_another_size_is_refused(movie, align, tmp_path):
    mrc.write(tmp_path / "other.mrc", np.ones((512, 480), np.float32))
    with pytest.raises(InputError, match="512×480 px and the movie 480×512 px"):
        align(dataclasses.replace(movie, gain=str(tmp_path / "other.mrc")))


@pytest.mark.parametrize("first, last", [(11, 0), (1, 11)])
def test_frames_that_are_not_there_are_refused(movie, align, first, last):
    with pytest.raises(InputError, match="raw.mrc has 10 frames, and frames"):
        align(movie, first_frame=first, last_frame=last)


def test_parameters_that_contradict_each_other():
    with pytest.raises(ParameterError, match="last_frame 2 comes before first_frame 5"):
        AlignMovie(first_frame=5, last_frame=2)


def test_a_movie_without_optics_is_refused(movie, align):
    with pytest.raises(InputError, match="without optics"):
        align(dataclasses.replace(movie, optics=None))


def test_nothing_is_left_of_a_movie_that_ends_early(movie, align, tmp_path):
    with open(movie.path, "r+b") as file:
        file.truncate(1024 + 5 * 480 * 512)
    with pytest.raises(InputError, match="truncated"):
        align(movie)
    assert list((tmp_path / "align").iterdir()) == []


LOCAL = Recipe(shape=(640, 704), frames=12, dose_per_frame=2.0, pixel_size=1.5, drift=8.0, local=2.0, density=9000.0)


@pytest.fixture(scope="module")
def moving(tmp_path_factory):
    """A movie whose parts move in different ways, its truth, and its micrograph."""
    folder = tmp_path_factory.mktemp("moving")
    simulated = simulate(LOCAL, 17)
    tiff.write(folder / "m.tif", simulated.frames)
    mrc.write(folder / "gain.mrc", simulated.gain, LOCAL.pixel_size)
    movie = Movie(name="m", path=str(folder / "m.tif"), gain=str(folder / "gain.mrc"), optics=LOCAL.optics)
    (folder / "align").mkdir()
    out = Out(folder, "align", "m")
    result = AlignMovie(halves=True).process(movie, out)
    out.commit()
    return simulated.truth, result.located(folder)


def test_local_motion_is_measured_and_told(moving):
    truth, result = moving
    with np.load(result.local_motion) as local:
        centres, tracks = local["centres"], local["tracks"]
    expected = np.stack([truth.displacement(j, *centres.T).T for j in range(12)], axis=1)
    wrong = tracks - expected
    wrong -= wrong.mean(axis=1, keepdims=True)
    assert np.sqrt(np.square(wrong).mean()) < 0.35
    whole = truth.shifts[None] - expected
    whole = whole - whole.mean(axis=1, keepdims=True)
    assert np.sqrt(np.square(wrong).mean()) < 0.7 * np.sqrt(np.square(whole).mean())
    assert result.motion_local == pytest.approx(2.0 * 1.5, rel=0.35)
    assert 0 <= result.motion_residual < 1


def test_the_local_motion_in_the_star_file_is_the_correction_that_relion_makes(moving):
    """Evaluated by RELION's formula, whole frame and local model together undo the displacement."""
    truth, result = moving
    found = star.read(result.metadata)
    assert found["general"]["rlnMotionModelVersion"] == 1
    table = found["local_motion_model"]
    assert table["rlnMotionModelCoeffsIdx"] == list(range(36))
    c = np.array(table["rlnMotionModelCoeff"], float).reshape(2, 6, 3)
    shift = np.stack([found["global_shift"]["rlnMicrographShiftX"], found["global_shift"]["rlnMicrographShiftY"]])
    z, (height, width) = 11, LOCAL.shape
    wrong = []
    for py, px in ((100, 120), (320, 352), (540, 580), (100, 600)):
        x, y = px / width - 0.5, py / height - 0.5
        local = c @ np.array([z, z**2, z**3]) @ np.array([1, x, x * x, y, y * y, x * y])
        wrong.append(np.array(shift, float)[:, z] + local + truth.displacement(z, py, px)[::-1])
    assert np.abs(np.array(wrong) - np.mean(wrong, axis=0)).max() < 1.2  # of displacements up to 8 px
    assert np.abs(np.mean(wrong, axis=0)).max() < 0.6


def test_halves_and_spectrum_are_written(moving):
    _, result = moving
    even, odd, whole = (mrc.read(path).astype(float) for path in (result.even, result.odd, result.path))
    np.testing.assert_allclose(even + odd, whole, atol=1e-2)
    spectrum = read_spectrum(result.power_spectrum)
    assert spectrum.power.shape[0] == 2 * (spectrum.power.shape[1] - 1) and (spectrum.power[1:, 1:] > 0).all()
    ky, kx = fourier.frequencies((spectrum.box, spectrum.box))
    far = (np.hypot(ky, kx) > 0.38) & (np.hypot(ky, kx) < 0.43) & (kx > 0.02) & (np.abs(ky) > 0.02)
    aside = np.abs(np.abs(np.arctan2(ky, kx)) - np.pi / 4) < np.pi / 8
    along, between = (spectrum.power[far & where].mean() for where in (~aside, aside))
    # noise is as strong along the axes as between them
    assert along / between == pytest.approx(1, abs=0.05)


def test_figures_come_with_their_errors(moving):
    _, result = moving
    for name in ("total", "early", "late", "worst"):
        value, error = getattr(result, f"motion_{name}"), getattr(result, f"motion_{name}_error")
        assert 0 < error < max(0.5 * value, 1.0)
    assert result.measured_dose == pytest.approx(LOCAL.dose_per_frame * LOCAL.dqe, rel=0.1)


@pytest.mark.parametrize("method", ["relion", "pairs"])
def test_methods_of_other_programs_are_there_for_comparison(movie, align, simulated, method):
    assert rms_error(align(movie, method=method).shifts, simulated.truth.shifts) < 0.8


@pytest.mark.parametrize("local", ["flow", "none"])
def test_local_motion_may_be_measured_otherwise_or_not_at_all(movie, align, simulated, local):
    result = align(movie, local=local)
    assert rms_error(result.shifts, simulated.truth.shifts) < 0.3
    assert not result.local_motion  # nothing moves by itself in this movie
    assert result.motion_total_error > 0


def test_optical_flow_finds_what_the_field_finds(moving, align):
    truth, result = moving
    folder = result.path.rsplit("/", 2)[0]
    movie = Movie(name="f", path=f"{folder}/m.tif", gain=f"{folder}/gain.mrc", optics=LOCAL.optics)
    with np.load(align(movie, local="flow", dose_weighting=False).local_motion) as local:
        centres, tracks = local["centres"], local["tracks"]
    wrong = tracks - np.stack([truth.displacement(j, *centres.T).T for j in range(12)], axis=1)
    assert np.sqrt(np.square(wrong - wrong.mean(axis=1, keepdims=True)).mean()) < 0.35


def test_a_stage_that_jumps_is_told(movie, align, simulated, tmp_path):
    frames = simulated.frames.copy()
    frames[6:] = np.roll(frames[6:], 25, axis=2)
    mrc.write(tmp_path / "jump.mrc", frames)
    result = align(dataclasses.replace(movie, path=str(tmp_path / "jump.mrc"), name="jump"), repair_defects=False)
    assert "jumped by" in result.note and "before frame 7" in result.note
    assert align(movie).note == ""


def test_raw_frames_of_eer_are_grouped_by_their_dose(tmp_path, align):
    recipe = Recipe(shape=(512, 512), frames=8, dose_per_frame=2.0, drift=4.0, pixel_size=1.5, hot=0, dead=0)
    simulated = simulate(recipe, 5)
    rng = np.random.default_rng(0)
    raw = []
    for frame in simulated.frames:  # each frame taken apart into ten raw ones
        which = rng.integers(0, 10, frame.sum())
        places = np.repeat(np.arange(frame.size), frame.ravel())
        for i in range(10):
            raw.append(np.bincount(places[which == i], minlength=frame.size).clip(0, 1).reshape(frame.shape))
    eerwrite.write(tmp_path / "m.eer", np.array(raw, np.uint8))
    optics = dataclasses.replace(recipe.optics, dose_per_frame=0.2)  # of a raw frame
    movie = Movie(name="m", path=str(tmp_path / "m.eer"), optics=optics)
    result = align(movie, eer_dose=2.0)
    assert result.frames == 8 and result.dose_weighted
    assert rms_error(result.shifts, simulated.truth.shifts) < 0.5
    general = star.read(result.metadata)["general"]
    assert general["rlnEERGrouping"] == 10 and float(general["rlnMicrographDoseRate"]) == pytest.approx(2.0)
    twice = align(movie, "twice", eer_group=20, eer_upsampling=2)
    assert (twice.frames, twice.height, twice.pixel_size) == (4, 1024, 0.75)
