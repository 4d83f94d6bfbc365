"""PSFs of the coadds over HTTP."""

from ..access.copsf import coadd_psfs, psf_to_fits
from ..access.layers import SplitLayer, is_north
from .answers import Answer, Refusal
from .cutouts import position
from .overlays import finder_of

__all__ = ["coadd_psf"]


def coadd_psf(service, query):
    """``coadd-psf/``: a stamp for each band."""
    layer = service.layer(query.word("layer")).of_product("image")
    ra, dec = position(query)
    if isinstance(layer, SplitLayer):
        layer = layer.north if is_north(ra, dec) else layer.south
    bands = query.word("bands")
    if bands == "":
        raise Refusal(400, "bands= is empty: name bands, e.g. bands=grz, or leave it out")
    frame = query.word("frame", "sky")
    stamps, source = coadd_psfs(layer, finder_of(service, layer.run), ra, dec, bands, frame)
    name = f'attachment; filename="copsf_{ra:.4f}_{dec:.4f}.fits"'
    headers = {"Content-Disposition": name, "Cache-Control": "no-cache", "X-Layer": layer.name}
    return Answer(psf_to_fits(stamps, frame, source), "image/fits", headers=headers)
