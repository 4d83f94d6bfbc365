import builtins
import io
import os
import pickle
import pickletools

import numpy as np
import pytest
from astropy.table import MaskedColumn, Table

from legacypipe_lite import state as state_module
from legacypipe_lite.errors import OutputError, StateError
from legacypipe_lite.models import Source
from legacypipe_lite.models.sources import Motion
from legacypipe_lite.state import FORMAT, dump_value, load_state, load_value, save_state
from legacypipe_lite.survey import Brick
from legacypipe_lite.wcs import TanWcs

IDENTITY = {"brick": "1102p240", "stage": "srcs", "options": {"--nsigma": 6.0, "--bands": ["g", "r"]}}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "pickles" / "srcs.pickle"


def again(value):
    return load_value(dump_value(value))


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.zeros((0, 4), np.int16),
        np.array(2.5),
        np.arange(10)[::-2],
        np.array([True, False]),
        np.array(["a", "bcd"]),
        np.array([b"x", b"yz"]),
        np.arange(3, dtype=">i4"),
        np.zeros(3, dtype=[("x", "f4", (2,)), ("name", "S3")]),
        np.broadcast_to(np.float32(3), (4, 4)),
    ],
)
def test_arrays(array):
    read = again(array)
    np.testing.assert_array_equal(read, array)
    assert read.dtype == array.dtype and read.shape == array.shape
    assert read.flags.f_contiguous == array.flags.f_contiguous or not array.flags.contiguous
    assert read.flags.writeable


def test_same_array_stays_the_same():
    image = np.zeros((100, 100), np.float32)
    read = again({"a": image, "b": [image]})
    assert read["a"] is read["b"][0]


def test_containers_and_scalars():
    value = {"n": None, "t": (1, 2.5, "x", b"y"), "s": slice(1, 5), "z": {1, 2}, "f": np.float32(0.1), "b": np.bool_(1)}
    read = again(value)
    assert read == value
    assert type(read["f"]) is np.float32 and type(read["b"]) is np.bool_


def test_table():
    table = Table({"ra": [1.0, 2.0], "name": ["a", "bcd"], "ap": np.ones((2, 8), np.float32)}, meta={"key": "value"})
    table["ra"].unit = "deg"
    table["ra"].description = "right ascension"
    table["m"] = MaskedColumn([1, 2], mask=[False, True])
    read = again(table)
    assert read.colnames == table.colnames and read.meta == table.meta
    assert read["ra"].unit == "deg" and read["ra"].description == "right ascension"
    assert list(read["m"].mask) == [False, True]
    np.testing.assert_array_equal(read["ap"], table["ap"])
    assert len(again(Table())) == 0
    assert len(again(table[:0])) == 0


def test_value_classes():
    source = Source("PSF", 10.0, 20.0, np.array([1.0, 2.0]), motion=Motion(pmra=3.0, ref_epoch=2015.5))
    brick = Brick("1102p240", 465217, 110.2, 24.0, 110.1, 110.3, 23.9, 24.1)
    wcs = TanWcs((110.2, 24.0), (50.5, 50.5), np.diag([-7e-5, 7e-5]), 100, 100)
    read = again([source, brick, wcs])
    assert read[0].motion == source.motion and list(read[0].flux) == [1.0, 2.0]
    assert read[1] == brick
    assert read[2].pixel_to_sky(3.0, 4.0) == wcs.pixel_to_sky(3.0, 4.0)


class Foreign:
    pass


@pytest.mark.parametrize(
    "value",
    [Foreign(), Foreign, os.system, lambda: 0, np.array([1, None]), np.ma.masked_array([1], [True]), ValueError("x")],
)
def test_nothing_else_is_stored(value):
    with pytest.raises(StateError, match="cannot be stored"):
        dump_value({"value": value})


def test_save_and_load(path):
    digest = save_state(path, {"a": np.arange(4)}, IDENTITY)
    payload, read, notes = load_state(path, IDENTITY)
    np.testing.assert_array_equal(payload["a"], np.arange(4))
    assert read == digest and notes == {}
    assert os.listdir(path.parent) == ["srcs.pickle"]


def test_same_payload_same_digest(path):
    assert save_state(path, {"a": np.arange(4)}, IDENTITY) == save_state(path, {"a": np.arange(4)}, dict(IDENTITY, q=1))


def test_notes_and_objection(path):
    save_state(path, [1], IDENTITY, notes={"products": {"a": "1"}, "n": np.int64(3)})
    assert load_state(path, IDENTITY, lambda notes: None).notes == {"products": {"a": "1"}, "n": 3}
    with pytest.raises(StateError, match="has one product"):
        load_state(path, IDENTITY, lambda notes: f"has {'one' if len(notes['products']) == 1 else 'no'} product")
    with pytest.raises(TypeError, match="object in the description"):
        save_state(path, [1], IDENTITY, notes={"x": object()})


def test_no_file(path):
    with pytest.raises(FileNotFoundError):
        load_state(path, IDENTITY)


@pytest.mark.parametrize(
    "change, reason",
    [
        ({"brick": "0001p000"}, "was made for brick 1102p240, not 0001p000"),
        ({"options": {"--nsigma": 5.0, "--bands": ["g", "r"]}}, "made with other options: --nsigma was 6.0, is 5.0"),
        ({"options": {"--bands": ["g", "r"]}}, "--nsigma was 6.0, is unset"),
        ({"version": "2"}, "was made for version unset, not 2"),
    ],
)
def test_other_identity(path, change, reason):
    save_state(path, {}, IDENTITY)
    with pytest.raises(StateError) as caught:
        load_state(path, {**IDENTITY, **change})
    assert reason in str(caught.value) and "\n" not in str(caught.value)


def test_identity_with_less_than_recorded(path):
    save_state(path, {}, dict(IDENTITY, more=1))
    with pytest.raises(StateError, match="holds more"):
        load_state(path, IDENTITY)


def test_tuples_in_an_identity_equal_lists(path):
    save_state(path, {}, {"options": {"--zoom": (1, 2, 3, 4)}})
    load_state(path, {"options": {"--zoom": (1, 2, 3, 4)}})


def test_stale_input_file(path, tmp_path):
    image = tmp_path / "image.fits"
    image.write_text("first")
    missing = tmp_path / "not-yet.fits"
    save_state(path, {}, IDENTITY, files=[image, missing])
    load_state(path, IDENTITY)
    missing.write_text("now it is there")
    with pytest.raises(StateError, match="stale: input file .*not-yet.fits has changed"):
        load_state(path, IDENTITY)
    missing.unlink()
    image.write_text("other")
    os.utime(image, ns=(1, 1))
    with pytest.raises(StateError, match="image.fits has changed"):
        load_state(path, IDENTITY)
    image.unlink()
    with pytest.raises(StateError, match="image.fits is gone"):
        load_state(path, IDENTITY)


def test_unreadable_file(path):
    path.mkdir(parents=True)
    with pytest.raises(StateError, match="cannot be read: Is a directory"):
        load_state(path, IDENTITY)


def test_truncated_at_any_length(path):
    save_state(path, {"a": np.arange(10)}, IDENTITY)
    data = path.read_bytes()
    for length in [*range(60), len(data) // 2, len(data) - 1]:
        path.write_bytes(data[:length])
        with pytest.raises(StateError, match="truncated|not a state file"):
            load_state(path, IDENTITY)


def test_damaged(path):
    save_state(path, {"a": np.arange(1000)}, IDENTITY)
    data = bytearray(path.read_bytes())
    data[500] ^= 1
    path.write_bytes(data)
    with pytest.raises(StateError, match="checksum"):
        load_state(path, IDENTITY)
    # bytes cut out of the middle
    path.write_bytes(data[:300] + data[400:])
    with pytest.raises(StateError, match="truncated"):
        load_state(path, IDENTITY)
    # a description that is not one
    data[-40:-30] = b"\xff" * 10
    path.write_bytes(data)
    with pytest.raises(StateError, match="damaged"):
        load_state(path, IDENTITY)
    path.write_bytes(b"a plain pickle of long ago" * 20)
    with pytest.raises(StateError, match="not a state file"):
        load_state(path, IDENTITY)


def test_other_format(path, monkeypatch):
    save_state(path, {}, IDENTITY)
    monkeypatch.setattr(state_module, "FORMAT", 99)
    with pytest.raises(StateError, match=f"has format {FORMAT}, not 99"):
        load_state(path, IDENTITY)


def test_failure_keeps_the_old_file(path, monkeypatch):
    save_state(path, {"a": 1}, IDENTITY)
    with pytest.raises(StateError):
        save_state(path, {"big": np.zeros(10**6), "bad": Foreign()}, IDENTITY)
    assert load_state(path, IDENTITY)[0] == {"a": 1}
    assert os.listdir(path.parent) == ["srcs.pickle"]

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(state_module.os, "replace", full)
    with pytest.raises(OutputError, match="srcs.pickle: No space left"):
        save_state(path, {"a": 2}, IDENTITY)
    assert load_state(path, IDENTITY)[0] == {"a": 1}


# --- what an attacker might write


class Evil:
    def __init__(self, function, *arguments):
        self.recipe = function, arguments

    def __reduce__(self):
        return self.recipe


def plain(value):
    return pickle.dumps(value, protocol=4)


def numpy_reconstruct_hiding(evil):
    """A numpy array of objects, pickled by numpy itself."""
    return plain(np.array([evil, 1], dtype=object))


def array_with_evil_dtype(evil):
    return plain(Evil(state_module._array, evil, (1,), False, b"1234"))


def table_with_evil_column(evil):
    return plain(Evil(state_module._table, [("x", evil, None, None, None)], {}))


def state_of_value_class(evil):
    source = Source("PSF", 1.0, 2.0, [1.0])
    source.ra = evil
    return plain(source.__dict__)


CARRIERS = [plain, numpy_reconstruct_hiding, array_with_evil_dtype, table_with_evil_column, state_of_value_class]


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("function", [os.system, os.mkdir, builtins.eval, builtins.getattr, np.load, pickle.loads])
def test_malicious_payloads_are_not_executed(carrier, function, tmp_path):
    target = tmp_path / "made by the payload"
    code = {"system": f"mkdir '{target}'", "mkdir": str(target), "eval": f"__import__('os').mkdir({str(target)!r})"}
    evil = Evil(function, code.get(function.__name__, str(target)))
    data = carrier(evil)
    pickletools.dis(data, out=io.StringIO())  # it is a well-formed pickle
    with pytest.raises(StateError, match="not safe to read"):
        load_value(data)
    assert not target.exists()


def test_malicious_file_is_refused(path, tmp_path, monkeypatch):
    target = tmp_path / "made by the payload"
    evil = Evil(os.mkdir, str(target))
    with monkeypatch.context() as patch:
        patch.setattr(state_module, "_Pickler", lambda stream, protocol: pickle.Pickler(stream, protocol))
        save_state(path, {"T": evil}, IDENTITY)
    with pytest.raises(StateError, match="not safe to read: it asks for posix.mkdir"):
        load_state(path, IDENTITY)
    assert not target.exists()


@pytest.mark.parametrize(
    "data",
    [
        plain(Evil(state_module._array, "O", (1,), False, b"12345678")),
        plain(Evil(state_module._array, [("x", "O")], (1,), False, b"12345678")),
        plain(Evil(state_module._scalar, "O", b"12345678")),
        plain(np.arange(3)),
        plain(Table({"a": [1]})),
        b"\x80\x04\x8c\x15legacypipe_lite.state\x8c\tos.system\x93\x8c\x02id\x85R.",
        b"\x80\x04\x8c\x01xQ.",
        b"cos\nsystem\n(S'id'\ntR.",
    ],
)
def test_other_ways_in(data):
    with pytest.raises(StateError, match="not safe to read"):
        load_value(data)


def test_garbage():
    with pytest.raises(StateError, match="cannot be unpickled"):
        load_value(b"\x80\x04garbage")
    with pytest.raises(StateError, match="cannot be unpickled"):
        load_value(plain(Evil(state_module._array, "<f8", (10,), False, b"1234")))
