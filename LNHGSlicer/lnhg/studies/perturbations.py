"""The same nodule, scanned or outlined otherwise: changes of a cut-out that leave the nodule what it is."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from ..core.ct import AIR_HU
from ..data.cutouts import Cutout
from ..evaluation.measures import dice
from ..evaluation.references import readers
from ..stages.scan_noise import noise_level

_NOISE_HU = 20.0
# A quarter of the dose has four times the variance: what is added has three times that of the scan.
_DOSE = 4.0
# In-slice smoothing of a smoother kernel, and of what a sharper one adds back, mm (standard deviation).
_KERNEL_MM = 0.6
_SHARPENING = 0.7
# A slice twice as thick at the same distance.
_THICK_PROFILE = (0.25, 0.5, 0.25)
_SHIFT = 0.5


@dataclass(frozen=True)
class Perturbation:
    """A change of a cut-out.

    Attributes:
        name: short, for tables.
        meaning: what is done, with figures.
        apply: the changed cut-out; the same for the same cut-out at every call.
    """

    name: str
    meaning: str
    apply: Callable[[Cutout], Cutout]


def noisy(cutout: Cutout) -> Cutout:
    """Gaussian noise of 20 HU in every voxel, independent."""
    return _with_hu(cutout, cutout.ct.hu + _random_of(cutout).normal(0, _NOISE_HU, cutout.ct.hu.shape))


def low_dose(cutout: Cutout) -> Cutout:
    """A quarter of the dose: noise with a grain of about one pixel, three times the variance of the scan's own.

    Both are measured as `noise_level` does.
    """
    grain = ndimage.gaussian_filter(_random_of(cutout).normal(size=cutout.ct.hu.shape), (0, 0.5, 0.5))
    scale = np.sqrt(_DOSE - 1) * noise_level(cutout.ct.hu) / noise_level(grain)
    return _with_hu(cutout, cutout.ct.hu + scale * grain)


def smooth_kernel(cutout: Cutout) -> Cutout:
    """Gaussian smoothing in the slice, standard deviation 0.6 mm."""
    return _with_hu(cutout, _smoothed(cutout))


def sharp_kernel(cutout: Cutout) -> Cutout:
    """Unsharp masking in the slice: 0.7 of what the smoother kernel takes away is added."""
    hu = cutout.ct.hu.astype(float)
    return _with_hu(cutout, hu + _SHARPENING * (hu - _smoothed(cutout)))


def thick_slices(cutout: Cutout) -> Cutout:
    """Each slice averaged with its neighbours by 1/4, 1/2, 1/4: about twice as thick, at the same places."""
    return _with_hu(cutout, ndimage.correlate1d(cutout.ct.hu.astype(float), _THICK_PROFILE, axis=0, mode="nearest"))


def half_pixel_shift(cutout: Cutout) -> Cutout:
    """The grid moved by half a pixel along rows and columns (cubic splines); the readers' outlines move with it."""
    hu = ndimage.shift(cutout.ct.hu.astype(float), (0, -_SHIFT, -_SHIFT), order=3, mode="nearest")
    bits = np.unpackbits(cutout.readers[..., None], axis=-1)
    share = ndimage.shift(bits.astype(np.float32), (0, -_SHIFT, -_SHIFT, 0), order=1, mode="nearest")
    # Many voxels are half inside now. They fall to either side at random, so that the outline keeps its size and place.
    moved = share + _random_of(cutout).uniform(-0.01, 0.01, (*cutout.readers.shape, 1)) > 0.5
    changed = _with_hu(cutout, hu)
    matrix = cutout.ct.ijk_to_ras.copy()
    matrix[:3, 3] = cutout.ct.to_ras(np.array([_SHIFT, _SHIFT, 0]))
    return replace(changed, ct=replace(changed.ct, ijk_to_ras=matrix), readers=np.packbits(moved, axis=-1)[..., 0])


def other_reader(cutout: Cutout) -> Cutout:
    """The outline of one reader in place of the consensus: of the reader who agrees least with it (Dice)."""
    furthest = min(readers(cutout), key=lambda outline: dice(cutout.consensus, outline))
    return replace(cutout, readers=furthest.astype(np.uint8), reader_count=1)


PERTURBATIONS = (
    Perturbation("noise", "Gaussian noise of 20 HU", noisy),
    Perturbation("quarter dose", "noise of three times the scan's own variance, grain of about a pixel", low_dose),
    Perturbation("smooth kernel", "in-slice Gaussian of 0.6 mm", smooth_kernel),
    Perturbation("sharp kernel", "in-slice unsharp mask, 0.6 mm, weight 0.7", sharp_kernel),
    Perturbation("thick slices", "neighbouring slices mixed in by a quarter each", thick_slices),
    Perturbation("half-pixel shift", "grid moved by half a pixel in rows and columns", half_pixel_shift),
    Perturbation("other reader", "seed and outline of the reader who agrees least with the consensus", other_reader),
)


def _random_of(cutout: Cutout) -> np.random.Generator:
    """Random numbers that depend on the nodule's name alone."""
    return np.random.default_rng(zlib.crc32(cutout.name.encode()))


def _smoothed(cutout: Cutout) -> np.ndarray:
    column, row, _ = cutout.ct.spacing
    return ndimage.gaussian_filter(
        cutout.ct.hu.astype(float), (0, _KERNEL_MM / row, _KERNEL_MM / column), mode="nearest"
    )


def _with_hu(cutout: Cutout, hu: np.ndarray) -> Cutout:
    return replace(cutout, ct=replace(cutout.ct, hu=np.clip(np.rint(hu), AIR_HU, 32767).astype(np.int16)))
