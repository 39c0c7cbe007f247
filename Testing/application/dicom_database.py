"""A CT comes through Slicer's DICOM database, is segmented, and written without identity; then as DICOM."""

import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from driving import *

# What the DICOM module says before a database is opened.
DRIVE.expected += [r"Database folder does not contain", r"SQL failed", r"database not open"]
NAME, PATIENT = "Drive^Dorothea", "PID-4711"


def write_series(folder, ct):
    """The shared CT as a series of axial slices."""
    folder.mkdir()
    study, series, frame = generate_uid(), generate_uid(), generate_uid()
    step_i, step_j, _ = np.abs(np.diag(ct.ijk_to_ras)[:3])
    for k, values in enumerate(ct.hu):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        one = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
        one.SOPClassUID, one.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
        one.StudyInstanceUID, one.SeriesInstanceUID, one.FrameOfReferenceUID = study, series, frame
        one.PatientName, one.PatientID, one.Modality = NAME, PATIENT, "CT"
        one.PatientBirthDate, one.PatientSex = "19560203", "F"
        one.StudyDate, one.StudyTime, one.StudyID, one.StudyDescription = "20260101", "120000", "1", "Chest"
        one.SeriesNumber, one.InstanceNumber, one.SeriesDescription = 3, k + 1, "Lung"
        x, y, z = (ct.ijk_to_ras @ [0, 0, k, 1])[:3] * [-1, -1, 1]
        one.ImagePositionPatient, one.ImageOrientationPatient = [x, y, z], [1, 0, 0, 0, 1, 0]
        one.PixelSpacing, one.SliceThickness = [step_j, step_i], float(ct.ijk_to_ras[2, 2])
        one.Rows, one.Columns = values.shape
        one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
        one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 16, 15, 1
        one.RescaleSlope, one.RescaleIntercept = 1, 0
        one.PixelData = values.astype("<i2").tobytes()
        one.save_as(str(folder / f"{k}.dcm"), enforce_file_format=True)
    return study


def named_in(folder, suffixes=(".csv", ".html", ".json", ".txt", ".mrml")):
    """Files that name the patient."""
    texts = {path.name: path.read_text(errors="replace") for path in folder.rglob("*") if path.suffix in suffixes}
    return [name for name, text in texts.items() if any(word in text for word in ("Dorothea", PATIENT, "19560203"))]


def steps():
    from DICOMLib import DICOMUtils

    ct = phantom_ct()
    series = OUT / "series"
    study = write_series(series, ct)
    slicer.util.selectModule("DICOM")
    yield 1500
    database = OUT / "database"
    database.mkdir()
    DICOMUtils.openDatabase(str(database))
    yield 500
    DICOMUtils.importDicom(str(series))
    yield 1500
    DICOMUtils.loadPatientByUID(slicer.dicomDatabase.patients()[0])
    yield 1500
    (node,) = nodes_of("vtkMRMLScalarVolumeNode")
    array = slicer.util.arrayFromVolume(node)
    check("the CT is as it was written", array.shape == ct.hu.shape and (array == ct.hu).all(), array.shape)
    check("its node knows its files", len((node.GetAttribute("DICOM.instanceUIDs") or "").split()) == len(ct.hu))
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    item = hierarchy.GetItemByDataNode(node)
    study_item = hierarchy.GetItemParent(item)
    check(
        "it stands under its study",
        hierarchy.GetItemUID(study_item, "DICOM") == study,
        hierarchy.GetItemName(study_item),
    )

    panel = open_module()
    yield 700
    check("it can be segmented", panel.ui.segmentButton.enabled, panel.ui.segmentButton.toolTip)
    nodes = add_result(node)
    panel._shown_ct = None
    panel._on_parameters()
    yield 700
    for one in (nodes.segmentation, nodes.heterogeneity, nodes.table):
        parent = hierarchy.GetItemParent(hierarchy.GetItemByDataNode(one))
        check(f"{one.GetName()} stands under the same study", parent == study_item, hierarchy.GetItemName(parent))
    ours = [value for one in nodes.added for value in map(one.GetAttribute, one.GetAttributeNames()) if value]
    check("no node of ours names the patient", not [one for one in ours if "Dorothea" in one or PATIENT in one])

    out = OUT / "written"
    out.mkdir()
    panel.ui.exportFolderEdit.setCurrentPath(str(out))
    panel.ui.exportGroup.collapsed = False
    yield 200
    for button, name in ((panel.ui.exportTableButton, "nodules.csv"), (panel.ui.exportReportButton, "report.html")):
        click(button)
        yield from until(lambda: (out / name).exists())  # noqa: B023
    check("table and report do not name the patient", not named_in(out), named_in(out))
    click(panel.ui.exportDicomButton)
    yield 1500
    log("DICOM:", panel.ui.exportLabel.text)
    written = out / "nodules-seg.dcm"
    if written.exists():
        head = pydicom.dcmread(written, stop_before_pixels=True)
        check("the DICOM file belongs to the study", head.StudyInstanceUID == study and head.PatientID == PATIENT)
    else:
        check(
            "why there is none is said", "QuantitativeReporting" in panel.ui.exportLabel.text, panel.ui.exportLabel.text
        )
    shot("dicom")
    path = OUT / "scene.mrb"
    check("the scene is saved", slicer.util.saveScene(str(path)))
    slicer.mrmlScene.Clear(False)
    check("and opened", slicer.util.loadScene(str(path)))
    yield 1500
    check("with its rows", panel.ui.noduleTable.rowCount >= 2, panel.ui.noduleTable.rowCount)
    (again,) = [one for one in nodes_of("vtkMRMLScalarVolumeNode") if one.GetAttribute("DICOM.instanceUIDs")]
    check("and its CT knows its files", len(again.GetAttribute("DICOM.instanceUIDs").split()) == len(ct.hu))


drive(steps)
