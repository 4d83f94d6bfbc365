"""Kernel: add a source's patch to the model images of a tim, and measure it on the way."""

from numba import njit


@njit(cache=True, nogil=True)
def add_patch(patch, x0, y0, blobs, blob, model, blobmodel):
    """Add a patch to the model image, and to the blob model where the pixels belong to the source's blob.

    Parameters
    ----------
    patch : float32 (h, w)
    x0, y0 : int
        Its origin in the image.
    blobs : int32 (height, width)
        Blob of each image pixel, -1 for none.
    blob : int
        Of the source (-1: the pixels outside all blobs).
    model, blobmodel : float32 (height, width)

    Returns
    -------
    (float, float, float)
        Sums of p, p^2 over the patch, and of p^2 over its pixels in the blob.
    """
    height, width = model.shape
    h, w = patch.shape
    total = 0.0
    square = 0.0
    blob_square = 0.0
    for i in range(max(0, -y0), min(h, height - y0)):
        y = y0 + i
        for j in range(max(0, -x0), min(w, width - x0)):
            x = x0 + j
            p = patch[i, j]
            total += p
            square += p * p
            model[y, x] += p
            if blobs[y, x] == blob:
                blobmodel[y, x] += p
                blob_square += p * p
    return total, square, blob_square
