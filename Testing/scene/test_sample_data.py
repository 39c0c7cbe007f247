"""The synthetic chest in Slicer's module Sample Data, with a double that registers as that module does."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="needs the host extra: pip install 'lnhg[host]'")
pytest.importorskip("PySide6", reason="needs the dev extra: pip install 'lnhg[dev]'")

from host import qt_double  # noqa: E402
from LNHGSlicerLib.scene.headless import headless_host  # noqa: E402

SMALL = (24, 96, 96)


class SampleDataLogic:
    """Takes the arguments that Slicer's own takes; a source that is there already is not added again."""

    sources: list[SimpleNamespace]

    @staticmethod
    def registerCustomSampleDataSource(  # noqa: N802 - Slicer's name, and those of its arguments
        category="Custom",
        sampleName=None,  # noqa: N803
        uris=None,
        fileNames=None,  # noqa: N803
        nodeNames=None,  # noqa: N803
        customDownloader=None,  # noqa: N803
        thumbnailFileName=None,  # noqa: N803
    ):
        source = SimpleNamespace(**locals())
        if source not in SampleDataLogic.sources:
            SampleDataLogic.sources.append(source)


@pytest.fixture
def started(monkeypatch):
    """The module in a Slicer that has just started: what it connected to that signal has been called, twice."""
    qt_double.install(monkeypatch)
    monkeypatch.delitem(sys.modules, "LNHGSlicer", raising=False)
    double = ModuleType("SampleData")
    double.SampleDataLogic = SampleDataLogic
    monkeypatch.setitem(sys.modules, "SampleData", double)
    monkeypatch.setattr(SampleDataLogic, "sources", [], raising=False)
    connected = {}
    monkeypatch.setattr(slicer.app, "connect", connected.__setitem__)
    monkeypatch.setattr(slicer.app, "layoutManager", lambda: None, raising=False)
    monkeypatch.setattr(importlib.import_module("LNHGSlicerLib.scene.sample_data"), "SHAPE", SMALL)
    with headless_host():
        importlib.import_module("LNHGSlicer").LNHGSlicer(SimpleNamespace())
        for _ in range(2):
            connected["startupCompleted()"]()
        yield SampleDataLogic.sources


def test_sample_data_offers_the_synthetic_chest_once_with_a_picture(started):
    (source,) = started
    assert (source.category, source.nodeNames) == ("LNHG Slicer", "LNHG synthetic chest")
    assert Path(source.thumbnailFileName).read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_a_click_on_it_adds_the_chest_with_its_nodules_to_the_scene(started):
    (source,) = started
    (node,) = source.customDownloader(source)
    assert node.GetName() == "LNHG synthetic chest"
    hu = slicer.util.arrayFromVolume(node)
    assert hu.shape == SMALL
    assert np.median(hu[:, 40:56, 40:56]) > -300 > np.percentile(hu, 20)  # the heart, and air
