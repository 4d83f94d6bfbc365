"""Scores of a catalogue against its truth: what was found, what was invented, and as what it was classified."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from ..models.sources import TYPES_SIMPLE_FIRST
from .pulls import flux_scores, position_scores, profile_scores, sersic_scores, shape_scores
from .statistics import fraction

if TYPE_CHECKING:
    from .scenes import Scene

__all__ = ["evaluate", "MAGNITUDE_BINS", "TYPE_MAGNITUDES", "SIGNAL_TO_NOISE_BINS", "CATALOG_TYPES", "TRUE_TYPES"]

MAGNITUDE_BINS = (
    (14, 18), (18, 20), (20, 21), (21, 22), (22, 22.5), (22.5, 23), (23, 23.5), (23.5, 24), (24, 24.5), (24.5, 25),
)  # fmt: skip
SIGNAL_TO_NOISE_BINS = ((0, 5), (5, 7), (7, 10), (10, 20), (20, np.inf))
TYPE_MAGNITUDES = ((-np.inf, 21), (21, 22.5), (22.5, 23.5), (23.5, np.inf))
CATALOG_TYPES = TRUE_TYPES = TYPES_SIMPLE_FIRST

_LISTED = 20  # sources that are listed one by one at most
_BRIGHT_MISSED = 22.0  # mag, to which missed sources are listed


def evaluate(scene: Scene) -> dict[Any, Any]:
    """Score a catalogue against its truth.

    Parameters
    ----------
    scene : matching.Scene

    Returns
    -------
    dict
        JSON types only (NaN included). Keys: ``counts``, ``completeness``, ``pairs``, ``purity``, ``types``,
        ``star_galaxy``, ``flux``, ``position``, ``shape``, ``profile``, ``sersic``, ``special``, ``rchisq``,
        ``spurious``, ``missed``: each (but counts) a list of rows, dicts of numbers and texts.
    """
    return {
        "counts": _counts(scene),
        "completeness": _completeness(scene),
        "pairs": _pairs(scene),
        "purity": [] if scene.partial else _purity(scene),
        "types": _types(scene),
        "star_galaxy": _star_galaxy(scene),
        "flux": flux_scores(scene),
        "position": position_scores(scene),
        "shape": shape_scores(scene),
        "profile": profile_scores(scene),
        "sersic": sersic_scores(scene),
        "special": _special(scene),
        "rchisq": _reduced_chi_squared(scene),
        "spurious": [] if scene.partial else _spurious(scene),
        "missed": _missed(scene),
    }


def _counts(scene: Scene) -> dict[str, Any]:
    types = np.asarray(scene.catalog["type"])
    return {
        "catalogs": scene.number,
        "truth": len(scene.truth),
        "truth_scored": int(scene.scored.sum()),
        "catalog": len(scene.catalog),
        "isolated": int(scene.isolated.sum()),
        "isolated_stars": int((scene.isolated & scene.star).sum()),
        "blended": int(scene.blended.sum()),
        "bands": list(scene.bands),
        "reference_band": scene.reference_band,
        "partial": bool(scene.partial),
        "types": {name: int((types == name).sum()) for name in CATALOG_TYPES},
    }


def _completeness(scene: Scene) -> list[Any]:
    rows, mag = [], scene.mag
    for low, high in MAGNITUDE_BINS:
        inside = scene.scored & (mag >= low) & (mag < high)
        row: dict[str, Any] = {"mag_low": low, "mag_high": high}
        for name, chosen in (("all", inside), ("stars", inside & scene.star), ("galaxies", inside & ~scene.star)):
            row[name] = asdict(fraction(scene.found[chosen]))
        rows.append(row)
    return rows


def _pairs(scene: Scene) -> list[Any]:
    """Completeness of sources that were placed as close pairs."""
    chosen = scene.scored & (np.asarray(scene.truth["note"]).astype(str) == "pair")
    return [asdict(fraction(scene.found[chosen]))] if chosen.any() else []


def _purity(scene: Scene) -> list[dict[str, Any]]:
    rows, ratio = [], scene.row_signal_to_noise
    for low, high in (*SIGNAL_TO_NOISE_BINS, (-np.inf, np.inf)):
        chosen = scene.scored_rows & (ratio >= low) & (ratio < high)
        if chosen.any():
            rows.append({"low": _bound(low), "high": _bound(high), **asdict(fraction(scene.matched[chosen]))})
    return rows


def _types(scene: Scene) -> list[Any]:
    """Confusion matrix: per range of magnitude and true type, how often each catalogue type."""
    rows, mag, found_type = [], scene.mag, scene.matched_column("type", "U3")
    for low, high in TYPE_MAGNITUDES:
        for name in TRUE_TYPES:
            chosen = scene.scored & scene.found & (mag >= low) & (mag < high) & (scene.truth["type"] == name)
            counts = {other: int((found_type[chosen] == other).sum()) for other in CATALOG_TYPES}
            rows.append({"mag_low": _bound(low), "mag_high": _bound(high), "true": name, **counts})
    absent = {name for name in TRUE_TYPES if not np.any(scene.truth["type"] == name)}
    return [row for row in rows if row["true"] not in absent]


def _star_galaxy(scene: Scene) -> list[Any]:
    rows, mag = [], scene.mag
    pointlike = scene.matched_column("type", "U3") == "PSF"
    for low, high in TYPE_MAGNITUDES:
        chosen = scene.scored & scene.found & (mag >= low) & (mag < high)
        rows.append(
            {
                "mag_low": _bound(low),
                "mag_high": _bound(high),
                "stars": asdict(fraction(pointlike[chosen & scene.star])),
                "galaxies": asdict(fraction(~pointlike[chosen & ~scene.star])),
            }
        )
    return rows


def _special(scene: Scene) -> list[dict[str, Any]]:
    """Saturated stars and large galaxies, one by one."""
    rows, note = [], np.asarray(scene.truth["note"]).astype(str)
    for i in np.flatnonzero(np.isin(note, ("saturated", "biggal")) & scene.scored):
        true = scene.truth[i]
        row: dict[str, Any] = {"note": str(note[i]), "true": str(true["type"]), "found": "-"}
        if scene.found[i]:
            measured = scene.catalog[scene.index[i]]
            row["found"] = str(measured["type"])
            row["distance"] = float(scene.distance[i])
            for band in scene.bands:
                row[f"flux_ratio_{band}"] = float(measured[f"flux_{band}"] / true[f"flux_{band}"])
            for name in ("shape_r", "shape_e1", "shape_e2", "sersic"):
                row[name], row[f"true_{name}"] = float(measured[name]), float(true[name])
        rows.append(row)
    return rows


def _reduced_chi_squared(scene: Scene) -> list[dict[str, Any]]:
    rows = []
    for band in scene.bands:
        if f"rchisq_{band}" not in scene.catalog.colnames:
            continue
        values = scene.matched_column(f"rchisq_{band}")
        chosen = scene.isolated & (scene.signal_to_noise > 10) & np.isfinite(values)
        for name, kind in (("PSF", scene.star), ("GAL", ~scene.star)):
            sample = values[chosen & kind]
            median = float(np.median(sample)) if len(sample) else np.nan
            rows.append({"group": name, "band": band, "n": len(sample), "median": median})
    return rows


def _spurious(scene: Scene) -> list[Any]:
    """Catalogue rows without a true source, the most significant first."""
    ratio = scene.row_signal_to_noise
    rows = np.flatnonzero(scene.scored_rows & ~scene.matched)
    rows = rows[np.argsort(-ratio[rows], kind="stable")][:_LISTED]
    return [
        {
            "ra": float(scene.catalog["ra"][i]),
            "dec": float(scene.catalog["dec"][i]),
            "type": str(scene.catalog["type"][i]),
            "signal_to_noise": float(ratio[i]),
        }
        for i in rows
    ]


def _missed(scene: Scene) -> list[Any]:
    """Bright true sources without a catalogue row, the brightest first."""
    mag = scene.mag
    rows = np.flatnonzero(scene.scored & ~scene.found & (mag < _BRIGHT_MISSED))
    rows = rows[np.argsort(mag[rows], kind="stable")][:_LISTED]
    return [
        {
            "ra": float(scene.truth["ra"][i]),
            "dec": float(scene.truth["dec"][i]),
            "type": str(scene.truth["type"][i]),
            "mag": float(mag[i]),
        }
        for i in rows
    ]


def _bound(value: float) -> float | None:
    """A bin's limit, None for infinity (which JSON does not know)."""
    return None if np.isinf(value) else value
