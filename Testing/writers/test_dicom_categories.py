"""Categories in the DICOM SR, and the files under the eyes of other programs: dciodvfy and dcmqi."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from itertools import product

import pytest
import SimpleITK as sitk
from pydicom.uid import generate_uid

pytest.importorskip("highdicom", reason="the extra dicom is not installed")

import highdicom as hd
import numpy as np

from category_cases import ground_glass, part_solid, solid
from dicom_files import write_series
from host.handmade import GRIDS, SHAPE, handmade_result
from lnhg.categories import bts as bts_2015
from lnhg.categories import lung_rads as lr
from lnhg.categories.bts import bts
from lnhg.categories.facts import (
    FIRST_SEEN,
    GROWING,
    NEW,
    RATE_NOT_KNOWN,
    SLOWLY_GROWING,
    STABLE,
    WITHIN_UNCERTAINTY,
)
from lnhg.categories.fleischner import fleischner
from lnhg.categories.lung_rads import lung_rads
from lnhg.core.answers import Answers, answers_of_words, questions
from lnhg.core.comparison import Comparison
from lnhg.readers.read_ct import read_ct
from lnhg.writers.dicom import write_dicom
from lnhg.writers.dicom_codes import _own

WORDS = ["exam=first screening", "age=64", "sex=female", "family_history=no", "emphysema=no", "spiculated=no"]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    source, grid = tmp_path_factory.mktemp("ct"), GRIDS["axial"]
    made = handmade_result(grid)
    write_series(source, made.ct.hu, grid, FrameOfReferenceUID=generate_uid())
    ct = read_ct(source)
    k, j, i = np.indices(SHAPE)
    there = np.rint(made.ct.to_ijk(ct.to_ras(np.stack([i, j, k], -1)))).astype(int)
    labels = made.labels[tuple(np.moveaxis(there[..., ::-1], -1, 0))]
    first, second = made.nodules
    nodules = (
        replace(first, lobe="left upper lobe / left lower lobe"),
        replace(second, lobe="left lower lobe", cut=True),
    )
    grown = Comparison(dict.fromkeys((lr.SYSTEM, bts_2015.SYSTEM), GROWING), 4.0, 90.0, 3.0, 61.4, True, 0.61, 131.0)
    answers = answers_of_words(WORDS)
    result = replace(made, ct=ct, labels=labels, nodules=nodules, answers=answers, comparisons={1: grown})
    return result, write_dicom(result, source, tmp_path_factory.mktemp("out"))


def test_categories_course_and_lobes_are_coded(written):
    groups = hd.sr.srread(written[1]["measurements"]).content.get_volumetric_roi_measurement_groups()
    told = {one.name.value: one.value for one in groups[1].get_qualitative_evaluations()}
    assert (told["lung-rads-2022"].value, told["lung-rads-2022"].meaning) == ("2+", "2 or higher")
    assert told["fleischner-2017"].meaning == "does not apply"
    assert told["course"].meaning == "first seen"
    assert told["size-lower-bound"].meaning == "Yes"
    own = ("lung-rads-2022", "fleischner-2017", "bts-2015", "course")
    assert {told[name].scheme_designator for name in own} == {"99LNHG"}
    at_fissure = [(site.value.meaning, site.laterality.meaning) for site in groups[0].finding_sites]
    assert at_fissure == [("Upper lobe of lung", "Left"), ("Lower lobe of lung", "Left")]


def test_growth_is_coded_and_measured(written):
    first, second = hd.sr.srread(written[1]["measurements"]).content.get_volumetric_roi_measurement_groups()
    told = {one.name.value: one.value.meaning for one in first.get_qualitative_evaluations()}
    assert (told["course"], told["lung-rads-2022"]) == ("growing", "4A")
    figures = {one.name.value: (one.value, one.unit.value) for one in first.get_measurements()}
    assert figures["volume-change"] == (61.4, "%") and figures["doubling-days"] == (131.0, "d")
    assert not {"volume-change", "doubling-days"} & {one.name.value for one in second.get_measurements()}


def test_every_course_has_a_code_that_dicom_takes():
    courses = (FIRST_SEEN, NEW, STABLE, GROWING, SLOWLY_GROWING, WITHIN_UNCERTAINTY, RATE_NOT_KNOWN)
    assert len({_own(course).value for course in courses}) == len(courses)


def test_the_brock_probability_is_a_measurement_where_all_was_answered(written):
    groups = hd.sr.srread(written[1]["measurements"]).content.get_volumetric_roi_measurement_groups()
    names = ("111047", "cancer-at-least")  # that of a cut nodule is a lower bound
    probability = [[one for one in group.get_measurements() if one.name.value in names] for group in groups]
    assert not probability[0]  # at the fissure of an upper and a lower lobe the model's question is open
    (found,) = probability[1]
    assert found.name.value == "cancer-at-least" and 0 < found.value < 10


def test_every_category_that_there_is_has_a_code_that_dicom_takes():
    answers = [Answers(**{one.name: choice}) for one in questions() for choice in one.metadata["choices"]]
    sizes = (3.0, 6.0, 8.0, 10.0, 20.0, 40.0)
    facts = [solid(mm, volume=mm**3 / 2, count=n) for mm, n in product(sizes, (1, 2))]
    facts += [ground_glass(mm, count=n) for mm, n in product(sizes, (1, 2))]
    facts += [part_solid(mm, mm / 2, count=n) for mm, n in product(sizes, (1, 2))]
    facts += [replace(one, course=course) for one in facts for course in (GROWING, STABLE)]
    days = [replace(solid(8.0), course=GROWING, doubling_days=days) for days in (100, 500, 700)]
    values = {
        system(one, given).ruling.value
        for system, one, given in product((lung_rads, fleischner, bts), [*facts, *days], answers)
    }
    values |= {f"{value} or higher" for value in values}  # those of nodules that are cut
    codes = {value: _own(value).value for value in values}
    assert len(values) > 25
    assert len(set(codes.values())) == len(codes)


@pytest.mark.parametrize("name", ["segmentation", "measurements"])
def test_dciodvfy_finds_no_error(written, name):
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy (Debian's package dicom3tools) is not installed")
    done = subprocess.run(["dciodvfy", str(written[1][name])], capture_output=True, text=True, check=False)
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error")]
    assert errors == []


def test_dcmqi_reads_the_segmentation_back(written, tmp_path):
    if shutil.which("segimage2itkimage") is None:
        pytest.skip("dcmqi (pip install dcmqi) is not installed")
    result, paths = written
    command = ["segimage2itkimage", "--inputDICOM", str(paths["segmentation"]), "--outputDirectory", str(tmp_path)]
    subprocess.run([*command, "-t", "nrrd"], check=True, capture_output=True)
    for label in (1, 2):
        image = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / f"{label}.nrrd")))
        assert (image > 0).sum() == (result.labels == label).sum()


def test_dcmqi_reads_the_measurements_back(written, tmp_path):
    if shutil.which("tid1500reader") is None:
        pytest.skip("dcmqi (pip install dcmqi) is not installed")
    result, paths = written
    out = tmp_path / "report.json"
    command = ["tid1500reader", "--inputDICOM", str(paths["measurements"]), "--outputMetadata", str(out)]
    subprocess.run(command, check=True, capture_output=True)
    groups = json.loads(out.read_text())["Measurements"]
    volumes = [
        float(item["value"])
        for group in groups
        for item in group["measurementItems"]
        if item["quantity"]["CodeValue"] == "118565006"
    ]
    assert volumes == pytest.approx([nodule.volume for nodule in result.nodules], abs=1e-3)
    told = [one["conceptCode"]["CodeValue"] for one in groups[0]["qualitativeEvaluations"]]
    assert "lung-rads-2022" in told
