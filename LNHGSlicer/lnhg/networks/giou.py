"""The GIoU loss on decoded boxes (eq. 2-6 of the paper), and torchvision's parts of a detector that learn by it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork, concat_box_prediction_layers
from torchvision.ops import generalized_box_iou_loss


def giou_loss(boxes: Tensor, truth: Tensor) -> Tensor:
    """Mean of 1 - GIoU (eq. 2-4) over pairs of boxes `[n, 4]`; 0 (with a gradient) when there is none."""
    return generalized_box_iou_loss(boxes, truth, reduction="sum") / max(1, len(boxes))


class GIoURegionProposalNetwork(RegionProposalNetwork):
    """The region proposal network with GIoU on decoded boxes in place of smooth L1 on deltas."""

    def forward(
        self, images: ImageList, features: dict[str, Tensor], targets: list[dict[str, Tensor]] | None = None
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        maps = list(features.values())
        logits, deltas = self.head(maps)
        anchors = self.anchor_generator(images, maps)
        anchors_per_map = [level[0].numel() for level in logits]
        objectness, flat_deltas = concat_box_prediction_layers(logits, deltas)
        boxes = self.box_coder.decode(flat_deltas, anchors).view(len(anchors), -1, 4)
        proposals, _ = self.filter_proposals(boxes.detach(), objectness, images.image_sizes, anchors_per_map)
        if not self.training:
            return proposals, {}
        assert targets is not None
        labels, truth = self.assign_targets_to_anchors(anchors, targets)
        return proposals, self.losses(objectness.flatten(), boxes.flatten(0, 1), labels, truth)

    def losses(self, objectness: Tensor, boxes: Tensor, labels: list[Tensor], truth: list[Tensor]) -> dict[str, Tensor]:
        """Cross entropy on sampled anchors, GIoU on the sampled positive ones.

        Args:
            objectness, boxes: logits `[n]` and decoded boxes `[n, 4]` of all images' anchors.
            labels, truth: for each image its anchors' labels (1, 0, -1 ignored) and matched boxes.
        """
        positive, negative = (torch.cat(masks) > 0 for masks in self.fg_bg_sampler(labels))
        sampled = positive | negative
        entropy = nn.functional.binary_cross_entropy_with_logits(objectness[sampled], torch.cat(labels)[sampled])
        return {"loss_objectness": entropy, "loss_rpn_box_reg": giou_loss(boxes[positive], torch.cat(truth)[positive])}


class GIoURoIHeads(RoIHeads):
    """The box head with GIoU on decoded boxes in place of smooth L1 on deltas."""

    def forward(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        image_shapes: list[tuple[int, int]],
        targets: list[dict[str, Tensor]] | None = None,
    ) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
        if self.training:
            proposals, _, labels, deltas_to_truth = self.select_training_samples(proposals, targets)
        pooled = self.box_roi_pool(features, proposals, image_shapes)
        logits, deltas = self.box_predictor(self.box_head(pooled))
        if self.training:
            return [], self.losses(logits, deltas, proposals, labels, deltas_to_truth)
        boxes, scores, classes = self.postprocess_detections(logits, deltas, proposals, image_shapes)
        found = zip(boxes, scores, classes, strict=True)
        return [{"boxes": box, "scores": score, "labels": kind} for box, score, kind in found], {}

    def losses(
        self,
        logits: Tensor,
        deltas: Tensor,
        proposals: list[Tensor],
        labels: list[Tensor],
        to_truth: tuple[Tensor, ...],
    ) -> dict[str, Tensor]:
        """Cross entropy on all sampled proposals, GIoU on those that hold a nodule.

        Args:
            logits, deltas: `[n, 2]` and `[n, 8]` for the proposals of all images.
            to_truth: for each image the deltas that lead from its proposals to their matched boxes.
        """
        kinds = torch.cat(labels)
        nodule = kinds > 0
        boxes = self.box_coder.decode(deltas, proposals)[:, 1]
        truth = self.box_coder.decode(torch.cat(to_truth), proposals)[:, 0]
        entropy = nn.functional.cross_entropy(logits, kinds)
        return {"loss_classifier": entropy, "loss_box_reg": giou_loss(boxes[nodule], truth[nodule])}
