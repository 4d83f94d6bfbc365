import subprocess
import sys

import pytest

from legacypipe_lite import cameras
from legacypipe_lite.cameras import (
    BokImage,
    CcdImage,
    DecamImage,
    MosaicImage,
    camera_class,
    known_cameras,
    load_camera_modules,
    register_camera,
    registry,
)
from legacypipe_lite.errors import InputError, UsageError


@pytest.fixture(autouse=True)
def clean_registry(monkeypatch):
    monkeypatch.setattr(registry, "_registered", {})


@pytest.mark.parametrize(
    "name, cls",
    [
        ("decam", DecamImage),
        ("decam+noise", DecamImage),
        ("mosaic", MosaicImage),
        ("mosaic3", MosaicImage),
        ("90prime", BokImage),
    ],
)
def test_built_in(name, cls):
    assert camera_class(name) is cls and name in known_cameras()


def test_unknown():
    with pytest.raises(InputError, match=r"camera 'hsc' .* is not known; there are 90prime, decam, .*--camera-module"):
        camera_class("hsc")


def test_register():
    class Mine(CcdImage):
        pass

    register_camera("mine", Mine)
    register_camera("decam", Mine)
    assert camera_class("mine") is Mine and camera_class("decam") is Mine and "mine" in known_cameras()
    with pytest.raises(TypeError, match="read_tim"):
        register_camera("other", object)


MODULE = """
from legacypipe_lite.cameras import DecamImage, register_camera
class Mine(DecamImage):
    pass
register_camera("mine", Mine)
"""


def test_module_by_path(tmp_path):
    path = tmp_path / "mycamera.py"
    path.write_text(MODULE)
    load_camera_modules([str(path)])
    first = camera_class("mine")
    load_camera_modules([str(path)])
    assert camera_class("mine") is first and issubclass(first, DecamImage)
    sys.modules.pop("legacypipe_lite_camera_mycamera")


def test_module_by_name(tmp_path, monkeypatch):
    (tmp_path / "my_camera_by_name.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    load_camera_modules(["my_camera_by_name"])
    assert issubclass(camera_class("mine"), DecamImage)
    sys.modules.pop("my_camera_by_name")


@pytest.mark.parametrize("text", ["import nothing_like_this", "raise RuntimeError('x')", "def"])
def test_module_that_fails(tmp_path, text):
    path = tmp_path / "broken.py"
    path.write_text(text)
    for _ in range(2):  # not half-loaded after the first failure
        with pytest.raises(UsageError, match="--camera-module .*broken.py"):
            load_camera_modules([str(path)])
    with pytest.raises(UsageError, match="no_such_module"):
        load_camera_modules(["no_such_module"])


class _EntryPoint:
    def __init__(self, name, result):
        self.name, self.result = name, result

    def load(self):
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


def test_entry_points(monkeypatch):
    points = {"lsst": _EntryPoint("lsst", DecamImage), "bad": _EntryPoint("bad", ImportError("no module x"))}
    monkeypatch.setattr(registry, "_entry_points", lambda: points)
    assert camera_class("lsst") is DecamImage and "lsst" in known_cameras()
    with pytest.raises(InputError, match="camera 'bad': .*no module x"):
        camera_class("bad")


def test_entry_points_of_this_package_are_loadable():
    for name, point in registry._entry_points().items():
        assert hasattr(point.load(), "read_tim"), name


def test_exports():
    for name in cameras.__all__:
        assert hasattr(cameras, name)


def test_import_is_light():
    code = "import sys, legacypipe_lite.cameras; print('astropy.time' in sys.modules, 'photutils' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
