"""Kernel: measure a source's patch in an image."""

from numba import njit


@njit(cache=True, nogil=True)
def patch_sums(patch, own):
    """Sums over a patch.

    Parameters
    ----------
    patch : float32 (h, w)
    own : bool (h, w)
        Pixels in the source's own blob.

    Returns
    -------
    (float, float, float)
        Sums of p, p^2 over the patch, and of p^2 over its own pixels.
    """
    h, w = patch.shape
    total = 0.0
    square = 0.0
    blob_square = 0.0
    for i in range(h):
        for j in range(w):
            p = patch[i, j]
            total += p
            square += p * p
            if own[i, j]:
                blob_square += p * p
    return total, square, blob_square
