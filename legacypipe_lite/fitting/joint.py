"""Joint fit of a group of blended sources: all parameters of all members at the same time.

Single fits see the other sources as they were left by fits that saw this one: two neighbours divide their light by the
order in which they were fitted. Here the model of the pixels is the sum of all members, and a Levenberg-Marquardt
iteration moves all fluxes, positions and shapes together.

The normal matrix is made of blocks, one for each pair of members that overlap: products of the columns of the design
matrix (see `joint_kernels`) over common pixels. Columns are made again only for members that moved by so much that the
linear model would be wrong; the others move linearly, which costs next to nothing. Near the end of an iteration these
are nearly all.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..models.frames import galaxy_chunks, profile_of
from ..models.ivars import ParameterIvars
from ..models.profiles import SERSIC_MAX, SERSIC_MIN
from ..models.render import shape_tensor_with_derivatives
from . import joint_kernels as kernels
from .images import FIT_TAILS
from .optimizer import ELLIPTICITY_SIGMA, LOG_RE_MIN, STEP_CAPS, FittedModel, largest_log_re, start_model
from .step_kernels import allowed_steps, catalogue_diagonal, make_step

if TYPE_CHECKING:
    from ..models.sources import Source
    from .images import BlobImages

__all__ = ["GroupFit", "fit_group", "flux_correlations"]

#: A fit ends where the next step is predicted to gain less than this in ln P, or less than this per member.
LEAST_GAIN, LEAST_GAIN_PER_MEMBER = 0.05, 0.01
MOST_EVALUATIONS = 12
FIRST_DAMPING, LEAST_DAMPING, MOST_DAMPING = 1e-3, 1e-7, 1e6
#: Radii may grow to this multiple, or to this radius [arcsec].
GROWTH, SMALLEST_MOST = 2.0, 0.6
#: Members that moved by more than this [arcsec] are put back.
FARTHEST = 1.5
#: Members keep their columns, and move linearly, while the second order of the model's change stays below this [sigma]:
#: the sum over parameters of (change / uncertainty) (change / scale), with these scales of position [arcsec], ln r_e,
#: ellipticity and Sersic index.
SECOND_ORDER = 0.05
SCALES = {"position": 0.5, "log_re": 1.0, "ellipticity": 0.5, "sersic": 2.0}
#: Blocks of the normal matrix are made again when a member moved by this fraction of the scales: steps need not be
#: exact, only slopes.
STALE = 0.1
#: A parameter whose variance others reduce by more than this factor is determined by them.
_DEGENERATE = 1e-10
#: A parameter that is nearer to a bound than this fraction of its uncertainty has none that could be told.
ON_BOUND = 1e-3


@dataclass
class GroupFit:
    """Result of a joint fit.

    Attributes
    ----------
    sources : list of Source
        The members as they are now.
    changed : numpy.ndarray of float64, shape (members,)
        Largest change of a flux, in units of its own (not marginal) uncertainty.
    put_back : numpy.ndarray of bool, shape (members,)
        Members that ran away, and are as they were.
    chi2_before, chi2 : float
        Of the pixels of all windows (and those between them).
    evaluations : int
    ivars : list of ParameterIvars or None
        Marginal ones: 1 / diagonal of the covariance matrix of all parameters of the group.
    correlations : numpy.ndarray of float64, shape (bands, members, members), or None
        Of the members' fluxes.
    """

    sources: list
    changed: np.ndarray
    put_back: np.ndarray
    chi2_before: float
    chi2: float
    evaluations: int
    ivars: list[ParameterIvars] | None = None
    correlations: NDArray[np.float64] | None = None


class _Member:
    """One member, with its parameters: position offsets [arcsec], ln r_e, soft ellipticity, index; those it has."""

    def __init__(self, images, source, window):
        self.source, self.window = source, window
        self.index = np.flatnonzero(window[:, 2] > 0)
        self.position = not (source.fixed_position or source.sga_fit)
        self.npos = 2 if self.position else 0
        self.nshape, self.with_n = source.kind.nshape, source.kind.has_index
        self.ncol = 1 + self.npos + self.nshape + int(self.with_n)
        self.exact = self.nshape < 3
        sizes = window[:, 2].astype(np.int64) * window[:, 3] * self.ncol
        self.start = np.cumsum(sizes) - sizes
        self.size = int(sizes.sum())
        self.flux = source.flux.copy()
        self.free_flux = (self.flux != 0.0) & np.isin(np.arange(images.nbands), images.band[self.index])
        model = start_model(source)
        self.p = np.array(
            [0.0, 0.0] * self.position + [model.log_re, model.eps1, model.eps2][: self.nshape]
            + [model.sersic] * self.with_n
        )  # fmt: skip
        self._bounds(source)
        self.p = np.clip(self.p, self.lower, self.upper)
        self.start_p, self.start_flux = self.p.copy(), self.flux.copy()
        self.offset = np.zeros_like(self.p)  # since the columns were made
        self.blocks_p = self.p.copy()  # where the blocks of the normal matrix were made
        self.columns = None
        self.psf = None

    def _bounds(self, source):
        """Bounds, largest steps and scales of the parameters."""
        lower, upper, caps, scales = [], [], [], []

        def add(name, low, high):
            lower.append(low), upper.append(high), caps.append(STEP_CAPS[name]), scales.append(SCALES[name])

        for _ in range(self.npos):
            add("position", -np.inf, np.inf)
        if self.nshape:
            now = max(source.shape_r, math.exp(LOG_RE_MIN))
            most = min(largest_log_re(source.kind), math.log(max(GROWTH * now, SMALLEST_MOST)))
            add("log_re", LOG_RE_MIN, max(most, math.log(now)))
        for _ in range(2 if self.nshape == 3 else 0):
            add("ellipticity", -np.inf, np.inf)
        if self.with_n:
            add("sersic", SERSIC_MIN, SERSIC_MAX)
        self.lower, self.upper, self.caps, self.scales = (np.array(v, float) for v in (lower, upper, caps, scales))

    @property
    def nfree(self):
        """Number of free parameters: fluxes, then the rest."""
        return int(self.free_flux.sum()) + len(self.p)

    def sky_position(self, p):
        """RA, Dec [deg] of a parameter vector."""
        s = self.source
        if not self.position:
            return s.ra, s.dec
        return (s.ra + p[0] / 3600.0 / math.cos(math.radians(s.dec))) % 360.0, s.dec + p[1] / 3600.0

    def shape(self, p):
        """ln r_e, eps1, eps2, n."""
        k = self.npos
        eps1, eps2 = (p[k + 1], p[k + 2]) if self.nshape == 3 else (0.0, 0.0)
        return (p[k] if self.nshape else 0.0), eps1, eps2, (p[-1] if self.with_n else 0.0)

    def log_prior(self, p):
        """Logarithm of the prior on the ellipticity."""
        if self.nshape < 3:
            return 0.0
        e = p[self.npos + 1 : self.npos + 3]
        return -0.5 * float(e @ e) / ELLIPTICITY_SIGMA**2

    def coefficients(self, flux, offset):
        """Coefficients of the columns in the (linear) model; float64 (bands, MOST_COLUMNS)."""
        c = np.zeros((len(flux), kernels.MOST_COLUMNS))
        c[:, 0] = flux
        c[:, 1 : self.ncol] = flux[:, np.newaxis] * offset
        return c

    def fitted(self):
        """The source with the present parameters."""
        ra, dec = self.sky_position(self.p)
        log_re, eps1, eps2, sersic = self.shape(self.p)
        return FittedModel(self.source.type, ra, dec, self.flux, log_re, eps1, eps2, sersic).to_source(self.source)

    def distance(self):
        """How far it is from where it started [arcsec]."""
        return math.hypot(*self.p[:2]) if self.position else 0.0

    def put_back(self):
        """Take the parameters that it had at the start."""
        self.p, self.flux = self.start_p.copy(), self.start_flux.copy()


def render_columns(images, member, p):
    """Columns of a member at given parameters; float32, see `joint_kernels.Layout`."""
    columns = np.empty(member.size, np.float32)
    if member.position:
        px, py, cinv = images.locate_sky(*member.sky_position(p))
    else:
        px, py, cinv = images.locate(member.source)
    if member.psf is None:
        member.psf = images.psf_at(member.index, px, py)
    psf, arrays, windows = member.psf, (images.offset, images.width, images.inverr), (member.window, member.start)
    if member.nshape == 0:
        stamps = psf.padded, psf.ph, psf.pw
        kernels.point_columns(member.index, stamps, (px, py, cinv), windows, member.position, arrays, columns)
        return columns
    log_re, eps1, eps2, sersic = member.shape(p)
    tensor, dtensor = shape_tensor_with_derivatives(log_re, eps1, eps2)
    chunks = galaxy_chunks(
        psf, member.index, px, py, images.shape_cinv(cinv), member.window, profile_of(member.source.type, sersic),
        tensor, dtensor, member.nshape, member.with_n, exact=member.exact, border=True, reach=images.psf_reach,
        tails=FIT_TAILS,
    )  # fmt: skip
    for chunk in chunks:
        kernels.galaxy_columns(chunk.index, chunk.planes, chunk.shapes, cinv, windows, member.position, arrays, columns)
    return columns


class _Group:
    """Members, residuals and normal equations of a group during its fit."""

    def __init__(self, images, sources, windows, pairs):
        self.images = images
        self.members = [_Member(images, s, w) for s, w in zip(sources, windows)]
        self.free = np.array([m.nfree > 0 and m.size > 0 for m in self.members])
        self.pairs = np.array([(k, k) for k in range(len(sources))] + list(pairs), np.int64).reshape(-1, 2)
        self._lay_out()
        self.blocks = np.zeros((len(self.pairs), images.nbands, kernels.MOST_COLUMNS, kernels.MOST_COLUMNS))
        for m in self.members:
            m.columns = render_columns(images, m, m.p)
        self._make_blocks(np.ones(len(sources), bool))
        self.residual = self._cut_residuals()
        self.chi2 = kernels.sum_of_squares(self.residual, self.residual.size)

    def _lay_out(self):
        images, members = self.images, self.members
        window = np.array([m.window for m in members], np.int32)
        some = window[..., 2] > 0
        low = np.where(some[..., np.newaxis], window[..., :2], np.iinfo(np.int32).max).min(axis=0)
        high = np.where(some[..., np.newaxis], window[..., :2] + window[..., 2:], 0).max(axis=0)
        seen = some.any(axis=0)
        frame = np.where(seen[:, np.newaxis], np.concatenate([low, high - low], axis=1), 0).astype(np.int32)
        sizes = frame[:, 2].astype(np.int64) * frame[:, 3]
        self.layout = kernels.Layout(
            window, np.array([m.start for m in members]), np.array([m.ncol for m in members]), frame,
            np.cumsum(sizes) - sizes, images.band,
        )  # fmt: skip
        self.npixels = int(sizes.sum())

    def _cut_residuals(self):
        residual = np.empty(self.npixels, np.float32)
        images = self.images
        arrays = images.offset, images.width, images.inverr
        kernels.cut_frames(self.layout.frame, self.layout.offset, arrays, images.data, residual)
        return residual

    def _make_blocks(self, moved):
        """Products of columns with those of members that moved."""
        for m in (self.members[k] for k in np.flatnonzero(moved)):
            m.blocks_p = m.p.copy()
        for k, (i, j) in enumerate(self.pairs):
            if moved[i] or moved[j]:
                kernels.products(i, self.members[i].columns, j, self.members[j].columns, self.layout, self.blocks[k])

    def set_free(self, free):
        """Choose the members that are fitted, and number their parameters."""
        self.free = free
        self.place = np.full(len(self.members), -1, np.int64)
        n = 0
        for k, m in enumerate(self.members):
            if free[k]:
                self.place[k] = n
                n += m.nfree
        self.nparameters = n

    def normal_equations(self):
        """Normal matrix and gradient of ln P with respect to the free parameters."""
        members = self.members
        matrix, gradient = np.empty((self.nparameters, self.nparameters)), np.empty(self.nparameters)
        kernels.assemble(
            self.pairs, self.blocks, np.array([m.flux for m in members]), np.array([m.free_flux for m in members]),
            self.place, self.layout.ncol, matrix,
        )  # fmt: skip
        slopes = np.empty((self.images.nbands, kernels.MOST_COLUMNS))
        for k, m in enumerate(members):
            if not self.free[k]:
                continue
            kernels.slopes(k, m.columns, self.layout, self.residual, slopes)
            nflux = m.nfree - len(m.p)
            first = self.place[k]
            gradient[first : first + nflux] = slopes[m.free_flux, 0]
            gradient[first + nflux : first + m.nfree] = m.flux @ slopes[:, 1 : m.ncol]
            if m.nshape == 3:
                for a in (m.npos + 1, m.npos + 2):
                    at = first + nflux + a
                    matrix[at, at] += ELLIPTICITY_SIGMA**-2
                    gradient[at] -= m.p[a] / ELLIPTICITY_SIGMA**2
        return matrix, gradient

    def boxes(self):
        """Allowed steps of the free parameters."""
        lower, upper = np.full(self.nparameters, -np.inf), np.full(self.nparameters, np.inf)
        for k, m in enumerate(self.members):
            if self.free[k] and len(m.p):
                at = slice(self.place[k] + m.nfree - len(m.p), self.place[k] + m.nfree)
                allowed_steps(m.p, m.lower, m.upper, m.caps, m.npos, m.nshape, self.images.blur, lower[at], upper[at])
        return lower, upper

    def trial(self, step, own_errors):
        """Parameters after a step, the residuals there, and new columns where the linear model would not do.

        Parameters
        ----------
        step : numpy.ndarray of float64
        own_errors : numpy.ndarray of float64
            Uncertainties of the parameters if all others were known.

        Returns
        -------
        _Trial
        """
        t = _Trial(self.residual.copy(), [], 0.0)
        for k, m in enumerate(self.members):
            if not self.free[k]:
                t.states.append(None)
                continue
            flux, p = self._stepped(k, m, step)
            offset = m.offset + (p - m.p)
            errors = own_errors[self.place[k] + m.nfree - len(m.p) : self.place[k] + m.nfree]
            old = m.coefficients(m.flux, m.offset)
            if np.sum(offset * offset / np.maximum(errors * m.scales, 1e-30)) <= SECOND_ORDER:
                change = m.coefficients(flux, offset) - old
                kernels.add_model(k, m.columns, change, -1.0, self.layout, t.residual)
                columns = None
            else:
                kernels.add_model(k, m.columns, old, 1.0, self.layout, t.residual)
                columns, offset = render_columns(self.images, m, p), np.zeros_like(p)
                kernels.add_model(k, columns, m.coefficients(flux, offset), -1.0, self.layout, t.residual)
            t.states.append((flux, p, offset, columns))
            t.prior += m.log_prior(p) - m.log_prior(m.p)
        t.chi2 = kernels.sum_of_squares(t.residual, t.residual.size)
        return t

    def _stepped(self, k, m, step):
        """Fluxes and parameters of a member after a step."""
        own = step[self.place[k] : self.place[k] + m.nfree]
        nflux = m.nfree - len(m.p)
        flux, p = m.flux.copy(), m.p.copy()
        flux[m.free_flux] += own[:nflux]
        if len(p):
            make_step(m.p, own[nflux:], m.lower, m.upper, m.npos, m.nshape, self.images.blur, p)
        return flux, p

    def accept(self, trial):
        """Go to a trial's parameters."""
        moved = np.zeros(len(self.members), bool)
        for k, (m, state) in enumerate(zip(self.members, trial.states)):
            if state is None:
                continue
            m.flux, m.p, m.offset, columns = state
            if columns is not None:
                m.columns = columns
                moved[k] = np.any(np.abs(m.p - m.blocks_p) > STALE * m.scales)
        self.residual, self.chi2 = trial.residual, trial.chi2
        self._make_blocks(moved)

    def apply(self, step):
        """Take a last step without looking where it leads."""
        for k, m in enumerate(self.members):
            if self.free[k]:
                m.flux, m.p = self._stepped(k, m, step)

    def put_back(self, k):
        """Put a member back to where it started."""
        m = self.members[k]
        kernels.add_model(k, m.columns, m.coefficients(m.flux, m.offset), 1.0, self.layout, self.residual)
        m.put_back()
        m.columns, m.offset = render_columns(self.images, m, m.p), np.zeros_like(m.p)
        kernels.add_model(k, m.columns, m.coefficients(m.flux, m.offset), -1.0, self.layout, self.residual)
        self.chi2 = kernels.sum_of_squares(self.residual, self.residual.size)
        moved = np.zeros(len(self.members), bool)
        moved[k] = True
        self._make_blocks(moved)


@dataclass
class _Trial:
    """A point that a step leads to: residuals, states of the members (None: not free), change of the prior."""

    residual: np.ndarray
    states: list
    prior: float
    chi2: float = 0.0


def fit_group(
    images: BlobImages,
    sources: list[Source],
    windows: list[NDArray[np.int32]],
    pairs: list[tuple[int, int]],
    is_inside: Callable[[float, float], bool],
    gain_per_member: float = LEAST_GAIN_PER_MEMBER,
    uncertainties: bool = True,
) -> GroupFit:
    """Fit the members of a group together.

    Parameters
    ----------
    images : BlobImages
        With all sources subtracted.
    sources : list of Source
        The members; where they are now is where the fit starts.
    windows : list of numpy.ndarray
        From `groups.joint_windows`.
    pairs : list of (int, int)
        Members that overlap, first < second.
    is_inside : callable
        ``is_inside(ra, dec) -> bool``: whether a position is in the blob.
    gain_per_member : float
        The fit ends where the next step is predicted to gain less than this in ln P, per member.
    uncertainties : bool
        Whether they are wanted.

    Returns
    -------
    GroupFit
    """
    group = _Group(images, sources, windows, pairs)
    chi2_before, evaluations = group.chi2, 0
    free, put_back = group.free.copy(), np.zeros(len(sources), bool)
    own_information = np.array([np.sqrt(_flux_information(group, k)) for k in range(len(sources))])
    for _ in range(3):
        if not free.any():
            break
        group.set_free(free)
        evaluations += _iterate(group, gain_per_member)
        gone = free & np.array([_ran_away(m, is_inside) for m in group.members])
        if not gone.any():
            break
        for k in np.flatnonzero(gone):
            group.put_back(k)
        put_back |= gone
        free = free & ~gone
    else:
        for k in np.flatnonzero(free & np.array([_ran_away(m, is_inside) for m in group.members])):
            group.put_back(k)
            put_back[k] = True
    change = np.array(
        [np.max(np.abs(m.flux - m.start_flux) * e, initial=0.0) for m, e in zip(group.members, own_information)]
    )
    return GroupFit(
        [m.fitted() for m in group.members], change, put_back, chi2_before, group.chi2, evaluations,
        *(_uncertainties(group) if uncertainties else (None, None)),
    )  # fmt: skip


def _flux_information(group, k):
    """sum (G ie)^2 of a member per band."""
    return group.blocks[k, :, 0, 0]


def _ran_away(member, is_inside):
    """True if a member ended as no source can be: dark, far from where it was, or off the blob."""
    s = member.source
    if not (np.all(np.isfinite(member.flux)) and np.all(np.isfinite(member.p)) and member.flux.sum() > 0):
        return True
    if member.distance() > FARTHEST:
        return True
    may_leave = s.from_galaxy_catalog or s.is_reference or not member.position
    return not may_leave and not is_inside(*member.sky_position(member.p))


def _iterate(group, gain_per_member):
    """Levenberg-Marquardt iteration of the free members; returns the number of evaluations.

    It ends early when a member is too far from where it was.
    """
    tolerance = max(LEAST_GAIN, gain_per_member * int(group.free.sum()))
    damping, evaluations = FIRST_DAMPING, 1
    matrix, gradient = group.normal_equations()
    while True:
        lower, upper = group.boxes()
        step, gain = solve_in_boxes(matrix, gradient, damping, lower, upper)
        if gain < 0 and damping < MOST_DAMPING:
            # What members at their bounds lose is more than the others gain: smaller steps.
            damping = max(8.0 * damping, 0.01)
            continue
        if not gain >= tolerance:
            if gain > 0:
                group.apply(step)
            return evaluations
        if evaluations >= MOST_EVALUATIONS:
            return evaluations
        diagonal = np.diag(matrix)
        own_errors = 1.0 / np.sqrt(np.where(diagonal > 0, diagonal, np.inf))
        trial = group.trial(step, own_errors)
        evaluations += 1
        actual = 0.5 * (group.chi2 - trial.chi2) + trial.prior
        if actual > 0:
            group.accept(trial)
            if any(m.distance() > FARTHEST for m in group.members):
                return evaluations
            ratio = actual / gain
            damping = max(damping * (0.1 if ratio > 0.7 else 0.5 if ratio > 0.3 else 2.0), LEAST_DAMPING)
            matrix, gradient = group.normal_equations()
        else:
            damping = max(8.0 * damping, 0.01)
            if damping > MOST_DAMPING:
                return evaluations


def solve_in_boxes(matrix, gradient, damping, lower, upper):
    """Damped Newton step within a box.

    Parameters
    ----------
    matrix : numpy.ndarray of float64, shape (n, n)
    gradient : numpy.ndarray of float64, shape (n,)
    damping : float
        Is added to the diagonal of the matrix scaled to unit diagonal.
    lower, upper : numpy.ndarray of float64
        Box, around 0. Parameters that would leave it are held at its walls, and the others solved again.

    Returns
    -------
    step : numpy.ndarray of float64
    gain : float
        Predicted gain in ln P of this step, without damping.
    """
    scale = np.sqrt(np.maximum(np.diag(matrix), 0.0))
    usable = scale > 0
    scale = np.where(usable, scale, 1.0)
    scaled = matrix / scale / scale[:, np.newaxis]
    rhs = gradient / scale
    low, high = lower * scale, upper * scale
    step = np.zeros(len(rhs))
    free = usable & (lower < upper)
    for _ in range(10):
        index = np.flatnonzero(free)
        if len(index) == 0:
            break
        part = scaled[np.ix_(index, index)]
        part[np.diag_indices(len(index))] = 1.0 + damping
        held = ~free
        b = rhs[index] - scaled[np.ix_(index, held)] @ step[held]
        good = kernels.factorise(part, _DEGENERATE)
        kernels.solve_factored(part, good, b)
        step[index] = b
        outside = free & ((step < low) | (step > high))
        step = np.clip(step, low, high)
        if not outside.any():
            break
        free &= ~outside
    gain = float(rhs @ step - 0.5 * step @ (scaled @ step))
    return step / scale, gain


def _uncertainties(group):
    """Marginal inverse variances of all members, and correlations of their fluxes; see `GroupFit`."""
    nbands = group.images.nbands
    group.set_free(np.array([m.nfree > 0 and m.size > 0 for m in group.members]))
    covariance = _covariance(*group.normal_equations()[:1], *group.boxes())
    ivars, flux_rows = [], np.full((len(group.members), nbands), -1)
    for k, m in enumerate(group.members):
        ivar = ParameterIvars.zeros(nbands)
        if group.free[k]:
            first, nflux = group.place[k], m.nfree - len(m.p)
            flux_rows[k, m.free_flux] = np.arange(first, first + nflux)
            ivar.flux[m.free_flux] = _inverse(np.diag(covariance)[first : first + nflux])
            own = slice(first + nflux, first + m.nfree)
            variances = np.empty(len(m.p))
            catalogue_diagonal(covariance[own, own].copy(), m.p, m.npos, m.nshape, False, variances)
            values = _inverse(variances)
            ivar.position[: m.npos] = values[: m.npos]
            ivar.ellipse[: m.nshape] = values[m.npos : m.npos + m.nshape]
            if m.with_n:
                ivar.shape("sersic")[...] = values[-1]
        ivars.append(ivar)
    return ivars, flux_correlations(covariance, flux_rows)


def _covariance(matrix, lower, upper):
    """Inverse of a normal matrix; parameters that nothing determines, or that are on a bound, have variance 0."""
    diagonal = np.diag(matrix)
    scale = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    index = np.flatnonzero((diagonal > 0) & (lower * scale < -ON_BOUND) & (upper * scale > ON_BOUND))
    part = matrix[np.ix_(index, index)] / scale[index] / scale[index, np.newaxis]
    inverse = np.zeros_like(part)
    good = kernels.factorise(part, _DEGENERATE)
    kernels.invert_factored(part, good, inverse)
    covariance = np.zeros_like(matrix)
    covariance[np.ix_(index, index)] = inverse / scale[index] / scale[index, np.newaxis]
    return covariance


def flux_correlations(covariance: NDArray[np.float64], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Correlations of the fluxes of the members of a group.

    Parameters
    ----------
    covariance : numpy.ndarray, shape (n, n)
    rows : numpy.ndarray of int, shape (members, bands)
        Parameter number of each flux; -1: not free.

    Returns
    -------
    numpy.ndarray, shape (bands, members, members)
        0 where there is none.
    """
    members, nbands = rows.shape
    out = np.zeros((nbands, members, members))
    for b in range(nbands):
        have = np.flatnonzero(rows[:, b] >= 0)
        part = covariance[np.ix_(rows[have, b], rows[have, b])]
        sigma = np.sqrt(np.maximum(np.diag(part), 0.0))
        scale = np.outer(sigma, sigma)
        out[b][np.ix_(have, have)] = np.where(scale > 0, part / np.where(scale > 0, scale, 1.0), 0.0)
    return out


def _inverse(values):
    return np.where(values > 0, 1.0 / np.where(values > 0, values, 1.0), 0.0)
