"""DICOM files for tests: valid CT slices written with pydicom, bent by the tags that a test names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian, generate_uid

_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def write_series(
    folder: Path,
    hu: np.ndarray,
    ijk_to_ras: np.ndarray,
    syntax: str = ExplicitVRLittleEndian,
    leave_out: Sequence[int] = (),
    **tags: object,
) -> list[Path]:
    """Write a CT series, one file a slice; returns the files in the order of the slices.

    Args:
        folder: made where it is missing; files of earlier calls stay.
        hu: HU, `[slice, row, column]`; stored as int16 through RescaleSlope and RescaleIntercept (1 and -1024 unless
            named).
        ijk_to_ras: 4 x 4, voxel (column, row, slice) to RAS mm.
        syntax: transfer syntax; compressed ones need an encoder of pydicom's.
        leave_out: slices that are not written.
        tags: DICOM keywords with the value that every slice gets; None takes the element out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    common = {"SeriesInstanceUID": generate_uid(), "StudyInstanceUID": generate_uid(), **tags}
    paths = []
    for k in range(len(hu)):
        path = folder / f"{common['SeriesInstanceUID']}.{k:03d}.dcm"
        if k not in leave_out:
            write_slice(path, hu[k], k, np.asarray(ijk_to_ras, float), syntax, **common)
            paths.append(path)
    return paths


def write_slice(
    path: Path, hu: np.ndarray, k: float, ijk_to_ras: np.ndarray, syntax: str = ExplicitVRLittleEndian, **tags: object
) -> None:
    """Write slice `k` (`hu[row, column]`, also between two slices) of the grid `ijk_to_ras` as `write_series` says."""
    dataset = _described(k, ijk_to_ras)
    dataset.Rows, dataset.Columns = hu.shape
    for name, value in tags.items():
        if value is None:
            del dataset[name]
        else:
            setattr(dataset, name, value)
    slope, intercept = float(dataset.get("RescaleSlope") or 1), float(dataset.get("RescaleIntercept") or 0)
    _store(
        dataset, np.rint((hu - intercept) / slope).astype(np.uint16 if dataset.PixelRepresentation == 0 else np.int16)
    )
    _save(dataset, path, syntax)


def write_enhanced(
    path: Path, hu: np.ndarray, ijk_to_ras: np.ndarray, syntax: str = ExplicitVRLittleEndian, **tags: object
) -> None:
    """Write a CT as one enhanced (multi-frame) file: position, acquisition and type told for each frame, the rest for
    all.

    `tags`: DICOM keywords of the whole file; None takes the element out.
    """
    frames = [_described(k, np.asarray(ijk_to_ras, float)) for k in range(len(hu))]
    dataset = frames[0]
    dataset.Rows, dataset.Columns = hu.shape[1:]
    dataset.SOPClassUID, dataset.NumberOfFrames = EnhancedCTImageStorage, len(hu)
    dataset.SeriesInstanceUID, dataset.StudyInstanceUID = generate_uid(), generate_uid()
    dataset.SharedFunctionalGroupsSequence = [
        _groups(
            frames[0],
            PlaneOrientationSequence=["ImageOrientationPatient"],
            PixelMeasuresSequence=["PixelSpacing", "SliceThickness"],
            PixelValueTransformationSequence=["RescaleSlope", "RescaleIntercept", "RescaleType"],
        )
    ]
    dataset.PerFrameFunctionalGroupsSequence = [
        _groups(frame, PlanePositionSequence=["ImagePositionPatient"]) for frame in frames
    ]
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        kind, content = pydicom.Dataset(), pydicom.Dataset()
        kind.FrameType, content.FrameAcquisitionNumber = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"], 1
        frame.CTImageFrameTypeSequence, frame.FrameContentSequence = [kind], [content]
    stored = np.rint(hu + 1024).astype(np.int16)
    for name in (
        "ImageOrientationPatient",
        "ImagePositionPatient",
        "PixelSpacing",
        "SliceThickness",
        "RescaleSlope",
        "RescaleIntercept",
        "RescaleType",
    ):
        del dataset[name]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.PixelData = stored.tobytes()
    dataset["PixelData"].VR = "OW"
    for name, value in tags.items():
        if value is None:
            del dataset[name]
        else:
            setattr(dataset, name, value)
    _save(dataset, path, syntax)


def _groups(frame: pydicom.Dataset, **sequences: Sequence[str]) -> pydicom.Dataset:
    groups = pydicom.Dataset()
    for sequence, names in sequences.items():
        item = pydicom.Dataset()
        for name in names:
            item[name] = frame[name]
        setattr(groups, sequence, [item])
    return groups


def _described(k: float, ijk_to_ras: np.ndarray) -> pydicom.Dataset:
    lps = _RAS_TO_LPS @ ijk_to_ras
    column, row, step = lps[:3, :3].T
    across, down = np.linalg.norm(column), np.linalg.norm(row)
    dataset = pydicom.Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, generate_uid()
    dataset.Modality, dataset.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = "Doe^Jane", "ID-4711", "19500102"
    dataset.StudyDate, dataset.AccessionNumber = "20200304", "ACC-99"
    dataset.SeriesNumber, dataset.SeriesDescription, dataset.InstanceNumber = 3, "Thorax", int(k) + 1
    dataset.Manufacturer, dataset.ConvolutionKernel, dataset.KVP = "Maker", "LUNG", 120
    dataset.SliceThickness = _decimal(abs(np.dot(np.cross(column / across, row / down), step)))
    dataset.ImagePositionPatient = [_decimal(value) for value in lps[:3, 3] + k * step]
    dataset.ImageOrientationPatient = [_decimal(value) for value in (*column / across, *row / down)]
    dataset.PixelSpacing = [_decimal(down), _decimal(across)]
    dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = 1, -1024, "HU"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PixelRepresentation = 1, "MONOCHROME2", 1
    return dataset


def _decimal(value: float) -> str:
    """A decimal string of DICOM: 16 characters at most."""
    return f"{value:.10g}"[:16]


def _store(dataset: pydicom.Dataset, stored: np.ndarray) -> None:
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    pixels = np.repeat(stored[..., None], dataset.SamplesPerPixel, axis=-1) if dataset.SamplesPerPixel > 1 else stored
    if dataset.SamplesPerPixel > 1:
        dataset.PlanarConfiguration = 0
    dataset.PixelData = np.tile(pixels, (int(dataset.get("NumberOfFrames", 1)), *[1] * (pixels.ndim - 1))).tobytes()
    dataset["PixelData"].VR = "OW"


def _save(dataset: pydicom.Dataset, path: Path, syntax: str) -> None:
    uid = pydicom.uid.UID(syntax)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID", CTImageStorage)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian if uid.is_encapsulated else uid
    if uid.is_encapsulated:
        dataset.compress(uid, generate_instance_uid=False)
    dataset.save_as(path, enforce_file_format=True)
