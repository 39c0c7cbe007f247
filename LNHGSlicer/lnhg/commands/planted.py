"""`lnhg planted`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..errors import InputError
from .common import FINISHED, add_command, add_processes, named_folder, shown


def add(commands: Any) -> None:
    what = "measure how well maps of heterogeneity point at planted unevenness"
    parser = add_command(commands, "planted", _planted, what, FINISHED)
    parser.add_argument("--data", type=Path, required=True, help="folder with lidc_nodules/ and lidc_cubes/")
    parser.add_argument("--output", type=Path, required=True, help="folder for the page, its tables and pictures")
    parser.add_argument("--draws", type=int, default=2000, help="cases (default: 2000)")
    parser.add_argument("--random-seed", type=int, default=0, help="of the cases (default: 0)")
    parser.add_argument(
        "--patients",
        choices=("report", "select"),
        default="report",
        help="whose nodules: report for figures, select for choices (default: report)",
    )
    parser.add_argument("--weights", type=Path, help="folder with a generator (default: the shipped one)")
    parser.add_argument(
        "--without-network", action="store_true", help="only maps made from the CT: a tenth of the time"
    )
    parser.add_argument("--write", type=Path, metavar="FOLDER", help="also write the cases there, for other systems")
    parser.add_argument(
        "--maps",
        metavar="NAME=FOLDER",
        nargs="+",
        default=[],
        help="maps of other systems for the same cases: a file CASE.nrrd each, larger where it says uneven",
    )
    add_processes(parser, "cases measured")


def _planted(arguments: argparse.Namespace) -> None:
    from ..studies.planted import PlantedStudy, planted_study

    if arguments.draws < 1:
        raise InputError("A study needs at least one case; give --draws 1 or more.")
    study = PlantedStudy(
        arguments.data,
        arguments.output,
        arguments.draws,
        arguments.random_seed,
        arguments.patients,
        arguments.weights,
        arguments.without_network,
        arguments.write,
        dict(named_folder(text, "mine=maps/mine") for text in arguments.maps),
        arguments.processes,
    )
    with shown(as_json=False) as progress:
        page = planted_study(study, progress)
    print(page)
