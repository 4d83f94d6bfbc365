"""Common ground of the image WCS classes: gnomonic projection with optional distortion."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import projection_kernels as kernels

__all__ = ["ImageWcs", "cd_pixel_scale", "great_circle_distance"]


class ImageWcs:
    """A celestial WCS of an image: TAN, or TAN with a distortion (see the subclasses).

    Positions are 0-based pixels (integer = pixel centre) and degrees. Instances are immutable by convention and
    cheap to pickle.

    Parameters
    ----------
    crval : (float, float)
        RA, Dec of the tangent point [deg].
    crpix : (float, float)
        Pixel of the tangent point, FITS convention (1-based).
    cd : array_like, shape (2, 2)
        CD matrix [deg/pixel].
    width, height : int
        Image size in pixels.
    """

    kind = kernels.TAN

    def __init__(
        self, crval: tuple[float, float], crpix: tuple[float, float], cd: ArrayLike, width: int, height: int
    ) -> None:
        self.crval = (float(crval[0]), float(crval[1]))
        self.crpix = (float(crpix[0]), float(crpix[1]))
        self.cd = np.array(cd, dtype=np.float64).reshape(2, 2)
        self.width = int(width)
        self.height = int(height)
        self._packed: NDArray[np.float64] | None = None

    def __getstate__(self):
        return {**self.__dict__, "_packed": None}

    def __repr__(self):
        return (
            f"{type(self).__name__}(crval={self.crval}, crpix={self.crpix}, "
            f"{self.width}x{self.height}, {self.pixel_scale:.4f} arcsec/pixel)"
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Image shape (height, width)."""
        return (self.height, self.width)

    @property
    def pixel_scale(self) -> float:
        """Nominal pixel scale [arcsec]: 3600 sqrt|det CD|, i.e. that of the header, at CRPIX."""
        return float(cd_pixel_scale(self.cd))

    def _coefficients(self):
        """Distortion polynomials for `pack`: (number in use, first, second)."""
        return 0, (), ()

    def pack(self) -> NDArray[np.float64]:
        """Flat float64 array for the kernels (layout: `projection_kernels`)."""
        if self._packed is None:
            p = np.zeros(kernels.PACKED_SIZE)
            p[0] = self.kind
            p[1:3] = self.crval
            p[3:5] = self.crpix[0] - 1.0, self.crpix[1] - 1.0
            p[5:9] = self.cd.ravel()
            p[9:13] = np.linalg.inv(self.cd).ravel()
            n, first, second = self._coefficients()
            p[13] = n
            p[16 : 16 + len(first)] = first
            p[72 : 72 + len(second)] = second
            self._packed = p
        return self._packed

    def pixel_to_sky(self, x: ArrayLike, y: ArrayLike) -> tuple[Any, Any]:
        """RA, Dec [deg] of 0-based pixel positions.

        Parameters
        ----------
        x, y : array_like
            Pixel positions (broadcast against each other).

        Returns
        -------
        ra, dec : numpy.ndarray or float
            RA in [0, 360).
        """
        x, y = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
        ra, dec = np.empty(x.size), np.empty(x.size)
        kernels.pixels_to_sky(self.pack(), np.ascontiguousarray(x).ravel(), np.ascontiguousarray(y).ravel(), ra, dec)
        if x.ndim == 0:
            return float(ra[0]), float(dec[0])
        return ra.reshape(x.shape), dec.reshape(x.shape)

    def sky_to_pixel(self, ra: ArrayLike, dec: ArrayLike) -> tuple[Any, Any]:
        """0-based pixel positions of sky positions; NaN where a position does not project.

        The distortion is inverted by Newton's method to 1e-9 pixel.
        """
        if isinstance(ra, float) and isinstance(dec, float):
            return kernels.packed_sky_to_pixel(self.pack(), ra, dec)
        ra, dec = np.broadcast_arrays(np.asarray(ra, float), np.asarray(dec, float))
        x, y = np.empty(ra.size), np.empty(ra.size)
        kernels.sky_to_pixels(self.pack(), np.ascontiguousarray(ra).ravel(), np.ascontiguousarray(dec).ravel(), x, y)
        if ra.ndim == 0:
            return float(x[0]), float(y[0])
        return x.reshape(ra.shape), y.reshape(ra.shape)

    def map_to(self, other: "ImageWcs", x: ArrayLike, y: ArrayLike) -> tuple[Any, Any]:
        """Pixel positions in image `other` of 0-based pixel positions of this one (NaN where none)."""
        x, y = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
        xo, yo = np.empty(x.size), np.empty(x.size)
        kernels.pixels_to_pixels(
            self.pack(),
            other.pack(),
            np.ascontiguousarray(x).ravel(),
            np.ascontiguousarray(y).ravel(),
            xo,
            yo,
        )
        if x.ndim == 0:
            return float(xo[0]), float(yo[0])
        return xo.reshape(x.shape), yo.reshape(x.shape)

    def local_jacobian(self, x: float, y: float) -> NDArray[np.float64]:
        """Local d(East, North)/d(x, y) [deg/pixel] at one pixel position.

        This is the true local derivative on the sky, in contrast to `cd`, which holds at CRPIX only.

        Returns
        -------
        numpy.ndarray, shape (2, 2)
            Rows East, North; columns x, y.
        """
        return np.array(kernels.packed_local_jacobian(self.pack(), float(x), float(y))).reshape(2, 2)

    def subimage(self, x0: int, y0: int, width: int, height: int) -> Self:
        """WCS of the cut-out with origin (x0, y0) (0-based) and the given size."""
        new = object.__new__(type(self))
        new.__dict__.update(self.__dict__)
        new.crpix = (self.crpix[0] - x0, self.crpix[1] - y0)
        new.width, new.height = int(width), int(height)
        if self._packed is not None:
            new._packed = self._packed.copy()
            new._packed[3:5] = new.crpix[0] - 1.0, new.crpix[1] - 1.0
        return new

    def moved_to(self, crval: tuple[float, float]) -> "ImageWcs":
        """The same WCS with another reference point on the sky (RA, Dec [deg])."""
        new = object.__new__(type(self))
        new.__dict__.update(self.__dict__)
        new.crval, new._packed = (float(crval[0]), float(crval[1])), None
        return new

    def contains(self, x: Any, y: Any) -> Any:
        """True where a 0-based pixel position lies within the image (half a pixel around the centres)."""
        return (x >= -0.5) & (x < self.width - 0.5) & (y >= -0.5) & (y < self.height - 0.5)

    def ctype(self) -> tuple[str, str]:
        """The two CTYPE values."""
        return "RA---TAN", "DEC--TAN"

    def header_cards(self) -> list[tuple[str, Any, str]]:
        """FITS cards (keyword, value, comment) that describe this WCS, without distortion."""
        ctype1, ctype2 = self.ctype()
        return [
            ("CTYPE1", ctype1, ""),
            ("CTYPE2", ctype2, ""),
            ("CRVAL1", self.crval[0], ""),
            ("CRVAL2", self.crval[1], ""),
            ("CRPIX1", self.crpix[0], ""),
            ("CRPIX2", self.crpix[1], ""),
            ("CD1_1", float(self.cd[0, 0]), ""),
            ("CD1_2", float(self.cd[0, 1]), ""),
            ("CD2_1", float(self.cd[1, 0]), ""),
            ("CD2_2", float(self.cd[1, 1]), ""),
        ]


def cd_pixel_scale(cd: ArrayLike) -> Any:
    """Pixel scale [arcsec] of CD matrices: 3600 sqrt|det CD|.

    Parameters
    ----------
    cd : array_like, shape (..., 2, 2)
        Degrees per pixel.

    Returns
    -------
    numpy.ndarray of float64, shape (...)
        NaN where an element is.
    """
    with np.errstate(invalid="ignore"):
        return 3600.0 * np.sqrt(np.abs(np.linalg.det(np.asarray(cd, np.float64))))


def great_circle_distance(ra1: ArrayLike, dec1: ArrayLike, ra2: ArrayLike, dec2: ArrayLike) -> Any:
    """Angular distance [deg] between sky positions [deg] (haversine formula, accurate for small angles)."""
    a1, d1, a2, d2 = (np.deg2rad(np.asarray(a, float)) for a in (ra1, dec1, ra2, dec2))
    h = np.sin((d2 - d1) / 2) ** 2 + np.cos(d1) * np.cos(d2) * np.sin((a2 - a1) / 2) ** 2
    return np.rad2deg(2 * np.arcsin(np.sqrt(np.clip(h, 0, 1))))
