"""Topaz, crYOLO and Gautomatch: their arguments, and what they write as picks."""

import dataclasses
import json
import math

import numpy as np
import pytest
from PIL import Image

from cryowidgets.errors import InputError, ParameterError, ProgramError
from cryowidgets.io.coordinates import Coordinates, read, write
from cryowidgets.protocols.cryolo import Cryolo
from cryowidgets.protocols.gautomatch import Gautomatch
from cryowidgets.protocols.topaz import Topaz

TOPAZ = "-s -d -o -m -r -t -x -j --down-scale --num-threads"
CRYOLO = "-c -w -i -o -t -nc -g --otf -p --distance"
GAUTOMATCH = """--apixM --apixT --T --diameter --cc_cutoff --min_dist --speed --boxsize --lp --hp --lsigma_cutoff
--lsigma_D --lave_min --lave_max --lave_D --ang_step --dont_invertT --gid"""
FOUND = Coordinates(np.array([[10.0, 20.0], [30.0, 40.0], [50.0, 60.0], [500.0, 6.0]]), np.array([0.2, 3.5, 1.5, 9.0]))


@pytest.fixture
def programs(fake, tmp_path):
    """Each picker with the file that it writes; the last place is outside the micrograph."""
    for name in ("picks.txt", "m.cbox", "m.star", "m.box"):
        write(tmp_path / name, FOUND, size=16)
    topaz = fake("topaz", TOPAZ, "0.3.20").gives("picks.txt", (tmp_path / "picks.txt").read_text())
    topaz.play(reads=["micrograph.mrc"])
    cryolo = fake("cryolo_predict.py", CRYOLO, "crYOLO 1.9.9")
    cryolo.gives("picks/CBOX/micrograph.cbox", (tmp_path / "m.cbox").read_text())
    cryolo.play(reads=["micrographs/micrograph.mrc", "config.json"])
    gautomatch = fake("Gautomatch_v0.56_sm62_cu8.0", GAUTOMATCH, "usage", question=("--help",))
    gautomatch.gives("micrograph_automatch.star", (tmp_path / "m.star").read_text())
    gautomatch.gives("micrograph_automatch.box", (tmp_path / "m.box").read_text()).play(reads=["micrograph.mrc"])
    return {
        "Topaz": (Topaz, topaz, {"threshold": 1.0, "diameter": 24}),
        "crYOLO": (Cryolo, cryolo, {"threshold": 1.0, "diameter": 24, "model": "/models/gmodel.h5"}),
        "Gautomatch": (Gautomatch, gautomatch, {"threshold": 0.15, "diameter": 24}),
    }


@pytest.mark.parametrize(
    "name, version, kept", [("Topaz", "0.3.20", 2), ("crYOLO", "1.9.9", 2), ("Gautomatch", "0.56", 3)]
)
def test_a_run_becomes_picks(programs, micrograph, out, project, name, version, kept):
    protocol, program, values = programs[name]
    picks = protocol(executable=str(program.path), **values).process(micrograph, out)
    out.commit()
    assert (picks.program, picks.program_version) == (name, version)
    assert picks.count == kept and picks.diameter == 24 and picks.threshold == values["threshold"]
    found = read(project / picks.path)
    assert found.places.tolist() == [[30, 40], [50, 60], [10, 20]][:kept]  # the best first
    assert picks.score == np.median(found.scores)
    assert (picks.pixel_size, picks.height, picks.width, picks.micrograph) == (1.5, 60, 80, micrograph.path)
    with Image.open(project / picks.thumbnail) as picture:
        assert picture.size == (80, 60) and picture.mode == "RGB"
        # a green circle of 24 Å, 16 px across, around y 30, x 40
        colours = np.asarray(picture, int)
        green = colours[..., 1] - colours[..., [0, 2]].max(axis=-1)
        assert green[30, 46:51].max() > 30 > 20 > green[28:33, 38:43].max()


@pytest.mark.parametrize("name", ["Topaz", "crYOLO", "Gautomatch"])
@pytest.mark.parametrize(
    "mode, sentence",
    [
        ("fails", "{} ended with error 3. It said last: working / CUDA error"),
        ("hangs", "{} took longer than 0.6 s and was ended."),
        ("halves", "{} wrote only a part of "),
    ],
)
def test_what_goes_wrong_is_said(programs, micrograph, out, name, mode, sentence):
    protocol, program, values = programs[name]
    program.play(mode=mode)
    with pytest.raises(ProgramError) as caught:
        protocol(executable=str(program.path), timeout=0.01, **values).process(micrograph, out)
    assert str(caught.value).startswith(sentence.format(name))


@pytest.mark.parametrize("name", ["Topaz", "crYOLO", "Gautomatch"])
def test_no_output_is_no_picks(programs, micrograph, out, name):
    """A program that writes nothing has failed; one that finds nothing says so."""
    protocol, program, values = programs[name]
    for file in (program.folder / "gives").rglob("*.*"):
        file.unlink()
    with pytest.raises(ProgramError, match=f"^{name} ended without an error but did not write "):
        protocol(executable=str(program.path), **values).process(micrograph, out)


def test_none_found_is_an_item_without_picks(programs, micrograph, out, project):
    protocol, program, values = programs["Topaz"]
    picks = protocol(executable=str(program.path), **(values | {"threshold": 15.0})).process(micrograph, out)
    out.commit()
    assert picks.count == 0 and math.isnan(picks.score) and len(read(project / picks.path)) == 0


def test_topaz_is_told_sizes_in_reduced_px(micrograph, three_threads):
    topaz = Topaz(diameter=150, threshold=-1.0)  # 100 px across
    said = "extract -m resnet16_u32 -r 12 -t -1 -x 6 -d -1 -j 3 -o picks.txt micrograph.mrc"
    assert topaz.command(micrograph).arguments == tuple(said.split())
    chosen = Topaz(downscale=4, radius=9, model="resnet8_u64", gpu="1")
    said = "extract -m resnet8_u64 -r 9 -t 0 -x 4 -d 0 -j 3 -o picks.txt micrograph.mrc"
    assert chosen.command(micrograph).arguments == tuple(said.split())
    with pytest.raises(InputError, match="too few to be found. Correct Topaz.diameter"):
        Topaz(diameter=10).command(dataclasses.replace(micrograph, pixel_size=4.0))


def test_topaz_gets_a_gpu_where_it_is_told_to(programs, micrograph, out):
    protocol, program, values = programs["Topaz"]
    protocol(executable=str(program.path), gpu="5", **values).process(micrograph, out)
    assert [run["environment"]["CUDA_VISIBLE_DEVICES"] for run in program.runs] == ["5"]


def test_cryolo_is_told_by_its_file(programs, micrograph, out, three_threads):
    cryolo = Cryolo(model="/models/g.h5", diameter=150, threshold=0.25)
    said = "-c config.json -w /models/g.h5 -i micrographs -o picks -t 0.25 -nc 3 --otf"
    assert cryolo.command().arguments == tuple(said.split())
    assert Cryolo(model="/models/g.h5", gpu="1", lowpass=0).command().arguments[-2:] == ("-g", "0")
    config = cryolo.config(micrograph)
    assert config["model"]["anchors"] == [100, 100] and config["model"]["filter"] == [0.1, "filtered"]
    json.dumps(config)
    with pytest.raises(ParameterError, match="^Cryolo.model is empty: write the path of the model"):
        Cryolo().process(micrograph, out)


def test_gautomatch_flags(micrograph):
    said = " ".join(Gautomatch(diameter=240.0).command(micrograph).arguments)
    assert said == (
        "--apixM 1.5 --diameter 240 --cc_cutoff 0.1 --min_dist 216 --speed 2 --boxsize 240 --lp 30 --hp 1000 "
        "--lsigma_cutoff 1.2 --lave_min -1 --lave_max 1 --gid 0 micrograph.mrc"
    )
    black = Gautomatch(templates="/t/t.mrcs", template_pixel_size=5.36, white_templates=False).command(micrograph)
    assert "--T templates.mrcs --ang_step 5 --apixT 5.36 --dont_invertT --gid 0" in " ".join(black.arguments)
    with pytest.raises(ParameterError, match="nothing is left"):
        Gautomatch(mean_min=2.0)


def test_gautomatch_boxes_serve_where_there_is_no_star_file(programs, micrograph, out):
    protocol, program, values = programs["Gautomatch"]
    (program.folder / "gives" / "micrograph_automatch.star").unlink()
    picks = protocol(executable=str(program.path), **values).process(micrograph, out)
    assert picks.count == 3 and math.isnan(picks.score)
