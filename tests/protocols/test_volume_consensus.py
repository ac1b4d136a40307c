"""The step that makes one map of several: its files, what it counts, and maps that are not there."""

from __future__ import annotations

import numpy as np
import pytest

from cryowidgets.errors import InputError
from cryowidgets.io import mrc
from cryowidgets.model import Volume
from cryowidgets.protocols.out import Out
from cryowidgets.protocols.volume_consensus import VolumeConsensus
from cryowidgets.sim import particles

BOX, PIXEL = 24, 14.0
MOLECULE = particles.simulate(1, box=BOX, pixel_size=PIXEL, seed=2).density[0]


def volume(folder, name, density, **values):
    mrc.write(folder / f"{name}.mrc", density, PIXEL)
    return Volume(path=str(folder / f"{name}.mrc"), box=len(density), pixel_size=PIXEL, **values)


def process(folder, *volumes, **values):
    names = ("first", "second", "third", "fourth", "fifth")
    out = Out(folder, "steps/consensus", "all")
    result = VolumeConsensus(**values).process(out=out, **dict(zip(names, volumes, strict=False)))
    out.commit()
    return result.located(folder)


def test_maps_that_agree_give_one_with_every_file(tmp_path):
    noise = 1.0 * MOLECULE.std() * np.random.default_rng(1).standard_normal((2, *MOLECULE.shape)).astype(np.float32)
    maps = [
        volume(tmp_path, "a", MOLECULE, symmetry="C2", classes=12, particles=900),
        volume(tmp_path, "b", MOLECULE, symmetry="C2", classes=15, particles=800),
    ]
    result = process(tmp_path, *maps)
    np.testing.assert_array_equal(mrc.read(result.path), MOLECULE)
    assert not mrc.read(result.deviation).any() and result.thumbnail.endswith(".jpg")
    assert (result.box, result.pixel_size, result.symmetry) == (BOX, PIXEL, "C2")
    assert (result.classes, result.particles, result.starts, result.agreeing) == (15, 900, 2, 2)
    assert result.agreement == pytest.approx(2 * PIXEL) and result.reason == "" and np.isfinite(result.level)
    maps = [volume(tmp_path, name, MOLECULE + part) for name, part in zip("cd", noise, strict=True)]
    result = process(tmp_path, *maps, mirror=False)
    assert mrc.read(result.deviation).mean() > 0 and result.agreement > 2 * PIXEL


def test_a_map_that_does_not_belong_is_named_by_its_input(tmp_path):
    noise = 0.4 * MOLECULE.std() * np.random.default_rng(2).standard_normal((2, *MOLECULE.shape)).astype(np.float32)
    wrong = np.random.default_rng(3).standard_normal(MOLECULE.shape).astype(np.float32)
    maps = [MOLECULE + noise[0], wrong, MOLECULE + noise[1]]
    given = [volume(tmp_path, name, density) for name, density in zip("abc", maps, strict=True)]
    result = process(tmp_path, given[0], Volume(reason="too few classes"), *given[1:], mirror=False)
    assert (result.left_out, result.starts, result.agreeing, result.reason) == ("third", 4, 2, "")


def test_a_step_that_has_no_map_yet_is_passed_over(tmp_path):
    none = Volume(reason="too few classes")
    result = process(tmp_path, none, volume(tmp_path, "a", MOLECULE), none)
    assert (result.starts, result.agreeing) == (3, 1) and "alone" in result.reason and np.isnan(result.agreement)
    np.testing.assert_array_equal(mrc.read(result.path), MOLECULE)
    nothing = process(tmp_path, none, none)
    assert nothing.path == "" and nothing.reason == "none of the steps has a map yet"


def test_what_is_no_cube_or_has_no_pixel_size_is_named(tmp_path):
    good = volume(tmp_path, "a", MOLECULE)
    with pytest.raises(InputError, match=r"flat\.mrc has 20 × 24 × 24 voxels"):
        process(tmp_path, good, volume(tmp_path, "flat", MOLECULE[:20]))
    with pytest.raises(InputError, match=r"a\.mrc comes without a pixel size"):
        process(tmp_path, Volume(path=good.path, box=BOX), good)
