"""Tables, records and outlines that are pipes, without end, or too large: refused with a sentence, never waited for."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lnhg.cli import main
from systems import posix_only

pytest.importorskip("torch", reason="batch and evaluate need the packages of trainings")

_WORDS: dict[str, Callable[[Path], list[object]]] = {
    "scans.csv": lambda file: ["batch", file, "--output", file.parent / "out"],
    "finds.csv": lambda file: ["evaluate", file, file.parent],
    "finds.json": lambda file: ["evaluate", file, file.parent],
    "result.json": lambda file: ["export", "redcap", file.parent, "--output", file.parent / "out"],
}


def refused(file: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What the command that reads `file` tells; it ends with 2 and leaves nothing."""
    assert main([str(word) for word in _WORDS[file.name](file)]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and told.endswith(".\n")
    assert [one.name for one in file.parent.iterdir()] == [file.name]
    return told


@posix_only
@pytest.mark.parametrize("name", _WORDS)
def test_a_pipe_in_the_place_of_a_table_or_record_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    os.mkfifo(tmp_path / name)
    assert f"{name} is no file but a pipe or device; give a file." in refused(tmp_path / name, capsys)


@pytest.mark.parametrize("name", _WORDS)
def test_a_table_or_record_larger_than_any_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    with (tmp_path / name).open("wb") as file:
        file.truncate(1 << 31)
    assert f"{name} has 2048 MB, more than any file of text" in refused(tmp_path / name, capsys)


@pytest.mark.parametrize("name", ["finds.json", "result.json"])
@pytest.mark.parametrize("text", ["[" * 200_000, '{"a":' * 100_000, "[1]", '"text"', "", "\0" * 100])
def test_json_that_holds_something_else_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, text: str
) -> None:
    (tmp_path / name).write_text(text)
    refused(tmp_path / name, capsys)
