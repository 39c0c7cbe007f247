"""`lnhg evaluate` and `lnhg validate`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..errors import InputError
from .common import add_command


def add(commands: Any) -> None:
    _add_evaluate(commands)
    _add_validate(commands)


def _add_evaluate(commands: Any) -> None:
    parser = add_command(commands, "evaluate", _evaluate, "print the Dice of each nodule of a reference label map")
    parser.add_argument("labels", type=Path, help="label map of a system, 0 and 1..N")
    parser.add_argument("reference", type=Path, help="reference label map on the same grid")


def _evaluate(arguments: argparse.Namespace) -> None:
    import numpy as np

    from ..evaluation.dice import match_nodules, read_label_maps

    labels, reference = read_label_maps(arguments.labels, arguments.reference)
    matches = match_nodules(reference, labels)
    if not matches:
        raise InputError(f"{arguments.reference.name} holds no nodule; give a label map with labels 1..N.")
    for match in matches:
        found = f"label {match.label}, Dice {match.dice:.3f}" if match.label else "missed"
        print(f"reference nodule {match.reference}: {found}")
    hit = [match.dice for match in matches if match.label]
    extra = np.setdiff1d(labels, [0, *(match.label for match in matches)]).size
    print(f"{len(hit)} of {len(matches)} found, mean Dice {sum(hit) / max(1, len(hit)):.3f} of those; {extra} other labels")


def _add_validate(commands: Any) -> None:
    parser = add_command(commands, "validate", _validate, "measure the weights on patients they were not trained on")
    parser.add_argument("--data", type=Path, required=True, help="folder with lidc_nodules/ and lidc_scans/")
    parser.add_argument("--weights", type=Path, help="folder with the weights (default: the shipped ones)")
    parser.add_argument("--list", choices=("select", "report"), default="report", help="which patients (default: report)")
    parser.add_argument("--output", type=Path, help="also write the tables as Markdown to this file")


def _validate(arguments: argparse.Namespace) -> None:
    from ..evaluation.validate import validate

    report = validate(arguments.data, arguments.weights, arguments.list)
    print(report)
    if arguments.output:
        arguments.output.write_text(report)
