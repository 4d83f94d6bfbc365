"""Making a PSF model of a CCD with the programs SExtractor and PsfEx."""

import logging
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fitsio
import numpy as np
from numpy.typing import NDArray

from ..errors import CalibrationError
from .psfex import row_from_psfex_file

__all__ = ["PsfRecipe", "STANDARD_RECIPE", "BOK_RECIPE", "make_psf"]

logger = logging.getLogger(__name__)

_TIMEOUT = 3600.0
_CATALOG_COLUMNS = (
    "NUMBER",
    "X_IMAGE",
    "Y_IMAGE",
    "FLUX_RADIUS",
    "FLUX_APER(8)",
    "FLUXERR_APER(8)",
    "FLUX_AUTO",
    "FLUXERR_AUTO",
    "BACKGROUND",
    "ELONGATION",
    "SNR_WIN",
    "FLAGS",
    "IMAFLAGS_ISO",
)


@dataclass(frozen=True)
class PsfRecipe:
    """Settings of SExtractor and PsfEx.

    Attributes
    ----------
    size : int
        Of the PSF stamps and the cut-outs of stars [pixel].
    filter_kernel : tuple of tuples
        Detection filter, normalised by SExtractor.
    sextractor, psfex : dict
        Settings beyond the common ones.
    """

    size: int
    filter_kernel: tuple
    sextractor: dict
    psfex: dict


def _gaussian_kernel(size, fwhm):
    r = np.arange(size) - size // 2
    g = np.exp(-4.0 * np.log(2.0) * (r / fwhm) ** 2)
    return tuple(tuple(float(v) for v in row) for row in np.outer(g, g))


#: DECam and Mosaic-3.
STANDARD_RECIPE = PsfRecipe(
    size=63,
    filter_kernel=_gaussian_kernel(9, 5.0),
    sextractor={
        "DEBLEND_NTHRESH": 64,
        "DEBLEND_MINCONT": 0.000015,
        "BACKPHOTO_TYPE": "LOCAL",
        "BACKPHOTO_THICK": 24,
        "PHOT_APERTURES": "5.725,11.450,19.084,26.718,34.351,41.985,49.618,57.252",
        "SATUR_LEVEL": 40000.0,
        "SATUR_KEY": "NONE",
        "GAIN": 4.0,
        "GAIN_KEY": "NONE",
        "SEEING_FWHM": 1.2,
        "MAG_ZEROPOINT": 30.0,
    },
    psfex={"PSF_RECENTER": "N", "SAMPLE_FWHMRANGE": "2.0,30.0"},
)

#: 90Prime, with larger pixels.
BOK_RECIPE = PsfRecipe(
    size=31,
    filter_kernel=((1.0, 2.0, 1.0), (2.0, 4.0, 2.0), (1.0, 2.0, 1.0)),
    sextractor={
        "DEBLEND_NTHRESH": 32,
        "DEBLEND_MINCONT": 0.005,
        "BACKPHOTO_TYPE": "GLOBAL",
        "PHOT_APERTURES": "3.191,6.383,10.638,14.894,19.149,23.404,27.660,31.915",
        "SATUR_LEVEL": 75000.0,
        "SATUR_KEY": "SATUR",
        "GAIN": 1.3,
        "GAIN_KEY": "GAIN",
        "SEEING_FWHM": 1.3,
        "MAG_ZEROPOINT": 25.0,
    },
    psfex={"SAMPLE_FWHMRANGE": "2.0,10.0"},
)

_SEXTRACTOR_COMMON = {
    "CATALOG_TYPE": "FITS_LDAC",
    "DETECT_TYPE": "CCD",
    "DETECT_MINAREA": 5,
    "THRESH_TYPE": "RELATIVE",
    "DETECT_THRESH": 1.0,
    "ANALYSIS_THRESH": 1.0,
    "FILTER": "Y",
    "CLEAN": "N",
    "WEIGHT_TYPE": "NONE",
    "FLAG_TYPE": "OR",
    "BACK_SIZE": 64,
    "BACK_FILTERSIZE": 3,
    "PIXEL_SCALE": 1.0,
    "VERBOSE_TYPE": "QUIET",
}

_PSFEX_COMMON = {
    "BASIS_TYPE": "PIXEL_AUTO",
    "BASIS_NUMBER": 20,
    "PSF_SAMPLING": 1.0,
    "PSF_ACCURACY": 0.01,
    "PSFVAR_KEYS": "X_IMAGE,Y_IMAGE",
    "PSFVAR_GROUPS": "1,1",
    "PSFVAR_DEGREES": 2,
    "PHOTFLUX_KEY": "FLUX_APER(4)",
    "PHOTFLUXERR_KEY": "FLUXERR_APER(4)",
    "SAMPLE_AUTOSELECT": "Y",
    "SAMPLEVAR_TYPE": "SEEING",
    "SAMPLE_VARIABILITY": 0.2,
    "SAMPLE_MINSN": 20,
    "SAMPLE_MAXELLIP": 0.3,
    "SAMPLE_FLAGMASK": "0x00fe",
    "SAMPLE_IMAFLAGMASK": "0xff",
    "CHECKPLOT_TYPE": "NONE",
    "CHECKIMAGE_TYPE": "NONE",
    "WRITE_XML": "N",
    "NTHREADS": 1,
    "VERBOSE_TYPE": "QUIET",
}


def make_psf(
    image: NDArray[np.float32],
    dq: NDArray[np.integer],
    recipe: PsfRecipe = STANDARD_RECIPE,
    catalog: Path | None = None,
    header: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """PSF model of a CCD from its stars.

    Parameters
    ----------
    image : numpy.ndarray of float32, shape (h, w)
        The whole CCD.
    dq : numpy.ndarray of int, shape (h, w)
        Flags or codes; stars with pixels that are not 0 are passed over.
    recipe : PsfRecipe
    catalog : Path, optional
        SExtractor catalogue of the CCD, used if it exists.
    header : mapping, optional
        Of the image: gain and saturation level are taken from it where the recipe names their cards.

    Returns
    -------
    dict
        Row of the PSF table: lower-case column name -> value.

    Raises
    ------
    CalibrationError
        If a program is not installed or fails.
    """
    psfex = _program(("psfex",))
    with tempfile.TemporaryDirectory(prefix="legacypipe-psf-") as temporary:
        folder = Path(temporary)
        if catalog is None or not Path(catalog).is_file():
            catalog = _run_sextractor(folder, image, dq, recipe, header or {})
        settings = {
            **_PSFEX_COMMON,
            **recipe.psfex,
            "PSF_SIZE": f"{recipe.size},{recipe.size}",
            "PSF_DIR": folder,
            "PSF_SUFFIX": ".psf",
        }
        _write_settings(folder / "default.psfex", settings)
        _run([psfex, "-c", "default.psfex", str(Path(catalog).resolve())], folder)
        result = folder / f"{Path(catalog).stem}.psf"
        if not result.is_file():
            raise CalibrationError(f"psfex made no PSF model from {catalog}")
        row = row_from_psfex_file(result)
    if row is None or not np.all(np.isfinite(row["psf_mask"])):
        raise CalibrationError(f"psfex made no usable PSF model from {catalog}")
    return row


def _program(names):
    """Path of the first of these programs that is installed."""
    for name in names:
        path = shutil.which(name)
        if path is not None:
            return path
    raise CalibrationError(
        f"to make a PSF model the program {' or '.join(names)} is needed:"
        " install SExtractor and PsfEx (Debian packages source-extractor and psfex)"
    )


def _run_sextractor(folder, image, dq, recipe, header):
    """Detect sources; returns the path of the catalogue."""
    program = _program(("source-extractor", "sex", "sextractor"))
    cards = {key: header[key] for key in (recipe.sextractor[k] for k in ("GAIN_KEY", "SATUR_KEY")) if key in header}
    fitsio.write(str(folder / "image.fits"), np.asarray(image, np.float32), header=cards, clobber=True)
    fitsio.write(str(folder / "dq.fits"), np.asarray(dq, np.int32), clobber=True)
    columns = (*_CATALOG_COLUMNS, f"VIGNET({recipe.size},{recipe.size})")
    (folder / "default.param").write_text("\n".join(columns) + "\n")
    kernel = [" ".join(f"{v:.6f}" for v in row) for row in recipe.filter_kernel]
    (folder / "default.conv").write_text("\n".join(["CONV NORM", *kernel]) + "\n")
    settings = {
        **_SEXTRACTOR_COMMON,
        **recipe.sextractor,
        "CATALOG_NAME": "catalog.fits",
        "PARAMETERS_NAME": "default.param",
        "FILTER_NAME": "default.conv",
        "FLAG_IMAGE": "dq.fits",
    }
    _write_settings(folder / "default.se", settings)
    _run([program, "-c", "default.se", "image.fits"], folder)
    catalog = folder / "catalog.fits"
    if not catalog.is_file():
        raise CalibrationError(f"{Path(program).name} made no catalogue")
    return catalog


def _write_settings(path, settings):
    path.write_text("".join(f"{key} {value}\n" for key, value in settings.items()))


def _run(command, folder):
    name = Path(command[0]).name
    logger.debug("running %s", " ".join(command))
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_TIMEOUT)
    except (OSError, subprocess.TimeoutExpired) as e:
        raise CalibrationError(f"{name} cannot be run: {e}") from None
    if done.returncode != 0:
        lines = [line.strip() for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        raise CalibrationError(f"{name} failed with status {done.returncode}: {lines[-1] if lines else 'no message'}")
