"""`lnhg evaluate` on files and folders, results of other systems, and the dataset for nnU-Net."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from lnhg.cli import main
from lnhg.ct import CT
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
from lnhg.nrrd_file import write_nrrd

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


# Two files --------------------------------------------------------------------------------------------------------------


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


# Two folders ------------------------------------------------------------------------------------------------------------


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
    return tmp_path / "system", tmp_path / "reference"


def test_two_folders_are_matched_by_name_and_summed_up(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(*folders, "--alike", "--output", tmp_path / "scores.csv") == 0
    printed = capsys.readouterr().out
    assert "2 label maps, 2 of 3 reference nodules found" in printed
    assert "| Dice | 1.000 | 0.000 | 1.000 |" in printed
    assert "| nodules | 2 | 1 | 1 | 0.667 | 0.667 | 0.667 |" in printed
    # Slices 0 and 1 hold nodule 1, of which the second also the false find's first; slices 3 and 4 hold nodule 2.
    assert "| on slices | 4 | 1 | 2 | 0.800 | 0.667 | 0.727 |" in printed
    with (tmp_path / "scores.csv").open() as file:
        assert [(row["file"], row["reference nodule"]) for row in csv.DictReader(file)] == [("A", "1"), ("A", "2"), ("B", "1")]


def test_a_system_that_marks_all_alike_is_told_so(folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(*folders) == 0
    assert "| Dice | 0.500 |" in capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert evaluate(*words) == 2
    return capsys.readouterr().err


def test_what_cannot_be_scored_is_refused_with_a_sentence(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    system, reference = folders
    one = reference / "A.nrrd"
    empty = write(tmp_path / "empty.nrrd", labels())
    assert "empty.nrrd holds no nodule" in refused(capsys, one, empty)
    assert "missing.nrrd cannot be read as an image" in refused(capsys, one, tmp_path / "missing.nrrd")
    small = write(tmp_path / "small.nrrd", labels()[1:])
    assert "small.nrrd and A.nrrd lie on different grids" in refused(capsys, small, one)
    moved = write(tmp_path / "moved.nrrd", labels(), GRID @ np.array([[1, 0, 0, 1], *np.eye(4)[1:].tolist()]))
    assert "moved.nrrd and A.nrrd lie on different grids" in refused(capsys, moved, one)
    picture = write(tmp_path / "ct.nrrd", labels().astype(np.int16) - 850)
    assert "ct.nrrd is no label map" in refused(capsys, picture, one)
    assert "One of the two is a folder" in refused(capsys, system, one)
    (tmp_path / "nothing").mkdir()
    assert "holds no label map; put NRRD" in refused(capsys, tmp_path / "nothing", reference)
    (system / "B.nii.gz").unlink()
    assert "holds no label map for B; write one for each reference" in refused(capsys, system, reference)
    write(tmp_path / "blank" / "A.nrrd", labels())
    assert "blank holds a nodule" in refused(capsys, system, tmp_path / "blank")


# Other systems ----------------------------------------------------------------------------------------------------------


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
    (find,) = read_luna16(path)
    assert (find.scan, find.centre_ras, find.score) == ("1.2.3", (56.5, -86.25, -116.0), 0.75)
    assert np.isnan(find.diameter_mm)


def test_boxes_of_monais_bundle_are_read_in_ras(tmp_path: Path) -> None:
    path = tmp_path / "result_luna16_fold0.json"
    one = {"box": [[10.0, -20.0, 30.0, 6.0, 8.0, 10.0]], "label": [0], "label_scores": [0.9], "image": "/data/1.2.3.nii.gz"}
    path.write_text(json.dumps([one, {"box": [], "label": [], "label_scores": [], "image": "/data/1.2.4/1.2.4.nii.gz"}]))
    (find,) = read_monai_boxes(path)
    assert (find.scan, find.centre_ras, find.diameter_mm, find.score) == ("1.2.3", (-10.0, 20.0, 30.0), 8.0, 0.9)


def test_finds_of_nodule_net_are_moved_from_its_lung_crop_to_the_scan(tmp_path: Path) -> None:
    path = tmp_path / "submission_rcnn.csv"
    path.write_text("seriesuid,coordX,coordY,coordZ,diameter_mm,probability\n1.2.3,10,20,30,7.5,0.5\n")
    (find,) = read_nodule_net(path, {"1.2.3": (-100.0, -90.0, -200.0)})
    assert (find.centre_ras, find.diameter_mm) == ((90.0, 70.0, -170.0), 7.5)
    with pytest.raises(InputError, match=r"names the scan 1\.2\.3, whose lung crop is not given"):
        read_nodule_net(path, {})


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "", "a.csv is no table of finds"),
        ("a.csv", "scan,x\n1,2\n", "a.csv is no table of finds"),
        ("a.csv", "seriesuid,coordX,coordY,coordZ,probability\n1,2,3,-,0.5\n", "a row without numbers"),
        ("a.json", "{", "a.json is no result of MONAI"),
        ("a.json", '[{"image": "a", "box": [[1, 2]], "label_scores": [1]}]', "a.json is no result of MONAI"),
    ],
)
def test_damaged_files_of_other_systems_are_refused(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=said):
        (read_luna16 if name == "a.csv" else read_monai_boxes)(tmp_path / name)


# nnU-Net ----------------------------------------------------------------------------------------------------------------


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
    files = {part: sorted(path.name for path in (folder / part).iterdir()) for part in ("imagesTr", "labelsTr", "imagesTs")}
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
