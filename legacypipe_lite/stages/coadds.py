"""Stage coadds: stacks of images and models, what they say about every source, mask bits and pictures."""

import logging
from dataclasses import dataclass

import numpy as np
from astropy.table import Table

from .. import catalog, coadds
from ..bits import FITBITS, maskbits_for_bands
from ..coadds.products import CoaddProducts, maskbits_of_state
from ..models.render import TimRenderer
from ..survey.header import bit_cards
from .base import Stage, StageResult

__all__ = ["STAGE"]

logger = logging.getLogger(__name__)

_PRODUCTS = ("image", "invvar", "nexp", "depth", "galdepth", "psfsize", "model", "chi2", "blobmodel")
_PICTURES = ("image", "model", "blobmodel", "resid")

#: Model images of so many tims are stacked together, and dropped.
_TIMS_AT_ONCE = 4


@dataclass
class _Catalogue:
    """The fitted catalogue as the workers need it."""

    tims: list
    bands: list
    target: object
    blobmap: np.ndarray
    sources: list
    extents: coadds.SourceExtents
    fluxes: np.ndarray
    blobs: np.ndarray
    shape_jacobian: str
    frozen: list


@dataclass
class _Measurements:
    """Columns of the coadd table of one band: values of the maps, areas, apertures."""

    samples: dict
    areas: dict
    apertures: dict


def run_coadds(state, options, tools):
    """Stack the images and the models band by band, measure on the stacks, and write them."""
    target, bands, table = state["target"], state["bands"], state["fit_table"]
    products = CoaddProducts(state, options, tools, tools.header(state))
    products.write_ccds()
    catalogue = _catalogue(state, options)
    dates = coadds.DateMaps(state["tims"], target.shape)
    measured = []
    for band in bands:
        measured.append(_stack_and_measure(catalogue, band, dates, products, state, options, tools))
        if options.save_coadd_psf:
            _write_coadd_psf(band, state, tools, products)
    products.write_depth_table()
    products.write_pictures(_PICTURES)
    made = {
        "coadd_table": _coadd_table(measured, dates, table, target),
        "maskbits": maskbits_of_state(state, options, products, state["refmap"]),
    }
    bits = maskbits_for_bands(options.bands)
    return StageResult(made, [*bit_cards(bits, "M", "maskbit"), *bit_cards(FITBITS, "F", "fitbit")])


def _catalogue(state, options):
    table = state["fit_table"]
    regular = np.asarray(table["regular"], bool)
    sources = [source if keep else None for source, keep in zip(state["fit_sources"], regular)]
    none = np.zeros(len(state["bands"]))
    return _Catalogue(
        tims=state["tims"],
        bands=list(state["bands"]),
        target=state["target"],
        blobmap=state["fit_blobmap"],
        sources=sources,
        extents=coadds.SourceExtents.from_sources(sources),
        fluxes=np.array([none if source is None else source.flux for source in sources]).reshape(-1, len(none)),
        blobs=np.asarray(table["blob"]),
        shape_jacobian=options.shape_jacobian,
        frozen=state["frozen_galaxies"],
    )


def _stack_and_measure(catalogue, band, dates, products, state, options, tools):
    """Stack one band, measure on the stacks, and write them; they are gone when the next band begins."""
    coadd, footprints = _coadd_band(catalogue, band, dates, options, tools)
    measured = _measure(coadd, footprints, state, options.threads)
    products.add_band(coadd, _PRODUCTS, _PICTURES)
    return measured


def _coadd_band(catalogue, band, dates, options, tools):
    """Stacks of one band, and (tim, footprints) of its images."""
    accumulator = coadds.BandAccumulator(
        band,
        catalogue.target,
        dates,
        detail="models",
        local_area=options.local_pixel_area,
        lanczos=options.lanczos,
        threads=options.threads,
    )
    members = [i for i, tim in enumerate(catalogue.tims) if tim.band == band]
    footprints, waiting = [], []
    for i, drawn in zip(members, tools.stream(_models_of_tim, members, shared=catalogue, label=f"models {band}")):
        footprints.append((catalogue.tims[i], drawn.footprints))
        waiting.append((catalogue.tims[i], i, drawn.model, drawn.blobmodel))
        if len(waiting) == _TIMS_AT_ONCE or i == members[-1]:
            accumulator.add_all(waiting)
            waiting = []
    return accumulator.finish(), footprints


def _models_of_tim(catalogue, index):
    """Model images of one tim."""
    tim = catalogue.tims[index]
    band_index = catalogue.bands.index(tim.band)
    return coadds.tim_models(
        tim,
        catalogue.target,
        catalogue.blobmap,
        catalogue.sources,
        catalogue.blobs,
        catalogue.fluxes[:, band_index],
        TimRenderer(tim, band_index, catalogue.shape_jacobian).patches,
        catalogue.frozen,
        catalogue.extents.rows_near(tim),
    )


def _measure(coadd, footprints, state, threads):
    """Sample the maps of a band at the sources, and measure areas and apertures."""
    table, target = state["fit_table"], state["target"]
    x, y = np.asarray(table["bx"]), np.asarray(table["by"])
    samples = coadds.sample_coadd(coadd, *coadds.pixel_of(x, y, target.shape))
    nea, blob_nea = coadds.noise_equivalent_areas(
        [tim for tim, _ in footprints],
        [footprint for _, footprint in footprints],
        samples["psfdepth"],
        samples["psfsize"],
    )
    apertures = coadds.aperture_photometry(
        coadd.image,
        coadd.invvar,
        x,
        y,
        np.array(catalog.APERTURE_RADII) / target.pixel_scale,
        (coadd.resid, coadd.blobresid),
        threads=threads,
    )
    resid, blobresid = apertures.residuals
    return _Measurements(
        samples=samples,
        areas={"nea": nea, "blob_nea": blob_nea},
        apertures={
            "apflux": apertures.flux,
            "apflux_ivar": apertures.ivar,
            "apflux_masked": apertures.masked,
            "apflux_resid": resid,
            "apflux_blobresid": blobresid,
        },
    )


def _coadd_table(measured, dates, fit_table, target):
    """The measurements as a table, row by row of the fitted catalogue; band columns are 2-d or 3-d arrays."""
    first, last = dates.at(*coadds.pixel_of(fit_table["bx"], fit_table["by"], target.shape))
    return Table(
        {
            **_over_bands([band.samples for band in measured]),
            "mjd_min": first,
            "mjd_max": last,
            **_over_bands([band.areas for band in measured]),
            **_over_bands([band.apertures for band in measured]),
        }
    )


def _over_bands(columns):
    """Columns of each band as columns whose second axis is the band."""
    return {name: np.stack([band[name] for band in columns], axis=1) for name in columns[0]}


def _write_coadd_psf(band, state, tools, products):
    """Write the mean PSF of a band."""
    tims = [tim for tim in state["tims"] if tim.band == band]
    cards = [
        *products.header,
        *coadds.band_cards(tims, band),
        ("IMTYPE", "coaddpsf", "LegacySurveys image type"),
        ("PIXSCALE", state["target"].pixel_scale, "[arcsec] pixel scale"),
    ]
    tools.products.write_image("copsf", coadds.coadd_psf(tims, state["target"]), cards, band=band)


STAGE = Stage(
    name="coadds",
    text="stack images and models, measure on the stacks, make the mask bits",
    reads=(
        "brick",
        "tims",
        "bands",
        "target",
        "ccds",
        "co_sky",
        "saturated_maps",
        "fit_table",
        "fit_sources",
        "fit_blobmap",
        "refmap",
        "bailout_mask",
        "sub_blob_mask",
        "frozen_galaxies",
    ),
    makes=("coadd_table", "maskbits"),
    run=run_coadds,
    replaces=("image_coadds",),
    options=("shape_jacobian", "lanczos", "local_pixel_area", "save_coadd_psf"),
    product_options=("rgb_stretch", "coadd_bw"),
    keyword="VER_COAD",
)
