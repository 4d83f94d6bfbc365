"""What an output tree holds: its bricks, and which of them are done by their products and checksums."""

import hashlib
from pathlib import Path
from typing import NamedTuple

from ..errors import InputError
from ..survey import OutputTree
from ..tables import open_fits

__all__ = ["Finished", "brick_names", "finished", "recorded_checksums"]


class Finished(NamedTuple):
    """Whether the products of a brick are there and good.

    Attributes
    ----------
    done : bool
    faults : int
        Blobs that could not be fitted (header card NUNFIT).
    reason : str
        Why it is not done.
    """

    done: bool
    faults: int = 0
    reason: str = ""


def brick_names(outdir: str | Path) -> list[str]:
    """Names of the bricks that have a catalogue in an output tree, sorted.

    Parameters
    ----------
    outdir : str or Path
    """
    found = Path(outdir).glob("tractor/*/tractor-*.fits")
    return sorted(path.name[len("tractor-") : -len(".fits")] for path in found)


def recorded_checksums(outdir: str | Path, brick: str) -> dict[str, str]:
    """What the brick's list of checksums says: path relative to the output directory -> SHA-256; {} without a list.

    Parameters
    ----------
    outdir : str or Path
    brick : str
    """
    path = OutputTree(outdir, brick).path("checksums")
    try:
        lines = path.read_text().splitlines()
    except (FileNotFoundError, UnicodeDecodeError):
        return {}
    pairs = [line.split(" *", 1) for line in lines if " *" in line]
    return {name.strip(): digest for digest, name in pairs}


def finished(outdir: str | Path, brick: str) -> Finished:
    """Whether a brick is done, by the checksum of its catalogue, which is written last.

    Parameters
    ----------
    outdir : str or Path
    brick : str

    Returns
    -------
    Finished
    """
    tree = OutputTree(outdir, brick)
    catalog = tree.path("tractor")
    if not catalog.is_file():
        return Finished(False, reason="no catalogue")
    wanted = recorded_checksums(outdir, brick).get(tree.relative("tractor"))
    if wanted is None:
        return Finished(False, reason="no checksum of the catalogue")
    with open(catalog, "rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != wanted:
        return Finished(False, reason="the checksum of the catalogue is wrong")
    try:
        with open_fits(catalog) as fits:
            faults = fits[0].read_header().get("NUNFIT", 0)
    except (OSError, InputError) as error:
        return Finished(False, reason=f"the catalogue cannot be read: {' '.join(str(error).split())}")
    return Finished(True, int(faults or 0))
