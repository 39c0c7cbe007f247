"""Which nodule of one study is which of another: one to one, by a cost of place, size and density.

For a nodule of the earlier study that registration puts `d` mm away from one of the later study, the cost is

    (d / 4 mm)^2 + (ln(D2 / D1) / ln 2)^2 + ((HU2 - HU1) / 400 HU)^2

with D the diameters of the spheres of equal volume. No pair lies further apart than 10 mm, or for large nodules than
their radius, or costs more than 9; the pairs of least total cost are taken, and a nodule that no pair holds is left
over.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from ..core.nodule import Nodule

_PLACE_MM, _SIZE_RATIO, _DENSITY_HU = 4.0, 2.0, 400.0
_FARTHEST_MM, _MOST_COST = 10.0, 9.0


def cost(earlier: Nodule, place: np.ndarray, later: Nodule) -> float:
    """The cost of a pair; infinite for one that cannot be. `place`: where `earlier` lies in the later study, RAS mm."""
    apart = float(np.linalg.norm(np.asarray(later.centre_ras) - place))
    if apart > max(_FARTHEST_MM, (earlier.equivalent_diameter + later.equivalent_diameter) / 4):
        return float("inf")
    size = np.log(later.equivalent_diameter / earlier.equivalent_diameter) / np.log(_SIZE_RATIO)
    density = (later.hu_mean - earlier.hu_mean) / _DENSITY_HU
    total = float((apart / _PLACE_MM) ** 2 + size**2 + density**2)
    return total if total <= _MOST_COST else float("inf")


def matched(earlier: Sequence[Nodule], places: np.ndarray, later: Sequence[Nodule]) -> list[tuple[int, int]]:
    """Pairs of indices into both lists. `places` `[n, 3]`: where the earlier ones lie in the later study, RAS mm."""
    if not earlier or not later:
        return []
    costs = np.array([[cost(one, place, other) for other in later] for one, place in zip(earlier, places, strict=True)])
    # Each nodule may stay alone, at the cost of the worst pair that can be.
    alone = np.full((len(earlier), len(earlier)), np.inf)
    np.fill_diagonal(alone, _MOST_COST)
    table = np.hstack([np.where(np.isfinite(costs), costs, 1e6), np.where(np.isfinite(alone), alone, 1e6)])
    rows, columns = linear_sum_assignment(table)
    return [(int(a), int(b)) for a, b in zip(rows, columns, strict=True) if b < len(later) and np.isfinite(costs[a, b])]
