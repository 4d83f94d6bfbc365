"""Stage tims: the brick, its target image, its CCDs, and the calibrated sub-image ("tim") of each CCD."""

import logging
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..bits import band_suffix
from ..cameras import UnusableImage, camera_class, camera_name, load_camera_modules
from ..cameras.extent import covering_region
from ..errors import InputError, LegacypipeError, NothingToDo, OutputError, WorkerError
from ..models.injection import read_injection
from ..names import did_you_mean, printable
from ..reference import SkySceneFinder
from ..survey.bricks import brick_and_target
from ..survey.ccd_list import DROPPED, NOT_ASKED, NOT_OVERLAPPING, USED, fate_counts
from ..survey.ccds import near_ccds, reasons_not_asked, touching, without_position
from ..wcs import TanWcs
from .base import Stage, StageResult

__all__ = ["STAGE"]

logger = logging.getLogger(__name__)

_BYTES_PER_PIXEL = 10  # image, inverse error and data quality


@dataclass(frozen=True)
class _Reader:
    """What the workers need to read CCDs."""

    survey: Any
    options: Any
    target: Any
    scene: Any
    injection: Any = None


#: Reasons that leave nothing to mend.
_WITHOUT_PIXELS = ("all weights are zero", "less than 10 good rows or columns")


@dataclass(frozen=True)
class _Failure:
    """Why a CCD gives no tim.

    Attributes
    ----------
    reason : str
    kind : str
        "outside": it does not reach into the target; "empty": it has no good pixels there; "damaged".
    """

    reason: str
    kind: str


def run_tims(state, options, tools):
    """Choose the CCDs of the brick and read them."""
    load_camera_modules(options.camera_module)
    brick, target = brick_and_target(options, tools.survey.bricks_file())
    files = tools.survey.ccd_files()
    for name in tools.survey.unread_ccd_files():
        tools.report.warn_once(logger, f"{name} is not read: there are .kd.fits tables beside it, which are")
    near = choose_ccds(tools.survey, target, options)
    rows = near.unsettled()
    _check_memory(near.table[rows], target, options.max_memory_gb)
    injection = _injection(options)
    tims = _read_all(near, rows, target, options, tools, injection)
    ccds = near.table[[rows[tim.ccd.row] for tim in tims]]
    tims = [replace(tim, ccd=replace(tim.ccd, row=row)) for row, tim in enumerate(tims)]
    bands = [band for band in options.bands if any(tim.band == band for tim in tims)]
    _check_bands(near, bands, options, tools.report)
    _add_columns(ccds, tims, target)
    ccd_files = [tools.survey.relative(path) for path in files]
    tools.report.counts["CCDs"] = {band: sum(tim.band == band for tim in tims) for band in bands}
    made = {
        "brick": brick,
        "target": target,
        "bands": bands,
        "tims": tims,
        "ccds": ccds,
        "ccd_fates": [tuple(fate) for fate in near.fates()],
        "dropped_ccds": [(fate.name, fate.reason) for fate in near.settled(DROPPED)],
        "ccd_files": ccd_files,
        "injected": None if injection is None else injection.table(tims, target),
    }
    cards = _header_cards(ccd_files, tims, bands, options.bands)
    smoothed = [tim.name for tim in tims if tim.weights_smoothed]
    if options.improved or smoothed:
        cards.append(("WTSMOOTH", len(smoothed), "Images whose weights were smoothed"))
        logger.info("weights smoothed: %d of %d images: %s", len(smoothed), len(tims), " ".join(smoothed))
    if injection is not None:
        tools.report.counts["injected sources"] = int(np.sum(made["injected"]["in_zoom"]))
        tools.products.write_table("injected", made["injected"], primary_cards=tools.header(made, cards))
    return StageResult(made, cards)


def _injection(options):
    """The sources that are to be added to the images, or None."""
    if options.inject is None:
        return None
    return read_injection(options.inject, options.bands, options.inject_seed)


# --- choosing CCDs


def choose_ccds(survey, target, options):
    """The CCDs near a target; those that are not settled are to be read.

    Parameters
    ----------
    survey : survey.SurveyDirectory
    target : wcs.TanWcs
    options : RunOptions

    Returns
    -------
    survey.ccd_list.CcdList

    Raises
    ------
    NothingToDo
        If no CCD touches the target, or none of those that do is asked for.
    InputError
        If no CCD near the target is of the cameras of ``--run``.
    """
    files = survey.ccd_files()
    near = near_ccds(files, target)
    ccds = near.table
    of_run = survey.rows_of_run(files, ccds["camera"])
    if len(ccds) and not of_run.any():
        raise InputError(
            f"--run {options.run}: no CCD table has {' or '.join(survey.cameras)} in its name, and no CCD near the"
            " brick is of these cameras"
        )
    touches = touching(ccds, target)
    nowhere = without_position(ccds)
    known = sorted({printable(band) for band in ccds["filter"][touches]})
    reasons = reasons_not_asked(ccds, options.bands, options.min_mjd, options.max_mjd)
    for row in range(len(ccds)):
        if not touches[row] and not nowhere[row] and not near.problems[row]:
            near.settle(row, NOT_OVERLAPPING)
        elif not of_run[row]:
            near.settle(row, NOT_ASKED, f"not of a camera of --run {options.run}")
        elif reasons[row]:
            near.settle(row, NOT_ASKED, reasons[row])
        elif near.problems[row]:
            near.settle(row, DROPPED, near.problems[row])
    if not touches.any() and not near.settled(DROPPED):
        raise NothingToDo("No CCDs touching brick")
    rows = near.unsettled()
    logger.info("%d CCDs may touch the brick, %d of them are asked for", touches.sum(), len(rows))
    if len(rows) == 0 and not near.settled(DROPPED):
        raise NothingToDo(
            f"No photometric CCDs touching brick. There are {touches.sum()} CCDs in bands {','.join(known)}; none of"
            f" them is in bands {','.join(options.bands)}, has passed the cuts, and is in the MJD range:"
            f" {fate_counts(near.fates())}"
        )
    for row in rows:
        _settle_camera(near, row)
    return near


def _settle_camera(near, row):
    """Give a row the name by which its camera is known; without it the CCD is dropped."""
    name = str(near.table["camera"][row])
    if camera_name(name) != name:
        near.table["camera"][row] = camera_name(name)
    try:
        camera_class(camera_name(name))
    except InputError as error:
        near.settle(row, DROPPED, str(error))


def _check_bands(near, bands, options, report):
    """Say which of the bands that are asked for have no image; with ``--require-bands`` that is an error."""
    missing = [band for band in options.bands if band not in bands]
    if not missing:
        return
    known = sorted({printable(band) for band in near.table["filter"]})
    hints = "".join(did_you_mean(band, [k for k in known if k not in options.bands]) for band in missing)
    text = f"no image in band {', '.join(missing)}: the CCDs near the brick are in {', '.join(known)}{hints}"
    if options.require_bands:
        raise InputError(f"{text} (--require-bands)")
    report.warn_once(logger, text)
    report.counts["bands without images"] = ", ".join(missing)


def _check_memory(ccds, target, limit_gb):
    """Refuse to start if the images would not fit; sizes are estimated with the table's plain TAN WCS."""
    if limit_gb is None:
        return
    pixels = 0
    for row in ccds:
        cd = [[row["cd1_1"], row["cd1_2"]], [row["cd2_1"], row["cd2_2"]]]
        crval, crpix = (row["crval1"], row["crval2"]), (row["crpix1"], row["crpix2"])
        region = covering_region(TanWcs(crval, crpix, cd, row["width"], row["height"]), target)
        pixels += 0 if region is None else region.width * region.height
    needed_gb = pixels * _BYTES_PER_PIXEL / 1e9
    if needed_gb > limit_gb:
        raise InputError(
            f"the images of {len(ccds)} CCDs need about {needed_gb:.3g} GB, more than --max-memory-gb {limit_gb:g}"
        )


# --- reading them


def _read_ccd(reader, row):
    """The tim of one CCD (a dict of the CCD table), or a `_Failure`: whatever goes wrong costs this CCD alone."""
    load_camera_modules(reader.options.camera_module)  # in a worker that was not forked they are not there yet
    try:
        ccd = camera_class(row["camera"])(row, reader.survey, reader.options)
        tim = ccd.read_tim(reader.target, reader.scene)
        if reader.injection is not None:
            reader.injection.add_to(tim)
        return tim
    except UnusableImage as e:
        return _Failure(str(e), "outside" if e.expected else "empty")
    except InputError as e:
        return _Failure(str(e), "damaged")
    except (OutputError, MemoryError, LegacypipeError) as e:
        return _Failure(str(e) or "not enough memory", "damaged")
    except Exception as e:  # a file of a kind that nobody has thought of, or a mistake in a user's camera class
        logger.debug("%s %s", row["image_filename"], row["ccdname"], exc_info=True)
        text = f"cannot be read: {type(e).__name__}: {e} (camera {row['camera']}; --debug shows where)"
        return _Failure(text, "damaged")


def _read_all(near, rows, target, options, tools, injection=None):
    """Tims of `rows` of the list of CCDs, each with its number among them in `tim.ccd.row`; the list is settled."""
    reader = _Reader(tools.survey, options, target, SkySceneFinder(tools.survey, options, tools.report), injection)
    rows = list(rows)
    tasks = [{name: near.table[name][i] for name in near.table.colnames} for i in rows]
    if options.read_serial:
        results = [_read_ccd(reader, task) for task in tasks]
    else:
        # With a callback a worker's crash is that CCD's result instead of the end of the run.
        results = tools.map(_read_ccd, tasks, shared=reader, label="CCD images", on_result=_ignore)
    tims = []
    for i, (row, result) in enumerate(zip(rows, results)):
        if isinstance(result, WorkerError):
            result = _Failure(str(result), "damaged")
        if not isinstance(result, _Failure):
            tims.append(replace(result, ccd=replace(result.ccd, row=i)))
            near.settle(row, USED)
            _complete_row(near.table, row, result.ccd)
        elif result.kind == "outside":
            logger.debug("%s: %s", near.name(row), result.reason)
            near.settle(row, NOT_OVERLAPPING, result.reason)
        else:
            near.settle(row, DROPPED, result.reason)
    for fate in near.settled(DROPPED):
        tools.report.drop_ccd(logger, fate.name, fate.reason)
    if not tims:
        dropped = near.settled(DROPPED)
        if any(f.reason not in _WITHOUT_PIXELS for f in dropped):
            worst = next(f for f in dropped if f.reason not in _WITHOUT_PIXELS)
            raise InputError(f"none of the {len(rows) or len(dropped)} CCDs can be used; {worst.name}: {worst.reason}")
        raise NothingToDo(f"No photometric CCDs touching brick. {fate_counts(near.fates())}")
    return tims


def _complete_row(table, row, ccd):
    """Put into the CCD table what an image header said instead of it."""
    for name in ("exptime", "mjd_obs", "fwhm"):
        if np.isnan(table[name][row]):
            table[name][row] = getattr(ccd, name)


def _ignore(index, result):
    """Results are looked at when all are there."""


# --- what is written about them


def _add_columns(ccds, tims, target):
    """Add to the CCD table where each tim lies, its norms, and the versions of what it was made from."""
    heights, widths = np.array([tim.shape for tim in tims]).T
    x0, y0 = (np.array([getattr(tim, name) for tim in tims]) for name in ("x0", "y0"))
    for name, values in (("ccd_x0", x0), ("ccd_y0", y0), ("ccd_x1", x0 + widths), ("ccd_y1", y0 + heights)):
        ccds[name] = _pixel_column(values)
    corners = np.array([_brick_box(tim, target) for tim in tims])
    for name, values in zip(("brick_x0", "brick_x1", "brick_y0", "brick_y1"), corners.T):
        ccds[name] = _pixel_column(values)
    ccds["psfnorm"] = np.array([tim.psfnorm for tim in tims], np.float32)
    ccds["galnorm"] = np.array([tim.galnorm for tim in tims], np.float32)
    texts = {
        "propid": [tim.ccd.propid for tim in tims],
        "plver": [tim.plver for tim in tims],
        "skyver": [tim.skyver[0] for tim in tims],
        "psfver": [tim.psfver[0] for tim in tims],
        "skyplver": [tim.skyver[1] for tim in tims],
        "psfplver": [tim.psfver[1] for tim in tims],
    }
    for name, values in texts.items():
        ccds[name] = np.array(values, dtype=f"U{max(1, *(len(v) for v in values))}")


def _pixel_column(values):
    """Pixel numbers as int16, as in the published tables; as int32 if they do not fit."""
    limits = np.iinfo(np.int16)
    fit = np.all((values >= limits.min) & (values <= limits.max))
    return np.clip(values, -(2**31), 2**31 - 1).astype(np.int16 if fit else np.int32)


def _brick_box(tim, target):
    """FITS pixels of the target around the tim: x0, x1, y0, y1.

    As in the published tables the last row and column of the tim do not count.
    """
    h, w = tim.shape
    x, y = tim.wcs.map_to(target, np.array([0.0, 0.0, w - 2.0, w - 2.0]), np.array([0.0, h - 2.0, 0.0, h - 2.0]))
    x, y = x + 1.0, y + 1.0
    return np.floor(x.min()), np.ceil(x.max()), np.floor(y.min()), np.ceil(y.max())


def _header_cards(ccd_files, tims, bands, all_bands):
    cards = [(f"CCDFN_{i}", name, "survey-ccds file used") for i, name in enumerate(ccd_files, 1)]
    for band in all_bands:
        cameras = sorted({tim.ccd.camera for tim in tims if tim.band == band})
        name = band_suffix(band)
        cards.append((f"BRICK_{name}", band in bands, f"Does band {band} touch this brick?"))
        cards.append((f"CAMS_{name}", " ".join(cameras), f"Cameras contributing band {band}"))
    missing = [band for band in all_bands if band not in bands]
    if missing:
        cards.append(("NOIMAGES", ",".join(missing), "Bands asked for that have no image here"))
    cards.append(("BANDS", ",".join(bands), "Bands touching this brick"))
    cards.append(("NBANDS", len(bands), "Number of bands in this catalog"))
    cards += [(f"BAND{i}", band, "Band name in this catalog") for i, band in enumerate(bands)]
    return [*cards, STAGE.version_card()]


# --- what they depend on


def _tables(survey):
    return [survey.bricks_file(), *survey.ccd_files()]


def _input_files(state, survey, options, report):
    """Images of the CCDs with their masks, weights and calibrations, images that were dropped, injected sources."""
    for row in state["ccds"]:
        image, ccdname = str(row["image_filename"]).strip(), str(row["ccdname"]).strip()
        yield survey.image_file(image)
        ccd = camera_class(str(row["camera"]))(row, survey, options)
        for sibling in ("dq_filename", "weight_filename"):
            # A user's own class need not have these.
            if hasattr(ccd, sibling):
                yield survey.image_file(getattr(ccd, sibling)())
        for kind in ("psf", "sky"):
            yield from survey.calibration_files(kind, image, ccdname)
    for name, _ in state["dropped_ccds"]:
        yield survey.image_file(name.split()[0])
    if options.inject is not None:
        yield options.inject


STAGE = Stage(
    name="tims",
    text="choose the CCDs of the brick, read and calibrate their images",
    reads=(),
    makes=("brick", "target", "bands", "tims", "ccds", "ccd_fates", "dropped_ccds", "ccd_files", "injected"),
    run=run_tims,
    kept=("brick", "target", "bands", "ccds", "ccd_fates", "dropped_ccds", "ccd_files"),
    options=(
        "brick",
        "radec",
        "width",
        "height",
        "pixscale",
        "zoom",
        "brickid",
        "short_name",
        "primary_box",
        "bands",
        "require_bands",
        "verify_inputs",
        "survey_dir",
        "data_dir",
        "run",
        "camera_module",
        "min_mjd",
        "max_mjd",
        "inject",
        "inject_seed",
        "skip_calibs",
        "old_calibs_ok",
        "splinesky",
        "sky_box_size",
        "blob_mask_dir",
        "sky_subtract_large_galaxies",
        "gpsf",
        "hybrid_psf",
        "normalize_psf",
        "apodize",
        "smooth_weights",
        "improved",
        "gaia",
        "tycho",
        "large_galaxies",
        "shape_jacobian",
    ),
    variables=("SKY_TEMPLATE_DIR",),
    tables=_tables,
    input_files=_input_files,
    keyword="VER_TIMS",
)
