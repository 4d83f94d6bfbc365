"""Values of options that make no sense are refused before anything runs, by the name of the flag."""

import math

import pytest

from legacypipe_lite import RunOptions
from legacypipe_lite.errors import UsageError


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "--width must be at least 1, got 0"),
        ({"threads": -2}, "--threads must be at least 1"),
        ({"lc_epochs": 0}, "--lc-epochs must be at least 1"),
        ({"inject_seed": -1}, "--inject-seed must be at least 0, got -1"),
        ({"sky_box_size": 0}, "--sky-box-size must be at least 2"),
        ({"max_blobsize": -3}, "--max-blobsize must be at least 0"),
        ({"checkpoint_period": -1.0}, "--checkpoint-period must be at least 0"),
        ({"nblobs": 0}, "--nblobs must be at least 1"),
        ({"blob": -2}, "--blob must be at least 0"),
        ({"nsatur": 0}, "--nsatur must be at least 1"),
        ({"blob_dilate": -1}, "--blob-dilate must be at least 0"),
        ({"pixscale": 0.0}, "--pixscale must be positive, got 0.0"),
        ({"pixscale": math.inf}, "--pixscale must be a finite number, got inf"),
        ({"rgb_stretch": -1.0}, "--rgb-stretch must be positive"),
        ({"max_memory_gb": math.nan}, "--max-memory-gb must be a finite number, got nan"),
        ({"nsigma": 0.0}, "--nsigma must be positive"),
        ({"iterative_nsigma": -5.0}, "--iterative-nsigma must be positive, got -5.0"),
        ({"saddle_fraction": 1.5}, "--saddle-fraction must be between 0 and 1"),
        ({"saddle_fraction": -0.1}, "--saddle-fraction must be at least 0"),
        ({"saddle_min": -1.0}, "--saddle-min must be at least 0"),
    ],
)
def test_senseless_numbers(options, message):
    with pytest.raises(UsageError, match=message):
        RunOptions(brick="1102p240", **options).validated()


def test_usual_numbers():
    assert RunOptions(brick="1102p240", nsatur=1, blob_dilate=0, blob=0, saddle_fraction=1.0).validated().blob == 0
