"""What the result of a stage depends on: options, environment variables and input files.

A stage's pickle records this; if any of it has changed, the pickle is not used.
"""

import math
import os

from ..cameras import camera_class
from ..options import option_infos
from ..reference import RefCatalogs
from ..reference.gaia import chunk_files
from ..reference.geometry import grown_tangent_wcs
from ..reference.star_colors import MAX_MASK_RADIUS
from ..state import file_stamp
from ..survey.environment import STAGE_VARIABLES
from ..survey.header import package_version

__all__ = ["prerequisites", "stage_identity", "stage_files"]

#: Stages that only write products; later stages do not depend on them.
_PRODUCTS_ONLY = ("image_coadds",)


def prerequisites(name, order):
    """Stages whose results a stage may use, in order.

    Parameters
    ----------
    name : str
    order : list of str
        All stages of the run.

    Returns
    -------
    list of str
    """
    return [stage for stage in order[: order.index(name)] if stage not in _PRODUCTS_ONLY]


def stage_identity(name, order, options, survey, brickname):
    """What a stage's result is made from, as far as it is known before the stage runs.

    Parameters
    ----------
    name : str
    order : list of str
    options : RunOptions
    survey : SurveyDirectory
    brickname : str

    Returns
    -------
    dict
        JSON types only.
    """
    chain = [*prerequisites(name, order), name]
    flags = {info.name: info.flags[-1] for info in option_infos()}
    values = {}
    for stage in chain:
        for option, value in options.for_stage(stage).items():
            values[flags[option]] = _resolved(option, value, survey)
    environment = {v: os.environ.get(v) for stage in chain for v in STAGE_VARIABLES.get(stage, ())}
    return {
        "brick": brickname,
        "stage": name,
        "version of legacypipe_lite": package_version(),
        "stages": chain,
        "options": values,
        "environment variables": environment,
        "input files": {str(path): file_stamp(path) for stage in chain for path in _tables(stage, survey)},
    }


def _resolved(option, value, survey):
    """Options that name folders count as what they lead to."""
    if option == "survey_dir":
        return str(survey.root.resolve())
    if option == "data_dir":
        return None if survey.data_dir is None else str(survey.data_dir.resolve())
    return value


def _tables(stage, survey):
    """Tables that a stage reads whatever the brick is."""
    paths = []
    if stage == "tims":
        paths = [survey.bricks_file(), *survey.ccd_files()]
    elif stage == "refs":
        paths = [survey.tycho2_file(), survey.large_galaxies_file(), survey.data_file("NGC-star-clusters.fits")]
    return [path for path in paths if path is not None]


def stage_files(name, state, survey, options, report):
    """Input files of this brick that a stage has used or looked for; those that do not exist count, too.

    Parameters
    ----------
    name : str
    state : dict
        With what the stage made.
    survey : SurveyDirectory
    options : RunOptions
    report : Report
        Of the run, in which the stage has noted its warnings.

    Returns
    -------
    list of str
    """
    files = {"tims": _image_files, "refs": _gaia_files, "wise_forced": _wise_files}.get(name)
    return [] if files is None else list(dict.fromkeys(str(path) for path in files(state, survey, options, report)))


def _image_files(state, survey, options, report):
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


def _gaia_files(state, survey, options, report):
    if options.no_gaia:
        return []
    margin = math.ceil(MAX_MASK_RADIUS / state["target"].pixel_scale)
    catalogs = RefCatalogs.from_environment(survey, options, report)
    return chunk_files(grown_tangent_wcs(state["target"], margin), catalogs)


def _wise_files(state, survey, options, report):
    from ..wise.inputs import input_files  # it imports all of the WISE room

    return input_files(state["target"], options, survey)
