"""The place of a nodule: its lobe on any grid, on a fissure or outside, its third, its distance to the pleura."""

from __future__ import annotations

import numpy as np
import pytest

from lnhg.core.ct import CT
from lnhg.core.lobes import LOBES, NO_LOBES, OUTSIDE_LOBES, LobeMap, is_upper
from lnhg.stages.lungs import LEFT, RIGHT
from lnhg.stages.place import LungShape, lobe_of, overlaps
from lobe_maps import GRID, lobe_blocks

NAMES = dict(enumerate(LOBES, 1))
LOBE_MAP = LobeMap(lobe_blocks(), GRID, NAMES)
#: A CT on a finer grid than the lobes', and elsewhere: 1 mm, columns to the left, over the same field.
FINE = np.array([[-1.0, 0, 0, 29.5], [0, -1.0, 0, 19.5], [0, 0, 1.0, -29.5], [0, 0, 0, 1.0]])
CT_FINE = CT(np.zeros((60, 40, 60), np.int16), FINE)


def ball(ras, diameter, ct=CT_FINE):
    k, j, i = np.indices(ct.hu.shape)
    points = ct.to_ras(np.stack([i, j, k], -1))
    return np.linalg.norm(points - ras, axis=-1) <= diameter / 2


def lobe(ras, diameter=6.0, lobes=LOBE_MAP, ct=CT_FINE):
    return lobe_of(lobes, ct, ball(np.array(ras), diameter, ct), np.zeros(3, int))


@pytest.mark.parametrize(
    ("ras", "name"),
    [
        ((15, -10, 20), "right upper lobe"),
        ((15, -10, -20), "right lower lobe"),
        ((15, 12, -5), "right middle lobe"),
        ((-15, 0, 20), "left upper lobe"),
        ((-15, 0, -20), "left lower lobe"),
    ],
)
def test_the_lobe_is_that_of_the_place_whatever_the_grids(ras, name):
    assert lobe(ras) == name


@pytest.mark.parametrize("axes", [(0, 1, 2), (0, 2, 1), (2, 1, 0)])
def test_a_turned_segmentation_gives_the_same_lobe(axes):
    labels = lobe_blocks().transpose(axes)
    turned = np.eye(4)
    turned[:3, :3] = GRID[:3, :3][:, [(2 - a) for a in axes][::-1]]
    turned[:3, 3] = GRID[:3, 3]
    assert lobe((15, -10, 20), lobes=LobeMap(labels, turned, NAMES)) == "right upper lobe"


def test_a_nodule_on_a_fissure_has_both_lobes_the_larger_part_first():
    assert lobe((15, -10, 0.5), 10.0) == "right upper lobe / right lower lobe"
    assert lobe((15, -10, -1.5), 10.0) == "right lower lobe / right upper lobe"
    assert lobe((15, -10, 4.0), 10.0) == "right upper lobe"


def test_a_nodule_that_the_segmentation_leaves_out_belongs_to_the_nearest_lobe():
    labels = lobe_blocks()
    hole = LobeMap(np.where(ball_on_lobes((15, -10, 20), 10.0), 0, labels), GRID, NAMES)
    assert lobe((15, -10, 20), 6.0, lobes=hole) == "right upper lobe"


def ball_on_lobes(ras, diameter):
    return ball(np.array(ras), diameter, CT(np.zeros(LOBE_MAP.labels.shape, np.int16), GRID))


def test_far_from_all_lobes_it_is_outside_and_without_a_segmentation_nothing_is_said():
    alone = LobeMap(np.where(lobe_blocks() == 4, 4, 0), GRID, {4: "left upper lobe"})
    assert lobe((20, 0, -20), lobes=alone) == OUTSIDE_LOBES
    assert lobe((15, -10, 20), lobes=None) == NO_LOBES


def test_lobes_of_another_ct_do_not_overlap_it():
    far = GRID.copy()
    far[:3, 3] += 500
    assert overlaps(LOBE_MAP, CT_FINE)
    assert not overlaps(LobeMap(lobe_blocks(), far, NAMES), CT_FINE)


@pytest.mark.parametrize(
    ("place", "upper"),
    [
        ("right upper lobe", True),
        ("left lower lobe", False),
        ("right middle lobe / right lower lobe", False),
        ("right upper lobe / right middle lobe", None),
        ("left lung", None),
        (OUTSIDE_LOBES, None),
        (NO_LOBES, None),
    ],
)
def test_whether_it_is_an_upper_lobe(place, upper):
    assert is_upper(place) is upper


def lungs_of(cut=False):
    lungs = np.zeros((60, 40, 60), np.uint8)
    low = 0 if cut else 6
    lungs[low:54, 4:36, 4:28] = RIGHT
    lungs[6:54, 4:36, 32:56] = LEFT
    return lungs


@pytest.mark.parametrize(("slice_number", "third"), [(8, "lower"), (30, "middle"), (52, "upper")])
def test_the_third_of_the_lung(slice_number, third):
    shape = LungShape(CT_FINE, lungs_of())
    assert shape.third(slice_number, RIGHT) == third


def test_of_a_lung_that_the_scan_cuts_the_third_is_not_told():
    shape = LungShape(CT_FINE, lungs_of(cut=True))
    assert shape.third(30, RIGHT) == "unknown"
    assert shape.third(30, LEFT) == "middle"
    assert shape.third(30, 3) == "unknown"


@pytest.mark.parametrize(("column", "distance"), [(15, 10.0), (8, 3.0), (4, 0.0)])
def test_the_distance_to_the_pleura_is_right_within_2_mm(column, distance):
    shape = LungShape(CT_FINE, lungs_of())
    voxels = np.array([[30, 20, column], [30, 20, column + 1]])
    assert shape.pleura_distance(voxels) == pytest.approx(distance, abs=2.0)


def test_without_lungs_there_is_no_distance():
    assert np.isnan(LungShape(CT_FINE, np.zeros((60, 40, 60), np.uint8)).pleura_distance(np.array([[1, 1, 1]])))
