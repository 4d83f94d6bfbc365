"""From a row of the CCD table to a calibrated sub-image: the steps that all cameras share."""

from __future__ import annotations

import logging
from collections import ChainMap
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..arrays import median
from ..bits import DQ
from ..calibration import STANDARD_RECIPE, ImageIdentity, SkyTemplate, stamp_problem
from ..errors import InputError
from ..models import CcdInfo, PsfModel, Tim, gaussian_psf
from ..models.norms import galaxy_norm, psf_norm
from ..options import RunOptions
from ..survey import SurveyDirectory, image_base_name
from ..survey.ccd_checks import impossible_number
from ..tables import verify_checksums
from ..units import SIGMA_PER_FWHM, utc_to_tai
from ..wcs import ImageWcs, TanWcs, cd_pixel_scale, wcs_from_header
from . import dq as dq_maps
from . import pixels, weights
from .amplifiers import CORRECTIONS_FILE, amplifier_scales
from .calibrations import load_psf, load_sky
from .extent import Region, check_place, covering_region
from .files import FitsImage, check_version, header_date, header_number
from .raw import RawImage, UnusableImage

if TYPE_CHECKING:
    import fitsio

__all__ = ["CcdImage"]

logger = logging.getLogger(__name__)

#: Cards of the primary header that coadd headers quote.
QUOTED_CARDS = ("OBSERVAT", "TELESCOP", "OBS-LAT", "OBS-LONG", "OBS-ELEV", "INSTRUME", "FILTER")


class CcdImage:
    """The image of one CCD, and the rules of its camera.

    Subclasses override single steps. A class of the user's own needs at least what differs from a camera whose
    files are processed by the Community Pipeline, with images in counts per second.

    Parameters
    ----------
    ccd : mapping
        Row of the CCD table.
    survey : survey.SurveyDirectory
    options : options.RunOptions

    Attributes
    ----------
    name : str
        ``<image base name>-<ccdname>``.
    camera, ccdname, band, image_filename, plver : str
    expnum, hdu, width, height : int
    exptime, mjd_obs, fwhm, pixscale, sig1 : float
        From the CCD table; pixscale [arcsec] from its CD matrix, sig1 in nanomaggies.
    identity : calibration.ImageIdentity
    """

    #: Data-quality codes that mean nothing for this camera.
    ignored_codes: tuple[int, ...] = ()
    #: Cards of the image header for the seeing [pixel], in the order of search.
    fwhm_cards: tuple[str, ...] = ("FWHM", "SEEINGP1")
    #: CCDs whose two halves may have different sky levels: band -> CCD names.
    sky_jumps: dict[str, tuple[str, ...]] = {}
    #: Settings of the programs that make a missing PSF model.
    psf_recipe = STANDARD_RECIPE
    #: Star halos are subtracted before a sky model is made; only for DECam is there a model of them.
    has_halos: bool = False

    def __init__(self, ccd: Mapping[str, Any], survey: SurveyDirectory, options: RunOptions) -> None:
        self.survey = survey
        self.options = options
        self.ccd = ccd
        self.camera = str(ccd["camera"])
        self.ccdname = str(ccd["ccdname"])
        self.band = str(ccd["filter"])
        self.image_filename = str(ccd["image_filename"])
        self.plver = str(ccd["plver"])
        self.expnum, self.hdu = int(ccd["expnum"]), int(ccd["image_hdu"])
        self.width, self.height = int(ccd["width"]), int(ccd["height"])
        self.exptime, self.mjd_obs = float(ccd["exptime"]), float(ccd["mjd_obs"])
        self.fwhm, self.sig1 = float(ccd["fwhm"]), float(ccd["sig1"])
        self.pixscale = float(cd_pixel_scale([[ccd["cd1_1"], ccd["cd1_2"]], [ccd["cd2_1"], ccd["cd2_2"]]]))
        base = image_base_name(self.image_filename)
        self.name = f"{base}-{self.ccdname}" if self.ccdname else base
        if not self.sig1 > 0:
            raise InputError(f"{self.name}: sig1 is {self.sig1} in the CCD table, but must be positive")
        self.identity = ImageIdentity(self.expnum, self.ccdname, self.plver, str(ccd["plprocid"]))

    # --- the whole way

    def read_tim(self, target_wcs: TanWcs | None = None, scene: Callable[..., Any] | None = None) -> Tim:
        """The calibrated part of this CCD that covers a target image.

        Parameters
        ----------
        target_wcs : wcs.TanWcs, optional
            None: the whole CCD.
        scene : callable, optional
            ``scene(ccd_field) -> SkyScene``: what reference catalogues know about a field (`CcdField`), needed
            if the sky model must be made.

        Returns
        -------
        Tim

        Raises
        ------
        UnusableImage
            If there is no overlap, or no good pixels.
        InputError
            If a file is missing, damaged, or does not belong to the CCD.
        CalibrationError
            If the PSF or sky model is missing and cannot be made.
        """
        with self.open_image() as image_file:
            self._complete(image_file)
            wcs = self.read_wcs(image_file.header)
            raw = self.read_raw(image_file, self.region_of(wcs, target_wcs))
        raw.invvar = self.remap_weights(raw)
        smoothed = self.options.smooth_weights or (
            self.options.improved and weights.hold_own_noise(raw.image, raw.invvar)
        )
        if smoothed:
            raw.invvar = weights.weights_of_neighbours(raw.invvar)
        psf_fwhm = self.header_fwhm(_one_after_the_other(raw.header, raw.primary_header))
        if np.isnan(self.fwhm):
            self.fwhm = psf_fwhm
        dq_maps.mark_edges(raw.dq)
        self.trim(raw)
        psf, psfver = self.read_psf(wcs, psf_fwhm)
        sky_model, skyver = self.read_sky(wcs, psf, scene)
        midsky = self.subtract_sky(raw, sky_model)
        zpscale = self.flux_scale()
        self.apply_flux_scale(raw, zpscale)
        tim = self.make_tim(raw, wcs, psf, psf_fwhm, midsky, zpscale, skyver, psfver)
        tim.weights_smoothed = smoothed
        return tim

    def _complete(self, image_file: FitsImage) -> None:
        """Take from the header what the CCD table does not say; raise an InputError for numbers that cannot be."""
        headers = _one_after_the_other(image_file.header, image_file.primary_header)
        if np.isnan(self.exptime):
            self.exptime = header_number(headers, ("EXPTIME", "EXPOSURE", "TEXPTIME"))
        if np.isnan(self.mjd_obs):
            self.mjd_obs = header_date(headers)
        for name, card in (("exptime", "EXPTIME"), ("mjd_obs", "MJD-OBS or DATE-OBS"), ("fwhm", "")):
            value = getattr(self, name)
            if np.isnan(value) and card:
                raise InputError(f"{self.name}: no {name} in the CCD table, and no card {card} in {image_file.path}")
            if problem := impossible_number(name, value):
                raise InputError(f"{self.name}: {problem}")
        low, high = self.options.min_mjd, self.options.max_mjd
        if (low is not None and self.mjd_obs < low) or (high is not None and self.mjd_obs > high):
            raise UnusableImage("outside of the MJD range", expected=True)

    def read_raw(self, image_file: FitsImage, region: Region) -> RawImage:
        """Pixels of a region with data-quality bits and cleaned weights; see `RawImage`."""
        image, without_value = self.read_pixels(image_file, region)
        dq, dq_plver = self.read_dq(region)
        dq[without_value] |= np.uint16(DQ["badpix"])
        invvar = self.read_weights(region, dq)
        if not np.any(invvar > 0):
            raise UnusableImage("all weights are zero")
        self.flag_saturation(image, dq, invvar, dq_plver)
        invvar[dq != 0] = 0
        template = self.sky_template()
        if template is not None:
            image -= template.image(region.x0, region.y0, region.width, region.height)
        return RawImage(image, dq, invvar, region, image_file.primary_header, image_file.header)

    # --- files

    @property
    def image_path(self) -> Path:
        """Path of the image."""
        return self.survey.image_file(self.image_filename)

    def dq_filename(self) -> str:
        """Name of the data-quality file, relative to the images folder."""
        return self._sibling("_ood_")

    def weight_filename(self) -> str:
        """Name of the weight file, relative to the images folder."""
        return self._sibling("_oow_")

    def _sibling(self, tag: str) -> str:
        for image_tag in ("_ooi_", "_oki_"):
            if image_tag in self.image_filename:
                return self.image_filename.replace(image_tag, tag)
        raise InputError(f"{self.image_filename}: no _ooi_ or _oki_ in the name, so the {tag} file cannot be found")

    def open_image(self) -> FitsImage:
        """The image file, its version checked."""
        image_file = self._open(self.image_filename)
        extname = str(image_file.header.get("EXTNAME", "") or "").strip().upper()
        if extname and extname != self.ccdname.upper():
            logger.warning("%s: HDU %d is named %s, not %s", image_file.path, self.hdu, extname, self.ccdname)
        return image_file

    def _open(self, filename: str, shape: Any = ...) -> FitsImage:
        if self.options.verify_inputs:
            verify_checksums(self.survey.image_file(filename))
        shape = (self.height, self.width) if shape is ... else shape
        image_file = FitsImage(self.survey.image_file(filename), self.hdu, shape)
        check_version(image_file.path, image_file.primary_header, self.identity, self.options.old_calibs_ok)
        return image_file

    # --- geometry

    def read_wcs(self, header: Mapping[str, Any]) -> ImageWcs:
        """WCS of the whole CCD, with the astrometric correction of the CCD table."""
        correction = (float(self.ccd["ccdraoff"]), float(self.ccd["ccddecoff"]))
        wcs = wcs_from_header(header, self.image_path, correction)
        return wcs.subimage(0, 0, self.width, self.height)

    def good_region(self) -> Region:
        """The part of the CCD that is used; `Region`."""
        return Region(0, self.width, 0, self.height)

    def region_of(self, wcs: ImageWcs, target_wcs: ImageWcs | None) -> Region:
        """The region that covers the target.

        Raises
        ------
        UnusableImage
            If it is empty or tiny.
        """
        check_place(wcs, self.ccd, self.name)
        region = Region(0, self.width, 0, self.height) if target_wcs is None else covering_region(wcs, target_wcs)
        if region is not None:
            region = region.intersection(self.good_region())
        if region is None or not region.is_usable:
            raise UnusableImage("does not overlap the target", expected=True)
        return region

    # --- pixels

    def read_pixels(self, image_file: FitsImage, region: Region) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Pixels of a region, and which of them hold no measurement (they have the value of the median).

        Returns
        -------
        image : numpy.ndarray of float32, shape (h, w)
        without_value : numpy.ndarray of bool, shape (h, w)

        Raises
        ------
        UnusableImage
            If none does.
        """
        image = pixels.as_float32(image_file.read(region))
        without_value = pixels.without_value(image, self.sig1 * self.flux_scale())
        if without_value.all():
            raise UnusableImage(f"no pixel is finite and below {pixels.LARGEST_SIGMAS:g} sig1")
        if without_value.any():
            pixels.fill(image, without_value, self.name)
        return image, without_value

    def read_dq(self, region: Region) -> tuple[NDArray[np.uint16], str]:
        """Data-quality bits of a region, and the PLVER of their file."""
        with self._open(self.dq_filename()) as dq_file:
            plver = _text(dq_file.primary_header, "PLVER") or self.plver
            codes = dq_maps.integer_codes(dq_file.read(region))
        return self.remap_dq(codes, plver, region), plver

    def read_dq_codes(self, region: Region) -> NDArray[np.int32]:
        """Data-quality codes of a region; int32."""
        with self._open(self.dq_filename()) as dq_file:
            return dq_maps.integer_codes(dq_file.read(region))

    def remap_dq(self, codes: NDArray[np.integer], plver: str, region: Region) -> NDArray[np.uint16]:
        """Bits from the codes of the data-quality file; uint16."""
        return self.bits_from_codes(codes, self.ignored_codes)

    def bits_from_codes(self, codes: Any, ignored: Any) -> Any:
        """Bits from Community Pipeline codes; pixels whose code means nothing are masked, which is said."""
        dq = dq_maps.bits_from_codes(codes, ignored)
        unknown = dq_maps.unknown_codes(codes)
        if unknown.any():
            dq[unknown] |= np.uint16(DQ["badpix"])
            logger.warning("%s", dq_maps.describe_unknown(self.name, codes[unknown]))
        return dq

    def read_weights(self, region: Region, dq: NDArray[np.uint16]) -> NDArray[np.float32]:
        """Cleaned weights of a region; float32."""
        with self._open(self.weight_filename()) as weight_file:
            invvar = pixels.as_float32(weight_file.read(region))
            quantized = weight_file.quantization()
        self.clean_weights(invvar, dq, quantized, region.y0)
        return invvar

    def clean_weights(
        self, invvar: NDArray[np.float32], dq: NDArray[np.uint16], quantized: weights.Quantization, first_row: int
    ) -> None:
        """Repair a weight map in place, see `weights.clean_weights`."""
        limit = 1.0 / (self.sig1 * self.flux_scale()) ** 2
        weights.clean_weights(invvar, dq, quantized, first_row, limit, self.name)

    def flag_saturation(
        self, image: NDArray[np.float32], dq: NDArray[np.uint16], invvar: NDArray[np.float32], plver: str
    ) -> None:
        """Flag saturated pixels that the processing missed, in place (nothing to do for most CCDs)."""

    def remap_weights(self, raw: RawImage) -> NDArray[np.float32]:
        """Weights including whatever noise the weight map lacks; float32."""
        return raw.invvar

    def trim(self, raw: RawImage) -> None:
        """Cut off fully masked edges.

        Raises
        ------
        UnusableImage
        """
        slices = dq_maps.trimmed(raw.invvar)
        if slices is None:
            raise UnusableImage("all weights are zero")
        raw.cut(*slices)
        if not raw.region.is_usable:
            raise UnusableImage("less than 10 good rows or columns")

    # --- calibration

    def header_fwhm(self, header: Mapping[str, Any]) -> float:
        """Seeing FWHM [pixel] from the header of the image; that of the CCD table if there is none."""
        card, value = next(
            ((card, v) for card in self.fwhm_cards if not np.isnan(v := header_number(header, (card,)))),
            ("fwhm of the CCD table", self.fwhm),
        )
        where = f"{self.image_path}: HDU {self.hdu}"
        if np.isnan(value):
            raise InputError(
                f"{where}: no seeing in {' or '.join(self.fwhm_cards)}, nor in column fwhm of the CCD table"
            )
        if impossible_number("fwhm", value):
            raise InputError(f"{where}: {card} is {value}, but must be the seeing in pixels")
        return value

    def read_psf(self, wcs: ImageWcs, psf_fwhm: float) -> tuple[PsfModel, tuple[str, str]]:
        """PSF model in pixels of the whole CCD, and its version."""
        if self.options.gpsf:
            return gaussian_psf(psf_fwhm * SIGMA_PER_FWHM), ("", "")
        return load_psf(self)

    def read_sky(
        self, wcs: ImageWcs, psf: PsfModel, scene: Callable[..., Any] | None = None
    ) -> tuple[Any, tuple[str, str]]:
        """Sky model in pixels of the whole CCD, and its version."""
        return load_sky(self, wcs, psf, scene)

    def sky_template(self) -> SkyTemplate | None:
        """`calibration.SkyTemplate` that is subtracted before the sky model; None unless overridden."""

    def has_sky_jump(self) -> bool:
        """True if the two halves of the CCD may have different sky levels."""
        return self.ccdname in self.sky_jumps.get(self.band, ())

    def subtract_sky(self, raw: RawImage, sky_model: Any) -> float:
        """Subtract the sky model in place; returns its median [counts]."""
        r = raw.region
        sky = sky_model.image(r.x0, r.y0, r.width, r.height)
        raw.image -= sky
        return median(sky)

    def zeropoint(self) -> float:
        """Magnitude of one count of the image."""
        return float(self.ccd["ccdzpt"])

    def flux_scale(self) -> float:
        """Counts per nanomaggy.

        Raises
        ------
        InputError
            If the CCD table has no usable zero point.
        """
        zpscale = 10.0 ** ((self.zeropoint() - 22.5) / 2.5)
        if not (np.isfinite(zpscale) and zpscale > 0):
            raise InputError(f"{self.name}: no zero point from ccdzpt {self.ccd['ccdzpt']}, exptime {self.exptime}")
        return zpscale

    def apply_flux_scale(self, raw: RawImage, zpscale: float) -> None:
        """Counts to nanomaggies, in place; apodization and amplifier corrections."""
        raw.image /= zpscale
        raw.invvar *= zpscale**2
        if self.options.apodize:
            weights.apodize(raw.invvar)
        for scale, (x0, x1, y0, y1) in self.amplifier_scales():
            r = raw.region
            part = r.intersection(Region(x0, x1, y0, y1))
            if part.width > 0 and part.height > 0:
                where = np.s_[part.y0 - r.y0 : part.y1 - r.y0, part.x0 - r.x0 : part.x1 - r.x0]
                raw.image[where] *= scale
                raw.invvar[where] /= scale**2

    def amplifier_scales(self) -> list[Any]:
        """Flux corrections of the amplifiers, see `amplifiers.amplifier_scales`; none unless overridden."""
        return []

    def tabulated_amplifier_scales(self) -> list[Any]:
        """The corrections of the table for this CCD."""
        path = self.survey.data_file(CORRECTIONS_FILE)
        return amplifier_scales(self.camera, self.band, self.ccdname, self.mjd_obs, path)

    # --- the result

    def make_tim(
        self,
        raw: RawImage,
        wcs: ImageWcs,
        psf: PsfModel,
        psf_fwhm: float,
        midsky: float,
        zpscale: float,
        skyver: tuple[str, str],
        psfver: tuple[str, str],
    ) -> Tim:
        """The `Tim` of calibrated pixels.

        Raises
        ------
        UnusableImage
            If the PSF norms are not positive numbers.
        """
        r = raw.region
        psf = psf.subimage(r.x0, r.y0)
        if not self.options.hybrid_psf:
            psf = replace(psf, gaussian_sigma=0.0)
        stamp = psf.stamp(r.width // 2, r.height // 2)
        if problem := stamp_problem(stamp, psf_fwhm, loose=True):
            raise InputError(f"{self.name}: the PSF model is useless here: {problem}")
        psfnorm, galnorm = psf_norm(stamp), galaxy_norm(stamp, wcs.cd)
        if not (0 < psfnorm < np.inf and 0 < galnorm < np.inf):
            raise UnusableImage(f"PSF norms are not positive numbers: psfnorm {psfnorm}, galnorm {galnorm}")
        level = median(raw.image, raw.invvar)
        if abs(level) > self.sig1:
            logger.info("%s: median of the sky-subtracted image is %.2f sig1", self.name, level / self.sig1)
        plver = _text(raw.primary_header, "PLVER")
        for what, version in (("PSF", psfver), ("sky", skyver)):
            if version[1] and version[1] != plver:
                logger.warning("%s: PLVER is %s, but that of its %s model %s", self.name, plver, what, version[1])
        return Tim(
            name=self.name,
            band=self.band,
            image=np.ascontiguousarray(raw.image),
            inverr=np.sqrt(raw.invvar),
            dq=np.ascontiguousarray(raw.dq),
            wcs=wcs.subimage(r.x0, r.y0, r.width, r.height),
            psf=psf,
            x0=r.x0,
            y0=r.y0,
            sig1=self.sig1,
            psf_fwhm=psf_fwhm,
            psf_sigma=psf_fwhm * SIGMA_PER_FWHM,
            psfnorm=psfnorm,
            galnorm=galnorm,
            mjd_tai=utc_to_tai(self.mjd_obs),
            zpscale=zpscale,
            midsky=midsky,
            ccd=self.info(raw.primary_header),
            plver=plver,
            plprocid=_text(raw.primary_header, "PLPROCID"),
            procdate=_text(raw.primary_header, "DATE"),
            skyver=skyver,
            psfver=psfver,
            primary_cards={card: raw.primary_header.get(card, "") for card in QUOTED_CARDS},
        )

    def info(self, primary_header: Mapping[str, Any]) -> CcdInfo:
        """`CcdInfo` of this CCD."""
        return CcdInfo(
            camera=self.camera,
            expnum=self.expnum,
            ccdname=self.ccdname,
            band=self.band,
            image_filename=self.image_filename,
            image_hdu=self.hdu,
            exptime=self.exptime,
            mjd_obs=self.mjd_obs,
            fwhm=self.fwhm,
            pixscale=self.pixscale,
            width=self.width,
            height=self.height,
            propid=_text(primary_header, "PROPID"),
        )


def _one_after_the_other(header: Mapping[Any, Any], primary_header: Mapping[Any, Any]) -> ChainMap[Any, Any]:
    """Cards of the image's header, else those of the primary one."""
    # ChainMap only reads here, so that any mapping will do.
    return ChainMap(header, primary_header)  # type: ignore[arg-type]


def _text(header: fitsio.FITSHDR, card: str) -> str:
    return str(header.get(card, "") or "").strip()
