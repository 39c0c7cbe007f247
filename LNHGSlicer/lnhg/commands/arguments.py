"""Arguments that several commands have: which scan, answers, lobes, further files, and the options of a run."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Collection
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

from ..core.answers import questions
from ..core.whole_numbers import is_whole_number
from ..options import Options


def add_choice_of_scan(parser: argparse.ArgumentParser) -> None:
    """Options that say which CT of those in a place is read, as `read_ct` has them."""
    parser.add_argument("--series", help="which DICOM series: UID, number, or part of its description")
    parser.add_argument(
        "--scan", type=int, metavar="N", help="which scan of those that the notes of a run number from 1"
    )


def add_fold(parser: argparse.ArgumentParser) -> None:
    """Which labelled whole scans a training sees: a key of `SCAN_FOLDS`."""
    parser.add_argument(
        "--fold",
        type=int,
        choices=(1, 2),
        default=1,
        help="which half of the labelled whole scans is trained on (default: 1)",
    )


def add_answers(parser: argparse.ArgumentParser) -> None:
    told = "; ".join(f"{one.name}: {', '.join(one.metadata['choices']) or 'years'}" for one in questions())
    parser.add_argument(
        "--answer",
        action="append",
        default=[],
        metavar="NAME=ANSWER",
        help="what the CT cannot say and categories ask for, as risk=high, or of nodule 2 alone as 2.airway=no; "
        f"repeatable; what is not given is not answered. {told}",
    )


def add_lobes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--lobes",
        type=Path,
        metavar="PATH",
        help="lobes or lungs of this CT, for the places of nodules: a segmentation (NRRD, NIfTI, MHA) or a folder of "
        "masks, as TotalSegmentator and lungmask write them, on any grid",
    )


def add_extras(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pdf", action="store_true", help="print the report to report.pdf too, by a browser")
    parser.add_argument("--fhir", action="store_true", help="write a FHIR bundle, fhir.json, too (extra fhir)")


def extras_of(arguments: argparse.Namespace) -> list[str]:
    """The names of the files that were asked for beside the usual ones."""
    return [name for name in ("pdf", "fhir") if getattr(arguments, name)]


def add_options(parser: argparse.ArgumentParser, but: Collection[str] = ()) -> None:
    """The options of a run as flags, without those named in `but`; `options_of` reads them."""
    for option in fields(Options):
        if option.name not in but:
            _add_option(parser, option)


def options_of(arguments: argparse.Namespace, but: Collection[str] = ()) -> Options:
    """The options that were chosen; those named in `but` have their defaults. Raises InputError as `Options` does."""
    return Options(**{one.name: getattr(arguments, one.name) for one in fields(Options) if one.name not in but})


def _add_option(parser: argparse.ArgumentParser, option: Field[Any]) -> None:
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


def numbers(count: int) -> Callable[[str], tuple[float, ...]]:
    """Reads so many finite numbers with commas between."""

    def read(text: str) -> tuple[float, ...]:
        try:
            values = tuple(float(part) for part in text.split(","))
        except ValueError:
            values = ()
        if len(values) != count or not all(map(math.isfinite, values)):
            raise argparse.ArgumentTypeError(f"{text!r} is not {count} numbers with commas between")
        return values

    return read


def _slice_range(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    if not all(is_whole_number(one, 9) for one in (first, last)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a range of slices such as 40-80")
    return int(first), int(last)


_READERS: dict[str, Callable[[str], Any]] = {
    "Path": Path,
    "str": str,
    "int": int,
    "float": float,
    "tuple[float, ...]": numbers(6),
    "tuple[int, int]": _slice_range,
}
