"""One number for a nodule's heterogeneity: the candidates, from the map, from G(x) itself and from the raw CT."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from ..core.ct import CT
from ..core.geometry import equivalent_diameter
from ..data.cutouts import Cutout
from ..evaluation.references import CONSENSUS
from ..options import Options
from ..stages.heterogeneity_figures import figures, rim_mask
from ..stages.heterogeneity_from_ct import unevenness
from ..stages.heterogeneity_from_generator import heterogeneity_map
from ..stages.heterogeneity_maps import MapInput, nodule_map, outlines_of
from .nodule_runs import AS_IT_IS, NoduleRun, NoduleTwins
from .texture_features import co_occurrence, first_order

#: Where an index is taken: in the readers' 50% consensus, or in the method's own outline.
OWN = "own outline"
REGIONS = (CONSENSUS, OWN)

_RIM_MM = 1.0


@dataclass(frozen=True)
class Measured:
    """The indices of one nodule in one region.

    Attributes:
        nodule, patient: names.
        region: one of `REGIONS`.
        change: what was done to the cut-out before, `as it is` or the name of a perturbation.
        ratings: the readers' mean ratings; NaN where unknown.
        indices: name -> value, from `indices`; NaN where not defined.
    """

    nodule: str
    patient: str
    region: str
    change: str
    ratings: Mapping[str, float]
    indices: Mapping[str, float]


def measured(
    cutout: Cutout, run: NoduleRun, region: str, change: str = AS_IT_IS, twins: NoduleTwins | None = None
) -> Measured:
    """The indices of a cut-out's nodule in the consensus or in the outline of its run; `twins` adds those of the map
    `twin`.
    """
    mask = cutout.consensus if region == CONSENSUS else run.found
    found = indices(cutout.ct, run.image, mask, None if twins is None else twins.map(cutout, mask))
    return Measured(cutout.name, cutout.patient, region, change, dict(cutout.ratings), found)


def indices(ct: CT, image: np.ndarray, region: np.ndarray, twin: np.ndarray | None = None) -> dict[str, float]:
    """All indices of one region (bool `[slice, row, column]`, as `image`, which is G(x)); NaN where not defined.

    Names: `h core mean` is the mean of h(x) in the core, `G ...` the same of G(x) itself (clipped to 0..1), `D ...` of
    the map of unevenness (kind `deviation`), `T ...` of the map `twin`, where it is given, `CT ...` of the raw CT,
    `diameter` (mm) that of the sphere of equal volume. `unevenness` (HU) is that of a nodule's table. h(x) takes its
    range from this region alone: 1 - G / max G. The rim is the outer 1 mm, the core the rest.
    """
    labels = region.astype(np.uint8)
    outlines = outlines_of(labels)
    deviation = nodule_map(MapInput(ct.hu, ct.spacing), outlines, Options(heterogeneity="deviation"))
    maps = {"h": heterogeneity_map(image, labels), "G": image.clip(0, 1), "D": deviation.whole()}
    if twin is not None:
        maps["T"] = twin
    rim = rim_mask(labels, ct.spacing, _RIM_MM)
    found: dict[str, float] = {}
    for name, part in {"whole": region, "core": region & ~rim, "rim": rim}.items():
        for kind, values in maps.items():
            found |= _prefixed(f"{kind} {name}", _map_figures(values[part]))
        found |= _prefixed(f"CT {name}", first_order(ct.hu[part]))
        if name != "rim":
            found |= _prefixed(f"CT {name} co-occurrence", co_occurrence(ct.hu, part))
    diameter = equivalent_diameter(float(np.count_nonzero(region)) * ct.voxel_volume)
    uneven = [unevenness(ct.hu, box, mask, ct.spacing) for box, mask in outlines.values()]
    return found | {"diameter": diameter or float("nan"), "unevenness": uneven[0] if uneven else float("nan")}


def _map_figures(values: np.ndarray) -> dict[str, float]:
    return {**asdict(figures(values)), "maximum": float(values.max()) if values.size else float("nan")}


def _prefixed(prefix: str, values: Mapping[str, float]) -> dict[str, float]:
    return {f"{prefix} {name.replace('_', ' ')}": value for name, value in values.items()}
