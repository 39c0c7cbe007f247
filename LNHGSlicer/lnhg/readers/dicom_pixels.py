"""Pixels of DICOM slices: decompressed, rescaled to HU, padding made air."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk

from ..core.ct import AIR_HU
from ..errors import InputError


def decoded(files: Sequence[Path], headers: Sequence[pydicom.Dataset]) -> np.ndarray:
    """HU as float32 `[slice, row, column]`, one slice a file: rescale applied, padding that the header names made air.

    Reads every transfer syntax that pydicom or GDCM decodes here; raises InputError for a file that neither reads whole.
    """
    slices = np.empty((len(files), headers[0].Rows, headers[0].Columns), np.float32)
    for image, file, header in zip(slices, files, headers, strict=True):
        stored = _stored_values(file, header)
        if stored.shape != image.shape:
            raise InputError(f"{file.name} is damaged or cut off; copy the series again.")
        image[:] = stored * float(header.RescaleSlope) + float(header.RescaleIntercept)
        padding = _padding(header, stored)
        if padding is not None:
            image[padding] = AIR_HU
    return slices


def _stored_values(file: Path, header: pydicom.Dataset) -> np.ndarray:
    try:
        return pydicom.dcmread(file, force=True).pixel_array
    except Exception:  # no decoder of pydicom's for this syntax, or a damaged file, which GDCM refuses as well
        return _through_gdcm(file, header)


def _through_gdcm(file: Path, header: pydicom.Dataset) -> np.ndarray:
    """Stored values `[row, column]` as GDCM decodes them; the rescale that it applies is taken back."""
    try:
        values = sitk.GetArrayFromImage(sitk.ReadImage(str(file), sitk.sitkFloat64, "GDCMImageIO"))[0]
    except RuntimeError as error:
        raise InputError(f"{file.name} is damaged, cut off or in an unknown compression; copy the series again.") from error
    stored = np.rint((values - float(header.RescaleIntercept)) / float(header.RescaleSlope))
    return stored.astype(f"{'i' if header.PixelRepresentation else 'u'}{header.BitsAllocated // 8}")


def _padding(header: pydicom.Dataset, stored: np.ndarray) -> np.ndarray | None:
    """Pixels that the header names as padding, by a value or a range."""
    named = [header.get(name) for name in ("PixelPaddingValue", "PixelPaddingRangeLimit")]
    if named[0] is None:
        return None
    # Signed padding is often written as the unsigned number of the same bits: 63536 for -2000.
    ends = np.array([value for value in named if value is not None]).astype(stored.dtype)
    return (stored >= ends.min()) & (stored <= ends.max())
