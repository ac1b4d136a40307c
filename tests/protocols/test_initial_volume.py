"""The step that makes a first map: its files, what it uses of the classes, when it is made anew, when there is none."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from cryowidgets.errors import InputError, ParameterError
from cryowidgets.io import mrc, star
from cryowidgets.kernels import initialparticles, project3d
from cryowidgets.kernels.classifykinds import Lens
from cryowidgets.kernels.directions import even, facing, turns
from cryowidgets.kernels.fsc import crossing, fsc
from cryowidgets.kernels.initialvolume import FirstMap
from cryowidgets.model import Classes, Particles
from cryowidgets.protocols import classfiles, initial_volume, volume_particles
from cryowidgets.protocols.initial_volume import InitialVolume
from cryowidgets.protocols.out import Out
from cryowidgets.sim import particles

BOX, PIXEL, COUNT = 32, 8.0, 24
MOLECULE = particles.simulate(1, box=BOX, pixel_size=PIXEL, seed=4).density[0]
VIEWS = facing(even(COUNT), np.random.default_rng(9).uniform(0, 360, COUNT))
VALUES = {"starts": 4, "finest": 24.0, "diameter": 190.0}


def classes(folder, averages, good=None, number=1, **values):
    """What a sorting leaves: a stack of averages and what is known of them; class i has 100 + i particles."""
    count = len(averages)
    held = np.arange(count) + 100
    model = classfiles.ClassModel(
        identity=np.arange(count) + 1, parent=np.zeros(count, int), share=held / held.sum(), particles=held,
        resolution=np.full(count, 18.0), size=np.full(count, 150.0), score=np.full(count, 0.8),
        good=np.ones(count, bool) if good is None else good, age=np.ones(count, int), pixel_size=PIXEL,
    )  # fmt: skip
    mrc.write(folder / f"c{number}.mrcs", averages.astype(np.float32), PIXEL)
    classfiles.write_model(folder / f"c{number}_model.star", model, f"c{number}.mrcs", PIXEL, BOX)
    said = {
        "path": str(folder / f"c{number}.mrcs"), "model": str(folder / f"c{number}_model.star"), "count": count,
        "particles": int(held.sum()), "box": BOX, "pixel_size": PIXEL, "id": number, **values,
    }  # fmt: skip
    return Classes(**said)


def process(folder, item, last=None, chosen=None, **values):
    out = Out(folder, "steps/volume", f"volume_{item.id:06d}")
    result = InitialVolume(**{**VALUES, **values}).process([item], last, out, chosen)
    out.commit()
    return result.filed(folder).located(folder)


def sorted_particles(folder, rotations, members, name="particles", noise=False):
    """Particles of classes 4 and up, whose averages lie as `rotations` say: the file of what their sorting says."""
    rng = np.random.default_rng(6)
    place = np.repeat(np.arange(len(rotations)), members)
    psi = rng.uniform(-180, 180, len(place))
    turned = turns(np.outer(-np.radians(psi), [0, 0, 1.0])) @ rotations[place]
    tilted = turns(rng.standard_normal((len(place), 3)) * np.radians(4)) @ turned
    lens = project3d.spectra(project3d.project(MOLECULE, tilted))
    points = np.stack(np.meshgrid(np.arange(BOX // 2 + 1), np.fft.fftfreq(BOX) * BOX), axis=-1).reshape(-1, 2)
    rows = [np.full(len(place), 15000.0), np.full(len(place), 14800.0), np.zeros(len(place)), np.zeros(len(place))]
    lens *= initialparticles.transfer(points, BOX * PIXEL, Lens(300.0, 2.7, 0.1), rows).reshape(lens.shape)
    pictures = np.roll(np.fft.irfft2(lens, s=(BOX, BOX)), (BOX // 2, BOX // 2), axis=(1, 2))
    pictures = (0 if noise else pictures / pictures.std()) + rng.standard_normal(pictures.shape)
    mrc.write(folder / f"{name}.mrcs", pictures.astype(np.float32), PIXEL)
    optics = {
        "rlnOpticsGroup": [1], "rlnOpticsGroupName": ["a"], "rlnVoltage": [300.0], "rlnSphericalAberration": [2.7],
        "rlnAmplitudeContrast": [0.1], "rlnImagePixelSize": [PIXEL], "rlnImageSize": [BOX],
    }  # fmt: skip
    table = {
        "rlnImageName": [f"{i:06d}@{name}.mrcs" for i in range(1, len(place) + 1)],
        "rlnOpticsGroup": [1] * len(place), "rlnDefocusU": rows[0], "rlnDefocusV": rows[1], "rlnDefocusAngle": rows[2],
        "rlnAnglePsi": psi, "rlnOriginXAngst": np.zeros(len(place)), "rlnOriginYAngst": np.zeros(len(place)),
        "rlnClassNumber": place + 4, "cwIdentity": place + 4,
    }  # fmt: skip
    star.write(folder / f"{name}.star", {"optics": optics, "particles": table})
    return Particles(path="", metadata=str(folder / f"{name}.star"), count=len(place), box=BOX, pixel_size=PIXEL)


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """Good averages, a few of noise among them that are not good, and the map of it."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "steps/volume").mkdir(parents=True)
    rng = np.random.default_rng(8)
    seen = project3d.project(MOLECULE, VIEWS)
    seen = seen + rng.standard_normal(seen.shape) * np.sqrt(seen.var() / 2)
    bad = rng.standard_normal((3, BOX, BOX)) * seen.std()
    item = classes(folder, np.concatenate([bad, seen]), np.arange(COUNT + 3) >= 3)
    return folder, item, process(folder, item)


def test_a_map_with_all_its_files(session):
    _, _, volume = session
    assert volume.reason == "" and 2 <= volume.agreeing <= volume.starts == 4
    assert (volume.classes, volume.particles) == (COUNT, sum(range(103, 103 + COUNT)))
    for path in (volume.path, volume.half1, volume.half2, volume.deviation):
        assert mrc.read(path).shape == (BOX,) * 3
        assert mrc.read_header(path).pixel_size == pytest.approx(PIXEL)
    density = mrc.read(volume.path)
    assert 0 < volume.level < density.max() and volume.thumbnail.endswith(".jpg")
    assert 16 <= volume.agreement < 40 and 16 <= volume.resolution < 40 and 0.4 < volume.evenness <= 1
    with np.load(volume.orientations) as seen:
        assert seen["directions"].shape == (400, 2) and seen["counts"].shape == (400,)
        assert seen["counts"].sum() == pytest.approx(volume.particles)
        np.testing.assert_allclose(project3d.rotations_of(*seen["directions"].T, 0)[:, 2], even(400), atol=1e-5)


def test_it_is_made_anew_when_there_are_many_more_particles(session):
    folder, item, volume = session
    same = process(folder, dataclasses.replace(item, id=2, particles=item.particles + 10), volume)
    assert (same.path, same.agreement) == (volume.path, volume.agreement)
    assert not list(folder.glob("steps/volume/volume_000002*"))


def test_one_that_was_believed_is_where_the_next_begins(session):
    folder, item, volume = session
    step = InitialVolume(**VALUES)
    np.testing.assert_array_equal(step._warm(volume, item), mrc.read(volume.path))
    assert step._warm(dataclasses.replace(volume, reason="uneven"), item) is None
    assert InitialVolume(**VALUES, symmetry="C2")._warm(volume, item) is None


def test_noise_gives_a_reason_and_no_file(tmp_path):
    noise = np.random.default_rng(2).standard_normal((12, BOX, BOX))
    volume = process(tmp_path, classes(tmp_path, noise))
    assert volume.path == volume.thumbnail == "" and volume.reason
    assert volume.classes == 12 and not (tmp_path / "steps").exists()


def test_reasons_without_a_start(tmp_path):
    averages = np.random.default_rng(2).standard_normal((9, BOX, BOX))
    none = classes(tmp_path, averages, np.zeros(9, bool))
    assert "no class looks like particles" in process(tmp_path, none).reason
    few = classes(tmp_path, averages, np.arange(9) < 4, 2)
    assert "too few" in process(tmp_path, few).reason
    yet = Classes(path="", count=0, particles=10, box=BOX, pixel_size=PIXEL, reason="10 of 2000 particles")
    assert "10 of 2000 particles" in process(tmp_path, yet).reason


def test_a_group_that_there_is_not_and_a_model_of_other_classes(tmp_path):
    item = classes(tmp_path, np.ones((9, BOX, BOX)))
    with pytest.raises(ParameterError, match="InitialVolume.symmetry: 'X3' is no point group"):
        process(tmp_path, item, symmetry="X3")
    other = classes(tmp_path, np.ones((8, BOX, BOX)), number=2)
    with pytest.raises(InputError, match="9 averages where .* 8 classes"):
        process(tmp_path, dataclasses.replace(item, model=other.model))


@pytest.fixture
def known(monkeypatch):
    """The map of averages is given, at coarse detail, whichever classes are used: how it is found is said above."""
    coarse = project3d.resized(project3d.resized(MOLECULE, 14), BOX)

    def given(averages, settings, weights, warm):
        lie = {"rotations": VIEWS[-len(averages) :][::-1], "shifts": np.zeros((len(averages), 2))}
        return FirstMap(volume=coarse, scores=np.ones(4), agreeing=4, counts=np.ones(400), evenness=0.9, **lie)

    monkeypatch.setattr(initial_volume, "first_map", given)
    return coarse


def detail(density):
    """Resolution against the molecule, Å."""
    return crossing(*fsc(density, MOLECULE), threshold=0.5, pixel_size=PIXEL)


def test_particles_of_the_chosen_classes_make_it_finer(session, known):
    """They need not be linked: those of all classes are in the files of the sorting."""
    folder, item, _ = session
    chosen = sorted_particles(folder, VIEWS, 12)
    volume = process(folder, dataclasses.replace(item, id=3), chosen=chosen)
    assert (volume.reason, volume.refined, volume.classes) == ("", 12 * COUNT, COUNT)
    assert detail(mrc.read(volume.path)) < 22 < detail(known) and 16 < volume.resolution < 25
    within = process(folder, dataclasses.replace(item, id=4, metadata=chosen.metadata), refine=210)
    assert within.refined == 210


def test_the_classes_are_those_that_a_person_chose(session, known):
    folder, item, _ = session
    some = process(folder, dataclasses.replace(item, id=5), chosen=sorted_particles(folder, VIEWS[:10], 3), refine=0)
    assert some.classes == 10 and some.particles == sum(range(103, 113)) and some.refined == 0
    none = Particles(path="", count=0, box=BOX, pixel_size=PIXEL)
    assert process(folder, dataclasses.replace(item, id=6), chosen=none).reason == "none of the classes is chosen"


def test_particles_that_do_not_help_leave_the_map_of_averages_and_a_reason(session, known):
    folder, item, _ = session
    noise = sorted_particles(folder, VIEWS, 12, "noise", noise=True)
    volume = process(folder, dataclasses.replace(item, id=7), chosen=noise)
    assert "two halves of 288 particles" in volume.reason and volume.refined == 0
    np.testing.assert_allclose(mrc.read(volume.path), known, atol=1e-6)


@pytest.mark.parametrize(("optics", "columns"), [({"rlnCtfDataArePhaseFlipped": [1]}, 4), ({}, 3)])
def test_particles_that_do_not_tell_what_the_lens_did_are_left_alone(tmp_path, optics, columns):
    names = ("rlnAnglePsi", "rlnOriginXAngst", "rlnOriginYAngst", "rlnDefocusU")[:columns]
    table = {name: [1.0] for name in names} | {"rlnClassNumber": [1], "rlnImageName": ["1@gone.mrcs"]}
    how = initialparticles.Settings(PIXEL, 190.0)
    found = FirstMap(MOLECULE, rotations=VIEWS[:1], shifts=np.zeros((1, 2)))
    blocks = {"optics": optics, "particles": table}
    out = Out(tmp_path, "steps/volume", "volume_000001")
    assert volume_particles.refined(blocks, np.array([1]), 5000, found, BOX, how, out) == (None, 0)
