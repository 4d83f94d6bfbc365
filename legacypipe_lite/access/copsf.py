"""The PSF of the coadds at a position: the mean of those of the images, or the best guess from outputs alone."""

import io
import logging

import fitsio
import numpy as np

from ..cameras.registry import camera_class
from ..errors import LegacypipeError, UsageError
from ..wcs import PixelMap, target_wcs
from .cutouts import NoOverlapError
from .grids import PIXEL_SCALE
from .layers import SplitLayer, is_north

__all__ = ["coadd_psfs", "psf_to_fits", "sky_stamp", "FRAMES"]

logger = logging.getLogger(__name__)

#: "sky": North up, East left, pixels of the coadd; "ccd": as the public service, in CCD pixels and orientation.
FRAMES = ("sky", "ccd")
_SIZE = 63
_BOX = 64  # pixels
_MOFFAT_BETA = 3.5


def coadd_psfs(layer, finder, ra, dec, bands=None, frame="sky"):
    """Mean PSF of each band at a position.

    Parameters
    ----------
    layer : Layer or SplitLayer
    finder : CcdFinder
    ra, dec : float
        Degrees.
    bands : str, optional
        Characters that are no band of the layer are dropped.
    frame : str
        One of `FRAMES`.

    Returns
    -------
    stamps : dict of str -> numpy.ndarray of float32, odd shape
        Sum 1. Only bands with images there.
    source : str
        "ccds", "copsf" or "psfsize": of what they were made.

    Raises
    ------
    NoOverlapError
        If no image and no brick is there.
    UsageError
        If there is no such frame.
    """
    if frame not in FRAMES:
        raise UsageError(f"frame={frame}: {' or '.join(FRAMES)}")
    if isinstance(layer, SplitLayer):
        layer = layer.north if is_north(ra, dec) else layer.south
    wanted = [band for band in layer.bands if bands is None or band in (bands.split(",") if "," in bands else bands)]
    stamps, source = {}, "ccds"
    if finder.survey is not None:
        stamps = _of_ccds(finder, ra, dec, wanted, frame)
    if not stamps:
        stamps, source = _of_outputs(layer.run, ra, dec, wanted)
    if not stamps:
        raise NoOverlapError("No overlap: no CCDs overlapping")
    return stamps, source


def _of_ccds(finder, ra, dec, bands, frame):
    box = target_wcs(ra, dec, _BOX, _BOX, PIXEL_SCALE)
    size = _BOX * PIXEL_SCALE / 3600
    rows = finder.near(ra, dec, size, size)
    means = {}
    for band in bands:
        total, weights = [], []
        for row in rows:
            if row["filter"] != band:
                continue
            try:
                found = _of_one_ccd(row, finder, box, (ra, dec), frame)
            except LegacypipeError as error:
                logger.warning("PSF of %s-%s is left out: %s", row["image_filename"], row["ccdname"], error)
                continue
            if found is not None:
                total.append(found[0])
                weights.append(found[1])
        if total:
            means[band] = _mean(total, weights)
    return means


def _of_one_ccd(row, finder, box, position, frame):
    """Stamp and weight of a CCD; None if no good pixel of it is in the box."""
    image = camera_class(str(row["camera"]))(row, finder.survey, finder.options())
    tim = image.read_tim(box)
    good = tim.inverr > 0
    if not good.any():
        return None
    # The middle of the CCD's part of the box.
    height, width = tim.shape
    stamp = tim.psf.stamp((width - 1) / 2, (height - 1) / 2).astype(float)
    weight = float(np.median(tim.inverr[good])) ** 2
    if frame == "ccd":
        return stamp / stamp.sum(), weight / image.flux_scale() ** 2
    x, y = tim.wcs.sky_to_pixel(*(float(v) for v in position))
    jacobian = tim.wcs.local_jacobian(x, y) if np.isfinite(x) else tim.wcs.cd
    return sky_stamp(stamp, jacobian), weight


def sky_stamp(stamp, jacobian, size=_SIZE, pixscale=PIXEL_SCALE):
    """Resample a PSF stamp to pixels with North up and East left.

    Parameters
    ----------
    stamp : numpy.ndarray, odd shape
        In CCD pixels, centred on its middle pixel.
    jacobian : array_like, shape (2, 2)
        d(East, North)/d(x, y) [deg/pixel] of the CCD.
    size : int
        Odd, of the result.
    pixscale : float
        Arcsec.

    Returns
    -------
    numpy.ndarray of float64, shape (size, size)
        Sum 1.
    """
    step = (np.arange(size) - size // 2) * pixscale / 3600
    east, north = np.meshgrid(-step, step)
    inverse = np.linalg.inv(np.asarray(jacobian, float))
    height, width = stamp.shape
    fx = inverse[0, 0] * east + inverse[0, 1] * north + width // 2
    fy = inverse[1, 0] * east + inverse[1, 1] * north + height // 2
    off = (fx < -0.5) | (fx > width - 0.5) | (fy < -0.5) | (fy > height - 0.5)
    fx[off], fy[off] = -10.0, -10.0
    turned = PixelMap(0, 0, fx, fy, stamp.shape).lanczos(stamp.astype(np.float32)).astype(float)
    return turned / turned.sum()


def _mean(stamps, weights):
    """Weighted mean of stamps around their middles; smaller ones count as 0 outside."""
    height, width = (max(stamp.shape[axis] for stamp in stamps) for axis in (0, 1))
    mean = np.zeros((height, width))
    for stamp, weight in zip(stamps, weights):
        h, w = stamp.shape
        y0, x0 = (height - h) // 2, (width - w) // 2
        mean[y0 : y0 + h, x0 : x0 + w] += weight * stamp
    return (mean / mean.sum()).astype(np.float32)


def _of_outputs(run, ra, dec, bands):
    """From a brick's files ``copsf``, else a Moffat profile with the width of the map ``psfsize``."""
    brick = run.brick_at(ra, dec) or next(iter(run.near(ra, dec, 0.0)), None)
    if brick is None:
        return {}, ""
    stored = {b: _read_stamp(brick.path("copsf", b)) for b in bands if brick.has("copsf", b)}
    if stored:
        return stored, "copsf"
    x, y = brick.wcs.sky_to_pixel(float(ra), float(dec))
    if not brick.wcs.contains(x, y):
        return {}, ""
    column, row = int(np.rint(x)), int(np.rint(y))
    stamps = {}
    for band in bands:
        if brick.has("psfsize", band):
            with fitsio.FITS(str(brick.path("psfsize", band))) as fits:
                fwhm = float(fits[1][row : row + 1, column : column + 1][0, 0])
            if np.isfinite(fwhm) and fwhm > 0:
                stamps[band] = _moffat(fwhm / brick.wcs.pixel_scale)
    return stamps, "psfsize"


def _read_stamp(path):
    with fitsio.FITS(str(path)) as fits:
        image = next(hdu.read() for hdu in fits if hdu.has_data())
    return (image / image.sum()).astype(np.float32)


def _moffat(fwhm):
    """Round Moffat profile with a FWHM in pixels."""
    alpha = fwhm / (2 * np.sqrt(2 ** (1 / _MOFFAT_BETA) - 1))
    step = np.arange(_SIZE) - _SIZE // 2
    profile = (1 + (step**2 + step[:, np.newaxis] ** 2) / alpha**2) ** -_MOFFAT_BETA
    return (profile / profile.sum()).astype(np.float32)


def psf_to_fits(stamps, frame="sky", source="ccds"):
    """FITS file with the stamp of the first band in the primary HDU, the others in extensions; bytes."""
    from astropy.io import fits

    hdus = []
    for band, stamp in stamps.items():
        hdu = (fits.ImageHDU if hdus else fits.PrimaryHDU)(stamp)
        if not hdus:
            hdu.header["BANDS"] = "".join(stamps)
            for i, name in enumerate(stamps):
                hdu.header[f"BAND{i}"] = name
        hdu.header["BAND"] = band
        hdu.header["PSFFRAME"] = (frame if source == "ccds" else "sky", "orientation and pixels: sky or ccd")
        hdu.header["PSFSRC"] = (source, "made of the images' PSFs, or a guess")
        hdus.append(hdu)
    stream = io.BytesIO()
    fits.HDUList(hdus).writeto(stream)
    return stream.getvalue()
