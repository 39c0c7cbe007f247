"""Boxes of labels in volumes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from lnhg.core.boxes import box_around, grown_box, label_boxes


@pytest.mark.parametrize("kind", [bool, np.uint8, np.uint16, np.int32])
def test_the_boxes_are_those_that_scipy_finds(kind: type) -> None:
    spots = np.random.default_rng(3).random((12, 20, 24)) > 0.98
    labels = ndimage.label(spots, np.ones((3, 3, 3)))[0].astype(kind)
    expected = dict(enumerate(ndimage.find_objects(labels.astype(int)), 1))
    assert label_boxes(labels) == expected


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", [bool, np.uint8, np.int16, np.float32, np.int64])
def test_each_single_voxel_has_its_box_wherever_it_lies(kind: type, order: str) -> None:
    for place in np.ndindex(3, 5, 7):  # a number that eight does not divide
        labels = np.zeros((3, 5, 7), kind, order)
        labels[place] = 1
        assert label_boxes(labels) == {1: tuple(slice(one, one + 1) for one in place)}


def test_a_label_that_is_missing_has_no_box() -> None:
    labels = np.zeros((4, 5, 6), np.uint16)
    labels[1:3, 2, 0] = 7
    labels[3, 4, 5] = 2
    assert label_boxes(labels) == {
        2: (slice(3, 4), slice(4, 5), slice(5, 6)),
        7: (slice(1, 3), slice(2, 3), slice(0, 1)),
    }


def test_a_volume_without_labels_has_no_boxes_and_the_box_around_none_is_the_first_voxel() -> None:
    assert label_boxes(np.zeros((3, 3, 3), np.uint8)) == {}
    assert box_around([]) == (slice(0, 1), slice(0, 1), slice(0, 1))


def test_a_box_around_boxes_holds_them_and_a_grown_box_begins_inside_the_array() -> None:
    one, other = (slice(1, 3), slice(5, 6), slice(2, 9)), (slice(0, 2), slice(4, 5), slice(3, 4))
    assert box_around([one, other]) == (slice(0, 3), slice(4, 6), slice(2, 9))
    assert grown_box(one, (2, 1, 1)) == (slice(0, 5), slice(4, 7), slice(1, 10))
