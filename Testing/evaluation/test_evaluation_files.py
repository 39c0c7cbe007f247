"""`lnhg evaluate` on files and folders, results of other systems, and the dataset for nnU-Net."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

import commanded
from commanded import lying_in
from lnhg.cli import main
from lnhg.core.ct import CT
from lnhg.core.nodule import Nodule, as_row, from_row, header
from lnhg.core.nrrd_file import write_nrrd
from lnhg.data.nnunet import write_nnunet
from lnhg.data.splits import list_of
from lnhg.errors import InputError
from lnhg.evaluation.foreign_results import (
    read_labels_on,
    read_luna16,
    read_monai_boxes,
    read_nodule_net,
    read_total_segmentator,
)

GRID = np.diag([-0.5, -0.5, 2.0, 1.0])


def labels(*boxes: tuple[int, int, int]) -> np.ndarray:
    """A map with nodule n of 2 x 4 x 4 voxels at the n-th corner (slice, row, column)."""
    result = np.zeros((6, 30, 30), np.uint8)
    for number, (k, j, i) in enumerate(boxes, 1):
        result[k : k + 2, j : j + 4, i : i + 4] = number
    return result


def write(path: Path, array: np.ndarray, grid: np.ndarray = GRID) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".nrrd":
        write_nrrd(path, array, grid)
    else:
        image = sitk.GetImageFromArray(array)
        image.SetSpacing((0.5, 0.5, 2.0))
        sitk.WriteImage(image, str(path))
    return path


def evaluate(*words: object) -> int:
    return main(["evaluate", *map(str, words)])


# Two files
# --------------------------------------------------------------------------------------------------------------


def test_two_files_give_a_line_a_nodule_as_the_readme_shows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reference = write(tmp_path / "reference.nrrd", labels((0, 2, 2), (3, 20, 20)))
    found = write(tmp_path / "labels.nrrd", labels((3, 8, 22), (0, 2, 4), (1, 14, 14)))
    assert evaluate(found, reference) == 0
    assert capsys.readouterr().out.splitlines() == [
        "reference nodule 1: label 2, Dice 0.500",
        "reference nodule 2: missed",
        "1 of 2 found, mean Dice 0.500 of those; 2 other labels",
    ]


def test_the_csv_holds_all_measures_of_each_reference_nodule(tmp_path: Path) -> None:
    reference = write(tmp_path / "reference.nrrd", labels((0, 2, 2), (3, 20, 20)))
    found = write(tmp_path / "labels.nrrd", labels((0, 2, 4)))
    assert evaluate(found, reference, "--output", tmp_path / "scores.csv") == 0
    with (tmp_path / "scores.csv").open() as file:
        hit, missed = csv.DictReader(file)
    assert (hit["label"], hit["Dice"], hit["intersection over union"]) == ("1", "0.5000", "0.3333")
    assert (hit["reference volume (mm3)"], hit["relative volume error"]) == ("16.0000", "0.0000")
    assert hit["Hausdorff 95% (mm)"] == "1.0000"
    assert (missed["label"], missed["Dice"], missed["Hausdorff 95% (mm)"]) == ("0", "0.0000", "")
    assert not list(tmp_path.glob("*.partial"))


# Two folders
# ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Two cases; the system marks all nodules with 1 and has a false one in case A."""
    write(tmp_path / "reference" / "A.nrrd", labels((0, 2, 2), (3, 20, 20)))
    write(tmp_path / "reference" / "B.nrrd", labels((2, 10, 10)))
    found = labels((0, 2, 2), (3, 20, 20), (1, 12, 20))
    write(tmp_path / "system" / "A.nii.gz", (found > 0).astype(np.uint8))
    write(tmp_path / "system" / "B.nii.gz", labels())
    for name in "AB":  # NIfTI and NRRD of one CT
        image = sitk.ReadImage(str(tmp_path / "reference" / f"{name}.nrrd"))
        other = sitk.ReadImage(str(tmp_path / "system" / f"{name}.nii.gz"))
        other.CopyInformation(image)
        sitk.WriteImage(other, str(tmp_path / "system" / f"{name}.nii.gz"))
    (tmp_path / "system" / "plans.json").write_text("{}")
    for hidden in ("system/._A.nii.gz", "system/._B.nii.gz", "reference/._B.nrrd"):
        (tmp_path / hidden).write_bytes(b"\0\5\x16\7 of macOS")
    return tmp_path / "system", tmp_path / "reference"


def test_two_folders_are_matched_by_name_and_summed_up(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(*folders, "--alike", "--output", tmp_path / "scores.csv") == 0
    printed = capsys.readouterr().out
    assert "2 label maps, 2 of 3 reference nodules found" in printed
    assert "| Dice | 1.000 | 0.000 | 1.000 |" in printed
    assert "| nodules | 2 | 1 | 1 | 0.667 | 0.667 | 0.667 |" in printed
    # Slices 0 and 1 hold nodule 1, of which the second also the false positive's first; slices 3 and 4 hold nodule 2.
    assert "| on slices | 4 | 1 | 2 | 0.800 | 0.667 | 0.727 |" in printed
    with (tmp_path / "scores.csv").open() as file:
        assert [(row["file"], row["reference nodule"]) for row in csv.DictReader(file)] == [
            ("A", "1"),
            ("A", "2"),
            ("B", "1"),
        ]


def test_means_deviations_and_medians_are_over_the_nodules_that_were_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reference, found = labels((0, 2, 2), (3, 20, 20), (1, 10, 10), (0, 25, 2)), np.zeros((6, 30, 30), np.uint8)
    found[0, 2:6, 2:6] = 1  # half of the first
    found[3:5, 20:24, 20:24] = 2  # the second
    found[1:5, 10:14, 10:14] = 3  # twice the third; the fourth is missed
    write(tmp_path / "reference" / "A.nrrd", reference)
    write(tmp_path / "system" / "A.nrrd", found)
    assert evaluate(tmp_path / "system", tmp_path / "reference") == 0
    rows = dict(
        line.strip("| ").split(" | ", 1) for line in capsys.readouterr().out.splitlines() if line.startswith("| ")
    )

    def shown(*values: float) -> str:
        return f"{np.mean(values):.3f} | {np.std(values):.3f} | {np.median(values):.3f}"

    assert rows["Dice"] == shown(2 / 3, 1, 2 / 3)
    assert rows["intersection over union"] == shown(1 / 2, 1, 1 / 2)
    assert rows["sensitivity"] == shown(1 / 2, 1, 1) and rows["precision"] == shown(1, 1, 1 / 2)
    assert rows["Hausdorff 95% (mm)"] == shown(2, 0, 4)
    assert rows["relative volume error"] == shown(-1 / 2, 0, 1)
    assert rows["relative diameter error"] == shown(0.5 ** (1 / 3) - 1, 0, 2 ** (1 / 3) - 1)
    assert rows["found volume (mm3)"] == shown(8, 16, 32) and rows["reference volume (mm3)"] == shown(16, 16, 16)
    assert rows["nodules"] == "3 | 0 | 1 | 1.000 | 0.750 | 0.857"


def test_nodules_that_meet_at_a_corner_are_one_where_all_are_alike(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reference = write(tmp_path / "reference.nrrd", labels((0, 2, 2)))
    found = write(tmp_path / "labels.nrrd", (labels((0, 2, 2), (2, 6, 6), (0, 20, 20)) > 0).astype(np.uint8))
    assert evaluate(found, reference, "--alike") == 0
    assert "label 1, Dice 0.667" in (printed := capsys.readouterr().out) and "1 other labels" in printed


def test_a_system_that_marks_all_alike_is_told_so(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(*folders) == 0
    assert "| Dice | 0.500 |" in capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """What is said: one sentence on one line, with exit code 2, and nothing is printed as a result."""
    capsys.readouterr()
    assert evaluate(*words) == 2
    told = capsys.readouterr()
    assert told.out == "" and told.err.startswith("lnhg: ") and told.err.endswith(".\n") and told.err.count("\n") == 1
    return told.err


@pytest.mark.parametrize("ending", [".nrrd", ".mha", ".nii"])
@pytest.mark.parametrize("of_system", [True, False])
def test_two_label_maps_of_a_name_are_refused(
    folders: tuple[Path, Path], capfd: pytest.CaptureFixture[str], ending: str, of_system: bool
) -> None:
    system, reference = folders
    folder = system if of_system else reference
    (there,) = folder.glob("B.*")
    other = folder / f"B{'.nii.gz' if there.suffix == ending else ending}"
    shutil.copy(there, other)
    command = ["evaluate", system, reference, "--output", system.parent / "scores.csv"]
    commanded.refused(command, system.parent, capfd, there.name, other.name, "leave one label map of each name")


def test_what_cannot_be_scored_is_refused_with_a_sentence(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    system, reference = folders
    one = reference / "A.nrrd"
    empty = write(tmp_path / "empty.nrrd", labels())
    assert "empty.nrrd holds no nodule" in refused(capsys, one, empty)
    assert "missing.nrrd does not exist" in refused(capsys, one, tmp_path / "missing.nrrd")
    assert "missing.nrrd does not exist" in refused(capsys, tmp_path / "missing.nrrd", one)
    assert "nowhere does not exist" in refused(capsys, tmp_path / "nowhere", reference)
    assert "One of the two is a folder" in refused(capsys, system, one)
    (tmp_path / "nothing").mkdir()
    assert "holds no label map; put NRRD" in refused(capsys, tmp_path / "nothing", reference)
    (system / "B.nii.gz").unlink()
    assert "holds no label map for B; write one for each reference" in refused(capsys, system, reference)
    write(tmp_path / "blank" / "A.nrrd", labels())
    assert "blank holds a nodule" in refused(capsys, system, tmp_path / "blank")


def test_label_maps_of_other_grids_are_refused_alone_and_in_folders(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    system, reference = folders
    one = reference / "A.nrrd"
    small = write(tmp_path / "small.nrrd", labels()[1:])
    assert "small.nrrd and A.nrrd lie on different grids" in refused(capsys, small, one)
    moved = write(tmp_path / "moved.nrrd", labels(), GRID @ np.array([[1, 0, 0, 1], *np.eye(4)[1:].tolist()]))
    assert "moved.nrrd and A.nrrd lie on different grids" in refused(capsys, moved, one)
    coarse = write(tmp_path / "coarse.nrrd", labels(), np.diag([-0.6, -0.5, 2.0, 1.0]))
    assert "coarse.nrrd and A.nrrd lie on different grids" in refused(capsys, coarse, one)
    (system / "B.nii.gz").unlink()
    write(system / "B.nrrd", labels()[:, 1:])
    assert "B.nrrd and B.nrrd lie on different grids" in refused(capsys, system, reference)


@pytest.mark.parametrize(
    "values",
    [
        labels().astype(np.int16) - 850,
        np.full((6, 30, 30), 0.5, np.float32),
        np.full((6, 30, 30), np.nan, np.float32),
        np.full((6, 30, 30), np.inf, np.float32),
        np.full((6, 30, 30), 1e12),
    ],
    ids=["HU", "between numbers", "no numbers", "infinite", "beyond 32 bits"],
)
def test_images_that_are_no_label_maps_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], values: np.ndarray
) -> None:
    one = write(tmp_path / "reference.nrrd", labels((0, 2, 2)))
    sitk.WriteImage(sitk.GetImageFromArray(values), str(tmp_path / "ct.nrrd"))
    assert "ct.nrrd is no label map; its values must be 0 and 1..N on one 3D grid" in refused(
        capsys, tmp_path / "ct.nrrd", one
    )
    assert "ct.nrrd is no label map" in refused(capsys, one, tmp_path / "ct.nrrd")


@pytest.mark.parametrize("values", [labels()[0], np.zeros((2, 6, 30, 30), np.uint8)], ids=["one slice", "four axes"])
def test_images_of_other_than_three_axes_are_refused(tmp_path: Path, capsys, values: np.ndarray) -> None:
    one = write(tmp_path / "reference.nrrd", labels((0, 2, 2)))
    sitk.WriteImage(sitk.GetImageFromArray(values), str(tmp_path / "ct.nrrd"))
    said = refused(capsys, tmp_path / "ct.nrrd", one)
    assert f"ct.nrrd has {values.ndim} axes; give a single 3D" in said or "ct.nrrd is a colour or vector image" in said


def test_files_that_are_no_images_and_a_place_that_cannot_be_written_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = write(tmp_path / "reference.nrrd", labels((0, 2, 2)))
    (tmp_path / "empty.nrrd").touch()
    assert "empty.nrrd is damaged, cut off or no image" in refused(capsys, tmp_path / "empty.nrrd", one)
    (tmp_path / "text.nii.gz").write_text("no image")
    assert "text.nii.gz is damaged, cut off or no image" in refused(capsys, tmp_path / "text.nii.gz", one)
    assert evaluate(one, one, "--output", tmp_path / "new" / "scores.csv") == 0
    assert (tmp_path / "new" / "scores.csv").is_file()
    assert evaluate(one, one, "--output", tmp_path / "text.nii.gz" / "scores.csv") == 2
    assert "scores.csv cannot be written" in capsys.readouterr().err


def test_an_empty_label_map_of_a_system_is_a_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reference = write(tmp_path / "reference.nrrd", labels((0, 2, 2)))
    assert evaluate(write(tmp_path / "labels.nrrd", labels()), reference) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "0 of 1 found, mean Dice 0.000 of those; 0 other labels"


# Finds on whole scans
# ---------------------------------------------------------------------------------------------------

# Two scans: A with a nodule of 2 x 4 x 4 voxels (16 mm3, radius 1.56 mm) at RAS (-1.75, -1.75, 1), B with none.
LUNA16_FINDS = """seriesuid,coordX,coordY,coordZ,probability
A,1.75,3.25,1.0,0.6
A,1.75,3.35,1.0,0.9
B,5,5,5,0.3
"""


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    write(tmp_path / "scans" / "A.nrrd", labels((0, 2, 2)))
    write(tmp_path / "scans" / "B.nrrd", labels())
    return tmp_path / "scans"


def text_file(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def annotations(folder: Path) -> Path:
    """LUNA16's three files for the scans A and B: nodule of A, a place of B that is neither right nor wrong."""
    text_file(folder / "annotations.csv", "seriesuid,coordX,coordY,coordZ,diameter_mm\nA,1.75,1.75,1,3.12\nC,0,0,0,9\n")
    text_file(folder / "annotations_excluded.csv", "seriesuid,coordX,coordY,coordZ,diameter_mm\nB,5,5,9.9,-1\n")
    text_file(folder / "seriesuids.csv", "A\nB\n")
    return folder


def test_finds_of_luna16_are_scored_by_its_rule(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    detections = text_file(tmp_path / "mine.csv", LUNA16_FINDS)
    assert evaluate(detections, scans, "--output", tmp_path / "froc.csv") == 0
    printed = capsys.readouterr().out
    # 1.5 mm from the centre hits, 1.6 mm does not.
    assert printed.startswith("2 scans, 1 of 1 reference nodules found, 2 false positives\n")
    with (tmp_path / "froc.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert (row["system"], row["0.125"][:5], row["0.5"][:6], row["8"][:6]) == ("mine", "0.00 ", "100.00", "100.00")
    # Found from half a false positive per scan on: five of the seven rates.
    assert row["mean"].startswith(f"{100 * 5 / 7:.2f} (")


def test_luna16s_own_annotations_are_a_reference_and_what_they_exclude_is_neither_right_nor_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    detections, folder = text_file(tmp_path / "mine.csv", LUNA16_FINDS), annotations(tmp_path / "annotations")
    assert evaluate(detections, folder) == 0
    assert capsys.readouterr().out.startswith("2 scans, 1 of 1 reference nodules found, 1 false positives\n")
    (folder / "seriesuids.csv").unlink()
    assert "There is no seriesuids.csv in" in refused(capsys, detections, folder)


def test_boxes_of_monai_and_nodules_of_a_batch_are_scored_alike(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    boxes = [
        {"image": "/data/A.nii.gz", "box": [[1.75, 3.25, 1, 4, 4, 4], [9, 9, 9, 4, 4, 4]], "label_scores": [0.6, 0.9]},
        {"image": "/data/B.nii.gz", "box": [], "label_scores": []},
    ]
    assert evaluate(text_file(tmp_path / "mine.json", json.dumps(boxes)), scans) == 0
    by_monai = capsys.readouterr().out
    assert by_monai.startswith("2 scans, 1 of 1 reference nodules found, 1 false positives\n")
    row = as_row(a_nodule(centre_r=-1.75, centre_a=-3.25, centre_s=1.0, score=0.6, equivalent_diameter=4.0))
    other = as_row(a_nodule(centre_r=-9.0, centre_a=-9.0, centre_s=9.0, score=0.9, equivalent_diameter=4.0))
    with (tmp_path / "mine.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["scan", *header()], ["A", *row], ["A", *other]])
    assert evaluate(tmp_path / "mine.csv", scans) == 0
    assert capsys.readouterr().out == by_monai


def batch_table(path: Path, *nodules: tuple[str, Nodule]) -> Path:
    """The table of `lnhg batch` of nodules with their scans."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["scan", *header()], *([scan, *as_row(one)] for scan, one in nodules)])
    return path


def test_scans_that_a_batch_did_not_segment_are_left_out_and_told(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("C", "D"):
        shutil.copy(scans / "A.nrrd", scans / f"{name}.nrrd")
    hit = a_nodule(centre_r=-1.75, centre_a=-3.25, centre_s=1.0, score=0.6, equivalent_diameter=4.0)
    table = batch_table(tmp_path / "out" / "nodules.csv", ("A", hit))
    assert evaluate(table, scans) == 0
    assert "4 scans, 1 of 3 reference nodules found" in capsys.readouterr().out
    record = "scan,status,reason,seconds\nA,done,,1\nB,skipped,,1\nC,failed,cut off,1\nD,waiting,,0\n"
    text_file(tmp_path / "out" / "cohort.csv", record)
    assert evaluate(table, scans) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "Left out, since lnhg batch did not segment them: C (failed), D (waiting)"
    assert printed[1] == "2 scans, 1 of 1 reference nodules found, 0 false positives"
    text_file(tmp_path / "out" / "cohort.csv", record.replace("A,done", "A,failed"))
    assert "No scan with a nodule was segmented" in refused(capsys, batch_table(table), scans)


def test_a_nodule_that_following_found_with_a_seed_is_no_detection(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hit = a_nodule(centre_r=-1.75, centre_a=-3.25, centre_s=1.0, score=0.6, equivalent_diameter=4.0)
    table = batch_table(tmp_path / "nodules.csv", ("A", hit), ("B", replace(hit, score=None)))
    assert evaluate(table, scans) == 0
    assert "1 of 1 reference nodules found, 0 false positives" in capsys.readouterr().out


def a_nodule(**values: float) -> Nodule:
    """A nodule of which only these figures are known."""
    return replace(from_row({"id": "1", "slice": "1"}), **values)


def test_a_batch_that_found_nothing_is_a_result(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing = text_file(tmp_path / "nodules.csv", ",".join(["scan", *header()]) + "\n")
    assert evaluate(nothing, scans) == 0
    assert capsys.readouterr().out.startswith("2 scans, 0 of 1 reference nodules found, 0 false positives\n")


def test_labelled_scans_are_a_reference_in_which_few_readers_make_no_nodule(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "lidc_scans" / "A"
    both = labels((0, 2, 2), (3, 20, 20))
    write(folder / "ct.nrrd", np.full(both.shape, -850, np.int16))
    write(folder / "consensus.nrrd", both)
    write(folder / "readers.nrrd", (both > 0).astype(np.uint8))
    text_file(folder / "nodules.csv", "label,readers\n1,3\n2,2\n")
    detections = text_file(tmp_path / "a.csv", LUNA16_FINDS.replace("B,5,5,5", "A,10.75,10.75,7.0"))
    assert evaluate(detections, tmp_path / "lidc_scans") == 0
    assert capsys.readouterr().out.startswith("1 scans, 1 of 1 reference nodules found, 1 false positives\n")


def test_finds_that_cannot_be_scored_are_refused_with_a_sentence(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    detections = text_file(tmp_path / "mine.csv", LUNA16_FINDS)
    assert "missing.csv cannot be read as CSV" in refused(capsys, tmp_path / "missing.csv", scans)
    assert "missing.json is no result of MONAI" in refused(capsys, tmp_path / "missing.json", scans)
    assert "A.nrrd is no folder" in refused(capsys, detections, scans / "A.nrrd")
    assert "--alike is for label maps" in refused(capsys, detections, scans, "--alike")
    foreign = text_file(tmp_path / "foreign.csv", LUNA16_FINDS + "C,0,0,0,0.5\n")
    assert "There is no reference for C;" in refused(capsys, foreign, scans)
    below = text_file(tmp_path / "below.csv", LUNA16_FINDS.replace("0.6", "-0.6"))
    assert "A detection in A has the score -0.6" in refused(capsys, below, scans)
    (scans / "A.nrrd").unlink()
    assert "scans holds no nodule" in refused(capsys, detections, scans)
    (scans / "B.nrrd").unlink()
    assert "holds no label map; put NRRD" in refused(capsys, detections, scans)


# Other systems
# ----------------------------------------------------------------------------------------------------------


def test_the_nodules_of_total_segmentator_are_the_components_of_its_mask(tmp_path: Path) -> None:
    ct = CT(np.zeros((6, 30, 30), np.int16), GRID)
    with pytest.raises(InputError, match=r"holds no lung_nodules\.nii\.gz"):
        read_total_segmentator(tmp_path, ct)
    write(tmp_path / "lung_nodules.nii.gz", (labels((0, 2, 2), (3, 20, 20)) > 0).astype(np.uint8))
    write(tmp_path / "lung.nii.gz", np.ones((6, 30, 30), np.uint8))
    np.testing.assert_array_equal(read_total_segmentator(tmp_path, ct), labels((0, 2, 2), (3, 20, 20)))
    with pytest.raises(InputError, match=r"lung_nodules\.nii\.gz and its CT lie on different grids"):
        read_labels_on(tmp_path / "lung_nodules.nii.gz", CT(ct.hu[:, 1:], GRID))


def test_finds_of_the_luna16_challenge_are_read_in_ras(tmp_path: Path) -> None:
    path = tmp_path / "finds.csv"
    path.write_text("seriesuid,coordX,coordY,coordZ,probability\n1.2.3,-56.5,86.25,-116.0,0.75\n")
    (detection,) = read_luna16(path)
    assert (detection.scan, detection.centre_ras, detection.score) == ("1.2.3", (56.5, -86.25, -116.0), 0.75)
    assert np.isnan(detection.diameter_mm)


def test_boxes_of_monais_bundle_are_read_in_ras(tmp_path: Path) -> None:
    path = tmp_path / "result_luna16_fold0.json"
    one = {
        "box": [[10.0, -20.0, 30.0, 6.0, 8.0, 10.0]],
        "label": [0],
        "label_scores": [0.9],
        "image": "/data/1.2.3.nii.gz",
    }
    path.write_text(
        json.dumps([one, {"box": [], "label": [], "label_scores": [], "image": "/data/1.2.4/1.2.4.nii.gz"}])
    )
    (detection,) = read_monai_boxes(path)
    assert (detection.scan, detection.centre_ras, detection.diameter_mm, detection.score) == (
        "1.2.3",
        (-10.0, 20.0, 30.0),
        8.0,
        0.9,
    )


def test_finds_of_nodule_net_are_moved_from_its_lung_crop_to_the_scan(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = text_file(
        tmp_path / "submission_rcnn.csv", "seriesuid,coordX,coordY,coordZ,diameter_mm,probability\nA,10,20,30,7.5,0.5\n"
    )
    crop = {"origin": (-40.0, -30.0, -20.0), "spacing": (1.0, 1.0, 1.0), "ebox_origin": (11, 11.75, 11.75)}  # z, y, x
    for name, figures in crop.items():
        np.save(tmp_path / f"A_{name}.npy", figures)
    (detection,) = read_nodule_net(path, tmp_path)
    assert (detection.centre_ras, detection.diameter_mm) == ((-1.75, -1.75, 1.0), 7.5)
    assert evaluate(path, scans, "--nodule-net", tmp_path) == 0
    assert capsys.readouterr().out.startswith("2 scans, 1 of 1 reference nodules found, 0 false positives\n")
    assert "--nodule-net is for NoduleNet's CSV" in refused(capsys, scans, scans, "--nodule-net", tmp_path)
    np.save(tmp_path / "A_origin.npy", [0.0, 0.0])
    assert "A_origin.npy does not hold three figures" in refused(capsys, path, scans, "--nodule-net", tmp_path)
    (tmp_path / "A_origin.npy").unlink()
    assert "A_origin.npy cannot be read" in refused(capsys, path, scans, "--nodule-net", tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "", "a.csv is not the table expected here; it needs the columns seriesuid, coordX"),
        ("a.csv", "series,x\n1,2\n", "a.csv is not the table expected here"),
        ("a.csv", "scan,x\n1,2\n", "it needs the columns scan, centre R"),
        ("a.csv", "seriesuid,coordX,coordY,coordZ,probability\n1,2,3,-,0.5\n", "a row without numbers (1)"),
        (
            "a.csv",
            "seriesuid,coordX,coordY,coordZ,probability\n1,2,3\n",
            "Row 1 of a.csv ends before its column probability",
        ),
        (
            "a.csv",
            "coordX,coordY,coordZ,probability,seriesuid\n1,2,3,.5\n",
            "Row 1 of a.csv ends before its column seriesuid",
        ),
        ("a.csv", "scan,seriesuid\n1\n", "Row 1 of a.csv ends before its column seriesuid"),
        ("a.json", '[{"image":"a","box":[[' + "9" * 401 + ',1,1,1,1,1]],"label_scores":[1]}]', "is no result of MONAI"),
        ("a.json", '[{"image":"a","box":[[1,1,1,1,1,1]],"label_scores":[1e999]}]', "is no result of MONAI"),
        ("a.json", "[" * 100_000, "is no result of MONAI"),
        ("a.csv", "seriesuid,coordX,coordY,coordZ,probability\n1,2,3,4,nan\n", "not finite"),
        ("a.json", "{", "a.json is no result of MONAI"),
        ("a.json", '[{"image": "a", "box": [[1, 2]], "label_scores": [1]}]', "a.json is no result of MONAI"),
        ("a.json", '[{"image": "a", "box": [[1, 2, 3, 4, 5, 6]], "label_scores": []}]', "a.json is no result of MONAI"),
        (
            "a.json",
            '[{"image": "a", "box": [[1, 2, 3, 4, 5, NaN]], "label_scores": [1]}]',
            "a.json is no result of MONAI",
        ),
        ("a.json", '{"box": []}', "a.json is no result of MONAI"),
    ],
)
def test_damaged_files_of_other_systems_are_refused(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, text: str, said: str
) -> None:
    (tmp_path / name).write_text(text)
    before = lying_in(tmp_path)
    assert said in refused(capsys, tmp_path / name, scans, "--output", tmp_path / "scores.csv")
    assert lying_in(tmp_path) == before


# nnU-Net
# ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with a cut-out for each of the three lists; patients go by their last digit."""
    columns = ["nodule", "patient", "readers", "malignancy", "texture", "Calcification", "Lobulation", "Margin"]
    columns += ["Spiculation", "Subtlety", "diameter_mm"]
    lines = [",".join(columns)]
    for digit, part in ((7, "train"), (2, "select"), (0, "report")):
        patient = f"LIDC-IDRI-050{digit}"
        assert list_of(patient) == part
        lines.append(",".join([f"{patient}_R_1", patient, "2", *["3"] * 8]))
        readers = np.where(labels((1, 10, 10)), 3, 0).astype(np.uint8)
        readers[3] = readers[2] // 3  # one reader of two: half of them
        write(tmp_path / "lidc_nodules" / f"{patient}_R_1.readers.nrrd", readers)
        write(tmp_path / "lidc_nodules" / f"{patient}_R_1.ct.nrrd", np.where(readers, 40, -850).astype(np.int16))
    (tmp_path / "lidc_nodules" / "nodules.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_the_dataset_for_nnunet_has_the_documented_form(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "nnunet", "--data", str(data), "--output", str(data / "raw")]) == 0
    folder = data / "raw" / "Dataset501_LungNodules"
    assert capsys.readouterr().out.strip() == str(folder)
    assert sorted(path.name for path in (data / "raw").iterdir()) == [folder.name]
    description = json.loads((folder / "dataset.json").read_text())
    assert description["channel_names"] == {"0": "CT"} and description["labels"] == {"background": 0, "nodule": 1}
    assert (description["numTraining"], description["file_ending"]) == (2, ".nrrd")
    files = {
        part: sorted(path.name for path in (folder / part).iterdir()) for part in ("imagesTr", "labelsTr", "imagesTs")
    }
    names = ["LIDC-IDRI-0502_R_1", "LIDC-IDRI-0507_R_1"]
    assert files["imagesTr"] == [f"{name}_0000.nrrd" for name in names]
    assert files["labelsTr"] == [f"{name}.nrrd" for name in names]
    assert files["imagesTs"] == ["LIDC-IDRI-0500_R_1_0000.nrrd"]
    assert json.loads((folder / "splits_final.json").read_text()) == [{"train": names[1:], "val": names[:1]}]
    image, label = (
        sitk.ReadImage(str(folder / part)) for part in (f"imagesTr/{names[0]}_0000.nrrd", f"labelsTr/{names[0]}.nrrd")
    )
    assert image.GetSpacing() == label.GetSpacing() == pytest.approx((0.5, 0.5, 2.0))
    assert image.GetOrigin() == label.GetOrigin() and image.GetDirection() == label.GetDirection()
    assert sitk.GetArrayFromImage(image).min() == -850
    assert np.unique(sitk.GetArrayFromImage(label)).tolist() == [0, 1] and sitk.GetArrayFromImage(label).sum() == 3 * 16


def test_predictions_of_nnunet_are_scored_against_the_labels_it_did_not_see(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_nnunet(data, data / "raw")
    assert evaluate(folder / "labelsTs", folder / "labelsTs", "--alike") == 0
    assert "1 of 1 reference nodules found" in capsys.readouterr().out


def test_a_dataset_for_nnunet_is_not_written_over_or_from_nothing(data: Path) -> None:
    write_nnunet(data, data / "raw")
    with pytest.raises(InputError, match="is there already"):
        write_nnunet(data, data / "raw")
    with pytest.raises(InputError, match="from 1 to 999"):
        write_nnunet(data, data / "raw", 1000)
    with pytest.raises(InputError, match=r"no nodules\.csv"):
        write_nnunet(data / "raw", data / "other")
