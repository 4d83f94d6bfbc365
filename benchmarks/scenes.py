"""Made-up images of one isolated source, for timing its fit."""

import sys
from pathlib import Path

import numpy as np

_TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path[:0] = [str(_TESTS / "fitting"), str(_TESTS)]
from fitting_scenes import context, make_tims, target, whole_task  # noqa: E402

from legacypipe_lite.fitting.cutouts import blob_wcs, cut_tims  # noqa: E402
from legacypipe_lite.fitting.images import BlobImages  # noqa: E402
from legacypipe_lite.fitting.optimizer import FitSettings, fit_model, start_model  # noqa: E402
from legacypipe_lite.models import PsfModel, Source  # noqa: E402

__all__ = ["Scene", "moffat_psf"]

_NOISE = 0.01


def moffat_psf(fwhm=4.6, beta=3.0, size=63):
    """Constant Moffat PSF [pixel]; by default 1.2 arcsec on DECam's pixels, and a stamp as large as DECam's."""
    r = np.arange(size) - size // 2
    alpha = fwhm / 2 / np.sqrt(2 ** (1 / beta) - 1)
    stamp = (1 + (r[:, np.newaxis] ** 2 + r**2) / alpha**2) ** -beta
    return PsfModel((stamp / stamp.sum()).astype(np.float32)[np.newaxis], gaussian_sigma=fwhm / 2.35, normalize=False)


class Scene:
    """Images with one source near their middle.

    Parameters
    ----------
    kind : str
        Type of the source.
    images : int
        1: one band; else g, r, z, with a third of the images each.
    size : int
        Of the images and of the blob [pixel].
    flux : float
        Of the source in each band [nanomaggies]; pixels have a noise of 0.01.
    shape : tuple of float
        r_e [arcsec], e1, e2, Sersic index.
    known_star : bool
        The fit knows that the source is a star.
    """

    def __init__(self, kind, images, size=81, flux=20.0, shape=(), known_star=False):
        if images != 1 and images % 3:
            raise ValueError("1 image, or a multiple of 3")
        self.size = size
        self.bands = ["r"] if images == 1 else ["g", "r", "z"]
        middle = size // 2
        position = target(size).pixel_to_sky(middle + 0.3, middle - 0.2)
        self.truth = Source(kind, *position, [flux] * len(self.bands), *shape)
        #: What detection hands over: a point source on a whole pixel.
        self.detected = Source(
            "PSF", *target(size).pixel_to_sky(middle, middle), self.truth.flux, forced_pointsource=known_star
        )
        self.tims = make_tims(
            [self.truth], size=size, bands=self.bands, per_band=images // len(self.bands), sig1=_NOISE, psf=moffat_psf()
        )

    def context(self):
        """`BlobContext` and `BlobTask` of a blob that is the whole scene."""
        return context(self.tims, [self.detected], size=self.size), whole_task([0], self.size)

    def images(self):
        """`BlobImages` of the whole scene."""
        box = (0, 0, self.size, self.size)
        cutouts = cut_tims(self.context()[0], box)
        mask = np.ones((self.size, self.size), bool)
        return BlobImages(cutouts, blob_wcs(target(self.size), box), mask, len(self.bands))

    def square_windows(self, images, extent):
        """`Windows` of the given extent [pixel] around the source."""
        x, y, _ = images.locate(self.truth)
        corner = np.rint(np.stack([x, y], axis=1)).astype(np.int32) - extent // 2
        return images.windows(np.hstack([corner, np.full_like(corner, extent)]))

    def first_round(self, images):
        """The source as model selection gets it: fitted as a point source."""
        windows = images.windows(images.render(self.detected).rectangles)
        return fit_model(images, windows, start_model(self.detected), self.detected, FitSettings()).to_source(
            self.detected
        )
