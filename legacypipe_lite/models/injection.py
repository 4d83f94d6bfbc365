"""Sources added to calibrated images of a real survey, to find out what becomes of them (as obiwan does).

They are drawn with the pipeline's own models and given the photon noise of their light; so the measurement tells what
the images, the detection and the fit do to sources of known parameters, not whether real galaxies are like the models.
The sky was subtracted without them.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from ..errors import InputError
from ..tables import read_table
from .profiles import SERSIC_MAX, SERSIC_MIN
from .render import TimRenderer
from .sources import SOURCE_TYPES, TYPES, Source

if TYPE_CHECKING:
    from ..wcs import ImageWcs
    from .tim import Tim

__all__ = ["Injection", "read_injection", "photons_per_nanomaggy"]

logger = logging.getLogger(__name__)

_SHAPES = ("shape_r", "shape_e1", "shape_e2", "sersic")


@dataclass(frozen=True)
class Injection:
    """Sources that are added to the images of a run.

    Attributes
    ----------
    sources : list of Source
        Fluxes in the order of `bands`.
    ids : numpy.ndarray of int32
        Number of each source, not negative.
    bands : tuple of str
    seed : int
        Of the photon noise.
    """

    sources: list
    ids: np.ndarray
    bands: tuple
    seed: int = 0

    def add_to(self, tim: Tim) -> None:
        """Add the sources, their photon noise, and its variance to an image, in place.

        The noise depends on the seed and on the image's exposure and CCD, not on the order in which images are made.

        Parameters
        ----------
        tim : Tim
        """
        light = self.light(tim)
        if not light.any():
            return
        photons = photons_per_nanomaggy(tim)
        if photons is None:
            logger.warning("%s: its sky level is not positive: sources are added without photon noise", tim.name)
            tim.image += light
            return
        rng = np.random.default_rng([self.seed, tim.ccd.expnum, zlib.crc32(tim.ccd.ccdname.encode())])
        expected = np.maximum(light, 0.0).astype(np.float64) * photons
        noise = (rng.poisson(expected) - expected) / photons
        tim.image += (light + noise).astype(np.float32)
        good = tim.inverr > 0
        variance = 1.0 / tim.inverr[good].astype(np.float64) ** 2 + expected[good] / photons**2
        tim.inverr[good] = (1.0 / np.sqrt(variance)).astype(np.float32)

    def light(self, tim: Tim) -> NDArray[np.float32]:
        """What the sources look like in an image: float32 of its shape, nanomaggies per pixel, without noise."""
        return TimRenderer(tim, self.bands.index(tim.band)).draw(self.sources)

    def table(self, tims: Sequence[Tim], target: ImageWcs) -> Table:
        """What was put where.

        Parameters
        ----------
        tims : list of Tim
        target : TanWcs

        Returns
        -------
        Table
            Parameters in the columns of the tractor catalogue, and: id; bx, by (pixel of the target image); in_zoom
            (whether it is in that image); nobs_<band> (exposures whose image the source's centre is in).
        """
        table = Table({"id": self.ids.astype(np.int32)})
        table["type"] = np.array([source.type for source in self.sources], "U3")
        for name in ("ra", "dec"):
            table[name] = np.array([getattr(source, name) for source in self.sources], np.float64)
        for i, band in enumerate(self.bands):
            table[f"flux_{band}"] = np.array([source.flux[i] for source in self.sources], np.float32)
        for name in _SHAPES:
            table[name] = np.array([getattr(source, name) for source in self.sources], np.float32)
        x, y = target.sky_to_pixel(np.asarray(table["ra"]), np.asarray(table["dec"]))
        table["bx"], table["by"] = x.astype(np.float32), y.astype(np.float32)
        table["in_zoom"] = _inside(x, y, target.shape)
        for band in self.bands:
            table[f"nobs_{band}"] = self._exposures(table, [tim for tim in tims if tim.band == band])
        return table

    def _exposures(self, table, tims):
        number = np.zeros(len(table), np.int16)
        for tim in tims:
            number += _inside(*tim.wcs.sky_to_pixel(np.asarray(table["ra"]), np.asarray(table["dec"])), tim.shape)
        return number


def _inside(x, y, shape):
    h, w = shape
    with np.errstate(invalid="ignore"):
        return (x > -0.5) & (x < w - 0.5) & (y > -0.5) & (y < h - 0.5)


def photons_per_nanomaggy(tim: Tim) -> float | None:
    """Detected photons per nanomaggy of an image.

    They follow from its sky level and its noise, which is taken to be the photon noise of the sky: with read noise the
    true number is slightly larger.

    Parameters
    ----------
    tim : Tim

    Returns
    -------
    float or None
        None if the sky level is not positive (images whose sky was subtracted beforehand).
    """
    if not (np.isfinite(tim.midsky) and tim.midsky > 0 and tim.sig1 > 0):
        return None
    return tim.midsky / (tim.sig1**2 * tim.zpscale)


def read_injection(path: str | Path, bands: Sequence[str], seed: int = 0) -> Injection:
    """Read a table of sources to add.

    Parameters
    ----------
    path : str or Path
        FITS table with the columns ra, dec, type, flux_<band> and, if there are galaxies, shape_r, shape_e1, shape_e2,
        sersic (only SER needs it) of the tractor catalogue; optionally id (default: the number of the row).
    bands : sequence of str
        Bands in which sources may be needed.
    seed : int

    Returns
    -------
    Injection

    Raises
    ------
    InputError
        If a column is missing or a value cannot be.
    """
    rows = read_table(path)
    names = rows.dtype.names or ()
    needed = ["ra", "dec", "type", *(f"flux_{band.lower()}" for band in bands)]
    types = np.char.strip(rows["type"]) if "type" in names else np.array([])
    if np.any(types != "PSF"):
        needed += ["shape_r", "shape_e1", "shape_e2"]
    if np.any(types == "SER"):
        needed.append("sersic")
    missing = [name for name in needed if name not in names]
    if missing:
        raise InputError(f"{path}: no column {', '.join(missing)}")
    if len(rows) == 0:
        raise InputError(f"{path}: no sources to inject")
    ids = np.asarray(rows["id"]) if "id" in names else np.arange(len(rows))
    if ids.dtype.kind not in "iu" or np.any(ids < 0) or len(np.unique(ids)) < len(ids):
        raise InputError(f"{path}: column id must hold different integers that are not negative")
    sources = [_source(row, str(kind), bands, f"{path}: row {i}") for i, (row, kind) in enumerate(zip(rows, types))]
    return Injection(sources, ids.astype(np.int32), tuple(bands), int(seed))


def _source(row, kind, bands, where):
    """The `Source` of a row, checked."""
    if kind not in TYPES:
        raise InputError(f"{where}: type {kind!r} is not one of {', '.join(TYPES)}")
    flux = np.array([row[f"flux_{band.lower()}"] for band in bands], np.float64)
    position = float(row["ra"]), float(row["dec"])
    if not np.all(np.isfinite([*position, *flux])):
        raise InputError(f"{where}: position and fluxes must be finite numbers")
    if SOURCE_TYPES[kind].is_point:
        return Source(kind, *position, flux)
    shape = {name: float(row[name]) for name in ("shape_r", "shape_e1", "shape_e2")}
    shape["sersic"] = float(row["sersic"]) if SOURCE_TYPES[kind].has_index else SOURCE_TYPES[kind].sersic
    if not (shape["shape_r"] > 0 and np.hypot(shape["shape_e1"], shape["shape_e2"]) < 1):
        raise InputError(f"{where}: shape_r must be positive, and the ellipticity less than 1")
    if not SERSIC_MIN <= shape["sersic"] <= SERSIC_MAX:
        raise InputError(f"{where}: sersic {shape['sersic']:g} is not within {SERSIC_MIN:g} to {SERSIC_MAX:g}")
    if SOURCE_TYPES[kind].is_round:
        shape["shape_e1"] = shape["shape_e2"] = 0.0
    return Source(kind, *position, flux, **shape)
