"""``legacypipe-lite serve``: a map of brick runs in the browser, cutouts and catalogues by URL."""

import ipaddress
import logging
import os
import re
import socket
from pathlib import Path

from ..errors import InputError, UsageError

__all__ = ["DESCRIPTION", "add_arguments", "run"]

logger = logging.getLogger(__name__)

DESCRIPTION = """\
Serve output directories of brick runs: a map page, cutouts, PSFs, catalogues and files, under the addresses of the
public Legacy Surveys viewer. On this machine only, unless --host says otherwise. Needs pip install
'legacypipe-lite[viewer]'.

  legacypipe-lite serve out
  legacypipe-lite serve south=out-south north=out-north --pair both=north,south --port 8642
"""


def add_arguments(parser):
    """Declare the arguments on an `argparse` parser."""
    parser.add_argument("runs", nargs="+", metavar="[NAME=]OUTDIR", help="output directories, under a name each")
    parser.add_argument("--port", type=int, default=8642, help="default: %(default)s; 0: any that is free")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument("--allow-host", action="append", default=[], metavar="NAME", help="further name of this server")
    parser.add_argument("--root-path", default="", metavar="/PATH", help="path below which a proxy has this server")
    parser.add_argument("--alias", action="append", default=[], metavar="NAME=RUN", help="further name of a run")
    parser.add_argument(
        "--pair", action="append", default=[], metavar="NAME=NORTH,SOUTH", help="two runs, joined as the surveys are"
    )
    parser.add_argument(
        "--survey-dir", action="append", default=[], metavar="[RUN=]DIR", help="survey directory: CCDs, PSFs"
    )
    parser.add_argument(
        "--portal", action="append", default=[], metavar="RUN=DR/REGION", help="path of a run's files on the portal"
    )
    parser.add_argument(
        "--cache-dir", metavar="DIR", help="for tiles (default: legacypipe-lite/viewer in the user's cache folder)"
    )


def run(arguments):
    """Run the command; arguments as `add_arguments` declared them."""
    try:
        import multipart  # noqa: F401 - of the extra; without it uploads would fail later
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise UsageError(f"serve needs {error.name}: pip install 'legacypipe-lite[viewer]'") from None
    from ..access import Catalogue, open_run
    from ..server import ServerOptions, serve

    cache = Path(arguments.cache_dir) if arguments.cache_dir else _default_cache()
    named = [_named(text) for text in arguments.runs]
    runs = [open_run(path, name, cache) for name, path in named]
    pairs = {name: tuple(_list(value, 2, "--pair")) for name, value in _pairs(arguments.pair, "--pair").items()}
    catalogue = Catalogue(runs, _pairs(arguments.alias, "--alias"), pairs)
    options = ServerOptions(
        survey_dirs=_survey_dirs(arguments.survey_dir, catalogue),
        portals=_portals(arguments.portal, catalogue),
        cache_dir=cache,
        hosts=_hosts(arguments.host, arguments.allow_host),
    )
    root_path = arguments.root_path.rstrip("/")
    if root_path and not re.fullmatch(r"(/[\w.~+-]+)+", root_path):
        raise UsageError(f"--root-path {arguments.root_path}: a path such as /sky")
    port = _free_port(arguments.host, arguments.port)
    for tree in runs:
        logger.info("%s: %d bricks, bands %s", tree.name, len(tree.bricks), ", ".join(tree.bands) or "none yet")
    if not _is_loopback(arguments.host):
        logger.warning("--host %s: everybody who reaches this machine can read these directories", arguments.host)
    shown = f"[{arguments.host}]" if ":" in arguments.host else arguments.host
    shown = "localhost" if arguments.host in ("127.0.0.1", "0.0.0.0", "::") else shown
    url = f"http://{shown}:{port}{root_path}/viewer/"
    serve(
        catalogue,
        options,
        arguments.host,
        port,
        root_path,
        on_start=lambda: logger.info("the map: %s   (Ctrl-C stops)", url),
    )


def _default_cache():
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "legacypipe-lite" / "viewer"


def _named(text):
    """Name (or None) and folder of ``NAME=OUT`` or ``OUT``."""
    name, equals, path = text.partition("=")
    if not equals or Path(text).is_dir():
        return None, text
    return name, path


def _pairs(texts, flag):
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name or not value:
            raise UsageError(f"{flag} {text}: give NAME=VALUE")
        found[name] = value
    return found


def _list(text, number, flag):
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != number:
        raise UsageError(f"{flag} {text}: give {number} names with a comma between them")
    return parts


def _survey_dirs(texts, catalogue):
    found = {}
    for text in texts:
        name, path = _named(text)
        if name is not None and name not in catalogue.runs:
            raise UsageError(f"--survey-dir {text}: there is no run {name}")
        if not Path(path).is_dir():
            raise InputError(f"--survey-dir {path}: there is no such directory")
        found |= {run: Path(path) for run in (catalogue.runs if name is None else [name])}
    return found


def _portals(texts, catalogue):
    found = _pairs(texts, "--portal")
    for name, value in found.items():
        if name not in catalogue.runs or not re.fullmatch(r"[\w.+-]+/[\w.+-]+", value) or ".." in value:
            raise UsageError(
                f"--portal {name}={value}: give RUN=release/region, e.g. {next(iter(catalogue.runs))}=dr10/south"
            )
    return found


def _is_loopback(host):
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _hosts(host, allowed):
    names = ["localhost", "127.0.0.1", "[::1]", *allowed]
    if host not in ("0.0.0.0", "::"):
        names.append(f"[{host}]" if ":" in host else host)
    else:
        names += [socket.gethostname(), socket.getfqdn()]
    return tuple(name.lower() for name in names)


def _free_port(host, port):
    """The port, once it is known that it can be used."""
    if not 0 <= port <= 65535:
        raise UsageError(f"--port {port}: 0 to 65535")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise UsageError(
                f"cannot listen on {host}:{port}: {error.strerror}; --port 0 takes one that is free"
            ) from None
        return probe.getsockname()[1]
