"""No time is sold twice: fifty at once, forty times, on either database; in threads, against the real functions.

A naive look-and-insert let two people into one slot in only five of forty rounds, so one round proves nothing.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from threading import Barrier

import pytest
from sqlalchemy import func, select

from portal.accounts.models import Account, Contact
from portal.accounts.rules import Language
from portal.db import Database
from portal.journeys import actions as journeys
from portal.meetings import actions
from portal.meetings.actions import Booking, SlotTaken
from portal.meetings.models import Meeting, MeetingTick
from portal.meetings.rules import MeetingKind
from tests.meetings.conftest import MONDAY, World

CLIENTS = 50
ROUNDS = 40
QUARTER = timedelta(minutes=15)


class Client:
    """A customer with a journey of their own, so that only the consultant's time is what they share."""

    def __init__(self, journey_id: int, contact_id: int) -> None:
        self.journey_id = journey_id
        self.contact_id = contact_id


@pytest.fixture
def clients(world: World) -> list[Client]:
    made = []
    with world.database.write() as db:
        for n in range(CLIENTS):
            account = Account(external_id=f"R-{n}", name=f"Racer {n}", created_at=MONDAY, created_by="system")
            db.add(account)
            db.flush()
            contact = Contact(
                account_id=account.id,
                name=f"Runner {n}",
                email=f"runner@racer{n}.example",
                language=Language.EN,
                timezone="America/Sao_Paulo",
                is_primary=True,
                created_at=MONDAY,
            )
            db.add(contact)
            journey_id = journeys.open_after_sale(
                db, world.house, account_id=account.id, owner_id=world.carla, by="import", now=MONDAY
            )
            db.flush()
            made.append(Client(journey_id, contact.id))
    return made


@pytest.fixture
def crowd(world: World) -> Iterator[Database]:
    """The house's database with a connection for each client."""
    world.database.write_engine.dispose()
    wide = Database(world.house.settings.database_url, pool_size=CLIENTS)
    yield wide
    wide.close()


def race(attempts: list[Callable[[], str]]) -> Counter[str]:
    """Runs all at the same moment; counts how they ended."""
    start = Barrier(len(attempts))

    def run(attempt: Callable[[], str]) -> str:
        start.wait(30)
        return attempt()

    with ThreadPoolExecutor(len(attempts)) as pool:
        return Counter(pool.map(run, attempts))


def booking(world: World, client: Client, starts_at: datetime, kind: MeetingKind) -> Booking:
    return Booking(
        kind=kind,
        starts_at=starts_at,
        journey_id=client.journey_id,
        contact_id=client.contact_id,
        staff_id=world.carla,
    )


def sold_ticks(database: Database) -> tuple[int, int]:
    """How many quarters are taken, and how many the planned meetings need."""
    with database.read() as db:
        rows = db.scalar(select(func.count()).select_from(MeetingTick)) or 0
        planned = db.execute(select(Meeting.starts_at, Meeting.held_until).where(Meeting.cancelled_at.is_(None))).all()
    return rows, sum((until - since) // QUARTER for since, until in planned)


def overlaps(database: Database) -> int:
    """Pairs of planned meetings that touch one another, looked up without the table that forbids it."""
    with database.read() as db:
        planned = db.execute(
            select(Meeting.starts_at, Meeting.held_until)
            .where(Meeting.cancelled_at.is_(None))
            .order_by(Meeting.starts_at)
        ).all()
    return sum(earlier.held_until > later.starts_at for earlier, later in pairwise(planned))


@pytest.mark.slow
def test_of_fifty_at_one_slot_one_wins_in_each_of_forty_rounds(
    world: World, crowd: Database, clients: list[Client]
) -> None:
    targets = _apart(sorted(_offered(world, crowd)))[:ROUNDS]
    assert len(targets) == ROUNDS

    def attempt(client: Client, starts_at: datetime) -> Callable[[], str]:
        def run() -> str:
            try:
                with crowd.write() as db:
                    wanted = booking(world, client, starts_at, MeetingKind.KICKOFF)
                    actions.book(db, world.house, wanted, by=f"contact:{client.contact_id}", now=MONDAY)
            except SlotTaken:
                return "taken"
            return "won"

        return run

    for number, starts_at in enumerate(targets):
        ended = race([attempt(client, starts_at) for client in clients])
        assert (ended["won"], ended["taken"]) == (1, CLIENTS - 1), number
    assert overlaps(crowd) == 0
    taken, needed = sold_ticks(crowd)
    assert taken == needed


def _apart(starts: list[datetime]) -> list[datetime]:
    """As many of them as can all be sold: a kick-off with its pause takes an hour."""
    chosen: list[datetime] = []
    for start in starts:
        if not chosen or start >= chosen[-1] + timedelta(hours=1):
            chosen.append(start)
    return chosen


def _offered(world: World, database: Database) -> set[datetime]:
    with database.read() as db:
        found = actions.diary.slots(
            db, world.carla, MeetingKind.KICKOFF, now=MONDAY, zone="America/Sao_Paulo", holidays=world.house.holidays
        )
    return {slot.starts_at for slot in found}


@pytest.mark.slow
def test_different_lengths_that_overlap_are_never_both_sold(
    world: World, crowd: Database, clients: list[Client]
) -> None:
    """By hand, so that nothing but the key of the quarters stands between them."""

    def attempt(client: Client, starts_at: datetime, kind: MeetingKind) -> Callable[[], str]:
        def run() -> str:
            try:
                with crowd.write() as db:
                    wanted = booking(world, client, starts_at, kind)
                    actions.book_by_hand(db, world.house, wanted, by=f"staff:{world.carla}", now=MONDAY)
            except SlotTaken:
                return "taken"
            return "won"

        return run

    kinds = (MeetingKind.KICKOFF, MeetingKind.CHECKUP)
    for number in range(ROUNDS):
        base = MONDAY + timedelta(hours=6 * (number + 1))
        # Three offsets within 45 minutes: any two of these meetings touch.
        attempts = [attempt(client, base + (n % 3) * QUARTER, kinds[n % 2]) for n, client in enumerate(clients)]
        ended = race(attempts)
        assert (ended["won"], ended["taken"]) == (1, CLIENTS - 1), number
    assert overlaps(crowd) == 0
    taken, needed = sold_ticks(crowd)
    assert taken == needed


@pytest.mark.slow
def test_two_who_swap_their_times_both_come_to_an_end(world: World, crowd: Database, clients: list[Client]) -> None:
    """Each wants what the other has: nobody waits for the other for ever, and no time is lost or doubled."""
    one, two = clients[:2]
    morning, noon = MONDAY + timedelta(days=2), MONDAY + timedelta(days=2, hours=3)
    with crowd.write() as db:
        ids = [
            actions.book_by_hand(
                db, world.house, booking(world, client, at, MeetingKind.CHECKUP), by="staff:1", now=MONDAY
            )
            for client, at in ((one, morning), (two, noon))
        ]

    def attempt(meeting_id: int, starts_at: datetime) -> Callable[[], str]:
        def run() -> str:
            try:
                with crowd.write() as db:
                    actions.reschedule_by_hand(
                        db, world.house, meeting_id=meeting_id, starts_at=starts_at, by="staff:1", now=MONDAY
                    )
            except SlotTaken:
                return "taken"
            return "moved"

        return run

    for _ in range(ROUNDS):
        with crowd.read() as db:
            where = {
                meeting.id: meeting.starts_at for meeting in db.scalars(select(Meeting).where(Meeting.id.in_(ids)))
            }
        ended = race([attempt(ids[0], where[ids[1]]), attempt(ids[1], where[ids[0]])])
        assert ended == Counter({"taken": 2})
    taken, needed = sold_ticks(crowd)
    assert taken == needed
    assert overlaps(crowd) == 0


def test_of_two_times_chosen_at_once_for_one_meeting_of_the_plan_one_is_booked(
    world: World, crowd: Database, clients: list[Client]
) -> None:
    """The link of one mail, open in two places: each round another customer and two times that are both free."""
    free = iter(_apart(sorted(_offered(world, crowd))))
    for client, one, other in zip(clients[:20], free, free, strict=False):

        def attempt(starts_at: datetime, client: Client = client) -> str:
            wish = replace(booking(world, client, starts_at, MeetingKind.KICKOFF), once=True)
            with crowd.write() as db:
                return str(actions.book(db, world.house, wish, by=f"contact:{client.contact_id}", now=MONDAY))

        assert len(race([partial(attempt, one), partial(attempt, other)])) == 1
        with crowd.read() as db:
            found = db.scalars(select(Meeting.id).where(Meeting.journey_id == client.journey_id)).all()
        assert len(found) == 1
