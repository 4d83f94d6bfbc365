"""Compiled kernels are forgotten when a kernel changes that they may call, also in another room."""

import os
import re
import shutil
import subprocess
import sys
import textwrap
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


def test_importing_the_package_writes_nothing(tmp_path):
    """The caches are refreshed when the first file of kernels is imported, and only once."""
    copy = tmp_path / "legacypipe_lite"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    program = """
        import sys
        import legacypipe_lite as ll
        from pathlib import Path
        package = Path(ll.__file__).parent
        ll.__version__, dir(ll), ll.options, ll.InputError
        print(sorted(package.rglob("*")) == sorted(map(Path, sys.argv[1:])))
        finders = len(sys.meta_path)
        ll.arrays
        print(len(list(package.glob("*/__pycache__/kernels.stamp"))), finders - len(sys.meta_path))
        """
    files = [str(path) for path in sorted(copy.rglob("*"))]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *files],
        capture_output=True, text=True, check=True, env=environment, cwd=tmp_path,
    )  # fmt: skip
    rooms = {path.parent.name for path in PACKAGE.glob("*/*_kernels.py")}
    assert done.stdout.split() == ["True", str(len(rooms)), "1"]
