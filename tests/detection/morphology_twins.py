"""Plain NumPy and SciPy twins of `morphology_kernels` and of the dilation."""

from scipy import ndimage

CROSS = ndimage.generate_binary_structure(2, 1)


def dilate(mask, n):
    return ndimage.binary_dilation(mask, CROSS, iterations=n) if n > 0 else mask.copy()


def label(mask):
    return ndimage.label(mask, CROSS)


def fill_holes(mask):
    return ndimage.binary_fill_holes(mask, CROSS)


def max5(image):
    return ndimage.maximum_filter(image, footprint=CROSS, mode="nearest")
