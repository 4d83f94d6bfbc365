"""Cut the images of a blob out of the tims."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..units import FWHM_PER_SIGMA
from .geometry_kernels import footprints
from .images import Cutout

if TYPE_CHECKING:
    from ..wcs import TanWcs
    from .tasks import BlobContext

__all__ = ["cut_tims", "blob_wcs"]


def blob_wcs(target: TanWcs, box: tuple[int, int, int, int]) -> TanWcs:
    """WCS of a blob's bounding box (x0, y0, w, h) in the brick."""
    return target.subimage(*box)


def cut_tims(context: BlobContext, box: tuple[int, int, int, int]) -> list[Cutout]:
    """The part of every tim that a blob's bounding box covers.

    Parameters
    ----------
    context : BlobContext
    box : (x0, y0, w, h)
        Bounding box in the target.

    Returns
    -------
    list of Cutout
        `image` and `inverr` are views of the tims.
    """
    x0, y0, w, h = box
    corners = np.array([x0, x0, x0 + w, x0 + w]), np.array([y0, y0 + h, y0 + h, y0])
    boxes = np.empty((len(context.tims), 4), np.int64)
    ra, dec = context.target.pixel_to_sky(*corners)
    footprints(context.packed, context.shapes, ra, dec, boxes)
    cutouts = []
    for i in np.flatnonzero(boxes[:, 2]):
        tim, (xa, ya, width, height) = context.tims[i], boxes[i].tolist()
        part = slice(ya, ya + height), slice(xa, xa + width)
        cutouts.append(
            Cutout(
                name=tim.name,
                band=tim.band,
                band_index=context.bands.index(tim.band),
                image=tim.image[part],
                inverr=tim.inverr[part],
                dq=tim.dq[part],
                wcs=tim.wcs.subimage(xa, ya, width, height),
                psf=tim.psf.subimage(xa, ya),
                sig1=tim.sig1,
                psf_sigma=tim.ccd.fwhm / FWHM_PER_SIGMA,
                mjd_tai=tim.mjd_tai,
            )
        )
    return cutouts
