"""Classes of particles: averages that grow sharper, which of them go on, one of them in full, how many there are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import ipywidgets as W
import numpy as np

from cryowidgets.errors import CryowidgetsError, InputError
from cryowidgets.model import Classes
from cryowidgets.store.database import Step
from cryowidgets.store.lock import holder
from cryowidgets.store.queries import Reader
from cryowidgets.widgets import class_sheet, texts
from cryowidgets.widgets.choice import Choice
from cryowidgets.widgets.class_choice import Selection, selecting
from cryowidgets.widgets.class_closely import NOTHING, ClassClosely
from cryowidgets.widgets.class_gallery import ClassGallery, Tile
from cryowidgets.widgets.class_growth import growth
from cryowidgets.widgets.class_history import History
from cryowidgets.widgets.class_sheet import ORDERS, Sheet, Table
from cryowidgets.widgets.page import Page
from cryowidgets.widgets.window import box, put, show_if

AGAIN = "ReclassifyParticles"
"""Protocol of the steps that sort all particles once more whenever they are released."""


class ClassesView(W.Box):
    """A gallery of classes to choose from, the class in view, and the growth of the whole."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self._sheet: Sheet | None = None
        self._result: Classes | None = None
        self._stamp = ""
        self._past: Sheet | None = None
        self._past_of: tuple = ()
        self._grown_of: tuple = ()
        self._looked: int | None = None
        self._history = History()
        self._moment: int | None = None  # batch that a person went back to
        self._course = NOTHING
        self._saved, self._selection = Selection(), Selection()
        self._select: Step | None = None
        self._ref = ""
        self.which = Choice([], lambda _: self._other(), "step")
        self.by = Choice(ORDERS, lambda _: self._arrange(), "sorted by")
        self.gallery = ClassGallery(self._tap, self._look, self._least, self._frame, "No classes yet.")
        self._head, self._word, self._grown = W.HTML(), W.HTML(), W.HTML()
        self.undo = Choice([], self._press, "", kind="press")
        self.undo.hints = {
            "all": "take all classes",
            "none": "leave all classes out",
            "undo": "back to the choice of the project",
        }
        self.closely = ClassClosely()
        self.use = W.Button(description="Use these", tooltip="The particles of these classes go on, and those to come")
        self.use.on_click(lambda _: self._use())
        self.again = W.Button(
            description="Sort all again",
            tooltip="Ordinary 2-D: all particles there are by now are sorted from the beginning, in several passes",
        )
        self.again.on_click(lambda _: self._sort_again())
        self._again: Step | None = None
        self._said = W.HTML()
        acting = [self.use, self.again] if page.control else []
        counted = box([self._head, self.undo, *acting, self._said], "cw-cl-chosen", "cw-buttons")
        tools = box([self.which, self.by], "cw-cl-kinds")
        left = box([tools, self._word, self.gallery, counted], "cw-cl-left")
        right = box([self._grown, self.closely], "cw-cl-right")
        super().__init__([left, right])
        self.add_class("cw-classes")

    def refresh(self, reader: Reader) -> None:
        steps = reader.steps()
        names = [step.name for step in steps.values() if step.gives == "Classes"]
        if names != self.which.names:
            chosen = [name for name in self.which.chosen if name in names] or names[:1]
            with self.which.hold_sync():
                self.which.names, self.which.chosen = names, chosen
        show_if(self.which, len(names) > 1)
        if not names:
            return
        name = self.which.chosen[0]
        self._follow(selecting(steps, name))
        self._again = next((step for step in steps.values() if step.protocol == AGAIN), None)
        show_if(self.again, self._again is not None)
        self.again.disabled = self._again is None or not self._again.hold
        result: Any = reader.result(name)
        self._history.refresh(result)
        self._read(result)
        self._go_back()
        self._remember()
        key = (name, result.id if result is not None else None)
        if key != self._grown_of:
            self._grown_of = key
            put(self._grown, growth(reader.rows(name)))
        self._arrange()
        self._hear(reader)

    # What is shown --------------------------------------------------------------------------------------------------

    def _read(self, result: Classes | None) -> None:
        """The averages of a result, once for each; what cannot be read is said, and the last ones stay."""
        if result is None:
            self._result, self._sheet = None, None
            put(self._word, "")
            return
        stamp = class_sheet.stamp(result)
        if self._result is not None and self._stamp == stamp:
            return
        self._result, self._stamp, said = result, stamp, result.reason
        if result.path:
            try:
                self._sheet = class_sheet.read(result)
            except InputError:  # its sentence names a folder; the page need not know it
                said = "The files of the newest classes cannot be read."
        else:
            self._sheet = None
        put(self._word, f"<p class='cw-warn'>{texts.safe(said)}</p>" if said else "")

    def _go_back(self) -> None:
        """The classes at the moment that a person chose; the newest where that is gone."""
        batches = [moment.batch for moment in self._history.moments]
        if self._moment not in batches[:-1]:
            self._moment, self._past = None, None
        elif self._past is None or self._past_of != (self._moment, len(batches)):
            self._past = self._history.sheet(batches.index(self._moment))
            self._past_of = (self._moment, len(batches))

    def _remember(self) -> None:
        """What became of the class in view."""
        self._course = self._history.course(self._looked) if self._looked is not None else NOTHING

    def _arrange(self) -> None:
        sheet = self._past or self._sheet
        if self._sheet is None or sheet is None:
            self.gallery.show(None)
            self.gallery.play([], -1)
            self.closely.show(None, None, None, NOTHING, "")
            put(self._head, "")
            return
        newest = self._sheet.table
        self.gallery.scored = bool(np.isfinite(newest.score).any())
        names = [name for name in ORDERS if np.isfinite(getattr(newest, name)).any()]
        if names != self.by.names:
            with self.by.hold_sync():
                self.by.names = names
                self.by.chosen = [name for name in self.by.chosen if name in names] or names[:1]
        self.gallery.show(sheet, [_tile(sheet.table, row) for row in sheet.table.order(*self.by.chosen)])
        self._mark()
        batches = [moment.batch for moment in self._history.moments]
        at = batches.index(self._moment) if self._moment in batches else len(batches) - 1
        self.gallery.play([moment.name for moment in self._history.moments], at)

    def _mark(self) -> None:
        """What is chosen, and how many particles that is."""
        if self._sheet is None:
            return
        table, selection = self._sheet.table, self._selection
        taken, byhand = selection.accepted(table), selection.by_hand(table)
        self.gallery.mark(
            table.identity[taken].tolist(), table.identity[byhand].tolist(), self._looked, selection.least
        )
        moved = selection != self._saved
        put(self._head, _counted(table, taken, selection, self._result, moved and not self.page.control))
        names = ["all", "none", *(["undo"] if moved else [])]
        if self.undo.names != names:
            self.undo.names = names
        self.use.disabled = self._select is None or not moved
        row = next(iter(np.flatnonzero(table.identity == self._looked)), None)
        said = ""
        if row is not None:
            said = ("taken" if taken[row] else "left out") + (" by hand" if byhand[row] else "")
        self.closely.show(self._result, table, None if row is None else int(row), self._course, said)

    # What a person does ---------------------------------------------------------------------------------------------

    def _tap(self, identity: int) -> None:
        if self._sheet is not None:
            self._selection = self._selection.turned(self._sheet.table, identity)
            self._mark()

    def _look(self, identity: int) -> None:
        if self._sheet is not None and identity in self._sheet.table.identity:
            self._looked = identity
            self._remember()
            self._mark()

    def _least(self, value: float) -> None:
        self._selection = replace(self._selection, least=value)
        self._mark()

    def _frame(self, at: int) -> None:
        moments = self._history.moments
        if at < len(moments):
            self._moment = moments[at].batch if at < len(moments) - 1 else None
        self.page.wake()

    def _press(self, name: str) -> None:
        if self._sheet is None:
            return
        if name == "undo":
            self._selection = self._saved
        elif name == "all":
            self._selection = self._selection.everything(self._sheet.table)
        else:
            self._selection = self._selection.nothing(self._sheet.table)
        self._mark()

    def _other(self) -> None:
        """Another step is shown: nothing of the last one holds."""
        self._result, self._sheet, self._looked = None, None, None
        self._saved = self._selection = Selection()
        self._moment = self._past = None
        self.page.wake()

    def _follow(self, step: Step | None) -> None:
        """Take over what the project has chosen, unless a person is about to choose something else."""
        self._select = step
        saved = Selection.of(step.params) if step is not None else Selection()
        if saved != self._saved:
            if self._selection == self._saved:
                self._selection = saved
            self._saved = saved

    def _use(self) -> None:
        if self._select is None:
            return
        self._order("set", step=self._select.name, values=self._selection.values(), scope="branch")

    def _sort_again(self) -> None:
        if self._again is not None:
            self._order("release", step=self._again.name)

    def _order(self, command: str, **args: Any) -> None:
        try:
            self._ref = self.page.send(command, **args)
        except CryowidgetsError as error:
            put(self._said, f"<span class='cw-failed'>{texts.safe(error)}</span>")
            return
        engine = holder(self.page.folder)
        waits = engine is None or not engine.alive
        word = "waits in the inbox until an engine runs" if waits else "sent to the engine"
        put(self._said, f"<span class='cw-soft'>{word}</span>")
        self.page.wake()

    def _hear(self, reader: Reader) -> None:
        answer = reader.answer(self._ref) if self._ref else None
        if answer is not None:
            kind = "cw-failed" if answer.kind == "command.refused" else "cw-soft"
            put(self._said, f"<span class='{kind}'>{texts.clock(answer.time)} {texts.safe(answer.text)}</span>")
        elif not self._ref and self.page.control and self._select is None:
            put(self._said, "<span class='cw-soft'>No step SelectClasses takes these classes: add one to go on.</span>")


def _tile(table: Table, row: int) -> Tile:
    mark = {1.0: "good", 0.0: "junk"}.get(float(table.good[row]), "")
    count, share = texts.thousands(int(table.particles[row])), texts.number(100 * table.share[row], 1, "%")
    resolution, score = texts.number(table.resolution[row], 1, "Å"), texts.number(table.score[row], 2)
    second = [resolution] if resolution != texts.NONE else []
    scored = [f"score {score}"] if score != texts.NONE else []
    verdict = {"good": ["looks good"], "junk": ["looks like junk"]}.get(mark, [])
    said = [f"{count} particles, {share}", *second, *scored, *verdict]
    lines = [f"{count} · {share}", " · ".join([*second, *([score] if scored else [])])]
    return Tile(int(table.identity[row]), row, lines, ", ".join(said), mark)


def _counted(table: Table, taken: np.ndarray, selection: Selection, result: Classes | None, alone: bool) -> str:
    total = max(int(table.particles.sum()), result.particles if result is not None else 0, 1)
    share, gone = table.particles[taken].sum() / total, total - int(table.particles.sum())
    bar = f"<div class='cw-cl-bar' aria-hidden='true'><i style='width: {100 * share:.1f}%'></i></div>"
    notes = [f"{texts.thousands(gone)} are of classes that are no more"] if gone > 0 and len(table) else []
    notes += ["only you see this"] if alone else []
    note = f" <span class='cw-soft'>{'; '.join(notes)}</span>" if notes else ""
    return f"{bar}<p role='status'><b>{selection.say(table, total)}</b>{note}</p>"
