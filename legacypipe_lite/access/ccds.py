"""CCDs of a run around a position: from the survey's tables, or from those that the brick runs left."""

import logging

import numpy as np

from ..errors import InputError
from ..options import RunOptions
from ..survey import SurveyDirectory
from ..survey.ccds import read_ccds
from ..wcs import TanWcs, target_wcs
from .catalogs import bricks_of_box

__all__ = ["CcdFinder", "ccd_corners", "ccd_wcs"]

logger = logging.getLogger(__name__)

_KEYS = ("camera", "expnum", "ccdname")


class CcdFinder:
    """Finds the CCDs that touch a place.

    Parameters
    ----------
    run : Run
    survey_dir : str or Path or None
        The survey directory; without it the tables ``-ccds.fits`` of the bricks are used.
    """

    def __init__(self, run, survey_dir=None):
        self.run = run
        self.survey = None if survey_dir is None else SurveyDirectory(survey_dir)

    def options(self):
        """Options for reading images of the survey."""
        return RunOptions(brick="0001p000", survey_dir=str(self.survey.root), outdir=str(self.run.root))

    def near(self, ra, dec, width, height):
        """Rows of the CCDs that may touch a box, sorted by filter and exposure.

        Parameters
        ----------
        ra, dec : float
            Middle of the box [deg].
        width, height : float
            Degrees on the sky.

        Returns
        -------
        astropy.table.Table
            May have no rows.
        """
        from astropy.table import Table

        scale = max(0.262, 3600 * max(width, height) / 20000)
        pixels = [max(1, int(np.ceil(3600 * size / scale))) for size in (width, height)]
        target = target_wcs(ra, dec, *pixels, scale)
        if self.survey is not None:
            rows = read_ccds(self.survey.ccd_files(), target)
            if "ccd_cuts" in rows.colnames:
                rows = rows[rows["ccd_cuts"] == 0]
        else:
            rows = self._of_bricks(ra, dec, width, height)
        if len(rows):
            rows = rows[[_touches(row, target) for row in rows]]
        if not len(rows):
            return Table(rows)
        return rows[np.lexsort((rows["ccdname"], rows["expnum"], rows["filter"]))]

    def _of_bricks(self, ra, dec, width, height):
        from astropy.table import Table, unique, vstack

        half = min(180.0, width / 2 / max(1e-3, np.cos(np.deg2rad(dec))))
        bounds = ((ra - half) % 360, 2 * half, max(-90, dec - height / 2), min(90, dec + height / 2))
        tables = []
        for brick in bricks_of_box(self.run, bounds):
            path = brick.folder / f"legacysurvey-{brick.name}-ccds.fits"
            if path.is_file():
                try:
                    table = Table.read(path)
                except OSError as error:
                    raise InputError(f"{path} cannot be read: {error}") from error
                table.meta.clear()
                for name in ("camera", "ccdname", "filter", "image_filename"):
                    if name in table.colnames:
                        table[name] = np.char.strip(np.asarray(table[name]).astype(str))
                tables.append(table)
        if not tables:
            return Table()
        return unique(vstack(tables, metadata_conflicts="silent"), keys=list(_KEYS))


def ccd_wcs(row):
    """TAN WCS of a row of a CCD table."""
    cd = [float(row[name]) for name in ("cd1_1", "cd1_2", "cd2_1", "cd2_2")]
    crval, crpix = (tuple(float(row[f"{name}{i}"]) for i in (1, 2)) for name in ("crval", "crpix"))
    return TanWcs(crval, crpix, cd, int(row["width"]), int(row["height"]))


def ccd_corners(row):
    """RA, Dec [deg] of the middles of the corner pixels, FITS (1, 1), (1, H), (W, H), (W, 1); list of pairs."""
    wcs = ccd_wcs(row)
    x = np.array([0, 0, wcs.width - 1, wcs.width - 1], float)
    y = np.array([0, wcs.height - 1, wcs.height - 1, 0], float)
    return np.column_stack(wcs.pixel_to_sky(x, y)).tolist()


def _touches(row, target):
    """Whether a CCD and a target share any point; edges are taken as straight."""
    wcs = ccd_wcs(row)
    if not np.isfinite(np.linalg.det(wcs.cd)) or np.linalg.det(wcs.cd) == 0:
        return False
    return _any_corner_inside(wcs, target) or _any_corner_inside(target, wcs) or _crossing(wcs, target)


def _border(wcs, steps=9):
    t = np.linspace(-0.5, 0.5, steps)
    edge = np.concatenate([np.stack([t, t * 0 - 0.5]), np.stack([t, t * 0 + 0.5])], axis=1)
    edge = np.concatenate([edge, edge[::-1]], axis=1)
    return (edge[0] + 0.5) * wcs.width - 0.5, (edge[1] + 0.5) * wcs.height - 0.5


def _any_corner_inside(first, second):
    x, y = second.sky_to_pixel(*first.pixel_to_sky(*_border(first)))
    return bool(np.any(second.contains(x, y)))


def _crossing(first, second):
    """Bands that cross without a border point of either in the other: looked for with many points."""
    x, y = second.sky_to_pixel(*first.pixel_to_sky(*_border(first, 101)))
    return bool(np.any(second.contains(x, y)))
