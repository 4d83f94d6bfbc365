from importlib import metadata

import numpy as np

import legacypipe_lite
from legacypipe_lite import versions


def test_package_version(monkeypatch):
    assert legacypipe_lite.__version__ == versions.package_version()

    def missing(name):
        raise metadata.PackageNotFoundError

    monkeypatch.setattr(metadata, "version", missing)
    assert versions.package_version.__wrapped__() == "unknown"


def test_software_versions():
    assert versions.software_versions()["numpy"] == np.__version__
