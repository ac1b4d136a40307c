"""The image in a file of Gatan's Digital Micrograph, DM3 or DM4: gain references of K2 and K3 cameras come so.

The format is a tree of tags (described by C. Boothroyd, er-c.org/cbb/info/dmformat). Its frame is big-endian, its data
mostly little-endian, and DM4 differs from DM3 by lengths of 8 bytes instead of 4. An ImageList holds a thumbnail and
the image; the larger of them is taken.
"""

from __future__ import annotations

import os
import struct
from typing import Any, BinaryIO

import numpy as np

from cryowidgets.errors import InputError

_TYPES = {2: "i2", 3: "i4", 4: "u2", 5: "u4", 6: "f4", 7: "f8", 8: "u1", 9: "i1", 10: "u1", 11: "i8", 12: "u8"}
_STRUCT, _STRING, _ARRAY = 15, 18, 20
_GROUP, _DATA = 20, 21
_DEEPEST = 64


def read(path: str | os.PathLike) -> np.ndarray:
    """Read the image: (y, x), or (sections, y, x) where it is a stack.

    Rows are in the order of MRC: those of the file, which begins with the top row, are flipped as those of a TIFF are.

    Raises
    ------
    InputError
        The file is missing, truncated, not of Digital Micrograph, or holds no image of plain numbers.
    """
    try:
        with open(path, "rb") as file:
            tags = _Reader(file).tags()
            image = max(_images(tags), key=lambda i: i["Data"].count, default=None)
            if image is None:
                raise InputError(f"{path} holds no image of plain numbers.")
            return np.ascontiguousarray(_pixels(file, image, os.fstat(file.fileno()).st_size)[..., ::-1, :])
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except _Damaged as damage:
        raise InputError(f"{path} is not a readable DM3 or DM4 file: {damage}.") from None


class _Damaged(Exception):
    """The tags cannot be followed."""


class _Array:
    """An array that is in the file and has not been read: where, of what, how many."""

    def __init__(self, start: int, dtype: np.dtype, count: int) -> None:
        self.start, self.dtype, self.count = start, dtype, count


class _Reader:
    """Walks along the tags of an open file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        (version,) = self._take(">I")
        if version not in (3, 4):
            raise _Damaged("its first number is not a version that is known")
        self._word = ">Q" if version == 4 else ">I"
        self._sized = version == 4  # each tag tells its length
        self._take(self._word)  # length of all
        self._order = "<" if self._take(">I")[0] else ">"

    def tags(self, depth: int = 0) -> dict[str, Any]:
        """The group of tags that begins here: by name, those without one by their number."""
        if depth > _DEEPEST:
            raise _Damaged("its tags lie too deep")
        self._take(">BB")  # sorted, open
        (count,) = self._take(self._word)
        found: dict[str, Any] = {}
        for number in range(count):
            kind, length = self._take(">BH")
            if kind == 0:
                break
            name = self._bytes(length).decode("latin-1") or str(number)
            if self._sized:
                self._take(">Q")
            if kind == _GROUP:
                found[name] = self.tags(depth + 1)
            elif kind == _DATA:
                found[name] = self._value()
            else:
                raise _Damaged(f"tag {name!r} is neither a group nor data")
        return found

    def _value(self) -> Any:
        if self._bytes(4) != b"%%%%":
            raise _Damaged("a mark before data is missing")
        (length,) = self._take(self._word)
        if length > 1 << 12:
            raise _Damaged("the description of a tag is too long")
        info = [self._take(self._word)[0] for _ in range(length)]
        kind = info[0] if info else 0
        if kind in _TYPES:
            dtype = self._dtype(kind)
            return np.frombuffer(self._bytes(dtype.itemsize), dtype)[0].item()
        if kind == _STRUCT:
            return self._skip(self._struct(info))
        if kind == _STRING and length > 1:
            return self._skip(2 * info[1])
        if kind == _ARRAY and length > 2:
            count = info[-1]
            if info[1] == _STRUCT:
                return self._skip(self._struct(info[1:-1]) * count)
            dtype = self._dtype(info[1])
            array = _Array(self._file.tell(), dtype, count)
            self._skip(dtype.itemsize * count)
            return array
        raise _Damaged(f"data of a type {kind} that is not known")

    def _struct(self, info: list[int]) -> int:
        """Bytes of a struct; its description has the length of a name and a type for each field."""
        return sum(self._dtype(kind).itemsize for kind in info[4::2])

    def _dtype(self, kind: int) -> np.dtype:
        if kind not in _TYPES:
            raise _Damaged(f"data of a type {kind} that is not known")
        return np.dtype(_TYPES[kind]).newbyteorder(self._order)

    def _skip(self, length: int) -> None:
        self._file.seek(length, os.SEEK_CUR)

    def _take(self, format: str) -> tuple:
        return struct.unpack(format, self._bytes(struct.calcsize(format)))

    def _bytes(self, length: int) -> bytes:
        raw = self._file.read(length)
        if len(raw) < length:
            raise _Damaged("it ends within its tags")
        return raw


def _images(tags: dict[str, Any]) -> list[dict[str, Any]]:
    """The ImageData of the list that hold plain numbers."""
    found = []
    for entry in (tags.get("ImageList") or {}).values():
        data = entry.get("ImageData") if isinstance(entry, dict) else None
        if isinstance(data, dict) and isinstance(data.get("Data"), _Array) and isinstance(data.get("Dimensions"), dict):
            found.append(data)
    return found


def _pixels(file: BinaryIO, image: dict[str, Any], size: int) -> np.ndarray:
    array: _Array = image["Data"]
    shape = [int(n) for n in reversed(image["Dimensions"].values()) if n]
    while len(shape) > 2 and shape[0] == 1:
        shape = shape[1:]
    if len(shape) not in (2, 3) or np.prod(shape) != array.count:
        raise _Damaged(f"its image of {array.count} numbers is told to have {'×'.join(map(str, shape))} px")
    if array.start + array.count * array.dtype.itemsize > size:
        raise _Damaged("it ends within its image")
    file.seek(array.start)
    return np.fromfile(file, array.dtype, array.count).reshape(shape).astype(array.dtype.newbyteorder("="))
