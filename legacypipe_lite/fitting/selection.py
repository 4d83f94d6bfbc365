"""Which model of a source to keep: the decision rule of the Legacy Surveys, and a finer one for resolved galaxies."""

import math

from ..models.sources import SOURCE_TYPES, TYPES, TYPES_SIMPLE_FIRST

__all__ = [
    "select_model",
    "galaxy_fraction",
    "wants_galaxy_models",
    "ELLIPTIC",
    "WITH_INDEX",
    "DETECTION_THRESHOLD",
    "REFERENCE_FRACTION",
]

#: Elliptic galaxies of fixed profile, and with a free Sersic index; of equally good ones the first is preferred.
ELLIPTIC = tuple(t for t in TYPES_SIMPLE_FIRST if SOURCE_TYPES[t].nshape == 3 and not SOURCE_TYPES[t].has_index)
WITH_INDEX = tuple(t for t in TYPES_SIMPLE_FIRST if SOURCE_TYPES[t].has_index)
#: A source must improve chi-squared by this much (minus the penalty).
DETECTION_THRESHOLD = 25.0
_GALAXY_MARGIN = 12.0
#: A round or elliptic galaxy must gain this fraction of what a point source gains: PSF models are not exact.
REFERENCE_FRACTION = 0.01
#: The same for elliptic galaxies over round ones that are not larger than the PSF; see `galaxy_fraction`.
_UNRESOLVED_FRACTION = 0.005
_SERSIC_MARGIN = 25.0
_ALWAYS_TRY = 400.0


def wants_galaxy_models(gains: dict[str, float]) -> bool:
    """True if elliptic galaxies are worth a try, given the gains of PSF and REX."""
    psf, rex = gains.get("PSF", 0.0), gains.get("REX", 0.0)
    return rex > psf + 1.0 or max(psf, rex) > _ALWAYS_TRY


def galaxy_fraction(shape_r: float, blur: float) -> float:
    """Fraction of the point source's gain that EXP and DEV must add to that of REX or PSF.

    An error of the PSF in its second moments changes chi-squared by a fraction that is proportional to the square of
    ``blur / (blur + shape_r^2)``: the floor that it sets falls for resolved galaxies.

    Parameters
    ----------
    shape_r : float
        r_e of the round exponential fit [arcsec]; 0 if there is none.
    blur : float
        Variance of the PSF [arcsec^2].

    Returns
    -------
    float
    """
    return _UNRESOLVED_FRACTION * (blur / (blur + shape_r * shape_r)) ** 2


def select_model(gains: dict[str, float], fraction: float = REFERENCE_FRACTION) -> str | None:
    """Model type that wins, or None if the source is not significant.

    Parameters
    ----------
    gains : dict of str to float
        Improvement of chi-squared over "no source" of each model that was fitted; a band with negative flux counts
        negatively.
    fraction : float
        EXP and DEV must add this fraction of the gain of PSF (and at least 12) to the gain of PSF or REX: by default
        that of the Legacy Surveys, else `galaxy_fraction`.

    Returns
    -------
    str or None
    """
    if not gains:
        return None
    best = max(-1.0, *(gains[m] - SOURCE_TYPES[m].penalty for m in TYPES if m in gains))
    if best < DETECTION_THRESHOLD:
        return None
    if set(gains) == {"PSF"}:
        return "PSF"
    keep = _point_or_round(gains)
    if not any(m in gains for m in (*ELLIPTIC, *WITH_INDEX)):
        return keep
    return _galaxy(gains, keep, fraction)


def _point_or_round(gains):
    """PSF or REX (None: neither)."""
    psf, rex = gains.get("PSF"), gains.get("REX")
    psf_score = (psf if psf is not None else 0.0) - SOURCE_TYPES["PSF"].penalty
    rex_score = (rex if rex is not None else 0.0) - SOURCE_TYPES["REX"].penalty
    keep = "PSF" if psf is not None and psf_score >= DETECTION_THRESHOLD else None
    if psf is not None and psf_score >= rex_score:
        return "PSF"
    if rex is not None and rex_score > psf_score:
        old_psf = psf if psf is not None else 0.0
        if old_psf > 0 and rex - old_psf < REFERENCE_FRACTION * old_psf:
            return keep
        return "REX"
    return keep


def _galaxy(gains, keep, fraction):
    """An elliptic galaxy if it is better than `keep` by enough."""
    base = gains.get(keep, 0.0) if keep is not None else 0.0
    cut = max(_GALAXY_MARGIN, fraction * gains.get("PSF", 0.0))
    best = max(ELLIPTIC, key=lambda name: gains.get(name, -math.inf))
    if gains.get(best, -math.inf) - base > cut:
        keep = best
        base = gains[best]
    best = max(WITH_INDEX, key=lambda name: gains.get(name, -math.inf))
    if gains.get(best, -math.inf) - base >= _SERSIC_MARGIN:
        keep = best
    return keep
