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
    assert all(followed.reasons[name].startswith("not compared: Give the days") for name in STUDIES)
    paths = write_tables(scans, rows(DONE), cohort, followed.folders, followed.reasons)
    assert "not compared: Give the days" in paths["worklist"].read_text(encoding="utf-8")


def test_a_day_that_is_no_number_is_refused(cohort, tmp_path):
    (tmp_path / "list.csv").write_text(f"ct,patient,days\n{cohort[0][0].place},Doe,soon\n")
    with pytest.raises(InputError, match=r"column days of list[.]csv holds .soon."):
        find_scans([str(tmp_path / "list.csv")], tmp_path / "out")
