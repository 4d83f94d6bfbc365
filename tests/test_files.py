"""Files that appear complete or not at all."""

import pytest

from legacypipe_lite.errors import OutputError
from legacypipe_lite.files import atomic_file


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
