"""Access to what brick runs made: look-up, cutouts, crops, mosaics, tiles, catalogue queries, magnitudes.

Pure functions on output trees; the commands, the server and notebooks call the same ones.

>>> from legacypipe_lite.access import open_run
>>> run = open_run("out")  # doctest: +SKIP
>>> cut = run.cutout(110.312, 23.92, size=200, invvar=True)  # doctest: +SKIP
"""

from .brick_grid import GridBricks, brick_of_name, bricks_at, bricks_in_box
from .cutouts import Cutout, NoOverlapError, make_cutout
from .layers import Catalogue, Layer, SplitLayer
from .magnitudes import (
    ab_magnitude,
    asinh_magnitude,
    depth_magnitude,
    flux_of_magnitude,
    magnitude_error,
    vega_to_ab,
)
from .native import Crop, Mosaic, crop, mosaic, subimages
from .redirect import redirect
from .runs import Run, RunBrick, open_run
from .sweeps import find_sweep
from .tiles import draw_tile

__all__ = [
    "open_run",
    "Run",
    "RunBrick",
    "Catalogue",
    "Layer",
    "SplitLayer",
    "make_cutout",
    "Cutout",
    "NoOverlapError",
    "crop",
    "Crop",
    "mosaic",
    "Mosaic",
    "subimages",
    "draw_tile",
    "bricks_at",
    "bricks_in_box",
    "brick_of_name",
    "GridBricks",
    "ab_magnitude",
    "magnitude_error",
    "flux_of_magnitude",
    "depth_magnitude",
    "asinh_magnitude",
    "vega_to_ab",
    "find_sweep",
    "redirect",
]
