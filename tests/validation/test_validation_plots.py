import builtins
import io

import numpy as np
import pytest
from synthetic_catalogs import catalog_table, tables, truth_table

from legacypipe_lite.errors import UsageError
from legacypipe_lite.validation import evaluate, make_scene, plots, run_plots


def picture(data):
    from PIL import Image

    image = Image.open(io.BytesIO(data))
    assert image.format == "PNG"
    return np.asarray(image.convert("L"))


@pytest.mark.parametrize("partial", [False, True])
def test_score_plots(tmp_path, partial):
    pytest.importorskip("matplotlib")
    truth = truth_table(n=400)
    extname = "INJECTED" if partial else None
    scene = make_scene(*tables(tmp_path, truth, catalog_table(truth), extname=extname))
    made = plots.score_plots(scene, evaluate(scene))
    assert set(made) == {"completeness", "types", "pulls", "fluxes", "positions", "shapes"}
    for caption, data in made.values():
        assert caption and picture(data).std() > 3


def test_plots_of_very_few_sources(tmp_path):
    pytest.importorskip("matplotlib")
    truth = truth_table(n=9, stars=2.0)
    scene = make_scene(*tables(tmp_path, truth, catalog_table(truth)))
    assert len(plots.score_plots(scene, evaluate(scene))) == 6


def test_run_plots():
    pytest.importorskip("matplotlib")
    rng = np.random.default_rng(1)
    depth = np.full((300, 1300), 1e4)
    depth[:50] = 0
    star = rng.uniform(size=200) < 0.5
    mags = {band: rng.uniform(18, 24, 200) for band in "gr"}
    mags["g"][:20] = np.nan
    for data in (
        run_plots.depth_maps({"g": depth, "r": np.zeros((20, 20))}),
        run_plots.number_counts(mags, star, 5.0),
        run_plots.color_color((mags["g"] - mags["r"], mags["r"] - 20), ("g - r", "r - z"), star),
        run_plots.fit_quality({"g": rng.uniform(0.5, 2, 100), "y": np.array([np.nan])}),
        run_plots.residuals({"g": rng.standard_normal(1000), "r": np.array([])}),
        run_plots.blob_times(np.array([10, 100]), np.array([0.0, 2.0])),
        run_plots.stage_times(["tims", "srcs"], [1.0, 2.0], [1.5, 2.0]),
    ):
        assert picture(data).std() > 3


def test_magnitudes_of_significant_fluxes():
    mags = run_plots.magnitudes_of([1.0, 1.0, -1.0, 100.0], [100.0, 1.0, 100.0, 0.0])
    np.testing.assert_allclose(mags, [22.5, np.nan, np.nan, np.nan])


def test_without_matplotlib(monkeypatch):
    original = builtins.__import__

    def no_matplotlib(name, *arguments, **keywords):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return original(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", no_matplotlib)
    with pytest.raises(UsageError, match=r"legacypipe-lite\[plots\]"):
        plots.new_figure()
