"""Systems that segment nodules: this method from any weights, and label maps of any other system."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..data.cutouts import Cutout
from ..data.scans import LabelledScan
from ..errors import InputError
from ..evaluation.foreign_results import read_labels_on
from ..evaluation.label_maps import label_files
from ..evaluation.measures import match_nodules
from ..evaluation.seeded import seeded
from ..networks.torch_models import load_models
from ..options import Options
from ..pipeline import segment

#: The names that a folder of weights can stand under; `l-rf` is the generator without the detector.
OWN_SYSTEMS = ("lnhg", "l-rf", "l-mse", "l-vgg", "unet")


@dataclass(frozen=True, eq=False)
class System:
    """One system in the tables.

    Attributes:
        name: as printed.
        mask: the nodule of a cut-out as the system outlines it, bool `[slice, row, column]`, all False where it finds
            none.
        labels: the nodules of a whole scan, 1..N on its grid; None where these are not known.
    """

    name: str
    mask: Callable[[Cutout], np.ndarray]
    labels: Callable[[LabelledScan], np.ndarray] | None = None


def own_system(name: str, weights: Path | None = None) -> System:
    """A system of this project run on cut-outs, from a folder of weights (None: the shipped ones).

    All but `l-rf` are seeded at the centre of the consensus: the nodule is theirs to outline, not to find. `l-rf` has
    no detector and knows no place, so its nodule is that component of the generator's image that shares most with the
    consensus.
    """
    if name not in OWN_SYSTEMS:
        raise InputError(f"There is no system {name!r}; choose one of {', '.join(OWN_SYSTEMS)}.")
    models = load_models(weights, with_detector=False)
    if name == "l-rf":
        everywhere = Options(full_generator=True)
        return System(
            name, lambda cutout: corresponding(cutout, segment(cutout.ct, everywhere, models=models).unconfirmed)
        )
    return System(name, lambda cutout: seeded(cutout, models).labels > 0)


def label_map_system(name: str, folder: Path, scans: Collection[str] = (), *, alike: bool = False) -> System:
    """Any other system by its label maps: one a cut-out, named like it (`LIDC-IDRI-0001_R_1.nrrd`, `.nii.gz`, ...).

    Its nodule is the label that shares most with the consensus; with `alike` (nnU-Net and others that give all nodules
    one label) the connected component. Of the whole scans `scans` there may be label maps too, of all or of none.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; give the folder with the label maps of {name}.")
    files = label_files(folder)
    missing = sorted(set(scans) - files.keys())
    if missing and len(missing) < len(scans):
        raise InputError(
            f"{folder} holds no label map for {missing[0]}; write one for each whole scan, empty if need be."
        )

    def mask(cutout: Cutout) -> np.ndarray:
        if cutout.name not in files:
            raise InputError(
                f"{folder} holds no label map for {cutout.name}; write one for each cut-out, empty if need be."
            )
        return corresponding(cutout, read_labels_on(files[cutout.name], cutout.ct, alike=alike))

    def labels(scan: LabelledScan) -> np.ndarray:
        return read_labels_on(files[scan.patient], scan.ct, alike=alike)

    return System(name, mask, labels if scans and not missing else None)


def corresponding(cutout: Cutout, labels: np.ndarray) -> np.ndarray:
    """The label of `labels` that shares most voxels with the consensus, as a mask; all False if none does."""
    (match,) = match_nodules(cutout.consensus.astype(np.uint8), labels)
    return (labels == match.label) & (match.label > 0)
