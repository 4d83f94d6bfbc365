"""What the columns of the other tables mean: tractor-i, reference, sources, ccds, depth.

The stages make these tables; the tests check that they hold nothing that is not listed here. In names, ``<b>``
stands for a band, in types ``[nb]`` for an array over the bands with images (a plain number if there is one band).
"""

from ..models.sources import TYPES
from .columns import Column

__all__ = ["INTERMEDIATE", "REFERENCE", "SOURCES", "CCDS", "DEPTH"]


def _columns(text):
    """Columns from lines ``name dtype meaning``."""
    rows = (line.split(None, 2) for line in text.strip().splitlines())
    return tuple(Column(name, dtype, "", meaning) for name, dtype, meaning in rows)


#: Columns of a reference object, as far as its catalogue gives them.
REFERENCE = _columns(
    """
    ra f8 right ascension [deg] at ref_epoch
    dec f8 declination [deg]
    ref_cat S2 catalogue: T2, G<version>, L<version>, CL
    ref_id i8 number in the catalogue
    mag f4 magnitude by which objects are compared: Gaia G, Tycho-2 V
    istycho bool Tycho-2 star
    isgaia bool Gaia star
    islargegalaxy bool large galaxy
    issgafit bool fitted together with a large galaxy beforehand
    iscluster bool star cluster or planetary nebula
    isbright bool sets the mask bit BRIGHT
    ismedium bool sets the mask bit MEDIUM
    freezeparams bool its parameters are not fitted
    pointsource bool treated as a point source
    ignore_source bool takes no part in the fit
    in_bounds bool lies in the target image
    fitmode u1 fit-mode bits of the large-galaxy catalogue
    isresolved bool nearby resolved dwarf galaxy
    ismcloud bool Magellanic Cloud
    ba f4 axis ratio of the mask ellipse (float64 if there are star clusters)
    pa f4 position angle of the mask ellipse [deg] (float64 if there are star clusters)
    decam_mag_<b> f4 magnitude in the band, from the catalogue's colours
    zguess f4 guess of the z magnitude
    mask_mag f4 magnitude from which the mask radius follows
    radius f4 mask radius [deg] (float64 if there are star clusters)
    keep_radius f4 radius [deg] within which the object is kept though outside the image
    radius_pix i8 mask radius [pixel]
    ibx i4 x pixel of the catalogue position (int64 in the table sources)
    iby i4 y pixel
    ref_epoch f4 epoch of the position [Julian year]
    pmra f4 proper motion in RA [mas/yr]
    pmdec f4 proper motion in Dec [mas/yr]
    parallax f4 parallax [mas]
    ra_ivar f4 inverse variance of ra [1/deg^2]
    dec_ivar f4 inverse variance of dec [1/deg^2]
    pmra_ivar f4 inverse variance of pmra
    pmdec_ivar f4 inverse variance of pmdec
    parallax_ivar f4 inverse variance of parallax
    phot_g_mean_mag f4 Gaia G magnitude
    phot_bp_mean_mag f4 Gaia BP magnitude
    phot_rp_mean_mag f4 Gaia RP magnitude
    phot_g_mean_flux_over_error f4 Gaia G signal-to-noise ratio
    phot_bp_mean_flux_over_error f4 Gaia BP signal-to-noise ratio
    phot_rp_mean_flux_over_error f4 Gaia RP signal-to-noise ratio
    phot_g_n_obs i2 Gaia G number of observations
    phot_bp_n_obs i2 Gaia BP number of observations
    phot_rp_n_obs i2 Gaia RP number of observations
    phot_variable_flag bool Gaia: photometrically variable
    astrometric_excess_noise f4 Gaia astrometric excess noise
    astrometric_excess_noise_sig f4 its significance
    astrometric_n_obs_al i2 Gaia number of observations along scan
    astrometric_n_good_obs_al i2 number of good ones
    astrometric_weight_al f4 Gaia astrometric weight along scan
    duplicated_source bool Gaia duplicated-source flag
    a_g_val f4 Gaia extinction in G
    e_bp_min_rp_val f4 Gaia reddening E(BP-RP)
    phot_bp_rp_excess_factor f4 Gaia BP/RP excess factor
    astrometric_sigma5d_max f4 longest axis of the Gaia 5-d error ellipsoid [mas]
    astrometric_params_solved u1 which astrometric parameters Gaia solved for
    """
)

_DETECTED = _columns(
    """
    peaksed S1 first letter of the SED in which the source was detected; blank: reference object
    dup bool star that another row has fitted
    isgalaxy u1 the reference object is a galaxy
    set_galaxy_maskbit bool sets the mask bit GALAXY
    source_id i8 Gaia source_id
    jmag f4 2MASS J of a Tycho-2 star
    hmag f4 2MASS H of a Tycho-2 star
    kmag f4 2MASS K of a Tycho-2 star
    """
)

#: Detections and reference objects before the fit.
SOURCES = (
    *REFERENCE,
    *_DETECTED,
    *_columns(
        """
        peaksn f4 signal-to-noise ratio of the peak
        blob i4 blob at the source's pixel, before renumbering
        blob_x0 i8 first column of the blob; -1: none
        blob_x1 i8 one past its last column
        blob_y0 i8 first row of the blob
        blob_y1 i8 one past its last row
        needs_initial_flux bool its initial flux is not trustworthy
        flux_<b> f4 initial flux [nanomaggies]
        """
    ),
)

#: Everything known about the sources of the tractor catalogue.
INTERMEDIATE = (
    *REFERENCE,
    *_DETECTED,
    *_columns(
        f"""
        iterative bool detected in the residuals
        fracflux f4[nb] flux of other sources over own flux, weighted with the profile
        fracin f4[nb] fraction of the flux inside the blob
        fracmasked f4[nb] fraction of masked pixels, weighted with the profile
        rchisq f4[nb] chi-squared per pixel, weighted with the profile
        cpu_arch S3 kind of processor
        cpu_source f4 CPU seconds spent on the source
        cpu_blob f4 CPU seconds spent on the blob
        blob_width i2 width of the blob's box [pixel]
        blob_height i2 height of the blob's box
        blob_npix i4 pixels of the blob
        blob_nimages i2 images of the blob
        blob_totalpix i4 good pixels in all images of the blob
        blob_symm_width i2 width of the source's own box
        blob_symm_height i2 height of the source's own box
        blob_symm_npix i4 pixels of the source's own fit
        blob_symm_nimages i2 images of the source's own fit
        bx0 f4 x pixel before the fit
        by0 f4 y pixel before the fit
        hit_limit bool a parameter ended at a limit
        hit_ser_limit bool the Sersic index ended at a limit
        hit_r_limit bool the radius ended at its limit
        dchisq f4 gain in chi-squared of {", ".join(TYPES)} (array of {len(TYPES)})
        force_keep_source bool kept though its fit failed
        fit_background bool background levels were fitted, too
        forced_pointsource bool only the point source was tried
        ran_on_gpu bool always false
        regular bool fitted; false for duplicates, clusters and other reference objects that are not
        bx f4 x pixel
        by f4 y pixel
        objid i4 number of the object
        blob i4 blob, as in the blob map; -1: none
        ninblob i4 number of rows in the blob
        brickid i4 number of the brick
        brickname S8 name of the brick
        nobs i2[nb] exposures at the central pixel
        ngood i2[nb] unmasked exposures at the central pixel
        anymask i2[nb] data-quality bits set in any exposure
        allmask i2[nb] data-quality bits set in all exposures
        psfsize f4[nb] FWHM of the PSF [arcsec]
        psfdepth f4[nb] depth for point sources [1/nanomaggies^2]
        galdepth f4[nb] depth for small galaxies [1/nanomaggies^2]
        mjd_min f8 MJD (TAI) of the first exposure here
        mjd_max f8 MJD (TAI) of the last exposure here
        nea_<b> f4 noise-equivalent area [arcsec^2]
        blob_nea_<b> f4 noise-equivalent area within the blob [arcsec^2]
        apflux f4[nb] aperture fluxes [nanomaggies] (array [nb, 8])
        apflux_ivar f4[nb] their inverse variances
        apflux_masked f4[nb] fraction of the aperture that is masked
        apflux_resid f4[nb] aperture fluxes on image - model
        apflux_blobresid f4[nb] aperture fluxes on image - blobmodel
        flux f4[nb] model flux [nanomaggies]
        flux_ivar f4[nb] its inverse variance
        type S3 model
        sersic f4 Sersic index
        shape_r f4 half-light radius [arcsec]
        shape_e1 f4 ellipticity component 1
        shape_e2 f4 ellipticity component 2
        sersic_ivar f4 inverse variance of sersic
        shape_r_ivar f4 inverse variance of shape_r
        shape_e1_ivar f4 inverse variance of shape_e1
        shape_e2_ivar f4 inverse variance of shape_e2
        fiberflux f4[nb] flux of this object in a fibre [nanomaggies]
        fibertotflux f4[nb] flux of all objects in the fibre
        wise_coadd_id S8 unWISE tile (this and all WISE columns: not with --no-wise)
        wise_x f4 x pixel in the tile
        wise_y f4 y pixel in the tile
        wise_mask u1[2] WISE mask bits of W1 and W2
        flux_<w> f4 WISE flux, <w> = w1 to w4 [nanomaggies, AB]
        lc_flux_<w> f4[epochs] flux of each epoch that was found; all lc_ columns: w1 and w2
        flux_ivar_<w> f4 its inverse variance
        lc_flux_ivar_<w> f4[epochs] inverse variance of lc_flux
        psfdepth_<w> f4 depth for point sources
        apflux_<w> f4[5] aperture fluxes
        apflux_resid_<w> f4[5] the same on image - model
        apflux_ivar_<w> f4[5] their inverse variance
        nobs_<w> i2 number of exposures
        fracflux_<w> f4 flux of other objects over own flux
        rchisq_<w> f4 chi-squared per pixel
        lc_nobs_<w> i2[epochs] number of exposures
        lc_fracflux_<w> f4[epochs] flux of other objects over own flux
        lc_rchisq_<w> f4[epochs] chi-squared per pixel
        lc_mjd_<w> f8[epochs] mean MJD of the epoch
        brick_primary bool lies in the brick's own area
        maskbits i4 mask bits of the pixel
        fitbits i2 peculiarities of the fit
        injected i4 id of the injected source that this is (only with --inject); -1: none
        """
    ),
)

#: Columns that a run adds to the survey's own columns of a CCD.
CCDS = _columns(
    """
    ccd_x0 i2 first column of the part of the CCD that is used
    ccd_y0 i2 first row
    ccd_x1 i2 one past the last column
    ccd_y1 i2 one past the last row
    brick_x0 i2 where that part lies in the brick: first column (FITS pixels)
    brick_x1 i2 last column
    brick_y0 i2 first row
    brick_y1 i2 last row
    psfnorm f4 norm of the PSF at the centre of the part
    galnorm f4 norm of a small galaxy there
    propid S10 proposal
    plver S7 version of the image processing
    skyver S20 version of the software that made the sky model
    psfver S20 version of the software that made the PSF model
    skyplver S7 image version that the sky model was made from
    psfplver S7 image version that the PSF model was made from
    co_sky f4 residual sky level that was subtracted [nanomaggies]
    """
)

#: Histogram of depth over the brick's own area.
DEPTH = _columns(
    """
    depthlo f4 lower edge of the bin [AB mag, 5 sigma]
    depthhi f4 upper edge
    counts_ptsrc_<b> i4 pixels whose depth for point sources is in the bin
    counts_gal_<b> i4 the same for a round exponential galaxy of half-light radius 0.45 arcsec
    """
)
