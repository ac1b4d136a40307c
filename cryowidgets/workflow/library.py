"""A library of workflows: a folder with a folder for each category, as one has in git or on a shared drive.

Where it lies the environment variable `CRYOWIDGETS_LIBRARY` says, or who asks. What comes with the package is in it as
well.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from cryowidgets.errors import InputError, ParameterError, WorkflowError
from cryowidgets.protocols import registry
from cryowidgets.workflow import templates
from cryowidgets.workflow.checks import check
from cryowidgets.workflow.document import StepSpec, Workflow
from cryowidgets.workflow.questions import Question, spelled
from cryowidgets.workflow.templates import ENDINGS, PACKAGE, Template

LIBRARY = "CRYOWIDGETS_LIBRARY"


def location(folder: Path | str | None = None) -> Path:
    """Where the library lies: the folder that is given, else that of the environment, else the package's own."""
    return Path(folder or os.environ.get(LIBRARY) or PACKAGE).expanduser().absolute()


def find(folder: Path | str | None = None) -> list[Template]:
    """All workflows, the broken ones as well: those of the package, then those of the library.

    Raises
    ------
    InputError
        The library is not there.
    """
    return templates.find(_places(folder))


def get(name: str, folder: Path | str | None = None) -> Template:
    """The workflow of a name, or of ``category/name``; the library's own comes before the package's.

    Raises
    ------
    WorkflowError
        There is none, or it is broken.
    """
    return templates.get(name, _places(folder))


def take(name: str, to: Path | str = ".", folder: Path | str | None = None, overwrite: bool = False) -> Path:
    """Copy a workflow out of the library, to be changed or used as a template.

    Parameters
    ----------
    name : str
        Its name, or ``category/name``.
    to : path
        A folder that is there, or the file to write.
    folder : path, optional
        The library.
    overwrite : bool
        Replace a file that is there.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    WorkflowError
        There is no such workflow, it is broken, or the file is there already.
    """
    found = get(name, folder)
    assert found.path is not None
    there = Path(to).expanduser().absolute()
    return _write(there / found.path.name if there.is_dir() else there, found.path.read_bytes(), overwrite)


def put(
    workflow: Workflow | Path | str,
    name: str = "",
    category: str = "",
    folder: Path | str | None = None,
    overwrite: bool = False,
) -> Path:
    """Put a workflow into the library, whole or not at all.

    One that imports certain movies asks for them there, see `reusable`.

    Parameters
    ----------
    workflow : Workflow or path
        The workflow, or a file with one.
    name, category : str, optional
        Those of the workflow by default. A category may have another in it: ``facility/k3``.
    folder : path, optional
        The library.
    overwrite : bool
        Replace one of the same name.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    WorkflowError
        It has faults, or there is one of this name already.
    ParameterError
        A name or category that no file could have, or the library is the package's own.
    """
    where = location(folder)
    if where == PACKAGE:
        raise ParameterError(
            f"The library of the package itself is not written to: say where yours lies, with {LIBRARY} or --library."
        )
    found = workflow if isinstance(workflow, Workflow) else templates.load(Path(workflow).expanduser())
    name = name or found.name
    category = category or found.category
    for what, text in (("name", name), *(("category", part) for part in category.split("/") if category)):
        if not _NAME.fullmatch(text):
            raise ParameterError(f"{text!r} is no {what} for a workflow: write letters, digits, _, - and . alone.")
    if isinstance(found, Template):
        if found.fault:
            raise WorkflowError(found.fault)
        if found.path and found.path.name.endswith(".json.template"):
            return _write(where / category / f"{name}.json.template", found.path.read_bytes(), overwrite)
        assert found.workflow is not None
        found = found.workflow
    faults = check(found.steps, found.inert)
    if faults:
        raise WorkflowError(f"{name} cannot be put into the library:" + "".join(f"\n- {fault}" for fault in faults))
    document = replace(reusable(found), name=name, category="")
    return _write(where / category / f"{name}.json", document.to_json().encode(), overwrite)


def reusable(workflow: Workflow) -> Workflow:
    """The same workflow for any session: it asks for the movies and what belongs to them, and leaves out defaults.

    Pixel size, voltage and dose are asked for with the present values as defaults. One that has questions already, or
    a simulated microscope, asks no more.
    """
    source = next((step for step in workflow.steps if step.protocol == "ImportMovies"), None)
    if source is not None and workflow.simulate is not None:
        found = {name: value for name, value in source.params.items() if name not in _OF_A_MICROSCOPE}
        workflow = _with(workflow, replace(source, params=found))
    elif source is not None and source.params.get("pattern") and not workflow.questions:
        parameters = registry.get(source.protocol).parameters()
        questions = []
        for id, (name, label) in _OF_A_SESSION.items():
            value = source.params.get(name, parameters[name].default)
            default = {"movies": None, "gain": ""}.get(id, spelled(value))
            questions.append(Question(id, label, default, targets=((source.name, name),)).of(parameters[name]))
        asked = {name for name, _ in _OF_A_SESSION.values()}
        kept = {name: value for name, value in source.params.items() if name not in asked and name != "defects"}
        workflow = replace(_with(workflow, replace(source, params=kept)), questions=tuple(questions))
    return replace(workflow, steps=tuple(replace(step, params=changed(step)) for step in workflow.steps))


def changed(step: StepSpec) -> dict[str, Any]:
    """The parameters of a step that differ from the defaults of its protocol."""
    parameters = registry.get(step.protocol).parameters()
    defaults = {name: parameter.default for name, parameter in parameters.items()}
    values = registry.get(step.protocol)(**step.params).values()
    return {name: value for name, value in values.items() if name in step.params and value != defaults[name]}


_OF_A_SESSION = {
    "movies": ("pattern", "Movies"),
    "pixel_size": ("pixel_size", "Pixel size"),
    "volt": ("voltage", "Voltage"),
    "dose": ("dose_per_frame", "Dose per frame"),
    "gain": ("gain", "Gain reference"),
}
_OF_A_MICROSCOPE = {"pattern", "gain", "pixel_size", "voltage", "cs", "amplitude_contrast", "dose_per_frame"}
_NAME = re.compile(r"\w[\w.-]{0,99}")


def _with(workflow: Workflow, changed: StepSpec) -> Workflow:
    return replace(workflow, steps=tuple(changed if step.name == changed.name else step for step in workflow.steps))


def _places(folder: Path | str | None) -> Iterable[tuple[str, Path]]:
    where = location(folder)
    if where == PACKAGE:
        return [("package", PACKAGE)]
    if not where.is_dir():
        raise InputError(f"The library {where} is not there: make the folder, or say where it lies with {LIBRARY}.")
    return [("package", PACKAGE), ("library", where)]


def _write(path: Path, content: bytes, overwrite: bool) -> Path:
    """The file, written whole under its name or not at all."""
    rivals = [path.with_name(path.name.removesuffix(ending) + other) for ending in ENDINGS for other in ENDINGS]
    taken = next((file for file in rivals if path.name.endswith(ENDINGS) and file.exists()), path)
    if taken.exists() and not overwrite:
        raise WorkflowError(f"{taken} is there already: choose another name, or say that it is to be replaced.")
    half = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        half.write_bytes(content)
        os.replace(half, path)
    except OSError as error:
        half.unlink(missing_ok=True)
        raise InputError(f"{path} cannot be written: {error.strerror}.") from None
    return path
