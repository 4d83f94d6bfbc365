"""Inverse variances of the parameters of sources, with names instead of places in an array."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["ParameterIvars"]

#: Places of the shape parameters, counted from the end; position and fluxes come before them.
_SHAPE_PLACES = {"shape_r": -4, "shape_e1": -3, "shape_e2": -2, "sersic": -1}


@dataclass
class ParameterIvars:
    """Inverse variances of the catalogue parameters of one source, or of many.

    The properties are views: what is assigned to their elements is kept. All have the leading axes of `values`.

    Attributes
    ----------
    values : numpy.ndarray of float64, shape (..., 2 + nbands + 4)
        East and North [1/deg^2], fluxes [1/nanomaggies^2], r_e [1/arcsec^2], e1, e2 (hard), Sersic index.
    """

    values: NDArray[np.float64]

    @classmethod
    def zeros(cls, nbands: int, *rows: int) -> "ParameterIvars":
        """Nothing is known."""
        return cls(np.zeros((*rows, 2 + nbands + len(_SHAPE_PLACES))))

    @classmethod
    def stacked(cls, records: "Sequence[ParameterIvars]") -> "ParameterIvars":
        """Those of many sources, row by row."""
        return cls(np.array([record.values for record in records]))

    @property
    def position(self) -> NDArray[np.float64]:
        """East, North, as angles on the sky; shape (..., 2)."""
        return self.values[..., :2]

    @property
    def flux(self) -> NDArray[np.float64]:
        """Fluxes in the order of the run's bands; shape (..., nbands)."""
        return self.values[..., 2 : -len(_SHAPE_PLACES)]

    @property
    def ellipse(self) -> NDArray[np.float64]:
        """r_e, e1, e2; shape (..., 3)."""
        return self.values[..., _SHAPE_PLACES["shape_r"] : _SHAPE_PLACES["sersic"]]

    def shape(self, name: str) -> NDArray[np.float64]:
        """One of `sources.SHAPE_PARAMETERS`; shape (...,)."""
        return self.values[..., _SHAPE_PLACES[name]]

    def any(self) -> bool:
        """True if anything is known."""
        return bool(self.values.any())

    def finite(self) -> "ParameterIvars":
        """A copy with 0 for what is not finite."""
        return ParameterIvars(np.where(np.isfinite(self.values), self.values, 0.0))
