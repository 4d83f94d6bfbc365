"""The summary at the end of a run."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from ..models.sources import TYPES_SIMPLE_FIRST
from ..names import printable
from ..survey.ccd_list import NOT_ASKED, NOT_OVERLAPPING, CcdFate

if TYPE_CHECKING:
    from ..run import BrickRun, StageRecord
    from ..survey import OutputTree

__all__ = ["summary_lines"]

#: CCDs that are named for one reason.
_MOST_NAMES = 6
_TYPES = (*TYPES_SIMPLE_FIRST, "DUP", "NUN")


def summary_lines(run: BrickRun) -> list[str]:
    """What a run made of what, and what it took, as lines of text.

    Parameters
    ----------
    run : run.BrickRun

    Returns
    -------
    list of str
    """
    lines = [f"Brick {run.brickname}"]
    lines += _sources(run)
    lines += _ccds(run)
    lines += _stages(run.stages)
    lines += _products(run.products)
    if run.report.warnings:
        plural = "" if len(run.report.warnings) == 1 else "s"
        lines.append(f"{len(run.report.warnings)} warning{plural}, see above")
    return [printable(line) for line in lines]


#: Counts of the report that are shown in another form.
_SHOWN_OTHERWISE = ("CCDs", "sources", "types")


def _sources(run: BrickRun) -> list[str]:
    lines = []
    if run.tractor is not None:
        types = Counter(str(kind).strip() for kind in run.tractor["type"].astype(str))
        by_type = ", ".join(f"{types[kind]} {kind}" for kind in _TYPES if types[kind])
        lines.append(f"  sources: {len(run.tractor)}" + (f" ({by_type})" if by_type else ""))
    counts = {name: value for name, value in run.report.counts.items() if name not in _SHOWN_OTHERWISE}
    return lines + [f"  {name}: {_text(value)}" for name, value in counts.items()]


def _text(value: dict[str, int] | int) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {number}" for key, number in value.items())
    return str(value)


def _ccds(run: BrickRun) -> list[str]:
    if "ccds" not in run.state:
        return []
    bands = run.report.counts.get("CCDs")
    used = f"{len(run.state['ccds'])} used" + (f" ({_text(bands)})" if bands else "")
    fates = [CcdFate(*fate) for fate in run.state.get("ccd_fates", ())]
    others = [text for kind in (NOT_OVERLAPPING, NOT_ASKED) if (text := _number_of(fates, kind))]
    total = [f"of {len(fates)} near the brick"] if others else []
    lines = ["  CCDs: " + ", ".join([used, f"{len(run.report.dropped_ccds)} dropped", *others, *total])]
    lines += [f"    dropped {name}: {reason}" for name, reason in run.report.dropped_ccds]
    for kind in (NOT_OVERLAPPING, NOT_ASKED):
        lines += _listed([fate for fate in fates if fate.fate == kind], kind)
    return lines


def _number_of(fates: Any, kind: Any) -> Any:
    number = sum(fate.fate == kind for fate in fates)
    return f"{number} {kind}" if number else ""


def _listed(fates: Any, kind: Any) -> Any:
    """CCDs of one fate, together where the reason is the same."""
    lines = []
    for reason in dict.fromkeys(fate.reason for fate in fates):
        names = [fate.name for fate in fates if fate.reason == reason]
        more = f" ... and {len(names) - _MOST_NAMES} more (see the run log)" if len(names) > _MOST_NAMES else ""
        lines.append(f"    {kind}{f' ({reason})' if reason else ''}: {', '.join(names[:_MOST_NAMES])}{more}")
    return lines


def _stages(records: list[StageRecord]) -> list[str]:
    if not records:
        return []
    lines = [f"  {'stage':<14}{'seconds':>9}{'CPU s':>9}{'peak MB':>9}{'worker MB':>11}"]
    for record in records:
        usage = record.usage
        workers = f"{usage.worker_memory / 1e6:.0f}" if usage.worker_memory else "-"
        note = "  read back" if record.read else ""
        lines.append(
            f"  {record.name:<14}{usage.wall:>9.2f}{usage.cpu:>9.2f}{usage.peak_memory / 1e6:>9.0f}{workers:>11}{note}"
        )
    wall = sum(record.usage.wall for record in records)
    cpu = sum(record.usage.cpu for record in records)
    peak = max(record.usage.peak_memory for record in records)
    return [*lines, f"  {'all':<14}{wall:>9.2f}{cpu:>9.2f}{peak / 1e6:>9.0f}"]


def _products(products: OutputTree) -> list[str]:
    if not products.checksums:
        return ["  no files written"]
    lines = [f"  {len(products.checksums)} files below {products.outdir}"]
    for name in ("tractor", "image-jpeg"):
        if products.relative(name) in products.checksums:
            lines.append(f"    {products.path(name)}")
    return lines
