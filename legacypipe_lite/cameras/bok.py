"""90Prime on the Bok telescope: images in counts per second, 4032 x 4096 pixels, CCDs CCD1-CCD4."""

import numpy as np
from numpy.typing import NDArray

from ..calibration import BOK_RECIPE
from .extent import Region
from .mosaic import CountRateImage
from .static_mask import STATIC_MASK_FILE, static_mask

__all__ = ["BokImage"]


class BokImage(CountRateImage):
    """An image of 90Prime."""

    psf_recipe = BOK_RECIPE

    def remap_dq(self, codes: NDArray[np.integer], plver: str, region: Region) -> NDArray[np.uint16]:
        """Bits from codes; good pixels of the static mask become bad."""
        codes = np.array(codes, np.int32)
        bad = static_mask(self.hdu, region, self.survey.data_file(STATIC_MASK_FILE))
        codes[bad & (codes == 0)] = 1
        return self.bits_from_codes(codes, self.ignored_codes)
