"""The groups that nodules are reported by: size and texture. Places have a file of their own, `types_of_place`."""

from __future__ import annotations

import math

from ..data.cutouts import SOLID_TEXTURE

#: Name, and diameter of the sphere of equal volume from, and below, mm.
SIZES = (("under 6 mm", 0.0, 6.0), ("6 to 10 mm", 6.0, 10.0), ("over 10 mm", 10.0, math.inf))
#: Name, and mean of the readers' ratings from, and below: 1 is ground glass, 5 is solid.
TEXTURES = (("ground glass", 0.0, 2.0), ("part-solid", 2.0, SOLID_TEXTURE), ("solid", SOLID_TEXTURE, math.inf))
UNKNOWN = "unknown"


def size_of(diameter_mm: float) -> str:
    """The size group of a diameter."""
    return _group(SIZES, diameter_mm)


def texture_of(rating: float) -> str:
    """The texture group of a rating; `unknown` for nan."""
    return _group(TEXTURES, rating)


def _group(groups: tuple[tuple[str, float, float], ...], value: float) -> str:
    return next((name for name, low, high in groups if low <= value < high), UNKNOWN)
