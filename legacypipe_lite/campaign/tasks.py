"""What runs in a worker process: one brick, or the missing calibrations of one image file."""

import contextlib
import logging
import os
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import InputError, LegacypipeError, NothingToDo
from ..options import RunOptions
from . import records
from .bricks import finished
from .prices import Price
from .records import log_path, read_record, record_path, write_json

__all__ = ["CalibrationOrder", "Order", "make_calibrations", "run_pipeline", "work_on"]

#: Logging, the limit of memory and the peak of memory are those of a process: one brick at a time in each.
_ONE_AT_A_TIME = threading.Lock()

#: Exit status of a worker that ends itself since its brick took too long.
_TOO_LONG = 114


@dataclass(frozen=True)
class Order:
    """A brick to run.

    Attributes
    ----------
    brick : str
    options : RunOptions
        Of this brick.
    price : Price
    run : str
        Identifies this start of the campaign.
    attempt : int
        1, or 2 if it is run once more.
    memory_limit : float or None
        Bytes that the process may allocate.
    timeout : float or None
        Seconds.
    needs : frozenset of str
        Image files of which calibrations are made first.
    work : callable
        ``work(options) -> dict`` runs the brick and tells about it.
    """

    brick: str
    options: RunOptions
    price: Price = field(default_factory=Price)
    run: str = ""
    attempt: int = 1
    memory_limit: float | None = None
    timeout: float | None = None
    needs: frozenset = frozenset()
    work: Callable[[RunOptions], dict] | None = None

    @property
    def ticket(self) -> str:
        """Identifies this attempt."""
        return f"{self.run}-{self.attempt}"

    def record(self, state: str, **facts: Any) -> dict:
        """The status record of the brick in a state."""
        return {
            "format": 1,
            "brick": self.brick,
            "state": state,
            "ticket": self.ticket,
            "attempt": self.attempt,
            "options": records.fingerprint(self.options),
            "n_ccds": self.price.n_ccds,
            "predicted": {"seconds": self.price.seconds, "memory": self.price.memory, "disk": self.price.disk},
            **facts,
        }

    def write(self, state: str, **facts: Any) -> dict:
        """Write the status record; returns it."""
        record = self.record(state, **facts)
        write_json(record_path(self.options.outdir, self.brick), record)
        return record


@dataclass(frozen=True)
class CalibrationOrder:
    """Calibrations to make.

    Attributes
    ----------
    image : str
        Name of the image file, as in the CCD tables.
    rows : tuple of dict
        Rows of the CCD table.
    options : RunOptions
    """

    image: str
    rows: tuple
    options: RunOptions


def run_pipeline(options: RunOptions) -> dict:
    """Run a brick by the pipeline.

    Returns
    -------
    dict
        sources, dropped (names and reasons of CCDs), peak_memory [bytes].
    """
    from legacypipe_lite import run_brick

    run = run_brick(options)
    return {
        "sources": 0 if run.tractor is None else len(run.tractor),
        "dropped": [list(map(str, entry)) for entry in run.report.dropped_ccds],
        "peak_memory": max(int(record.usage.peak_memory) for record in run.stages),
    }


def work_on(order: Order) -> dict:
    """Run a brick in this process, with a log of its own, and write its status record.

    Returns
    -------
    dict
        The record. If an earlier start of the same attempt died, that is its state: an attempt is made once,
        whatever the scheduler tries.
    """
    outdir = order.options.outdir
    with _ONE_AT_A_TIME:
        before = read_record(outdir, order.brick)
        if before is not None and before["ticket"] == order.ticket:
            return before
        started = records.now()
        order.write(records.RUNNING, started=started, host=socket.gethostname(), pid=os.getpid())
        with _watched(order, started), _log_to(order):
            cpu = time.process_time()
            state, facts = _outcome(order)
            facts |= {"cpu_seconds": round(time.process_time() - cpu, 3)}
        ended = records.now()
        return order.write(state, started=started, finished=ended, seconds=round(ended - started, 3), **facts)


def _outcome(order: Order) -> tuple[str, dict]:
    """State of a brick after it was run, and facts about it."""
    logger = logging.getLogger("legacypipe_lite.campaign")
    try:
        with _limited(order.memory_limit):
            facts = (order.work or run_pipeline)(order.options)
    except NothingToDo as end:
        logger.info("nothing to do: %s", end)
        return records.NOTHING, {"reason": str(end)}
    except Exception as error:  # of any kind: the campaign goes on
        if _is_lack_of_memory(error):
            logger.error("out of memory", exc_info=error)
            return records.OUT_OF_MEMORY, {"reason": f"out of memory (limit {order.memory_limit or 0:.3g} bytes)"}
        logger.error("%s", error, exc_info=None if isinstance(error, LegacypipeError) else error)
        name = "" if isinstance(error, LegacypipeError) else f"internal error: {type(error).__name__}: "
        return records.FAILED, {"reason": name + " ".join(str(error).split())}
    if facts.pop("products", True):
        result = finished(order.options.outdir, order.brick)
        if not result.done:
            return records.FAILED, {"reason": f"after the run: {result.reason}", **facts}
        if result.faults:
            return records.FAULTS, {"reason": f"{result.faults} blobs could not be fitted", **facts}
    return records.DONE, facts


def _is_lack_of_memory(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, MemoryError):
            return True
        error = error.__cause__ or error.__context__
    return False


@contextlib.contextmanager
def _limited(limit: float | None) -> Iterator[None]:
    """Context manager within which this process cannot allocate more: lack of memory is an error of one brick."""
    if limit is None:
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_DATA)
    hard = before[1]
    soft = int(limit) if hard == resource.RLIM_INFINITY else min(int(limit), hard)
    resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


@contextlib.contextmanager
def _watched(order: Order, started: float) -> Iterator[None]:
    """Context manager that ends this worker process if the brick takes too long: compiled code hears no other call."""
    if order.timeout is None:
        yield
        return

    def end():
        reason = f"took longer than {order.timeout:g} s"
        order.write(records.TIMED_OUT, started=started, finished=records.now(), seconds=order.timeout, reason=reason)
        os._exit(_TOO_LONG)

    timer = threading.Timer(order.timeout, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextlib.contextmanager
def _log_to(order: Order) -> Iterator[None]:
    """Context manager within which the package's log records go to the log of the brick."""
    path = log_path(order.options.outdir, order.brick)
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, mode="w")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    package = logging.getLogger("legacypipe_lite")
    level, propagate = package.level, package.propagate
    package.addHandler(handler)
    package.setLevel(logging.DEBUG if order.options.verbose else logging.INFO)
    package.propagate = False
    try:
        yield
    finally:
        package.setLevel(level)
        package.propagate = propagate
        package.removeHandler(handler)
        handler.close()


def make_calibrations(order: CalibrationOrder) -> dict:
    """Make the PSF and sky models of the CCDs of one image file, and write them to the survey directory.

    Returns
    -------
    dict
        image, failures (name of the CCD and reason, each).
    """
    from ..cameras import UnusableImage, camera_class, load_camera_modules
    from ..reference import SkySceneFinder
    from ..survey import SurveyDirectory
    from ..wcs import target_wcs

    with _ONE_AT_A_TIME:
        options = order.options
        load_camera_modules(options.camera_module)
        survey = SurveyDirectory.from_options(options)
        scene, failures = SkySceneFinder(survey, options), []
        for row in order.rows:
            # Some pixels in the middle of the CCD: what is made on the way is of the whole CCD.
            target = target_wcs(float(row["ra"]), float(row["dec"]), 32, 32, options.pixscale)
            try:
                camera_class(str(row["camera"]))(row, survey, options).read_tim(target, scene)
            except UnusableImage:
                continue  # whether bricks can use other parts of it, they find out
            except InputError as error:
                failures.append([f"{row['image_filename']} {row['ccdname']}".strip(), str(error)])
        return {"image": order.image, "failures": failures}


def once_more(order: Order) -> Order:
    """The order for a second attempt, with twice the memory."""
    limit = None if order.memory_limit is None else 2.0 * order.memory_limit
    price = replace(order.price, memory=2.0 * order.price.memory)
    return replace(order, attempt=order.attempt + 1, memory_limit=limit, price=price)
