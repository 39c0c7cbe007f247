"""A large CT with many nodules and a result for it, made in a moment: for drives that measure time and memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from driving import HERE


def large_result(shape: tuple[int, int, int] = (300, 512, 512), count: int = 50, seed: int = 0) -> Any:
    """A `lnhg` result with `count` balls of 3 to 8 voxels' radius, apart, on a grid of 0.7 x 0.7 x 1 mm."""
    import sys

    sys.path.insert(0, str(HERE.parent))
    from host.handmade import GRIDS, handmade_result

    random = np.random.default_rng(seed)
    pattern = handmade_result(GRIDS["axial"])
    noise = random.normal(-800, 60, 1 << 20).astype(np.int16)
    hu = np.resize(noise, shape)
    labels, image = np.zeros(shape, np.uint16), np.zeros(shape, np.float32)
    heterogeneity = np.full(shape, -1, np.float32)
    ijk_to_ras = np.diag([-0.7, -0.7, 1.0, 1.0])
    across = int(np.ceil(count ** (1 / 3)))
    nodules, radii = [], random.integers(3, min(9, min(shape) // (2 * across)), count)
    for number in range(count):
        place = np.array([number // across**2, number // across % across, number % across])
        centre = ((place + 0.5) * np.array(shape) / across).astype(int)
        radius = int(radii[number])
        box = tuple(slice(one - radius, one + radius + 1) for one in centre)
        distance = np.linalg.norm(np.indices([2 * radius + 1] * 3) - radius, axis=0) / radius
        inside = distance <= 1
        labels[box][inside] = number + 1
        image[box] = (1.2 - distance).clip(0, 1)
        heterogeneity[box][inside] = distance[inside]
        hu[box][inside] = 40
        ras = ijk_to_ras @ [*centre[::-1], 1]
        nodules.append(
            replace(
                pattern.nodules[number % 2],
                id=number + 1,
                **dict(zip(("centre_r", "centre_a", "centre_s"), ras[:3].tolist(), strict=True)),
                slice=int(centre[0]),
                volume=float(inside.sum() * 0.49),
                long_axis=1.4 * radius,
                short_axis=1.4 * radius,
                mean_axis=1.4 * radius,
            )
        )
    ct = replace(pattern.ct, hu=hu, ijk_to_ras=ijk_to_ras)
    return replace(
        pattern,
        ct=ct,
        labels=labels,
        heterogeneity=heterogeneity,
        generated=lambda: image,
        unconfirmed=np.zeros_like(labels),
        nodules=tuple(nodules),
    )
