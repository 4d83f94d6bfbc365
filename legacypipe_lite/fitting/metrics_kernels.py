"""Kernels: sums over the patches of a source that its quality measures are made of."""

from numba import njit


@njit(cache=True)
def patch_sums(patches, offset, width, data, inverr, total, sums):
    """Sums over the pixels of a source's patch in each image.

    Parameters
    ----------
    patches : Patches
        The source rendered at its flux.
    offset, width : int64 (n,)
        Start of each image in the flat ones, and its width.
    data, inverr, total : float32
        Flat images: data, inverse errors, and the sum of all sources' models.
    sums : float64 (n, 6)
        Out, with P the patch and M the sum of models: sum P, sum (M - P)|P|, sum P^2, sum P [ie = 0],
        sum ((data - M) ie)^2 P, number of pixels with P != 0.
    """
    rectangles, values = patches.rectangles, patches.values
    for i in range(rectangles.shape[0]):
        for k in range(6):
            sums[i, k] = 0.0
        x0, y0, w, h = rectangles[i, 0], rectangles[i, 1], rectangles[i, 2], rectangles[i, 3]
        for y in range(h):
            start = offset[i] + (y0 + y) * width[i] + x0
            first = patches.offset[i] + y * w
            for x in range(w):
                p = float(values[first + x])
                if p == 0.0:
                    continue
                m = float(total[start + x])
                e = float(inverr[start + x])
                sums[i, 0] += p
                sums[i, 1] += (m - p) * abs(p)
                sums[i, 2] += p * p
                if e == 0.0:
                    sums[i, 3] += p
                chi = (float(data[start + x]) - m) * e
                sums[i, 4] += chi * chi * p
                sums[i, 5] += 1.0


@njit(cache=True)
def products_with_data(patches, images, band, sums):
    """Products of a rendered source with the data and with itself, per band, weighted with the inverse variances.

    Parameters
    ----------
    patches : models.patches.Patches
    images : (int64 (n,), int64 (n,), float32, float32)
        Start of each image in the flat ones, its width; data and inverse errors.
    band : int64 (n,)
    sums : float64 (nbands, 2)
        Out: sum d m / sigma^2, sum m^2 / sigma^2 (added).
    """
    rectangles, starts, values = patches
    offset, width, data, inverr = images
    for i in range(rectangles.shape[0]):
        x0, y0, w, h = rectangles[i, 0], rectangles[i, 1], rectangles[i, 2], rectangles[i, 3]
        for y in range(h if w > 0 else 0):
            at = offset[i] + (y0 + y) * width[i] + x0
            p = starts[i] + y * w
            with_data = 0.0
            with_itself = 0.0
            for x in range(w):
                e = float(inverr[at + x])
                m = float(values[p + x]) * e
                with_data += m * float(data[at + x]) * e
                with_itself += m * m
            sums[band[i], 0] += with_data
            sums[band[i], 1] += with_itself
