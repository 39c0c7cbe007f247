"""The nodule table against values worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from lnhg.core.ct import CT
from lnhg.core.nodule import Nodule, as_row, header
from lnhg.stages.heterogeneity_from_generator import heterogeneity_map, raw_ct_in_same_colours
from lnhg.stages.measurement import axes, measure_nodules, nodule_type, sphericity
from lnhg.stages.place import LungShape

_SPACING = (0.7, 0.7, 1.0)
_SHAPE = (60, 90, 90)


def _axial_matrix(spacing: tuple[float, float, float]) -> np.ndarray:
    """Columns to the left, rows to the back, slices to the head; the first voxel lies at (50, 60, -70)."""
    i, j, k = spacing
    return np.array([[-i, 0, 0, 50], [0, -j, 0, 60], [0, 0, k, -70], [0, 0, 0, 1]], float)


def _positions(shape: tuple[int, ...], spacing: tuple[float, float, float]) -> np.ndarray:
    """mm from the middle voxel along (slice, row, column): `[3, slice, row, column]`."""
    axes_mm = [(np.arange(n) - n // 2) * s for n, s in zip(shape, spacing[::-1], strict=True)]
    return np.stack(np.meshgrid(*axes_mm, indexing="ij"))


def _ellipsoid(
    radii: tuple[float, float, float],
    centre: tuple[float, float, float] = (0, 0, 0),
    shape: tuple[int, ...] = _SHAPE,
    spacing: tuple[float, float, float] = _SPACING,
) -> np.ndarray:
    offset = _positions(shape, spacing) - np.reshape(centre, (3, 1, 1, 1))
    return ((offset / np.reshape(radii, (3, 1, 1, 1))) ** 2).sum(0) <= 1


def _lung_with(mask: np.ndarray, hu: float = 0, spacing: tuple[float, float, float] = _SPACING) -> CT:
    return CT(np.where(mask, hu, -850).astype(np.int16), _axial_matrix(spacing))


def _measured(ct: CT, labels: np.ndarray, lungs: np.ndarray | None = None) -> tuple[Nodule, ...]:
    labels = labels.astype(np.uint16)
    lungs = np.ones(labels.shape, np.uint8) if lungs is None else lungs
    image = np.clip((ct.hu + 850) / 850, 0, 1).astype(np.float32)
    return measure_nodules(
        ct,
        labels,
        heterogeneity_map(image, labels),
        raw_ct_in_same_colours(ct.hu, labels),
        LungShape(ct, lungs),
        statuses=["confirmed"] * labels.max(),
        scores=[0.75] * labels.max(),
        rim_mm=1.0,
    )


def test_a_ball_has_the_size_of_a_ball() -> None:
    ball = _ellipsoid((8, 8, 8), centre=(2, 3.5, -7))
    (row,) = _measured(_lung_with(ball), ball)
    assert (row.id, row.status, row.score) == (1, "confirmed", 0.75)
    assert row.volume == pytest.approx(4 / 3 * math.pi * 8**3, rel=0.02)
    assert row.equivalent_diameter == pytest.approx(16, rel=0.01)
    assert row.long_axis == pytest.approx(16, abs=0.7)
    assert row.short_axis == pytest.approx(16, abs=0.7)
    assert row.mean_axis == (row.long_axis + row.short_axis) / 2
    assert 0.96 < row.sphericity <= 1
    assert (row.hu_mean, row.hu_deviation, row.share_solid, row.share_aerated) == (0, 0, 1, 0)


def test_the_centre_is_in_ras_and_the_slice_is_the_one_of_largest_area() -> None:
    ball = _ellipsoid((5, 5, 5), centre=(4, 7, -14))
    ct = replace(_lung_with(ball), instance_numbers=tuple(range(200, 140, -1)))
    (row,) = _measured(ct, ball)
    # Middle voxel (45, 45, 30) plus (-14, 7, 4) mm along columns, rows and slices.
    expected = (50 - 45 * 0.7 + 14, 60 - 45 * 0.7 - 7, -70 + 30 + 4)
    np.testing.assert_allclose(row.centre_ras, expected, atol=0.05)
    assert (row.slice, row.instance_number) == (34, 200 - 34)


def test_an_ellipsoid_has_its_long_and_short_axis_across_each_other() -> None:
    ellipsoid = _ellipsoid((6, 12, 7))
    (row,) = _measured(_lung_with(ellipsoid), ellipsoid)
    assert row.volume == pytest.approx(4 / 3 * math.pi * 6 * 12 * 7, rel=0.02)
    assert row.long_axis == pytest.approx(24, abs=0.7)
    assert row.short_axis == pytest.approx(14, abs=0.7)
    # Surface of an ellipsoid by Thomsen's formula (good to 1%).
    p, a, b, c = 1.6075, 6, 12, 7
    surface = 4 * math.pi * ((a**p * b**p + a**p * c**p + b**p * c**p) / 3) ** (1 / p)
    assert row.sphericity == pytest.approx(math.pi ** (1 / 3) * (6 * row.volume) ** (2 / 3) / surface, abs=0.04)


def test_axes_are_millimetres_on_pixels_that_are_not_square_and_on_slanted_ones() -> None:
    rows, columns = np.mgrid[-15:16, -50:51]
    section = (rows * 2.0 / 13) ** 2 + (columns * 0.5 / 20) ** 2 <= 1  # an ellipse of 40 x 26 mm
    straight = axes(section, _axial_matrix((0.5, 2.0, 1.0)))
    assert straight == pytest.approx((40, 26), abs=0.6)
    turn = np.array([[math.cos(0.5), -math.sin(0.5), 0], [math.sin(0.5), math.cos(0.5), 0], [0, 0, 1]])
    oblique = np.eye(4)
    oblique[:3, :3] = turn @ np.diag([0.5, 2.0, 1.0])
    assert axes(section, oblique) == pytest.approx(straight)
    slanted = np.eye(4)
    slanted[:3, 1] = [3.0, 4.0, 0.0]  # a row's step is 5 mm, slanting along the columns
    column = np.zeros((9, 9), bool)
    column[2:8, 4] = True
    assert axes(column, slanted)[0] == pytest.approx(6 * 5, abs=0.2)


def test_the_short_axis_of_a_bar_is_a_chord_across_its_diagonal() -> None:
    bar = np.ones((20, 80), bool)
    diagonal = math.hypot(20, 80)
    assert axes(bar, np.eye(4)) == pytest.approx((diagonal, 20 * diagonal / 80), abs=0.6)


def test_a_sheared_grid_keeps_volume_and_sphericity_of_the_real_shape() -> None:
    spacing = (0.8, 0.8, 0.8)
    sheared = _axial_matrix(spacing)
    sheared[:3, 2] = [0, 0.4, 0.8]  # gantry tilt: each slice slips by half a pixel
    shape = (50, 90, 60)
    ijk = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), -1)[..., ::-1]
    ras = ijk @ sheared[:3, :3].T
    middle = (np.array(shape)[::-1] // 2) @ sheared[:3, :3].T
    ball = np.linalg.norm(ras - middle, axis=-1) <= 9
    ct = CT(np.where(ball, 0, -850).astype(np.int16), sheared)
    (row,) = _measured(ct, ball)
    assert row.volume == pytest.approx(4 / 3 * math.pi * 9**3, rel=0.01)
    assert row.sphericity > 0.96
    assert sphericity(ball, _axial_matrix(spacing)) < row.sphericity - 0.02


def test_a_nodule_of_one_voxel_or_one_slice_is_measured() -> None:
    one = np.zeros((5, 9, 9), bool)
    one[2, 4, 4] = True
    flat = np.zeros((1, 30, 30), bool)
    flat[0, 10:20, 10:20] = True
    for mask, count in ((one, 1), (flat, 100)):
        (row,) = _measured(_lung_with(mask), mask)
        assert row.volume == pytest.approx(count * 0.7 * 0.7 * 1.0)
        assert 0.3 < row.sphericity <= 1
        assert row.long_axis >= row.short_axis > 0
    assert row.short_axis == pytest.approx(7, abs=2.6)


@pytest.mark.parametrize(
    ("hu", "kind", "solid"), [(30, "solid", 16), (-620, "ground glass", 0), (400, "calcified", 16)]
)
def test_the_type_follows_from_the_density(hu: float, kind: str, solid: float) -> None:
    ball = _ellipsoid((8, 8, 8))
    (row,) = _measured(_lung_with(ball, hu), ball)
    assert row.type == kind
    assert row.solid_diameter == pytest.approx(solid, abs=0.7)


def test_a_solid_part_in_ground_glass_is_measured_by_itself() -> None:
    ball, part = _ellipsoid((9, 9, 9)), _ellipsoid((5, 5, 5), centre=(1, 2, 0))
    ct = _lung_with(ball, -600)
    ct.hu[part] = 20
    (row,) = _measured(ct, ball)
    assert row.type == "part-solid"
    assert row.solid_diameter == pytest.approx(10, abs=0.7)
    assert row.mean_axis == pytest.approx(18, abs=0.7)
    assert row.share_solid == pytest.approx((5 / 9) ** 3, abs=0.02)


def test_the_blurred_edge_of_a_solid_nodule_does_not_make_it_part_solid() -> None:
    ball, inner = _ellipsoid((6, 6, 6)), _ellipsoid((5, 5, 5))
    ct = _lung_with(ball, -500)
    ct.hu[inner] = 20
    (row,) = _measured(ct, ball)
    assert row.share_solid < 0.6
    assert row.type == "solid"


def test_the_shares_that_part_the_types() -> None:
    def core(solid: float, calcified: float = 0.0) -> np.ndarray:
        values = np.full(100, -500)
        values[: round(100 * solid)] = 0
        values[: round(100 * calcified)] = 300
        return values

    assert nodule_type(core(0.09)) == "ground glass"
    assert nodule_type(core(0.10)) == "part-solid"
    assert nodule_type(core(0.59)) == "part-solid"
    assert nodule_type(core(0.60)) == "solid"
    assert nodule_type(core(1.0, calcified=0.49)) == "solid"
    assert nodule_type(core(1.0, calcified=0.50)) == "calcified"


def _chest_wall(ct: CT, first_row: int) -> np.ndarray:
    """Turns rows from `first_row` on into chest wall; gives the lung mask of what is left (the right lung)."""
    ct.hu[:, first_row:] = 40
    lungs = np.ones(ct.hu.shape, np.uint8)
    lungs[:, first_row:] = 0
    return lungs


def test_a_nodule_at_the_chest_wall_touches_the_pleura_and_one_further_off_does_not() -> None:
    ball = _ellipsoid((5, 5, 5))
    edge = 45 + 8  # the first row behind the ball: its radius is 7 rows
    for gap, touches in ((0, True), (2, True), (4, False), (15, False)):
        ct = _lung_with(ball)
        (row,) = _measured(ct, ball, _chest_wall(ct, edge + gap))
        assert row.touches_pleura is touches, gap
        assert row.touches_vessel is False


def test_a_strand_that_leaves_the_nodule_is_a_vessel_and_one_that_passes_by_is_not() -> None:
    ball = _ellipsoid((5, 5, 5))
    rows, columns = _positions(_SHAPE, _SPACING)[1:]
    height = _positions(_SHAPE, _SPACING)[0]
    leaving = (np.abs(rows) < 1) & (np.abs(height) < 1) & (columns > 0)
    passing = (np.abs(rows - 9) < 1) & (np.abs(height) < 1)
    for strand, touches in ((leaving, True), (passing, False)):
        ct = _lung_with(ball)
        ct.hu[strand] = 0
        (row,) = _measured(ct, ball)
        assert row.touches_vessel is touches
        assert row.touches_pleura is False


def test_the_side_is_that_of_the_lung_around_or_nearest_within_a_centimetre() -> None:
    ball = _ellipsoid((4, 4, 4))
    ct = _lung_with(ball)
    lungs = np.zeros(_SHAPE, np.uint8)
    lungs[..., :45], lungs[..., 50:] = 1, 2
    assert _measured(ct, ball, lungs)[0].side == "right"
    for gap_mm, side in ((8, "left"), (12, "unknown")):
        beside = np.zeros(_SHAPE, np.uint8)
        beside[..., 45 + math.ceil((4 + gap_mm) / 0.7) :] = 2
        assert _measured(ct, ball, beside)[0].side == side


@pytest.mark.parametrize("shares", [{3: 1.0}, {3: 0.6, 1: 0.4}, {1: 0.5, 2: 0.5}, {2: 0.3, 3: 0.7}])
def test_a_nodule_has_no_side_where_its_lung_has_none(shares: dict[int, float]) -> None:
    ball = _ellipsoid((4, 4, 4))
    lungs = np.zeros(_SHAPE, np.uint8)
    voxels, first = np.argwhere(ball), 0
    for side, share in shares.items():
        count = round(share * len(voxels))
        lungs[tuple(voxels[first : first + count].T)] = side
        first += count
    assert _measured(_lung_with(ball), ball, lungs)[0].side == "unknown"


def test_without_lungs_in_view_side_and_contacts_are_unknown() -> None:
    ball = _ellipsoid((4, 4, 4))
    (row,) = _measured(_lung_with(ball), ball, np.zeros(_SHAPE, np.uint8))
    assert (row.side, row.touches_pleura, row.touches_vessel) == ("unknown", None, None)


def test_rim_and_core_are_told_apart_in_the_map_and_in_the_raw_ct() -> None:
    ball = _ellipsoid((8, 8, 8))
    ct = _lung_with(ball, -425)  # G = 0.5 at the edge, 1 inside
    ct.hu[_ellipsoid((6.5, 6.5, 6.5))] = 0
    (row,) = _measured(ct, ball)
    assert row.core.mean < 0.1 < 0.4 < row.rim.mean
    assert row.core.mean < row.whole.mean < row.rim.mean
    assert row.raw_rim.mean < row.raw_whole.mean < row.raw_core.mean <= 0  # HU
    assert row.raw_whole.mean == row.hu_mean
    assert row.raw_rim.strong_share > 0.8  # -425 HU is the lower end of the raw map


def test_several_nodules_keep_the_order_of_their_labels() -> None:
    labels = np.zeros(_SHAPE, np.uint16)
    labels[_ellipsoid((4, 4, 4), centre=(12, 0, 0))] = 2
    labels[_ellipsoid((6, 6, 6), centre=(-10, 0, 0))] = 1
    rows = _measured(_lung_with(labels > 0), labels)
    assert [row.id for row in rows] == [1, 2]
    assert [row.mean_axis for row in rows] == pytest.approx([12, 8], abs=0.7)
    assert [row.slice for row in rows] == [20, 42]


def test_labels_with_a_gap_are_refused() -> None:
    labels = np.zeros(_SHAPE, np.uint16)
    labels[30, 40:44, 40:44] = 2
    with pytest.raises(ValueError, match="gaps"):
        _measured(_lung_with(labels > 0), labels)


def test_the_table_has_a_title_with_unit_for_every_value() -> None:
    ball = _ellipsoid((8, 8, 8))
    (row,) = _measured(_lung_with(ball), ball, np.zeros(_SHAPE, np.uint8))
    titles, values = header(), as_row(row)
    assert len(titles) == len(set(titles)) == len(values)
    table = dict(zip(titles, values, strict=True))
    assert table["volume (mm3)"] == round(row.volume, 4)
    assert table["centre R (mm)"] == round(row.centre_r, 4)
    assert table["raw CT, core: mean (HU)"] == 0
    assert table["heterogeneity, whole: entropy (bit)"] == row.whole.entropy
    assert table["side"] == "unknown"
    assert table["touches pleura"] == table["instance number"] == ""
    assert dict(zip(titles, as_row(replace(row, touches_pleura=True)), strict=True))["touches pleura"] == "yes"


def test_a_flat_map_is_strongest_nowhere() -> None:
    ball = _ellipsoid((8, 8, 8), centre=(2, 3.5, -7))
    (even,) = _measured(_lung_with(ball), ball)
    noisy = _lung_with(ball)
    noisy.hu[ball] = np.random.default_rng(1).integers(-60, 0, np.count_nonzero(ball))
    (uneven,) = _measured(noisy, ball)
    assert np.isnan(even.strongest_depth) and np.isnan(even.strongest_hu)
    assert uneven.strongest_depth >= 0 and -60 <= uneven.strongest_hu < 0
