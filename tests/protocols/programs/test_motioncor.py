"""MotionCor2 and MotionCor3: flags of each version, shifts of all their logs, sums that are whole."""

import dataclasses
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nst

from cryowidgets.errors import InputError, ParameterError, ProgramError
from cryowidgets.io import mrc, star
from cryowidgets.protocols.aligned import displacements
from cryowidgets.protocols.motioncor import MotionCor, parse

SAMPLES = Path(os.environ.get("CRYOWIDGETS_SAMPLES", "/nowhere")) / "appion_test" / "test"
real = pytest.mark.skipif(not SAMPLES.is_dir(), reason="CRYOWIDGETS_SAMPLES names no folder")

FLAGS = """-InMrc -InTiff -InEer -OutMrc -PixSize -kV -Patch -Iter -Tol -Bft -Group -Throw -Trunc -FtBin -InitDose
-SumRange -FmDose -EerSampling -FmIntFile -Gain -RotGain -FlipGain -DefectFile -DefectMap -SplitSum -Cs -Gpu"""
SHIFTS = [(2.46, 8.51), (1.67, 5.8), (1.33, 3.92), (0.0, 0.0), (-0.59, -1.32), (-1.02, -4.12)]

AFTER = "  1    0     1.11      3.20\n"  # patches, which are not to be taken for frames


def lines(shifts):
    rows = "".join(f"...... Frame ({i:3d}) shift: {x:9.3f} {y:10.3f}\n" for i, (x, y) in enumerate(shifts, 1))
    return f"GPU 0 memory: 8107 MB\n\nFull-frame alignment shift\n{rows}\nAlign patch 1  24 left\n{AFTER}"


def table(shifts):
    rows = "".join(f"  {i:3d} {x:10.3f} {y:10.3f}\n" for i, (x, y) in enumerate(shifts, 1))
    return f"Full-frame alignment\n  Frame   x Shift   y Shift\n{rows}\nGlobal shifts are corrected\n{AFTER}"


def first_motioncor(shifts):
    rows = "".join(f"......Add Frame #{i:03d} with xy shift: {x:.5f} {y:.5f}\n" for i, (x, y) in enumerate(shifts))
    return f"Sum Frame #000 - #080 (Reference Frame #040):\n{rows}"


def image(seed):
    return np.random.default_rng(seed).normal(10, 2, (60, 80)).astype(np.float32)


@pytest.fixture
def motioncor(fake):
    made = fake("MotionCor2", FLAGS, "MotionCor2 version 1.6.4\nBuilt on Mar 31 2023\n")
    made.gives("sum.mrc", image(5)).gives("sum_DW.mrc", image(6))
    return made.play(says=lines(SHIFTS))


def words(movie, program="MotionCor2", version="1.6.4", gain="", **values):
    return " ".join(MotionCor(**values).command(movie, program, version, gain).arguments)


def test_flags_of_2(movie):
    assert words(movie, gain="/g/gain.mrc") == (
        f"-InMrc {movie.path} -OutMrc sum.mrc -PixSize 1.5 -kV 300 -Patch 5 5 0 -Iter 10 -Tol 0.2 -Bft 500 100 "
        "-Group 1 4 -Throw 0 -Trunc 0 -FtBin 1 -InitDose 0 -SumRange 0 0 -FmDose 1.25 -Gain /g/gain.mrc -RotGain 0 "
        "-FlipGain 0 -Gpu 0"
    )
    assert "-Group 1 -Throw" in words(movie, version="1.5.0")  # it groups for patches as for the whole frame


def test_flags_of_3(movie):
    assert words(movie, "MotionCor3", "1.0.1").endswith("-FmDose 1.25 -Cs 0 -Gpu 0")
    assert "-Group 1 4" in words(movie, "MotionCor3", "1.0.1")


def test_flags_for_what_is_asked(movie):
    said = words(
        movie,
        gain="g.mrc",
        patch_x=0,
        patch_y=0,
        first_frame=3,
        skip_last=1,
        binning=2.0,
        dose_weighting=False,
        halves=True,
        gain_rotation=1,
        gain_flip=2,
        defect_file="/d/defects.txt",
    )
    assert "-Patch" not in said and "Dose" not in said and "-SumRange" not in said
    assert (
        "-Throw 2 -Trunc 1 -FtBin 2 -Gain g.mrc -RotGain 1 -FlipGain 2 -DefectFile /d/defects.txt -SplitSum 1" in said
    )
    assert "-DefectMap /d/map.mrc" in words(movie, defect_map="/d/map.mrc")


def test_flags_of_eer(movie):
    eer = dataclasses.replace(movie, path="/m/movie.eer")
    said = words(eer, eer_upsampling=2)
    assert said.startswith("-InEer /m/movie.eer -OutMrc sum.mrc -PixSize 0.75 ")
    assert "-EerSampling 2 -FmIntFile fractions.txt" in said and "-FmDose" not in said
    with pytest.raises(ParameterError, match="^MotionCor2 1.3.2 does not read EER: set MotionCor.executable to 1.4"):
        words(eer, version="1.3.2")


def test_a_run_becomes_a_micrograph(motioncor, movie, out, project):
    micrograph = MotionCor(executable=str(motioncor.path), gpu="2").process(movie, out)
    out.commit()
    assert (micrograph.program, micrograph.program_version) == ("MotionCor2", "1.6.4")
    assert micrograph.shifts[0].tolist() == [0, 0]
    assert micrograph.shifts[-1] == pytest.approx([8.51 + 4.12, 2.46 + 1.02])  # y, x; content moves against corrections
    assert micrograph.frames == 6 and (micrograph.height, micrograph.width) == (60, 80)
    assert micrograph.pixel_size == 1.5
    steps = np.linalg.norm(np.diff(SHIFTS, axis=0), axis=1) * 1.5
    assert micrograph.motion_total == pytest.approx(steps.sum()) and micrograph.motion_worst == pytest.approx(
        max(steps)
    )
    assert np.array_equal(mrc.read(project / micrograph.path), image(5))
    assert np.array_equal(mrc.read(project / micrograph.dose_weighted), image(6))
    assert (project / micrograph.thumbnail).exists()
    said = star.read(project / micrograph.metadata)
    # RELION's corrections are relative to the first frame, and are MotionCor's own otherwise
    assert said["global_shift"]["rlnMicrographShiftX"] == pytest.approx([x - 2.46 for x, _ in SHIFTS], abs=1e-6)
    assert said["general"]["rlnMicrographGainName"] == movie.gain
    assert motioncor.runs[0]["environment"]["CUDA_VISIBLE_DEVICES"] == "2"


def test_3_is_told_from_2_by_what_it_says(motioncor, movie, out):
    motioncor.play(greeting="MotionCor3 version 1.2.1\nBuilt on May 14 2025", says=table(SHIFTS))
    micrograph = MotionCor(executable=str(motioncor.path)).process(movie, out)
    assert (micrograph.program, micrograph.program_version) == ("MotionCor3", "1.2.1")
    assert "-Cs" in motioncor.runs[0]["arguments"]


def test_frames_that_are_left_out_keep_their_number(motioncor, movie, out, project):
    motioncor.play(says=lines(SHIFTS[:3]))
    micrograph = MotionCor(executable=str(motioncor.path), first_frame=3, skip_last=1).process(movie, out)
    out.commit()
    shown = star.read(project / micrograph.metadata)["global_shift"]
    assert shown["rlnMicrographShiftX"][:2] == [-9999, -9999] and shown["rlnMicrographShiftX"][5] == -9999
    assert shown["rlnMicrographFrameNumber"] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"mode": "fails"}, "MotionCor2 ended with error 3."),
        ({"mode": "hangs"}, "MotionCor2 took longer than 1.2 s and was ended."),
        ({"mode": "halves"}, "MotionCor2 wrote what cannot be used: "),
        ({"says": "no shifts"}, "MotionCor2 wrote what cannot be used: its log has no shifts of the whole frame."),
        (
            {"says": lines(SHIFTS[:4])},
            "MotionCor2 wrote what cannot be used: its log has the shifts of 4 frames where 6 were to be aligned.",
        ),
    ],
)
def test_what_goes_wrong_is_said(motioncor, movie, out, project, change, sentence):
    motioncor.play(**change)
    with pytest.raises(ProgramError) as caught:
        MotionCor(executable=str(motioncor.path), timeout=0.02).process(movie, out)
    assert str(caught.value).startswith(sentence)
    out.discard()
    assert os.listdir(project / "steps" / "one") == ["m001.log"]


def test_a_sum_that_is_missing_or_blank_is_said(motioncor, movie, out):
    motioncor.gives("sum.mrc", np.zeros((60, 80), np.float32))
    with pytest.raises(ProgramError, match="sum.mrc is no image: all its pixels are alike"):
        MotionCor(executable=str(motioncor.path)).process(movie, out)
    (motioncor.folder / "gives" / "sum_DW.mrc").unlink()
    with pytest.raises(ProgramError, match="ended without an error but did not write sum_DW.mrc"):
        MotionCor(executable=str(motioncor.path)).process(movie, out)


@given(nst.arrays(float, (7, 2), elements=st.floats(-50, 50).map(lambda x: round(x, 3))))
def test_all_logs_tell_the_same_shifts(shifts):
    for log in (lines, table):
        assert np.allclose(parse(log(shifts)), shifts, atol=1e-9)
    assert np.allclose(parse(first_motioncor(shifts)), shifts, atol=1e-9)
    ours = displacements(shifts)
    assert np.allclose(ours[:, ::-1] + shifts, shifts[0]) and (ours[0] == 0).all()


def test_a_log_with_a_hole_is_refused():
    broken = lines(SHIFTS).replace("...... Frame (  3)", "......")
    with pytest.raises(InputError, match="its log has no shifts of some frames"):
        parse(broken)


def test_values_that_are_wrong_together_are_refused():
    with pytest.raises(ParameterError, match="write more than 1 for both, or 0"):
        MotionCor(patch_x=5, patch_y=0)
    with pytest.raises(ParameterError, match="not both"):
        MotionCor(defect_file="a", defect_map="b")


@real
def test_real_logs_of_one_movie_by_two_versions_agree():
    folder = SAMPLES / "test_motioncorrection_utils"
    first, second = (parse((folder / f"motioncor2_{v}_log.txt").read_text()) for v in ("1.5.0", "1.6.4"))
    assert first[0].tolist() == [2.46, 8.51] and first[-1].tolist() == [-1.32, -4.6] and len(first) == 16
    assert second[-1].tolist() == [-3.79, -13.12] and len(second) == 16
    # each has its own frame of reference, and the later one smooths; what we keep is the same
    assert np.abs(displacements(first) - displacements(second)).max() <= 0.5
    assert np.abs(displacements(first) - displacements(second))[-1].max() <= 0.011


@real
def test_real_logs_as_others_read_them():
    """The values beside the logs, of a parser that is not ours."""
    text = (SAMPLES / "test_motioncorrection.yml").read_text()
    expected = text.split("test_parseMotionCorLog:\n")[1].split("- expected:\n")[1:]
    for part, version in zip(expected, ("1.5.0", "1.6.4"), strict=True):
        shifts = part.split("    shifts:\n")[1].split("  outbuffer")[0]
        numbers = [float(number) for number in re.findall(r"- (-?[\d.]+)$", shifts, re.MULTILINE)]
        log = (SAMPLES / "test_motioncorrection_utils" / f"motioncor2_{version}_log.txt").read_text()
        assert parse(log).ravel().tolist() == numbers


@real
@pytest.mark.parametrize("name, frames", [("29123499", 28), ("30117940", 40), ("30157838", 40)])
def test_real_logs_of_a_cluster(name, frames):
    folder = SAMPLES / "test_motioncorrection_utils" / "logs"
    shifts = displacements(parse((folder / f"{name}.motioncor2.log").read_text()))
    assert len(shifts) == frames and np.abs(shifts).max() < 20


@real
def test_flags_that_others_give_are_among_ours(movie):
    validation = json.loads((SAMPLES / "test_motioncorrection_utils" / "motioncor2_validation.json").read_text())
    used = {f"-{flag}" for job in validation.values() for flag in job["motioncorflags"]}
    assert used - set(FLAGS.split()) <= {"-MaskSize", "-Dark", "-FmRef", "-Align", "-OutStack"}


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="CRYOWIDGETS_SAMPLES names no folder")
def test_a_real_log_of_the_first_motioncor():
    folder = SAMPLES.parent.parent / "magellon" / "CoreService" / "tests"
    shifts = parse(next(folder.glob("*_Log.txt")).read_text())
    assert len(shifts) == 80 and shifts[0].tolist() == [-1.165, 1.195] and shifts[40].tolist() == [0, 0]
