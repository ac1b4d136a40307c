"""Run programs of others: find, ask for the version, run in a fresh folder, keep the log, tell what went wrong.

An outside program is ``command(item)``, which is pure; a `Run` of that command; and ``parse(text)``, which is pure
again. Only the middle is here. Its folder is new for each task, so what is read there was written by this run; a file
that is not there was not written, and nothing older can be taken for it.
"""

from __future__ import annotations

import fcntl
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from traitlets import Float, Unicode

from cryowidgets import cpu
from cryowidgets.errors import InputError, ParameterError, ProgramError
from cryowidgets.protocols.base import Protocol
from cryowidgets.protocols.out import Out
from cryowidgets.protocols.processes import ESCAPES, ask, end, guard, parse_version

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS")
_SAID = 3  # lines of the log in a sentence
_KEPT = 40  # lines of the log in a traceback


@dataclass(frozen=True)
class Command:
    """Arguments of a program without its own name, and what it is told on standard input."""

    arguments: tuple[str, ...]
    stdin: str = ""


def command(*arguments: object, stdin: str = "") -> Command:
    """A command of arguments of any type: numbers as they are written shortest; None and empty texts are left out."""
    texts = (f"{a:g}" if isinstance(a, float) else str(a) for a in arguments if a is not None)
    return Command(tuple(text for text in texts if text), stdin)


class Program(Protocol):
    """Base of all steps that an outside program does.

    A subclass names the program and says how it is found; `process` opens a `Run`, gives it commands, and parses what
    they wrote.
    """

    program: ClassVar[str]
    """What people call it."""
    names: ClassVar[tuple[str, ...]]
    """What its file may be called on the PATH, the first that is there."""
    variable: ClassVar[str]
    """Environment variable that may hold its path."""
    question: ClassVar[tuple[str, ...]] = ("--version",)
    """Arguments that make it say its version."""
    needs_gpu: ClassVar[bool] = False

    executable = Unicode(
        "", help="The program's file; empty: that of its environment variable, or that on the PATH"
    ).tag(group="Program", advanced=True)
    timeout = Float(60.0, min=0.01, help="A run that takes longer is ended, and its task fails").tag(
        unit="min", group="Program", advanced=True
    )
    arguments = Unicode("", help="Further arguments, added to the command as they stand").tag(
        group="Program", advanced=True
    )

    def check(self) -> None:
        try:
            shlex.split(self.arguments)
        except ValueError as error:
            raise ParameterError(
                f"{type(self).__name__}.arguments {self.arguments!r} cannot be cut into words: {error}. "
                "Close each quotation mark."
            ) from None

    def find(self) -> Path:
        """The program's file.

        Raises
        ------
        ProgramError
            It is not there; says what to set.
        """
        step = type(self).__name__
        told = ((f"{step}.executable", self.executable), (f"The variable {self.variable}", _variable(self.variable)))
        for who, value in told:
            if value:
                found = shutil.which(os.path.expanduser(value))
                if found is None:
                    why = "is a file that may not be run" if Path(value).is_file() else "is no program on this machine"
                    raise ProgramError(f"{who} is {value}, which {why}: write the path of {self.program}.")
                return Path(found).absolute()
        for name in self.names:
            found = shutil.which(name)
            if found:
                return Path(found).absolute()
        raise ProgramError(
            f"{self.program} is not on this machine: set {step}.executable or the environment variable "
            f"{self.variable} to its path, or put {self.names[0]} on the PATH of the workers."
        )

    def introduced(self, said: str, file: str) -> tuple[str, str]:
        """Name and version of the program, by its answer to `question` and by the name of its file.

        The version is empty where neither tells it.
        """
        names = (self.program, *self.names)
        return self.program, parse_version(said, names) or parse_version(file, names)

    @contextmanager
    def run(self, out: Out, gpu: str = "") -> Iterator[Run]:
        """Open a fresh folder for a task; it is gone when the task ends.

        Parameters
        ----------
        gpu : str
            GPUs of which the program gets one that nobody else has; empty for none. It sees that one as number 0, or
            none at all.
        """
        executable = self.find()
        stat = executable.stat()
        said = ask(str(executable), self.question, (stat.st_mtime_ns, stat.st_size))
        program, version = self.introduced(said, executable.resolve().name)
        log = out.log()
        with _gpu(gpu) as device:
            yield Run(
                program=program,
                executable=executable,
                version=version,
                folder=out.scratch(),
                log=log,
                timeout=self.timeout * 60,
                more=tuple(shlex.split(self.arguments)),
                environment={"CUDA_VISIBLE_DEVICES": device},
            )


class GpuProgram(Program):
    """Base of those that cannot do without a GPU."""

    resources: ClassVar[Mapping[str, float]] = {"GPU": 1}
    needs_gpu = True

    gpu = Unicode(
        "", help="GPUs that tasks of this step may use, such as 0,1; empty: those that the worker was given, or 0"
    ).tag(group="Program", advanced=True)

    @contextmanager
    def run(self, out: Out, gpu: str = "") -> Iterator[Run]:
        with super().run(out, gpu or self.gpu or _variable("CUDA_VISIBLE_DEVICES") or "0") as run:
            yield run


@dataclass(frozen=True)
class Run:
    """A program in the folder of one task: call it with a command, then ask for what it wrote.

    Attributes
    ----------
    version : str
        Empty where the program does not tell.
    folder : Path
        Where it runs; empty at first.
    log : Path
        What it said; stays beside the results, also where the task fails.
    """

    program: str
    executable: Path
    version: str
    folder: Path
    log: Path
    timeout: float = 3600.0
    more: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, command: Command) -> str:
        """Run it to its end.

        Returns
        -------
        str
            What it said on standard output and standard error.

        Raises
        ------
        ProgramError
            It ended with an error, was ended by a signal, or took too long; with the end of what it said.
        """
        words = [str(self.executable), *command.arguments, *self.more]
        told = self.folder / ".stdin"
        told.write_text(command.stdin)
        with self.log.open("ab") as log, told.open("rb") as stdin:
            log.write(f"# {self.program} {self.version}\n# {shlex.join(words)}\n".encode())
            log.flush()
            before = log.tell()
            code = self._run(words, stdin, log)
        with self.log.open("rb") as log:
            log.seek(before)
            said = log.read().decode(errors="replace")
        if code is None:
            raise self._error(f"took longer than {_duration(self.timeout)} and was ended", said)
        if code < 0:
            raise self._error(f"was ended by {_signal(-code)}", said)
        if code:
            raise self._error(f"ended with error {code}", said)
        return said

    def file(self, name: str) -> Path:
        """A file that the program must have written.

        Raises
        ------
        ProgramError
            It has not, or the file is empty.
        """
        path = self.folder / name
        if not path.is_file() or path.stat().st_size == 0:
            state = "left empty" if path.is_file() else "did not write"
            raise self._error(f"ended without an error but {state} {name}", self.log.read_text(errors="replace"))
        return path

    def text(self, name: str) -> str:
        """What a file of lines holds that the program must have written, the last one with its end."""
        text = self.file(name).read_text(errors="replace")
        if not text.endswith("\n"):
            raise self._error(f"wrote only a part of {name}", self.log.read_text(errors="replace"))
        return text

    def link(self, path: str, name: str) -> str:
        """Make a file known in the folder under a plain name, which no program takes amiss."""
        link = self.folder / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(Path(path).absolute())
        return name

    @contextmanager
    def parsing(self) -> Iterator[None]:
        """Errors in here are about what the program wrote: they become those of the program, with the log's end."""
        try:
            yield
        except InputError as error:
            raise self._error(f"wrote what cannot be used: {error}", self.log.read_text(errors="replace")) from error

    @property
    def made_by(self) -> dict[str, str]:
        """What the items that it makes say of it."""
        return {"program": self.program, "program_version": self.version}

    def _run(self, words: list[str], stdin, log) -> int | None:
        threads = {name: str(cpu.threads()) for name in _THREADS}
        try:
            process = subprocess.Popen(
                [*guard(), *words],
                cwd=self.folder,
                stdin=stdin,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **threads, **self.environment},
                start_new_session=True,
            )
        except OSError as error:
            raise ProgramError(f"{self.program} cannot be started as {words[0]}: {error.strerror}.") from None
        try:
            return process.wait(self.timeout)
        except subprocess.TimeoutExpired:
            return None
        finally:
            end(process)

    def _error(self, what: str, said: str) -> ProgramError:
        lines = [line.strip() for line in re.split(r"[\r\n]+", ESCAPES.sub("", said)) if line.strip(" \t-=*")]
        lines = [line for line in lines if not line.startswith("# ")]  # ours
        tail = " / ".join(lines[-_SAID:])
        last = f" It said last: {tail[-300:]}" if lines else " It said nothing."
        error = ProgramError(f"{self.program} {what}.{last} The whole is in {self.log}.")
        error.add_note("\n".join([f"The end of {self.log}:", *lines[-_KEPT:]]))
        return error


@contextmanager
def _gpu(allowed: str) -> Iterator[str]:
    """One GPU of those allowed that no other task on this machine has; waits where all are in use.

    A lock on a file is given back by the kernel, however a worker ends.
    """
    ids = [word for word in re.split(r"[,:;\s]+", allowed) if word]
    if not ids:
        yield ""
        return
    while True:
        for id in ids:
            name = f"cryowidgets-gpu-{os.getuid()}-{re.sub(r'[^A-Za-z0-9]', '-', id)}.lock"
            with open(Path(tempfile.gettempdir()) / name, "a") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                yield id
                return
        time.sleep(0.2)


def _variable(name: str) -> str:
    return os.environ.get(name, "").strip()


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _duration(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds < 120 else f"{seconds / 60:.3g} min"
