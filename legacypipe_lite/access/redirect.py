"""Send requests for the public service to a server of one's own."""

import contextlib
import re
import sys
import urllib.request

from ..errors import UsageError

__all__ = ["redirect", "redirected_url"]

_VIEWER = re.compile(r"https?://(?:www\.)?legacysurvey\.org(?=/viewer)", re.IGNORECASE)
_PORTAL = re.compile(r"https?://portal\.nersc\.gov(?=/cfs/cosmo/data/legacysurvey)", re.IGNORECASE)


def redirected_url(url: str, base_url: str) -> str:
    """The address on a server of one's own of an address of the public viewer or portal; others as they are."""
    base = base_url.rstrip("/")
    for pattern in (_VIEWER, _PORTAL):
        if pattern.match(url):
            return pattern.sub(base, url, count=1)
    return url


@contextlib.contextmanager
def redirect(base_url: str):
    """Within this context requests for the public viewer and portal go to another server.

    It covers `urllib` (which astropy uses), and `requests` if that is imported before.

    Parameters
    ----------
    base_url : str
        E.g. ``"http://localhost:8642"``.

    Raises
    ------
    UsageError
        If it is no http address.
    """
    if not re.match(r"https?://[^/]+", base_url):
        raise UsageError(f"{base_url!r}: give an address such as http://localhost:8642")
    with contextlib.ExitStack() as stack:
        stack.enter_context(_changed(urllib.request.OpenerDirector, "open", _open_there(base_url)))
        requests = sys.modules.get("requests")
        if requests is not None:
            stack.enter_context(_changed(requests.Session, "request", _request_there(base_url)))
        yield


@contextlib.contextmanager
def _changed(owner, name, wrap):
    original = getattr(owner, name)
    setattr(owner, name, wrap(original))
    try:
        yield
    finally:
        setattr(owner, name, original)


def _open_there(base_url):
    def wrap(original):
        def open_there(self, fullurl, *arguments, **keywords):
            if isinstance(fullurl, str):
                fullurl = redirected_url(fullurl, base_url)
            else:
                fullurl.full_url = redirected_url(fullurl.full_url, base_url)
            return original(self, fullurl, *arguments, **keywords)

        return open_there

    return wrap


def _request_there(base_url):
    def wrap(original):
        def request_there(self, method, url, *arguments, **keywords):
            return original(self, method, redirected_url(url, base_url), *arguments, **keywords)

        return request_there

    return wrap
