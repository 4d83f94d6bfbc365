"""Kernels: cut the windows of a source out of the images of a blob."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ..wcs.grid_kernels import fill_nearest


class WindowArrays(NamedTuple):
    """The windows of one source in n images; kernels take it as a plain tuple.

    Attributes
    ----------
    window : numpy.ndarray of int32, shape (n, 4)
        x0, y0, w, h.
    offset, row_offset : numpy.ndarray of int64, shape (n,)
        Where each window's pixels, and its rows' spans, start.
    spans : numpy.ndarray of int32, shape (rows, 2)
        Half-open range of window columns that have good pixels.
    data, inverr : numpy.ndarray of float32
        Pixels of all windows; inverse error 0 where a pixel is not good.
    """

    window: NDArray[np.int32]
    offset: NDArray[np.int64]
    row_offset: NDArray[np.int64]
    spans: NDArray[np.int32]
    data: NDArray[np.float32]
    inverr: NDArray[np.float32]


class ImageArrays(NamedTuple):
    """The pixels of the n images of a blob, flat; kernels take it as a plain tuple.

    Attributes
    ----------
    offset, width : numpy.ndarray of int64, shape (n,)
        Start of each image in the flat arrays, and its row length.
    data, inverr : numpy.ndarray of float32
    blob_pixel : numpy.ndarray of int32
        Flat index of the nearest pixel of the blob's box, or -1.
    """

    offset: NDArray[np.int64]
    width: NDArray[np.int64]
    data: NDArray[np.float32]
    inverr: NDArray[np.float32]
    blob_pixel: NDArray[np.int32]


@njit(cache=True)
def pixels_in_blob(geometry, mask, offset, inverr, blob_pixel):
    """Where the images' pixels are in the blob; those outside of it are masked.

    Parameters
    ----------
    geometry : (float64 (n, PACKED_SIZE), int64 (n,), int64 (n,), float64 (PACKED_SIZE,), int, int)
        Packed WCS, height and width of the images, and of the blob's bounding box.
    mask : bool (blob pixels,)
    offset : int64 (n,)
        Start of each image in the flat arrays.
    inverr : float32
        Flat inverse errors: set to 0 outside the blob.
    blob_pixel : int32
        Out: flat index of the nearest pixel of the box, or -1.

    Returns
    -------
    bool (n,)
        Which images have a pixel in the blob.
    """
    packed, height, width, packed_blob, blob_height, blob_width = geometry
    seen = np.zeros(offset.size, np.bool_)
    for i in range(offset.size):
        part = slice(offset[i], offset[i] + height[i] * width[i])
        pixels, errors = blob_pixel[part], inverr[part]
        # Outside of the blob is what the maps of coadds would take for its rim.
        fill_nearest(packed[i], packed_blob, width[i], height[i], blob_width, blob_height, False, pixels)
        for j in range(pixels.size):
            if pixels[j] >= 0 and mask[pixels[j]]:
                seen[i] = True
            else:
                errors[j] = np.float32(0.0)
    return seen


@njit(cache=True)
def pixels_of_blob(geometry, out):
    """Flat index of each image's nearest pixel, or -1, for all pixels of the blob's box.

    Parameters are as `pixels_in_blob`; `out` is int32 (n, blob_height * blob_width).
    """
    packed, height, width, packed_blob, blob_height, blob_width = geometry
    for i in range(out.shape[0]):
        fill_nearest(packed_blob, packed[i], blob_width, blob_height, width[i], height[i], True, out[i])


@njit(cache=True)
def tighten(rectangles, images, segments, label, window, npix):
    """Smallest windows within given rectangles that hold all good pixels.

    A pixel is good if its inverse error is positive and, unless `label` is negative, the blob pixel it falls on has
    this label in the segmentation map.

    Parameters
    ----------
    rectangles : int32 (n, 4)
        x0, y0, w, h; w = 0: image not used.
    images : ImageArrays
    segments : int32 (blob pixels,)
    label : int
    window : int32 (n, 4)
        Out (w = 0: no good pixel).
    npix : int64 (n,)
        Out: number of good pixels.
    """
    offset, width, _, inverr, blob_pixel = images
    for i in range(rectangles.shape[0]):
        x0, y0, w, h = rectangles[i, 0], rectangles[i, 1], rectangles[i, 2], rectangles[i, 3]
        xlo, xhi, ylo, yhi = w, -1, h, -1
        count = 0
        if w > 0:
            for y in range(h):
                start = offset[i] + (y0 + y) * width[i] + x0
                for x in range(w):
                    if inverr[start + x] <= np.float32(0.0):
                        continue
                    if label >= 0:
                        b = blob_pixel[start + x]
                        if b < 0 or segments[b] != label:
                            continue
                    count += 1
                    xlo = min(xlo, x)
                    xhi = max(xhi, x)
                    ylo = min(ylo, y)
                    yhi = y
        npix[i] = count
        if count == 0:
            window[i, :] = 0
        else:
            window[i, 0] = x0 + xlo
            window[i, 1] = y0 + ylo
            window[i, 2] = xhi - xlo + 1
            window[i, 3] = yhi - ylo + 1


@njit(cache=True)
def gather(index, images, segments, label, windows):
    """Set the pixels and spans of windows.

    Parameters
    ----------
    index : int64 (m,)
        Images with good pixels.
    images, segments, label
        As `tighten`.
    windows : WindowArrays
        Its `spans`, `data` and `inverr` are set.
    """
    offset, width, data, inverr, blob_pixel = images
    window, out_offset, out_row, spans, out_data, out_inverr = windows
    for k in range(index.size):
        i = index[k]
        x0, y0, w, h = window[i, 0], window[i, 1], window[i, 2], window[i, 3]
        for y in range(h):
            start = offset[i] + (y0 + y) * width[i] + x0
            out = out_offset[i] + y * w
            lo, hi = w, 0
            for x in range(w):
                ie = inverr[start + x]
                if label >= 0:
                    b = blob_pixel[start + x]
                    if b < 0 or segments[b] != label:
                        ie = np.float32(0.0)
                out_data[out + x] = data[start + x]
                out_inverr[out + x] = ie
                if ie > np.float32(0.0):
                    lo = min(lo, x)
                    hi = x + 1
            spans[out_row[i] + y, 0] = lo
            spans[out_row[i] + y, 1] = hi


@njit(cache=True)
def sums_without_source(index, windows, band, background, chi2):
    """chi-squared per band of the windows without any source, optionally with a fitted sky per image."""
    window, offset, _, _, data, inverr = windows
    chi2[:] = 0.0
    for k in range(index.size):
        i = index[k]
        n = window[i, 2] * window[i, 3]
        rr = 0.0
        rs = 0.0
        ss = 0.0
        for j in range(offset[i], offset[i] + n):
            e = float(inverr[j])
            r = float(data[j]) * e
            rr += r * r
            rs += r * e
            ss += e * e
        if background and ss > 0.0:
            rr -= rs * rs / ss
        chi2[band[i]] += rr
