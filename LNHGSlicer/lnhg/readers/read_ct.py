"""Reading a chest CT from disk, whatever its format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..core.ct import CT
from ..errors import InputError


def read_ct(path: str | Path, series: str | None = None, scan: int | None = None) -> CT:
    """Read a chest CT from a folder of DICOM files, or from one DICOM, NRRD, MHA or NIfTI file.

    Args:
        path: the folder or file.
        series: which DICOM series, where there are several: its UID, its number, or part of its description.
        scan: which of several scans, as numbered from 1 in the warnings and refusals of an earlier call: those of the
            series, or all. Scans of one series are told apart by patient, study, acquisition, phase, kernel and the
            like.

    Without them the scan that covers enough of the chest without gaps, and of these the thin axial one, is taken and
    named in the warnings. Raises InputError, with a sentence on what to do, for anything that is no CT in HU on one
    regular grid.
    """
    path = Path(path)
    return read_files(None, path, series, scan)


def read_files(files: Sequence[Path] | None, place: Path, series: str | None = None, scan: int | None = None) -> CT:
    """Read a CT as `read_ct` does, from DICOM files found earlier; None: from `place` itself, a folder or file."""
    from . import dicom_headers, image_file, read_dicom
    from .files import check_regular, files_below, kept_elsewhere

    if "\0" in str(place):
        raise InputError("A name of a file cannot hold a zero byte; give a DICOM folder or an image file.")
    try:
        if files is None and place.is_dir():
            files = files_below(place)
        if files is None:
            check_regular(place)
            files = [place] if dicom_headers.is_dicom(place) else None
        if files is not None:
            return read_dicom.read(files, place, series, scan)
        if series is not None or scan not in (None, 1):
            raise InputError(
                f"{place.name} is an image file, which holds one scan and no series; leave out --series and --scan."
            )
        return image_file.read(place)
    except (FileNotFoundError, NotADirectoryError) as error:
        if place in kept_elsewhere(place.parent):
            raise InputError(f"{place.name} is in the cloud and not on this computer; fetch it first.") from error
        raise InputError(f"{place} does not exist; give a DICOM folder or an image file.") from error
    except PermissionError as error:
        raise InputError(f"{error.filename} may not be read; ask for the right to read it.") from error
    except OSError as error:
        raise InputError(f"{place} cannot be read ({error.strerror or error}); copy it again.") from error
    except MemoryError as error:
        raise InputError(
            f"There is not enough memory to read {place.name}; close other programs or use a larger machine."
        ) from error
