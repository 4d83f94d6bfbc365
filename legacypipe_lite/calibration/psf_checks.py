"""Can this be the image of a star? Checks of PSF stamps, made once, when a model is read or made."""

import math

import numpy as np

__all__ = ["equivalent_fwhm", "stamp_problem"]

#: Part of the absolute sum of a stamp that its sum must be at least: ringing leaves 0.94 and more.
_MIN_SUM = 0.5
#: FWHM of the stamp over the FWHM that is stated; real models have 1.02 to 1.25.
_NARROWEST, _WIDEST = 0.65, 1.9
#: Below so many pixels of FWHM the narrow limit does not hold: stamps are no longer sampled.
_SAMPLED_FWHM = 2.5
#: The same limits where the FWHM is only that of the image header.
_LOOSE = 4.0


def equivalent_fwhm(stamp: np.ndarray) -> float:
    """FWHM [pixel] of the Gaussian with the noise-equivalent area of a stamp.

    Parameters
    ----------
    stamp : numpy.ndarray, shape (ny, nx)
    """
    p = np.asarray(stamp, np.float64) / np.sum(stamp, dtype=np.float64)
    return 2.0 * math.sqrt(2.0 * math.log(2.0)) / math.sqrt(4.0 * math.pi * float(np.sum(p**2)))


def stamp_problem(stamp: np.ndarray, fwhm: float, loose: bool = False) -> str:
    """What keeps a stamp from being the image of a star, or "".

    Parameters
    ----------
    stamp : numpy.ndarray, shape (ny, nx)
        Its centre is pixel (ny // 2, nx // 2).
    fwhm : float
        As the model states it [pixel of the stamp].
    loose : bool
        `fwhm` is only roughly known.
    """
    if not np.all(np.isfinite(stamp)):
        return "the stamp is not finite"
    total, absolute = float(np.sum(stamp, dtype=np.float64)), float(np.sum(np.abs(stamp), dtype=np.float64))
    if not total > _MIN_SUM * absolute:
        return f"its pixels add up to {total:.3g}, their absolute values to {absolute:.3g}: no image of a star"
    width = equivalent_fwhm(stamp)
    narrowest, widest = (1 / _LOOSE, _LOOSE) if loose else (_NARROWEST, _WIDEST)
    if width > widest * fwhm or (width < narrowest * fwhm and fwhm >= _SAMPLED_FWHM):
        return f"the stamp has a FWHM of {width:.3g} of its pixels, but {fwhm:.3g} is stated"
    y, x = np.unravel_index(np.argmax(stamp), stamp.shape)
    distance = math.hypot(y - stamp.shape[0] // 2, x - stamp.shape[1] // 2)
    if distance > max(3.0, fwhm):
        return f"its peak is {distance:.1f} pixels from its centre"
    return ""
