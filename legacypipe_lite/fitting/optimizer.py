"""Fit one source model to its windows: Levenberg-Marquardt with exactly solved fluxes.

Fluxes (one per band) and, if the background is fitted, one sky level per image are linear and take their
least-squares values at every evaluation (variable projection; Golub & Pereyra 1973). The remaining parameters -
position, ln r_e, soft ellipticity, Sersic index - are moved by damped Gauss-Newton steps in a box, with an active set
for the bounds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..models.ellipse import hard_from_soft, soft_from_hard
from ..models.frames import galaxy_chunks, profile_of
from ..models.ivars import ParameterIvars
from ..models.profiles import SERSIC_MAX, SERSIC_MIN
from ..models.render import shape_tensor_with_derivatives
from ..models.sources import SOURCE_TYPES
from .images import FIT_TAILS
from .normal_kernels import NormalEquations, assemble, gram_galaxy, gram_point_source
from .step_kernels import allowed_steps, catalogue_diagonal, make_step, move, solve_in_box

if TYPE_CHECKING:
    from ..models.sources import Source, SourceType
    from .images import BlobImages, Windows

__all__ = [
    "FitSettings",
    "FittedModel",
    "fit_model",
    "start_model",
    "information",
    "LOG_RE_MIN",
    "largest_log_re",
]

LOG_RE_MIN = math.log(0.01)
_LOG_RE_MAX = math.log(30.0)
_LOG_RE_MAX_ROUND = math.log(10.0)
#: Gaussian prior on each soft ellipticity component.
ELLIPTICITY_SIGMA = 0.25
#: Largest change per step: position [arcsec], ln r_e, soft ellipticity, Sersic index.
STEP_CAPS = {"position": 1.5, "log_re": 1.0, "ellipticity": 0.5, "sersic": 1.0}
#: The Jacobians of positions are renewed when the source moved by more than this [arcsec].
_RELOCATE = 0.5
#: Damping of the first step, and the least and largest one.
FIRST_DAMPING, LEAST_DAMPING, MOST_DAMPING = 1e-3, 1e-6, 1e8
#: Limits of the damping after a step that made things worse: less would lead to almost the same place, and one step
#: does not justify more.
LEAST_RAISE, MOST_RAISE = 0.3, 30.0
#: A model does not fit if chi-squared exceeds the number of pixels by this many of its standard deviations.
MISFIT = 5.0


@dataclass(frozen=True)
class FitSettings:
    """How a model is fitted.

    Attributes
    ----------
    background : bool
        Fit one sky level per image, too.
    fixed_position : bool
        The position is known (reference star).
    max_log_re : float or None
        Upper bound of ln(r_e/arcsec); None: default of the type.
    position_box : float or None
        Keep the position within this distance [arcsec] of the start, per axis.
    is_inside : callable or None
        ``is_inside(ra, dec) -> bool``: the fit ends when an accepted step leads outside.
    marginal_ivars : bool
        Inverse variances are marginalised over the source's other parameters, instead of diagonal ones.
    exact : bool
        Take exact shape derivatives. Approximate ones cost half as much; they are wrong by up to 1 per cent, which
        shifts the optimum by as much of the residuals in units of the noise: nothing if these are noise, see
        `FittedModel.misfit`.
    tolerance : float
        A step whose predicted gain in ln P is below this is applied without evaluating it, and ends the fit.
    max_evaluations : int
    """

    background: bool = False
    fixed_position: bool = False
    max_log_re: float | None = None
    position_box: float | None = None
    is_inside: object = None
    marginal_ivars: bool = False
    exact: bool = True
    tolerance: float = 0.03
    max_evaluations: int = 40


@dataclass
class FittedModel:
    """One model type fitted to one source.

    Attributes
    ----------
    type : str
    ra, dec : float
        Degrees.
    flux : numpy.ndarray of float64, shape (nbands,)
        Nanomaggies.
    log_re, eps1, eps2, sersic : float
        Shape in fitting parameters (0 for a point source).
    chi2 : numpy.ndarray of float64, shape (nbands,)
        Over the windows' pixels, skies fitted if `background`.
    ivar : ParameterIvars
        Inverse variances.
    inside : numpy.ndarray of float64, shape (nbands,)
        Mean over a band's images of the fraction of the flux that falls on good pixels.
    hit_limit, hit_r_limit, hit_ser_limit : bool
    steps : int
        Accepted steps.
    evaluations : int
    left : bool
        The source left the region it has to stay in.
    misfit : bool
        The residuals are more than noise: chi-squared exceeds the number of pixels by 5 of its standard deviations.
    cpu : float
        Seconds of CPU.
    """

    type: str
    ra: float
    dec: float
    flux: np.ndarray
    log_re: float = 0.0
    eps1: float = 0.0
    eps2: float = 0.0
    sersic: float = 0.0
    chi2: np.ndarray | None = None
    ivar: ParameterIvars | None = None
    inside: np.ndarray | None = None
    hit_limit: bool = False
    hit_r_limit: bool = False
    hit_ser_limit: bool = False
    steps: int = 0
    evaluations: int = 0
    left: bool = False
    misfit: bool = False
    cpu: float = field(default=0.0)

    @property
    def kind(self) -> SourceType:
        """What its type means: a `SourceType`."""
        return SOURCE_TYPES[self.type]

    @property
    def shape_r(self) -> float:
        """Half-light radius [arcsec]; 0 for a point source."""
        return 0.0 if self.kind.is_point else math.exp(self.log_re)

    @property
    def hard_ellipticity(self) -> tuple[float, float]:
        """(e1, e2) of the catalogue."""
        return hard_from_soft(self.eps1, self.eps2) if self.kind.nshape == 3 else (0.0, 0.0)

    def to_source(self, template: Source) -> Source:
        """The fitted source: `template` (a `Source`) with this model's type and parameters."""
        e1, e2 = self.hard_ellipticity
        return template.copy(
            type=self.type, ra=self.ra, dec=self.dec, flux=self.flux.copy(), shape_r=self.shape_r, shape_e1=e1,
            shape_e2=e2, sersic=self.kind.index(self.sersic),
        )  # fmt: skip


def largest_log_re(kind: SourceType) -> float:
    """Default upper bound of ln(r_e/arcsec) of a `SourceType`."""
    return _LOG_RE_MAX_ROUND if kind.is_round else _LOG_RE_MAX


def start_model(source: Source) -> FittedModel:
    """`FittedModel` with the parameters of a `Source`, to start a fit from."""
    model = FittedModel(source.type, source.ra, source.dec, source.flux.copy())
    if not source.kind.is_point:
        model.log_re = math.log(max(source.shape_r, 1e-6))
        if source.kind.nshape == 3:
            model.eps1, model.eps2 = soft_from_hard(source.shape_e1, source.shape_e2)
        model.sersic = source.sersic
    return model


class _Evaluation:
    """Normal equations, with the prior, and optimal fluxes at one point of parameter space."""

    __slots__ = ("inside", "log_p", *NormalEquations._fields)

    def __init__(self, equations, inside, log_p):
        self.flux, self.chi2, self.flux_ivar, self.hessian, self.gradient, self.response, self.information = equations
        self.inside, self.log_p = inside, log_p


class _Problem:
    """The images, windows and free parameters of one fit."""

    def __init__(self, images, windows, model, settings):
        self.images, self.windows, self.settings = images, windows, settings
        self.kind = model.kind
        self.position = not settings.fixed_position
        self.blur = images.blur
        self.nshape = self.kind.nshape
        self.with_n = self.kind.has_index
        self.nderiv = self.nshape + int(self.with_n)
        self.npos = 2 if self.position else 0
        self.npar = self.npos + self.nderiv
        self.free = self.position, settings.background
        ncol = 2 + self.npar + int(settings.background)
        self.exact = settings.exact or self.nshape < 3
        self.profile = profile_of(model.type) if self.nshape and not self.with_n else None
        self.gram = np.empty((images.n, ncol, ncol))
        self.inside = np.zeros(images.n)
        self._base = None
        self._moved = np.empty((2, images.n))
        self._bounds(model)

    def _bounds(self, model):
        """Absolute bounds and step caps of the parameters, in their order."""
        s = self.settings
        lower, upper, caps = [], [], []
        if self.position:
            box = s.position_box if s.position_box is not None else np.inf
            lower += [-box] * 2
            upper += [box] * 2
            caps += [STEP_CAPS["position"]] * 2
        if self.nshape:
            top = s.max_log_re
            if top is None:
                top = largest_log_re(self.kind)
            lower.append(LOG_RE_MIN)
            upper.append(max(top, LOG_RE_MIN))
            caps.append(STEP_CAPS["log_re"])
        if self.nshape == 3:
            lower += [-np.inf] * 2
            upper += [np.inf] * 2
            caps += [STEP_CAPS["ellipticity"]] * 2
        if self.with_n:
            lower.append(SERSIC_MIN)
            upper.append(SERSIC_MAX)
            caps.append(STEP_CAPS["sersic"])
        self.lower, self.upper, self.caps = np.array(lower), np.array(upper), np.array(caps)

    def start(self, model):
        """Parameter vector of a model: position offsets [arcsec] from its position, shape, index."""
        self.ra0, self.dec0 = model.ra, model.dec
        p = [0.0, 0.0] if self.position else []
        if self.nshape:
            p.append(min(max(model.log_re, self.lower[self.npos]), self.upper[self.npos]))
        if self.nshape == 3:
            p += [model.eps1, model.eps2]
        if self.with_n:
            p.append(min(max(model.sersic, SERSIC_MIN), SERSIC_MAX))
        return np.array(p, dtype=np.float64)

    def sky_position(self, p):
        """RA, Dec [deg] of a parameter vector."""
        if not self.position:
            return self.ra0, self.dec0
        ra = self.ra0 + p[0] / 3600.0 / math.cos(math.radians(self.dec0))
        return ra % 360.0, self.dec0 + p[1] / 3600.0

    def _pixels(self, p, source):
        """Pixel positions and Jacobians in all images at a parameter vector."""
        if not self.position:
            if self._base is None:
                self._base = self.images.locate(source)
            return self._base
        if self._base is None or abs(p[0] - self._u) > _RELOCATE or abs(p[1] - self._v) > _RELOCATE:
            self._u, self._v = p[0], p[1]
            self._base = self.images.locate_sky(*self.sky_position(p))
        px, py, cinv = self._base
        moved_x, moved_y = self._moved
        move(px, py, cinv, p[0] - self._u, p[1] - self._v, moved_x, moved_y)
        return moved_x, moved_y, cinv

    def evaluate(self, p, flux, source, solve_flux=True):
        """Render model and derivatives, and make the normal equations at their optimal fluxes."""
        images, w = self.images, self.windows
        px, py, cinv = self._pixels(p, source)
        image_flux = flux[images.band]
        if self.nshape == 0:
            psf = w.psf.padded, w.psf.ph, w.psf.pw
            gram_point_source(w.index, psf, px, py, w.arrays, image_flux, self.free, self.gram, self.inside)
        else:
            self._evaluate_galaxy(p, px, py, cinv, image_flux)
        return self._normal_equations(p, flux, cinv, solve_flux)

    def _evaluate_galaxy(self, p, px, py, cinv, image_flux):
        images, w = self.images, self.windows
        log_re, eps1, eps2, sersic = self.shape(p)
        tensor, dtensor = shape_tensor_with_derivatives(log_re, eps1, eps2)
        profile = self.profile if self.profile is not None else profile_of(self.kind.name, sersic)
        options = {"reach": images.psf_reach, "tails": FIT_TAILS, **w.render_options}
        chunks = galaxy_chunks(
            w.psf, w.index, px, py, images.shape_cinv(cinv), w.window, profile, tensor, dtensor, self.nshape,
            self.with_n, exact=self.exact, border=True, **options,
        )  # fmt: skip
        for chunk in chunks:
            gram_galaxy(
                chunk.index, chunk.planes, chunk.shapes, w.arrays, image_flux, self.free, self.gram, self.inside
            )

    def shape(self, p):
        """ln r_e, eps1, eps2, n of a parameter vector."""
        if self.nshape == 0:
            return 0.0, 0.0, 0.0, 0.0
        k = self.npos
        eps1, eps2 = (p[k + 1], p[k + 2]) if self.nshape == 3 else (0.0, 0.0)
        return p[k], eps1, eps2, (p[-1] if self.with_n else 0.0)

    def _normal_equations(self, p, flux, cinv, solve_flux):
        equations = tuple(NormalEquations.empty(flux, self.npar))
        chi2 = assemble(self.windows.index, self.gram, self.images.band, cinv, self.free, equations, solve_flux)
        e = _Evaluation(equations, self.inside.copy(), -0.5 * chi2 + self.log_prior(p))
        if self.nshape == 3:
            for k in (self.npos + 1, self.npos + 2):
                e.gradient[k] -= p[k] / ELLIPTICITY_SIGMA**2
                e.hessian[k, k] += ELLIPTICITY_SIGMA**-2
        return e

    def log_prior(self, p):
        """Logarithm of the prior on the ellipticity."""
        if self.nshape < 3:
            return 0.0
        k = self.npos + 1
        return -0.5 * float(p[k] * p[k] + p[k + 1] * p[k + 1]) / ELLIPTICITY_SIGMA**2

    def allowed_steps(self, p):
        """Box of allowed steps at a parameter vector: bounds and step caps."""
        lower, upper = np.empty(self.npar), np.empty(self.npar)
        allowed_steps(p, self.lower, self.upper, self.caps, self.npos, self.nshape, self.blur, lower, upper)
        return lower, upper

    def moved(self, p, step):
        """Parameter vector after a step."""
        trial = np.empty(self.npar)
        make_step(p, step, self.lower, self.upper, self.npos, self.nshape, self.blur, trial)
        return trial


def fit_model(
    images: BlobImages, windows: Windows, model: FittedModel, source: Source, settings: FitSettings
) -> FittedModel:
    """Fit a model to the windows of a source.

    Parameters
    ----------
    images : BlobImages
    windows : Windows
    model : FittedModel
        Type and starting values.
    source : Source
        Gives the motion of a star with fixed position; else unused.
    settings : FitSettings

    Returns
    -------
    FittedModel
        With chi-squared, inverse variances and flags.
    """
    problem = _Problem(images, windows, model, settings)
    p = problem.start(model)
    best = problem.evaluate(p, model.flux, source)
    result = FittedModel(model.type, model.ra, model.dec, best.flux)
    result.evaluations = 1
    chi2 = best.chi2
    if problem.npar:
        p, best, chi2 = _levenberg_marquardt(problem, p, best, source, result)
    # Plain numbers, which are sent between processes in half the time of those of NumPy.
    result.ra, result.dec = map(float, problem.sky_position(p))
    result.log_re, result.eps1, result.eps2, result.sersic = map(float, problem.shape(p))
    result.flux, result.chi2 = best.flux, chi2
    npix = int(windows.npix.sum())
    result.misfit = bool(chi2.sum() > npix + MISFIT * math.sqrt(2.0 * npix))
    _set_flags(problem, p, result)
    _set_uncertainties(problem, p, best, result)
    return result


def information(
    images: BlobImages, windows: Windows, model: FittedModel, source: Source, settings: FitSettings
) -> tuple[ParameterIvars, ParameterIvars]:
    """Inverse variances of a model's catalogue parameters as it stands (nothing is fitted).

    Parameters are as `fit_model`; returns the diagonal and the marginal ones, see `catalogue_ivars`.
    """
    problem = _Problem(images, windows, model, settings)
    p = problem.start(model)
    e = problem.evaluate(p, model.flux, source, solve_flux=False)
    return catalogue_ivars(problem, p, e, False), catalogue_ivars(problem, p, e, True)


def _levenberg_marquardt(problem, p, best, source, result):
    """Iterate; returns the final parameters, the last evaluation (with final fluxes) and chi-squared per band."""
    settings = problem.settings
    damping = FIRST_DAMPING
    step = np.empty(problem.npar)
    small_gains = 0
    while True:
        lower, upper = problem.allowed_steps(p)
        gain = solve_in_box(best.hessian, best.gradient, damping, lower, upper, step)
        # A damped step gains only a part of what there is to gain.
        part = (1.0 + 2.0 * damping) / (1.0 + damping) ** 2
        if not gain > settings.tolerance * part or result.evaluations >= settings.max_evaluations:
            return _final_step(problem, p, best, step, gain, result)
        trial = problem.moved(p, step)
        e = problem.evaluate(trial, best.flux + best.response @ step, source)
        result.evaluations += 1
        actual = e.log_p - best.log_p
        best_damping = _best_damping(damping, actual / gain)
        if actual > 0:
            p, best = trial, e
            result.steps += 1
            damping = max(best_damping, LEAST_DAMPING)
            if settings.is_inside is not None and not settings.is_inside(*problem.sky_position(p)):
                result.left = True
                return p, best, best.chi2
            small_gains = small_gains + 1 if actual < 0.02 else 0
            if small_gains >= 2:
                return p, best, best.chi2
        else:
            damping = max(min(best_damping, MOST_RAISE), 3.0 * damping, LEAST_RAISE)
            if damping > MOST_DAMPING:
                return p, best, best.chi2


def _best_damping(damping, ratio):
    """Damping with which the last step would have led to the optimum along its line.

    The predicted gain of a step of length t = 1 / (1 + damping) is proportional to 2 t - t^2, what it really gains to
    2 t - c t^2, if the curvature is c times the predicted one; then a damping of c - 1 is best.

    Parameters
    ----------
    damping : float
    ratio : float
        Real over predicted gain; not a number if the step led to nothing that can be evaluated.
    """
    if not math.isfinite(ratio):
        return math.inf
    curvature = 2.0 * (1.0 + damping) - ratio * (1.0 + 2.0 * damping)
    return curvature - 1.0


def _final_step(problem, p, best, step, gain, result):
    """Apply the last, small step without evaluating it; chi-squared changes by the predicted amount."""
    chi2 = best.chi2.copy()
    if gain > 0 and gain <= problem.settings.tolerance:
        trial = problem.moved(p, step)
        prior = problem.log_prior(trial) - problem.log_prior(p)
        best.flux = best.flux + best.response @ step
        strongest = int(np.argmax(best.flux_ivar * best.flux**2))
        chi2[strongest] -= 2.0 * (gain - prior)
        p = trial
        result.steps += 1
    return p, best, chi2


def _set_flags(problem, p, result):
    """hit_limit and its kinds: a shape parameter ended on a bound."""
    k = problem.npos
    if problem.nshape:
        near = min(p[k] - problem.lower[k], problem.upper[k] - p[k])
        result.hit_r_limit = bool(near < 0.01)
    if problem.with_n:
        result.hit_ser_limit = bool(min(p[-1] - SERSIC_MIN, SERSIC_MAX - p[-1]) < 1e-3)
    result.hit_limit = result.hit_r_limit or result.hit_ser_limit


def _set_uncertainties(problem, p, e, result):
    """Inverse variances, and the fraction of flux inside the windows."""
    result.ivar = catalogue_ivars(problem, p, e, problem.settings.marginal_ivars)
    nb = len(e.flux)
    used = problem.windows.index
    band = problem.images.band[used]
    counts = np.bincount(band, minlength=nb)
    result.inside = np.bincount(band, weights=e.inside[used], minlength=nb) / np.maximum(counts, 1)


def catalogue_ivars(problem: _Problem, p: NDArray[np.float64], e: _Evaluation, marginal: bool) -> ParameterIvars:
    """Inverse variances in catalogue parameters, as `ParameterIvars`.

    By default they are diagonal: the sum over pixels of the squared derivative, as if all other parameters were known
    (the convention of the Legacy Surveys). `marginal` ones are the inverse of the diagonal of
    the covariance matrix of all parameters of the source (fluxes, position, shape; skies if fitted).
    """
    ivar = ParameterIvars.zeros(len(e.flux))
    if marginal:
        covariance = _covariance(e.hessian)
        if covariance is not None:
            flux_variance = np.einsum("bi,ij,bj->b", e.response, covariance, e.response)
            ivar.flux[:] = e.flux_ivar / (1.0 + e.flux_ivar * flux_variance)
            variances = np.empty(problem.npar)
            catalogue_diagonal(covariance, p, problem.npos, problem.nshape, False, variances)
            with np.errstate(divide="ignore"):
                _place(problem, ivar, np.where(variances > 0, 1.0 / variances, 0.0))
            return ivar
    ivar.flux[:] = e.flux_ivar
    diagonal = np.empty(problem.npar)
    catalogue_diagonal(e.information, p, problem.npos, problem.nshape, True, diagonal)
    _place(problem, ivar, diagonal)
    return ivar


def _covariance(hessian):
    """Inverse of the projected Hessian, or None if it is singular (a parameter without influence)."""
    if hessian.size == 0:
        return hessian
    scale = np.sqrt(np.diag(hessian))
    if not np.all(scale > 0):
        return None
    scaled = hessian / np.outer(scale, scale)
    if np.linalg.eigvalsh(scaled)[0] < 1e-10:
        return None
    return np.linalg.inv(scaled) / np.outer(scale, scale)


def _place(problem, ivar, values):
    """Set the inverse variances of the free parameters."""
    k = problem.npos
    ivar.position[:k] = values[:k]
    ivar.ellipse[: problem.nshape] = values[k : k + problem.nshape]
    if problem.with_n:
        ivar.shape("sersic")[...] = values[-1]
