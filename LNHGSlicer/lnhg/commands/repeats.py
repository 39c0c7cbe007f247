"""`lnhg repeats`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .common import add_command, count, shown, write_outputs


def add(commands: Any) -> None:
    parser = add_command(
        commands, "repeats", _repeats, "measure how much sizes change when a nodule is scanned again, and their bias"
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with lidc_nodules/")
    parser.add_argument("--output", type=Path, required=True, help="folder for uncertainties, table and rows")
    parser.add_argument("--weights", type=Path, help="folder with weights (default: the shipped ones)")
    parser.add_argument(
        "--solids", type=count(10_000), default=60, help="known solids in the synthetic chest (default: %(default)s)"
    )
    parser.add_argument(
        "--cutouts", type=count(10_000), default=100, help="real nodules not trained on (default: %(default)s)"
    )
    parser.add_argument(
        "--repeats", type=count(100), default=3, help="scans with each of four protocols (default: %(default)s)"
    )


def _repeats(arguments: argparse.Namespace) -> None:
    from ..studies.repeats_page import measure

    with shown(as_json=False) as progress:
        texts = measure(
            arguments.data,
            arguments.weights,
            arguments.solids,
            arguments.cutouts,
            arguments.repeats,
            progress,
        )
    write_outputs(arguments.output, texts)
    print(texts["repeats.md"])
