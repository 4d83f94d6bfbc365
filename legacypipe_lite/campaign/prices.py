"""What bricks will take: seconds, memory and disk, from the tables of CCDs alone."""

from dataclasses import dataclass

import numpy as np
from astropy.table import Table

from ..options import RunOptions
from ..survey.polygons import clip_polygon
from ..wcs import TanWcs

__all__ = ["Price", "price_of"]

#: Prices of docs/performance.md: CPU seconds of a start, per CCD, per source, per source and image, per megapixel of
#: images and of the brick; bytes of the program, per pixel of images and of the brick, of products per pixel and band.
_START, _PER_CCD, _PER_SOURCE, _PER_SOURCE_AND_IMAGE = 3.0, 0.03, 2.45e-3, 0.55e-3
_PER_IMAGE_MEGAPIXEL, _PER_BRICK_MEGAPIXEL = 0.48, 2.3
_PROGRAM_MEMORY, _PER_IMAGE_PIXEL, _PER_BRICK_PIXEL = 300e6, 10.0, 60.0
_DISK_PER_PIXEL_AND_BAND, _DISK_PER_SOURCE = 5.0, 12e3
#: Sources per square arcmin at a 5-sigma depth of 24 mag, and how their number grows with depth.
_SOURCES_AT_24, _SOURCE_SLOPE = 35.0, 0.3


@dataclass(frozen=True)
class Price:
    """What a brick is predicted to take, to a factor of about 1.5.

    Attributes
    ----------
    seconds : float
        CPU time of one process.
    memory, disk : float
        Bytes.
    n_ccds : int
    depth : float
        5-sigma depth of the deepest band [mag], NaN where there are no images.
    """

    seconds: float = 1.0
    memory: float = _PROGRAM_MEMORY
    disk: float = 0.0
    n_ccds: int = 0
    depth: float = float("nan")


def price_of(ccds: Table, target: TanWcs, options: RunOptions) -> Price:
    """Predict what the run of a brick takes.

    Parameters
    ----------
    ccds : astropy.table.Table
        Those on the brick.
    target : TanWcs
    options : RunOptions

    Returns
    -------
    Price
    """
    brick_pixels = float(target.width * target.height)
    if not len(ccds):
        return Price()
    pixels = np.array([_pixels_on(row, target) for row in ccds])
    depth = _depth(ccds, pixels, target)
    area = brick_pixels * target.pixel_scale**2 / 3600.0
    sources = area * _SOURCES_AT_24 * 10.0 ** (_SOURCE_SLOPE * ((depth if np.isfinite(depth) else 23.0) - 24.0))
    total = float(pixels.sum())
    coverage = total / brick_pixels
    return Price(
        seconds=_START
        + _PER_CCD * len(ccds)
        + sources * (_PER_SOURCE + _PER_SOURCE_AND_IMAGE * coverage)
        + 1e-6 * (_PER_IMAGE_MEGAPIXEL * total + _PER_BRICK_MEGAPIXEL * brick_pixels),
        memory=_PROGRAM_MEMORY + _PER_IMAGE_PIXEL * total + _PER_BRICK_PIXEL * brick_pixels,
        disk=_DISK_PER_PIXEL_AND_BAND * brick_pixels * len(set(ccds["filter"])) + _DISK_PER_SOURCE * sources,
        n_ccds=len(ccds),
        depth=depth,
    )


def _pixels_on(row, target: TanWcs) -> float:
    """Pixels of a CCD that lie on the target, by the plain TAN WCS of the table."""
    cd = [[float(row["cd1_1"]), float(row["cd1_2"])], [float(row["cd2_1"]), float(row["cd2_2"])]]
    crval, crpix = (float(row["crval1"]), float(row["crval2"])), (float(row["crpix1"]), float(row["crpix2"]))
    w, h = int(row["width"]), int(row["height"])
    wcs = TanWcs(crval, crpix, cd, w, h)
    x, y = np.array([0.0, w - 1.0, w - 1.0, 0.0]), np.array([0.0, 0.0, h - 1.0, h - 1.0])
    corners = np.column_stack(target.sky_to_pixel(*wcs.pixel_to_sky(x, y)))
    tw, th = target.width - 0.5, target.height - 0.5
    if not np.all(np.isfinite(corners)):
        return 0.0
    frame = np.array([(-0.5, -0.5), (tw, -0.5), (tw, th), (-0.5, th)])
    inside = np.asarray(clip_polygon(_anticlockwise(corners), frame))
    return _area(inside) * (target.pixel_scale / wcs.pixel_scale) ** 2 if len(inside) > 2 else 0.0


def _signed_area(points: np.ndarray) -> float:
    x, y = points.T
    return 0.5 * float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))


def _area(points: np.ndarray) -> float:
    return abs(_signed_area(points))


def _anticlockwise(points: np.ndarray) -> np.ndarray:
    return points if _signed_area(points) > 0 else points[::-1]


def _depth(ccds: Table, pixels: np.ndarray, target: TanWcs) -> float:
    """5-sigma depth of the deepest band [mag], averaged over the target."""
    sig1, fwhm = np.asarray(ccds["sig1"], float), np.asarray(ccds["fwhm"], float)
    with np.errstate(all="ignore"):
        # Noise-equivalent area of a Gaussian PSF: 4 pi sigma^2.
        weight = 1.0 / (sig1**2 * 4.0 * np.pi * (fwhm / 2.355) ** 2)
    share = np.minimum(pixels / float(target.width * target.height), 1.0)
    weight = np.where(np.isfinite(weight), weight * share, 0.0)
    bands = np.asarray(ccds["filter"])
    best = max((float(weight[bands == band].sum()) for band in set(bands)), default=0.0)
    return 22.5 - 2.5 * np.log10(5.0 / np.sqrt(best)) if best > 0 else float("nan")
