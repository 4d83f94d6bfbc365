"""Run the server until it is stopped."""

import logging
import multiprocessing
import threading
from concurrent.futures import ProcessPoolExecutor

from .application import build_application

__all__ = ["serve"]

logger = logging.getLogger(__name__)

_LOOK_EVERY = 10.0  # seconds


def serve(catalogue, options, host="127.0.0.1", port=8642, root_path="", on_start=None):
    """Serve some runs.

    Parameters
    ----------
    catalogue : access.Catalogue
    options : ServerOptions
    host : str
    port : int
    root_path : str
        Path below which a proxy has the server.
    on_start : callable, optional
        Called when requests are answered.
    """
    import uvicorn

    application = build_application(catalogue, options)
    config = uvicorn.Config(
        application, host=host, port=port, root_path=root_path, log_level="warning", server_header=False, backlog=512
    )
    server = _Uvicorn(config, on_start)
    stop = threading.Event()
    watcher = threading.Thread(target=_watch, args=(application.state.service, stop), daemon=True)
    watcher.start()
    try:
        server.run()
    finally:
        stop.set()
        watcher.join(timeout=5)


def _Uvicorn(config, on_start):
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets=None):
            await super().startup(sockets)
            if on_start is not None and self.started:
                on_start()

    return Server(config)


def _watch(service, stop):
    """Look for new bricks, and make the small images of bricks before they are wanted."""
    made = set()
    while not stop.is_set():
        try:
            service.refresh()
            _make_levels(service, made, stop)
        except OSError as error:
            logger.warning("cannot look for new bricks: %s", error)
        stop.wait(_LOOK_EVERY)


def _make_levels(service, made, stop):
    folder = service.options.cache_dir
    if folder is None:
        return
    wanted = [
        (brick, product, band)
        for run in service.catalogue.runs.values()
        for brick in run.bricks.values()
        for product in ("image", "model")
        for band in brick.products.get(product, ())
        if (brick.name, brick.state, product, band) not in made
    ]
    if not wanted:
        return
    # In a process of its own: reading a whole image stops all threads of a process.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        for brick, product, band in wanted:
            if stop.is_set():
                return
            try:
                pool.submit(_make_levels_of, str(folder / "levels"), brick, product, band).result()
            except (OSError, ValueError) as error:
                logger.warning("brick %s: %s", brick.name, error)
            made.add((brick.name, brick.state, product, band))


def _make_levels_of(folder, brick, product, band):
    from ..access.pixels import PixelStore

    PixelStore(folder).level_image(brick, product, band, 1)
