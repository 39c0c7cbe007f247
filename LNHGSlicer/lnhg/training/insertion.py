"""What is put into stacks of whole scans, and where: nodules of cut-outs, simulated ones, and decoys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from ..data.volumes import Volume
from ..phantom.simulated_nodules import any_nodule, sections
from .decoys import LUNG_HU, decoy
from .detector_data import SMALLEST_SECTION, DetectorData, TrainingScan, any_of, neighbour_step
from .patches import Patch, Pose, cut, match_noise, middle_one, paste, soft, soft_square, wall_direction
from .sampling import Sampling

# A nodule at least this wide can be magnified to a mass of one of these widths, mm.
_LARGE_MM, _MASSES_MM = 15.0, (30.0, 60.0)


@dataclass(frozen=True, eq=False)
class Canvas:
    """A stack of a training scan into which is pasted, in place.

    Attributes:
        hu, nodules, lungs: float32 `[3, y, x]`.
        taken: bool `[y, x]`, where nothing more may be pasted.
    """

    hu: np.ndarray
    nodules: np.ndarray
    lungs: np.ndarray
    taken: np.ndarray


def paste_something(
    data: DetectorData, sampling: Sampling, training_scan: TrainingScan, canvas: Canvas, generator: np.random.Generator
) -> None:
    """One paste, nodule or decoy, at a free place in the lungs of the stack."""
    hu = canvas.hu
    is_nodule = generator.random() < sampling.nodules
    # Where none are wanted no number is drawn for them, so that trainings of before they were known can be repeated.
    if is_nodule and sampling.simulated and generator.random() < sampling.simulated:
        _paste_simulated(data, training_scan, canvas, generator)
        return
    volume, view = _cutout(data, sampling, generator)
    wall = wall_direction(volume)
    at_wall = wall is not None and generator.random() < 0.6
    spot = _spot(canvas, at_wall, generator)
    if spot is None:
        return
    row, column, normal = spot
    if at_wall:
        assert wall is not None
        towards = wall[0] if not view.mirrored else np.arctan2(np.sin(wall[0]), -np.cos(wall[0]))
        view = Pose(
            float(towards - normal + np.deg2rad(generator.uniform(-15, 15))), view.zoom, view.mirrored, view.reversed
        )
        depth = (wall[1] + 0.7) * view.zoom / data.grid.pixel_mm  # the nodule lies as deep as it did
        row, column = round(row - np.sin(normal) * depth), round(column - np.cos(normal) * depth)
        if not _is_lung(hu[1], row, column):
            return
    patch = middle_one(_patch(data, volume, training_scan.slice_mm, view, generator))
    patch = Patch(match_noise(patch.hu, hu, generator), patch.nodule)
    edge = generator.uniform(1.0, 4.0)
    whole_square = generator.random() < 0.45
    if is_nodule:
        square = soft_square(patch.hu.shape[-1], 42, generator.uniform(5, 10)) if whole_square else 0.0
        weight = np.maximum(soft(patch.nodule, generator.uniform(0.5, 2.5), edge), square)
        paste(hu, patch.hu, weight, row, column)
        paste(canvas.nodules, patch.nodule, np.ones_like(patch.nodule) * (patch.nodule > 0), row, column)
    else:
        tissue, weight = decoy(data, training_scan, patch, whole_square, edge, generator)
        paste(hu, match_noise(tissue, hu, generator), weight, row, column)
    span = patch.hu.shape[-1] // 2
    canvas.taken[max(0, row - span) : row + span, max(0, column - span) : column + span] = True


def _paste_simulated(
    data: DetectorData, training_scan: TrainingScan, canvas: Canvas, generator: np.random.Generator
) -> None:
    """A simulated nodule in the lungs, free, at a vessel or at the wall: what would lie outside the lungs is not
    drawn.
    """
    hu = canvas.hu
    spot = _spot(canvas, generator.random() < 0.3, generator)
    if spot is None:
        return
    row, column, _ = spot
    nodule = any_nodule(generator)
    step = neighbour_step(data, training_scan.slice_mm) * training_scan.slice_mm
    heights = generator.uniform(-0.7, 0.7) * nodule.radius + step * np.array([-1, 0, 1])
    share, tissue = np.zeros_like(hu), np.zeros_like(hu)
    for whole, drawn in zip(
        (share, tissue), sections(nodule, heights, training_scan.slice_mm, data.grid.pixel_mm), strict=True
    ):
        paste(whole, drawn, np.ones_like(drawn), row, column)
    share *= canvas.lungs
    if np.count_nonzero(share[1] > 0.5) < SMALLEST_SECTION:
        return
    # Where tissue is denser, such as a vessel in ground glass or the lung in a cavity, it shows through.
    hu[:] = np.maximum(hu, hu + share * (match_noise(tissue, hu, generator) - hu))
    np.maximum(canvas.nodules, share, out=canvas.nodules)
    canvas.taken[:] |= share.max(0) > 0


def _cutout(data: DetectorData, sampling: Sampling, generator: np.random.Generator) -> tuple[Volume, Pose]:
    """A cut-out to paste and how it is seen; some large nodules are magnified to masses."""
    view = Pose.random(generator, 180.0)
    large = (
        [volume for volume in data.volumes if volume.width >= _LARGE_MM] if generator.random() < sampling.masses else []
    )
    if not large:
        return nodule_of(data, sampling, generator), view
    volume = _shown(any_of(large, generator), data)
    return volume, replace(view, zoom=float(generator.uniform(*_MASSES_MM)) / volume.width)


def nodule_of(
    data: DetectorData, sampling: Sampling, generator: np.random.Generator, among: Sequence[Volume] | None = None
) -> Volume:
    """The cut-out of some nodule, among all or only these."""
    volumes = among or data.volumes
    few = [volume for volume in volumes if volume.subsolid] if generator.random() < sampling.subsolid else []
    return _shown(any_of(few or volumes, generator), data)


def _shown(volume: Volume, data: DetectorData) -> Volume:
    """The volume, its HU in steps where they are wanted."""
    return volume if data.rounding is None else replace(volume, hu=data.rounding.apply(volume.hu))


def _is_lung(hu: np.ndarray, row: int, column: int) -> bool:
    return 0 <= row < hu.shape[0] and 0 <= column < hu.shape[1] and bool(hu[row, column] < LUNG_HU)


def _patch(
    data: DetectorData, volume: Volume, slice_mm: float, view: Pose, generator: np.random.Generator, size: int = 64
) -> Patch:
    """Three slices of a cut-out as a scan with slices of `slice_mm` would show them, large enough for the nodule."""
    # A magnified nodule is magnified along the body too: its slices are read closer together.
    thickness = slice_mm / view.zoom
    distance = neighbour_step(data, slice_mm) * thickness
    middle = volume.slices[generator.integers(len(volume.slices))]
    size = max(size, int(1.5 * volume.width * view.zoom / data.grid.pixel_mm) + 12)
    return cut(volume, float(middle), distance, thickness, data.grid.pixel_mm, size, view)


def _spot(canvas: Canvas, at_wall: bool, generator: np.random.Generator) -> tuple[int, int, float] | None:
    """A free place (row, column) in the lungs and, at the wall, the angle of the way out; None when there is none."""
    inside = canvas.lungs[1] > 0.5
    margin = np.zeros_like(inside)
    margin[10:-10, 10:-10] = True
    if at_wall:
        free = inside & ~ndimage.binary_erosion(inside, iterations=2, border_value=1) & margin & ~canvas.taken
    else:
        dense = canvas.hu[1] > -400
        kind = generator.random()
        near = (
            ndimage.binary_dilation(dense, iterations=3) & ~dense
            if kind < 0.4
            else ~ndimage.binary_dilation(dense, iterations=3)
        )
        free = inside & near & margin & ~canvas.taken
    points = np.argwhere(free)
    if not len(points):
        return None
    row, column = points[generator.integers(len(points))]
    smooth = ndimage.gaussian_filter(inside.astype(np.float32), 3)
    down, right = (np.gradient(smooth, axis=axis)[row, column] for axis in (0, 1))
    return int(row), int(column), float(np.arctan2(-down, -right))
