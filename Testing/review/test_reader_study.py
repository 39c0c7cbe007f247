"""The reader study: ratings of several readers blind to each other, their time, and how far they agree."""

from __future__ import annotations

import csv
import math
from dataclasses import replace

import pytest

from lnhg.errors import InputError

slicer = pytest.importorskip("slicer", reason="needs the host extra: pip install 'lnhg[host]'")

from host.handmade import GRIDS, handmade_result  # noqa: E402
from host.scenes import added  # noqa: E402
from LNHGSlicerLib.review.reader_study import ReaderStudy, studies_of  # noqa: E402
from LNHGSlicerLib.review.review import Review, carry_over  # noqa: E402
from LNHGSlicerLib.review.study_summary import fleiss_kappa, summary  # noqa: E402
from LNHGSlicerLib.scene import nodes as lnhg_scene  # noqa: E402
from LNHGSlicerLib.scene.headless import headless_host  # noqa: E402

ONE, TWO = "Nodule_1", "Nodule_2"
RESULT = handmade_result(GRIDS["axial"])


class Clock:
    seconds = 0.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def nodes(host):
    return added(RESULT)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def study(nodes, clock):
    return ReaderStudy(nodes, "Reader A", clock)


def rate(study, *scores_and_impressions):
    for segment_id, (score, impression) in zip((ONE, TWO), scores_and_impressions, strict=True):
        study.rate(segment_id, score=score, impression=impression)


def test_a_rating_is_kept_and_replaced_by_a_later_one(study):
    assert study.rating(ONE) is None
    study.rate(ONE, score=40, impression="benign", comment="calcified rim")
    study.rate(ONE, score=70, impression="malignant", comment="spiculated")
    kept = study.rating(ONE)
    assert (kept.score, kept.impression, kept.comment) == (70, "malignant", "spiculated")
    assert (study.rated, study.total) == (1, 2)


def test_nobody_types_over_a_rating(study):
    study.rate(ONE, score=40, impression="benign")
    assert all(table.GetLocked() for table in slicer.util.getNodesByClass("vtkMRMLTableNode"))


def test_a_rating_may_lack_score_or_impression(study):
    study.rate(ONE, score=None, impression="uncertain")
    study.rate(TWO, score=0, impression=None)
    assert (study.rating(ONE).score, study.rating(TWO).impression) == (None, None)
    assert study.rating(TWO).score == 0
    assert study.rated == 1


@pytest.mark.parametrize(
    ("score", "impression", "sentence"), [(101, None, "0 to 100"), (-1, None, "0 to 100"), (5, "bad", "none of")]
)
def test_a_rating_that_there_is_not_is_refused_and_changes_nothing(study, score, impression, sentence):
    study.rate(ONE, score=50, impression="benign")
    with pytest.raises(InputError, match=sentence):
        study.rate(ONE, score=score, impression=impression)
    assert study.rating(ONE).score == 50


def test_a_study_needs_a_name(nodes):
    with pytest.raises(InputError, match="name"):
        ReaderStudy(nodes, "  ")


def test_the_time_is_counted_for_the_nodule_that_the_reader_is_at(study, clock):
    study.begin(ONE)
    clock.seconds = 10
    study.begin(TWO)
    clock.seconds = 14
    study.rate(TWO, score=1, impression=None)
    clock.seconds = 20
    study.begin(ONE)
    study.begin(ONE)
    clock.seconds = 21
    study.stop()
    clock.seconds = 99
    study.rate(ONE, score=1, impression=None)
    assert (study.rating(ONE).seconds, study.rating(TWO).seconds) == (11, 10)


def test_readers_are_blind_to_each_other_and_each_finds_the_own_ratings_again(study, nodes, clock):
    study.rate(ONE, score=40, impression="benign")
    other = ReaderStudy(nodes, "Reader B", clock)
    assert other.rating(ONE) is None
    other.rate(ONE, score=90, impression="malignant")
    assert ReaderStudy(nodes, " Reader  A ", clock).rating(ONE).score == 40
    assert [table.GetName() for table in studies_of(nodes)] == ["Reader study: Reader A", "Reader study: Reader B"]
    assert all(table.GetHideFromEditors() for table in studies_of(nodes))


def test_the_studies_of_another_scan_are_kept_apart(study, clock):
    study.rate(ONE, score=40, impression="benign")
    elsewhere = ReaderStudy(added(RESULT), "Reader A", clock)
    assert elsewhere.rating(ONE) is None


def test_rejected_nodules_are_not_rated(study, nodes):
    Review(nodes).reject(TWO)
    assert study.total == 1


def test_ratings_are_there_again_after_the_scene_was_saved_and_opened(study, clock, host, tmp_path):
    clock.seconds = 3
    study.begin(TWO)
    clock.seconds = 5.5
    study.rate(TWO, score=55, impression="uncertain", comment='größer, "spiky"\tand\nnew; 5 mm')
    assert host.WriteToMRB(str(tmp_path / "scene.mrb"))
    with headless_host() as opened:
        assert opened.ReadFromMRB(str(tmp_path / "scene.mrb"), True)
        again = ReaderStudy(lnhg_scene.all_results()[0], "Reader A", clock)
        kept = again.rating(TWO)
        assert (kept.score, kept.impression, kept.seconds) == (55, "uncertain", 2.5)
        assert kept.comment == "größer, 'spiky' and new; 5 mm"
        assert again.rating(ONE) is None
        again.rate(ONE, score=None, impression="benign")
        assert again.rating(ONE).score is None


def test_a_study_that_was_saved_before_the_first_rating_can_be_gone_on_with(study, host, tmp_path):
    assert host.WriteToMRB(str(tmp_path / "scene.mrb"))
    with headless_host() as opened:
        assert opened.ReadFromMRB(str(tmp_path / "scene.mrb"), True)
        again = ReaderStudy(lnhg_scene.all_results()[0], "Reader A")
        again.rate(ONE, score=30, impression="benign", comment="small")
        assert (again.rating(ONE).score, again.rating(ONE).comment) == (30, "small")


def test_a_reader_who_writes_the_name_in_other_letters_is_the_same_one(study, nodes):
    rate(study, (10, "benign"), (20, "benign"))
    again = ReaderStudy(nodes, " reader  a ")
    assert again.rating(ONE).score == 10 and again.reader == "Reader A"
    assert len(studies_of(nodes)) == 1


#: One name: in other letters, with blanks around and inside, decomposed, in wide letters, with a letter nobody sees.
SPELLINGS = ["zoë ada", "  ZOË \t ADA\u00a0", "Zoe\u0308 Ada", "Ｚｏë\u3000Ａｄａ", "\ufeffZoë Ada\u200b"]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_reader_is_one_in_the_summary_of_several_scans_however_the_name_is_written(nodes, spelling):
    rate(ReaderStudy(nodes, "Zoë Ada"), (40, "benign"), (60, "malignant"))
    elsewhere = added(RESULT)
    rate(ReaderStudy(elsewhere, spelling), (80, "benign"), (100, "malignant"))
    rate(ReaderStudy(elsewhere, "Zoe Ada"), (0, "benign"), (0, "benign"))
    told = summary([*studies_of(nodes), *studies_of(elsewhere)])
    assert told[0].startswith("Zoe Ada: mean score 0.0") and "(nodules: 2)" in told[0]
    assert told[1].startswith("Zoë Ada: mean score 70.0") and "(nodules: 4)" in told[1]
    assert "2 readers" in told[2]


def written_apart(nodes, one, other):
    """Two tables of one reader, as versions kept them that took two spellings for two readers."""
    first, second = ReaderStudy(nodes, one), ReaderStudy(nodes, "somebody else")
    studies_of(nodes)[1].SetAttribute("LNHG.Reader", other)
    return first, second


def test_two_spellings_in_a_scene_of_an_older_version_do_not_agree_with_each_other(nodes):
    first, second = written_apart(nodes, "Ada", "ada")
    rate(first, (40, "benign"), (None, None))
    rate(second, (80, "malignant"), (90, "malignant"))
    told = summary(studies_of(nodes))
    assert told[0].startswith("Ada: mean score 65.0") and "at least two readers" in told[1]


def test_what_such_a_reader_rated_under_either_spelling_is_there_when_the_study_goes_on(nodes):
    first, second = written_apart(nodes, "Ada", "ada")
    first.rate(ONE, score=40, impression="benign")
    rate(second, (80, "malignant"), (90, "malignant"))
    again = ReaderStudy(nodes, "ADA")
    assert (again.reader, again.rating(ONE).score, again.rating(TWO).score) == ("Ada", 40, 90)
    assert again.rated == 2 and len(studies_of(nodes)) == 1


def test_the_csv_has_a_row_for_each_nodule_and_nothing_of_other_readers(study, nodes, clock, tmp_path):
    ReaderStudy(nodes, "Reader B", clock).rate(ONE, score=1, impression="malignant")
    study.rate(TWO, score=62.5, impression="benign", comment="round, smooth", kind="inverse")
    study.export_csv(tmp_path / "study.csv")
    with (tmp_path / "study.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["reader", "nodule", "map", "score (0 to 100)", "impression", "comment", "time (s)"]
    assert rows[1] == ["Reader A", "1", "", "", "", "", "0.0"]
    assert rows[2] == ["Reader A", "2", "inverse", "62.5", "benign", "round, smooth", "0.0"]
    assert len(rows) == 3


def test_a_csv_that_cannot_be_written_says_so_and_leaves_nothing(study, tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        study.export_csv(tmp_path / "no such folder" / "study.csv")
    (tmp_path / "taken").mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        study.export_csv(tmp_path / "taken")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_the_summary_gives_mean_and_deviation_of_each_reader_and_their_agreement(study, nodes, clock):
    rate(study, (40, "benign"), (60, "malignant"))
    rate(ReaderStudy(nodes, "Reader B", clock), (50, "benign"), (80, "malignant"))
    assert summary(studies_of(nodes)) == [
        "Reader A: mean score 50.0, standard deviation 14.1, mean time 0.0 s (nodules: 2)",
        "Reader B: mean score 65.0, standard deviation 21.2, mean time 0.0 s (nodules: 2)",
        "Agreement of scores, ICC(2,1): 0.71 (nodules scored by all 2 readers: 2)",
        "Agreement of impressions, Fleiss' kappa: 1.00 (nodules judged by all: 2)",
    ]


def test_nodules_that_a_reader_left_out_count_for_the_others_but_not_for_the_agreement(study, nodes, clock):
    rate(study, (40, "benign"), (60, None))
    rate(ReaderStudy(nodes, "Reader B", clock), (None, "benign"), (80, "malignant"))
    lines = summary(studies_of(nodes))
    assert lines[1] == "Reader B: mean score 80.0, standard deviation not defined, mean time 0.0 s (nodules: 1)"
    assert lines[2] == "Agreement of scores, ICC(2,1): not defined (nodules scored by all 2 readers: 1)"
    assert lines[3] == "Agreement of impressions, Fleiss' kappa: not defined (nodules judged by all: 1)"


def test_the_summary_of_several_scans_takes_their_nodules_together(study, nodes, clock):
    rate(study, (40, "benign"), (60, "malignant"))
    elsewhere = added(RESULT)
    rate(ReaderStudy(elsewhere, "Reader A", clock), (80, "benign"), (100, "malignant"))
    assert summary([*studies_of(nodes), *studies_of(elsewhere)])[0].startswith("Reader A: mean score 70.0")


def test_a_single_reader_has_no_agreement_and_no_reader_no_summary_of_scores(study, nodes):
    study.rate(ONE, score=None, impression="benign")
    assert summary(studies_of(nodes)) == [
        "Reader A: no score yet",
        "Agreement needs the ratings of at least two readers.",
    ]
    assert summary([]) == ["Agreement needs the ratings of at least two readers."]


def test_kappa_is_that_of_fleiss_own_kind_of_table():
    # A widely used worked example: 10 subjects, 14 raters, 5 categories; kappa = 0.210
    counts = [
        (0, 0, 0, 0, 14), (0, 2, 6, 4, 2), (0, 0, 3, 5, 6), (0, 3, 9, 2, 0), (2, 2, 8, 1, 1),
        (7, 7, 0, 0, 0), (3, 2, 6, 3, 0), (2, 5, 3, 2, 2), (6, 5, 2, 1, 0), (0, 2, 2, 3, 7),
    ]  # fmt: skip
    ratings = [[str(category) for category, count in enumerate(row) for _ in range(count)] for row in counts]
    assert fleiss_kappa(ratings) == pytest.approx(0.210, abs=5e-4)


def test_kappa_is_1_for_full_agreement_and_not_defined_for_one_category_only():
    assert fleiss_kappa([["benign"] * 3, ["malignant"] * 3]) == pytest.approx(1)
    assert math.isnan(fleiss_kappa([["benign"] * 3]))
    assert math.isnan(fleiss_kappa([]))


def test_ratings_come_along_with_a_second_run_where_outline_and_map_are_the_same(nodes, clock, study):
    rate(study, (70, "malignant"), (20, "benign"))
    second = lnhg_scene.add_result(nodes.ct, RESULT)
    changes = carry_over(nodes, second)
    again = ReaderStudy(second, "Reader A", clock)
    assert [again.rating(one).score for one in (ONE, TWO)] == [70, 20]
    assert changes.ratings_left == 0 and "Ratings" not in str(changes)


def test_ratings_of_another_map_stay_with_the_earlier_result_and_that_is_told(nodes, clock, study):
    rate(study, (70, "malignant"), (20, "benign"))
    second = lnhg_scene.add_result(
        nodes.ct, replace(RESULT, options=replace(RESULT.options, rim=RESULT.options.rim + 1))
    )
    changes = carry_over(nodes, second)
    assert ReaderStudy(second, "Reader A", clock).rated == 0
    assert ReaderStudy(nodes, "Reader A", clock).rated == 2
    assert "Ratings that stay with the earlier result, since outline or map is another now: 2." in str(changes)


def test_a_blind_study_comes_along_as_it_was_drawn(nodes, clock, study):
    study.begin_blind()
    first = next(iter(study.drawn))
    study.rate(first, score=55, impression="benign")
    second = lnhg_scene.add_result(nodes.ct, RESULT)
    carry_over(nodes, second)
    again = ReaderStudy(second, "Reader A", clock)
    assert again.is_blind and again.drawn == study.drawn and again.rating(first).score == 55
