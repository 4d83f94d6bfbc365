"""PSF models made by PsfEx: reading them from the survey's tables or from raw PsfEx files."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..cards import read_cards
from ..errors import CalibrationError
from ..models import PsfModel
from ..tables import open_fits, read_columns
from ..units import SIGMA_PER_FWHM
from .psf_checks import stamp_problem
from .rows import ImageIdentity, find_row, number

__all__ = ["read_psf", "psf_from_row", "row_from_psfex_file"]

logger = logging.getLogger(__name__)

#: Header cards of a PsfEx file that become columns, with the types of the survey's tables.
PSFEX_CARDS = {
    "LOADED": int,
    "ACCEPTED": int,
    "CHI2": float,
    "POLNAXIS": int,
    "POLNGRP": int,
    "PSF_FWHM": float,
    "PSF_SAMP": float,
    "PSFNAXIS": int,
    "PSFAXIS1": int,
    "PSFAXIS2": int,
    "PSFAXIS3": int,
    "POLGRP1": int,
    "POLGRP2": int,
    "POLNAME1": str,
    "POLNAME2": str,
    "POLZERO1": float,
    "POLZERO2": float,
    "POLSCAL1": float,
    "POLSCAL2": float,
    "POLDEG1": int,
}

#: Positions in pixels, however they were measured.
_X_NAMES = ("X_IMAGE", "XWIN_IMAGE", "XPSF_IMAGE", "XPEAK_IMAGE", "XMODEL_IMAGE")
_Y_NAMES = tuple("Y" + name[1:] for name in _X_NAMES)
_MAX_DEGREE = 8
_MAX_FWHM = 200.0  # pixels
_MIN_SAMPLING, _MAX_SAMPLING = 0.05, 10.0
_MAX_MOFFAT = 100.0

_NEEDED = ("PSF_FWHM", "PSF_SAMP")


def read_psf(
    paths: list[Path],
    identity: ImageIdentity,
    old_calibs_ok: bool = False,
    normalize: bool = True,
    verify: bool = False,
) -> tuple[PsfModel, tuple[str, str]]:
    """The PSF model of a CCD.

    Parameters
    ----------
    paths : list of Path
        Where it may be, in the order of search. A raw PsfEx file (one column ``psf_mask``, the rest in the header)
        is accepted as a single-CCD file; it carries no version that could be checked.
    identity : rows.ImageIdentity
    old_calibs_ok : bool
    normalize : bool
        Stamps are to be divided by their sum.
    verify : bool
        Check files against the checksums in them.

    Returns
    -------
    psf : PsfModel
        In pixels of the whole CCD.
    version : (str, str)
        (legpipev, plver) of the calibration.

    Raises
    ------
    CalibrationError
        If there is none, or it is of another version of the image, or not usable.
    """
    row, path = find_row(paths, identity, old_calibs_ok, psf_from_row, verify)
    if row is None:
        row, path = _raw_row(paths, identity.ccdname)
    if row is None:
        raise CalibrationError(f"no PSF model of {identity.expnum} {identity.ccdname}: looked for {_listed(paths)}")
    if "legpipev" not in row:
        logger.warning("%s: a raw PsfEx file: its version cannot be checked", path)
    version = (str(row.get("legpipev", "")), str(row.get("plver", "")))
    return psf_from_row(row, path, normalize), version


def psf_from_row(row: Mapping[str, Any], path: Path | str | None, normalize: bool = True) -> PsfModel:
    """`PsfModel` of a table row (dict of lower-case columns); `path` is for messages.

    Raises
    ------
    CalibrationError
        If a column is missing or its value cannot be, or the stamps cannot be images of a star.
    """
    degree = _whole(row, "poldeg1", path) if _whole(row, "polnaxis", path, 2) > 0 else 0
    if not 0 <= degree <= _MAX_DEGREE:
        raise CalibrationError(f"{path}: poldeg1 is {degree}, but must be 0 to {_MAX_DEGREE}")
    basis = _stamps(row, (degree + 1) * (degree + 2) // 2, path)
    zero = [number(row, k, path) for k in ("polzero1", "polscal1", "polzero2", "polscal2")]
    fwhm, sampling = number(row, "psf_fwhm", path), number(row, "psf_samp", path)
    if degree > 0:
        _check_polynomial(row, path)
    if sampling == 0:
        logger.warning("%s: PSF_SAMP is 0, taken for 1", path)
        sampling = 1.0
    if zero[1] == 0 or zero[3] == 0 or not 0 < fwhm < _MAX_FWHM:
        raise CalibrationError(f"{path}: numbers that cannot be: POLZERO, POLSCAL {zero}, FWHM {fwhm}")
    if not _MIN_SAMPLING <= sampling <= _MAX_SAMPLING:
        raise CalibrationError(
            f"{path}: psf_samp is {sampling:g} image pixels, but must be {_MIN_SAMPLING} to {_MAX_SAMPLING:g}"
        )
    problem = stamp_problem(basis[0], fwhm / sampling)
    if problem:
        raise CalibrationError(f"{path}: no PSF: {problem} (psf_mask, psf_fwhm {fwhm:.4g}, psf_samp {sampling:g})")
    return PsfModel(
        np.ascontiguousarray(basis),
        degree=degree,
        x_zero=zero[0],
        x_scale=zero[1],
        y_zero=zero[2],
        y_scale=zero[3],
        gaussian_sigma=fwhm * SIGMA_PER_FWHM,
        sampling=sampling,
        normalize=normalize,
        moffat=_moffat(row, path),
    )


def _whole(row, name, path, default=None):
    value = number(row, name, path, default)
    if value != int(value):
        raise CalibrationError(f"{path}: {name} is {value}, but must be a whole number")
    return int(value)


def _stamps(row, nterms, path):
    """Basis stamps; merged tables pad them with zeros."""
    nx, ny = _whole(row, "psfaxis1", path), _whole(row, "psfaxis2", path)
    try:
        mask = np.asarray(row["psf_mask"], np.float32)
    except (KeyError, ValueError, TypeError):
        raise CalibrationError(f"{path}: no usable column psf_mask: not a PsfEx model") from None
    if mask.ndim == 2 and nterms == 1:
        mask = mask[np.newaxis]
    if mask.ndim != 3 or min(nx, ny) < 1 or mask.shape[0] < nterms or mask.shape[1] < ny or mask.shape[2] < nx:
        raise CalibrationError(f"{path}: psf_mask has shape {mask.shape}, expected {(nterms, ny, nx)}")
    if not np.all(np.isfinite(mask)) or not np.any(mask[:nterms, :ny, :nx]):
        raise CalibrationError(f"{path}: the PSF stamps are not finite, or all zero")
    if np.any(mask[nterms:]):
        raise CalibrationError(
            f"{path}: psf_mask has {mask.shape[0]} stamps, but a polynomial of degree poldeg1 {row['poldeg1']} only"
            f" {nterms} terms"
        )
    return mask[:nterms, :ny, :nx]


def _moffat(row, path):
    """Shape of the wings; None if the table has none (columns absent, or 0)."""
    if "moffat_alpha" not in row or "moffat_beta" not in row:
        return None
    alpha, beta = number(row, "moffat_alpha", path), number(row, "moffat_beta", path)
    if alpha == 0 and beta == 0:
        return None
    if not (0 < alpha < _MAX_MOFFAT and 0 < beta < _MAX_MOFFAT):
        raise CalibrationError(f"{path}: moffat_alpha, moffat_beta are {alpha}, {beta}: no shape of the wings of stars")
    return alpha, beta


def _check_polynomial(row, path):
    expected = {"polngrp": (1,), "polgrp1": (1,), "polgrp2": (1,), "polname1": _X_NAMES, "polname2": _Y_NAMES}
    for name, values in expected.items():
        found = row.get(name, values[0])
        if (found.upper() if isinstance(found, str) else found) not in values:
            raise CalibrationError(f"{path}: {name} is {found!r}; only {' or '.join(map(repr, values))} is supported")


def _raw_row(paths, ccdname):
    """Row of the first existing file that is a raw PsfEx file and by its name belongs to the CCD."""
    for path in paths:
        if Path(path).is_file() and f"-{ccdname}-" in Path(path).name:
            row = row_from_psfex_file(path)
            if row is not None:
                return row, path
    return None, None


def row_from_psfex_file(path: Path) -> dict[str, Any] | None:
    """Row (dict of lower-case columns) of a raw PsfEx file, or None if it is not one.

    Raises
    ------
    CalibrationError
        If header cards are missing.
    """
    with open_fits(path) as fits:
        table = read_columns(fits, path)
        if len(table) != 1 or table.dtype.names != ("psf_mask",):
            return None
        header = read_cards(fits, 1, path)
    missing = [card for card in _NEEDED if card not in header]
    if missing:
        raise CalibrationError(f"{path}: no header card {', '.join(missing)}: not a PsfEx model")
    row = {
        card.lower(): _card(header[card], card, convert, path)
        for card, convert in PSFEX_CARDS.items()
        if card in header
    }
    stamps = table["psf_mask"][0]
    if row.get("polnaxis", 2) == 0:  # a constant PSF, for which PsfEx writes no polynomial
        row.update(polngrp=1, poldeg1=0, polgrp1=1, polgrp2=1, polname1="X_IMAGE", polname2="Y_IMAGE")
        row.update(polzero1=0.0, polzero2=0.0, polscal1=1.0, polscal2=1.0)
    if stamps.ndim == 2:
        stamps = stamps[np.newaxis]
    row.setdefault("psfnaxis", 3)
    row["psfaxis3"], row["psfaxis2"], row["psfaxis1"] = stamps.shape
    row["psf_mask"] = np.asarray(stamps, np.float32)
    return {name: value.strip() if isinstance(value, str) else value for name, value in row.items()}


def _card(value, card, convert, path):
    try:
        return convert(value)
    except (ValueError, TypeError, OverflowError):
        raise CalibrationError(f"{path}: card {card} is {value!r}: not a PsfEx model") from None


def _listed(paths):
    return ", ".join(str(p) for p in paths)
