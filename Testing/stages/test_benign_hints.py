"""Hints for benign kinds: where calcium lies, and what looks perifissural."""

from __future__ import annotations

import numpy as np
import pytest

from lnhg.stages.benign_hints import calcification, dense_hu, looks_perifissural

SPACING = (1.0, 1.0, 1.0)


def ball(radius, size=25):
    k, j, i = np.indices((size, size, size)) - size // 2
    return np.sqrt(k**2 + j**2 + i**2) <= radius


def hint(calcium):
    hu = np.where(ball(9), 40, -850)
    hu[calcium] = 500
    return calcification(hu, ball(9), SPACING)


def test_where_the_calcium_lies():
    assert hint(np.zeros((25, 25, 25), bool)) == "none"
    assert hint(ball(9)) == "complete"
    assert hint(ball(4)) == "central"
    assert hint(ball(9) & ~ball(8)) == "at the edge"


def test_a_few_dense_voxels_are_no_calcium():
    speck = np.zeros((25, 25, 25), bool)
    speck[12, 12, 12:15] = True
    assert hint(speck) == "none"
    assert dense_hu(np.array([40] * 99 + [900])) == 40


@pytest.mark.parametrize(
    ("kind", "mm", "sphericity", "lobe", "known", "looks"),
    [
        ("solid", 6.0, 0.9, "right upper lobe / right middle lobe", True, True),
        ("solid", 6.0, 0.9, "right upper lobe", True, False),
        ("solid", 10.0, 0.9, "right upper lobe / right middle lobe", True, False),
        ("solid", 6.0, 0.7, "right upper lobe / right middle lobe", True, False),
        ("ground glass", 6.0, 0.9, "right upper lobe / right middle lobe", True, False),
        ("solid", 6.0, 0.9, "no segmentation", False, None),
    ],
)
def test_perifissural_shape(kind, mm, sphericity, lobe, known, looks):
    assert looks_perifissural(kind, mm, sphericity, lobe, known) is looks
