"""Cutouts over HTTP."""

from ..access.cutouts import make_cutout
from ..access.grids import PIXEL_SCALE
from ..access.native import subimages
from ..errors import UsageError
from ..survey import parse_radec
from .answers import Answer, Refusal, etag

__all__ = ["jpeg", "fits", "position"]

_FITS = "image/fits"


def position(query):
    """RA, Dec [deg] of a request: degrees, or sexagesimal."""
    ra, dec = query.word("ra"), query.word("dec")
    if ra is None or dec is None:
        raise Refusal(400, "Need ra,dec keywords")
    if ":" in ra or ":" in dec:
        try:
            return parse_radec(ra, dec)
        except UsageError:
            raise Refusal(400, "Need ra,dec keywords") from None
    try:
        float(ra), float(dec)
    except ValueError:
        raise Refusal(400, "Need ra,dec keywords") from None
    return query.number("ra", low=-1e4, high=1e4) % 360.0, query.number("dec", low=-90, high=90)


def _what(service, query):
    """Layer, position and keywords of `make_cutout` of a request."""
    layer = service.layer(query.word("layer"))
    ra, dec = position(query)
    highest = service.options.largest_size
    size = query.whole("size", 256, high=highest)
    if query.flag("pixscale"):
        pixscale = query.number("pixscale", low=0.02, high=300)
    elif query.flag("zoom"):
        pixscale = PIXEL_SCALE * 2.0 ** (14 - query.whole("zoom", 14, low=0))
    else:
        pixscale = PIXEL_SCALE
    keywords = {
        "width": query.whole("width", size, high=highest),
        "height": query.whole("height", size, high=highest),
        "pixscale": pixscale,
        "rotate": query.number("rotate", 0.0, low=-3600, high=3600),
        "bands": query.word("bands"),
        "combine": query.word("combine", "mean"),
        "store": service.pixels,
    }
    return layer, ra, dec, keywords


def _not_modified(query, tag):
    if query.headers.get("if-none-match") == tag:
        return Answer(b"", status=304, headers={"ETag": tag})
    return None


def _headers(layer, tag, bands):
    return {"ETag": tag, "Cache-Control": "no-cache", "X-Layer": layer.name, "X-Bands": "".join(bands)}


def jpeg(service, query):
    """``cutout.jpg``, ``jpeg-cutout``."""
    layer, ra, dec, keywords = _what(service, query)
    tag = etag("jpg", layer.name, layer.generation, query.text)
    unchanged = _not_modified(query, tag)
    if unchanged is not None:
        return unchanged
    cutout = make_cutout(layer, ra, dec, blank=True, **keywords)
    return Answer(cutout.to_jpeg(query.word("stretch")), "image/jpeg", headers=_headers(layer, tag, cutout.bands))


def fits(service, query):
    """``cutout.fits``, ``fits-cutout``."""
    layer, ra, dec, keywords = _what(service, query)
    tag = etag("fits", layer.name, layer.generation, query.text)
    unchanged = _not_modified(query, tag)
    if unchanged is not None:
        return unchanged
    if query.flag("subimage"):
        bands = layer.select_bands(keywords["bands"])
        body = subimages(layer, ra, dec, keywords["width"], keywords["height"], bands, service.pixels)
    else:
        cutout = make_cutout(layer, ra, dec, invvar=query.flag("invvar"), maskbits=query.flag("maskbits"), **keywords)
        bands, body = cutout.bands, cutout.to_fits()
    headers = _headers(layer, tag, bands)
    headers["Content-Disposition"] = f'attachment; filename="cutout_{ra:.4f}_{dec:.4f}.fits"'
    return Answer(body, _FITS, headers=headers)
