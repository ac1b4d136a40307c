"""Tasks on Dask workers: of a cluster of our own on this machine, or of any scheduler that has an address."""

from __future__ import annotations

import json
import logging
import queue
import socket
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from typing import Any

from distributed import Client, Future, get_worker
from distributed.security import Security

from cryowidgets.cpu import cores
from cryowidgets.engine.executors import Load, drain
from cryowidgets.engine.roll import Hand
from cryowidgets.engine.workshop import Job, Outcome, perform

log = logging.getLogger(__name__)


class Dask:
    """Tasks on a Dask cluster.

    Parameters
    ----------
    workers : int, optional
        Worker processes of the cluster on this machine; as many as cores by default. Workers times threads is the
        number of cores.
    address : str, optional
        A scheduler to use instead of a cluster of our own.
    """

    def __init__(self, workers: int | None = None, address: str | None = None) -> None:
        self._workers = workers or cores()
        self._address = address
        self._child: subprocess.Popen[str] | None = None
        self._client: Client | None = None
        self._landed: queue.SimpleQueue[tuple[int, Future]] = queue.SimpleQueue()
        self._flying: dict[int, Future] = {}
        self._unsent: list[Outcome] = []
        self._submissions = 0
        self._pool: dict[str, dict[str, Any]] = {}
        self._pool_known = 0.0
        self._retry_at = 0.0
        self._connect()

    def slots(self) -> int:
        # One in hand for each worker, so that none waits for the engine; more would be taken before newer movies.
        # Two even without workers: a cluster that grows on demand has none until something is asked of it.
        return max(2, 2 * self.load().workers) if self._ready() else 0

    def submit(self, job: Job) -> None:
        assert self._client is not None
        self._submissions += 1
        try:
            future = self._client.submit(
                _perform,
                job,
                # The workers of another's scheduler are on machines that we do not know.
                self._threads() if self._address is None else None,
                key=f"{job.key}-{self._submissions}",
                pure=False,
                resources=dict(job.resources) or None,
                priority=-self._submissions,
            )
        except Exception as error:  # the cluster died between the look at its state and now
            log.warning("cannot hand out %s: %s", job.key, error)
            self._unsent.append(_lost(job.task))
            return
        self._flying[job.task] = future
        future.add_done_callback(lambda f, task=job.task: self._landed.put((task, f)))

    def collect(self, wait: float) -> list[Outcome]:
        outcomes, self._unsent = self._unsent, []
        if not self._alive():
            outcomes += [_lost(task) for task in self._flying]
            self._flying.clear()
        # Looked at once: a task whose answer died with its worker is done again and changes its status meanwhile.
        fallen = drain(self._landed, 0 if outcomes else wait)
        landed = [(t, f, f.status) for t, f in fallen if self._flying.get(t) is f]
        outcomes += self._fetch([(t, f) for t, f, status in landed if status == "finished"])
        for task, future, status in landed:
            if status == "error":
                outcomes.append(_killed(task, future))
            elif status != "finished":
                outcomes.append(_lost(task))
            self._flying.pop(task, None)
            future.release()
        return outcomes

    def load(self) -> Load:
        if self._client is not None and time.monotonic() - self._pool_known > 1.0:
            try:
                self._pool = dict(self._client.scheduler_info(n_workers=-1)["workers"])
            except Exception:
                self._pool = {}
            self._pool_known = time.monotonic()
        flying, workers = len(self._flying), len(self._pool)
        wanted = self._workers if self._address is None else None
        return Load(workers, min(flying, workers), max(0, flying - workers), wanted)

    def hands(self) -> list[Hand]:
        """What the scheduler knew of each worker when it was last asked for their number, and what each has in hand."""
        if not self._pool or self._client is None or not self._alive():
            return []
        try:
            given = self._client.processing()
        except Exception as error:  # of any layer of the network
            log.debug("the scheduler does not say what workers do: %s", error)
            given = {}
        tasks = {future.key: task for task, future in list(self._flying.items())}
        now, made = time.time(), []
        for key, known in self._pool.items():
            metrics = known.get("metrics", {})
            task = next((tasks[k] for k in given.get(key, ()) if k in tasks), None)
            cpu, memory = metrics.get("cpu"), metrics.get("memory")
            silent = max(0.0, now - known.get("last_seen", now))
            name = str(known.get("name", key))
            host = socket.gethostname() if known.get("host") in (None, "", "127.0.0.1") else str(known["host"])
            made.append(Hand(key, name, host, task, cpu, memory and memory / 1e6, silent))
        return made

    def scale(self, workers: int) -> None:
        self._workers = max(1, workers)
        if self._child and self._child.stdin:
            try:
                self._child.stdin.write(f"scale {self._workers}\n")
                self._child.stdin.flush()
            except OSError:
                pass  # it is dead; the next one is started with the new number

    def close(self) -> None:
        self._flying.clear()
        self._drop_cluster()

    def _fetch(self, finished: list[tuple[int, Future]]) -> list[Outcome]:
        """Answers of finished tasks, all at once; those that died with the worker that kept them are lost.

        Where an answer is missing Dask does the task again and waits for it without end, hence the time limits.
        """
        if not finished or self._client is None:
            return [_lost(task) for task, _ in finished]
        gather = partial(self._client.gather, [future for _, future in finished], asynchronous=True)
        try:
            return list(self._client.sync(gather, callback_timeout=10 if len(finished) > 1 else 2))
        except Exception as error:  # of any layer of the network
            if len(finished) > 1:
                return [outcome for one in finished for outcome in self._fetch([one])]
            log.warning("the answer of task %d was lost: %s", finished[0][0], error)
            return [_lost(finished[0][0])]

    # The cluster ------------------------------------------------------------------------------------------------

    def _threads(self) -> int:
        return max(1, cores() // self._workers)

    def _connect(self) -> None:
        self._pool, self._pool_known = {}, 0.0
        address, security = self._address, None
        if address is None:
            command = [sys.executable, "-m", "cryowidgets.engine.cluster", str(self._workers)]
            self._child = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
            )
            assert self._child.stdout is not None
            with self._child.stdout as said:  # one line is all that it prints
                line = said.readline()
            if not line:
                raise RuntimeError("The local Dask cluster did not start; its messages are above.")
            answer = json.loads(line)
            address, security = answer["address"], Security(require_encryption=True, **answer["keys"])
        self._client = Client(address, timeout=20, security=security, set_as_default=False, name="cryowidgets")

    def _alive(self) -> bool:
        if self._client is None or self._client.status in ("closing", "closed"):
            return False
        return self._child is None or self._child.poll() is None

    def _ready(self) -> bool:
        """A cluster to submit to; starts a new one where the last has died."""
        if self._alive() and self._client is not None and self._client.status == "running":
            return True
        if self._alive() or self._flying or time.monotonic() < self._retry_at:
            return False
        self._drop_cluster()
        try:
            self._connect()
        except Exception as error:
            log.error("no Dask cluster: %s; next try in 10 s", error)
            self._retry_at = time.monotonic() + 10
            return False
        return True

    def _drop_cluster(self) -> None:
        client, self._client = self._client, None
        child, self._child = self._child, None
        if child and child.stdin:
            child.stdin.close()
        if client is not None:
            _quietly(client)
        if child:
            try:
                child.wait(8)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def _perform(job: Job, threads: int | None) -> Outcome:
    """On a worker: the outcome says which it was."""
    return replace(perform(job, threads), worker=get_worker().address)


def _quietly(client: Client) -> None:
    try:
        client.close(timeout=2)
    except Exception as error:
        log.debug("closing a client of a dead cluster: %s", error)


def _lost(task: int) -> Outcome:
    return Outcome(task, "lost", error="The worker or the cluster ended with this task under way.")


def _killed(task: int, future: Future) -> Outcome:
    error: Any = future.exception()
    return Outcome(
        task,
        "failed",
        error="The worker process died while it did this: killed by the system, out of memory, or a crash in a "
        f"library ({type(error).__name__}).",
        traceback=str(error),
    )
