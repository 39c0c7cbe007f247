"""Names, tables, seals and files written whole: what stands between data and the disk."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from lnhg.core.atomic_file import whole, write_atomic
from lnhg.core.csv_text import csv_text, read_csv
from lnhg.core.names import own_name, safe_name
from lnhg.core.seal import digest_of_file, is_sealed, sealed
from lnhg.errors import InputError
from systems import posix_only

HOSTILE = [
    "../../etc/passwd",
    "..",
    ".",
    "",
    "/",
    "a/b",
    "a\\b",
    "C:\\temp",
    "C:evil",
    "~root",
    "-rf",
    "=1+1",
    "+x",
    "con",
    "NUL.txt",
    "com1",
    "a\x00b",
    "a\x1b[2Jb",
    "a\nb",
    "trailing. ",
    "\udcff\udcfe",
    "\u202egnp.exe",
    ".hidden",
    "x" * 5000,
    "患者" * 200,
]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("make", [safe_name, own_name])
def test_any_name_becomes_that_of_one_plain_file_in_its_folder(tmp_path: Path, name: str, make) -> None:
    safe = make(name)
    assert safe == Path(safe).name and not safe.startswith((".", "-", "=", "+", "@"))
    assert not set(safe) & set('\\/:*?"<>|\x00\x1b\n')
    assert len(safe.encode()) < 200
    assert safe.split(".")[0].casefold() not in {"con", "nul", "com1"}
    (tmp_path / f"{safe}.h5").write_text("x")
    assert [file.name for file in tmp_path.iterdir()] == [f"{safe}.h5"]


def test_names_that_differ_stay_apart_and_plain_ones_stay_as_they_are() -> None:
    assert own_name("LIDC-IDRI-0001_12345") == "LIDC-IDRI-0001_12345"
    assert len({own_name(name) for name in HOSTILE}) == len(HOSTILE)
    assert own_name("Müller+1") == "Müller+1" and own_name("Mu\u0308ller") != own_name("Müller")


@pytest.mark.parametrize("cell", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "＝1"])
def test_no_cell_of_text_begins_as_a_formula_does(cell: str) -> None:
    (row,) = csv.reader([csv_text([[cell, "x"]])]) if "\r" not in cell else [[f"'{cell}", "x"]]
    assert row[0] == f"'{cell}"


def test_numbers_and_plain_text_stay_as_they_are() -> None:
    assert csv_text([[-1.5, "-1.5", "+2e-3", "a=b", "", None]]) == "-1.5,-1.5,+2e-3,a=b,,\n"


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        ("scan,name\n1,Müller\n", "utf-8"),
        ("scan;name\r\n1;Müller\r\n", "utf-8-sig"),
        ("scan\tname\n1\tMüller\n\n", "cp1252"),
        ("scan|name|\n1|Müller|\n", "utf-16"),
    ],
)
def test_a_table_is_read_whatever_a_spreadsheet_made_of_it(tmp_path: Path, content: str, encoding: str) -> None:
    (tmp_path / "t.csv").write_bytes(content.encode(encoding))
    assert read_csv(tmp_path / "t.csv", ["scan"]) == (["scan", "name"], [{"scan": "1", "name": "Müller"}])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a,b\n1\n", "Row 1 of t.csv ends before its column b"),
        (b"a,b\n1,2\n3\n", "Row 2 of t.csv ends before its column b"),
        (b"a\nx\0y\n", "t.csv holds a zero byte"),
        (b"a,a\n1,2\n", "t.csv has two columns of the same name"),
        (b'a\n"' + b"x" * 200_000 + b'"\n', "t.csv cannot be read as CSV"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_csv(tmp_path / "t.csv")


@pytest.mark.parametrize("change", [{"a": 2}, {"b": 1}, {"seal": "0" * 64}, {"deep": {"x": [1, 2.50001]}}])
def test_a_sealed_record_that_was_changed_is_told_from_one_that_was_not(change: dict[str, object]) -> None:
    record = json.loads(json.dumps(sealed({"a": 1, "deep": {"x": (1, 2.5)}, "text": "ü"})))
    assert is_sealed(record) and is_sealed(dict(reversed(record.items())))
    assert not is_sealed({**record, **change})


# ---------------------------------------------------------------- files that are whole


@posix_only
@pytest.mark.parametrize("name", ["result.json.partial", "result.json.tmp", ".result.json"])
def test_a_link_that_lies_in_wait_is_not_written_through(tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).symlink_to(victim)
    write_atomic(tmp_path / "out" / "result.json", "new")
    assert victim.read_text() == "mine" and (tmp_path / "out" / "result.json").read_text() == "new"


@posix_only
def test_a_link_in_the_place_of_the_file_is_replaced_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "table.csv").symlink_to(victim)
    write_atomic(tmp_path / "table.csv", "new")
    assert victim.read_text() == "mine" and not (tmp_path / "table.csv").is_symlink()


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), ValueError("odd")])
def test_after_an_error_the_former_file_is_there_and_nothing_else(tmp_path: Path, error: BaseException) -> None:
    write_atomic(tmp_path / "a", "before")
    with pytest.raises(type(error)), whole(tmp_path / "a") as partial:
        partial.write_text("half")
        raise error
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"a": "before"}


def test_the_hash_of_a_file_changes_with_a_byte(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(10_000))
    before = digest_of_file(tmp_path / "a")
    (tmp_path / "a").write_bytes(bytes(9_999) + b"\1")
    assert digest_of_file(tmp_path / "a") != before
