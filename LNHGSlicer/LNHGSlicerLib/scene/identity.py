"""Whose a CT is, when it was made and with what kernel, as Slicer's DICOM module keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import slicer

_KERNEL = "0018,1210"


def identity_of(ct_node: Any) -> dict[str, str]:
    """Patient and date by DICOM's names, from the patient and the study above a CT in the subject hierarchy.

    What it does not say is left out, as for a CT from an image file.
    """
    hierarchy, found = _hierarchy(), dict[str, str]()
    item, scene = hierarchy.GetItemByDataNode(ct_node), hierarchy.GetSceneItemID()
    while item and item != scene:
        for name, attribute in _attributes().items():
            value = hierarchy.GetItemAttribute(item, attribute).strip()
            if value:
                found[name] = value
        item = hierarchy.GetItemParent(item)
    return found


def keep_identity(ct_node: Any, identity: Mapping[str, object]) -> None:
    """Put a CT that was read from disk under a patient and a study, as Slicer's DICOM module would."""
    known = {name: str(identity[name]) for name in _attributes() if str(identity.get(name) or "").strip()}
    if not known:
        return
    hierarchy = _hierarchy()
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), known.get("PatientID", "Patient"))
    study = hierarchy.CreateStudyItem(patient, known.get("StudyDate", "Study"))
    for name, value in known.items():
        hierarchy.SetItemAttribute(study if name == "StudyDate" else patient, _attributes()[name], value)
    item = hierarchy.GetItemByDataNode(ct_node)
    if item:
        hierarchy.SetItemParent(item, study)
    else:
        hierarchy.CreateItem(study, ct_node)


def kernel_of(ct_node: Any) -> str:
    """The convolution kernel of a CT from Slicer's DICOM database; empty where that is not known."""
    database = getattr(slicer, "dicomDatabase", None)
    names = (ct_node.GetAttribute("DICOM.instanceUIDs") or "").split()
    if database is None or not names:
        return ""
    file = database.fileForInstance(names[0])
    return str(database.fileValue(file, _KERNEL)).strip() if file else ""


def _hierarchy() -> Any:
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)


def _attributes() -> dict[str, str]:
    names = slicer.vtkMRMLSubjectHierarchyConstants
    return {
        "PatientID": names.GetDICOMPatientIDAttributeName(),
        "PatientSex": names.GetDICOMPatientSexAttributeName(),
        "PatientBirthDate": names.GetDICOMPatientBirthDateAttributeName(),
        "StudyDate": names.GetDICOMStudyDateAttributeName(),
    }
