"""The command line: `lnhg` and `python -m lnhg`.

Exit codes: 0 done, 2 unusable input, 130 cancelled, 141 nobody reads the output any more, 1 a fault of ours.
"""

from __future__ import annotations

import argparse
import errno
import logging
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from . import __version__
from .commands import (
    batch,
    crossvalidate,
    evaluate,
    export,
    follow,
    pairs,
    patients,
    planted,
    prepare,
    repeats,
    report,
    sample,
    segment,
    study,
    train,
    weights,
)
from .commands.common import print_json
from .commands.terminal import PlainFormatter, forget_stdout, plain, plain_output
from .errors import Cancelled, InputError, LNHGError

_DESCRIPTION = "Lung nodules and their heterogeneity on chest CT. Research use only, not for diagnosis."

_PIPE_CLOSED = 141

# A file where a folder is wanted, or a folder for a file; nothing; a name that is too long; links in a circle.
_WRONG_PLACE = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOENT, errno.ENAMETOOLONG, errno.ELOOP)

# Options whose value may begin with a minus sign, which argparse would take for another option.
_POINTS = ("--seed", "--roi")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    signal.signal(signal.SIGTERM, _terminated)
    words = _joined(list(sys.argv[1:] if arguments is None else arguments))
    if "" in words:  # an empty path would be the folder that one is in
        _say("One of the arguments is empty, as a variable that was never set; give its value or leave it out.")
        return InputError.exit_code
    parsed = _parser().parse_args(words)
    logging.basicConfig(level=logging.INFO if parsed.verbose else logging.WARNING, format="%(message)s")
    for handler in logging.getLogger().handlers:
        handler.setFormatter(PlainFormatter("%(message)s"))
    try:
        with plain_output():
            parsed.run(parsed)
    except (LNHGError, KeyboardInterrupt, OSError, MemoryError, ModuleNotFoundError) as error:
        if _pipe_closed(error):
            forget_stdout()
            _say("The output was closed before all was told; what was finished is kept.")
            return _PIPE_CLOSED
        failure = _failure(error, parsed.left)
        if getattr(parsed, "json_progress", False):
            with suppress(OSError):
                print_json({"error": str(failure)})
        _say(str(failure))
        return failure.exit_code
    return 0


def _pipe_closed(error: BaseException) -> bool:
    """Whether nobody reads the output any more; Windows calls that an invalid argument."""
    on_windows = (
        sys.platform == "win32" and isinstance(error, OSError) and error.errno == errno.EINVAL and not error.filename
    )
    return isinstance(error, BrokenPipeError) or on_windows


def _failure(error: BaseException, left: str) -> LNHGError:
    """What a person is told of an error, and of what a cancelled command left; raises it again where it is a fault of
    ours.
    """
    if isinstance(error, LNHGError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return Cancelled(f"The run was cancelled; {left}.")
    if isinstance(error, MemoryError):
        return InputError("Memory ran out; close other programs, or give a smaller input.")
    if isinstance(error, OSError):
        what = f"{error.filename}: " if error.filename else ""
        remedy = (
            "give another place"
            if error.errno in _WRONG_PLACE
            else "make room or ask for the right, and run the same command again"
        )
        return InputError(f"{what}{error.strerror or error}; {remedy}.")
    assert isinstance(error, ModuleNotFoundError)
    if error.name is None or error.name.partition(".")[0] == "lnhg":
        raise error
    return InputError(
        f"The package {error.name} is missing; install it, or all of them: pip install 'lnhg[train,batch]'."
    )


def _say(sentence: str) -> None:
    with suppress(OSError):  # stderr may be closed too
        print(f"lnhg: {plain(sentence)}", file=sys.stderr)


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
        self.exit(InputError.exit_code, f"{self.prog}: {plain(message)}; see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="lnhg", description=_DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"lnhg {__version__}")
    parser.add_argument("--verbose", action="store_true", help="say what is being done")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    runs = (segment, batch, follow, report, export, sample)
    measures = (evaluate, study, planted, crossvalidate, repeats, pairs)
    for room in (*runs, *measures, prepare, patients, train, weights):
        room.add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
