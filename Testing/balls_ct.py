"""A small CT of three balls in lung tissue, as the tests of the whole way and of the rescorer see it."""

from __future__ import annotations

import numpy as np

from lnhg.core.ct import CT
from lnhg.options import Options

SHAPE = (24, 44, 52)
SPACING = (0.8, 0.9, 1.5)
#: Centre (slice, row, column), radius (mm) and HU: two bright balls, and a faint one that the detector misses.
BRIGHT, DARK, FAINT = ((6, 15, 14), 5.0, 90), ((7, 30, 38), 4.0, 0), ((18, 22, 20), 5.0, -130)
AXIAL = np.diag([-1.0, -1.0, 1.0])
SEED_VOXEL = np.array([20, 22, 18])  # the middle of the faint ball (column, row, slice)


def ball(centre, radius):
    k, j, i = np.ix_(*[(np.arange(n) - c) * s for n, c, s in zip(SHAPE, centre, SPACING[::-1], strict=True)])
    return k**2 + j**2 + i**2 <= radius**2


def voxels():
    hu = np.full(SHAPE, -850, np.int16)
    for centre, radius, value in (BRIGHT, DARK, FAINT):
        hu[ball(centre, radius)] = value
    return hu


def on(directions, origin=(120.5, 80.25, -40.75)):
    """IJK-to-RAS of the test's voxels along `directions` (one a column)."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.asarray(directions) * SPACING
    matrix[:3, 3] = origin
    return matrix


def turned(axis, degrees):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    first, second = [other for other in range(3) if other != axis]
    rotation = np.eye(3)
    rotation[[first, first, second, second], [first, second, first, second]] = [c, -s, s, c]
    return rotation


CT_AXIAL = CT(voxels(), on(AXIAL))
#: The CT is a small part of a chest, in which no lungs are found.
ANYWHERE = Options(anywhere=True)
