"""Where the lungs are: a mask of the right and left lung from thresholds and shapes, in the axial view."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage.segmentation import watershed

from ..core.ct import AIR_HU, CT

#: Labels of the mask. A lung has no side where the scan does not show which it is.
RIGHT, LEFT, UNSIDED = 1, 2, 3
#: No lungs hold more, both together, however tall and emphysematous the patient.
MOST_LITRES = 13.0

# Cell of the coarse grid that all shapes are found on, mm.
_CELL_MM = 2.2
# A narrower or flatter field of view is a cut-out, in which lung cannot be told from gas around it.
_FIELD_MM = 80.0
# A cell below the first value is lung or gas; air around the body is below the second. Where values were cut off or
# the scanner is calibrated badly it is brighter, up to the third; but unlike lung more than this share of it lies this
# close to one value.
_AIR_HU, _OUTER_AIR_HU, _BRIGHTEST_AIR_HU = -400.0, -970.0, -890.0
_ONE_VALUE_SHARE, _ONE_VALUE_HU = 0.6, 16.0
# Padding: one value, never that of lung, on at least this share of the border.
_PADDING_SHARE = 0.05
# Padding with noise is darker than the first value where it is smoothed, in this share of the slices; lung is mostly
# above the second, and below the last. Lung is looked for again where so much of it (mm3, and this share of what was
# found) may be lost; what is found then counts if it is so many times as much.
_NOISY_HU, _NOISY_SLICES, _LUNG_LIKE_HU = (-940.0, -930.0), 0.95, -600.0
_LOST_MM3, _LOST_SHARE, _MORE_LUNG = 30e3, 0.1, 1.15
# A quarter of a lung lies above this value, and half of one that is smaller than the second value (mm3) above the
# third: bowel gas and pockets of air are emptier, large emphysema nearly as empty.
_GAS_HU, _SMALL_LUNG_MM3, _SMALL_LUNG_HU = -920.0, 150e3, -930.0
# Nothing in a body but a lung, however empty, is as large as the first value (mm3); air is emptier than the second.
_LARGE_MM3, _EMPTY_LUNG_HU = 600e3, -965.0
# The largest axial section of a lung is at least this large and this share of the body's, so that a child has lungs
# too; the smaller lung has at least the last share of the larger.
_LUNG_SECTION_MM2, _LUNG_OF_BODY, _LUNG_SHARE = 1000.0, 0.03, 0.05
# The foam of a table is flatter than the first value, and has more than this share of all tissue on one side; the last
# where it has none on the other.
_FOAM_MM, _BESIDE, _BESIDE_BARE = 60.0, 0.9, 0.75
# The windpipe: sections of gas up to this size, this close to the body's middle, over at least this length.
_AIRWAY_HU, _AIRWAY_SECTION_MM2, _AIRWAY_OFFSET_MM, _AIRWAY_LENGTH_MM = -930.0, 900.0, 35.0, 30.0
# Radius of the closing that takes nodules at the pleura and vessels of the hilum into the mask.
_CLOSING_MM = 10.0
# Both lungs of a pair hold at least the first share of it, or the second in a field that shows little of one. Their
# centres lie this far apart, or in a child this share of the larger one's width.
_PART_SHARE, _SLIVER_SHARE, _PART_DISTANCE_MM, _PART_DISTANCE = 0.15, 0.03, 50.0, 0.6
# Of a pair at most the first share of the smaller one lies beyond the seam, and this much is between them, on lines
# from side to side that hold at least the last share of the smaller one.
_BEYOND_SEAM, _BETWEEN_MM, _COMMON_LINES = 0.1, 8.0, 0.3
# A lung has a side if at most this share of it lies on the other one.
_UNSURE = 0.3
# The chest wall at a lung's outer side is thinner than this share of the lung's width; the field cuts at most the
# second share of the lines at its other side.
_WALL, _CUT_LINES = 0.4, 0.05

_IN_PLANE = np.zeros((3, 3, 3), bool)
_IN_PLANE[1] = ndimage.generate_binary_structure(2, 1)


def lung_regions(ct: CT) -> np.ndarray:
    """The lungs of a CT in the axial view (columns run to the patient's left, rows to the back, slices to the head).

    Air inside the body is found on a grid of about 2 mm; the windpipe, gas and small components are left out; lungs
    that touch are parted at the neck between them; a closing of 10 mm and filled sections take nodules, vessels and
    masses inside the outline into the mask. Sides come from both lungs side by side, or from the outer edge of the body
    beside a lung.

    Returns:
        uint8 `[slice, row, column]`: 0 outside, 1 the patient's right lung, 2 the left one, 3 lung whose side the field
        of view does not show. All 0 if the field holds no lungs or is a cut-out too small to tell.
    """
    if min(ct.hu.shape[1] * ct.spacing[1], ct.hu.shape[2] * ct.spacing[0]) < _FIELD_MM:
        return np.zeros(ct.hu.shape, np.uint8)
    steps = tuple(
        min(max(1, round(_CELL_MM / spacing)), size)
        for spacing, size in zip(ct.spacing[::-1], ct.hu.shape, strict=True)
    )
    body, components = _seen(block_mean(ct.hu, steps), np.multiply(steps, ct.spacing[::-1]))
    if not components.any():
        return np.zeros(ct.hu.shape, np.uint8)
    lungs = _to_rim(_sides(components, body), body)
    return _to_fine(_closed(lungs, body.cell), steps, ct.hu.shape)


def block_mean(hu: np.ndarray, steps: tuple[int, ...]) -> np.ndarray:
    """Mean of blocks of `steps` voxels, float32 HU of at least -1024; voxels that do not fill a last block are left
    out.
    """
    deep, down, across = steps
    rows, columns = (size // step * step for size, step in zip(hu.shape[1:], steps[1:], strict=True))
    mean = np.empty([size // step for size, step in zip(hu.shape, steps, strict=True)], np.float32)
    for k, block in enumerate(mean):  # one after another: in the cache of a processor
        total = np.maximum(hu[k * deep : (k + 1) * deep, :rows, :columns], AIR_HU).sum(0, dtype=np.int32)
        total = sum((total[start::down] for start in range(1, down)), total[::down])
        total = sum((total[:, start::across] for start in range(1, across)), total[:, ::across])
        np.divide(total, np.float32(deep * down * across), out=block)
    return mean


def _to_fine(mask: np.ndarray, steps: tuple[int, ...], shape: tuple[int, ...]) -> np.ndarray:
    """Each cell repeated over its voxels, the last one to the end of the axis."""
    for axis, step in enumerate(steps):
        mask = mask.take(np.minimum(np.arange(shape[axis]) // step, mask.shape[axis] - 1), axis)
    return mask


@dataclass(frozen=True, eq=False)
class _Body:
    """What the field of view shows, on the coarse grid `[slice, row, column]`.

    Attributes:
        hu: mean HU of each cell.
        cell: mm along (slice, row, column).
        field: `[row, column]`, whether a cell is free of padding.
        rim: `[row, column]`, cells beside padding, which are part padding and part image.
        outer: air around the body.
    """

    hu: np.ndarray
    cell: np.ndarray
    field: np.ndarray
    rim: np.ndarray
    outer: np.ndarray

    @property
    def air(self) -> np.ndarray:
        """Lung and gas without the air around the body."""
        return (self.hu < _AIR_HU) & self.field & ~self.outer

    @property
    def at_side(self) -> np.ndarray:
        """`[row, column]`, the first and last cells of the field in each row."""
        padded = np.pad(self.field, [(0, 0), (1, 1)])
        return self.field & ~(padded[:, :-2] & padded[:, 2:])

    @property
    def tissue(self) -> np.ndarray:
        return (self.hu > _AIR_HU) & self.field


def _seen(coarse: np.ndarray, cell: np.ndarray) -> tuple[_Body, np.ndarray]:
    """What the field shows, and the components of lung in it.

    Where lung seems to have gone with the air around, what is empty in all slices is taken for padding with noise; it
    stays so if more lung is found then.
    """
    padding = _padding(coarse)
    body = _body(coarse, cell, padding)
    components = _lung_components(body)
    if _lost_mm3(body) > max(_LOST_MM3, _LOST_SHARE * (components > 0).sum() * np.prod(cell)):
        narrower = _body(coarse, cell, padding | _empty(coarse))
        more = _lung_components(narrower)
        if (more > 0).sum() > _MORE_LUNG * (components > 0).sum():
            return narrower, more
    return body, components


def _lost_mm3(body: _Body) -> float:
    """Volume of what is as dense as lung, and no thin edge, but hangs together with the air around."""
    like = body.outer & (body.hu > _NOISY_HU[1]) & (body.hu < _LUNG_LIKE_HU)
    thick = ndimage.binary_opening(like, np.ones((1, 3, 3), bool))
    return float(np.count_nonzero(thick) * np.prod(body.cell))


def _empty(coarse: np.ndarray) -> np.ndarray:
    """Cells `[row, column]` that hold air in nearly every slice, but for noise, and hang together with the border."""
    smooth = ndimage.uniform_filter(coarse, (1, 3, 3))
    regions, _ = ndimage.label((smooth < _NOISY_HU[0]).mean(0) > _NOISY_SLICES)
    border = np.ones(regions.shape, bool)
    border[1:-1, 1:-1] = False
    return np.isin(regions, np.setdiff1d(regions[border], 0))


def _body(coarse: np.ndarray, cell: np.ndarray, padding: np.ndarray) -> _Body:
    rim = ndimage.binary_dilation(padding, np.ones((3, 3))) & ~padding
    field = ~padding & ~rim
    air = (coarse < _AIR_HU) & field
    sections, count = ndimage.label(air, _IN_PLANE)
    edge = air & ~ndimage.binary_erosion(field, ndimage.generate_binary_structure(2, 1))
    # Lung that the field cuts is not as empty as air, so it does not count as outside.
    outside = np.zeros(count + 1, bool)
    if edge.any():
        numbers = np.unique(sections[edge])
        outside[numbers] = ndimage.median(coarse[edge], sections[edge], numbers) < _brightest_outside(coarse[edge])
    return _Body(coarse, cell, field, rim, outside[sections])


def _brightest_outside(at_edge: np.ndarray) -> float:
    """HU below which air at the edge of the field (the values given) is air around the body."""
    counts, ends = np.histogram(at_edge, np.arange(AIR_HU, _AIR_HU + _ONE_VALUE_HU, _ONE_VALUE_HU / 2))
    usual = float(ends[np.argmax(counts)] + _ONE_VALUE_HU / 4)
    alike = float((np.abs(at_edge - usual) <= _ONE_VALUE_HU).mean())
    if alike <= _ONE_VALUE_SHARE:
        return _OUTER_AIR_HU
    return float(np.clip(usual + _ONE_VALUE_HU, _OUTER_AIR_HU, _BRIGHTEST_AIR_HU))


def _padding(coarse: np.ndarray) -> np.ndarray:
    """Cells `[row, column]` that hold the padding's value in every slice and hang together with the border."""
    border = np.ones(coarse.shape[1:], bool)
    border[1:-1, 1:-1] = False
    values, counts = np.unique(coarse[:, border], return_counts=True)
    frequent = values[counts >= _PADDING_SHARE * counts.sum()]
    padding = np.zeros(coarse.shape[1:], bool)
    for value in frequent[(frequent < _OUTER_AIR_HU) | (frequent > _AIR_HU)]:
        regions, _ = ndimage.label((coarse == value).all(0))
        padding |= np.isin(regions, np.unique(regions[border & (regions > 0)]))
    return padding


def _airway(body: _Body) -> np.ndarray:
    """The windpipe and main bronchi: a long stack of small sections of gas near the body's middle, and its wall."""
    cell, air = body.cell, body.air
    middle = float(np.average(np.arange(air.shape[2]), weights=body.tissue.sum((0, 1))))
    sections, count = ndimage.label(air & (body.hu < _AIRWAY_HU), _IN_PLANE)
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


def _lung_components(body: _Body) -> np.ndarray:
    """The components of the body's air that are lungs by their size and density, numbered from 1, the largest first."""
    air = body.air
    if not air.any() or not body.tissue.any():
        return np.zeros(air.shape, int)
    air &= ~_airway(body)
    components, _ = ndimage.label(air)
    # Free of the blurred edge, which makes gas look like lung.
    inner = ndimage.binary_erosion(air, _IN_PLANE, border_value=1)
    volumes = np.bincount(components.ravel()) * np.prod(body.cell)
    volumes[0] = 0
    found: list[int] = []
    for number in np.argsort(volumes)[::-1]:
        if volumes[number] <= (_LUNG_SHARE * volumes[found[0]] if found else 0):
            break
        inside = components == number
        if _is_lung(inside, body.hu[inside & inner], body):
            found.append(int(number))
    order = np.zeros(len(volumes), int)
    order[found] = np.arange(1, len(found) + 1)
    return order[components]


def _is_lung(inside: np.ndarray, values: np.ndarray, body: _Body) -> bool:
    """Whether a component of air is lung; `values` are the HU of its cells without the blurred edge."""
    sections = inside.sum((1, 2))
    k = int(np.argmax(sections))
    of_body = _LUNG_OF_BODY * int((body.field & ~body.outer[k]).sum())
    if sections[k] < min(of_body, _LUNG_SECTION_MM2 / (body.cell[1] * body.cell[2])) or not values.size:
        return False
    volume = sections.sum() * np.prod(body.cell)
    if np.percentile(values, 75) <= (_EMPTY_LUNG_HU if volume > _LARGE_MM3 else _GAS_HU):
        return False
    small = volume < _SMALL_LUNG_MM3
    return not (small and np.median(values) <= _SMALL_LUNG_HU) and not _is_foam(inside, body)


def _is_foam(inside: np.ndarray, body: _Body) -> bool:
    """Whether a component is the foam of a table, a cushion or a gown: flat, and beside the body."""
    for axis in (1, 2):
        tissue = body.tissue.sum((0, 3 - axis)).cumsum()
        before = float(tissue[round(np.nonzero(inside)[axis].mean())] / tissue[-1])
        flat = inside.sum() / inside.any(axis).sum() * body.cell[axis] < _FOAM_MM
        # A lung that the side of a narrow field cuts lies beside all tissue too.
        cut = axis == 2 and (inside & body.at_side).any()
        least = _BESIDE_BARE if axis == 1 and _is_bare(inside, body.tissue, before > 0.5) else _BESIDE
        if flat and not cut and max(before, 1 - before) > least:
            return True
    return False


def _is_bare(inside: np.ndarray, tissue: np.ndarray, behind: bool) -> bool:
    """Whether most of a component has no tissue behind it, or before it."""
    if not behind:
        inside, tissue = inside[:, ::-1], tissue[:, ::-1]
    last = inside.shape[1] - 1 - inside[:, ::-1].argmax(1)
    beyond = tissue & (np.arange(inside.shape[1])[:, None] > last[:, None])
    return bool(beyond.any(1)[inside.any(1)].mean() < 0.5)


def _sides(components: np.ndarray, body: _Body) -> np.ndarray:
    """Components of lung as right, left and without side; one that holds both lungs is parted."""
    middle = _middle(components, body)
    sides = np.zeros(components.shape, np.uint8)
    for number, box in enumerate(ndimage.find_objects(components), 1):
        inside = components[box] == number
        columns = np.nonzero(inside)[2] + box[2].start
        share = 0.5 if middle is None else float((columns < middle).mean())
        least = _SLIVER_SHARE if middle is None else _PART_SHARE
        part = _parted(inside, body.cell, least) if least < share < 1 - least else None
        if part is None:
            side = _side_by_wall(components == number, body) if middle is None else _side_of(share)
            part = inside.astype(np.uint8) * side
        elif middle is None:
            middle = float(np.mean([np.nonzero(part == side)[2].mean() for side in (RIGHT, LEFT)])) + box[2].start
        sides[box][inside] = part[inside]
    return sides


def _side_of(share: float) -> int:
    """The side of a lung of which `share` lies to the right of the middle."""
    return RIGHT if share > 1 - _UNSURE else LEFT if share < _UNSURE else UNSIDED


def _middle(components: np.ndarray, body: _Body) -> float | None:
    """The column between the lungs: between two that lie side by side, or midway in a body seen from edge to edge.

    None where the field shows neither.
    """
    middle, width = _body_middle(components > 0, body.outer)
    for number in range(2, int(components.max()) + 1):
        seam = _between(components == 1, components == number, body.cell)
        # Two parts of one lung, beside one that is missing, lie on the same side of the body.
        if seam is not None and (middle is None or abs(seam - middle) < width / 4):
            return seam
    return middle


def _body_middle(lungs: np.ndarray, outer: np.ndarray) -> tuple[float | None, float]:
    """The middle and the width of the body, columns, if both its edges are seen beside most of the lungs' lines."""
    edges = _edges(lungs, outer)
    seen = (edges[0] >= 0) & (edges[3] < outer.shape[2])
    if seen.mean() < 0.5:
        return None, 0.0
    first, last = edges[0][seen], edges[3][seen]
    return float(np.median((first + last) / 2)), float(np.median(last - first))


def _edges(lungs: np.ndarray, outer: np.ndarray) -> np.ndarray:
    """For each line of columns with lung four columns `[4, line]`: air around the body before, the lung's first and
    last cell, air around the body behind. -1 and the number of columns stand for air that is not seen.
    """
    lines = lungs.any(2)
    lung, air, last = lungs[lines], outer[lines], lungs.shape[2] - 1
    begin, end = lung.argmax(1), last - lung[:, ::-1].argmax(1)
    columns = np.arange(last + 1)
    before = np.where(air & (columns < begin[:, None]), columns, -1).max(1)
    behind = np.where(air & (columns > end[:, None]), columns, last + 1).min(1)
    return np.stack([before, begin, end, behind])


def _side_by_wall(lung: np.ndarray, body: _Body) -> int:
    """The side on which the outer edge of the body lies close beside a lung; no side where none or both do.

    Nor where the field cuts the lung's other side, since the other lung may hang together with it there.
    """
    before, begin, end, behind = _edges(lung, body.outer)
    wall = _WALL * float(np.median(end - begin + 1))
    right = ((before >= 0) & (begin - before < wall)).mean() > 0.5
    left = ((behind < lung.shape[2]) & (behind - end < wall)).mean() > 0.5
    side = UNSIDED if right == left else RIGHT if right else LEFT
    rows = np.nonzero(lung.any(2))[1]
    return UNSIDED if body.at_side[rows, end if side == RIGHT else begin].mean() > _CUT_LINES else side


def _between(one: np.ndarray, other: np.ndarray, cell: np.ndarray) -> float | None:
    """The column that parts two components if they lie side by side with tissue between, as the lungs do, else None."""
    seam = _seam(one, other, cell[2])
    if seam is None:
        return None
    lines = one.any(2) & other.any(2)
    if lines.sum() < _COMMON_LINES * min(one.any(2).sum(), other.any(2).sum()):
        return None
    right, left = (one, other) if np.nonzero(one)[2].mean() < np.nonzero(other)[2].mean() else (other, one)
    gap = left[lines].argmax(1) - (right.shape[2] - 1 - right[lines][:, ::-1].argmax(1)) - 1
    return seam if np.median(gap) * cell[2] >= _BETWEEN_MM else None


def _seam(one: np.ndarray, other: np.ndarray, column_mm: float) -> float | None:
    """The column that best parts two masks if they lie side by side, else None."""
    counts = np.array([mask.sum((0, 1)) for mask in (one, other)], float)
    columns = np.arange(counts.shape[1])
    centres = counts @ columns / counts.sum(1)
    right, left = counts[np.argsort(centres)]
    wrong = left.cumsum() + right[::-1].cumsum()[::-1] - right
    width = max(np.ptp(columns[count > 0]) for count in counts) + 1
    apart = min(_PART_DISTANCE_MM / column_mm, _PART_DISTANCE * width)
    if abs(centres[0] - centres[1]) < apart or wrong.min() > _BEYOND_SEAM * counts.sum(1).min():
        return None
    best = np.flatnonzero(wrong == wrong.min())
    return float(best.mean()) + 0.5


def _parted(lungs: np.ndarray, cell: np.ndarray, least: float) -> np.ndarray | None:
    """Both lungs of one component as right and left, parted where the way from one to the other is narrow.

    None where there are no two parts of at least a share of `least` that lie as the lungs do.
    """
    depth = ndimage.distance_transform_edt(np.pad(lungs, 1), cell)[1:-1, 1:-1, 1:-1]
    for radius in np.arange(1, 9) * cell[2]:
        cores, count = ndimage.label(depth > radius)
        if count < 2:
            continue
        sizes = np.bincount(cores.ravel())[1:]
        pair = np.argsort(sizes)[-2:] + 1
        one, other = (cores == number for number in pair)
        if sizes[pair[0] - 1] < least * sizes.sum() or _seam(one, other, cell[2]) is None:
            continue
        right, left = (one, other) if np.nonzero(one)[2].mean() < np.nonzero(other)[2].mean() else (other, one)
        parts = watershed(-depth, right * RIGHT + left * LEFT, mask=lungs).astype(np.uint8)
        if _between(parts == RIGHT, parts == LEFT, cell) is not None:
            return parts
    return None


def _to_rim(sides: np.ndarray, body: _Body) -> np.ndarray:
    """Lungs that reach the rim of the field go on in it."""
    grown = sides.copy()
    room = body.rim & (body.hu < _AIR_HU)
    for side in (RIGHT, LEFT, UNSIDED) if body.rim.any() else ():
        grown[ndimage.binary_dilation(sides == side, _IN_PLANE) & room & (grown == 0)] = side
    return grown


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
