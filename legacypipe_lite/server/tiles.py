"""Tiles over HTTP."""

from ..access.grids import TileGrid
from ..access.tiles import BLANK_TILE
from ..errors import UsageError
from .answers import Answer, Refusal, etag

__all__ = ["tile"]

#: A picture of one transparent pixel, for maps of bits without data.
_BLANK_PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)


def tile(service, query, layer, version, zoom, x, y):
    """``<layer>/<version>/<zoom>/<x>/<y>.jpg``."""
    del version  # any is accepted
    layer = service.layer(layer)
    try:
        TileGrid(int(zoom), int(x), int(y))
    except UsageError as error:
        raise Refusal(404, str(error)) from None
    tag = etag("tile", layer.name, layer.bands, layer.generation, zoom, x, y)
    headers = {"ETag": tag, "Cache-Control": "no-cache", "X-Layer": layer.name}
    if query.headers.get("if-none-match") == tag:
        return Answer(b"", status=304, headers=headers)
    bits = layer.product == "maskbits"
    picture = service.tiles.get(layer, int(zoom), int(x), int(y)) or (_BLANK_PNG if bits else BLANK_TILE)
    return Answer(picture, "image/png" if bits else "image/jpeg", headers=headers)
