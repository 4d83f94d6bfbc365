"""What an output tree holds of a brick: whether it is done, and whether it is the same field at all."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fitsio
import numpy as np

from ..errors import InputError
from ..tables import short_message
from ..wcs import great_circle_distance, target_wcs
from .bricks import custom_brick_name, parse_radec
from .products import OutputTree

if TYPE_CHECKING:
    from ..options import RunOptions

__all__ = ["brick_name", "not_done", "refuse_other_field"]

#: Corners of the same field agree to so many pixels.
_TOLERANCE = 0.1


def brick_name(options: RunOptions) -> str:
    """Name of the brick of a run, without looking into the survey's table of bricks."""
    if options.brick is not None:
        return options.brick
    assert options.radec is not None  # one of them is given
    return custom_brick_name(*parse_radec(*options.radec), options.short_name)


def not_done(options: RunOptions) -> str | None:
    """Why the catalogue of a run is not there, or not that of its brick; None if it is.

    The catalogue must be readable, equal to its entry in the list of checksums, which is written last, and of the same
    position, size and scale.

    Parameters
    ----------
    options : RunOptions
    """
    products = OutputTree(options.outdir, brick_name(options))
    path = products.path("tractor")
    if not path.is_file():
        return "does not exist"
    header, problem = _header(path)
    return problem or _differs_from_list(products) or _other_field(header, options)


def refuse_other_field(options: RunOptions) -> None:
    """Raise `InputError` if the output tree holds another custom field of the same name, whose files would be lost.

    Names of custom bricks have a thousandth of a degree (short ones a tenth).

    Parameters
    ----------
    options : RunOptions
    """
    if options.radec is None:
        return
    path = OutputTree(options.outdir, brick_name(options)).path("tractor")
    if not path.is_file():
        return
    header, problem = _header(path)
    if problem is not None or "CENTRA" not in header:
        return
    ra, dec = parse_radec(*options.radec)
    distance = 3600 * great_circle_distance(header["CENTRA"], header["CENTDEC"], ra, dec)
    if distance > _TOLERANCE * options.pixscale:
        raise InputError(
            f"{path} is the catalogue of another field of the same name, {distance:.3g} arcsec away (at"
            f" {header['CENTRA']:.6f} {header['CENTDEC']:.6f}): choose another --outdir"
        )


def _header(path: Path) -> tuple[Any, str | None]:
    """Primary header of a catalogue and None, or None and what is wrong with it."""
    try:
        with fitsio.FITS(str(path)) as fits:
            if fits["CATALOG"].get_nrows():
                fits["CATALOG"][-1:]
            return fits[0].read_header(), None
    except (OSError, ValueError) as error:
        return None, f"cannot be read: {short_message(error)}"


def _differs_from_list(products: OutputTree) -> str | None:
    """Why the catalogue does not agree with the list of checksums, or None."""
    listed = products.path("checksums")
    relative = products.relative("tractor")
    try:
        lines = listed.read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return f"has no list of checksums ({listed.name}), which is written last"
    digests = {name.removeprefix("*"): digest for digest, _, name in (line.partition(" ") for line in lines)}
    digest = hashlib.sha256(products.path("tractor").read_bytes()).hexdigest()
    if digests.get(relative) != digest:
        return f"differs from the list of checksums ({listed.name})"
    return None


def _other_field(header: Any, options: RunOptions) -> str | None:
    """Why a catalogue is of another field than a run's, or None."""
    if "CENTRA" not in header:
        return "does not say where its field lies"
    if options.radec is None:
        ra, dec = header["CENTRA"], header["CENTDEC"]  # the name stands for the position
    else:
        ra, dec = parse_radec(*options.radec)
    target = target_wcs(ra, dec, options.width, options.height, options.pixscale, options.zoom)
    right, top = target.width - 1.0, target.height - 1.0
    corners = target.pixel_to_sky(np.array([0.0, right, right, 0.0]), np.array([0.0, 0.0, top, top]))
    theirs = np.array([[header[f"CORN{i}RA"], header[f"CORN{i}DEC"]] for i in range(1, 5)]).T
    distance = 3600 * np.max(great_circle_distance(*corners, *theirs))
    if not distance < _TOLERANCE * options.pixscale:
        return f"is of another field: position, size or scale differ, its corners by up to {distance:.3g} arcsec"
    return None
