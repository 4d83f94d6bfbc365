"""Mosaic-3 on the Mayall telescope: images in counts per second, about 4054 x 4079 pixels, CCDs CCD1-CCD4."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from . import weights
from .base import CcdImage
from .raw import RawImage

if TYPE_CHECKING:
    import fitsio

__all__ = ["CountRateImage", "MosaicImage"]


class CountRateImage(CcdImage):
    """What Mosaic-3 and 90Prime have in common: weights without the noise of sources, amplifier corrections."""

    ignored_codes = (7, 8)

    def remap_weights(self, raw: RawImage) -> NDArray[np.float32]:
        """Weights with the photon noise of sources."""
        sky, exptime = (self._primary_number(raw.primary_header, card) for card in ("SKYADU", "EXPTIME"))
        if not exptime > 0:
            raise InputError(f"{self.image_path}: EXPTIME is {exptime}, but must be positive")
        return weights.add_source_noise(raw.invvar, raw.image, raw.dq, sky, exptime)

    def _primary_number(self, header: fitsio.FITSHDR, card: str) -> float:
        try:
            value = float(header[card])
        except (KeyError, TypeError, ValueError):
            value = np.nan
        if not np.isfinite(value):
            raise InputError(f"{self.image_path}: no usable card {card} in the primary header")
        return value

    def amplifier_scales(self) -> list[Any]:
        """Corrections of the table for this CCD."""
        return self.tabulated_amplifier_scales()


class MosaicImage(CountRateImage):
    """An image of Mosaic-3."""
