"""MRC files: images, stacks and movies (Cheng et al., J. Struct. Biol. 192 (2015) 146, doi:10.1016/j.jsb.2015.04.002).

Modes 0 (signed, or unsigned as older programs wrote it), 1, 2, 6 and 12, either byte order, and extended headers of
any kind. Rows are in the order of the file, which viewers draw from the bottom up.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mrcfile.dtypes import HEADER_DTYPE

from cryowidgets.errors import InputError
from cryowidgets.io.verdict import Verdict, blank, judge

_LENGTH = HEADER_DTYPE.itemsize  # 1024
_DTYPES = {0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2"}
_MODES = {"u1": 0, "i1": 0, "i2": 1, "f4": 2, "u2": 6, "f2": 12}
_REFUSED = {3: "complex integers", 4: "complex numbers", 101: "packed 4-bit integers"}
_IMOD_STAMP = 1146047817  # marks files of IMOD and SerialEM, whose flags tell whether bytes are signed
_SIGNED_BYTES = 1
_STANDARD = 20140  # since this version of the format, bytes are signed


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
    """

    shape: tuple[int, int, int]
    dtype: np.dtype
    pixel_size: float
    offset: int

    @property
    def frame_bytes(self) -> int:
        return self.shape[1] * self.shape[2] * self.dtype.itemsize

    @property
    def end(self) -> int:
        """Where the data end, bytes: the least size that the file must have."""
        return self.offset + self.shape[0] * self.frame_bytes


def read(path: str | os.PathLike) -> np.ndarray:
    """Read the whole file.

    Returns
    -------
    array (y, x) where the file holds one section, else (sections, y, x); in the byte order of this machine.

    Raises
    ------
    InputError
        The file is missing, empty, truncated, or not MRC.
    """
    with MrcMovie(path) as movie:
        out = np.empty(movie.shape, movie.dtype)
        for section, image in enumerate(out):
            image[:] = movie[section]
    return out[0] if len(out) == 1 else out


def write(path: str | os.PathLike, array: np.ndarray, pixel_size: float = 0.0) -> None:
    """Write an image (y, x) or a stack (sections, y, x) of uint8, int8, int16, uint16, float16 or float32.

    Parameters
    ----------
    pixel_size : float
        Å/px; 0 where unknown.
    """
    array = np.asarray(array)
    if array.ndim not in (2, 3):
        raise ValueError(f"an MRC file holds images of two or three dimensions, not {array.ndim}: {path}")
    stack = array.reshape(-1, *array.shape[-2:])
    with open(path, "wb") as file:
        file.write(header(stack.shape, stack.dtype, pixel_size, _statistics(stack)))
        for section in stack:
            file.write(np.ascontiguousarray(section, stack.dtype.newbyteorder("<")))


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
    if kind not in _MODES:
        known = ", ".join(str(np.dtype(k)) for k in _MODES)
        raise ValueError(f"MRC has no mode for {dtype}: convert to one of {known}")
    h = np.zeros((), HEADER_DTYPE)
    h["nz"], h["ny"], h["nx"] = shape
    h["mz"], h["my"], h["mx"] = shape
    h["mode"] = _MODES[kind]
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


def read_header(path: str | os.PathLike) -> Header:
    """Read and check the header.

    Raises
    ------
    InputError
        The file is missing, empty, not MRC, or of a mode that holds no movie.
    """
    try:
        with open(path, "rb") as file:
            raw = file.read(_LENGTH)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    return _parse(path, raw)


def whole(path: str | os.PathLike, frames: int | None = None) -> Verdict:
    """Compare the size of the file with its header; see `cryowidgets.io.movie.whole`."""
    try:
        head = read_header(path)
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            present = min(max(0, size - head.offset) // head.frame_bytes, head.shape[0])
            if size < head.end:
                expected = frames if frames is not None else head.shape[0]
                return Verdict(False, present, f"{path} holds {present} of {expected} frames.")
            verdict = judge(path, head.shape[0], frames)
            if not verdict.whole:
                return verdict
            if size > head.end:
                return Verdict(None, present, f"{path} is longer than its header says: {size} bytes, not {head.end}.")
            if blank(file, head.end, head.frame_bytes):
                return Verdict(None, present, f"{path} has its full size, but the end is blank.")
            return verdict
    except (InputError, OSError) as error:
        return Verdict(False, 0, str(error))


class MrcMovie:
    """Frames of an MRC file, each read when asked for; see `cryowidgets.io.movie.open_movie`."""

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)
        self._header = read_header(path)
        self.shape, self.pixel_size = self._header.shape, self._header.pixel_size
        self.dtype = self._header.dtype.newbyteorder("=")
        self._file = open(path, "rb")
        size = os.fstat(self._file.fileno()).st_size
        if size < self._header.end:
            self.close()
            present = max(0, size - self._header.offset) // self._header.frame_bytes
            raise InputError(f"{path} is truncated: it holds {present} of {self.shape[0]} frames.")

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, frame: int) -> np.ndarray:
        frame = range(len(self))[frame]
        n = self._header.frame_bytes
        # Unlike a memory map, this raises where the file has shrunk meanwhile; and it is safe in threads.
        raw = os.pread(self._file.fileno(), n, self._header.offset + frame * n)
        if len(raw) < n:
            raise InputError(f"{self.path} is truncated: it ends within frame {frame + 1} of {len(self)}.")
        image = np.frombuffer(raw, self._header.dtype).reshape(self.shape[1:])
        return image.astype(self.dtype)

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> MrcMovie:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _statistics(stack: np.ndarray) -> tuple[float, float, float, float] | None:
    """Minimum, maximum, mean and standard deviation of what is finite."""
    parts = [section[np.isfinite(section)] for section in stack]
    parts = [part for part in parts if part.size]
    if not parts:
        return None
    n = sum(part.size for part in parts)
    mean = sum(part.sum(dtype=np.float64) for part in parts) / n
    spread = np.sqrt(sum(np.square(part - np.float64(mean)).sum() for part in parts) / n)
    return min(part.min() for part in parts), max(part.max() for part in parts), mean, spread


def _parse(path: str | os.PathLike, raw: bytes) -> Header:
    if not raw:
        raise InputError(f"{path} is empty (0 bytes).")
    if len(raw) < _LENGTH:
        raise InputError(f"{path} is truncated: an MRC header takes {_LENGTH} bytes and the file has {len(raw)}.")
    h = next((h for order in "<>" if _plausible(h := _unpack(raw, order))), None)
    if h is None:
        raise InputError(f"{path} is not an MRC file: its header makes no sense in either byte order.")
    mode = int(h["mode"])
    if mode in _REFUSED:
        raise InputError(
            f"{path} holds {_REFUSED[mode]} (MRC mode {mode}): convert it to bytes, integers or floats "
            f"(modes {', '.join(map(str, _DTYPES))})."
        )
    if [h["mapc"], h["mapr"], h["maps"]] not in _AXES:
        raise InputError(f"{path} stores its axes in another order than x, y, z: rewrite it in the usual order.")
    dtype = np.dtype(_DTYPES[mode]).newbyteorder(h.dtype["nx"].byteorder)
    if mode == 0 and not _signed(h):
        dtype = np.dtype("u1")
    width, cell = int(h["mx"]) or int(h["nx"]), float(h["cella"]["x"])
    return Header(
        shape=(int(h["nz"]), int(h["ny"]), int(h["nx"])),
        dtype=dtype,
        pixel_size=cell / width if np.isfinite(cell) and cell > 0 and width > 0 else 0.0,
        offset=_LENGTH + int(h["nsymbt"]),
    )


def _unpack(raw: bytes, order: str) -> np.ndarray:
    return np.frombuffer(raw, HEADER_DTYPE.newbyteorder(order))[0]


def _plausible(h: np.ndarray) -> bool:
    # The machine stamp is not asked: old programs left it wrong or empty.
    sizes = all(0 < int(h[n]) < 1 << 24 for n in ("nx", "ny", "nz"))
    mode = int(h["mode"]) in _DTYPES or int(h["mode"]) in _REFUSED
    return sizes and mode and 0 <= int(h["nsymbt"]) < 1 << 28 and sorted((h["mapc"], h["mapr"], h["maps"])) in _AXES


_AXES = ([1, 2, 3], [0, 0, 0])  # the second of some old programs


def _signed(h: np.ndarray) -> bool:
    """Whether the bytes of a mode 0 file are signed: by the flags of IMOD, by version, by the recorded minimum."""
    stamp, flags = np.frombuffer(h["extra2"].tobytes()[40:48], h.dtype["nx"])
    if stamp == _IMOD_STAMP:
        return bool(flags & _SIGNED_BYTES)
    return bool(h["nversion"] >= _STANDARD or h["dmin"] < 0 or not h["dmax"] > 127)
