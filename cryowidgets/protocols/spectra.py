"""Power spectra as files: MRC, half plane as of ``rfft2``, so that any program can look at them."""

from __future__ import annotations

import os

import numpy as np

from cryowidgets.errors import InputError
from cryowidgets.io import mrc
from cryowidgets.kernels.spectrum import Spectrum
from cryowidgets.kernels.xp import asnumpy


def write_spectrum(path: str | os.PathLike, spectrum: Spectrum) -> None:
    """Write a mean spectrum as an image of (box, box // 2 + 1) float32; the pixel size is that of `spectrum`."""
    mrc.write(path, asnumpy(spectrum.power).astype(np.float32), spectrum.pixel_size)


def read_spectrum(path: str | os.PathLike) -> Spectrum:
    """Read what `write_spectrum` wrote. How many tiles it is the mean of is not in the file, and told as 1.

    Raises
    ------
    InputError
        The file is missing or damaged, or is not a half plane.
    """
    power = mrc.read(path)
    pixel_size = mrc.read_header(path).pixel_size
    if power.ndim != 2 or power.shape[1] != power.shape[0] // 2 + 1 or pixel_size <= 0:
        raise InputError(
            f"{path} is not a power spectrum: it has {' × '.join(map(str, power.shape))} px of {pixel_size:g} Å, where "
            "n × (n / 2 + 1) px of a known size are needed."
        )
    return Spectrum(power, pixel_size, 1)
