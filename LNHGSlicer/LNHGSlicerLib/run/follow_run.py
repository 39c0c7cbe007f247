"""Following the nodules of an earlier study to the CT of the scene, in a process beside Slicer."""

from __future__ import annotations

import csv
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from lnhg.errors import InputError
from lnhg.options import Options
from lnhg.progress import Progress

from .beside import Outcome, RunBeside
from .option_words import option_words

if TYPE_CHECKING:
    from lnhg.core.comparison import Comparison
    from lnhg.core.nodule import Nodule

    from ..review.follow_up import FollowUpNodes
    from ..review.outlines import Outline
    from ..scene.nodes import PreparedResult, SceneNodes

# Names inside the run's own folder.
_STUDIES, _FOLLOWED = ("study-1", "study-2"), "followed"


@dataclass(frozen=True, eq=False)
class _Loaded:
    """What came of the process.

    Attributes:
        record, rows, report: `follow.json`, the table's rows with titles, and the page.
        found: for each study the nodules that only a seed found in it, with their outlines.
        comparisons: of the later study's nodules, by their numbers there; the categories hang on them.
        prior: of an earlier study from disk the result, ready for the scene, and whose it is; else None.
    """

    record: dict[str, Any]
    rows: list[dict[str, str]]
    report: str
    found: tuple[list[tuple[Outline, Nodule]], ...]
    comparisons: dict[int, Comparison]
    prior: tuple[PreparedResult, dict[str, Any]] | None


class FollowRun(RunBeside):
    """Follows the nodules of an earlier study to a result of the scene; see `RunBeside`.

    Nodules that a seed found in either study come to its result, to be judged; an earlier study from disk comes into
    the scene.

    Args:
        prior: the earlier study: a result of the scene, or a place on disk as `lnhg.follow` takes it.
        current: the later one.
        days: between them, where the headers do not say.
        same_patient: the reader confirmed that they are of one patient.
        options: of a run on an earlier study that was not segmented, and of the looks with seeds.
        on_progress, on_finished, how: as `RunBeside` takes them; `FollowUpNodes` are added.
    """

    def __init__(
        self,
        prior: SceneNodes | Path,
        current: SceneNodes,
        days: float | None,
        same_patient: bool,
        options: Options,
        on_progress: Callable[[Progress], object],
        on_finished: Callable[[FollowUpNodes | None, Outcome], object],
        **how: Any,
    ) -> None:
        super().__init__(on_progress, on_finished, **how)
        self._prior, self._current = prior, current
        self._days, self._same_patient = days, same_patient
        self._options = replace(options, roi=None, slices=None, seeds_only=False)
        self._states: list[str] = []
        self._numbers: list[list[int]] = []

    @property
    def _in_scene(self) -> list[SceneNodes]:
        return [one for one in (self._prior, self._current) if not isinstance(one, Path)]

    def _gathered(self) -> Callable[[Path], Sequence[str]]:
        from ..review.study_out import StudyOut

        studies = [StudyOut.of(one) for one in self._in_scene]
        self._states = [one.state for one in studies]

        def write(folder: Path) -> Sequence[str]:
            names = _STUDIES[-len(studies) :]
            self._numbers = [study.write(folder / name) for study, name in zip(studies, names, strict=True)]
            places = [str(self._prior.absolute())] if isinstance(self._prior, Path) else []
            words = ["follow", *places, *names, "--output", _FOLLOWED, "--for-scene", "--with-identity"]
            words += [] if self._days is None else [f"--days={self._days!r}"]
            words += ["--same-patient"] if self._same_patient else []
            return [*words, "--json-progress", *option_words(self._options)]

        return write

    def _check_unchanged(self) -> None:
        from ..review.study_out import state_of

        self._check_there()
        if [state_of(one) for one in self._in_scene] != self._states:
            raise InputError(_("The nodules were changed while the run began; follow again."))

    def _check_there(self) -> None:
        from ..scene.nodes import is_whole, why_not_on_ct

        if not all(is_whole(one) and not why_not_on_ct(one) for one in self._in_scene):
            raise InputError(
                _("A CT or its nodules were removed, moved or changed meanwhile; nothing was added, follow again.")
            )

    def _for_reader(self, sentence: str) -> str:
        from ..review.follow_up import for_reader

        return for_reader(sentence)

    def _loaded(self, folder: Path) -> _Loaded:
        from lnhg.core.plain_file import mapping_of
        from lnhg.followup.read_back import FILES

        done = folder / _FOLLOWED
        record = mapping_of(done / FILES["record"])
        rows = list(csv.DictReader((done / FILES["table"]).read_text(encoding="utf-8").splitlines()))
        report = (done / FILES["report"]).read_text(encoding="utf-8")
        prior = _read_prior(done / _STUDIES[0]) if isinstance(self._prior, Path) else None
        known = [len(numbers) for numbers in self._numbers]
        found = tuple(_beyond(done / name, count) for name, count in zip(_STUDIES[-len(known) :], known, strict=True))
        return _Loaded(record, rows, report, found, _comparisons(done / _STUDIES[1]), prior)

    def _added(self, loaded: _Loaded) -> Generator[None, None, tuple[FollowUpNodes, str]]:
        from ..scene.steps import all_or_none

        self._check_there()
        kept = yield from all_or_none(self._adding(loaded))
        return kept, _told(kept, [len(one) for one in loaded.found][-1])

    def _adding(self, loaded: _Loaded) -> Generator[None, None, FollowUpNodes]:
        from ..review.answers import set_comparisons
        from ..review.follow_up import keep_follow_up
        from ..review.review import Review
        from ..review.study_out import state_of

        prior = None
        if loaded.prior is not None:
            assert isinstance(self._prior, Path)
            prior = yield from _adding_prior(self._prior, *loaded.prior)
            yield
            self._check_there()
        studies, numbers, states = list(self._in_scene), [list(one) for one in self._numbers], list(self._states)
        for place, found in enumerate(loaded.found):
            unchanged = state_of(studies[place]) == states[place]
            numbers[place] += Review(studies[place]).add(found) if found else []
            states[place] = state_of(studies[place]) if unchanged else states[place]
        if prior is not None:
            studies.insert(0, prior)
            numbers.insert(0, [row.id for row in prior.rows])
            states.insert(0, state_of(prior))
        set_comparisons(self._current, {numbers[-1][n - 1]: one for n, one in loaded.comparisons.items()})
        return keep_follow_up(studies, numbers, states, loaded.record, loaded.rows, loaded.report)


def _told(kept: FollowUpNodes, found: int) -> str:
    counts = kept.counts()
    told = ", ".join(f"{state}: {count}" for state, count in counts.items()) or _("no nodule in either study")
    sentence = _("Followed: {told}.").format(told=told)
    more = _("Found in this CT by looking at their place: {count}; they wait for your verdict.")
    return f"{sentence} {more.format(count=found)}" if found else sentence


def _beyond(folder: Path, known: int) -> list[tuple[Outline, Nodule]]:
    """The nodules of a study after the first `known` ones, which a seed found, with their outlines."""
    import numpy as np

    from lnhg.core.boxes import label_boxes
    from lnhg.readers.image_file import read_beside
    from lnhg.writers.read_back import load_reading

    from ..review.outlines import Outline

    told, _sentence = load_reading(folder)
    nodules = [one.nodule for one in told]
    if len(nodules) == known:
        return []
    labels = np.where((values := read_beside(folder / "labels.nrrd").values) > known, values, 0)
    boxes = label_boxes(labels)
    return [(Outline(boxes[one.id], labels[boxes[one.id]] == one.id), one) for one in nodules[known:]]


def _comparisons(folder: Path) -> dict[int, Comparison]:
    from lnhg.core.comparison import comparisons_of_record
    from lnhg.core.plain_file import mapping_of
    from lnhg.writers.own_files import RECORD

    return comparisons_of_record(mapping_of(folder / RECORD).get("comparisons", {}))


def _read_prior(folder: Path) -> tuple[PreparedResult, dict[str, Any]]:
    """The earlier study as the process read it, ready for the scene, and whose it is."""
    from lnhg.core.plain_file import mapping_of
    from lnhg.followup.read_back import CT_FILE
    from lnhg.readers.read_ct import read_ct
    from lnhg.writers.own_files import RECORD
    from lnhg.writers.read_back import load_result

    from ..scene.nodes import prepare

    identity = mapping_of(folder / RECORD).get("identity", {})
    return prepare(load_result(folder, read_ct(folder / CT_FILE))), identity


def _adding_prior(place: Path, prepared: PreparedResult, identity: dict[str, Any]) -> Generator[None, None, SceneNodes]:
    from ..scene import nodes as scene
    from ..scene.identity import keep_identity

    ct = prepared.result.ct
    node = scene.add_ct(ct.hu, ct.ijk_to_ras, place.name)
    keep_identity(node, identity)
    yield
    made = yield from scene.adding(node, prepared)
    made.segmentation.GetDisplayNode().SetVisibility(False)  # it would lie over the CT that the reader is at
    return made
