"""Catalogues over HTTP: sources of a tile, rows of a box, one row, comparison with other catalogues."""

import csv
import html
import io
import re

import fitsio
import numpy as np

from ..access.catalogs import (
    box_bounds,
    bricks_of_box,
    in_box,
    plain_values,
    rows_in_box,
    sources_of_tile,
    table_to_fits,
)
from ..access.magnitudes import ab_magnitude
from ..access.runs import unit_vector
from ..errors import UsageError
from .answers import Answer, Refusal, json_answer

__all__ = ["tile_sources", "box", "row_page", "references", "compare"]

_MATCH_RADIUS = 1.0  # arcsec


def tile_sources(service, query, layer, version, zoom, x, y):
    """``<layer>/<version>/<zoom>/<x>/<y>.cat.json``."""
    del version, query
    layer = service.layer(layer)
    try:
        found = sources_of_tile(layer, int(zoom), int(x), int(y), service.sources)
    except UsageError as error:
        raise Refusal(404, str(error)) from None
    return json_answer(found, **{"Cache-Control": "no-cache", "X-Layer": layer.name})


def _rows(service, query, layer, columns=None, brickname=None, objid=None):
    bounds = box_bounds(*query.box())
    return rows_in_box(layer, bounds, service.sources, columns, brickname, objid)


def box(service, query, layer, format):
    """``<layer>/cat.fits`` (also ``cat.csv``, ``cat.json``, or ``&format=``): primary rows of a box, all columns."""
    layer = service.layer(layer)
    columns = query.word("columns")
    wanted = None if columns is None else [name.strip() for name in columns.split(",") if name.strip()]
    rows, units = _rows(service, query, layer, wanted)
    format = query.word("format", format)
    writers = {"fits": _fits, "csv": _csv, "json": _json}
    if format not in writers:
        raise Refusal(400, f"format={format[:20]}: fits, csv or json")
    answer = writers[format](rows, units)
    answer.headers |= {"X-Layer": layer.name, "Cache-Control": "no-cache"}
    if format != "json":
        answer.headers["Content-Disposition"] = f'attachment; filename="cat-{layer.name}.{format}"'
    return answer


def _fits(rows, units):
    return Answer(table_to_fits(rows, units), "image/fits")


def _csv(rows, units):
    del units
    flat = _flat_columns(rows)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(flat)
    writer.writerows(zip(*flat.values()))
    return Answer(stream.getvalue().encode(), "text/csv; charset=utf-8")


def _json(rows, units):
    del units
    return json_answer({name: plain_values(rows[name]) for name in rows.dtype.names})


def _flat_columns(rows):
    """Columns as lists; those of vectors as one for each element."""
    flat = {}
    for name in rows.dtype.names:
        column = rows[name]
        if column.ndim == 1:
            flat[name] = plain_values(column)
        else:
            for i in range(column.shape[1]):
                flat[f"{name}_{i + 1}"] = plain_values(column[:, i])
    return flat


def row_page(service, query, layer):
    """``<layer>/cat``: the rows of a box as an HTML table, a column for each row."""
    from .pages import html_page

    layer = service.layer(layer)
    brickname, objid = query.word("brick"), query.whole("objid", low=0)
    rows, _ = _rows(service, query, layer, None, brickname, objid)
    if len(rows) > 50:
        raise Refusal(400, f"{len(rows)} rows in the box: 50 at most, make it smaller")
    lines = []
    for name, values in _flat_columns(rows).items():
        lines.append(_line(name, values))
        match = re.fullmatch(r"flux_(\w+)", name)
        if match:
            magnitudes = ab_magnitude(np.asarray(rows[name], float))
            shown = ["" if np.isnan(m) else f"{m:.3f}" for m in np.atleast_1d(magnitudes)]
            lines.append(_line(f"mag_{match[1]}", shown))
    body = f"<h1>{len(rows)} sources</h1><table class='rows'>{''.join(lines)}</table>"
    return html_page(f"Catalogue of {layer.name}", body, depth=2)


def _line(name, values):
    cells = "".join(f"<td>{html.escape(str('' if value is None else value))}</td>" for value in values)
    return f"<tr><th>{html.escape(name)}</th>{cells}</tr>"


def references(service, query, layer):
    """``refs-<run>/1/cat.json``: reference stars and galaxies in a box."""
    run = service.catalogue.runs.get(layer.removeprefix("refs-")) if layer.startswith("refs-") else None
    if run is None:
        raise Refusal(404, "no such layer")
    bounds = box_bounds(*query.box())
    out = {key: [] for key in ("rd", "name", "radiusArcsec", "abRatio", "posAngle", "color")}
    for brick in bricks_of_box(run, bounds):
        path = run.root / "metrics" / brick.name[:3] / f"reference-{brick.name}.fits"
        if not path.is_file():
            continue
        rows = fitsio.read(str(path))
        if not len(rows):
            continue
        rows = rows[in_box(bounds, rows["ra"], rows["dec"]) & brick.owns(rows["ra"], rows["dec"])]
        names = rows.dtype.names
        out["rd"] += np.column_stack([rows["ra"], rows["dec"]]).tolist()
        out["name"] += plain_values(rows["ref_cat"]) if "ref_cat" in names else [""] * len(rows)
        radius = rows["radius"] * 3600.0 if "radius" in names else np.zeros(len(rows))
        out["radiusArcsec"] += plain_values(radius)
        out["abRatio"] += plain_values(rows["ba"]) if "ba" in names else [1.0] * len(rows)
        out["posAngle"] += plain_values(rows["pa"]) if "pa" in names else [0.0] * len(rows)
        galaxy = rows["islargegalaxy"] if "islargegalaxy" in names else np.zeros(len(rows), bool)
        out["color"] += ["#3388ff" if g else "#ffbb33" for g in galaxy]
    return json_answer(out)


def compare(service, query, layer):
    """``<layer>/compare.json?cat=<id>`` or ``&with=<layer>`` and a box: which sources of another catalogue match.

    Each source of the other catalogue is matched if a primary source of the layer is within 1 arcsec (``&radius=``).
    """
    from .uploads import stored_catalog

    layer = service.layer(layer)
    radius = query.number("radius", _MATCH_RADIUS, low=0.01, high=60)
    if query.flag("cat"):
        other = stored_catalog(service, query.word("cat"))
        ra, dec = np.array(other["rd"], float).reshape(-1, 2).T
        if query.flag("ralo"):
            keep = in_box(box_bounds(*query.box()), ra, dec)
            ra, dec = ra[keep], dec[keep]
    elif query.flag("with"):
        rows, _ = _rows(service, query, service.layer(query.word("with")), ["ra", "dec"])
        ra, dec = rows["ra"].astype(float), rows["dec"].astype(float)
    else:
        raise Refusal(400, "compare with what: give cat= of an uploaded catalogue, or with= a layer")
    matched = _matches(service, layer, ra, dec, radius)
    return json_answer(
        {
            "rd": np.column_stack([ra, dec]).tolist(),
            "matched": matched.tolist(),
            "number": len(ra),
            "number_matched": int(matched.sum()),
        }
    )


def _matches(service, layer, ra, dec, radius):
    """True where a primary source of the layer is within a radius [arcsec] of a position."""
    from scipy.spatial import cKDTree

    from ..access.layers import SplitLayer

    halves = (layer.north, layer.south) if isinstance(layer, SplitLayer) else (layer,)
    matched = np.zeros(len(ra), bool)
    vectors = unit_vector(ra, dec).reshape(-1, 3)
    if not len(ra):
        return matched
    reach = 2 * np.sin(np.deg2rad(radius / 3600) / 2)
    tree = cKDTree(vectors)
    for half in halves:
        for brick in half.run.bricks.values():
            middle, size = unit_vector(*brick.center), 2 * np.sin(np.deg2rad(min(180.0, brick.radius + 0.02)) / 2)
            if not tree.query_ball_point(middle, size, return_length=True):
                continue
            rows = service.sources.light(half.run, brick)
            if rows is None or not len(rows):
                continue
            distance, _ = cKDTree(unit_vector(rows["ra"], rows["dec"])).query(vectors, distance_upper_bound=reach)
            matched |= np.isfinite(distance)
    return matched
