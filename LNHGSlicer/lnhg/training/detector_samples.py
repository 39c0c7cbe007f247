"""Training samples of the detector: crops of three slices with boxes, made on the fly from scans and cut-outs.

A sample depends on nothing but the seed and its number, so a run that is cut off goes on with the same samples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from scipy import ndimage

from ..data.rounding import Rounding, far_from_lungs, far_in
from ..data.scans import REFERENCE_READERS, LabelledScan
from ..data.splits import list_of
from ..data.training_data import cutouts_of, scans_of
from ..data.unread_scans import unread_scans_of
from ..data.volumes import Volume, volume_of, without_nodule
from ..networks.detector import DetectorArchitecture
from ..networks.grid import NetworkGrid, resized
from ..phantom.simulated_nodules import any_nodule, sections
from ..stages.lungs import lung_regions
from .pasting import (
    Piece,
    View,
    blob,
    cut,
    match_noise,
    middle_one,
    noise_level,
    paste,
    sample_stack,
    soft,
    soft_square,
    wall_direction,
)

T = TypeVar("T")

# A section of a nodule smaller than this many pixels gets no box.
_SMALLEST_SECTION = 6
# Lung without much in it is below this.
_LUNG_HU = -500.0
# A nodule at least this wide can be magnified to a mass of one of these widths, mm.
_LARGE_MM, _MASSES_MM = 15.0, (30.0, 60.0)
# Places kept of each scan.
_PLACES = 20000


@dataclass(frozen=True)
class Sampling:
    """What the samples are made of.

    Attributes:
        size: crop width in pixels.
        mosaics: share of samples put together from cut-outs in their own surroundings and pieces of scans.
        mined: share of the other samples that show a false find of an earlier detector (as long as there are any).
        real: share of them that show a real nodule of a scan.
        pasted: share of them into which something is pasted, one to three times.
        nodules: share of the pastes that are nodules; the others are shams.
        emptied: share of the mosaics' cut-outs whose nodule is filled in.
        masses: share of the pastes that are made of a large nodule magnified to a mass, which no cut-out shows.
        subsolid: share of the nodules drawn from the sub-solid ones alone, which are few.
        simulated: share of the pasted nodules that are simulated in place of real ones.
        cubes: share of the mosaics' cut-outs that are drawn from the cubes alone, which show more of a nodule's surroundings.
        rounded: share of the samples whose HU come in steps, as some scans' do.
    """

    size: int = 128
    mosaics: float = 0.4
    mined: float = 0.5
    real: float = 0.1
    pasted: float = 0.65
    nodules: float = 0.5
    emptied: float = 0.25
    masses: float = 0.1
    subsolid: float = 0.2
    simulated: float = 0.25
    cubes: float = 0.25
    rounded: float = 0.5


@dataclass(frozen=True, eq=False)
class Host:
    """A whole training scan on the detector's grid.

    Attributes:
        hu: int16 `[slice, y, x]`, pixels of the grid, slices of the CT.
        slice_mm: distance of the slices.
        lungs, nodules, doubtful: bool, same shape; doubtful places appear in no sample.
        places: `[n, 3]` points (slice, y, x) in and just around the lungs.
        nodule_places: `[n, 3]` centres of the nodules' fair sections.
        read: whether readers looked for every nodule in this scan.
        mined: `[n, 3]` false finds.
        off_lungs: what lies far from the lungs, as `far_from_lungs` gives it; None: nothing.
    """

    name: str
    hu: np.ndarray
    slice_mm: float
    lungs: np.ndarray
    nodules: np.ndarray
    doubtful: np.ndarray
    places: np.ndarray
    nodule_places: np.ndarray
    read: bool
    mined: np.ndarray = field(default_factory=lambda: np.zeros((0, 3), int))
    off_lungs: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class DetectorData:
    """All that samples are made of.

    Attributes:
        patients: whose nodules the volumes hold, where that is known.
        rounding: of the HU of all of it, where they are to come in steps.
    """

    hosts: Sequence[Host]
    volumes: Sequence[Volume]
    grid: NetworkGrid
    architecture: DetectorArchitecture
    patients: Sequence[str] = ()
    rounding: Rounding | None = None


@dataclass(frozen=True, eq=False)
class Sample:
    """`image` `[3, y, x]` in 0..1 and `boxes` `[n, 4]`, float32."""

    image: torch.Tensor
    boxes: torch.Tensor

    @property
    def target(self) -> dict[str, torch.Tensor]:
        """As the detector wants it."""
        return {"boxes": self.boxes, "labels": torch.ones(len(self.boxes), dtype=torch.int64)}


def read_detector_data(
    data: Path,
    grid: NetworkGrid,
    architecture: DetectorArchitecture,
    patients: str = "train",
    listed: Callable[[str], str] = list_of,
) -> DetectorData:
    """The scans and cut-outs of one list of patients; `listed` says which list a patient is on."""
    hosts = [host_of(scan, grid) for scan in chain(unread_scans_of(data, patients), scans_of(data, patients, listed))]
    wanted = [one for one in cutouts_of(data, patients, listed) if one.reader_count >= REFERENCE_READERS]
    volumes = [volume_of(cutout) for cutout in wanted]
    return DetectorData(hosts, volumes, grid, architecture, [cutout.patient for cutout in wanted])


def host_of(scan: LabelledScan, grid: NetworkGrid) -> Host:
    """A scan brought to the detector's grid, with the places that samples are drawn from."""
    generator = np.random.default_rng(0)
    steps = grid.steps(scan.ct.hu.shape[1:], scan.ct.spacing[:2])
    scale = (1 / steps[0], 1 / steps[1])
    masks = (lung_regions(scan.ct) > 0, scan.reference > 0, scan.doubtful)
    lungs, nodules, doubtful = (resized(mask, scale) > 0.5 for mask in masks)
    hu = np.round(resized(scan.ct.hu, scale)).astype(np.int16)
    around = ndimage.binary_dilation(lungs, np.ones((1, 3, 3)), iterations=8)
    places = np.argwhere(around & ~nodules)
    places = places[generator.permutation(len(places))[:_PLACES]]
    pixel, slice_mm = grid.pixel(scan.ct.hu.shape[1:], scan.ct.spacing[:2]), scan.ct.spacing[2]
    off_lungs = far_from_lungs(lungs, (pixel, pixel, slice_mm))
    centres = _sections(nodules)
    return Host(scan.patient, hu, slice_mm, lungs, nodules, doubtful, places, centres, scan.complete, off_lungs=off_lungs)


def _sections(nodules: np.ndarray) -> np.ndarray:
    """Centres of the sections that are at least 30% as large as their nodule's largest one."""
    labels, count = ndimage.label(nodules, np.ones((3, 3, 3)))
    centres = []
    for number in range(1, count + 1):
        area = (labels == number).sum((1, 2))
        for k in np.flatnonzero(area >= max(_SMALLEST_SECTION, 0.3 * area.max())):
            centres.append((k, *np.argwhere(labels[k] == number).mean(0).round()))
    return np.array(centres, int).reshape(-1, 3)


def make_sample(data: DetectorData, sampling: Sampling, seed: int, number: int) -> Sample:
    """Sample `number` of the run with this `seed`."""
    generator = np.random.default_rng((seed, number))
    data = replace(data, rounding=Rounding.random(sampling.rounded, generator))
    make = _mosaic if generator.random() < sampling.mosaics else _scan_crop
    hu, nodules = make(data, sampling, generator)
    if generator.random() < 0.5:
        hu, nodules = hu[:, :, ::-1], nodules[:, :, ::-1]
    hu = _other_scanner(np.ascontiguousarray(hu), generator)
    image = data.grid.normalise(torch.from_numpy(hu))
    if data.architecture.slices == 1:
        image = image[1:2].expand(3, -1, -1).contiguous()
    return Sample(image, torch.from_numpy(boxes_of(nodules[1] > 0.5)))


def _any(things: Sequence[T], generator: np.random.Generator) -> T:
    return things[int(generator.integers(len(things)))]


def boxes_of(nodules: np.ndarray) -> np.ndarray:
    """Bounding boxes `(x0, y0, x1, y1)` of a mask's components, float32 `[n, 4]`; pixel c covers c to c + 1."""
    labels, _ = ndimage.label(nodules, np.ones((3, 3)))
    areas = np.bincount(labels.ravel())
    spans = ndimage.find_objects(labels)
    boxes = [(x.start, y.start, x.stop, y.stop) for n, (y, x) in enumerate(spans, 1) if areas[n] >= _SMALLEST_SECTION]
    return np.array(boxes, np.float32).reshape(-1, 4)


def _other_scanner(hu: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The same tissue as another scanner, dose or kernel might show it."""
    hu = (hu + 1000) * np.float32(generator.uniform(0.94, 1.06)) - 1000 + np.float32(generator.uniform(-40, 40))
    strength = np.float32(generator.uniform(-0.8, 0.8))
    hu = hu + strength * (hu - ndimage.gaussian_filter(hu, (0, 0.8, 0.8)))
    noise = generator.standard_normal(hu.shape, np.float32)
    if generator.random() < 0.5:  # a smooth kernel's noise is smooth
        noise = ndimage.gaussian_filter(noise, (0, 0.6, 0.6)) * 1.7
    return hu + noise * np.float32(generator.uniform(0, 30))


# Crops of scans ------------------------------------------------------------------------------------------------------


def _scan_crop(data: DetectorData, sampling: Sampling, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A crop of a scan around a false find, a nodule or any place, and what is pasted into it."""
    host, place = _place(data, sampling, generator)
    view = View.random(generator, 30.0)
    hu, masks = host_stack(host, place, data, sampling.size, view)
    nodules = masks[0]
    if generator.random() < sampling.pasted:
        canvas = Canvas(hu, nodules, masks[1], masks[0].max(0) > 0.5)
        for _ in range(generator.integers(1, 4)):
            _paste_something(data, sampling, host, canvas, generator)
    return hu, nodules


def _place(data: DetectorData, sampling: Sampling, generator: np.random.Generator) -> tuple[Host, np.ndarray]:
    """A scan and the middle (slice, y, x) of a crop of it, which shows no doubtful nodule."""
    while True:
        kind = generator.choice(3, p=[sampling.mined, sampling.real, 1 - sampling.mined - sampling.real])
        lists = [(host.mined, host.nodule_places, host.places)[kind] for host in data.hosts]
        counts = np.array([len(points) for points in lists], float)
        if not counts.any():
            continue
        # Every find counts the same; of nodules and other places every scan does.
        weights = counts if kind == 0 else (counts > 0).astype(float)
        chosen = generator.choice(len(lists), p=weights / weights.sum())
        host, points = data.hosts[chosen], lists[chosen]
        reach = sampling.size // 4
        place = points[generator.integers(len(points))] + [0, *generator.integers(-reach, reach + 1, 2)]
        if not _doubtful_near(host, place, sampling.size):
            return host, place


def _doubtful_near(host: Host, place: np.ndarray, size: int) -> bool:
    k, y, x = place
    reach = size  # half a crop, turned and shrunk, fits in this
    rows, columns = slice(max(0, y - reach), max(0, y + reach)), slice(max(0, x - reach), max(0, x + reach))
    if host.doubtful[k, rows, columns].any():
        return True
    # A nodule's first and last section, too small for a fair box, must not be taken for a vessel either.
    section, volume = host.nodules[k, rows, columns], host.nodules[max(0, k - 3) : k + 4, rows, columns]
    return bool(volume.any() and section.sum() < 0.3 * volume.sum((1, 2)).max())


def host_stack(host: Host, place: np.ndarray, data: DetectorData, size: int, view: View) -> tuple[np.ndarray, np.ndarray]:
    """HU `[3, size, size]` and masks `[2, 3, size, size]` (nodules, lungs) of a host about a place (slice, y, x)."""
    step = _neighbour_step(data, host.slice_mm)
    k, y, x = place
    slices = np.clip([k - step, k, k + step], 0, len(host.hu) - 1)
    if view.reversed:
        slices = slices[::-1]
    reach = int(size * 1.1)
    top, left = max(0, y - reach), max(0, x - reach)
    window = (slices, slice(top, max(top + 1, y + reach)), slice(left, max(left + 1, x + reach)))
    hu = _rounded(host, window, data.rounding)
    parts = np.stack([part.astype(np.float32) for part in (hu, host.nodules[window], host.lungs[window])])
    pixel = data.grid.pixel_mm
    sampled = sample_stack(parts, (pixel, pixel), (y - top, x - left), pixel, size, view)
    return np.ascontiguousarray(sampled[0]), sampled[1:]


def _rounded(host: Host, window: tuple[np.ndarray, slice, slice], rounding: Rounding | None) -> np.ndarray:
    """The HU of a host in a window, in steps where they are wanted."""
    hu = host.hu[window]
    if rounding is None:
        return hu
    return rounding.apply(hu, None if host.off_lungs is None else far_in(host.off_lungs, window, hu.shape))


def _neighbour_step(data: DetectorData, slice_mm: float) -> int:
    """Slices from a sample's middle one to its neighbours; a network of single slices is shown none of these."""
    return max(1, data.architecture.neighbour_step(slice_mm))


# Pastes --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Canvas:
    """A stack of a host into which is pasted, in place.

    Attributes:
        hu, nodules, lungs: float32 `[3, y, x]`.
        taken: bool `[y, x]`, where nothing more may be pasted.
    """

    hu: np.ndarray
    nodules: np.ndarray
    lungs: np.ndarray
    taken: np.ndarray


def _paste_something(
    data: DetectorData, sampling: Sampling, host: Host, canvas: Canvas, generator: np.random.Generator
) -> None:
    """One paste, nodule or sham, at a free place in the lungs of the stack."""
    hu = canvas.hu
    is_nodule = generator.random() < sampling.nodules
    # Where none are wanted no number is drawn for them, so that trainings of before they were known can be repeated.
    if is_nodule and sampling.simulated and generator.random() < sampling.simulated:
        _paste_simulated(data, host, canvas, generator)
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
        view = View(float(towards - normal + np.deg2rad(generator.uniform(-15, 15))), view.zoom, view.mirrored, view.reversed)
        depth = (wall[1] + 0.7) * view.zoom / data.grid.pixel_mm  # the nodule lies as deep as it did
        row, column = round(row - np.sin(normal) * depth), round(column - np.cos(normal) * depth)
        if not _is_lung(hu[1], row, column):
            return
    piece = middle_one(_piece(data, volume, host.slice_mm, view, generator))
    piece = Piece(match_noise(piece.hu, hu, generator), piece.nodule)
    edge = generator.uniform(1.0, 4.0)
    whole_square = generator.random() < 0.45
    if is_nodule:
        square = soft_square(piece.hu.shape[-1], 42, generator.uniform(5, 10)) if whole_square else 0.0
        weight = np.maximum(soft(piece.nodule, generator.uniform(0.5, 2.5), edge), square)
        paste(hu, piece.hu, weight, row, column)
        paste(canvas.nodules, piece.nodule, np.ones_like(piece.nodule) * (piece.nodule > 0), row, column)
    else:
        patch, weight = _sham(data, host, piece, whole_square, edge, generator)
        paste(hu, match_noise(patch, hu, generator), weight, row, column)
    span = piece.hu.shape[-1] // 2
    canvas.taken[max(0, row - span) : row + span, max(0, column - span) : column + span] = True


def _paste_simulated(data: DetectorData, host: Host, canvas: Canvas, generator: np.random.Generator) -> None:
    """A simulated nodule in the lungs, free, at a vessel or at the wall: what would lie outside the lungs is not drawn."""
    hu = canvas.hu
    spot = _spot(canvas, generator.random() < 0.3, generator)
    if spot is None:
        return
    row, column, _ = spot
    nodule = any_nodule(generator)
    step = _neighbour_step(data, host.slice_mm) * host.slice_mm
    heights = generator.uniform(-0.7, 0.7) * nodule.radius + step * np.array([-1, 0, 1])
    share, tissue = np.zeros_like(hu), np.zeros_like(hu)
    for whole, drawn in zip((share, tissue), sections(nodule, heights, host.slice_mm, data.grid.pixel_mm), strict=True):
        paste(whole, drawn, np.ones_like(drawn), row, column)
    share *= canvas.lungs
    if np.count_nonzero(share[1] > 0.5) < _SMALLEST_SECTION:
        return
    # Where tissue is denser, such as a vessel in ground glass or the lung in a cavity, it shows through.
    hu[:] = np.maximum(hu, hu + share * (match_noise(tissue, hu, generator) - hu))
    np.maximum(canvas.nodules, share, out=canvas.nodules)
    canvas.taken[:] |= share.max(0) > 0


def _cutout(data: DetectorData, sampling: Sampling, generator: np.random.Generator) -> tuple[Volume, View]:
    """A cut-out to paste and how it is seen; some large nodules are magnified to masses."""
    view = View.random(generator, 180.0)
    large = [volume for volume in data.volumes if volume.width >= _LARGE_MM] if generator.random() < sampling.masses else []
    if not large:
        return _nodule(data, sampling, generator), view
    volume = _shown(_any(large, generator), data)
    return volume, replace(view, zoom=float(generator.uniform(*_MASSES_MM)) / volume.width)


def _nodule(
    data: DetectorData, sampling: Sampling, generator: np.random.Generator, among: Sequence[Volume] | None = None
) -> Volume:
    """The cut-out of some nodule, among all or only these."""
    volumes = among or data.volumes
    few = [volume for volume in volumes if volume.subsolid] if generator.random() < sampling.subsolid else []
    return _shown(_any(few or volumes, generator), data)


def _shown(volume: Volume, data: DetectorData) -> Volume:
    """The volume, its HU in steps where they are wanted."""
    return volume if data.rounding is None else replace(volume, hu=data.rounding.apply(volume.hu))


def _is_lung(hu: np.ndarray, row: int, column: int) -> bool:
    return 0 <= row < hu.shape[0] and 0 <= column < hu.shape[1] and bool(hu[row, column] < _LUNG_HU)


def _piece(
    data: DetectorData, volume: Volume, slice_mm: float, view: View, generator: np.random.Generator, size: int = 64
) -> Piece:
    """Three slices of a cut-out as a scan with slices of `slice_mm` would show them, large enough for the nodule."""
    # A magnified nodule is magnified along the body too: its slices are read closer together.
    thickness = slice_mm / view.zoom
    distance = _neighbour_step(data, slice_mm) * thickness
    middle = volume.slices[generator.integers(len(volume.slices))]
    size = max(size, int(1.5 * volume.width * view.zoom / data.grid.pixel_mm) + 12)
    return cut(volume, float(middle), distance, thickness, data.grid.pixel_mm, size, view)


def _sham(
    data: DetectorData, host: Host, piece: Piece, whole_square: bool, edge: float, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A patch without a nodule and its weights: a cut-out's surroundings, or plain tissue as a square or a shape."""
    size = piece.hu.shape[-1]
    if whole_square and generator.random() < 0.5:
        hole = soft(piece.nodule, 3.0, 3.0).max(0)
        return piece.hu, np.broadcast_to(soft_square(size, 42, generator.uniform(5, 10)) * (1 - hole), piece.hu.shape)
    if whole_square:
        patch, masks = _plain_tissue(_any(data.hosts, generator), data, size, generator)
        weight = np.broadcast_to(soft_square(size, 42, generator.uniform(5, 10)), patch.shape)
        return patch, weight * (masks[0].max(0) == 0)
    shape = piece.nodule if generator.random() < 0.5 else blob(generator, size, generator.uniform(5, 24))
    weight = soft(shape, generator.uniform(0.5, 2.5), edge)
    return _plain_lung(host, data, weight, generator), weight


def _plain_tissue(host: Host, data: DetectorData, size: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A stack of a host at a random place, and its masks; doubtful places are not shown."""
    for _ in range(50):
        place = host.places[generator.integers(len(host.places))]
        if not _doubtful_near(host, place, size):
            break
    return host_stack(host, place, data, size, View.random(generator, 180.0))


def _plain_lung(host: Host, data: DetectorData, weight: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A stack of a host that shows no nodule and little but air where `weight` is large: a patch of wall would be one."""
    while True:
        patch, masks = _plain_tissue(host, data, weight.shape[-1], generator)
        shown = weight >= weight.max() / 2  # thin and small shapes have soft weights alone
        if np.percentile(patch[shown], 90) < _LUNG_HU and not masks[0][weight > 0].any():
            return patch


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


# Mosaics -------------------------------------------------------------------------------------------------------------


def _mosaic(data: DetectorData, sampling: Sampling, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Tiles side by side: cut-outs in their own surroundings (mirrored beyond) and pieces of scans, softly joined."""
    size = sampling.size
    hu, nodules = np.zeros((3, size, size), np.float32), np.zeros((3, size, size), np.float32)
    count = int(generator.choice([1, 2, 3], p=[0.1, 0.5, 0.4]))
    cuts = [_cuts(size, count, generator) for _ in range(2)]
    for top, bottom in zip(cuts[0][:-1], cuts[0][1:], strict=True):
        for left, right in zip(cuts[1][:-1], cuts[1][1:], strict=True):
            tile, mask = _tile(data, sampling, bottom - top, right - left, count, generator)
            hu[:, top:bottom, left:right], nodules[:, top:bottom, left:right] = tile, mask
    return _joined(hu, cuts), nodules


def _cuts(size: int, count: int, generator: np.random.Generator) -> list[int]:
    inner = [round(size * n / count + generator.uniform(-4, 4)) for n in range(1, count)]
    return [0, *inner, size]


def _tile(
    data: DetectorData, sampling: Sampling, height: int, width: int, count: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """HU and nodules `[3, height, width]` of one tile."""
    size = max(height, width)
    if generator.random() < 0.35 and count > 1:
        host = _any(data.hosts, generator)
        hu, masks = _plain_tissue(host, data, size, generator)
        return hu[:, :height, :width], masks[0, :, :height, :width]
    cubes = [volume for volume in data.volumes if volume.cube] if generator.random() < sampling.cubes else []
    volume, view = _nodule(data, sampling, generator, cubes), View.random(generator, 180.0)
    slice_mm = _slice_mm(volume, generator)
    distance = _neighbour_step(data, slice_mm) * slice_mm
    middle = float(volume.slices[generator.integers(len(volume.slices))])
    room = max(2.0, size / 2 - 16) * data.grid.pixel_mm
    shift = generator.uniform(-room, room, 2) * 0.8 / np.array(volume.spacing[1::-1])
    centre = (volume.centre[0] + shift[0], volume.centre[1] + shift[1])
    piece = cut(volume, middle, distance, slice_mm, data.grid.pixel_mm, size, view, centre)
    if generator.random() < sampling.emptied:
        piece = _emptied(piece, generator)
    return piece.hu[:, :height, :width], piece.nodule[:, :height, :width]


def _slice_mm(volume: Volume, generator: np.random.Generator) -> float:
    """The slice thickness in which a cut-out is shown, its own or thicker; thin slices of a cube are mostly put together."""
    if volume.cube:
        return float(generator.integers(1, 6)) * volume.spacing[2]
    return max(float(generator.choice([volume.spacing[2], 1.0, 2.5, 5.0], p=[0.55, 0.1, 0.2, 0.15])), volume.spacing[2])


def _emptied(piece: Piece, generator: np.random.Generator) -> Piece:
    """The surroundings of a nodule without it, filled in with noise, so that surroundings alone say nothing."""
    noise = generator.standard_normal(piece.hu.shape, np.float32) * np.float32(noise_level(piece.hu))
    nodule = piece.nodule > 0.1
    filled = np.stack([without_nodule(hu, mask) for hu, mask in zip(piece.hu, nodule, strict=True)])
    return Piece(np.where(filled != piece.hu, filled + noise, piece.hu), np.zeros_like(piece.nodule))


def _joined(hu: np.ndarray, cuts: Sequence[Sequence[int]]) -> np.ndarray:
    """The seams between tiles smoothed over about four pixels."""
    near = np.zeros(hu.shape[1:], np.float32)
    for edge in cuts[0][1:-1]:
        near[edge - 1 : edge + 1] = 1
    for edge in cuts[1][1:-1]:
        near[:, edge - 1 : edge + 1] = 1
    if not near.any():
        return hu
    weight = np.clip(ndimage.gaussian_filter(near, 1.0) * 1.6, 0, 1)
    return hu + weight * (ndimage.gaussian_filter(hu, (0, 1.5, 1.5)) - hu)


# Shams for evaluation ------------------------------------------------------------------------------------------------


def sham_pair(data: DetectorData, seed: int, number: int, size: int = 128) -> tuple[torch.Tensor, torch.Tensor, float]:
    """A crop of a scan in the lungs, the same with a shape of plain tissue in its middle, and the shape's radius.

    Both images are `[3, size, size]` in 0..1; the radius is in pixels.
    """
    generator = np.random.default_rng((seed, number))
    while True:
        host = _any(data.hosts, generator)
        place = host.places[generator.integers(len(host.places))]
        if host.lungs[tuple(place)] and not _doubtful_near(host, place, size):
            break
    before, _ = host_stack(host, place, data, size, View())
    width = float(generator.uniform(6, 24))
    weight = soft(blob(generator, 64, width), 0.5, generator.uniform(1, 3))
    patch = _plain_lung(host, data, weight, generator)
    after = before.copy()
    paste(after, match_noise(patch, before, generator), weight, size // 2, size // 2)
    first, second = (data.grid.normalise(torch.from_numpy(one)) for one in (before, after))
    return first, second, width / 2 + 3
