"""What a person chose in the panel, kept in the scene and saved with it."""

from __future__ import annotations

from dataclasses import fields
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import slicer
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import Choice, WithinRange, parameterNodeWrapper

from lnhg.options import Options

from ..scene.transforms import point_of_node


def choices(name: str) -> list[str]:
    """The choices of a field: those of the method's option, or of the views."""
    of_method = {option.name: option.metadata["choices"] for option in fields(Options)}
    of_views = {"layer": ("final", "boxes", "generated", "raw"), "legend": ("one", "all", "none")}
    return list(of_method.get(name) or of_views[name])


@parameterNodeWrapper
class Parameters:
    """The fields that the widgets of the panel are bound to by their property `SlicerParameterName`.

    Those of the method have the names and the defaults of `lnhg.options.Options`; where that says None, which a spin box
    cannot show, it is 0 here.
    """

    ct: slicer.vtkMRMLScalarVolumeNode
    region: slicer.vtkMRMLMarkupsROINode
    limit_slices: bool = False
    first_slice: Annotated[int, WithinRange(0, 9999)] = 0
    last_slice: Annotated[int, WithinRange(0, 9999)] = 0

    weights: str = ""
    device: Annotated[str, Choice(choices("device"))] = Options.device
    threads: Annotated[int, WithinRange(0, 256)] = 0
    batch_size: Annotated[int, WithinRange(0, 256)] = 0
    triplets: Annotated[str, Choice(choices("triplets"))] = Options.triplets
    fusion: Annotated[str, Choice(choices("fusion"))] = Options.fusion
    generator_threshold: Annotated[float, WithinRange(0, 1)] = 0.0
    edge: Annotated[str, Choice(choices("edge"))] = Options.edge
    score_threshold: Annotated[float, WithinRange(0, 1)] = 0.0
    minimum_diameter: Annotated[float, WithinRange(0, 60)] = Options.minimum_diameter
    heterogeneity: Annotated[str, Choice(choices("heterogeneity"))] = Options.heterogeneity
    normalisation: Annotated[str, Choice(choices("normalisation"))] = Options.normalisation
    rim: Annotated[float, WithinRange(0, 10)] = Options.rim
    hide_rim: bool = Options.hide_rim
    full_generator: bool = Options.full_generator
    detector_alone: bool = Options.detector_alone
    anywhere: bool = Options.anywhere

    layer: Annotated[str, Choice(choices("layer"))] = "final"
    opacity: Annotated[float, WithinRange(0, 1)] = 0.5
    map_visible: bool = True
    outline_visible: bool = True
    slab: bool = False
    zoom: bool = True
    legend: Annotated[str, Choice(choices("legend"))] = "one"
    columns: str = ""

    export_folder: str = ""


def words() -> dict[str, dict[str, str]]:
    """What the panel calls each choice of a field."""
    return {
        "device": {
            "auto": _("GPU if there is one"),
            "cuda": _("NVIDIA GPU (CUDA)"),
            "mps": _("Apple GPU (MPS)"),
            "cpu": _("Processor (CPU)"),
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
            "inverse": _("heterogeneity: red where G(x) is low"),
            "intensity": _("intensity: red where G(x) is high"),
        },
        "normalisation": {
            "scan": _("range of the whole scan"),
            "nodule": _("range of each nodule"),
            "slice": _("range of each slice (paper)"),
        },
        "layer": {
            "final": _("Final map"),
            "boxes": _("Final map and detector boxes"),
            "generated": _("Generator image before fusion"),
            "raw": _("Raw CT in the same colours"),
        },
        "legend": {"one": _("in one view"), "all": _("in every view"), "none": _("in no view")},
    }


def options_of(parameters: Any, *, seeds_only: bool = False) -> Options:
    """The options of a run on the chosen CT. Raises `InputError` when they do not fit together."""
    same = ("device", "triplets", "fusion", "edge", "minimum_diameter", "heterogeneity", "normalisation", "rim")
    zero_is_none = ("threads", "batch_size", "generator_threshold", "score_threshold")
    chosen: dict[str, Any] = {name: getattr(parameters, name) for name in same}
    chosen |= {name: getattr(parameters, name) or None for name in zero_is_none}
    return Options(
        **chosen,
        weights=Path(parameters.weights) if parameters.weights else None,
        hide_rim=parameters.hide_rim,
        full_generator=parameters.full_generator,
        detector_alone=parameters.detector_alone,
        anywhere=parameters.anywhere,
        # A nodule that was added by hand is wanted wherever it lies.
        roi=None if seeds_only or parameters.region is None else _box(parameters.region, parameters.ct),
        slices=(parameters.first_slice, parameters.last_slice) if parameters.limit_slices and not seeds_only else None,
        seeds_only=seeds_only,
    )


def has_extent(region: Any) -> bool:
    """Whether a markups box was placed."""
    bounds = _bounds(region)
    return all(low < high for low, high in zip(bounds[::2], bounds[1::2], strict=True))


def _box(region: Any, ct: Any) -> tuple[float, ...]:
    """RAS bounds, on the CT itself, of the smallest straight box around a markups box."""
    bounds = _bounds(region)
    corners = [point_of_node(corner, ct) for corner in product(bounds[:2], bounds[2:4], bounds[4:])]
    return tuple(limit(axis) for axis in zip(*corners, strict=True) for limit in (min, max))


def _bounds(region: Any) -> list[float]:
    bounds = [0.0] * 6
    region.GetRASBounds(bounds)
    return bounds
