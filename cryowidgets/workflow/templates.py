"""Templates: workflow documents that lie where they are found by name, with questions to be answered.

They are looked for in plug-ins, in the package, in the site's folders (`CRYOWIDGETS_TEMPLATES`), in the user's
(``~/.config/cryowidgets/templates``) and in the project's (``PROJECT/templates``). Of two with one name the latter
hides the former, unless it is asked for as ``site/name``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cryowidgets import plugins
from cryowidgets.errors import CryowidgetsError, WorkflowError
from cryowidgets.protocols import registry
from cryowidgets.protocols.base import Protocol
from cryowidgets.workflow.checks import near
from cryowidgets.workflow.document import Inert, StepSpec, Workflow
from cryowidgets.workflow.questions import SIMULATE, Question, spelled
from cryowidgets.workflow.reading import parse
from cryowidgets.workflow.simulation import Simulation

SITE = "CRYOWIDGETS_TEMPLATES"
"""Environment variable with the site's folders, separated as in PATH."""
ENDINGS = (".json.template", ".json")
PACKAGE = Path(__file__).parents[1] / "templates"


@dataclass(frozen=True)
class Template:
    """A workflow with open questions.

    Attributes
    ----------
    name, description, category : str
        The name is that of the file.
    source : str
        Where it was found: package, plug-in, site, user, project, or file.
    path : Path or None
    questions : tuple of Question
        In the order in which they stand in the document.
    workflow : Workflow or None
        As far as it is known; None where it is broken.
    fault : str
        What is wrong with the file; empty where nothing is.
    """

    name: str
    description: str = ""
    category: str = ""
    source: str = "file"
    path: Path | None = None
    questions: tuple[Question, ...] = ()
    workflow: Workflow | None = None
    fault: str = ""

    @classmethod
    def of(cls, workflow: Workflow, source: str = "", path: Path | None = None, name: str = "") -> Template:
        """The template of a workflow that is in hand."""
        return cls(
            name or workflow.name,
            workflow.description,
            workflow.category,
            source,
            path,
            workflow.questions,
            workflow,
        )

    def check(self, answers: Mapping[str, Any]) -> dict[str, str]:
        """What is wrong with some answers, the defaults included.

        Parameters
        ----------
        answers : mapping of id to text

        Returns
        -------
        dict of str to str
            A sentence by the id of the question; empty where the template can be filled.
        """
        if self.workflow is None:
            return {"": self.fault}
        faults = unanswered(self.questions, answers)
        texts = given(self.questions, answers)
        parts = {part.name: part for part in self.workflow.steps}
        for step in dict.fromkeys(step for question in self.questions for step, _ in question.targets):
            protocol = _protocol(parts, step)
            if protocol is None:
                continue
            asked = {
                name: question
                for question in self.questions
                for target, name in question.targets
                if target == step and question.id in texts and question.id not in faults
            }
            before = parts[step].params if step in parts else self.workflow.simulate or {}
            values = {name: _text(protocol, name, question, texts[question.id]) for name, question in asked.items()}
            for name, sentence in protocol.faults({**before, **values}).items():
                culprit = asked.get(name) or _named(asked, sentence)
                if culprit and culprit.id not in faults:
                    faults[culprit.id] = sentence
        return faults

    def fill(self, answers: Mapping[str, Any]) -> Workflow:
        """The workflow with the answers, and the defaults where there are none, in place.

        Raises
        ------
        WorkflowError
            With a line for each field that is wrong or lacks its answer.
        """
        faults = self.check(answers)
        if self.workflow is None or faults:
            lines = "".join(f"\n- {id + ': ' if id else ''}{sentence}" for id, sentence in faults.items())
            raise WorkflowError(f"{self.name} cannot be filled:{lines}")
        texts = given(self.questions, answers)
        parts = {part.name: part for part in self.workflow.steps}
        values: dict[str, dict[str, Any]] = {}
        for question in self.questions:
            for step, name in question.targets:
                protocol, text = _protocol(parts, step), texts[question.id]
                value = question.value(text) if protocol is None else _text(protocol, name, question, text)
                values.setdefault(step, {})[name] = value
        return self._with(values)

    def _with(self, values: Mapping[str, Mapping[str, Any]]) -> Workflow:
        workflow = self.workflow
        assert workflow is not None
        simulate = workflow.simulate
        if simulate is not None:
            simulate = Simulation(**{**simulate, **values.get(SIMULATE, {})}).values()
        return replace(
            workflow,
            steps=tuple(_step(step, values.get(step.name)) for step in workflow.steps),
            inert=tuple(
                replace(part, params={**part.params, **values[part.name]}) if part.name in values else part
                for part in workflow.inert
            ),
            questions=(),
            simulate=simulate,
        )


def find(places: Iterable[tuple[str, Path]] | None = None) -> list[Template]:
    """All templates, the broken ones as well, by where they are found.

    Parameters
    ----------
    places : of (source, folder), optional
        Where to look; `folders` by default.
    """
    return [
        template for source, folder in (folders() if places is None else places) for template in scan(folder, source)
    ]


def folders(project: Path | str | None = None) -> list[tuple[str, Path]]:
    """Where templates are looked for, the most general place first."""
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    brought, _ = plugins.template_folders()
    site = [folder for folder in os.environ.get(SITE, "").split(os.pathsep) if folder]
    found = [(plugin.package, Path(str(folder))) for plugin, folder in brought]
    found.append(("package", PACKAGE))
    found += [("site", Path(folder).expanduser()) for folder in site]
    found.append(("user", Path(home) / "cryowidgets" / "templates"))
    if project or _is_file(Path("project.sqlite")):
        found.append(("project", Path(project or ".").absolute() / "templates"))
    return [(source, folder) for source, folder in found if _is_folder(folder)]


def get(name: str | Path, places: Iterable[tuple[str, Path]] | None = None) -> Template:
    """The template of a name, of ``source/name``, or of a file.

    Raises
    ------
    WorkflowError
        There is none, or its file is broken: every fault is named.
    """
    text, file = str(name), Path(name)
    source, _, bare = text.rpartition("/")
    found = None
    if not text.endswith(ENDINGS):
        known = find(places)
        for template in known:
            if template.name == bare and source in ("", template.source, template.category):
                found = template
    if found is None and _is_file(file):
        found = load(file)
    if found is None:
        names = dict.fromkeys(template.name for template in find(places))
        raise WorkflowError(
            f"There is no template or file {text!r}{near(text, names) or '.'} Templates: {', '.join(names)}."
        )
    if found.fault:
        raise WorkflowError(found.fault)
    return found


def read(name: str | Path) -> Workflow:
    """The workflow of a template's name or of a file, its questions open.

    Raises
    ------
    WorkflowError
        There is none, it is not a workflow document, or its steps do not fit: every fault is named.
    """
    found = get(name)
    if found.workflow is None:
        raise WorkflowError(
            f"{name} is no workflow before its fields are filled: use templates.get({str(name)!r}).fill."
        )
    return found.workflow


def load(path: Path, source: str = "file") -> Template:
    """The template of a file; one that cannot be used has a `fault`, and nothing is raised."""
    name = next(path.name.removesuffix(ending) for ending in (*ENDINGS, "") if path.name.endswith(ending))
    try:
        if path.name.endswith(".json.template"):
            from cryowidgets.workflow import scipion

            return replace(scipion.read_template(path), source=source)
        text = path.read_bytes()
        if _is_scipion(text):
            from cryowidgets.workflow import scipion

            return Template.of(scipion.load(path).workflow, source, path, name)
        workflow, faults = parse(text)
    except OSError as error:
        return Template(name, source=source, path=path, fault=f"{path} cannot be read: {error.strerror}.")
    except CryowidgetsError as error:
        return Template(name, source=source, path=path, fault=str(error))
    if workflow is None:
        return Template(name, source=source, path=path, fault=_sentence(path, faults))
    found = replace(Template.of(workflow, source, path), name=name)
    return replace(found, workflow=None, fault=_sentence(path, faults)) if faults else found


def scan(folder: Path, source: str) -> Iterator[Template]:
    """The templates of a folder and of those in it, which are categories."""
    for where, inside, names in os.walk(folder):
        inside[:] = sorted(name for name in inside if name[0] not in "._")
        for name in sorted(names):
            if name.endswith(ENDINGS) and not name.startswith("."):
                found = load(Path(where) / name, source)
                category = Path(where).relative_to(folder).as_posix().removeprefix(".")
                yield replace(found, category=category or found.category)


def unanswered(questions: Iterable[Question], answers: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with some answers by themselves: none, one that is no question, not of the type."""
    known = {question.id: question for question in questions}
    faults = {}
    for id in answers:
        if id not in known:
            faults[id] = (
                f"There is no question {id!r}{near(id, known) or '.'} It asks for {', '.join(known) or 'nothing'}."
            )
    texts = given(known.values(), answers)
    for id, question in known.items():
        if id not in texts:
            about = f" {question.help.rstrip('.')}." if question.help else ""
            faults[id] = f"{question.label} must be answered: write {question.wanted}.{about}"
        elif said := question.refusal(texts[id]):
            faults[id] = said
    return faults


def given(questions: Iterable[Question], answers: Mapping[str, Any]) -> dict[str, str]:
    """The text of each answer, the default where there is none; without those that have neither."""
    texts = {question.id: spelled(answers.get(question.id, question.default)) for question in questions}
    return {id: text for id, text in texts.items() if text is not None}


def _step(step: StepSpec, values: Mapping[str, Any] | None) -> StepSpec:
    """The step with values as its protocol holds them: numbers where they were typed."""
    if not values:
        return step
    held = registry.get(step.protocol)(**{**step.params, **values}).values()
    return replace(step, params={**step.params, **{name: held[name] for name in values}})


def _protocol(parts: Mapping[str, StepSpec | Inert], step: str) -> type[Protocol] | None:
    """Whose parameters a question fills; None for an inert step."""
    if step in parts:
        part = parts[step]
        return registry.get(part.protocol) if isinstance(part, StepSpec) else None
    return Simulation if step == SIMULATE else None


def _text(protocol: type[Protocol], name: str, question: Question, text: str) -> str:
    """An answer, from the root where it is a path: who answers stands in a folder, and the engine in another."""
    is_path = question.type in ("path", "file", "folder") or protocol.parameters()[name].trait.metadata.get("path")
    return os.path.abspath(os.path.expanduser(text.strip())) if is_path and text.strip() else text


def _named(asked: Mapping[str, Question], sentence: str) -> Question | None:
    """Which question a sentence is about that speaks of the step as a whole: the one it names, else the last."""
    named = [question for name, question in asked.items() if f".{name} " in sentence]
    return (named or list(asked.values()) or [None])[0 if named else -1]


def _sentence(path: Path, faults: list[str]) -> str:
    if len(faults) == 1:
        return f"{path} cannot be used: {faults[0].rstrip('.')}."
    return f"{path} cannot be used:" + "".join(f"\n- {fault.rstrip('.')}" for fault in faults)


def _is_scipion(text: bytes) -> bool:
    """Whether this is what Scipion exports rather than a document of ours."""
    return text.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"[" and b"object.className" in text


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False
