"""What a command was asked to write never takes the place of something else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lnhg.cli import main
from lnhg.core.nrrd_file import write_nrrd
from lnhg.errors import InputError
from lnhg.phantom import write_sample


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
