"""Images of unWISE tiles: finding the files, reading the part that covers a brick, noise and masks."""

import math
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from ..errors import InputError
from ..tables import open_fits, short_message
from ..wcs import ImageWcs, TanWcs, wcs_from_header
from .tiles import Tile, region_of_interest

__all__ = [
    "BANDS",
    "VEGA_TO_AB",
    "TileFiles",
    "TileImage",
    "candidate_paths",
    "sky_path",
    "find_tile_files",
    "find_mask_file",
    "read_tile_image",
    "read_mask",
]

#: WISE bands by number.
BANDS = (1, 2, 3, 4)
#: AB magnitude of a source of Vega magnitude 0, by band.
VEGA_TO_AB = {1: 2.699, 2: 3.339, 3: 5.174, 4: 6.620}

#: Noise model of W1 and W2 [Vega nanomaggies per pixel]: floor, and c in c^2 max(0, image).
_NOISE_FLOOR = {1: 0.5, 2: 2.0}
_SOURCE_NOISE = {1: 0.15, 2: 0.3}
#: Brighter pixels of W1 and W2 count as saturated, and those within _SATURATION_RADIUS pixels of them.
_SATURATION = 85000.0
_SATURATION_RADIUS = 3
#: The pixels of W4 images are half as large as those of the detector, so that four share their noise.
_W4_IVAR_FACTOR = 0.25


@dataclass(frozen=True)
class TileFiles:
    """Files of one band of a tile.

    Attributes
    ----------
    image, invvar, n_masked, n_unmasked : Path
        Image, its inverse variance, number of exposures with and without masking.
    """

    image: Path
    invvar: Path
    n_masked: Path
    n_unmasked: Path


@dataclass
class TileImage:
    """The part of a tile image that covers a brick.

    Attributes
    ----------
    tile : Tile
    band : int
    x0, y0 : int
        Its origin in the tile.
    wcs : TanWcs
        Of this part.
    image : numpy.ndarray of float32
        Vega nanomaggies per pixel.
    inverr : numpy.ndarray of float32
        1 / sigma; 0: masked, or outside the tile's unique area.
    detector_invvar : numpy.ndarray of float32
        Inverse variance without the noise of sources.
    coadd_invvar : numpy.ndarray of float32
        Inverse variance for coadds, which reaches one pixel beyond the unique area.
    n_unmasked : numpy.ndarray of int16
        Number of exposures.
    sig1 : float
        Median noise [Vega nanomaggies per pixel], without the noise of sources; NaN without good pixels.
    mjd : float
        Middle of the first and last exposure; 0 if unknown.
    """

    tile: Tile
    band: int
    x0: int
    y0: int
    wcs: ImageWcs
    image: np.ndarray
    inverr: np.ndarray
    detector_invvar: np.ndarray
    coadd_invvar: np.ndarray
    n_unmasked: np.ndarray
    sig1: float
    mjd: float

    def with_noise_of(self, model):
        """The same image with the noise of sources taken from a model of them, instead of from the image itself.

        Weights that depend on the image favour pixels that happen to be low, which makes fluxes too small by some
        hundredths of their error.

        Parameters
        ----------
        model : numpy.ndarray of float32, shape (h, w)

        Returns
        -------
        TileImage
        """
        inverr = _noise_model(model, self.detector_invvar, self.band)
        return replace(self, inverr=np.where(self.inverr > 0, inverr, np.float32(0)))


def find_tile_files(folders, coadd_id, band, epoch=None):
    """Files of one band of a tile, in the first folder that has them all.

    Parameters
    ----------
    folders : sequence of str
    coadd_id : str
    band : int
    epoch : int, optional
        Number of the epoch, in a folder of time-resolved coadds.

    Returns
    -------
    TileFiles

    Raises
    ------
    InputError
        Naming a file that is missing.
    """
    missing = None
    for folder in folders:
        paths = candidate_paths(folder, coadd_id, band, epoch)
        absent = next((path for path in paths if not path.exists()), None)
        if absent is None:
            return TileFiles(*paths)
        missing = missing or absent
    raise InputError(f"{missing}: does not exist")


def candidate_paths(folder, coadd_id, band, epoch=None):
    """Where the files of one band of a tile would be in a folder; list of four `Path`, see `TileFiles`."""
    stem = _tile_folder(folder, coadd_id, epoch) / f"unwise-{coadd_id}-w{band}-"
    return [Path(f"{stem}img-m.fits"), *(_gzipped_or_plain(f"{stem}{n}.fits") for n in ("invvar-m", "n-m", "n-u"))]


def find_mask_file(folders, coadd_id):
    """Path of a tile's mask in the first folder that has one, or None."""
    for folder in folders:
        path = _gzipped_or_plain(_tile_folder(folder, coadd_id) / f"unwise-{coadd_id}-msk.fits")
        if path.exists():
            return path
    return None


def _tile_folder(folder, coadd_id, epoch=None):
    base = Path(folder) if epoch is None else Path(folder) / f"e{epoch:03d}"
    return base / coadd_id[:3] / coadd_id


def _gzipped_or_plain(path):
    gzipped = Path(f"{path}.gz")
    return Path(path) if not gzipped.exists() and os.path.exists(path) else gzipped


def sky_path(folder, coadd_id, band):
    """Path of a background model of W1 or W2 (HDU 2)."""
    return Path(folder) / f"{coadd_id}.{band}.mod.fits"


def read_tile_image(files, tile, band, target, *, shift_crpix=False, sky_folder=None):
    """Read the part of a tile image that covers a brick.

    Parameters
    ----------
    files : TileFiles
    tile : Tile
    band : int
    target : ImageWcs
        Of the brick.
    shift_crpix : bool
        Correct the astrometry as the table of tiles says (full-depth images of W1 and W2).
    sky_folder : str or None
        Folder of background models (``<tile>.<band>.mod.fits``), which are subtracted in W1 and W2.

    Returns
    -------
    TileImage or None
        None if no pixel of the brick lies in the tile's unique area.

    Raises
    ------
    InputError
        Naming a file that is missing or damaged.
    """
    with open_fits(files.image) as fits:
        header = _read(files.image, fits[0].read_header)
        wcs = wcs_from_header(header, str(files.image))
        region = region_of_interest(wcs, target)
        if region is None:
            return None
        x0, x1, y0, y1 = region
        part = wcs.subimage(x0, y0, x1 - x0, y1 - y0)
        if shift_crpix:
            part = _shifted(part, tile.crpix_shift.get(band, (0.0, 0.0)))
        unique = _unique_pixels(part, tile)
        if not unique.any():
            return None
        image = _cutout(files.image, fits, 0, region, wcs.shape).astype(np.float32)
    invvar, n_masked, n_unmasked = (
        _read_cutout(path, 0, region, wcs.shape) for path in (files.invvar, files.n_masked, files.n_unmasked)
    )
    if sky_folder is not None and band in _NOISE_FLOOR:
        image -= _read_cutout(sky_path(sky_folder, tile.coadd_id, band), 2, region, wcs.shape)
    invvar, sig1 = _inverse_variance(invvar, n_masked, band)
    bad = ~np.isfinite(image)
    image[bad] = 0
    inverr = _inverse_error(image, invvar, n_masked, n_unmasked, band)
    inverr[bad] = 0
    near = ndimage.binary_dilation(unique)
    return TileImage(
        tile=tile,
        band=band,
        x0=x0,
        y0=y0,
        wcs=part,
        image=image,
        inverr=np.where(unique, inverr, np.float32(0)),
        detector_invvar=invvar,
        coadd_invvar=np.where(near, inverr * inverr, np.float32(0)),
        n_unmasked=n_unmasked.astype(np.int16),
        sig1=sig1,
        mjd=_mean_mjd(header),
    )


def read_mask(path, region):
    """The part of a tile's mask that covers a brick.

    Parameters
    ----------
    path : Path
    region : (x0, x1, y0, y1)
        Of the tile image.

    Returns
    -------
    numpy.ndarray of uint32

    Raises
    ------
    InputError
        If the file is damaged.
    """
    return _read_cutout(path, 0, region).astype(np.int64).astype(np.uint32)


def _shifted(wcs, shift):
    crpix = (wcs.crpix[0] + shift[0], wcs.crpix[1] + shift[1])
    return TanWcs(wcs.crval, crpix, wcs.cd, wcs.width, wcs.height)


def _unique_pixels(wcs, tile):
    """Boolean map of the pixels whose centres lie in the tile's unique area."""
    x, y = np.meshgrid(np.arange(wcs.width), np.arange(wcs.height))
    return tile.contains(*wcs.pixel_to_sky(x, y))


def _mean_mjd(header):
    # W3 and W4 images do not have these cards.
    if "MJDMIN" not in header or "MJDMAX" not in header:
        return 0.0
    return (float(header["MJDMIN"]) + float(header["MJDMAX"])) / 2


def _inverse_variance(invvar, n_masked, band):
    """Inverse variance with unusable pixels set to 0, and the median noise of the others."""
    invvar = np.where(np.isfinite(invvar), invvar, 0).astype(np.float32)
    if band == 4:
        invvar *= np.float32(_W4_IVAR_FACTOR)
    good = n_masked > 0
    median = float(np.median(invvar[good])) if good.any() else 0.0
    invvar[~good | (invvar < 0)] = 0
    return invvar, 1 / math.sqrt(median) if median > 0 else math.nan


def _noise_model(signal, invvar, band):
    """1 / sigma of each pixel with the noise of sources added; 0 where the inverse variance is 0."""
    if band not in _NOISE_FLOOR:
        return np.sqrt(invvar)
    variance = np.divide(1.0, invvar, out=np.zeros(invvar.shape), where=invvar > 0)
    variance += _NOISE_FLOOR[band] ** 2 + _SOURCE_NOISE[band] ** 2 * np.maximum(0, signal)
    return np.where(invvar > 0, 1 / np.sqrt(variance), 0).astype(np.float32)


def _inverse_error(image, invvar, n_masked, n_unmasked, band):
    """1 / sigma of each pixel with the noise of sources added; 0 where masked or saturated."""
    inverr = _noise_model(image, invvar, band)
    if band not in _NOISE_FLOOR:
        return inverr
    # Where all exposures are masked although there are some, the reason is saturation.
    saturated = (image > _SATURATION) | ((n_masked == 0) & (n_unmasked > 1))
    if saturated.any():
        y, x = np.mgrid[-_SATURATION_RADIUS : _SATURATION_RADIUS + 1, -_SATURATION_RADIUS : _SATURATION_RADIUS + 1]
        disk = x * x + y * y <= _SATURATION_RADIUS**2
        inverr[ndimage.binary_dilation(saturated, structure=disk)] = 0
    return inverr


def _read_cutout(path, hdu, region, shape=None):
    with open_fits(path) as fits:
        return _cutout(path, fits, hdu, region, shape)


def _cutout(path, fits, hdu, region, shape=None):
    """A rectangle of an image that must have the given shape."""
    x0, x1, y0, y1 = region
    if hdu >= len(fits):
        raise InputError(f"{path}: has no HDU {hdu}")
    size = tuple(fits[hdu].get_info().get("dims", ()))
    if (shape is not None and size != shape) or len(size) != 2 or size[0] < y1 or size[1] < x1:
        expected = "" if shape is None else f" instead of {shape[1]} x {shape[0]}"
        raise InputError(f"{path}: the image has {' x '.join(str(n) for n in size[::-1])} pixels{expected}")
    values = _read(path, lambda: fits[hdu][y0:y1, x0:x1])
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _read(path, read):
    try:
        return read()
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({short_message(error)})") from None
