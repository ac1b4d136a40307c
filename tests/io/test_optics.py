"""Who is believed about a movie, what is said where they disagree, and which optics group it belongs to."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from cryowidgets.errors import InputError
from cryowidgets.io import mrc, sidecar, tiff
from cryowidgets.io.metadata import Metadata
from cryowidgets.io.optics import Header, OpticsGroups, read_header, settle
from cryowidgets.model import Optics

NOTHING = Optics(pixel_size=0.0, voltage=0.0, dose_per_frame=0.0)
SHAPE = (4092, 5760)


def decide(found=None, header=0.0, **said):
    values = {"pixel_size": 0.0, "voltage": 0.0, "dose_per_frame": 0.0, **said}
    return settle("a.tif", Optics(**values), found or Metadata(), Header(SHAPE, header), 40)


def test_the_user_then_the_sidecar_then_the_header():
    told = Metadata(pixel_size=0.83, voltage=200.0, total_dose=48.0)
    optics = decide(told, 0.9).optics
    assert (optics.pixel_size, optics.voltage, optics.dose_per_frame) == (0.83, 200, pytest.approx(1.2))
    optics = decide(told, 0.9, pixel_size=0.7, voltage=300, dose_per_frame=1.5).optics
    assert (optics.pixel_size, optics.voltage, optics.dose_per_frame) == (0.7, 300, 1.5)
    optics = decide(None, 0.9).optics
    assert (optics.pixel_size, optics.voltage, optics.dose_per_frame) == (0.9, 300, 0)


def test_disagreements_are_sentences_with_both_values():
    told = Metadata(pixel_size=0.83, voltage=200.0, total_dose=48.0)
    notes = decide(told, 0.9, pixel_size=0.7, dose_per_frame=2).notes.values()
    assert sorted(notes) == [
        "The exposure of a frame of a.tif: you say 2 e/Å², and its sidecar says 1.2 e/Å². 2 e/Å² is used.",
        "The pixel size of a.tif: you say 0.7 Å/px, and its header says 0.9 Å/px. 0.7 Å/px is used.",
        "The pixel size of a.tif: you say 0.7 Å/px, and its sidecar says 0.83 Å/px. 0.7 Å/px is used.",
    ]
    near = decide(Metadata(pixel_size=0.83, voltage=200), 0.832, pixel_size=0.825, voltage=200, dose_per_frame=1)
    assert near.notes == {}
    assert decide(told, 1.0).notes == {}, "a header of 1 Å/px tells nothing against a sidecar"
    assert "many programs write" in " ".join(decide(None, 1.0, voltage=300).notes.values())
    assert "300 kV is taken" in " ".join(decide(None, 0.9).notes.values())
    assert "broken" in decide(Metadata(pixel_size=1.1, voltage=300, warnings=("broken",))).notes.values()


def test_a_movie_without_any_pixel_size_is_refused():
    with pytest.raises(InputError, match="pixel size of a.tif is not known.*Set pixel_size"):
        decide(Metadata(voltage=300))


def test_headers_whatever_the_format(tmp_path):
    frames = np.ones((2, 6, 9), np.uint8)
    mrc.write(tmp_path / "a.mrc", frames, 1.5)
    tiff.write(tmp_path / "a.tif", frames)
    assert read_header(tmp_path / "a.mrc") == Header((6, 9), pytest.approx(1.5))
    assert read_header(tmp_path / "a.tif") == Header((6, 9))


def test_a_header_that_tells_the_dose_is_believed_last():
    head = Header(SHAPE, 0.9, total_dose=44.0)
    assert settle("a.eer", NOTHING, Metadata(), head, 1100).optics.dose_per_frame == pytest.approx(0.04)
    told = settle("a.eer", NOTHING, Metadata(total_dose=55.0), head, 1100)
    assert told.optics.dose_per_frame == pytest.approx(0.05)
    assert any("its sidecar says 0.05 e/Å², and its header says 0.04" in note for note in told.notes.values())


OPTICS = Optics(pixel_size=0.83, dose_per_frame=1.2)


def shots(repeats=8, jitter=0.003, seed=1):
    """A template of four shots on nine holes, visited over and over: the beam shifts, and which shot each is of."""
    rng = np.random.default_rng(seed)
    holes = 0.1 * np.stack(np.meshgrid(np.arange(3), np.arange(3)), -1).reshape(-1, 1, 2)
    centres = (holes + 0.025 * np.array([(0, 0), (0, 1), (1, 0), (1, 1)])).reshape(-1, 2)
    which = np.tile(np.arange(len(centres)), repeats)
    return centres[which] + rng.uniform(-jitter, jitter, (len(which), 2)), which


@pytest.mark.parametrize("order", range(5))
def test_each_shot_of_the_template_is_a_group_in_whatever_order_they_come(order):
    shifts, which = shots()
    turn = np.random.default_rng(order).permutation(len(which))
    groups = OpticsGroups()
    name = {int(i): groups.place(OPTICS, (), tuple(shifts[i]), 0.01).name for i in turn}
    pairs = {(which[i], name[i]) for i in name}
    assert len(pairs) == len({w for w, _ in pairs}) == len({n for _, n in pairs}) == 36
    assert set(name.values()) == {f"opticsGroup{n}" for n in range(1, 37)}


def test_a_session_that_goes_on_has_the_groups_of_before():
    shifts, _ = shots()
    one = OpticsGroups()
    names = [one.place(OPTICS, (), tuple(s), 0.01) for s in shifts[:200]]
    known = {}
    for optics, shift in zip(names, shifts, strict=False):
        known.setdefault(optics, []).append(shift)
    again = OpticsGroups((optics, tuple(np.mean(s, axis=0)), len(s)) for optics, s in known.items())
    for shift in shifts[200:]:
        assert again.place(OPTICS, (), tuple(shift), 0.01) == one.place(OPTICS, (), tuple(shift), 0.01)


def test_a_dose_that_varies_from_shot_to_shot_makes_no_groups_and_another_dose_does():
    groups, rng = OpticsGroups(), np.random.default_rng(3)
    doses = [*rng.normal(1.2, 0.015, 50), *rng.normal(2.4, 0.03, 50)]
    both = ("pixel_size", "dose_per_frame")
    placed = {groups.place(Optics(pixel_size=0.83, dose_per_frame=d), both) for d in doses}
    assert len(placed) == 2 and {o.name for o in placed} == {"opticsGroup1"}
    assert groups.place(Optics(pixel_size=0.9, dose_per_frame=1.2), both) not in placed
    said = Optics(pixel_size=0.83, dose_per_frame=1.21)
    assert groups.place(said, ("pixel_size",)) is said, "what people say is not rounded to what was measured"


SAMPLES = Path(os.environ.get("CRYOWIDGETS_SAMPLES", "/nowhere"))


@pytest.mark.skipif(not (SAMPLES / "epu_afis_session").is_dir(), reason="CRYOWIDGETS_SAMPLES names no folder")
@pytest.mark.parametrize("order", range(3))
def test_a_real_session_of_three_shots_on_twenty_one_holes(order):
    movies = sorted(SAMPLES.joinpath("epu_afis_session").rglob("*_Fractions.xml"))
    found = [(movie.name, sidecar.read(movie.with_suffix(".mrc"))) for movie in movies]
    groups, members = OpticsGroups(), {}
    for i in np.random.default_rng(order).permutation(len(found)):
        name, told = found[i]
        settled = settle(name, NOTHING, told, Header((4096, 4096)), 22)
        assert settled.notes == {}
        placed = groups.place(settled.optics, settled.measured, told.beam_shift, told.shift_unit)
        members.setdefault(placed, []).append(name.split("_Data_")[1].rsplit("_", 3)[0])
    assert [len(m) for m in members.values()] == [3] * 63
    assert all(len(set(m)) == 1 for m in members.values()), "a group is of one shot of the template"
