"""The engine as a widget: start and end it, pause it, give it more workers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen
from typing import Any

import ipywidgets as W

from cryowidgets.engine import inbox
from cryowidgets.errors import CryowidgetsError
from cryowidgets.store.queries import Reader, Session
from cryowidgets.widgets import figures, header, texts
from cryowidgets.widgets.feed import SystemRows
from cryowidgets.widgets.log import Log
from cryowidgets.widgets.window import Window, box, put, show_if


class EngineWidget(Window):
    """State of the engine and its workers, and the buttons to control them; works alone in a cell.

    The engine is a process of its own, so closing the notebook stops nothing.

    Parameters
    ----------
    project : Project or path
    """

    def __init__(self, project: Any) -> None:
        folder = Path(getattr(project, "folder", project))
        self.buttons = EngineButtons(folder, self.wake)
        self.machine, self.tasks = figures.machine(), figures.tasks()
        self.events = Log(kinds=("engine", "command", "stream", "step", "params", "warning"))
        self._head = W.HTML()
        self._steps = W.HTML()
        self._system = SystemRows([self.machine, self.tasks])
        parts = [
            self._head,
            self.buttons,
            self._steps,
            box([self.machine, self.tasks], "cw-load", "cw-two"),
            self.events,
        ]
        super().__init__(folder, parts, "cw-engine")

    def refresh(self, reader: Reader) -> None:
        session = reader.session()
        put(self._head, header.header(session))
        put(self._steps, header.steps(reader.steps(), reader.tally()))
        self.buttons.refresh(reader, session)
        self._system.refresh(reader)
        self.events.refresh(reader)


class EngineButtons(W.Box):
    """What may be told to an engine in its present state, and nothing else."""

    def __init__(self, folder: Path, wake: Callable[[], None]) -> None:
        self._folder, self._wake = folder, wake
        self._starting: threading.Thread | None = None
        self._said = W.HTML()
        self.process: Popen | None = None
        """The engine, where it was started from here."""
        self.start = W.Button(description="Start engine", button_style="primary")
        self.pause = self._button("Pause", "pause", "Hand out no new tasks; what is under way is finished")
        self.resume = self._button("Resume", "resume", "Go on after the pause")
        self.stop = self._button("Stop", "stop", "Take in the movies that are there, close the stream, finish")
        self.reopen = self._button("Reopen", "reopen", "Look for movies again")
        self.retry = self._button("Retry failed", "retry", "Try failed tasks again")
        self.quit = self._button("End engine", "quit", "The stream stays open for the next engine")
        self.workers = W.BoundedIntText(value=1, min=1, max=1024, layout={"width": "64px"})
        self.scale = W.Button(description="workers", tooltip="Change the number of workers")
        self.start.on_click(lambda _: self._start())
        self.scale.on_click(lambda _: self._order("scale", workers=self.workers.value))
        self._workers_known = False
        buttons = [self.start, self.pause, self.resume, self.stop, self.reopen, self.retry, self.quit]
        super().__init__([*buttons, box([self.workers, self.scale], "cw-scale"), self._said])
        self.add_class("cw-buttons")

    def refresh(self, reader: Reader, session: Session) -> None:
        if self.process is not None and self.process.poll() is not None:
            self.process = None
        alive = bool(session.engine and session.engine.alive)
        show_if(self.start, not alive)
        self.start.disabled = self._starting is not None
        show_if(self.pause, alive and not session.paused)
        show_if(self.resume, alive and session.paused)
        show_if(self.stop, alive and session.stream == "open")
        show_if(self.reopen, alive and session.stream != "open")
        show_if(self.retry, alive and session.failed > 0)
        show_if(self.quit, alive)
        show_if(self.workers, alive)
        show_if(self.scale, alive)
        if alive and not self._workers_known:
            found = reader.system(limit=1)["workers"]
            if len(found):
                self._workers_known = True
                self.workers.value = max(1, int(found[0]))
        self._hear(reader)

    def _hear(self, reader: Reader) -> None:
        """The newest answer of the engine to a command."""
        for event in reversed(reader.events(limit=50)):
            if event.kind.startswith("command"):
                kind = "cw-failed" if event.kind == "command.refused" else "cw-soft"
                said = f"<span class='{kind}'>{texts.clock(event.time)} {texts.safe(event.text)}</span>"
                if self._starting is None and event.id != getattr(self, "_heard", 0):
                    self._heard = event.id
                    put(self._said, said)
                return

    def _button(self, text: str, command: str, tooltip: str) -> W.Button:
        button = W.Button(description=text, tooltip=tooltip)
        button.on_click(lambda _: self._order(command))
        return button

    def _order(self, command: str, **args: Any) -> None:
        try:
            inbox.send(self._folder, command, **args)
        except CryowidgetsError as error:
            put(self._said, f"<span class='cw-failed'>{texts.safe(error)}</span>")
        else:
            put(self._said, f"<span class='cw-soft'>{texts.safe(command)}: sent to the engine</span>")
        self._wake()

    def _start(self) -> None:
        """In a thread: the engine takes seconds to answer, and a kernel that waits shows nothing."""
        put(self._said, "<span class='cw-soft'>the engine is starting…</span>")
        self.start.disabled = True
        self._starting = threading.Thread(target=self._run, daemon=True)
        self._starting.start()

    def _run(self) -> None:
        from cryowidgets.project import Project

        try:
            self.process = Project(self._folder).run(background=True)
            said = ""
        except CryowidgetsError as error:
            said = f"<span class='cw-failed'>{texts.safe(error)}</span>"
        self._starting = None
        put(self._said, said)
        self._wake()
