"""Test doubles of what the module file takes from the Slicer application and `slicer-core` does not have.

They hold only what `LNHGSlicer.py` uses; everything else in the tests is Slicer's own library.
"""

from __future__ import annotations

import sys
import unittest
from types import ModuleType, SimpleNamespace

import pytest
import slicer


class ModuleDouble:
    def __init__(self, parent):
        self.parent = parent


class WidgetDouble:
    def __init__(self, parent=None):
        self.parent = parent
        self.layout = SimpleNamespace(addWidget=lambda widget: None)

    def setup(self):
        pass

    def resourcePath(self, name):  # noqa: N802 - Slicer's name
        return name


class LogicDouble:
    pass


class TestDouble(unittest.TestCase):
    pass


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `slicer.ScriptedLoadableModule` and `slicer.i18n` importable until the end of the test."""
    bases = ModuleType("slicer.ScriptedLoadableModule")
    bases.ScriptedLoadableModule = ModuleDouble
    bases.ScriptedLoadableModuleWidget = WidgetDouble
    bases.ScriptedLoadableModuleLogic = LogicDouble
    bases.ScriptedLoadableModuleTest = TestDouble
    translation = ModuleType("slicer.i18n")
    translation.tr = lambda text: text
    translation.translate = lambda context, text: text
    for module in (bases, translation):
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setattr(slicer, module.__name__.rpartition(".")[2], module, raising=False)


class PanelDouble:
    """The loaded `.ui`: its widgets by name, each a `ControlDouble`."""

    def __init__(self, names):
        self.controls = {name: ControlDouble() for name in names}
        self.enabled = True

    def setMRMLScene(self, scene):  # noqa: N802 - Slicer's name
        pass

    def setEnabled(self, enabled):  # noqa: N802 - Slicer's name
        self.enabled = enabled


class ControlDouble:
    """A label, a button or a node selector: remembers what it was set to, and calls what is connected to it."""

    def __init__(self):
        self.text, self.tip, self.enabled, self.node, self.shown = "", "", False, None, []
        self._connected = []

    def setText(self, text):  # noqa: N802 - Slicer's name
        self.text = text
        self.shown.append(text)

    def setToolTip(self, tip):  # noqa: N802 - Slicer's name
        self.tip = tip

    def setEnabled(self, enabled):  # noqa: N802 - Slicer's name
        self.enabled = enabled

    def currentNode(self):  # noqa: N802 - Slicer's name
        return self.node

    def connect(self, signal, receiver):
        self._connected.append(receiver)

    def emit(self, value):
        for receiver in self._connected:
            receiver(value)
