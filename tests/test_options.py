"""Options: their names; values that make no sense are refused before anything runs, by the name of the flag."""

import copy
import dataclasses
import math
import pickle

import pytest

from legacypipe_lite import RunOptions
from legacypipe_lite.errors import UsageError
from legacypipe_lite.options import STAGE_ORDER, changed_options, option_infos
from legacypipe_lite.refused_flags import REFUSED
from legacypipe_lite.stages import load_stage


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


def test_flags_that_switch_off():
    options = RunOptions(brick="1102p240", no_wise=True)
    assert options == RunOptions(brick="1102p240", wise=False) and options.no_wise and not options.wise
    assert RunOptions().wise and not RunOptions().no_wise
    options.no_wise = False
    assert options.wise
    assert not dataclasses.replace(options, no_wise=True).wise
    assert dataclasses.replace(RunOptions(no_wise=True), threads=2).no_wise
    off = [info for info in option_infos() if info.kind == "off"]
    assert off and all(info.default is True and info.flag_name.startswith(("no_", "sky_no_")) for info in off)
    for info in off:
        assert getattr(RunOptions(**{info.flag_name: True}), info.name) is False
        assert info.name not in {other.flag_name for other in option_infos()}


def test_copies():
    options = RunOptions(brick="1102p240", no_gaia=True)
    assert copy.deepcopy(options) == pickle.loads(pickle.dumps(options)) == options


def test_changed_options_are_named_like_their_flags():
    assert changed_options(RunOptions(brick="1102p240", wise=False, nsigma=5.0, gaia=True)) == {
        "brick": "1102p240",
        "no_wise": True,
        "nsigma": 5.0,
    }


@pytest.mark.parametrize("flag", REFUSED, ids=lambda flag: flag.name)
def test_refused_flags(flag):
    value = True if flag.convert is None else (flag.convert(0),) * flag.nargs if flag.nargs else flag.convert(0)
    with pytest.raises(UsageError) as error:
        RunOptions(brick="1102p240", **{flag.name: value})
    assert str(error.value) == flag.message()
    options = RunOptions(brick="1102p240", **{flag.name: False if flag.convert is None else None})
    with pytest.raises(UsageError, match="not supported"):
        setattr(options, flag.name, value)


def test_unknown_names():
    with pytest.raises(TypeError, match="unexpected keyword argument 'nonsense'"):
        RunOptions(nonsense=1)
    with pytest.raises(AttributeError, match="no option 'nonsense'"):
        RunOptions().nonsense = 1


#: Options that change neither the results nor the files of any stage.
WITHOUT_EFFECT = {
    "threads", "outdir", "skip", "skip_coadd", "check_done", "cache_dir", "max_memory_gb", "read_serial", "stage",
    "force", "force_all", "write", "write_stage", "pickle", "checkpoint", "checkpoint_period", "ceres", "wise_ceres",
    "blob_image", "verbose", "debug",
}  # fmt: skip


def test_stages_name_all_options_that_they_depend_on():
    """An option that no stage names never makes a pickle stale: so each has to be known to be harmless."""
    stages = [load_stage(name) for name in STAGE_ORDER]
    named = {option for stage in stages for option in (*stage.options, *stage.product_options)}
    known = {info.name for info in option_infos()}
    assert named <= known
    assert known - named == WITHOUT_EFFECT


def test_improved_is_a_set_of_options():
    options = RunOptions(brick="x", improved=True).validated()
    assert (options.ivars, options.local_pixel_area, options.outlier_leave_one_out) == ("marginal", True, True)
    with pytest.raises(UsageError, match="--like-reference"):
        RunOptions(brick="x", improved=True, like_reference=True).validated()
