"""Local resolution of maps whose resolution is known, by halves and by the noise of the solvent."""

import dataclasses
import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryowidgets.kernels import localresolution, monogenic
from cryowidgets.kernels.localbands import Places, nonincreasing
from cryowidgets.sim import halfmaps
from tests.libraries import LIBRARIES

PIXEL = 2.0


@functools.lru_cache
def maps(shape=(48, 48, 48), resolutions=(9.0, 9.0), seed=1, **values):
    return halfmaps.simulate(shape, PIXEL, resolutions, seed=seed, **{"fill": 0.65, **values})


def by_halves(made, **values):
    return localresolution.by_halves(made.half1, made.half2, made.mask.astype(np.float32), PIXEL, **values)


def by_noise(made, **values):
    return monogenic.by_noise((made.half1 + made.half2) / 2, made.mask.astype(np.float32), PIXEL, **values)


BOTH = pytest.mark.parametrize("way", [by_halves, by_noise])


@BOTH
@pytest.mark.parametrize("sharp", [False, True])
def test_the_resolution_of_an_even_map_is_found(way, sharp):
    made = maps(sharp=sharp)
    found = way(made)
    assert found.reason == "" and found.resolved == 1
    assert np.median(found.values[made.mask]) == pytest.approx(9, rel=0.1)
    assert not found.values[~made.mask].any()


@BOTH
@pytest.mark.parametrize("shape", [(45, 45, 45), (40, 52, 61)])
def test_odd_boxes_and_boxes_with_other_sides_are_as_good(way, shape):
    made = maps(shape)
    assert np.median(way(made).values[made.mask]) == pytest.approx(9, rel=0.1)


@BOTH
def test_the_more_blur_the_coarser(way):
    medians = [np.median(way(m := maps(resolutions=(d, d))).values[m.mask]) for d in (5.0, 7.0, 10.0)]
    assert medians == sorted(medians)
    np.testing.assert_allclose(medians, (5, 7, 10), rtol=0.12)


@BOTH
def test_two_halves_of_a_molecule_are_told_apart(way):
    made = maps((60, 60, 60), (5.0, 10.0), sharp=True, contrast=5.0, fill=0.85)
    values = way(made).values
    for side, true in ((made.distance < -9, 5.0), (made.distance > 15, 10.0)):
        assert np.median(np.abs(values[made.mask & side] - true)) < 0.1 * true


def test_it_is_the_correlation_of_windows_cut_out():
    """Products of bands averaged over a window, beside windows that are cut out first and transformed each."""
    made = maps((48, 48, 48), (6.0, 12.0), contrast=5.0)
    places = Places(np.ones(made.mask.shape, np.float32))
    curves, _ = localresolution.correlations(made.half1, made.half2, places)
    chosen = np.argwhere(places.chosen)
    axes = np.meshgrid(*(np.arange(48.0),) * 3, indexing="ij", sparse=True)
    k = np.sqrt(sum(np.square(np.fft.fftfreq(48)).reshape(s) for s in ((-1, 1, 1), (1, -1, 1), (1, 1, -1))))
    fast, slow = [], []
    for number, frequency in list(enumerate(places.frequencies))[8::3]:
        away = np.log(np.maximum(k, 1e-9) / frequency)
        part = np.where(np.abs(away) < 0.2, np.cos(np.pi / 2 * away / 0.2) ** 4, 0)
        for z in (14, 24, 34):
            place = int(
                np.argmin(np.abs(np.array([places.at[i][chosen[:, i]] for i in range(3)]).T - (z, 22, 26)).sum(1))
            )
            centre = [places.at[i][chosen[place, i]] for i in range(3)]
            squares = sum(np.square(axis - c) for axis, c in zip(axes, centre, strict=True))
            window = np.exp(-squares * (frequency / 1.4) ** 2 / 4)  # its square is the window of the products
            a, b = (np.fft.fftn(half * window) for half in (made.half1, made.half2))
            cross, one, two = ((part * x).sum() for x in ((a * b.conj()).real, abs(a) ** 2, abs(b) ** 2))
            slow.append(cross / np.sqrt(one * two))
            fast.append(curves[number, place])
    assert len(fast) > 15 and np.corrcoef(fast, slow)[0, 1] > 0.98
    assert np.abs(np.subtract(fast, slow)).mean() < 0.05


def test_noise_has_at_least_as_many_values_in_a_window_as_is_said():
    halves = np.random.default_rng(5).standard_normal((2, 56, 56, 56), np.float32)
    places = Places(np.ones(halves.shape[1:], np.float32), 1.4)
    chosen = np.argwhere(places.chosen)
    middle = np.all([np.abs(places.at[i][chosen[:, i]] - 28) < 14 for i in range(3)], axis=0)  # windows end in the box
    curves, freedom = (x[:, middle] for x in localresolution.correlations(*halves, places))
    here = (places.frequencies > 0.25) & (places.frequencies < 0.35)
    assert 0.6 < (np.square(curves) * freedom)[here].mean() < 1.1


def test_nobody_comes_first_and_contrast_does_not_count():
    made = maps()
    mask = made.mask.astype(np.float32)
    plain = by_halves(made).values
    other = localresolution.by_halves(50 * made.half2, 50 * made.half1, mask, PIXEL).values
    np.testing.assert_allclose(other, plain, rtol=1e-3)
    alone = monogenic.by_noise(50 * made.half1, mask, PIXEL).values
    np.testing.assert_allclose(alone, monogenic.by_noise(made.half1, mask, PIXEL).values, rtol=1e-3)


def test_a_higher_threshold_gives_a_coarser_resolution():
    made = maps()
    assert (
        np.median(by_halves(made, threshold=0.5).values[made.mask]) > np.median(by_halves(made).values[made.mask]) + 1
    )


def test_halves_that_are_one_map_are_as_fine_as_can_be_and_that_is_said():
    made = maps()
    found = localresolution.by_halves(made.half1, made.half1, made.mask.astype(np.float32), PIXEL)
    assert "one and the same" in found.reason
    np.testing.assert_allclose(found.values[made.mask], found.limits[0])
    assert found.limits[0] == 2 * PIXEL


@BOTH
def test_in_noise_nothing_is_found_and_that_is_said(way):
    one, two = np.random.default_rng(8).standard_normal((2, 48, 48, 48), np.float32)
    found = way(dataclasses.replace(maps(), half1=one, half2=two))
    assert "stands out of the noise" in found.reason and found.resolved < 0.05


@BOTH
def test_an_empty_mask_is_said(way):
    assert "mask is empty" in way(dataclasses.replace(maps(), mask=np.zeros_like(maps().mask))).reason


def test_a_map_without_noise_around_it_is_said():
    made = maps()
    mask = made.mask.astype(np.float32)
    assert "solvent is flat" in monogenic.by_noise(made.half1 * mask, mask, PIXEL).reason
    assert "no solvent" in monogenic.by_noise(made.half1, np.ones_like(mask), PIXEL).reason


def test_what_does_not_belong_together_is_refused():
    a, b = np.zeros((8, 8, 8), np.float32), np.zeros((8, 8, 9), np.float32)
    with pytest.raises(ValueError, match="three alike"):
        localresolution.by_halves(a, b, a, 1.0)
    with pytest.raises(ValueError, match="two alike"):
        monogenic.by_noise(a, b, 1.0)
    for way in (lambda: localresolution.by_halves(a, a, a, 0), lambda: monogenic.by_noise(a, a, -1)):
        with pytest.raises(ValueError, match="pixel size"):
            way()


@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=9))
@settings(max_examples=50, deadline=None)
def test_curves_are_made_to_fall_as_pooling_neighbours_does(values):
    blocks = []  # pool adjacent violators, one after the other
    for value in values:
        blocks.append([value, 1])
        while len(blocks) > 1 and blocks[-2][0] < blocks[-1][0]:
            (a, n), (b, m) = blocks[-2:]
            blocks[-2:] = [[(a * n + b * m) / (n + m), n + m]]
    pooled = [value for value, n in blocks for _ in range(n)]
    np.testing.assert_allclose(nonincreasing(np.array(values)[:, None])[:, 0], pooled, atol=1e-9)


@LIBRARIES
def test_other_libraries_agree(library):
    made = maps((24, 25, 28), (8.0, 8.0))
    mask = made.mask.astype(np.float32)
    halves = [library(half) for half in (made.half1, made.half2)]
    found = localresolution.by_halves(*halves, library(mask), PIXEL).values
    np.testing.assert_allclose(found, by_halves(made).values, rtol=2e-3)
    found = monogenic.by_noise(halves[0], library(mask), PIXEL).values
    np.testing.assert_allclose(found, monogenic.by_noise(made.half1, mask, PIXEL).values, rtol=2e-3)
