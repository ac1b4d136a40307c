"""Half maps with known resolution: their halves correlate as the truth says."""

import numpy as np
import pytest

from cryowidgets.kernels import fsc
from cryowidgets.sim import halfmaps


@pytest.mark.parametrize("sharp", [False, True])
def test_halves_correlate_to_the_resolution_that_is_said(sharp):
    made = halfmaps.simulate((64, 64, 64), 2.0, (9.0, 9.0), sharp=sharp, fill=1.0, contrast=3.0, seed=3)
    edge = 0.5 - 0.5 * np.cos(np.pi * np.clip((32 - np.sqrt(_squares(64))) / 8, 0, 1))
    frequency, curve = fsc.fsc(made.half1 * edge.astype(np.float32), made.half2 * edge.astype(np.float32))
    assert fsc.crossing(frequency, curve, pixel_size=2.0) == pytest.approx(9, rel=0.07)
    assert (made.truth == 9).all()


def test_each_side_has_its_own():
    made = halfmaps.simulate((48, 40, 40), 1.5, (4.0, 9.0), seed=1)
    assert set(made.truth[made.distance < 0]) == {4.0} and set(made.truth[made.distance >= 0]) == {9.0}
    rough = np.abs(np.diff(made.signal, axis=1))
    assert rough[made.distance[:, :-1] < -5].mean() > 2 * rough[made.distance[:, :-1] > 5].mean()
    assert np.std(made.half1 - made.signal) == pytest.approx(1, abs=0.01)
    again = halfmaps.simulate((48, 40, 40), 1.5, (4.0, 9.0), seed=1)
    np.testing.assert_array_equal(made.half1, again.half1)


def _squares(n):
    axis = np.square(np.arange(n) - n // 2)
    return axis[:, None, None] + axis[:, None] + axis
