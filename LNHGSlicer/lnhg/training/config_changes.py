"""Values of a configuration changed by what a person types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar

from ..errors import InputError

_ANSWERS = {"yes": True, "no": False}

Configuration = TypeVar("Configuration", bound=Any)


def with_values(config: Configuration, changes: Sequence[str]) -> Configuration:
    """A dataclass with numbers and texts replaced, each given as NAME=VALUE; InputError for another name or value."""
    names = {one.name for one in fields(config) if isinstance(getattr(config, one.name), int | float | str)}
    for change in changes:
        name, _, text = change.partition("=")
        if name not in names:
            raise InputError(f"The configuration has no value {name!r}; see {type(config).__name__} for the names.")
        config = replace(config, **{name: parsed(type(getattr(config, name)), name, text)})
    return config


def parsed(kind: type, name: str, text: str) -> Any:
    """The value that a person typed for `name`; InputError if it is none of its kind."""
    if kind is bool:
        if text not in _ANSWERS:
            raise InputError(f"{text!r} is no value for {name} of the configuration; give {' or '.join(_ANSWERS)}.")
        return _ANSWERS[text]
    try:
        return kind(text)
    except ValueError as error:
        raise InputError(f"{text!r} is no value for {name} of the configuration; give a number.") from error
