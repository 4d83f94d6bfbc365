"""How options are declared: as fields of a dataclass that know how they appear on the command line."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

__all__ = ["OptionInfo", "declared_options", "option"]


@dataclass(frozen=True)
class OptionInfo:
    """How one option appears on the command line.

    Attributes
    ----------
    name : str
        Field of the dataclass.
    flags : tuple of str
        Command-line spellings.
    help : str
    group : str
        Heading in ``--help``.
    kind : str
        "flag" (no value), "count" (no value; how often it is given), "int", "float", "str", "bands" (comma list), or
        "append" with `nargs` values.
    nargs : int or None
    convert : type
        Of each value.
    metavar : str or tuple or None
    choices : tuple or None
    refused : str or None
        If set, the option is known but not supported; using it is an error with this explanation.
    ignored : str or None
        If set, the option is accepted for compatibility and changes nothing; said once in the log.
    default : object
    """

    name: str
    flags: tuple
    help: str
    group: str
    kind: str
    nargs: int | None
    convert: type
    metavar: Any
    choices: tuple | None
    refused: str | None
    ignored: str | None
    default: Any


def option(
    default,
    flags,
    text,
    group,
    kind="str",
    *,
    nargs=None,
    convert=str,
    metavar=None,
    choices=None,
    refused=None,
    ignored=None,
):
    """Declare a field of a dataclass as an option.

    Parameters
    ----------
    default : object
    flags : str or tuple of str
    text : str
        Help.
    group, kind, nargs, convert, metavar, choices, refused, ignored
        See `OptionInfo`; `convert` follows from the kind if this is a number.

    Returns
    -------
    dataclasses.Field
    """
    if isinstance(flags, str):
        flags = (flags,)
    if kind in ("int", "float"):
        convert = {"int": int, "float": float}[kind]
    metadata = {
        "flags": flags,
        "help": text,
        "group": group,
        "kind": kind,
        "nargs": nargs,
        "convert": convert,
        "metavar": metavar,
        "choices": choices,
        "refused": refused,
        "ignored": ignored,
    }
    if isinstance(default, (list, tuple)):
        return field(default_factory=lambda: tuple(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def declared_options(options):
    """The options that a dataclass declares.

    Parameters
    ----------
    options : type
        All of whose fields were made by `option`.

    Returns
    -------
    list of OptionInfo
        In order of declaration.
    """
    infos = []
    for f in dataclasses.fields(options):
        default = f.default_factory() if f.default is dataclasses.MISSING else f.default
        infos.append(OptionInfo(name=f.name, default=default, **f.metadata))
    return infos
