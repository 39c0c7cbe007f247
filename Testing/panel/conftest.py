"""What the tests of the panel start from."""

from __future__ import annotations

import pytest


@pytest.fixture
def scene(host):
    """A fresh scene with a crosshair, as Slicer's has."""
    host.AddNewNodeByClass("vtkMRMLCrosshairNode")
    return host


@pytest.fixture
def panel(scene, monkeypatch):
    from host.panel_double import open_panel

    with open_panel(monkeypatch) as panel:
        yield panel
