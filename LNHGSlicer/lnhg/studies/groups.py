"""The groups that nodules are reported by: size, texture, and place: at the pleura, at a vessel, or free in the lung.

The data have no label for the place, so the rule of `lnhg.stages.contacts` stands in, on the readers' consensus.
"""

from __future__ import annotations

import math

from ..data.cutouts import SOLID_TEXTURE, Cutout
from ..stages.contacts import (
    FREE,
    JUXTA_PLEURAL,
    JUXTA_VASCULAR,
    contacts,
    surroundings,
    tissue_beside,
    wall_by_thickness,
)

#: Name, and diameter of the sphere of equal volume from, and below, mm.
SIZES = (("under 6 mm", 0.0, 6.0), ("6 to 10 mm", 6.0, 10.0), ("over 10 mm", 10.0, math.inf))
#: Name, and mean of the readers' ratings from, and below: 1 is ground glass, 5 is solid.
TEXTURES = (("ground glass", 0.0, 2.0), ("part-solid", 2.0, SOLID_TEXTURE), ("solid", SOLID_TEXTURE, math.inf))
PLACES = (JUXTA_PLEURAL, JUXTA_VASCULAR, FREE)
UNKNOWN = "unknown"


def size_of(diameter_mm: float) -> str:
    """The size group of a diameter."""
    return _group(SIZES, diameter_mm)


def texture_of(rating: float) -> str:
    """The texture group of a rating; `unknown` for nan."""
    return _group(TEXTURES, rating)


def place_of(cutout: Cutout) -> str:
    """The group of `PLACES` of a nodule."""
    nodule, spacing = cutout.consensus, cutout.ct.spacing
    tissue = tissue_beside(cutout.ct.hu, nodule)
    wall = wall_by_thickness(tissue, spacing)
    box = surroundings(nodule, spacing)
    return contacts(nodule[box], tissue[box], wall[box], spacing).place


def _group(groups: tuple[tuple[str, float, float], ...], value: float) -> str:
    return next((name for name, low, high in groups if low <= value < high), UNKNOWN)
