"""The observing plan: when each exposure is taken, under what conditions, and which CCDs see the field."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..cameras.extent import Region, covering_region
from ..wcs import TpvWcs
from .instruments import INSTRUMENTS, CcdPlace, FilterFacts, Instrument
from .randoms import generator

if TYPE_CHECKING:
    from datetime import datetime

    from .field import Field
    from .options import SimulationOptions

__all__ = ["CcdPlan", "Exposure", "plan_ccds", "plan_exposures"]

#: CCDs that no exposure is pointed with: they have bad parts.
_AVOIDED_CCDS = ("S7", "S17", "S19", "S30")
_MIN_WINDOW = 40  # pixels
_FIRST_EXPNUM = 600001
_PROCESSED = "2019-08-01T00:00:00"


@dataclass(frozen=True)
class Exposure:
    """An exposure and its conditions.

    Attributes
    ----------
    instrument : Instrument
    band : str
    filter : FilterFacts
    number : int
        Counts the exposures of the camera and band, from 0.
    expnum : int
    mjd : float
        Start, UTC.
    exptime : float
        Seconds.
    zeropoint : float
        Magnitude of one image unit per second (DECam: of one count per second).
    sky_rate : float
        Counts per second and pixel.
    seeing : float
        FWHM [arcsec].
    airmass : float
    crval : (float, float)
        True pointing [deg].
    rotation : float
        Of the camera [deg].
    pv : (tuple, tuple)
        True TPV coefficients.
    seed : int
    flaws : frozenset of str
        Artefacts of this exposure.
    """

    instrument: Instrument
    band: str
    filter: FilterFacts
    number: int
    expnum: int
    mjd: float
    exptime: float
    zeropoint: float
    sky_rate: float
    seeing: float
    airmass: float
    rotation: float
    pv: tuple[tuple[float, ...], ...]
    seed: int
    crval: tuple[float, float] = (0.0, 0.0)
    flaws: frozenset = field(default_factory=frozenset)

    @property
    def camera(self) -> str:
        """Name of the camera."""
        return self.instrument.camera

    @property
    def counts_per_nanomaggy(self) -> float:
        """Image units per nanomaggy."""
        scale = 10 ** ((self.zeropoint - 22.5) / 2.5)
        return scale if self.instrument.count_rates else scale * self.exptime

    @property
    def electrons_per_count(self) -> float:
        """Electrons per image unit."""
        return self.instrument.gain * (self.exptime if self.instrument.count_rates else 1.0)

    @property
    def sky_level(self) -> float:
        """Image units per pixel."""
        return self.sky_rate if self.instrument.count_rates else self.sky_rate * self.exptime

    @property
    def sky_noise(self) -> float:
        """Standard deviation of a pixel without sources [image units]."""
        electrons = self.sky_level * self.electrons_per_count + self.instrument.read_noise**2
        return np.sqrt(electrons) / self.electrons_per_count

    @property
    def start(self) -> datetime:
        """Start as a `datetime.datetime`, UTC."""
        from datetime import datetime, timedelta

        return datetime(1858, 11, 17) + timedelta(days=self.mjd)

    @property
    def processed(self) -> str:
        """Date of processing, as in DATE cards."""
        return _PROCESSED

    def image_filename(self, tag: str = "ooi") -> str:
        """Path of the image ("ooi"), data-quality ("ood") or weight ("oow") file below ``images/``."""
        i, start = self.instrument, self.start
        name = f"{i.prefix}_{start:%y%m%d_%H%M%S}_{tag}_{self.filter.tag}_ls9.fits.fz"
        return f"{self.camera}/CP/{i.plver}/CP{start:%Y%m%d}/{name}"

    def generator(self, *purpose: Any) -> Any:
        """Random numbers that belong to this exposure."""
        return generator(self.seed, "exposure", self.camera, self.band, self.number, *purpose)

    def ccd_wcs(self, place: CcdPlace, crval: tuple[float, float] | None = None) -> TpvWcs:
        """True `TpvWcs` of a whole CCD."""
        turn = np.deg2rad(self.rotation)
        rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        crval = self.crval if crval is None else crval
        return TpvWcs(crval, place.crpix, rotation @ self.instrument.cd, place.width, place.height, *self.pv)


@dataclass(frozen=True)
class CcdPlan:
    """One CCD image that is to be made: a window of a CCD of an exposure.

    Attributes
    ----------
    exposure : Exposure
    place : CcdPlace
    window : Region
        CCD pixels.
    hdu : int
    offset : (float, float)
        Astrometric error of the header [arcsec], (RA cos Dec, Dec): to be added to get true positions.
    """

    exposure: Exposure
    place: CcdPlace
    window: Region
    hdu: int
    offset: tuple[float, float]

    @property
    def name(self) -> str:
        """CCD name."""
        return self.place.name

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        return self.window.height, self.window.width

    @property
    def wcs(self) -> TpvWcs:
        """True `TpvWcs` of the window."""
        w = self.window
        return self.exposure.ccd_wcs(self.place).subimage(w.x0, w.y0, w.width, w.height)

    @property
    def header_wcs(self) -> TpvWcs:
        """The WCS that the header gives, with its small error."""
        ra, dec = self.exposure.crval
        dec_header = dec - self.offset[1] / 3600.0
        # The correction is applied with the header's declination.
        ra_header = ra - self.offset[0] / 3600.0 / np.cos(np.deg2rad(dec_header))
        w = self.window
        whole = self.exposure.ccd_wcs(self.place, (ra_header, dec_header))
        return whole.subimage(w.x0, w.y0, w.width, w.height)

    def generator(self, *purpose: Any) -> Any:
        """Random numbers that belong to this CCD."""
        return self.exposure.generator(self.name, *purpose)


def plan_exposures(options: SimulationOptions, sky_field: Field) -> list[Exposure]:
    """All exposures of a survey, camera by camera, band by band.

    Parameters
    ----------
    options : SimulationOptions
    sky_field : Field

    Returns
    -------
    list of Exposure
    """
    exposures, expnum = [], _FIRST_EXPNUM
    for camera in options.cameras:
        instrument = INSTRUMENTS[camera]
        bands = [band for band in options.bands if band in instrument.bands]
        for band in bands:
            for number in range(options.exposures):
                flaws = _flaws(options, bands.index(band), number, len(bands))
                exposures.append(_exposure(options, instrument, band, number, expnum, flaws, sky_field))
                expnum += 1
    return exposures


def _flaws(options: SimulationOptions, band_index: int, number: int, n_bands: int) -> Any:
    """Artefacts of an exposure: those that hit a single one are spread over bands and exposures."""
    wanted = options.artefacts
    last = options.exposures - 1
    hit = {"cosmics", "saturation"}
    if number == 0 and band_index == 1 % n_bands:
        hit.add("trail")
    if number == last and band_index == n_bands - 1:
        hit.add("amplifier")
    if number == (1 if last > 1 else last):
        hit.add("gap")
    return frozenset(hit.intersection(wanted))


def _exposure(
    options: SimulationOptions,
    instrument: Instrument,
    band: str,
    number: int,
    expnum: int,
    flaws: Any,
    sky_field: Field,
) -> Exposure:
    rng = generator(options.seed, "plan", instrument.camera, band, number)
    facts = instrument.bands[band]
    exptime = round(facts.exptime * 10 ** (0.8 * options.depth) * rng.uniform(0.85, 1.2), 1)
    sky = facts.sky + rng.normal(0.0, 0.15)
    zeropoint = facts.zeropoint + rng.normal(0.0, 0.04)
    sky_rate = 10 ** (0.4 * (zeropoint - sky)) * instrument.pixel_scale**2
    seeing = (options.seeing or instrument.seeing) * np.exp(rng.normal(0.0, 0.1))
    day = np.floor(rng.uniform(instrument.first_mjd, instrument.last_mjd))
    mjd = day + 0.15 + 0.01 * number + 0.2 * rng.uniform()
    exposure = Exposure(
        instrument=instrument,
        band=band,
        filter=facts,
        number=number,
        expnum=expnum if instrument.camera != "90prime" else int(78000000 + expnum),
        mjd=float(mjd),
        exptime=float(exptime),
        zeropoint=float(zeropoint),
        sky_rate=float(sky_rate),
        seeing=float(seeing),
        airmass=float(np.round(rng.uniform(1.0, 1.6), 3)),
        rotation=float(rng.normal(0.0, 0.1)),
        pv=_distortion(rng, instrument),
        seed=options.seed,
        flaws=flaws,
    )
    return replace(exposure, crval=_pointing(rng, options, exposure, sky_field))


def _distortion(rng: Any, instrument: Instrument) -> tuple[tuple[float, ...], ...]:
    """TPV coefficients: the camera's cubic distortion, and small terms that differ between exposures."""
    pv = rng.normal(0.0, 3e-4, (2, 17))
    pv[:, [3, 11]] = 0.0
    pv[:, 0] *= 0.03
    pv[:, 1] = instrument.scale + rng.normal(0.0, 5e-4, 2)
    pv[:, [7, 9]] = instrument.cubic * (1.0 + rng.normal(0.0, 0.02, (2, 2)))
    pv[:, 12:] = rng.normal(0.0, 1e-3, (2, 5)) if instrument.fourth_order else 0.0
    return tuple(tuple(float(v) for v in axis) for axis in pv)


def _pointing(rng: Any, options: SimulationOptions, exposure: Exposure, sky_field: Field) -> tuple[float, float]:
    """True CRVAL that puts the centre of the field on a random place of a random CCD."""
    places = [place for place in exposure.instrument.ccds if place.name not in _AVOIDED_CCDS]
    place = places[rng.integers(len(places))]
    area = sky_field.image_area
    half = 0.53 * max(area.width, area.height) * area.pixel_scale / exposure.instrument.pixel_scale
    half = 0.0 if options.full_brick else half + exposure.instrument.bad_border
    x = _within(rng, half, place.width)
    y = _within(rng, half, place.height)
    if "amplifier" in exposure.flaws:
        x = place.width / 2.0 + 0.3 * half
    if "gap" in exposure.flaws and not options.full_brick:
        y = place.height - 0.3 * half
    return _crval_for(exposure, place, x, y, *sky_field.centre)


def _within(rng: Any, half: float, size: int) -> float:
    """A position at least `half` from both ends, or the middle."""
    return rng.uniform(half, size - half) if size > 2 * half else size / 2.0


def _crval_for(exposure: Exposure, place: CcdPlace, x: float, y: float, ra: float, dec: float) -> tuple[float, float]:
    """CRVAL for which a CCD pixel falls on a sky position."""
    crval = np.array([ra, dec])
    for _ in range(6):
        found_ra, found_dec = exposure.ccd_wcs(place, tuple(crval)).pixel_to_sky(x, y)
        crval += ((ra - found_ra + 180.0) % 360.0 - 180.0, dec - found_dec)
    return float(crval[0] % 360.0), float(crval[1])


def plan_ccds(exposure: Exposure, options: SimulationOptions, sky_field: Field) -> list[CcdPlan]:
    """The CCD images of an exposure: those that see the field, or for a full brick whole CCDs.

    Parameters
    ----------
    exposure : Exposure
    options : SimulationOptions
    sky_field : Field

    Returns
    -------
    list of CcdPlan
    """
    plans: list[CcdPlan] = []
    for place in exposure.instrument.ccds:
        area = sky_field.target if options.full_brick else sky_field.image_area
        window = covering_region(exposure.ccd_wcs(place), area)
        if window is None or min(window.width, window.height) < _MIN_WINDOW:
            continue
        if options.full_brick:
            window = Region(0, place.width, 0, place.height)
        rng = exposure.generator(place.name, "astrometry")
        offset_x, offset_y = (float(np.float32(v)) for v in rng.normal(0.0, 0.02, 2))
        hdu = place.number if exposure.instrument.hdu_is_ccd else len(plans) + 1
        plans.append(CcdPlan(exposure, place, window, hdu, (offset_x, offset_y)))
    return plans
