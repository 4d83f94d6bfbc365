"""Pixels of a mock CCD image: light, noise, flaws, weights, data-quality codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..calibration.sky import SplineSky
from ..cameras.amplifiers import amplifier_scales
from ..models import PsfModel
from ..models.render import TimRenderer
from ..reference import halo_image
from ..units import utc_to_tai
from ..wcs import ImageWcs
from . import artefacts
from .populations import OPTICAL_BANDS
from .psf import ccd_psf
from .sky import ccd_sky

if TYPE_CHECKING:
    from astropy.table import Table

    from ..models import Source
    from .exposures import CcdPlan, Exposure
    from .instruments import Instrument

__all__ = ["CcdPixels", "SkyContent", "make_ccd", "render_light"]

_WINDOW_BORDER = 2  # columns and rows flagged where a window, not the CCD, ends
_ROWS_AT_ONCE = 256
_REACH = 120.0  # pixels from which a source may still shine onto the image
_REACH_PER_RE = 9.0
_DEAD_LEVEL = 0.2  # of the sky


@dataclass(frozen=True)
class SkyContent:
    """What is on the sky.

    Attributes
    ----------
    sources : list of Source
        Fluxes in the order g, r, i, z.
    bright_stars : astropy.table.Table
        Stars with halos, in the columns of a reference table.
    """

    sources: list[Source]
    bright_stars: Table


@dataclass
class CcdPixels:
    """A mock CCD image.

    Attributes
    ----------
    image : numpy.ndarray of float32, shape (h, w)
        Counts, or counts per second.
    codes : numpy.ndarray of int32, shape (h, w)
        Data quality.
    weight : numpy.ndarray of float32, shape (h, w)
        Inverse variance; 0 where codes are not 0.
    psf : PsfModel
    sky : SplineSky
    saturated : numpy.ndarray of int, shape (n, 2)
        x, y of saturated pixels.
    """

    image: NDArray[np.float32]
    codes: NDArray[np.int32]
    weight: NDArray[np.float32]
    psf: PsfModel
    sky: SplineSky
    saturated: NDArray[np.integer]


@dataclass(frozen=True)
class _Scene:
    """What the renderer needs to know of an image (the names are those of `Tim`)."""

    wcs: ImageWcs
    psf: PsfModel
    shape: tuple[Any, ...]
    mjd_tai: float


def make_ccd(plan: CcdPlan, content: SkyContent, noisy_weights: bool = True) -> CcdPixels:
    """Make a CCD image.

    Parameters
    ----------
    plan : CcdPlan
    content : SkyContent
    noisy_weights : bool
        See `SimulationOptions`.

    Returns
    -------
    CcdPixels
    """
    exposure = plan.exposure
    psf, sky_model = ccd_psf(plan), ccd_sky(plan)
    light = render_light(plan, psf, content)
    _apply_amplifiers(plan, light)
    light *= exposure.counts_per_nanomaggy
    sky = sky_model.image(0, 0, plan.window.width, plan.window.height)
    light += sky
    electrons = _noisy(plan.generator("noise"), light, exposure)
    codes = np.zeros(plan.shape, np.int32)
    _add_flaws(plan, psf, electrons, codes)
    image = electrons
    image /= np.float32(exposure.electrons_per_count)
    weight = _weights(exposure, image if noisy_weights else light, sky)
    weight[codes != 0] = 0
    y, x = np.nonzero(codes == artefacts.CODES["saturated"])
    return CcdPixels(image, codes, weight, psf, sky_model, np.column_stack([x, y]))


def render_light(plan: CcdPlan, psf: PsfModel, content: SkyContent) -> NDArray[np.float32]:
    """Noiseless image of all sources.

    Parameters
    ----------
    plan : CcdPlan
    psf : PsfModel
    content : SkyContent

    Returns
    -------
    numpy.ndarray of float32, shape (h, w)
        Nanomaggies per pixel.
    """
    exposure, wcs = plan.exposure, plan.wcs
    mjd_tai = utc_to_tai(exposure.mjd)
    renderer = TimRenderer(_Scene(wcs, psf, plan.shape, mjd_tai), OPTICAL_BANDS.index(exposure.band))
    light = renderer.draw(_near(content.sources, wcs))
    stars = content.bright_stars
    if len(stars):
        pixscale = plan.header_wcs.pixel_scale
        halos = halo_image(stars, wcs, plan.shape, exposure.band, exposure.camera, plan.name, pixscale, mjd_tai)
        if halos is not None:
            light += halos
    return light


def _near(sources: list[Source], wcs: ImageWcs) -> list[Source]:
    """The sources that may be seen in an image."""
    ra, dec, re = (np.array([getattr(s, name) for s in sources]) for name in ("ra", "dec", "shape_r"))
    x, y = wcs.sky_to_pixel(ra, dec)
    reach = _REACH + _REACH_PER_RE * re / wcs.pixel_scale
    near = (x > -reach) & (x < wcs.width + reach) & (y > -reach) & (y < wcs.height + reach)
    return [sources[i] for i in np.flatnonzero(near)]


def _apply_amplifiers(plan: CcdPlan, light: NDArray[np.float32]) -> None:
    """Amplifiers whose gain is a little wrong: what the amplifier corrections of 90Prime and Mosaic-3 undo."""
    exposure = plan.exposure
    if not exposure.instrument.count_rates:
        return
    for scale, (x0, x1, y0, y1) in amplifier_scales(exposure.camera, exposure.band, plan.name, exposure.mjd):
        light[y0:y1, x0:x1] /= scale


def _noisy(rng: Any, counts: NDArray[np.float32], exposure: Exposure) -> NDArray[np.float32]:
    """Electrons as they are read: photon noise and read noise; float32."""
    electrons = np.empty_like(counts)
    per_count, read_noise = exposure.electrons_per_count, exposure.instrument.read_noise
    for y in range(0, len(counts), _ROWS_AT_ONCE):
        rows = slice(y, y + _ROWS_AT_ONCE)
        expected = np.maximum(counts[rows].astype(np.float64) * per_count, 0.0)
        electrons[rows] = rng.poisson(expected)
        electrons[rows] += np.float32(read_noise) * rng.standard_normal(expected.shape, dtype=np.float32)
    return electrons


def _add_flaws(plan: CcdPlan, psf: PsfModel, electrons: NDArray[np.float32], codes: NDArray[np.int32]) -> None:
    exposure = plan.exposure
    instrument, flaws = exposure.instrument, exposure.flaws
    per_count = exposure.electrons_per_count
    if "trail" in flaws:
        noise = exposure.sky_noise * per_count
        artefacts.add_trail(exposure.generator("trail"), electrons, noise, 1.2 * psf.gaussian_sigma)
    if "cosmics" in flaws:
        artefacts.add_cosmic_rays(plan.generator("cosmics"), electrons, codes)
    artefacts.saturate(electrons, codes, full_well(instrument))
    if "amplifier" in flaws:
        split = plan.place.width // 2 - plan.window.x0
        artefacts.kill_amplifier(electrons, codes, split, _DEAD_LEVEL * exposure.sky_level * per_count)
    w, place = plan.window, plan.place
    borders = (
        instrument.bad_border if at_edge else _WINDOW_BORDER
        for at_edge in (w.x0 == 0, w.x1 == place.width, w.y0 == 0, w.y1 == place.height)
    )
    artefacts.mark_border(codes, *borders)


def full_well(instrument: Instrument) -> float:
    """Electrons at which a pixel saturates."""
    return instrument.saturation * instrument.gain


def _weights(exposure: Exposure, image: NDArray[np.float32], sky: NDArray[np.float32]) -> NDArray[np.floating]:
    """Inverse variance as the Community Pipeline gives it; float32.

    That of DECam is made of the pixel values themselves and so knows the noise of sources; that of the northern
    cameras knows the noise of the sky only.
    """
    level = sky if exposure.instrument.count_rates else np.maximum(image, 0.0)
    per_count = np.float32(exposure.electrons_per_count)
    variance = level / per_count + np.float32(exposure.instrument.read_noise**2) / per_count**2
    return 1.0 / variance
