"""A survey directory of three CCDs, and the first stage of a brick run on it, for tests that spoil its inputs."""

import functools
import logging
from contextlib import contextmanager

import numpy as np
from synthetic_ccds import SyntheticSurvey

from legacypipe_lite.parallel import run_tasks
from legacypipe_lite.report import Report
from legacypipe_lite.stages.base import Tools
from legacypipe_lite.stages.tims import STAGE
from legacypipe_lite.survey import SurveyDirectory

NUMBERS = (400001, 400002, 400003)


class ThreeCcds:
    """Three good images in r, r and g; `rows` are those of their CCD table.

    Parameters
    ----------
    root : Path
    """

    def __init__(self, root):
        self.survey = SyntheticSurvey(root / "survey")
        self.rows = [self.survey.add_ccd(expnum=n, band=band) for n, band in zip(NUMBERS, "rrg")]
        self.survey.write()

    def write(self, **options):
        """Write the CCD table anew."""
        self.survey.write(**options)

    def run(self, **options):
        """Items that stage tims makes, and the report of the run."""
        options = self.survey.options(**{"bands": ("g", "r"), "skip_calibs": True, **options}).validated()
        tools = Tools(
            survey=SurveyDirectory.from_options(options),
            products=None,
            map=functools.partial(run_tasks, threads=1),
            header=None,
            report=Report(),
        )
        return STAGE.run({}, options, tools).items, tools.report

    def outcome(self, **options):
        """Exposure numbers of the images that are used, and the reasons of the others (a dict)."""
        items, report = self.run(**options)
        fates = items["ccd_fates"]
        used = [tim.ccd.expnum for tim in items["tims"]]
        assert sum(fate == "used" for _, fate, _ in fates) == len(used)
        assert items["dropped_ccds"] == report.dropped_ccds == [(n, r) for n, f, r in fates if f == "dropped"]
        for tim in items["tims"]:
            assert np.all(np.isfinite(tim.image[tim.inverr > 0])) and np.all(np.isfinite(tim.inverr))
        return used, {name: reason for name, fate, reason in fates if fate != "used"}


@contextmanager
def quiet():
    """Let no log records be kept for a while, which slows many runs down."""
    logger = logging.getLogger("legacypipe_lite")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
