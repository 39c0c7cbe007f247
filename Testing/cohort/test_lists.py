"""Lists of scans as people and spreadsheets write them: any separator and encoding, empty cells and rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from commanded import refused
from dicom_files import write_series
from lnhg.cohort.scans import find_scans
from lnhg.core.nrrd_file import write_nrrd
from lnhg.errors import InputError
from readers.asked import AXIAL, HU


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.nrrd", "b,1.nrrd", "sub/c.nrrd"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_nrrd(tmp_path / name, HU, AXIAL)
    return tmp_path


def found(folder: Path, content: bytes | str) -> list[tuple[str, str]]:
    """The scans of a list: their names, and their places below the folder."""
    (folder / "list.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    scans = find_scans([str(folder / "list.csv")], folder / "out")
    return [(scan.name, str(scan.place.relative_to(folder))) for scan in scans]


LISTS = {
    "commas": "ct,name\na.nrrd,one\n",
    "semicolons": "ct;name\na.nrrd;one\n",
    "tabs": "ct\tname\na.nrrd\tone\n",
    "bars": "ct|name\na.nrrd|one\n",
    "semicolons and carriage returns": "ct;name\r\na.nrrd;one\r\n",
    "trailing commas": "ct,name,\na.nrrd,one,\n",
    "rows of commas": "ct,name\na.nrrd,one\n,\n,,\n\n",
    "rows of semicolons": "ct;name\na.nrrd;one\n;\n;;;\n",
    "more cells than columns": "ct,name\na.nrrd,one,seen,twice\n",
    "names in capitals and blanks": " CT , Name \n a.nrrd , one \n",
    "a byte order mark": b"\xef\xbb\xbfct,name\na.nrrd,one\n",
    "utf-16": "ct,name\na.nrrd,one\n".encode("utf-16"),
    "utf-16 of the other order": b"\xfe\xff" + "ct;name\na.nrrd;one\n".encode("utf-16-be"),
    "backslashes": "ct,name\n.\\a.nrrd,one\n",
    "the column path": "path;name\na.nrrd;one\n",
}


@pytest.mark.parametrize("what", LISTS)
def test_a_list_is_read_as_it_is_meant(folder: Path, what: str) -> None:
    assert found(folder, LISTS[what]) == [("one", "a.nrrd")]


@pytest.mark.parametrize(
    ("encoding", "name"), [("cp1252", "Müller"), ("latin-1", "Ångström"), ("utf-8", "Łukasz"), ("utf-16", "山田")]
)
def test_names_of_any_encoding_are_kept(folder: Path, encoding: str, name: str) -> None:
    assert found(folder, f"ct,name\na.nrrd,{name}\n".encode(encoding)) == [(name, "a.nrrd")]


def test_quoted_paths_with_separators_and_folders_of_other_systems_are_found(folder: Path) -> None:
    assert found(folder, 'CT , Name\n"b,1.nrrd",two\n') == [("two", "b,1.nrrd")]
    assert found(folder, "ct;name\nb,1.nrrd;two\n") == [("two", "b,1.nrrd")]
    assert found(folder, "ct,name\nsub\\c.nrrd,three\n") == [("three", "sub/c.nrrd")]


def test_the_home_folder_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    assert found(folder, "ct,name\n~/a.nrrd,one\n") == [("one", "a.nrrd")]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("file;name\na.nrrd;one\n", ["no column ct or path", "file;name"]),
        ("a.nrrd\n", ["no column ct or path", "a.nrrd"]),
        ("ct,name\n,one\n", ["Row 1", "names no CT"]),
        ("ct,scan\na.nrrd,first\n", ["column scan", "'first'"]),
        ("ct,scan\na.nrrd,0\n", ["column scan", "'0'"]),
        ("ct,scan\na.nrrd,-1\n", ["column scan", "'-1'"]),
        (f"ct,scan\na.nrrd,{'9' * 5000}\n", ["column scan", "'99999999999999999999'"]),
        ("ct,name\na.nrrd,one\na.nrrd,One\n", ["Two scans have the name one"]),
    ],
)
def test_a_list_that_cannot_be_meant_is_refused_with_the_reason(
    folder: Path, capfd: pytest.CaptureFixture[str], content: str, words: list[str]
) -> None:
    (folder / "list.csv").write_text(content)
    refused(["batch", folder / "list.csv", "--output", folder / "out"], folder, capfd, *words)


def test_a_list_names_series_and_scan(tmp_path: Path) -> None:
    write_series(
        tmp_path / "ct" / "a", HU, AXIAL, SeriesInstanceUID="1.2.3", StudyInstanceUID="1.2", AcquisitionNumber=1
    )
    write_series(
        tmp_path / "ct" / "b", -HU, AXIAL, SeriesInstanceUID="1.2.3", StudyInstanceUID="1.2", AcquisitionNumber=2
    )
    (tmp_path / "list.csv").write_text("ct;series;scan;name\nct;1.2.3;2;late\nct;;1;early\nct;3;;chosen\n")
    late, early, chosen = find_scans([str(tmp_path / "list.csv")], tmp_path / "out")
    assert (late.read().hu == -HU).all() and (early.read().hu == HU).all() and (chosen.read().hu == HU).all()


def described(folder: Path) -> dict[str, str]:
    """The scans of a folder by their files: what is read, or why it is refused."""
    told = {}
    for scan in find_scans([str(folder)], folder / "out"):
        try:
            told[scan.place.name] = f"{len(scan.read().hu)} slices"
        except InputError as error:
            told[scan.place.name] = str(error)
    return told


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("z.hdr", "z.img"), "z.hdr is of a pair of files (.hdr and .img)"),
        (("z.HDR", "z.IMG"), "z.HDR is of a pair of files (.hdr and .img)"),
        (("z.nii.bz2",), "z.nii.bz2 is packed; unpack it"),
        (("z.nrrd.gz",), "z.nrrd.gz is packed; unpack it"),
        (("z.mha.zip",), "z.mha.zip is packed; unpack it"),
    ],
)
def test_an_image_that_is_not_read_is_listed_beside_others_and_refused_alike_by_itself(
    folder: Path, capfd: pytest.CaptureFixture[str], names: tuple[str, ...], said: str
) -> None:
    for name in names:
        (folder / name).write_bytes(bytes(400))
    assert described(folder).pop(names[0]).startswith(said)
    assert described(folder)["a.nrrd"] == f"{len(HU)} slices"
    refused(["segment", folder / names[0], "--output", folder / "out"], folder, capfd, said)


@pytest.mark.parametrize("name", ["z.hdr", "z.img", "notes.zip"])
def test_a_half_of_a_pair_and_a_zip_beside_images_are_passed_over(folder: Path, name: str) -> None:
    (folder / name).write_bytes(bytes(400))
    assert sorted(described(folder)) == ["a.nrrd", "b,1.nrrd", "c.nrrd"]
