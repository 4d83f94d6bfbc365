"""Point spread function of an image: a position-dependent pixelized stamp with a companion Gaussian."""

import warnings
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .. import units

__all__ = ["PsfModel", "gaussian_psf", "resample_stamp"]


@dataclass(frozen=True)
class PsfModel:
    """Pixelized PSF that varies as a polynomial of the position, as PsfEx writes it.

    The stamp at (x, y) is ``sum_k t_k basis[k]`` with terms 1, u, u^2, ..., v, u v, ..., where
    ``u = (x - x_zero) / x_scale`` and ``v = (y - y_zero) / y_scale``. The pixel response is part of the stamp.

    Attributes
    ----------
    basis : numpy.ndarray of float32, shape (nterms, ny, nx)
        Basis stamps; the PSF centre is pixel (ny // 2, nx // 2).
    degree : int
        Polynomial degree d; nterms = (d + 1)(d + 2) / 2.
    x_zero, x_scale, y_zero, y_scale : float
        Normalisation of 0-based image pixel positions.
    gaussian_sigma : float
        Sigma [pixel] of the round unit Gaussian that stands for the PSF when wide galaxy components are
        rendered analytically ("hybrid PSF"); 0: they are not, all components are convolved with the stamp.
    sampling : float
        Size of a stamp pixel in image pixels (PSF_SAMP); 1 in all Legacy Surveys calibrations.
    normalize : bool
        Divide each evaluated stamp by its sum.
    moffat : (float, float) or None
        alpha [arcsec] and beta of the inner star-halo profile, if the calibration gives them.
    """

    basis: np.ndarray
    degree: int = 0
    x_zero: float = 0.0
    x_scale: float = 1.0
    y_zero: float = 0.0
    y_scale: float = 1.0
    gaussian_sigma: float = 1.0
    sampling: float = 1.0
    normalize: bool = True
    moffat: tuple | None = None

    def __post_init__(self) -> None:
        nterms = (self.degree + 1) * (self.degree + 2) // 2
        if self.basis.ndim != 3 or self.basis.shape[0] != nterms:
            raise ValueError(f"PSF of degree {self.degree} needs {nterms} basis stamps, got shape {self.basis.shape}")

    @property
    def is_constant(self) -> bool:
        """True if the PSF does not depend on the position."""
        return self.degree == 0

    @property
    def stamp_shape(self) -> tuple[int, int]:
        """(ny, nx) of the evaluated stamp."""
        ny, nx = self.basis.shape[1:]
        if self.sampling == 1.0:
            return ny, nx
        return _odd_size(ny * self.sampling), _odd_size(nx * self.sampling)

    def polynomial_terms(self, x: float, y: float) -> NDArray[np.float64]:
        """Values of the polynomial terms at a 0-based pixel position; float64 (nterms,)."""
        u = (x - self.x_zero) / self.x_scale
        v = (y - self.y_zero) / self.y_scale
        return np.array([u**i * v**j for j in range(self.degree + 1) for i in range(self.degree + 1 - j)])

    def stamp(self, x: float = 0.0, y: float = 0.0) -> NDArray[np.float32]:
        """PSF stamp at a 0-based pixel position, centred on its central pixel.

        Returns
        -------
        numpy.ndarray of float32, shape `stamp_shape`
        """
        terms = self.polynomial_terms(x, y).astype(np.float32)
        stamp = (terms @ self.basis.reshape(len(terms), -1)).reshape(self.basis.shape[1:])
        if self.sampling != 1.0:
            stamp = resample_stamp(stamp, self.sampling)
        if self.normalize:
            total = stamp.sum()
            if total != 0:
                stamp = stamp / total
        return stamp.astype(np.float32, copy=False)

    def stamps(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float32]:
        """PSF stamps at many positions.

        Parameters
        ----------
        x, y : numpy.ndarray of float64, shape (n,)

        Returns
        -------
        numpy.ndarray of float32, shape (n, ny, nx)
            As of `stamp`, but for the last digit.
        """
        terms = np.array([self.polynomial_terms(a, b) for a, b in zip(x, y)], np.float32).reshape(-1, len(self.basis))
        stamps = (terms @ self.basis.reshape(len(self.basis), -1)).reshape(-1, *self.basis.shape[1:])
        if self.sampling != 1.0:
            stamps = np.array([resample_stamp(stamp, self.sampling) for stamp in stamps], np.float32)
            stamps = stamps.reshape(-1, *self.stamp_shape)
        if self.normalize:
            total = stamps.sum(axis=(1, 2), keepdims=True)
            stamps = stamps / np.where(total != 0, total, np.float32(1.0))
        return stamps.astype(np.float32, copy=False)

    def subimage(self, x0: int, y0: int) -> "PsfModel":
        """The same PSF for the cut-out with origin (x0, y0)."""
        return replace(self, x_zero=self.x_zero - x0, y_zero=self.y_zero - y0)


def gaussian_psf(sigma: float, half_size: int = 25) -> PsfModel:
    """Constant round Gaussian PSF (option ``--gpsf``), sampled at pixel centres.

    Parameters
    ----------
    sigma : float
        Pixels.
    half_size : int
        The stamp has 2 half_size + 1 pixels on a side.
    """
    r = np.arange(-half_size, half_size + 1)
    g = np.exp(-0.5 * (r / sigma) ** 2)
    stamp = np.outer(g, g)
    stamp /= 2 * np.pi * sigma**2
    return PsfModel(stamp.astype(np.float32)[np.newaxis], gaussian_sigma=float(sigma), normalize=False)


def _odd_size(n):
    n = int(np.ceil(n))
    return n if n % 2 else n + 1


def _lanczos3(t):
    return np.where(np.abs(t) < 3, np.sinc(t) * np.sinc(t / 3), 0.0)


def resample_stamp(stamp: NDArray[np.float32], sampling: float) -> NDArray[np.float32]:
    """Stamp on image pixels from a stamp whose pixels have `sampling` times their size (Lanczos-3)."""

    def axis_matrix(n_in):
        n_out = _odd_size(n_in * sampling)
        position = n_in // 2 + (np.arange(n_out) - n_out // 2) / sampling
        nearest = np.rint(position).astype(int)
        matrix = np.zeros((n_out, n_in))
        for tap in range(-3, 4):
            index = np.clip(nearest + tap, 0, n_in - 1)
            weight = _lanczos3(nearest + tap - position)
            np.add.at(matrix, (np.arange(n_out), index), weight)
        return matrix / matrix.sum(axis=1, keepdims=True)

    ny, nx = stamp.shape
    return (axis_matrix(ny) @ stamp @ axis_matrix(nx).T).astype(np.float32)


def __getattr__(name):
    if name == "SIGMA_PER_FWHM":
        warnings.warn("models.psf.SIGMA_PER_FWHM is units.SIGMA_PER_FWHM now", DeprecationWarning, stacklevel=2)
        return units.SIGMA_PER_FWHM
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
