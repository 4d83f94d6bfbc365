"""Every option of a brick run, declared once: the Python API and the command line are built from this.

Each field of `RunOptions` carries its flag, help text, group and the stages whose result it changes. A stage
pickle's fingerprint is made of the options that its stage and the stages before it depend on.
"""

import math
import os
from dataclasses import dataclass

from .errors import UsageError
from .option_declaration import OptionInfo, declared_options, option

__all__ = ["RunOptions", "OptionInfo", "option_infos", "STAGE_ORDER"]

#: Stages in the order of a default run.
STAGE_ORDER = (
    "tims",
    "refs",
    "mask_junk",
    "halos",
    "image_coadds",
    "srcs",
    "fitblobs",
    "coadds",
    "wise_forced",
    "writecat",
)


_WHAT = "What to run"
_INPUT = "Inputs"
_STAGES = "Stages and pickles"
_CALIB = "Images and calibrations"
_REFS = "Reference catalogues"
_DETECT = "Detection"
_FIT = "Fitting"
_COADD = "Coadds and products"
_WISE = "WISE"
_DEBUG = "Selected blobs and debugging"
_RARE = "Not supported"
_NO_GALEX = "GALEX photometry is not part of this package"
_NO_GPU = "there is no GPU code path; use --threads"
_NO_COADD_FIT = "fitting on coadds is not implemented"
_NO_PLOTS = "there are no debug plots; look at the JPEGs and coadds"


_PICTURES = ("mask_junk", "image_coadds", "coadds")
#: Options that change files, but no results, of stages.
_OF_PRODUCTS = {
    "rgb_stretch": _PICTURES,
    "coadd_bw": _PICTURES,
    "skip_metrics": ("fitblobs",),
}
#: Smallest values of options.
_SMALLEST = {
    "width": 1,
    "height": 1,
    "threads": 1,
    "release": 0,
    "inject_seed": 0,
    "sky_box_size": 2,
    "saddle_fraction": 0,
    "saddle_min": 0,
    "blob_dilate": 0,
    "nsatur": 1,
    "max_blobsize": 0,
    "checkpoint_period": 0,
    "lc_epochs": 1,
    "nblobs": 1,
    "blob": 0,
}
#: Numbers that must be above 0.
_POSITIVE = ("pixscale", "max_memory_gb", "nsigma", "iterative_nsigma", "rgb_stretch")


@dataclass
class RunOptions:
    """Options of a brick run. Field names are the long flags with ``_`` for ``-``."""

    # --- what to run
    brick: str | None = option(
        None, ("-b", "--brick"), "brick name, as in the survey-bricks table", _WHAT, stages="tims"
    )
    radec: tuple | None = option(
        None,
        "--radec",
        "centre of a custom brick: degrees, or hh:mm:ss dd:mm:ss",
        _WHAT,
        nargs=2,
        metavar=("RA", "DEC"),
        stages="tims",
    )
    width: int = option(3600, ("-W", "--width"), "target width in pixels", _WHAT, "int", stages="tims")
    height: int = option(3600, ("-H", "--height"), "target height in pixels", _WHAT, "int", stages="tims")
    pixscale: float = option(0.262, "--pixscale", "target pixel scale, arcsec", _WHAT, "float", stages="tims")
    zoom: tuple | None = option(
        None,
        "--zoom",
        "process only this half-open pixel rectangle of the target",
        _WHAT,
        nargs=4,
        convert=int,
        metavar=("X0", "X1", "Y0", "Y1"),
        stages="tims",
    )
    bands: tuple = option(
        ("g", "r", "z"), "--bands", "bands to process, comma-separated", _WHAT, "bands", stages="tims"
    )
    threads: int = option(1, "--threads", "number of worker processes", _WHAT, "int")
    outdir: str = option(".", ("-d", "--outdir"), "output directory", _WHAT)
    release: int | None = option(
        None,
        "--release",
        "release number of the catalogue (default: by --run, else 9999)",
        _WHAT,
        "int",
        stages="writecat",
    )
    data_model: str = option(
        "dr10",
        "--data-model",
        "columns and array lengths of which published release",
        _WHAT,
        choices=("dr9", "dr10", "dr11"),
        stages="writecat",
    )
    skip: bool = option(False, "--skip", "exit if the tractor catalogue exists and is readable", _WHAT, "flag")
    skip_coadd: bool = option(False, "--skip-coadd", "exit if the image JPEG exists", _WHAT, "flag")
    check_done: bool = option(
        False,
        "--check-done",
        "only report (exit status 0 or 255) whether the tractor catalogue is there",
        _WHAT,
        "flag",
    )

    # --- inputs
    survey_dir: str | None = option(
        None,
        "--survey-dir",
        "survey directory (default: $LEGACY_SURVEY_DIR, else the current directory)",
        _INPUT,
        stages="tims",
    )
    data_dir: str | None = option(
        None,
        "--data-dir",
        "folder of survey-wide tables: star clusters, unWISE tiles and PSFs, amplifier corrections, static masks"
        " (default: $LEGACYPIPE_DATA_DIR)",
        _INPUT,
        stages=("tims", "refs", "wise_forced"),
    )
    run: str | None = option(
        None,
        ("-r", "--run"),
        "survey configuration: south (decam) or north (90prime-mosaic)",
        _INPUT,
        stages="tims",
    )
    camera_module: tuple = option(
        (),
        "--camera-module",
        "import this Python module, which registers own camera classes (repeatable)",
        _INPUT,
        "append",
        stages="tims",
    )
    min_mjd: float | None = option(
        None, "--min-mjd", "use only exposures from this MJD on", _INPUT, "float", stages="tims"
    )
    max_mjd: float | None = option(
        None, "--max-mjd", "use only exposures up to this MJD", _INPUT, "float", stages="tims"
    )
    cache_dir: str | None = option(None, "--cache-dir", "look for inputs here first, same relative paths", _INPUT)
    prime_cache: bool = option(
        False,
        "--prime-cache",
        "copy inputs into the cache directory",
        _INPUT,
        "flag",
        refused="copy the files with your own tools; --cache-dir reads them",
    )
    max_memory_gb: float | None = option(
        None,
        "--max-memory-gb",
        "refuse to start when the images would need more memory than this",
        _INPUT,
        "float",
    )
    read_serial: bool = option(False, "--read-serial", "read images in the main process", _INPUT, "flag")

    inject: str | None = option(
        None,
        "--inject",
        "add the sources of this table (columns as in the catalogue) to the images, and mark them in tractor-i",
        _INPUT,
        metavar="TABLE",
        stages="tims",
    )
    inject_seed: int = option(0, "--inject-seed", "seed of their photon noise", _INPUT, "int", stages="tims")

    # --- stages and pickles
    stage: tuple = option(
        (), ("-s", "--stage"), "run up to this stage (repeatable; default writecat)", _STAGES, "append"
    )
    force: tuple = option(
        (),
        ("-f", "--force", "--force-stage"),
        "run this stage even if its pickle is good (repeatable)",
        _STAGES,
        "append",
    )
    force_all: bool = option(False, ("-F", "--force-all"), "ignore all pickles", _STAGES, "flag")
    no_write: bool = option(False, ("-n", "--no-write"), "write no pickles", _STAGES, "flag")
    write_stage: tuple = option(
        (), ("-w", "--write-stage"), "write the pickles of these stages only (repeatable)", _STAGES, "append"
    )
    pickle: str = option(
        "pickles/runbrick-%(brick)s-%%(stage)s.pickle",
        ("-P", "--pickle"),
        "pickle file name pattern; %%(brick)s is filled in first, then %%(stage)s",
        _STAGES,
    )

    # --- images and calibrations
    skip_calibs: bool = option(
        False, "--skip-calibs", "do not make missing calibrations", _CALIB, "flag", stages="tims"
    )
    old_calibs_ok: bool = option(
        False,
        "--old-calibs-ok",
        "accept files whose versions do not match the CCD table",
        _CALIB,
        "flag",
        stages="tims",
    )
    no_splinesky: bool = option(
        False, "--no-splinesky", "make constant instead of spline sky models", _CALIB, "flag", stages="tims"
    )
    sky_box_size: int | None = option(
        None,
        "--sky-box-size",
        "box size in pixels when a sky model is made (default: 1024, halved for small images)",
        _CALIB,
        "int",
        stages="tims",
    )
    blob_mask_dir: str | None = option(
        None, "--blob-mask-dir", "mask blobs found here when making sky models", _CALIB, stages="tims"
    )
    sky_no_subtract_large_galaxies: bool = option(
        False,
        "--sky-no-subtract-large-galaxies",
        "do not subtract frozen galaxies when making sky models",
        _CALIB,
        "flag",
        stages="tims",
    )
    no_subsky: bool = option(
        False,
        "--no-subsky",
        "do not subtract the sky",
        _CALIB,
        "flag",
        refused="needs fitting on coadds, " + _NO_COADD_FIT,
    )
    gpsf: bool = option(False, "--gpsf", "Gaussian PSFs from the header FWHM", _CALIB, "flag", stages="tims")
    no_hybrid_psf: bool = option(
        False,
        "--no-hybrid-psf",
        "render wide galaxy components with the pixelized PSF, too",
        _CALIB,
        "flag",
        stages=("tims",),
    )
    no_normalize_psf: bool = option(
        False, "--no-normalize-psf", "do not divide PSF stamps by their sum", _CALIB, "flag", stages="tims"
    )
    apodize: bool = option(
        False, "--apodize", "taper the inverse variance at image edges", _CALIB, "flag", stages="tims"
    )
    no_outliers: bool = option(False, "--no-outliers", "no outlier masking", _CALIB, "flag", stages="mask_junk")
    cache_outliers: bool = option(
        False,
        "--cache-outliers",
        "apply the outlier masks of an earlier run",
        _CALIB,
        "flag",
        stages="mask_junk",
    )
    remake_outlier_jpegs: bool = option(
        False,
        "--remake-outlier-jpegs",
        "as --cache-outliers, and remake the JPEGs",
        _CALIB,
        "flag",
        stages="mask_junk",
    )
    outlier_leave_one_out: bool = option(
        False,
        "--outlier-leave-one-out",
        "corrected statistics with five or more exposures: an image is compared with the others only",
        _CALIB,
        "flag",
        stages="mask_junk",
    )

    smooth_weights: bool = option(
        False,
        "--smooth-weights",
        "take the variance of a pixel from its neighbours instead of its own noisy value: fluxes lose their bias of"
        " minus one photon per pixel",
        _CALIB,
        "flag",
        stages="tims",
    )
    no_residual_sky: bool = option(
        False,
        "--no-residual-sky",
        "do not subtract the sky level that is left outside of the sources: where sky models are right, it is the light"
        " of unseen sources, and all fluxes would come out low by what they miss of it",
        _CALIB,
        "flag",
        stages="srcs",
    )

    # --- reference catalogues
    no_gaia: bool = option(False, "--no-gaia", "use no Gaia stars", _REFS, "flag", stages=("tims", "refs", "writecat"))
    no_tycho: bool = option(False, "--no-tycho", "use no Tycho-2 stars", _REFS, "flag", stages=("tims", "refs"))
    no_large_galaxies: bool = option(
        False, "--no-large-galaxies", "use no large-galaxy catalogue", _REFS, "flag", stages=("tims", "refs")
    )

    # --- detection
    nsigma: float = option(
        6.0, "--nsigma", "detection threshold", _DETECT, "float", stages=("image_coadds", "srcs", "fitblobs")
    )
    saddle_fraction: float = option(
        0.1,
        "--saddle-fraction",
        "required depth of the saddle between peaks, fraction of the peak",
        _DETECT,
        "float",
        stages=("srcs", "fitblobs"),
    )
    saddle_min: float = option(
        2.0,
        "--saddle-min",
        "required depth of the saddle between peaks, sigmas",
        _DETECT,
        "float",
        stages=("srcs", "fitblobs"),
    )
    blob_dilate: int = option(
        8,
        "--blob-dilate",
        "grow detected pixels by this many pixels",
        _DETECT,
        "int",
        stages=("image_coadds", "srcs"),
    )
    nsatur: int | None = option(
        None,
        "--nsatur",
        "a pixel is saturated if at least this many exposures are",
        _DETECT,
        "int",
        stages=("image_coadds", "srcs"),
    )
    no_iterative: bool = option(
        False, "--no-iterative", "no second detection on the residuals", _DETECT, "flag", stages="fitblobs"
    )
    iterative_nsigma: float | None = option(
        None,
        "--iterative-nsigma",
        "threshold of the second detection (default: --nsigma)",
        _DETECT,
        "float",
        stages="fitblobs",
    )
    blob_mask: bool = option(
        False,
        "--blob-mask",
        "write the detection-only blob mask before the early coadds",
        _DETECT,
        "flag",
        stages="image_coadds",
    )

    # --- fitting
    max_blobsize: int | None = option(
        None, "--max-blobsize", "do not fit blobs with more pixels than this", _FIT, "int", stages="fitblobs"
    )
    sub_blobs: bool = option(
        False, "--sub-blobs", "split large blobs into overlapping pieces", _FIT, "flag", stages="fitblobs"
    )
    checkpoint: str | None = option(None, "--checkpoint", "keep finished blobs in this file", _FIT)
    checkpoint_period: float = option(600.0, "--checkpoint-period", "seconds between checkpoints", _FIT, "float")
    bail_out: bool = option(
        False,
        "--bail-out",
        "fit nothing more: write what the checkpoint holds",
        _FIT,
        "flag",
        stages="fitblobs",
    )
    no_segmentation: bool = option(
        False, "--no-segmentation", "fit each source on its whole box", _FIT, "flag", stages="fitblobs"
    )
    less_masking: bool = option(
        False,
        "--less-masking",
        "do not fit background levels near medium-bright stars",
        _FIT,
        "flag",
        stages="fitblobs",
    )
    no_galaxy_forcepsf: bool = option(
        False,
        "--no-galaxy-forcepsf",
        "sources inside large galaxies may be galaxies",
        _FIT,
        "flag",
        stages="fitblobs",
    )
    bright_masking: bool = option(
        False,
        "--bright-masking",
        "mask other bright regions while fitting a source",
        _FIT,
        "flag",
        refused="not implemented; the segmentation map (default) separates sources",
    )
    galaxy_masking: bool = option(
        False,
        "--galaxy-masking",
        "mask other large galaxies while fitting one",
        _FIT,
        "flag",
        refused="not implemented; the segmentation map (default) separates sources",
    )
    reoptimize: bool = option(
        False,
        "--reoptimize",
        "fit all sources of a blob once more after the second detection",
        _FIT,
        "flag",
        stages="fitblobs",
    )
    shape_jacobian: str = option(
        "local",
        "--shape-jacobian",
        "pixel scale for galaxy shapes: the true local one, or that of the image header (as the reference does)",
        _FIT,
        choices=("local", "header"),
        stages=("tims", "fitblobs", "coadds"),
    )
    like_reference: bool = option(
        False,
        "--like-reference",
        "fit as the reference implementation does: its rule of choosing types, no joint fits, no final check",
        _FIT,
        "flag",
        stages="fitblobs",
    )
    no_joint: bool = option(
        False, "--no-joint", "do not fit blended sources together", _FIT, "flag", stages="fitblobs"
    )
    ivars: str = option(
        "diagonal",
        "--ivars",
        "inverse variances of fluxes, positions and shapes: diagonal (as published), or marginal over the source's"
        " other parameters (statistically right for galaxies)",
        _FIT,
        choices=("diagonal", "marginal"),
        stages="fitblobs",
    )
    ceres: bool = option(
        False,
        "--ceres",
        "accepted for compatibility",
        _FIT,
        "flag",
        ignored="the solver is built in; --ceres changes nothing",
    )

    # --- coadds and products
    no_lanczos: bool = option(
        False,
        "--no-lanczos",
        "nearest-neighbour instead of Lanczos coadds",
        _COADD,
        "flag",
        stages=("image_coadds", "coadds"),
    )
    local_pixel_area: bool = option(
        False,
        "--local-pixel-area",
        "scale coadds by the true local pixel area instead of the header's nominal scale",
        _COADD,
        "flag",
        stages=("image_coadds", "coadds"),
    )
    coadd_bw: bool = option(False, "--coadd-bw", "grey JPEGs when there is only one band", _COADD, "flag")
    rgb_stretch: float = option(1.0, "--rgb-stretch", "brightness of the JPEGs", _COADD, "float")
    blob_image: bool = option(
        False, "--blob-image", "early coadds after detection, with a JPEG of blob outlines", _COADD, "flag"
    )
    minimal_coadds: bool = option(
        False,
        "--minimal-coadds",
        "early coadds: only image, invvar, nexp and JPEG",
        _COADD,
        "flag",
        stages="image_coadds",
    )
    save_coadd_psf: bool = option(
        False, "--save-coadd-psf", "write the mean PSF of each band", _COADD, "flag", stages="coadds"
    )
    skip_metrics: bool = option(False, "--skip-metrics", "no blobs and all-models files", _COADD, "flag")
    forced_bands: tuple = option(
        (),
        "--forced-bands",
        "bands measured by forced photometry only",
        _COADD,
        "bands",
        refused="per-exposure forced photometry is not implemented yet",
    )

    # --- WISE
    no_wise: bool = option(False, "--no-wise", "no WISE photometry", _WISE, "flag", stages="wise_forced")
    unwise_dir: str | None = option(
        None,
        "--unwise-dir",
        "unWISE coadds, several directories separated by ':' (default: $UNWISE_COADDS_DIR)",
        _WISE,
        stages="wise_forced",
    )
    unwise_tr_dir: str | None = option(
        None,
        "--unwise-tr-dir",
        "time-resolved unWISE coadds (default: $UNWISE_COADDS_TIMERESOLVED_DIR)",
        _WISE,
        stages="wise_forced",
    )
    no_unwise_coadds: bool = option(
        False, "--no-unwise-coadds", "no WISE coadds and apertures", _WISE, "flag", stages="wise_forced"
    )
    no_wise_ceres: bool = option(
        False,
        "--no-wise-ceres",
        "accepted for compatibility",
        _WISE,
        "flag",
        ignored="WISE fluxes are solved exactly; --no-wise-ceres changes nothing",
    )

    wise_noise: str = option(
        "data",
        "--wise-noise",
        "where the noise that sources add in W1 and W2 is taken from: the image itself (data, as in the published"
        " catalogues; fluxes come out low by some hundredths of their error), or a model of it",
        _WISE,
        choices=("data", "model"),
        stages="wise_forced",
    )
    lc_epochs: int | None = option(
        None,
        "--lc-epochs",
        "length of the WISE light curves in the catalogue (default: that of the data model, 17 for dr10)",
        _WISE,
        "int",
        stages="writecat",
    )
    wise_gaia_only: bool = option(
        False,
        "--wise-gaia-only",
        "WISE photometry only of objects of the reference catalogues",
        _WISE,
        "flag",
        stages=("wise_forced", "writecat"),
    )
    save_unwise_psf: bool = option(
        False, "--save-unwise-psf", "write the mean WISE PSF of each band", _WISE, "flag", stages="wise_forced"
    )

    # --- selected blobs, debugging
    nblobs: int | None = option(None, "--nblobs", "fit only this many blobs", _DEBUG, "int", stages="fitblobs")
    blob: int | None = option(None, "--blob", "first blob to fit", _DEBUG, "int", stages="fitblobs")
    blobid: str | None = option(None, "--blobid", "fit only these blobs, comma-separated", _DEBUG, stages="fitblobs")
    blobxy: tuple = option(
        (),
        "--blobxy",
        "fit only the blob at this brick pixel (repeatable)",
        _DEBUG,
        "append",
        nargs=2,
        convert=int,
        metavar=("X", "Y"),
        stages="fitblobs",
    )
    blobradec: tuple = option(
        (),
        "--blobradec",
        "fit only the blob at this position (repeatable)",
        _DEBUG,
        "append",
        nargs=2,
        convert=float,
        metavar=("RA", "DEC"),
        stages="fitblobs",
    )
    verbose: int = option(0, ("-v", "--verbose"), "more log messages", _DEBUG, "count")
    debug: bool = option(False, "--debug", "show tracebacks", _DEBUG, "flag")

    # --- known, but not supported
    fit_on_coadds: bool = option(False, "--fit-on-coadds", "fit on coadds", _RARE, "flag", refused=_NO_COADD_FIT)
    coadd_tiers: int | None = option(
        None, "--coadd-tiers", "coadds in groups of seeing", _RARE, "int", refused=_NO_COADD_FIT
    )
    no_ivar_reweighting: bool = option(
        False,
        "--no-ivar-reweighting",
        "plain weights when fitting on coadds",
        _RARE,
        "flag",
        refused=_NO_COADD_FIT,
    )
    ubercal_sky: bool = option(False, "--ubercal-sky", "sky from overlaps", _RARE, "flag", refused=_NO_COADD_FIT)
    subsky_radii: tuple | None = option(
        None,
        "--subsky-radii",
        "sky annulus",
        _RARE,
        nargs=3,
        convert=float,
        metavar=("R0", "R1", "R2"),
        refused=_NO_COADD_FIT,
    )
    galex: bool = option(False, "--galex", "GALEX photometry", _RARE, "flag", refused=_NO_GALEX)
    galex_dir: str | None = option(None, "--galex-dir", "GALEX images", _RARE, refused=_NO_GALEX)
    no_galex_ceres: bool = option(False, "--no-galex-ceres", "GALEX solver", _RARE, "flag", refused=_NO_GALEX)
    save_galex_psf: bool = option(False, "--save-galex-psf", "write GALEX PSFs", _RARE, "flag", refused=_NO_GALEX)
    wise_checkpoint: str | None = option(
        None,
        "--wise-checkpoint",
        "WISE checkpoint file",
        _RARE,
        refused="the WISE stage is short; the stage pickle serves",
    )
    wise_checkpoint_period: float | None = option(
        None,
        "--wise-checkpoint-period",
        "seconds",
        _RARE,
        "float",
        refused="the WISE stage is short; the stage pickle serves",
    )
    ngpu: int | None = option(None, "--ngpu", "number of GPUs", _RARE, "int", refused=_NO_GPU)
    gpu_ids: str | None = option(None, "--gpu-ids", "GPU numbers", _RARE, refused=_NO_GPU)
    threads_per_gpu: int | None = option(None, "--threads-per-gpu", "threads per GPU", _RARE, "int", refused=_NO_GPU)
    plots: bool = option(False, ("-p", "--plots"), "debug plots", _RARE, "flag", refused=_NO_PLOTS)
    plots2: bool = option(False, "--plots2", "more debug plots", _RARE, "flag", refused=_NO_PLOTS)
    plot_base: str | None = option(None, "--plot-base", "plot file names", _RARE, refused=_NO_PLOTS)
    plot_number: int | None = option(None, "--plot-number", "first plot number", _RARE, "int", refused=_NO_PLOTS)
    ps: str | None = option(
        None, "--ps", "resource log", _RARE, refused="the summary gives time and peak memory per stage"
    )
    ps_t0: int | None = option(
        None,
        "--ps-t0",
        "start time of the resource log",
        _RARE,
        "int",
        refused="the summary gives time and peak memory per stage",
    )

    def validated(self):
        """Check values and combinations; returns self.

        Raises
        ------
        UsageError
            Naming the flag.
        """
        for info in option_infos():
            value = getattr(self, info.name)
            if info.refused is not None and value != info.default:
                raise UsageError(f"{info.flags[-1]} is not supported: {info.refused}")
            if info.choices is not None and value not in info.choices:
                raise UsageError(f"{info.flags[-1]}: {value!r} is not one of {', '.join(info.choices)}")
        if (self.brick is None) == (self.radec is None):
            raise UsageError(
                "give either --brick NAME or --radec RA DEC" + ("" if self.brick is None else ", not both")
            )
        self._check_numbers()
        if not self.bands:
            raise UsageError("--bands is empty")
        if len(set(self.bands)) != len(self.bands):
            raise UsageError(f"--bands names a band twice: {','.join(self.bands)}")
        if self.zoom is not None:
            if len(self.zoom) != 4:
                raise UsageError(f"--zoom {self.zoom}: expected X0 X1 Y0 Y1")
            x0, x1, y0, y1 = self.zoom
            if not (x0 < x1 and y0 < y1):
                raise UsageError(f"--zoom {x0} {x1} {y0} {y1} is empty: need X0 < X1 and Y0 < Y1")
            if x0 < 0 or y0 < 0 or x1 > self.width or y1 > self.height:
                raise UsageError(
                    f"--zoom {x0} {x1} {y0} {y1} reaches out of the target of {self.width} x {self.height} pixels"
                )
        if self.blobid is not None and not all(part.strip().lstrip("-").isdigit() for part in self.blobid.split(",")):
            raise UsageError(f"--blobid {self.blobid!r}: expected blob numbers separated by commas")
        for flag, names in (
            ("--stage", self.stage),
            ("--force", self.force),
            ("--write-stage", self.write_stage),
        ):
            if isinstance(names, str):
                raise UsageError(f"{flag}: expected a list of stages, got {names!r}")
            for name in names:
                if name not in STAGE_ORDER:
                    raise UsageError(f"{flag}: no stage {name!r}; stages are {', '.join(STAGE_ORDER)}")
        return self

    def of_products(self, stage):
        """The options that change files, but no results, of a stage, as a dict."""
        return {name: getattr(self, name) for name, stages in _OF_PRODUCTS.items() if stage in stages}

    def _check_numbers(self):
        """Raise UsageError for numbers that make no sense."""
        for info in option_infos():
            value = getattr(self, info.name)
            if value is None or info.kind not in ("int", "float"):
                continue
            flag = info.flags[-1]
            if not math.isfinite(value):
                raise UsageError(f"{flag} must be a finite number, got {value}")
            if info.name in _SMALLEST and value < _SMALLEST[info.name]:
                raise UsageError(f"{flag} must be at least {_SMALLEST[info.name]}, got {value}")
            if info.name in _POSITIVE and value <= 0:
                raise UsageError(f"{flag} must be positive, got {value}")
        if self.saddle_fraction > 1:
            raise UsageError(f"--saddle-fraction must be between 0 and 1, got {self.saddle_fraction}")

    def resolved_survey_dir(self):
        """Survey directory: the option, $LEGACY_SURVEY_DIR, or None (the caller warns and uses the current one)."""
        return self.survey_dir or os.environ.get("LEGACY_SURVEY_DIR")

    def resolved_data_dir(self):
        """Folder of survey-wide tables, or None."""
        return self.data_dir or os.environ.get("LEGACYPIPE_DATA_DIR")

    def for_stage(self, stage):
        """The options that stage depends on, as a dict (for fingerprints)."""
        return {i.name: getattr(self, i.name) for i in option_infos() if stage in i.stages}


def option_infos():
    """List of `OptionInfo`, one per field of `RunOptions`, in order of declaration."""
    return declared_options(RunOptions)
