"""Nodules of an earlier result measured as this version does: outlines may be edited, tables of old versions."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ..core.boxes import label_boxes
from ..core.result import Result
from ..stages.heterogeneity_figures import figures
from ..stages.heterogeneity_maps import raw_ct_in_view
from ..stages.measurement import measure_nodules
from ..stages.prepared import prepare_ct

# A volume in a table may be rounded by this, mm3.
_ROUNDED_MM3 = 0.01


def measured_anew(result: Result) -> Result:
    """The result with all rows as this version measures them; the same one where they are."""
    if all(_is_current(result).values()):
        return result
    prepared, rows = prepare_ct(result.ct), result.nodules
    view = prepared.view
    measured = measure_nodules(
        view.ct,
        view.to_axial(result.labels),
        view.to_axial(result.heterogeneity),
        raw_ct_in_view(result, view),
        prepared.lungs,
        statuses=[row.status for row in rows],
        scores=[row.score for row in rows],
        rim_mm=result.options.rim,
        cut=[bool(row.cut) for row in rows],
    )
    # Where the map was not kept its figures are not known.
    unknown = figures(np.array([]))
    if (result.heterogeneity < 0).all():
        measured = tuple(
            replace(row, whole=unknown, core=unknown, rim=unknown, strongest_depth=math.nan, strongest_hu=math.nan)
            for row in measured
        )
    # The segmentation of the lobes is not at hand.
    nodules = [
        replace(row, slice=view.stored_slice(row.slice), lobe=before.lobe, perifissural=before.perifissural)
        for row, before in zip(measured, rows, strict=True)
    ]
    return replace(result, nodules=tuple(nodules))


def _is_current(result: Result) -> dict[int, bool]:
    """For each nodule whether its row has what this version measures, of the outline as it is."""
    current = {
        row.id: (not math.isnan(row.mean_axis_same.low) or bool(row.cut)) and not math.isnan(row.unevenness)
        for row in result.nodules
    }
    for number, box in label_boxes(result.labels).items():
        volume = np.count_nonzero(result.labels[box] == number) * result.ct.voxel_volume
        current[number] &= abs(volume - result.nodules[number - 1].volume) < _ROUNDED_MM3 + 1e-6 * volume
    return current
