"""A result in a scene (`.mrb`) that a reader reviewed and saved in Slicer: with verdicts, edited and added nodules.

The file is a zip: the scene as XML, and beside it the volumes, the segmentation and the table. No Slicer is needed.
"""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import tempfile
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np

from ..core.answers import answers_of_record
from ..core.boxes import label_boxes
from ..core.ct import CT
from ..core.nodule import Nodule, from_row, note_on_columns
from ..core.result import Result
from ..errors import InputError, LNHGError
from ..options import options_of_record
from ..readers.image_file import read_beside
from ..readers.nrrd import read_layers
from ..readers.read_ct import read_ct
from ..writers.seg_nrrd import id_of_segment

_REJECTED = "rejected"
# A segment's voxels lie on the CT's grid up to so much of a voxel.
_ON_GRID = 0.01
# Bytes that a member of the zip unpacks to, at most: texts; a CT, by its packed size, unless it is small; and what lies
# on the CT's grid, by its voxels.
_MOST_TEXT, _SMALL_CT, _CT_PACKED, _BYTES_A_VOXEL, _LONGEST_HEADER = 1 << 26, 1 << 26, 250, 16, 1 << 20


def read_scene(path: Path) -> tuple[Result, tuple[str, ...]]:
    """The latest result in a scene without the nodules that were rejected, numbered anew, and sentences on it.

    G(x) is not read. Raises InputError for a file that holds no result.
    """
    try:
        with zipfile.ZipFile(path) as packed, tempfile.TemporaryDirectory() as folder:
            (name,) = [one for one in packed.namelist() if one.endswith(".mrml")]
            return _read(_Scene(packed, name, Path(folder)))
    except (LNHGError, MemoryError):
        raise
    except Exception as error:  # zips, XML, JSON and tables raise many kinds where they are damaged
        raise InputError(
            f"{path.name} holds no result of LNHG that can be read; save the scene again as one file (.mrb)."
        ) from error


class _Scene:
    """The nodes of a packed scene."""

    def __init__(self, packed: zipfile.ZipFile, name: str, folder: Path) -> None:
        self.packed, self.root, self.folder = packed, name.rpartition("/")[0], folder
        # Entities would let a small file grow without end; a scene has none.
        text = self._unpacked(name, _MOST_TEXT).read_bytes()
        if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
            raise ValueError("The scene declares entities.")
        self.nodes = {node.attrib["id"]: node.attrib for node in ElementTree.fromstring(text) if "id" in node.attrib}

    def references(self, node: dict[str, str]) -> dict[str, str]:
        """Role -> the first node in it."""
        pairs = [one.partition(":") for one in node.get("references", "").split(";") if one]
        return {role: ids.split()[0] for role, _, ids in pairs if ids}

    def attributes(self, node: dict[str, str]) -> dict[str, str]:
        pairs = [one.partition(":") for one in node.get("attributes", "").split(";") if one]
        return {unquote(key): unquote(value) for key, _, value in pairs}

    def file_of(self, node_id: str, most: int | None = None) -> Path:
        """The node's file, unpacked; `most`: bytes that it may hold, None: as many as a CT of its packed size."""
        storage = self.nodes[self.references(self.nodes[node_id])["storage"]]
        name = unquote(storage["fileName"])
        return self._unpacked(f"{self.root}/{name}" if self.root else name, most)

    def _unpacked(self, name: str, most: int | None) -> Path:
        """A member of the zip, under a name of its own: those in the scene could lead anywhere."""
        member = self.packed.getinfo(name)
        if member.file_size > (max(_SMALL_CT, _CT_PACKED * member.compress_size) if most is None else most):
            raise InputError(
                f"{Path(self.packed.filename or '').name} would unpack to what no scene holds ("
                f"{member.file_size >> 20} MB in one of its files); leave it out."
            )
        ending = "".join(re.findall(r"(?:[.]seg)?[.][a-z]+$", name))
        target = self.folder / f"{len(list(self.folder.iterdir()))}{ending}"
        with self.packed.open(member) as packed, target.open("wb") as file:
            shutil.copyfileobj(packed, file)
        return target


def _read(scene: _Scene) -> tuple[Result, tuple[str, ...]]:
    segmentations = [node for node in scene.nodes.values() if "LNHG.table" in scene.references(node)]
    segmentation = segmentations[-1] if segmentations else {}
    roles, attributes = scene.references(segmentation), scene.attributes(segmentation)
    source = _mapping(attributes.get("LNHG.Source", "{}"))
    ct = replace(read_ct(scene.file_of(roles["LNHG.ct"])), source=source)
    on_grid = _LONGEST_HEADER + _BYTES_A_VOXEL * ct.hu.size
    rows, note = _table(scene.file_of(roles["LNHG.table"], _MOST_TEXT))
    segments = _segments(scene.file_of(segmentation["id"], on_grid), ct)
    rejected = [row.id for row in rows if segments.get(row.id, _GONE).verdict == _REJECTED]
    kept = [row for row in rows if row.id in segments and row.id not in rejected]
    labels, nodules, numbers = np.zeros(ct.hu.shape, np.uint16), list[Nodule](), dict[int, int]()
    for row in kept:
        segment = segments[row.id]
        free = segment.mask & (labels[segment.box] == 0)
        if free.any():
            numbers[row.id] = len(nodules) + 1
            nodules.append(replace(row, id=numbers[row.id]))
            labels[segment.box][free] = len(nodules)
    shown = read_beside(scene.file_of(roles["LNHG.heterogeneity"], on_grid)).values
    if shown.shape != ct.hu.shape:
        raise ValueError("The map does not lie on the CT's grid.")
    options, options_note = options_of_record(_mapping(attributes["LNHG.Options"]))
    result = Result(
        ct,
        labels,
        shown.astype(np.float32),
        lambda: np.zeros(ct.hu.shape, np.float32),
        np.zeros(ct.hu.shape, np.uint16),
        tuple(nodules),
        (),
        replace(options, weights=None),
        provenance=_mapping(attributes.get("LNHG.Provenance", "{}")),
        warnings=(),
        answers=answers_of_record(_mapping(attributes.get("LNHG.Answers", "{}"))).renumbered(numbers),
    )
    told = f"Rejected by a reader and left out: {len(rejected)} of {len(rows)} nodules." if rejected else ""
    return result, tuple(filter(None, (told, note, options_note)))


def _mapping(text: str) -> dict[str, Any]:
    values = json.loads(text)
    if not isinstance(values, dict):
        raise ValueError(f"{text[:40]!r} is no record.")
    return values


@dataclass(frozen=True, eq=False)
class _Segment:
    """A segment: its voxels in a box of the CT, and what a reader said of it."""

    box: tuple[slice, ...]
    mask: np.ndarray
    verdict: str


_GONE = _Segment((), np.zeros(0, bool), "")


def _table(file: Path) -> tuple[list[Nodule], str]:
    """The rows of a table as Slicer saves it, and a sentence where another version made it."""
    rows: list[dict[str, Any]] = list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8")), delimiter="\t"))
    return [from_row(row) for row in rows], note_on_columns(rows[0]) if rows else ""


def _segments(file: Path, ct: CT) -> dict[int, _Segment]:
    """The segments of the nodules, by their numbers; those that lost their voxels are left out."""
    layers, grid, told = read_layers(file)
    corner = ct.to_ijk(grid[:3, 3])[::-1]
    step = np.linalg.inv(ct.ijk_to_ras[:3, :3]) @ grid[:3, :3]
    if np.abs(corner - np.round(corner)).max() > _ON_GRID or np.abs(step - np.eye(3)).max() > _ON_GRID:
        raise ValueError("The segmentation does not lie on the CT's grid.")
    first, found = np.round(corner).astype(int), dict[int, _Segment]()
    for key, name in told.items():
        number = re.fullmatch(r"Segment(\d+)_ID", key)
        label = re.fullmatch(id_of_segment(0).replace("0", r"(\d+)"), name)
        if number is None or label is None:
            continue
        tags = told.get(f"Segment{number[1]}_Tags", "")
        mask = layers[int(told.get(f"Segment{number[1]}_Layer", 0))] == int(told[f"Segment{number[1]}_LabelValue"])
        if mask.any():
            (box,) = label_boxes(mask.view(np.uint8)).values()
            place = tuple(slice(one.start + at, one.stop + at) for one, at in zip(box, first, strict=True))
            verdict = re.search(r"LNHG[.]Verdict:([^|]*)", tags)
            found[int(label[1])] = _Segment(place, mask[box], verdict[1] if verdict else "")
    return found
