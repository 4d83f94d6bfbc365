"""unWISE coadds of the mock sky: cut-outs of the tiles that see the field, and two epochs of W1 and W2.

The PSFs are the radial profiles that the pipeline uses where it has no PSF images. Noise and numbers of exposures
are those of the real coadds at moderate ecliptic latitude.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..cameras.extent import covering_region
from ..models import PsfModel, Source
from ..models.render import TimRenderer
from ..wcs import ImageWcs, TanWcs
from ..wise.psf import PsfModels
from .files import write_image, write_table
from .randoms import generator
from .tiling import UNWISE_SCALE, UNWISE_SIZE, unwise_tiles_near

if TYPE_CHECKING:
    from astropy.table import Table

    from .field import Field
    from .tiling import UnwiseTile

__all__ = ["COADDS_FOLDER", "EPOCHS_FOLDER", "write_unwise"]

#: Folders of the images, in the survey directory.
COADDS_FOLDER = "images/unwise"
EPOCHS_FOLDER = "images/unwise-tr/neo4"

#: AB minus Vega magnitude.
VEGA_TO_AB = {1: 2.699, 2: 3.339, 3: 5.174, 4: 6.620}
#: Noise per pixel [Vega nanomaggies] and number of exposures of the full-depth coadds.
_NOISE = {1: 1.46, 2: 5.55, 3: 488.0, 4: 9000.0}
_EXPOSURES = {1: 165, 2: 163, 3: 14, 4: 14}
_EPOCH_EXPOSURES = 13
_EPOCH_BANDS = (1, 2)
_EPOCH_MJD = ((55340.0, 55342.5), (57005.3, 57013.3))
_FULL_MJD = (55340.0, 58265.6)
_MARGIN = 30  # pixels around the field
_SMALL_HALF = 30  # pixels, of the PSF stamp of faint sources
_LARGE_FROM = 300.0  # times the noise: flux of sources with the whole PSF


@dataclass(frozen=True)
class _Scene:
    """What the renderer needs to know of an image (the names are those of `Tim`)."""

    wcs: ImageWcs
    psf: PsfModel
    shape: tuple[Any, ...]
    mjd_tai: float


def write_unwise(root: Path, sources: Table, sky_field: Field, seed: int) -> list[str]:
    """Write the images, and the atlas of epochs.

    Parameters
    ----------
    root : Path
        Survey directory.
    sources : Table
        True sources, with flux_w1 ... flux_w4 [AB nanomaggies].
    sky_field : Field
    seed : int

    Returns
    -------
    list of str
        Names of the tiles.
    """
    tiles = []
    radius = sky_field.target.pixel_scale / 3600.0 * np.hypot(sky_field.target.width, sky_field.target.height) / 2
    for tile in unwise_tiles_near(*sky_field.centre, radius):
        wcs = _cutout_wcs(tile, sky_field)
        if wcs is not None:
            _write_tile(Path(root), tile, wcs, sources, seed)
            tiles.append(tile)
    atlas = {
        "coadd_id": np.array([tile.name for tile in tiles], "U8"),
        "ra": np.array([tile.ra for tile in tiles]),
        "dec": np.array([tile.dec for tile in tiles]),
        "row": np.arange(len(tiles), dtype=np.int32),
        "epoch_bitmask": np.full((len(tiles), len(_EPOCH_MJD)), sum(_EPOCH_BANDS), np.uint8),
    }
    write_table(Path(root) / EPOCHS_FOLDER / "time_resolved_atlas.fits", atlas)
    return [tile.name for tile in tiles]


def _cutout_wcs(tile: UnwiseTile, sky_field: Field) -> TanWcs | None:
    """WCS of the part of a tile that sees the field; None if it does not."""
    s = UNWISE_SCALE / 3600.0
    centre = UNWISE_SIZE / 2 + 0.5
    whole = TanWcs((tile.ra, tile.dec), (centre, centre), [[-s, 0.0], [0.0, s]], UNWISE_SIZE, UNWISE_SIZE)
    margin = int(np.ceil(_MARGIN * UNWISE_SCALE / sky_field.target.pixel_scale))
    region = covering_region(whole, sky_field.grown(margin))
    if region is None or covering_region(whole, sky_field.target) is None:
        return None
    return whole.subimage(region.x0, region.y0, region.width, region.height)


def _write_tile(root: Path, tile: UnwiseTile, wcs: ImageWcs, sources: Table, seed: int) -> None:
    folder = Path(tile.name[:3]) / tile.name
    models = PsfModels()
    for band in VEGA_TO_AB:
        psf = models.at(band, tile.ra, tile.dec).image
        light = _render(wcs, psf, sources, band)
        rng = generator(seed, "unwise", tile.name, band)
        stem = f"unwise-{tile.name}-w{band}-"
        cards = _cards(wcs, band, _FULL_MJD if band in _EPOCH_BANDS else None)
        _write_band(root / COADDS_FOLDER / folder / stem, rng, light, band, _EXPOSURES[band], cards)
        for epoch, mjd in enumerate(_EPOCH_MJD if band in _EPOCH_BANDS else ()):
            place = root / EPOCHS_FOLDER / f"e{epoch:03d}" / folder / stem
            _write_band(place, rng, light, band, _EPOCH_EXPOSURES, _cards(wcs, band, mjd))
    mask = np.zeros(wcs.shape, np.int32)
    write_image(root / COADDS_FOLDER / folder / f"unwise-{tile.name}-msk.fits.gz", mask, _cards(wcs, 1, _FULL_MJD))


def _render(wcs: ImageWcs, psf_image: NDArray[np.float32], sources: Table, band: int) -> NDArray[np.float32]:
    """Noiseless image in Vega nanomaggies; float32."""
    light = np.zeros(wcs.shape, np.float32)
    half = psf_image.shape[0] // 2
    inner = slice(half - _SMALL_HALF, half + _SMALL_HALF + 1)
    renderers = {}
    for large, stamp in ((True, psf_image), (False, np.ascontiguousarray(psf_image[inner, inner]))):
        # No companion Gaussian: all of a galaxy's light is convolved with the pixelized PSF.
        psf = PsfModel(stamp[np.newaxis], gaussian_sigma=0.0, normalize=False)
        renderers[large] = TimRenderer(_Scene(wcs, psf, wcs.shape, 0.0), 0)
    ra, dec = np.asarray(sources["ra"]), np.asarray(sources["dec"])
    x, y = wcs.sky_to_pixel(ra, dec)
    near = (x > -half) & (x < wcs.width + half) & (y > -half) & (y < wcs.height + half)
    for row in sources[near]:
        flux = float(row[f"flux_w{band}"]) * 10 ** (VEGA_TO_AB[band] / 2.5)
        shape: dict[str, Any] = {name: float(row[name]) for name in ("shape_r", "shape_e1", "shape_e2", "sersic")}
        source = Source(str(row["type"]), float(row["ra"]), float(row["dec"]), np.array([flux]), **shape)
        renderers[flux > _LARGE_FROM * _NOISE[band]].draw([source], light)
    return light


def _write_band(stem: Path, rng: Any, light: NDArray[np.float32], band: int, exposures: int, cards: list[Any]) -> None:
    """Image, inverse variance and numbers of exposures of one band of a tile."""
    sigma = _NOISE[band] * np.sqrt(_EXPOSURES[band] / exposures)
    image = light + (sigma * _noise(rng, light.shape, band)).astype(np.float32)
    counts = np.full(light.shape, exposures, np.int16)
    masked = (counts - rng.binomial(max(exposures // 12, 1), 0.5, light.shape)).astype(np.int16)
    write_image(Path(f"{stem}img-m.fits"), image, cards)
    write_image(Path(f"{stem}invvar-m.fits.gz"), np.full(light.shape, sigma**-2, np.float32), cards)
    write_image(Path(f"{stem}n-m.fits.gz"), masked, cards)
    write_image(Path(f"{stem}n-u.fits.gz"), counts, cards)


def _noise(rng: Any, shape: tuple[int, int], band: int) -> NDArray[np.float64]:
    """Gaussian noise of unit variance; in W4 four pixels share one value, as the detector's pixels are larger."""
    if band != 4:
        return rng.standard_normal(shape)
    coarse = rng.standard_normal((shape[0] // 2 + 1, shape[1] // 2 + 1))
    return np.repeat(np.repeat(coarse, 2, axis=0), 2, axis=1)[: shape[0], : shape[1]]


def _cards(wcs: ImageWcs, band: int, mjd: tuple[float, float] | None) -> list[Any]:
    cards = [
        ("WCSAXES", 2, ""),
        *wcs.header_cards(),
        ("EQUINOX", 2000.0, "Equatorial coordinates definition (yr)"),
        ("CUNIT1", "deg", "X pixel scale units"),
        ("CUNIT2", "deg", "Y pixel scale units"),
        ("IMAGEW", wcs.width, "Image width,  in pixels."),
        ("IMAGEH", wcs.height, "Image height, in pixels."),
        ("MAGZP", 22.5, "Magnitude zeropoint (in Vega mag)"),
        ("UNW_SKY", 0.0, "Background value subtracted from coadd img"),
        ("UNW_VER", "mock", "unWISE code version"),
        ("BAND", band, "WISE band"),
    ]
    if mjd is not None:
        cards += [
            ("MJDMIN", mjd[0], "minimum MJD among included L1b frames"),
            ("MJDMAX", mjd[1], "maximum MJD among included L1b frames"),
        ]
    return cards
