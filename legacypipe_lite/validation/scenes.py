"""A catalogue beside its truth: which row belongs to which true source, and which of them are scored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table, vstack
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ..catalog.matching import match, sky_plane
from ..errors import InputError
from .catalogs import common_bands, read_catalog, read_truth
from .neighbors import light_in_errors

__all__ = ["Scene", "make_scene", "read_scene", "stack", "MatchSettings"]

_EDGE = 8  # brick pixels at the border of the image that are not scored
_NEAR_SATURATED = 15.0  # arcsec
_NEAR_LARGE_GALAXY = 20.0  # arcsec
_NEIGHBOR_FLUX = 0.1  # of its own flux, from which on a neighbour matters
_NO_NEIGHBOR = 99.0  # arcsec


@dataclass(frozen=True)
class MatchSettings:
    """How catalogue and truth are compared.

    Attributes
    ----------
    radius : float
        Largest distance of a match [arcsec].
    isolation : float
        A source is isolated if its nearest neighbour is further away [arcsec].
    neighbor_light : float or None
        If given, the light of all neighbours together that falls on an isolated source is, besides, less than this
        many errors of its flux in every band; see `neighbors.light_in_errors`.
    reference_band : str or None
        Band of the magnitudes in which results are binned; default r, else the middle one.
    bands : tuple of str or None
        Bands to score; by default those that both tables have.
    partial : bool or None
        The truth lists only some of the sources, so catalogue rows without a match are not wrong; by default it says
        so itself.
    """

    radius: float = 1.0
    isolation: float = 4.0
    neighbor_light: float | None = None
    reference_band: str | None = None
    bands: tuple[str, ...] | None = None
    partial: bool | None = None


@dataclass
class Scene:
    """A catalogue beside its truth.

    Attributes
    ----------
    truth, catalog : Table
    index : numpy.ndarray of int
        Row of the catalogue of each true source; -1 if it was not found.
    distance : numpy.ndarray of float
        Their distance [arcsec]; NaN if it was not found.
    matched : numpy.ndarray of bool
        Catalogue rows that belong to a true source.
    scored : numpy.ndarray of bool
        True sources in the image, off its edges.
    scored_rows : numpy.ndarray of bool
        The same of the catalogue rows.
    isolated : numpy.ndarray of bool
        True sources without neighbours, far from saturated stars and large galaxies; a part of `scored`.
    blended : numpy.ndarray of bool
        True sources with neighbours; neither they nor their surroundings are saturated or a large galaxy.
    bands : list of str
    reference_band : str
    partial : bool
    number : int
        How many catalogues these are.
    """

    truth: Table
    catalog: Table
    index: NDArray[np.integer]
    distance: NDArray[np.floating]
    matched: NDArray[np.bool_]
    scored: NDArray[np.bool_]
    scored_rows: NDArray[np.bool_]
    isolated: NDArray[np.bool_]
    blended: NDArray[np.bool_]
    bands: list[str]
    reference_band: str
    partial: bool = False
    number: int = 1

    @property
    def found(self) -> NDArray[np.bool_]:
        """True sources that have a catalogue row."""
        return self.index >= 0

    @property
    def star(self) -> NDArray[np.bool_]:
        """True point sources."""
        return np.asarray(self.truth["type"] == "PSF")

    @property
    def mag(self) -> NDArray[np.float64]:
        """True magnitudes in the reference band."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return 22.5 - 2.5 * np.log10(np.asarray(self.truth[f"flux_{self.reference_band}"], np.float64))

    @property
    def row_signal_to_noise(self) -> NDArray[np.float64]:
        """Signal-to-noise ratio of each catalogue row in its best band."""
        ratios = [
            self.catalog[f"flux_{band}"] * np.sqrt(np.maximum(self.catalog[f"flux_ivar_{band}"], 0))
            for band in self.bands
        ]
        return np.max(np.asarray(ratios, np.float64), axis=0)

    @property
    def signal_to_noise(self) -> NDArray[np.float64]:
        """The same of the row of each true source; 0 if it was not found."""
        result = np.zeros(len(self.truth))
        result[self.found] = self.row_signal_to_noise[self.index[self.found]]
        return result

    def matched_column(self, name: str, dtype: str | type = np.float64) -> NDArray[Any]:
        """A catalogue column row by row of the truth; NaN (or an empty string) if the source was not found."""
        empty = "" if np.dtype(dtype).kind == "U" else np.nan
        result = np.full(len(self.truth), empty, dtype)
        result[self.found] = np.asarray(self.catalog[name])[self.index[self.found]]
        return result


def read_scene(catalog_path: str | Path, truth_path: str | Path, settings: MatchSettings = MatchSettings()) -> Scene:  # noqa: B008 - an immutable value
    """Read a catalogue and its truth, and match them.

    Parameters
    ----------
    catalog_path, truth_path : str or Path
    settings : MatchSettings

    Returns
    -------
    Scene

    Raises
    ------
    InputError
        If a file or column is missing, or the two have nothing in common.
    """
    return make_scene(read_catalog(catalog_path), read_truth(truth_path), settings)


def make_scene(catalog: Table, truth: Table, settings: MatchSettings = MatchSettings()) -> Scene:  # noqa: B008 - an immutable value
    """Match a catalogue with its truth and find out which sources are scored.

    Parameters
    ----------
    catalog, truth : Table
        As `catalogs.read_catalog` and `catalogs.read_truth` give them.
    settings : MatchSettings

    Returns
    -------
    Scene
    """
    bands, reference = _bands(truth, catalog, settings)
    partial = truth.meta.get("partial", False) if settings.partial is None else settings.partial
    x, y, width, height = _pixels(truth, catalog)
    inside = _flags(truth, "in_zoom", (x > -0.5) & (x < width - 0.5) & (y > -0.5) & (y < height - 0.5))
    if not inside.any():
        raise InputError(
            f"{truth.meta.get('path')}: no source lies in the image of {catalog.meta.get('path')}: is it its truth?"
        )
    x1, y1 = (x[inside].max(), y[inside].max()) if not partial else (width - 1.0, height - 1.0)
    index, distance = match(truth, catalog, settings.radius, f"flux_{reference}")
    matched = np.zeros(len(catalog), bool)
    matched[index[index >= 0]] = True
    scored = inside & _off_edge(x, y, x1, y1)
    alone = _neighbor_distance(truth, catalog, index, reference, partial) > settings.isolation
    if settings.neighbor_light is not None:
        alone &= _neighbor_light(truth, catalog, index, bands, partial) < settings.neighbor_light
    disturbed = _disturbed(truth)
    return Scene(
        truth=truth,
        catalog=catalog,
        index=index,
        distance=distance,
        matched=matched,
        scored=scored,
        scored_rows=_off_edge(np.asarray(catalog["bx"], float), np.asarray(catalog["by"], float), x1, y1),
        isolated=scored & alone & ~disturbed,
        blended=scored & ~alone & ~disturbed,
        bands=bands,
        reference_band=reference,
        partial=partial,
    )


def stack(scenes: list[Scene]) -> Scene:
    """Several scenes as one, so that their sources are counted together.

    Parameters
    ----------
    scenes : list of Scene

    Returns
    -------
    Scene
        Bands are those that all have.

    Raises
    ------
    InputError
        If there is no such band, or some truths list all sources and some do not.
    """
    if len(scenes) == 1:
        return scenes[0]
    bands = [band for band in scenes[0].bands if all(band in scene.bands for scene in scenes)]
    references = {scene.reference_band for scene in scenes}
    if not bands or len(references) > 1:
        raise InputError("the catalogues have no band in common: score them one by one, or choose --bands")
    if len({scene.partial for scene in scenes}) > 1:
        raise InputError("some truth tables list all sources and some only injected ones: score them separately")
    offsets = np.cumsum([0, *(len(scene.catalog) for scene in scenes[:-1])])
    joined = {
        name: np.concatenate([getattr(scene, name) for scene in scenes])
        for name in ("distance", "matched", "scored", "scored_rows", "isolated", "blended")
    }
    index = np.concatenate([np.where(s.index >= 0, s.index + offset, -1) for s, offset in zip(scenes, offsets)])
    return Scene(
        truth=_joined([scene.truth for scene in scenes]),
        catalog=_joined([scene.catalog for scene in scenes]),
        index=index,
        bands=bands,
        reference_band=references.pop(),
        partial=scenes[0].partial,
        number=sum(scene.number for scene in scenes),
        **joined,
    )


def _joined(tables: Any) -> Any:
    return vstack(tables, join_type="inner", metadata_conflicts="silent")


def _bands(truth: Table, catalog: Table, settings: MatchSettings) -> tuple[list[str], str]:
    bands = common_bands(truth, catalog)
    if settings.bands is not None:
        wanted = [band.lower() for band in settings.bands]
        missing = [band for band in wanted if f"flux_{band}" not in truth.colnames or band not in bands]
        if missing:
            raise InputError(f"{catalog.meta.get('path')}: no measurements or no truth in band {', '.join(missing)}")
        bands = wanted
    if not bands:
        raise InputError(f"{catalog.meta.get('path')} and {truth.meta.get('path')} have no band in common")
    reference = (settings.reference_band or "").lower() or ("r" if "r" in bands else bands[len(bands) // 2])
    if f"flux_{reference}" not in truth.colnames:
        raise InputError(f"{truth.meta.get('path')}: no column flux_{reference}")
    return bands, reference


def _tangent_plane(table: Table, ra0: float, dec0: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Tangent projection around (ra0, dec0)."""
    dra = np.radians(np.asarray(table["ra"], np.float64) - ra0)
    dec, dec0 = np.radians(np.asarray(table["dec"], np.float64)), np.radians(dec0)
    depth = np.sin(dec0) * np.sin(dec) + np.cos(dec0) * np.cos(dec) * np.cos(dra)
    depth = np.where(depth > 0.5, depth, np.nan)
    x = np.cos(dec) * np.sin(dra) / depth
    return x, (np.cos(dec0) * np.sin(dec) - np.sin(dec0) * np.cos(dec) * np.cos(dra)) / depth


def _pixels(truth: Table, catalog: Table) -> tuple[Any, ...]:
    """Pixel positions of the true sources in the image of the catalogue, and the width and height of that image.

    The catalogue's own positions on the sky and in pixels give the mapping, its header the corners of the image.
    """
    if len(catalog) < 3:
        raise InputError(f"{catalog.meta.get('path')}: fewer than three sources: nothing to score")
    ra0, dec0 = float(catalog["ra"][0]), float(np.mean(catalog["dec"]))
    pixels = np.column_stack([catalog["bx"], catalog["by"]]).astype(np.float64)

    def terms(table: Table) -> NDArray[np.float64]:
        return np.column_stack([np.ones(len(table)), *_tangent_plane(table, ra0, dec0)])

    # Bricks are tangent projections, and two of these around different points differ by next to nothing but an affine
    # mapping over so small an angle.
    mapping = np.linalg.lstsq(terms(catalog), pixels, rcond=None)[0]
    x, y = (terms(truth) @ mapping).T
    corners = catalog.meta.get("corners")
    if corners is None:
        width, height = pixels.max(axis=0) + 1.0
    else:
        sky = Table({"ra": [c[0] for c in corners], "dec": [c[1] for c in corners]})
        width, height = np.rint((terms(sky) @ mapping).max(axis=0)) + 1.0
    return x, y, width, height


def _flags(table: Table, name: str, default: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A boolean column, restricted to `default`; `default` if there is none."""
    return np.asarray(table[name], bool) & default if name in table.colnames else default


def _off_edge(x: NDArray[np.float64], y: NDArray[np.float64], x1: float, y1: float) -> NDArray[np.bool_]:
    return (x > _EDGE) & (x < x1 - _EDGE) & (y > _EDGE) & (y < y1 - _EDGE)


def _neighbor_distance(
    truth: Table, catalog: Table, index: NDArray[np.int64], reference: str, partial: bool
) -> NDArray[np.float64]:
    """Distance of the nearest neighbour that matters [arcsec].

    If the truth lists only some of the sources, the neighbours are the catalogue rows that it does not explain.
    """
    if "nn_dist" in truth.colnames:
        distance = np.array(truth["nn_dist"], np.float64)
    else:
        distance = _nearest_bright(truth, f"flux_{reference}")
    if partial:
        ra0, dec0 = float(truth["ra"][0]), float(np.median(truth["dec"]))
        others = np.ones(len(catalog), bool)
        others[index[index >= 0]] = False
        if others.any():
            to_others = cKDTree(sky_plane(catalog[others], ra0, dec0)).query(sky_plane(truth, ra0, dec0))[0]
            distance = np.minimum(distance, to_others)
    return distance


def _neighbor_light(truth: Any, catalog: Any, index: Any, bands: Any, partial: Any) -> Any:
    """Light of the neighbours of each true source, in units of its error; see `neighbors.light_in_errors`.

    If the truth lists only some of the sources, the catalogue rows that it does not explain shine, too.
    """
    columns = ["ra", "dec", "type", "shape_r", "sersic", *(f"flux_{band}" for band in bands)]
    sources = truth[columns]
    if partial:
        others = np.ones(len(catalog), bool)
        others[index[index >= 0]] = False
        sources = _joined([sources, catalog[columns][others]])
    plane = sky_plane(sources, float(truth["ra"][0]), float(np.median(truth["dec"])))
    rows = np.full(len(sources), -1)
    rows[: len(truth)] = index
    return light_in_errors(plane, sources, catalog, rows, bands)[: len(truth)]


def _nearest_bright(truth: Any, column: Any, radius: float = 20.0) -> Any:
    """Distance of the nearest source of at least a tenth of the own flux, within `radius` [arcsec]."""
    xy = sky_plane(truth, float(truth["ra"][0]), float(np.median(truth["dec"])))
    flux = np.asarray(truth[column], np.float64)
    distance = np.full(len(truth), _NO_NEIGHBOR)
    for i, near in enumerate(cKDTree(xy).query_ball_point(xy, radius)):
        rows = np.array([row for row in near if row != i and flux[row] >= _NEIGHBOR_FLUX * flux[i]], int)
        if len(rows):
            distance[i] = np.hypot(*(xy[rows] - xy[i]).T).min()
    return distance


def _disturbed(truth: Table) -> NDArray[np.bool_]:
    """Saturated stars and sources near them, and sources near a large galaxy."""
    note = np.asarray(truth["note"]).astype(str)
    xy = sky_plane(truth, float(truth["ra"][0]), float(np.median(truth["dec"])))
    disturbed = note == "saturated"
    for name, reach in (("saturated", _NEAR_SATURATED), ("biggal", _NEAR_LARGE_GALAXY)):
        for i in np.flatnonzero(note == name):
            near = np.hypot(*(xy - xy[i]).T) <= reach
            near[i] = False
            disturbed |= near
    return disturbed
