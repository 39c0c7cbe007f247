"""A small result made by hand: two balls in noise, on the grid one asks for."""

from __future__ import annotations

import numpy as np

from lnhg.core.ct import CT
from lnhg.core.nodule import Nodule
from lnhg.core.result import Result
from lnhg.options import Options
from lnhg.stages.heterogeneity_figures import figures

SHAPE = (20, 60, 50)
#: Centres (slice, row, column) and radii (voxels) of the balls.
BALLS = (((6, 20, 15), 4), ((13, 40, 33), 5))


def spaced(
    directions: np.ndarray, spacing: tuple[float, float, float], origin: tuple[float, float, float]
) -> np.ndarray:
    """IJK-to-RAS (4 x 4) of unit `directions` (one a column), `spacing` and `origin`, mm."""
    matrix = np.eye(4)
    matrix[:3, :3] = directions * spacing
    matrix[:3, 3] = origin
    return matrix


def _rotation(axis: int, degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    rotation = np.eye(3)
    first, second = [other for other in range(3) if other != axis]
    rotation[np.ix_([first, second], [first, second])] = [[c, -s], [s, c]]
    return rotation


_AXIAL = np.diag([-1.0, -1.0, 1.0])
_TILTED = np.array([[0, 0, 0], [0, 0, np.sin(np.radians(17))], [0, 0, np.cos(np.radians(17)) - 1]])
#: Grids as scanners make them: straight, turned about two axes, and with a tilted gantry (slices sheared).
GRIDS = {
    "axial": spaced(_AXIAL, (0.7, 0.7, 2.5), (170.3, 160.1, -300.7)),
    "oblique": spaced(_rotation(0, 23) @ _rotation(2, -31) @ _AXIAL, (0.653, 0.711, 1.83), (-12.34, 98.7, 45.6)),
    "sheared": spaced(_AXIAL + _TILTED, (0.7, 0.7, 2.5), (170.3, 160.1, -300.7)),
}

# The CT's axes in another order and against each other: its slices run from right to left, as of a sagittal series.
SAGITTAL = GRIDS["oblique"][:, [2, 0, 1, 3]]


def handmade_result(ijk_to_ras: np.ndarray, balls=BALLS, **identity: object) -> Result:
    """A `Result` with a nodule for each ball; the map rises from 0 in each ball's middle to about 1 at its surface."""
    noise = np.random.default_rng(5)
    k, j, i = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    labels = np.zeros(SHAPE, np.uint16)
    heterogeneity = np.full(SHAPE, -1, np.float32)
    for label, (centre, radius) in enumerate(balls, 1):
        distance = np.sqrt((k - centre[0]) ** 2 + (j - centre[1]) ** 2 + (i - centre[2]) ** 2) / radius
        labels[distance <= 1] = label
        heterogeneity[distance <= 1] = distance[distance <= 1]
    hu = np.where(labels > 0, 40, noise.normal(-800, 60, SHAPE).clip(-1024)).astype(np.int16)
    ct = CT(hu, ijk_to_ras, source={"format": "NRRD; 100% plain: yes"}, identity=identity)
    nodules = tuple(_nodule(ct, labels, heterogeneity, label) for label in range(1, len(balls) + 1))
    provenance = {"weights": {"generator": {"sha256": "ab;cd"}}, "device": "cpu"}
    unconfirmed = np.zeros_like(labels)
    image, warnings = heterogeneity.clip(0), ("Slices are thick.",)
    return Result(
        ct,
        labels,
        heterogeneity,
        lambda: image,
        unconfirmed,
        nodules,
        (),
        Options(),
        provenance=provenance,
        warnings=warnings,
    )


def _nodule(ct: CT, labels: np.ndarray, heterogeneity: np.ndarray, label: int) -> Nodule:
    mask = labels == label
    map_figures, no_figures = figures(heterogeneity[mask]), figures(np.array([]))
    return Nodule(
        id=label,
        status="confirmed" if label == 1 else "detector only",
        score=0.93 if label == 1 else None,
        **dict(zip(("centre_r", "centre_a", "centre_s"), ct.to_ras(np.argwhere(mask).mean(0)[::-1]), strict=True)),
        slice=round(float(np.argwhere(mask)[:, 0].mean())),
        instance_number=None,
        side="left",
        volume=float(mask.sum() * ct.voxel_volume),
        equivalent_diameter=5.6,
        long_axis=5.7,
        short_axis=5.5,
        mean_axis=5.6,
        sphericity=0.95,
        hu_mean=40.0,
        hu_deviation=0.0,
        share_solid=1.0,
        share_aerated=0.0,
        type="solid",
        solid_diameter=5.6,
        touches_pleura=None,
        touches_vessel=label == 1,
        whole=map_figures,
        core=map_figures,
        rim=map_figures,
        raw_whole=map_figures,
        raw_core=no_figures,
        raw_rim=no_figures,
    )
