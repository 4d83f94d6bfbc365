"""Images of which few pixels are kept."""

import numpy as np
import pytest

from legacypipe_lite.coadds import ChangedImage, SparseImage
from legacypipe_lite.state import dump_value, load_value


def test_sparse_image_and_back():
    image = np.zeros((7, 5), np.uint8)
    image[2, 3], image[6, 4], image[0, 0] = 1, 2, 3
    sparse = SparseImage.from_dense(image)
    assert len(sparse) == 3 and sparse.places.tolist() == [0, 13, 34] and sparse.values.dtype == np.uint8
    assert np.array_equal(sparse.dense(), image) and np.array_equal(sparse.rows(2, 6), image[2:6])
    assert np.array_equal(image[sparse.pixels], sparse.values)
    stored = load_value(dump_value(sparse))
    assert stored.shape == image.shape and np.array_equal(stored.dense(), image)


def test_empty_sparse_image():
    sparse = SparseImage.from_dense(np.zeros((3, 4), np.float32))
    assert len(sparse) == 0 and sparse.dense().shape == (3, 4) and not sparse.rows(1, 2).any()


@pytest.mark.parametrize("changed", [0, 3, 400])
def test_changed_image(changed):
    rng = np.random.default_rng(changed)
    base = rng.normal(size=(20, 30)).astype(np.float32)
    image = base.copy()
    image.ravel()[rng.choice(600, changed, replace=False)] = np.float32(-0.0)
    kept = ChangedImage(base, image)
    for start, stop in ((0, 20), (4, 5), (17, 20)):
        assert kept.rows(start, stop).tobytes() == image[start:stop].tobytes()
    assert kept.shape == image.shape
