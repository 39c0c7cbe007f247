"""Answers of a reader: what is not answered stays so, what is no answer is refused with a sentence."""

from __future__ import annotations

import pytest

from lnhg.core.answers import (
    NOT_ANSWERED,
    Answers,
    StudyAnswers,
    answers_of_record,
    answers_of_words,
    of_no_nodule,
    questions,
)
from lnhg.errors import InputError


def test_nothing_is_answered_until_somebody_answers():
    untouched = Answers()
    assert untouched.age is None
    assert {getattr(untouched, one.name) for one in questions() if one.name != "age"} == {NOT_ANSWERED}
    assert StudyAnswers().as_record() == {"patient": {}, "nodules": {}}


def test_answers_of_the_patient_hold_for_all_nodules_and_those_of_a_nodule_for_it_alone():
    given = answers_of_words(["risk=high", "age=64", "airway=no", "2.airway=subsegmental"])
    assert (given.of(1).risk, given.of(1).age, given.of(1).airway) == ("high", 64, "no")
    assert given.of(2).airway == "subsegmental"


def test_they_are_written_and_read_back():
    given = answers_of_words(["exam=first screening", "age=64", "3.cyst=thick-walled", "3.course=new"])
    assert answers_of_record(given.as_record()) == given


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("risk", "write it as risk=high"),
        ("risk=medium", "choose one of low; high; not answered"),
        ("colour=red", "no question 'colour'"),
        ("age=old", "whole years"),
        ("age=121", "whole years from 0 to 120"),
        ("age=-3", "whole years"),
        ("2.age=60", "asked of the patient"),
        ("x.airway=no", "no answer"),
        ("2.airway=everywhere", "choose one of"),
        ("=", "no question ''"),
    ],
)
def test_what_is_no_answer_is_refused(word: str, said: str):
    with pytest.raises(InputError, match=said):
        answers_of_words([word])


@pytest.mark.parametrize("words", [["risk=high", "risk=low"], ["2.airway=no", "age=60", "2.airway=subsegmental"]])
def test_two_answers_to_one_question_are_refused(words):
    with pytest.raises(InputError, match="is answered with"):
        answers_of_words(words)


def test_answers_for_nodules_that_are_not_there_are_named():
    given = answers_of_words(["2.airway=no", "99.airway=no", "0.cyst=no", "risk=high"])
    assert of_no_nodule(given, [1, 2]) == "0, 99"
    assert of_no_nodule(given, [0, 2, 99]) == ""


def test_an_answer_can_be_taken_back():
    assert answers_of_words(["risk=high", "risk=not answered", "age=60", "age=not answered"]) == StudyAnswers()
