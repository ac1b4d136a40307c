"""Hand a session over as a Research Object Crate: a folder that says of itself what it holds and how that was made.

::

    OUT/ro-crate-metadata.json    what there is and how it was made, for programs (RO-Crate 1.1 and Process Run Crate)
    OUT/workflow.json             the workflow with the parameters that most movies were made with; workflow-2.json …
                                  with those of the others
    OUT/parameters.json           every version of the parameters of every step, and from when on it was in use
    OUT/processing.json           microscope, acquisition, results in figures, software; its schema lies beside it
    OUT/record.json               which movies were made with which parameters, and what people decided
    OUT/star/                     RELION star files of what was accepted; images stay in the project
    OUT/reproduce.ipynb           a notebook that does all of it again on the same movies, and compares
    OUT/thumbnails/               a picture of each micrograph, where asked for

RO-Crate: Soiland-Reyes et al., Data Science 5 (2022), https://doi.org/10.3233/DS-210053; the file is written by the
library of its authors, https://github.com/ResearchObject/ro-crate-py.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryowidgets import plugins, share
from cryowidgets.errors import ProjectError
from cryowidgets.facility import processing, relion
from cryowidgets.facility.accepted import Accepted
from cryowidgets.facility.relion import Exported
from cryowidgets.model import Micrograph, Movie
from cryowidgets.store.queries import Reader
from cryowidgets.store.record import Record, StepRecord
from cryowidgets.workflow import Workflow

if TYPE_CHECKING:
    from rocrate.rocrate import ROCrate

PASSING = ("pattern", "poll", "timeout", "file_timeout")
"""Parameters of the import that leave no trace in results."""
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
NOTEBOOK = "notebooks/05_reproduce.ipynb"


@dataclass(frozen=True)
class Run:
    """Movies that were all made with the same parameters, and the workflow with those."""

    workflow: Workflow
    movies: tuple[str, ...]


def export(project: Path | str, out: Path | str, workflow: Workflow, thumbnails: bool = False) -> Exported:
    """Write a crate.

    Parameters
    ----------
    project : path
        The project folder; its engine may be at work.
    out : path
        A folder that is not there yet or is empty; one that ends in ``.zip`` becomes a file.
    workflow : Workflow
        The project's document, ``Project.document()``.
    thumbnails : bool
        With a picture of each accepted micrograph.

    Returns
    -------
    Exported
        How many rows the star files have.

    Raises
    ------
    ProjectError
        `project` is no project or has nothing to export yet, or `out` has something in it or cannot be written to.
    """
    out = Path(out).absolute()
    if out.exists() and (out.is_file() or any(out.iterdir())):
        raise ProjectError(f"{out} is not empty: choose another place, so that nothing in it is mixed with the crate.")
    try:
        with Reader(project) as reader, tempfile.TemporaryDirectory(prefix="cryowidgets-crate-") as staged:
            crate, done = _Crate(reader, Path(staged), workflow).make(thumbnails)
            if out.suffix == ".zip":
                crate.write_zip(out)
            else:
                crate.write(out)
    except OSError as error:
        raise ProjectError(f"Cannot export to {out}: {error}.") from None
    return done


def runs(workflow: Workflow, record: Record) -> list[Run]:
    """Movies by the parameters that they were made with; those of most movies first.

    A session whose parameters never changed is one run. What never came to a step, since it failed or a gate stopped
    it, counts as if it had been made there with the present values.
    """
    present = {step.name: dict(step.params) for step in workflow.steps}
    groups: dict[str, list[str]] = {}
    for exposure, name in record.names.items():
        used = record.used.get(exposure, {})
        values = {
            step: _kept(record.steps[step].versions[used[step]].values, value) if step in used else value
            for step, value in present.items()
        }
        groups.setdefault(json.dumps(values, sort_keys=True), []).append(name)
    found = []
    for text, movies in sorted(groups.items(), key=lambda pair: -len(pair[1])):
        values = json.loads(text)
        steps = tuple(replace(step, params=values[step.name]) for step in workflow.steps)
        found.append(Run(replace(workflow, steps=steps), tuple(movies)))
    return found


def _kept(then: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """What was in use then, but for what leaves no trace; a parameter that is new since has its present value."""
    return {name: now[name] if name in PASSING else then.get(name, now[name]) for name in now}


class _Crate:
    def __init__(self, reader: Reader, folder: Path, workflow: Workflow) -> None:
        self._reader, self._folder, self._workflow = reader, folder, workflow
        self._accepted = Accepted(reader, thresholds=False)
        self._record = reader.record()
        self._session = reader.session()

    def make(self, thumbnails: bool) -> tuple[ROCrate, Exported]:
        from rocrate.model.contextentity import ContextEntity
        from rocrate.rocrate import ROCrate

        session = self._session
        done = relion.export(self._reader.folder, self._folder / "star", images=False, thresholds=False)
        crate = ROCrate(version="1.1")
        crate.name = session.name
        crate.description = self._said(done)
        crate.datePublished = datetime.now(UTC).replace(microsecond=0)
        crate.root_dataset["conformsTo"] = crate.add(
            ContextEntity(crate, PROFILE, {"@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"})
        )
        self._files(crate)
        results = self._stars(crate)
        if thumbnails:
            self._thumbnails(crate)
        self._actions(crate, results)
        return crate, done

    def _said(self, done: Exported) -> str:
        said = f" {self._workflow.description}" if self._workflow.description else ""
        return (
            f"A cryo-EM session of {self._session.found} movies, processed with cryowidgets {plugins.our_version()}: "
            f"{done.micrographs} micrographs, {done.ctfs} of them with a CTF, were accepted.{said}"
        )

    # Files ------------------------------------------------------------------------------------------------------

    def _files(self, crate: ROCrate) -> None:
        found = runs(self._workflow, self._record)
        names = ["workflow.json", *(f"workflow-{n}.json" for n in range(2, len(found) + 1))]
        for name, run in zip(names, found, strict=True):
            main = name == "workflow.json"
            entity = self._text(
                crate,
                name,
                run.workflow.to_json(),
                "The workflow with its parameters" if main else f"The same as {len(run.movies)} movies were made with",
                types=["File", "SoftwareSourceCode", "ComputationalWorkflow"],
            )
            if main:
                crate.root_dataset["mainEntity"] = entity
        self._text(crate, "parameters.json", _json(self._parameters()), "Every version of every step's parameters")
        self._text(crate, "processing.json", _json(processing.describe(self._reader)), "Metadata of the session")
        self._text(crate, "processing.schema.json", _json(processing.schema()), "JSON schema of processing.json")
        made = [{"document": n, "movies": list(run.movies)} for n, run in zip(names, found, strict=True)]
        self._text(crate, "record.json", _json(self._recorded(made)), "What was done to which movie")
        notebook = share.find(NOTEBOOK)
        self._add(crate, notebook, "reproduce.ipynb", "Does the session again and compares", "application/x-ipynb+json")

    def _recorded(self, made: list[dict[str, Any]]) -> dict[str, Any]:
        source = next((s.params for s in self._workflow.steps if s.protocol == "ImportMovies"), {})
        return {
            "program": f"cryowidgets {plugins.our_version()}",
            "session": self._session.name,
            "created": _iso(self._session.created),
            "pattern": source.get("pattern", ""),
            "gain": source.get("gain", ""),
            "defects": source.get("defects", ""),
            "runs": made,
            "rejected": self._record.rejected,
            "readmitted": list(self._record.readmitted),
        }

    def _parameters(self) -> dict[str, Any]:
        return {
            step.name: {
                "protocol": step.protocol,
                "versions": {n: {"since": _iso(v.time), "values": v.values} for n, v in step.versions.items()},
            }
            for step in self._record.steps.values()
        }

    def _stars(self, crate: ROCrate) -> list[Any]:
        about = {
            "movies.star": "All accepted movies",
            "corrected_micrographs.star": "Micrographs of them",
            "micrographs_ctf.star": "Micrographs with a CTF",
        }
        found = []
        for file in sorted((self._folder / "star").rglob("*.star")):
            name = str(file.relative_to(self._folder))
            text = about.get(file.name, f"Shifts of the frames of {file.stem}")
            found.append(self._add(crate, file, name, text, "chemical/x-star"))
        return [entity for entity in found if Path(entity.id).name in about]

    def _thumbnails(self, crate: ROCrate) -> None:
        for row in self._accepted.of(Micrograph).values():
            picture = self._reader.folder / row["thumbnail"]
            if row["thumbnail"] and picture.is_file():
                self._add(crate, picture, f"thumbnails/{row['name']}.jpg", row["name"], "image/jpeg")

    def _text(self, crate: ROCrate, name: str, text: str, about: str, types: list[str] | None = None) -> Any:
        file = self._folder / name
        file.write_text(text, encoding="utf-8")
        return self._add(crate, file, name, about, "application/json", types)

    def _add(
        self, crate: ROCrate, source: Path, name: str, about: str, format: str, types: list[str] | None = None
    ) -> Any:
        said = {"name": about, "encodingFormat": format, **({"@type": types} if types else {})}
        return crate.add_file(source, dest_path=name, properties=said, record_size=True)

    # How it was made --------------------------------------------------------------------------------------------

    def _actions(self, crate: ROCrate, results: list[Any]) -> None:
        from rocrate.model.contextentity import ContextEntity

        programs: dict[str, Any] = {}

        def program(text: str) -> Any:
            if text not in programs:
                name, _, version = text.rpartition(" ")
                said = {"@type": "SoftwareApplication", "name": name or version, "version": version if name else ""}
                programs[text] = crate.add(ContextEntity(crate, f"#{text.replace(' ', '-')}", said))
            return programs[text]

        movies = crate.add(ContextEntity(crate, "#movies", self._movies()))
        crate.root_dataset["mentions"] = []
        for step in self._record.steps.values():
            texts = dict.fromkeys(part for text in (*step.software, *step.programs) for part in text.split(", "))
            used = [program(text) for text in texts if text] or [program(f"cryowidgets {plugins.our_version()}")]
            said = {
                "@type": "CreateAction",
                "name": f"{step.name}: {step.protocol}",
                "description": _with(step),
                **({"startTime": _iso(step.begun)} if step.begun else {}),
                **({"endTime": _iso(step.ended)} if step.ended else {}),
            }
            action = crate.add(ContextEntity(crate, f"#step-{step.name}", said))
            action["instrument"] = used
            action["object"] = movies
            action["result"] = results
            crate.root_dataset.append_to("mentions", action)

    def _movies(self) -> dict[str, Any]:
        found = self._accepted.of(Movie)
        size = sum(row["size"] for row in found.values())
        said = f"{len(found)} movie files, {size / 1e9:.3g} GB, which are not in the crate"
        return {"@type": "Dataset", "name": "Movies", "description": said}


def _with(step: StepRecord) -> str:
    values = list(step.versions.values())[-1].values
    return ", ".join(f"{name} = {value!r}" for name, value in values.items()) or "no parameters"


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _iso(when: float | None) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when or 0))
