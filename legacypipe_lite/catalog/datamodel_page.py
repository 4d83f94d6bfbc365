"""The data-model page of the documentation, made from the schema.

``python -m legacypipe_lite.catalog.datamodel_page > docs/data-model.md`` writes it anew.
"""

import sys

from ..bits import DQ, FITBITS, MASKBITS_FIXED, WISEMASK, maskbits_for_bands
from ..models.sources import TYPES
from ..survey.products import PRODUCTS
from .columns import DATA_MODELS, LIGHT_CURVE_EPOCHS, TRACTOR_SCHEMA
from .other_tables import CCDS, DEPTH, INTERMEDIATE, REFERENCE, SOURCES, all_models_columns

__all__ = ["data_model_page"]

_TYPES = {
    "bool": "boolean",
    "u1": "uint8",
    "i2": "int16",
    "i4": "int32",
    "i8": "int64",
    "f4": "float32",
    "f8": "float64",
}

_PRODUCT_TEXTS = {
    "image": "weighted mean of the exposures, nanomaggies per pixel",
    "model": "the fitted sources, stacked like the image",
    "blobmodel": "the same, each source only within its own blob",
    "invvar": "inverse variance of the image; 0: no data",
    "chi2": "sum over the exposures of chi-squared of the model",
    "nexp": "number of unmasked exposures",
    "depth": "depth for point sources, 1/nanomaggies^2: the 5-sigma flux is 5/sqrt(depth)",
    "galdepth": "the same for a round exponential galaxy of half-light radius 0.45 arcsec",
    "psfsize": "weighted mean FWHM of the PSF, arcsec",
    "copsf": "mean PSF (with `--save-coadd-psf`; of W1 to W4 with `--save-unwise-psf`)",
    "maskbits": "mask bits; further extensions WISEM1, WISEM2: WISE mask bits",
    "ccds-table": "the exposures that were used",
    "depth-table": "histogram of depth over the brick's own area",
    "image-jpeg": "picture of the image",
    "model-jpeg": "picture of the model",
    "blobmodel-jpeg": "picture of the blobmodel",
    "resid-jpeg": "picture of image - model",
    "imageblob-jpeg": "picture of the image with the outlines of the blobs (with `--blob-image`)",
    "wise-jpeg": "picture of the WISE coadds W1 and W2",
    "wisemodel-jpeg": "picture of their model",
    "wiseresid-jpeg": "picture of image - model in WISE",
    "outliers-pre": "picture before outliers are masked",
    "outliers-post": "picture after outliers are masked",
    "outliers-masked-pos": "picture of the bright pixels that were masked",
    "outliers-masked-neg": "picture of the dark pixels that were masked",
    "outlier-mask": "outlier masks: one extension per exposure; 1: too bright, 2: too dark",
    "blobmask": "detected pixels (with `--blob-mask`)",
    "blobmap": "number of the blob of each pixel, -1: none",
    "all-models": "what each model gave for each source",
    "reference": "reference objects of the brick and around it",
    "sources": "detections and reference objects before the fit",
    "injected": "sources that were added to the images (with `--inject`)",
    "run-log": "how the run went: options, versions, times, dropped CCDs, warnings",
    "tractor": "**the catalogue**",
    "tractor-i": "everything known about its sources",
    "checksums": "SHA-256 of all these files but the run log; `cd OUTDIR && sha256sum -c FILE` checks them",
}

_INTRODUCTION = """\
# Data model

*This page is made from the code that writes the files* (`python -m legacypipe_lite.catalog.datamodel_page`).

File names, columns, units and bits are those of the public data releases of the
[DESI Legacy Imaging Surveys](https://www.legacysurvey.org), so that programs that read these read ours.
`<b>` stands for a band, `<brick>` for the brick name, `AAA` for its first three characters.
Fluxes are nanomaggies (AB magnitude = 22.5 - 2.5 log10 flux); inverse variances of 0 mean "not measured".
"""

_MODELS = """\
## Which data release

`--data-model` chooses the columns of the tractor catalogue:

| | dr9 | dr10 (default) | dr11 |
|---|---|---|---|
| `maskbits` | int16 (higher bits left out) | int32 | int32 |
| `ngood_<b>` | - | yes | yes |
| `ls_id_dr11`, `nearest_neighbor` | - | yes (more than the published DR10) | yes |
| epochs of the WISE light curves | {dr9} | {dr10} | {dr11} |

Bands are those of `--bands`, in that order, with data or without (then zero). The mask bits of the bands are numbered
in this order, too: read them from the header (`MB_SATUR_G` ...). WISE columns are there unless `--no-wise` is given,
zero without [unWISE images](wise.md); `--lc-epochs` changes the length of the light curves. With `--no-gaia` the
columns from `pmra` to `ref_epoch` are missing.
"""


def data_model_page():
    """The page as Markdown text."""
    parts = [
        _INTRODUCTION,
        _files(),
        _MODELS.format(**LIGHT_CURVE_EPOCHS),
        _tractor(),
        _bits(),
        "## tractor-i\n\nOne row per row of the tractor catalogue, in the same order. Columns of the reference objects"
        " are there as far as the catalogues give them.\n\n" + _plain_table(INTERMEDIATE),
        "## all-models\n\nThe first columns are those of tractor-i; then for each model `m` of "
        f"{', '.join(TYPES).lower()} (shapes as far as the model has them):\n\n" + _plain_table(_one_model()),
        "## reference\n\n" + _plain_table(REFERENCE),
        "## sources\n\nDetections have zeros in the columns of the reference objects.\n\n"
        + _plain_table(SOURCES[len(REFERENCE) :])
        + "\nand the columns of *reference*.\n",
        "## ccds\n\nThe survey's own columns of each exposure, and:\n\n" + _plain_table(CCDS),
        "## depth\n\n" + _plain_table(DEPTH),
    ]
    return "\n".join(parts)


def _files():
    lines = ["## Files\n", "| path below the output directory | what |", "|---|---|"]
    for key, product in PRODUCTS.items():
        path = product.pattern.format(group="AAA", brick="<brick>", prefix="legacysurvey", band="<b>")
        lines.append(f"| `{path}` | {_PRODUCT_TEXTS[key]} |")
    lines.append(
        "\nImages are in extension 1, compressed: image, model and blobmodel to steps of 1e-4 nanomaggies, chi2 to 0.1,"
        " invvar to 1/16 of its noise, all others without loss. The primary header of every table, and the header of"
        " every image, says what was run on what.\n"
    )
    return "\n".join(lines)


def _tractor():
    lines = ["## tractor\n", "| column | type | unit | meaning |", "|---|---|---|---|"]
    for entry in TRACTOR_SCHEMA:
        suffix = {"": "", "wise": "_w1..4", "light curve": "_w1, 2"}.get(entry.bands, "_<b>")
        length = "epochs" if entry.length == "epochs" else entry.length
        kind = _type_name(entry.dtype) + (f"[{length}]" if length else "")
        models = "" if entry.models == DATA_MODELS else " (not dr9)"
        lines.append(f"| `{entry.name}{suffix}` | {kind} | {entry.unit} | {entry.text}{models} |")
    return "\n".join(lines) + "\n"


def _bits():
    bands = [bit for bit in maskbits_for_bands(("g", "r", "z")) if bit not in MASKBITS_FIXED]
    lines = ["## Bits\n"]
    lines += _bit_table("maskbits (with `--bands g,r,z`)", sorted([*MASKBITS_FIXED, *bands], key=lambda bit: bit.value))
    lines += _bit_table("fitbits", FITBITS)
    lines += _bit_table("wisemask", WISEMASK)
    lines += ["**anymask, allmask**\n", "| value | name |", "|---|---|"]
    lines += [f"| {value:#x} | {name} |" for name, value in DQ.items()]
    return "\n".join(lines) + "\n"


def _bit_table(title, bits):
    lines = [f"**{title}**\n", "| value | name | meaning |", "|---|---|---|"]
    return [*lines, *(f"| {bit.value:#x} | {bit.name} | {bit.text} |" for bit in bits), ""]


def _one_model():
    """Columns of one model of all-models, the name of the model replaced by m."""
    ser = [column for column in all_models_columns(["<b>"]) if column.name.startswith("ser_")]
    return [
        type(column)("m" + column.name[3:], column.dtype, column.unit, column.text.replace("SER model", "model"))
        for column in ser
    ]


def _plain_table(columns):
    lines = ["| column | type | meaning |", "|---|---|---|"]
    for column in columns:
        unit = f" [{column.unit}]" if column.unit else ""
        lines.append(f"| `{column.name}` | {_type_name(column.dtype, column.shape)} | {column.text}{unit} |")
    return "\n".join(lines) + "\n"


def _type_name(code, shape=()):
    base, _, over = code.removesuffix("]").partition("[")
    lengths = [over] * bool(over) + [str(length) for length in shape]
    return (_TYPES.get(base) or f"char[{base[1:]}]") + (f"[{', '.join(lengths)}]" if lengths else "")


if __name__ == "__main__":
    sys.stdout.write(data_model_page())
