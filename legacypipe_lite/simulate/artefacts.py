"""Flaws of images: cosmic rays, satellite trails, saturation and bleed trails, dead amplifiers, bad borders.

Functions work on an image in electrons (sky included) and on its map of data-quality codes, both in place.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects, label

__all__ = ["CODES", "add_cosmic_rays", "add_trail", "kill_amplifier", "mark_border", "saturate"]

#: Data-quality codes of the Community Pipeline.
CODES = {"bad": 1, "saturated": 3, "bleed": 4, "cosmic": 5}

_COSMICS_PER_MEGAPIXEL = 15.0
_COSMIC_LENGTH = (2.0, 14.0)  # pixels
_COSMIC_ELECTRONS = (1500.0, 12000.0)  # per pixel
_TRAIL_NOISE = 6.0  # brightness per pixel in units of the sky noise
_BLEED_FACTOR = 3  # length of a bleed trail on each side, in units of the saturated pixels of the column


def add_cosmic_rays(rng: np.random.Generator, electrons: NDArray[np.float32], codes: NDArray[np.int32]) -> None:
    """Short straight tracks, one or two pixels wide; every other one is flagged.

    Parameters
    ----------
    rng : numpy.random.Generator
    electrons : numpy.ndarray of float32, shape (h, w)
    codes : numpy.ndarray of int32, shape (h, w)
    """
    h, w = electrons.shape
    n = max(2, rng.poisson(_COSMICS_PER_MEGAPIXEL * h * w / 1e6))
    for i in range(n):
        length, angle = rng.uniform(*_COSMIC_LENGTH), rng.uniform(0, np.pi)
        steps = np.arange(0.0, length, 0.5)
        x = np.rint(rng.uniform(0, w) + steps * np.cos(angle)).astype(int)
        y = np.rint(rng.uniform(0, h) + steps * np.sin(angle)).astype(int)
        inside = (x >= 0) & (x < w) & (y >= 0) & (y < h)
        pixels = np.unique(np.column_stack([y[inside], x[inside]]), axis=0)
        track = tuple(pixels.T)
        electrons[track] += np.exp(rng.uniform(*np.log(_COSMIC_ELECTRONS))) * rng.uniform(0.5, 1.5, len(pixels))
        if i % 2:
            codes[track] = CODES["cosmic"]


def add_trail(rng: np.random.Generator, electrons: NDArray[np.float32], noise: float, psf_sigma: float) -> None:
    """A satellite trail right across the image; not flagged.

    Parameters
    ----------
    rng : numpy.random.Generator
    electrons : numpy.ndarray of float32, shape (h, w)
    noise : float
        Of the sky [electrons].
    psf_sigma : float
        Width [pixel].
    """
    h, w = electrons.shape
    angle = rng.uniform(0.15, 0.35) * np.pi
    x0, y0 = rng.uniform(0.4, 0.6) * w, rng.uniform(0.4, 0.6) * h
    x, y = np.arange(w)[np.newaxis, :], np.arange(h)[:, np.newaxis]
    distance = (x - x0) * np.sin(angle) - (y - y0) * np.cos(angle)
    electrons += (_TRAIL_NOISE * noise * np.exp(-0.5 * (distance / psf_sigma) ** 2)).astype(np.float32)


def saturate(electrons: NDArray[np.float32], codes: NDArray[np.int32], full_well: float) -> None:
    """Cut pixels off at the full well; electrons spill over along columns.

    Parameters
    ----------
    electrons : numpy.ndarray of float32, shape (h, w)
    codes : numpy.ndarray of int32, shape (h, w)
    full_well : float
        Electrons.
    """
    saturated = electrons >= full_well
    if not saturated.any():
        return
    groups, _ = label(saturated)
    for i, box in enumerate(find_objects(groups), 1):
        _bleed(electrons, codes, groups[box] == i, box, full_well)
    electrons[saturated] = full_well
    codes[saturated] = CODES["saturated"]


def _bleed(
    electrons: NDArray[np.float32],
    codes: NDArray[np.int32],
    core: NDArray[np.bool_],
    box: tuple[Any, ...],
    full_well: float,
) -> None:
    """Bleed trails up and down from the columns of one saturated core."""
    h = electrons.shape[0]
    counts = core.sum(axis=0)
    for column, count in zip(range(box[1].start, box[1].stop), counts):
        if count < 0.5 * counts.max():  # only the middle columns spill over
            continue
        reach = _BLEED_FACTOR * int(count)
        rows = slice(max(box[0].start - reach, 0), min(box[0].stop + reach, h))
        part = electrons[rows, column]
        np.maximum(part, 0.9 * full_well, out=part)
        codes[rows, column] = CODES["bleed"]


def kill_amplifier(electrons: Any, codes: Any, split: Any, bias: Any) -> None:
    """The columns right of `split` read nothing but a constant."""
    if split < electrons.shape[1]:
        electrons[:, max(split, 0) :] = bias
        codes[:, max(split, 0) :] = CODES["bad"]


def mark_border(codes: NDArray[np.int32], left: int, right: int, bottom: int, top: int) -> None:
    """Flag rows and columns at the edges as bad."""
    h, w = codes.shape
    codes[:, :left] = codes[:, w - right :] = CODES["bad"]
    codes[:bottom] = codes[h - top :] = CODES["bad"]
