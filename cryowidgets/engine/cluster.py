"""A Dask cluster on this machine as one child process of the engine: ``python -m cryowidgets.engine.cluster 2``.

Its own process, so that neither a scheduler's work nor its death touches the engine, which holds the ledger. It
prints its address and the keys to it, follows ``scale N`` on standard input, and ends, with all workers, when that
closes: however the engine ends, nothing stays behind.

The keys are made anew each time and never written to disk: whoever reaches a Dask scheduler can have any code run, and
a port of the loopback can be reached by everybody on the machine.
"""

from __future__ import annotations

import json
import os
import signal
import sys


def main(workers: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the engine, which ends us in good order
    import dask
    from distributed import LocalCluster
    from distributed.security import Security

    settings = {
        # One death is enough to blame the task: the ledger counts attempts, Dask need not try three more workers.
        "distributed.scheduler.allowed-failures": 1,
        # Dask blames all tasks that a dead worker had in hand, so give each just the one that it does.
        "distributed.scheduler.worker-saturation": 1.0,
        "distributed.admin.low-level-log-length": 100,
    }
    dask.config.set(settings)
    security = Security.temporary()
    cluster = LocalCluster(
        security=security,
        n_workers=workers,
        threads_per_worker=1,
        resources={"GPU": 1},  # tasks share what GPUs this machine has by a lock, and say so where it has none
        processes=True,
        host="127.0.0.1",
        dashboard_address=None,
        silence_logs=50,
    )
    keys = {name: getattr(security, name) for name in ("tls_ca_file", "tls_client_cert", "tls_client_key")}
    print(json.dumps({"address": cluster.scheduler_address, "keys": keys}), flush=True)
    for line in sys.stdin:
        if line.startswith("scale "):
            cluster.scale(int(line.split()[1]))
    # The pipe is closed: the engine is gone or wants us gone. Workers notice the death of this process.
    cluster.close(timeout=5)
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
