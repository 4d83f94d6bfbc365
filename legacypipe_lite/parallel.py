"""A pool of worker processes for independent tasks over shared images.

Workers are forked when the tasks start, so they see everything that the parent has read (the images) without a
copy and without pickling; only a task's description and its result cross the pipe. Tasks are handed out one at a
time, in order, to whichever worker is free. A worker that dies is noticed at once.
"""

from __future__ import annotations

import ctypes
import logging
import logging.handlers
import multiprocessing
import os
import pickle
import resource
import signal
import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any, cast

from .errors import WorkerError
from .messages import content, receive, send

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

__all__ = ["run_tasks", "stream_tasks", "take_worker_peak_memory"]

logger = logging.getLogger(__name__)

#: Signals that mean a crash in compiled code. Such a task would take the main process along.
_CRASHES = {signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT}
_JOIN_SECONDS = 5.0

_worker_peak_memory = 0


def run_tasks(
    function: Callable[..., Any],
    tasks: Sequence[Any],
    *,
    threads: int = 1,
    shared: Any = None,
    on_result: Callable[..., Any] | None = None,
    label: str = "",
    progress: Callable[..., Any] | None = None,
) -> list[Any]:
    """Call ``function(shared, task)`` for each task, in this process or over worker processes.

    Parameters
    ----------
    function : callable
        A module-level function. It must not depend on what other calls of it did.
    tasks : sequence
        Small objects that can be pickled; they are started in this order.
    threads : int
        Number of worker processes; 1 runs everything in this process.
    shared : object
        Handed to every call. Reaches forked workers without being pickled; where processes cannot be forked it
        is sent once to each worker.
    on_result : callable or None
        ``on_result(index, result)``, called in this process as results arrive, in any order.
    label : str
        What the tasks are, for messages.
    progress : callable or None
        ``progress(label, done, total)``.

    Returns
    -------
    list
        Results in the order of `tasks`. A task whose worker died is tried a second time; if this fails, too, its
        result is a `WorkerError` (not raised).

    Raises
    ------
    Exception
        What a task raised, with the worker's traceback as its cause.
    """
    tasks = list(tasks)
    threads = min(threads, len(tasks))
    collector = _Collector(len(tasks), on_result, label, progress)
    if threads <= 1 or multiprocessing.current_process().daemon:
        for index, task in enumerate(tasks):
            collector.add(index, function(shared, task))
    else:
        _Pool(function, shared, threads, label).run(tasks, collector)
    return collector.results


def stream_tasks(
    function: Callable[..., Any],
    tasks: list[int],
    *,
    threads: int = 1,
    shared: Any = None,
    label: str = "",
    progress: Callable[..., Any] | None = None,
) -> Iterator[Any]:
    """As `run_tasks`, but yield the results one by one in the order of the tasks, and keep none.

    Workers are at most `threads` tasks ahead of the result that is waited for; so this is for large results.

    Parameters
    ----------
    function, tasks, threads, shared, label, progress
        As for `run_tasks`.

    Yields
    ------
    object

    Raises
    ------
    Exception
        What a task raised, with the worker's traceback as its cause.
    WorkerError
        If a task fails twice because its worker dies.
    """
    tasks = list(tasks)
    threads = min(threads, len(tasks))
    collector = _Collector(len(tasks), None, label, progress, keep=False)
    if threads <= 1 or multiprocessing.current_process().daemon:
        for index, task in enumerate(tasks):
            result = function(shared, task)
            collector.add(index, None)
            yield result
    else:
        yield from _Pool(function, shared, threads, label).stream(tasks, collector)


def take_worker_peak_memory() -> int:
    """Peak resident memory [bytes] of the largest worker since the last call (0 if there were none)."""
    global _worker_peak_memory
    peak, _worker_peak_memory = _worker_peak_memory, 0
    return peak


class _Collector:
    """Keeps results in order and tells those who want to know."""

    def __init__(
        self, total: int, on_result: Callable[..., Any] | None, label: str, progress: Any, keep: bool = True
    ) -> None:
        self.results = [None] * total
        self.keep = keep
        self.done = 0
        self.on_result, self.label, self.progress = on_result, label, progress
        self._tell()

    def add(self, index: int, result: Any) -> None:
        if self.keep:
            self.results[index] = result
        self.done += 1
        if self.on_result is not None:
            self.on_result(index, result)
        self._tell()

    def _tell(self) -> None:
        if self.progress is not None:
            self.progress(self.label, self.done, len(self.results))


class _RemoteTracebackError(Exception):
    """Carries the text of a worker's traceback as the cause of an exception."""

    def __str__(self) -> str:
        return "in a worker process:\n" + self.args[0]


class _Worker:
    """One worker process, its pipe, and the task it is busy with."""

    def __init__(self, context: Any, function: Any, shared: Any, others: Any) -> None:
        self.connection, theirs = context.Pipe()
        inherited = [other.connection for other in others] + [self.connection] if _forks(context) else []
        self.process = context.Process(
            target=_worker_main, args=(theirs, function, shared, inherited, os.getpid()), daemon=True
        )
        self.process.start()
        theirs.close()
        self.index = None

    def give(self, index: Any, task: Any) -> None:
        self.index = index
        self.connection.send((index, task))

    def message(self) -> Any:
        """The next message of the worker: its kind, and what `content` unpacks."""
        return receive(self.connection)

    def dismiss(self) -> None:
        """Ask an idle worker to end."""
        try:
            self.connection.send(None)
        except OSError:
            logger.debug("worker %s had ended already", self.process.pid)

    def end(self, force: Any) -> None:
        """Wait for the process, and leave no zombie behind."""
        if force and self.process.is_alive():
            self.process.terminate()
        self.process.join(_JOIN_SECONDS)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.connection.close()


class _Pool:
    def __init__(self, function: Any, shared: Any, threads: Any, label: str) -> None:
        self.context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
        self.function, self.shared, self.label = function, shared, label
        self.threads = threads
        self.workers: list[Any] = []

    def run(self, tasks: Any, collector: Any) -> None:
        waiting = deque(range(len(tasks)))
        again = []
        finished = False
        try:
            while waiting or any(worker.index is not None for worker in self.workers):
                self._hand_out(waiting, tasks)
                for worker, message in self._messages():
                    if message is None:
                        again.extend(self._bury(worker))
                    else:
                        self._handle(worker, message, collector, lambda: self._hand_out(waiting, tasks))
            finished = True
        finally:
            self._end(force=not finished)
        for index, code in again:
            collector.add(index, self._try_again(index, tasks[index], code))

    def stream(self, tasks: Any, collector: Any) -> Iterator[Any]:
        """Yield the results in order; see `stream_tasks`."""
        waiting = deque(range(len(tasks)))
        arrived = {}
        finished = False
        try:
            for wanted in range(len(tasks)):
                while wanted not in arrived:
                    self._hand_out(waiting, tasks, last=wanted + self.threads)
                    for worker, message in self._messages():
                        if message is None:
                            for index, code in self._bury(worker):
                                arrived[index] = self._try_again(index, tasks[index], code)
                        else:
                            arrived.update(self._handle(worker, message, collector))
                self._hand_out(waiting, tasks, last=wanted + self.threads)
                result = arrived.pop(wanted)
                if isinstance(result, WorkerError):
                    raise result
                yield result
            finished = True
        finally:
            self._end(force=not finished)

    def _hand_out(self, waiting: Any, tasks: Any, last: Any = None) -> None:
        """Give tasks to idle workers, none after number `last`."""
        last = len(tasks) if last is None else last
        while waiting and len(self.workers) < self.threads:
            self.workers.append(_Worker(self.context, self.function, self.shared, self.workers))
        for worker in self.workers:
            if worker.index is None and waiting and waiting[0] <= last:
                index = waiting.popleft()
                try:
                    worker.give(index, tasks[index])
                except OSError:
                    # It died while idle; its end is seen below, and the task goes to another.
                    worker.index = None
                    waiting.appendleft(index)

    def _messages(self) -> Any:
        """Messages that are there, at least one; None for a worker that has died."""
        by_connection = {worker.connection: worker for worker in self.workers}
        by_sentinel = {worker.process.sentinel: worker for worker in self.workers}
        ready = wait([*by_connection, *by_sentinel])
        found = []
        talking = [by_connection[r] for r in ready if r in by_connection]
        for worker in talking:
            try:
                found.append((worker, worker.message()))
            except (EOFError, OSError):
                found.append((worker, None))
        for sentinel in ready:
            worker = by_sentinel.get(sentinel)
            # What a worker said before it died is heard first, at the next round.
            if worker is not None and worker not in talking and not _has_data(worker.connection):
                found.append((worker, None))
        return found

    def _handle(self, worker: Any, message: Any, collector: Any, refill: Any = None) -> Any:
        """Deal with a message; task number -> result if it brought one.

        `refill` is called as soon as the worker has no task any more, so that it need not wait until the result of the
        last one is unpacked.
        """
        global _worker_peak_memory
        kind, packed = message
        if kind == "log":
            record = content(packed)
            target = logging.getLogger(record.name)
            if target.isEnabledFor(record.levelno):
                target.handle(record)
        elif kind == "error":
            error, text = content(packed)
            raise error from _RemoteTracebackError(text)
        else:
            index, worker.index = worker.index, None
            if refill is not None:
                refill()
            result, memory = content(packed)
            _worker_peak_memory = max(_worker_peak_memory, memory)
            collector.add(index, result)
            return {index: result}
        return {}

    def _bury(self, worker: Any) -> Any:
        """Forget a dead worker; the number of the task that it leaves behind, if any, and its exit code."""
        self.workers.remove(worker)
        worker.end(force=True)
        code = worker.process.exitcode
        cause = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
        if worker.index is None:
            return []
        logger.warning(
            "a worker process died (%s) on task %d of %s; the task is done again", cause, worker.index + 1, self.label
        )
        return [(worker.index, code)]

    def _try_again(self, index: Any, task: Any, code: Any) -> Any:
        """Second try: in this process, unless the worker crashed in a way that would end this process, too."""
        try:
            if -code in _CRASHES:
                return self._in_own_process(index, task)
            return self.function(self.shared, task)
        except Exception as error:
            logger.debug("second try of task %d failed", index + 1, exc_info=True)
            reason = f"{type(error).__name__}: {error}"
        failure = WorkerError(f"task {index + 1} of {self.label or 'the pool'} failed twice: {reason}")
        logger.error("%s", failure)
        return failure

    def _in_own_process(self, index: Any, task: Any) -> Any:
        others = self.workers  # `stream` has some that are at work
        worker = _Worker(self.context, self.function, self.shared, others)
        self.workers = [worker]
        collector = _Collector(1, None, "", None)
        try:
            worker.give(index, task)
            while worker.index is not None:
                for _, message in self._messages():
                    if message is None:
                        worker.end(force=True)
                        raise WorkerError(f"the process died again, exit status {worker.process.exitcode}")
                    if message[0] == "done":
                        worker.index = 0
                    self._handle(worker, message, collector)
        finally:
            self._end(force=False)
            self.workers = others
        return collector.results[0]

    def _end(self, force: Any) -> None:
        for worker in self.workers:
            if not force:
                worker.dismiss()
        for worker in self.workers:
            worker.end(force)
        self.workers = []


def _forks(context: Any) -> Any:
    return context.get_start_method() == "fork"


def _has_data(connection: Any) -> Any:
    try:
        return connection.poll()
    except OSError:
        return False


def _worker_main(connection: Any, function: Any, shared: Any, inherited: Any, parent: Any) -> None:
    """Life of a worker: do what comes through the pipe until it is closed."""
    for other in inherited:
        other.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Not the default: files that are being written are tidied up.
    signal.signal(signal.SIGTERM, _leave)
    _die_with_parent(parent)
    _forward_log(connection)
    while True:
        try:
            message = connection.recv()
        except (EOFError, OSError):
            return
        if message is None:
            return
        _, task = message
        try:
            reply = "done", (function(shared, task), _peak_memory())
        except Exception as error:
            reply = _error_reply(error)
        try:
            send(connection, *reply)
        except BrokenPipeError:
            return
        except Exception as error:  # a result that cannot be pickled
            send(connection, *_error_reply(error))


def _error_reply(error: Any) -> Any:
    text = traceback.format_exc()
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        error = RuntimeError(f"{type(error).__name__}: {error}")
    return "error", (error, text)


def _leave(signum: Any, frame: Any) -> None:
    raise SystemExit(128 + signum)


def _peak_memory() -> Any:
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


def _die_with_parent(parent: Any) -> None:
    """Ask the kernel to end this process when its parent ends, however that comes about (Linux only)."""
    if sys.platform == "linux":
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


class _PipeHandler(logging.handlers.QueueHandler):
    """Sends log records to the parent, which alone writes them."""

    def enqueue(self, record: Any) -> None:
        send(cast("Connection", self.queue), "log", record)


def _forward_log(connection: Any) -> None:
    root = logging.getLogger()
    root.handlers = [_PipeHandler(connection)]
