"""Weight maps (inverse variances): undoing what lossy compression did to their zeros, and clipping glitches."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

__all__ = [
    "Quantization",
    "quantization",
    "clean_weights",
    "add_source_noise",
    "apodize",
    "weights_of_neighbours",
    "hold_own_noise",
]

logger = logging.getLogger(__name__)

_GLITCH_FACTOR = 1.3
_JUNK_FACTOR = 1e9
_FALLBACK_FRACTION = 0.1
_APODIZED_PIXELS = 100
#: Weights hold the image's own noise if variances and pixels are correlated by more than this.
OWN_NOISE = 0.3
#: ... in at least so many pixels.
LEAST_PIXELS = 1000


class Quantization(NamedTuple):
    """How a compressed image was quantised.

    Attributes
    ----------
    kind : str
        "exact": zeros are exact; "rows": zeros may have become half a step, per row; "unknown".
    steps : numpy.ndarray of float64 or None
        For "rows": the step of each row of the whole image.
    reason : str
        For "unknown": why.
    """

    kind: str
    steps: NDArray[np.float64] | None = None
    reason: str = ""


def quantization(path: str | Path, hdu: int, header: Mapping[str, Any]) -> Quantization:
    """How the weight map of a CCD was quantised.

    Parameters
    ----------
    path : str or Path
    hdu : int
    header : mapping
        Of the compressed HDU (the cards of the binary table that holds it).

    Returns
    -------
    Quantization
    """
    method = str(header.get("ZQUANTIZ", "") or "").strip()
    if method in ("", "NONE", "SUBTRACTIVE_DITHER_2"):
        return Quantization("exact")
    if method != "SUBTRACTIVE_DITHER_1":
        return Quantization("unknown", reason=f"quantisation {method}")
    if header.get("ZTILE1") != header.get("ZNAXIS1") or header.get("ZTILE2") != 1:
        return Quantization("unknown", reason="tiles are not rows")
    scale, zero = _scale_columns(path, hdu)
    if scale is None:
        return Quantization("unknown", reason="no ZSCALE and ZZERO columns")
    if np.any(zero != 0):
        return Quantization("unknown", reason="ZZERO is not 0")
    return Quantization("rows", scale)


def _scale_columns(path: str | Path, hdu: int) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]:
    """ZSCALE and ZZERO of each tile, from the binary table behind a compressed image."""
    from astropy.io import fits

    try:
        with fits.open(path, disable_image_compression=True, memmap=True) as f:
            table = f[hdu].data
            if not {"ZSCALE", "ZZERO"} <= set(table.names):
                return None, None
            return np.array(table["ZSCALE"], np.float64), np.array(table["ZZERO"], np.float64)
    except (OSError, ValueError, TypeError, IndexError) as e:
        raise InputError(f"{path}: HDU {hdu}: cannot be read ({e})") from None


def clean_weights(
    invvar: NDArray[np.float32],
    dq: NDArray[np.uint16],
    quantized: Quantization,
    first_row: int,
    limit: float,
    name: str,
) -> None:
    """Repair a weight map, in place.

    Parameters
    ----------
    invvar : numpy.ndarray of float32, shape (h, w)
        1/counts^2.
    dq : numpy.ndarray of uint16, shape (h, w)
        Where not 0 the weight becomes 0.
    quantized : Quantization
    first_row : int
        Row of the whole image that is row 0 of `invvar`.
    limit : float
        Weight of a pixel of typical noise; larger weights than 1.3 times this are glitches and are set to it.
    name : str
        For messages.

    Notes
    -----
    Weights that are not finite or beyond what a telescope can give become zero, and so do negative ones, which is said
    unless lossy compression explains them.
    """
    _drop_junk(invvar, limit, quantized, name)
    invvar[dq != 0] = 0
    if quantized.kind == "rows" and quantized.steps is not None:
        steps = quantized.steps[first_row : first_row + len(invvar)]
        invvar[invvar <= 0.5 * steps[:, np.newaxis]] = 0
    elif quantized.kind == "unknown" and np.any(invvar > 0):
        logger.warning(
            "%s: weight map: %s: setting weights below %g of their median to zero",
            name,
            quantized.reason,
            _FALLBACK_FRACTION,
        )
        invvar[invvar < _FALLBACK_FRACTION * np.median(invvar[invvar > 0])] = 0
    invvar[invvar > _GLITCH_FACTOR * limit] = limit
    invvar[invvar < 0] = 0


def _drop_junk(invvar: Any, limit: Any, quantized: Any, name: Any) -> None:
    """Zero for weights that are no weights, in place."""
    with np.errstate(invalid="ignore"):
        not_finite, huge = ~np.isfinite(invvar), invvar > _JUNK_FACTOR * limit
        negative = (invvar < 0) & ~not_finite if quantized.kind == "exact" else np.zeros(invvar.shape, bool)
    huge &= ~not_finite
    counts = [(not_finite, "not finite"), (huge, "beyond what a telescope can give"), (negative, "negative")]
    found = [f"{number} {kind}" for where, kind in counts if (number := int(where.sum()))]
    if found:
        logger.warning("%s: weight map: pixels get no weight: %s", name, ", ".join(found))
        invvar[not_finite | huge | negative] = 0


def add_source_noise(
    invvar: NDArray[np.float32], image: NDArray[np.float32], dq: NDArray[np.uint16], sky: float, exptime: float
) -> NDArray[np.float32]:
    """Weights with the photon noise of sources, for maps that hold that of the sky only.

    Parameters
    ----------
    invvar, image : numpy.ndarray of float32, shape (h, w)
        1/(counts/s)^2, counts/s.
    dq : numpy.ndarray of uint16, shape (h, w)
    sky : float
        Sky level [counts/s].
    exptime : float
        Seconds.

    Returns
    -------
    numpy.ndarray of float32, shape (h, w)
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        weights = 1.0 / (1.0 / invvar + np.abs(image - sky) / exptime)
    weights[~np.isfinite(weights) | (dq != 0)] = 0
    return weights


def hold_own_noise(image: NDArray[np.float32], invvar: NDArray[np.float32]) -> bool:
    """Whether the variance of a pixel follows its own deviation from its neighbours.

    In the sky, the variance is that of the expected light, and knows nothing of the deviation; or that of the measured
    light, and follows it exactly (but for the precision of the map).

    Parameters
    ----------
    image, invvar : numpy.ndarray of float32, shape (h, w)

    Returns
    -------
    bool
        True if the correlation exceeds `OWN_NOISE`.
    """
    from scipy.ndimage import correlate

    ring = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], np.float64) / 8.0
    good = invvar > 0
    # Only pixels whose neighbours are all good.
    whole = good & (correlate(good.astype(np.float64), ring, mode="constant") > 1.0 - 1e-6)
    if np.count_nonzero(whole) < LEAST_PIXELS:
        return False
    variance = np.where(good, 1.0 / np.where(good, invvar, 1.0), 0.0).astype(np.float64)
    deviation, excess = ((a - correlate(a, ring, mode="constant"))[whole] for a in (image.astype(np.float64), variance))
    # Neither sources nor glitches.
    quiet = np.ones(deviation.size, bool)
    for values in (deviation, excess):
        low, middle, high = np.percentile(values, [16, 50, 84])
        quiet &= np.abs(values - middle) <= 1.5 * max(high - low, 1e-30)
    a, b = deviation[quiet], excess[quiet]
    if a.size < LEAST_PIXELS or a.std() == 0 or b.std() == 0:
        return False
    return bool(np.corrcoef(a, b)[0, 1] > OWN_NOISE)


def weights_of_neighbours(invvar: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weights in which the variance of a pixel is the mean of that of its eight neighbours.

    Weight maps whose photon noise comes from the measured values give less weight to pixels that are too bright by
    chance, so that every flux is too low by one photon per pixel (of its noise-equivalent area, per exposure; see
    e.g. Humphrey et al. 2009, ApJ 693, 822). The neighbours know as much about the expected noise, but nothing of the
    pixel's own deviation.

    Parameters
    ----------
    invvar : numpy.ndarray of float32, shape (h, w)

    Returns
    -------
    numpy.ndarray of float32
        Zeros stay; pixels without a good neighbour keep their weight.
    """
    from scipy.ndimage import correlate

    ring = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], np.float64)
    good = invvar > 0
    variance = np.zeros(invvar.shape)
    variance[good] = 1.0 / invvar[good].astype(np.float64)
    total = correlate(variance, ring, mode="constant")
    number = correlate(good.astype(np.float64), ring, mode="constant")
    weights = invvar.copy()
    known = good & (number > 0.5)
    weights[known] = (number[known] / total[known]).astype(np.float32)
    return weights


def apodize(invvar: NDArray[np.float32]) -> None:
    """Taper a weight map to zero at its four edges, in place."""
    h, w = invvar.shape
    for axis, length in ((0, h), (1, w)):
        n = min(length, _APODIZED_PIXELS)
        ramp = np.arctan(np.linspace(-np.pi, np.pi, n))
        ramp = ((ramp - ramp.min()) / (ramp.max() - ramp.min())).astype(np.float32)
        ramp = ramp[:, np.newaxis] if axis == 0 else ramp[np.newaxis, :]
        first = np.s_[:n] if axis == 0 else np.s_[:, :n]
        last = np.s_[-n:] if axis == 0 else np.s_[:, -n:]
        invvar[first] *= ramp
        invvar[last] *= ramp[::-1, ::-1]
