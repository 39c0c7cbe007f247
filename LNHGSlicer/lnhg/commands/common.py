"""What the commands share: how one is added, and how progress is shown."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..core.atomic_file import write_atomic
from ..core.whole_numbers import is_whole_number
from ..errors import InputError
from ..progress import Progress

#: What a command leaves that was cancelled.
NOTHING, FINISHED = "nothing was written", "what was finished is kept"
GOES_ON = f"{FINISHED}, and the same command goes on"


def add_command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], None], help: str, left: str = NOTHING
) -> argparse.ArgumentParser:
    """Add the command `name`, which calls `run` with its arguments; `left` is told of it when it is cancelled."""
    parser: argparse.ArgumentParser = commands.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")
    parser.set_defaults(run=run, left=left)
    return parser


#: More workers or processes than any machine has use for.
MOST_WORKERS = 256


def count(most: int) -> Callable[[str], int]:
    """Reads a whole number from 1 to `most`."""

    def read(text: str) -> int:
        if not (is_whole_number(text, 9) and 1 <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to {most}")
        return int(text)

    return read


def add_processes(parser: argparse.ArgumentParser, at_once: str) -> None:
    """The option `--processes`: how many of `at_once` are done side by side."""
    parser.add_argument(
        "--processes",
        type=count(MOST_WORKERS),
        default=os.cpu_count() or 1,
        help=f"{at_once} at once (default: all cores)",
    )


def _time_in(unit: str) -> Callable[[str], float]:
    """Reads a time: a finite number above 0."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not 0 < value < math.inf:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number of {unit} above 0")
        return value

    return read


minutes, days = _time_in("minutes"), _time_in("days")


def named_folder(text: str, such_as: str) -> tuple[str, Path]:
    """Reads NAME=FOLDER; raises InputError for anything else, with an example."""
    name, equals, folder = text.partition("=")
    if not (name and equals and folder):
        raise InputError(f"{text!r} names no folder; give NAME=FOLDER, such as {such_as}.")
    return name, Path(folder)


def write_outputs(folder: Path, texts: Mapping[str, str]) -> None:
    """Write files by their names into a folder, each as `write_output` does, and tell where they are."""
    for name, text in texts.items():
        write_output(folder / name, text)
        print(folder / name)


def write_output(path: Path, text: str) -> None:
    """Write what a command was asked for; a file of something else, told by its first line, is never replaced."""
    try:
        if os.path.lexists(path) and not _same_kind(path, text):
            raise InputError(f"{path} holds something else and would be replaced; move it away or choose another file.")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, text)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}); choose another file.") from error


def _same_kind(path: Path, text: str) -> bool:
    if path.is_dir():
        return True  # which writing refuses
    with path.open("rb") as file:
        first = file.readline(1 << 16)
    return first.strip() in (b"", text.partition("\n")[0].strip().encode())


class shown:  # noqa: N801 - read as a verb where it is used
    """Progress as a bar on the terminal, or as JSON lines."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._bar: Any = None

    def __enter__(self) -> Callable[[Progress], None]:
        if self._as_json:
            return _print_progress
        from tqdm import tqdm

        self._bar = tqdm(
            total=1.0, bar_format="{desc:10}{percentage:3.0f}%|{bar}| {postfix}", file=sys.stderr, disable=None
        )
        return self._draw

    def _draw(self, progress: Progress) -> None:
        self._bar.set_description_str(progress.stage, refresh=False)
        left = "" if progress.seconds_left is None else f"{self._bar.format_interval(progress.seconds_left)} left"
        self._bar.set_postfix_str(left, refresh=False)
        self._bar.n = progress.fraction
        self._bar.refresh()

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()


def _print_progress(progress: Progress) -> None:
    values: dict[str, object] = {
        "stage": progress.stage,
        "fraction": round(progress.fraction, 4),
        "seconds_left": progress.seconds_left,
    }
    if progress.found is not None:
        from ..core.found_record import as_record

        values["found"] = as_record(progress.found)
    print_json(values)


def print_files(paths: Mapping[str, Path], *, as_json: bool = False) -> None:
    """Tell which files were written: a line each, or one JSON object."""
    if as_json:
        print_json({"result": {name: str(path) for name, path in paths.items()}})
        return
    for name, path in paths.items():
        print(f"{name}: {path}")


def print_json(values: dict[str, object]) -> None:
    """One JSON object a line, at once."""
    print(json.dumps(values), flush=True)
