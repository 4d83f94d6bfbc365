"""Stage writecat: the catalogues, the mask bits and the list of checksums."""

import logging
import os

import numpy as np

from .. import catalog, coadds, wise
from ..bits import DQ, MASKBITS_FIXED, WISEMASK, band_suffix
from ..catalog.matching import match
from ..survey.header import bit_cards, dq_bit_cards, merge_cards
from .base import Stage, StageResult

__all__ = ["STAGE"]

logger = logging.getLogger(__name__)

_INJECTED_RADIUS = 1.0  # arcsec


def run_writecat(state, options, tools):
    """Write maskbits, tractor-i, tractor and the checksums."""
    bands, target = list(state["bands"]), state["target"]
    release = tools.survey.default_release if options.release is None else options.release
    cards = [*bit_cards(WISEMASK, "W", "wisemask"), *dq_bit_cards(DQ)]
    header = tools.header(state, cards)
    maskbits = _write_maskbits(state, options, header, tools)

    table = catalog.intermediate_table(
        state["fit_table"], state["fit_sources"], state["fit_ivars"], state["coadd_table"], bands, options.bands
    )
    table["fiberflux"], table["fibertotflux"] = coadds.fiber_fluxes(
        state["fit_sources"],
        target,
        table["bx"],
        table["by"],
        np.asarray(table["flux"]),
        np.asarray(table["flux_ivar"]),
    )
    ix, iy = coadds.pixel_of(table["bx"], table["by"], target.shape)
    catalog.apply_measured_limits(table, state["brick"], target.pixel_scale, maskbits[iy, ix])
    if state["injected"] is not None:
        table["injected"] = _injected_ids(table, state["injected"])

    primary = merge_cards(header, _catalog_cards(state))
    tools.products.write_table("tractor-i", _with_wise(catalog.file_form(table), table, state), primary_cards=primary)
    tractor = catalog.tractor_table(
        table,
        _reddening(table, tools),
        bands,
        options.bands,
        release,
        data_model=options.data_model,
        gaia=options.gaia,
        wise=_wise_columns(state, options),
    )
    tools.products.write_table("tractor", tractor, primary_cards=primary, units=tractor.meta["units"])
    tools.products.write_checksums()
    return StageResult({"tractor": tractor}, cards)


def _injected_ids(table, injected):
    """Number of the injected source that each row is, -1 if it is none: the nearest within an arcsecond."""
    fitted = np.flatnonzero(np.asarray(table["regular"], bool))
    brightest = next(name for name in injected.colnames if name.startswith("flux_"))
    index, _ = match(injected, table[fitted], _INJECTED_RADIUS, brightest)
    ids = np.full(len(table), -1, np.int32)
    ids[fitted[index[index >= 0]]] = np.asarray(injected["id"])[index >= 0]
    return ids


def _write_maskbits(state, options, header, tools):
    """Add the WISE bits to the mask bits of the brick, and write them."""
    maskbits = state["maskbits"].copy()
    masks = state["wise_masks"] or [np.zeros(maskbits.shape, np.uint8) for _ in range(2)]
    values = {bit.name: bit.value for bit in MASKBITS_FIXED}
    for name, mask in zip(("WISEM1", "WISEM2"), masks):
        maskbits[mask != 0] |= values[name]
    if options.wise_gaia_only and options.wise:
        brick = state["brick"]
        maskbits[brick.unique_pixels(state["target"]) | brick.custom] |= values["WISE_GAIA"]
    cards = [*header, *coadds.target_wcs_cards(state["target"]), ("IMTYPE", "maskbits", "LegacySurveys image type")]
    wise = [(mask, name, ()) for name, mask in zip(("WISEM1", "WISEM2"), masks)]
    tools.products.write_images("maskbits", [(maskbits, "MASKBITS", cards), *wise])
    return maskbits


def _catalog_cards(state):
    cards = [("PRODTYPE", "catalog", "NOIRLab data product type")]
    for band in state["bands"]:
        level = state["co_sky"].get(band)
        if level is not None:
            cards.append((f"COSKY_{band_suffix(band)}", float(level), "Sky level estimated (+subtracted) from coadd"))
    for i, radius in enumerate(catalog.APERTURE_RADII):
        cards.append((f"APRAD{i}", float(radius), "(optical) Aperture radius, in arcsec"))
    if state["wise_table"] is not None:
        for i, radius in enumerate(catalog.WISE_APERTURE_RADII):
            cards.append((f"WAPRAD{i}", radius, "(unWISE) Aperture radius, in arcsec"))
        for band, value in wise.VEGA_TO_AB.items():
            cards.append((f"WISEAB{band}", value, f"WISE Vega to AB conv for band {band}"))
    return cards


def _with_wise(rows, table, state):
    """Insert the WISE columns into the intermediate catalogue, before its last ones."""
    if state["wise_table"] is None:
        return rows
    order = np.argsort(table["objid"], kind="stable")
    at = rows.colnames.index("brick_primary")
    names = state["wise_table"].colnames
    rows.add_columns(
        [np.asarray(state["wise_table"][name])[order] for name in names], names=names, indexes=[at] * len(names)
    )
    return rows


def _wise_columns(state, options):
    """WISE columns of the tractor catalogue, or None."""
    if state["wise_table"] is None:
        return None
    return wise.tractor_form(state["wise_table"], options.lc_epochs or catalog.LIGHT_CURVE_EPOCHS[options.data_model])


def _reddening(table, tools):
    """E(B-V) of all rows; zeros, with one warning, if there are no dust maps."""
    folder = os.environ.get("DUST_DIR")
    if not folder:
        tools.report.warn_once(
            logger, "DUST_DIR is not set: ebv is 0 and mw_transmission is 1 (DUST_DIR/maps holds the SFD dust maps)"
        )
        return np.zeros(len(table), np.float32)
    return catalog.reddening(table["ra"], table["dec"], folder)


def _check(options):
    """The dust maps must be there if they are named."""
    if os.environ.get("DUST_DIR"):
        catalog.dust_map_files(os.environ["DUST_DIR"])


STAGE = Stage(
    name="writecat",
    text="write the catalogues, the mask bits and the checksums",
    reads=(
        "brick",
        "target",
        "bands",
        "co_sky",
        "fit_table",
        "fit_sources",
        "fit_ivars",
        "coadd_table",
        "maskbits",
        "wise_table",
        "wise_masks",
        "injected",
    ),
    makes=("tractor",),
    run=run_writecat,
    kept=("tractor",),
    options=("release", "data_model", "gaia", "lc_epochs", "wise_gaia_only"),
    variables=("DUST_DIR",),
    check=_check,
    keyword="VER_WCAT",
)
