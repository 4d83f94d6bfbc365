"""PSF and sky calibrations of the mock images, in the survey's merged tables: one row per CCD of an exposure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..versions import package_version

if TYPE_CHECKING:
    from ..calibration import SplineSky
    from ..models import PsfModel
    from .exposures import CcdPlan, Exposure

__all__ = ["calibration_path", "psf_row", "sky_row", "stack_rows"]


def calibration_path(exposure: Exposure, kind: str) -> str:
    """Path of the merged table below ``calib/``; `kind` is "psfex" or "splinesky"."""
    folder = {"psfex": "psfex", "splinesky": "sky"}[kind]
    image = exposure.image_filename()
    return f"{folder}/{image.removesuffix('.fits.fz')}-{kind}.fits"


def _identity(plan: CcdPlan) -> dict[str, Any]:
    exposure = plan.exposure
    return {
        "legpipev": f"mock {package_version()}",
        "plver": exposure.instrument.plver,
        "plprocid": exposure.instrument.plprocid,
        "imgdsum": "0",
        "procdate": exposure.processed,
        "expnum": np.int64(exposure.expnum),
        "ccdname": plan.name,
    }


def psf_row(plan: CcdPlan, psf: PsfModel, fwhm: float) -> dict[Any, Any]:
    """Columns of a PsfEx model.

    Parameters
    ----------
    plan : CcdPlan
    psf : PsfModel
    fwhm : float
        Pixels.

    Returns
    -------
    dict
    """
    nterms, ny, nx = psf.basis.shape
    return {
        "loaded": np.int64(210),
        "accepted": np.int64(200),
        "chi2": 1.0,
        "polnaxis": np.int64(2),
        "polngrp": np.int64(1),
        "polgrp1": np.int64(1),
        "polname1": "X_IMAGE",
        "polzero1": float(psf.x_zero),
        "polscal1": float(psf.x_scale),
        "polgrp2": np.int64(1),
        "polname2": "Y_IMAGE",
        "polzero2": float(psf.y_zero),
        "polscal2": float(psf.y_scale),
        "poldeg1": np.int64(psf.degree),
        "psf_fwhm": fwhm,
        "psf_samp": 1.0,
        "psfnaxis": np.int64(3),
        "psfaxis1": np.int64(nx),
        "psfaxis2": np.int64(ny),
        "psfaxis3": np.int64(nterms),
        "psf_mask": psf.basis,
        **_identity(plan),
    }


def sky_row(plan: CcdPlan, sky: SplineSky) -> dict[Any, Any]:
    """Columns of a spline sky model.

    Parameters
    ----------
    plan : CcdPlan
    sky : SplineSky

    Returns
    -------
    dict
    """
    level = np.float32(np.median(sky.values))
    gridh, gridw = sky.values.shape
    percentiles = {f"sky_p{p}": np.float32(np.percentile(sky.values, p) - level) for p in range(0, 101, 10)}
    return {
        "skyclass": "tractor.splinesky.SplineSky",
        "gridw": np.int64(gridw),
        "gridh": np.int64(gridh),
        "gridvals": sky.values,
        "xgrid": sky.xgrid,
        "ygrid": sky.ygrid,
        "x0": np.int32(sky.x0),
        "y0": np.int32(sky.y0),
        "order": np.uint8(sky.order),
        "sig1": np.float32(plan.exposure.sky_noise),
        "templ_ver": np.int64(-1),
        "templ_run": np.int64(-1),
        "templ_scale": np.float32(0),
        "sky_mode": level,
        "sky_med": level,
        "sky_cmed": level,
        "sky_john": level,
        "sky_fmasked": np.float32(0.1),
        **percentiles,
        **_identity(plan),
    }


def stack_rows(rows: list[dict[Any, Any]]) -> dict[str, NDArray[Any]]:
    """Columns of a table from a list of dicts; arrays of different shapes are padded with zeros, as the survey does.

    Parameters
    ----------
    rows : list of dict

    Returns
    -------
    dict of str to numpy.ndarray
    """
    columns = {}
    for name in rows[0]:
        values = [np.asarray(row[name]) for row in rows]
        if values[0].ndim:
            shape = np.max([v.shape for v in values], axis=0)
            column = np.zeros((len(values), *shape), values[0].dtype)
            for i, v in enumerate(values):
                column[i][tuple(slice(n) for n in v.shape)] = v
            columns[name] = column
        else:
            columns[name] = np.array(
                [v.item() for v in values], None if values[0].dtype.kind == "U" else values[0].dtype
            )
    return columns
