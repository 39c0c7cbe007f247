"""`lnhg sample`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .common import FINISHED, add_command, print_files


def add(commands: Any) -> None:
    what = "write a synthetic chest CT with nodules and their true labels"
    parser = add_command(commands, "sample", _sample, what, FINISHED)
    parser.add_argument("--output", type=Path, required=True, help="folder for the sample")
    parser.add_argument("--random-seed", type=int, default=0, help="another number, another chest (default: 0)")
    parser.add_argument(
        "--followed", action="store_true", help="three studies of one patient, for lnhg follow: study-1 to study-3"
    )


def _sample(arguments: argparse.Namespace) -> None:
    from ..phantom import write_followed_samples, write_sample

    write = write_followed_samples if arguments.followed else write_sample
    print_files(write(arguments.output, arguments.random_seed))
