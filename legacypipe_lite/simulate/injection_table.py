"""Tables of random sources to inject into real images."""

import numpy as np
from astropy.table import Table, vstack

from ..errors import InputError, UsageError
from ..units import mag_to_nanomaggies
from . import populations
from .randoms import generator

__all__ = ["draw_injection"]

_TRIES_PER_SOURCE = 1000
_POOL = 20  # galaxies to choose from, for each that is wanted
_MAGNITUDE_BINS = 10


def draw_injection(wcs, allowed, occupied, number, *, seed=1, magnitudes=(19.0, 22.0), galaxies=0.5, distance=5.0):
    """Draw sources at random places of an image.

    Types, colours and shapes are those of the mock surveys (`populations`); magnitudes are uniformly distributed.

    Parameters
    ----------
    wcs : TanWcs
        Of the image.
    allowed : numpy.ndarray of bool, shape (h, w)
        Where sources may be put.
    occupied : (numpy.ndarray, numpy.ndarray)
        Pixel positions of the sources that are there.
    number : int
    seed : int
    magnitudes : (float, float)
        Limits in the r band.
    galaxies : float
        Fraction of galaxies.
    distance : float
        Smallest distance from sources that are there and from each other [arcsec].

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
    x, y = _places(rng, allowed, occupied, number, distance / wcs.pixel_scale)
    if len(x) == 0:
        raise InputError("there is no place to put sources: choose a smaller --distance")
    is_galaxy = rng.uniform(size=len(x)) < galaxies
    table = vstack([_draw_galaxies(rng, int(is_galaxy.sum()), magnitudes), _draw_stars(rng, ~is_galaxy, magnitudes)])
    table["ra"], table["dec"] = wcs.pixel_to_sky(x, y)
    table["id"] = np.arange(len(table), dtype=np.int32)
    for band in populations.OPTICAL_BANDS:
        table[f"flux_{band}"] = mag_to_nanomaggies(np.asarray(table[f"mag_{band}"])).astype(np.float32)
    fluxes = [f"flux_{band}" for band in populations.OPTICAL_BANDS]
    return table["id", "type", "ra", "dec", *fluxes, "shape_r", "shape_e1", "shape_e2", "sersic"]


def _places(rng, allowed, occupied, number, distance):
    """Pixel positions that keep their distance; as many of `number` as are found."""
    ys, xs = np.nonzero(allowed)
    chosen = np.column_stack(occupied).astype(np.float64)
    old = len(chosen)
    for _ in range(_TRIES_PER_SOURCE * number if len(xs) else 0):
        i = rng.integers(len(xs))
        place = np.array([xs[i], ys[i]]) + rng.uniform(-0.5, 0.5, 2)
        if len(chosen) == 0 or np.min(np.hypot(*(chosen - place).T)) >= distance:
            chosen = np.vstack([chosen, place])
            if len(chosen) - old == number:
                break
    return chosen[old:].T


def _draw_stars(rng, which, magnitudes):
    stars = populations.star_table(rng, rng.uniform(*magnitudes, int(which.sum())))
    return Table({name: stars[name] for name in stars.colnames if name not in ("gaia_g", "bp_rp")})


def _draw_galaxies(rng, number, magnitudes):
    """Galaxies, the same number in each interval of magnitude but for chance."""
    pool, area = [], 1.0
    while sum(map(len, pool)) < _POOL * number:
        drawn = populations.galaxies(rng, area, magnitudes[1] + 0.5)
        pool.append(drawn[(drawn["mag_r"] >= magnitudes[0]) & (drawn["mag_r"] < magnitudes[1])])
        area = min(area * 4.0, 1e4)
    if number == 0:
        return populations.galaxies(rng, 0.0, magnitudes[1])
    pool = vstack(pool)
    edges = np.linspace(*magnitudes, _MAGNITUDE_BINS + 1)
    interval = np.clip(np.digitize(pool["mag_r"], edges) - 1, 0, _MAGNITUDE_BINS - 1)
    weight = 1.0 / np.bincount(interval, minlength=_MAGNITUDE_BINS)[interval]
    return pool[rng.choice(len(pool), number, replace=False, p=weight / weight.sum())]
