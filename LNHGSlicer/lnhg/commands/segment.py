"""`lnhg segment`."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import Field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.answers import answers_of_words, questions
from ..options import Options
from ..progress import Progress
from .common import add_choice_of_scan, add_command, print_files, shown

if TYPE_CHECKING:
    from ..core.result import Result


def add(commands: Any) -> None:
    parser = add_command(
        commands, "segment", _segment, "find and segment the nodules of a chest CT, map their heterogeneity"
    )
    parser.add_argument("ct", type=Path, help="DICOM folder, or a NRRD, MHA or NIfTI file in HU")
    parser.add_argument("--output", type=Path, required=True, help="folder for the results")
    add_choice_of_scan(parser)
    parser.add_argument(
        "--seed",
        action="append",
        type=_numbers(3),
        default=[],
        metavar="R,A,S",
        help="segment at this point (mm); repeatable",
    )
    add_answers(parser)
    add_lobes(parser)
    add_extras(parser)
    parser.add_argument("--json-progress", action="store_true", help="one JSON object per line instead of a bar")
    parser.add_argument("--with-identity", action="store_true", help="write path, UIDs and patient into the results")
    parser.add_argument(
        "--for-scene",
        action="store_true",
        help="write only what the Slicer module shows: labels, map, record and, in place of report, pictures and "
        "scene, G(x)",
    )
    for option in fields(Options):
        add_option(parser, option)


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


def add_extras(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pdf", action="store_true", help="print the report to report.pdf too, by a browser")
    parser.add_argument("--fhir", action="store_true", help="write a FHIR bundle, fhir.json, too (extra fhir)")


def extras_of(arguments: argparse.Namespace) -> list[str]:
    """The names of the files that were asked for beside the usual ones."""
    return [name for name in ("pdf", "fhir") if getattr(arguments, name)]


def add_lobes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--lobes",
        type=Path,
        metavar="PATH",
        help="lobes or lungs of this CT, for the places of nodules: a segmentation (NRRD, NIfTI, MHA) or a folder of "
        "masks, as TotalSegmentator and lungmask write them, on any grid",
    )


def add_option(parser: argparse.ArgumentParser, option: Field) -> None:
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
        if len(values) != count or not all(map(math.isfinite, values)):
            raise argparse.ArgumentTypeError(f"{text!r} is not {count} numbers with commas between")
        return values

    return read


def _slice_range(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    if not all(one.isascii() and one.isdigit() and len(one) <= 9 for one in (first, last)):
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
    with shown(arguments.json_progress) as progress:
        progress(Progress("read", 0.0, None))
        from ..readers.lobes import read_lobes
        from ..readers.read_ct import read_ct
        from ..writers.results import check_folder, save

        answers = answers_of_words(arguments.answer)
        check_folder(arguments.output)
        lobes = None if arguments.lobes is None else read_lobes(arguments.lobes)
        ct = read_ct(arguments.ct, arguments.series, arguments.scan)
        from ..pipeline import segment  # loads torch: not before the CT is known to be good

        result = segment(ct, options, arguments.seed, progress, answers=answers, lobes=lobes)
    paths = save(
        result,
        arguments.output,
        with_identity=arguments.with_identity,
        for_scene=arguments.for_scene,
        extras=extras_of(arguments),
    )
    if arguments.json_progress:
        print_files(paths, as_json=True)
    else:
        _print_summary(result, paths)


def _print_summary(result: Result, paths: dict[str, Path]) -> None:
    from ..categories.dictation import dictated
    from ..categories.proposals import proposals
    from ..writers.pictures import found_text

    # What is shown here, but not kept with results, may name a person: descriptions of series, names of files.
    for note in (*result.warnings, *filter(None, [result.ct.identity.get("notes")])):
        print(f"Note: {note}")
    seconds = result.provenance["seconds"]
    assert isinstance(seconds, dict)
    print(f"{found_text(len(result.nodules))} in {sum(seconds.values()):.0f} s on {result.provenance['device']}")
    for proposal in proposals(result.nodules, result.answers):
        nodule = proposal.nodule
        r, a, s = nodule.centre_r, nodule.centre_a, nodule.centre_s
        score = "" if nodule.score is None else f", score {nodule.score:.2f}"
        print(
            f"  {nodule.id}: {nodule.status}{score}, {nodule.type}, side {nodule.side}, "
            f"{nodule.at_least}{nodule.equivalent_diameter:.1f} mm, at R,A,S {r:.1f},{a:.1f},{s:.1f} mm"
        )
        print(f"     {dictated(proposal, result.options.sentence)}")
    print_files(paths)
