"""Lobes as blocks in the field of a CT, for tests of places: right is where R rises, head is where S rises."""

from __future__ import annotations

import numpy as np

from lnhg.core.lobes import LOBES

#: 60 x 40 x 60 mm around the origin, voxels of 2 mm; columns run to the patient's left.
SHAPE = (30, 20, 30)
GRID = np.array([[-2.0, 0, 0, 29], [0, -2.0, 0, 19], [0, 0, 2.0, -29], [0, 0, 0, 1.0]])


def lobe_blocks(numbers: dict[str, int] | None = None) -> np.ndarray:
    """Labels `[slice, row, column]`: the right lung in columns 0 to 14, lower lobes below the middle, the right middle
    lobe in front of the lower third of the right upper lobe.
    """
    numbers = numbers or {name: number for number, name in enumerate(LOBES, 1)}
    labels = np.zeros(SHAPE, np.int16)
    labels[15:, :, :14] = numbers["right upper lobe"]
    labels[:15, :, :14] = numbers["right lower lobe"]
    labels[8:18, :8, :14] = numbers["right middle lobe"]
    labels[13:, :, 16:] = numbers["left upper lobe"]
    labels[:13, :, 16:] = numbers["left lower lobe"]
    return labels
