"""Tables of random sources to inject into real images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import Table, vstack
from numpy.typing import NDArray

from ..errors import InputError, UsageError
from ..units import mag_to_nanomaggies
from ..wcs import ImageWcs
from . import populations
from .randoms import generator

if TYPE_CHECKING:
    pass

__all__ = ["draw_injection"]

_TRIES_PER_SOURCE = 1000
_RADII_FREE = 3.0  # half-light radii around a galaxy in which no other source is put
_POOL = 20  # galaxies to choose from, for each that is wanted
_MAGNITUDE_BINS = 10


def draw_injection(
    wcs: ImageWcs,
    allowed: NDArray[np.bool_],
    occupied: tuple[NDArray[Any], NDArray[Any]],
    number: int,
    *,
    sizes: NDArray[Any] | None = None,
    seed: int = 1,
    magnitudes: tuple[float, float] = (19.0, 22.0),
    galaxies: float = 0.5,
    distance: float = 5.0,
) -> Table:
    """Draw sources at random places of an image.

    Types, colours and shapes are those of the mock surveys (`populations`); magnitudes are uniformly distributed.
    Between two sources there are at least `distance`, and three half-light radii of each of them: outside of that there
    are 4 (EXP) to 20 (DEV) per cent of the light of a galaxy. The largest ones are placed first, while there is room.

    Parameters
    ----------
    wcs : ImageWcs
        Of the image.
    allowed : numpy.ndarray of bool, shape (h, w)
        Where sources may be put.
    occupied : (numpy.ndarray, numpy.ndarray)
        Pixel positions of the sources that are there.
    number : int
    sizes : numpy.ndarray, optional
        Half-light radii of the sources that are there [arcsec]; default 0.
    seed : int
    magnitudes : (float, float)
        Limits in the r band.
    galaxies : float
        Fraction of galaxies.
    distance : float
        Smallest distance of point sources from each other and from the sources that are there [arcsec].

    Returns
    -------
    Table
        As `inject.read_injection` takes it: id, type, ra, dec, flux_<band>, shape_r, shape_e1, shape_e2, sersic. Fewer
        rows if there is no place for more.

    Raises
    ------
    UsageError
        If a parameter is out of range.
    InputError
        If there is no place at all.
    """
    if number < 1 or not 0 <= galaxies <= 1 or not magnitudes[0] < magnitudes[1] or distance < 0:
        raise UsageError("inject: needs number >= 1, galaxies within 0 to 1, increasing magnitudes, distance >= 0")
    rng = generator(seed, "injection")
    is_galaxy = rng.uniform(size=number) < galaxies
    table = vstack([_draw_galaxies(rng, int(is_galaxy.sum()), magnitudes), _draw_stars(rng, ~is_galaxy, magnitudes)])
    table = table[np.argsort(-np.asarray(table["shape_r"], float), kind="stable")]
    there = np.column_stack(occupied).astype(np.float64)
    there_sizes = np.zeros(len(there)) if sizes is None else np.asarray(sizes, np.float64)
    free, own_free = (
        _RADII_FREE * radii / wcs.pixel_scale for radii in (there_sizes, np.asarray(table["shape_r"], float))
    )
    x, y = _places(rng, allowed, there, free, own_free, distance / wcs.pixel_scale)
    found = np.isfinite(x)
    if not found.any():
        raise InputError("there is no place to put sources: choose a smaller --distance")
    table = table[found]
    table["ra"], table["dec"] = wcs.pixel_to_sky(x[found], y[found])
    table["id"] = np.arange(len(table), dtype=np.int32)
    for band in populations.OPTICAL_BANDS:
        table[f"flux_{band}"] = mag_to_nanomaggies(np.asarray(table[f"mag_{band}"])).astype(np.float32)
    fluxes = [f"flux_{band}" for band in populations.OPTICAL_BANDS]
    return table["id", "type", "ra", "dec", *fluxes, "shape_r", "shape_e1", "shape_e2", "sersic"]


def _places(
    rng: Any,
    allowed: NDArray[np.bool_],
    there: NDArray[np.float64],
    there_radius: NDArray[np.float64],
    own_radius: NDArray[np.float64],
    distance: float,
) -> NDArray[np.float64]:
    """Pixel positions x, y of sources that keep their distance; NaN for those that find no place."""
    ys, xs = np.nonzero(allowed)
    places = np.full((len(own_radius), 2), np.nan)
    for k, own in enumerate(own_radius):
        for _ in range(_TRIES_PER_SOURCE if len(xs) else 0):
            i = rng.integers(len(xs))
            place = np.array([xs[i], ys[i]]) + rng.uniform(-0.5, 0.5, 2)
            if np.all(np.hypot(*(there - place).T) >= distance + own + there_radius):
                places[k] = place
                there, there_radius = np.vstack([there, place]), np.append(there_radius, own)
                break
    return places.T


def _draw_stars(rng: Any, which: NDArray[np.bool_], magnitudes: tuple[float, float]) -> Table:
    stars = populations.star_table(rng, rng.uniform(*magnitudes, int(which.sum())))
    return Table({name: stars[name] for name in stars.colnames if name not in ("gaia_g", "bp_rp")})


def _draw_galaxies(rng: Any, number: int, magnitudes: tuple[float, float]) -> Table:
    """Galaxies, the same number in each interval of magnitude but for chance."""
    drawn_tables: list[Table] = []
    area = 1.0
    while sum(len(table) for table in drawn_tables) < _POOL * number:
        drawn = populations.galaxies(rng, area, magnitudes[1] + 0.5)
        drawn_tables.append(drawn[(drawn["mag_r"] >= magnitudes[0]) & (drawn["mag_r"] < magnitudes[1])])
        area = min(area * 4.0, 1e4)
    if number == 0:
        return populations.galaxies(rng, 0.0, magnitudes[1])
    pool = vstack(drawn_tables)
    edges = np.linspace(*magnitudes, _MAGNITUDE_BINS + 1)
    interval = np.clip(np.digitize(pool["mag_r"], edges) - 1, 0, _MAGNITUDE_BINS - 1)
    weight = 1.0 / np.bincount(interval, minlength=_MAGNITUDE_BINS)[interval]
    return pool[rng.choice(len(pool), number, replace=False, p=weight / weight.sum())]
