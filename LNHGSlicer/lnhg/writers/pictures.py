"""Pictures of nodules: three planes through each, with square pixels, and one sheet of all nodules.

Planes follow the slices as they were acquired: axial is the slice of largest area itself, never a mix of two; coronal
and sagittal stand upright on it. So on an oblique or tilted grid they lean with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from skimage.measure import find_contours

from ..core.boxes import label_boxes
from ..core.ct import CT
from ..core.geometry import slice_axes
from ..core.nodule import Nodule
from ..core.result import Result
from ..options import Options
from ..stages.axial import axial_order
from ..stages.heterogeneity_figures import rim_mask
from ..stages.heterogeneity_legend import legend_ends
from ..stages.heterogeneity_maps import raw_ct_in_view
from ..stages.nodule_map import OUTSIDE, NoduleMap
from .colours import jet
from .seg_nrrd import segment_color

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: HU shown black and white: the usual lung window.
WINDOW_HU = (-1350.0, 150.0)
#: Width and height of every picture, pixels.
PIXELS = 320
#: How opaque the colours of the rim are over the CT; those of the core cover it.
RIM_OPACITY = 0.45
# The field of view, and the part around the nodule that the map is shown in; wider for a nodule that needs it.
_FIELD_MM, _FIELD_PER_NODULE = 60.0, 1.5
_CLOSE_MM, _CLOSE_PER_NODULE = 18.0, 2.0
_SHEET_COLUMNS = 3
# Width and height of a nodule's two pictures with their caption, and the room below and above them all.
_PAIR_INCHES, _EDGE_INCHES = (4.4, 2.4), 0.55

#: For each plane the frame's axes (0 to the left, 1 to the back, 2 to the head) and their signs along which a
#: picture's x and y run, and the patient's directions at its left and top edge.
_PLANES = {
    "axial": ((0, 1), (1, 1), "RA"),
    "coronal": ((0, 2), (1, -1), "RS"),
    "sagittal": ((1, 2), (1, -1), "AS"),
}


@dataclass(frozen=True, eq=False)
class Plane:
    """One plane through a nodule; arrays are `[y, x]`, PIXELS wide and high.

    Attributes:
        name: `axial`, `coronal` or `sagittal`.
        edges: the patient's directions at the left and top edge of the picture, such as `RA`.
        pixel_mm: width and height of a pixel.
        close: first pixel and number of pixels (in x as in y) of the part around the nodule, for a closer look.
        grey: the CT in the lung window, uint8; black outside the CT.
        heterogeneity: the map, 0..1 inside the nodules and -1 outside.
        raw_ct: the raw CT in the same colours, likewise.
        outlines: for each label in view its outlines, each `[n, 2]` as (x, y) pixels.
        core: outlines of the cores, without the rim; likewise.
        in_core: bool, the pixels in a core.
    """

    name: str
    edges: str
    pixel_mm: float
    close: tuple[float, float]
    grey: np.ndarray
    heterogeneity: np.ndarray
    raw_ct: np.ndarray
    outlines: Mapping[int, list[np.ndarray]]
    core: list[np.ndarray]
    in_core: np.ndarray


def nodule_planes(result: Result) -> list[tuple[Plane, ...]]:
    """For each nodule of `result` its axial, coronal and sagittal plane, about 60 mm wide."""
    scan = _Scan.of(result)
    boxes = label_boxes(scan.labels)
    with ThreadPoolExecutor(result.options.threads) as pool:
        return list(pool.map(scan.planes, boxes, boxes.values()))


def axial_planes(result: Result, places: Sequence[np.ndarray], wide: Sequence[float]) -> list[Plane]:
    """The axial plane through each of some places (RAS mm), wide enough for a nodule of so many mm there."""
    scan = _Scan.of(result)
    return [scan.plane("axial", place, width) for place, width in zip(places, wide, strict=True)]


@dataclass(frozen=True, eq=False)
class _Scan:
    """A result in the axial view, ready to be cut into planes.

    Attributes:
        ct, labels, heterogeneity, raw_ct: of the result.
        core: voxels of nodules that lie in no rim.
        frame: unit vectors (RAS, one a row) to the left, to the back and to the head, two of them in the slice.
    """

    ct: CT
    labels: np.ndarray
    heterogeneity: np.ndarray
    raw_ct: NoduleMap
    core: np.ndarray
    frame: np.ndarray

    @classmethod
    def of(cls, result: Result) -> _Scan:
        view = axial_order(result.ct)
        labels = view.to_axial(result.labels)
        core = rim_mask(labels, view.ct.spacing, result.options.rim)
        np.logical_xor(core, labels, out=core)  # all but the rim, in its memory
        return cls(
            view.ct, labels, view.to_axial(result.heterogeneity), raw_ct_in_view(result, view), core, _frame(view.ct)
        )

    def planes(self, number: int, box: tuple[slice, ...]) -> tuple[Plane, ...]:
        mask = self.labels[box] == number
        largest = len(mask) - 1 - int(np.argmax(mask.sum((1, 2))[::-1]))
        start = np.array([one.start for one in box])
        _, j, i = start + ndimage.center_of_mass(mask)
        centre = self.ct.to_ras(np.array([i, j, start[0] + largest]))
        corners = self.ct.to_ras(np.argwhere(np.ones((2, 2, 2))) * mask.shape[::-1])
        wide = float(np.ptp(corners @ self.frame.T, axis=0).max())
        return tuple(self.plane(name, centre, wide) for name in _PLANES)

    def plane(self, name: str, centre: np.ndarray, wide: float) -> Plane:
        """The plane `name` through `centre` (RAS) of a nodule `wide` mm wide."""
        pixel_mm = max(_FIELD_MM, wide * _FIELD_PER_NODULE) / PIXELS
        close = min(PIXELS, max(_CLOSE_MM, wide * _CLOSE_PER_NODULE) / pixel_mm)
        axes, signs, edges = _PLANES[name]
        x, y = (self.frame[axis] * sign for axis, sign in zip(axes, signs, strict=True))
        step = (np.arange(PIXELS) - (PIXELS - 1) / 2) * pixel_mm
        ras = centre + step[None, :, None] * x + step[:, None, None] * y
        cut = _Cut.around(np.moveaxis(self.ct.to_ijk(ras)[..., ::-1], -1, 0), self.labels.shape)
        labels, core = self.labels[cut.box], self.core[cut.box]
        low, high = WINDOW_HU
        grey = ((cut.sample(self.ct.hu[cut.box]) - low) / (high - low) * 255).clip(0, 255)
        return Plane(
            name,
            edges,
            pixel_mm,
            ((PIXELS - close) / 2, close),
            (grey * cut.inside).astype(np.uint8),
            cut.sample_map(self.heterogeneity[cut.box]),
            cut.sample_map(self.raw_ct[cut.box]),
            {int(label): cut.outlines(labels == label) for label in np.unique(labels[labels > 0])},
            cut.outlines(core),
            cut.sample_mask(core) >= 0.5,
        )


def _frame(ct: CT) -> np.ndarray:
    left, back = slice_axes(ct.ijk_to_ras)
    return np.array([left, back, np.cross(left, back)])


@dataclass(frozen=True, eq=False)
class _Cut:
    """Where a plane's pixels lie: `box` of the volume around them, their positions in it, which lie in the volume."""

    box: tuple[slice, ...]
    positions: np.ndarray
    inside: np.ndarray

    @classmethod
    def around(cls, kji: np.ndarray, shape: tuple[int, ...]) -> _Cut:
        """For pixels at `kji` `[3, y, x]`, voxels of a volume of `shape`."""
        last = np.array(shape) - 1
        low = np.floor(kji.min((1, 2))).clip(0, last).astype(int)
        high = np.ceil(kji.max((1, 2))).clip(0, last).astype(int)
        # A pixel counts as inside up to the face of the outermost voxel; the small part forgives rounding.
        inside = np.all(np.abs(kji - (last / 2)[:, None, None]) <= (last / 2 + 0.5 + 1e-6)[:, None, None], axis=0)
        box = tuple(slice(a, b + 1) for a, b in zip(low, high, strict=True))
        return cls(box, kji - low[:, None, None], inside)

    def sample(self, values: np.ndarray) -> np.ndarray:
        """Linear interpolation of `values` (cut to the box) at the pixels."""
        return ndimage.map_coordinates(values, self.positions, np.float32, order=1, mode="nearest")

    def sample_mask(self, mask: np.ndarray) -> np.ndarray:
        return self.sample(mask.astype(np.float32)) * self.inside

    def sample_map(self, values: np.ndarray) -> np.ndarray:
        """The same for a map, from its voxels that are not negative alone, so that no -1 blends in; -1 elsewhere."""
        shown = values >= 0
        weight = self.sample_mask(shown)
        inside = weight >= 0.5
        total = self.sample(np.where(shown, values, np.float32(0)))
        return np.where(inside, total / np.where(inside, weight, 1), np.float32(OUTSIDE))

    def outlines(self, mask: np.ndarray) -> list[np.ndarray]:
        """Lines of (x, y) pixels around `mask`."""
        return [line[:, ::-1] for line in find_contours(self.sample_mask(mask), 0.5)]


def write_sheet(path: Path, result: Result, planes: Sequence[tuple[Plane, ...]]) -> None:
    """Write one PNG with each nodule's axial CT and outline beside its heterogeneity map (`nodule_planes`).

    Without a nodule it shows the middle slice and says so.
    """
    from matplotlib.figure import Figure

    columns = min(_SHEET_COLUMNS, max(1, len(planes)))
    rows = max(1, -(-len(planes) // columns))
    wide, high = _PAIR_INCHES[0] * columns, _PAIR_INCHES[1] * rows + 2 * _EDGE_INCHES
    figure = Figure((wide, high), dpi=110)
    figure.suptitle(
        f"{found_text(len(planes))}. Research use only, not for diagnosis.", fontsize=10, y=1 - 0.12 / high, va="top"
    )
    # Places set by hand: a layout that matplotlib works out takes twice as long as the drawing.
    figure.subplots_adjust(0.04 / wide, _EDGE_INCHES / high, 1 - 0.04 / wide, 1 - 0.9 * _EDGE_INCHES / high, 0.03, 0.13)
    if planes:
        pairs = figure.subplots(rows, 2 * columns, squeeze=False).reshape(-1, 2)
        for place in pairs.ravel():
            place.set_axis_off()
        for pair, nodule, (axial, *_) in zip(pairs, result.nodules, planes, strict=False):
            _show_pair(pair, nodule, axial)
        _show_colours(figure, result.options)
    else:
        _show_middle_slice(figure.subplots(), axial_order(result.ct).ct)
    figure.savefig(path, metadata={"Software": None})


def found_text(count: int) -> str:
    """The result in words: `No nodule found`, `1 nodule`, `2 nodules`."""
    return "No nodule found" if count == 0 else "1 nodule" if count == 1 else f"{count} nodules"


def _caption(nodule: Nodule) -> str:
    side = "" if nodule.side == "unknown" else f", {nodule.side}"
    return f"{nodule.id}: {nodule.type}{side}, {nodule.at_least}{nodule.long_axis:.1f} x {nodule.short_axis:.1f} mm"


def _show_pair(pair: np.ndarray, nodule: Nodule, axial: Plane) -> None:
    """Left the CT with outlines and a frame, right the map over the CT inside that frame."""
    left, right = pair
    left.set_title(_caption(nodule), loc="left", fontsize=9)
    left.imshow(axial.grey, "gray", vmin=0, vmax=255)
    for label, lines in axial.outlines.items():
        for line in lines:
            left.plot(*line.T, color=segment_color(label), linewidth=1.3)
    start, size = axial.close
    left.plot(
        *(start - 0.5 + size * np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]])).T, color="white", linewidth=0.6
    )
    opacity = np.where(axial.heterogeneity < 0, 0, np.where(axial.in_core, 1, RIM_OPACITY))[..., None]
    colours = opacity * jet(axial.heterogeneity) + (1 - opacity) * axial.grey[..., None]
    right.imshow(colours.astype(np.uint8))
    right.set_xlim(start - 0.5, start + size - 0.5)
    right.set_ylim(start + size - 0.5, start - 0.5)


def _show_colours(figure: Figure, options: Options) -> None:
    """The colours and what their ends mean, along the figure's lower edge."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap

    high = figure.get_figheight()
    colours = ScalarMappable(cmap=ListedColormap(jet(np.linspace(0, 1, 256)) / 255))
    bar = figure.colorbar(colours, cax=figure.add_axes((0.03, 0.3 / high, 0.94, 0.09 / high)), orientation="horizontal")
    bar.set_ticks([0, 1], labels=legend_ends(options), fontsize=8)
    first, last = bar.ax.get_xticklabels()
    first.set_horizontalalignment("left")
    last.set_horizontalalignment("right")


def _show_middle_slice(place: Axes, ct: CT) -> None:
    middle, (low, high) = ct.hu[len(ct.hu) // 2], WINDOW_HU
    place.imshow(middle, "gray", vmin=low, vmax=high, aspect=ct.spacing[1] / ct.spacing[0])
    place.set_title("middle slice", fontsize=9)
    place.set_axis_off()
