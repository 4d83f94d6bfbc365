"""Files that appear complete or not at all."""

import pytest

from legacypipe_lite.errors import OutputError
from legacypipe_lite.files import atomic_file, atomic_path


@pytest.mark.parametrize("sync", [False, True])
def test_file_appears_at_the_end(tmp_path, sync):
    path = tmp_path / "new" / "folder" / "a.bin"
    with atomic_file(path, sync) as stream:
        stream.write(b"data")
        assert not path.exists()
    assert path.read_bytes() == b"data"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_failure_keeps_the_old_file(tmp_path, error):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(error), atomic_file(path) as stream:
        stream.write(b"new")
        raise error
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_system_errors_name_the_file(tmp_path):
    path = tmp_path / "a.bin"
    with pytest.raises(OutputError, match="cannot write .*a.bin: No space left"), atomic_file(path):
        raise OSError(28, "No space left on device")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_text("a file where a folder should be")
    with pytest.raises(OutputError, match="cannot write .*a.bin"), atomic_file(tmp_path / "file" / "a.bin"):
        pass


def test_a_folder_that_is_not_to_be_made(tmp_path):
    path = tmp_path / "none" / "a.bin"
    with pytest.raises(OutputError, match="cannot write .*a.bin: No such file"), atomic_file(path, make_folder=False):
        pass
    assert not list(tmp_path.iterdir())


def test_atomic_path(tmp_path):
    with atomic_path(tmp_path / "folder" / "a.txt") as temporary:
        temporary.write_text("new")
        assert not (tmp_path / "folder" / "a.txt").exists()
    assert [(p.name, p.read_text()) for p in (tmp_path / "folder").iterdir()] == [("a.txt", "new")]
    with (
        pytest.raises(OutputError, match="a.txt is not written, because of Broken pipe"),
        atomic_path(tmp_path / "a.txt", failure="{path} is not written, because of {reason}"),
    ):
        raise BrokenPipeError(32, "Broken pipe")
