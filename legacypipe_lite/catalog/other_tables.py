"""What the columns of the other tables are: tractor-i, all-models, reference, sources, ccds, depth.

The stages make these tables; the tests check that they hold nothing that is not listed here. In names, ``<b>``
stands for a band, ``<w>`` for a band of WISE; in types ``[nb]`` for an array over the bands with images (a plain
number if there is one band).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ..models.sources import SOURCE_TYPES
from .columns import COADD_MAPS, TRACTOR_SCHEMA, Column, Entry, column_suffix

__all__ = [
    "ReferenceColumn",
    "REFERENCE",
    "SOURCES",
    "INTERMEDIATE",
    "CCDS",
    "DEPTH",
    "all_models_columns",
]

_GAIA = "gaia_"


@dataclass(frozen=True)
class ReferenceColumn(Column):
    """A column of a reference object.

    Attributes
    ----------
    always : bool
        Every table of reference objects has it; the others are there as far as the catalogues give them.
    from_gaia : bool
        Kept as it is read from the Gaia files; the tractor catalogue has it under a name that begins with ``gaia_``.
    """

    always: bool = False
    from_gaia: bool = False


def _columns(text: str, known: Iterable[Column] = ()) -> tuple[Column, ...]:
    """Columns from lines ``name dtype unit meaning``; a line that is only a name is a column of `known`."""
    columns = {column.name: column for column in known}
    return tuple(_column(line.split(None, 3), columns) for line in text.strip().splitlines())


def _column(words, known):
    if len(words) == 1:
        return known[words[0]]
    name, dtype, unit, meaning = words
    return Column(name, dtype, "" if unit == "-" else unit, meaning)


def _reference_columns(text: str) -> tuple[ReferenceColumn, ...]:
    """The same, with a star after the names of columns that every table has."""
    columns = {}
    for entry in TRACTOR_SCHEMA:
        gaia = entry.name.startswith(_GAIA)
        name, unit = entry.name.removeprefix(_GAIA), "" if gaia else entry.unit
        columns[name] = ReferenceColumn(name, entry.dtype, unit, entry.text, from_gaia=gaia)
    found = []
    for line in text.strip().splitlines():
        words = line.split(None, 3)
        always, words[0] = words[0].endswith("*"), words[0].removesuffix("*")
        column = _column(words, columns)
        if not isinstance(column, ReferenceColumn):
            column = ReferenceColumn(column.name, column.dtype, column.unit, column.text)
        found.append(replace(column, always=always))
    return tuple(found)


#: Columns of a reference object, in the order of the reference file.
REFERENCE = _reference_columns(
    """
    ra*
    dec*
    ref_cat*
    ref_id*
    mag* f4 - magnitude by which objects are compared: Gaia G, Tycho-2 V
    istycho* bool - Tycho-2 star
    isgaia* bool - Gaia star
    islargegalaxy* bool - large galaxy
    issgafit* bool - fitted together with a large galaxy beforehand
    iscluster* bool - star cluster or planetary nebula
    isbright* bool - sets the mask bit BRIGHT
    ismedium* bool - sets the mask bit MEDIUM
    freezeparams* bool - its parameters are not fitted
    pointsource* bool - treated as a point source
    ignore_source* bool - takes no part in the fit
    in_bounds* bool - lies in the target image
    fitmode u1 - fit-mode bits of the large-galaxy catalogue
    isresolved* bool - nearby resolved dwarf galaxy
    ismcloud* bool - Magellanic Cloud
    ba f4 - axis ratio of the mask ellipse (float64 if there are star clusters)
    pa f4 deg position angle of the mask ellipse (float64 if there are star clusters)
    decam_mag_<b> f4 - magnitude in the band, from the catalogue's colours
    zguess f4 mag guess of the z magnitude
    mask_mag* f4 - magnitude from which the mask radius follows
    radius* f4 deg mask radius (float64 if there are star clusters)
    keep_radius* f4 deg radius within which the object is kept though outside the image
    radius_pix* i8 - mask radius in pixels
    ibx* i4 - x pixel of the catalogue position (int64 in the table sources)
    iby* i4 - y pixel
    ref_epoch*
    pmra*
    pmdec*
    parallax*
    ra_ivar
    dec_ivar
    pmra_ivar
    pmdec_ivar
    parallax_ivar
    phot_g_mean_mag
    phot_bp_mean_mag
    phot_rp_mean_mag
    phot_g_mean_flux_over_error
    phot_bp_mean_flux_over_error
    phot_rp_mean_flux_over_error
    phot_g_n_obs
    phot_bp_n_obs
    phot_rp_n_obs
    phot_variable_flag
    astrometric_excess_noise
    astrometric_excess_noise_sig
    astrometric_n_obs_al
    astrometric_n_good_obs_al
    duplicated_source
    phot_bp_rp_excess_factor
    astrometric_sigma5d_max
    astrometric_params_solved
    """
)

#: Columns of a reference object that its file does not have; and how a detection was found.
DETECTED = _reference_columns(
    """
    peaksed S1 - first letter of the SED in which the source was detected; blank: reference object
    set_galaxy_maskbit* bool - sets the mask bit GALAXY
    dup* bool - star that another row has fitted
    isgalaxy u1 - the reference object is a galaxy
    source_id i8 - Gaia source_id
    jmag f4 mag 2MASS J of a Tycho-2 star
    hmag f4 mag 2MASS H of a Tycho-2 star
    kmag f4 mag 2MASS K of a Tycho-2 star
    """
)

#: Detections and reference objects before the fit.
SOURCES = (
    *REFERENCE,
    *DETECTED,
    *_columns(
        """
        peaksn f4 - signal-to-noise ratio of the peak
        blob i4 - blob at the source's pixel, before renumbering
        blob_x0 i8 - first column of the blob; -1: none
        blob_x1 i8 - one past its last column
        blob_y0 i8 - first row of the blob
        blob_y1 i8 - one past its last row
        needs_initial_flux bool - its initial flux is not trustworthy
        flux_<b> f4 nanomaggies initial flux
        """
    ),
)


def _intermediate_form(entry: Entry) -> Column:
    """A column of the tractor catalogue as the intermediate catalogue has it."""
    suffix = {"wise": "_<w>", "light curve": "_<w>", "optical": "_<b>" if entry.spread else ""}.get(entry.bands, "")
    over = "[nb]" if entry.bands == "optical" and not entry.spread else "[epochs]" if entry.length == "epochs" else ""
    shape = (entry.length,) if isinstance(entry.length, int) and entry.length else ()
    return Column(entry.name + suffix, entry.dtype + over, entry.unit, entry.text, shape)


_TRACTOR = [_intermediate_form(entry) for entry in TRACTOR_SCHEMA]

#: Everything known about the sources of the tractor catalogue.
INTERMEDIATE = (
    *REFERENCE,
    *DETECTED,
    *_columns(
        """
        iterative bool - detected in the residuals
        fracflux
        fracin
        fracmasked
        rchisq
        cpu_arch S3 - kind of processor
        cpu_source f4 s CPU time spent on the source
        cpu_blob f4 s CPU time spent on the blob
        blob_width i2 - width of the blob's box in pixels
        blob_height i2 - height of the blob's box
        blob_npix i4 - pixels of the blob
        blob_nimages i2 - images of the blob
        blob_totalpix i4 - good pixels in all images of the blob
        blob_symm_width i2 - width of the source's own box
        blob_symm_height i2 - height of the source's own box
        blob_symm_npix i4 - pixels of the source's own fit
        blob_symm_nimages i2 - images of the source's own fit
        bx0 f4 - x pixel before the fit
        by0 f4 - y pixel before the fit
        hit_limit bool - a parameter ended at a limit
        hit_ser_limit bool - the Sersic index ended at a limit
        hit_r_limit bool - the radius ended at its limit
        dchisq
        force_keep_source bool - kept though its fit failed
        fit_background bool - background levels were fitted, too
        forced_pointsource bool - only the point source was tried
        ran_on_gpu bool - always false
        fit_flags i4 - what happened during the fit, see [bits](#bits)
        ra_ivar_joint f4 1/deg^2 inverse variance of ra, marginalised over all parameters of the source and its blend
        dec_ivar_joint f4 1/deg^2 the same of dec
        flux_ivar_joint f4[b] 1/nanomaggy^2 the same of the fluxes
        shape_r_ivar_joint f4 1/arcsec^2 the same of shape_r
        shape_e1_ivar_joint f4 - the same of shape_e1
        shape_e2_ivar_joint f4 - the same of shape_e2
        sersic_ivar_joint f4 - the same of sersic
        blend_corr f4 - correlation of its flux (r, else the deepest band) with that of the most correlated neighbor
        blend_objid i4 - objid of that neighbor; -1: none
        regular bool - fitted; false for duplicates, clusters and other reference objects that are not
        bx
        by
        objid
        blob i4 - blob, as in the blob map; -1: none
        ninblob i4 - number of rows in the blob
        brickid
        brickname
        """,
        _TRACTOR,
    ),
    *_columns("\n".join(COADD_MAPS), _TRACTOR),
    *_columns(
        """
        mjd_min
        mjd_max
        nea_<b>
        blob_nea_<b>
        apflux
        apflux_ivar
        apflux_masked
        apflux_resid
        apflux_blobresid
        flux
        flux_ivar
        type
        sersic
        shape_r
        shape_e1
        shape_e2
        sersic_ivar
        shape_r_ivar
        shape_e1_ivar
        shape_e2_ivar
        fiberflux
        fibertotflux
        wise_coadd_id
        wise_x
        wise_y
        wise_mask u1[2] - WISE mask bits of W1 and W2 (this and all WISE columns: not with --no-wise)
        flux_<w>
        lc_flux_<w>
        flux_ivar_<w>
        lc_flux_ivar_<w>
        psfdepth_<w>
        apflux_<w>
        apflux_resid_<w>
        apflux_ivar_<w>
        nobs_<w>
        fracflux_<w>
        rchisq_<w>
        lc_nobs_<w>
        lc_fracflux_<w>
        lc_rchisq_<w>
        lc_mjd_<w>
        brick_primary
        maskbits
        fitbits
        injected i4 - id of the injected source that this is (only with --inject); -1: none
        """,
        _TRACTOR,
    ),
)

#: Columns that a run adds to the survey's own columns of a CCD.
CCDS = _columns(
    """
    ccd_x0 i2 - first column of the part of the CCD that is used
    ccd_y0 i2 - first row
    ccd_x1 i2 - one past the last column
    ccd_y1 i2 - one past the last row
    brick_x0 i2 - where that part lies in the brick: first column (FITS pixels)
    brick_x1 i2 - last column
    brick_y0 i2 - first row
    brick_y1 i2 - last row
    psfnorm f4 - norm of the PSF at the centre of the part
    galnorm f4 - norm of a small galaxy there
    propid S10 - proposal
    plver S7 - version of the image processing
    skyver S20 - version of the software that made the sky model
    psfver S20 - version of the software that made the PSF model
    skyplver S7 - image version that the sky model was made from
    psfplver S7 - image version that the PSF model was made from
    co_sky f4 nanomaggies residual sky level that was subtracted
    """
)

#: Histogram of depth over the brick's own area.
DEPTH = _columns(
    """
    depthlo f4 mag lower edge of the bin (AB, 5 sigma)
    depthhi f4 mag upper edge
    counts_ptsrc_<b> i4 - pixels whose depth for point sources is in the bin
    counts_gal_<b> i4 - the same for a round exponential galaxy of half-light radius 0.45 arcsec
    """
)

#: What all-models says about a source besides its models.
_ALL_MODELS = _columns(
    """
    blob
    brickid
    brickname
    dchisq
    objid
    ra
    dec
    cpu_arch
    cpu_source
    cpu_blob
    ninblob
    blob_width
    blob_height
    blob_npix
    blob_nimages
    blob_totalpix
    blob_symm_width
    blob_symm_height
    blob_symm_npix
    blob_symm_nimages
    hit_limit
    hit_r_limit
    hit_ser_limit
    fit_background
    forced_pointsource
    type
    """,
    INTERMEDIATE,
)


def all_models_columns(bands: Sequence[str], brickname_length: int = 8) -> list[Column]:
    """Columns of the all-models table: what each model gave for each source.

    Parameters
    ----------
    bands : sequence of str
        Optical bands of the run.
    brickname_length : int

    Returns
    -------
    list of Column
    """
    columns = [
        replace(column, dtype=f"S{brickname_length}") if column.name == "brickname" else column
        for column in _ALL_MODELS
    ]
    for kind in SOURCE_TYPES.values():
        columns += _model_columns(kind, [column_suffix(b) for b in bands])
    return columns


def _model_columns(kind, suffixes):
    model, shapes, what = kind.name.lower(), kind.shapes, f"of the {kind.name} model"
    columns = [
        Column(f"{model}_ra", "f8", "", f"right ascension {what} [deg]"),
        Column(f"{model}_dec", "f8", "", f"declination {what} [deg]"),
    ]
    columns += [Column(f"{model}_{name}", "f4", "", f"{name} {what}") for name in shapes]
    for name in ("ra", "dec", *shapes):
        columns.append(Column(f"{model}_{name}_ivar", "f4", "", f"inverse variance of {name} {what}"))
    columns += [Column(f"{model}_flux_{s}", "f4", "", f"flux {what} [nanomaggies]") for s in suffixes]
    columns += [Column(f"{model}_flux_ivar_{s}", "f4", "", f"inverse variance of the flux {what}") for s in suffixes]
    columns.append(Column(f"{model}_cpu", "f4", "", f"CPU seconds {what}"))
    columns.append(Column(f"{model}_hit_limit", "bool", "", f"a parameter {what} ended at a limit"))
    if not kind.is_point:
        columns.append(Column(f"{model}_hit_r_limit", "bool", "", f"the radius {what} ended at its limit"))
    columns.append(Column(f"{model}_opt_steps", "i2", "", f"steps of the fit {what}; -1: not tried"))
    return columns
