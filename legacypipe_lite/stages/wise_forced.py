"""Stage wise_forced: photometry of the catalogue's sources on unWISE images, light curves, masks and coadds."""

import logging
from dataclasses import dataclass, field

import numpy as np

from .. import catalog, coadds, wise
from .base import Stage, StageResult

__all__ = ["STAGE"]

logger = logging.getLogger(__name__)


@dataclass
class _Measured:
    """Results of all tasks."""

    photometry: dict = field(default_factory=dict)
    epochs: dict = field(default_factory=dict)
    coadds: dict = field(default_factory=dict)


def run_wise_forced(state, options, tools):
    """Measure the sources in W1 to W4; zeros where there are no unWISE images; nothing with ``--no-wise``."""
    if not options.wise:
        return StageResult({"wise_table": None, "wise_masks": None}, skipped=True)
    folders = wise.WiseFolders.from_options(options)
    table, target = state["fit_table"], state["target"]
    problems = []
    rows = wise.sources_to_measure(table, state["fit_sources"], state["maskbits"], options.wise_gaia_only)
    job = _job(state, rows, folders, options, tools, problems)
    models = wise.psf_models(tools.survey, problems) if job.tiles else None
    tasks = job.psf_tasks()
    psfs = tools.map(wise.make_psf, tasks, shared=models, label="WISE PSFs")
    job.psfs = {(tile.coadd_id, band): psf for (tile, band), psf in zip(tasks, psfs)}
    measured, masks, skipped = _measure(job, tools, problems)
    cards = [
        ("W_CERES", False, "WISE forced phot: Ceres? No: exact solution"),
        ("WISE_GAIA_ONLY", bool(options.wise_gaia_only), "WISE forced phot: only Gaia + SGA"),
        ("WISEPSF", models.kind if models else "none", "WISE PSF models"),
        ("WISESKIP", skipped, "unWISE images that could not be used"),
    ]
    _tell(folders, job, problems, tools)
    apertures = {}
    if job.make_coadds:
        _write_coadds(measured.coadds, wise.wise_target(target), tools.header(state, cards), tools)
        apertures = _apertures(measured.coadds, wise.wise_target(target), table)
    if options.save_unwise_psf:
        _write_psfs(job, tools.header(state, cards), tools)
    made = {
        "wise_table": wise.wise_table(
            len(table), rows, measured.photometry, measured.epochs, apertures, _mask_values(masks, table)
        ),
        "wise_masks": masks,
    }
    return StageResult(made, cards)


def _job(state, rows, folders, options, tools, problems):
    target = state["target"]
    atlas = wise.open_atlas(folders, problems)
    tiles = wise.find_tiles(target, folders, atlas, tools.survey, problems) if folders else []
    return wise.WiseJob(
        target=target,
        sources=wise.ForcedSources.from_sources([state["fit_sources"][row] for row in rows]),
        tiles=tiles,
        folders=list(folders.full),
        epoch_folder=folders.epochs,
        sky_folder=folders.sky,
        epochs=wise.epochs_of_tiles(tiles, atlas, problems),
        make_coadds=bool(folders.full) and options.unwise_coadds,
        noise=options.wise_noise,
    )


def _measure(job, tools, problems):
    """Run all tasks; the results, the masks of W1 and W2, and how many images could not be used."""
    tasks = job.band_tasks()
    results = tools.map(wise.measure_band, tasks, shared=job, label="WISE")
    measured = _Measured()
    skipped = 0
    for (band, slot), result in zip(tasks, results):
        problems += result.problems
        skipped += len(result.problems)
        if slot is None:
            measured.photometry[band] = result.photometry
            measured.coadds[band] = result.coadd
        else:
            measured.epochs.setdefault(band, []).append(result.photometry)
    ((masks, trouble),) = tools.map(wise.map_masks, [None], shared=job, label="WISE masks")
    problems += trouble
    return measured, masks, skipped


def _tell(folders, job, problems, tools):
    """One warning about all that is missing."""
    if not folders:
        logger.info("no unWISE images: the WISE columns are zero (--no-wise leaves them out)")
        return
    if not job.tiles:
        problems.append("no unWISE tile covers this brick")
    for problem in problems:
        logger.debug("WISE: %s", problem)
    if problems:
        more = f" (and {len(problems) - 1} more: -v shows them)" if len(problems) > 1 else ""
        tools.report.warn_once(logger, f"WISE photometry is incomplete: {problems[0]}{more}")


def _write_coadds(maps, wcs, version_cards, tools):
    """Write the coadds of all bands, and the pictures of W1 and W2."""
    for band, coadd in maps.items():
        cards = [
            *version_cards,
            *coadds.target_wcs_cards(wcs),
            ("TELESCOP", "WISE", ""),
            ("FILTER", f"W{band}", "WISE band"),
            ("MAGZERO", 22.5, "Magnitude zeropoint"),
            ("MAGSYS", "Vega", "This WISE image is in Vega fluxes"),
        ]
        for product in ("image", "model", "invvar"):
            tools.products.write_image(product, getattr(coadd, product), cards, band=f"W{band}")
    w1, w2 = maps[1], maps[2]
    for product, planes in (
        ("wise", (w1.image, w2.image)),
        ("wisemodel", (w1.model, w2.model)),
        ("wiseresid", (w1.image - w1.model, w2.image - w2.model)),
    ):
        tools.products.write_jpeg(f"{product}-jpeg", wise.wise_picture(*planes))


def _apertures(coadds_of_bands, wcs, table):
    """Aperture fluxes, those of the residuals, and inverse variances of all rows; by band."""
    x, y = wcs.sky_to_pixel(np.asarray(table["ra"]), np.asarray(table["dec"]))
    radii = np.array(catalog.WISE_APERTURE_RADII) / wcs.pixel_scale
    results = {}
    for band, coadd in coadds_of_bands.items():
        # Two maps, as for the optical bands: so the same compiled code serves, and need not be loaded.
        maps = (coadd.image - coadd.model, coadd.model)
        found = coadds.aperture_photometry(coadd.image, coadd.invvar, x, y, radii, maps)
        results[band] = (found.flux, found.residuals[0], found.ivar)
    return results


def _write_psfs(job, version_cards, tools):
    """Write the mean PSF of the tiles of each band."""
    bands = sorted({band for _, band in job.psfs})
    for band in bands:
        images = [psf.image for (_, b), psf in job.psfs.items() if b == band]
        cards = [
            *version_cards,
            ("TELESCOP", "WISE", ""),
            ("FILTER", f"W{band}", "WISE band"),
            ("PIXSCALE", wise.wise_target(job.target).pixel_scale, "[arcsec] pixel scale"),
        ]
        tools.products.write_image("copsf", np.mean(images, axis=0, dtype=np.float32), cards, band=f"W{band}")


def _mask_values(masks, table):
    """Mask bits of the pixels at the sources, shape (rows, 2)."""
    values = np.zeros((len(table), 2), np.uint8)
    inside = np.asarray(table["in_bounds"], bool)
    ix, iy = np.asarray(table["ibx"])[inside], np.asarray(table["iby"])[inside]
    for i, mask in enumerate(masks):
        values[inside, i] = mask[iy, ix]
    return values


def _input_files(state, survey, options, report):
    return wise.input_files(state["target"], options, survey)


def _check(options):
    """The folders that are named must be there."""
    wise.WiseFolders.from_options(options).check()


STAGE = Stage(
    name="wise_forced",
    text="photometry of all sources on unWISE images, light curves, WISE masks and coadds",
    reads=("target", "fit_table", "fit_sources", "maskbits"),
    makes=("wise_table", "wise_masks"),
    run=run_wise_forced,
    options=(
        "data_dir",
        "wise",
        "unwise_dir",
        "unwise_tr_dir",
        "unwise_coadds",
        "wise_noise",
        "wise_gaia_only",
        "save_unwise_psf",
    ),
    variables=("UNWISE_COADDS_DIR", "UNWISE_COADDS_TIMERESOLVED_DIR", "UNWISE_MODEL_SKY_DIR", "WISE_PSF_DIR"),
    input_files=_input_files,
    check=_check,
    keyword="VER_WISE",
)
