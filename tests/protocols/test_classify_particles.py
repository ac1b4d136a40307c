"""Sorting particles as they come: nothing is lost or twice, a batch goes on from the one before, others can read it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import starfile

from cryowidgets.errors import InputError, ParameterError
from cryowidgets.io import mrc, star
from cryowidgets.model import Particles
from cryowidgets.protocols import classfiles, classhistory, sorted
from cryowidgets.protocols.assign_classes import AssignClasses
from cryowidgets.protocols.classify_particles import ClassifyParticles
from cryowidgets.protocols.out import Out
from cryowidgets.protocols.reclassify_particles import ReclassifyParticles
from cryowidgets.sim import particles

VALUES = {"classes": 6, "first": 300, "batch": 100, "finest": 45.0}


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """A folder of particles, six micrographs' worth, and what they are made of."""
    folder = tmp_path_factory.mktemp("project")
    stack = particles.simulate(600, box=32, pixel_size=8.0, views=3, snr=0.3, seed=5)
    items = []
    for number, (path, metadata) in enumerate(particles.write(stack, folder, per=100), 1):
        items.append(
            Particles(
                path=str(path), metadata=str(metadata), count=100, box=32, pixel_size=8.0, diameter=170.0,
                exposure=number, id=number, name=f"m{number}",
            )
        )  # fmt: skip
    return folder, stack, items


def do(protocol, folder, items, last=None, **beside):
    """As a worker does it: files get their names, and the result comes back with absolute paths."""
    stem = f"classes_{items[-1].id:06d}"
    out = Out(folder, f"steps/{type(protocol).__name__}", stem)
    try:
        result = protocol.process(items, last, out, **beside)
        out.commit()
    finally:
        out.discard()
    return result.filed(folder).located(folder)


@pytest.fixture(scope="module")
def sorting(session):
    """Three results, one after the other."""
    folder, _, items = session
    protocol = ClassifyParticles(**VALUES)
    first = do(protocol, folder, items[:3])
    second = do(protocol, folder, items[3:5], first)
    return [first, second, do(protocol, folder, items[5:], second)]


def names(blocks):
    return list(blocks["particles"]["rlnImageName"])


def test_every_particle_is_sorted_once_whatever_the_batches(session, sorting):
    folder, _, items = session
    every = [name for item in items for name in star.read(item.metadata)["particles"]["rlnImageName"]]
    assert names(sorted.all_particles(sorting[-1].metadata)) == every
    assert [len(names(star.read(one.metadata))) for one in sorting] == [300, 200, 100]
    assert [one.particles for one in sorting] == [300, 500, 600]
    assert [one.batches for one in sorting] == [1, 2, 3]
    model = classfiles.read_model(sorting[-1].model)
    assert (model.particles.sum(), round(model.share.sum(), 5)) == (600, 1.0)
    assert sorting[-1].count == (model.particles > 0).sum()
    assert sorting[-1].good == (model.good & (model.particles > 0)).sum()


def test_what_a_result_names_is_there_and_has_its_size(sorting):
    for one in sorting:
        averages = mrc.read(one.path)
        assert averages.shape == (6, 32, 32) and np.isfinite(averages).all()
        assert Path(one.thumbnail).stat().st_size > 0
        assert one.rate > 0 and one.reason == ""
        model = classfiles.read_model(one.model)
        assert (averages[model.particles == 0] == 0).all(), "an empty slot has no picture"
    history = classhistory.read(sorting[-1].history)
    assert (history.frames.tolist(), history.sorted.tolist()) == ([1, 2, 3], [300, 500, 600])
    assert history.identity.shape == (3, 6)


def test_others_can_read_it(sorting):
    blocks = starfile.read(sorting[1].metadata)
    table = blocks["particles"]
    assert {
        "rlnImageName", "rlnMicrographName", "rlnOpticsGroup", "rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle",
        "rlnPhaseShift", "rlnCtfBfactor", "rlnCtfScalefactor", "rlnCtfMaxResolution", "rlnCtfFigureOfMerit",
        "rlnCoordinateX", "rlnCoordinateY", "rlnClassNumber", "rlnAnglePsi", "rlnOriginXAngst", "rlnOriginYAngst",
        "rlnMaxValueProbDistribution",
    } <= set(table.columns)  # fmt: skip
    assert table["rlnClassNumber"].between(1, 6).all()
    assert table["rlnMaxValueProbDistribution"].between(0, 1.000001).all()
    assert {"rlnOpticsGroup", "rlnImagePixelSize", "rlnImageSize", "rlnImageDimensionality"} <= set(
        blocks["optics"].columns if hasattr(blocks["optics"], "columns") else blocks["optics"]
    )
    first = mrc.read(sorting[0].path)
    assert starfile.read(sorting[0].model)["model_classes"].shape[0] == len(first)


def test_a_batch_that_is_repeated_gives_the_same_and_older_states_are_gone(session, sorting):
    folder, _, items = session
    before = {path: Path(path).read_bytes() for path in (sorting[2].path, sorting[2].metadata, sorting[2].model)}
    again = do(ClassifyParticles(**VALUES), folder, items[5:], sorting[1])
    assert {path: Path(path).read_bytes() for path in before} == before
    assert dataclasses.replace(again, rate=0) == dataclasses.replace(sorting[2], rate=0)
    kept = [path.name for path in Path(again.state).parent.glob("*_state.npz")]
    assert set(kept) == {"classes_000005_state.npz", "classes_000006_state.npz"}
    late = do(ClassifyParticles(**VALUES), folder, items[3:5], dataclasses.replace(sorting[0], state=again.state))
    assert late.batches == 2
    assert Path(again.state).exists()


def test_the_place_of_a_particle_is_as_relion_has_it(session, sorting):
    """Turned and moved as RELION does it, particles lie over their average; with either sign changed they do not."""
    folder, stack, items = session
    table = {name: np.array(v) for name, v in sorted.all_particles(sorting[-1].metadata)["particles"].items()}
    averages = mrc.read(sorting[-1].path)
    score = {signs: 0.0 for signs in ((1, 1), (-1, 1), (1, -1))}
    for turn, move in score:
        for slot in np.unique(table["rlnClassNumber"]) - 1:
            mine = np.flatnonzero(table["rlnClassNumber"] == slot + 1)[:60]
            shift = np.stack([table["rlnOriginYAngst"][mine], table["rlnOriginXAngst"][mine]], 1) / 8.0
            mean = sum(
                _applied(stack.pictures[i], turn * psi, move * off)
                for i, psi, off in zip(mine, table["rlnAnglePsi"][mine], shift, strict=True)
            )
            score[turn, move] += len(mine) * np.corrcoef(_disc(mean), _disc(averages[slot]))[0, 1]
    assert score[1, 1] > 1.1 * max(score[-1, 1], score[1, -1]), score


def _applied(picture, psi, offset):
    """Moved by the offset (y, x in px), then turned by psi from x towards y, as rlnOrigin and rlnAnglePsi say."""
    from scipy.ndimage import affine_transform

    c, s = np.cos(np.deg2rad(psi)), np.sin(np.deg2rad(psi))
    back = np.array([[c, -s], [s, c]])  # of y, x: where a place of the outcome comes from
    centre = np.array([16.0, 16.0])
    return affine_transform(picture, back, centre - back @ centre - offset, order=1, mode="constant")


def _disc(picture):
    y, x = np.mgrid[:32, :32] - 16
    return picture[np.hypot(y, x) < 10]


def test_too_few_to_begin_with_are_kept_until_there_are_more(session):
    folder, _, items = session
    items = [dataclasses.replace(item, id=item.id + 100) for item in items]  # files of their own
    some = [dataclasses.replace(items[0], count=40, metadata=str(folder / "forty.star"))]
    blocks = star.read(items[0].metadata)
    blocks["particles"] = {name: values[:40] for name, values in blocks["particles"].items()}
    star.write(folder / "forty.star", blocks)
    protocol = ClassifyParticles(**{**VALUES, "classes": 50, "finest": 45.0})
    none = do(protocol, folder, [dataclasses.replace(items[0], count=0, path="", metadata="")])
    few = do(protocol, folder, some, none)
    assert (few.path, few.metadata, few.particles) == ("", "", 0)
    assert few.reason == "40 particles came; 100 are needed to begin with"
    still = do(protocol, folder, [dataclasses.replace(items[4], count=0)], few)
    begun = do(protocol, folder, [items[5]], still)
    assert (begun.particles, begun.batches, begun.reason) == (
        140,
        1,
        "only 140 particles came to begin with: 7 classes instead of 50",
    )
    assert len(mrc.read(begun.path)) == 7
    assert names(star.read(begun.metadata))[:40] == blocks["particles"]["rlnImageName"]


def test_a_state_that_is_gone_is_not_begun_anew_in_silence(session, sorting):
    folder, _, items = session
    gone = dataclasses.replace(sorting[1], state=str(folder / "gone.npz"))
    with pytest.raises(InputError, match="gone.npz cannot be read .* restart the step"):
        do(ClassifyParticles(**VALUES), folder, items[5:], gone)


def test_all_are_sorted_once_more_whether_they_come_anew_or_selected(session, sorting):
    folder, _, items = session
    protocol = ReclassifyParticles(classes=6, finest=45.0)
    every = [name for item in items for name in star.read(item.metadata)["particles"]["rlnImageName"]]
    later = do(protocol, folder, items[3:4], sorting[0])
    assert (later.particles, later.batches) == (400, 1)
    assert names(sorted.all_particles(later.metadata)) == every[:400]
    assert later.particles == classfiles.read_model(later.model).particles.sum()
    star.write(folder / "chosen.star", sorted.all_particles(sorting[0].metadata))
    chosen = Particles(path="", metadata=str(folder / "chosen.star"), count=300, box=32, pixel_size=8.0, id=9)
    blocks = protocol.gathered([chosen], later)
    assert names(blocks) == every[:300], "a selection stands for all before it"
    assert set(blocks["particles"]["rlnClassNumber"]) == {0} and "rlnAnglePsi" not in blocks["particles"]
    with pytest.raises(InputError, match="0 particles are too few"):
        do(protocol, folder, [dataclasses.replace(chosen, count=0)])


def test_given_classes_stay_as_they_are_and_each_particle_finds_its_own(session, sorting):
    folder, stack, items = session
    references = Path(sorting[2].path).relative_to(folder)
    protocol = AssignClasses(references=str(references), finest=45.0)
    first = do(protocol, folder, items[:2])
    last = do(protocol, folder, items[2:], first)
    assert (last.particles, last.batches, last.count) == (600, 2, sorting[2].count)
    blocks = sorted.all_particles(last.metadata)
    assert names(blocks) == names(sorted.all_particles(sorting[2].metadata))
    np.testing.assert_allclose(mrc.read(first.path), mrc.read(last.path), atol=1e-6)
    with_ = np.array(blocks["particles"]["rlnClassNumber"])
    majority = sum(np.bincount(stack.view[with_ == k]).max() for k in np.unique(with_))
    assert majority > 0.8 * len(with_), "particles of one view come together"


def test_classes_of_another_step_keep_their_numbers_and_stay_as_they_were_at_the_first_batch(session, sorting):
    folder, stack, items = session
    given, protocol = sorting[2], AssignClasses(finest=45.0)
    first = do(protocol, folder, items[:2], averages=given)
    last = do(protocol, folder, items[2:4], first, averages=sorting[0])
    theirs, ours = classfiles.read_model(given.model), classfiles.read_model(last.model)
    assert set(ours.identity[ours.particles > 0]) <= set(theirs.identity)
    by_number = {n: np.array(mrc.read(given.path))[slot].ravel() for slot, n in enumerate(theirs.identity)}
    for slot, number in enumerate(ours.identity):
        if ours.particles[slot]:
            mine = np.array(mrc.read(last.path))[slot].ravel()
            alike = {n: np.corrcoef(mine, picture)[0, 1] for n, picture in by_number.items() if picture.any()}
            assert max(alike, key=alike.get) == number
    with_ = np.array(sorted.all_particles(last.metadata)["particles"]["cwIdentity"])
    assert sum(np.bincount(stack.view[:400][with_ == k]).max() for k in np.unique(with_)) > 0.8 * len(with_)
    with pytest.raises(InputError, match="has no classes: 60 particles came; 100 are needed. Retry when it has some"):
        none = dataclasses.replace(given, path="", reason="60 particles came; 100 are needed")
        do(protocol, folder, items[:1], averages=none)


@pytest.mark.parametrize(
    ("values", "error", "said"),
    [
        ({}, ParameterError, "AssignClasses.references is empty and no step is linked"),
        ({"references": "gone.mrcs"}, InputError, "gone.mrcs"),
        ({"references": "flat.mrcs"}, InputError, "pictures of 8×12 px: averages are square"),
        ({"references": "unknown.mrcs"}, ParameterError, "AssignClasses.pixel_size is 0 and .*unknown.mrcs has none"),
    ],
)
def test_references_that_cannot_be_used_are_said(session, values, error, said):
    folder, _, items = session
    mrc.write(folder / "flat.mrcs", np.zeros((2, 8, 12), np.float32), 8.0)
    mrc.write(folder / "unknown.mrcs", np.zeros((2, 32, 32), np.float32))
    with pytest.raises(error, match=said):
        do(AssignClasses(**values), folder, items[:1])
