"""A brick run: the order of its stages, the way from one to the next, and the version header."""

from __future__ import annotations

import gc
import logging
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import fitsio

from . import stages
from .errors import InputError, LegacypipeError, NothingToDo, UsageError, WorkerError
from .options import changed_options
from .parallel import run_tasks, stream_tasks
from .report import Report
from .resources import measure
from .results import Before, Earlier, StageRecord, StageResults, pickle_path
from .runlog import collected_warnings, run_log
from .survey import OutputTree, SurveyDirectory, parse_radec
from .survey.bricks import custom_brick_name
from .survey.header import brick_cards, merge_cards, run_cards
from .threads import default_threads

if TYPE_CHECKING:
    from .options import RunOptions

__all__ = ["BrickRun", "run_brick", "brick_name", "look_for_earlier_results"]

logger = logging.getLogger(__name__)

_LAST = "writecat"


def run_brick(
    options: RunOptions, *, progress: Callable[..., Any] | None = None, command: str | None = None, frugal: bool = False
) -> BrickRun:
    """Run the stages that the options ask for: by default all, to the catalogue.

    Parameters
    ----------
    options : RunOptions
    progress : callable or None
        ``progress(label, done, total)`` while tasks of a stage are worked on.
    command : str or None
        What the headers quote as the command line; by default a form of this call.
    frugal : bool
        Forget what a stage made as soon as no later stage reads it, to save memory.

    Returns
    -------
    BrickRun

    Raises
    ------
    NothingToDo
        If there are no images or no sources, or if the products that are there are all that is wanted (``skip``,
        ``skip_coadd``, ``check_done``). In the first case its attribute `run` is the run.
    LegacypipeError
        Everything else that the user can mend.

    Examples
    --------
    >>> from legacypipe_lite import RunOptions, run_brick
    >>> run = run_brick(RunOptions(brick="1102p240", survey_dir="mysurvey", no_gaia=True))  # doctest: +SKIP
    >>> run.tractor["ra", "dec", "type"]  # doctest: +SKIP
    """
    run = BrickRun(options, progress=progress, command=command, frugal=frugal)
    look_for_earlier_results(options)
    try:
        run.run()
    except NothingToDo as end:
        end.run = run
        raise
    return run


def look_for_earlier_results(options: RunOptions) -> None:
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


def _unreadable(catalog: Any) -> Any:
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


def brick_name(options: Any) -> Any:
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
    frugal : bool
        See `run_brick`.

    Attributes
    ----------
    options : RunOptions
    order : list of str
        The stages of a whole run.
    survey : SurveyDirectory
    products : OutputTree
    report : Report
    results : StageResults
    state : dict
        What the stages have made so far.
    stages : list of StageRecord
        The stages so far, in order.

    Raises
    ------
    UsageError
        If options contradict each other.

    Examples
    --------
    In a notebook, stage by stage:

    >>> run = BrickRun(RunOptions(brick="1102p240"))  # doctest: +SKIP
    >>> run.stage("srcs")["detections"]  # doctest: +SKIP
    """

    def __init__(
        self,
        options: RunOptions,
        *,
        progress: Callable[..., Any] | None = None,
        command: str | None = None,
        frugal: bool = False,
    ) -> None:
        self.options = options.validated()
        self.order = stages.stage_order(options)
        self.brickname = brick_name(options)
        self.products = OutputTree(options.outdir, self.brickname)
        self.report = Report()
        self.frugal = frugal
        self._progress = progress
        self._command = command or _describe(options)
        self._running = None
        pickle_path(options.pickle, self.brickname, _LAST)

    @cached_property
    def survey(self) -> Any:
        """The survey directory, looked for when it is first needed: `InputError` if it does not exist."""
        return SurveyDirectory.from_options(self.options)

    @cached_property
    def results(self) -> Any:
        """What the stages have made so far, and their pickles."""
        return StageResults(self.options, self.order, self.survey, self.products, self.report, self.brickname)

    @property
    def state(self) -> Any:
        """What the stages have made so far: dict."""
        return self.results.state

    @property
    def stages(self) -> Any:
        """Records of the stages so far, in order."""
        return self.results.records

    @property
    def tractor(self) -> Any:
        """The catalogue as `astropy.table.Table`, or None before stage writecat."""
        return self.state.get("tractor")

    def run(self) -> None:
        """Run up to the last of the stages that the options name (``--stage``; default writecat)."""
        results = self.results
        self.products.check_writable()
        named = self.options.stage or (_LAST,)
        forced = {*named, *self.options.force}
        if self.options.force_all:
            forced = set(self.order)
        last = max(named, key=self.order.index)
        names = self.order[: self.order.index(last) + 1]
        for name in names:
            stages.load_stage(name).check(self.options)
        started = datetime.now(UTC)
        with collected_warnings() as warnings, _freezing(self.frugal):
            for i, name in enumerate(names):
                self._ensure(name, name in forced)
                if self.frugal:
                    results.forget_all_but(names[i + 1 :])
                    gc.collect()
                    gc.freeze()
        self._write_log(run_log(self, self._command, warnings, started))

    def stage(self, name: str, force: bool = False) -> dict[Any, Any]:
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
        if name not in self.order:
            raise UsageError(f"no stage {name!r}; stages are {', '.join(self.order)}")
        if force and self.results.record(name) is not None:
            self.results.take_back(name)
        for earlier in self.order[: self.order.index(name) + 1]:
            self._ensure(earlier, self.options.force_all or (force and earlier == name))
        return {item: self.state[item] for item in self.results.record(name).made}

    def header(
        self, state: dict[Any, Any] | None = None, cards: Iterable[tuple[str, Any, str]] = ()
    ) -> list[tuple[str, Any, str]]:
        """The version header as it stands.

        Parameters
        ----------
        state : dict or None
            What the stages have made, if a running stage has already made more than is in `state` of the run.
        cards : iterable of (str, object, str)
            Those that the running stage is going to leave.

        Returns
        -------
        list of (str, object, str)
            Keyword, value, comment.
        """
        from .wise import WiseFolders  # it imports all of the WISE room

        state = self.state if state is None else state
        release = self.survey.default_release if self.options.release is None else self.options.release
        unwise = WiseFolders.from_options(self.options)
        folders = (unwise.full, unwise.epochs, unwise.sky)
        lists: list[Iterable[tuple[str, Any, str]]] = [
            run_cards(self.survey.root, release, self._command, self.options.data_model, *folders)
        ]
        if "brick" in state and "target" in state:
            lists.append(brick_cards(state["brick"], state["target"]))
        lists += [record.cards for record in self.stages]
        lists.append(cards if self._running is None else stages.load_stage(self._running).header_cards(cards))
        return merge_cards(*lists)

    def _write_log(self, log: Any) -> None:
        """Write the log of the run; it differs from run to run, so its checksum is not kept."""
        self.products.write_json("run-log", log)
        del self.products.checksums[self.products.relative("run-log")]

    # --- going from stage to stage

    def _ensure(self, name: Any, forced: Any) -> None:
        """Run a stage, or read its result back, unless this was done before."""
        if self.results.record(name) is None:
            self._running = name
            try:
                self.stages.append(self._one(stages.load_stage(name), forced))
            finally:
                self._running = None

    def _one(self, stage: Any, forced: Any) -> Any:
        earlier = Earlier() if forced else self.results.load(stage)
        outdated = None
        if earlier.loaded is not None:
            outdated = self.results.outdated_products(stage, earlier.loaded.notes)
            if not outdated or stage.write is not None:
                return self._take_over(stage, earlier, outdated)
        if outdated:
            logger.info("stage %s runs again: %s", stage.name, outdated)
        return self._execute(stage, changed=forced or earlier.refused, result=earlier.result)

    def _take_over(self, stage: Any, earlier: Any, outdated: Any) -> Any:
        """Take an earlier result for that of a stage; if its files are out of date, write them again."""
        notes = earlier.loaded.notes
        items, cards = earlier.loaded.payload["items"], earlier.loaded.payload["cards"]
        record = StageRecord(stage.name, True, digest=earlier.result, made=tuple(items), cards=cards)
        with measure() as usage:
            logger.info("stage %s: reading %s", stage.name, self.results.path(stage.name))
            self.state.update(items)
            self._apply(stage, items)
            self.report.dropped_ccds.extend(tuple(entry) for entry in notes["dropped_ccds"])
            self.report.counts.update(notes["counts"])
            if outdated:
                logger.info("stage %s writes its files again: %s", stage.name, outdated)
                before = Before(self.products, self.report)
                stage.write(self.state, self.options, self._tools())
                if self.results.are_written(stage.name):
                    self.results.save(stage, items, cards, before, earlier.result, notes)
            else:
                self.products.checksums.update(notes["products"])
        record.usage = usage
        return record

    def _execute(self, stage: Any, changed: Any, result: Any) -> Any:
        """Run a stage. Its result is known to be `result` if only its files are wanted again."""
        missing = [item for item in stage.reads if item not in self.state]
        if missing:
            raise LegacypipeError(f"stage {stage.name} needs {', '.join(missing)}, which no earlier stage made")
        logger.info("stage %s: running", stage.name)
        before = Before(self.products, self.report)
        record = StageRecord(stage.name, False)
        record.digest = result or (f"not saved: {uuid.uuid4()}" if changed else None)
        with measure() as usage:
            made = stage.run(self.state, self.options, self._tools())
            items = made.items
            lacking = [item for item in stage.makes if item not in items]
            if lacking:
                raise LegacypipeError(f"stage {stage.name} did not make {', '.join(lacking)}")
            record.cards = [] if made.skipped else stage.header_cards(made.cards)
            if self.results.are_written(stage.name):
                record.digest = self.results.save(stage, items, record.cards, before, result) or record.digest
            self.state.update(items)
            self._apply(stage, items)
        record.usage, record.made = usage, tuple(items)
        logger.info(
            "stage %s: %.2f s (CPU %.2f s), peak memory %.0f MB",
            stage.name,
            usage.wall,
            usage.cpu,
            usage.peak_memory / 1e6,
        )
        return record

    def _apply(self, stage: Any, items: Any) -> None:
        if stage.apply is not None:
            with default_threads(self.options.threads):
                stage.apply(self.state, items)

    # --- what stages are handed

    def _tools(self) -> Any:
        return stages.Tools(
            survey=self.survey,
            products=self.products,
            map=self._map,
            header=self.header,
            report=self.report,
            stream=self._stream,
        )

    def _map(self, function: Any, tasks: Any, shared: Any = None, label: str = "", on_result: Any = None) -> Any:
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

    def _stream(self, function: Any, tasks: Any, shared: Any = None, label: str = "") -> Any:
        """`parallel.stream_tasks` with the run's number of threads."""
        return stream_tasks(
            function,
            tasks,
            threads=self.options.threads,
            shared=shared,
            label=label or (self._running or ""),
            progress=self._progress,
        )


@contextmanager
def _freezing(frugal: Any) -> Iterator[Any]:
    """Context manager within which a frugal run hides what is there from the garbage collector (`gc.freeze`).

    Neither this process nor workers look at it again, where a look would copy memory that they share. Afterwards all is
    as before.
    """
    try:
        yield
    finally:
        if frugal:
            gc.unfreeze()


def _describe(options: Any) -> str:
    """A run from Python, as the headers quote it."""
    changed = [f"{name}={value!r}" for name, value in changed_options(options).items()]
    return f"run_brick(RunOptions({', '.join(changed)}))"
