"""The form of a template's open questions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import ipywidgets as W

from cryowidgets.widgets import texts
from cryowidgets.widgets.window import box, put
from cryowidgets.workflow import Question


class QuestionForm(W.VBox):
    """A field for each question, its unit beside it, and below it what it is for or why its answer is refused.

    Parameters
    ----------
    questions : iterable of Question
    changed : callable
        Called after each key and each choice.
    """

    def __init__(self, questions: Iterable[Question], changed: Callable[[], None]) -> None:
        self.questions = {question.id: question for question in questions}
        self.fields: dict[str, W.DOMWidget] = {}
        """The input of each question, by its id."""
        self._notes: dict[str, W.HTML] = {}
        self._rows: dict[str, W.Box] = {}
        self._touched: set[str] = set()
        self._changed = changed
        super().__init__([self._row(question) for question in self.questions.values()])
        self.add_class("cw-form")

    def answers(self) -> dict[str, str]:
        """What was answered, as texts; a question that must be answered and is not is left out."""
        found = {}
        for id, field in self.fields.items():
            value = str(field.value).lower() if isinstance(field, W.Checkbox) else field.value
            if value or self.questions[id].default is not None or id in self._touched:
                found[id] = value
        return found

    def show(self, faults: Mapping[str, str]) -> None:
        """Say what is wrong beside each field; of one that nobody has come to only that it is open."""
        for id, question in self.questions.items():
            fault = faults.get(id, "")
            quiet = id not in self._touched and not self.fields[id].value
            wrong = bool(fault) and not quiet
            if wrong:
                note = f"<p class='cw-failed' role='alert'>{texts.safe(fault)}</p>"
            else:
                needed = "<b>to be filled in</b> " if fault else ""
                note = f"<p class='cw-help'>{needed}{texts.safe(question.help)}</p>"
            put(self._notes[id], note)
            marked = "cw-wrong" in self._rows[id]._dom_classes
            if wrong != marked:
                (self._rows[id].add_class if wrong else self._rows[id].remove_class)("cw-wrong")

    def set_disabled(self, disabled: bool) -> None:
        for field in self.fields.values():
            field.disabled = disabled

    def _row(self, question: Question) -> W.Box:
        field = _field(question)
        field.tooltip = question.label  # its name for those who hear a page
        field.observe(lambda _: self._entered(question.id), names="value")
        self.fields[question.id] = field
        self._notes[question.id] = W.HTML()
        label = W.HTML(f"<label title='{texts.safe(question.id)}'>{texts.safe(question.label)}</label>")
        unit = W.HTML(f"<span class='cw-unit'>{texts.safe(question.unit)}</span>")
        self._rows[question.id] = box([label, field, unit, self._notes[question.id]], "cw-field")
        return self._rows[question.id]

    def _entered(self, id: str) -> None:
        self._touched.add(id)
        self._changed()


def _field(question: Question) -> W.DOMWidget:
    default = question.default or ""
    if question.type == "boolean":
        return W.Checkbox(value=default.strip().lower() in ("true", "1"), indent=False)
    if question.choices:
        options = [(choice or "(none)", choice) for choice in question.choices]
        return W.Dropdown(options=options, value=default if default in question.choices else question.choices[0])
    placeholder = {"path": "/path", "file": "/path/of/a/file", "folder": "/path/of/a/folder"}.get(question.type, "")
    return W.Text(default, placeholder=placeholder, continuous_update=True)
