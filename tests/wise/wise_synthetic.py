"""Mock unWISE tiles in their on-disk format, drawn without any of the package's rendering code."""

from dataclasses import dataclass
from pathlib import Path

import fitsio
import numpy as np
from scipy import fft

from legacypipe_lite.models.profiles import mixture
from legacypipe_lite.wcs import TanWcs

PIXEL = 2.75  # arcsec

#: Typical noise of unWISE coadds [Vega nanomaggies per pixel].
NOISE = {1: 1.4, 2: 5.2, 3: 480.0, 4: 9000.0}
NOISE_FLOOR = {1: 0.5, 2: 2.0, 3: 0.0, 4: 0.0}
SOURCE_NOISE = {1: 0.15, 2: 0.3, 3: 0.0, 4: 0.0}


@dataclass
class MockTile:
    """A tile, or a cut-out of one: what lies in its files."""

    coadd_id: str
    ra: float
    dec: float
    x0: int = 0
    y0: int = 0
    width: int = 2048
    height: int = 2048

    @property
    def wcs(self):
        s = PIXEL / 3600
        crpix = (1024.5 - self.x0, 1024.5 - self.y0)
        return TanWcs((self.ra, self.dec), crpix, [[-s, 0], [0, s]], self.width, self.height)

    def header(self, band):
        cards = self.wcs.header_cards()
        if band in (1, 2):
            cards += [("MJDMIN", 55000.0, ""), ("MJDMAX", 56000.0, "")]
        return [{"name": name, "value": value, "comment": text} for name, value, text in cards]


def point_image(shape, psf, x, y, flux, phases=8):
    """Sum of point sources whose positions are multiples of 1/phases pixel, by the Fourier shift theorem."""
    margin = len(psf) // 2
    big = tuple(fft.next_fast_len(n + 2 * margin, real=True) for n in shape)
    frame = np.zeros(big)
    frame[: len(psf), : len(psf)] = psf
    spectrum = fft.rfft2(np.roll(frame, (-margin, -margin), axis=(0, 1)))
    ky, kx = fft.fftfreq(big[0])[:, None], fft.rfftfreq(big[1])[None, :]
    ix, iy = np.floor(x).astype(int), np.floor(y).astype(int)
    fx, fy = np.rint((x - ix) * phases).astype(int), np.rint((y - iy) * phases).astype(int)
    total = np.zeros(spectrum.shape, complex)
    for a, b in sorted(set(zip(fx.tolist(), fy.tolist()))):
        same = (fx == a) & (fy == b)
        deltas = np.zeros(big)
        np.add.at(deltas, (iy[same] + margin, ix[same] + margin), flux[same])
        total += fft.rfft2(deltas) * np.exp(-2j * np.pi * (kx * a + ky * b) / phases)
    image = fft.irfft2(total * spectrum, s=big)
    return image[margin : margin + shape[0], margin : margin + shape[1]]


def galaxy_image(shape, psf, x, y, flux, kind, shape_r, e1, e2, sersic, size=256):
    """One galaxy, in a large frame in Fourier space."""
    c, half = len(psf) // 2, size // 2
    frame = psf[max(c - half, 0) : c + half, max(c - half, 0) : c + half]
    at = c - max(c - half, 0)
    padded = np.zeros((size, size))
    padded[: len(frame), : len(frame)] = frame
    ky, kx = fft.fftfreq(size)[:, None], fft.rfftfreq(size)[None, :]
    ix, iy = int(np.rint(x)), int(np.rint(y))
    phase = np.exp(-2j * np.pi * (kx * (x - ix + half - at) + ky * (y - iy + half - at)))
    e = np.hypot(e1, e2)
    q, angle = (1 - e) / (1 + e), 0.5 * np.arctan2(e2, e1)
    r = shape_r / PIXEL
    # East is -x, North is y.
    major = r * np.array([-np.sin(angle), np.cos(angle)])
    minor = r * q * np.array([-np.cos(angle), -np.sin(angle)])
    q2 = (kx * major[0] + ky * major[1]) ** 2 + (kx * minor[0] + ky * minor[1]) ** 2
    profile = sum(a * np.exp(-2 * np.pi**2 * v * q2) for a, v in zip(*mixture(kind, sersic)))
    drawn = flux * fft.irfft2(fft.rfft2(padded) * phase * profile, s=(size, size))
    out = np.zeros(shape)
    x0, y0 = ix - half, iy - half
    xa, xb, ya, yb = max(x0, 0), min(x0 + size, shape[1]), max(y0, 0), min(y0 + size, shape[0])
    if xa < xb and ya < yb:
        out[ya:yb, xa:xb] = drawn[ya - y0 : yb - y0, xa - x0 : xb - x0]
    return out


def sigma_of(image, band):
    """Noise of each pixel: that of the detector, a floor, and a part that grows with the signal."""
    return np.sqrt(NOISE[band] ** 2 + NOISE_FLOOR[band] ** 2 + SOURCE_NOISE[band] ** 2 * np.maximum(image, 0))


def write_tile(folder, tile, band, image, *, invvar=None, n_masked=None, n_unmasked=None, epoch=None, compress=True):
    """Write the four files of one band of a tile.

    `invvar` defaults to what the noise of `sigma_of` corresponds to without floor and signal; that of W4 is 16 times
    as large, since photometry divides it by 16 for the correlation of pixels.
    """
    base = Path(folder) if epoch is None else Path(folder) / f"e{epoch:03d}"
    path = base / tile.coadd_id[:3] / tile.coadd_id
    path.mkdir(parents=True, exist_ok=True)
    shape = (tile.height, tile.width)
    if invvar is None:
        invvar = np.full(shape, (16 if band == 4 else 1) / NOISE[band] ** 2)
    if n_masked is None:
        n_masked = np.full(shape, 100)
    if n_unmasked is None:
        n_unmasked = n_masked + 5
    stem = f"{path}/unwise-{tile.coadd_id}-w{band}-"
    fitsio.write(stem + "img-m.fits", image.astype(np.float32), header=tile.header(band), clobber=True)
    suffix = ".gz" if compress else ""
    for name, values, dtype in (
        ("invvar-m", invvar, np.float32),
        ("n-m", n_masked, np.int16),
        ("n-u", n_unmasked, np.int16),
    ):
        fitsio.write(f"{stem}{name}.fits{suffix}", values.astype(dtype), clobber=True)
    return path


def write_atlas(folder, tiles, bits):
    """Atlas of time-resolved coadds: one row of epoch bits per tile."""
    rows = np.zeros(
        len(tiles), [("coadd_id", "S8"), ("ra", "f8"), ("dec", "f8"), ("row", "i8"), ("epoch_bitmask", "u1", 20)]
    )
    for row, tile, epochs in zip(rows, tiles, bits):
        row["coadd_id"], row["ra"], row["dec"] = tile.coadd_id, tile.ra, tile.dec
        row["epoch_bitmask"][: len(epochs)] = epochs
    Path(folder).mkdir(parents=True, exist_ok=True)
    fitsio.write(f"{folder}/time_resolved_atlas.fits", rows, clobber=True)
