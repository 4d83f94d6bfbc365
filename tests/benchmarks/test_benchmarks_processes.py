"""Programs under observation."""

import os
import sys

import pytest
from processes import OtherPrograms, observe, tree_memory

PARENT = """
import subprocess, sys
print("first", flush=True)
block = bytearray(b"x") * 30_000_000
subprocess.run([sys.executable, "-c", "import time; block = bytearray(b'x') * 40_000_000; time.sleep(0.3)"])
print("second", file=sys.stderr)
sys.exit(3)
"""


def test_observe():
    seen = observe([sys.executable, "-c", PARENT], {**os.environ, "PYTHONUNBUFFERED": "1"}, interval=0.02)
    assert seen.status == 3
    assert [line for _, line in seen.lines] == ["first", "second"]
    assert 0 <= seen.lines[0][0] <= seen.lines[1][0] - 0.3 <= seen.wall
    assert 0 < seen.cpu < 10
    if seen.memory:  # Linux
        assert seen.peak_memory() > 70_000_000
        assert seen.peak_memory(seen.wall + 1) is None


def test_without_a_look_at_the_memory():
    seen = observe([sys.executable, "-c", "pass"])
    assert seen.status == 0 and seen.memory == [] and seen.lines == []


@pytest.mark.skipif(not os.path.exists("/proc/self/smaps_rollup"), reason="needs Linux")
def test_memory_of_this_process():
    assert tree_memory(os.getpid()) > 1_000_000
    assert tree_memory(2**22 + 1) is None  # no such process


@pytest.mark.skipif(not os.path.exists("/proc/stat"), reason="needs Linux")
def test_other_programs():
    with OtherPrograms() as others:
        sum(range(2_000_000))
    assert 0 <= others.share <= 1.5  # the system counts in ticks of 10 ms


def test_other_programs_where_the_system_does_not_tell(monkeypatch):
    monkeypatch.setattr(OtherPrograms, "_times", staticmethod(lambda: None))
    with OtherPrograms() as others:
        pass
    assert others.share is None
