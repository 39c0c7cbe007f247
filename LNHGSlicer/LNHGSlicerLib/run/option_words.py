"""Options of a run as words of the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from lnhg.options import Options


def option_words(options: Options, seeds: Sequence[Sequence[float]] = ()) -> list[str]:
    """Options that differ from the defaults, and seeds, as words of the command line."""
    words = [f"--seed={_numbers(seed)}" for seed in seeds]
    for option in fields(Options):
        value = getattr(options, option.name)
        if value != option.default:
            flag = "--" + option.name.replace("_", "-")
            words.append(flag if value is True else f"{flag}={_word(option.name, value)}")
    return words


def _word(name: str, value: Any) -> str:
    if name == "slices":
        return "-".join(map(str, value))
    if isinstance(value, tuple):
        return _numbers(value)
    return str(value.absolute() if isinstance(value, Path) else value)


def _numbers(values: Sequence[float]) -> str:
    return ",".join(repr(float(value)) for value in values)
