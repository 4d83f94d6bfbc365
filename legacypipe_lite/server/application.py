"""The web application: prefixes, hosts, limits, files, around a `Service`."""

import logging
import urllib.parse
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
from starlette.applications import Starlette
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import Route

from .answers import Query, Refusal
from .files import find_file, folder_page
from .service import Service
from .uploads import LARGEST_UPLOAD, store_catalog

__all__ = ["build_application", "PORTAL"]

logger = logging.getLogger(__name__)

#: Where raw files lie, as on the public portal.
PORTAL = "/cfs/cosmo/data/legacysurvey"
_PREFIXES = ("/viewer", "/viewer-dev")
_SECURITY = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}


def build_application(catalogue, options):
    """The ASGI application that serves some runs.

    Parameters
    ----------
    catalogue : access.Catalogue
    options : ServerOptions

    Returns
    -------
    starlette.applications.Starlette
    """
    server = _Server(Service(catalogue, options), options)
    application = Starlette(routes=[Route("/{path:path}", server.endpoint, methods=["GET", "HEAD", "POST"])])
    application.state.service = server.service
    application.add_middleware(_Guard, hosts=options.hosts)
    return application


class _Guard:
    """Refuses hosts that are not known (against DNS rebinding), and adds headers that restrict what pages may do."""

    def __init__(self, app, hosts):
        self.app = app
        self.hosts = {host.lower() for host in hosts}

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1").lower()
        name = host.rsplit(":", 1)[0] if host.rpartition(":")[2].isdigit() else host
        if name not in self.hosts and "*" not in self.hosts:
            await Response("unknown host\n", 421, media_type="text/plain")(scope, receive, send)
            return

        async def with_headers(message):
            if message["type"] == "http.response.start":
                extra = [(key.lower().encode(), value.encode()) for key, value in _SECURITY.items()]
                message = {**message, "headers": [*message.get("headers", []), *extra]}
            await send(message)

        await self.app(scope, receive, with_headers)


class _Server:
    def __init__(self, service, options):
        self.service, self.options = service, options
        self._limiter = anyio.CapacityLimiter(options.threads)
        self._waiting = 0
        self._roots = {
            f"{PORTAL}/{options.portals.get(name, name + '/south')}/": run.root
            for name, run in service.catalogue.runs.items()
        }

    async def endpoint(self, request):
        path = _path(request)
        if path is None:
            return _text("no such page", 404)
        if path in ("", "/"):
            return RedirectResponse("viewer/", 307)
        if path.startswith(PORTAL):
            return await self._file(request, path)
        for prefix in sorted(_PREFIXES, key=len, reverse=True):
            if path == prefix or path.startswith(prefix + "/"):
                return await self._viewer(request, path, path[len(prefix) :])
        return _text("no such page", 404)

    async def _viewer(self, request, path, rest):
        if rest == "" and not request.url.query:
            return RedirectResponse(path.rsplit("/", 1)[-1] + "/", 307)
        rest = rest.lstrip("/")
        if request.method == "POST":
            return await self._upload(request, rest)
        try:
            query = Query(request.url.query, request.headers)
        except Refusal as refusal:
            return _text(refusal.text, refusal.status)
        return await self._work(partial(self.service.answer, rest, query))

    async def _work(self, function):
        """Run something in a thread, when one is free."""
        if self._waiting >= self.options.waiting + self.options.threads:
            return Response("busy\n", 503, {"Retry-After": "2"}, "text/plain")
        self._waiting += 1
        try:
            with anyio.fail_after(self.options.seconds):
                answer = await anyio.to_thread.run_sync(function, limiter=self._limiter, abandon_on_cancel=True)
        except TimeoutError:
            return Response("this takes too long\n", 503, {"Retry-After": "60"}, "text/plain")
        except Exception:
            logger.exception("a request failed")
            return _text("an error of the server, see its log", 500)
        finally:
            self._waiting -= 1
        return Response(answer.body, answer.status, answer.headers, answer.media_type)

    async def _upload(self, request, rest):
        if rest.strip("/") != "upload-cat":
            return _text("only catalogues can be sent", 405)
        origin = request.headers.get("origin")
        if origin not in (None, "null") and urllib.parse.urlsplit(origin).netloc != request.headers.get("host"):
            return _text("catalogues are taken from this server's own page only", 403)
        if int(request.headers.get("content-length") or 0) > LARGEST_UPLOAD + 10_000:
            return _text("the file is too large", 413)
        try:
            form = await request.form(max_files=1, max_fields=5)
        except Exception as error:  # malformed bodies end in many ways
            return _text(f"cannot read the form: {type(error).__name__}", 400)
        upload = form.get("catalog")
        if upload is None or isinstance(upload, str):
            return _text("the form has no file 'catalog'", 400)
        data = await upload.read(LARGEST_UPLOAD + 1)

        def keep():
            try:
                return store_catalog(self.service, data)
            except Refusal as refusal:
                from .answers import text_answer

                return text_answer(refusal.text, refusal.status)

        return await self._work(keep)

    async def _file(self, request, path):
        if request.method not in ("GET", "HEAD"):
            return _text("read only", 405)
        while "//" in path:
            path = path.replace("//", "/")
        for start, root in self._roots.items():
            if path.startswith(start) or path + "/" == start:
                return await self._file_below(root, path[len(start) :], path)
        return _text("no such file", 404)

    async def _file_below(self, root, relative, path):
        found = await anyio.to_thread.run_sync(find_file, Path(root), relative, limiter=self._limiter)
        if found is None:
            return _text("no such file", 404)
        if found.is_dir():
            if not path.endswith("/"):
                return RedirectResponse(path.rsplit("/", 1)[-1] + "/", 307)
            page = await anyio.to_thread.run_sync(folder_page, found, relative, limiter=self._limiter)
            return Response(page, media_type="text/html")
        kind = "image/fits" if ".fits" in found.name else "application/octet-stream"
        kinds = {".jpg": "image/jpeg", ".html": "text/html", ".json": "application/json"}
        headers = {"Cache-Control": "no-cache"}
        return FileResponse(found, media_type=kinds.get(found.suffix, kind), headers=headers)


def _path(request):
    """Path of a request, below the root path of a proxy; None if it is no text."""
    path = request.scope["path"]
    root = request.scope.get("root_path", "").rstrip("/")
    if root and path.startswith(root + "/"):
        path = path[len(root) :]
    return None if "\0" in path or len(path) > 4096 else path


def _text(text, status):
    return Response(text + "\n", status, media_type="text/plain")
