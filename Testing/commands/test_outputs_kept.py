"""What a command was asked to write never takes the place of something else."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lnhg.cli import main
from lnhg.core.nrrd_file import write_nrrd
from lnhg.core.written_files import LIST, check_own, write_own
from lnhg.data.splits import write_folds
from lnhg.errors import InputError
from lnhg.networks.generator import Generator
from lnhg.networks.weights import change_manifest, save_weights
from lnhg.phantom import write_sample
from lnhg.studies.tables import Table, write_tables
from lnhg.training.checkpoint import write_checkpoint
from lnhg.training.generator_config import GeneratorConfig
from systems import posix_only
from training_data import BALLS, write_data

_MANIFEST = {
    "kind": "generator",
    "architecture": {"width": 2},
    "grid": {"rule": "fixed", "pixel_mm": 1.0, "window_hu": [-1000, 400]},
    "thresholds": {"g": 0.5},
}


@pytest.fixture
def maps(tmp_path: Path) -> tuple[Path, Path]:
    """A reference label map and one of a system."""
    mask = np.zeros((4, 20, 20), np.uint8)
    mask[1:3, 5:9, 5:9] = 1
    for name in ("reference", "found"):
        write_nrrd(tmp_path / f"{name}.nrrd", mask, np.diag([-1.0, -1.0, 1.0, 1.0]))
    return tmp_path / "found.nrrd", tmp_path / "reference.nrrd"


@pytest.mark.parametrize("content", ["my notes", "file;other\n1;2\n", "\x00\x01"])
def test_evaluate_writes_over_its_own_table_and_over_nothing_else(tmp_path: Path, maps, capsys, content: str) -> None:
    words = ["evaluate", str(maps[0]), str(maps[1]), "--output", str(tmp_path / "scores.csv")]
    (tmp_path / "scores.csv").write_text(content)
    assert main(words) == 2
    assert (
        "scores.csv holds something else and would be replaced; move it away or choose another file."
        in capsys.readouterr().err
    )
    assert (tmp_path / "scores.csv").read_text() == content
    (tmp_path / "scores.csv").unlink()
    assert main(words) == 0 and main(words) == 0


def test_evaluate_never_writes_over_its_input(maps, capsys) -> None:
    before = maps[0].read_bytes()
    assert main(["evaluate", str(maps[0]), str(maps[1]), "--output", str(maps[0])]) == 2
    assert "would be replaced" in capsys.readouterr().err
    assert maps[0].read_bytes() == before


@pytest.mark.parametrize(
    "names", [["ct.nrrd"], ["labels.nrrd", "nodules.csv"], ["ct.nrrd", "labels.nrrd", "nodules.csv"]]
)
def test_a_sample_never_takes_the_place_of_somebodys_scan(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_text("nodule,patient")
    with pytest.raises(
        InputError, match=f"^{', '.join(names)} in .* would be replaced, but is no sample; choose another folder"
    ):
        write_sample(tmp_path, shape=(8, 32, 32))
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys(names, "nodule,patient")


# ---------------------------------------------------------------- files that a list beside them tells of


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != LIST}


def test_an_own_file_is_written_anew_again_and_again(tmp_path: Path) -> None:
    for text in ("one", "two", "two", "three"):
        write_own(tmp_path / "new" / "page.html", text)
        check_own(tmp_path / "new")
    assert (tmp_path / "new" / "page.html").read_text() == "three"


@pytest.mark.parametrize(
    "change",
    ["somebody's", "edited", pytest.param("link", marks=posix_only), "folder", "no list", "damaged list"],
)
def test_a_file_of_somebody_or_changed_by_somebody_is_named_and_left_alone(tmp_path: Path, change: str) -> None:
    page = tmp_path / "page.html"
    if change != "somebody's":
        write_own(page, "ours")
    if change in ("somebody's", "edited"):
        page.write_text("mine")
    if change == "link":
        page.rename(tmp_path / "elsewhere")
        page.symlink_to(tmp_path / "elsewhere")
    if change == "folder":
        page.unlink()
        page.mkdir()
    if change.endswith("list"):
        (tmp_path / LIST).write_text("[") if change == "damaged list" else (tmp_path / LIST).unlink()
    before = contents(tmp_path)
    with pytest.raises(InputError, match=r"^page\.html in .* would be replaced, but this program did not write it, or"):
        write_own(page, "new")
    assert contents(tmp_path) == before


def test_a_kill_between_list_and_file_leaves_a_file_that_is_still_our_own(tmp_path: Path, monkeypatch) -> None:
    write_own(tmp_path / "page.html", "old")
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("lnhg.core.atomic_file.os.replace", cut_off_second())
        write_own(tmp_path / "page.html", "new")
    assert (tmp_path / "page.html").read_text() == "old"
    write_own(tmp_path / "page.html", "new")
    assert (tmp_path / "page.html").read_text() == "new"


def cut_off_second() -> Callable[[Path, Path], None]:
    """`os.replace` that is interrupted when it is called for the second time: the list is there, the file is not."""
    real, calls = os.replace, iter(range(1))

    def replace(one: Path, other: Path) -> None:
        if next(calls, None) is None:
            raise KeyboardInterrupt
        real(one, other)

    return replace


@pytest.mark.parametrize("name", ["table-i.md", "table-i.csv", "table-i.tex"])
def test_a_table_that_a_person_edited_is_not_written_over(tmp_path: Path, name: str) -> None:
    table = Table("Table I", ("system", "Dice"), [("lnhg", "0.8")], "A caption.")
    write_tables([table], tmp_path)
    write_tables([table], tmp_path)
    (tmp_path / name).write_text("with my remarks")
    with pytest.raises(InputError, match=f"^{name} in "):
        write_tables([table], tmp_path)
    assert (tmp_path / name).read_text() == "with my remarks"


@pytest.mark.parametrize("name", ["index.html", "tables/table-i.md", "figures/dice.png"])
def test_a_study_refuses_before_it_measures(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    page = tmp_path / "study" / name
    write_own(page, "ours")
    page.write_text("mine")
    write_data(tmp_path / "data", BALLS)
    assert main(["study", "--data", str(tmp_path / "data"), "--output", str(tmp_path / "study")]) == 2
    assert f"{page.name} in {page.parent} would be replaced" in capsys.readouterr().err
    assert page.read_text() == "mine"


@pytest.mark.parametrize("content", ['{"folds": [["A"], ["B"]]}', "my notes", ""])
def test_folds_of_somebody_are_not_dealt_anew(tmp_path: Path, content: str) -> None:
    (tmp_path / "folds.json").write_text(content)
    with pytest.raises(InputError, match=r"^folds\.json in "):
        write_folds(tmp_path / "folds.json", ["A", "B", "C"], 2, 0)
    assert (tmp_path / "folds.json").read_text() == content


# ---------------------------------------------------------------- weights


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """What `weights pack` takes: a checkpoint of a tiny generator, with the log of its run."""
    config = {"width": 2, "grid": _MANIFEST["grid"], "target": "binary", "preset": "patches"}
    (tmp_path / "run").mkdir()
    state = {"generator": Generator(2).state_dict(), "step": 1, "config": {**GeneratorConfig().as_dict(), **config}}
    write_checkpoint(tmp_path / "run" / "last.pt", state)
    (tmp_path / "run" / "log.csv").write_text("step,mse\n1,0.5\n")
    return tmp_path / "run" / "last.pt"


def pack(checkpoint: Path, folder: Path) -> int:
    return main(["weights", "pack", str(checkpoint), "--output", str(folder)])


@pytest.mark.parametrize("name", ["generator.safetensors", "generator.json", "generator.md", "generator-training.csv"])
def test_weights_are_not_packed_over_files_of_somebody(tmp_path: Path, checkpoint, capsys, name: str) -> None:
    models = tmp_path / "models"
    models.mkdir()
    (models / name).write_text("mine")
    assert pack(checkpoint, models) == 2
    assert f"{name} in {models} would be replaced, but" in capsys.readouterr().err
    assert contents(models) == {name: b"mine"}


@pytest.mark.parametrize("card", ["A card with care.", "", "# Model card\n\nFilled in.\n"])
def test_weights_are_packed_anew_but_never_over_a_card_that_a_person_wrote_on(
    tmp_path, checkpoint, capsys, card: str
) -> None:
    models = tmp_path / "models"
    assert pack(checkpoint, models) == 0 and pack(checkpoint, models) == 0
    change_manifest(models, "generator", thresholds={"g": 0.4})
    assert pack(checkpoint, models) == 0, "a manifest that this program changed is its own"
    (models / "generator.md").write_text(card)
    before = contents(models)
    assert pack(checkpoint, models) == 2
    assert f"generator.md in {models} would be replaced" in capsys.readouterr().err
    assert contents(models) == before


@pytest.mark.parametrize("name", ["generator.safetensors", "generator.json"])
def test_weights_that_somebody_changed_are_not_replaced(tmp_path: Path, name: str) -> None:
    state = Generator(2).state_dict()
    save_weights(tmp_path, "generator", state, _MANIFEST)
    save_weights(tmp_path, "generator", state, _MANIFEST)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes().replace(b"0", b"1", 1))
    before = contents(tmp_path)
    with pytest.raises(InputError, match=r"generator\.json and generator\.safetensors in .* no whole weights"):
        save_weights(tmp_path, "generator", state, _MANIFEST)
    assert contents(tmp_path) == before


# ---------------------------------------------------------------- tables, data and runs


@pytest.mark.parametrize("content", ["my notes", "patient;list\n", "\x00"])
def test_patients_are_not_written_over_another_file(tmp_path: Path, capsys, content: str) -> None:
    write_data(tmp_path / "data", BALLS)
    words = ["patients", "--data", str(tmp_path / "data"), "--output", str(tmp_path / "patients.csv")]
    (tmp_path / "patients.csv").write_text(content)
    assert main(words) == 2
    assert "patients.csv holds something else and would be replaced" in capsys.readouterr().err
    assert (tmp_path / "patients.csv").read_text() == content
    (tmp_path / "patients.csv").unlink()
    assert main(words) == 0 and main(words) == 0


@pytest.mark.parametrize("name", ["thesis.docx", "scans.zip", "index.json"])
def test_training_data_are_not_packed_over_a_zip_of_somebody(tmp_path: Path, capsys, name: str) -> None:
    with zipfile.ZipFile(tmp_path / name, "w") as file:
        file.writestr("index.json" if name == "scans.zip" else "other", '{"mine": 1}')
    before = (tmp_path / name).read_bytes()
    write_data(tmp_path / "data", BALLS)
    assert main(["export", "training", "--data", str(tmp_path / "data"), "--output", str(tmp_path / name)]) == 2
    assert "holds something else and would be replaced" in capsys.readouterr().err
    assert (tmp_path / name).read_bytes() == before


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("log.csv", "date,what\n"),
        ("config.json", '{"theme": "dark"}'),
        ("last.pt", "mine"),
        ("best.pt", ""),
        ("phase-1.pt", "PK"),
        ("froc.csv", "a;b"),
    ],
)
@pytest.mark.parametrize("network", ["generator", "detector", "rescorer"])
def test_nothing_is_trained_over_files_of_somebody(tmp_path: Path, capsys, network: str, name: str, content: str):
    write_data(tmp_path / "data", BALLS)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / name).write_text(content)
    assert main(["train", network, "--data", str(tmp_path / "data"), "--output", str(tmp_path / "run")]) == 2
    assert f"{name} in {tmp_path / 'run'} would be replaced" in capsys.readouterr().err
    assert contents(tmp_path / "run") == {name: content.encode()}
