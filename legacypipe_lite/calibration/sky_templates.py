"""Sky templates of DECam: the large-scale pattern of a group of nights, scaled to an exposure."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..tables import column_names, open_fits, read_columns, short_message
from .rows import ImageIdentity
from .versions import texts_agree

__all__ = ["SkyTemplate", "find_sky_template"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SkyTemplate:
    """The template of one CCD.

    Attributes
    ----------
    path : str
        FITS file with one extension per CCD.
    ccdname : str
    run : int
        Number of the group of nights.
    scale : float
        Factor for this exposure.
    version : int
        SKYTMPL of the file of scales.
    """

    path: str
    ccdname: str
    run: int
    scale: float
    version: int

    def image(self, x0: int, y0: int, width: int, height: int) -> NDArray[np.float32]:
        """Scaled template in a cut-out with origin (x0, y0) in the CCD; float32 (height, width).

        Raises
        ------
        InputError
            If the file is damaged or has no such extension.
        """
        with open_fits(self.path) as fits:
            try:
                template = fits[self.ccdname.lower()][y0 : y0 + height, x0 : x0 + width]
            except OSError as e:
                raise InputError(f"{self.path}: extension {self.ccdname}: {short_message(e)}") from None
        if template.shape != (height, width):
            raise InputError(f"{self.path}: extension {self.ccdname} is smaller than the CCD")
        return template.astype(np.float32) * np.float32(self.scale)


def find_sky_template(
    folder: str | None, identity: ImageIdentity, band: str, old_calibs_ok: bool = False
) -> SkyTemplate | None:
    """The sky template of a CCD, or None if there is none for it.

    Parameters
    ----------
    folder : str or None
        $SKY_TEMPLATE_DIR, with ``sky-scales.kd.fits`` and ``sky_templates/``.
    identity : rows.ImageIdentity
    band : str
    old_calibs_ok : bool
        Accept a scale that was measured on another version of the image.

    Returns
    -------
    SkyTemplate or None

    Raises
    ------
    InputError
        If the folder lacks the table of scales, or the template file that the table asks for.
    """
    if not folder:
        return None
    path = Path(folder) / "sky-scales.kd.fits"
    with open_fits(path) as fits:
        row = _scale_row(fits, path, identity)
        version = int(fits[0].read_header().get("SKYTMPL", -1))
    if row is None or row["run"] == -1:
        logger.debug("no sky template for %d %s", identity.expnum, identity.ccdname)
        return None
    if identity.plprocid and texts_agree(str(row["plprocid"]), identity.plprocid) == "different":
        text = f"{path}: scale of {identity.expnum} is of PLPROCID {row['plprocid']}, the image {identity.plprocid}"
        if not old_calibs_ok:
            logger.warning("%s: no sky template", text)
            return None
        logger.warning("%s; accepted (--old-calibs-ok)", text)
    run = int(row["run"])
    base = Path(folder) / "sky_templates" / f"sky_template_{band}_{run}.fits"
    for candidate in (base.with_name(base.name + ".fz"), base):
        if candidate.is_file():
            return SkyTemplate(str(candidate), identity.ccdname, run, float(row["skyscale"]), version)
    raise InputError(f"{base}[.fz]: missing sky template that {path} asks for")


def _scale_row(fits, path, identity):
    keys = ["expnum"] + [c for c in ("ccdname",) if c in column_names(fits, path)]
    table = read_columns(fits, path, columns=keys)
    match = table["expnum"] == identity.expnum
    if "ccdname" in keys:
        match &= np.char.strip(table["ccdname"]) == identity.ccdname
    rows = np.flatnonzero(match)
    if len(rows) == 0:
        return None
    return read_columns(fits, path, columns=["run", "skyscale", "plprocid"], rows=rows[:1])[0]
