"""Kernel: resample one image onto the target grid and add it to the stacks of its band, in one pass.

The stacks of a band are two blocks of planes, `sums` (float32) and `counts` (int16), see the plane numbers below.
They come in three levels, each a prefix of the next: the stacked image alone, with maps of depth and masks, and
with models.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ..wcs.grid_kernels import BLOCK, nearest_of_row, new_positions, row_positions
from ..wcs.resample_kernels import lanczos_row, lanczos_scratch, lanczos_setup
from ..wcs.tile_kernels import cut_tile, gather, tile_of_block, to_tile
from .patched_kernels import PATCH_MARGIN, mask_in_tile, patch_tile, replace_in_tile

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


class Planes(NamedTuple):
    """What is resampled of one image.

    Attributes
    ----------
    image, inverr : numpy.ndarray of float32, shape (h, w)
    dq : numpy.ndarray of uint16, shape (h, w)
    model, blobmodel : numpy.ndarray of float32, shape (h, w)
        Any shape if the stack has no planes for them.
    """

    image: NDArray[np.float32]
    inverr: NDArray[np.float32]
    dq: NDArray[np.uint16]
    model: NDArray[np.float32]
    blobmodel: NDArray[np.float32]


class Exposure(NamedTuple):
    """Numbers of one image for `accumulate_rows`.

    Attributes
    ----------
    index : int
        Number of the image, and its place in the stack's `mjds`.
    factor : float
        Surface-brightness factor, target pixel area / image pixel area; used where there is no map of factors.
    factors : numpy.ndarray of float32, shape of the map's box or (0, 0)
        Surface-brightness factors pixel by pixel.
    psf_term, flat_term, depth_term, galdepth_term : float
        What the image adds to PSF_SIZE, PSF_SIZE_WEIGHT, DEPTH, GALDEPTH.
    satur_bit, ignored_bits, outlier_bit : int
        DQ bits: saturated; those that do not keep a pixel out of the unweighted stack; outlier.
    """

    index: int  # type: ignore[assignment]  # not the method of a tuple
    factor: float
    factors: NDArray[np.float32]
    psf_term: float
    flat_term: float
    depth_term: float
    galdepth_term: float
    satur_bit: int
    ignored_bits: int
    outlier_bit: int


class Stack(NamedTuple):
    """Where the images of a band are added up.

    Attributes
    ----------
    sums : numpy.ndarray of float32, shape (planes, H, W)
    counts : numpy.ndarray of int16, shape (planes, H, W)
    skip : numpy.ndarray of bool, shape (H, W) or (0, 0)
        Target pixels that are left out.
    mjds : numpy.ndarray of float64, shape (number of images,)
    first, last : numpy.ndarray of int16, shape (H, W)
        Number of the earliest and the latest image that covers a pixel, -1 for none.
    """

    sums: NDArray[np.float32]
    counts: NDArray[np.int16]
    skip: NDArray[np.bool_]
    mjds: NDArray[np.float64]
    first: NDArray[np.int16]
    last: NDArray[np.int16]


class _Row(NamedTuple):
    """Columns of one row, resampled: scratch of `accumulate_rows`.

    Arrays of their own: rows of a common one would have strides that the compiler does not know.

    Attributes
    ----------
    value, weight, model, blobmodel : float32
    here, usable, good : int16
        1 where there is a pixel, where it counts in the unweighted stack, and where it has weight; else 0.
    quality : int16
        Data-quality bits.
    """

    value: np.ndarray
    weight: np.ndarray
    model: np.ndarray
    blobmodel: np.ndarray
    here: np.ndarray
    usable: np.ndarray
    good: np.ndarray
    quality: np.ndarray


@njit(cache=True, nogil=True)
def _new_row(n):
    return _Row(
        np.empty(n, np.float32), np.empty(n, np.float32), np.empty(n, np.float32), np.empty(n, np.float32),
        np.empty(n, np.int16), np.empty(n, np.int16), np.empty(n, np.int16), np.empty(n, np.int16),
    )  # fmt: skip


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
def _add_image(n, row, exposure, stack, ty, tx):
    """Add a row to the weighted and the unweighted image; its values become what the unweighted one shows."""
    value, weight, quality, here, usable = row.value, row.weight, row.quality, row.here, row.usable
    sums = stack.sums
    weighted, total = sums[WEIGHTED_IMAGE, ty, tx], sums[WEIGHT, ty, tx]
    for j in range(n):
        weighted[j] += weight[j] * value[j]
        total[j] += weight[j]
    satur, ignored = exposure.satur_bit, exposure.ignored_bits
    for j in range(n):
        value[j] = np.float32(SATURATED_VALUE) if quality[j] & satur else value[j]
        usable[j] = here[j] if (quality[j] & ~ignored) == 0 else 0
    plain, number = sums[UNWEIGHTED_IMAGE, ty, tx], stack.counts[UNWEIGHTED_COUNT, ty, tx]
    for j in range(n):
        plain[j] += value[j] if usable[j] else np.float32(0.0)
        number[j] += usable[j]


@njit(cache=True, nogil=True)
def _add_constant(n, term, where, out):
    for j in range(n):
        out[j] = out[j] + term if where[j] else out[j]


@njit(cache=True, nogil=True)
def _add_maps(n, row, exposure, stack, ty, tx):
    """Add a row to the maps of depth, PSF size, counts and masks."""
    weight, quality, here, good = row.weight, row.quality, row.here, row.good
    sums, counts = stack.sums, stack.counts
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
def _add_models(n, row, sums, ty, tx):
    value, weight, usable, model, blobmodel = row.value, row.weight, row.usable, row.model, row.blobmodel
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
def accumulate_rows(row0, row1, grid, table, planes, changes, exposure, stack):
    """Resample rows row0 ... row1 - 1 of a map's box, and add them to the stacks.

    With Lanczos interpolation the masked pixels of the image are filled first.

    Parameters
    ----------
    row0, row1 : int
        Rows of the box; different rows can be added by different threads at a time.
    grid : GridArrays
        From target to image.
    table : float32, 1-d
        `LANCZOS_TABLE`, flat; without values: nearest neighbours are taken.
    planes : Planes
    changes : Changes
        Pixels that are taken for others than they are.
    exposure : Exposure
    stack : Stack
        Changed.
    """
    use_lanczos = table.size > 0
    with_maps = stack.sums.shape[0] > UNWEIGHTED_IMAGE + 1
    with_models = stack.sums.shape[0] > GALDEPTH + 1
    factors, image_width = exposure.factors, planes.image.shape[1]
    positions, scratch, row = new_positions(grid, BLOCK), lanczos_scratch(BLOCK), _new_row(BLOCK)
    ix, iy, here = positions.ix, positions.iy, row.here
    no_factors = np.empty(0, np.float32)
    box = np.empty(4, np.int64)
    tiles, tile_dq = np.empty((4, 0), np.float32), np.empty(0, np.uint16)
    for left in range(0, grid.index_x.size, BLOCK):
        right = min(left + BLOCK, grid.index_x.size)
        n = right - left
        if not tile_of_block(grid, row0, row1, left, right, PATCH_MARGIN, positions, box):
            continue
        w, h = box[1] - box[0], box[3] - box[2]
        if tiles.shape[1] < w * h:
            tiles, tile_dq = np.empty((4, w * h), np.float32), np.empty(w * h, np.uint16)
        cut_tile(planes.image, box, tiles[0])
        cut_tile(planes.inverr, box, tiles[1])
        cut_tile(planes.dq, box, tile_dq)
        if with_models:
            cut_tile(planes.model, box, tiles[2])
            cut_tile(planes.blobmodel, box, tiles[3])
        replace_in_tile(tiles[0], box, image_width, changes.places, changes.values)
        mask_in_tile(tiles[1], tile_dq, box, image_width, changes.outliers, exposure.outlier_bit)
        if use_lanczos:
            patch_tile(tiles[0], tiles[1], w, h)
        tx = slice(grid.x0 + left, grid.x0 + right)
        for i in range(row0, row1):
            ty = grid.y0 + i
            row_positions(grid, i, left, right, positions)
            valid = nearest_of_row(grid, n, positions)
            if stack.skip.size > 0 and valid > 0:
                valid = _leave_out(n, stack.skip[ty, tx], ix)
            if valid == 0:
                continue
            local = factors[i, left:right] if factors.size > 0 else no_factors
            if use_lanczos:
                lanczos_setup(n, positions.x, positions.y, ix, iy, table, scratch)
            to_tile(n, box, ix, iy)
            if use_lanczos:
                lanczos_row(n, tiles[0], w, h, ix, iy, scratch, row.value)
            else:
                gather(n, tiles[0], w, ix, iy, row.value)
            gather(n, tiles[1], w, ix, iy, row.weight)
            gather(n, tile_dq, w, ix, iy, row.quality)
            _scale(n, exposure.factor, local, row.value, row.weight)
            for j in range(n):
                here[j] = ix[j] >= 0
            _add_image(n, row, exposure, stack, ty, tx)
            if with_maps:
                _add_maps(n, row, exposure, stack, ty, tx)
                _add_dates(n, here, exposure.index, stack.mjds, stack.first[ty, tx], stack.last[ty, tx])
            if with_models:
                if use_lanczos:
                    lanczos_row(n, tiles[2], w, h, ix, iy, scratch, row.model)
                    lanczos_row(n, tiles[3], w, h, ix, iy, scratch, row.blobmodel)
                else:
                    gather(n, tiles[2], w, ix, iy, row.model)
                    gather(n, tiles[3], w, ix, iy, row.blobmodel)
                _scale_model(n, exposure.factor, local, row.model)
                _scale_model(n, exposure.factor, local, row.blobmodel)
                _add_models(n, row, stack.sums, ty, tx)


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
        As in `Stack`.
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
