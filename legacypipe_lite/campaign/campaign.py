"""A campaign from its start to its end: plan, what is done already, the rest on Dask."""

import logging
import math
import shutil
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..errors import OutputError, UsageError
from ..files import check_writable
from ..options import RunOptions
from ..survey import SurveyDirectory
from . import records
from .bricks import finished
from .clusters import Where, connected, require_dask
from .engine import Engine, Tally
from .prices import Price, price_of
from .records import plan_path, read_record, write_json
from .tasks import CalibrationOrder, Order
from .which import CcdIndex, Patch

__all__ = ["REDO", "Plan", "make_plan", "run_campaign"]

logger = logging.getLogger(__name__)

#: What `run_campaign` runs again if asked to: bricks done with faults, quarantined ones, those without anything to do,
#: those made with other options, all.
REDO = ("faults", "quarantined", "nothing", "changed", "all")

_KEPT = {
    records.NOTHING: "nothing",
    records.QUARANTINED: "quarantined",
    records.TIMED_OUT: "quarantined",
}


@dataclass
class Plan:
    """The bricks of a campaign, and what they are predicted to take.

    Attributes
    ----------
    patches : list of Patch
    prices : list of Price
    needs : list of frozenset of str
        Image files on each brick that lack calibrations.
    calibrations : dict
        Image file -> rows of the CCD table (dict) that lack calibrations.
    n_ccds : int
        CCDs that touch any of the bricks.
    """

    patches: list = field(default_factory=list)
    prices: list = field(default_factory=list)
    needs: list = field(default_factory=list)
    calibrations: dict = field(default_factory=dict)
    n_ccds: int = 0

    def lines(self) -> list[str]:
        """The plan in words."""
        seconds = sum(price.seconds for price in self.prices)
        memory = max((price.memory for price in self.prices), default=0.0)
        empty = sum(price.n_ccds == 0 for price in self.prices)
        return [
            f"{len(self.patches)} bricks, {empty} of them without CCDs; {self.n_ccds} CCDs",
            f"calibrations to be made first: {sum(map(len, self.calibrations.values()))} CCDs of"
            f" {len(self.calibrations)} image files",
            f"predicted: {seconds / 3600:.3g} CPU hours, at most {memory / 1e9:.3g} GB of memory for a brick,"
            f" {sum(price.disk for price in self.prices) / 1e9:.3g} GB on disk",
        ]


def make_plan(patches: Sequence[Patch], base: RunOptions, survey: SurveyDirectory, ccds: CcdIndex) -> Plan:
    """Look up the CCDs of the bricks, what each brick will take, and which calibrations are missing.

    Parameters
    ----------
    patches : sequence of Patch
    base : RunOptions
        Of all bricks.
    survey : SurveyDirectory
    ccds : CcdIndex

    Returns
    -------
    Plan
    """
    plan, lacking, seen = Plan(patches=list(patches)), {}, set()
    for patch in patches:
        target = patch.target(base)
        rows = ccds.rows_on(target)
        table = ccds.table[rows]
        plan.prices.append(price_of(table, target, base))
        new = [row for row in rows if row not in seen]
        seen.update(new)
        if not base.skip_calibs:
            for row in new:
                if _lacks_calibration(survey, ccds.table[int(row)]):
                    lacking.setdefault(str(ccds.table["image_filename"][row]), []).append(int(row))
        images = {str(name) for name in table["image_filename"]} if len(table) else set()
        plan.needs.append(frozenset(images & set(lacking)))
    names = ccds.table.colnames
    plan.calibrations = {
        image: [{name: ccds.table[name][row] for name in names} for row in rows] for image, rows in lacking.items()
    }
    plan.n_ccds = len(seen)
    return plan


def _lacks_calibration(survey, row) -> bool:
    image, ccdname = str(row["image_filename"]), str(row["ccdname"])
    return any(
        not any(path.is_file() for path in survey.calibration_files(kind, image, ccdname)) for kind in ("psf", "sky")
    )


def run_campaign(
    plan: Plan,
    base: RunOptions,
    where: Where | None = None,
    *,
    redo: Sequence[str] = (),
    redo_bricks: Sequence[str] = (),
    timeout: float | None = None,
    checkpoint_dir: str | None = None,
    work: Callable[[RunOptions], dict] | None = None,
    on_change: Callable[[Tally], None] | None = None,
) -> Tally:
    """Run the bricks of a plan that are not done.

    Parameters
    ----------
    plan : Plan
    base : RunOptions
        Of all bricks, `outdir` and `survey_dir` included.
    where : Where, optional
    redo : sequence of str
        Of `REDO`: what is run again.
    redo_bricks : sequence of str
        Bricks to run again, whatever they are.
    timeout : float, optional
        Seconds after which a brick is given up.
    checkpoint_dir : str, optional
        Folder for stage pickles and checkpoints, from which bricks in hand go on after a stop.
    work : callable, optional
        ``work(options) -> dict`` in place of the pipeline; a module-level function.
    on_change : callable, optional
        ``on_change(tally)`` about once a second.

    Returns
    -------
    Tally
        Of all bricks of the plan.

    Raises
    ------
    UsageError
        If options make no sense.
    OutputError
        If the output directory cannot be written, or its disk is too small.
    SchedulerLost
    """
    require_dask()
    where = where or Where()
    if not plan.patches:
        raise UsageError("the plan has no bricks")
    unknown = sorted(set(redo) - set(REDO))
    if unknown:
        raise UsageError(f"--redo {unknown[0]}: there are {', '.join(REDO)}")
    plan.patches[0].options(base).validated()
    outdir = Path(base.outdir).absolute()
    check_writable(outdir)
    base = replace(base, outdir=str(outdir))
    kept, wanted = _sort_out(plan, base, set(redo), set(redo_bricks))
    _check_disk(outdir, sum(plan.prices[i].disk for i in wanted))
    _write_plan(plan, outdir)
    tally = Tally()
    if wanted:
        with connected(where) as (client, share):
            orders = _orders(plan, wanted, base, share, timeout, checkpoint_dir, work)
            needed = frozenset().union(*(order.needs for order in orders))
            calibrations = [
                CalibrationOrder(image, tuple(rows), base)
                for image, rows in plan.calibrations.items()
                if image in needed
            ]
            engine = Engine(client, orders, calibrations, share=share, on_change=on_change)
            engine.tally.counts.update(kept)
            engine.tally.total = len(plan.patches)
            tally = engine.run()
    else:
        tally.counts.update(kept)
        tally.total = len(plan.patches)
    return tally


def _sort_out(plan: Plan, base: RunOptions, redo: set, redo_bricks: set) -> tuple[Counter, list[int]]:
    """Numbers of bricks by state that are left as they are, and the rows of the plan that are to be run."""
    with ThreadPoolExecutor(8) as pool:
        looks = list(pool.map(lambda patch: finished(base.outdir, patch.name), plan.patches))
    kept, wanted, changed, broken = Counter(), [], 0, 0
    for i, (patch, look) in enumerate(zip(plan.patches, looks)):
        record = read_record(base.outdir, patch.name)
        other = record is not None and record["options"] != records.fingerprint(patch.options(base))
        state = _state(look, record, plan.prices[i])
        again = "all" in redo or patch.name in redo_bricks or (other and "changed" in redo)
        if again or {records.FAULTS: "faults", **_KEPT}.get(state) in redo:
            state = None
        broken += not look.done and "checksum" in look.reason
        if state is None:
            wanted.append(i)
        else:
            kept[state] += 1
            changed += other
    if changed:
        logger.warning("%d bricks were made with other options, and stay as they are: --redo changed", changed)
    if broken:
        logger.warning("%d catalogues are not what their checksums say, and are made again", broken)
    if kept:
        logger.info("already there: %s", ", ".join(f"{number} {state}" for state, number in kept.items()))
    return kept, wanted


def _state(look, record: dict | None, price: Price) -> str | None:
    """State in which a brick can stay, or None."""
    if look.done:
        return records.FAULTS if look.faults else records.DONE
    if record is None or record["state"] not in _KEPT:
        return None
    if record["state"] == records.NOTHING and record.get("n_ccds") != price.n_ccds:
        return None
    return record["state"]


def _check_disk(outdir: Path, needed: float) -> None:
    folder = outdir
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OutputError(
            f"about {needed / 1e9:.3g} GB will be written to {outdir}, {free / 1e9:.3g} GB are free there:"
            " choose another --outdir, or fewer bricks"
        )


def _write_plan(plan: Plan, outdir: Path) -> None:
    """Keep the plan; bricks of earlier plans of the same output directory stay in it."""
    path, rows = plan_path(outdir), {}
    if path.is_file():
        rows = {row[0]: row for row in records.read_plan(outdir)["bricks"]}
    for patch, price in zip(plan.patches, plan.prices):
        depth = None if math.isnan(price.depth) else round(price.depth, 2)
        numbers = (round(price.seconds, 1), round(price.memory), round(price.disk), price.n_ccds, depth)
        rows[patch.name] = [patch.name, round(patch.ra, 6), round(patch.dec, 6), *numbers]
    columns = ["brick", "ra", "dec", "seconds", "memory", "disk", "n_ccds", "depth"]
    write_json(path, {"format": 1, "written": time.time(), "columns": columns, "bricks": list(rows.values())})


def _orders(plan, wanted, base, share, timeout, checkpoint_dir, work) -> list[Order]:
    run, orders = uuid.uuid4().hex[:12], []
    for i in wanted:
        patch, price = plan.patches[i], plan.prices[i]
        options = patch.options(base)
        if checkpoint_dir is not None:
            folder = Path(checkpoint_dir).absolute()
            options = replace(
                options,
                pickle=str(folder).replace("%", "%%%%") + "/%(brick)s/%%(stage)s.pickle",
                checkpoint=str(folder / patch.name / "checkpoint.pickle"),
            )
            (folder / patch.name).mkdir(parents=True, exist_ok=True)
        limit = None if share is None else max(share, 1.5 * price.memory)
        orders.append(
            Order(
                patch.name,
                options,
                price,
                run=run,
                memory_limit=limit,
                timeout=timeout,
                needs=plan.needs[i],
                work=work,
            )
        )
    return orders
