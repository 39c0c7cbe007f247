"""The command line: `lnhg` and `python -m lnhg`. Exit codes: 0 done, 2 unusable input, 130 cancelled, 1 a fault of ours."""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import Field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from . import __version__
from .errors import Cancelled, InputError, LNHGError
from .options import Options
from .progress import Progress

if TYPE_CHECKING:
    from .result import Result

_DESCRIPTION = "Lung nodules and their heterogeneity on chest CT. Research use only, not for diagnosis."

# Options whose value may begin with a minus sign, which argparse would take for another option.
_POINTS = ("--seed", "--roi")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    signal.signal(signal.SIGTERM, _terminated)
    words = _joined(list(sys.argv[1:] if arguments is None else arguments))
    parsed = _parser().parse_args(words)
    logging.basicConfig(level=logging.INFO if parsed.verbose else logging.WARNING, format="%(message)s")
    try:
        parsed.run(parsed)
    except (LNHGError, KeyboardInterrupt) as error:
        failure = error if isinstance(error, LNHGError) else Cancelled("The run was cancelled; nothing was written.")
        if getattr(parsed, "json_progress", False):
            _print_json({"error": str(failure)})
        print(f"lnhg: {failure}", file=sys.stderr)
        return failure.exit_code
    return 0


def _terminated(*_: object) -> None:
    raise KeyboardInterrupt


def _joined(words: list[str]) -> list[str]:
    """`--seed -1,2,3` as `--seed=-1,2,3`."""
    joined: list[str] = []
    for word in words:
        if joined and joined[-1] in _POINTS:
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong with the arguments, without the page of usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(InputError.exit_code, f"{self.prog}: {message}; see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="lnhg", description=_DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"lnhg {__version__}")
    parser.add_argument("--verbose", action="store_true", help="say what is being done")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (_add_segment, _add_export, _add_sample, _add_evaluate, _add_train, _add_validate, _add_weights):
        add(commands)
    return parser


def _command(commands: Any, name: str, run: Callable[[argparse.Namespace], None], help: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")
    parser.set_defaults(run=run)
    return parser


# ---------------------------------------------------------------- segment


def _add_segment(commands: Any) -> None:
    parser = _command(commands, "segment", _segment, "find and segment the nodules of a chest CT, map their heterogeneity")
    parser.add_argument("ct", type=Path, help="DICOM folder, or a NRRD, MHA or NIfTI file in HU")
    parser.add_argument("--output", type=Path, required=True, help="folder for the results")
    parser.add_argument("--series", help="which DICOM series: UID, number, or part of its description")
    parser.add_argument(
        "--seed", action="append", type=_numbers(3), default=[], metavar="R,A,S", help="segment at this point (mm); repeatable"
    )
    parser.add_argument("--json-progress", action="store_true", help="one JSON object per line instead of a bar")
    parser.add_argument("--with-identity", action="store_true", help="write path, UIDs and patient into the results")
    parser.add_argument(
        "--for-scene",
        action="store_true",
        help="write only what the Slicer module shows: labels, map, record and, in place of report, pictures and scene, G(x)",
    )
    for option in fields(Options):
        _add_option(parser, option)


def _add_option(parser: argparse.ArgumentParser, option: Field) -> None:
    flag, text = "--" + option.name.replace("_", "-"), option.metadata["help"]
    kind = str(option.type)
    if kind == "bool":
        parser.add_argument(flag, action="store_true", help=text)
    elif option.metadata["choices"]:
        shown = f"{text} (default: %(default)s)"
        parser.add_argument(flag, choices=option.metadata["choices"], default=option.default, help=shown)
    else:
        shown = text if option.default is None else f"{text} (default: %(default)s)"
        parser.add_argument(flag, type=_READERS[kind.removesuffix(" | None")], default=option.default, help=shown)


def _numbers(count: int) -> Callable[[str], tuple[float, ...]]:
    def read(text: str) -> tuple[float, ...]:
        try:
            values = tuple(float(part) for part in text.split(","))
        except ValueError:
            values = ()
        if len(values) != count:
            raise argparse.ArgumentTypeError(f"{text!r} is not {count} numbers with commas between")
        return values

    return read


def _slice_range(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    if not (first.isdigit() and last.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a range of slices such as 40-80")
    return int(first), int(last)


_READERS: dict[str, Callable[[str], Any]] = {
    "Path": Path,
    "str": str,
    "int": int,
    "float": float,
    "tuple[float, ...]": _numbers(6),
    "tuple[int, int]": _slice_range,
}


def _segment(arguments: argparse.Namespace) -> None:
    options = Options(**{option.name: getattr(arguments, option.name) for option in fields(Options)})
    from .ct import read_ct
    from .outputs import check_folder, save

    check_folder(arguments.output)
    ct = read_ct(arguments.ct, series=arguments.series)
    from .pipeline import segment  # loads torch: not before the CT is known to be good

    with _shown(arguments.json_progress) as progress:
        result = segment(ct, options, arguments.seed, progress)
    paths = save(result, arguments.output, with_identity=arguments.with_identity, for_scene=arguments.for_scene)
    if arguments.json_progress:
        _print_json({"result": {name: str(path) for name, path in paths.items()}})
    else:
        _print_summary(result, paths)


def _print_summary(result: Result, paths: dict[str, Path]) -> None:
    from .pictures import found_text

    for warning in result.warnings:
        print(f"Note: {warning}")
    seconds = result.provenance["seconds"]
    assert isinstance(seconds, dict)
    print(f"{found_text(len(result.nodules))} in {sum(seconds.values()):.0f} s on {result.provenance['device']}")
    for nodule in result.nodules:
        r, a, s = nodule.centre_r, nodule.centre_a, nodule.centre_s
        score = "" if nodule.score is None else f", score {nodule.score:.2f}"
        print(
            f"  {nodule.id}: {nodule.status}{score}, {nodule.type}, side {nodule.side}, "
            f"{nodule.equivalent_diameter:.1f} mm, at R,A,S {r:.1f},{a:.1f},{s:.1f} mm"
        )
    for name, path in paths.items():
        print(f"{name}: {path}")


class _shown:  # noqa: N801 - read as a verb where it is used
    """Progress as a bar on the terminal, or as JSON lines."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._bar: Any = None

    def __enter__(self) -> Callable[[Progress], None]:
        if self._as_json:
            return lambda p: _print_json({"stage": p.stage, "fraction": round(p.fraction, 4), "seconds_left": p.seconds_left})
        from tqdm import tqdm

        self._bar = tqdm(total=1.0, bar_format="{desc:10}{percentage:3.0f}%|{bar}| {postfix}", file=sys.stderr, disable=None)
        return self._draw

    def _draw(self, progress: Progress) -> None:
        self._bar.set_description_str(progress.stage, refresh=False)
        left = "" if progress.seconds_left is None else f"{progress.seconds_left:.0f} s left"
        self._bar.set_postfix_str(left, refresh=False)
        self._bar.n = progress.fraction
        self._bar.refresh()

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()


def _print_json(values: dict[str, object]) -> None:
    print(json.dumps(values), flush=True)


# ---------------------------------------------------------------- export


def _add_export(commands: Any) -> None:
    parser = commands.add_parser("export", help="write the results of a run in another format")
    formats = parser.add_subparsers(required=True, metavar="FORMAT")
    dicom = _command(formats, "dicom", _export_dicom, "write nodules and measurements as DICOM SEG and SR")
    dicom.add_argument("results", type=Path, help="folder that segment wrote")
    dicom.add_argument("--source", type=Path, required=True, help="DICOM folder of the CT that was segmented")
    dicom.add_argument("--series", help="which DICOM series, as for segment")
    dicom.add_argument("--output", type=Path, required=True, help="folder for the DICOM files")


def _export_dicom(arguments: argparse.Namespace) -> None:
    from .ct import read_ct
    from .dicom_export import write_dicom
    from .result_files import load_result

    ct = read_ct(arguments.source, series=arguments.series)
    result = load_result(arguments.results, ct)
    made_from = result.ct.source
    if made_from.get("format") == "dicom" and made_from.get("sha256") != ct.source["sha256"]:
        raise InputError(f"The results were made from another CT than that in {arguments.source}; give its folder or series.")
    for name, path in write_dicom(result, arguments.source, arguments.output).items():
        print(f"{name}: {path}")


# ---------------------------------------------------------------- sample, evaluate


def _add_sample(commands: Any) -> None:
    parser = _command(commands, "sample", _sample, "write a synthetic chest CT with nodules and their true labels")
    parser.add_argument("--output", type=Path, required=True, help="folder for the sample")
    parser.add_argument("--random-seed", type=int, default=0, help="another number, another chest (default: 0)")


def _sample(arguments: argparse.Namespace) -> None:
    from .data.phantom import write_sample

    for name, path in write_sample(arguments.output, arguments.random_seed).items():
        print(f"{name}: {path}")


def _add_evaluate(commands: Any) -> None:
    parser = _command(commands, "evaluate", _evaluate, "print the Dice of each nodule of a reference label map")
    parser.add_argument("labels", type=Path, help="label map of a system, 0 and 1..N")
    parser.add_argument("reference", type=Path, help="reference label map on the same grid")


def _evaluate(arguments: argparse.Namespace) -> None:
    import numpy as np

    from .evaluation.dice import match_nodules, read_label_maps

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


# ---------------------------------------------------------------- training and weights


def _add_train(commands: Any) -> None:
    parser = commands.add_parser("train", help="train one of the two networks")
    networks = parser.add_subparsers(required=True, metavar="NETWORK")
    generator = _command(networks, "generator", _train_generator, "train the WGAN-GP generator")
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
    detector = _command(networks, "detector", _train_detector, "train the Faster R-CNN detector with the GIoU loss")
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

    from .training.generator_training import PRESETS, changed, variant
    from .training.run import train_generator

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

    from .training.detector_training import DetectorTraining, train_detector

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    config = DetectorTraining(minutes=tuple(arguments.minutes), features=arguments.features, seed=arguments.random_seed)
    train_detector(config, arguments.output, arguments.data)


def _add_validate(commands: Any) -> None:
    parser = _command(commands, "validate", _validate, "measure the weights on patients they were not trained on")
    _add_data(parser)
    parser.add_argument("--weights", type=Path, help="folder with the weights (default: the shipped ones)")
    parser.add_argument("--list", choices=("select", "report"), default="report", help="which patients (default: report)")
    parser.add_argument("--output", type=Path, help="also write the tables as Markdown to this file")


def _validate(arguments: argparse.Namespace) -> None:
    from .evaluation.validate import validate

    report = validate(arguments.data, arguments.weights, arguments.list)
    print(report)
    if arguments.output:
        arguments.output.write_text(report)


def _add_weights(commands: Any) -> None:
    parser = commands.add_parser("weights", help="pack a checkpoint into shipped weights, or verify weights")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    verify = _command(actions, "verify", _verify, "check weights files against their manifests")
    verify.add_argument("folder", type=Path, nargs="?", help="folder with the weights (default: the shipped ones)")
    pack = _command(actions, "pack", _pack, "turn a checkpoint into weights with a manifest")
    pack.add_argument("checkpoint", type=Path, help="last.pt of a generator's run, or phase-N.pt of a detector's")
    pack.add_argument("--output", type=Path, required=True, help="folder for the weights")
    pack.add_argument("--threshold", type=float, default=0.5, help="on G(x), or the lowest detector score (default: 0.5)")


def _verify(arguments: argparse.Namespace) -> None:
    from .resources import resource
    from .weights import KINDS, load_weights

    folder = arguments.folder or resource("Models")
    for kind in KINDS:
        manifest = load_weights(folder, kind).manifest
        print(f"{kind}: {folder / kind}.safetensors is whole, SHA-256 {manifest['sha256']}")


def _pack(arguments: argparse.Namespace) -> None:
    from .training.packing import pack

    print(pack(arguments.checkpoint, arguments.output, arguments.threshold))


if __name__ == "__main__":
    sys.exit(main())
