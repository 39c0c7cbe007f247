"""Many scans: found, segmented on a Dask cluster, gone on with after a stop, and told of in two tables."""

from __future__ import annotations

import csv
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from contextlib import nullcontext
from itertools import chain
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from dicom_files import write_series
from lnhg import __version__, cli
from lnhg.cohort import segmenting as batch
from lnhg.cohort.scans import find_scans
from lnhg.core.lock import locked
from lnhg.core.nrrd_file import write_nrrd
from lnhg.errors import InputError
from lnhg.networks.architecture import DetectorArchitecture
from lnhg.networks.detector import build_detector
from lnhg.networks.generator import Generator
from lnhg.networks.grid import NetworkGrid
from lnhg.networks.weights import change_manifest, save_weights
from systems import posix_only

distributed = pytest.importorskip("distributed", reason="many scans need Dask")

PACKAGE = Path(cli.__file__).resolve().parents[1]
GRID = np.diag([-1.0, -1.0, 1.5, 1.0])
SHAPE = (12, 40, 44)


# The boxes of the untrained detector lie all over the CT; few nodules are quick to draw.
ROI = "-22,-10,-40,-28,2,14"


def voxels(hu=60):
    """A ball of 5 mm radius in air."""
    k, j, i = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    return np.where((1.5 * (k - 5)) ** 2 + (j - 34) ** 2 + (i - 16) ** 2 <= 25, hu, -850).astype(np.int16)


def write_ct(path, hu=60):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_nrrd(path, voxels(hu), GRID)


def write_weights(folder):
    """A generator that returns its input, G(x) = O(x), and a narrow detector as it is before training."""
    torch.manual_seed(0)
    generator = Generator(1)
    torch.nn.init.zeros_(generator.deconvolutions[-1].weight)
    torch.nn.init.zeros_(generator.deconvolutions[-1].bias)
    architecture = DetectorArchitecture(pyramid_width=4, head_width=4)
    common = {"grid": NetworkGrid(pixel_mm=1.0).as_dict(), "thresholds": {"g": 0.5, "score": 0.05}}
    for kind, network, made in (
        ("generator", generator, {"width": 1}),
        ("detector", build_detector(architecture), architecture.as_dict()),
    ):
        save_weights(folder, kind, network.state_dict(), {"kind": kind, "architecture": made, **common})


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    write_weights(folder)
    return folder


def options(weights):
    return ["--weights", weights, "--device", "cpu", "--anywhere", f"--roi={ROI}"]  # the ball lies in no lung


@pytest.fixture(scope="module")
def scheduler():
    """Address of a scheduler whose one worker is a thread of this process, so that a test can look into it."""
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, protocol="tcp", dashboard_address="127.0.0.1:0"
    ) as cluster:
        yield cluster.scheduler_address


@pytest.fixture
def run_drawn(weights, scheduler, tmp_path):
    """Runs `lnhg batch INPUTS --output out MORE`; returns the exit code."""

    def run(*inputs, more=()):
        words = ["batch", *inputs, "--output", tmp_path / "out", *options(weights)]
        return cli.main([str(word) for word in (*words, "--scheduler", scheduler, *more)])

    return run


@pytest.fixture
def scans(tmp_path):
    """A folder with two patients."""
    for patient, hu in (("anna", 60), ("ben", 70)):
        write_ct(tmp_path / "scans" / patient / "ct.nrrd", hu)
    return tmp_path / "scans"


@pytest.fixture
def run(run_drawn, monkeypatch):
    """The same without pictures, report and scene, which take longest to make."""
    monkeypatch.setattr("lnhg.writers.results.nodule_planes", lambda result: [])
    monkeypatch.setattr("lnhg.writers.results.write_sheet", lambda *_: None)
    monkeypatch.setattr("lnhg.writers.results.report_html", lambda *_: "")
    monkeypatch.setattr("lnhg.writers.results._write_scene", lambda *_: "not written")
    return run_drawn


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def statuses(output):
    return {row["scan"]: row["status"] for row in rows(output / "cohort.csv")}


def names(*inputs, leave_out=Path("nowhere")):
    return [scan.name for scan in find_scans([str(one) for one in inputs], leave_out)]


# ---------------------------------------------------------------- a cohort


def test_every_scan_has_the_results_of_segment_and_its_rows_in_one_table(run_drawn, scans, weights, tmp_path, capsys):
    assert run_drawn(scans) == 0
    output = tmp_path / "out"
    assert sorted(path.name for path in output.iterdir()) == [
        ".lnhg-lock", "cohort.csv", "nodules.csv", "scans", "worklist.csv",
    ]  # fmt: skip
    assert "2 scans segmented, 0 were finished before, 0 failed" in capsys.readouterr().out
    alone = tmp_path / "alone"
    words = ["segment", scans / "anna" / "ct.nrrd", "--output", alone, *options(weights)]
    assert cli.main([str(word) for word in words]) == 0
    found = output / "scans" / "anna_ct"
    assert {path.name for path in found.iterdir()} == {path.name for path in alone.iterdir()} | {".finished"}
    assert (found / "nodules.csv").read_text() == (alone / "nodules.csv").read_text()
    for name in ("labels.nrrd", "heterogeneity.nrrd"):
        one, other = (sitk.GetArrayFromImage(sitk.ReadImage(str(folder / name))) for folder in (found, alone))
        np.testing.assert_array_equal(one, other)
    table = rows(output / "nodules.csv")
    assert {row["scan"] for row in table} == {"anna_ct", "ben_ct"}, "each scan has a nodule"
    for scan in ("anna_ct", "ben_ct"):
        own = [{key: value for key, value in row.items() if key != "scan"} for row in table if row["scan"] == scan]
        assert own == rows(output / "scans" / scan / "nodules.csv")


def test_a_broken_scan_is_listed_with_its_reason_and_the_rest_goes_on(run, scans, tmp_path, capsys):
    (scans / "ben" / "broken.nrrd").write_text("no image")
    assert run(scans) == 3
    assert statuses(tmp_path / "out") == {"anna_ct": "done", "ben_broken": "failed", "ben_ct": "done"}
    broken = next(row for row in rows(tmp_path / "out" / "cohort.csv") if row["status"] == "failed")
    assert broken["reason"] == "A file is damaged, cut off or no image (it does not start as NRRD does); copy it again."
    assert float(broken["seconds"]) >= 0
    assert not (tmp_path / "out" / "scans" / "ben_broken").exists()
    assert "1 of 3 scans failed, the others are done; " in capsys.readouterr().err


def test_a_fault_of_the_program_fails_one_scan_alone(run, scans, tmp_path, monkeypatch):
    def faulty(ct, options, models, real=batch.segment):
        if ct.identity["path"].endswith("anna/ct.nrrd"):
            raise ZeroDivisionError(f"in {ct.identity['path']}")
        return real(ct, options, models=models)

    monkeypatch.setattr(batch, "segment", faulty)
    assert run(scans) == 3
    assert statuses(tmp_path / "out") == {"anna_ct": "failed", "ben_ct": "done"}
    assert rows(tmp_path / "out" / "cohort.csv")[0]["reason"] == "ZeroDivisionError: in a file", (
        "no path or name is written"
    )


def test_no_usable_scan_is_an_error(run, tmp_path, capsys):
    (tmp_path / "broken.nrrd").write_text("no image")
    assert run(tmp_path / "broken.nrrd") == 2
    assert "None of 1 scans could be used" in capsys.readouterr().err
    assert statuses(tmp_path / "out") == {"broken": "failed"}
    assert len((tmp_path / "out" / "nodules.csv").read_text().splitlines()) == 1


def test_the_weights_are_loaded_once_for_all_scans(run, scans, monkeypatch):
    loads = []
    batch._models.cache_clear()
    real = batch.open_models
    monkeypatch.setattr(batch, "open_models", lambda folder, *more: loads.append(folder) or real(folder, *more))
    assert run(scans) == 0
    assert len(loads) == 2, "once to check them before the run, once on the only worker"


def test_paths_are_written_only_when_asked_for(run, scans, tmp_path):
    for more, expected in (((), False), (("--with-identity",), True)):
        assert run(scans, more=more) == 0
        texts = [
            path.read_text() for path in (tmp_path / "out").rglob("*.*") if path.suffix in (".csv", ".json", ".html")
        ]
        assert any(str(scans) in text for text in texts) == expected
    first = rows(tmp_path / "out" / "cohort.csv")[0]
    assert (first["scan"], first["status"], first["ct"]) == ("anna_ct", "done", str(scans / "anna" / "ct.nrrd"))


def test_json_progress_writes_nothing_but_json_lines(run, scans, capsys):
    assert run(scans, more=["--json-progress"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    steps = [line for line in lines if "stage" in line]
    assert [step["stage"] for step in steps][-2:] == ["1/2", "2/2"]
    assert [step["fraction"] for step in steps][-2:] == [0.5, 1]
    assert steps[-2]["seconds_left"] > 0 and steps[-1]["seconds_left"] == 0
    assert [line["scan"] for line in lines if "scan" in line] == ["anna_ct", "ben_ct"]
    assert Path(lines[-1]["result"]["table"]).name == "nodules.csv"


# ---------------------------------------------------------------- going on


def test_finished_scans_are_skipped_until_scan_options_or_weights_change(run, scans, weights, tmp_path):
    output = tmp_path / "out"
    assert run(scans) == 0
    whole = (output / "nodules.csv").read_text()
    assert run(scans, more=["--batch-size", 3, "--threads", 2]) == 0
    assert statuses(output) == {"anna_ct": "skipped", "ben_ct": "skipped"}, "speed alone changes no result"
    assert (output / "nodules.csv").read_text() == whole
    write_ct(scans / "ben" / "ct.nrrd", 80)
    assert run(scans) == 0
    assert statuses(output) == {"anna_ct": "skipped", "ben_ct": "done"}
    assert run(scans, more=["--rim", 2]) == 0
    assert statuses(output) == {"anna_ct": "done", "ben_ct": "done"}
    assert json.loads((output / "scans" / "anna_ct" / "result.json").read_text())["options"]["rim"] == 2
    other = shutil.copytree(weights, tmp_path / "other weights")
    assert run(scans, more=["--rim", 2, "--weights", other]) == 0
    assert statuses(output) == {"anna_ct": "skipped", "ben_ct": "skipped"}, "the same weights in another place"
    change_manifest(other, "generator", thresholds={"g": 0.4})
    assert run(scans, more=["--rim", 2, "--weights", other]) == 0
    assert statuses(output) == {"anna_ct": "done", "ben_ct": "done"}, (
        "another threshold, and the networks are loaded again"
    )


def test_answers_that_a_reader_told_of_a_finished_scan_outlast_the_batch(run, scans, tmp_path):
    assert run(scans / "anna") == 0
    folder = tmp_path / "out" / "scans" / "ct"
    ct = scans / "anna" / "ct.nrrd"
    assert cli.main(["report", str(folder), "--ct", str(ct), "--answer", "risk=high"]) == 0
    assert run(scans / "anna") == 0
    assert statuses(tmp_path / "out") == {"ct": "skipped"}
    assert answers(folder) == {"risk": "high"}
    assert run(scans / "anna", more=["--rim", 2]) == 0
    assert statuses(tmp_path / "out") == {"ct": "done"}
    assert answers(folder) == {}
    assert answers(tmp_path / "out" / "set-aside" / "ct-1") == {"risk": "high"}, "kept where they had to make room"


def test_lobes_that_a_reader_told_are_kept_aside_where_the_scan_is_segmented_anew(run, scans, tmp_path):
    assert run(scans / "anna") == 0
    folder = tmp_path / "out" / "scans" / "ct"
    lungs = np.ones(SHAPE, np.uint8)
    lungs[..., 22:] = 2
    write_nrrd(tmp_path / "lobes.nrrd", lungs, GRID)
    ct = scans / "anna" / "ct.nrrd"
    assert cli.main(["report", str(folder), "--ct", str(ct), "--lobes", str(tmp_path / "lobes.nrrd")]) == 0
    told = (folder / "result.json").read_text()
    assert run(scans / "anna", more=["--rim", 2]) == 0
    assert (tmp_path / "out" / "set-aside" / "ct-1" / "result.json").read_text() == told


def answers(folder):
    """What was answered of the patient."""
    return json.loads((folder / "result.json").read_text())["answers"]["patient"]


def test_a_cohort_does_not_mix_the_results_of_two_versions(run, scans, tmp_path, monkeypatch, caplog):
    assert run(scans / "anna") == 0
    assert run(scans / "anna") == 0
    assert statuses(tmp_path / "out") == {"ct": "skipped"}
    monkeypatch.setattr("lnhg.cohort.segmenting.__version__", "another")
    assert run(scans / "anna") == 0
    assert statuses(tmp_path / "out") == {"ct": "done"}, "another version"
    assert f"ct was made by version {__version__}; it is segmented anew." in caplog.text
    titles = batch.table_header()
    monkeypatch.setattr("lnhg.cohort.segmenting.table_header", lambda: [*titles, "doubling time (days)"])
    assert run(scans / "anna") == 0
    assert statuses(tmp_path / "out") == {"ct": "done"}, "another table"


def test_results_that_were_replaced_by_hand_are_made_again(run, scans, tmp_path):
    assert run(scans / "anna") == 0
    record = tmp_path / "out" / "scans" / "ct" / "result.json"
    made = record.read_text()
    record.write_text(made.replace("research use only", "by hand"))
    assert run(scans / "anna") == 0
    assert statuses(tmp_path / "out") == {"ct": "done"}
    assert "by hand" not in record.read_text()


def test_a_cancelled_run_keeps_what_is_finished_and_the_same_command_goes_on(run, scans, tmp_path, monkeypatch, capsys):
    def cancelled(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("lnhg.commands.batch._tell", cancelled)
        assert run(scans) == 130
    assert "The run was cancelled after 1 of 2 scans; the same command goes on." in capsys.readouterr().err
    assert statuses(tmp_path / "out") == {"anna_ct": "done", "ben_ct": "waiting"}
    assert {row["scan"] for row in rows(tmp_path / "out" / "nodules.csv")} == {"anna_ct"}
    assert run(scans) == 0
    assert statuses(tmp_path / "out") == {"anna_ct": "skipped", "ben_ct": "done"}
    assert {row["scan"] for row in rows(tmp_path / "out" / "nodules.csv")} == {"anna_ct", "ben_ct"}


def test_results_that_cannot_be_written_leave_those_of_before_whole(run, scans, tmp_path, monkeypatch):
    assert run(scans / "anna") == 0
    folder = tmp_path / "out" / "scans" / "ct"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def half(result, made, with_identity):
        made.mkdir()
        (made / "labels.nrrd").write_text("half")
        raise InputError("The disk is full.")

    monkeypatch.setattr(batch, "save", half)
    assert run(scans / "anna", more=["--rim", 2]) == 2
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in folder.parent.iterdir()] == ["ct"], "nothing lies about"
    assert rows(tmp_path / "out" / "cohort.csv")[0]["reason"] == "The disk is full."


# ---------------------------------------------------------------- what is damaged, foreign, in use or without an end


@pytest.mark.parametrize("name", ["nodules.csv", "labels.nrrd", "heterogeneity.nrrd", "result.json"])
def test_a_damaged_result_is_made_again_and_what_was_there_is_kept_aside(run, scans, tmp_path, name):
    assert run(scans / "anna") == 0
    folder = tmp_path / "out" / "scans" / "ct"
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[: len(whole) // 2])
    assert run(scans / "anna") == 0
    assert statuses(tmp_path / "out") == {"ct": "done"}
    assert len((folder / name).read_bytes()) >= len(whole) - 40, "seconds differ in their digits"
    assert (tmp_path / "out" / "set-aside" / "ct-1" / name).read_bytes() == whole[: len(whole) // 2]
    assert run(scans / "anna") == 0
    assert statuses(tmp_path / "out") == {"ct": "skipped"}


def test_a_result_without_one_of_its_files_is_made_again(run, scans, tmp_path):
    assert run(scans / "anna") == 0
    (tmp_path / "out" / "scans" / "ct" / "heterogeneity.nrrd").unlink()
    assert run(scans / "anna") == 0
    assert statuses(tmp_path / "out") == {"ct": "done"}
    assert not (tmp_path / "out" / "set-aside").exists(), "nothing was lost"


def test_notes_that_a_person_left_among_results_are_kept(run, scans, tmp_path):
    assert run(scans / "anna") == 0
    (tmp_path / "out" / "scans" / "ct" / "notes.txt").write_text("mine")
    assert run(scans / "anna", more=["--rim", 2]) == 0
    assert (tmp_path / "out" / "set-aside" / "ct-1" / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("name", ["ct.nrrd", "report.html", "notes.txt"])
def test_a_folder_that_is_no_result_is_never_replaced(run, scans, tmp_path, name):
    """Files that lie where the results of a scan of that name would go."""
    mine = tmp_path / "out" / "scans" / "ct"
    mine.mkdir(parents=True)
    (mine / name).write_text("mine")
    assert run(scans / "anna") == 2
    assert {path.name: path.read_text() for path in mine.iterdir()} == {name: "mine"}
    (row,) = rows(tmp_path / "out" / "cohort.csv")
    assert row["reason"] == "The folder ct in scans was not written by lnhg batch; move it away, or rename the scan."


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("nodules.csv", "nodule,patient\n1,2\n"),
        ("cohort.csv", "ct,name\na.nrrd,a\n"),
        ("nodules.csv", ""),
        ("cohort.csv", "x"),
    ],
)
def test_a_table_that_is_none_of_a_cohort_is_never_replaced(run, scans, tmp_path, capsys, name, content):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text(content)
    assert run(scans) == 2
    told = capsys.readouterr().err
    assert f"{name} would be replaced, but is no table of lnhg batch; move it away or choose another folder." in told
    assert {path.name: path.read_text() for path in (tmp_path / "out").iterdir()} == {name: content}


@pytest.mark.parametrize("inputs", [["scans"], ["scans/anna"], ["scans/anna/ct.nrrd", "scans/ben/ct.nrrd"]], ids=str)
def test_a_second_batch_into_one_folder_is_refused_and_takes_nothing_away(run, scans, tmp_path, capsys, inputs):
    work = tmp_path / "out" / batch._WORK
    work.mkdir(parents=True)
    (work / "being made").write_text("by the first")
    with locked(tmp_path / "out", "batch"):
        assert run(*[tmp_path / one for one in inputs]) == 2
    assert (
        "Another batch works in out just now; wait until it has ended, or choose another folder."
        in capsys.readouterr().err
    )
    assert (work / "being made").read_text() == "by the first"
    assert run(*[tmp_path / one for one in inputs]) == 0, "and afterwards it goes on"


def test_tables_are_written_though_a_result_was_taken_away_meanwhile(run, scans, tmp_path, monkeypatch):
    def gone(row, count):
        shutil.rmtree(tmp_path / "out" / "scans" / "anna_ct", ignore_errors=True)

    monkeypatch.setattr("lnhg.commands.batch._tell", gone)
    assert run(scans) == 0
    assert statuses(tmp_path / "out") == {"anna_ct": "done", "ben_ct": "done"}
    assert {row["scan"] for row in rows(tmp_path / "out" / "nodules.csv")} == {"ben_ct"}


class _Endless:
    """A client whose worker never ends what it was given; what it is asked to do is noted."""

    def __init__(self):
        self.restarted = []

    def nthreads(self):
        return {"tcp://a": 1}

    def submit(self, function, scan, cohort, key, pure):
        self.future = SimpleNamespace(key=key, status="pending", cancel=lambda: None, release=lambda: None)
        return _Hashable(self.future)

    def processing(self):
        return {"tcp://a": (self.future.key,), "tcp://b": ()}

    def restart_workers(self, workers, timeout, raise_for_error):
        self.restarted.append(list(workers))


class _Hashable:
    def __init__(self, values):
        self.__dict__.update(vars(values))


@pytest.mark.parametrize(("with_nanny", "minutes"), [(True, 0.0001), (True, 0.0002), (False, 0.0001)])
def test_an_endless_scan_is_given_up_and_listed_and_its_worker_starts_anew(
    run, scans, tmp_path, monkeypatch, capsys, with_nanny, minutes
):
    def never(futures, timeout, return_when):
        raise distributed.TimeoutError

    def no_nanny(*_, **__):
        raise ValueError("no nanny")

    monkeypatch.setattr("distributed.wait", never)
    client = _Endless()
    if not with_nanny:
        client.restart_workers = no_nanny
    monkeypatch.setattr(batch, "client_of", lambda scheduler: nullcontext(client))
    assert run(scans, more=["--time-limit", minutes]) == 2
    assert "None of 2 scans could be used" in capsys.readouterr().err
    listed_as_failed(
        tmp_path / "out",
        f"It took longer than {minutes:g} minutes and was given up; give more with --time-limit.",
    )
    assert client.restarted == ([["tcp://a"], ["tcp://a"]] if with_nanny else [])


@pytest.mark.parametrize("times", [1, 3, 5])
def test_a_scan_that_ends_its_workers_is_listed(run, scans, tmp_path, monkeypatch, capsys, times):
    def ended(futures, timeout, return_when):
        for future in futures:
            future.status = "error"
            future.exception = lambda: distributed.KilledWorker("scan", SimpleNamespace(address="tcp://a"), times)
        return SimpleNamespace(done=futures)

    monkeypatch.setattr("distributed.wait", ended)
    monkeypatch.setattr(batch, "client_of", lambda scheduler: nullcontext(_Endless()))
    assert run(scans) == 2
    assert "None of 2 scans could be used" in capsys.readouterr().err
    listed_as_failed(tmp_path / "out", f"It ended {times + 1} workers; give them more memory (2 GiB for 300 slices).")


def listed_as_failed(output, reason):
    """Both scans are in the tables with the reason, and nothing else is left."""
    assert [(row["scan"], row["status"], row["reason"]) for row in rows(output / "cohort.csv")] == [
        ("anna_ct", "failed", reason),
        ("ben_ct", "failed", reason),
    ]
    assert rows(output / "nodules.csv") == [] and len(rows(output / "worklist.csv")) == 2
    assert sorted(path.name for path in output.rglob("*")) == [
        ".lnhg-lock", "cohort.csv", "nodules.csv", "scans", "worklist.csv",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "kept"),
    [
        ("Hans-Mueller.nrrd is damaged; copy it again.", "A file is damaged; copy it again."),
        (
            "No CT series in Hans-Mueller.nrrd fits 'Lunge Mueller'; give one of these.",
            "No CT series in a file fits ...; give one of these.",
        ),
        ("It holds series 3 (Thorax (Mueller), 12 slices); choose.", "It holds series 3; choose."),
        ("It holds series without a number (Mueller, 12 slices); choose.", "It holds series without a number; choose."),
    ],
)
def test_reasons_in_the_table_name_nobody(tmp_path, reason, kept):
    scan = batch.Scan("a", tmp_path / "Hans-Mueller.nrrd")
    assert batch._without_names(reason, scan) == kept


def test_the_names_of_all_files_of_a_scan_are_left_out(tmp_path):
    for name in ("Mueller.001.dcm", "Mueller.002.dcm"):
        (tmp_path / name).write_text("x")
    scan = batch.Scan("a", tmp_path, folders=(tmp_path,))
    assert (
        batch._without_names("Mueller.001.dcm and Mueller.002.dcm are cut off.", scan)
        == "A file and a file are cut off."
    )


@pytest.mark.slow
def test_nobody_without_its_certificate_can_talk_to_the_workers_of_this_machine(tmp_path):
    psutil = pytest.importorskip("psutil")
    before = {c.laddr for c in psutil.Process().net_connections("tcp")}  # of clusters of other tests
    with batch.local_client(1) as client:
        assert client.scheduler.address.startswith("tls://127.0.0.1")
        port = int(client.scheduler.address.rpartition(":")[2])
        assert is_spoken_to(port, client.security, tmp_path)
        for without_its_own in (None, distributed.security.Security.temporary()):
            assert not is_spoken_to(port, without_its_own, tmp_path)
        pids = [os.getpid(), *client.run(os.getpid).values()]
        ports = {c.laddr for pid in pids for c in psutil.Process(pid).net_connections("tcp") if c.status == "LISTEN"}
        ports -= before
        assert {place.ip for place in ports} == {"127.0.0.1"}
        for place in ports:
            assert not answers_plainly(place.port), f"port {place.port} answers without a certificate"


def is_spoken_to(port, security, folder):
    """Whether a client with the certificate of `security`, or with none, gets a word out of the scheduler."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if security is not None:
        files = [folder / "certificate", folder / "key"]
        for path, text in zip(files, (security.tls_client_cert, security.tls_client_key), strict=True):
            path.write_text(text)
        context.load_cert_chain(*files)
    with socket.create_connection(("127.0.0.1", port), timeout=30) as plain:
        try:
            with context.wrap_socket(plain) as connection:
                return bool(connection.recv(1))  # the scheduler greets whom it lets in
        except (ssl.SSLError, ConnectionError):
            return False


def answers_plainly(port):
    """Whether a page of status with anything about the cohort is served."""
    for page in ("/info/main/workers.html", "/json/counts.json", "/metrics", "/status"):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{page}", timeout=2) as answer:
                return bool(answer.read())
        except (OSError, http.client.HTTPException):
            continue
    return False


# ---------------------------------------------------------------- finding the scans


def test_names_say_where_a_scan_lies_below_what_all_inputs_share(scans, tmp_path):
    assert names(scans) == ["anna_ct", "ben_ct"]
    assert names(scans / "*" / "ct.nrrd") == ["anna_ct", "ben_ct"]
    assert names(scans / "anna", scans / "ben") == ["anna_ct", "ben_ct"]
    assert names(scans / "anna" / "ct.nrrd") == ["ct"]
    assert names(scans, scans / "anna" / "ct.nrrd") == ["anna_ct", "ben_ct"], "none twice"
    write_ct(tmp_path / "scans" / "anna" / "ct.mha")
    first, second, third = names(scans)
    assert first.startswith("anna_ct-") and second.startswith("anna_ct-") and first != second and third == "ben_ct"
    write_ct(tmp_path / "scans" / "1.2.840.1.99.7" / "a b é(1).nii.gz.nrrd")
    assert names(scans)[0].endswith("_a-b-é-1-.nii.gz") and "840" not in names(scans)[0], "a UID is not written"


def test_results_and_hidden_files_in_the_folder_are_no_scans(scans):
    write_ct(scans / "out" / "scans" / "anna_ct" / "labels.nrrd")
    write_ct(scans / ".cache" / "x.nrrd")
    (scans / "anna" / "notes.txt").write_text("not a scan")
    for given in (scans, scans / "**" / "*.nrrd"):
        assert names(given, leave_out=scans / "out") == ["anna_ct", "ben_ct"]


@posix_only
@pytest.mark.parametrize("packed", ["ct.zip", "study.TAR.GZ", "1.dcm.gz", "export.7z"])
def test_a_folder_with_packed_files_alone_is_listed_with_its_reason(run, scans, tmp_path, packed):
    """Nobody misses a patient of a cohort whose export was never unpacked; a zip beside or above scans is no scan."""
    (scans / "late").mkdir()
    (scans / "late" / packed).write_bytes(b"PK\3\4 and so on")
    (scans / "viewer.zip").write_bytes(b"PK\3\4 and so on")
    assert run(scans) == 3
    assert statuses(tmp_path / "out") == {"anna_ct": "done", "ben_ct": "done", "late": "failed"}
    late = next(row for row in rows(tmp_path / "out" / "cohort.csv") if row["scan"] == "late")
    assert "unpack it and give what was in it" in late["reason"]
    assert sorted(one.name for one in (tmp_path / "out" / "scans").iterdir()) == ["anna_ct", "ben_ct"]


def test_linked_folders_are_followed_but_not_in_a_circle(scans, tmp_path):
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "carl").symlink_to(scans / "anna")
    (tmp_path / "linked" / "circle").symlink_to(tmp_path / "linked")
    assert names(tmp_path / "linked") == ["carl_ct"]


def test_a_csv_names_scans_and_series(run, scans, tmp_path):
    write_series(scans / "carl", voxels(), GRID, SeriesNumber=1, SeriesDescription="Thorax soft")
    write_series(scans / "carl", voxels(70), GRID, SeriesNumber=2, SeriesDescription="Thorax sharp")
    table = tmp_path / "cohort.csv"
    table.write_text(
        "Name,CT,series\nfirst,scans/anna/ct.nrrd,\n,scans/ben/ct.nrrd,\nC sharp,scans/carl,sharp\nD,missing.nrrd,\n"
    )
    assert run(table) == 3
    assert statuses(tmp_path / "out") == {"first": "done", "scans_ben_ct": "done", "C-sharp": "done", "D": "failed"}
    assert rows(tmp_path / "out" / "cohort.csv")[3]["reason"].startswith("A file does not exist")
    labels = sitk.ReadImage(str(tmp_path / "out" / "scans" / "C-sharp" / "labels.nrrd"))
    assert labels.GetSize() == SHAPE[::-1]


@pytest.mark.parametrize(
    "content",
    [
        "ct;name\r\nscans/anna/ct.nrrd;Jörg\r\n".encode("cp1252"),
        "ct\tname\nscans/anna/ct.nrrd\tJörg\n\t\n".encode("utf-16"),
        "ct,name,\nscans\\anna\\ct.nrrd,Jörg,\n,,\n".encode(),
    ],
    ids=["semicolons in cp1252", "tabs in UTF-16", "trailing commas and backslashes"],
)
def test_a_list_of_any_spreadsheet_is_segmented(run, scans, tmp_path, content):
    (tmp_path / "list.csv").write_bytes(content)
    assert run(tmp_path / "list.csv") == 0
    assert statuses(tmp_path / "out") == {"Jörg": "done"}
    assert (tmp_path / "out" / "scans" / "Jörg" / "nodules.csv").is_file()


@pytest.mark.parametrize("name", ["../../escaped", "/escaped", "..\\escaped", "=1+1", "con", "a\x1b[2J"])
def test_no_name_in_a_list_leads_out_of_the_results_or_is_a_formula(run, scans, tmp_path, name):
    (tmp_path / "list.csv").write_text(f"ct,name\nscans/anna/ct.nrrd,{name}\n")
    before = {path.name for path in tmp_path.iterdir()}
    assert run(tmp_path / "list.csv") == 0
    assert {path.name for path in tmp_path.iterdir()} == before | {"out"}
    (folder,) = (tmp_path / "out" / "scans").iterdir()
    assert statuses(tmp_path / "out") == {folder.name: "done"}
    assert not folder.name.startswith(("=", ".", "-")) and folder.name.isprintable()


@pytest.mark.parametrize(
    "other",
    [
        {"PatientID": "B", "PatientName": "B"},
        {"StudyInstanceUID": "1.3"},
        {"FrameOfReferenceUID": "1.2.10"},
        {"AcquisitionNumber": 2},
    ],
    ids=str,
)
def test_two_scans_under_one_series_uid_are_two_of_the_cohort(run, tmp_path, other):
    one = {"SeriesInstanceUID": "1.2.3", "StudyInstanceUID": "1.2", "FrameOfReferenceUID": "1.2.9"}
    between = GRID @ np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0.5], [0, 0, 0, 1.0]])
    write_series(tmp_path / "tree" / "a", voxels(), GRID, **one, AcquisitionNumber=1)
    write_series(tmp_path / "tree" / "b", voxels(70), between, **{**one, "AcquisitionNumber": 1, **other})
    assert run(tmp_path / "tree") == 0
    found = statuses(tmp_path / "out")
    assert len(found) == 2 and set(found.values()) == {"done"}
    sizes = [sitk.ReadImage(str(tmp_path / "out" / "scans" / name / "labels.nrrd")).GetSize() for name in found]
    assert sizes == [SHAPE[::-1]] * 2


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("file,name\na.nrrd,a\n", "has no column ct or path (it has file, name)"),
        ('path\na.nrrd\n""\n', "Row 2 of cohort.csv names no CT"),
        ("path,name\na.nrrd,x\nb.nrrd,X\n", "Two scans have the name x"),
        ("path\n", "No CT was found in"),
    ],
)
def test_a_csv_that_cannot_be_used_is_refused(tmp_path, text, sentence):
    (tmp_path / "cohort.csv").write_text(text)
    with pytest.raises(InputError) as refused:
        find_scans([str(tmp_path / "cohort.csv")], tmp_path / "out")
    assert sentence in str(refused.value)


def test_every_ct_series_of_a_dicom_tree_is_a_scan(run, tmp_path):
    tree = tmp_path / "tree"
    write_series(tree / "anna" / "study", voxels(), GRID, SeriesNumber=1)
    write_series(tree / "anna" / "study", voxels(70), GRID, SeriesNumber=2)
    write_series(tree / "anna" / "scout", voxels()[:1], GRID, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    write_series(tree / "mr", voxels()[:2], GRID, Modality="MR")
    parts = write_series(tree / "ben" / "a", voxels(), GRID)
    (tree / "ben" / "b").mkdir()
    for path in parts[5:]:
        path.rename(tree / "ben" / "b" / path.name)
    (tree / "carl").mkdir()
    (tree / "carl" / "1.dcm").write_bytes(parts[0].read_bytes()[:300])
    assert run(tree) == 3
    found = statuses(tmp_path / "out")
    one, other, *rest = found
    assert one.startswith("anna_study-") and other.startswith("anna_study-")
    assert rest == ["ben", "carl"]
    assert list(found.values()) == ["done", "done", "done", "failed"]
    assert "A file is damaged or cut off" in rows(tmp_path / "out" / "cohort.csv")[3]["reason"]
    for name in (one, other, "ben"):
        labels = sitk.ReadImage(str(tmp_path / "out" / "scans" / name / "labels.nrrd"))
        assert labels.GetSize() == SHAPE[::-1], "slices in two folders are one scan"


@pytest.mark.parametrize(
    ("given", "sentence"), [("none", "does not exist"), ("*.nrrd", "No CT was found"), ("", "No CT was found")]
)
def test_inputs_without_a_scan_are_refused_before_anything_is_written(run, tmp_path, capsys, given, sentence):
    (tmp_path / "empty").mkdir()
    assert run(tmp_path / "empty" / given) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


# ---------------------------------------------------------------- workers


def test_workers_are_as_many_as_cores_memory_and_scans_allow(monkeypatch):
    monkeypatch.setattr("dask.system.CPU_COUNT", 16)
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=25 << 30))
    monkeypatch.setattr("lnhg.networks.models.gpu_available", lambda: False)
    assert batch.shared_out(5000) == (8, 2), "3 GiB each"
    assert batch.shared_out(3) == (3, 5)
    assert batch.shared_out(5000, threads=4) == (4, 4)
    assert batch.shared_out(5000, workers=2) == (2, 8)
    monkeypatch.setattr("lnhg.networks.models.gpu_available", lambda: True)
    assert batch.shared_out(5000) == (1, 16), "one worker to a GPU"


def test_time_left_is_that_of_the_scans_to_come():
    def row(status, seconds):
        return batch.Row("x", status, "", seconds)

    assert batch.seconds_left([row("skipped", 1)], 10, 1) is None
    assert batch.seconds_left([row("done", 30)], 11, 30) == 300
    # Two at a time: 2 * 40 s in 40 s; 8 scans to go, two at a time, 40 s each.
    assert batch.seconds_left([row("done", 40), row("done", 40)], 10, 40) == 160


def test_a_scheduler_that_does_not_answer_is_named(run, scans, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(batch, "_ANSWER_S", 0.5)
    assert run(scans, more=["--scheduler", "tcp://127.0.0.1:9"]) == 2
    assert "The scheduler tcp://127.0.0.1:9 does not answer" in capsys.readouterr().err


@pytest.mark.slow
def test_without_a_scheduler_workers_of_this_machine_do_it(weights, scans, tmp_path, capsys):
    words = ["batch", scans / "anna", "--output", tmp_path / "out", *options(weights), "--workers", 1, "--threads", 1]
    assert cli.main([str(word) for word in words]) == 0
    assert statuses(tmp_path / "out") == {"ct": "done"}
    assert (
        json.loads((tmp_path / "out" / "scans" / "ct" / "result.json").read_text())["provenance"]["device"]
        == "CPU, 1 thread (PyTorch)"
    )


class Cluster:
    """A scheduler and two workers on loopback, each a process of its own that ends with the cluster."""

    def __init__(self, folder):
        self._log = (folder / "cluster.log").open("w")
        self._environment = {**os.environ, "PYTHONPATH": str(PACKAGE), "OMP_NUM_THREADS": "1"}
        self._processes = []
        told = folder / "scheduler.json"
        self.start("distributed.cli.dask_scheduler", *LOCAL, "--port", "0", "--scheduler-file", told)
        wait_until(told.exists)
        self.address = json.loads(told.read_text())["address"]
        here = ("--no-nanny", "--nthreads", "1", "--local-directory", folder)
        self.workers = [
            self.start("distributed.cli.dask_worker", self.address, *LOCAL, *here, "--name", name)
            for name in ("first", "second")
        ]

    def start(self, module, *words, **more):
        command = [sys.executable, "-m", module, *map(str, words)]
        streams = {"stdout": self._log, "stderr": self._log, **more}
        self._processes.append(subprocess.Popen(command, text=True, env=self._environment, **streams))
        return self._processes[-1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in reversed(self._processes):
            process.kill()
            process.wait()
        self._log.close()


LOCAL = ("--host", "127.0.0.1", "--no-dashboard")


def wait_until(true, seconds=600):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


@posix_only
@pytest.mark.slow
def test_what_a_killed_worker_had_in_hand_is_done_again_and_every_scan_is_there_once(weights, tmp_path):
    count = 6
    for number in range(count):
        write_ct(tmp_path / "scans" / f"p{number}.nrrd", 60 + number)
    folders = tmp_path / "out" / "scans"
    words = ["batch", tmp_path / "scans", "--output", tmp_path / "out", *options(weights)]
    with Cluster(tmp_path) as cluster, distributed.Client(cluster.address) as client:
        client.wait_for_workers(2, timeout=600)
        run = cluster.start("lnhg", *words, "--scheduler", cluster.address, "--json-progress", stdout=subprocess.PIPE)
        wait_until(lambda: folders.exists() and any(folders.iterdir()))
        in_hand, killed = kill_with_a_scan_in_hand(client, cluster.workers[0], folders), time.time()
        output, _ = run.communicate(timeout=600)
    assert run.returncode == 0
    record = rows(tmp_path / "out" / "cohort.csv")
    assert [(row["scan"], row["status"]) for row in record] == [(f"p{number}", "done") for number in range(count)]
    told = [line["scan"] for line in map(json.loads, output.splitlines()) if "scan" in line]
    assert sorted(told) == [f"p{number}" for number in range(count)], "each is told of once"
    assert (folders / in_hand / "result.json").stat().st_mtime > killed, "done again"
    table = [tuple(row.values()) for row in rows(tmp_path / "out" / "nodules.csv")]
    of_scans = [
        [(f"p{number}", *row.values()) for row in rows(folders / f"p{number}" / "nodules.csv")]
        for number in range(count)
    ]
    assert table == list(chain.from_iterable(of_scans)) and all(of_scans)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        ".lnhg-lock",
        "cohort.csv",
        "nodules.csv",
        "scans",
        "worklist.csv",
    ]


def kill_with_a_scan_in_hand(client, worker, folders):
    """Kill the worker (SIGKILL) while it works on a scan; returns the scan's name."""
    address = next(
        address for address, told in client.scheduler_info(n_workers=-1)["workers"].items() if told["name"] == "first"
    )
    in_hand = []

    def stopped_at_work():
        worker.send_signal(signal.SIGSTOP)
        time.sleep(0.3)  # what it sent before arrives
        in_hand[:] = [name for _, name in client.processing()[address]]
        if any((folders / name).exists() for name in in_hand):  # finished and not told of yet
            in_hand.clear()
        if not in_hand:
            worker.send_signal(signal.SIGCONT)
        return in_hand

    wait_until(stopped_at_work)
    worker.kill()
    return in_hand[0]
