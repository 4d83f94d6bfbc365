"""Which model of a source to keep: the decision rule of the Legacy Surveys, and a finer one for resolved galaxies."""

from ..models.sources import TYPES

__all__ = [
    "select_model",
    "galaxy_fraction",
    "wants_galaxy_models",
    "PENALTY",
    "DETECTION_THRESHOLD",
    "REFERENCE_FRACTION",
]

#: Free parameters besides fluxes.
PENALTY = {"PSF": 2.0, "REX": 3.0, "EXP": 5.0, "DEV": 5.0, "SER": 6.0}
#: A source must improve chi-squared by this much (minus the penalty).
DETECTION_THRESHOLD = 25.0
_GALAXY_MARGIN = 12.0
#: A round or elliptic galaxy must gain this fraction of what a point source gains: PSF models are not exact.
REFERENCE_FRACTION = 0.01
#: The same for elliptic galaxies over round ones that are not larger than the PSF; see `galaxy_fraction`.
_UNRESOLVED_FRACTION = 0.005
_SERSIC_MARGIN = 25.0
_ALWAYS_TRY = 400.0


def wants_galaxy_models(gains):
    """True if EXP, DEV and SER are worth a try, given the gains of PSF and REX."""
    psf, rex = gains.get("PSF", 0.0), gains.get("REX", 0.0)
    return rex > psf + 1.0 or max(psf, rex) > _ALWAYS_TRY


def galaxy_fraction(shape_r, blur):
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


def select_model(gains, fraction=REFERENCE_FRACTION):
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
    best = max(-1.0, *(gains[m] - PENALTY[m] for m in TYPES if m in gains))
    if best < DETECTION_THRESHOLD:
        return None
    if set(gains) == {"PSF"}:
        return "PSF"
    keep = _point_or_round(gains)
    if not any(m in gains for m in ("EXP", "DEV", "SER")):
        return keep
    return _galaxy(gains, keep, fraction)


def _point_or_round(gains):
    """PSF or REX (None: neither)."""
    psf, rex = gains.get("PSF"), gains.get("REX")
    psf_score = (psf if psf is not None else 0.0) - PENALTY["PSF"]
    rex_score = (rex if rex is not None else 0.0) - PENALTY["REX"]
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
    """EXP, DEV or SER if they are better than `keep` by enough."""
    psf = gains.get("PSF", 0.0)
    base = gains.get(keep, 0.0) if keep is not None else 0.0
    cut = max(_GALAXY_MARGIN, fraction * psf)
    exp = gains["EXP"] - base if "EXP" in gains else 0.0
    dev = gains["DEV"] - base if "DEV" in gains else 0.0
    if exp <= cut and dev <= cut and "SER" not in gains:
        return keep
    if exp >= max(cut, dev) and "EXP" in gains:
        keep = "EXP"
    elif dev > max(cut, exp):
        keep = "DEV"
    base = gains.get(keep, 0.0) if keep is not None else 0.0
    if "SER" in gains and gains["SER"] - base >= _SERSIC_MARGIN:
        keep = "SER"
    return keep
