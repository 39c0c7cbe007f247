"""The whole way of a CT through the method, with test doubles for the networks where a test needs their answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from balls_ct import ANYWHERE, AXIAL, BRIGHT, CT_AXIAL, DARK, FAINT, SEED_VOXEL, SHAPE, ball, on, turned, voxels
from lnhg import pipeline
from lnhg.core.answers import answers_of_words
from lnhg.core.ct import CT
from lnhg.core.nodule import as_row, header
from lnhg.core.nrrd_file import write_nrrd
from lnhg.errors import Cancelled, InputError
from lnhg.networks.architecture import DetectorArchitecture
from lnhg.networks.detector import build_detector
from lnhg.networks.generator import Generator
from lnhg.networks.grid import NetworkGrid
from lnhg.networks.torch_models import load_models
from lnhg.networks.weights import save_weights
from lnhg.options import Options
from lnhg.pipeline import segment, segment_part
from lnhg.progress import ProgressReporter
from lnhg.readers.read_ct import read_ct
from lnhg.stages.fusion import CONFIRMED, DETECTOR_ONLY, GENERATOR_ONLY, SEEDED
from lnhg.stages.prepared import prepare_ct
from standins import StandInDetector, StandInGenerator, standin_models


@pytest.fixture(scope="module")
def plain():
    return segment(CT_AXIAL, ANYWHERE, models=standin_models())


def dice(one, other):
    return 2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other))


class Steps(list):
    """A progress callback that keeps what it is told, and cancels at a stage if asked to."""

    def __init__(self, cancel_at=None):
        super().__init__()
        self.cancel_at = cancel_at

    def __call__(self, progress):
        self.append(progress)
        return progress.stage != self.cancel_at


class NearsightedGenerator(StandInGenerator):
    """Of what is wider than 20 of its pixels it sees nothing but the outermost ones."""

    def forward(self, o):
        g = super().forward(o)
        wide = torch.nn.functional.max_pool2d(-torch.nn.functional.max_pool2d(-g[:, 0], 21, 1, 10), 21, 1, 10)
        return g - wide[:, None]


# ---------------------------------------------------------------- the plain run


def test_nodules_are_found_where_they_are(plain):
    assert [nodule.status for nodule in plain.nodules] == [CONFIRMED, CONFIRMED]
    for label, (centre, radius, _) in enumerate((BRIGHT, DARK), 1):
        assert dice(plain.labels == label, ball(centre, radius)) > 0.85
        middle = CT_AXIAL.to_ras(np.array(centre[::-1]))
        assert np.linalg.norm(np.array(plain.nodules[label - 1].centre_ras) - middle) < 0.8
    assert plain.nodules[0].score > plain.nodules[1].score > 0.6
    assert plain.labels.max() == 2
    assert plain.labels.dtype == np.uint16


def test_the_map_covers_the_nodules_alone(plain):
    inside = plain.labels > 0
    assert plain.heterogeneity.dtype == np.float32
    assert (plain.heterogeneity[~inside] == -1).all()
    assert 0 <= plain.heterogeneity[inside].min() < plain.heterogeneity[inside].max() <= 1


def test_the_record_names_versions_weights_rules_and_seconds(plain):
    made = plain.provenance
    assert made["weights"]["detector"] == {"name": "stand-in detector", "sha256": "0" * 64}
    assert set(made["seconds"]) == {"lungs", "detect", "generate", "fuse", "measure"}
    assert made["fusion"]["threshold"] == 0.5
    assert made["score_threshold"] == 0.3
    assert "CPU" in made["device"]


def told_while_running(ct=CT_AXIAL, options=ANYWHERE, **more):
    """The result of a run, and the nodules that it told of on its way, with the stage in which it did."""
    steps = Steps()
    result = segment(ct, options, progress=steps, models=standin_models(), tell_found=True, **more)
    return result, [(step.stage, step.found) for step in steps if step.found is not None]


def test_who_asks_is_told_of_each_nodule_when_it_is_found_and_the_result_is_the_same(plain):
    result, told = told_while_running()
    for name in ("labels", "heterogeneity", "image"):
        np.testing.assert_array_equal(getattr(result, name), getattr(plain, name))
    assert [as_row(nodule) for nodule in result.nodules] == [as_row(nodule) for nodule in plain.nodules]
    assert [stage for stage, _ in told] == ["detect", "detect"]
    for (_, found), (centre, radius, _) in zip(told, (BRIGHT, DARK), strict=True):
        drawn = np.zeros(SHAPE, bool)
        drawn[tuple(slice(at, at + size) for at, size in zip(found.corner, found.mask.shape, strict=True))] = found.mask
        assert dice(drawn, ball(centre, radius)) > 0.85
        np.testing.assert_allclose(found.centre_ras, CT_AXIAL.to_ras(np.array(centre[::-1])), atol=0.8)
        assert found.diameter == pytest.approx(2 * radius, abs=1)
    assert [found.probability for _, found in told] == [nodule.score for nodule in plain.nodules]


def test_nobody_else_is_told_and_a_nodule_may_be_told_to_nobody(plain):
    steps = Steps()
    segment(CT_AXIAL, ANYWHERE, progress=steps, models=standin_models())
    assert not any(step.found for step in steps)
    result = segment(CT_AXIAL, ANYWHERE, models=standin_models(), tell_found=True)
    np.testing.assert_array_equal(result.labels, plain.labels)


def test_a_nodule_that_is_told_lies_in_the_ct_as_it_is_stored(tmp_path):
    hu, matrix = reordered((1, 2, 0), (0, 2))
    write_nrrd(tmp_path / "ct.nrrd", hu, matrix)
    ct = read_ct(tmp_path / "ct.nrrd")
    result, told = told_while_running(ct)
    for label, (_, found) in enumerate(told, 1):
        box = tuple(slice(at, at + size) for at, size in zip(found.corner, found.mask.shape, strict=True))
        assert dice(found.mask, result.labels[box] == label) > 0.85
        np.testing.assert_allclose(found.centre_ras, result.nodules[label - 1].centre_ras, atol=0.8)


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({"fusion": "paper"}, 2),
        ({"full_generator": True}, 2),
        ({"score_threshold": 0.72}, 1),
        ({"roi": "DARK"}, 1),
        ({"seeds_only": True}, 0),
    ],
)
def test_as_many_are_told_as_the_detector_finds_of_what_is_wanted(options, count):
    if "roi" in options:
        options = {"roi": box_around(DARK[0])}
    seeds = [CT_AXIAL.to_ras(SEED_VOXEL)]
    _, told = told_while_running(options=replace(ANYWHERE, **options), seeds=seeds)
    assert len(told) == count


def test_a_run_can_be_cancelled_when_a_nodule_is_told():
    with pytest.raises(Cancelled):
        segment(CT_AXIAL, ANYWHERE, progress=lambda step: step.found is None, models=standin_models(), tell_found=True)


def test_candidates_are_given_in_ras_and_with_corners_around_the_nodule(plain):
    assert [one["origin"] for one in plain.candidates] == ["detector", "detector"]
    for candidate, (centre, radius, _) in zip(plain.candidates, (BRIGHT, DARK), strict=True):
        corners = np.array(candidate["boxes_ras"]).reshape(-1, 3)
        middle = CT_AXIAL.to_ras(np.array(centre[::-1]))
        np.testing.assert_allclose(candidate["centre_ras"], middle, atol=0.8)
        np.testing.assert_allclose(np.ptp(corners[:, :2], axis=0), 2 * radius, atol=2.0)
        assert candidate["score"] <= 1


# ---------------------------------------------------------------- grids


def reordered(axes, flips):
    """The same anatomy stored with its array axes in another order and direction."""
    hu = CT_AXIAL.hu.transpose(axes)
    columns, offset = CT_AXIAL.ijk_to_ras[:3, :3][:, [2 - axis for axis in axes[::-1]]].copy(), on(AXIAL)[:3, 3].copy()
    for axis in flips:
        i = 2 - axis
        offset += columns[:, i] * (hu.shape[axis] - 1)
        columns[:, i] *= -1
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = columns, offset
    return np.ascontiguousarray(np.flip(hu, flips)), matrix


@pytest.mark.parametrize(
    ("axes", "flips"),
    [((0, 1, 2), (0,)), ((0, 1, 2), (1, 2)), ((1, 0, 2), ()), ((2, 1, 0), (0, 1)), ((1, 2, 0), (0, 1, 2))],
    ids=["feet first", "columns and rows flipped", "coronal", "sagittal, flipped", "turned and flipped"],
)
def test_flipped_and_permuted_files_give_the_same_nodules(plain, tmp_path, axes, flips):
    hu, matrix = reordered(axes, flips)
    write_nrrd(tmp_path / "ct.nrrd", hu, matrix)
    result = segment(read_ct(tmp_path / "ct.nrrd"), ANYWHERE, models=standin_models())
    np.testing.assert_array_equal(result.labels, np.flip(plain.labels.transpose(axes), flips))
    np.testing.assert_allclose(result.heterogeneity, np.flip(plain.heterogeneity.transpose(axes), flips), atol=1e-6)
    np.testing.assert_allclose(result.image, np.flip(plain.image.transpose(axes), flips), atol=1e-6)
    for nodule, expected in zip(result.nodules, plain.nodules, strict=True):
        for title, value, wanted in zip(header(), as_row(nodule), as_row(expected), strict=True):
            if title != "slice":
                assert value == (pytest.approx(wanted, abs=1e-3) if isinstance(wanted, float) else wanted), title


@pytest.mark.parametrize(
    "directions",
    [
        turned(0, 23) @ turned(2, -31) @ AXIAL,
        turned(1, 17) @ AXIAL,
        AXIAL + np.outer([0, np.sin(np.radians(17)), np.cos(np.radians(17)) - 1], [0, 0, 1]),
    ],
    ids=["oblique", "turned about the front", "sheared by a tilted gantry"],
)
def test_the_same_voxels_on_other_grids_give_the_same_nodules_where_the_matrix_says(plain, tmp_path, directions):
    matrix = on(directions, origin=(-12.34, 98.7, 45.6))
    write_nrrd(tmp_path / "ct.nrrd", voxels(), matrix)
    ct = read_ct(tmp_path / "ct.nrrd")
    np.testing.assert_allclose(ct.ijk_to_ras, matrix, atol=1e-9)
    result = segment(ct, ANYWHERE, models=standin_models())
    np.testing.assert_array_equal(result.labels, plain.labels)
    np.testing.assert_allclose(result.heterogeneity, plain.heterogeneity, atol=1e-6)
    for label, nodule in enumerate(result.nodules, 1):
        voxel = np.argwhere(plain.labels == label).mean(0)[::-1]
        np.testing.assert_allclose(nodule.centre_ras, (matrix @ [*voxel, 1])[:3], atol=0.01)
        assert nodule.slice == plain.nodules[label - 1].slice
        assert nodule.volume == pytest.approx((plain.labels == label).sum() * abs(np.linalg.det(matrix[:3, :3])))
    for candidate, same in zip(result.candidates, plain.candidates, strict=True):
        voxel = CT_AXIAL.to_ijk(np.array(same["centre_ras"]))
        np.testing.assert_allclose(candidate["centre_ras"], (matrix @ [*voxel, 1])[:3], atol=0.05)


def test_the_slice_number_is_that_of_the_ct_as_stored(plain):
    hu, matrix = reordered((0, 1, 2), (0,))
    result = segment(CT(hu, matrix), ANYWHERE, models=standin_models())
    for nodule, other in zip(result.nodules, plain.nodules, strict=True):
        assert nodule.slice == SHAPE[0] - 1 - other.slice
        areas = (result.labels == nodule.id).sum((1, 2))
        assert areas[nodule.slice] == areas.max()


# ---------------------------------------------------------------- seeds


SEED = CT_AXIAL.to_ras(SEED_VOXEL)


def test_a_seed_adds_the_nodule_that_the_detector_missed(plain):
    result = segment(CT_AXIAL, ANYWHERE, seeds=[SEED.tolist()], models=standin_models())
    assert [nodule.status for nodule in result.nodules] == [CONFIRMED, CONFIRMED, SEEDED]
    assert dice(result.labels == 3, ball(*FAINT[:2])) > 0.8
    assert result.nodules[2].score is None
    assert result.candidates[2]["origin"] == "seed"
    np.testing.assert_allclose(result.candidates[2]["centre_ras"], SEED, atol=0.02)
    np.testing.assert_array_equal(np.where(result.labels == 3, 0, result.labels), plain.labels)


def test_seeds_only_never_touches_the_detector():
    detector = StandInDetector()
    result = segment(CT_AXIAL, Options(seeds_only=True), [SEED], models=standin_models(detector))
    assert detector.slices_seen == 0
    assert [nodule.status for nodule in result.nodules] == [SEEDED]
    without = segment(CT_AXIAL, Options(seeds_only=True), [SEED], models=replace(standin_models(), detector=None))
    np.testing.assert_array_equal(without.labels, result.labels)


def test_a_click_on_a_ct_that_was_prepared_gives_what_a_run_on_the_ct_gives_and_looks_for_no_lungs(monkeypatch):
    stored = CT(*reordered((2, 1, 0), (0, 1)))
    prepared = prepare_ct(stored)
    for options, seeds in ((ANYWHERE, []), (Options(seeds_only=True), [SEED])):
        plain = segment(stored, options, seeds, models=standin_models())
        with monkeypatch.context() as patch:
            patch.setattr("lnhg.stages.prepared.lung_regions", lambda ct: pytest.fail("looked for the lungs again"))
            again = segment(prepared, options, seeds, models=standin_models())
        assert len(again.nodules) > 0
        assert again.ct is stored
        assert [as_row(one) for one in again.nodules] == [as_row(one) for one in plain.nodules]
        assert again.warnings == plain.warnings
        np.testing.assert_array_equal(again.labels, plain.labels)
        np.testing.assert_array_equal(again.heterogeneity, plain.heterogeneity)


@pytest.mark.parametrize(
    "options",
    [
        Options(seeds_only=True),
        Options(seeds_only=True, hide_rim=True),
        Options(seeds_only=True, fusion="paper"),
        Options(seeds_only=True, full_generator=True, heterogeneity="inverse"),
    ],
    ids=["usual", "rim hidden", "paper", "everywhere"],
)
@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 1, 0)])
def test_the_part_of_a_result_holds_all_of_it_that_is_not_empty(options, axes):
    ct = CT(*reordered(axes, (0, 1)))
    whole = segment(ct, options, [SEED], models=standin_models())
    box, part = segment_part(ct, options, [SEED], models=standin_models())
    assert [as_row(one) for one in part.nodules] == [as_row(one) for one in whole.nodules] != []
    assert (part.candidates, part.warnings) == (whole.candidates, whole.warnings)
    for name, empty in (("labels", 0), ("heterogeneity", -1), ("image", 0), ("unconfirmed", 0)):
        drawn = np.full_like(getattr(whole, name), empty)
        drawn[box] = getattr(part, name)
        np.testing.assert_array_equal(drawn, getattr(whole, name), name)


def test_the_part_of_a_result_without_a_nodule_is_small():
    box, part = segment_part(
        CT_AXIAL, Options(seeds_only=True), [CT_AXIAL.to_ras(np.array([2, 2, 2])).tolist()], models=standin_models()
    )
    assert part.nodules == () and part.labels.size < CT_AXIAL.hu.size / 4
    assert part.labels.shape == tuple(side.stop - side.start for side in box)


def test_a_seed_at_nothing_is_said_as_the_person_gave_it():
    seed = CT_AXIAL.to_ras(np.array([45.2, 5.3, 20.1]))
    result = segment(CT_AXIAL, Options(seeds_only=True), [seed], models=standin_models())
    assert result.nodules == ()
    assert (
        f"Nothing of 3 mm or more was found at seed {seed[0]:.1f},{seed[1]:.1f},{seed[2]:.1f} (RAS mm)."
        in result.warnings
    )


def test_a_seed_outside_the_ct_is_refused_before_the_detector_runs():
    detector = StandInDetector()
    with pytest.raises(InputError, match=r"Seed 500\.0,0\.0,0\.0 lies outside the CT"):
        segment(CT_AXIAL, ANYWHERE, seeds=[[500, 0, 0]], models=standin_models(detector))
    assert detector.slices_seen == 0


def test_a_seed_out_of_reason_is_told_in_a_few_digits_and_without_a_word_of_numpys(recwarn):
    with pytest.raises(InputError, match=r"Seed 1e\+308,0\.0,0\.0 lies outside the CT"):
        segment(CT_AXIAL, ANYWHERE, seeds=[[1e308, 0, 0]], models=standin_models())
    assert not [one for one in recwarn if "cast" in str(one.message)]


def test_answers_for_a_nodule_that_is_not_there_are_noted():
    result = segment(CT_AXIAL, ANYWHERE, models=standin_models(), answers=answers_of_words(["99.airway=no"]))
    assert "Answers were given for nodule 99, which is not there." in result.warnings


@pytest.mark.parametrize("seed", [[1.0, 2.0], [np.nan, 0, 0]])
def test_a_seed_that_is_no_point_is_refused(seed):
    with pytest.raises(InputError, match="is no point"):
        segment(CT_AXIAL, ANYWHERE, seeds=[seed], models=standin_models())


def test_seeds_only_without_a_seed_is_refused():
    with pytest.raises(InputError, match="Only seeds were asked for and none was given"):
        segment(CT_AXIAL, Options(seeds_only=True), models=standin_models())


# ---------------------------------------------------------------- without lungs


def cube():
    """51 mm of lung around a bright ball, in voxels of 1 mm."""
    k, j, i = np.ogrid[-25:26, -25:26, -25:26]
    return CT(np.where(k**2 + j**2 + i**2 < 36, 50, -850).astype(np.int16), np.diag([-1.0, -1.0, 1.0, 1.0]))


def abdomen():
    """Soft tissue in air with a bright organ and gas, 300 mm wide."""
    k, j, i = np.ogrid[0:10, -100:100, -100:100]
    hu = np.where((j / 60) ** 2 + (i / 90) ** 2 < 1, -200, -1000) + 0 * k
    hu[:, 80:90, 110:120], hu[:, 70:80, 70:80] = 100, -1000
    return CT(hu.astype(np.int16), np.diag([-1.6, -1.6, 2.5, 1.0]))


@pytest.mark.parametrize("ct", [CT_AXIAL, cube(), abdomen()], ids=["cut-out", "cube", "abdomen"])
def test_where_no_lungs_are_found_nothing_is_called_a_nodule_unless_asked(ct):
    detector = StandInDetector()
    result = segment(ct, models=standin_models(detector))
    assert (result.nodules, result.candidates, detector.slices_seen) == ((), (), 0)
    (note,) = [warning for warning in result.warnings if "No lungs were found" in warning]
    assert note.endswith("no nodules were looked for; set a seed, or choose to look anywhere (--anywhere).")
    asked = segment(ct, ANYWHERE, models=standin_models())
    assert asked.nodules
    assert all(nodule.side == "unknown" for nodule in asked.nodules)
    assert any(warning.endswith("sides are unknown, and the whole CT was searched.") for warning in asked.warnings)
    seeded = segment(ct, seeds=[asked.nodules[0].centre_ras], models=standin_models())
    assert [nodule.status for nodule in seeded.nodules] == [SEEDED]


def test_nodules_in_a_lung_whose_side_the_field_does_not_show_have_none():
    rows, columns = np.ogrid[-60:60, -60:60]
    lung = np.hypot(rows, columns) < 50
    hu = np.full((12, 120, 120), -300, np.int16)
    hu[:, lung] = -850
    hu[3:9, 50:58, 70:78] = 40
    result = segment(CT(hu, np.diag([-1.0, -1.0, 2.0, 1.0])), models=standin_models())
    assert [nodule.side for nodule in result.nodules] == ["unknown"]
    assert any("does not show which lung" in warning for warning in result.warnings)


# ---------------------------------------------------------------- parts of the CT


def box_around(centre, margin=6.0):
    r, a, s = CT_AXIAL.to_ras(np.array(centre[::-1]))
    return r - margin, r + margin, a - margin, a + margin, s - margin, s + margin


def test_a_region_keeps_the_nodules_centred_in_it(plain):
    result = segment(CT_AXIAL, Options(anywhere=True, roi=box_around(DARK[0])), models=standin_models())
    assert len(result.nodules) == 1
    np.testing.assert_array_equal(result.labels == 1, plain.labels == 2)


@pytest.mark.parametrize("flips", [(), (0,)], ids=["head last", "head first"])
def test_a_slice_range_counts_slices_as_stored(flips):
    hu, matrix = reordered((0, 1, 2), flips)
    first = SHAPE[0] - 1 - BRIGHT[0][0] if flips else BRIGHT[0][0]
    result = segment(CT(hu, matrix), Options(anywhere=True, slices=(first, first)), models=standin_models())
    assert len(result.nodules) == 1
    assert result.nodules[0].hu_mean > 50


def test_the_papers_rule_shows_nothing_outside_the_region_but_what_a_seed_points_at():
    options = Options(anywhere=True, fusion="paper", slices=(0, 10))
    result = segment(CT_AXIAL, options, models=standin_models())
    assert [nodule.status for nodule in result.nodules] == [CONFIRMED, CONFIRMED]
    assert result.labels.max() == 2
    assert not result.labels[14:].any()
    with_seed = segment(CT_AXIAL, options, [SEED], models=standin_models())
    assert [nodule.status for nodule in with_seed.nodules] == [CONFIRMED, CONFIRMED, SEEDED]


@pytest.mark.parametrize("options", [{"roi": (900, 910, 0, 10, 0, 10)}, {"slices": (24, 30)}])
def test_a_region_outside_the_ct_is_refused_even_for_seeds(options):
    for seeds_only in (False, True):
        with pytest.raises(InputError, match=r"The region holds no voxel|lies outside"):
            segment(CT_AXIAL, Options(**options, seeds_only=seeds_only), [SEED], models=standin_models())


@pytest.mark.parametrize(
    "bad",
    [
        {"roi": (1, 0, 0, 1, 0, 1)},
        {"roi": (0, 1, 0, 1)},
        {"slices": (5, 4)},
        {"device": "tpu"},
        {"minimum_diameter": -1.0},
        {"generator_threshold": float("nan")},
        {"threads": 0},
    ],
    ids=str,
)
def test_options_that_make_no_sense_are_refused(bad):
    with pytest.raises(InputError):
        Options(**bad)


# ---------------------------------------------------------------- progress and cancelling


def test_progress_rises_to_one_and_names_the_stages_in_order():
    steps = Steps()
    segment(CT_AXIAL, ANYWHERE, models=standin_models(), progress=steps)
    fractions = [step.fraction for step in steps]
    assert fractions == sorted(fractions)
    assert fractions[0] == 0
    assert fractions[-1] == 1
    assert list(dict.fromkeys(step.stage for step in steps)) == ["lungs", "detect", "generate", "fuse", "measure"]
    assert steps[0].seconds_left is None
    assert steps[-1].seconds_left == 0


@pytest.mark.parametrize("stage", ["lungs", "detect", "generate", "fuse", "measure"])
def test_a_callback_that_returns_false_cancels(stage):
    steps = Steps(cancel_at=stage)
    with pytest.raises(Cancelled):
        segment(CT_AXIAL, ANYWHERE, models=standin_models(), progress=steps)
    assert [step.stage for step in steps].count(stage) == 1, "nothing is done after the cancel"


def test_a_callback_that_returns_nothing_does_not_cancel():
    reported = []
    reporter = ProgressReporter({"first": 1, "second": 3}, reported.append)
    reporter("first", 1.0)
    reporter("second", 0.5)
    assert [step.fraction for step in reported] == [0.25, 0.625]


# ---------------------------------------------------------------- rules and maps


def test_the_papers_triplets_and_rule_keep_what_the_generator_alone_sees():
    result = segment(CT_AXIAL, Options(anywhere=True, fusion="paper", triplets="paper"), models=standin_models())
    assert [nodule.status for nodule in result.nodules] == [CONFIRMED, CONFIRMED, GENERATOR_ONLY]
    assert dice(result.labels == 3, ball(*FAINT[:2])) > 0.8


def test_run_everywhere_the_scans_rule_calls_it_unconfirmed(plain):
    result = segment(CT_AXIAL, Options(anywhere=True, full_generator=True), models=standin_models())
    np.testing.assert_array_equal(result.labels, plain.labels)
    assert dice(result.unconfirmed == 1, ball(*FAINT[:2])) > 0.8
    assert not plain.unconfirmed.any(), "the generator was not run there"


def test_a_find_that_the_generator_does_not_see_is_marked_detector_only():
    result = segment(CT_AXIAL, Options(anywhere=True, generator_threshold=1.0), models=standin_models())
    assert [nodule.status for nodule in result.nodules] == [DETECTOR_ONLY] * 2
    assert dice(result.labels == 1, ball(*BRIGHT[:2])) > 0.8


def large_ball(radius):
    """A ball in the middle of a CT with pixels of 1 mm, and the CT."""
    k, j, i = np.ogrid[-12:13, -55:56, -55:56]
    inside = (2 * k) ** 2 + j**2 + i**2 <= radius**2
    return inside, CT(np.where(inside, 60, -850).astype(np.int16), np.diag([-1.0, -1.0, 2.0, 1.0]))


@pytest.mark.parametrize(("radius", "pixels"), [(20.0, [1.0, 40 / 15]), (8.0, [1.0])])
def test_a_seed_in_a_mass_has_it_seen_from_further_away_too(radius, pixels, monkeypatch):
    used = []

    def generate(ct, run, grid, *arguments, **named):
        used.append(grid.pixel_mm)
        return plain_generate(ct, run, grid, *arguments, **named)

    plain_generate = pipeline.generate
    monkeypatch.setattr(pipeline, "generate", generate)
    inside, ct = large_ball(radius)
    found = segment(ct, Options(seeds_only=True), [ct.to_ras(np.array([55, 55, 12]))], models=standin_models())
    assert used == pytest.approx(pixels, rel=0.05)
    assert dice(found.labels == 1, inside) > 0.9


def test_a_mass_is_seen_from_further_away_but_for_the_papers_rule():
    mass, ct = large_ball(20.0)
    models = replace(standin_models(), generator=NearsightedGenerator())
    found = segment(ct, ANYWHERE, models=models)
    assert [nodule.status for nodule in found.nodules] == [CONFIRMED]
    assert dice(found.labels == 1, mass) > 0.9
    assert dice(segment(ct, Options(anywhere=True, fusion="paper"), models=models).labels > 0, mass) < 0.6


def test_a_higher_score_threshold_leaves_out_the_weaker_find(plain):
    between = (plain.nodules[0].score + plain.nodules[1].score) / 2
    result = segment(CT_AXIAL, Options(anywhere=True, score_threshold=between), models=standin_models())
    np.testing.assert_array_equal(result.labels == 1, plain.labels == 1)
    assert len(result.nodules) == 1


@pytest.fixture(scope="module")
def inverse():
    return segment(CT_AXIAL, Options(anywhere=True, heterogeneity="inverse"), models=standin_models())


def test_each_nodules_own_range_goes_from_zero_to_one():
    options = Options(anywhere=True, heterogeneity="inverse", normalisation="nodule")
    result = segment(CT_AXIAL, options, models=standin_models())
    for label in (1, 2):
        values = result.heterogeneity[result.labels == label]
        assert (values.min(), values.max()) == (0, 1)


def test_the_scans_range_tells_the_darker_nodule_from_the_brighter(inverse):
    core = [inverse.heterogeneity[centre] for centre, _, _ in (BRIGHT, DARK)]
    assert core[0] == 0
    assert core[1] == pytest.approx(1 - inverse.image[DARK[0]] / inverse.image[inverse.labels > 0].max(), abs=1e-5)
    assert core[1] > 0.05


def test_the_papers_range_is_that_of_each_whole_slice():
    options = Options(anywhere=True, heterogeneity="inverse", normalisation="slice")
    result = segment(CT_AXIAL, options, models=standin_models())
    k, j, i = DARK[0]
    image = result.image[k]
    expected = 1 - (image[j, i] - image.min()) / (image.max() - image.min())
    assert result.heterogeneity[DARK[0]] == pytest.approx(expected, abs=1e-5)


def test_intensity_is_the_inverse_turned_round(inverse):
    result = segment(CT_AXIAL, Options(anywhere=True, heterogeneity="intensity"), models=standin_models())
    inside = inverse.labels > 0
    np.testing.assert_allclose(result.heterogeneity[inside], 1 - inverse.heterogeneity[inside], atol=1e-6)


def test_a_map_of_unevenness_is_low_in_even_nodules_and_says_so_in_its_row(plain):
    for row in plain.nodules:
        assert plain.heterogeneity[plain.labels == row.id].mean() < 0.15
        assert row.whole.mean == pytest.approx(plain.heterogeneity[plain.labels == row.id].mean(), abs=1e-5)


def test_the_map_of_the_kind_twin_shows_a_hole_in_the_nodule_that_has_one():
    k, j, i = BRIGHT[0]
    hu = CT_AXIAL.hu.copy()
    hu[k - 1 : k + 2, j - 1 : j + 2, i - 1 : i + 2] = -500
    options = Options(anywhere=True, heterogeneity="twin")
    result = segment(replace(CT_AXIAL, hu=hu), options, models=standin_models())
    assert result.heterogeneity[k, j, i] > 0.2
    assert result.heterogeneity[DARK[0]] < 0.05
    assert (result.heterogeneity[result.labels == 0] == -1).all()


# ---------------------------------------------------------------- the real networks, untrained


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    """Weights files of both real networks as they are before training."""
    folder = tmp_path_factory.mktemp("weights")
    grid, common = NetworkGrid().as_dict(), {"target": "none", "training": {}}
    architecture = DetectorArchitecture()
    save_weights(
        folder,
        "generator",
        Generator(2).state_dict(),
        {"kind": "generator", "architecture": {"width": 2}, "grid": grid, "thresholds": {"g": 0.5}, **common},
    )
    save_weights(
        folder,
        "detector",
        build_detector(architecture).state_dict(),
        {
            "kind": "detector",
            "architecture": architecture.as_dict(),
            "grid": grid,
            "thresholds": {"score": 0.5},
            **common,
        },
    )
    return folder


def test_a_crop_of_one_small_slice_runs_and_says_that_no_lungs_are_in_view(untrained):
    hu = np.full((1, 32, 32), -850, np.int16)
    hu[0, 12:20, 12:20] = 50
    result = segment(CT(hu, on(AXIAL)), Options(weights=untrained))
    assert result.labels.shape == result.heterogeneity.shape == hu.shape
    assert any("No lungs were found" in warning for warning in result.warnings)
    assert len(result.provenance["weights"]["detector"]["sha256"]) == 64
    assert len(result.nodules) == result.labels.max()


def test_seeds_only_needs_no_weights_of_a_detector(untrained, tmp_path):
    for name in ("generator.json", "generator.safetensors"):
        (tmp_path / name).write_bytes((untrained / name).read_bytes())
    models = load_models(tmp_path, with_detector=False)
    assert models.detector is None
    result = segment(CT_AXIAL, Options(seeds_only=True, weights=tmp_path), [SEED])
    assert set(result.provenance["weights"]) == {"generator"}
    assert result.provenance["score_threshold"] is None


def test_weights_of_a_generator_alone_go_with_the_shipped_detector(untrained, tmp_path):
    for name in ("generator.json", "generator.safetensors"):
        (tmp_path / name).write_bytes((untrained / name).read_bytes())
    models, shipped = load_models(tmp_path), load_models()
    assert models.manifests["detector"] == shipped.manifests["detector"]
    assert models.manifests["generator"] != shipped.manifests["generator"]


def test_a_rescorer_without_its_detector_is_refused(untrained, tmp_path):
    for name in ("generator.json", "generator.safetensors"):
        (tmp_path / name).write_bytes((untrained / name).read_bytes())
    (tmp_path / "rescorer.json").write_text("{}")
    with pytest.raises(InputError, match="holds a rescorer without its detector"):
        load_models(tmp_path)


def test_swapped_weights_are_refused(untrained, tmp_path):
    for old, new in (("detector", "generator"), ("generator", "detector")):
        for ending in ("json", "safetensors"):
            (tmp_path / f"{new}.{ending}").write_bytes((untrained / f"{old}.{ending}").read_bytes())
    with pytest.raises(InputError, match="holds weights of a detector, not of a generator"):
        load_models(tmp_path)
