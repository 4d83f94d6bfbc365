"""The survey directory: where bricks, CCD tables, images, calibrations and reference catalogues are found."""

from __future__ import annotations

import logging
import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import InputError, UsageError

if TYPE_CHECKING:
    from ..options import RunOptions

__all__ = ["SurveyDirectory", "RunConfiguration", "RUNS", "image_base_name"]

logger = logging.getLogger(__name__)


class RunConfiguration(NamedTuple):
    """What ``--run NAME`` selects.

    Attributes
    ----------
    words : tuple of str
        A CCD table is used if its file name contains one of these; empty: all tables.
    release : int
        Default release number of the catalogue.
    """

    words: tuple[str, ...]
    release: int


#: Survey configurations by name; None is a run without ``--run``.
RUNS = {
    None: RunConfiguration((), 9999),
    "south": RunConfiguration(("decam",), 9008),
    "decam": RunConfiguration(("decam",), 9008),
    "north": RunConfiguration(("90prime", "mosaic"), 9009),
    "90prime-mosaic": RunConfiguration(("90prime", "mosaic"), 9009),
}

_CALIBRATIONS = {"psf": ("psfex", "psfex"), "sky": ("sky", "splinesky")}


def image_base_name(image_filename: str) -> str:
    """File name of an image up to the first dot: ``.../X.N3.fits`` and ``.../X.fits.fz`` both give ``X``."""
    return PurePosixPath(image_filename).name.split(".", 1)[0]


class SurveyDirectory:
    """The inputs of a run: one folder (LEGACY_SURVEY_DIR) and what environment variables add to it.

    Parameters
    ----------
    root : str or Path
        The folder.
    cache_dir : str or Path, optional
        A file below it with the same relative path is read instead of the one below `root`.
    data_dir : str or Path, optional
        Folder of survey-wide tables (star clusters, amplifier corrections, ...).
    run : str, optional
        Name of a survey configuration, a key of `RUNS`.

    Raises
    ------
    InputError
        If `root` is not a folder.
    UsageError
        If `run` is unknown.
    """

    def __init__(
        self,
        root: str | Path,
        cache_dir: str | Path | None = None,
        data_dir: str | Path | None = None,
        run: str | None = None,
    ) -> None:
        self.root = Path(root)
        self.cache_dir = Path(cache_dir) if cache_dir else None
        self.data_dir = Path(data_dir) if data_dir else None
        if run not in RUNS:
            names = ", ".join(name for name in RUNS if name)
            raise UsageError(f"--run {run} is not known; there are {names}")
        self.run = run
        if not self.root.is_dir():
            raise InputError(f"survey directory {self.root} does not exist: check --survey-dir or $LEGACY_SURVEY_DIR")
        for flag, path in (("--cache-dir", self.cache_dir), ("--data-dir or $LEGACYPIPE_DATA_DIR", self.data_dir)):
            if path is not None and not path.is_dir():
                raise InputError(f"{path} is not a folder: check {flag}")

    @classmethod
    def from_options(cls, options: RunOptions) -> SurveyDirectory:
        """The survey directory that `options` (and the environment) name; the current one, with a warning, if none."""
        root = options.resolved_survey_dir()
        if root is None:
            root = os.getcwd()
            logger.warning("no --survey-dir and no $LEGACY_SURVEY_DIR: using the current directory")
        return cls(root, cache_dir=options.cache_dir, data_dir=options.resolved_data_dir(), run=options.run)

    def __repr__(self) -> str:
        return f"SurveyDirectory({str(self.root)!r})"

    @property
    def images_dir(self) -> Path:
        """Folder that `image_filename` of the CCD tables is relative to."""
        return self.root / "images"

    @property
    def calib_dir(self) -> Path:
        """Folder of the calibrations."""
        return self.root / "calib"

    @property
    def default_release(self) -> int:
        """Release number of the catalogue unless ``--release`` is given."""
        return RUNS[self.run].release

    def cached(self, path: Path) -> Path:
        """`path`, or its copy in the cache directory if there is one."""
        path = Path(path)
        if self.cache_dir is None or not path.is_relative_to(self.root):
            return path
        copy = self.cache_dir / path.relative_to(self.root)
        return copy if copy.exists() else path

    def relative(self, path: Path) -> str:
        """`path` relative to the survey (or cache) directory, as a string for headers."""
        path = Path(path)
        for base in (self.root, self.cache_dir):
            if base is not None and path.is_relative_to(base):
                return path.relative_to(base).as_posix()
        return str(path)

    # --- tables

    def bricks_file(self) -> Path | None:
        """Path of the table of bricks, or None."""
        path = self.root / "survey-bricks.fits.gz"
        if not path.is_file():
            found = sorted(self.root.glob("survey-bricks-*.fits.gz"))
            if not found:
                return None
            path = found[0]
        return self.cached(path)

    def ccd_files(self) -> list[Path]:
        """Paths of the CCD tables of this run: the .kd.fits tables if there are any, else the .fits.gz ones.

        Returns
        -------
        list of Path
            Sorted by name.

        Raises
        ------
        InputError
            If there is none.
        """
        words = RUNS[self.run].words
        for pattern in ("survey-ccds*.kd.fits", "survey-ccds*.fits.gz"):
            found = sorted(self.root.glob(pattern))
            found = [f for f in found if not words or any(word in f.name for word in words)]
            if found:
                return [self.cached(f) for f in found]
        which = f" with {' or '.join(repr(w) for w in words)} in its name (--run {self.run})" if words else ""
        raise InputError(f"no survey-ccds*.kd.fits or survey-ccds*.fits.gz{which} in {self.root}")

    # --- images and calibrations

    def image_file(self, image_filename: str) -> Path:
        """Path of an image, given its name in the CCD table."""
        return self.cached(self.images_dir / image_filename)

    def calibration_files(self, kind: str, image_filename: str, ccdname: str) -> list[Path]:
        """Where the PSF or sky model of a CCD may be, in the order of search.

        Parameters
        ----------
        kind : str
            "psf" or "sky".
        image_filename, ccdname : str
            Of the CCD table.

        Returns
        -------
        list of Path
            Not all of them need exist.
        """
        folder, suffix = _CALIBRATIONS[kind]
        image_dir = PurePosixPath(image_filename).parent
        base = image_base_name(image_filename)
        merged = self.calib_dir / folder / image_dir / f"{base}-{suffix}.fits"
        old = self.calib_dir / image_dir / f"{base}-{suffix}.fits"
        single = self.single_calibration_file(kind, image_filename, ccdname)
        paths = [merged, single, old] if kind == "psf" else [single, merged, old]
        return [self.cached(p) for p in paths]

    def single_calibration_file(self, kind: str, image_filename: str, ccdname: str) -> Path:
        """Path in the survey directory of the PSF or sky model of one CCD: where a new one is written."""
        folder, suffix = _CALIBRATIONS[kind]
        base = image_base_name(image_filename)
        image_dir = PurePosixPath(image_filename).parent
        return self.calib_dir / f"{folder}-single" / image_dir / base / f"{base}-{ccdname}-{suffix}.fits"

    def source_extractor_file(self, image_filename: Any, ccdname: Any) -> Any:
        """Path of the SExtractor catalogue of a CCD, from which its PSF model is made."""
        base = image_base_name(image_filename)
        image_dir = PurePosixPath(image_filename).parent
        return self.calib_dir / "se" / image_dir / base / f"{base}-{ccdname}-se.fits"

    # --- reference catalogues and survey-wide tables

    def tycho2_file(self) -> Path | None:
        """Path of the Tycho-2 catalogue ($TYCHO2_KD_DIR, else the survey directory), or None."""
        name = "tycho2.kd.fits"
        folder = os.environ.get("TYCHO2_KD_DIR")
        if folder and (Path(folder) / name).is_file():
            return Path(folder) / name
        path = self.cached(self.root / name)
        return path if path.is_file() else None

    def large_galaxies_file(self) -> Path | None:
        """Path of the large-galaxy catalogue ($LARGEGALAXIES_CAT), or None if unset or not a file."""
        name = os.environ.get("LARGEGALAXIES_CAT")
        return Path(name) if name and Path(name).is_file() else None

    def data_file(self, name: str) -> Any:
        """Path of a survey-wide table in the data directory, or None if it is not there.

        Parameters
        ----------
        name : str
            E.g. ``"ampcorrections.fits"`` or ``"unwise_psf/unwise-psf-w1.fits"``.
        """
        if self.data_dir is None:
            return None
        path = self.data_dir / name
        return path if path.exists() else None
