"""Where the lungs are: a mask of the right and left lung from thresholds and shapes, in the axial view."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from skimage.segmentation import watershed

from .ct import CT

# Cell of the coarse grid that all shapes are found on, mm.
_CELL_MM = 2.2
# A narrower or flatter field of view is a cut-out, in which lung cannot be told from gas around it.
_CHEST_WIDTH_MM, _CHEST_DEPTH_MM = 200.0, 120.0
# A cell below the first value is lung or gas; the air around the body is flooded from border cells below the second.
_AIR_HU, _OUTER_AIR_HU = -400.0, -950.0
# A quarter of a lung lies above this value; of bowel gas and pockets of air less.
_GAS_HU = -940.0
# The largest axial section of a lung is at least this large; the smaller lung has at least this share of the larger.
_LUNG_SECTION_MM2, _LUNG_SHARE = 2000.0, 0.05
# More than this share of all tissue lies in front of what is behind the body.
_BEHIND_SHARE = 0.9
# The windpipe: sections of gas up to this size, this close to the body's middle, over at least this length.
_AIRWAY_HU, _AIRWAY_SECTION_MM2, _AIRWAY_OFFSET_MM, _AIRWAY_LENGTH_MM = -930.0, 900.0, 35.0, 30.0
# Radius of the closing that takes nodules at the pleura and vessels of the hilum into the mask.
_CLOSING_MM = 10.0
# Two parts of joined lungs each hold at least this share of them and lie this far apart from side to side.
_PART_SHARE, _PART_DISTANCE_MM = 0.15, 50.0

_IN_PLANE = np.zeros((3, 3, 3), bool)
_IN_PLANE[1] = ndimage.generate_binary_structure(2, 1)


def lung_regions(ct: CT) -> np.ndarray:
    """The lungs of a CT in the axial view (columns run to the patient's left, rows to the back, slices to the head).

    Air inside the body is found on a grid of about 2 mm; the windpipe, gas and small components are left out; lungs
    that touch are parted at the neck between them; a closing of 10 mm and filled sections take nodules, vessels and
    masses inside the outline into the mask.

    Returns:
        uint8 `[slice, row, column]`: 0 outside, 1 the patient's right lung, 2 the left one. All 0 if the field of view
        holds no lungs or is a cut-out too small to tell.
    """
    rows_mm, columns_mm = ct.hu.shape[1] * ct.spacing[1], ct.hu.shape[2] * ct.spacing[0]
    if columns_mm < _CHEST_WIDTH_MM or rows_mm < _CHEST_DEPTH_MM:
        return np.zeros(ct.hu.shape, np.uint8)

    steps = tuple(
        min(max(1, round(_CELL_MM / spacing)), size) for spacing, size in zip(ct.spacing[::-1], ct.hu.shape, strict=True)
    )
    coarse = _block_mean(ct.hu, steps)
    cell = np.multiply(steps, ct.spacing[::-1])  # mm along (slice, row, column)
    air = _inner_air(coarse)
    if not air.any():
        return np.zeros(ct.hu.shape, np.uint8)
    middle = float(np.average(np.arange(coarse.shape[2]), weights=(coarse > _AIR_HU).sum((0, 1))))
    air &= ~_airway(air, coarse, middle, cell)
    components = _lung_components(air, coarse, cell)
    lungs = _sides(components, _between_lungs(components, middle, cell), cell)
    return _to_fine(_closed(lungs, cell), steps, ct.hu.shape)


def _block_mean(hu: np.ndarray, steps: tuple[int, ...]) -> np.ndarray:
    """Mean of blocks of `steps` voxels, float32; voxels that do not fill a last block are left out."""
    total = hu
    for axis, step in enumerate(steps):
        whole = total.shape[axis] // step * step
        parts = [total[(slice(None),) * axis + (slice(start, whole, step),)] for start in range(step)]
        total = sum(parts[1:], parts[0].astype(np.int32))
    return total / np.float32(np.prod(steps))


def _to_fine(mask: np.ndarray, steps: tuple[int, ...], shape: tuple[int, ...]) -> np.ndarray:
    """Each cell repeated over its voxels, the last one to the end of the axis."""
    for axis, step in enumerate(steps):
        mask = mask.take(np.minimum(np.arange(shape[axis]) // step, mask.shape[axis] - 1), axis)
    return mask


def _inner_air(coarse: np.ndarray) -> np.ndarray:
    """Lung and gas without the air around the body: in each slice, what hangs together with outer air at the border."""
    air = coarse < _AIR_HU
    components, _ = ndimage.label(air, _IN_PLANE)
    border = np.ones(air.shape[1:], bool)
    border[1:-1, 1:-1] = False
    # Lung that a narrow field of view cuts is not as empty as air, so it does not count as outside.
    outside = np.unique(components[:, border][coarse[:, border] < _OUTER_AIR_HU])
    return air & ~np.isin(components, outside)


def _airway(air: np.ndarray, coarse: np.ndarray, middle: float, cell: np.ndarray) -> np.ndarray:
    """The windpipe and main bronchi: a long stack of small sections of gas near the body's middle, and its wall."""
    sections, count = ndimage.label(air & (coarse < _AIRWAY_HU), _IN_PLANE)
    area = np.bincount(sections.ravel(), minlength=count + 1) * cell[1] * cell[2]
    columns = np.broadcast_to(np.arange(air.shape[2], dtype=np.float32), air.shape)
    offset = np.abs(ndimage.mean(columns, sections, np.arange(count + 1)) - middle) * cell[2]
    small = (area < _AIRWAY_SECTION_MM2) & (offset < _AIRWAY_OFFSET_MM)
    small[0] = False
    stacks, _ = ndimage.label(small[sections])
    for number, box in enumerate(ndimage.find_objects(stacks), 1):
        if (box[0].stop - box[0].start) * cell[0] < _AIRWAY_LENGTH_MM:
            stacks[box][stacks[box] == number] = 0
    return ndimage.binary_dilation(stacks > 0, _IN_PLANE)


def _lung_components(air: np.ndarray, coarse: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """The components of `air` that are lungs by their size and density, numbered from 1."""
    components, _ = ndimage.label(air)
    # Free of the blurred edge, which makes gas look like lung.
    inner = ndimage.binary_erosion(air, _IN_PLANE, border_value=1)
    volumes = np.bincount(components.ravel()) * np.prod(cell)
    volumes[0] = 0
    tissue = (coarse > _AIR_HU).sum((0, 2)).cumsum()
    found: list[int] = []
    for number in np.argsort(volumes)[::-1]:
        least = _LUNG_SHARE * volumes[found[0]] if found else _LUNG_SECTION_MM2 * cell[0]
        if volumes[number] < least:
            break
        inside = components == number
        section = inside.sum((1, 2)).max() * cell[1] * cell[2]
        values = coarse[inside & inner]
        # The table's foam lies behind the body.
        behind = tissue[round(np.nonzero(inside)[1].mean())] > _BEHIND_SHARE * tissue[-1]
        if section >= _LUNG_SECTION_MM2 and not behind and values.size and np.percentile(values, 75) > _GAS_HU:
            found.append(int(number))
    order = np.zeros(len(volumes), int)
    order[found] = np.arange(1, len(found) + 1)
    return order[components]


def _between_lungs(components: np.ndarray, middle: float, cell: np.ndarray) -> float:
    """Column midway between the two lungs if the largest components lie side by side, else the body's `middle`."""
    columns = [float(np.nonzero(components == number)[2].mean()) for number in (1, 2) if (components == number).any()]
    apart = len(columns) == 2 and abs(columns[0] - columns[1]) * cell[2] >= _PART_DISTANCE_MM
    return sum(columns) / 2 if apart else middle


def _sides(components: np.ndarray, middle: float, cell: np.ndarray) -> np.ndarray:
    """Components of lung as 1 (right) and 2 (left); one that holds both lungs is parted."""
    sides = np.zeros(components.shape, np.uint8)
    for number, box in enumerate(ndimage.find_objects(components), 1):
        inside = components[box] == number
        columns = np.nonzero(inside)[2] + box[2].start
        share = float((columns < middle).mean())
        part = _parted(inside, cell) if _PART_SHARE < share < 1 - _PART_SHARE else None
        if part is None:
            part = inside.astype(np.uint8) * (1 if columns.mean() < middle else 2)
        sides[box][inside] = part[inside]
    return sides


def _parted(lungs: np.ndarray, cell: np.ndarray) -> np.ndarray | None:
    """Both lungs of one component as 1 and 2, parted where the way from one to the other is narrow; None if nowhere."""
    depth = ndimage.distance_transform_edt(np.pad(lungs, 1), cell)[1:-1, 1:-1, 1:-1]
    for radius in np.arange(1, 9) * cell[2]:
        cores, count = ndimage.label(depth > radius)
        if count < 2:
            continue
        sizes = np.bincount(cores.ravel())[1:]
        pair = np.argsort(sizes)[-2:] + 1
        columns = np.array([np.nonzero(cores == number)[2].mean() for number in pair])
        if sizes[pair[0] - 1] < _PART_SHARE * sizes.sum() or abs(np.diff(columns)[0]) * cell[2] < _PART_DISTANCE_MM:
            continue
        right, left = pair[np.argsort(columns)]
        markers = np.where(cores == right, 1, np.where(cores == left, 2, 0))
        return watershed(-depth, markers, mask=lungs).astype(np.uint8)
    return None


def _closed(sides: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Each lung closed by a ball and its axial sections filled; voxels of the other lung stay with the other."""
    closed = sides.copy()
    margin = np.ceil(_CLOSING_MM / cell).astype(int) + 1
    for side, box in enumerate(ndimage.find_objects(sides), 1):
        if box is None:
            continue
        around = tuple(slice(max(0, one.start - wide), one.stop + wide) for one, wide in zip(box, margin, strict=True))
        # Slices beyond the scan repeat its first and last one, so that the closing keeps the cut ends.
        padded = np.pad(sides[around] == side, [(margin[0], margin[0]), (0, 0), (0, 0)], mode="edge")
        grown = ndimage.distance_transform_edt(~padded, cell) <= _CLOSING_MM
        grown = ndimage.distance_transform_edt(np.pad(grown, 1), cell)[1:-1, 1:-1, 1:-1] > _CLOSING_MM
        filled = np.stack([ndimage.binary_fill_holes(section) for section in grown[margin[0] : -margin[0]]])
        view = closed[around]
        view[filled & (view == 0)] = side
    return closed
