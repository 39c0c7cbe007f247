"""The command line: `lnhg` and `python -m lnhg`. Exit codes: 0 done, 2 unusable input, 130 cancelled, 1 a fault of ours."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from . import __version__
from .commands import (
    batch,
    crossvalidate,
    evaluate,
    export,
    patients,
    prepare,
    sample,
    segment,
    study,
    train,
    weights,
)
from .commands.common import print_json
from .errors import Cancelled, InputError, LNHGError

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
            print_json({"error": str(failure)})
        print(f"lnhg: {failure}", file=sys.stderr)
        return failure.exit_code
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "lnhg":
            raise
        missing = f"The package {error.name} is missing; install it, or all of them: pip install 'lnhg[train,batch]'."
        print(f"lnhg: {missing}", file=sys.stderr)
        return InputError.exit_code
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
    for room in (segment, batch, export, sample, evaluate, study, crossvalidate, prepare, patients, train, weights):
        room.add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
