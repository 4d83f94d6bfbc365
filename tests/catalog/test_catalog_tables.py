"""The catalogues of the reference are taken apart and put together again: nothing may change."""

from types import SimpleNamespace

import fitsio
import numpy as np
import pytest
from astropy.table import Table

from legacypipe_lite.catalog import (
    all_models_table,
    apply_measured_limits,
    file_form,
    fitbits,
    intermediate_table,
    ls_id,
    nearest_neighbor,
    tractor_table,
)
from legacypipe_lite.models import ParameterIvars, Source
from legacypipe_lite.survey import Brick, OutputTree

CASES = {
    "testcase3": "2447p120",
    "testcase4": "1867p255",
    "testcase6": "1102p240",
    "testcase9": "custom-009122p03397",
    "testcase12": "custom-346684p12791",
    "mzlsbass2": "1773p595",
}

#: Columns of the intermediate catalogue that are made from sources, variances or coadds.
_DERIVED = ("type", "flux", "flux_ivar", "brick_primary", "maskbits", "fitbits")
_SHAPES = ("sersic", "shape_r", "shape_e1", "shape_e2")
_COADD = ("nobs", "ngood", "anymask", "allmask", "psfsize", "psfdepth", "galdepth", "mjd_min", "mjd_max")
_APERTURES = ("apflux", "apflux_ivar", "apflux_masked", "apflux_resid", "apflux_blobresid")
_PER_BAND = ("fracflux", "fracin", "fracmasked", "rchisq", "nobs", "ngood", "anymask", "allmask", "psfsize")
_PER_BAND += ("psfdepth", "galdepth", "flux", "flux_ivar", "fiberflux", "fibertotflux")
_EBV = ("ebv", "mw_transmission_")


class ReferenceRun:
    """Products of the reference, in the form in which the stage writecat has them."""

    def __init__(self, folder, brickname):
        tree = OutputTree(folder, brickname)
        self.tractor = native(fitsio.read(str(tree.path("tractor"))))
        self.inter = native(fitsio.read(str(tree.path("tractor-i"))))
        self.models = native(fitsio.read(str(tree.path("all-models"))))
        header = fitsio.read_header(str(tree.path("tractor")))
        self.bands = header["BANDS"].split(",")
        self.brick = Brick(
            header["BRICK"],
            header["BRICKID"],
            header["CENTRA"],
            header["CENTDEC"],
            *(header[key] for key in ("RAMIN", "RAMAX", "DECMIN", "DECMAX")),
            custom=header["BRICKID"] < 0,
        )
        for name in _PER_BAND:
            if self.inter[name].ndim == 1:
                self.inter[name] = np.asarray(self.inter[name])[:, np.newaxis]

    def parts(self):
        inter = self.inter
        coadd = Table({name: inter[name] for name in (*_COADD, *_APERTURES)})
        for name in ("nea", "blob_nea"):
            coadd[name] = np.stack([inter[f"{name}_{band}"] for band in self.bands], axis=1)
        wise = [name for name in inter.colnames if "w1" in name or "w2" in name or "w3" in name or "w4" in name]
        left_out = {*coadd.colnames, *_DERIVED, *_SHAPES, *(f"{s}_ivar" for s in _SHAPES), *wise}
        left_out |= {name for name in inter.colnames if name.startswith(("nea_", "blob_nea_", "wise_", "fiber"))}
        fit = Table({name: inter[name] for name in inter.colnames if name not in left_out})
        sources = [self._source(row) for row in inter]
        names = ("ra_ivar", "dec_ivar"), ("shape_r_ivar", "shape_e1_ivar", "shape_e2_ivar", "sersic_ivar")
        ivars = np.hstack(
            [np.stack([inter[n] for n in names[0]], axis=1), inter["flux_ivar"]]
            + [np.stack([inter[n] for n in names[1]], axis=1)]
        )
        return fit, sources, ParameterIvars(ivars), coadd

    def _source(self, row):
        kind = str(row["type"]).strip()
        if kind == "NUN":
            return None
        shape = {name: float(row[name]) for name in _SHAPES}
        return Source("PSF" if kind == "DUP" else kind, row["ra"], row["dec"], row["flux"], **shape)

    def intermediate(self):
        table = intermediate_table(*self.parts(), self.bands, "grz")
        for name in ("fiberflux", "fibertotflux"):
            table[name] = self.inter[name]
        apply_measured_limits(table, self.brick, 0.262, self.inter["maskbits"])
        return table

    def wise(self):
        names = [n for n in self.tractor.colnames if n.endswith(("_w1", "_w2", "_w3", "_w4")) or n.startswith("wise")]
        if not names:
            return None
        # the tables of the reference are sorted by objid, as is the intermediate catalogue
        return self.tractor[[n for n in names if not n.startswith("mw_")]]


def native(rows):
    return Table({name: rows[name].astype(rows.dtype[name].base.newbyteorder("=")) for name in rows.dtype.names})


@pytest.fixture(scope="module", params=CASES)
def run(request, testdata):
    return ReferenceRun(testdata / "reference" / request.param, CASES[request.param])


def test_intermediate_catalogue_comes_back(run):
    table = file_form(run.intermediate())
    wise = [name for name in run.inter.colnames if "w" in name and name.split("_")[-1] in ("w1", "w2", "w3", "w4")]
    expected = file_form(run.inter)
    missing = set(expected.colnames) - set(table.colnames) - set(wise)
    assert all(name.startswith("wise_") for name in missing)
    for name in table.colnames:
        equal(table[name], expected[name], name)


def test_tractor_catalogue_comes_back(run):
    table = run.intermediate()
    tractor = tractor_table(table, run.tractor["ebv"], run.bands, "grz", 9999, wise=run.wise())
    assert tractor.colnames == run.tractor.colnames
    for name in tractor.colnames:
        if name == "nearest_neighbor":
            # the reference loses digits at tiny separations
            np.testing.assert_allclose(tractor[name], run.tractor[name], rtol=1e-5, atol=1e-3)
        elif name.startswith("mw_transmission"):
            np.testing.assert_allclose(tractor[name], run.tractor[name], rtol=2e-7)
        else:
            equal(tractor[name], run.tractor[name], name)
    assert tractor["flux_g"].unit == "nanomaggies" and tractor.meta["units"]["shape_r_ivar"] == "arcsec^(-2)"


def equal(ours, theirs, name):
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    if ours.dtype.kind in "SU":
        ours, theirs = (np.char.strip(a.astype(str)) for a in (ours, theirs))
    else:
        assert ours.dtype == theirs.dtype, name
    np.testing.assert_array_equal(ours, theirs, err_msg=name)


def test_rows_are_sorted(run):
    table = run.intermediate()
    shuffled = table[::-1]
    wise = run.wise()
    a = tractor_table(table, run.tractor["ebv"], run.bands, "grz", 9999, wise=wise)
    b = tractor_table(
        shuffled, run.tractor["ebv"][::-1], run.bands, "grz", 9999, wise=None if wise is None else wise[::-1]
    )
    for name in a.colnames:
        np.testing.assert_array_equal(np.asarray(a[name]), np.asarray(b[name]), err_msg=name)


def test_all_models_come_back(run):
    fit, sources, *_ = run.parts()
    kept = np.asarray(run.inter["regular"], bool)
    models = [reference_models(row, run.bands) if keep else {} for row, keep in zip(run.models, kept)]
    for name in ("type", "ra", "dec"):  # here the reference has the positions of clusters, too
        fit[name] = run.models[name]
    table = all_models_table(fit, models, run.bands, "grz")
    assert list(table) == run.models.colnames
    for name in table:
        if name.endswith(("_e1", "_e2")):
            np.testing.assert_allclose(table[name], run.models[name], atol=1e-6, err_msg=name)
        elif not name.startswith("brickname"):
            equal(table[name], run.models[name], name)


def reference_models(row, bands):
    """The models of one row, as the fit hands them over."""
    found = {}
    for model in ("psf", "rex", "dev", "exp", "ser"):
        if row[f"{model}_opt_steps"] < 0:
            continue

        def get(name, model=model):
            return row[f"{model}_{name}"] if f"{model}_{name}" in row.colnames else 0.0

        ivar = [get("ra_ivar"), get("dec_ivar"), *(get(f"flux_ivar_{b}") for b in bands)]
        ivar += [get(f"{name}_ivar") for name in ("shape_r", "shape_e1", "shape_e2", "sersic")]
        found[model.upper()] = SimpleNamespace(
            ra=get("ra"),
            dec=get("dec"),
            flux=[get(f"flux_{b}") for b in bands],
            shape_r=get("shape_r"),
            hard_ellipticity=(get("shape_e1"), get("shape_e2")),
            sersic=get("sersic"),
            ivar=ParameterIvars(np.array(ivar)),
            cpu=get("cpu"),
            hit_limit=get("hit_limit"),
            hit_r_limit=get("hit_r_limit"),
            steps=get("opt_steps"),
        )
    return found


# --- small cases


def small_table(n=3):
    """A fitted table without any reference object."""
    rng = np.random.default_rng(2)
    table = Table({"ra": np.full(n, 10.0), "dec": np.linspace(0, 0.001, n)})
    for name in ("bx", "by", "bx0", "by0"):
        table[name] = np.full(n, 5, np.float32)
    table["objid"] = np.arange(n, dtype=np.int32)
    table["brickid"] = np.full(n, 7, np.int32)
    table["brickname"] = np.full(n, "0001p000")
    for name in ("regular", "force_keep_source", "fit_background", "forced_pointsource"):
        table[name] = np.full(n, name == "regular")
    for name in ("fracflux", "fracin", "fracmasked", "rchisq"):
        table[name] = rng.uniform(0.1, 1, (n, 1)).astype(np.float32)
    table["dchisq"] = np.zeros((n, 5), np.float32)
    return table


def small_coadd(n=3):
    coadd = Table({name: np.zeros((n, 1), np.int16) for name in ("nobs", "ngood", "anymask", "allmask")})
    for name in ("psfsize", "psfdepth", "galdepth"):
        coadd[name] = np.zeros((n, 1), np.float32)
    for name in ("mjd_min", "mjd_max"):
        coadd[name] = np.zeros(n)
    for name in ("nea", "blob_nea"):
        coadd[name] = np.ones((n, 1), np.float32)
    for name in _APERTURES:
        coadd[name] = np.zeros((n, 1, 8), np.float32)
    return coadd


BRICK = Brick("0001p000", 7, 10.0, 0.0, 9.9, 10.1, -0.1, 0.1)


def small_catalogue(table, sources, ivars, **options):
    inter = intermediate_table(table, sources, ivars, small_coadd(len(table)), ["r"], ["g", "r"])
    inter["fiberflux"] = inter["fibertotflux"] = np.zeros((len(table), 1), np.float32)
    apply_measured_limits(inter, BRICK, 0.262, np.full(len(table), 0x10002))
    return tractor_table(inter, np.zeros(len(table), np.float32), ["r"], ["g", "r"], 9999, **options)


def test_without_reference_objects():
    sources = [Source("PSF", 370.0, 0.0, [3.0]), Source("REX", 10.0, 0.1, [4.0], shape_r=0.5, sersic=1.0), None]
    ivars = ParameterIvars(np.ones((3, 7)))
    ivars.flux[1] = 0  # the flux of the second source is not measured
    ivars.shape("shape_r")[1] = np.inf
    table = small_catalogue(small_table(), sources, ivars)
    assert list(table["type"].astype(str)) == ["PSF", "REX", "NUN"]
    np.testing.assert_allclose(table["ra"], [10.0, 10.0, 10.0])
    assert list(table["flux_r"]) == [3.0, 0.0, 0.0]
    assert list(table["sersic"]) == [0.0, 1.0, 0.0] and list(table["sersic_ivar"]) == [0.0, 0.0, 0.0]
    assert list(table["shape_r"]) == [0.0, 0.5, 0.0] and list(table["shape_r_ivar"]) == [0.0, 0.0, 0.0]
    assert np.all(table["flux_g"] == 0) and np.all(table["nea_g"] == 0) and np.all(table["nea_r"] == 1)
    assert np.all(table["pmra"] == 0) and np.all(table["ref_id"] == 0) and not table["gaia_duplicated_source"].any()
    assert np.all(table["brick_primary"] == [True, False, True])  # the second one is at Dec 0.1, the excluded edge
    assert np.all(table["mw_transmission_g"] == 1)


def test_objects_without_rows():
    table = small_catalogue(small_table(0), [], ParameterIvars(np.zeros((0, 7))))
    assert len(table) == 0 and len(table.colnames) == 104
    assert len(all_models_table(small_table(0), [], ["r"])["ra"]) == 0


def test_kept_fluxes_and_little_of_the_source_inside():
    table = small_table()
    table["force_keep_source"] = [True, False, False]
    table["fracin"][1] = 5e-4
    ivars = ParameterIvars.zeros(1, 3)
    ivars.flux[1:] = 1.0
    sources = [Source("PSF", 10.0, 0.0, [3.0]) for _ in range(3)]
    result = small_catalogue(table, sources, ivars)
    assert list(result["flux_r"]) == [3.0, 0.0, 3.0]
    assert list(result["flux_ivar_r"]) == [0.0, 0.0, 1.0]


def test_reference_stars_keep_the_uncertainty_of_their_catalogue():
    table = small_table()
    table["isgaia"] = [True, False, False]
    table["istycho"] = [False, True, False]
    table["ra_ivar"] = np.array([1e14, 2e14, 3e14], np.float32)
    table["dec_ivar"] = np.array([1e15, np.inf, 3e15], np.float32)
    sources = [Source("PSF", 10.0, 60.0, [3.0]) for _ in range(3)]
    result = small_catalogue(table, sources, ParameterIvars(np.full((3, 7), 5.0)))
    # the fit's own variances are along the sky already: no further cos(Dec)
    np.testing.assert_array_equal(result["ra_ivar"], np.array([1e14, 2e14, 5.0], np.float32))
    np.testing.assert_array_equal(result["dec_ivar"], np.array([1e15, 0.0, 5.0], np.float32))


def test_infinite_values():
    table = small_table()
    table["rchisq"][0] = np.inf
    table["dchisq"][1, 2] = -np.inf
    result = small_catalogue(table, [Source("PSF", 10.0, 0.0, [3.0])] * 3, ParameterIvars(np.ones((3, 7))))
    assert np.isnan(result["rchisq_r"][0]) and np.isnan(result["dchisq"][1, 2])
    assert np.isfinite(result["rchisq_r"][1:]).all()


def test_dr9_model():
    result = small_catalogue(small_table(), [None] * 3, ParameterIvars(np.ones((3, 7))), data_model="dr9", gaia=False)
    assert result["maskbits"].dtype == np.int16 and np.all(result["maskbits"] == 2)
    assert not {"ls_id_dr11", "ngood_r", "pmra"} & set(result.colnames)
    assert "gaia_phot_g_mean_mag" in result.colnames
    default = small_catalogue(small_table(), [None] * 3, ParameterIvars(np.ones((3, 7))))
    assert np.all(default["maskbits"] == 0x10002)


def test_types_of_all_models():
    table = small_table()
    table["dup"] = [False, True, False]
    sources = [Source("EXP", 10.0, 0.0, [1.0]), Source("PSF", 10.0, 0.0, [1.0]), None]
    result = all_models_table(table, [{}, {}, None], ["r"], ["g", "r"], sources)
    assert list(result["type"].astype(str)) == ["EXP", "DUP", "NUN"]
    assert np.all(result["psf_opt_steps"] == -1) and "ser_flux_g" in result


def test_ls_id():
    assert ls_id(9999, 465217, [0])[0] == 43978018326052864
    assert ls_id(9999, -1, [0, 3]).tolist() == [-4194304, -4194301]


def test_nearest_neighbor():
    ra = np.array([10.0, 10.0, 200.0, 359.9999])
    dec = np.array([0.0, 1 / 3600, 80.0, 0.0])
    np.testing.assert_allclose(nearest_neighbor(ra, dec), [1.0, 1.0, 0.0, 0.0], rtol=1e-6)
    np.testing.assert_allclose(nearest_neighbor([0.0001, 359.9999], [0.0, 0.0]), [0.72, 0.72], rtol=1e-6)
    assert nearest_neighbor([10.0], [0.0]).tolist() == [0.0]
    assert len(nearest_neighbor([], [])) == 0


def test_fitbits():
    table = small_table(4)
    table["bx"] = np.float32([5, 9, 5 + 9.6, 5])
    table["fit_background"] = [True, False, False, False]
    table["hit_r_limit"] = [False, False, True, False]
    table["iterative"] = [False, False, False, True]
    # 4 pixels are 1.05 arcsec (WALKER); 9.6 are 2.52 (RUNNER, too)
    assert fitbits(table, 0.262).tolist() == [0x2, 0x400, 0x4 | 0x400 | 0x800, 0x2000]
