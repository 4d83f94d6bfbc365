"""The cards of a FITS header that describe a celestial WCS, as clean numbers and words."""

import math
import re

from ..errors import InputError

__all__ = ["WcsCards", "inherited_cards", "inherits", "is_wcs_card"]

_LINEAR = re.compile(r"^(CD\d_\d|PC\d_\d|PC\d{6}|CDELT\d|CROTA\d)$")
_NUMBERS = re.compile(
    r"^(CRVAL\d|CRPIX\d|CD\d_\d|PC\d_\d|PC\d{6}|CDELT\d|CROTA\d|PV\d_\d+|PROJP\d+|LONPOLE|LATPOLE"
    r"|(A|B|AP|BP)_(ORDER|\d+_\d+))$"
)
_WORDS = re.compile(r"^(CTYPE\d|CUNIT\d|RADESYS|RADECSYS|WAT\d_\d{3})$")
_EQUINOX = ("EQUINOX", "EPOCH")
_DISTORTION = re.compile(r"^(PV\d|AP?_|BP?_|WAT)")
_LOOKUP = re.compile(r"^(CPDIS|CQDIS|D2IMDIS)\d$")


class WcsCards:
    """The WCS of an image header.

    Parameters
    ----------
    header : mapping
        Keyword -> value, of the image.
    filename : str
        Named in error messages.

    Attributes
    ----------
    numbers : dict of str -> float
        All finite. Cards without a value are left out.
    words : dict of str -> str
        Without blanks around them; CTYPE, CUNIT and RADESYS in the form of the standard.

    Raises
    ------
    InputError
        If a card is no finite number, there is no WCS, or it is of a kind that cannot be read.
    """

    def __init__(self, header, filename=""):
        self.filename = filename
        self.numbers, self.words = {}, {}
        for key, value in _values(header).items():
            self._add(key, value)
        self._check()

    def _add(self, key, value):
        if _WORDS.match(key):
            text = str(value).rstrip() if key.startswith("WAT") else str(value).strip()
            if key.startswith("CTYPE") or key in ("RADESYS", "RADECSYS"):
                text = text.upper()
            if text:
                self.words["RADESYS" if key == "RADECSYS" else key] = text
        elif key in _EQUINOX:
            year = _year(value)
            if year is not None:
                self.numbers.setdefault("EQUINOX", year)
        elif _LOOKUP.match(key):
            raise InputError(f"{self.filename}: distortion by look-up table (card {key}) is not supported")
        else:
            self.numbers[key] = self._number(key, value)

    def _number(self, key, value):
        try:
            if isinstance(value, bool):
                raise TypeError
            number = float(value.upper().replace("D", "E") if isinstance(value, str) else value)
        except (TypeError, ValueError):
            raise InputError(f"{self.filename}: card {key} of the WCS is {value!r}, which is no number") from None
        if not math.isfinite(number):
            raise InputError(f"{self.filename}: card {key} of the WCS is {number}, but must be finite")
        return number

    def _check(self):
        for key in ("CTYPE1", "CTYPE2"):
            if key not in self.words:
                raise InputError(f"{self.filename}: header has no card {key}, so the image has no WCS")
        for key in ("CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2"):
            if key not in self.numbers:
                raise InputError(f"{self.filename}: header has no usable card {key}, so the image has no WCS")
        if not any(_LINEAR.match(key) for key in self.numbers):
            raise InputError(
                f"{self.filename}: header has no usable card CD1_1 (nor CDELT1, PC1_1), so the image has no WCS"
            )
        for name in ("A", "B"):
            order = self.numbers.get(f"{name}_ORDER", 0.0)
            if order != int(order) or order < 0:
                raise InputError(f"{self.filename}: card {name}_ORDER of the WCS is {order:g}, which is no order")

    # --- what kind of WCS it is

    @property
    def ctype(self):
        """CTYPE1, CTYPE2."""
        return self.words["CTYPE1"], self.words["CTYPE2"]

    @property
    def has_sip(self):
        """There are SIP polynomials."""
        return "A_ORDER" in self.numbers or "B_ORDER" in self.numbers or bool(self.sip("A") or self.sip("B"))

    def pv(self, axis):
        """PV coefficients of an axis: dict of number -> value."""
        start = f"PV{axis}_"
        return {int(key[len(start) :]): value for key, value in self.numbers.items() if key.startswith(start)}

    def sip(self, name):
        """SIP coefficients, name "A" or "B", up to the order that the header gives: dict of (p, q) -> value."""
        found = {}
        for key, value in self.numbers.items():
            match = re.match(rf"^{name}_(\d+)_(\d+)$", key)
            if match:
                found[int(match[1]), int(match[2])] = value
        order = self.numbers.get(f"{name}_ORDER", math.inf)
        return {(p, q): value for (p, q), value in found.items() if p + q <= order}

    def cd(self):
        """The CD matrix: as such, or CDELT times PC or the rotation CROTA2; absent elements are those of the standard.

        None if it is written in two ways at once, or in none.
        """
        if any(re.match(r"CD\d_\d$", key) for key in self.numbers):
            if any(key.startswith("PC") for key in self.numbers):
                return None
            return [[self.numbers.get(f"CD{i}_{j}", 0.0) for j in (1, 2)] for i in (1, 2)]
        if not any(key.startswith(("CDELT", "PC", "CROTA")) for key in self.numbers):
            return None
        scale = [self.numbers.get(f"CDELT{i}", 1.0) for i in (1, 2)]
        turn = self._rotation(scale) if any(k.startswith("CROTA") for k in self.numbers) else self._pc()
        return None if turn is None else [[scale[i] * turn[i][j] for j in (0, 1)] for i in (0, 1)]

    def _pc(self):
        """The PC matrix; None if it is in the old form with six digits."""
        if any(re.match(r"PC\d{6}$", key) for key in self.numbers):
            return None
        return [[self.numbers.get(f"PC{i}_{j}", 1.0 if i == j else 0.0) for j in (1, 2)] for i in (1, 2)]

    def _rotation(self, scale):
        """The matrix in the place of PC that CROTA2 stands for; None beside a PC matrix."""
        if any(key.startswith("PC") for key in self.numbers) or 0.0 in scale:
            return None
        angle = math.radians(self.numbers.get("CROTA2", self.numbers.get("CROTA1", 0.0)))
        c, s = math.cos(angle), math.sin(angle)
        return [[c, -s * scale[1] / scale[0]], [s * scale[0] / scale[1], c]]

    @property
    def is_plain(self):
        """Positions are ICRS or FK5 J2000 in degrees, RA first, not turned, and there is one matrix."""
        units = [self.words.get(f"CUNIT{i}", "deg").lower() for i in (1, 2)]
        return (
            self.cd() is not None
            and all(unit in ("deg", "degree", "degrees") for unit in units)
            and self.numbers.get("LONPOLE", 180.0) == 180.0
            and self.is_icrs
        )

    @property
    def is_icrs(self):
        """Positions are ICRS, or FK5 of equinox 2000, which is taken for it (they differ by 0.02 arcsec)."""
        system, equinox = self.words.get("RADESYS", ""), self.numbers.get("EQUINOX")
        return system.startswith("ICRS") or (system in ("", "FK5") and equinox in (None, 2000.0))


def _values(header):
    """The cards of a WCS in a header that have a value."""
    found = {}
    for key in header.keys():  # noqa: SIM118 - FITS header objects do not iterate like dicts
        key = str(key or "").upper()
        if is_wcs_card(key):
            value = header[key]
            if value is not None and str(value).strip() != "" and type(value).__name__ != "Undefined":
                found[key] = value
    return found


def inherited_cards(header, primary):
    """Cards of the WCS in the primary header that hold for an image, too.

    Those that the image lacks do if it has INHERIT = T, or has no WCS of its own.

    Parameters
    ----------
    header, primary : mapping
        Headers of the image and of the primary HDU.

    Returns
    -------
    dict
        Keyword -> value.
    """
    own, found = _values(header), _values(primary)
    if "CTYPE1" not in own and not any(_LINEAR.match(key) for key in own):
        return found
    if not inherits(header):
        return {}
    # One way of writing the matrix, or a distortion, is not mixed with another one.
    has_matrix = any(_LINEAR.match(key) for key in own)
    has_distortion = any(_DISTORTION.match(key) for key in own)

    def holds(key):
        return (
            key not in own
            and not (has_matrix and _LINEAR.match(key))
            and not (has_distortion and _DISTORTION.match(key))
        )

    return {key: value for key, value in found.items() if holds(key)}


def inherits(header):
    """True if a header has INHERIT = T."""
    value = header["INHERIT"] if "INHERIT" in header else False  # noqa: SIM401 - not all header classes have `get`
    return str(value).strip().upper() in ("T", "TRUE")


def is_wcs_card(key):
    """True if a card of that name is part of a WCS."""
    return bool(_NUMBERS.match(key) or _WORDS.match(key) or _LOOKUP.match(key) or key in _EQUINOX)


def _year(value):
    """Year of an equinox, such as 2000.0 or "J2000"; None if it is none."""
    try:
        year = float(str(value).strip().upper().lstrip("JB"))
    except ValueError:
        return None
    return year if 1000.0 < year < 3000.0 else None
