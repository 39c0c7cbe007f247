"""What the commands share: how one is added, and how progress is shown."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

from ..progress import Progress


def add_command(commands: Any, name: str, run: Callable[[argparse.Namespace], None], help: str) -> argparse.ArgumentParser:
    """Add the command `name`, which calls `run` with its arguments."""
    parser: argparse.ArgumentParser = commands.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")
    parser.set_defaults(run=run)
    return parser


class shown:  # noqa: N801 - read as a verb where it is used
    """Progress as a bar on the terminal, or as JSON lines."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._bar: Any = None

    def __enter__(self) -> Callable[[Progress], None]:
        if self._as_json:
            return lambda p: print_json({"stage": p.stage, "fraction": round(p.fraction, 4), "seconds_left": p.seconds_left})
        from tqdm import tqdm

        self._bar = tqdm(total=1.0, bar_format="{desc:10}{percentage:3.0f}%|{bar}| {postfix}", file=sys.stderr, disable=None)
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


def print_json(values: dict[str, object]) -> None:
    """One JSON object a line, at once."""
    print(json.dumps(values), flush=True)
