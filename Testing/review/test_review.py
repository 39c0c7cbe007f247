"""The review of nodules: verdicts, edits with their measurements, undo, and what a second run keeps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lnhg.core.comparison import Comparison
from lnhg.errors import InputError
from lnhg.options import Options
from lnhg.stages.heterogeneity_maps import MapInput, nodule_map, outlines_of

slicer = pytest.importorskip("slicer", reason="needs the host extra: pip install 'lnhg[host]'")

import vtk  # noqa: E402
from vtk.util.numpy_support import numpy_to_vtk  # noqa: E402

from host import scenes  # noqa: E402
from host.handmade import BALLS, GRIDS, SHAPE, handmade_result  # noqa: E402
from LNHGSlicerLib.review.answers import (  # noqa: E402
    answer,
    answers_of,
    comparisons_of,
    set_comparisons,
)
from LNHGSlicerLib.review.outlines import Outline  # noqa: E402
from LNHGSlicerLib.review.review import Review, carry_over, write_row  # noqa: E402
from LNHGSlicerLib.review.verdicts import add_seconds, seconds_of  # noqa: E402
from LNHGSlicerLib.scene import nodes as lnhg_scene  # noqa: E402
from LNHGSlicerLib.scene.headless import headless_host  # noqa: E402

ONE, TWO = "Nodule_1", "Nodule_2"


@pytest.fixture
def nodes(host):
    return added(handmade_result(GRIDS["axial"]))


@pytest.fixture
def review(nodes):
    return Review(nodes)


def added(result, ct=None):
    """The nodes of a result whose map is made as in a run."""
    made = nodule_map(MapInput(result.ct.hu, result.ct.spacing), outlines_of(result.labels), result.options)
    result = replace(result, heterogeneity=made.whole())
    return scenes.added(result) if ct is None else lnhg_scene.add_result(ct, result)


def voxels(nodes, segment_id):
    return slicer.util.arrayFromSegmentBinaryLabelmap(nodes.segmentation, segment_id, nodes.ct) > 0


def draw(nodes, segment_id, mask):
    """What the Segment Editor does: new voxels for a segment, which are taken away from the others."""
    for other in nodes.segmentation.GetSegmentation().GetSegmentIDs():
        taken = voxels(nodes, other) & mask
        if other != segment_id and taken.any():
            put(nodes, other, voxels(nodes, other) & ~mask)
    put(nodes, segment_id, mask)


def put(nodes, segment_id, mask):
    image, matrix = slicer.vtkOrientedImageData(), vtk.vtkMatrix4x4()
    nodes.ct.GetIJKToRASMatrix(matrix)
    image.SetDimensions(mask.shape[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(mask.astype(np.uint8).ravel(), deep=True))
    image.SetImageToWorldMatrix(matrix)
    logic = slicer.modules.segmentations.logic()
    logic.SetBinaryLabelmapToSegment(image, nodes.segmentation, segment_id, logic.MODE_REPLACE)


def ball(centre, radius):
    k, j, i = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    return (k - centre[0]) ** 2 + (j - centre[1]) ** 2 + (i - centre[2]) ** 2 <= radius**2


def row(review, segment_id):
    return next(one for one in review.rows() if one.segment_id == segment_id)


def shown(nodes, segment_id):
    return nodes.segmentation.GetDisplayNode().GetSegmentVisibility(segment_id)


def state(review):
    """All that a step of the review can change."""
    nodes = review.nodes
    return (
        review.rows(),
        nodes.rows,
        {one: voxels(nodes, one).nonzero() for one in (ONE, TWO)},
        [shown(nodes, one) for one in (ONE, TWO)],
        slicer.util.arrayFromVolume(nodes.heterogeneity).copy(),
    )


def assert_same(one, other):
    assert repr(one[:2]) == repr(other[:2])
    for before, after in zip(one[2].values(), other[2].values(), strict=True):
        np.testing.assert_array_equal(before, after)
    assert one[3] == other[3]
    np.testing.assert_allclose(one[4], other[4], atol=1e-6)


# ---------------------------------------------------------------- rows and verdicts


def test_a_row_says_of_a_nodule_what_a_reader_asks_first(review):
    first, second = review.rows()
    assert (first.number, first.segment_id, first.side, first.type, first.verdict) == (1, ONE, "left", "solid", "open")
    assert (first.size_mm, first.score) == (5.6, 0.93)
    assert first.heterogeneity == pytest.approx(review.nodes.rows[0].core.mean)
    assert (second.number, second.score) == (2, None)


def test_a_scan_without_nodules_has_no_rows(host):
    assert Review(added(handmade_result(GRIDS["axial"], balls=()))).rows() == []


def test_verdicts_are_kept_when_the_scene_is_saved_and_opened(review, host, tmp_path):
    review.accept(ONE)
    review.reject(TWO)
    assert host.WriteToMRB(str(tmp_path / "scene.mrb"))
    with headless_host() as opened:
        assert opened.ReadFromMRB(str(tmp_path / "scene.mrb"), True)
        again = Review(lnhg_scene.all_results()[0])
        assert [one.verdict for one in again.rows()] == ["accepted", "rejected"]
        assert [shown(again.nodes, one) for one in (ONE, TWO)] == [True, False]


def test_a_rejected_nodule_is_hidden_in_the_views_and_kept_in_the_scene(review, nodes):
    before = voxels(nodes, TWO)
    review.reject(TWO)
    assert not shown(nodes, TWO)
    assert shown(nodes, ONE)
    np.testing.assert_array_equal(voxels(nodes, TWO), before)
    values = slicer.util.arrayFromVolume(nodes.heterogeneity)
    assert (values[before] == -1).all()
    assert (values[voxels(nodes, ONE)] >= 0).all()


def test_a_rejected_nodule_that_is_accepted_after_all_is_shown_again(review, nodes):
    review.reject(TWO)
    review.accept(TWO)
    assert shown(nodes, TWO)
    assert (slicer.util.arrayFromVolume(nodes.heterogeneity)[voxels(nodes, TWO)] >= 0).all()


def test_a_segment_that_the_reader_adds_or_removes_is_no_row(review, nodes):
    segmentation = nodes.segmentation.GetSegmentation()
    segmentation.AddEmptySegment("Segment_1", "Segment 1")
    segmentation.RemoveSegment(ONE)
    assert [one.segment_id for one in review.rows()] == [TWO]


# ---------------------------------------------------------------- edits


@pytest.mark.parametrize("grid", [*GRIDS, "mirrored"])
def test_an_edited_nodule_is_measured_as_it_is_now(host, grid):
    matrix = GRIDS["oblique"] @ np.diag([-1, 1, -1, 1]) if grid == "mirrored" else GRIDS[grid]
    nodes = added(handmade_result(matrix))
    review = Review(nodes)
    mask = ball((8, 21, 16), 5)
    draw(nodes, ONE, mask)
    review.update()
    measured = nodes.rows[0]
    ct = lnhg_scene.ct_of_node(nodes.ct)
    assert row(review, ONE).verdict == measured.status == "edited"
    assert (measured.id, measured.score, measured.slice) == (1, 0.93, 8)
    assert measured.volume == pytest.approx(mask.sum() * ct.voxel_volume, rel=1e-4)
    np.testing.assert_allclose(measured.centre_ras, ct.to_ras(np.argwhere(mask).mean(0)[::-1]), atol=1e-3)
    assert measured.hu_mean == pytest.approx(ct.hu[mask].mean(), abs=1e-3)
    assert row(review, ONE).size_mm == pytest.approx(measured.mean_axis)
    assert nodes.rows[1] == replace(nodes.rows[1], id=2)
    assert row(review, TWO).verdict == "open"


def test_the_map_follows_an_edit_and_so_does_its_figure(review, nodes):
    mask = ball(BALLS[0][0], 3)
    draw(nodes, ONE, mask)
    review.update()
    values = slicer.util.arrayFromVolume(nodes.heterogeneity)
    np.testing.assert_array_equal(values >= 0, mask | voxels(nodes, TWO))
    assert nodes.rows[0].whole.mean == pytest.approx(values[mask].mean(), abs=1e-4)
    raw = scenes.on_ct_grid(nodes.ct, nodes.raw_ct)
    np.testing.assert_array_equal(raw >= 0, values >= 0)


def test_an_edited_nodule_has_its_map_without_the_generator_image(host):
    result = handmade_result(GRIDS["axial"])
    nodes = lnhg_scene.add_result(
        lnhg_scene.add_ct(result.ct.hu, result.ct.ijk_to_ras, "CT"), result, with_generated=False
    )
    review, mask = Review(nodes), ball(BALLS[0][0], 3)
    draw(nodes, ONE, mask)
    review.update()
    values = slicer.util.arrayFromVolume(nodes.heterogeneity)
    np.testing.assert_array_equal(values >= 0, mask | voxels(nodes, TWO))
    assert nodes.rows[0].whole.mean == pytest.approx(values[mask].mean(), abs=1e-4)
    assert nodes.rows[0].strongest_hu == pytest.approx(40, abs=5)


@pytest.mark.parametrize("verdict", ["open", "accepted", "rejected"])
def test_a_nodule_that_loses_voxels_to_an_edited_neighbour_is_measured_anew_and_keeps_its_verdict(
    review, nodes, verdict
):
    if verdict != "open":
        getattr(review, verdict.removesuffix("ed"))(TWO)
    before = row(review, TWO).nodule
    draw(nodes, ONE, ball((11, 34, 27), 5))
    review.update()
    assert [one.verdict for one in review.rows()] == ["edited", verdict]
    assert shown(nodes, TWO) == (verdict != "rejected")
    assert row(review, TWO).nodule.status == before.status
    ct = lnhg_scene.ct_of_node(nodes.ct)
    for nodule in nodes.rows:
        assert nodule.volume == pytest.approx(voxels(nodes, f"Nodule_{nodule.id}").sum() * ct.voxel_volume, rel=1e-4)


def test_a_segment_drawn_over_a_rejected_nodule_leaves_it_rejected(review, nodes):
    review.reject(TWO)
    segments = nodes.segmentation.GetSegmentation()
    own = segments.AddEmptySegment("", "Drawn")
    put(nodes, TWO, voxels(nodes, TWO) & ~ball(BALLS[1][0], 1))  # as the Segment Editor takes it away
    put(nodes, own, ball(BALLS[1][0], 1))
    review.update()
    assert [one.verdict for one in review.rows()] == ["open", "rejected", "edited"]
    assert not shown(nodes, TWO)


def test_an_outline_that_was_not_changed_is_not_called_edited(review):
    before = state(review)
    review.update()
    assert_same(state(review), before)
    assert not review.can_undo


def test_a_nodule_that_was_wholly_erased_is_rejected_and_keeps_its_outline(review, nodes):
    before = voxels(nodes, ONE)
    draw(nodes, ONE, np.zeros(SHAPE, bool))
    review.update()
    assert row(review, ONE).verdict == "rejected"
    np.testing.assert_array_equal(voxels(nodes, ONE), before)


def test_an_edit_of_a_ct_under_a_transform_stays_on_the_grid_of_the_ct(nodes):
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    turned = vtk.vtkTransform()
    turned.Translate(40, 0, -7)
    turned.RotateZ(30)
    transform.SetMatrixTransformToParent(turned.GetMatrix())
    for node in (nodes.ct, nodes.segmentation, nodes.heterogeneity):
        node.SetAndObserveTransformNodeID(transform.GetID())
    review = Review(nodes)
    mask = ball((8, 21, 16), 5)
    draw(nodes, ONE, mask)
    review.update()
    assert nodes.rows[0].volume == pytest.approx(mask.sum() * lnhg_scene.ct_of_node(nodes.ct).voxel_volume, rel=1e-4)
    np.testing.assert_array_equal(
        slicer.util.arrayFromVolume(nodes.heterogeneity) >= 0, mask | (handmade_result(GRIDS["axial"]).labels == 2)
    )


@pytest.mark.parametrize("kind", ["inverse", "twin"])
def test_without_the_generator_an_edit_leaves_a_map_that_needs_it_and_empties_its_figures(host, kind):
    result = replace(handmade_result(GRIDS["axial"]), options=Options(heterogeneity=kind))
    ct = lnhg_scene.add_ct(result.ct.hu, result.ct.ijk_to_ras, "CT")
    nodes = lnhg_scene.add_result(ct, result, with_generated=False)
    review = Review(nodes)
    draw(nodes, ONE, ball(BALLS[0][0], 3))
    review.update()
    assert np.isnan(row(review, ONE).heterogeneity)
    assert nodes.rows[0].hu_mean == pytest.approx(40, abs=0.1)
    shown = slicer.util.arrayFromVolume(nodes.heterogeneity)
    kept = (shown >= 0) | (result.labels != 1)  # a map of the kind twin is hidden where the outline shrank
    np.testing.assert_array_equal(shown[kept], result.heterogeneity[kept])
    assert kept.all() or kind == "twin"
    review.undo()
    assert row(review, ONE).heterogeneity == pytest.approx(result.nodules[0].core.mean, abs=1e-4)


def test_an_instance_number_that_is_no_longer_known_becomes_empty_and_those_of_others_stay(host):
    result = handmade_result(GRIDS["axial"])
    numbered = tuple(replace(one, instance_number=100 + one.id) for one in result.nodules)
    nodes = added(replace(result, nodules=numbered))
    review = Review(nodes)
    draw(nodes, ONE, ball((8, 21, 16), 5))
    review.update()
    assert [one.instance_number for one in nodes.rows] == [None, 102]
    review.undo()
    assert [one.instance_number for one in nodes.rows] == [101, 102]


# ---------------------------------------------------------------- undo


def test_undo_takes_the_steps_back_one_by_one(review, nodes):
    states = [state(review)]
    review.accept(ONE)
    states.append(state(review))
    draw(nodes, ONE, ball((11, 34, 27), 5))
    review.update()
    states.append(state(review))
    review.reject(ONE)
    states.append(state(review))
    review.reject(TWO)
    for expected in reversed(states):
        assert review.can_undo
        review.undo()
        assert_same(state(review), expected)
    assert not review.can_undo
    review.undo()
    assert_same(state(review), states[0])


def test_undo_passes_over_a_nodule_whose_segment_was_removed(review, nodes):
    review.accept(ONE)
    review.reject(TWO)
    nodes.segmentation.GetSegmentation().RemoveSegment(TWO)
    review.undo()
    review.undo()
    assert [one.verdict for one in review.rows()] == ["open"]


def test_undo_brings_a_nodule_back_whose_segment_was_removed(review, nodes):
    review.accept(TWO)
    before, inside = state(review), voxels(nodes, TWO)
    nodes.segmentation.GetSegmentation().RemoveSegment(TWO)
    assert review.update()
    assert [one.segment_id for one in review.rows()] == [ONE]
    review.undo()
    assert_same(state(review), before)
    np.testing.assert_array_equal(voxels(nodes, TWO), inside)
    review.undo()
    assert row(review, TWO).verdict == "open" and not review.can_undo


def test_a_removal_that_the_segment_editor_took_back_is_no_step_for_undo(review, nodes):
    segment = nodes.segmentation.GetSegmentation().GetSegment(TWO)
    nodes.segmentation.GetSegmentation().RemoveSegment(TWO)
    review.update()
    assert review.can_undo
    nodes.segmentation.GetSegmentation().AddSegment(segment, TWO)
    review.update()
    assert not review.can_undo


def test_a_nodule_edited_twice_goes_back_to_the_first_edit(review, nodes):
    first, second = ball(BALLS[0][0], 3), ball(BALLS[0][0], 2)
    for mask in (first, second):
        draw(nodes, ONE, mask)
        review.update()
    review.undo()
    np.testing.assert_array_equal(voxels(nodes, ONE), first)
    assert row(review, ONE).verdict == "edited"


def test_a_segment_that_was_removed_and_brought_back_is_in_the_table_and_the_map_again(review, nodes):
    review.accept(ONE)
    review.reject(TWO)
    history = slicer.vtkSegmentationHistory()  # as the Segment Editor keeps it
    history.SetSegmentation(nodes.segmentation.GetSegmentation())
    history.SaveState()
    before, inside = slicer.util.arrayFromVolume(nodes.heterogeneity).copy(), voxels(nodes, ONE)
    for one in (ONE, TWO):
        nodes.segmentation.GetSegmentation().RemoveSegment(one)
    assert review.update()
    assert (slicer.util.arrayFromVolume(nodes.heterogeneity)[inside] < 0).all()
    history.RestorePreviousState()
    assert review.update()
    assert {one.segment_id: one.verdict for one in review.rows()} == {ONE: "accepted", TWO: "rejected"}
    assert (shown(nodes, ONE), shown(nodes, TWO)) == (True, False)
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(nodes.heterogeneity), before)


# ---------------------------------------------------------------- a second run


ANOTHER = ((4, 45, 12), 3)


def rerun(nodes, *balls):
    return added(handmade_result(GRIDS["axial"], balls=balls), nodes.ct)


@pytest.fixture(autouse=True)
def third_ball(monkeypatch):
    """The handmade nodules take their slice number from the list of balls."""
    monkeypatch.setattr("host.handmade.BALLS", (*BALLS, ANOTHER))


def test_a_second_run_keeps_every_verdict_and_says_what_is_new(review, nodes):
    review.accept(ONE)
    review.reject(TWO)
    second = rerun(nodes, ANOTHER, BALLS[1], BALLS[0])
    changes = carry_over(nodes, second)
    assert [one.verdict for one in Review(second).rows()] == ["open", "rejected", "accepted"]
    assert not shown(second, TWO)
    assert str(changes) == "Your verdict was kept for nodule 3 (accepted, was 1), nodule 2 (rejected). New: nodule 1."
    assert (changes.new, changes.gone, changes.not_found) == ((1,), (), ())


def test_an_accepted_nodule_keeps_its_outline_and_is_measured_in_the_second_run(review, nodes):
    review.accept(ONE)
    second = rerun(nodes, (BALLS[0][0], 6), BALLS[1])
    carry_over(nodes, second)
    np.testing.assert_array_equal(voxels(second, ONE), ball(*BALLS[0]))
    ct = lnhg_scene.ct_of_node(second.ct)
    assert second.rows[0].volume == pytest.approx(ball(*BALLS[0]).sum() * ct.voxel_volume, rel=1e-4)
    np.testing.assert_array_equal(
        slicer.util.arrayFromVolume(second.heterogeneity) >= 0, ball(*BALLS[0]) | ball(*BALLS[1])
    )
    np.testing.assert_array_equal(voxels(second, TWO), ball(*BALLS[1]))


def test_what_was_answered_and_found_out_comes_along_with_a_second_run(review, nodes):
    answer(nodes, "age", 61, None)
    answer(nodes, "spiculated", "yes", 2)
    set_comparisons(nodes, {1: Comparison({}, volume_percent=60.0), 2: Comparison({}, volume_percent=5.0)})
    write_row(nodes.table, replace(nodes.rows[1], lobe="left upper lobe"))
    add_seconds(nodes, TWO, 12.0)
    review.accept(ONE)
    second = rerun(nodes, ANOTHER, BALLS[1], (BALLS[0][0], 6))
    answer(second, "age", 60, None)
    carry_over(nodes, second)
    answers = answers_of(second)
    assert answers.common.age == 61 and answers.of(2).spiculated == "yes" and answers.own.keys() == {2}
    assert {number: one.volume_percent for number, one in comparisons_of(second).items()} == {2: 5.0, 3: 60.0}
    assert [row.lobe for row in second.rows] == ["not measured", "left upper lobe", "not measured"]
    assert seconds_of(second, TWO) == 12.0


def test_the_number_of_a_removed_nodule_is_not_given_to_another(review, nodes):
    answer(nodes, "spiculated", "yes", 2)
    segment = nodes.segmentation.GetSegmentation().GetSegment(TWO)
    nodes.segmentation.GetSegmentation().RemoveSegment(TWO)
    numbers = review.add([(Outline((slice(0, 3),) * 3, np.ones((3, 3, 3), bool)), nodes.rows[0])])
    assert numbers == [3] and answers_of(nodes).of(3).spiculated == "not answered"
    nodes.segmentation.GetSegmentation().AddSegment(segment, TWO)
    assert [one.number for one in review.rows()] == [1, 2, 3]


def test_undo_leaves_a_lobe_that_was_told_since(review, nodes):
    review.accept(ONE)
    write_row(nodes.table, replace(nodes.rows[0], lobe="left upper lobe", perifissural=True))
    review.undo()
    assert (nodes.rows[0].lobe, nodes.rows[0].perifissural) == ("left upper lobe", True)
    assert row(review, ONE).verdict == "open"


def test_growth_of_another_outline_is_not_told(nodes):
    set_comparisons(nodes, {1: Comparison({}, volume_percent=60.0)})
    second = rerun(nodes, (BALLS[0][0], 6))
    carry_over(nodes, second)
    assert comparisons_of(second) == {}
    by_hand = rerun(nodes, (BALLS[0][0], 6))
    Review(by_hand).accept(ONE)
    carry_over(by_hand, nodes)
    assert comparisons_of(nodes) == {}


def test_a_nodule_that_is_measured_again_keeps_its_place_in_the_lungs(review, nodes):
    known = replace(nodes.rows[0], third="upper", pleura_distance=12.5)
    small = Outline((slice(0, 3),) * 3, np.ones((3, 3, 3), bool))
    number = review.take_over(ONE, small, known, "edited")
    row = next(one for one in nodes.rows if one.id == number)
    assert (row.third, row.pleura_distance) == ("upper", 12.5)


def test_an_edited_nodule_stays_edited(review, nodes):
    mask = ball(BALLS[0][0], 3)
    draw(nodes, ONE, mask)
    review.update()
    second = rerun(nodes, *BALLS)
    carry_over(nodes, second)
    assert row(Review(second), ONE).verdict == second.rows[0].status == "edited"
    np.testing.assert_array_equal(voxels(second, ONE), mask)


def test_a_reviewed_nodule_that_the_second_run_misses_is_kept_and_others_are_told_of(review, nodes):
    review.accept(TWO)
    second = rerun(nodes, ANOTHER)
    changes = carry_over(nodes, second)
    assert str(changes) == (
        "Your verdict was kept for nodule 2 (accepted). Kept though this run did not find it: nodule 2. "
        "New: nodule 1. Not found again: nodule 1 of the earlier run."
    )
    kept = row(Review(second), TWO)
    assert (kept.verdict, kept.number) == ("accepted", 2)
    np.testing.assert_array_equal(voxels(second, TWO), ball(*BALLS[1]))
    assert second.rows[1].volume == pytest.approx(ball(*BALLS[1]).sum() * 0.7 * 0.7 * 2.5, rel=1e-3)
    assert second.segmentation.GetSegmentation().GetSegment(TWO).GetName() == "Nodule 2"


def test_a_rejected_nodule_stays_rejected_even_if_a_run_in_between_did_not_find_it(review, nodes):
    review.reject(TWO)
    second = rerun(nodes, BALLS[0])
    carry_over(nodes, second)
    third = rerun(nodes, *BALLS)
    carry_over(second, third)
    assert [one.verdict for one in Review(third).rows()] == ["open", "rejected"]


def test_a_second_run_like_the_first_says_so(review, nodes):
    assert str(carry_over(nodes, rerun(nodes, *BALLS))) == "The same nodules as before."


def test_touching_nodules_are_told_apart_by_what_they_share_most(host):
    touching = (((9, 30, 20), 4), ((9, 30, 27), 4))
    nodes = added(handmade_result(GRIDS["axial"], balls=touching))
    Review(nodes).reject(TWO)
    second = rerun(nodes, ((9, 30, 26), 4), ((9, 30, 19), 4))
    carry_over(nodes, second)
    assert [one.verdict for one in Review(second).rows()] == ["rejected", "open"]


def test_results_of_different_cts_are_not_mixed(nodes):
    with pytest.raises(InputError, match="different CTs"):
        carry_over(nodes, added(handmade_result(GRIDS["axial"])))
