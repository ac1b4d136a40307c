"""The microscope writes what it says, at its pace, and what goes wrong goes wrong as told."""

import dataclasses
import glob
import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from cryowidgets.errors import InputError, ParameterError
from cryowidgets.io import sidecar
from cryowidgets.io.gain import read_gain
from cryowidgets.io.movie import open_movie, whole
from cryowidgets.sim import microscope
from cryowidgets.sim.microscope import FAULTS, Microscope
from cryowidgets.sim.movie import Recipe, simulate

QUICK = Recipe(shape=(64, 96), frames=4, density=2000.0)


@pytest.mark.parametrize("tree", ["epu", "flat"])
@pytest.mark.parametrize("format", ["tiff", "mrc"])
def test_a_session(tmp_path, tree, format):
    scope = microscope.run(tmp_path / "out", movies=3, tree=tree, format=format, recipe=QUICK, seed=7, per_square=2)
    paths = sorted(glob.glob(scope.pattern))
    truth = json.loads(scope.truth.read_text())
    assert len(paths) == 3
    assert not {str(scope.gain), str(scope.truth)} & set(paths)
    assert scope.optics["pixel_size"] == truth["session"]["optics"]["pixel_size"] == 1.2
    gain = read_gain(scope.gain, (64, 96))
    assert [str(scope.out / entry["path"]) for entry in truth["movies"]] == paths
    for entry, path in zip(truth["movies"], paths, strict=True):
        assert whole(path).whole is True
        with open_movie(path) as movie:
            frames = np.array(list(movie))
        again = simulate(Recipe(**truth["session"]["recipe"]), entry["seed"])  # the truth file tells all
        np.testing.assert_array_equal(frames, again.frames)
        np.testing.assert_array_equal(gain, again.gain)
        np.testing.assert_allclose(entry["shifts"], again.truth.shifts, atol=1e-4)
        assert entry["defocus_u"] == again.truth.defocus_u
        assert sidecar.acquired(path) == pytest.approx(entry["acquired"], abs=1)
        assert sidecar.expected_frames(path) == 4
    if tree == "epu":
        assert len({Path(path).parent for path in paths}) == 2  # grid squares
    assert len({entry["defocus_u"] for entry in truth["movies"]}) == 3


@pytest.mark.parametrize("tree", ["epu", "flat"])
def test_electrons_are_listed(tmp_path, tree):
    """Put together again, raw frames are the frames, but for electrons that fell on one that was there already."""
    scope = microscope.run(
        tmp_path, movies=2, tree=tree, format="eer", recipe=QUICK, seed=7, faults={2: "truncated"}, raw_frames=300
    )
    entry, cut = json.loads(scope.truth.read_text())["movies"]
    path = scope.out / entry["path"]
    assert sorted(glob.glob(scope.pattern)) == sorted([str(path), str(scope.out / cut["path"])])
    assert (whole(path).whole, whole(path).frames) == (True, 300)
    assert whole(scope.out / cut["path"]).whole is False
    expected = simulate(scope.recipe, entry["seed"]).frames
    assert scope.optics["dose_per_frame"] == pytest.approx(1.5 / scope.group)
    with open_movie(path, group=scope.group) as movie:
        frames = np.array(list(movie))
        assert (movie.raw_frames, movie.group, movie.remainder) == (300, 75, 0)
        assert movie.pixel_size == pytest.approx(1.2)
        assert movie.dose == pytest.approx(4 * 1.5)
        assert movie.electrons().std() < 2 * np.sqrt(movie.electrons().mean())
    assert np.all(frames <= expected)
    assert np.all(frames[expected == 1] == 1)
    few = expected < 20
    rate = expected[few].mean()
    assert frames[few].mean() == pytest.approx(75 * (1 - np.exp(-rate / 75)), rel=0.01)


def test_the_same_seed_gives_the_same_session(tmp_path):
    one, two, other = (
        json.loads(microscope.run(tmp_path / name, movies=2, recipe=QUICK, seed=seed).truth.read_text())
        for name, seed in (("a", 3), ("b", 3), ("c", 4))
    )
    seen = [[entry["shifts"] for entry in truth["movies"]] for truth in (one, two, other)]
    assert seen[0] == seen[1] != seen[2]


def test_a_growing_file_is_never_taken_for_whole(tmp_path):
    """Look all the time while files grow: what is judged whole has its final content."""
    for format in ("tiff", "mrc"):
        scope = Microscope(
            tmp_path / format, movies=2, every=0, write_seconds=0.4, format=format, recipe=QUICK, tree="flat"
        )
        writer = threading.Thread(target=scope.run)
        writer.start()
        seen: dict[str, bytes] = {}
        looks = dict.fromkeys((True, False, None), 0)
        while writer.is_alive():
            for path in glob.glob(scope.pattern):
                if path not in seen:
                    verdict = whole(path).whole
                    looks[verdict] += 1
                    if verdict:
                        seen[path] = Path(path).read_bytes()
            time.sleep(0.002)
        writer.join()
        assert looks[False] + looks[None] > 3
        for path, content in seen.items():
            assert Path(path).read_bytes() == content
        assert all(whole(path).whole for path in glob.glob(scope.pattern))


def test_it_keeps_its_pace_and_stops_when_told(tmp_path):
    scope = Microscope(tmp_path, movies=50, every=0.25, write_seconds=0.1, recipe=QUICK)
    stop, count = threading.Event(), []
    writer = threading.Thread(target=lambda: count.append(scope.run(stop)))
    writer.start()
    time.sleep(1.1)
    stop.set()
    writer.join(30)
    paths = glob.glob(scope.pattern)
    assert 1 <= len(paths) == count[0] <= 5
    assert all(whole(path).whole for path in paths)
    acquired = [entry["acquired"] for entry in json.loads(scope.truth.read_text())["movies"]]
    assert np.diff(acquired).min() > 0.15
    with pytest.raises(InputError, match="holds a simulated session already"):
        Microscope(tmp_path, recipe=QUICK).run()


@pytest.fixture(scope="module")
def mishaps(tmp_path_factory):
    """One session with every fault in it, each with a good movie before."""
    faults = {2 * i + 2: fault for i, fault in enumerate(FAULTS)}
    out = tmp_path_factory.mktemp("mishaps")
    scope = microscope.run(out, movies=2 * len(FAULTS) + 6, faults=faults, pause_seconds=0.3, recipe=QUICK, seed=2)
    entries = json.loads(scope.truth.read_text())["movies"]
    return scope, {entry["fault"]: (entry, scope.out / entry["path"]) for entry in entries}, entries


def _verdict(mishaps, fault):
    return whole(mishaps[1][fault][1])


def test_faults_that_the_format_shows(mishaps):
    assert _verdict(mishaps, "truncated").why.endswith("holds 1 of 4 frames; then it ends within an image.")
    assert _verdict(mishaps, "zero-byte").why.endswith("is empty (0 bytes).")
    assert _verdict(mishaps, "unreadable").why.endswith("is not a TIFF file.")
    assert _verdict(mishaps, "vanishes").why.endswith("does not exist.")
    for fault in ("truncated", "zero-byte", "unreadable", "vanishes"):
        assert _verdict(mishaps, fault).whole is False
        assert mishaps[1][fault][0]["lost"]


def test_a_corrupt_movie_looks_whole_and_cannot_be_read(mishaps):
    assert _verdict(mishaps, "corrupt").whole is True
    with open_movie(mishaps[1]["corrupt"][1]) as movie:
        assert movie[0].shape == (64, 96)
        with pytest.raises(InputError, match="frame 4 of 4"):
            movie[3]


def test_a_movie_with_fewer_frames_is_whole(mishaps):
    entry, path = mishaps[1]["fewer frames"]
    assert (whole(path).whole, whole(path).frames) == (True, 2)
    assert len(entry["shifts"]) == entry["frames"] == 2
    assert not entry["lost"]
    assert "holds 2 of 4 frames" in whole(path, 4).why


def test_rsync_leaves_names_that_do_not_count(mishaps):
    scope, by_fault, entries = mishaps
    path = by_fault["rsync"][1]
    hidden = [name.name for name in path.parent.iterdir() if name.name.startswith(".")]
    assert hidden == [f".{path.name}.k2PdVa"]
    assert whole(path).whole is True
    assert str(path.parent / hidden[0]) not in glob.glob(scope.pattern)


def test_the_same_name_in_another_folder(mishaps):
    entry, path = mishaps[1]["same name"]
    twin = next(e for e in mishaps[2] if e["name"] == entry["name"] and e["path"] != entry["path"])
    assert twin["number"] == entry["number"] - 1
    assert twin["shifts"] != entry["shifts"]
    assert path.read_bytes() != (mishaps[0].out / twin["path"]).read_bytes()


def test_a_pause_and_all_movies_are_there(mishaps):
    entries = mishaps[2]
    number = mishaps[1]["pause"][0]["number"]
    gaps = np.diff([entry["acquired"] for entry in entries])
    assert gaps[number - 2] > 0.28
    assert len(glob.glob(mishaps[0].pattern)) == len(entries) - 1
    assert {entry["fault"] for entry in entries} == {"", *FAULTS}


def test_a_burst_comes_at_once(tmp_path):
    scope = microscope.run(tmp_path, movies=7, every=0.6, faults={2: "burst"}, recipe=QUICK)
    gaps = np.diff([entry["acquired"] for entry in json.loads(scope.truth.read_text())["movies"]])
    assert gaps[0] > 0.5
    assert np.median(gaps[1:5]) < 0.5
    assert gaps[5] > 0.5


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"format": "dm4"}, "no format 'dm4': write one of tiff, mrc, eer"),
        ({"tree": "leginon"}, "no tree 'leginon': write one of epu, flat"),
        ({"faults": {1: "flood"}}, "no fault 'flood'.*truncated"),
        ({"faults": {9: "pause"}}, "no movie 9"),
        ({"faults": {1: "corrupt"}, "format": "mrc"}, "MRC"),
        ({"faults": {1: "corrupt"}, "format": "eer"}, "EER"),
        ({"faults": {2: "same name"}, "tree": "flat"}, "flat"),
        ({"every": -1}, "every = -1"),
        ({"frames": 0}, "1 or more frames"),
    ],
)
def test_what_it_cannot_do_is_refused(tmp_path, settings, says):
    with pytest.raises(ParameterError, match=says):
        Microscope(tmp_path, movies=3, **settings)


def test_size_and_frames_take_the_place_of_the_recipes(tmp_path):
    scope = Microscope(tmp_path, size=(64, 80), frames=3, recipe=dataclasses.replace(QUICK, hot=0.0))
    assert (scope.recipe.shape, scope.recipe.frames, scope.recipe.hot) == ((64, 80), 3, 0.0)
    assert read_gain(scope.gain, (64, 80)).shape == (64, 80)
    assert Microscope(tmp_path / "b", size=128).recipe.shape == (128, 128)
