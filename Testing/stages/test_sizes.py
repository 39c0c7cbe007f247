"""Sizes and their uncertainty: the volume to the CT's own edge, and where repeats lie."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import ndimage

from lnhg.core.ct import CT
from lnhg.core.interval import UNKNOWN, Interval
from lnhg.stages.edge_volume import edge_volume
from lnhg.stages.size_intervals import PROTOCOLS, SIZES, Conditions, SizeUncertainty, size_uncertainty

SPACING = (0.7, 0.7, 1.25)
SHAPE = (40, 64, 64)


def ball(radius: float, blur: float = 0.6, hu: float = 30.0, lung: float = -850.0) -> tuple[CT, np.ndarray]:
    """A ball in lung as a scanner sees it, and the distance of each voxel from its middle, mm."""
    step = np.array(SPACING[::-1])
    axes = [(np.arange(n) - (n - 1) / 2 + 0.3) * h for n, h in zip(SHAPE, step, strict=True)]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    distance = np.sqrt(z**2 + y**2 + x**2)
    share = np.clip(0.5 + (radius - distance) / 0.7, 0, 1)
    share = ndimage.gaussian_filter(share, blur / step)
    values = lung + (hu - lung) * share + np.random.default_rng(0).normal(0, 20, SHAPE)
    return CT(np.rint(values).astype(np.int16), np.diag([-0.7, -0.7, 1.25, 1.0])), distance


@pytest.mark.parametrize("radius", [3.0, 5.0, 9.0])
@pytest.mark.parametrize("outline_mm", [-0.4, 0.0, 0.5])
def test_the_volume_to_the_edge_does_not_hang_on_how_wide_the_outline_is(radius: float, outline_mm: float) -> None:
    ct, distance = ball(radius)
    measured = edge_volume(ct, distance < radius + outline_mm)
    assert measured.volume == pytest.approx(4 / 3 * math.pi * radius**3, rel=0.06)
    assert measured.attached == 0


def test_a_faint_ball_is_measured_too() -> None:
    ct, distance = ball(7.0, hu=-600.0)
    assert edge_volume(ct, distance < 7.3).volume == pytest.approx(4 / 3 * math.pi * 7**3, rel=0.05)


def test_where_other_tissue_begins_the_outline_stands() -> None:
    ct, distance = ball(6.0)
    hu = ct.hu.copy()
    hu[:, :, :28] = 40  # a wall that the ball leans on
    outline = (distance < 6.2) & (np.arange(SHAPE[2]) >= 28)
    measured = edge_volume(CT(hu, ct.ijk_to_ras), outline)
    assert measured.attached > 0.1
    assert measured.volume == pytest.approx(outline.sum() * ct.voxel_volume, rel=0.12)


def test_a_faint_ball_in_a_darker_ring_has_no_edge_that_could_be_measured() -> None:
    ct, distance = ball(3.0)
    hu = np.where(distance <= 3.0, -650, np.where(distance < 5.5, -920, -830)).astype(np.int16)
    assert math.isnan(edge_volume(CT(hu, ct.ijk_to_ras), distance <= 3.0).volume)


def test_without_lung_around_no_edge_is_measured() -> None:
    ct, distance = ball(6.0, lung=0.0)
    assert math.isnan(edge_volume(ct, distance < 6).volume)


def test_an_interval_holds_its_size_and_has_a_width() -> None:
    known = size_uncertainty()
    for size in SIZES:
        conditions = Conditions(8.0, 1.25, 0.1, subsolid=False)
        same, other = (known.interval(size, protocol, 250.0, conditions) for protocol in PROTOCOLS)
        assert same.holds(250.0) and other.holds(250.0)
        assert min(one.high - one.low for one in (same, other)) > 0


def test_small_faint_thick_and_attached_nodules_are_less_certain() -> None:
    known = SizeUncertainty({"volume": {"same": (0.1, 0.05, 0.1, 0.1)}}, "", {})

    def width(**changed: float) -> float:
        conditions = Conditions(**({"diameter": 10.0, "slice_mm": 1.0, "attached": 0.0, "subsolid": False} | changed))
        interval = known.interval("volume", "same", 500.0, conditions)
        return interval.high / interval.low

    assert width() < width(diameter=5.0)
    assert width() < min(width(slice_mm=2.5), width(attached=0.5), width(subsolid=True))
    assert width(attached=math.nan) == width(attached=1.0)


def test_an_interval_says_whether_it_crosses_a_boundary() -> None:
    assert Interval(5.4, 6.3).crosses(6.0)
    assert not Interval(6.0, 6.3).crosses(6.0)
    assert not UNKNOWN.crosses(6.0) and not UNKNOWN.holds(6.0)
