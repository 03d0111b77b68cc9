"""What an answer says: the table, for every answer there can be."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.journeys.rules import Outcome
from portal.surveys import rules
from portal.surveys.rules import Answers, QuestionKind, SurveyForm, Thresholds, Wording
from portal.surveys.shipped import SHIPPED

CSAT = st.none() | st.integers(1, 5)
NPS = st.none() | st.integers(0, 10)
HELP = st.none() | st.booleans()
SHIPPED_THRESHOLDS = Thresholds()


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (Answers(csat=1, nps=10), Outcome.DISSATISFIED),
        (Answers(csat=2, nps=10), Outcome.DISSATISFIED),
        (Answers(csat=5, nps=6), Outcome.DISSATISFIED),
        (Answers(csat=5, nps=0), Outcome.DISSATISFIED),
        (Answers(csat=5, nps=10, wants_help=True), Outcome.DISSATISFIED),
        (Answers(wants_help=True), Outcome.DISSATISFIED),
        (Answers(csat=3, nps=7), Outcome.NEUTRAL),
        (Answers(csat=3, nps=10), Outcome.NEUTRAL),
        (Answers(csat=3), Outcome.NEUTRAL),
        (Answers(csat=4, nps=7), Outcome.SATISFIED),
        (Answers(csat=5, nps=10, wants_help=False), Outcome.SATISFIED),
        (Answers(csat=4), Outcome.SATISFIED),
        (Answers(nps=7), Outcome.SATISFIED),
        (Answers(nps=6), Outcome.DISSATISFIED),
        (Answers(comment="Only words"), None),
        (Answers(wants_help=False), None),
        (Answers(), None),
    ],
)
def test_the_table_of_outcomes(answers: Answers, expected: Outcome | None) -> None:
    assert rules.outcome(answers, SHIPPED_THRESHOLDS) is expected


@given(CSAT, NPS, HELP)
def test_an_answer_flags_if_and_only_if_something_in_it_is_bad(
    csat: int | None, nps: int | None, wants_help: bool | None
) -> None:
    bad = (csat is not None and csat <= 2) or (nps is not None and nps <= 6) or bool(wants_help)
    said = rules.outcome(Answers(csat, nps, "", wants_help), SHIPPED_THRESHOLDS)
    assert (said is Outcome.DISSATISFIED) is bad


@given(CSAT, NPS, HELP)
def test_a_question_that_was_not_answered_is_no_evidence(
    csat: int | None, nps: int | None, wants_help: bool | None
) -> None:
    """Leaving a question out never makes an answer worse than the best thing one could have said there."""
    if csat is None and nps is None:
        return
    as_given = rules.outcome(Answers(csat, nps, "", wants_help), SHIPPED_THRESHOLDS)
    at_best = rules.outcome(Answers(csat or 5, 10 if nps is None else nps, "", wants_help), SHIPPED_THRESHOLDS)
    assert as_given is at_best


@given(CSAT, NPS, HELP, st.text(max_size=20))
def test_words_change_no_outcome(csat: int | None, nps: int | None, wants_help: bool | None, words: str) -> None:
    silent = rules.outcome(Answers(csat, nps, "", wants_help), SHIPPED_THRESHOLDS)
    assert rules.outcome(Answers(csat, nps, words, wants_help), SHIPPED_THRESHOLDS) is silent


@given(CSAT, NPS, HELP)
def test_only_a_satisfied_person_is_a_promoter(csat: int | None, nps: int | None, wants_help: bool | None) -> None:
    answers = Answers(csat, nps, "", wants_help)
    satisfied = rules.outcome(answers, SHIPPED_THRESHOLDS) is Outcome.SATISFIED
    assert rules.is_promoter(answers, SHIPPED_THRESHOLDS) is (satisfied and nps is not None and nps >= 9)


def test_thresholds_belong_to_the_survey() -> None:
    strict = Thresholds(csat_bad=3, csat_good=5, nps_bad=7, nps_good=8)
    assert rules.outcome(Answers(csat=3, nps=8), strict) is Outcome.DISSATISFIED
    assert rules.outcome(Answers(csat=4, nps=8), strict) is Outcome.NEUTRAL
    assert rules.outcome(Answers(csat=5, nps=8), strict) is Outcome.SATISFIED


@given(st.integers(), st.integers())
def test_scores_outside_their_scale_are_refused_beside_their_question(csat: int, nps: int) -> None:
    wrong = rules.problems(SHIPPED[0], Answers(csat=csat, nps=nps))
    assert set(wrong) == ({"csat"} if not 1 <= csat <= 5 else set()) | ({"nps"} if not 0 <= nps <= 10 else set())


def test_words_alone_are_asked_for_a_score_and_no_score_needs_words() -> None:
    assert set(rules.problems(SHIPPED[0], Answers(comment="It's fine"))) == {"csat"}
    assert rules.problems(SHIPPED[0], Answers(csat=3)) == {}
    assert rules.problems(SHIPPED[0], Answers(wants_help=True)) == {}


def test_what_was_not_asked_is_not_taken() -> None:
    nps_only = SurveyForm(0, "pulse", Wording("Pulse", "Pulso"), (SHIPPED[0].questions[1],))
    assert set(rules.problems(nps_only, Answers(nps=9, csat=5, comment="x", wants_help=True))) == {
        "csat",
        "comment",
        "wants_help",
    }
    assert rules.problems(nps_only, Answers(nps=9)) == {}
    assert set(rules.problems(nps_only, Answers())) == {"nps"}


def test_the_why_follows_the_score() -> None:
    why = next(q for q in SHIPPED[0].questions if q.kind is QuestionKind.TEXT)
    worded = {so_far: why.asked("en", "Onward", so_far=so_far) for so_far in (None, *Outcome)}
    assert worded == {
        None: "What’s behind your score?",
        Outcome.DISSATISFIED: "What isn’t working for you?",
        Outcome.NEUTRAL: "What would make it better?",
        Outcome.SATISFIED: "What do you like most?",
    }


def test_the_vendors_name_stands_in_the_question_even_with_odd_signs_around_it() -> None:
    assert Wording("100 % of {vendor}, {x}?", "").told("en", "Larderly") == "100 % of Larderly, {x}?"
    assert SHIPPED[0].questions[1].asked("pt-BR", "Larderly").startswith("Qual é a chance de você recomendar Larderly")


def test_every_shipped_survey_is_short_and_starts_with_a_score() -> None:
    for form in SHIPPED:
        assert len(form.questions) < 6
        assert form.questions[0] is form.question(QuestionKind.NPS if form.key == "pulse" else QuestionKind.CSAT)
        assert form.minutes == (2 if form.key.startswith("follow_up") else 1)


def test_a_survey_is_open_for_21_days_and_all_of_the_last_one() -> None:
    sent_at = datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert rules.closes_on(sent_at, "America/Sao_Paulo") == date(2026, 7, 22)
    assert rules.expires_at(sent_at, "America/Sao_Paulo") == datetime(2026, 7, 23, 3, tzinfo=UTC)
