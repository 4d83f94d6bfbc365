"""Kernel: resample one image onto the target grid and add it to the stacks of its band, in one pass.

The stacks of a band are two blocks of planes, `sums` (float32) and `counts` (int16), see the plane numbers below.
They come in three levels, each a prefix of the next: the stacked image alone, with maps of depth and masks, and
with models.
"""

import numpy as np
from numba import njit

from ..wcs.resample_kernels import BLOCK, lanczos_sum, lanczos_weights

#: Planes of `sums`.
WEIGHTED_IMAGE, WEIGHT, UNWEIGHTED_IMAGE = 0, 1, 2
PSF_SIZE, PSF_SIZE_WEIGHT, DEPTH, GALDEPTH = 3, 4, 5, 6
WEIGHTED_MODEL, UNWEIGHTED_MODEL, WEIGHTED_BLOBMODEL, UNWEIGHTED_BLOBMODEL, CHI2 = 7, 8, 9, 10, 11

#: Planes of `sums` that hold results after `finish_stack`; WEIGHT, PSF_SIZE, DEPTH, GALDEPTH, CHI2 keep their place.
IMAGE, MODEL, RESID, BLOBMODEL, BLOBRESID = (
    WEIGHTED_IMAGE,
    WEIGHTED_MODEL,
    UNWEIGHTED_MODEL,
    WEIGHTED_BLOBMODEL,
    UNWEIGHTED_BLOBMODEL,
)

#: Planes of `counts`.
UNWEIGHTED_COUNT = 0
GOOD_COUNT, COUNT, OR_MASK, AND_MASK = 1, 2, 3, 4

#: Level of detail -> number of planes of `sums`, of `counts`.
PLANES = {"image": (3, 1), "maps": (7, 5), "models": (12, 5)}

#: What a saturated pixel shows where nothing better is known [nanomaggies].
SATURATED_VALUE = 10.0


@njit(cache=True, nogil=True)
def accumulate_image(
    row0,
    row1,
    x0,
    y0,
    fx,
    fy,
    ix,
    iy,
    table,
    use_lanczos,
    patched,
    inverr,
    dq,
    model,
    blobmodel,
    factor,
    factors,
    satur_bit,
    ignored_bits,
    psf_term,
    flat_term,
    depth_term,
    galdepth_term,
    index,
    mjds,
    sums,
    counts,
    first,
    last,
):
    """Add rows row0 ... row1 - 1 of a map's box to the stacks.

    Parameters
    ----------
    row0, row1 : int
        Rows of the box; different rows can be added by different threads at a time.
    x0, y0 : int
        Origin of the box in the target.
    fx, fy, ix, iy, table
        As `legacypipe_lite.wcs.PixelMap`, `LANCZOS_TABLE`.
    use_lanczos : bool
        Else nearest neighbour.
    patched, inverr : float32 (h, w)
    dq : uint16 (h, w)
    model, blobmodel : float32 (h, w)
        Any shape if `sums` has no planes for them.
    factor : float64
        Surface-brightness factor, target pixel area / image pixel area; used where `factors` is empty.
    factors : float32 (box height, box width) or (0, 0)
        The same, pixel by pixel.
    satur_bit, ignored_bits : int
        DQ bits: saturated; those that do not keep a pixel out of the unweighted stack.
    psf_term, flat_term, depth_term, galdepth_term : float64
        What this image adds to PSF_SIZE, PSF_SIZE_WEIGHT, DEPTH, GALDEPTH.
    index : int
        Number of this image, and its place in `mjds`.
    mjds : float64 (number of images,)
    sums : float32 (planes, H, W)
    counts : int16 (planes, H, W)
    first, last : int16 (H, W)
        Number of the earliest and the latest image that covers a pixel, -1 for none.
    """
    width = ix.shape[1]
    with_maps = sums.shape[0] > UNWEIGHTED_IMAGE + 1
    with_models = sums.shape[0] > GALDEPTH + 1
    local = factors.shape[0] > 0
    f = np.float32(factor)
    f2 = np.float32(factor * factor)
    mod = np.float32(0.0)
    blobmod = np.float32(0.0)
    for block in range(0, width, BLOCK):
        end = min(block + BLOCK, width)
        for i in range(row0, row1):
            ty = y0 + i
            for j in range(block, end):
                x = ix[i, j]
                if x < 0:
                    continue
                y = iy[i, j]
                tx = x0 + j
                if local:
                    f = factors[i, j]
                    f2 = f * f
                wx, sum_x = lanczos_weights(fx[i, j] - x, table)
                wy, sum_y = lanczos_weights(fy[i, j] - y, table)
                norm = sum_x * sum_y
                if use_lanczos:
                    im = lanczos_sum(patched, x, y, wx, wy) / norm * f
                else:
                    im = patched[y, x] * f
                e = inverr[y, x]
                iv = e * e / f2
                q = int(dq[y, x])

                sums[WEIGHTED_IMAGE, ty, tx] += iv * im
                sums[WEIGHT, ty, tx] += iv
                if q & satur_bit:
                    im = np.float32(SATURATED_VALUE)
                usable = (q & ~ignored_bits) == 0
                if usable:
                    sums[UNWEIGHTED_IMAGE, ty, tx] += im
                    counts[UNWEIGHTED_COUNT, ty, tx] += 1
                if not with_maps:
                    continue

                sums[PSF_SIZE, ty, tx] += psf_term
                sums[PSF_SIZE_WEIGHT, ty, tx] += flat_term
                if iv > 0:
                    sums[DEPTH, ty, tx] += depth_term
                    sums[GALDEPTH, ty, tx] += galdepth_term
                    counts[GOOD_COUNT, ty, tx] += 1
                counts[COUNT, ty, tx] += 1
                counts[OR_MASK, ty, tx] |= q
                counts[AND_MASK, ty, tx] &= q
                if first[ty, tx] < 0 or mjds[index] < mjds[first[ty, tx]]:
                    first[ty, tx] = index
                if last[ty, tx] < 0 or mjds[index] > mjds[last[ty, tx]]:
                    last[ty, tx] = index
                if not with_models:
                    continue

                if use_lanczos:
                    mod = lanczos_sum(model, x, y, wx, wy) / norm * f
                    blobmod = lanczos_sum(blobmodel, x, y, wx, wy) / norm * f
                else:
                    mod = model[y, x] * f
                    blobmod = blobmodel[y, x] * f
                sums[WEIGHTED_MODEL, ty, tx] += iv * mod
                sums[WEIGHTED_BLOBMODEL, ty, tx] += iv * blobmod
                if usable:
                    sums[UNWEIGHTED_MODEL, ty, tx] += mod
                    sums[UNWEIGHTED_BLOBMODEL, ty, tx] += blobmod
                sums[CHI2, ty, tx] += iv * (im - mod) * (im - mod)


@njit(cache=True, nogil=True)
def finish_stack(row0, row1, sums, counts, psf_size_scale):
    """Turn rows of sums into stacked images and maps, in place (planes IMAGE ... BLOBRESID).

    Where no image has weight, the unweighted stack fills the gap, and the residuals are 0. The models that fill it
    are sums over the images, not means: a property of the published coadds that is kept.

    Parameters
    ----------
    row0, row1 : int
        Rows of the target.
    sums, counts
        As in `accumulate_image`.
    psf_size_scale : float64
        FWHM of a Gaussian / sqrt(its noise-equivalent area).
    """
    width = sums.shape[2]
    tiny = np.float32(1e-30)
    with_maps = sums.shape[0] > UNWEIGHTED_IMAGE + 1
    with_models = sums.shape[0] > GALDEPTH + 1
    for y in range(row0, row1):
        for x in range(width):
            weight = sums[WEIGHT, y, x]
            empty = weight == 0
            weight = max(weight, tiny)
            image = sums[WEIGHTED_IMAGE, y, x] / weight
            if with_models:
                model = sums[WEIGHTED_MODEL, y, x] / weight
                blobmodel = sums[WEIGHTED_BLOBMODEL, y, x] / weight
                resid = image - model
                blobresid = image - blobmodel
                if empty:
                    model = sums[UNWEIGHTED_MODEL, y, x]
                    blobmodel = sums[UNWEIGHTED_BLOBMODEL, y, x]
                    resid = np.float32(0.0)
                    blobresid = np.float32(0.0)
                sums[MODEL, y, x] = model
                sums[BLOBMODEL, y, x] = blobmodel
                sums[RESID, y, x] = resid
                sums[BLOBRESID, y, x] = blobresid
            if empty:
                image = sums[UNWEIGHTED_IMAGE, y, x] / np.float32(max(counts[UNWEIGHTED_COUNT, y, x], 1))
            sums[IMAGE, y, x] = image
            if with_maps:
                if counts[COUNT, y, x] == 0:
                    counts[AND_MASK, y, x] = 0
                flat = sums[PSF_SIZE_WEIGHT, y, x]
                size = 0.0
                if flat != 0:
                    size = psf_size_scale / np.sqrt(sums[PSF_SIZE, y, x] / flat)
                sums[PSF_SIZE, y, x] = size
