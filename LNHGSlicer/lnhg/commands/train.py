"""`lnhg train`."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..options import MOST_THREADS
from .arguments import add_fold
from .common import GOES_ON, add_command, count, minutes

_MOST_STEPS = 10**9

# Options that count for the weights, in the order in which they are told.
_OF_GENERATOR = (
    "preset",
    "variant",
    "precision",
    "device",
    "threads",
    "minutes",
    "validate-every",
    "fold",
    "start",
    "vgg",
    "set",
)
_OF_DETECTOR = (
    "preset",
    "random-seed",
    "minutes",
    "features",
    "start",
    "fold",
    "precision",
    "device",
    "threads",
    "set",
)


def add(commands: Any) -> None:
    parser = commands.add_parser("train", help="train one of the networks")
    networks = parser.add_subparsers(required=True, metavar="NETWORK")
    generator = add_command(networks, "generator", _train_generator, "train the generator", GOES_ON)
    _add_folders(generator, ", or a file of lnhg export training")
    _add_preset(generator)
    generator.add_argument(
        "--variant",
        choices=("lnhg", "l-mse", "l-vgg", "unet"),
        default="lnhg",
        help="losses, or unet, the network it is compared with",
    )
    generator.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="change a value of the preset"
    )
    add_fold(generator)
    generator.add_argument(
        "--start", type=Path, help="checkpoint, or folder of packed weights, whose generator is the starting point"
    )
    generator.add_argument("--vgg", type=Path, help="local file of VGG-19 weights (default: torchvision's download)")
    generator.add_argument("--minutes", type=minutes, help="stop after so many minutes; a later call goes on")
    generator.add_argument(
        "--validate-every", type=count(_MOST_STEPS), default=1000, help="steps between Dice on the select patients"
    )
    generator.add_argument(
        "--keep",
        type=int,
        nargs="+",
        default=[],
        metavar="STEP",
        help="steps whose checkpoints stay, as step-STEP.pt, such as for lnhg study --lengths",
    )
    _add_machine(generator)
    what = "train the Faster R-CNN detector with the GIoU loss"
    detector = add_command(networks, "detector", _train_detector, what, GOES_ON)
    _add_folders(detector)
    _add_preset(detector)
    detector.add_argument(
        "--minutes",
        type=minutes,
        nargs="+",
        help="of each phase of the patches preset (default: 45 30); mining lies between",
    )
    detector.add_argument("--features", type=Path, help="ImageNet features of MobileNetV2, safetensors")
    detector.add_argument("--start", type=Path, help="phase-N.pt of another run to go on from")
    detector.add_argument("--random-seed", type=int, default=1, help="of the start and the samples (default: 1)")
    add_fold(detector)
    detector.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="change what the samples are made of, such as simulated=0.2",
    )
    _add_machine(detector)
    what = "train the network that looks at candidates again"
    rescorer = add_command(networks, "rescorer", _train_rescorer, what, GOES_ON)
    _add_folders(rescorer)
    rescorer.add_argument("--weights", type=Path, help="folder with the detector's weights (default: the shipped ones)")
    rescorer.add_argument("--steps", type=count(_MOST_STEPS), default=1500, help="steps in all (default: 1500)")
    rescorer.add_argument("--threads", type=count(MOST_THREADS), help="CPU threads (default: all cores)")


def _add_folders(parser: argparse.ArgumentParser, other: str = "") -> None:
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        help="folder with lidc_nodules/, lidc_scans/ (and lidc_cubes/, qin_scans/, chest_scans/), or a cache of lnhg "
        "prepare" + other,
    )
    parser.add_argument(
        "--output", type=Path, required=True, help="folder of the run; an unfinished one is gone on with"
    )


def _add_preset(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--preset", choices=("paper", "patches"), default="patches", help="configuration (default: patches)"
    )


def _add_machine(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    parser.add_argument(
        "--precision", choices=("float32", "bf16", "fp16"), default="float32", help="of the networks (default: float32)"
    )
    parser.add_argument("--threads", type=count(MOST_THREADS), help="CPU threads (default: all cores)")


def _train_generator(arguments: argparse.Namespace) -> None:
    from ..data.splits import SCAN_FOLDS
    from ..training.generator_config import PRESETS, changed, variant
    from ..training.generator_run import train_generator

    changes = [f"precision={arguments.precision}", *arguments.set]
    config = changed(variant(PRESETS[arguments.preset], arguments.variant), changes)
    with _prepared(arguments):
        train_generator(
            config,
            arguments.data,
            arguments.output,
            vgg=arguments.vgg,
            device=arguments.device,
            start=arguments.start,
            minutes=arguments.minutes,
            validate_every=arguments.validate_every,
            keep=arguments.keep,
            command=_command(arguments, "generator", _OF_GENERATOR),
            listed=SCAN_FOLDS[arguments.fold],
        )


def _prepared(arguments: argparse.Namespace) -> AbstractContextManager[None]:
    """The threads of a run are set, and its folder is held against a second run; of the processes of torchrun the first
    holds it for all.

    Raises InputError where the folder holds files of somebody under the names of a run's.
    """
    from ..core.lock import locked
    from ..networks.compute import use_threads
    from ..training.run_folder import check_run_folder

    if arguments.threads:
        use_threads(arguments.threads)
    check_run_folder(arguments.output)
    return locked(arguments.output, "training") if os.environ.get("RANK", "0") == "0" else nullcontext()


def _command(arguments: argparse.Namespace, network: str, names: Sequence[str]) -> str:
    """What a person types to train the same, for the model card; of paths only what does not tell about this
    machine.
    """
    count = os.environ.get("LOCAL_WORLD_SIZE", "1")
    words = ["lnhg"] if count == "1" else ["torchrun", "--nproc-per-node", count, "-m", "lnhg"]
    words += ["train", network, "--data", "DATA", "--output", arguments.output.name]
    for name in names:
        value = getattr(arguments, name.replace("-", "_"))
        for one in value if name == "set" else [value]:
            words += _words(name, one)
    return shlex.join(words)


def _words(name: str, value: Any) -> list[str]:
    """An option and its values; nothing where none was given."""
    values = value if isinstance(value, list) else [value]
    given = [Path(*one.parts[-2:]) if isinstance(one, Path) else one for one in values if one is not None]
    return [f"--{name}", *map(str, given)] if given else []


def _train_detector(arguments: argparse.Namespace) -> None:
    from ..data.splits import SCAN_FOLDS
    from ..training.config_changes import with_values
    from ..training.detector_config import DetectorConfig
    from ..training.detector_training import train_detector

    if arguments.preset == "paper":
        if arguments.minutes:
            raise InputError(
                "The paper's detector trains for 100 epochs; leave out --minutes, or choose --preset patches."
            )
        config = DetectorConfig.paper()
    else:
        config = DetectorConfig(minutes=tuple(arguments.minutes or (45.0, 30.0)), features=arguments.features)
    command = _command(arguments, "detector", _OF_DETECTOR)
    config = replace(
        config,
        seed=arguments.random_seed,
        start=arguments.start,
        precision=arguments.precision,
        sampling=with_values(config.sampling, arguments.set),
    )
    with _prepared(arguments):
        train_detector(config, arguments.output, arguments.data, command, SCAN_FOLDS[arguments.fold], arguments.device)


def _train_rescorer(arguments: argparse.Namespace) -> None:
    from ..networks.torch_models import load_models
    from ..training.rescorer_training import RescorerTraining, train_rescorer

    models = load_models(arguments.weights)
    assert models.detector is not None
    config = RescorerTraining(steps=arguments.steps)
    with _prepared(arguments):
        train_rescorer(config, arguments.output, arguments.data, models.detector, models.grid("detector"))
