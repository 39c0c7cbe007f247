"""One run of the method on a CT of the scene, in a process beside Slicer."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from lnhg.options import Options
from lnhg.progress import Progress

from .beside import Outcome, RunBeside
from .option_words import option_words
from .taken_ct import TakenCT

if TYPE_CHECKING:
    from lnhg.core.ct import CT
    from lnhg.core.nodule import Nodule
    from lnhg.core.result import Result

    from ..scene.nodes import PreparedResult, SceneNodes

# Names inside the run's own folder, where the process works: plain whatever the folder is called.
CT_FILE, _RESULTS = "ct.nrrd", "results"


def nodules_found(count: int) -> str:
    """What is told of a run that has added nodules."""
    return _("Nodules found: {count}").format(count=count)


def nothing_there() -> str:
    """What is told where a run at given points found nothing."""
    return _("Nothing that looks like a nodule was found there; nothing was added.")


@dataclass(frozen=True)
class SegmentedNodules:
    """What a run added to the scene, and what the method says of it."""

    nodes: SceneNodes
    rows: tuple[Nodule, ...]
    warnings: tuple[str, ...]
    provenance: Mapping[str, object]

    @property
    def segmentation(self) -> Any:
        """The segmentation node."""
        return self.nodes.segmentation

    @property
    def heterogeneity(self) -> Any:
        """The volume node of the map."""
        return self.nodes.heterogeneity

    @property
    def table(self) -> Any:
        """The table node, a row a nodule."""
        return self.nodes.table


def add_and_show(volume_node: Any, result: Result) -> SegmentedNodules:
    """Add a result of the CT of `volume_node` to the scene and show it in the slice views, at its first nodule."""
    from ..scene.nodes import add_result

    return segmented(add_result(volume_node, result), result, show=True)


def segmented(nodes: SceneNodes, result: Result, *, show: bool) -> SegmentedNodules:
    """What a run that had this result added to the scene: shown in the slice views, or hidden there until it is."""
    from ..scene import nodes as scene

    if show:
        scene.show(nodes)
        scene.jump_to_first_nodule(nodes)
    else:
        nodes.segmentation.GetDisplayNode().SetVisibility(False)
    return SegmentedNodules(nodes, result.nodules, result.warnings, result.provenance)


class SegmentationRun(RunBeside):
    """One run on the CT of a node; see `RunBeside`. A run at given points that finds nothing there adds nothing.

    Args:
        volume_node: the CT.
        options: what to do.
        seeds: RAS points, mm, each segmented whatever the detector says; like the region of the options they lie on the
            CT's own grid, without its parent transform.
        show: whether the slice views show what was added.
        on_progress, on_finished, how: as `RunBeside` takes them; `SegmentedNodules` are added.
    """

    def __init__(
        self,
        volume_node: Any,
        options: Options,
        seeds: Sequence[Sequence[float]],
        on_progress: Callable[[Progress], object],
        on_finished: Callable[[SegmentedNodules | None, Outcome], object],
        *,
        show: bool = True,
        **how: Any,
    ) -> None:
        super().__init__(on_progress, on_finished, **how)
        self._node, self._options, self._seeds, self._show = volume_node, options, seeds, show
        self._taken: TakenCT | None = None
        self._ct: CT | None = None

    def _gathered(self) -> Callable[[Path], Sequence[str]]:
        self._taken = TakenCT(self._node)
        read = self._taken.reader()

        def write(folder: Path) -> Sequence[str]:
            from lnhg.core.nrrd_file import write_nrrd

            self._ct = read()
            write_nrrd(folder / CT_FILE, self._ct.hu, self._ct.ijk_to_ras, packed=False)
            words = ["segment", CT_FILE, "--output", _RESULTS, "--json-progress", "--for-scene"]
            return [*words, *option_words(self._options, self._seeds)]

        return write

    def _check_unchanged(self) -> None:
        assert self._taken is not None
        self._taken.check_unchanged()

    def _for_reader(self, sentence: str) -> str:
        return sentence.replace(CT_FILE, self._node.GetName() or CT_FILE)  # the reader knows no such file

    def _loaded(self, folder: Path) -> PreparedResult:
        """The results, ready for the scene."""
        from lnhg.writers.read_back import load_result

        from ..scene.nodes import prepare

        assert self._ct is not None
        for needed in ("lnhg.stages.measurement", "LNHGSlicerLib.review.added_nodules"):
            import_module(needed)  # by the review that follows; it takes a second
        return prepare(load_result(folder / _RESULTS, self._ct))

    def _added(self, loaded: PreparedResult) -> Generator[None, None, tuple[SegmentedNodules | None, str]]:
        """The results as nodes of the scene, if they lie on the grid of the CT."""
        from ..scene.steps import all_or_none

        assert self._taken is not None
        self._taken.check()
        if self._options.seeds_only and not loaded.result.nodules:
            return None, nothing_there()
        added = yield from all_or_none(self._adding(loaded))
        return added, nodules_found(len(added.rows))

    def _adding(self, loaded: PreparedResult) -> Generator[None, None, SegmentedNodules]:
        from ..scene.nodes import adding

        assert self._taken is not None
        nodes = yield from adding(self._node, loaded, self._taken.check)
        return segmented(nodes, loaded.result, show=self._show)

    def _finish(self, added: Any, outcome: Outcome) -> None:
        self._ct = None  # large
        super()._finish(added, outcome)
