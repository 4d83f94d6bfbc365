"""The results of a run's stages: in memory, and in pickles that a later run may take over.

A stage's pickle records what its result was made from: options, environment variables and input files, as the stages
declare them, and the results of the stages before it. If any of it has changed, the pickle is not used.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from . import stages
from .errors import OutputError, StateError, UsageError
from .options import option_infos
from .resources import Usage
from .state import Loaded, file_stamp, load_state, save_state
from .versions import package_version

if TYPE_CHECKING:
    from .options import RunOptions
    from .report import Report
    from .stages import Stage
    from .survey import OutputTree, SurveyDirectory

__all__ = ["Before", "Earlier", "StageRecord", "StageResults", "pickle_path"]

logger = logging.getLogger(__name__)


@dataclass
class StageRecord:
    """How one stage of a run came about.

    Attributes
    ----------
    name : str
    read : bool
        True if its result was read back from a pickle.
    usage : Usage
    digest : str or None
        Identifies the result: the pickle's checksum. If no pickle was written it is "not saved: <uuid>" for a result
        that is made anew although there may be pickles of later stages (the stage was forced, or its own pickle
        refused), so that those are not used; else None, which fits any pickle of a later stage.
    made : tuple of str
        State items that the stage made.
    cards : list of (str, object, str)
        Its cards of the version header.
    """

    name: str
    read: bool
    usage: Usage = field(default_factory=Usage)
    digest: str | None = None
    made: tuple[str, ...] = ()
    cards: list[tuple[str, Any, str]] = field(default_factory=list)


class Earlier(NamedTuple):
    """What is known of an earlier result of a stage.

    Attributes
    ----------
    loaded : Loaded or None
        What its pickle holds, if that is good.
    result : str or None
        Identifies the result, also if its files were written again since.
    refused : bool
        There is a pickle, but it is not good.
    """

    loaded: Loaded | None = None
    result: str | None = None
    refused: bool = False


class Before:
    """The products and the report before a stage, to tell what the stage added.

    Parameters
    ----------
    products : OutputTree
    report : Report
    """

    def __init__(self, products: OutputTree, report: Report) -> None:
        self._products = dict(products.checksums)
        self._dropped = len(report.dropped_ccds)
        self._counts = dict(report.counts)

    def new_products(self, products: Any) -> Any:
        """Checksums by path of the files that were written since."""
        return {path: digest for path, digest in products.checksums.items() if self._products.get(path) != digest}

    def new_counts(self, report: Any) -> Any:
        """What was counted since."""
        return {key: value for key, value in report.counts.items() if self._counts.get(key) != value}

    def new_dropped_ccds(self, report: Any) -> Any:
        """The CCDs that were dropped since."""
        return report.dropped_ccds[self._dropped :]


class StageResults:
    """What the stages of a run have made so far, and their pickles.

    Parameters
    ----------
    options : RunOptions
    order : list of str
        All stages of the run.
    survey : SurveyDirectory
    products : OutputTree
    report : Report
    brickname : str

    Attributes
    ----------
    state : dict
        What the stages have made so far.
    records : list of StageRecord
        The stages so far, in order.
    """

    def __init__(
        self,
        options: RunOptions,
        order: list[str],
        survey: SurveyDirectory,
        products: OutputTree,
        report: Report,
        brickname: str,
    ) -> None:
        self.state: dict[str, Any] = {}
        self.records: list[StageRecord] = []
        self._options, self._order, self._survey = options, order, survey
        self._products, self._report, self._brickname = products, report, brickname

    def record(self, name: Any) -> Any:
        """The record of a stage, or None if it has not run yet."""
        return next((record for record in self.records if record.name == name), None)

    # --- what is in memory

    def take_back(self, name: Any) -> None:
        """Forget the results of a stage and of those after it."""
        later = self._order[self._order.index(name) :]
        done = {record.name for record in self.records}
        if any(stages.load_stage(stage).apply is not None for stage in later if stage in done):
            # They changed the images in place; so start from the beginning.
            later = self._order
        for record in self.records:
            if record.name in later:
                for item in record.made:
                    self.state.pop(item, None)
        self.records = [record for record in self.records if record.name not in later]

    def forget_all_but(self, later: Any) -> None:
        """Drop the state items that none of the later stages needs, but for small ones that the run itself uses."""
        needed = set()
        for name in self._order:
            stage = stages.load_stage(name)
            needed.update(stage.kept)
            if name in later:
                needed.update(stage.reads, stage.uses)
        for item in list(self.state):
            if item not in needed:
                del self.state[item]

    # --- pickles

    def path(self, name: Any) -> Any:
        """File name of a stage's pickle."""
        return pickle_path(self._options.pickle, self._brickname, name)

    def are_written(self, name: Any) -> Any:
        """Whether the options ask for a stage's pickle."""
        if self._options.write_stage:
            return name in self._options.write_stage
        return self._options.write

    def load(self, stage: Any) -> Any:
        """The `Earlier` result of a stage: what its pickle holds, if that is good."""
        path = self.path(stage.name)
        try:
            loaded = load_state(path, self.identity(stage.name), lambda notes: self._broken_link(notes["links"]))
        except FileNotFoundError:
            return Earlier()
        except StateError as error:
            logger.warning("not using %s: it %s", path, error)
            return Earlier(refused=True)
        return Earlier(loaded, loaded.notes["result"] or loaded.digest)

    def save(
        self,
        stage: Stage,
        items: dict[Any, Any],
        cards: list[tuple[str, Any, str]],
        before: Before,
        result: str | None = None,
        notes: dict[Any, Any] | None = None,
    ) -> str | None:
        """Write the pickle of a stage.

        Parameters
        ----------
        stage : Stage
        items : dict
            What it made.
        cards : list of (str, object, str)
            Its cards of the version header.
        before : Before
            The products and the report before the stage.
        result : str or None
            What identifies the result, if it is that of an earlier run.
        notes : dict or None
            The notes of that run.

        Returns
        -------
        str or None
            What identifies the result; None if there is no pickle.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        options = self._options
        new = {
            "links": {other: self.record(other).digest for other in self._prerequisites(stage.name)},
            "products": before.new_products(self._products),
            "dropped_ccds": before.new_dropped_ccds(self._report),
            "counts": before.new_counts(self._report),
            "product_options": self._product_options(stage),
            "result": result,
        }
        if notes is not None:
            new |= {name: notes[name] for name in ("dropped_ccds", "counts")}
        files = stage.input_files({**self.state, **items}, self._survey, options, self._report)
        files = dict.fromkeys(str(path) for path in files)
        path = self.path(stage.name)
        try:
            digest = save_state(path, {"items": items, "cards": cards}, self.identity(stage.name), files, new)
        except OutputError as error:
            raise OutputError(f"{error} (stage pickles: choose another place with --pickle, or --no-write)") from error
        except StateError as error:
            logger.warning("the result of stage %s %s; no pickle is written", stage.name, error)
            return None
        logger.debug("stage %s: wrote %s", stage.name, path)
        return result or digest

    def outdated_products(self, stage: Any, notes: Any) -> Any:
        """Why the files that a stage has written are not what it would write now, or None."""
        lost = self._products.lost(notes["products"])
        if any(stage.name in stages.load_stage(later).replaces for later in self._order):
            lost = [name for name in lost if not (self._products.outdir / name).is_file()]
        if lost:
            return f"{len(lost)} of its files are not in {self._products.outdir}, or have changed ({lost[0]})"
        for flag, now in self._product_options(stage).items():
            then = notes["product_options"].get(flag)
            if now != then:
                return f"{flag} was {then}, is {now}"
        return None

    def _product_options(self, stage: Any) -> Any:
        """Flag -> value of the options that change files, but not the result, of a stage."""
        infos = {info.name: info for info in option_infos()}
        chosen = [infos[name] for name in stage.product_options]
        return {info.flags[-1]: info.of_flag(getattr(self._options, info.name)) for info in chosen}

    # --- what a result is made from

    def identity(self, name: Any) -> Any:
        """What a stage's result is made from, as far as it is known before the stage runs; dict of JSON types."""
        names = [*self._prerequisites(name), name]
        chain = [stages.load_stage(name) for name in names]
        values = {}
        for stage in chain:
            for info in option_infos():
                if info.name in stage.options:
                    values[info.flags[-1]] = info.of_flag(self._resolved(info.name))
        tables = (path for stage in chain for path in stage.tables(self._survey) if path is not None)
        return {
            "brick": self._brickname,
            "stage": name,
            "version of legacypipe_lite": package_version(),
            "stages": names,
            "options": values,
            "environment variables": {v: os.environ.get(v) for stage in chain for v in stage.variables},
            "input files": {str(path): file_stamp(path) for path in tables},
        }

    def _resolved(self, option: Any) -> Any:
        """Value of an option; those that name folders count as what they lead to."""
        folders = {"survey_dir": self._survey.root, "data_dir": self._survey.data_dir}
        if option not in folders:
            return getattr(self._options, option)
        folder = folders[option]
        return None if folder is None else str(folder.resolve())

    def _prerequisites(self, name: Any) -> Any:
        """Stages whose results a stage may use, in order."""
        earlier = self._order[: self._order.index(name)]
        return [name for name in earlier if not stages.load_stage(name).products_only]

    def _broken_link(self, links: Any) -> Any:
        """Reason why a pickle does not belong to the results so far, or None."""
        for stage, digest in links.items():
            now = self.record(stage).digest
            if digest is not None and now is not None and digest != now:
                return f"was made from an earlier result of stage {stage}"
        return None


def pickle_path(pattern: str, brickname: str, stage: str) -> str:
    """File name of a stage's pickle.

    Parameters
    ----------
    pattern : str
        Filled in twice, first with the brick, then with the stage.
    brickname, stage : str

    Returns
    -------
    str

    Raises
    ------
    UsageError
        If it cannot be filled in, or does not depend on the stage.
    """
    try:
        path = pattern % {"brick": brickname} % {"stage": stage}
        other = pattern % {"brick": brickname} % {"stage": stage + "x"}
    except (KeyError, ValueError, TypeError) as error:
        raise UsageError(
            f"--pickle {pattern}: needs %(brick)s and %%(stage)s, as in the default"
            " pickles/runbrick-%(brick)s-%%(stage)s.pickle"
        ) from error
    if path == other:
        raise UsageError(f"--pickle {pattern}: without %%(stage)s all stages would write the same file")
    return path
