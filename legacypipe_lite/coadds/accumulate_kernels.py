"""Kernel: resample one image onto the target grid and add it to the stacks of its band, in one pass.

The stacks of a band are two blocks of planes, `sums` (float32) and `counts` (int16), see the plane numbers below.
They come in three levels, each a prefix of the next: the stacked image alone, with maps of depth and masks, and
with models.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from ..wcs.grid_kernels import BLOCK, nearest_of_row, row_positions
from ..wcs.resample_kernels import lanczos_row, lanczos_scratch, lanczos_setup
from ..wcs.tile_kernels import cut_tile, gather, tile_of_block, to_tile
from .patch_kernels import PATCH_MARGIN, mask_in_tile, patch_tile, replace_in_tile

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


class Exposure(NamedTuple):
    """Numbers of one image for `accumulate_rows`.

    Attributes
    ----------
    index : int
        Number of the image, and its place in `mjds`.
    factor : float
        Surface-brightness factor, target pixel area / image pixel area; used where there is no map of factors.
    psf_term, flat_term, depth_term, galdepth_term : float
        What the image adds to PSF_SIZE, PSF_SIZE_WEIGHT, DEPTH, GALDEPTH.
    satur_bit, ignored_bits, outlier_bit : int
        DQ bits: saturated; those that do not keep a pixel out of the unweighted stack; outlier.
    """

    index: int  # type: ignore[assignment]  # not the method of a tuple
    factor: float
    psf_term: float
    flat_term: float
    depth_term: float
    galdepth_term: float
    satur_bit: int
    ignored_bits: int
    outlier_bit: int


@njit(cache=True, nogil=True)
def _leave_out(n, skip, ix):
    """Take the pixels to be skipped out of a row of the map; the number of pixels that are left."""
    left = 0
    for j in range(n):
        if skip[j]:
            ix[j] = -1
        left += ix[j] >= 0
    return left


@njit(cache=True, nogil=True, error_model="numpy")
def _scale(n, factor, factors, value, weight):
    """Image values and inverse variances (from inverse errors) per target pixel."""
    if factors.size == 0:
        f, f2 = np.float32(factor), np.float32(factor * factor)
        for j in range(n):
            value[j] = value[j] * f
            weight[j] = weight[j] * weight[j] / f2
    else:
        for j in range(n):
            f = factors[j]
            value[j] = value[j] * f
            weight[j] = weight[j] * weight[j] / (f * f)


@njit(cache=True, nogil=True)
def _scale_model(n, factor, factors, value):
    for j in range(n):
        value[j] = value[j] * (factors[j] if factors.size > 0 else np.float32(factor))


@njit(cache=True, nogil=True)
def _add_image(n, value, weight, quality, usable, exposure, sums, counts, ty, tx):
    """Add a row to the weighted and the unweighted image; `value` becomes what the unweighted one shows.

    `usable`, int16, is 1 on entry where there is a pixel; out: where it counts in the unweighted stack.
    """
    weighted, total = sums[WEIGHTED_IMAGE, ty, tx], sums[WEIGHT, ty, tx]
    for j in range(n):
        weighted[j] += weight[j] * value[j]
        total[j] += weight[j]
    satur, ignored = exposure.satur_bit, exposure.ignored_bits
    for j in range(n):
        value[j] = np.float32(SATURATED_VALUE) if quality[j] & satur else value[j]
        usable[j] = usable[j] if (quality[j] & ~ignored) == 0 else 0
    plain, number = sums[UNWEIGHTED_IMAGE, ty, tx], counts[UNWEIGHTED_COUNT, ty, tx]
    for j in range(n):
        plain[j] += value[j] if usable[j] else np.float32(0.0)
        number[j] += usable[j]


@njit(cache=True, nogil=True)
def _add_constant(n, term, where, out):
    for j in range(n):
        out[j] = out[j] + term if where[j] else out[j]


@njit(cache=True, nogil=True)
def _add_maps(n, weight, quality, here, good, exposure, sums, counts, ty, tx):
    """Add a row to the maps of depth, PSF size, counts and masks; `good`, int16, is scratch."""
    for j in range(n):
        good[j] = weight[j] > 0
    _add_constant(n, exposure.psf_term, here, sums[PSF_SIZE, ty, tx])
    _add_constant(n, exposure.flat_term, here, sums[PSF_SIZE_WEIGHT, ty, tx])
    _add_constant(n, exposure.depth_term, good, sums[DEPTH, ty, tx])
    _add_constant(n, exposure.galdepth_term, good, sums[GALDEPTH, ty, tx])
    good_count, count = counts[GOOD_COUNT, ty, tx], counts[COUNT, ty, tx]
    for j in range(n):
        good_count[j] += good[j]
        count[j] += here[j]
    any_mask, all_mask = counts[OR_MASK, ty, tx], counts[AND_MASK, ty, tx]
    for j in range(n):
        any_mask[j] |= quality[j]
        all_mask[j] &= quality[j] if here[j] else all_mask[j]


@njit(cache=True, nogil=True)
def _add_dates(n, here, index, mjds, first, last):
    """Note the image where it is the earliest or the latest so far."""
    for j in range(n):
        if not here[j]:
            continue
        if first[j] < 0 or mjds[index] < mjds[first[j]]:
            first[j] = index
        if last[j] < 0 or mjds[index] > mjds[last[j]]:
            last[j] = index


@njit(cache=True, nogil=True)
def _add_models(n, value, weight, usable, model, blobmodel, sums, ty, tx):
    weighted, weighted_blob = sums[WEIGHTED_MODEL, ty, tx], sums[WEIGHTED_BLOBMODEL, ty, tx]
    for j in range(n):
        weighted[j] += weight[j] * model[j]
        weighted_blob[j] += weight[j] * blobmodel[j]
    plain, plain_blob = sums[UNWEIGHTED_MODEL, ty, tx], sums[UNWEIGHTED_BLOBMODEL, ty, tx]
    for j in range(n):
        plain[j] += model[j] if usable[j] else np.float32(0.0)
        plain_blob[j] += blobmodel[j] if usable[j] else np.float32(0.0)
    chi2 = sums[CHI2, ty, tx]
    for j in range(n):
        chi2[j] += weight[j] * (value[j] - model[j]) * (value[j] - model[j])


@njit(cache=True, nogil=True)
def accumulate_rows(
    row0, row1, x0, y0, grid, table, use_lanczos, image, inverr, dq, changes, model, blobmodel,
    factors, skip, exposure, mjds, sums, counts, first, last,
):  # fmt: skip
    """Resample rows row0 ... row1 - 1 of a map's box, and add them to the stacks.

    With Lanczos interpolation the masked pixels of the image are filled first.

    Parameters
    ----------
    row0, row1 : int
        Rows of the box; different rows can be added by different threads at a time.
    x0, y0 : int
        Origin of the box in the target.
    grid : GridArrays
        From target to image.
    table : float32, 1-d
        `LANCZOS_TABLE`, flat.
    use_lanczos : bool
        Else nearest neighbour.
    image, inverr : float32 (h, w)
    dq : uint16 (h, w)
    changes : Changes
        Pixels that are taken for others than they are.
    model, blobmodel : float32 (h, w)
        Any shape if `sums` has no planes for them.
    factors : float32 (box height, box width) or (0, 0)
        Surface-brightness factors pixel by pixel.
    skip : bool (H, W) or (0, 0)
        Target pixels that are left out.
    exposure : Exposure
    mjds : float64 (number of images,)
    sums : float32 (planes, H, W)
    counts : int16 (planes, H, W)
    first, last : int16 (H, W)
        Number of the earliest and the latest image that covers a pixel, -1 for none.
    """
    with_maps = sums.shape[0] > UNWEIGHTED_IMAGE + 1
    with_models = sums.shape[0] > GALDEPTH + 1
    row, x, y = np.empty(grid.node_x.shape[1]), np.empty(BLOCK), np.empty(BLOCK)
    ix, iy = np.empty(BLOCK, np.int64), np.empty(BLOCK, np.int64)
    scratch = lanczos_scratch(BLOCK)
    # Arrays of their own: rows of a common one would have strides that the compiler does not know.
    value, weight = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    drawn, drawn_blob = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    here, flags = np.empty(BLOCK, np.int16), np.empty(BLOCK, np.int16)
    good, quality = np.empty(BLOCK, np.int16), np.empty(BLOCK, np.int16)
    no_factors = np.empty(0, np.float32)
    box = np.empty(4, np.int64)
    tiles, tile_dq = np.empty((4, 0), np.float32), np.empty(0, np.uint16)
    for left in range(0, grid.index_x.size, BLOCK):
        right = min(left + BLOCK, grid.index_x.size)
        n = right - left
        if not tile_of_block(grid, row0, row1, left, right, PATCH_MARGIN, row, x, y, box):
            continue
        w, h = box[1] - box[0], box[3] - box[2]
        if tiles.shape[1] < w * h:
            tiles, tile_dq = np.empty((4, w * h), np.float32), np.empty(w * h, np.uint16)
        cut_tile(image, box, tiles[0])
        cut_tile(inverr, box, tiles[1])
        cut_tile(dq, box, tile_dq)
        if with_models:
            cut_tile(model, box, tiles[2])
            cut_tile(blobmodel, box, tiles[3])
        replace_in_tile(tiles[0], box, image.shape[1], changes.places, changes.values)
        mask_in_tile(tiles[1], tile_dq, box, image.shape[1], changes.outliers, exposure.outlier_bit)
        if use_lanczos:
            patch_tile(tiles[0], tiles[1], w, h)
        tx = slice(x0 + left, x0 + right)
        for i in range(row0, row1):
            ty = y0 + i
            row_positions(grid, i, left, right, row, x, y)
            valid = nearest_of_row(grid, n, x, y, ix, iy)
            if skip.size > 0 and valid > 0:
                valid = _leave_out(n, skip[ty, tx], ix)
            if valid == 0:
                continue
            local = factors[i, left:right] if factors.size > 0 else no_factors
            if use_lanczos:
                lanczos_setup(n, x, y, ix, iy, table, scratch)
            to_tile(n, box, ix, iy)
            if use_lanczos:
                lanczos_row(n, tiles[0], w, h, ix, iy, scratch, value)
            else:
                gather(n, tiles[0], w, ix, iy, value)
            gather(n, tiles[1], w, ix, iy, weight)
            gather(n, tile_dq, w, ix, iy, quality)
            _scale(n, exposure.factor, local, value, weight)
            for j in range(n):
                here[j] = ix[j] >= 0
                flags[j] = here[j]
            _add_image(n, value, weight, quality, flags, exposure, sums, counts, ty, tx)
            if with_maps:
                _add_maps(n, weight, quality, here, good, exposure, sums, counts, ty, tx)
                _add_dates(n, here, exposure.index, mjds, first[ty, tx], last[ty, tx])
            if with_models:
                if use_lanczos:
                    lanczos_row(n, tiles[2], w, h, ix, iy, scratch, drawn)
                    lanczos_row(n, tiles[3], w, h, ix, iy, scratch, drawn_blob)
                else:
                    gather(n, tiles[2], w, ix, iy, drawn)
                    gather(n, tiles[3], w, ix, iy, drawn_blob)
                _scale_model(n, exposure.factor, local, drawn)
                _scale_model(n, exposure.factor, local, drawn_blob)
                _add_models(n, value, weight, flags, drawn, drawn_blob, sums, ty, tx)


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
        As in `accumulate_rows`.
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
