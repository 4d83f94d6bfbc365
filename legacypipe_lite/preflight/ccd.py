"""A look at one CCD image: can it be calibrated, and do its numbers make sense?"""

import math
import shutil
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..calibration import ConstantSky, equivalent_fwhm
from ..cameras import UnusableImage, camera_class, load_camera_modules
from ..errors import CalibrationError, LegacypipeError
from ..models import gaussian_psf
from ..units import SIGMA_PER_FWHM
from .findings import LOST, MADE, ODD, Finding

__all__ = ["CcdCheck", "check_ccd", "pixel_findings"]

#: Brightness of the night sky, mag per square arcsec, and how far a good zero point may put it from there.
_SKY = {"u": 22.5, "g": 22.0, "r": 21.0, "i": 20.0, "z": 19.0, "y": 18.2, "Y": 18.2}
_SKY_TOLERANCE = 3.0
#: Scatter of pixels over what the weights say; resampled images have less between neighbours.
_NOISE_RATIOS = (0.7, 1.4)
_LAG = 6  # pixels
_SIG1_RATIOS = (0.5, 2.0)
_SEEING = (0.02, 5.0)  # arcsec
_UNDERSAMPLED = 1.5  # pixels
_PSF_RATIOS = (0.7, 1.5)
_MASKED = 0.5
#: A peak that is flat within 10 % over so many times the area of that of a star is saturated.
_FLAT_TOP, _FLAT_AREA = 0.9, 4.0
_BRIGHT = 200.0  # sig1: only such peaks are looked at
_PEAKS = 5


@dataclass
class CcdCheck:
    """What was found of one CCD.

    Attributes
    ----------
    name : str
    findings : list of Finding
    tim : models.Tim or None
        None if it cannot be used.
    outside : bool
        It does not reach into the target.
    files : list of Path
        That belong to it.
    """

    name: str
    findings: list = field(default_factory=list)
    tim: Any = None
    outside: bool = False
    files: list = field(default_factory=list)


def check_ccd(row, survey, options, target=None) -> CcdCheck:
    """Read a CCD as a run would, without making or writing anything.

    Parameters
    ----------
    row : dict
        Of the CCD table.
    survey : survey.SurveyDirectory
    options : RunOptions
    target : wcs.TanWcs, optional
        None: the whole CCD.

    Returns
    -------
    CcdCheck
    """
    load_camera_modules(options.camera_module)
    check = CcdCheck(f"{row['image_filename']} {row['ccdname']}".strip())
    try:
        ccd = camera_class(str(row["camera"]))(row, survey, replace(options, skip_calibs=True))
        _find_files(check, ccd, survey)
        _do_without_calibrations(check, ccd, options)
        check.tim = ccd.read_tim(target, None)
        check.findings += pixel_findings(check.name, check.tim)
    except UnusableImage as error:
        check.outside = error.expected
        if not error.expected:
            check.findings.append(Finding(LOST, check.name, str(error)))
    except LegacypipeError as error:
        check.findings.append(Finding(LOST, check.name, str(error)))
    except Exception as error:  # as in a run, it costs this CCD alone
        check.findings.append(Finding(LOST, check.name, f"cannot be read: {type(error).__name__}: {error}"))
    return check


def _find_files(check, ccd, survey):
    """Note the files of a CCD; a user's own class need not have all of them."""
    check.files.append(survey.image_file(ccd.image_filename))
    for sibling in ("dq_filename", "weight_filename"):
        if hasattr(ccd, sibling):
            check.files.append(survey.image_file(getattr(ccd, sibling)()))
    for kind in ("psf", "sky"):
        check.files += survey.calibration_files(kind, ccd.image_filename, ccd.ccdname)


def _do_without_calibrations(check, ccd, options):
    """Let the reading go on with a stand-in where a calibration is missing, and note that."""
    if not hasattr(ccd, "read_psf"):
        return
    read_psf, read_sky = ccd.read_psf, ccd.read_sky

    def psf_or_gaussian(wcs, psf_fwhm):
        try:
            return read_psf(wcs, psf_fwhm)
        except CalibrationError as error:
            check.findings.append(_missing_psf(check.name, str(error), options))
            return gaussian_psf(psf_fwhm * SIGMA_PER_FWHM), ("", "")

    def sky_or_zero(wcs, psf, scene=None):
        try:
            return read_sky(wcs, psf, scene)
        except CalibrationError as error:
            kind = LOST if options.skip_calibs else MADE
            check.findings.append(Finding(kind, check.name, f"a sky model: {_reason(error)}"))
            return ConstantSky(0.0), ("", "")

    ccd.read_psf, ccd.read_sky = psf_or_gaussian, sky_or_zero


def _reason(error):
    return str(error).removesuffix(" (none is made: --skip-calibs)")


def _missing_psf(name, reason, options):
    reason = _reason(reason)
    programs = {"source-extractor": ("source-extractor", "sex", "sextractor"), "psfex": ("psfex",)}
    absent = [what for what, names in programs.items() if not any(map(shutil.which, names))]
    if options.skip_calibs:
        return Finding(LOST, name, reason)
    if absent:
        return Finding(LOST, name, f"{reason}; to make one {' and '.join(absent)} would have to be installed")
    return Finding(MADE, name, f"a PSF model: {reason}")


# --- numbers that make no sense


def pixel_findings(name: str, tim) -> list[Finding]:
    """What looks wrong about the pixels, the zero point and the PSF of an image.

    Parameters
    ----------
    name : str
    tim : models.Tim
    """
    good = tim.inverr > 0
    texts = [_masked(good), *_noise(tim, good), _sky_brightness(tim), *_seeing(tim), _flat_peaks(tim, good)]
    return [Finding(ODD, name, text) for text in texts if text]


def _masked(good):
    masked = 1.0 - float(good.mean())
    return f"{100 * masked:.0f} % of its pixels here are masked" if masked > _MASKED else ""


def _noise(tim, good):
    """Scatter of pixels against the weights, and these against sig1."""
    both = good[:, _LAG:] & good[:, :-_LAG]
    if both.sum() > 100:
        a, b = tim.inverr[:, _LAG:][both], tim.inverr[:, :-_LAG][both]
        step = (tim.image[:, _LAG:] - tim.image[:, :-_LAG])[both] / np.hypot(1 / a, 1 / b)
        ratio = 1.4826 * float(np.median(np.abs(step - np.median(step))))
        if not _NOISE_RATIOS[0] <= ratio <= _NOISE_RATIOS[1]:
            yield f"its pixels scatter by {ratio:.2f} times what the weights say: errors will be wrong by that factor"
    if good.any():
        ratio = 1.0 / (float(np.median(tim.inverr[good])) * tim.sig1)
        if not _SIG1_RATIOS[0] <= ratio <= _SIG1_RATIOS[1]:
            yield f"sig1 of the CCD table is {tim.sig1:.4g} nanomaggies, the weights say {ratio * tim.sig1:.4g}"


def _sky_brightness(tim):
    level = tim.midsky / tim.zpscale
    expected = _SKY.get(tim.band)
    if expected is None or not level > 3 * tim.sig1:  # the sky was subtracted before
        return ""
    brightness = 22.5 - 2.5 * math.log10(level / tim.ccd.pixscale**2)
    if abs(brightness - expected) <= _SKY_TOLERANCE:
        return ""
    return (
        f"with its zero point the sky has {brightness:.1f} mag per square arcsec, about {expected:.0f} is usual in"
        f" {tim.band}: is ccdzpt {22.5 + 2.5 * math.log10(tim.zpscale):.2f} (of one count of the image) right?"
    )


def _seeing(tim):
    seeing = tim.psf_fwhm * tim.ccd.pixscale
    if not _SEEING[0] <= seeing <= _SEEING[1]:
        yield f"seeing of {tim.psf_fwhm:.2f} pixels, {seeing:.3g} arcsec"
    if tim.psf_fwhm < _UNDERSAMPLED:
        yield f"undersampled: FWHM {tim.psf_fwhm:.2f} pixels; resampled coadds and outlier masks suffer"
    if np.isfinite(tim.ccd.fwhm) and not 0.7 <= tim.psf_fwhm / tim.ccd.fwhm <= 1.4:
        yield f"FWHM {tim.psf_fwhm:.2f} pixels in its header, {tim.ccd.fwhm:.2f} in the CCD table"
    h, w = tim.shape
    stamp = tim.psf.stamp(w // 2, h // 2)
    # Wide wings make the equivalent width large, coarse pixels that at half maximum uncertain.
    width = min(equivalent_fwhm(stamp), 2 * math.sqrt(np.sum(stamp > stamp.max() / 2) / math.pi))
    if not _PSF_RATIOS[0] <= width / tim.psf_fwhm <= _PSF_RATIOS[1]:
        yield f"its PSF model has a FWHM of {width:.2f} pixels, the header {tim.psf_fwhm:.2f}"


def _flat_peaks(tim, good):
    """Saturation that is not flagged: the brightest peaks are flat."""
    from scipy.ndimage import label

    image = np.where(good, tim.image, 0)
    star_area = math.pi / 4 * tim.psf_fwhm**2 * math.log2(1 / _FLAT_TOP)
    for _ in range(_PEAKS):
        y, x = np.unravel_index(np.argmax(image), image.shape)
        peak = image[y, x]
        if not peak > _BRIGHT * tim.sig1:
            return ""
        size = int(4 * tim.psf_fwhm) + 3
        rows, columns = slice(max(y - size, 0), y + size + 1), slice(max(x - size, 0), x + size + 1)
        labels, _ = label(image[rows, columns] > _FLAT_TOP * peak)
        area = int(np.sum(labels == labels[y - rows.start, x - columns.start]))
        if area > max(_FLAT_AREA * star_area, 6):
            return (
                f"a peak at pixel ({x + tim.x0}, {y + tim.y0}) is flat over {area} pixels and not flagged: saturated"
                " stars without the DQ code 3 are fitted as if they were not"
            )
        image[rows, columns] = 0
    return ""
