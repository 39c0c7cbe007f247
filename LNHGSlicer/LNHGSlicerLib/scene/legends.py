"""The legends of coloured volumes: what they say, and as much of it, as large, as the views have room for."""

from __future__ import annotations

import json
import textwrap
from dataclasses import dataclass
from typing import Any

import slicer

#: On a legend's node: all that it says, what of that was shown last, and for which size of a view.
_LEGEND = "LNHG.Legend"
# Letters are this high at least, in pixels, and grow with the view, which has more pixels on a finer screen too.
_LEAST_LETTER, _LETTERS_ACROSS, _LETTERS_DOWN = 15.0, 35, 26
# A letter is so wide, as a part of its height. Title and labels take this part of the view's width and height.
_WIDE, _TITLE_ACROSS, _TITLE_DOWN = 0.52, 0.62, 1 / 6
# The letters of the labels are as high as this part of the width of the box, for each letter of the longest label.
_BOX_PER_LETTER, _BOX_ACROSS, _LINES_PER_LABEL = 0.67, 0.3, 1.6
# The title sticks out of its box by so many lines, and by such a part of its own.
_ABOVE_BOX = 1.0, 0.6
_NUMBERS = 3


@dataclass(frozen=True)
class Fit:
    """How a legend looks in a view: its title, and its box as parts of the view's width and height, from below."""

    title: str
    width: float
    height: float
    bottom: float


def add_legend(volume: Any, text: str, *, color_names: bool = False) -> None:
    """Give a volume a legend, in one view: in every view it would cover what the reader looks at.

    The first line of the text is what is said where there is no room for more. `color_names`: its labels are the names
    of the colours.
    """
    legend = slicer.modules.colors.logic().AddDefaultColorLegendDisplayNode(volume)
    legend.SetUseColorNamesForLabels(color_names)
    legend.SetNumberOfLabels(len(_color_names(legend)) if color_names else _NUMBERS)
    legend.SetLabelFormat("%s" if color_names else "%.2f")
    legend.SetViewNodeIDs(legend_views()[:1])
    set_legend_text(legend, text)


def set_legend_text(legend: Any, text: str) -> None:
    """Change what a legend says."""
    legend.SetTitleText(text)
    legend.SetAttribute(_LEGEND, json.dumps({"text": text}))
    fit_legend(legend)


def legend_text_of(legend: Any) -> str:
    """All that a legend says, also where a view has no room for it."""
    return str(_told(legend)["text"])


def legend_views() -> list[str]:
    """IDs of the slice views in which a legend can be: those of the layout first, as it shows them."""
    views = slicer.util.getNodesByClass("vtkMRMLSliceNode")
    return [view.GetID() for view in sorted(views, key=lambda view: not view.IsMappedInLayout())]


def fit_legends() -> None:
    """Let the legends of all results be legible, as after views became larger or smaller."""
    for legend in slicer.util.getNodesByClass("vtkMRMLColorLegendDisplayNode"):
        volume = legend.GetDisplayableNode()
        if volume is not None and volume.GetAttribute("LNHG.Version") is not None:
            fit_legend(legend)


def fit_legend(legend: Any) -> None:
    """Let a legend be legible in the smallest view that shows it; one that a reader has worded anew is left alone."""
    sizes = [view.GetDimensions()[:2] for view in _views_of(legend)]
    told = _told(legend)
    if not sizes or legend.GetTitleText() != told.get("shown", told["text"]):
        return
    view = [min(one) for one in zip(*sizes, strict=True)]
    if view == told.get("view"):
        return
    names = _labels(legend)
    made = fit(told["text"], (view[0], view[1]), letters=max(map(len, names)), labels=len(names))
    legend.SetAttribute(_LEGEND, json.dumps({"text": told["text"], "shown": made.title, "view": view}))
    legend.SetTitleText(made.title)
    legend.SetSize(made.width, made.height)
    legend.SetPosition(0.97, made.bottom / (1 - made.height))  # Slicer's place is a part of the room beside the box


def fit(text: str, view: tuple[int, int], *, letters: int, labels: int) -> Fit:
    """What a legend says in a view of so many pixels, width and height, and how large its box is.

    `letters`: of its longest label; `labels`: how many it has.
    """
    width, height = view
    letter = max(_LEAST_LETTER, min(width / _LETTERS_ACROSS, height / _LETTERS_DOWN))
    columns = int(_TITLE_ACROSS * width / (_WIDE * letter))
    lines = [line for part in text.split("\n") for line in textwrap.wrap(part, columns)]
    if len(lines) * letter > _TITLE_DOWN * height:
        lines = textwrap.wrap(text.partition("\n")[0], columns)
    above = (_ABOVE_BOX[0] + _ABOVE_BOX[1] * len(lines)) * letter / height
    tall = min((len(lines) + 1 + _LINES_PER_LABEL * labels) * letter / height, 1 - above)
    wide = min(_BOX_PER_LETTER * letters * letter / width, _BOX_ACROSS)
    return Fit("\n".join(lines), wide, tall, 1 - above - tall)


def _views_of(legend: Any) -> list[Any]:
    """The slice views of the layout that show a legend."""
    shown = [slicer.mrmlScene.GetNodeByID(one) for one in legend.GetViewNodeIDs()]
    return [view for view in shown if view is not None and view.IsMappedInLayout()]


def _labels(legend: Any) -> list[str]:
    return _color_names(legend) if legend.GetUseColorNamesForLabels() else ["0.00"] * legend.GetNumberOfLabels()


def _color_names(legend: Any) -> list[str]:
    colors = legend.GetPrimaryDisplayNode().GetColorNode()
    return [colors.GetColorName(index) for index in range(colors.GetNumberOfColors())]


def _told(legend: Any) -> dict[str, Any]:
    """What is kept on a legend's node; one of an older version says what its title is."""
    return dict(json.loads(legend.GetAttribute(_LEGEND) or "null") or {"text": legend.GetTitleText()})
