"""Small made-up scenes: images of a few sources with Gaussian PSFs."""

import numpy as np
from synthetic_tims import make_tim

from legacypipe_lite.fitting import BlobContext, BlobTask, FitOptions
from legacypipe_lite.fitting.images import BlobImages, Cutout
from legacypipe_lite.models import PsfModel, Source
from legacypipe_lite.models.render import TimRenderer
from legacypipe_lite.wcs import TanWcs, target_wcs

BANDS = ["g", "r"]
CENTRE = (150.0, 31.5)
#: Of the detection in residuals.
THRESHOLDS = {"iterative_nsigma": 6.0, "saddle_fraction": 0.1, "saddle_min": 2.0}


def gaussian_psf(sigma, size=31):
    r = np.arange(size) - size // 2
    stamp = np.exp(-0.5 * (r[:, None] ** 2 + r**2) / sigma**2)
    return PsfModel((stamp / stamp.sum()).astype(np.float32)[None], gaussian_sigma=sigma, normalize=False)


def make_tims(sources, *, size=90, bands=BANDS, per_band=2, sig1=0.01, seed=1, noise=True, psf=None):
    """Tims with the given sources (fluxes in the order of `bands`)."""
    rng = np.random.default_rng(seed)
    tims = []
    for b, band in enumerate(bands):
        for k in range(per_band):
            angle = 0.02 * k
            c, s = np.cos(angle), np.sin(angle)
            cd = 0.262 / 3600 * np.array([[-c, s], [s, c]])
            crpix = (size / 2 + 0.5 + 0.3 * k, size / 2 + 0.5 - 0.2 * b)
            sigma = 1.6 + 0.2 * b + 0.1 * k
            tim = make_tim(
                TanWcs(CENTRE, crpix, cd, size, size), band=band, psf=gaussian_psf(sigma) if psf is None else psf,
                psf_sigma=sigma, sig1=sig1, index=len(tims), mjd=57000.0 + 100 * k, name=f"im-{band}{k}",
                psfnorm=1 / (3.545 * sigma), ccd={"expnum": k, "ccdname": f"N{b}"},
            )  # fmt: skip
            renderer = TimRenderer(tim, b)
            for source in sources:
                drawn = renderer.patch(source)
                if drawn is not None:
                    x0, y0, patch = drawn
                    tim.image[y0 : y0 + patch.shape[0], x0 : x0 + patch.shape[1]] += patch
            if noise:
                tim.image += rng.normal(0, sig1, tim.image.shape).astype(np.float32)
            tims.append(tim)
    return tims


def sky(x, y, size=90):
    """Sky position of a pixel of the target grid."""
    return target(size).pixel_to_sky(float(x), float(y))


def target(size=90):
    return target_wcs(*CENTRE, size, size, 0.262)


def star(x, y, flux, **more):
    return Source("PSF", *sky(x, y), flux, **more)


def galaxy(kind, x, y, flux, r, e1=0.0, e2=0.0, n=0.0, **more):
    return Source(kind, *sky(x, y), flux, r, e1, e2, n, **more)


def context(tims, sources, *, size=90, blobmap=None, refmap=None, **options):
    """Context of a one-blob brick."""
    shape = (size, size)
    return BlobContext(
        tims=tims,
        bands=list(dict.fromkeys(t.band for t in tims)),
        target=target(size),
        sources=sources,
        refmap=np.zeros(shape, np.uint8) if refmap is None else refmap,
        blobmap=np.zeros(shape, np.int32) if blobmap is None else blobmap,
        options=FitOptions(**{**THRESHOLDS, **options}),
    )


def whole_task(rows, size=90, frozen=()):
    return BlobTask("1", 0, -1, (0, 0, size, size), tuple(rows), size * size, tuple(frozen))


def blob_images(tims, size=90, **options):
    """`BlobImages` of a blob that covers everything."""
    cutouts = [
        Cutout(
            t.name, t.band, BANDS.index(t.band), t.image.copy(), t.inverr.copy(), t.dq, t.wcs, t.psf, t.sig1,
            t.psf_sigma, t.mjd_tai,
        )
        for t in tims
    ]  # fmt: skip
    nbands = len({t.band for t in tims})
    return BlobImages(cutouts, target(size), np.ones((size, size), bool), nbands, **options)
