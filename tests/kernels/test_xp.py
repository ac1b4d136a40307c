"""Arrays of any library, host and back."""

import array_api_strict
import numpy as np
import pytest

from cryowidgets.kernels import xp


def test_the_library_is_that_of_the_arrays():
    ours, strict = np.zeros(2), array_api_strict.zeros(2)
    assert xp.namespace(ours, 3.0, None, [1]) is np
    assert xp.namespace(1, np.float64(2), strict) is array_api_strict
    assert xp.namespace(2.0) is np
    with pytest.raises(TypeError, match=r"numpy and of array_api_strict are mixed: .*to_device"):
        xp.namespace(ours, strict)


def test_to_device_and_back_keeps_values():
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    there = xp.to_device(x, array_api_strict.zeros(1))
    assert there.__array_namespace__() is array_api_strict
    assert there.dtype == array_api_strict.float32
    assert xp.to_device(there, there) is there
    np.testing.assert_array_equal(xp.asnumpy(there), x)
    np.testing.assert_array_equal(xp.to_device(there, np.zeros(1)), x)
