"""A follow-up as one scene (`.mrb`): all studies with their nodules, laid on the last by a transform, not resampled."""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lnhg.errors import LNHGError

if TYPE_CHECKING:
    from lnhg.followup.follow import FollowUp


def write_followup_scene(follow_up: FollowUp, path: Path) -> None:
    """Write the scene at `path`, or nothing.

    CT and nodules of each study but the last stand under a linear transform: the rigid part of the registration. The
    views show the last study over the one before, linked. Raises `LNHGError` when the `host` extra is not installed or
    the file cannot be written.
    """
    if importlib.util.find_spec("slicer_core") is None:
        raise LNHGError("Writing the scene needs Slicer's library: pip install 'lnhg[host]'.")
    import slicer

    from . import nodes as scene
    from .headless import fit_slice_views, headless_host

    with tempfile.TemporaryDirectory(prefix=".scene-", dir=path.parent) as folder, headless_host() as host:
        shown = []
        for study, matrix in zip(follow_up.studies, to_last(follow_up), strict=True):
            name = study.name.capitalize()
            ct_node = scene.add_ct(study.result.ct.hu, study.result.ct.ijk_to_ras, f"CT, {name}")
            if not np.allclose(matrix, np.eye(4)):
                transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", f"{name} on the last")
                transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
                ct_node.SetAndObserveTransformNodeID(transform.GetID())
            shown.append(scene.add_result(ct_node, study.result, with_generated=False))
        scene.show(shown[-1])
        for view in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
            view.SetForegroundVolumeID(shown[-2].ct.GetID())
            view.SetForegroundOpacity(0.0)
            view.SetLinkedControl(True)
        fit_slice_views()
        scene.jump_to_first_nodule(shown[-1])
        unfinished, messages = Path(folder) / path.name, slicer.vtkMRMLMessageCollection()
        if not host.WriteToMRB(str(unfinished), None, messages):
            raise LNHGError(f"The scene {path} cannot be written: {messages.GetAllMessagesAsString()}")
        unfinished.replace(path)


def to_last(follow_up: FollowUp) -> list[np.ndarray]:
    """For each study the 4 x 4 that lays its RAS points on the last study, rigidly."""
    matrices = [np.eye(4)]
    for one in reversed(follow_up.interludes):
        matrices.insert(0, matrices[0] @ one.rigid)
    return matrices
