"""Kernels of joint fits: columns of the design matrix, their products, and the normal equations.

The *columns* of a member of a group are the model of unit flux and its derivatives with respect to East, North
[arcsec] (unless the position is fixed), ln r_e, the two soft ellipticities and the Sersic index (what the type has),
all multiplied by the inverse errors, on the member's windows: image after image, column after column, row after row,
float32. A *frame* is the part of an image that holds all windows of the group; the frames' residuals, multiplied by the
inverse errors, are one flat float32 array.

All members of a group are in one set of flat arrays, `Layout`.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit, uint64

from ..models.render_kernels import BORDER, point_source
from .normal_kernels import _first_derivative, _negative_slope, _scaled, _second_derivative, _shape_column

_FAST = {"reassoc", "contract", "nsz", "arcp"}
#: Most columns of a member: model, East, North, ln r_e, eps1, eps2, Sersic index.
MOST_COLUMNS = 7


class Layout(NamedTuple):
    """Where the windows and columns of a group's members are.

    Attributes
    ----------
    window : int32 (members, images, 4)
        x0, y0, w, h in the image; w = 0: none.
    start : int64 (members, images)
        Start of the member's columns of this image in its own column array.
    ncol : int64 (members,)
        Number of columns.
    frame : int32 (images, 4)
        The part of each image that holds all windows.
    offset : int64 (images,)
        Start of each frame in the flat residuals.
    band : int64 (images,)
    """

    window: np.ndarray
    start: np.ndarray
    ncol: np.ndarray
    frame: np.ndarray
    offset: np.ndarray
    band: np.ndarray


@njit(cache=True)
def windows_around(px, py, reach, sizes, rectangles):
    """Squares of half size `reach` around a position in each image, clipped to it.

    Parameters
    ----------
    px, py : float64 (n,)
        Pixel positions; NaN: no square.
    reach : float64 (n,)
        Pixels.
    sizes : (int64 (n,), int64 (n,))
        Heights and widths of the images.
    rectangles : int32 (n, 4)
        Out: x0, y0, w, h; w = 0: none.
    """
    height, width = sizes
    for i in range(px.size):
        rectangles[i, :] = 0
        if not (abs(px[i]) < 1e6 and abs(py[i]) < 1e6):
            continue
        x0 = max(int(math.floor(px[i] - reach[i])), 0)
        y0 = max(int(math.floor(py[i] - reach[i])), 0)
        x1 = min(int(math.ceil(px[i] + reach[i])) + 1, width[i])
        y1 = min(int(math.ceil(py[i] + reach[i])) + 1, height[i])
        if x0 < x1 and y0 < y1:
            rectangles[i, 0], rectangles[i, 1], rectangles[i, 2], rectangles[i, 3] = x0, y0, x1 - x0, y1 - y0


@njit(cache=True, fastmath=_FAST)
def _overlap_sum(a, a_start, b, b_start, inverr, pixel, n):
    total = np.float32(0.0)
    for k in range(n):
        e = inverr[pixel + k]
        total += a[a_start + k] * b[b_start + k] * (e * e)
    return total


@njit(cache=True)
def patch_products(first, second, limit, images, band, sums):
    """Noise-weighted products of two rendered sources per band, within two sets of windows.

    Parameters
    ----------
    first, second : models.patches.Patches
        The sources in all images.
    limit : int32 (n, 4)
        Only pixels in this rectangle count.
    images : (int64 (n,), int64 (n,), float32)
        Start of each image in the flat ones, its width, and the inverse errors.
    band : int64 (n,)
    sums : float64 (nbands,)
        Out.
    """
    ra, sa, va = first
    rb, sb, vb = second
    offset, width, inverr = images
    sums[:] = 0.0
    for i in range(band.size):
        if ra[i, 2] == 0 or rb[i, 2] == 0 or limit[i, 2] == 0:
            continue
        x0 = max(ra[i, 0], rb[i, 0], limit[i, 0])
        y0 = max(ra[i, 1], rb[i, 1], limit[i, 1])
        x1 = min(ra[i, 0] + ra[i, 2], rb[i, 0] + rb[i, 2], limit[i, 0] + limit[i, 2])
        y1 = min(ra[i, 1] + ra[i, 3], rb[i, 1] + rb[i, 3], limit[i, 1] + limit[i, 3])
        if x0 >= x1 or y0 >= y1:
            continue
        for y in range(y0, y1):
            a = uint64(sa[i] + (y - ra[i, 1]) * ra[i, 2] + x0 - ra[i, 0])
            b = uint64(sb[i] + (y - rb[i, 1]) * rb[i, 2] + x0 - rb[i, 0])
            pixel = uint64(offset[i] + y * width[i] + x0)
            sums[band[i]] += _overlap_sum(va, a, vb, b, inverr, pixel, uint64(x1 - x0))


@njit(cache=True)
def intersections(first, second, out):
    """Common part (n, 4) of two sets of rectangles (n, 4); returns whether there is any."""
    found = False
    for i in range(first.shape[0]):
        out[i, :] = 0
        if first[i, 2] == 0 or second[i, 2] == 0:
            continue
        x0, y0 = max(first[i, 0], second[i, 0]), max(first[i, 1], second[i, 1])
        x1 = min(first[i, 0] + first[i, 2], second[i, 0] + second[i, 2])
        y1 = min(first[i, 1] + first[i, 3], second[i, 1] + second[i, 3])
        if x0 < x1 and y0 < y1:
            out[i, 0], out[i, 1], out[i, 2], out[i, 3] = x0, y0, x1 - x0, y1 - y0
            found = True
    return found


@njit(cache=True, fastmath=_FAST)
def _to_sky(columns, x, y, xe, xn, ye, yn, n):
    """Turn d/dpx, d/dpy at `x` and `y` into d/dEast, d/dNorth."""
    for k in range(n):
        a, b = columns[x + k], columns[y + k]
        columns[x + k] = xe * a + ye * b
        columns[y + k] = xn * a + yn * b


@njit(cache=True)
def point_columns(index, psf, places, windows, position, images, columns):
    """Columns of a point source.

    Parameters
    ----------
    index : int64 (m,)
        Images with a window.
    psf : (float32 (n, ny, nx), int64 (n,), int64 (n,))
        Padded stamps and their sizes (`models.frames.PsfSpectra`).
    places : (float64 (n,), float64 (n,), float64 (n, 4))
        Pixel positions x and y, and d(x, y)/d(East, North) [pixel/arcsec].
    windows : (int32 (n, 4), int64 (n,))
        `Layout.window` and `Layout.start` of this member.
    position : bool
        Whether the position is free.
    images : (int64 (n,), int64 (n,), float32)
        Start of each image in the flat ones, its width, and the inverse errors.
    columns : float32
        Out.
    """
    stamps, ph, pw = psf
    px, py, cinv = places
    window, start = windows
    offset, width, inverr = images
    most = 0
    for k in range(index.size):
        most = max(most, window[index[k], 2] * window[index[k], 3])
    scratch = np.empty(2 * stamps.shape[1] * stamps.shape[2], np.float32)
    planes = np.empty(3 * most, np.float32)
    for k in range(index.size):
        i = index[k]
        x0, y0, w, h = window[i, 0], window[i, 1], window[i, 2], window[i, 3]
        point_source(stamps[i], ph[i], pw[i], px[i], py[i], window[i], position, scratch, planes)
        size = uint64(w * h)
        for c in range(3 if position else 1):
            for y in range(h):
                pixel = uint64(offset[i] + (y0 + y) * width[i] + x0)
                at = uint64(c) * size + uint64(y * w)
                _scaled(planes, at, inverr, pixel, uint64(w), columns, uint64(start[i]) + at)
        if position:
            xe, xn, ye, yn = cinv[i].astype(np.float32)
            _to_sky(columns, uint64(start[i]) + size, uint64(start[i]) + size + size, xe, xn, ye, yn, size)


@njit(cache=True)
def galaxy_columns(chunk, planes, shapes, cinv, windows, position, images, columns):
    """Columns of a galaxy in the images of a chunk; parameters as `point_columns` and `normal_kernels.gram_galaxy`."""
    _, dv, nshape, exact = shapes
    window, start = windows
    offset, width, inverr = images
    with_n = planes.shape[1] > 1 + (nshape if exact else min(nshape, 1))
    flat = planes.ravel()
    stride, plane = uint64(planes.shape[3]), uint64(planes.shape[2] * planes.shape[3])
    rows = np.empty((4, planes.shape[3]), np.float32)
    slope, xx, xy, yy = rows[0], rows[1], rows[2], rows[3]
    one, three, six = uint64(1), uint64(3), uint64(6)
    for k in range(chunk.size):
        i = chunk[k]
        x0, y0, w, h = window[i, 0], window[i, 1], window[i, 2], window[i, 3]
        n, size = uint64(w), uint64(w * h)
        for y in range(h):
            pixel = uint64(offset[i] + (y0 + y) * width[i] + x0)
            at = uint64(k * planes.shape[1]) * plane + uint64(y + BORDER) * stride + uint64(BORDER)
            to = uint64(start[i]) + uint64(y * w)
            _scaled(flat, at, inverr, pixel, n, columns, to)
            to += size
            if position:
                _negative_slope(flat, at, one, inverr, pixel, n, columns, to)
                _negative_slope(flat, at, stride, inverr, pixel, n, columns, to + size)
                to += size + size
            at += plane
            if exact:
                for _ in range(nshape):
                    _scaled(flat, at, inverr, pixel, n, columns, to)
                    at += plane
                    to += size
            elif nshape > 0:
                _second_derivative(flat, at, one, n, xx)
                _second_derivative(flat, at, stride, n, yy)
                _first_derivative(flat, at - three, stride, n + six, slope)
                _first_derivative(slope, three, one, n, xy)
                at += plane
                for d in range(nshape):
                    change = np.float32(dv[i, d, 0]), np.float32(2.0 * dv[i, d, 1]), np.float32(dv[i, d, 2])
                    _shape_column(change, (xx, xy, yy), inverr, pixel, n, columns, to)
                    to += size
            if with_n:
                _scaled(flat, at, inverr, pixel, n, columns, to)
        if position:
            xe, xn, ye, yn = cinv[i].astype(np.float32)
            _to_sky(columns, uint64(start[i]) + size, uint64(start[i]) + size + size, xe, xn, ye, yn, size)


@njit(cache=True)
def cut_frames(frame, frame_offset, images, data, residual):
    """Weighted residuals of the frames, cut out of the images' data; parameters as `Layout` and `point_columns`."""
    offset, width, inverr = images
    for i in range(frame.shape[0]):
        x0, y0, w, h = frame[i, 0], frame[i, 1], frame[i, 2], frame[i, 3]
        for y in range(h):
            at = offset[i] + (y0 + y) * width[i] + x0
            to = frame_offset[i] + y * w
            for x in range(w):
                residual[to + x] = data[at + x] * inverr[at + x]


@njit(cache=True, fastmath=_FAST)
def _add_scaled(columns, at, factor, n, residual, to):
    for k in range(n):
        residual[to + k] += factor * columns[at + k]


@njit(cache=True)
def add_model(member, columns, coefficients, sign, layout, residual):
    """Add a combination of a member's columns to the weighted residuals.

    Parameters
    ----------
    member : int
    columns : float32
        Of this member.
    coefficients : float64 (nbands, MOST_COLUMNS)
        Of the columns, per band.
    sign : float
    layout : Layout
    residual : float32
    """
    for i in range(layout.band.size):
        x0, y0, w, h = layout.window[member, i]
        if w == 0:
            continue
        fx, fy, fw, _ = layout.frame[i]
        size = uint64(w * h)
        for c in range(layout.ncol[member]):
            factor = np.float32(sign * coefficients[layout.band[i], c])
            if factor == np.float32(0.0):
                continue
            at = uint64(layout.start[member, i]) + uint64(c) * size
            for y in range(h):
                to = uint64(layout.offset[i] + (y0 + y - fy) * fw + x0 - fx)
                _add_scaled(columns, at + uint64(y * w), factor, uint64(w), residual, to)


@njit(cache=True, fastmath=_FAST)
def _dot(a, p, b, q, n):
    total = np.float32(0.0)
    for k in range(n):
        total += a[p + k] * b[q + k]
    return total


@njit(cache=True)
def slopes(member, columns, layout, residual, out):
    """Products of a member's columns with the weighted residuals, per band: float64 (nbands, MOST_COLUMNS) out."""
    out[:] = 0.0
    for i in range(layout.band.size):
        x0, y0, w, h = layout.window[member, i]
        if w == 0:
            continue
        fx, fy, fw, _ = layout.frame[i]
        size = uint64(w * h)
        for c in range(layout.ncol[member]):
            at = uint64(layout.start[member, i]) + uint64(c) * size
            total = 0.0
            for y in range(h):
                to = uint64(layout.offset[i] + (y0 + y - fy) * fw + x0 - fx)
                total += _dot(columns, at + uint64(y * w), residual, to, uint64(w))
            out[layout.band[i], c] += total


@njit(cache=True, fastmath=_FAST)
def sum_of_squares(residual, n):
    """Sum of the squares of float32 numbers, in blocks, as float64."""
    total = 0.0
    for first in range(0, n, 512):
        part = np.float32(0.0)
        for k in range(first, min(first + 512, n)):
            part += residual[k] * residual[k]
        total += part
    return total


@njit(cache=True, fastmath=_FAST)
def _four_dots(a, p, b, q, step, n):
    """Products of one row with those of four columns, which are `step` apart."""
    q1 = q + step
    q2 = q1 + step
    q3 = q2 + step
    s0 = s1 = s2 = s3 = np.float32(0.0)
    for k in range(n):
        x = a[p + k]
        s0 += x * b[q + k]
        s1 += x * b[q1 + k]
        s2 += x * b[q2 + k]
        s3 += x * b[q3 + k]
    return s0, s1, s2, s3


@njit(cache=True)
def products(first, a, second, b, layout, out):
    """Products of the columns of two members (or of one with itself) over their common pixels, per band.

    Parameters
    ----------
    first, second : int
        Members.
    a, b : float32
        Their columns.
    layout : Layout
    out : float64 (nbands, MOST_COLUMNS, MOST_COLUMNS)
        Out.
    """
    out[:] = 0.0
    na, nb = layout.ncol[first], layout.ncol[second]
    for i in range(layout.band.size):
        ax, ay, aw, ah = layout.window[first, i]
        bx, by, bw, bh = layout.window[second, i]
        x0, y0 = max(ax, bx), max(ay, by)
        x1, y1 = min(ax + aw, bx + bw), min(ay + ah, by + bh)
        if x0 >= x1 or y0 >= y1:
            continue
        n = uint64(x1 - x0)
        a_size, b_size = uint64(aw * ah), uint64(bw * bh)
        m = out[layout.band[i]]
        for y in range(y0, y1):
            p = uint64(layout.start[first, i] + (y - ay) * aw + x0 - ax)
            for c in range(na):
                q = uint64(layout.start[second, i] + (y - by) * bw + x0 - bx)
                d = 0
                last = c + 1 if first == second else nb
                while d + 4 <= last:
                    s0, s1, s2, s3 = _four_dots(a, p, b, q, b_size, n)
                    m[c, d] += s0
                    m[c, d + 1] += s1
                    m[c, d + 2] += s2
                    m[c, d + 3] += s3
                    q += b_size + b_size + b_size + b_size
                    d += 4
                while d < last:
                    m[c, d] += _dot(a, p, b, q, n)
                    q += b_size
                    d += 1
                p += a_size
    if first == second:
        for k in range(out.shape[0]):
            for c in range(na):
                for d in range(c):
                    out[k, d, c] = out[k, c, d]


@njit(cache=True)
def assemble(pairs, blocks, flux, free_flux, place, ncol, matrix):
    """Normal matrix of all free parameters of a group (without priors).

    The parameters of a member are the fluxes of its free bands, then those of its columns 1, 2, ... Derivatives with
    respect to the latter are the columns times the flux.

    Parameters
    ----------
    pairs : int64 (npairs, 2)
        Members of each block.
    blocks : float64 (npairs, nbands, MOST_COLUMNS, MOST_COLUMNS)
        From `products`.
    flux : float64 (members, nbands)
    free_flux : bool (members, nbands)
    place : int64 (members,)
        First parameter of each member; -1: it has no free ones.
    ncol : int64 (members,)
        Free columns of each member, counting the model itself.
    matrix : float64 (n, n)
        Out.
    """
    nbands = flux.shape[1]
    matrix[:] = 0.0
    factor_a, factor_b = np.empty(MOST_COLUMNS), np.empty(MOST_COLUMNS)
    for k in range(pairs.shape[0]):
        i, j = pairs[k, 0], pairs[k, 1]
        if place[i] < 0 or place[j] < 0:
            continue
        flux_i, flux_j = place[i], place[j]
        rest_i = place[i] + free_flux[i].sum()
        rest_j = place[j] + free_flux[j].sum()
        for b in range(nbands):
            m = blocks[k, b]
            for c in range(ncol[i]):
                factor_a[c] = flux[i, b] if c else 1.0
            for c in range(ncol[j]):
                factor_b[c] = flux[j, b] if c else 1.0
            for c in range(ncol[i]):
                if c == 0 and not free_flux[i, b]:
                    continue
                row = flux_i if c == 0 else rest_i + c - 1
                for d in range(ncol[j]):
                    if d == 0 and not free_flux[j, b]:
                        continue
                    column = flux_j if d == 0 else rest_j + d - 1
                    matrix[row, column] += m[c, d] * factor_a[c] * factor_b[d]
            flux_i += free_flux[i, b]
            flux_j += free_flux[j, b]
        if i != j:
            for row in range(place[i], rest_i + ncol[i] - 1):
                for column in range(place[j], rest_j + ncol[j] - 1):
                    matrix[column, row] = matrix[row, column]


@njit(cache=True, fastmath=_FAST)
def _row_dot(a, b, n):
    total = 0.0
    for k in range(n):
        total += a[k] * b[k]
    return total


@njit(cache=True)
def factorise(matrix, floor):
    """Cholesky factor (lower triangle) in place of a matrix of unit diagonal.

    A pivot that is not above `floor` belongs to a parameter that the others determine: its row becomes one of the
    identity, so that it takes no step.

    Returns
    -------
    bool (n,)
        Which parameters were determined.
    """
    n = matrix.shape[0]
    good = np.ones(n, np.bool_)
    for i in range(n):
        for j in range(i):
            s = matrix[i, j] - _row_dot(matrix[i], matrix[j], j)
            matrix[i, j] = s / matrix[j, j] if good[j] else 0.0
        d = matrix[i, i] - _row_dot(matrix[i], matrix[i], i)
        if d > floor:
            matrix[i, i] = math.sqrt(d)
        else:
            good[i] = False
            matrix[i, :i] = 0.0
            matrix[i, i] = 1.0
    return good


@njit(cache=True)
def solve_factored(factor, good, rhs):
    """Solve with the result of `factorise`, in place of `rhs`."""
    n = rhs.size
    for i in range(n):
        if not good[i]:
            rhs[i] = 0.0
            continue
        rhs[i] = (rhs[i] - _row_dot(factor[i], rhs, i)) / factor[i, i]
    for i in range(n - 1, -1, -1):
        x = rhs[i] / factor[i, i]
        rhs[i] = x
        for k in range(i):
            rhs[k] -= factor[i, k] * x


@njit(cache=True)
def invert_factored(factor, good, out):
    """Inverse of the matrix that was factorised, into `out`; parameters that were not determined have 0."""
    n = factor.shape[0]
    # rows of the inverse of the factor, transposed: out[j, i] = L^-1[i, j]
    for j in range(n):
        out[j, :] = 0.0
        if not good[j]:
            continue
        out[j, j] = 1.0 / factor[j, j]
        for i in range(j + 1, n):
            if good[i]:
                out[j, i] = -_row_dot(factor[i, j:i], out[j, j:i], i - j) / factor[i, i]
    # in place: row i of the product needs rows >= i only from column i on
    for i in range(n):
        for j in range(i, n):
            out[i, j] = _row_dot(out[i, j:], out[j, j:], n - j)
    for i in range(n):
        for j in range(i):
            out[i, j] = out[j, i]
