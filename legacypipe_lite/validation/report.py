"""The report of a brick run: one HTML page with what went in, what came out, and how long it took."""

from __future__ import annotations

import html
import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..models.sources import TYPES_SIMPLE_FIRST
from ..tables import open_fits
from ..units import point_source_depth_mag
from ..wcs import cd_pixel_scale
from . import page, run_plots
from .plots import score_plots
from .products import BrickProducts
from .scenes import read_scene
from .scores import evaluate
from .tables import headline, score_tables

if TYPE_CHECKING:
    from .scenes import MatchSettings

__all__ = ["brick_report"]

_TYPES = (*TYPES_SIMPLE_FIRST, "DUP", "NUN")
_MAX_PICTURE = 1200  # pixels of a picture's longer side in the page
_SLOWEST = 15
_OUTLINE = (255, 200, 40)

_PICTURES = {
    "image-jpeg": "Image",
    "model-jpeg": "Model: the fitted sources",
    "resid-jpeg": "Residual: image - model",
    "wise-jpeg": "WISE W1, W2",
    "wisemodel-jpeg": "WISE model",
    "wiseresid-jpeg": "WISE residual",
}


def brick_report(
    outdir: str | Path,
    brickname: str | None = None,
    truth: str | Path | None = None,
    settings: MatchSettings | None = None,
    plots: bool = True,
) -> str:
    """Make the page of a brick run.

    Parameters
    ----------
    outdir : str or Path
        Output directory of the run.
    brickname : str or None
        May be left out if the directory holds one brick only.
    truth : str or Path or None
        Table of the true sources: adds scores.
    settings : matching.MatchSettings or None
        How the truth is compared.
    plots : bool
        False leaves out what needs matplotlib.

    Returns
    -------
    str
        HTML; images are part of it.

    Raises
    ------
    InputError
        If the run's catalogue, or a column of the truth, is missing.
    UsageError
        If plots are wanted and matplotlib is not installed.
    """
    report = _Report(BrickProducts(outdir, brickname), plots)
    sections = [
        report.pictures(),
        report.catalog(),
        report.depth(),
        report.quality(),
        report.blobs(),
        report.ccds(),
        report.stages(),
        report.warnings(),
    ]
    if truth is not None:
        sections.insert(1, report.scores(truth, settings))
    return page.page(f"Brick {report.products.brickname}", report.subtitle(), [s for s in sections if s[1]])


class _Report:
    """The sections of the page, each (heading, HTML); without HTML if there is nothing to say."""

    def __init__(self, products: BrickProducts, plots: bool) -> None:
        self.products = products
        self.plots = plots
        self.bands = products.bands
        self.log = products.log()
        self.tractor = products.table("tractor")
        self.types = np.char.strip(self.tractor["type"])

    def _plot(self, function: Callable[..., Any], arguments: tuple[Any, ...], caption: str, wide: bool = False) -> str:
        return page.figure(function(*arguments), caption, wide=wide) if self.plots else ""

    def subtitle(self) -> str:
        """What was run, when, and how long it took."""
        with open_fits(self.products.path("tractor")) as fits:
            header = fits[0].read_header()
        command = str(header.get("CMDLINE", "")).strip()
        if self.log is None:
            return command
        seconds = sum(stage["seconds"] for stage in self.log["stages"])
        return f"{command} - {self.log['finished']}, {seconds:.1f} s, version {self.log['versions']['legacypipe_lite']}"

    # --- sections

    def pictures(self) -> tuple[str, str]:
        """Image, model, residual and blobs."""
        shown = [
            page.figure(_small_jpeg(self.products.bytes(product)), caption, "jpeg")
            for product, caption in _PICTURES.items()
            if self.products.has(product)
        ]
        if self.products.has("image-jpeg") and self.products.has("blobmap"):
            blobmap, _ = self.products.image("blobmap")
            picture = _outlined(self.products.bytes("image-jpeg"), blobmap)
            number = len(np.unique(blobmap[blobmap >= 0]))
            shown.insert(3, page.figure(picture, f"Blobs: {number} groups of pixels that were fitted together", "jpeg"))
        return page.section("Pictures", page.figures(*shown) if shown else "")

    def scores(self, truth: str | Path, settings: Any) -> tuple[str, str]:
        """Tables and plots of the comparison with the truth."""
        keywords = {} if settings is None else {"settings": settings}
        scene = read_scene(self.products.path("tractor"), truth, **keywords)
        scores = evaluate(scene)
        shown = ""
        if self.plots:
            plots = score_plots(scene, scores)
            shown = page.figures(*(page.figure(image, text, wide=True) for text, image in plots.values()))
        tables = [page.text_table(table) for table in score_tables(scores)]
        return page.section("Truth", f"<p>{html.escape(headline(scores))}</p>", shown, *tables)

    def catalog(self) -> tuple[str, str]:
        """Numbers by type, number counts and colours."""
        rows = [(kind, str(int((self.types == kind).sum()))) for kind in _TYPES if np.any(self.types == kind)]
        rows.append(("all", str(len(self.types))))
        star = self.types == "PSF"
        mags = {
            band: run_plots.magnitudes_of(self.tractor[f"flux_{band}"], self.tractor[f"flux_ivar_{band}"])
            for band in self.bands
        }
        plots = []
        if mags:
            counts = "Number counts of sources with S/N > 3"
            plots.append(self._plot(run_plots.number_counts, (mags, star, self._area()), counts, wide=True))
        if len(mags) >= 3:
            a, b, c = _three(self.bands)
            colors, names = (mags[a] - mags[b], mags[b] - mags[c]), (f"{a} - {b}", f"{b} - {c}")
            plots.append(self._plot(run_plots.color_color, (colors, names, star), "Colours (not dereddened)"))
        counts = "" if self.log is None else _list([f"{k}: {_text(v)}" for k, v in self.log["counts"].items()])
        return page.section(
            "Catalogue", page.table(("type", "rows"), rows), page.figures(*plots) if self.plots else "", counts
        )

    def _area(self) -> float:
        """Of the image [square arcmin]."""
        image, header = self.products.image("nexp", self.bands[0])
        pixel = abs(header["CD1_1"] * header["CD2_2"] - header["CD1_2"] * header["CD2_1"])
        return image.size * pixel * 3600.0

    def depth(self) -> tuple[str, str]:
        """Depth maps, and depth, seeing and exposures by band."""
        depths = {
            band: self.products.image("depth", band)[0] for band in self.bands if self.products.has("depth", band)
        }
        rows = []
        for band, depth in depths.items():
            galaxy = self.products.image("galdepth", band)[0]
            number = self.products.image("nexp", band)[0]
            seeing = self.products.image("psfsize", band)[0]
            covered = depth > 0
            rows.append(
                (
                    band,
                    f"{_median(point_source_depth_mag(depth[covered])):.2f}",
                    f"{_median(point_source_depth_mag(galaxy[covered])):.2f}",
                    f"{_median(seeing[covered]):.2f}",
                    f"{_median(number):.0f}",
                    f"{100 * np.mean(covered):.1f}",
                )
            )
        if not rows:
            return page.section("Depth", "")
        header = ("band", "depth (stars)", "depth (galaxies)", "seeing arcsec", "exposures", "covered %")
        maps = self._plot(run_plots.depth_maps, (depths,), "5-sigma depth for point sources [AB mag]", wide=True)
        return page.section("Depth", page.table(header, rows, "Medians over the image"), maps)

    def quality(self) -> tuple[str, str]:
        """Reduced chi-squared and residuals."""
        reduced = {band: self.tractor[f"rchisq_{band}"][self.tractor[f"flux_ivar_{band}"] > 0] for band in self.bands}
        chi = {band: self._residual(band) for band in self.bands if self.products.has("model", band)}
        rows = []
        for band, values in chi.items():
            low, median, high = np.percentile(values, [16, 50, 84]) if len(values) else [np.nan] * 3
            beyond = 100 * np.mean(np.abs(values) > 5) if len(values) else np.nan
            rows.append((band, f"{median:+.3f}", f"{(high - low) / 2:.3f}", f"{beyond:.3f}"))
        plots = [
            self._plot(run_plots.fit_quality, (reduced,), "Reduced chi-squared of the sources"),
            self._plot(run_plots.residuals, (chi,), "Residuals; the curve is what noise alone gives"),
        ]
        header = ("band", "median", "width", "% beyond 5 sigma")
        table = page.table(header, rows, "Residuals of the coadds, in units of the noise") if rows else ""
        return page.section("Fit quality", page.figures(*plots) if self.plots else "", table)

    def _residual(self, band: str) -> NDArray[np.float32]:
        invvar = self.products.image("invvar", band)[0]
        difference = self.products.image("image", band)[0] - self.products.image("model", band)[0]
        good = invvar > 0
        return difference[good] * np.sqrt(invvar[good])

    def blobs(self) -> tuple[str, str]:
        """The blobs that took longest."""
        if not self.products.has("all-models"):
            return page.section("Slowest blobs", "")
        names = ["blob", "cpu_blob", "blob_npix", "blob_width", "blob_height", "blob_nimages", "ra", "dec"]
        rows = self.products.table("all-models", names)
        rows = rows[(rows["blob"] >= 0) & (rows["cpu_blob"] > 0)]
        _, first, number = np.unique(rows["blob"], return_index=True, return_counts=True)
        order = np.argsort(-rows["cpu_blob"][first], kind="stable")
        total = rows["cpu_blob"][first].sum()
        shown = [
            (
                str(row["blob"]),
                f"{row['cpu_blob']:.2f}",
                f"{100 * row['cpu_blob'] / total:.1f}",
                str(count),
                str(row["blob_npix"]),
                f"{row['blob_width']} x {row['blob_height']}",
                str(row["blob_nimages"]),
                f"{row['ra']:.5f} {row['dec']:+.5f}",
            )
            for row, count in zip(rows[first][order][:_SLOWEST], number[order])
        ]
        if not shown:
            return page.section("Slowest blobs", "")
        header = ("blob", "CPU s", "% of all", "sources", "pixels", "box", "images", "first source at")
        caption = f"{len(first)} blobs took {total:.1f} CPU seconds"
        plot = self._plot(
            run_plots.blob_times, (rows["blob_npix"][first], rows["cpu_blob"][first]), "CPU time and size of blobs"
        )
        return page.section("Slowest blobs", page.table(header, shown, caption), page.figures(plot) if plot else "")

    def ccds(self) -> tuple[str, str]:
        """Exposures that were dropped, and those that were used."""
        parts = []
        dropped: list[Any] = [] if self.log is None else self.log["dropped_ccds"]
        if dropped:
            parts.append(page.table(("dropped CCD", "reason"), [(d["name"], d["reason"]) for d in dropped]))
        elif self.log is not None:
            parts.append("<p>No CCD was dropped.</p>")
        if self.products.has("ccds-table"):
            ccds = self.products.table("ccds-table")
            rows = [
                (
                    str(row["image_filename"]).strip(),
                    str(row["ccdname"]).strip(),
                    str(row["filter"]).strip(),
                    f"{row['exptime']:.0f}",
                    f"{row['fwhm'] * _pixel_scale(row):.2f}",
                    f"{row['mjd_obs']:.3f}",
                )
                for row in ccds
            ]
            header = ("image", "CCD", "band", "s", "seeing arcsec", "MJD")
            table = page.table(header, rows)
            parts.append(f"<details><summary>{len(rows)} CCDs were used</summary>\n{table}</details>")
        return page.section("CCDs", *parts)

    def stages(self) -> tuple[str, str]:
        """Times and memory of the stages."""
        if self.log is None:
            return page.section("Stages", "<p>There is no run log (metrics/AAA/run-&lt;brick&gt;.json).</p>")
        stages = self.log["stages"]
        rows = [
            (
                stage["name"],
                f"{stage['seconds']:.2f}",
                f"{stage['cpu_seconds']:.2f}",
                f"{stage['peak_memory'] / 1e6:.0f}",
                f"{stage['worker_memory'] / 1e6:.0f}" if stage["worker_memory"] else "-",
                "read back" if stage["read_back"] else "",
            )
            for stage in stages
        ]
        rows.append(
            (
                "all",
                f"{sum(s['seconds'] for s in stages):.2f}",
                f"{sum(s['cpu_seconds'] for s in stages):.2f}",
                f"{max(s['peak_memory'] for s in stages) / 1e6:.0f}",
                "-",
                "",
            )
        )
        times = ([s["name"] for s in stages], [s["seconds"] for s in stages], [s["cpu_seconds"] for s in stages])
        plot = self._plot(run_plots.stage_times, times, f"Times of the stages, {self.log['threads']} thread(s)")
        header = ("stage", "seconds", "CPU s", "peak MB", "worker MB", "")
        versions = ", ".join(f"{name} {number}" for name, number in self.log["versions"].items())
        options = ", ".join(f"{name} = {_text(value)}" for name, value in self.log["options"].items())
        facts = [
            f"<p><b>Versions:</b> {html.escape(versions)}</p>",
            f"<p><b>Options:</b> <code>{html.escape(options)}</code></p>",
        ]
        return page.section("Stages", page.table(header, rows), page.figures(plot) if plot else "", *facts)

    def warnings(self) -> tuple[str, str]:
        """What the run warned of."""
        return page.section("Warnings", _list([] if self.log is None else self.log["warnings"]))


def _list(texts: list[str]) -> str:
    return "<ul>" + "".join(f"<li>{html.escape(text)}</li>" for text in texts) + "</ul>" if texts else ""


def _text(value: dict[str, int] | int | list[int] | str) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {number}" for key, number in value.items())
    if isinstance(value, list):
        return " ".join(str(item) for item in value)
    return str(value)


def _three(bands: list[str]) -> list[str]:
    """Three bands for a colour-colour diagram: g, r, z if they are there."""
    return [band for band in bands if band in ("g", "r", "z")] if {"g", "r", "z"} <= set(bands) else bands[:3]


def _median(values: NDArray[Any]) -> float:
    return float(np.median(values)) if np.size(values) else np.nan


def _pixel_scale(ccd: Any) -> float:
    """arcsec."""
    return cd_pixel_scale([[ccd["cd1_1"], ccd["cd1_2"]], [ccd["cd2_1"], ccd["cd2_2"]]])


# --- pictures


def _small_jpeg(data: bytes) -> bytes:
    """A JPEG, made smaller if it is large."""
    from PIL import Image

    with Image.open(io.BytesIO(data)) as picture:
        if max(picture.size) <= _MAX_PICTURE:
            return data
        return _jpeg(picture)


def _outlined(data: bytes, blobmap: NDArray[np.int32]) -> bytes:
    """The picture with the borders of the blobs drawn in."""
    from PIL import Image

    with Image.open(io.BytesIO(data)) as picture:
        pixels = np.array(picture.convert("RGB"))
    if pixels.shape[:2] == blobmap.shape:
        pixels[_borders(blobmap)[::-1]] = _OUTLINE
    return _jpeg(Image.fromarray(pixels))


def _borders(blobmap: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Pixels of blobs with a neighbour of another blob, or of none."""
    border = np.zeros(blobmap.shape, bool)
    border[:, 1:] |= blobmap[:, 1:] != blobmap[:, :-1]
    border[:, :-1] |= blobmap[:, 1:] != blobmap[:, :-1]
    border[1:] |= blobmap[1:] != blobmap[:-1]
    border[:-1] |= blobmap[1:] != blobmap[:-1]
    return border & (blobmap >= 0)


def _jpeg(picture: Any) -> bytes:
    buffer = io.BytesIO()
    picture.thumbnail((_MAX_PICTURE, _MAX_PICTURE))
    picture.save(buffer, format="JPEG", quality=88)
    return buffer.getvalue()
