"""Source types, and a source: type, position, fluxes, shape, and how the fit may treat it."""

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..units import mjd_to_year
from . import motion_kernels

__all__ = [
    "Motion",
    "Source",
    "SourceType",
    "SOURCE_TYPES",
    "TYPES",
    "TYPES_SIMPLE_FIRST",
    "SHAPE_PARAMETERS",
    "moved_position",
]

#: Names of shape parameters in a `Source` and in catalogues, in the order of catalogue columns.
SHAPE_PARAMETERS = ("sersic", "shape_r", "shape_e1", "shape_e2")

_ROUND = ("shape_r",)
_ELLIPTIC = ("shape_r", "shape_e1", "shape_e2")


@dataclass(frozen=True)
class SourceType:
    """What is special about a type of source.

    Attributes
    ----------
    name : str
        As in the catalogue's column `type`.
    shapes : tuple of str
        Free shape parameters, of `SHAPE_PARAMETERS` in that order.
    sersic : float
        Sersic index in catalogues, which also names the profile (`profiles.mixture`); 0 for a point source. Where the
        index is free, one to start from.
    extent : float
        Nominal extent of the profile in units of r_e, which sets the size of rendered patches.
    label : str
        Name for people.
    """

    name: str
    shapes: tuple[str, ...]
    sersic: float
    extent: float
    label: str

    @property
    def nshape(self) -> int:
        """Number of free parameters of the ellipse: 0, 1 (size) or 3 (size and ellipticity)."""
        return len(self.shapes) - self.has_index

    @property
    def is_point(self) -> bool:
        """True for a point source."""
        return not self.shapes

    @property
    def is_round(self) -> bool:
        """True for a galaxy without ellipticity."""
        return self.nshape == 1

    @property
    def has_index(self) -> bool:
        """True if the Sersic index is free."""
        return "sersic" in self.shapes

    @property
    def penalty(self) -> float:
        """Free parameters besides fluxes: position and shape."""
        return 2.0 + len(self.shapes)

    def index(self, sersic: float) -> float:
        """Sersic index of a source of this type: `sersic` where it is free."""
        return sersic if self.has_index else self.sersic


#: Source types by name, in the order of the catalogue column `dchisq`.
SOURCE_TYPES = {
    kind.name: kind
    for kind in (
        SourceType("PSF", (), 0.0, 0.0, "point source"),
        SourceType("REX", _ROUND, 1.0, 4.0, "round exponential galaxy"),
        SourceType("DEV", _ELLIPTIC, 4.0, 8.0, "de Vaucouleurs galaxy"),
        SourceType("EXP", _ELLIPTIC, 1.0, 4.0, "exponential galaxy"),
        SourceType("SER", SHAPE_PARAMETERS, 1.0, 8.0, "Sersic galaxy"),
    )
}
TYPES = tuple(SOURCE_TYPES)
#: The same from the simplest to the most complex one, as they are listed for people.
TYPES_SIMPLE_FIRST = tuple(sorted(TYPES, key=lambda name: (SOURCE_TYPES[name].penalty, SOURCE_TYPES[name].sersic)))

_PARALLAX_EPOCH = 53084.28  # MJD of an equinox passage of the mean Earth orbit used by the surveys


@dataclass(frozen=True)
class Motion:
    """Proper motion and parallax of a reference star.

    Attributes
    ----------
    pmra, pmdec : float
        mas/yr; pmra includes cos(Dec).
    parallax : float
        mas.
    ref_epoch : float
        Julian year at which the catalogue position holds.
    """

    pmra: float = 0.0
    pmdec: float = 0.0
    parallax: float = 0.0
    ref_epoch: float = 0.0


def moved_position(ra: float, dec: float, motion: Motion, mjd_tai: float) -> tuple[float, float]:
    """Position of a star at a given time: proper motion and annual parallax (circular Earth orbit).

    Parameters
    ----------
    ra, dec : float
        Degrees, at `motion.ref_epoch`.
    motion : Motion
    mjd_tai : float

    Returns
    -------
    ra, dec : float
        Degrees.
    """
    years = mjd_to_year(mjd_tai) - motion.ref_epoch
    theta = 2 * math.pi * math.fmod((mjd_tai - _PARALLAX_EPOCH) / 365.25, 1.0)
    return motion_kernels.moved_position(ra, dec, motion.pmra, motion.pmdec, motion.parallax, years, theta)


@dataclass
class Source:
    """A parametrised source.

    Attributes
    ----------
    type : str
        One of `TYPES`; `kind` is its `SourceType`.
    ra, dec : float
        Degrees; for a star with `motion`, at its reference epoch.
    flux : numpy.ndarray of float64, shape (number of bands,)
        Nanomaggies, in the order of the run's bands.
    shape_r : float
        Half-light radius along the major axis [arcsec] (of the untruncated profile); 0 for PSF.
    shape_e1, shape_e2 : float
        e cos 2 phi, e sin 2 phi with e = (1 - b/a) / (1 + b/a), phi the position angle East of North.
    sersic : float
        Sersic index, see `SourceType.sersic`.
    motion : Motion or None
        Set for Gaia and Tycho-2 stars, whose position is then not a free parameter.
    is_reference : bool
        Comes from a reference catalogue: fitted first, may leave its blob.
    reference_star : bool
        Gaia or Tycho-2 star: never dropped.
    forced_pointsource : bool
        Only the PSF model is tried.
    frozen : bool
        Parameters are not fitted.
    ignore : bool
        Takes no part in the fit at all (duplicates, clusters).
    sga_fit : bool
        Pre-fitted companion of a large galaxy.
    from_galaxy_catalog : bool
        Arrives as a galaxy model; may lie outside the blob and has its own size limits.
    needs_initial_flux : bool
        Its fluxes are not trustworthy and are fitted first.
    max_log_re : float or None
        Upper limit of ln(r_e / arcsec) for catalogue galaxies.
    """

    type: str
    ra: float
    dec: float
    flux: NDArray[np.float64]
    shape_r: float = 0.0
    shape_e1: float = 0.0
    shape_e2: float = 0.0
    sersic: float = 0.0
    motion: Motion | None = None
    is_reference: bool = False
    reference_star: bool = False
    forced_pointsource: bool = False
    frozen: bool = False
    ignore: bool = False
    sga_fit: bool = False
    from_galaxy_catalog: bool = False
    needs_initial_flux: bool = False
    max_log_re: float | None = field(default=None)

    def __post_init__(self) -> None:
        if self.type not in SOURCE_TYPES:
            raise ValueError(f"unknown source type {self.type!r}")
        self.flux = np.array(self.flux, dtype=np.float64)

    @property
    def kind(self) -> SourceType:
        """What its type means."""
        return SOURCE_TYPES[self.type]

    @property
    def extent(self) -> float:
        """Nominal extent of its profile along the major axis [arcsec]; 0 for a point source."""
        return self.kind.extent * self.shape_r

    @property
    def fixed_position(self) -> bool:
        """True if the position is known (reference star) and not fitted."""
        return self.motion is not None

    def position_at(self, mjd_tai: float) -> tuple[float, float]:
        """RA, Dec [deg] at a time."""
        if self.motion is None:
            return self.ra, self.dec
        return moved_position(self.ra, self.dec, self.motion, mjd_tai)

    def copy(self, **changes: Any) -> "Source":
        """A copy with own flux array, and with `changes` applied."""
        changes.setdefault("flux", self.flux.copy())
        return replace(self, **changes)
