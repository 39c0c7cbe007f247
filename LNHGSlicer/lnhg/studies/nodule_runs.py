"""The generator's image and the outline of many cut-outs, kept on disk so that a study that was cut off goes on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ..core.atomic_file import whole
from ..data.cutouts import Cutout
from ..evaluation.seeded import seeded
from ..networks.models import Models
from ..networks.runtime import TileGenerator
from ..stages.axial import axial_order
from ..stages.heterogeneity_from_twin import twin_differences
from ..stages.heterogeneity_maps import outlines_of
from .planted_maps import generator_of, running

#: What was done to a cut-out before the run: nothing.
AS_IT_IS = "as it is"


@dataclass(frozen=True, eq=False)
class NoduleRun:
    """One cut-out, seeded at the centre of its consensus; arrays are `[slice, row, column]` on its grid.

    Attributes:
        image: G(x), float32, 0 where the generator was not run.
        found: bool, the method's own outline; all False where it found nothing.
    """

    image: np.ndarray
    found: np.ndarray


@dataclass(frozen=True, eq=False)
class NoduleRuns:
    """Runs of one generator. Those done before are read from `folder`, in a part of it named after the weights'
    SHA-256.
    """

    models: Models
    folder: Path

    def run(self, cutout: Cutout, change: str = AS_IT_IS) -> NoduleRun:
        """The run on a cut-out; `change` tells apart what was done to a cut-out of the same name."""
        path = self._place / change.replace(" ", "-") / f"{cutout.name}.npz"
        if not path.is_file():
            result = seeded(cutout, self.models)
            _write(path, NoduleRun(result.image, result.labels > 0))
        with np.load(path) as stored:
            return NoduleRun(stored["image"].astype(np.float32), stored["found"])

    @property
    def _place(self) -> Path:
        return self.folder / str(self.models.manifests["generator"]["sha256"])[:16]


@dataclass(frozen=True, eq=False)
class NoduleTwins:
    """Maps of the kind `twin` of cut-outs, by one generator."""

    models: Models

    def map(self, cutout: Cutout, mask: np.ndarray) -> np.ndarray:
        """|G(twin) - G(x)| / max G(x) in `mask` (bool `[slice, row, column]`), float32, 0 outside."""
        view = axial_order(cutout.ct)
        outlines = outlines_of(view.to_axial(mask.astype(np.uint8)))
        found = np.zeros(view.ct.hu.shape, np.float32)
        grid = self.models.grid("generator")
        for number, values in twin_differences(view.ct, outlines, grid, running(self._generator)).items():
            found[outlines[number][0]] = values
        return view.from_axial(found)

    @cached_property
    def _generator(self) -> TileGenerator:
        return generator_of(self.models)


def _write(path: Path, run: NoduleRun) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, image=run.image.astype(np.float16), found=run.found)
