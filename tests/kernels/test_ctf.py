"""Laws of the transfer function, and values that anybody can compute by hand."""

import math

import array_api_strict
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryowidgets.kernels import ctf

MICROSCOPE = {"voltage": 300.0, "cs": 2.7, "amplitude_contrast": 0.1}


@pytest.mark.parametrize("voltage, expected", [(300, 0.0196875), (200, 0.0250793), (120, 0.0334922)])
def test_wavelength_is_that_of_the_tables(voltage, expected):
    assert ctf.wavelength(voltage) == pytest.approx(expected, rel=2e-5)


def test_zero_frequency_is_minus_the_amplitude_contrast():
    assert ctf.ctf_2d((8, 8), 1.0, 15000, 14000, 20, **MICROSCOPE)[0, 0] == pytest.approx(-0.1, abs=1e-6)


def test_first_zero_where_chi_is_pi():
    k = np.linspace(1e-3, 0.1, 200001)
    values = ctf.ctf_1d(k, 20000.0, **MICROSCOPE)
    first = k[np.flatnonzero(np.diff(np.sign(values)))[0]]
    # pi lam k² d - pi/2 lam³ cs k⁴ + asin(.1) = pi, solved for k²
    lam, cs = ctf.wavelength(300), 2.7e7
    p, q = 20000 / (lam**2 * cs), (1 - math.asin(0.1) / math.pi) * 2 / (lam**3 * cs)
    assert first == pytest.approx(math.sqrt(p - math.sqrt(p * p - q)), abs=1e-6)


def test_raw_images_are_dark_under_focus():
    assert (ctf.ctf_1d(np.linspace(0, 0.02, 50), 15000.0, **MICROSCOPE) < 0).all()


@pytest.mark.parametrize("shape", [(16, 16), (15, 18), (18, 15), (7, 9)])
def test_layouts_hold_the_same_values(shape):
    args = (shape, 1.3, 18000, 15000, 33.0)
    half = ctf.ctf_2d(*args, **MICROSCOPE)
    whole = ctf.ctf_2d(*args, **MICROSCOPE, layout="fft")
    centred = ctf.ctf_2d(*args, **MICROSCOPE, layout="centred")
    np.testing.assert_array_equal(np.fft.fftshift(whole), centred)
    # at the Nyquist column or row +k and -k are one element, and only one of the two signs is stored
    np.testing.assert_allclose(
        whole[: (shape[0] + 1) // 2, : (shape[1] + 1) // 2],
        half[: (shape[0] + 1) // 2, : (shape[1] + 1) // 2],
        atol=1e-6,
    )
    assert half.dtype == np.float32 and half.shape == (shape[0], shape[1] // 2 + 1)


def test_unknown_layout_is_refused():
    with pytest.raises(ValueError, match="'rfft', 'fft' or 'centred'"):
        ctf.ctf_2d((8, 8), 1, 1, 1, 0, **MICROSCOPE, layout="half")


def test_angle_runs_from_x_to_y():
    """With U along +45° the defocus seen at kx = ky > 0 is U."""
    n, index = 64, 8
    _, cos2, sin2 = ctf.polar((n, n), 1.0)
    d, a, b = ctf.to_terms(20000, 15000, 45.0)
    seen = d + a * cos2 + b * sin2
    assert seen[index, index] == pytest.approx(20000)
    assert seen[-index, index] == pytest.approx(15000)
    assert ctf.defocus_at(np.array([45.0, -45.0, 0.0]), 20000, 15000, 45.0) == pytest.approx([20000, 15000, 17500])


def test_transposing_the_image_mirrors_the_angle():
    first = ctf.ctf_2d((32, 48), 1.1, 18000, 12000, 20, **MICROSCOPE, layout="fft")
    second = ctf.ctf_2d((48, 32), 1.1, 18000, 12000, 70, **MICROSCOPE, layout="fft")
    np.testing.assert_allclose(first, second.T, atol=1e-5)


def test_a_phase_shift_of_180_changes_the_sign():
    args = ((32, 32), 1.0, 15000, 15000, 0)
    np.testing.assert_allclose(
        ctf.ctf_2d(*args, **MICROSCOPE), -ctf.ctf_2d(*args, **MICROSCOPE, phase_shift=180), atol=1e-5
    )


@given(st.floats(-40000, 40000), st.floats(0.1, 5000), st.floats(-89.9, 90))
def test_terms_and_axes_are_the_same_thing(v, difference, angle):
    u2, v2, angle2 = ctf.from_terms(*ctf.to_terms(v + difference, v, angle))
    assert (u2, v2) == pytest.approx((v + difference, v), abs=1e-6)
    assert -90 < angle2 <= 90
    assert math.sin(math.radians(angle2 - angle)) == pytest.approx(0, abs=1e-6)


@given(st.floats(-1e5, 1e5), st.floats(-1e4, 1e4), st.floats(-1e4, 1e4))
def test_u_is_never_below_v(d, a, b):
    u, v, angle = ctf.from_terms(d, a, b)
    assert u >= v and -90 < angle <= 90


@pytest.mark.parametrize("layout", ["rfft", "fft", "centred"])
def test_other_array_libraries_agree(layout):
    args = ((33, 40), 1.2, 21000, 19000, -35)
    ours = ctf.ctf_2d(*args, **MICROSCOPE, phase_shift=30, layout=layout)
    theirs = ctf.ctf_2d(*args, **MICROSCOPE, phase_shift=30, layout=layout, xp=array_api_strict)
    np.testing.assert_allclose(ours, np.asarray(theirs), atol=1e-6)


def test_one_dimension_takes_the_library_of_its_argument():
    k = np.linspace(0, 0.3, 40)
    ours = ctf.ctf_1d(k, 12000.0, **MICROSCOPE)
    theirs = ctf.ctf_1d(array_api_strict.asarray(k), 12000.0, **MICROSCOPE)
    np.testing.assert_allclose(ours, np.asarray(theirs), atol=1e-12)
