"""What of a result lies over the CT in the slice views, and how it is coloured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import slicer
import vtk

from lnhg.errors import InputError
from lnhg.options import Options
from lnhg.stages.components import Component
from lnhg.stages.heterogeneity_legend import legend_text

from ..review.outlines import Outlines
from ..translation import _
from .component_layer import draw_components
from .drawn_maps import DrawnMaps
from .legends import fit_legend, legend_views, set_legend_text
from .nodes import (
    SceneNodes,
    remove_node,
    show_over_ct,
    tell_map,
    values_in,
    views_with,
)
from .study_map import draw_study_map, release_study_map
from .transforms import point_of_node

# The layers, and the volume each lays over the CT.
_VOLUMES = {
    "final": "shown_map",
    "boxes": "shown_map",
    "generated": "generated",
    "raw": "raw_ct",
    "components": "components_map",
}
_NORMALISATIONS = ("auto", "fixed", "scan", "nodule", "slice")
_BINS = 20


@dataclass(frozen=True)
class ViewState:
    """What the reader chose to see.

    Attributes:
        layer: `final`: the map; `boxes`: the map and the detector's boxes; `generated`: G(x) before fusion, over whole
            slices; `raw`: the raw CT as if it were the map; `components`: what the nodules consist of.
        opacity: of the coloured volume, 0 to 1.
        map_visible: whether the coloured volume is shown.
        outline_visible: whether the nodules' outlines are shown.
    """

    layer: str = "final"
    opacity: float = 0.5
    map_visible: bool = True
    outline_visible: bool = True


class Layers:
    """The layers of one result in all slice views. Views change when something is set or `apply` is called, not
    before.
    """

    def __init__(self, nodes: SceneNodes, view_state: ViewState | None = None) -> None:
        self.nodes = nodes
        self.outlines = Outlines(nodes)
        self.legend = ""
        self._blind: Mapping[str, str] = {}
        self.state = view_state or ViewState()
        self._maps = DrawnMaps(nodes, self.outlines, twin=self.map_kind == "twin")

    def available(self) -> list[str]:
        """The layers that this result has; `why_not` tells of each of the others why it is missing."""
        return [layer for layer in _VOLUMES if not self.why_not(layer)]

    def normalisations(self) -> list[str]:
        """The ranges that the present kind of map can be shown in; `why_no_map` tells of the others."""
        return [name for name in _NORMALISATIONS if not self.why_no_map(name, self.kind)]

    def why_not(self, layer: str) -> str:
        """Why a layer is not to be had, in one sentence; empty if it is."""
        if self._blind and layer in ("generated", "raw", "components"):
            return _("While a blind reader study runs only its map is shown.")
        return self._without_generator(everywhere=True) if layer == "generated" else ""

    def why_no_map(self, normalisation: str, kind: str) -> str:
        """Why a map of this range and kind is not to be had, in one sentence; empty if it is."""
        if self.no_such_map(normalisation, kind):
            return self.no_such_map(normalisation, kind)
        wanted = self._as_asked(normalisation, kind)
        if wanted.map_kind == "twin" and self.map_kind != "twin":
            return _("A map of the kind twin needs the generator; choose it under Advanced and segment the CT again.")
        if wanted.map_kind == "twin" and wanted.map_range != self._asked.map_range:
            return _("A map of the kind twin keeps the range of its run; choose another and segment the CT again.")
        return self._without_generator(everywhere=wanted.map_range == "slice") if wanted.papers_map else ""

    def no_such_map(self, normalisation: str, kind: str) -> str:
        """Why a kind has not this range, in one sentence, so that no run helps; empty if it has."""
        try:
            self._as_asked(normalisation, kind)
        except InputError as error:
            return str(error)
        return ""

    def _without_generator(self, *, everywhere: bool) -> str:
        if self.nodes.generated is None:
            return _("The generator image is not in this scene; segment the CT again.")
        if everywhere and not self.nodes.options.everywhere:
            return _("The generator ran around the candidates only; segment again with the generator on every slice.")
        return ""

    def _as_asked(self, normalisation: str, kind: str) -> Options:
        return replace(self.nodes.options, heterogeneity=kind, normalisation=normalisation)

    @property
    def _asked(self) -> Options:
        """The options of the run with the kind and range of the present map."""
        return self._as_asked(self.normalisation, self.kind)

    def apply(self) -> None:
        """Bring the views to the state, as after another result was shown in them."""
        if self.state.layer == "components" and self.nodes.components_map is None:
            draw_components(self.nodes, self.outlines)
            if self.legend:
                self.set_legend(self.legend)
        show_over_ct(self.nodes.ct, self._volume() if self.state.map_visible else None, self.state.opacity)
        # Outline and fill both off is a state that Slicer refuses: the whole is hidden in the slice views.
        display = self.nodes.segmentation.GetDisplayNode()
        display.SetVisibility2D(self.state.outline_visible)
        if self.state.outline_visible:  # also where another module hid all of it
            display.SetVisibility(True)
        self.nodes.boxes.GetDisplayNode().SetVisibility(self.state.layer == "boxes")

    def take_over(self) -> None:
        """State and legend become what is seen, where another module hid or showed outlines, boxes or legend, or made
        the map more transparent in every view; the scene is left as it is.
        """
        outline, boxes = self.nodes.segmentation.GetDisplayNode(), self.nodes.boxes.GetDisplayNode()
        layer = self.state.layer
        if boxes is not None and layer in ("final", "boxes"):
            layer = "boxes" if boxes.GetVisibility() else "final"
        visible = bool(outline.GetVisibility() and outline.GetVisibility2D())
        opacities = {view.GetForegroundOpacity() for view in views_with(self.nodes.ct, self._volume())}
        opacity = opacities.pop() if len(opacities) == 1 else self.state.opacity
        self.state = replace(self.state, layer=layer, outline_visible=visible, opacity=opacity)
        legend = slicer.modules.colors.logic().GetColorLegendDisplayNode(self._volume())
        if legend is not None and bool(legend.GetVisibility()) is (self.legend == "none"):
            self.legend = "all" if legend.GetVisibility() else "none"  # shown by Slicer it is in every view

    def show(self, layer: str) -> None:
        """Show one of the layers `final`, `boxes`, `generated`, `raw` and `components`."""
        _refuse(self.why_not(layer))
        self._change(layer=layer)

    def set_opacity(self, opacity: float) -> None:
        self._change(opacity=opacity)

    def set_map_visible(self, visible: bool) -> None:
        self._change(map_visible=visible)

    def set_outline_visible(self, visible: bool) -> None:
        self._change(outline_visible=visible)

    @property
    def normalisation(self) -> str:
        """The present range of the map, as it was asked for (`Options.normalisation`)."""
        return str(self.nodes.heterogeneity.GetAttribute("LNHG.Normalisation"))

    @property
    def kind(self) -> str:
        """The present kind of the map, as it was asked for (`Options.heterogeneity`)."""
        return str(self.nodes.heterogeneity.GetAttribute("LNHG.Kind"))

    @property
    def map_kind(self) -> str:
        """The present kind of the map, as it was made (`Options.map_kind`)."""
        return self._asked.map_kind

    @property
    def meaning(self) -> str:
        """What the values 0 and 1 of the map mean, in the words of its legend; empty where another layer is shown, or
        it must not be told.
        """
        told = self.state.layer in ("final", "boxes") and not self._blind
        return "; ".join(legend_text(self._asked)[1:]) if told else ""

    def set_normalisation(self, normalisation: str, kind: str) -> None:
        """Make the map and the raw CT's anew: see `lnhg.stages.heterogeneity_maps`.

        The table keeps the figures of the run.
        """
        _refuse(self.why_no_map(normalisation, kind))
        options = self._as_asked(normalisation, kind)
        self._maps.draw(options)
        tell_map(self.nodes.heterogeneity, options)
        legend = slicer.modules.colors.logic().GetColorLegendDisplayNode(self.nodes.heterogeneity)
        if legend is not None:  # a reader may have deleted it
            set_legend_text(legend, "\n".join(legend_text(options)))

    def update_maps(self) -> None:
        """Make both maps anew, of the kind and range that they have, after a nodule was edited or rejected.

        Raises InputError where that kind cannot be made here.
        """
        if self._blind:
            draw_study_map(self.nodes, self.outlines, self._blind)
        if self.nodes.components_map is not None:
            draw_components(self.nodes, self.outlines)
        _refuse(self.why_no_map(self.normalisation, self.kind))
        self._maps.draw(self._asked)

    def set_blind(self, kinds: Mapping[str, str]) -> None:
        """Show the map of a blind reader study: each nodule in the kind that is named for its segment, which nothing
        tells. None named: the result's own map again.
        """
        self._blind, former = kinds, None
        if kinds:
            draw_study_map(self.nodes, self.outlines, kinds)
            self.state = replace(self.state, layer="final")
        else:
            former = release_study_map(self.nodes)
        self.apply()
        if former is not None:
            remove_node(former)
        if self.legend:
            self.set_legend(self.legend)

    def complete_study_map(self) -> None:
        """Draw the map of a blind reader study again where somebody deleted its volume."""
        if self._blind and self.nodes.study_map is None:
            self.set_blind(self._blind)

    def set_legend(self, where: str) -> None:
        """Show the legend in `one` slice view, in `all`, or in `none`."""
        self.legend = where
        shown_in = {"one": legend_views()[:1], "all": legend_views(), "none": []}[where]
        nodes = self.nodes
        for volume in (nodes.heterogeneity, nodes.raw_ct, nodes.generated, nodes.study_map, nodes.components_map):
            legend = None if volume is None else slicer.modules.colors.logic().GetColorLegendDisplayNode(volume)
            if legend is not None:  # a reader may have deleted it
                legend.SetVisibility(bool(shown_in))
                legend.SetViewNodeIDs(shown_in)
                fit_legend(legend)

    def set_slab(self, mm: float | None) -> None:
        """Every slice view shows the maximum over a slab this thick around its plane; None: the plane alone."""
        for view in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
            if mm is not None:
                view.SetSlabReconstructionType(vtk.VTK_IMAGE_SLAB_MAX)
                view.SetSlabReconstructionThickness(mm)
                # Slicer's slab is as thick as asked for only if this factor is the distance of its slices in mm.
                view.SetSlabReconstructionOversamplingFactor(view.GetFieldOfView()[2] / view.GetDimensions()[2])
            view.SetSlabReconstructionEnabled(mm is not None)

    def value_at(self, ras: Sequence[float]) -> float | None:
        """The layer's value at a point of the scene (mm); None where it has none, or must not be told.

        0 to 1; of the layer `components` a number of `lnhg.stages.components.Component`.
        """
        volume = self._volume()
        i, j, k = _voxel(volume, ras)
        columns, rows, slices = volume.GetImageData().GetDimensions()
        if self._blind or not (0 <= i < columns and 0 <= j < rows and 0 <= k < slices):
            return None
        value = volume.GetImageData().GetScalarComponentAsDouble(i, j, k, 0)
        return None if value < 0 else float(value)

    def value_text(self, ras: Sequence[float]) -> str:
        """The layer's value at a point of the scene (mm) as text; a dash where it has none."""
        value = self.value_at(ras)
        if value is None:
            return "–"
        if self.state.layer == "components":
            return Component(round(value)).name.lower().replace("_", " ")
        return f"{value:.2f}"

    def histogram(self, segment_id: str) -> tuple[np.ndarray, np.ndarray]:
        """How many voxels of a nodule have which value in the layer: counts, and the edges of the bins from 0 to 1."""
        outline = self.outlines.of(segment_id)
        if outline is None:
            return np.histogram([], _BINS, (0, 1))
        values = values_in(self.nodes.ct, self._volume(), outline.box)[outline.mask]
        return np.histogram(values[values >= 0].clip(max=1), _BINS, (0, 1))

    def _volume(self) -> Any:
        return getattr(self.nodes, _VOLUMES[self.state.layer])

    def _change(self, **changes: Any) -> None:
        self.state = replace(self.state, **changes)
        self.apply()


def _refuse(reason: str) -> None:
    if reason:
        raise InputError(reason)


def _voxel(volume: Any, ras: Sequence[float]) -> tuple[int, int, int]:
    """The voxel (i, j, k) of a volume node whose centre is nearest to a point of the scene, inside its grid or not."""
    to_ijk = vtk.vtkMatrix4x4()
    volume.GetRASToIJKMatrix(to_ijk)
    i, j, k = np.rint(to_ijk.MultiplyPoint((*point_of_node(ras, volume), 1.0))[:3]).astype(int).tolist()
    return i, j, k
