"""Small synthetic tims for the tests of the coadds."""

from dataclasses import replace

import numpy as np

from legacypipe_lite.bits import DQ
from legacypipe_lite.coadds import patch_kernels
from legacypipe_lite.models import CcdInfo, Tim, gaussian_psf
from legacypipe_lite.wcs import target_wcs

PIXSCALE = 0.262


def make_target(width=61, height=61, pixscale=PIXSCALE):
    """A small target grid."""
    return target_wcs(150.0, 20.0, width, height, pixscale)


def make_tim(wcs, image=None, *, inverr=None, dq=None, band="r", psf_sigma=2.0, index=0, mjd=58000.0, sig1=1.0, **more):
    """A tim with the given WCS; zeros, inverse errors of 1 and no flags where nothing else is said."""
    shape = wcs.shape
    values = {"psfnorm": 0.15, "galnorm": 0.1, "x0": 0, "y0": 0, "primary_cards": {}}
    values.update(more)
    return Tim(
        name=f"test-{index}",
        band=band,
        image=np.zeros(shape, np.float32) if image is None else np.asarray(image, np.float32),
        inverr=np.ones(shape, np.float32) if inverr is None else np.asarray(inverr, np.float32),
        dq=np.zeros(shape, np.uint16) if dq is None else np.asarray(dq, np.uint16),
        wcs=wcs,
        psf=values.pop("psf", None) or gaussian_psf(psf_sigma),
        sig1=sig1,
        psf_fwhm=psf_sigma * 2.35,
        psf_sigma=psf_sigma,
        mjd_tai=mjd,
        zpscale=1.0,
        midsky=0.0,
        ccd=CcdInfo("decam", 1000 + index, "N1", band, f"im{index}.fits", 1, 90.0, mjd, 4.0, PIXSCALE, *shape[::-1]),
        **values,
    )


def with_outliers_masked(tim, mask, patch):
    """A copy of a tim with masked pixels patched and with outliers masked."""
    image = tim.image.copy()
    if patch is not None:
        image[tim.inverr == 0] = patch
    inverr = np.where(mask > 0, np.float32(0), tim.inverr)
    dq = np.where(mask > 0, tim.dq | tim.dq.dtype.type(DQ["outlier"]), tim.dq)
    return replace(tim, image=image, inverr=inverr, dq=dq)


def patch_masked(image, good):
    """Copy of an image in which the kernels of `patch_kernels` have filled masked pixels next to good ones."""
    image = np.array(image, dtype=np.float32, order="C")
    good = np.array(good, dtype=bool, order="C")
    n_bad = good.size - np.count_nonzero(good)
    if 0 < n_bad < good.size:
        ys, xs = np.empty((2, n_bad), np.int32)
        n = patch_kernels.needed_pixels(good, patch_kernels.PATCH_RADIUS, ys, xs)
        patch_kernels.patch_pixels(image, good, ys, xs, n)
    return image
