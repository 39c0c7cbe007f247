"""Reading a CT from one NRRD, MHA or NIfTI file."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK as sitk
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from ..core.ct import CT, fingerprint
from ..errors import InputError
from .checks import grid_warnings, in_hu

_ITK_ENDINGS = (".nrrd", ".nhdr", ".mha", ".mhd")
_NIFTI_ENDINGS = (".nii", ".nii.gz")
#: Endings of the image files that can be read.
ENDINGS = _ITK_ENDINGS + _NIFTI_ENDINGS
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_NO_CONTRAST = "Whether contrast was given is unknown: the file does not say."
_NO_SPACE = "The file does not say how the patient lay: left, right, front and back may be mixed up."


def stem(path: Path) -> str | None:
    """A file's name without the ending of an image; None if it has no such ending."""
    return next((path.name[: -len(ending)] for ending in ENDINGS if path.name.lower().endswith(ending)), None)


def read(path: Path) -> CT:
    """The CT of one file; its values must be HU. Raises InputError as `read_ct` says."""
    name = path.name.lower()
    if name.endswith(_NIFTI_ENDINGS):
        values, ijk_to_ras, placed = _read_nifti(path)
    elif name.endswith(_ITK_ENDINGS):
        values, ijk_to_ras, placed = _read_itk(path)
    else:
        raise InputError(f"{path.name} is no CT that can be read; give a DICOM folder, NRRD, MHA or NIfTI.")
    hu, warnings = in_hu(values, path.name)
    source = {
        "format": path.suffix.lstrip(".") if not name.endswith(".nii.gz") else "nii.gz",
        "matrix": list(hu.shape[::-1]),
        "contrast": "unknown",
        "sha256": fingerprint(hu, ijk_to_ras),
    }
    ct = CT(hu, ijk_to_ras, source=source, identity={"path": str(path.absolute())})
    return replace(ct, warnings=(*warnings, *grid_warnings(ijk_to_ras), *(() if placed else (_NO_SPACE,)), _NO_CONTRAST))


def _read_itk(path: Path) -> tuple[np.ndarray, np.ndarray, bool]:
    """Voxels, grid, and whether the file names its space (only NRRD can leave it out)."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        _check_axes(path, reader.GetDimension(), reader.GetNumberOfComponents())
        image = reader.Execute()
    except RuntimeError as error:
        raise InputError(f"{path.name} is damaged, cut off or no image; copy it again.") from error
    placed = not path.name.lower().endswith((".nrrd", ".nhdr")) or image.HasMetaDataKey("NRRD_space")
    return sitk.GetArrayFromImage(image), grid_of(image), placed


def grid_of(image: sitk.Image) -> np.ndarray:
    """IJK to RAS (4 x 4, mm) of an ITK image."""
    lps = np.eye(4)
    # Direction times spacing keeps shear; the directions alone need not be orthogonal.
    lps[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    lps[:3, 3] = image.GetOrigin()
    return _LPS_TO_RAS @ lps


def _read_nifti(path: Path) -> tuple[np.ndarray, np.ndarray, bool]:
    """Voxels, grid, and whether the file holds one; through nibabel, whose affine keeps shear that ITK refuses."""
    try:
        if path.name.lower().endswith(".gz"):
            _check_gzip(path)
        image = nibabel.load(path)
        if not isinstance(image, nibabel.Nifti1Image):
            raise ImageFileError("a .nii file, but of another kind (CIFTI)")
        shape = image.shape[:3] if set(image.shape[3:]) == {1} else image.shape
        _check_axes(path, len(shape), 3 if image.get_data_dtype().names else 1)
        values = np.asanyarray(image.dataobj).reshape(shape)
    except (ImageFileError, HeaderDataError, OSError, EOFError, ValueError, zlib.error) as error:
        raise InputError(f"{path.name} is damaged, cut off or no image; copy it again.") from error
    placed = bool(image.header["sform_code"] or image.header["qform_code"])
    return values.transpose(2, 1, 0), np.asarray(image.affine, float), placed


def _check_gzip(path: Path) -> None:
    """Unpack to the end, where the checksum is; nibabel stops before it and returns damaged voxels."""
    with gzip.open(path) as file:
        while file.read(1 << 24):
            pass


def _check_axes(path: Path, axes: int, components: int) -> None:
    if components != 1:
        raise InputError(f"{path.name} is a colour or vector image; give a CT with one HU value a voxel.")
    if axes != 3:
        raise InputError(f"{path.name} has {axes} axes; give a single 3D CT.")
