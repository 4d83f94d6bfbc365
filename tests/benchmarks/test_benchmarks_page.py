"""Tables of the performance page from stored runs."""

import json
import re

import performance_page
import pytest
from common import BenchmarkError
from performance_page import PAGE, fill

RUN = {
    "date": "2026-11-28T14:00:00+00:00",
    "calibration": 0.05,
    "machine": {"cores": 2, "processor": "AMD"},
    "tables": [
        {
            "title": "a table",
            "columns": [{"name": "n", "kind": "key", "decimals": 2}, {"name": "s", "kind": "time", "decimals": 1}],
            "rows": [[1, 0.25]],
            "notes": [],
        }
    ],
}
TEXT = "before\n\n<!-- a.json 0 -->\n```text\nold\n```\n\n<!-- b.json 0 -->\n```text\nother\n```\nafter\n"


def test_tables_are_replaced(tmp_path, capsys):
    (tmp_path / "a.json").write_text(json.dumps(RUN))
    page = tmp_path / "page.md"
    page.write_text(TEXT)
    assert performance_page.main([str(tmp_path), "--page", str(page)]) == 0
    assert capsys.readouterr().out == "a.json 0\n"
    new = "a table\nn    s\n1  0.2\ncalibration loop: 0.0500 s CPU; 2 cores AMD, 2026-11-28"
    assert page.read_text() == TEXT.replace("old", new)


def test_what_is_missing_is_noticed(tmp_path):
    with pytest.raises(BenchmarkError, match="none of the runs"):
        performance_page.main([str(tmp_path)])
    (tmp_path / "a.json").write_text(json.dumps(RUN))
    with pytest.raises(BenchmarkError, match="no table 7"):
        fill(TEXT.replace("a.json 0", "a.json 7"), tmp_path)


def test_the_page_has_such_tables():
    text = PAGE.read_text()
    commands = set(re.findall(r"--save results/([\w.-]+\.json)", text))
    assert set(re.findall(r"<!-- ([\w.-]+\.json) \d+ -->", text)) == commands
