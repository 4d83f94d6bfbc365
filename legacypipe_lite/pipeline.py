"""A brick run: which stages are needed, which are forced, which are read back from their pickles."""

import gc
import logging
import os
import uuid
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import fitsio

from .errors import InputError, LegacypipeError, NothingToDo, OutputError, StateError, UsageError, WorkerError
from .files import check_writable
from .parallel import run_tasks, stream_tasks
from .report import Report
from .resources import Usage, measure
from .runlog import collected_warnings, run_log
from .stages import Tools, load_stage, stage_order
from .stages.provenance import prerequisites, stage_files, stage_identity
from .state import Loaded, load_state, save_state
from .survey import OutputTree, SurveyDirectory, parse_radec
from .survey.bricks import custom_brick_name
from .survey.header import brick_cards, merge_cards, run_cards, stage_version_cards
from .threads import default_threads

__all__ = ["BrickRun", "StageRecord", "run_brick", "brick_name", "look_for_earlier_results"]

logger = logging.getLogger(__name__)

_LAST = "writecat"

#: State items that headers, the summary and the records of input files use at any time.
_ALWAYS_KEPT = ("brick", "target", "bands", "ccds", "dropped_ccds", "ccd_files", "tractor")


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
    """

    name: str
    read: bool
    usage: Usage = field(default_factory=Usage)
    digest: str | None = None
    made: tuple = ()


class _Earlier(NamedTuple):
    """What is known of an earlier result of a stage."""

    loaded: Loaded | None = None
    result: str | None = None  # identifies the result, also if its files were written again since
    refused: bool = False  # there is a pickle, but it is not good


def run_brick(options, *, progress=None, command=None):
    """Run the stages that the options ask for: by default all, to the catalogue.

    Parameters
    ----------
    options : RunOptions
    progress : callable or None
        ``progress(label, done, total)`` while tasks of a stage are worked on.
    command : str or None
        What the headers quote as the command line; by default a form of this call.

    Returns
    -------
    BrickRun

    Raises
    ------
    NothingToDo
        If there are no images or no sources.
    LegacypipeError
        Everything else that the user can mend.

    Examples
    --------
    >>> from legacypipe_lite import RunOptions, run_brick
    >>> run = run_brick(RunOptions(brick="1102p240", survey_dir="mysurvey", no_gaia=True))  # doctest: +SKIP
    >>> run.tractor["ra", "dec", "type"]  # doctest: +SKIP
    """
    options.validated()
    look_for_earlier_results(options)
    run = BrickRun(options, progress=progress, command=command)
    run.run()
    return run


def look_for_earlier_results(options):
    """End here if the options say so because a product exists (or, with --check-done, does not).

    Parameters
    ----------
    options : RunOptions

    Raises
    ------
    NothingToDo
        If the catalogue can be read (--skip, --check-done) or the JPEG exists (--skip-coadd).
    InputError
        With --check-done, if the catalogue does not exist or cannot be read; its exit status is 255.
    """
    if not (options.skip or options.skip_coadd or options.check_done):
        return
    products = OutputTree(options.outdir, brick_name(options))
    catalog, jpeg = products.path("tractor"), products.path("image-jpeg")
    if options.check_done or options.skip:
        problem = _unreadable(catalog)
        if problem is None:
            raise NothingToDo(f"{catalog} exists")
        if options.check_done:
            error = InputError(f"not done: {catalog} {problem}")
            error.exit_status = 255
            raise error
        logger.info("%s %s: running the brick", catalog, problem)
    if options.skip_coadd and jpeg.is_file():
        raise NothingToDo(f"{jpeg} exists")


def _unreadable(catalog):
    """Why a catalogue cannot be read, or None."""
    if not catalog.is_file():
        return "does not exist"
    try:
        with fitsio.FITS(str(catalog)) as fits:
            if fits["CATALOG"].get_nrows():
                fits["CATALOG"][-1:]
    except OSError as error:
        return f"cannot be read: {' '.join(str(error).split())}"
    return None


def brick_name(options):
    """Name of the brick of a run, without looking into the survey's table of bricks."""
    if options.brick is not None:
        return options.brick
    return custom_brick_name(*parse_radec(*options.radec))


class BrickRun:
    """The stages of one brick, run on demand.

    Parameters
    ----------
    options : RunOptions
    progress : callable or None
    command : str or None
        See `run_brick`.

    Attributes
    ----------
    options : RunOptions
    survey : SurveyDirectory
    products : OutputTree
    report : Report
    state : dict
        What the stages have made so far.
    stages : list of StageRecord
        The stages so far, in order.
    frugal : bool
        If set (by default it is not), `run` forgets items of the state as soon as no later stage reads them.

    Raises
    ------
    UsageError
        If options contradict each other.
    InputError
        If the survey directory does not exist.

    Examples
    --------
    In a notebook, stage by stage:

    >>> run = BrickRun(RunOptions(brick="1102p240"))  # doctest: +SKIP
    >>> run.stage("srcs")["detections"]  # doctest: +SKIP
    """

    def __init__(self, options, *, progress=None, command=None):
        self.options = options.validated()
        self.survey = SurveyDirectory.from_options(options)
        self.brickname = brick_name(options)
        self.products = OutputTree(options.outdir, self.brickname)
        self.report = Report()
        self.state = {}
        self.stages = []
        self._order = stage_order(options)
        self._progress = progress
        self._command = command or _describe(options)
        self.frugal = False
        self._running = None
        _pickle_path(options.pickle, self.brickname, _LAST)

    @property
    def tractor(self):
        """The catalogue as `astropy.table.Table`, or None before stage writecat."""
        return self.state.get("tractor")

    def run(self):
        """Run up to the last of the stages that the options name (``--stage``; default writecat)."""
        self.products.check_writable()
        named = self.options.stage or (_LAST,)
        forced = {*named, *self.options.force}
        if self.options.force_all:
            forced = set(self._order)
        last = max(named, key=self._order.index)
        if self._order.index(last) >= self._order.index("wise_forced"):
            from .wise import WiseFolders  # it imports all of the WISE room

            WiseFolders.from_options(self.options).check()
        self._check_late_needs(last)
        started = datetime.now(UTC)
        with collected_warnings() as warnings:
            self._go_to(last, forced, self.frugal)
        self._write_log(run_log(self, self._command, warnings, started))

    def _check_late_needs(self, last):
        """Look for mistakes that would show only after hours of work."""
        stages = self._order[: self._order.index(last) + 1]
        if "fitblobs" in stages and self.options.checkpoint is not None:
            check_writable(Path(self.options.checkpoint).resolve().parent)
        if "writecat" in stages and os.environ.get("DUST_DIR"):
            from .catalog import dust_map_files

            dust_map_files(os.environ["DUST_DIR"])

    def stage(self, name, force=False):
        """Run one stage, and those before it that have not run yet, or read them back.

        Parameters
        ----------
        name : str
        force : bool
            Run the stage again even if it has run before or its pickle is good.

        Returns
        -------
        dict
            What the stage made.
        """
        if name not in self._order:
            raise UsageError(f"no stage {name!r}; stages are {', '.join(self._order)}")
        if force and self._record(name) is not None:
            self._take_back(name)
        self._go_to(name, set(self._order) if self.options.force_all else {name} if force else set())
        return {item: self.state[item] for item in self._record(name).made}

    def header(self, state=None):
        """The version header as it stands: list of cards (keyword, value, comment)."""
        state = self.state if state is None else state
        release = self.survey.default_release if self.options.release is None else self.options.release
        from .wise import WiseFolders

        unwise = WiseFolders.from_options(self.options)
        folders = (unwise.full, unwise.epochs, unwise.sky)
        cards = [run_cards(self.survey.root, release, self._command, self.options.data_model, *folders)]
        if "brick" in state and "target" in state:
            cards.append(brick_cards(state["brick"], state["target"]))
        for name in self._order:
            if name == self._running or self._record(name) is not None:
                cards.append(state.get(f"header_{name}", stage_version_cards(name)))
        return merge_cards(*cards)

    def _write_log(self, log):
        """Write the log of the run; it differs from run to run, so its checksum is not kept."""
        self.products.write_json("run-log", log)
        del self.products.checksums[self.products.relative("run-log")]

    # --- going from stage to stage

    def _record(self, name):
        return next((record for record in self.stages if record.name == name), None)

    def _take_back(self, name):
        """Forget the results of a stage and of those after it."""
        later = self._order[self._order.index(name) :]
        done = {record.name for record in self.stages}
        if any(load_stage(stage).apply is not None for stage in later if stage in done):
            # They changed the images in place; so start from the beginning.
            later = self._order
        for record in self.stages:
            if record.name in later:
                for item in record.made:
                    self.state.pop(item, None)
        self.stages = [record for record in self.stages if record.name not in later]

    def _go_to(self, last, forced, frugal=False):
        names = self._order[: self._order.index(last) + 1]
        for i, name in enumerate(names):
            if self._record(name) is None:
                self._running = name
                try:
                    self._one(name, name in forced)
                finally:
                    self._running = None
            if frugal:
                self._forget_all_but(names[i + 1 :])
                # What is left is not looked at again by the collector, neither here nor in worker processes, where
                # a look would copy memory that they share.
                gc.collect()
                gc.freeze()

    def _forget_all_but(self, later):
        """Drop the state items that none of the later stages needs, but for small ones that others look at."""
        stages = [load_stage(name) for name in later]
        needed = {item for stage in stages for item in (*stage.reads, *stage.uses)}
        for item in list(self.state):
            if item not in needed and item not in _ALWAYS_KEPT and not item.startswith("header_"):
                del self.state[item]

    def _one(self, name, forced):
        stage = load_stage(name)
        path = _pickle_path(self.options.pickle, self.brickname, name)
        earlier = _Earlier() if forced else self._load(stage, path)
        outdated = None if earlier.loaded is None else self._outdated_products(stage, earlier.loaded.notes)
        if earlier.loaded is None or (outdated and stage.write is None):
            if outdated:
                logger.info("stage %s runs again: %s", name, outdated)
            record = self._execute(stage, path, changed=forced or earlier.refused, result=earlier.result)
        else:
            record = self._take_over(stage, path, earlier, outdated)
        self.stages.append(record)

    def _load(self, stage, path):
        """What the pickle of a stage holds, if it is good."""
        try:
            loaded = load_state(path, self._identity(stage.name), lambda notes: self._broken_link(notes["links"]))
        except FileNotFoundError:
            return _Earlier()
        except StateError as error:
            logger.warning("not using %s: it %s", path, error)
            return _Earlier(refused=True)
        return _Earlier(loaded, loaded.notes["result"] or loaded.digest)

    def _outdated_products(self, stage, notes):
        """Why the files that a stage has written are not what it would write now, or None."""
        lost = self.products.lost(notes["products"])
        if any(stage.name in load_stage(later).replaces for later in self._order):
            lost = [name for name in lost if not (self.products.outdir / name).is_file()]
        if lost:
            return f"{len(lost)} of its files are not in {self.products.outdir}, or have changed ({lost[0]})"
        for name, value in self.options.of_products(stage.name).items():
            then = notes["product_options"][name]
            if value != then:
                return f"--{name.replace('_', '-')} was {then}, is {value}"
        return None

    def _take_over(self, stage, path, earlier, outdated):
        """Take an earlier result for that of a stage; if its files are out of date, write them again."""
        made, _, notes = earlier.loaded
        record = StageRecord(stage.name, True, digest=earlier.result, made=tuple(made))
        with measure() as usage:
            logger.info("stage %s: reading %s", stage.name, path)
            self.state.update(made)
            if stage.apply is not None:
                self._apply(stage, made)
            self.report.dropped_ccds.extend(tuple(entry) for entry in notes["dropped_ccds"])
            self.report.counts.update(notes["counts"])
            if outdated:
                logger.info("stage %s writes its files again: %s", stage.name, outdated)
                before = _Before(self.products, self.report)
                stage.write(self.state, self.options, self._tools())
                if self._writes(stage.name):
                    self._save(stage, path, made, before, earlier.result, notes)
            else:
                self.products.checksums.update(notes["products"])
        record.usage = usage
        return record

    def _execute(self, stage, path, changed, result):
        """Run a stage. Its result is known to be `result` if only its files are wanted again."""
        missing = [item for item in stage.reads if item not in self.state]
        if missing:
            raise LegacypipeError(f"stage {stage.name} needs {', '.join(missing)}, which no earlier stage made")
        logger.info("stage %s: running", stage.name)
        before = _Before(self.products, self.report)
        record = StageRecord(stage.name, False)
        record.digest = result or (f"not saved: {uuid.uuid4()}" if changed else None)
        with measure() as usage:
            made = stage.run(self.state, self.options, self._tools())
            lacking = [item for item in stage.makes if item not in made]
            if lacking:
                raise LegacypipeError(f"stage {stage.name} did not make {', '.join(lacking)}")
            if self._writes(stage.name):
                record.digest = self._save(stage, path, made, before, result) or record.digest
            self.state.update(made)
            if stage.apply is not None:
                self._apply(stage, made)
        record.usage, record.made = usage, tuple(made)
        logger.info(
            "stage %s: %.2f s (CPU %.2f s), peak memory %.0f MB",
            stage.name,
            usage.wall,
            usage.cpu,
            usage.peak_memory / 1e6,
        )
        return record

    def _apply(self, stage, made):
        with default_threads(self.options.threads):
            stage.apply(self.state, made)

    # --- pickles

    def _writes(self, name):
        if self.options.write_stage:
            return name in self.options.write_stage
        return not self.options.no_write

    def _identity(self, name):
        return stage_identity(name, self._order, self.options, self.survey, self.brickname)

    def _links(self, name):
        """Which results a stage is made from: stage -> digest."""
        return {stage: self._record(stage).digest for stage in prerequisites(name, self._order)}

    def _broken_link(self, links):
        """Reason why a pickle does not belong to the results so far, or None."""
        for stage, digest in links.items():
            now = self._record(stage).digest
            if digest is not None and now is not None and digest != now:
                return f"was made from an earlier result of stage {stage}"
        return None

    def _save(self, stage, path, made, before, result=None, earlier=None):
        """Write the pickle of a stage; returns what identifies its result, None if there is no pickle.

        `result` identifies it if it is that of an earlier run, of which `earlier` are the notes.
        """
        notes = {
            "links": self._links(stage.name),
            "products": before.new_products(self.products),
            "dropped_ccds": self.report.dropped_ccds[before.dropped :],
            "counts": before.new_counts(self.report),
            "product_options": self.options.of_products(stage.name),
            "result": result,
        }
        if earlier is not None:
            notes |= {name: earlier[name] for name in ("dropped_ccds", "counts")}
        files = stage_files(stage.name, {**self.state, **made}, self.survey, self.options, self.report)
        try:
            digest = save_state(path, made, self._identity(stage.name), files, notes)
        except OutputError as error:
            raise OutputError(f"{error} (stage pickles: choose another place with --pickle, or --no-write)") from error
        except StateError as error:
            logger.warning("the result of stage %s %s; no pickle is written", stage.name, error)
            return None
        logger.debug("stage %s: wrote %s", stage.name, path)
        return result or digest

    # --- what stages are handed

    def _tools(self):
        return Tools(
            survey=self.survey,
            products=self.products,
            map=self._map,
            header=self.header,
            report=self.report,
            stream=self._stream,
        )

    def _map(self, function, tasks, shared=None, label="", on_result=None):
        """`parallel.run_tasks` with the run's number of threads.

        A task that failed twice because its worker died ends the run, unless `on_result` is given, which is
        then told of it.
        """
        results = run_tasks(
            function,
            tasks,
            threads=self.options.threads,
            shared=shared,
            on_result=on_result,
            label=label or (self._running or ""),
            progress=self._progress,
        )
        if on_result is None:
            for result in results:
                if isinstance(result, WorkerError):
                    raise result
        return results

    def _stream(self, function, tasks, shared=None, label=""):
        """`parallel.stream_tasks` with the run's number of threads."""
        return stream_tasks(
            function,
            tasks,
            threads=self.options.threads,
            shared=shared,
            label=label or (self._running or ""),
            progress=self._progress,
        )


class _Before:
    """The products and the report before a stage, to tell what the stage added."""

    def __init__(self, products, report):
        self.products = dict(products.checksums)
        self.dropped = len(report.dropped_ccds)
        self.counts = dict(report.counts)

    def new_products(self, products):
        return {path: digest for path, digest in products.checksums.items() if self.products.get(path) != digest}

    def new_counts(self, report):
        return {key: value for key, value in report.counts.items() if self.counts.get(key) != value}


def _pickle_path(pattern, brickname, stage):
    """File name of a stage's pickle: the pattern is filled in twice, first with the brick, then with the stage."""
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


def _describe(options):
    """A run from Python, as the headers quote it."""
    changed = []
    for f in fields(options):
        value = getattr(options, f.name)
        default = f.default_factory() if callable(f.default_factory) else f.default
        if value != default:
            changed.append(f"{f.name}={value!r}")
    return f"run_brick(RunOptions({', '.join(changed)}))"
