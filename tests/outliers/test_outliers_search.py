"""Outlier search: thresholds of synthetic cases, and the published masks of real fields."""

import fitsio
import numpy as np
import pytest
from real_tims import FIELDS, Field
from scipy.ndimage import binary_dilation, gaussian_filter
from synthetic_tims import make_target, make_tim, with_outliers_masked

from legacypipe_lite.bits import DQ
from legacypipe_lite.coadds import Changes, SparseImage, masked_places, patch_values, stacked_image
from legacypipe_lite.outliers import OUTLIER_NEG, OUTLIER_POS, find_outliers, masked_pixel_means, star_veto
from legacypipe_lite.wcs import target_wcs

CENTER = (30, 30)

#: Number of images -> smallest central value that is masked, masked pixels at 100 and at 1000.
THRESHOLDS = {
    2: (18.7993, 141, 217),
    3: (16.2807, 165, 241),
    4: (15.3496, 165, 241),
    5: (10.8538, 169, 249),
    6: (11.5122, 169, 249),
    10: (12.4346, 169, 241),
}


def spiked(n, value, which=0):
    """n empty images on one grid; one has a value in the central pixel."""
    target = make_target()
    tims = [make_tim(target, index=i) for i in range(n)]
    tims[which].image[CENTER] = value
    return tims, target


def dense_masks(found):
    """Number of the image -> its outliers as an image."""
    return {i: outliers.dense() for i, outliers in found.outliers.items()}


def n_masked(n, value, **options):
    tims, target = spiked(n, value)
    masks = dense_masks(find_outliers(tims, "r", target, **options))
    assert all(not masks[i].any() for i in range(1, n))
    return int(np.count_nonzero(masks[0]))


@pytest.mark.parametrize("n", THRESHOLDS)
@pytest.mark.compiled
def test_thresholds(n):
    threshold, at_100, at_1000 = THRESHOLDS[n]
    assert n_masked(n, threshold * 0.9999) == 0
    assert n_masked(n, threshold * 1.0001) > 0
    assert n_masked(n, 100.0) == at_100
    assert n_masked(n, 1000.0) == at_1000


def test_single_image_is_never_masked():
    assert n_masked(1, 1e6) == 0


@pytest.mark.parametrize("n", [5, 6, 10])
@pytest.mark.compiled
def test_leave_one_out_threshold(n):
    # The clipped mean of the others has weight n - 2 (the spiked image is the largest, another one the smallest).
    kernel_peak, sigma = 0.0707370, 0.18806
    threshold = 5 * sigma * np.sqrt(1 + 1 / (n - 2)) / kernel_peak
    assert n_masked(n, threshold * 0.999, leave_one_out=True) == 0
    assert n_masked(n, threshold * 1.001, leave_one_out=True) > 0


def test_image_number_does_not_matter():
    tims, target = spiked(6, 100.0, which=4)
    masks = dense_masks(find_outliers(tims, "r", target))
    assert [int(np.count_nonzero(masks[i])) for i in range(6)] == [0, 0, 0, 0, 169, 0]
    assert set(np.unique(masks[4])) == {0, OUTLIER_POS}


def test_negative_outlier():
    target = make_target()
    tims = [make_tim(target, np.full(target.shape, 10.0), index=i) for i in range(3)]
    tims[1].image[CENTER] = -1000.0
    found = find_outliers(tims, "r", target)
    assert set(np.unique(found.outliers[1].dense())) == {0, OUTLIER_NEG}
    assert found.masked_means[1].dense()[CENTER] == -1000.0


def test_masked_values_are_averaged_over_images():
    target = make_target()
    tims = [make_tim(target, index=i) for i in range(6)]
    tims[0].image[CENTER], tims[3].image[CENTER] = 100.0, 300.0
    found = find_outliers(tims, "r", target)
    assert found.masked_means[0].dense()[CENTER] == 200.0
    outliers, patches = ([d[i] for i in range(6)] for d in (found.outliers, found.patches))
    positive, negative = masked_pixel_means(tims, "r", target, outliers, patches)
    assert np.array_equal(positive.dense(), found.masked_means[0].dense()) and len(negative) == 0
    assert len(masked_pixel_means(tims, "g", target, outliers, patches)[0]) == 0


@pytest.mark.parametrize("flag", ["satur", "bleed"])
def test_no_outliers_near_saturated_pixels(flag):
    tims, target = spiked(3, 100.0)
    reach = {"satur": 10, "bleed": 3}[flag]
    tims[1].dq[CENTER[0], CENTER[1] + reach] = DQ[flag]
    seeds = len(find_outliers(tims, "r", target).outliers[0])
    tims[1].dq[CENTER[0], CENTER[1] + reach] = 0
    assert seeds < len(find_outliers(tims, "r", target).outliers[0])


def test_veto_keeps_seeds_out():
    tims, target = spiked(3, 100.0)
    veto = np.ones(target.shape, bool)
    assert len(find_outliers(tims, "r", target, veto=veto).outliers[0]) == 0


def test_images_without_weight_or_off_the_target():
    target = make_target()
    tims = [make_tim(target, index=0), make_tim(target, inverr=np.zeros(target.shape), index=1)]
    tims.append(make_tim(target_wcs(151.0, 20.0, 40, 40, 0.262), index=2))
    tims[0].image[CENTER] = 1000.0
    found = find_outliers(tims, "r", target)
    assert not any(len(outliers) for outliers in found.outliers.values())
    assert found.patches[0] is None and found.patches[2] is None
    assert len(found.patches[1]) == target.height * target.width


def test_patch_values_are_those_of_the_stack():
    target = make_target(61, 61)
    wcs = target.subimage(-5, 3, 50, 40)
    tim = make_tim(wcs, np.full(wcs.shape, -3.0))
    tim.inverr[7, :20] = 0
    stack = np.arange(61 * 61, dtype=np.float32).reshape(61, 61)
    values = patch_values(tim, stack, target)
    # Columns 0-4 are off the target; column 4 falls to the target's pixel 0 because positions are truncated.
    assert np.array_equal(values[:4], np.full(4, -3.0))
    assert values[4] == stack[10, 0]
    assert np.array_equal(values[5:], stack[10, :15])


def test_stack_of_changed_images_is_that_of_changed_copies():
    target = make_target(90, 80)
    rng = np.random.default_rng(4)
    tims, changes, copies = [], {}, []
    for i in range(3):
        wcs = target.subimage(3 * i - 2, 5 - i, 70, 60)
        tim = make_tim(wcs, rng.normal(size=wcs.shape), inverr=rng.random(wcs.shape) > 0.1, index=i)
        mask = np.where(rng.random(tim.shape) < 0.02, OUTLIER_POS, 0).astype(np.uint8)
        patch = rng.normal(size=np.count_nonzero(tim.inverr == 0)).astype(np.float32)
        changes[i] = Changes(masked_places(tim), patch, SparseImage.from_dense(mask).places)
        copies.append(with_outliers_masked(tim, mask, patch))
        tims.append(tim)
    before = [tim.image.copy() for tim in tims]
    expected = stacked_image(copies, "r", target)
    assert np.array_equal(stacked_image(tims, "r", target, changes=changes), expected)
    assert not np.array_equal(stacked_image(tims, "r", target), expected)
    assert all(np.array_equal(tim.image, image) for tim, image in zip(tims, before))


def test_star_veto_disc():
    target = make_target()
    ra, dec = target.pixel_to_sky(np.array([20.0, 300.0]), np.array([25.0, 25.0]))
    veto = star_veto(target, [*ra, 330.0], [*dec, -20.0])
    y, x = np.nonzero(veto)
    assert len(x) == 9 and np.all((x - 20) ** 2 + (y - 25) ** 2 < 1 / 0.262)


def field_veto(field):
    refs = field.references()
    if refs is None:
        return None
    gaia = refs["isgaia"]
    return star_veto(field.target, refs["ra"][gaia], refs["dec"][gaia])


@pytest.mark.parametrize(
    ("name", "pixels"), [("mzlsbass2", 36), ("testcase9", 13), ("testcase6", 13), ("testcase12", 0)]
)
def test_star_veto_of_fields(testdata, name, pixels):
    assert np.count_nonzero(field_veto(Field(testdata, name))) == pixels


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.compiled
def test_masks_equal_published_ones(testdata, name):
    field = Field(testdata, name)
    veto = field_veto(field)
    counts = {}
    with fitsio.FITS(str(field.product("metrics", "outlier-mask-{}.fits.fz"))) as fits:
        published = {hdu.get_extname(): hdu.read() for hdu in fits[1:]}
    for band in field.bands:
        for i, mask in dense_masks(find_outliers(field.tims, band, field.target, veto=veto)).items():
            ccd = field.tims[i].ccd
            assert np.array_equal(mask, published.pop(f"MASK-{ccd.camera}-{ccd.expnum}-{ccd.ccdname}"))
            counts[band, ccd.ccdname] = np.count_nonzero(mask)
    assert not published
    expected = {("r", "S4"): 272, ("z", "S9"): 228} if name == "testcase6" else {}
    assert {key: n for key, n in counts.items() if n} == expected


def outlier_twin(tims, leave_one_out):
    """Masks of images on the target's own grid, in plain NumPy."""
    sigmas = np.array([tim.psf_sigma for tim in tims])
    blur = np.sqrt((sigmas.max() + 0.5) ** 2 - sigmas**2)
    g = np.array([gaussian_filter(t.image, s) for t, s in zip(tims, blur)], np.float64)
    w = np.array([t.inverr.astype(np.float64) ** 2 * 4 * np.pi * s**2 for t, s in zip(tims, blur)])
    total, weight = (g * w).sum(axis=0), w.sum(axis=0)
    low, high = np.argmin(g, axis=0), np.argmax(g, axis=0)
    if len(tims) >= 5:
        for which in (low, high):
            total -= np.take_along_axis(g * w, which[None], 0)[0]
            weight -= np.take_along_axis(w, which[None], 0)[0]
    masks = []
    for i in range(len(tims)):
        times = 1 - (((low == i) * 1 + (high == i)) if leave_one_out and len(tims) >= 5 else 0)
        others = weight - times * w[i]
        usable = (others > 1e-6 * w[i]) & (w[i] > 0)
        mean = (total - times * g[i] * w[i]) / np.where(usable, others, 1)
        sn = np.where(
            usable, (g[i] - mean) / np.sqrt(1 / np.where(usable, w[i], 1) + 1 / np.where(usable, others, 1)), 0
        )
        floor = 1 / np.sqrt(np.median(w[i][w[i] > 0]))
        relative = (g[i] - mean) / np.maximum(mean, floor)
        mask = np.zeros(g[i].shape, np.uint8)
        for sign, bit in ((1, OUTLIER_POS), (-1, OUTLIER_NEG)):
            grown = (sign * sn > 5) & (sign * relative > 2)
            if not grown.any():
                continue
            for threshold in (3, 2):
                grown = binary_dilation(grown)
                grown |= binary_dilation(grown, iterations=5) & (sign * sn > threshold)
            mask[binary_dilation(grown, iterations=3)] = bit
        masks.append(mask)
    return masks


@pytest.mark.parametrize(("n", "leave_one_out"), [(3, False), (6, False), (6, True)])
def test_equals_twin(n, leave_one_out):
    target = make_target(120, 110)
    rng = np.random.default_rng(n)
    tims = []
    for i in range(n):
        image = rng.normal(3, 1, target.shape)
        for _ in range(6):
            y, x = rng.integers(5, 100, 2)
            image[y : y + 2, x : x + 3] += rng.choice([-1, 1]) * rng.uniform(5, 200)
        inverr = np.ones(target.shape)
        inverr[rng.random(target.shape) < 0.003] = 0
        tims.append(make_tim(target, image, inverr=inverr, psf_sigma=1.7 + 0.1 * i, index=i))
    found = find_outliers(tims, "r", target, leave_one_out=leave_one_out)
    patched = [with_outliers_masked(t, np.zeros(t.shape, np.uint8), found.patches[i]) for i, t in enumerate(tims)]
    expected = outlier_twin(patched, leave_one_out)
    assert sum(np.count_nonzero(mask) for mask in expected) > 1000
    for i, mask in enumerate(expected):
        assert np.array_equal(found.outliers[i].dense(), mask)


# --- noise that pixels have in common


def noisy(n, correlation, size=161):
    """n images of noise 1, smoothed by a Gaussian of so many pixels; one has a trail."""
    target = make_target(size, size)
    tims = []
    for i in range(n):
        noise = np.random.default_rng(100 + i).normal(size=target.shape)
        if correlation:
            noise = gaussian_filter(noise, correlation)
        tims.append(make_tim(target, noise / noise.std(), index=i))
    tims[0].image[80, :] += 30.0
    return tims, target


@pytest.mark.parametrize("n", [2, 5])
@pytest.mark.compiled
def test_correlated_noise_is_not_masked(n, caplog):
    caplog.set_level("INFO")
    tims, target = noisy(n, 1.2)
    masks = dense_masks(find_outliers(tims, "r", target))
    assert np.count_nonzero(masks[0][80]) > 150  # the trail
    away = np.abs(np.arange(161) - 80) > 30
    assert sum(np.count_nonzero(mask[away]) for mask in masks.values()) < 0.002 * n * 161 * 161
    assert "test-1: noise is correlated: 3." in caplog.text


@pytest.mark.compiled
def test_independent_noise_changes_nothing(caplog, monkeypatch):
    caplog.set_level("INFO")
    tims, target = noisy(3, 0.0)
    found = dense_masks(find_outliers(tims, "r", target))
    assert "correlated" not in caplog.text
    monkeypatch.setattr("legacypipe_lite.outliers.search.NOISE_LIMIT", np.inf)
    for i, mask in dense_masks(find_outliers(tims, "r", target)).items():
        np.testing.assert_array_equal(mask, found[i])
