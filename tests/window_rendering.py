"""One source in a window of one image, with its derivatives, made of the parts that fits are made of."""

import numpy as np

from legacypipe_lite.models import render_kernels
from legacypipe_lite.models.frames import PsfSpectra, galaxy_chunks, profile_of
from legacypipe_lite.models.render import shape_tensor_with_derivatives
from legacypipe_lite.models.render_kernels import BORDER, SPLIT_HALF_SIZE, STENCIL


def render_window(
    source_type,
    px,
    py,
    cinv,
    shape,
    stamp,
    gaussian_sigma,
    window,
    *,
    frame_size=None,
    split_half_size=SPLIT_HALF_SIZE,
    max_mahalanobis2=np.inf,
    derivatives=False,
    exact=True,
):
    """Unit-flux model of one source in a window of one image.

    Parameters
    ----------
    source_type : str
    px, py : float
        Position in the image.
    cinv : array_like, shape (2, 2)
        d(x, y)/d(East, North) [pixel/arcsec].
    shape : (float, float, float, float)
        ln r_e [arcsec], eps1, eps2 (soft ellipticity), Sersic index. Ignored for PSF.
    stamp : numpy.ndarray
        PSF stamp.
    gaussian_sigma : float
        Of the PSF's companion Gaussian [pixel].
    window : (x0, y0, w, h)
    frame_size, split_half_size, max_mahalanobis2
        See `frames.galaxy_chunks`.
    derivatives : bool
        Return also the derivatives.
    exact : bool
        Shape derivatives from their transforms; else by pixel differences, as most of the steps of a fit take them.

    Returns
    -------
    numpy.ndarray of float32, shape (h, w), or (planes, h, w) with derivatives
        Planes: model, d/dpx, d/dpy, then for galaxies d/d(ln r_e) [, d/d eps1, d/d eps2 [, d/dn]].
    """
    x0, y0, w, h = window
    psf = PsfSpectra([stamp], [gaussian_sigma])
    if source_type == "PSF":
        planes = np.empty((3, h, w), np.float32)
        scratch = np.empty(2 * psf.padded[0].size, np.float32)
        render_kernels.point_source(
            psf.padded[0], psf.ph[0], psf.pw[0], px, py, np.array(window), derivatives, scratch, planes.ravel()
        )
        return planes if derivatives else planes[0]
    log_re, eps1, eps2, sersic = shape
    tensor, dtensor = shape_tensor_with_derivatives(log_re, eps1, eps2)
    nshape = (1 if source_type == "REX" else 3) if derivatives else 0
    (chunk,) = galaxy_chunks(
        psf,
        np.zeros(1, np.int64),
        np.array([float(px)]),
        np.array([float(py)]),
        np.asarray(cinv, float).reshape(1, 4),
        np.array([[x0, y0, w, h]], np.int32),
        profile_of(source_type, sersic),
        tensor,
        dtensor,
        nshape,
        derivatives and source_type == "SER",
        exact=exact,
        border=derivatives,
        frame_size=frame_size,
        split_half_size=split_half_size,
        max_mahalanobis2=max_mahalanobis2,
    )
    planes = chunk.planes[0]
    if not derivatives:
        return planes[0, :h, :w].copy()
    inner = slice(BORDER, BORDER + h), slice(BORDER, BORDER + w)
    out = [planes[0][inner], -stencil(planes[0], 1)[inner], -stencil(planes[0], 0)[inner]]
    if exact:
        out += [plane[inner] for plane in planes[1:]]
    else:
        hx, hy = stencil(planes[1], 1), stencil(planes[1], 0)
        hxx, hxy, hyy = stencil(hx, 1), stencil(hx, 0), stencil(hy, 0)
        out += [(dxx * hxx + 2 * dxy * hxy + dyy * hyy)[inner] for dxx, dxy, dyy in chunk.shapes[1][0, :nshape]]
        out += [plane[inner] for plane in planes[2:]]
    return np.array(out, np.float32)


def stencil(plane, axis):
    """First derivative of an image along an axis, as the fit takes it; not valid in the outer 3 pixels."""
    return sum(w * (np.roll(plane, -m, axis) - np.roll(plane, m, axis)) for m, w in enumerate(STENCIL, 1))
