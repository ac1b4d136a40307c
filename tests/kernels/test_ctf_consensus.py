"""Agreement of two CTFs against a disc of pixels, the formula in closed form, and the laws of a mean."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryowidgets.kernels.ctf import chi, defocus_at, to_terms
from cryowidgets.kernels.ctfconsensus import Aberration, agreement, mean

defocus = st.floats(3000, 40000)
estimate = st.builds(
    lambda d, astigmatism, angle, phase: Aberration(d + astigmatism / 2, d - astigmatism / 2, angle, phase),
    defocus,
    st.floats(0, 2000),
    st.floats(-90, 90),
    st.floats(0, 180),
)


def counted(first, second, voltage, finest, side=1500):
    """Share of the pixels of a disc in which the phases differ by less than 90°, spherical aberration and all."""
    x = (np.arange(side) - (side - 1) / 2) / (side / 2) / finest
    k2 = x[None, :] ** 2 + x[:, None] ** 2
    azimuth = np.degrees(np.arctan2(x[:, None], x[None, :]))
    disc = k2 <= finest**-2
    one, two = (chi(k2, defocus_at(azimuth, *e[:3]), voltage, 2.7, 0.1, e.phase_shift) for e in (first, second))
    return np.mean(np.abs(one - two)[disc] < math.pi / 2)


@pytest.mark.parametrize("voltage, finest", [(300.0, 1.7), (200.0, 3.0)])
@pytest.mark.parametrize(
    "first, second",
    [
        (Aberration(15100, 14900, 20), Aberration(15000, 14800, 20)),
        (Aberration(15500, 14500, 20), Aberration(15500, 14500, -70)),
        (Aberration(20600, 20000, 45), Aberration(19000, 18900, 10)),
        (Aberration(10000, 9000, 0, 30), Aberration(10500, 9800, 30, 70)),
        (Aberration(10500, 9800, 30, 30), Aberration(10000, 9000, 0, 70)),
        (Aberration(12000, 12000, 0, 90), Aberration(12000, 12000, 0, 10)),
    ],
)
def test_the_area_is_that_of_a_disc_of_pixels_within_one_per_cent(first, second, voltage, finest):
    found, share = agreement(first, second, voltage, finest), counted(first, second, voltage, finest)
    assert found.resolution == pytest.approx(finest / math.sqrt(share), rel=0.01)
    assert found.linear == pytest.approx(finest / share, rel=0.01)


@pytest.mark.parametrize("difference, resolution", [(100, 2.0), (500, 4.4), (1000, 6.3)])
def test_what_a_difference_of_defocus_alone_means_at_300_kv(difference, resolution):
    first, second = Aberration(15000 + difference, 15000 + difference, 0), Aberration(15000, 15000, 0)
    found = agreement(first, second, 300.0, 1.0)
    assert found.resolution == pytest.approx(resolution, abs=0.05)
    assert found.linear == pytest.approx(found.resolution**2)
    assert (found.defocus, found.astigmatism, found.phase_shift) == (difference, 0, 0)


def test_equal_estimates_agree_to_the_rim_and_a_right_angle_nowhere():
    one = Aberration(15000, 14000, 30, 20)
    assert agreement(one, one, 300.0, 1.7).resolution == agreement(one, one, 300.0, 1.7).linear == 1.7
    turned = Aberration(15000, 14000, 30, 110)
    assert agreement(one, turned, 300.0, 1.7).resolution == math.inf
    assert agreement(one, turned, 300.0, 1.7).fraction == 0


@given(estimate, estimate)
def test_agreement_is_symmetric_and_the_linear_version_is_never_finer(first, second):
    there, back = agreement(first, second, 300.0, 2.0), agreement(second, first, 300.0, 2.0)
    assert there.fraction == pytest.approx(back.fraction)
    assert 2.0 <= there.resolution <= there.linear
    assert (there.defocus, there.phase_shift) == (-back.defocus, -back.phase_shift)
    assert there.astigmatism == pytest.approx(back.astigmatism)


@given(estimate, estimate)
def test_a_mean_lies_halfway_in_every_direction(first, second):
    middle = mean(first, second)
    azimuth = np.arange(0, 180, 15.0)
    halfway = (defocus_at(azimuth, *first[:3]) + defocus_at(azimuth, *second[:3])) / 2
    np.testing.assert_allclose(defocus_at(azimuth, *middle[:3]), halfway, atol=1e-6)
    assert middle.defocus_u >= middle.defocus_v
    assert middle.phase_shift == pytest.approx((first.phase_shift + second.phase_shift) / 2)


@given(estimate)
def test_the_mean_of_an_estimate_with_itself_is_it(estimate):
    np.testing.assert_allclose(to_terms(*mean(estimate, estimate)[:3]), to_terms(*estimate[:3]), atol=1e-6)
