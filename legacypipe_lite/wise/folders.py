"""Folders of unWISE images, as the options and the environment name them."""

import logging
import os
from dataclasses import dataclass

from ..errors import InputError

__all__ = ["WiseFolders"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class WiseFolders:
    """Folders of unWISE images; none with ``--no-wise``.

    Attributes
    ----------
    full : tuple of str
        Of full-depth coadds.
    epochs : str or None
        Of time-resolved coadds.
    sky : str or None
        Of background models.
    """

    full: tuple = ()
    epochs: str | None = None
    sky: str | None = None

    @classmethod
    def from_options(cls, options):
        """From the flags, else from the environment."""
        if not options.wise:
            return cls()
        named = options.unwise_dir or os.environ.get("UNWISE_COADDS_DIR") or ""
        full = tuple(folder for folder in named.split(":") if folder)
        epochs = options.unwise_tr_dir or os.environ.get("UNWISE_COADDS_TIMERESOLVED_DIR") or None
        sky = os.environ.get("UNWISE_MODEL_SKY_DIR") or None
        return cls(full, epochs, sky if full or epochs else None)

    def __bool__(self):
        return bool(self.full or self.epochs)

    def check(self):
        """Raise an `InputError` that names a folder which does not exist, before hours of work are spent."""
        missing = [folder for folder in self.full if not os.path.isdir(folder)]
        if missing and len(missing) == len(self.full):
            raise InputError(f"--unwise-dir (UNWISE_COADDS_DIR) {':'.join(missing)}: no such directory")
        for folder in missing:
            logger.warning("--unwise-dir (UNWISE_COADDS_DIR): there is no directory %s", folder)
        for flag, folder in (
            ("--unwise-tr-dir (UNWISE_COADDS_TIMERESOLVED_DIR)", self.epochs),
            ("UNWISE_MODEL_SKY_DIR", self.sky),
            ("WISE_PSF_DIR", os.environ.get("WISE_PSF_DIR")),
        ):
            if folder is not None and not os.path.isdir(folder):
                raise InputError(f"{flag} {folder}: no such directory")
