"""What the fit of one blob needs and gives: plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..models.ivars import ParameterIvars
from ..models.sources import TYPES
from ..wcs.projection_kernels import PACKED_SIZE

if TYPE_CHECKING:
    from ..models.sources import Source
    from ..wcs import TanWcs

__all__ = ["BlobTask", "BlobContext", "FitOptions", "SourceResult", "BlobResult"]


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """Options of the run that change the fit of a blob.

    Attributes
    ----------
    iterative : bool
        Detect and fit sources in the residuals.
    iterative_nsigma, saddle_fraction, saddle_min : float
        Thresholds of this detection, see `detection.detect_sources`.
    segmentation : bool
        Fit each source on its own segment.
    less_masking : bool
        No background fits near medium-bright stars.
    galaxy_forces_psf : bool
        Sources inside large galaxies are point sources.
    shape_jacobian : {"local", "header"}
    reoptimize : bool
        Fit all sources once more after the iterative detection.
    marginal_ivars : bool
        Inverse variances of a source's parameters are marginalised over its other parameters.
    reference_rule : bool
        Choose types by the rule of the Legacy Surveys (see `candidates.choose_model`).
    joint : bool
        Fit blended sources together (see `refine`).
    check : bool
        Hold sources against all pixels of their models (see `check`).
    """

    iterative: bool = True
    iterative_nsigma: float
    saddle_fraction: float
    saddle_min: float
    segmentation: bool = True
    less_masking: bool = False
    galaxy_forces_psf: bool = True
    shape_jacobian: str = "local"
    reoptimize: bool = False
    marginal_ivars: bool = False
    reference_rule: bool = False
    joint: bool = True
    check: bool = True


@dataclass
class BlobContext:
    """What all blobs share: reaches worker processes without being pickled.

    Attributes
    ----------
    tims : list of Tim
    bands : list of str
    target : TanWcs
    sources : list of Source
        All sources of the run.
    refmap : numpy.ndarray of uint8, shape (H, W)
    blobmap : numpy.ndarray of int32, shape (H, W)
    options : FitOptions
    """

    tims: list
    bands: list
    target: TanWcs
    sources: list
    refmap: np.ndarray
    blobmap: np.ndarray
    options: FitOptions

    def __post_init__(self) -> None:
        # What `cut_tims` needs of all tims, for its kernel.
        self.packed = np.array([tim.wcs.pack() for tim in self.tims]).reshape(len(self.tims), PACKED_SIZE)
        self.shapes = np.array([tim.shape for tim in self.tims], np.int64).reshape(len(self.tims), 2)


@dataclass(frozen=True)
class BlobTask:
    """One blob (or piece of one) to fit.

    Attributes
    ----------
    name : str
        For messages: rank by size, "rank-piece" for pieces.
    blob : int
        Number in the blob map.
    piece : int
        Number of the piece of a divided blob, -1 for a whole one.
    box : (x0, y0, w, h)
        Bounding box in the brick.
    rows : tuple of int
        The blob's sources.
    npix : int
        Pixels of the blob within the box.
    frozen : tuple of int
        Rows of frozen galaxies that reach into this blob and are subtracted before the fit.
    """

    name: str
    blob: int
    piece: int
    box: tuple
    rows: tuple
    npix: int
    frozen: tuple = ()


@dataclass
class SourceResult:
    """One source after its blob was fitted.

    Attributes
    ----------
    row : int
        Row of the source list; -1 for a source detected in the residuals.
    source : Source
    ivar : ParameterIvars
    models : dict of str to FittedModel
        All models that were fitted.
    dchisq : numpy.ndarray of float64, one value per type
        Gains over "no source" in the order of `models.sources.TYPES`; 0 = not fitted.
    x0, y0 : float
        Initial position in the brick [pixel].
    cpu : float
        Seconds.
    symm_width, symm_height, symm_npix, symm_nimages : int
        Extent, good pixels and images of the model selection.
    fit_flags : int
        Of `bits.FIT_FLAGS`.
    joint_ivar : ParameterIvars
        Marginal ones: over all parameters of the sources that were fitted together, or of the source alone.
    number : int
        Of the source within its blob.
    neighbor : int
        Number of the source whose flux is most correlated with that of this one; -1: none.
    correlation : float
        Of their fluxes.
    fracflux, fracin, fracmasked, rchisq : numpy.ndarray of float64, shape (nbands,)
    """

    row: int
    source: Source
    x0: float
    y0: float
    ivar: ParameterIvars | None = None
    models: dict = field(default_factory=dict)
    dchisq: np.ndarray = field(default_factory=lambda: np.zeros(len(TYPES)))
    started_in_blob: bool = False
    finished_in_blob: bool = False
    hit_limit: bool = False
    hit_r_limit: bool = False
    hit_ser_limit: bool = False
    force_keep: bool = False
    fit_background: bool = False
    forced_pointsource: bool = False
    cpu: float = 0.0
    symm_width: int = 0
    symm_height: int = 0
    symm_npix: int = 0
    symm_nimages: int = 0
    fit_flags: int = 0
    joint_ivar: ParameterIvars | None = None
    number: int = -1
    neighbor: int = -1
    correlation: float = 0.0
    fracflux: np.ndarray | None = None
    fracin: np.ndarray | None = None
    fracmasked: np.ndarray | None = None
    rchisq: np.ndarray | None = None


@dataclass
class BlobResult:
    """The fitted sources of a blob.

    Attributes
    ----------
    task : BlobTask
    sources : list of SourceResult
        Those that survived.
    nimages : int
    total_pixels : int
        Unmasked pixels of all images.
    cpu : float
        Seconds of CPU for the whole blob.
    """

    task: BlobTask
    sources: list
    nimages: int = 0
    total_pixels: int = 0
    cpu: float = 0.0
