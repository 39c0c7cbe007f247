"""The record of a run, `result.json`: what went in, what was done with what, what came out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from ..categories.category import READER_DECIDES, Category
from ..categories.dictation import dictated
from ..categories.proposals import Proposal, proposals_of
from ..core.comparison import as_record
from ..core.nodule import as_row, columns
from ..core.result import Result

#: Number of the format of `result.json`; it rises when a key goes or changes its name or its meaning, not when keys
#: are added.
FORMAT = 3


def run_record(result: Result, scene: str, with_identity: bool) -> dict[str, Any]:
    """What `result.json` holds, as plain values: what went in, what was done with what, what came out
    (docs/result_json.md).

    Nothing in it names a person or a path, unless `with_identity`.
    """
    ct = result.ct
    options = asdict(result.options)
    if options["weights"] is not None and not with_identity:
        options["weights"] = options["weights"].name  # a path may hold a person's name
    record = {
        "format": FORMAT,
        "use": "research use only, not for diagnosis",
        "input": {
            **ct.source,
            "size_ijk_voxels": ct.hu.shape[::-1],
            "spacing_ijk_mm": ct.spacing,
            "ijk_to_ras_mm": ct.ijk_to_ras,
        },
        **({"identity": ct.identity} if with_identity else {}),
        "options": options,
        "provenance": result.provenance,
        "warnings": result.warnings,
        "scene": scene,
        "nodules": [
            {column.key: None if cell == "" else cell for column, cell in zip(columns(), as_row(nodule), strict=True)}
            for nodule in result.nodules
        ],
        "answers": result.answers.as_record(),
        "proposals": {
            "note": READER_DECIDES,
            "nodules": [_told(one, result.options.sentence) for one in proposals_of(result)],
        },
        "comparisons": as_record(result.comparisons),
        "candidates": result.candidates,
        "unconfirmed_components": result.unconfirmed.max(initial=0),
    }
    return _plain(record)


def _told(proposal: Proposal, sentence: str) -> dict[str, Any]:
    """What is proposed of one nodule."""
    risk = proposal.brock
    return {
        "id": proposal.nodule.id,
        "lung_rads_2022": _category(proposal.lung_rads),
        "fleischner_2017": _category(proposal.fleischner),
        "bts_2015": _category(proposal.bts),
        "brock": {
            "lowest": None if math.isnan(risk.low) else round(risk.low, 4),
            "highest": None if math.isnan(risk.high) else round(risk.high, 4),
            "not_answered": risk.missing,
        },
        "course": proposal.course,
        "change": proposal.change or None,
        "sentence": dictated(proposal, sentence),
    }


def _category(category: Category) -> dict[str, Any]:
    ruling = category.ruling
    return {
        "value": category.value,
        "rule": ruling.rule,
        "section": ruling.section,
        "next_step": ruling.next_step,
        "lower_bound": category.or_higher,
        "inside_interval": category.at_boundary,
        "by_volume": category.by_volume or None,
        "not_answered": category.open,
    }


def _plain(value: Any) -> Any:
    """`value` in types of JSON."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
