"""Compiled kernels are forgotten when a kernel changes that they may call, also in another room."""

import re
import shutil
from pathlib import Path

import pytest

from legacypipe_lite import kernel_cache

PACKAGE = Path(kernel_cache.__file__).parent
IMPORT = re.compile(r"^from (\.+)([\w.]*) import", re.M)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of the kernel files, each room with a compiled kernel."""
    for path in PACKAGE.glob("*/*_kernels.py"):
        room = tmp_path / path.parent.name
        (room / "__pycache__").mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, room)
    monkeypatch.setattr(kernel_cache, "_PACKAGE", tmp_path)
    kernel_cache.refresh()
    for room in tmp_path.iterdir():
        (room / "__pycache__" / "some.nbi").write_text("")
    return tmp_path


def left(package):
    return {room.name for room in package.iterdir() if (room / "__pycache__" / "some.nbi").exists()}


def test_nothing_changes_without_a_change(package):
    kernel_cache.refresh()
    assert left(package) == {room.name for room in package.iterdir()}


def test_a_room_of_its_own(package):
    (package / "detection" / "peaks_kernels.py").write_text("changed")
    kernel_cache.refresh()
    assert {room.name for room in package.iterdir()} - left(package) == {"detection"}


@pytest.mark.parametrize("room", ["wcs", "models", "arrays"])
def test_a_room_that_others_use(package, room):
    next((package / room).glob("*_kernels.py")).write_text("changed")
    kernel_cache.refresh()
    assert not left(package)


def test_kernels_use_no_other_files():
    for path in PACKAGE.glob("*/*_kernels.py"):
        for dots, module in IMPORT.findall(path.read_text()):
            room = module.split(".")[0] if len(dots) == 2 else path.parent.name
            assert room in {path.parent.name, *kernel_cache._USED_BY_ALL}, f"{path.name} uses room {room}"
            assert module.endswith("_kernels"), f"{path.name} uses {module}"
