"""`lnhg train`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .common import add_command


def add(commands: Any) -> None:
    parser = commands.add_parser("train", help="train one of the two networks")
    networks = parser.add_subparsers(required=True, metavar="NETWORK")
    generator = add_command(networks, "generator", _train_generator, "train the WGAN-GP generator")
    _add_data(generator)
    generator.add_argument("--output", type=Path, required=True, help="folder of the run; an unfinished one is gone on with")
    generator.add_argument("--preset", choices=("paper", "patches"), default="patches", help="configuration (default: patches)")
    generator.add_argument("--variant", choices=("lnhg", "l-mse", "l-vgg"), default="lnhg", help="losses (default: lnhg)")
    generator.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="change a value of the preset")
    generator.add_argument("--start", type=Path, help="checkpoint whose generator is the starting point")
    generator.add_argument("--vgg", type=Path, help="local file of VGG-19 weights (default: torchvision's download)")
    generator.add_argument("--minutes", type=float, help="stop after so many minutes; a later call goes on")
    generator.add_argument("--validate-every", type=int, default=1000, help="steps between Dice on the select patients")
    generator.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    generator.add_argument("--threads", type=int, help="CPU threads (default: all cores)")
    detector = add_command(networks, "detector", _train_detector, "train the Faster R-CNN detector with the GIoU loss")
    _add_data(detector)
    detector.add_argument("--output", type=Path, required=True, help="folder of the run; an unfinished one is gone on with")
    detector.add_argument("--minutes", type=float, nargs="+", default=[45.0, 30.0], help="of each phase; mining lies between")
    detector.add_argument("--features", type=Path, help="ImageNet features of MobileNetV2, safetensors")
    detector.add_argument("--random-seed", type=int, default=1, help="of the start and the samples (default: 1)")
    detector.add_argument("--threads", type=int, help="CPU threads (default: all cores)")


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, required=True, help="folder with lidc_nodules/ and lidc_scans/")


def _train_generator(arguments: argparse.Namespace) -> None:
    import torch

    from ..training.generator_training import PRESETS, changed, variant
    from ..training.run import train_generator

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    train_generator(
        changed(variant(PRESETS[arguments.preset], arguments.variant), arguments.set),
        arguments.data,
        arguments.output,
        vgg=arguments.vgg,
        device=arguments.device,
        start=arguments.start,
        minutes=arguments.minutes,
        validate_every=arguments.validate_every,
    )


def _train_detector(arguments: argparse.Namespace) -> None:
    import torch

    from ..training.detector_training import DetectorTraining, train_detector

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    config = DetectorTraining(minutes=tuple(arguments.minutes), features=arguments.features, seed=arguments.random_seed)
    train_detector(config, arguments.output, arguments.data)
