"""Sky models: reading them and evaluating them as images."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..errors import CalibrationError
from . import sky_kernels as kernels
from .rows import ImageIdentity, find_row, number
from .sky_templates import SkyTemplate

__all__ = ["ConstantSky", "JumpSky", "SplineSky", "read_sky", "sky_from_row"]

logger = logging.getLogger(__name__)

#: Largest degree of splines that scipy makes.
_MAX_ORDER = 5


@dataclass(frozen=True)
class ConstantSky:
    """The same level everywhere.

    Attributes
    ----------
    value : float
        Counts, as the image.
    """

    value: float

    def shifted(self, dx: int, dy: int) -> Self:
        """The same sky for pixels that are counted from (-dx, -dy)."""
        return self

    def image(self, x0: int, y0: int, width: int, height: int) -> NDArray[np.float32]:
        """Sky in a cut-out with origin (x0, y0) in the CCD; float32 (height, width)."""
        return np.full((height, width), self.value, np.float32)


@dataclass(frozen=True)
class JumpSky:
    """One level left, another right of a column.

    Attributes
    ----------
    xbreak : int
        First column, in the model's frame, that has the right level.
    left, right : float
        Counts.
    x0 : int
        Added to CCD columns to get those of the model's frame.
    """

    xbreak: int
    left: float
    right: float
    x0: int = 0

    def shifted(self, dx: int, dy: int) -> Self:
        """The same sky for pixels that are counted from (-dx, -dy)."""
        return replace(self, x0=self.x0 + dx)

    def image(self, x0: int, y0: int, width: int, height: int) -> NDArray[np.float32]:
        """Sky in a cut-out with origin (x0, y0) in the CCD; float32 (height, width)."""
        x = np.arange(width) + (x0 + self.x0)
        columns = np.where(x < self.xbreak, self.left, self.right).astype(np.float32)
        return np.repeat(columns[np.newaxis], height, axis=0)


@dataclass(frozen=True)
class SplineSky:
    """Interpolating tensor-product spline through values on a grid, with an optional step at a column.

    Attributes
    ----------
    xgrid, ygrid : numpy.ndarray of int
        Increasing grid positions, 0-based, in the model's frame.
    values : numpy.ndarray of float32, shape (len(ygrid), len(xgrid))
        Counts.
    order : int
        Spline degree in both directions.
    x0, y0 : int
        Added to CCD pixels to get those of the model's frame.
    xbreak, xjump : int or None, float
        The level rises by `xjump` from column `xbreak` (model's frame) on.
    """

    xgrid: np.ndarray
    ygrid: np.ndarray
    values: np.ndarray
    order: int = 3
    x0: int = 0
    y0: int = 0
    xbreak: int | None = None
    xjump: float = 0.0

    def shifted(self, dx: int, dy: int) -> Self:
        """The same sky for pixels that are counted from (-dx, -dy)."""
        return replace(self, x0=self.x0 + dx, y0=self.y0 + dy)

    def image(self, x0: int, y0: int, width: int, height: int) -> NDArray[np.float32]:
        """Sky in a cut-out with origin (x0, y0) in the CCD; float32 (height, width).

        Outside the grid the value at its nearest edge holds.
        """
        from scipy.interpolate import RectBivariateSpline

        spline = RectBivariateSpline(self.xgrid, self.ygrid, self.values.T, kx=self.order, ky=self.order)
        x = np.arange(width) + (x0 + self.x0)
        y = np.arange(height) + (y0 + self.y0)
        knots_x, knots_y, coefficients = spline.tck
        n = self.order + 1
        # Not spline(x, y), which takes ten times as long.
        bases: list[NDArray[Any]] = []
        for knots, points, grid in ((knots_x, x, self.xgrid), (knots_y, y, self.ygrid)):
            first, weights = np.empty(len(points), np.int64), np.empty((n, len(points)))
            points = np.clip(points, grid[0], grid[-1]).astype(np.float64)
            kernels.basis_functions(knots, self.order, points, first, weights)
            bases += [first, weights]
        sky = np.empty((height, width), np.float32)
        kernels.spline_image(coefficients.reshape(len(knots_x) - n, len(knots_y) - n), *(*bases, sky))
        if self.xbreak is not None:
            sky[:, x >= self.xbreak] += np.float32(self.xjump)
        return sky


def read_sky(
    paths: list[Path],
    identity: ImageIdentity,
    old_calibs_ok: bool = False,
    template: SkyTemplate | None = None,
    verify: bool = False,
) -> tuple[ConstantSky | JumpSky | SplineSky, tuple[str, str]]:
    """The sky model of a CCD.

    Parameters
    ----------
    paths : list of Path
        Where it may be, in the order of search.
    identity : rows.ImageIdentity
    old_calibs_ok : bool
    template : sky_templates.SkyTemplate, optional
        The template that is subtracted from the image; the model must have been fitted with the same one.
    verify : bool
        Check files against the checksums in them.

    Returns
    -------
    sky : ConstantSky, JumpSky or SplineSky
        In pixels of the whole CCD.
    version : (str, str)
        (legpipev, plver) of the calibration.

    Raises
    ------
    CalibrationError
        If there is none, or it is of another version of the image, or not usable.
    """

    def check(row, path):
        _check_template(row, path, template, old_calibs_ok)
        sky_from_row(row, path)

    row, path = find_row(paths, identity, old_calibs_ok, check, verify)
    if row is None:
        names = ", ".join(str(p) for p in paths)
        raise CalibrationError(f"no sky model of {identity.expnum} {identity.ccdname}: looked for {names}")
    return sky_from_row(row, path), (str(row.get("legpipev", "")), str(row.get("plver", "")))


def sky_from_row(row: Mapping[str, Any], path: Path | str | None) -> ConstantSky | JumpSky | SplineSky:
    """Sky model of a table row (dict of lower-case columns); `path` is for messages.

    Raises
    ------
    CalibrationError
        If the class of the model is unknown, or its numbers are unusable.
    """
    kind = str(row.get("skyclass", "")).rpartition(".")[2]
    readers = {
        "SplineSky": _spline,
        "JumpSky": _spline,
        "ConstantJumpSky": _constant_jump,
        "ConstantSky": lambda row, path: ConstantSky(number(row, "value", path)),
    }
    if kind not in readers:
        raise CalibrationError(f"{path}: sky model of class {row.get('skyclass')!r} is not known")
    try:
        return readers[kind](row, path)
    except (KeyError, IndexError, ValueError, TypeError, OverflowError) as e:
        raise CalibrationError(f"{path}: not a {kind} sky model: {e.args[0] if e.args else e}") from None


def _spline(row, path):
    gridw, gridh, order = (int(number(row, name, path)) for name in ("gridw", "gridh", "order"))
    xgrid, ygrid = np.asarray(row["xgrid"])[: max(gridw, 0)], np.asarray(row["ygrid"])[: max(gridh, 0)]
    values = np.asarray(row["gridvals"], np.float32)[: max(gridh, 0), : max(gridw, 0)]
    if values.shape != (gridh, gridw) or not np.all(np.isfinite(values)):
        raise ValueError(f"gridvals must be {gridh} x {gridw} finite numbers")
    if not 1 <= order <= _MAX_ORDER:
        raise ValueError(f"order is {order}, but must be 1 to {_MAX_ORDER}")
    if xgrid.shape != (gridw,) or ygrid.shape != (gridh,) or not (_increases(xgrid) and _increases(ygrid)):
        raise ValueError(f"xgrid and ygrid must be {gridw} and {gridh} increasing positions")
    if min(gridw, gridh) <= order:
        raise ValueError(f"the {gridh} x {gridw} grid cannot hold a spline of degree {order}")
    jump = {}
    if "xjump" in row:
        jump = {"xbreak": int(number(row, "xbreak", path)), "xjump": number(row, "xjump", path)}
    return SplineSky(xgrid, ygrid, values, order, _offset(row, "x0", path), _offset(row, "y0", path), **jump)


def _increases(grid):
    return bool(np.all(np.isfinite(grid)) and np.all(np.diff(grid.astype(np.float64)) > 0))


def _offset(row, name, path):
    return int(number(row, name, path, 0))


def _constant_jump(row, path):
    left, right = number(row, "left", path), number(row, "right", path)
    return JumpSky(int(number(row, "xbreak", path)), left, right, _offset(row, "x0", path))


def _check_template(row, path, template, old_calibs_ok):
    """The sky was fitted to the image minus a template: it must be subtracted again, and no other."""
    names = ("templ_ver", "templ_run", "templ_scale")
    if template is None:
        if int(row.get("templ_run", -1)) >= 0:
            logger.warning("%s: fitted with a sky template, but there is none now: set $SKY_TEMPLATE_DIR", path)
        return
    if not any(name in row for name in names):
        logger.warning("%s: does not say with which sky template it was fitted", path)
        return
    found = (int(row.get("templ_ver", -1)), int(row.get("templ_run", -1)), np.float32(row.get("templ_scale", 0)))
    if found == (template.version, template.run, np.float32(template.scale)):
        return
    text = (
        f"{path}: fitted with sky template version {found[0]}, run {found[1]}, scale {found[2]}, but the image has"
        f" {template.version}, {template.run}, {template.scale}"
    )
    if not old_calibs_ok:
        raise CalibrationError(f"{text} (--old-calibs-ok accepts it)")
    logger.warning("%s; accepted (--old-calibs-ok)", text)
