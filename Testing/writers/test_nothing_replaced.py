"""Results never take the place of a file that is none."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from commanded import refused
from host.handmade import GRIDS, handmade_result
from lnhg.cli import main
from lnhg.core.ct import CT
from lnhg.core.nrrd_file import write_nrrd
from lnhg.core.result import Result
from lnhg.errors import InputError
from lnhg.writers import results
from lnhg.writers.read_back import load_result
from lnhg.writers.results import FILES, check_folder, save
from systems import posix_only


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pictures and scene, which take longest to make."""
    monkeypatch.setattr(results, "nodule_planes", lambda result: [])
    monkeypatch.setattr(results, "write_sheet", lambda path, *_: path.write_bytes(b"picture"))
    monkeypatch.setattr(results, "report_html", lambda *_: "report")
    monkeypatch.setattr(results, "_write_scene", lambda *_: "not written")


@pytest.fixture
def result() -> Result:
    return handmade_result(GRIDS["axial"])


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize(
    "name", ["labels.nrrd", "report.html", "nodules.csv", "result.json", "scene.mrb", "generated.nrrd"]
)
def test_a_foreign_file_of_the_name_of_a_result_is_named_and_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], result: Result, name: str
) -> None:
    (tmp_path / name).write_text("mine")
    (tmp_path / "notes.txt").write_text("mine too")
    said = f"{name} in {tmp_path} would be replaced"
    refused(["segment", tmp_path / "ct.nrrd", "--output", tmp_path], tmp_path, capsys, said)
    with pytest.raises(InputError, match=f"^{said}"):
        save(result, tmp_path)
    assert contents(tmp_path) == {name: b"mine", "notes.txt": b"mine too"}


@pytest.mark.parametrize("name", ["labels.nrrd", "nodules.csv", "heterogeneity.nrrd", "report.html"])
def test_a_result_that_a_person_changed_is_not_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], result: Result, name: str
) -> None:
    save(result, tmp_path)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes() + b"\nmy correction")
    said = f"{name} in {tmp_path} would be replaced"
    refused(["segment", tmp_path / "ct.nrrd", "--output", tmp_path], tmp_path, capsys, said)
    with pytest.raises(InputError, match=f"^{said}"):
        save(result, tmp_path)


def test_a_record_that_a_person_changed_is_not_replaced(tmp_path: Path, result: Result) -> None:
    save(result, tmp_path)
    record = json.loads((tmp_path / "result.json").read_text())
    (tmp_path / "result.json").write_text(json.dumps({**record, "warnings": ["looked at"]}))
    with pytest.raises(InputError, match=r"^result\.json in "):
        check_folder(tmp_path)


def test_own_results_are_replaced_again_and_again_and_other_files_stay(tmp_path: Path, result: Result) -> None:
    for _ in range(3):
        save(result, tmp_path / "out")
        (tmp_path / "out" / "notes.txt").write_text("mine")
    save(result, tmp_path / "out", for_scene=True)
    save(result, tmp_path / "out")
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"
    assert not (tmp_path / "out" / "generated.nrrd").exists()


def test_results_of_before_records_told_of_their_files_are_replaced(tmp_path: Path, result: Result) -> None:
    save(result, tmp_path)
    record = json.loads((tmp_path / "result.json").read_text())
    del record["seal"], record["files"]
    (tmp_path / "result.json").write_text(json.dumps(record))
    check_folder(tmp_path)
    assert set(json.loads(save(result, tmp_path)["record"].read_text())["files"]) >= {"labels.nrrd", "nodules.csv"}


@posix_only
@pytest.mark.parametrize("target", ["victim", "nowhere", "folder"])
@pytest.mark.parametrize("name", ["labels.nrrd", "result.json"])
def test_a_link_of_the_name_of_a_result_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], result: Result, name: str, target: str
) -> None:
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).symlink_to(tmp_path / target)
    refused(["segment", tmp_path / "ct.nrrd", "--output", tmp_path / "out"], tmp_path, capsys, f"{name} in ")
    with pytest.raises(InputError, match=rf"^{name} in "):
        save(result, tmp_path / "out")
    assert (tmp_path / "victim").read_text() == "mine" and not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("name", ["labels.nrrd", "heterogeneity.nrrd", "picture.png"])
def test_segment_refuses_before_it_reads_the_ct_even_where_the_ct_itself_would_be_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (tmp_path / name).write_text("a CT of mine")
    assert main(["segment", str(tmp_path / name), "--output", str(tmp_path)]) == 2
    assert f"lnhg: {name} in {tmp_path} would be replaced" in capsys.readouterr().err
    assert contents(tmp_path) == {name: b"a CT of mine"}


# ---------------------------------------------------------------- files that do not belong together


@pytest.mark.parametrize("names", [["labels.nrrd"], ["heterogeneity.nrrd"], ["labels.nrrd", "heterogeneity.nrrd"]])
def test_files_of_two_runs_are_not_read_as_one_result(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], result: Result, names: list[str]
) -> None:
    save(result, tmp_path / "one")
    other = replace(
        result, labels=result.labels[:, :, ::-1].copy(), heterogeneity=result.heterogeneity[:, :, ::-1].copy()
    )
    save(other, tmp_path / "two")
    for name in names:
        shutil.copy(tmp_path / "two" / name, tmp_path / "one" / name)
    named = ", ".join(names)
    said = f"{named} in one is not as the run wrote it; run again, or give all files of one run."
    write_nrrd(tmp_path / "ct.nrrd", result.ct.hu, result.ct.ijk_to_ras)
    refused(["report", tmp_path / "one", "--ct", tmp_path / "ct.nrrd"], tmp_path, capsys, said)


def test_labels_without_their_nodules_are_noticed_in_results_of_before_too(tmp_path: Path, result: Result) -> None:
    save(result, tmp_path)
    record = json.loads((tmp_path / "result.json").read_text())
    del record["seal"], record["files"]
    record["nodules"].pop()
    (tmp_path / "result.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match=r"^labels\.nrrd holds other nodules than result\.json"):
        load_result(tmp_path, CT(result.ct.hu, result.ct.ijk_to_ras))


def test_no_cell_of_the_table_is_a_formula(tmp_path: Path, result: Result) -> None:
    first, *rest = result.nodules
    save(replace(result, nodules=(replace(first, side="=HYPERLINK(1)"), *rest)), tmp_path)
    with (tmp_path / FILES["table"]).open(newline="", encoding="utf-8") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert "'=HYPERLINK(1)" in cells
    assert not [cell for cell in cells if cell.startswith(("=", "@", "+"))]
