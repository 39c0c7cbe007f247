"""Boxes of the scene: markups that a reader draws."""

from __future__ import annotations

from itertools import product
from typing import Any

from .transforms import point_of_node


def has_extent(region: Any) -> bool:
    """Whether a markups box was placed."""
    bounds = _bounds(region)
    return all(low < high for low, high in zip(bounds[::2], bounds[1::2], strict=True))


def box_on_ct(region: Any, ct: Any) -> tuple[float, ...]:
    """RAS bounds (R, R, A, A, S, S; mm), on the CT itself, of the smallest straight box around a markups box."""
    bounds = _bounds(region)
    corners = [point_of_node(corner, ct) for corner in product(bounds[:2], bounds[2:4], bounds[4:])]
    return tuple(limit(axis) for axis in zip(*corners, strict=True) for limit in (min, max))


def _bounds(region: Any) -> list[float]:
    bounds = [0.0] * 6
    region.GetRASBounds(bounds)
    return bounds
