"""The step that makes one sorting of several: what it keeps together, and the files it writes."""

from __future__ import annotations

import numpy as np
import pytest

from cryowidgets.io import mrc, star
from cryowidgets.kernels.classconsensus import adjusted_rand
from cryowidgets.model import Classes
from cryowidgets.protocols import classfiles
from cryowidgets.protocols.class_consensus import ClassConsensus
from cryowidgets.protocols.classfiles import ClassModel
from cryowidgets.protocols.out import Out
from cryowidgets.protocols.sorted import all_particles

TRUTH = np.repeat([0, 1, 2], [60, 40, 30])
OPTICS = {"rlnOpticsGroup": [1], "rlnImagePixelSize": [5.0], "rlnImageSize": [16]}


def sorting(folder, name, labels, identities=None, particles=None, box=16):
    """Files of a sorting; class k has pictures of brightness k + 1 (in hundreds by `name`), resolution 10 + k Å."""
    count = labels.max() + 1
    identities = np.arange(1, count + 1) if identities is None else np.array(identities)
    particles = range(len(labels)) if particles is None else particles
    level = 100 * (ord(name) - ord("a"))
    pictures = np.stack([np.full((box, box), level + k + 1, np.float32) for k in range(count)])
    mrc.write(folder / f"{name}.mrcs", pictures, 5.0)
    counts = np.bincount(labels)
    model = ClassModel(
        identity=identities, parent=np.zeros(count, int), share=counts / counts.sum(), particles=counts,
        resolution=10.0 + np.arange(count), size=np.full(count, 100.0), score=np.full(count, 0.9),
        good=np.arange(count) != 1, age=np.ones(count, int),
    )  # fmt: skip
    classfiles.write_model(folder / f"{name}_model.star", model, f"{name}.mrcs", 5.0, box)
    table = {
        "rlnImageName": [f"{i + 1:06d}@particles.mrcs" for i in particles],
        "rlnOpticsGroup": [1] * len(labels),
        "rlnClassNumber": (labels + 1).tolist(),
        "cwIdentity": identities[labels].tolist(),
    }
    classfiles.write_batch(folder / f"{name}.star", OPTICS, table, 1)
    return Classes(
        path=str(folder / f"{name}.mrcs"),
        metadata=str(folder / f"{name}.star"),
        model=str(folder / f"{name}_model.star"),
        count=int(count),
        particles=len(labels),
        box=box,
        pixel_size=5.0,
    )


def process(folder, *sortings, **values):
    out = Out(folder, "steps/consensus", "all")
    names = ("first", "second", "third", "fourth")
    result = ClassConsensus(**values).process(out=out, **dict(zip(names, sortings, strict=False)))
    out.commit()
    return result.located(folder)


def wrong(seed, share=0.1):
    rng = np.random.default_rng(seed)
    return np.where(rng.random(len(TRUTH)) < share, rng.integers(0, 3, len(TRUTH)), TRUTH)


def test_sortings_that_say_the_same_give_the_same(tmp_path):
    renamed = np.array([2, 0, 1])[TRUTH]
    result = process(tmp_path, sorting(tmp_path, "a", TRUTH), sorting(tmp_path, "b", renamed, identities=[7, 8, 9]))
    assert (result.count, result.particles, result.batches, result.reason) == (3, len(TRUTH), 1, "")
    table = all_particles(result.metadata)["particles"]
    np.testing.assert_array_equal(np.array(table["rlnClassNumber"]) - 1, TRUTH)
    assert set(table["cwConsistency"]) == {1.0} and table["cwIdentity"] == table["rlnClassNumber"]
    np.testing.assert_array_equal(mrc.read(result.path)[:, 0, 0], [1, 2, 3])
    model = classfiles.read_model(result.model)
    np.testing.assert_array_equal(model.particles, [60, 40, 30])
    np.testing.assert_array_equal(model.good, [True, False, True])
    assert (result.good, result.good_particles, result.resolution) == (2, 90, 10.0)
    assert result.largest == pytest.approx(60 / 130) and star.read(result.metadata)["optics"]["rlnImageSize"] == [16]


def test_three_sortings_outvote_each_others_errors(tmp_path):
    labels = [wrong(seed) for seed in (1, 2, 3)]
    result = process(tmp_path, *(sorting(tmp_path, n, x) for n, x in zip("abc", labels, strict=True)), least=1)
    table = all_particles(result.metadata)["particles"]
    found = np.array(table["rlnClassNumber"])
    assert len(found) == len(TRUTH) and result.count == 3
    assert adjusted_rand(found, TRUTH) > max(adjusted_rand(x, TRUTH) for x in labels)
    agreed = np.all([x == labels[0] for x in labels], axis=0)
    consistency = np.array(table["cwConsistency"])
    assert consistency[agreed].min() == 1 and consistency[~agreed].max() < 1


def test_particles_of_one_sorting_alone_and_small_groups_are_left_out(tmp_path):
    half = sorting(tmp_path, "b", TRUTH[:100], particles=range(100))
    assert process(tmp_path, sorting(tmp_path, "a", TRUTH), half).particles == 100
    odd = TRUTH.copy()
    odd[:3] = 2
    assert process(tmp_path, sorting(tmp_path, "a", TRUTH), sorting(tmp_path, "c", odd), least=5).particles == 127


def test_a_class_that_died_has_no_picture_but_its_particles(tmp_path):
    gone = sorting(tmp_path, "a", TRUTH)
    other = sorting(tmp_path, "b", TRUTH, box=12)
    model = classfiles.read_model(gone.model)
    model.identity[2] = 99
    classfiles.write_model(gone.model, model, "a.mrcs", 5.0, 16)
    result = process(tmp_path, gone, other)
    np.testing.assert_array_equal(mrc.read(result.path)[:, 0, 0], [1, 2, 0])
    assert classfiles.read_model(result.model).particles[2] == 30


def test_why_there_is_nothing_is_said(tmp_path):
    a = sorting(tmp_path, "a", TRUTH)
    waits = process(tmp_path, a, Classes(path="", count=0, particles=0, box=16, pixel_size=5.0))
    assert waits.count == 0 and "not all of the sortings" in waits.reason
    apart = sorting(tmp_path, "b", TRUTH, particles=range(500, 630))
    assert "no particle in common" in process(tmp_path, a, apart).reason
    assert "lower 'least'" in process(tmp_path, a, sorting(tmp_path, "c", TRUTH), least=1000).reason
    lot = np.random.default_rng(1).permutation(TRUTH)
    assert "no better than by chance" in process(tmp_path, a, sorting(tmp_path, "d", lot), least=1).reason


def test_a_sorting_by_lot_is_left_out_and_named(tmp_path):
    lots = np.random.default_rng(5).permutation(TRUTH)
    result = process(
        tmp_path, *(sorting(tmp_path, n, x) for n, x in zip("abc", (wrong(1), lots, wrong(2)), strict=True))
    )
    assert result.reason == "sorting 2 has no more in common with the others than by chance and is left out"
    assert result.count == 3 and result.particles > 100


def test_a_sorting_that_is_left_out_gives_neither_pictures_nor_their_box(tmp_path):
    lots = sorting(tmp_path, "a", np.random.default_rng(5).permutation(TRUTH), box=20)
    order = np.random.default_rng(6).permutation(len(TRUTH))  # in which the others have the particles
    result = process(
        tmp_path, lots, *(sorting(tmp_path, n, wrong(i)[order], particles=order, box=16) for i, n in enumerate("bc"))
    )
    assert result.reason.startswith("sorting 1 has no more in common") and result.box == 16
    assert (mrc.read_stack(result.path).max(axis=(1, 2)) > 100).all()
    table = all_particles(result.metadata)["particles"]
    true = TRUTH[[int(name[:6]) - 1 for name in table["rlnImageName"]]]
    assert adjusted_rand(np.array(table["rlnClassNumber"]), true) > 0.9
