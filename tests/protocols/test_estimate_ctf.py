"""EstimateCtf on real files: what it writes, what it answers, what it refuses."""

import dataclasses
import os
from pathlib import Path

import mrcfile
import numpy as np
import pytest
from PIL import Image

from cryowidgets.errors import InputError, ParameterError
from cryowidgets.io import mrc
from cryowidgets.kernels import ctffit, fourier
from cryowidgets.kernels.spectrum import average, power_spectrum
from cryowidgets.model import Ctf, Micrograph, Optics
from cryowidgets.protocols import registry
from cryowidgets.protocols.estimate_ctf import EstimateCtf
from cryowidgets.protocols.out import Out
from cryowidgets.protocols.spectra import read_spectrum, write_spectrum
from cryowidgets.sim.movie import Recipe, simulate

RECIPE = Recipe(shape=(1024, 1024), frames=10, dose_per_frame=3.0, astigmatism=(300, 1200))

STILL = {"frames": 10, "drift": 0.0, "jitter": 0.0, "hot": 0.0, "dead": 0.0}


def aligned(movie):
    """Sum of the frames by their true shifts, so that nothing but the CTF is on trial here."""
    total = 0
    dull = (movie.gain * movie.frames.sum(0)) == 0
    for frame, shift in zip(movie.frames, movie.truth.shifts, strict=True):
        image = frame * movie.gain
        image[dull] = image.mean()
        y, x = fourier.shift_phase(image.shape, tuple(-shift))
        total = total + fourier.rfft2(image.astype(np.float32)) * y * x
    return fourier.irfft2(total, RECIPE.shape).astype(np.float16)


def micrograph(path, image, optics=RECIPE.optics):
    mrc.write(path, image, RECIPE.pixel_size)
    return Micrograph(
        name=path.stem,
        path=str(path),
        optics=optics,
        pixel_size=RECIPE.pixel_size,
        height=image.shape[0],
        width=image.shape[1],
    )


@pytest.fixture(scope="module")
def movie():
    return simulate(RECIPE, 11)


@pytest.fixture(scope="module")
def done(movie, tmp_path_factory):
    project = tmp_path_factory.mktemp("project")
    out = Out(project, "steps/ctf", "m001")
    (project / "steps" / "ctf").mkdir(parents=True)
    ctf = EstimateCtf().process(micrograph(project / "m001.mrc", aligned(movie)), out)
    out.commit()
    return project, ctf


def test_a_simulated_movie_gives_its_defocus(movie, done):
    _, ctf = done
    truth = movie.truth
    assert isinstance(ctf, Ctf) and ctf.reason == ""
    assert ctf.defocus_u == pytest.approx(truth.defocus_u, abs=150)
    assert ctf.defocus_v == pytest.approx(truth.defocus_v, abs=150)
    assert ctf.astigmatism == pytest.approx(ctf.defocus_u - ctf.defocus_v)
    assert abs((ctf.angle - truth.angle + 90) % 180 - 90) < 6
    assert ctf.phase_shift == 0
    assert 3 < ctf.fit_resolution < 9 and 0 < ctf.defocus_error < 60
    assert 0 < ctf.score < 1 and ctf.ice > 0


def test_defocus_and_angle_are_as_good_as_promised():
    """Over movies of all defoci: U and V within 60 Å at the median and 200 Å at the worst of these, angle within 5°."""
    defocus, angle = [], []
    for seed in range(40, 46):
        movie = simulate(RECIPE, seed)
        optics = RECIPE.optics
        fit, _ = ctffit.estimate(
            aligned(movie), optics.pixel_size, optics.voltage, optics.cs, optics.amplitude_contrast
        )
        truth = movie.truth
        assert fit.found, fit.reason
        defocus += [abs(fit.defocus_u - truth.defocus_u), abs(fit.defocus_v - truth.defocus_v)]
        angle.append(abs((fit.angle - truth.angle + 90) % 180 - 90))
        assert abs(fit.defocus_u + fit.defocus_v - truth.defocus_u - truth.defocus_v) / 2 < 4 * fit.defocus_error
    assert np.median(defocus) < 60 and np.max(defocus) < 200
    assert np.median(angle) < 5


def test_its_files_open_with_what_others_use(done):
    project, ctf = done
    assert ctf.spectrum == "steps/ctf/m001_ctf.mrc"
    with mrcfile.open(project / ctf.spectrum) as file:
        assert file.data.shape == (512, 512)
        assert np.abs(file.data).max() <= 1
        assert float(file.voxel_size.x) == pytest.approx(1.4, rel=0.03)
    with Image.open(project / ctf.picture) as picture:
        assert picture.size == (512, 512) and picture.mode == "L"
    curve = np.load(project / ctf.curve)
    assert curve.shape[0] == 4 and curve.dtype == np.float32 and np.isfinite(curve).all()
    assert not list((project / "steps" / "ctf").glob(".tmp-*"))


def test_noise_is_answered_with_a_reason_and_a_picture(tmp_path):
    out = Out(tmp_path, "ctf", "empty")
    noise = np.random.default_rng(0).poisson(40, (800, 800)).astype(np.float32)
    ctf = EstimateCtf().process(micrograph(tmp_path / "empty.mrc", noise), out)
    out.file("_ctf.mrc").stat(), out.file("_ctf.jpg").stat(), out.file("_ctf.npy").stat()
    assert "No rings" in ctf.reason and np.isnan(ctf.defocus_u) and np.isnan(ctf.phase_shift)
    assert ctf.picture.endswith("empty_ctf.jpg")


def test_a_tiny_micrograph_has_no_spectrum_to_show(tmp_path):
    out = Out(tmp_path, "ctf", "tiny")
    ctf = EstimateCtf().process(micrograph(tmp_path / "tiny.mrc", np.ones((64, 64), np.float32)), out)
    assert "64 × 64 px" in ctf.reason and (ctf.spectrum, ctf.picture, ctf.curve) == ("", "", "")


def test_files_that_are_no_micrographs_are_refused(tmp_path):
    stack = tmp_path / "stack.mrc"
    item = micrograph(tmp_path / "one.mrc", np.ones((200, 200), np.float32))
    mrc.write(stack, np.ones((3, 200, 200), np.float32))
    with pytest.raises(InputError, match="3 images"):
        EstimateCtf().process(Micrograph(**{**vars(item), "path": str(stack)}), Out(tmp_path, "ctf", "x"))
    with pytest.raises(InputError, match="voltage"):
        EstimateCtf().process(Micrograph(**{**vars(item), "optics": None}), Out(tmp_path, "ctf", "x"))


@pytest.mark.parametrize(
    "values, words",
    [
        ({"defocus_min": 20000, "defocus_max": 10000}, "defocus_min 20000 Å is not below defocus_max 10000"),
        ({"search_phase": True, "phase_min": 90, "phase_max": 90}, "phase_shift"),
        ({"resolution_min": 5, "resolution_max": 8}, "not coarser"),
        ({"box": 401}, "write 402"),
        ({"box": 64}, "from 128 to 2048"),
    ],
)
def test_parameters_that_contradict_each_other_are_refused(values, words):
    with pytest.raises(ParameterError, match=words):
        EstimateCtf(**values)


def test_phase_parameters_matter_only_where_phase_is_searched():
    parameters = EstimateCtf.parameters()
    off, on = EstimateCtf(), EstimateCtf(search_phase=True)
    for name in ("phase_min", "phase_max"):
        assert parameters[name].when(on) and not parameters[name].when(off)
    assert parameters["phase_shift"].when(off) and not parameters["phase_shift"].when(on)
    assert EstimateCtf(phase_shift=40).limits().phase_shift == (40, 40)
    assert on.limits().phase_shift == (0, 180) and on.limits().search_phase


def test_its_errors_and_what_is_in_view_are_columns(done):
    _, ctf = done
    assert 0 < ctf.astigmatism_error < 300 and 0 < ctf.angle_error < 45 and ctf.phase_error == 0
    assert ctf.significance > 15 and ctf.gap > 5 and 0.5 < ctf.agreement <= 1
    assert ctf.content == "" and ctf.carbon == 0
    assert np.isnan([ctf.tilt, ctf.tilt_axis, ctf.thickness, ctf.thickness_limit]).all()


def test_a_tilted_thick_specimen_is_measured_when_asked(tmp_path):
    recipe = dataclasses.replace(RECIPE, **STILL, tilt=35.0, tilt_axis=120.0, thickness=2500.0)
    simulated = simulate(recipe, 3)
    item = micrograph(tmp_path / "m.mrc", (simulated.frames.sum(0) * simulated.gain).astype(np.float32))
    out = Out(tmp_path, ".", "m")
    ctf = EstimateCtf(fit_tilt=True, fit_thickness=True).process(item, out)
    assert ctf.tilt == pytest.approx(35, abs=4 * ctf.tilt_error) and 1 < ctf.tilt_error < 6
    assert abs((ctf.tilt_axis - 120 + 180) % 360 - 180) < 4 * ctf.tilt_axis_error
    if np.isfinite(ctf.thickness):
        assert ctf.thickness == pytest.approx(2500, abs=4 * ctf.thickness_error)
    else:
        assert np.isfinite(ctf.thickness_limit)


@pytest.fixture(scope="module")
def grouped(tmp_path_factory):
    """A micrograph with the spectrum of its frames beside it, and the truth."""
    folder = tmp_path_factory.mktemp("grouped")
    recipe = dataclasses.replace(RECIPE, **STILL)
    movie = simulate(recipe, 12)
    frames = [(frame * movie.gain).astype(np.float32) for frame in movie.frames]
    item = micrograph(folder / "m.mrc", np.sum(frames, axis=0))
    write_spectrum(folder / "m_power.mrc", average(power_spectrum(f, recipe.pixel_size) for f in frames))
    return folder, dataclasses.replace(item, power_spectrum=str(folder / "m_power.mrc")), movie.truth


@pytest.mark.parametrize("source", ["auto", "frames", "micrograph"])
def test_the_source_says_what_is_fitted(grouped, source):
    folder, item, truth = grouped
    ctf = EstimateCtf(source=source).process(item, Out(folder, ".", source))
    assert ctf.defocus_u == pytest.approx(truth.defocus_u, abs=150)
    if source == "micrograph":
        without = dataclasses.replace(item, power_spectrum="")
        assert EstimateCtf().process(without, Out(folder, ".", "without")).defocus_u == ctf.defocus_u
        auto = EstimateCtf().process(item, Out(folder, ".", "again"))
        assert auto.defocus_error < ctf.defocus_error and auto.defocus_u != ctf.defocus_u


def test_frames_alone_need_their_spectrum(grouped):
    folder, item, _ = grouped
    with pytest.raises(InputError, match="AlignMovie"):
        EstimateCtf(source="frames").process(dataclasses.replace(item, power_spectrum=""), Out(folder, ".", "x"))
    with pytest.raises(InputError, match="not a power spectrum"):
        EstimateCtf().process(dataclasses.replace(item, power_spectrum=item.path), Out(folder, ".", "x"))


def test_a_spectrum_is_read_as_it_was_written(tmp_path):
    image = np.random.default_rng(0).standard_normal((400, 500)).astype(np.float32)
    spectrum = power_spectrum(image, 1.3, 256)
    write_spectrum(tmp_path / "s.mrc", spectrum)
    again = read_spectrum(tmp_path / "s.mrc")
    np.testing.assert_array_equal(again.power, spectrum.power)
    assert again.box == spectrum.box and again.pixel_size == pytest.approx(spectrum.pixel_size, rel=1e-6)


@pytest.mark.skipif("CRYOWIDGETS_SAMPLES" not in os.environ, reason="names the folder of real data")
def test_a_real_micrograph_agrees_with_a_blind_fit_by_another_program(tmp_path):
    path = Path(os.environ["CRYOWIDGETS_SAMPLES"]) / "micrographs" / "epu2.9_example.mrc"
    optics = Optics(pixel_size=0.6666, voltage=300.0, cs=2.7, amplitude_contrast=0.1)
    item = Micrograph(name="m", path=str(path), optics=optics, pixel_size=0.6666, height=4096, width=4096)
    ctf = EstimateCtf(fit_tilt=True, fit_thickness=True).process(item, Out(tmp_path, ".", "m"))
    assert ctf.reason == ""
    assert ctf.defocus_u == pytest.approx(27216, abs=200) and ctf.defocus_v == pytest.approx(27068, abs=200)
    assert ctf.fit_resolution < 9 and ctf.tilt < 10


def test_every_parameter_says_what_it_means():
    for parameter in EstimateCtf.parameters().values():
        assert parameter.help and parameter.group
        assert parameter.unit or isinstance(parameter.default, bool | str)


def test_it_is_found_by_name():
    assert registry.get("EstimateCtf") is EstimateCtf
