"""Fourier-space rendering of one galaxy in many images at once.

The model of a galaxy is the product of the PSF's spectrum, the Lanczos-3 shift (two separable factors) and the
profile's transform, taken back to pixels in one batched inverse transform; its shape derivatives are analytic.
Mixture components too wide for a frame are added as analytic Gaussians, convolved with the PSF's companion Gaussian.
Which components these are depends on a fixed half size of 64 pixels, not on the frame, so that the model does not
change with the frame.
"""

from functools import lru_cache

import numpy as np
from scipy import fft

from . import frames_kernels as kernels
from .profiles import mixture, sersic_mixture_with_derivative
from .render_kernels import PAD, SPLIT_HALF_SIZE, TABLE_STEP, profile_table

__all__ = ["PsfSpectra", "Profile", "galaxy_chunks", "GOOD_SIZES"]

#: Even FFT sizes made of 2, 3 and 5 only.
GOOD_SIZES = np.array(
    [
        24, 30, 32, 36, 40, 48, 50, 54, 60, 64, 72, 80, 90, 96, 100, 108, 120, 128, 144, 150, 160, 180, 192, 200, 216,
        240, 256, 288, 300, 320, 360, 384, 400, 432, 480, 512, 540, 576, 600, 640, 720, 768, 800, 864, 900, 960, 1024,
    ]
)  # fmt: skip

_TABLE_NODES = int(12.0 / TABLE_STEP) + 2
#: Spectra of one batch should stay in the cache.
_BATCH_BYTES = 1 << 20
_NOTHING = np.zeros(0)


@lru_cache(maxsize=64)
def _twiddle(size):
    return np.exp(2j * np.pi * np.arange(size) / size).astype(np.complex64)


class Profile:
    """Mixture of a galaxy type with the radial table of its Fourier transform.

    Parameters
    ----------
    source_type : str
        "REX", "EXP", "DEV" or "SER".
    sersic : float
        For SER.

    Attributes
    ----------
    amp, var, damp, dvar : numpy.ndarray
        Mixture and its derivatives with respect to the Sersic index (zeros for fixed profiles).
    table : numpy.ndarray of float32
        Radial table, see `render_kernels`.
    """

    def __init__(self, source_type, sersic=0.0, max_q=None):
        self.source_type = source_type
        self.sersic = float(sersic)
        self.has_index = source_type == "SER"
        if self.has_index:
            self.amp, self.var, self.damp, self.dvar = sersic_mixture_with_derivative(self.sersic)
        else:
            self.amp, self.var = mixture(source_type)
            self.damp = self.dvar = np.zeros_like(self.amp)
        nodes = _TABLE_NODES
        if max_q is not None:
            nodes = min(int(max_q**0.25 / TABLE_STEP) + 4, nodes)
        self.table = np.zeros((nodes, 8), np.float32)
        profile_table(self.amp, self.var, self.damp, self.dvar, self.has_index, self.table)


@lru_cache(maxsize=8)
def fixed_profile(source_type):
    """Profile of REX, EXP or DEV, with its table (made once per process)."""
    return Profile(source_type)


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
    """

    def __init__(self, stamps, gaussian_sigma):
        n = len(stamps)
        self.ph = np.array([s.shape[0] for s in stamps], dtype=np.int64)
        self.pw = np.array([s.shape[1] for s in stamps], dtype=np.int64)
        shape = (n, int(self.ph.max(initial=0)) + 2 * PAD, int(self.pw.max(initial=0)) + 2 * PAD)
        self.padded = np.zeros(shape, np.float32)
        for i, stamp in enumerate(stamps):
            kernels.pad_stamp(np.ascontiguousarray(stamp, np.float32), self.padded[i])
        self.sigma = np.array(gaussian_sigma, dtype=np.float64)
        self._spectra = {}

    def __getstate__(self):
        return {**self.__dict__, "_spectra": {}}

    def invalidate(self, index):
        """Forget the spectra of images whose stamps were changed."""
        for _, done in self._spectra.values():
            done[index] = False

    def spectra(self, size, index):
        """Spectra (n, size, size // 2 + 1) of frames with the stamp centred on pixel (0, 0); valid for `index`."""
        if size not in self._spectra:
            n = len(self.ph)
            self._spectra[size] = (np.zeros((n, size, size // 2 + 1), np.complex64), np.zeros(n, bool))
        values, done = self._spectra[size]
        missing = index[~done[index]]
        if len(missing):
            frames = np.empty((len(missing), size, size), np.float32)
            for frame, i in zip(frames, missing):
                kernels.fold_stamp(self.padded[i], self.ph[i], self.pw[i], size, frame)
            values[missing] = fft.rfft2(frames, axes=(1, 2))
            done[missing] = True
        return values


def galaxy_chunks(
    psf,
    index,
    px,
    py,
    cinv,
    window,
    profile,
    tensor,
    dtensor,
    nshape=0,
    with_n=False,
    *,
    frame_size=None,
    split_half_size=SPLIT_HALF_SIZE,
    max_mahalanobis2=np.inf,
):
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
        Shape derivatives to make: 0, 1 (ln r_e) or 3 (ln r_e, eps1, eps2).
    with_n : bool
        Also the derivative with respect to the Sersic index.
    frame_size : int, optional
        Use this frame size for all images instead of the smallest sufficient one.
    split_half_size : float
        Half size [pixel] that decides which components are rendered as Gaussians.
    max_mahalanobis2 : float
        Cut of the analytic Gaussians.

    Yields
    ------
    chunk : numpy.ndarray of int64
        Images of this chunk.
    planes : numpy.ndarray of float32, shape (m, 1 + nshape + with_n, size, size)
        Model and derivatives; window pixel (x, y) is at frame pixel (x - x0 + BORDER, y - y0 + BORDER).
    """
    n = len(px)
    v, dv = np.zeros((n, 3)), np.zeros((n, 3, 3))
    trace, max_variance, has_gauss = np.zeros(n), np.zeros(n), np.zeros(n, np.bool_)
    half = split_half_size if psf.sigma[index].min(initial=1.0) > 0 else np.inf
    kernels.shapes_in_pixels(
        index, cinv, tensor, dtensor, nshape, profile.var, half, v, dv, trace, max_variance, has_gauss
    )
    if frame_size is None:
        sizes = np.empty(len(index), np.int64)
        kernels.frame_sizes(index, px, py, window, psf.ph, psf.pw, trace, max_variance, GOOD_SIZES, sizes)
    else:
        sizes = np.full(len(index), frame_size, np.int64)
    nplanes = 1 + nshape + int(with_n)
    for size in np.unique(sizes):
        size = int(size)
        members = index[sizes == size]
        spectra = psf.spectra(size, members)
        step = max(1, _BATCH_BYTES // (8 * nplanes * size * (size // 2 + 1)))
        rows = np.empty((3, size // 2 + 1), np.float32)
        local_table = np.empty((_TABLE_NODES if has_gauss[members].any() else 1, 8), np.float32)
        for first in range(0, len(members), step):
            chunk = members[first : first + step]
            out = np.empty((len(chunk), nplanes, size, size // 2 + 1), np.complex64)
            kernels.fill_spectra(
                chunk, size, spectra, px, py, window, v, dv, nshape, with_n, profile.amp, profile.var, profile.damp,
                profile.dvar, half, has_gauss, profile.table, local_table, _twiddle(size), rows, out,
            )  # fmt: skip
            planes = fft.irfft2(out, s=(size, size), axes=(2, 3), overwrite_x=True)
            if has_gauss[chunk].any():
                kernels.fill_gaussians(
                    chunk, px, py, window, v, dv, nshape, with_n, profile.amp, profile.var, profile.damp, profile.dvar,
                    half, has_gauss, psf.sigma, max_mahalanobis2, planes,
                )  # fmt: skip
            yield chunk, planes
