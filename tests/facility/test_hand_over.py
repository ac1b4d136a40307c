"""Hand-over of picks, particles and thresholds: to RELION, to CryoSPARC, as plain tables."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest
import starfile
from click.testing import CliRunner

from cryowidgets.cli import main
from cryowidgets.errors import InputError
from cryowidgets.facility import cleaning, cryosparc, plain, relion
from cryowidgets.facility.accepted import left_out
from cryowidgets.io import coordinates, mrc, star
from cryowidgets.model import Particles, Picks
from cryowidgets.store import thresholds
from cryowidgets.store.queries import Reader
from tests.facility.test_relion import fill

BOX = 16
PLACES = {"m1": [(10.0, 20.0), (30.5, 40.25)], "m2": [(5.0, 6.0)], "other": [(7.0, 8.0)], "thrown_out": [(1.0, 2.0)]}
OPTICS = {"rlnOpticsGroupName": ["opticsGroup1"], "rlnOpticsGroup": [1], "rlnVoltage": [300.0]}


def add_particles(session, boxes: dict[str, int]) -> None:
    """Picks and particles of some micrographs, as the steps leave them."""
    s = session.store
    s.add_step("pick", "Topaz", Picks, {}, {"micrograph": "maxshift"})
    s.add_step("extract", "RelionExtract", Particles, {}, {"picks": "pick"})
    for step in ("pick", "extract"):
        (s.folder / "steps" / step).mkdir()
    for name, places in PLACES.items():
        ((exposure,),) = s.query("SELECT id FROM exposure WHERE name = ?", (name,))
        found, stack = f"steps/pick/{name}_picks.star", f"steps/extract/{name}_particles.mrcs"
        yx = np.array(places)
        coordinates.write(s.folder / found, coordinates.Coordinates(yx, np.arange(1.0, 1 + len(yx))))
        session.done("pick", exposure, Picks(path=found, micrograph=f"steps/align/{name}.mrc", count=len(yx)))
        mrc.write(s.folder / stack, np.zeros((len(yx), BOX, BOX), "f4"), 0.83)
        table = {
            "rlnCoordinateX": yx[:, 1].tolist(),
            "rlnCoordinateY": yx[:, 0].tolist(),
            "rlnImageName": [f"{n:06d}@{stack}" for n in range(1, len(yx) + 1)],
            "rlnMicrographName": [f"steps/align/{name}_dw.mrc"] * len(yx),
            "rlnOpticsGroup": [1] * len(yx),
            "rlnDefocusU": [15000.0] * len(yx),
        }
        optics = {**OPTICS, "rlnImagePixelSize": [0.83], "rlnImageSize": [boxes.get(name, BOX)]}
        star.write(s.folder / f"steps/extract/{name}_particles.star", {"optics": optics, "particles": table})
        made = Particles(
            path=stack,
            metadata=f"steps/extract/{name}_particles.star",
            count=len(yx),
            box=boxes.get(name, BOX),
            pixel_size=0.83,
        )
        session.done("extract", exposure, made)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Seven movies: five with particles or none, one thrown out by a person, one held back by a gate."""
    session = fill(tmp_path_factory.mktemp("over"))
    with session.store.transaction():
        add_particles(session, {})
    session.store.close()
    return session.store.folder


def cli(*words: object, code: int = 0) -> str:
    result = CliRunner().invoke(main, list(map(str, words)), catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output


def stacks(out: Path, table) -> list[tuple[Path, int]]:
    return [(out / name.partition("@")[2], int(name.partition("@")[0])) for name in table["rlnImageName"]]


def test_picks_and_particles_go_to_relion_with_their_micrographs(project, tmp_path):
    done = relion.export(project, tmp_path)
    assert (done.ctfs, done.picked, done.particles) == (3, 3, 4)
    picked = starfile.read(tmp_path / "autopick.star")
    assert list(picked["rlnMicrographName"]) == ["MotionCorr/m1.mrc", "MotionCorr/m2.mrc", "MotionCorr/other.mrc"]
    first = starfile.read(tmp_path / picked["rlnMicrographCoordinates"][0])
    assert first[["rlnCoordinateY", "rlnCoordinateX"]].to_numpy().tolist() == [list(p) for p in PLACES["m1"]]
    blocks = starfile.read(tmp_path / "particles.star")
    table = blocks["particles"]
    assert list(table["rlnMicrographName"]) == ["MotionCorr/m1.mrc"] * 2 + ["MotionCorr/m2.mrc", "MotionCorr/other.mrc"]
    assert set(table["rlnOpticsGroup"]) == set(blocks["optics"]["rlnOpticsGroup"]) == {1}
    for stack, number in stacks(tmp_path, table):
        assert 1 <= number <= mrc.read_header(stack).shape[0]
    said = "3 exposures accepted; left out: 1 by a person, 1 by gates, 0 by thresholds; 2 not done"
    assert str(done.left_out) == said


def test_cryosparc_finds_all_by_wildcards_and_relative_names(project, tmp_path):
    done = cryosparc.export(project, tmp_path)
    assert (done.movies, done.micrographs, done.ctfs, done.picks, done.particles, done.groups) == (5, 4, 3, 4, 4, 2)
    movies = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.glob("movies/*/*.tiff"))
    assert movies == [f"movies/opticsGroup1/{n}.tiff" for n in ("m1", "m2", "no_rings", "raw_only")] + [
        "movies/opticsGroup1_2/other.tiff"
    ]
    assert all(path.resolve().is_file() for path in tmp_path.glob("*/*/*"))
    micrographs = starfile.read(tmp_path / "micrographs.star")
    names = list(micrographs["micrographs"]["rlnMicrographName"])
    assert [Path(name).stem for name in names] == ["m1", "m2", "other"]
    assert all((tmp_path / name).is_file() for name in names)
    assert micrographs["optics"]["rlnOpticsGroupName"].is_unique
    particles = starfile.read(tmp_path / "particles.star")["particles"]
    assert set(particles["rlnMicrographName"]) == set(names)
    assert all(stack.is_file() for stack, _ in stacks(tmp_path, particles))
    picks = starfile.read(tmp_path / "picks.star")["particles"]
    assert picks[["rlnCoordinateY", "rlnCoordinateX"]].to_numpy().tolist()[:2] == [list(p) for p in PLACES["m1"]]
    assert picks["rlnDefocusU"][0] == pytest.approx(15234.56789)
    with open(tmp_path / "exposures.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["optics_group"] for row in rows if row["movie"].endswith("other.tiff")] == ["opticsGroup1_2"]
    assert not re.search(r"(^|\s)/", (tmp_path / "particles.star").read_text()), "every path is relative"


def test_again_takes_away_what_is_accepted_no_more(project, tmp_path):
    from cryowidgets.store.store import Store

    out = tmp_path / "out"
    cryosparc.export(project, out)
    store = Store(project)
    store.put("thresholds", thresholds.dumps({"drift": (None, 10.0)}))
    try:
        with Reader(project) as reader:
            counts = left_out(reader)
            assert counts.by_thresholds > 0
            total = counts.accepted + counts.by_person + counts.by_gates + counts.by_thresholds + counts.unfinished
            assert total == reader.session().found
        done = cryosparc.export(project, out)
        left = [path.name for path in out.glob("micrographs/*/*.mrc")]
        assert len(left) == done.micrographs < 4
        assert cryosparc.export(project, out, thresholds=False).micrographs == 4
        assert relion.export(project, tmp_path / "r").micrographs == done.micrographs
        assert plain.export(project, tmp_path / "t").micrographs == done.micrographs
    finally:
        store.put("thresholds", "")
        store.close()


def test_tables_hold_what_the_files_hold(project, tmp_path):
    said = cli("export", project, "--format", "csv", "--out", tmp_path)
    assert "4 picks, 4 particles" in said
    assert "1 by a person, 1 by gates, 0 by thresholds" in said
    with open(tmp_path / "picks.csv", newline="") as file:
        rows = [(row["name"], float(row["y_px"]), float(row["x_px"])) for row in csv.DictReader(file)]
    assert rows == [(name, *place) for name in ("m1", "m2", "other") for place in PLACES[name]]
    with open(tmp_path / "micrographs.csv", newline="") as file:
        found = {row["name"]: row for row in csv.DictReader(file)}
    assert float(found["m1"]["defocus_u_A"]) == pytest.approx(15234.57)
    assert Path(found["m1"]["micrograph"]).name == "m1_dw.mrc"
    assert found["no_rings"]["defocus_u_A"] == ""
    with open(tmp_path / "particles.csv", newline="") as file:
        assert [row["number"] for row in csv.DictReader(file)] == ["1", "2", "1", "1"]


def test_boxes_of_two_sizes_are_not_mixed(tmp_path):
    session = fill(tmp_path)
    add_particles(session, {"m2": 32})
    session.store.close()
    with pytest.raises(InputError, match=r"16 px of 0\.83 Å and 32 px of 0\.83 Å cannot be handed over together"):
        relion.export(session.store.folder, tmp_path / "out")
    assert not list((tmp_path / "out").glob(".*")), "nothing half-written stays"


def test_what_was_cleaned_is_left_out_and_said(tmp_path):
    session = fill(tmp_path)
    for step in session.store.steps():
        session.store.set_state(step, "finished")
    session.store.close()
    project = session.store.folder
    cleaning.clean(project, ["micrographs", "spectra"])
    done = relion.export(project, tmp_path / "r")
    assert (done.micrographs, done.ctfs, done.cleaned) == (3, 2, 1), "one was not dose weighted, and is gone"
    rows = starfile.read(tmp_path / "r/micrographs_ctf.star")["micrographs"]
    assert set(rows["rlnCtfImage"].fillna("None")) == {"None"}
    for column in ("rlnMicrographName", "rlnMicrographNameNoDW", "rlnCtfPowerSpectrum"):
        assert all((tmp_path / "r" / name).is_file() for name in rows[column]), column
    said = cli("export", project, "--format", "cryosparc", "--out", tmp_path / "c")
    assert "3 micrographs, 2 with CTF" in said
    assert "1 micrograph was cleaned and is left out" in said


def test_a_session_whose_micrographs_are_gone_still_has_its_movies(tmp_path):
    session = fill(tmp_path)
    with session.store.transaction():
        add_particles(session, {})
    for image in (session.store.folder / "steps/align").glob("*.mrc"):
        image.unlink()
    done = cryosparc.export(session.store.folder, tmp_path / "out")
    assert (done.movies, done.micrographs, done.picks) == (5, 0, 0)
    assert len(list((tmp_path / "out/movies").rglob("*.tiff"))) == 5
    session.store.close()
