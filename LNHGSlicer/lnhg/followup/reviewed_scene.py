"""A result in a scene (`.mrb`) that a reader reviewed and saved in Slicer: with verdicts, edited and added nodules.

The file is a zip: the scene as XML, and beside it the volumes, the segmentation and the table. No Slicer is needed.
"""

from __future__ import annotations

import csv
import io
import json
import re
import tempfile
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np
import SimpleITK as sitk

from ..core.boxes import label_boxes
from ..core.ct import CT
from ..core.nodule import Nodule, from_row, note_on_columns
from ..core.result import Result
from ..errors import InputError
from ..options import options_of_record
from ..readers.image_file import grid_of
from ..readers.read_ct import read_ct
from ..writers.seg_nrrd import id_of_segment

_REJECTED = "rejected"
# A segment's voxels lie on the CT's grid up to so much of a voxel.
_ON_GRID = 0.01


def read_scene(path: Path) -> tuple[Result, tuple[str, ...]]:
    """The latest result in a scene without the nodules that were rejected, numbered anew, and sentences on it.

    G(x) is not read. Raises InputError for a file that holds no result.
    """
    try:
        with zipfile.ZipFile(path) as packed, tempfile.TemporaryDirectory() as folder:
            (name,) = [one for one in packed.namelist() if one.endswith(".mrml")]
            return _read(_Scene(packed, name, Path(folder)))
    except (OSError, zipfile.BadZipFile, ElementTree.ParseError, KeyError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{path.name} holds no result of LNHG that can be read; save the scene again as one file (.mrb)."
        ) from error


class _Scene:
    """The nodes of a packed scene."""

    def __init__(self, packed: zipfile.ZipFile, name: str, folder: Path) -> None:
        self.packed, self.root, self.folder = packed, name.rpartition("/")[0], folder
        # Entities would let a small file grow without end; a scene has none.
        text = packed.read(name)
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

    def file_of(self, node_id: str) -> Path:
        """The node's file, unpacked under a name of its own."""
        storage = self.nodes[self.references(self.nodes[node_id])["storage"]]
        name = unquote(storage["fileName"])
        target = self.folder / f"{node_id}{''.join(re.findall(r'(?:[.]seg)?[.][a-z]+$', name))}"
        target.write_bytes(self.packed.read(f"{self.root}/{name}" if self.root else name))
        return target


def _read(scene: _Scene) -> tuple[Result, tuple[str, ...]]:
    segmentations = [node for node in scene.nodes.values() if "LNHG.table" in scene.references(node)]
    segmentation = segmentations[-1] if segmentations else {}
    roles, attributes = scene.references(segmentation), scene.attributes(segmentation)
    ct = replace(read_ct(scene.file_of(roles["LNHG.ct"])), source=json.loads(attributes.get("LNHG.Source", "{}")))
    rows, note = _table(scene.file_of(roles["LNHG.table"]))
    segments = _segments(scene.file_of(segmentation["id"]), ct)
    rejected = [row.id for row in rows if segments.get(row.id, _GONE).verdict == _REJECTED]
    kept = [row for row in rows if row.id in segments and row.id not in rejected]
    labels, nodules = np.zeros(ct.hu.shape, np.uint16), list[Nodule]()
    for row in kept:
        segment = segments[row.id]
        free = segment.mask & (labels[segment.box] == 0)
        if free.any():
            nodules.append(replace(row, id=len(nodules) + 1))
            labels[segment.box][free] = len(nodules)
    shown = sitk.GetArrayFromImage(sitk.ReadImage(str(scene.file_of(roles["LNHG.heterogeneity"]))))
    options, options_note = options_of_record(json.loads(attributes["LNHG.Options"]))
    result = Result(
        ct,
        labels,
        shown.astype(np.float32),
        lambda: np.zeros(ct.hu.shape, np.float32),
        np.zeros(ct.hu.shape, np.uint16),
        tuple(nodules),
        (),
        replace(options, weights=None),
        provenance=json.loads(attributes.get("LNHG.Provenance", "{}")),
        warnings=(),
    )
    told = f"Rejected by a reader and left out: {len(rejected)} of {len(rows)} nodules." if rejected else ""
    return result, tuple(filter(None, (told, note, options_note)))


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
    image = sitk.ReadImage(str(file))
    told = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys()}
    values = sitk.GetArrayFromImage(image)
    layers = values[None] if values.ndim == 3 else np.moveaxis(values, -1, 0)
    corner = ct.to_ijk(grid_of(image)[:3, 3])[::-1]
    step = np.linalg.inv(ct.ijk_to_ras[:3, :3]) @ grid_of(image)[:3, :3]
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
