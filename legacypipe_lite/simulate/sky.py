"""Sky background of the mock images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..calibration.sky import SplineSky

if TYPE_CHECKING:
    from .exposures import CcdPlan

__all__ = ["ccd_sky"]

_GRID_STEP = 256  # pixels, as in real sky models
_ORDER = 3


def ccd_sky(plan: CcdPlan) -> SplineSky:
    """The sky of a CCD image: a level with a gentle slope and curvature.

    Parameters
    ----------
    plan : CcdPlan

    Returns
    -------
    SplineSky
        In the frame of the whole CCD, its origin shifted to the plan's window; image units.
    """
    place, window = plan.place, plan.window
    rng = plan.generator("sky")
    slope = rng.normal(0.0, 0.01, 2)
    curvature = rng.normal(0.0, 0.004, 2)
    xgrid, ygrid = _grid(place.width), _grid(place.height)
    u, v = xgrid / place.width - 0.5, ygrid[:, np.newaxis] / place.height - 0.5
    shape = 1.0 + slope[0] * u + slope[1] * v + curvature[0] * u**2 + curvature[1] * v**2
    values = (plan.exposure.sky_level * shape).astype(np.float32)
    return SplineSky(xgrid, ygrid, values, _ORDER, window.x0, window.y0)


def _grid(size: int) -> NDArray[np.int32]:
    """Grid positions of a sky model along an axis."""
    n = size // _GRID_STEP + 2
    start = (size - (n - 2) * _GRID_STEP) // 2
    return (start + np.trunc(_GRID_STEP * (np.arange(n) - 0.5))).astype(np.int32)
