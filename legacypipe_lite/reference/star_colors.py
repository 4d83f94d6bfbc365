"""Optical magnitudes of stars from Gaia photometry, and the radius of the mask around a star."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["BANDS", "gaia_to_optical", "mask_radius", "MAX_MASK_RADIUS"]

# Polynomials in BP - RP that are added to the base magnitude (G; BP for u), lowest power first. They were fitted
# for the Legacy Surveys to stars seen by both Gaia and DECam.
_POLYNOMIALS = {
    "g": (-0.1178631039, 0.3650113495, 0.5608615360, -0.2850687702, -1.0243473939, 1.4378375491, 0.0679401731,
          -1.1713172509, 0.9107811975, -0.3374324004, 0.0683946390, -0.0073089582, 0.0003230170),
    "r": (0.1139078673, -0.2868955307, 0.0013196434, 0.1029151074, 0.1196710702, -0.3729031390, 0.1859874242,
          0.1370162451, -0.1808580848, 0.0803219195, -0.0180218196, 0.0020584707, -0.0000953486),
    "i": (0.3396481660, -0.6491867119, -0.3330769819, 0.4381097294, 0.5752125977, -1.4746570523, 1.2979140762,
          -0.6371018151, 0.1948940062, -0.0382055596, 0.0046907449, -0.0003296841, 0.0000101480),
    "z": (0.4811198057, -0.9990015041, 0.1403990019, 0.2150988888, -0.2917655866, 0.1326831887, -0.0259205004,
          0.0018548776),
    "u": (-0.41424252, -1.31861541, 4.92371886, -2.56436345, 0.39205685),
    "N395": (1.8757, -7.2503, 11.9664, -5.8214, 0.9271),
    "M411": (-0.121135807, 0.214202972, -0.432275297, 6.33517298, -6.16359698, -10.5837512, 30.6209588, -32.3682815,
             18.961989, -6.68321801, 1.41269689, -0.165375832, 0.00825599733),
    "M438": (-0.0366575264, 0.148435846, -1.73012913, 7.94291264, -2.59147985, -19.9128805, 36.7698794, -31.5884298,
             15.9377805, -4.98555542, 0.954462291, -0.102772045, 0.0047791309),
    "M464": (-0.159291847, 0.404280833, 0.216697525, 1.33091203, -1.3403765, -3.65518804, 8.69839989, -8.05791299,
             4.14722148, -1.28622435, 0.240118347, -0.0249686426, 0.001115772),
    "M490": (-0.0288551549, 0.102359685, 0.413203971, 1.58167708, -3.59089787, -0.815820939, 9.10026694, -11.3422226,
             7.04242478, -2.53797638, 0.539870363, -0.0631013162, 0.003132881),
    "M517": (-0.118259758, 0.328822667, 1.34465039, -2.35947092, -1.99802997, 7.72242161, -5.60664076, -0.265119231,
             2.37946742, -1.39398479, 0.383994131, -0.0532835762, 0.00300229245),
}  # fmt: skip

#: Bands with a transformation.
BANDS = tuple(_POLYNOMIALS)

_NARROW = ("M411", "M438", "M464", "M490", "M517", "N395")
_COLOR_RANGE = {band: (0.0, 3.3) if band in _NARROW else (-0.6, 4.1) for band in BANDS}
_UNKNOWN_COLOR = 1.4
_UNKNOWN_MAG = 30.0

#: Mask radius of a star of magnitude 0 [arcsec].
MAX_MASK_RADIUS = 1630.0


def gaia_to_optical(band: str, g: ArrayLike, bp: ArrayLike, rp: ArrayLike) -> NDArray[np.float64]:
    """AB magnitude in an optical band from Gaia's G, BP and RP.

    Parameters
    ----------
    band : str
        One of `BANDS`.
    g, bp, rp : array_like
        Gaia magnitudes (Vega); 0 or NaN where not measured.

    Returns
    -------
    numpy.ndarray of float64
        30 where the base magnitude is not measured.
    """
    g, bp, rp = (np.nan_to_num(np.asarray(m, np.float64), nan=0.0) for m in (g, bp, rp))
    color = np.where((bp == 0) | (rp == 0), _UNKNOWN_COLOR, bp - rp)
    color = np.clip(color, *_COLOR_RANGE[band])
    base = bp if band == "u" else g
    mag = base + np.polynomial.polynomial.polyval(color, _POLYNOMIALS[band])
    return np.where(base == 0, _UNKNOWN_MAG, mag)


def mask_radius(mag: ArrayLike) -> NDArray[np.float64]:
    """Radius [deg] of the mask around a star: 1630 arcsec at magnitude 0, smaller by 1.396 per magnitude."""
    return MAX_MASK_RADIUS / 3600.0 * 1.396 ** (-np.asarray(mag, np.float64))
