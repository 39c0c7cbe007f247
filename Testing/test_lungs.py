"""The lung mask on phantoms with known lungs and on real scans."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from scipy import ndimage

from lnhg.axial import axial_view
from lnhg.ct import CT
from lnhg.lungs import lung_regions

_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
_SPACING = np.array([3.0, 2.2, 2.2])  # slice, row, column
_SHAPE = (58, 132, 160)

_MM = np.stack(np.meshgrid(*[(np.arange(n) - n // 2) * s for n, s in zip(_SHAPE, _SPACING, strict=True)], indexing="ij"))


def _ellipsoid(centre: tuple[float, float, float], radii: tuple[float, float, float]) -> np.ndarray:
    offset = (_MM - np.reshape(centre, (3, 1, 1, 1))) / np.reshape(radii, (3, 1, 1, 1))
    return (offset**2).sum(0) <= 1


_RIGHT, _LEFT = _ellipsoid((0, 0, -62), (75, 75, 48)), _ellipsoid((0, 0, 62), (75, 75, 48))
_WINDPIPE = _ellipsoid((60, 0, 0), (60, 9, 9))


def _chest(*, lungs: bool = True) -> np.ndarray:
    """HU of a body in air with two lungs and a windpipe; columns run to the patient's left."""
    rng = np.random.default_rng(1)
    hu = np.full(_SHAPE, -1000.0, np.float32)
    hu[_ellipsoid((0, 0, 0), (1e6, 110, 150))] = 40
    if lungs:
        hu[_RIGHT | _LEFT] = -850
        hu[_WINDPIPE] = -1000
    return hu + rng.normal(0, 30, _SHAPE).astype(np.float32)


def _ct(hu: np.ndarray) -> CT:
    matrix = np.diag([-_SPACING[2], -_SPACING[1], _SPACING[0], 1.0])
    return CT(np.clip(hu, -1024, 3071).astype(np.int16), matrix)


def _dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * (one & other).sum() / (one.sum() + other.sum())


def test_the_right_and_the_left_lung_are_found_on_the_patients_sides() -> None:
    mask = lung_regions(_ct(_chest()))
    assert mask.dtype == np.uint8 and mask.shape == _SHAPE
    assert _dice(mask == 1, _RIGHT) > 0.96
    assert _dice(mask == 2, _LEFT) > 0.96


def test_the_windpipe_and_the_air_around_the_body_are_not_lung() -> None:
    mask = lung_regions(_ct(_chest()))
    assert not mask[_WINDPIPE & ~_RIGHT & ~_LEFT].any()
    assert not mask[~_ellipsoid((0, 0, 0), (1e6, 110, 150))].any()


def test_lungs_that_touch_are_parted_where_they_touch() -> None:
    hu = _chest()
    bridge = _ellipsoid((-20, -40, 0), (40, 10, 60))
    hu[bridge] = -850
    mask = lung_regions(_ct(hu))
    assert _dice(mask == 1, _RIGHT) > 0.94
    assert _dice(mask == 2, _LEFT) > 0.94


def test_a_lung_alone_keeps_its_side() -> None:
    hu = _chest()
    hu[_RIGHT] = 40
    mask = lung_regions(_ct(hu))
    assert set(np.unique(mask)) == {0, 2}


def test_nodules_at_the_pleura_and_a_mass_inside_belong_to_the_mask() -> None:
    hu = _chest()
    pleural = _ellipsoid((0, 0, -100), (7, 7, 7)) & _RIGHT
    mass = _ellipsoid((0, 0, 62), (30, 30, 30))
    hu[pleural | mass] = 40
    mask = lung_regions(_ct(hu))
    assert (mask[pleural] == 1).mean() > 0.9
    assert (mask[mass] == 2).all()


def test_lungs_are_found_where_the_body_reaches_the_border_of_the_field_of_view() -> None:
    hu = _chest()[:, 22:-22, 14:-14]
    mask = lung_regions(_ct(hu))
    assert _dice(mask > 0, (_RIGHT | _LEFT)[:, 22:-22, 14:-14]) > 0.96


def test_the_sides_hold_in_a_field_of_view_that_is_not_centred_on_the_body() -> None:
    cut = slice(0, 102)
    mask = lung_regions(_ct(_chest()[..., cut]))
    assert _dice(mask == 1, _RIGHT[..., cut]) > 0.96
    assert _dice(mask == 2, _LEFT[..., cut]) > 0.9


def test_the_foam_of_the_table_is_no_lung() -> None:
    body = _ellipsoid((0, 0, 0), (1e6, 110, 150))
    table = np.full(_SHAPE, -1000.0)
    table[:, 110:128, 7:-7] = -100
    table[:, 112:126, 9:-9] = -920
    mask = lung_regions(_ct(np.where(body, _chest(), table)))
    assert _dice(mask > 0, _RIGHT | _LEFT) > 0.96


def test_a_single_slice_of_a_whole_chest_has_lungs() -> None:
    middle = slice(29, 30)
    mask = lung_regions(_ct(_chest()[middle]))
    assert _dice(mask == 1, _RIGHT[middle]) > 0.95


def test_bowel_gas_is_no_lung() -> None:
    hu = _chest(lungs=False)
    hu[_ellipsoid((0, -50, 0), (40, 30, 60))] = -1000
    assert not lung_regions(_ct(hu)).any()


@pytest.mark.parametrize("value", [-1000, 40])
def test_a_field_of_view_of_one_value_has_no_lungs(value: int) -> None:
    assert not lung_regions(_ct(np.full(_SHAPE, value))).any()


def test_a_cut_out_is_too_small_to_hold_lungs() -> None:
    cut = _chest()[25:33, 44:88, 30:74]
    assert (cut < -700).mean() > 0.5
    assert not lung_regions(_ct(cut)).any()


@pytest.mark.parametrize("name", ["LIDC-IDRI-0023", "LIDC-IDRI-0063"])
def test_nodules_that_radiologists_outlined_lie_in_or_near_the_mask(name: str) -> None:
    folder = _DATA / "lidc_scans" / name
    if not folder.is_dir():
        pytest.skip(f"needs the scan {name}")
    image = SimpleITK.ReadImage(str(folder / "ct.nrrd"))
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    matrix[:3, 3] = image.GetOrigin()
    view = axial_view(CT(SimpleITK.GetArrayFromImage(image), np.diag([-1, -1, 1, 1]) @ matrix))
    mask = lung_regions(view.ct)
    nodules = view.forth(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(folder / "consensus.nrrd"))))
    assert nodules.any()
    for box in ndimage.find_objects(nodules):
        around = tuple(slice(max(0, one.start - 10), one.stop + 10) for one in box)
        distance = ndimage.distance_transform_edt(mask[around] == 0, view.ct.spacing[::-1])
        assert distance[nodules[around] > 0].max() <= 5
    litres = [(mask == side).sum() * view.ct.voxel_volume / 1e6 for side in (1, 2)]
    assert all(1 < lung < 4 for lung in litres)
