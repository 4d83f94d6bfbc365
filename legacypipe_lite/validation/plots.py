"""Plots of scores, as PNG images. This is where matplotlib is used; it comes with the extra ``plots``."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from .pulls import environments, pull, true_radius
from .scores import CATALOG_TYPES, TRUE_TYPES

if TYPE_CHECKING:
    from .scenes import Scene

__all__ = ["score_plots", "new_figure", "png", "BAND_COLORS"]

BAND_COLORS = {"u": "#6a3d9a", "g": "#1b9e77", "r": "#d62728", "i": "#a6761d", "z": "#4c4c4c", "Y": "#222222"}
_STAR, _GALAXY = "#1f4e9c", "#c4561a"
_PULL_BINS = np.linspace(-6, 6, 31)


def new_figure(columns: int = 1, rows: int = 1, width: float = 4.2, height: float = 3.2) -> tuple[Any, Any]:
    """A figure and its axes, laid out without overlap.

    Raises
    ------
    UsageError
        If matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UsageError("plots need matplotlib: python -m pip install 'legacypipe-lite[plots]'") from None
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


def png(figure: Any, dpi: int = 100) -> bytes:
    """The bytes of a figure as a PNG image."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def score_plots(scene: Scene, scores: dict[Any, Any]) -> dict[str, tuple[str, bytes]]:
    """Plots of a catalogue against its truth.

    Parameters
    ----------
    scene : matching.Scene
    scores : dict
        Of `scores.evaluate`.

    Returns
    -------
    dict of str -> (str, bytes)
        Name -> caption, PNG image.

    Raises
    ------
    UsageError
        If matplotlib is not installed.
    """
    plots = {
        "completeness": ("Completeness and purity", _found(scores)),
        "types": ("Types: colour is the fraction of the true type (rows) that was found as a type", _confusion(scores)),
        "pulls": ("Pulls of isolated sources; the curve is what right values and errors give", _pull_histograms(scene)),
        "fluxes": ("Fluxes of isolated sources found as stars and galaxies", _flux_ratios(scene)),
        "positions": ("Positions of isolated sources", _positions(scene)),
        "shapes": ("Shapes of isolated galaxies", _shapes(scene)),
    }
    return {name: (caption, png(figure)) for name, (caption, figure) in plots.items()}


def _found(scores: dict[str, Any]) -> Any:
    figure, ((left, right),) = new_figure(2)
    band = scores["counts"]["reference_band"]
    for name, color in (("stars", _STAR), ("galaxies", _GALAXY)):
        rows = [row for row in scores["completeness"] if row[name]["n"]]
        mag = [(max(row["mag_low"], 17) + row["mag_high"]) / 2 for row in rows]
        values, errors = ([row[name][key] for row in rows] for key in ("value", "error"))
        left.errorbar(mag, values, errors, fmt="o-", ms=4, lw=1, color=color, label=name)
    left.set(xlabel=f"true {band} magnitude", ylabel="completeness", ylim=(-0.03, 1.05))
    left.legend()
    rows = [row for row in scores["purity"] if row["low"] is not None]
    names = [f"> {row['low']:g}" if row["high"] is None else f"{row['low']:g}-{row['high']:g}" for row in rows]
    right.errorbar(names, [row["value"] for row in rows], [row["error"] for row in rows], fmt="o-", ms=4, color="k")
    right.set(xlabel="signal-to-noise ratio in the best band", ylabel="purity", ylim=(-0.03, 1.05))
    return figure


def _confusion(scores: dict[str, Any]) -> Any:
    ranges = list(dict.fromkeys((row["mag_low"], row["mag_high"]) for row in scores["types"]))
    figure, (axes,) = new_figure(len(ranges), width=2.9, height=2.8)
    for ax, (low, high) in zip(axes, ranges):
        rows = [row for row in scores["types"] if (row["mag_low"], row["mag_high"]) == (low, high)]
        counts = np.array([[row[kind] for kind in CATALOG_TYPES] for row in rows], float)
        total = counts.sum(axis=1, keepdims=True)
        ax.imshow(np.divide(counts, total, where=total > 0, out=np.zeros_like(counts)), vmin=0, vmax=1, cmap="Blues")
        for (y, x), count in np.ndenumerate(counts):
            share = count / total[y, 0] if total[y, 0] else 0
            if count:
                ax.text(x, y, f"{count:.0f}", ha="center", va="center", color="w" if share > 0.6 else "k", fontsize=8)
        ax.set_xticks(range(len(CATALOG_TYPES)), CATALOG_TYPES, fontsize=8)
        ax.set_yticks(range(len(rows)), [row["true"] for row in rows], fontsize=8)
        band = scores["counts"]["reference_band"]
        bounds = [f"{low} ≤ " if low is not None else "", band, f" < {high}" if high is not None else ""]
        ax.set(title="".join(bounds), xlabel="catalogue")
    axes[0].set_ylabel("truth")
    return figure


def _pull_histograms(scene: Scene) -> Any:
    """Histograms of the pulls of fluxes, positions and shapes, stars and galaxies apart."""
    names = [(f"flux_{band}", f"{band} flux") for band in scene.bands]
    names += [("ra", "RA"), ("dec", "Dec"), ("shape_r", "r"), ("shape_e1", "e1"), ("shape_e2", "e2")]
    columns = 4
    figure, axes = new_figure(columns, -(-len(names) // columns), width=2.6, height=2.3)
    found_type = scene.matched_column("type", "U3")
    for ax, (name, title) in zip(axes.flat, names):
        values, chosen = pull(scene, name), scene.isolated & np.isfinite(pull(scene, name))
        if name.startswith("flux_"):
            chosen &= scene.matched_column(name) * np.sqrt(scene.matched_column(f"flux_ivar_{name[5:]}")) > 5
        if name in ("ra", "dec"):
            chosen &= ~np.asarray(scene.truth["is_gaia"], bool)
        samples = [("stars", scene.star & (found_type == "PSF"), _STAR)]
        samples += [("galaxies", ~scene.star & (found_type != "PSF"), _GALAXY)]
        for label, kind, color in samples[1:] if name.startswith("shape") else samples:
            _histogram(ax, values[chosen & kind], label, color)
        ax.set_title(title, fontsize=9)
        ax.tick_params(labelsize=7)
        ax.set_ylim(0, 1.35 * max(0.4, ax.get_ylim()[1]))
        if ax.get_legend_handles_labels()[0]:
            ax.legend(fontsize=6, frameon=False, loc="upper left")
    for ax in axes.flat[len(names) :]:
        ax.set_axis_off()
    return figure


def _histogram(ax: Any, values: NDArray[np.float64], label: str, color: str) -> None:
    if len(values) < 2:
        return
    low, high = np.percentile(values, [16, 84])
    text = f"{label}: {np.median(values):+.2f}, {(high - low) / 2:.2f} (n {len(values)})"
    inside = np.clip(values, _PULL_BINS[0], _PULL_BINS[-1])
    ax.hist(inside, _PULL_BINS, density=True, histtype="step", color=color, label=text)
    x = np.linspace(-4, 4, 81)
    ax.plot(x, np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi), color="0.6", lw=0.8)


def _flux_ratios(scene: Scene) -> Any:
    figure, (axes,) = new_figure(len(scene.bands), width=3.6, height=2.8)
    found_type = scene.matched_column("type", "U3")
    for ax, band in zip(axes, scene.bands):
        true = np.asarray(scene.truth[f"flux_{band}"], np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            mag, ratio = 22.5 - 2.5 * np.log10(true), scene.matched_column(f"flux_{band}") / true
        chosen = scene.isolated & (scene.matched_column(f"flux_ivar_{band}") > 0) & np.isfinite(mag)
        for label, kind, color in (
            ("stars", scene.star & (found_type == "PSF"), _STAR),
            ("galaxies", ~scene.star & (found_type != "PSF"), _GALAXY),
        ):
            ax.plot(mag[chosen & kind], ratio[chosen & kind], ".", ms=3, color=color, label=label)
        ax.axhline(1, color="0.6", lw=0.8)
        ax.set(xlabel=f"true {band} magnitude", ylabel="flux / true flux", ylim=(0.5, 1.5))
    axes[0].legend()
    return figure


def _positions(scene: Scene) -> Any:
    figure, (axes,) = new_figure(2)
    cosine = np.cos(np.radians(np.asarray(scene.truth["dec"], np.float64)))
    dra = (scene.matched_column("ra") - np.asarray(scene.truth["ra"], np.float64)) * cosine * 3.6e6
    ddec = (scene.matched_column("dec") - np.asarray(scene.truth["dec"], np.float64)) * 3.6e6
    free = scene.isolated & scene.found & ~np.asarray(scene.truth["is_gaia"], bool)
    for ax, (label, kind, color) in zip(axes, (("stars", scene.star, _STAR), ("galaxies", ~scene.star, _GALAXY))):
        ax.plot(dra[free & kind], ddec[free & kind], ".", ms=3, color=color)
        limit = 150
        ax.axhline(0, color="0.6", lw=0.8)
        ax.axvline(0, color="0.6", lw=0.8)
        ax.set(title=f"{label} (not in Gaia)", xlabel="dRA cos Dec [mas]", ylabel="dDec [mas]")
        ax.set(xlim=(-limit, limit), ylim=(-limit, limit), box_aspect=1)
    return figure


def _shapes(scene: Scene) -> Any:
    figure, (axes,) = new_figure(3, width=3.4, height=2.9)
    found_type = scene.matched_column("type", "U3")
    extended = environments(scene)["isolated"] & ~scene.star & scene.found & (found_type != "PSF")
    ratio = scene.matched_column("shape_r") / np.maximum(true_radius(scene), 1e-9)
    for name in TRUE_TYPES[1:]:
        chosen = extended & (scene.truth["type"] == name)
        if chosen.any():
            axes[0].semilogx(scene.signal_to_noise[chosen], ratio[chosen], ".", ms=3, label=name)
    axes[0].axhline(1, color="0.6", lw=0.8)
    axes[0].set(xlabel="best S/N", ylabel="r / true r", ylim=(0, 2))
    if axes[0].get_legend_handles_labels()[0]:
        axes[0].legend(fontsize=7)
    elliptic = extended & (found_type != "REX")
    for ax, name in zip(axes[1:], ("shape_e1", "shape_e2")):
        ax.plot(scene.truth[name][elliptic], scene.matched_column(name)[elliptic], ".", ms=3, color=_GALAXY)
        ax.plot([-0.7, 0.7], [-0.7, 0.7], color="0.6", lw=0.8)
        ax.set(xlabel=f"true {name[6:]}", ylabel=f"measured {name[6:]}", xlim=(-0.75, 0.75), ylim=(-0.75, 0.75))
    return figure
