"""`lnhg study`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..errors import InputError
from .common import GOES_ON, add_command, named_folder, shown


def add(commands: Any) -> None:
    what = "measure everything and make one page of tables and figures"
    parser = add_command(commands, "study", _study, what, GOES_ON)
    parser.add_argument("--data", type=Path, required=True, help="folder with lidc_nodules/ and lidc_scans/")
    parser.add_argument(
        "--output", type=Path, required=True, help="folder for the page; a study that was cut off goes on there"
    )
    parser.add_argument(
        "--weights",
        metavar="NAME=FOLDER",
        nargs="+",
        default=[],
        help="more systems: l-rf, l-mse, l-vgg or unet and their weights; lnhg=FOLDER in place of the shipped ones "
        "(l-rf runs everywhere in whole scans: some ten minutes each on two cores)",
    )
    parser.add_argument(
        "--labels",
        metavar="NAME=FOLDER",
        nargs="+",
        default=[],
        help="systems of others (nnu-net, nodulenet, any name) and their label maps, one for each cut-out and, if "
        "wanted, for each whole scan that was not trained on, named like these",
    )
    parser.add_argument(
        "--alike",
        metavar="NAME",
        nargs="+",
        default=[],
        help="those of --labels that give all nodules one label, as nnU-Net",
    )
    parser.add_argument(
        "--lengths",
        metavar="FOLDER",
        type=Path,
        nargs="+",
        default=[],
        help="weights trained longer and longer, for stability: the paper's 80, 100, 140, 160 and 220 epochs are "
        "checkpoints of one run of lnhg train generator, --keep in the same ratios, each packed by lnhg weights pack",
    )


def _study(arguments: argparse.Namespace) -> None:
    from ..studies.study import MAIN, held_out_scans, study
    from ..studies.systems import label_map_system

    folders = dict(named_folder(text, "l-mse=weights/l-mse") for text in arguments.labels)
    for name in set(arguments.alike) - folders.keys():
        raise InputError(f"--alike names {name!r}, which has no label maps; give them by --labels {name}=FOLDER.")
    scans = [scan.name for scan in held_out_scans(arguments.data)]
    others = [label_map_system(name, folder, scans, alike=name in arguments.alike) for name, folder in folders.items()]
    weights = {MAIN: None} | dict(named_folder(text, "l-mse=weights/l-mse") for text in arguments.weights)
    with shown(as_json=False) as progress:
        page = study(arguments.data, arguments.output, weights, arguments.lengths, others, progress)
    print(page)
