"""DICOM SEG and SR: what a reader of the files finds in them."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid
from scipy.spatial import cKDTree

import lnhg
from dicom_files import write_series
from lnhg.errors import InputError
from lnhg.readers.read_ct import read_ct

hd = pytest.importorskip("highdicom", reason="needs the dicom extra: pip install 'lnhg[dicom]'")

from host.handmade import GRIDS, SHAPE, handmade_result  # noqa: E402
from lnhg import cli  # noqa: E402
from lnhg.writers.dicom import FILES, write_dicom  # noqa: E402
from lnhg.writers.results import save  # noqa: E402

_CORONAL = np.array([[-0.7, 0, 0, 20], [0, 0, 2.5, -30], [0, -0.7, 0, 200], [0, 0, 0, 1]], float)
_SAGITTAL = np.array([[0, 0, 2.5, -40], [-0.7, 0, 0, 60], [0, -0.7, 0, 150], [0, 0, 0, 1]], float)
_HEAD_FIRST = GRIDS["oblique"] @ np.diag([1, 1, -1, 1])
SCANS = {
    "axial": GRIDS["axial"],
    "sheared": GRIDS["sheared"],
    "coronal": _CORONAL,
    "sagittal": _SAGITTAL,
    "oblique, head first": _HEAD_FIRST,
}
FRAME = generate_uid()


def scanned(folder, grid, **tags):
    """The handmade result as a run on a DICOM series would give it, on the grid that the reader makes of the files."""
    made = handmade_result(grid)
    write_series(folder, made.ct.hu, grid, FrameOfReferenceUID=FRAME, ReferringPhysicianName="Roe^Richard", **tags)
    ct = read_ct(folder)
    k, j, i = np.indices(SHAPE)
    there = np.rint(made.ct.to_ijk(ct.to_ras(np.stack([i, j, k], -1)))).astype(int)
    labels, heterogeneity = (
        array[tuple(np.moveaxis(there[..., ::-1], -1, 0))] for array in (made.labels, made.heterogeneity)
    )
    return replace(made, ct=ct, labels=labels, heterogeneity=heterogeneity)


@pytest.fixture(scope="module", params=SCANS)
def written(request, tmp_path_factory):
    """Result, source folder, SEG and SR of one scan."""
    source = tmp_path_factory.mktemp("ct")
    result = scanned(source, SCANS[request.param])
    paths = write_dicom(result, source, tmp_path_factory.mktemp("out") / "new")
    return result, source, hd.seg.segread(paths["segmentation"]), hd.sr.srread(paths["measurements"])


@pytest.fixture(scope="module")
def axial(tmp_path_factory):
    source = tmp_path_factory.mktemp("axial")
    result = scanned(source, GRIDS["axial"])
    paths = write_dicom(result, source, tmp_path_factory.mktemp("axial-out"))
    return result, source, hd.seg.segread(paths["segmentation"]), hd.sr.srread(paths["measurements"])


def points(segmentation, number):
    """Patient positions (LPS) of the voxels of one segment, from each frame's own position and orientation."""
    found = []
    shared = segmentation.SharedFunctionalGroupsSequence[0]
    along = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float)
    down, across = (float(step) for step in shared.PixelMeasuresSequence[0].PixelSpacing)
    frames = segmentation.pixel_array.reshape(-1, segmentation.Rows, segmentation.Columns)
    for frame, group in zip(frames, segmentation.PerFrameFunctionalGroupsSequence, strict=True):
        if group.SegmentIdentificationSequence[0].ReferencedSegmentNumber == number:
            corner = np.array(group.PlanePositionSequence[0].ImagePositionPatient, float)
            rows, columns = np.nonzero(frame)
            found.append(corner + np.outer(columns * across, along[:3]) + np.outer(rows * down, along[3:]))
    return np.concatenate(found)


def test_every_voxel_of_a_nodule_lies_at_its_place_in_the_patient(written):
    result, _, segmentation, _ = written
    for nodule in result.nodules:
        expected = result.ct.to_ras(np.argwhere(result.labels == nodule.id)[:, ::-1]) * (-1, -1, 1)
        found = points(segmentation, nodule.id)
        assert len(found) == len(expected)
        distances, partners = cKDTree(expected).query(found)
        assert distances.max() < 0.01
        assert len(set(partners)) == len(expected)


def test_every_frame_names_the_ct_slice_that_it_was_drawn_on(written):
    _, source, segmentation, _ = written
    corners = {header.SOPInstanceUID: header.ImagePositionPatient for header in headers(source)}
    for group in segmentation.PerFrameFunctionalGroupsSequence:
        drawn_on = group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        np.testing.assert_allclose(
            np.array(corners[drawn_on], float),
            np.array(group.PlanePositionSequence[0].ImagePositionPatient, float),
            atol=1e-3,
        )


def headers(folder):
    return [pydicom.dcmread(path, stop_before_pixels=True) for path in folder.iterdir()]


def test_both_files_belong_to_the_study_and_the_space_of_the_ct(written):
    _, source, segmentation, report = written
    ct = headers(source)[0]
    assert segmentation.FrameOfReferenceUID == FRAME
    for made in (segmentation, report):
        for name in ("StudyInstanceUID", "PatientID", "PatientName", "StudyDate"):
            assert made[name].value == ct[name].value
        assert made.SeriesInstanceUID != ct.SeriesInstanceUID
    assert segmentation.SeriesInstanceUID != report.SeriesInstanceUID


def test_a_segment_says_lung_nodule_in_codes_and_what_drew_it(axial):
    segmentation = axial[2]
    assert [segment.SegmentLabel for segment in segmentation.SegmentSequence] == ["Nodule 1", "Nodule 2"]
    for segment in segmentation.SegmentSequence:
        assert code(segment.SegmentedPropertyCategoryCodeSequence) == ("49755003", "SCT")
        assert code(segment.SegmentedPropertyTypeCodeSequence) == ("27925004", "SCT")
        assert code(segment.AnatomicRegionSequence) == ("39607008", "SCT")
        assert (segment.SegmentAlgorithmType, segment.SegmentAlgorithmName) == ("AUTOMATIC", "LNHG")
        assert "research use only" in segment.SegmentationAlgorithmIdentificationSequence[0].AlgorithmParameters.lower()
    assert "research use only" in segmentation.ContentDescription.lower()


def code(sequence):
    return sequence[0].CodeValue, sequence[0].CodingSchemeDesignator


def test_an_edited_nodule_is_not_called_automatic(axial, tmp_path):
    result, source, *_ = axial
    edited = replace(result, nodules=(replace(result.nodules[0], status="edited"), result.nodules[1]))
    paths = write_dicom(edited, source, tmp_path / "out")
    segments = pydicom.dcmread(paths["segmentation"]).SegmentSequence
    assert [segment.SegmentAlgorithmType for segment in segments] == ["SEMIAUTOMATIC", "AUTOMATIC"]


def test_the_report_measures_each_nodule_and_points_at_its_segment(axial):
    result, _, segmentation, report = axial
    groups = report.content.get_volumetric_roi_measurement_groups()
    assert len(groups) == len(result.nodules)
    for nodule, group, segment in zip(result.nodules, groups, segmentation.SegmentSequence, strict=True):
        measured = {one.name.value: (one.value, one.unit.value) for one in group.get_measurements()}
        assert measured == {
            "118565006": (pytest.approx(nodule.volume, abs=1e-3), "mm3"),
            "103339001": (pytest.approx(nodule.long_axis), "mm"),
            "103340004": (pytest.approx(nodule.short_axis), "mm"),
            "112031": (pytest.approx(nodule.hu_mean), "[hnsf'U]"),
            "het-core-mean": (pytest.approx(nodule.core.mean, abs=1e-3), "1"),
        }
        assert group.referenced_segment.referenced_sop_instance_uid == segmentation.SOPInstanceUID
        assert group.referenced_segment.referenced_segment_numbers == [nodule.id]
        assert (group.tracking_identifier, group.tracking_uid) == (f"Nodule {nodule.id}", segment.TrackingUID)
        assert group.finding_sites[0].laterality.meaning == "Left"
    assert report.ContentTemplateSequence[0].TemplateIdentifier == "1500"


def test_the_report_tells_the_unevenness_by_which_studies_are_compared(axial, tmp_path):
    result, source, *_ = axial
    uneven = replace(result, nodules=tuple(replace(nodule, unevenness=12.5) for nodule in result.nodules))
    paths = write_dicom(uneven, source, tmp_path / "out")
    for group in hd.sr.srread(paths["measurements"]).content.get_volumetric_roi_measurement_groups():
        (told,) = [one for one in group.get_measurements() if one.name.value == "unevenness"]
        assert (told.value, told.unit.value) == (12.5, "[hnsf'U]")


def test_a_nodule_of_unknown_side_has_no_laterality(axial, tmp_path):
    result, source, *_ = axial
    unknown = replace(result, nodules=tuple(replace(nodule, side="unknown") for nodule in result.nodules))
    paths = write_dicom(unknown, source, tmp_path / "out")
    groups = hd.sr.srread(paths["measurements"]).content.get_volumetric_roi_measurement_groups()
    assert [group.finding_sites[0].laterality for group in groups] == [None, None]
    segments = pydicom.dcmread(paths["segmentation"]).SegmentSequence
    assert not any("Left" in str(segment) or "Right" in str(segment) for segment in segments)


@pytest.mark.parametrize("cut", [(True, False), (False, True), (True, True)])
def test_a_nodule_that_is_cut_says_that_its_sizes_are_lower_bounds(axial, tmp_path, cut):
    result, source, *_ = axial
    nodules = tuple(replace(nodule, cut=one) for nodule, one in zip(result.nodules, cut, strict=True))
    paths = write_dicom(replace(result, nodules=nodules), source, tmp_path / "out")
    groups = hd.sr.srread(paths["measurements"]).content.get_volumetric_roi_measurement_groups()
    sentence = "Cut: the outline ends before the nodule; sizes are at least"
    said = [sentence in [one.name.meaning for one in group.get_qualitative_evaluations()] for group in groups]
    assert said == list(cut)
    segments = pydicom.dcmread(paths["segmentation"]).SegmentSequence
    assert [segment.get("SegmentDescription", "") for segment in segments] == [
        "Cut: its size is a lower bound" if one else "" for one in cut
    ]


def test_the_private_code_says_whose_it_is(axial):
    scheme = axial[3].CodingSchemeIdentificationSequence[0]
    assert (scheme.CodingSchemeDesignator, scheme.CodingSchemeName) == ("99LNHG", "LNHG Slicer, private codes")


def test_a_nodule_that_is_all_rim_has_no_core_to_measure(axial, tmp_path):
    result, source, *_ = axial
    thin = replace(result.nodules[0], core=result.nodules[0].raw_core)  # figures of an empty region
    paths = write_dicom(replace(result, nodules=(thin, result.nodules[1])), source, tmp_path / "out")
    groups = hd.sr.srread(paths["measurements"]).content.get_volumetric_roi_measurement_groups()
    assert [len(group.get_measurements()) for group in groups] == [4, 5]


def test_no_person_but_the_patient_is_named_and_the_observer_is_a_device(axial):
    for made in axial[2:]:
        names = {element.keyword: str(element.value) for element in made.iterall() if element.VR == "PN"}
        assert {name: value for name, value in names.items() if value} == {"PatientName": "Doe^Jane"}
    observers = [
        item for item in axial[3].ContentSequence if item.ConceptNameCodeSequence[0].CodeMeaning == "Observer Type"
    ]
    assert [code(item.ConceptCodeSequence) for item in observers] == [("121007", "DCM")]


def test_a_ct_without_the_elements_that_may_be_empty_is_written_too(tmp_path):
    result = scanned(tmp_path / "ct", GRIDS["axial"], PatientName=None, AccessionNumber=None, SeriesNumber=None)
    paths = write_dicom(result, tmp_path / "ct", tmp_path / "out")
    assert not pydicom.dcmread(paths["segmentation"]).PatientName


def test_another_series_in_the_folder_is_not_taken_for_the_ct(tmp_path):
    result = scanned(tmp_path / "ct", GRIDS["axial"])
    write_series(tmp_path / "ct", result.ct.hu, GRIDS["axial"], FrameOfReferenceUID=FRAME, SeriesNumber=9)
    (tmp_path / "ct" / "notes.txt").write_text("no DICOM")
    paths = write_dicom(result, tmp_path / "ct", tmp_path / "out")
    referenced = pydicom.dcmread(paths["segmentation"]).ReferencedSeriesSequence
    assert [one.SeriesInstanceUID for one in referenced] == [result.ct.identity["SeriesInstanceUID"]]


def moved(result):
    grid = result.ct.ijk_to_ras.copy()
    grid[0, 3] += 5
    return replace(result, ct=replace(result.ct, ijk_to_ras=grid))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda result: replace(result, nodules=()), "no nodule"),
        (lambda result: replace(result, ct=replace(result.ct, identity={})), "not read from DICOM"),
        (lambda result: replace(result, ct=replace(result.ct, identity={"SeriesInstanceUID": "1.2"})), "0 slices"),
        (moved, "lie elsewhere"),
    ],
    ids=["no nodule", "no DICOM", "another series", "moved"],
)
def test_results_that_do_not_fit_the_ct_are_refused_and_nothing_is_written(axial, tmp_path, change, sentence):
    result, source, *_ = axial
    with pytest.raises(InputError, match=sentence):
        write_dicom(change(result), source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_ct_without_frame_of_reference_is_refused_with_a_sentence(tmp_path):
    made = handmade_result(GRIDS["axial"])
    write_series(tmp_path / "ct", made.ct.hu, GRIDS["axial"])
    with pytest.raises(InputError, match="FrameOfReferenceUID"):
        write_dicom(replace(made, ct=read_ct(tmp_path / "ct")), tmp_path / "ct", tmp_path / "out")


def test_a_file_in_the_place_of_the_folder_is_refused_with_a_sentence(axial, tmp_path):
    result, source, *_ = axial
    (tmp_path / "out").write_text("here already")
    with pytest.raises(InputError, match="cannot be written"):
        write_dicom(result, source, tmp_path / "out")


def test_without_highdicom_one_sentence_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(InputError, match=r"pip install 'lnhg\[dicom\]'"):
        write_dicom(handmade_result(GRIDS["axial"]), tmp_path, tmp_path / "out")


def export_command(folder):
    places = {"--source": "ct", "--output": "out"}
    return ["export", "dicom", str(folder / "results"), *(f"{flag}={folder / name}" for flag, name in places.items())]


def test_the_command_writes_both_files_of_results_on_disk(tmp_path, capsys):
    result = scanned(tmp_path / "ct", GRIDS["oblique"])
    lnhg.save(result, tmp_path / "results")
    assert cli.main(export_command(tmp_path)) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(FILES.values())
    assert str(tmp_path / "out" / FILES["measurements"]) in capsys.readouterr().out
    segmentation = hd.seg.segread(tmp_path / "out" / FILES["segmentation"])
    assert len(points(segmentation, 2)) == (result.labels == 2).sum()


def test_the_command_refuses_another_ct_on_the_same_grid(tmp_path, capsys):
    result = scanned(tmp_path / "ct", GRIDS["axial"])
    other = replace(result, ct=replace(result.ct, source={**result.ct.source, "sha256": "of another reconstruction"}))
    save(other, tmp_path / "results", for_scene=True)
    assert cli.main(export_command(tmp_path)) == InputError.exit_code
    assert "made from another CT" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
