"""World coordinate systems of images and resampling between them."""

from .base import ImageWcs, cd_pixel_scale, great_circle_distance
from .cards import inherited_cards, inherits, is_wcs_card
from .grid import MapGrid
from .header import wcs_from_header
from .resample import PixelMap
from .sip import SipWcs
from .tan import TanWcs, plane_to_sky, target_wcs
from .tpv import TpvWcs

__all__ = [
    "ImageWcs",
    "TanWcs",
    "TpvWcs",
    "SipWcs",
    "target_wcs",
    "wcs_from_header",
    "inherited_cards",
    "inherits",
    "is_wcs_card",
    "cd_pixel_scale",
    "plane_to_sky",
    "great_circle_distance",
    "MapGrid",
    "PixelMap",
]
