"""Cutouts of layers on a tangent plane of their own, as arrays, FITS files and pictures."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, UsageError
from .grids import PIXEL_SCALE, cutout_grid
from .layers import Layer, SplitLayer
from .pictures import encode_jpeg, layer_picture
from .pixels import PixelStore
from .rendering import COMBINE, render

__all__ = ["Cutout", "make_cutout", "NoOverlapError"]

#: Largest number of values that are made at once.
_MOST_VALUES = 1.5e8


class NoOverlapError(InputError):
    """There is no brick at a position."""


@dataclass(frozen=True)
class Cutout:
    """Pixels around a position.

    Attributes
    ----------
    ra, dec : float
        Its middle [deg].
    layer : str
    product : str
    bands : tuple of str
    pixscale : float
        Arcsec.
    image : numpy.ndarray of float32, shape (bands, h, w)
        Nanomaggies per pixel of the coadds (not of the cutout), y from south to north; 0 where there is no data.
    invvar : numpy.ndarray of float32, shape (bands, h, w), or None
        Inverse variance, nearest pixel; None if not asked for, or coarser than the coadds.
    maskbits : numpy.ndarray of int32, shape (h, w), or None
        Mask bits, nearest pixel.
    cards : list of (str, object)
        WCS cards.
    version : str
        Data release of the bricks.
    coadd_pixscale : float
        Pixel scale of the coadds [arcsec].
    """

    ra: float
    dec: float
    layer: str
    product: str
    bands: tuple
    pixscale: float
    image: NDArray
    invvar: NDArray | None = None
    maskbits: NDArray | None = None
    cards: list = field(default_factory=list, repr=False)
    version: str = ""
    coadd_pixscale: float = PIXEL_SCALE
    source: Layer | SplitLayer | None = field(default=None, repr=False)

    @property
    def wcs(self):
        """The `astropy.wcs.WCS` of its pixels."""
        from astropy.io.fits import Header
        from astropy.wcs import WCS

        return WCS(Header([*self.cards, ("RADESYS", "ICRS")]))

    @property
    def flux_factor(self):
        """Sums of pixels times this are nanomaggies: the area of a pixel in pixels of the coadds."""
        return (self.pixscale / self.coadd_pixscale) ** 2

    def picture(self, stretch=None):
        """The colour picture; uint8 (h, w, 3), first row in the north. See `pictures.layer_picture`."""
        return layer_picture(self.source, dict(zip(self.bands, self.image)), stretch)[::-1]

    def show(self, ax=None):
        """Show the picture with matplotlib, on axes with sky coordinates.

        Parameters
        ----------
        ax : matplotlib axes with a WCS projection, optional
            By default of a new figure.

        Returns
        -------
        matplotlib axes
        """
        if ax is None:
            import matplotlib.pyplot as plt

            ax = plt.subplot(projection=self.wcs)
        ax.imshow(self.picture()[::-1], origin="lower", interpolation="nearest")
        ax.set_title(f"{self.layer}  {' '.join(self.bands)}")
        return ax

    def to_fits(self, image=True):
        """FITS file with the structure of the public cutouts.

        Parameters
        ----------
        image : bool
            With the image; without it only inverse variance and mask bits.

        Returns
        -------
        bytes
            Image, inverse variance, mask bits: those that there are, in this order.
        """
        planes = [("IMAGE", self.image if image else None), ("INVVAR", self.invvar), ("MASKBITS", self.maskbits)]
        return _fits_file([(kind, data) for kind, data in planes if data is not None], self)

    def to_jpeg(self, stretch=None):
        """JPEG file; bytes."""
        return encode_jpeg(self.picture(stretch))


def _fits_file(planes, cutout):
    from astropy.io import fits

    hdus = []
    for kind, data in planes:
        if data.ndim == 3 and len(data) == 1:
            data = data[0]
        hdu = (fits.ImageHDU if hdus else fits.PrimaryHDU)(data)
        hdu.header.extend(_cards(kind, cutout), strip=False, update=True)
        hdus.append(hdu)
    if not hdus:
        raise UsageError("nothing to write: ask for the image, the inverse variance or the mask bits")
    stream = io.BytesIO()
    fits.HDUList(hdus).writeto(stream)
    return stream.getvalue()


def _cards(kind, cutout):
    split = isinstance(cutout.source, SplitLayer)
    yield "SURVEY", "LegacySurvey" if split else "DECaLS"
    yield "VERSION", cutout.version
    yield "IMAGETYP", kind
    yield "BANDS", "".join(cutout.bands)
    for i, band in enumerate(cutout.bands):
        yield f"BAND{i}", band
    yield from cutout.cards
    height, width = cutout.image.shape[-2:]
    yield "IMAGEW", width
    yield "IMAGEH", height
    yield "RADESYS", "ICRS"
    yield "EQUINOX", 2000.0
    if kind != "MASKBITS":
        yield "BUNIT", "nanomaggy" if kind == "IMAGE" else "1/nanomaggy^2", "per pixel of the coadds"
    yield "MAGZERO", 22.5
    yield "PIXSCALE", cutout.pixscale, "[arcsec] of this image"
    yield "LAYER", cutout.layer


def make_cutout(
    layer: Layer | SplitLayer,
    ra: float,
    dec: float,
    size: int = 256,
    *,
    width: int | None = None,
    height: int | None = None,
    pixscale: float = PIXEL_SCALE,
    rotate: float = 0.0,
    bands: str | Sequence[str] | None = None,
    invvar: bool = False,
    maskbits: bool = False,
    combine: str = "mean",
    blank: bool = False,
    store: PixelStore | None = None,
) -> Cutout:
    """Resample a layer around a position.

    Parameters
    ----------
    layer : Layer or SplitLayer
    ra, dec : float
        Degrees.
    size, width, height : int
        Pixels; `size` is the default of the other two.
    pixscale : float
        Arcsec.
    rotate : float
        Degrees, of the axes against North.
    bands : str or sequence of str, optional
        See `Layer.select_bands`.
    invvar, maskbits : bool
        Also these.
    combine : str
        "mean" or "unique", see `rendering.render`.
    blank : bool
        Give zeros where there is no brick.
    store : PixelStore, optional

    Returns
    -------
    Cutout

    Raises
    ------
    NoOverlapError
        If there is no brick and `blank` is not set.
    UsageError
        If position, size, scale or bands make no sense, or the cutout would be too large.
    """
    width, height = size if width is None else width, size if height is None else height
    if combine not in COMBINE:
        raise UsageError(f"combine={combine}: 'mean' or 'unique'")
    wanted = layer.select_bands(bands)
    planes = len(wanted) * (1 + bool(invvar)) + bool(maskbits)
    if width * height * planes > _MOST_VALUES:
        raise UsageError(
            f"{width} x {height} pixels with {planes} planes are too many: {_MOST_VALUES:g} values at most"
        )
    grid = cutout_grid(ra, dec, width, height, pixscale, rotate)
    store = store or PixelStore()
    image = render(layer, grid, wanted, combine=combine, store=store)
    if image is None:
        if not blank:
            raise NoOverlapError(f"No overlap: {layer.name} has no brick at RA {ra:g}, Dec {dec:g}")
        image = np.zeros((len(wanted), height, width), np.float32)
    run = layer.south.run if isinstance(layer, SplitLayer) else layer.run
    return Cutout(
        ra=ra % 360.0,
        dec=dec,
        layer=layer.name,
        product=layer.product,
        bands=wanted,
        pixscale=pixscale,
        image=image if image.ndim == 3 else image[np.newaxis],
        invvar=render(layer, grid, wanted, "invvar", combine, store) if invvar else None,
        maskbits=render(layer, grid, wanted, "maskbits", combine, store) if maskbits else None,
        cards=[(key, value) for key, value, _ in grid.wcs.header_cards()],
        version=run.version,
        coadd_pixscale=next((round(b.wcs_of(wanted[0]).pixel_scale, 4) for b in run.bricks.values()), PIXEL_SCALE)
        if wanted
        else PIXEL_SCALE,
        source=layer,
    )
