"""One patient's nodules through several studies, in a small drawn chest with the stand-in networks."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
from dataclasses import replace

import nibabel
import numpy as np
import pytest
from scipy import ndimage

from commanded import followed
from dicom_files import write_series
from lnhg.cli import main
from lnhg.core.ct import CT
from lnhg.core.nrrd_file import write_nrrd
from lnhg.errors import InputError
from lnhg.followup.follow import MATCHED, MERGED, NEW, OUTSIDE, RESOLVED, SEEN_AGAIN, FollowUp, follow
from lnhg.followup.read_back import change_of
from lnhg.followup.registration import LungScan, register
from lnhg.followup.report import change_texts
from lnhg.followup.written import save_follow_up
from lnhg.options import Options
from lnhg.readers.read_ct import read_ct
from lnhg.writers import scenes
from lnhg.writers.results import save
from standins import standin_models

SHAPE, SPACING = (56, 84, 108), (2.5, 2.5, 3.0)  # slices, rows, columns; mm along columns, rows, slices
GRID = np.diag([-2.5, -2.5, 3.0, 1.0])
RIGHT, LEFT = (28, 44, 30), (30, 42, 78)  # places of nodules: slice, row, column
OPTIONS = Options(threads=1)


def chest(nodules: dict[tuple[int, int, int], float], patient: int = 0, noise: int = 0, move: float = 0.0) -> CT:
    """A chest with the vessels of a patient and bright balls (place -> radius, mm); `move`: mm, turned a little too."""
    k, j, i = np.meshgrid(*map(np.arange, SHAPE), indexing="ij")
    body = ((j - 42) / 38) ** 2 + ((i - 54) / 50) ** 2 < 1
    lungs = np.zeros(SHAPE, bool)
    for middle in (30, 78):
        lungs |= ((k - 28) / 25) ** 2 + ((j - 43) / 26) ** 2 + ((i - middle) / 17) ** 2 < 1
    hu = np.where(lungs, -860.0, np.where(body, 40.0, -1000.0))
    hu += np.where(lungs, vessels(patient, lungs), 0)
    for place, radius in nodules.items():
        offsets = zip((k, j, i), place, SPACING[::-1], strict=True)
        away = np.sqrt(sum(((axis - at) * mm) ** 2 for axis, at, mm in offsets))
        share = np.clip(0.5 + (radius - away) / 2.5, 0, 1)
        hu = np.maximum(hu, -860 + share * 900)
    if move:
        turn = np.array([[1, 0.02, 0], [-0.02, 1, 0], [0, 0, 1]])
        hu = ndimage.affine_transform(hu, turn, [move / 3, -move / 2.5, move / 2.5], order=1, cval=-1000)
    hu += np.random.default_rng(noise).normal(0, 15, SHAPE)
    return CT(np.clip(np.rint(hu), -1024, 3000).astype(np.int16), GRID)


def vessels(patient: int, lungs: np.ndarray) -> np.ndarray:
    """Strands that wind through the lungs, up to 500 HU above them."""
    rng = np.random.default_rng(patient)
    marks = np.zeros(SHAPE, np.float32)
    for _ in range(90):
        at, way = rng.uniform((4, 16, 14), (52, 70, 94)), rng.normal(size=3)
        for _ in range(40):
            way = 0.8 * way + 0.5 * rng.normal(size=3)
            at = at + way / np.linalg.norm(way)
            if (at < 0).any() or (at >= np.array(SHAPE) - 1).any():
                break
            marks[tuple(np.round(at).astype(int))] = 1
    return 500 * np.clip(2.2 * ndimage.gaussian_filter(marks, 0.7), 0, 1) * lungs


def study(nodules: dict[tuple[int, int, int], float], **how: float):
    from lnhg.followup.study import study_of
    from lnhg.pipeline import segment

    result = segment(chest(nodules, **how), OPTIONS, models=MODELS)
    return study_of(f"study {how.get('noise', 0)}", result)


MODELS = standin_models()


def states(follow_up) -> list[str]:
    return [pair.state for one in follow_up.interludes for pair in one.pairs]


def test_a_ct_with_itself_has_each_nodule_matched_and_unchanged():
    one = study({RIGHT: 8.0, LEFT: 7.0})
    follow_up = follow(one, replace(one, name="the same"), days=[100], models=MODELS)
    assert states(follow_up) == [MATCHED, MATCHED]
    assert follow_up.interludes[0].fit.median_mm < 0.2
    for pair in follow_up.interludes[0].pairs:
        assert pair.earlier == pair.later
        assert pair.change.volume == 0 and not pair.change.beyond
        assert set(pair.change.growth.values()) == {"not grown"}


def nrrd(folder, ct, up=0.0):
    """So many mm further to the head."""
    write_nrrd(folder / "scan.nrrd", ct.hu, ct.ijk_to_ras + up * np.outer(np.eye(4)[2], np.eye(4)[3]))
    return folder / "scan.nrrd"


def nifti(folder, ct):
    """In RAS, as most converters write it: columns to the right, rows to the front."""
    image = nibabel.Nifti1Image(ct.hu.T, ct.ijk_to_ras)
    image.header.set_xyzt_units("mm")
    nibabel.save(nibabel.as_closest_canonical(image), folder / "scan.nii.gz")
    return folder / "scan.nii.gz"


def dicom(folder, ct):
    write_series(folder / "scan", ct.hu, ct.ijk_to_ras)
    return folder / "scan"


def results(folder, ct):
    from lnhg.pipeline import segment

    read = read_ct(nrrd(folder, ct))
    save(segment(read, OPTIONS, models=MODELS), folder / "results", for_scene=True)
    return f"{folder / 'results'}={folder / 'scan.nrrd'}"


_CT, _LATER = chest({RIGHT: 8.0}), chest({RIGHT: 8.0}, noise=1)


@pytest.mark.parametrize(
    ("studies", "told"),
    [
        pytest.param([(results, _CT), (nrrd, _CT)], "Study 1 and study 2", id="its results and a copy"),
        pytest.param([(nrrd, _CT), (lambda *of: nrrd(*of, up=40), _CT)], "Study 1 and study 2", id="elsewhere"),
        pytest.param([(dicom, _CT), (nifti, _CT)], "Study 1 and study 2", id="DICOM and NIfTI"),
        pytest.param([(nrrd, _CT), (nrrd, _LATER), (nrrd, _CT)], "Study 1 and study 3", id="first and third"),
    ],
)
def test_studies_that_are_the_same_ct_are_told(tmp_path, capfd, studies, told):
    places = []
    for number, (write, ct) in enumerate(studies):
        folder = tmp_path / f"visit {number}"
        folder.mkdir()
        places.append(write(folder, ct))
    notes = followed(places, tmp_path, capfd, "--days", *[100] * (len(studies) - 1))
    same = "are the same CT, voxel for voxel: that nothing changed between them says nothing of the patient."
    assert [note for note in notes if "voxel for voxel" in note] == [f"{told} {same}"]


def test_nodules_that_grow_come_and_go_are_told(tmp_path):
    earlier = study({RIGHT: 7.0, LEFT: 7.0})
    later = study({RIGHT: 10.5, (20, 45, 75): 7.0}, noise=1, move=6.0)
    follow_up = follow(earlier, later, days=[180], models=MODELS)
    (step,) = follow_up.interludes
    assert sorted(states(follow_up)) == sorted([MATCHED, RESOLVED, NEW])
    grown = step.pairs[0]
    assert grown.state == MATCHED and grown.change.volume > 0
    assert grown.change.doubling.days == pytest.approx(180 * np.log(2) / np.log((10.5 / 7) ** 3), rel=0.35)
    assert grown.change.growth["Lung-RADS 2022"] == "grown"
    paths = save_follow_up(follow_up, tmp_path / "out")
    page = paths["report"].read_text(encoding="utf-8")
    assert "resolved" in page and page.count("data:image/jpeg") == 6 and "nan" not in page.replace("nanti", "")
    told = json.loads(paths["record"].read_text())
    assert [pair["state"] for pair in told["interludes"][0]["pairs"]] == [MATCHED, *states(follow_up)[1:]]
    read = change_of(told["interludes"][0]["pairs"][0], 180)
    assert change_texts(read) == change_texts(grown.change)
    assert change_of(told["interludes"][0]["pairs"][1], 180) is None
    assert 0 < grown.change.percent_interval.low < grown.change.volume_percent < grown.change.percent_interval.high
    assert len(paths["table"].read_text().splitlines()) == 4
    assert (tmp_path / "out" / "study-2" / "labels.nrrd").is_file()
    save_follow_up(follow_up, tmp_path / "out")  # results of its own are replaced


def test_progress_rises_through_reading_registering_and_looking():
    one = study({RIGHT: 8.0})
    told = []
    follow(one, one, days=[100], models=MODELS, progress=lambda progress: told.append(progress))
    assert [progress.stage.partition(" ")[0] for progress in told] == ["read", "read", "register", "look", "look"]
    fractions = [progress.fraction for progress in told]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0


def test_a_nodule_that_the_detector_missed_is_found_with_a_seed():
    earlier = study({RIGHT: 8.0, LEFT: 7.0})
    later = study({RIGHT: 8.0, LEFT: 7.0}, noise=2)
    missed = replace(later.result, labels=np.zeros_like(later.result.labels), nodules=())
    follow_up = follow(earlier, replace(later, result=missed), models=MODELS)
    assert states(follow_up) == [MATCHED, MATCHED]
    assert [row.status for row in follow_up.studies[1].result.nodules] == ["seeded", "seeded"]
    assert any("--days" in note for note in follow_up.notes)
    assert all(pair.change.doubling is None for pair in follow_up.interludes[0].pairs)


def test_a_place_beyond_the_other_ct_is_outside_the_field():
    earlier = study({(44, 44, 32): 8.0, LEFT: 7.0})
    whole = chest({LEFT: 7.0}, noise=3)
    from lnhg.followup.study import study_of
    from lnhg.pipeline import segment

    cut = study_of("cut", segment(CT(whole.hu[:38], whole.ijk_to_ras), OPTIONS, models=MODELS))
    follow_up = follow(earlier, cut, days=[90], models=MODELS)
    assert sorted(states(follow_up)) == sorted([MATCHED, OUTSIDE])


def test_nodules_that_grew_together_are_not_called_resolved():
    earlier = study({(28, 44, 27): 6.0, (28, 44, 34): 6.0})
    later = study({(28, 44, 30): 14.0}, noise=4)
    follow_up = follow(earlier, later, days=[200], models=MODELS)
    assert sorted(states(follow_up)) == sorted([MATCHED, MERGED])


def test_three_studies_give_one_line_a_nodule():
    studies = [study({RIGHT: radius, LEFT: 7.0}, noise=n) for n, radius in enumerate((6.5, 8.0, 10.0))]
    follow_up = follow(*studies, days=[100, 120], models=MODELS)
    assert len(follow_up.tracks) == 2 and all(None not in track for track in follow_up.tracks)
    assert follow_up.days == [0, 100, 220]
    (growing,) = [
        track for track in follow_up.tracks if follow_up.nodule(track, 2).volume > 2 * follow_up.nodule(track, 0).volume
    ]
    volumes = [follow_up.nodule(growing, n).edge_volume for n in range(3)]
    assert volumes == sorted(volumes)


def test_a_nodule_that_the_second_study_does_not_show_is_seen_again_in_the_third():
    studies = [study(one, noise=n) for n, one in enumerate(({RIGHT: 8.0, LEFT: 7.0}, {LEFT: 7.0}, {RIGHT: 8.0}))]
    follow_up = follow(*studies, days=[100, 120], models=MODELS)
    assert [track.count(None) for track in follow_up.tracks] == [1, 1]
    assert states(follow_up) == [MATCHED, RESOLVED, RESOLVED, SEEN_AGAIN]
    (told,) = follow_up.proposals(2).values()
    assert (told.course, told.comparison.days) == ("stable", 220)


def test_without_any_nodule_there_is_a_report_that_says_so(tmp_path):
    follow_up = follow(study({}), study({}, noise=1), days=[30], models=MODELS)
    assert states(follow_up) == [] and follow_up.tracks == ()
    page = save_follow_up(follow_up, tmp_path)["report"].read_text(encoding="utf-8")
    assert "No nodule was found in any of the studies" in page


@pytest.mark.parametrize("other", ["mirrored", "another patient", "no overlap"])
def test_cts_that_do_not_lie_on_each_other_are_refused(other):
    one = chest({})
    if other == "mirrored":
        two = CT(np.ascontiguousarray(one.hu[:, :, ::-1]), one.ijk_to_ras)
    elif other == "another patient":
        two = chest({}, patient=7)
    else:
        one, two = CT(one.hu[:24], one.ijk_to_ras), CT(one.hu[32:], one.ijk_to_ras)
    assert not register(LungScan.of(one), LungScan.of(two)).fit.fits
    if other == "mirrored":
        with pytest.raises(InputError, match="do not lie on each other"):
            follow(_empty(one), _empty(two), days=[30], models=MODELS)
        noted = follow(_empty(one), _empty(two), days=[30], same_patient=True, models=MODELS)
        assert any("can be wrong" in note for note in noted.notes)


def _empty(ct: CT):
    from lnhg.core.result import Result
    from lnhg.followup.study import study_of

    nothing = np.zeros(ct.hu.shape, np.uint16)
    flat = np.full(ct.hu.shape, -1, np.float32)
    return study_of("a study", Result(ct, nothing, flat, lambda: flat, nothing, (), (), OPTIONS, {}, ()))


def test_studies_of_two_patients_are_refused_unless_confirmed():
    ct = chest({})
    one, two = (
        replace(_empty(ct), name=name, person={"PatientID": name, "PatientSex": "F"}) for name in ("first", "second")
    )
    with pytest.raises(InputError, match="patient ID") as refusal:
        follow(one, two, days=[30], models=MODELS)
    assert "first" not in str(refusal.value)
    assert any("confirmed" in note for note in follow(one, two, days=[30], same_patient=True, models=MODELS).notes)


@pytest.mark.parametrize("days", [[30, 30], [0], [-5]])
def test_days_that_do_not_fit_are_refused(days):
    one = _empty(chest({}))
    with pytest.raises(InputError, match="--days"):
        follow(one, one, days=days, models=MODELS)


def test_one_study_cannot_be_followed(capsys, tmp_path):
    assert main(["follow", str(tmp_path), "--output", str(tmp_path / "out")]) == 2
    assert "two or more" in capsys.readouterr().err


def test_files_of_something_else_are_not_replaced(tmp_path, capsys):
    (tmp_path / "follow.json").write_text("{}")
    assert main(["follow", "a", "b", "--output", str(tmp_path)]) == 2
    assert "would be replaced" in capsys.readouterr().err
    assert (tmp_path / "follow.json").read_text() == "{}"


@pytest.mark.parametrize(
    ("library", "writers", "told"),
    [
        (False, [], "not written: Slicer's library is not installed"),
        (True, [], "not written: this installation of lnhg declares no writer of scenes"),
        (True, ["one"], "follow.mrb"),
    ],
)
def test_the_record_says_what_became_of_the_scene(tmp_path, monkeypatch, library, writers, told):
    class Writer:
        def load(self):
            return lambda follow_up, path: path.write_bytes(b"scene")

    find = importlib.util.find_spec
    spec = importlib.machinery.ModuleSpec("slicer_core", None) if library else None
    monkeypatch.setattr(scenes.importlib.util, "find_spec", lambda name: spec if name == "slicer_core" else find(name))
    asked = []
    monkeypatch.setattr(
        scenes.importlib.metadata, "entry_points", lambda group: asked.append(group) or [Writer() for _ in writers]
    )
    (tmp_path / "out").mkdir()
    monkeypatch.setattr("lnhg.followup.written.report_html", lambda _: "")
    monkeypatch.setattr("lnhg.followup.written.record", lambda _: {})
    paths = save_follow_up(FollowUp((), (), (), ()), tmp_path / "out")
    assert json.loads(paths["record"].read_text())["scene"].startswith(told)
    assert (tmp_path / "out" / "follow.mrb").exists() == bool(writers)
    assert asked == ["lnhg.followup_scene_writers"] * library
