"""What reaches the terminal, and what happens where there is no room, no reader, no home and no memory."""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lnhg import cli
from lnhg.commands import common, sample
from lnhg.commands.terminal import plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x1b]0;owned\x07", r"\x1b[2J\x1b]0;owned\x07"),
        ("a\rb\x08\x7f\x9b31m", r"a\rb\x08\x7f\x9b31m"),
        ("evil\u202egnp.exe", r"evil\u202egnp.exe"),
        ("plain\ttext\nof two lines, ü 患", "plain\ttext\nof two lines, ü 患"),
    ],
)
def test_control_characters_are_shown_and_not_obeyed(text: str, shown: str) -> None:
    assert plain(text) == shown


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch):
    """Puts a function in the place of `lnhg sample`; calls the command line."""

    def call(run) -> int:
        monkeypatch.setattr(sample, "_sample", run)
        return cli.main(["sample", "--output", "x"])

    return call


def test_printed_text_of_files_cannot_steer_the_terminal(command, capsys) -> None:
    assert command(lambda _: print("Note: \x1b[31mred\x1b[0m")) == 0
    assert capsys.readouterr().out == "Note: \\x1b[31mred\\x1b[0m\n"


def test_nor_can_the_sentence_of_an_error(command, capsys) -> None:
    def fails(_: argparse.Namespace) -> None:
        raise cli.InputError("No CT in \x1b[2J.")

    assert command(fails) == 2
    assert capsys.readouterr().err == "lnhg: No CT in \\x1b[2J.\n"


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (
            OSError(28, "No space left on device", "out/labels.nrrd"),
            2,
            "out/labels.nrrd: No space left on device; make room",
        ),
        (PermissionError(13, "Permission denied", "out"), 2, "out: Permission denied; make room or ask for the right"),
        (FileExistsError(17, "File exists", "out"), 2, "out: File exists; give another place."),
        (NotADirectoryError(20, "Not a directory", "out"), 2, "out: Not a directory; give another place."),
        (OSError(36, "File name too long", "out"), 2, "out: File name too long; give another place."),
        (MemoryError(), 2, "Memory ran out"),
        (KeyboardInterrupt(), 130, "cancelled"),
        (
            BrokenPipeError(32, "Broken pipe"),
            141,
            "The output was closed before all was told; what was finished is kept.",
        ),
    ],
)
def test_faults_of_the_machine_are_one_sentence_and_an_exit_code(command, capsys, error, code, words) -> None:
    def fails(_: argparse.Namespace) -> None:
        raise error

    assert command(fails) == code
    told = capsys.readouterr().err
    assert words in told and told.count("\n") == 1 and told.endswith(".\n")


def test_a_closed_pipe_is_known_on_windows_too(command, capsys, monkeypatch) -> None:
    def fails(_: argparse.Namespace) -> None:
        raise OSError(22, "Invalid argument")

    assert command(fails) == 2, "elsewhere it is a fault like any other"
    monkeypatch.setattr(cli.sys, "platform", "win32")
    assert command(fails) == 141
    assert "The output was closed" in capsys.readouterr().err


def test_a_fault_of_ours_keeps_its_traceback(command) -> None:
    def fails(_: argparse.Namespace) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        command(fails)


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
@pytest.mark.parametrize("name", ["患者.nrrd", "\udcff.nrrd", "Müller\u2192.nrrd"])
def test_a_console_that_lacks_a_sign_shows_an_escape(command, monkeypatch, encoding: str, name: str) -> None:
    shown = io.BytesIO()
    console = io.TextIOWrapper(shown, encoding=encoding, errors="strict")
    monkeypatch.setattr(sys, "stdout", console)
    assert command(lambda _: print(name)) == 0
    console.flush()
    assert shown.getvalue().decode(encoding).endswith(".nrrd\n")


_PROGRAM = """
import sys
from lnhg import cli
from lnhg.commands import sample
{}
sys.exit(cli.main(["sample", "--output", "x"]))
"""
_TALKS = {
    "prints": 'sample._sample = lambda _: [print("line", number) for number in range(100_000)]',
    "prints at once": 'sample._sample = lambda _: [print("line", number, flush=True) for number in range(100_000)]',
    "writes": 'sample._sample = lambda _: [sys.stdout.write(f"line {number}\\n") for number in range(100_000)]',
}


@pytest.mark.skipif(os.name == "nt", reason="Windows tells of a closed pipe otherwise")
@pytest.mark.parametrize("talks", _TALKS)
def test_a_closed_pipe_ends_the_command_without_a_traceback(talks: str) -> None:
    words = [sys.executable, "-c", _PROGRAM.format(_TALKS[talks])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as program:
        assert program.stdout is not None and program.stderr is not None
        assert program.stdout.readline() == "line 0\n"
        program.stdout.close()
        told = program.stderr.read()
    assert told == "lnhg: The output was closed before all was told; what was finished is kept.\n"
    assert program.returncode == 141


@pytest.mark.parametrize(
    ("command", "told"), [("batch", "--time-limit"), ("segment", "--seed R,A,S"), ("evaluate", "--alike")]
)
def test_without_a_home_and_in_a_plain_locale_the_help_is_shown(tmp_path: Path, command: str, told: str) -> None:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), "LC_ALL": "C"}
    words = [sys.executable, "-m", "lnhg", command, "--help"]
    shown = subprocess.run(words, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert told in shown.stdout


def test_the_help_of_every_command_can_be_shown() -> None:
    def shown(parser: argparse.ArgumentParser) -> int:
        rooms = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
        assert parser.format_help().startswith("usage: lnhg")
        return 1 + sum(shown(command) for room in rooms for command in room.choices.values())

    assert shown(cli._parser()) > 15


@pytest.mark.parametrize("text", ["0", "-1", "100000", "1e3", "²", "", "nan", "9" * 400])
def test_a_count_out_of_reason_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not a whole number from 1 to 1024"):
        common.count(1024)(text)


@pytest.mark.parametrize("text", ["0", "-1", "inf", "nan", "1e999", "soon"])
def test_minutes_out_of_reason_are_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not a number of minutes above 0"):
        common.minutes(text)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--threads", "100000"], "Option threads is 100000; it must be at most 1024."),
        (["--batch-size", "999999999"], "Option batch_size is 999999999; it must be at most 100000."),
        (["--generator-threshold", "inf"], "Option generator_threshold is inf; it must be at most 1."),
        (["--score-threshold", "nan"], "Option score_threshold is nan; it must be at least 0."),
        (["--score-threshold", "1.5"], "Option score_threshold is 1.5; it must be at most 1."),
        (["--minimum-diameter", "inf"], "Option minimum_diameter is inf"),
        (["--rim", "1e308"], "Option rim is 1e+308"),
        (["--roi", "0,inf,0,1,0,1"], "'0,inf,0,1,0,1' is not 6 numbers with commas between"),
        (["--seed", "nan,0,0"], "'nan,0,0' is not 3 numbers with commas between"),
        (["--slices", "0-²"], "'0-²' is not a range of slices"),
    ],
)
def test_numbers_that_mean_nothing_are_refused_before_the_run(tmp_path: Path, capsys, words, told) -> None:
    try:
        code: object = cli.main(["segment", str(tmp_path / "none.nrrd"), "--output", str(tmp_path / "out"), *words])
    except SystemExit as end:
        code = end.code
    assert code == 2
    assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [("segment", "", "--output", "o"), ("batch", "", "--output", "o"), ("segment", "ct", "--output", ""),
     ("segment", "ct", "--output", "o", "--series", ""), ("prepare", "", "--output", "o"), ("",)],
)  # fmt: skip
def test_an_empty_argument_is_not_taken_for_the_folder_one_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(list(words)) == 2
    assert capsys.readouterr().err == (
        "lnhg: One of the arguments is empty, as a variable that was never set; give its value or leave it out.\n"
    )
    assert list(tmp_path.iterdir()) == []
