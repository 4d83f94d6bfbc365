"""The version header: cards that say what was run on what, in every product of a brick.

It grows stage by stage: cards of the run, of the brick, then those that each stage leaves. A card is a tuple (keyword,
value, comment).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..versions import package_version, software_versions

if TYPE_CHECKING:
    from ..bits import Bit
    from ..wcs import TanWcs
    from .bricks import Brick

__all__ = [
    "run_cards",
    "brick_cards",
    "merge_cards",
    "bit_cards",
    "dq_bit_cards",
]

#: Reference data: name in the header -> environment variable.
_REFERENCE_DATA = {
    "LARGEGALAXIES_CAT": "LARGEGALAXIES_CAT",
    "TYCHO2_KD": "TYCHO2_KD_DIR",
    "GAIA_CAT": "GAIA_CAT_DIR",
    "SKY_TEMPLATE": "SKY_TEMPLATE_DIR",
}


def run_cards(
    survey_dir: str | Path,
    release: int,
    command: str,
    data_model: str = "dr10",
    unwise_dirs: Sequence[str] = (),
    unwise_tr_dir: str | None = None,
    unwise_sky_dir: str | None = None,
) -> list[tuple[str, Any, str]]:
    """Cards that hold for a whole run.

    Parameters
    ----------
    survey_dir : str or Path
    release : int
    command : str
        The command line.
    data_model : str
        "dr9", "dr10" or "dr11".
    unwise_dirs : sequence of str
    unwise_tr_dir, unwise_sky_dir : str or None

    Returns
    -------
    list of (str, object, str)
    """
    cards = [
        ("COMMENT", "Data product in the format of the DESI Legacy Imaging Surveys", ""),
        ("COMMENT", "Made with legacypipe_lite; format: https://www.legacysurvey.org", ""),
        ("LEGPIPEV", package_version(), "legacypipe_lite version"),
        ("LSDIR", str(survey_dir), "Survey directory"),
        ("LSDR", data_model.upper(), "Data model"),
        ("SURVEY", "DECaLS+BASS+MzLS", "The LegacySurveys"),
        ("SURVEYID", "DECaLS BASS MzLS", "Survey names"),
        ("DRVERSIO", release, "LegacySurveys Data Release number"),
        ("OBSTYPE", "object", "Observation type"),
        ("PROCTYPE", "tile", "Processing type"),
    ]
    cards += [(f"UNWISD{i}", folder, "unWISE directory") for i, folder in enumerate(unwise_dirs, 1)]
    if unwise_tr_dir:
        cards.append(("UNWISTD", unwise_tr_dir, "unWISE time-resolved directory"))
    if unwise_sky_dir:
        cards.append(("UNWISSKY", unwise_sky_dir, "unWISE model-sky directory"))
    unwise = {"unwise": ":".join(unwise_dirs), "unwise_tr": unwise_tr_dir, "unwise_modelsky": unwise_sky_dir}
    for i, (name, value) in enumerate([*_dependencies(), *((n, v) for n, v in unwise.items() if v)]):
        cards += [(f"DEPNAM{i:02d}", name, ""), (f"DEPVER{i:02d}", value, "")]
    cards.append(("CMDLINE", command, "runbrick command-line"))
    return cards


def _dependencies() -> Iterator[tuple[str, ...]]:
    yield from software_versions().items()
    for name, variable in _REFERENCE_DATA.items():
        if os.environ.get(variable):
            yield name, os.environ[variable]


def brick_cards(brick: Brick, target: TanWcs) -> list[tuple[str, Any, str]]:
    """Cards of the brick and the corners of its target image.

    Parameters
    ----------
    brick : Brick
    target : wcs.TanWcs

    Returns
    -------
    list of (str, object, str)
    """
    cards = [
        ("BRICK", brick.name, "LegacySurveys brick RRRr[pm]DDd"),
        ("BRICKID", brick.brickid, "LegacySurveys brick id"),
        ("RAMIN", float(brick.ra1), "Brick RA min (deg)"),
        ("RAMAX", float(brick.ra2), "Brick RA max (deg)"),
        ("DECMIN", float(brick.dec1), "Brick Dec min (deg)"),
        ("DECMAX", float(brick.dec2), "Brick Dec max (deg)"),
        ("RA", _sexagesimal(brick.ra / 15.0), "Brick center RA (hms)"),
        ("DEC", _sexagesimal(brick.dec, sign=True), "Brick center DEC (dms)"),
        ("CENTRA", float(brick.ra), "Brick center RA (deg)"),
        ("CENTDEC", float(brick.dec), "Brick center Dec (deg)"),
    ]
    right, top = target.width - 1.0, target.height - 1.0
    for i, (x, y) in enumerate([(0.0, 0.0), (right, 0.0), (right, top), (0.0, top)], 1):
        ra, dec = target.pixel_to_sky(x, y)
        cards.append((f"CORN{i}RA", float(ra), "Brick corner RA (deg)"))
        cards.append((f"CORN{i}DEC", float(dec), "Brick corner Dec (deg)"))
    return cards


def _sexagesimal(value: float, sign: bool = False) -> str:
    """``hh:mm:ss.sss`` (or ``+dd:mm:ss.sss``), rounded to milliseconds."""
    total = round(abs(value) * 3600e3)
    whole, milliseconds = divmod(total, 1000)
    minutes, seconds = divmod(whole, 60)
    units, minutes = divmod(minutes, 60)
    prefix = ("-" if value < 0 else "+") if sign else ""
    return f"{prefix}{units:02d}:{minutes:02d}:{seconds:02d}.{milliseconds:03d}"


def merge_cards(*lists: Iterable[tuple[str, Any, str]]) -> list[tuple[str, Any, str]]:
    """One list of cards: a keyword that comes again replaces the earlier value in its place; comments all stay."""
    merged: list[tuple[str, Any, str]] = []
    place: dict[str, int] = {}
    for card in (card for cards in lists for card in cards):
        keyword = card[0]
        if keyword in ("COMMENT", "HISTORY"):
            merged.append(card)
        elif keyword in place:
            merged[place[keyword]] = card
        else:
            place[keyword] = len(merged)
            merged.append(card)
    return merged


def bit_cards(bits: Sequence[Bit], prefix: str, what: str) -> list[tuple[str, Any, str]]:
    """Cards that name the bits of a mask: ``MB_NPRIMARY = 1`` ... and ``MBIT_0 = 'NPRIMARY'`` ...

    Parameters
    ----------
    bits : sequence of bits.Bit
    prefix : str
        "M" (maskbits), "F" (fitbits) or "W" (wisemask).
    what : str
        Singular, for the comments, e.g. "maskbit".

    Returns
    -------
    list of (str, object, str)
    """
    plural = what if what.endswith("mask") else what + "s"
    cards: list[tuple[str, Any, str]] = [("COMMENT", f"{plural} bits:", "")]
    cards += [(f"{prefix}B_{bit.name}", bit.value, f"{what}: {bit.text}") for bit in bits]
    for bit in sorted(bits, key=lambda bit: bit.value):
        number = bit.value.bit_length() - 1
        cards.append((f"{prefix}BIT_{number}", bit.name, f"{what} {number} (0x{bit.value:x}): {bit.text}"))
    return cards


def dq_bit_cards(dq_bits: dict[Any, Any]) -> list[tuple[str, Any, str]]:
    """Cards that name the bits of the columns anymask and allmask.

    Parameters
    ----------
    dq_bits : dict
        Name -> value.

    Returns
    -------
    list of (str, object, str)
    """
    cards = [("COMMENT", "allmask/anymask bits:", "")]
    numbered = [(name, value, value.bit_length() - 1) for name, value in dq_bits.items()]
    cards += [(f"AM_{name.upper()}", value, f"allmask/anymask bit 2**{n}") for name, value, n in numbered]
    cards += [(f"ABIT_{n}", name, f"allmask/anymask bit 2**{n}={value} meaning") for name, value, n in numbered]
    return cards
