"""The studies behind following: repeats of known solids, and simulated pairs."""

from __future__ import annotations

import numpy as np
import pytest

from lnhg.core.ct import CT
from lnhg.errors import InputError
from lnhg.stages.size_intervals import Conditions
from lnhg.studies.pairs_page import page
from lnhg.studies.repeats import PROTOCOL_LIST, Pair, RealNodule, Repeat, fitted_weights, moved_mm, pairs
from lnhg.studies.simulated_pairs import PairCounts, Planted, Warp, plant


def test_a_warp_leads_back_to_where_it_came_from() -> None:
    rng = np.random.default_rng(0)
    warp = Warp(np.array([-150.0, -150.0, -120.0]), np.array([150.0, 150.0, 120.0]), rng)
    points = rng.uniform(-100, 100, (50, 3))
    moved = warp.to_later(points)
    np.testing.assert_allclose(warp.to_earlier(moved), points, atol=0.01)
    assert np.linalg.norm(moved - points, axis=1).max() > 5


def test_a_planted_nodule_is_as_large_as_it_says() -> None:
    from lnhg.phantom.simulated_nodules import simulate

    ct = CT(np.full((40, 60, 60), -860, np.int16), np.diag([-0.7, -0.7, 1.0, 1.0]))
    body = simulate(5.0, np.random.default_rng(1))
    centre = ct.to_ras(np.array([30, 30, 20]))
    volumes = [
        float((plant(ct, [Planted(centre, body, factors, near=False)], 1).hu > -400).sum()) * ct.voxel_volume
        for factors in ((1.0, 0.0), (1.0, 1.0), (1.0, 1.3))
    ]
    assert volumes[0] == 0
    assert volumes[2] == pytest.approx(1.3**3 * volumes[1], rel=0.08)


def _pair(moved: float, diameter: float = 8.0, slice_mm: float = 1.0) -> Pair:
    first = 250.0
    return Pair(0, Conditions(diameter, slice_mm, 0.0, False), first, first * float(np.exp(6 * moved / diameter)))


def test_fitted_weights_hold_95_of_100_pairs() -> None:
    rng = np.random.default_rng(0)
    some = [_pair(float(rng.normal(0, 0.1 * step)), slice_mm=step) for step in (1.0, 2.5) for _ in range(400)]
    weights = np.array(fitted_weights("volume", some))
    inside = [moved_mm("volume", pair) <= weights @ pair.conditions.terms() for pair in some]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.01)
    assert weights[1] > 0.1
    with pytest.raises(InputError, match="two scans"):
        fitted_weights("volume", [])


def test_pairs_are_of_one_nodule_and_of_one_protocol_or_two() -> None:
    def repeat(nodule: int, protocol: str, volume: float) -> Repeat:
        return Repeat(nodule, "solid", protocol, 100.0, Conditions(6.0, 1.0, 0.0, False), {"volume": volume})

    rows = [repeat(0, "thin", 100), repeat(0, "thin", 104), repeat(0, "thick", 120), repeat(1, "thin", 90)]
    assert sorted((one.first, one.second) for one in pairs(rows, "volume", "same")) == [(100, 104), (104, 100)]
    assert len(pairs(rows, "volume", "other")) == 4
    assert pairs([*rows, repeat(1, "thin", float("nan"))], "volume", "same") == pairs(rows, "volume", "same")


def test_a_real_nodule_keeps_its_volume_when_it_is_scanned_again() -> None:
    from lnhg.data.cutouts import Cutout

    k, j, i = np.meshgrid(np.arange(24), np.arange(44), np.arange(44), indexing="ij")
    ball = ((k - 12) * 1.25) ** 2 + ((j - 22) * 0.7) ** 2 + ((i - 22) * 0.7) ** 2 < 36
    ct = CT(np.where(ball, 30, -850).astype(np.int16), np.diag([-0.7, -0.7, 1.25, 1.0]))
    nodule = RealNodule(Cutout("a", "b", ct, ball.astype(np.uint8), 1, {}))
    for protocol in PROTOCOL_LIST:
        scanned = nodule.scan(protocol, np.random.default_rng(3))
        assert scanned.ct.spacing[2] == max(1.25, protocol.slice_mm)
        assert scanned.filled.sum() * scanned.ct.voxel_volume == pytest.approx(4 / 3 * np.pi * 216, rel=0.08)


def test_the_page_sums_up_all_pairs() -> None:
    counts = {"both": 5, "both matched": 5, "near": 5, "near matched": 4, "matches": 6, "wrong matches": 1}
    text = page([PairCounts("a", counts, 0.6, 1.9, 0.4, 1.8)] * 2)
    assert "| nodules in both studies that are matched | 100.0% |" in text
    assert "| matches that are wrong | 16.7% |" in text and "| – | – | 0 |" in text
    assert "median 0.60 mm, 95% within 1.90 mm" in text
