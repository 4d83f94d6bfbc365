"""One damage of a survey directory: a card, a table, pixels, a WCS, or a whole file."""

import gzip
import io

import numpy as np
from astropy.io import fits
from astropy.table import Table

__all__ = ["KINDS", "damage"]

#: What a card can be replaced by: 70 characters after the keyword, or None: the card is removed.
JUNK_VALUES = (
    "= 'junk'", "= ''", "= 'NaN'", "= NaN", "= 1E400", "= 1E300", "= -1E300", "= 3.0E38", "= 0", "= 0.0", "= -1", "= 1",
    "= 2147483648", "= 99999999999999999999", "= T", "= F", "=", "", "= 1.0.0", "= 'no end", "= (1.0, 2.0)",
    "= 12:30:00", "= \xff\xfe\xe9", "= '\x1b[31mred'", "= 1.5", "= 'x' / " + "y" * 60, "= 91.0", "= -720.0",
    "= 1E-300", "= 0.5D0", None,
)  # fmt: skip
_JUNK_NUMBERS = (np.nan, np.inf, -np.inf, 1e30, -1e30, 3e38, 0.0, -1.0, 1e-30, -99.0, 1e8, 400.0)
_JUNK_TEXTS = ("", "junk", "NaN", "../../../etc/x", "\xe9\xe8", "x" * 200, "[0]", "a b", "False", "-1", "1e99")


def damage(rng, survey, kinds=None):
    """Damage one thing of a survey directory whose files are hard links.

    Parameters
    ----------
    rng : numpy.random.Generator
    survey : Path
    kinds : sequence of str, optional
        Some of `KINDS`.

    Returns
    -------
    what : str
    one_ccd : bool
        Nothing but one CCD is concerned.
    """
    kind = str(rng.choice(kinds or list(KINDS)))
    path = _choose_file(rng, survey, kind)
    _own_copy(path)
    text = KINDS[kind](rng, path)
    relative = path.relative_to(survey)
    return f"{kind}: {relative}: {text}", relative.parts[0] in ("images", "calib")


def _choose_file(rng, survey, kind):
    """A file of that kind: first which sort, then which one."""
    sorts = {
        "image": sorted(survey.glob("images/**/*_ooi_*")),
        "codes": sorted(survey.glob("images/**/*_ood_*")),
        "weight": sorted(survey.glob("images/**/*_oow_*")),
        "psf": sorted(survey.glob("calib/psfex/**/*.fits")),
        "sky": sorted(survey.glob("calib/sky/**/*.fits")),
        "gaia": sorted(p for p in survey.glob("gaia/*.fits") if p.stat().st_size > 12000),
        "ccds": sorted(survey.glob("survey-ccds*")),
        "bricks": sorted(survey.glob("survey-bricks*")),
        "tycho": sorted(survey.glob("tycho2*")),
    }
    wanted = {
        "card": (("image", "codes", "weight", "psf", "sky", "gaia", "ccds"), (6, 1, 1, 2, 2, 1, 1)),
        "table": (("ccds", "psf", "sky", "gaia", "tycho", "bricks"), (5, 3, 3, 3, 1, 1)),
        "pixels": (("image", "codes", "weight"), (2, 1, 2)),
        "wcs": (("image",), (1,)),
        "file": (tuple(sorts), (3, 1, 1, 2, 2, 1, 1, 1, 1)),
    }[kind]
    names, weights = wanted
    sort = str(rng.choice(names, p=np.array(weights) / sum(weights)))
    return sorts[sort][int(rng.integers(len(sorts[sort])))]


def _own_copy(path):
    """Break the hard link."""
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data)


def _read(path):
    data = path.read_bytes()
    return gzip.decompress(data) if path.name.endswith(".gz") else data


def _write(path, data):
    path.write_bytes(gzip.compress(data, 1) if path.name.endswith(".gz") else data)


# --- cards


def _headers(data):
    """(start, number of cards) of each header of a FITS file."""
    found = []

    with fits.open(io.BytesIO(data), disable_image_compression=True, ignore_missing_simple=True) as hdus:
        for hdu in hdus:
            info = hdu.fileinfo()
            found.append((info["hdrLoc"], (info["datLoc"] - info["hdrLoc"]) // 80))
    return found


def damage_card(rng, path):
    """Replace the value of one card by junk."""
    data = bytearray(_read(path))
    start, number = _headers(bytes(data))[int(rng.integers(2))]
    places = [start + 80 * i for i in range(number) if data[start + 80 * i : start + 80 * i + 8].strip()]
    place = int(rng.choice(places))
    keyword = bytes(data[place : place + 8]).decode("latin-1")
    junk = JUNK_VALUES[int(rng.integers(len(JUNK_VALUES)))]
    card = " " * 80 if junk is None else (keyword + junk).ljust(80)[:80]
    data[place : place + 80] = card.encode("latin-1")
    _write(path, bytes(data))
    return f"card {keyword.strip()}{'is removed' if junk is None else junk!r}"


# --- tables


def damage_table(rng, path):
    """Change a column of the table in HDU 1, or its rows."""
    with fits.open(path) as hdus:
        others = [hdu.copy() for hdu in hdus[2:]]
        primary, header = hdus[0].header.copy(), hdus[1].header.copy()
        table = Table(hdus[1].data)
    extname = header.get("EXTNAME")
    change = str(
        rng.choice(["values", "one value", "type", "name", "drop", "rows"], p=[0.35, 0.25, 0.2, 0.05, 0.1, 0.05])
    )
    name = str(rng.choice(table.colnames))
    text = {
        "values": _junk_values,
        "one value": _junk_value,
        "type": _junk_type,
        "name": _junk_name,
        "drop": _drop,
        "rows": _junk_rows,
    }[change](rng, table, name)
    table = table if not isinstance(text, tuple) else text[1]
    hdus = [fits.PrimaryHDU(header=primary), fits.BinTableHDU(table, name=extname), *others]
    fits.HDUList(hdus).writeto(path, overwrite=True, output_verify="silentfix")
    return f"{change}: {name}: {text[0] if isinstance(text, tuple) else text}"


def _junk_for(rng, column):
    if column.dtype.kind in "US":
        return _JUNK_TEXTS[int(rng.integers(len(_JUNK_TEXTS)))]
    value = _JUNK_NUMBERS[int(rng.integers(len(_JUNK_NUMBERS)))]
    if column.dtype.kind in "iu":
        low, high = np.iinfo(column.dtype).min, np.iinfo(column.dtype).max
        return int(np.clip(value if np.isfinite(value) else high, low, high))
    return bool(rng.integers(2)) if column.dtype.kind == "b" else value


def _junk_values(rng, table, name):
    junk = _junk_for(rng, table[name])
    if isinstance(junk, str):
        table[name] = np.array([junk.encode("latin-1")] * len(table))
    else:
        with np.errstate(over="ignore"):
            table[name] = np.full(table[name].shape, junk).astype(table[name].dtype)
    return repr(junk)


def _junk_value(rng, table, name):
    if len(table) == 0:
        return "no rows"
    row, junk = int(rng.integers(len(table))), _junk_for(rng, table[name])
    if isinstance(junk, str):
        values = [v if isinstance(v, bytes) else str(v).encode("latin-1") for v in table[name]]
        values[row] = junk.encode("latin-1")
        table[name] = np.array(values)
    else:
        values = np.array(table[name])
        with np.errstate(over="ignore"):
            values[row] = np.full(values[row].shape, junk).astype(values.dtype)
        table[name] = values
    return f"row {row}: {junk!r}"


def _junk_type(rng, table, name):
    values = np.array(table[name])
    kind = str(rng.choice(["text", "f8", "i2", "bool", "u1", "two columns wide"]))
    with np.errstate(all="ignore"):
        if kind == "text":
            table[name] = np.array([str(v)[:60].encode("latin-1") for v in values])
        elif kind == "two columns wide":
            table[name] = np.stack([values, values], axis=-1)
        elif values.dtype.kind in "US":
            table[name] = np.zeros(len(values), {"bool": "?"}.get(kind, kind))
        else:
            table[name] = np.nan_to_num(values).astype({"bool": "?"}.get(kind, kind))
    return kind


def _junk_name(rng, table, name):
    new = str(rng.choice([name.upper(), name + "_", "ra", "X" * 60]))
    if new in table.colnames:
        return "stays"
    table.rename_column(name, new)
    return new


def _drop(rng, table, name):
    table.remove_column(name)
    return "removed"


def _junk_rows(rng, table, name):
    kind = str(rng.choice(["none", "twice", "one", "reversed"]))
    index = np.arange(len(table))
    index = {"none": index[:0], "twice": np.concatenate([index, index]), "one": index[:1], "reversed": index[::-1]}[
        kind
    ]
    return kind, table[index]


# --- pixels


def damage_pixels(rng, path):
    """Replace pixels by values that mean nothing."""
    with fits.open(path) as hdus:
        primary, header, data = hdus[0].header.copy(), hdus[1].header.copy(), np.array(hdus[1].data)
    junk = _JUNK_NUMBERS[int(rng.integers(len(_JUNK_NUMBERS)))]
    where = np.zeros(data.shape, bool)
    h, w = data.shape
    area = str(rng.choice(["all", "block", "row", "scattered", "frame", "one"]))
    y, x = int(rng.integers(h)), int(rng.integers(w))
    if area == "all":
        where[:] = True
    elif area == "block":
        where[y : y + h // 3, x : x + w // 3] = True
    elif area == "row":
        where[y] = True
    elif area == "scattered":
        where = rng.random(data.shape) < 0.1
    elif area == "frame":
        where[:] = True
        where[h // 4 : -h // 4, w // 4 : -w // 4] = False
    else:
        where[y, x] = True
    if "_ood_" in path.name and rng.random() < 0.7:
        junk = int(rng.choice([9, 16, 64, -1, 2**20, 2**31 - 1]))
    else:
        data = data.astype(np.float32)
    data[where] = junk
    if rng.random() < 0.2:
        data = data.astype(np.float64)
    hdus = [fits.PrimaryHDU(header=primary), fits.ImageHDU(data, header)]
    fits.HDUList(hdus).writeto(path, overwrite=True, output_verify="silentfix")
    return f"{area}: {junk!r}"


# --- WCS


def damage_wcs(rng, path):
    """Write the WCS in another form, or break it as a whole."""
    with fits.open(path, mode="update", disable_image_compression=True, output_verify="ignore") as hdus:
        h = hdus[1].header
        change = str(rng.choice(sorted(_WCS_CHANGES)))
        _WCS_CHANGES[change](rng, h)
    return change


def _without_pv(h):
    for key in [key for key in h if key.startswith("PV")]:
        del h[key]


def _ctype(*names):
    def change(rng, h):
        name = str(rng.choice(names))
        _without_pv(h)
        h["CTYPE1"], h["CTYPE2"] = "RA---" + name, "DEC--" + name

    return change


def _scaled(key, *factors):
    def change(rng, h):
        for k in [k for k in h if k.startswith(key)]:
            h[k] = h[k] * float(rng.choice(factors))

    return change


def _pc(rng, h):
    for i in (1, 2):
        for j in (1, 2):
            h[f"PC{i}_{j}"] = h.pop(f"CD{i}_{j}") * 3600 / 0.262
        h[f"CDELT{i}"] = 0.262 / 3600


def _set(**cards):
    return lambda rng, h: h.update(cards)


def _sip(rng, h):
    _without_pv(h)
    order = int(rng.integers(1, 12))
    h["CTYPE1"], h["CTYPE2"] = "RA---TAN-SIP", "DEC--TAN-SIP"
    h["A_ORDER"] = h["B_ORDER"] = order
    for name in "AB":
        h[f"{name}_{order}_0"] = float(rng.normal() * 10.0 ** -rng.integers(0, 4 * order))


def _swapped(rng, h):
    for key in ("CTYPE", "CRVAL"):
        h[f"{key}1"], h[f"{key}2"] = h[f"{key}2"], h[f"{key}1"]


_WCS_CHANGES = {
    "projection": _ctype("ZPN", "SIN", "STG", "CAR", "TNX", "ZPX", "AIT", "XXX", "TAN", "TPV", "HPX", "SZP"),
    "frame": _set(RADESYS="FK4", EQUINOX=1950.0),
    "galactic": _set(CTYPE1="GLON-TAN", CTYPE2="GLAT-TAN"),
    "pc": _pc,
    "lonpole": _set(LONPOLE=90.0),
    "cunit": _set(CUNIT1="arcsec", CUNIT2="arcsec"),
    "sip": _sip,
    "swapped": _swapped,
    "PV": _scaled("PV1_1", 0.0, 2.0, -1.0, 1e10, 1e300),
    "CD": _scaled("CD", 0.0, 1e5, -1.0, 1e-10, 1e300),
    "CRPIX": _scaled("CRPIX", 0.0, 1e10, -1e5, 1e300),
    "CRVAL": _scaled("CRVAL", 0.0, 0.5, 2.0, 2.8, -1.0),
}


# --- files


def damage_file(rng, path):
    """Cut, empty, remove or garble a whole file."""
    data = path.read_bytes()
    change = str(rng.choice(["cut", "cut in a block", "empty", "removed", "bytes", "folder", "text", "doubled"]))
    if change in ("empty", "removed", "folder"):
        path.unlink()
        if change == "empty":
            path.touch()
        elif change == "folder":
            path.mkdir()
        return change
    if change == "cut":
        data = data[: 2880 * int(rng.integers(0, max(len(data) // 2880, 1)))]
    elif change == "cut in a block":
        data = data[: int(rng.integers(len(data)))]
    elif change == "bytes":
        data = bytearray(data)
        for place in rng.integers(len(data), size=int(rng.integers(1, 50))):
            data[place] = int(rng.integers(256))
    elif change == "text":
        data = b"404 not found\n" * 50
    else:
        data = data + data
    path.write_bytes(bytes(data))
    return change


KINDS = {
    "card": damage_card,
    "table": damage_table,
    "pixels": damage_pixels,
    "wcs": damage_wcs,
    "file": damage_file,
}
