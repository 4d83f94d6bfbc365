"""Source models of large galaxies, from the rows of an SGA catalogue."""

import math
from collections.abc import Sequence

import numpy as np
from astropy.table import Table

from ..models import Source
from ..models.sources import TYPES
from ..units import mag_to_nanomaggies, nanomaggies_to_mag

__all__ = ["make_sources", "ellipticity"]

_SMALLEST_RE = 0.01  # arcsec
_LARGEST_RE = 3600.0  # arcsec
_LARGEST_SERSIC = 10.0
_GROWTH = math.log(2.0)  # r_e may at most double in the fit

# i - z of galaxies as a polynomial in r - z.
_I_MINUS_Z = (-0.13689305, 0.80606322, -0.24921022, -0.15773003, 0.10645930, -0.0050743524)
_COLOR_RANGE = (-0.5, 2.0)
_UNKNOWN_MAG = 30.0


def ellipticity(ba: float, pa: float) -> tuple[float, float]:
    """Ellipticity components (e1, e2) of an axis ratio and a position angle.

    Parameters
    ----------
    ba : float
        Axis ratio; taken as 1 if it is not in (0, 1].
    pa : float
        Degrees, East of North.

    Returns
    -------
    e1, e2 : float
        e cos 2 pa, e sin 2 pa with e = (1 - ba) / (1 + ba).
    """
    if not 0 < ba <= 1:
        ba = 1.0
    if not math.isfinite(pa):
        pa = 0.0
    e = (1.0 - ba) / (1.0 + ba)
    angle = math.radians(2.0 * pa)
    return e * math.cos(angle), e * math.sin(angle)


def make_sources(models: Table, bands: Sequence[str]) -> list[Source]:
    """Sources of large galaxies.

    Galaxies that are ignored in the fit are exponential disks of the size of their mask; the Magellanic Clouds, which
    are no more than areas, have no flux.

    Parameters
    ----------
    models : Table
        From `large_galaxies.large_galaxies`.
    bands : sequence of str
        Order of the fluxes.

    Returns
    -------
    list of Source
        Row by row.
    """
    fitted = "sersic" in models.colnames and "type" in models.colnames
    sources = []
    for row in models:
        type_ = str(row["type"]).strip() if fitted else ""
        if row["ignore_source"]:
            source = _disk_of_mask_size(row, bands, fitted)
        elif type_ in TYPES and _has_shape(row, type_):
            source = _fitted_source(row, type_, bands)
        else:
            source = _parent_source(row, bands)
        source.is_reference = True
        source.frozen = bool(row["freezeparams"])
        source.ignore = bool(row["ignore_source"])
        source.sga_fit = bool(row["issgafit"])
        source.from_galaxy_catalog = not source.kind.is_point
        sources.append(source)
    return sources


def _catalog_flux(row):
    """Flux of the row's magnitude, the same for all bands; 1 nanomaggy if it has none."""
    mag = float(row["mag"]) if "mag" in row.colnames else math.nan
    return float(mag_to_nanomaggies(mag)) if 0 < mag < _UNKNOWN_MAG else 1.0


def _disk_of_mask_size(row, bands, fitted):
    flux = 0.0 if fitted or row["ismcloud"] else _catalog_flux(row)
    e1, e2 = ellipticity(float(row["ba"]), float(row["pa"]))
    return Source(
        "EXP",
        float(row["ra"]),
        float(row["dec"]),
        np.full(len(bands), flux),
        shape_r=3600.0 * float(row["radius"]),
        shape_e1=e1,
        shape_e2=e2,
        sersic=1.0,
    )


def _parent_source(row, bands):
    """A galaxy of which only magnitude and ellipse are known; its half-light radius is guessed as half the mask's."""
    r_e = max(3600.0 * float(row["radius"]) / 2.0, _SMALLEST_RE)
    e1, e2 = ellipticity(float(row["ba"]), float(row["pa"]))
    return Source(
        "EXP",
        float(row["ra"]),
        float(row["dec"]),
        np.full(len(bands), _catalog_flux(row)),
        shape_r=r_e,
        shape_e1=e1,
        shape_e2=e2,
        sersic=1.0,
        needs_initial_flux=True,
        max_log_re=math.log(r_e) + _GROWTH,
    )


def _has_shape(row, type_):
    """True if the numbers of a fit are such that a source can be made of them."""
    if type_ == "PSF":
        return True
    names = ("shape_r", "sersic") if type_ == "REX" else ("shape_r", "shape_e1", "shape_e2", "sersic")
    values = [float(row[name]) for name in names]
    return all(map(math.isfinite, values)) and values[0] < _LARGEST_RE and abs(values[-1]) <= _LARGEST_SERSIC


def _fitted_source(row, type_, bands):
    """A source as the catalogue's own fit left it."""
    flux, complete = _fitted_fluxes(row, bands)
    source = Source(type_, float(row["ra"]), float(row["dec"]), flux, needs_initial_flux=not complete)
    if source.kind.is_point:
        return source
    source.shape_r = max(float(row["shape_r"]), _SMALLEST_RE)
    source.max_log_re = math.log(source.shape_r) + _GROWTH
    if not source.kind.is_round:
        source.shape_e1, source.shape_e2 = float(row["shape_e1"]), float(row["shape_e2"])
    source.sersic = source.kind.index(float(row["sersic"]))
    return source


def _fitted_fluxes(row, bands):
    """Fluxes per band, and whether the catalogue (or a colour) gives all of them."""
    flux = np.ones(len(bands))
    complete = True
    for i, band in enumerate(bands):
        if f"flux_{band}" in row.colnames:
            flux[i] = row[f"flux_{band}"]
            if not math.isfinite(flux[i]):
                flux[i], complete = 1.0, False
        elif band == "i" and "flux_r" in row.colnames and "flux_z" in row.colnames:
            flux[i] = _i_flux(float(row["flux_r"]), float(row["flux_z"]))
        else:
            complete = False
    return flux, complete


def _i_flux(flux_r, flux_z):
    mag_r, mag_z = (_mag_or_faint(f) for f in (flux_r, flux_z))
    color = np.clip(mag_r - mag_z, *_COLOR_RANGE)
    return float(mag_to_nanomaggies(mag_z + np.polynomial.polynomial.polyval(color, _I_MINUS_Z)))


def _mag_or_faint(flux):
    return float(nanomaggies_to_mag(flux)) if flux > 0 else _UNKNOWN_MAG
