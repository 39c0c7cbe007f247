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


_NO_RECORD = "The record result.json of the run cannot be read; run again."
_NO_STUDY = "results holds no record of a run that can be read; give a folder that segment wrote."


RECORDS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "a score of a candidate that is no number": (lambda r: r["candidates"][0].update(score=float("nan")), _NO_RECORD),
    "a candidate without end": (
        lambda r: r["candidates"][0].update(boxes_ras=[[[float("inf"), 2, 3]] * 4]),
        _NO_RECORD,
    ),
    "a candidate without boxes": (lambda r: r["candidates"][0].pop("boxes_ras"), _NO_RECORD),
    "half a box of a candidate": (lambda r: r["candidates"][0]["boxes_ras"][0].pop(), _NO_RECORD),
    "a volume without end": (lambda r: r["nodules"][0].update(volume_mm3=float("inf")), _NO_RECORD),
    "a volume that no nodule has": (
        lambda r: r["nodules"][0].update(volume_mm3=1e300),
        "The nodule table holds '1e+300' in its column volume (mm3)",
    ),
    "a number that is text": (
        lambda r: r["nodules"][0].update(volume_mm3="large"),
        "The nodule table holds 'large' in its column volume (mm3)",
    ),
    "a truth that is a word": (
        lambda r: r["nodules"][0].update(touches_pleura="maybe"),
        "The nodule table holds 'maybe' in its column touches pleura",
    ),
    "a range that falls": (
        lambda r: r["nodules"][0].update(volume_same_low_mm3=5, volume_same_high_mm3=1),
        "The nodule table holds a range of volume same that is none",
    ),
    "half a range": (
        lambda r: r["nodules"][0].update(volume_same_low_mm3=5, volume_same_high_mm3=None),
        "The nodule table holds a range of volume same that is none",
    ),
    "a slice range of one number": (
        lambda r: r["options"].update(slices=[1]),
        "The options of the run hold '[1]' as slices",
    ),
    "no smallest diameter": (
        lambda r: r["options"].update(minimum_diameter=None),
        "The options of the run hold 'None' as minimum_diameter",
    ),
    "a truth that is a number": (
        lambda r: r["options"].update(anywhere=0.5),
        "The options of the run hold '0.5' as anywhere",
    ),
    "weights that are none": (lambda r: r["provenance"].update(weights=[]), _NO_RECORD),
    "no nodules": (lambda r: r.pop("nodules"), _NO_RECORD),
    "a later format": (lambda r: r.update(format=99), "The results have format 99, this version of LNHG reads up to"),
}


@pytest.mark.parametrize("what", RECORDS)
def test_a_damaged_record_is_refused(place: Path, capfd: pytest.CaptureFixture[str], what: str) -> None:
    change, said = RECORDS[what]
    changed(place, change)
    for command in (REPORT, FOLLOW, DICOM):
        refused([word.format(place) for word in command], place, capfd, said)
    if "candidate" not in what and "weights" not in what:
        by_redcap = _NO_STUDY if said == _NO_RECORD else said
        refused([word.format(place) for word in REDCAP], place, capfd, by_redcap)


@pytest.mark.parametrize("content", [b"", b"{", b"[1, 2]", b'{"format": 3}', b"\xff\xfe\0", b"null", b"[" * 100_000])
@pytest.mark.parametrize("command", [REPORT, FOLLOW, DICOM, REDCAP], ids=lambda command: " ".join(command[:2]))
def test_a_record_that_is_none_is_refused(
    place: Path, capfd: pytest.CaptureFixture[str], command: tuple[str, ...], content: bytes
) -> None:
    (place / "results" / "result.json").write_bytes(content)
    said = _NO_STUDY if command == REDCAP else _NO_RECORD
    refused([word.format(place) for word in command], place, capfd, said)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def rewritten(path: Path, change: Callable[[np.ndarray], np.ndarray], moved: float = 0.0) -> None:
    volume = read_beside(path)
    grid = volume.ijk_to_ras.copy()
    grid[0, 3] += moved
    write_nrrd(path, change(volume.values), grid)


def _lost(name: str) -> str:
    return f"The file {name}.nrrd of the run is missing or damaged; run again."


_OTHER_NODULES = "labels.nrrd holds other nodules than result.json; give all files of one run."
_CHANGED = "labels.nrrd in results is not as the run wrote it; run again, or give all files of one run."
FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "labels that are cut off": (lambda place: cut(place / "labels.nrrd"), _lost("labels")),
    "no labels": (lambda place: (place / "labels.nrrd").unlink(), _lost("labels")),
    "labels elsewhere": (
        lambda place: rewritten(place / "labels.nrrd", lambda labels: labels, 5.0),
        "labels.nrrd lies 5 mm away from the CT; nothing was taken over, run again.",
    ),
    "labels of fewer slices": (
        lambda place: rewritten(place / "labels.nrrd", lambda labels: labels[1:]),
        "The sizes of labels.nrrd and the CT differ (50 x 60 x 19 and 50 x 60 x 20 voxels)",
    ),
    "labels of another nodule": (
        lambda place: rewritten(place / "labels.nrrd", lambda labels: labels * np.uint16(3)),
        _OTHER_NODULES,
    ),
    "labels without one": (
        lambda place: rewritten(place / "labels.nrrd", lambda labels: labels * np.uint16(0)),
        _OTHER_NODULES,
    ),
    "a map that is cut off": (lambda place: cut(place / "heterogeneity.nrrd"), _lost("heterogeneity")),
    "no map": (lambda place: (place / "heterogeneity.nrrd").unlink(), _lost("heterogeneity")),
    "a text for a map": (lambda place: (place / "heterogeneity.nrrd").write_text("mine"), _lost("heterogeneity")),
}


@pytest.mark.parametrize("what", FILES)
@pytest.mark.parametrize("sealed", [True, False], ids=["sealed", "not sealed"])
def test_damaged_images_of_a_result_are_refused(
    place: Path, capfd: pytest.CaptureFixture[str], what: str, sealed: bool
) -> None:
    if not sealed:
        changed(place, lambda record: None)
    change, said = FILES[what]
    change(place / "results")
    for command in (REPORT, FOLLOW, DICOM):
        words = [word.format(place) for word in command]
        refused(words, place, capfd, _CHANGED if sealed and said == _OTHER_NODULES else said)


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
    refused(
        words,
        tmp_path,
        capfd,
        f"nodules.csv in {tmp_path / 'results'} would be replaced",
        "changed since; move it away",
    )


@pytest.mark.parametrize("study", ["=", "{0}/results=", "={0}/ct"])
@pytest.mark.parametrize("first", [True, False], ids=["first", "second"])
def test_half_of_results_and_ct_is_never_taken_for_the_folder_one_is_in(
    place: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, study: str, first: bool
) -> None:
    monkeypatch.chdir(place / "ct")
    studies = [study, "{0}/results={0}/ct"] if first else ["{0}/results={0}/ct", study]
    words = ["follow", *studies, "--days", "90", "--output", "{0}/out"]
    refused([word.format(place) for word in words], place, capfd, "write RESULTS=CT")
