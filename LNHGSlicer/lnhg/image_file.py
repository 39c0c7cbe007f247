"""Reading a CT from one NRRD, MHA or NIfTI file."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import SimpleITK as sitk
from nibabel.filebasedimages import ImageFileError

from .ct import CT, fingerprint, in_hu
from .errors import InputError

_ITK_ENDINGS = (".nrrd", ".nhdr", ".mha", ".mhd")
_NIFTI_ENDINGS = (".nii", ".nii.gz")
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def read(path: Path) -> CT:
    """The CT of one file; its values must be HU. Raises InputError as `read_ct` says."""
    name = path.name.lower()
    if name.endswith(_NIFTI_ENDINGS):
        values, ijk_to_ras = _read_nifti(path)
    elif name.endswith(_ITK_ENDINGS):
        values, ijk_to_ras = _read_itk(path)
    else:
        raise InputError(f"{path.name} is no CT that can be read; give a DICOM folder, NRRD, MHA or NIfTI.")
    hu, warnings = in_hu(values, path.name)
    source = {
        "format": path.suffix.lstrip(".") if not name.endswith(".nii.gz") else "nii.gz",
        "matrix": list(hu.shape[::-1]),
        "contrast": "unknown",
        "sha256": fingerprint(hu, ijk_to_ras),
    }
    unknown = "Whether contrast was given is unknown: the file does not say."
    return CT(hu, ijk_to_ras, warnings=(*warnings, unknown), source=source, identity={"path": str(path.absolute())})


def _read_itk(path: Path) -> tuple[np.ndarray, np.ndarray]:
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        _check_axes(path, reader.GetDimension(), reader.GetNumberOfComponents())
        image = reader.Execute()
    except RuntimeError as error:
        raise InputError(f"{path.name} is damaged, cut off or no image; copy it again.") from error
    lps = np.eye(4)
    # Direction times spacing keeps shear; the directions alone need not be orthogonal.
    lps[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    lps[:3, 3] = image.GetOrigin()
    return sitk.GetArrayFromImage(image), _LPS_TO_RAS @ lps


def _read_nifti(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Through nibabel, whose affine keeps shear; ITK refuses it."""
    try:
        image = nibabel.load(path)
        _check_axes(path, len(image.shape), 3 if image.get_data_dtype().names else 1)
        values = np.asanyarray(image.dataobj)
    except (ImageFileError, OSError, EOFError, ValueError) as error:
        raise InputError(f"{path.name} is damaged, cut off or no image; copy it again.") from error
    return values.transpose(2, 1, 0), np.asarray(image.affine, float)


def _check_axes(path: Path, axes: int, components: int) -> None:
    if components != 1:
        raise InputError(f"{path.name} is a colour or vector image; give a CT with one HU value a voxel.")
    if axes != 3:
        raise InputError(f"{path.name} has {axes} axes; give a single 3D CT.")
