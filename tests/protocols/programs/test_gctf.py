"""Gctf: flags of its versions, its star file and its log."""

import math
import os
from pathlib import Path

import numpy as np
import pytest

from cryowidgets.errors import InputError, ParameterError, ProgramError
from cryowidgets.protocols.gctf import Gctf, parse_log, parse_star

SAMPLES = Path(os.environ.get("CRYOWIDGETS_SAMPLES", "/nowhere"))

FLAGS = """--apix --kV --cs --ac --dstep --defL --defH --defS --astm --resL --resH --boxsize --bfac --do_EPA --gid
--ctfstar --phase_shift_L --phase_shift_H --phase_shift_S --phase_shift_T --cosearch_refine_ps --do_validation"""
STAR = """
data_

loop_
_rlnMicrographName #1
_rlnDefocusU #2
_rlnDefocusV #3
_rlnDefocusAngle #4
_rlnCtfFigureOfMerit #5
_rlnFinalResolution #6
micrograph.mrc 14810.2 15230.7 -70.0 0.1512 3.9
"""
LOG = """
*********   LAST CYCLE    *********

   Defocus_U   Defocus_V       Angle         CCC
    15230.70    14810.20       20.00    0.151200  Final Values

\x1b[1mResolution limit estimated by EPA: 3.904 \x1b[0m
"""
PHASE = LOG.replace("Angle ", "Angle  Ctfphaseshift").replace("20.00 ", "20.00  85.5 ")


@pytest.fixture
def gctf(fake):
    made = fake("Gctf_v1.18_sm30-75_cu10.1", FLAGS, "Usage: Gctf [options] micrographs", question=("--help",))
    made.gives("micrographs.star", STAR).gives("micrograph_gctf.log", LOG)
    return made.gives("micrograph.pow", np.eye(64, dtype=np.float32)).play(reads=["micrograph.mrc"])


def test_flags(micrograph):
    words = " ".join(Gctf().command(micrograph, "1.06").arguments)
    assert words == (
        "--apix 1.5 --kV 300 --cs 2.7 --ac 0.1 --defL 5000 --defH 90000 --defS 500 --astm 1000 --resL 50 --resH 4 "
        "--boxsize 1024 --bfac 150 --do_EPA 1 --gid 0 --ctfstar micrographs.star micrograph.mrc"
    )
    phase = " ".join(Gctf(search_phase=True, phase_max=120.0).command(micrograph, "1.06").arguments)
    assert "--phase_shift_L 0 --phase_shift_H 120 --phase_shift_S 10 --gid" in phase
    assert "--cosearch_refine_ps 0" in " ".join(Gctf(search_phase=True).command(micrograph, "1.18").arguments)


def test_a_run_becomes_a_ctf(gctf, micrograph, out, project):
    ctf = Gctf(executable=str(gctf.path), gpu="3").process(micrograph, out)
    out.commit()
    assert (ctf.program, ctf.program_version) == ("Gctf", "1.18")  # which it tells by its name alone
    assert (ctf.defocus_u, ctf.defocus_v, ctf.angle) == (15230.7, 14810.2, 20.0)  # U and V change places
    assert (ctf.score, ctf.fit_resolution, ctf.phase_shift) == (0.1512, 3.9, 0.0)
    assert (project / ctf.spectrum).exists() and (project / ctf.picture).exists()
    assert gctf.runs[0]["environment"]["CUDA_VISIBLE_DEVICES"] == "3"


def test_without_a_star_file_the_log_is_read(gctf, micrograph, out):
    (gctf.folder / "gives" / "micrographs.star").unlink()
    ctf = Gctf(executable=str(gctf.path)).process(micrograph, out)
    assert (ctf.defocus_u, ctf.defocus_v, ctf.angle, ctf.fit_resolution) == (15230.7, 14810.2, 20.0, 3.904)


@pytest.mark.parametrize(
    "mode, sentence",
    [
        ("fails", "Gctf ended with error 3."),
        ("hangs", "Gctf took longer than 0.6 s and was ended."),
        ("halves", "Gctf wrote only a part of micrographs.star."),
    ],
)
def test_what_goes_wrong_is_said(gctf, micrograph, out, mode, sentence):
    gctf.play(mode=mode)
    with pytest.raises(ProgramError) as caught:
        Gctf(executable=str(gctf.path), timeout=0.01).process(micrograph, out)
    assert str(caught.value).startswith(sentence)


def test_logs():
    found = parse_log(LOG)
    assert (found.defocus_u, found.defocus_v, found.angle, found.score) == (15230.7, 14810.2, 20.0, 0.1512)
    assert (found.resolution, found.phase_shift) == (3.904, 0.0)
    assert parse_log(PHASE).phase_shift == 85.5 and parse_log(PHASE).score == 0.1512
    assert math.isnan(parse_log(LOG.split("Resolution")[0]).resolution)
    with pytest.raises(InputError, match="its log has no final values"):
        parse_log(LOG.split("Final")[0])
    with pytest.raises(InputError, match="its star file has no defocus"):
        parse_star(STAR.replace("micrograph.mrc 14810.2 15230.7 -70.0 0.1512 3.9\n", ""))


def test_values_that_are_wrong_together_are_refused():
    for wrong in (
        {"defocus_min": 90000},
        {"resolution_min": 5, "resolution_max": 5},
        {"search_phase": True, "phase_min": 180},
    ):
        with pytest.raises(ParameterError):
            Gctf(**wrong)


@pytest.mark.skipif(not (SAMPLES / "gctf_ctfstat").is_dir(), reason="CRYOWIDGETS_SAMPLES names no folder")
def test_a_real_star_file():
    lines = (SAMPLES / "gctf_ctfstat" / "micrographs_all_gctf.star").read_text().splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("Micrographs"))
    found = parse_star("\n".join(lines[: first + 1]))
    assert (found.defocus_u, found.defocus_v, found.angle) == (54132.816406, 53882.808594, 34.349960)
    assert (found.score, found.resolution) == (0.243380, 3.240843)
