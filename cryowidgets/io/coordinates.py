"""Files of particle coordinates: RELION star, EMAN box and json, crYOLO cbox, Topaz text.

Here a place is always the centre of a particle, y and x in px of the micrograph, with rows counted as in its file: the
first row of an MRC file is 0, which viewers draw at the bottom. Star files, json and Topaz tell centres as well; boxes
tell the corner of the lowest x and y and their sides.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cryowidgets.errors import InputError
from cryowidgets.io import star


@dataclass(frozen=True)
class Coordinates:
    """Where particles are.

    Attributes
    ----------
    places : (n, 2)
        y and x in px.
    scores : (n,)
        In the picker's own scale; NaN where it gives none.
    size : float
        Side of the boxes, px; 0 where there are none.
    powers : (n,)
        Local power of each place, see `kernels.power`; NaN where it is unknown, which it is where none are given.
    """

    places: np.ndarray
    scores: np.ndarray
    size: float = 0.0
    powers: np.ndarray = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.powers is None:
            object.__setattr__(self, "powers", np.full(len(self.places), math.nan))

    def __len__(self) -> int:
        return len(self.places)

    def scaled(self, factor: float) -> Coordinates:
        """The same in a micrograph whose pixels are smaller by that factor."""
        return Coordinates(self.places * factor, self.scores, self.size * factor, self.powers)

    def kept(self, keep: np.ndarray) -> Coordinates:
        """Those of them that a mask or a list of indices names."""
        return Coordinates(self.places[keep], self.scores[keep], self.size, self.powers[keep])

    def inside(self, shape: tuple[int, int]) -> Coordinates:
        """Those of them that lie on a micrograph of that many rows and columns."""
        return self.kept(((self.places >= 0) & (self.places <= np.array(shape) - 1)).all(axis=1))


ENDINGS = {"star": ".star", "box": ".box", "json": ".json", "cbox": ".cbox", "topaz": ".txt"}
"""Formats by name, and how their files end."""


def read(path: str | os.PathLike, micrograph: str = "", pixel_size: float = 0.0) -> Coordinates:
    """Read a file by its ending: ``.star``, ``.box``, ``.json``, ``.cbox``, else Topaz text.

    Parameters
    ----------
    micrograph : str, optional
        Name of a micrograph: of a star file or a table of Topaz that holds those of many, only its places are given.
    pixel_size : float, optional
        Å/px of the micrograph. With it, places of a star file are moved by the shifts in it that a classification or
        refinement has found.

    Raises
    ------
    InputError
        The file is missing or is not what it says; names the line.
    """
    kind = Path(path).suffix.lower()
    try:
        text = Path(path).read_text()
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}.") from error
    if kind == ".star":
        return parse_star(text, path, micrograph, pixel_size)
    if kind == ".box":
        return parse_box(text, path)
    if kind == ".json":
        return parse_json(text, path)
    if kind == ".cbox":
        return parse_cbox(text, path)
    return parse_topaz(text, path, micrograph)


def belongs(file: str, micrograph: str) -> bool:
    """Whether a path is that of a micrograph, or of something made of it: its name, and no number after it.

    So ``job3/m_1_DW.mrc`` belongs to ``m_1``, and ``m_10.mrc`` and ``m_1_2.mrc`` do not.
    """
    name = os.path.basename(file)
    rest = name[len(micrograph) :]
    rest = rest[: -len(Path(name).suffix)] if len(rest) > len(Path(name).suffix) else ""
    return name.startswith(micrograph) and (not rest or rest[0] in "_.-") and not any(map(str.isdigit, rest))


def parse_star(
    text: str, path: str | os.PathLike = "the star file", micrograph: str = "", pixel_size: float = 0.0
) -> Coordinates:
    """Parse a RELION star file of coordinates or particles; an empty table is no picks. See `read`."""
    for block in star.parse(text, path).values():
        if "rlnCoordinateX" in block and "rlnCoordinateY" in block:
            places = np.stack([_column(block, f"rlnCoordinate{axis}", path) for axis in "YX"], axis=-1)
            if pixel_size > 0:
                places -= np.stack([_shift(block, axis, path, pixel_size, len(places)) for axis in "YX"], axis=-1)
            scores, powers = (
                _column(block, name, path) if name in block else np.full(len(places), math.nan)
                for name in ("rlnAutopickFigureOfMerit", POWER)
            )
            found = Coordinates(places, scores, powers=powers)
            if micrograph and "rlnMicrographName" in block:
                names = block["rlnMicrographName"]
                names = names if isinstance(names, list) else [names]
                found = found.kept(np.array([belongs(str(name), micrograph) for name in names], bool))
            return found
    raise InputError(f"{path} has no table with rlnCoordinateX and rlnCoordinateY.")


def parse_json(text: str, path: str | os.PathLike = "the json file") -> Coordinates:
    """Parse the info file of EMAN 2: ``{"boxes": [[x, y, "manual"], …]}``, centres; a fourth value is a score."""
    try:
        boxes = json.loads(text)["boxes"]
        rows = [[float(box[1]), float(box[0]), float(box[3]) if len(box) > 3 else math.nan] for box in boxes]
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise InputError(
            f'{path} is not an info file of EMAN 2, {{"boxes": [[x, y, "manual"], …]}}: {type(error).__name__} {error}.'
        ) from None
    found = np.array(rows, float).reshape(-1, 3)
    return Coordinates(found[:, :2], found[:, 2])


def parse_box(text: str, path: str | os.PathLike = "the box file") -> Coordinates:
    """Parse an EMAN 1 box file: corner x, corner y, width and height in each line, and more that is not looked at."""
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words:
            continue
        if len(words) < 4:
            raise InputError(f"{path}, line {number}: {len(words)} values where x, y, width and height are needed.")
        rows.append([_number(word, path, number) for word in words[:4]])
    found = np.array(rows, float).reshape(-1, 4)
    centres = found[:, 1::-1] + found[:, 3:1:-1] / 2
    return Coordinates(centres, np.full(len(found), math.nan), float(found[0, 2]) if len(found) else 0.0)


def parse_cbox(text: str, path: str | os.PathLike = "the cbox file") -> Coordinates:
    """Parse a crYOLO cbox file: all boxes with their confidence, also those below the threshold."""
    block = star.parse(text, path).get("cryolo")
    if block is None:
        raise InputError(f"{path} has no table data_cryolo: it is not a cbox file.")
    corner, side = (
        np.stack([_column(block, name, path) for name in names], axis=-1)
        for names in (("CoordinateY", "CoordinateX"), ("Height", "Width"))
    )
    return Coordinates(corner + side / 2, _column(block, "Confidence", path), float(side[0, 1]) if len(side) else 0.0)


def parse_topaz(text: str, path: str | os.PathLike = "the picks", micrograph: str = "") -> Coordinates:
    """Parse the table of ``topaz extract``: image_name, x_coord, y_coord, score; that of one micrograph, see `read`."""
    lines = text.splitlines()
    names = lines[0].split("\t") if lines else []
    if not {"x_coord", "y_coord"} <= set(names):
        raise InputError(f"{path} is not a table of Topaz: its first line has no x_coord and y_coord.")
    rows = []
    for number, line in enumerate(lines[1:], 2):
        if not line.strip():
            continue
        words = line.split("\t")
        if len(words) != len(names):
            raise InputError(f"{path}, line {number}: {len(words)} values for {len(names)} columns.")
        row = dict(zip(names, words, strict=True))
        if micrograph and "image_name" in row and not belongs(row["image_name"], micrograph):
            continue
        rows.append([_number(row.get(name, "nan"), path, number) for name in ("y_coord", "x_coord", "score")])
    found = np.array(rows, float).reshape(-1, 3)
    return Coordinates(found[:, :2], found[:, 2])


def write(path: str | os.PathLike, coordinates: Coordinates, size: float = 0.0) -> None:
    """Write a file by its ending: ``.star``, ``.box``, ``.json``, ``.cbox``, else Topaz text.

    Parameters
    ----------
    size : float
        Side of boxes, px, where `coordinates` have none: ``.box`` and ``.cbox`` need one.
    """
    kind = Path(path).suffix.lower()
    y, x = coordinates.places.T
    scores = coordinates.scores
    size = coordinates.size or size
    if kind in (".box", ".cbox") and not size > 0:
        raise ValueError(f"a file of boxes needs their size: {path}")
    if kind == ".star":
        table = {"rlnCoordinateX": x, "rlnCoordinateY": y}
        if np.isfinite(scores).any():
            table["rlnAutopickFigureOfMerit"] = scores
        if np.isfinite(coordinates.powers).any():
            table[POWER] = coordinates.powers
        star.write(path, {"": table})
    elif kind == ".box":
        rows = (f"{a - size / 2:.2f}\t{b - size / 2:.2f}\t{size:g}\t{size:g}\n" for b, a in coordinates.places)
        Path(path).write_text("".join(rows))
    elif kind == ".json":
        said = zip(coordinates.places.tolist(), scores.tolist(), strict=True)
        boxes = [[a, b, "auto", score] if math.isfinite(score) else [a, b, "manual"] for (b, a), score in said]
        Path(path).write_text(json.dumps({"boxes": boxes}))
    elif kind == ".cbox":
        Path(path).write_text(_cbox(coordinates, size))
    else:
        head = "image_name\tx_coord\ty_coord\tscore\n"
        rows = (f"{Path(path).stem}\t{a:.2f}\t{b:.2f}\t{s:.6g}\n" for a, b, s in zip(x, y, scores, strict=True))
        Path(path).write_text(head + "".join(rows))


POWER = "cwLocalPower"
"""Column of a star file for what RELION has no name for."""
_CBOX = "CoordinateX CoordinateY CoordinateZ Width Height Depth EstWidth EstHeight Confidence NumBoxes Angle".split()


def _cbox(coordinates: Coordinates, size: float) -> str:
    head = "\ndata_global\n\n_cbox_format_version 1.0\n\ndata_cryolo\n\nloop_\n"
    names = "".join(f"_{name} #{i}\n" for i, name in enumerate(_CBOX, 1))
    rows = []
    for (y, x), score in zip(coordinates.places, coordinates.scores, strict=True):
        said = f"{score:.6f}" if np.isfinite(score) else "<NA>"
        rows.append(
            f"{x - size / 2:.4f} {y - size / 2:.4f} <NA> {size:g} {size:g} <NA> {size:g} {size:g} {said} <NA> <NA>\n"
        )
    return f"{head}{names}{''.join(rows)}"


def _shift(block: dict, axis: str, path: str | os.PathLike, pixel_size: float, count: int) -> np.ndarray:
    """How far the particle is from the place, px of the micrograph: RELION moves the picture, so the other way."""
    if f"rlnOrigin{axis}Angst" in block:
        return _column(block, f"rlnOrigin{axis}Angst", path) / pixel_size
    return np.zeros(count)


def _column(block: dict, name: str, path: str | os.PathLike) -> np.ndarray:
    """A column as numbers; what is not there, or ``<NA>``, is NaN."""
    if name not in block:
        raise InputError(f"{path} has no column {name}.")
    values = block[name] if isinstance(block[name], list) else [block[name]]
    try:
        return np.array([math.nan if value == "<NA>" else float(value) for value in values], float)
    except ValueError as error:
        raise InputError(f"{path}, column {name}: {error}.") from None


def _number(word: str, path: str | os.PathLike, line: int) -> float:
    try:
        return float(word)
    except ValueError:
        raise InputError(f"{path}, line {line}: {word!r} is not a number.") from None
