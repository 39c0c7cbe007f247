"""What a command tells, the code it ends with and what it leaves: a refusal, or a result that keeps its notes."""

from __future__ import annotations

import html
import json
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from lnhg.cli import main
from lnhg.followup.read_back import FILES as FOLLOW_FILES
from lnhg.writers.results import FILES

# Names shorter than this can be a part of any text.
_SHORT = 6


def refused(words: Sequence[object], folder: Path, capture: pytest.CaptureFixture[str], *said: str) -> str:
    """The sentence with which a command refuses: one line that says what to do, exit code 2, and everything in the
    folder as it was.
    """
    before = lying_in(folder)
    capture.readouterr()
    code = main([str(word) for word in words])
    out, err = capture.readouterr()
    assert (code, out, err.count("\n")) == (2, "", 1), (code, out, err)
    for one in said:
        assert one in err
    wrong, remedy = err.strip().rsplit("; ", 1)
    assert wrong and remedy.endswith(".") and ". " not in remedy
    assert lying_in(folder) == before
    return err


def lying_in(place: Path) -> dict[str, tuple[int, ...]]:
    """A file, or everything in a folder, however deep: its kind and, but for folders, its size and when it was
    written.
    """
    found = {}
    for path in (place, *place.rglob("*")):
        told = path.lstat()
        of_file = () if stat.S_ISDIR(told.st_mode) else (told.st_size, told.st_mtime_ns)
        found[str(path.relative_to(place))] = (stat.S_IFMT(told.st_mode), *of_file)
    return found


class Told(NamedTuple):
    """What a run told: its record (`result.json`), what stood on the screen, report (HTML) and table (CSV)."""

    record: dict[str, Any]
    screen: str
    report: str
    table: str

    def notes(self, words: str) -> bool:
        return any(words in note for note in self.record["warnings"])


def segmented(
    place: Path, capture: pytest.CaptureFixture[str], *more: object, names: Mapping[str, object] | None = None
) -> Told:
    """What `lnhg segment`, with stand-ins of the networks, tells of a CT and leaves.

    It ends with 0, writes all files of a result and nothing else, and leaves the CT as it was; each note is told on the
    screen and kept in record and report; nothing that is kept holds one of the `names` of a person, file or series.
    """
    before = lying_in(place)
    capture.readouterr()
    with tempfile.TemporaryDirectory() as folder, _stand_ins("lnhg.pipeline"):
        output = Path(folder) / place.name.partition(".")[0]
        code = main([str(word) for word in ("segment", place, "--output", output, *more)])
        out, err = capture.readouterr()
        assert (code, err) == (0, "")
        assert {one.name for one in output.iterdir()} == {*FILES.values()} - {FILES["scene"]}
        kept = {name: (output / FILES[name]).read_text(encoding="utf-8") for name in ("record", "report", "table")}
    assert lying_in(place) == before
    told = Told(json.loads(kept["record"]), out, kept["report"], kept["table"])
    for note in told.record["warnings"]:
        assert f"Note: {note}\n" in out and note in html.unescape(told.report)
    for name in (str(one) for one in (names or {}).values()):
        assert len(name) < _SHORT or not any(name in text for text in kept.values()), name
    return told


def followed(studies: Sequence[object], inputs: Path, capture: pytest.CaptureFixture[str], *more: object) -> list[str]:
    """The notes of `lnhg follow`, with stand-ins of the networks, on studies that lie in the folder `inputs`.

    It ends with 0, writes all files of a follow-up and nothing else, and leaves the inputs as they were; each note is
    told on the screen and kept in record and report; nothing that is kept names where the studies lie.
    """
    before = lying_in(inputs)
    capture.readouterr()
    with tempfile.TemporaryDirectory() as folder, _stand_ins("lnhg.followup.follow") as patched:
        patched.setattr("lnhg.followup.written.write_scene", lambda *_: "not written")
        output = Path(folder) / "out"
        code = main([str(word) for word in ("follow", *studies, "--output", output, *more)])
        out, err = capture.readouterr()
        assert (code, err) == (0, "")
        folders = {f"study-{number}" for number in range(1, len(studies) + 1)}
        assert {one.name for one in output.iterdir()} == {*FOLLOW_FILES.values(), *folders} - {FOLLOW_FILES["scene"]}
        kept = {name: (output / FOLLOW_FILES[name]).read_text(encoding="utf-8") for name in ("record", "report")}
    assert lying_in(inputs) == before
    notes = json.loads(kept["record"])["notes"]
    for note in notes:
        assert f"Note: {note}\n" in out and note in html.unescape(kept["report"])
    assert not any(str(inputs) in text for text in kept.values())
    return notes


@contextmanager
def _stand_ins(opens_models: str) -> Iterator[pytest.MonkeyPatch]:
    """Stand-ins of the networks, where the module of that name opens them, and of pictures and scene of a result."""
    from standins import standin_models

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(f"{opens_models}.open_models", lambda *_, **__: standin_models())
        patched.setattr("lnhg.writers.results._write_scene", lambda *_: "not written")
        patched.setattr("lnhg.writers.results.nodule_planes", lambda result: [()] * len(result.nodules))
        patched.setattr("lnhg.writers.results.write_sheet", lambda path, *_: path.write_bytes(b"picture"))
        yield patched
