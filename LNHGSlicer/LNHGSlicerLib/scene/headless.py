"""A Slicer without a window: the MRML scene of the `slicer-core` package, set up as the application would do it.

For writing and reading `scene.mrb` from a plain Python process. Needs the `host` extra; never imported inside Slicer.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import slicer

# Module -> class of its logic; node classes and the converters of segmentations are registered by these.
# Terminologies is left out: its dictionaries are no part of slicer-core, and segments carry their codes as text.
_LOGICS = {
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "Volumes": "vtkSlicerVolumesLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Tables": "vtkSlicerTablesLogic",
}
# Side of a slice view in pixels; an application that opens the scene has its own.
_VIEW_PIXELS = 512


@contextmanager
def headless_host() -> Iterator[Any]:
    """A fresh `vtkMRMLScene` with three slice views and a 3D view, as `slicer.mrmlScene`; cleared after the block."""
    before = getattr(slicer, "mrmlScene", None), getattr(slicer, "modules", None)
    scene = slicer.vtkMRMLScene()
    application = slicer.vtkSlicerApplicationLogic()
    slicer.mrmlScene, slicer.modules = scene, SimpleNamespace()
    with tempfile.TemporaryDirectory(prefix="lnhg-scene-") as folder:
        try:
            _set_up_files(scene, folder)
            _set_up_logics(scene, application)
            _set_up_views(scene)
            yield scene
        finally:
            application.SetMRMLScene(None)
            scene.Clear(True)
            slicer.mrmlScene, slicer.modules = before


def fit_slice_views() -> None:
    """Zoom every slice view to the whole of its background volume."""
    for node in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        node.SetDimensions(_VIEW_PIXELS, _VIEW_PIXELS, 1)
        _slice_logic(node).FitSliceToBackground(_VIEW_PIXELS, _VIEW_PIXELS)


def _set_up_files(scene: Any, folder: str) -> None:
    """Bundles are packed and unpacked in the cache's folder; without one, reading and writing abort the process."""
    cache, files = slicer.vtkCacheManager(), slicer.vtkDataIOManager()
    cache.SetRemoteCacheDirectory(folder)
    cache.SetMRMLScene(scene)
    files.SetCacheManager(cache)
    scene.SetDataIOManager(files)


def _set_up_logics(scene: Any, application: Any) -> None:
    """Modules' logics, reached as `slicer.modules.<name>.logic()`; then colour tables, Slicer's own by default."""
    scene.RegisterNodeClass(slicer.vtkMRMLColorLegendDisplayNode())
    application.SetMRMLScene(scene)
    for name, class_name in _LOGICS.items():
        logic = getattr(slicer, class_name)()
        logic.SetMRMLApplicationLogic(application)
        logic.SetMRMLScene(scene)
        application.SetModuleLogic(name, logic)
        setattr(slicer.modules, name.lower(), _module(logic))
    # The tables come from the base class: the module's own logic looks for Slicer's files, which are not here.
    tables = slicer.vtkMRMLColorLogic()
    tables.SetMRMLScene(scene)
    application.SetColorLogic(tables)
    slicer.modules.colors = _module(slicer.vtkSlicerColorLogic())


def _set_up_views(scene: Any) -> None:
    """Slicer's four-up layout: red, green and yellow slice views, each with its composite node, and one 3D view."""
    layouts = slicer.vtkMRMLLayoutLogic()
    layouts.SetMRMLScene(scene)
    layouts.GetLayoutNode().SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    for node in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        _slice_logic(node)


def _module(logic: Any) -> Any:
    return SimpleNamespace(logic=lambda: logic)


def _slice_logic(slice_node: Any) -> Any:
    """Connects a slice view with its composite node, which is made if absent."""
    logic = slicer.vtkMRMLSliceLogic()
    logic.SetMRMLScene(slicer.mrmlScene)
    logic.SetSliceNode(slice_node)
    return logic
