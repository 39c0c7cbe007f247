"""Slices that lost their content at the ends of a scan are named, never dropped in silence: the lung may be cut
short.
"""

from __future__ import annotations

import bz2
import gzip
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dicom_files import write_series
from lnhg.cohort.scans import find_scans
from lnhg.errors import InputError
from lnhg.readers.read_ct import read_ct
from readers.asked import read_by_segment, refused, stack


def scan(folder: Path, ending: str) -> list[Path]:
    """A scan of twelve slices in files named IM_0001 and so on, with an ending."""
    paths = write_series(folder, *stack(12))
    return [path.rename(folder / f"IM_{number:04d}{ending}") for number, path in enumerate(paths, 1)]


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def zeroed(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def start_zeroed(path: Path) -> None:
    path.write_bytes(bytes(1024) + path.read_bytes()[1024:])


def dangling(path: Path) -> None:
    if os.name == "nt":
        pytest.skip("links are for administrators")
    path.unlink()
    path.symlink_to(path.parent / "moved away")


def garbled(path: Path) -> None:
    path.write_bytes(np.random.default_rng(3).bytes(path.stat().st_size))


LOSSES: dict[Callable[[Path], None], str] = {
    emptied: "is empty",
    zeroed: "holds zeros in place of DICOM",
    start_zeroed: "holds zeros in place of DICOM",
    dangling: "is a link to nothing",
    garbled: "no DICOM",
}


@pytest.mark.parametrize("ending", ["", ".dcm", ".IMA", ".0001"])
@pytest.mark.parametrize("lose", LOSSES, ids=lambda lose: lose.__name__)
@pytest.mark.parametrize("which", [[-1], [-2, -1], [0]], ids=str)
def test_slices_that_lost_their_content_are_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], ending: str, lose: Callable[[Path], None], which: list[int]
) -> None:
    paths = scan(tmp_path / "ct", ending)
    for one in which:
        lose(paths[one])
    said = refused(tmp_path / "ct", capfd, paths[which[0]].name)
    assert LOSSES[lose] in said or "damaged or cut off" in said


def gzipped(path: Path) -> str:
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    return f"{path.name}.gz is packed"


def bzipped(path: Path) -> str:
    path.with_name(f"{path.name}.bz2").write_bytes(bz2.compress(path.read_bytes()))
    path.unlink()
    return f"{path.name}.bz2 is packed"


def half_copied(path: Path) -> str:
    """As rsync leaves a file when it is stopped."""
    path.with_name(f".{path.name}.Xa3f9").write_bytes(path.read_bytes()[:2000])
    path.unlink()
    return f".{path.name}.Xa3f9 is hidden"


def left_in_the_cloud(path: Path) -> str:
    """As macOS leaves a file that it has taken away to make room."""
    path.with_name(f".{path.name}.icloud").write_bytes(b"bplist00")
    path.unlink()
    return f"{path.name} is in the cloud and not on this computer"


def half_fetched(path: Path) -> str:
    path.rename(path.with_name(f"{path.name}.crdownload")).write_bytes(b"")
    return f"{path.name}.crdownload was not fetched whole"


def fetched_as_zeros(path: Path) -> str:
    path.rename(path.with_name(f"{path.name}.part")).write_bytes(bytes(700))
    return f"{path.name}.part was not fetched whole"


LEFT = [gzipped, bzipped, half_copied, left_in_the_cloud, half_fetched, fetched_as_zeros]


@pytest.mark.parametrize("ending", ["", ".dcm", ".IMA"])
@pytest.mark.parametrize("lose", LEFT, ids=lambda lose: lose.__name__)
@pytest.mark.parametrize("which", [[-1], [-2, -1], [0]], ids=str)
def test_slices_that_are_packed_or_were_copied_in_part_are_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], ending: str, lose: Callable[[Path], str], which: list[int]
) -> None:
    paths = scan(tmp_path / "ct", ending)
    named = [lose(paths[one]) for one in which]
    refused(tmp_path / "ct", capfd, *named)


@pytest.mark.parametrize("name", ["notes.gz", "._IM_0001", ".DS_Store", "old.zip"])
def test_packed_and_hidden_files_of_something_else_do_no_harm(tmp_path: Path, name: str) -> None:
    scan(tmp_path, ".dcm")
    (tmp_path / name).write_bytes(gzip.compress(b"seen on Tuesday") if name.endswith("gz") else b"\0\5\x16\7Mac")
    assert read_ct(tmp_path).hu.shape[0] == 12


def test_a_slice_that_is_asked_for_by_its_file_is_read_whatever_lies_beside_it(tmp_path: Path) -> None:
    first, *_, last = scan(tmp_path, ".dcm")
    half_copied(last)
    assert read_ct(first).hu.shape[0] == 1


def test_batch_lists_such_a_scan_as_failed_with_the_reason(tmp_path: Path) -> None:
    emptied(scan(tmp_path / "tree" / "ct", "")[-1])
    found = find_scans([str(tmp_path / "tree")], tmp_path / "out")
    assert len(found) == 1
    with pytest.raises(InputError, match="IM_0012 is empty"):
        found[0].read()


@pytest.mark.parametrize("name", ["notes.txt", "DICOMDIR", ".hidden", "report.xml"])
def test_empty_files_that_are_named_otherwise_do_no_harm(tmp_path: Path, name: str) -> None:
    scan(tmp_path, ".dcm")
    emptied(tmp_path / name)
    assert read_ct(tmp_path).hu.shape[0] == 12


def test_text_beside_slices_without_endings_does_no_harm(tmp_path: Path) -> None:
    scan(tmp_path, "")
    (tmp_path / "README").write_text("seen on Tuesday")
    assert read_ct(tmp_path).hu.shape[0] == 12


@pytest.mark.parametrize("value", [-1024, 0, -2000])
@pytest.mark.parametrize("which", [[0], [10, 11], [0, 11]], ids=str)
def test_slices_of_one_value_alone_are_warned_of_with_their_numbers(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], value: int, which: list[int]
) -> None:
    hu, grid = stack(12)
    hu[which] = value
    write_series(tmp_path, hu, grid)
    numbers = ", ".join(str(k + 1) for k in which)
    assert any(
        f"{len(which)} slices hold nothing but one value (image number {numbers})" in one
        for one in read_by_segment(tmp_path, capfd).warnings
    )


def test_a_folder_of_nothing_but_lost_slices_is_refused_with_their_names(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for path in scan(tmp_path / "ct", ""):
        emptied(path)
    refused(tmp_path / "ct", capfd, "IM_0001 is empty", "and 7 more")


def test_no_slice_is_one_value_in_a_usual_scan(tmp_path: Path) -> None:
    write_series(tmp_path, *stack(12))
    assert not any("one value" in one for one in read_ct(tmp_path).warnings)


@pytest.mark.parametrize("count", [1, 5, 12])
def test_a_folder_of_which_the_cloud_keeps_all_is_refused_and_listed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], count: int
) -> None:
    paths = scan(tmp_path / "in" / "ct", ".dcm")
    for path in paths[count:]:
        path.unlink()
    named = [left_in_the_cloud(path) for path in paths[:count]]
    refused(tmp_path / "in" / "ct", capfd, named[0])
    (found,) = find_scans([str(tmp_path / "in")], tmp_path / "out")
    with pytest.raises(InputError, match="in the cloud and not on this computer"):
        found.read()


@pytest.mark.parametrize("name", ["ct.nii.gz", "ct.nrrd", "CT.MHA"])
@pytest.mark.parametrize("lose", [left_in_the_cloud, half_fetched])
def test_an_image_that_is_not_here_is_refused_and_listed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, lose: Callable[[Path], str]
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_bytes(b"x")
    said = lose(tmp_path / "in" / name)
    (found,) = find_scans([str(tmp_path / "in")], tmp_path / "out")
    with pytest.raises(InputError, match=said):
        found.read()
    refused(found.place, capfd, said)
