"""Folders that one program at a time works in."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lnhg.errors import InputError

pytest.importorskip("filelock", reason="batch and trainings lock their folders, and bring what does it")
from lnhg.core.lock import LOCK, locked

_HOLD = """
import sys, time
from pathlib import Path
from lnhg.core.lock import locked
with locked(Path(sys.argv[1]), sys.argv[2]):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.mark.parametrize(
    ("work", "ended"), [("batch", subprocess.Popen.kill), ("batch", subprocess.Popen.terminate), ("training", None)]
)
def test_a_second_program_is_refused_until_the_first_has_ended_or_was_killed(tmp_path: Path, work: str, ended) -> None:
    words = [sys.executable, "-c", _HOLD, str(tmp_path / "out"), work]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(words, **pipes, env=environment) as first:
        assert first.stdout is not None and first.stdout.readline() == "held\n"
        with (
            pytest.raises(
                InputError, match=rf"^Another {work} works in out just now; wait until it has ended, or choose"
            ) as found,
            locked(tmp_path / "out", work),
        ):
            pass
        assert "\n" not in str(found.value)
        first.communicate("end\n") if ended is None else ended(first)
    with locked(tmp_path / "out", work):
        assert [file.name for file in (tmp_path / "out").iterdir()] == [LOCK]
    with locked(tmp_path / "out", "batch"):
        pass


def test_a_place_that_cannot_be_locked_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot be locked"), locked(tmp_path / "file", "batch"):
        pass
