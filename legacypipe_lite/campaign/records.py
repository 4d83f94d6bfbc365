"""Status records: a small JSON file for each brick, and one with the plan of the campaign."""

import contextlib
import hashlib
import json
import time
from pathlib import Path

from ..errors import InputError
from ..files import atomic_file
from ..options import RunOptions, changed_options

__all__ = [
    "DONE",
    "FAILED",
    "FAULTS",
    "NOTHING",
    "OUT_OF_MEMORY",
    "QUARANTINED",
    "RUNNING",
    "STATES",
    "TIMED_OUT",
    "WAITING",
    "fingerprint",
    "log_path",
    "plan_path",
    "read_record",
    "read_plan",
    "record_path",
    "write_json",
]

#: States of a brick: done; done with blobs that could not be fitted; no images or sources there; ended with an error;
#: ended for lack of memory (for once); took longer than allowed; failed twice by dying or lack of memory; in hand; to
#: be done.
DONE, FAULTS, NOTHING, FAILED = "done", "faults", "nothing", "failed"
OUT_OF_MEMORY, TIMED_OUT, QUARANTINED = "out of memory", "timed out", "quarantined"
RUNNING, WAITING = "running", "waiting"
STATES = (DONE, FAULTS, NOTHING, RUNNING, WAITING, FAILED, OUT_OF_MEMORY, TIMED_OUT, QUARANTINED)

#: Options that do not change what a brick's products are.
_OF_NO_ACCOUNT = {
    *("brick", "radec", "custom_name", "outdir", "threads", "verbose", "debug", "no_write", "pickle", "checkpoint"),
    *("checkpoint_period", "cache_dir", "skip", "force", "force_all", "write_stage", "max_memory_gb", "read_serial"),
}


def record_path(outdir: str | Path, brick: str) -> Path:
    """Path of the status record of a brick."""
    return Path(outdir) / "campaign" / brick[:3] / f"{brick}.json"


def log_path(outdir: str | Path, brick: str) -> Path:
    """Path of the log of a brick."""
    return Path(outdir) / "logs" / brick[:3] / f"{brick}.log"


def plan_path(outdir: str | Path) -> Path:
    """Path of the plan of a campaign."""
    return Path(outdir) / "campaign" / "plan.json"


def write_json(path: Path, content: dict) -> None:
    """Write a JSON file, whole or not at all."""
    with atomic_file(path) as stream:
        stream.write((json.dumps(content, separators=(",", ":")) + "\n").encode())


def read_record(outdir: str | Path, brick: str) -> dict | None:
    """Status record of a brick; None if there is none that can be read."""
    with contextlib.suppress(OSError, ValueError):
        content = json.loads(record_path(outdir, brick).read_bytes())
        return content if isinstance(content, dict) and content.get("state") in STATES else None
    return None


def read_plan(outdir: str | Path) -> dict:
    """The plan of a campaign: its bricks with centres and predictions.

    Raises
    ------
    InputError
        If there is no campaign in the output directory.
    """
    path = plan_path(outdir)
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: no campaign wrote to {outdir}") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None


def fingerprint(options: RunOptions) -> str:
    """Short digest of the options on which products depend."""
    changed = {name: value for name, value in changed_options(options).items() if name not in _OF_NO_ACCOUNT}
    return hashlib.sha256(repr(sorted(changed.items())).encode()).hexdigest()[:16]


def now() -> float:
    """Seconds since 1970, to the millisecond."""
    return round(time.time(), 3)
