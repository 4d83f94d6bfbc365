"""What reference catalogues and earlier brick runs know about the field of a CCD whose sky model is to be made."""

import logging
from pathlib import Path

import numpy as np

from ..bits import REFMAP
from ..calibration import SkyScene
from ..errors import InputError
from ..models.render import TimRenderer
from ..tables import open_fits, read_table, short_message
from ..wcs import great_circle_distance, target_wcs, wcs_from_header
from .catalogs import RefCatalogs
from .halos import halo_image
from .mask_map import mask_map
from .merge import reference_sources

__all__ = ["SkySceneFinder"]

logger = logging.getLogger(__name__)

_ROWS_AT_ONCE = 512
_BRICK_PIXSCALE = 0.262  # arcsec
_BRICK_RADIUS = 0.27  # degrees: half the diagonal of a brick image, and a reserve


class SkySceneFinder:
    """Callable that gives the `SkyScene` of a `cameras.CcdField`.

    Parameters
    ----------
    survey : survey.SurveyDirectory
    options : RunOptions
    report : report.Report, optional
        Takes warnings about absent catalogues.
    """

    def __init__(self, survey, options, report=None):
        self.bricks_file = survey.bricks_file()
        self.blob_mask_dir = options.blob_mask_dir
        self.subtract_galaxies = options.sky_subtract_large_galaxies
        self.shape_jacobian = options.shape_jacobian
        self.catalogs, self.problem = None, None
        try:
            self.catalogs = RefCatalogs.from_environment(survey, options, report)
        except InputError as e:  # matters only if a sky model must be made
            self.problem = str(e)

    def __call__(self, ccd_field):
        """The scene in the field of a CCD.

        Raises
        ------
        InputError
            If a catalogue cannot be read.
        """
        if self.catalogs is None:
            raise InputError(f"no reference catalogues to make a sky model with: {self.problem}")
        refs, sources = reference_sources(ccd_field.wcs, [ccd_field.band], self.catalogs)
        bits = mask_map(refs, ccd_field.wcs)
        halos = self._halos(ccd_field, refs)
        galaxies, version = self._galaxies(ccd_field, refs, sources)
        light = halos if galaxies is None else galaxies if halos is None else halos + galaxies
        return SkyScene(
            mask=bits != 0,
            galaxy_fraction=float(np.mean((bits & (REFMAP["GALAXY"] | REFMAP["CLUSTER"])) != 0)),
            light=light,
            halos=halos is not None,
            galaxy_version=version,
            blobs=None if self.blob_mask_dir is None else self._blobs(ccd_field.wcs),
        )

    def _halos(self, ccd_field, refs):
        if not ccd_field.has_halos or len(refs) == 0:
            return None
        ccd = ccd_field.ccd
        return halo_image(
            refs[~np.asarray(refs["dup"])],
            ccd_field.wcs,
            ccd_field.shape,
            ccd_field.band,
            ccd.camera,
            ccd.ccdname,
            ccd.pixscale,
            ccd_field.mjd_tai,
            ccd_field.psf.moffat,
        )

    def _galaxies(self, ccd_field, refs, sources):
        """Image of the galaxies whose models are frozen, and the version of their catalogue."""
        if self.catalogs.large_galaxies_file is None or not self.subtract_galaxies:
            return None, ""
        frozen = np.flatnonzero(refs["freezeparams"]) if len(refs) else []
        image = np.zeros(ccd_field.shape, np.float32)
        renderer = TimRenderer(ccd_field, 0, self.shape_jacobian)
        for i in frozen:
            patch = None if sources[i] is None else renderer.patch(sources[i])
            if patch is not None:
                patch.add_to(image)
        versions = sorted({str(refs["ref_cat"][i]) for i in frozen})
        return (image, ",".join(versions)) if len(frozen) else (None, "")

    # --- blobs of earlier runs

    def _blobs(self, wcs):
        """Pixels of the CCD that lie in blobs of bricks in the folder of earlier runs."""
        blobs = np.zeros(wcs.shape, bool)
        for name, ra, dec in self._bricks_near(wcs):
            path, threshold = self._blob_file(name)
            if path is not None:
                brick_blobs, brick_wcs = _read_blobs(path, threshold, ra, dec)
                _mark(blobs, wcs, brick_blobs, brick_wcs)
        return blobs

    def _bricks_near(self, wcs):
        if self.bricks_file is None:
            raise InputError("--blob-mask-dir needs survey-bricks.fits.gz in the survey directory")
        bricks = read_table(self.bricks_file, columns=["brickname", "ra", "dec"])
        ra, dec = wcs.pixel_to_sky((wcs.width - 1) / 2.0, (wcs.height - 1) / 2.0)
        reach = wcs.pixel_scale / 3600.0 * np.hypot(wcs.width, wcs.height) / 2.0 + _BRICK_RADIUS
        near = great_circle_distance(bricks["ra"], bricks["dec"], ra, dec) < reach
        return [(str(b["brickname"]).strip(), float(b["ra"]), float(b["dec"])) for b in bricks[near]]

    def _blob_file(self, name):
        """Path of a brick's blob map or mask, and the value from which on a pixel is in a blob; (None, 0) if none."""
        folder = Path(self.blob_mask_dir) / "metrics" / name[:3]
        for file_name, threshold in ((f"blobs-{name}.fits.gz", 0), (f"blobmask-{name}.fits.gz", 1)):
            if (folder / file_name).is_file():
                return folder / file_name, threshold
        logger.debug("no blobs of brick %s in %s", name, folder)
        return None, 0


def _read_blobs(path, threshold, ra, dec):
    """Map of the pixels in blobs, and its WCS: that of the header, else the whole grid of the brick at (ra, dec)."""
    with open_fits(path) as fits:
        try:
            hdu = next(h for h in fits if h.has_data())
            blobs, header = hdu.read() >= threshold, hdu.read_header()
        except StopIteration:
            raise InputError(f"{path}: holds no image") from None
        except (OSError, ValueError) as e:
            raise InputError(f"{path}: cannot be read ({short_message(e)})") from None
    if "CTYPE1" in header:
        return blobs, wcs_from_header(header, path)
    height, width = blobs.shape
    return blobs, target_wcs(ra, dec, width, height, _BRICK_PIXSCALE)


def _mark(blobs, wcs, brick_blobs, brick_wcs):
    """Set pixels whose nearest pixel of the brick is in a blob, in place."""
    height, width = wcs.shape
    brick_height, brick_width = brick_blobs.shape
    x = np.arange(width, dtype=np.float64)
    for y0 in range(0, height, _ROWS_AT_ONCE):
        y = np.arange(y0, min(y0 + _ROWS_AT_ONCE, height), dtype=np.float64)
        bx, by = wcs.map_to(brick_wcs, x[np.newaxis, :], y[:, np.newaxis])
        inside = (bx > -0.5) & (bx < brick_width - 0.5) & (by > -0.5) & (by < brick_height - 0.5)
        ix, iy = np.rint(bx[inside]).astype(int), np.rint(by[inside]).astype(int)
        part = blobs[y0 : y0 + len(y)]
        part[inside] |= brick_blobs[iy, ix]
