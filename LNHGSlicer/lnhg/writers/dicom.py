"""A result as DICOM: the nodules as a segmentation (SEG), their measurements as a structured report (SR, TID 1500).

Both belong to the study of the source CT. They name the patient, as DICOM asks of every object, and no other person:
what made them is given as a device. Needs the `dicom` extra.
"""

from __future__ import annotations

import math
import re
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import UID

from .. import __version__
from ..categories.proposals import Proposal, proposals_of
from ..core.ct import CT
from ..core.nodule import Nodule, Tracking
from ..core.result import Result
from ..errors import InputError, LNHGError
from ..readers.copies import without_copies
from ..readers.dicom_headers import Slice, is_dicom, slices_of
from ..readers.dicom_scans import Scan, scans_of
from ..readers.files import files_below
from .dicom_codes import LUNG, OWN_SCHEME, evaluations, sites
from .seg_nrrd import segment_color

#: The two files by name.
FILES = {"segmentation": "nodules-seg.dcm", "measurements": "nodules-sr.dcm"}

_USE = "Research use only, not for diagnosis"
_MAKER, _PRODUCT = "LNHG Slicer contributors", "LNHG"
# Identifies the program as the observer of the report; the same for every copy of it.
_DEVICE_UID = "2.25.290604188427306112357486012347106531482"
_CATEGORY = Code("49755003", "SCT", "Morphologically Altered Structure")
_NODULE = Code("27925004", "SCT", "Nodule")
_CHEST_CT = Code("24627-2", "LN", "CT Chest")
_AI = Code("123110", "DCM", "Artificial Intelligence")
_CUT = Code("size-lower-bound", OWN_SCHEME, "Cut: the outline ends before the nodule; sizes are at least")
_YES = Code("373066001", "SCT", "Yes")
_MM, _MEAN = Code("mm", "UCUM", "mm"), Code("373098007", "SCT", "Mean")
_HU = Code("[hnsf'U]", "UCUM", "Hounsfield unit")
# Of the nodule's attribute: name, unit, and how it was derived from many values.
_MEASUREMENTS = {
    "volume": (Code("118565006", "SCT", "Volume"), Code("mm3", "UCUM", "cubic millimeter"), None),
    "long_axis": (Code("103339001", "SCT", "Long axis"), _MM, None),
    "short_axis": (Code("103340004", "SCT", "Short axis"), _MM, None),
    "hu_mean": (Code("112031", "DCM", "Attenuation Coefficient"), _HU, _MEAN),
    "unevenness": (Code("unevenness", OWN_SCHEME, "Unevenness: distance from typical tissue"), _HU, _MEAN),
    "core.mean": (
        Code("het-core-mean", OWN_SCHEME, "Heterogeneity inside the nodule without its rim"),
        Code("1", "UCUM", "no units"),
        _MEAN,
    ),
}
_CANCER = codes.DCM.ProbabilityOfCancer
_CANCER_AT_LEAST = Code("cancer-at-least", OWN_SCHEME, "Probability of cancer, at least: the nodule is cut")
_PERCENT = Code("%", "UCUM", "Percent")
_CHANGE = Code("volume-change", OWN_SCHEME, "Change of volume since the study before")
_DOUBLING = Code("doubling-days", OWN_SCHEME, "Time in which the volume doubles")
_DAYS = Code("d", "UCUM", "day")
_NEEDED = ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
# A CT may leave these out or empty; what is made from it holds them empty.
_MAY_LACK = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
)
_MEANINGFUL = {
    "PatientSex": re.compile("[MFO]"),
    "PatientBirthDate": re.compile(r"\d{4}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])"),
    "StudyDate": re.compile(r"\d{4}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])"),
    "StudyTime": re.compile(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?"),
}
# Cosine between the slices' normal and the way from slice to slice, above which there is no tilt.
_UPRIGHT = 0.9999
# A series number beyond is left out of account: the own ones are a hundred times as large.
_HIGHEST_SERIES = 10_000_000
# A slice may lie this far from its place in the result's grid, mm: grids are straight, stacks of slices only nearly.
_ASTRAY_MM, _SAME_DIRECTION = 1.1, 2e-3


def write_dicom(
    result: Result, source: Path, output: Path, tracking: Mapping[int, Tracking] | None = None
) -> dict[str, Path]:
    """Write the nodules and their measurements as DICOM files into `output`, both or neither; returns name -> path.

    Args:
        result: what `lnhg.segment` made of the CT in `source`, on the grid that `lnhg.read_ct` gave it.
        source: folder with the DICOM files of the CT, whose study and patient the new files belong to.
        output: folder for the files; made if absent.
        tracking: by the number of a nodule what tracks it through several studies; others are tracked alone.

    Raises InputError when `source` is not the CT of the result, no nodule was found, or `output` cannot be written.
    """
    _check_installed()
    if not result.nodules:
        raise InputError("The results hold no nodule; there is nothing to write as DICOM.")
    # Values of the CT that break a rule of DICOM are handed on: they say whose the new files are.
    with pydicom.config.disable_value_validation(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        slices = source_slices(result.ct, source)
        return _written(*_made(result, slices, source, tracking or {}), output)


def remarks(ct: CT) -> tuple[str, ...]:
    """Sentences on what a reader of the files should know."""
    normal = np.cross(ct.ijk_to_ras[:3, 0], ct.ijk_to_ras[:3, 1])
    step = ct.ijk_to_ras[:3, 2]
    upright = abs(normal @ step) / (np.linalg.norm(normal) * np.linalg.norm(step))
    if upright > _UPRIGHT:
        return ()
    return ("The gantry was tilted: programs built on dcmqi, 3D Slicer among them, cannot load this DICOM SEG.",)


def _made(
    result: Result, slices: Sequence[Dataset], source: Path, known: Mapping[int, Tracking]
) -> tuple[Dataset, Dataset]:
    tracking = [known.get(one.id) or Tracking(_name(one), pydicom.uid.generate_uid()) for one in result.nodules]
    try:
        segmentation = dicom_seg(result, slices, tracking)
        return segmentation, dicom_sr(result, slices, segmentation, tracking)
    except (MemoryError, LNHGError):
        raise
    except Exception as error:  # what highdicom and pydicom raise on headers that break a rule
        reason = " ".join(str(error).split())
        raise InputError(
            f"The headers in {source.name} do not allow DICOM objects ({reason}); export the CT again."
        ) from error


def _written(segmentation: Dataset, report: Dataset, output: Path) -> dict[str, Path]:
    foreign = [file for file in FILES.values() if (output / file).exists() and not _is_own(output / file)]
    if foreign:
        raise InputError(
            f"{', '.join(foreign)} in {output} would be replaced, but is not of this program; move it away."
        )
    try:
        output.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".lnhg-", dir=output) as unfinished:
            for name, dataset in (("segmentation", segmentation), ("measurements", report)):
                dataset.save_as(Path(unfinished) / FILES[name], enforce_file_format=True)
            return {name: (Path(unfinished) / file).replace(output / file) for name, file in FILES.items()}
    except OSError as error:
        raise InputError(f"The DICOM files cannot be written to {output} ({error}); choose another folder.") from error


def _is_own(file: Path) -> bool:
    """Whether this program wrote a DICOM file."""
    try:
        header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=["Manufacturer"])
    except (OSError, ValueError, pydicom.errors.InvalidDicomError):
        return False
    return bool(header.get("Manufacturer") == _MAKER)


def source_slices(ct: CT, folder: Path) -> list[Dataset]:
    """Headers of the DICOM slices in a folder, or the only one in a file, that `ct` was read from, in the order of its
    slices.

    Raises InputError when the folder does not hold them, or holds slices at other places.
    """
    wanted = ct.identity.get("SeriesInstanceUID")
    if wanted == "":
        raise InputError(
            f"The slices in {folder.name} have no SeriesInstanceUID, which DICOM needs; export the CT again."
        )
    if not wanted:
        raise InputError("The CT of these results was not read from DICOM; give results of a DICOM series.")
    files = files_below(folder) if folder.is_dir() else [folder]
    held = dict(pair for file in files if (pair := _slice_of(file, wanted, ct)) is not None)
    scan = _scan_of(ct, scans_of(without_copies(held)), folder)
    slices = [held[one] for one in scan.slices]
    missing = [name for name in _NEEDED if not slices[0].get(name)]
    if missing:
        raise InputError(f"The slices in {folder.name} have no {missing[0]}, which DICOM needs; export the CT again.")
    own = {str(header.get("SOPInstanceUID") or "") for header in slices}
    if "" in own or len(own) < len(slices):
        raise InputError(
            f"Slices in {folder.name} have no SOPInstanceUID of their own, which DICOM needs; export the CT again."
        )
    return [_named_no_one_else(_plain(header)) for header in slices]


def _scan_of(ct: CT, scans: Sequence[Scan], folder: Path) -> Scan:
    """The scan that lies where `ct` does; of several phases at the same places, the one with its image numbers."""
    as_long = [scan for scan in scans if len(scan.slices) == len(ct.hu)]
    if not as_long:
        count = sum(len(scan.slices) for scan in scans)
        raise InputError(f"{folder.name} holds {count} slices of this series, the results {len(ct.hu)}; give its CT.")
    expected = _lps(ct.to_ras(np.array([[0, 0, k] for k in range(len(ct.hu))])))
    here = [scan for scan in as_long if np.linalg.norm(scan.corners - expected, axis=1).max() <= _ASTRAY_MM]
    if not here:
        raise InputError(
            f"The slices in {folder.name} lie elsewhere than the results; give the CT that they were made from."
        )
    same = [scan for scan in here if tuple(one.instance for one in scan.slices) == ct.instance_numbers]
    if len(here) > 1 and len(same) != 1:
        raise InputError(
            f"{folder.name} holds several scans at the same places; give a folder with that of the results alone."
        )
    return here[0] if len(here) == 1 else same[0]


def _slice_of(file: Path, series: object, ct: CT) -> tuple[Slice, Dataset] | None:
    """A slice of `series` in the plane and size of `ct`, and its header."""
    if not file.is_file() or file.name.upper() == "DICOMDIR" or not is_dicom(file):
        return None
    header = pydicom.dcmread(file, stop_before_pixels=True, force=True)
    one = slices_of(header, file)[0]
    if header.get("SeriesInstanceUID") != series or not isinstance(one, Slice):
        return None
    if one.frame is not None:
        raise InputError(
            f"{file.name} holds all slices of an enhanced CT; convert it to a file a slice before the export."
        )
    directions = _lps((ct.ijk_to_ras[:3, :2] / ct.spacing[:2]).T).ravel()
    same = (one.rows, one.columns) == ct.hu.shape[1:] and np.allclose(
        one.along, directions, rtol=0, atol=_SAME_DIRECTION
    )
    return (one, header) if same else None


def _lps(ras: np.ndarray) -> np.ndarray:
    return np.asarray(ras, float) * (-1, -1, 1)


def _plain(header: Dataset) -> Dataset:
    """The header in Unicode, and without values that mean nothing: a sex or a date that there is not."""
    try:
        header.decode()
    except (LookupError, ValueError, AttributeError):  # a character set that is not known: signs of it are lost
        header.SpecificCharacterSet = "ISO_IR 6"
        header.decode()
    name = "".join(sign if sign.isprintable() else "?" for sign in str(header.get("PatientName") or ""))
    header.SpecificCharacterSet = "ISO_IR 192"
    header.PatientName = name
    for keyword, pattern in _MEANINGFUL.items():
        if not pattern.fullmatch(str(header.get(keyword) or "")):
            setattr(header, keyword, None)
    return header


def _named_no_one_else(header: Dataset) -> Dataset:
    """The header without the names of physicians and operators, and with the elements that may be empty."""
    for element in header.iterall():
        if element.VR == "PN" and element.keyword != "PatientName":
            element.value = ""
    for name in _MAY_LACK:
        if name not in header:
            setattr(header, name, None)
    return header


def dicom_seg(result: Result, slices: Sequence[Dataset], tracking: Sequence[Tracking]) -> Any:
    """The labels as a DICOM Segmentation, a segment a nodule, frame by frame on the source slices."""
    import highdicom as hd

    return hd.seg.Segmentation(
        source_images=slices,
        pixel_array=result.labels,
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[
            _segment(nodule, one, result) for nodule, one in zip(result.nodules, tracking, strict=True)
        ],
        **_instance(slices[0], 1),
        manufacturer_model_name=_PRODUCT,
        device_serial_number=__version__,
        software_versions=__version__,
        content_label="LUNG_NODULES",
        content_description=_USE,
        series_description=f"Lung nodules. {_USE}",
    )


def _segment(nodule: Nodule, tracking: Tracking, result: Result) -> Any:
    import highdicom as hd

    by_person = nodule.status in ("edited", "seeded")
    description = hd.seg.SegmentDescription(
        segment_number=nodule.id,
        segment_label=_name(nodule),
        segmented_property_category=_CATEGORY,
        segmented_property_type=_NODULE,
        algorithm_type="SEMIAUTOMATIC" if by_person else "AUTOMATIC",
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name=_PRODUCT, family=_AI, version=__version__, source=_MAKER, parameters=_parameters(result)
        ),
        tracking_uid=UID(tracking.uid),
        tracking_id=tracking.identifier,
        anatomic_regions=[LUNG],
        display_color=hd.color.CIELabColor.from_rgb(*(255 * part for part in segment_color(nodule.id))),
    )
    if nodule.cut:
        description.SegmentDescription = "Cut: its size is a lower bound"
    return description


def dicom_sr(result: Result, slices: Sequence[Dataset], segmentation: Dataset, tracking: Sequence[Tracking]) -> Any:
    """The measurements as a DICOM Measurement Report (TID 1500), a group for each segment of `segmentation`."""
    import highdicom as hd

    device = hd.sr.DeviceObserverIdentifyingAttributes(
        uid=_DEVICE_UID, name=_PRODUCT, manufacturer_name=_MAKER, model_name=_PRODUCT, serial_number=__version__
    )
    report = hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(
            observer_device_context=hd.sr.ObserverContext(hd.sr.CodedConcept("121007", "DCM", "Device"), device)
        ),
        procedure_reported=_CHEST_CT,
        imaging_measurements=[
            _group(proposal, one, segmentation, result)
            for proposal, one in zip(proposals_of(result), tracking, strict=True)
        ],
    )
    document = hd.sr.Comprehensive3DSR(
        evidence=[*slices, segmentation],
        content=report,
        **_instance(slices[0], 2),
        is_complete=True,
        series_description=f"Lung nodules, measured. {_USE}",
    )
    document.CodingSchemeIdentificationSequence = [_own_scheme()]
    return document


def _group(proposal: Proposal, tracking: Tracking, segmentation: Dataset, result: Result) -> Any:
    import highdicom as hd

    nodule = proposal.nodule

    return hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(uid=UID(tracking.uid), identifier=tracking.identifier),
        referenced_segment=hd.sr.ReferencedSegment(
            sop_class_uid=segmentation.SOPClassUID,
            sop_instance_uid=segmentation.SOPInstanceUID,
            segment_number=nodule.id,
            source_series=hd.sr.SourceSeriesForSegmentation(str(result.ct.identity["SeriesInstanceUID"])),
        ),
        finding_category=_CATEGORY,
        finding_type=_NODULE,
        finding_sites=[hd.sr.FindingSite(place, laterality=side) for place, side in sites(nodule)],
        algorithm_id=hd.sr.AlgorithmIdentification(
            name=_PRODUCT,
            version=__version__,
            family=_AI,
            manufacturer=_MAKER,
            parameters=[f"{name}: {value}" for name, value in _parameters(result).items()],
        ),
        measurements=[
            hd.sr.Measurement(name=name, value=value, unit=unit, derivation=derivation)
            for attribute, (name, unit, derivation) in _MEASUREMENTS.items()
            if not math.isnan(value := _value(nodule, attribute))
        ]
        + _probability(proposal)
        + _follow_up(proposal),
        qualitative_evaluations=[hd.sr.QualitativeEvaluation(name, value) for name, value in _told(proposal)],
    )


def _told(proposal: Proposal) -> list[tuple[Code, Code]]:
    """What is told of a nodule in codes: whether it is cut, its categories, its course."""
    return [*([(_CUT, _YES)] if proposal.nodule.cut else []), *evaluations(proposal)]


def _probability(proposal: Proposal) -> list[Any]:
    """The Brock probability, where all that it asks for was answered."""
    import highdicom as hd

    risk = proposal.brock
    if risk.missing:
        return []
    name = _CANCER_AT_LEAST if risk.lower_bound else _CANCER
    return [hd.sr.Measurement(name=name, value=round(100 * risk.low, 2), unit=_PERCENT)]


def _follow_up(proposal: Proposal) -> list[Any]:
    """How the nodule changed, where it was compared with an earlier study."""
    import highdicom as hd

    known = proposal.comparison
    told = [] if known is None else [(_CHANGE, known.volume_percent, _PERCENT), (_DOUBLING, known.doubling_days, _DAYS)]
    return [
        hd.sr.Measurement(name=name, value=round(value, 2), unit=unit)
        for name, value, unit in told
        if value is not None
    ]


def _value(nodule: Nodule, attribute: str) -> float:
    """A figure rounded to what it is worth, which fits the 16 characters of DICOM."""
    value: Any = nodule
    for name in attribute.split("."):
        value = getattr(value, name)
    return round(float(value), 4)


def _parameters(result: Result) -> dict[str, str]:
    """What a reader of the file must know of how it was made."""
    options = result.options
    return {"use": _USE, "fusion": options.fusion, "heterogeneity": f"{options.map_kind}, {options.map_range}"}


def _name(nodule: Nodule) -> str:
    return f"Nodule {nodule.id}"


def _instance(source: Dataset, number: int) -> dict[str, Any]:
    """What an own series of one object in the study of `source` needs; `number` tells the two series apart."""
    return {
        "series_instance_uid": pydicom.uid.generate_uid(),
        "series_number": 100 * _series_number(source) + number,
        "sop_instance_uid": pydicom.uid.generate_uid(),
        "instance_number": 1,
        "manufacturer": _MAKER,
    }


def _series_number(source: Dataset) -> int:
    """The number of the CT's series; 0 where it has none that is a number."""
    text = str(source.get("SeriesNumber") or "0").strip()
    return int(text) if text.isascii() and text.isdigit() and int(text) <= _HIGHEST_SERIES else 0


def _own_scheme() -> Dataset:
    """Says whose the codes of `OWN_SCHEME` are."""
    scheme = Dataset()
    scheme.CodingSchemeDesignator = OWN_SCHEME
    scheme.CodingSchemeName = "LNHG Slicer, private codes"
    scheme.CodingSchemeResponsibleOrganization = _MAKER
    return scheme


def _check_installed() -> None:
    try:
        import highdicom  # noqa: F401
    except ImportError as error:
        raise InputError("highdicom is not installed; install it with pip install 'lnhg[dicom]'.") from error
