"""The files of a run for the Slicer module: read back, they are the result that was written."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import astuple, fields, is_dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from dicom_files import write_series
from host.handmade import GRIDS, handmade_result
from lnhg.cli import main
from lnhg.core.ct import CT
from lnhg.core.nodule import as_row
from lnhg.core.nrrd_file import write_nrrd
from lnhg.core.result import Result
from lnhg.errors import InputError
from lnhg.options import Options
from lnhg.stages.heterogeneity_maps import raw_ct_map
from lnhg.writers.read_back import load_result
from lnhg.writers.results import FILES, FILES_FOR_SCENE, save

CANDIDATES = (
    {"score": 0.93, "origin": "detector", "centre_ras": [1.5, -2.0, 3.25], "boxes_ras": [[[0.0, 1.0, 2.0]] * 4]},
)
OPTIONS = Options(
    weights=Path("mine"), roi=(-10.0, 10.0, -20.0, 20.0, -30.0, 30.0), slices=(3, 17), full_generator=True
)


def a_result(grid: str = "oblique", **changes: object) -> Result:
    result = handmade_result(GRIDS[grid], PatientName="DOE^JANE")
    unconfirmed = np.zeros_like(result.labels)
    unconfirmed[2, 3, 4] = 1
    image = result.image + np.float32(1 / 3)
    special = {"candidates": CANDIDATES, "options": OPTIONS, "unconfirmed": unconfirmed, "generated": lambda: image}
    return replace(result, **{**special, **changes})


def the_ct(result: Result) -> CT:
    """The CT as Slicer has it: voxels and grid, nothing on its source."""
    return CT(result.ct.hu, result.ct.ijk_to_ras.copy())


@pytest.mark.parametrize("grid", GRIDS)
def test_what_is_read_back_is_the_result_that_was_written(tmp_path, grid):
    result = a_result(grid)
    save(result, tmp_path, for_scene=True)
    loaded = load_result(tmp_path, the_ct(result))
    for name in ("labels", "heterogeneity", "image", "unconfirmed"):
        one, other = getattr(loaded, name), getattr(result, name)
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype, name
    assert [as_row(nodule) for nodule in loaded.nodules] == [as_row(nodule) for nodule in result.nodules]
    for name in ("candidates", "options", "provenance", "warnings"):
        assert getattr(loaded, name) == getattr(result, name), name
    assert loaded.ct.source == result.ct.source
    np.testing.assert_array_equal(raw_ct_map(loaded), raw_ct_map(result))


def test_every_field_of_a_nodule_comes_back_in_its_own_type(tmp_path):
    result = a_result()
    first = replace(result.nodules[0], touches_pleura=False, instance_number=12, sphericity=math.nan)
    save(replace(result, nodules=(first, result.nodules[1])), tmp_path, for_scene=True)
    loaded = load_result(tmp_path, the_ct(result)).nodules[0]
    for field in fields(loaded):
        one, other = getattr(loaded, field.name), getattr(first, field.name)
        assert isinstance(other, type(one)), field.name
        if is_dataclass(one):  # figures of a region, intervals
            np.testing.assert_allclose(astuple(one), astuple(other), atol=5e-5)
        elif isinstance(one, float):
            np.testing.assert_allclose(one, other, atol=5e-5)
        else:
            assert one == other


def test_a_result_without_nodules_comes_back_empty(tmp_path):
    empty = handmade_result(GRIDS["axial"], balls=())
    save(empty, tmp_path, for_scene=True)
    loaded = load_result(tmp_path, the_ct(empty))
    assert loaded.nodules == ()
    assert not loaded.labels.any()
    assert not loaded.unconfirmed.any()


def test_only_what_the_module_reads_is_written_and_no_name_with_it(tmp_path):
    paths = save(a_result(), tmp_path / "out", for_scene=True)
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(FILES_FOR_SCENE.values())
    assert {name: path.name for name, path in paths.items()} == FILES_FOR_SCENE
    assert "DOE" not in paths["record"].read_text(encoding="utf-8")


def test_files_of_an_earlier_run_for_the_module_do_not_stay_beside_the_results_of_a_later_one(tmp_path, monkeypatch):
    monkeypatch.setattr("lnhg.writers.results._write_scene", lambda path, result: "not written: left out in this test")
    save(a_result(), tmp_path / "out", for_scene=True)
    save(handmade_result(GRIDS["axial"], balls=()), tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(FILES.values()) - {"scene.mrb"}
    assert not load_result(tmp_path / "out", the_ct(handmade_result(GRIDS["axial"], balls=()))).image.any()


@pytest.mark.parametrize("name", ["labels", "heterogeneity", "generated", "unconfirmed"])
def test_a_volume_that_lies_beside_the_ct_is_refused(tmp_path, name):
    result = a_result()
    paths = save(result, tmp_path, for_scene=True)
    moved = result.ct.ijk_to_ras.copy()
    moved[2, 3] += 0.5
    write_nrrd(paths[name], result.labels, moved)
    with pytest.raises(InputError, match=rf"{paths[name].name} lies 0\.5 mm away from the CT"):
        load_result(tmp_path, the_ct(result))


def test_a_volume_turned_about_the_middle_of_the_ct_is_refused(tmp_path):
    result = a_result("axial")
    save(result, tmp_path, for_scene=True)
    turned = the_ct(result)
    turned.ijk_to_ras[:3, 2] *= -1
    with pytest.raises(InputError, match="away from the CT"):
        load_result(tmp_path, turned)


def test_a_volume_of_another_size_is_refused(tmp_path):
    result = a_result()
    save(result, tmp_path, for_scene=True)
    with pytest.raises(
        InputError, match=r"sizes of labels.nrrd and the CT differ \(50 x 60 x 20 and 50 x 60 x 19 voxels\)"
    ):
        load_result(tmp_path, CT(result.ct.hu[1:], result.ct.ijk_to_ras))


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("labels.nrrd", lambda path: path.unlink()),
        ("generated.nrrd", lambda path: path.write_bytes(path.read_bytes()[:400])),
        ("result.json", lambda path: path.write_text(path.read_text()[:100])),
        ("result.json", lambda path: path.write_text(json.dumps({"nodules": []}))),
    ],
    ids=["no labels", "half of G(x)", "half a record", "another record"],
)
def test_a_missing_or_damaged_file_is_named_in_a_sentence(tmp_path, file, change):
    result = a_result()
    save(result, tmp_path, for_scene=True)
    change(tmp_path / file)
    with pytest.raises(InputError, match=rf"{file} of the run .*; run again\.$"):
        load_result(tmp_path, the_ct(result))


@pytest.mark.parametrize("command", [["report"], ["export", "dicom"], ["export", "redcap"]], ids=" ".join)
@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("gone", "does not exist"),
        ("a file", "is no folder"),
        ("empty", "holds no result of a run (result.json)"),
        ("ct", "holds no result of a run (result.json)"),
    ],
)
def test_a_place_without_a_result_is_told_as_what_it_is(tmp_path, capfd, command, place, said):
    (tmp_path / "empty").mkdir()
    (tmp_path / "a file").write_text("x")
    result = a_result()
    write_series(tmp_path / "ct", result.ct.hu, result.ct.ijk_to_ras)
    before = sorted(tmp_path.rglob("*"))
    more = {
        "report": ["--ct", str(tmp_path / "ct")],
        "dicom": ["--source", str(tmp_path / "ct"), "--output", str(tmp_path / "out")],
        "redcap": ["--output", str(tmp_path / "out.csv")],
    }[command[-1]]
    assert main([*command, str(tmp_path / place), *more]) == 2
    out, err = capfd.readouterr()
    assert out == "" and err.rstrip().endswith(f"{place} {said}; give a folder that segment wrote.")
    assert sorted(tmp_path.rglob("*")) == before


def test_reading_a_result_back_does_not_load_torch():
    program = "import sys; import lnhg.writers.read_back; sys.exit('torch' in sys.modules)"
    folder = Path(__file__).resolve().parents[2] / "LNHGSlicer"
    assert subprocess.run([sys.executable, "-c", program], cwd=folder, check=False).returncode == 0


def test_an_unpacked_volume_reads_as_the_packed_one(tmp_path):
    import SimpleITK as sitk

    array = np.arange(-30, 30, dtype=np.int16).reshape(3, 4, 5)
    for packed in (True, False):
        write_nrrd(tmp_path / f"{packed}.nrrd", array, GRIDS["sheared"], packed=packed)
    one, other = (sitk.ReadImage(str(tmp_path / f"{packed}.nrrd")) for packed in (True, False))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(other), array)
    assert one.GetDirection() == other.GetDirection()


@pytest.mark.parametrize("name", ["labels.nrrd", "heterogeneity.nrrd", "generated.nrrd"])
@pytest.mark.parametrize(
    "harm",
    [
        lambda content: content[:-100],
        lambda content: content.replace(b"sizes: ", b"sizes: 99999999 "),
        lambda content: content.replace(b"dimension: 3", b"dimension: 65535"),
        lambda content: content.replace(b"space directions: ", b"space directions: (nan,0,0) "),
        lambda content: content.replace(b"type: ", b"type: block "),
        lambda content: content.replace(b"encoding: ", b"data file: /etc/hostname\nencoding: "),
    ],
    ids=["cut off", "sizes", "dimension", "grid", "type", "voxels elsewhere"],
)
def test_a_volume_with_a_damaged_header_is_refused_by_name(
    tmp_path: Path, name: str, harm: Callable[[bytes], bytes]
) -> None:
    result = a_result()
    save(result, tmp_path, for_scene=True)
    (tmp_path / name).write_bytes(harm((tmp_path / name).read_bytes()))
    with pytest.raises(InputError, match=rf"^The file {name} of the run is missing or damaged; run again\.$"):
        load_result(tmp_path, the_ct(result))
