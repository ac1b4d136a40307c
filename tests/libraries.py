"""Array libraries other than numpy that a kernel must give the same numbers in."""

from __future__ import annotations

import array_api_strict
import pytest

DEVICE = array_api_strict.Device("device1")


def strict(array):
    """On a device that is not the default one."""
    return array_api_strict.asarray(array, device=DEVICE)


def on_a_gpu(array):
    cupy = pytest.importorskip("cupy", exc_type=ImportError)
    if not cupy.cuda.is_available():
        pytest.skip("no GPU")
    return cupy.asarray(array)


LIBRARIES = pytest.mark.parametrize("library", [strict, pytest.param(on_a_gpu, marks=pytest.mark.gpu)])
