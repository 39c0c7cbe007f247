"""What a person chose in the panel, kept in the scene and saved with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field, fields
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

import slicer
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import Choice, WithinRange, parameterNodeWrapper

from lnhg.options import WIDEST_RIM_MM, Options

from ..scene.regions import box_on_ct

#: Options that no single widget of the panel holds: a path or a box (which have fields of their own), or none at all.
_APART = ("weights", "roi", "slices", "seeds_only", "false_positives_per_scan")
#: What a spin box can hold, where the option has no upper bound.
_LARGEST = {
    "threads": 256,
    "batch_size": 256,
    "generator_threshold": 1,
    "score_threshold": 1,
    "minimum_diameter": 60,
    "rim": WIDEST_RIM_MM,
}
_OF_VIEWS = {"layer": ("final", "boxes", "generated", "raw", "components"), "legend": ("one", "all", "none")}


def offered() -> list[Field[Any]]:
    """The options of the method that a widget of the panel holds."""
    return [option for option in fields(Options) if option.name not in _APART]


def choices(name: str) -> list[str]:
    """The choices of a field: those of the method's option, or of the views."""
    of_method = {option.name: option.metadata["choices"] for option in offered()}
    return list(of_method.get(name) or _OF_VIEWS[name])


def _with_options(panel: type) -> type:
    """The class with a field for each option that is offered, with its default and its choices or range."""
    kinds = get_type_hints(Options)
    for option in offered():
        kind = next(one for one in get_args(kinds[option.name]) or (kinds[option.name],) if one is not type(None))
        panel.__annotations__[option.name] = _annotated(kind, option)
        setattr(panel, option.name, kind() if option.default is None else option.default)
    return panel


def _annotated(kind: type, option: Field[Any]) -> Any:
    if option.metadata["choices"]:
        return Annotated[kind, Choice(list(option.metadata["choices"]))]
    return Annotated[kind, WithinRange(0, _LARGEST[option.name])] if kind in (int, float) else kind


@parameterNodeWrapper
@_with_options
class Parameters:
    """The fields that the widgets of the panel are bound to by their property `SlicerParameterName`.

    Those of the method are made from `lnhg.options.Options`; where that says None, which a spin box cannot show, it is
    0 here.
    """

    ct: slicer.vtkMRMLScalarVolumeNode
    region: slicer.vtkMRMLMarkupsROINode
    limit_slices: bool = False
    first_slice: Annotated[int, WithinRange(0, 9999)] = 0
    last_slice: Annotated[int, WithinRange(0, 9999)] = 0
    weights: str = ""

    layer: Annotated[str, Choice(choices("layer"))] = "final"
    opacity: Annotated[float, WithinRange(0, 1)] = 0.5
    map_visible: bool = True
    outline_visible: bool = True
    slab: bool = False
    zoom: bool = True
    legend: Annotated[str, Choice(choices("legend"))] = "one"
    columns: str = ""

    export_folder: str = ""


def connect(parameters: Any, ui: Any) -> Callable[[], None]:
    """Bind parameters to the widgets of the panel; returns what ends that.

    The `disconnectGui` of Slicer 5.10 leaves an observer of the node behind, which would keep the parameters of every
    visit of the module.
    """
    node, observe, tags = parameters.parameterNode, parameters.AddObserver, list[int]()

    def noted(*how: Any) -> int:
        tags.append(observe(*how))
        return tags[-1]

    parameters.AddObserver = noted
    gui = parameters.connectGui(ui)
    del parameters.AddObserver

    def end() -> None:
        parameters.disconnectGui(gui)
        for tag in tags:
            node.RemoveObserver(tag)

    return end


def words() -> dict[str, dict[str, str]]:
    """What the panel calls each choice of a field."""
    return {
        "device": {
            "auto": _("GPU if there is one"),
            "cuda": _("NVIDIA GPU (CUDA)"),
            "mps": _("Apple GPU (MPS)"),
            "cpu": _("Processor (CPU)"),
        },
        "runtime": {
            "auto": _("PyTorch on a GPU, else OpenVINO"),
            "torch": _("PyTorch"),
            "openvino": _("OpenVINO (processor)"),
        },
        "triplets": {
            "averaged": _("overlapping, averaged"),
            "overlapping": _("overlapping, the middle one is taken"),
            "neighbouring": _("overlapping, of neighbouring slices"),
            "paper": _("side by side, as in the paper"),
        },
        "fusion": {"scan": _("in 3D, over the scan"), "paper": _("slice by slice, as in the paper")},
        "edge": {"peak": _("a share of the nodule's own peak"), "fixed": _("a fixed value, as in the paper")},
        "heterogeneity": {
            "auto": _("unevenness; h(x) where fusion is the paper's"),
            "deviation": _("unevenness, from the CT alone"),
            "twin": _("unevenness in G(x) (needs a new run)"),
            "inverse": _("the paper's h(x): red where G(x) is low"),
            "intensity": _("the paper's intensity: red where G(x) is high"),
        },
        "normalisation": {
            "auto": _("usual range of this map"),
            "fixed": _("same range in every scan"),
            "scan": _("range of the whole scan"),
            "nodule": _("range of each nodule"),
            "slice": _("range of each slice (paper)"),
        },
        "layer": {
            "final": _("Final map"),
            "boxes": _("Final map and detector boxes"),
            "generated": _("Generator image before fusion"),
            "raw": _("Raw CT in the same colours"),
            "components": _("Solid, ground glass, air, calcium, fat"),
        },
        "legend": {"one": _("in one view"), "all": _("in every view"), "none": _("in no view")},
    }


def options_of(parameters: Any, *, seeds_only: bool = False) -> Options:
    """The options of a run on the chosen CT. Raises `InputError` when they do not fit together."""
    chosen = {option.name: getattr(parameters, option.name) for option in offered()}
    chosen |= {option.name: chosen[option.name] or None for option in offered() if option.default is None}
    return Options(
        **chosen,
        weights=Path(parameters.weights) if parameters.weights else None,
        # A nodule that was added by hand is wanted wherever it lies.
        roi=None if seeds_only or parameters.region is None else box_on_ct(parameters.region, parameters.ct),
        slices=(parameters.first_slice, parameters.last_slice) if parameters.limit_slices and not seeds_only else None,
        seeds_only=seeds_only,
    )
