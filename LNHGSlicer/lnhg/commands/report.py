"""`lnhg report`."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..core.answers import answers_of_words, of_no_nodule
from ..errors import InputError
from ..options import SENTENCE
from .arguments import add_answers, add_choice_of_scan, add_extras, add_lobes, extras_of
from .common import add_command, print_files


def add(commands: Any) -> None:
    parser = add_command(
        commands, "report", _report, "write table, record and report of results anew, with answers and lobes"
    )
    parser.add_argument("results", type=Path, help="folder that segment wrote")
    parser.add_argument("--ct", type=Path, required=True, help="the CT that was segmented")
    add_choice_of_scan(parser)
    add_answers(parser)
    add_lobes(parser)
    usual = repr(SENTENCE).replace("%", "%%")  # argparse fills in what stands behind a percent sign
    parser.add_argument("--sentence", help=f"the sentence of each nodule to dictate (as it was; else {usual})")
    add_extras(parser)


def _report(arguments: argparse.Namespace) -> None:
    from ..categories.dictation import dictated
    from ..categories.proposals import proposals_of
    from ..readers.lobes import read_lobes
    from ..readers.read_ct import read_ct
    from ..stages.place import with_lobes
    from ..writers.read_back import check_is_result, load_result
    from ..writers.results import save_reading

    lobes = None if arguments.lobes is None else read_lobes(arguments.lobes)
    check_is_result(arguments.results)
    ct = read_ct(arguments.ct, arguments.series, arguments.scan)
    result = load_result(arguments.results, ct)
    if result.ct.source.get("sha256") != ct.source.get("sha256"):
        raise InputError(f"The results were made from another CT than {arguments.ct}; give theirs.")
    answers = answers_of_words(arguments.answer, result.answers)
    numbers = [nodule.id for nodule in result.nodules]
    unknown = of_no_nodule(answers_of_words(arguments.answer), numbers)
    if unknown:
        raise InputError(
            f"The answers name nodule {unknown}, the results have {', '.join(map(str, numbers)) or 'none'}; give the "
            "number of one that is there."
        )
    options = result.options
    if arguments.sentence is not None:
        options = replace(options, sentence=arguments.sentence)
    nodules = result.nodules if lobes is None else with_lobes(result.nodules, lobes, ct, result.labels)
    result = replace(result, answers=answers, options=options, nodules=nodules)
    paths = save_reading(result, arguments.results, extras=extras_of(arguments))
    for proposal in proposals_of(result):
        print(f"{proposal.nodule.id}: {dictated(proposal, options.sentence)}")
        for category in proposal.categories:
            told = "; ".join((category.value, *category.by_size))
            print(f"   {category.system}: {told} ({category.ruling.rule}; {category.ruling.section})")
        print(f"   Brock: {proposal.brock.text}")
    print_files(paths)
