"""Values of the stacked maps at the positions of the sources."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..catalog import COADD_MAPS
from .accumulate import BandCoadd

__all__ = ["pixel_of", "sample_coadd"]


def pixel_of(x: ArrayLike, y: ArrayLike, shape: tuple[int, int]) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Nearest pixel of positions, moved onto the image where they lie off it.

    Parameters
    ----------
    x, y : array_like of float
    shape : (int, int)

    Returns
    -------
    ix, iy : numpy.ndarray of int
        Rounded half to even; 0 for positions that are not finite.
    """
    height, width = shape
    ix, iy = (np.rint(np.nan_to_num(np.asarray(a, np.float64))).astype(np.int64) for a in (x, y))
    return np.clip(ix, 0, width - 1), np.clip(iy, 0, height - 1)


def sample_coadd(coadd: BandCoadd, ix: NDArray[np.integer], iy: NDArray[np.integer]) -> dict[str, NDArray]:
    """Values of a band's maps at pixels.

    Parameters
    ----------
    coadd : BandCoadd
    ix, iy : numpy.ndarray of int

    Returns
    -------
    dict of str -> numpy.ndarray
        The columns of `catalog.COADD_MAPS`, in the type of their maps.
    """
    return {name: getattr(coadd, attribute)[iy, ix].copy() for name, attribute in COADD_MAPS.items()}
