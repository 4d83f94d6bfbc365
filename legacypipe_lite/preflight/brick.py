"""A look at all inputs of a brick: what is there, what is missing, what looks wrong, and what the run will take."""

import math
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from ..cameras import load_camera_modules
from ..errors import InputError, LegacypipeError, NothingToDo
from ..reference import RefCatalogs, check_files
from ..reference.gaia import chunk_files, gaia_stars
from ..reference.geometry import grown_tangent_wcs
from ..reference.star_colors import MAX_MASK_RADIUS
from ..report import Report
from ..resources import Prediction, expected_sources, predict
from ..stages.tims import choose_ccds
from ..survey import SurveyDirectory
from ..survey.bricks import brick_and_target
from ..survey.ccd_list import DROPPED, NOT_OVERLAPPING, USED
from ..wise import WiseFolders
from .ccd import check_ccd
from .checksums import checksum_findings
from .findings import ABSENT, ERROR, LOST, Finding
from .stars import astrometry_findings

__all__ = ["BrickCheck", "check_brick"]


@dataclass
class BrickCheck:
    """What was found about the inputs of a brick.

    Attributes
    ----------
    name : str
    text : str
        Where it is, and its size.
    fates : list of CcdFate
        What would become of each CCD near the brick.
    bands : dict of str to int
        Band -> images that would be used; in the order of the options.
    findings : list of Finding
    n_sources : float
        Expected.
    prediction : Prediction or None
        None if nothing would be run.
    """

    name: str
    text: str = ""
    fates: list = field(default_factory=list)
    bands: dict = field(default_factory=dict)
    findings: list = field(default_factory=list)
    n_sources: float = 0.0
    prediction: Prediction | None = None


def check_brick(options, progress=None) -> BrickCheck:
    """Look at all inputs of a brick. Nothing is made or written.

    Parameters
    ----------
    options : RunOptions
        As for the run.
    progress : callable, optional
        ``progress(label, done, total)``.

    Returns
    -------
    BrickCheck

    Raises
    ------
    LegacypipeError
        If there is no such brick or survey directory, or the options make no sense.
    """
    options.validated()
    load_camera_modules(options.camera_module)
    survey = SurveyDirectory.from_options(options)
    brick, target = brick_and_target(options, survey.bricks_file())
    check = BrickCheck(brick.name)
    check.text = (
        f"centre {brick.ra:.5f} {brick.dec:+.5f}, {target.width} x {target.height} pixels of {target.pixel_scale:.4g}"
        " arcsec"
    )
    stars = _check_catalogs(check, target, survey, options)
    _check_wise(check, options)
    _check_output(check, options)
    ccds = _check_ccds(check, target, survey, options, stars, progress)
    _check_bands(check, options)
    if ccds:
        _predict(check, ccds, target, options)
        _check_room(check, options)
    return check


def _check_catalogs(check, target, survey, options):
    """Look at the reference catalogues; returns the Gaia stars, or None."""
    report = _Silent()
    try:
        catalogs = RefCatalogs.from_environment(survey, options, report)
        check.findings += [Finding(ABSENT, "reference catalogues", text) for text in report.warnings]
        if catalogs.gaia_dir is None:
            check_files([], catalogs)
            return None
        grown = grown_tangent_wcs(target, math.ceil(MAX_MASK_RADIUS / target.pixel_scale))
        check_files(chunk_files(grown, catalogs), catalogs)
        return gaia_stars(grown_tangent_wcs(target, _MARGIN), [], catalogs)
    except InputError as error:
        check.findings.append(Finding(ERROR, "reference catalogues", str(error)))
        return None


#: Pixels around the target in which stars are looked up.
_MARGIN = 100


class _Silent(Report):
    """A report that keeps warnings to itself."""

    def warn_once(self, logger, text):
        if text not in self.warnings:
            self.warnings.append(text)


def _check_wise(check, options):
    folders = WiseFolders.from_options(options)
    try:
        folders.check()
    except LegacypipeError as error:
        check.findings.append(Finding(ERROR, "unWISE images", str(error)))
    if options.wise and not folders:
        text = "no --unwise-dir nor $UNWISE_COADDS_DIR: there will be no WISE photometry (--no-wise says so)"
        check.findings.append(Finding(ABSENT, "unWISE images", text))


def _check_output(check, options):
    from ..files import check_writable

    try:
        check_writable(Path(options.outdir).absolute())
    except LegacypipeError as error:
        check.findings.append(Finding(ERROR, "--outdir", str(error)))


def _check_ccds(check, target, survey, options, stars, progress):
    """Look at each CCD; returns the tims, without their pixels, of those that can be used."""
    try:
        near = choose_ccds(survey, target, options)
    except NothingToDo as end:
        check.findings.append(Finding(LOST, "CCDs", f"nothing to do: {end}"))
        return []
    rows, used = near.unsettled(), []
    for i, row in enumerate(rows):
        if progress is not None:
            progress("CCDs", i, len(rows))
        ccd = check_ccd({name: near.table[name][row] for name in near.table.colnames}, survey, options, target)
        lost = next((f.text for f in ccd.findings if f.kind == LOST), "")
        if ccd.tim is None or lost:
            near.settle(row, NOT_OVERLAPPING if ccd.outside else DROPPED, lost)
        else:
            near.settle(row, USED)
            check.bands[ccd.tim.band] = check.bands.get(ccd.tim.band, 0) + 1
            check.findings += astrometry_findings(ccd.name, ccd.tim, stars)
            used.append(_Used(ccd.tim))
        check.findings += [f for f in ccd.findings if f.kind != LOST]
        check.findings += checksum_findings(ccd.files)
    if progress is not None and len(rows):
        progress("CCDs", len(rows), len(rows))
    check.fates = near.fates()
    check.findings += [Finding(LOST, fate.name, fate.reason) for fate in near.settled(DROPPED)]
    check.bands = {band: check.bands[band] for band in options.bands if band in check.bands}
    return used


class _Used:
    """What the prediction needs of a tim."""

    def __init__(self, tim):
        self.pixels = tim.image.size
        self.area = tim.image.size * tim.wcs.pixel_scale**2
        self.band, self.weight = tim.band, (tim.psfnorm / tim.sig1) ** 2


def _check_bands(check, options):
    missing = [band for band in options.bands if band not in check.bands]
    if missing and check.fates:
        kind = ERROR if options.require_bands else LOST
        check.findings.append(Finding(kind, f"band {', '.join(missing)}", "no image can be used"))


def _predict(check, ccds, target, options):
    area = target.width * target.height * target.pixel_scale**2
    depths = []
    for band in check.bands:
        weight = sum(ccd.weight * min(ccd.area / area, 1.0) for ccd in ccds if ccd.band == band)
        depths.append(22.5 - 2.5 * math.log10(5.0 / math.sqrt(weight)))
    check.n_sources = expected_sources(area / 3600.0, max(depths))
    check.prediction = predict(
        len(ccds),
        sum(ccd.pixels for ccd in ccds),
        target.width * target.height,
        len(check.bands),
        check.n_sources,
        wise=bool(WiseFolders.from_options(options)),
        threads=options.threads,
        pickles=options.write,
    )


def _check_room(check, options):
    """Is there room on the disk, and as much memory as the user allows?"""
    folder = Path(options.outdir).absolute()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if check.prediction.disk > free:
        text = f"about {check.prediction.disk / 1e9:.3g} GB will be written, {free / 1e9:.3g} GB are free in {folder}"
        check.findings.append(Finding(ERROR, "disk", text))
    limit = options.max_memory_gb
    if limit is not None and check.prediction.memory > limit * 1e9:
        text = f"about {check.prediction.memory / 1e9:.3g} GB are needed, --max-memory-gb allows {limit:g}"
        check.findings.append(Finding(ERROR, "memory", text))
