"""`lnhg pairs`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .common import GOES_ON, add_command, count, write_outputs


def add(commands: Any) -> None:
    what = "measure how lnhg follow does on simulated pairs of studies made from real scans"
    parser = add_command(commands, "pairs", _pairs, what, GOES_ON)
    parser.add_argument("--data", type=Path, required=True, help="folder with lidc_scans/ and qin_scans/")
    parser.add_argument("--output", type=Path, required=True, help="folder for the table and the pairs")
    parser.add_argument("--weights", type=Path, help="folder with weights (default: the shipped ones)")
    parser.add_argument("--count", type=count(100_000), default=200, help="pairs (default: %(default)s)")


def _pairs(arguments: argparse.Namespace) -> None:
    from ..studies.pairs_page import measure

    texts = measure(
        arguments.data,
        arguments.weights,
        arguments.count,
        arguments.output / "pairs.jsonl",
        said=lambda line: print(line, flush=True),
    )
    write_outputs(arguments.output, texts)
    print(texts["pairs.md"])
