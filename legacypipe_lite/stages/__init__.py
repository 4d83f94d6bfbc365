"""The stages of a brick run, one file each, and their order."""

from importlib import import_module

from ..options import STAGE_ORDER
from .base import Stage, StageResult, Tools

__all__ = ["Stage", "StageResult", "Tools", "load_stage", "stage_order"]


def stage_order(options):
    """Names of the stages in the order in which a run goes through them.

    Parameters
    ----------
    options : RunOptions
        With `blob_image` the early coadds come after the detection, so that they can show the blobs.

    Returns
    -------
    list of str
    """
    order = list(STAGE_ORDER)
    if options.blob_image:
        order.remove("image_coadds")
        order.insert(order.index("srcs") + 1, "image_coadds")
    return order


def load_stage(name):
    """The `Stage` of a name; imports what it needs only then.

    Raises
    ------
    KeyError
        If there is no such stage.
    """
    if name not in STAGE_ORDER:
        raise KeyError(name)
    return import_module(f".{name}", __name__).STAGE
