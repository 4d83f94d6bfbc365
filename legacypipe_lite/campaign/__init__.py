"""Many bricks on Dask: which bricks, tasks, prices, state."""

from .campaign import REDO, Plan, make_plan, run_campaign
from .clusters import BATCH_SYSTEMS, Where
from .engine import SchedulerLost, Tally
from .page import write_page
from .records import DONE, FAULTS, NOTHING
from .status import status, status_lines
from .which import CcdIndex, Patch, by_names, by_positions, by_region, names_of_file, touched

__all__ = [
    "BATCH_SYSTEMS",
    "DONE",
    "FAULTS",
    "NOTHING",
    "REDO",
    "CcdIndex",
    "Patch",
    "Plan",
    "SchedulerLost",
    "Tally",
    "Where",
    "by_names",
    "by_positions",
    "by_region",
    "make_plan",
    "names_of_file",
    "run_campaign",
    "status",
    "status_lines",
    "touched",
    "write_page",
]
