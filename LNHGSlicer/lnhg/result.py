"""The result of one run, as it travels to files, to Python and to the Slicer scene."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .axial import AxialView, axial_view
from .ct import CT
from .heterogeneity import NoduleMap, raw_ct_in_same_colours
from .nodules import Nodule
from .options import Options


@dataclass(frozen=True, eq=False)
class Result:
    """What `lnhg.segment` returns. All arrays lie on the CT's own grid, `[slice, row, column]`.

    Attributes:
        ct: the CT that was read.
        labels: uint16, 0 and 1..N; label n belongs to `nodules[n - 1]`.
        heterogeneity: float32, the map h(x) in 0..1 inside the nodules and -1 outside.
        generated: gives `image`; called each time, since G(x) of a whole CT takes more memory than all the rest.
        unconfirmed: uint16, components of G(x) without a candidate, 0 and 1..M (all 0 unless the generator ran everywhere).
        nodules: one row per nodule, in the order of the labels.
        candidates: detector finds and seeds as plain values (score, centre_ras, size_mm, boxes_ras), for display.
        options: what was asked for.
        provenance: versions, weights with SHA-256, device, precision, thresholds used, timings in seconds per stage.
        warnings: sentences a reader should see.
    """

    ct: CT
    labels: np.ndarray
    heterogeneity: np.ndarray
    generated: Callable[[], np.ndarray]
    unconfirmed: np.ndarray
    nodules: tuple[Nodule, ...]
    candidates: tuple[Mapping[str, object], ...]
    options: Options
    provenance: Mapping[str, object]
    warnings: tuple[str, ...]

    @property
    def image(self) -> np.ndarray:
        """G(x) before fusion, linearly interpolated on the CT's grid: float32, 0 where the generator was not run."""
        return self.generated()

    def raw_ct_map(self) -> np.ndarray:
        """The raw CT rendered as the map is, to compare: float32 on the CT's grid, 0..1 inside the nodules and -1 outside."""
        view = axial_view(self.ct)
        return view.back(self.raw_ct_in(view).whole())

    def raw_ct_in(self, view: AxialView) -> NoduleMap:
        """The same in the axial view of `ct`, with memory for the nodules alone."""
        labels, options = view.forth(self.labels), self.options
        return raw_ct_in_same_colours(view.ct.hu, labels, options.heterogeneity, options.normalisation)

    def save(self, folder: str | Path, *, with_identity: bool = False) -> dict[str, Path]:
        """Write all result files into `folder` (made if absent), all or none; returns name -> path."""
        from .outputs import save

        return save(self, Path(folder), with_identity=with_identity)
