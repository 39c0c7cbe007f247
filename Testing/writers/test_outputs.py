"""The result files: what a person, Slicer and SimpleITK find in the folder, and what they must not find."""

from __future__ import annotations

import csv
import gzip
import importlib.util
import io
import json
import re
import zipfile
import zlib
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from host.handmade import BALLS, GRIDS, handmade_result
from lnhg.core.nodule import Nodule
from lnhg.core.nrrd_file import write_nrrd
from lnhg.errors import InputError
from lnhg.options import Options
from lnhg.writers import results as outputs
from lnhg.writers.results import FILES, check_folder, save
from lnhg.writers.seg_nrrd import segment_color
from lnhg.writers.table import table_header

HAS_HOST = importlib.util.find_spec("slicer_core") is not None
NAME, HOME = "DOE^JANE", "/home/jane.doe/scans"
WITHOUT_SCENE = {name: file for name, file in FILES.items() if name != "scene"}


def a_result(grid="axial", **changes):
    return replace(handmade_result(GRIDS[grid], PatientName=NAME, path=f"{HOME}/ct.nrrd"), **changes)


def without_nodules():
    empty = handmade_result(GRIDS["axial"], balls=())
    assert not empty.labels.any()
    return empty


@pytest.fixture
def no_scene(monkeypatch):
    """Slicer's library is not installed."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "slicer_core" else find(name))


@pytest.fixture(scope="module", params=GRIDS)
def saved(request, tmp_path_factory):
    """A result and its files, on each grid, without the scene."""
    result = a_result(request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outputs, "_write_scene", lambda path, result: "not written: left out in this test")
        return result, save(result, tmp_path_factory.mktemp(request.param) / "out")


def read_with_itk(path):
    """Voxels, IJK-to-RAS and fields of a file, as SimpleITK reads it."""
    image = sitk.ReadImage(str(path))
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    matrix[:3, 3] = image.GetOrigin()
    keys = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys()}
    return sitk.GetArrayFromImage(image), np.diag([-1.0, -1.0, 1.0, 1.0]) @ matrix, keys


# ---------------------------------------------------------------- files and their content


def test_all_files_are_there_under_the_names_that_are_returned(saved):
    _, paths = saved
    assert {name: path.name for name, path in paths.items()} == WITHOUT_SCENE
    assert all(path.stat().st_size > 0 for path in paths.values())
    folder = paths["labels"].parent
    assert {path.name for path in folder.iterdir()} == set(WITHOUT_SCENE.values())
    assert [path.name for path in folder.parent.iterdir()] == ["out"]


@pytest.mark.parametrize("name", ["labels", "segmentation", "heterogeneity"])
def test_volumes_lie_exactly_on_the_grid_of_the_ct(saved, name):
    result, paths = saved
    _, matrix, _ = read_with_itk(paths[name])
    np.testing.assert_allclose(matrix, result.ct.ijk_to_ras, rtol=0, atol=1e-12)


def test_labels_and_map_come_back_voxel_for_voxel(saved):
    result, paths = saved
    labels, _, _ = read_with_itk(paths["labels"])
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, result.labels)
    heterogeneity, _, _ = read_with_itk(paths["heterogeneity"])
    assert heterogeneity.dtype == np.float32
    np.testing.assert_array_equal(heterogeneity, result.heterogeneity)
    assert heterogeneity.min() == -1


def test_more_labels_than_a_byte_holds_are_written_in_two(tmp_path):
    labels = np.arange(300, dtype=np.uint16).reshape(1, 15, 20)
    write_nrrd(tmp_path / "labels.nrrd", labels, GRIDS["axial"])
    back, _, _ = read_with_itk(tmp_path / "labels.nrrd")
    np.testing.assert_array_equal(back, labels)


def test_a_flipped_view_of_an_array_is_written_as_it_is_seen(tmp_path):
    array = np.arange(24, dtype=">i2").reshape(2, 3, 4)[::-1, :, ::-1].transpose(0, 2, 1)
    write_nrrd(tmp_path / "one.nrrd", array, GRIDS["axial"])
    back, _, _ = read_with_itk(tmp_path / "one.nrrd")
    np.testing.assert_array_equal(back, array)


def test_the_same_result_gives_the_same_bytes(tmp_path, no_scene):
    first, second = (save(a_result(), tmp_path / name) for name in ("one", "two"))
    for name, path in first.items():
        assert path.read_bytes() == second[name].read_bytes(), name


def test_the_segmentation_file_names_colours_and_codes_every_nodule(saved):
    result, paths = saved
    labels, _, keys = read_with_itk(paths["segmentation"])
    np.testing.assert_array_equal(labels, result.labels)
    for index, ((k, j, i), radius) in enumerate(BALLS):
        segment = {key.partition("_")[2]: value for key, value in keys.items() if key.startswith(f"Segment{index}_")}
        assert segment["ID"] == f"Nodule_{index + 1}"
        assert segment["Name"] == f"Nodule {index + 1}"
        assert segment["LabelValue"] == str(index + 1)
        assert segment["Layer"] == "0"
        extent = [i - radius, i + radius, j - radius, j + radius, k - radius, k + radius]
        assert segment["Extent"] == " ".join(map(str, extent))
        np.testing.assert_allclose([float(x) for x in segment["Color"].split()], segment_color(index + 1), atol=1e-5)
        assert segment["Tags"].startswith("TerminologyEntry:")
        for code in ("SCT^49755003^Morphologically Altered Structure", "SCT^27925004^Nodule", "SCT^39607008^Lung"):
            assert code in segment["Tags"]
    assert f"Segment{len(BALLS)}_ID" not in keys


def test_neighbouring_numbers_have_colours_far_apart():
    colours = np.array([segment_color(label) for label in range(1, 11)])
    distances = np.linalg.norm(colours[:, None] - colours, axis=-1)
    assert distances[~np.eye(10, dtype=bool)].min() > 0.1
    assert np.linalg.norm(np.diff(colours, axis=0), axis=1).min() > 0.4


def test_the_table_has_units_in_its_header_and_one_row_a_nodule(saved):
    _, paths = saved
    with paths["table"].open(newline="", encoding="utf-8") as file:
        titles, *rows = csv.reader(file)
    assert titles == table_header()
    for title in ("centre R (mm)", "volume (mm3)", "mean density (HU)", "long axis (mm)"):
        assert title in titles
    assert [row[0] for row in rows] == ["1", "2"]
    assert all(len(row) == len(titles) for row in rows)
    assert rows[1][titles.index("detector score")] == ""


def test_the_record_tells_what_was_done_with_what(tmp_path, no_scene):
    result = a_result(options=Options(normalisation="nodule"))
    record = json.loads(save(result, tmp_path / "out")["record"].read_text())
    assert record["options"]["normalisation"] == "nodule"
    assert record["provenance"] == result.provenance
    assert record["warnings"] == ["Slices are thick."]
    assert record["input"]["format"] == "NRRD; 100% plain: yes"
    assert record["input"]["size_ijk_voxels"] == list(result.ct.hu.shape[::-1])
    np.testing.assert_array_equal(record["input"]["ijk_to_ras_mm"], result.ct.ijk_to_ras)
    assert [nodule["id"] for nodule in record["nodules"]] == [1, 2]
    assert record["nodules"][1]["score"] is None
    for column in fields(Nodule):
        assert any(key.startswith(column.name) for key in record["nodules"][0]), column.name
    assert record["scene"].startswith("not written: Slicer's library is not installed")


# ---------------------------------------------------------------- Slicer


@pytest.mark.skipif(not HAS_HOST, reason="needs the host extra: pip install 'lnhg[host]'")
def test_slicer_opens_the_segmentation_file(saved):
    result, paths = saved
    import slicer
    import vtk

    from LNHGSlicerLib.scene.headless import headless_host

    with headless_host() as scene:
        storage = slicer.vtkMRMLSegmentationStorageNode()
        scene.AddNode(storage)
        storage.SetFileName(str(paths["segmentation"]))
        node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
        assert storage.ReadData(node)
        segmentation = node.GetSegmentation()
        assert tuple(segmentation.GetSegmentIDs()) == ("Nodule_1", "Nodule_2")
        for label, segment_id in enumerate(segmentation.GetSegmentIDs(), 1):
            segment = segmentation.GetSegment(segment_id)
            assert segment.GetName() == f"Nodule {label}"
            np.testing.assert_allclose(segment.GetColor(), segment_color(label), atol=1e-5)
            image = slicer.vtkOrientedImageData()
            node.GetBinaryLabelmapRepresentation(segment_id, image)
            assert segment_centre(image) == pytest.approx(centre_ras(result, label), abs=1e-6)
            codes = vtk.mutable("")
            assert segment.GetTag(segment.GetTerminologyEntryTagName(), codes)
            assert "SCT^27925004^Nodule" in codes


def segment_centre(image):
    """Mean position (RAS) of the voxels of a binary label map of Slicer."""
    import slicer
    import vtk
    from vtk.util.numpy_support import vtk_to_numpy

    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    first = np.array(image.GetExtent())[::2]
    shape = image.GetDimensions()[::-1]
    voxels = np.argwhere(vtk_to_numpy(image.GetPointData().GetScalars()).reshape(shape))
    centre = voxels.mean(0)[::-1] + first
    return (slicer.util.arrayFromVTKMatrix(matrix) @ [*centre, 1])[:3].tolist()


def centre_ras(result, label):
    return result.ct.to_ras(np.argwhere(result.labels == label).mean(0)[::-1]).tolist()


@pytest.mark.skipif(not HAS_HOST, reason="needs the host extra: pip install 'lnhg[host]'")
def test_slicer_reads_the_map_on_the_same_grid(saved):
    result, paths = saved
    import slicer
    import vtk

    from LNHGSlicerLib.scene.headless import headless_host

    with headless_host() as scene:
        storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
        scene.AddNode(storage)
        storage.SetFileName(str(paths["heterogeneity"]))
        node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
        assert storage.ReadData(node)
        matrix = vtk.vtkMatrix4x4()
        node.GetIJKToRASMatrix(matrix)
        np.testing.assert_allclose(slicer.util.arrayFromVTKMatrix(matrix), result.ct.ijk_to_ras, atol=1e-9)
        np.testing.assert_array_equal(slicer.util.arrayFromVolume(node), result.heterogeneity)


@pytest.mark.skipif(not HAS_HOST, reason="needs the host extra: pip install 'lnhg[host]'")
def test_with_slicers_library_the_scene_is_written_too(tmp_path):
    paths = save(a_result(), tmp_path / "out")
    assert {name: path.name for name, path in paths.items()} == FILES
    with zipfile.ZipFile(paths["scene"]) as scene:
        (mrml,) = [scene.read(name).decode() for name in scene.namelist() if name.endswith(".mrml")]
    volumes = re.findall(r'<Volume\s[^>]*?\bname="([^"]*)"', mrml)
    assert "CT" in volumes, "the CT bears no name of a patient or a file"
    assert json.loads(paths["record"].read_text())["scene"] == "scene.mrb"


# ---------------------------------------------------------------- identity


def bytes_within(content):
    """`content`, and what is packed in it: gzip at its start or after a NRRD header, zip with its members."""
    yield content
    if content[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.infolist():
                yield member.filename.encode()
                yield from bytes_within(archive.read(member))
    if content[:4] == b"NRRD":
        yield gzip.decompress(content.partition(b"\n\n")[2])
    if content[:2] == b"\x1f\x8b":
        yield gzip.decompress(content)
    if content[:8] == b"\x89PNG\r\n\x1a\n":
        yield from text_chunks(content)


def text_chunks(png):
    at = 8
    while at < len(png):
        size = int.from_bytes(png[at : at + 4], "big")
        kind, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        if kind == b"zTXt":
            yield zlib.decompress(data.partition(b"\0")[2][1:])
        at += size + 12


def places_of(text, paths):
    needle = text.lower().encode()
    return {
        name for name, path in paths.items() if any(needle in part.lower() for part in bytes_within(path.read_bytes()))
    }


def test_nothing_that_names_a_person_is_in_any_file(tmp_path):
    result = a_result(options=Options(weights=Path(HOME) / "weights"))
    paths = save(result, tmp_path / "out")
    assert places_of("confirmed", paths) == set(paths) & {"table", "record", "report", "scene"}  # the search sees text
    for text in (NAME, "jane", "DOE^", HOME, str(tmp_path)):
        assert places_of(text, paths) == set(), text
    assert json.loads(paths["record"].read_text())["options"]["weights"] == "weights"


def test_the_identity_is_in_record_and_report_when_asked_for(tmp_path, no_scene):
    paths = save(a_result(), tmp_path / "out", with_identity=True)
    assert places_of(NAME, paths) == {"record", "report"}
    identity = json.loads(paths["record"].read_text())["identity"]
    assert identity == {"PatientName": NAME, "path": f"{HOME}/ct.nrrd"}


# ---------------------------------------------------------------- all or nothing


def another():
    return replace(without_nodules(), warnings=("Another run.",))


def everything_in(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("writer", ["write_nrrd", "write_segmentation", "_write_table", "report_html", "write_sheet"])
def test_an_error_in_any_writer_leaves_nothing(tmp_path, no_scene, monkeypatch, writer):
    def fails(*_):
        raise RuntimeError("no")

    monkeypatch.setattr(outputs, writer, fails)
    with pytest.raises(RuntimeError):
        save(without_nodules(), tmp_path / "deep" / "out")
    assert list(tmp_path.iterdir()) == []


def test_an_error_leaves_an_earlier_result_untouched(tmp_path, no_scene, monkeypatch):
    save(without_nodules(), tmp_path / "out")
    (tmp_path / "out" / "notes.txt").write_text("mine")
    before = everything_in(tmp_path)

    def cancelled(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(outputs, "write_sheet", cancelled)
    with pytest.raises(KeyboardInterrupt):
        save(another(), tmp_path / "out")
    assert everything_in(tmp_path) == before


def test_an_error_while_moving_in_puts_the_earlier_result_back(tmp_path, no_scene, monkeypatch):
    save(without_nodules(), tmp_path / "out")
    before = everything_in(tmp_path)
    rename = Path.rename

    def fails_at_the_report(path, target):
        if Path(target) == tmp_path / "out" / "report.html" and path.parent.name == "results":
            raise PermissionError("in use")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fails_at_the_report)
    with pytest.raises(InputError, match="cannot be written"):
        save(another(), tmp_path / "out")
    assert everything_in(tmp_path) == before


def test_a_second_run_replaces_results_and_leaves_other_files_alone(tmp_path, no_scene, monkeypatch):
    folder = tmp_path / "out"
    with monkeypatch.context() as earlier:
        earlier.setattr("lnhg.writers.results._write_scene", lambda path, _: path.write_text("a scene") and path.name)
        save(without_nodules(), folder)
    assert (folder / "scene.mrb").exists()
    (folder / "notes.txt").write_text("mine")
    paths = save(another(), folder)
    assert json.loads(paths["record"].read_text())["warnings"] == ["Another run."]
    assert (folder / "notes.txt").read_text() == "mine"
    assert not (folder / "scene.mrb").exists(), "a scene of other nodules would lie beside these results"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_file_in_place_of_the_folder_is_refused_with_a_sentence(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(InputError, match=r"out is a file; choose a folder"):
        save(without_nodules(), tmp_path / "out")
    assert (tmp_path / "out").read_text() == "a file"


def test_a_folder_is_checked_before_a_run_and_nothing_is_left_of_the_check(tmp_path):
    (tmp_path / "file").write_text("a file")
    check_folder(tmp_path / "new" / "out")
    check_folder(tmp_path)
    with pytest.raises(InputError, match="choose a folder"):
        check_folder(tmp_path / "file")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_nothing_is_made_beside_a_folder_that_exists(tmp_path, no_scene, monkeypatch):
    """Its parent may be read-only, or on another disk."""
    (tmp_path / "out").mkdir()
    seen = []
    writer = outputs.write_sheet

    def looks(path, *arguments):
        seen.extend(one.name for one in tmp_path.iterdir())
        writer(path, *arguments)

    monkeypatch.setattr(outputs, "write_sheet", looks)
    save(without_nodules(), tmp_path / "out")
    assert seen == ["out"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(WITHOUT_SCENE.values())


# ---------------------------------------------------------------- no nodule


def test_without_nodules_every_file_is_written(tmp_path, no_scene):
    paths = save(without_nodules(), tmp_path / "out")
    assert {name: path.name for name, path in paths.items()} == WITHOUT_SCENE
    labels, _, keys = read_with_itk(paths["segmentation"])
    assert not labels.any()
    assert "Segment0_ID" not in keys
    assert paths["table"].read_text().splitlines()[0].startswith("id,")
    assert json.loads(paths["record"].read_text())["nodules"] == []
