"""Where a nodule of one study is looked for in another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from lnhg.core.ct import CT
from lnhg.followup.registration import PATCH_MM, LungScan, PointMap, found_again, lattice

_GRID = np.diag([-1.0, -1.0, 1.0, 1.0])


def _lung(*nodules: tuple[int, int, int], seed: int = 0) -> LungScan:
    """Lung of 64 mm with some texture and balls of 9 mm, all within the lungs."""
    texture = ndimage.gaussian_filter(np.random.default_rng(1).normal(size=(64, 64, 64)), 2)
    hu = -850 + 60 * texture / texture.std() + np.random.default_rng(seed).normal(0, 10, texture.shape)
    axes = np.indices(hu.shape)
    for at in nodules:
        distance = np.sqrt(sum((axis - c) ** 2 for axis, c in zip(axes, at, strict=True)))
        hu = np.where(distance < 4.5, 40.0, hu)
    return LungScan(CT(np.rint(hu).astype(np.int16), _GRID), np.ones(hu.shape, bool))


def _map(fixed: LungScan, moving: LungScan, shift: tuple[float, float, float] = (0, 0, 0)) -> PointMap:
    return PointMap(fixed, moving, np.eye(3), lambda points: points + np.array(shift))


def _place(scan: LungScan, at: tuple[int, int, int]) -> np.ndarray:
    return np.asarray(scan.ct.to_ras(np.array(at[::-1], float)))


# The nodule itself is hidden; its neighbour is what the surroundings show best.
_NODULE, _NEIGHBOUR = (32, 32, 32), (32, 32, 43)
_HIDDEN = np.linalg.norm(lattice(PATCH_MM), axis=-1) < 6.0


def test_a_nodule_is_not_looked_for_where_its_neighbour_would_fit() -> None:
    first, other = _lung(_NODULE, _NEIGHBOUR), _lung(_NODULE, _NEIGHBOUR, seed=2)
    # In the other study the neighbour is fainter, so its surroundings fit better on the nodule itself.
    faint = ndimage.gaussian_filter(other.ct.hu.astype(float), 0.5)
    faint[:, :, 38:] -= 0.85 * (faint[:, :, 38:] + 850).clip(0)
    other = replace(other, ct=CT(np.rint(faint).astype(np.int16), _GRID))
    points = _map(first, other)
    place = _place(first, _NODULE)
    anywhere, _ = found_again(points, place, _HIDDEN)
    near, _ = found_again(points, place, _HIDDEN, 12.0)
    assert np.linalg.norm(anywhere - place) > 6
    assert np.linalg.norm(near - place) < 3


@pytest.mark.parametrize("off_mm", [0.0, 3.0, 6.0])
def test_a_field_that_is_off_by_some_millimetres_is_put_right(off_mm: float) -> None:
    first, other = _lung(_NODULE, _NEIGHBOUR), _lung(_NODULE, _NEIGHBOUR, seed=2)
    place = _place(first, _NODULE)
    at, match = found_again(_map(first, other, (0, off_mm, 0)), place, _HIDDEN, 12.0)
    assert match > 0.6
    assert np.linalg.norm(at - place) < 1.0
