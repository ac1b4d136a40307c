"""`cryowidgets show item`: the chain of an item as people and programs read it."""

from __future__ import annotations

import json
import re

import pytest
from click.testing import CliRunner

from cryowidgets.cli import main
from tests.filled import FilledSession


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    session = FilledSession(tmp_path_factory.mktemp("item") / "p")
    session.arrive(24)
    session.process(pictures=False)
    session.add_up(20)
    session.close()
    return session.folder


def cli(*words, code: int = 0) -> str:
    result = CliRunner().invoke(main, ["show", "item", *map(str, words)], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output


def test_one_result_back_to_its_movie(folder):
    text = cli(folder, "ctf:7")
    heads = re.findall(r"^(\w+:\d+)  FoilHole", text, re.M)
    assert heads == ["ctf:7", "micrograph:31", "micrograph:7", "movie:7"]
    assert re.search(r"step +ctf, EstimateCtf, version 1 of its parameters", text)
    assert "pattern = '/data/*.tiff', pixel_size = 0.85" in text
    assert re.search(r"path +/data/FoilHole_20007_Data_0.tiff", text)
    assert re.search(r"where +node1", text)
    assert re.search(r"from +micrograph: micrograph:31 of maxshift", text)


def test_a_movie_by_name_shows_all_that_was_made_of_it_each_once(folder):
    text = cli(folder, "FoilHole_20003_Data_3")
    heads = re.findall(r"^(\w+:\d+)  ", text, re.M)
    assert heads[0] == "quality:3"
    assert sorted(heads) == ["ctf:3", "micrograph:27", "micrograph:3", "movie:3", "quality:3"]


def test_a_fold_names_its_range(folder):
    text = cli(folder, "gain:1")
    assert re.search(r"from +movie: movie:1 to movie:20 of movies, 20 of them there; below the newest, movie:20", text)


def test_programs_get_the_whole_tree(folder):
    (quality,) = json.loads(cli(folder, "FoilHole_20003_Data_3", "--json"))["items"]
    assert set(quality["inputs"]) == {"micrograph", "ctf"}
    movie = quality["inputs"]["ctf"]["inputs"]["micrograph"]["inputs"]["micrograph"]["inputs"]["movie"]
    assert movie["files"] == {"path": "/data/FoilHole_20003_Data_3.tiff"}
    assert movie["attempts"][0]["state"] == "done"


@pytest.mark.parametrize(
    ("item", "code", "says"),
    [
        ("ctf:9999", 3, "has no ctf 9999"),
        ("volume:1", 3, "no items of kind 'volume': write one of ctf, gain, micrograph, movie, quality"),
        ("FoilHole_2000", 2, "has no exposure 'FoilHole_2000'"),
    ],
)
def test_what_is_not_there_is_said_in_a_sentence(folder, item, code, says):
    assert says in " ".join(cli(folder, item, code=code).split())
