"""The page of a report: our template, or that of a site, which may change as much of it as it likes.

A site's template is a folder with ``report.html``, and ``report.css`` where it wants another style sheet. It may begin
with ``{% extends "default/report.html" %}`` and fill blocks of ours: ``title``, ``head``, ``extra``, ``foot`` and one
for each section. ``{{ asset("logo.png") }}`` is the address of a picture in the folder.
"""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from cryowidgets.errors import InputError
from cryowidgets.facility.report.pictures import Album

VARIABLE = "CRYOWIDGETS_REPORT"
"""Environment variable with the folder of a site's template."""
PAGE = "report.html"
OURS = Path(__file__).parent / "template"
_NAME = re.compile(r"[\w][\w.-]{0,99}")


@dataclass(frozen=True)
class Rendered:
    """A page, and what is to be said of the template; empty where all is well."""

    html: str
    fault: str = ""


def location(folder: Path | str | None = None) -> Path | None:
    """The folder of the template: that which is given, else that of the environment; None for ours.

    Raises
    ------
    InputError
        It is not there.
    """
    given = folder or os.environ.get(VARIABLE)
    if not given:
        return None
    place = Path(given).expanduser().absolute()
    if not place.is_dir():
        raise InputError(
            f"The folder {place} for the template of the report is not there: make it, with a {PAGE} in it, "
            f"or leave out --template and {VARIABLE}."
        )
    return place


class Pages:
    """Makes the page again and again, by a site's template or by ours; a template that is changed is read again.

    Parameters
    ----------
    folder : Path, optional
        Of the site's template.
    album : Album
        Where its pictures are taken along.
    """

    def __init__(self, folder: Path | None, album: Album) -> None:
        self._folder = folder
        self._ours = _environment(None, album)
        self._theirs = _environment(folder, album) if folder else None

    def render(self, context: Mapping[str, Any]) -> Rendered:
        """The page by a site's template; where that is broken, by ours, and with a sentence that says where."""
        fault = ""
        if self._theirs is not None and self._folder is not None:
            try:
                return Rendered(self._theirs.get_template(PAGE).render(context))
            except Exception as error:  # whatever a template can do wrong: it is a program of the site
                fault = f"The template of the site is not used: {_fault(error, self._folder)}"
        return Rendered(self._ours.get_template(PAGE).render({**context, "fault": fault}), fault)


def _environment(folder: Path | None, album: Album) -> jinja2.Environment:
    ours = jinja2.FileSystemLoader(OURS)
    loaders: list[jinja2.BaseLoader] = [jinja2.FileSystemLoader(folder)] if folder else []
    loader = jinja2.ChoiceLoader([*loaders, ours, jinja2.PrefixLoader({"default": ours})])
    made = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )

    def asset(name: str) -> str:
        file = (folder or OURS) / name
        if not _NAME.fullmatch(name) or not file.is_file():
            raise jinja2.TemplateRuntimeError(f"there is no picture {name!r} in the template's folder")
        return album.take(str(file), f"site-{file.stem}-{file.stat().st_mtime_ns}")

    made.globals["asset"] = asset
    made.globals["fault"] = ""
    return made


def _fault(error: Exception, folder: Path) -> str:
    """What is wrong, with file and line."""
    if isinstance(error, jinja2.TemplateNotFound):
        return f"{error.name} is not there."
    said = f"{error}" or type(error).__name__
    if isinstance(error, jinja2.TemplateSyntaxError):
        return f"{error.name or PAGE}, line {error.lineno}: {error.message or said}"
    steps = [step for step in traceback.extract_tb(error.__traceback__) if Path(step.filename).is_relative_to(folder)]
    where = f"{Path(steps[-1].filename).relative_to(folder)}, line {steps[-1].lineno}: " if steps else ""
    return f"{where}{said}"
