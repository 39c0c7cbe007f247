"""Results as two CSV files that REDCap imports: the data dictionary, and a repeated instrument a nodule."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..categories.dictation import dictated
from ..categories.proposals import Proposal, proposal_header, proposal_row
from ..core.answers import NOT_ANSWERED, Answers, questions
from ..core.atomic_file import write_atomic
from ..core.csv_text import csv_text, harmless
from ..core.nodule import Column, as_row, columns
from ..errors import InputError

#: The two files by name.
FILES = {"dictionary": "dictionary.csv", "records": "records.csv"}
_FORM = "lung_nodule"
_HEADER = (
    "Variable / Field Name", "Form Name", "Section Header", "Field Type", "Field Label",
    "Choices, Calculations, OR Slider Labels", "Field Note", "Text Validation Type OR Show Slider Number",
    "Text Validation Min", "Text Validation Max", "Identifier?", "Branching Logic (Show field only if...)",
    "Required Field?", "Custom Alignment", "Question Number (surveys only)", "Matrix Group Name", "Matrix Ranking?",
    "Field Annotation",
)  # fmt: skip
_LONGEST = 100


def dictionary_rows() -> list[list[str]]:
    """The data dictionary: a row a variable, in the order of `record_rows`."""
    rows = [_row("record_id", "study_form", "Study", "text")]
    rows += [_row(_variable(one.key), _FORM, one.title, *_kind(one)) for one in columns()]
    rows += [
        _row(f"answer_{one.name}", _FORM, one.metadata["text"], *_choices(one.metadata["choices"]))
        for one in questions()
    ]
    rows += [_row(_variable(title), _FORM, f"{title}; the reader decides", "notes") for title in proposal_header()]
    return [list(_HEADER), *rows]


def record_rows(study: str, told: Sequence[Proposal], sentence: str) -> list[list[Any]]:
    """A row a nodule of one study; `sentence` is the template of what is dictated."""
    rows = []
    for instance, one in enumerate(told, 1):
        cells = [*as_row(one.nodule), *_answers(one.answers), *proposal_row(one, dictated(one, sentence))]
        rows.append([harmless(study), _FORM, instance, *map(harmless, cells)])
    return rows


def record_header() -> list[str]:
    """The variables of `record_rows`."""
    variables = [row[0] for row in dictionary_rows()[2:]]
    return ["record_id", "redcap_repeat_instrument", "redcap_repeat_instance", *variables]


def write_redcap(folder: Path, rows: Sequence[Sequence[Any]]) -> dict[str, Path]:
    """Write both files, of the rows of all studies; returns name -> path. Raises InputError where other files lie."""
    tables: Mapping[str, list[Sequence[Any]]] = {
        "dictionary": [*dictionary_rows()],
        "records": [record_header(), *rows],
    }
    for name, table in tables.items():
        path = folder / FILES[name]
        first = path.read_text(encoding="utf-8", errors="replace").partition("\n")[0].strip() if path.exists() else None
        if first is not None and first != csv_text([table[0]], "\n").strip():
            raise InputError(f"{path} holds something else and would be replaced; choose another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        write_atomic(folder / FILES[name], csv_text(table, "\n"))
    return {name: folder / file for name, file in FILES.items()}


def _variable(name: str) -> str:
    """A name as REDCap takes it: small letters, digits and underscores, a letter first."""
    plain = re.sub(r"[^a-z0-9]+", "_", name.lower())[:_LONGEST].strip("_")
    return plain if plain[0].isalpha() else f"n_{plain}"


def _kind(column: Column) -> tuple[str, str, str]:
    """Field type, choices and validation of a column."""
    kind = str(column.kind)
    if "bool" in kind:
        return "dropdown", "yes, yes | no, no", ""
    return "text", "", "integer" if "int" in kind else "number" if "float" in kind else ""


def _choices(choices: Sequence[str]) -> tuple[str, str, str]:
    if not choices:
        return "text", "", "integer"
    # A comma parts code and label, so that the labels have none.
    told = [one.replace(",", ";") for one in (*choices, NOT_ANSWERED)]
    return "dropdown", " | ".join(f"{_variable(one)}, {one}" for one in told), ""


def _answers(answers: Answers) -> list[str]:
    told = [getattr(answers, one.name) for one in questions()]
    return ["" if one is None else str(one) if isinstance(one, int) else _variable(one) for one in told]


def _row(variable: str, form: str, label: str, kind: str, choices: str = "", validation: str = "") -> list[str]:
    return [variable, form, "", kind, label, choices, "", validation, *[""] * (len(_HEADER) - 8)]
