"""Where a campaign runs: workers of this machine, a Dask scheduler that is there, or a batch system."""

import contextlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError, UsageError

__all__ = ["BATCH_SYSTEMS", "Where", "connected", "require_dask"]

logger = logging.getLogger(__name__)

#: Batch systems by name: classes of dask-jobqueue.
BATCH_SYSTEMS = {
    "slurm": "SLURMCluster",
    "pbs": "PBSCluster",
    "lsf": "LSFCluster",
    "sge": "SGECluster",
    "htcondor": "HTCondorCluster",
}
_SECONDS_TO_CONNECT = 30.0
#: A worker that compiles kernels, or is in a library that holds Python's lock, does not answer for minutes on a busy
#: machine, and is not dead for that. One that has died is seen by its closed connection at once.
_PATIENCE = {
    "distributed.comm.timeouts.connect": "120s",
    "distributed.comm.timeouts.tcp": "3600s",
    "distributed.scheduler.worker-ttl": None,
}
#: Part of this machine's memory that workers share.
_MEMORY_PART = 0.9


@dataclass(frozen=True)
class Where:
    """Where a campaign runs; by default on all cores of this machine.

    Attributes
    ----------
    workers : int or None
        Processes: default the cores of this machine, or one job of a batch system.
    scheduler : str or None
        Address of a Dask scheduler.
    scheduler_file : str or None
        File in which a Dask scheduler says where it is.
    cluster : str or None
        Key of `BATCH_SYSTEMS`.
    queue, account, walltime, interface : str or None
        Of the batch system.
    worker_memory : float or None
        Bytes of memory of a worker process.
    processes_per_job : int or None
        Worker processes of a job of the batch system.
    """

    workers: int | None = None
    scheduler: str | None = None
    scheduler_file: str | None = None
    cluster: str | None = None
    queue: str | None = None
    account: str | None = None
    walltime: str | None = None
    interface: str | None = None
    worker_memory: float | None = None
    processes_per_job: int | None = None


def require_dask() -> None:
    """Find out whether Dask is there.

    Raises
    ------
    UsageError
        Naming what to install.
    """
    try:
        import dask  # noqa: F401
        import distributed  # noqa: F401
    except ImportError as error:
        raise UsageError(f"campaign needs {error.name}: pip install 'legacypipe-lite[campaign]'") from None


@contextlib.contextmanager
def connected(where: Where) -> Iterator[tuple[Any, float | None]]:
    """Context manager that gives a `distributed.Client` and the memory of a worker in its resource "memory".

    Parameters
    ----------
    where : Where

    Raises
    ------
    UsageError
        If the choices contradict each other, or something is not installed.
    InputError
        If there is no scheduler.
    """
    require_dask()
    if sum(choice is not None for choice in (where.scheduler, where.scheduler_file, where.cluster)) > 1:
        raise UsageError("--scheduler, --scheduler-file and --cluster exclude each other")
    if where.workers is not None and where.workers < 1:
        raise UsageError(f"--workers {where.workers}: at least 1")
    if where.scheduler or where.scheduler_file:
        opened = _of_scheduler(where)
    elif where.cluster:
        opened = _of_batch_system(where)
    else:
        opened = _of_this_machine(where)
    with opened as (client, share):
        if client.dashboard_link:
            logger.info("dashboard: %s", client.dashboard_link)
        yield client, share


@contextlib.contextmanager
def _of_this_machine(where: Where) -> Iterator[tuple[Any, float]]:
    import dask
    from distributed import Client, LocalCluster
    from distributed.system import MEMORY_LIMIT

    workers = where.workers or len(os.sched_getaffinity(0))
    share = where.worker_memory or _MEMORY_PART * MEMORY_LIMIT / workers
    settings = {
        "distributed.scheduler.allowed-failures": 0,  # what is run again is for the campaign to say
        "distributed.admin.log-format": "%(message)s",
        "logging.distributed": "critical",
        **_PATIENCE,
    }
    with (
        dask.config.set(settings),
        # Memory is looked after by the limit of each brick; spilling and pausing are for data that Dask holds.
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            memory_limit=0,
            resources={"memory": share},
            dashboard_address=":0",
            host="127.0.0.1",
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client, share


@contextlib.contextmanager
def _of_scheduler(where: Where) -> Iterator[tuple[Any, float | None]]:
    from distributed import Client

    name = where.scheduler or where.scheduler_file
    if where.scheduler_file and not Path(where.scheduler_file).is_file():
        raise InputError(f"--scheduler-file {where.scheduler_file}: does not exist; is the Dask scheduler running?")
    try:
        client = Client(address=where.scheduler, scheduler_file=where.scheduler_file, timeout=_SECONDS_TO_CONNECT)
    except (OSError, ValueError) as error:
        raise InputError(f"no Dask scheduler at {name}: {' '.join(str(error).split())}") from None
    with client:
        workers = client.scheduler_info(n_workers=-1)["workers"].values()
        if not workers:
            logger.warning("%s has no workers yet: waiting for the first", name)
            client.wait_for_workers(1)
            workers = client.scheduler_info(n_workers=-1)["workers"].values()
        shares = [worker.get("resources", {}).get("memory") for worker in workers]
        if None in shares:
            logger.warning('workers have no resource "memory" (dask worker --resources "memory=4e9"): not looked after')
            yield client, None
        else:
            yield client, max(shares)


@contextlib.contextmanager
def _of_batch_system(where: Where) -> Iterator[tuple[Any, float]]:
    import dask
    from dask.utils import parse_bytes
    from distributed import Client

    try:
        import dask_jobqueue
    except ImportError:
        raise UsageError("--cluster needs dask-jobqueue: pip install 'legacypipe-lite[campaign]'") from None
    if where.cluster not in BATCH_SYSTEMS:
        raise UsageError(f"--cluster {where.cluster}: there are {', '.join(BATCH_SYSTEMS)}")
    configured = dask.config.get(f"jobqueue.{where.cluster}", {})
    processes = where.processes_per_job or configured.get("cores") or 1
    memory = where.worker_memory and where.worker_memory * processes
    memory = memory or (parse_bytes(configured["memory"]) if configured.get("memory") else None)
    if memory is None:
        raise UsageError("--cluster: give --worker-memory, or set jobqueue's memory in your Dask configuration")
    share = memory / processes
    chosen = {"queue": where.queue, "account": where.account, "walltime": where.walltime, "interface": where.interface}
    keywords = {name: value for name, value in chosen.items() if value is not None}
    if where.cluster in ("sge", "htcondor"):
        keywords.pop("account", None)
    with dask.config.set({"distributed.scheduler.allowed-failures": 0, **_PATIENCE}):
        try:
            cluster = getattr(dask_jobqueue, BATCH_SYSTEMS[where.cluster])(
                cores=processes,
                processes=processes,
                memory=f"{memory:.0f}B",
                worker_extra_args=["--resources", f"memory={share:.0f}"],
                **keywords,
            )
        except (OSError, ValueError, TypeError, RuntimeError) as error:
            raise UsageError(f"--cluster {where.cluster}: {' '.join(str(error).split())}") from None
        with cluster, Client(cluster) as client:
            # Jobs that end at their walltime are replaced.
            cluster.adapt(minimum=where.workers or processes, maximum=where.workers or processes)
            yield client, share
