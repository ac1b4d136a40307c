"""What RELION's motion correction records of a movie, which Bayesian polishing reads."""

from __future__ import annotations

import numpy as np

from cryowidgets.kernels import gain
from cryowidgets.kernels.localfield import DisplacementField, polynomial
from cryowidgets.model import Movie, Optics

NOT_OBSERVED = -9999.0
"""What RELION writes for the shift of a frame that was left out."""


def metadata(
    movie: Movie,
    optics: Optics,
    shape: tuple[int, int, int],
    numbers: range,
    shifts: np.ndarray,
    field: DisplacementField | None,
    binning: float,
    defects: gain.Defects | None,
    eer: tuple[int, int] = (1, 1),
) -> dict[str, dict]:
    """The blocks of the movie's own star file.

    RELION's shift is the correction, px of the movie: by how much to move the content of a frame so that it lies on
    that of the first. Content that drifts by +3 px has a shift of -3. Its rows are those of MRC, as ours are. Local
    motion is stored as its polynomial, the nearest to our field.

    Parameters
    ----------
    shape : (int, int, int)
        Of the movie: frames, y, x.
    numbers : range
        Frames used, counted from 0.
    shifts : (n, 2)
        Displacement of the whole frame, y and x in px.
    eer : (int, int)
        Upsampling, and raw frames in a fraction.
    """
    frames, height, width = shape
    correction = np.full((frames, 2), NOT_OBSERVED)
    correction[numbers.start : numbers.stop] = 0.0 - shifts
    general = {
        "rlnImageSizeX": width,
        "rlnImageSizeY": height,
        "rlnImageSizeZ": frames,
        "rlnMicrographMovieName": movie.path,
        **({"rlnMicrographGainName": movie.gain} if movie.gain else {}),
        "rlnMicrographBinning": float(binning),
        "rlnMicrographOriginalPixelSize": float(optics.pixel_size),
        "rlnMicrographDoseRate": float(optics.dose_per_frame),
        "rlnMicrographPreExposure": float(optics.pre_exposure),
        "rlnVoltage": float(optics.voltage),
        "rlnMicrographStartFrame": numbers.start + 1,
        "rlnEERUpsampling": eer[0],
        "rlnEERGrouping": eer[1],
        "rlnMotionModelVersion": 0 if field is None else 1,
    }
    blocks: dict[str, dict] = {
        "general": general,
        "global_shift": {
            "rlnMicrographFrameNumber": list(range(1, frames + 1)),
            "rlnMicrographShiftX": correction[:, 1].tolist(),
            "rlnMicrographShiftY": correction[:, 0].tolist(),
        },
    }
    if field is not None:
        coefficients = 0.0 - polynomial(field)[0].ravel()  # those of x, then those of y
        blocks["local_motion_model"] = {
            "rlnMotionModelCoeffsIdx": list(range(len(coefficients))),
            "rlnMotionModelCoeff": coefficients.tolist(),
        }
    if defects is not None and len(defects.found):  # those of the gain RELION sees itself
        y, x = np.divmod(defects.found, width)
        blocks["hot_pixels"] = {"rlnCoordinateX": x.astype(float).tolist(), "rlnCoordinateY": y.astype(float).tolist()}
    return blocks
