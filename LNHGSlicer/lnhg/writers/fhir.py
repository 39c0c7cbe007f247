"""A result as a FHIR bundle (R4B, of the type collection): a diagnostic report with an observation a nodule.

It names no patient; whoever takes it in sets the subject, which FHIR asks of no report. Categories and figures that no
public code is known for have codes of our own. Needs the `fhir` extra.
"""

from __future__ import annotations

import math
import uuid
from datetime import datetime, timezone
from typing import Any

from .. import __version__
from ..categories.category import READER_DECIDES
from ..categories.dictation import dictated
from ..categories.proposals import Proposal, proposals_of
from ..core.result import Result
from ..errors import InputError

_OWN = "urn:lnhg:codes"
_SNOMED, _LOINC, _UCUM = "http://snomed.info/sct", "http://loinc.org", "http://unitsofmeasure.org"
_NODULE, _CHEST_CT = ("27925004", "Nodule"), ("24627-2", "CT Chest")
_SIDES = {"right": ("24028007", "Right"), "left": ("7771000", "Left")}
_LUNG = ("39607008", "Lung structure")
# Of the nodule's attribute: system, code, name, unit.
_SIZES = (
    ("volume", _SNOMED, "118565006", "Volume", "mm3"),
    ("long_axis", _SNOMED, "103339001", "Long axis", "mm"),
    ("short_axis", _SNOMED, "103340004", "Short axis", "mm"),
    ("mean_axis", _OWN, "mean-axis", "Mean of long and short axis", "mm"),
    ("solid_diameter", _OWN, "solid-diameter", "Diameter of the solid part", "mm"),
)


def fhir_bundle(result: Result) -> str:
    """The bundle as JSON text, checked by `fhir.resources`. Raises InputError when that is not installed."""
    try:
        from fhir.resources.R4B.bundle import Bundle
    except ImportError as error:
        raise InputError("fhir.resources is not installed; install it with pip install 'lnhg[fhir]'.") from error
    told = proposals_of(result)
    observations = [_observation(one, result.options.sentence) for one in told]
    report = _report(observations, [dictated(one, result.options.sentence) for one in told])
    entries = [{"fullUrl": _url(one), "resource": one} for one in (report, *observations)]
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "timestamp": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "entry": entries,
    }
    return str(Bundle.model_validate(bundle).model_dump_json(indent=2)) + "\n"


def _url(resource: dict[str, Any]) -> str:
    return f"urn:uuid:{resource['id']}"


def _coded(system: str, code: str, name: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code, "display": name}], "text": name}


def _report(observations: list[dict[str, Any]], sentences: list[str]) -> dict[str, Any]:
    found = " ".join(f"Nodule {number}: {one}." for number, one in enumerate(sentences, 1)) or "No nodule found."
    return {
        "resourceType": "DiagnosticReport",
        "id": str(uuid.uuid4()),
        "status": "preliminary",
        "code": _coded(_LOINC, *_CHEST_CT),
        "result": [{"reference": _url(one)} for one in observations],
        "conclusion": f"{found} {READER_DECIDES} Research use only, not for diagnosis.",
    }


def _observation(proposal: Proposal, sentence: str) -> dict[str, Any]:
    nodule = proposal.nodule
    site = _coded(_SNOMED, *_LUNG)
    if nodule.side in _SIDES:
        code, name = _SIDES[nodule.side]
        site["coding"].append({"system": _SNOMED, "code": code, "display": name})
        site["text"] = f"{nodule.side} lung"
    return {
        "resourceType": "Observation",
        "id": str(uuid.uuid4()),
        "status": "preliminary",
        "code": _coded(_SNOMED, *_NODULE),
        "bodySite": site,
        "device": {"display": f"LNHG {__version__}"},
        "note": [{"text": dictated(proposal, sentence)}],
        "component": [*_sizes(proposal), *_categories(proposal)],
    }


def _sizes(proposal: Proposal) -> list[dict[str, Any]]:
    found = []
    for attribute, system, code, name, unit in _SIZES:
        value = float(getattr(proposal.nodule, attribute))
        if math.isnan(value):
            continue
        quantity: dict[str, Any] = {"value": round(value, 2), "unit": unit, "system": _UCUM, "code": unit}
        if proposal.facts.cut:
            quantity["comparator"] = ">="
        found.append({"code": _coded(system, code, name), "valueQuantity": quantity})
    return found


def _categories(proposal: Proposal) -> list[dict[str, Any]]:
    texts = {
        "type": proposal.nodule.type,
        "lobe": proposal.nodule.lobe,
        "lung-rads-2022": proposal.lung_rads.text,
        "fleischner-2017": proposal.fleischner.text,
        "bts-2015": proposal.bts.text,
        "brock": proposal.brock.text,
    }
    names = {
        "type": "Type of the nodule",
        "lobe": "Lobe by segmentation",
        "lung-rads-2022": "Lung-RADS 2022, proposed",
        "fleischner-2017": "Fleischner 2017, proposed",
        "bts-2015": "BTS 2015, proposed",
        "brock": "Probability of cancer by the Brock model",
        "course": "Course against earlier CT",
        "change": "Change since the study before",
    }
    if proposal.course:
        texts["course"] = proposal.course
    if proposal.change:
        texts["change"] = proposal.change
    return [{"code": _coded(_OWN, code, names[code]), "valueString": text} for code, text in texts.items()]
