"""Rows of the survey-ccds table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..models.norms import galaxy_norm, psf_norm

if TYPE_CHECKING:
    from .exposures import CcdPlan, Exposure
    from .images import CcdPixels

__all__ = ["ccd_row"]

#: Nominal zero points of the surveys' sky brightness column.
_NOMINAL_ZEROPOINT = {
    "decam": {"g": 25.001, "r": 25.209, "i": 25.149, "z": 24.875},
    "90prime": {"g": 26.93, "r": 27.01},
    "mosaic": {"z": 26.552},
}

_BYTES = {
    "image_filename": 120,
    "camera": 9,
    "plver": 8,
    "procdate": 19,
    "plprocid": 7,
    "ccdname": 4,
    "object": 35,
    "propid": 12,
    "filter": 1,
}
_TYPES = {"image_hdu": "i2", "expnum": "i8", "width": "i2", "height": "i2", "ccdnastrom": "i2", "ccdnphotom": "i2"}
_TYPES |= {"ccd_cuts": "i8", "yshift": "?"}
_DOUBLES = ("mjd_obs", "ra_bore", "dec_bore", "crval1", "crval2", "ra", "dec")


def ccd_row(plan: CcdPlan, pixels: CcdPixels, fwhm: float) -> dict[Any, Any]:
    """Row of a CCD.

    Parameters
    ----------
    plan : CcdPlan
    pixels : CcdPixels
    fwhm : float
        Pixels.

    Returns
    -------
    dict
        Column -> value of the column's type, all columns of the surveys' tables.
    """
    exposure = plan.exposure
    instrument = exposure.instrument
    header = plan.header_wcs
    h, w = plan.shape
    ra, dec = header.pixel_to_sky((w - 1) / 2.0, (h - 1) / 2.0)
    good = pixels.weight[pixels.codes == 0]
    noise = 1.0 / np.sqrt(np.median(good)) if len(good) else exposure.sky_noise
    rate = 1.0 if instrument.count_rates else 1.0 / exposure.exptime
    stamp = pixels.psf.stamp(w // 2, h // 2)
    sky = float(np.median(pixels.sky.values)) * rate
    rng = plan.generator("table")
    (cd11, cd12), (cd21, cd22) = header.cd
    values = {
        "image_filename": exposure.image_filename(),
        "image_hdu": plan.hdu,
        "camera": exposure.camera,
        "expnum": exposure.expnum,
        "plver": instrument.plver,
        "procdate": exposure.processed,
        "plprocid": instrument.plprocid,
        "ccdname": plan.name,
        "object": f"MOCK_{exposure.expnum}_{exposure.band}",
        "propid": instrument.propid,
        "filter": exposure.band,
        "exptime": exposure.exptime,
        "mjd_obs": exposure.mjd,
        "airmass": exposure.airmass,
        "fwhm": fwhm,
        "width": w,
        "height": h,
        "ra_bore": exposure.crval[0],
        "dec_bore": exposure.crval[1],
        "crpix1": header.crpix[0],
        "crpix2": header.crpix[1],
        "crval1": header.crval[0],
        "crval2": header.crval[1],
        "cd1_1": cd11,
        "cd1_2": cd12,
        "cd2_1": cd21,
        "cd2_2": cd22,
        "yshift": exposure.camera == "mosaic",
        "ra": ra,
        "dec": dec,
        "skyrms": noise * rate,
        "sig1": noise / exposure.counts_per_nanomaggy,
        "ccdzpt": exposure.zeropoint,
        "zpt": exposure.zeropoint,
        "ccdraoff": plan.offset[0],
        "ccddecoff": plan.offset[1],
        "ccdskycounts": sky,
        "ccdskysb": _sky_brightness(exposure, sky),
        "ccdrarms": abs(rng.normal(0.025, 0.005)),
        "ccddecrms": abs(rng.normal(0.025, 0.005)),
        "ccdphrms": abs(rng.normal(0.02, 0.004)),
        "phrms": 0.02,
        "ccdnastrom": 300,
        "ccdnphotom": 300,
        "ccd_cuts": 0,
        "psfnorm": psf_norm(stamp),
        "galnorm": galaxy_norm(stamp, header.cd),
    }
    return {name: np.array(value, _dtype(name)) for name, value in values.items()}


def _dtype(name: str) -> str:
    if name in _BYTES:
        return f"U{_BYTES[name]}"
    return _TYPES.get(name) or ("f8" if name in _DOUBLES else "f4")


def _sky_brightness(exposure: Exposure, sky: float) -> float:
    nominal = _NOMINAL_ZEROPOINT[exposure.camera][exposure.band]
    return nominal - 2.5 * np.log10(sky / exposure.instrument.pixel_scale**2)
