"""The network grid: sizes, geometry in mm, window."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from lnhg.errors import InputError
from lnhg.networks.grid import NetworkGrid, between, resize, to_ct_grid

_PAPER = NetworkGrid("paper", 1.4)


def _hu(normalised: np.ndarray) -> np.ndarray:
    return normalised * 1400 - 1000


@pytest.mark.parametrize("field", [250.0, 300.3, 360.0, 500.0])
@pytest.mark.parametrize("matrix", [512, 768, 1024])
def test_the_papers_rule_takes_a_whole_slice_to_256_pixels(field: float, matrix: int) -> None:
    spacing = field / matrix
    assert _PAPER.sample(np.zeros((1, matrix, matrix), np.int16), (spacing, spacing)).shape == (1, 256, 256)
    assert _PAPER.steps((matrix, matrix), (spacing, spacing)) == pytest.approx((matrix / 256, matrix / 256))


def test_under_the_papers_rule_a_crop_keeps_the_known_pixel() -> None:
    assert _PAPER.steps((44, 44), (0.7, 0.7)) == pytest.approx((2, 2))
    assert _PAPER.sample(np.zeros((1, 44, 44), np.int16), (0.7, 0.7)).shape == (1, 22, 22)


def test_the_fixed_rule_keeps_its_pixel_for_whole_slices_too() -> None:
    grid = NetworkGrid("fixed", 1.0)
    assert grid.sample(np.zeros((2, 400, 500), np.int16), (0.8, 0.5)).shape == (2, 200, 400)


def test_coarser_pixels_are_so_many_times_as_wide_as_those_of_the_slice_whatever_the_rule() -> None:
    chest, crop = (512, 512), (44, 44)
    for grid in (_PAPER, NetworkGrid("fixed", 1.0)):
        for shape in (chest, crop):
            coarse = grid.coarser(2.0, shape, (0.7, 0.7))
            assert coarse.steps(shape, (0.7, 0.7)) == pytest.approx(2 * np.array(grid.steps(shape, (0.7, 0.7))))
            assert coarse.window_hu == grid.window_hu


def test_hu_become_0_to_1_by_the_window_and_the_callers_array_stays() -> None:
    hu = np.array([[[-2000, -1000, -300, 400, 3000]]], np.int16)
    sampled = NetworkGrid("fixed", 1.0).sample(hu, (1.0, 1.0))
    np.testing.assert_allclose(sampled, [[[0, 0, 0.5, 1, 1]]], atol=1e-6)
    assert hu.tolist() == [[[-2000, -1000, -300, 400, 3000]]]


@pytest.mark.parametrize("pixel", [0.5, 1.0, 1.4, 2.0])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_ramp_stays_the_same_ramp_in_mm(pixel: float, axis: int) -> None:
    spacing = (0.7, 0.8)  # column, row
    index = np.indices((61, 73))[axis]
    width = spacing[1 - axis]
    slope = 0.01  # a mm
    slices = _hu(0.1 + slope * width * index)[None]
    grid = NetworkGrid("fixed", pixel)
    image = grid.sample(slices, spacing)[0]

    steps = grid.steps((61, 73), spacing)
    at_mm = ((np.indices(image.shape)[axis] + 0.5) * steps[axis] - 0.5) * width
    # The shrinking filter's weights are not quite centred when a pixel is no whole number of columns wide.
    within = slope * 0.05  # mm
    inner = np.s_[3:-3, 3:-3]
    np.testing.assert_allclose(image[inner], (0.1 + slope * at_mm)[inner], atol=within)

    back = to_ct_grid(image, steps, (0, 61), (0, 73))
    far = np.s_[10:-10, 10:-10]
    np.testing.assert_allclose(back[far], (0.1 + slope * width * index)[far], atol=within)


def test_a_part_of_the_ct_grid_is_the_same_part_of_the_whole() -> None:
    image = np.random.default_rng(0).random((20, 25), np.float32)
    whole = to_ct_grid(image, (1.7, 2.3), (0, 34), (0, 57))
    part = to_ct_grid(image, (1.7, 2.3), (5, 21), (11, 57))
    np.testing.assert_allclose(part, whole[5:21, 11:57], atol=1e-6)


def test_odd_sizes_drop_the_partial_last_pixel_and_come_back_whole() -> None:
    grid = NetworkGrid("fixed", 1.4)
    image = grid.sample(np.full((1, 45, 47), 400, np.int16), (0.7, 0.7))
    assert image.shape == (1, 22, 23)
    back = to_ct_grid(image[0], grid.steps((45, 47), (0.7, 0.7)), (0, 45), (0, 47))
    np.testing.assert_allclose(back, np.ones((45, 47)), atol=1e-6)


def test_a_slice_thinner_than_a_pixel_keeps_one_pixel() -> None:
    assert NetworkGrid("fixed", 2.0).sample(np.zeros((1, 2, 32), np.int16), (0.5, 0.5)).shape == (1, 1, 8)


def test_shrinking_does_not_alias() -> None:
    stripes = np.tile(_hu(np.array([0.0, 1.0])), 32)[None].repeat(64, 0)[None]
    image = NetworkGrid("fixed", 1.0).sample(stripes, (0.5, 0.5))[0, 2:-2, 2:-2]
    np.testing.assert_allclose(image, 0.5, rtol=1.3e-6, atol=1e-5)


def test_resizing_by_one_changes_nothing() -> None:
    images = np.random.default_rng(0).random((2, 5, 7), np.float32)
    assert resize(images, (1.0, 1.0)) is images


def test_a_grid_comes_back_from_the_manifest() -> None:
    grid = NetworkGrid("paper", 1.25, (-900.0, 500.0))
    assert NetworkGrid.from_dict(json.loads(json.dumps(grid.as_dict()))) == grid


def test_a_manifest_without_a_distance_between_slices_means_neighbouring_slices() -> None:
    older = NetworkGrid("paper", 1.25, (-900.0, 500.0)).as_dict()
    assert "slice_mm" not in older
    assert [NetworkGrid.from_dict(older).slices_apart(spacing) for spacing in (0.45, 1.0, 5.0)] == [1, 1, 1]
    newer = json.loads(json.dumps(NetworkGrid("fixed", 1.2, slice_mm=2.0).as_dict()))
    assert NetworkGrid.from_dict(newer).slice_mm == 2.0


def test_slices_of_a_triplet_lie_equally_far_apart_whatever_the_spacing_but_never_nearer_than_neighbours() -> None:
    grid = NetworkGrid(slice_mm=2.5)
    for spacing in (0.45, 0.5, 0.625, 0.7, 1.0, 1.25, 1.8, 2.0, 2.5):
        assert grid.slices_apart(spacing) * spacing == pytest.approx(2.5, abs=0.01)
    assert [grid.slices_apart(spacing) for spacing in (0.6249998, 2.50001, 3.0, 10.0)] == [4, 1, 1, 1]


def test_a_position_between_slices_is_shared_by_its_neighbours_and_the_end_slices_go_on() -> None:
    assert between(3.0, 9) == [(3, 1.0)]
    assert between(3.25, 9) == [(3, 0.75), (4, 0.25)]
    assert between(-1.5, 9) == [(0, 0.5), (0, 0.5)] and between(10.0, 9) == [(8, 1.0)]


@pytest.mark.parametrize("slice_mm", [0.0, -2.5, float("nan"), float("inf")])
def test_a_distance_that_is_no_length_is_refused(slice_mm: float) -> None:
    with pytest.raises(InputError, match=r"slices of a triplet cannot lie .* mm apart; give a length above 0"):
        NetworkGrid(slice_mm=slice_mm)


def test_slices_are_scaled_as_the_networks_learned_from_pytorch() -> None:
    random = np.random.default_rng(1)
    for shape, scale in (((2, 512, 512), (0.6, 0.858)), ((1, 97, 310), (1.3, 0.5)), ((1, 512, 40), (1.0004, 2.1))):
        images = random.random(shape, np.float32)
        theirs = torch.nn.functional.interpolate(
            torch.from_numpy(images)[:, None], scale_factor=scale, mode="bilinear", antialias=True
        )[:, 0]
        np.testing.assert_allclose(resize(images, scale), theirs, atol=1e-6)
