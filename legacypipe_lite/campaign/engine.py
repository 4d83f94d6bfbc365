"""The campaign's loop: which tasks Dask has in hand, what follows from each result, and what is tried again."""

import heapq
import logging
import queue
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from ..errors import LegacypipeError
from . import records
from .records import read_record
from .tasks import CalibrationOrder, Order, make_calibrations, once_more, work_on

__all__ = ["Engine", "SchedulerLost", "Tally"]

logger = logging.getLogger(__name__)

#: Tasks that Dask has, for each worker: one is worked on, the next is there in time.
_PER_WORKER = 3
#: A brick that had not begun when its worker died is no suspect; but this often is no coincidence.
_MOST_RETURNS = 20
#: Seconds between two looks at the workers.
_LOOK = 1.0


class SchedulerLost(LegacypipeError):
    """The scheduler has gone away."""


@dataclass
class Tally:
    """What has become of the bricks of a campaign.

    Attributes
    ----------
    total : int
        Bricks to run.
    counts : Counter
        Bricks by state, of this start.
    in_hand, workers, sources : int
    calibrations : int
        Image files whose calibrations are still to be made.
    reasons : Counter
        Bricks by why they failed.
    dropped : Counter
        Bricks by input that could not be used.
    ratios : dict of list of float
        Real by predicted "seconds", "memory".
    predicted_left : float
        CPU seconds of the bricks that are not done.
    """

    total: int = 0
    counts: Counter = field(default_factory=Counter)
    in_hand: int = 0
    workers: int = 0
    sources: int = 0
    calibrations: int = 0
    reasons: Counter = field(default_factory=Counter)
    dropped: Counter = field(default_factory=Counter)
    ratios: dict = field(default_factory=lambda: {"seconds": [], "memory": []})
    predicted_left: float = 0.0

    def take(self, record: dict) -> None:
        """Count a brick that has come to its end."""
        self.counts[record["state"]] += 1
        self.sources += record.get("sources", 0)
        if record["state"] not in (records.DONE, records.FAULTS, records.NOTHING):
            self.reasons[record.get("reason", "")] += 1
        for name, reason in record.get("dropped", ()):
            self.dropped[f"{name}: {reason}"] += 1
        predicted = record["predicted"]
        self.predicted_left -= predicted["seconds"]
        if record["state"] == records.DONE:
            if record.get("cpu_seconds"):
                self.ratios["seconds"].append(record["cpu_seconds"] / predicted["seconds"])
            if record.get("peak_memory"):
                self.ratios["memory"].append(record["peak_memory"] / predicted["memory"])


class Engine:
    """Runs orders on a Dask cluster.

    At most some tasks for each worker are submitted at a time, those that take longest first. What ended because its
    worker died, or for lack of memory, is run once more at the end, alone and with twice the memory; then it is
    quarantined.

    Parameters
    ----------
    client : distributed.Client
    orders : sequence of Order
    calibrations : sequence of CalibrationOrder
        Made before the bricks that need them.
    share : float or None
        Bytes of memory of a worker, in its resource "memory"; None if workers have no such resource.
    on_change : callable, optional
        ``on_change(tally)`` about once a second.
    """

    def __init__(self, client, orders, calibrations=(), *, share=None, on_change=None):
        self._client, self._share, self._on_change = client, share, on_change
        self.tally = Tally(total=len(orders), calibrations=len(calibrations))
        self.tally.predicted_left = sum(order.price.seconds for order in orders)
        self._ready, self._alone, self._returns = [], deque(), Counter()
        self._waiting: dict[str, list] = {order.image: [] for order in calibrations}
        self._unmet: dict[str, set] = {}
        self._calibrations = deque(calibrations)
        self._in_hand: dict[str, tuple] = {}
        self._finished: queue.SimpleQueue = queue.SimpleQueue()
        self._number = 0
        for order in orders:
            self._enter(order)

    def _enter(self, order: Order) -> None:
        needs = {image for image in order.needs if image in self._waiting}
        if needs:
            self._unmet[order.brick] = needs
            for image in needs:
                self._waiting[image].append(order)
        elif self._share is not None and order.price.memory > self._share:
            # More than a worker's share: when nothing else needs memory.
            self._alone.append(order)
        else:
            heapq.heappush(self._ready, (-order.price.seconds, order.brick, order))

    def run(self) -> Tally:
        """Run all orders.

        Returns
        -------
        Tally

        Raises
        ------
        SchedulerLost
            If the scheduler goes away.
        """
        try:
            while self._in_hand or self._ready or self._alone or self._calibrations:
                self._submit()
                self._settle_some()
                self._tell()
        finally:
            for future, _ in self._in_hand.values():
                future.release()
        return self.tally

    # --- to the workers

    def _submit(self) -> None:
        self._look_at_workers()
        window = max(1, _PER_WORKER * self.tally.workers)
        while len(self._in_hand) < window and self._calibrations:
            self._hand_over(make_calibrations, self._calibrations.popleft(), "calibrations", None)
        while len(self._in_hand) < window and self._ready:
            order = heapq.heappop(self._ready)[2]
            self._hand_over(work_on, order, order.brick, order.price.memory)
        if not self._in_hand and self._alone:
            order = self._alone.popleft()
            self._hand_over(work_on, order, order.brick, order.price.memory)

    def _hand_over(self, function, order, name, memory) -> None:
        self._number += 1
        key = f"{name}-{self._number}-{id(self):x}"
        resources = None
        if self._share is not None:
            resources = {"memory": self._share if memory is None else min(memory, self._share)}
        future = self._client.submit(
            function, order, key=key, pure=False, priority=-self._number, retries=0, resources=resources
        )
        self._in_hand[key] = (future, order)
        future.add_done_callback(lambda done: self._finished.put(done.key))

    def _look_at_workers(self) -> None:
        now = records.now()
        if now - getattr(self, "_looked", 0.0) < _LOOK:
            return
        self._looked = now
        if self._client.status not in ("running", "connecting", "newly-created"):
            raise SchedulerLost("the Dask scheduler has gone away; the same command goes on with what is not done")
        try:
            self.tally.workers = sum(self._client.nthreads().values())
        except (OSError, TimeoutError) as error:
            raise SchedulerLost(
                f"the Dask scheduler does not answer ({error}); the same command goes on with what is not done"
            ) from error

    # --- back from them

    def _settle_some(self) -> None:
        """Wait for a result, but not for long, and settle all that are there."""
        try:
            self._settle(self._finished.get(timeout=_LOOK))
            while True:
                self._settle(self._finished.get_nowait())
        except queue.Empty:
            return

    def _settle(self, key: str) -> None:
        if key not in self._in_hand:
            return
        future, order = self._in_hand.pop(key)
        result, problem = self._result(future)
        future.release()
        if isinstance(order, CalibrationOrder):
            self._settle_calibrations(order, result, problem)
        elif result is None:
            self._settle_lost(order, problem)
        elif result["state"] == records.RUNNING:
            self._once_more(order, "its worker process died")
        elif result["state"] == records.OUT_OF_MEMORY:
            self._once_more(order, result["reason"])
        else:
            self.tally.take(result)

    @staticmethod
    def _result(future: Any) -> tuple[dict | None, str]:
        """Result of a task, or None and why there is none."""
        if future.status == "finished":
            return future.result(), ""
        if future.status == "error":
            return None, " ".join(f"{type(future.exception()).__name__}: {future.exception()}".split())
        return None, future.status

    def _settle_calibrations(self, order: CalibrationOrder, result: dict | None, problem: str) -> None:
        self.tally.calibrations -= 1
        for name, reason in [] if result is None else result["failures"]:
            logger.warning("%s: no calibration: %s", name, reason)
        if problem:
            logger.warning("%s: calibrations were not made: %s", order.image, problem)
        for brick in self._waiting.pop(order.image):
            self._unmet[brick.brick].discard(order.image)
            if not self._unmet[brick.brick]:
                self._enter(brick)

    def _settle_lost(self, order: Order, problem: str) -> None:
        """A task without a result: what its record says, it was not able to say itself."""
        record = read_record(order.options.outdir, order.brick)
        mine = record is not None and record["ticket"] == order.ticket
        if mine and record["state"] not in (records.RUNNING, records.OUT_OF_MEMORY):
            self.tally.take(record)
        elif mine:
            self._once_more(order, "its worker process died")
        else:
            self._returns[order.brick] += 1
            if self._returns[order.brick] > _MOST_RETURNS:
                self.tally.take(order.write(records.FAILED, reason=f"could not be started: {problem}"))
            else:
                self._enter(order)

    def _once_more(self, order: Order, reason: str) -> None:
        if order.attempt == 1:
            logger.warning("%s: %s; once more, alone, with twice the memory", order.brick, reason)
            self._alone.append(once_more(order))
        else:
            logger.warning("%s: %s; for the second time: quarantined", order.brick, reason)
            self.tally.take(order.write(records.QUARANTINED, reason=f"{reason}, twice", finished=records.now()))

    def _tell(self) -> None:
        self.tally.in_hand = len(self._in_hand)
        if self._on_change is not None:
            self._on_change(self.tally)
