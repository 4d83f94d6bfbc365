"""The command reference of the documentation, made from the declarations of options and arguments.

``python -m legacypipe_lite.cli.command_page > docs/command-line.md`` writes it anew.
"""

from __future__ import annotations

import argparse
import importlib
import re
import sys
from collections.abc import Iterator
from typing import Any

from ..option_declaration import OptionInfo
from ..options import STAGE_ORDER, RunOptions, option_infos
from ..refused_flags import REFUSED
from ..stages import load_stage
from .main import SUBCOMMANDS
from .runbrick import value_names

__all__ = ["command_page", "subcommand_arguments"]

_INTRODUCTION = """\
# Command reference

*This page is made from the programs' own declarations* (`python -m legacypipe_lite.cli.command_page`): the options of
`runbrick`, which runs a brick, then the [commands around it](#commands-around-a-brick-run).

```
runbrick (--brick NAME | --radec RA DEC) [options]
```

From Python every option is a field of `legacypipe_lite.RunOptions`, named like its long flag with `_` for `-`:
`runbrick --brick 1102p240 --no-wise` is `run_brick(RunOptions(brick="1102p240", no_wise=True))`. What a flag switches
off has a field of its own name, too: `wise=False` means the same.
"""

_ENVIRONMENT = """\
## Environment variables

| variable | what |
|---|---|
| `LEGACY_SURVEY_DIR` | survey directory, if `--survey-dir` is not given |
| `LEGACYPIPE_DATA_DIR` | folder of survey-wide tables, if `--data-dir` is not given |
| `GAIA_CAT_DIR` | folder of Gaia stars in HEALPix files (nside 32), unless `--no-gaia` |
| `GAIA_CAT_PREFIX` | start of their names (default `chunk`) |
| `GAIA_CAT_SCHEME` | HEALPix numbering, `ring` (default) or `nested` |
| `GAIA_CAT_VER` | version of the catalogue, one character, e.g. `2`, `E`, `3` |
| `TYCHO2_KD_DIR` | folder of `tycho2.kd.fits` (else the survey directory) |
| `LARGEGALAXIES_CAT` | file of large galaxies |
| `SKY_TEMPLATE_DIR` | DECam sky templates |
| `DUST_DIR` | dust maps in its folder `maps/`; without them `ebv` is 0 |
| `UNWISE_COADDS_DIR`, `UNWISE_COADDS_TIMERESOLVED_DIR` | unWISE images, unless `--no-wise` |
| `UNWISE_MODEL_SKY_DIR` | background models of unWISE images, `<tile>.<band>.mod.fits` |
| `WISE_PSF_DIR` | WISE PSF models (else `unwise_psf` in the folder of survey-wide tables) |
"""

_STATUS = """\
## Exit status

| status | meaning |
|---|---|
| 0 | done, or nothing to do (no images here, no sources, `--skip` and the catalogue exists) |
| 1 | an error; one line on standard error names the file, column or flag |
| 2 | the command line cannot be understood |
| 130, 143 | interrupted, terminated |
| 255 | no such brick, a worker process died, no arguments, or `--check-done` found no catalogue |
"""


def command_page() -> Any:
    """The page as Markdown text."""
    return "\n".join(
        [
            _INTRODUCTION,
            *_groups(),
            _refused(),
            _STAGES,
            _stages(),
            _ENVIRONMENT,
            _STATUS,
            _SUBCOMMANDS,
            *map(_subcommand, SUBCOMMANDS),
        ]
    )


def _groups() -> Iterator[Any]:
    groups: dict[str, list[OptionInfo]] = {}
    for info in option_infos():
        groups.setdefault(info.group, []).append(info)
    for title, infos in groups.items():
        lines = [f"## {title}\n", "| flag | default | meaning |", "|---|---|---|"]
        lines += [f"| {_flags(info)} | {_default(info)} | {_meaning(info)} |" for info in infos]
        yield "\n".join(lines) + "\n"


def _flags(info: Any) -> Any:
    value = "".join(f" {name}" for name in value_names(info))
    return ", ".join(f"`{flag}{value if flag == info.flags[-1] else ''}`" for flag in info.flags)


def _default(info: Any) -> str:
    if info.kind == "off" or info.default in (None, False, ()):
        return ""
    shown = ",".join(info.default) if isinstance(info.default, tuple) else info.default
    return f"`{shown}`"


def _meaning(info: Any) -> Any:
    text = info.help.replace("%%", "%")
    return f"{text}; {info.ignored}" if info.ignored else text


def _refused() -> Any:
    lines = [
        "## Known flags that are not supported\n",
        "Using one of these is an error that says why.\n",
        "| flag | why |",
        "|---|---|",
    ]
    lines += [f"| `{flag.flags[-1]}` | {flag.why} |" for flag in REFUSED]
    return "\n".join(lines) + "\n"


_STAGES = """\
## Stages

A run goes through the stages below. After each stage its result is kept in a pickle file (`--pickle`, `--no-write`,
`--write-stage`); a later run reads back what is still valid and does the rest. A pickle is used only if it is whole,
was made for the same brick by the same version with the same options, and its input files have not changed; else one
line says why not, and the stage runs again. Stages named with `--stage` or `--force` always run, and so does the last
one, `writecat`. A pickle cannot make the program execute anything: only arrays, tables and the package's own value
classes are read.
"""


def _stages() -> Any:
    lines = ["| stage | what | reads | makes |", "|---|---|---|---|"]
    for name in STAGE_ORDER:
        stage = load_stage(name)
        reads, makes = (", ".join(f"`{item}`" for item in items) for items in (stage.reads, stage.makes))
        lines.append(f"| {name} | {stage.text} | {reads} | {makes} |")
    default = RunOptions().pickle
    return "\n".join(lines) + f"\n\nThe default file name pattern is `{default}`.\n"


_SUBCOMMANDS = """\
## Commands around a brick run

`legacypipe-lite COMMAND [arguments]` does what comes before and after a brick run. All commands also know `--help`,
`--verbose` (say more) and `--debug` (show where an error comes from); their exit status is as above.
"""


def subcommand_arguments(name: str) -> list[argparse.Action]:
    """Arguments of a subcommand of ``legacypipe-lite``.

    Parameters
    ----------
    name : str

    Returns
    -------
    list of argparse.Action
        Without those that all subcommands have.
    """
    parser = argparse.ArgumentParser(add_help=False)
    _module(name).add_arguments(parser)
    return parser._actions


def _module(name: Any) -> Any:
    return importlib.import_module("." + SUBCOMMANDS[name].module, __package__)


def _subcommand(name: Any) -> Any:
    actions = subcommand_arguments(name)
    usage = " ".join(_positional(action) for action in actions if not action.option_strings)
    lines = [
        f"### legacypipe-lite {name}\n",
        f"```\nlegacypipe-lite {name} {usage} [options]\n```\n",
        _escaped(_module(name).DESCRIPTION),
        "| argument | meaning |",
        "|---|---|",
    ]
    lines += [f"| `{_spelling(action)}` | {_help(action)} |" for action in actions]
    return "\n".join(lines) + "\n"


def _positional(action: Any) -> Any:
    return f"{action.metavar} [{action.metavar} ...]" if action.nargs == "+" else action.metavar


def _spelling(action: Any) -> Any:
    if not action.option_strings:
        return action.metavar
    if action.nargs == 0:
        return action.option_strings[-1]
    value = action.metavar or action.dest.upper()
    return " ".join([action.option_strings[-1], *((value,) if isinstance(value, str) else value)])


def _help(action: Any) -> Any:
    default = action.default
    if isinstance(default, tuple):
        default = (" " if action.nargs else ",").join(map(str, default))
    return _escaped((action.help or "") % {**vars(action), "default": default})


def _escaped(text: Any) -> Any:
    """Placeholders like <brick> would be taken for HTML."""
    return re.sub(r"<(\w+)>", r"\\<\1>", text)


if __name__ == "__main__":
    sys.stdout.write(command_page())
