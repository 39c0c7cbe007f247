"""`lnhg patients`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .common import add_command, write_output


def add(commands: Any) -> None:
    parser = add_command(
        commands, "patients", _patients, "write down who is trained on, who selects and who reports, by fold"
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="folder with lidc_nodules/ and lidc_scans/, or a cache of lnhg prepare"
    )
    parser.add_argument(
        "--output", type=Path, help="CSV with a row for each patient (default: only the counts are printed)"
    )


def _patients(arguments: argparse.Namespace) -> None:
    from ..data.patients import as_csv, patients_in, summary

    patients = patients_in(arguments.data)
    if arguments.output:
        write_output(arguments.output, as_csv(patients))
    print(summary(patients))
