"""The heterogeneity map, its rim, its colours and its figures."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lnhg.core.resources import resource
from lnhg.stages.heterogeneity_figures import figures, raw_ct_figures, rim_mask
from lnhg.stages.heterogeneity_from_generator import heterogeneity_map, raw_ct_in_same_colours
from lnhg.writers.colours import jet, overlay

# Two nodules of three voxels each, one a slice; outside, G(x) goes up to 5.
_G = np.array([[[5.0, 0.2, 0.6, 1.0, 0.0]], [[0.0, 0.4, 0.6, 0.8, 3.0]]], np.float32)
_LABELS = np.array([[[0, 1, 1, 1, 0]], [[0, 2, 2, 2, 0]]], np.uint16)


def test_the_map_is_minus_one_outside_and_turns_g_round_inside() -> None:
    h = heterogeneity_map(_G, _LABELS)
    assert h.dtype == np.float32
    assert (h[_LABELS == 0] == -1).all()
    np.testing.assert_allclose(h[0, 0, 1:4], [0.8, 0.4, 0.0], atol=1e-6)  # 1 - G / 1.0: the scan's min is 0
    np.testing.assert_allclose(h[1, 0, 1:4], [0.6, 0.4, 0.2], atol=1e-6)


def test_each_nodule_by_itself_runs_from_weak_at_its_maximum_to_strong_at_its_minimum() -> None:
    h = heterogeneity_map(_G, _LABELS, normalisation="nodule")
    np.testing.assert_allclose(h[0, 0, 1:4], [1, 0.5, 0], atol=1e-6)
    np.testing.assert_allclose(h[1, 0, 1:4], [1, 0.5, 0], atol=1e-6)


def test_the_papers_way_takes_the_range_of_the_whole_slice() -> None:
    h = heterogeneity_map(_G, _LABELS, normalisation="slice")
    np.testing.assert_allclose(h[0, 0, 1:4], 1 - np.array([0.2, 0.6, 1.0]) / 5, atol=1e-6)
    np.testing.assert_allclose(h[1, 0, 1:4], 1 - np.array([0.4, 0.6, 0.8]) / 3, atol=1e-6)


@pytest.mark.parametrize("normalisation", ["scan", "nodule", "slice"])
def test_intensity_is_the_mirror_image(normalisation: str) -> None:
    inverse = heterogeneity_map(_G, _LABELS, "inverse", normalisation)
    intensity = heterogeneity_map(_G, _LABELS, "intensity", normalisation)
    np.testing.assert_allclose((inverse + intensity)[_LABELS > 0], 1, atol=1e-6)
    assert (intensity[_LABELS == 0] == -1).all()


@pytest.mark.parametrize(("kind", "expected"), [("inverse", 0.0), ("intensity", 1.0)])
def test_a_flat_nodule_is_weak_all_over(kind: str, expected: float) -> None:
    g = np.where(_LABELS == 1, 0.7, _G)
    h = heterogeneity_map(g, _LABELS, kind, "nodule")
    assert (h[_LABELS == 1] == expected).all()


def test_values_below_zero_are_clipped() -> None:
    h = heterogeneity_map(np.where(_LABELS == 1, -0.5, _G), _LABELS)
    assert (h[_LABELS == 1] == 1).all()


def test_a_scan_without_nodules_has_an_empty_map() -> None:
    assert (heterogeneity_map(_G, np.zeros_like(_LABELS)) == -1).all()


def test_unknown_kinds_and_ranges_are_refused() -> None:
    with pytest.raises(ValueError, match="kind"):
        heterogeneity_map(_G, _LABELS, "sideways")
    with pytest.raises(ValueError, match="normalisation"):
        heterogeneity_map(_G, _LABELS, normalisation="patient")


def test_the_raw_ct_takes_both_ends_of_the_scan_from_the_nodules() -> None:
    hu = np.array([[[900, -600, -200, 0, 0]], [[0, -400, -100, 200, -1024]]], np.int16)
    h = raw_ct_in_same_colours(hu, _LABELS).whole()
    np.testing.assert_allclose(h[0, 0, 1:4], [1, 0.5, 0.25], atol=1e-6)  # -600 to 200
    np.testing.assert_allclose(h[1, 0, 1:4], [0.75, 0.375, 0], atol=1e-6)
    assert (h[_LABELS == 0] == -1).all()


def test_a_box_of_the_raw_cts_map_is_that_part_of_the_whole() -> None:
    generator = np.random.default_rng(3)
    labels = np.zeros((6, 20, 20), np.uint8)
    labels[1:4, 2:9, 2:9][np.tri(7, dtype=bool)[None].repeat(3, 0)] = 1
    labels[1:4, 2:9, 2:9][~np.tri(7, dtype=bool)[None].repeat(3, 0)] = 2  # their boxes are the same
    labels[4:, 15:, 10:14] = 3
    hu = generator.integers(-900, 300, labels.shape)
    parts = raw_ct_in_same_colours(hu, labels, normalisation="nodule")
    whole = parts.whole()
    assert ((whole >= 0) == (labels > 0)).all()
    for box in (np.s_[0:6, 0:20, 0:20], np.s_[2:5, 5:18, 0:12], np.s_[5:30, 14:99, 3:40], np.s_[0:1, 0:2, 0:2]):
        np.testing.assert_array_equal(parts[box], whole[box])


def test_the_rim_is_one_millimetre_of_each_nodule() -> None:
    labels = np.zeros((9, 20, 20), np.uint8)
    labels[1:8, 4:16, 4:16] = 1  # voxels of 1 x 0.5 x 0.5 mm: the rim is 1 slice, 2 rows and 2 columns thick
    rim = rim_mask(labels, (0.5, 0.5, 1.0), 1.0)
    core = np.zeros_like(rim)
    core[2:7, 6:14, 6:14] = True
    np.testing.assert_array_equal((labels > 0) & ~rim, core)
    assert not rim[labels == 0].any()


def test_thick_slices_have_no_rim_at_top_and_bottom() -> None:
    labels = np.ones((3, 9, 9), np.uint8)
    labels[:, [0, -1]] = labels[:, :, [0, -1]] = 0
    labels = np.pad(labels, ((1, 1), (0, 0), (0, 0)))
    rim = rim_mask(labels, (0.8, 0.8, 5.0), 1.0)
    assert not rim[1, 4, 4]
    assert rim[1, 1, 4]


def test_a_thin_nodule_is_all_rim_and_a_rim_of_zero_is_empty() -> None:
    labels = np.zeros((3, 5, 5), np.uint8)
    labels[1, 1:4, 1:4] = 1
    assert rim_mask(labels, (0.7, 0.7, 0.7), 1.0)[labels == 1].all()
    assert not rim_mask(labels, (0.7, 0.7, 0.7), 0.0).any()


def test_touching_nodules_have_a_rim_between_them_but_the_end_of_the_scan_is_none() -> None:
    labels = np.ones((1, 1, 20), np.uint8)
    labels[..., 10:] = 2
    rim = rim_mask(labels, (1.0, 1.0, 1.0), 1.0)
    assert np.flatnonzero(rim).tolist() == [9, 10]


def test_weak_is_blue_middle_green_and_strong_red() -> None:
    blue, cyan, green, yellow, red = jet(np.array([0, 0.4, 0.5, 0.6, 1])).tolist()
    assert blue == [0, 0, 128] and red == [128, 0, 0]
    assert cyan[1] == 255 and cyan[2] > cyan[0]
    assert green[1] == 255 and abs(green[0] - green[2]) < 20
    assert yellow[1] == 255 and yellow[0] > yellow[2]
    np.testing.assert_array_equal(jet(np.array([-1, 7, np.nan])), jet(np.array([0, 1, 0])))


def test_slicer_reads_the_same_colours_from_the_file() -> None:
    slicer = pytest.importorskip("slicer", reason="needs the headless Slicer host")
    node = slicer.vtkMRMLColorTableNode()
    storage = slicer.vtkMRMLColorTableStorageNode()
    storage.SetFileName(str(resource("Colors", "LNHG-Heterogeneity.ctbl")))
    assert storage.ReadData(node) == 1
    assert node.GetNumberOfColors() == 256
    table = node.GetLookupTable()
    table.SetTableRange(0, 1)
    for value in (0, 0.1, 0.33, 0.5, 0.81, 1):
        colour = [0.0] * 3
        table.GetColor(value, colour)
        np.testing.assert_allclose(np.array(colour) * 255, jet(np.array(value)), atol=0.5)


def test_the_overlay_shows_a_weak_core_in_blue_and_the_ct_in_grey() -> None:
    ct = np.array([[-1000, -300, 400, 40]], np.int16)
    picture = overlay(ct, np.array([[-1, -1, -1, 0.0]], np.float32), (-1000, 400))
    assert picture.dtype == np.uint8
    assert picture[0].tolist() == [[0, 0, 0], [127, 127, 127], [255, 255, 255], [0, 0, 128]]


def test_figures_of_a_known_histogram() -> None:
    half = figures(np.array([0.1, 0.1, 0.9, 0.9]))
    assert (half.mean, half.entropy, half.strong_share) == pytest.approx((0.5, 1.0, 0.5))
    assert (half.deviation, half.variation) == pytest.approx((0.4, 0.8))
    assert figures(np.arange(32) / 32 + 0.01).entropy == pytest.approx(5)
    assert figures(np.array([0.1, 0.3, 0.3, 0.3])).entropy == pytest.approx(2 - 0.75 * math.log2(3))


def test_an_even_nodule_has_no_entropy_and_an_empty_region_no_figures() -> None:
    even = figures(np.full(10, 0.7))
    assert (even.entropy, even.deviation, even.strong_share) == pytest.approx((0, 0, 1), abs=1e-9)
    assert math.isnan(figures(np.zeros(3)).variation)
    assert all(math.isnan(value) for value in vars(figures(np.array([]))).values())
    assert math.isnan(raw_ct_figures(np.array([]), np.array([])).mean)


def test_figures_of_the_raw_ct_are_in_hu_and_vary_against_air() -> None:
    found = raw_ct_figures(np.array([-100, 100], np.int16), np.array([1.0, 0.0]))
    assert (found.mean, found.deviation, found.variation) == pytest.approx((0, 100, 0.1))
    assert (found.entropy, found.strong_share) == pytest.approx((1, 0.5))
