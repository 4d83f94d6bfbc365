"""The documentation says what the code does."""

import re
import runpy
import shutil
from pathlib import Path

import fitsio
import pytest

from legacypipe_lite.catalog.datamodel_page import data_model_page
from legacypipe_lite.catalog.other_tables import CCDS, DEPTH, INTERMEDIATE, REFERENCE, SOURCES
from legacypipe_lite.cli.command_page import command_page, subcommand_arguments
from legacypipe_lite.cli.main import SUBCOMMANDS
from legacypipe_lite.cli.runbrick import make_parser
from legacypipe_lite.options import STAGE_ORDER
from legacypipe_lite.stages import load_stage
from legacypipe_lite.survey import OutputTree
from legacypipe_lite.survey.products import PRODUCTS

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"
PAGES = [REPOSITORY / "README.md", *sorted(DOCS.glob("*.md"))]


def test_data_model_page_is_up_to_date():
    assert (DOCS / "data-model.md").read_text() == data_model_page(), (
        "run: python -m legacypipe_lite.catalog.datamodel_page > docs/data-model.md"
    )


def test_command_page_is_up_to_date():
    assert (DOCS / "command-line.md").read_text() == command_page(), (
        "run: python -m legacypipe_lite.cli.command_page > docs/command-line.md"
    )


def test_every_product_is_explained():
    page = data_model_page()
    for product in PRODUCTS.values():
        assert product.pattern.format(group="AAA", brick="<brick>", prefix="legacysurvey", band="<b>") in page


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_flags_exist(page):
    flags = {"runbrick": {*make_parser()._option_string_actions, "--no-deps"}}
    for name in SUBCOMMANDS:
        options = [option for action in subcommand_arguments(name) for option in action.option_strings]
        flags[f"legacypipe-lite {name}"] = {*options, "--help", "--verbose", "--debug"}
    for line in page.read_text().splitlines():
        known = [known for command, known in flags.items() if command in line]
        if known:
            for flag in re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", line):
                assert flag in set().union(*known), line


def test_environment_variables_are_explained():
    page = command_page()
    for name in STAGE_ORDER:
        assert all(f"`{variable}`" in page for variable in load_stage(name).variables)


def test_table_of_stages_is_up_to_date():
    """The table of the architecture page tells what the stages declare: what they make, in order, and what they are."""
    text = (DOCS / "architecture.md").read_text()
    rows = {}
    for line in text[text.index("| stage | makes | type |") :].split("\n\n")[0].splitlines()[2:]:
        _, name, items, what, _ = re.split(r" *(?<!\\)\| *", line)
        rows.setdefault(name or list(rows)[-1], []).append((re.findall(r"`(\w+)`", items), what))
    stages = {name: load_stage(name) for name in STAGE_ORDER}
    assert {name: [item for items, _ in lines for item in items] for name, lines in rows.items()} == {
        name: list(stage.makes) for name, stage in stages.items()
    }
    for name, stage in stages.items():
        what = " ".join(what for _, what in rows[name])
        assert (stage.apply is not None) == bool(re.search(r"\bappl(ies|ied):", what)), name
        assert stage.products_only == ("products only" in what), name


def test_pages_are_listed():
    index = (DOCS / "index.md").read_text()
    for page in DOCS.glob("*.md"):
        assert page.stem == "index" or f"\n{page.stem}\n" in index


@pytest.mark.parametrize(
    "product, columns",
    [
        ("tractor-i", INTERMEDIATE),
        ("reference", REFERENCE),
        ("sources", SOURCES),
        ("depth-table", DEPTH),
    ],
)
@pytest.mark.parametrize("case, brick", [("testcase6", "1102p240"), ("testcase9", "custom-009122p03397")])
def test_columns_of_the_reference_are_explained(product, columns, case, brick, testdata):
    tree = OutputTree(testdata / "reference" / case, brick)
    rows = fitsio.read(str(tree.path(product)), ext=1)
    known = {column.name: column for column in columns}
    for name in rows.dtype.names:
        pattern = re.sub(r"_[griz]$", "_<b>", name)
        column = known.get(name) or known[pattern]
        theirs = rows.dtype[name].base.newbyteorder("=").str[1:]
        ours = {"bool": "b1"}.get(column.dtype, column.dtype.removesuffix("[nb]"))
        if not ours.startswith("S") and name not in ("ibx", "iby"):
            assert theirs == ours, name


def test_added_columns_of_ccds(testdata):
    tree = OutputTree(testdata / "reference" / "testcase6", "1102p240")
    names = fitsio.read(str(tree.path("ccds-table")), ext=1).dtype.names
    assert {column.name for column in CCDS} <= set(names)


def test_tutorial_table_is_a_good_table(tmp_path, monkeypatch):
    """The example of the tutorial makes a CCD table that can be read."""
    from legacypipe_lite.survey import read_ccds
    from legacypipe_lite.wcs import target_wcs

    text = (DOCS / "tutorial.md").read_text()
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", text, re.S) if "survey-ccds-1" in block)
    (tmp_path / "mysurvey").mkdir()
    script = tmp_path / "example.py"
    script.write_text(code)
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(script))
    target = target_wcs(150.1, 2.2, 500, 500, 0.262, None)
    rows = read_ccds([tmp_path / "mysurvey" / "survey-ccds-1.fits.gz"], target)
    assert len(rows) == 1 and rows["camera"][0] == "decam"


def test_camera_example_registers_a_camera(tmp_path):
    """The example of the camera page is a module that --camera-module can import."""
    from legacypipe_lite.cameras import camera_class, load_camera_modules, registry

    text = (DOCS / "adding-a-camera.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.S)
    path = tmp_path / "mycamera.py"
    path.write_text(code)
    try:
        load_camera_modules([str(path)])
        cls = camera_class("mycam")
        for name in re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", text, re.M))):
            assert hasattr(cls, name), name
    finally:
        registry._registered.pop("mycam", None)


def test_documentation_builds(tmp_path):
    sphinx = pytest.importorskip("sphinx.cmd.build")
    pytest.importorskip("myst_parser")
    shutil.copytree(DOCS, tmp_path / "docs")
    assert sphinx.build_main(["-q", "-W", "-b", "html", str(tmp_path / "docs"), str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "index.html").exists()
