"""What a stage is, and the tools it is handed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..parallel import stream_tasks
from ..report import Report
from ..survey.header import package_version

__all__ = ["Stage", "Tools", "version_card"]


@dataclass(frozen=True)
class Stage:
    """One step of a brick run.

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
        ``run(state, options, tools) -> dict`` of the items in `makes`, and optionally ``header_<name>``.
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
        ``header(state) -> list of (keyword, value, comment)``: the version header as it stands.
    report : Report
    """

    survey: Any
    products: Any
    map: Callable
    header: Callable
    report: Report = field(default_factory=Report)
    stream: Callable = stream_tasks


def version_card(keyword):
    """Header card (keyword, version of this package, comment) that a stage leaves, e.g. VER_REFS."""
    return keyword, package_version(), ""
