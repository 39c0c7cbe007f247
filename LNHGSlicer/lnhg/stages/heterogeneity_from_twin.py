"""How much of G(x) is due to unevenness inside a nodule: the generator sees the CT, and its even twin.

In the twin the inside of each nodule, beyond the outer millimetre, is the median HU of its core with the scan's own
noise; all else is as it was. Rim, size and shape are alike in both images and cancel.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from scipy import ndimage

from ..core.boxes import Box, grown_box
from ..core.ct import AIR_HU, CT
from ..core.masks import depth_in
from ..networks.grid import NetworkGrid
from .generation import NoduleImage, Wanted
from .heterogeneity_from_ct import typical_hu
from .mass_images import SHOWN_AS_MM, Generate, is_mass
from .scan_noise import noise_level

# Over so many mm below the surface the CT passes into the even inside; grain of the noise in the slice, pixels.
_EDGE_MM, _GRAIN_PX = 1.0, 0.5
_AROUND_MM = 5.0
_MEASURED_HU = -1000

#: G(x) of a CT on a grid at places: `Generate` for any CT.
GenerateOf = Callable[[CT], Generate]


def twin_differences(
    ct: CT, outlines: Mapping[int, tuple[Box, np.ndarray]], grid: NetworkGrid, generate: GenerateOf
) -> dict[int, np.ndarray]:
    """|G(twin) - G(x)| / max G(x) of each nodule in its box, float32; 0 where the generator sees no nodule.

    Args:
        ct: in the axial view.
        outlines: for each number the box of a nodule, and which voxels in it belong to it.
        grid: of the generator; nodules as wide as masses are seen on a coarser one.
        generate: the generator on a CT.
    """
    twin = even_twin(ct, outlines)
    found = {}
    usual = {number: box for number, (box, mask) in outlines.items() if not is_mass(_width(box, ct))}
    images = _images(ct, twin, grid, generate, list(usual.values())) if usual else None
    for number, (box, mask) in outlines.items():
        if images is not None and number in usual:
            seen, other = images
        else:
            coarser = grid.coarser(_width(box, ct) / SHOWN_AS_MM, ct.hu.shape[1:], ct.spacing[:2])
            seen, other = _images(ct, twin, coarser, generate, [box])
        k, rows, columns = box
        image = seen[k, rows, columns]
        peak = float(image[mask].max(initial=0))
        difference = np.abs(other[k, rows, columns] - image) / peak if peak > 0 else np.zeros(mask.shape)
        found[number] = np.where(mask, difference, 0).astype(np.float32)
    return found


def even_twin(ct: CT, outlines: Mapping[int, tuple[Box, np.ndarray]]) -> CT:
    """The CT with even nodules in place of the outlined ones; the same for the same CT at every call."""
    hu = ct.hu.copy()
    margin = np.ceil(_AROUND_MM / np.array(ct.spacing[::-1])).astype(int).tolist()
    for box, mask in outlines.values():
        around = ct.hu[grown_box(box, margin)]
        noise = noise_level(around, around > _MEASURED_HU)
        random = np.random.default_rng(zlib.crc32(np.ascontiguousarray(around).tobytes()))
        grain = ndimage.gaussian_filter(random.normal(size=mask.shape), (0, _GRAIN_PX, _GRAIN_PX))
        depth = depth_in(mask, ct.spacing)
        inside = np.clip((depth - min(ct.spacing[:2]) / 2) / _EDGE_MM, 0, 1)
        values = ct.hu[box].astype(np.float32)
        even = typical_hu(values, mask, ct.spacing) + noise * grain / max(float(grain.std()), 1e-6)
        filled = np.rint(values + inside * (even - values)).clip(AIR_HU, np.iinfo(np.int16).max)
        hu[box] = np.where(mask, filled, ct.hu[box])
    return replace(ct, hu=hu)


def _images(
    ct: CT, twin: CT, grid: NetworkGrid, generate: GenerateOf, boxes: list[Box]
) -> tuple[NoduleImage, NoduleImage]:
    places = [Wanted([(k, rows, columns)], (k, rows, columns)) for k, rows, columns in boxes]
    return generate(ct)(grid, places), generate(twin)(grid, places)


def _width(box: Box, ct: CT) -> float:
    """The larger side of a box in the slice, mm."""
    return max((side.stop - side.start) * step for side, step in zip(box[1:], ct.spacing[1::-1], strict=True))
