"""Steps, refusals, hashes and prompts, without a database."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.referrals import rules
from portal.referrals.rules import Candidate, Facts, Moment, Move, Refusal, Step, Why, Withheld

NOON = datetime(2026, 6, 23, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("facts", "reached"),
    [
        (Facts(invited_at=NOON), Step.INVITED),
        (Facts(invited_at=NOON, opened_at=NOON), Step.OPENED),
        (Facts(opened_at=NOON, accepted_at=NOON), Step.ACCEPTED),
        (Facts(accepted_at=NOON, qualified_at=NOON), Step.QUALIFIED),
        (Facts(accepted_at=NOON, qualified_at=NOON, won_at=NOON), Step.WON),
        (Facts(accepted_at=NOON, qualified_at=NOON, won_at=NOON, rewarded_at=NOON), Step.REWARDED),
        (Facts(accepted_at=NOON, qualified_at=NOON, rejected_at=NOON), Step.REJECTED),
        (Facts(invited_at=NOON, forgotten_at=NOON), Step.FORGOTTEN),
        (Facts(invited_at=NOON, opened_at=NOON, forgotten_at=NOON), Step.FORGOTTEN),
    ],
)
def test_the_furthest_fact_says_how_far_a_friend_has_got(facts: Facts, reached: Step) -> None:
    assert rules.step(facts) == (reached, NOON)


@pytest.mark.parametrize("move", Move)
@pytest.mark.parametrize("at", Step)
def test_a_move_is_possible_or_done_already_but_never_both(move: Move, at: Step) -> None:
    assert not (move in rules.POSSIBLE[at] and rules.is_done_already(move, at))


def test_a_reward_needs_a_customer_and_a_rejected_friend_stays_rejected() -> None:
    assert [at for at in Step if Move.REWARD in rules.POSSIBLE[at]] == [Step.WON]
    assert rules.POSSIBLE[Step.REJECTED] == ()
    assert rules.is_done_already(Move.QUALIFY, Step.WON) and not rules.is_done_already(Move.QUALIFY, Step.REJECTED)


@pytest.mark.parametrize(
    ("candidate", "reason"),
    [
        (Candidate(), None),
        (Candidate(is_referrer=True, is_colleague=True, is_customer=True), Refusal.ONESELF),
        (Candidate(is_colleague=True, is_customer=True), Refusal.COLLEAGUE),
        (Candidate(is_customer=True, is_kept_by_another=True), Refusal.CUSTOMER),
        (Candidate(wants_no_contact=True, is_kept_by_another=True), Refusal.NO_CONTACT),
        (Candidate(is_kept_by_another=True), Refusal.ALREADY_REFERRED),
    ],
)
def test_somebody_is_refused_for_the_reason_that_is_nearest(candidate: Candidate, reason: Refusal | None) -> None:
    assert rules.refusal(candidate) is reason


def test_every_refusal_has_a_sentence_for_each_side() -> None:
    assert set(rules.TO_REFERRER) == set(rules.TO_FRIEND) == set(Refusal)


def test_an_address_hash_needs_the_secret_and_ignores_case() -> None:
    assert rules.address_hash("one", " Priya@Saltmarsh.example ") == rules.address_hash(
        "one", "priya@saltmarsh.example"
    )
    assert rules.address_hash("one", "priya@saltmarsh.example") != rules.address_hash("two", "priya@saltmarsh.example")


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("Thought of you. St. John says hi!", False),
        ("It costs 3.50 a day, e.g. less than coffee.", False),
        ("see https://prize.example", True),
        ("go to WWW.prize.example", True),
        ("prize.example/now", True),
    ],
)
def test_a_note_with_a_link_is_told_from_one_without(text: str, holds: bool) -> None:
    assert rules.holds_link(text) is holds


@pytest.mark.parametrize(
    ("typed", "is_it"),
    [
        ("Priya", True),
        ("priya", True),
        (" PRIYA  NAIR ", True),
        ("Príya", True),
        ("Nair", False),
        ("", False),
        ("Pri", False),
        (" ", False),
    ],
)
def test_the_first_name_is_recognised_however_it_is_typed(typed: str, is_it: bool) -> None:
    assert rules.is_same_first_name(typed, "Priya Nair") is is_it


@given(st.text(), st.text())
def test_no_text_breaks_the_look_at_a_name_or_a_note(typed: str, name: str) -> None:
    rules.is_same_first_name(typed, name)
    rules.holds_link(typed)


def moment(**changed: Any) -> Moment:
    as_usual = {
        "why": Why.ANSWER, "at": NOON, "has_open_flag": False, "last_prompt_at": None, "is_promoter": True, "is_customer": True,
    }  # fmt: skip
    return Moment(**{**as_usual, **changed})


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({}, None),
        ({"has_open_flag": True}, Withheld.OPEN_FLAG),
        ({"last_prompt_at": NOON - timedelta(days=89, hours=23)}, Withheld.RECENT),
        ({"last_prompt_at": NOON - timedelta(days=90)}, None),
        ({"why": Why.GOAL, "is_promoter": False}, None),
        ({"why": Why.APPROVAL}, None),
        ({"why": Why.APPROVAL, "is_promoter": False}, Withheld.NO_PROMOTER),
        ({"is_customer": False, "has_open_flag": True}, Withheld.NO_CUSTOMER),
    ],
)
def test_a_prompt_is_withheld_for_a_reason_or_not_at_all(changed: dict[str, Any], why: Withheld | None) -> None:
    assert rules.withheld(moment(**changed)) is why


def test_what_a_due_action_says_is_read() -> None:
    assert [rules.read_why(what) for what in ("approval", "answer_17", "goal_3")] == [
        (Why.APPROVAL, None),
        (Why.ANSWER, 17),
        (Why.GOAL, 3),
    ]
    with pytest.raises(ValueError):
        rules.read_why("kindness_1")
