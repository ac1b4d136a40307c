"""The step that takes the particles of good classes, or of those that a person chose."""

from __future__ import annotations

from dataclasses import replace

from traitlets import Float, Unicode

from cryowidgets.errors import ParameterError
from cryowidgets.io import mrc
from cryowidgets.model import Classes, Particles
from cryowidgets.protocols import classfiles, classhistory, selection
from cryowidgets.protocols.base import Many, Protocol
from cryowidgets.protocols.classfiles import ClassModel
from cryowidgets.protocols.mosaic import write_mosaic
from cryowidgets.protocols.out import Out, keep_alone

LIKELY = 0.5
"""Score from which a class that has died is taken to have been one of particles."""


class SelectClasses(Protocol):
    """Take the particles of some classes, of all batches so far and of those to come.

    Classes are named by the number that they keep for life. One that nobody has spoken of counts if it looks like
    particles, so that what a person has once chosen holds for later batches, and new classes are judged by themselves.
    """

    takes = Many(Classes, newest=True)
    gives = Particles

    keep = Unicode("", help="Numbers of classes that count in any case, such as 3,7")
    drop = Unicode("", help="Numbers of classes that do not count in any case")
    score = Float(
        0.0, min=0, max=1, help="Least score of all other classes; 0 takes those that look like particles by themselves"
    )

    def check(self) -> None:
        super().check()
        both = _numbers("keep", self.keep) & _numbers("drop", self.drop)
        if both:
            raise ParameterError(
                f"SelectClasses: class {min(both)} is both in keep and in drop. Take it out of one of them."
            )

    def process(self, items: list[Classes], last: Particles | None, out: Out) -> Particles:
        classes = items[-1]
        nothing = Particles(path="", count=0, box=classes.box, pixel_size=classes.pixel_size)
        if not classes.metadata:
            return nothing
        model = classfiles.read_model(classes.model)
        before = last.metadata if last else ""
        found = selection.select(classes.metadata, self.chosen(model, self._before(classes)), before)
        if not found.count:
            return replace(nothing, screened=found.left)
        out.file(selection.STATE)
        found.write(out.file(selection.ENDING))
        if before:
            keep_alone(str(selection.state(before)), f"*{selection.STATE}")
        averages = mrc.read_stack(classes.path)
        shown = [slot for slot in model.filled if model.identity[slot] in found.taken]
        if shown:
            write_mosaic(out.file("_classes.jpg"), averages[shown])
        optics = found.optics
        return replace(
            nothing,
            metadata=out.name(selection.ENDING),
            thumbnail=out.name("_classes.jpg") if shown else "",
            count=found.count,
            box=int(optics.get("rlnImageSize", [classes.box])[0]),
            pixel_size=float(optics.get("rlnImagePixelSize", [classes.pixel_size])[0]),
            screened=found.left,
        )

    def chosen(self, model: ClassModel, before: dict[int, float] | None = None) -> set[int]:
        """Numbers of the classes that count.

        Parameters
        ----------
        model : ClassModel
            The classes that there are.
        before : dict, optional
            Last score of those that were.
        """
        keep, drop = _numbers("keep", self.keep), _numbers("drop", self.drop)
        now = model.identity[classfiles.counting(model, keep, drop, self.score)].tolist()
        gone = {number for number, score in (before or {}).items() if score >= (self.score or LIKELY)}
        return set(now) | ((gone - set(model.identity.tolist())) | keep) - drop

    def _before(self, classes: Classes) -> dict[int, float]:
        if not classes.history:
            return {}
        history = classhistory.read(classes.history)
        known: dict[int, float] = {}
        for numbers, scores, shares in zip(history.identity, history.score, history.share, strict=True):
            known |= {int(n): float(s) for n, s, share in zip(numbers, scores, shares, strict=True) if share > 0}
        return known


def _numbers(name: str, text: str) -> set[int]:
    """Numbers of classes, ``3,7``.

    Raises
    ------
    ParameterError
        Something else.
    """
    words = text.replace(",", " ").split()
    if not all(word.isdecimal() for word in words):
        said = f"SelectClasses.{name} {text!r}: write numbers of classes with commas between, such as 3,7."
        raise ParameterError(said)
    return {int(word) for word in words}
