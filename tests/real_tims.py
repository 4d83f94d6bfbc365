"""Tims of the real test fields as the reference implementation read them, for tests without the reading stages."""

import fitsio
import numpy as np

from legacypipe_lite.models import CcdInfo, Tim, gaussian_psf
from legacypipe_lite.units import utc_to_tai
from legacypipe_lite.wcs import target_wcs, wcs_from_header

#: Field -> brick, its target (ra and dec None: from the bricks table), zoom.
FIELDS = {
    "testcase3": ("2447p120", None, (1020, 1070, 2775, 2815)),
    "testcase4": ("1867p255", None, (2050, 2300, 1150, 1400)),
    "testcase6": ("1102p240", None, (500, 600, 650, 750)),
    "testcase9": ("custom-009122p03397", (9.1228, 3.3975), None),
    "testcase12": ("custom-346684p12791", (346.684, 12.791), None),
    "mzlsbass2": ("1773p595", None, (1300, 1500, 700, 900)),
}
BANDS = ("g", "r", "z")


class Field:
    """A test field: its tims, target and reference products."""

    def __init__(self, testdata, name):
        self.name = name
        self.root = testdata / "reference" / name
        self.brickname, radec, zoom = FIELDS[name]
        survey = testdata / "realdata" / name
        if radec is None:
            bricks = fitsio.read(str(survey / "survey-bricks.fits.gz"), lower=True)
            self.brick = bricks[np.char.strip(bricks["brickname"].astype(str)) == self.brickname][0]
            self.target = target_wcs(self.brick["ra"], self.brick["dec"], 3600, 3600, 0.262, zoom)
        else:
            self.brick = None
            self.target = target_wcs(*radec, 100, 100, 0.262)
        self.ccds = fitsio.read(str(self.product("coadd", "ccds.fits")))
        saved = np.load(testdata / "reference" / "tims" / f"{name}.npz")
        self.tims = [_tim(survey, row, i, saved) for i, row in enumerate(self.ccds)]
        self.bands = [b for b in BANDS if any(t.band == b for t in self.tims)]

    def product(self, kind, suffix):
        """Path of a reference product: kind "coadd" with a suffix, or "metrics" with a prefix."""
        group = self.brickname[:3]
        if kind == "coadd":
            return self.root / "coadd" / group / self.brickname / f"legacysurvey-{self.brickname}-{suffix}"
        return self.root / "metrics" / group / suffix.format(self.brickname)

    def coadd(self, kind, band):
        """A reference coadd image."""
        return fitsio.read(str(self.product("coadd", f"{kind}-{band}.fits.fz")), ext=1)

    def references(self):
        """Reference objects, or None."""
        path = self.product("metrics", "reference-{}.fits")
        return fitsio.read(str(path)) if path.exists() else None


def _text(value):
    return (value.decode() if isinstance(value, bytes) else str(value)).strip()


def _cards(header):
    keys = header.keys()
    return {key: header[key] for key in keys if key}


def _tim(survey, row, index, saved):
    path = survey / "images" / _text(row["image_filename"])
    ccdname, band = _text(row["ccdname"]), _text(row["filter"])
    with fitsio.FITS(str(path)) as fits:
        primary, header = fits[0].read_header(), fits[int(row["image_hdu"])].read_header()
        height, width = fits[int(row["image_hdu"])].get_dims()
    key = next(k for k in saved.files if k.endswith(f"-{ccdname}/data") and path.name.split(".")[0] in k)[:-5]
    data = saved[key + "/data"]
    x0, y0 = int(saved[key + "/x0"]), int(saved[key + "/y0"])
    full = wcs_from_header(
        {**_cards(header), "NAXIS1": width, "NAXIS2": height},
        str(path),
        correction=(row["ccdraoff"], row["ccddecoff"]),
    )
    cd = np.array([[row["cd1_1"], row["cd1_2"]], [row["cd2_1"], row["cd2_2"]]])
    fwhm = float(header["FWHM"]) if "FWHM" in header else float(row["fwhm"])
    ccd = CcdInfo(
        camera=_text(row["camera"]),
        expnum=int(row["expnum"]),
        ccdname=ccdname,
        band=band,
        image_filename=_text(row["image_filename"]),
        image_hdu=int(row["image_hdu"]),
        exptime=float(row["exptime"]),
        mjd_obs=float(row["mjd_obs"]),
        fwhm=float(row["fwhm"]),
        pixscale=3600 * float(np.sqrt(abs(np.linalg.det(cd)))),
        width=int(row["width"]),
        height=int(row["height"]),
        row=index,
    )
    return Tim(
        name=key,
        band=band,
        image=data.astype(np.float32),
        inverr=saved[key + "/inverr"].astype(np.float32),
        dq=saved[key + "/dq"].astype(np.uint16),
        wcs=full.subimage(x0, y0, data.shape[1], data.shape[0]),
        psf=gaussian_psf(fwhm / 2.35),
        x0=x0,
        y0=y0,
        sig1=float(row["sig1"]),
        psf_fwhm=fwhm,
        psf_sigma=fwhm / 2.35,
        psfnorm=float(saved[key + "/psfnorm"]),
        galnorm=float(saved[key + "/galnorm"]),
        mjd_tai=utc_to_tai(float(primary["MJD-OBS"] if "MJD-OBS" in primary else row["mjd_obs"])),
        zpscale=float(saved[key + "/zpscale"]),
        midsky=float(saved[key + "/midsky"]),
        ccd=ccd,
        primary_cards=_cards(primary),
    )
