"""Halos of bright stars: light scattered to large radii, a model of which is subtracted from DECam images.

The profiles were measured for the Legacy Surveys on DECam images; other cameras have none.
"""

import math

import numpy as np
from astropy.table import Table
from numpy.typing import ArrayLike, NDArray

from ..models import Motion, moved_position
from ..units import mag_to_nanomaggies
from ..wcs import ImageWcs, great_circle_distance
from . import halos_kernels as kernels

__all__ = ["halo_image", "has_halo_model", "halo_profile", "halo_stars"]

_CAMERA = "decam"

# Power laws F * a * r^b per square arcsec, r in arcsec.
_POWER_LAWS = {
    "g": (0.00045, -2.0),
    "r": (0.00033, -2.0),
    "i": (0.00033, -2.0),
    "M411": (0.00027125, -1.6901),
    "M438": (0.00023144, -1.6375),
    "M464": (0.00017692, -1.6324),
    "M490": (0.00016855, -1.5664),
    "M517": (0.00013529, -1.5163),
}
# In z a Moffat profile: alpha [arcsec], beta, fraction of the star's flux. Some CCDs have another coating.
_Z_MOFFAT = (17.650, 1.7, 0.0145)
_Z_MOFFAT_COATED = (16.0, 2.3, 0.0095)
_COATED_CCDS = ("N20", "S8", "S10", "S18", "S21", "S27")
_Z_OFF_IMAGE = 0.5  # factor for stars that are not on the image

_REACH_PER_MASK_RADIUS = 8.0
_MAX_REACH = 400.0  # arcsec
_INNER_RADIUS = 7.0  # arcsec: nothing inside
_INNER_TAPER = 1.0  # arcsec
_STEPS_PER_ARCSEC = 64  # of the table of profiles; linear interpolation is then good to 1e-5


def has_halo_model(camera: str, band: str) -> bool:
    """True if there is a halo model for images of a camera and band."""
    return camera == _CAMERA and (band == "z" or band in _POWER_LAWS)


def halo_stars(refs: Table) -> NDArray[np.bool_]:
    """The rows of a reference table whose stars have halos (boolean array): Gaia's point sources."""
    return np.asarray(refs["isgaia"] & refs["pointsource"] & (refs["radius"] > 0))


def _moffat(r, alpha, beta):
    """Moffat profile of unit flux per square arcsec."""
    return (beta - 1.0) / (math.pi * alpha**2) * (1.0 + (r / alpha) ** 2) ** -beta


def halo_profile(
    r: ArrayLike, band: str, ccdname: str, on_image: bool = True, moffat: tuple[float, float] | None = None
) -> NDArray[np.float64]:
    """Halo of a star of unit flux, without its tapers.

    Parameters
    ----------
    r : array_like
        Radius [arcsec].
    band : str
    ccdname : str
        In z, some CCDs have a profile of their own.
    on_image : bool
        In z, a star that is not on the image has half the halo.
    moffat : (float, float), optional
        alpha [arcsec] and beta of the wings of the PSF, from the PSF model; added with the full flux.

    Returns
    -------
    numpy.ndarray of float64
        Per square arcsec.
    """
    r = np.asarray(r, np.float64)
    if band == "z":
        alpha, beta, fraction = _Z_MOFFAT_COATED if ccdname in _COATED_CCDS else _Z_MOFFAT
        profile = _moffat(r, alpha, beta) * (fraction if on_image else fraction * _Z_OFF_IMAGE)
    else:
        factor, power = _POWER_LAWS[band]
        profile = factor * r**power
    if moffat is not None:
        profile = profile + _moffat(r, *moffat)
    return profile


def halo_image(
    refs: Table,
    wcs: ImageWcs,
    shape: tuple[int, int],
    band: str,
    camera: str,
    ccdname: str,
    pixscale_ccd: float,
    mjd_tai: float,
    moffat: tuple[float, float] | None = None,
) -> NDArray[np.float32] | None:
    """Model image of the halos of all stars on and around an image.

    Parameters
    ----------
    refs : Table
        From `reference_sources`; leave out rows that shall have no halo.
    wcs : ImageWcs
        Of the image.
    shape : (int, int)
        (height, width) of the image.
    band, camera, ccdname : str
    pixscale_ccd : float
        Pixel scale of the CCD table [arcsec].
    mjd_tai : float
        Time of the exposure: stars have moved since the epoch of the catalogue.
    moffat : (float, float), optional
        alpha [arcsec] and beta of the wings of the PSF (`PsfModel.moffat`).

    Returns
    -------
    numpy.ndarray of float32, shape `shape`, or None
        Nanomaggies per pixel; None if the camera or band has no halo model, the table no magnitudes of the band,
        or no halo reaches the image.
    """
    column = f"decam_mag_{band}"
    if not has_halo_model(camera, band) or column not in refs.colnames:
        return None
    stars = refs[halo_stars(refs) & (np.asarray(refs[column]) != 0)]
    radius = 3600.0 * np.asarray(stars["radius"], np.float64)
    reach = np.ceil(np.minimum(_REACH_PER_MASK_RADIUS * radius, _MAX_REACH) / pixscale_ccd)
    x, y = _positions(stars, wcs, reach * pixscale_ccd, mjd_tai)
    near = np.isfinite(x) & np.isfinite(y) & (reach * pixscale_ccd > _INNER_RADIUS)
    if not near.any():
        return None
    x, y, reach = x[near], y[near], reach[near]
    height, width = shape
    image = np.zeros(shape, np.float32)
    on_image = (x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1)
    sources = kernels.Stars(x, y, mag_to_nanomaggies(stars[column][near]), reach, on_image)
    profiles = kernels.RadialProfiles(
        _profile_tables(reach.max() * pixscale_ccd, band, ccdname, pixscale_ccd, moffat),
        inner=_INNER_RADIUS / pixscale_ccd,
        step=1.0 / (_STEPS_PER_ARCSEC * pixscale_ccd),
        taper_steps=round(_INNER_TAPER * _STEPS_PER_ARCSEC),
    )
    return image if kernels.add_halos(image, sources, profiles) else None


def _profile_tables(last, band, ccdname, pixscale, moffat):
    """Profiles per pixel at the kernel's radii, up to `last` [arcsec]: for stars off and on the image."""
    n = int(max(last - _INNER_RADIUS, 0.0) * _STEPS_PER_ARCSEC) + 3
    r = _INNER_RADIUS + np.arange(n) / _STEPS_PER_ARCSEC
    return np.array([halo_profile(r, band, ccdname, on, moffat) * pixscale**2 for on in (False, True)])


def _positions(stars, wcs, reach, mjd_tai):
    """Pixel positions at the time of the exposure; NaN for stars farther off than their `reach` [arcsec].

    The test on the sky comes first because a distortion polynomial may bring a star that is far off back onto its
    image.
    """
    ra, dec = (np.full(len(stars), np.nan) for _ in range(2))
    centre = wcs.pixel_to_sky((wcs.width - 1) / 2.0, (wcs.height - 1) / 2.0)
    # Half the diagonal and a reserve for the change of scale over a field; 0.1 degree of proper motion.
    limit = reach / 3600.0 + 0.6 * wcs.pixel_scale / 3600.0 * math.hypot(wcs.width, wcs.height) + 0.1
    near = great_circle_distance(stars["ra"], stars["dec"], *centre) < limit
    columns = [np.asarray(stars[name], float) for name in ("ra", "dec", "pmra", "pmdec", "parallax", "ref_epoch")]
    for i in np.flatnonzero(near):
        ra0, dec0, *motion = (float(c[i]) for c in columns)
        ra[i], dec[i] = moved_position(ra0, dec0, Motion(*motion), mjd_tai)
    return wcs.sky_to_pixel(ra, dec)
