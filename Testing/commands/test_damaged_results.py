"""Damaged results, whichever command reads them: a sentence, exit code 2, and every file as it was."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from commanded import refused
from dicom_files import write_series
from host.handmade import GRIDS, handmade_result
from lnhg.core.nrrd_file import write_nrrd
from lnhg.core.seal import SEAL
from lnhg.readers.image_file import read_beside
from lnhg.readers.read_ct import read_ct
from lnhg.writers.own_files import DIGESTS
from lnhg.writers.results import save

pytest.importorskip("highdicom", reason="the export to DICOM needs the extra dicom")

CANDIDATE = {
    "score": 0.9,
    "origin": "detector",
    "centre_ras": [1, 2, 3],
    "size_mm": [3, 4, 5],
    "boxes_ras": [[[1, 2, 3], [2, 2, 3], [2, 3, 3], [1, 3, 3]]],
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a CT (`ct`, DICOM) and its results (`results`), as the module keeps them."""
    folder = tmp_path_factory.mktemp("made")
    result = handmade_result(GRIDS["axial"])
    write_series(folder / "ct", result.ct.hu, result.ct.ijk_to_ras)
    save(replace(result, ct=read_ct(folder / "ct"), candidates=(CANDIDATE,)), folder / "results", for_scene=True)
    return folder


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path


REPORT = ("report", "{0}/results", "--ct", "{0}/ct")
FOLLOW = ("follow", "{0}/results={0}/ct", "{0}/results={0}/ct", "--days", "90", "--output", "{0}/out")
DICOM = ("export", "dicom", "{0}/results", "--source", "{0}/ct", "--output", "{0}/out")
REDCAP = ("export", "redcap", "{0}/results", "--output", "{0}/out")


def changed(place: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """The record changed by hand, as one of a version that did not seal it."""
    path = place / "results" / "result.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    del record[SEAL], record[DIGESTS]
    change(record)
    path.write_text(json.dumps(record), encoding="utf-8")


RECORDS: dict[str, Callable[[dict[str, Any]], object]] = {
    "a score of a candidate that is no number": lambda r: r["candidates"][0].update(score=float("nan")),
    "a candidate without end": lambda r: r["candidates"][0].update(boxes_ras=[[[float("inf"), 2, 3]] * 4]),
    "a candidate without boxes": lambda r: r["candidates"][0].pop("boxes_ras"),
    "half a box of a candidate": lambda r: r["candidates"][0]["boxes_ras"][0].pop(),
    "a volume without end": lambda r: r["nodules"][0].update(volume_mm3=float("inf")),
    "a volume that no nodule has": lambda r: r["nodules"][0].update(volume_mm3=1e300),
    "a number that is text": lambda r: r["nodules"][0].update(volume_mm3="large"),
    "a truth that is a word": lambda r: r["nodules"][0].update(touches_pleura="maybe"),
    "a range that falls": lambda r: r["nodules"][0].update(volume_same_low_mm3=5, volume_same_high_mm3=1),
    "half a range": lambda r: r["nodules"][0].update(volume_same_low_mm3=5, volume_same_high_mm3=None),
    "a slice range of one number": lambda r: r["options"].update(slices=[1]),
    "no smallest diameter": lambda r: r["options"].update(minimum_diameter=None),
    "a truth that is a number": lambda r: r["options"].update(anywhere=0.5),
    "weights that are none": lambda r: r["provenance"].update(weights=[]),
    "no nodules": lambda r: r.pop("nodules"),
    "a later format": lambda r: r.update(format=99),
}


@pytest.mark.parametrize("what", RECORDS)
def test_a_damaged_record_is_refused(place: Path, capfd: pytest.CaptureFixture[str], what: str) -> None:
    changed(place, RECORDS[what])
    for command in (REPORT, FOLLOW, DICOM, *([REDCAP] if "candidate" not in what and "weights" not in what else [])):
        refused([word.format(place) for word in command], place, capfd)


@pytest.mark.parametrize("content", [b"", b"{", b"[1, 2]", b'{"format": 3}', b"\xff\xfe\0", b"null", b"[" * 100_000])
@pytest.mark.parametrize("command", [REPORT, FOLLOW, DICOM, REDCAP], ids=lambda command: " ".join(command[:2]))
def test_a_record_that_is_none_is_refused(
    place: Path, capfd: pytest.CaptureFixture[str], command: tuple[str, ...], content: bytes
) -> None:
    (place / "results" / "result.json").write_bytes(content)
    refused([word.format(place) for word in command], place, capfd)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def rewritten(path: Path, change: Callable[[np.ndarray], np.ndarray], moved: float = 0.0) -> None:
    volume = read_beside(path)
    grid = volume.ijk_to_ras.copy()
    grid[0, 3] += moved
    write_nrrd(path, change(volume.values), grid)


FILES: dict[str, Callable[[Path], object]] = {
    "labels that are cut off": lambda place: cut(place / "labels.nrrd"),
    "no labels": lambda place: (place / "labels.nrrd").unlink(),
    "labels elsewhere": lambda place: rewritten(place / "labels.nrrd", lambda labels: labels, 5.0),
    "labels of fewer slices": lambda place: rewritten(place / "labels.nrrd", lambda labels: labels[1:]),
    "labels of another nodule": lambda place: rewritten(place / "labels.nrrd", lambda labels: labels * np.uint16(3)),
    "labels without one": lambda place: rewritten(place / "labels.nrrd", lambda labels: labels * np.uint16(0)),
    "a map that is cut off": lambda place: cut(place / "heterogeneity.nrrd"),
    "no map": lambda place: (place / "heterogeneity.nrrd").unlink(),
    "a text for a map": lambda place: (place / "heterogeneity.nrrd").write_text("mine"),
}


@pytest.mark.parametrize("what", FILES)
@pytest.mark.parametrize("sealed", [True, False], ids=["sealed", "not sealed"])
def test_damaged_images_of_a_result_are_refused(
    place: Path, capfd: pytest.CaptureFixture[str], what: str, sealed: bool
) -> None:
    if not sealed:
        changed(place, lambda record: None)
    FILES[what](place / "results")
    for command in (REPORT, FOLLOW, DICOM):
        refused([word.format(place) for word in command], place, capfd)


@pytest.mark.parametrize(
    "change", [lambda text: text + "\n", lambda text: text.replace("e", "x", 1), lambda text: ""], ids=range(3)
)
def test_a_table_that_a_person_changed_is_not_written_anew(
    made: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, change: Any
) -> None:
    monkeypatch.setattr("lnhg.writers.results._write_scene", lambda *_: "not written")
    monkeypatch.setattr("lnhg.writers.results.nodule_planes", lambda result: [()] * len(result.nodules))
    monkeypatch.setattr("lnhg.writers.results.write_sheet", lambda path, *_: path.write_bytes(b"picture"))
    ct = read_ct(made / "ct")
    save(replace(handmade_result(GRIDS["axial"]), ct=ct), tmp_path / "results")
    table = tmp_path / "results" / "nodules.csv"
    table.write_text(change(table.read_text(encoding="utf-8")), encoding="utf-8")
    words = ["report", tmp_path / "results", "--ct", made / "ct"]
    refused(words, tmp_path, capfd, "nodules.csv in ")


@pytest.mark.parametrize("study", ["=", "{0}/results=", "={0}/ct"])
@pytest.mark.parametrize("first", [True, False], ids=["first", "second"])
def test_half_of_results_and_ct_is_never_taken_for_the_folder_one_is_in(
    place: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, study: str, first: bool
) -> None:
    monkeypatch.chdir(place / "ct")
    studies = [study, "{0}/results={0}/ct"] if first else ["{0}/results={0}/ct", study]
    words = ["follow", *studies, "--days", "90", "--output", "{0}/out"]
    refused([word.format(place) for word in words], place, capfd, "write RESULTS=CT")
