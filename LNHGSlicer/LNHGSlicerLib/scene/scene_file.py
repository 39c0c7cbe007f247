"""A result as `scene.mrb`: one file that 3D Slicer opens with everything in place."""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from lnhg.errors import LNHGError

if TYPE_CHECKING:
    from lnhg.core.result import Result


def write_scene(result: Result, path: Path, *, ct_name: str = "CT") -> None:
    """Write CT, segmentation, coloured volumes, boxes and nodule table as a Slicer bundle (`.mrb`) at `path`, or
    nothing.

    Runs in this process, on a scene of its own. `ct_name` is the only text about the CT's origin in the scene, apart
    from `result.ct.source`. Raises `LNHGError` when the `host` extra is not installed or the file cannot be written.
    """
    if importlib.util.find_spec("slicer_core") is None:
        raise LNHGError("Writing scene.mrb needs Slicer's library: pip install 'lnhg[host]'.")
    import slicer

    from . import nodes as scene
    from .headless import fit_slice_views, headless_host

    with tempfile.TemporaryDirectory(prefix=".scene-", dir=path.parent) as folder, headless_host() as host:
        ct_node = scene.add_ct(result.ct.hu, result.ct.ijk_to_ras, ct_name)
        # G(x) is as large as the CT, and little to look at where the generator ran around the candidates only.
        nodes = scene.add_result(ct_node, result, with_generated=result.options.everywhere)
        scene.show(nodes)
        fit_slice_views()
        scene.jump_to_first_nodule(nodes)
        _pack_quickly()
        # The folder inside the bundle is named after the file, so the temporary file has the final name.
        unfinished, messages = Path(folder) / path.name, slicer.vtkMRMLMessageCollection()
        if not host.WriteToMRB(str(unfinished), None, messages):
            raise LNHGError(f"The scene {path} cannot be written: {messages.GetAllMessagesAsString()}")
        unfinished.replace(path)


def _pack_quickly() -> None:
    """Choose storages that need little time and memory.

    Volumes are packed at zlib's fastest level, by a storage that has levels: half the time for a third more room. The
    segmentation is cut to its segments: on the grid of a large CT Slicer would make three copies of it.
    """
    import slicer

    for segmentation in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
        segmentation.AddDefaultStorageNode()
        segmentation.GetStorageNode().CropToMinimumExtentOn()
    for volume in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"):
        storage = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLNRRDStorageNode")
        storage.SetDefaultWriteFileExtension("nrrd")
        storage.SetCompressionParameter(storage.GetCompressionParameterFastest())
        volume.SetAndObserveStorageNodeID(storage.GetID())
