"""The simulated field: a brick, a window of it, and the larger area in which there are sources."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..survey import Brick
from ..wcs import TanWcs, target_wcs
from .tiling import brick_at

if TYPE_CHECKING:
    from .options import SimulationOptions

__all__ = ["PIXSCALE", "Field", "make_field"]

#: Of bricks [arcsec].
PIXSCALE = 0.262
_BRICK_PIXELS = 3600
#: Images reach this far beyond the field, sources a little farther [brick pixels].
IMAGE_MARGIN = 80
SOURCE_MARGIN = 140


@dataclass(frozen=True)
class Field:
    """The simulated field.

    Attributes
    ----------
    brick : Brick
    zoom : (int, int, int, int) or None
        Half-open window x0, x1, y0, y1 of the brick; None: all of it.
    target : TanWcs
        Of the window: what a brick run will look at.
    """

    brick: Brick
    zoom: tuple[int, int, int, int] | None
    target: TanWcs

    def grown(self, margin: int) -> TanWcs:
        """`TanWcs` of the field grown by `margin` pixels on all sides."""
        t = self.target
        return t.subimage(-margin, -margin, t.width + 2 * margin, t.height + 2 * margin)

    @property
    def source_area(self) -> TanWcs:
        """`TanWcs` of the area that holds sources."""
        return self.grown(SOURCE_MARGIN)

    @property
    def image_area(self) -> TanWcs:
        """`TanWcs` of the area that images cover at least."""
        return self.grown(IMAGE_MARGIN)

    @property
    def centre(self) -> tuple[float, float]:
        """RA, Dec [deg]."""
        return self.target.pixel_to_sky((self.target.width - 1) / 2, (self.target.height - 1) / 2)

    @property
    def run_arguments(self) -> list[str]:
        """Arguments of `runbrick` that select the field."""
        arguments = ["--brick", self.brick.name]
        return arguments if self.zoom is None else [*arguments, "--zoom", *map(str, self.zoom)]


def make_field(options: SimulationOptions) -> Field:
    """The field of a simulation.

    Parameters
    ----------
    options : SimulationOptions

    Returns
    -------
    Field
    """
    brick = brick_at(options.ra, options.dec)
    zoom = None
    if not options.full_brick:
        x0, y0 = (_BRICK_PIXELS - options.width) // 2, (_BRICK_PIXELS - options.height) // 2
        zoom = (x0, x0 + options.width, y0, y0 + options.height)
    return Field(brick, zoom, target_wcs(brick.ra, brick.dec, _BRICK_PIXELS, _BRICK_PIXELS, PIXSCALE, zoom))
