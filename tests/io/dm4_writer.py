"""Writes Digital Micrograph files, so far as their readers look: a thumbnail, the image, and tags of every type."""

from __future__ import annotations

import struct

import numpy as np

_CODES = {"i2": 2, "i4": 3, "u2": 4, "u4": 5, "f4": 6, "f8": 7, "i1": 9, "u1": 10, "i8": 11, "u8": 12}
_IMAGE_TYPES = {"i2": 1, "f4": 2, "u1": 6, "i4": 7, "i1": 9, "u2": 10, "u4": 11, "f8": 12}


def dm(image: np.ndarray, version: int = 4, little: bool = True) -> bytes:
    """A file with `image`, whose row 0 is the first of the file, that is the top one."""
    writer = _Writer(version, "<" if little else ">")
    thumbnail = np.zeros((2, 3), np.uint8)
    images = [("", writer.group([("ImageData", writer.image(i))])) for i in (thumbnail, image)]
    root = [
        ("ImageBehavior", writer.group([("Flag", writer.number("u1", 1)), ("Box", writer.struct([1.5, 2.5]))])),
        ("ImageList", writer.group(images)),
        ("Name", writer.string("gain reference")),
        ("Points", writer.structs([(1.0, 2.0), (3.0, 4.0)])),
    ]
    body = writer.group(root)[1]
    return struct.pack(">I" + writer.word, version, len(body)) + struct.pack(">I", int(little)) + body


class _Writer:
    def __init__(self, version: int, order: str) -> None:
        self.version, self.order = version, order
        self.word = "Q" if version == 4 else "I"

    def group(self, tags):
        body = struct.pack(">BB" + self.word, 0, 0, len(tags))
        for name, (kind, content) in tags:
            body += struct.pack(">BH", kind, len(name)) + name.encode()
            if self.version == 4:
                body += struct.pack(">Q", len(content))
            body += content
        return 20, body

    def data(self, info, raw):
        return 21, b"%%%%" + struct.pack(f">{self.word}{len(info)}{self.word}", len(info), *info) + raw

    def number(self, kind, value):
        return self.data([_CODES[kind]], np.array(value, self.order + kind).tobytes())

    def struct(self, values):
        info = [15, 0, len(values)] + [n for _ in values for n in (0, 6)]
        return self.data(info, np.array(values, self.order + "f4").tobytes())

    def structs(self, rows):
        info = [20, 15, 0, len(rows[0])] + [n for _ in rows[0] for n in (0, 6)] + [len(rows)]
        return self.data(info, np.array(rows, self.order + "f4").tobytes())

    def string(self, text):
        return self.data([20, 4, len(text)], np.array([ord(c) for c in text], self.order + "u2").tobytes())

    def image(self, image):
        kind = image.dtype.str[1:]
        return self.group(
            [
                ("Calibrations", self.group([])),
                ("Data", self.data([20, _CODES[kind], image.size], image.astype(self.order + kind).tobytes())),
                ("DataType", self.number("u4", _IMAGE_TYPES[kind])),
                ("Dimensions", self.group([("", self.number("u4", n)) for n in reversed(image.shape)])),
                ("PixelDepth", self.number("u4", image.itemsize)),
            ]
        )
