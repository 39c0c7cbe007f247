"""What of a reviewed scene is written: table, report, and DICOM SEG by Slicer's own exporter."""

from __future__ import annotations

import csv
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from lnhg.core.nodule import as_row, header
from lnhg.errors import InputError, LNHGError
from lnhg.writers.table import table_header

slicer = pytest.importorskip("slicer", reason="needs the host extra: pip install 'lnhg[host]'")

import vtk  # noqa: E402

from host.handmade import GRIDS, handmade_result  # noqa: E402
from host.scenes import added  # noqa: E402
from LNHGSlicerLib.review.export import export_csv, export_dicom, export_report  # noqa: E402
from LNHGSlicerLib.review.review import Review  # noqa: E402
from LNHGSlicerLib.scene import nodes as lnhg_scene  # noqa: E402
from LNHGSlicerLib.scene.headless import headless_host  # noqa: E402
from LNHGSlicerLib.scene.layers import Layers  # noqa: E402

ONE, TWO = "Nodule_1", "Nodule_2"
RESULT = handmade_result(GRIDS["oblique"])


@pytest.fixture
def nodes():
    with headless_host():
        ct = lnhg_scene.add_ct(RESULT.ct.hu, RESULT.ct.ijk_to_ras, "Doe chest")
        ct.SetAttribute("DICOM.instanceUIDs", "1.2.1 1.2.2")
        yield lnhg_scene.add_result(ct, RESULT)


def cells(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_the_csv_is_the_table_with_the_readers_verdicts(nodes, tmp_path):
    Review(nodes).reject(TWO)
    export_csv(nodes, tmp_path / "nodules.csv")
    titles, *rows = cells(tmp_path / "nodules.csv")
    assert titles == [*table_header(), "verdict", "time (s)"]
    assert [row[-2:] for row in rows] == [["open", "0.0"], ["rejected", "0.0"]]
    assert rows[0][: len(header())] == [str(cell) for cell in as_row(RESULT.nodules[0])]


def test_a_csv_that_fails_leaves_the_old_one(nodes, tmp_path, monkeypatch):
    path = tmp_path / "nodules.csv"
    export_csv(nodes, path)
    old = path.read_bytes()
    Review(nodes).reject(TWO)

    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(InputError, match="No space left"):
        export_csv(nodes, path)
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("export", [export_csv, export_report])
def test_what_was_written_of_another_ct_is_not_replaced_and_what_was_written_of_this_one_is(nodes, tmp_path, export):
    path = tmp_path / "written"
    export(nodes, path)
    first = path.read_bytes()
    with pytest.raises(InputError, match="written in this folder is of another CT"):
        export(added(RESULT, "Another"), path)
    assert path.read_bytes() == first
    Review(nodes).reject(TWO)
    export(nodes, path)
    assert path.read_bytes() != first
    path.write_text("a reader's own notes")
    with pytest.raises(InputError, match="or was changed since"):
        export(nodes, path)
    assert list(tmp_path.iterdir()) == [path]


def test_the_report_shows_the_nodules_that_are_left_under_their_own_numbers(nodes, tmp_path):
    review = Review(nodes)
    review.reject(ONE)
    export_report(nodes, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert 'id="nodule-2"' in page
    assert 'id="nodule-1"' not in page
    assert "Rejected by a reader and left out: nodule 1." in page
    assert "Slices are thick." in page
    assert "Research use only" in page
    assert "Doe" not in page


def test_the_report_of_all_rejected_says_that_there_is_none(nodes, tmp_path):
    review = Review(nodes)
    review.reject(ONE)
    review.reject(TWO)
    export_report(nodes, tmp_path / "report.html")
    assert "No nodule found" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_the_report_says_when_the_maps_are_shown_in_another_way_than_they_were_measured(nodes, tmp_path):
    export_report(nodes, tmp_path / "before.html")
    Layers(nodes).set_normalisation("nodule", "inverse")
    export_report(nodes, tmp_path / "after.html")
    sentence = (
        "The maps show: Heterogeneity h(x) (range of each nodule by itself); their figures in the tables: Unevenness"
    )
    assert sentence not in (tmp_path / "before.html").read_text(encoding="utf-8")
    assert sentence in (tmp_path / "after.html").read_text(encoding="utf-8")


class ExporterDouble:
    """In the place of Slicer's exporter: notes what it was asked, and takes segments for empty as Slicer's does."""

    asked: list = []  # noqa: RUF012 - read by the tests
    failure: Exception | None = None
    writes = True

    def __init__(self, segmentation, contentCreatorName=None):  # noqa: N803 - Slicer's name
        self.segmentation = segmentation

    def export(self, outputDirectory, segFileName, metadata, segmentIDs=None, skipEmpty=False):  # noqa: N803 - Slicer's names
        if self.failure:
            raise self.failure
        for segment_id in segmentIDs:
            image = self.segmentation.GetSegmentation().GetSegment(segment_id).GetRepresentation("Binary labelmap")
            values = image.GetPointData().GetArray("ImageScalars")
            assert values is not None and values.GetValueRange() != (0, 0), "taken for empty"
        reference = self.segmentation.GetNodeReference(self.segmentation.GetReferenceImageGeometryReferenceRole())
        how = {segment_id: self._tag(segment_id, "DICOM.SegmentAlgorithmType") for segment_id in segmentIDs}
        names = {self._tag(segment_id, "DICOM.SegmentAlgorithmName") for segment_id in segmentIDs}
        if self.writes:
            (Path(outputDirectory) / segFileName).write_bytes(b"DICM")
        self.asked.append(
            {"to": outputDirectory, "file": segFileName, "about": metadata, "of": reference, "how": how, "by": names}
        )

    def cleanup(self):
        self.asked.append("cleaned up")

    def _tag(self, segment_id, name):
        value = vtk.reference("")
        self.segmentation.GetSegmentation().GetSegment(segment_id).GetTag(name, value)
        return str(value)


@pytest.fixture
def exporter(monkeypatch):
    plugin = ModuleType("DICOMSegmentationPlugin")
    plugin.DICOMSegmentationExporter = ExporterDouble
    monkeypatch.setitem(sys.modules, "DICOMSegmentationPlugin", plugin)
    monkeypatch.setattr(ExporterDouble, "asked", [])
    return ExporterDouble


def test_slicers_exporter_gets_the_nodules_that_were_not_rejected_and_no_persons_name(nodes, exporter, tmp_path):
    Review(nodes).reject(ONE)
    assert export_dicom(nodes, tmp_path / "new") == tmp_path / "new" / "nodules-seg.dcm"
    asked, last = exporter.asked
    assert (Path(asked["to"]).parent, asked["file"]) == (tmp_path / "new", "nodules-seg.dcm")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["nodules-seg.dcm"]
    assert asked["of"] is nodes.ct
    assert (asked["how"], asked["by"]) == ({TWO: "AUTOMATIC"}, {"LNHG"})
    assert asked["about"]["ContentCreatorName"] == "LNHG"
    assert "Research use only" in asked["about"]["SeriesDescription"]
    assert len(asked["about"]["SeriesDescription"]) <= 64
    assert last == "cleaned up"


def test_the_exporter_gets_the_own_ct_though_an_editor_chose_another_volume(nodes, exporter, tmp_path):
    other = lnhg_scene.add_ct(RESULT.ct.hu[:3], RESULT.ct.ijk_to_ras, "Other")
    nodes.segmentation.SetReferenceImageGeometryParameterFromVolumeNode(other)
    export_dicom(nodes, tmp_path)
    assert exporter.asked[0]["of"] is nodes.ct


def test_nodules_drawn_by_hand_are_not_called_automatic(exporter, tmp_path):
    edited = replace(RESULT, nodules=(replace(RESULT.nodules[0], status="edited"), RESULT.nodules[1]))
    with headless_host():
        ct = lnhg_scene.add_ct(RESULT.ct.hu, RESULT.ct.ijk_to_ras, "CT")
        ct.SetAttribute("DICOM.instanceUIDs", "1.2.1")
        nodes = lnhg_scene.add_result(ct, edited)
        Review(nodes).accept(ONE)
        export_dicom(nodes, tmp_path)
    assert exporter.asked[0]["how"] == {ONE: "SEMIAUTOMATIC", TWO: "AUTOMATIC"}


@pytest.mark.parametrize(
    "error", [ValueError("Referenced volume files were not found"), KeyError("what nobody thought of")]
)
def test_a_failure_of_slicers_exporter_is_told_in_a_sentence_and_cleaned_up(
    nodes, exporter, tmp_path, monkeypatch, error
):
    before = export_dicom(nodes, tmp_path).read_bytes()
    exporter.asked.clear()
    monkeypatch.setattr(exporter, "failure", error)
    with pytest.raises(LNHGError, match=error.args[0]):
        export_dicom(nodes, tmp_path)
    assert exporter.asked == ["cleaned up"]
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [before]


def test_a_dicom_segmentation_of_another_ct_is_not_replaced(nodes, exporter, tmp_path):
    (tmp_path / "nodules-seg.dcm").write_bytes(b"of another CT")
    with pytest.raises(LNHGError, match="of another CT"):
        export_dicom(nodes, tmp_path)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"of another CT"]
    assert exporter.asked == []


def test_an_exporter_that_writes_nothing_is_told(nodes, exporter, tmp_path, monkeypatch):
    monkeypatch.setattr(exporter, "writes", False)
    with pytest.raises(LNHGError, match="wrote no DICOM SEG"):
        export_dicom(nodes, tmp_path)


def test_files_that_left_the_dicom_database_are_told(nodes, exporter, tmp_path, monkeypatch):
    monkeypatch.setattr(slicer, "dicomDatabase", SimpleNamespace(fileForInstance=lambda name: ""), raising=False)
    with pytest.raises(InputError, match="import them there again"):
        export_dicom(nodes, tmp_path)


def test_dicom_needs_a_ct_from_dicom_a_nodule_and_the_exporter(nodes, exporter, tmp_path, monkeypatch):
    nodes.ct.RemoveAttribute("DICOM.instanceUIDs")
    with pytest.raises(InputError, match="not loaded from DICOM"):
        export_dicom(nodes, tmp_path)
    nodes.ct.SetAttribute("DICOM.instanceUIDs", "1.2.1")
    review = Review(nodes)
    review.reject(ONE)
    review.reject(TWO)
    with pytest.raises(InputError, match="No nodule is left"):
        export_dicom(nodes, tmp_path)
    monkeypatch.setitem(sys.modules, "DICOMSegmentationPlugin", None)
    with pytest.raises(LNHGError, match="QuantitativeReporting"):
        export_dicom(nodes, tmp_path)
    assert exporter.asked == []


def test_a_report_without_the_generator_image_is_written_too(tmp_path):
    with headless_host():
        ct = lnhg_scene.add_ct(RESULT.ct.hu, RESULT.ct.ijk_to_ras, "CT")
        nodes = lnhg_scene.add_result(ct, replace(RESULT, warnings=()), with_generated=False)
        export_report(nodes, tmp_path / "report.html")
        assert 'id="nodule-1"' in (tmp_path / "report.html").read_text(encoding="utf-8")
