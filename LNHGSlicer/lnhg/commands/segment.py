"""`lnhg segment`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.answers import answers_of_words
from ..progress import Progress
from .arguments import (
    add_answers,
    add_choice_of_scan,
    add_extras,
    add_lobes,
    add_options,
    extras_of,
    numbers,
    options_of,
)
from .common import add_command, print_files, shown

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
        type=numbers(3),
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
        "scene, G(x); with --json-progress each nodule is told as soon as it is found",
    )
    add_options(parser)


def _segment(arguments: argparse.Namespace) -> None:
    options = options_of(arguments)
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

        result = segment(
            ct,
            options,
            arguments.seed,
            progress,
            answers=answers,
            lobes=lobes,
            tell_found=arguments.for_scene and arguments.json_progress,
        )
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
    from ..categories.proposals import proposals_of
    from ..writers.pictures import found_text

    # What is shown here, but not kept with results, may name a person: descriptions of series, names of files.
    for note in (*result.warnings, *filter(None, [result.ct.identity.get("notes")])):
        print(f"Note: {note}")
    seconds = result.provenance["seconds"]
    assert isinstance(seconds, dict)
    print(f"{found_text(len(result.nodules))} in {sum(seconds.values()):.0f} s on {result.provenance['device']}")
    for proposal in proposals_of(result):
        nodule = proposal.nodule
        r, a, s = nodule.centre_r, nodule.centre_a, nodule.centre_s
        score = "" if nodule.score is None else f", score {nodule.score:.2f}"
        print(
            f"  {nodule.id}: {nodule.status}{score}, {nodule.type}, side {nodule.side}, "
            f"{nodule.at_least}{nodule.equivalent_diameter:.1f} mm, at R,A,S {r:.1f},{a:.1f},{s:.1f} mm"
        )
        print(f"     {dictated(proposal, result.options.sentence)}")
    print_files(paths)
