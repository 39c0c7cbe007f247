"""The axial view of a CT: reordered, never resampled, and back again."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from lnhg.core.ct import CT
from lnhg.stages.axial import axial_order

# Columns to the left, rows to the back, slices to the head: what the view promises.
AXIAL = np.array([[-0.7, 0, 0, 90], [0, -0.8, 0, 60], [0, 0, 2.5, -300], [0, 0, 0, 1.0]])
HU = np.arange(3 * 4 * 5, dtype=np.int16).reshape(3, 4, 5)
ORDERS = list(itertools.permutations(range(3)))
FLIPS = list(itertools.product((False, True), repeat=3))


def stored(hu: np.ndarray, ijk_to_ras: np.ndarray, order: tuple[int, ...], flips: tuple[bool, ...]) -> CT:
    """The same CT with its array axes in another order, then flipped; the matrix says so."""
    array = np.flip(hu.transpose(order), [axis for axis in range(3) if flips[axis]])
    change = np.zeros((4, 4))
    change[3, 3] = 1
    for axis in range(3):  # array axis `axis` holds the original array axis `order[axis]`
        new, old = 2 - axis, 2 - order[axis]
        change[old, new] = -1 if flips[axis] else 1
        change[old, 3] = array.shape[axis] - 1 if flips[axis] else 0
    return CT(np.ascontiguousarray(array), ijk_to_ras @ change)


def test_an_axial_ct_is_its_own_view() -> None:
    view = axial_order(CT(HU, AXIAL))
    assert np.array_equal(view.ct.hu, HU)
    assert np.array_equal(view.ct.ijk_to_ras, AXIAL)


@pytest.mark.parametrize("flips", FLIPS)
@pytest.mark.parametrize("order", ORDERS)
def test_every_permutation_and_flip_has_the_same_view(order: tuple[int, ...], flips: tuple[bool, ...]) -> None:
    view = axial_order(stored(HU, AXIAL, order, flips))
    assert np.array_equal(view.ct.hu, HU)
    np.testing.assert_allclose(view.ct.ijk_to_ras, AXIAL, atol=1e-12)


@pytest.mark.parametrize("flips", FLIPS)
@pytest.mark.parametrize("order", ORDERS)
def test_arrays_go_forth_to_the_view_and_back_unchanged(order: tuple[int, ...], flips: tuple[bool, ...]) -> None:
    ct = stored(HU, AXIAL, order, flips)
    view = axial_order(ct)
    assert np.array_equal(view.to_axial(ct.hu), view.ct.hu)
    assert np.array_equal(view.from_axial(view.ct.hu), ct.hu)
    assert view.from_axial(view.ct.hu).flags.c_contiguous


angles = st.tuples(*[st.floats(-40, 40)] * 3)


@settings(max_examples=25, deadline=None)
@given(angles, st.floats(-1.2, 1.2), st.sampled_from(ORDERS), st.sampled_from(FLIPS), st.integers(0, HU.size - 1))
def test_a_voxel_of_an_oblique_sheared_grid_stays_where_it_is_in_the_patient(
    turned: tuple[float, ...], shear: float, order: tuple[int, ...], flips: tuple[bool, ...], value: int
) -> None:
    matrix = AXIAL.copy()
    matrix[:3, :3] = Rotation.from_euler("xyz", turned, degrees=True).as_matrix() @ AXIAL[:3, :3]
    matrix[:3, 2] += shear * matrix[:3, 1]
    ct = stored(HU, matrix, order, flips)
    view = axial_order(ct)
    original, reordered = (np.argwhere(one.hu == value)[0][::-1] for one in (ct, view.ct))
    np.testing.assert_allclose(view.ct.to_ras(reordered), ct.to_ras(original), atol=1e-9)
    assert np.array_equal(view.from_axial(view.ct.hu), ct.hu)
    assert np.isclose(view.ct.voxel_volume, ct.voxel_volume)


@settings(max_examples=15, deadline=None)
@given(st.tuples(*[st.floats(-15, 15)] * 3), st.sampled_from(ORDERS), st.sampled_from(FLIPS))
def test_a_slightly_oblique_ct_keeps_the_axial_order(
    turned: tuple[float, ...], order: tuple[int, ...], flips: tuple[bool, ...]
) -> None:
    matrix = AXIAL.copy()
    matrix[:3, :3] = Rotation.from_euler("xyz", turned, degrees=True).as_matrix() @ AXIAL[:3, :3]
    view = axial_order(stored(HU, matrix, order, flips))
    assert np.array_equal(view.ct.hu, HU)
    np.testing.assert_allclose(view.ct.ijk_to_ras, matrix, atol=1e-12)


def test_instance_numbers_follow_the_slices_when_they_are_turned_round() -> None:
    turned = stored(HU, AXIAL, (0, 1, 2), (True, False, False))
    ct = CT(turned.hu, turned.ijk_to_ras, instance_numbers=(11, 12, 13))
    assert axial_order(ct).ct.instance_numbers == (13, 12, 11)


def test_instance_numbers_are_dropped_where_the_stored_slices_are_not_axial() -> None:
    coronal = stored(HU, AXIAL, (1, 0, 2), (False, False, False))
    ct = CT(coronal.hu, coronal.ijk_to_ras, instance_numbers=(1, 2, 3, 4))
    assert axial_order(ct).ct.instance_numbers is None


def test_points_go_to_voxels_and_back() -> None:
    ct = CT(HU, AXIAL)
    points = np.array([[1.5, -20.25, -299], [90, 60, -300]])
    np.testing.assert_allclose(ct.to_ras(ct.to_ijk(points)), points)
    np.testing.assert_allclose(ct.to_ijk([90, 60, -300]), [0, 0, 0])
