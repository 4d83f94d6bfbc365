"""Model images of a tim, and noise-equivalent areas."""

import numpy as np
import pytest
from synthetic_tims import PIXSCALE, make_target, make_tim

from legacypipe_lite.coadds import Footprints, noise_equivalent_areas, tim_models
from legacypipe_lite.coadds.models_kernels import patch_sums
from legacypipe_lite.models import Patch, Source
from legacypipe_lite.wcs import TanWcs


def source_at(target, x, y, flux):
    return Source("PSF", *target.pixel_to_sky(x, y), [flux])


class Renderer:
    """Square patches of constant value around the source's position."""

    def __init__(self, tim, half=3):
        self.tim, self.half = tim, half

    def __call__(self, sources):
        return map(self.patch, sources)

    def patch(self, source):
        x, y = (int(round(v)) for v in self.tim.wcs.sky_to_pixel(source.ra, source.dec))
        n = 2 * self.half + 1
        values = np.full((n, n), source.flux[0] / n**2, np.float32)
        x0, y0 = max(x - self.half, 0), max(y - self.half, 0)
        h, w = self.tim.shape
        return Patch(
            x0, y0, values[: h - y + self.half, : w - x + self.half][y0 - y + self.half :, x0 - x + self.half :]
        )


def scene():
    target = make_target(40, 36)
    tim = make_tim(target)
    blobmap = np.full(target.shape, -1, np.int32)
    blobmap[:, :12] = 0
    blobmap[:, 20:] = 1
    return target, tim, blobmap


def test_sources_go_to_their_own_blob():
    target, tim, blobmap = scene()
    sources = [source_at(target, 10, 10, 49.0), source_at(target, 30, 20, 98.0), None]
    models = tim_models(tim, target, blobmap, sources, [0, 1, 0], [49.0, 98.0, 5.0], Renderer(tim))
    assert models.model[7:14, 7:14] == pytest.approx(1.0) and models.model.sum() == pytest.approx(147)
    # Columns 12 and 13 of the first source are outside its blob.
    assert np.all(models.blobmodel[7:14, 12:14] == 0) and models.blobmodel[7:14, 7:12].sum() == 35
    assert models.blobmodel[17:24, 27:34].sum() == pytest.approx(98)
    prints = models.footprints
    assert prints.nea.tolist() == [49.0, 49.0, 0.0]
    assert prints.fraction_in == pytest.approx([1.0, 1.0, 0.0])
    assert prints.blob_nea == pytest.approx([49.0**2 / 35, 49.0, 0.0])


def test_source_outside_all_blobs_matches_pixels_outside_all_blobs():
    target, tim, blobmap = scene()
    models = tim_models(tim, target, blobmap, [source_at(target, 15, 15, 49.0)], [-1], [49.0], Renderer(tim))
    assert models.blobmodel[12:19, 12:19].sum() == 49 and models.blobmodel.sum() == 49


def test_patches_are_cut_at_the_edges_and_may_be_missing():
    target, tim, blobmap = scene()
    sources = [source_at(target, 0, 35, 49.0), source_at(target, 15, 15, 49.0)]
    render = Renderer(tim)
    models = tim_models(tim, target, blobmap, sources, [0, -1], [49.0, 49.0], lambda s: [render.patch(s[0]), None])
    assert models.model.sum() == 16 and models.footprints.fraction_in[0] == pytest.approx(16 / 49)
    assert models.footprints.nea[1] == models.footprints.blob_nea[1] == models.footprints.fraction_in[1] == 0


def test_blobs_reach_the_pixels_of_a_turned_image():
    target, _, blobmap = scene()
    p = PIXSCALE / 3600
    wcs = TanWcs(target.crval, (20.5, 20.5), [[0, p], [p, 0]], 40, 40)
    tim = make_tim(wcs)
    ra, dec = target.pixel_to_sky(10.0, 20.0)
    models = tim_models(tim, target, blobmap, [Source("PSF", ra, dec, [49.0])], [0], [49.0], Renderer(tim))
    y, x = np.nonzero(models.blobmodel)
    tx, _ = wcs.map_to(target, x.astype(float), y.astype(float))
    assert len(x) == 35 and np.all(np.rint(tx) < 12)


def test_image_off_the_target_has_no_blobs():
    target, _, blobmap = scene()
    wcs = TanWcs((151.0, 20.0), (20.5, 20.5), target.cd, 40, 40)
    tim = make_tim(wcs)
    star = Source("PSF", *wcs.pixel_to_sky(20.0, 20.0), [49.0])
    models = tim_models(tim, target, blobmap, [star], [0], [49.0], Renderer(tim))
    assert models.model.sum() == 49 and models.blobmodel.sum() == 0


def test_frozen_galaxies_fill_the_blobs_they_touch():
    target, tim, blobmap = scene()
    galaxy = source_at(target, 15, 15, 289.0)
    sources = [galaxy, source_at(target, 30, 20, 49.0)]
    render = Renderer(tim, half=8)
    models = tim_models(tim, target, blobmap, sources, [-1, 1], [289.0, 49.0], render, [(galaxy, [1])])
    # x = 7 ... 23: drawn once, in the blob model only on blob 1 (x >= 20)
    assert models.model[7:24, 7:20].sum() == pytest.approx(17 * 13)
    assert models.blobmodel[7:24, 7:20].sum() == 0 and models.blobmodel[7:12, 20:24] == pytest.approx(1)
    assert models.footprints.nea[0] == 0 and models.footprints.nea[1] > 0


def test_frozen_galaxy_in_a_blob_fills_its_own_blob_too():
    target, tim, blobmap = scene()
    galaxy = source_at(target, 10, 15, 289.0)
    models = tim_models(tim, target, blobmap, [galaxy], [0], [289.0], Renderer(tim, half=8), [(galaxy, [])])
    assert models.blobmodel[7:24, 2:12] == pytest.approx(1) and models.blobmodel[:, 12:].sum() == 0
    # One that touches no blob of this image is an ordinary source.
    outside = source_at(target, 15, 15, 289.0)
    models = tim_models(tim, target, blobmap, [outside], [-1], [289.0], Renderer(tim, half=2), [(outside, [7])])
    assert models.footprints.nea[0] == pytest.approx(25)


def test_frozen_galaxy_that_is_not_seen():
    target, tim, blobmap = scene()
    galaxy = Source("EXP", 151.0, 20.0, [1.0], 3.0)
    off = Source("EXP", 330.0, -20.0, [1.0], 3.0)
    models = tim_models(tim, target, blobmap, [], [], [], lambda s: [None] * len(s), [(galaxy, [1]), (off, [1])])
    assert not models.model.any()


def test_patch_kernel_equals_twin():
    rng = np.random.default_rng(4)
    patch = rng.normal(size=(12, 14)).astype(np.float32)
    own = rng.random(patch.shape) < 0.4
    exact = patch.astype(float)
    expected = exact.sum(), (exact**2).sum(), (exact[own] ** 2).sum()
    assert patch_sums(patch, own) == pytest.approx(expected, rel=1e-6)


def test_areas_are_weighted_over_images():
    target = make_target()
    tims = [make_tim(target, sig1=s, index=i) for i, s in enumerate((0.1, 0.2))]
    areas = np.array([[40.0, 60.0], [50.0, 0.0], [0.0, 0.0]])
    prints = [Footprints(areas[:, i], areas[:, i] / 2, np.where(areas[:, i] > 0, [0.9, 0.5][i], 0)) for i in range(2)]
    depth, size = np.array([10.0, 20.0, 30.0]), np.array([1.0, 1.2, 1.4])
    nea, blob_nea = noise_equivalent_areas(tims, prints, depth, size)
    p2 = PIXSCALE**2
    num, den = 100 * 0.9 / (40 * p2) + 25 * 0.5 / (60 * p2), 100 * 0.9 + 25 * 0.5
    assert nea == pytest.approx([den / num, 50 * p2, 0.0], rel=1e-6) and nea.dtype == np.float32
    bden = depth * 4 * np.pi * (size / 2.3548) ** 2
    assert blob_nea == pytest.approx([bden[0] / (100 / 20 + 25 / 30), bden[1] / (100 / 25), 0.0], rel=1e-6)
