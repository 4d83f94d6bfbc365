"""The "tim": one calibrated sub-image of one CCD, as plain data."""

from dataclasses import dataclass, field

import numpy as np

from ..wcs import ImageWcs
from .psf import PsfModel

__all__ = ["CcdInfo", "Tim"]


@dataclass(frozen=True)
class CcdInfo:
    """Identity and table values of the CCD a tim was cut from (all from the survey-ccds row).

    Attributes
    ----------
    camera, ccdname, band : str
    expnum : int
    image_filename : str
        Relative to the survey directory's ``images/``.
    image_hdu : int
    exptime : float
        Seconds.
    mjd_obs : float
        UTC, at the start of the exposure.
    fwhm : float
        Pixels.
    pixscale : float
        arcsec, from the CD matrix of the table.
    width, height : int
        Of the whole CCD.
    propid : str
    row : int
        Row number in the run's CCD table.
    """

    camera: str
    expnum: int
    ccdname: str
    band: str
    image_filename: str
    image_hdu: int
    exptime: float
    mjd_obs: float
    fwhm: float
    pixscale: float
    width: int
    height: int
    propid: str = ""
    row: int = -1


@dataclass
class Tim:
    """A sky-subtracted, flux-calibrated sub-image with its PSF and WCS.

    Pixel (x, y) of the tim is 0-based; it is pixel (x + x0, y + y0) of the CCD.

    Attributes
    ----------
    name : str
        ``<image base name>-<ccdname>``.
    band : str
    image : numpy.ndarray of float32, shape (h, w)
        Nanomaggies per pixel.
    inverr : numpy.ndarray of float32, shape (h, w)
        1 / sigma [1/nanomaggies]; 0 = masked.
    dq : numpy.ndarray of uint16, shape (h, w)
        Data-quality bits (`legacypipe_lite.bits.DQ`).
    wcs : ImageWcs
        Exact WCS of the sub-image; `wcs.cd` is the constant CD matrix of the header, `wcs.pixel_scale` the
        nominal scale that coadds use for surface brightness.
    psf : PsfModel
        In tim pixels.
    x0, y0 : int
        Origin in the CCD.
    sig1 : float
        Typical per-pixel sigma [nanomaggies].
    psf_fwhm, psf_sigma : float
        From the image header [pixel]; sigma = FWHM / 2.35.
    psfnorm, galnorm : float
        sqrt(sum P^2) of the PSF, and of a round exponential galaxy with r_e = 0.45 arcsec convolved with it,
        at the centre of the tim.
    mjd_tai : float
        Start of the exposure, TAI.
    zpscale : float
        Counts per nanomaggy, to convert back.
    midsky : float
        Median of the subtracted sky [counts].
    ccd : CcdInfo
    plver, plprocid, procdate : str
        From the image's primary header.
    skyver, psfver : (str, str)
        (legpipev, plver) of the calibrations that were used.
    weights_smoothed : bool
        Whether the variance of each pixel was taken from its neighbours.
    primary_cards : dict
        The cards of the image's primary header that coadd headers quote.
    """

    name: str
    band: str
    image: np.ndarray
    inverr: np.ndarray
    dq: np.ndarray
    wcs: ImageWcs
    psf: PsfModel
    x0: int
    y0: int
    sig1: float
    psf_fwhm: float
    psf_sigma: float
    psfnorm: float
    galnorm: float
    mjd_tai: float
    zpscale: float
    midsky: float
    ccd: CcdInfo
    plver: str = ""
    plprocid: str = ""
    procdate: str = ""
    skyver: tuple = ("", "")
    psfver: tuple = ("", "")
    primary_cards: dict = field(default_factory=dict)
    weights_smoothed: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        return self.image.shape
