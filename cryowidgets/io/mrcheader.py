"""The header of an MRC file (Cheng et al., J. Struct. Biol. 192 (2015) 146, doi:10.1016/j.jsb.2015.04.002).

Bytes (mode 0) are signed since version 20140 of the format and were unsigned for many programs before. Believed are, in
this order: who opens the file; the flags of IMOD and SerialEM; a recorded minimum below 0; the version; the recorded
maximum; and, where all that says nothing or contradicts itself, the data, whose values are on both sides of 0 (as -1
and 1) or of the middle (as 127 and 128).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from mrcfile.dtypes import HEADER_DTYPE, get_ext_header_dtype

from cryowidgets.errors import InputError
from cryowidgets.io import nibbles

LENGTH = HEADER_DTYPE.itemsize  # 1024
MODES = {"u1": 0, "i1": 0, "i2": 1, "f4": 2, "u2": 6, "f2": 12}
_DTYPES = {0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2", 101: "u1"}
_REFUSED = {3: "complex integers", 4: "complex numbers", 16: "colours"}
_IMOD_STAMP = 1146047817  # marks files of IMOD and SerialEM, in which flags tell how to read bytes
_SIGNED_BYTES, _PAIRS = 1, 16
_STANDARD = 20140
_AXES = ([1, 2, 3], [0, 0, 0])  # the second of some old programs
_EXTENDED = 4096  # bytes of the extended header that are read: more than a record of it
_SAMPLE = 1 << 16  # bytes of data that are looked at where nothing else tells whether they are signed


@dataclass(frozen=True)
class Header:
    """What is known of an MRC file from its header.

    Attributes
    ----------
    shape : (int, int, int)
        Frames (or sections), y, x.
    dtype : numpy.dtype
        With the byte order of the file.
    pixel_size : float
        Å/px along x; 0 where the file does not tell.
    offset : int
        Where the data begin, bytes.
    packed : bool
        Two counts in each byte; rows begin with a new byte.
    order : (int, int, int)
        Along which of x (1), y (2) and z (3) sections, rows and columns of the file are. That of movies is (3, 2, 1);
        where it is another, as in some maps, `shape` is that in the file.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype
    pixel_size: float
    offset: int
    packed: bool = False
    order: tuple[int, int, int] = (3, 2, 1)

    @property
    def native(self) -> np.dtype:
        return self.dtype.newbyteorder("=")

    @property
    def frame_bytes(self) -> int:
        across = (self.shape[2] + 1) // 2 if self.packed else self.shape[2] * self.dtype.itemsize
        return self.shape[1] * across

    @property
    def end(self) -> int:
        """Where the data end, bytes: the least size that the file must have."""
        return self.offset + self.shape[0] * self.frame_bytes

    @property
    def direct(self) -> bool:
        """Whether the bytes of a frame in the file are those of the array."""
        return self.dtype.isnative and not self.packed

    def decode(self, raw: np.ndarray, out: np.ndarray) -> None:
        """Make the image `out` (y, x) from a frame as it is in the file (bytes, uint8)."""
        if self.packed:
            nibbles.unpack(raw.reshape(self.shape[1], -1), out)
        else:
            out[...] = raw.view(self.dtype).reshape(self.shape[1:])


def read_header(path: str | os.PathLike, signed: bool | None = None) -> Header:
    """Read and check the header; see `read_from`."""
    try:
        with open(path, "rb") as file:
            return read_from(path, file, signed)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error


def read_from(path: str | os.PathLike, file: BinaryIO, signed: bool | None = None) -> Header:
    """Read and check the header at the beginning of a stream of bytes.

    Parameters
    ----------
    path : path
        For the errors.
    signed : bool, optional
        Whether bytes are signed; without it, see above.

    Raises
    ------
    InputError
        The stream is empty, not MRC, or of a mode that holds no movie.
    """
    raw = file.read(LENGTH)
    if not raw:
        raise InputError(f"{path} is empty (0 bytes).")
    if len(raw) < LENGTH:
        raise InputError(f"{path} is truncated: an MRC header takes {LENGTH} bytes and the file has {len(raw)}.")
    h = next((h for order in "<>" if _plausible(h := _unpack(raw, order))), None)
    if h is None:
        raise InputError(f"{path} is not an MRC file: its header makes no sense in either byte order.")
    mode = int(h["mode"])
    if mode in _REFUSED:
        raise InputError(
            f"{path} holds {_REFUSED[mode]} (MRC mode {mode}): convert it to bytes, integers or floats "
            f"(modes {', '.join(map(str, _DTYPES))})."
        )
    rest = int(h["nsymbt"])
    extended = file.read(min(rest, _EXTENDED))
    pairs = mode == 0 and signed is None and _pairs(h)
    dtype = np.dtype(_DTYPES[mode]).newbyteorder(h.dtype["nx"].byteorder)
    if mode == 0:
        if signed is None and not pairs:
            signed = _signed(h)
        if signed is None:
            file.read(max(rest - _EXTENDED, 0))
            signed = _looks_signed(np.frombuffer(file.read(_SAMPLE), np.uint8))
        dtype = np.dtype("i1" if signed else "u1")
    frames, height, width = (int(h[n]) for n in ("nz", "ny", "nx"))
    return Header(
        shape=(frames, height, 2 * width if pairs else width),
        dtype=dtype,
        pixel_size=_pixel_size(h, extended) / (2 if pairs and int(h["mx"]) == width else 1),
        offset=LENGTH + int(h["nsymbt"]),
        packed=pairs or mode == 101,
        order=tuple(int(h[n]) or usual for n, usual in (("maps", 3), ("mapr", 2), ("mapc", 1))),
    )


def header(
    shape: tuple[int, ...],
    dtype: np.dtype | type,
    pixel_size: float = 0.0,
    statistics: tuple[float, float, float, float] | None = None,
) -> bytes:
    """The 1024 bytes that begin a little-endian stack of `shape` (sections, y, x).

    `statistics` are minimum, maximum, mean and standard deviation; without them the header says "not determined".
    """
    dtype = np.dtype(dtype)
    kind = dtype.str[1:]
    if kind not in MODES:
        known = ", ".join(str(np.dtype(k)) for k in MODES)
        raise ValueError(f"MRC has no mode for {dtype}: convert to one of {known}")
    h = np.zeros((), HEADER_DTYPE)
    h["nz"], h["ny"], h["nx"] = shape
    h["mz"], h["my"], h["mx"] = shape
    h["mode"] = MODES[kind]
    for axis, n in zip("zyx", shape, strict=True):
        h["cella"][axis] = n * pixel_size
    for angle in ("alpha", "beta", "gamma"):
        h["cellb"][angle] = 90
    h["mapc"], h["mapr"], h["maps"] = 1, 2, 3
    h["ispg"], h["nversion"] = 0, _STANDARD
    h["map"], h["machst"] = b"MAP ", (0x44, 0x44, 0, 0)
    h["dmin"], h["dmax"], h["dmean"], h["rms"] = statistics or (0, -1, -2, -1)
    if kind == "u1":
        extra = np.zeros(21, "<i4")
        extra[10] = _IMOD_STAMP  # with no flag set: bytes are unsigned
        h["extra2"] = extra.tobytes()
    h["nlabl"] = 1
    h["label"][0] = b"cryowidgets"
    return h.tobytes()


def _unpack(raw: bytes, order: str) -> np.ndarray:
    return np.frombuffer(raw, HEADER_DTYPE.newbyteorder(order))[0]


def _plausible(h: np.ndarray) -> bool:
    # The machine stamp is not asked: old programs left it wrong or empty.
    sizes = all(0 < int(h[n]) < 1 << 24 for n in ("nx", "ny", "nz"))
    mode = int(h["mode"]) in _DTYPES or int(h["mode"]) in _REFUSED
    return sizes and mode and 0 <= int(h["nsymbt"]) < 1 << 28 and sorted((h["mapc"], h["mapr"], h["maps"])) in _AXES


def _pixel_size(h: np.ndarray, extended: bytes) -> float:
    """Å/px: by the cell, else by the extended header of EPU's programs, else 0."""
    width, cell = int(h["mx"]) or int(h["nx"]), float(h["cella"]["x"])
    if np.isfinite(cell) and cell > 0 and width > 0:
        return cell / width
    if bytes(h["exttyp"]) in (b"FEI1", b"FEI2"):
        record = get_ext_header_dtype(bytes(h["exttyp"]), h.dtype["nx"].byteorder)
        if len(extended) >= record.itemsize:
            across = float(np.frombuffer(extended, record, count=1)["Pixel size X"][0]) * 1e10
            return across if 0.01 < across < 1e5 else 0.0
    return 0.0


def _flags(h: np.ndarray) -> int | None:
    stamp, flags = np.frombuffer(h["extra2"].tobytes()[40:48], h.dtype["nx"])
    return int(flags) if stamp == _IMOD_STAMP else None


def _pairs(h: np.ndarray) -> bool:
    """Whether the bytes of a mode 0 file are pairs of counts: by the flags of IMOD, else by label and size."""
    if (_flags(h) or 0) & _PAIRS:
        return True
    labelled = int(h["nlabl"]) == 1 and b"4 bits packed" in bytes(h["label"][0])
    return labelled and nibbles.halved(int(h["ny"]), int(h["nx"]))


def _signed(h: np.ndarray) -> bool | None:
    """Whether the bytes of a mode 0 file are signed, by the header; None where it does not tell."""
    flags = _flags(h)
    if flags is not None:
        return bool(flags & _SIGNED_BYTES)
    if h["dmin"] < 0:
        return True
    if h["nversion"] >= _STANDARD:
        return None if h["dmax"] > 127 else True  # no signed byte is as large
    if not h["dmax"] > h["dmin"]:
        return None  # not determined
    return not h["dmax"] > 127


def _looks_signed(sample: np.ndarray) -> bool:
    counts = np.bincount(sample, minlength=256)

    def crossed(first: int, end: int) -> int:
        """How many values there are on both sides of the place where a jump would be, 8 to each side."""
        around = np.roll(counts, -first)[: end - first]
        return min(int(around[:8].sum()), int(around[8:].sum()))

    return crossed(248, 264) >= crossed(120, 136)
