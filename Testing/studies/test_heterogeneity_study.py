"""Heterogeneity measured: agreement, perturbations, indices and what they say, against published and library values."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from skimage.feature import graycomatrix, graycoprops
from sklearn.metrics import roc_auc_score

from lnhg.data.cutouts import Cutout
from lnhg.errors import InputError
from lnhg.evaluation.agreement import absolute_agreement, consistency, one_way_agreement
from lnhg.evaluation.references import CONSENSUS
from lnhg.stages.heterogeneity_figures import rim_mask
from lnhg.stages.scan_noise import noise_level
from lnhg.studies.heterogeneity_indices import OWN, Measured, indices, measured
from lnhg.studies.heterogeneity_tables import correlation_table
from lnhg.studies.meaning import (
    RankCorrelation,
    area,
    areas,
    column,
    contrasts,
    discriminations,
    modelled_chance,
    partial_rank_correlation,
    rank_correlations,
    roc_curves,
)
from lnhg.studies.nodule_runs import AS_IT_IS, NoduleRun, NoduleRuns
from lnhg.studies.perturbations import PERTURBATIONS
from lnhg.studies.repeatability import ALL, perturbed, repeatability, stratified_sample
from lnhg.studies.stability import stability
from lnhg.studies.texture_features import co_occurrence, first_order
from nodule_cutouts import ball_cutout
from standins import standin_models

# Six subjects and four judges: table 2 of Shrout and Fleiss, 1979.
_PUBLISHED = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float)


def test_agreement_and_consistency_are_those_of_the_published_example() -> None:
    two, three = absolute_agreement(_PUBLISHED), consistency(_PUBLISHED)
    assert (round(two.value, 2), round(two.low, 2), round(two.high, 2)) == (0.29, 0.02, 0.76)
    assert (round(three.value, 2), round(three.low, 2), round(three.high, 2)) == (0.71, 0.34, 0.95)
    assert two.subjects == 6


def test_agreement_of_other_readers_each_time_is_that_of_the_published_example() -> None:
    one = one_way_agreement(_PUBLISHED.tolist())
    assert (round(one.value, 2), round(one.low, 2), round(one.high, 2), one.subjects) == (0.17, -0.13, 0.72, 6)


def test_agreement_of_groups_of_unequal_size_by_hand() -> None:
    # Means 1, 4 and 6 of 2, 2 and 3 values, the whole one 4: between (2*9 + 2*0 + 3*4) / 2 = 15, within (2 + 2 + 2) / 4
    # = 1.5, repeats (7 - 17 / 7) / 2 = 16 / 7.
    found = one_way_agreement([[0, 2], [3, 5], [5, 6, 7], [9]])
    assert found.value == pytest.approx((15 - 1.5) / (15 + (16 / 7 - 1) * 1.5))
    assert found.subjects == 3


def test_agreement_of_other_readers_is_full_or_not_defined_at_its_ends() -> None:
    assert one_way_agreement([[1, 1], [2, 2, 2]]).value == 1
    for hopeless in ([], [[1, 2]], [[1], [2], [3]], [[1, 1], [1, 1]]):
        assert math.isnan(one_way_agreement(hopeless).value)


def test_agreement_by_hand() -> None:
    # Mean squares: between nodules 2 * (1 + 0 + 1) / 2 = 2, between repeats 3 * (0.25 + 0.25) = 1.5, nothing left.
    shifted = np.array([[0, 1], [1, 2], [2, 3]], float)
    assert absolute_agreement(shifted).value == pytest.approx(2 / (2 + 0 + 2 * 1.5 / 3))
    assert consistency(shifted).value == 1


def test_nodules_with_a_missing_value_are_left_out_and_too_few_have_no_agreement() -> None:
    with_gap = np.vstack([_PUBLISHED, [np.nan, 1, 1, 1]])
    assert absolute_agreement(with_gap) == absolute_agreement(_PUBLISHED)
    for hopeless in (_PUBLISHED[:1], np.ones((5, 3)), np.full((4, 2), np.nan)):
        assert math.isnan(absolute_agreement(hopeless).value) and math.isnan(consistency(hopeless).low)


def test_the_same_values_twice_agree_fully() -> None:
    once = np.arange(5.0)[:, None]
    assert absolute_agreement(np.hstack([once, once])).value == 1
    assert consistency(np.hstack([once, once])).low == 1


def test_the_intervals_are_those_of_fishers_f() -> None:
    # ICC(3,1) is (F - 1) / (F + k - 1) with F = MS between / MS left; its ends have F divided and multiplied by
    # quantiles.
    subjects, judges = _PUBLISHED.mean(1), _PUBLISHED.mean(0)
    left = _PUBLISHED - subjects[:, None] - judges + _PUBLISHED.mean()
    f = (4 * subjects.var(ddof=1)) / ((left**2).sum() / 15)
    low, high = f / stats.f.ppf(0.975, 5, 15), f * stats.f.ppf(0.975, 15, 5)
    found = consistency(_PUBLISHED)
    assert (found.low, found.high) == pytest.approx(((low - 1) / (low + 3), (high - 1) / (high + 3)))
    narrow = absolute_agreement(_PUBLISHED, confidence=0.5)
    wide = absolute_agreement(_PUBLISHED)
    assert wide.low < narrow.low < wide.value == narrow.value < narrow.high < wide.high


@pytest.fixture(scope="module")
def cutout() -> Cutout:
    return ball_cutout()


@pytest.mark.parametrize("perturbation", PERTURBATIONS, ids=lambda one: one.name)
def test_a_perturbation_leaves_the_grid_and_the_nodule_and_is_the_same_twice(cutout: Cutout, perturbation) -> None:
    once, again = perturbation.apply(cutout), perturbation.apply(cutout)
    assert once.ct.hu.shape == cutout.ct.hu.shape and once.ct.hu.dtype == np.int16
    assert (once.ct.hu == again.ct.hu).all() and (once.readers == again.readers).all()
    assert once.consensus.sum() == pytest.approx(
        cutout.consensus.sum(), rel=0.05 if perturbation.name != "other reader" else 0.6
    )
    assert (once.ct.hu != cutout.ct.hu).any() or (once.readers != cutout.readers).any()


def test_a_quarter_of_the_dose_doubles_the_noise_and_noise_adds_20_hu() -> None:
    white = np.random.default_rng(0).normal(-800, 15, (10, 40, 40))
    assert noise_level(white) == pytest.approx(15, rel=0.05)
    flat = ball_cutout()
    flat = replace(
        flat, ct=replace(flat.ct, hu=np.rint(white).astype(np.int16)), readers=np.ones(white.shape, np.uint8)
    )
    by_name = {one.name: one.apply(flat).ct.hu for one in PERTURBATIONS}
    assert noise_level(by_name["quarter dose"]) == pytest.approx(30, rel=0.05)
    assert (by_name["noise"] - flat.ct.hu.astype(float)).std() == pytest.approx(20, rel=0.02)
    assert by_name["smooth kernel"].std() < flat.ct.hu.std() < by_name["sharp kernel"].std()
    assert by_name["thick slices"][1:-1].std() == pytest.approx(15 * np.sqrt(0.25**2 * 2 + 0.5**2), rel=0.05)


def test_the_kernels_blur_and_sharpen_by_their_stated_width() -> None:
    point = ball_cutout()
    hu = np.full(point.ct.hu.shape, -800, np.int16)
    hu[7, 18, 18] = 20000
    blurred, sharpened = (
        next(one for one in PERTURBATIONS if one.name == name)
        .apply(replace(point, ct=replace(point.ct, hu=hu)))
        .ct.hu.astype(float)
        for name in ("smooth kernel", "sharp kernel")
    )
    spread = blurred[7] + 800
    columns = (np.arange(36) - 18) * 0.8
    assert (spread.sum(0) * columns**2).sum() / spread.sum() == pytest.approx(0.6**2, rel=0.03)
    assert (blurred[[6, 8]] == -800).all()
    unclipped = hu + 0.7 * (hu - blurred)
    seen = unclipped > -1000
    assert sharpened[seen] == pytest.approx(np.rint(unclipped[seen]), abs=1)


def test_the_half_pixel_shift_moves_the_grid_under_the_nodule(cutout: Cutout) -> None:
    moved = next(one for one in PERTURBATIONS if one.name == "half-pixel shift").apply(cutout)
    centres = [one.ct.to_ras(np.argwhere(one.consensus).mean(0)[::-1]) for one in (cutout, moved)]
    assert np.abs(centres[0] - centres[1]).max() < 0.1
    assert (moved.ct.ijk_to_ras[:3, 3] - cutout.ct.ijk_to_ras[:3, 3]).tolist() == pytest.approx([-0.4, -0.4, 0])


def test_the_other_reader_is_the_one_furthest_from_the_consensus(cutout: Cutout) -> None:
    other = next(one for one in PERTURBATIONS if one.name == "other reader").apply(cutout)
    assert (other.consensus == (cutout.readers & 2 > 0)).all()


def test_texture_by_hand() -> None:
    # Two grey levels two steps of 50 HU apart, side by side: rows of the region hold the pairs (a, b), (b, a) alone.
    hu = np.array([[[0, 100], [-1000, 900]]], np.int16)
    region = np.array([[[True, True], [False, False]]])
    found = co_occurrence(hu, region)
    assert found["contrast"] == pytest.approx(4) and found["dissimilarity"] == pytest.approx(2)
    assert found["homogeneity"] == pytest.approx(1 / 5) and found["energy"] == pytest.approx(math.sqrt(0.5))
    assert found["correlation"] == pytest.approx(-1)
    assert first_order(hu[region]) == pytest.approx({"mean": 50, "deviation": 50, "entropy": 1})
    assert all(math.isnan(value) for value in co_occurrence(hu, region & (hu > 50)).values())


def test_co_occurrence_pools_slices_and_directions_into_one_matrix_as_scikit_image_defines_its_features() -> None:
    levels = np.random.default_rng(0).integers(0, 32, (3, 9, 8))
    hu = (levels * 50 - 1000 + 7).astype(np.int16)
    angles = (0, np.pi / 4, np.pi / 2, 3 * np.pi / 4)
    counts = sum(graycomatrix(one.astype(np.uint8), [1], angles, 32, symmetric=True)[:, :, 0].sum(-1) for one in levels)
    pooled = (counts / counts.sum())[..., None, None]
    for name, value in co_occurrence(hu, np.ones(hu.shape, bool)).items():
        assert value == pytest.approx(graycoprops(pooled, name)[0, 0])


def test_entropy_is_scipys_in_bits(cutout: Cutout) -> None:
    hu = cutout.ct.hu[cutout.consensus]
    _, counts = np.unique(hu // 50, return_counts=True)
    assert first_order(hu)["entropy"] == pytest.approx(stats.entropy(counts, base=2))
    assert first_order(hu)["deviation"] == pytest.approx(np.std(hu.astype(float)))


def test_co_occurrence_does_not_see_what_lies_outside_the_region(cutout: Cutout) -> None:
    changed = np.where(cutout.consensus, cutout.ct.hu, 500).astype(np.int16)
    assert co_occurrence(changed, cutout.consensus) == co_occurrence(cutout.ct.hu, cutout.consensus)


def test_indices_of_h_and_of_g_mirror_each_other_where_the_peak_is_one(cutout: Cutout) -> None:
    image = np.where(cutout.consensus, 0.5, 0).astype(np.float32)
    image[tuple(np.argwhere(cutout.consensus)[0])] = 1
    found = indices(cutout.ct, image, cutout.consensus)
    assert found["h whole mean"] == pytest.approx(1 - found["G whole mean"])
    assert found["h whole maximum"] == pytest.approx(0.5) and found["h whole deviation"] == pytest.approx(
        found["G whole deviation"]
    )
    assert found["diameter"] == pytest.approx(10, rel=0.03)
    empty = indices(cutout.ct, image, np.zeros_like(cutout.consensus))
    assert empty.keys() == found.keys() and all(math.isnan(value) for value in empty.values())


def test_core_and_rim_have_indices_of_their_own(cutout: Cutout) -> None:
    rim = rim_mask(cutout.consensus.astype(np.uint8), cutout.ct.spacing, 1.0)
    core = cutout.consensus & ~rim
    image = np.where(core, 0.8, np.where(rim, 0.2, 0)).astype(np.float32)
    found = indices(cutout.ct, image, cutout.consensus)
    # h is 1 - G / max G: 0 in the core and 1 - 0.2 / 0.8 in the rim.
    assert (found["h core mean"], found["h rim mean"]) == pytest.approx((0, 0.75), abs=1e-6)
    assert (found["G core mean"], found["G rim mean"]) == pytest.approx((0.8, 0.2))
    share = rim.sum() / cutout.consensus.sum()
    assert found["h whole mean"] == pytest.approx(0.75 * share)
    assert found["h whole entropy"] == pytest.approx(stats.entropy([share, 1 - share], base=2))
    assert found["h whole strong share"] == pytest.approx(share)
    assert found["h core deviation"] == pytest.approx(0, abs=1e-6) and found["h whole maximum"] == pytest.approx(0.75)
    assert found["CT core mean"] == pytest.approx(cutout.ct.hu[core].mean())
    assert found["CT rim deviation"] == pytest.approx(cutout.ct.hu[rim].astype(float).std())
    assert found["CT core co-occurrence contrast"] == co_occurrence(cutout.ct.hu, core)["contrast"]


def test_a_run_is_made_once_and_read_afterwards(
    cutout: Cutout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = NoduleRuns(standin_models(), tmp_path)
    first = runs.run(cutout)
    assert first.found.any() and first.image.shape == cutout.ct.hu.shape
    monkeypatch.setattr("lnhg.studies.nodule_runs.seeded", lambda *_: pytest.fail("ran again"))
    again = runs.run(cutout)
    assert (again.found == first.found).all() and (again.image == first.image).all()
    assert not list(tmp_path.rglob("*.partial"))


def test_the_sample_holds_one_nodule_of_every_size_group_and_is_the_same_twice() -> None:
    cutouts = [
        ball_cutout(f"LIDC-IDRI-00{n}0_R_1", radius, shape=(6, 24, 24))
        for n, radius in enumerate((2, 2.2, 4, 4.2, 6, 6.2), 1)
    ]
    chosen = [one.name for one in stratified_sample(cutouts, 3)]
    assert [
        name[10:13] in pair for name, pair in zip(chosen, (("001", "002"), ("003", "004"), ("005", "006")), strict=True)
    ] == [True] * 3
    assert chosen == [one.name for one in stratified_sample(cutouts[::-1], 3)]
    assert len(stratified_sample(cutouts, 40)) == 6


def test_repeatability_compares_every_nodule_as_it_is_with_itself_changed(tmp_path: Path) -> None:
    sample = [ball_cutout(f"LIDC-IDRI-00{n}0_R_1", radius) for n, radius in enumerate((3, 4, 5, 6), 1)]
    found = repeatability(perturbed(NoduleRuns(standin_models(), tmp_path), sample))
    by = {(row.index, row.region, row.perturbation): row.agreement for row in found}
    assert by["diameter", OWN, "noise"].value > 0.99 and by["diameter", OWN, "noise"].subjects == 4
    # The consensus stays where the HU change, and not where the reader does.
    assert by["diameter", CONSENSUS, "sharp kernel"].value == 1 > by["diameter", CONSENSUS, "other reader"].value
    assert by["h core mean", CONSENSUS, ALL].subjects == 4


def _rows(malignancy: np.ndarray, **values: np.ndarray) -> list[Measured]:
    return [
        Measured(
            f"n{n}",
            f"p{n // 2}",
            CONSENSUS,
            AS_IT_IS,
            {"malignancy": float(malignancy[n])},
            {key: float(one[n]) for key, one in values.items()},
        )
        for n in range(len(malignancy))
    ]


@pytest.fixture(scope="module")
def rated() -> list[Measured]:
    """80 nodules: the diameter tells the malignant, `h` follows the diameter and says nothing more, `x` is news."""
    random = np.random.default_rng(0)
    malignancy = np.repeat([2.0, 3.0, 4.0, 4.5], 20)
    diameter = 8 + 2 * (malignancy - 3) + random.normal(0, 2.5, 80)
    return _rows(
        malignancy, diameter=diameter, h=diameter + random.normal(0, 3, 80), x=malignancy + random.normal(0, 1, 80)
    )


def test_rank_correlation_is_spearmans_and_size_can_be_taken_out(rated: list[Measured]) -> None:
    rows = {row.index: row for row in rank_correlations(rated)}
    malignancy, diameter, h = (
        np.array([row.ratings["malignancy"] for row in rated]),
        *(np.array([row.indices[key] for row in rated]) for key in ("diameter", "h")),
    )
    assert rows["h"].rho == pytest.approx(stats.spearmanr(h, malignancy)[0]) and rows["h"].nodules == 80
    # The partial correlation is that of what is left of the ranks after a straight line on the ranks of the diameter.
    ranks = [stats.rankdata(one) for one in (h, malignancy, diameter)]
    left = [one - np.polyval(np.polyfit(ranks[2], one, 1), ranks[2]) for one in ranks[:2]]
    assert rows["h"].rho_beside_size == pytest.approx(np.corrcoef(*left)[0, 1])
    assert partial_rank_correlation(h, malignancy, h) != partial_rank_correlation(
        h, malignancy, h
    )  # nothing is left: NaN


def test_areas_are_those_of_scikit_learn_and_only_news_adds_to_size(rated: list[Measured]) -> None:
    rows = {row.index: row for row in discriminations(rated)}
    told = [row for row in rated if row.ratings["malignancy"] != 3]
    malignant, h = [row.ratings["malignancy"] > 3 for row in told], [row.indices["h"] for row in told]
    assert rows["h"].alone.value == pytest.approx(roc_auc_score(malignant, h))
    assert (rows["h"].benign, rows["h"].malignant) == (20, 40)
    assert rows["h"].alone.low < rows["h"].alone.value < rows["h"].alone.high
    assert rows["h"].gain.low < 0.01 and rows["x"].gain.low > 0
    assert rows["diameter"].gain.value == 0


def test_the_interval_of_an_area_is_about_that_of_delong(rated: list[Measured]) -> None:
    told = [row for row in rated if row.ratings["malignancy"] != 3]
    ill = np.array([row.indices["h"] for row in told if row.ratings["malignancy"] > 3])
    well = np.array([row.indices["h"] for row in told if row.ratings["malignancy"] < 3])
    placed = (ill[:, None] > well) + 0.5 * (ill[:, None] == well)
    # Variance by DeLong: of each malignant nodule's share of benign ones below it, and the other way round.
    deviation = math.sqrt(placed.mean(1).var(ddof=1) / len(ill) + placed.mean(0).var(ddof=1) / len(well))
    malignant = np.array([row.ratings["malignancy"] > 3 for row in told])
    found = area(column(told, "h"), malignant, np.arange(len(told)).astype(str))
    assert found.value == pytest.approx(placed.mean())
    assert found.high - found.low == pytest.approx(2 * 1.96 * deviation, rel=0.12)


def test_a_nodules_chance_comes_from_other_patients_alone() -> None:
    random = np.random.default_rng(0)
    size = random.normal(2, 0.5, (60, 1))
    malignant = size[:, 0] + random.normal(0, 0.5, 60) > 2
    patients = np.tile([f"p{n}" for n in range(30)], 2)
    chance = modelled_chance(size, malignant, patients)
    mine = patients == "p7"
    otherwise = modelled_chance(size, np.where(mine, ~malignant, malignant), patients)
    assert chance[mine] == pytest.approx(otherwise[mine], abs=1e-12)
    assert np.abs(chance - otherwise).max() > 1e-4
    assert roc_auc_score(malignant, chance) > 0.7


def test_the_roc_figures_curves_rest_on_the_same_nodules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lnhg.studies.meaning._SAMPLES", 20)
    random = np.random.default_rng(0)
    malignancy = np.repeat([2.0, 4.0, 3.0], 20)
    names = ("diameter", "h core mean", "h core deviation", "CT core mean", "CT core deviation")
    values = {name: 5 + malignancy / 4 + random.normal(0, 1, 60) for name in names}
    values["h core mean"][0] = np.nan  # no core
    curves = roc_curves(_rows(malignancy, **values))
    assert set(names) < curves.keys() and "model: diameter, h core mean" in curves
    for name, (malignant, shown, interval) in curves.items():
        assert (len(malignant), malignant.sum()) == (39, 20)
        assert interval.value == pytest.approx(roc_auc_score(malignant, shown)), name


def test_areas_count_ties_by_half_and_need_both_kinds() -> None:
    assert areas(np.array([[0, 1, 3], [1, 1, 2], [1, 2, 1]], float)).tolist() == pytest.approx([0.75, 0])
    assert np.isnan(areas(np.array([[1, 1], [1, 2]], float))).all()


def test_an_index_that_few_nodules_have_is_left_out() -> None:
    few = np.where(np.arange(20) < 4, 1.0, np.nan)
    rows = discriminations(_rows(np.repeat([1.0, 5.0], 10), diameter=np.linspace(4, 20, 20), few=few))
    assert [row.index for row in rows] == ["diameter"]


def test_the_contrast_counts_nodules_below_a_half_and_near_one() -> None:
    peaks = np.array([0.3, 0.4, 0.95, 0.6, 0.92, 0.97])
    rows = _rows(
        np.array([1, 2, 2, 4, 5, 5]),
        **{"h whole maximum": peaks, "h core maximum": np.full(6, np.nan), "diameter": peaks},
    )
    benign, malignant = contrasts(rows)
    assert (benign.nodules, benign.median, benign.below_half, benign.reaching) == (
        3,
        0.4,
        pytest.approx(2 / 3),
        pytest.approx(1 / 3),
    )
    assert (malignant.below_half, malignant.reaching) == (0, pytest.approx(2 / 3))


def test_stability_compares_each_length_with_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = {}
    for number, name in enumerate(("80", "160", "220")):
        one = standin_models()
        models[name] = replace(
            one, manifests=one.manifests | {"generator": {**one.manifests["generator"], "sha256": str(number) * 64}}
        )
    monkeypatch.setattr("lnhg.studies.stability.load_models", lambda folder, with_detector: models[folder.name])
    cutouts = [ball_cutout(f"LIDC-IDRI-00{n}0_R_1", radius) for n, radius in enumerate((3, 4, 5, 6), 1)]
    with monkeypatch.context() as trained_less:
        trained_less.setattr(models["80"].generator, "forward", lambda o: (o - 0.5).clamp(0, 1))
        rows = stability([Path("80"), Path("160"), Path("220")], cutouts, tmp_path)
    assert [(row.length, row.last, row.nodules) for row in rows] == [("80", "220", 4), ("160", "220", 4)]
    images = {
        name: [NoduleRuns(models[name], tmp_path).run(one).image[one.consensus] for one in cutouts] for name in models
    }
    pearson = [np.corrcoef(*pair)[0, 1] for pair in zip(images["80"], images["220"], strict=True)]
    assert rows[0].map_correlation == pytest.approx(np.median(pearson)) and max(pearson) < 0.999
    assert rows[0].map_quartiles == pytest.approx(np.quantile(pearson, (0.25, 0.75)))
    ranked = [
        [
            indices(one.ct, NoduleRuns(models[name], tmp_path).run(one).image, one.consensus)["h whole mean"]
            for one in cutouts
        ]
        for name in ("80", "220")
    ]
    assert rows[0].indices["h whole mean"] == pytest.approx(stats.spearmanr(*ranked)[0])
    assert rows[1].map_correlation == pytest.approx(1)
    assert rows[1].indices["h core mean"] == pytest.approx(1)
    assert {"T core mean", "D core mean", "unevenness"} <= rows[0].indices.keys()  # all kinds of map are followed
    assert rows[1].indices["T core mean"] == pytest.approx(1) == rows[1].indices["unevenness"]
    with pytest.raises(InputError, match="two or more lengths"):
        stability([Path("80")], cutouts, tmp_path)


def test_a_nodule_that_was_not_found_has_no_indices_of_its_own(cutout: Cutout) -> None:
    run = NoduleRun(np.zeros(cutout.ct.hu.shape, np.float32), np.zeros(cutout.ct.hu.shape, bool))
    assert all(math.isnan(value) for value in measured(cutout, run, OWN).indices.values())
    assert measured(cutout, run, CONSENSUS).indices["CT whole mean"] > -200


def test_a_rating_that_all_nodules_share_leaves_its_cell_of_the_correlations_empty() -> None:
    rows = [
        RankCorrelation("h mean", "consensus", rating, 9, rho, 0.01, rho)
        for rating, rho in (("malignancy", 0.4), ("texture", math.nan))
    ]
    assert correlation_table(rows, ["h mean"], "consensus").rows == (("h mean", "9", "+0.40* (+0.40)", ""),)
