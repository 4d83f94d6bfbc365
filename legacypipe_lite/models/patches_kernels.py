"""Kernel: add rendered patches to images."""

import numpy as np
from numba import njit


@njit(cache=True)
def add_patches(patches, scale, start, width, usable, images):
    """Add patches to flat images: ``image += scale patch``.

    Parameters
    ----------
    patches : Patches
        Of n images, or of n sources of one image.
    scale : float32 (n,)
    start, width : int64 (n,)
        Where each patch's image starts in `images`, and its row length.
    usable : float32, as `images`
        Pixels where this is not positive are left alone; of length 0 if there are none.
    images : float32
        Changed in place.
    """
    everywhere = usable.size == 0
    for i in range(patches.offset.size):
        rectangle = patches.rectangles[i]
        x0, y0, w, h = rectangle[0], rectangle[1], rectangle[2], rectangle[3]
        s = scale[i]
        for y in range(h if w > 0 else 0):
            to = start[i] + (y0 + y) * width[i] + x0
            p = patches.offset[i] + y * w
            if everywhere:
                for x in range(w):
                    images[to + x] += s * patches.values[p + x]
            else:
                for x in range(w):
                    if usable[to + x] > np.float32(0.0):
                        images[to + x] += s * patches.values[p + x]
