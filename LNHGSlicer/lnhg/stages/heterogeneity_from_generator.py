"""The paper's heterogeneity map h(x), from the generator's image G(x).

Strong (red) is where G(x) falls far below its maximum: at sharp edges and in uneven insides; weak (blue) is where the
generator is sure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..core.boxes import label_boxes
from .nodule_map import OUTSIDE, Indexed, NoduleMap


def heterogeneity_map(
    image: Indexed, labels: np.ndarray, kind: str = "inverse", normalisation: str = "scan"
) -> np.ndarray:
    """h(x) = 1 - (G(x) - min) / (max - min) inside the nodules, clipped to 0..1.

    Args:
        image: G(x), float `[slice, row, column]`.
        labels: fused nodules, integer, same shape; 0 outside.
        kind: `inverse`, as above, or `intensity`: the normalised G(x), not turned round.
        normalisation: where min and max are taken: `scan`: min is 0, max over the voxels of all nodules; `nodule`: over
            the voxels of each nodule; `slice`: over each whole axial slice, as in the paper.

    Returns:
        float32, same shape; -1 outside the nodules. Where max equals min it is flat: 0 (`inverse`), 1 (`intensity`).
    """
    return map_of_outlines(image, labels.shape, _outlines(labels), kind, normalisation).whole()


def raw_ct_in_same_colours(
    hu: np.ndarray, labels: np.ndarray, kind: str = "inverse", normalisation: str = "scan"
) -> NoduleMap:
    """The raw CT as if it were G(x), to compare with the map: arguments and values as for `heterogeneity_map`.

    0 HU is no natural lower end, so `scan` takes min as well as max over the voxels of all nodules.
    """
    return map_of_outlines(hu, labels.shape, _outlines(labels), kind, normalisation, raw_ct=True)


def map_of_outlines(
    image: Indexed,
    shape: tuple[int, ...],
    outlines: Mapping[int, tuple[tuple[slice, ...], np.ndarray]],
    kind: str,
    normalisation: str,
    *,
    raw_ct: bool = False,
) -> NoduleMap:
    """`heterogeneity_map` (`raw_ct`: `raw_ct_in_same_colours`) of nodules that are given one by one, not as a label
    map.

    Args:
        image: G(x), or HU.
        shape: of the whole volume.
        outlines: for each number the box of a nodule `[slice, row, column]`, and which voxels in it belong to it.
        kind, normalisation: as there.
    """
    if kind not in ("inverse", "intensity"):
        raise ValueError(f"Unknown kind of map: {kind!r}.")
    if normalisation not in ("scan", "nodule", "slice"):
        raise ValueError(f"Unknown normalisation: {normalisation!r}.")
    nodules, scan_minimum = list(outlines.values()), None if raw_ct else 0.0
    ranges = _ranges(image, shape, nodules, normalisation, scan_minimum) if nodules else []
    parts = {}
    for number, (box, nodule), (low, high) in zip(outlines, nodules, ranges, strict=True):
        flat = high <= low
        normalised = np.where(flat, 1, (image[box] - low) / np.where(flat, 1, high - low)).clip(0, 1)
        values = 1 - normalised if kind == "inverse" else normalised
        parts[number] = box, np.where(nodule, values, OUTSIDE).astype(np.float32)
    return NoduleMap(shape, parts)


def _outlines(labels: np.ndarray) -> dict[int, tuple[tuple[slice, ...], np.ndarray]]:
    return {number: (box, labels[box] == number) for number, box in label_boxes(labels).items()}


def _ranges(
    image: Indexed,
    shape: tuple[int, ...],
    nodules: Sequence[tuple[tuple[slice, ...], np.ndarray]],
    normalisation: str,
    scan_minimum: float | None,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Min and max for each nodule (its box and its mask in it), float32: one value, or one for each slice of the
    box.
    """
    if normalisation == "slice":
        slices = (
            [image[k, 0 : shape[1], 0 : shape[2]] for k in range(box[0].start, box[0].stop)] for box, _ in nodules
        )
        ends = [(np.array([one.min() for one in some]), np.array([one.max() for one in some])) for some in slices]
        return [(low[:, None, None].astype(np.float32), high[:, None, None].astype(np.float32)) for low, high in ends]
    ends = [
        (np.float32(inside.min()), np.float32(inside.max())) for inside in (image[box][mask] for box, mask in nodules)
    ]
    if normalisation == "scan":
        low = min(low for low, _ in ends) if scan_minimum is None else scan_minimum
        ends = [(np.float32(low), np.float32(max(high for _, high in ends)))] * len(ends)
    return [(np.asarray(low), np.asarray(high)) for low, high in ends]
