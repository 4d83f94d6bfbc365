"""Mean PSF of a band on the target's pixel scale."""

import numpy as np

from ..models.psf import resample_stamp

__all__ = ["coadd_psf"]


def coadd_psf(tims, target):
    """Mean PSF of the images of a band, weighted like the coadd (1 / sig1^2).

    Parameters
    ----------
    tims : list of Tim
        Of one band.
    target : TanWcs

    Returns
    -------
    numpy.ndarray of float32, shape (odd, odd)
        Sum 1, centred. Stamps smaller than the largest one are padded with zeros.
    """
    stamps, weights = [], []
    for tim in tims:
        stamp = tim.psf.stamp(tim.shape[1] / 2.0, tim.shape[0] / 2.0)
        stamp = resample_stamp(stamp / stamp.sum(), tim.ccd.pixscale / target.pixel_scale)
        stamps.append(stamp / stamp.sum())
        weights.append(1.0 / tim.sig1**2)
    height, width = (max(stamp.shape[axis] for stamp in stamps) for axis in (0, 1))
    mean = np.zeros((height, width))
    for stamp, weight in zip(stamps, weights):
        h, w = stamp.shape
        y0, x0 = (height - h) // 2, (width - w) // 2
        mean[y0 : y0 + h, x0 : x0 + w] += weight * stamp
    return (mean / mean.sum()).astype(np.float32)
