"""A source: type, position, fluxes, shape, and how the fit may treat it."""

import math
from dataclasses import dataclass, field, replace

import numpy as np

from ..units import mjd_to_year
from . import motion_kernels

__all__ = ["Motion", "Source", "TYPES", "GALAXY_TYPES", "moved_position"]

#: Source types in the order of the catalog column `dchisq`.
TYPES = ("PSF", "REX", "DEV", "EXP", "SER")
GALAXY_TYPES = ("REX", "DEV", "EXP", "SER")

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


def moved_position(ra, dec, motion, mjd_tai):
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
        One of `TYPES`.
    ra, dec : float
        Degrees; for a star with `motion`, at its reference epoch.
    flux : numpy.ndarray of float64, shape (number of bands,)
        Nanomaggies, in the order of the run's bands.
    shape_r : float
        Half-light radius along the major axis [arcsec] (of the untruncated profile); 0 for PSF.
    shape_e1, shape_e2 : float
        e cos 2 phi, e sin 2 phi with e = (1 - b/a) / (1 + b/a), phi the position angle East of North.
    sersic : float
        Sersic index of SER (1 for REX and EXP, 4 for DEV, 0 for PSF).
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
    flux: np.ndarray
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

    def __post_init__(self):
        if self.type not in TYPES:
            raise ValueError(f"unknown source type {self.type!r}")
        self.flux = np.array(self.flux, dtype=np.float64)

    @property
    def fixed_position(self):
        """True if the position is known (reference star) and not fitted."""
        return self.motion is not None

    def position_at(self, mjd_tai):
        """RA, Dec [deg] at a time."""
        if self.motion is None:
            return self.ra, self.dec
        return moved_position(self.ra, self.dec, self.motion, mjd_tai)

    def copy(self, **changes):
        """A copy with own flux array, and with `changes` applied."""
        changes.setdefault("flux", self.flux.copy())
        return replace(self, **changes)
