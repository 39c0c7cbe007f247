"""The examples for Slicer's Python console in docs/python.md, run as they stand there."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

slicer = pytest.importorskip("slicer", reason="needs the host extra: pip install 'lnhg[host]'")
pytest.importorskip("PySide6", reason="needs the dev extra: pip install 'lnhg[dev]'")

from host import qt_double  # noqa: E402
from lnhg.core.nrrd_file import write_nrrd  # noqa: E402
from lnhg.phantom import chest_phantom  # noqa: E402
from lnhg.readers.read_ct import read_ct  # noqa: E402
from LNHGSlicerLib.scene.headless import headless_host  # noqa: E402

PAGE = Path(__file__).resolve().parents[2] / "docs" / "python.md"
CONSOLE, BACKGROUND = re.findall(
    r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8").partition("## In Slicer's Python console")[2], re.S
)


@pytest.fixture(scope="module")
def chest():
    return chest_phantom(shape=(60, 256, 256)).ct


@pytest.fixture
def console(monkeypatch):
    """What the console knows before anything is typed."""
    qt_double.install(monkeypatch)
    monkeypatch.delitem(sys.modules, "LNHGSlicer", raising=False)
    # The application's own way of reading and writing files is not in its library.
    monkeypatch.setattr(slicer.util, "loadVolume", _load)
    monkeypatch.setattr(slicer.util, "saveNode", _save)
    with headless_host():
        yield {"slicer": slicer}


def _load(path):
    ct = read_ct(Path(path))
    return slicer.util.addVolumeFromArray(ct.hu, ct.ijk_to_ras, Path(path).stem)


def _save(node, path):
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetFileName(path)
    assert storage.WriteData(node)


@pytest.mark.slow
def test_the_console_examples_find_nodules_in_a_synthetic_chest_and_in_a_folder(
    console, chest, tmp_path, monkeypatch, capsys
):
    (tmp_path / "scans").mkdir()
    write_nrrd(tmp_path / "scans" / "chest.nrrd", chest.hu[:24], chest.ijk_to_ras)
    monkeypatch.chdir(tmp_path)
    slicer.util.addVolumeFromArray(chest.hu, chest.ijk_to_ras, "CT")

    exec(CONSOLE, console)
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"1 confirmed (left|right) [\d.]+ mm", lines[0])
    assert lines[-1] == "Nodules_1 1"  # a second result in the scene, of one nodule

    exec(BACKGROUND, console)
    assert "cancelled" in capsys.readouterr().out
    assert (tmp_path / "scans" / "chest.seg.nrrd").is_file()
