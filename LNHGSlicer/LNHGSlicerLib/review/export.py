"""A reviewed result out of the scene: the table, the report, and a DICOM segmentation by Slicer's own exporter."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import slicer

from lnhg.core.nodule import Nodule, as_row
from lnhg.core.result import Result
from lnhg.errors import InputError, LNHGError
from lnhg.stages.heterogeneity_legend import map_title
from lnhg.writers.seg_nrrd import id_of_segment
from lnhg.writers.table import table_header, table_rows

from ..scene.nodes import SceneNodes, ct_of_node, voxels_of
from ..translation import _
from .answers import answers_of, comparisons_of
from .outlines import Outlines
from .review import Review
from .verdicts import EDITED, REJECTED, seconds_of, verdicts
from .written_files import replacing, write_csv, write_text

if TYPE_CHECKING:
    from lnhg.writers.pictures import Plane

_SERIES = "Lung nodules. Research use only, not for diagnosis"
_DICOM_FILE = "nodules-seg.dcm"


def export_csv(nodes: SceneNodes, path: Path) -> None:
    """The table with all figures, the reader's verdicts and the time for each; not nodules whose segment was removed.

    Like the other exports it measures nodules anew whose outline was changed since they were measured.
    """
    Review(nodes).update()
    known = verdicts(nodes)
    left = [(one, id_of_segment(one.id)) for one in nodes.rows if id_of_segment(one.id) in known]
    counted = [one for one, name in left if known[name] != REJECTED]
    rows = {
        row[0]: row for row in table_rows(counted, answers_of(nodes), nodes.options.sentence, comparisons_of(nodes))
    }
    titles, lines = table_header(), []
    for one, name in left:
        row = rows.get(one.id) or as_row(one)  # nothing is proposed of what was rejected
        row = [*row, *[""] * (len(titles) - len(row))]
        lines.append([*row, known[name], f"{seconds_of(nodes, name):.1f}"])
    write_csv(path, [[*titles, "verdict", "time (s)"], *lines], nodes.ct)


def export_report(nodes: SceneNodes, path: Path) -> None:
    """The HTML report of the nodules that were not rejected, with the numbers that they have in the scene."""
    from lnhg.writers.pictures import nodule_planes
    from lnhg.writers.record import run_record
    from lnhg.writers.report import report_html

    Review(nodes).update()
    result = _result(nodes)
    planes = [tuple(_numbered(plane, result.nodules) for plane in views) for views in nodule_planes(result)]
    write_text(path, report_html(result, planes, run_record(result, "", with_identity=False)), nodes.ct)


def export_dicom(nodes: SceneNodes, folder: Path) -> Path:
    """Write the nodules that were not rejected as DICOM SEG, by Slicer's exporter, into a new file; returns its path.

    Raises InputError when the CT did not come from DICOM or no nodule is left, LNHGError when Slicer cannot export.
    """
    try:
        from DICOMSegmentationPlugin import DICOMSegmentationExporter
    except ImportError as error:
        raise LNHGError(
            _("Slicer cannot write DICOM SEG here; install the extension QuantitativeReporting.")
        ) from error
    _check_dicom_files(nodes.ct)
    Review(nodes).update()
    left = [one for one, verdict in verdicts(nodes).items() if verdict != REJECTED]
    segment_ids = [one for one, outline in Outlines(nodes).of_all(left).items() if outline is not None]
    if not segment_ids:
        raise InputError(_("No nodule is left to export."))
    _prepare(nodes, segment_ids)
    metadata = {"SeriesDescription": _SERIES, "ContentCreatorName": "LNHG"}  # in place of a person, the program
    exporter = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(folder / _DICOM_FILE, nodes.ct) as unfinished:
            exporter = DICOMSegmentationExporter(nodes.segmentation)
            exporter.export(str(unfinished.parent), _DICOM_FILE, metadata, segment_ids)
            if not unfinished.exists():
                raise LNHGError(_("Slicer's exporter wrote no DICOM SEG and did not say why; its log may."))
    except LNHGError:
        raise
    except Exception as error:  # an extension of its own: it may raise anything
        raise LNHGError(_("Slicer could not write the DICOM SEG: {error}").format(error=error)) from error
    finally:
        if exporter is not None:
            exporter.cleanup()
    return folder / _DICOM_FILE


def _check_dicom_files(ct_node: Any) -> None:
    """Raise InputError if the CT did not come from DICOM, or its files are no longer there for the exporter to read."""
    names = (ct_node.GetAttribute("DICOM.instanceUIDs") or "").split()
    if not names:
        raise InputError(
            _("The CT was not loaded from DICOM; load it with Slicer's DICOM module and segment it there.")
        )
    database = getattr(slicer, "dicomDatabase", None)
    if database is not None and not all(database.fileForInstance(name) for name in names):
        raise InputError(_("The DICOM files of the CT are not in Slicer's DICOM database; import them there again."))


def _result(nodes: SceneNodes) -> Result:
    """What the scene holds of the result, without rejected nodules: label n is the nth of those left."""
    known = verdicts(nodes)
    left = [one for one in nodes.rows if known.get(id_of_segment(one.id), REJECTED) != REJECTED]
    ct = replace(ct_of_node(nodes.ct), source=_attribute(nodes, "Source"))
    labels = voxels_of(nodes, [id_of_segment(one.id) for one in left]).astype(np.uint16)
    shown = nodes.heterogeneity
    image = np.zeros(labels.shape, np.float32) if nodes.generated is None else _array(nodes.generated)
    kind, normalisation = (shown.GetAttribute(f"LNHG.{name}") for name in ("Kind", "Normalisation"))
    return Result(
        ct,
        labels,
        _array(shown),
        lambda: image,
        np.zeros_like(labels),
        tuple(left),
        (),
        replace(nodes.options, heterogeneity=kind, normalisation=normalisation),
        provenance=_attribute(nodes, "Provenance"),
        warnings=_remarks(nodes, known, kind, normalisation),
        answers=answers_of(nodes),
        comparisons=comparisons_of(nodes),
    )


def _remarks(nodes: SceneNodes, known: Mapping[str, str], kind: str, normalisation: str) -> tuple[str, ...]:
    """What the run had to say, and what the reader changed since."""
    rejected = [str(one.id) for one in nodes.rows if known.get(id_of_segment(one.id)) == REJECTED]
    edited = [str(one.id) for one in nodes.rows if one.status == EDITED and id_of_segment(one.id) in known]
    ran, shown = nodes.options, replace(nodes.options, heterogeneity=kind, normalisation=normalisation)
    remarks = (
        nodes.segmentation.GetAttribute("LNHG.Warnings"),
        nodes.note,
        f"Rejected by a reader and left out: nodule {', '.join(rejected)}." if rejected else "",
        f"Edited by a reader: nodule {', '.join(edited)}." if edited else "",
        ""
        if (shown.map_kind, shown.map_range) == (ran.map_kind, ran.map_range)
        else f"The maps show: {map_title(shown)}; their figures in the tables: {map_title(ran)}.",
    )
    return tuple(remark for remark in remarks if remark)


def _numbered(plane: Plane, nodules: Sequence[Nodule]) -> Plane:
    """The plane with the numbers of the nodules in place of their labels."""
    return replace(plane, outlines={nodules[label - 1].id: lines for label, lines in plane.outlines.items()})


def _prepare(nodes: SceneNodes, segment_ids: Sequence[str]) -> None:
    """Say of which CT the segments are, which an editor may have changed, and how they were drawn, as the exporter
    reads it.
    """
    nodes.segmentation.SetNodeReferenceID(nodes.segmentation.GetReferenceImageGeometryReferenceRole(), nodes.ct.GetID())
    by_hand = {id_of_segment(one.id) for one in nodes.rows if one.status in (EDITED, "seeded")}
    name = slicer.vtkSegmentationConverter.GetBinaryLabelmapRepresentationName()
    for segment_id in segment_ids:
        segment = nodes.segmentation.GetSegmentation().GetSegment(segment_id)
        segment.SetTag("DICOM.SegmentAlgorithmType", "SEMIAUTOMATIC" if segment_id in by_hand else "AUTOMATIC")
        segment.SetTag("DICOM.SegmentAlgorithmName", "LNHG")
        # The exporter takes a segment for empty whose voxels are not called so.
        segment.GetRepresentation(name).GetPointData().GetScalars().SetName("ImageScalars")


def _attribute(nodes: SceneNodes, name: str) -> Any:
    return json.loads(nodes.segmentation.GetAttribute(f"LNHG.{name}"))


def _array(volume_node: Any) -> np.ndarray:
    values: np.ndarray = slicer.util.arrayFromVolume(volume_node)
    return values
