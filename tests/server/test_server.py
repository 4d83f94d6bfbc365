"""The server's answers, by a client in the same process."""

import hashlib
import io
import json
import threading
import time

import numpy as np
import pytest

pytest.importorskip("starlette")
from astropy.io import fits
from astropy.table import Table
from PIL import Image
from starlette.testclient import TestClient

from legacypipe_lite.access import Catalogue, open_run
from legacypipe_lite.server import ServerOptions, build_application

RA0, EDGE = 244.72340425531914, 244.85106382978722
AT = f"ra={RA0}&dec=12"


@pytest.fixture(scope="module")
def client(catalogue, tmp_path_factory):
    options = ServerOptions(cache_dir=tmp_path_factory.mktemp("cache"), hosts=("testserver",))
    with TestClient(build_application(catalogue, options), follow_redirects=False) as client:
        yield client


def get(client, path, **keywords):
    return client.get("/viewer/" + path, **keywords)


@pytest.mark.parametrize(
    "path",
    ["fits-cutout?", "fits-cutout/?", "cutout.fits?", "fits-cutout.fits?", "cutout.fits/x?"],
)
def test_addresses_of_fits_cutouts(client, path):
    answer = get(client, f"{path}{AT}&size=40&bands=r&layer=syn")
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/fits"
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert answer.headers["x-layer"] == "syn" and answer.headers["x-bands"] == "r"
    assert 'filename="cutout_244.7234_12.0000.fits"' in answer.headers["content-disposition"]
    assert fits.getdata(io.BytesIO(answer.content)).shape == (40, 40)


def test_the_prefix_for_development_and_the_root(client):
    assert client.get(f"/viewer-dev/cutout.jpg?{AT}&size=20").status_code == 200
    assert client.get("/").headers["location"] == "viewer/"
    assert client.get("/viewer").headers["location"] == "viewer/"
    assert client.get(f"/viewer?{AT}").status_code == 200


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("cutout.fits?size=40", 400, "Need ra,dec keywords"),
        ("cutout.fits?ra=x&dec=1", 400, "Need ra,dec keywords"),
        ("cutout.fits?ra=10&dec=12&size=40", 404, "No overlap"),
        (f"cutout.fits?{AT}&layer=nothing", 404, "no such layer"),
        (f"cutout.fits?{AT}&layer=", 404, "no such layer"),
        (f"cutout.fits?{AT}&layer=../../etc", 404, "no such layer"),
        (f"cutout.fits?{AT}&layer=%2e%2e%2f", 404, "no such layer"),
        (f"cutout.fits?{AT}&layer={'x' * 5000}", 404, "no such layer"),
        (f"cutout.fits?{AT}&layer={'x' * 10000}", 414, "too long"),
        (f"cutout.fits?{AT}&size=abc", 400, "size"),
        (f"cutout.fits?{AT}&size=-1", 400, "size"),
        (f"cutout.fits?{AT}&size=nan", 400, "size"),
        (f"cutout.fits?{AT}&pixscale=0", 400, "pixscale"),
        (f"cutout.fits?{AT}&pixscale=1e-9", 400, "pixscale"),
        (f"cutout.fits?{AT}&bands=", 400, "bands"),
        ("cutout.fits?ra=nan&dec=12", 400, "ra"),
        ("cutout.fits?ra=inf&dec=12", 400, "ra"),
        ("cutout.fits?ra=1&dec=91", 400, "dec"),
        ("syn/1/14/99999/7641.jpg", 404, "no tile"),
        ("syn/1/99/0/0.jpg", 404, "no tile"),
        ("syn/1/14/-1/0.jpg", 404, "no tile"),
        ("a/b/1/14/0/0.jpg", 404, "no such page"),
        ("brick/1102p240/../../etc", 404, "no such page"),
        ("brick/9999p999/", 404, "no such brick"),
        ("syn/cat.fits", 400, "ralo"),
        ("syn/cat.fits?ralo=0&rahi=300&declo=-80&dechi=80", 400, "square degrees"),
        ("usercatalog/1/cat.json?cat=../../etc/passwd", 404, "no such catalogue"),
        ("no-such-page", 404, "no such page"),
        ("static/../serve.py", 404, "no such page"),
        ("static/.hidden", 404, "no such page"),
    ],
)
def test_refusals(client, path, status, text):
    answer = get(client, path)
    assert answer.status_code == status and text in answer.text and "Traceback" not in answer.text


def test_other_hosts_are_refused(client):
    assert get(client, "alive", headers={"Host": "evil.example"}).status_code == 421
    assert get(client, "alive").text.strip() == "yes"


def test_a_size_above_the_largest_is_cut(client):
    answer = get(client, f"cutout.jpg?{AT}&width=1e9&height=10&pixscale=0.3")
    assert Image.open(io.BytesIO(answer.content)).size == (3000, 10)
    assert get(client, f"cutout.jpg?{AT}&size=40.0").status_code == 200


def test_flags_and_planes(client):
    answer = get(client, f"cutout.fits?{AT}&size=40&bands=gr&invvar=True&maskbits&layer=ls-dr9")
    with fits.open(io.BytesIO(answer.content)) as hdus:
        assert [hdu.header["IMAGETYP"] for hdu in hdus] == ["IMAGE", "INVVAR", "MASKBITS"]
    assert answer.headers["x-layer"] == "syn"


def test_no_brick_in_a_jpeg_is_dark(client):
    answer = get(client, "cutout.jpg?ra=10&dec=12&size=40")
    assert answer.status_code == 200
    assert np.abs(np.array(Image.open(io.BytesIO(answer.content))).astype(int) - 32).max() <= 1


def test_unchanged_answers_are_not_sent_again(client):
    for path in (f"cutout.jpg?{AT}&size=20", "syn/1/14/5246/7641.jpg", "static/map.js"):
        tag = get(client, path).headers["etag"]
        again = get(client, path, headers={"If-None-Match": tag})
        assert again.status_code == 304 and not again.content


def test_head_has_the_length_of_get(client):
    for path in (f"cutout.fits?{AT}&size=20", "syn/1/14/5246/7641.jpg", "config.json"):
        assert client.head("/viewer/" + path).headers["content-length"] == str(len(get(client, path).content))


def test_tiles_are_kept_and_blank_ones_are_grey(client):
    first, again = (get(client, "syn/1/14/5246/7641.jpg").content for _ in range(2))
    assert first == again
    blank = np.array(Image.open(io.BytesIO(get(client, "syn/7/14/0/0.jpg").content)))
    assert blank.shape == (256, 256, 3) and (blank == 36).all()
    bits = Image.open(io.BytesIO(get(client, "syn-maskbits/1/14/5246/7641.png").content))
    assert bits.mode == "RGBA"


def test_outlines_of_bricks(client):
    found = get(client, "bricks/?ralo=244.6&rahi=244.9&declo=12&dechi=12.05&layer=syn").json()["polys"]
    assert [polygon["name"] for polygon in found] == ["2447p120", "2449p120"]
    assert found[0]["radecs"][0] == pytest.approx([244.59574468085106, 11.875])
    for low, high in ((359.9, 0.1), (-0.1, 0.1), (359.9, 360.1)):
        found = get(client, f"bricks/?ralo={low}&rahi={high}&declo=12&dechi=12.05&layer=wrap").json()["polys"]
        assert {polygon["name"] for polygon in found} == {"0001p120", "3598p120"}


def test_sources_of_a_tile(client):
    def strict(text):
        return json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))

    tiles = [
        strict(get(client, f"syn/1/13/{x}/{y}.cat.json").text) for x in (2622, 2623, 2624) for y in (3819, 3820, 3821)
    ]
    found = {key: [value for tile in tiles for value in tile[key]] for key in tiles[0]}
    assert len(found["rd"]) == 24 == len(found["radius"]) and len(set(found["objids"])) == 24
    first = found["objids"].index(0)
    assert found["fluxes"][first]["g"] is None and found["fluxes"][first]["r"] == pytest.approx(1)
    assert set(found["sourcetype"]) == set("PREDS")
    exp = found["sourcetype"].index("E")
    assert found["abratio"][exp] == pytest.approx(0.7 / 1.3) and found["nobs"][exp] == {"g": 2, "r": 2, "z": 2}
    assert get(client, "syn/1/11/655/955.cat.json").json() == {"rd": []}


def test_rows_of_a_box(client):
    box = f"ralo={RA0 - 0.05}&rahi={RA0 + 0.05}&declo=11.95&dechi=12.05"
    rows = Table.read(io.BytesIO(get(client, f"syn/cat.fits?{box}").content))
    assert len(rows) == 24 and {"ra", "flux_ivar_z", "brickname"} <= set(rows.colnames)
    csv = get(client, f"syn/cat.csv?{box}&columns=ra,dec").text.splitlines()
    assert csv[0] == "ra,dec" and len(csv) == 25
    assert len(get(client, f"syn/cat.json?{box}").json()["ra"]) == 24
    none = Table.read(io.BytesIO(get(client, "syn/cat.fits?ralo=1&rahi=2&declo=1&dechi=2").content))
    assert len(none) == 0 and "flux_r" in none.colnames
    wrapped = get(client, "wrap/cat.json?ralo=359.8&rahi=0.2&declo=11.9&dechi=12.1&columns=objid").json()
    assert len(wrapped["objid"]) == 48
    assert "mag_r" in get(client, f"syn/cat?{box}&objid=3").text
    assert get(client, f"syn/cat.fits?{box}&columns=nothing").status_code == 400


def test_names(client):
    def find(text):
        return client.get("/viewer/namequery/", params={"obj": text, "layer": "syn"}).json()

    assert find("110.312 23.92") == {"ra": 110.312, "dec": 23.92, "name": "110.312 23.92"}
    assert find("7:21:14 +23:55:11")["ra"] == pytest.approx(110.308333, abs=1e-6)
    assert find("BRICK 2447 120")["ra"] == pytest.approx(RA0)
    assert find("2447p120 3")["dec"] == pytest.approx(12 - 60 / 3600)
    assert "error" in find("M 31") and "error" in find("<script>")
    assert 0 <= find("")["ra"] < 360


def test_upload_and_compare(client):
    rows = get(client, f"syn/cat.json?ralo={RA0 - 0.05}&rahi={RA0 + 0.05}&declo=11.95&dechi=12.05").json()
    lines = ["RA,Dec,name", *(f"{ra},{dec},s" for ra, dec in zip(rows["ra"][:10], rows["dec"][:10])), "10.0,-80.0,far"]
    answer = client.post("/viewer/upload-cat/", files={"catalog": ("mine.csv", "\n".join(lines))})
    assert answer.status_code == 302
    name = answer.headers["location"].split("catalog=")[1]
    stored = get(client, f"usercatalog/1/cat.json?cat={name}&start=0&N=3").json()
    assert len(stored["rd"]) == 3 and stored["name"] == ["s"] * 3
    compared = get(client, f"syn/compare.json?cat={name}").json()
    assert (compared["number"], compared["number_matched"]) == (11, 10) and not compared["matched"][-1]
    for content in ("no table", "a,b\n1,2\n", "ra,dec\nx,y\n", b"SIMPLE  = T"):
        refused = client.post("/viewer/upload-cat/", files={"catalog": ("mine", content)})
        assert refused.status_code == 400 and "Traceback" not in refused.text
    other = client.post("/viewer/upload-cat/", files={"catalog": ("a", "x")}, headers={"Origin": "http://evil.example"})
    assert other.status_code == 403


def test_pages(client):
    assert "map.js" in get(client, "").text
    config = get(client, "config.json").json()
    assert [layer["name"] for layer in config["layers"]][:3] == ["syn", "syn-model", "syn-resid"]
    assert config["runs"]["syn"]["bricks"] == 4
    for path in (f"data-for-radec/?{AT}&layer=syn", "brick/2447p120/?layer=syn", "urls"):
        answer = get(client, path)
        assert answer.status_code == 200 and "default-src 'self'" in answer.headers["content-security-policy"]


def test_files(client, synthetic_runs):
    base = "/cfs/cosmo/data/legacysurvey/syn/south"
    relative = "coadd/244/2447p120/legacysurvey-2447p120-image-g.fits.fz"
    content = (synthetic_runs / "syn" / relative).read_bytes()
    answer = client.get(f"{base}/{relative}")
    assert hashlib.sha256(answer.content).digest() == hashlib.sha256(content).digest()
    assert "content-encoding" not in answer.headers
    assert client.get(f"{base}//{relative}").content == content
    part = client.get(f"{base}/{relative}", headers={"Range": "bytes=0-2879"})
    assert part.status_code == 206 and part.content == content[:2880]
    assert client.head(f"{base}/{relative}").headers["content-length"] == str(len(content))
    listing = client.get(f"{base}/coadd/244/2447p120/").text
    assert 'href="./legacysurvey-2447p120-image-g.fits.fz"' in listing
    assert client.get(f"{base}/coadd").headers["location"] == "coadd/"


@pytest.mark.parametrize(
    "path", ["../wrap", "%2e%2e/wrap", "coadd/../../wrap", "coadd%00", ".hidden", "out-link", "..%2fwrap"]
)
def test_nothing_outside_of_the_root_is_served(client, synthetic_runs, path):
    link = synthetic_runs / "syn" / "out-link"
    if not link.is_symlink():
        link.symlink_to(synthetic_runs / "content")
    assert client.get(f"/cfs/cosmo/data/legacysurvey/syn/south/{path}").status_code == 404


def test_a_new_brick_appears(synthetic_runs, tmp_path):
    (tmp_path / "run/coadd").mkdir(parents=True)
    application = build_application(Catalogue([open_run(tmp_path / "run")]), ServerOptions(hosts=("testserver",)))
    with TestClient(application) as client:
        assert get(client, "config.json").json()["runs"]["run"]["bricks"] == 0
        assert get(client, f"cutout.fits?{AT}").status_code == 404
        (tmp_path / "run/coadd/244").mkdir()
        (tmp_path / "run/coadd/244/2447p120").symlink_to(synthetic_runs / "syn/coadd/244/2447p120")
        application.state.service.refresh()
        assert get(client, f"cutout.fits?{AT}&size=20").status_code == 200


def test_too_many_waiting_are_told_to_come_again(catalogue):
    options = ServerOptions(hosts=("testserver",), threads=1, waiting=1)
    application = build_application(catalogue, options)
    release = threading.Event()
    application.state.service.answer = lambda path, query: release.wait(20) and None
    with TestClient(application, raise_server_exceptions=False) as client:
        waiting = [threading.Thread(target=get, args=(client, "alive"), daemon=True) for _ in range(2)]
        for thread in waiting:
            thread.start()
        time.sleep(1)
        answer = get(client, "alive")
        release.set()
        assert answer.status_code == 503 and answer.headers["retry-after"]
        for thread in waiting:
            thread.join()
