"""Reading an earlier study: results of an older version, scenes that a reader reviewed, and whose they are."""

from __future__ import annotations

import gzip
import json
import math
import re
import zipfile
from dataclasses import replace
from datetime import date
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest

from dicom_files import write_series
from lnhg.errors import InputError
from lnhg.followup.measured_anew import measured_anew
from lnhg.followup.study import _ct_of_results, read_study, study_of
from lnhg.options import Options
from lnhg.readers.read_ct import read_ct
from made_before import CT, RESULT


def reviewed(folder: Path, change) -> Path:
    """The scene of the older version with its segmentation's file as `change` leaves it."""
    scene = folder / "reviewed.mrb"
    with zipfile.ZipFile(RESULT / "scene.mrb") as before, zipfile.ZipFile(scene, "w") as after:
        for name in before.namelist():
            content = before.read(name)
            after.writestr(name, change(content) if name.endswith(".seg.nrrd") else content)
    return scene


def rejected_first(content: bytes) -> bytes:
    return content.replace(b"Segment0_Tags:=", b"Segment0_Tags:=LNHG.Verdict:rejected|", 1)


def smaller_second(content: bytes) -> bytes:
    header, _, packed = content.partition(b"\n\n")
    columns, rows, slices = map(int, re.search(rb"sizes: (\d+) (\d+) (\d+)", header).groups())
    voxels = np.frombuffer(gzip.decompress(packed), np.uint8).reshape(slices, rows, columns).copy()
    places = np.argwhere(voxels == 2)
    voxels[tuple(places[: len(places) // 2].T)] = 0
    return header + b"\n\n" + gzip.compress(voxels.tobytes())


def test_results_of_an_older_version_are_read_with_their_ct_and_measured_as_today() -> None:
    study = read_study(f"{RESULT}={CT}", "study 1", Options())
    assert len(study.result.nodules) == 2
    assert study.made is None and study.person == {}
    anew = measured_anew(study.result).nodules
    assert [row.volume for row in anew] == pytest.approx([row.volume for row in study.result.nodules], rel=1e-3)
    assert all(row.mean_axis_same.low < row.mean_axis < row.mean_axis_same.high for row in anew if not row.cut)
    assert measured_anew(measured_anew(study.result)) is not study.result


def test_results_that_lack_the_unevenness_alone_are_measured_anew() -> None:
    current = measured_anew(read_study(f"{RESULT}={CT}", "study 1", Options()).result)
    assert measured_anew(current) is current
    without = replace(current, nodules=tuple(replace(row, unevenness=math.nan) for row in current.nodules))
    known = [row.unevenness for row in current.nodules]
    assert [row.unevenness for row in measured_anew(without).nodules] == pytest.approx(known) and min(known) >= 0


def test_results_alone_lead_to_the_ct_in_their_scene() -> None:
    study = read_study(RESULT, "study 1", Options())
    assert study.result.ct.hu.shape == read_ct(CT).hu.shape
    np.testing.assert_array_equal(study.result.ct.hu, read_ct(CT).hu)


def test_a_scene_has_the_same_nodules_as_the_results_beside_it() -> None:
    study = read_study(RESULT / "scene.mrb", "study 1", Options())
    other = read_study(f"{RESULT}={CT}", "study 1", Options())
    np.testing.assert_array_equal(study.result.labels, other.result.labels)
    assert [row.id for row in study.result.nodules] == [1, 2]


def test_a_nodule_that_a_reader_rejected_does_not_count(tmp_path: Path) -> None:
    study = read_study(reviewed(tmp_path, rejected_first), "study 1", Options())
    (row,) = study.result.nodules
    assert row.id == 1 and study.result.labels.max() == 1
    whole = read_study(RESULT / "scene.mrb", "study 1", Options())
    np.testing.assert_array_equal(study.result.labels == 1, whole.result.labels == 2)
    assert any("Rejected by a reader" in note for note in study.notes)


def test_an_outline_that_a_reader_edited_is_measured_anew(tmp_path: Path) -> None:
    study = read_study(reviewed(tmp_path, smaller_second), "study 1", Options())
    before, after = study.result.nodules[1], measured_anew(study.result).nodules[1]
    assert after.volume == pytest.approx(before.volume / 2, rel=0.02)
    assert not np.isnan(after.volume_same.low) or after.cut


def test_a_file_that_is_no_scene_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mrb").write_bytes(b"not a scene")
    with pytest.raises(InputError, match="holds no result"):
        read_study(tmp_path / "a.mrb", "study 1", Options())


def test_the_record_tells_whose_results_are_where_their_ct_is_an_image_file(tmp_path: Path) -> None:
    from lnhg.writers.results import save

    study = read_study(f"{RESULT}={CT}", "study 1", Options())
    identity = {"path": str(CT), "PatientID": "A-1", "StudyDate": "20240310"}
    save(
        replace(study.result, ct=replace(study.result.ct, identity=identity)),
        tmp_path,
        with_identity=True,
        for_scene=True,
    )
    assert not (tmp_path / "generated.nrrd").exists()  # there is none in results on disk
    again = read_study(tmp_path, "study 1", Options())
    assert again.person == {"PatientID": "A-1"} and again.made == date(2024, 3, 10)
    np.testing.assert_array_equal(again.result.labels, study.result.labels)


def test_results_without_their_ct_are_refused(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text((RESULT / "result.json").read_text())
    with pytest.raises(InputError, match="equals sign"):
        read_study(tmp_path, "study 1", Options())


def test_whose_and_when_come_from_the_headers(tmp_path: Path) -> None:
    hu = np.full((6, 32, 32), -800, np.int16)
    hu[:, 8:24, 8:24] = 40
    write_series(tmp_path, hu, np.diag([-2.0, -2.0, 2.0, 1.0]), StudyDate="20240310", PatientSex="F")
    from test_follow import _empty

    study = study_of("study 1", _empty(read_ct(tmp_path)).result)
    assert study.made == date(2024, 3, 10)
    assert study.person == {"PatientID": "ID-4711", "PatientSex": "F", "PatientBirthDate": "19500102"}


def test_results_with_another_ct_on_the_same_grid_are_refused(tmp_path: Path) -> None:
    from lnhg.core.nrrd_file import write_nrrd
    from lnhg.writers.results import save

    ct, result = read_ct(CT), read_study(f"{RESULT}={CT}", "study 1", Options()).result
    save(replace(result, ct=ct), tmp_path / "results", for_scene=True)
    assert read_study(f"{tmp_path / 'results'}={CT}", "study 1", Options()).result.nodules
    write_nrrd(tmp_path / "other.nrrd", np.ascontiguousarray(ct.hu[:, ::-1]), ct.ijk_to_ras)
    with pytest.raises(InputError, match="made from another CT"):
        read_study(f"{tmp_path / 'results'}={tmp_path / 'other.nrrd'}", "study 1", Options())


def test_results_of_one_series_lead_to_it_where_the_folder_holds_another_too(tmp_path: Path) -> None:
    ct = read_ct(CT)
    grid = np.diag([-2.0, -2.0, 2.0, 1.0])
    for number, (kernel, more) in enumerate((("B30f", 0), ("B70f", 15)), 1):
        write_series(tmp_path / "ct", ct.hu + np.int16(more), grid, SeriesNumber=number, ConvolutionKernel=kernel)
    for number in "12":
        chosen = read_ct(tmp_path / "ct", number)
        (tmp_path / "result.json").write_text(json.dumps({"identity": dict(chosen.identity)}))
        np.testing.assert_array_equal(_ct_of_results(tmp_path).hu, chosen.hu)


def test_answers_in_a_scene_come_along_with_the_numbers_that_the_nodules_have_now(tmp_path: Path) -> None:
    kept = {"patient": {"risk": "high"}, "nodules": {"1": {"airway": "no"}, "2": {"spiculated": "yes"}}}
    told = f"LNHG.Answers:{quote(json.dumps(kept), safe='')};LNHG.Options".encode()
    scene = tmp_path / "answered.mrb"
    with zipfile.ZipFile(reviewed(tmp_path, rejected_first)) as before, zipfile.ZipFile(scene, "w") as after:
        for name in before.namelist():
            content = before.read(name)
            after.writestr(name, content.replace(b"LNHG.Options", told) if name.endswith(".mrml") else content)
    answers = read_study(scene, "study 1", Options()).result.answers
    assert answers.common.risk == "high"
    assert answers.own == {1: {"spiculated": "yes"}}


def test_lobes_stay_known_where_rows_are_measured_anew() -> None:
    result = read_study(f"{RESULT}={CT}", "study 1", Options()).result
    rows = tuple(replace(row, lobe="left upper lobe", perifissural=True) for row in result.nodules)
    anew = measured_anew(replace(result, nodules=rows)).nodules
    assert [(row.lobe, row.perifissural) for row in anew] == [("left upper lobe", True)] * 2
    assert not np.isnan(anew[0].unevenness)
