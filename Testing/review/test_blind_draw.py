"""The blind reader study: which map each reader gets of each nodule, what is kept, and what is told at its end."""

from __future__ import annotations

import csv
import re
from collections import Counter

import pytest

from lnhg.errors import InputError

slicer = pytest.importorskip("slicer", reason="needs the host extra: pip install 'lnhg[host]'")

from host.handmade import GRIDS, handmade_result  # noqa: E402
from host.scenes import added  # noqa: E402
from LNHGSlicerLib.review.reader_study import KINDS, ReaderStudy, blind_reader, draw_kinds, studies_of  # noqa: E402
from LNHGSlicerLib.review.review import Review  # noqa: E402
from LNHGSlicerLib.review.study_summary import summary  # noqa: E402
from LNHGSlicerLib.scene import nodes as lnhg_scene  # noqa: E402
from LNHGSlicerLib.scene.headless import headless_host  # noqa: E402

NODULES = [f"Nodule_{number}" for number in range(1, 13)]
# As many nodules as a study has, each a ball of a few voxels.
BALLS = [((4 + 11 * (n // 6), 8 + 20 * (n % 3), 8 + 16 * (n // 3 % 2)), 2) for n in range(12)]
RESULT = handmade_result(GRIDS["axial"])
OTHER = dict(zip(KINDS, reversed(KINDS), strict=True))


@pytest.fixture
def nodes(host):
    return added(RESULT)


def blind_study(nodes, reader):
    study = ReaderStudy(nodes, reader)
    study.begin_blind()
    return study


def ended(nodes, reader, scores, seconds=0.0):
    """A reader's blind study, all nodules rated with what `scores` says of each kind, and ended."""
    now = [0.0]
    study = ReaderStudy(nodes, reader, lambda: now[0])
    study.begin_blind()
    for segment_id, kind in study.drawn.items():
        study.begin(segment_id)
        now[0] += seconds
        study.rate(segment_id, score=scores[kind], impression="benign" if kind == "inverse" else "malignant")
    study.end_blind()
    return study


def table(study, tmp_path):
    study.export_csv(tmp_path / "study.csv")
    with (tmp_path / "study.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("count", range(8))
def test_half_of_the_nodules_get_each_map_in_an_order_of_chance(count):
    drawn = [draw_kinds(NODULES[:count], {}, (7, number)) for number in range(50)]
    for one in drawn:
        halves = Counter(one.values())
        assert sorted(one) == NODULES[:count] and abs(halves[KINDS[0]] - halves[KINDS[1]]) <= 1
    if count > 2:
        assert len({tuple(one) for one in drawn}) > 3
        assert len({tuple(one[nodule] for nodule in NODULES[:count]) for one in drawn}) > 2


def test_of_an_odd_number_neither_map_always_has_one_more():
    drawn = [Counter(draw_kinds(NODULES[:3], {}, (7, number)).values()).most_common(1)[0][0] for number in range(40)]
    assert 8 < drawn.count(KINDS[0]) < 32


def test_the_kinds_do_not_take_turns_by_which_a_reader_could_foretell_them():
    for place in range(1, 6):
        same = [list(draw_kinds(NODULES[:6], {}, (3, number)).values()) for number in range(200)]
        assert 40 < sum(one[place] == one[place - 1] for one in same) < 160


def test_the_same_seed_draws_the_same_and_another_one_another():
    assert draw_kinds(NODULES, {}, (1, 0)) == draw_kinds(NODULES, {}, (1, 0))
    assert draw_kinds(NODULES, {}, (1, 0)) != draw_kinds(NODULES, {}, (2, 0))


def test_of_two_readers_each_sees_a_nodule_in_another_map_in_an_order_of_their_own(host):
    nodes = added(handmade_result(GRIDS["axial"], BALLS))
    first, second, third, fourth = (blind_study(nodes, reader).drawn for reader in "ABCD")
    for one, mate in ((first, second), (third, fourth)):
        assert mate == {nodule: OTHER[kind] for nodule, kind in one.items()}
        assert list(mate) != list(one)
    counts = Counter((nodule, kind) for drawn in (first, second, third, fourth) for nodule, kind in drawn.items())
    assert set(counts.values()) == {2}


def test_a_reader_who_goes_on_has_the_same_draw_also_after_the_scene_was_saved(nodes, host, tmp_path):
    study = blind_study(nodes, "Ada")
    drawn, first = study.drawn, next(iter(study.drawn))
    study.rate(first, score=40, impression=None)
    assert blind_study(nodes, "Ada").drawn == drawn
    assert host.WriteToMRB(str(tmp_path / "scene.mrb"))
    with headless_host() as opened:
        assert opened.ReadFromMRB(str(tmp_path / "scene.mrb"), True)
        (result,) = lnhg_scene.all_results()
        again = ReaderStudy(result, "Ada")
        assert again.is_blind and list(again.drawn.items()) == list(drawn.items())
        assert again.rating(first).score == 40
        mate = blind_study(result, "Grace").drawn
        assert mate == {nodule: OTHER[kind] for nodule, kind in drawn.items()}


def test_who_thinks_better_of_it_before_the_first_rating_may_and_gets_the_same_draw_again(nodes):
    study = blind_study(nodes, "Ada")
    drawn = study.drawn
    study.leave_blind()
    assert not study.is_blind and study.drawn == {} and study.total == 2
    study.begin_blind()
    assert list(study.drawn.items()) == list(drawn.items())
    study.rate("Nodule_1", score=1, impression=None)
    study.leave_blind()
    assert study.is_blind


def test_who_has_rated_named_maps_gets_no_blind_study_of_the_same_nodules(nodes):
    study = ReaderStudy(nodes, "Ada")
    study.rate("Nodule_1", score=1, impression=None, kind="deviation")
    with pytest.raises(InputError, match="whose map was named"):
        study.begin_blind()
    assert study.rating("Nodule_1").score == 1


def test_a_nodule_that_was_drawn_where_the_generator_has_not_looked_has_no_second_map(nodes):
    slicer.util.arrayFromVolume(nodes.generated)[:] = 0
    corner = slicer.util.arrayFromVolume(nodes.ct) * 0
    corner[15:18, 5:9, 5:9] = 1
    segment = nodes.segmentation.GetSegmentation().AddEmptySegment("drawn")
    slicer.util.updateSegmentBinaryLabelmapFromArray(corner.astype("uint8"), nodes.segmentation, segment, nodes.ct)
    Review(nodes).update()
    with pytest.raises(InputError, match="not looked where nodule 3 was drawn"):
        blind_study(nodes, "Ada")
    Review(nodes).reject("Nodule_3")
    assert sorted(blind_study(nodes, "Ada").drawn) == ["Nodule_1", "Nodule_2"]


def test_the_file_names_the_map_of_each_rating_when_the_study_has_ended_and_not_before(nodes, tmp_path):
    study = blind_study(nodes, "Ada")
    assert [row["map"] for row in table(study, tmp_path)] == ["blind", "blind"]
    for segment_id in study.drawn:
        study.rate(segment_id, score=50, impression=None)
    assert [row["map"] for row in table(study, tmp_path)] == ["blind", "blind"]
    drawn = study.drawn
    study.end_blind()
    assert {f"Nodule_{row['nodule']}": row["map"] for row in table(study, tmp_path)} == drawn


def test_a_study_ends_when_all_is_rated_and_its_ratings_and_times_stay(nodes):
    now = [0.0]
    study = ReaderStudy(nodes, "Ada", lambda: now[0])
    study.begin_blind()
    study.rate("Nodule_1", score=50, impression=None)
    with pytest.raises(InputError, match="Rate all nodules first"):
        study.end_blind()
    study.rate("Nodule_2", score=60, impression=None)
    study.end_blind()
    with pytest.raises(InputError, match="stay as they are"):
        study.rate("Nodule_1", score=99, impression=None)
    study.begin("Nodule_1")
    now[0] += 100
    study.stop()
    assert (study.rating("Nodule_1").score, study.rating("Nodule_1").seconds) == (50, 0)
    study.begin_blind()
    assert study.has_ended


def test_a_nodule_that_came_later_is_no_part_of_the_study(nodes):
    study = blind_study(nodes, "Ada")
    review = Review(nodes)
    outline = review._outlines["Nodule_1"]
    review.add([(outline, nodes.rows[0])])
    study.begin("Nodule_3")
    study.stop()
    assert study.total == 2 and "Nodule_3" not in study.drawn
    with pytest.raises(InputError, match="came after the blind study"):
        study.rate("Nodule_3", score=1, impression=None)


def test_no_map_is_told_apart_while_one_reader_has_not_ended(nodes):
    ended(nodes, "Ada", {"deviation": 70, "inverse": 30})
    blind_study(nodes, "Grace")
    told = summary(studies_of(nodes))
    assert told[0].startswith("Ada: mean score 50.0")
    assert told[1] == "Grace: no score yet"
    assert "when every reader has ended (Grace not)" in told[2]
    assert len(told) == 3 and not re.search("deviation:|inverse|h\\(x\\)", " ".join(told))


def test_the_summary_tells_scores_time_and_agreement_for_each_map(host):
    nodes = added(handmade_result(GRIDS["axial"], BALLS))
    for reader, score in zip("ABCD", (60, 61, 64, 65), strict=True):
        ended(nodes, reader, {"deviation": score, "inverse": score - 20}, seconds=12)
    told = summary(studies_of(nodes))
    assert told[0] == "Map deviation:" and told[7] == "Map inverse:"
    assert told[1] == "A: mean score 60.0, standard deviation 0.0, mean time 12.0 s (nodules: 6)"
    assert told[8] == "A: mean score 40.0, standard deviation 0.0, mean time 12.0 s (nodules: 6)"
    assert re.fullmatch(r"Agreement of scores, ICC\(1,1\): .* two readers or more: 12\)", told[5])
    assert re.fullmatch(r"Agreement of impressions, Fleiss' kappa: .* two or more: 12\)", told[6])
    assert re.fullmatch(
        r"Score with deviation less that with inverse: 20\.0, 95% .* to .* \(nodules scored with both: 12\)", told[-1]
    )


def test_two_readers_agree_on_no_map_since_each_saw_another(nodes):
    for reader in "AB":
        ended(nodes, reader, {"deviation": 70, "inverse": 30})
    told = summary(studies_of(nodes))
    assert [line for line in told if "ICC" in line] == [
        "Agreement of scores, ICC(1,1): not defined (nodules scored with it by two readers or more: 0)"
    ] * 2


def test_ratings_of_named_maps_are_told_for_each_map_too(nodes):
    for reader, kind in (("Ada", "deviation"), ("Grace", "inverse")):
        study = ReaderStudy(nodes, reader)
        for segment_id in ("Nodule_1", "Nodule_2"):
            study.rate(segment_id, score=50, impression=None, kind=kind)
    told = summary(studies_of(nodes))
    assert [line for line in told if line.startswith("Map")] == ["Map deviation:", "Map inverse:"]
    assert "Score with deviation less that with inverse: 0.0, 95% 0.0 to 0.0 (nodules scored with both: 2)" in told


def test_ratings_of_a_scene_of_an_older_version_are_read_and_gone_on_with(nodes):
    study = ReaderStudy(nodes, "Ada")
    study.rate("Nodule_1", score=40, impression="benign")
    (kept,) = studies_of(nodes)
    kept.GetTable().RemoveColumnByName("map")
    assert summary([kept])[0].startswith("Ada: mean score 40.0")
    again = ReaderStudy(nodes, "Ada")
    again.rate("Nodule_2", score=60, impression="benign", kind="deviation")
    assert (again.rating("Nodule_1").score, again.rated) == (40, 2)


def test_nobody_is_at_a_blind_study_of_a_new_result(nodes):
    assert blind_reader(nodes) == ""
