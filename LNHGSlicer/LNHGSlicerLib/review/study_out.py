"""A reviewed result of the scene as a study on disk, with its verdicts, edits and added nodules."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import slicer

from lnhg.core.answers import StudyAnswers
from lnhg.core.nodule import Nodule
from lnhg.core.result import Result
from lnhg.options import Options
from lnhg.writers.seg_nrrd import id_of_segment

from ..scene.fingerprints import fingerprint
from ..scene.identity import identity_of, kernel_of
from ..scene.nodes import SceneNodes, ct_of_values, grid_of_node, values_of_node
from .answers import answers_of
from .outlines import Outline, Outlines
from .verdicts import REJECTED, verdicts

_CT = "ct.nrrd"


def state_of(nodes: SceneNodes, outlines: Outlines | None = None) -> str:
    """Tells whether nodules or verdicts were changed: a digest of each outline that was not rejected.

    `outlines`: of `nodes`, kept from an earlier call, which is quicker.
    """
    found = _left(nodes, outlines or Outlines(nodes))
    left = [(one, fingerprint(outline.box, outline.mask)) for one, outline in found.items()]
    return hashlib.sha256(json.dumps(left).encode()).hexdigest()


@dataclass(frozen=True, eq=False)
class StudyOut:
    """What `write` needs of the scene, whose arrays it shares.

    Attributes:
        name: of the CT.
        values, grid: voxels of the CT node `[slice, row, column]`, and its IJK to RAS.
        found: rows and outlines of the nodules that were not rejected.
        heterogeneity: the map on the grid of the CT.
        state: as `state_of` gives it.
        identity: patient and date, as far as they are known.
        answers: the reader's, for the categories, by the scene's numbers of the nodules.
    """

    name: str
    values: np.ndarray
    grid: np.ndarray
    found: tuple[tuple[Nodule, Outline], ...]
    heterogeneity: np.ndarray
    options: Options
    source: Mapping[str, Any]
    provenance: Mapping[str, Any]
    state: str
    identity: Mapping[str, str]
    answers: StudyAnswers

    @classmethod
    def of(cls, nodes: SceneNodes) -> StudyOut:
        """What a result of the scene holds now; quick, on the main thread."""
        rows, left = {id_of_segment(row.id): row for row in nodes.rows}, _left(nodes, Outlines(nodes))
        source, kernel = _attribute(nodes, "Source"), kernel_of(nodes.ct)
        return cls(
            nodes.ct.GetName(),
            values_of_node(nodes.ct),
            grid_of_node(nodes.ct),
            tuple((rows[one], outline) for one, outline in left.items()),
            slicer.util.arrayFromVolume(nodes.heterogeneity),
            nodes.options,
            source | ({"kernel": kernel} if kernel else {}),
            _attribute(nodes, "Provenance"),
            state_of(nodes),
            identity_of(nodes.ct),
            answers_of(nodes),
        )

    def write(self, folder: Path) -> list[int]:
        """Write CT and result into a new folder; returns the scene's numbers of the nodules, in the order of the
        labels.
        """
        from lnhg.core.nrrd_file import write_nrrd
        from lnhg.writers.results import save

        ct = ct_of_values(self.name, self.values, self.grid)
        labels = np.zeros(ct.hu.shape, np.uint16)
        for number, (_, outline) in enumerate(self.found, 1):
            labels[outline.box][outline.mask] = number
        there = [number for number in np.unique(labels).tolist() if number]  # one may lie wholly under others
        new = np.zeros(len(self.found) + 1, np.uint16)
        new[there] = np.arange(1, len(there) + 1)
        rows = [self.found[number - 1][0] for number in there]
        result = Result(
            replace(ct, source=self.source, identity={**self.identity, "path": str(folder / _CT)}),
            new[labels],
            self.heterogeneity,
            lambda: np.zeros((1, 1, 1), np.float32),
            np.zeros((1, 1, 1), np.uint16),
            tuple(replace(row, id=number) for number, row in enumerate(rows, 1)),
            (),
            self.options,
            provenance=self.provenance,
            warnings=(),
            answers=self.answers.renumbered({row.id: number for number, row in enumerate(rows, 1)}),
        )
        save(result, folder, with_identity=True, for_scene=True)
        write_nrrd(folder / _CT, ct.hu, ct.ijk_to_ras, packed=False)
        return [row.id for row in rows]


def _left(nodes: SceneNodes, outlines: Outlines) -> dict[str, Outline]:
    """The outlines of the nodules that were not rejected, by segment ID."""
    wanted = [one for one, verdict in verdicts(nodes).items() if verdict != REJECTED]
    return {one: outline for one, outline in outlines.of_all(wanted).items() if outline is not None}


def _attribute(nodes: SceneNodes, name: str) -> dict[str, Any]:
    return dict(json.loads(nodes.segmentation.GetAttribute(f"LNHG.{name}") or "{}"))
