"""Colour pictures of layers, with the stretches of the public viewer (spec of the mappings: docs/viewer)."""

import io

import numpy as np

from ..coadds.rgb import rgb, to_uint8
from ..errors import UsageError

__all__ = ["layer_picture", "encode_jpeg", "encode_png", "maskbits_picture", "BIT_COLORS", "STRETCHES"]

#: Values of the parameter `stretch`.
STRETCHES = ("image", "resid")
_QUALITY = 90
_DR10_FACTOR = 1.5
_GRIZ_WEIGHTS = {"g": (0.0, 0.0, 0.75), "r": (0.0, 0.5, 0.25), "i": (0.25, 0.5, 0.0), "z": (0.75, 0.0, 0.0)}
_GRIZ_SCALES = {"g": 9.0, "r": 5.1, "i": 4.5, "z": 3.3}
_GRI_OFFSET = 0.02
_OFFSET = 0.03
_SOFTENING = 20.0
_BLANK = 32

#: Colours (R, G, B) of mask bits, by number of the bit.
BIT_COLORS = (
    (90, 90, 90),
    (255, 160, 40),
    (80, 160, 255),
    (90, 220, 120),
    (255, 80, 80),
    (60, 110, 190),
    (60, 160, 90),
    (190, 60, 60),
    (150, 100, 220),
    (200, 120, 220),
    (255, 255, 120),
    (255, 200, 120),
    (120, 230, 230),
    (230, 120, 160),
    (255, 140, 110),
    (180, 110, 90),
    (140, 140, 220),
    (170, 220, 140),
    (220, 200, 230),
    (200, 230, 255),
)


def layer_picture(layer, images, stretch=None):
    """Picture of band images, by the bands of the layer, whichever of them are there.

    Parameters
    ----------
    layer : Layer or SplitLayer
    images : dict of str -> numpy.ndarray of float32, shape (h, w)
        Nanomaggies per pixel of the coadds.
    stretch : str or None
        "resid": linear around grey, as the brick's own residual picture. By default "image", also for residuals, as
        on the public viewer.

    Returns
    -------
    numpy.ndarray of uint8, shape (h, w, 3)

    Raises
    ------
    UsageError
        If there is no such stretch.
    """
    if stretch not in (None, *STRETCHES):
        raise UsageError(f"stretch={stretch}: {' or '.join(STRETCHES)}")
    if layer.product not in ("image", "model", "resid", "blobmodel"):
        return _grey(next(iter(images.values())))
    if stretch == "resid":
        return rgb(list(images.values()), list(images), mapping="residual")
    if layer.wise:
        return _wise(images, layer.bands)
    bands = set(layer.bands)
    if bands == {"g", "r", "i", "z"}:
        return _griz(images)
    if bands == {"g", "r", "i"}:
        return _planes(images, _GRIZ_SCALES, {"g": 2, "r": 1, "i": 0}, _GRI_OFFSET)
    if bands and bands <= set("grz"):
        return _planes(images, {"g": 6.0, "r": 3.4, "z": 2.2}, {"g": 2, "r": 1, "z": 0}, _OFFSET)
    some = next(iter(images.values()))
    blank = np.zeros_like(some)
    return rgb([images.get(band, blank) for band in layer.bands], list(layer.bands))


def _intensity(scaled):
    total = sum(np.maximum(0, image) for image in scaled.values()) / np.float32(len(scaled))
    factor = np.arcsinh(np.float32(_SOFTENING) * total) / np.float32(np.sqrt(_SOFTENING))
    return factor / np.where(total == 0, np.float32(1e-6), total)


def _stretched(images, scales, offset):
    scaled = {band: image * np.float32(scales[band]) + np.float32(offset) for band, image in images.items()}
    factor = _intensity(scaled)
    return {band: np.clip(image * factor, 0, 1) for band, image in scaled.items()}


def _planes(images, scales, planes, offset):
    values = _stretched(images, scales, offset)
    picture = np.zeros((*next(iter(images.values())).shape, 3), np.float32)
    for band, value in values.items():
        picture[..., planes[band]] = value
    return to_uint8(picture)


def _griz(images):
    values = _stretched(images, _GRIZ_SCALES, _OFFSET)
    picture = np.zeros((*next(iter(images.values())).shape, 3), np.float32)
    for band, value in values.items():
        picture += value[..., np.newaxis] * np.array(_GRIZ_WEIGHTS[band], np.float32)
    return to_uint8(np.minimum(picture, 1))


def _wise(images, bands):
    some = next(iter(images.values()))
    w1, w2 = (images.get(band, np.zeros_like(some)) for band in (*bands, *bands)[:2])
    if len(bands) == 1:
        w2 = w1

    def arcsinh(x):
        return np.arcsinh(x / 20.0) * np.sqrt(20.0)

    bright = arcsinh((9 * w1 + w2) / 10)
    mean = np.maximum(1e-6, (np.abs(w1) + np.abs(w2)) / 2)
    low, high = arcsinh(-20.0), arcsinh(10000.0)
    blue, red = (np.clip((np.abs(w) / mean * bright - low) / (high - low), 0, 1) for w in (w1, w2))
    blue, red = to_uint8(np.asarray(blue, np.float32)), to_uint8(np.asarray(red, np.float32))
    green = (red // 2 + blue // 2).astype(np.uint8)
    return np.stack([red, green, blue], axis=-1)


def _grey(image):
    """Linear from the 1st to the 99th percentile of what is not 0."""
    data = image[image != 0]
    if data.size == 0:
        return np.full((*image.shape, 3), _BLANK, np.uint8)
    low, high = np.percentile(data, [1, 99])
    low = min(low, high - 1e-6 * max(1.0, abs(high)))
    return grey_between(image, low, high)


def grey_between(image, low, high):
    """Grey picture, linear between two values; where the image is 0 it is dark."""
    level = np.clip((image - low) / (high - low), 0, 1) * 200 + 55
    level = np.where(image == 0, _BLANK, level).astype(np.uint8)
    return np.repeat(level[..., np.newaxis], 3, axis=-1)


def maskbits_picture(maskbits):
    """Colours of mask bits, one for each bit, transparent where none is set.

    Parameters
    ----------
    maskbits : numpy.ndarray of int32, shape (h, w)

    Returns
    -------
    numpy.ndarray of uint8, shape (h, w, 4)
        Red, green, blue, opacity; of several bits the mean colour.
    """
    total = np.zeros((*maskbits.shape, 3), np.float32)
    count = np.zeros(maskbits.shape, np.float32)
    for bit in range(31):
        here = (maskbits >> bit) & 1 == 1
        if here.any():
            total[here] += BIT_COLORS[bit % len(BIT_COLORS)]
            count[here] += 1
    picture = np.zeros((*maskbits.shape, 4), np.uint8)
    some = count > 0
    picture[some, :3] = (total[some] / count[some, np.newaxis]).astype(np.uint8)
    picture[some, 3] = 170
    return picture


def encode_jpeg(picture):
    """Baseline JPEG of quality 90; bytes."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(stream, "JPEG", quality=_QUALITY)
    return stream.getvalue()


def encode_png(picture):
    """PNG; bytes."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(stream, "PNG", compress_level=1)
    return stream.getvalue()
