"""What must be true of every journey at any time, whatever happened in whatever order:

1. Nobody is approved before the contacts of day 30, 60 and 90 are settled.
2. While a flag is open a journey doesn't move on by itself.
3. What happens by itself happens once for each journey, visit and action, however many workers run or die.
4. An approved journey has one Relationship journey, however often it is approved.
5. A dissatisfied answer has one flag, and a flag ends by a person's word on how.
6. Visits leave no gap and never overlap: together they are as long as the journey is old.
7. An answer that somebody was thanked for is never lost, and counts once.
8. A corrected start of use moves every pending date of the plan by as many days, and no past one.
"""

from collections import Counter
from datetime import date, datetime, timedelta
from itertools import pairwise

from sqlalchemy import text
from sqlalchemy.orm import Session

from portal.clock import day_instant
from portal.journeys import rules
from portal.journeys.rules import Journey, Pipeline, Status
from tests.journeys.paper import Case, Facts

TWO_WEEKS = timedelta(days=14)


def hold(facts: Facts, cases: list[Case]) -> None:
    """The invariants that can be read off one journey's facts."""
    _contacts_before_approval(facts)
    _nothing_moves_by_itself_under_a_flag(facts, cases)
    _everything_once(facts)
    _stays_are_gapless(facts)
    _surveys_keep_their_distance(facts)
    assert facts.open_flags == sum(case.closed_at is None for case in cases)
    assert facts.relationships == int(any(stay.stage == "approved" for stay in facts.stays)), "invariant 4"


def _contacts_before_approval(facts: Facts) -> None:
    if facts.status is Status.WON:
        assert all(contact.is_settled for contact in facts.contacts), "invariant 1"


def _nothing_moves_by_itself_under_a_flag(facts: Facts, cases: list[Case]) -> None:
    for stay in facts.stays[1:]:
        if stay.moved_by.startswith("rule:"):
            assert not any(case.was_open_at(stay.entered_at) for case in cases), "invariant 2"


def _everything_once(facts: Facts) -> None:
    again = {mail: count for mail, count in Counter(facts.mails).items() if count > 1}
    assert again == {}, "invariant 3: the same mail twice"


def _stays_are_gapless(facts: Facts) -> None:
    for one, other in pairwise(facts.stays):
        assert one.left_at == other.entered_at, "invariant 6"
    assert [stay.left_at is None for stay in facts.stays] == [False] * (len(facts.stays) - 1) + [True], "invariant 6"
    assert facts.stays[-1].stage == facts.stage


def _surveys_keep_their_distance(facts: Facts) -> None:
    sent = sorted(contact.sent_at for contact in facts.contacts if contact.sent_at is not None)
    assert all(later - earlier >= TWO_WEEKS for earlier, later in pairwise(sent)), "two surveys within two weeks"
    for contact in facts.contacts:
        assert contact.sent_at is None or contact.converted_at is None, "asked by mail and by call"
        assert (contact.sent_at is not None) == (f"survey:{contact.day}" in facts.mails), "sent without a mail"


def pending_dates(facts: Facts) -> dict[int, date | None]:
    return {contact.day: contact.due_on for contact in facts.contacts if contact.is_pending}


def past_dates(facts: Facts) -> dict[int, date | None]:
    return {contact.day: contact.due_on for contact in facts.contacts if not contact.is_pending}


def will_be_woken(pipeline: Pipeline, journey: Journey, waiting: dict[datetime, str], now: datetime) -> None:
    """Nothing is left undone, and whatever the journey will do by itself on a later day, something waits to ask it then."""
    assert rules.next_move(pipeline, journey, now) is None, "a move was left undone"
    days = {day for stage in pipeline.stages for day in (stage.contact_day, stage.gives_way_on_day) if day}
    if journey.use_started_on is None:
        return
    for day in sorted(days):
        at = day_instant(journey.use_started_on, day, journey.zone)
        if at > now and rules.next_move(pipeline, journey, at) is not None:
            assert any(now < due_at <= at for due_at in waiting), f"nothing wakes the journey on day {day}"
            return


def hold_in_database(db: Session) -> None:
    """The invariants over everything in the database, as SQL; each statement finds what breaks one."""
    for broken, statement in BROKEN.items():
        found = db.execute(text(statement)).all()
        assert found == [], broken


BROKEN = {
    "1: approved with contacts that are not settled": """
        SELECT f.journey_id, f.day FROM follow_ups f JOIN journeys j ON j.id = f.journey_id
        WHERE j.status = 'won' AND f.settled_at IS NULL""",
    "2: a journey moved by itself under an open flag": """
        SELECT v.journey_id, v.seq FROM visits v JOIN flags f ON f.journey_id = v.journey_id
        WHERE v.moved_by LIKE 'rule:%' AND v.seq > 1 AND f.opened_at < v.entered_at AND NOT EXISTS (
            SELECT 1 FROM resolutions r WHERE r.flag_id = f.id AND r.at <= v.entered_at
            AND (r.undone_at IS NULL OR r.undone_at >= v.entered_at))""",
    "3: an action twice": """
        SELECT journey_id, key FROM due_actions GROUP BY journey_id, key HAVING count(*) > 1""",
    "3: an activity twice": """
        SELECT journey_id, key FROM activities GROUP BY journey_id, key HAVING count(*) > 1""",
    "3: a letter twice": "SELECT key FROM letters GROUP BY key HAVING count(*) > 1",
    "3: an action put aside": "SELECT id, error FROM due_actions WHERE set_aside_at IS NOT NULL",
    "4: approved without exactly one successor": """
        SELECT j.id FROM journeys j WHERE j.status = 'won' AND j.pipeline_key = 'after_sale'
        AND (SELECT count(*) FROM journeys n WHERE n.previous_journey_id = j.id) <> 1""",
    "5: a dissatisfied answer without its flag": """
        SELECT a.id FROM answers a LEFT JOIN flags f ON f.answer_id = a.id
        WHERE a.outcome = 'dissatisfied' AND a.quarantined_at IS NULL AND a.superseded_at IS NULL
        GROUP BY a.id HAVING count(f.id) <> 1""",
    "5: an earlier version was dissatisfied, and its case is lost": """
        SELECT a.id FROM answers a WHERE a.outcome = 'dissatisfied' AND a.superseded_at IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM flags f JOIN answers v ON v.id = f.answer_id WHERE v.invitation_id = a.invitation_id)""",
    "5: a flag for an answer in quarantine": """
        SELECT f.id FROM flags f JOIN answers a ON a.id = f.answer_id WHERE a.quarantined_at IS NOT NULL""",
    "5: a flag that ended without a person's outcome": """
        SELECT f.id FROM flags f WHERE (f.closed_at IS NOT NULL) <> EXISTS (
            SELECT 1 FROM resolutions r WHERE r.flag_id = f.id AND r.undone_at IS NULL AND r.by LIKE 'staff:%')""",
    "5: the count of open flags is wrong": """
        SELECT j.id FROM journeys j WHERE j.open_flags <>
            (SELECT count(*) FROM flags f WHERE f.journey_id = j.id AND f.closed_at IS NULL)""",
    "6: a gap between visits": """
        SELECT v.journey_id, v.seq FROM visits v LEFT JOIN visits n ON n.journey_id = v.journey_id AND n.seq = v.seq + 1
        WHERE (n.id IS NULL) <> (v.left_at IS NULL) OR v.left_at <> n.entered_at""",
    "6: visits do not begin with the journey": """
        SELECT j.id FROM journeys j JOIN visits v ON v.journey_id = j.id AND v.seq = 1 WHERE v.entered_at <> j.opened_at""",
    "6: the journey is not where its open visit is": """
        SELECT j.id FROM journeys j LEFT JOIN visits v ON v.journey_id = j.id AND v.left_at IS NULL
        WHERE v.id IS NULL OR v.stage_id <> j.stage_id OR v.entered_at <> j.entered_at OR v.seq <> j.visit""",
    "7: an answer counted twice": """
        SELECT invitation_id FROM answers WHERE superseded_at IS NULL AND quarantined_at IS NULL
        GROUP BY invitation_id HAVING count(*) > 1""",
    "8: a pending contact is not on its day of use": """
        SELECT f.journey_id, f.day FROM follow_ups f JOIN journeys j ON j.id = f.journey_id
        WHERE j.use_started_on IS NOT NULL AND f.due_on IS NULL AND f.sent_at IS NULL AND f.converted_at IS NULL
        AND f.settled_at IS NULL AND f.missed_at IS NULL""",
    "the board's counts are wrong": """
        SELECT stage_id, owner_id, sum(journeys), sum(flagged) FROM (
            SELECT stage_id, owner_id, journeys, flagged FROM stage_tallies
            UNION ALL
            SELECT stage_id, owner_id, -1, CASE WHEN open_flags > 0 THEN -1 ELSE 0 END FROM journeys WHERE status <> 'lost'
        ) AS counted GROUP BY stage_id, owner_id HAVING sum(journeys) <> 0 OR sum(flagged) <> 0""",
    "something waits for a journey that was lost": """
        SELECT d.id FROM due_actions d JOIN journeys j ON j.id = d.journey_id
        WHERE j.status = 'lost' AND d.done_at IS NULL""",
}
