"""`lnhg weights`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .common import add_command


def add(commands: Any) -> None:
    parser = commands.add_parser(
        "weights",
        help="pack a checkpoint into shipped weights, join detectors, export for OpenVINO, or verify weights",
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    verify = add_command(actions, "verify", _verify, "check weights files against their manifests")
    verify.add_argument("folder", type=Path, nargs="?", help="folder with the weights (default: the shipped ones)")
    pack = add_command(
        actions, "pack", _pack, "turn a checkpoint into weights with a manifest and a draft of a model card"
    )
    pack.add_argument(
        "checkpoints",
        type=Path,
        nargs="+",
        metavar="CHECKPOINT",
        help="last.pt or best.pt of a generator's or rescorer's run, phase-N.pt of a detector's; of several the mean",
    )
    pack.add_argument("--output", type=Path, required=True, help="folder for the weights")
    pack.add_argument(
        "--threshold", type=float, default=0.5, help="on G(x), or the lowest detector score (default: 0.5)"
    )
    pack.add_argument(
        "--report", type=Path, help="measured figures for the model card: a file of lnhg validate --output"
    )

    export = add_command(
        actions, "export", _export, "write the graphs that OpenVINO computes beside the weights (needs both runtimes)"
    )
    export.add_argument("folder", type=Path, nargs="?", help="folder with the weights (default: the shipped ones)")

    join = add_command(
        actions, "join", _join, "make detectors of several folders one ensemble; each looks at mirror images too"
    )
    join.add_argument("folders", type=Path, nargs="+", metavar="FOLDER", help="folder with a detector's weights")
    join.add_argument("--output", type=Path, required=True, help="folder for the ensemble's weights")
    join.add_argument("--threshold", type=float, default=0.5, help="lowest score of a candidate (default: 0.5)")

    calibrate = add_command(
        actions,
        "calibrate",
        _calibrate,
        "measure a detector's false positives on whole scans, for its manifest",
    )
    calibrate.add_argument("folder", type=Path, help="folder with the detector's weights, whose manifest is changed")
    calibrate.add_argument("--data", type=Path, required=True, help="folder with lidc_scans/ and, if there, qin_scans/")
    calibrate.add_argument("--threshold", type=float, help="lowest score by default from now on (default: as it is)")
    calibrate.add_argument("--fold", type=int, choices=(1, 2), default=1, help="fold that was trained on (default: 1)")
    calibrate.add_argument(
        "--unseen",
        nargs="+",
        default=[],
        metavar="PREFIX",
        help="patients named so were not trained on, whatever their list",
    )


def _verify(arguments: argparse.Namespace) -> None:
    from ..core.manifest import KINDS, kinds_in, weights_folder
    from ..errors import WeightsError
    from ..networks.weights import load_weights

    folder = weights_folder(arguments.folder)
    needed = () if arguments.folder else ("generator", "detector")
    kinds = [kind for kind in KINDS if kind in (*needed, *kinds_in(folder))]
    if not kinds:
        raise WeightsError(f"There are no weights in {folder}; give a folder that lnhg weights pack wrote.")
    for kind in kinds:
        manifest = load_weights(folder, kind).manifest
        print(f"{kind}: {folder / kind}.safetensors is whole, SHA-256 {manifest['sha256']}")


def _pack(arguments: argparse.Namespace) -> None:
    from ..training.packing import pack

    print(pack(arguments.checkpoints, arguments.output, arguments.threshold, arguments.report))


def _export(arguments: argparse.Namespace) -> None:
    from ..core.manifest import weights_folder
    from ..networks.export import export

    for path in export(weights_folder(arguments.folder)):
        print(path)


def _join(arguments: argparse.Namespace) -> None:
    from ..training.packing import join_detectors

    print(join_detectors(arguments.folders, arguments.output, arguments.threshold))


def _calibrate(arguments: argparse.Namespace) -> None:
    from ..data.splits import SCAN_FOLDS
    from ..training.calibration import calibrate

    listed, unseen = SCAN_FOLDS[arguments.fold], tuple(arguments.unseen)

    def held_out(patient: str) -> bool:
        return listed(patient) != "train" or patient.startswith(unseen)

    print(calibrate(arguments.folder, arguments.data, held_out, arguments.threshold))
