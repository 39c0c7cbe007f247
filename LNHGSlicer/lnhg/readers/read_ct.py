"""Reading a chest CT from disk, whatever its format."""

from __future__ import annotations

from pathlib import Path

from ..core.ct import CT
from ..errors import InputError


def read_ct(path: str | Path, series: str | None = None) -> CT:
    """Read a chest CT from a folder of DICOM files, or from one DICOM, NRRD, MHA or NIfTI file.

    Args:
        path: the folder or file.
        series: which DICOM series, where there are several: its UID, its number, or part of its description. Without it
            the thin axial CT is taken and named in the warnings.

    Raises InputError, with a sentence on what to do, for anything that is no CT in HU on one regular grid.
    """
    from . import dicom_headers, dicom_series, image_file

    path = Path(path)
    try:
        if path.is_dir():
            return dicom_series.read(sorted(file for file in path.rglob("*") if file.is_file()), path, series)
        return dicom_series.read([path], path, series) if dicom_headers.is_dicom(path) else image_file.read(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"{path} does not exist; give a DICOM folder or an image file.") from error
    except PermissionError as error:
        raise InputError(f"{error.filename} may not be read; ask for the right to read it.") from error
