"""Sets of parameters: one source of movies, one project for each set.

A list of sets is a CSV file, one set in each row, or YAML::

    name,align.binning,ctf.box            - name: fine
    fine,1,768                              ctf.box: 768
    coarse,2,512                          - name: coarse
                                            align: {binning: 2}

An empty cell leaves a parameter as it is.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryowidgets.errors import InputError, ParameterError, ProjectError
from cryowidgets.project.project import Project
from cryowidgets.project.variant import variant
from cryowidgets.protocols import registry
from cryowidgets.workflow import Workflow

Settings = dict[str, dict[str, Any]]
"""Values by step and parameter."""
_NAME = re.compile(r"[A-Za-z0-9][\w.+-]*")


def read(path: Path | str) -> dict[str, Settings]:
    """The sets of a file by name, in its order.

    Raises
    ------
    InputError
        It cannot be read; the sentence names line or set.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}.") from None
    rows = _yaml(path, text) if path.suffix.lower() in (".yaml", ".yml", ".json") else _csv(path, text)
    found: dict[str, Settings] = {}
    for where, row in rows:
        name = str(row.pop("name", "") or "").strip()
        if not _NAME.fullmatch(name):
            raise InputError(
                f"{path}, {where}: {name!r} is no name for a set: write letters, digits and . _ + - as 'name'."
            )
        if name in found:
            raise InputError(f"{path}, {where}: there is a set {name!r} already.")
        found[name] = _settings(f"{path}, {where}", row)
    if not found:
        raise InputError(f"{path} has no sets: write a name and parameters, such as 'name,ctf.box' and 'fine,768'.")
    return found


def make(
    sets: Mapping[str, Settings],
    out: Path | str,
    source: Project | None = None,
    template: Workflow | Path | str = "live",
    movies: str = "",
    common: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Project]:
    """One project for each set, in folders of `out` that have its name; those that are there already go on.

    Parameters
    ----------
    sets : mapping
        As `read` gives them.
    source : Project, optional
        Whose movies, workflow and results each starts with; see `variant`.
    template, movies
        Where there is no `source`: see `Project.create`.
    common : mapping, optional
        Values that all have, unless their set says otherwise.

    Raises
    ------
    ProjectError
        A folder has a project with other parameters.
    ParameterError, WorkflowError
        A set does not fit; before anything is made where it is a name of a step or a parameter.
    """
    out = Path(out).absolute()
    wanted = {name: _merged(common or {}, settings) for name, settings in sets.items()}
    if source is not None:
        for name, settings in wanted.items():
            _check(source, settings, f"Set {name}")
    projects = []
    for name, settings in wanted.items():
        folder = out / name
        if (folder / "project.sqlite").exists():
            projects.append(_same(Project(folder), settings))
        elif source is not None:
            projects.append(variant(source, folder, settings))
        else:
            projects.append(Project.create(folder, name, template, movies, settings))
    return projects


def _csv(path: Path, text: str) -> list[tuple[str, dict[str, Any]]]:
    table = csv.DictReader(text.splitlines())
    if "name" not in (table.fieldnames or ()):
        raise InputError(f"{path} has no column 'name': begin with a line such as 'name,align.binning,ctf.box'.")
    rows = []
    for number, row in enumerate(table, 2):
        if None in row or None in row.values():
            raise InputError(f"{path}, line {number}: it has not as many values as the first line has names.")
        rows.append((f"line {number}", {key: value for key, value in row.items() if value.strip()}))
    return rows


def _yaml(path: Path, text: str) -> list[tuple[str, dict[str, Any]]]:
    import yaml

    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not YAML: {' '.join(str(error).split())}.") from None
    if isinstance(content, Mapping):
        content = [{"name": name, **(values or {})} for name, values in content.items()]
    if not isinstance(content, list) or not all(isinstance(row, Mapping) for row in content):
        raise InputError(f"{path} is not a list of sets: write '- name: fine' and below it 'ctf.box: 768'.")
    return [(f"set {number}", dict(row)) for number, row in enumerate(content, 1)]


def _settings(where: str, row: Mapping[Any, Any]) -> Settings:
    found: Settings = {}
    for key, value in row.items():
        step, dot, parameter = str(key).partition(".")
        if isinstance(value, Mapping) and not dot:
            found.setdefault(step, {}).update(value)
        elif dot and step and parameter and not isinstance(value, Mapping):
            found.setdefault(step, {})[parameter] = value
        else:
            raise InputError(f"{where}: {key!r} is not step.parameter; write for instance ctf.box.")
    return found


def _merged(common: Mapping[str, Mapping[str, Any]], own: Settings) -> Settings:
    return {step: {**common.get(step, {}), **own.get(step, {})} for step in dict.fromkeys([*common, *own])}


def _check(source: Project, settings: Settings, what: str) -> None:
    with source.reader() as reader:
        steps = reader.steps()
    for step, values in settings.items():
        if step not in steps:
            raise ParameterError(f"{what}: there is no step {step!r} in {source.folder}. It has: {', '.join(steps)}.")
        protocol = registry.get(steps[step].protocol)
        protocol(**{**protocol.known(steps[step].params), **values})


def _same(project: Project, settings: Settings) -> Project:
    """A project of a batch that was begun before, if it has the values that are asked for now."""
    _check(project, settings, str(project.folder))
    with project.reader() as reader:
        steps = reader.steps()
    for step, values in settings.items():
        asked = registry.get(steps[step].protocol)(**values)
        for name in values:
            present, wanted = steps[step].params.get(name), getattr(asked, name)
            if present != wanted:
                raise ProjectError(
                    f"{project.folder} is there already, with {step}.{name} = {present!r} instead of {wanted!r}: "
                    "choose another folder or another name for the set."
                )
    return project
