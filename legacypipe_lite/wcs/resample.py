"""Pixel maps between two images on the sky, with nearest-neighbour and Lanczos-3 resampling.

The mapping rules (control grid of about 25 pixels, margins, truncation) are those of the Legacy Surveys
pipeline, so that maps, masks and exposure counts agree with it to the pixel; see ``docs/differences``.
"""

import math

import numpy as np

from . import resample_kernels as kernels

__all__ = ["PixelMap"]

GRID_STEP = 25
GRID_MARGIN = 12


class PixelMap:
    """Where the pixels of an output image fall on an input image.

    Use `PixelMap.build`. The map covers a rectangular box of the output image, which holds every output pixel
    that can lie on the input image.

    Attributes
    ----------
    x0, y0 : int
        Origin of the box in the output image.
    fx, fy : numpy.ndarray, shape (box height, box width)
        Position on the input image (0-based pixels), float32 where it was interpolated from a control grid,
        float64 where it was evaluated exactly (small boxes).
    ix, iy : numpy.ndarray of int32
        Nearest input pixel, -1 where the output pixel lies off the input image. Nearest means truncation
        toward zero of the position + 0.5: positions down to -1.5 (exclusive) count as pixel 0.
    """

    def __init__(self, x0, y0, fx, fy, in_shape):
        self.x0, self.y0 = int(x0), int(y0)
        self.fx, self.fy = fx, fy
        self.in_shape = in_shape
        self.ix = np.empty(fx.shape, np.int32)
        self.iy = np.empty(fx.shape, np.int32)
        kernels.nearest_maps(fx, fy, fx.dtype.type(0.5), in_shape[1], in_shape[0], self.ix, self.iy)

    @classmethod
    def build(cls, out_wcs, in_wcs):
        """Map of the pixels of `out_wcs` to those of `in_wcs`.

        Parameters
        ----------
        out_wcs, in_wcs : ImageWcs

        Returns
        -------
        PixelMap or None
            None if the two images do not overlap.
        """
        wi, hi = in_wcs.width, in_wcs.height
        cx, cy = in_wcs.map_to(out_wcs, [0, 0, wi - 1, wi - 1], [0, hi - 1, hi - 1, 0])
        if not (np.all(np.isfinite(cx)) and np.all(np.isfinite(cy))):
            return None
        x0, x1 = int(np.rint(cx.min())), int(np.rint(cx.max()))
        y0, y1 = int(np.rint(cy.min())), int(np.rint(cy.max()))
        xlo, xhi = max(0, x0 - GRID_MARGIN), min(out_wcs.width - 1, x1 + GRID_MARGIN)
        ylo, yhi = max(0, y0 - GRID_MARGIN), min(out_wcs.height - 1, y1 + GRID_MARGIN)
        if xlo > xhi or ylo > yhi:
            return None
        nx = math.ceil((xhi - xlo) / GRID_STEP) + 1
        ny = math.ceil((yhi - ylo) / GRID_STEP) + 1
        dtype = np.float32
        if nx <= 3 or ny <= 3:
            # Small boxes have no margin, and positions are not rounded to float32. A grid, padded so that it has an
            # extent, gives them to 1e-9 pixel.
            dtype = np.float64
            xlo, xhi = max(0, x0), min(out_wcs.width - 1, x1)
            ylo, yhi = max(0, y0), min(out_wcs.height - 1, y1)
            if xlo > xhi or ylo > yhi:
                return None
        shape = (yhi - ylo + 1, xhi - xlo + 1)
        fx, fy = np.empty(shape, dtype), np.empty(shape, dtype)
        grid = (*_nodes(xlo, xhi, dtype), *_nodes(ylo, yhi, dtype))
        kernels.interpolated_positions(out_wcs.pack(), in_wcs.pack(), *grid, xlo, ylo, fx, fy)
        return cls(xlo, ylo, fx, fy, in_wcs.shape)

    @property
    def box(self):
        """Slices (y, x) of the box in the output image."""
        h, w = self.fx.shape
        return slice(self.y0, self.y0 + h), slice(self.x0, self.x0 + w)

    @property
    def valid(self):
        """Boolean map of the box: True where the output pixel lies on the input image."""
        return self.ix >= 0

    def indices(self):
        """Index arrays (Yo, Xo, Yi, Xi): output pixels (whole image) and their nearest input pixels."""
        yb, xb = np.nonzero(self.ix >= 0)
        return yb + self.y0, xb + self.x0, self.iy[yb, xb], self.ix[yb, xb]

    def nearest(self, image, fill=0):
        """Nearest-neighbour values of an input image in the box (`fill` off the image)."""
        out = np.full(self.fx.shape, fill, dtype=image.dtype)
        ok = self.valid
        out[ok] = image[self.iy[ok], self.ix[ok]]
        return out

    def lanczos(self, image):
        """Lanczos-3 resampled values (float32) of a float32 input image in the box (0 off the image)."""
        out = np.empty(self.fx.shape, np.float32)
        kernels.lanczos_image(
            np.ascontiguousarray(image, np.float32),
            self.fx,
            self.fy,
            self.ix,
            self.iy,
            kernels.LANCZOS_TABLE,
            out,
        )
        return out


def _nodes(lo, hi, dtype):
    """First node, spacing and number of nodes of a grid over the pixels lo ... hi."""
    first, last = float(lo), float(hi)
    if dtype == np.float64:
        first, last = first - 2.0, last + 2.0
    n = max(math.ceil((last - first) / GRID_STEP) + 1, 4)
    return first, (last - first) / (n - 1), n
