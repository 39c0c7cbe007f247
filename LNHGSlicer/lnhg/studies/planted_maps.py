"""The maps that are compared on planted unevenness: this method's kinds, and plain ones made from the raw CT."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from scipy import ndimage

from ..core.boxes import Box, grown_box, label_boxes
from ..core.ct import CT
from ..core.masks import reach
from ..evaluation.planted_nodules import PlantedCase
from ..networks.grid import NetworkGrid
from ..networks.models import Models
from ..networks.runtime import TileGenerator
from ..options import Options
from ..stages.axial import axial_order
from ..stages.generation import NoduleImage, Wanted, generate
from ..stages.heterogeneity_from_ct import typical_hu
from ..stages.heterogeneity_from_twin import GenerateOf, twin_differences
from ..stages.heterogeneity_maps import MapInput, nodule_map, outlines_of
from ..stages.mass_images import Generate

DEVIATION, TWIN, INVERSE, BOTH = "deviation", "twin", "h(x)", "deviation and twin"
RAW, SMOOTHED, SMOOTHED_INSIDE = "raw CT", "raw CT smoothed", "raw CT smoothed inside"
LOCAL_DEVIATION, LOCAL_ENTROPY = "local deviation", "local entropy"

MEANINGS = {
    DEVIATION: "the map of this name, from the CT alone",
    TWIN: "the map of this name, from the generator",
    INVERSE: "the paper's map, range of each nodule",
    BOTH: "the mean of these two maps",
    RAW: "distance of HU from the median in the core",
    SMOOTHED: "the same after a Gaussian of 1 mm over the CT",
    SMOOTHED_INSIDE: "the same, the Gaussian over the nodule's voxels alone",
    LOCAL_DEVIATION: "standard deviation of HU within 1.5 mm, inside the nodule",
    LOCAL_ENTROPY: "entropy of HU in 8 bins within 1.5 mm, inside the nodule",
}
_SMOOTHING_MM, _NEAR_MM, _BINS = 1.0, 1.5, 8
_AROUND_MM = 6.0


class CaseMaps:
    """All maps of one case, on its grid, larger where they say uneven; without `generator` those of the CT alone."""

    def __init__(self, case: PlantedCase, generator: TileGenerator | None, models: Models | None) -> None:
        self._case, self._generator, self._models = case, generator, models
        margin = np.ceil(_AROUND_MM / np.array(case.ct.spacing[::-1])).astype(int).tolist()
        self._box: Box = grown_box(label_boxes(case.nodule.astype(np.uint8))[1], margin)
        self._nodule = case.nodule[self._box].astype(np.float32)
        self._away = case.ct.hu[self._box].astype(np.float32) - typical_hu(
            case.ct.hu.astype(np.float32), case.nodule, case.ct.spacing
        )

    def all(self) -> dict[str, np.ndarray]:
        """The maps by their names."""
        made: dict[str, np.ndarray] = {DEVIATION: self._of_kind("deviation")}
        if self._generator is not None:
            made |= {TWIN: self._of_kind("twin"), INVERSE: self._of_kind("inverse", "nodule")}
            made[BOTH] = (made[DEVIATION] + made[TWIN]) / 2
        return made | {name: self._whole(values) for name, values in self._plain().items()}

    def _plain(self) -> Mapping[str, np.ndarray]:
        width = [_SMOOTHING_MM / step for step in self._case.ct.spacing[::-1]]
        smooth: Callable[[np.ndarray], np.ndarray] = lambda values: ndimage.gaussian_filter(values, width)  # noqa: E731
        near = reach(self._case.ct.spacing, _NEAR_MM).astype(np.float32)
        ball: Callable[[np.ndarray], np.ndarray] = lambda values: ndimage.convolve(values, near, mode="constant")  # noqa: E731
        count = np.maximum(ball(self._nodule), 1)
        inside = self._away * self._nodule
        mean = ball(inside) / count
        variance = np.maximum(ball(inside**2) / count - mean**2, 0)
        return {
            RAW: np.abs(self._away),
            SMOOTHED: np.abs(smooth(self._away)),
            SMOOTHED_INSIDE: np.abs(smooth(inside) / np.maximum(smooth(self._nodule), 1e-6)),
            LOCAL_DEVIATION: np.sqrt(variance),
            LOCAL_ENTROPY: self._entropy(ball, count),
        }

    def _entropy(self, ball: Callable[[np.ndarray], np.ndarray], count: np.ndarray) -> np.ndarray:
        values = self._away[self._nodule > 0]
        edges = np.linspace(values.min(), values.max(), _BINS + 1)[1:-1]
        bins = np.digitize(self._away, edges)
        entropy = np.zeros_like(self._away)
        for one in range(_BINS):
            share = ball(((bins == one) * self._nodule).astype(np.float32)) / count
            entropy -= np.where(share > 0, share * np.log2(np.maximum(share, 1e-9)), 0)
        return entropy

    def _whole(self, values: np.ndarray) -> np.ndarray:
        whole = np.zeros(self._case.nodule.shape, np.float32)
        whole[self._box] = values
        return whole

    def _of_kind(self, kind: str, normalisation: str = "auto") -> np.ndarray:
        options = Options(heterogeneity=kind, normalisation=normalisation)
        return self._view.from_axial(nodule_map(self._scan, self._outlines, options).whole())

    @cached_property
    def _view(self) -> Any:
        return axial_order(self._case.ct)

    @cached_property
    def _outlines(self) -> Any:
        return outlines_of(self._view.to_axial(self._case.nodule.astype(np.uint8)))

    @cached_property
    def _scan(self) -> MapInput:
        ct = self._view.ct
        image = None
        if self._generator is not None and self._models is not None:
            ((box, _),) = self._outlines.values()
            image = running(self._generator)(ct)(self._models.grid("generator"), [Wanted([box], box)])
        return MapInput(ct.hu, ct.spacing, image, self._twins)

    def _twins(self, outlines: Any) -> Mapping[int, np.ndarray]:
        assert self._models is not None and self._generator is not None
        return twin_differences(self._view.ct, outlines, self._models.grid("generator"), running(self._generator))


def running(generator: TileGenerator) -> GenerateOf:
    """G(x) of any CT in the axial view by this generator, where it is wanted."""

    def on(ct: CT) -> Generate:
        def generated(grid: NetworkGrid, places: Sequence[Wanted] | None) -> NoduleImage:
            return generate(ct, generator, grid, places, reach=generator.reach, cell=generator.cell)

        return generated

    return on


def generator_of(models: Models) -> TileGenerator:
    """The generator of a set of weights, on the CPU with one thread: cases are small."""
    return models.start("cpu", 1).generator()
