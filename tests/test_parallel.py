import faulthandler
import logging
import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

from legacypipe_lite import parallel
from legacypipe_lite.errors import InputError, WorkerError
from legacypipe_lite.parallel import run_tasks, stream_tasks, take_worker_peak_memory

PARENT = os.getpid()

#: Seconds after which a test is stopped; however slow the machine, none takes as long unless it hangs.
LIMIT = 300


@pytest.fixture(autouse=True)
def no_hanging():
    """Ends a test that waits for a process for ever."""

    def stop(number, frame):
        raise AssertionError(f"not done after {LIMIT} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(LIMIT)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def add(shared, task):
    return shared["image"][task] + 1


def where(shared, task):
    return os.getpid()


def slow_first(shared, task):
    if task == 0:
        time.sleep(0.3)
    return task, os.getpid()


def sleep_after_first(shared, task):
    if task > 0:
        time.sleep(2 * LIMIT)
    return task


def complain(shared, task):
    if task == 3:
        raise InputError("file x.fits is truncated")
    return task


def fail(shared, task):
    raise ZeroDivisionError("one by nothing")


class NeedsTwoArgumentsError(Exception):
    def __init__(self, a, b):
        super().__init__(f"{a}{b}")


def fail_oddly(shared, task):
    raise NeedsTwoArgumentsError(1, 2)


def unpicklable(shared, task):
    return lambda: None


def die_outside_parent(shared, task):
    if task == 2 and os.getpid() != PARENT:
        os.kill(os.getpid(), signal.SIGKILL)
    return task * 10


def crash(shared, task):
    if task == 1 and os.getpid() != PARENT:
        faulthandler.disable()  # the crash is meant
        os.kill(os.getpid(), signal.SIGSEGV)
    return task


def square_slowly(shared, task):
    time.sleep(0.02 * (task % 3))
    return task * task


def touch(shared, task):
    open(os.path.join(shared, str(task)), "w").close()
    return task


def die_once(shared, task):
    path, number = shared
    if task == 1 and not os.path.exists(path):
        open(path, "w").close()
        faulthandler.disable()
        os.kill(os.getpid(), number)
    time.sleep(0.05)
    return task * task


def crash_once(shared, task):
    if task == 1 and not os.path.exists(shared):
        open(shared, "w").close()
        faulthandler.disable()
        os.kill(os.getpid(), signal.SIGSEGV)
    return task


def die_then_fail(shared, task):
    if task != 2:
        return task
    if os.getpid() != PARENT:
        os._exit(7)
    raise ValueError("no luck here either")


def warn(shared, task):
    logging.getLogger("legacypipe_lite.worker_test").warning("task %d says hello", task)
    return task


def inner(shared, task):
    return run_tasks(where, range(3), threads=2)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_in_order(threads):
    image = np.arange(20)
    assert run_tasks(add, range(20), threads=threads, shared={"image": image}) == list(range(1, 21))


def test_no_tasks():
    assert run_tasks(add, [], threads=4) == []


def test_one_thread_stays_in_this_process():
    assert set(run_tasks(where, range(3), threads=1)) == {PARENT}
    assert PARENT not in run_tasks(where, range(3), threads=2)
    # one task needs no pool
    assert run_tasks(where, range(1), threads=2) == [PARENT]


def test_tasks_go_to_whoever_is_free():
    results = run_tasks(slow_first, range(6), threads=2)
    assert [r[0] for r in results] == list(range(6))
    slow = results[0][1]
    assert sum(r[1] == slow for r in results) < 4


def test_shared_is_not_pickled():
    shared = {"image": np.arange(4), "not picklable": lambda: None}
    assert run_tasks(add, range(4), threads=2, shared=shared) == [1, 2, 3, 4]


def test_callbacks():
    seen, told = [], []
    run_tasks(
        add,
        range(4),
        threads=2,
        shared={"image": np.arange(4)},
        on_result=lambda index, result: seen.append((index, int(result))),
        label="adding",
        progress=lambda *args: told.append(args),
    )
    assert sorted(seen) == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert told[0] == ("adding", 0, 4) and told[-1] == ("adding", 4, 4) and len(told) == 5


@pytest.mark.parametrize("threads", [1, 2])
def test_errors_of_the_package_come_through(threads):
    with pytest.raises(InputError, match="x.fits is truncated"):
        run_tasks(complain, range(6), threads=threads)
    assert no_children()


def test_other_errors_carry_the_workers_traceback():
    with pytest.raises(ZeroDivisionError) as caught:
        run_tasks(fail, range(4), threads=2)
    assert "in fail" in str(caught.value.__cause__)
    with pytest.raises(RuntimeError, match="NeedsTwoArgumentsError: 12"):
        run_tasks(fail_oddly, range(4), threads=2)
    with pytest.raises(Exception, match="pickle"):
        run_tasks(unpicklable, range(4), threads=2)
    assert no_children()


def test_dead_worker_is_replaced_and_its_task_done_here(caplog):
    assert run_tasks(die_outside_parent, range(6), threads=2, label="blobs") == [0, 10, 20, 30, 40, 50]
    assert "killed by SIGKILL) on task 3 of blobs" in caplog.text
    assert no_children()


def test_stream_keeps_the_order_and_runs_ahead_no_further_than_asked(tmp_path):
    assert list(stream_tasks(square_slowly, range(7), threads=3)) == [0, 1, 4, 9, 16, 25, 36]
    assert list(stream_tasks(square_slowly, range(3), threads=1)) == [0, 1, 4]
    results = stream_tasks(touch, range(8), threads=2, shared=str(tmp_path))
    assert next(results) == 0
    time.sleep(0.5)
    assert not (tmp_path / "4").exists()
    results.close()
    assert no_children()


@pytest.mark.parametrize("name", ["SIGKILL", "SIGSEGV", "SIGABRT"])
def test_stream_survives_a_worker_that_dies_while_others_work(name, tmp_path, caplog):
    shared = (str(tmp_path / "died"), getattr(signal, name))
    assert list(stream_tasks(die_once, range(6), threads=2, shared=shared, label="models")) == [0, 1, 4, 9, 16, 25]
    assert f"killed by {name}) on task 2 of models" in caplog.text
    assert no_children()


def test_stream_raises_what_a_task_raised():
    results = stream_tasks(fail, range(4), threads=2)
    with pytest.raises(ZeroDivisionError):
        list(results)
    assert no_children()


def test_task_that_fails_twice_is_flagged(caplog):
    seen = {}
    results = run_tasks(die_then_fail, range(4), threads=2, label="blobs", on_result=seen.__setitem__)
    assert isinstance(results[2], WorkerError) and "no luck here either" in str(results[2])
    assert seen[2] is results[2]
    assert [results[i] for i in (0, 1, 3)] == [0, 1, 3]
    assert "exit status 7" in caplog.text


def test_crash_does_not_take_this_process_along(tmp_path):
    results = run_tasks(crash, range(4), threads=2, label="blobs")
    assert isinstance(results[1], WorkerError) and "died again" in str(results[1])
    assert [results[i] for i in (0, 2, 3)] == [0, 2, 3]
    assert run_tasks(crash_once, range(4), threads=2, shared=str(tmp_path / "crashed")) == [0, 1, 2, 3]
    assert no_children()


def test_log_records_reach_the_parent(caplog):
    with caplog.at_level(logging.INFO):
        run_tasks(warn, range(3), threads=2)
    assert {r.getMessage() for r in caplog.records} == {f"task {i} says hello" for i in range(3)}


def test_no_pool_inside_a_worker():
    for pids in run_tasks(inner, range(2), threads=2):
        assert len(set(pids)) == 1


def test_interruption_leaves_no_process():
    def interrupt(*args):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_tasks(sleep_after_first, range(50), threads=2, progress=lambda label, done, total: done and interrupt())
    assert no_children()


def test_memory_of_workers():
    take_worker_peak_memory()
    run_tasks(where, range(4), threads=2)
    assert take_worker_peak_memory() > 1e6
    assert take_worker_peak_memory() == 0


def test_workers_end_with_a_killed_parent(tmp_path):
    if sys.platform != "linux":
        pytest.skip("needs the parent-death signal of Linux")
    script = tmp_path / "pool.py"
    script.write_text(
        textwrap.dedent(
            """
            import os, sys, time
            from legacypipe_lite.parallel import run_tasks

            def work(shared, task):
                with open(os.path.join(shared, str(task)), "w") as f:
                    f.write(str(os.getpid()))
                time.sleep(600)

            run_tasks(work, range(2), threads=2, shared=sys.argv[1])
            """
        )
    )
    folder = tmp_path / "pids"
    folder.mkdir()
    parent = subprocess.Popen([sys.executable, str(script), str(folder)])
    pids = wait_for(lambda: [int(f.read_text()) for f in folder.iterdir() if f.read_text()], 2)
    parent.kill()
    parent.wait()
    assert wait_for(lambda: [p for p in pids if not alive(p)], 2)


def test_without_fork(monkeypatch):
    real = parallel.multiprocessing.get_context
    monkeypatch.setattr(parallel.multiprocessing, "get_context", lambda kind: real("spawn"))
    assert run_tasks(add, range(3), threads=2, shared={"image": np.arange(3)}) == [1, 2, 3]


def wait_for(find, number):
    for _ in range(300):
        found = find()
        if len(found) == number:
            return found
        time.sleep(0.1)
    raise AssertionError("waited in vain")


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def no_children():
    return not parallel.multiprocessing.active_children()
