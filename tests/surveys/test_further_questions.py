"""Ratings, choices, conditions and versions: what is kept, what isn't heard, and what an outcome sets going."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, insert, select

from portal.house import House
from portal.journeys.models import Activity, DueAction, Flag
from portal.journeys.rules import ActivityKind
from portal.mail import LetterRow
from portal.surveys import actions as surveys
from portal.surveys import further_results, results, rules, sketch_rules, sketching, tallies
from portal.surveys.actions import Counted, Sending, Unanswerable, What
from portal.surveys.models import AnswerRow, Invitation, Survey
from portal.surveys.narrowing import Narrow
from portal.surveys.rules import (
    Answers,
    Option,
    Provenance,
    Question,
    QuestionKind,
    ShowHow,
    ShowIf,
    SurveyForm,
    SurveyPurpose,
    Then,
    Thresholds,
    Verdict,
    Wording,
)
from portal.surveys.shipped import SHIPPED
from portal.surveys.stored import form_from, stored_form
from tests.surveys.conftest import DAY_30, Customer, Town


def words(text: str) -> Wording:
    return Wording(text, text)


FORM = SurveyForm(
    0,
    "after",
    words("After"),
    (
        Question("csat", QuestionKind.CSAT, words("How was it?")),
        Question("pace", QuestionKind.RATING, words("How fast?"), high=10),
        Question(
            "where", QuestionKind.CHOICE, words("Where?"), options=(Option("a", words("A")), Option("b", words("B")))
        ),
        Question(
            "which", QuestionKind.CHOICES, words("Which?"), options=(Option("a", words("A")), Option("b", words("B")))
        ),
        Question("solved", QuestionKind.YES_NO, words("Solved?"), show_if=ShowIf("csat", ShowHow.AT_MOST, 3)),
    ),
    purpose=SurveyPurpose.OTHER,
    does={
        Verdict.DISSATISFIED: (Then.TELL_CONSULTANT,),
        Verdict.NEUTRAL: (),
        Verdict.SATISFIED: (),
        Verdict.PROMOTER: (),
    },
)
FULL = {"pace": 9, "where": "b", "which": ["a", "b"]}


def test_a_form_is_stored_and_read_again_as_it_was() -> None:
    assert form_from(stored_form(FORM)) == FORM
    assert [form_from(stored_form(form)) for form in SHIPPED] == list(SHIPPED)


@pytest.mark.parametrize(
    ("others", "wrong"),
    [
        ({"pace": 11}, {"pace"}),
        ({"pace": "fast"}, {"pace"}),
        ({"pace": True}, {"pace"}),
        ({"where": "c"}, {"where"}),
        ({"which": ["a", "c"]}, {"which"}),
        ({"which": []}, {"which"}),
        ({"solved": "perhaps"}, {"solved"}),
        ({"nonsense": 1}, {"nonsense"}),
        ({**FULL, "solved": False}, set()),
    ],
)
def test_what_does_not_fit_a_further_question_is_said_by_its_name(others: dict[str, Any], wrong: set[str]) -> None:
    assert set(rules.problems(FORM, Answers(csat=2, others=others))) == wrong


@pytest.mark.parametrize(
    ("condition", "answers", "is_shown"),
    [
        (ShowIf("csat", ShowHow.AT_MOST, 3), Answers(csat=3), True),
        (ShowIf("csat", ShowHow.AT_MOST, 3), Answers(csat=4), False),
        (ShowIf("csat", ShowHow.AT_MOST, 3), Answers(), False),
        (ShowIf("pace", ShowHow.AT_LEAST, 9), Answers(others={"pace": 9}), True),
        (ShowIf("where", ShowHow.ONE_OF, ("a", "b")), Answers(others={"where": "b"}), True),
        (ShowIf("which", ShowHow.ONE_OF, ("a",)), Answers(others={"which": ["b"]}), False),
        (ShowIf("which", ShowHow.ANSWERED), Answers(others={"which": ["b"]}), True),
        (ShowIf("gone", ShowHow.ANSWERED), Answers(csat=1), False),
    ],
)
def test_a_condition_on_an_earlier_answer(condition: ShowIf, answers: Answers, is_shown: bool) -> None:
    last = replace(FORM.questions[-1], show_if=condition)
    form = replace(FORM, questions=(*FORM.questions[:-1], last))
    assert (last in rules.shown_questions(form, answers)) is is_shown


def test_what_a_hidden_question_was_sent_is_not_heard() -> None:
    assert rules.heard(FORM, Answers(csat=5, others={**FULL, "solved": True})) == Answers(csat=5, others=FULL)
    chained = replace(FORM.questions[1], show_if=ShowIf("solved", ShowHow.ONE_OF, ("no",)))
    form = replace(FORM, questions=(FORM.questions[0], FORM.questions[4], chained))
    assert rules.heard(form, Answers(csat=5, others={"solved": False, "pace": 3})) == Answers(csat=5)
    assert rules.heard(form, Answers(csat=1, others={"solved": False, "pace": 3})).others == {
        "solved": False,
        "pace": 3,
    }


def test_answers_that_are_in_are_judged_both_ways() -> None:
    counts = {(3, 8, None): 4, (5, 9, None): 2, (1, 9, True): 1, (None, None, False): 7}
    told = sketch_rules.judged(counts, Thresholds(), Thresholds(csat_bad=3, nps_promoter=10))
    assert [(one.verdict, one.before, one.after) for one in told] == [
        ("dissatisfied", 1, 5),
        ("neutral", 4, 0),
        ("satisfied", 2, 2),
        ("promoter", 2, 0),
    ]


def test_what_is_missing_is_told_with_its_place() -> None:
    assert sketch_rules.missing(FORM) == []
    broken = replace(
        FORM,
        questions=(
            replace(FORM.questions[2], text=Wording("Where?", ""), options=FORM.questions[2].options[:1]),
            FORM.questions[0],
            replace(FORM.questions[4], show_if=ShowIf("csat", ShowHow.AT_MOST, 9)),
        ),
    )
    assert {one.place for one in sketch_rules.missing(broken)} == {"q0_text_pt", "q0_option0_en", "q1", "q2_if"}
    assert sketch_rules.languages_missing(broken) == ["pt-BR"]


def test_changes_name_the_question_and_the_language() -> None:
    after = replace(
        FORM, questions=(replace(FORM.questions[0], text=Wording("How was it?", "Como foi?")), *FORM.questions[1:])
    )
    assert sketch_rules.changes(FORM, after) == [
        sketch_rules.Change("Question", 1, "pt-BR", "How was it?", "Como foi?")
    ]
    assert sketch_rules.changes(FORM, FORM) == []


# In the house


def put(house: House, form: SurveyForm, customer: Customer) -> int:
    """Maria's open survey asks that form instead; gives the invitation."""
    with house.database.write() as db:
        new = insert(Survey).values(**stored_form(form), version=1, created_at=DAY_30).returning(Survey.id)
        survey_id = db.execute(new).scalar_one()
        invitation = db.scalars(select(Invitation).where(Invitation.journey_id == customer.journey_id)).one()
        invitation.survey_id = survey_id
        return invitation.id


def send(house: House, invitation_id: int, answers: Answers, *, replaces: int | None = None) -> surveys.Taken:
    with house.database.write() as db:
        sending = Sending(Provenance.PHONE, "staff:1", replaces=replaces)
        return surveys.take(
            db, house, invitation_id=invitation_id, answers=answers, sending=sending, now=house.clock.now()
        )


def count(house: House, table: Any, **where: Any) -> int:
    with house.database.read() as db:
        return db.scalar(select(func.count()).select_from(table).filter_by(**where)) or 0


def test_further_answers_are_kept_known_again_and_changed_as_a_version(town: Town, maria: Customer) -> None:
    it = put(town.house, FORM, maria)
    first = send(town.house, it, Answers(csat=5, others={**FULL, "solved": True}))
    assert first.what is What.NEW and first.counted is not None
    assert send(town.house, it, Answers(csat=5, others=FULL)).what is What.KNOWN
    assert send(town.house, it, Answers(csat=5, others={**FULL, "where": "a"})).what is What.OTHER
    changed = send(town.house, it, Answers(csat=5, others={"where": "a"}), replaces=first.counted.answer_id)
    assert changed.what is What.CHANGED
    with town.house.database.read() as db:
        rows = [(row.others, row.superseded_at is None) for row in db.scalars(select(AnswerRow).order_by(AnswerRow.id))]
    assert rows == [(FULL, False), ({"where": "a"}, True)]


def test_numbers_out_of_range_are_refused_and_nothing_is_kept(town: Town, maria: Customer) -> None:
    it = put(town.house, FORM, maria)
    with pytest.raises(Unanswerable) as refused:
        send(town.house, it, Answers(csat=9, others={"pace": 0}))
    assert set(refused.value.problems) == {"csat", "pace"}
    assert count(town.house, AnswerRow) == 0


def test_a_survey_edited_while_it_is_answered_keeps_what_it_asked(town: Town, maria: Customer) -> None:
    """The form was shown as version 1; version 2 no longer asks the same. The answer is taken as version 1's."""
    invitation = town.invitation(maria)
    with town.house.database.write() as db:
        form = sketching.form_to_try(db, "follow_up_30")
        shorter = replace(form, questions=form.questions[1:2], thresholds=Thresholds(nps_bad=8, nps_good=9))
        saves = sketching.save(db, shorter, saves=0, by="staff:1", now=DAY_30)
        assert sketching.publish(db, "follow_up_30", saves=saves, by="staff:1", now=DAY_30) == 2
    taken = send(town.house, invitation.id, Answers(csat=4, nps=8, comment="Good"))
    assert taken.what is What.NEW and taken.counted == Counted(taken.counted[0] if taken.counted else 0, "satisfied")
    assert send(town.house, invitation.id, Answers(csat=4, nps=8, comment="Good")).what is What.KNOWN
    assert count(town.house, AnswerRow) == 1
    with town.house.database.read() as db:
        (newest, oldest) = sketching.versions(db, "follow_up_30", DAY_30)
    assert (newest.running, oldest.running) == (0, 0)


def test_a_reminder_keeps_the_version_that_was_asked(town: Town, maria: Customer) -> None:
    with town.house.database.write() as db:
        form = sketching.form_to_try(db, "follow_up_30")
        other = replace(form, questions=(replace(form.questions[1], text=words("Newer words")),))
        saves = sketching.save(db, other, saves=0, by="staff:1", now=DAY_30)
        sketching.publish(db, "follow_up_30", saves=saves, by="staff:1", now=DAY_30)
    town.live_until(DAY_30 + timedelta(days=7))
    with town.house.database.read() as db:
        from_mails = {
            str(kind): context["question"]
            for kind, context in db.execute(
                select(LetterRow.kind, LetterRow.context).where(LetterRow.kind.in_(["survey_30", "survey_reminder"]))
            )
        }
    assert set(from_mails) == {"survey_30", "survey_reminder"}
    assert "Newer words" not in from_mails.values() and len(set(from_mails.values())) == 1


def test_a_retired_survey_becomes_a_call(town: Town) -> None:
    with town.house.database.write() as db:
        sketching.retire(db, "follow_up_30", by="staff:1", now=DAY_30)
    customer = town.customer()
    town.live_until(DAY_30)
    assert count(town.house, Invitation, journey_id=customer.journey_id) == 0
    assert count(town.house, Activity, kind=ActivityKind.CONTACT_BY_CALL) == 1


def test_an_outcome_sets_going_what_the_survey_says(town: Town, maria: Customer) -> None:
    it = put(town.house, FORM, maria)
    send(town.house, it, Answers(csat=1))
    assert count(town.house, Flag) == 0
    assert count(town.house, Activity, kind=ActivityKind.READ_ANSWER) == 1


def test_a_call_for_help_is_flagged_whatever_the_survey_says(town: Town, maria: Customer) -> None:
    asks_help = Question("wants_help", QuestionKind.YES_NO, words("Help?"))
    it = put(town.house, replace(FORM, questions=(FORM.questions[0], asks_help)), maria)
    send(town.house, it, Answers(csat=5, wants_help=True))
    assert count(town.house, Flag) == 1


def test_a_promoter_is_thought_of_only_where_the_survey_says_so(town: Town, maria: Customer) -> None:
    nps = Question("nps", QuestionKind.NPS, words("Recommend?"))
    it = put(town.house, replace(FORM, questions=(nps,)), maria)
    send(town.house, it, Answers(nps=10))
    assert count(town.house, DueAction, kind="referral_prompt") == 0


def test_ratings_and_choices_are_counted_per_question(town: Town, maria: Customer) -> None:
    it = put(town.house, FORM, maria)
    send(town.house, it, Answers(csat=2, others={**FULL, "solved": False}))
    now = town.house.clock.now()
    with town.house.database.read() as db:
        found = next(one for one in results.surveys(db) if one.form.key == "after")
        questions = further_results.questions_of(found)
        narrow = Narrow(found.ids)
        (counted,) = tallies.counted(db, narrow, [now - timedelta(1), now + timedelta(1)], now=now)
        told = further_results.spreads(counted, questions, language="en", vendor="Onward")
        asked = results.Asked(now - timedelta(1), now + timedelta(1), with_words=False)
        (line,) = results.answers_to_take(town.house.database.read, narrow, asked, most=9)
    assert [(one.key, one.answers, [value.key for value in one.values if value.n]) for one in told] == [
        ("pace", 1, ["9"]),
        ("where", 1, ["b"]),
        ("which", 1, ["a", "b"]),
        ("solved", 1, ["no"]),
    ]
    words_of = {q.key: further_results.told(q, line.others, language="en", vendor="Onward") for q in questions}
    assert words_of == {"pace": ["9"], "where": ["B"], "which": ["A", "B"], "solved": ["no"]}
