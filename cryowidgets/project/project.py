"""A folder that holds one session: making it, running it, waiting for it, comparing it with a truth."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryowidgets import workflow
from cryowidgets.engine import adding, inbox
from cryowidgets.errors import ParameterError, ProjectError, WorkflowError
from cryowidgets.model import Ctf, Micrograph
from cryowidgets.project import watched
from cryowidgets.project.steps import ProjectWorkflow, Step
from cryowidgets.protocols import registry
from cryowidgets.store import lock
from cryowidgets.store.queries import Event, ExposureRow, Reader
from cryowidgets.store.store import Store
from cryowidgets.store.thresholds import Cut, cut
from cryowidgets.workflow import Inert, StepSpec, Template, Workflow
from cryowidgets.workflow.simulation import Simulation

if TYPE_CHECKING:
    from cryowidgets.engine.observers import Observer
    from cryowidgets.sim.score import Score


class Project:
    """A project folder that exists; `Project.create` makes one.

    Parameters
    ----------
    folder : path

    Raises
    ------
    ProjectError
        It is not a project.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder).absolute()
        self.reader().close()

    @classmethod
    def create(
        cls,
        folder: Path | str,
        name: str = "",
        template: Workflow | Path | str | None = "live",
        movies: str = "",
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        answers: Mapping[str, str] | None = None,
        comment: str = "",
        **import_params: Any,
    ) -> Project:
        """Make a project.

        Parameters
        ----------
        folder : path
            Where; it must not be a project yet.
        name : str, optional
            What people call the session; the folder's name by default.
        template : str, path or Workflow, optional
            Template's name, workflow file, or the workflow itself; None for one with nothing but the import. Its
            questions take their defaults where neither `answers` nor anything else that is given here answers them.
        movies : str
            Pattern of the movie files, see `ImportMovies`.
        settings : mapping, optional
            Values for the parameters of any step: ``{"ctf": {"box": 768}}``.
        answers : mapping, optional
            Answers to the template's questions, texts by id.
        comment : str, optional
            What people want to remember of the session.
        **import_params
            Parameters of the step that imports: ``pixel_size=0.85, voltage=300, …``; see `ImportMovies`.

        Raises
        ------
        ParameterError, WorkflowError, ProjectError
            Before anything is written.
        """
        document = _document(template)
        given = {step: dict(values) for step, values in (settings or {}).items()}
        source = next((s.name for s in document.steps if s.protocol == "ImportMovies"), None)
        if source:
            pattern = {"pattern": os.path.abspath(movies)} if movies else {}
            given[source] = {**pattern, **import_params, **given.get(source, {})}
            for file in ("gain", "defects"):
                if given[source].get(file):
                    given[source][file] = os.path.abspath(given[source][file])
        elif movies or import_params:
            raise WorkflowError(f"{document.name} has no step that imports movies, so it takes none.")
        unknown = set(given) - {step.name for step in document.steps}
        if unknown:
            names = ", ".join(step.name for step in document.steps)
            raise ParameterError(f"There is no step {sorted(unknown)[0]!r}. Steps of {document.name}: {names}.")
        document = _answered(document, given, answers or {})
        steps = [_with(step, given.get(step.name, {})) for step in document.steps]
        faults = workflow.check(steps, document.inert)
        if faults:
            raise WorkflowError("\n".join(faults))
        folder = Path(folder).absolute()
        heads = _head(document) | watched.kept(document) | ({"comment": comment} if comment else {})
        store = Store.create(folder, name)
        try:
            if document.simulate is not None and not movies:
                scope = Simulation(**document.simulate).microscope(folder / _MICROSCOPE)
                seen = {"pattern": scope.pattern, "gain": str(scope.gain), **scope.optics}
                steps = [_with(step, seen) if step.name == source else step for step in steps]
                store.put("simulate", json.dumps(document.simulate))
            with store.transaction():
                for key, value in heads.items():
                    store.put(key, value)
                if unheard := watched.unheard(document):
                    store.event("warning", unheard)
                for step in workflow.ordered(steps):
                    adding.add_step(store, step)
        finally:
            store.close()
        return cls(folder)

    @property
    def workflow(self) -> ProjectWorkflow:
        """The project's steps and links, to look at and to add to."""
        return ProjectWorkflow(self)

    @property
    def steps(self) -> dict[str, Step]:
        """The steps by name."""
        with self.reader() as reader:
            return {name: Step(self, name) for name in reader.steps()}

    def document(self) -> Workflow:
        """The workflow as it is now, with what cannot be run here and what was said of it."""
        with self.reader() as reader:
            steps = tuple(adding.spec_of(s) for s in reader.steps().values())
            kept = reader.settings()
        inert = tuple(Inert(**part) for part in json.loads(kept.get("inert", "[]")))
        simulate = json.loads(kept["simulate"]) if "simulate" in kept else None
        return Workflow(
            kept.get("workflow") or kept.get("name", ""),
            kept.get("description", ""),
            steps,
            inert,
            category=kept.get("category", ""),
            simulate=simulate,
            **watched.said(kept),
        )

    def simulate(self) -> subprocess.Popen | None:
        """Switch the simulated microscope on that the workflow asks for, as a process of its own.

        Returns
        -------
        Popen or None
            None where the workflow asks for none, or it has recorded already.
        """
        settings = self.document().simulate
        folder = self.folder / _MICROSCOPE
        if settings is None or (folder / "truth.json").exists():
            return None
        command = Simulation(**settings).command(folder)
        with open(self.folder / "logs" / "microscope.log", "ab") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def reader(self) -> Reader:
        """The ledger, opened for looking; close it, or use it in a `with`."""
        return Reader(self.folder)

    def send(self, command: str, **args: Any) -> str:
        """Send a command to the engine; see `engine.inbox.COMMANDS`."""
        return inbox.send(self.folder, command, **args)

    @property
    def thresholds(self) -> Cut:
        """Least and largest value of each bounded number, by its key in `METRICS` and in the ledger's units.

        Setting them sends a command; None stands for an open side: ``project.thresholds = {"drift": (None, 20)}``.
        """
        with self.reader() as reader:
            return reader.thresholds()

    @thresholds.setter
    def thresholds(self, values: Mapping[str, Sequence[float | None]]) -> None:
        self.send("threshold", values=cut(values))

    def running(self) -> bool:
        """Whether an engine works on the project now."""
        found = lock.holder(self.folder)
        return bool(found and found.alive)

    def run(
        self,
        background: bool = False,
        executor: str = "dask",
        workers: int | None = None,
        until_idle: float | str | None = None,
        retries: int = 1,
        report: Callable[[], None] | None = None,
        page: float | str | None = None,
    ) -> Any:
        """Process until the stream is closed and everything is done.

        Parameters
        ----------
        background : bool
            Start a process of its own and return at once; closing the notebook does not stop it.
        executor, workers, retries
            See `engine.Engine`.
        until_idle : duration, optional
            Close the stream when no movie has come for so long.
        report : callable, optional
            Called about once a second.
        page : duration, optional
            Have the session's report written so often, and when the engine ends; see `facility.report`.

        Returns
        -------
        Ending
            How it ended; in the background the process instead.
        """
        from cryowidgets.protocols.durations import seconds

        idle = None if until_idle is None else seconds(until_idle)
        often = None if page is None else seconds(page)
        if background:
            return self._start(executor, workers, idle, retries, often)
        from cryowidgets.engine.engine import Engine  # needs numpy, psutil and more: not for windows
        from cryowidgets.monitors.notify import Notifier
        from cryowidgets.monitors.sentry import Sentry
        from cryowidgets.monitors.watch import Watch

        observers: list[Observer] = [Watch(), Notifier(), Sentry()]
        if often is not None:
            from cryowidgets.facility.report.beside import Beside

            observers.append(Beside(self.folder, often))
        return Engine(self.folder, executor, workers, retries, idle, observers=observers).run(report)

    def _start(
        self, executor: str, workers: int | None, idle: float | None, retries: int, page: float | None
    ) -> subprocess.Popen:
        if self.running():
            raise ProjectError(f"An engine works on {self.folder} already.")
        command = [sys.executable, "-m", "cryowidgets", "run", str(self.folder), "--executor", executor]
        command += ["--retries", str(retries)]
        command += ["--workers", str(workers)] if workers else []
        command += ["--until-idle", f"{idle:g}s"] if idle is not None else []
        command += ["--report", f"{page:g}s"] if page is not None else []
        log = self.folder / "logs" / "engine.log"
        with open(log, "ab") as output:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        until = time.monotonic() + 60
        while not self.running():
            if process.poll() is not None:
                if process.returncode == 0:
                    return process  # there was nothing left to do
                tail = log.read_text(errors="replace").strip().splitlines()[-3:]
                raise ProjectError(f"The engine did not start; the end of {log}:\n" + "\n".join(tail))
            if time.monotonic() > until:
                raise ProjectError(f"The engine did not start within a minute; see {log}.")
            time.sleep(0.05)
        return process

    def wait(self, timeout: float | None = None) -> None:
        """Wait until no engine works on the project.

        Raises
        ------
        TimeoutError
            It took longer than `timeout` seconds.
        """
        until = None if timeout is None else time.monotonic() + timeout
        while self.running():
            if until is not None and time.monotonic() > until:
                raise TimeoutError(f"The engine of {self.folder} still works after {timeout:g} s.")
            time.sleep(0.2)

    def compare(self, truth: Path | str) -> Score:
        """How near the results are to the truth file of a simulated session."""
        from cryowidgets.sim.score import compare

        def result(exposure: ExposureRow) -> dict[str, Any]:
            found: dict[str, Any] = {"path": exposure.path}
            for item in exposure.items.values():
                if isinstance(item, Micrograph):
                    found |= {"shifts": item.shifts, "parts": _parts(item.local_motion)}
                elif isinstance(item, Ctf) and not item.reason:
                    found |= {name: getattr(item, name) for name in _COMPARED}
            return found

        with self.reader() as reader:
            results = [result(reader.exposure(id)) for id in reader.exposures()["id"].tolist()]
        return compare(truth, [found for found in results if len(found) > 1])

    def add(self, step: StepSpec) -> None:
        """Add a step, also while an engine works: what is there is done first, then what comes.

        Raises
        ------
        WorkflowError
            It does not fit.
        ProjectError
            The engine has not answered within ten seconds; it adds the step as soon as it can.
        """
        from cryowidgets.engine.inherited import take_over

        if self.running():
            ref = self.send("add", step=step.to_dict())
            answer = self._answer(ref)
            if answer and answer.kind == "command":
                return
            if answer:
                raise WorkflowError(answer.text)
            if self.running():
                raise ProjectError(
                    f"The engine of {self.folder} is busy and has not answered yet: it adds step {step.name!r} as "
                    "soon as it can, and says so in its log."
                )
            inbox.remove(self.folder, ref)  # it ended meanwhile, before it saw the command
        guard = lock.WriterLock(self.folder)
        try:
            store = Store(self.folder)
            try:
                take_over(store)
                adding.check(store, step)
                adding.add_step(store, step)
            finally:
                store.close()
        finally:
            guard.release()

    def _answer(self, ref: str, patience: float = 10.0) -> Event | None:
        """What a running engine made of a command; None where it does not say so in time."""
        until = time.monotonic() + patience
        with self.reader() as reader:
            while time.monotonic() < until and self.running():
                answer = reader.answer(ref)
                if answer:
                    return answer
                time.sleep(0.02)
            return reader.answer(ref)

    def __repr__(self) -> str:
        return f"Project({str(self.folder)!r})"


_MICROSCOPE = "microscope"
"""Folder of the simulated microscope in a project that has one."""
_COMPARED = ("defocus_u", "defocus_v", "angle", "phase_shift", "tilt", "tilt_axis", "thickness")


def _parts(path: str) -> tuple[Any, Any] | None:
    """Centres and tracks of the parts of a frame; None where no local motion was measured."""
    import numpy as np

    if not path:
        return None
    with np.load(path, allow_pickle=False) as file:
        return file["centres"], file["tracks"]


def _document(template: Workflow | Path | str | None) -> Workflow:
    if template is None:
        return Workflow("", "", (StepSpec("movies", "ImportMovies"),))
    return template if isinstance(template, Workflow) else workflow.read(template)


def _answered(document: Workflow, given: Mapping[str, Mapping[str, Any]], answers: Mapping[str, str]) -> Workflow:
    """The workflow without questions; one whose parameters are all given otherwise is not asked."""
    asked = tuple(
        question
        for question in document.questions
        if question.id in answers or not all(name in given.get(step, ()) for step, name in question.targets)
    )
    return Template.of(replace(document, questions=asked)).fill(answers)


def _head(document: Workflow) -> dict[str, str]:
    """What the project keeps of a document beside its steps."""
    kept = {"workflow": document.name, "description": document.description, "category": document.category}
    if document.inert:
        kept["inert"] = json.dumps([part.to_dict() for part in document.inert])
    return {key: value for key, value in kept.items() if value}


def _with(step: StepSpec, values: Mapping[str, Any]) -> StepSpec:
    return replace(step, params=registry.get(step.protocol)(**{**step.params, **values}).values())
