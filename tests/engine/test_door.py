"""The door: a file becomes a movie on evidence that it is whole, and none is lost."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest

from cryowidgets.engine.listing import Listing
from cryowidgets.engine.sources import Door
from cryowidgets.io import mrc
from cryowidgets.protocols.import_movies import ImportMovies
from tests.engine.looks import look, poll


def movie_bytes(tmp_path, frames=3, side=8) -> bytes:
    path = tmp_path / "whole.mrc"
    mrc.write(path, np.arange(1, frames * side * side + 1, dtype=np.int16).reshape(frames, side, side))
    return path.read_bytes()


def test_a_whole_file_needs_two_looks_and_comes_once(folder, door, tmp_path):
    d = door()
    assert look(d) == ([], [])
    (folder / "m.mrc").write_bytes(movie_bytes(tmp_path))
    assert poll(d) == ([], []), "seen, not judged"
    (arrival,) = look(d)[0]
    assert (arrival.path, arrival.movie.frames, arrival.movie.name) == (str(folder / "m.mrc"), 3, "m")
    assert look(d) == ([], [])


def test_a_growing_file_is_taken_when_the_last_byte_is_there(folder, door, tmp_path):
    content = movie_bytes(tmp_path)
    d = door()
    path = folder / "m.mrc"
    for end in range(0, len(content), 200):
        path.write_bytes(content[:end])
        assert look(d) == ([], [])
        assert d.waiting == 1
    path.write_bytes(content)
    assert len(look(d)[0]) == 1
    assert d.waiting == 0


def test_a_file_of_final_size_is_not_taken_while_it_changes(folder, door, tmp_path):
    """Some copying programs give a file its size first and fill it later."""
    content = movie_bytes(tmp_path)
    path = folder / "m.mrc"
    d = door()
    path.write_bytes(content)
    for i in range(4):
        os.utime(path, (time.time(), time.time() + i))
        assert poll(d) == ([], [])
    assert len(look(d)[0]) == 1


@pytest.mark.parametrize("content, sentence", [(b"", "empty"), (None, "holds"), (b"nonsense" * 200, "MRC")])
def test_a_file_that_never_completes_is_refused_by_name_and_taken_when_it_does(
    folder, door, tmp_path, content, sentence
):
    whole = movie_bytes(tmp_path)
    path = folder / "m.mrc"
    path.write_bytes(whole[:-100] if content is None else content)
    d = door(file_timeout="0.05s")
    poll(d)
    time.sleep(0.1)
    arrivals, (refusal,) = look(d)
    assert arrivals == []
    assert str(path) in refusal.why
    assert sentence.lower() in refusal.why.lower()
    assert look(d) == ([], []), "said once"
    path.write_bytes(whole)
    assert [a.path for a in look(d, 4)[0]] == [str(path)]


def test_a_file_that_vanishes_is_refused_and_taken_when_it_returns(folder, door, tmp_path):
    path = folder / "m.mrc"
    path.write_bytes(movie_bytes(tmp_path)[:-1])
    d = door()
    poll(d)
    path.unlink()
    _, (refusal,) = look(d)
    assert refusal.why == f"{path} vanished before it was whole."
    path.write_bytes(movie_bytes(tmp_path))
    assert len(look(d, 4)[0]) == 1


def test_too_few_frames_are_refused_where_a_number_is_expected(folder, door, tmp_path):
    (folder / "m.mrc").write_bytes(movie_bytes(tmp_path, frames=3))
    d = door(frames=4, file_timeout=0)
    _, (refusal,) = look(d)
    assert "holds 3 of 4 frames" in refusal.why


def test_dot_files_and_temporary_names_are_ignored(folder, door, tmp_path):
    for name in (".m.mrc", ".m.mrc.BzeGGJ", "m.mrc~", "m.mrc.part", "m.mrc.tmp"):
        (folder / name).write_bytes(movie_bytes(tmp_path))
    (folder / ".rsync-partial").mkdir()
    (folder / ".rsync-partial" / "m.mrc").write_bytes(movie_bytes(tmp_path))
    assert look(door("**/*.mrc*")) == ([], [])


def test_new_folders_and_same_names_in_them_are_found(folder, door, tmp_path):
    d = door("Images-Disc1/GridSquare_*/Data/*.mrc")
    assert look(d) == ([], [])
    for square in (1, 2):
        data = folder / "Images-Disc1" / f"GridSquare_{square}" / "Data"
        data.mkdir(parents=True)
        (data / "m.mrc").write_bytes(movie_bytes(tmp_path))
        assert len(look(d)[0]) == 1


def test_a_folder_that_does_not_exist_yet_is_normal(tmp_path):
    d = Door(ImportMovies(pattern=str(tmp_path / "later" / "*.mrc"), pixel_size=1.0, poll=0), tmp_path)
    assert look(d) == ([], [])
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "m.mrc").write_bytes(movie_bytes(tmp_path))
    assert len(look(d)[0]) == 1


def test_copies_are_the_same_bytes_inside_the_project(folder, door, tmp_path):
    content = movie_bytes(tmp_path)
    (folder / "GridSquare_1").mkdir()
    (folder / "GridSquare_1" / "m.mrc").write_bytes(content)
    d = door(copy=True)
    arrivals = []
    end = time.monotonic() + 10
    while not arrivals and time.monotonic() < end:
        arrivals = poll(d)[0]
    (arrival,) = arrivals
    assert arrival.path == str(folder / "GridSquare_1" / "m.mrc")
    assert arrival.movie.path == "steps/movies/GridSquare_1/m.mrc"
    assert (tmp_path / "p" / arrival.movie.path).read_bytes() == content
    assert look(d) == ([], [])


def test_after_a_restart_known_files_are_left_alone_and_refused_ones_judged_anew(folder, door, tmp_path):
    known, refused = folder / "known.mrc", folder / "refused.mrc"
    for path in (known, refused):
        path.write_bytes(movie_bytes(tmp_path))
    d = door(known=[str(known)], refused=[str(refused)])
    assert [a.path for a in look(d, 4)[0]] == [str(refused)]


def test_time_of_acquisition_is_that_of_the_name_else_of_the_file(folder, door, tmp_path):
    named, plain = folder / "FoilHole_1_Data_2_3_20240301_101112_fractions.mrc", folder / "plain.mrc"
    for path in (named, plain):
        path.write_bytes(movie_bytes(tmp_path))
        os.utime(path, (1e9, 1e9))
    acquired = {a.movie.name: a.acquired for a in look(door())[0]}
    assert acquired["plain"] == 1e9
    assert time.localtime(acquired[named.stem])[:6] == (2024, 3, 1, 10, 11, 12)


@pytest.mark.parametrize(
    "pattern, inside, outside",
    [
        ("*.mrc", ["a.mrc"], ["x/a.mrc", "a.mrcs"]),
        ("**/*.mrc", ["a.mrc", "x/a.mrc", "x/y/a.mrc"], ["a.tif"]),
        ("x/*/a?.mrc", ["x/y/a1.mrc"], ["x/a1.mrc", "x/y/z/a1.mrc", "x/y/a12.mrc"]),
        ("x/**/D*/[ab]*.mrc", ["x/Data/a1.mrc", "x/y/z/Data/b.mrc"], ["x/Data/c.mrc", "x/a.mrc"]),
        ("x/a+(1).mrc", ["x/a+(1).mrc"], ["x/aa1.mrc"]),
    ],
)
def test_patterns(tmp_path, pattern, inside, outside):
    for name in inside + outside:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert sorted(Listing(str(tmp_path / pattern)).poll()) == sorted(str(tmp_path / name) for name in inside)


def test_only_folders_that_changed_are_read_again_but_all_of_them_now_and_then(tmp_path):
    quiet = tmp_path / "quiet"
    quiet.mkdir()
    listing = Listing(str(tmp_path / "**" / "*.mrc"))
    hour_ago = time.time() - 3600
    os.utime(quiet, (hour_ago, hour_ago))
    assert list(listing.poll()) == []
    (quiet / "a.mrc").touch()
    os.utime(quiet, (hour_ago, hour_ago))  # as if nothing had been added: the folder is not opened
    assert list(listing.poll()) == []
    (quiet / "b.mrc").touch()
    assert len(list(listing.poll())) == 2, "a changed folder is read at once"
    os.utime(quiet, (hour_ago, hour_ago))
    list(listing.poll())
    (quiet / "c.mrc").touch()
    os.utime(quiet, (hour_ago, hour_ago))
    listing._full = float("-inf")
    assert len(list(listing.poll())) == 3, "time stamps are not trusted for ever"
