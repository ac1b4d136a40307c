"""What a worker does: one protocol on one task. No database, no state; if it dies, the task is not done."""

from __future__ import annotations

import json
import os
import socket
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from cryowidgets.cpu import keep_memory, set_threads
from cryowidgets.errors import CryowidgetsError
from cryowidgets.io import meter
from cryowidgets.model import Item, Movie, Reason, Reject
from cryowidgets.protocols import registry
from cryowidgets.protocols.base import Protocol
from cryowidgets.protocols.out import Out


@dataclass(frozen=True)
class Job:
    """A task as a worker gets it: everything that it needs, and paths instead of images."""

    task: int
    key: str
    protocol: str
    params: Mapping[str, Any]
    given: Mapping[str, Any]
    """Arguments of `process`: items by input name; of a fold, ``items`` and ``last``."""
    project: str
    folder: str
    stem: str
    resources: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """How a task ended."""

    task: int
    state: str
    """done, rejected, failed, or lost where the worker died with it."""
    result: Item | None = None
    error: str | None = None
    traceback: str | None = None
    host: str = ""
    pid: int = 0
    started: float | None = None
    finished: float | None = None
    reasons: tuple[Reason, ...] = ()
    software: str | None = None
    worker: str = ""
    """Key of the worker that did it, where the executor tells."""
    read: tuple[str, int, float] = ("", 0, 0.0)
    """Where it read images, bytes, and seconds that it took."""


def perform(job: Job, threads: int | None = None) -> Outcome:
    """Do a task. Whatever goes wrong in the protocol becomes part of the outcome.

    `threads` is how many the kernels may use; by default what the worker's CRYOWIDGETS_THREADS says, or one.
    """
    started = time.time()
    out = Out(Path(job.project), job.folder, job.stem)
    result: Item | None = None
    error = trace = None
    reasons: tuple[Reason, ...] = ()
    try:
        keep_memory()
        if threads:
            set_threads(threads)
        protocol = _protocol(registry.get(job.protocol), json.dumps(dict(job.params)))
        answer = protocol.process(**job.given, out=out)
        if isinstance(answer, Reject):
            state, error, reasons = "rejected", answer.why, answer.reasons
        elif isinstance(answer, protocol.gives):
            out.commit()
            state, result = "done", answer.filed(Path(job.project))
        else:
            raise TypeError(
                f"{job.protocol}.process returned {type(answer).__name__}, not {protocol.gives.__name__} or Reject"
            )
    except Exception as caught:
        state = "failed"
        error = str(caught) if isinstance(caught, CryowidgetsError) else f"{type(caught).__name__}: {caught}"
        trace = traceback.format_exc()
    finally:
        out.discard()
    end = time.time()
    where, made_by = (socket.gethostname(), os.getpid()), registry.software(job.protocol)
    read = (_read_from(job), *meter.take())
    return Outcome(job.task, state, result, error, trace, *where, started, end, reasons, made_by, read=read)


def _read_from(job: Job) -> str:
    """The movie, where there is one; all else that a task reads lies in the project."""
    movies = (item.path for item in job.given.values() if isinstance(item, Movie))
    return os.path.dirname(next(movies, "")) or job.project


@lru_cache(maxsize=64)
def _protocol(protocol: type[Protocol], params: str) -> Protocol:
    """Making traits costs more than many a small task: one object for each set of parameters."""
    return protocol(**json.loads(params))
