"""Scores as tables of text: for the terminal, log files and pages."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..models.sources import TYPES_SIMPLE_FIRST

__all__ = ["ScoreTable", "score_tables", "headline", "text_lines", "rich_table"]


@dataclass(frozen=True)
class ScoreTable:
    """A table to show.

    Attributes
    ----------
    title : str
    note : str
        How to read it; may be empty.
    header : tuple of str
        Names of the columns.
    rows : tuple of tuple of str
    """

    title: str
    note: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def headline(scores: dict[Any, Any]) -> str:
    """What was compared, in one line.

    Parameters
    ----------
    scores : dict
        See `scores.evaluate`.

    Returns
    -------
    str
    """
    counts = scores["counts"]
    types = ", ".join(f"{number} {name}" for name, number in counts["types"].items() if number)
    several = f" of {counts['catalogs']} runs" if counts["catalogs"] > 1 else ""
    return (
        f"{counts['catalog']} catalogue rows{several} ({types}); {counts['truth_scored']} of {counts['truth']} true"
        f" sources scored, {counts['isolated']} of them isolated ({counts['isolated_stars']} stars),"
        f" {counts['blended']} blended; bands {','.join(counts['bands'])}"
    )


def score_tables(scores: dict[Any, Any], detail: bool = False) -> list[ScoreTable]:
    """Tables of the scores; those without rows are left out.

    Parameters
    ----------
    scores : dict
        See `scores.evaluate`.
    detail : bool
        Show also the flux pulls by galaxy type and in ranges of the signal-to-noise ratio, and lists of single
        sources.

    Returns
    -------
    list of ScoreTable
    """
    band = scores["counts"]["reference_band"]
    tables = [
        _completeness(scores, band),
        _purity(scores),
        _types(scores, band),
        _star_galaxy(scores, band),
        _flux(scores, detail),
        _position(scores),
        _shape(scores),
        _profile(scores, band),
        _sersic(scores),
        _special(scores),
        _reduced_chi_squared(scores),
    ]
    if detail:
        tables += [_listed(scores, "spurious", "Catalogue rows without a true source (most significant first)")]
        tables += [_listed(scores, "missed", f"True sources of {band} < 22 without a catalogue row (brightest first)")]
    return [table for table in tables if table.rows]


def text_lines(table: ScoreTable) -> list[str]:
    """A table as lines of plain text, columns aligned.

    Parameters
    ----------
    table : ScoreTable

    Returns
    -------
    list of str
    """
    lines = [table.title]
    if table.note:
        lines.append(f"  {table.note}")
    cells = [table.header, *table.rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(table.header))]
    for row in cells:
        padded = [cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths))]
        lines.append("  " + "  ".join(padded).rstrip())
    return lines


def rich_table(table: Any) -> Any:
    """A table for a terminal; `rich.table.Table`."""
    from rich.table import Table

    shown = Table(title=table.title, caption=table.note or None, title_justify="left", caption_justify="left")
    for i, name in enumerate(table.header):
        shown.add_column(name, justify="left" if i == 0 else "right", no_wrap=True)
    for row in table.rows:
        shown.add_row(*row)
    return shown


# --- the tables


def _completeness(scores: dict[str, Any], band: str) -> ScoreTable:
    rows = []
    for row in scores["completeness"]:
        if row["all"]["n"]:
            cells = [cell for name in ("all", "stars", "galaxies") for cell in _fraction_cells(row[name])]
            rows.append((f"{row['mag_low']:g}-{row['mag_high']:g}", *cells))
    for row in scores["pairs"]:
        rows.append(("close pairs", *_fraction_cells(row), "", "", "", ""))
    header = (f"{band} mag", "all", "n", "stars", "n", "galaxies", "n")
    return ScoreTable("Completeness", "", header, tuple(rows))


def _purity(scores: dict[str, Any]) -> ScoreTable:
    rows = []
    for row in scores["purity"]:
        name = "all" if row["low"] is None else _range(row)
        rows.append((name, *_fraction_cells(row), str(row["n"] - row["count"])))
    header = ("best S/N", "purity", "n", "spurious")
    return ScoreTable("Purity: catalogue rows that belong to a true source", "", header, tuple(rows))


def _types(scores: dict[str, Any], band: str) -> ScoreTable:
    rows = []
    kinds = TYPES_SIMPLE_FIRST
    for row in scores["types"]:
        if any(row[kind] for kind in kinds):
            rows.append((f"{_magnitudes(row, band)}  {row['true']}", *(str(row[kind]) for kind in kinds)))
    return ScoreTable("Types: rows are true types, columns those of the catalogue", "", ("", *kinds), tuple(rows))


def _star_galaxy(scores: dict[str, Any], band: str) -> ScoreTable:
    rows = []
    for row in scores["star_galaxy"]:
        if row["stars"]["n"] + row["galaxies"]["n"]:
            cells = [cell for name in ("stars", "galaxies") for cell in _fraction_cells(row[name])]
            rows.append((_magnitudes(row, band), *cells))
    header = ("", "stars as PSF", "n", "galaxies as galaxies", "n")
    return ScoreTable("Stars and galaxies told apart", "", header, tuple(rows))


def _flux(scores: dict[str, Any], detail: bool) -> ScoreTable:
    rows = []
    for row in scores["flux"]:
        if not (detail or _is_main(row)):
            continue
        name = row["group"] + (f" as {row['as']}" if row["as"] else "")
        bright = row["percent"]
        rows.append(
            (
                f"{row['environment']} {name} {row['band']}" + ("" if row["whole"] else f"  S/N {_range(row)}"),
                *_pull_cells(row["pull"]),
                _with_error(bright, "median", 2, True),
                _number(bright["width"], 2),
                str(bright["n"]),
            )
        )
    note = "pull = (flux - true) sqrt(flux_ivar) at S/N > 5; % = 100 (flux / true - 1) at S/N > 30; width: 16 to 84 %"
    header = ("", "pull", "width", "beyond 5", "n", "%", "width", "n")
    return ScoreTable("Fluxes", note, header, tuple(rows))


def _is_main(row: dict[str, Any]) -> bool:
    """True for flux rows that are always shown: of all stars and galaxies, and of isolated ones of the right type."""
    everything = row["group"] in ("PSF", "GAL")
    return bool(row["whole"]) and (everything or (row["environment"] == "isolated" and row["as"] == row["group"]))


def _position(scores: dict[str, Any]) -> ScoreTable:
    rows = []
    for row in scores["position"]:
        if row["n"]:
            cells = [_with_error(row[axis], "median", 1, True) for axis in ("ra", "dec")]
            cells += [_number(row[axis]["width"], 1) for axis in ("ra", "dec")]
            for axis in ("pull_ra", "pull_dec"):
                cells += [_with_error(row[axis], "median", 2, True), _with_error(row[axis], "width", 2)]
            rows.append((f"{row['environment']} {row['group']}", *cells, str(row["n"])))
    header = ("", "dRA", "dDec", "w RA", "w Dec", "pull RA", "width", "pull Dec", "width", "n")
    return ScoreTable("Positions (mas)", "", header, tuple(rows))


def _shape(scores: dict[str, Any]) -> ScoreTable:
    rows = []
    for row in scores["shape"]:
        if row["n"]:
            kind = " right type" if row["right_type"] else ""
            rows.append((f"{row['environment']}{kind} S/N {_range(row)}", *_shape_cells(row)))
    header = ("", "r/true", "width", "pull r", "width", "pull e1", "width", "pull e2", "width", "n", "n(e)")
    return ScoreTable("Shapes of galaxies (S/N: best band)", "", header, tuple(rows))


def _shape_cells(row: dict[str, Any]) -> list[str]:
    cells = [_with_error(row["ratio_r"], "median", 3), _number(row["ratio_r"]["width"], 3)]
    for name in ("pull_r", "pull_e1", "pull_e2"):
        cells += [_with_error(row[name], "median", 2, True), _with_error(row[name], "width", 2)]
    return [*cells, str(row["n"]), str(row["n_elliptic"])]


def _profile(scores: dict[str, Any], band: str) -> ScoreTable:
    rows = []
    for row in scores["profile"]:
        name = f"{row['environment']} {row['true']} as {row['found']}"
        cells = [_with_error(row["ratio_r"], "median", 3), _number(row["ratio_r"]["width"], 3)]
        for name_e in ("e1", "e2"):
            cells += [_with_error(row[name_e], "median", 3, True), _number(row[name_e]["width"], 3)]
        cells += [_with_error(row["percent"], "median", 2, True), _number(row["percent"]["width"], 2), str(row["n"])]
        rows.append((name, *cells))
    header = ("", "r/true", "width", "e1-true", "width", "e2-true", "width", f"{band} flux %", "width", "n")
    return ScoreTable("Galaxies whose profile was recognised (S/N > 50)", "", header, tuple(rows))


def _sersic(scores: dict[str, Any]) -> ScoreTable:
    rows = []
    for row in scores["sersic"]:
        cells = [_with_error(row["difference"], "median", 2, True), _number(row["difference"]["width"], 2)]
        cells += [_with_error(row["log_ratio"], "median", 3, True), _number(row["log_ratio"]["width"], 3)]
        cells += [_with_error(row["pull"], "median", 2, True), _with_error(row["pull"], "width", 2), str(row["n"])]
        rows.append((row["environment"], *cells))
    header = ("", "n-true", "width", "log10(n/true)", "width", "pull", "width", "n")
    return ScoreTable("Sersic indices (catalogue SER, S/N > 50)", "", header, tuple(rows))


def _special(scores: dict[str, Any]) -> ScoreTable:
    bands = scores["counts"]["bands"]
    rows = []
    for row in scores["special"]:
        if "distance" not in row:
            rows.append((row["note"], row["true"], row["found"], *("-" for _ in range(len(bands) + 3))))
            continue
        ratios = [_number(row[f"flux_ratio_{band}"], 3) for band in bands]
        shape = [f"{_number(row[name], 2)} ({_number(row['true_' + name], 2)})" for name in ("shape_r", "sersic")]
        rows.append((row["note"], row["true"], row["found"], _number(row["distance"], 3), *ratios, *shape))
    header = ("", "true", "found", "arcsec", *(f"{band} ratio" for band in bands), "r (true)", "n (true)")
    return ScoreTable("Saturated stars and large galaxies", "", header, tuple(rows))


def _reduced_chi_squared(scores: dict[str, Any]) -> ScoreTable:
    rows = [(f"{row['group']} {row['band']}", _number(row["median"], 3), str(row["n"])) for row in scores["rchisq"]]
    return ScoreTable("Reduced chi-squared of isolated sources of S/N > 10", "", ("", "median", "n"), tuple(rows))


def _listed(scores: Any, key: Any, title: Any) -> Any:
    rows = []
    for row in scores[key]:
        value = row.get("signal_to_noise", row.get("mag"))
        rows.append((f"{row['ra']:.5f} {row['dec']:+.5f}", row["type"], _number(value, 1)))
    return ScoreTable(title, "", ("RA Dec", "type", "S/N" if key == "spurious" else "mag"), tuple(rows))


# --- cells


def _pull_cells(values: dict[str, Any]) -> list[str]:
    outliers = "-" if not values["n"] else f"{100 * values['outliers']:.1f}%"
    return [_with_error(values, "median", 2, True), _with_error(values, "width", 2), outliers, str(values["n"])]


def _fraction_cells(values: dict[str, Any]) -> list[str]:
    return [_value(values), str(values["n"])]


def _value(values: dict[str, Any]) -> str:
    return "-" if not values["n"] else f"{values['value']:.3f}±{values['error']:.3f}"


def _with_error(values: dict[str, Any], name: str, digits: int, sign: bool = False) -> str:
    value, error = values[name], values[f"{name}_error"]
    text = _number(value, digits, sign)
    return text if math.isnan(error) else f"{text}±{error:.{digits}f}"


def _number(value: float, digits: int, sign: bool = False) -> str:
    if value is None or math.isnan(value):
        return "-"
    return f"{value:{'+' if sign else ''}.{digits}f}"


def _range(row: dict[str, Any]) -> str:
    return f"> {row['low']:g}" if row["high"] is None else f"{row['low']:g}-{row['high']:g}"


def _magnitudes(row: dict[str, Any], band: str) -> str:
    if row["mag_low"] is None:
        return f"{band} < {row['mag_high']:g}"
    return (
        f"{band} > {row['mag_low']:g}" if row["mag_high"] is None else f"{band} {row['mag_low']:g}-{row['mag_high']:g}"
    )
