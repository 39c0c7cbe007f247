"""Detection counts, FROC, tests and intervals, and the tables, against hand-computed values."""

from __future__ import annotations

import csv
import io
import math
import time
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from lnhg.evaluation.detection_scores import (
    Counts,
    Detection,
    ScanDetections,
    count_nodules,
    count_slices,
    froc,
    judged_detections,
    sensitivity_at_rates,
)
from lnhg.evaluation.detections import ReferenceNodule, reference_nodules
from lnhg.evaluation.statistics import bootstrap_interval, paired_t, welch, wilcoxon
from lnhg.studies import paper_figures as paper
from lnhg.studies.scores import NoduleScore
from lnhg.studies.tables import detection_table, dice_table, froc_table, measures_table, systems_table, types_table

# Counts
# -----------------------------------------------------------------------------------------------------------------


def _maps() -> tuple[np.ndarray, np.ndarray]:
    """Three slices: nodule 1 on slices 0 and 1, nodule 2 on slice 1; nothing on slice 2."""
    reference, found = np.zeros((3, 4, 12), int), np.zeros((3, 4, 12), int)
    reference[:2, 1, 1:3], reference[1, 1, 9:11] = 1, 2
    found[0, 1, 2:4] = 1  # hits nodule 1 on slice 0 only
    found[1, 3, 5:7] = 2  # false, on a slice with nodules
    found[2, 1, 1:3] = 3  # false, on a slice without
    return reference, found


def test_slices_are_counted_where_the_reference_has_a_nodule() -> None:
    assert count_slices(*_maps()) == Counts(tp=1, fp=1, fn=2)


def test_nodules_are_counted_over_the_whole_scan() -> None:
    assert count_nodules(*_maps()) == Counts(tp=1, fp=2, fn=1)


def test_what_touches_a_doubtful_place_is_neither_right_nor_wrong() -> None:
    reference, found = _maps()
    doubtful = np.zeros(found.shape, bool)
    doubtful[1:, 1:, 1:6] = True
    assert count_nodules(reference, found, doubtful) == Counts(tp=1, fp=0, fn=1)
    assert count_slices(reference, found, doubtful) == Counts(tp=1, fp=0, fn=2)


def test_voxels_that_meet_at_a_corner_of_a_slice_are_one_find_there() -> None:
    reference, found = np.zeros((2, 4, 12), int), np.zeros((2, 4, 12), int)
    reference[0, 0, 0] = 1
    found[0, 2, 5], found[0, 3, 6], found[0, 2, 9] = 1, 1, 1
    assert count_slices(reference, found) == Counts(tp=0, fp=2, fn=1)


def test_the_rates_follow_from_the_counts_as_in_the_papers_supplement() -> None:
    counts = Counts(*paper.DETECTION["unet"])
    assert [round(100 * rate, 1) for rate in (counts.precision, counts.recall, counts.f1)] == [66.9, 95.8, 78.8]
    assert Counts(1, 2, 3) + Counts(4, 5, 6) == Counts(5, 7, 9)
    assert math.isnan(Counts(0, 0, 0).precision)


# FROC
# -------------------------------------------------------------------------------------------------------------------


def _find(r: float, score: float) -> Detection:
    return Detection("S", (r, 0.0, 0.0), math.nan, score)


def test_a_find_hits_within_the_nodules_radius_and_the_best_counts() -> None:
    nodules = [
        ReferenceNodule((0, 0, 0), 5),
        ReferenceNodule((50, 0, 0), 3),
        ReferenceNodule((90, 0, 0), 9, counts=False),
    ]
    judged = judged_detections(
        [_find(5, 0.4), _find(-3, 0.9), _find(5.1, 0.8), _find(47.5, 0.2), _find(91, 0.7)], nodules
    )
    assert judged.nodule_scores == (0.9, 0.2)
    assert judged.false_scores == (0.8,)


def test_the_nodules_of_a_scan_are_spheres_at_their_place_in_mm() -> None:
    reference, doubtful = np.zeros((9, 20, 20), np.uint8), np.zeros((9, 20, 20), bool)
    reference[3:6, 8:11, 4:7] = 1
    doubtful[0, 0, 0] = True
    nodule, unsure = reference_nodules(reference, np.diag([-0.5, -0.5, 2.0, 1.0]), doubtful)
    assert nodule.centre_ras == pytest.approx((-2.5, -4.5, 8.0))
    assert 4 / 3 * math.pi * nodule.radius_mm**3 == pytest.approx(27 * 0.5)
    assert (nodule.counts, unsure.counts) == (True, False)


def test_sensitivity_is_read_off_the_curve_at_each_rate_of_false_positives() -> None:
    # Four nodules, two scans. Falling score: hit 0.9, false 0.8, hit 0.7, false 0.6, false 0.5, hit 0.4; one is never
    # found.
    scans = [ScanDetections((0.9, 0.7), (0.8, 0.5)), ScanDetections((0.4, 0.0), (0.6,))]
    values = sensitivity_at_rates(scans, (0.0, 0.25, 0.5, 1.0, 1.5, 8.0))
    # The curve's points (false positives per scan, found): (0, 1/4), (0.5, 1/4), (0.5, 2/4), (1, 2/4), (1.5, 2/4),
    # (1.5, 3/4).
    assert values == pytest.approx([0.25, 0.25, 0.5, 0.5, 0.75, 0.75])


def test_the_curve_has_a_point_for_each_score_however_many_are_tied() -> None:
    random = np.random.default_rng(2)
    scans = [
        ScanDetections(tuple(random.integers(0, 40, 3) / 40), tuple(random.integers(1, 30, 20) / 40)) for _ in range(12)
    ]  # so coarse that many scores are tied
    hit = np.array([score for scan in scans for score in scan.nodule_scores])
    false = np.array([score for scan in scans for score in scan.false_scores])
    thresholds = sorted({*false, *hit[hit > 0]}, reverse=True)
    rate = [0.0, *(np.count_nonzero(false >= one) / len(scans) for one in thresholds)]
    sensitivity = [0.0, *(np.count_nonzero(hit >= one) / len(hit) for one in thresholds)]
    rates = np.linspace(0, 25, 101)
    assert sensitivity_at_rates(scans, rates) == pytest.approx(np.interp(rates, rate, sensitivity))


def test_froc_of_as_many_finds_as_luna16s_candidates_takes_no_minute() -> None:
    random = np.random.default_rng(3)
    scans = [
        ScanDetections((float(random.uniform(0.5, 1)),), tuple(random.uniform(0, 0.6, 200).tolist()))
        for _ in range(888)
    ]
    began = time.perf_counter()
    assert np.all(np.diff(sensitivity_at_rates(scans, (0.125, 1, 8))) >= 0)
    assert time.perf_counter() - began < 5


def test_without_false_positives_or_without_any_find_the_curve_is_flat() -> None:
    assert sensitivity_at_rates([ScanDetections((0.9, 0.0), ())], (0.125, 8)).tolist() == [0.5, 0.5]
    assert sensitivity_at_rates([ScanDetections((0.0,), ())], (0.125, 8)).tolist() == [0, 0]
    assert np.isnan(sensitivity_at_rates([ScanDetections((), (0.5,))], (1,))).all()


def test_froc_averages_over_luna16s_seven_rates_with_intervals_over_scans() -> None:
    scans = [ScanDetections((0.9,), ()), ScanDetections((0.0,), (0.5,)), ScanDetections((0.8,), (0.1,))]
    curve = froc(scans, count=200)
    assert curve.rates == (0.125, 0.25, 0.5, 1, 2, 4, 8)
    assert (
        curve.average.value
        == pytest.approx(np.mean([one.value for one in curve.sensitivities]))
        == pytest.approx(2 / 3)
    )
    assert (curve.average.low, curve.average.high) == (0, 1)
    assert "66.67 (0.00 to 100.00)" in froc_table({"lnhg": curve}).markdown()


# Tests and intervals
# ----------------------------------------------------------------------------------------------------


def test_the_three_tests_are_those_of_scipy() -> None:
    random = np.random.default_rng(1)
    one, other = random.normal(0.8, 0.1, 30), random.normal(0.75, 0.2, 30)
    assert welch(one, other[:20]).p == pytest.approx(stats.ttest_ind(one, other[:20], equal_var=False).pvalue)
    assert paired_t(one, other).p == pytest.approx(stats.ttest_rel(one, other).pvalue)
    assert wilcoxon(one, other).p == pytest.approx(stats.wilcoxon(one, other).pvalue)


def test_welchs_t_is_the_hand_value() -> None:
    one, other = np.array([1.0, 2, 3, 4]), np.array([2.0, 4, 9])
    # Means 2.5 and 5, variances 5/3 and 13.
    assert welch(one, other).statistic == pytest.approx(-2.5 / math.sqrt(5 / 3 / 4 + 13 / 3))


def test_the_paired_t_is_the_hand_value() -> None:
    # Differences 1, 2, 3, 2: mean 2, variance 2/3.
    one, other = np.array([2.0, 4, 6, 5]), np.array([1.0, 2, 3, 3])
    found = paired_t(one, other)
    assert found.statistic == pytest.approx(2 / math.sqrt(2 / 3 / 4))
    assert found.p == pytest.approx(2 * stats.t.sf(2 / math.sqrt(2 / 3 / 4), 3))


def test_wilcoxons_p_is_the_share_of_signs_that_are_as_extreme() -> None:
    # Differences 1, -2, 3, 4, 5: rank sums 13 and 2. Of 32 sign patterns {}, {1} and {2} have a sum of at most 2.
    found = wilcoxon(np.array([1.0, 0, 3, 4, 5]), np.array([0.0, 2, 0, 0, 0]))
    assert (found.statistic, found.p) == (2, pytest.approx(2 * 3 / 32))


def test_systems_that_never_differ_have_a_p_of_one() -> None:
    same = np.array([0.7, 0.8, 0.9])
    assert paired_t(same, same).p == wilcoxon(same, same).p == 1


def test_the_interval_resamples_patients_and_not_nodules() -> None:
    values = np.repeat([0.2, 0.4, 0.6, 0.8], 25)
    four = bootstrap_interval(values, np.repeat(list("ABCD"), 25))
    hundred = bootstrap_interval(values, [str(number) for number in range(100)])
    assert four.value == hundred.value == pytest.approx(0.5)
    assert four.high - four.low > 3 * (hundred.high - hundred.low)
    # Of single values it is the usual interval of a mean.
    assert hundred.high - hundred.low == pytest.approx(2 * 1.96 * values.std() / 10, rel=0.1)


def test_the_interval_of_single_nodules_is_scipys_percentile_bootstrap() -> None:
    values = np.random.default_rng(4).beta(8, 2, 80)
    ours = bootstrap_interval(values, [str(number) for number in range(80)], count=4000)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=4000, method="percentile", rng=5).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.004)


def test_a_median_can_be_bootstrapped_too() -> None:
    assert bootstrap_interval(np.array([1.0, 2, 30]), ["A", "B", "C"], np.median).value == 2


# Tables
# -----------------------------------------------------------------------------------------------------------------

SCORE = NoduleScore(
    0.8, 0.7, 0.8, 0.8, 1.5, 0.5, -0.1, -0.03, 100.0, 90.0,
    system="lnhg", nodule="N0", patient="P0", diameter_mm=8.0, texture="solid", place="free",
)  # fmt: skip


def _scores(system: str, *dice: float) -> list[NoduleScore]:
    return [
        replace(SCORE, system=system, nodule=f"N{n}", patient=f"P{n}", dice=value, found_mm3=90.0 * (value > 0))
        for n, value in enumerate(dice)
    ]


def test_table_one_sets_training_against_test_and_the_papers_figures_beside() -> None:
    table = dice_table(
        {"lnhg": _scores("lnhg", 0.7, 0.8, 0.9), "other": _scores("other", 0.5, 0.5)},
        {"lnhg": _scores("lnhg", 0.8, 0.9)},
    )
    ours, other = table.rows
    assert ours[0] == "LNHG" and ours[-2:] == ("87.30", "82.05") and "paper: test" in table.header
    assert ours[2].startswith("85.00 (") and ours[3].startswith("80.00 (70.00 to 90.00")
    assert ours[4] == f"{stats.ttest_ind([0.8, 0.9], [0.7, 0.8, 0.9], equal_var=False).pvalue:.3f}"
    assert other[:3] == ("other", "2", "") and other[-2:] == ("", "")


def test_table_two_counts_a_nodule_in_each_of_its_groups() -> None:
    scores = [
        replace(SCORE, place="juxta-pleural"),
        replace(SCORE, patient="P1", texture="ground glass", diameter_mm=12, dice=0.6),
    ]
    rows = {row[0]: row for row in types_table({"lnhg": scores}).rows}
    assert [rows[name][1] for name in ("all", "solid", "juxta-pleural", "juxta-vascular", "over 10 mm")] == list(
        "21101"
    )
    assert rows["ground glass"][2].startswith("60.00") and rows["ground glass"][3:] == (
        "82.88",
        "83.33",
        "73.01",
        "66.18",
    )
    assert rows["juxta-vascular"][2] == ""


def test_the_table_of_measures_tells_the_missed_from_the_found() -> None:
    (row,) = measures_table({"lnhg": _scores("lnhg", 0.6, 0.8, 0.0)}).rows
    assert row[:4] == ("LNHG", "3", "1", "0.700 (0.100)")


def test_each_measure_stands_in_its_own_column() -> None:
    one = replace(SCORE, dice=0.8, iou=0.7, sensitivity=0.6, precision=0.9, hausdorff95_mm=1.5, surface_distance_mm=0.5)
    other = replace(
        one, iou=0.5, sensitivity=0.8, precision=0.5, hausdorff95_mm=2.5, volume_error=0.3, diameter_error=0.07
    )
    table = measures_table({"lnhg": [one, other]})
    assert dict(zip(table.header[3:], table.rows[0][3:], strict=True)) == {
        "Dice": "0.800 (0.000)",
        "intersection over union": "0.600 (0.100)",
        "sensitivity": "0.700 (0.100)",
        "precision": "0.700 (0.200)",
        "Hausdorff 95% (mm)": "2.00 (0.50)",
        "mean surface distance (mm)": "0.50 (0.00)",
        "relative volume error": "0.100 (0.200)",
        "relative diameter error": "0.020 (0.050)",
    }


def test_systems_are_compared_on_the_nodules_that_both_have() -> None:
    (row,) = systems_table({"lnhg": _scores("lnhg", 0.7, 0.8, 0.9), "unet": _scores("unet", 0.6, 0.75)}).rows
    assert row[:2] == ("U-net", "2") and row[2].startswith("7.50 (5.00 to 10.00")
    assert row[3] == f"{stats.ttest_rel([0.7, 0.8], [0.6, 0.75]).pvalue:.3f}"


def test_a_table_can_be_read_as_markdown_csv_and_latex() -> None:
    table = detection_table({"l-rf": Counts(9, 1, 3)}, "per slice")
    cells = ["L-RF", "9", "1", "3", "90.0", "75.0", "81.8", "410 / 363 / 363", "53.0 / 95.3 / 68.1"]
    assert list(csv.reader(io.StringIO(table.csv())))[1] == cells
    assert "| " + " | ".join(cells) + " |" in table.markdown().splitlines()
    latex = table.latex()
    assert r"precision \% & recall \%" in latex and " & ".join(cells) + r" \\" in latex
    assert latex.count("&") == 2 * (len(cells) - 1)
