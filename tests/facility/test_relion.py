"""Hand-over to RELION: the star files are as they were agreed on, and what they name is there."""

from __future__ import annotations

import math
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import starfile

from cryowidgets.errors import ProjectError
from cryowidgets.facility import relion
from cryowidgets.io import mrc, star
from cryowidgets.kernels.spectrum import power_spectrum
from cryowidgets.model import Ctf, Micrograph, Movie, Optics
from cryowidgets.protocols.spectra import write_spectrum
from cryowidgets.store.admission import admit
from cryowidgets.store.store import Store, Todo

GOLDEN = Path(__file__).parent / "relion"
FILES = ("movies.star", "corrected_micrographs.star", "micrographs_ctf.star", "MotionCorr/m1.star")
KRIOS = Optics(pixel_size=0.83, dose_per_frame=1.25)
GLACIOS = Optics(pixel_size=1.1, voltage=200.0, dose_per_frame=2.0)

COLUMNS = {
    "movies.star": {
        "optics": "OpticsGroupName OpticsGroup MicrographOriginalPixelSize Voltage SphericalAberration "
        "AmplitudeContrast",
        "movies": "MicrographMovieName OpticsGroup",
    },
    "corrected_micrographs.star": {
        "optics": "OpticsGroupName OpticsGroup MicrographOriginalPixelSize Voltage SphericalAberration "
        "AmplitudeContrast MicrographPixelSize",
        "micrographs": "MicrographName MicrographNameNoDW CtfPowerSpectrum MicrographMetadata OpticsGroup "
        "AccumMotionTotal AccumMotionEarly AccumMotionLate",
    },
    "micrographs_ctf.star": {
        "optics": "OpticsGroupName OpticsGroup MicrographOriginalPixelSize Voltage SphericalAberration "
        "AmplitudeContrast MicrographPixelSize",
        "micrographs": "MicrographName OpticsGroup CtfImage DefocusU DefocusV CtfAstigmatism DefocusAngle "
        "CtfFigureOfMerit CtfMaxResolution PhaseShift CtfIceRingDensity MicrographNameNoDW CtfPowerSpectrum "
        "MicrographMetadata AccumMotionTotal AccumMotionEarly AccumMotionLate",
    },
}


class Session:
    """A project whose results are put into the ledger by hand."""

    def __init__(self, folder: Path) -> None:
        self.raw = folder / "raw"
        self.raw.mkdir()
        self.store = Store.create(folder / "project")
        self.store.add_step("movies", "ImportMovies", Movie, {}, {})
        self.store.add_step("align", "AlignMovie", Micrograph, {}, {"movie": "movies"})
        self.store.add_step("maxshift", "MaxShift", Micrograph, {}, {"micrograph": "align"})
        self.store.add_step("ctf", "EstimateCtf", Ctf, {}, {"micrograph": "maxshift"})
        (self.store.folder / "steps/align").mkdir()
        (self.store.folder / "steps/ctf").mkdir()
        self.gain = self.raw / "gain.mrc"
        mrc.write(self.gain, np.ones((8, 8), np.float32))

    def movie(self, name: str, acquired: float, optics: Optics = KRIOS) -> int:
        path = self.raw / f"{name}.tiff"
        path.touch()
        movie = Movie(name=name, path=str(path), gain=str(self.gain), optics=optics, found=1.0, closed=2.0)
        (exposure,) = admit(self.store, "movies", [(str(path), acquired, movie)])
        return exposure

    def done(self, step: str, exposure: int, result=None, state: str = "done", error: str | None = None) -> None:
        (task,) = self.store.claim(step, [Todo(exposure, (exposure,))])
        self.store.finish(task, state, result, error)

    def aligned(
        self, exposure: int, name: str, pixel_size: float = 0.83, dose_weighted: bool = True, **more
    ) -> Micrograph:
        inside = f"steps/align/{name}"
        rng = np.random.default_rng(exposure)
        for suffix in (".mrc", "_dw.mrc") if dose_weighted else (".mrc",):
            mrc.write(self.store.folder / (inside + suffix), rng.normal(size=(48, 64)).astype("f4"), pixel_size)
        star.write(self.store.folder / f"{inside}.star", shifts(name, self.gain, self.raw, pixel_size))
        micrograph = Micrograph(
            path=f"{inside}.mrc",
            dose_weighted=f"{inside}_dw.mrc" if dose_weighted else "",
            metadata=f"{inside}.star",
            pixel_size=pixel_size,
            height=48,
            width=64,
            motion_total=8.25 + exposure,
            motion_early=5.0,
            motion_late=3.25 + exposure,
            **more,
        )
        self.done("align", exposure, micrograph)
        return micrograph

    def fitted(self, exposure: int, name: str, **values) -> None:
        inside = f"steps/ctf/{name}_spectrum.mrc"
        mrc.write(self.store.folder / inside, np.zeros((16, 16), np.float32), 0.83)
        numbers = {
            "defocus_u": 15234.56789,
            "defocus_v": 14900.0,
            "astigmatism": 334.56789,
            "angle": -41.5,
            "phase_shift": 0.0,
            "fit_resolution": 4.2,
            "score": 0.1234567,
            "ice": 1.5,
        }
        self.done("ctf", exposure, Ctf(micrograph="x", spectrum=inside, **{**numbers, **values}))


def shifts(name: str, gain: Path, raw: Path, pixel_size: float) -> dict:
    """What the alignment writes of a movie."""
    return {
        "general": {
            "rlnImageSizeX": 64,
            "rlnImageSizeY": 48,
            "rlnImageSizeZ": 3,
            "rlnMicrographMovieName": str(raw / f"{name}.tiff"),
            "rlnMicrographGainName": str(gain),
            "rlnMicrographBinning": 1.0,
            "rlnMicrographOriginalPixelSize": pixel_size,
            "rlnMicrographDoseRate": 1.25,
            "rlnMicrographPreExposure": 0.0,
            "rlnVoltage": 300.0,
            "rlnMicrographStartFrame": 1,
            "rlnEERUpsampling": 1,
            "rlnEERGrouping": 1,
            "rlnMotionModelVersion": 0,
        },
        "global_shift": {
            "rlnMicrographFrameNumber": [1, 2, 3],
            "rlnMicrographShiftX": [0.0, -1.25, -2.0],
            "rlnMicrographShiftY": [0.0, 0.5, 0.75],
        },
        "hot_pixels": {"rlnCoordinateX": [12.0], "rlnCoordinateY": [40.0]},
    }


def fill(folder: Path) -> Session:
    """Seven movies: two good ones, one of another microscope, one thrown out, one gated, one without rings, one raw."""
    s = Session(folder)
    with s.store.transaction():  # one commit for all
        add_movies(s)
    return s


@pytest.fixture
def session(tmp_path):
    s = fill(tmp_path)
    yield s
    s.store.close()


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Where the session was exported to; only to be read."""
    s = fill(tmp_path_factory.mktemp("exported"))
    out = s.raw.parent / "out"
    assert relion.export(s.store.folder, out) == relion.Exported(movies=5, micrographs=4, ctfs=3)
    s.store.close()
    return out


def add_movies(s: Session) -> None:
    names = ("m2", "m1", "other", "thrown_out", "gated", "no_rings", "raw_only")
    ids = {name: s.movie(name, 2000.0 - (name == "m1"), GLACIOS if name == "other" else KRIOS) for name in names}
    for name in names[:-1]:
        micrograph = s.aligned(ids[name], name, 1.1 if name == "other" else 0.83, dose_weighted=name != "other")
        if name == "gated":
            s.done("maxshift", ids[name], None, "rejected", "a frame moved by 12 Å")
            continue
        s.done("maxshift", ids[name], micrograph)
        if name == "no_rings":
            s.fitted(ids[name], name, defocus_u=math.nan, defocus_v=math.nan, reason="no rings")
        else:
            s.fitted(ids[name], name, **({"fit_resolution": 31.0, "ice": math.nan} if name == "other" else {}))
    s.store.reject(ids["thrown_out"], "crystalline ice")


@pytest.mark.parametrize("file", FILES)
def test_golden_files(exported, file):
    """To accept a change: CRYOWIDGETS_ACCEPT=1 pytest tests/facility, and read the difference."""
    written, golden = exported / file, GOLDEN / file.replace("/", "_")
    if os.environ.get("CRYOWIDGETS_ACCEPT"):
        GOLDEN.mkdir(exist_ok=True)
        shutil.copy(written, golden)
    assert written.read_text() == golden.read_text()


@pytest.mark.parametrize("file", COLUMNS)
def test_starfile_reads_every_column(exported, file):
    blocks = starfile.read(exported / file, always_dict=True)
    assert set(blocks) == set(COLUMNS[file])
    for name, columns in COLUMNS[file].items():
        assert set(blocks[name].columns) == {f"rln{column}" for column in columns.split()}
        assert not blocks[name].isna().any().any()


def test_only_what_was_accepted_goes_out(exported):
    movies = starfile.read(exported / "movies.star")["movies"]["rlnMicrographMovieName"]
    assert list(movies) == [f"Movies/{n}.tiff" for n in ("m1", "m2", "other", "no_rings", "raw_only")]
    ctf = starfile.read(exported / "micrographs_ctf.star")["micrographs"]
    assert list(ctf["rlnMicrographName"]) == [f"MotionCorr/{n}.mrc" for n in ("m1", "m2", "other")]


@pytest.mark.parametrize("copy", [False, True])
def test_every_name_leads_to_a_file(session, tmp_path, copy):
    out = tmp_path / "out"
    relion.export(session.store.folder, out, copy=copy)
    if copy:
        (session.store.folder / "steps").rename(tmp_path / "gone")
    ctf = starfile.read(out / "micrographs_ctf.star")["micrographs"]
    for column in ("MicrographName", "MicrographNameNoDW", "CtfPowerSpectrum", "MicrographMetadata", "CtfImage"):
        for name in ctf[f"rln{column}"]:
            assert (out / re.sub(":mrc$", "", name)).is_file(), name
    for name in ctf["rlnMicrographMetadata"]:
        general = starfile.read(out / name)["general"]
        assert (out / general["rlnMicrographMovieName"]).resolve().parent == session.raw
        assert (out / general["rlnMicrographGainName"]).resolve() == session.gain


def test_gains_mean_to_relion_what_they_mean_to_us(tmp_path):
    """RELION multiplies with an MRC gain, but divides EER movies by it; a prepared one lies in the project."""
    session = Session(tmp_path)
    inside = "steps/movies/gain_1.mrc"
    (session.store.folder / "steps/movies").mkdir()
    reference = np.array([[0.5, 1.0], [2.0, 0.0]], np.float32)
    mrc.write(session.store.folder / inside, reference)
    for number, name in enumerate(("a.tiff", "b.eer", "c.eer")):
        path = session.raw / name
        path.touch()
        movie = Movie(name=path.stem, path=str(path), gain=inside, optics=KRIOS, found=1.0)
        (exposure,) = admit(session.store, "movies", [(str(path), float(number), movie)])
        session.done("maxshift", exposure, session.aligned(exposure, path.stem))
    out = tmp_path / "out"
    relion.export(session.store.folder, out, copy=True)
    (session.store.folder / "steps").rename(tmp_path / "gone")
    names = [
        starfile.read(out / f"MotionCorr/{name}.star")["general"]["rlnMicrographGainName"] for name in ("a", "b", "c")
    ]
    assert names[1] == names[2] != names[0]
    np.testing.assert_array_equal(mrc.read(out / names[0]), reference)
    divides = mrc.read(out / names[1])
    used = divides[divides > 0].mean() / divides[divides > 0]  # what RELION does with it
    np.testing.assert_allclose(used / used[0], reference[reference > 0] / 0.5, rtol=1e-6)
    assert divides[1, 1] == 0


def test_optics_groups_of_one_name_stay_apart(exported):
    blocks = starfile.read(exported / "micrographs_ctf.star")
    optics = blocks["optics"].set_index("rlnOpticsGroup")
    assert optics["rlnOpticsGroupName"].is_unique
    rows = blocks["micrographs"].set_index("rlnMicrographName")
    group = rows.loc["MotionCorr/other.mrc", "rlnOpticsGroup"]
    assert optics.loc[group, ["rlnVoltage", "rlnMicrographPixelSize"]].tolist() == [200.0, 1.1]


def test_numbers_keep_to_relions_conventions(exported):
    rows = starfile.read(exported / "micrographs_ctf.star")["micrographs"].set_index("rlnMicrographName")
    good, other = rows.loc["MotionCorr/m1.mrc"], rows.loc["MotionCorr/other.mrc"]
    assert (good["rlnDefocusU"], good["rlnDefocusV"]) == (15234.56789, 14900.0)  # Å, U ≥ V
    assert good["rlnCtfImage"] == "CtfFind/m1.ctf:mrc"
    assert other["rlnCtfMaxResolution"] == 25.0
    assert other["rlnMicrographNameNoDW"] == "MotionCorr/other.mrc"


def test_power_spectrum_is_that_of_the_micrograph(exported):
    """Amplitudes with the origin in the middle, as the whole transform gives them."""
    written = mrc.read(exported / "MotionCorr/m1_PS.mrc")
    n = written.shape[0]
    assert written.shape == (n, n)
    point = written[1:, 1:] if n % 2 == 0 else written
    np.testing.assert_allclose(point, point[::-1, ::-1], rtol=1e-5)
    assert written[n // 2, n // 2] < np.median(written)  # the mean is taken off
    pixel_size = mrc.read_header(exported / "MotionCorr/m1_PS.mrc").pixel_size
    assert pixel_size >= 0.83


def test_the_power_spectrum_that_the_alignment_kept_is_handed_on(tmp_path):
    session = Session(tmp_path)
    kept = power_spectrum(np.random.default_rng(8).normal(size=(96, 96)), 0.83, 32)
    inside = session.store.folder / "steps/align/m1_PS.mrc"
    write_spectrum(inside, kept)
    for name, acquired in (("m1", 1.0), ("m2", 2.0)):
        exposure = session.movie(name, acquired)
        micrograph = session.aligned(exposure, name, power_spectrum="steps/align/m1_PS.mrc")
        session.done("maxshift", exposure, micrograph)
    session.store.close()
    out = tmp_path / "out"
    relion.export(tmp_path / "project", out)
    written = mrc.read(out / "MotionCorr/m1_PS.mrc")
    whole = np.fft.ifftshift(written.astype(float)) ** 2
    np.testing.assert_allclose(whole[:, :17], kept.power, rtol=1e-4)
    assert mrc.read_header(out / "MotionCorr/m1_PS.mrc").pixel_size == pytest.approx(kept.pixel_size)
    inside.unlink()  # somebody made room: that of the micrograph stands in
    relion.export(tmp_path / "project", out)
    assert mrc.read(out / "MotionCorr/m1_PS.mrc").shape[0] != 32


def test_again_brings_up_to_date(session, tmp_path):
    out = tmp_path / "out"
    relion.export(session.store.folder, out)
    before = (out / "MotionCorr/m1_PS.mrc").stat().st_ino
    session.store.reject(2, "after all")  # m1
    assert relion.export(session.store.folder, out).ctfs == 2
    assert "m1" not in (out / "micrographs_ctf.star").read_text()
    session.store.reject(2, None)
    assert relion.export(session.store.folder, out, copy=True).ctfs == 3
    assert (out / "MotionCorr/m1_PS.mrc").stat().st_ino == before  # not computed again
    assert not (out / "MotionCorr/m1.mrc").is_symlink()


def test_a_project_without_movies_says_so(tmp_path):
    Store.create(tmp_path / "p").close()
    with pytest.raises(ProjectError, match="no movies"):
        relion.export(tmp_path / "p", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_to_is_named(session, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ProjectError, match="file"):
        relion.export(session.store.folder, tmp_path / "file")


def test_what_lies_outside_the_thresholds_is_left_out_unless_all_is_asked_for(session, tmp_path):
    session.store.put("thresholds", '{"drift": [null, 10.5]}')
    assert relion.export(session.store.folder, tmp_path / "some").micrographs == 2
    some = star.read(tmp_path / "some/corrected_micrographs.star")["micrographs"]
    assert [float(v) for v in some["rlnAccumMotionTotal"]] == [10.25, 9.25]
    assert relion.export(session.store.folder, tmp_path / "all", thresholds=False).micrographs == 4
