"""Colour pictures of coadds: the Legacy Surveys mappings from band images to RGB."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .sparse import rows_of

__all__ = ["rgb", "to_uint8", "with_outlines", "RED", "GREEN", "BLUE"]

RED, GREEN, BLUE = 0, 1, 2

_SOFTENING = 20.0
_OFFSET = 0.03
_RESIDUAL_LOW, _RESIDUAL_HIGH = -0.1, 0.1
_ROWS_AT_ONCE = 64
_OUTLINE_COLOR = (0, 255, 0)


class _BandColor(NamedTuple):
    """Colour plane of a band, and how many of its nanomaggies make brightness 1 (before asinh)."""

    plane: int
    scale: float


_U_LIKE = ("N419", "N501", "N540", "N395", "M411", "M438", "M464", "M490", "M517", "CaHK", "M4376")
_OTHER_BLUE = ("I-A-L427", "I-A-L464", "I-A-L484", "I-A-L505", "I-A-L527", "NB_A", "NB_B", "NB_C", "NB_D", "NB_E")

_BANDS = {
    "u": _BandColor(BLUE, 6.0),
    "g": _BandColor(BLUE, 6.0),
    "r": _BandColor(GREEN, 3.4),
    "i": _BandColor(RED, 3.0),
    "z": _BandColor(RED, 2.2),
    "Y": _BandColor(RED, 2.2),
    "V": _BandColor(GREEN, 3.4),
    "y": _BandColor(RED, 2.2),
    "r2": _BandColor(GREEN, 3.4),
    "i2": _BandColor(RED, 3.0),
    "N673": _BandColor(GREEN, 3.4),
    **{band: _BandColor(BLUE, 6.0) for band in _U_LIKE},
    **{band: _BandColor(RED, 6.0) for band in _OTHER_BLUE},
}

#: Weights (R, G, B) of the bands when all four are there.
_GRIZ = {"g": (0.0, 0.0, 0.75), "r": (0.0, 0.5, 0.25), "i": (0.25, 0.5, 0.0), "z": (0.75, 0.0, 0.0)}


def rgb(
    images: Sequence[Any], bands: Sequence[str], mapping: str = "data", stretch: float | None = 1.0, bw: bool = False
) -> NDArray[np.uint8]:
    """Picture of band images.

    Parameters
    ----------
    images : sequence of numpy.ndarray of float32, shape (h, w)
        Band by band [nanomaggies per pixel]. Also anything with a `shape` and a method ``rows(start, stop)``.
    bands : sequence of str
        Of five bands only the first three are shown. A band without a colour of its own is shown as a
        grey picture if it is alone, else on a plane by its place in the list (first blue, last red).
    mapping : str
        "data" (asinh stretch) or "residual" (linear, grey at 0).
    stretch : float
        Multiplies all band scales.
    bw : bool
        Grey picture, scaled from its minimum to its maximum, if there is only one band.

    Returns
    -------
    numpy.ndarray of uint8, shape (h, w, 3)
    """
    if mapping not in ("data", "residual"):
        raise ValueError(f"mapping is 'data' or 'residual', not {mapping!r}")
    images, bands = list(images), list(bands)
    if len(bands) == 5:
        images, bands = images[:3], bands[:3]
    height, width = images[0].shape
    grey = len(bands) == 1 and (bw or bands[0] not in _BANDS)
    picture = np.empty((height, width) if grey else (height, width, 3), np.float32 if grey else np.uint8)
    # Block by block, so that the intermediate images are small.
    for start in range(0, height, _ROWS_AT_ONCE):
        stop = min(start + _ROWS_AT_ONCE, height)
        planes = _planes(
            [np.asarray(rows_of(image, start, stop), np.float32) for image in images], bands, mapping, stretch
        )
        picture[start:stop] = planes.sum(axis=2) if grey else to_uint8(planes)
    return _grey(picture) if grey else picture


def _planes(images, bands, mapping, stretch):
    """Red, green and blue of 0 ... 1; float32 (h, w, 3)."""
    colors = [_color(band, i, len(bands)) for i, band in enumerate(bands)]
    scales = [np.float32(color.scale * stretch) for color in colors]
    scaled = [image * scale for image, scale in zip(images, scales)]
    values = _asinh_values(scaled) if mapping == "data" else _linear_values(scaled)
    planes = np.zeros((*values[0].shape, 3), np.float32)
    if bands == ["g", "r", "i", "z"]:
        for band, value in zip(bands, values):
            for plane, weight in enumerate(_GRIZ[band]):
                if weight:
                    planes[:, :, plane] += np.float32(weight) * value
    else:
        for color, value in zip(colors, values):
            planes[:, :, color.plane] = value
    return planes


def to_uint8(planes: NDArray[np.floating]) -> NDArray[np.uint8]:
    """0 ... 255 of planes of 0 ... 1, truncated."""
    return (planes * np.float32(255)).astype(np.uint8)


def with_outlines(picture: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Paint the outer outline, one pixel wide and green, of the regions of a mask.

    Parameters
    ----------
    picture : numpy.ndarray of uint8, shape (h, w, 3)
    mask : numpy.ndarray of bool, shape (h, w)

    Returns
    -------
    numpy.ndarray of uint8
        A copy.
    """
    from scipy.ndimage import binary_dilation

    picture = picture.copy()
    picture[binary_dilation(mask, structure=np.ones((3, 3), bool)) & ~mask] = _OUTLINE_COLOR
    return picture


def _color(band, place, n):
    if band in _BANDS:
        return _BANDS[band]
    return _BandColor((BLUE, GREEN, RED)[min(2, place if n <= 3 else place * 3 // n)], 6.0)


def _asinh_values(scaled):
    offset = np.float32(_OFFSET)
    shifted = [image + offset for image in scaled]
    intensity = np.zeros_like(shifted[0])
    for image in shifted:
        intensity += np.maximum(0, image)
    intensity /= np.float32(len(shifted))
    factor = np.arcsinh(np.float32(_SOFTENING) * intensity) / np.float32(np.sqrt(_SOFTENING))
    factor /= np.where(intensity == 0, np.float32(1e-6), intensity)
    return [np.clip(image * factor, 0, 1) for image in shifted]


def _linear_values(scaled):
    low, high = np.float32(_RESIDUAL_LOW), np.float32(_RESIDUAL_HIGH)
    return [np.clip((image - low) / (high - low), 0, 1) for image in scaled]


def _grey(total):
    """One plane, scaled from its minimum to its maximum in 256 steps, three times."""
    low, high = np.float32(total.min()), np.float32(total.max())
    fraction = np.zeros_like(total) if high == low else (total - low) / (high - low)
    level = np.minimum((fraction * np.float32(256)).astype(np.int32), 255)
    grey = (np.linspace(0, 1, 256)[level] * 255).astype(np.uint8)
    return np.repeat(grey[:, :, np.newaxis], 3, axis=2)
