"""Plots of a brick run, as PNG images."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..units import nanomaggies_to_mag, point_source_depth_mag
from .plots import BAND_COLORS, new_figure, png

__all__ = ["depth_maps", "number_counts", "color_color", "fit_quality", "residuals", "blob_times", "stage_times"]

_MAGNITUDES = np.arange(14, 26.01, 0.5)
_CHI = np.linspace(-6, 6, 97)
_MAP_PIXELS = 500  # maps are thinned out to about this size
_STAR, _GALAXY = "#1f4e9c", "#c4561a"


def _color(band: str, i: int = 0) -> str:
    return BAND_COLORS.get(band, f"C{i}")


def depth_maps(depths: dict[str, NDArray[Any]]) -> bytes:
    """Maps of the 5-sigma depth for point sources.

    Parameters
    ----------
    depths : dict of str -> numpy.ndarray
        Band -> depth image [1/nanomaggies^2].

    Returns
    -------
    bytes
    """
    figure, (axes,) = new_figure(len(depths), width=4.0, height=3.4)
    for ax, (band, depth) in zip(axes, depths.items()):
        step = max(1, max(depth.shape) // _MAP_PIXELS)
        mag = point_source_depth_mag(depth[::step, ::step])
        seen = mag[mag > 0]
        low, high = np.percentile(seen, [1, 99]) if len(seen) else (0, 1)
        height, width = depth.shape
        extent = (-0.5, width - 0.5, -0.5, height - 0.5)
        image = ax.imshow(
            np.where(mag > 0, mag, np.nan), origin="lower", extent=extent, vmin=low - 0.05, vmax=high + 0.05
        )
        figure.colorbar(image, ax=ax, shrink=0.85)
        median = f"{np.median(seen):.2f}" if len(seen) else "no data"
        ax.set_title(f"{band}: median {median}", fontsize=10)
        ax.tick_params(labelsize=7)
    return png(figure)


def number_counts(magnitudes: dict[str, NDArray[Any]], star: NDArray[np.bool_], area: float) -> bytes:
    """Histogram of the magnitudes of stars and galaxies.

    Parameters
    ----------
    magnitudes : dict of str -> numpy.ndarray
        Band -> magnitudes, NaN where there is none.
    star : numpy.ndarray of bool
        Catalogue type PSF.
    area : float
        Square arcmin.

    Returns
    -------
    bytes
    """
    figure, (axes,) = new_figure(len(magnitudes), width=3.6, height=2.9)
    step = _MAGNITUDES[1] - _MAGNITUDES[0]
    for ax, (band, mag) in zip(axes, magnitudes.items()):
        for label, kind, color in (("PSF", star, _STAR), ("galaxies", ~star, _GALAXY)):
            counts, _ = np.histogram(mag[kind & np.isfinite(mag)], _MAGNITUDES)
            ax.stairs(counts / area / step, _MAGNITUDES, color=color, label=label)
        ax.set(xlabel=f"{band} magnitude", yscale="log", ylim=(0.5 / area / step, None))
        ax.tick_params(labelsize=8)
    top = max(ax.get_ylim()[1] for ax in axes)
    for ax in axes:
        ax.set_ylim(top=1.5 * top)
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_formatter("")
    axes[0].set_ylabel("per square arcmin and mag")
    axes[0].legend(fontsize=8)
    return png(figure)


def color_color(colors: tuple[NDArray[Any], NDArray[Any]], names: tuple[str, str], star: NDArray[np.bool_]) -> bytes:
    """Colour-colour diagram.

    Parameters
    ----------
    colors : (numpy.ndarray, numpy.ndarray)
    names : (str, str)
    star : numpy.ndarray of bool

    Returns
    -------
    bytes
    """
    figure, ((ax,),) = new_figure(width=4.6, height=3.8)
    for label, kind, color in (("galaxies", ~star, _GALAXY), ("PSF", star, _STAR)):
        ax.plot(colors[0][kind], colors[1][kind], ".", ms=4, color=color, label=label)
    ax.set(xlabel=names[0], ylabel=names[1], xlim=(-1, 3), ylim=(-1, 3))
    ax.legend(fontsize=8)
    return png(figure)


def fit_quality(reduced: dict[str, NDArray[Any]]) -> bytes:
    """Histograms of reduced chi-squared.

    Parameters
    ----------
    reduced : dict of str -> numpy.ndarray
        Band -> values of the measured sources.

    Returns
    -------
    bytes
    """
    figure, ((ax,),) = new_figure(width=4.6, height=3.4)
    bins = np.geomspace(0.3, 30, 41)
    for i, (band, values) in enumerate(reduced.items()):
        values = values[np.isfinite(values) & (values > 0)]
        median = f"{np.median(values):.2f}" if len(values) else "-"
        counts, _ = np.histogram(np.clip(values, bins[0], bins[-1] * 0.999), bins)
        ax.stairs(counts, bins, color=_color(band, i), label=f"{band}: median {median}")
    ax.axvline(1, color="0.7", lw=0.8)
    ax.set(xscale="log", xlabel="reduced chi-squared", ylabel="sources")
    ax.legend(fontsize=8)
    return png(figure)


def residuals(chi: dict[str, NDArray[Any]]) -> bytes:
    """Histograms of the residuals of the coadds in units of their noise.

    Parameters
    ----------
    chi : dict of str -> numpy.ndarray
        Band -> (image - model) sqrt(invvar) of the pixels with data.

    Returns
    -------
    bytes
    """
    figure, ((ax,),) = new_figure(width=4.6, height=3.4)
    for i, (band, values) in enumerate(chi.items()):
        if len(values) == 0:
            continue
        low, median, high = np.percentile(values, [16, 50, 84])
        counts, _ = np.histogram(np.clip(values, _CHI[0], _CHI[-1]), _CHI, density=True)
        label = f"{band}: median {median:+.2f}, width {(high - low) / 2:.2f}"
        ax.stairs(counts, _CHI, color=_color(band, i), label=label)
    x = np.linspace(-4.5, 4.5, 91)
    ax.plot(x, np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi), color="0.7", lw=0.8)
    ax.set(yscale="log", ylim=(1e-6, 1), xlabel="(image - model) / sigma of the coadd pixels", ylabel="density")
    ax.legend(fontsize=8)
    return png(figure)


def blob_times(pixels: NDArray[Any], seconds: NDArray[Any]) -> bytes:
    """CPU time of the blobs against their size.

    Parameters
    ----------
    pixels, seconds : numpy.ndarray

    Returns
    -------
    bytes
    """
    figure, ((ax,),) = new_figure(width=4.6, height=3.2)
    ax.loglog(pixels, np.maximum(seconds, 1e-3), ".", ms=5, color="#444444")
    ax.set(xlabel="pixels of the blob", ylabel="CPU seconds")
    return png(figure)


def stage_times(names: list[str], seconds: list[float], cpu: list[float]) -> bytes:
    """Bars of the times of the stages.

    Parameters
    ----------
    names : list of str
    seconds, cpu : list of float

    Returns
    -------
    bytes
    """
    figure, ((ax,),) = new_figure(width=5.4, height=3.2)
    y = np.arange(len(names))
    ax.barh(y - 0.2, seconds, 0.38, color=_STAR, label="elapsed")
    ax.barh(y + 0.2, cpu, 0.38, color="#8aa7d6", label="CPU, all processes")
    ax.set_yticks(y, names, fontsize=8)
    ax.invert_yaxis()
    ax.set(xlabel="seconds")
    ax.legend(fontsize=8)
    return png(figure)


def magnitudes_of(
    flux: NDArray[np.float32], ivar: NDArray[np.float32], min_signal_to_noise: float = 3.0
) -> NDArray[np.float64]:
    """Magnitudes of fluxes that are at least so significant; NaN for others."""
    flux, ivar = np.asarray(flux, np.float64), np.asarray(ivar, np.float64)
    good = (ivar > 0) & (flux * np.sqrt(np.maximum(ivar, 0)) > min_signal_to_noise)
    return np.where(good, nanomaggies_to_mag(np.where(good, flux, 1.0)), np.nan)
