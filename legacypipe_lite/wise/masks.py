"""WISE mask bits of a brick's pixels, from the masks of the unWISE tiles."""

import numpy as np

from ..bits import WISEMASK
from ..wcs import PixelMap
from .images import read_mask
from .tiles import region_of_interest

__all__ = ["collapse_mask", "add_tile_mask"]

#: Name of the bit -> bits of the unWISE mask that set it in W1 and in W2.
_SOURCE_BITS = {
    "BRIGHT": ((0, 1), (2, 3)),
    "SPIKE": ((27,), (28,)),
    "GHOST": ((25, 26), (11, 12)),
    "LATENT": ((13, 14), (15, 16)),
    "LATENT2": ((17, 18), (19, 20)),
    "HALO": ((23,), (24,)),
    "SATUR": ((4,), (5,)),
    "SPIKE2": ((29,), (30,)),
}


def collapse_mask(mask, band):
    """WISE mask bits (`bits.WISEMASK`) of one band from the bits of the unWISE masks.

    Parameters
    ----------
    mask : numpy.ndarray of uint32
    band : int
        1 or 2.

    Returns
    -------
    numpy.ndarray of uint8
    """
    bits = np.zeros(mask.shape, np.uint8)
    if not mask.any():
        return bits
    for bit in WISEMASK:
        wanted = np.uint32(sum(1 << n for n in _SOURCE_BITS[bit.name][band - 1]))
        bits[(mask & wanted) != 0] |= np.uint8(bit.value)
    return bits


def add_tile_mask(masks, path, wcs, tile, target):
    """Enter a tile's mask into the maps of a brick (nearest pixel), where the tile's unique area is.

    Parameters
    ----------
    masks : list of two numpy.ndarray of uint8
        Of W1 and W2, on the brick's pixels; changed in place.
    path : Path
        The tile's mask file.
    wcs : ImageWcs
        Of the whole tile, with its astrometric correction.
    tile : Tile
    target : ImageWcs
        Of the brick.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    region = region_of_interest(wcs, target)
    if region is None:
        return
    x0, x1, y0, y1 = region
    mask = read_mask(path, region)
    if not mask.any():
        return
    pixels = PixelMap.build(target, wcs.subimage(x0, y0, x1 - x0, y1 - y0))
    if pixels is None:
        return
    values = pixels.nearest(mask)
    y, x = np.nonzero(values)
    own = tile.contains(*target.pixel_to_sky(x + pixels.x0, y + pixels.y0))
    y, x = y[own], x[own]
    for band in (1, 2):
        masks[band - 1][y + pixels.y0, x + pixels.x0] = collapse_mask(values[y, x], band)
