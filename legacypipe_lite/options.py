"""Every option of a brick run, declared once: the Python API and the command line are built from this.

Each field of `RunOptions` carries its flag, help text and group. Which stages' results depend on an option is declared
by the stages (`stages.base.Stage.options`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from .errors import UsageError
from .option_declaration import OptionInfo, declared_options, known_by_flags, option
from .refused_flags import REFUSED

__all__ = ["RunOptions", "OptionInfo", "changed_options", "option_infos", "STAGE_ORDER"]

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


@known_by_flags(REFUSED)
@dataclass
class RunOptions:
    """Options of a brick run.

    Field names are the long flags with ``_`` for ``-``. What a flag ``--no-...`` switches off has a field with the name
    of the thing, `wise`, which is True by default; the flag's name serves, too: ``RunOptions(no_wise=True)``. Flags of
    the reference pipeline that are not supported (`refused_flags.REFUSED`) raise `UsageError`.
    """

    # --- what to run
    brick: str | None = option(None, ("-b", "--brick"), "brick name, as in the survey-bricks table", _WHAT)
    radec: tuple[Any, ...] | None = option(
        None,
        "--radec",
        "centre of a custom brick: degrees, or hh:mm:ss dd:mm:ss",
        _WHAT,
        nargs=2,
        metavar=("RA", "DEC"),
    )
    width: int = option(3600, ("-W", "--width"), "target width in pixels", _WHAT, "int", least=1)
    height: int = option(3600, ("-H", "--height"), "target height in pixels", _WHAT, "int", least=1)
    pixscale: float = option(0.262, "--pixscale", "target pixel scale, arcsec", _WHAT, "float", positive=True)
    zoom: tuple[Any, ...] | None = option(
        None,
        "--zoom",
        "process only this half-open pixel rectangle of the target",
        _WHAT,
        nargs=4,
        convert=int,
        metavar=("X0", "X1", "Y0", "Y1"),
    )
    bands: tuple[Any, ...] = option(("g", "r", "z"), "--bands", "bands to process, comma-separated", _WHAT, "bands")
    threads: int = option(1, "--threads", "number of worker processes", _WHAT, "int", least=1)
    outdir: str = option(".", ("-d", "--outdir"), "output directory", _WHAT)
    release: int | None = option(
        None, "--release", "release number of the catalogue (default: by --run, else 9999)", _WHAT, "int", least=0
    )
    data_model: str = option(
        "dr10",
        "--data-model",
        "columns and array lengths of which published release",
        _WHAT,
        choices=("dr9", "dr10", "dr11"),
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
        None, "--survey-dir", "survey directory (default: $LEGACY_SURVEY_DIR, else the current directory)", _INPUT
    )
    data_dir: str | None = option(
        None,
        "--data-dir",
        "folder of survey-wide tables: star clusters, unWISE tiles and PSFs, amplifier corrections, static masks"
        " (default: $LEGACYPIPE_DATA_DIR)",
        _INPUT,
    )
    run: str | None = option(
        None, ("-r", "--run"), "survey configuration: south (decam) or north (90prime-mosaic)", _INPUT
    )
    camera_module: tuple[Any, ...] = option(
        (),
        "--camera-module",
        "import this Python module, which registers own camera classes (repeatable)",
        _INPUT,
        "append",
    )
    min_mjd: float | None = option(None, "--min-mjd", "use only exposures from this MJD on", _INPUT, "float")
    max_mjd: float | None = option(None, "--max-mjd", "use only exposures up to this MJD", _INPUT, "float")
    cache_dir: str | None = option(None, "--cache-dir", "look for inputs here first, same relative paths", _INPUT)
    max_memory_gb: float | None = option(
        None,
        "--max-memory-gb",
        "refuse to start when the images would need more memory than this",
        _INPUT,
        "float",
        positive=True,
    )
    read_serial: bool = option(False, "--read-serial", "read images in the main process", _INPUT, "flag")

    inject: str | None = option(
        None,
        "--inject",
        "add the sources of this table (columns as in the catalogue) to the images, and mark them in tractor-i",
        _INPUT,
        metavar="TABLE",
    )
    inject_seed: int = option(0, "--inject-seed", "seed of their photon noise", _INPUT, "int", least=0)

    # --- stages and pickles
    stage: tuple[Any, ...] = option(
        (), ("-s", "--stage"), "run up to this stage (repeatable; default writecat)", _STAGES, "append"
    )
    force: tuple[Any, ...] = option(
        (),
        ("-f", "--force", "--force-stage"),
        "run this stage even if its pickle is good (repeatable)",
        _STAGES,
        "append",
    )
    force_all: bool = option(False, ("-F", "--force-all"), "ignore all pickles", _STAGES, "flag")
    write: bool = option(True, ("-n", "--no-write"), "write no pickles", _STAGES, "off")
    write_stage: tuple[Any, ...] = option(
        (), ("-w", "--write-stage"), "write the pickles of these stages only (repeatable)", _STAGES, "append"
    )
    pickle: str = option(
        "pickles/runbrick-%(brick)s-%%(stage)s.pickle",
        ("-P", "--pickle"),
        "pickle file name pattern; %%(brick)s is filled in first, then %%(stage)s",
        _STAGES,
    )

    # --- images and calibrations
    skip_calibs: bool = option(False, "--skip-calibs", "do not make missing calibrations", _CALIB, "flag")
    old_calibs_ok: bool = option(
        False, "--old-calibs-ok", "accept files whose versions do not match the CCD table", _CALIB, "flag"
    )
    splinesky: bool = option(True, "--no-splinesky", "make constant instead of spline sky models", _CALIB, "off")
    sky_box_size: int | None = option(
        None,
        "--sky-box-size",
        "box size in pixels when a sky model is made (default: 1024, halved for small images)",
        _CALIB,
        "int",
        least=2,
    )
    blob_mask_dir: str | None = option(None, "--blob-mask-dir", "mask blobs found here when making sky models", _CALIB)
    sky_subtract_large_galaxies: bool = option(
        True,
        "--sky-no-subtract-large-galaxies",
        "do not subtract frozen galaxies when making sky models",
        _CALIB,
        "off",
    )
    gpsf: bool = option(False, "--gpsf", "Gaussian PSFs from the header FWHM", _CALIB, "flag")
    hybrid_psf: bool = option(
        True, "--no-hybrid-psf", "render wide galaxy components with the pixelized PSF, too", _CALIB, "off"
    )
    normalize_psf: bool = option(True, "--no-normalize-psf", "do not divide PSF stamps by their sum", _CALIB, "off")
    apodize: bool = option(False, "--apodize", "taper the inverse variance at image edges", _CALIB, "flag")
    outliers: bool = option(True, "--no-outliers", "no outlier masking", _CALIB, "off")
    cache_outliers: bool = option(
        False, "--cache-outliers", "apply the outlier masks of an earlier run", _CALIB, "flag"
    )
    remake_outlier_jpegs: bool = option(
        False, "--remake-outlier-jpegs", "as --cache-outliers, and remake the JPEGs", _CALIB, "flag"
    )
    outlier_leave_one_out: bool = option(
        False,
        "--outlier-leave-one-out",
        "corrected statistics with five or more exposures: an image is compared with the others only",
        _CALIB,
        "flag",
    )

    smooth_weights: bool = option(
        False,
        "--smooth-weights",
        "take the variance of a pixel from its neighbours instead of its own noisy value: fluxes lose their bias of"
        " minus one photon per pixel",
        _CALIB,
        "flag",
    )
    residual_sky: bool = option(
        True,
        "--no-residual-sky",
        "do not subtract the sky level that is left outside of the sources: where sky models are right, it is the light"
        " of unseen sources, and all fluxes would come out low by what they miss of it",
        _CALIB,
        "off",
    )

    # --- reference catalogues
    gaia: bool = option(True, "--no-gaia", "use no Gaia stars", _REFS, "off")
    tycho: bool = option(True, "--no-tycho", "use no Tycho-2 stars", _REFS, "off")
    large_galaxies: bool = option(True, "--no-large-galaxies", "use no large-galaxy catalogue", _REFS, "off")

    # --- detection
    nsigma: float = option(6.0, "--nsigma", "detection threshold", _DETECT, "float", positive=True)
    saddle_fraction: float = option(
        0.1,
        "--saddle-fraction",
        "required depth of the saddle between peaks, fraction of the peak",
        _DETECT,
        "float",
        least=0,
        most=1,
    )
    saddle_min: float = option(
        2.0, "--saddle-min", "required depth of the saddle between peaks, sigmas", _DETECT, "float", least=0
    )
    blob_dilate: int = option(8, "--blob-dilate", "grow detected pixels by this many pixels", _DETECT, "int", least=0)
    nsatur: int | None = option(
        None, "--nsatur", "a pixel is saturated if at least this many exposures are", _DETECT, "int", least=1
    )
    iterative: bool = option(True, "--no-iterative", "no second detection on the residuals", _DETECT, "off")
    iterative_nsigma: float | None = option(
        None,
        "--iterative-nsigma",
        "threshold of the second detection (default: --nsigma)",
        _DETECT,
        "float",
        positive=True,
    )
    blob_mask: bool = option(
        False, "--blob-mask", "write the detection-only blob mask before the early coadds", _DETECT, "flag"
    )

    # --- fitting
    max_blobsize: int | None = option(
        None, "--max-blobsize", "do not fit blobs with more pixels than this", _FIT, "int", least=0
    )
    sub_blobs: bool = option(False, "--sub-blobs", "split large blobs into overlapping pieces", _FIT, "flag")
    checkpoint: str | None = option(None, "--checkpoint", "keep finished blobs in this file", _FIT)
    checkpoint_period: float = option(
        600.0, "--checkpoint-period", "seconds between checkpoints", _FIT, "float", least=0
    )
    bail_out: bool = option(False, "--bail-out", "fit nothing more: write what the checkpoint holds", _FIT, "flag")
    segmentation: bool = option(True, "--no-segmentation", "fit each source on its whole box", _FIT, "off")
    less_masking: bool = option(
        False, "--less-masking", "do not fit background levels near medium-bright stars", _FIT, "flag"
    )
    galaxy_forcepsf: bool = option(
        True, "--no-galaxy-forcepsf", "sources inside large galaxies may be galaxies", _FIT, "off"
    )
    reoptimize: bool = option(
        False, "--reoptimize", "fit all sources of a blob once more after the second detection", _FIT, "flag"
    )
    shape_jacobian: str = option(
        "local",
        "--shape-jacobian",
        "pixel scale for galaxy shapes: the true local one, or that of the image header (as the reference does)",
        _FIT,
        choices=("local", "header"),
    )
    ivars: str = option(
        "diagonal",
        "--ivars",
        "inverse variances of fluxes, positions and shapes: diagonal (as published), or marginal over the source's"
        " other parameters (statistically right for galaxies)",
        _FIT,
        choices=("diagonal", "marginal"),
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
    lanczos: bool = option(True, "--no-lanczos", "nearest-neighbour instead of Lanczos coadds", _COADD, "off")
    local_pixel_area: bool = option(
        False,
        "--local-pixel-area",
        "scale coadds by the true local pixel area instead of the header's nominal scale",
        _COADD,
        "flag",
    )
    coadd_bw: bool = option(False, "--coadd-bw", "grey JPEGs when there is only one band", _COADD, "flag")
    rgb_stretch: float = option(1.0, "--rgb-stretch", "brightness of the JPEGs", _COADD, "float", positive=True)
    blob_image: bool = option(
        False, "--blob-image", "early coadds after detection, with a JPEG of blob outlines", _COADD, "flag"
    )
    minimal_coadds: bool = option(
        False, "--minimal-coadds", "early coadds: only image, invvar, nexp and JPEG", _COADD, "flag"
    )
    save_coadd_psf: bool = option(False, "--save-coadd-psf", "write the mean PSF of each band", _COADD, "flag")
    skip_metrics: bool = option(False, "--skip-metrics", "no blobs and all-models files", _COADD, "flag")

    # --- WISE
    wise: bool = option(True, "--no-wise", "no WISE photometry", _WISE, "off")
    unwise_dir: str | None = option(
        None, "--unwise-dir", "unWISE coadds, several directories separated by ':' (default: $UNWISE_COADDS_DIR)", _WISE
    )
    unwise_tr_dir: str | None = option(
        None, "--unwise-tr-dir", "time-resolved unWISE coadds (default: $UNWISE_COADDS_TIMERESOLVED_DIR)", _WISE
    )
    unwise_coadds: bool = option(True, "--no-unwise-coadds", "no WISE coadds and apertures", _WISE, "off")
    wise_ceres: bool = option(
        True,
        "--no-wise-ceres",
        "accepted for compatibility",
        _WISE,
        "off",
        ignored="WISE fluxes are solved exactly; --no-wise-ceres changes nothing",
    )

    wise_noise: str = option(
        "data",
        "--wise-noise",
        "where the noise that sources add in W1 and W2 is taken from: the image itself (data, as in the published"
        " catalogues; fluxes come out low by some hundredths of their error), or a model of it",
        _WISE,
        choices=("data", "model"),
    )
    lc_epochs: int | None = option(
        None,
        "--lc-epochs",
        "length of the WISE light curves in the catalogue (default: that of the data model, 17 for dr10)",
        _WISE,
        "int",
        least=1,
    )
    wise_gaia_only: bool = option(
        False, "--wise-gaia-only", "WISE photometry only of objects of the reference catalogues", _WISE, "flag"
    )
    save_unwise_psf: bool = option(False, "--save-unwise-psf", "write the mean WISE PSF of each band", _WISE, "flag")

    # --- selected blobs, debugging
    nblobs: int | None = option(None, "--nblobs", "fit only this many blobs", _DEBUG, "int", least=1)
    blob: int | None = option(None, "--blob", "first blob to fit", _DEBUG, "int", least=0)
    blobid: str | None = option(None, "--blobid", "fit only these blobs, comma-separated", _DEBUG)
    blobxy: tuple[Any, ...] = option(
        (),
        "--blobxy",
        "fit only the blob at this brick pixel (repeatable)",
        _DEBUG,
        "append",
        nargs=2,
        convert=int,
        metavar=("X", "Y"),
    )
    blobradec: tuple[Any, ...] = option(
        (),
        "--blobradec",
        "fit only the blob at this position (repeatable)",
        _DEBUG,
        "append",
        nargs=2,
        convert=float,
        metavar=("RA", "DEC"),
    )
    verbose: int = option(0, ("-v", "--verbose"), "more log messages", _DEBUG, "count")
    debug: bool = option(False, "--debug", "show tracebacks", _DEBUG, "flag")

    def validated(self) -> RunOptions:
        """Check values and combinations; returns self.

        Raises
        ------
        UsageError
            Naming the flag.
        """
        for info in option_infos():
            info.check(getattr(self, info.name))
        if (self.brick is None) == (self.radec is None):
            raise UsageError(
                "give either --brick NAME or --radec RA DEC" + ("" if self.brick is None else ", not both")
            )
        if not self.bands:
            raise UsageError("--bands is empty")
        if len(set(self.bands)) != len(self.bands):
            raise UsageError(f"--bands names a band twice: {','.join(self.bands)}")
        self._check_zoom()
        if self.blobid is not None and not all(part.strip().lstrip("-").isdigit() for part in self.blobid.split(",")):
            raise UsageError(f"--blobid {self.blobid!r}: expected blob numbers separated by commas")
        self._check_stage_names()
        return self

    def _check_zoom(self) -> None:
        if self.zoom is None:
            return
        if len(self.zoom) != 4:
            raise UsageError(f"--zoom {self.zoom}: expected X0 X1 Y0 Y1")
        x0, x1, y0, y1 = self.zoom
        if not (x0 < x1 and y0 < y1):
            raise UsageError(f"--zoom {x0} {x1} {y0} {y1} is empty: need X0 < X1 and Y0 < Y1")
        if x0 < 0 or y0 < 0 or x1 > self.width or y1 > self.height:
            raise UsageError(
                f"--zoom {x0} {x1} {y0} {y1} reaches out of the target of {self.width} x {self.height} pixels"
            )

    def _check_stage_names(self) -> None:
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

    def resolved_survey_dir(self) -> str | None:
        """Survey directory: the option, $LEGACY_SURVEY_DIR, or None (the caller warns and uses the current one)."""
        return self.survey_dir or os.environ.get("LEGACY_SURVEY_DIR")

    def resolved_data_dir(self) -> Any:
        """Folder of survey-wide tables, or None."""
        return self.data_dir or os.environ.get("LEGACYPIPE_DATA_DIR")


def option_infos() -> list[OptionInfo]:
    """List of `OptionInfo`, one per field of `RunOptions`, in order of declaration."""
    return declared_options(RunOptions)


def changed_options(options: Any) -> Any:
    """The options that differ from their defaults, by the names of their flags (``no_wise``); dict."""
    changed = {}
    for info in option_infos():
        value = getattr(options, info.name)
        if value != info.default:
            changed[info.flag_name] = info.of_flag(value)
    return changed
