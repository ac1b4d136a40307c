"""Which array library an argument belongs to, and the way to the host and back.

Kernels are written once, to the Python array API standard, and run where their arguments live: numpy, cupy (14 or
newer), or any other library of the standard. Only this module and `cryowidgets.kernels.fourier` tell them apart.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def namespace(*arrays: Any) -> Any:
    """The array library to compute with: that of the arrays among the arguments.

    Plain numbers, lists and None go with any library; where there is nothing else, it is numpy.

    Raises
    ------
    TypeError
        Arrays of two libraries, which no library can add up.
    """
    found: Any = None
    for array in arrays:
        here = _library(array)
        if here is None:
            continue
        if found is not None and here is not found:
            raise TypeError(
                f"Arrays of {found.__name__} and of {here.__name__} are mixed: bring them together with to_device()."
            )
        found = here
    return np if found is None else found


def asnumpy(x: Any) -> np.ndarray:
    """The values of any array (or list, or number) as a numpy array; from a GPU they are copied."""
    if _is_cupy(x):
        return x.get()
    return np.asarray(x) if _library(x) in (None, np) else np.from_dlpack(x)


def to_device(x: Any, like: Any) -> Any:
    """The array `x`, wherever it is, as an array of the library of `like` and beside it on the same device."""
    xp = namespace(like)
    if xp is np:
        return asnumpy(x)
    if _library(x) is xp:
        return x
    if _is_cupy(like):
        with like.device:
            return xp.asarray(asnumpy(x))
    return xp.asarray(asnumpy(x), device=like.device)


def zeros(shape: tuple[int, ...], like: Any) -> Any:
    """Zeros, float32, in the library of `like` and beside it on the same device."""
    xp = namespace(like)
    if xp is np:
        return np.zeros(shape, np.float32)
    if _is_cupy(like):
        with like.device:
            return xp.zeros(shape, dtype=xp.float32)
    return xp.zeros(shape, dtype=xp.float32, device=like.device)


def beside(like: Any) -> dict[str, Any]:
    """What functions that make arrays are to be told, so that they make them on the device of `like`."""
    return {} if namespace(like) is np or _is_cupy(like) else {"device": like.device}


def put(x: Any, index: Any, values: Any) -> Any:
    """The array `x` (1-D) with ``x[index] = values``; in place where the library can, so go on with the result.

    The standard has no such operation: where `x` is neither of numpy nor of cupy, it is made from masks.
    """
    xp = namespace(x)
    if xp is np or _is_cupy(x):
        x[index] = values
        return x
    rank = np.full(x.shape, -1, np.int64)
    rank[asnumpy(index)] = np.arange(index.shape[0])
    ranks = to_device(rank, x)
    return xp.where(ranks < 0, x, xp.take(values, xp.where(ranks < 0, xp.zeros_like(ranks), ranks)))


def _library(x: Any) -> Any:
    """The array library of `x`, None where it is no array; a scalar of numpy goes with any library."""
    if isinstance(x, np.generic):
        return None
    if hasattr(x, "__array_namespace__"):
        return x.__array_namespace__()
    if _is_cupy(x):  # its functions follow the standard, its arrays do not tell
        import cupy

        return cupy
    return None


def _is_cupy(x: Any) -> bool:
    return type(x).__module__.partition(".")[0] == "cupy"
