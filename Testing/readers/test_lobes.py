"""Lobes of any program: names in many styles, numbers without names, masks in a folder, and what is refused."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from nibabel.nifti1 import Nifti1Extension

import commanded
from lnhg.core.lobes import LOBES
from lnhg.core.nrrd_file import write_nrrd
from lnhg.errors import InputError
from lnhg.readers.lobes import lobes_of_labels, read_lobes, region_of
from lobe_maps import GRID, SHAPE, lobe_blocks
from standins import standin_models

RUL, RML, RLL, LUL, LLL = LOBES
TOTALSEGMENTATOR = {LUL: 10, LLL: 11, RUL: 12, RML: 13, RLL: 14}
LUNGMASK = {LUL: 1, LLL: 2, RUL: 3, RML: 4, RLL: 5}


@pytest.mark.parametrize(
    ("name", "region"),
    [
        ("lung_upper_lobe_left", LUL),
        ("lung_lower_lobe_left", LLL),
        ("lung_upper_lobe_right", RUL),
        ("lung_middle_lobe_right", RML),
        ("lung_lower_lobe_right", RLL),
        ("Right Upper Lobe", RUL),
        ("right upper lobe of lung", RUL),
        ("superior lobe of left lung", LUL),
        ("Inferior lobe of right lung", RLL),
        ("RUL", RUL),
        ("rml", RML),
        ("Lobe_LLL", LLL),
        ("UpperLobeRight", RUL),
        ("LeftLung", "left lung"),
        ("lung_right", "right lung"),
        ("Lung R", "right lung"),
        ("Right lung", "right lung"),
        ("lung_middle_lobe_left", None),
        ("lung_vessels_left", None),
        ("nodule right upper lobe", None),
        ("kidney_right", None),
        ("liver", None),
        ("lung", None),
        ("trachea", None),
        ("lower lobe", None),
    ],
)
def test_names_in_many_styles(name: str, region: str | None):
    assert region_of(name) == region


def nifti(path, labels, names=None, grid=GRID):
    image = nibabel.Nifti1Image(labels.transpose(2, 1, 0).astype(np.int16), grid)
    image.header.set_xyzt_units("mm")
    if names:
        label = '<Label Key="{}" Red="1.0" Green="0" Blue="0" Alpha="1"><![CDATA[{}]]></Label>'
        table = "".join(label.format(number, name) for name, number in names.items())
        volume = f"<VolumeInformation><LabelTable>{table}</LabelTable></VolumeInformation>"
        xml = f"<?xml version='1.0'?><CaretExtension>{volume}</CaretExtension>"
        image.header.extensions.append(Nifti1Extension(0, xml.encode()))
    nibabel.save(image, path)
    return path


def ct_beside(lobes: Path) -> Path:
    """A CT that `lobe_blocks` lie in, with a nodule in the right upper lobe."""
    k, j, i = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    nodule = (k - 24) ** 2 + (j - 12) ** 2 + (i - 7) ** 2 <= 9
    write_nrrd(lobes.parent / "ct.nrrd", np.where(nodule, 60, -850).astype(np.int16), GRID)
    return lobes.parent / "ct.nrrd"


def refused(lobes: Path, capfd: pytest.CaptureFixture[str], *said: str) -> None:
    """`lnhg segment --lobes` refuses in these words, and nothing is written."""
    words = ["segment", ct_beside(lobes), "--lobes", lobes, "--output", lobes.parent / "out"]
    commanded.refused(words, lobes.parent, capfd, *said)


def places(lobes: Path, capfd: pytest.CaptureFixture[str]) -> list[str]:
    """The lobes of the nodules that `lnhg segment --lobes` finds."""
    told = commanded.segmented(ct_beside(lobes), capfd, "--anywhere", "--lobes", lobes)
    return [nodule["lobe"] for nodule in told.record["nodules"]]


@pytest.mark.parametrize("numbers", [TOTALSEGMENTATOR, {n: k + 3 for n, k in TOTALSEGMENTATOR.items()}, LUNGMASK])
def test_numbers_without_names(tmp_path, numbers):
    found = read_lobes(nifti(tmp_path / "lobes.nii.gz", lobe_blocks(numbers)))
    assert {name: label for label, name in found.names.items()} == numbers


def test_lungmasks_two_lungs(tmp_path):
    labels = np.where(lobe_blocks() > 0, 2, 0)
    labels[:, :, :15] = np.where(labels[:, :, :15] > 0, 1, 0)
    found = read_lobes(nifti(tmp_path / "lungs.nii.gz", labels))
    assert found.names == {1: "right lung", 2: "left lung"}


def test_names_in_the_header_of_a_nifti_file_count_more_than_numbers(tmp_path):
    numbers = {RUL: 1, RML: 2, RLL: 3, LUL: 4, LLL: 5}
    names = {name.replace(" ", "_"): number for name, number in numbers.items()} | {"heart": 9}
    found = read_lobes(nifti(tmp_path / "s.nii.gz", lobe_blocks(numbers), names))
    assert {name: label for label, name in found.names.items()} == numbers


def test_a_segmentation_of_slicer(tmp_path):
    image = sitk.GetImageFromArray(lobe_blocks(TOTALSEGMENTATOR).astype(np.uint8))
    image.SetSpacing((2.0, 2.0, 2.0))
    image.SetOrigin((-29.0, -19.0, -29.0))
    for number, (name, label) in enumerate(TOTALSEGMENTATOR.items()):
        image.SetMetaData(f"Segment{number}_Name", name.title())
        image.SetMetaData(f"Segment{number}_LabelValue", str(label))
    sitk.WriteImage(image, str(tmp_path / "Segmentation.seg.nrrd"))
    found = read_lobes(tmp_path / "Segmentation.seg.nrrd")
    assert {name: label for label, name in found.names.items()} == TOTALSEGMENTATOR
    assert np.allclose(found.ijk_to_ras, GRID)


def test_a_folder_of_masks_as_totalsegmentator_writes_it(tmp_path):
    labels = lobe_blocks(TOTALSEGMENTATOR)
    for name, number in TOTALSEGMENTATOR.items():
        side, part, _ = name.split()
        nifti(tmp_path / f"lung_{part}_lobe_{side}.nii.gz", (labels == number).astype(int))
    nifti(tmp_path / "heart.nii.gz", np.ones_like(labels))
    found = read_lobes(tmp_path)
    assert sorted(found.names.values()) == sorted(LOBES)
    for label, name in found.names.items():
        assert np.array_equal(found.labels == label, labels == TOTALSEGMENTATOR[name])


def elsewhere(mm, axis=0):
    """The grid of the lobes, moved along an axis of the patient."""
    return GRID + mm * np.outer(np.eye(4)[axis], np.eye(4)[3])


@pytest.mark.parametrize(
    ("slices", "grid"),
    [
        pytest.param(30, elsewhere(5), id="moved"),
        pytest.param(29, GRID, id="a slice less"),
        pytest.param(30, GRID @ np.diag([1, 1, 1.1, 1]), id="thicker slices"),
    ],
)
def test_masks_on_different_grids_are_refused(tmp_path, capfd, slices, grid):
    folder = tmp_path / "lobes"
    folder.mkdir()
    nifti(folder / "lung_upper_lobe_left.nii.gz", (lobe_blocks() == 4).astype(int))
    nifti(folder / "lung_lower_lobe_left.nii.gz", (lobe_blocks() == 5)[:slices].astype(int), grid=grid)
    refused(folder, capfd, "The masks in lobes lie on different grids; give those of one segmentation.")


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("mm", [200, -200])
def test_lobes_that_lie_elsewhere_than_the_ct_are_refused(tmp_path, capfd, monkeypatch, axis, mm):
    monkeypatch.setattr("lnhg.pipeline.open_models", lambda *_, **__: standin_models())
    path = nifti(tmp_path / "lobes.nii.gz", lobe_blocks(TOTALSEGMENTATOR), grid=elsewhere(mm, axis))
    refused(path, capfd, "The segmentation of the lobes lies elsewhere than the CT; give that of this CT.")


TURNED = pytest.mark.parametrize(
    ("turned", "said"),
    [
        ((slice(None), slice(None), slice(None, None, -1)), "the right side lies left of the left one"),
        ((slice(None, None, -1),), "the right upper lobe lies below the right lower lobe"),
        ((slice(None), slice(None, None, -1), slice(None, None, -1)), "the right side lies left of the left one"),
    ],
    ids=["mirrored", "upside down", "turned about"],
)


@TURNED
def test_named_lobes_that_are_turned_are_refused_for_that(tmp_path, capfd, turned, said):
    names = {name.replace(" ", "_"): number for name, number in TOTALSEGMENTATOR.items()}
    path = nifti(tmp_path / "s.nii.gz", lobe_blocks(TOTALSEGMENTATOR)[turned], names)
    refused(
        path, capfd, f"In s.nii.gz {said}, as in no patient; name its labels right, or turn it as the CT is turned."
    )


@TURNED
@pytest.mark.parametrize("numbers", [TOTALSEGMENTATOR, dict(zip(LOBES, (3, 4, 5, 1, 2), strict=True))])
def test_numbers_without_names_that_are_turned_are_refused_for_that(tmp_path, capfd, numbers, turned, said):
    path = nifti(tmp_path / "s.nii.gz", lobe_blocks(numbers)[turned])
    refused(path, capfd, f", but {said}, as in no patient; name its labels, or turn it as the CT is turned.")


def masks(folder, change):
    """A folder of masks, each of them changed by its name."""
    folder.mkdir(exist_ok=True)
    labels = lobe_blocks(TOTALSEGMENTATOR)
    for name, number in TOTALSEGMENTATOR.items():
        side, part, _ = name.split()
        write_nrrd(folder / f"lung_{part}_lobe_{side}.nrrd", change(name, (labels == number).astype(np.float32)), GRID)
    return folder


_EMPTY = "The masks in lobes are empty; give those of this CT."
_IN_ANOTHER = "lies in that of another; give a mask for each."
_NO_MASK = "is no mask: it holds more than 0 and a number; give 0 outside and 1 inside."
_NO_LOBES = "holds no lobes or lungs that are known by name or number; name them as right upper lobe, left lung."


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(lambda _, mask: mask * 0, _EMPTY, id="empty"),
        pytest.param(lambda _, mask: mask * 0 + 1, _IN_ANOTHER, id="all of everything"),
        pytest.param(
            lambda name, mask: mask * 0 + 1 if name.startswith("left lower") else mask, _IN_ANOTHER, id="one of all"
        ),
        pytest.param(lambda _, mask: np.where(mask, 0.9, 0.1).astype(np.float32), _NO_MASK, id="probabilities"),
        pytest.param(lambda _, mask: np.where(mask, -3, 5).astype(np.float32), _NO_MASK, id="distances"),
        pytest.param(lambda _, mask: np.where(mask, 1, np.nan).astype(np.float32), _NO_MASK, id="NaN outside"),
    ],
)
def test_a_folder_of_what_are_no_masks_is_refused(tmp_path, capfd, change, said):
    refused(masks(tmp_path / "lobes", change), capfd, said)


@pytest.mark.parametrize("value", [1, 255, 0.9])
def test_masks_of_any_value_are_read(tmp_path, capfd, value):
    folder = masks(tmp_path / "lobes", lambda _, mask: mask * np.float32(value))
    (folder / "._lung_upper_lobe_left.nrrd").write_bytes(b"\0\5\x16\7 of macOS")
    assert places(folder, capfd) == [RUL]


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param(np.zeros((30, 20, 30)), id="no label"),
        pytest.param(np.ones((30, 20, 30)), id="one for all"),
        pytest.param(lobe_blocks() * 20, id="unknown numbers"),
    ],
)
def test_numbers_that_mean_nothing_are_refused(tmp_path, capfd, labels):
    refused(nifti(tmp_path / "s.nii.gz", labels), capfd, f"s.nii.gz {_NO_LOBES}")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none.nii", "none.nii does not exist; give a segmentation of lobes or lungs, or a folder of masks."),
        ("x.txt", "x.txt is no segmentation that can be read; give NRRD, MHA or NIfTI, or a folder of masks."),
        ("empty", f"The folder empty {_NO_LOBES}"),
        ("others", f"The folder others {_NO_LOBES}"),
    ],
)
def test_what_is_no_segmentation_is_called_so(tmp_path, capfd, name, said):
    (tmp_path / "x.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "others").mkdir()
    nifti(tmp_path / "others" / "heart.nii.gz", np.ones(SHAPE))
    refused(tmp_path / name, capfd, said)


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(np.full(SHAPE, -0.5), id="a fraction"),
        pytest.param(np.linspace(0, 1, np.prod(SHAPE)).reshape(SHAPE), id="probabilities"),
        pytest.param(lobe_blocks(TOTALSEGMENTATOR) / 2, id="halves"),
    ],
)
def test_what_holds_no_whole_numbers_is_no_segmentation(tmp_path, capfd, values):
    write_nrrd(tmp_path / "s.nrrd", values.astype(np.float32), GRID)
    refused(tmp_path / "s.nrrd", capfd, "s.nrrd holds no whole numbers; give a label map of lobes or lungs.")


def test_the_ct_itself_is_no_segmentation(tmp_path, capfd):
    refused(ct_beside(tmp_path / "lobes"), capfd, f"ct.nrrd {_NO_LOBES}")


@pytest.mark.parametrize("factor", [1, 200, 50_000])
def test_numbers_of_named_labels_may_be_of_any_size(factor):
    labels = np.zeros((30, 30, 60), np.int32)
    labels[:, :, :25], labels[:, :, 35:] = factor, 2 * factor
    found = lobes_of_labels(
        labels, np.diag([-3.0, -3.0, 3.0, 1.0]), {factor: "right lung", 2 * factor: "left lung"}, "x"
    )
    assert {found.names[label]: int((found.labels == label).sum()) for label in found.names} == {
        "right lung": 30 * 30 * 25,
        "left lung": 30 * 30 * 25,
    }


@pytest.mark.parametrize(
    ("one", "other"),
    [("lung_upper_lobe_left", "lingula_left_lobe"), ("RUL", "right upper lobe"), ("LLL", "lower_lobe_left")],
)
def test_two_masks_of_one_lobe_are_both_in_it(tmp_path, one, other):
    blocks = lobe_blocks(LUNGMASK)
    lobe = LUNGMASK[region_of(one)]
    assert region_of(one) == region_of(other)
    whole, half = blocks == lobe, np.arange(blocks.shape[0])[:, None, None] % 2 == 0
    nifti(tmp_path / f"{one}.nii.gz", whole & half)
    nifti(tmp_path / f"{other}.nii.gz", whole & ~half)
    found = read_lobes(tmp_path)
    np.testing.assert_array_equal(found.labels > 0, whole)
    assert list(found.names.values()) == [region_of(one)]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("size", [7, 8, 1 << 20, -16])
def test_damaged_names_in_a_file_end_in_a_sentence(tmp_path, size):
    path = nifti(tmp_path / "lobes.nii", lobe_blocks(LUNGMASK), {1: "left upper lobe"})
    content = bytearray(path.read_bytes())
    content[352:356] = size.to_bytes(4, "little", signed=True)
    path.write_bytes(content)
    try:
        assert set(read_lobes(path).names.values()) <= {*LOBES, "left lung", "right lung"}
    except InputError as error:
        assert str(error).endswith("copy it again.")
