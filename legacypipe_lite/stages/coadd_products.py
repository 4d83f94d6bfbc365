"""Writing of coadd products, shared by the stages image_coadds and coadds."""

import numpy as np

from .. import coadds

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
        self.wcs_cards = coadds.target_wcs_cards(state["target"])
        self.unique = state["brick"].unique_pixels(state["target"])
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
            Maps of which there will be a JPEG (`write_picture`).
        """
        band, co_sky = coadd.band, self.state.get("co_sky")
        band_cards = coadds.band_cards(self.state["tims"], band)
        for product in products:
            image = coadd.nexp if product == "nexp" else getattr(coadd, product)
            cards = [*self.header, *self.wcs_cards, *band_cards, *coadds.type_cards(product, band, co_sky)]
            self.tools.products.write_image(product, image, cards, band=band)
        if "depth" in products:
            self.depth_counts[band] = tuple(
                coadds.depth_counts(depth, self.unique) for depth in (coadd.depth, coadd.galdepth)
            )
        self.allmask[band] = coadd.andmask != 0
        # Copies: the maps of a band are planes of one large block, which is freed before the next band.
        self.pictures[band] = {name: getattr(coadd, name).copy() for name in pictures}

    def write_depth_table(self):
        """Write the histogram of depths."""
        self.tools.products.write_table("depth-table", coadds.depth_table(self.depth_counts))

    def picture(self, name):
        """RGB picture of one kind of map; residuals only show the brick's own area."""
        images = [maps[name] for maps in self.pictures.values()]
        mapping = "data"
        if name == "resid":
            mapping = "residual"
            if not self.state["brick"].custom:
                images = [np.where(self.unique, image, np.float32(0)) for image in images]
        options = self.options
        return coadds.rgb(images, list(self.pictures), mapping, stretch=options.rgb_stretch, bw=options.coadd_bw)

    def write_picture(self, name):
        """Write the JPEG of one kind of map."""
        self.tools.products.write_jpeg(f"{name}-jpeg", self.picture(name))


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
    return coadds.maskbits_map(
        state["target"].shape,
        (*options.bands, *options.forced_bands),
        unique=None if state["brick"].custom else products.unique,
        refmap=refmap,
        saturated=state.get("saturated_maps"),
        allmask=products.allmask,
        bailout=state.get("bailout_mask"),
        sub_blob=state.get("sub_blob_mask"),
    )
