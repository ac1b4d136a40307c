"""Hand a report on: a program of the site is run after each write."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from pathlib import Path

from cryowidgets.errors import ParameterError

PATIENCE = 300.0
"""Seconds that the program may take."""


def check(line: str) -> list[str]:
    """The words of a program line.

    Raises
    ------
    ParameterError
        It is none, or does not say where the folder stands.
    """
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise ParameterError(f"The line {line!r} to publish with cannot be read: {error}.") from None
    if not words:
        raise ParameterError("The line to publish with is empty: write for instance 'rsync -a {folder}/ web:/srv/s1/'.")
    if not any("{folder}" in word for word in words[1:]):
        raise ParameterError(
            f"The line {line!r} to publish with has no {{folder}}: write it where the folder of the report is to stand."
        )
    return words


def publish(line: str, folder: Path, patience: float = PATIENCE) -> str:
    """Run a program line, without a shell; returns a sentence where it failed, else nothing.

    Parameters
    ----------
    line : str
        Words as one types them; ``{folder}`` in any of them stands for the folder of the report.
    folder : Path
    patience : float
        Seconds after which it is ended, with whatever it has started.
    """
    words = [word.replace("{folder}", str(folder)) for word in check(line)]
    try:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
    except OSError as error:
        return f"The report was not published: {words[0]} does not start: {error.strerror}."
    try:
        output, _ = process.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return f"The report was not published: {words[0]} was ended after {patience:g} s."
    if process.returncode == 0:
        return ""
    last = output.decode(errors="replace").strip().splitlines()[-1:]
    said = f": {last[0][:300]}" if last else "."
    return f"The report was not published: {words[0]} ended with status {process.returncode}{said}"
