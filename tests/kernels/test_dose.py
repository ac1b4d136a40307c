"""Exposure weighting: known values of the paper."""

import numpy as np
import pytest

from cryowidgets.kernels import dose


def test_critical_exposures_of_the_paper():
    # Figure 3 of the paper: about 4 e/Å² at 3 Å and about 25 at 20 Å
    k = np.array([1 / 3, 1 / 20, 0.0])
    got = dose.critical_exposure(k)
    assert got[0] == pytest.approx(0.24499 * 3**1.6649 + 2.8141)
    assert 4 < got[0] < 5 and 35 < got[1] < 45
    assert got[2] == np.inf


def test_voltage_scale_is_continuous_and_rises():
    volts = np.linspace(60, 400, 200)
    scale = np.array([dose.voltage_scale(v) for v in volts])
    assert (np.diff(scale) > 0).all() and np.diff(scale).max() < 0.02
    assert [dose.voltage_scale(v) for v in (100, 200, 300)] == pytest.approx([0.64, 0.8, 1])
    assert dose.voltage_scale(120) == pytest.approx(0.672)
