"""The sample CT: that it shows a chest, and that the truth it comes with is true."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage
from skimage.morphology import disk

from lnhg.errors import InputError
from lnhg.phantom import KINDS, Phantom, chest_phantom, write_sample
from lnhg.stages.axial import axial_order

SHAPE = (80, 256, 256)
SOLID_KINDS = ("solid", "juxta-vascular", "juxta-pleural")


@pytest.fixture(scope="module")
def phantoms() -> tuple[Phantom, Phantom]:
    return chest_phantom(0, SHAPE), chest_phantom(1, SHAPE)


@pytest.fixture(params=[0, 1])
def phantom(request: pytest.FixtureRequest, phantoms: tuple[Phantom, Phantom]) -> Phantom:
    return phantoms[request.param]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_sample(tmp_path_factory.mktemp("sample") / "new folder", 0, SHAPE)


def hu_at(phantom: Phantom, lps: tuple[float, float, float]) -> float:
    """Median HU of a small block around a point."""
    i, j, k = np.rint(phantom.ct.to_ijk(np.multiply(lps, (-1, -1, 1)))).astype(int)
    return float(np.median(phantom.ct.hu[k, j - 2 : j + 3, i - 2 : i + 3]))


def nodules(phantom: Phantom, *kinds: str) -> list[np.ndarray]:
    return [phantom.labels == label for label, kind in enumerate(phantom.kinds, 1) if kind in kinds]


def core(nodule: np.ndarray) -> np.ndarray:
    """The nodule without its outer voxel, which also holds lung."""
    return ndimage.binary_erosion(nodule, ndimage.generate_binary_structure(3, 1))


def near(nodule: np.ndarray, voxels: int) -> np.ndarray:
    """What lies within some voxels of the nodule, in its own slices, and not in it."""
    in_plane = ndimage.generate_binary_structure(3, 1)
    in_plane[[0, 2]] = False
    return ndimage.binary_dilation(nodule, in_plane, iterations=voxels) & ~nodule


def chest_wall(phantom: Phantom) -> np.ndarray:
    """Soft tissue and bone wider than 10 mm: wall, mediastinum and large vessels, without nodules and small vessels."""
    soft = (phantom.ct.hu > -300) & (phantom.labels == 0)
    radius = round(5 / phantom.ct.spacing[0])
    return ndimage.binary_opening(soft, disk(radius)[None])


def test_one_seed_gives_one_ct(phantoms: tuple[Phantom, Phantom], sample: dict[str, Path]) -> None:
    assert phantoms[0].ct.hu.tobytes() == sitk.GetArrayFromImage(sitk.ReadImage(sample["ct.nrrd"])).tobytes()
    assert phantoms[0].labels.tobytes() == sitk.GetArrayFromImage(sitk.ReadImage(sample["labels.nrrd"])).tobytes()


def test_another_seed_gives_another_chest_and_other_nodules(phantoms: tuple[Phantom, Phantom]) -> None:
    first, other = phantoms
    assert np.mean(np.abs(other.ct.hu - first.ct.hu.astype(int)) > 100) > 0.02
    assert not np.array_equal(other.labels, first.labels)


def test_each_kind_of_nodule_is_planted(phantom: Phantom) -> None:
    assert set(phantom.kinds) == set(KINDS)
    assert 5 <= len(phantom.kinds) <= 7
    assert np.array_equal(np.unique(phantom.labels), np.arange(len(phantom.kinds) + 1))


def test_no_nodule_gets_lost_on_a_coarse_grid() -> None:
    coarse = chest_phantom(7, (48, 128, 128))  # seed 7 plants a juxta-pleural nodule of 6 mm
    assert set(np.unique(coarse.labels)) == set(range(len(coarse.kinds) + 1))


def test_each_nodule_is_one_piece_of_5_to_22_mm(phantom: Phantom) -> None:
    for nodule in nodules(phantom, *KINDS):
        _, patches = ndimage.label(nodule, np.ones((3, 3, 3)))
        diameter = (6 / np.pi * nodule.sum() * phantom.ct.voxel_volume) ** (1 / 3)
        assert patches == 1
        assert 4.5 < diameter < 24


def test_solid_nodules_are_soft_tissue(phantom: Phantom) -> None:
    for nodule in nodules(phantom, *SOLID_KINDS):
        # One of 6 mm has hardly a voxel without lung in it on this grid: its densest voxels tell.
        inside = (
            core(nodule) if nodule.sum() > 50 else nodule & (phantom.ct.hu > np.percentile(phantom.ct.hu[nodule], 70))
        )
        assert (0 if nodule.sum() > 50 else -120) < np.median(phantom.ct.hu[inside]) < 80


def test_ground_glass_is_denser_than_lung_and_thinner_than_tissue(phantom: Phantom) -> None:
    for nodule in nodules(phantom, "ground glass"):
        assert -680 < np.median(phantom.ct.hu[core(nodule)]) < -520


def test_the_cavitary_nodule_has_air_within_a_wall(phantom: Phantom) -> None:
    for nodule in nodules(phantom, "cavitary"):
        hu = phantom.ct.hu
        air = nodule & (hu < -700)
        assert air.sum() * phantom.ct.voxel_volume > 100
        assert not (air & near(~nodule, 1)).any()
        assert np.percentile(hu[nodule], 85) > -50


def test_nodules_lie_in_the_lungs(phantom: Phantom) -> None:
    for label, kind in enumerate(phantom.kinds, 1):
        around = phantom.ct.hu[near(phantom.labels == label, 4)]
        assert np.mean(around < -600) > (0.25 if kind == "juxta-pleural" else 0.5), kind


def test_only_juxta_pleural_nodules_touch_the_chest_wall(phantom: Phantom) -> None:
    wall = chest_wall(phantom)
    for label, kind in enumerate(phantom.kinds, 1):
        touches = (near(phantom.labels == label, 2) & wall).any()
        assert touches == (kind == "juxta-pleural"), kind


def test_juxta_vascular_nodules_touch_a_vessel(phantom: Phantom) -> None:
    cube = np.ones((3, 3, 3))
    for nodule in nodules(phantom, "juxta-vascular"):
        edge = ndimage.binary_dilation(nodule, cube)  # holds the nodule's own blurred edge
        vessels, _ = ndimage.label((phantom.ct.hu > -450) & ~edge, cube)
        touching = np.unique(vessels[ndimage.binary_dilation(edge, cube) & (vessels > 0)])
        largest = max((np.count_nonzero(vessels == part) for part in touching), default=0)
        assert largest * phantom.ct.voxel_volume > 60


def test_organs_are_in_their_places_and_have_their_hu(phantom: Phantom) -> None:
    assert hu_at(phantom, (-1, 4, 110)) < -900, "windpipe"
    assert 110 < hu_at(phantom, (23, 41, -20)) < 200, "descending aorta"
    assert 110 < hu_at(phantom, (-17, -23, 36)) < 200, "ascending aorta"
    assert 60 < hu_at(phantom, (-70, 0, -115)) < 140, "liver, on the right"
    assert 60 < hu_at(phantom, (88, 45, -118)) < 160, "spleen, on the left"
    assert 110 < hu_at(phantom, (27, -16, -37)) < 200, "left ventricle"
    assert 80 < hu_at(phantom, (0, 52, -6)) < 400, "vertebra"
    assert hu_at(phantom, (0, -150, 0)) < -950, "air"
    assert np.mean(phantom.ct.hu > 500) > 0.003, "cortical bone"


def test_two_lungs_are_parted_from_each_other_and_from_the_air_outside(phantom: Phantom) -> None:
    air = phantom.ct.hu < -400
    parts, _ = ndimage.label(air)
    outside = parts[0, 0, 0]
    lower = air & (parts != outside)
    lower[SHAPE[0] // 2 :] = False  # above are the main bronchi, which join the lungs
    halves, _ = ndimage.label(lower)
    sizes = np.bincount(halves.ravel())[1:] * phantom.ct.voxel_volume / 1e6
    left, right = np.argsort(sizes)[-2:] + 1
    assert sizes[[left - 1, right - 1]].min() > 0.6
    columns = sorted(np.argwhere(halves == part)[:, 2].mean() for part in (left, right))
    assert columns[0] < SHAPE[2] / 2 < columns[1]
    lungs = np.bincount(parts.ravel())
    lungs[[0, outside]] = 0
    assert 3 < lungs.sum() * phantom.ct.voxel_volume / 1e6 < 7


def test_noise_is_that_of_a_real_ct_and_stronger_at_the_shoulders(phantom: Phantom) -> None:
    def deviation(slices: slice) -> float:
        block = phantom.ct.hu[slices].astype(float)
        smooth = ndimage.gaussian_filter(block, (0, 2, 2))
        soft = ndimage.binary_erosion((smooth > 20) & (smooth < 120), disk(4)[None])
        return float((block - smooth)[soft].std())

    assert 8 < deviation(slice(35, 45)) < 35
    assert deviation(slice(70, 78)) > 1.15 * deviation(slice(35, 45))


def test_the_files_hold_the_same_grid_in_standard_axial_orientation(phantom: Phantom, sample: dict[str, Path]) -> None:
    ct, labels = sitk.ReadImage(sample["ct.nrrd"]), sitk.ReadImage(sample["labels.nrrd"])
    assert ct.GetPixelID() == sitk.sitkInt16
    assert ct.GetDirection() == (1, 0, 0, 0, 1, 0, 0, 0, 1)
    for image in (ct, labels):
        assert np.allclose(image.GetSpacing(), phantom.ct.spacing)
        lps = image.TransformIndexToPhysicalPoint((200, 30, 70))
        assert np.allclose(np.multiply(lps, (-1, -1, 1)), phantom.ct.to_ras(np.array([200, 30, 70])))
    middle = ct.TransformContinuousIndexToPhysicalPoint([(size - 1) / 2 for size in ct.GetSize()])
    assert np.allclose(middle, 0, atol=1e-3)
    assert axial_order(phantom.ct).flips == (False, False, False)


def test_the_table_tells_where_each_nodule_is(sample: dict[str, Path]) -> None:
    labels = sitk.ReadImage(sample["labels.nrrd"])
    array = sitk.GetArrayFromImage(labels)
    hu = sitk.GetArrayFromImage(sitk.ReadImage(sample["ct.nrrd"]))
    with sample["nodules.csv"].open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["label"]) for row in rows] == sorted(set(array.ravel()) - {0})
    for row in rows:
        voxels = array == int(row["label"])
        centre = np.argwhere(voxels).mean(0)[::-1]
        lps = labels.TransformContinuousIndexToPhysicalPoint(centre.tolist())
        assert np.allclose(np.multiply(lps, (-1, -1, 1)), [float(row[f"{axis}_mm"]) for axis in "ras"], atol=0.06)
        volume = voxels.sum() * np.prod(labels.GetSpacing())
        assert np.isclose(np.pi / 6 * float(row["diameter_mm"]) ** 3, volume, rtol=0.05)
        assert np.isclose(float(row["mean_hu"]), hu[voxels].mean(), atol=0.06)


def test_a_sample_replaces_an_older_one_and_leaves_nothing_else_behind(sample: dict[str, Path]) -> None:
    folder = sample["ct.nrrd"].parent
    assert sorted(path.name for path in folder.iterdir()) == ["ct.nrrd", "labels.nrrd", "nodules.csv"]


@pytest.mark.parametrize(("seed", "shape"), [(-1, SHAPE), (0, (4, 512, 512)), (0, (120, 64, 512))])
def test_what_cannot_be_drawn_is_refused_in_one_sentence(seed: int, shape: tuple[int, int, int]) -> None:
    with pytest.raises(InputError, match=r"(give|ask for) .*\.$"):
        chest_phantom(seed, shape)
