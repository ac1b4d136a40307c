"""CTFFIND 4 and 5 are told what they ask for, in its order; their tables become Å, degrees and U ≥ V."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cryowidgets.errors import InputError, ParameterError, ProgramError
from cryowidgets.io import mrc
from cryowidgets.protocols.ctffind import Ctffind, parse, parse_curve, within_a_turn

SAMPLES = Path(os.environ.get("CRYOWIDGETS_SAMPLES", "/nowhere"))

GREETING = """

        **   Welcome to Ctffind   **

            Version : {version}
           Compiled : Feb 26 2024
    Library Version : 2.0.0-alpha-151-d42312b
               Mode : Interactive

Input image file name [input.mrc]                  :
"""
HEAD = """# Output from CTFFind version {version}, run on 2025-02-13 21:14:21
# Input file: micrograph.mrc ; Number of micrographs: 1
# Pixel size: 1.500 Angstroms ; acceleration voltage: 300.0 keV
# Columns: #1 - micrograph number; #2 - defocus 1 [Angstroms]; #3 - defocus 2; #4 - azimuth of astigmatism; #5 - phase \
shift [radians]; #6 - cross correlation; #7 - spacing (in Angstroms) up to which CTF rings were fit{more}
"""
MORE = "; #8 - Estimated tilt axis angle; #9 - Estimated tilt angle ; #10 Estimated sample thickness (in Angstroms)"
FOUR = HEAD.format(version="4.1.14", more="") + "1.0 15200.5 14800.25 -35.5 0.5 0.25 4.2\n"
FIVE = HEAD.format(version="5.0.2", more=MORE) + "1.0 15200.5 14800.25 -35.5 0.0 0.25 4.2 221.9 12.25 1619.8\n"


def average(n=40):
    frequency = np.linspace(0, 1 / 3.2, n)
    rows = [frequency, frequency**0, np.cos(frequency), np.sin(frequency), np.exp(-frequency), 0 * frequency + 0.1]
    lines = "".join(" ".join(f"{x:.6f}" for x in row) + "\n" for row in rows)
    return f"# Output from CTFFind version 4.1.14\n# Pixel size: 1.5 Angstroms\n{lines}"


@pytest.fixture
def ctffind(fake):
    def make(version, table):
        made = fake("ctffind", "-j", GREETING.format(version=version), question=(), greets_with=1)
        picture = np.random.default_rng(3).normal(0, 1, (1, 64, 64)).astype(np.float32)
        made.gives("spectrum.txt", table).gives("spectrum_avrot.txt", average())
        return made.gives("spectrum.mrc", picture, 9.9).play(reads=["micrograph.mrc"])

    return make


def test_what_4_is_told(micrograph):
    command = Ctffind().command(micrograph, "4.1.14")
    assert command.arguments == ()
    assert command.stdin.splitlines() == (
        "micrograph.mrc spectrum.mrc 1.5 300 2.7 0.1 512 30 5 5000 50000 100 no no no no no".split()
    )


def test_what_5_is_told(micrograph):
    command = Ctffind().command(micrograph, "5.0.2")
    ends = "no no no no no no no".split()  # astigmatism known, slow, restraint, phase, tilt, thickness, expert
    assert command.stdin.splitlines()[12:] == ends
    thick = Ctffind(fit_tilt=True, fit_thickness=True, node_resolution_max=2.5).command(micrograph, "5.0.2")
    assert thick.stdin.splitlines()[12:] == "no no no no yes yes yes yes 30 2.5 no no no".split()


def test_phase_is_told_in_radians_and_leaves_out_the_question_of_tilt(micrograph):
    wanted = Ctffind(search_phase=True, phase_min=0, phase_max=90, phase_step=9, astigmatism=200)
    four, five = (wanted.command(micrograph, version).stdin.splitlines()[12:] for version in ("4.1.14", "5.0.2"))
    assert four == "no no yes 200 yes 0 1.5708 0.15708 no".split()
    assert five == "no no yes 200 yes 0 1.5708 0.15708 no no".split()


def test_threads_are_told_to_versions_that_take_them(micrograph, three_threads):
    assert Ctffind().command(micrograph, "4.1.14").arguments == ("-j", "3")
    assert Ctffind().command(micrograph, "4.1.10").arguments == ()


@pytest.mark.parametrize(
    "wanted, version, sentence",
    [
        ({"fit_tilt": True}, "4.1.14", "CTFFIND 4.1.14 fits no tilt and no thickness: set Ctffind.executable to"),
        ({}, "4.0.17", "CTFFIND 4.0.17 asks for other things than 4.1 and 5 do: set Ctffind.executable to one"),
        ({}, "", "CTFFIND of unknown version asks for other things"),
    ],
)
def test_what_a_version_cannot_do_is_said(micrograph, wanted, version, sentence):
    with pytest.raises((ParameterError, ProgramError)) as caught:
        Ctffind(**wanted).command(micrograph, version)
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(
    "wrong",
    [
        {"defocus_min": 9000, "defocus_max": 9000},
        {"resolution_min": 5, "resolution_max": 5},
        {"search_phase": True, "phase_min": 90, "phase_max": 90},
        {"search_phase": True, "fit_tilt": True},
        {"box": 513},
    ],
)
def test_values_that_are_wrong_together_are_refused(wrong):
    with pytest.raises(ParameterError):
        Ctffind(**wrong)


def test_a_run_becomes_a_ctf(ctffind, micrograph, out, project):
    program = ctffind("4.1.14", FOUR)
    ctf = Ctffind(executable=str(program.path)).process(micrograph, out)
    out.commit()
    assert (ctf.program, ctf.program_version) == ("CTFFIND", "4.1.14")
    assert (ctf.defocus_u, ctf.defocus_v, ctf.angle) == (15200.5, 14800.25, -35.5)
    assert ctf.astigmatism == 400.25 and ctf.score == 0.25 and ctf.fit_resolution == 4.2
    assert ctf.phase_shift == pytest.approx(math.degrees(0.5)) and math.isnan(ctf.tilt) and math.isnan(ctf.thickness)
    assert ctf.micrograph == micrograph.path and ctf.reason == ""
    (run,) = program.runs
    assert "micrograph.mrc" in run["files"] and run["told"].startswith("micrograph.mrc\nspectrum.mrc\n1.5\n")
    assert np.load(project / ctf.curve).shape == (4, 40)
    # the spectrum ends at 1/3.2 Å, so its pixel is 1.6 Å, whatever its header says
    assert mrc.read_header(project / ctf.spectrum).pixel_size == pytest.approx(1.6, abs=1e-3)
    with Image.open(project / ctf.picture) as picture:
        assert picture.size == (64, 64)


def test_tilt_and_thickness_of_5_where_asked_for(ctffind, micrograph, out):
    program = ctffind("5.0.2", FIVE)
    ctf = Ctffind(executable=str(program.path), fit_tilt=True, fit_thickness=True).process(micrograph, out)
    assert (ctf.program_version, ctf.tilt, ctf.tilt_axis, ctf.thickness) == ("5.0.2", 12.25, 221.9, 1619.8)


@pytest.mark.parametrize(
    "mode, sentence",
    [
        ("fails", "CTFFIND ended with error 3. It said last: working / CUDA error"),
        ("hangs", "CTFFIND took longer than 0.6 s and was ended. It said last: working"),
        ("halves", "CTFFIND wrote only a part of spectrum.txt. It said last: working"),
    ],
)
def test_what_goes_wrong_is_said(ctffind, micrograph, out, mode, sentence):
    program = ctffind("4.1.14", FOUR).play(mode=mode)
    with pytest.raises(ProgramError) as caught:
        Ctffind(executable=str(program.path), timeout=0.01).process(micrograph, out)
    assert str(caught.value).startswith(sentence)


def test_columns_become_ours():
    found = parse(FIVE.replace("15200.5 14800.25 -35.5", "14800.25 15200.5 -35.5").replace(" 4.2 ", " inf "))
    assert (found.defocus_u, found.defocus_v, found.angle, found.version) == (15200.5, 14800.25, 54.5, "5.0.2")
    assert math.isnan(found.resolution)


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("", "its table has 0 rows where one is needed."),
        (FOUR + "2.0 1 1 1 1 1 1\n", "its table has 2 rows"),
        (FIVE[:-20], "its table has 7 columns where 10 are announced."),
        (FOUR[:-20], "its table has 3 columns where 7 are announced."),
        (FOUR.replace("0.25 4.2", "0.25x 4.2"), "its table has what is no number"),
        (FOUR.replace("15200.5", "nan"), "it found no defocus."),
    ],
)
def test_a_table_that_is_cut_off_is_refused(text, sentence):
    with pytest.raises(InputError) as caught:
        parse(text)
    assert str(caught.value).startswith(sentence)


def test_an_average_that_is_cut_off_is_refused():
    text = average()
    assert parse_curve(text).shape == (4, 40)
    for end in (len(text) // 2, len(text) - 60, 0):
        with pytest.raises(InputError, match="rotational average is cut off"):
            parse_curve(text[:end])


@given(st.floats(-1000, 1000))
def test_an_axis_has_one_angle(angle):
    turned = within_a_turn(angle)
    assert -90 < turned <= 90
    assert math.sin(math.radians(turned - angle)) == pytest.approx(0, abs=1e-9)


@pytest.mark.skipif(not (SAMPLES / "ctffind5").is_dir(), reason="CRYOWIDGETS_SAMPLES names no folder")
def test_a_real_table_of_5():
    found = parse((SAMPLES / "ctffind5" / "ctffind5_example_diagnostic.txt").read_text())
    assert (found.defocus_u, found.defocus_v, found.angle) == (8984.742188, 8709.236328, 45.948771)
    assert (found.phase_shift, found.score, found.resolution) == (0, 0.446317, 3.72)
    assert (found.tilt_axis, found.tilt, found.thickness) == (221.912292, 12.251187, 1619.773438)
    assert found.version == "5.0.2"
