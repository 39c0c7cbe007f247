"""What the detector is trained on: whole scans on its grid with places to draw samples from, and nodules to paste."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TypeVar

import numpy as np
from scipy import ndimage

from ..data.rounding import Rounding, far_from_lungs, far_in
from ..data.scans import REFERENCE_READERS, LabelledScan
from ..data.splits import list_of
from ..data.training_data import cutouts_of, scans_of
from ..data.unread_scans import unread_scans_of
from ..data.volumes import Volume, volume_of
from ..errors import InputError
from ..networks.architecture import DetectorArchitecture
from ..networks.grid import NetworkGrid, resized
from ..stages.lungs import lung_regions
from .patches import Pose, sample_stack

T = TypeVar("T")


# A section of a nodule smaller than this many pixels gets no box.
SMALLEST_SECTION = 6


# Places kept of each scan.
_PLACES = 20000


@dataclass(frozen=True, eq=False)
class TrainingScan:
    """A whole training scan on the detector's grid.

    Attributes:
        hu: int16 `[slice, y, x]`, pixels of the grid, slices of the CT.
        slice_mm: distance of the slices.
        lungs, nodules, doubtful: bool, same shape; doubtful places appear in no sample.
        places: `[n, 3]` points (slice, y, x) in and just around the lungs.
        nodule_places: `[n, 3]` centres of the nodules' fair sections.
        read: whether readers looked for every nodule in this scan.
        mined: `[n, 3]` false positives.
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

    training_scans: Sequence[TrainingScan]
    volumes: Sequence[Volume]
    grid: NetworkGrid
    architecture: DetectorArchitecture
    patients: Sequence[str] = ()
    rounding: Rounding | None = None


def read_detector_data(
    data: Path,
    grid: NetworkGrid,
    architecture: DetectorArchitecture,
    patients: str = "train",
    listed: Callable[[str], str] = list_of,
) -> DetectorData:
    """The scans and cut-outs of one list of patients; `listed` says which list a patient is on."""
    training_scans = [
        training_scan_of(scan, grid)
        for scan in chain(unread_scans_of(data, patients), scans_of(data, patients, listed))
    ]
    wanted = [one for one in cutouts_of(data, patients, listed) if one.reader_count >= REFERENCE_READERS]
    volumes = [volume_of(cutout) for cutout in wanted]
    return DetectorData(training_scans, volumes, grid, architecture, [cutout.patient for cutout in wanted])


def training_scan_of(scan: LabelledScan, grid: NetworkGrid) -> TrainingScan:
    """A scan brought to the detector's grid, with the places that samples are drawn from."""
    generator = np.random.default_rng(0)
    steps = grid.steps(scan.ct.hu.shape[1:], scan.ct.spacing[:2])
    scale = (1 / steps[0], 1 / steps[1])
    masks = (lung_regions(scan.ct) > 0, scan.reference > 0, scan.doubtful)
    lungs, nodules, doubtful = (resized(mask, scale) > 0.5 for mask in masks)
    if not lungs.any():
        raise InputError(
            f"No lungs were found in the scan {scan.patient}, which the detector is to learn from; leave it out."
        )
    hu = np.round(resized(scan.ct.hu, scale)).astype(np.int16)
    around = ndimage.binary_dilation(lungs, np.ones((1, 3, 3)), iterations=8)
    places = np.argwhere(around & ~nodules)
    places = places[generator.permutation(len(places))[:_PLACES]]
    pixel, slice_mm = grid.pixel(scan.ct.hu.shape[1:], scan.ct.spacing[:2]), scan.ct.spacing[2]
    off_lungs = far_from_lungs(lungs, (pixel, pixel, slice_mm))
    centres = _sections(nodules)
    return TrainingScan(
        scan.patient, hu, slice_mm, lungs, nodules, doubtful, places, centres, scan.complete, off_lungs=off_lungs
    )


def _sections(nodules: np.ndarray) -> np.ndarray:
    """Centres of the sections that are at least 30% as large as their nodule's largest one."""
    labels, count = ndimage.label(nodules, np.ones((3, 3, 3)))
    centres = []
    for number in range(1, count + 1):
        area = (labels == number).sum((1, 2))
        for k in np.flatnonzero(area >= max(SMALLEST_SECTION, 0.3 * area.max())):
            centres.append((k, *np.argwhere(labels[k] == number).mean(0).round()))
    return np.array(centres, int).reshape(-1, 3)


def any_of(things: Sequence[T], generator: np.random.Generator) -> T:
    return things[int(generator.integers(len(things)))]


def doubtful_near(training_scan: TrainingScan, place: np.ndarray, size: int) -> bool:
    k, y, x = place
    reach = size  # half a crop, turned and shrunk, fits in this
    rows, columns = slice(max(0, y - reach), max(0, y + reach)), slice(max(0, x - reach), max(0, x + reach))
    if training_scan.doubtful[k, rows, columns].any():
        return True
    # A nodule's first and last section, too small for a fair box, must not be taken for a vessel either.
    section, volume = (
        training_scan.nodules[k, rows, columns],
        training_scan.nodules[max(0, k - 3) : k + 4, rows, columns],
    )
    return bool(volume.any() and section.sum() < 0.3 * volume.sum((1, 2)).max())


def scan_stack(
    training_scan: TrainingScan, place: np.ndarray, data: DetectorData, size: int, view: Pose
) -> tuple[np.ndarray, np.ndarray]:
    """HU `[3, size, size]` and masks `[2, 3, size, size]` (nodules, lungs) of a training scan about a place (slice, y,
    x).
    """
    step = neighbour_step(data, training_scan.slice_mm)
    k, y, x = place
    slices = np.clip([k - step, k, k + step], 0, len(training_scan.hu) - 1)
    if view.reversed:
        slices = slices[::-1]
    reach = int(size * 1.1)
    top, left = max(0, y - reach), max(0, x - reach)
    window = (slices, slice(top, max(top + 1, y + reach)), slice(left, max(left + 1, x + reach)))
    hu = _rounded(training_scan, window, data.rounding)
    parts = np.stack(
        [part.astype(np.float32) for part in (hu, training_scan.nodules[window], training_scan.lungs[window])]
    )
    pixel = data.grid.pixel_mm
    sampled = sample_stack(parts, (pixel, pixel), (y - top, x - left), pixel, size, view)
    return np.ascontiguousarray(sampled[0]), sampled[1:]


def _rounded(
    training_scan: TrainingScan, window: tuple[np.ndarray, slice, slice], rounding: Rounding | None
) -> np.ndarray:
    """The HU of a training scan in a window, in steps where they are wanted."""
    hu = training_scan.hu[window]
    if rounding is None:
        return hu
    return rounding.apply(
        hu, None if training_scan.off_lungs is None else far_in(training_scan.off_lungs, window, hu.shape)
    )


def neighbour_step(data: DetectorData, slice_mm: float) -> int:
    """Slices from a sample's middle one to its neighbours; a network of single slices is shown none of these."""
    return max(1, data.architecture.neighbour_step(slice_mm))
