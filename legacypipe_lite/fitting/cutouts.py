"""Cut the images of a blob out of the tims."""

import numpy as np

from .images import Cutout

__all__ = ["cut_tims", "blob_wcs"]


def blob_wcs(target, box):
    """WCS of a blob's bounding box (x0, y0, w, h) in the brick."""
    return target.subimage(*box)


def cut_tims(tims, target, box, bands):
    """The part of every tim that a blob's bounding box covers.

    Parameters
    ----------
    tims : list of Tim
    target : TanWcs
    box : (x0, y0, w, h)
        Bounding box in the target.
    bands : list of str

    Returns
    -------
    list of Cutout
        `image` and `inverr` are copies.
    """
    x0, y0, w, h = box
    corners = np.array([x0, x0, x0 + w, x0 + w]), np.array([y0, y0 + h, y0 + h, y0])
    ra, dec = target.pixel_to_sky(*corners)
    cutouts = []
    for tim in tims:
        px, py = tim.wcs.sky_to_pixel(ra, dec)
        height, width = tim.shape
        if not (np.all(np.isfinite(px)) and np.all(np.isfinite(py))):
            continue
        if px.max() < 0 or py.max() < 0 or px.min() > width or py.min() > height:
            continue
        xa, xb = _clip(np.floor(px.min()), width), _clip(np.ceil(px.max()), width) + 1
        ya, yb = _clip(np.floor(py.min()), height), _clip(np.ceil(py.max()), height) + 1
        part = slice(ya, yb), slice(xa, xb)
        cutouts.append(
            Cutout(
                name=tim.name,
                band=tim.band,
                band_index=bands.index(tim.band),
                image=tim.image[part].copy(),
                inverr=tim.inverr[part].copy(),
                dq=tim.dq[part],
                wcs=tim.wcs.subimage(xa, ya, xb - xa, yb - ya),
                psf=tim.psf.subimage(xa, ya),
                sig1=tim.sig1,
                psf_sigma=tim.ccd.fwhm / 2.35,
                mjd_tai=tim.mjd_tai,
            )
        )
    return cutouts


def _clip(value, size):
    return int(min(max(value, 0), size - 1))
