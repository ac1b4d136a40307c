"""What is seen beside rings: on images made of two kinds of grain, of drops, of crystals, and of nothing."""

import array_api_strict
import numpy as np
import pytest
from scipy import ndimage

from cryowidgets.kernels.content import survey
from cryowidgets.kernels.spectrum import power_spectrum

PIXEL = 1.2


def ice(n=1024, seed=0, grain=0.6):
    """Counts of a specimen that has some structure between 7 and 30 Å, and its structure."""
    rng = np.random.default_rng(seed)
    structure = ndimage.gaussian_filter(rng.standard_normal((n, n)), 2.5)
    return structure * (grain / structure.std()), rng


def counted(structure, rng, mean=40.0):
    return rng.poisson(mean * np.maximum(1 + 0.1 * structure, 0)).astype(np.float32)


@pytest.mark.parametrize("cover", [0.08, 0.3, 0.6])
def test_carbon_is_what_is_grainier_and_reaches_the_border(cover):
    structure, rng = ice()
    film = np.arange(1024)[None, :] + 60 * np.sin(np.arange(1024)[:, None] / 300) > 1024 * (1 - cover)
    found = survey(counted(structure * np.where(film, 2.2, 1.0), rng), PIXEL)
    assert found.carbon == pytest.approx(film.mean(), abs=0.06)
    assert found.words == "carbon" and found.dirt < 0.03
    side = found.side
    centres = film[side // 2 :: side, side // 2 :: side][: found.film.shape[0], : found.film.shape[1]]
    assert (centres == found.film).mean() > 0.93


def test_drops_inside_are_dirt_and_no_carbon():
    structure, rng = ice()
    y, x = np.mgrid[:1024, :1024]
    drop = np.hypot(y - 480, x - 560) < 200
    found = survey(counted(structure * np.where(drop, 2.5, 1.0), rng), PIXEL)
    assert found.carbon == 0 and found.dirt == pytest.approx(drop.mean(), abs=0.04)
    assert found.words == "dirt"


@pytest.mark.parametrize("gradient", [0.0, 0.5])
def test_ice_alone_is_one_level_also_where_its_thickness_changes(gradient):
    structure, rng = ice(seed=1)
    found = survey(counted(structure * (1 + gradient * np.linspace(-0.5, 0.5, 1024)), rng), PIXEL)
    assert found.words == "" and found.carbon == found.dirt == 0
    assert found.excess > 0.1


@pytest.mark.parametrize("mean", [5.0, 40.0])
def test_an_image_of_electrons_alone_is_empty(mean):
    rng = np.random.default_rng(2)
    image = rng.poisson(mean, (1024, 1024)).astype(np.float32)
    found = survey(image, PIXEL, power_spectrum(image, PIXEL))
    assert found.words == "empty" and abs(found.excess) < 0.03
    image[rng.random(image.shape) < 1e-4] += 300  # hot pixels are not content
    assert np.isfinite(survey(image, PIXEL).excess)


def test_crystals_of_ice_are_spots():
    structure, rng = ice(seed=3)
    image = counted(structure, rng)
    plain = survey(image, PIXEL, power_spectrum(image, PIXEL))
    y, x = np.mgrid[:1024, :1024] * PIXEL
    image += 1.0 * np.cos(2 * np.pi * (0.8 * x + 0.6 * y) / 3.67).astype(np.float32)
    crystal = survey(image, PIXEL, power_spectrum(image, PIXEL))
    assert plain.words == "" and plain.spots < plain.chance
    assert crystal.words == "crystalline ice" and crystal.spots > 2 * crystal.chance
    coarse = survey(image, 2.2, power_spectrum(image, 2.2))
    assert np.isnan(coarse.spots) and "ice" not in coarse.words


def test_scale_and_offset_do_not_matter():
    structure, rng = ice(seed=4)
    film = np.arange(1024)[None, :] > 700
    image = counted(structure * np.where(film, 2.2, 1.0), rng)
    found, again = survey(image, PIXEL), survey(-3 * image + 1000, PIXEL)
    assert again.carbon == found.carbon and again.excess == pytest.approx(found.excess, rel=1e-3)


def test_an_image_on_another_device_gives_the_same():
    structure, rng = ice(600, seed=5)
    image = counted(structure * np.where(np.arange(600)[:, None] > 350, 2.2, 1.0), rng)
    device = array_api_strict.Device("device1")
    ours, theirs = survey(image, PIXEL), survey(array_api_strict.asarray(image, device=device), PIXEL)
    np.testing.assert_array_equal(theirs.film, ours.film)
    assert theirs.excess == pytest.approx(ours.excess, rel=1e-4)


def test_too_small_an_image_is_refused():
    with pytest.raises(ValueError, match="too small"):
        survey(np.zeros((64, 64), np.float32), PIXEL)
