"""Native pixels of bricks: crops of all products at once, cut-outs without resampling, mosaics without seams."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..errors import UsageError
from ..wcs import ImageWcs, TanWcs
from .cutouts import NoOverlapError
from .grids import TanGrid
from .layers import Layer, SplitLayer
from .pixels import PixelStore
from .rendering import render
from .runs import Run

__all__ = ["Crop", "Mosaic", "crop", "mosaic", "subimages", "pixel_box"]

_TIE = 1e-4
#: Bit NPRIMARY of mask bits: not the brick's own area.
_NOT_PRIMARY = 1
_SEARCH_RADIUS = 0.2  # deg, from a position to the middle of a brick


@dataclass(frozen=True)
class Crop:
    """The same box of pixels from several products of one brick.

    Attributes
    ----------
    brick : str
    x0, y0 : int
        Corner of the box in the brick's images, 0-based; may lie outside.
    bands : tuple of str
    planes : dict of str -> numpy.ndarray
        Product -> float32 (bands, h, w); "maskbits" int32 (h, w). Outside the images 0, for mask bits NPRIMARY.
    cards : list of (str, object)
        WCS cards.
    """

    brick: str
    x0: int
    y0: int
    bands: tuple
    planes: dict = field(repr=False)
    cards: list = field(default_factory=list, repr=False)

    @property
    def wcs(self):
        """The `astropy.wcs.WCS` of its pixels: that of the brick, shifted."""
        return _astropy_wcs(self.cards)

    def to_fits(self):
        """FITS file with an extension for each product and band; bytes."""
        return _planes_to_fits(self, [("BRICK", self.brick), ("BRICK_X0", self.x0), ("BRICK_Y0", self.y0)])


@dataclass(frozen=True)
class Mosaic:
    """Several products on one grid, each pixel from the one brick whose own area holds it.

    Attributes
    ----------
    bands : tuple of str
    planes : dict of str -> numpy.ndarray
        As of `Crop`; 0 where there is no brick.
    cards : list of (str, object)
    """

    bands: tuple
    planes: dict = field(repr=False)
    cards: list = field(default_factory=list, repr=False)

    @property
    def wcs(self):
        """The `astropy.wcs.WCS` of its pixels."""
        return _astropy_wcs(self.cards)

    def to_fits(self):
        """FITS file with an extension for each product and band; bytes."""
        return _planes_to_fits(self, [])


def _astropy_wcs(cards):
    from astropy.io.fits import Header
    from astropy.wcs import WCS

    return WCS(Header([*cards, ("RADESYS", "ICRS")]))


def _planes_to_fits(pixels, cards):
    from astropy.io import fits

    hdus = [fits.PrimaryHDU()]
    for product, data in pixels.planes.items():
        images = [("", data)] if data.ndim == 2 else list(zip(pixels.bands, data))
        for band, image in images:
            hdu = fits.ImageHDU(image, name=f"{product}-{band}".rstrip("-"))
            hdu.header.extend([*cards, *pixels.cards, ("RADESYS", "ICRS")], update=True)
            hdu.header["IMAGETYP"] = product.upper()
            if band:
                hdu.header["BAND"] = band
            hdus.append(hdu)
    stream = io.BytesIO()
    fits.HDUList(hdus).writeto(stream)
    return stream.getvalue()


def pixel_box(position: float, size: int) -> int:
    """First pixel (0-based) of a box of a size around a position (0-based pixels).

    The box starts at ``rint(x - size / 2) - 1`` of the FITS position; a position that is on the edge between two
    pixels to 1e-4 belongs to the lower one, so that rounding errors of the WCS do not move the box.
    """
    start = position + 1 - size / 2
    if abs(start - np.floor(start) - 0.5) < _TIE:
        start -= _TIE
    return int(np.rint(start)) - 1


def crop(
    run: Run,
    ra: float,
    dec: float,
    size: int | tuple[int, int] = 256,
    bands: Sequence[str] | None = None,
    products: Sequence[str] = ("image", "invvar", "maskbits"),
    store: PixelStore | None = None,
) -> Crop:
    """Native pixels around a position: one brick, one box, for all products and bands.

    Parameters
    ----------
    run : Run
    ra, dec : float
        Degrees.
    size : int or (int, int)
        Width and height in pixels.
    bands : sequence of str, optional
        By default all of the run.
    products : sequence of str

    Returns
    -------
    Crop

    Raises
    ------
    NoOverlapError
        If no brick's own area holds the position.
    UsageError
        If a product or band does not exist, or the size is not positive.
    """
    width, height = (size, size) if np.isscalar(size) else size
    if width < 1 or height < 1:
        raise UsageError(f"a crop of {width} x {height} pixels has none: give a size of 1 or more")
    brick = run.brick_at(ra, dec)
    if brick is None:
        raise NoOverlapError(f"No overlap: no brick of {run.name} has RA {ra:g}, Dec {dec:g} in its own area")
    bands = tuple(run.bands if bands is None else bands)
    store = store or PixelStore()
    x, y = brick.wcs.sky_to_pixel(float(ra), float(dec))
    x0, y0 = pixel_box(x, width), pixel_box(y, height)
    planes = {}
    for product in products:
        if product == "maskbits":
            planes[product] = _padded(brick, product, "", (x0, y0, width, height), store, _NOT_PRIMARY)
        else:
            planes[product] = np.stack([_padded(brick, product, b, (x0, y0, width, height), store, 0) for b in bands])
    return Crop(brick.name, x0, y0, bands, planes, _cards(brick.wcs.subimage(x0, y0, width, height)))


def _cards(wcs):
    return [(key, value) for key, value, _ in wcs.header_cards()]


def _padded(brick, product, band, box, store, outside):
    x0, y0, width, height = box
    files = ("image", "model") if product == "resid" else (product,)
    for name in files:
        if not brick.has(name, band):
            known = sorted({*brick.products, "resid"})
            where = f" in band {band}" if band and name in brick.products else ""
            raise UsageError(f"brick {brick.name} has no {product}{where}: there are {', '.join(known)}")
    inside = (max(0, x0), min(brick.wcs.width, x0 + width), max(0, y0), min(brick.wcs.height, y0 + height))
    integer = product in ("maskbits", "nexp")
    out = np.full((height, width), outside, np.int32 if integer else np.float32)
    if inside[0] < inside[1] and inside[2] < inside[3]:
        pixels = store.section(brick, product, band, 0, inside)
        out[inside[2] - y0 : inside[3] - y0, inside[0] - x0 : inside[1] - x0] = pixels
    return out


def subimages(
    layer: Layer | SplitLayer,
    ra: float,
    dec: float,
    width: int,
    height: int,
    bands: str | Sequence[str] | None = None,
    store: PixelStore | None = None,
) -> bytes:
    """Native pixels of every brick around a position, as the public service's ``subimage`` gives them.

    Parameters
    ----------
    layer : Layer or SplitLayer
    ra, dec : float
        Degrees.
    width, height : int
    bands : str or sequence of str, optional

    Returns
    -------
    bytes
        FITS file: an empty primary HDU; for each brick and band the image, then its inverse variance.

    Raises
    ------
    NoOverlapError
        If there is no brick with its middle near the position.
    """
    from astropy.io import fits

    if isinstance(layer, SplitLayer):
        from .layers import is_north

        layer = layer.north if is_north(ra, dec) else layer.south
    store = store or PixelStore()
    radius = _SEARCH_RADIUS + max(width, height) * layer_pixscale(layer) / 3600
    bricks = [b for b in layer.run.near(ra, dec, radius) if _angle(b.center, (ra, dec)) <= radius]
    if not bricks:
        raise NoOverlapError(f"No overlap: {layer.name} has no brick near RA {ra:g}, Dec {dec:g}")
    common = [("SURVEY", "DECaLS"), ("VERSION", layer.run.version)]
    hdus = [fits.PrimaryHDU()]
    hdus[0].header.extend([*common, ("IMAGETYP", layer.product)])
    for brick in sorted(bricks, key=lambda b: (b.dec1, b.ra1)):
        for band in layer.select_bands(bands):
            hdus += _native_hdus(brick, layer.product, band, (ra, dec), (width, height), common, store)
    stream = io.BytesIO()
    fits.HDUList(hdus).writeto(stream)
    return stream.getvalue()


def layer_pixscale(layer):
    """Pixel scale [arcsec] of the coadds of a layer."""
    return next((brick.wcs.pixel_scale for brick in layer.run.bricks.values()), 0.262)


def _angle(first, second):
    from ..wcs import great_circle_distance

    return float(great_circle_distance(*first, *second))


def _native_hdus(brick, product, band, position, size, common, store):
    from astropy.io import fits

    wcs = brick.wcs_of(band)
    x, y = wcs.sky_to_pixel(*(float(v) for v in position))
    if not (np.isfinite(x) and np.isfinite(y)):
        return []
    starts = pixel_box(x, size[0]), pixel_box(y, size[1])
    x0, y0 = (min(max(start, 0), n - 1) for start, n in zip(starts, (wcs.width, wcs.height)))
    x1, y1 = (min(max(start + n - 1, 0), full - 1) for start, n, full in zip(starts, size, (wcs.width, wcs.height)))
    if x1 <= x0 or y1 <= y0:
        return []
    cards = [("BRICK", brick.name), ("BRICK_X0", x0), ("BRICK_Y0", y0), ("BAND", band)]
    cards += _cards(wcs.subimage(x0, y0, x1 - x0 + 1, y1 - y0 + 1))
    cards += [("IMAGEW", x1 - x0 + 1), ("IMAGEH", y1 - y0 + 1)]
    hdus = []
    for kind in (product, "invvar"):
        pixels = store.section(brick, kind, band, 0, (x0, x1 + 1, y0, y1 + 1))
        if pixels is not None:
            hdus.append(fits.ImageHDU(pixels))
            hdus[-1].header.extend([*common, ("IMAGETYP", kind), *cards])
    return hdus


def mosaic(
    run: Run,
    wcs: ImageWcs,
    bands: Sequence[str] | None = None,
    products: Sequence[str] = ("image", "invvar", "maskbits"),
    store: PixelStore | None = None,
) -> Mosaic:
    """Several products over several bricks on one grid, without double counting and without seams.

    Each pixel of the grid is taken from the brick whose own area holds its centre: images by Lanczos resampling, the
    others from the nearest pixel; so image and inverse variance are always of the same data.

    Parameters
    ----------
    run : Run
    wcs : TanWcs, or astropy.wcs.WCS of a plain TAN projection with a shape
    bands, products : sequence of str

    Returns
    -------
    Mosaic

    Raises
    ------
    NoOverlapError
        If no brick is on the grid.
    UsageError
        If the WCS is not a TAN projection with a known size.
    """
    if not isinstance(wcs, ImageWcs):
        wcs = _of_astropy(wcs)
    grid = TanGrid(wcs)
    bands = tuple(run.bands if bands is None else bands)
    store = store or PixelStore()
    planes = {}
    for product in products:
        pixels = render(Layer(run, product, bands), grid, bands, combine="unique", store=store)
        if pixels is None:
            if product in ("image", "maskbits"):
                raise NoOverlapError(f"No overlap: {run.name} has no brick on this grid")
            raise UsageError(f"run {run.name} has no {product} there")
        planes[product] = pixels
    return Mosaic(bands, planes, _cards(wcs))


def _of_astropy(wcs):
    from ..wcs import wcs_from_header

    if wcs.pixel_shape is None:
        raise UsageError("the WCS of the mosaic has no size: set wcs.pixel_shape = (width, height)")
    header = wcs.to_header()
    cards = {key: header[key] for key in header if key}
    cd = wcs.celestial.pixel_scale_matrix
    cards |= {f"CD{i + 1}_{j + 1}": float(cd[i, j]) for i in range(2) for j in range(2)}
    cards["IMAGEW"], cards["IMAGEH"] = wcs.pixel_shape[:2]
    target = wcs_from_header(cards, "the WCS of the mosaic")
    if type(target) is not TanWcs:
        raise UsageError("the WCS of the mosaic must be a plain TAN projection")
    return target
