"""The service: requests below the viewer's prefix, by path, to answers."""

import logging
import re
from urllib.parse import unquote

from ..access.catalogs import CatalogStore
from ..access.cutouts import NoOverlapError
from ..access.pixels import PixelStore
from ..access.tiles import TileStore
from ..errors import InputError, LegacypipeError, UsageError
from . import catalogs, cutouts, overlays, pages, psf, tiles, uploads
from .answers import Refusal, text_answer

__all__ = ["Service"]

logger = logging.getLogger(__name__)

_LAYER = r"(?P<layer>[^/]{1,200})"
_TILE = _LAYER + r"/(?P<version>\d{1,6})/(?P<zoom>-?\d{1,9})/(?P<x>-?\d{1,9})/(?P<y>-?\d{1,9})"

#: Patterns of paths, and what answers them: ``function(service, query, **groups) -> Answer``. The first that fits.
_ROUTES = [
    (r"", pages.map_page),
    (r"static/(?P<name>[\w.-]+(?:/[\w.-]+)?)", pages.static_file),
    (r"config\.json", pages.configuration),
    (r"alive/?", lambda service, query: text_answer("yes")),
    (r"urls/?", pages.url_list),
    (r"(?:cutout\.jpg|jpeg-cutout).*", cutouts.jpeg),
    (r"(?:cutout\.fits|fits-cutout).*", cutouts.fits),
    (r"coadd-psf/?.*", psf.coadd_psf),
    (r"bricks/?", overlays.bricks),
    (r"ccds/?", overlays.ccds),
    (r"exps/?", overlays.exposures),
    (r"namequery/?", overlays.name_query),
    (r"data-for-radec/?", pages.position_page),
    (r"brick/(?P<name>[^/]{1,60})/?", pages.brick_page),
    (r"usercatalog/\d+/cat\.json", uploads.user_catalog),
    (_TILE + r"\.(?:jpg|png)", tiles.tile),
    (_TILE + r"\.cat\.json", catalogs.tile_sources),
    (_LAYER + r"/cat\.(?P<format>fits|csv|json)", catalogs.box),
    (_LAYER + r"/\d+/cat\.json", catalogs.references),
    (_LAYER + r"/cat/?", catalogs.row_page),
    (_LAYER + r"/compare\.json", catalogs.compare),
]
_ROUTES = [(re.compile(pattern, re.ASCII), handler) for pattern, handler in _ROUTES]


class Service:
    """Answers requests about runs.

    Parameters
    ----------
    catalogue : access.Catalogue
    options : ServerOptions
    """

    def __init__(self, catalogue, options):
        self.catalogue, self.options = catalogue, options
        folder = options.cache_dir
        self.pixels = PixelStore(None if folder is None else folder / "levels")
        self.tiles = TileStore(folder, self.pixels)
        self.sources = CatalogStore()

    def answer(self, path, query):
        """The answer to a request below the prefix.

        Parameters
        ----------
        path : str
            After the prefix, without the first slash, decoded once.
        query : Query

        Returns
        -------
        Answer
            Also of all that is wrong with the request.
        """
        try:
            for pattern, handler in _ROUTES:
                match = pattern.fullmatch(path)
                if match is not None:
                    return handler(self, query, **match.groupdict())
            raise Refusal(404, "no such page")
        except Refusal as refusal:
            return text_answer(refusal.text, refusal.status)
        except NoOverlapError as error:
            return text_answer(str(error), 404)
        except UsageError as error:
            return text_answer(str(error), 400)
        except InputError as error:
            logger.warning("%s", error)
            return text_answer(str(error).replace(str(self._root()), ""), 404)
        except LegacypipeError as error:
            logger.warning("%s", error)
            return text_answer("the data cannot be read", 500)

    def _root(self):
        return next((run.root for run in self.catalogue.runs.values()), "")

    def layer(self, name):
        """The layer of a name in a URL; refused if there is none."""
        layer = self.catalogue.find(None if name is None else unquote(name).replace(" ", "+"))
        if layer is None:
            raise Refusal(404, "no such layer")
        return layer

    def refresh(self):
        """Look for new bricks."""
        for run in self.catalogue.runs.values():
            if run.refresh():
                logger.info("%s: %d bricks", run.name, len(run.bricks))
