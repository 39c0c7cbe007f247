"""`lnhg prepare` on names and files that mean harm, on a full disk, and on caches that are somebody else's."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from commanded import refused
from dicom_files import write_series
from lnhg.cli import main
from lnhg.core.ct import CT
from lnhg.core.lock import locked
from lnhg.core.nrrd_file import write_nrrd
from lnhg.data import cache as cache_module
from lnhg.data import prepare as prepare_module
from lnhg.data.cache import Cache, PreparedScan, read_record, write_scan
from lnhg.data.cutouts import read_cutouts
from lnhg.data.lidc_outlines import read_outlines
from lnhg.data.outlines import OutlinedNodule
from lnhg.data.prepare import _open_jobs, prepare
from lnhg.data.sources import Job, Source
from lnhg.errors import InputError

GRID = np.diag([-1.0, -1.0, 2.0, 1.0])
HU = np.random.default_rng(0).integers(-900, 100, (6, 32, 32)).astype(np.int16)
UID = "1.2.3.4.5.11111"


def a_scan(name: str = "p") -> PreparedScan:
    readers = np.ones((2, 4, 4), np.uint8)
    return PreparedScan(name, name, None, True, CT(HU, GRID), (OutlinedNodule((1, 5, 5), readers, 1, True, ({},)),))


def write_pairs(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    mask = np.zeros(HU.shape, np.uint8)
    mask[2:4, 10:14, 10:14] = 1
    for name in names:
        write_nrrd(folder / f"{name}.nrrd", HU, GRID)
        write_nrrd(folder / f"{name}_label.nrrd", mask, GRID)
    return folder


def files_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


XML = """<LidcReadMessage><ResponseHeader>
<SeriesInstanceUid>{uid}</SeriesInstanceUid></ResponseHeader></LidcReadMessage>"""


@pytest.mark.parametrize("patient", ["../../escaped", "/escaped", "..\\..\\escaped", "a/../../../b", "con", "a\x1b[2J"])
def test_a_patient_id_never_leads_out_of_the_cache(tmp_path: Path, patient: str) -> None:
    write_series(tmp_path / "source" / "s", HU, GRID, PatientID=patient, SeriesInstanceUID=UID)
    (tmp_path / "source" / "s" / "outlines.xml").write_text(XML.format(uid=UID))
    cache = tmp_path / "x" / "cache" / "c"
    before = files_below(tmp_path)
    assert main(["prepare", str(tmp_path / "source"), "--output", str(cache), "--processes", "1"]) == 0
    made = files_below(tmp_path) - before
    assert all(Path(name).parent == Path("x/cache/c") for name in made), made
    (scan,) = json.loads((cache / "manifest.json").read_text())["scans"]
    assert scan["patient"][:1] == patient[:1], "the name itself is kept in the manifest, as DICOM gives it"
    assert (cache / scan["file"]).is_file()


@pytest.mark.parametrize("patient", ["../victim", "../../victim", "sub/../../victim"])
def test_nor_does_it_delete_there_where_the_scan_cannot_be_read(tmp_path: Path, patient: str) -> None:
    def fails() -> PreparedScan:
        raise InputError("It is damaged.")

    for folder in (tmp_path, tmp_path / "a"):
        folder.mkdir(exist_ok=True)
        (folder / "victim.h5").write_text("mine")
    (tmp_path / "a" / "cache").mkdir()
    skipped: dict[str, str] = {}
    jobs, _ = _open_jobs(Source("test", (Job(patient, (), fails),)), tmp_path, tmp_path / "a" / "cache", skipped)
    assert prepare_module._attempt(jobs[0]) == (patient, "It is damaged.")
    assert files_below(tmp_path) == {"victim.h5", "a/victim.h5"}


def test_a_scan_that_cannot_be_read_leaves_the_same_series_of_another_source(tmp_path: Path) -> None:
    def fails() -> PreparedScan:
        raise InputError("It is damaged.")

    write_scan(tmp_path / "p.h5", replace(a_scan(), series_uid=UID), "first", "/data/first")
    whole = (tmp_path / "p.h5").read_bytes()
    source = Source("test", (Job("p", (), fails, series_uid=UID),))
    jobs, _ = _open_jobs(source, tmp_path / "second", tmp_path, {})
    assert prepare_module._attempt(jobs[0]) == ("p", "It is damaged.")
    assert (tmp_path / "p.h5").read_bytes() == whole


def test_files_of_a_cache_that_do_not_tell_their_source_are_those_of_a_source_that_was_prepared(tmp_path: Path) -> None:
    source, cache = write_pairs(tmp_path / "pairs", "a"), tmp_path / "cache"
    prepare(source, cache)
    write_scan(cache / "a.h5", a_scan("a"), "of before")
    assert prepare(source, cache).made == 1
    write_scan(cache / "a.h5", a_scan("a"), "of before")
    done = prepare(write_pairs(tmp_path / "other", "a"), cache)
    assert done.skipped == {"a": "The cache holds a a of another source; rename this one, or choose another cache."}


@pytest.mark.parametrize("names", [("A", "a"), ("a/b", "a/b"), ("Mu\u0308ller", "MU\u0308LLER")])
def test_two_names_that_a_disk_cannot_tell_apart_are_not_one_file(tmp_path: Path, names: tuple[str, str]) -> None:
    skipped: dict[str, str] = {}
    (tmp_path / "f").write_text("x")
    jobs = tuple(Job(name, (tmp_path / "f",), a_scan) for name in names)
    opened, _ = _open_jobs(Source("test", jobs), tmp_path, tmp_path, skipped)
    assert len({job.path.name.casefold() for job in opened}) == len(opened)
    assert len(opened) + len(skipped) == 2


@pytest.mark.parametrize("hidden", ["._a.nrrd", "._a_label.nrrd", "._b.nii.gz", ".c.nrrd"])
def test_hidden_files_beside_the_pairs_are_passed_over(tmp_path: Path, hidden: str) -> None:
    (write_pairs(tmp_path / "pairs", "a") / hidden).write_bytes(b"\x00\x05\x16\x07Mac OS X")
    assert main(["prepare", str(tmp_path / "pairs"), "--output", str(tmp_path / "cache"), "--processes", "1"]) == 0
    assert Cache(tmp_path / "cache").patients == ("a",)


# ---------------------------------------------------------------- disks and caches


@pytest.mark.parametrize("after", [0, 1000, 1 << 30])
def test_a_full_disk_is_a_sentence_and_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch, capsys, after: int
) -> None:
    def full(self: Path, content: bytes) -> int:
        if self.suffix == ".h5":
            with self.open("wb") as file:
                file.write(content[:after])
            raise OSError(28, "No space left on device", str(self))
        return real(self, content)

    real = Path.write_bytes
    monkeypatch.setattr(Path, "write_bytes", full)
    source = write_pairs(tmp_path / "pairs", "a", "b")
    assert main(["prepare", str(source), "--output", str(tmp_path / "cache"), "--processes", "1"]) == 2
    captured = capsys.readouterr()
    assert "No space left on device" in captured.out and "2 scans were skipped" in captured.err
    assert files_below(tmp_path / "cache") == {"manifest.json", ".lnhg-lock"}
    monkeypatch.setattr(Path, "write_bytes", real)
    assert prepare(source, tmp_path / "cache").made == 2, "and the same command goes on"


def test_a_manifest_for_which_there_is_no_room_is_a_sentence(tmp_path: Path, monkeypatch, capsys) -> None:
    def full(path: Path, content: str) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(prepare_module, "write_atomic", full)
    source = write_pairs(tmp_path / "pairs", "a")
    assert main(["prepare", str(source), "--output", str(tmp_path / "cache"), "--processes", "1"]) == 2
    assert "manifest.json cannot be written" in capsys.readouterr().err
    assert read_record(tmp_path / "cache" / "a.h5") is not None


def test_a_file_of_the_cache_is_never_seen_half_written(tmp_path: Path, monkeypatch) -> None:
    write_scan(tmp_path / "p.h5", a_scan(), "first")

    def killed(path: Path, content: bytes) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cache_module, "write_atomic", killed)
    with pytest.raises(KeyboardInterrupt):
        write_scan(tmp_path / "p.h5", a_scan(), "second")
    record = read_record(tmp_path / "p.h5")
    assert record is not None and record["stamp"] == "first"


@pytest.mark.parametrize("content", ["{}", "[1]", '{"format": "other", "sources": {}}', "no json", '{"sources": 3}'])
def test_a_manifest_of_something_else_is_left_alone(tmp_path: Path, capsys, content: str) -> None:
    source = write_pairs(tmp_path / "pairs", "a")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "manifest.json").write_text(content)
    assert main(["prepare", str(source), "--output", str(tmp_path / "cache"), "--processes", "1"]) == 2
    assert "is not that of a cache; choose another folder, or move it away." in capsys.readouterr().err
    assert (tmp_path / "cache" / "manifest.json").read_text() == content
    with pytest.raises(InputError):
        Cache(tmp_path / "cache")


def test_an_hdf5_file_of_something_else_is_left_alone(tmp_path: Path) -> None:
    source = write_pairs(tmp_path / "pairs", "a")
    (tmp_path / "cache").mkdir()
    with h5py.File(tmp_path / "cache" / "a.h5", "w") as file:
        file["mine"] = 1
    done = prepare(source, tmp_path / "cache")
    assert done.skipped == {"a": "a.h5 in the cache was not written by lnhg prepare; move it away."}
    with h5py.File(tmp_path / "cache" / "a.h5") as file:
        assert file["mine"][()] == 1


@pytest.mark.parametrize("asked", [1, 2, 61, 200])
def test_windows_is_never_asked_for_more_processes_than_it_can_wait_for(monkeypatch, asked: int) -> None:
    started: list[int] = []

    class Pool:
        def __init__(self, count: int, *_: object) -> None:
            started.append(count)
            raise InputError("enough seen")

    monkeypatch.setattr("lnhg.core.processes.ProcessPoolExecutor", Pool)
    monkeypatch.setattr(prepare_module, "_attempt", lambda job: (job, None))
    try:
        list(prepare_module._results(["a job"] * 100, asked))  # type: ignore[list-item]
    except InputError:
        assert started == [min(asked, 61)]
    else:
        assert asked == 1


def test_a_second_preparation_into_one_cache_is_refused(tmp_path: Path, capsys) -> None:
    source = write_pairs(tmp_path / "pairs", "a")
    with locked(tmp_path / "cache", "preparation"):
        assert main(["prepare", str(source), "--output", str(tmp_path / "cache"), "--processes", "1"]) == 2
        assert files_below(tmp_path / "cache") == {".lnhg-lock"}
    assert "Another preparation works in cache just now" in capsys.readouterr().err


# ---------------------------------------------------------------- tables and outlines


@pytest.mark.parametrize("name", ["../secret", "/etc/secret", "..\\secret", "a/b", ".hidden", ""])
def test_a_table_of_cutouts_that_names_a_path_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    (tmp_path / "nodules.csv").write_text(f"nodule,patient,readers\n{name},p,3\n")
    with pytest.raises(InputError, match="in its column nodule, which is no file"):
        read_cutouts(tmp_path)
    words = ["prepare", tmp_path, "--output", tmp_path / "cache", "--processes", "1"]
    refused(words, tmp_path, capfd, "in its column nodule, which is no file")


@pytest.mark.parametrize("count", ["", "three", "1e3", "3.5"])
def test_a_table_of_cutouts_without_a_number_of_readers_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], count: str
) -> None:
    (tmp_path / "nodules.csv").write_text(f"nodule,patient,readers\na,p,{count}\n")
    words = ["prepare", tmp_path, "--output", tmp_path / "cache", "--processes", "1"]
    refused(words, tmp_path, capfd, "has a row without a number in its column readers")


@pytest.mark.parametrize(
    "content",
    [
        "<LidcReadMessage>",
        "",
        '<?xml version="1.0" encoding="no-such"?><a/>',
        "<LidcReadMessage><ResponseHeader><SeriesInstanceUid>1</SeriesInstanceUid></ResponseHeader><readingSession>"
        "<unblindedReadNodule><characteristics><subtlety>high</subtlety></characteristics></unblindedReadNodule>"
        "</readingSession></LidcReadMessage>",
    ],
)
def test_outlines_that_cannot_be_read_are_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "o.xml").write_text(content)
    with pytest.raises(InputError, match=r"^o\.xml is damaged or cut off"):
        read_outlines(tmp_path / "o.xml")
