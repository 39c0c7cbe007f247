"""Training runs that must not go on: on other patients, beside a second run, from a damaged checkpoint, on a full
disk.
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from commanded import refused
from lnhg.cli import main
from lnhg.core.lock import locked
from lnhg.errors import LNHGError
from lnhg.training import checkpoint as checkpoint_module
from lnhg.training.checkpoint import read_checkpoint, write_checkpoint
from lnhg.training.detector_config import DetectorConfig
from lnhg.training.detector_training import _lasting
from lnhg.training.generator_config import PATCHES, variant
from lnhg.training.generator_training import GeneratorTraining
from lnhg.training.monitor import Monitor
from lnhg.training.record import check_same_patients, record_of
from training_data import BALLS, PLACES, write_data

CONFIG = variant(
    replace(PATCHES, width=2, patch=12, batch=2, steps=2, vgg=0.0, background=0.0, warm_up=1, averaging=0.0), "l-mse"
)
STATE = {"step": 3, "weights": torch.arange(1000.0), "config": {"width": 2}}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def a_run(folder: Path, nodules: list[str], scans: list[str]) -> GeneratorTraining:
    return GeneratorTraining(CONFIG, folder, PLACES, [], None, record=record_of("lnhg train", nodules, scans))


@pytest.mark.parametrize(
    ("nodules", "scans"),
    [(["A-1"], ["A-1"]), (["A-1", "A-2", "A-3"], ["A-1"]), (["A-1", "A-2"], []), (["A-1", "B-2"], ["A-1"])],
)
def test_a_run_does_not_go_on_with_other_patients(tmp_path: Path, nodules: list[str], scans: list[str]) -> None:
    a_run(tmp_path, ["A-1", "A-2"], ["A-1"]).run()
    before = (tmp_path / "last.pt").read_bytes()
    with pytest.raises(
        LNHGError, match=r"holds a training on other patients; give the data of before, or choose a new folder\.$"
    ):
        a_run(tmp_path, nodules, scans)
    assert (tmp_path / "last.pt").read_bytes() == before
    assert a_run(tmp_path, ["A-2", "A-1"], ["A-1"]).step == 2, "in another order they are the same"


_TINY = ("width=2", "patch=12", "batch=2", "steps=2", "background=0.0", "warm_up=1", "averaging=0.0")


def train(data: Path, run: Path) -> list[object]:
    """The command that trains a tiny generator for two steps."""
    changes = [word for change in _TINY for word in ("--set", change)]
    return ["train", "generator", "--data", data, "--output", run, "--variant", "l-mse", "--threads", "1", *changes]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `data`, and with `run`, which a training on them left."""
    folder = tmp_path_factory.mktemp("trained")
    write_data(folder / "data", BALLS)
    assert main([str(word) for word in train(folder / "data", folder / "run")]) == 0
    return folder


@pytest.mark.parametrize("left_out", [0, 1, 2])
def test_the_command_does_not_go_on_with_other_patients(
    trained: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], left_out: int
) -> None:
    write_data(tmp_path / "data", [*BALLS[:left_out], *BALLS[left_out + 1 :]])
    shutil.copytree(trained / "run", tmp_path / "run")
    refused(train(tmp_path / "data", tmp_path / "run"), tmp_path, capfd, "run holds a training on other patients")


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("command", ["train", "weights pack"])
def test_no_command_takes_a_checkpoint_with_a_flipped_byte(
    trained: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], command: str, share: float
) -> None:
    shutil.copytree(trained / "run", tmp_path / "run")
    flip_a_byte(tmp_path / "run" / "last.pt", share)
    pack = ["weights", "pack", tmp_path / "run" / "last.pt", "--output", tmp_path / "models"]
    words = train(trained / "data", tmp_path / "run") if command == "train" else pack
    refused(words, tmp_path, capfd, "The checkpoint last.pt cannot be read (the checksum of")


def flip_a_byte(checkpoint: Path, share: float) -> None:
    """Change a byte of the values of one of the tensors, so far through them."""
    with zipfile.ZipFile(checkpoint) as file:
        tensors = [one for one in file.infolist() if "/data/" in one.filename and one.file_size > 8]
    one, content = tensors[int(share * len(tensors))], bytearray(checkpoint.read_bytes())
    lengths = content[one.header_offset + 26 : one.header_offset + 30]
    start = one.header_offset + 30 + int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little")
    content[start + one.file_size // 2] ^= 1
    checkpoint.write_bytes(content)


def test_a_checkpoint_of_before_patients_were_told_of_is_gone_on_with(tmp_path: Path) -> None:
    now = record_of(None, ["A-1"], [])
    check_same_patients(tmp_path, {"commands": []}, now)
    check_same_patients(tmp_path, now, {})


@pytest.mark.parametrize("network", ["generator", "detector", "rescorer"])
def test_a_second_run_in_one_folder_is_refused(tmp_path: Path, capsys, monkeypatch, network: str) -> None:
    monkeypatch.setattr("lnhg.training.generator_run.train_generator", lambda *_, **__: pytest.fail("it ran"))
    monkeypatch.setattr("lnhg.training.detector_training.train_detector", lambda *_, **__: pytest.fail("it ran"))
    monkeypatch.setattr("lnhg.training.rescorer_training.train_rescorer", lambda *_, **__: pytest.fail("it ran"))
    with locked(tmp_path / "run", "training"):
        assert main(["train", network, "--data", str(tmp_path), "--output", str(tmp_path / "run")]) == 2
        assert [path.name for path in (tmp_path / "run").iterdir()] == [".lnhg-lock"]
    assert "Another training works in run just now" in capsys.readouterr().err
    assert not (tmp_path / "run").exists(), "nothing was made in it"


def test_further_processes_of_one_run_share_its_folder(tmp_path: Path, monkeypatch) -> None:
    ran = []
    monkeypatch.setattr("lnhg.training.generator_run.train_generator", lambda *_, **__: ran.append(1))
    monkeypatch.setenv("RANK", "1")
    with locked(tmp_path / "run", "training"):
        assert main(["train", "generator", "--data", str(tmp_path), "--output", str(tmp_path / "run")]) == 0
    assert ran == [1]


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7])
def test_a_flipped_byte_in_a_checkpoint_is_noticed(tmp_path: Path, share: float) -> None:
    path = tmp_path / "last.pt"
    write_checkpoint(path, STATE)
    assert torch.equal(read_checkpoint(path)["weights"], STATE["weights"])
    content = bytearray(path.read_bytes())
    start = content.index(STATE["weights"].numpy().tobytes()[:64])
    content[start + int(share * 4000)] ^= 1
    path.write_bytes(content)
    with pytest.raises(
        LNHGError, match=r"^The checkpoint last\.pt cannot be read \(the checksum of .* differs\); start"
    ):
        read_checkpoint(path)


@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"no checkpoint", None])
def test_a_file_that_is_no_checkpoint_is_a_sentence(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "last.pt"
    if content is None:
        torch.save([1, 2], path)
    else:
        path.write_bytes(content)
    with pytest.raises(
        LNHGError, match=r"^The checkpoint last\.pt cannot be read \(.*\); start the training in a new folder\.$"
    ):
        read_checkpoint(path)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed"),
        OSError(28, "No space left"),
        OSError(122, "Disk quota exceeded"),
    ],
)
def test_a_full_disk_leaves_the_checkpoint_of_before(tmp_path: Path, monkeypatch, error: Exception) -> None:
    def full(state: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise error

    write_checkpoint(tmp_path / "last.pt", STATE)
    monkeypatch.setattr(checkpoint_module.torch, "save", full)
    with pytest.raises(LNHGError, match=r"^The checkpoint last\.pt cannot be written .* the former is kept\.$"):
        write_checkpoint(tmp_path / "last.pt", {**STATE, "step": 4})
    assert read_checkpoint(tmp_path / "last.pt")["step"] == 3
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]


@pytest.mark.parametrize("change", [{"rate": 2e-3}, {"seed": 2}, {"batch": 4}, {"optimiser": "adam"}, {"clip": 1.0}])
def test_a_detector_of_another_configuration_is_told_apart_and_a_longer_training_is_not(
    change: dict[str, object],
) -> None:
    config = DetectorConfig()
    assert _lasting(replace(config, **change)) != _lasting(config)  # type: ignore[arg-type]
    assert _lasting(replace(config, minutes=(1.0,), checkpoint_seconds=1.0, features=None)) == _lasting(config)


@pytest.mark.parametrize(
    ("loss", "value", "told_last"),
    [("mse", 0.25, "mse 0.25"), ("critic", -3.5, "critic -3.5"), ("box_reg", 12.0, "12")],
)
def test_progress_is_told_where_there_is_no_terminal(tmp_path: Path, capsys, loss, value, told_last) -> None:
    with Monitor(tmp_path, ("step", loss), {loss: loss}, 0, 0, 10) as monitor:
        for step in (1, 2, 3):
            monitor.note(step, step, {loss: value})
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1, "a line a minute"
    assert told[0].startswith("1/10 steps, ") and told[0].endswith(told_last)


@pytest.mark.parametrize(
    "words", [["--minutes", "inf"], ["--threads", "100000"], ["--validate-every", "0"], ["--minutes", "-1"]]
)
def test_lengths_and_counts_out_of_reason_are_refused(tmp_path: Path, capsys, words: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["train", "generator", "--data", str(tmp_path), "--output", str(tmp_path / "run"), *words])
    assert end.value.code == 2
    assert words[1] in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
