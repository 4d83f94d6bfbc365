"""Which bricks a campaign runs: by name, region, the CCDs that touch them, or positions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from ..errors import InputError, NoSuchBrickError, NothingToDo, UsageError
from ..options import RunOptions
from ..survey import SurveyDirectory, parse_radec, read_ccds
from ..survey.ccds import EDGE_MARGIN, good_ccds, touching
from ..tables import open_fits, read_columns
from ..wcs import TanWcs, target_wcs

__all__ = ["CcdIndex", "Patch", "by_names", "by_positions", "by_region", "names_of_file", "position_name", "touched"]

_COLUMNS = ("brickname", "ra", "dec")


@dataclass(frozen=True)
class Patch:
    """A brick of a campaign.

    Attributes
    ----------
    name : str
    ra, dec : float
        Centre [deg].
    custom : bool
        Around a position, not of the table of bricks.
    """

    name: str
    ra: float
    dec: float
    custom: bool = False

    def options(self, base: RunOptions) -> RunOptions:
        """`base` for this brick."""
        if not self.custom:
            return replace(base, brick=self.name, radec=None, custom_name=None)
        return replace(base, brick=None, radec=(repr(self.ra), repr(self.dec)), custom_name=self.name)

    def target(self, base: RunOptions) -> TanWcs:
        """WCS of the target image."""
        return target_wcs(self.ra, self.dec, base.width, base.height, base.pixscale, base.zoom)


def _bricks_table(survey: SurveyDirectory) -> tuple[Path, np.ndarray]:
    path = survey.bricks_file()
    if path is None:
        raise InputError(f"no survey-bricks.fits.gz in {survey.root}: only --positions can do without it")
    with open_fits(path) as fits:
        return path, read_columns(fits, path, columns=list(_COLUMNS))


def _patches(table: np.ndarray) -> list[Patch]:
    return [Patch(str(row["brickname"]).strip(), float(row["ra"]), float(row["dec"])) for row in table]


def by_names(survey: SurveyDirectory, names: Sequence[str]) -> list[Patch]:
    """The bricks of these names, each once, in their order.

    Raises
    ------
    NoSuchBrickError
        Naming those that are not in the table of bricks.
    InputError
        If there is no table of bricks.
    """
    path, table = _bricks_table(survey)
    rows = {str(name).strip(): i for i, name in enumerate(table["brickname"])}
    names = list(dict.fromkeys(names))
    missing = [name for name in names if name not in rows]
    if missing:
        more = f" (and {len(missing) - 5} more)" if len(missing) > 5 else ""
        raise NoSuchBrickError(f"No such brick: {', '.join(missing[:5])}{more} not in {path}")
    return _patches(table[[rows[name] for name in names]])


def names_of_file(path: str | Path) -> list[str]:
    """Brick names of a file: a FITS table with column brickname, or a text file, the first word of each line.

    Lines that begin with # are comments.

    Raises
    ------
    InputError
        If the file cannot be read or names no brick.
    """
    path = Path(path)
    if path.name.endswith((".fits", ".fits.gz", ".fits.fz", ".fit")):
        with open_fits(path) as fits:
            table = read_columns(fits, path, columns=["brickname"])
        names = [str(name).strip() for name in table["brickname"]]
    else:
        try:
            lines = path.read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: cannot be read ({error})") from None
        names = [line.split()[0] for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not names:
        raise InputError(f"{path}: names no brick")
    return names


def by_region(survey: SurveyDirectory, ra1: float, ra2: float, dec1: float, dec2: float) -> list[Patch]:
    """Bricks with their centre in a region [deg]; ``ra1 > ra2`` spans RA 0.

    Raises
    ------
    UsageError
        If the region is senseless or has no brick.
    """
    if not (0 <= ra1 <= 360 and 0 <= ra2 <= 360 and -90 <= dec1 <= dec2 <= 90):
        raise UsageError(f"--region {ra1:g} {ra2:g} {dec1:g} {dec2:g}: RA in 0 to 360, DEC1 <= DEC2 in -90 to 90")
    path, table = _bricks_table(survey)
    after, before = table["ra"] >= ra1, table["ra"] <= ra2
    keep = ((after & before) if ra1 <= ra2 else (after | before)) & (table["dec"] >= dec1) & (table["dec"] <= dec2)
    if not keep.any():
        raise UsageError(f"--region {ra1:g} {ra2:g} {dec1:g} {dec2:g}: no brick of {path} has its centre there")
    return _patches(table[keep])


def touched(survey: SurveyDirectory, base: RunOptions, ccds: "CcdIndex") -> list[Patch]:
    """Bricks that CCDs of the tables touch, by the overlap by which a run chooses its CCDs."""
    _, table = _bricks_table(survey)
    near = _patches(table[ccds.near_any(table["ra"], table["dec"], base)])
    found = [patch for patch in near if len(ccds.rows_on(patch.target(base)))]
    if not found:
        raise NothingToDo("no CCD of the tables touches a brick")
    return found


def position_name(ra: float, dec: float) -> str:
    """Name of the custom brick at a position [deg], unique to 0.004 arcsec: ``custom-009122031p03397150``.

    The names that runs with ``--radec`` give are unique to some arcsec only.
    """
    return f"custom-{round(1e6 * (ra % 360.0)):09d}{'m' if dec < 0 else 'p'}{round(1e6 * abs(dec)):08d}"


def by_positions(path: str | Path) -> list[Patch]:
    """A custom brick around each position of a table, each once.

    Parameters
    ----------
    path : str or Path
        FITS, ECSV, CSV or text with a header line: columns ra and dec (also RA, Dec), degrees or sexagesimal; also
        anything else that astropy reads.

    Raises
    ------
    InputError
        If there are no such columns, or a position is none.
    """
    table = _any_table(Path(path))
    columns = {name.lower(): name for name in table.colnames}
    if "ra" not in columns or "dec" not in columns:
        raise InputError(f"{path}: no columns ra and dec; there are {', '.join(table.colnames) or 'none'}")
    found = {}
    for number, (ra, dec) in enumerate(zip(table[columns["ra"]], table[columns["dec"]]), 1):
        try:
            # Masked and other values that are no numbers become "--", "nan".
            position = parse_radec(_plain(ra), _plain(dec))
        except UsageError:
            raise InputError(
                f"{path}: row {number}: {ra} {dec} is no position in degrees, or hh:mm:ss dd:mm:ss"
            ) from None
        name = position_name(*position)
        found.setdefault(name, Patch(name, *position, custom=True))
    if not found:
        raise InputError(f"{path}: no rows")
    return list(found.values())


def _plain(value: object) -> object:
    """A float of a number, a str of a text."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return float(value) if isinstance(value, (int, float, np.number)) else str(value)


def _any_table(path: Path):
    from astropy.table import Table

    if not path.is_file():
        raise InputError(f"{path}: does not exist")
    try:
        if path.name.endswith(".csv"):
            return Table.read(path, format="ascii.csv")
        if path.suffix in (".txt", ".dat", ""):
            return Table.read(path, format="ascii")
        return Table.read(path)
    except Exception as error:  # astropy's readers raise anything
        raise InputError(f"{path}: cannot be read as a table ({' '.join(str(error).split())[:200]})") from None


class _WholeSky:
    """Stands for a target that every CCD is near to."""

    pixel_scale, width, height = 3600.0 * 360.0, 1, 1

    @staticmethod
    def pixel_to_sky(x, y):
        return 0.0, 0.0


class CcdIndex:
    """The CCDs of a survey directory that a run with some options may use, found by position.

    Parameters
    ----------
    survey : SurveyDirectory
    options : RunOptions
        Bands and dates.

    Attributes
    ----------
    table : astropy.table.Table
        Columns as `read_ccds` gives them; those that pass the cuts only.
    """

    def __init__(self, survey: SurveyDirectory, options: RunOptions):
        table = read_ccds(survey.ccd_files(), _WholeSky())
        self.table = table[good_ccds(table, options.bands, options.min_mjd, options.max_mjd)]
        scale = np.sqrt(
            np.abs(self._numbers("cd1_1") * self._numbers("cd2_2") - self._numbers("cd1_2") * self._numbers("cd2_1"))
        )
        radius = scale * (np.hypot(self._numbers("width"), self._numbers("height")) / 2 + EDGE_MARGIN)
        ra, dec = self._numbers("ra"), self._numbers("dec")
        good = np.isfinite(ra) & (np.abs(dec) <= 90) & (radius < 10)
        self._rows = np.flatnonzero(good)
        self._radius = float(radius[good].max()) if good.any() else 0.0
        self._tree = cKDTree(_unit_vectors(ra[good], dec[good])) if good.any() else None

    def _numbers(self, name: str) -> np.ndarray:
        return np.asarray(self.table[name], float)

    def near_any(self, ra: np.ndarray, dec: np.ndarray, options: RunOptions) -> np.ndarray:
        """Which targets around positions may have CCDs; bool."""
        if self._tree is None:
            return np.zeros(len(ra), bool)
        reach = self._radius + options.pixscale / 3600.0 * np.hypot(options.width, options.height) / 2
        distance, _ = self._tree.query(_unit_vectors(ra, dec))
        return distance < _chord(reach)

    def rows_on(self, target: TanWcs) -> np.ndarray:
        """Rows of `table` of the CCDs that may touch a target, by the overlap that a run uses."""
        if self._tree is None:
            return np.zeros(0, int)
        reach = self._radius + target.pixel_scale / 3600.0 * np.hypot(target.width, target.height) / 2
        centre = target.pixel_to_sky((target.width - 1) / 2, (target.height - 1) / 2)
        near = self._tree.query_ball_point(_unit_vectors(*centre)[0], _chord(reach))
        rows = np.sort(self._rows[near])
        return rows[touching(self.table[rows], target)] if len(rows) else rows


def _unit_vectors(ra, dec) -> np.ndarray:
    ra, dec = np.deg2rad(np.atleast_1d(np.asarray(ra, float))), np.deg2rad(np.atleast_1d(np.asarray(dec, float)))
    return np.column_stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])


def _chord(degrees: float) -> float:
    return 2.0 * np.sin(np.deg2rad(min(degrees, 180.0)) / 2.0)
