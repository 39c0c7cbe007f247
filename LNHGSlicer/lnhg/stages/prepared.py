"""What every run on a CT needs and that hangs on no option; kept, the next run on the same CT begins with it."""

from __future__ import annotations

from dataclasses import dataclass

from ..core.ct import CT
from .axial import AxialOrder, axial_order
from .lungs import lung_regions
from .place import LungShape


@dataclass(frozen=True, eq=False)
class PreparedCT:
    """A CT, its axial view, and its lungs there."""

    ct: CT
    view: AxialOrder
    lungs: LungShape


def prepare_ct(ct: CT) -> PreparedCT:
    """Reorder a CT and find its lungs, for several runs of `segment` on it, such as one for each of a reader's clicks.

    It takes seconds, and a byte of memory a voxel more.
    """
    view = axial_order(ct)
    return PreparedCT(ct, view, LungShape(view.ct, lung_regions(view.ct)).prepare())
