"""Kernels: cut the windows of a source out of the images of a blob."""

import numpy as np
from numba import njit

from ..wcs.grid_kernels import fill_nearest


@njit(cache=True)
def pixels_in_blob(packed, height, width, packed_blob, blob_height, blob_width, mask, offset, inverr, blob_pixel):
    """Where the images' pixels are in the blob; those outside of it are masked.

    Parameters
    ----------
    packed : float64 (n, PACKED_SIZE); height, width : int64 (n,)
        Packed WCS and size of the images.
    packed_blob, blob_height, blob_width
        The same of the blob's bounding box.
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
def pixels_of_blob(packed, height, width, packed_blob, blob_height, blob_width, out):
    """Flat index of each image's nearest pixel, or -1, for all pixels of the blob's box.

    Parameters are as `pixels_in_blob`; `out` is int32 (n, blob_height * blob_width).
    """
    for i in range(out.shape[0]):
        fill_nearest(packed_blob, packed[i], blob_width, blob_height, width[i], height[i], True, out[i])


@njit(cache=True)
def tighten(rectangles, offset, width, inverr, blob_pixel, segments, label, window, npix):
    """Smallest windows within given rectangles that hold all good pixels.

    A pixel is good if its inverse error is positive and, unless `label` is negative, the blob pixel it falls on has
    this label in the segmentation map.

    Parameters
    ----------
    rectangles : int32 (n, 4)
        x0, y0, w, h; w = 0: image not used.
    offset, width : int64 (n,)
        Start of each image in the flat arrays, and its row length.
    inverr : float32; blob_pixel : int32
        Flat image arrays; `blob_pixel` is the flat index of the nearest blob pixel or -1.
    segments : int32 (blob pixels,)
    label : int
    window : int32 (n, 4)
        Out (w = 0: no good pixel).
    npix : int64 (n,)
        Out: number of good pixels.
    """
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
def gather(
    index,
    window,
    offset,
    width,
    data,
    inverr,
    blob_pixel,
    segments,
    label,
    out_offset,
    out_row,
    out_data,
    out_inverr,
    spans,
):
    """Copy the windows' pixels to contiguous arrays, with inverse error 0 where a pixel is not good.

    Parameters are as `tighten`; `spans` (rows, 2) gets the half-open range of columns with good pixels per row.
    """
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
def sums_without_source(index, window, offset, data, inverr, band, background, chi2):
    """chi-squared per band of the windows without any source, optionally with a fitted sky per image."""
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
