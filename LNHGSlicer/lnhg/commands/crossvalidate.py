"""`lnhg crossvalidate`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .common import GOES_ON, add_command


def add(commands: Any) -> None:
    what = "train and score the generator fold by fold, split by patient"
    parser = add_command(commands, "crossvalidate", _cross_validate, what, GOES_ON)
    parser.add_argument(
        "--data", type=Path, required=True, help="folder with lidc_nodules/ and lidc_scans/, or a cache of lnhg prepare"
    )
    parser.add_argument(
        "--output", type=Path, required=True, help="folder of the folds; what was cut off there goes on"
    )
    parser.add_argument("--folds", type=int, default=5, help="folds of patients, 3 or more (default: 5)")
    parser.add_argument("--random-seed", type=int, default=0, help="of the folds (default: 0)")
    parser.add_argument("--minutes", type=float, help="of each fold's training (default: up to the configured steps)")
    parser.add_argument(
        "--preset", choices=("paper", "patches"), default="patches", help="configuration (default: patches)"
    )
    parser.add_argument(
        "--variant", choices=("lnhg", "l-mse", "l-vgg", "unet"), default="lnhg", help="as of lnhg train"
    )
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="change a value of the preset")
    parser.add_argument("--vgg", type=Path, help="local file of VGG-19 weights (default: torchvision's download)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")


def _cross_validate(arguments: argparse.Namespace) -> None:
    from ..studies.crossvalidation import CrossValidation, cross_validate
    from ..training.generator_config import PRESETS, changed, variant

    plan = CrossValidation(
        arguments.data,
        arguments.variant,
        changed(variant(PRESETS[arguments.preset], arguments.variant), arguments.set),
        arguments.folds,
        arguments.random_seed,
        arguments.minutes,
        arguments.vgg,
        arguments.device,
    )
    print("\n".join(table.markdown() for table in cross_validate(plan, arguments.output)))
