"""Which version of a program this is, by what it says of itself; and how processes of others are begun and ended."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from functools import lru_cache
from pathlib import Path

_ASKING = 60.0  # s; a program in Python loads its libraries before it says its version
_ANSWER = 1_000_000  # bytes of it that are looked at
_ENDING = 5.0  # s between asking a program to end and ending it
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
"""What colours the words of a program on a terminal."""


def numbers(version: str) -> tuple[int, ...]:
    """Numbers of a version, to be compared: ``1.6.4-CUDA`` is (1, 6, 4)."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(n) for n in found[0].split(".")) if found else ()


def parse_version(text: str, names: tuple[str, ...]) -> str:
    """The version in what a program says of itself; empty where there is none.

    It stands after the word version, or after the program's name, or alone on a line.
    """
    number = r"v?(\d+\.\d+(?:\.\d+)*(?:[-+][\w.+-]+)?)"
    name = "|".join(re.escape(n.split(".")[0]) for n in names)
    text = ESCAPES.sub("", text)
    for pattern in (
        rf"(?<!cuda )(?<!library )\bversion\s*:?\s*{number}",
        rf"(?:{name})[\s_:,-]*{number}",
        rf"^\s*{number}\s*$",
    ):
        found = re.search(pattern, text, re.IGNORECASE | re.MULTILINE)
        if found:
            return found[1]
    return ""


@lru_cache(maxsize=32)
def ask(executable: str, question: tuple[str, ...], stamp: tuple[int, int]) -> str:
    """What a program says of itself; asked once, as long as its file stays the same."""
    with tempfile.TemporaryDirectory(prefix="cryowidgets-version-") as folder:
        answer = Path(folder) / ".answer"
        try:
            with answer.open("wb") as file:
                process = subprocess.Popen(
                    [*guard(), executable, *question],
                    cwd=folder,
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except OSError:
            return ""
        until = time.monotonic() + _ASKING
        try:
            # One that waits for an answer that never comes may ask for it over and over.
            while process.poll() is None and time.monotonic() < until and answer.stat().st_size < _ANSWER:
                time.sleep(0.01)
        finally:
            end(process)
        with answer.open("rb") as file:
            return file.read(_ANSWER).decode(errors="replace")


@lru_cache(maxsize=1)
def guard() -> tuple[str, ...]:
    """What makes a program end with the worker that started it, where the machine has it."""
    setpriv = shutil.which("setpriv")
    return (setpriv, "--pdeathsig", "KILL", "--") if setpriv else ()


def end(process: subprocess.Popen) -> None:
    """End the program and all that it started; first asked, then forced."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
        except (ProcessLookupError, PermissionError):
            break
        try:
            process.wait(_ENDING)
        except subprocess.TimeoutExpired:
            continue
    process.wait()
