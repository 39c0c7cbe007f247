"""The whole way on labelled scans, as `lnhg validate` tells it of made-up ones."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from lnhg.core.ct import CT
from lnhg.data.scans import LabelledScan
from lnhg.stages.fusion import CONFIRMED, DETECTOR_ONLY
from lnhg.studies import whole_scans
from lnhg.studies.whole_scans import (
    ReferenceOutcome,
    ScanOutcome,
    cancer_table,
    outcome_of,
    reader_table,
    summary,
)


def _scan(patient: str, cancer: bool = True) -> LabelledScan:
    """A cancer 32 mm wide; a place that looks like a nodule."""
    k, j, i = np.indices((20, 100, 100))
    reference = (np.sqrt((3 * (k - 10)) ** 2 + (j - 40) ** 2 + (i - 40) ** 2) <= 16) & cancer
    likely = np.zeros(reference.shape, bool)
    likely[10, 80:86, 80:86] = True
    ct = CT(np.full(reference.shape, -850, np.int16), np.diag([-1.0, -1.0, 3.0, 1.0]))
    return LabelledScan(patient, ct, reference.astype(np.uint8), likely, complete=False)


def test_cancers_are_found_or_missed_and_other_detections_counted_by_whether_they_look_like_nodules(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def segment(ct: CT, models: object) -> SimpleNamespace:
        labels = np.zeros(ct.hu.shape, np.uint16)
        if ct is not missed.ct:
            labels[found.reference > 0] = 1
            labels[10, 40, 20:24] = 1
        labels[10, 82, 82], labels[5, 5, 5], labels[5, 9, 9] = 2, 3, 4
        statuses = {1: CONFIRMED, 2: CONFIRMED, 3: CONFIRMED, 4: DETECTOR_ONLY}
        there = [SimpleNamespace(id=label, status=statuses[label]) for label in np.unique(labels[labels > 0]).tolist()]
        return SimpleNamespace(labels=labels, nodules=there)

    found, missed = _scan("FOUND"), _scan("MISSED")
    trained = replace(_scan("TRAINED"), ct=replace(found.ct))
    unlabelled = replace(_scan("NONE", cancer=False), ct=missed.ct)
    monkeypatch.setattr(whole_scans, "segment", segment)
    lists = {"FOUND": "report", "MISSED": "report", "TRAINED": "train", "NONE": "report"}
    outcomes = [outcome_of(scan, "models", lists[scan.patient]) for scan in (found, missed, trained, unlabelled)]
    text = "\n".join(cancer_table(outcomes))
    assert "| FOUND | report | 32 mm: 1, confirmed, 1.00, 0.00 | 1 | 1 |" in text
    assert "| MISSED | report | 32 mm: missed | 1 | 1 |" in text
    assert "| NONE | report | not outlined | 1 | 1 |" in text
    text = "\n".join(summary(outcomes))
    assert "| one cancer marked | 3 | 3 in all: 1.0 (0.2 to 2.9) | 1 of 2: 0.50 (0.09 to 0.91) | 0.50 (" in text
    assert "| masses (30 mm and more) | | | 1 of 2: 0.50 (0.09 to 0.91) | 0.50 (" in text


def test_scans_that_readers_searched_are_summed_apart_and_those_trained_on_not_at_all() -> None:
    nodule = ReferenceOutcome(1, 8.0, 3, CONFIRMED, 0.8, 0.1)
    read = ScanOutcome("A", "report", True, (nodule, ReferenceOutcome(2, 9.0)), false=2, doubtful=1, detector_only=4)
    clean = replace(read, patient="B", references=(), false=0)
    trained = replace(read, patient="C", patients="train", false=50)
    table = list(reader_table([read, clean, trained]))
    assert "| A | report | 1: 3, confirmed, 0.80, 0.10; 2: missed | 2 | 4 |" in table
    assert "| B | report | none | 0 | 4 |" in table
    text = "\n".join(summary([read, clean, trained]))
    assert "| all nodules marked by readers | 2 | 2 in all: 1.0 (0.1 to 3.6) | 1 of 2: 0.50 (" in text
    assert "one cancer" not in text and "masses" not in text
