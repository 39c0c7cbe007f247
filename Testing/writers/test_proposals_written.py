"""Categories and answers in the files: record, table, report, FHIR, PDF, and written anew when answers come later."""

from __future__ import annotations

import csv
import importlib.util
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from host.handmade import GRIDS, handmade_result
from lnhg import cli
from lnhg.core.answers import answers_of_words
from lnhg.core.comparison import Comparison
from lnhg.core.ct import fingerprint
from lnhg.core.nrrd_file import write_nrrd
from lnhg.errors import InputError
from lnhg.options import Options
from lnhg.writers import pdf, results
from lnhg.writers.fhir import fhir_bundle
from lnhg.writers.own_files import foreign_files, is_whole
from lnhg.writers.read_back import load_result
from lnhg.writers.results import save

ANSWERS = answers_of_words(["exam=first screening", "age=64", "2.airway=segmental or more proximal"])


@pytest.fixture(autouse=True)
def no_scene(monkeypatch):
    monkeypatch.setattr(results, "_write_scene", lambda path, result: "not written: left out in this test")


def answered(**changed):
    return replace(handmade_result(GRIDS["axial"]), answers=ANSWERS, **changed)


def on_disk(tmp_path):
    """Results and the CT file that they were made from, as a run would leave them."""
    result = answered()
    write_nrrd(tmp_path / "ct.nrrd", result.ct.hu, result.ct.ijk_to_ras)
    source = {"format": "nrrd", "sha256": fingerprint(result.ct.hu, result.ct.ijk_to_ras)}
    result = replace(result, ct=replace(result.ct, source=source))
    save(result, tmp_path / "out")
    return tmp_path / "out", tmp_path / "ct.nrrd"


def test_the_record_holds_answers_and_proposals_and_is_read_back(tmp_path):
    result = answered()
    paths = save(result, tmp_path / "out")
    record = json.loads(paths["record"].read_text())
    assert record["answers"]["patient"] == {"exam": "first screening", "age": 64}
    first, second = record["proposals"]["nodules"]
    assert (first["lung_rads_2022"]["value"], second["lung_rads_2022"]["value"]) == ("2", "4A")
    assert first["lung_rads_2022"]["section"] == "Lung-RADS v2022, table, category 2, solid nodule"
    assert "the reader decides" in record["proposals"]["note"]
    assert load_result(tmp_path / "out", result.ct).answers == ANSWERS


def test_the_table_has_the_categories_and_the_sentence(tmp_path):
    paths = save(answered(options=Options(sentence="{side} {lung_rads}")), tmp_path / "out")
    with paths["table"].open(newline="", encoding="utf-8") as file:
        first, second = csv.DictReader(file)
    assert (first["Lung-RADS 2022: proposed"], second["Lung-RADS 2022: proposed"]) == ("2", "4A")
    assert second["Lung-RADS 2022: rule"] == "in a segmental or larger airway, first seen"
    assert first["sentence"] == "Left 2"


def test_the_report_says_what_was_answered_what_was_not_and_that_the_reader_decides(tmp_path):
    text = save(answered(), tmp_path / "out")["report"].read_text(encoding="utf-8")
    for wanted in (
        "exam: first screening; age: 64; nodule 2, airway: segmental or more proximal",
        "Not answered: sex, risk, symptoms",
        "Proposed by rule; the reader decides",
        "navigator.clipboard.writeText",
        "solid under 6 mm",
        "4X if other suspicious signs: yes",
    ):
        assert wanted in text


def test_answers_that_come_later_write_the_files_anew_and_leave_the_others(tmp_path, capsys):
    folder, ct = on_disk(tmp_path)
    labels = (folder / "labels.nrrd").read_bytes()
    words = ["--answer", "2.airway=no", "--answer", "risk=high", "--sentence", "{number}: {fleischner_step}"]
    assert cli.main(["report", str(folder), "--ct", str(ct), *words]) == 0
    assert (
        "Lung-RADS 2022: 2; 4A by its volume of 315 mm³ (solid under 6 mm; Lung-RADS v2022" in capsys.readouterr().out
    )
    record = json.loads((folder / "result.json").read_text())
    assert record["answers"]["nodules"] == {"2": {"airway": "no"}}
    assert record["proposals"]["nodules"][1]["lung_rads_2022"]["value"] == "2"
    assert (folder / "labels.nrrd").read_bytes() == labels
    assert is_whole(folder) and not foreign_files(folder, [file.name for file in folder.iterdir()])


def test_a_report_of_another_ct_or_of_a_wrong_answer_changes_nothing(tmp_path, capsys):
    folder, ct = on_disk(tmp_path)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    other = handmade_result(GRIDS["axial"]).ct
    write_nrrd(tmp_path / "other.nrrd", other.hu + 1, other.ijk_to_ras)
    assert cli.main(["report", str(folder), "--ct", str(tmp_path / "other.nrrd")]) == 2
    assert cli.main(["report", str(folder), "--ct", str(ct), "--answer", "risk=medium"]) == 2
    assert "choose one of low; high" in capsys.readouterr().err
    assert cli.main(["report", str(folder), "--ct", str(ct), "--answer", "99.airway=no"]) == 2
    assert "The answers name nodule 99, the results have 1, 2;" in capsys.readouterr().err
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_a_changed_file_is_never_replaced(tmp_path, capsys):
    folder, ct = on_disk(tmp_path)
    (folder / "nodules.csv").write_text("mine")
    assert cli.main(["report", str(folder), "--ct", str(ct)]) == 2
    assert (folder / "nodules.csv").read_text() == "mine"


def test_the_fhir_bundle_is_valid_and_names_no_patient(tmp_path):
    pytest.importorskip("fhir.resources", reason="the extra fhir is not installed")
    from fhir.resources.R4B.bundle import Bundle

    bundle = Bundle.model_validate_json(fhir_bundle(answered()))
    report, *observations = [entry.resource for entry in bundle.entry]
    assert len(observations) == len(report.result) == 2
    assert "the reader decides" in report.conclusion
    codes = {part.code.coding[0].code: part for part in observations[1].component}
    assert codes["lung-rads-2022"].valueString.startswith("4A")
    assert float(codes["118565006"].valueQuantity.value) == pytest.approx(answered().nodules[1].volume, abs=0.01)
    assert "Patient" not in bundle.model_dump_json()


def test_the_fhir_bundle_tells_growth():
    pytest.importorskip("fhir.resources", reason="the extra fhir is not installed")
    from fhir.resources.R4B.bundle import Bundle

    grown = Comparison({"Lung-RADS 2022": "growing"}, volume_percent=61.0, days=90.0, beyond=True)
    bundle = Bundle.model_validate_json(fhir_bundle(replace(answered(), comparisons={1: grown})))
    components = bundle.entry[1].resource.component
    told = {part.code.coding[0].code: part.valueString for part in components if part.valueString}
    assert told["course"] == "growing"
    assert told["change"] == "volume +61% in 90 days, beyond the uncertainty"


def test_without_the_extra_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "fhir.resources.R4B.bundle", None)
    with pytest.raises(InputError, match=r"pip install 'lnhg\[fhir\]'"):
        fhir_bundle(answered())


def test_the_report_is_printed_to_pdf(tmp_path):
    if not any(map(shutil.which, pdf.BROWSERS)) and importlib.util.find_spec("weasyprint") is None:
        pytest.skip("neither a browser nor WeasyPrint is installed")
    paths = save(answered(), tmp_path / "out", extras=["pdf"])
    assert paths["pdf"].read_bytes().startswith(b"%PDF")
    assert is_whole(tmp_path / "out")


@pytest.mark.parametrize(
    "place",
    [
        r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    ],
)
def test_browsers_are_found_where_windows_and_macos_have_them(tmp_path, monkeypatch, place):
    def ran(command, **_):
        (printed,) = (word.partition("=")[2] for word in command if word.startswith("--print-to-pdf="))
        Path(printed).write_bytes(b"%PDF by " + command[0].encode())
        return SimpleNamespace(returncode=0, stderr=b"")

    monkeypatch.setattr(pdf.shutil, "which", lambda name: name if name == place else None)
    monkeypatch.setattr(pdf.subprocess, "run", ran)
    pdf.write_pdf(tmp_path / "report.html", tmp_path / "report.pdf")
    assert (tmp_path / "report.pdf").read_bytes() == b"%PDF by " + place.encode()


def test_where_there_is_no_browser_weasyprint_prints_it(tmp_path, monkeypatch):
    pytest.importorskip("weasyprint", reason="WeasyPrint is not installed")
    monkeypatch.setattr(pdf.shutil, "which", lambda name: None)
    paths = save(answered(), tmp_path / "out", extras=["pdf"])
    assert paths["pdf"].read_bytes().startswith(b"%PDF")


def test_a_layout_that_weasyprint_cannot_do_is_told(tmp_path, monkeypatch):
    def fails(filename):
        raise AssertionError

    monkeypatch.setattr(pdf.shutil, "which", lambda name: None)
    monkeypatch.setattr(pdf.importlib.util, "find_spec", lambda name: True)
    monkeypatch.setitem(sys.modules, "weasyprint", SimpleNamespace(HTML=fails))
    with pytest.raises(InputError, match=r"WeasyPrint could not print the report \(AssertionError\)"):
        pdf.write_pdf(tmp_path / "report.html", tmp_path / "report.pdf")


def test_without_a_browser_the_folder_is_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(pdf.shutil, "which", lambda name: None)
    monkeypatch.setattr(pdf.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="neither a browser"):
        save(answered(), tmp_path / "out", extras=["pdf"])
    assert not (tmp_path / "out").exists()


def test_a_browser_that_prints_nothing_is_told(tmp_path, monkeypatch):
    silent = shutil.which("true") or sys.executable  # Python, where there is no true, knows no such options
    monkeypatch.setattr(pdf.shutil, "which", lambda name: silent)
    with pytest.raises(InputError, match="could not print the report"):
        pdf.write_pdf(tmp_path / "report.html", tmp_path / "report.pdf")
