"""Fourier-space rendering of one galaxy in many images at once.

The model of a galaxy is the product of the PSF's spectrum, the Lanczos-3 shift (two separable factors) and the
profile's transform, taken back to pixels in one batched inverse transform; its shape derivatives are analytic.
Mixture components too wide for a frame are added as analytic Gaussians, convolved with the PSF's companion Gaussian.
Which components these are depends on a fixed half size of 64 pixels, not on the frame, so that the model does not
change with the frame.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft

from . import frames_kernels as kernels
from .profiles import mixture, sersic_mixture_with_derivative
from .render_kernels import BORDER, PAD, SPLIT_HALF_SIZE, Mixture, Places, Shapes
from .sources import SOURCE_TYPES
from .spectra_kernels import Frame, Transforms, galaxy_spectra

__all__ = ["PsfSpectra", "Profile", "profile_of", "galaxy_chunks", "frame_of"]

#: Spectra of one batch should stay in the cache.
_BATCH_BYTES = 1 << 20
_NO_SHARE = np.empty((0, 0), np.float32)


@lru_cache(maxsize=32)
def frame_of(size: int) -> tuple:
    """`spectra_kernels.Frame` of a size, as a plain tuple."""
    angle = 2 * np.pi * np.arange(size) / size
    waves = np.stack([np.cos(angle), np.sin(angle)]).astype(np.float32)
    kx = np.arange(size // 2 + 1)[np.newaxis, :]
    ky = np.fft.fftfreq(size, 1 / size)[:, np.newaxis]
    forms = np.stack([np.broadcast_to(f, (size, kx.size)).ravel() for f in (kx * kx, 2 * kx * ky, ky * ky)])
    return tuple(Frame(size, waves, forms.astype(np.float32)))


class Profile:
    """Mixture of a galaxy type.

    Parameters
    ----------
    source_type : str
        A galaxy type of `sources.SOURCE_TYPES`.
    sersic : float
        Sersic index, if it is a free parameter of the type.

    Attributes
    ----------
    amp, var, damp, dvar : numpy.ndarray of float64
        Mixture and its derivatives with respect to the Sersic index (zeros for fixed profiles).
    mixture, transforms : tuple
        The same as `render_kernels.Mixture` and `spectra_kernels.Transforms`, for kernels.
    """

    def __init__(self, source_type: str, sersic: float = 0.0) -> None:
        self.has_index = SOURCE_TYPES[source_type].has_index
        if self.has_index:
            self.amp, self.var, self.damp, self.dvar = sersic_mixture_with_derivative(float(sersic))
        else:
            self.amp, self.var = mixture(source_type)
            self.damp = self.dvar = np.zeros_like(self.amp)
        rate = -2 * np.pi**2 / math.log(2)
        self.mixture = tuple(Mixture(self.amp, self.var, self.damp, self.dvar))
        arrays = rate * self.var, self.amp, self.damp, rate * self.dvar
        self.transforms = tuple(Transforms(*(values.astype(np.float32) for values in arrays)))


@lru_cache(maxsize=16)
def _fixed_profile(source_type: str) -> Profile:
    return Profile(source_type)


def profile_of(source_type: str, sersic: float = 0.0) -> Profile:
    """`Profile` of a galaxy type; made once per process if its Sersic index is fixed."""
    return Profile(source_type, sersic) if SOURCE_TYPES[source_type].has_index else _fixed_profile(source_type)


class PsfSpectra:
    """Constant PSF stamps of a set of images, and their spectra for the frame sizes that are needed.

    Parameters
    ----------
    stamps : sequence of numpy.ndarray
        One float32 stamp per image; sizes may differ.
    gaussian_sigma : array_like
        Sigma [pixel] of each PSF's companion Gaussian; 0 or less: render all components through the FFT.

    Attributes
    ----------
    padded : numpy.ndarray of float32, shape (n, max ny + 2 PAD, max nx + 2 PAD)
    ph, pw : numpy.ndarray of int64
        Stamp sizes.
    reach : numpy.ndarray of float64
        Distance from the centre to the edge of each stamp [pixel].
    """

    def __init__(self, stamps: Sequence[NDArray[np.float32]], gaussian_sigma: ArrayLike) -> None:
        n = len(stamps)
        self.ph = np.array([s.shape[0] for s in stamps], dtype=np.int64)
        self.pw = np.array([s.shape[1] for s in stamps], dtype=np.int64)
        self.reach = 0.5 * np.maximum(self.ph, self.pw)
        shape = (n, int(self.ph.max(initial=0)) + 2 * PAD, int(self.pw.max(initial=0)) + 2 * PAD)
        self.padded = np.zeros(shape, np.float32)
        for i, stamp in enumerate(stamps):
            kernels.pad_stamp(np.ascontiguousarray(stamp, np.float32), self.padded[i])
        self.sigma = np.array(gaussian_sigma, dtype=np.float64)
        self.all_gaussian = bool(np.all(self.sigma > 0))
        self._spectra: dict[Any, Any] = {}

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_spectra": {}}

    def replaced(self, stamps: dict[int, NDArray[np.float32]]) -> "PsfSpectra":
        """The same PSFs with other stamps of the same size for some images, given as a dict {number: stamp}."""
        other = PsfSpectra.__new__(PsfSpectra)
        other.__dict__.update(self.__dict__)
        other.padded, other._spectra = self.padded.copy(), {}
        for i, stamp in stamps.items():
            kernels.pad_stamp(stamp, other.padded[i])
        return other

    def spectra(self, size: int, index: NDArray[np.int64]) -> NDArray[np.float32]:
        """Spectra of frames with the stamp centred on pixel (0, 0), valid for the images in `index`.

        Returns
        -------
        numpy.ndarray of float32, shape (n, 2, size * (size // 2 + 1))
            Real and imaginary parts.
        """
        if size not in self._spectra:
            n = len(self.ph)
            self._spectra[size] = (np.empty((n, 2, size * (size // 2 + 1)), np.float32), np.zeros(n, bool))
        values, done = self._spectra[size]
        if done.all() or done[index].all():
            return values
        missing = index[~done[index]]
        frames = np.empty((len(missing), size, size), np.float32)
        kernels.fold_stamps(missing, self.padded, self.ph, self.pw, size, frames)
        transformed = fft.rfft2(frames, axes=(1, 2)).reshape(len(missing), -1)
        values[missing, 0], values[missing, 1] = transformed.real, transformed.imag
        done[missing] = True
        return values


@dataclass
class GalaxyChunk:
    """One galaxy of unit flux rendered in some images.

    Attributes
    ----------
    index : numpy.ndarray of int64, shape (m,)
        Their numbers.
    planes : numpy.ndarray of float32, shape (m, nplanes, ny, nx)
        Model, shape derivatives or the second moment density, derivative with respect to the Sersic index (see
        `spectra_kernels.galaxy_spectra`); window pixel (x, y) is at (x - x0 + border, y - y0 + border).
    shapes : tuple
        `render_kernels.Shapes` of all images.
    """

    index: NDArray[np.int64]
    planes: NDArray[np.float32]
    shapes: tuple


def galaxy_chunks(
    psf: PsfSpectra,
    index: NDArray[np.int64],
    px: NDArray[np.float64],
    py: NDArray[np.float64],
    cinv: NDArray[np.float64],
    window: NDArray[np.int32],
    profile: Profile,
    tensor: NDArray[np.float64],
    dtensor: NDArray[np.float64],
    nshape: int = 0,
    with_n: bool = False,
    *,
    exact: bool = True,
    border: bool = False,
    reach: NDArray[np.float64] | None = None,
    tails: float = 4.0,
    frame_size: int | None = None,
    split_half_size: float = SPLIT_HALF_SIZE,
    max_mahalanobis2: float = np.inf,
) -> Iterator[GalaxyChunk]:
    """Render a galaxy of unit flux in many images, chunk by chunk.

    Parameters
    ----------
    psf : PsfSpectra
    index : numpy.ndarray of int64
        Images in which to render.
    px, py : numpy.ndarray of float64, shape (n,)
        Pixel positions in all images.
    cinv : numpy.ndarray of float64, shape (n, 4)
        d(x, y)/d(East, North) [pixel/arcsec].
    window : numpy.ndarray of int32, shape (n, 4)
        x0, y0, w, h of each image's window.
    profile : Profile
    tensor, dtensor : numpy.ndarray, shapes (3,), (3, 3)
        Shape tensor and its derivatives (`ellipse.soft_shape_tensor`).
    nshape : int
        Free shape parameters: 1 (ln r_e), 3 (ln r_e, eps1, eps2), or 0 if only a model is wanted.
    with_n : bool
        Also make the derivative with respect to the Sersic index.
    exact : bool
        Make the shape derivatives themselves, not the second moment density, of which they are second derivatives.
    border : bool
        Render BORDER pixels around the windows, too, for derivatives.
    reach : numpy.ndarray of float64, shape (n,), optional
        Distance from its centre to which each PSF matters [pixel]; by default that of the stamp's edge. What wraps
        around the edges of a frame comes from farther out.
    tails : float
        The same for the components of the mixture, in units of their sigma.
    frame_size : int, optional
        Use this frame size for all images instead of the smallest sufficient one.
    split_half_size : float
        Half size [pixel] that decides which components are rendered as Gaussians.
    max_mahalanobis2 : float
        Cut of the analytic Gaussians.

    Yields
    ------
    GalaxyChunk
    """
    n, m = len(px), len(profile.amp)
    share = np.empty((n, m), np.float32)
    places = tuple(Places(px, py, window))
    shapes = tuple(Shapes(np.empty((n, 3)), np.empty((n, 3, 3)), nshape, exact))
    sizes = np.empty(len(index), np.int64)
    half = split_half_size if psf.all_gaussian or np.all(psf.sigma[index] > 0) else np.inf
    reaches = float(half), psf.reach if reach is None else reach, float(tails)
    wings = kernels.plan_frames(index, places, cinv, (tensor, dtensor), profile.var, reaches, shapes, share, sizes)
    if frame_size is not None:
        sizes[:] = frame_size
    if not wings:
        share = _NO_SHARE
    nplanes = 1 + (nshape if exact else min(nshape, 1)) + int(with_n)
    different = sorted(set(sizes.tolist()))
    for size in different:
        members = index if len(different) == 1 else index[sizes == size]
        spectra = psf.spectra(size, members)
        step = max(1, _BATCH_BYTES // (8 * nplanes * size * (size // 2 + 1)))
        for first in range(0, len(members), step):
            chunk = members[first : first + step]
            out = np.empty((len(chunk), nplanes, size, size // 2 + 1), np.complex64)
            galaxy_spectra(chunk, spectra, places, shapes, profile.transforms, with_n, share, frame_of(size), out)
            planes = fft.irfft2(out, s=(size, size), axes=(2, 3), overwrite_x=True)
            if border:
                frames = planes
                w, h = kernels.largest_window(chunk, window)
                planes = np.empty((len(chunk), nplanes, h + 2 * BORDER, w + 2 * BORDER), np.float32)
                kernels.unfold(chunk, frames, window, planes)
            if wings:
                margin = BORDER if border else 0
                kernels.add_wings(
                    chunk, places, shapes, profile.mixture, half, psf.sigma, max_mahalanobis2, margin, planes
                )
            yield GalaxyChunk(chunk, planes, shapes)
