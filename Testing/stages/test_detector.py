"""The detector: its losses, anchors and coordinates, and how boxes become candidates."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import box_iou

from lnhg.core.candidate import Candidate
from lnhg.core.ct import CT
from lnhg.data.cutouts import Cutout
from lnhg.data.scans import LabelledScan
from lnhg.errors import WeightsError
from lnhg.evaluation.detector_sensitivity import cutout_score, scan_detections, sensitivity_at, threshold_at
from lnhg.networks.architecture import DETECTOR_GRID, DetectorArchitecture, anchors_for_nodules
from lnhg.networks.detector import FindsInArrays, NoduleDetector, build_detector
from lnhg.networks.giou import giou_loss
from lnhg.networks.grid import NetworkGrid
from lnhg.stages.detection import detect, slice_boxes
from lnhg.stages.linking import link_boxes
from standins import StandInDetector

NO_LUNGS = np.zeros((1, 1, 1), np.uint8)


@pytest.fixture(scope="module")
def detector() -> NoduleDetector:
    torch.manual_seed(0)
    return build_detector(DetectorArchitecture()).eval()


def a_ct(shape: tuple[int, int, int], spacing: tuple[float, float, float] = (0.7, 0.7, 2.5)) -> CT:
    hu = np.random.default_rng(0).integers(-1000, 200, shape).astype(np.int16)
    return CT(hu, np.diag([-spacing[0], -spacing[1], spacing[2], 1.0]))


class BrightPixels(FindsInArrays, torch.nn.Module):
    """Stands in for a trained network: finds the bounding box of what is brighter than half the window."""

    architecture = DetectorArchitecture()

    def forward(self, images: list[torch.Tensor]) -> list[dict[str, torch.Tensor]]:
        results = []
        for image in images:
            y, x = torch.where(image[1] > 0.5)
            box = [[x.min(), y.min(), x.max() + 1, y.max() + 1]] if len(x) else []
            results.append({"boxes": torch.tensor(box).float().reshape(-1, 4), "scores": torch.full((len(box),), 0.9)})
        return results


# Losses ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("box", "other", "giou"),
    [
        ((0, 0, 2, 2), (0, 0, 2, 2), 1.0),
        ((0, 0, 2, 2), (1, 1, 3, 3), 1 / 7 - 2 / 9),  # IoU 1 / 7; hull 9, union 7
        ((0, 0, 1, 1), (3, 0, 4, 1), -0.5),  # apart: IoU 0; hull 4, union 2
        ((0, 0, 4, 4), (1, 1, 3, 3), 0.25),  # one inside the other: the hull adds nothing
    ],
)
def test_the_box_loss_is_one_minus_giou(box: tuple, other: tuple, giou: float) -> None:
    pair = (torch.tensor([one], dtype=torch.float64) for one in (box, other))
    assert giou_loss(*pair).item() == pytest.approx(1 - giou, abs=1e-6)


def test_without_boxes_the_box_loss_is_zero_and_can_be_differentiated() -> None:
    boxes = torch.zeros((0, 4), requires_grad=True)
    loss = giou_loss(boxes, torch.zeros(0, 4))
    loss.backward()
    assert loss.item() == 0


def test_a_proposal_network_that_regresses_perfectly_has_no_box_loss(detector: NoduleDetector) -> None:
    anchors = torch.tensor([[10.0, 10, 20, 20], [40, 40, 52, 52], [80, 80, 90, 90]])
    truth = torch.tensor([[11.0, 9, 22, 19], [38, 41, 53, 50], [0, 0, 0, 0]])
    labels = torch.tensor([1.0, 1.0, 0.0])
    perfect = detector.rpn.box_coder.decode(detector.rpn.box_coder.encode([truth[:2]], [anchors[:2]])[0], [anchors[:2]])
    boxes = torch.cat([perfect[:, 0], anchors[2:]])
    losses = detector.rpn.losses(torch.zeros(3), boxes, [labels], [truth])
    assert losses["loss_rpn_box_reg"].item() == pytest.approx(0, abs=1e-5)
    assert losses["loss_objectness"].item() == pytest.approx(np.log(2))
    assert detector.rpn.losses(torch.zeros(3), anchors, [labels], [truth])["loss_rpn_box_reg"].item() > 0.1


def test_a_box_head_that_regresses_perfectly_has_no_box_loss(detector: NoduleDetector) -> None:
    proposals = torch.tensor([[10.0, 10, 20, 20], [40, 40, 52, 52], [80, 80, 90, 90]])
    truth = torch.tensor([[11.0, 9, 22, 19], [38, 41, 53, 50], [80, 80, 90, 90]])
    labels = torch.tensor([1, 1, 0])
    coder = detector.roi_heads.box_coder
    to_truth = coder.encode([truth], [proposals])
    deltas = torch.cat([torch.zeros(3, 4), to_truth[0]], dim=1)
    logits = torch.zeros(3, 2)
    perfect = detector.roi_heads.losses(logits, deltas, [proposals], [labels], to_truth)
    assert perfect["loss_box_reg"].item() == pytest.approx(0, abs=1e-5)
    # Without regression the loss is that of the proposals themselves: it is taken on boxes, not on deltas.
    idle = detector.roi_heads.losses(logits, torch.zeros(3, 8), [proposals], [labels], to_truth)
    assert idle["loss_box_reg"].item() == pytest.approx(giou_loss(proposals[:2], truth[:2]).item(), abs=1e-5)


def test_training_lowers_the_loss_and_an_image_without_nodules_is_welcome() -> None:
    torch.manual_seed(0)
    network = build_detector(DetectorArchitecture(pyramid_width=16, head_width=32)).train()
    optimiser = torch.optim.AdamW(network.parameters(), 1e-3)
    image = torch.zeros(3, 64, 64)
    image[:, 20:30, 24:36] = 1
    boxes = [torch.tensor([[24.0, 20, 36, 30]]), torch.zeros(0, 4)]
    targets = [{"boxes": box, "labels": torch.ones(len(box), dtype=torch.int64)} for box in boxes]
    totals = []
    for _ in range(12):
        losses = network([image, torch.zeros(3, 64, 64)], targets)
        total = torch.stack(list(losses.values())).sum()
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        totals.append(total.item())
    assert set(losses) == {"loss_classifier", "loss_box_reg", "loss_objectness", "loss_rpn_box_reg"}
    assert totals[-1] < 0.7 * totals[0]


# Architecture ---------------------------------------------------------------------------------------------------------


def test_every_nodule_of_3_to_60_mm_has_an_anchor_at_iou_07() -> None:
    widths = np.concatenate([np.array(level) for level in anchors_for_nodules(DETECTOR_GRID.pixel_mm)])
    for nodule_mm in np.arange(3.0, 60.1, 0.1):
        nodule = nodule_mm / DETECTOR_GRID.pixel_mm
        iou = np.minimum(widths, nodule) ** 2 / np.maximum(widths, nodule) ** 2
        assert iou.max() >= 0.7, nodule_mm


def test_anchors_are_as_wide_as_asked_for(detector: NoduleDetector) -> None:
    images = torch.zeros(1, 3, 64, 64)
    maps = [torch.zeros(1, 64, 64 // stride, 64 // stride) for stride in (4, 8, 16)]
    (anchors,) = detector.rpn.anchor_generator(ImageList(images, [(64, 64)]), maps)
    widths = sorted(set(np.round((anchors[:, 2] - anchors[:, 0]).tolist(), 3)))
    assert widths == pytest.approx([3.5 * 2 ** (n / 2) / 0.7 for n in range(9)], abs=2e-3)


def test_even_the_smallest_nodule_makes_an_anchor_positive(detector: NoduleDetector) -> None:
    anchors = torch.tensor([[0.0, 0, 5, 5], [4, 0, 9, 5], [40, 40, 60, 60]])
    nodule = torch.tensor([[1.5, 1.5, 5.5, 5.5]])
    assert box_iou(nodule, anchors).max() < 0.7
    labels, _ = detector.rpn.assign_targets_to_anchors([anchors], [{"boxes": nodule}])
    assert labels[0].tolist()[0] == 1 and labels[0].tolist()[2] == 0


def test_the_architecture_survives_the_manifest() -> None:
    for architecture in (DetectorArchitecture(), DetectorArchitecture.paper()):
        assert DetectorArchitecture.from_dict(architecture.as_dict()) == architecture


def test_the_papers_detector_is_built_and_finds_boxes() -> None:
    network = build_detector(DetectorArchitecture.paper()).eval()
    with torch.inference_mode():
        (result,) = network([torch.rand(3, 96, 64)])
    assert result["boxes"].shape == (len(result["scores"]), 4)
    assert network.roi_heads.box_head.fc6.out_features == 512
    assert network.rpn.anchor_generator.sizes == ((32.0, 64.0, 128.0),)


def test_the_shipped_box_head_is_at_most_512_wide(detector: NoduleDetector) -> None:
    assert detector.roi_heads.box_head.fc6.out_features == detector.roi_heads.box_head.fc7.out_features == 256


def test_an_unknown_backbone_and_missing_anchors_are_explained() -> None:
    with pytest.raises(WeightsError, match="choose mobilenet_v2 or resnet50"):
        build_detector(DetectorArchitecture("vgg16"))
    with pytest.raises(WeightsError, match="one list of anchor widths for each map"):
        build_detector(DetectorArchitecture("resnet50"))


# Coordinates ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("training", [True, False])
def test_boxes_come_back_from_the_transform_where_they_went_in(detector: NoduleDetector, training: bool) -> None:
    image, boxes = torch.rand(3, 77, 131), torch.tensor([[3.5, 4.0, 130.0, 76.0]])
    transform = detector.transform.train(training)
    batch, targets = transform([image], [{"boxes": boxes}])
    back = transform.postprocess([{"boxes": targets[0]["boxes"]}], batch.image_sizes, [(77, 131)])
    detector.eval()
    assert batch.tensors.shape == (1, 3, 96, 160)
    assert batch.image_sizes == [(77, 131)]
    torch.testing.assert_close(back[0]["boxes"], boxes)
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    restored = batch.tensors[0] * deviation[:, None, None] + mean[:, None, None]
    torch.testing.assert_close(restored[:, :77, :131], image)


def test_a_box_is_found_where_the_ct_is_bright_in_ct_pixels_of_any_shape() -> None:
    ct = CT(np.full((3, 120, 90), -1000, np.int16), np.diag([-1.4, -0.35, 2.0, 1.0]))
    ct.hu[1, 40:80, 30:40] = 200
    boxes = slice_boxes(ct, BrightPixels(), DETECTOR_GRID, lungs=np.ones(ct.hu.shape, np.uint8))
    assert [len(found) for found in boxes] == [0, 1, 0]
    assert boxes[1][0][0] == pytest.approx((30, 40, 40, 80), abs=1.01)


def test_the_place_of_a_box_does_not_depend_on_the_lungs_window() -> None:
    ct = CT(np.full((1, 200, 260), -1000, np.int16), np.diag([-0.7, -0.7, 2.0, 1.0]))
    ct.hu[0, 100:110, 150:162] = 200
    lungs = np.zeros(ct.hu.shape, np.uint8)
    lungs[0, 95:130, 140:180] = 1
    (found,) = detect(ct, BrightPixels(), DETECTOR_GRID, lungs=lungs, score_threshold=0.5)
    assert found.boxes[0] == pytest.approx((150, 100, 162, 110))
    assert found.centre_ijk == pytest.approx((155.5, 104.5, 0))


def test_neighbours_lie_about_two_and_a_half_millimetres_away() -> None:
    steps = {mm: DetectorArchitecture().neighbour_step(mm) for mm in (0.6, 1.25, 2.5, 5.0)}
    assert steps == {0.6: 4, 1.25: 2, 2.5: 1, 5.0: 1}
    assert DetectorArchitecture.paper().neighbour_step(2.5) == 0


@pytest.mark.parametrize("shape", [(1, 32, 32), (1, 20, 300), (4, 33, 61)])
def test_crops_and_single_slices_can_be_searched(detector: NoduleDetector, shape: tuple[int, int, int]) -> None:
    ct = a_ct(shape, (0.5, 0.9, 1.0))
    seen: list[float] = []
    found = detect(
        ct, detector, NetworkGrid("fixed", 0.7), lungs=np.ones(shape, np.uint8), score_threshold=0.02,
        report=seen.append,
    )  # fmt: skip
    assert seen[-1] == 1
    assert all(0 <= box[0] < box[2] <= shape[2] + 1.5 and 0 <= box[1] < box[3] <= shape[1] + 1.5
               for one in found for box in one.boxes.values())  # fmt: skip
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


@pytest.mark.parametrize(("slice_mm", "step"), [(2.5, 1), (0.7, 1), (0.625, 2), (0.5, 2), (0.4, 3)])
def test_of_thin_slices_some_are_not_searched_and_get_their_boxes_from_those_beside(slice_mm: float, step: int) -> None:
    ct = a_ct((13, 60, 60), (0.7, 0.7, slice_mm))
    ct.hu[:] = -900
    for k in range(13):
        ct.hu[k, 20:30, 20 + k : 30 + k] = 300  # one column to the left on each slice
    seen: list[int] = []

    class Counted(BrightPixels):
        def forward(self, images: list[torch.Tensor]) -> list[dict[str, torch.Tensor]]:
            seen.append(len(images))
            return super().forward(images)

    (found,) = detect(ct, Counted(), DETECTOR_GRID, lungs=np.ones_like(ct.hu), score_threshold=0.5)
    assert sum(seen) == len(range(0, 13, step))
    assert list(found.boxes) == list(range(13)), "every slice has a box"
    lefts = [found.boxes[k][0] for k in range(13)]
    np.testing.assert_allclose(lefts, np.arange(20, 33), atol=1.0)


def test_slices_beside_a_candidate_are_looked_at_in_full_and_it_is_as_long_as_if_all_were() -> None:
    # Two columns, bright in the middle and paler towards their ends; the second is nowhere bright enough.
    ct = CT(np.full((31, 60, 90), -1000, np.int16), np.diag([-0.7, -0.7, 2.5, 1.0]))
    for k in range(31):
        ct.hu[k, 20:30, 20:30] = 300 - 45 * abs(k - 8)
        ct.hu[k, 40:50, 60:70] = 0 - 45 * abs(k - 22)
    asked: list[float] = []

    class Hasty(StandInDetector):
        """Tells nothing of a slice without a box of the score asked for."""

        def find(self, images, least=0.0):
            asked.extend([least] * len(images))
            found = super().find(images)
            return [one if max(one[1], default=0) >= least else None for one in found]

    arguments = {"lungs": np.ones_like(ct.hu), "score_threshold": 0.85}
    (whole,) = detect(ct, StandInDetector(), DETECTOR_GRID, **arguments)
    (found,) = detect(ct, Hasty(), DETECTOR_GRID, **arguments)
    assert (found.boxes, found.score) == (whole.boxes, whole.score)
    assert len(found.boxes) > 10 and asked.count(0.85) == 31 and 8 < asked.count(0.0) < 20
    told: list[Candidate] = []
    detect(ct, Hasty(), DETECTOR_GRID, **arguments, on_candidate=told.append)
    assert [one.score for one in told] == [whole.score], "also where there is nothing in the slices searched first"
    assert told[0].boxes.items() < whole.boxes.items()


def test_each_candidate_is_told_once_as_soon_as_the_slices_around_it_are_searched() -> None:
    # One that spans two batches in the middle, and one at either end.
    ct = CT(np.full((40, 100, 100), -1000, np.int16), np.diag([-0.7, -0.7, 2.5, 1.0]))
    for number, slices in enumerate((slice(1, 4), slice(18, 27), slice(37, 39))):
        at = 20 + 20 * number
        ct.hu[slices, at : at + 10, at : at + 10] = 300
    events: list[object] = []
    found = detect(
        ct,
        StandInDetector(),
        DETECTOR_GRID,
        lungs=np.ones_like(ct.hu),
        score_threshold=0.5,
        batch_size=8,
        report=events.append,
        on_candidate=events.append,
    )
    told = [one for one in events if not isinstance(one, float)]
    assert [sorted(one.boxes) for one in told] == [list(range(18, 27)), [1, 2, 3], [37, 38]]
    assert events.index(told[0]) == 2, "after three of five batches, of which the middle ones come first"
    assert {(*one.boxes, one.score) for one in told} == {(*one.boxes, one.score) for one in found}
    everywhere = detect(ct, StandInDetector(), DETECTOR_GRID, lungs=np.ones_like(ct.hu), score_threshold=0.5)
    assert [(one.boxes, one.score) for one in everywhere] == [(one.boxes, one.score) for one in found]


def test_candidates_outside_the_lungs_are_dropped_and_slices_without_lung_skipped() -> None:
    ct = CT(np.full((6, 100, 100), -1000, np.int16), np.diag([-0.7, -0.7, 2.5, 1.0]))
    ct.hu[:, 20:30, 70:80] = 200
    lungs = np.zeros(ct.hu.shape, np.uint8)
    lungs[0:3, 10:40, 10:72] = 1  # its edge lies 1.75 mm from the bright column's centre
    arguments = {"score_threshold": 0.5}
    (found,) = detect(ct, BrightPixels(), DETECTOR_GRID, lungs=lungs, **arguments)
    assert sorted(found.boxes) == [0, 1, 2]
    lungs[:, :, 60:] = 0  # now 10 mm
    assert detect(ct, BrightPixels(), DETECTOR_GRID, lungs=lungs, **arguments) == ()
    (everywhere,) = detect(ct, BrightPixels(), DETECTOR_GRID, lungs=np.ones_like(lungs), **arguments)
    assert sorted(everywhere.boxes) == [0, 1, 2, 3, 4, 5]
    assert detect(ct, BrightPixels(), DETECTOR_GRID, lungs=np.zeros_like(lungs), **arguments) == ()


@pytest.mark.parametrize(("slices", "gap_mm", "kept"), [(12, 0.0, True), (12, 14.0, False), (2, 0.0, False)])
def test_a_mass_at_the_wall_is_kept_and_what_is_wide_but_flat_or_apart_from_the_lungs_is_not(
    slices: int, gap_mm: float, kept: bool
) -> None:
    ct = CT(np.full((14, 120, 120), -1000, np.int16), np.diag([-1.0, -1.0, 2.5, 1.0]))
    ct.hu[1 : 1 + slices, 40:70, 60:90] = 200  # 30 mm wide, its centre 15 mm from its edge
    lungs = np.zeros(ct.hu.shape, np.uint8)
    lungs[:, 20:90, 20 : 61 - int(gap_mm)] = 1
    found = detect(ct, BrightPixels(), DETECTOR_GRID, lungs=lungs, score_threshold=0.5)
    assert len(found) == kept


# Linking --------------------------------------------------------------------------------------------------------------

A, SHIFTED, FAR = (10.0, 10, 20, 20), (13.0, 10, 23, 20), (60.0, 60, 70, 70)


def test_overlapping_boxes_of_neighbouring_slices_are_one_candidate_with_the_best_score() -> None:
    (found,) = link_boxes([[(A, 0.5)], [(SHIFTED, 0.9)], [(A, 0.4)]], 2.5)
    assert found.score == 0.9
    assert found.boxes == {0: A, 1: SHIFTED, 2: A}


@pytest.mark.parametrize("slice_mm", [0.5, 0.6, 0.625, 1.0, 1.25, 2.0, 2.5])
def test_boxes_up_to_five_millimetres_apart_are_linked_whatever_the_spacing(slice_mm: float) -> None:
    def apart(steps: int) -> int:
        return len(link_boxes([[(A, 0.5)], *[[]] * (steps - 1), [(A, 0.5)]], slice_mm))

    steps = int(5 / slice_mm + 0.01)
    assert apart(steps) == 1 and apart(steps + 1) == 2


@pytest.mark.parametrize("slice_mm", [3.0, 5.0, 7.5, 10.0])
def test_of_thick_slices_neighbours_alone_are_linked(slice_mm: float) -> None:
    assert len(link_boxes([[(A, 0.5)], [(A, 0.5)]], slice_mm)) == 1
    assert len(link_boxes([[(A, 0.5)], [], [(A, 0.5)]], slice_mm)) == 2


def test_boxes_far_apart_stay_two_candidates() -> None:
    found = link_boxes([[(A, 0.5), (FAR, 0.6)], [(FAR, 0.7), (A, 0.8)]], 2.5)
    assert sorted((one.score, len(one.boxes)) for one in found) == [(0.7, 2), (0.8, 2)]


def test_a_small_box_whose_centre_lies_in_a_large_one_belongs_to_it() -> None:
    assert len(link_boxes([[((0.0, 0, 40, 40), 0.9)], [((2.0, 2, 9, 9), 0.5)]], 2.5)) == 1


def test_weak_boxes_extend_a_candidate_but_very_weak_ones_are_cut_off() -> None:
    (found,) = link_boxes([[(A, 0.1)], [(A, 0.3)], [(A, 0.9)]], 2.5)
    assert sorted(found.boxes) == [1, 2]


# FROC -----------------------------------------------------------------------------------------------------------------


def test_sensitivity_counts_nodules_above_the_threshold_that_leaves_the_allowed_false_positives() -> None:
    false = [0.9, 0.8, 0.3, 0.2, 0.1]
    assert threshold_at(false, scans=2, rate=1) > 0.3
    assert sensitivity_at([0.95, 0.5, 0.3, 0.0], false, scans=2, rates=(0, 1, 8)) == {0: 0.25, 1: 0.5, 8: 0.75}


def test_a_cutouts_nodule_scores_as_its_best_find_and_what_lies_elsewhere_scores_nothing() -> None:
    hu = np.full((5, 60, 60), -850, np.int16)
    ball = np.zeros(hu.shape, np.uint8)
    ball[1:4, 26:34, 26:34] = 1
    cutout = Cutout("one", "P", CT(hu.copy(), np.diag([-0.7, -0.7, 2.0, 1.0])), ball, 1, {})
    assert cutout_score(cutout, BrightPixels(), DETECTOR_GRID) == 0
    cutout.ct.hu[1:4, 4:12, 4:12] = 200
    assert cutout_score(cutout, BrightPixels(), DETECTOR_GRID) == 0
    cutout.ct.hu[:] = np.where(ball, 200, -850)
    assert cutout_score(cutout, BrightPixels(), DETECTOR_GRID) == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("columns", "nodule_score", "false"),
    [
        (np.s_[20:26], 0.9, 0),  # on the nodule
        (np.s_[25:31], 0.0, 1),  # shares a column with it, but its centre lies outside the radius
        (np.s_[40:46], 0.0, 0),  # at a doubtful place
    ],
)
def test_a_find_hits_within_the_nodules_radius_and_doubtful_places_do_not_count(
    columns: slice, nodule_score: float, false: int
) -> None:
    hu = np.full((5, 150, 150), -350, np.int16)
    hu[:, 10:140, 10:140] = -850  # a lung
    reference, doubtful = np.zeros(hu.shape, np.uint8), np.zeros(hu.shape, bool)
    reference[1:4, 20:26, 20:26], doubtful[1:4, 20:26, 40:46] = 1, True
    hu[1:4, 20:26, columns] = 200
    scan = LabelledScan("P", CT(hu, np.diag([-0.7, -0.7, 1.0, 1.0])), reference, doubtful)
    detections = scan_detections(scan, BrightPixels(), DETECTOR_GRID)
    assert detections.nodule_scores == pytest.approx((nodule_score,))
    assert len(detections.false_scores) == false
