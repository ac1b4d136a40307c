"""The engine: a tick collects what finished, admits what arrived, hands out what is to do.

Starting, resuming and repairing are the same: the to-do list is what exists minus what is done.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from cryowidgets.engine import inbox
from cryowidgets.engine.commands import carry_out
from cryowidgets.engine.desk import Desk
from cryowidgets.engine.executors import Executor, make
from cryowidgets.engine.inherited import take_over
from cryowidgets.engine.intake import Intake
from cryowidgets.engine.observers import Observer, Observers
from cryowidgets.engine.sources import Door
from cryowidgets.engine.states import States
from cryowidgets.engine.system import SystemSampler
from cryowidgets.errors import CryowidgetsError, EngineRunning
from cryowidgets.model import Movie
from cryowidgets.protocols.import_movies import ImportMovies
from cryowidgets.store.admission import admit, known_optics, known_paths, refuse, set_optics
from cryowidgets.store.changes import cleared
from cryowidgets.store.cleaning import take_away
from cryowidgets.store.lock import WriterLock
from cryowidgets.store.store import Store

log = logging.getLogger(__name__)

WAIT = 0.1
"""Seconds that a tick with nothing to do waits for something to finish."""
GRACE = 10.0
"""Seconds that tasks under way have to finish when the engine is told to end."""


@dataclass(frozen=True)
class Ending:
    """How a run of the engine ended."""

    finished: bool
    """The stream is closed and everything is done; else the engine was told to end before."""
    failed: int
    """Tasks that failed for good, those at the door included."""


class Engine:
    """Processes one project until its stream is closed and all is done, or it is told to end.

    Parameters
    ----------
    folder : Path
        The project.
    executor : Executor or str
        See `executors.make`.
    workers : int, optional
        Number of workers.
    retries : int
        How often a failed task is tried again.
    until_idle : float, optional
        Close the stream when no movie has come for so many seconds, whatever the import step says.
    observers : sequence of Observer
        Those who look on and may write down what they see, see `observers.py`; for instance monitors.

    Raises
    ------
    EngineRunning
        Another engine works on the project.
    ProjectError
        The folder is not a project, or one of a newer version. One of an earlier version is brought to this one.
    """

    def __init__(
        self,
        folder: Path | str,
        executor: Executor | str = "dask",
        workers: int | None = None,
        retries: int = 1,
        until_idle: float | None = None,
        observers: Sequence[Observer] = (),
    ) -> None:
        self.store = Store(folder)
        try:
            self._lock = WriterLock(self.store.folder)
        except EngineRunning:
            self.store.close()
            raise
        self._until_idle = until_idle
        self._ending = threading.Event()
        self._door: Door | None = None
        self._trouble = ""
        self._stale_states = True
        try:
            take_over(self.store)
            self.executor = make(executor, workers) if isinstance(executor, str) else executor
            self._remove_half_written()
            self.desk = Desk(self.store, retries)
            self.states = States(self.store, self.desk)
            self.observers = Observers(self.store, observers)
            self._system = SystemSampler(self.store)
            self.open_door()
        except BaseException:
            self._lock.release()
            self.store.close()
            raise

    def run(self, report: Callable[[], None] | None = None, every: float = 1.0) -> Ending:
        """Work until done or told to end; `report` is called about `every` seconds.

        In the main thread, SIGTERM and SIGINT end it in good order: what is under way may finish within ten seconds,
        the rest is given back, and everything that was finished is kept.
        """
        self.store.event("engine", f"the engine started (cryowidgets {version('cryowidgets')})")
        due = 0.0
        with self._signals():
            try:
                self.tick()  # there may be commands, even where all is done
                while not self._ending.is_set() and not self.finished():
                    self.tick(WAIT)
                    if report and time.monotonic() >= due:
                        report()
                        due = time.monotonic() + every
                finished = self.finished()
                if not finished:
                    self._wind_down()
            finally:
                self.close()
        return Ending(finished, self._failed)

    def tick(self, wait: float = 0.0) -> None:
        """One round; `wait` is how long to wait for a task to finish where there is nothing else to do."""
        self._lock.beat()
        for outcome in self.executor.collect(wait):
            self.desk.book(outcome)
            self._system.count(outcome)
            self._stale_states = True
        self._follow_commands()
        self._look_for_movies()
        self._clear()
        self.desk.again.clear()
        self.desk.refresh(self.states.closed)
        if self.store.get("paused") != "1":
            jobs = self.desk.take(self.executor.slots() - self.desk.flying(), self.states.may_begin)
            for job in jobs:
                self.executor.submit(job)
            self._stale_states |= bool(jobs)
        if self._stale_states:
            self._stale_states = False
            self.states.write(self._trouble)
        self._system.sample(self.executor, self.desk.doing)
        self.observers.look()

    def finished(self) -> bool:
        """Nothing comes any more and nothing is left to do."""
        return self.store.get("stream") == "closed" and all(map(self.states.closed, self.store.steps()))

    def end(self) -> None:
        """Have `run` end after the present tick; safe from any thread and from signal handlers."""
        self._ending.set()

    def open_door(self) -> None:
        """Begin to watch for movies, or begin anew with changed parameters."""
        if self._door:
            self._door.close()
            self._door = None
        self._stale_states, self._trouble = True, ""
        for step in self.store.steps().values():
            if step.protocol == ImportMovies.__name__ and self.store.get("stream") != "closed":
                self._source = step.name
                known, refused = known_paths(self.store, step.name)
                groups = known_optics(self.store, step.name)
                self._door = Door(ImportMovies(**step.params), self.store.folder, known, refused, groups)

    def describe_again(self, source: str, settings: ImportMovies) -> None:
        """Give movies that are in the optics and the gain that they have by new settings, and redo what came of them.

        Raises
        ------
        InputError
            The gain does not fit.
        """
        others = [path for (path,) in self.store.query("SELECT path FROM exposure ORDER BY id DESC LIMIT 20")]
        intake = Intake(settings, self.store.folder, others=others)
        try:
            set_optics(self.store, source, self._described(intake, source))
        finally:
            intake.close()

    def _described(self, intake: Intake, source: str) -> Iterator[tuple[int, Movie]]:
        known = self.store.query(
            "SELECT e.id, e.path, m.id FROM movie m JOIN exposure e ON e.id = m.exposure WHERE m.step = ? ORDER BY 1",
            (self.store.steps()[source].id,),
        )
        for exposure, path, row in known:
            self._lock.beat()
            movie = self.store.item(Movie, row).filed(self.store.folder)
            assert isinstance(movie, Movie)
            there = path if os.path.exists(path) else str(self.store.folder / movie.path)
            try:
                described = intake.describe(there, os.stat(there), movie.frames, movie.found, wait=True)
            except OSError:
                yield exposure, replace(movie, optics=intake.settings.amend(movie.optics))  # gone meanwhile
                continue
            if described:
                yield exposure, described[0]

    def close(self) -> None:
        """End the workers and give the project back."""
        self._failed = self.store.query("SELECT count(*) FROM task WHERE state = 'failed'")[0][0]
        if self._door:
            self._door.close()
        self.executor.close()
        take_away(self.store, GRACE)
        self._system.close()
        self.observers.close()
        self.store.event("engine", "the engine ended")
        self._lock.release()
        self.store.close()

    # Parts of a tick --------------------------------------------------------------------------------------------

    def _follow_commands(self) -> None:
        for command in inbox.read(self.store.folder):
            ref = command.ref
            if not self.store.has_event(ref):
                if isinstance(command, CryowidgetsError):
                    self.store.event("command.refused", str(command), ref=ref)
                else:
                    self._follow(command)
            inbox.remove(self.store.folder, ref)

    def _follow(self, command: inbox.Command) -> None:
        self._stale_states = True
        try:
            with self.store.transaction():
                said = carry_out(self, command.name, command.args)
                self.store.event("command", f"{said} ({command.by})", ref=command.ref)
        except CryowidgetsError as error:
            self.store.event("command.refused", f"{command.name}: {error} ({command.by})", ref=command.ref)

    def _look_for_movies(self) -> None:
        if not self._door:
            return
        stream = self.store.get("stream")
        if not self.states.may_begin(self._source):
            if stream == "stopping":
                self._close_stream(f"step {self._source} was held")
            return
        arrivals, refusals = self._door.poll()
        trouble = self._door.trouble
        patience = self._door.settings.timeout if self._until_idle is None else self._until_idle
        if trouble and (stream == "stopping" or time.time() - self._door.last_arrival > patience):
            if self._door.undecided:
                self._door.decide()
            else:
                refusals += self._door.give_up()
        if trouble != self._trouble:
            self._trouble = trouble
            self._stale_states = True
            if trouble:
                self.store.event("warning", trouble, self._source)
        for _, sentence in self._door.intake.notes():
            self._warn(sentence)
        if arrivals:
            admit(self.store, self._source, [(a.path, a.acquired, a.movie) for a in arrivals])
        for refusal in refusals:
            name = Path(refusal.path).name.split(".")[0]
            optics = self._door.settings.optics()
            refuse(self.store, self._source, refusal.path, name, optics, refusal.found, refusal.why)
        self._stale_states |= bool(arrivals or refusals)
        if stream == "stopping" and self._door.settled:
            self._close_stream("all movies that were there are in")
        elif stream == "open" and not self._door.waiting:
            if time.time() - self._door.last_arrival > patience:
                self._close_stream(f"no new movie for {patience:g} s")

    def _warn(self, sentence: str) -> None:
        """Once, also over several runs."""
        if not self.store.query("SELECT 1 FROM event WHERE kind = 'warning' AND text = ?", (sentence,)):
            self.store.event("warning", sentence, self._source)

    def _close_stream(self, why: str) -> None:
        assert self._door is not None
        self._door.close()
        self._door = None
        self.store.put("stream", "closed")
        self.store.event("stream", f"the stream closed: {why}")
        self._stale_states = True

    def _clear(self) -> None:
        """Take away the files of steps that were reset, once no task writes there any more."""
        for name in list(self.states.clearing):
            if self.desk.flying(name):
                continue
            gone = self.store.folder / "steps" / f".gone-{time.time_ns()}"
            try:
                (self.store.folder / "steps" / name).rename(gone)
            except FileNotFoundError:
                pass
            except OSError as error:
                self.store.event("warning", f"The files of {name} could not be taken away: {error}.", name)
            else:
                threading.Thread(target=shutil.rmtree, args=(gone, True)).start()  # many files take long
            self.states.clearing.remove(name)
            cleared(self.store, name)

    # Begin and end ----------------------------------------------------------------------------------------------

    def _remove_half_written(self) -> None:
        """What a killed worker was writing when it died."""
        for folder in (*self.store.folder.glob("steps/*/.tmp-*"), *self.store.folder.glob("steps/.gone-*")):
            shutil.rmtree(folder, ignore_errors=True)

    def _wind_down(self) -> None:
        until = time.monotonic() + GRACE
        while self.desk.flying() and time.monotonic() < until:
            for outcome in self.executor.collect(WAIT):
                self.desk.book(outcome)
        self.desk.abandon()
        for step in list(self.store.steps().values()):
            if step.state == "running" or (step.state == "scheduled" and not step.hold):
                self.store.set_state(step.name, "stopped", "the engine was told to end; start it again to go on")

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT end the engine in good order; only the main thread can have it so."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {s: signal.signal(s, lambda *_: self.end()) for s in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
