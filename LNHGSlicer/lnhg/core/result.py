"""The result of one run, as it travels to files, to Python and to the Slicer scene."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from ..options import Options
from .answers import StudyAnswers
from .comparison import Comparison
from .ct import CT
from .nodule import Nodule


@dataclass(frozen=True, eq=False)
class Result:
    """What `lnhg.segment` returns. All arrays lie on the CT's own grid, `[slice, row, column]`.

    Attributes:
        ct: the CT that was read.
        labels: uint16, 0 and 1..N; label n belongs to `nodules[n - 1]`.
        heterogeneity: float32, the map h(x) in 0..1 inside the nodules and -1 outside.
        generated: gives `image`; called each time, since G(x) of a whole CT takes more memory than all the rest.
        unconfirmed: uint16, components of G(x) without a candidate, 0 and 1..M (all 0 unless the generator ran
            everywhere).
        nodules: one row per nodule, in the order of the labels.
        candidates: of the detector, and seeds, as plain values (score, centre_ras, size_mm, boxes_ras), for display.
        options: what was asked for.
        provenance: versions, weights with SHA-256, device, precision, thresholds used, timings in seconds per stage.
        warnings: sentences a reader should see.
        answers: what the reader said that the CT cannot say; categories hang on it.
        comparisons: by a nodule's id, what was found against earlier studies; empty where nothing was compared.
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
    answers: StudyAnswers = field(default_factory=StudyAnswers)
    comparisons: Mapping[int, Comparison] = field(default_factory=dict)

    @property
    def image(self) -> np.ndarray:
        """G(x) before fusion, linearly interpolated on the CT's grid: float32, 0 where the generator was not run."""
        return self.generated()
