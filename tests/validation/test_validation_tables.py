import math

import pytest
from synthetic_catalogs import catalog_table, tables, truth_table

from legacypipe_lite.validation import evaluate, make_scene
from legacypipe_lite.validation.tables import headline, rich_table, score_tables, text_lines


@pytest.fixture(scope="module")
def scores(tmp_path_factory):
    truth = truth_table()
    truth["note"] = [""] * len(truth)
    truth["note"] = truth["note"].astype("U10")
    truth["note"][310], truth["note"][500], truth["note"][501] = "pair", "biggal", "saturated"
    catalog = catalog_table(truth)
    invented = catalog[:3].copy()
    catalog["dec"][:3] += 5 / 3600
    catalog["by"][:3] += 5 / 0.262
    catalog = catalog[[i for i in range(len(catalog)) if i != 501]]
    assert len(invented) == 3
    return evaluate(make_scene(*tables(tmp_path_factory.mktemp("t"), truth, catalog)))


def table(scores, title, **keywords):
    (found,) = (t for t in score_tables(scores, **keywords) if t.title.startswith(title))
    return found


def test_headline(scores):
    text = headline(scores)
    assert text.startswith("899 catalogue rows (") and "bands g,r" in text and "isolated" in text


def test_every_row_fits_its_header(scores):
    for shown in score_tables(scores, detail=True):
        assert shown.title and shown.rows
        for row in shown.rows:
            assert len(row) == len(shown.header) and all(isinstance(cell, str) for cell in row)


def test_numbers_are_those_of_the_scores(scores):
    shown = {row[0]: row for row in table(scores, "Completeness").rows}
    values = next(r for r in scores["completeness"] if r["mag_low"] == 20)
    assert shown["20-21"][1].startswith(f"{values['all']['value']:.3f}±") and shown["20-21"][2] == str(
        values["all"]["n"]
    )
    assert shown["close pairs"][1].startswith("1.000")
    flux = {row[0]: row for row in table(scores, "Fluxes").rows}
    stars = next(r for r in scores["flux"] if r["group"] == "PSF" and r["band"] == "g" and r["whole"])["pull"]
    assert flux["isolated PSF g"][1] == f"{stars['median']:+.2f}±{stars['median_error']:.2f}"
    assert flux["isolated PSF g"][2] == f"{stars['width']:.2f}±{stars['width_error']:.2f}"
    special = {row[0]: row for row in table(scores, "Saturated").rows}
    assert special["saturated"][3] == "-" and special["biggal"][1] == special["biggal"][2]


def test_detail_shows_more(scores):
    few, many = table(scores, "Fluxes"), table(scores, "Fluxes", detail=True)
    assert set(few.rows) < set(many.rows)
    assert any("S/N 10-30" in row[0] for row in many.rows)
    assert len(table(scores, "Catalogue rows without", detail=True).rows) == len(scores["spurious"]) > 0
    assert table(scores, "True sources of r < 22 without", detail=True).rows
    assert not any(t.title.startswith("Catalogue rows") for t in score_tables(scores))


def test_text_is_aligned(scores):
    lines = text_lines(table(scores, "Purity"))
    assert lines[0].startswith("Purity") and len({len(line) for line in lines[1:]}) == 1
    assert "pull =" in text_lines(table(scores, "Fluxes"))[1]


def test_rich_table(scores):
    from rich.console import Console

    console = Console(width=200, record=True, quiet=True)
    shown = table(scores, "Shapes")
    console.print(rich_table(shown))
    assert rich_table(shown).row_count == len(shown.rows) and len(rich_table(shown).columns) == len(shown.header)


def test_absent_numbers_are_dashes(scores):
    rows = [r for r in scores["flux"] if r["percent"]["n"] == 0]
    assert rows and all(math.isnan(r["percent"]["median"]) for r in rows)
    shown = {row[0]: row for row in table(scores, "Fluxes", detail=True).rows}
    assert any(row[5] == "-" and row[7] == "0" for row in shown.values())
