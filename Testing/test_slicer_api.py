"""Every name that the module takes from Slicer stands in `slicer_api.md`, and Slicer's own library has it.

What only the application has (its window, Qt, CTK, scripted modules) is known from that table alone: it says where each
name is defined. The rest is looked up in the library that the tests run on.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import pytest

slicer = pytest.importorskip("slicer", reason="needs the host extra: pip install 'lnhg[host]'")

import vtk  # noqa: E402

from LNHGSlicerLib.headless import headless_host  # noqa: E402

TESTING = Path(__file__).resolve().parent
MODULE = TESTING.parent / "LNHGSlicer"
UI_FILE = MODULE / "Resources" / "UI" / "LNHGSlicer.ui"
# `headless` makes a Slicer where there is no application, and is never run inside one.
SOURCES = [MODULE / "LNHGSlicer.py", *(path for path in (MODULE / "LNHGSlicerLib").glob("*.py") if path.stem != "headless")]
# What comes with the application or its extensions.
ROOTS = ("slicer", "qt", "ctk", "PyTorchUtils", "DICOMSegmentationPlugin")
# As Slicer, VTK and Qt write names, and this project does not: GetName, setText.
CAMEL_CASE = re.compile(r"[A-Za-z]*[a-z0-9][A-Z]\w*|[A-Z][a-z]+\w*")


@cache
def table() -> dict[str, str]:
    """Where each name is defined, as the table says."""
    rows = re.findall(r"^\| `([^`]+)` \| (.+?) \|$", (TESTING / "slicer_api.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) == len(dict(rows)), "a name stands twice in the table"
    return dict(rows)


@cache
def widgets() -> dict[str, str]:
    """Class of each widget of the panel."""
    return {element.get("name", ""): element.get("class", "") for element in ElementTree.parse(UI_FILE).iter("widget")}


@cache
def used() -> set[str]:
    """All that the module uses, as `slicer.util.loadUI`, `ctkPathLineEdit.filters`, or `.GetName` of an unknown object."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    own = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    own |= {
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute) and ast.unparse(node) == f"self.{node.attr}" and isinstance(node.ctx, ast.Store)
    }
    return {name for name in set().union(*map(names_in, trees), names_in_panel()) if name[1:] not in own}


def names_in(tree: ast.Module) -> set[str]:
    """What a Python file uses."""
    imported = dict(_imported(tree))
    names = {plain(name) for name in imported.values() if name.partition(".")[0] in ROOTS and "." in name}
    # Of `a.b().c` only the whole is looked at, not `a.b` again.
    inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.Attribute) for part in _parts(node.value)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and id(node) not in inner:
            names |= set(_names_of(node, imported))
        elif isinstance(node, ast.Constant) and re.fullmatch(r"vtkMRML\w+Node", str(node.value)):
            names.add(str(node.value))
    return names


def _imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """What names of the file stand for: modules, and what comes out of those of Slicer."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((one.asname or one.name, one.name) for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] in ROOTS:
            yield from ((one.asname or one.name, f"{node.module}.{one.name}") for one in node.names)
        elif isinstance(node, ast.Assign) and "import_module('slicer." in ast.unparse(node.value):
            yield ast.unparse(node.targets[0]), node.value.args[0].value


def _parts(node: ast.expr) -> Iterator[ast.expr]:
    """The attributes and calls before the last dot."""
    while isinstance(node, (ast.Attribute, ast.Call)):
        yield node
        node = node.value if isinstance(node, ast.Attribute) else node.func


def _names_of(node: ast.Attribute, imported: dict[str, str]) -> Iterator[str]:
    chain = _chain(node)
    first, *rest = chain
    if first in imported:
        if imported[first].partition(".")[0] in ROOTS:
            yield plain(".".join([imported[first], *rest]))
        return
    if "ui" in chain[:-2]:  # a widget of the panel
        widget, attribute, *_ = chain[chain.index("ui") + 1 :]
        yield f"{widgets()[widget]}.{attribute.removesuffix('()')}"
        return
    for attribute in (one.removesuffix("()") for one in rest):
        if CAMEL_CASE.fullmatch(attribute) and attribute not in widgets():
            yield f".{attribute}"


def _chain(node: ast.expr) -> list[str]:
    """`a.b(1).c` as a, b(), c; empty at the start where that is no name."""
    if isinstance(node, ast.Attribute):
        return [*_chain(node.value), node.attr]
    if isinstance(node, ast.Call):
        *before, last = _chain(node.func)
        return [*before, f"{last}()"]
    return [node.id if isinstance(node, ast.Name) else ""]


def plain(name: str) -> str:
    """The name as the table writes it."""
    name = re.sub(r"^slicer\.(?=vtk)", "", name).replace("slicer.mrmlScene.", "vtkMRMLScene.")
    return re.sub(r"^(slicer\.util\.\w+).*", r"\1", name)  # what its functions return is no object of Slicer


def names_in_panel() -> set[str]:
    """Classes in the panel's file that Slicer adds to Qt, with the properties, signals and slots that are used of them."""
    tree = ElementTree.parse(UI_FILE)
    names = set()
    for element in tree.iter("widget"):
        kind = element.get("class", "")
        if not kind.startswith("Q"):
            names |= {kind, *(f"{kind}.{one.get('name')}" for one in element.findall("property") if one.get("stdset") != "0")}
    for connection in tree.iter("connection"):
        for end, member in (("sender", "signal"), ("receiver", "slot")):
            names.add(f"{widgets()[connection.findtext(end, '')]}.{connection.findtext(member, '').partition('(')[0]}")
    return names


def matches(name: str) -> list[str]:
    """Names of the table that a used name can be."""
    return [one for one in table() if one == name or (name.startswith(".") and one.endswith(name))]


def test_every_name_that_the_module_takes_from_slicer_stands_in_the_table():
    assert {"slicer.util.loadUI", "qMRMLNodeComboBox.setMRMLScene", ".GetName", "vtkMRMLTableNode"} <= used()
    assert sorted(name for name in used() if not matches(name)) == []


def test_the_table_holds_nothing_that_the_module_no_longer_uses():
    assert sorted(set(table()) - {one for name in used() for one in matches(name)}) == []


def test_every_class_and_method_of_slicers_library_is_really_there():
    names = [name for name in table() if name.startswith("vtk")]
    assert len(names) > 100
    with headless_host():
        assert [name for name in names if not _exists(name, slicer) and not _exists(name, vtk)] == []


def test_every_function_of_slicer_util_is_really_there():
    names = [name.removeprefix("slicer.") for name in table() if name.startswith("slicer.util.")]
    assert names
    assert [name for name in names if not _exists(name, slicer)] == []


@pytest.mark.skipif(importlib.util.find_spec("PySide6") is None, reason="needs PySide6")
def test_every_class_and_method_of_qt_is_there_in_the_qt_of_the_tests():
    from PySide6 import QtCore, QtGui, QtWidgets

    names = [name.removeprefix("qt.") for name in table() if re.match(r"qt\.|Q", name)]
    assert names
    assert [name for name in names if not any(_exists(name, one) for one in (QtCore, QtGui, QtWidgets))] == []


def _exists(name: str, start: object) -> bool:
    for part in name.split("."):
        if not hasattr(start, part):
            return False
        start = getattr(start, part)
    return True
