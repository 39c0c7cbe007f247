"""A follow-up beside Slicer: what goes out of the scene, what comes back, and what fails."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="needs the host extra: pip install 'lnhg[host]'")
pytest.importorskip("PySide6", reason="needs the dev extra: pip install 'lnhg[dev]'")

from test_background_run import Loop  # noqa: E402

from host import qt_double  # noqa: E402
from host.followed import RESULT, follow_up  # noqa: E402
from host.scenes import added  # noqa: E402
from lnhg.followup.change import change  # noqa: E402
from lnhg.followup.comparisons import with_comparisons  # noqa: E402
from lnhg.followup.follow import MATCHED, NEW, Pair  # noqa: E402
from lnhg.followup.study import read_study  # noqa: E402
from lnhg.followup.written import save_follow_up  # noqa: E402
from lnhg.options import Options  # noqa: E402
from lnhg.writers.seg_nrrd import id_of_segment  # noqa: E402
from LNHGSlicerLib.run.background import BackgroundCall, BackgroundProcess, SteppedCall  # noqa: E402
from LNHGSlicerLib.scene.headless import headless_host  # noqa: E402

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and process groups of POSIX")


@pytest.fixture
def scene(monkeypatch, tmp_path):
    """An earlier and a later result, and a folder for what runs."""
    qt_double.install(monkeypatch)
    (tmp_path / "temporary").mkdir()
    with headless_host():
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
        own = [replace(RESULT, heterogeneity=RESULT.heterogeneity.copy()) for _ in range(2)]
        yield SimpleNamespace(prior=added(own[0], "Earlier"), current=added(own[1], "This"))


def both_matched():
    """The second nodule is in both studies too."""
    followed = follow_up()
    (step,) = followed.interludes
    first, second = step.pairs
    row = second.earlier
    found = Pair(MATCHED, row, row, second.places, change(row, row, 100, same_protocol=True))
    return with_comparisons(
        replace(followed, interludes=(replace(step, pairs=(first, found)),), tracks=((1, 1), (2, 2)))
    )


def run(scene, tmp_path, followed=None, prior=None, program="", **how):
    """A whole run in whose process `program`, and then files of `followed`, take the place of the method."""
    from LNHGSlicerLib.run.follow_run import FollowRun

    loop, told = Loop(), SimpleNamespace(ends=[], words=[], sent=tmp_path / "sent")
    if followed is not None:
        save_follow_up(followed, tmp_path / "followed", with_identity=True, for_scene=True)
    copy = f"import shutil; shutil.copytree({str(tmp_path / 'followed')!r}, 'followed')" if followed else ""

    def process(command, on_line, on_end):
        told.words = command.words[4:]
        code = f"import os, shutil, sys; shutil.copytree('.', {str(told.sent)!r})\n{program}\n{copy}"
        return BackgroundProcess(
            replace(command, words=[sys.executable, "-c", code]), on_line, on_end, timer=loop.timer
        )

    how = {"days": None, "same_patient": False, "options": Options(device="cpu"), **how}
    made = FollowRun(
        prior or scene.prior,
        scene.current,
        how["days"],
        how["same_patient"],
        how["options"],
        lambda progress: None,
        lambda *end: told.ends.append(end),
        process=process,
        call=partial(BackgroundCall, timer=loop.timer),
        stepped=partial(SteppedCall, timer=loop.timer),
    )
    made.start()
    loop.until(lambda: told.ends)
    ((told.found, told.outcome),) = told.ends
    return told


def test_the_reviewed_studies_go_out_without_what_was_rejected_and_the_rest_comes_back(scene, tmp_path):
    from LNHGSlicerLib.review.answers import comparisons_of
    from LNHGSlicerLib.review.review import Review
    from LNHGSlicerLib.scene.identity import keep_identity

    Review(scene.current).reject(id_of_segment(2))
    keep_identity(scene.current.ct, {"PatientID": "A-1", "StudyDate": "20240310"})
    told = run(scene, tmp_path, both_matched(), days=100.0, options=Options(device="cpu", roi=(0, 1, 0, 1, 0, 1)))
    assert told.outcome.status == "finished", told.outcome
    words = ["follow", "study-1", "study-2", "--output", "followed", "--for-scene", "--with-identity", "--days=100.0"]
    assert told.words == [*words, "--json-progress", "--device=cpu"]
    os.chdir(told.sent)
    for name, count in (("study-1", 2), ("study-2", 1)):
        record = json.loads((told.sent / name / "result.json").read_text())
        assert len(record["nodules"]) == count
    # The path in the record is that of the run's folder, which is gone.
    study = read_study(f"{told.sent / 'study-2'}={told.sent / 'study-2' / 'ct.nrrd'}", "study 2", Options())
    np.testing.assert_array_equal(study.result.labels == 1, RESULT.labels == 1)
    assert record["identity"]["PatientID"] == "A-1" and record["identity"]["StudyDate"] == "20240310"
    # What the process found at the place of the rejected nodule is a nodule of its own.
    assert [(pair.earlier, pair.later) for pair in told.found.pairs] == [(1, 1), (2, 3)]
    assert [row.id for row in scene.current.rows] == [1, 2, 3]
    from LNHGSlicerLib.review.verdicts import verdict_of

    assert verdict_of(scene.current, id_of_segment(3)) == "open"
    assert "Found in this CT by looking at their place: 1;" in told.outcome.message
    assert told.found.is_current
    # The categories know how it grew.
    assert set(comparisons_of(scene.current)) == {1, 3}
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_study_from_the_disk_comes_into_the_scene_with_whose_it_is(scene, tmp_path):
    from LNHGSlicerLib.scene.identity import identity_of

    followed = follow_up()
    result = replace(RESULT, ct=replace(RESULT.ct, identity={"PatientID": "A-1", "StudyDate": "20240310"}))
    prior = replace(followed.studies[0], result=result)
    place = tmp_path / "prior.mrb"
    place.touch()
    told = run(scene, tmp_path, replace(followed, studies=(prior, followed.studies[1])), prior=place)
    assert told.outcome.status == "finished", told.outcome
    assert told.words[1:3] == [str(place), "study-2"]
    assert told.found.prior.ct.GetName() == "prior.mrb" and len(told.found.prior.rows) == 2
    assert identity_of(told.found.prior.ct) == {"PatientID": "A-1", "StudyDate": "20240310"}

    assert not told.found.prior.segmentation.GetDisplayNode().GetVisibility(), "till both are shown side by side"


def test_what_the_reader_answered_goes_out_with_the_nodules_under_their_new_numbers(scene, tmp_path):
    from LNHGSlicerLib.review.answers import answer
    from LNHGSlicerLib.review.review import Review

    Review(scene.current).reject(id_of_segment(1))
    answer(scene.current, "exam", "first screening", None)
    answer(scene.current, "airway", "subsegmental", 1)
    answer(scene.current, "airway", "segmental or more proximal", 2)
    told = run(scene, tmp_path, both_matched())
    study = read_study(f"{told.sent / 'study-2'}={told.sent / 'study-2' / 'ct.nrrd'}", "study 2", Options())
    assert study.result.answers.as_record() == {
        "patient": {"exam": "first screening"},
        "nodules": {"1": {"airway": "segmental or more proximal"}},
    }


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            "The studies differ in sex; give studies of one patient, or confirm that they are of one (--same-patient).",
            "tick that they are of one patient",
        ),
        ("The lungs of study 1 and study 2 do not lie on each other.", "The lungs of the earlier CT and this CT do"),
    ],
)
def test_what_the_process_refuses_is_said_in_the_words_of_the_panel(scene, tmp_path, said, shown):
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    program = f"import json; print(json.dumps({{'error': {said!r}}})); sys.exit(2)"
    told = run(scene, tmp_path, program=program)
    assert told.outcome.status == "failed" and shown in told.outcome.message and "--" not in told.outcome.message
    assert told.found is None and slicer.mrmlScene.GetNumberOfNodes() == nodes


def test_results_that_are_not_whole_are_told_and_nothing_is_added(scene, tmp_path):
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    told = run(scene, tmp_path, program="os.mkdir('followed')")
    assert told.outcome.status == "failed" and told.found is None
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes


def test_a_new_nodule_has_a_place_in_the_earlier_study_alone(scene, tmp_path):
    followed = follow_up()
    (step,) = followed.interludes
    first, second = step.pairs
    new = Pair(NEW, None, second.earlier, second.places, None)
    told = run(scene, tmp_path, replace(followed, interludes=(replace(step, pairs=(first, new)),)))
    assert told.outcome.status == "finished", told.outcome
    assert (told.found.pairs[1].earlier, told.found.pairs[1].later, told.found.pairs[1].state) == (None, 2, NEW)
    assert told.found.counts() == {"matched": 1, "new": 1}
    assert "matched: 1, new: 1" in told.outcome.message
