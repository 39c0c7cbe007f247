"""The lung mask on phantoms with known lungs and on real scans."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from scipy import ndimage

from lnhg.core.ct import CT
from lnhg.phantom import chest_phantom
from lnhg.stages.axial import axial_order
from lnhg.stages.lungs import LEFT, RIGHT, UNSIDED, lung_regions

_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
_SPACING = np.array([3.0, 2.2, 2.2])  # slice, row, column
_SHAPE = (58, 132, 160)

_MM = np.stack(
    np.meshgrid(*[(np.arange(n) - n // 2) * s for n, s in zip(_SHAPE, _SPACING, strict=True)], indexing="ij")
)


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
    cut = _chest()[20:40, 55:77, 36:60]
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
    view = axial_order(CT(SimpleITK.GetArrayFromImage(image), np.diag([-1, -1, 1, 1]) @ matrix))
    mask = lung_regions(view.ct)
    nodules = view.to_axial(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(folder / "consensus.nrrd"))))
    assert nodules.any()
    for box in ndimage.find_objects(nodules):
        around = tuple(slice(max(0, one.start - 10), one.stop + 10) for one in box)
        distance = ndimage.distance_transform_edt(mask[around] == 0, view.ct.spacing[::-1])
        assert distance[nodules[around] > 0].max() <= 5
    litres = [(mask == side).sum() * view.ct.voxel_volume / 1e6 for side in (1, 2)]
    assert all(1 < lung < 4 for lung in litres)


# ---------------------------------------------------------------- fields of view, on the synthetic chest


@pytest.fixture(scope="module")
def chest() -> tuple[CT, np.ndarray]:
    """The synthetic chest in a field of view that shows it whole, and its lungs."""
    ct = chest_phantom(0, (50, 160, 160)).ct
    lungs = lung_regions(ct)
    assert all(1.8 < (lungs == side).sum() * ct.voxel_volume / 1e6 < 3 for side in (RIGHT, LEFT))
    return ct, lungs


Scan = tuple[CT, np.ndarray]  # a CT and the lungs it shows


def _in_circle(scan: Scan, diameter: float, value: int, offset: tuple[float, float] = (0, 0)) -> Scan:
    """The scan in a round field of view (mm), its middle moved to the left and to the back, padded with `value`."""
    ct, lungs = scan
    rows, columns = ((np.arange(n) - n / 2) * s for n, s in zip(ct.hu.shape[1:], ct.spacing[1::-1], strict=True))
    inside = np.hypot(columns - offset[0], rows[:, None] - offset[1]) < diameter / 2
    return CT(np.where(inside, ct.hu, value).astype(np.int16), ct.ijk_to_ras), np.where(inside, lungs, 0)


def _in_field(scan: Scan, width: float, depth: float, left: float = 0, back: float = 0) -> Scan:
    """The scan cut to a field of view (mm) whose middle is moved to the left and to the back."""
    ct, lungs = scan
    cut = [slice(None)]
    for n, spacing, size, offset in zip(ct.hu.shape[1:], ct.spacing[1::-1], (depth, width), (back, left), strict=True):
        middle, half = n / 2 + offset / spacing, size / 2 / spacing
        cut.append(slice(max(0, round(middle - half)), round(middle + half)))
    return CT(ct.hu[tuple(cut)], ct.ijk_to_ras), lungs[tuple(cut)]


def _without(scan: Scan, side: int) -> Scan:
    """The scan with one lung full of fluid."""
    ct, lungs = scan
    return CT(np.where(lungs == side, 20, ct.hu).astype(np.int16), ct.ijk_to_ras), np.where(lungs == side, 0, lungs)


def _scaled(scan: Scan, factor: float) -> Scan:
    return CT(scan[0].hu, scan[0].ijk_to_ras @ np.diag([factor, factor, factor, 1])), scan[1]


def _assert_found(scan: Scan, share: float = 0.93, more: float = 0.08) -> np.ndarray:
    """The lungs are found in the scan, and no part of one is called the other."""
    ct, lungs = scan
    mask = lung_regions(ct)
    assert ((mask > 0) & (lungs > 0)).sum() > share * (lungs > 0).sum()
    assert ((mask > 0) & (lungs == 0)).sum() < more * (lungs > 0).sum()
    swapped = ((mask == RIGHT) & (lungs == LEFT)) | ((mask == LEFT) & (lungs == RIGHT))
    assert swapped.sum() < 0.01 * (lungs > 0).sum()
    return mask


@pytest.mark.parametrize(
    ("diameter", "value", "offset"),
    [(260, -1024, (0, 0)), (260, -2000, (20, -15)), (260, -3024, (0, 0)), (220, 0, (-10, 0)), (320, -1000, (0, 0)),
     (180, -1024, (0, 0)), (200, -1024, (70, 0)), (200, 0, (-70, 10)), (500, -1024, (0, 0))],
)  # fmt: skip
def test_lungs_that_touch_a_round_padded_field_of_view_are_found(chest: Scan, diameter, value, offset) -> None:
    _assert_found(_in_circle(chest, diameter, value, offset))


@pytest.mark.parametrize("value", [-1024, -2000, 0])
def test_lungs_that_touch_bars_of_padding_are_found(chest: Scan, value) -> None:
    ct, lungs = chest
    hu, lungs = ct.hu.copy(), lungs.copy()
    for bars in (np.s_[:, :55], np.s_[:, 105:], np.s_[..., :40], np.s_[..., 118:]):
        hu[bars], lungs[bars] = value, 0
    _assert_found((CT(hu, ct.ijk_to_ras), lungs))


@pytest.mark.parametrize("width", [260, 230, 190, 160, 130, 100])
@pytest.mark.parametrize("left", [75, -75], ids=["left lung", "right lung"])
def test_a_field_of_view_of_mostly_one_lung_never_swaps_sides(chest: Scan, width, left) -> None:
    _assert_found(_in_field(chest, width, max(width, 150), left), 0.9)


@pytest.mark.parametrize(("width", "depth", "left"), [(100, 100, 70), (110, 90, -70), (90, 140, 75)])
def test_lung_whose_side_is_not_shown_has_none(chest: Scan, width, depth, left) -> None:
    mask = _assert_found(_in_field(chest, width, depth, left), 0.9)
    assert set(np.unique(mask)) == {0, UNSIDED}


@pytest.mark.parametrize(("factor", "width"), [(0.5, 190), (0.6, 220), (0.33, 120)], ids=["child", "older", "newborn"])
def test_the_lungs_of_children_are_found_with_their_sides(chest: Scan, factor, width) -> None:
    mask = _assert_found(_in_field(_scaled(chest, factor), width, width), more=0.12)  # the closing is wide in a newborn
    assert set(np.unique(mask)) == {0, RIGHT, LEFT}


@pytest.mark.parametrize("factor", [1, 0.8, 0.5])
@pytest.mark.parametrize("missing", [RIGHT, LEFT])
def test_one_lung_in_a_whole_chest_keeps_its_side(chest: Scan, factor, missing) -> None:
    mask = _assert_found(_scaled(_without(chest, missing), factor))
    assert set(np.unique(mask)) == {0, RIGHT + LEFT - missing}


@pytest.mark.parametrize(
    ("part", "steps"),
    [(np.s_[-20:], (1, 1, 1)), (np.s_[8:20], (1, 1, 1)), (np.s_[22:24], (1, 1, 1)), (np.s_[::2], (1, 1, 2)),
     (np.s_[:, ::2, ::2], (2, 2, 1))],
    ids=["apex", "base", "two slices", "slices of 12 mm", "half the resolution"],
)  # fmt: skip
def test_parts_and_coarse_versions_of_a_scan_have_lungs(chest: Scan, part, steps) -> None:
    ct, lungs = chest
    assert lungs[part].any()
    _assert_found((CT(ct.hu[part], ct.ijk_to_ras @ np.diag([*steps, 1])), lungs[part]), 0.9)


@pytest.mark.parametrize(
    "kind", ["below the lungs", "gas in the bowel", "stool in the bowel", "a zoomed field", "a round field"]
)
def test_an_abdomen_has_no_lungs(chest: Scan, kind) -> None:
    ct, rng = chest[0], np.random.default_rng(0)
    lungs = ndimage.binary_dilation(chest[1][:20] > 0, np.ones((1, 3, 3)), 2)
    hu = ct.hu[:20].copy()
    hu[lungs] = rng.normal(50, 20, lungs.sum())  # the liver and spleen reach up to the top
    gas = np.hypot((np.arange(160) - 80)[:, None] / 12, (np.arange(160) - 95) / 20) < 1
    if kind == "gas in the bowel":
        hu[2:-2, gas] = rng.normal(-990, 20, (len(hu) - 4, gas.sum()))
    if kind == "stool in the bowel":
        hu[2:-2, gas] = rng.choice([-980, -960, -600, -100, 20], (len(hu) - 4, gas.sum()), p=[0.6, 0.1, 0.1, 0.1, 0.1])
    scan = CT(hu, ct.ijk_to_ras), np.zeros(hu.shape, np.uint8)
    scan = _in_field(scan, 180, 150) if kind == "a zoomed field" else scan
    scan = _in_circle(scan, 250, -2000) if kind == "a round field" else scan
    assert not lung_regions(scan[0]).any()


@pytest.mark.parametrize("place", ["in front", "to the right", "to the left", "behind"])
def test_the_foam_of_a_table_at_any_side_of_the_patient_is_no_lung(place: str) -> None:
    room = np.pad(_chest(), [(0, 0), (30, 30), (30, 30)], constant_values=-1000)
    table = {"in front": np.s_[:, 5:24, 30:-30], "behind": np.s_[:, -24:-5, 30:-30],
             "to the right": np.s_[:, 30:-30, 5:24], "to the left": np.s_[:, 30:-30, -24:-5]}[place]  # fmt: skip
    room[table] = -100
    foam = tuple(slice(one.start + 2, one.stop - 2) if one.start is not None else one for one in table)
    room[foam] = -900 + np.random.default_rng(2).normal(0, 10, room[foam].shape)
    mask = lung_regions(_ct(room))
    assert _dice(mask > 0, np.pad(_RIGHT | _LEFT, [(0, 0), (30, 30), (30, 30)])) > 0.96


@pytest.mark.parametrize("noise", [(-1000, 20), (-1010, 5), (-990, 30), (-1000, 60)], ids=str)
@pytest.mark.parametrize("width", [190.0, 160.0])
def test_lungs_that_touch_padding_with_noise_are_found(noise: tuple[float, float], width: float) -> None:
    hu = _chest()
    outside = (_MM[1] ** 2 + _MM[2] ** 2) > (width / 2) ** 2
    hu[outside] = np.random.default_rng(3).normal(*noise, outside.sum())
    mask = lung_regions(_ct(hu))
    for side, lung in ((RIGHT, _RIGHT), (LEFT, _LEFT)):
        seen = lung & ~outside
        assert (mask[seen] == side).mean() > 0.9
    assert (mask[outside] > 0).mean() < 0.1


@pytest.mark.parametrize("noise", [0.0, 20.0, 60.0])
def test_air_with_noise_around_a_whole_body_changes_nothing(noise: float) -> None:
    hu = _chest()
    air = ~_ellipsoid((0, 0, 0), (1e6, 110, 150))
    hu[air] = np.random.default_rng(3).normal(-1000, noise, air.sum())
    mask = lung_regions(_ct(hu))
    assert _dice(mask == 1, _RIGHT) > 0.96 and _dice(mask == 2, _LEFT) > 0.96


@pytest.mark.parametrize(
    "values",
    [lambda hu: hu + 40, lambda hu: hu + 70, lambda hu: hu.clip(-960), lambda hu: hu.clip(-920), lambda hu: hu * 0.94],
    ids=["40 too high", "70 too high", "cut off at -960", "cut off at -920", "scaled"],
)
def test_air_around_the_body_is_no_lung_where_it_is_brighter_than_air(values) -> None:
    smooth = ndimage.uniform_filter(_chest(), (1, 2, 2))  # a cell of a real scan is the mean of several voxels
    mask = lung_regions(_ct(values(smooth)))
    assert _dice(mask == 1, _RIGHT) > 0.95 and _dice(mask == 2, _LEFT) > 0.95


@pytest.mark.parametrize("lung", [-925, -940, -950])
def test_lungs_of_severe_emphysema_are_found(lung: float) -> None:
    hu = _chest()
    hu[(_RIGHT | _LEFT) & (hu < -500) & ~_WINDPIPE] += lung + 850
    mask = lung_regions(_ct(hu))
    assert _dice(mask == 1, _RIGHT) > 0.95 and _dice(mask == 2, _LEFT) > 0.95


@pytest.mark.parametrize("radius", [30.0, 45.0, 55.0])
def test_gas_of_a_stomach_is_still_no_lung(radius: float) -> None:
    hu = _chest(lungs=False)
    stomach = _ellipsoid((0, 0, 30), (radius, radius, radius))
    hu[stomach] = -1000 + np.random.default_rng(2).normal(0, 20, stomach.sum())
    assert not lung_regions(_ct(hu)).any()


def not_a_chest(what: str) -> np.ndarray:
    """HU `[slice, row, column]` of what else is scanned, 300 mm wide, in air."""
    _, j, i = np.mgrid[:20, -50:50, -50:50] * np.array([5, 3, 3])[:, None, None, None]
    hu = np.full(i.shape, -1000.0)
    if what == "a phantom of water":
        hu[i**2 + j**2 < 135**2] = 0
        hu[(i - 60) ** 2 + j**2 < 20**2] = 120
    elif what == "a head with its sinuses":
        skull = (i / 75) ** 2 + (j / 95) ** 2
        for within, value in ((1, 30), (0.92, 900), (0.8, 35)):
            hu[skull < within] = value
        hu[i**2 + (j + 70) ** 2 < 15**2] = -1000
    else:  # two knees
        for middle in (-70, 70):
            for radius, value in ((60, -100), (50, 55), (22, 350)):
                hu[(i - middle) ** 2 + j**2 < radius**2] = value
    return np.rint(hu + np.random.default_rng(1).normal(0, 8, hu.shape)).astype(np.int16)


@pytest.mark.parametrize("what", ["a phantom of water", "a head with its sinuses", "knees"])
def test_what_is_no_chest_has_no_lungs(what: str) -> None:
    assert not lung_regions(CT(not_a_chest(what), np.diag([-3.0, -3.0, 5.0, 1.0]))).any()
