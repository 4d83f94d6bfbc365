"""Some of the cases of `fuzz_inputs.py`: one of each kind of damage at least, with fixed seeds."""

import os

import pytest
from fuzz_inputs import forget, in_child, make_base

CASES = range(20)

pytestmark = [
    pytest.mark.compiled,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the cases run in forked children"),
]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """Folder, survey and --zoom; one run has loaded the kernels."""
    from fuzz_inputs import run_survey

    folder = tmp_path_factory.mktemp("fuzz")
    survey, zoom = make_base(folder)
    status, text = run_survey(survey, zoom, folder / "whole")
    assert status == 0, text
    return folder, survey, zoom


@pytest.mark.parametrize("case", CASES)
def test_damaged_inputs_do_no_harm(base, case):
    folder, survey, zoom = base
    outcome = in_child(case, survey, zoom, folder)
    forget(folder, case)
    assert not outcome.faults, f"{outcome.what}\n{outcome.text}"
