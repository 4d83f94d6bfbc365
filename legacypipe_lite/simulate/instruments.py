"""The cameras of the surveys as the simulation needs them: layout, optics, detectors, filters, file names.

Sizes, gaps, scales and orientations are those of the real cameras (Flaugher et al. 2015 for DECam; Dey et al. 2019,
table 3, for the three surveys), zero points and sky levels typical ones of the surveys. The names of the quadrants
of Mosaic-3 and 90Prime, except one each, are assumed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["INSTRUMENTS", "CcdPlace", "FilterFacts", "Instrument"]


@dataclass(frozen=True)
class CcdPlace:
    """Where a CCD sits in the focal plane.

    Attributes
    ----------
    name : str
    number : int
        CCDNUM.
    crpix : (float, float)
        Pixel of the CCD, FITS convention, at the optical axis.
    width, height : int
        Pixels.
    """

    name: str
    number: int
    crpix: tuple[float, float]
    width: int
    height: int


@dataclass(frozen=True)
class FilterFacts:
    """What is typical of exposures in a filter.

    Attributes
    ----------
    name : str
        FILTER card.
    tag : str
        The filter in file names.
    zeropoint : float
        Magnitude of one image unit per second.
    sky : float
        Sky brightness [mag/arcsec^2].
    exptime : float
        Seconds.
    """

    name: str
    tag: str
    zeropoint: float
    sky: float
    exptime: float


@dataclass(frozen=True)
class Instrument:
    """A camera.

    Attributes
    ----------
    camera : str
        Name in CCD tables.
    bands : dict of str to FilterFacts
    ccds : tuple of CcdPlace
    cd : ((float, float), (float, float))
        CD matrix of the header [deg/pixel], without rotation of the camera.
    scale : float
        PV1_1 = PV2_1: local scale on the axis in units of the header's.
    cubic : float
        Coefficient of the third-order distortion [1/deg^2].
    fourth_order : bool
        Headers hold fourth-order terms, too.
    gain : float
        Electrons per count.
    read_noise : float
        Electrons.
    saturation : float
        Counts, sky included.
    count_rates : bool
        Images are in counts per second, and weights know the noise of the sky only.
    seeing : float
        Typical FWHM [arcsec].
    stamp : int
        Size of PSF stamps [pixel].
    bad_border : int
        Rows and columns at the edges of a CCD that are flagged as bad.
    prefix, plver, plprocid, propid : str
        File names and versions.
    telescope : dict
        Cards of the primary header.
    first_mjd, last_mjd : float
        Of the survey.
    hdu_is_ccd : bool
        The HDU number of a CCD is its CCD number: the static mask of the camera goes by it.
    """

    camera: str
    bands: dict[str, FilterFacts]
    ccds: tuple[CcdPlace, ...]
    cd: tuple[tuple[float, float], tuple[float, float]]
    scale: float
    cubic: float
    fourth_order: bool
    gain: float
    read_noise: float
    saturation: float
    count_rates: bool
    seeing: float
    stamp: int
    bad_border: int
    prefix: str
    plver: str
    plprocid: str
    propid: str
    telescope: dict[Any, Any]
    first_mjd: float
    last_mjd: float
    hdu_is_ccd: bool = False

    @property
    def pixel_scale(self) -> float:
        """True pixel scale near the optical axis [arcsec]."""
        (a, b), (c, d) = self.cd
        return 3600.0 * abs(a * d - b * c) ** 0.5 * self.scale

    @property
    def count_unit(self) -> str:
        """BUNIT."""
        return "electron/s" if self.count_rates else "adu"


def _decam_layout() -> tuple[CcdPlace, ...]:
    """The 62 CCDs: 12 rows from North (N31) to South (S29), each from West to East, centred on the optical axis."""
    rows = (
        [("S", 29, 3), ("S", 25, 4), ("S", 20, 5), ("S", 14, 6), ("S", 8, 6), ("S", 1, 7)]
        + [("N", 1, 7), ("N", 8, 6), ("N", 14, 6), ("N", 20, 5), ("N", 25, 4), ("N", 29, 3)]
    )  # fmt: skip
    places, number = [], 0
    for i, (side, first, count) in enumerate(rows):
        for j in range(count):
            number += 1
            crpix1 = 13422.2 - 2252.4 * i
            crpix2 = 2048.0 + 4256.67 * ((count - 1) / 2 - j)
            places.append(CcdPlace(f"{side}{first + j}", number, (crpix1, crpix2), 2046, 4094))
    return tuple(place for place in places if place.name not in ("N30",))  # N30 does not work


def _quadrants(names: tuple[str, ...], size: tuple[int, int], near1: float, near2: float) -> tuple[CcdPlace, ...]:
    """Four CCDs around the optical axis; `near1`, `near2` is the distance of their edges from it in pixels."""
    width, height = size
    crpix = [(c1, c2) for c1 in (-near1, width + near1) for c2 in (-near2, height + near2)]
    return tuple(CcdPlace(name, int(name[-1]), place, width, height) for name, place in sorted(zip(names, crpix)))


_CTIO = {
    "PROCTYPE": "InstCal",
    "PRODTYPE": "image",
    "OBSERVAT": "CTIO",
    "TELESCOP": "CTIO 4.0-m telescope",
    "INSTRUME": "DECam",
    "OBS-LAT": -30.16606,
    "OBS-LONG": 70.81489,
    "OBS-ELEV": 2215.0,
    "SCAMPFLG": 0,
}
_KPNO = {
    "PROCTYPE": "InstCal",
    "PRODTYPE": "image",
    "OBSERVAT": "KPNO",
    "TELESCOP": "KPNO 4.0 meter telescope",
    "INSTRUME": "Mosaic3",
    "DTINSTRU": "mosaic3",
}
_STEWARD = {
    "PROCTYPE": "InstCal",
    "PRODTYPE": "image",
    "OBSERVAT": "Steward",
    "TELESCOP": "Steward 2.3 m (bok)",
    "INSTRUME": "90prime",
    "DTINSTRU": "90prime",
    "SITEELEV": "2120",
}

#: The cameras by name.
INSTRUMENTS = {
    "decam": Instrument(
        camera="decam",
        bands={
            "g": FilterFacts("g DECam SDSS c0001 4720.0 1520.0", "g", 25.08, 21.9, 90.0),
            "r": FilterFacts("r DECam SDSS c0002 6415.0 1480.0", "r", 25.29, 21.0, 90.0),
            "i": FilterFacts("i DECam SDSS c0003 7835.0 1470.0", "i", 25.26, 20.0, 90.0),
            "z": FilterFacts("z DECam SDSS c0004 9260.0 1520.0", "z", 24.92, 18.8, 100.0),
        },
        ccds=_decam_layout(),
        cd=((0.0, 7.2857e-05), (-7.2865e-05, 0.0)),
        scale=1.0047,
        cubic=-0.0044,
        fourth_order=False,
        gain=4.0,
        read_noise=6.0,
        saturation=46400.0,
        count_rates=False,
        seeing=1.2,
        stamp=63,
        bad_border=5,
        prefix="c4d",
        plver="V4.8.2a",
        plprocid="9568fa4",
        propid="2014B-0404",
        telescope=_CTIO,
        first_mjd=56900.0,
        last_mjd=58500.0,
    ),
    "mosaic": Instrument(
        camera="mosaic",
        bands={"z": FilterFacts("zd DECam k1038", "zd", 26.20, 18.8, 100.0)},
        # x points North, y East.
        ccds=_quadrants(("CCD4", "CCD2", "CCD3", "CCD1"), (4054, 4079), 106.0, 106.0),
        cd=((0.0, 7.2111e-05), (7.2112e-05, 0.0)),
        scale=1.0085,
        cubic=-0.107,
        fourth_order=True,
        gain=1.0,
        read_noise=9.0,
        saturation=90000.0,
        count_rates=True,
        seeing=1.0,
        stamp=63,
        bad_border=5,
        prefix="k4m",
        plver="V4.3",
        plprocid="95a2f3c",
        propid="2016A-0453",
        telescope=_KPNO,
        first_mjd=57420.0,
        last_mjd=58160.0,
    ),
    "90prime": Instrument(
        camera="90prime",
        bands={
            "g": FilterFacts("g", "g", 25.74, 21.9, 100.0),
            "r": FilterFacts("bokr", "r", 25.52, 21.0, 85.0),
        },
        # x points South, y West.
        ccds=_quadrants(("CCD4", "CCD3", "CCD2", "CCD1"), (4032, 4096), 59.0, 190.0),
        cd=((0.0, -1.25935e-04), (-1.25985e-04, 0.0)),
        scale=1.0030,
        cubic=-0.0125,
        fourth_order=True,
        gain=1.0,
        read_noise=8.0,
        saturation=73000.0,
        count_rates=True,
        seeing=1.5,
        stamp=31,
        bad_border=5,
        prefix="ksb",
        plver="V2.3",
        plprocid="957d70d",
        propid="BASS",
        telescope=_STEWARD,
        first_mjd=57420.0,
        last_mjd=58560.0,
        hdu_is_ccd=True,
    ),
}
