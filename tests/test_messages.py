"""Messages between processes."""

import multiprocessing
import threading

import numpy as np
import pytest

from legacypipe_lite.messages import content, receive, send


@pytest.fixture
def pipe():
    ends = multiprocessing.Pipe()
    yield ends
    for end in ends:
        end.close()


def test_arrays_of_all_sizes(pipe):
    sent = {
        "small": np.arange(5),
        "large": np.random.default_rng(1).normal(size=(300, 1000)),
        "transposed": np.arange(60_000.0).reshape(300, 200).T,
        "empty": np.zeros((0, 3)),
        "text": "not an array",
    }
    thread = threading.Thread(target=send, args=(pipe[0], "done", sent))
    thread.start()
    kind, packed = receive(pipe[1])
    thread.join()
    got = content(packed)
    assert kind == "done" and got.keys() == sent.keys() and got["text"] == sent["text"]
    for name in ("small", "large", "transposed", "empty"):
        np.testing.assert_array_equal(got[name], sent[name])
        assert got[name].dtype == sent[name].dtype and got[name].flags.writeable


def test_closed_pipe(pipe):
    pipe[0].close()
    with pytest.raises(EOFError):
        receive(pipe[1])
    with pytest.raises(BrokenPipeError):
        send(pipe[1], "done", 1)


def test_what_cannot_be_pickled_is_not_sent(pipe):
    with pytest.raises(Exception, match="pickle"):
        send(pipe[0], "done", lambda: None)
    assert not pipe[1].poll()
