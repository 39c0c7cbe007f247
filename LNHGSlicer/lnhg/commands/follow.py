"""`lnhg follow`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..errors import Cancelled
from .arguments import add_options, options_of
from .common import add_command, days, print_files, shown

_OF_ONE_CT = ("roi", "slices", "seeds_only")


def add(commands: Any) -> None:
    parser = add_command(
        commands, "follow", _follow, "follow the nodules of one patient through two or more studies, earliest first"
    )
    parser.add_argument(
        "studies",
        nargs="+",
        metavar="STUDY",
        help="a CT, the folder of its results (RESULTS=CT where they do not lead to the CT), or a scene that was "
        "reviewed and saved in Slicer (.mrb)",
    )
    parser.add_argument("--output", type=Path, required=True, help="folder for the results")
    parser.add_argument(
        "--days", type=days, nargs="+", help="days between each study and the next, where the files do not say"
    )
    parser.add_argument(
        "--same-patient",
        action="store_true",
        help="the studies are of one patient, whatever the files say and however badly the lungs fit",
    )
    parser.add_argument("--with-identity", action="store_true", help="write path, UIDs and patient into the results")
    parser.add_argument(
        "--for-scene",
        action="store_true",
        help="write of each study what the Slicer module reads in place of all files",
    )
    parser.add_argument("--json-progress", action="store_true", help="one JSON object per line instead of a bar")
    add_options(parser, but=_OF_ONE_CT)


def _follow(arguments: argparse.Namespace) -> None:
    options = options_of(arguments, but=_OF_ONE_CT)
    with shown(arguments.json_progress) as progress:
        from ..followup.fit import fit_sentence
        from ..followup.follow import follow
        from ..followup.written import check_output, save_follow_up

        check_output(arguments.output)
        follow_up = follow(
            *arguments.studies,
            days=arguments.days,
            same_patient=arguments.same_patient,
            options=options,
            progress=progress,
        )
    try:
        paths = save_follow_up(
            follow_up, arguments.output, with_identity=arguments.with_identity, for_scene=arguments.for_scene
        )
    except KeyboardInterrupt:
        raise Cancelled("The run was cancelled while it wrote its files; give the same command again.") from None
    if arguments.json_progress:
        print_files(paths, as_json=True)
        return
    for note in (*follow_up.notes, *(note for study in follow_up.studies for note in study.notes)):
        print(f"Note: {note}")
    for number, one in enumerate(follow_up.interludes, 1):
        print(fit_sentence(one.fit, number))
        for pair in one.pairs:
            print(f"  nodule {follow_up.track_of(number - 1, pair)}: {_told(pair)}")
    print_files(paths)


def _told(pair: Any) -> str:
    if pair.change is None:
        row = pair.earlier or pair.later
        return f"{pair.state}, {row.at_least}{row.mean_axis:.1f} mm"
    growth = ", ".join(f"{name}: {said}" for name, said in pair.change.growth.items())
    return (
        f"{pair.state}, {pair.earlier.mean_axis:.1f} to {pair.later.mean_axis:.1f} mm, volume "
        f"{pair.change.volume_percent:+.0f}%; {growth}"
    )
