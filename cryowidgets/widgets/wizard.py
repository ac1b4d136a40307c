"""The wizard: from a template to a session that runs, the same on a Voila page and in a notebook cell."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import ipywidgets as W

from cryowidgets.errors import CryowidgetsError
from cryowidgets.project import Project
from cryowidgets.store.database import NAME
from cryowidgets.widgets import texts
from cryowidgets.widgets.cards import Card, Cards
from cryowidgets.widgets.graph import WorkflowGraph, planned
from cryowidgets.widgets.pulse import Pulse
from cryowidgets.widgets.question_form import QuestionForm
from cryowidgets.widgets.tabs import Tabs
from cryowidgets.widgets.window import box, put, show_if
from cryowidgets.widgets.workflow_view import WorkflowWidget
from cryowidgets.workflow import Template, templates

SESSIONS = "CRYOWIDGETS_SESSIONS"
"""Environment variable that a server sets which has pages of sessions beside the wizard's."""
OWN = "workflows of the package"


def new_session(folder: Path | str = "") -> Wizard:
    """The wizard.

    Parameters
    ----------
    folder : path, optional
        Where projects are made unless told otherwise; by default where the environment variable
        ``CRYOWIDGETS_PROJECTS`` says, else the current folder.
    """
    return Wizard(Path(folder or os.environ.get("CRYOWIDGETS_PROJECTS") or ".").absolute())


class Wizard(W.Box):
    """Choose a template, fill its fields, see its graph, choose a folder, start."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.template: Template | None = None
        self.form: QuestionForm | None = None
        self.project: Project | None = None
        """The project, once it is made."""
        self._found: dict[str, Template] = {}
        self._starting: threading.Thread | None = None
        self.cards = Cards(self.choose, "Template", "no templates are installed")
        self.graph = WorkflowGraph(empty="choose a template on the left")
        self.place = W.Text(placeholder="/path/of/the/project", continuous_update=True, tooltip="Project folder")
        self.start = W.Button(description="Start", button_style="primary", disabled=True)
        self.again = W.Button(description="Another session")
        self.here = W.Button(description="Show the session here")
        self._head, self._said, self._place_note = W.HTML(), W.HTML(), W.HTML()
        self._form_place, self._live_place, self._session_place = W.VBox(), W.VBox(), W.VBox()
        self.place.observe(lambda _: self.check(), names="value")
        self.start.on_click(lambda _: self.begin())
        self.again.on_click(lambda _: self._reset())
        self.here.on_click(lambda _: self._show_session())
        where = box([W.HTML("<label>Project folder</label>"), self.place, W.HTML(), self._place_note], "cw-field")
        self._ending = box([where, box([self.start, self._said], "cw-buttons")], "cw-wizard-end", "cw-form")
        self._after = box([self.here, self.again], "cw-buttons")
        self._filling = box([self.graph, self._form_place], "cw-wizard-filling")
        chosen = box([self._head, self._filling, self._live_place, self._ending, self._after], "cw-wizard-chosen")
        self._new = box([self.cards, chosen], "cw-wizard-new")
        self.library = None
        """Made when it is first looked at."""
        self._library_place = box([], "cw-library-place")
        self.tabs = Tabs(["New session", "Library"], lambda _: self._open(), "What is shown")
        parts = [Pulse(lambda: None), W.HTML("<h1>cryowidgets</h1>"), self.tabs, self._new, self._library_place]
        super().__init__([*parts, self._session_place])
        for name in ("cw-root", "cw-session", "cw-wizard"):
            self.add_class(name)
        self.look()
        self._reset()
        self._open()

    def look(self) -> None:
        """Look for templates anew."""
        taken = {id: t for id, t in self._found.items() if t.source == "library"}
        self._found = {f"{t.source}/{t.category}/{t.name}": t for t in templates.find()} | taken
        self.cards.fill(_card(id, t) for id, t in sorted(self._found.items(), key=_by_category))

    def choose(self, id: str) -> None:
        """Open a template's form."""
        if self.project is not None:
            self._reset()
        self.template = template = self._found[id]
        self.form = QuestionForm(template.questions, self.check)
        self._form_place.children = [self.form]
        put(
            self._head, f"<h2>{texts.safe(template.name)}</h2><p class='cw-soft'>{texts.safe(template.description)}</p>"
        )
        self.place.value = str(_free(self.folder, template.name))
        show_if(self._ending, True)
        self.check()

    def take(self, template: Template) -> None:
        """Take a template from elsewhere and open its form."""
        self.look()
        id = next((id for id, known in self._found.items() if known.path == template.path), "")
        if not id:
            id = f"library/{template.category}/{template.name}"
            self._found[id] = replace(template, source="library")
            self.look()
        self.tabs.choose("New session")
        if self.cards.shown == id:
            self.choose(id)
        self.cards.choose(id)

    def check(self) -> None:
        """Say what is wrong or open, and draw the workflow as far as it is known."""
        if self.template is None or self.form is None or self.project is not None:
            return
        answers = self.form.answers()
        faults = self.template.check(answers)
        self.form.show(faults)
        workflow = self.template.workflow
        if not faults:
            try:
                workflow = self.template.fill(answers)
            except CryowidgetsError as error:
                faults = {"": str(error)}
        self.graph.empty = "fill in the fields, and the workflow is drawn here"
        self.graph.show(planned(workflow, self._told(answers, faults)) if workflow else [])
        wrong = folder_fault(self.place.value)
        kind, word = ("cw-failed", wrong) if wrong else ("cw-help", "it is made, and all results go there")
        put(self._place_note, f"<p class='{kind}'>{texts.safe(word)}</p>")
        self.start.disabled = bool(faults or wrong)
        open_ = [
            self.form.questions[id].label if id in self.form.questions else sentence for id, sentence in faults.items()
        ]
        open_ += ["Project folder"] if wrong else []
        put(self._said, f"<span class='cw-soft'>open or wrong: {texts.safe(', '.join(open_))}</span>" if open_ else "")

    def begin(self) -> None:
        """Make the project and start its engine, in a thread: a kernel that waits shows nothing."""
        if self.template is None or self.form is None or self._starting is not None or self.start.disabled:
            return
        answers, place = self.form.answers(), Path(self.place.value.strip()).expanduser()
        self._freeze(True)
        put(self._said, "<span class='cw-soft'>the project is made and its engine is starting…</span>")
        self._starting = threading.Thread(target=self._run, args=(self.template, answers, place), daemon=True)
        self._starting.start()

    def _run(self, template: Template, answers: dict[str, str], place: Path) -> None:
        project = microscope = None
        try:
            project = Project.create(place, template=template.fill(answers))
            microscope = project.simulate()  # first: it takes as long as the engine to begin
            project.run(background=True)
            fault = ""
        except CryowidgetsError as error:
            fault = str(error)
        except Exception as error:  # a person waits for the answer, and nobody else hears of it in a thread
            fault = f"{type(error).__name__}: {error}"
        self._starting = None
        if fault and microscope is not None:
            microscope.terminate()
        if project is None:
            self._freeze(False)
            put(self._said, f"<span class='cw-failed' role='alert'>{texts.safe(fault)}</span>")
            return
        self._follow(project, fault)

    def _follow(self, project: Project, fault: str) -> None:
        """The project is made: show how it gets on."""
        self.project = project
        live = WorkflowWidget(project, control=False)
        self._live_place.children = [live]
        show_if(self._filling, False)
        show_if(self._ending, False)
        show_if(self._after, True)
        linked = bool(os.environ.get(SESSIONS))
        show_if(self.here, not linked)
        link = (
            f"<p><a class='cw-go' href='{session_link(project.folder)}' target='_blank'>Open the session page</a></p>"
        )
        words = (
            f"<p class='cw-failed' role='alert'>{texts.safe(fault)}</p>"
            if fault
            else (f"<p>It runs, also when this page is closed. Project: <code>{texts.safe(project.folder)}</code></p>")
        )
        put(self._head, f"<h2>{texts.safe(project.folder.name)}</h2>{words}{link if linked else ''}")
        put(self._said, "")
        live.wake()

    def _show_session(self) -> None:
        from cryowidgets.widgets.dashboard import session

        if self.project is not None:
            self._session_place.children = [session(self.project, control=True)]
            show_if(self._session_place, True)

    def _reset(self) -> None:
        """As before anything was chosen; what runs, runs on."""
        self.project = self.template = self.form = None
        self.cards.shown = ""
        self._form_place.children = self._live_place.children = self._session_place.children = ()
        self._freeze(False)
        self.graph.empty = "choose a template on the left"
        self.graph.show([])
        put(self._head, "<h2>New session</h2><p class='cw-soft'>Choose a template, fill in its fields, start.</p>")
        put(self._said, "")
        show_if(self._filling, True)
        for part in (self._ending, self._after, self._session_place):
            show_if(part, False)

    def _freeze(self, frozen: bool) -> None:
        self.start.disabled = self.place.disabled = frozen
        if self.form is not None:
            self.form.set_disabled(frozen)

    def _told(self, answers: dict[str, str], faults: dict[str, str]) -> dict[str, str]:
        """What is answered of each step, in words."""
        told: dict[str, list[str]] = {}
        for id, question in self.form.questions.items() if self.form else ():
            if answers.get(id) and id not in faults:
                for step, name in question.targets:
                    value = os.path.basename(answers[id]) or answers[id]
                    told.setdefault(step, []).append(f"{name.replace('_', ' ')} {value} {question.unit}".strip())
        return {step: ", ".join(words) for step, words in told.items()}

    def _open(self) -> None:
        new = self.tabs.shown == "New session"
        show_if(self._new, new)
        show_if(self._library_place, not new)
        if not new:
            from cryowidgets.widgets.library_view import LibraryView

            if self.library is None:
                self.library = LibraryView(self.take)
                self._library_place.children = [self.library]
            self.library.look()


def folder_fault(text: str) -> str:
    """Why a project cannot be made there, as a sentence; empty where it can."""
    if not text.strip() or "\0" in text:
        return "Write the folder that the project gets, from the root."
    folder = Path(text.strip()).expanduser()
    try:
        if not folder.is_absolute():
            return f"{folder} is not written from the root: write {folder.absolute()}."
        if (folder / NAME).exists():
            return f"{folder} is a project already: write the path of another folder."
        if folder.exists() and not folder.is_dir():
            return f"{folder} is a file: write the path of a folder."
        above = next(parent for parent in (folder, *folder.parents) if parent.exists())
        if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
            return f"Nothing may be written to {above}: choose a folder elsewhere."
    except (OSError, ValueError) as error:
        return f"{folder} is no path: {error}."
    return ""


def session_link(folder: Path) -> str:
    """Address of the page of a session, from that of the wizard."""
    return f"session?project={quote(str(folder), safe='')}"


def _card(id: str, template: Template) -> Card:
    origin = "" if template.source == "package" else template.source
    fault = template.fault if template.fault else ""
    return Card(id, template.name, template.category or OWN, template.description, origin, fault)


def _by_category(found: tuple[str, Template]) -> tuple[str, bool, str]:
    template = found[1]
    return (template.category or OWN, bool(template.fault), template.name)


def _free(folder: Path, name: str) -> Path:
    """A folder for a session of today that is not there yet."""
    stem = f"{time.strftime('%Y%m%d')}-{name}"
    return next(p for n in ["", *(f"-{i}" for i in range(2, 1000))] if not (p := folder / f"{stem}{n}").exists())
