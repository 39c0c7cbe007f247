"""The generate stage: G(x) for the slices of a CT, everywhere or in tiles in and around the candidates.

G(x) at a pixel depends only on pixels at most `REACH` away in three slices, so a tile read with that much surrounding
gives the same values as the whole slice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage

from .ct import CT
from .grid import NetworkGrid, to_ct_grid
from .networks.generator import REACH

#: A tile on the network grid: slice (or triplet), tile row, tile column.
Tile = tuple[int, int, int]

# Tile widths in pixels. A tile is read with 8 pixels around it: small ones waste that, large ones compute what is not asked.
_TILE_AROUND_CANDIDATES = 24
_TILE_EVERYWHERE = 128


@dataclass(frozen=True)
class _Triplets:
    """How volumes of three slices are laid over a CT.

    Attributes:
        step: there is a triplet for every `step`th slice of the CT, numbered as that slice.
        first: its first slice, counted from that slice.
        used: which of the three slices of G(x) are taken.
    """

    step: int
    first: int
    used: tuple[int, ...]


_TRIPLETS = {
    "averaged": _Triplets(1, -1, (0, 1, 2)),
    "overlapping": _Triplets(1, -1, (1,)),
    "paper": _Triplets(3, 0, (0, 1, 2)),
}

#: A box on the CT grid of the axial view: slices, rows, columns.
Region = tuple[slice, slice, slice]


@dataclass(frozen=True, eq=False)
class NoduleImage:
    """G(x) on the network grid.

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
        """G(x) linearly interpolated on the CT's own grid, float32; 0 where a pixel needed is not known."""
        result = np.zeros(self.ct_shape, np.float32)
        for k in np.flatnonzero(self.known.any((1, 2))):
            y, x = (np.flatnonzero(self.known[k].any(axis)) for axis in (1, 0))
            rows = _covered(y[0], y[-1], self.steps[0], self.ct_shape[1])
            columns = _covered(x[0], x[-1], self.steps[1], self.ct_shape[2])
            values = to_ct_grid(self.values[k], self.steps, rows, columns)
            if not self.known[k].all():
                values[to_ct_grid(self.known[k].astype(np.float32), self.steps, rows, columns) < 1 - 1e-5] = 0
            result[k, rows[0] : rows[1], columns[0] : columns[1]] = values
        return result


def _covered(first: int, last: int, step: float, size: int) -> tuple[int, int]:
    """Half-open range of CT rows (or columns) on or beside network pixels `first` to `last`."""
    # To the edge of the next pixel, so that rows of a dropped partial last pixel are among them.
    return max(0, int(np.floor((first - 0.5) * step))), min(size, int(np.ceil((last + 2) * step)))


def generate(
    ct: CT,
    run: Callable[[torch.Tensor], torch.Tensor],
    grid: NetworkGrid,
    regions: Iterable[Region] | None,
    limits: Iterable[Region] = (),
    *,
    threshold: float,
    triplets: str = "averaged",
    report: Callable[[float], None] = lambda fraction: None,
    tile: int | None = None,
) -> NoduleImage:
    """G(x) of a CT in the axial view.

    With `regions` None the generator runs everywhere. Else it runs in tiles that cover the regions, and in further tiles
    for as long as a component above `threshold` that touches a region reaches beyond the tiles known so far. Components are
    followed inside `limits` only; there they are the same as if the generator had run everywhere.

    `triplets`: `averaged` runs three slices around each and averages what the (at most) three runs that hold a slice give for
    it; `overlapping` takes the middle slice of each run; `paper` puts triplets side by side from the first slice and repeats
    the last slice to fill. `run` applies the generator to many tiles `[n, 1, 3, y, x]` and returns the same shape
    on the CPU.
    """
    size = tile or (_TILE_EVERYWHERE if regions is None else _TILE_AROUND_CANDIDATES)
    work = _Work(ct, grid, size, triplets, run)
    if regions is None:
        work.evaluate(work.all_tiles(), report)
        return work.image()
    wanted = work.mask(regions)
    allowed = wanted | work.mask(limits)
    pending = work.tiles_of(wanted)
    rounds = 0
    while pending:
        first, span = 1 - 0.5**rounds, 0.5 ** (rounds + 1)
        work.evaluate(pending, lambda fraction, first=first, span=span: report(first + span * fraction))  # type: ignore[misc]
        pending = work.tiles_of(allowed & _reached(work.values, wanted, allowed, threshold)) - work.done
        rounds += 1
    return work.image()


def _reached(values: np.ndarray, wanted: np.ndarray, allowed: np.ndarray, threshold: float) -> np.ndarray:
    """Pixels that must be known: components above the threshold that touch `wanted`, with what may join them.

    A CT voxel lies between 2 x 2 pixels, so components of CT voxels can bridge a gap of one pixel: hence the dilations.
    """
    (box,) = ndimage.find_objects(allowed.view(np.int8))
    joined = ndimage.binary_dilation(values[box] > threshold, np.ones((1, 3, 3))) & allowed[box]
    labels, _ = ndimage.label(joined, np.ones((3, 3, 3)))
    touched = np.zeros(labels.max() + 1, bool)
    touched[labels[wanted[box]]] = True
    touched[0] = False
    reached = np.zeros(values.shape, bool)
    reached[box] = ndimage.binary_dilation(touched[labels], np.ones((3, 3, 3)))
    return reached


class _Work:
    """The tiles of one CT: which are known, their values, and the padded slices they are read from."""

    def __init__(
        self, ct: CT, grid: NetworkGrid, tile: int, triplets: str, run: Callable[[torch.Tensor], torch.Tensor]
    ) -> None:
        self.ct, self.grid, self.tile, self.run = ct, grid, tile, run
        self.triplets = _TRIPLETS[triplets]
        self.steps = grid.steps(ct.hu.shape[1:], ct.spacing[:2])
        first = grid.sample(ct.hu[:1], ct.spacing[:2])
        self.shape = (len(ct.hu), first.shape[1], first.shape[2])
        self.counts = tuple(-(-extent // tile) for extent in self.shape[1:])
        padded = [extent * tile for extent in self.counts]
        self.values = np.zeros((len(ct.hu), *padded), np.float32)
        self.done: set[Tile] = set()
        self._slices: dict[int, torch.Tensor] = {}

    def all_tiles(self) -> set[Tile]:
        units = range(0, self.shape[0], self.triplets.step)
        return {(k, y, x) for k in units for y in range(self.counts[0]) for x in range(self.counts[1])}

    def mask(self, regions: Iterable[Region]) -> np.ndarray:
        """The regions on the network grid, one pixel wider for interpolation."""
        mask = np.zeros(self.values.shape, bool)
        for region in regions:
            y, x = (
                slice(max(0, int(part.start / step) - 1), int(np.ceil(part.stop / step)) + 1)
                for part, step in zip(region[1:], self.steps, strict=True)
            )
            mask[region[0], y, x] = True
        return mask

    def tiles_of(self, mask: np.ndarray) -> set[Tile]:
        """Tiles that give at least one pixel of `mask`."""
        k, y, x = np.nonzero(mask[:, : self.shape[1], : self.shape[2]])
        found = np.unique(np.column_stack([k, y // self.tile, x // self.tile]), axis=0)
        return {(unit, int(b), int(c)) for a, b, c in found for unit in self._units_of(int(a))}

    def _units_of(self, k: int) -> list[int]:
        """The triplets of which a slice of G(x) is taken for slice k of the image."""
        units = (k - self.triplets.first - number for number in self.triplets.used)
        return [unit for unit in units if 0 <= unit < self.shape[0] and unit % self.triplets.step == 0]

    def evaluate(self, tiles: set[Tile], report: Callable[[float], None]) -> None:
        ordered = sorted(tiles)
        chunk = max(1, 2**21 // (self.tile + 2 * REACH) ** 2 // 3)  # about 2 million voxels in hand at a time
        for begin in range(0, len(ordered), chunk):
            part = ordered[begin : begin + chunk]
            output = self.run(torch.stack([self._input(tile) for tile in part])[:, None])[:, 0]
            inner = output[..., REACH:-REACH, REACH:-REACH].numpy()
            for tile, values in zip(part, inner, strict=True):
                self._store(tile, values)
            report((begin + len(part)) / len(ordered))
        # The last tiles reach beyond the slice; what lies there is no part of the image.
        self.values[:, self.shape[1] :] = 0
        self.values[:, :, self.shape[2] :] = 0
        self.done |= tiles
        self._slices.clear()

    def image(self) -> NoduleImage:
        known = np.zeros(self.values.shape, bool)
        places = {(y, x) for _, y, x in self.done}
        for k in range(self.shape[0]):
            units = self._units_of(k)
            for y, x in places:
                if all((unit, y, x) in self.done for unit in units):
                    known[k, y * self.tile : (y + 1) * self.tile, x * self.tile : (x + 1) * self.tile] = True
        inside = np.s_[:, : self.shape[1], : self.shape[2]]
        return NoduleImage(np.where(known, self.values, 0)[inside], known[inside], self.steps, self.ct.hu.shape)

    def _input(self, tile: Tile) -> torch.Tensor:
        """Three slices of one tile with `REACH` pixels around, `[3, tile + 2 reach, tile + 2 reach]`."""
        unit, y, x = tile
        first = unit + self.triplets.first
        window = np.s_[y * self.tile : (y + 1) * self.tile + 2 * REACH, x * self.tile : (x + 1) * self.tile + 2 * REACH]
        last = self.shape[0] - 1
        return torch.stack([self._padded(min(max(k, 0), last))[window] for k in range(first, first + 3)])

    def _store(self, tile: Tile, values: np.ndarray) -> None:
        unit, y, x = tile
        window = np.s_[y * self.tile : (y + 1) * self.tile, x * self.tile : (x + 1) * self.tile]
        for number in self.triplets.used:
            k = unit + self.triplets.first + number
            if 0 <= k < self.shape[0]:
                # A mean of which a part is still missing stays below its value (G(x) is never negative): what it reaches
                # is reached.
                self.values[k, window[0], window[1]] += values[number] / len(self._units_of(k))

    def _padded(self, k: int) -> torch.Tensor:
        """Slice k on the network grid, mirrored at its border by `REACH` pixels and to whole tiles."""
        if k not in self._slices:
            if len(self._slices) > 16:
                self._slices.pop(next(iter(self._slices)))
            image = self.grid.sample(self.ct.hu[k : k + 1], self.ct.spacing[:2])[0].numpy()
            after = [count * self.tile - extent + REACH for count, extent in zip(self.counts, image.shape, strict=True)]
            self._slices[k] = torch.from_numpy(np.pad(image, [(REACH, after[0]), (REACH, after[1])], mode="symmetric"))
        return self._slices[k]
