"""Headers of the mock images, with the cards of Community Pipeline products that matter to anyone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .exposures import CcdPlan, Exposure
    from .images import CcdPixels

__all__ = ["ccd_cards", "primary_cards"]


def primary_cards(exposure: Exposure, content_tag: str) -> list[tuple[str, Any, str]]:
    """Cards of the primary HDU of an image, data-quality or weight file.

    Parameters
    ----------
    exposure : Exposure
    content_tag : str
        "ooi", "ood" or "oow".

    Returns
    -------
    list of (str, object, str)
    """
    instrument, start = exposure.instrument, exposure.start
    moment = start.isoformat(timespec="microseconds")
    ra, dec = exposure.crval
    product = {"ooi": "image", "ood": "dqmask", "oow": "wtmap"}[content_tag]
    cards = [
        ("DATE", exposure.processed, "Date FITS file was generated"),
        ("OBJECT", f"MOCK_{exposure.expnum}_{exposure.band}", "Name of the object observed"),
        ("EXPTIME", exposure.exptime, "[s] Exposure duration"),
        ("DATE-OBS", moment, "UTC epoch"),
        ("TIME-OBS", moment[11:], "Time of observation start (UTC)"),
        ("MJD-OBS", exposure.mjd, "MJD of observation start"),
        ("TIMESYS", "UTC", "Time system"),
        ("OBSTYPE", "object", "Type of observation"),
        ("PROPID", instrument.propid, "Proposal ID"),
        ("FILTER", exposure.filter.name, "Filter name"),
        ("RA", _sexagesimal(ra / 15.0), "[HH:MM:SS] Target RA"),
        ("DEC", _sexagesimal(dec), "[DD:MM:SS] Target DEC"),
        ("CENTRA", ra, "[deg] RA exposure center"),
        ("CENTDEC", dec, "[deg] DEC exposure center"),
        ("AIRMASS", exposure.airmass, "Airmass"),
        ("RADESYS", "ICRS", "Astrometric system"),
        ("EQUINOX", 2000.0, "Mean equinox"),
        ("PLVER", instrument.plver, "Community Pipeline version"),
        ("PLPROCID", instrument.plprocid, "Community Pipeline identification"),
        ("WCSCAL", "Successful", "WCS calibration"),
        ("PHOTCAL", "Successful", "Photometric calibration"),
        ("MAGZERO", _magzero(exposure), "Magnitude zeropoint of the exposure"),
        ("DTNSANAM", exposure.image_filename(content_tag).rpartition("/")[2], "File name"),
    ]
    cards += [(key, value, "") for key, value in instrument.telescope.items() if key != "PRODTYPE"]
    cards.append(("PRODTYPE", product, "Data product type"))
    return cards + _exposure_number(exposure) + _sky_level(exposure)


def _magzero(exposure: Exposure) -> float:
    rates = exposure.instrument.count_rates
    return round(exposure.zeropoint + (0.0 if rates else 2.5 * np.log10(exposure.exptime)), 4)


def _exposure_number(exposure: Exposure) -> list[tuple[str, Any, str]]:
    """90Prime has no exposure numbers; theirs are made of the file name at acquisition."""
    if exposure.camera == "90prime":
        digits = str(exposure.expnum)
        start = exposure.start
        return [
            ("OBSID", f"ksb{start:%y%m%d%H%M%S}", "Observation ID"),
            ("DTACQNAM", f"/descache/bass/{start:%Y%m%d}/d{digits[:4]}.{digits[4:]}.fits", "File name at acquisition"),
        ]
    return [("EXPNUM", exposure.expnum, "Exposure number")]


def _sky_level(exposure: Exposure) -> list[tuple[str, Any, str]]:
    if exposure.instrument.count_rates:
        return [("SKYADU", exposure.sky_level, "Mean sky (BUNIT)")]
    return [("AVSKY", exposure.sky_level, "Mean sky")]


def ccd_cards(plan: CcdPlan, pixels: CcdPixels, fwhm: float) -> list[tuple[str, Any, str]]:
    """Cards of a CCD's HDU.

    Parameters
    ----------
    plan : CcdPlan
    pixels : CcdPixels
    fwhm : float
        Pixels.

    Returns
    -------
    list of (str, object, str)
    """
    exposure, window = plan.exposure, plan.window
    instrument = exposure.instrument
    cards = [
        ("INHERIT", True, "Inherits global header"),
        ("DATE", exposure.processed, "Date FITS file was generated"),
        ("CCDNUM", plan.place.number, "CCD number"),
        ("DETPOS", plan.name, "Detector position ID"),
        ("BUNIT", instrument.count_unit, "Physical unit of array values"),
        ("LTV1", float(-window.x0), "Detector to image transformation"),
        ("LTV2", float(-window.y0), "Detector to image transformation"),
        ("WCSAXES", 2, "WCS dimensionality"),
        *plan.header_wcs.header_cards(),
        ("CUNIT1", "deg", "Axis unit"),
        ("CUNIT2", "deg", "Axis unit"),
    ]
    if instrument.count_rates:
        scale = instrument.pixel_scale
        cards += [
            ("GAIN", instrument.gain, "Gain (e/BUNIT/EXPTIME)"),
            ("RDNOISE", instrument.read_noise, "Readout noise (e)"),
            ("SATURATE", instrument.saturation, "Saturation (e)"),
            ("SEEINGP1", round(fwhm, 4), "[pix] seeing"),
            ("SEEING1", round(fwhm * scale, 4), "[arcsec] seeing"),
            ("SKYADU1", float(np.median(pixels.sky.values)), "Mean sky (BUNIT)"),
        ]
    else:
        cards += [
            ("GAINA", instrument.gain, "[e/adu] Gain of amp A"),
            ("GAINB", instrument.gain, "[e/adu] Gain of amp B"),
            ("RDNOISEA", instrument.read_noise, "[electrons] Read noise of amp A"),
            ("RDNOISEB", instrument.read_noise, "[electrons] Read noise of amp B"),
            ("SATURATE", instrument.saturation, "[adu] Saturation"),
            ("FWHM", round(fwhm, 5), "Median FWHM in pixels"),
            ("AVSKY", float(np.median(pixels.sky.values)), "Mean sky"),
        ]
    return cards


def _sexagesimal(value: float) -> str:
    total = round(abs(value) * 3600e3)
    whole, milliseconds = divmod(total, 1000)
    minutes, seconds = divmod(whole, 60)
    units, minutes = divmod(minutes, 60)
    return f"{'-' if value < 0 else ''}{units:02d}:{minutes:02d}:{seconds:02d}.{milliseconds:03d}"
