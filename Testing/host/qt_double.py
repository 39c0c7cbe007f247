"""Test double of what the module takes from the Slicer application: Qt as Slicer binds it, CTK, the qMRML widgets, the
base classes of scripted modules and the parameter node wrapper.

The widgets are PySide6's, the scene is Slicer's own. In PythonQt a Qt property is an attribute, in PySide6 a method:
both ways are refused here, so that what runs (setters, `property`, `setProperty`, `signal.connect`) runs in both.
"""

# ruff: noqa: N802, N815 - Slicer's and Qt's names
from __future__ import annotations

import functools
import os
import sys
import unittest
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Annotated, Any, get_args, get_origin, get_type_hints
from xml.etree import ElementTree

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import pytest
import slicer
import vtk
from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets

MODULE_FOLDER = Path(__file__).resolve().parents[2] / "LNHGSlicer"
#: Virtual methods that Qt itself calls; a property of the same name cannot be refused.
_CALLED_BY_QT = {"sizeHint", "minimumSizeHint"}
_NOT_IN_PYTHONQT = {"Signal", "Slot", "Property", "QtCore", "QtGui", "QtWidgets"}


def install(patch: pytest.MonkeyPatch) -> None:
    """Make `qt`, `ctk` and the missing parts of `slicer` importable until `patch` is undone."""
    application()
    qt = _Qt("qt")
    modules = {
        "qt": qt,
        "ctk": _module(
            "ctk", **{cls.__name__: _strict(cls) for cls in (ctkCollapsibleButton, ctkPathLineEdit, ctkSliderWidget)}
        ),
        "slicer.i18n": _module("slicer.i18n", tr=lambda text: text, translate=lambda context, text: text),
        "slicer.parameterNodeWrapper": _module(
            "slicer.parameterNodeWrapper",
            parameterNodeWrapper=parameterNodeWrapper,
            WithinRange=WithinRange,
            Choice=Choice,
        ),
        "slicer.ScriptedLoadableModule": _module(
            "slicer.ScriptedLoadableModule",
            ScriptedLoadableModule=ScriptedLoadableModule,
            ScriptedLoadableModuleWidget=ScriptedLoadableModuleWidget,
            ScriptedLoadableModuleLogic=ScriptedLoadableModuleLogic,
            ScriptedLoadableModuleTest=ScriptedLoadableModuleTest,
        ),
    }
    for name, module in modules.items():
        patch.setitem(sys.modules, name, module)
        if name.startswith("slicer."):
            patch.setattr(slicer, name.partition(".")[2], module, raising=False)
    for cls in (qMRMLWidget, qMRMLNodeComboBox):
        patch.setattr(slicer, cls.__name__, _strict(cls), raising=False)
    app = SimpleNamespace(
        testingEnabled=lambda: True,
        processEvents=QtWidgets.QApplication.processEvents,
        applicationName="Slicer",
        connect=lambda signal, slot: None,
        setOverrideCursor=lambda cursor: None,
        restoreOverrideCursor=lambda: None,
    )
    patch.setattr(slicer, "app", app, raising=False)
    patch.setattr(slicer.util, "loadUI", load_ui)
    patch.setattr(slicer.util, "childWidgetVariables", child_widget_variables)
    patch.setattr(slicer.util, "mainWindow", lambda: None)


@functools.cache
def application() -> QtWidgets.QApplication:
    """The one Qt application of the process, drawn in Qt's own style whatever the desktop."""
    made = QtWidgets.QApplication.instance() or QtWidgets.QApplication(["Slicer"])
    made.setStyle("Fusion")
    return made


def _module(name: str, **contents: Any) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(contents)
    return module


class _Qt(ModuleType):
    """`qt`: every class of Qt under one roof; widgets and other objects refuse what differs between the bindings."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in _NOT_IN_PYTHONQT:
            raise AttributeError(f"PythonQt has no qt.{name}")
        for part in (QtCore, QtGui, QtWidgets, QtUiTools):
            found = getattr(part, name, None)
            if found is not None:
                return _strict(found) if isinstance(found, type) and issubclass(found, QtWidgets.QWidget) else found
        raise AttributeError(f"Qt has no {name}")


class _Refused:
    def __init__(self, name: str) -> None:
        self._sentence = f"{name} is an attribute in PythonQt, not in PySide6: use a setter or property('{name}')"

    def __get__(self, instance: object, owner: type) -> Any:
        raise AttributeError(self._sentence)

    def __set__(self, instance: object, value: object) -> None:
        raise AttributeError(self._sentence)


@functools.cache
def _strict(cls: type) -> type:
    meta = cls.staticMetaObject
    names = {meta.property(index).name() for index in range(meta.propertyCount())}
    called_by_qt = _CALLED_BY_QT | ({"text"} if issubclass(cls, QtWidgets.QProgressBar) else set())
    of_python = {name for name in names if isinstance(getattr(cls, name, None), QtCore.Property)}
    return type(cls.__name__, (cls,), {name: _Refused(name) for name in names - called_by_qt - of_python})


class _Loader(QtUiTools.QUiLoader):
    """Makes the widgets of a `.ui` file from the classes that the module would get in Slicer."""

    def createWidget(self, class_name: str, parent: Any = None, name: str = "") -> Any:
        places = (sys.modules["ctk"], slicer, sys.modules["qt"])
        cls = next((getattr(place, class_name) for place in places if hasattr(place, class_name)), None)
        if cls is None:
            raise LookupError(f"the double has no {class_name}")
        widget = cls(parent)
        widget.setObjectName(name)
        return widget


def load_ui(path: str) -> Any:
    """The widgets of a `.ui` file; its connections to signals that only Slicer's classes have are made here."""
    tree = ElementTree.parse(path)
    connections = tree.getroot().find("connections")
    wired = [] if connections is None else [(one.findtext("signal"), one.findtext("receiver")) for one in connections]
    if connections is not None:
        tree.getroot().remove(connections)
    for widget in tree.iter("widget"):
        for flags in widget.findall("property[@name='filters']"):  # of a type that only CTK has
            widget.remove(flags)
    buffer = QtCore.QBuffer()
    buffer.setData(ElementTree.tostring(tree.getroot()))
    root = _Loader().load(buffer)
    assert all(signal == "mrmlSceneChanged(vtkMRMLScene*)" for signal, _ in wired)
    root.receivers = [root.findChild(QtWidgets.QWidget, name) for _, name in wired]
    return root


def dispose(widget: Any) -> None:
    """Delete a widget and its children now, not when Python comes to it."""
    for selector in widget.findChildren(qMRMLNodeComboBox):
        selector.setMRMLScene(None)
    widget.deleteLater()
    QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.DeferredDelete)


def dispose_all() -> None:
    """Delete all windows that are left."""
    for window in QtWidgets.QApplication.topLevelWidgets():
        dispose(window)


def child_widget_variables(widget: Any) -> Any:
    named = {child.property("objectName"): child for child in widget.findChildren(QtWidgets.QWidget)}
    return SimpleNamespace(**{name: child for name, child in named.items() if name and not name.startswith("qt_")})


class ctkCollapsibleButton(QtWidgets.QWidget):  # noqa: N801
    """A titled group; collapsed, only its title is left."""

    contentsCollapsed = QtCore.Signal(bool)
    _HEADER = 26

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._text, self._collapsed = "", False
        self.setContentsMargins(0, self._HEADER, 0, 0)

    def _set_text(self, text: str) -> None:
        self._text = text
        self.update()

    def setCollapsed(self, collapsed: bool) -> None:
        changed, self._collapsed = collapsed != self._collapsed, collapsed
        self.setMaximumHeight(self._HEADER if collapsed else 16777215)
        if changed:
            self.contentsCollapsed.emit(collapsed)

    text = QtCore.Property(str, lambda self: self._text, _set_text)
    collapsed = QtCore.Property(bool, lambda self: self._collapsed, setCollapsed)

    def mousePressEvent(self, event: Any) -> None:
        if event.position().y() < self._HEADER:
            self.setCollapsed(not self._collapsed)

    def paintEvent(self, event: Any) -> None:
        painter = QtWidgets.QStylePainter(self)
        option = QtWidgets.QStyleOptionButton()
        option.initFrom(self)
        option.rect = QtCore.QRect(0, 0, QtWidgets.QWidget.width(self), self._HEADER - 2)
        option.state |= QtWidgets.QStyle.State_Raised
        painter.drawControl(QtWidgets.QStyle.CE_PushButtonBevel, option)
        arrow = QtWidgets.QStyle.PE_IndicatorArrowRight if self._collapsed else QtWidgets.QStyle.PE_IndicatorArrowDown
        title, option.rect = option.rect.adjusted(26, 0, 0, 0), QtCore.QRect(8, 6, 12, 12)
        painter.drawPrimitive(arrow, option)
        painter.drawText(title, QtCore.Qt.AlignVCenter, self._text)


class ctkPathLineEdit(QtWidgets.QWidget):  # noqa: N801
    currentPathChanged = QtCore.Signal(str)
    validInputChanged = QtCore.Signal(bool)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._edit, browse = QtWidgets.QLineEdit(), QtWidgets.QToolButton()
        browse.setText("...")
        layout.addWidget(self._edit)
        layout.addWidget(browse)
        self._edit.textChanged.connect(self._tell)
        self._filters, self._setting = 0, ""

    def _tell(self, path: str) -> None:
        """As CTK does it: an empty field is no valid input, and has no current path."""
        if path:
            self.currentPathChanged.emit(path)
        self.validInputChanged.emit(bool(path))

    def setCurrentPath(self, path: str) -> None:
        self._edit.setText(path)

    currentPath = QtCore.Property(str, lambda self: self._edit.text(), setCurrentPath)
    showHistoryButton = QtCore.Property(bool, lambda self: False, lambda self, shown: None)
    filters = QtCore.Property(int, lambda self: self._filters, lambda self, value: setattr(self, "_filters", value))


class ctkSliderWidget(QtWidgets.QWidget):  # noqa: N801
    valueChanged = QtCore.Signal(float)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._slider, self._box = QtWidgets.QSlider(QtCore.Qt.Horizontal), QtWidgets.QDoubleSpinBox()
        layout.addWidget(self._slider)
        layout.addWidget(self._box)
        self._box.valueChanged.connect(lambda value: self._slider.setValue(round(value / self._box.singleStep())))
        self._slider.valueChanged.connect(lambda steps: self._box.setValue(steps * self._box.singleStep()))
        self._box.valueChanged.connect(self.valueChanged)

    def _set(self, setter: str, value: Any) -> None:
        getattr(self._box, setter)(value)
        step = self._box.singleStep()
        self._slider.setRange(round(self._box.minimum() / step), round(self._box.maximum() / step))

    def setValue(self, value: float) -> None:
        self._box.setValue(value)

    value = QtCore.Property(float, lambda self: self._box.value(), setValue)
    minimum = QtCore.Property(
        float, lambda self: self._box.minimum(), lambda self, value: self._set("setMinimum", value)
    )
    maximum = QtCore.Property(
        float, lambda self: self._box.maximum(), lambda self, value: self._set("setMaximum", value)
    )
    singleStep = QtCore.Property(
        float, lambda self: self._box.singleStep(), lambda self, x: self._set("setSingleStep", x)
    )
    decimals = QtCore.Property(int, lambda self: self._box.decimals(), lambda self, value: self._box.setDecimals(value))
    suffix = QtCore.Property(str, lambda self: self._box.suffix(), lambda self, text: self._box.setSuffix(text))


class qMRMLWidget(QtWidgets.QWidget):  # noqa: N801
    receivers: tuple[Any, ...] | list[Any] = ()

    def setMRMLScene(self, scene: Any) -> None:
        for receiver in self.receivers:
            receiver.setMRMLScene(scene)


class qMRMLNodeComboBox(QtWidgets.QComboBox):  # noqa: N801
    """Lists the scene's nodes of its types; follows what is added and removed."""

    currentNodeChanged = QtCore.Signal(object)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._scene, self._tags, self._nodes, self._current = None, [], [], None
        self._choices = {"nodeTypes": [], "noneEnabled": False, "noneDisplay": "None"}
        self._proxy = _Proxy(self)
        self.currentIndexChanged.connect(self._chosen)

    def setMRMLScene(self, scene: Any) -> None:
        for tag in self._tags:
            self._scene.RemoveObserver(tag)
        self._scene, self._tags = scene, []
        if scene is not None:
            events = (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndCloseEvent)
            self._tags = [scene.AddObserver(event, lambda caller, event: self._refresh()) for event in events]
            self._refresh()

    def setNodeTypes(self, names: list[str]) -> None:
        self._choose("nodeTypes", names)

    def currentNode(self) -> Any:
        return self._current

    def setCurrentNode(self, node: Any) -> None:
        self._refresh()
        self.setCurrentIndex(self._nodes.index(node) if node in self._nodes else -1)

    def sortFilterProxyModel(self) -> Any:
        return self._proxy

    def _refresh(self) -> None:
        if self._scene is None:
            return
        found = [node for name in self._choices["nodeTypes"] for node in slicer.util.getNodesByClass(name, self._scene)]
        hidden = self._proxy.hiddenNodeIDs
        exact = [
            node for node in found if node.GetClassName() in self._choices["nodeTypes"] and node.GetID() not in hidden
        ]
        self._nodes = [*([None] if self._choices["noneEnabled"] else []), *exact]
        self.blockSignals(True)
        self.clear()
        for node in self._nodes:
            self.addItem(self._choices["noneDisplay"] if node is None else node.GetName())
        self.setCurrentIndex(
            self._nodes.index(self._current) if self._current in self._nodes else min(0, len(self._nodes) - 1)
        )
        self.blockSignals(False)
        self._chosen(QtWidgets.QComboBox.currentIndex(self))

    def _chosen(self, index: int) -> None:
        node = self._nodes[index] if 0 <= index < len(self._nodes) else None
        if node is not self._current:
            self._current = node
            self.currentNodeChanged.emit(node)

    def _choose(self, name: str, value: Any) -> None:
        self._choices[name] = value
        self._refresh()

    nodeTypes = QtCore.Property("QStringList", lambda self: self._choices["nodeTypes"], setNodeTypes)
    noneEnabled = QtCore.Property(
        bool, lambda self: self._choices["noneEnabled"], lambda self, on: self._choose("noneEnabled", on)
    )
    noneDisplay = QtCore.Property(
        str, lambda self: self._choices["noneDisplay"], lambda self, x: self._choose("noneDisplay", x)
    )
    showChildNodeTypes = QtCore.Property(bool, lambda self: False, lambda self, on: None)
    addEnabled = QtCore.Property(bool, lambda self: False, lambda self, on: None)
    removeEnabled = QtCore.Property(bool, lambda self: False, lambda self, on: None)
    renameEnabled = QtCore.Property(bool, lambda self: False, lambda self, on: None)


class _Proxy(QtCore.QObject):
    """What filters the nodes of a selector."""

    def __init__(self, selector: qMRMLNodeComboBox) -> None:
        super().__init__(selector)
        self._selector, self._hidden = selector, []

    def _hide(self, ids: list[str]) -> None:
        self._hidden = ids
        self._selector._refresh()

    hiddenNodeIDs = QtCore.Property("QStringList", lambda self: self._hidden, _hide)


class ScriptedLoadableModule:
    def __init__(self, parent: Any) -> None:
        self.parent = parent


class ScriptedLoadableModuleWidget:
    def __init__(self, parent: Any = None) -> None:
        super().__init__()
        self.parent = parent or slicer.qMRMLWidget()
        if not parent:
            self.parent.setLayout(QtWidgets.QVBoxLayout())
        self.layout = self.parent.layout()

    def setup(self) -> None:
        pass

    def cleanup(self) -> None:
        pass

    def resourcePath(self, name: str) -> str:
        return str(MODULE_FOLDER / "Resources" / name)


class ScriptedLoadableModuleLogic:
    def __init__(self, parent: Any = None) -> None:
        super().__init__()
        self.moduleName = type(self).__name__.removesuffix("Logic")

    def getParameterNode(self) -> Any:
        known = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
        if known is not None:
            return known
        node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
        node.UnRegister(None)
        node.SetSingletonTag(self.moduleName)
        node.SetModuleName(self.moduleName)
        node.SetName(self.moduleName)
        return slicer.mrmlScene.AddNode(node)


class ScriptedLoadableModuleTest(unittest.TestCase):
    def delayDisplay(self, message: str) -> None:
        pass


class WithinRange:
    def __init__(self, minimum: float, maximum: float) -> None:
        self.minimum, self.maximum = minimum, maximum

    def validate(self, value: float) -> None:
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"Value must be within range [{self.minimum}, {self.maximum}], is {value}")


class Choice:
    def __init__(self, choices: list[str]) -> None:
        self.choices = choices

    def validate(self, value: str) -> None:
        if value not in self.choices:
            raise ValueError(f"Value is {value}, but must be in one of the following: {self.choices}")


def parameterNodeWrapper(cls: type) -> type:
    """Typed fields kept as text and node references in a parameter node, as Slicer's wrapper keeps them."""
    fields = {
        name: _Field(name, kind, getattr(cls, name, None))
        for name, kind in get_type_hints(cls, include_extras=True).items()
    }
    for name, field in fields.items():
        setattr(cls, name, field)

    def init(self: Any, node: Any) -> None:
        self.parameterNode, self._gui, self._writing = node, {}, False
        for name, field in fields.items():
            if not node.HasParameter(name):
                field.__set__(self, field.default)

    cls.__init__ = init
    cls.connectGui, cls.disconnectGui = functools.partialmethod(_connect_gui, fields), _disconnect_gui
    for name in ("AddObserver", "RemoveObserver", "StartModify", "EndModify", "Modified"):
        setattr(cls, name, _handed_on(name))
    return cls


def _handed_on(name: str) -> Any:
    return lambda self, *args: getattr(self.parameterNode, name)(*args)


class _Field:
    def __init__(self, name: str, kind: Any, default: Any) -> None:
        self.name = name
        self.type, *self.validators = get_args(kind) if get_origin(kind) is Annotated else (kind,)
        self.is_node = issubclass(self.type, slicer.vtkMRMLNode)
        if not self.is_node and self.type not in (str, int, float, bool):
            raise TypeError(f"the double keeps no {self.type}")
        self.default = self.type() if default is None and not self.is_node else default

    def __get__(self, wrapper: Any, owner: type) -> Any:
        if wrapper is None:
            return self
        if self.is_node:
            return wrapper.parameterNode.GetNodeReference(self.name)
        text = wrapper.parameterNode.GetParameter(self.name)
        return text == "True" if self.type is bool else self.type(text)

    def __set__(self, wrapper: Any, value: Any) -> None:
        if not isinstance(
            value, (self.type, type(None)) if self.is_node else (float, int) if self.type is float else self.type
        ):
            raise TypeError(f"{self.name} cannot be {value!r}")
        for validator in self.validators:
            validator.validate(value)
        wrapper.parameterNode.SetParameter(self.name, "" if self.is_node else str(value))
        if self.is_node:
            wrapper.parameterNode.SetNodeReferenceID(self.name, value.GetID() if value is not None else None)


def _connect_gui(wrapper: Any, fields: dict[str, _Field], gui: Any) -> int:
    found = {widget.property("SlicerParameterName"): widget for widget in vars(gui).values()}
    connectors = [_Connector(wrapper, fields[name], widget) for name, widget in found.items() if name]
    tag = wrapper.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda caller, event: _show_all(wrapper, connectors))
    wrapper._gui[tag] = connectors
    return tag


def _disconnect_gui(wrapper: Any, tag: int) -> None:
    for connector in wrapper._gui.pop(tag, []):
        connector.disconnect()
    wrapper.RemoveObserver(tag)


def _show_all(wrapper: Any, connectors: list[_Connector]) -> None:
    if not wrapper._writing:
        wrapper._writing = True
        for connector in connectors:
            connector.show()
        wrapper._writing = False


class _Connector:
    """One field and the widget that shows it; a pair that Slicer's wrapper does not know is refused."""

    _PAIRS = {  # noqa: RUF012
        ("QCheckBox", bool): ("checked", "stateChanged"),
        ("QSpinBox", int): ("value", "valueChanged"),
        ("QDoubleSpinBox", float): ("value", "valueChanged"),
        ("ctkSliderWidget", float): ("value", "valueChanged"),
        ("QComboBox", str): ("currentIndex", "currentIndexChanged"),
        ("QLineEdit", str): ("text", "textChanged"),
    }

    def __init__(self, wrapper: Any, field: _Field, widget: Any) -> None:
        self.wrapper, self.field, self.widget = wrapper, field, widget
        self.choices = next((one.choices for one in field.validators if isinstance(one, Choice)), None)
        class_name = type(widget).__name__
        if field.is_node and class_name == "qMRMLNodeComboBox":
            widget.setNodeTypes([field.type.__name__])
            self.property, signal = "", "currentNodeChanged"
        else:
            self.property, signal = self._PAIRS[class_name, field.type]
        if class_name == "QComboBox":
            widget.clear()
            widget.addItems(self.choices)
        for bounds in field.validators:
            if isinstance(bounds, WithinRange):
                widget.setProperty("minimum", bounds.minimum)
                widget.setProperty("maximum", bounds.maximum)
        self.show()
        self.signal = getattr(widget, signal)
        self.signal.connect(self.read)

    def show(self) -> None:
        value = getattr(self.wrapper, self.field.name)
        if not self.property:
            self.widget.setCurrentNode(value)
        elif self.widget.property(self.property) != (wanted := self.choices.index(value) if self.choices else value):
            self.widget.setProperty(self.property, wanted)

    def read(self, *_: Any) -> None:
        if self.wrapper._writing:
            return
        value = self.widget.property(self.property) if self.property else self.widget.currentNode()
        setattr(self.wrapper, self.field.name, self.choices[value] if self.choices else value)

    def disconnect(self) -> None:
        self.signal.disconnect(self.read)
