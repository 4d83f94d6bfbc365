"""Small synthetic tims: the one builder of them for all tests."""

from dataclasses import replace

import numpy as np

from legacypipe_lite.bits import DQ
from legacypipe_lite.coadds import patched_kernels
from legacypipe_lite.models import CcdInfo, Tim, gaussian_psf
from legacypipe_lite.wcs import target_wcs

PIXSCALE = 0.262


def make_target(width=61, height=61, pixscale=PIXSCALE):
    """A small target grid."""
    return target_wcs(150.0, 20.0, width, height, pixscale)


def make_tim(wcs, image=None, *, inverr=None, dq=None, band="r", psf=None, psf_sigma=2.0, index=0, mjd=58000.0,
             sig1=1.0, ccd=None, **more):  # fmt: skip
    """A tim with the given WCS; zeros, inverse errors of 1 / `sig1` and no flags where nothing else is said.

    `ccd` are values of its `CcdInfo`, and `more` further ones of `Tim`.
    """
    shape = wcs.shape if image is None else np.shape(image)
    own = {"camera": "decam", "expnum": 1000 + index, "ccdname": "N1", "exptime": 90.0, "fwhm": 4.0, **(ccd or {})}
    fields = {
        "name": f"test-{index}",
        "image": np.zeros(shape, np.float32) if image is None else np.asarray(image, np.float32),
        "inverr": np.full(shape, 1 / sig1, np.float32) if inverr is None else np.asarray(inverr, np.float32),
        "dq": np.zeros(shape, np.uint16) if dq is None else np.asarray(dq, np.uint16),
        "psf": gaussian_psf(psf_sigma) if psf is None else psf,
        "psf_fwhm": psf_sigma * 2.35,
        "ccd": CcdInfo(
            band=band, image_filename=f"im{index}.fits", image_hdu=1, mjd_obs=mjd, pixscale=PIXSCALE, width=shape[1],
            height=shape[0], row=index, **own,
        ),
    }  # fmt: skip
    numbers = {"x0": 0, "y0": 0, "psfnorm": 0.15, "galnorm": 0.1, "zpscale": 1.0, "midsky": 0.0}
    return Tim(band=band, wcs=wcs, sig1=sig1, psf_sigma=psf_sigma, mjd_tai=mjd, **{**numbers, **fields, **more})


def with_outliers_masked(tim, mask, patch):
    """A copy of a tim with masked pixels patched and with outliers masked."""
    image = tim.image.copy()
    if patch is not None:
        image[tim.inverr == 0] = patch
    inverr = np.where(mask > 0, np.float32(0), tim.inverr)
    dq = np.where(mask > 0, tim.dq | tim.dq.dtype.type(DQ["outlier"]), tim.dq)
    return replace(tim, image=image, inverr=inverr, dq=dq)


def patch_masked(image, good):
    """Copy of an image in which the kernels of `patched_kernels` have filled masked pixels next to good ones."""
    image = np.array(image, dtype=np.float32, order="C")
    good = np.array(good, dtype=bool, order="C")
    n_bad = good.size - np.count_nonzero(good)
    if 0 < n_bad < good.size:
        ys, xs = np.empty((2, n_bad), np.int32)
        n = patched_kernels.needed_pixels(good, patched_kernels.PATCH_RADIUS, ys, xs)
        patched_kernels.patch_pixels(image, good, ys, xs, n)
    return image
