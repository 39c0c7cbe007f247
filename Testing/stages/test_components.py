"""What nodules consist of: solid tissue, ground glass, air, calcium, fat, with partial volume at their edges."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from lnhg.stages.components import Component, component_volumes, components, largest_part, solid_part

SPACING = (0.7, 0.7, 1.25)
LUNG, TISSUE, GLASS = -860.0, 40.0, -560.0


def _distance(shape=(21, 41, 41), spacing=SPACING, centre=(0.0, 0.0, 0.0)) -> np.ndarray:
    """mm from the middle of the array, moved by `centre` (slice, row, column)."""
    axes = [(np.arange(n) - n // 2) * step - c for n, step, c in zip(shape, spacing[::-1], centre, strict=True)]
    return np.sqrt(sum(axis**2 for axis in np.meshgrid(*axes, indexing="ij")))


def _scanned(hu: np.ndarray, noise: float = 15.0, spacing=SPACING) -> np.ndarray:
    """As a scanner would show it: blurred by 0.6 mm, with noise."""
    blurred = ndimage.gaussian_filter(hu, [0.6 / step for step in spacing[::-1]])
    return np.rint(blurred + np.random.default_rng(1).normal(0, noise, hu.shape)).astype(np.int16)


def _ball(
    radius: float, hu: float = TISSUE, inner: float = 0.0, inner_hu: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """HU of a ball in lung with another ball in its middle, and its voxels."""
    distance = _distance()
    return _scanned(np.where(distance < inner, inner_hu, np.where(distance < radius, hu, LUNG))), distance < radius


def _ball_volume(radius: float) -> float:
    return 4 / 3 * np.pi * radius**3


@pytest.mark.parametrize("radius", [1.75, 3.0, 6.0])
def test_a_solid_nodule_has_no_ground_glass_from_partial_volume(radius):
    hu, nodule = _ball(radius)
    assert (hu[nodule] < -300).any()
    assert (components(hu, nodule, SPACING)[nodule] == Component.SOLID).all()


@pytest.mark.parametrize("radius", [2.0, 6.0])
def test_a_ground_glass_nodule_has_no_solid_part(radius):
    hu, nodule = _ball(radius, GLASS)
    assert (components(hu, nodule, SPACING)[nodule] == Component.GROUND_GLASS).all()
    assert not solid_part(hu, nodule, SPACING).any()


def test_the_solid_part_of_a_part_solid_nodule_has_its_true_volume():
    hu, nodule = _ball(8.0, GLASS, 4.0, TISSUE)
    found = solid_part(hu, nodule, SPACING)
    assert found.sum() * np.prod(SPACING) == pytest.approx(_ball_volume(4.0), rel=0.1)


def test_a_cavity_is_air_and_has_its_true_volume_though_its_edge_is_blurred():
    hu, nodule = _ball(8.0, TISSUE, 4.0, -990)
    volumes = component_volumes(components(hu, nodule, SPACING), float(np.prod(SPACING)))
    assert volumes.air == pytest.approx(_ball_volume(4.0), rel=0.2)
    assert volumes.ground_glass == 0


def test_lung_in_a_generous_outline_is_no_air():
    hu, _ = _ball(5.0)
    nodule = _distance() < 5.6
    assert not (components(hu, nodule, SPACING) == Component.AIR).any()


def test_calcium_and_fat_are_told_from_soft_tissue():
    calcium = components(*_ball(8.0, TISSUE, 3.0, 500), SPACING)
    fat = components(*_ball(9.0, TISSUE, 4.5, -85), SPACING)
    voxel = np.prod(SPACING)
    assert (calcium == Component.CALCIUM).sum() * voxel == pytest.approx(_ball_volume(3.0), rel=0.3)
    assert (fat == Component.FAT).sum() * voxel == pytest.approx(_ball_volume(4.5), rel=0.5)
    assert not (calcium == Component.FAT).any() and not (fat == Component.CALCIUM).any()


def test_the_volumes_of_the_components_add_up_to_the_nodule():
    hu, nodule = _ball(8.0, GLASS, 4.0, 500)
    volumes = component_volumes(components(hu, nodule, SPACING), 2.0)
    together = volumes.solid + volumes.ground_glass + volumes.air + volumes.calcium + volumes.fat
    assert together == 2.0 * nodule.sum()


def test_slices_of_5_mm_are_no_reason_to_see_ground_glass():
    spacing = (0.7, 0.7, 5.0)
    distance = _distance((9, 41, 41), spacing)
    hu = _scanned(np.where(distance < 8, TISSUE, LUNG), spacing=spacing)
    assert (components(hu, distance < 8, spacing)[distance < 8] == Component.SOLID).mean() > 0.95


def test_of_two_parts_the_larger_one_is_the_largest():
    mask = (_distance() < 4) | (_distance(centre=(0, 10, 10)) < 2)
    assert (largest_part(mask) == (_distance() < 4)).all()
    assert not largest_part(np.zeros((2, 2, 2), bool)).any()
