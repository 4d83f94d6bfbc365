"""Which reference catalogues a run uses, and where they are."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ..errors import InputError
from ..options import RunOptions
from ..report import Report
from ..survey import SurveyDirectory

__all__ = ["RefCatalogs"]

logger = logging.getLogger(__name__)

#: Name of the star-cluster table in the data directory.
CLUSTERS_FILE = "NGC-star-clusters.fits"


@dataclass(frozen=True)
class RefCatalogs:
    """Files of the reference catalogues; None for a catalogue that is not used.

    Attributes
    ----------
    gaia_dir : str or None
        Folder of the Gaia files, one per HEALPix pixel of nside 32: ``<gaia_prefix>-%05d.fits``.
    gaia_prefix : str
    gaia_scheme : str
        HEALPix numbering of the files: "ring" or "nested".
    gaia_version : str
        One character; `ref_cat` of the stars is "G" and this.
    tycho2_file : str or None
    large_galaxies_file : str or None
        Siena Galaxy Atlas (SGA), parent or ellipse catalogue.
    clusters_file : str or None
    """

    gaia_dir: str | None = None
    gaia_prefix: str = "chunk"
    gaia_scheme: str = "ring"
    gaia_version: str = "1"
    tycho2_file: str | None = None
    large_galaxies_file: str | None = None
    clusters_file: str | None = None

    def __post_init__(self):
        if self.gaia_scheme not in ("ring", "nested"):
            raise InputError(f"GAIA_CAT_SCHEME is {self.gaia_scheme!r}, but must be 'ring' or 'nested'")
        if len(self.gaia_version) != 1:
            raise InputError(
                f"GAIA_CAT_VER is {self.gaia_version!r}, but must be a single character, such as 2, E or 3"
            )

    @classmethod
    def from_environment(cls, survey: SurveyDirectory, options: RunOptions, report: Report | None = None) -> Self:
        """The catalogues that the environment, the survey directory and the options name.

        Parameters
        ----------
        survey : survey.SurveyDirectory
            Finds the Tycho-2 and large-galaxy catalogues and the data directory.
        options : RunOptions
            `gaia`, `tycho`, `large_galaxies`: which catalogues are used.
        report : report.Report, optional
            Takes the warnings about absent optional catalogues, each once.

        Returns
        -------
        RefCatalogs

        Raises
        ------
        InputError
            If there is no folder of Gaia files and ``--no-gaia`` was not given.
        """

        def warn(text):
            if report is None:
                logger.warning(text)
            else:
                report.warn_once(logger, text)

        return cls(
            gaia_dir=_gaia_dir() if options.gaia else None,
            gaia_prefix=os.environ.get("GAIA_CAT_PREFIX", "chunk"),
            gaia_scheme=os.environ.get("GAIA_CAT_SCHEME", "ring"),
            gaia_version=os.environ.get("GAIA_CAT_VER", "1"),
            tycho2_file=_tycho2_file(survey, warn) if options.tycho else None,
            large_galaxies_file=_large_galaxies_file(survey, warn) if options.large_galaxies else None,
            clusters_file=_clusters_file(survey, warn),
        )


def _gaia_dir():
    folder = os.environ.get("GAIA_CAT_DIR")
    if not folder:
        raise InputError("GAIA_CAT_DIR is not set: name the folder of the Gaia files there, or give --no-gaia")
    if not Path(folder).is_dir():
        raise InputError(f"GAIA_CAT_DIR={folder} is not a folder: name that of the Gaia files, or give --no-gaia")
    return folder


def _tycho2_file(survey, warn):
    folder = os.environ.get("TYCHO2_KD_DIR")
    if folder and not Path(folder).is_dir():
        raise InputError(f"TYCHO2_KD_DIR={folder} is not a folder: name that of tycho2.kd.fits, or give --no-tycho")
    path = survey.tycho2_file()
    if path is None:
        where = f"TYCHO2_KD_DIR={folder}" if folder else "$TYCHO2_KD_DIR (not set)"
        warn(
            f"no tycho2.kd.fits in {where} nor in the survey directory: "
            "bright stars that Gaia lacks are neither masked nor fitted as stars"
        )
        return None
    return str(path)


def _large_galaxies_file(survey, warn):
    path = survey.large_galaxies_file()
    if path is None:
        named = os.environ.get("LARGEGALAXIES_CAT")
        what = f"LARGEGALAXIES_CAT={named} is not a file" if named else "LARGEGALAXIES_CAT is not set"
        warn(f"{what}: large galaxies get no GALAXY mask bit and no special treatment")
        return None
    return str(path)


def _clusters_file(survey, warn):
    path = survey.data_file(CLUSTERS_FILE)
    if path is None:
        where = survey.data_dir or "the data directory (LEGACYPIPE_DATA_DIR, --data-dir)"
        warn(f"no {CLUSTERS_FILE} in {where}: star clusters and planetary nebulae are not masked")
        return None
    return str(path)
