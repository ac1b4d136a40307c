"""The files of sorted particles: what is written is read again, by us and by starfile, and batches hang together."""

from __future__ import annotations

import numpy as np
import pytest
import starfile

from cryowidgets.errors import InputError
from cryowidgets.io import star
from cryowidgets.protocols import classfiles, classhistory, lots, sorted
from cryowidgets.protocols.classfiles import ClassModel
from cryowidgets.protocols.classhistory import FIGURES, FRAMES, History
from cryowidgets.sim import particles


def model(classes=4, seed=0):
    rng = np.random.default_rng(seed)
    share = rng.dirichlet(np.ones(classes))
    counts = np.rint(share * 1000).astype(int)
    counts[-1] = 0
    return ClassModel(
        identity=np.arange(1, classes + 1) + 5 * seed,
        parent=np.zeros(classes, int),
        share=share,
        particles=counts,
        resolution=np.where(np.arange(classes) == 1, np.nan, rng.uniform(8, 30, classes)),
        size=rng.uniform(90, 150, classes),
        score=rng.uniform(size=classes),
        good=rng.uniform(size=classes) > 0.5,
        age=np.full(classes, 3),
        pixel_size=5.0,
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("particles")
    stack = particles.simulate(50, box=32, pixel_size=8.0, seed=3)
    return folder, stack, particles.write(stack, folder, per=20)


def test_a_model_is_read_as_it_was_written_and_by_starfile(tmp_path):
    made = model()
    classfiles.write_model(tmp_path / "m.star", made, "steps/classes/a_classes.mrcs", 5.0, 64)
    found = classfiles.read_model(tmp_path / "m.star")
    for name in ClassModel.__dataclass_fields__:
        np.testing.assert_allclose(getattr(found, name), getattr(made, name), rtol=1e-6, equal_nan=True)
    assert found.filled.tolist() == [i for i in np.argsort(-made.share) if made.particles[i]]
    blocks = starfile.read(tmp_path / "m.star")
    table = blocks["model_classes"]
    assert blocks["model_general"]["rlnPixelSize"] == 5.0
    assert table["rlnReferenceImage"][1] == "000002@steps/classes/a_classes.mrcs"
    assert {
        "rlnClassDistribution", "rlnEstimatedResolution", "rlnAccuracyRotations", "rlnAccuracyTranslationsAngst",
    } <= set(table.columns)  # fmt: skip
    assert table["rlnEstimatedResolution"][1] == 999


def test_a_model_of_relion_tells_what_it_can(tmp_path):
    table = {"rlnClassDistribution": [0.75, 0.25, 0.0], "rlnEstimatedResolution": [12.0, 999.0, 0.0]}
    star.write(tmp_path / "m.star", {"model_general": {"rlnPixelSize": 3.0}, "model_classes": table})
    found = classfiles.read_model(tmp_path / "m.star")
    assert found.identity.tolist() == [1, 2, 3]
    assert found.filled.tolist() == [0, 1]
    np.testing.assert_array_equal(found.resolution, [12.0, np.nan, np.nan])
    assert not found.good.any()
    star.write(tmp_path / "no.star", {"model_classes": {"rlnReferenceImage": ["1@a"]}})
    with pytest.raises(InputError, match="no table model_classes with a column rlnClassDistribution"):
        classfiles.read_model(tmp_path / "no.star")


def test_batches_hang_together_and_nothing_is_missed_or_twice(tmp_path, written):
    folder, _, files = written
    before, every = "", []
    for number, (_, path) in enumerate(files, 1):
        blocks = star.read(path)
        table = {**blocks["particles"], "rlnClassNumber": [number] * len(blocks["particles"]["rlnImageName"])}
        here = tmp_path / f"classes_{number:06d}_particles.star"
        classfiles.write_batch(here, blocks["optics"], table, number, before)
        before = str(here)
        every += table["rlnImageName"]
    found = sorted.all_particles(before)
    assert found["particles"]["rlnImageName"] == every
    assert found["particles"]["rlnClassNumber"] == [1] * 20 + [2] * 20 + [3] * 10
    first = tmp_path / "classes_000001_particles.star"
    assert sorted.all_particles(before, after=first)["particles"]["rlnImageName"] == every[20:]
    assert sorted.all_particles(before, after=before)["particles"]["rlnImageName"] == []
    assert [path.name[8:14] for path in sorted.batch_files(before)] == ["000001", "000002", "000003"]
    assert len(starfile.read(before)["particles"]) == 10
    with pytest.raises(InputError, match="is not among the batches"):
        sorted.all_particles(before, after=tmp_path / "other.star")
    first.unlink()
    with pytest.raises(InputError, match="classes_000001_particles.star does not exist"):
        sorted.all_particles(before)


def test_what_was_cut_out_once_more_takes_the_place_of_what_was_before(tmp_path):
    """A person corrected the picks of b: its particles come again, fewer and in a later batch."""
    optics = {"rlnOpticsGroup": [1], "rlnImageSize": [32]}
    before = ""
    for number, names in enumerate((["1@a", "2@a", "1@b", "2@b", "3@b"], ["1@c"], ["1@b", "2@b"], ["1@d"]), 1):
        here = tmp_path / f"classes_{number:06d}_particles.star"
        table = {"rlnImageName": names, "rlnOpticsGroup": [1] * len(names), "rlnClassNumber": [number] * len(names)}
        classfiles.write_batch(here, optics, table, number, before)
        before = str(here)
    found = sorted.all_particles(before)["particles"]
    assert found["rlnImageName"] == ["1@a", "2@a", "1@c", "1@b", "2@b", "1@d"]
    assert found["rlnClassNumber"] == [1, 1, 2, 3, 3, 4]


def test_files_with_other_optics_or_columns_are_put_together(written):
    _, _, files = written
    one, two, three = (star.read(path) for _, path in files)
    two["optics"]["rlnVoltage"] = [200.0]
    three["particles"]["cwSignal"] = [1.0] * 10
    found = sorted.joined(iter([one, two, three, one]))
    assert len(found["particles"]["rlnImageName"]) == 70
    assert {*found["optics"]["rlnVoltage"]} == {300.0, 200.0}
    assert found["optics"]["rlnOpticsGroup"] == [1, 2]


def test_particles_are_read_in_lots_with_their_lens(written):
    folder, stack, files = written
    blocks = sorted.joined(star.read(path) for _, path in files)
    found = list(lots.lots(blocks, "them", lambda name: str(folder / name), 32, at_once=16))
    assert [len(lot.rows) for lot in found] == [16, 16, 16, 2]
    np.testing.assert_array_equal(np.concatenate([lot.pictures for lot in found]), stack.pictures)
    assert np.concatenate([lot.rows for lot in found]).tolist() == list(range(50))
    for i, values in enumerate((stack.defocus_u, stack.defocus_v, stack.angle, stack.phase_shift)):
        np.testing.assert_allclose(np.concatenate([lot.ctf[i] for lot in found]), values, atol=1e-5)
    assert (found[0].voltage, found[0].cs, found[0].amplitude_contrast) == (300.0, 2.7, 0.1)


def test_a_lot_has_one_lens(written):
    folder, _, files = written
    one, two, three = (star.read(path) for _, path in files)
    two["optics"]["rlnVoltage"] = [200.0]
    blocks = sorted.joined(iter([one, two, three]))
    found = [(len(lot.rows), lot.voltage) for lot in lots.lots(blocks, "them", lambda name: str(folder / name), 32)]
    assert found == [(30, 300.0), (20, 200.0)], "those of one lens come together"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"optics": {"rlnCtfDataArePhaseFlipped": [1]}}, "flipped already.*extract without phase_flip"),
        ({"optics": {"rlnVoltage": None}}, "no column rlnVoltage"),
        ({"particles": {"rlnDefocusU": None}}, "no column rlnDefocusU"),
        ({"particles": {"rlnImageName": ["000021@sim_00000_particles.mrcs"] * 20}}, "which has 1 to 20"),
        ({"particles": {"rlnImageName": ["000001@gone.mrcs"] * 20}}, "gone.mrcs"),
        ({"particles": {"rlnOpticsGroup": [4] * 20}}, "optics group 4, which is not told"),
    ],
)
def test_what_cannot_be_read_is_said(written, change, said):
    folder, _, files = written
    blocks = star.read(files[0][1])
    for block, columns in change.items():
        for name, values in columns.items():
            blocks[block] = {**blocks[block], name: values}
            if values is None:
                del blocks[block][name]
    with pytest.raises(InputError, match=said):
        list(lots.lots(blocks, "them", lambda name: str(folder / name), 32))


def test_pictures_of_another_box_are_refused(written):
    folder, _, files = written
    with pytest.raises(InputError, match="32×32 px and others of 48"):
        list(lots.lots(star.read(files[0][1]), "them", lambda name: str(folder / name), 48))


@pytest.mark.parametrize("count", [1, 39, 41, 83, 401, 777])
def test_a_history_stays_small_spread_out_and_ends_with_the_newest(count):
    kept = History.none(2)
    averages = np.zeros((2, 4, 4), np.float32)
    small = model(2)
    for batch in range(1, count + 1):
        kept = kept.extended(batch, 10 * batch, small, averages)
    assert len(kept.frames) <= FRAMES and len(kept.batches) <= FIGURES
    assert kept.frames[-1] == kept.batches[-1] == count
    assert set(kept.frames) <= set(kept.batches)
    assert (np.diff(kept.frames) > 0).all() and (np.diff(kept.batches) > 0).all()
    np.testing.assert_array_equal(kept.sorted, 10 * kept.batches)
    step = max(1, count // (FRAMES // 4))
    assert np.diff(kept.frames, prepend=0).max() <= step, "evenly spread over all that there were"


def test_a_history_comes_back_from_its_file(tmp_path):
    rng = np.random.default_rng(1)
    kept = History.none(4)
    for batch in (1, 2, 3):
        kept = kept.extended(batch, 100 * batch, model(seed=batch), rng.normal(size=(4, 96, 96)))
    classhistory.write(tmp_path / "h.npz", kept)
    found = classhistory.read(tmp_path / "h.npz")
    for name in History.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(found, name), getattr(kept, name))
    assert found.averages.shape == (3, 4, 48, 48)
    assert (found.averages[:, 3] == 128).all(), "an empty slot is grey"
    assert found.averages[:, 0].std() > 20
    assert found.identity[2].tolist() == [16, 17, 18, 19]
    again = found.extended(2, 150, model(seed=9), rng.normal(size=(4, 96, 96)))
    assert (again.batches.tolist(), again.sorted.tolist()) == ([1, 2], [100, 150]), "a batch that is repeated"
    (tmp_path / "h.npz").write_bytes(b"PK")
    with pytest.raises(InputError, match="is no history of classes"):
        classhistory.read(tmp_path / "h.npz")
