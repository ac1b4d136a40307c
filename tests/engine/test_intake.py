"""What becomes of a whole file: its optics by sidecars, and a gain that fits or is refused before the first movie."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest

from cryowidgets.engine import inbox, intake
from cryowidgets.engine.engine import Engine
from cryowidgets.engine.sources import Door
from cryowidgets.io import eer, gain, mrc, tiff
from cryowidgets.kernels import orientation
from cryowidgets.project import Project
from cryowidgets.protocols.import_movies import ImportMovies
from tests.engine.looks import look

SHAPE = (192, 256)
SENSITIVITY = 1 + np.float32(0.05) * np.random.default_rng(1).standard_normal(SHAPE, np.float32)
GAIN = 1 / SENSITIVITY


def write_movie(path, pixel_size=0.0, frames=3, counts=10.0, shape=SHAPE, seed=0, age=0.0):
    rate = counts * (SENSITIVITY if shape == SHAPE else np.ones(shape))
    mrc.write(path, np.random.default_rng(seed).poisson(rate, (frames, *shape)).astype(np.uint8), pixel_size)
    then = time.time() - age
    os.utime(path, (then, then))
    return path


def mdoc(movie, **values):
    values = {"PixelSpacing": 0.83, "NumSubFrames": 3, "FrameDosesAndNumber": "1.5 3", **values}
    lines = "".join(f"{key} = {value}\n" for key, value in values.items())
    movie.with_name(f"{movie.name}.mdoc").write_text(f"Voltage = 200\n\n[FrameSet = 0]\n{lines}")


def test_a_sidecar_sets_the_optics_and_makes_groups_of_beam_shifts(folder, door):
    for number, shift in enumerate([0, 3, 0.05, 3.05, -3]):
        mdoc(write_movie(folder / f"m{number}.mrc", pixel_size=1.0), ImageShift=f"{shift} 1")
    arrivals, _ = look(d := door(pixel_size=0, beam_shift_groups=True))
    by_name = {a.movie.name: a.movie for a in arrivals}
    assert [by_name[f"m{n}"].beam_shift_x for n in range(5)] == [0, 3, 0.05, 3.05, -3]
    groups = [by_name[f"m{n}"].optics.name for n in range(5)]
    assert groups[0] == groups[2] and groups[1] == groups[3] and len(set(groups)) == 3
    optics = by_name["m0"].optics
    assert (optics.pixel_size, optics.voltage, optics.dose_per_frame) == (0.83, 200, 1.5)
    assert d.intake.notes() == []


def test_disagreements_are_noted_once_and_written_on_each_movie(folder, door):
    for number in range(3):
        mdoc(write_movie(folder / f"m{number}.mrc"))
    d = door(pixel_size=0.41)
    arrivals, _ = look(d)
    assert len(arrivals) == 3
    assert all("you say 0.41 Å/px, and its sidecar says 0.83 Å/px" in a.movie.warning for a in arrivals)
    ((_, text),) = d.intake.notes()
    assert "0.41 Å/px is used" in text
    assert d.intake.notes() == []


def test_a_gain_that_a_sidecar_names_is_asked_for(folder, door):
    mdoc(write_movie(folder / "m.mrc"), GainReference="SuperRef.dm4", DefectFile="d.txt")
    d = door(pixel_size=0.83)
    look(d)
    said = [text for _, text in d.intake.notes()]
    assert any("names the gain SuperRef.dm4, and none is given" in text for text in said)
    assert any("names the list of defects d.txt" in text for text in said)


def test_a_sidecar_that_is_needed_is_waited_for_and_then_refused_for(folder, door):
    path = write_movie(folder / "a.mrc")
    d = door(pixel_size=0)
    assert look(d) == ([], []) and d.waiting == 1
    mdoc(path)
    (arrival,) = look(d)[0]
    assert arrival.movie.optics.pixel_size == 0.83
    late = write_movie(folder / "b.mrc", age=7200)
    _, (refusal,) = look(d)
    assert refusal.why == (
        f"The pixel size of {late} is not known: neither a sidecar nor its header tells it. Set pixel_size."
    )


def test_what_sidecars_usually_tell_is_waited_for(folder, door):
    """The dose is asked of the sidecar: one that comes a moment after its movie must not be missed."""
    mdoc(write_movie(folder / "a.mrc", pixel_size=0.83))
    d = door(pixel_size=0.83)
    assert len(look(d)[0]) == 1
    path = write_movie(folder / "b.mrc", pixel_size=0.83)
    assert look(d) == ([], [])
    (folder / "b.mrc.mdoc").write_text("Voltage = 200\n")  # half of it is there
    assert look(d) == ([], [])
    mdoc(path)
    assert look(d)[0][0].movie.optics.dose_per_frame == 1.5


def test_a_gain_is_prepared_once_in_the_orientation_that_the_frames_tell(folder, door, tmp_path):
    tiff.write(tmp_path / "gain.tif", [orientation.turn(GAIN, 180, "up-down")])  # an inverse of left-right
    for number in range(3):
        write_movie(folder / f"m{number}.mrc", seed=number)
    d = door(pixel_size=1.0, voltage=300, gain=str(tmp_path / "gain.tif"))
    arrivals, _ = look(d, until=3)
    (inside,) = {a.movie.gain for a in arrivals}
    assert inside.startswith("steps/movies/gain_") and len(list((tmp_path / "p" / "steps" / "movies").iterdir())) == 1
    np.testing.assert_array_equal(mrc.read(tmp_path / "p" / inside), GAIN)
    ((_, text),) = d.intake.notes()
    assert "gain.tif is rotated by 0°, flipped left-right, as m" in text


def test_a_gain_that_is_recorded_anew_is_used_from_then_on(folder, door, tmp_path):
    reference = tmp_path / "gain.mrc"
    mrc.write(reference, GAIN)
    write_movie(folder / "a.mrc")
    d = door(pixel_size=1.0, voltage=300, gain=str(reference))
    (first,), _ = look(d, until=1)
    mrc.write(reference, GAIN * np.float32(1.01), pixel_size=1.0)
    write_movie(folder / "b.mrc")
    (second,), _ = look(d, until=1)
    assert first.movie.gain != second.movie.gain
    np.testing.assert_array_equal(mrc.read(tmp_path / "p" / second.movie.gain), GAIN * np.float32(1.01))
    reference.unlink()
    write_movie(folder / "c.mrc")
    assert look(d, until=1)[0][0].movie.gain == second.movie.gain, "what was prepared is there"


def test_a_gain_of_super_resolution_finds_its_way_onto_counting_frames(folder, door, tmp_path):
    fine = np.kron(GAIN, np.ones((2, 2), np.float32))
    tiff.write(tmp_path / "x.gain", [orientation.turn(fine, 180, "none")])
    write_movie(folder / "m.mrc")
    d = door(pixel_size=1.0, voltage=300, gain=str(tmp_path / "x.gain"))
    (arrival,), _ = look(d, until=1)
    np.testing.assert_allclose(mrc.read(tmp_path / "p" / arrival.movie.gain), GAIN, rtol=1e-5)


@pytest.mark.parametrize(
    "settings, changed, says",
    [
        ({"gain_rotation": 0}, False, "fits when rotated by 180°, not when rotated by 0°"),
        ({"gain_rotation": 180}, True, ""),
        ({"gain_rotation": 0, "gain_flip": "up-down"}, False, "fits when rotated by 180°, not"),
    ],
)
def test_an_orientation_that_is_told_is_obeyed_and_doubted(folder, door, tmp_path, settings, changed, says):
    mrc.write(tmp_path / "gain.mrc", GAIN[::-1, ::-1])
    write_movie(folder / "m.mrc")
    d = door(pixel_size=1.0, voltage=300, gain=str(tmp_path / "gain.mrc"), **settings)
    (arrival,), _ = look(d, until=1)
    right = np.array_equal(mrc.read(tmp_path / "p" / arrival.movie.gain), GAIN)
    assert right is changed
    assert [says in text for _, text in d.intake.notes()] == ([True] if says else [])


def test_a_reference_that_divides_is_recognised(folder, door, tmp_path):
    mrc.write(tmp_path / "flat.mrc", SENSITIVITY)
    write_movie(folder / "m.mrc")
    d = door(pixel_size=1.0, voltage=300, gain=str(tmp_path / "flat.mrc"))
    (arrival,), _ = look(d, until=1)
    np.testing.assert_allclose(mrc.read(tmp_path / "p" / arrival.movie.gain), GAIN, rtol=1e-3)
    ((_, text),) = d.intake.notes()
    assert "one to divide frames by" in text
    doubted = door(pixel_size=1.0, voltage=300, gain=str(tmp_path / "flat.mrc"), gain_operation="multiply")
    look(doubted, until=1)
    assert "to divide frames by, not to multiply" in doubted.intake.notes()[0][1]


@pytest.mark.parametrize("reference", ["flat.mrc", "camera.gain"])
def test_eer_frames_are_divided_by_an_mrc_and_multiplied_by_a_gain_file(folder, tmp_path, reference):
    rng = np.random.default_rng(3)
    raw = [rng.random(SHAPE) < 0.05 * SENSITIVITY for _ in range(300)]
    eer.write(folder / "m.eer", raw, pixel_size=0.75, dose=45.0)
    if reference == "flat.mrc":
        mrc.write(tmp_path / reference, 7 * SENSITIVITY[::-1])
    else:
        tiff.write(tmp_path / reference, [GAIN])  # its rows are not turned, and tiff.write turns them
    settings = ImportMovies(pattern=str(folder / "*.eer"), poll=0.0, voltage=300, gain=str(tmp_path / reference))
    d = Door(settings, tmp_path / "p")
    try:
        (arrival,), _ = look(d, until=1)
    finally:
        d.close()
    np.testing.assert_allclose(mrc.read(tmp_path / "p" / arrival.movie.gain), GAIN, rtol=2e-3)
    ((_, text),) = d.intake.notes()
    assert "rotated by 0°, flipped up-down, as m.eer tells" in text, "and nothing of dividing"
    optics = arrival.movie.optics
    assert (arrival.movie.frames, optics.pixel_size) == (300, pytest.approx(0.75))
    assert optics.dose_per_frame == pytest.approx(45 / 300), "of a raw frame"


def wait_for_trouble(door, patience=20.0):
    """Look until the door says why nothing comes in."""
    end = time.monotonic() + patience
    while not door.trouble and time.monotonic() < end:
        assert look(door, 1) == ([], [])
    return door.trouble


def test_movies_that_do_not_tell_how_a_gain_lies_wait_for_others_that_do(folder, door, tmp_path):
    mrc.write(tmp_path / "gain.mrc", GAIN[::-1, ::-1])
    d = door(voltage=300, gain=str(tmp_path / "gain.mrc"))
    arrivals: list = []
    number = 0
    while not arrivals and number < 5:
        write_movie(folder / f"m{number}.mrc", counts=0.1, seed=number)  # 0.3 electrons a pixel: one is too little
        number += 1
        if number == 1:
            said = wait_for_trouble(d)
            assert "do not tell yet which way round the gain gain.mrc lies: " in said and "set gain_rotation" in said
        arrivals, refusals = look(d, 12)
        assert refusals == [] and len(arrivals) + d.waiting == number
    arrivals += look(d, until=number - len(arrivals))[0]
    assert len(arrivals) == number > 1 and d.intake.undecided is False
    (inside,) = {arrival.movie.gain for arrival in arrivals}
    np.testing.assert_array_equal(mrc.read(tmp_path / "p" / inside), GAIN)
    ((_, text),) = d.intake.notes()
    assert "gain.mrc is rotated by 180°, as m" in text and " and m" in text and " tell: correlation" in text
    write_movie(folder / "late.mrc", counts=0.1, seed=4)
    assert look(d, until=1)[0][0].movie.gain == inside and d.intake.notes() == []


def test_a_gain_that_five_movies_do_not_tell_is_used_as_it_is(folder, door, tmp_path):
    other = 1 + 0.05 * np.random.default_rng(9).standard_normal(SHAPE, np.float32)
    mrc.write(tmp_path / "other.mrc", other)
    d = door(voltage=300, gain=str(tmp_path / "other.mrc"))
    for number in range(4):
        write_movie(folder / f"m{number}.mrc", seed=number)
        assert "there is no trace of the gain in the frames" in wait_for_trouble(d)
        assert look(d, 8) == ([], [])
    write_movie(folder / "m4.mrc", seed=4)
    arrivals, _ = look(d, until=5)
    (inside,) = {arrival.movie.gain for arrival in arrivals}
    np.testing.assert_array_equal(mrc.read(tmp_path / "p" / inside), other)
    ((_, text),) = d.intake.notes()
    assert " and m4.mrc do not tell whether the gain other.mrc fits: there is no trace" in text
    assert "It is used as it is, rotated by 0°" in text and len(arrivals) == 5


def test_movies_wait_for_others_no_longer_than_so(folder, door, tmp_path, monkeypatch):
    monkeypatch.setattr(intake, "HOLD", 0.3)
    mrc.write(tmp_path / "gain.mrc", GAIN[::-1, ::-1])
    write_movie(folder / "m0.mrc", counts=0.1)
    d = door(voltage=300, gain=str(tmp_path / "gain.mrc"))
    (first,), _ = look(d, until=1)
    np.testing.assert_array_equal(mrc.read(tmp_path / "p" / first.movie.gain), GAIN[::-1, ::-1])
    ((_, text),) = d.intake.notes()
    assert "m0.mrc does not tell whether" in text and "used as it is" in text
    for number in range(1, 4):  # those that come later are still looked at
        write_movie(folder / f"m{number}.mrc", counts=0.1, seed=number)
        (later,), _ = look(d, until=1)
    np.testing.assert_array_equal(mrc.read(tmp_path / "p" / later.movie.gain), GAIN)
    assert "is rotated by 180°" in d.intake.notes()[-1][1]


def test_an_orientation_that_is_told_holds_nothing_up_and_is_doubted_as_soon_as_movies_tell(folder, door, tmp_path):
    mrc.write(tmp_path / "gain.mrc", GAIN[::-1, ::-1])
    d = door(voltage=300, gain=str(tmp_path / "gain.mrc"), gain_rotation=0)
    notes = []
    for number in range(6):
        write_movie(folder / f"m{number}.mrc", counts=0.1, seed=number)
        ((arrival,), _) = look(d, until=1)
        np.testing.assert_array_equal(mrc.read(tmp_path / "p" / arrival.movie.gain), GAIN[::-1, ::-1])
        notes += [text for _, text in d.intake.notes()]
    assert "m0.mrc does not tell" in notes[0] and "used as told" in notes[0]
    assert "fits when rotated by 180°, not when rotated by 0°" in notes[1] and len(notes) == 2


def test_defects_alone_make_a_gain(folder, door, tmp_path):
    (tmp_path / "defects.txt").write_text("CameraSizeX 256\nCameraSizeY 192\nBadColumns 7\n")
    write_movie(folder / "m.mrc")
    d = door(pixel_size=1.0, voltage=300, defects=str(tmp_path / "defects.txt"))
    (arrival,), _ = look(d, until=1)
    prepared = mrc.read(tmp_path / "p" / arrival.movie.gain)
    assert (prepared[:, 7] == 0).all() and prepared.sum() == 192 * 255


def test_a_gain_of_the_wrong_size_holds_the_stream_until_it_is_mended(folder, door, tmp_path):
    reference = tmp_path / "gain.mrc"
    mrc.write(reference, np.ones((100, 256), np.float32))
    write_movie(folder / "m.mrc")
    d = door(pixel_size=1.0, voltage=300, gain=str(reference))
    end = time.monotonic() + 20
    while not d.trouble and time.monotonic() < end:
        assert look(d, 1) == ([], [])
    assert f"The gain {reference} has 100×256 px and the movie 192×256 px (y×x)" in d.trouble
    assert look(d) == ([], []) and d.waiting == 1
    mrc.write(reference, GAIN)
    assert len(look(d, until=1)[0]) == 1 and not d.trouble
    # From now on the gain is known to be right: a movie that it does not fit is alone to blame.
    write_movie(folder / "odd.mrc", shape=(100, 100))
    end, refusals = time.monotonic() + 20, []
    while not refusals and time.monotonic() < end:
        refusals = look(d, 1)[1]
    assert "192×256 px and the movie 100×100 px" in refusals[0].why and not d.trouble


@pytest.fixture
def session(tmp_path, folder):
    def make(**settings):
        settings = {"pixel_size": 1.0, "poll": "0.02s", "timeout": "1h", **settings}
        return Project.create(tmp_path / "p", template=None, movies=str(folder / "*.mrc"), **settings)

    return make


def events(project, kind):
    with project.reader() as reader:
        return [event.text for event in reader.events() if event.kind == kind]


def test_the_step_says_why_no_movie_comes_in_and_an_unwatched_session_ends(session, folder, tmp_path):
    mrc.write(tmp_path / "gain.mrc", np.ones((100, 256), np.float32))
    for number in range(3):
        write_movie(folder / f"m{number}.mrc", age=3600)
    project = session(gain=str(tmp_path / "gain.mrc"))
    engine = Engine(project.folder, "inline", until_idle=1.0)
    end = time.monotonic() + 20
    while engine.store.steps()["movies"].state != "scheduled" and time.monotonic() < end:
        engine.tick(0.02)
    step = engine.store.steps()["movies"]
    assert (step.state, "100×256 px and the movie 192×256 px" in step.reason) == ("scheduled", True)
    ending = engine.run()
    assert (ending.finished, ending.failed) == (True, 3)
    assert len(events(project, "warning")) == 1
    with project.reader() as reader:
        assert all("100×256" in failure.error for failure in reader.failures())


@pytest.mark.parametrize("end", ["idle", "stop"])
def test_a_stream_that_ends_before_the_orientation_is_decided_loses_no_movie(session, folder, tmp_path, end):
    mrc.write(tmp_path / "gain.mrc", GAIN[::-1, ::-1])
    for number in range(2):
        write_movie(folder / f"m{number}.mrc", counts=0.1, seed=number, age=3600)
    project = session(gain=str(tmp_path / "gain.mrc"))
    engine = Engine(project.folder, "inline", until_idle=0.6 if end == "idle" else None)
    until = time.monotonic() + 20
    while engine.store.steps()["movies"].state != "scheduled" and time.monotonic() < until:
        engine.tick(0.02)
    assert "do not tell yet which way round" in engine.store.steps()["movies"].reason
    if end == "stop":
        inbox.send(project.folder, "stop")
    ending = engine.run()
    assert (ending.finished, ending.failed) == (True, 0)
    with project.reader() as reader:
        assert sorted(reader.rows("movies")["name"]) == ["m0", "m1"]
    assert any("does not tell whether the gain" in t or "do not tell whether" in t for t in events(project, "warning"))


def test_movies_that_are_in_are_looked_at_together_when_a_gain_is_given_later(session, folder, tmp_path):
    mrc.write(tmp_path / "gain.mrc", GAIN[::-1, ::-1])
    for number in range(4):
        write_movie(folder / f"m{number}.mrc", counts=0.1, seed=number, age=3600)
    project = session(timeout="0.2s")
    Engine(project.folder, "inline").run()
    project.workflow.movies.set(redo=True, gain=str(tmp_path / "gain.mrc"))
    Engine(project.folder, "inline").run()
    with project.reader() as reader:
        (inside,) = set(reader.rows("movies")["gain"])
    np.testing.assert_array_equal(mrc.read(project.folder / inside), GAIN)


def test_groups_keep_their_names_when_the_engine_begins_again(session, folder):
    def add(name, shift):
        mdoc(write_movie(folder / f"{name}.mrc", age=3600), ImageShift=f"{shift} 0")

    def groups():
        with project.reader() as reader:
            optics, names = reader.optics(), reader.exposures()["name"]
            return {str(name): optics[exposure].name for name, exposure in zip(names, optics, strict=True)}

    project = session(pixel_size=0, beam_shift_groups=True, timeout="0.2s")
    for number, shift in enumerate((0.0, 5.0, -5.0)):
        add(f"a{number}", shift)
    Engine(project.folder, "inline").run()
    before = groups()
    assert set(before.values()) == {"opticsGroup1", "opticsGroup2", "opticsGroup3"}
    for number, shift in enumerate((0.1, 5.1, -4.9, 10.0)):
        add(f"b{number}", shift)
    inbox.send(project.folder, "reopen")
    Engine(project.folder, "inline").run()
    after = groups()
    assert {name: after[name] for name in before} == before
    assert [after[f"b{n}"] for n in range(4)] == [*(before[f"a{n}"] for n in range(3)), "opticsGroup4"]


def test_new_settings_mend_movies_that_are_in(session, folder, tmp_path):
    mdoc(write_movie(folder / "a.mrc", age=3600))
    write_movie(folder / "b.mrc", age=3600)
    project = session(pixel_size=2.0, timeout="0.2s")
    Engine(project.folder, "inline").run()

    def optics():
        with project.reader() as reader:
            return sorted((o.pixel_size, o.voltage) for o in reader.optics().values())

    assert optics() == [(2.0, 200.0), (2.0, 300.0)]
    mrc.write(tmp_path / "gain.mrc", GAIN)
    project.workflow.movies.set(redo=True, pixel_size=0.5, gain=str(tmp_path / "gain.mrc"))
    Engine(project.folder, "inline").run()
    assert optics() == [(0.5, 200.0), (0.5, 300.0)]
    with project.reader() as reader:
        gains = set(reader.rows("movies")["gain"])
    assert len(gains) == 1 and gains.pop().startswith("steps/movies/gain_")
    mrc.write(tmp_path / "wrong.mrc", GAIN[:100])
    project.workflow.movies.set(redo=True, gain=str(tmp_path / "wrong.mrc"))
    Engine(project.folder, "inline").run()
    (refused,) = events(project, "command.refused")
    assert "100×256 px and the movie 192×256 px" in refused
    assert gain.load(tmp_path / "gain.mrc").shape == SHAPE
