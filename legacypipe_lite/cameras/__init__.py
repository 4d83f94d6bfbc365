"""Cameras: the rules by which each camera's images become calibrated sub-images."""

from .base import CcdImage
from .bok import BokImage
from .calibrations import CcdField
from .decam import DecamImage
from .mosaic import MosaicImage
from .raw import RawImage, UnusableImage
from .registry import camera_class, camera_name, known_cameras, load_camera_modules, register_camera

__all__ = [
    "BokImage",
    "CcdField",
    "CcdImage",
    "DecamImage",
    "MosaicImage",
    "RawImage",
    "UnusableImage",
    "camera_class",
    "camera_name",
    "known_cameras",
    "load_camera_modules",
    "register_camera",
]
