"""The PSF and sky models of a CCD: read from the survey directory, or made and written there."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..calibration import (
    box_size,
    fit_sky,
    identity_columns,
    make_psf,
    psf_from_row,
    read_psf,
    read_sky,
    sky_from_row,
    sky_row,
    write_row,
)
from ..errors import CalibrationError, InputError, OutputError
from ..models import CcdInfo, PsfModel
from ..units import utc_to_tai
from ..versions import package_version
from ..wcs import ImageWcs
from .extent import Region

__all__ = ["CcdField", "load_psf", "load_sky"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CcdField:
    """The field of a CCD (its good region) as reference catalogues need to see it; the names are those of `Tim`.

    Attributes
    ----------
    name, band : str
    wcs : ImageWcs
        Of the region; its size is the region's.
    psf : PsfModel
        In pixels of the region.
    x0, y0 : int
        Origin in the CCD.
    mjd_tai : float
    ccd : CcdInfo
    has_halos : bool
        The camera's star halos are modelled.
    """

    name: str
    band: str
    wcs: ImageWcs
    psf: PsfModel
    x0: int
    y0: int
    mjd_tai: float
    ccd: CcdInfo
    has_halos: bool

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        return self.wcs.shape


def _say_that_one_is_made(ccd: Any, kind: Any, paths: Any, reason: Any) -> None:
    """Log why a calibration is made: a file that is there, but cannot be used, is worth a warning."""
    level = logging.WARNING if any(path.exists() for path in paths) else logging.INFO
    logger.log(level, "%s: making the %s model (%s)", ccd.name, kind, reason)


def load_psf(ccd: Any) -> tuple[PsfModel, tuple[str, str]]:
    """PSF model of a CCD, in pixels of the whole CCD, and its version; made if it is missing.

    Parameters
    ----------
    ccd : CcdImage

    Returns
    -------
    PsfModel, (str, str)

    Raises
    ------
    CalibrationError
    """
    options = ccd.options
    normalize = options.normalize_psf
    paths = ccd.survey.calibration_files("psf", ccd.image_filename, ccd.ccdname)
    try:
        return read_psf(paths, ccd.identity, options.old_calibs_ok, normalize, options.verify_inputs)
    except InputError as e:
        reason = str(e)
    if options.skip_calibs:
        raise CalibrationError(f"{reason} (none is made: --skip-calibs)")
    _say_that_one_is_made(ccd, "PSF", paths, reason)
    region = Region(0, ccd.width, 0, ccd.height)
    catalog = ccd.survey.source_extractor_file(ccd.image_filename, ccd.ccdname)
    with ccd.open_image() as image_file:
        primary_header, header = image_file.primary_header, image_file.header
        image, without_value = ccd.read_pixels(image_file, region)
    codes = ccd.read_dq_codes(region)
    codes[without_value & (codes == 0)] = 1
    try:
        row = make_psf(image, codes, ccd.psf_recipe, catalog, header)
    except CalibrationError as e:
        raise CalibrationError(f"{reason}; {e}") from None
    row |= _identity(ccd, primary_header, header)
    path = ccd.survey.single_calibration_file("psf", ccd.image_filename, ccd.ccdname)
    try:
        psf = psf_from_row(row, f"the new PSF model of {ccd.name}", normalize)
    except CalibrationError as e:
        raise CalibrationError(f"{reason}; {e}") from None
    _write(path, row)
    return psf, (row["legpipev"], row["plver"])


def load_sky(
    ccd: Any, wcs: ImageWcs, psf: PsfModel, scene: Callable[..., Any] | None = None
) -> tuple[Any, tuple[str, str]]:
    """Sky model of a CCD, in pixels of the whole CCD, and its version; made if it is missing.

    Parameters
    ----------
    ccd : CcdImage
    wcs : ImageWcs
        Of the whole CCD.
    psf : PsfModel
        In pixels of the whole CCD.
    scene : callable, optional
        ``scene(ccd_field) -> SkyScene``.

    Returns
    -------
    ConstantSky, JumpSky or SplineSky; (str, str)

    Raises
    ------
    CalibrationError
    """
    options = ccd.options
    paths = ccd.survey.calibration_files("sky", ccd.image_filename, ccd.ccdname)
    template = ccd.sky_template()
    try:
        return read_sky(paths, ccd.identity, options.old_calibs_ok, template, options.verify_inputs)
    except InputError as e:
        reason = str(e)
    if options.skip_calibs:
        raise CalibrationError(f"{reason} (none is made: --skip-calibs)")
    if scene is None:
        raise CalibrationError(f"{reason}; without reference catalogues none can be made")
    _say_that_one_is_made(ccd, "sky", paths, reason)
    sky, row = _make_sky(ccd, wcs, psf, scene, template)
    sky_from_row(row, f"the new sky model of {ccd.name}")  # is it one?
    _write(ccd.survey.single_calibration_file("sky", ccd.image_filename, ccd.ccdname), row)
    return sky, (row["legpipev"], row["plver"])


def _make_sky(ccd: Any, wcs: Any, psf: Any, scene: Any, template: Any) -> Any:
    """A new sky model, and its table row."""
    region = ccd.good_region()
    with ccd.open_image() as image_file:
        raw = ccd.read_raw(image_file, region)
    found = scene(_field(ccd, wcs, psf, region, raw.primary_header))
    image = raw.image
    if found.light is not None:
        image = image - np.float32(ccd.flux_scale()) * found.light
    options = ccd.options
    box = box_size(ccd.height, ccd.width, options.sky_box_size)
    fitted = fit_sky(image, raw.invvar, found, box, spline=options.splinesky, jump=ccd.has_sky_jump())
    identity = _identity(ccd, raw.primary_header, raw.header)
    row = sky_row(fitted, (region.x0, region.y0), found, ccd.zeropoint(), template, identity)
    return fitted.sky.shifted(-region.x0, -region.y0), row


def _field(ccd: Any, wcs: Any, psf: Any, region: Any, primary_header: Any) -> Any:
    return CcdField(
        name=ccd.name,
        band=ccd.band,
        wcs=wcs.subimage(region.x0, region.y0, region.width, region.height),
        psf=psf.subimage(region.x0, region.y0),
        x0=region.x0,
        y0=region.y0,
        mjd_tai=utc_to_tai(ccd.mjd_obs),
        ccd=ccd.info(primary_header),
        has_halos=ccd.has_halos,
    )


def _identity(ccd: Any, primary_header: Any, header: Any) -> Any:
    """Identity columns of a new calibration."""
    image = {"procdate": primary_header.get("DATE", ""), "imgdsum": header.get("DATASUM", "")}
    return identity_columns(ccd.identity, image, f"legacypipe_lite {package_version()}")


def _write(path: Any, row: Any) -> None:
    """Keep a new calibration in the survey directory, if that can be written to."""
    try:
        write_row(path, row)
    except OutputError as e:
        logger.warning("%s; the new calibration is used for this run only", e)
    else:
        logger.info("wrote %s", path)
