"""Layers of the map: a product of a run, by the names that the public viewer and its clients use."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..errors import InputError, UsageError
from .runs import Run, band_order

__all__ = ["Layer", "SplitLayer", "Catalogue", "PRODUCTS", "is_north"]

#: Products with a layer of their own, by the suffix of the layer's name.
PRODUCTS = ("image", "model", "resid", "blobmodel", "invvar", "nexp", "depth", "galdepth", "psfsize", "maskbits")
_WISE_PRODUCTS = {"wise": "image", "wisemodel": "model", "wiseresid": "resid"}
_SUFFIX = re.compile(
    r"(?P<run>.+?)(?:-(?P<product>model|resid|blobmodel|invvar|nexp|depth|galdepth|psfsize|maskbits|wise|wisemodel|wiseresid))?"
    r"(?:-(?P<bands>grz|gri|griz))?",
    re.ASCII,
)
_PUBLIC = re.compile(r"(?:ls-dr\d+|decals-dr\d+|mzls[ +]bass-dr6|dr\d+)(?:-north|-south)?", re.ASCII)

# Direction of the north Galactic pole (ICRS), and where the surveys of the two hemispheres meet [deg].
_NORTH_GALACTIC_POLE = np.array([-0.86766615, -0.19807637, 0.45598378])
_SPLIT_DEC = 32.375


@dataclass(frozen=True)
class Layer:
    """A product of a run in some bands.

    Attributes
    ----------
    run : Run
    product : str
        One of `PRODUCTS`.
    bands : tuple of str
        Bands that are shown if none are asked for.
    wise : bool
        WISE coadds instead of optical ones.
    """

    run: Run
    product: str = "image"
    bands: tuple = ()
    wise: bool = False

    @property
    def name(self):
        """Name in URLs: run and product."""
        product = self.product
        if self.wise:
            product = next(name for name, of in _WISE_PRODUCTS.items() if of == product)
        elif product == "image":
            return self.run.name
        return f"{self.run.name}-{product}"

    @property
    def generation(self):
        """Changes when any coadd of the run does."""
        return self.run.generation

    def select_bands(self, text):
        """Bands that a request asks for; those of the layer if it asks for any that the layer has not.

        Parameters
        ----------
        text : str, sequence of str, or None
            One-letter names in a row ("zg"), or names between commas.

        Returns
        -------
        tuple of str
            In the wanted order.

        Raises
        ------
        UsageError
            If the text is empty.
        """
        if text is None:
            return self.bands
        if not text:
            raise UsageError("bands= is empty: name bands, e.g. bands=grz, or leave it out")
        names = tuple(text.split(",") if "," in text or text in self.bands else text) if isinstance(text, str) else text
        names = tuple(name.strip() for name in names)
        return names if all(name in self.bands for name in names) else self.bands

    def of_product(self, product):
        """The layer of another product of the same run."""
        return replace(self, product=product)


@dataclass(frozen=True)
class SplitLayer:
    """A pair of layers of a northern and a southern run, joined as the public surveys are.

    Attributes
    ----------
    name : str
    north, south : Layer
    """

    name: str
    north: Layer
    south: Layer

    @property
    def product(self):
        """Product of both."""
        return self.south.product

    @property
    def bands(self):
        """Bands of either."""
        return tuple(band_order({*self.north.bands, *self.south.bands}))

    @property
    def wise(self):
        """WISE coadds instead of optical ones."""
        return self.south.wise

    @property
    def generation(self):
        """Changes when any coadd of either run does."""
        return self.north.generation + self.south.generation

    def select_bands(self, text):
        """As `Layer.select_bands`."""
        return Layer.select_bands(self, text)

    def of_product(self, product):
        """The pair of another product."""
        return replace(self, north=self.north.of_product(product), south=self.south.of_product(product))


def is_north(ra, dec):
    """True where a position belongs to the northern survey: Dec >= 32.375 and north of the Galactic plane.

    Parameters
    ----------
    ra, dec : array_like
        Degrees.

    Returns
    -------
    numpy.ndarray of bool
    """
    ra, dec = np.deg2rad(np.asarray(ra, float)), np.deg2rad(np.asarray(dec, float))
    n = _NORTH_GALACTIC_POLE
    sine = np.cos(dec) * (n[0] * np.cos(ra) + n[1] * np.sin(ra)) + n[2] * np.sin(dec)
    return (np.rad2deg(dec) >= _SPLIT_DEC) & (sine > 0)


class Catalogue:
    """The runs that are served, and the names under which their layers are found.

    Parameters
    ----------
    runs : sequence of Run
        With different names. The first stands for the public layers (``ls-dr9``, ``ls-dr10-south`` ...).
    aliases : mapping of str -> str, optional
        Further names of runs.
    pairs : mapping of str -> (str, str), optional
        Names of pairs -> names of the northern and of the southern run.

    Raises
    ------
    InputError
        If two runs have one name, or a name stands for a run that is not there.
    """

    def __init__(
        self,
        runs: Sequence[Run],
        aliases: Mapping[str, str] | None = None,
        pairs: Mapping[str, tuple[str, str]] | None = None,
    ):
        self.runs = {run.name: run for run in runs}
        if len(self.runs) != len(runs):
            raise InputError("two runs have the same name: give NAME=OUT")
        self.aliases = dict(aliases or {})
        self.pairs = dict(pairs or {})
        for name, wanted in [*self.aliases.items(), *((n, w) for n, pair in self.pairs.items() for w in pair)]:
            if wanted not in self.runs and wanted not in self.pairs:
                raise InputError(f"{name!r} stands for {wanted!r}, which is not a run ({', '.join(self.runs)})")

    def find(self, name):
        """The layer of a name.

        Parameters
        ----------
        name : str or None
            As in a URL; None means ``ls-dr9``.

        Returns
        -------
        Layer, SplitLayer or None
            None if there is no such layer.
        """
        if not self.runs:
            return None
        name = "ls-dr9" if name is None else name
        if not name or len(name) > 100:
            return None
        # A run's own name may end like a product or a list of bands.
        for run, rest in [(name, ""), *self._cuts(name)]:
            found = self._layer(run, rest)
            if found is not None:
                return found
        return None

    def _cuts(self, name):
        places = [i for i, letter in enumerate(name) if letter == "-"]
        return [(name[:i], name[i + 1 :]) for i in reversed(places)]

    def _layer(self, name, rest):
        known = name in self.runs or name in self.pairs or name in self.aliases
        if not known and not _PUBLIC.fullmatch(name):
            return None
        match = _SUFFIX.fullmatch("x" + ("-" + rest if rest else ""))
        if match is None or match["run"] != "x":
            return None
        name = self.aliases.get(name, name if known else next(iter(self.runs)))
        if name in self.pairs:
            north, south = (_layer_of_run(self.runs[run], match) for run in self.pairs[name])
            if north is None or south is None:
                return None
            return SplitLayer(name + ("-" + rest if rest else ""), north, south)
        return _layer_of_run(self.runs[name], match)

    def all_layers(self):
        """Every layer of every run that has something to show."""
        layers = []
        for run in self.runs.values():
            present = {product for brick in run.bricks.values() for product in brick.products}
            for product in PRODUCTS:
                made = {"image", "model"} <= present if product == "resid" else product in present
                if made or product == "image":
                    layers.append(Layer(run, product, tuple(run.bands)))
            if run.wise_bands:
                layers += [Layer(run, product, tuple(run.wise_bands), True) for product in _WISE_PRODUCTS.values()]
        return layers


def _layer_of_run(run, match):
    product = match["product"] or "image"
    if product in _WISE_PRODUCTS:
        return Layer(run, _WISE_PRODUCTS[product], tuple(run.wise_bands[:2]), True) if run.wise_bands else None
    bands = tuple(run.bands)
    if match["bands"]:
        bands = tuple(band for band in match["bands"] if band in bands) or bands
    return Layer(run, product, bands)
