"""What a stage is, and the tools it is handed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..parallel import stream_tasks
from ..report import Report
from ..versions import package_version

__all__ = ["Stage", "StageResult", "Tools"]


@dataclass(frozen=True)
class Stage:
    """One step of a brick run, and everything that is to be known about it.

    Attributes
    ----------
    name : str
    text : str
        One line for ``--list-stages``.
    reads : tuple of str
        State items it needs.
    makes : tuple of str
        State items it returns.
    run : callable
        ``run(state, options, tools) -> StageResult``.
    apply : callable or None
        ``apply(state, made)``: changes items of earlier stages in place (images). Called after `run`, and in
        the same way after the stage's pickle was read, both with `parallel.default_threads` set.
    uses : tuple of str
        State items that it also uses where they are there: those of stages that need not come before it.
    replaces : tuple of str
        Stages before it whose products it writes anew.
    write : callable or None
        ``write(state, options, tools)`` writes its products from what it made, for stages that take too long to run
        again only because files are lost.
    options : tuple of str
        Fields of `RunOptions` on which its result depends, besides those of the stages before it.
    product_options : tuple of str
        Fields of `RunOptions` that change its files, but not its result.
    variables : tuple of str
        Environment variables on which its result depends, besides those that are defaults of options.
    keyword : str or None
        Header keyword by which it says that it ran, and in which version of the package.
    products_only : bool
        True if it only writes products: the results of later stages do not depend on it.
    kept : tuple of str
        Small ones of the items that it makes, which the run itself uses (headers, the summary): they are not dropped
        when no later stage reads them.
    tables : callable
        ``tables(survey) -> iterable of Path or None``: tables that it reads whatever the brick is.
    input_files : callable
        ``input_files(state, survey, options, report) -> iterable of Path``: files of this brick that it has used or
        looked for, also those that do not exist; `state` holds what it made, `report` has taken its warnings.
    check : callable
        ``check(options, survey, report)`` looks, before the first stage runs, for mistakes that would otherwise show
        only after hours of work; raises a `LegacypipeError`.
    """

    name: str
    text: str
    reads: tuple
    makes: tuple
    run: Callable
    apply: Callable | None = None
    uses: tuple = ()
    replaces: tuple = ()
    write: Callable | None = None
    options: tuple = ()
    product_options: tuple = ()
    variables: tuple = ()
    keyword: str | None = None
    products_only: bool = False
    kept: tuple = ()
    tables: Callable = lambda survey: ()
    input_files: Callable = lambda state, survey, options, report: ()
    check: Callable = lambda options, survey, report: None

    def version_card(self):
        """The card (keyword, version of this package, comment) by which the stage says that it ran."""
        return self.keyword, package_version(), ""

    def header_cards(self, cards=()):
        """Cards of the version header that tell of the stage: its own, after `version_card` if that is not among them.

        Parameters
        ----------
        cards : iterable of (str, object, str)

        Returns
        -------
        list of (str, object, str)
        """
        cards = list(cards)
        if self.keyword is None or any(card[0] == self.keyword for card in cards):
            return cards
        return [self.version_card(), *cards]


@dataclass
class StageResult:
    """What a stage made.

    Attributes
    ----------
    items : dict
        State items, by name.
    cards : list of (str, object, str)
        Its own cards of the version header, in order; `Stage.header_cards` adds that of the version.
    skipped : bool
        True if the options switch the stage off: it leaves no cards at all.
    """

    items: dict = field(default_factory=dict)
    cards: list = field(default_factory=list)
    skipped: bool = False


@dataclass
class Tools:
    """What a stage may use besides the state.

    Attributes
    ----------
    survey : survey.SurveyDirectory
    products : survey.OutputTree
    map : callable
        ``map(function, tasks, shared=None, label="", on_result=None) -> list``: results of
        ``function(shared, task)`` in the order of `tasks`, over the worker pool. `function` must be a module-level
        function; `shared` reaches the workers without being pickled. ``on_result(index, result)`` is called as results
        arrive; with it, the result of a task that failed twice because its worker died is a `WorkerError`, which
        otherwise is raised.
    stream : callable
        Called as `map`, but without `on_result`; yields the results one by one in the order of the tasks, and keeps
        none: for large ones.
    header : callable
        ``header(state, cards=()) -> list of (keyword, value, comment)``: the version header as it stands; `cards` are
        those that the running stage is going to leave.
    report : Report
    """

    survey: Any
    products: Any
    map: Callable
    header: Callable
    report: Report = field(default_factory=Report)
    stream: Callable = stream_tasks
