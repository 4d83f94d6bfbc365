import numpy as np
import pytest

from legacypipe_lite.errors import InputError
from legacypipe_lite.reference.clusters import star_clusters


def test_clusters_that_reach_the_circle(write_table):
    path = write_table(
        "clusters.fits",
        {
            "ra": [10.0, 10.0, 359.99, 10.0],
            "dec": [0.0, 0.5, 0.0, 0.7],
            "radius": [0.1, 0.25, 0.1, 0.15],
            "pa": [0.0, 30.0, 0.0, 0.0],
            "ba": [1.0, 0.5, 1.0, 1.0],
        },
    )
    table = star_clusters(10.0, 0.0, 0.5, path)
    assert table["ref_id"].tolist() == [0, 1]
    assert table["ref_cat"].tolist() == ["CL", "CL"]
    assert table["iscluster"].all() and table["ignore_source"].all()
    assert table["ba"][1] == 0.5 and table["pa"][1] == 30
    assert star_clusters(0.005, 0.0, 0.01, path)["ref_id"].tolist() == [2]


def test_no_cluster_near(write_table):
    path = write_table("c.fits", {"ra": [1.0], "dec": [1.0], "radius": [0.1], "pa": [0.0], "ba": [1.0]})
    assert len(star_clusters(180.0, 0.0, 0.5, path)) == 0


def test_missing_column_and_file(write_table, tmp_path, caplog):
    path = write_table("c.fits", {"ra": [1.0], "dec": [1.0], "ba": [1.0], "pa": [0.0]})
    with pytest.raises(InputError, match="'radius'"):
        star_clusters(0, 0, 1, path)
    path = write_table("c.fits", {"ra": [0.1], "dec": [0.1], "radius": [0.1], "ba": [1.0]})
    assert star_clusters(0, 0, 1, path)["pa"].tolist() == [0.0]
    assert "no column pa" in caplog.text
    with pytest.raises(InputError, match="absent.fits"):
        star_clusters(0, 0, 1, str(tmp_path / "absent.fits"))


def test_values_that_cannot_be(write_table, caplog):
    columns = {"ra": [0.1, np.nan, 0.2, 0.3], "dec": 0.1, "radius": [0.1, 0.1, 1e30, np.nan]}
    columns |= {"pa": [np.nan, 0.0, 0.0, 0.0], "ba": ["2.5", "null", "1", "1"]}
    columns = {name: np.broadcast_to(values, 4) for name, values in columns.items()}
    table = star_clusters(0, 0, 1, write_table("c.fits", columns))
    assert (table["ref_id"].tolist(), table["pa"].tolist(), table["ba"].tolist()) == ([0], [0.0], [1.0])
    assert "1 of 4 objects have no position" in caplog.text and "radius of 1 objects cannot be" in caplog.text


def test_pal_13(testdata):
    table = star_clusters(346.684, 12.791, 0.5, testdata / "refdata" / "NGC-star-clusters.fits")
    assert table["ref_id"].tolist() == [216]
    assert (table["ra"][0], table["dec"][0], table["radius"][0]) == pytest.approx((346.685, 12.771, 0.02))
