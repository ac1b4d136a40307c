"""One class in full: its average, what is known of it, how it came about, and some of its particles."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import ipywidgets as W
import numpy as np

from cryowidgets.errors import InputError
from cryowidgets.io import jpeg, mrc, star
from cryowidgets.model import Classes
from cryowidgets.widgets import charts, texts
from cryowidgets.widgets.class_sheet import Table, stretched
from cryowidgets.widgets.still import Still
from cryowidgets.widgets.window import box, put, show_if

MEMBERS = 12
"""Particles of a class that are shown."""
LARGEST = 8_000_000
"""Bytes of a star file of particles that is still read for them."""


class ClassClosely(W.Box):
    """Shows the class that it is told to."""

    def __init__(self) -> None:
        self._head, self._facts, self._course, self._word = W.HTML(), W.HTML(), W.HTML(), W.HTML()
        self.average, self.members = Still(), Still()
        self._known: tuple = ()
        self._stacks: OrderedDict[str, np.ndarray] = OrderedDict()
        self._sorted: OrderedDict[str, dict[str, list]] = OrderedDict()
        self._pictures = box([self.average, self._facts], "cw-cl-pair")
        super().__init__([self._head, self._pictures, self._course, self._word, self.members])
        self.add_class("cw-cl-closely")

    def show(self, classes: Classes | None, table: Table | None, row: int | None, course: Course, taken: str) -> None:
        """Show the class in a row of the table; `taken` says whether its particles go on.

        Parameters
        ----------
        course : Course
            What became of the class from batch to batch.
        """
        there = classes is not None and table is not None and row is not None
        show_if(self._pictures, there)
        if classes is None or table is None or row is None:
            show_if(self.members, False)
            put(self._head, "<div class='cw-title'>Class <span>click one, or go to it by the arrow keys</span></div>")
            put(self._course, "")
            put(self._word, "")
            self._known = ()
            return
        slot, identity = int(table.slot[row]), int(table.identity[row])
        put(self._head, f"<div class='cw-title'>Class {identity} <span>{texts.safe(taken)}</span></div>")
        put(self._facts, _facts(table, row, classes.pixel_size))
        put(self._course, course.drawn())
        key = (classes.path, classes.id, slot)
        if key == self._known:
            return
        self._known = key
        self._show_average(classes, slot, identity)
        self._show_members(classes, slot, identity)

    def _show_average(self, classes: Classes, slot: int, identity: int) -> None:
        try:
            picture = self._stack(classes)[slot]
        except (InputError, IndexError):  # the sentence names a folder; the page need not know it
            show_if(self.average, False)
            return
        show_if(self.average, True)
        self.average.show(jpeg.encoded(stretched(picture), quality=92), f"average of class {identity}")

    def _show_members(self, classes: Classes, slot: int, identity: int) -> None:
        pictures, word = [], "The file of its particles is too large to be read for a look."
        try:
            if classes.metadata and Path(classes.metadata).stat().st_size <= LARGEST:
                pictures = particles(self._particles(classes.metadata), slot, identity, _project(classes))
                word = f"{len(pictures)} of its particles, the surest of the newest batch" if pictures else ""
                word = word or "None of the newest batch went into it."
        except (InputError, OSError, ValueError):
            word = "The files of its particles cannot be read."
        put(self._word, f"<p class='cw-soft'>{word}</p>" if classes.metadata else "")
        show_if(self.members, bool(pictures))
        if pictures:
            self.members.show(jpeg.encoded(_in_lines(pictures), quality=80), f"particles of class {identity}")

    def _stack(self, classes: Classes) -> np.ndarray:
        return _remembered(self._stacks, f"{classes.path}:{classes.id}", lambda: mrc.read_stack(classes.path))

    def _particles(self, path: str) -> dict[str, list]:
        return _remembered(self._sorted, path, lambda: _table(path))


class Course:
    """What became of a class: numbers of batches, and its share and resolution (Å) after each; empty where unknown."""

    def __init__(self, batches: np.ndarray, share: np.ndarray, resolution: np.ndarray) -> None:
        self.batches, self.share, self.resolution = batches, share, resolution

    def drawn(self) -> str:
        if len(self.batches) < 2:
            return ""
        share = charts.Line("share", self.batches, 100 * self.share)
        resolution = charts.Line("resolution", self.batches, self.resolution)
        batch = "batch {:.0f}".format
        first = charts.lines(
            [share], batch, lambda v: f"{v:g} %", "share of the class against batch", width=charts.NARROW
        )
        second = charts.lines(
            [resolution],
            batch,
            lambda v: f"{v:g} Å",
            "resolution of the class against batch",
            zero=False,
            flip=True,
            width=charts.NARROW,
        )
        charted = [("Share of the particles", first), ("Resolution, finer above", second)]
        found = "".join(f"<figure><figcaption>{name}</figcaption>{one}</figure>" for name, one in charted if one)
        return f"<div class='cw-ch-pair'>{found}</div>"


NOTHING = Course(np.zeros(0), np.zeros(0), np.zeros(0))


def particles(table: dict[str, list], slot: int, identity: int, project: Path, most: int = MEMBERS) -> list[np.ndarray]:
    """Pictures of the particles that belong to a class most surely.

    Parameters
    ----------
    table : dict
        Columns of a star file of particles; its images are named relative to the project.
    slot : int
        Place of the class in the stack of averages, from 0.
    identity : int
        Its number, where the file knows it: the slot may have held another class when its first particles came.

    Raises
    ------
    InputError
        A stack is missing, or lies outside of the project.
    """
    column, wanted = ("cwIdentity", identity) if "cwIdentity" in table else ("rlnClassNumber", slot + 1)
    rows = np.flatnonzero(np.array(table[column], int) == wanted)
    sure = np.array(table.get("rlnMaxValueProbDistribution", np.zeros(len(table[column]))), float)
    found = []
    for row in rows[np.argsort(-sure[rows], kind="stable")][:most]:
        number, _, name = str(table["rlnImageName"][row]).partition("@")
        path = (project / name).resolve()
        if not number.isdigit() or not path.is_relative_to(project.resolve()):
            raise InputError(f"{table['rlnImageName'][row]} is no picture of this project.")
        with mrc.open_upright(path) as stack:
            found.append(stack[int(number) - 1])
    return found


def _facts(table: Table, row: int, pixel: float) -> str:
    parent, age = int(table.parent[row]), table.age[row]
    born = f"out of class {parent}" if parent > 0 else ""
    lived = f"{age:.0f} batches" if np.isfinite(age) else ""
    verdict = {1.0: "● looks like particles", 0.0: "▲ looks like junk"}.get(float(table.good[row]), "")
    rows = [
        ("particles", texts.thousands(int(table.particles[row]))),
        ("share", texts.number(100 * table.share[row], 1, "%")),
        ("resolution", texts.number(table.resolution[row], 1, "Å")),
        ("size", texts.number(table.size[row], 0, "Å")),
        ("score", texts.number(table.score[row], 2)),
        ("verdict", verdict),
        ("age", lived),
        ("came", born),
        ("pixel", texts.number(pixel, 2, "Å")),
    ]
    told = [(name, texts.safe(value)) for name, value in rows if value not in ("", texts.NONE)]
    return f"<dl>{''.join(f'<div><dt>{name}</dt><dd>{value}</dd></div>' for name, value in told)}</dl>"


def _project(classes: Classes) -> Path:
    """The folder that names in star files are relative to: results lie in ``steps/<step>/`` of it."""
    folder = Path(classes.metadata).parent
    return next((p.parent for p in (folder, *folder.parents) if p.name == "steps"), folder)


def _table(path: str) -> dict[str, list]:
    found = star.read(path).get("particles", {})
    if "rlnImageName" not in found or "rlnClassNumber" not in found:
        raise InputError(f"{path} does not say which class its particles belong to.")
    return {name: value if isinstance(value, list) else [value] for name, value in found.items()}


def _in_lines(pictures: list[np.ndarray], across: int = 6) -> np.ndarray:
    """Pictures side by side, each stretched on its own."""
    side, across = min(min(p.shape) for p in pictures), min(across, len(pictures))
    whole = np.full((-(-len(pictures) // across) * side, across * side), 128, np.uint8)
    for i, picture in enumerate(pictures):
        y, x = i // across * side, i % across * side
        whole[y : y + side, x : x + side] = stretched(picture[:side, :side])
    return whole


def _remembered(kept: OrderedDict, key: str, make):
    """One of the few newest."""
    if key not in kept:
        kept[key] = make()
        while len(kept) > 2:
            kept.popitem(last=False)
    return kept[key]
