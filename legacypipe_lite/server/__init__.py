"""The server of the map page, tiles, cutouts and catalogues over output trees; needs the extra ``[viewer]``."""

from .application import build_application
from .options import ServerOptions
from .serve import serve

__all__ = ["build_application", "serve", "ServerOptions"]
