"""The lungs of two CTs laid on each other: rigid, then deformable, on a coarse grid, the rest of the body masked out.

1. A shift from the body as a whole, by masked correlation on cells of 8 mm: it fits parts of a chest too.
2. A rigid transform of the lungs (SimpleITK, mean squares, 4 mm).
3. A displacement field of the lungs (SimpleITK, diffeomorphic demons, 6 and then 3 mm).

What is left is measured on the pair itself: patches of the lung with vessels in them are looked for around the place
where the field puts them.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import SimpleITK as sitk
from scipy import ndimage
from skimage.feature import match_template
from skimage.registration import phase_cross_correlation

from ..core.ct import CT
from ..errors import InputError
from ..stages.axial import axial_order
from ..stages.lungs import block_mean, lung_regions
from .fit import Fit

# Cells of the first shift, of the rigid transform and of the field, mm.
_SHIFT_MM, _RIGID_MM, _FIELD_MM = 8.0, 4.0, (6.0, 3.0)
# What is kept around the lungs, mm.
_MARGIN_MM = 12.0
# All that is no lung has this value, HU: about that of the chest wall's edge.
_OUTSIDE_HU = -200.0
# Demons: turns at each cell size, and the smoothing of the field, cells (standard deviation).
_TURNS, _SMOOTHING = (60, 40), 1.8
# Patches: their half width and how far around they are looked for, mm, on cells of 1.5 mm; how many are measured.
PATCH_MM, _SEARCH_MM, _PATCH_CELL_MM, _PATCHES = 10.5, 7.5, 1.5, 100
# A patch is found again where it correlates so well.
FOUND = 0.6
_LEAST_OVERLAP = 0.2


@dataclass(frozen=True, eq=False)
class LungScan:
    """A CT in the axial view with its lungs.

    Attributes:
        ct: the CT, in the axial view.
        lungs: bool `[slice, row, column]`.
    """

    ct: CT
    lungs: np.ndarray

    @classmethod
    def of(cls, ct: CT) -> LungScan:
        """Raises InputError where no lungs are found: they are what is registered."""
        view = axial_order(ct).ct
        lungs = lung_regions(view) > 0
        if not lungs.any():
            raise InputError("No lungs were found in one of the CTs, so they cannot be compared; give whole chest CTs.")
        return cls(view, lungs)

    @cached_property
    def box_ras(self) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper corner (RAS mm) of a box that holds the lungs and the margin."""
        (box,) = ndimage.find_objects(self.lungs.astype(np.uint8))
        ends = np.array([[one.start, one.stop - 1] for one in box])[::-1]
        corners = self.ct.to_ras(np.stack(np.meshgrid(*ends, indexing="ij"), -1).reshape(-1, 3))
        return corners.min(0) - _MARGIN_MM, corners.max(0) + _MARGIN_MM

    @cached_property
    def median_hu(self) -> float:
        """Median HU of the lungs: how far the patient breathed in."""
        return float(np.median(self.ct.hu[self.lungs][::50]))

    def shows(self, ras: np.ndarray) -> bool:
        """Whether a point lies in the CT's field of view, not on its border."""
        ijk = self.ct.to_ijk(ras)
        return bool((ijk >= 0).all() and (ijk <= np.array(self.ct.hu.shape[::-1]) - 1).all())

    def sampled(self, low: np.ndarray, size: tuple[int, int, int], cell: float, *, masked: bool) -> np.ndarray:
        """HU on a grid along R, A, S from the point `low` with cells of `cell` mm, float32 `[s, a, r]`, size `(r, a,
        s)`.

        `masked`: less the lungs' median HU, and one value outside of the lungs and of the CT.
        """
        steps = tuple(max(1, int(cell / spacing)) for spacing in self.ct.spacing[::-1])
        hu = block_mean(self.ct.hu, steps)
        to_ijk = np.linalg.inv(self.ct.ijk_to_ras)
        matrix = (to_ijk[:3, :3] * cell)[::-1, ::-1] / np.array(steps)[:, None]
        first = (self.ct.to_ijk(low)[::-1] - (np.array(steps) - 1) / 2) / steps
        outside = _OUTSIDE_HU if masked else -1000.0
        values = ndimage.affine_transform(
            np.minimum(hu, 200), matrix, first, size[::-1], order=1, cval=outside, output=np.float32
        )
        if not masked:
            return values
        lungs = block_share(self.lungs, steps)
        share = ndimage.affine_transform(lungs, matrix, first, size[::-1], order=1, output=np.float32)
        return np.where(share > 0.5, np.minimum(values, 100) - self.median_hu, _OUTSIDE_HU + 850).astype(np.float32)


def block_share(mask: np.ndarray, steps: tuple[int, ...]) -> np.ndarray:
    """Share of each block of `steps` voxels that is set, float32."""
    shape = [size // step for size, step in zip(mask.shape, steps, strict=True)]
    cut = mask[tuple(slice(0, n * step) for n, step in zip(shape, steps, strict=True))]
    parts = cut.reshape([one for pair in zip(shape, steps, strict=True) for one in pair])
    return np.asarray(parts.mean((1, 3, 5), dtype=np.float32))


@dataclass(frozen=True, eq=False)
class PointMap:
    """Where points of `fixed` lie in `moving`.

    Attributes:
        fixed, moving: the two scans.
        turn: 3 x 3, the directions of `fixed` in `moving`.
        to_moving: points `[n, 3]` (RAS mm) of `fixed` to those of `moving`.
    """

    fixed: LungScan
    moving: LungScan
    turn: np.ndarray
    to_moving: Callable[[np.ndarray], np.ndarray]

    def place(self, ras: np.ndarray) -> np.ndarray:
        """One point `[3]`."""
        return self.to_moving(np.asarray(ras, float)[None])[0]


@dataclass(frozen=True, eq=False)
class Registration:
    """Where the points of one CT (`fixed`) lie in another (`moving`).

    Attributes:
        fixed, moving: the two scans.
        rigid: 4 x 4, RAS mm of `fixed` to RAS mm of `moving`.
        field: displacements after `rigid`, mm, `[s, a, r, 3]` on a grid of `fixed` from `low` with cells of `cell` mm.
        fit: what is left.
    """

    fixed: LungScan
    moving: LungScan
    rigid: np.ndarray
    field: np.ndarray
    low: np.ndarray
    cell: float
    fit: Fit

    @property
    def forward(self) -> PointMap:
        """From `fixed` to `moving`."""
        return PointMap(self.fixed, self.moving, self.rigid[:3, :3], self.to_moving)

    @property
    def backward(self) -> PointMap:
        """From `moving` to `fixed`."""
        return PointMap(self.moving, self.fixed, self.rigid[:3, :3].T, self.to_fixed)

    def to_moving(self, ras: np.ndarray) -> np.ndarray:
        """Points `[n, 3]` (RAS mm) of `fixed` in `moving`; beyond the lungs the displacement is that at their edge."""
        places = ((ras - self.low) / self.cell).T[::-1]
        parts = [ndimage.map_coordinates(self.field[..., axis], places, order=1, mode="nearest") for axis in range(3)]
        return (ras + np.stack(parts, -1)) @ self.rigid[:3, :3].T + self.rigid[:3, 3]

    def to_fixed(self, ras: np.ndarray) -> np.ndarray:
        """Points `[n, 3]` of `moving` in `fixed`: the inverse, by repeated correction."""
        back = np.linalg.inv(self.rigid)
        found = ras @ back[:3, :3].T + back[:3, 3]
        for _ in range(12):
            found = found + (ras - self.to_moving(found)) @ back[:3, :3].T
        return found


def register(fixed: LungScan, moving: LungScan) -> Registration:
    """Lay `moving` on `fixed`; look at `fit` before relying on it."""
    rigid = _rigid(fixed, moving, _shift(fixed, moving))
    low, high = fixed.box_ras
    field, cell = np.zeros((2, 2, 2, 3), np.float32), float(np.max(high - low))
    for turns, wanted in zip(_TURNS, _FIELD_MM, strict=True):
        field, cell = _demons(fixed, moving, rigid, (field, cell), wanted, turns), wanted
    unmeasured = Registration(fixed, moving, rigid, field, low, cell, Fit(0, 0.0, np.nan, np.nan))
    return Registration(fixed, moving, rigid, field, low, cell, _fit(unmeasured))


# ---------------------------------------------------------------- steps


def _shift(fixed: LungScan, moving: LungScan) -> np.ndarray:
    """How far (R, A, S mm) points of `fixed` have to go to lie on `moving`, from the whole of both CTs."""
    images, masks, lows = [], [], []
    for scan in (fixed, moving):
        corners = scan.ct.to_ras(np.argwhere(np.ones((2, 2, 2))) * (np.array(scan.ct.hu.shape[::-1]) - 1))
        low, high = corners.min(0), corners.max(0)
        size = tuple(int(n) for n in np.maximum(1, np.ceil((high - low) / _SHIFT_MM)))
        image = scan.sampled(low, (size[0], size[1], size[2]), _SHIFT_MM, masked=False)
        images.append(image)
        masks.append(np.ones(image.shape, bool))
        lows.append(low)
    shift, *_ = phase_cross_correlation(
        images[0], images[1], reference_mask=masks[0], moving_mask=masks[1], overlap_ratio=_LEAST_OVERLAP
    )
    return np.asarray(lows[1] - lows[0] - np.asarray(shift)[::-1] * _SHIFT_MM)


def _image(array: np.ndarray, low: np.ndarray, cell: float) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((cell,) * 3)
    image.SetOrigin([float(one) for one in low])
    return image


def _lung_image(scan: LungScan, cell: float) -> sitk.Image:
    low, high = scan.box_ras
    size = [int(np.ceil(one / cell)) + 1 for one in high - low]
    return _image(scan.sampled(low, (size[0], size[1], size[2]), cell, masked=True), low, cell)


def _rigid(fixed: LungScan, moving: LungScan, shift: np.ndarray) -> np.ndarray:
    """4 x 4, RAS mm of `fixed` to RAS mm of `moving`."""
    one, other = _lung_image(fixed, _RIGID_MM), _lung_image(moving, _RIGID_MM)
    transform = sitk.Euler3DTransform()
    transform.SetCenter([float(value) for value in np.mean(fixed.box_ras, 0)])
    transform.SetTranslation([float(value) for value in shift])
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMeanSquares()
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(4.0, 0.02, 80, relaxationFactor=0.6)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([2, 1])
    method.SetSmoothingSigmasPerLevel([1, 0])
    method.SetInitialTransform(transform, inPlace=True)
    method.SetNumberOfThreads(2)
    with suppress(RuntimeError):  # the lungs do not overlap: the shift stands, and the fit tells
        method.Execute(one, other)
    matrix = np.eye(4)
    turn = np.reshape(transform.GetMatrix(), (3, 3))
    centre = np.array(transform.GetCenter())
    matrix[:3, :3], matrix[:3, 3] = turn, np.array(transform.GetTranslation()) + centre - turn @ centre
    return matrix


def _demons(
    fixed: LungScan,
    moving: LungScan,
    rigid: np.ndarray,
    before: tuple[np.ndarray, float],
    cell: float,
    turns: int,
) -> np.ndarray:
    """The field on cells of `cell` mm, starting from one on other cells."""
    one, other = _lung_image(fixed, cell), _lung_image(moving, cell)
    back = sitk.AffineTransform(3)
    back.SetMatrix(rigid[:3, :3].ravel().tolist())
    back.SetTranslation(rigid[:3, 3].tolist())
    laid = sitk.Resample(other, one, back, sitk.sitkLinear, _OUTSIDE_HU + 850, sitk.sitkFloat32)
    start = _image_of_field(before[0], fixed.box_ras[0], before[1])
    start = sitk.Resample(start, one, sitk.Transform(), sitk.sitkLinear, 0.0, sitk.sitkVectorFloat64)
    demons = sitk.FastSymmetricForcesDemonsRegistrationFilter()
    demons.SetNumberOfIterations(turns)
    demons.SetSmoothDisplacementField(True)
    demons.SetStandardDeviations(_SMOOTHING)
    demons.SetNumberOfThreads(2)
    return sitk.GetArrayFromImage(demons.Execute(one, laid, start)).astype(np.float32)


def _image_of_field(field: np.ndarray, low: np.ndarray, cell: float) -> sitk.Image:
    image = sitk.GetImageFromArray(field.astype(np.float64), isVector=True)
    image.SetSpacing((cell,) * 3)
    image.SetOrigin([float(one) for one in low])
    return image


# ---------------------------------------------------------------- patches


def patch(scan: LungScan, places: np.ndarray) -> np.ndarray:
    """HU at RAS points `[..., 3]`, at most 100 and less the lungs' median; float32."""
    ijk = np.moveaxis(scan.ct.to_ijk(places)[..., ::-1], -1, 0)
    # Cut to what is asked for: sampling converts all that it is given.
    low = np.floor(ijk.reshape(3, -1).min(1)).clip(0, np.array(scan.ct.hu.shape) - 1).astype(int)
    high = np.ceil(ijk.reshape(3, -1).max(1)).clip(low, np.array(scan.ct.hu.shape) - 1).astype(int) + 1
    hu = scan.ct.hu[tuple(slice(a, b) for a, b in zip(low, high, strict=True))].astype(np.float32)
    smooth = [0.5 * max(0.0, _PATCH_CELL_MM / spacing - 1) for spacing in scan.ct.spacing[::-1]]
    hu = ndimage.gaussian_filter(np.minimum(hu, 100), smooth) - np.float32(scan.median_hu)
    return np.asarray(ndimage.map_coordinates(hu, ijk - low.reshape(3, *[1] * (ijk.ndim - 1)), order=1, mode="nearest"))


def lattice(half_mm: float) -> np.ndarray:
    """Points `[s, a, r, 3]` around 0 on cells of 1.5 mm, up to `half_mm` away along each axis; (R, A, S) mm."""
    steps = np.arange(-round(half_mm / _PATCH_CELL_MM), round(half_mm / _PATCH_CELL_MM) + 1) * _PATCH_CELL_MM
    return np.stack(np.meshgrid(steps, steps, steps, indexing="ij")[::-1], -1)


def found_again(
    points: PointMap, place: np.ndarray, hidden: np.ndarray | None = None, trusted_mm: float = np.inf
) -> tuple[np.ndarray, float]:
    """Where the surroundings of a point of `fixed` lie in `moving` (RAS mm), and how well they correlate, -1 to 1.

    Args:
        points: puts the search around the right place.
        place: RAS mm in `fixed`.
        hidden: of `lattice(PATCH_MM)` at `place`, what is not to be looked at (a nodule that may be gone).
        trusted_mm: how far from the field's place a perfect match is worth as much as none there: other structures look
            alike. Infinite: wherever it matches best.
    """
    around = lattice(PATCH_MM)
    template = patch(points.fixed, place + around)
    if hidden is not None:
        template = np.where(hidden, np.median(template), template)
    # The field is smooth, so over the width of a patch its displacement is that of the middle.
    middle = points.place(place)
    image = patch(points.moving, middle + lattice(PATCH_MM + _SEARCH_MM) @ points.turn.T)
    if template.std() < 1 or image.std() < 1:
        return middle, 0.0
    match = match_template(image, template)
    worth = match - (lattice(_SEARCH_MM) ** 2).sum(-1) / trusted_mm**2
    best = np.array(np.unravel_index(np.argmax(worth), worth.shape))
    offset = (best - (np.array(worth.shape) - 1) / 2 + _between(worth, best))[::-1] * _PATCH_CELL_MM
    return middle + offset @ points.turn.T, float(match[tuple(best)])


def _between(match: np.ndarray, best: np.ndarray) -> np.ndarray:
    """Where between the cells the peak lies: of a parabola along each axis."""
    offset = np.zeros(3)
    for axis in range(3):
        if 0 < best[axis] < match.shape[axis] - 1:
            before, at, after = (match[tuple(best + step * np.eye(3, dtype=int)[axis])] for step in (-1, 0, 1))
            bend = before - 2 * at + after
            offset[axis] = 0.5 * (before - after) / bend if bend < 0 else 0.0
    return offset


def _fit(registration: Registration) -> Fit:
    places = _landmarks(registration)
    if not len(places):
        return Fit(0, 0.0, np.nan, np.nan)
    expected = registration.to_moving(places)
    seen = [found_again(registration.forward, place) for place in places]
    apart = np.array(
        [np.linalg.norm(at - there) for (at, match), there in zip(seen, expected, strict=True) if match >= FOUND]
    )
    if not len(apart):
        return Fit(len(places), 0.0, np.nan, np.nan)
    return Fit(len(places), len(apart) / len(places), float(np.median(apart)), float(np.quantile(apart, 0.95)))


def _landmarks(registration: Registration) -> np.ndarray:
    """Points in the lungs of `fixed`, RAS mm `[n, 3]`, at vessels, spread over all, that `moving` shows too."""
    fixed = registration.fixed
    steps = tuple(max(1, round(4.0 / spacing)) for spacing in fixed.ct.spacing[::-1])
    inside = block_share(fixed.lungs, steps) > 0.99
    dense = inside & (block_mean(fixed.ct.hu, steps)[tuple(map(slice, inside.shape))] > fixed.median_hu + 150)
    cells = np.argwhere(dense)
    if not len(cells):
        return np.zeros((0, 3))
    chosen = np.random.default_rng(0).permutation(len(cells))[: 4 * _PATCHES]
    ras = fixed.ct.to_ras((cells[chosen] * steps + (np.array(steps) - 1) / 2)[:, ::-1])
    there = registration.to_moving(ras)
    shown = [registration.moving.shows(point) for point in there]
    return ras[shown][:_PATCHES]
