"""A small histogram as a picture, in the colours of the map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import qt

from .colours import text_colour

_WIDTH, _HEIGHT, _AXIS, _MARGIN = 380, 74, 16, 4


def histogram_picture(counts: Sequence[int], edges: Sequence[float], color_node: Any) -> Any:
    """Bars over an axis from the first to the last edge, each in the colour that the map gives to its middle."""
    picture = qt.QPixmap(_WIDTH, _HEIGHT)
    picture.fill(qt.QColor(0, 0, 0, 0))
    painter = qt.QPainter(picture)
    floor, highest = _HEIGHT - _AXIS, max(max(counts), 1)
    step = (_WIDTH - 2 * _MARGIN) / len(counts)
    for number, count in enumerate(counts):
        height = round((floor - _MARGIN) * count / highest)
        left, right = round(_MARGIN + number * step), round(_MARGIN + (number + 1) * step)
        middle = (edges[number] + edges[number + 1]) / 2
        painter.fillRect(left, floor - height, max(right - left - 1, 1), height, _color(color_node, middle))
    painter.fillRect(_MARGIN, floor, _WIDTH - 2 * _MARGIN, 1, text_colour())
    painter.setPen(text_colour())
    baseline = _HEIGHT - _MARGIN
    for position, value in (
        (_MARGIN, edges[0]),
        (_WIDTH // 2 - 8, (edges[0] + edges[-1]) / 2),
        (_WIDTH - 24, edges[-1]),
    ):
        painter.drawText(position, baseline, f"{value:.1f}")
    painter.end()
    return picture


def _color(color_node: Any, value: float) -> Any:
    rgba = [0.0, 0.0, 0.0, 0.0]
    color_node.GetColor(round(value * (color_node.GetNumberOfColors() - 1)), rgba)
    return qt.QColor(*(round(255 * part) for part in rgba[:3]))
