"""What a run could not see, as a user meets it: no lungs, no sides and masses that are cut are told on the screen and
kept in record and report, and the command ends with 0.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from balls_ct import CT_AXIAL
from commanded import refused, segmented
from lnhg.core.ct import CT
from lnhg.core.nrrd_file import write_nrrd
from pipeline.test_pipeline import abdomen, cube
from readers.test_hu_offset import GRID, chest
from standins import standin_models
from systems import posix_only

_HU = chest()[5:15]
_NODULE = 60


def written(folder: Path, hu: np.ndarray, grid: np.ndarray = GRID) -> Path:
    write_nrrd(folder / "ct.nrrd", hu.astype(np.int16), grid)
    return folder / "ct.nrrd"


def with_nodule(left_mm: float) -> np.ndarray:
    """A chest with a nodule of 16 mm in its fifth slice, so many mm to the left of its middle."""
    k, j, i = np.mgrid[:10, -50:50, -50:50] * np.array([5, 3, 3])[:, None, None, None]
    return np.where((k - 20) ** 2 + j**2 + (i - left_mm) ** 2 < 64, _NODULE, _HU)


def seed_at(left_mm: float, scale: float = 1.0) -> list[str]:
    """What asks for the nodule of `with_nodule` alone; all lengths times `scale`."""
    return ["--seeds-only", "--seed", f"{-left_mm * scale},0,{-80 * scale}"]


# ---------------------------------------------------------------- lungs and sides


def within(diameter: float) -> np.ndarray:
    """Pixels of a slice of the chest that lie in a circle around its middle, mm."""
    return np.hypot(*np.mgrid[-50:50, -50:50] * 3.0) < diameter / 2


@pytest.mark.parametrize(
    ("diameter", "padding", "left_mm", "side"),
    [(200, -1024, 80, "left"), (220, -2000, -80, "right"), (210, 0, 75, "left")],
)
def test_a_nodule_in_a_lung_that_a_round_field_cuts_is_found_with_its_side(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], diameter: float, padding: int, left_mm: float, side: str
) -> None:
    told = segmented(written(tmp_path, np.where(within(diameter), with_nodule(left_mm), padding)), capfd)
    place = (-left_mm, 0, -80)
    (found,) = [one for one in told.record["nodules"] if np.linalg.norm(np.subtract(centre(one), place)) < 6]
    assert found["side"] == side and not told.notes("No lungs were found")


def centre(nodule: dict[str, float]) -> list[float]:
    return [nodule[f"centre_{axis}_mm"] for axis in "ras"]


@pytest.mark.parametrize("columns", [slice(52, 100), slice(48, 95), slice(56, 90)], ids=str)
def test_in_a_field_of_mostly_the_left_lung_no_nodule_is_called_right(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], columns: slice
) -> None:
    grid = GRID @ np.array([[1, 0, 0, columns.start], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    told = segmented(written(tmp_path, with_nodule(65)[..., columns], grid), capfd, *seed_at(65))
    (nodule,) = told.record["nodules"]
    unknown = nodule["side"] == "unknown"
    assert unknown or nodule["side"] == "left"
    assert unknown == told.notes("does not show which lung is which")


@pytest.mark.parametrize("scale", [0.6, 0.5, 0.45])
def test_a_nodule_in_a_childs_lung_has_its_side(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], scale: float
) -> None:
    grid = np.diag([scale, scale, scale, 1.0]) @ GRID
    told = segmented(written(tmp_path, with_nodule(65), grid), capfd, *seed_at(65, scale))
    assert [nodule["side"] for nodule in told.record["nodules"]] == ["left"]


@pytest.mark.parametrize("ct", [CT_AXIAL, cube(), abdomen()], ids=["cut-out", "cube", "abdomen"])
def test_without_lungs_nothing_is_called_a_nodule_unless_asked_for(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], ct: CT
) -> None:
    path = written(tmp_path, ct.hu, ct.ijk_to_ras)
    told = segmented(path, capfd)
    assert told.record["nodules"] == told.record["candidates"] == [] and "No nodule found in" in told.screen
    assert told.notes("No lungs were found in the field of view: sides are unknown and no nodules were looked for")
    asked = segmented(path, capfd, "--anywhere")
    assert {nodule["side"] for nodule in asked.record["nodules"]} == {"unknown"}
    assert asked.notes("sides are unknown, and the whole CT was searched")


_AS_LARGE_AS_NOBODY = "litres, more than the lungs of any patient"


@pytest.mark.parametrize(
    ("scale", "change"),
    [
        pytest.param(2.0, lambda hu: hu, id="sizes twice too large"),
        pytest.param(2.4, lambda hu: hu, id="more than twice"),
        pytest.param(1.5, lambda hu: np.maximum(hu, -600), id="all air cut off at -600"),
        pytest.param(1.5, lambda hu: hu // 2, id="half of all values"),
    ],
)
def test_lungs_as_large_as_nobody_has_are_told(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], scale: float, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    grid = np.diag([scale, scale, scale, 1.0]) @ GRID
    path = written(tmp_path, change(np.maximum(chest(), -1024)), grid)
    assert segmented(path, capfd, "--seeds-only", "--seed", f"0,0,{-50 * scale}").notes(_AS_LARGE_AS_NOBODY)


@pytest.mark.parametrize("scale", [0.5, 1.0, 1.2])
def test_lungs_of_any_patient_are_no_news(tmp_path: Path, capfd: pytest.CaptureFixture[str], scale: float) -> None:
    path = written(tmp_path, np.maximum(chest(), -1024), np.diag([scale, scale, scale, 1.0]) @ GRID)
    assert not segmented(path, capfd, "--seeds-only", "--seed", f"0,0,{-50 * scale}").notes(_AS_LARGE_AS_NOBODY)


# ---------------------------------------------------------------- masses


@pytest.mark.parametrize(
    ("place", "seed"), [((0, 30, 30), "-30,-30,0"), ((10, 0, 30), "-30,0,10"), ((10, 30, 59), "-59,-30,10")], ids=str
)
def test_a_nodule_that_is_cut_has_lower_bounds_everywhere(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], place: tuple[int, int, int], seed: str
) -> None:
    k, j, i = np.ogrid[:20, :60, :60]
    near = (k - place[0]) ** 2 + (j - place[1]) ** 2 + (i - place[2]) ** 2 <= 16
    path = written(tmp_path, np.where(near, _NODULE, -850), np.diag([-1.0, -1.0, 1.0, 1.0]))
    told = segmented(path, capfd, "--seeds-only", "--seed", seed)
    (nodule,) = told.record["nodules"]
    assert nodule["cut"] == "yes" and "at least" in told.screen and "at least" in told.report


@pytest.mark.parametrize("start", ["=1+1", "+cmd|x!A0", "@SUM(A1)", "-2+3"])
def test_no_sentence_becomes_a_formula_of_a_spreadsheet(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], start: str
) -> None:
    path = written(tmp_path, CT_AXIAL.hu, CT_AXIAL.ijk_to_ras)
    told = segmented(path, capfd, "--anywhere", f"--sentence={start} {{place}}")
    cells = [cell for row in csv.reader(io.StringIO(told.table)) for cell in row]
    assert any(cell.startswith(f"'{start} ") for cell in cells)
    assert not any(cell.startswith(start) for cell in cells)


# ---------------------------------------------------------------- disks and names


@pytest.mark.parametrize("writer", ["write_nrrd", "write_segmentation", "report_html"])
def test_a_full_disk_leaves_no_half_of_a_result(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, writer: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lnhg.pipeline.open_models", lambda *_, **__: standin_models())
    monkeypatch.setattr("lnhg.writers.results._write_scene", lambda *_: "not written")
    monkeypatch.setattr("lnhg.writers.results.nodule_planes", lambda result: [])
    monkeypatch.setattr(f"lnhg.writers.results.{writer}", full)
    path = written(tmp_path, CT_AXIAL.hu, CT_AXIAL.ijk_to_ras)
    words = ["segment", path, "--output", tmp_path / "out"]
    refused(words, tmp_path, capfd, "cannot be written to", "No space left on device", "choose another folder")


@pytest.mark.parametrize(
    "name", ["患者 山田", "Müller & Söhne (2)", "x" * 200, pytest.param("\udcff\udcfe", marks=posix_only)]
)
def test_a_ct_and_results_of_any_name_are_read_and_written(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    write_nrrd(folder / f"{name}.nrrd", CT_AXIAL.hu, CT_AXIAL.ijk_to_ras)
    segmented(folder / f"{name}.nrrd", capfd)
