"""Compare rendered sources with GalSim: ``python tests/simulate/galsim_comparison.py`` prints the table of the docs.

GalSim convolves the true Sersic profile with the true Moffat profile and integrates over pixels. Ours convolves a
mixture of Gaussians that stands for the truncated profile with the pixelized PSF, and shifts by Lanczos interpolation.
"""

import math
import sys
from pathlib import Path

import numpy as np

from legacypipe_lite.models.ellipse import soft_from_hard
from legacypipe_lite.simulate.psf import moffat_stamp, stamp_fwhm

# As a script, this file does not see the helpers that tests share.
sys.path.append(str(Path(__file__).resolve().parents[1]))

from window_rendering import render_window  # noqa: E402

SCALE = 0.262  # arcsec
SIZE = 129  # pixels
FWHM, BETA = 4.5, 3.2  # pixels
STAMP = 63
#: Name in the table -> type, Sersic index.
KINDS = {
    "point source": ("PSF", 0.0),
    "n = 0.5": ("SER", 0.5),
    "n = 1": ("EXP", 1.0),
    "n = 2.5": ("SER", 2.5),
    "n = 4": ("DEV", 4.0),
    "n = 6": ("SER", 6.0),
}
RADII = (0.5, 1.5)  # arcsec


def truncation(sersic):
    """Radius, in units of r_e, at which the mixtures' profiles end: tapers from 3 to 4 (n = 1) or 7 to 8 (n = 4)."""
    return float(np.interp(sersic, [1.0, 4.0], [3.5, 7.5]))


def our_image(kind, sersic, radius, e1, e2, dx, dy):
    """Ours: unit flux, `dx`, `dy` pixels off the central pixel; North up, East left."""
    stamp = moffat_stamp(FWHM, BETA, 0.0, 0.0, STAMP).astype(np.float32)
    sigma = stamp_fwhm(stamp) / 2.35
    centre = SIZE // 2
    shape = (math.log(max(radius, 1e-6)), *soft_from_hard(e1, e2), sersic)
    to_pixels = np.array([[-1.0, 0.0], [0.0, 1.0]]) / SCALE
    window = (0, 0, SIZE, SIZE)
    return render_window(kind, centre + dx, centre + dy, to_pixels, shape, stamp, sigma, window).astype(float)


def galsim_image(kind, sersic, radius, e1, e2, dx, dy, truncated=True):
    """GalSim's; the profile is truncated sharply, or not at all."""
    import galsim

    params = galsim.GSParams(maximum_fft_size=16384, folding_threshold=1e-4, maxk_threshold=1e-4)
    source = psf = galsim.Moffat(beta=BETA, fwhm=FWHM * SCALE, gsparams=params)
    if kind != "PSF":
        e = math.hypot(e1, e2)
        axis_ratio = (1 - e) / (1 + e)
        circular = radius * math.sqrt(axis_ratio)
        options = {"trunc": truncation(sersic) * circular, "flux_untruncated": True} if truncated else {}
        galaxy = galsim.Sersic(sersic, half_light_radius=circular, gsparams=params, **options).withFlux(1.0)
        position_angle = 0.5 * math.atan2(e2, e1)  # East of North; East is -x
        direction = math.atan2(math.cos(position_angle), -math.sin(position_angle))
        galaxy = galaxy.shear(q=axis_ratio, beta=direction * galsim.radians)
        source = galsim.Convolve(galaxy, psf, gsparams=params)
    image = galsim.ImageD(SIZE, SIZE)
    source.drawImage(image, scale=SCALE, offset=(dx, dy))
    return image.array


def differences(name, draws=4, seed=1, truncated=True):
    """Largest differences over random positions and ellipticities.

    Returns
    -------
    peak, total, matched : float
        Largest difference of a pixel in units of the peak; sum of the absolute differences in units of the flux;
        mean difference of the flux that a fit of GalSim's image gives.
    """
    kind, sersic = KINDS[name]
    rng = np.random.default_rng(seed)
    found = []
    for radius in (0.0,) if kind == "PSF" else RADII:
        for _ in range(draws):
            dx, dy = rng.uniform(-0.5, 0.5, 2)
            e, angle = rng.uniform(0.0, 0.4), rng.uniform(0.0, 2 * np.pi)
            shape = (radius, e * np.cos(angle), e * np.sin(angle))
            ours = our_image(kind, sersic, *shape, dx, dy)
            other = galsim_image(kind, sersic, *shape, dx, dy, truncated)
            off = ours - other
            matched = np.sum(ours * other) / np.sum(other**2) - 1.0
            found.append((np.abs(off).max() / other.max(), np.abs(off).sum(), matched))
    peak, total, matched = np.array(found).T
    return peak.max(), total.max(), matched.mean()


def main():
    print("| source | largest pixel / peak | sum / flux | fitted flux | untruncated: largest pixel | fitted flux |")
    print("|---|---|---|---|---|---|")
    for name in KINDS:
        peak, total, matched = differences(name)
        cells = f"| {name} | {100 * peak:.2f} % | {100 * total:.2f} % | {100 * matched:+.2f} %"
        if KINDS[name][0] == "PSF":
            print(f"{cells} | | |")
        else:
            peak, _, matched = differences(name, truncated=False)
            print(f"{cells} | {100 * peak:.2f} % | {100 * matched:+.2f} % |")


if __name__ == "__main__":
    main()
