"""Programs with the public host built in reach a server of one's own."""

import http.server
import threading
import urllib.request

import pytest

from legacypipe_lite.access import redirect
from legacypipe_lite.access.redirect import redirected_url
from legacypipe_lite.errors import UsageError


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://www.legacysurvey.org/viewer/jpeg-cutout?ra=1", "/viewer/jpeg-cutout?ra=1"),
        ("http://legacysurvey.org/viewer/cutout.fits", "/viewer/cutout.fits"),
        (
            "https://portal.nersc.gov/cfs/cosmo/data/legacysurvey/dr10/south/a",
            "/cfs/cosmo/data/legacysurvey/dr10/south/a",
        ),
    ],
)
def test_addresses(url, path):
    assert redirected_url(url, "http://localhost:1/") == "http://localhost:1" + path


def test_other_addresses_stay():
    for url in ("https://www.legacysurvey.org/dr10/", "https://example.org/viewer/"):
        assert redirected_url(url, "http://localhost:1") == url


def test_urllib():
    class Echo(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(self.path.encode())

        def log_message(self, *arguments):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        here = redirect(f"http://127.0.0.1:{server.server_port}")
        with here, urllib.request.urlopen("https://www.legacysurvey.org/viewer/alive?x=1") as answer:
            assert answer.read() == b"/viewer/alive?x=1"
    finally:
        server.shutdown()
        server.server_close()


def test_no_address():
    with pytest.raises(UsageError), redirect("localhost"):
        pass
