"""Arrays of any library, host and back, and the number of threads."""

import os
import subprocess
import sys

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


def test_threads_are_what_was_set(monkeypatch):
    monkeypatch.setattr(xp, "_threads", 1)
    xp.set_threads(3)
    assert xp.threads() == 3
    with pytest.raises(ValueError, match="at least 1"):
        xp.set_threads(0)


@pytest.mark.parametrize(("text", "n"), [("2", 2), ("", 1), ("many", 1), ("0", 1)])
def test_threads_come_from_the_environment(text, n):
    code = "from cryowidgets.kernels.xp import threads; print(threads())"
    env = {**os.environ, "CRYOWIDGETS_THREADS": text}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert int(done.stdout) == n
