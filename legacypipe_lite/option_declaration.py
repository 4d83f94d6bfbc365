"""How options are declared: as fields of a dataclass that know how they appear on the command line."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

from .errors import UsageError

__all__ = ["OptionInfo", "declared_options", "known_by_flags", "option"]


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
        "flag" (no value), "off" (no value; the flag switches off what is True by default), "count" (no value; how often
        it is given), "int", "float", "str", "bands" (comma list), or "append" with `nargs` values.
    nargs : int or None
    convert : type
        Of each value.
    metavar : str or tuple or None
    choices : tuple or None
    least, most : int or None
        Smallest and largest value.
    positive : bool
        True if the value must be above 0.
    ignored : str or None
        If set, the option is accepted for compatibility and changes nothing; said once in the log.
    default : object
    """

    name: str
    flags: tuple[str, ...]
    help: str
    group: str
    kind: str
    nargs: int | None
    convert: type
    metavar: str | tuple[Any, ...] | None
    choices: tuple[Any, ...] | None
    least: int | None
    most: int | None
    positive: bool
    ignored: str | None
    default: Any

    @property
    def flag_name(self) -> Any:
        """The name of the option in terms of its flag: `no_wise`, where the field is `wise`."""
        return self.flags[-1].removeprefix("--").replace("-", "_") if self.kind == "off" else self.name

    def of_flag(self, value: Any) -> Any:
        """A value of the field in terms of the flag: whether ``--no-wise`` was given."""
        return not value if self.kind == "off" else value

    def check(self, value: Any) -> None:
        """Raise `UsageError`, which names the flag, if a value makes no sense."""
        flag = self.flags[-1]
        if self.choices is not None and value not in self.choices:
            raise UsageError(f"{flag}: {value!r} is not one of {', '.join(self.choices)}")
        if value is None or self.kind not in ("int", "float"):
            return
        if not math.isfinite(value):
            raise UsageError(f"{flag} must be a finite number, got {value}")
        if self.least is not None and value < self.least:
            raise UsageError(f"{flag} must be at least {self.least}, got {value}")
        if self.most is not None and value > self.most:
            raise UsageError(f"{flag} must be between {self.least} and {self.most}, got {value}")
        if self.positive and value <= 0:
            raise UsageError(f"{flag} must be positive, got {value}")


def option(
    default: Any,
    flags: str | tuple[str, ...],
    text: str,
    group: str,
    kind: str = "str",
    *,
    nargs: int | None = None,
    convert: type = str,
    metavar: str | tuple[str, ...] | None = None,
    choices: tuple[str, ...] | None = None,
    least: Any = None,
    most: Any = None,
    positive: bool = False,
    ignored: Any = None,
) -> Any:
    """Declare a field of a dataclass as an option.

    Parameters
    ----------
    default : object
    flags : str or tuple of str
    text : str
        Help.
    group, kind, nargs, convert, metavar, choices, least, most, positive, ignored
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
        "least": least,
        "most": most,
        "positive": positive,
        "ignored": ignored,
    }
    if isinstance(default, (list, tuple)):
        return field(default_factory=lambda: tuple(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def declared_options(options: type) -> list[OptionInfo]:
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
        default = f.default if f.default_factory is dataclasses.MISSING else f.default_factory()
        infos.append(OptionInfo(name=f.name, default=default, **f.metadata))
    return infos


def known_by_flags(refused: Iterable[Any] = ()) -> Callable[..., Any]:
    """Decorator of a dataclass of options, which then are also known by the names of their flags.

    ``RunOptions(no_wise=True)`` means ``wise=False``, and `options.no_wise` can be read and set.

    Parameters
    ----------
    refused : iterable of RefusedFlag
        To ask for one of these is a `UsageError`.

    Returns
    -------
    callable
    """
    messages = {flag.name: flag.message() for flag in refused}

    def decorate(cls: Any) -> Any:
        others = {info.flag_name: info.name for info in declared_options(cls) if info.flag_name != info.name}
        plain_init, plain_setattr = cls.__init__, cls.__setattr__

        @wraps(plain_init)
        def __init__(self: Any, *values: Any, **named: Any) -> None:
            for name in [name for name in named if name in messages]:
                _refuse(messages[name], named.pop(name))
            # After the fields, which `dataclasses.replace` repeats as they were.
            negated = {others[name]: not named.pop(name) for name in list(named) if name in others}
            plain_init(self, *values, **{**named, **negated})

        def __setattr__(self: Any, name: Any, value: Any) -> None:
            if name in messages:
                _refuse(messages[name], value)
            elif name in fields or name in others:
                plain_setattr(self, name, value)
            else:
                raise AttributeError(f"{cls.__name__} has no option {name!r}")

        fields = {f.name for f in dataclasses.fields(cls)}
        for flag_name, name in others.items():
            setattr(cls, flag_name, _negation(name))
        cls.__init__, cls.__setattr__ = __init__, __setattr__
        return cls

    return decorate


def _refuse(message: Any, value: Any) -> None:
    if value is not None and value is not False and value != ():
        raise UsageError(message)


def _negation(name: Any) -> Any:
    def get(self: Any) -> Any:
        return not getattr(self, name)

    def set_(self: Any, value: Any) -> None:
        setattr(self, name, not value)

    return property(get, set_, doc=f"``not {name}``: the option by the name of its flag.")
