"""The studies behind following: repeats of known solids, and simulated pairs."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from lnhg.core.ct import CT
from lnhg.errors import InputError
from lnhg.stages.size_intervals import PROTOCOLS, SIZES, Conditions
from lnhg.studies import repeats_page
from lnhg.studies.pairs_page import _done, page
from lnhg.studies.repeats import PROTOCOL_LIST, Pair, RealNodule, Repeat, fitted_weights, moved_mm, pairs, uncertainty
from lnhg.studies.simulated_pairs import PairCounts, Planted, Warp, plant, scanned_later

MADE_WITH = {"generator_sha256": "x", "planted": 3}


def kept_pairs(path: Path, *ends: str) -> list[PairCounts]:
    """Two pairs, and what else stands at the end of their file."""
    pairs_kept = [PairCounts(name, {"both": 2}, 0.5, 1.5, 0.6, 1.7) for name in ("a", "b")]
    lines = [json.dumps({**MADE_WITH, **asdict(one)}) + "\n" for one in pairs_kept]
    path.write_text("".join([*lines, *ends]))
    return pairs_kept


@pytest.mark.parametrize("end", ["", '{"generator_sha256": "x", "plan', "\0\0\0"])
def test_a_last_pair_that_was_cut_off_is_taken_away_and_the_others_count(tmp_path: Path, end: str) -> None:
    whole = kept_pairs(tmp_path / "pairs.jsonl", end)
    assert _done(tmp_path / "pairs.jsonl", MADE_WITH) == whole
    lines = (tmp_path / "pairs.jsonl").read_text()
    assert lines.endswith("}\n") and lines.count("\n") == 2, "what is added later stands on a line of its own"


@pytest.mark.parametrize("line", ["{", "3", "[]", '{"generator_sha256": "x", "planted": 3, "other": 1}'])
def test_a_line_that_is_no_pair_is_refused_and_stays(tmp_path: Path, line: str) -> None:
    kept_pairs(tmp_path / "pairs.jsonl", f"{line}\n")
    before = (tmp_path / "pairs.jsonl").read_text()
    with pytest.raises(InputError, match="holds a line that is no pair; remove the line, or choose another folder"):
        _done(tmp_path / "pairs.jsonl", MADE_WITH)
    assert (tmp_path / "pairs.jsonl").read_text() == before


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


def _rows() -> list[Repeat]:
    """Twelve nodules in three scans with each of two protocols; the edge moves by some 0.05 mm."""
    rng = np.random.default_rng(5)
    rows = []
    for nodule in range(12):
        diameter = float(rng.uniform(4, 20))
        truth = np.pi / 6 * diameter**3
        for protocol in ("thin", "thick"):
            for _ in range(3):
                volume = truth * float(np.exp(rng.normal(0, 0.05) * 6 / diameter))
                sizes = {"volume": 1.1 * volume, "edge_volume": volume, "soft_volume": 1.05 * volume}
                axis = diameter + float(rng.normal(0, 0.2))
                sizes |= {"long_axis": axis + 1, "mean_axis": axis, "solid_diameter": axis}
                rows.append(Repeat(nodule, "solid", protocol, truth, Conditions(diameter, 1.0, 0.1, False), sizes))
    return rows


def test_the_page_of_repeats_tells_spread_coverage_and_bias() -> None:
    text = repeats_page.page(_rows())
    assert "12 nodules, 72 scans." in text
    (bias,) = [line for line in text.splitlines() if line.startswith("| solid | 72 |")]
    counted, soft, edge = (float(cell) for cell in bias.strip("| ").split(" | ")[2:])
    assert counted == pytest.approx(10, abs=2) and soft == pytest.approx(5, abs=2) and edge == pytest.approx(0, abs=2)
    (spread,) = [line for line in text.splitlines() if line.startswith("| edge of the CT | same |")]
    assert "(n = " in spread


def test_the_file_of_uncertainties_is_read_as_it_was_written() -> None:
    known = uncertainty(_rows(), "abc")
    values = json.loads(repeats_page.as_json(known, _rows(), "abc"))
    assert values["generator_sha256"] == "abc" and values["measured"] == {"nodules": 12, "repeats": 72}
    for size in SIZES:
        for protocol in PROTOCOLS:
            interval = known.interval(size, protocol, 10.0, Conditions(10.0, 1.0, 0.1, False))
            assert interval.low < 10.0 < interval.high


def test_a_later_scan_shows_a_nodule_where_the_warp_puts_it() -> None:
    rng = np.random.default_rng(2)
    k, j, i = np.meshgrid(np.arange(40), np.arange(60), np.arange(60), indexing="ij")
    ball = ((k - 20) * 3.0) ** 2 + ((j - 25) * 2.5) ** 2 + ((i - 33) * 2.5) ** 2 < 15**2
    ct = CT(np.where(ball, 40, -860).astype(np.int16), np.diag([-2.5, -2.5, 3.0, 1.0]))
    corners = ct.to_ras(np.array([[0, 0, 0], [59, 59, 39]]))
    warp = Warp(corners.min(0), corners.max(0), rng)
    later = scanned_later(ct, warp, rng)
    seen = later.to_ras(np.argwhere(later.hu > -400).mean(0)[::-1])
    assert np.linalg.norm(seen - warp.to_later(ct.to_ras(np.array([33, 25, 20])))) < 2.5
