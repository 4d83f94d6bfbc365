"""Making a sky model of a CCD: the median of source-free pixels in boxes, joined by a spline."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, uniform_filter

from ..errors import CalibrationError
from .sky import ConstantSky, JumpSky, SplineSky
from .sky_templates import SkyTemplate

__all__ = ["FittedSky", "SkyScene", "fit_sky", "sky_row", "box_size"]

_START_BOX = 1024
_MIN_BOX = 32
_MIN_GRID = 9  # of the smallest survey CCD, DECam's 2046 columns
_MIN_GOOD_FRACTION = 0.25  # of a box, to use its median
_MIN_GOOD_PIXELS = 100  # to estimate a level
_GALAXY_FRACTION = 0.1  # of the CCD covered by galaxies and clusters: from here on a constant sky
_JUMP_COLUMNS = 100
_SPLINE_ORDER = 3


@dataclass(frozen=True)
class SkyScene:
    """What the reference catalogues know about the field of a CCD (or the part of it that is used).

    Attributes
    ----------
    mask : numpy.ndarray of bool, shape (h, w), or None
        Pixels of bright stars, galaxies and clusters, not to be used.
    galaxy_fraction : float
        Fraction of the pixels within galaxies or clusters.
    light : numpy.ndarray of float32, shape (h, w), or None
        Star halos and frozen galaxies [nanomaggies], subtracted before the fit.
    halos : bool
        Star halos are part of `light`.
    galaxy_version : str
        Version of the large-galaxy catalogue whose models are part of `light`.
    blobs : numpy.ndarray of bool, shape (h, w), or None
        Pixels in blobs of earlier brick runs.
    """

    mask: np.ndarray | None = None
    galaxy_fraction: float = 0.0
    light: np.ndarray | None = None
    halos: bool = False
    galaxy_version: str = ""
    blobs: np.ndarray | None = None


@dataclass(frozen=True)
class FittedSky:
    """A new sky model.

    Attributes
    ----------
    sky : ConstantSky, JumpSky or SplineSky
    sig1 : float
        Typical noise per pixel [counts].
    statistics : dict
        Columns sky_mode ... sky_p100 of the calibration table.
    """

    sky: ConstantSky | JumpSky | SplineSky
    sig1: float
    statistics: dict = field(default_factory=dict)


def box_size(height: int, width: int, start: int | None = None) -> int:
    """Size of the boxes in which the sky is estimated.

    The survey's rule: 1024 pixels, or half of that if there would be less than four boxes along an axis. Images
    smaller than a survey CCD get smaller boxes, so that the grid has at least nine points along each axis.

    Parameters
    ----------
    height, width : int
        Of the whole CCD.
    start : int, optional
        Instead of 1024.

    Returns
    -------
    int
    """
    box = start or _START_BOX
    if min(height, width) / box < 4:
        box //= 2
    while box > _MIN_BOX and min(len(grid_positions(n, box)) for n in (height, width)) < _MIN_GRID:
        box //= 2
    return max(box, 2)


def grid_positions(length: int, box: int) -> NDArray[np.int64]:
    """Positions of the grid points along an axis: box / 2 apart, the outer ones at or beyond the edges; int array."""
    half = box // 2
    n = length // half + 2
    start = (length - (n - 2) * half) // 2
    return start + np.trunc(half * (np.arange(n) - 0.5)).astype(np.int64)


def fit_sky(
    image: NDArray[np.float32],
    invvar: NDArray[np.float32],
    scene: SkyScene | None = None,
    box: int = 512,
    spline: bool = True,
    jump: bool = False,
) -> FittedSky:
    """Fit a sky model to an image.

    Parameters
    ----------
    image : numpy.ndarray of float32, shape (h, w)
        Counts; halos and galaxies of `scene` are already subtracted.
    invvar : numpy.ndarray of float32, shape (h, w)
        1/counts^2; 0 = masked.
    scene : SkyScene, optional
    box : int
        Box size in pixels, see `box_size`.
    spline : bool
        False: a constant (two constants with `jump`). Fields full of galaxies get a constant anyway.
    jump : bool
        The level may differ between the left and the right half (amplifiers).

    Returns
    -------
    FittedSky

    Raises
    ------
    CalibrationError
        If the CCD has no good pixels.
    """
    scene = scene or SkyScene()
    spline = spline and scene.galaxy_fraction < _GALAXY_FRACTION
    good = invvar > 0
    if not np.any(good):
        raise CalibrationError("no good pixels to make a sky model from")
    estimate = _estimate_level(image, invvar, good)
    for mask in (scene.mask, scene.blobs):
        if mask is not None:
            good &= ~mask
    if np.sum(good) > 0.1 * good.size:
        estimate = _estimate_level(image, invvar, good)
    sig1, clipped_median, level = estimate
    if not np.isfinite(level):
        raise CalibrationError("no finite sky level")

    residual = image - np.float32(level)
    if spline:
        residual -= _fit_spline(residual, good, box, jump).image(0, 0, *image.shape[::-1])
    sources = _source_mask(residual, sig1)
    good &= ~sources
    if np.sum(good) > _MIN_GOOD_PIXELS:
        level = _clipped_median(image[good])
    sky = _final_model(image, good, level, box, spline, jump)
    statistics = {"sky_cmed": clipped_median, "sky_john": level, "sky_fmasked": np.mean(sources)}
    statistics |= _statistics(image, good, sky)
    return FittedSky(sky, float(sig1), {k: np.float32(v) for k, v in statistics.items()})


def _estimate_level(image, invvar, good):
    """Noise, clipped median, and clipped median of the pixels outside of sources."""
    sig1 = 1.0 / np.sqrt(np.median(invvar[good]))
    clipped_median = _clipped_median(image[good])
    free = good & ~_source_mask(image - clipped_median, sig1)
    level = _clipped_median(image[free]) if np.sum(free) > _MIN_GOOD_PIXELS else clipped_median
    return sig1, clipped_median, level


def _clipped_median(values):
    from scipy.stats import sigmaclip

    return np.median(sigmaclip(values, 2.0, 2.0).clipped)


def _source_mask(residual, sig1):
    """Pixels near those whose 5x5 mean is off by three sigma."""
    mean = uniform_filter(residual, 5, mode="constant")
    return binary_dilation(np.abs(mean) > 3.0 * sig1 / 5.0, iterations=3)


def _fit_spline(image, good, box, jump):
    """Spline through the medians of good pixels in boxes of an image whose level is about zero."""
    h, w = image.shape
    step = {}
    if jump:
        xbreak = w // 2
        right = slice(xbreak, min(xbreak + _JUMP_COLUMNS, w))
        left = slice(max(xbreak - _JUMP_COLUMNS, 0), xbreak)
        xjump = _box_median(image[:, right], good[:, right]) - _box_median(image[:, left], good[:, left])
        image = image.copy()
        image[:, xbreak:] -= np.float32(xjump)
        step = {"xbreak": xbreak, "xjump": float(xjump)}
    xgrid, ygrid = grid_positions(w, box), grid_positions(h, box)
    half = box // 2
    values = np.zeros((len(ygrid), len(xgrid)), np.float32)
    for j, y in enumerate(ygrid):
        rows = slice(max(y - half, 0), min(y + half, h))
        for i, x in enumerate(xgrid):
            columns = slice(max(x - half, 0), min(x + half, w))
            values[j, i] = _box_median(image[rows, columns], good[rows, columns])
    order = min(_SPLINE_ORDER, len(xgrid) - 1, len(ygrid) - 1)
    return SplineSky(xgrid.astype(np.int32), ygrid.astype(np.int32), values, order, **step)


def _box_median(image, good):
    """Median of the good pixels, 0 if they are too few to tell."""
    if np.sum(good) <= _MIN_GOOD_FRACTION * good.size:
        return np.float32(0)
    return np.median(image[good])


def _final_model(image, good, level, box, spline, jump):
    if spline:
        shape = _fit_spline(image - np.float32(level), good, box, jump)
        values = shape.values + np.float32(level)
        return SplineSky(shape.xgrid, shape.ygrid, values, shape.order, xbreak=shape.xbreak, xjump=shape.xjump)
    if jump:
        xbreak = image.shape[1] // 2
        halves = [image[half][good[half]] for half in (np.s_[:, :xbreak], np.s_[:, xbreak:])]
        if all(len(values) > _MIN_GOOD_PIXELS for values in halves):
            return JumpSky(xbreak, *(float(_clipped_median(values)) for values in halves))
    return ConstantSky(float(level))


def _statistics(image, good, sky):
    """Mode and median of the good pixels, and deciles of what is left after subtraction."""
    used = good if np.any(good) else np.ones_like(good)
    values = image[used]
    residual = (image - sky.image(0, 0, *image.shape[::-1]))[used]
    deciles = np.percentile(residual, np.arange(0, 101, 10))
    named = {f"sky_p{p}": v for p, v in zip(range(0, 101, 10), deciles)}
    return {"sky_mode": _mode(values), "sky_med": np.median(values), **named}


def _mode(values):
    """Peak of the distribution: vertex of a parabola through the logarithm of its histogram around the maximum."""
    median = np.median(values)
    spread = 1.4826 * np.median(np.abs(values - median))
    if not spread > 0:
        return float(median)
    counts, edges = np.histogram(values, bins=40, range=(median - 2 * spread, median + 2 * spread))
    peak = int(np.argmax(counts))
    near = slice(max(peak - 6, 0), peak + 7)
    centers = 0.5 * (edges[:-1] + edges[1:])[near]
    filled = counts[near] > 0
    if np.sum(filled) < 4:
        return float(median)
    a, b, _ = np.polyfit(centers[filled] - median, np.log(counts[near][filled]), 2, w=np.sqrt(counts[near][filled]))
    vertex = median - b / (2 * a) if a < 0 else median
    return float(np.clip(vertex, centers[0], centers[-1]))


def sky_row(
    fitted: FittedSky,
    origin: tuple[int, int],
    scene: SkyScene,
    zeropoint: float,
    template: SkyTemplate | None,
    identity: dict[str, Any],
) -> dict[str, Any]:
    """The calibration table row of a new sky model.

    Parameters
    ----------
    fitted : FittedSky
    origin : (int, int)
        x, y in the CCD of the image that was fitted (its good region).
    scene : SkyScene
    zeropoint : float
        Magnitude of one count, with which the light of `scene` was scaled.
    template : sky_templates.SkyTemplate or None
        That was subtracted.
    identity : dict
        See `rows.identity_columns`.

    Returns
    -------
    dict
        Column name -> value.
    """
    sky = fitted.sky
    row: dict[str, Any] = {"x0": np.int32(-origin[0]), "y0": np.int32(-origin[1])}
    if isinstance(sky, SplineSky):
        row |= {
            "skyclass": "tractor.splinesky.SplineSky" if sky.xbreak is None else "legacypipe.jumpsky.JumpSky",
            "gridw": np.int32(len(sky.xgrid)),
            "gridh": np.int32(len(sky.ygrid)),
            "gridvals": sky.values,
            "xgrid": sky.xgrid,
            "ygrid": sky.ygrid,
            "order": np.uint8(sky.order),
        }
        if sky.xbreak is not None:
            row |= {"xbreak": np.int32(sky.xbreak), "xjump": np.float32(sky.xjump)}
    elif isinstance(sky, JumpSky):
        row |= {"skyclass": "legacypipe.jumpsky.ConstantJumpSky", "xbreak": np.int32(sky.xbreak)}
        row |= {"left": np.float32(sky.left), "right": np.float32(sky.right)}
    else:
        row |= {"skyclass": "tractor.sky.ConstantSky", "value": np.float64(sky.value)}
    row |= identity
    row |= {
        "sig1": np.float32(fitted.sig1),
        "templ_ver": np.int64(-1 if template is None else template.version),
        "templ_run": np.int64(-1 if template is None else template.run),
        "templ_scale": np.float32(0 if template is None else template.scale),
        "halo_zpt": np.float64(zeropoint if scene.halos else 0.0),
        "blob_masked": np.bool_(scene.blobs is not None),
        "sub_sga_ver": scene.galaxy_version,
    }
    return row | fitted.statistics
