"""Writing of coadd products, shared by the stages image_coadds and coadds."""

import numpy as np

from ..survey.products import mapper_for
from .depth import depth_counts, depth_table
from .headers import band_cards, target_wcs_cards, type_cards
from .maskbits import maskbits_map
from .pictures import picture_sources
from .rgb import rgb
from .sparse import MaskedImage

__all__ = ["CoaddProducts", "maskbits_of_state"]


class CoaddProducts:
    """Writes the coadds of a brick band by band, and collects what their summary products need.

    Parameters
    ----------
    state : dict
    options : RunOptions
    tools : Tools
    header : list of (str, object, str)
        The version header.
    """

    def __init__(self, state, options, tools, header):
        self.state, self.options, self.tools, self.header = state, options, tools, header
        self.wcs_cards = target_wcs_cards(state["target"])
        self.unique = state["brick"].unique_pixels(state["target"])
        self.band_cards = {band: band_cards(state["tims"], band) for band in state["bands"]}
        self.depth_counts = {}
        self.pictures = {}
        self.allmask = {}

    def image_cards(self, imtype=None):
        """Cards of a map that has no band."""
        cards = [*self.header, *self.wcs_cards]
        if imtype is not None:
            cards.append(("IMTYPE", imtype, "LegacySurveys image type"))
        return cards

    def write_ccds(self):
        """Write the table of the CCDs that were used."""
        primary = [*self.header, ("PRODTYPE", "ccdinfo", "NOIRLab data product type")]
        self.tools.products.write_table("ccds-table", self.state["ccds"], primary_cards=primary)

    def add_band(self, coadd, products, pictures):
        """Write maps of one band, and keep what is needed when all bands are done.

        Parameters
        ----------
        coadd : BandCoadd
        products : sequence of str
            Maps to write, in this order.
        pictures : sequence of str
            Maps of which there will be a JPEG (`write_pictures`).
        """
        band, co_sky = coadd.band, self.state.get("co_sky")
        jobs = []
        for product in products:
            cards = [*self.header, *self.wcs_cards, *self.band_cards[band], *type_cards(product, band, co_sky)]
            jobs.append((_write_image, (product, getattr(coadd, product), cards, band)))
        self.tools.products.write_all(jobs, self._mapper(len(jobs)))
        if "depth" in products:
            self.depth_counts[band] = tuple(depth_counts(depth, self.unique) for depth in (coadd.depth, coadd.galdepth))
        self.allmask[band] = np.packbits(coadd.andmask != 0)
        self.pictures[band] = picture_sources(coadd, pictures)

    def _mapper(self, n):
        """Worker processes for n maps of the target, if they are worth it."""
        height, width = self.state["target"].shape
        return mapper_for(self.tools, n * height * width)

    def write_depth_table(self):
        """Write the histogram of depths."""
        self.tools.products.write_table("depth-table", depth_table(self.depth_counts))

    def picture(self, name):
        """RGB picture of one kind of map; residuals only show the brick's own area."""
        return _picture(*self._of_picture(name))

    def write_pictures(self, names):
        """Write the JPEGs of kinds of maps."""
        jobs = [(_write_picture, self._of_picture(name)) for name in names]
        self.tools.products.write_all(jobs, self._mapper(len(jobs)))

    def _of_picture(self, name):
        """Arguments of `_picture`."""
        images = [maps[name] for maps in self.pictures.values()]
        own = self.unique if name == "resid" and not self.state["brick"].custom else None
        return name, images, list(self.pictures), own, self.options

    def allmask_maps(self):
        """Band -> pixels that are masked in all images."""
        shape = self.state["target"].shape
        size = shape[0] * shape[1]
        return {
            band: np.unpackbits(packed, count=size).reshape(shape).view(bool) for band, packed in self.allmask.items()
        }


def _write_image(tree, product, image, cards, band):
    tree.write_image(product, image, cards, band=band)


def _picture(name, images, bands, own, options):
    """Picture of maps band by band; only of the pixels `own`, if they are given."""
    mapping = "residual" if name == "resid" else "data"
    if own is not None:
        images = [MaskedImage(image, own) for image in images]
    return rgb(images, bands, mapping, stretch=options.rgb_stretch, bw=options.coadd_bw)


def _write_picture(tree, name, images, bands, own, options):
    tree.write_jpeg(f"{name}-jpeg", _picture(name, images, bands, own, options))


def maskbits_of_state(state, options, products, refmap):
    """The map of mask bits, from what the stages so far know.

    Parameters
    ----------
    state : dict
        Uses saturated_maps, bailout_mask and sub_blob_mask if they are there.
    options : RunOptions
    products : CoaddProducts
        After all bands were added.
    refmap : numpy.ndarray of uint8

    Returns
    -------
    numpy.ndarray of int32
    """
    return maskbits_map(
        state["target"].shape,
        options.bands,
        unique=None if state["brick"].custom else products.unique,
        refmap=refmap,
        saturated=state.get("saturated_maps"),
        allmask=products.allmask_maps(),
        bailout=state.get("bailout_mask"),
        sub_blob=state.get("sub_blob_mask"),
    )
