"""Reading a CT from DICOM files: choosing the scan, naming what is lost or left out, putting its slices on one grid."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pydicom
from pydicom.uid import UID, JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless

from ..core.ct import CT, check_grid, fingerprint
from ..core.whole_numbers import is_whole_number
from ..errors import InputError
from .checks import constant_slices, grid_warnings, in_hu
from .copies import without_copies
from .dicom_headers import PERSON, SERIES, START, Other, Slice, is_dicom, read_slices, starts_as_dicom
from .dicom_pixels import decoded
from .dicom_scans import Scan, as_list, chosen, goes_on, lies_between, scans_of, scattered
from .files import (
    DICOM_ENDINGS,
    PACKED,
    UNFINISHED,
    ending,
    few,
    folders_below,
    hidden_in,
    kept_elsewhere,
    loss,
    packed_start,
)
from .image_file import ENDINGS

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
# Files of slices differ in size by less than this, in bytes, where they are not compressed.
_SIZE = 64
# Slices further apart than this many times their thickness have gaps between them; none are made as close as this share
# of it.
_GAP, _OVERLAP = 1.25, 0.2
# Thicknesses of one scan differ by less than this share, as they are rounded.
_SAME_THICKNESS = 1.02
# Scanners' fields of view and what their pixels make differ by less than this share.
_SAME_FIELD = 0.1
# Syntaxes that always lose something; JPEG 2000 need not.
_LOSSY = (JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless)
# Most figures of a number of images.
_FIGURES = 6
# Passes that lie between one another are at most so many, of at least so many slices.
_MOST_PASSES, _LEAST_SLICES = 4, 4
_GOES_ON = (
    "Slices of the same series go on above or below the scan that was taken, on another grid, in another acquisition, "
    "or of another patient, study or frame of reference by their headers: the lungs may be cut short."
)
_BETWEEN = (
    "Slices of the same series lie half-way between those of the scan that was taken, and their headers differ: half "
    "of the slices may be left out."
)
_PLANES = ("sagittal", "coronal", "axial")


def read(files: Sequence[Path], place: Path, series: str | None, number: int | None) -> CT:
    """The CT in these files; `place` is the folder or file that a person gave, the rest as `read_ct` says."""
    place = place.absolute()
    # Odd values that can be read all the same are no news to a reader of the CT.
    with warnings.catch_warnings(), pydicom.config.disable_value_validation():
        warnings.simplefilter("ignore")
        found = {file: () if _is_lost(file) else read_slices(file) for file in files}
        others = [one for held in found.values() for one in held if isinstance(one, Other)]
        all_slices = [one for held in found.values() for one in held if isinstance(one, Slice)]
        slices = without_copies(all_slices)
        scans = _whole_scans(slices, others, place, found)
        scan, listed = chosen(scans, place, series, number)
        _check_one_stack(scan, scans, place, number)
        _check_none_lost(scan, found, place)
        if scan.problem:
            raise InputError(scan.problem)
        ijk_to_ras = _matrix(scan)
        check_grid(ijk_to_ras)
        values = decoded(scan.slices)
    hu, remarks = in_hu(values, place.name, ijk_to_ras)
    kept, shown = _of_choice(scan, scans, listed, number)
    left_out, why = _left_out(scan, others)
    first = scan.first
    ct = CT(
        hu,
        ijk_to_ras,
        _instance_numbers(scan),
        source=_source(first, hu, ijk_to_ras),
        identity=_identity(first, place, (*shown, *why)),
    )
    return replace(
        ct,
        warnings=(
            *kept,
            *_of_copies(scan, all_slices, slices),
            *left_out,
            *remarks,
            *_of_missing(scan, scans),
            *_of_slices(scan, hu),
            *grid_warnings(ijk_to_ras, len(hu), scan.thicknesses[1]),
        ),
    )


def _is_lost(file: Path) -> bool:
    return not file.exists() or not file.stat().st_size


def _whole_scans(slices: list[Slice], others: list[Other], place: Path, found: dict[Path, Any]) -> list[Scan]:
    """The scans of the slices; refuses a folder that holds none, saying what it holds, and one with a defective
    slice.
    """
    if not slices:
        problems = ", ".join(dict.fromkeys(one.reason for one in others))
        if problems:
            raise InputError(f"{place.name} holds no CT that can be used ({problems}); give a CT series in HU.")
        lost = [_lost(file) for file in found if _is_lost(file) and ending(file) in ("", *DICOM_ENDINGS)]
        lost += [
            _away(file)
            for folder in (folders_below(place) if place.is_dir() else ())
            for file in kept_elsewhere(folder)
        ]
        if lost:
            raise InputError(f"{few(lost)}; copy the series again.")
        _refuse_without_dicom(place, list(found))
    series = {one.texts["SeriesInstanceUID"] for one in slices}
    for one in others:
        if one.defective and one.series in series:
            raise InputError(f"{one.file.name} is damaged or cut off ({one.reason}); copy the series again.")
    return scans_of(slices)


def _refuse_without_dicom(place: Path, files: Sequence[Path]) -> NoReturn:
    """Raise InputError for a place without a DICOM image: what it holds in their place, as far as names tell."""
    if files == [place]:
        raise InputError(f"{place.name} lists images and holds none; give the folder that it lies in.")
    images = [file.name for file in files if file.name.lower().endswith(ENDINGS)]
    packed = [file.name for file in files if file.name.lower().endswith(PACKED)]
    if images:
        raise InputError(f"{place.name} holds no DICOM file but {few(images)}; give the path of the image file.")
    if packed:
        raise InputError(f"{place.name} holds no DICOM file but {few(packed)}; unpack it and give what was in it.")
    raise InputError(f"{place.name} holds no DICOM file; give a folder with a CT series, or an image file.")


def _check_one_stack(scan: Scan, scans: list[Scan], place: Path, number: int | None) -> None:
    """Refuse one slice of many that are one stack but for elements that were given to each anew, unless it was asked
    for.
    """
    names = scattered(scan, scans) if number is None else ()
    if names:
        raise InputError(
            f"Each slice in {place.name} has a {' and '.join(names)} of its own, though together they are one stack; "
            "export the series again with one for all, or choose a single slice with --scan."
        )


def _check_none_lost(scan: Scan, found: dict[Path, Any], place: Path) -> None:
    """Refuse the scan where files beside its slices, named as they are, lost their content, or are packed or hidden as
    a copy leaves them that was broken off: the lung may be cut short.
    """
    endings: dict[Path, set[str]] = {}
    sizes: dict[Path, set[int]] = {}
    for one in scan.slices:
        endings.setdefault(one.file.parent, set(DICOM_ENDINGS)).add(ending(one.file))
        sizes.setdefault(one.file.parent, set()).add(one.file.stat().st_size // _SIZE)
    beside = [file for file, held in found.items() if not held and file.parent in endings]
    named_alike = [file for file in beside if ending(file) in endings[file.parent] and file.name.upper() != "DICOMDIR"]
    lost = [text for file in named_alike if (text := _lost(file, sizes[file.parent]))]
    lost += [
        f"{file.name} was not fetched whole"
        for file in beside
        if ending(file) in UNFINISHED and ending(file.with_suffix("")) in endings[file.parent]
    ]
    lost += [f"{file.name} is packed" for file in beside if starts_as_dicom(packed_start(file, START))]
    if place.is_dir():
        lost += [
            _away(file) for folder in endings for file in kept_elsewhere(folder) if ending(file) in endings[folder]
        ]
        lost += [f"{file.name} is hidden" for folder in endings for file in hidden_in(folder) if is_dicom(file)]
    if lost:
        raise InputError(
            f"Beside the slices of the CT {few(lost)}; copy the series again, or remove what is no part of it."
        )


def _away(file: Path) -> str:
    return f"{file.name} is in the cloud and not on this computer"


def _lost(file: Path, sizes: Collection[int] = ()) -> str:
    """The name of a file and what it lost; empty if it holds something, and of another size than slices."""
    lost = loss(file) or ("is as long as a slice, but no DICOM" if file.stat().st_size // _SIZE in sizes else "")
    return lost and f"{file.name} {lost}"


# ---------------------------------------------------------------- what a reader should know


def _of_choice(
    scan: Scan, scans: list[Scan], listed: list[Scan], number: int | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What was chosen from where there are several scans: a sentence to keep with the results, and one for the
    screen.
    """
    if len(listed) < 2 or number is not None:
        return (), ()
    kept = f"Of {len(listed)} CT scans number {listed.index(scan) + 1} was taken, {scan.label}"
    patients = len({(one.first.texts["PatientID"], one.first.texts["PatientName"]) for one in scans})
    people = f"; they are of {patients} patients" if patients > 1 and len(listed) == len(scans) else ""
    parts: tuple[str, ...] = (_GOES_ON,) if any(goes_on(scan, other) for other in listed) else ()
    parts += (_BETWEEN,) if any(lies_between(scan, other) for other in listed) else ()
    return (
        (f"{kept}{people}; choose another with --series or --scan.", *parts),
        (f"The CT scans are {as_list(listed)}.",),
    )


def _of_copies(scan: Scan, all_slices: list[Slice], slices: list[Slice]) -> tuple[str, ...]:
    """Files of the same series that are copies of others."""
    uid = scan.first.texts["SeriesInstanceUID"]
    here, own = ({one.file for one in some if one.texts["SeriesInstanceUID"] == uid} for some in (all_slices, slices))
    if len(here) == len(own):
        return ()
    count = "1 file is a copy" if len(here) - len(own) == 1 else f"{len(here) - len(own)} files are copies"
    return (f"{count} of others of the series, byte for byte: each image was read once.",)


def _left_out(scan: Scan, others: list[Other]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Images of the same series that are no slices of a CT, kept by their numbers, shown with the reason."""
    uid = scan.first.texts["SeriesInstanceUID"]
    left_out = [one for one in others if uid and one.series == uid]
    if not left_out:
        return (), ()
    numbers = [str(one.instance) for one in left_out if one.instance is not None]
    named = f" (image number {few(numbers)})" if numbers else ""
    count = "1 image" if len(left_out) == 1 else f"{len(left_out)} images"
    reasons = "; ".join(f"{one.file.name}: {one.reason}" for one in left_out[:5])
    return (f"{count} of the series{named} left out: no slices of a CT.",), (f"Left out of the series: {reasons}.",)


def _of_slices(scan: Scan, hu: np.ndarray) -> tuple[str, ...]:
    first, remarks = scan.first, []
    blank = constant_slices(hu)
    if blank:
        numbers = [str(scan.slices[k].instance if scan.slices[k].instance is not None else k) for k in blank]
        remarks.append(
            f"{len(blank)} slices hold nothing but one value (image number {few(numbers)}): the scan may be cut short."
        )
    if not scan.axial:
        plane = _PLANES[int(np.argmax(np.abs(scan.upward)))]
        remarks.append(
            f"The slices are {plane}, not axial, and likely reformatted: use the axial series where there is one."
        )
    if scan.acquisitions > 1:
        remarks.append(
            f"The slices are of {scan.acquisitions} acquisitions, one upon another: "
            "the patient may have moved or breathed between."
        )
    passes = _passes([one.instance for one in scan.slices])
    if passes > 1:
        remarks.append(
            f"By their numbers the images are of {passes} passes that lie between one another: the patient may have "
            "moved or breathed between."
        )
    apart = float(abs(scan.step @ scan.upward))
    thinnest, thickest = scan.thicknesses
    if thickest > _SAME_THICKNESS * thinnest:
        remarks.append(
            f"The header names slices of {thinnest:.3g} to {thickest:.3g} mm thickness in one even stack: they may be "
            "of several reconstructions."
        )
    if thickest and len(scan.slices) > 1 and apart > _GAP * thickest:
        remarks.append(
            f"The slices are {thickest:.3g} mm thick and {apart:.3g} mm apart: what lies between them is not seen, or "
            "slices are missing."
        )
    if thickest and len(scan.slices) > 1 and apart < _OVERLAP * thickest / _SAME_THICKNESS:
        remarks.append(
            f"The slices are {thickest:.3g} mm thick and only {apart:.3g} mm apart: their places may not be in mm, and "
            "sizes may be wrong."
        )
    remarks += _of_field(scan)
    if scan.projected:
        remarks.append(
            "The series is named a projection of slabs (MIP): use the plain axial series where there is one."
        )
    if _lossy(first):
        remarks.append("The images were compressed with loss: small and faint nodules may look otherwise or be gone.")
    if _contrast(first) == "unknown":
        remarks.append("Whether contrast was given is unknown: the header does not say.")
    if len(scan.slices) == 1 and first.thickness is None:
        remarks.append("The thickness of the only slice is unknown: volumes take it for 1 mm.")
    return tuple(remarks)


def _of_field(scan: Scan) -> tuple[str, ...]:
    """Pixels that make another field than the scanner reconstructed, as where an image was made smaller and its
    PixelSpacing left, or lengths are in cm.
    """
    first = scan.first
    try:
        told = float(first.texts["ReconstructionDiameter"])
    except ValueError:  # absent, or something that nobody knows
        return ()
    field = first.columns * first.spacing[1]
    if not 0 < told < np.inf or scan.reformatted or not scan.axial or first.rows != first.columns:
        return ()
    if abs(field - told) <= _SAME_FIELD * told:
        return ()
    return (
        f"The header names a field of {told:.4g} mm, but {first.columns} pixels of {first.spacing[1]:.3g} mm make one "
        f"of {field:.4g} mm: the image was cut out, or all sizes are wrong.",
    )


def _of_missing(scan: Scan, scans: list[Scan]) -> tuple[str, ...]:
    """Images that the header counts and that are not here."""
    told = {one.texts["ImagesInAcquisition"] for one in scan.slices}
    count = int(told.pop()) if len(told) == 1 and is_whole_number(min(told), _FIGURES) else 0
    of_series = (one for one in scans if one.first.texts["SeriesInstanceUID"] == scan.first.texts["SeriesInstanceUID"])
    here = sum(len(one.slices) for one in of_series)
    if here >= count or scan.acquisitions > 1:
        return ()
    return (
        f"The header tells of {count} images in the acquisition, of which {here} are here: the scan may be cut short.",
    )


def _passes(numbers: Sequence[int | None]) -> int:
    """In how many passes, place by place in turn, image numbers run through the slices; 1 where they show none."""
    known = np.array([number for number in numbers if number is not None])
    if len(known) < len(numbers) or len(np.unique(known)) < len(known):
        return 1
    for count in range(1, _MOST_PASSES + 1):
        steps = known[count:] - known[:-count]
        if len(known) >= _LEAST_SLICES * count and ((steps > 0).all() or (steps < 0).all()):
            return count
    return 1


# ---------------------------------------------------------------- grid and provenance


def _matrix(scan: Scan) -> np.ndarray:
    """Voxel (column, row, slice) to RAS; the slice step runs from the first slice's corner to the last's, tilt
    included.
    """
    along = np.array(scan.first.along)
    down, across = scan.first.spacing
    lps = np.eye(4)
    lps[:3, :3] = np.column_stack([along[:3] * across, along[3:] * down, scan.step])
    lps[:3, 3] = scan.corners[0]
    return _LPS_TO_RAS @ lps


def _instance_numbers(scan: Scan) -> tuple[int, ...] | None:
    numbers = [one.instance for one in scan.slices if one.frame is None]
    return (
        tuple(number for number in numbers if number is not None)
        if len(numbers) == len(scan.slices) and None not in numbers
        else None
    )


def _lossy(first: Slice) -> bool:
    if first.texts["LossyImageCompression"].lstrip("0"):
        return True
    return bool(first.syntax) and UID(first.syntax) in _LOSSY


def _contrast(first: Slice) -> str:
    agent = first.texts["ContrastBolusAgent"].lower()
    return "unknown" if not agent else "no" if agent in ("none", "no") else "yes"


def _source(first: Slice, hu: np.ndarray, ijk_to_ras: np.ndarray) -> dict[str, Any]:
    return {
        "format": "dicom",
        "matrix": list(hu.shape[::-1]),
        "manufacturer": first.texts["Manufacturer"],
        "kernel": first.texts["ConvolutionKernel"],
        "slice_thickness_mm": first.texts["SliceThickness"],
        "kvp": first.texts["KVP"],
        "contrast": _contrast(first),
        "sha256": fingerprint(hu, ijk_to_ras),
    }


def _identity(first: Slice, place: Path, shown: tuple[str, ...]) -> dict[str, str]:
    named = {name: first.texts[name] for name in (*PERSON, *SERIES)}
    return {"path": str(place), **named, **({"notes": " ".join(shown)} if shown else {})}
