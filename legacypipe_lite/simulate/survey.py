"""Writing a mock survey directory."""

from __future__ import annotations

import json
import logging
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import vstack

from ..errors import OutputError
from ..files import atomic_file
from ..parallel import run_tasks
from ..units import SIGMA_PER_FWHM
from .calibrations import calibration_path, psf_row, sky_row, stack_rows
from .catalogs import GAIA_VERSION, gaia_chunks, large_galaxy_table, tycho2_table
from .ccd_table import ccd_row
from .exposures import plan_ccds, plan_exposures
from .field import make_field
from .files import ImageTriplet, write_table
from .images import make_ccd
from .scene import OUTER_RADIUS, draw_outer_stars, draw_sources, mark_saturated, sky_content
from .tiling import brick_row
from .truth import TRUTH_UNITS, truth_table
from .unwise import COADDS_FOLDER, EPOCHS_FOLDER, write_unwise

if TYPE_CHECKING:
    from astropy.table import Table

    from .exposures import Exposure
    from .images import SkyContent
    from .options import SimulationOptions

__all__ = ["MockSurvey", "simulate"]

logger = logging.getLogger(__name__)

_FINGERPRINT = "mock-survey.json"
#: Says that a folder may be emptied for another mock survey.
_MARKER = ".mock-survey"
_FOLDERS = ("images", "calib", "gaia")
_LARGE_GALAXIES = "large-galaxies.fits"
_FIRST_SOURCE_ID = 4_000_000_000_000_000_001


class MockSurvey:
    """A mock survey directory on disk.

    Parameters
    ----------
    root : Path
    options : SimulationOptions
    """

    def __init__(self, root: Path, options: SimulationOptions) -> None:
        self.root = Path(root)
        self.options = options
        self.field = make_field(options)

    @property
    def is_complete(self) -> bool:
        """True if the directory holds the whole survey of these options."""
        try:
            found = json.loads((self.root / _FINGERPRINT).read_text())
        except (OSError, ValueError):
            return False
        return isinstance(found, dict) and found.get("fingerprint") == self.options.fingerprint()

    @property
    def truth_path(self) -> Path:
        """Path of the table of true sources."""
        return self.root / "truth.fits"

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables of a brick run on it; dict of str to str."""
        variables = {
            "GAIA_CAT_DIR": self.root / "gaia",
            "GAIA_CAT_VER": GAIA_VERSION,
            "GAIA_CAT_PREFIX": "chunk",
            "GAIA_CAT_SCHEME": "ring",
            "TYCHO2_KD_DIR": self.root,
        }
        if self.options.large_galaxy:
            variables["LARGEGALAXIES_CAT"] = self.root / _LARGE_GALAXIES
        if self.options.wise:
            variables["UNWISE_COADDS_DIR"] = self.root / COADDS_FOLDER
            variables["UNWISE_COADDS_TIMERESOLVED_DIR"] = self.root / EPOCHS_FOLDER
        return {name: str(value) for name, value in variables.items()}

    @property
    def run_arguments(self) -> list[str]:
        """Arguments of `runbrick` but for the output directory; list of str."""
        return [*self.field.run_arguments, *self.band_arguments, "--survey-dir", str(self.root)]

    @property
    def band_arguments(self) -> list[str]:
        """Arguments of `runbrick` that name the bands; list of str."""
        arguments = ["--bands", ",".join(self.options.bands)]
        return arguments if self.options.wise else [*arguments, "--no-wise"]


def simulate(
    outdir: str | Path, options: SimulationOptions, threads: int = 1, progress: Callable[..., Any] | None = None
) -> MockSurvey:
    """Write a mock survey directory, with everything that a brick run needs, and the truth.

    A directory that holds the same survey already is left as it is.

    Parameters
    ----------
    outdir : str or Path
    options : SimulationOptions
    threads : int
        Worker processes; the result does not depend on it.
    progress : callable, optional
        ``progress(label, done, total)``.

    Returns
    -------
    MockSurvey

    Raises
    ------
    OutputError
        If `outdir` cannot be written to, or holds something else.
    """
    survey = MockSurvey(Path(outdir).absolute(), options)
    if survey.is_complete:
        logger.info("%s holds this survey already", survey.root)
        _write_scripts(survey)  # the folder may have been moved
        return survey
    _prepare(survey.root)
    sources, outer = _draw(survey)
    rows, saturated = _write_images(survey, sky_content(sources, outer), threads, progress)
    mark_saturated(sources, *saturated)
    _write_ccd_tables(survey.root, rows)
    write_table(survey.root / "survey-bricks.fits.gz", _one_row(brick_row(survey.field.brick)))
    _write_catalogs(survey, sources, outer)
    if options.wise:
        tiles = write_unwise(survey.root, sources, survey.field, options.seed)
        logger.info("unWISE images of %d tiles", len(tiles))
    _write_truth(survey, sources)
    _write_scripts(survey)
    # The fingerprint comes last: it says that everything is there.
    text = json.dumps({"fingerprint": options.fingerprint(), "brick": survey.field.brick.name}, indent=1)
    _write_text(survey.root / _FINGERPRINT, text + "\n")
    return survey


def _prepare(root: Path) -> None:
    """Make the folder, or empty one that holds a mock survey."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        found = {path.name for path in root.iterdir()}
        if found and _MARKER not in found:
            raise OutputError(f"{root} is not empty, and no mock survey: choose another directory")
        (root / _MARKER).touch()
        (root / _FINGERPRINT).unlink(missing_ok=True)
        for name in _FOLDERS:
            if name in found:
                shutil.rmtree(root / name)
        for path in root.glob("survey-ccds-*.fits.gz"):
            path.unlink()
    except OSError as error:
        raise OutputError(f"{error.filename or root}: cannot be written ({error.strerror})") from error


def _draw(survey: MockSurvey) -> tuple[Table, ...]:
    """Sources of the field and stars around it, numbered."""
    options, sky_field = survey.options, survey.field
    sources, outer = draw_sources(options, sky_field), draw_outer_stars(options, sky_field)
    is_gaia = np.asarray(sources["is_gaia"])
    sources["source_id"] = np.where(is_gaia, _FIRST_SOURCE_ID + np.cumsum(is_gaia) - 1, 0)
    outer["source_id"] = _FIRST_SOURCE_ID + int(is_gaia.sum()) + np.arange(len(outer))
    target = sky_field.target
    inside = target.contains(*target.sky_to_pixel(np.asarray(sources["ra"]), np.asarray(sources["dec"])))
    logger.info("%d sources, %d of them in the field", len(sources), inside.sum())
    return sources, outer


def _write_images(survey: MockSurvey, content: SkyContent, threads: int, progress: Any) -> tuple[Any, ...]:
    """All images and calibrations; returns the rows of the CCD tables, and RA, Dec of the saturated pixels."""
    exposures = plan_exposures(survey.options, survey.field)
    shared = (survey, content)
    results = run_tasks(
        _write_exposure, exposures, threads=threads, shared=shared, label="exposures", progress=progress
    )
    for result in results:
        if isinstance(result, Exception):
            raise result
    rows = [row for result in results for row in result[0]]
    saturated = np.concatenate([result[1] for result in results], axis=1)
    logger.info("%d exposures, %d CCD images", len(exposures), len(rows))
    return rows, saturated


def _write_exposure(shared: tuple[MockSurvey, SkyContent], exposure: Exposure) -> tuple[Any, ...]:
    """Image triplet and calibrations of an exposure; returns its rows of the CCD table, and its saturated pixels."""
    survey, content = shared
    root = survey.root
    plans = plan_ccds(exposure, survey.options, survey.field)
    if not plans:
        return [], np.empty((2, 0))
    rows, psf_rows, sky_rows, saturated = [], [], [], []
    with ImageTriplet(root / "images", exposure) as triplet:
        for plan in plans:
            pixels = make_ccd(plan, content, survey.options.noisy_weights)
            fwhm = pixels.psf.gaussian_sigma / SIGMA_PER_FWHM
            triplet.add(plan, pixels, fwhm)
            rows.append(ccd_row(plan, pixels, fwhm))
            psf_rows.append(psf_row(plan, pixels.psf, fwhm))
            sky_rows.append(sky_row(plan, pixels.sky))
            saturated.append(plan.wcs.pixel_to_sky(*pixels.saturated.T))
    write_table(root / "calib" / calibration_path(exposure, "psfex"), stack_rows(psf_rows))
    write_table(root / "calib" / calibration_path(exposure, "splinesky"), stack_rows(sky_rows))
    return rows, np.concatenate(saturated, axis=1)


def _write_ccd_tables(root: Path, rows: list[Any]) -> None:
    for camera in dict.fromkeys(str(row["camera"]) for row in rows):
        own = [row for row in rows if str(row["camera"]) == camera]
        write_table(root / f"survey-ccds-{camera}-1.fits.gz", stack_rows(own))


def _one_row(row: dict[str, Any]) -> dict[str, Any]:
    return {name: np.array([value]) for name, value in row.items()}


def _write_catalogs(survey: MockSurvey, sources: Table, outer: Table) -> None:
    root, seed = survey.root, survey.options.seed
    columns = ["ra", "dec", "gaia_g", "bp_rp", "pmra", "pmdec", "parallax", "source_id", "mag_z"]
    own = sources[np.asarray(sources["is_gaia"])]
    own["mag_z"] = 22.5 - 2.5 * np.log10(own["flux_z"])
    stars = vstack([own[columns], outer[columns]])
    area = survey.field.source_area
    radius = (OUTER_RADIUS + 0.5 * np.hypot(area.width, area.height) * area.pixel_scale) / 3600.0
    for pixel, table in gaia_chunks(stars, *survey.field.centre, radius, seed).items():
        write_table(root / "gaia" / f"chunk-{pixel:05d}.fits", table)
    write_table(root / "tycho2.kd.fits", tycho2_table(stars, seed))
    if survey.options.large_galaxy:
        version = [("VER", "L3", "version of the catalogue")]
        write_table(root / _LARGE_GALAXIES, large_galaxy_table(sources), primary=version)


def _write_truth(survey: MockSurvey, sources: Table) -> None:
    table = truth_table(sources, survey.field)
    units = [(f"TUNIT{i}", TRUTH_UNITS[name], "") for i, name in enumerate(table.colnames, 1) if name in TRUTH_UNITS]
    write_table(survey.truth_path, table, header=units, extname="TRUTH")


def _write_scripts(survey: MockSurvey) -> None:
    """A file of environment variables, the arguments of a brick run, and how to use them."""
    _write_text(survey.root / "run.txt", shlex.join([*survey.field.run_arguments, *survey.band_arguments]) + "\n")
    lines = [f"export {name}={shlex.quote(value)}" for name, value in survey.environment.items()]
    _write_text(survey.root / "environment.sh", "\n".join(lines) + "\n")
    command = shlex.join(["runbrick", *survey.run_arguments, "--outdir", "out"])
    script = "environment.sh"
    text = (
        "A mock survey directory. To run its brick, and to score the catalogue:\n\n"
        f"    . {shlex.quote(str(survey.root / script))}\n"
        f"    {command}\n"
        f"    legacypipe-lite evaluate out/tractor/{survey.field.brick.name[:3]}/tractor-{survey.field.brick.name}.fits"
        f" {shlex.quote(str(survey.truth_path))}\n"
    )
    _write_text(survey.root / "README.txt", text)


def _write_text(path: Path, text: str) -> None:
    with atomic_file(path, failure="{path}: cannot be written ({reason})") as stream:
        stream.write(text.encode())
