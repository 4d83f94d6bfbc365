"""The map page and its files, what it is told, and pages about a position or a brick."""

import html
import mimetypes
from importlib import resources

import numpy as np

from ..access.ccds import ccd_wcs
from ..access.layers import SplitLayer
from ..access.pictures import BIT_COLORS
from ..bits import MASKBITS_FIXED
from ..errors import LegacypipeError
from .answers import Answer, Refusal, etag, json_answer
from .cutouts import position
from .overlays import finder_of

__all__ = ["map_page", "static_file", "configuration", "url_list", "position_page", "brick_page", "html_page"]

_HTML = "text/html; charset=utf-8"
_STATIC = resources.files(__package__) / "static"
_CCD_COLUMNS = ("camera", "expnum", "ccdname", "filter", "exptime", "fwhm", "propid", "date_obs", "image_filename")


def map_page(service, query):
    """The map."""
    del service, query
    body = (_STATIC / "map.html").read_bytes()
    return Answer(body, _HTML, headers={"Cache-Control": "no-cache"})


def static_file(service, query, name):
    """A script, style sheet or picture of the map page."""
    del service
    parts = name.split("/")
    if any(part.startswith(".") for part in parts):
        raise Refusal(404, "no such page")
    file = _STATIC.joinpath(*parts)
    if not file.is_file():
        raise Refusal(404, "no such page")
    body = file.read_bytes()
    tag = etag(name, body)
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if query.headers.get("if-none-match") == tag:
        return Answer(b"", status=304, headers=headers)
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return Answer(body, kind, headers=headers)


def configuration(service, query):
    """``config.json``: layers, where to begin, the bits of masks."""
    del query
    layers = [_describe(layer) for layer in service.catalogue.all_layers()]
    for name, (north, south) in service.catalogue.pairs.items():
        layers.append({**_describe(service.catalogue.find(name)), "run": name, "parts": [north, south]})
    runs = {}
    for name, run in service.catalogue.runs.items():
        first = next(iter(run.bricks.values()), None)
        view = None
        if first is not None:
            ra, dec = first.center
            view = {"ra": ra, "dec": dec, "radius": first.radius}
        runs[name] = {"bricks": len(run.bricks), "bands": run.bands, "view": view, "generation": run.generation}
    return json_answer({"layers": layers, "runs": runs, "bits": _bits(service)}, **{"Cache-Control": "no-cache"})


def _describe(layer):
    run = layer.south.run if isinstance(layer, SplitLayer) else layer.run
    scale = next((brick.wcs.pixel_scale for brick in run.bricks.values()), 0.262)
    # Zoom at which a pixel of the coadds is one of the map.
    native = int(np.clip(np.ceil(np.log2(360 * 3600 / 256 / scale) - 0.25), 14, 20))
    return {
        "name": layer.name,
        "run": run.name,
        "product": layer.product,
        "wise": layer.wise,
        "bands": list(layer.bands),
        "generation": layer.generation,
        "native_zoom": native,
    }


def _bits(service):
    """Number, name, meaning and colour of mask bits that all runs share, and of the bands' ones."""
    bits = [(b.value.bit_length() - 1, b.name, b.text) for b in MASKBITS_FIXED]
    bits += _bits_of_headers(service)
    known = {}
    for number, name, text in bits:
        known.setdefault(number, {"bit": number, "name": name, "text": text})
    return [{**known[n], "color": _hex(BIT_COLORS[n % len(BIT_COLORS)])} for n in sorted(known)]


def _hex(color):
    return "#" + "".join(f"{part:02x}" for part in color)


def _bits_of_headers(service):
    """Bits of the bands, as the header of a map of mask bits names them."""
    import re

    import fitsio

    for run in service.catalogue.runs.values():
        for brick in run.bricks.values():
            if not brick.has("maskbits", ""):
                continue
            try:
                header = fitsio.read_header(str(brick.path("maskbits")), ext=1)
            except OSError:
                continue
            found = []
            for key in header:
                match = re.fullmatch(r"(?:MBIT_|MB_?)(\d+)", str(key))
                if match and int(match[1]) < 31:
                    text = str(header.get(key)).strip()
                    found.append((int(match[1]), text, text))
            return found
    return []


def html_page(title, body, depth=1):
    """A page in the style of the map.

    Parameters
    ----------
    title : str
        Plain text.
    body : str
        HTML.
    depth : int
        Folders between the page and the viewer.
    """
    text = (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{html.escape(title)}</title><link rel='stylesheet' href='{'../' * depth}static/page.css'></head>"
        f"<body><main>{body}</main></body></html>"
    )
    return Answer(text.encode(), _HTML, headers={"Cache-Control": "no-cache"})


def url_list(service, query):
    """``urls``: examples of what can be asked for."""
    del query
    run = next((r for r in service.catalogue.runs.values() if r.bricks), None)
    if run is None:
        raise Refusal(404, "there is no brick yet")
    ra, dec = next(iter(run.bricks.values())).center
    at, name = f"ra={ra:.4f}&dec={dec:.4f}", run.name
    box = f"ralo={ra - 0.01:.4f}&rahi={ra + 0.01:.4f}&declo={dec - 0.01:.4f}&dechi={dec + 0.01:.4f}"
    urls = [
        f"?{at}&zoom=14&layer={name}",
        f"cutout.jpg?{at}&layer={name}&size=256&pixscale=0.262",
        f"cutout.fits?{at}&layer={name}&size=256&bands={''.join(run.bands)}",
        f"cutout.fits?{at}&layer={name}&size=256&invvar&maskbits",
        f"cutout.fits?{at}&layer={name}&size=256&subimage",
        f"cutout.jpg?{at}&layer={name}-resid&size=256&stretch=resid",
        f"coadd-psf/?{at}&layer={name}",
        f"{name}/cat.fits?{box}",
        f"{name}/cat.csv?{box}&columns=ra,dec,type",
        f"{name}/cat?{box}",
        f"bricks/?{box}&layer={name}",
        f"ccds/?{box}&layer={name}",
        f"data-for-radec/?{at}&layer={name}",
    ]
    items = "".join(f"<li><a href='../{html.escape(url)}'>{html.escape(url)}</a></li>" for url in urls)
    return html_page("Requests", f"<h1>Requests</h1><ul>{items}</ul>")


def _files_link(service, run, path):
    portal = service.options.portals.get(run.name, f"{run.name}/south")
    return f"cfs/cosmo/data/legacysurvey/{portal}/{path}"


def position_page(service, query):
    """``data-for-radec/``: what there is at a position."""
    layer = service.layer(query.word("layer"))
    ra, dec = position(query)
    run = layer.south.run if isinstance(layer, SplitLayer) else layer.run
    at = html.escape(f"ra={ra:.6f}&dec={dec:.6f}&layer={layer.name}")
    box = f"ralo={ra - 0.005:.5f}&rahi={ra + 0.005:.5f}&declo={dec - 0.005:.5f}&dechi={dec + 0.005:.5f}"
    links = [
        (f"../cutout.jpg?{at}", "Image (JPEG)"),
        (f"../cutout.fits?{at}", "Image (FITS)"),
        (f"../cutout.fits?{at}&amp;subimage", "Pixels as they are, with inverse variance (FITS)"),
        (f"../coadd-psf/?{at}", "PSF of the coadd (FITS)"),
        (f"../{layer.name}/cat?{html.escape(box)}", "Catalogue rows"),
        (f"../{layer.name}/cat.fits?{html.escape(box)}", "Catalogue rows (FITS)"),
        (f"../?{at}&amp;zoom=14", "Map"),
    ]
    items = "".join(f"<li><a href='{url}'>{text}</a></li>" for url, text in links)
    body = f"<h1>RA {ra:.5f}, Dec {dec:.5f}</h1><p>Layer {html.escape(layer.name)}</p><ul>{items}</ul>"
    brick = run.brick_at(ra, dec)
    if brick is not None:
        body += _brick_lines(service, run, brick)
    body += _ccd_lines(service, run, brick, ra, dec)
    return html_page(f"{ra:.4f} {dec:.4f}", body)


def brick_page(service, query, name):
    """``brick/<name>/``: what there is of a brick."""
    layer = query.word("layer")
    runs = service.catalogue.runs.values()
    if layer is not None:
        found = service.layer(layer)
        runs = (found.north.run, found.south.run) if isinstance(found, SplitLayer) else (found.run,)
    run = next((run for run in runs if name in run.bricks), None)
    if run is None:
        raise Refusal(404, "no such brick")
    brick = run.bricks[name]
    body = f"<h1>Brick {html.escape(name)}</h1>" + _brick_lines(service, run, brick, depth=2)
    body += _ccd_lines(service, run, brick, *brick.center, depth=2)
    return html_page(f"Brick {name}", body, depth=2)


def _brick_lines(service, run, brick, depth=1):
    up, above = "../" * depth, "../" * (depth + 1)
    ra, dec = brick.center
    group = f"{brick.name[:3]}/{brick.name}"
    links = [
        (f"{up}brick/{brick.name}/?layer={run.name}", "this brick"),
        (f"{up}?ra={ra:.5f}&amp;dec={dec:.5f}&amp;layer={run.name}&amp;bricks", "map"),
        (above + _files_link(service, run, f"coadd/{group}/legacysurvey-{brick.name}-image.jpg"), "picture"),
        (above + _files_link(service, run, f"coadd/{group}/"), "coadds"),
        (above + _files_link(service, run, f"tractor/{brick.name[:3]}/tractor-{brick.name}.fits"), "catalogue"),
    ]
    report = f"report-{brick.name}.html"
    if (run.root / report).is_file():
        links.append((above + _files_link(service, run, report), "report"))
    items = " · ".join(f"<a href='{url}'>{text}</a>" for url, text in links)
    bounds = f"RA {brick.ra1:.4f} to {brick.ra2:.4f}, Dec {brick.dec1:.4f} to {brick.dec2:.4f}"
    return f"<h2>Brick {html.escape(brick.name)}</h2><p>{bounds}, run {html.escape(run.name)}</p><p>{items}</p>"


def _ccd_lines(service, run, brick, ra, dec, depth=1):
    size = 0.01 if brick is None else 2 * brick.radius / np.sqrt(2)
    middle = (ra, dec) if brick is None else brick.center
    try:
        rows = finder_of(service, run).near(*middle, size, size)
    except LegacypipeError:
        return "<p>The tables of CCDs cannot be read.</p>"
    if not len(rows):
        return "<p>No CCDs are known here.</p>"
    names = [name for name in _CCD_COLUMNS if name in rows.colnames]
    head = "<tr><th></th>" + "".join(f"<th>{name}</th>" for name in names) + "</tr>"
    lines = []
    for row in rows:
        x, y = ccd_wcs(row).sky_to_pixel(float(ra), float(dec))
        here = bool(ccd_wcs(row).contains(x, y))
        cells = "".join(f"<td>{html.escape(_short(row[name]))}</td>" for name in names)
        lines.append((not here, f"<tr><td>{'●' if here else ''}</td>{cells}</tr>"))
    lines = "".join(line for _, line in sorted(lines, key=lambda pair: pair[0]))
    return f"<h2>{len(rows)} CCDs (● hold the position)</h2><div class='wide'><table>{head}{lines}</table></div>"


def _short(value):
    return f"{value:.3f}" if isinstance(value, float | np.floating) else str(value)
