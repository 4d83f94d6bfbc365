"""Stage tims: the brick, its target image, its CCDs, and the calibrated sub-image ("tim") of each CCD."""

import logging
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..bits import band_suffix
from ..cameras import UnusableImage, camera_class, load_camera_modules
from ..cameras.extent import covering_region
from ..errors import InputError, LegacypipeError, NothingToDo, WorkerError
from ..models.injection import read_injection
from ..reference import SkySceneFinder
from ..survey import Brick, find_brick, parse_radec, read_ccds
from ..survey.ccds import good_ccds, touching
from ..wcs import TanWcs, target_wcs
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
    brick, target = _brick_and_target(options, tools.survey)
    files = tools.survey.ccd_files()
    ccds = _choose(files, target, options)
    for camera in dict.fromkeys(ccds["camera"]):
        camera_class(str(camera))
    _check_memory(ccds, target, options.max_memory_gb)
    injection = _injection(options)
    tims, dropped = _read_all(ccds, target, options, tools, injection)
    ccds = ccds[[tim.ccd.row for tim in tims]]
    tims = [replace(tim, ccd=replace(tim.ccd, row=row)) for row, tim in enumerate(tims)]
    bands = [band for band in options.bands if any(tim.band == band for tim in tims)]
    _add_columns(ccds, tims, target)
    ccd_files = [tools.survey.relative(path) for path in files]
    tools.report.counts["CCDs"] = {band: sum(tim.band == band for tim in tims) for band in bands}
    made = {
        "brick": brick,
        "target": target,
        "bands": bands,
        "tims": tims,
        "ccds": ccds,
        "dropped_ccds": dropped,
        "ccd_files": ccd_files,
        "injected": None if injection is None else injection.table(tims, target),
    }
    cards = _header_cards(ccd_files, tims, bands, options.bands)
    if injection is not None:
        tools.report.counts["injected sources"] = int(np.sum(made["injected"]["in_zoom"]))
        tools.products.write_table("injected", made["injected"], primary_cards=tools.header(made, cards))
    return StageResult(made, cards)


def _injection(options):
    """The sources that are to be added to the images, or None."""
    if options.inject is None:
        return None
    return read_injection(options.inject, options.bands, options.inject_seed)


def _brick_and_target(options, survey):
    size = (options.width, options.height, options.pixscale, options.zoom)
    if options.brick is not None:
        brick = find_brick(survey.bricks_file(), options.brick)
        return brick, target_wcs(brick.ra, brick.dec, *size)
    ra, dec = parse_radec(*options.radec)
    target = target_wcs(ra, dec, *size)
    return Brick.around(ra, dec, target), target


# --- choosing CCDs


def _choose(files, target, options):
    ccds = read_ccds(files, target)
    ccds = ccds[touching(ccds, target)]
    if len(ccds) == 0:
        raise NothingToDo("No CCDs touching brick")
    logger.info("%d CCDs may touch the brick", len(ccds))
    known = sorted({str(band) for band in ccds["filter"]})
    number = len(ccds)
    ccds = ccds[good_ccds(ccds, options.bands, options.min_mjd, options.max_mjd)]
    if len(ccds) == 0:
        raise NothingToDo(
            f"No photometric CCDs touching brick. There are {number} CCDs in bands {','.join(known)}; none of them is"
            f" in bands {','.join(options.bands)}, has passed the cuts, and is in the MJD range"
        )
    return ccds


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
    """The tim of one CCD (a dict of the CCD table), or a `_Failure`."""
    load_camera_modules(reader.options.camera_module)  # in a worker that was not forked they are not there yet
    try:
        ccd = camera_class(row["camera"])(row, reader.survey, reader.options)
        tim = ccd.read_tim(reader.target, reader.scene)
    except UnusableImage as e:
        return _Failure(str(e), "outside" if e.expected else "empty")
    except InputError as e:
        return _Failure(str(e), "damaged")
    except LegacypipeError:
        raise
    except Exception as e:  # such as a mistake in a user's camera class
        name = f"{row['image_filename']} {row['ccdname']} (camera {row['camera']})"
        raise LegacypipeError(f"{name}: internal error: {type(e).__name__}: {e} (--debug shows where)") from e
    if reader.injection is not None:
        reader.injection.add_to(tim)
    return tim


def _read_all(ccds, target, options, tools, injection=None):
    """Tims, each with its row of `ccds` in `tim.ccd.row`; and (name, reason) of the CCDs that give none."""
    reader = _Reader(tools.survey, options, target, SkySceneFinder(tools.survey, options, tools.report), injection)
    rows = [{name: row[name] for name in ccds.colnames} for row in ccds]
    if options.read_serial:
        results = [_read_ccd(reader, row) for row in rows]
    else:
        # With a callback a worker's crash is that CCD's result instead of the end of the run.
        results = tools.map(_read_ccd, rows, shared=reader, label="CCD images", on_result=_ignore)
    tims, failures = [], []
    for i, (row, result) in enumerate(zip(rows, results)):
        if isinstance(result, WorkerError):
            result = _Failure(str(result), "damaged")
        if isinstance(result, _Failure):
            failures.append((f"{row['image_filename']} {row['ccdname']}".strip(), result))
        else:
            tims.append(replace(result, ccd=replace(result.ccd, row=i)))
    dropped = _report(failures, tools.report)
    if not tims:
        damaged = [(name, f.reason) for name, f in failures if f.kind == "damaged"]
        if damaged:
            raise InputError(f"none of the {len(rows)} CCDs can be used; {damaged[0][0]}: {damaged[0][1]}")
        raise NothingToDo("No photometric CCDs touching brick.")
    return tims, dropped


def _ignore(index, result):
    """Results are looked at when all are there."""


def _report(failures, report):
    """Note the failures; those that merely lie outside the target are no news."""
    dropped = []
    for name, failure in failures:
        if failure.kind == "outside":
            logger.debug("%s: %s", name, failure.reason)
        else:
            report.drop_ccd(logger, name, failure.reason)
            dropped.append((name, failure.reason))
    return dropped


# --- what is written about them


def _add_columns(ccds, tims, target):
    """Add to the CCD table where each tim lies, its norms, and the versions of what it was made from."""
    heights, widths = np.array([tim.shape for tim in tims]).T
    x0, y0 = (np.array([getattr(tim, name) for tim in tims]) for name in ("x0", "y0"))
    for name, values in (("ccd_x0", x0), ("ccd_y0", y0), ("ccd_x1", x0 + widths), ("ccd_y1", y0 + heights)):
        ccds[name] = values.astype(np.int16)
    corners = np.array([_brick_box(tim, target) for tim in tims])
    for name, values in zip(("brick_x0", "brick_x1", "brick_y0", "brick_y1"), corners.T):
        ccds[name] = np.clip(values, -(2**15), 2**15 - 1).astype(np.int16)
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
    makes=("brick", "target", "bands", "tims", "ccds", "dropped_ccds", "ccd_files", "injected"),
    run=run_tims,
    kept=("brick", "target", "bands", "ccds", "dropped_ccds", "ccd_files"),
    options=(
        "brick",
        "radec",
        "width",
        "height",
        "pixscale",
        "zoom",
        "bands",
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
