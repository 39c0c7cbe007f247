"""The lobes of nodules by a segmentation or a label map of the scene."""

from __future__ import annotations

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="needs the host extra: pip install 'lnhg[host]'")

from host.handmade import GRIDS, handmade_result  # noqa: E402
from lnhg.errors import InputError  # noqa: E402
from LNHGSlicerLib.review.nodule_lobes import tell_lobes  # noqa: E402
from LNHGSlicerLib.scene import nodes as lnhg_scene  # noqa: E402
from LNHGSlicerLib.scene.headless import headless_host  # noqa: E402

RESULT = handmade_result(GRIDS["axial"])
TOTAL = ("lung_upper_lobe_right", "lung_lower_lobe_right", "lung_upper_lobe_left", "lung_lower_lobe_left")
LOBES = ("right upper lobe", "right lower lobe", "left upper lobe", "left lower lobe")


@pytest.fixture
def nodes():
    with headless_host():
        ct = lnhg_scene.add_ct(RESULT.ct.hu, RESULT.ct.ijk_to_ras, "chest")
        yield lnhg_scene.add_result(ct, RESULT)


def quarters() -> list[np.ndarray]:
    """Masks of right and left, upper and lower half of the CT; right is where R is larger."""
    k, j, i = np.indices(RESULT.ct.hu.shape)
    ras = RESULT.ct.to_ras(np.stack([i, j, k], -1))
    middle = ras.reshape(-1, 3).mean(0)
    right, upper = ras[..., 0] > middle[0], ras[..., 2] > middle[2]
    return [right & upper, right & ~upper, ~right & upper, ~right & ~upper]


def expected() -> list[str]:
    centres = [RESULT.ct.to_ijk(np.array([one.centre_ras]))[0].round().astype(int) for one in RESULT.nodules]
    return [next(n for n, part in zip(LOBES, quarters(), strict=True) if part[k, j, i]) for i, j, k in centres]


def segmentation(names):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Lobes")
    for name, part in zip(names, quarters(), strict=True):
        image = lnhg_scene.label_image(
            part.astype(np.uint8),
            tuple(slice(0, n) for n in part.shape),
            slicer.util.vtkMatrixFromArray(RESULT.ct.ijk_to_ras),
        )
        segment = slicer.vtkSegment()
        segment.SetName(name)
        segment.AddRepresentation("Binary labelmap", image)
        node.GetSegmentation().AddSegment(segment)
    return node


def test_a_segmentation_by_totalsegmentators_names_tells_the_lobes(nodes):
    assert tell_lobes(nodes, segmentation(TOTAL)) == len(RESULT.nodules)
    assert [one.lobe.split(" / ")[0] for one in nodes.rows] == expected()


def test_a_label_map_by_totalsegmentators_numbers_tells_the_lobes(nodes):
    labels = sum(number * part for number, part in zip((12, 14, 10, 11), quarters(), strict=True))
    labels[0, :, :4] = 13  # a right middle lobe, so that all five numbers are there
    node = slicer.util.addVolumeFromArray(labels.astype(np.int16), nodeClassName="vtkMRMLLabelMapVolumeNode")
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(RESULT.ct.ijk_to_ras))
    tell_lobes(nodes, node)
    assert [one.lobe.split(" / ")[0] for one in nodes.rows] == expected()


def test_a_segmentation_of_something_else_is_refused_and_changes_nothing(nodes):
    with pytest.raises(InputError, match="no lobes or lungs"):
        tell_lobes(nodes, segmentation(("Liver", "Spleen", "Heart", "Aorta")))
    assert nodes.rows == RESULT.nodules or {one.lobe for one in nodes.rows} == {one.lobe for one in RESULT.nodules}


def test_exchanged_sides_are_refused(nodes):
    with pytest.raises(InputError, match="right side lies left"):
        tell_lobes(nodes, segmentation(TOTAL[2:] + TOTAL[:2]))


def test_lobes_under_another_transform_than_the_ct_are_refused(nodes):
    node = segmentation(TOTAL)
    node.SetAndObserveTransformNodeID(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode").GetID())
    with pytest.raises(InputError, match="another transform"):
        tell_lobes(nodes, node)
