"""Scans of one patient in a cohort are followed, and the worklist tells their growth."""

from __future__ import annotations

import csv
from dataclasses import replace

import pytest

from followup.test_follow import LEFT, OPTIONS, RIGHT, chest
from lnhg.cohort.patients import folders_of, follow_patients
from lnhg.cohort.scans import find_scans
from lnhg.cohort.segmenting import DONE, SKIPPED, Cohort, Row, write_tables
from lnhg.core.nrrd_file import write_nrrd
from lnhg.errors import InputError
from lnhg.followup.follow import FollowUp
from lnhg.pipeline import segment
from lnhg.readers.read_ct import read_ct
from lnhg.writers.read_back import load_result
from lnhg.writers.results import save
from standins import standin_models

MODELS = standin_models()
STUDIES = {"second": (11.5, 1), "first": (7.0, 0)}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Two scans of one patient, the later one first in the list, and one of another patient."""
    folder = tmp_path_factory.mktemp("cohort")
    cohort = Cohort(folder / "out", OPTIONS, "weights")
    lines = ["ct,name,patient,days"]
    for name, (radius, noise) in STUDIES.items():
        drawn = chest({RIGHT: radius, LEFT: 7.0}, noise=noise)
        write_nrrd(folder / f"{name}.nrrd", drawn.hu, drawn.ijk_to_ras)
        save(segment(read_ct(folder / f"{name}.nrrd"), OPTIONS, models=MODELS), cohort.folder(name))
        lines.append(f"{name}.nrrd,{name},Doe,{90 * noise}")
    lines.append("first.nrrd,alone,Roe,")
    (folder / "list.csv").write_text("\n".join(lines) + "\n")
    scans = find_scans([str(folder / "list.csv")], cohort.output)
    return scans, cohort


def rows(status):
    return {name: Row(name, status, "", 1.0) for name in STUDIES}


def test_growth_is_in_the_worklist(cohort):
    scans, cohort = cohort
    followed = follow_patients(scans, rows(DONE), cohort, MODELS)
    assert followed.folders == {
        name: cohort.output / "followed" / "Doe" / f"study-{n}" for n, name in enumerate(("first", "second"), 1)
    }
    paths = write_tables(scans, rows(DONE), cohort, followed.folders, followed.reasons)
    with paths["worklist"].open(newline="", encoding="utf-8") as file:
        told = {row["scan"]: row for row in csv.DictReader(file)}
    assert told["second"]["course"] == "growing" and "in 90 days, beyond the uncertainty" in told["second"]["change"]
    assert told["second"]["highest Lung-RADS 2022, proposed"] == "4B"
    assert told["first"]["course"] == told["alone"]["change"] == ""
    with paths["table"].open(newline="", encoding="utf-8") as file:
        rows_of_second = [row for row in csv.DictReader(file) if row.pop("scan") == "second"]
    with (followed.folders["second"] / "nodules.csv").open(newline="", encoding="utf-8") as file:
        assert rows_of_second == list(csv.DictReader(file)), "the table holds what the worklist tells of"
    assert any("in 90 days" in cell for row in rows_of_second for cell in row.values())
    assert (cohort.output / "followed" / "Doe" / "follow.html").is_file()


def test_a_patient_whose_scans_were_all_finished_is_not_followed_again(cohort):
    scans, cohort = cohort
    page = cohort.output / "followed" / "Doe" / "follow.html"
    before = page.stat().st_mtime_ns
    assert len(follow_patients(scans, rows(SKIPPED), cohort, MODELS).folders) == 2
    assert page.stat().st_mtime_ns == before


def test_a_patient_is_followed_again_where_days_or_results_are_others_now(cohort):
    scans, cohort = cohort
    page = cohort.output / "followed" / "Doe" / "follow.html"
    follow_patients(scans, rows(DONE), cohort, MODELS)
    exchanged = [replace(one, days=None if one.days is None else 90.0 - one.days) for one in scans]
    followed = follow_patients(exchanged, rows(SKIPPED), cohort, MODELS)
    assert [followed.folders[name].name for name in ("second", "first")] == ["study-1", "study-2"]
    before = page.stat().st_mtime_ns
    record = cohort.folder("first") / "result.json"
    kept = record.read_text(encoding="utf-8")
    save(load_result(cohort.folder("first"), scans[1].read()), cohort.folder("first"))  # as after an update
    assert record.read_text(encoding="utf-8") != kept
    follow_patients(exchanged, rows(SKIPPED), cohort, MODELS)
    assert page.stat().st_mtime_ns > before
    follow_patients(scans, rows(DONE), cohort, MODELS)


def test_patients_whose_names_differ_in_little_have_a_folder_each():
    names = ["7/1", "7 1", "7-1", "Doe", "doe", "Roe"]
    folders = folders_of(names)
    assert len({one.casefold() for one in folders.values()}) == len(names)
    assert folders["Roe"] == "Roe" and folders_of(["Doe"]) == {"Doe": "Doe"}


def test_scans_that_cannot_be_compared_say_why(cohort):
    scans, cohort = cohort
    of_one_day = [replace(one, days=90.0) if one.days is not None else one for one in scans]
    followed = follow_patients(of_one_day, rows(DONE), cohort, MODELS)
    assert not followed.folders
    sentence = "give each scan of the patient its own day in the list."
    assert all(followed.reasons[name].endswith(sentence) for name in STUDIES)
    paths = write_tables(scans, rows(DONE), cohort, followed.folders, followed.reasons)
    assert sentence in paths["worklist"].read_text(encoding="utf-8")


def with_a_third(cohort):
    """The scans of Doe with a third one whose day the list does not give, and that all are segmented."""
    scans, cohort = cohort
    doe = [*scans[:2], replace(scans[2], patient="Doe")]
    return doe, {one.name: Row(one.name, DONE, "", 1.0) for one in doe}, cohort


def test_days_of_some_scans_that_contradict_the_list_are_not_passed_over(cohort):
    doe, done, cohort = with_a_third(cohort)
    followed = follow_patients(doe, done, cohort, MODELS)
    assert not followed.folders and followed.reasons.keys() == {"second", "first", "alone"}
    assert all(
        reason.startswith("not compared: second is of day 90 and first, which comes after it, of day 0;")
        for reason in followed.reasons.values()
    )


def test_days_of_some_scans_that_rise_with_the_list_are_told_to_give_no_doubling_time(cohort, monkeypatch, caplog):
    doe, done, cohort = with_a_third(cohort)
    orders = []

    def seen(own, *_):
        orders.append([one.name for one in own])
        raise InputError("Enough seen.")

    monkeypatch.setattr("lnhg.cohort.patients._follow", seen)
    follow_patients([doe[1], doe[2], doe[0]], done, cohort, MODELS)
    assert orders == [["first", "alone", "second"]]
    assert "The list gives the days of some scans of Doe alone, which tell no doubling time; give all." in caplog.text


def test_a_fault_in_one_patient_does_not_end_the_others(cohort, monkeypatch):
    scans, cohort = cohort
    both = [*scans[:2], *(replace(one, name=f"{one.name} of Roe", patient="Roe") for one in scans[:2])]
    done = {one.name: Row(one.name, DONE, "", 1.0) for one in both}

    def faulty(own, *_):
        raise ZeroDivisionError(f"in {own[0].place}")

    monkeypatch.setattr("lnhg.cohort.patients._follow", faulty)
    followed = follow_patients(both, done, cohort, MODELS)
    assert followed.reasons == dict.fromkeys(done, "not compared: ZeroDivisionError; see the log")


def test_notes_send_nobody_to_an_option_that_a_batch_does_not_have(cohort, monkeypatch):
    scans, cohort = cohort
    written = []

    def keep(followed, folder, **_):
        folder.mkdir(parents=True)
        written.extend(followed.notes)

    made = FollowUp((), (), (), ("There is no doubling time; give the days between them (--days).",))
    monkeypatch.setattr("lnhg.cohort.patients.follow", lambda *_, **__: made)
    monkeypatch.setattr("lnhg.cohort.patients.save_follow_up", keep)
    follow_patients([replace(one, patient="Poe") for one in scans[:2]], rows(DONE), cohort, MODELS)
    assert written == ["There is no doubling time; give the days between them (column days of the list)."]


def test_a_day_that_is_no_number_is_refused(cohort, tmp_path):
    (tmp_path / "list.csv").write_text(f"ct,patient,days\n{cohort[0][0].place},Doe,soon\n")
    with pytest.raises(InputError, match=r"column days of list[.]csv holds .soon."):
        find_scans([str(tmp_path / "list.csv")], tmp_path / "out")
