"""DECam: images in counts, 2046 x 4094 pixels, CCDs N1-N31 and S1-S31."""

from __future__ import annotations

import logging
import os
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..bits import DQ
from ..calibration import SkyTemplate, find_sky_template, plver_at_least
from ..errors import InputError
from . import dq as dq_maps
from .base import CcdImage
from .extent import Region

if TYPE_CHECKING:
    from .files import FitsImage

__all__ = ["DecamImage"]

logger = logging.getLogger(__name__)

_BAD_COLUMNS = {"S17": (slice(0, 3889), slice(538, 544))}
_S19_SATURATION = 46000.0
_GLOWING_EDGES_UNTIL = 298251  # exposure number
_JUMP_CCDS = ("S30", "N14", "S19", "S16", "S10")


class DecamImage(CcdImage):
    """An image of the Dark Energy Camera."""

    fwhm_cards = ("FWHM",)
    sky_jumps = {"g": _JUMP_CCDS, "r": _JUMP_CCDS, "i": _JUMP_CCDS, "z": ("S30",)}

    @property
    def has_halos(self) -> bool:  # type: ignore[override]  # read-only here
        """Star halos are modelled (not in images with added noise)."""
        return self.camera == "decam"

    def zeropoint(self) -> float:
        """Magnitude of one count: that of one count per second and the exposure time."""
        # Only the logarithm is single precision: the published images were made so.
        return float(self.ccd["ccdzpt"]) + 2.5 * log10_single(self.exptime)

    def good_region(self) -> Region:
        """Without the half of S7 that does not respond, and the glowing edges of early r exposures."""
        x1, y0, y1 = self.width, 0, self.height
        if self.ccdname == "S7":
            x1 = min(x1, 1023)
        if self.band == "r" and self.expnum < _GLOWING_EDGES_UNTIL:
            if "N" in self.ccdname:
                y0 = 100
            else:
                y1 = self.height - 100
        return Region(0, x1, y0, y1)

    def remap_dq(self, codes: NDArray[np.integer], plver: str, region: Region) -> NDArray[np.uint16]:
        """Bits from codes (PLVER 3.5.0 and later) or from the older bit masks."""
        if self._version_at_least(plver, "3.5.0"):
            ignored = (8,) if self._version_at_least(plver, "4.8.0") else (5, 8)
            dq = dq_maps.bits_from_codes(codes, ignored)
            dq_maps.clean_bleeds(dq)
        else:
            dq = codes.astype(np.uint16)
            both = DQ["badpix"] | DQ["satur"]
            dq[(dq & both) == both] &= ~np.uint16(DQ["satur"])
        if self.ccdname in _BAD_COLUMNS:
            rows, columns = _BAD_COLUMNS[self.ccdname]
            bad = region.intersection(Region(columns.start, columns.stop, rows.start, rows.stop))
            if bad.width > 0 and bad.height > 0:
                y0, x0 = region.y0, region.x0
                dq[bad.y0 - y0 : bad.y1 - y0, bad.x0 - x0 : bad.x1 - x0] |= np.uint16(DQ["badpix"])
        return dq

    def _version_at_least(self, plver: str, minimum: str) -> bool:
        try:
            return plver_at_least(plver, minimum)
        except ValueError as e:
            raise InputError(f"{self.dq_filename()}: {e}") from None

    def read_weights(self, region: Region, dq: NDArray[np.uint16]) -> NDArray[np.float32]:
        """Cleaned weights; some files hold a frame of one pixel more on each side."""
        with self._open(self.weight_filename(), shape=None) as weight_file:
            frame = self._frame(weight_file)
            shifted = Region(region.x0 + frame, region.x1 + frame, region.y0 + frame, region.y1 + frame)
            invvar = weight_file.read(shifted).astype(np.float32, copy=False)
            quantized = weight_file.quantization()
        self.clean_weights(invvar, dq, quantized, shifted.y0)
        return invvar

    def _frame(self, weight_file: FitsImage) -> int:
        """Width of the frame around the weight map."""
        excess = (weight_file.shape[0] - self.height, weight_file.shape[1] - self.width)
        if excess not in ((0, 0), (2, 2)):
            expected = (self.height, self.width)
            raise InputError(f"{weight_file.path}: HDU {self.hdu}: shape is {weight_file.shape}, expected {expected}")
        return excess[0] // 2

    def flag_saturation(
        self, image: NDArray[np.float32], dq: NDArray[np.uint16], invvar: NDArray[np.float32], plver: str
    ) -> None:
        """Flag saturated pixels of CCD S19, which has a low full well, in images of older processing."""
        if self.ccdname != "S19" or self._version_at_least(plver, "4.9.0"):
            return
        saturated = (image > _S19_SATURATION) & (dq == 0) & (invvar > 0)
        dq[saturated] |= np.uint16(DQ["satur"])
        invvar[saturated] = 0
        logger.debug("%s: %d more saturated pixels", self.name, saturated.sum())

    def sky_template(self) -> SkyTemplate | None:
        """Large-scale sky pattern of the CCD, from $SKY_TEMPLATE_DIR."""
        return self._sky_template

    @cached_property
    def _sky_template(self) -> Any:
        folder = os.environ.get("SKY_TEMPLATE_DIR")
        return find_sky_template(folder, self.identity, self.band, self.options.old_calibs_ok)


def log10_single(value: float) -> float:
    """Logarithm in single precision, as the reference takes that of exposure times.

    Its last digits depend on the processor: NumPy's vectorised form (AVX-512) is up to two units in the last place off,
    7e-7 of the zero point.
    """
    return float(np.log10(np.float32(value)))
