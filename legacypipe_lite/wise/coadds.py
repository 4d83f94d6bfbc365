"""Coadds of unWISE images and models on a brick's own grid of WISE pixels, and their pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..wcs import PixelMap, target_wcs
from .tiles import PIXEL_SCALE

if TYPE_CHECKING:
    from ..wcs import ImageWcs, TanWcs

__all__ = ["WiseCoadd", "wise_target", "coadd_tiles", "wise_picture"]

_PICTURE_SCALE = np.float32(50.0)  # Vega nanomaggies per pixel
_PICTURE_LOW, _PICTURE_HIGH = np.float32(np.arcsinh(-1.0)), np.float32(np.arcsinh(100.0))


class WiseCoadd(NamedTuple):
    """Coadds of one band, float32 maps [Vega nanomaggies per pixel]; 0 where there are no data."""

    image: np.ndarray
    model: np.ndarray
    invvar: np.ndarray


def wise_target(target: ImageWcs) -> TanWcs:
    """The grid of WISE coadds: same centre as the brick, 2.75 arcsec per pixel.

    Parameters
    ----------
    target : TanWcs
        Of the brick.

    Returns
    -------
    TanWcs
    """
    ra, dec = target.pixel_to_sky((target.width - 1) / 2, (target.height - 1) / 2)
    width, height = (max(1, int(n * target.pixel_scale / PIXEL_SCALE)) for n in (target.width, target.height))
    return target_wcs(ra, dec, width, height, PIXEL_SCALE)


def coadd_tiles(wcs, images, models):
    """Resample the tiles of one band to a common grid; each pixel shows the first tile that has data there.

    Parameters
    ----------
    wcs : TanWcs
        Of the common grid.
    images : list of TileImage
    models : list of numpy.ndarray of float32
        Model of each tile image.

    Returns
    -------
    WiseCoadd
    """
    coadd = WiseCoadd(*(np.zeros(wcs.shape, np.float32) for _ in range(3)))
    for tile, model in zip(images, models):
        pixels = PixelMap.build(wcs, tile.wcs)
        if pixels is None:
            continue
        invvar = pixels.nearest(tile.coadd_invvar)
        new = (invvar > 0) & (coadd.invvar[pixels.box] == 0)
        coadd.invvar[pixels.box][new] = invvar[new]
        coadd.image[pixels.box][new] = pixels.lanczos(tile.image)[new]
        coadd.model[pixels.box][new] = pixels.lanczos(model)[new]
    return coadd


def wise_picture(w1, w2):
    """Colour picture of W1 (blue) and W2 (red).

    Parameters
    ----------
    w1, w2 : numpy.ndarray of float32, shape (h, w)
        Vega nanomaggies per pixel.

    Returns
    -------
    numpy.ndarray of uint8, shape (h, w, 3)
    """
    blue, red = (np.asarray(image, np.float32) / _PICTURE_SCALE for image in (w1, w2))
    mean = (blue + red) / 2
    gain = np.divide(np.arcsinh(mean), mean, out=np.zeros_like(mean), where=mean != 0)
    blue, red = (_to_bytes(plane * gain) for plane in (blue, red))
    return np.stack([red, red // 2 + blue // 2, blue], axis=2)


def _to_bytes(plane):
    return (np.clip((plane - _PICTURE_LOW) / (_PICTURE_HIGH - _PICTURE_LOW), 0, 1) * 255).astype(np.uint8)
