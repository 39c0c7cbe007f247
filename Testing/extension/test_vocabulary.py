"""One thing has one name, the field's own: words that stood for others before are gone from names and docstrings."""

from __future__ import annotations

import ast
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "LNHGSlicer").rglob("*.py"))

#: The word as a part of a name, and what is said in its place.
IN_NAMES = {
    "sham": "decoy",
    "shams": "decoy",
    "afar": "coarse",
    "finds": "detections (of single slices or of any system) or candidates (after linking)",
    "forth": "to_axial",
    "whole_file": "atomic_file",
}
#: Classes.
NAMES = {
    "Find": "Detection",
    "Piece": "Patch",
    "Host": "TrainingScan",
    "AxialView": "AxialOrder",
    "axial_view": "axial_order",
}
IN_DOCSTRINGS = r"\b([Ss]hams?|afar|wider pixels|[Ff]alse (find|detection|nodule|candidate)s?|[Aa] find)\b"


def names_of(path: Path) -> set[str]:
    with path.open("rb") as file:
        return {token.string for token in tokenize.tokenize(file.readline) if token.type == tokenize.NAME}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT / "LNHGSlicer").as_posix())
def test_names_are_the_fields_own(path: Path) -> None:
    for name in names_of(path):
        assert name not in NAMES, f"{name}: {NAMES.get(name)}"
        for word, instead in IN_NAMES.items():
            assert not re.search(rf"(?<![a-z]){word}(?![a-z])", name), f"{name}: say {instead}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT / "LNHGSlicer").as_posix())
def test_docstrings_use_the_same_words(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and (text := ast.get_docstring(node)):
            assert not re.search(IN_DOCSTRINGS, text), text
