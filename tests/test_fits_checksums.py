import io
import warnings

import fitsio
import numpy as np
import pytest
from astropy.io import fits

from legacypipe_lite.fits_checksums import finished
from legacypipe_lite.tables import fits_bytes


def written(build, **options):
    return finished(fits_bytes(build), **options)


def table(n):
    rows = np.zeros(n, [("x", "f8"), ("name", "S5"), ("flag", "?")])
    rows["x"] = np.arange(n)
    return rows


def compressed(f):
    f.write(None, header=[{"name": "A", "value": "b" * 100, "comment": "long"}])
    image = np.arange(120 * 130, dtype="f4").reshape(120, 130)
    f.write_image(image, extname="IMAGE", compress="RICE", tile_dims=[100, 100], qlevel=-1e-4, dither_seed="checksum")


CASES = {
    "empty": lambda f: f.write(None),
    "image": lambda f: f.write(np.arange(35, dtype=">i4").reshape(5, 7)),
    "table": lambda f: (f.write(None), f.write_table(table(7), extname="T")),
    "no rows": lambda f: (f.write(None), f.write_table(table(0))),
    "compressed": compressed,
    "long strings": lambda f: f.write(None, header=[{"name": "LONG", "value": "x y" * 60, "comment": "c"}]),
}


@pytest.mark.parametrize("case", CASES)
def test_checksums_are_those_of_the_standard(case):
    data = written(CASES[case])
    assert len(data) % 2880 == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with fits.open(io.BytesIO(data), checksum=True, disable_image_compression=True) as hdus:
            hdus.verify("exception")
            for hdu in hdus:
                assert hdu.header["CHECKSUM"] and hdu.header["DATASUM"]
                assert "20" not in hdu.header.comments["CHECKSUM"]  # no date
    assert finished(data) == data  # sums are replaced, not added


def test_sums_of_random_files():
    rng = np.random.default_rng(1)
    for _ in range(50):
        image = rng.integers(0, 256, (3, int(rng.integers(1, 900))), dtype=np.uint8)
        data = written(lambda f, image=image: f.write(image))
        header_and_data = np.frombuffer(data, ">u4").astype(np.uint64).sum()
        while header_and_data >> np.uint64(32):
            header_and_data = (header_and_data & np.uint64(0xFFFFFFFF)) + (header_and_data >> np.uint64(32))
        assert header_and_data == 0xFFFFFFFF


def test_a_changed_file_is_noticed():
    data = bytearray(written(CASES["image"]))
    data[2880] ^= 1
    with pytest.warns(match="verification failed"):
        fits.open(io.BytesIO(bytes(data)), checksum=True).close()


def test_long_strings_are_announced():
    header = fits.open(io.BytesIO(written(CASES["long strings"])))[0].header
    cards = list(header)
    assert header["LONGSTRN"] == "OGIP 1.0" and cards.index("LONGSTRN") < cards.index("LONG")
    assert header["LONG"] == "x y" * 60
    assert "LONGSTRN" not in fits.open(io.BytesIO(written(CASES["empty"])))[0].header


def test_the_image_is_marked_as_primary(tmp_path):
    plain, marked = written(compressed), written(compressed, primary_image=True)
    assert b"ZSIMPLE" in marked and b"ZSIMPLE" not in plain
    images = []
    for data in (plain, marked):
        (tmp_path / "x.fits.fz").write_bytes(data)
        images.append(fitsio.read(str(tmp_path / "x.fits.fz"), ext=1))
    np.testing.assert_array_equal(*images)
    with fits.open(tmp_path / "x.fits.fz") as hdus:
        np.testing.assert_array_equal(hdus[1].data, images[0])


def test_not_a_fits_file():
    with pytest.raises(ValueError, match="END"):
        finished(b"SIMPLE  =                    T".ljust(2880))
