"""The command line as a person or a program uses it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch

from lnhg import cli
from lnhg.core.nrrd_file import write_nrrd
from lnhg.networks.generator import Generator
from lnhg.networks.grid import NetworkGrid
from lnhg.networks.weights import save_weights
from lnhg.options import Options
from systems import posix_only

PACKAGE = Path(cli.__file__).resolve().parents[1]
GRID = np.diag([-1.0, -1.0, 1.5, 1.0])  # voxel (20, 18, 6) lies at R -20, A -18, S 9
SHAPE = (12, 40, 44)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with `ct.nrrd`, one bright ball in it, and `weights`, whose generator returns its input: G(x) = O(x)."""
    folder = tmp_path_factory.mktemp("inputs with a space")
    k, j, i = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    near = (1.5 * (k - 6)) ** 2 + (j - 18) ** 2 + (i - 20) ** 2 <= 25
    write_nrrd(folder / "ct.nrrd", np.where(near, 60, -850).astype(np.int16), GRID)
    generator = Generator(1)
    torch.nn.init.zeros_(generator.deconvolutions[-1].weight)
    torch.nn.init.zeros_(generator.deconvolutions[-1].bias)
    manifest = {
        "kind": "generator",
        "architecture": {"width": 1},
        "grid": NetworkGrid(pixel_mm=1.0).as_dict(),
        "thresholds": {"g": 0.5},
    }
    save_weights(folder / "weights", "generator", generator.state_dict(), manifest)
    return folder


def run(*words):
    """Exit code of one command."""
    try:
        return cli.main([str(word) for word in words])
    except SystemExit as stop:
        return stop.code


def segment(files, output, *more):
    return run(
        "segment",
        files / "ct.nrrd",
        "--output",
        output,
        "--weights",
        files / "weights",
        "--device",
        "cpu",
        "--seeds-only",
        *more,
    )


def process(*words, **more):
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, **more)


def ended(child):
    output, errors = child.communicate(timeout=120)
    return child.returncode, output, errors


# ---------------------------------------------------------------- help


def test_help_answers_in_under_half_a_second_and_without_torch():
    resource = pytest.importorskip("resource", reason="Windows counts no time of children")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    code, output, _ = ended(process("-m", "lnhg", "--help"))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert code == 0
    assert "segment" in output and "Research use only" in output
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.5
    _, _, loaded = ended(process("-X", "importtime", "-m", "lnhg", "segment", "--help"))
    modules = {line.rpartition("|")[2].strip() for line in loaded.splitlines()}
    assert "argparse" in modules
    assert not modules & {"torch", "numpy", "SimpleITK", "scipy"}
    # What only trainings and batches need: it is not there where only a CT is segmented.
    assert not modules & {"filelock", "h5py", "sklearn", "distributed"}


def test_every_option_is_a_flag_with_its_help(capsys):
    assert run("segment", "--help") == 0
    text = " ".join(capsys.readouterr().out.split())
    for option in fields(Options):
        assert f"--{option.name.replace('_', '-')}" in text
        assert option.metadata["help"].split(",")[0].split(":")[0][:30] in text


def test_false_positives_per_scan_are_a_flag_that_goes_without_a_score(files, tmp_path, monkeypatch, capsys):
    seen = []
    monkeypatch.setattr(
        "lnhg.pipeline.segment", lambda ct, options, seeds, progress, **more: seen.append(options) or 1 / 0
    )
    command = [
        "segment",
        str(files / "ct.nrrd"),
        "--output",
        str(tmp_path / "out"),
        "--false-positives-per-scan",
        "0.5",
    ]
    with pytest.raises(ZeroDivisionError):
        run(*command)
    assert seen[0].false_positives_per_scan == 0.5
    assert run(*command, "--score-threshold", "0.6") == 2
    assert "not both" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_flags_make_the_options_they_name(files, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "lnhg.pipeline.segment", lambda ct, options, seeds, progress, **more: seen.append((options, seeds)) or 1 / 0
    )
    wanted = Options(
        weights=Path("w"), device="cpu", runtime="openvino", threads=1, batch_size=3, triplets="paper",
        fusion="paper", edge="fixed",
        generator_threshold=0.4, score_threshold=0.2, minimum_diameter=4.0, heterogeneity="intensity",
        normalisation="nodule", rim=2.0,
        roi=(-10.0, 5.0, -7.5, 1.0, 0.0, 9.0), slices=(2, 8), full_generator=True, seeds_only=True, hide_rim=True,
        detector_alone=True, anywhere=True, sentence="{place}",
    )  # fmt: skip
    words = ["--roi", "-10,5,-7.5,1,0,9", "--slices", "2-8", "--full-generator", "--seeds-only", "--hide-rim"]
    words += ["--detector-alone", "--anywhere", "--seed", "-1,2,-3.5"]
    for option in fields(Options):
        value = getattr(wanted, option.name)
        if option.name == "false_positives_per_scan":
            continue  # sets the score, so that both cannot be given; it has a test of its own
        assert value != option.default, "each option is changed in this test"
        if not isinstance(value, (bool, tuple)):
            words += [f"--{option.name.replace('_', '-')}", str(value)]
    with pytest.raises(ZeroDivisionError):
        run("segment", files / "ct.nrrd", "--output", tmp_path / "out", *words, "--seed", "4,5,6")
    assert seen == [(wanted, [(-1.0, 2.0, -3.5), (4.0, 5.0, 6.0)])]


# ---------------------------------------------------------------- segment


def test_a_seed_with_negative_numbers_gives_its_nodule_and_the_files(files, tmp_path, capsys):
    assert segment(files, tmp_path / "out", "--seed", "-20,-18,9") == 0
    output, errors = capsys.readouterr()
    assert errors == "", "no progress bar where nobody sees it"
    assert "1 nodule in" in output
    assert "1: seeded, solid, side unknown, " in output
    assert "at R,A,S -20.0,-18.0,9.0 mm" in output
    assert "Note: No lungs were found" in output
    for name in ("labels", "segmentation", "heterogeneity", "table", "record", "report", "picture"):
        path = next(line.partition(": ")[2] for line in output.splitlines() if line.startswith(f"{name}: "))
        assert Path(path).stat().st_size > 0


def test_json_progress_writes_nothing_but_json_lines(files, tmp_path, capsys):
    assert segment(files, tmp_path / "out", "--json-progress", "--seed=-20,-18,9") == 0
    *steps, last = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert all(set(step) == {"stage", "fraction", "seconds_left"} for step in steps)
    fractions = [step["fraction"] for step in steps]
    assert fractions == sorted(fractions) and fractions[-1] == 1
    assert Path(last["result"]["labels"]).name == "labels.nrrd"
    assert Path(last["result"]["labels"]).exists()


def test_the_identity_is_written_only_when_asked_for(files, tmp_path):
    for flag, expected in (([], False), (["--with-identity"], True)):
        folder = tmp_path / str(expected)
        assert segment(files, folder, "--seed", "-20,-18,9", *flag) == 0
        assert (str(files) in (folder / "result.json").read_text()) == expected


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["no-such.nrrd", "--output", "{}/out"], "does not exist"),
        (["{ct}", "--output", "{ct}"], "is a file; choose a folder for the results"),
        (["{ct}", "--output", "{}/out", "--seed", "1,2"], "'1,2' is not 3 numbers with commas between"),
        (["{ct}", "--output", "{}/out", "--slices", "9-3"], "two numbers A-B with 0 <= A <= B"),
        (["{ct}", "--output", "{}/out", "--roi", "-1,-2,0,1,0,1"], "six RAS bounds"),
        (["{ct}", "--output", "{}/out", "--rim", "-1"], "Option rim is -1.0; it must be at least 0"),
        (["{ct}", "--output", "{}/out", "--fusion", "best"], "invalid choice: 'best'"),
        (["{ct}", "--output", "{}/out", "--weights", "{}/none"], "generator.json is missing"),
        (["{ct}", "--output", "{}/out", "--seeds-only", "--weights", "{weights}"], "none was given"),
        (
            ["{ct}", "--output", "{}/out", "--seeds-only", "--weights", "{weights}", "--seed", "900,0,0"],
            "outside the CT",
        ),
        (["{ct}"], "--output"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_error_is_one_line_and_exit_code_2(files, tmp_path, capsys, words, sentence):
    known = {"ct": files / "ct.nrrd", "weights": files / "weights"}
    assert run("segment", *(word.format(tmp_path, **known) for word in words)) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith("lnhg") and errors.count("\n") == 1
    assert sentence in errors
    assert not (tmp_path / "out").exists()


def test_an_error_is_a_json_line_too_when_a_program_reads_along(files, tmp_path, capsys):
    assert segment(files, tmp_path / "out", "--json-progress", "--seed", "900,0,0") == 2
    output, errors = capsys.readouterr()
    assert json.loads(output.splitlines()[-1])["error"] in errors


def test_a_command_is_needed(capsys):
    assert run() == 2
    assert capsys.readouterr().err.count("\n") == 1


# ---------------------------------------------------------------- Ctrl-C


@posix_only
@pytest.mark.parametrize(
    "stop", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)], ids=["Ctrl-C", "terminate"]
)
def test_a_run_that_is_stopped_leaves_nothing_and_says_so(files, tmp_path, stop):
    hu = np.full((30, 190, 190), -850, np.int16)
    hu[10:15, 40:60, 40:60] = 60
    write_nrrd(tmp_path / "large.nrrd", hu, GRID)
    words = [
        "segment",
        tmp_path / "large.nrrd",
        "--output",
        tmp_path / "out",
        "--weights",
        files / "weights",
        "--device",
        "cpu",
    ]
    more = ["--seeds-only", "--seed", "-50,-50,20", "--full-generator", "--json-progress"]
    # A job that was started in the background inherits that Ctrl-C is ignored; a person's terminal does not.
    child = process("-m", "lnhg", *words, *more, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    for line in child.stdout:
        if json.loads(line)["stage"] == "generate":
            break
    child.send_signal(stop)
    code, output, errors = ended(child)
    assert code == 130
    assert "result" not in json.loads(output.splitlines()[-1])
    assert errors == "lnhg: The run was cancelled; nothing was written.\n"
    assert [path.name for path in tmp_path.iterdir()] == ["large.nrrd"]


@pytest.mark.parametrize(
    ("words", "inside", "left"),
    [
        (["pairs", "--data", "d", "--output", "o"], "studies.pairs_page.measure", "goes on"),
        (["study", "--data", "d", "--output", "o"], "studies.study.held_out_scans", "goes on"),
        (["crossvalidate", "--data", "d", "--output", "o"], "studies.crossvalidation.cross_validate", "goes on"),
        (["train", "generator", "--data", "d", "--output", "o"], "training.generator_run.train_generator", "goes on"),
        (["planted", "--data", "d", "--output", "o"], "studies.planted.planted_study", "kept"),
        (["sample", "--output", "o"], "phantom.write_sample", "kept"),
        (["repeats", "--data", "d", "--output", "o"], "studies.repeats_page.measure", "nothing"),
        (["follow", "a", "b", "--output", "o"], "followup.follow.follow", "nothing"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_command_that_is_cancelled_says_what_it_leaves(tmp_path, monkeypatch, capsys, words, inside, left):
    sentences = {
        "goes on": "what was finished is kept, and the same command goes on",
        "kept": "what was finished is kept",
        "nothing": "nothing was written",
    }
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(f"lnhg.{inside}", cancelled)
    assert run(*words) == 130
    assert capsys.readouterr().err.endswith(f"lnhg: The run was cancelled; {sentences[left]}.\n")


def test_a_follow_up_that_is_cancelled_while_it_writes_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("lnhg.followup.follow.follow", lambda *_, **__: None)
    monkeypatch.setattr("lnhg.followup.written.save_follow_up", cancelled)
    assert run("follow", "a", "b", "--output", tmp_path / "out") == 130
    assert "cancelled while it wrote its files; give the same command again." in capsys.readouterr().err


def cancelled(*_, **__):
    raise KeyboardInterrupt


# ---------------------------------------------------------------- evaluate


@pytest.fixture
def label_maps(tmp_path):
    reference, found = np.zeros((2, *SHAPE), np.uint8)
    reference[2:6, 10:20, 10:20] = 1
    reference[8:10, 30:34, 30:34] = 2
    found[2:6, 10:20, 15:25] = 1
    found[0, 0, 0] = 2
    write_nrrd(tmp_path / "reference.nrrd", reference, GRID)
    write_nrrd(tmp_path / "found.nrrd", found, GRID)
    return tmp_path


def test_evaluate_prints_the_dice_of_each_nodule(label_maps, capsys):
    assert run("evaluate", label_maps / "found.nrrd", label_maps / "reference.nrrd") == 0
    assert capsys.readouterr().out.splitlines() == [
        "reference nodule 1: label 1, Dice 0.500",
        "reference nodule 2: missed",
        "1 of 2 found, mean Dice 0.500 of those; 1 other labels",
    ]


def test_evaluate_refuses_label_maps_of_different_grids(label_maps, capsys):
    write_nrrd(label_maps / "other.nrrd", np.ones((3, 4, 5), np.uint8), GRID)
    assert run("evaluate", label_maps / "other.nrrd", label_maps / "reference.nrrd") == 2
    assert "different grids" in capsys.readouterr().err


def test_a_package_that_only_some_commands_need_is_named_when_it_is_missing(files, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert run("batch", files / "ct.nrrd", "--output", tmp_path / "out") == 2
    assert "The package distributed is missing" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
