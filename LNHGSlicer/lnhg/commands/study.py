"""`lnhg study`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..errors import InputError
from .common import add_command, shown


def add(commands: Any) -> None:
    parser = add_command(commands, "study", _study, "measure everything and make one page of tables and figures")
    parser.add_argument("--data", type=Path, required=True, help="folder with lidc_nodules/ and lidc_scans/")
    parser.add_argument(
        "--output", type=Path, required=True, help="folder for the page; a study that was cut off goes on there"
    )
    parser.add_argument(
        "--weights",
        metavar="NAME=FOLDER",
        nargs="+",
        default=[],
        help="more systems: l-rf, l-mse, l-vgg or unet and their weights; lnhg=FOLDER in place of the shipped ones",
    )
    parser.add_argument(
        "--lengths", metavar="FOLDER", type=Path, nargs="+", default=[], help="weights trained longer and longer, for stability"
    )


def _study(arguments: argparse.Namespace) -> None:
    from ..evaluation.study import MAIN, study

    weights = {MAIN: None} | dict(_named(text) for text in arguments.weights)
    with shown(as_json=False) as progress:
        page = study(arguments.data, arguments.output, weights, arguments.lengths, progress)
    print(page)


def _named(text: str) -> tuple[str, Path]:
    name, equals, folder = text.partition("=")
    if not (name and equals and folder):
        raise InputError(f"{text!r} names no weights; give NAME=FOLDER, such as l-mse=weights/l-mse.")
    return name, Path(folder)
