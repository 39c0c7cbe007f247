"""Whether studies name one patient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

#: What must be the same in all studies of a patient, by DICOM's names, and how a reader calls it.
PERSON = {"PatientID": "patient ID", "PatientSex": "sex", "PatientBirthDate": "birth date"}


def differing(persons: Sequence[Mapping[str, str]]) -> list[str]:
    """In what persons (as in `Study.person`) differ, as a reader calls it; what one does not say does not count."""
    known = ((called, {person[key] for person in persons if key in person}) for key, called in PERSON.items())
    return [called for called, values in known if len(values) > 1]
