"""The generate stage: G(x) for the slices of a CT, everywhere or in tiles in and around the candidates.

G(x) at a pixel depends only on pixels within the network's reach in three slices, so a tile read with that much
surrounding gives the same values as the whole slice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, pairwise

import numpy as np
from scipy import ndimage

from ..core.boxes import Box, filled_box
from ..core.ct import CT, Region
from ..networks.grid import NetworkGrid, between, to_ct_grid
from .fusion import FusionRule, peak_in

# Tiles are made of square cells this many pixels wide: smaller and larger ones take longer.
_CELL_PX = 8
# The widest tile in pixels: a larger one saves little at its border and needs more memory.
_WIDEST_PX = 144
# This many voxels are in the network's hands at a time.
_VOXELS = 2**21
# Components are followed to this much below their edge, which was found on another grid.
_ROUNDING = 1e-4


@dataclass(frozen=True)
class _Triplets:
    """How volumes of three slices are laid over a CT.

    Attributes:
        every: there is a triplet for every so many slices of the CT, numbered as that slice.
        first: its first slice, counted from that slice in slices of a triplet.
        used: which of the three slices of G(x) are taken.
        spread: whether its slices lie as far apart as the network grid says; else they are neighbours.
    """

    every: int
    first: int
    used: tuple[int, ...]
    spread: bool


_TRIPLETS = {
    "averaged": _Triplets(1, -1, (0, 1, 2), spread=True),
    "overlapping": _Triplets(1, -1, (1,), spread=True),
    "neighbouring": _Triplets(1, -1, (0, 1, 2), spread=False),
    "paper": _Triplets(3, 0, (0, 1, 2), spread=False),
}


@dataclass(frozen=True, eq=False)
class NoduleImage:
    """G(x) on the network grid; indexed by a box of the CT it gives the values there, linearly interpolated.

    Attributes:
        values: float32 `[slice, y, x]`, 0 where the generator was not run.
        known: bool, same shape: where it was run.
        steps: CT rows and columns in one pixel.
        ct_shape: `(slices, rows, columns)` of the CT.
    """

    values: np.ndarray
    known: np.ndarray
    steps: tuple[float, float]
    ct_shape: tuple[int, int, int]

    def on_ct_grid(self) -> np.ndarray:
        """G(x) on the CT's own grid, float32; 0 where a pixel needed is not known."""
        result = np.zeros(self.ct_shape, np.float32)
        for k in np.flatnonzero(self.known.any((1, 2))).tolist():
            y, x = (np.flatnonzero(self.known[k].any(axis)) for axis in (1, 0))
            rows = _covered(y[0], y[-1], self.steps[0], self.ct_shape[1])
            columns = _covered(x[0], x[-1], self.steps[1], self.ct_shape[2])
            result[k, rows, columns] = self[k, rows, columns]
        return result

    def __getitem__(self, box: Region) -> np.ndarray:
        k, rows, columns = box
        if isinstance(k, slice):
            return np.stack([self[one, rows, columns] for one in range(k.start, k.stop)])
        ranges = (rows.start, rows.stop), (columns.start, columns.stop)
        if not self.known[k].any():
            return np.zeros([stop - start for start, stop in ranges], np.float32)
        values = to_ct_grid(self.values[k], self.steps, *ranges)
        if not self.known[k].all():
            values[to_ct_grid(self.known[k].astype(np.float32), self.steps, *ranges) < 1 - 1e-5] = 0
        return values

    @property
    def box(self) -> Box | None:
        """The smallest box of the CT outside of which G(x) is 0; None where the generator was not run."""
        known = filled_box(self.known)
        if known is None:
            return None
        k, y, x = known
        rows = _covered(y.start, y.stop - 1, self.steps[0], self.ct_shape[1])
        return k, rows, _covered(x.start, x.stop - 1, self.steps[1], self.ct_shape[2])

    def overlay(self, other: NoduleImage, box: Region, spared: Iterable[Region]) -> None:
        """Put what another grid's image shows in a box of the CT over this one, but for the regions that are spared."""
        k, y, x = on_grid(box, self.steps, self.values.shape)
        assert isinstance(k, slice)
        free = np.zeros(self.known.shape, bool)
        free[k, y, x] = True
        for region in spared:
            free[on_grid(region, self.steps, self.values.shape)] = False
        pixels = other.steps[0] / self.steps[0], other.steps[1] / self.steps[1]  # of this image in one of the other
        for slice_ in range(k.start, k.stop):
            seen = to_ct_grid(other.values[slice_], pixels, (y.start, y.stop), (x.start, x.stop))
            np.copyto(self.values[slice_, y, x], seen, where=free[slice_, y, x])
        self.known[free] = True


def on_grid(region: Region, steps: tuple[float, float], shape: tuple[int, ...]) -> Region:
    """A region of the CT on a network grid of `shape` `(slice, y, x)`, one pixel wider for interpolation."""
    y, x = (
        slice(max(0, int(part.start / step) - 1), min(size, int(np.ceil(part.stop / step)) + 1))
        for part, step, size in zip(region[1:], steps, shape[1:], strict=True)
    )
    return region[0], y, x


def _covered(first: int, last: int, step: float, size: int) -> slice:
    """CT rows (or columns) on or beside network pixels `first` to `last`."""
    # To the edge of the next pixel, so that rows of a dropped partial last pixel are among them.
    return slice(max(0, int(np.floor((first - 0.5) * step))), min(size, int(np.ceil((last + 2) * step))))


@dataclass(frozen=True)
class Wanted:
    """Where G(x) is wanted, and how far from there.

    Attributes:
        boxes: where it is wanted in any case.
        limit: components that touch the boxes are followed in here, and nowhere else.
        rule: says where they end; None: they are not followed.
        seeded: whether a person pointed there, as the rule asks.
    """

    boxes: Sequence[Region]
    limit: Region
    rule: FusionRule | None = None
    seeded: bool = False

    def edge(self, image: NoduleImage) -> float:
        """The value of G(x) at which components end; infinite where they are not followed."""
        return math.inf if self.rule is None else self.rule.edge_below(peak_in(image, self.boxes), seeded=self.seeded)


def generate(
    ct: CT,
    run: Callable[[np.ndarray], np.ndarray],
    grid: NetworkGrid,
    places: Sequence[Wanted] | None,
    *,
    reach: int,
    cell: int = 1,
    triplets: str = "averaged",
    report: Callable[[float], None] = lambda fraction: None,
    cell_px: int = _CELL_PX,
) -> NoduleImage:
    """G(x) of a CT in the axial view.

    With `places` None the generator runs everywhere. Else it runs in tiles that cover the places' boxes, and in further
    tiles for as long as a component that touches a box reaches beyond the tiles known so far. Components are the same
    as if the generator had run everywhere.

    Args:
        run: applies the generator to tiles `[n, 1, 3, y, x]`; returns the same shape.
        reach, cell: of the generator: pixels further away than `reach` do not count, and tiles must begin on multiples
            of `cell` pixels.
        triplets: `averaged` runs each slice with one on either side, as far away as the grid says, and averages what
            the runs that hold a slice give for it, as its first, middle and last; `overlapping` takes the middle slice
            of each run; `neighbouring` averages runs of neighbouring slices, whatever the grid says; `paper` puts
            triplets of neighbours side by side from the first slice. Slices between those of the CT are interpolated,
            its end slices repeated.
        cell_px: tiles are made of cells this many pixels wide, rounded up to a multiple of `cell`.
    """
    work = _Work(ct, grid, _up(cell_px, cell), _up(reach, cell), triplets, run)
    if places is None:
        work.evaluate(np.ones_like(work.done), report)
        return work.image()
    wanted = work.mask([box for place in places for box in place.boxes])
    pending = work.cells_of(wanted)
    edges: _Edges | None = None
    rounds = 0
    while pending.any():
        first, span = 1 - 0.5**rounds, 0.5 ** (rounds + 1)
        work.evaluate(pending, lambda fraction, first=first, span=span: report(first + span * fraction))  # type: ignore[misc]
        edges = work.edges(places) if edges is None else edges
        pending = work.cells_of(_reached(work.values, wanted, edges)) & ~work.done
        rounds += 1
    return work.image()


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


@dataclass(frozen=True, eq=False)
class _Edges:
    """For each pixel whether components are `followed` there, and the value of G(x) at which they end.

    `boxes` hold all pixels where they are; those that are neighbours lie in one box.
    """

    values: np.ndarray
    followed: np.ndarray
    boxes: list[tuple[slice, ...]]


def _reached(values: np.ndarray, wanted: np.ndarray, edges: _Edges) -> np.ndarray:
    """Pixels that must be known: components above their edges that touch `wanted`, with what may join them.

    A CT voxel lies between 2 x 2 pixels, so components of CT voxels can bridge a gap of one pixel: hence the dilations.
    """
    reached = np.zeros(values.shape, bool)
    for box in edges.boxes:
        followed = edges.followed[box]
        joined = _dilated(values[box] > edges.values[box], (1, 2)) & followed
        labels, count = ndimage.label(joined, np.ones((3, 3, 3)))
        touched = np.zeros(count + 1, bool)
        touched[labels[wanted[box]]] = True
        touched[0] = False
        reached[box] |= _dilated(touched[labels], (0, 1, 2)) & followed
    return reached


def _dilated(mask: np.ndarray, axes: Sequence[int]) -> np.ndarray:
    """The mask with its neighbours along the axes, corners too: in a twentieth of the time of scipy's general
    dilation.
    """
    for axis in axes:
        grown = mask.copy()
        before, after = np.moveaxis(mask, axis, 0), np.moveaxis(grown, axis, 0)
        after[1:] |= before[:-1]
        after[:-1] |= before[1:]
        mask = grown
    return mask


def _tiles(cells: np.ndarray, margin: float, widest: int) -> np.ndarray:
    """Tiles `(first row, end row, first column, end column)` that cover the cells `[y, x]`.

    Runs of cells in a row are joined while that leaves less to compute: a tile's own rows and columns and `margin`
    more. Tiles are at most `widest` cells wide and may overlap.
    """
    tiles = np.array([(y, y + 1, *run) for y in np.flatnonzero(cells.any(1)) for run in _runs(cells[y], widest)])
    while len(tiles) > 1:
        low = np.minimum(tiles[:, None, ::2], tiles[:, ::2])
        high = np.maximum(tiles[:, None, 1::2], tiles[:, 1::2])
        joint = (high - low + margin).prod(-1)
        saved = joint.diagonal()[:, None] + joint.diagonal() - joint
        saved[((high - low) > widest).any(-1) | np.eye(len(tiles), dtype=bool)] = -1
        one, other = np.unravel_index(saved.argmax(), saved.shape)
        if saved[one, other] <= 0:
            break
        tiles[one, ::2], tiles[one, 1::2] = low[one, other], high[one, other]
        tiles = np.delete(tiles, other, 0)
    return tiles


def _runs(row: np.ndarray, widest: int) -> list[tuple[int, int]]:
    """Begin and end of each run of cells, long ones in equal parts."""
    ends = np.flatnonzero(np.diff(row.astype(np.int8), prepend=0, append=0)).reshape(-1, 2)
    cuts = [
        np.linspace(begin, end, -(-(end - begin) // widest) + 1).round().astype(int).tolist() for begin, end in ends
    ]
    return [pair for cut in cuts for pair in pairwise(cut)]


@dataclass(frozen=True)
class _Tile:
    """One tile of one triplet: cells from row `y` and column `x` on, `rows` by `columns` of them."""

    rows: int
    columns: int
    unit: int
    y: int
    x: int

    @property
    def cells(self) -> tuple[int, slice, slice]:
        return self.unit, slice(self.y, self.y + self.rows), slice(self.x, self.x + self.columns)


class _Work:
    """The cells of one CT: which triplets' are done, the values so far, and the padded slices they are computed
    from.
    """

    def __init__(
        self, ct: CT, grid: NetworkGrid, cell: int, margin: int, triplets: str, run: Callable[[np.ndarray], np.ndarray]
    ) -> None:
        self.ct, self.grid, self.cell, self.margin, self.run = ct, grid, cell, margin, run
        self.triplets = _TRIPLETS[triplets]
        # In a CT thinner than a triplet most slices would be its repeated ends; neighbours show more.
        holds_one = grid.slice_mm is None or len(ct.hu) * ct.spacing[2] >= 3 * grid.slice_mm
        apart = grid.slices_apart(ct.spacing[2]) if self.triplets.spread and holds_one else 1.0
        # Where a triplet's slices lie, counted from the slice it is numbered as.
        self.offsets = [apart * (self.triplets.first + number) for number in range(3)]
        self.steps = grid.steps(ct.hu.shape[1:], ct.spacing[:2])
        first = grid.sample(ct.hu[:1], ct.spacing[:2])
        self.shape = (len(ct.hu), first.shape[1], first.shape[2])
        self.counts = tuple(-(-extent // cell) for extent in self.shape[1:])
        # A row of cells for each triplet, numbered as its slice; numbers without a triplet count as done.
        self.done = np.zeros((len(ct.hu), *self.counts), bool)
        self.done[np.arange(len(ct.hu)) % self.triplets.every > 0] = True
        self.values = np.zeros((len(ct.hu), *(count * cell for count in self.counts)), np.float32)
        self._slices: dict[int, np.ndarray] = {}

    def mask(self, regions: Iterable[Region]) -> np.ndarray:
        mask = np.zeros(self.values.shape, bool)
        for region in regions:
            mask[on_grid(region, self.steps, self.shape)] = True
        return mask

    def edges(self, places: Sequence[Wanted]) -> _Edges:
        """For each pixel the lowest edge of the places in whose limits it lies."""
        image = self.image()
        levels = [(place.edge(image) - _ROUNDING, place.limit) for place in places]
        edges, followed = np.zeros(self.values.shape, np.float32), np.zeros(self.values.shape, bool)
        for level, limit in sorted(levels, key=lambda pair: -pair[0]):
            region = on_grid(limit, self.steps, self.shape)
            edges[region], followed[region] = level, math.isfinite(level)
        parts, _ = ndimage.label(self._by_cell(followed), np.ones((3, 3, 3)))
        scale = 1, self.cell, self.cell
        boxes = [
            tuple(slice(part.start * step, part.stop * step) for part, step in zip(box, scale, strict=True))
            for box in ndimage.find_objects(parts)
        ]
        return _Edges(edges, followed, boxes)

    def _by_cell(self, mask: np.ndarray) -> np.ndarray:
        """Cells `[slice, y, x]` that hold a pixel of `mask`."""
        result = np.zeros_like(self.done)
        for k in np.flatnonzero(mask.any((1, 2))):
            result[k] = mask[k].reshape(self.counts[0], self.cell, self.counts[1], self.cell).any((1, 3))
        return result

    def cells_of(self, mask: np.ndarray) -> np.ndarray:
        """Cells `[triplet, y, x]` that give at least one pixel of `mask`."""
        of_slice = self._by_cell(mask)
        cells = np.zeros_like(of_slice)
        for k in np.flatnonzero(of_slice.any((1, 2))).tolist():
            cells[self._units_of(k)] |= of_slice[k]
        return cells

    def _units_of(self, k: int) -> list[int]:
        """The triplets of which a slice of G(x) is taken for slice k of the image."""
        units = {k - offset for offset, _, _ in self._shares}
        return [unit for unit in sorted(units) if self._is_triplet(unit)]

    def _is_triplet(self, unit: int) -> bool:
        return 0 <= unit < self.shape[0] and unit % self.triplets.every == 0

    @cached_property
    def _shares(self) -> list[tuple[int, int, float]]:
        """To which slices the used slices of a triplet's G(x) go: counted from the triplet's own, which of the three,
        weight.

        One that lies between two slices of the CT goes to both, by their nearness.
        """
        shares = []
        for number in self.triplets.used:
            below = math.floor(self.offsets[number])
            nearness = below + 1 - self.offsets[number]
            shares += [(below, number, nearness), (below + 1, number, 1 - nearness)]
        return [share for share in shares if share[2] > 0]

    @cached_property
    def _weights(self) -> np.ndarray:
        """For each slice of the image the sum of the weights of what it gets."""
        slices = range(self.shape[0])
        return np.array(
            [sum(weight for offset, _, weight in self._shares if self._is_triplet(k - offset)) for k in slices]
        )

    def evaluate(self, cells: np.ndarray, report: Callable[[float], None]) -> None:
        """Compute the cells `[triplet, y, x]`."""
        tiles = [
            _Tile(int(b - a), int(d - c), int(unit), int(a), int(c))
            for unit in np.flatnonzero((cells & ~self.done).any((1, 2)))
            # Layer by layer the margin shrinks to nothing on both sides: half of it counts.
            for a, b, c, d in _tiles(cells[unit], self.margin / self.cell, max(1, _WIDEST_PX // self.cell))
        ]
        whole, computed = sum(tile.rows * tile.columns for tile in tiles), 0
        # Tiles of one size make a batch.
        for (rows, columns), same in groupby(sorted(tiles, key=_size), key=_size):
            group = list(same)
            volume = 3 * (rows * self.cell + 2 * self.margin) * (columns * self.cell + 2 * self.margin)
            chunk = max(1, _VOXELS // volume)
            for begin in range(0, len(group), chunk):
                part = group[begin : begin + chunk]
                output = self.run(np.stack([self._input(tile) for tile in part])[:, None])[:, 0]
                for tile, values in zip(part, output, strict=True):
                    self._store(tile, values)
                computed += len(part) * rows * columns
                report(computed / whole)
        # The last cells reach beyond the slice; what lies there is no part of the image.
        self.values[:, self.shape[1] :] = 0
        self.values[:, :, self.shape[2] :] = 0

    def image(self) -> NoduleImage:
        values, known = np.zeros(self.values.shape, np.float32), np.zeros(self.values.shape, bool)
        for k in range(self.shape[0]):
            cells = self.done[self._units_of(k)].all(0)
            if cells.any():
                known[k] = cells.repeat(self.cell, 0).repeat(self.cell, 1)
                values[k] = np.where(known[k], self.values[k], 0)
        inside = np.s_[:, : self.shape[1], : self.shape[2]]
        return NoduleImage(values[inside], known[inside], self.steps, self.ct.hu.shape)

    def _input(self, tile: _Tile) -> np.ndarray:
        """Three slices of one tile with the margin around, `[3, y, x]`."""
        window = tuple(
            slice(begin * self.cell, (begin + count) * self.cell + 2 * self.margin)
            for begin, count in ((tile.y, tile.rows), (tile.x, tile.columns))
        )
        return np.stack([self._slice_at(tile.unit + offset, window) for offset in self.offsets])

    def _slice_at(self, position: float, window: tuple[slice, ...]) -> np.ndarray:
        """A window of the padded slice at a position between the CT's slices, linearly interpolated."""
        sides = between(position, self.shape[0])
        return np.sum([np.float32(weight) * self._padded(k)[window] for k, weight in sides], axis=0)

    def _store(self, tile: _Tile, values: np.ndarray) -> None:
        """Keep G(x) `[3, y, x]` of a tile and its margin, where it is new."""
        _, y, x = tile.cells
        fresh = (~self.done[tile.cells]).repeat(self.cell, 0).repeat(self.cell, 1)
        window = tuple(slice(part.start * self.cell, part.stop * self.cell) for part in (y, x))
        for offset, number, weight in self._shares:
            k = tile.unit + offset
            if 0 <= k < self.shape[0]:
                # A mean of which a part is still missing stays below its value (G(x) is never negative): what it
                # reaches is reached.
                inner = values[number, self.margin : -self.margin, self.margin : -self.margin]
                self.values[k][window] += fresh * inner * (weight / self._weights[k])
        self.done[tile.cells] = True

    def _padded(self, k: int) -> np.ndarray:
        """Slice k on the network grid, mirrored at its border by the margin and to whole cells."""
        if k not in self._slices:
            image = self.grid.sample(self.ct.hu[k : k + 1], self.ct.spacing[:2])[0]
            after = [
                count * self.cell - extent + self.margin for count, extent in zip(self.counts, image.shape, strict=True)
            ]
            padding = [(self.margin, after[0]), (self.margin, after[1])]
            self._slices[k] = np.pad(image, padding, mode="symmetric")
        return self._slices[k]


def _size(tile: _Tile) -> tuple[int, int]:
    return tile.rows, tile.columns
