"""What the method found where a reader clicked, as it goes from a process to Slicer: small, since the reader waits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lnhg.core.boxes import Box, label_boxes
from lnhg.core.nodule import Nodule, from_row
from lnhg.options import Options, options_of_record
from lnhg.stages.nodule_map import OUTSIDE
from lnhg.writers.read_back import result_of_record
from lnhg.writers.record import run_record

if TYPE_CHECKING:
    from lnhg.core.ct import CT
    from lnhg.core.result import Result


_VOXELS = "answer.npz"


@dataclass(frozen=True, eq=False)
class Answer:
    """A result without what lies far from its nodules.

    Attributes:
        record: of the run, as `run_record` makes it.
        box: of the CT `[slice, row, column]`, around the nodules and G(x).
        labels, heterogeneity, generated: those of the result there.
    """

    record: Mapping[str, Any]
    box: Box
    labels: np.ndarray
    heterogeneity: np.ndarray
    generated: np.ndarray

    @classmethod
    def of(cls, box: Box, result: Result) -> Answer:
        """The answer of a result whose volumes are those in a box (`segment_part`)."""
        record = run_record(result, "not written", with_identity=False)
        return cls(record, box, result.labels, result.heterogeneity, result.image)

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the voxels into a folder, in place of those of an earlier answer; returns the rest as plain values."""
        np.savez(folder / _VOXELS, labels=self.labels, heterogeneity=self.heterogeneity, generated=self.generated)
        return {"record": self.record, "corner": [side.start for side in self.box]}

    @classmethod
    def load(cls, folder: Path, told: Mapping[str, Any]) -> Answer:
        """The answer that `save` wrote, of which it told this."""
        with np.load(folder / _VOXELS, allow_pickle=False) as voxels:
            labels = voxels["labels"]
            box = tuple(slice(at, at + size) for at, size in zip(told["corner"], labels.shape, strict=True))
            return cls(told["record"], box, labels, voxels["heterogeneity"], voxels["generated"])

    @property
    def options(self) -> Options:
        return options_of_record(self.record["options"])[0]

    @property
    def nodules(self) -> tuple[Nodule, ...]:
        return tuple(map(from_row, self.record["nodules"]))

    def masks(self) -> dict[int, tuple[Box, np.ndarray]]:
        """For each nodule its box in the CT, and which voxels in it are its own."""
        start = [side.start for side in self.box]
        return {
            label: (
                tuple(slice(at + side.start, at + side.stop) for at, side in zip(start, box, strict=True)),
                self.labels[box] == label,
            )
            for label, box in label_boxes(self.labels).items()
        }

    def whole(self, ct: CT) -> Result:
        """The result on the whole CT."""
        labels, image = (np.zeros(ct.hu.shape, kind) for kind in (np.uint16, np.float32))
        heterogeneity = np.full(ct.hu.shape, OUTSIDE, np.float32)
        labels[self.box], heterogeneity[self.box], image[self.box] = self.labels, self.heterogeneity, self.generated
        return result_of_record(self.record, ct, labels, heterogeneity, image)
