"""The Relationship journey: it watches over the customer until the renewal."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import update

from portal.accounts.models import Account
from portal.journeys import actions
from portal.journeys.models import JourneyRow, StageRow
from portal.journeys.rules import Status
from tests.journeys.story import Story

RENEWAL_NEARS = datetime(2026, 12, 29, 12, 0, tzinfo=UTC)
"""Sixty days before 27 February 2027."""


@pytest.fixture
def related(using: Story) -> Story:
    """Maria's company is approved; the story goes on with its Relationship journey."""
    using.live_until_day(90)
    using.talk()
    using.id = using.relationships[0].id
    return using


def renews(story: Story, on: date | None) -> None:
    with story.house.database.write() as db:
        db.execute(update(Account).where(Account.id == story.cast.padaria).values(renews_on=on))
        actions.hear_account_change(db, story.house, account_id=story.cast.padaria, now=story.now)


def test_it_begins_in_good_hands_and_wakes_for_the_renewal(related: Story) -> None:
    assert (related.stage, related.waiting) == ("good_hands", {"wake:renewal": RENEWAL_NEARS})


def test_sixty_days_before_the_renewal_it_moves_to_renewal(related: Story) -> None:
    related.live_until(RENEWAL_NEARS - timedelta(minutes=1))
    assert related.stage == "good_hands"
    related.live_until(RENEWAL_NEARS)
    assert (related.stage, related.last_visit.moved_by) == ("renewal", "rule:renewal_within:60")


def test_a_later_renewal_date_puts_it_off(related: Story) -> None:
    renews(related, date(2027, 8, 27))
    related.live_until(RENEWAL_NEARS + timedelta(days=1))
    assert related.stage == "good_hands"
    related.live_until(datetime(2027, 6, 28, 12, 0, tzinfo=UTC))
    assert related.stage == "renewal"


def test_a_renewal_date_that_comes_to_be_known_is_waited_for(using: Story) -> None:
    with using.house.database.write() as db:
        db.execute(update(Account).where(Account.id == using.cast.padaria).values(renews_on=None))
    using.live_until_day(90)
    using.talk()
    using.id = using.relationships[0].id
    assert using.waiting == {}
    renews(using, date(2027, 2, 27))
    assert using.waiting == {"wake:renewal": RENEWAL_NEARS}


def test_a_renewal_that_is_near_at_approval_begins_there_at_once(using: Story) -> None:
    renews(using, date(2026, 7, 1))
    using.live_until_day(90)
    using.talk()
    using.id = using.relationships[0].id
    assert using.path == ["good_hands", "renewal"]


def test_growing_is_entered_by_hand_only_and_leads_to_renewal_too(related: Story) -> None:
    related.move("growing", "They want a second shop.")
    related.live_until(RENEWAL_NEARS)
    assert related.path == ["good_hands", "growing", "renewal"]


def test_a_renewed_customer_begins_the_next_cycle_and_waits_for_the_next_date(related: Story) -> None:
    related.live_until(RENEWAL_NEARS + timedelta(days=20))
    first = related.id
    related.move("renewed", "Signed for another year.")
    assert related.status is Status.WON
    old, new = related.relationships
    assert (old.id, new.previous_journey_id, new.status) == (first, first, Status.OPEN)
    related.id = new.id
    assert related.stage == "good_hands"
    related.live_until(related.now + timedelta(days=10))
    assert related.stage == "good_hands"
    renews(related, date(2028, 2, 27))
    related.live_until(datetime(2027, 12, 29, 12, 0, tzinfo=UTC))
    assert related.stage == "renewal"


def test_a_lost_renewal_ends_the_journey_with_its_reason(related: Story) -> None:
    related.live_until(RENEWAL_NEARS)
    related.move("lost", "Too expensive.")
    assert (related.stage, related.status, related.waiting) == ("lost", Status.LOST, {})
    assert related.last_visit.reason == "Too expensive."


def test_a_customer_who_leaves_ends_every_journey_under_way(related: Story) -> None:
    related.leave()
    with related.house.database.read() as db:
        found = db.query(JourneyRow.status, StageRow.key).join(StageRow, StageRow.id == JourneyRow.stage_id)
        assert [tuple(row) for row in found.order_by(JourneyRow.id)] == [("won", "approved"), ("lost", "good_hands")]
    related.live_until(RENEWAL_NEARS + timedelta(days=1))
    assert related.stage == "good_hands"
