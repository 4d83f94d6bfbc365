"""Catalogues of the user's own: upload, and positions for the map."""

import io
import json
import math
import re
import secrets

import numpy as np

from ..access.catalogs import box_bounds, in_box, plain_values
from ..access.magnitudes import ab_magnitude
from ..files import atomic_file
from .answers import Answer, Refusal, json_answer

__all__ = ["store_catalog", "user_catalog", "stored_catalog", "LARGEST_UPLOAD"]

#: Bytes.
LARGEST_UPLOAD = 20 * 1024 * 1024
_ID = re.compile(r"([0-9a-f]{16})(?:-n[\w .+-]{0,60})?(?:-c[\w#]{0,20})?", re.ASCII)
_RA, _DEC = ("ra", "target_ra", "raj2000", "alpha_j2000"), ("dec", "target_dec", "dej2000", "delta_j2000")


def _folder(service):
    if service.options.cache_dir is None:
        raise Refusal(403, "this server keeps no catalogues: it was started without a cache folder")
    return service.options.cache_dir / "user-catalogs"


def store_catalog(service, data):
    """Keep an uploaded table.

    Parameters
    ----------
    service : Service
    data : bytes
        FITS or CSV, with columns ra and dec.

    Returns
    -------
    Answer
        Redirects to the map at the first row.
    """
    if len(data) > LARGEST_UPLOAD:
        raise Refusal(413, f"the file is too large: {LARGEST_UPLOAD // 1024**2} MB at most")
    folder = _folder(service)
    table, cards = _parsed(data)
    catalog = _plain(table)
    name = secrets.token_hex(8)
    with atomic_file(folder / f"{name}.json") as stream:
        stream.write(json.dumps(catalog, allow_nan=False).encode())
    for card, letter, pattern in (("CATNAME", "n", r"[^\w .+-]"), ("CATCOLOR", "c", r"[^\w#]")):
        if cards.get(card):
            name += f"-{letter}{re.sub(pattern, '', str(cards[card]))[:20]}"
    ra, dec = catalog["rd"][0]
    return Answer(b"", status=302, headers={"Location": f"../?ra={ra:.4f}&dec={dec:.4f}&catalog={name}"})


def _parsed(data):
    from astropy.table import Table

    try:
        if data[:6] == b"SIMPLE":
            from astropy.io import fits

            with fits.open(io.BytesIO(data)) as hdus:
                hdu = next(hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU | fits.TableHDU))
                return Table(hdu.data), {**hdus[0].header, **hdu.header}
        from astropy.io import ascii

        return ascii.read(data.decode("utf-8-sig").splitlines(), format="csv", guess=False), {}
    except Exception as error:  # whatever a reader makes of a stranger's file
        raise Refusal(400, f"cannot read the file as FITS or CSV table: {type(error).__name__}") from None


def _plain(table):
    """Columns that the map knows, as lists."""
    names = {name.lower(): name for name in table.colnames}
    ra, dec = (next((names[n] for n in wanted if n in names), None) for wanted in (_RA, _DEC))
    if ra is None or dec is None:
        raise Refusal(400, f"the table has no columns ra and dec: {', '.join(table.colnames)[:200]}")
    try:
        positions = np.column_stack([np.ma.filled(np.ma.asarray(table[n], float), np.nan) for n in (ra, dec)])
    except (TypeError, ValueError):
        raise Refusal(400, "the columns ra and dec are no numbers: give degrees") from None
    good = np.isfinite(positions).all(axis=1) & (np.abs(positions[:, 1]) <= 90)
    if not good.any():
        raise Refusal(400, "the table has no rows with a position")
    table, positions = table[good], positions[good]
    positions[:, 0] %= 360.0
    catalog = {"rd": positions.tolist()}
    for name in ("name", "color", "type"):
        if name in names:
            catalog[name] = [str(value)[:80] for value in plain_values(np.ma.filled(table[names[name]], ""))]
    for name in ("radius", "abratio", "posangle"):
        if name in names:
            catalog[name] = _numbers(table[names[name]])
    for lower, name in names.items():
        if lower.startswith("flux_") and not lower.startswith("flux_ivar"):
            catalog[lower] = _numbers(table[name])
            catalog["mag_" + lower[5:]] = plain_values(ab_magnitude(np.array(catalog[lower], float)))
        elif lower in ("g", "r", "i", "z") or lower.startswith("mag_"):
            catalog["mag_" + lower.removeprefix("mag_")] = _numbers(table[name])
    return catalog


def _numbers(column):
    try:
        return plain_values(np.ma.filled(np.ma.asarray(column, float), math.nan))
    except (TypeError, ValueError):
        return [None] * len(column)


def stored_catalog(service, identity):
    """A catalogue that was uploaded; refused if there is none of this name."""
    match = _ID.fullmatch(identity or "")
    if match is None:
        raise Refusal(404, "no such catalogue")
    path = _folder(service) / f"{match[1]}.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise Refusal(404, "no such catalogue") from None


def user_catalog(service, query):
    """``usercatalog/1/cat.json?cat=``: rows of an uploaded catalogue in a box, or some of them (``start``, ``N``)."""
    catalog = stored_catalog(service, query.word("cat"))
    rows = np.arange(len(catalog["rd"]))
    if query.flag("start") or query.flag("N"):
        start = query.whole("start", 0, low=0)
        rows = rows[start : start + query.whole("N", 1000, high=100_000)]
    elif query.flag("ralo"):
        ra, dec = np.array(catalog["rd"], float).reshape(-1, 2).T
        rows = rows[in_box(box_bounds(*query.box()), ra, dec)]
    return json_answer({key: [values[i] for i in rows] for key, values in catalog.items()})
