"""Scores of measured parameters: pulls (deviation over the stated error) and biases of fluxes, positions and shapes.

Pulls have the median 0 and the width 1 if the catalogue and its errors are right. With diagonal inverse variances (the
convention of the Legacy Surveys) those of galaxies are wider, because the parameters of a galaxy are correlated.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .catalogs import GALAXY_TYPES
from .statistics import spread

if TYPE_CHECKING:
    from astropy.table import Column

    from .scenes import Scene

__all__ = [
    "flux_scores",
    "position_scores",
    "shape_scores",
    "profile_scores",
    "sersic_scores",
    "pull",
    "true_radius",
    "environments",
]

_MIN_SIGNAL_TO_NOISE = 5.0
_HIGH_SIGNAL_TO_NOISE = 30.0
_FLUX_BINS = ((5, 10), (10, 30), (30, 100), (100, np.inf))
_SHAPE_BINS = ((10, 30), (30, 100), (100, np.inf))
_PROFILE_SIGNAL_TO_NOISE = 50.0
_MAS_PER_DEGREE = 3.6e6

#: True type and the catalogue type with which it is compared, for shapes of one profile family.
_FAMILIES = (("EXP", "EXP"), ("EXP", "REX"), ("DEV", "DEV"), ("SER", "SER"), ("REX", "REX"))


def environments(scene: Scene) -> dict[str, NDArray[np.bool_]]:
    """Name -> true sources: isolated ones and those with neighbours."""
    return {"isolated": scene.isolated, "blended": scene.blended}


def pull(scene: Scene, name: str) -> NDArray[np.float64]:
    """Deviation of a catalogue column from the truth in units of its stated error, row by row of the truth.

    Returns
    -------
    numpy.ndarray of float64
        NaN for sources that were not found, and where the catalogue states no error.
    """
    with np.errstate(invalid="ignore"):
        error = np.sqrt(_positive(scene.matched_column(_ivar_of(name))))
    return _deviation(scene, name) * error


def true_radius(scene: Scene) -> NDArray[np.float64]:
    """Radius that a fit with the found type should give, source by source [arcsec].

    shape_r is the major half-axis of the half-light ellipse. A round model (REX) of a galaxy that is not round measures
    the radius of the circle of the same area instead.
    """
    radius, e1, e2 = (np.asarray(scene.truth[name], np.float64) for name in ("shape_r", "shape_e1", "shape_e2"))
    ellipticity = np.minimum(np.hypot(e1, e2), 1.0)
    round_radius = radius * np.sqrt((1.0 - ellipticity) / (1.0 + ellipticity))
    return np.where(scene.matched_column("type", "U3") == "REX", round_radius, radius)


def _ivar_of(name: str) -> str:
    return name.replace("flux_", "flux_ivar_") if name.startswith("flux_") else f"{name}_ivar"


def _positive(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(values > 0, values, np.nan)


def _deviation(scene: Scene, name: str) -> NDArray[np.float64]:
    true = true_radius(scene) if name == "shape_r" else np.asarray(scene.truth[name], np.float64)
    deviation = scene.matched_column(name) - true
    if name == "ra":
        # As an angle on the sky, which is what ra_ivar refers to.
        deviation = (deviation + 180.0) % 360.0 - 180.0
        deviation *= np.cos(np.radians(np.asarray(scene.truth["dec"], np.float64)))
    return deviation


# --- fluxes


def flux_scores(scene: Scene) -> list[dict[Any, Any]]:
    """Flux pulls, and relative deviations at high signal-to-noise ratio.

    Stars count if they were found as stars, galaxies if they were found as galaxies of any type; rows with ``as``
    restrict them to those that were found as this type.

    Returns
    -------
    list of dict
        environment, group (PSF, GAL or a true galaxy type), as ("" or a catalogue type), band, low and high (range of
        the expected signal-to-noise ratio), pull (a `statistics.Spread`), percent (Spread of 100 (flux / true - 1)
        at a ratio above 30).
    """
    rows = []
    for environment, chosen in environments(scene).items():
        for group, kind, chosen_as in _flux_groups(scene):
            for band in scene.bands:
                rows += _flux_rows(scene, chosen & kind, band, environment, group, chosen_as)
    return rows


def _flux_groups(scene: Scene) -> list[tuple[str, NDArray[np.bool_], str]]:
    """(name, true sources, catalogue type or "") of the groups."""
    found_type, true_type = scene.matched_column("type", "U3"), np.asarray(scene.truth["type"])
    extended = ~scene.star & (found_type != "PSF")
    groups = [("PSF", scene.star & (found_type == "PSF"), ""), ("GAL", extended, "")]
    for name in GALAXY_TYPES:
        of_type = extended & (true_type == name)
        if of_type.any():
            groups.append((name, of_type, ""))
            groups += [(name, of_type & (found_type == other), other) for true, other in _FAMILIES if true == name]
    return groups


def _flux_rows(
    scene: Scene, chosen: NDArray[np.bool_], band: str, environment: str, group: str, chosen_as: str
) -> list[dict[str, Any]]:
    """One row over all signal-to-noise ratios, and one for each of their ranges."""
    true = np.asarray(scene.truth[f"flux_{band}"], np.float64)
    measured, ivar = scene.matched_column(f"flux_{band}"), scene.matched_column(f"flux_ivar_{band}")
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = true * np.sqrt(_positive(ivar))
        percent = 100 * (measured / true - 1)
        chosen = chosen & scene.found & (expected > _MIN_SIGNAL_TO_NOISE)
    pulls = pull(scene, f"flux_{band}")
    rows = []
    for low, high in ((_MIN_SIGNAL_TO_NOISE, np.inf), *_FLUX_BINS):
        inside = chosen & (expected > low) & (expected <= high)
        if not inside.any():
            continue
        row: dict[str, Any] = {"environment": environment, "group": group, "as": chosen_as, "band": band, "low": low}
        row["high"] = None if np.isinf(high) else high
        row["whole"] = bool(low == _MIN_SIGNAL_TO_NOISE and np.isinf(high))
        row["pull"] = asdict(spread(pulls[inside]))
        row["percent"] = asdict(spread(percent[inside & (expected > _HIGH_SIGNAL_TO_NOISE)]))
        rows.append(row)
    return rows


# --- positions


def position_scores(scene: Scene) -> list[dict[Any, Any]]:
    """Deviations of positions.

    Returns
    -------
    list of dict
        environment, group, n, ra and dec (`statistics.Spread` of the deviation on the sky [mas]), pull_ra, pull_dec.
    """
    mag, star, gaia = scene.mag, scene.star, np.asarray(scene.truth["is_gaia"], bool)
    band = scene.reference_band
    groups = (
        ("Gaia PSF", star & gaia),
        (f"other PSF {band}<22.5", star & ~gaia & (mag < 22.5)),
        (f"other PSF {band}>22.5", star & ~gaia & (mag >= 22.5)),
        (f"GAL {band}<22", ~star & (mag < 22)),
        (f"GAL {band} 22-23.5", ~star & (mag >= 22) & (mag < 23.5)),
        ("all PSF but Gaia", star & ~gaia),
        ("all GAL", ~star),
    )
    rows = []
    for environment, chosen in environments(scene).items():
        for name, kind in groups:
            inside = chosen & kind & scene.found
            row: dict[str, Any] = {"environment": environment, "group": name, "n": int(inside.sum())}
            measured = inside & (scene.matched_column("ra_ivar") > 0) & (scene.matched_column("dec_ivar") > 0)
            for axis in ("ra", "dec"):
                row[axis] = asdict(spread(_deviation(scene, axis)[inside] * _MAS_PER_DEGREE))
                row[f"pull_{axis}"] = asdict(spread(pull(scene, axis)[measured]))
            rows.append(row)
    return rows


# --- shapes


def shape_scores(scene: Scene) -> list[dict[Any, Any]]:
    """Deviations of radii and ellipticities of galaxies that were found as galaxies.

    Returns
    -------
    list of dict
        environment, right_type (only galaxies that were found as what they are), low and high (range of the
        signal-to-noise ratio in the best band), n, n_elliptic, ratio_r (Spread of r / true r), pull_r, e1, e2 (Spread
        of the deviations, of the types that have an ellipticity), pull_e1, pull_e2, slope_e1, slope_e2 (regression of
        the measured on the true values).
    """
    rows, ratio = [], scene.signal_to_noise
    found_type = scene.matched_column("type", "U3")
    right = found_type == np.asarray(scene.truth["type"])
    for environment, chosen in environments(scene).items():
        extended = chosen & ~scene.star & scene.found & (found_type != "PSF")
        for right_type in (False, True):
            for low, high in (*_SHAPE_BINS, (10, np.inf)):
                inside = extended & (ratio >= low) & (ratio < high)
                if right_type:
                    inside &= right
                row: dict[str, Any] = {"environment": environment, "right_type": right_type, "low": low}
                row["high"] = None if np.isinf(high) else high
                row.update(_shape_row(scene, inside, inside & (found_type != "REX")))
                rows.append(row)
    return rows


def _shape_row(scene: Scene, extended: NDArray[np.bool_], elliptic: NDArray[np.bool_]) -> dict[str, Any]:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = scene.matched_column("shape_r") / true_radius(scene)
    row: dict[str, Any] = {"n": int(extended.sum()), "n_elliptic": int(elliptic.sum())}
    row["ratio_r"] = asdict(spread(ratio[extended]))
    row["pull_r"] = asdict(spread(pull(scene, "shape_r")[extended]))
    for name in ("e1", "e2"):
        column = f"shape_{name}"
        row[name] = asdict(spread(_deviation(scene, column)[elliptic]))
        row[f"pull_{name}"] = asdict(spread(pull(scene, column)[elliptic]))
        row[f"slope_{name}"] = _slope(scene.matched_column(column)[elliptic], scene.truth[column][elliptic])
    return row


def _slope(measured: NDArray[np.float64], true: Column) -> float:
    """Regression of measured on true values through the origin; NaN for less than four."""
    true = np.asarray(true, np.float64)
    if len(true) < 4 or not np.any(true):
        return np.nan
    return float(np.sum(measured * true) / np.sum(true**2))


def profile_scores(scene: Scene) -> list[dict[Any, Any]]:
    """Shapes and fluxes of bright galaxies whose profile family was recognised.

    Returns
    -------
    list of dict
        environment, true, found (types), n, ratio_r, e1, e2, percent (of the flux in the reference band); and the
        pulls of r, e1, e2 and of that flux: pull_r, pull_e1, pull_e2, pull_flux.
    """
    rows, found_type = [], scene.matched_column("type", "U3")
    bright = scene.found & (scene.signal_to_noise >= _PROFILE_SIGNAL_TO_NOISE)
    flux = f"flux_{scene.reference_band}"
    with np.errstate(divide="ignore", invalid="ignore"):
        percent = 100 * (scene.matched_column(flux) / np.asarray(scene.truth[flux], np.float64) - 1)
    for environment, chosen in environments(scene).items():
        for true, found in _FAMILIES:
            inside = chosen & bright & (scene.truth["type"] == true) & (found_type == found)
            if inside.sum() < 2:
                continue
            elliptic = inside & (found != "REX")
            row: dict[str, Any] = {
                "environment": environment,
                "true": true,
                "found": found,
                **_shape_row(scene, inside, elliptic),
            }
            for name in ("e1", "e2"):
                row[name] = asdict(spread(_deviation(scene, f"shape_{name}")[inside]))
            row["percent"] = asdict(spread(percent[inside]))
            row["pull_flux"] = asdict(spread(pull(scene, flux)[inside]))
            rows.append(row)
    return rows


def sersic_scores(scene: Scene) -> list[dict[Any, Any]]:
    """Sersic indices of bright galaxies that were found as SER.

    Returns
    -------
    list of dict
        environment, n, difference (Spread of index - true index), log_ratio (of log10), pull (of true SER only).
    """
    rows, measured = [], scene.matched_column("sersic")
    true = np.asarray(scene.truth["sersic"], np.float64)
    bright = scene.found & ~scene.star & (scene.signal_to_noise >= _PROFILE_SIGNAL_TO_NOISE)
    bright &= scene.matched_column("type", "U3") == "SER"
    with np.errstate(divide="ignore", invalid="ignore"):
        log_ratio = np.log10(measured / true)
    for environment, chosen in environments(scene).items():
        inside = chosen & bright
        if inside.any():
            rows.append(
                {
                    "environment": environment,
                    "n": int(inside.sum()),
                    "difference": asdict(spread((measured - true)[inside])),
                    "log_ratio": asdict(spread(log_ratio[inside])),
                    "pull": asdict(spread(pull(scene, "sersic")[inside & (scene.truth["type"] == "SER")])),
                }
            )
    return rows
