"""What the map draws over the tiles: outlines of bricks and CCDs, exposures; and positions by name."""

import re

import numpy as np

from ..access.brick_grid import brick_of_name, bricks_in_box
from ..access.catalogs import box_bounds, bricks_of_box
from ..access.ccds import CcdFinder, ccd_corners
from ..access.layers import SplitLayer
from ..errors import LegacypipeError, UsageError
from ..survey import parse_radec
from .answers import Refusal, json_answer

__all__ = ["bricks", "ccds", "exposures", "name_query", "finder_of"]

_MOST_BRICKS, _MOST_CCDS = 400, 10_000
_COLORS = {"g": "#00ff00", "r": "#ff0000", "i": "#448800", "z": "#cc00cc", "Y": "#cc4444"}
_OTHER_COLOR = "#999999"


def _runs(layer):
    return (layer.north.run, layer.south.run) if isinstance(layer, SplitLayer) else (layer.run,)


def finder_of(service, run):
    """Where to look for the CCDs of a run."""
    return CcdFinder(run, service.options.survey_dirs.get(run.name))


def bricks(service, query):
    """``bricks/``: outlines of the bricks' own areas within a box; those of the whole grid for an unknown layer."""
    bounds = box_bounds(*query.box())
    layer = service.catalogue.find(query.word("layer"))
    polygons = []
    if layer is None:
        start, width, low, high = bounds
        if width * (high - low) > 100:
            raise Refusal(400, "the box is too large for the grid of bricks")
        grid = bricks_in_box(start, start + width, low, high)
        for name, ra1, ra2, dec1, dec2 in zip(grid.name, grid.ra1, grid.ra2, grid.dec1, grid.dec2):
            polygons.append(_polygon(str(name), float(ra1), float(ra2), float(dec1), float(dec2)))
        return json_answer({"polys": polygons[:_MOST_BRICKS]})
    for run in _runs(layer):
        for brick in bricks_of_box(run, bounds):
            if _overlaps(brick, bounds):
                polygons.append(_polygon(brick.name, brick.ra1, brick.ra2, brick.dec1, brick.dec2))
    return json_answer({"polys": polygons[:_MOST_BRICKS]}, **{"Cache-Control": "no-cache"})


def _polygon(name, ra1, ra2, dec1, dec2):
    return {"name": name, "radecs": [[ra1, dec1], [ra1, dec2], [ra2, dec2], [ra2, dec1]]}


def _overlaps(brick, bounds):
    start, width, low, high = bounds
    if brick.dec2 < low or brick.dec1 > high:
        return False
    brick_width = (brick.ra2 - brick.ra1) % 360.0
    return (brick.ra1 - start) % 360.0 <= width or (start - brick.ra1) % 360.0 <= brick_width


def _ccd_rows(service, query):
    layer = service.layer(query.word("layer"))
    start, width, low, high = box_bounds(*query.box())
    middle = (start + width / 2) % 360.0, (low + high) / 2
    sky_width = width * np.cos(np.deg2rad(middle[1]))
    if sky_width > 20 or high - low > 20:
        raise Refusal(400, "the box is too large for CCDs: 20 degrees at most")
    rows = []
    for run in _runs(layer):
        try:
            table = finder_of(service, run).near(*middle, sky_width, high - low)
        except LegacypipeError as error:
            raise Refusal(404, f"the tables of CCDs cannot be read: {type(error).__name__}") from error
        rows += list(table)
    return rows[:_MOST_CCDS]


def _color(band):
    return _COLORS.get(str(band).strip(), _OTHER_COLOR)


def ccds(service, query):
    """``ccds/``: outlines of CCDs that touch a box."""
    polygons = [
        {
            "name": f"{row['camera']} {row['expnum']}-{row['ccdname']}-{row['filter']}",
            "radecs": ccd_corners(row),
            "color": _color(row["filter"]),
        }
        for row in _ccd_rows(service, query)
    ]
    return json_answer({"polys": polygons})


def exposures(service, query):
    """``exps/``: where the telescope pointed, for exposures with a CCD in a box."""
    seen, objects = set(), []
    for row in _ccd_rows(service, query):
        key = (str(row["camera"]), int(row["expnum"]))
        if key in seen:
            continue
        seen.add(key)
        names = row.colnames
        ra, dec = (row["ra_bore"], row["dec_bore"]) if "ra_bore" in names else (row["ra"], row["dec"])
        objects.append(
            {
                "name": f"{row['expnum']} {row['filter']}",
                "ra": float(ra),
                "dec": float(dec),
                "radius": 1.0,
                "color": _color(row["filter"]),
            }
        )
    return json_answer({"objs": objects})


def name_query(service, query):
    """``namequery/``: a position for what was typed."""
    text = (query.word("obj") or "").strip()
    layer = service.layer(query.word("layer"))
    found = _galaxy(service, layer) if not text else _position(text) or _brick(service, text)
    if found is None:
        error = f"{text[:60]!r} is no position, no brick and no source of a brick; names are not looked up elsewhere"
        return json_answer({"error": error})
    ra, dec, name = found
    return json_answer({"ra": ra, "dec": dec, "name": name})


def _position(text):
    words = re.split(r"[\s,]+", text)
    if len(words) != 2:
        return None
    try:
        ra, dec = parse_radec(*words)
    except UsageError:
        return None
    return ra, dec, text


def _brick(service, text):
    words = re.sub(r"(?i)^brick\s+", "", text).split()
    if len(words) == 2 and all(word.lstrip("+-").isdigit() for word in words) and text.lower().startswith("brick"):
        sign = "m" if words[1].startswith("-") else "p"
        words = [f"{int(words[0]):04d}{sign}{abs(int(words[1])):03d}"]
    if not words or len(words) > 2:
        return None
    for run in service.catalogue.runs.values():
        brick = run.bricks.get(words[0])
        if brick is None:
            continue
        if len(words) == 1:
            return (*brick.center, words[0])
        rows = service.sources.light(run, brick)
        here = [] if rows is None or not words[1].isdigit() else np.flatnonzero(rows["objid"] == int(words[1]))
        if len(here):
            return float(rows["ra"][here[0]]), float(rows["dec"][here[0]]), text
    grid = brick_of_name(words[0]) if len(words) == 1 else None
    return None if grid is None else (float(grid.ra[0]), float(grid.dec[0]), words[0])


def _galaxy(service, layer):
    """Some bright galaxy of the layer: any of the ten brightest of a brick."""
    rng = np.random.default_rng()
    run = _runs(layer)[-1]
    names = list(run.bricks)
    rng.shuffle(names)
    for name in names[:20]:
        rows = service.sources.light(run, run.bricks[name])
        if rows is None or not len(rows):
            continue
        galaxies = rows[np.char.strip(rows["type"].astype(str)) != "PSF"]
        galaxies = galaxies if len(galaxies) else rows
        flux = next((galaxies[n] for n in galaxies.dtype.names if n.startswith("flux_")), np.zeros(len(galaxies)))
        row = galaxies[rng.choice(np.argsort(-flux)[:10])]
        return float(row["ra"]), float(row["dec"]), f"{name} {row['objid']}"
    return None
