"""PSF models made by PsfEx: reading them from the survey's tables or from raw PsfEx files."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import CalibrationError
from ..models import PsfModel
from ..tables import open_fits, read_columns
from ..units import SIGMA_PER_FWHM
from .rows import ImageIdentity, find_row

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

_NEEDED = ("PSF_FWHM", "PSF_SAMP")


def read_psf(
    paths: list[Path], identity: ImageIdentity, old_calibs_ok: bool = False, normalize: bool = True
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
    row, path = find_row(paths, identity, old_calibs_ok)
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
        If a column is missing, or the stamps are not finite.
    """
    try:
        degree = int(row["poldeg1"]) if int(row.get("polnaxis", 2)) > 0 else 0
        nterms = (degree + 1) * (degree + 2) // 2
        nx, ny = int(row["psfaxis1"]), int(row["psfaxis2"])
        basis = np.asarray(row["psf_mask"], np.float32)[:nterms, :ny, :nx]
        zero = [float(row[k]) for k in ("polzero1", "polscal1", "polzero2", "polscal2")]
        fwhm, sampling = float(row["psf_fwhm"]), float(row["psf_samp"])
    except (KeyError, IndexError, ValueError) as e:
        raise CalibrationError(f"{path}: not a PsfEx model: {e.args[0] if e.args else e}") from None
    if basis.shape != (nterms, ny, nx):
        raise CalibrationError(f"{path}: psf_mask has shape {basis.shape}, expected {(nterms, ny, nx)}")
    if degree > 0:
        _check_polynomial(row, path)
    if not np.all(np.isfinite(basis)) or not np.any(basis):
        raise CalibrationError(f"{path}: the PSF stamps are not finite, or all zero")
    if sampling == 0:
        logger.warning("%s: PSF_SAMP is 0, taken for 1", path)
        sampling = 1.0
    if not np.all(np.isfinite([*zero, fwhm, sampling])) or zero[1] == 0 or zero[3] == 0 or fwhm <= 0 or sampling < 0:
        raise CalibrationError(
            f"{path}: numbers that cannot be: POLZERO, POLSCAL {zero}, FWHM {fwhm}, PSF_SAMP {sampling}"
        )
    moffat = None
    if "moffat_alpha" in row and "moffat_beta" in row:
        moffat = (float(row["moffat_alpha"]), float(row["moffat_beta"]))
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
        moffat=moffat,
    )


def _check_polynomial(row, path):
    expected = {"polngrp": 1, "polgrp1": 1, "polgrp2": 1, "polname1": "X_IMAGE", "polname2": "Y_IMAGE"}
    for name, value in expected.items():
        if name in row and row[name] != value:
            raise CalibrationError(f"{path}: {name} is {row[name]!r}; only {value!r} is supported")


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
        header = fits[1].read_header()
    missing = [card for card in _NEEDED if card not in header]
    if missing:
        raise CalibrationError(f"{path}: no header card {', '.join(missing)}: not a PsfEx model")
    row = {card.lower(): convert(header[card]) for card, convert in PSFEX_CARDS.items() if card in header}
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


def _listed(paths):
    return ", ".join(str(p) for p in paths)
