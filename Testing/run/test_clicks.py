"""Clicks answered by a process that keeps the CT ready: a real process, a real scene, Qt's own timers."""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from lnhg.core.nodule import as_row
from lnhg.core.resources import resource
from lnhg.options import Options

slicer = pytest.importorskip("slicer", reason="needs the host extra: pip install 'lnhg[host]'")
pytest.importorskip("PySide6", reason="needs the dev extra: pip install 'lnhg[dev]'")

from host import qt_double  # noqa: E402
from host.handmade import GRIDS, handmade_result  # noqa: E402
from LNHGSlicerLib.scene.headless import headless_host  # noqa: E402

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and process groups of POSIX")

RESULT = handmade_result(GRIDS["oblique"])
ONLY_SEEDS = Options(seeds_only=True, device="cpu", threads=1)
PATIENCE_S = 180


@pytest.fixture
def logic(monkeypatch, tmp_path):
    """The logic of the module on a fresh scene; all that it started has ended after the test."""
    qt_double.install(monkeypatch)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delitem(sys.modules, "LNHGSlicer", raising=False)
    (tmp_path / "temporary").mkdir()
    with headless_host():
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
        made = importlib.import_module("LNHGSlicer").LNHGSlicerLogic()
        yield made
        made.endClicks()
        until(lambda: not left())


def until(condition):
    last = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < last, "nothing happened"
        qt_double.application().processEvents()
        time.sleep(0.005)


def left():
    """What lies in the folder for temporary files."""
    return list(Path(tempfile.tempdir).iterdir())


def add_ct(result=RESULT):
    return slicer.util.addVolumeFromArray(result.ct.hu.copy(), result.ct.ijk_to_ras, "Thorax")


def middle(label):
    return RESULT.ct.to_ras(np.argwhere(RESULT.labels == label).mean(0)[::-1]).tolist()


class Asked:
    """A click and what came of it."""

    def __init__(self, logic, node, seed, options=ONLY_SEEDS):
        self.stages, self.ends = [], []
        self.run = logic.startClick(
            node, [seed], lambda told: self.stages.append(told.stage), lambda *end: self.ends.append(end), options
        )

    def wait(self):
        until(lambda: self.ends)
        return self

    @property
    def found(self):
        return self.ends[0][0]

    @property
    def outcome(self):
        return self.ends[0][1]


def click(logic, node, seed, options=ONLY_SEEDS):
    return Asked(logic, node, seed, options).wait()


def process_of(logic):
    return logic._clicks._ready._process._process


def alive(pid):
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.startswith("Z")


def rows(found):
    return [as_row(row) for row in found.rows]


def test_clicks_give_what_a_fresh_process_gives_and_the_second_one_waits_for_nothing(logic):
    node, ends = add_ct(), []
    logic.startSegmentNodules(node, None, lambda *end: ends.append(end), ONLY_SEEDS, [middle(2)])
    until(lambda: ends)
    fresh = ends[0][0]
    labels = slicer.util.arrayFromSegmentBinaryLabelmap(fresh.segmentation, "Nodule_1", node)

    first = click(logic, node, middle(1))
    assert first.outcome.status == "finished", first.outcome.message
    assert first.stages[0] == "read"
    process = process_of(logic)
    second = click(logic, node, middle(2))
    assert process_of(logic) is process
    assert "read" not in second.stages
    assert second.found.into.segmentation is fresh.segmentation
    assert rows(second.found) == rows(fresh)
    assert second.found.warnings == fresh.warnings
    ((box, mask),) = second.found.answer.masks().values()
    drawn = np.zeros_like(labels)
    drawn[box] = mask
    np.testing.assert_array_equal(drawn, labels)
    heterogeneity = slicer.util.arrayFromVolume(fresh.heterogeneity)
    np.testing.assert_array_equal(second.found.answer.heterogeneity, heterogeneity[second.found.answer.box])
    generated = slicer.util.arrayFromVolume(fresh.nodes.generated)
    np.testing.assert_array_equal(second.found.answer.generated, generated[second.found.answer.box])
    assert np.count_nonzero(generated) == np.count_nonzero(second.found.answer.generated)
    assert {"seconds"} >= {
        key for key, told in fresh.provenance.items() if second.found.provenance[key] != told
    }  # nothing but the time differs


def test_a_click_in_a_ct_without_a_result_makes_one(logic):
    node = add_ct()
    found = click(logic, node, middle(2)).found
    assert found.nodes.segmentation.GetSegmentation().GetNumberOfSegments() == 1
    np.testing.assert_allclose(found.rows[0].centre_ras, middle(2), atol=2)
    assert slicer.util.arrayFromVolume(found.heterogeneity).shape == RESULT.ct.hu.shape


def test_a_click_on_nothing_adds_nothing_and_the_process_stays(logic):
    node = add_ct()
    before = slicer.mrmlScene.GetNumberOfNodes()
    asked = click(logic, node, RESULT.ct.to_ras(np.array([3, 3, 3])).tolist())
    assert (asked.found, asked.outcome.status) == (None, "finished")
    assert "nothing was added" in asked.outcome.message
    assert slicer.mrmlScene.GetNumberOfNodes() == before
    assert process_of(logic).poll() is None


def test_what_the_method_refuses_is_told_and_the_next_click_is_answered_by_the_same_process(logic, tmp_path):
    node = add_ct()
    asked = click(logic, node, middle(1), Options(seeds_only=True, weights=tmp_path / "none"))
    assert asked.outcome.status == "failed"
    assert asked.outcome.message.endswith(".") and asked.outcome.log is None
    process = process_of(logic)
    assert click(logic, node, middle(1)).outcome.status == "finished"
    assert process_of(logic) is process


def test_other_options_go_with_the_next_click(logic):
    node = add_ct()
    click(logic, node, middle(2))
    narrow = click(logic, node, middle(2), replace(ONLY_SEEDS, generator_threshold=0.9)).found
    usual = click(logic, node, middle(2)).found
    assert narrow.answer.options.generator_threshold == 0.9
    assert narrow.rows[0].volume < usual.rows[0].volume


def test_weights_that_were_changed_on_the_disk_are_read_anew(logic, tmp_path):
    node, folder = add_ct(), tmp_path / "weights"
    folder.mkdir()
    for file in resource("Models").glob("generator.*"):
        shutil.copy(file, folder)
    own = replace(ONLY_SEEDS, weights=folder)
    assert click(logic, node, middle(2), own).outcome.status == "finished"
    with (folder / "generator.safetensors").open("ab") as file:
        file.write(b"damaged")
    assert "generator.safetensors" in click(logic, node, middle(2), own).outcome.message


def changed_voxels(node):
    slicer.util.arrayFromVolume(node)[...] = -800
    slicer.util.arrayFromVolumeModified(node)


def moved(node):
    node.SetOrigin(1, 2, 3)


def removed(node):
    slicer.mrmlScene.RemoveNode(node)


@pytest.mark.parametrize("change", [changed_voxels, moved, removed, lambda node: slicer.mrmlScene.Clear()])
def test_the_process_ends_when_its_ct_is_another_one(logic, change):
    node = add_ct()
    click(logic, node, middle(1))
    process = process_of(logic)
    change(node)
    until(lambda: process.poll() is not None)
    assert not alive(process.pid)
    assert left() == []


def test_a_ct_with_other_voxels_is_read_anew_also_where_nobody_told_of_it(logic):
    node = add_ct()
    click(logic, node, middle(2))
    process = process_of(logic)
    slicer.util.arrayFromVolume(node)[...] = RESULT.ct.hu[::-1]  # without a word to Slicer
    assert click(logic, node, middle(2)).outcome.status == "finished"
    assert process_of(logic) is not process


def test_a_ct_that_is_changed_while_a_click_is_answered_gets_nothing(logic):
    node = add_ct()
    click(logic, node, middle(1))
    asked = Asked(logic, node, middle(2))
    changed_voxels(node)
    asked.wait()
    assert (asked.found, asked.outcome.status) == (None, "failed")
    assert "other voxels" in asked.outcome.message


def test_another_ct_takes_the_place_of_the_first(logic):
    first, second = add_ct(), add_ct(handmade_result(GRIDS["axial"]))
    click(logic, first, middle(1))
    process = process_of(logic)
    logic.prepareClicks(second, ONLY_SEEDS)
    assert not alive(process.pid)
    seed = handmade_result(GRIDS["axial"]).ct.to_ras(np.argwhere(RESULT.labels == 1).mean(0)[::-1]).tolist()
    assert click(logic, second, seed).found.nodes.ct is second


def test_a_cancelled_click_ends_the_process_and_the_next_one_is_answered(logic):
    node = add_ct()
    asked = Asked(logic, node, middle(1))
    until(lambda: asked.stages)
    process = process_of(logic)
    asked.run.cancel()
    assert asked.outcome.status == "cancelled"
    assert not alive(process.pid)
    assert click(logic, node, middle(1)).outcome.status == "finished"


def test_a_click_cancelled_while_the_ct_is_written_leaves_nothing(logic):
    asked = Asked(logic, add_ct(), middle(1))
    asked.run.cancel()
    assert asked.outcome.status == "cancelled"
    until(lambda: not left())


def test_a_crash_is_told_in_a_sentence_and_the_next_click_gets_a_fresh_process(logic):
    node = add_ct()
    click(logic, node, middle(1))
    process = process_of(logic)
    asked = Asked(logic, node, middle(2))
    os.kill(process.pid, signal.SIGSEGV)
    asked.wait()
    assert (asked.found, asked.outcome.status) == (None, "failed")
    assert "broke off (exit code -11); the log says more" in asked.outcome.message
    assert "Segmentation fault" in asked.outcome.log.read_text()
    asked.outcome.log.unlink()
    assert click(logic, node, middle(2)).outcome.status == "finished"
    assert process_of(logic) is not process


def test_a_process_that_ended_unseen_is_replaced_at_the_next_click(logic):
    node = add_ct()
    click(logic, node, middle(1))
    os.kill(process_of(logic).pid, signal.SIGKILL)
    until(lambda: not logic._clicks._ready.alive)
    assert click(logic, node, middle(2)).outcome.status == "finished"


def test_a_process_that_nobody_asks_gives_its_memory_back(logic, monkeypatch):
    clicks = importlib.import_module("LNHGSlicerLib.run.clicks")
    node = add_ct()
    click(logic, node, middle(1))
    ready, process = logic._clicks._ready, process_of(logic)
    ready._look_whether_idle()
    assert alive(process.pid)
    monkeypatch.setattr(clicks, "_IDLE_S", 0.0)
    ready._look_whether_idle()
    assert not alive(process.pid)
    assert click(logic, node, middle(1)).outcome.status == "finished"


def test_a_second_click_while_one_is_answered_is_refused(logic):
    node = add_ct()
    asked = Asked(logic, node, middle(1))
    again = Asked(logic, node, middle(2))
    assert "Another click is being answered" in again.outcome.message
    assert asked.wait().outcome.status == "finished"


def test_what_prevents_the_start_is_told_at_the_click(logic, monkeypatch):
    node = add_ct()
    with monkeypatch.context() as patch:
        patch.setattr("lnhg.core.nrrd_file.write_nrrd", lambda *_, **__: (_ for _ in ()).throw(MemoryError()))
        asked = click(logic, node, middle(1))
    assert asked.outcome.status == "failed"
    assert "memory was full" in asked.outcome.message
    asked.outcome.log.unlink()
    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Nothing")
    assert "Nothing is empty" in Asked(logic, empty, middle(1)).outcome.message
    assert click(logic, node, middle(1)).outcome.status == "finished"


def test_a_process_ends_with_its_input_and_with_slicer(logic, tmp_path):
    """As where Slicer was killed: nobody takes the process away."""
    package = Path(importlib.import_module("lnhg").__file__).parents[1]
    from lnhg.core.nrrd_file import write_nrrd

    write_nrrd(tmp_path / "ct.nrrd", RESULT.ct.hu, RESULT.ct.ijk_to_ras)
    killed = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    words = [sys.executable, "-m", "LNHGSlicerLib.run.click_process", str(killed.pid), "ct.nrrd"]
    how = SimpleNamespace(env={**os.environ, "PYTHONPATH": str(package)}, cwd=tmp_path, start_new_session=True)
    child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **vars(how))
    child.stdout.readline()
    killed.kill()
    killed.wait()
    assert child.wait(PATIENCE_S) == -signal.SIGKILL
    write_nrrd(tmp_path / "ct.nrrd", RESULT.ct.hu, RESULT.ct.ijk_to_ras)
    words[3] = str(os.getpid())
    ended = subprocess.run(words, input="", capture_output=True, text=True, check=True, timeout=PATIENCE_S, **vars(how))
    assert "error" not in ended.stdout
