"""The state of a campaign, from its files alone: also while it runs, also from another machine."""

import statistics
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import records
from .bricks import finished
from .records import read_plan, read_record

__all__ = ["status", "status_lines"]

_SHOWN = 5


def status(outdir: str | Path) -> dict:
    """What there is to say about a campaign.

    Parameters
    ----------
    outdir : str or Path

    Returns
    -------
    dict
        JSON types: written (of the plan), counts (state -> bricks), reasons (list of reason, bricks), inputs (list of
        input that could not be used, bricks), slowest and largest (lists of brick and seconds, or bytes), ratios
        (median of real by predicted), bricks (list of dict: brick, ra, dec, depth, state, seconds, reason).

    Raises
    ------
    InputError
        If there is no campaign.
    """
    plan = read_plan(outdir)
    rows = [dict(zip(plan["columns"], row)) for row in plan["bricks"]]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda row: (read_record(outdir, row["brick"]), row["brick"]), rows))
    counts, reasons, inputs = Counter(), Counter(), Counter()
    seconds, memory, bricks = [], [], []
    for row, (record, name) in zip(rows, found):
        record = record or _from_products(outdir, name)
        state = record["state"]
        counts[state] += 1
        if state not in (records.DONE, records.NOTHING, records.WAITING, records.RUNNING):
            reasons[f"{state}: {record.get('reason', '')}"] += 1
        inputs.update(f"{name}: {reason}" for name, reason in record.get("dropped", ()))
        if record.get("cpu_seconds") and state == records.DONE:
            seconds.append((record["brick"], record["cpu_seconds"], record["predicted"]["seconds"]))
        if record.get("peak_memory"):
            memory.append((record["brick"], record["peak_memory"], record["predicted"]["memory"]))
        bricks.append(
            {
                **{key: row[key] for key in ("brick", "ra", "dec", "depth", "n_ccds")},
                "state": state,
                "seconds": record.get("seconds"),
                "reason": record.get("reason", ""),
            }
        )
    return {
        "outdir": str(outdir),
        "written": plan["written"],
        "counts": {state: counts[state] for state in records.STATES if counts[state]},
        "reasons": [list(entry) for entry in reasons.most_common()],
        "inputs": [list(entry) for entry in inputs.most_common()],
        "slowest": [list(entry[:2]) for entry in sorted(seconds, key=lambda e: -e[1])[:_SHOWN]],
        "largest": [list(entry[:2]) for entry in sorted(memory, key=lambda e: -e[1])[:_SHOWN]],
        "ratios": {"seconds": _median_ratio(seconds), "memory": _median_ratio(memory)},
        "bricks": bricks,
    }


def _from_products(outdir, name) -> dict:
    """What takes the place of a record that is not there: what the products say."""
    look = finished(outdir, name)
    state = records.WAITING if not look.done else records.FAULTS if look.faults else records.DONE
    return {"brick": name, "state": state}


def _median_ratio(entries) -> float | None:
    return round(statistics.median(real / predicted for _, real, predicted in entries), 3) if entries else None


def status_lines(report: dict) -> list[str]:
    """The state of a campaign in words.

    Parameters
    ----------
    report : dict
        From `status`.
    """
    started = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(report["written"]))
    lines = [f"{report['outdir']}: {len(report['bricks'])} bricks; last started {started}"]
    lines += [f"  {number:8d}  {state}" for state, number in report["counts"].items()]
    for title, key in (("reasons", "reasons"), ("inputs that could not be used", "inputs")):
        if report[key]:
            lines.append(f"{title} (number of bricks):")
            lines += [f"  {number:8d}  {text}" for text, number in report[key][:20]]
            if len(report[key]) > 20:
                lines.append(f"            and {len(report[key]) - 20} more")
    if report["slowest"]:
        lines.append("slowest: " + ", ".join(f"{name} {value:.1f} s" for name, value in report["slowest"]))
    if report["largest"]:
        lines.append("largest: " + ", ".join(f"{name} {value / 1e9:.2f} GB" for name, value in report["largest"]))
    ratios = [f"{name} {value:.2f}" for name, value in report["ratios"].items() if value is not None]
    if ratios:
        lines.append("real by predicted, median: " + ", ".join(ratios))
    return lines
