"""`lnhg sample`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .common import add_command


def add(commands: Any) -> None:
    parser = add_command(commands, "sample", _sample, "write a synthetic chest CT with nodules and their true labels")
    parser.add_argument("--output", type=Path, required=True, help="folder for the sample")
    parser.add_argument("--random-seed", type=int, default=0, help="another number, another chest (default: 0)")


def _sample(arguments: argparse.Namespace) -> None:
    from ..phantom import write_sample

    for name, path in write_sample(arguments.output, arguments.random_seed).items():
        print(f"{name}: {path}")
